"""A small TCP proxy between a service and Redis that can misbehave on command, with toxiproxy's names."""

import contextlib
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

__all__ = ["Proxy"]

_GLANCE_SECONDS = 0.05
_CHUNK = 64 * 1024


class Proxy:
    """Forwards bytes both ways; `timeout` lets packets vanish, `swallow` loses replies, `reset_peer` cuts."""

    def __init__(self, upstream_port: int) -> None:
        """Listen on a free loopback port, for a server on another."""
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_GLANCE_SECONDS)
        self.port = int(self._listener.getsockname()[1])
        self.timeout = False
        """While set, bytes are read and thrown away in both directions: a half-open link."""
        self.latency = 0.0
        """Seconds by which every reply is late."""
        self.bandwidth = 0
        """Bytes a second towards the server; 0 for no limit."""
        self._swallow_after: bytes | None = None
        self._swallowed = 0
        self._accepted = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def swallow(self, command: bytes) -> None:
        """Once: let the next request that contains these bytes through, lose its reply, cut the connection."""
        with self._lock:
            self._swallow_after = command

    @property
    def swallowed(self) -> int:
        """How often a reply was lost so far."""
        return self._swallowed

    def reset_peer(self) -> None:
        """Cut every connection with an RST, in the middle of whatever goes on."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for sock in pair:
                _reset(sock)

    @property
    def connections(self) -> int:
        """How many there were."""
        return self._accepted

    def close(self) -> None:
        self._closed.set()
        self.reset_peer()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._accepted += 1
            if self.timeout:
                self._pairs.append((client, client))  # the handshake is the kernel's; nothing else is answered
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream_port))
            except OSError:
                _reset(client)
                continue
            with self._lock:
                self._pairs.append((client, server))
            lost = threading.Event()  # this connection's next reply is not to arrive
            for source, target, upstream in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, target, upstream, lost), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, upstream: bool, lost: threading.Event) -> None:  # noqa: FBT001 - private
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if self.timeout:
                    continue
                if upstream:
                    with self._lock:
                        if self._swallow_after is not None and self._swallow_after in data:
                            self._swallow_after = None
                            lost.set()
                elif lost.is_set():
                    self._swallowed += 1
                    _reset(target)
                    break
                if upstream and self.bandwidth:
                    time.sleep(len(data) / self.bandwidth)
                if not upstream and self.latency:
                    time.sleep(self.latency)
                target.sendall(data)
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        source.close()  # the other direction's thread closes the other end


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
