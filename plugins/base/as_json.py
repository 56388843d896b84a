"""JSON as it is written and read on the way of every command. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pydantic_core


def to_json(value: Mapping[str, Any]) -> bytes:
    """The object in UTF-8, without spaces and line breaks. Stray bytes, as surrogates, become `\\udcXX`."""
    try:
        return pydantic_core.to_json(value)
    except pydantic_core.PydanticSerializationError:  # UTF-8 has no surrogates, and this writes no escapes
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def from_json(data: bytes) -> Any:
    """What a part of our own wrote (what others write, `serving.protocol` reads). Raises `ValueError`."""
    try:
        return pydantic_core.from_json(data)
    except ValueError:  # it knows no surrogates either
        return json.loads(data.decode("utf-8"))
