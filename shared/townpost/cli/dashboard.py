"""`townpost dashboard`: the live page, out of the wheel or out of the folder beside the library."""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

from townpost.errors import TownpostError

__all__ = ["configure", "run"]

_PACKAGE = "townpost_dashboard"
_CHECKOUT = Path(__file__).resolve().parents[3] / "dashboard"
_EXTRA = ("fastapi", "starlette", "uvicorn")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve the live page of what flows through Redis, until SIGTERM or SIGINT."
    parser.add_argument(
        "action", nargs="?", choices=["health"], help="0 if the dashboard that writes HEALTH_FILE is well"
    )


def run(given: argparse.Namespace) -> int:
    main = cast("Callable[[list[str]], int]", _main_module().main)
    try:
        return main([given.action] if given.action else [])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise TownpostError(
            f"the dashboard needs {error.name}, which is not installed: pip install 'townpost[dashboard]'"
        ) from None


def _main_module() -> ModuleType:
    if importlib.util.find_spec(_PACKAGE) is None:
        _load(_CHECKOUT)
    return importlib.import_module(f"{_PACKAGE}.__main__")


def _load(folder: Path) -> None:
    """Import the folder under the name it has in the wheel: a user's own `dashboard` is another package.

    Raises:
        TownpostError: it is not there.
    """
    start = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(_PACKAGE, start, submodule_search_locations=[str(folder)])
    if not start.is_file() or spec is None or spec.loader is None:
        raise TownpostError("the dashboard is not installed: pip install 'townpost[dashboard]'")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
