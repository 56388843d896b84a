"""Packs made by hand (gitformat-pack(5)), as no git would make them."""

from __future__ import annotations

import hashlib
import struct
import zlib

COMMIT, TREE, BLOB, REF_DELTA = 1, 2, 3, 7
Entry = tuple[int, int, bytes]  # type, the size that is claimed, what follows the header

EMPTY_TREE = b"4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def entry(kind: int, content: bytes) -> Entry:
    return kind, len(content), zlib.compress(content, 9)


def ref_delta(base: str, result: int, instructions: bytes) -> Entry:
    """A delta on an object named by its id; `result` is the size that it says it makes."""
    delta = _size(len(instructions)) + _size(result) + instructions
    return REF_DELTA, len(delta), bytes.fromhex(base) + zlib.compress(delta)


def bomb(base: bytes, result: int) -> Entry:
    """A delta on a blob that says it makes `result` bytes, by copying the blob over and over."""
    copy = b"\xf0" + struct.pack("<I", len(base))[:3]  # from its beginning, all of it
    delta = _size(len(base)) + _size(result) + copy * (result // len(base))
    oid = hashlib.sha1(b"blob %d\0" % len(base) + base, usedforsecurity=False).digest()
    return REF_DELTA, len(delta), oid + zlib.compress(delta, 9)


def pack(*entries: Entry, count: int | None = None) -> bytes:
    body = struct.pack(">4sII", b"PACK", 2, len(entries) if count is None else count)
    body += b"".join(_head(kind, size) + data for kind, size, data in entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def commit(*lines: bytes, tree: bytes = EMPTY_TREE) -> bytes:
    """A commit whose header goes on with these lines behind its tree."""
    who = b"x <x@example.invalid> 1700000000 +0000"
    return b"\n".join([b"tree " + tree, *lines, b"author " + who, b"committer " + who, b"", b"made\n"])


def object_id(kind: bytes, content: bytes) -> str:
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content, usedforsecurity=False).hexdigest()


def _head(kind: int, size: int) -> bytes:
    byte, size = (kind << 4) | (size & 15), size >> 4
    data = bytearray()
    while size:
        data.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    return bytes([*data, byte])


def _size(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes([*data, number])
