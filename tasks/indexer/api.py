"""What the indexer asks the API: what has changed since."""

from collections.abc import Sequence
from typing import Annotated

import httpx
from pydantic import BaseModel, Field, ValidationError

from tasks.task import Change
from townpost import TownpostError, printable

__all__ = ["Api", "ApiAwayError", "Page"]

_PAGE = 500
_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
_OK = 200


class ApiAwayError(TownpostError):
    """It did not answer, or not as the API does."""


class Page(BaseModel):
    """As `GET /tasks/changes` answers it."""

    changes: Sequence[Change]
    next: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]


class Api:
    """For one thread."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # a proxy of the environment is for the world outside, not for a neighbour
        self._client = httpx.Client(timeout=_TIMEOUT, trust_env=False)

    def changes(self, after: int, limit: int = _PAGE) -> Page:
        """The latest state of each task that has changed since, in order; up to `next` nothing is missing.

        Raises:
            ApiAwayError
        """
        where = f"the API at {self._url} (API_URL)"
        try:
            reply = self._client.get(f"{self._url}/tasks/changes", params={"after": after, "limit": limit})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiAwayError(f"{where} does not answer: {_reason(error)}") from error
        if reply.status_code != _OK:
            raise ApiAwayError(f"{where} answered {reply.status_code}")
        try:
            return Page.model_validate_json(reply.content)
        except ValidationError as error:
            raise ApiAwayError(f"{where} answered with something else than changes") from error

    def close(self) -> None:
        self._client.close()


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:  # httpx wraps what the system said
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return "too late" if isinstance(error, httpx.TimeoutException) else printable(str(error)) or type(error).__name__
