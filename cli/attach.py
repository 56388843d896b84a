"""This terminal, as that of a container: every byte and every change of size goes there, and comes back.

The attached stream of the engine's API is used rather than the `docker` command, which need not be there;
Podman answers the same way. Ctrl-C is a byte like any other: the container's own terminal makes a signal of
it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_CHUNK: Final = 65536
_HEADER: Final = struct.Struct(">BxxxL")  # of a stream without a terminal: which of stdout and stderr, length
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FOR_GOOD: Final = (signal.SIGTERM, signal.SIGHUP)
_GRACE: Final = 10  # seconds for what runs to end after one of these

Resize = Callable[[int, int], None]  # rows, columns
Write = Callable[[bytes], None]


def is_terminal() -> bool:
    """Whether both ends of what we were started with are a terminal."""
    return os.isatty(_STDIN) and os.isatty(_STDOUT)


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Hand every key on as it is; the terminal is as it was in the end, whatever happens."""
    before = termios.tcgetattr(_STDIN)
    try:
        tty.setraw(_STDIN, termios.TCSADRAIN)
        yield
    finally:
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)


@contextmanager
def following_size(resize: Resize) -> Iterator[None]:
    """Tell the size now, and each time that it changes."""

    def tell(*_: object) -> None:
        with suppress(OSError):
            columns, rows = os.get_terminal_size(_STDOUT)
            resize(rows, columns)

    before = signal.signal(signal.SIGWINCH, tell)
    try:
        tell()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def passing_signals(send: Callable[[int], None]) -> Iterator[None]:
    """Hand on the signals that would end us: the container ends, and then we do."""

    def hand_on(signum: int, _: FrameType | None) -> None:
        if signum == signal.SIGALRM:
            signum = signal.SIGKILL
        elif signum in _FOR_GOOD:
            signal.alarm(_GRACE)
        send(signum)

    before = {number: signal.signal(number, hand_on) for number in (*_ENDING, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def relay(stream: socket.socket, *, multiplexed: bool) -> None:
    """Copy stdin to the stream and the stream to stdout (and stderr, when multiplexed) until that ends.

    Raises `BrokenPipeError` when nobody reads our output any more.
    """
    _Relay(stream, _Demultiplexer().feed if multiplexed else _to_stdout, raw=not multiplexed).run()


class _Relay:
    """Both directions at once: what cannot be sent yet never keeps what has come from being written."""

    def __init__(self, stream: socket.socket, write: Write, *, raw: bool) -> None:
        self._stream = stream
        self._write = write
        self._raw = raw
        self._pending = b""  # from stdin, not yet sent
        self._more = True  # may come from stdin

    def run(self) -> None:
        self._stream.setblocking(False)
        with selectors.SelectSelector() as ready:  # which takes plain files, too
            ready.register(self._stream, selectors.EVENT_READ)
            while True:
                self._choose(ready)
                for key, mask in ready.select():
                    if key.fd == _STDIN:
                        self._read_stdin()
                    if mask & selectors.EVENT_WRITE:
                        self._send()
                    if key.fd != _STDIN and mask & selectors.EVENT_READ and not self._receive():
                        return

    def _choose(self, ready: selectors.BaseSelector) -> None:
        """Read on when everything was sent; send when there is something."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._pending else 0)
        ready.modify(self._stream, events)
        wanted, watched = self._more and not self._pending, _STDIN in ready.get_map()
        if wanted and not watched:
            ready.register(_STDIN, selectors.EVENT_READ)
        elif watched and not wanted:
            ready.unregister(_STDIN)

    def _read_stdin(self) -> None:
        try:
            self._pending = os.read(_STDIN, _CHUNK)
        except OSError:
            self._pending = b""
        if not self._pending:
            self._more = False
            if self._raw:  # no key does that: the terminal is gone, whether or not we are told by a signal
                signal.raise_signal(signal.SIGHUP)
            with suppress(OSError):
                self._stream.shutdown(socket.SHUT_WR)

    def _send(self) -> None:
        try:
            self._pending = self._pending[self._stream.send(self._pending) :]
        except BlockingIOError:
            pass
        except OSError:  # it takes no more: its last words are still to be read
            self._pending, self._more = b"", False

    def _receive(self) -> bool:
        """Write what has come; False at the end."""
        try:
            data = self._stream.recv(_CHUNK)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self._write(data)
        return bool(data)


def _to_stdout(data: bytes) -> None:
    _write(_STDOUT, data)


def _write(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise BrokenPipeError(error.errno, error.strerror) from error


class _Demultiplexer:
    """Takes stdout and stderr apart again (the engine's "attach" stream, without a terminal)."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            which, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            _write(_STDERR if which == _STDERR else _STDOUT, self._buffer[_HEADER.size : end])
            self._buffer = self._buffer[end:]
