"""Every annotation can be looked up at run time: no import that only type checkers see hides a circle."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace

import pytest

PACKAGES = ("dashboard", "publisher", "subscriber", "tasks", "townpost")
KNOTS = {"townpost.cli.publish.progress"}
"""Modules that still import for type checkers alone. This list is to become empty; nothing is added to it."""


def modules(package: str) -> Iterator[str]:
    yield package
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not found.name.endswith("__main__") and ".migrations" not in found.name:
            yield found.name


def annotated(module: ModuleType) -> Iterator[type | Callable[..., object]]:
    """The classes and functions of a module, and the methods of its classes."""
    for value in list(vars(module).values()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield value
            for member in vars(value).values():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    yield function
        elif inspect.isfunction(value):
            yield value


def hidden(name: str) -> set[str]:
    """What of a module has annotations that cannot be looked up."""
    found = set()
    module = importlib.import_module(name)
    for one in annotated(module):
        own = SimpleNamespace(__annotations__=vars(one).get("__annotations__", {})) if inspect.isclass(one) else one
        try:
            typing.get_type_hints(own, globalns=vars(module))
        except NameError as error:
            found.add(f"{name}.{one.__qualname__}: {error}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_every_annotation_can_be_looked_up(package: str) -> None:
    found = {problem for name in modules(package) if name not in KNOTS for problem in hidden(name)}

    assert found == set()


@pytest.mark.parametrize("name", sorted(KNOTS))
def test_the_list_of_knots_names_no_module_without_one(name: str) -> None:
    assert hidden(name)
