"""The only reader of the environment: every setting, typed and checked once, at the start.

The environment wins over a `.env` file in the working directory; a variable that is set but empty counts as
unset. `.env.example` explains each of them, and a test compares the two.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from townpost.errors import PermissionDeniedError, RefusedError, SettingError, WrongTypeError
from townpost.keys import has_tag
from townpost.message import MAX_MESSAGE_BYTES, Message
from townpost.patterns import PATTERNS, choose
from townpost.patterns.contract import Pattern
from townpost.redis.connection import check_url
from townpost.text import printable
from townpost.verdicts import Policy

__all__ = ["Settings"]


def _known_pattern(words: str) -> str:
    choose(words)
    return words


def _redis_url(url: str | None) -> str | None:
    if url is not None:
        check_url(url)
    return url


def _host(host: str) -> str:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or any(c in bare for c in "/@?#[]") or bare != "".join(bare.split()):
        raise ValueError("a host name or an address alone; REDIS_URL takes the rest")
    return bare


def _writable(path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():
        raise ValueError(f"a file in a folder that exists; {path.parent} does not")
    return path


def _prefetch(value: object) -> object:
    return None if value == "auto" else value


Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _utf8(name: str) -> str:
    name.encode()
    return name


def _taggable(name: str) -> str:
    if ("{" in name or "}" in name) and not has_tag(name):
        raise ValueError("a name whose braces, if it has any, are a hash tag as Redis Cluster knows it, e.g. {tag}name")
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_utf8)]
KeyName: TypeAlias = Annotated[str, AfterValidator(_utf8), AfterValidator(_taggable)]


class Settings(BaseSettings):
    """Field `redis_url` is the variable REDIS_URL, and so on."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, validate_default=False
    )

    redis_url: Annotated[str | None, AfterValidator(_redis_url)] = None
    redis_host: Annotated[str, AfterValidator(_host)] = "localhost"
    redis_port: Annotated[int, Field(ge=1, le=65535)] = 6379
    connect_timeout: Seconds = 30.0

    pattern: Annotated[str, AfterValidator(_known_pattern)] = "both"
    channel: Name = "messages"
    queue: Name = "message_queue"
    reliable_queue: KeyName = "reliable_queue"
    stream: KeyName = "message_stream"

    publish_interval: Seconds = 2.0
    sender: str = "python-publisher"

    handler: str | None = None
    handler_timeout: Positive = 300.0
    concurrency: Annotated[int | None, Field(ge=1, le=10_000)] = None
    processes: Annotated[int, Field(ge=1, le=1_000)] = 1
    stop_seconds: Seconds = 10.0
    prefetch: Annotated[Annotated[int, Field(ge=1, le=10_000)] | None, BeforeValidator(_prefetch)] = None
    max_message_bytes: Annotated[int, Field(ge=1, le=512 * 1024 * 1024)] = MAX_MESSAGE_BYTES

    lease_seconds: Annotated[float, Field(ge=0.1, allow_inf_nan=False)] = 30.0
    max_attempts: Annotated[int, Field(ge=1)] = 5
    max_crashes: Annotated[int, Field(ge=1)] = 3
    backoff_seconds: Seconds = 1.0
    backoff_cap_seconds: Seconds = 300.0
    once_seconds: Seconds = 0.0
    reliable_limit: Annotated[int, Field(ge=0)] = 0

    consumer_group: Name = "townpost"
    stream_start: Annotated[str, Field(pattern=r"^(beginning|now|\d+-\d+)$")] = "beginning"
    stream_maxlen: Annotated[int, Field(ge=0)] = 0

    log_format: Literal["text", "json"] = "text"
    no_color: str | None = None
    force_color: str | None = None

    health_file: Annotated[Path | None, AfterValidator(_writable)] = None
    health_seconds: Positive = 30.0

    @model_validator(mode="before")
    @classmethod
    def _url_alone(cls, values: dict[str, Any]) -> dict[str, Any]:
        # Kubernetes sets REDIS_PORT=tcp://... for a service of that name: with a URL it does not matter
        if values.get("redis_url"):
            return {name: value for name, value in values.items() if name not in ("redis_host", "redis_port")}
        return values

    @classmethod
    def read(cls, **given: Any) -> Self:  # noqa: ANN401 - as the command line gave them, checked by the model
        """The settings of the environment, under those given here that are not None.

        Raises:
            SettingError: one line that names every variable that cannot be used, and what it takes.
        """
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise SettingError("; ".join(_problems(error))) from None
        except UnicodeDecodeError:
            raise SettingError("the file .env cannot be read: it is not UTF-8") from None

    @property
    def url(self) -> str:
        """Where Redis is: REDIS_URL, or else REDIS_HOST and REDIS_PORT."""
        if self.redis_url is not None:
            return self.redis_url
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}"

    def explain(self, name: str, error: RefusedError) -> RefusedError:
        """The same refusal, with the setting of the pattern it met."""
        pattern = PATTERNS[name]
        where = self.naming(pattern)
        if isinstance(error, WrongTypeError):
            return WrongTypeError(
                f"{where} names a key of another type: choose another name, or delete or rename that key"
            )
        if isinstance(error, PermissionDeniedError):
            return PermissionDeniedError(f"{where}: {error}")
        return error

    def naming(self, pattern: Pattern) -> str:
        """The setting that names the channel or key of a pattern, and the name."""
        return f"{pattern.setting}={self.name_of(pattern)}"

    def name_of(self, pattern: Pattern) -> str:
        """The channel or key of a pattern."""
        return str(getattr(self, pattern.setting.lower()))

    def sent_to(self, name: str, patterns: Sequence[Pattern]) -> "Settings":
        """Settings like these, in which each of the patterns has this name for its channel, queue or stream.

        Raises:
            SettingError: no channel or key can have it, or two of the patterns would write to the same key.
        """
        try:
            if not name:
                raise ValueError("give the name of a channel, queue or stream")  # noqa: TRY301 - caught with the others
            _utf8(name)
            if any(pattern.guarantees.redelivers for pattern in patterns):
                _taggable(name)
        except ValueError as error:
            raise SettingError(printable(f"to={name!r} cannot be used: {error}")) from None
        if sum(pattern.guarantees.durable for pattern in patterns) > 1:
            names = ", ".join(pattern.name for pattern in patterns)
            raise SettingError(f"to={name!r} is one key, and {names} use several: choose one of them with on=")
        values = {field: getattr(self, field) for field in Settings.model_fields}
        # of the class itself: a subclass may route its messages to other channels
        return Settings.model_construct(**values | {pattern.setting.lower(): name for pattern in patterns})

    @property
    def route(self) -> Callable[[Message], str] | None:
        """The channel of each message on pubsub, where that is not always CHANNEL."""
        return None

    @property
    def policy(self) -> Policy:
        """What becomes of a message whose handler failed."""
        return Policy(self.max_attempts, self.backoff_seconds, self.backoff_cap_seconds)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        return choose(self.pattern)


def _problems(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        name = str(problem["loc"][0]).upper()
        text = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        # where something is may have been written with a password, and a token is one
        secret = name.startswith("REDIS_") or name.endswith(("_URL", "_TOKEN"))
        value = "" if secret else f" (it is {problem['input']!r})"
        lines.append(printable(f"{name} cannot be used: {text}{value}. See .env.example"))
    return lines
