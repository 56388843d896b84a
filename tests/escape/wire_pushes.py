"""Push requests that must not pass, or not as they are.

Each is a few bytes made from a `Wire`: its commits `main`, `mine` (on main), `other` (the tip of claude/other),
`next` (on other), `base` (before main) and `orphan` (on nothing).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.escape import packs
from tests.escape.wire import ASKED, ZERO, Wire, command, line, push

MAIN: Final = "refs/heads/main"
MINE: Final = "refs/heads/claude/mine"
THEIRS: Final = "refs/heads/claude/other"
UPLOAD: Final = "git-upload-pack"


@dataclass(frozen=True, slots=True)
class PushAttack:
    """A push request. `real`: sent straight to the remote, with the credential, it does change something."""

    name: str
    body: Callable[[Wire], bytes]
    real: bool = False
    may: frozenset[str] = frozenset()  # refs that it may change: policy allows it


# ---------------------------------------------------------------- what policy refuses, however it is said


def mine(w: Wire) -> bytes:
    return w.pack(w.mine, f"^{w.main}")


def onto_main(w: Wire, asked: bytes = ASKED) -> bytes:
    return push((w.main, w.mine, MAIN), pack=mine(w), asked=asked)


def _creates(ref: str | bytes) -> Callable[[Wire], bytes]:
    return lambda w: push((ZERO, w.mine, ref), pack=mine(w))


def _among(position: int, count: int) -> Callable[[Wire], bytes]:
    def body(w: Wire) -> bytes:
        updates: list[tuple[str, str, str | bytes]] = [
            (ZERO, w.mine, f"refs/heads/claude/n{number}") for number in range(count)
        ]
        updates.insert(position, (w.main, w.mine, MAIN))
        return push(*updates, pack=mine(w))

    return body


def _certified(w: Wire) -> bytes:
    certificate = [
        "certificate version 0.1\n", "pusher x 1700000000 +0000\n", "nonce x\n", "\n",
        f"{w.main} {w.mine} {MAIN}\n", "-----BEGIN PGP SIGNATURE-----\n", "x\n", "push-cert-end\n",
    ]  # fmt: skip
    return line(b"push-cert" + ASKED + b"\n") + b"".join(map(line, certificate)) + b"0000" + mine(w)


def _claiming(*header: bytes) -> Callable[[Wire], bytes]:
    """Puts a commit on claude/other whose header says something of `other` without being its child."""

    def body(w: Wire) -> bytes:
        lines = [part % {b"other": w.other.encode(), b"base": w.base.encode()} for part in header]
        tree = w.git("rev-parse", f"{w.base}^{{tree}}").strip().encode()
        return _moved(w, packs.commit(*lines, tree=tree))

    return body


def _moved(w: Wire, commit: bytes) -> bytes:
    new = packs.object_id(b"commit", commit)
    return push((w.other, new, THEIRS), pack=packs.pack(packs.entry(packs.COMMIT, commit)))


def _treeless(w: Wire) -> bytes:
    return _moved(w, b"trunk x\nparent %s\nauthor x <x> 1 +0000\n\nx\n" % w.other.encode())


REFUSED: Final = [
    PushAttack("main, a fast-forward", onto_main, real=True),
    PushAttack("main, without asking for a report", lambda w: onto_main(w, b""), real=True),
    PushAttack("main, first of 1000", _among(0, 1000), real=True),
    PushAttack("main, hidden among 1000 allowed ones", _among(500, 1000), real=True),
    PushAttack("main, last of 1000", _among(1000, 1000), real=True),
    PushAttack("main, atomically", lambda w: onto_main(w, ASKED + b" atomic"), real=True),
    PushAttack("main, with lengths in capitals",
               lambda w: b"%04X" % (len(onto_main(w).split(b"0000PACK")[0])) + onto_main(w)[4:], real=True),
    PushAttack("main, in a certificate", _certified, real=True),
    PushAttack("main, rewound", lambda w: push((w.main, w.base, MAIN), pack=packs.pack()), real=True),
    PushAttack("main, deleted", lambda w: push((w.main, ZERO, MAIN)), real=True),
    PushAttack("main, deleted beside an allowed one",
               lambda w: push((ZERO, w.mine, MINE), (w.main, ZERO, MAIN), pack=mine(w)), real=True),
    PushAttack("an allowed branch, deleted", lambda w: push((w.other, ZERO, THEIRS)), real=True),
    PushAttack("an allowed branch, rewritten",
               lambda w: push((w.other, w.mine, THEIRS), pack=w.pack(w.mine)), real=True),
    PushAttack("an allowed branch, rewritten to what the remote has",
               lambda w: push((w.other, w.main, THEIRS), pack=packs.pack()), real=True),
    PushAttack("an allowed branch, rewritten to nothing in common",
               lambda w: push((w.other, w.orphan, THEIRS), pack=w.pack(w.orphan)), real=True),
    PushAttack("a parent that stands behind the author",
               _claiming(b"author x <x> 1 +0000", b"parent %(other)s"), real=True),
    PushAttack("a parent in a signature", _claiming(b"gpgsig x", b" parent %(other)s"), real=True),
    PushAttack("a parent behind an empty line", _claiming(b"", b"parent %(other)s"), real=True),
    PushAttack("a parent in capitals", _claiming(b"Parent %(other)s"), real=True),
    PushAttack("a parent behind a second tree", _claiming(b"parent %(base)s", b"x", b"parent %(other)s"),
               real=True),
    PushAttack("a parent without a tree before it", _treeless),
    PushAttack("a history said to be shallow",
               lambda w: line(f"shallow {w.orphan}")
               + push((w.other, w.orphan, THEIRS), pack=w.pack(w.orphan))),
    PushAttack("main, by another name that the remote has for it",
               lambda w: push((w.main, w.mine, "refs/heads/claude/alias"), pack=mine(w)), real=True),
    PushAttack("main, by another name, deleted", lambda w: push((w.main, ZERO, "refs/heads/claude/alias"))),
    PushAttack("a release", lambda w: push((w.base, w.main, "refs/heads/release/1"), pack=packs.pack()), real=True),
    PushAttack("a tag, moved", lambda w: push((w.base, w.main, "refs/tags/v0"), pack=packs.pack()), real=True),
    *(PushAttack(f"a new {ref}", _creates(ref), real=True)
      for ref in ("refs/heads/elsewhere", "refs/heads/Main", "refs/heads/refs/heads/main", "refs/tags/v1",
                  "refs/notes/commits", "refs/remotes/origin/x", "refs/for/main", "refs/pull/1/head",
                  "refs/heads/claudex", "refs/heads/x/claude/y", "refs/claude/x")),
    PushAttack("a replacement of main's commit",
               lambda w: push((ZERO, w.mine, f"refs/replace/{w.main}"), pack=mine(w)), real=True),
]  # fmt: skip

# ---------------------------------------------------------------- names, ids and capabilities

_NAMES: Final = (
    b"HEAD", b"main", b"refs/heads/main\n", b"refs/heads/main\n\n", b"refs/heads/main ", b" refs/heads/main",
    b"refs/heads/../heads/main", b"refs/heads/claude/../main", b"refs/heads/./main", b"refs//heads/main",
    b"/refs/heads/main", b"refs/heads/main/", b"refs/heads/main.", b"refs/heads/main.lock",
    b"refs/heads/claude/x.lock/y", b"refs/heads/claude/x\trefs/heads/main", b"refs/heads/claude/x\nrefs/heads/main",
    b"refs/heads/claude/x\r", b"refs/heads/claude/\x1b[2J", b"refs/heads/claude/\x7f", b"refs/heads/claude/@{1}",
    b"refs/heads/claude/x^{}", b"refs/heads/claude/x~1", b"refs/heads/claude/*", b"refs/heads/claude/x:main",
    b"refs/heads/claude/\\x", b"refs/heads/claude/\xff", b"refs/heads/claude/\xed\xa0\x80", b"refs/heads/claude/",
    b"refs/heads/claude//x", b"refs/heads/.claude/x", b"refs", b"refs/", b"", b".have", b"capabilities^{}",
    b"refs/heads/main\0refs/heads/claude/x", b"../config", b"refs/../config", b"refs/heads/main^0",
    b"refs/heads/claude/" + b"x" * 60_000, "refs/heads/claude/\u200bx".encode(), "refs/heads/ma\u200cin".encode(),
    "refs/heads/claude/\u202enimda".encode(),
)  # fmt: skip
_IDS: Final = {
    "an old value that lies": lambda w: push((w.base, w.mine, MAIN), pack=mine(w)),
    "an old value that says new": lambda w: push((ZERO, w.mine, MAIN), pack=mine(w)),
    "an old value that lies, allowed": lambda w: push((w.base, w.mine, THEIRS), pack=mine(w)),
    "an old value that says new, allowed": lambda w: push((ZERO, w.mine, THEIRS), pack=mine(w)),
    "a new value that the pack does not have": lambda w: push((w.other, "ab" * 20, THEIRS), pack=mine(w)),
    "a deletion of what is not there": lambda w: push((ZERO, ZERO, MINE)),
    "an id in capitals": lambda w: push((w.main.upper(), w.mine.upper(), MAIN), pack=mine(w)),
    "an id that is short": lambda w: push((w.main[:7], w.mine[:7], MAIN), pack=mine(w)),
    "an id of the other length": lambda w: push(("0" * 64, "a" * 64, MINE), pack=mine(w)),
    "an id that is a name": lambda w: push(("main", "claude/mine", MAIN), pack=mine(w)),
    "an id with a sign": lambda w: push(("+" + w.main[1:], w.mine, MAIN), pack=mine(w)),
    "the same ref twice": lambda w: push((w.other, w.next, THEIRS), (w.other, w.mine, THEIRS), pack=w.pack(w.next)),
    "main twice, moved there and back": lambda w: push((w.main, w.mine, MAIN), (w.mine, w.base, MAIN), pack=mine(w)),
    "a shallow line behind the commands": lambda w: command(ZERO, w.mine, MINE, ASKED) + line("shallow " + w.mine)
    + command(w.main, w.mine, MAIN) + b"0000" + mine(w),
}  # fmt: skip
_CAPABILITIES: Final = (
    b"\0 report-status\0 push-cert=x", b"\0 push-cert=x", b"\0 object-format=sha256", b"\0 object-format=", b"\0 sneaky",
    b"\0 atomic=\0x", b"\0 report-status=\x01", b"\0 \xff", b"\0 agent=\x1b[2J", b"\0 report-status\n0000",
    b"\0" + b" atomic" * 9000,
)  # fmt: skip


def _later(w: Wire) -> bytes:
    return command(ZERO, w.mine, MINE) + command(w.main, w.mine, MAIN, ASKED) + b"0000" + mine(w)


def _twice_asked(w: Wire) -> bytes:
    return command(ZERO, w.mine, MINE, ASKED) + command(w.main, w.mine, MAIN, ASKED) + b"0000" + mine(w)


def _with_options(option: bytes) -> Callable[[Wire], bytes]:
    asked = ASKED + b" push-options"
    return lambda w: push((ZERO, w.mine, MINE), asked=asked) + line(option) + b"0000" + mine(w)


UNREADABLE: Final = [
    *(PushAttack(f"a ref called {name[:45]!r}", _creates(name)) for name in _NAMES),
    *(PushAttack(name, body) for name, body in _IDS.items()),
    *(PushAttack(f"capabilities {asked[:40]!r}", lambda w, asked=asked: onto_main(w, asked))  # type: ignore[misc]
      for asked in _CAPABILITIES),
    PushAttack("capabilities in a later command", _later, real=True),
    PushAttack("capabilities in two commands", _twice_asked, real=True),
    PushAttack("a push option", _with_options(b"merge_request.create"), real=True),
    PushAttack("a push option that is no text", _with_options(b"\xff\xfe"), real=True),
    PushAttack("a push option with a line more", _with_options(b"x\nmerge_request.create"), real=True),
    PushAttack("push options without end",
               lambda w: push((ZERO, w.mine, MINE), asked=ASKED + b" push-options") + line("x") * 200),
    PushAttack("20001 commands",
               lambda w: push(*((ZERO, w.mine, f"refs/heads/claude/{n}") for n in range(20_001)))),
    PushAttack("commands of many megabytes", lambda w: line(b"x" * 60_000) * 600),
    PushAttack("shallow lines without end", lambda w: line("shallow " + w.main) * 40_002),
]  # fmt: skip

# ---------------------------------------------------------------- lines that are no lines

_LENGTHS: Final = (
    b"0001", b"0002", b"0003", b"0004", b"0005", b"fff1", b"ffff", b"FFFF", b"zzzz", b"-001", b"+0a1", b"0x1a", b" 0a1",
    b"00\n1", b"0_a1", b"\xef\xbc\x90\xef\xbc\x90", b"\0\0\0\0", b"PACK", b"00",
)  # fmt: skip


def _prefixed(length: bytes) -> Callable[[Wire], bytes]:
    return lambda w: length + onto_main(w)


LINES: Final = [
    *(PushAttack(f"a line that begins with {length!r}", _prefixed(length)) for length in _LENGTHS),
    PushAttack("nothing at all", lambda w: b""),
    PushAttack("a flush, and then main", lambda w: b"0000" + onto_main(w)),
    PushAttack("a delimiter between commands",
               lambda w: command(ZERO, w.mine, MINE, ASKED) + b"0001" + command(w.main, w.mine, MAIN) + b"0000"),
    PushAttack("an empty line between commands",
               lambda w: command(ZERO, w.mine, MINE, ASKED) + b"0004" + onto_main(w)),
    PushAttack("a second list of commands",
               lambda w: push((w.other, w.next, THEIRS)) + command(w.main, w.mine, MAIN) + b"0000" + mine(w)),
    PushAttack("no flush before the pack", lambda w: command(ZERO, w.mine, MINE, ASKED) + mine(w)),
    PushAttack("no flush at all", lambda w: command(ZERO, w.mine, MINE, ASKED)),
    PushAttack("a line of 65521 bytes", lambda w: b"fff1" + b"x" * 65517 + b"0000"),
    PushAttack("a fetch where a push belongs", lambda w: line("command=ls-refs\n") + b"0000"),
]  # fmt: skip

# ---------------------------------------------------------------- packs that are none


def _moves(make: Callable[[Wire], bytes]) -> Callable[[Wire], bytes]:
    """A push that is allowed, were it not for its pack."""
    return lambda w: push((w.other, w.next, THEIRS), pack=make(w))


def _next(w: Wire) -> bytes:
    return w.pack(w.next, f"^{w.other}")


def _long_commit(w: Wire) -> bytes:
    """A few kilobytes that are a commit of 100 MB."""
    return _moved(w, packs.commit(b"parent " + w.other.encode()) + b"\n" * 100_000_000)


def _with_thin(w: Wire) -> bytes:
    """A commit as a delta on one that only the remote has, by a delta that makes it from nothing."""
    made = packs.commit(b"parent " + w.other.encode())
    size = len(w.git("cat-file", "commit", w.other).encode())
    head = bytes([size & 0x7F | 0x80, size >> 7]) + bytes([len(made) & 0x7F | 0x80, len(made) >> 7])
    pieces = b"".join(
        bytes([len(made[at : at + 100])]) + made[at : at + 100] for at in range(0, len(made), 100)
    )
    delta = head + pieces
    entry = (packs.REF_DELTA, len(delta), bytes.fromhex(w.other) + zlib.compress(delta))
    return push((w.other, packs.object_id(b"commit", made), THEIRS), pack=packs.pack(entry))


_PACKS: Final[dict[str, Callable[[Wire], bytes]]] = {
    "a pack that is missing": lambda w: b"",
    "a pack that is cut off": lambda w: _next(w)[:-30],
    "a pack that is cut off within its checksum": lambda w: _next(w)[:-1],
    "a pack with a wrong checksum": lambda w: _next(w)[:-1] + b"\xff",
    "a pack with a changed byte": lambda w: _next(w)[:40] + b"\xff" + _next(w)[41:],
    "a pack that counts too many": lambda w: packs.pack(packs.entry(packs.BLOB, b"x"), count=2**32 - 1),
    "a pack that counts too few": lambda w: packs.pack(*[packs.entry(packs.BLOB, b"x")] * 2, count=1),
    "a pack of another version": lambda w: b"PACK\0\0\0\x09" + _next(w)[8:],
    "a pack without the new commit": lambda w: mine(w),
    "a pack of an unknown kind": lambda w: packs.pack((5, 1, zlib.compress(b"x"))),
    "a pack whose object is longer than it says": lambda w: packs.pack(
        (packs.BLOB, 1, zlib.compress(b"x" * 999))
    ),
    "a delta without its base": lambda w: packs.pack(packs.ref_delta("ab" * 20, 1, b"\x01x")),
    "a delta that reads outside its base": lambda w: packs.pack(
        packs.entry(packs.BLOB, b"x"),
        packs.ref_delta(packs.object_id(b"blob", b"x"), 4, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    ),
    "a delta that becomes 30 GB": lambda w: packs.pack(
        packs.entry(packs.BLOB, bytes(1 << 23)), packs.bomb(bytes(1 << 23), 30 << 30)
    ),
    "a blob that says it has an exabyte": lambda w: packs.pack((packs.BLOB, 1 << 60, zlib.compress(b"x"))),
    "a commit that says it has 30 GB": lambda w: packs.pack((packs.COMMIT, 30 << 30, zlib.compress(b"x"))),
}

# What comes behind an allowed push moves nothing else.
_BEHIND: Final[dict[str, Callable[[Wire], bytes]]] = {
    "a pack with bytes behind it": lambda w: _next(w) + b"more",
    "a pack with a push behind it": lambda w: _next(w) + onto_main(w),
    "a pack with a request behind it": lambda w: _next(w) + w.post(onto_main(w)),
    "two packs": lambda w: _next(w) + mine(w),
}

PACKS: Final = [
    *(PushAttack(name, _moves(make)) for name, make in _PACKS.items()),
    *(PushAttack(name, _moves(make), may=frozenset([THEIRS])) for name, make in _BEHIND.items()),
    PushAttack("a commit that is none", lambda w: _moved(w, b"x")),
    PushAttack("a commit that is empty", lambda w: _moved(w, b"")),
    PushAttack(
        "a commit that ends within a parent", lambda w: _moved(w, b"tree %s\nparent ab" % packs.EMPTY_TREE)
    ),
    PushAttack("a commit of 100 MB", _long_commit, real=True),
    PushAttack("a thin pack", _with_thin, real=True),
]

PUSHES: Final = [*REFUSED, *UNREADABLE, *LINES, *PACKS]
