"""A connection to Redis inside an event loop: a `Connection` shakes hands in a thread, then the loop has its socket.

The loop only says when the socket can be read or written, and the socket is used without blocking. So TCP, unix sockets
and TLS are one path: asyncio's own transports do not take an SSL socket that has shaken hands elsewhere.
"""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import hiredis

from townpost.errors import TownpostError, UnavailableError
from townpost.redis.connection import Connection, Reply
from townpost.redis.refusals import reason

__all__ = ["IDLE_SECONDS", "Dialled", "Wire", "dial"]

_READ_BYTES = 256 * 1024
IDLE_SECONDS = 0.01
"""From when on a connection counts as idle, and may have been closed as such."""
_LATER = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

Dialled: TypeAlias = socket.socket | TownpostError


def dial(loop: asyncio.AbstractEventLoop, connect: Callable[[], Connection], then: Callable[[Dialled], None]) -> None:
    """Connect in a thread of its own, which holds up neither the loop nor the end of the program.

    Args:
        loop: where ``then`` is called, unless it is closed by then.
        connect: makes a connection and connects it.
        then: gets the socket, or why there is none.
    """

    def run() -> None:
        dialled: Dialled
        try:
            dialled = connect().detach()
        except TownpostError as error:
            dialled = error
        except Exception as error:  # noqa: BLE001 - an error that nothing reports would let every sender wait
            dialled = UnavailableError(f"connecting failed: {reason(error)}")
        try:
            loop.call_soon_threadsafe(then, dialled)
        except RuntimeError:  # the loop was closed meanwhile
            if isinstance(dialled, socket.socket):
                dialled.close()

    try:
        threading.Thread(target=run, name="townpost-connect", daemon=True).start()
    except RuntimeError as error:  # the system has no thread to give
        loop.call_soon(then, UnavailableError(f"connecting failed: {error}"))


class Wire:
    """One socket; all its methods are for the loop's thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        where: str,
        received: Callable[[list[Reply]], None],
        lost: Callable[[UnavailableError], None],
    ) -> None:
        """It reads from now on.

        Args:
            loop: the running one.
            sock: connected, with nothing left to read from the handshake.
            where: the address, for errors.
            received: gets the complete replies of each read.
            lost: is called once, when the connection breaks; not for a `close`.
        """
        sock.settimeout(0)
        self._loop = loop
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()
        self._where = where
        self._received = received
        self._lost = lost
        self._reader = hiredis.Reader()
        self._unsent: memoryview | None = None
        self.moved = time.monotonic()
        """When bytes last went in either direction, by the monotonic clock."""
        loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        """Send this; nothing else may be written before its replies are there."""
        self.moved = time.monotonic()
        self._unsent = memoryview(data)
        self._write()

    def ended(self) -> bool:
        """Whether the connection was closed, as Redis does with one that is idle; while no reply is awaited."""
        if time.monotonic() - self.moved > IDLE_SECONDS:  # to ask each time would cost a system call more
            self._read()
        return self._sock is None

    def close(self) -> None:
        if self._sock is None:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        self._sock.close()
        self._sock = self._unsent = None

    def _write(self) -> None:
        sock = self._sock
        try:
            while sock is not None and self._unsent:
                self._unsent = self._unsent[sock.send(self._unsent) :]
                self.moved = time.monotonic()
            self._unsent = None
        except ssl.SSLWantReadError:
            pass  # `_readable` goes on
        except _LATER:
            self._loop.add_writer(self._fd, self._writable)
        except OSError as error:
            self._break(error)

    def _writable(self) -> None:
        self._loop.remove_writer(self._fd)
        self._write()
        self._read()  # TLS may have had to write before it could read

    def _readable(self) -> None:
        self._read()
        if self._unsent is not None:
            self._write()

    def _read(self) -> None:
        try:
            data = self._data()
            if not data:
                return
            self.moved = time.monotonic()
            reader = self._reader
            reader.feed(data)
            replies: list[Reply] = []
            while (reply := reader.gets()) is not False:  # RESP2 has no False of its own
                replies.append(reply)
        except (OSError, hiredis.HiredisError) as error:
            self._break(error)
        else:
            if replies:
                self._received(replies)

    def _data(self) -> bytes:
        """What has come; nothing if nothing has."""
        sock = self._sock
        if sock is None:
            return b""
        try:
            data = sock.recv(_READ_BYTES)
            while isinstance(sock, ssl.SSLSocket) and sock.pending():  # decrypted: the loop would not see it
                data += sock.recv(_READ_BYTES)
        except _LATER as error:
            if isinstance(error, ssl.SSLWantWriteError):
                self._loop.add_writer(self._fd, self._writable)
            return b""
        if not data:
            raise ConnectionResetError("closed by Redis")
        return data

    def _break(self, error: Exception) -> None:
        self.close()
        self._lost(UnavailableError(f"the connection to {self._where} broke: {reason(error)}"))
