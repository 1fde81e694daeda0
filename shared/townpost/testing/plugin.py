"""The plugin that pytest loads where Townpost is installed: the fixture `townpost_server`."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from townpost.testing.server import TownpostServer

__all__ = ["townpost_embedded_url", "townpost_server"]


@pytest.fixture(scope="session")
def townpost_embedded_url() -> Iterator[str]:
    """Of a real server that ends with the run of the tests; one for each worker of pytest-xdist.

    Without a server program the test fails. If it were skipped, a pipeline that has lost the program would stay green
    while nothing is tested.
    """
    from townpost.testing.embedded import EmbeddedServer, NoServerError  # noqa: PLC0415 - most runs do not need it

    embedded = EmbeddedServer()
    try:
        embedded.start()
    except NoServerError as error:
        pytest.fail(str(error), pytrace=False)
    with contextlib.closing(embedded):
        yield embedded.url


@pytest.fixture
def townpost_server(townpost_embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> "Iterator[TownpostServer]":
    """The embedded server, empty, with REDIS_URL set to it: apps and publishers made without settings use it."""
    from townpost.testing.server import TownpostServer  # noqa: PLC0415 - as above

    server = TownpostServer(townpost_embedded_url)
    server.clear()
    monkeypatch.setenv("REDIS_URL", server.url)
    yield server
    server.clear()
