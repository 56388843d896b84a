"""One site for all attacks of a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.escape.site import Site, site


@pytest.fixture(scope="session")
def running_site() -> Iterator[Site]:
    """A site for all tests; after them the token is still nowhere."""
    with site() as here:
        yield here
        assert here.token_found_in() == []


@pytest.fixture
def place(running_site: Site) -> Site:
    """The site, as if nothing had happened yet."""
    running_site.reset()
    return running_site
