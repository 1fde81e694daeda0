"""Distinguishes the errors of a user's lifespan from all other errors around it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, TypeVar

from townpost.errors import SettingError

__all__ = ["Lifespan"]


A = TypeVar("A")


class Lifespan(Generic[A]):
    """Enters and leaves the lifespan. Its errors pass unchanged, and are remembered."""

    def __init__(self, app: A, function: Callable[[A], AbstractAsyncContextManager[object]]) -> None:
        self._app = app
        self._function = function
        self._context: AbstractAsyncContextManager[object] | None = None
        self.error: BaseException | None = None

    async def __aenter__(self) -> None:
        try:
            self._context = self._made()
            await self._context.__aenter__()
        except Exception as error:
            self.error = error
            raise

    def _made(self) -> AbstractAsyncContextManager[object]:
        context = self._function(self._app)
        if not hasattr(context, "__aenter__"):
            name = getattr(self._function, "__name__", repr(self._function))
            raise SettingError(
                f"the lifespan {name} is no async context manager: decorate it with contextlib.asynccontextmanager"
            )
        return context

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._context is not None  # noqa: S101 - it was entered
        try:
            return await self._context.__aexit__(kind, error, trace)
        except Exception as raised:
            if raised is not error:
                self.error = raised
            raise
