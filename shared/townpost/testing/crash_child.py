"""The process that `crash_between_effect_and_ack` kills, and the one that comes after it.

Both run the user's app and watch its acknowledgements where they are about to be sent. What they see goes to the parent
as JSON lines: {"settled": null} for a message that was handled, {"settled": "why"} for one that failed, {"idle": true},
{"problem": "why"}. The first process then holds the acknowledgement back, until it is killed.
"""

import asyncio
import contextlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock
from uuid import UUID

from townpost.consuming.app import App
from townpost.consuming.subscriptions import Subscription
from townpost.errors import UnreadableError
from townpost.message import read
from townpost.patterns.ack_pipeline import AckPipeline
from townpost.patterns.leased import LeasedBatch, Part
from townpost.redis.connection import Command
from townpost.testing.choosing import app_of, choose
from townpost.testing.running import run_until_idle
from townpost.verdicts import describe

__all__ = ["load", "main"]


def load(name: str, queue: str | None, pattern: str) -> App:
    """The app of that name, or one with the handler of that name.

    Raises:
        ValueError: there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name!r} cannot be imported: {error}; write it as package.module:attribute") from None
    return app_of(found, queue, pattern)


def main() -> None:
    task = json.loads(sys.argv[1])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(task["report"], "w") as pipe:

        def report(**event: object) -> None:
            pipe.write(json.dumps(event) + "\n")
            pipe.flush()

        try:
            app = load(task["target"], task["queue"], task["pattern"])
            place = (task["queue"], task["pattern"], task["group"])
            watched = _watched(UUID(task["id"]), report, hold=task["hold"])
            with app.overridden(lease_seconds=task["lease"]), _one_group(app, *place), watched:
                asyncio.run(run_until_idle(app, task["url"], within=task["within"], timeout=task["timeout"]))
            report(idle=True)
        except Exception as error:  # noqa: BLE001 - the parent raises it
            report(problem=describe(error))


@contextlib.contextmanager
def _one_group(app: App, queue: str | None, pattern: str, group: str | None) -> Iterator[None]:
    """Other groups that read the same stream stay away: the message is theirs as well."""
    registered = app.subscriptions

    def subscriptions() -> list[Subscription]:
        found = registered()
        chosen = choose(found, queue, pattern, group)
        place = (chosen.pattern, chosen.name)
        return [one for one in found if one is chosen or (one.pattern, one.name) != place]

    with mock.patch.object(app, "subscriptions", subscriptions):
        yield


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


@contextlib.contextmanager
def _watched(message_id: UUID, report: Callable[..., None], *, hold: bool) -> Iterator[None]:
    """Every settlement passes through `AckPipeline.ask`, in whatever thread, before it is sent."""
    ask = AckPipeline.ask
    seen: list[object] = []

    def watched(pipeline: AckPipeline[Any], commands: Sequence[Command], block: float = 0.0) -> None:
        for one in pipeline.unconfirmed:
            fate = _fate(one, message_id)
            if fate is not None and not any(one is other for other in seen):
                seen.append(one)
                report(settled=fate or None)
                if hold:
                    threading.Event().wait()
        ask(pipeline, commands, block)

    with mock.patch.object(AckPipeline, "ask", watched):
        yield


def _fate(settled: LeasedBatch | Part, message_id: UUID) -> str | None:
    """Of this message: empty if it was handled, else why it failed; None if it is not among what is settled."""
    batch = settled.batch if isinstance(settled, Part) else settled
    answered = {**dict.fromkeys(settled.acked), **dict(settled.failed)} if isinstance(settled, Part) else _whole(batch)
    for index, error in answered.items():
        with contextlib.suppress(UnreadableError):
            if index not in batch.closed and read(batch.payloads[index]).id == message_id:
                return "" if error is None else describe(error)
    return None


def _whole(batch: LeasedBatch) -> dict[int, Exception | None]:
    left = {*batch.open, *batch.gone}
    handled = [index for index in range(len(batch)) if index not in left]
    return {**dict.fromkeys(handled), **dict(batch.failed)}


if __name__ == "__main__":
    main()
