"""What a push says on the wire (gitprotocol-pack(5)), pure: advertisement, commands, report.

`parse_commands` is strict: what it returns is judged, and `encode_commands` builds from it what goes to
the remote. The bytes of the client are never passed on, so both cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from plugins.base.errors import ProtocolError
from plugins.base.model import RefUpdate
from plugins.git.gateway.pktline import Line, Special, band, encode

OBJECT_ID_LENGTH: Final = {"sha1": 40, "sha256": 64}
MAX_COMMANDS: Final = 20_000
MAX_PUSH_OPTIONS: Final = 100

# What the gateway understands and therefore offers; `push-cert` signs the bytes that it would rebuild.
_OFFERED: Final = frozenset(
    ["report-status", "report-status-v2", "delete-refs", "side-band-64k", "quiet", "atomic", "ofs-delta",
     "object-format", "push-options", "agent", "no-thin"]
)  # fmt: skip
_ASKABLE: Final = _OFFERED | {"session-id"}

_OBJECT_ID = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
# git-check-ref-format(1); the name goes to the remote, to people and into patterns.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|^/|^\.")


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The refs of a remote, and what its receive-pack can do."""

    refs: Mapping[str, str]  # full name -> object id
    capabilities: Mapping[str, str]  # name -> value ("" when it has none)

    @property
    def object_format(self) -> str:
        return self.capabilities.get("object-format", "sha1")

    @property
    def null_id(self) -> str:
        return "0" * OBJECT_ID_LENGTH[self.object_format]


@dataclass(frozen=True, slots=True)
class PushCommands:
    """The first part of a push request: everything before the pack."""

    updates: tuple[RefUpdate, ...]
    capabilities: Mapping[str, str]
    shallow: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def expects_pack(self) -> bool:
        """A request of deletions alone carries no pack."""
        return any(not update.deletes for update in self.updates)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the client is told: for each ref why not, and lines for people."""

    refs: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()


# ---------------------------------------------------------------- advertisement


def parse_advertisement(lines: Iterable[Line]) -> Advertisement:
    """Read the answer to `info/refs?service=git-receive-pack`. Raises `ProtocolError`."""
    refs: dict[str, str] = {}
    capabilities: dict[str, str] | None = None
    for line in _ref_lines(lines):
        content, separator, extra = line.partition(b"\0")
        if separator and capabilities is None:
            capabilities = parse_capabilities(_text(extra))
        oid, _, name = _text(content.rstrip(b"\n")).partition(" ")
        if name and name != "capabilities^{}" and not name.endswith("^{}") and name != ".have":
            refs[name] = _object_id(oid)
    advertisement = Advertisement(refs, capabilities or {})
    if advertisement.object_format not in OBJECT_ID_LENGTH:
        raise ProtocolError(f"The remote uses the unknown object format {advertisement.object_format!r}.")
    return advertisement


def _ref_lines(lines: Iterable[Line]) -> Iterable[bytes]:
    """The lines that name refs: without the service's banner, flushes, the version and shallow lines."""
    for line in lines:
        if isinstance(line, Special) or line.startswith((b"# service=", b"version ", b"shallow ")):
            continue
        if line.startswith(b"ERR "):
            raise ProtocolError(f"The remote says: {_text(line[4:]).strip()}")
        yield line


def encode_advertisement(advertisement: Advertisement, agent: str) -> bytes:
    """Offer the remote's refs with what both the remote and the gateway can do."""
    offered = {
        name: value for name, value in advertisement.capabilities.items() if name in _OFFERED
    } | {"agent": agent, "no-thin": "", "side-band-64k": "", "report-status": ""}  # fmt: skip
    tail = b"\0" + join_capabilities(offered).encode()
    entries = sorted(advertisement.refs.items()) or [("capabilities^{}", advertisement.null_id)]
    lines = [
        encode(f"{oid} {name}".encode() + (tail if index == 0 else b"") + b"\n")
        for index, (name, oid) in enumerate(entries)
    ]
    return b"".join(lines) + Special.FLUSH.value


def parse_capabilities(text: str) -> dict[str, str]:
    """Split `a b=c` into names and values; of a repeated name the last value counts."""
    pairs = (word.partition("=") for word in text.split())
    return {name: value for name, _, value in pairs}


def join_capabilities(capabilities: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" if value else name for name, value in capabilities.items())


# ---------------------------------------------------------------- commands


def parse_commands(lines: Sequence[bytes], object_format: str) -> PushCommands:
    """Read the lines before the first flush. Raises `ProtocolError` for whatever is not exactly right."""
    shallow: list[str] = []
    updates: list[RefUpdate] = []
    capabilities: dict[str, str] = {}
    for line in lines:
        content, separator, extra = line.partition(b"\0")
        text = _text(content.removesuffix(b"\n"))
        if text.startswith("shallow "):
            shallow.append(_sized(text.removeprefix("shallow "), object_format))
            continue
        if separator and updates:
            raise ProtocolError("Capabilities stand in a later line than the first command.")
        if separator:
            capabilities = _asked(_text(extra), object_format)
        updates.append(_update(text, object_format))
        if len(updates) > MAX_COMMANDS:
            raise ProtocolError(f"A push may change at most {MAX_COMMANDS} refs.")
    _check_distinct(updates)
    return PushCommands(tuple(updates), capabilities, tuple(shallow))


def _asked(text: str, object_format: str) -> dict[str, str]:
    text = text.removesuffix("\n")
    if not text.isprintable() or not text.isascii():
        raise ProtocolError("The push's capabilities have control characters.")
    asked = parse_capabilities(text)
    unknown = sorted(asked.keys() - _ASKABLE)
    if unknown:
        raise ProtocolError(f"The push asks for {unknown[0]!r}, which was not offered.")
    if asked.get("object-format", object_format) != object_format:
        raise ProtocolError(f"The push uses another object format than the remote's {object_format}.")
    return asked


def _update(text: str, object_format: str) -> RefUpdate:
    fields = text.split(" ")
    if len(fields) != 3:
        raise ProtocolError("A push command must be: old id, new id, ref.")
    old, new, ref = fields
    # What cannot be seen in a name some file systems leave out of it, and people are deceived by.
    if not ref.startswith("refs/") or _BAD_REF.search(ref) or not ref.isprintable():
        raise ProtocolError(f"{ref!r} is not a ref that can be pushed.")
    return RefUpdate(ref, _sized(old, object_format), _sized(new, object_format))


def _check_distinct(updates: Sequence[RefUpdate]) -> None:
    seen: set[str] = set()
    for update in updates:
        if update.ref in seen:
            raise ProtocolError(f"The push changes {update.ref} twice.")
        seen.add(update.ref)


def _object_id(text: str) -> str:
    if not _OBJECT_ID.fullmatch(text):
        raise ProtocolError(f"{text[:80]!r} is not an object id.")
    return text


def _sized(text: str, object_format: str) -> str:
    if len(text) != OBJECT_ID_LENGTH[object_format]:
        raise ProtocolError(f"{text[:80]!r} is not an object id of {object_format}.")
    return _object_id(text)


def _text(data: bytes) -> str:
    """Decode; a name that is not UTF-8 is refused, as it could not be shown, matched and sent alike."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError(f"{data[:80]!r} is not UTF-8.") from None


def encode_commands(commands: PushCommands, capabilities: Mapping[str, str]) -> bytes:
    """Build the request that goes to the remote, from what was judged."""
    tail = b"\0 " + join_capabilities(capabilities).encode()
    lines = [encode(f"shallow {oid}".encode()) for oid in commands.shallow]
    lines += [
        encode(f"{update.old} {update.new} {update.ref}".encode() + (tail if index == 0 else b""))
        for index, update in enumerate(commands.updates)
    ]
    data = b"".join(lines) + Special.FLUSH.value
    if "push-options" in capabilities:
        data += b"".join(encode(option.encode()) for option in commands.options) + Special.FLUSH.value
    return data


# ---------------------------------------------------------------- report


def refuse(commands: PushCommands, refusal: Refusal) -> bytes:
    """Answer a push as a server does that takes none of it: each ref with its reason.

    A ref that no rule is against is refused for the company it came in.
    """
    lines = [encode(b"unpack ok\n")]
    for update in commands.updates:
        reason = refusal.refs.get(update.ref, "refused with the rest of this push")
        lines.append(encode(f"ng {update.ref} {_one_line(reason)}\n".encode()))
    report = b"".join(lines) + Special.FLUSH.value
    return answer(commands, report, refusal.remarks)


def answer(commands: PushCommands, report: bytes, remarks: Sequence[str]) -> bytes:
    """Wrap a report as the client asked for it: with side-band, remarks appear as `remote:` lines."""
    asked = commands.capabilities
    if not asked.keys() & {"report-status", "report-status-v2"}:
        report = b""
    if "side-band-64k" not in asked:
        return report
    people = "".join(f"{_one_line(remark)}\n" for remark in remarks).encode()
    return band(2, people) + band(1, report) + Special.FLUSH.value


def _one_line(text: str) -> str:
    return " ".join(text.split())
