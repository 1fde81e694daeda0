"""Where the log says that messages are dead, it names the command that shows them."""

import functools
import shlex
import shutil

from townpost.text import printable

__all__ = ["command_to_list"]


def command_to_list(pattern: str, name: str) -> str:
    """What an operator types to see the dead letters of this queue or stream."""
    of_pattern = "" if pattern == "reliable" else f" --pattern {pattern}"
    return f"{_program()} dead list{of_pattern} --of {shlex.quote(printable(name))}"


@functools.cache
def _program() -> str:
    """Looked up once: the line may come with every batch."""
    return "townpost" if shutil.which("townpost") else "python -m townpost"
