"""For tests of services that are written with Townpost; `townpost.testing.plugin` has the pytest fixture.

Each name is imported when it is first used: pytest loads the plugin into every run, also of projects that do not test
with it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townpost.testing.choosing import UndeliverableError
    from townpost.testing.crashing import Crash, crash_between_effect_and_ack
    from townpost.testing.delivering import adeliver, deliver
    from townpost.testing.embedded import NoServerError
    from townpost.testing.listings import DeadLetter, Scheduled
    from townpost.testing.outcome import Outcome
    from townpost.testing.server import TownpostServer

__all__ = [
    "Crash",
    "DeadLetter",
    "NoServerError",
    "Outcome",
    "Scheduled",
    "TownpostServer",
    "UndeliverableError",
    "adeliver",
    "crash_between_effect_and_ack",
    "deliver",
]

_PLACES = {
    "Crash": "crashing",
    "DeadLetter": "listings",
    "NoServerError": "embedded",
    "Outcome": "outcome",
    "Scheduled": "listings",
    "TownpostServer": "server",
    "UndeliverableError": "choosing",
    "adeliver": "delivering",
    "crash_between_effect_and_ack": "crashing",
    "deliver": "delivering",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
