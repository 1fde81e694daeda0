"""How a command ends: with one line where it cannot do its work, and without one where its reader has seen enough."""

import os
import sys
from collections.abc import Callable

from townpost.errors import SettingError, TownpostError
from townpost.text import printable

__all__ = ["exit_status"]

_INTERRUPTED = 130
"""As a shell has it for Ctrl-C."""


def exit_status(name: str, command: Callable[[], int]) -> int:
    """What the command returns; 2 for a setting that cannot be used, 1 for any other error of ours.

    The line on standard error begins with the name.
    """
    try:
        try:
            return command()
        finally:  # argparse ends with SystemExit once it has printed its help
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # its reader has seen enough, as `head` does; at exit Python would write once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except TownpostError as error:
        sys.stderr.write(f"{name}: {printable(str(error))}\n")
        return 2 if isinstance(error, SettingError) else 1
