"""Finds the app that `module:app` names; what goes wrong is one line that says where."""

import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from townpost.errors import SettingError
from townpost.text import told

__all__ = ["App", "LoadError", "load", "split"]

_OTHERS = [
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
    Path(__file__).parents[1],
]


class App(Protocol):
    """What `townpost run` asks of an app."""

    def run(self) -> int: ...


class LoadError(SettingError):
    """No app can be had by this name."""

    def __init__(self, text: str, files: frozenset[str] = frozenset()) -> None:
        super().__init__(text)
        self.files = files
        """Where the fault may be mended."""


def load(name: str) -> App:
    """Import it, with the current directory first on the path.

    Raises:
        LoadError: the module cannot be imported, or has no such app.
        SettingError: the module asked for settings that cannot be used.
    """
    module_name, attribute = split(name)
    folder = str(Path.cwd())
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except SettingError:
        raise
    except (Exception, SystemExit) as error:
        raise _failure(module_name, error) from error
    files = frozenset([module.__file__] if module.__file__ else [])
    try:
        app = getattr(module, attribute)
    except AttributeError:
        raise LoadError(f"{module_name} has no '{attribute}'{_near(module, attribute)}", files) from None
    if isinstance(app, type) or not callable(getattr(app, "run", None)):
        what = f"the class {app.__name__}" if isinstance(app, type) else f"a {type(app).__name__}"
        raise LoadError(f"{name} is {what}, not an App: make one with app = App() and name that", files)
    return cast("App", app)


def split(name: str) -> tuple[str, str]:
    """The module, and the attribute in it.

    Raises:
        LoadError
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise LoadError(f"'{name}' names no app: write it as package.module:app")
    return module_name, attribute


def _near(module: object, wanted: str) -> str:
    apps = [name for name, value in vars(module).items() if not isinstance(value, type) and hasattr(value, "run")]
    found = [name for name in apps if not name.startswith("_") and name != wanted]
    return f"; did you mean {', '.join(found)}?" if found else ""


def _failure(module_name: str, error: BaseException) -> LoadError:
    places = list(_places(error))
    where = f" ({places[-1][0]}:{places[-1][1]})" if places else ""
    text = error.msg if isinstance(error, SyntaxError) else told(error)
    expected = Path.cwd().joinpath(*module_name.split("."))
    files = [*(file for file, _ in places), f"{expected}.py", str(expected / "__init__.py")]
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return LoadError(f"{module_name} cannot be imported: {reason}{where}", frozenset(files))


def _places(error: BaseException) -> Iterator[tuple[str, int]]:
    """File and line of the user's code on the way to the error, the nearest to it last."""
    for frame in traceback.extract_tb(error.__traceback__):
        if _is_users(frame.filename):
            yield _short(frame.filename), frame.lineno or 0
    if isinstance(error, SyntaxError) and error.filename:
        yield _short(error.filename), error.lineno or 0


def _is_users(file: str) -> bool:
    """Neither of Python nor of what is installed, and not ours."""
    return not file.startswith("<") and not any(Path(file).is_relative_to(folder) for folder in _OTHERS)


def _short(file: str) -> str:
    return os.path.relpath(file) if Path(file).is_relative_to(Path.cwd()) else file
