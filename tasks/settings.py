"""The settings of the tasks application, on top of those that every service has."""

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from tasks.events import kind_of
from tasks.task import LARGEST_EVENT_BYTES
from townpost import PATTERNS, Message, Pattern, Settings, choose_patterns

__all__ = ["TasksSettings"]

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def _first(words: str) -> str:
    return choose_patterns(words)[0].name


def _database(url: str) -> str:
    if url.startswith(_SQLITE) and url != _SQLITE:
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _POSTGRES and bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("write it as sqlite:///path/to/file.db or postgresql://user:password@host:5432/database")
    return url


def _index(url: str) -> str:
    if url.startswith(_SQLITE) and url != _SQLITE:
        return url
    return _web(url, "write it as sqlite:///path/to/file.db, or as http://user:password@host:9200 for Elasticsearch")


def _web(url: str, how: str = "write it as http://host:port") -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(how)
    return url


class TasksSettings(Settings):
    """Channel, list and stream are named after TASKS_PREFIX: they are not those of publisher and subscriber."""

    pattern: Annotated[str, AfterValidator(_first)] = "pubsub"
    """Of several the first: the application needs one. `both`, the default elsewhere, is `pubsub` here."""
    max_message_bytes: Annotated[int, Field(ge=LARGEST_EVENT_BYTES, le=512 * 1024 * 1024)] = LARGEST_EVENT_BYTES

    tasks_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")] = "tasks"
    database_url: Annotated[str, AfterValidator(_database)] = "sqlite:///tasks.db"
    index_url: Annotated[str, AfterValidator(_index)] = "sqlite:///tasks-index.db"
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8320
    api_url: Annotated[str, AfterValidator(_web)] = "http://127.0.0.1:8320"
    check_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    otel_exporter_otlp_endpoint: Annotated[str, AfterValidator(_web)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _named_after_the_prefix(cls, values: dict[str, Any]) -> dict[str, Any]:
        prefix = values.get("tasks_prefix", "tasks")
        return values | {
            "channel": f"{prefix}.*",
            "queue": f"{prefix}_queue",
            "reliable_queue": f"{prefix}_reliable_queue",
            "stream": f"{prefix}_stream",
        }

    @property
    def route(self) -> Callable[[Message], str]:
        """Each kind of event has its own channel."""
        prefix = f"{self.tasks_prefix}.event."
        return lambda message: prefix + kind_of(message)

    def naming(self, pattern: Pattern) -> str:
        return f"TASKS_PREFIX={self.tasks_prefix}: '{self.name_of(pattern)}'"

    @property
    def via(self) -> str:
        """The way of the events, for the log."""
        pattern = PATTERNS[self.pattern]
        return f"{pattern.name}, '{self.name_of(pattern)}'"
