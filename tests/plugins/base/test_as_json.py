from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.as_json import from_json, to_json

ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers(-(2**63), 2**63) | st.none() | st.booleans()))
def test_what_is_written_is_read_again_stray_bytes_too(value: dict[str, object]) -> None:
    assert from_json(to_json(value)) == value


@pytest.mark.parametrize("data", [b"", b"{", b'{"a":1}x', b"\xff", b'"\xed\xb3\xbf"'])
def test_what_is_not_json_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(data)
