"""Where the log says that messages are dead, it names the command that shows them."""

import shlex
import shutil

from townpost.text import printable

__all__ = ["command_to_list"]


def command_to_list(pattern: str, name: str) -> str:
    """What an operator types to see the dead letters of this queue or stream."""
    program = "townpost" if shutil.which("townpost") else "python -m townpost"
    of_pattern = "" if pattern == "reliable" else f" --pattern {pattern}"
    return f"{program} dead list{of_pattern} --of {shlex.quote(printable(name))}"
