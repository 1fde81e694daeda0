"""How much the long tests do: enough for each change, or with THOROUGH=1 as much as the documents quote."""

import os
from typing import TypeVar

__all__ = ["thorough"]

T = TypeVar("T")


def thorough(much: T, enough: T) -> T:
    """The first with THOROUGH=1."""
    return much if os.environ.get("THOROUGH") == "1" else enough
