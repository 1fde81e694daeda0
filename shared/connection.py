"""The only maker of connections to Redis.

A `Link` is one socket used by one thread. redis-py parses the URL and does the handshake (TLS, user and
password, database); from then on commands and replies are packed and parsed by hiredis directly, because

* redis-py's automatic retries duplicate writes and swallow pops (one RPUSH whose replies are lost three times
  leaves four copies; a lost BLPOP reply loses the message without an error). A Link never repeats anything.
* its layers cost 45 us a command, more than half of a BLPOP, and 12 to 18 us a pub/sub message.

Everything that goes wrong comes out as an error of `shared.errors`, in words a user can act on.
"""

import contextlib
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, parse_url
from redis.retry import Retry

from shared.errors import (
    FullError,
    PasswordError,
    PermissionDeniedError,
    RefusedError,
    UnavailableError,
    WrongTypeError,
)
from shared.text import printable

if TYPE_CHECKING:
    from shared.patterns.contract import Command

__all__ = ["REPLY_SECONDS", "Link", "Reply", "check_url", "endpoint", "pack", "refusal"]

REPLY_SECONDS = 3.0
"""How long a reply may take beyond the time a command is meant to block; then the link counts as dead."""

_READ_BYTES = 256 * 1024

Reply: TypeAlias = "bytes | int | list[Reply] | hiredis.ReplyError | None"

_URL_OPTIONS = ("host", "port", "db", "username", "password", "path", "connection_class")
_NOT_READY = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"),
    *("UNBLOCKED", "MISCONF", "BUSY", "NOSCRIPT", "NOGROUP"),
)


def endpoint(url: str) -> str:
    """The URL without user and password, for logs."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{parts.port or 6379}{parts.path}"


def check_url(url: str) -> None:
    """Refuse a URL that no connection can be made from.

    Raises:
        ValueError: in words without any part of the URL, which may hold a password.
    """
    how = "write it as redis://user:password@host:6379/0 (rediss:// for TLS, unix:///path for a socket)"
    try:
        options = dict(parse_url(url))
        endpoint(url)
    except ValueError:
        raise ValueError(f"{how}, special characters in the password percent-encoded") from None
    unknown = [name for name in options if name not in _URL_OPTIONS and not name.startswith("ssl_")]
    if unknown:
        raise ValueError(f"the option {printable(unknown[0])} is not for this URL; {how}")
    try:
        Link(url)
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError(f"its options cannot be used; {how}") from None


def refusal(text: str) -> UnavailableError | RefusedError:
    """The error of ours for an error reply of Redis."""
    code, _, rest = text.partition(" ")
    if code in _NOT_READY or "max number of clients" in text:
        return UnavailableError(f"Redis is not ready: {text}")
    if code in ("NOAUTH", "WRONGPASS") or "invalid password" in text or "Client sent AUTH" in text:
        return _password_error(text)
    error: RefusedError
    if code == "NOPERM" or "user executing the script can't" in text or "ACL failure in script" in text:
        error = PermissionDeniedError(
            f"the ACL of this Redis user forbids it ({text}): grant the user of REDIS_URL the command, key or channel"
        )
    elif code == "WRONGTYPE":
        error = WrongTypeError("the key holds another type of value")
    elif code == "TOWNPOST_FULL":
        error = FullError(f"the queue is full, {rest} (RELIABLE_LIMIT)")
    elif code == "OOM":
        error = FullError(f"Redis is full ({text}): raise maxmemory or let the subscribers drain the queues")
    else:
        error = RefusedError(f"Redis refuses the command: {text}")
    return error


def _password_error(text: str) -> PasswordError:
    return PasswordError(
        f"Redis refuses the user name or password of REDIS_URL ({text}): write them as redis://user:password@host:port"
    )


def pack(command: "Command") -> bytes:
    """The bytes of one command."""
    return hiredis.pack_command(command)  # type: ignore[arg-type, no-any-return]  # its stub wants a 1-tuple


class Link:
    """One connection to Redis, without a pool, retries or a thread of its own."""

    def __init__(self, url: str, *, name: str = "townpost") -> None:
        """Nothing is sent before `connect`.

        Args:
            url: redis://, rediss:// (TLS) or unix:// as redis-py takes it.
            name: shown by CLIENT LIST.
        """
        options = dict(parse_url(url))
        connection_class: type[Connection] = options.pop("connection_class", Connection)
        self._where = endpoint(url)
        self._handshake = connection_class(
            **options,
            protocol=2,  # pub/sub messages are plain lists, 1.7 times as fast to take apart as RESP3's
            retry=Retry(NoBackoff(), 0),
            socket_timeout=REPLY_SECONDS,
            socket_connect_timeout=REPLY_SECONDS,
            driver_info=None,  # no CLIENT SETINFO: many an ACL forbids it
        )
        self._name = name
        self._sock: socket.socket | None = None
        self.client_id: int | None = None
        """As Redis numbers this connection; None where an ACL forbids asking."""
        self._reader = hiredis.Reader()
        self._early: list[Reply] = []

    @property
    def connected(self) -> bool:
        return self._sock is not None

    def connect(self) -> None:
        """Open a new socket, whatever became of the old one.

        Raises:
            UnavailableError: nobody answers there, or not in time.
            RefusedError: Redis answers, and does not let us in.
        """
        self.close()
        try:
            self._handshake.connect()
        except redis.AuthenticationError as error:
            self.close()
            raise _password_error(str(error)) from error
        except redis.ResponseError as error:
            self.close()
            raise refusal(str(error)) from error
        except (redis.RedisError, OSError, UnicodeError) as error:  # UnicodeError: a host name like a..b
            self.close()
            raise UnavailableError(f"no Redis at {self._where}: {_reason(error)}") from error
        # the handshake is over and its parser is empty: from here on the socket is ours
        self._sock = self._handshake._sock  # noqa: SLF001 - redis-py offers no other way to its socket
        self._reader = hiredis.Reader()
        self._early = []
        named, number = self.pipeline([("CLIENT", "SETNAME", self._name), ("CLIENT", "ID")])
        self.client_id = number if isinstance(number, int) else None
        if isinstance(named, hiredis.ReplyError):
            answer = refusal(str(named))
            if isinstance(answer, PasswordError | UnavailableError):  # a name is a courtesy, to be let in is not
                self.close()
                raise answer

    def call(self, *command: str | bytes | float, block: float = 0.0) -> Reply:
        """Send one command and return its reply.

        Args:
            command: its words.
            block: seconds the command itself may wait on the server (BLPOP and its kind).

        Raises:
            UnavailableError: no reply came; whether the command was carried out is unknown.
            RefusedError: Redis said no.
        """
        reply = self.exchange(pack(command), 1, block)[0]
        if isinstance(reply, hiredis.ReplyError):
            raise refusal(str(reply))
        return reply

    def pipeline(self, commands: Sequence["Command"], block: float = 0.0) -> list[Reply]:
        """Send several commands in one write; errors stand among the replies instead of being raised."""
        return self.exchange(b"".join(map(pack, commands)), len(commands), block)

    def transaction(self, commands: Sequence["Command"], after: Sequence["Command"] = ()) -> list[Reply]:
        """The same inside MULTI and EXEC: all of them are run, or none; then, in any case, those to come after.

        Raises:
            UnavailableError, RefusedError: none was run (or, for a lost reply, it is unknown).
        """
        replies = self.pipeline([("MULTI",), *commands, ("EXEC",), *after])
        replies, rest = replies[: len(commands) + 2], replies[len(commands) + 2 :]
        if isinstance(replies[0], hiredis.ReplyError):
            return replies[1:-1] + rest  # without MULTI each was run, or refused, on its own
        outcome = replies[-1]
        if isinstance(outcome, list):
            return outcome + rest
        reason = next((r for r in replies if isinstance(r, hiredis.ReplyError)), outcome)
        raise refusal(str(reason))

    def exchange(self, packed: bytes, count: int, block: float = 0.0) -> list[Reply]:
        """Send packed commands and wait for ``count`` replies."""
        self.send(packed, block)
        return self.replies(count, block)

    def replies(self, count: int, block: float = 0.0) -> list[Reply]:
        """Wait for the replies to ``count`` commands that were sent."""
        replies: list[Reply] = []
        while len(replies) < count:
            try:
                more = self.receive()
            except UnavailableError:
                if replies and isinstance(replies[-1], hiredis.ReplyError):
                    raise refusal(str(replies[-1])) from None  # Redis said why before it hung up
                raise
            if more is None:
                self.close()
                raise UnavailableError(f"Redis at {self._where} has not answered for {REPLY_SECONDS + block:g} s")
            replies += more
        # a message may come in the same read as the confirmation of its subscription
        self._early = replies[count:]
        return replies[:count]

    def send(self, packed: bytes, block: float = 0.0) -> None:
        sock = self._socket()
        try:
            sock.settimeout(REPLY_SECONDS + block)
            rest = memoryview(packed)
            while rest:  # not sendall, whose time limit is for the whole, however slow the link
                rest = rest[sock.send(rest) :]
        except OSError as error:
            raise self._broken(error) from error

    def receive(self, timeout: float | None = None, *, payloads: bool = False) -> list[Reply] | None:
        """All complete replies that one read brings; None if the time is up without a byte.

        Args:
            timeout: seconds; None keeps the one of the last send.
            payloads: give only the payload of what was published to a channel. The garbage collector would walk
                hundreds of small lists that wait for each other.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        sock = self._socket()
        try:
            if timeout is not None:
                sock.settimeout(timeout)
            data = sock.recv(_READ_BYTES)
        except TimeoutError:
            return None
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            raise self._broken(ConnectionResetError("closed by Redis"))
        replies: list[Reply] = []
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:  # RESP2 has no False of its own
                if payloads and type(reply) is list and reply[0] == b"message":
                    replies.append(reply[2])
                else:
                    replies.append(reply)
        except hiredis.HiredisError as error:
            raise self._broken(error) from error
        return replies

    def close(self) -> None:
        self._sock = None
        with contextlib.suppress(redis.RedisError, OSError):
            self._handshake.disconnect()

    def _socket(self) -> socket.socket:
        if self._sock is None:
            raise UnavailableError(f"not connected to {self._where}")
        return self._sock

    def _broken(self, error: Exception) -> UnavailableError:
        self.close()
        return UnavailableError(f"the connection to {self._where} broke: {_reason(error)}")


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:  # redis-py wraps what the system said in words of its own
        if isinstance(cause, TimeoutError | redis.TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).rstrip(".")
