"""Edits change what they are to change, and no other byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.policy.edit import EditError, Scalar, add_item, remove_item, set_scalar
from plugins.base.policy.yaml_nodes import load

HEAD = "# The policy.\nplugin: git  # this tool\nversion: 1\n\n"
FLOW = HEAD + "rules:\n  list: [a, b/*]   # two\n  other: [x]\n# the end\n"
BLOCK = HEAD + "rules:\n  list:  # note: two\n    # first\n    - a   # one\n    - b/*\n\n  other: [x]\n"


def edited(before: str, old: str, new: str) -> str:
    assert before.count(old) == 1
    return before.replace(old, new)


@pytest.mark.parametrize(
    ("text", "value", "old", "new"),
    [
        (FLOW, "c", "b/*]", "b/*, c]"),
        (FLOW, "config --global", "b/*]", "b/*, config --global]"),
        (FLOW, "on", "b/*]", 'b/*, "on"]'),
        (FLOW, "1.0", "b/*]", 'b/*, "1.0"]'),
        (FLOW, "*", "b/*]", 'b/*, "*"]'),
        (FLOW, "a: b", "b/*]", 'b/*, "a: b"]'),
        (FLOW, "#x, y]", "b/*]", 'b/*, "#x, y]"]'),
        (FLOW, 'say "é"', "b/*]", 'b/*, "say \\"é\\""]'),
        (FLOW, 7, "b/*]", "b/*, 7]"),
        (BLOCK, "c", "    - b/*\n", "    - b/*\n    - c\n"),
        (HEAD + "rules:\n  list: []\n", "c", "[]", "[c]"),
        (HEAD + "rules:\n  list: [\n    a,  # one\n    b,  # two\n  ]\n", "c", "    b,", "    b, c,"),
        (HEAD + "rules:\n  list:\n  - a\n  other: [x]\n", "c", "  - a\n", "  - a\n  - c\n"),
        (HEAD + "rules: {list: [a]}\n", "c", "[a]", "[a, c]"),
    ],
)
def test_an_item_is_added_in_the_style_of_its_list(text: str, value: Scalar, old: str, new: str) -> None:
    assert add_item(text, "rules.list", value) == edited(text, old, new)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (HEAD + "rules:\n  other: [x]  # x\n  # more\n", "# x\n", "# x\n  list: [c]\n"),
        (HEAD + "rules:\n  other:\n    - x\nlimits: {}\n", "- x\n", "- x\n  list: [c]\n"),
        (HEAD + "rules: {}\n", "{}", "{list: [c]}"),
        (HEAD + "rules: {other: [x]}\n", "[x]", "[x], list: [c]"),
        (HEAD, "version: 1\n", "version: 1\nrules:\n  list: [c]\n"),
    ],
)
def test_a_missing_list_is_made_in_its_section(text: str, old: str, new: str) -> None:
    assert add_item(text, "rules.list", "c") == edited(text, old, new)


def test_a_text_without_a_last_line_end_gets_none() -> None:
    assert add_item("rules:\n  list:\n  - a", "rules.list", "b") == "rules:\n  list:\n  - a\n  - b"


def test_an_item_that_is_there_is_not_added_again() -> None:
    assert add_item(FLOW, "rules.list", "a") == FLOW


@pytest.mark.parametrize(
    ("text", "value", "old", "new"),
    [
        (FLOW, "a", "[a, b/*]", "[b/*]"),
        (FLOW, "b/*", "[a, b/*]", "[a]"),
        (FLOW, "x", "[x]", "[]"),
        (BLOCK, "a", "    - a   # one\n", ""),
        (BLOCK, "b/*", "    - b/*\n", ""),
        (HEAD + "rules:\n  list: [a, b,]\n", "b", "[a, b,]", "[a, ]"),
        ("rules:\n  list: [a # x, y\n    , b]\n", "a", "[a # x, y\n    , b]", "[ # x, y\n    b]"),
        (
            "rules:\n  list:  # a: b\n    # c\n    - 'a'\n", "a",
            "list:  # a: b\n    # c\n    - 'a'", "list: []  # a: b\n    # c",
        ),
    ],
)  # fmt: skip
def test_an_item_is_removed_with_its_comma_or_line(text: str, value: str, old: str, new: str) -> None:
    path = "rules.other" if value == "x" else "rules.list"
    assert remove_item(text, path, value) == edited(text, old, new)


@pytest.mark.parametrize(
    ("text", "path", "value", "old", "new"),
    [
        ("a: {b: false}  # no\n", "a.b", True, "false", "true"),
        ("a:\n  b: 120   # seconds\n", "a.b", 60, "120", "60"),
        ("a:\n  b: 120   # seconds\n", "a.b", 0.5, "120", "0.5"),
        ("a:\n  b: 'x'   # what\n", "a.b", "y z", "'x'", "y z"),
        ("a:\n  b: |\n    x\n    y\n  c: 1\n", "a.b", "z", "|\n    x\n    y\n", "z\n"),
        ("a:\n  c: 1 # one\n", "a.b", True, "# one\n", "# one\n  b: true\n"),
        ("a: 1\n", "b.c.d", "x", "1\n", "1\nb:\n  c:\n    d: x\n"),
        ("a: {}\n", "a.b.c", "x", "{}", "{b: {c: x}}"),
    ],
)
def test_a_single_value_is_set(text: str, path: str, value: Scalar, old: str, new: str) -> None:
    assert set_scalar(text, path, value) == edited(text, old, new)


@pytest.mark.parametrize("path", ["rules.list", "rules.other", "rules.new", "new.section"])
def test_line_ends_of_windows_stay_so(path: str) -> None:
    text = BLOCK.replace("\n", "\r\n")
    result = add_item(text, path, "c")
    assert result.count("\n") == result.count("\r\n")
    assert result == add_item(BLOCK, path, "c").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "edit",
    [
        lambda: add_item("a: [\n", "a", "x"),
        lambda: add_item("a: [b, b\na: 1", "a", "x"),
        lambda: add_item("a: &x [b]\n", "a", "x"),
        lambda: add_item("", "a", "x"),
        lambda: add_item("a: 1\n", "a", "x"),
        lambda: add_item("a: 1\n", "a.b", "x"),
        lambda: add_item("a: [b]\n", "a", "x\ny"),
        lambda: add_item("a:\n-\n  b\n", "a", "x"),
        lambda: remove_item("a: [b]\n", "a", "x"),
        lambda: remove_item("b: [b]\n", "a", "x"),
        lambda: set_scalar("a: [b]\n", "a", "x"),
        lambda: set_scalar("[a]\n", "a", "x"),
        lambda: set_scalar("a:\n  b: |\n    x", "a.c", "y"),  # would give b a line end
    ],
)
def test_what_cannot_be_done_is_refused(edit: object) -> None:
    assert callable(edit)
    with pytest.raises(EditError):
        edit()


words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=12).filter(
    str.isprintable
)


@given(items=st.lists(words, unique=True, max_size=5), new=words, block=st.booleans(), crlf=st.booleans())
def test_whatever_the_items_adding_and_removing_gives_the_same_bytes(
    items: list[str], new: str, block: bool, crlf: bool
) -> None:
    if new in items:
        return
    text = HEAD + "rules:\n  list:\n    - first\n  other: [x]\n" if block else FLOW
    text = text.replace("\n", "\r\n") if crlf else text
    for item in items:
        text = add_item(text, "rules.list", item)
    added = add_item(text, "rules.list", new)
    assert new in load(added).value["rules"]["list"]
    assert remove_item(added, "rules.list", new) == text


@given(value=words | st.booleans() | st.integers(-(10**9), 10**9))
def test_whatever_is_set_is_what_is_read(value: Scalar) -> None:
    assert load(set_scalar("a: {b: 1}\n", "a.b", value)).value == {"a": {"b": value}}
