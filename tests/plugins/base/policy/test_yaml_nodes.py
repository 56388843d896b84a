"""YAML is read strictly: every surprise is a fault with its place, and the work is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.base.policy.yaml_nodes import Bare, load


def faults(text: str) -> list[str]:
    found = sorted(load(text).faults)
    return [f"{fault.place.line}:{fault.place.column} {fault.message}" for fault in found]


def test_plain_data_is_read_with_places() -> None:
    text = "a: 1\nb:\n  c: [x, true, -2.5, '7', \"é\"]\n  d: {}\n"
    document = load(text)
    assert document.faults == []
    assert document.value == {"a": 1, "b": {"c": ("x", True, -2.5, "7", "é"), "d": {}}}
    assert (document.key_place(("b", "c")).line, document.key_place(("b", "c")).column) == (3, 3)
    assert (document.place(("b", "c", 1)).line, document.place(("b", "c", 1)).column) == (3, 10)
    assert document.place(("b", "c", 9, "none")) == document.place(("b", "c"))


@pytest.mark.parametrize(
    ("word", "kind"),
    [("yes", "truth"), ("No", "truth"), ("on", "truth"), ("OFF", "truth"), ("y", "truth"), ("n", "truth"),
     ("0660", "octal"), ("0x10", "number"), ("1_000", "number"), ("1:30", "number"), ("0b1", "number"),
     (".5", "number"), ("1.0e+9", "number"), (".inf", "number"), ("9" * 40, "number"), ("2024-01-01", "date"),
     ("=", "other")],
)  # fmt: skip
def test_a_word_that_yaml_reads_in_its_own_way_is_neither_text_nor_value(word: str, kind: str) -> None:
    assert load(f"a: {word}").value == {"a": Bare(word, kind)}
    assert load(f"a: '{word}'").value == {"a": word}


@pytest.mark.parametrize("word", ["main", "release/*", "v1.0", "1.0.0", "12:x", "0xz", "None", "~x", "08x"])
def test_ordinary_words_are_text(word: str) -> None:
    assert load(f"a: {word}").value == {"a": word}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1 the file is empty"]),
        ("# only\n# comments\n", ["1:1 the file is empty"]),
        ("---\n", ["2:1 the file is empty"]),
        ("a: 1\na: 2\n", ["2:1 `a` is given twice (first on line 1); remove one"]),
        ("on: 1\n", ['1:1 the key `on` is not read as text by YAML; put it in quotes: "on"']),
        ("1: x\n", ['1:1 the key `1` is not read as text by YAML; put it in quotes: "1"']),
        ("[a]: 1\n", ["1:1 a key must be a single word, not a list or a mapping"]),
        ("a:\n", ["1:3 `a` has no value; write one (an empty list is []), or remove it"]),
        ("a: [~]\n", ["1:5 this entry has no value; write one (an empty list is []), or remove it"]),
        ("a: &x 1\n", ["1:4 anchors such as `&x` are not allowed; remove it"]),
        ("a: &x 1\nb: *x\n", ["1:4 anchors such as `&x` are not allowed; remove it",
                              "2:4 aliases such as `*x` are not allowed; write the value out"]),
        ("a: !!python/object:os.system {}\n",
         ["1:4 tags such as `tag:yaml.org,2002:python/object:os.system` are not allowed; remove it"]),
        ("a: {<<: {b: 1}}\n", ["1:5 merge keys (`<<`) are not allowed; write the entries out"]),
        ("a: 1\n---\nb: 1\n",
         ["2:1 a second document starts here; a policy file is one document, so remove this `---`"]),
        ("a: 1\nb: \u202ex\n", ["2:4 the invisible character U+202E must not be here; delete it"]),
        ("a: \x07\n", ["1:4 the invisible character U+0007 must not be here; delete it"]),
        ("a: 1\rb: 2\n", ["1:5 the invisible character U+000D must not be here; delete it"]),
        ("a: '\ud800'\n", ["1:5 the invisible character U+D800 must not be here; delete it"]),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("a:\n\tb: 1\n", "2:1", "a tab stands where"),
        ("a: @x\n", "1:4", "cannot start with this character"),
        ("a: b: c\n", "1:5", "a `:` stands where no key can be"),
        ("a: 1\nb\nc: 1\n", "3:1", "a key without its `:`"),
        ("a: [b, c\nd: 1\n", "2:2", "list in [...] lacks a comma or its closing `]` (it begins on line 1)"),
        ("a: {b: 1\n", "2:1", "mapping in {...} lacks a comma or its closing `}`"),
        ("a: 'b\nc: 1\n", "3:1", "no closing quote"),
        ("a: 1\n  b: 2\n", "2:4", "a `:` stands where"),
        ("a:\n  b: 1\n c: 1\n", "3:2", "the indentation does not fit"),
        ('a: "\\q"\n', "1:6", "wrong escape"),
        ("a: [b,, c]\n", "1:7", "a value is missing"),
        ("a: *\n", "1:5", "a value that starts with `*`"),
        ("%\na: 1\n", "1:2", "a line that starts with `%`"),
        ("a: !<\n", "1:6", "a value that starts with `!`"),
        ("a: ]\n", "1:4", "a value is missing"),
    ],
)
def test_a_syntax_error_is_one_plain_sentence_with_its_place(text: str, place: str, part: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(place)
    assert part in fault
    assert "\n" not in fault
    assert "token" not in fault


def test_every_fault_is_reported_not_only_the_first() -> None:
    text = "on: 1\na: 1\na: &x 2\nb:\nc: !t 3\n"
    assert [fault.split()[0] for fault in faults(text)] == ["1:1", "3:1", "3:4", "4:3", "5:4"]


@pytest.mark.parametrize("text", ["[" * 1000, "{a: " * 1000, "- " * 1000 + "a", "a: " + "[" * 100_000])
def test_deep_nesting_is_refused_before_it_recurses(text: str) -> None:
    (fault,) = faults(text)
    assert "nested more than 16 deep" in fault


def test_a_huge_number_of_parts_is_refused() -> None:
    (fault,) = faults("a: [" + "b, " * 200_000 + "]")
    assert "more than 20000 parts" in fault


def test_a_huge_text_is_refused() -> None:
    (fault,) = faults("a: " + "b" * 5000)
    assert "longer than 4096 characters" in fault


def test_what_a_message_repeats_is_one_short_line() -> None:
    (fault,) = faults("a: &" + "x" * 500 + " 1\n")
    assert len(fault) < 200
    assert "…" in fault


yaml_like = st.text(st.sampled_from("ab1 \n\t:-[]{}#&*!|>'\"%@`,?=<~.0\r\\\u00e9\u2028"), max_size=60)


@given(yaml_like | st.text(max_size=60))
def test_any_text_is_read_or_has_faults(text: str) -> None:
    document = load(text)
    assert document.faults or document.value is not None
    assert all(fault.place.line >= 1 and fault.place.column >= 1 for fault in document.faults)
