"""Reads from Redis for all pages together: once a second while a page is open or the API is used, else every three."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from townpost import PATTERNS, Connection, Counts, Settings, TownpostError, endpoint

from .collector import Collected, Collector
from .doctor import Config, examine
from .feed import Feed
from .instances import Instances
from .losses import Losses
from .paths import Path, own_path
from .presenters import Counted, difference, instance_status, path_status, redis_status
from .replies import pairs
from .reports import number_of
from .schemas.live import History, RedisStatus, Seen, Snapshot
from .sums import Sums

__all__ = ["NOTHING_YET", "Poller"]

_TURN_SECONDS = 1.0
_SLOW_SECONDS = 3.0
"""Shorter than a report lives, so that what an instance counted is known when it goes."""
_LOOKED_AT_SECONDS = 10.0
_CONFIG_SECONDS = 5.0
_CONFIG = (
    *("maxmemory-policy", "maxmemory", "appendonly", "appendfsync"),
    *("client-output-buffer-limit", "stop-writes-on-bgsave-error"),
)
_HISTORY = 300
_AWAY = RedisStatus(
    up=False,
    problem="not asked yet",
    since=None,
    round_trip_ms=None,
    version="",
    role="",
    uptime=None,
    used_memory=None,
    max_memory=None,
    clients=None,
    commands_rate=None,
)
NOTHING_YET = Snapshot(
    number=0,
    at=0.0,
    redis=_AWAY,
    patterns=[],
    difference=None,
    instances=[],
    findings=[],
    unreadable_reports=0,
    pages=0,
)
_MOST_PLACES = 40
"""A bound, as any client can write a report: our own settings come first, then running instances."""
_CHARTED = ("sent_rate", "received_rate", "handled_rate", "failed_rate", "depth", "dead_letters")


class Poller:
    """Implements `townpost.heartbeat.Loop`."""

    name = "poller"

    def __init__(
        self, settings: Settings, stop: threading.Event, tell: Callable[[Snapshot, Sequence[Seen]], int]
    ) -> None:
        """Nothing is read before `run`.

        Args:
            settings: name Redis and the keys.
            stop: ends it.
            tell: gets each snapshot and what is new in the feed; returns how many pages are open.
        """
        self.turned = time.monotonic()
        self.counts: Mapping[str, Counts] = {}
        self.feed = Feed()
        self.snapshot = NOTHING_YET
        self._settings = settings
        self._stop = stop
        self._tell = tell
        self._connection = Connection(settings.url, name="townpost-dashboard")
        self._collector = Collector(settings)
        self._instances = Instances()
        self.losses = Losses()
        self._sums = Sums()
        self.paths: tuple[Path, ...] = ()
        """That are shown; replaced, never changed: other threads read it."""
        self._warned = False
        self._history: deque[tuple[float, dict[str, dict[str, float | None]]]] = deque(maxlen=_HISTORY)
        self._config: Config = {}
        self._config_at = -_CONFIG_SECONDS
        self._since: float | None = None
        self._commands: tuple[float, int] | None = None
        self._pages = 0
        self._looked_at = 0.0
        self._wake = threading.Event()
        self._dead: deque[tuple[float, dict[str, int]]] = deque(maxlen=60)
        self._log = logging.getLogger("townpost.dashboard")

    @property
    def abandonable(self) -> bool:
        return True  # it only reads

    def look(self) -> None:
        """A request wants a fresh snapshot: from any thread."""
        if time.monotonic() - self._looked_at > _TURN_SECONDS:
            self._wake.set()
        self._looked_at = time.monotonic()

    def run(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            self.turn()
            self.turned = time.monotonic()
            watched = self._pages or self.turned - self._looked_at < _LOOKED_AT_SECONDS
            pause = _TURN_SECONDS if watched else _SLOW_SECONDS
            if not watched:
                self._wake.clear()
            self._pause(started + pause - self.turned, started)
        self.close()

    def close(self) -> None:
        self._connection.close()

    def interrupt(self, control: Connection) -> None:  # noqa: ARG002 - a wait of ours needs no help from Redis
        self._wake.set()

    def totals(self) -> list[str]:
        return []

    def idle_seconds(self) -> float:
        """Seconds since the last turn ended."""
        return time.monotonic() - self.turned

    def history(self) -> History:
        kept = list(self._history)
        ids = sorted({one for _, paths in kept for one in paths})
        lines: dict[str, dict[str, list[float | None]]] = {
            one: {key: [paths.get(one, {}).get(key) for _, paths in kept] for key in (*_CHARTED, "p50_ms", "p99_ms")}
            for one in ids
        }
        return History(at=[at for at, _ in kept], paths=lines)

    def _pause(self, seconds: float, started: float) -> None:
        """Until the next turn; a request wakes it earlier, though never twice in a second."""
        deadline = time.monotonic() + max(0.0, seconds)
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._wake.wait(min(left, _TURN_SECONDS / 4)):
                self._wake.clear()
                deadline = min(deadline, started + _TURN_SECONDS)

    def turn(self) -> None:
        """Look once, and tell."""
        try:
            if not self._connection.connected:
                self._instances.disturbed()
                self._connection.connect()
            collected = self._collector.collect(self._connection, self._places(), self._instances.connections)
            self._read_config()
        except TownpostError as error:
            self._connection.close()
            self._away(str(error))
            return
        if not self.snapshot.redis.up:
            self._since = collected.now
            if self.snapshot.number:
                self._log.info("Redis answers at %s", endpoint(self._settings.url))
        self._instances.update(collected)
        self._publish(collected)

    def _places(self) -> list[Path]:
        """In the order of the patterns."""
        own = [own_path(self._settings, pattern.name).place for pattern in self._settings.patterns]
        used = list(dict.fromkeys([*own, *self._instances.places]))[:_MOST_PLACES]
        order = list(PATTERNS)
        return sorted(used, key=lambda place: order.index(place.pattern))

    def _read_config(self) -> None:
        if time.monotonic() - self._config_at >= _CONFIG_SECONDS:
            self._config_at = time.monotonic()
            (reply,) = self._connection.pipeline([("CONFIG", "GET", *_CONFIG)])
            self._config = {name.decode(): value.decode(errors="replace") for name, value in pairs(reply)}

    def _publish(self, collected: Collected) -> None:
        now = collected.now
        instances = self._instances
        path_statuses = {
            path: path_status(path, collected, instances, self._counted(path, collected)) for path in collected.depths
        }
        self.paths = tuple(path_statuses)
        self._sums.forget(instances)
        self._warn_of(collected.unreadable)
        instance_statuses = [instance_status(instance, now, collected.depths) for instance in instances]
        self._dead.append((now, {status.id: status.dead_letters or 0 for status in path_statuses.values()}))
        redis = redis_status(collected, since=self._since, rate=self._commands_rate(collected))
        self._send(
            Snapshot(
                number=self.snapshot.number + 1,
                at=now,
                redis=redis,
                patterns=list(path_statuses.values()),
                difference=difference(path_statuses, instances),
                instances=instance_statuses,
                findings=examine(
                    collected, self._config, list(path_statuses.values()), instance_statuses, self._dead[0][1]
                ),
                unreadable_reports=collected.unreadable,
                pages=self._pages,
            ),
            self.feed.take(instances),
        )
        self._history.append((now, {status.id: _charted(status.model_dump()) for status in path_statuses.values()}))

    def _counted(self, path: Path, collected: Collected) -> Counted:
        now, instances = collected.now, self._instances
        if PATTERNS[path.pattern].guarantees.fan_out:
            lost, certain = self._sums.missed(path, now, instances)
        else:
            lost, certain = self.losses.of(path, now, collected.depths[path], instances)
        return Counted(
            self._sums.of(path, now, instances), self._sums.rising(path, now, instances), lost=lost, certain=certain
        )

    def _warn_of(self, unreadable: int) -> None:
        """Once, until all can be read again."""
        if unreadable and not self._warned:
            self._log.warning("%d reports of instances on Redis cannot be read, and are passed over", unreadable)
        self._warned = unreadable > 0

    def _away(self, problem: str) -> None:
        before = self.snapshot
        if before.redis.up or not before.number:
            self._since = time.time()
            self._log.warning("%s", problem)
        redis = _AWAY.model_copy(update={"problem": problem, "since": self._since})
        self._commands = None
        self._send(
            before.model_copy(
                update={"number": before.number + 1, "at": time.time(), "redis": redis, "pages": self._pages}
            ),
            [],
        )

    def _send(self, snapshot: Snapshot, lines: Sequence[Seen]) -> None:
        self.snapshot = snapshot
        self._pages = self._tell(snapshot, lines)

    def _commands_rate(self, collected: Collected) -> float | None:
        done = collected.info.get("total_commands_processed", "")
        before, self._commands = self._commands, (collected.now, number_of(done)) if done.isdecimal() else None
        if before is None or self._commands is None or collected.now <= before[0]:
            return None
        return max(0.0, (self._commands[1] - before[1]) / (collected.now - before[0]))


def _charted(status: Mapping[str, object]) -> dict[str, float | None]:
    values = {key: status[key] for key in _CHARTED}
    latency = status["latency"]
    if isinstance(latency, dict):
        values |= latency
    return {key: value if isinstance(value, int | float) else None for key, value in values.items()}
