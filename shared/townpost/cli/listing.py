"""Prints what was found in Redis: as a table for a person, or a JSON object a line for a program."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from townpost.errors import TownpostError
from townpost.text import printable

__all__ = ["SHOWN", "moment", "print_json", "table", "warn_of_skipped"]

SHOWN = 1_000
"""At most so many rows: a queue may have millions."""
_WHOLE_COLUMNS = 2
_WIDE = 160
"""Where the output is no terminal, which would say how wide it is."""


def moment(at: datetime) -> str:
    return at.isoformat(" ", "seconds")[:19]


def print_json(value: Mapping[str, object], indent: int | None = None) -> None:
    # ASCII, and of its control characters JSON leaves one as it is
    print(json.dumps(value, indent=indent).replace("\x7f", "\\u007f"))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Print the rows, or the text for none.

    Raises:
        TownpostError: rich is not installed.
    """
    if not rows:
        print(nothing)
        return
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:
        raise TownpostError(
            "a table needs rich, which is not installed: pip install 'townpost[cli]', or use --json"
        ) from None

    table = Table()
    widest = max(len(row[0]) for row in rows)
    for number, title in enumerate(titles):
        # the first column is what one copies into the next command
        table.add_column(title, no_wrap=number < _WHOLE_COLUMNS, min_width=None if number else widest)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as text: a message must not be markup
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if narrow else _WIDE).print(table)


def warn_of_skipped(caller: str, count: int, key: str, what: str) -> None:
    """Say on standard error how many members of the key are not ours."""
    if count:
        members = f"{count:,} member{'s' * (count != 1)} of {printable(key)}"
        sys.stderr.write(f"{caller}: skipped {members}: not {what} of this queue\n")
