"""The only maker of connections to Redis.

A `Connection` is one socket used by one thread. redis-py parses the URL and does the handshake (TLS, user and
password, database); from then on commands and replies are packed and parsed by hiredis directly, because

* redis-py's automatic retries duplicate writes and swallow pops (one RPUSH whose replies are lost three times
  leaves four copies; a lost BLPOP reply loses the message without an error). A Connection never repeats anything.
* its layers cost 45 us a command, more than half of a BLPOP, and 12 to 18 us a pub/sub message.

Everything that goes wrong comes out as an error of `townpost.errors`, in words a user can act on.
"""

import contextlib
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection as RedisConnection
from redis.connection import parse_url
from redis.retry import Retry

from townpost.errors import PasswordError, UnavailableError
from townpost.redis.bulks import cut
from townpost.redis.refusals import password_error, reason, refusal
from townpost.text import printable

__all__ = ["REPLY_SECONDS", "Command", "Connection", "Reply", "check_url", "endpoint", "pack", "pack_all", "refusal"]

REPLY_SECONDS = 3.0
"""How long a reply may take beyond the time that the command may block; then the connection counts as dead."""

_READ_BYTES = 256 * 1024
_SLICE_SECONDS = 0.1
_PATIENCE_SECONDS = 0.8

Command: TypeAlias = tuple[str | bytes | int | float, ...]

Reply: TypeAlias = bytes | int | list["Reply"] | hiredis.ReplyError | None

_log = logging.getLogger("townpost.connection")

_URL_OPTIONS = ("host", "port", "db", "username", "password", "path", "connection_class")


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
        Connection(url)
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError(f"its options cannot be used; {how}") from None


def pack(command: Command) -> bytes:
    """The bytes of one command."""
    return hiredis.pack_command(command)  # type: ignore[arg-type, no-any-return]  # its stub wants a 1-tuple


def pack_all(commands: Iterable[Command]) -> bytes:
    """The bytes of these commands, for one write."""
    return b"".join(map(hiredis.pack_command, commands))  # type: ignore[arg-type]  # as in `pack`


class Connection:
    """One connection to Redis, without a pool, retries or a thread of its own.

    An interruption of an exchange (a signal handler's exception, a time limit) closes the connection: otherwise the
    unread reply would be taken for that of the next command.
    """

    def __init__(self, url: str, *, name: str = "townpost", connect_seconds: float = REPLY_SECONDS) -> None:
        """Nothing is sent before `connect`.

        Args:
            url: redis://, rediss:// (TLS) or unix:// as redis-py takes it.
            name: shown by CLIENT LIST.
            connect_seconds: how long each step of connecting may take.
        """
        options = dict(parse_url(url))
        connection_class: type[RedisConnection] = options.pop("connection_class", RedisConnection)
        self._where = endpoint(url)
        self._handshake = connection_class(
            **options,
            protocol=2,  # pub/sub messages are plain lists, 1.7 times as fast to take apart as RESP3's
            retry=Retry(NoBackoff(), 0),
            socket_timeout=connect_seconds,
            socket_connect_timeout=connect_seconds,
            driver_info=None,  # no CLIENT SETINFO: many an ACL forbids it
        )
        self._name = name
        self._sock: socket.socket | None = None
        self.client_id: int | None = None
        """As Redis numbers this connection; None where an ACL forbids asking."""
        self.stop: threading.Event | None = None
        """Once it is set, no reply is waited for longer than `patience`."""
        self.patience = _PATIENCE_SECONDS
        self.longest: int | None = None
        """Of a bulk string of more bytes only the beginning is kept, and one byte more than this."""
        self.pushed = False
        """Replies come unasked: this is a subscriber."""
        self._poll = select.poll()
        self._reader = hiredis.Reader()
        self._early: list[Reply] = []
        self._chunks: list[bytes] = []
        """What was read since the last reply, and the read that brought it; only for `longest`."""
        self._discard = 0
        """Bytes of an overlong bulk string that have yet to come."""

    @property
    def connected(self) -> bool:
        return self._sock is not None

    def connect(self) -> None:
        """Open a new socket, whatever became of the old one.

        Raises:
            UnavailableError: no server answers there, or not in time.
            RefusedError: Redis answers, and does not let us in.
        """
        self.close()
        try:
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def _shake_hands(self) -> None:
        try:
            self._handshake.connect()
        except redis.AuthenticationError as error:
            raise password_error(str(error)) from error
        except redis.ResponseError as error:
            raise refusal(str(error)) from error
        except (redis.RedisError, OSError, UnicodeError) as error:  # UnicodeError: a host name like a..b
            raise UnavailableError(f"no Redis at {self._where}: {reason(error)}") from error
        # the handshake is over and its parser is empty: from here on the socket is ours
        self._sock = self._handshake._sock  # noqa: SLF001 - redis-py offers no other way to its socket
        self._poll = select.poll()
        self._poll.register(self._socket(), select.POLLIN)
        self._reader = hiredis.Reader()
        self._early = []
        self._discard = 0
        named, number = self.pipeline([("CLIENT", "SETNAME", self._name), ("CLIENT", "ID")])
        self.client_id = number if isinstance(number, int) else None
        if isinstance(named, hiredis.ReplyError):
            answer = refusal(str(named))
            if isinstance(answer, PasswordError | UnavailableError):  # the name is optional, the login is not
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

    def pipeline(self, commands: Sequence[Command], block: float = 0.0) -> list[Reply]:
        """Send several commands in one write; errors stand among the replies instead of being raised."""
        return self.exchange(pack_all(commands), len(commands), block)

    def exchange(self, packed: bytes, count: int, block: float = 0.0) -> list[Reply]:
        """Send packed commands and wait for ``count`` replies."""
        try:
            self.send(packed, block)
            return self.replies(count, block)
        except BaseException:
            self.close()
            raise

    def replies(self, count: int, block: float = 0.0) -> list[Reply]:
        """Wait for the replies to ``count`` commands that were sent."""
        replies: list[Reply] = []
        try:
            while len(replies) < count:
                replies += self._more(REPLY_SECONDS + block)
        except BaseException as error:
            self.close()
            if isinstance(error, UnavailableError) and replies and isinstance(replies[-1], hiredis.ReplyError):
                raise refusal(str(replies[-1])) from None  # Redis said why before it closed the connection
            raise
        # a message may come in the same read as the confirmation of its subscription
        self._early = replies[count:]
        return replies[:count]

    def _more(self, seconds: float) -> list[Reply]:
        comes = self.stop is None or self.wait(seconds)
        replies = self.receive() if comes else None
        if replies is None:
            raise UnavailableError(f"Redis at {self._where} has not answered for {seconds:g} s")
        return replies

    def send_commands(self, commands: Iterable[Command], block: float = 0.0) -> None:
        """Pack and write these; their replies are to be read with `replies`."""
        self.send(pack_all(commands), block)

    def send(self, packed: bytes, block: float = 0.0) -> None:
        """Write packed commands; their replies are to be read with `replies`."""
        sock = self._sock
        if sock is None:
            raise self._not_connected()
        try:
            self._chunks = []
            sock.settimeout(REPLY_SECONDS + block)
            rest = memoryview(packed)
            while rest:  # not sendall, whose time limit is for the whole, however slow the link
                rest = rest[sock.send(rest) :]
        except OSError as error:
            raise self._broken(error) from error
        except BaseException:
            self.close()
            raise

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
        sock = self._sock
        if sock is None:
            raise self._not_connected()
        try:
            if timeout is not None:
                sock.settimeout(timeout)
            data = sock.recv(_READ_BYTES)
            return self._parse(data, payloads=payloads)
        except TimeoutError:
            return None
        except (OSError, hiredis.HiredisError) as error:
            raise self._broken(error) from error
        except BaseException:
            self.close()
            raise

    def _parse(self, data: bytes, *, payloads: bool) -> list[Reply]:
        if not data:
            raise ConnectionResetError("closed by Redis")
        if self._discard:
            discarded = min(self._discard, len(data))
            self._discard -= discarded
            data = data[discarded:]
        replies: list[Reply] = []
        reader = self._reader
        reader.feed(data)
        while (reply := reader.gets()) is not False:  # RESP2 has no False of its own
            if payloads and type(reply) is list and reply[0] == b"message":
                replies.append(reply[2])
            else:
                replies.append(reply)
        if self.longest is not None:
            if replies:
                self._chunks = [data]
            else:
                self._chunks.append(data)
                if reader.len() > self.longest + _READ_BYTES:
                    self._cut(self.longest)
        return replies

    def _cut(self, longest: int) -> None:
        """Give the parser the unfinished reply anew, with its overlong bulk string cut short."""
        data = b"".join(self._chunks)
        found = cut(data, longest, pushed=self.pushed)
        if found is None:
            raise ConnectionResetError(f"a reply of more than {longest:,} bytes")
        _log.warning("a message of %s bytes is not read to its end (MAX_MESSAGE_BYTES)", f"{found.size:,}")
        self._chunks = [found.frame]
        self._discard = found.missing
        self._reader = hiredis.Reader()
        self._reader.feed(found.frame)

    def wait(self, seconds: float, patience: float | None = None) -> bool:
        """Whether there is something to receive within so many seconds; to be interrupted here does no harm."""
        stop, until = self.stop, time.monotonic() + seconds
        if stop is None:
            return self._readable(seconds)
        stopping = False
        while not self._readable(min(_SLICE_SECONDS, max(0.0, until - time.monotonic()))):
            if not stopping and stop.is_set():
                stopping, until = True, min(until, time.monotonic() + (self.patience if patience is None else patience))
            if time.monotonic() >= until:
                return False
        return True

    def _readable(self, seconds: float) -> bool:
        sock = self._sock
        if sock is None:
            raise self._not_connected()
        if self._early or (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            return True
        return bool(self._poll.poll(seconds * 1000))

    def ended(self) -> bool:
        """Whether the connection was closed, as Redis does with one that is idle; between exchanges only.

        Nothing may come unasked, so that whatever there is to read is the end, or garbage.
        """
        sock = self._sock
        if sock is None:
            return True
        if not self._poll.poll(0):
            return False
        try:
            sock.settimeout(0)
            sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):  # of TLS, and no data
            return False
        except OSError:
            pass
        self.close()
        return True

    def unblock(self, control: "Connection") -> None:
        """From another thread, through its own connection: end the wait of a command that blocks."""
        if self.client_id is not None:
            control.call("CLIENT", "UNBLOCK", self.client_id)

    def detach(self) -> socket.socket:
        """Its socket, for an event loop to use and to close; this connection is closed without it."""
        sock = self._socket()
        self._handshake._sock = None  # noqa: SLF001 - redis-py offers no other way to keep its hands off
        self.close()
        return sock

    def close(self) -> None:
        self._sock = None
        with contextlib.suppress(redis.RedisError, OSError):
            self._handshake.disconnect()

    def _socket(self) -> socket.socket:
        if self._sock is None:
            raise self._not_connected()
        return self._sock

    def _not_connected(self) -> UnavailableError:
        return UnavailableError(f"not connected to {self._where}")

    def _broken(self, error: Exception) -> UnavailableError:
        self.close()
        return UnavailableError(f"the connection to {self._where} broke: {reason(error)}")
