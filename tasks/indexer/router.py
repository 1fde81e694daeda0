"""From a delivery to the event it carries: by its channel, where each kind of event has one of its own."""

from tasks.events import KINDS, Event, event_in
from townpost import Delivery, UnreadableError, printable

__all__ = ["Router"]


class Router:
    """Knows the channels of one prefix."""

    def __init__(self, prefix: str) -> None:
        self._kinds = {f"{prefix}.event.{kind}": kind for kind in KINDS}

    def event(self, delivery: Delivery) -> Event:
        """Raises UnreadableError: it carries none, or another one than its channel is for."""
        if delivery.message is None:
            raise delivery.problem or UnreadableError("no message")
        channel = delivery.channel
        if channel is not None and channel not in self._kinds:
            raise UnreadableError(f"no kind of event has the channel '{printable(channel)}'")
        event = event_in(delivery.message)
        if channel is not None and event.event != self._kinds[channel]:
            raise UnreadableError(f"'{event.event}' on the channel '{printable(channel)}'")
        return event
