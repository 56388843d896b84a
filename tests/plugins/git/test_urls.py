"""One repository, one name; anything that could be read in two ways has none."""

from __future__ import annotations

import pytest

from plugins.git.urls import host_name, parse_url


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/o/r.git", "https://github.com/o/r", "https://github.com/o/r/", "https://GitHub.com/o/r.git",
        "https://github.com:443/o/r", "https://user:secret@github.com/o/r.git", "git@github.com:o/r.git",
        "github.com:o/r", "git@github.com:/o/r.git", "ssh://git@github.com/o/r.git", "ssh://git@github.com:22/o/r",
        "git+ssh://git@github.com/o/r",
    ],
)  # fmt: skip
def test_all_spellings_of_a_repository_are_one(text: str) -> None:
    assert str(parse_url(text)) == "https://github.com/o/r"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://127.0.0.1:8080/a/b.git", "http://127.0.0.1:8080/a/b"),
        ("https://git.example.com:8443/x", "https://git.example.com:8443/x"),
        ("/srv/git/r.git", "/srv/git/r.git"),
        ("file:///srv//git/./r.git", "/srv/git/r.git"),
        ("https://github.com/*", "https://github.com/*"),
        ("git@github.com:o/*", "https://github.com/o/*"),
        ("https://[::1]:8080/r", "https://[::1]:8080/r"),
    ],
)
def test_what_is_different_stays_different(text: str, normal: str) -> None:
    assert str(parse_url(text)) == normal


@pytest.mark.parametrize(
    "text",
    [
        "", "origin", "../x", "https://", "https://github.com", "https://github.com/", "https://github.com/o/../r",
        "https://github.com/o/%2e%2e/r", "https://github.com/o//r", "https://github.com\\@evil.example/r",
        "https://evil.example#@github.com/r", "https://github.com/o/r?x=y", "https://github.com/o/r#x",
        "ext::sh -c x", "git::https://github.com/o/r", "git://github.com/o/r", "ftp://github.com/o/r",
        "https://a@b@github.com/o/r", "https://github.com/o/r\n", "file://host/x", "file:///a/../b",
        "https://github.com /o/r", "-oProxyCommand=x:y",
    ],
)  # fmt: skip
def test_what_cannot_be_read_for_certain_is_no_repository(text: str) -> None:
    assert parse_url(text) is None


def test_credentials_are_bound_to_the_name_of_the_host() -> None:
    url = parse_url("https://git.example.com:8443/x")
    assert url is not None
    assert host_name(url) == "git.example.com"
