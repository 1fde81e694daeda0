"""What a handler is registered with, checked before anything runs: a mistake is named as it stands in the code."""

import math
from collections.abc import Mapping

from townpost.errors import SettingError
from townpost.patterns import PATTERNS
from townpost.patterns.contract import Guarantees
from townpost.text import printable

__all__ = ["check_options"]


def check_options(options: Mapping[str, object]) -> None:
    """Those of `App.handler`; None is what was left out.

    Raises:
        SettingError: a value of the wrong kind, or an option that the pattern cannot do anything with.
    """
    name, pattern = options["name"], options["pattern"]
    if not isinstance(name, str) or not name:
        raise SettingError(f"{name!r} names no queue, stream or channel: a handler has a name, as in 'orders'")
    if pattern not in PATTERNS:
        raise SettingError(f"pattern={pattern!r} is none: choose from {', '.join(PATTERNS)}")
    where = printable(f"the handlers of {name!r}")
    for option in ("concurrency", "attempts"):
        if options[option] is not None and not _is_whole(options[option]):
            raise SettingError(f"{where}: {option}={options[option]!r} is no whole number")
    for option in ("timeout", "once"):
        if options[option] is not None and not _is_number(options[option]):
            raise SettingError(f"{where}: {option}={options[option]!r} is no number of seconds")
    backoff = options["backoff"]
    pauses = backoff if isinstance(backoff, list | tuple) else [backoff]
    if backoff is not None and not all(map(_is_number, pauses)):
        raise SettingError(f"{where}: backoff={backoff!r} is neither a number of seconds nor a list of them")
    for option in ("type", "group"):
        if options[option] is not None and not isinstance(options[option], str):
            raise SettingError(printable(f"{where}: {option}={options[option]!r} is no text"))
    _check_pattern(where, str(pattern), options)


def _check_pattern(where: str, pattern: str, options: Mapping[str, object]) -> None:
    guarantees = PATTERNS[pattern].guarantees
    why: dict[str, str] = {}
    if not guarantees.redelivers:
        why |= dict.fromkeys(("attempts", "backoff"), f"{pattern} hands out each message once, whatever becomes of it")
    if not guarantees.groups:
        why["group"] = f"{pattern} has no groups"
    if not guarantees.remembers:
        why["once"] = f"{pattern} does not remember ids"
    for option, reason in why.items():
        if options[option] is not None:
            choices = [name for name, one in PATTERNS.items() if _takes(one.guarantees, option)]
            raise SettingError(f"{where}: {option}= has no effect, since {reason}: choose {' or '.join(choices)}")


def _takes(guarantees: Guarantees, option: str) -> bool:
    if option == "once":
        return guarantees.remembers
    return guarantees.groups if option == "group" else guarantees.redelivers


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
