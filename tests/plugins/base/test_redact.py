"""What looks like a secret is taken out; what does not is left alone."""

from __future__ import annotations

import time

import pytest

from plugins.base.redact import redact, redact_args

# Put together here, so that nobody's scanner takes this file for a leak.
GH = "gh" + "p_" + "a1B2" * 9
SECRETS = [
    GH,
    "gh" + "o_" + "Z9" * 18,
    "gh" + "s_" + "Z9" * 18,
    "github" + "_pat_" + "11ABC_" * 8,
    "glpat" + "-" + "x" * 20,
    "npm" + "_" + "k" * 36,
    "sk-ant" + "-api03-" + "q" * 30,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "xox" + "b-123456789012-abcdef",
    "AIza" + "S" * 35,
    "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0abc" + ".sig-nature",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "x={}", "https://{}@github.com/o/r", "see {}, and go on", "a\n{}\nb"]
)
def test_a_token_of_a_known_shape_never_stays(secret: str, around: str) -> None:
    redacted = redact(around.format(secret))
    assert secret not in redacted
    assert "[redacted]" in redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:hunter2@host/x", "https://[redacted]@host/x"),
        ("https://a:b@c@host/x", "https://[redacted]@host/x"),
        ("ssh://git@github.com/o/r", "ssh://git@github.com/o/r"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]"),
        ("proxy-authorization:abc", "proxy-authorization:[redacted]"),
        ("Bearer abcdefabcdefabcdef", "Bearer [redacted]"),
        ("http.extraheader=X-Key: much more", "http.extraheader=[redacted]"),
        ("http.https://h/.extraHeader=AUTHORIZATION: basic x", "http.https://h/.extraHeader=[redacted]"),
        ("//registry.example/:_authToken=abcdef123", "//registry.example/:_authToken=[redacted]"),
        ('"password": "correct horse"', '"password": "[redacted] horse"'),
        ("MY_API_KEY=abcdef", "MY_API_KEY=[redacted]"),
    ],
)
def test_what_stands_behind_a_telling_name_goes(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "push origin main",
        "commit -m 'Basic support for tokens in the parser'",
        "log --author=someone@example.org",
        "https://github.com/o/r.git",
        "git@github.com:o/r.git",
        "credential.helper=store",
        "0123456789abcdef0123456789abcdef01234567",
        "feature/secret-santa",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_value_that_is_the_next_word_goes_too() -> None:
    assert redact_args(["login", "--token", "hunter2hunter2", "-v"]) == (
        "login",
        "--token",
        "[redacted]",
        "-v",
    )
    assert redact_args(["config", "http.extraHeader", "X-Any: thing"])[-1] == "[redacted]"
    assert redact_args(["switch", "token", "parser"]) == ("switch", "token", "parser")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "://" * 100_000,
        "token" * 60_000,
        "-" * 300_000 + "token",
        "basic " * 50_000,
        "eyJa." * 60_000,
    ],
)
def test_hostile_text_takes_no_longer_than_other_text(text: str) -> None:
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 3
