"""From the arguments to messages that are sent."""

import argparse
import threading
from collections.abc import Iterable

from townpost import logs
from townpost.cli.publish.progress import Progress
from townpost.cli.publish.receipts import Receipts
from townpost.cli.publish.sending import BATCH, Sending
from townpost.cli.publish.sources import Lines, Numbering, first, texts
from townpost.errors import SettingError
from townpost.message import Message
from townpost.patterns import choose
from townpost.patterns.contract import Due
from townpost.service import Service
from townpost.settings import Settings

__all__ = ["publish"]

_GREETING = "Hello from Python #N"


def publish(given: argparse.Namespace) -> int:
    """Send what the arguments say; the exit status: 1 when Redis or a line of the file refused.

    A stop by a signal is no failure: 0, with the number of those that were sent.

    Raises:
        SettingError: an argument or a setting cannot be used; nothing was sent.
    """
    settings = _settings(given)
    logs.set_up(settings)
    stop = threading.Event()
    numbering = Numbering(settings.sender, given.priority, type_=given.type, key=given.key)
    count = given.count or (1 if given.text is not None else None)
    size = BATCH if settings.publish_interval == 0 else 1
    lines: Lines | None = None
    source: Iterable[list[Message]]
    if given.file is not None:
        lines = Lines(given.file, numbering, stop, settings.max_message_bytes)
        source = lines if count is None else first(lines, count)
    else:
        source = texts(numbering, given.text or _GREETING, count, size)
    line_each = settings.publish_interval > 0 or count == 1
    progress = None if line_each else Progress(count)
    due = None if given.delay is None and given.at is None else Due(given.delay, given.at)
    if due is not None and not all(pattern.guarantees.schedules for pattern in settings.patterns):
        raise SettingError(f"PATTERN={settings.pattern} cannot delay a message: use --pattern reliable")
    receipts = Receipts(given.receipts) if given.receipts is not None else None
    endless = count is None and given.file is None
    sending = Sending(source, settings, stop, progress, due=due, endless=endless, receipts=receipts)
    if lines is not None:
        lines.tick = sending.tick
    status = Service("publisher", settings, [sending], stop).run()
    return 1 if lines is not None and lines.unreadable else status


def _settings(given: argparse.Namespace) -> Settings:
    at_once = given.interval is None and (given.text is not None or given.file is not None)
    chosen: dict[str, object] = {"pattern": given.pattern, "publish_interval": 0 if at_once else given.interval}
    settings = Settings.read(**chosen)
    if given.to is None:
        return settings
    if "pattern" not in settings.model_fields_set:
        chosen["pattern"] = "reliable"  # as for a handler of this name
    patterns = choose(str(chosen["pattern"] or settings.pattern))
    keyed = [pattern.name for pattern in patterns if pattern.guarantees.durable]
    if len(keyed) > 1:
        raise SettingError(
            f"--to {given.to} is one key, and {' and '.join(keyed)} need one each: choose one with --pattern"
        )
    return Settings.read(**chosen, **{pattern.setting.lower(): given.to for pattern in patterns})
