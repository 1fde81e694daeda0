"""A small TCP proxy between a service and Redis that misbehaves on command, with toxiproxy's names where it has one.

toxiproxy's toxics: `latency`, `bandwidth`, `timeout`, `reset_peer`, `slicer`, `limit_data`. Of our own: `half_open`
(old connections go silent, new ones work: what a router that forgot them does) and `swallow` (a reply is lost).
"""

import contextlib
import random
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

__all__ = ["Proxy"]

_GLANCE_SECONDS = 0.05
_CHUNK = 64 * 1024


class _Pair:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.silent = False
        """What arrives is thrown away."""
        self.reply_lost = False
        """The next reply is not to arrive."""

    def reset(self) -> None:
        self.silent = True  # its threads are not to take leave of anybody
        for sock in (self.client, self.server):
            _reset(sock)


class Proxy:
    """Forwards bytes both ways until told otherwise."""

    def __init__(self, upstream_port: int, seed: int | None = None) -> None:
        """Listen on a free loopback port, for a server on another.

        Args:
            upstream_port: where the server is.
            seed: of what is left to chance, which are the sizes of slices and the jitter.
        """
        self._upstream_port = upstream_port
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_GLANCE_SECONDS)
        self.port = int(self._listener.getsockname()[1])
        self.timeout = False
        """While set, bytes are read and thrown away in both directions, also on new connections."""
        self.latency = 0.0
        """Seconds by which every reply is late."""
        self.jitter = 0.0
        """Up to so many seconds more."""
        self.bandwidth = 0
        """Bytes a second in either direction; 0 for no limit."""
        self.slicer = 0
        """While set, bytes travel in slices of random size up to this."""
        self._swallow_requests: tuple[bytes, int] = (b"", 0)
        self._swallow_replies: tuple[bytes, int] = (b"", 0)
        self._limit_data: dict[bool, tuple[bytes, int]] = {}
        self._cuts = 0
        self._swallowed = 0
        self._accepted = 0
        self._pairs: list[_Pair] = []
        self._forgotten: list[_Pair] = []
        self._closed = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many there were."""
        return self._accepted

    @property
    def swallowed(self) -> int:
        """How many replies were lost so far."""
        return self._swallowed

    @property
    def cuts(self) -> int:
        """How many connections were cut amid what they carried."""
        return self._cuts

    def swallow(self, request: bytes, times: int = 1) -> None:
        """So many times: let a request that contains these bytes through, lose its reply, cut the connection."""
        with self._lock:
            self._swallow_requests = (request, times)

    def swallow_replies(self, containing: bytes, times: int) -> None:
        """So many times: lose a reply with these bytes in it, and cut the connection."""
        with self._lock:
            self._swallow_replies = (containing, times)

    def limit_data(self, containing: bytes, times: int, *, upstream: bool) -> None:
        """So many times: of bytes that contain these, let half through, and cut the connection with an RST.

        Args:
            containing: as they arrive, in one read.
            times: how often.
            upstream: of requests; otherwise of replies.
        """
        with self._lock:
            self._limit_data[upstream] = (containing, times)

    def half_open(self) -> int:
        """The connections there are go silent for good; new ones work. Returns how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.silent = True
        self._forgotten += pairs  # kept open: nobody is told
        return len(pairs)

    def reset_peer(self) -> int:
        """Cut every connection with an RST, in the middle of whatever goes on. Returns how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.reset()
        return len(pairs)

    def close(self) -> None:
        self._closed.set()
        self.reset_peer()
        for pair in self._forgotten:
            pair.reset()
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
                self._pairs.append(_Pair(client, client))  # the handshake is the kernel's; nothing else is answered
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._upstream_port))
            except OSError:
                _reset(client)
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.append(pair)
            if self._closed.is_set():  # meanwhile, so that nobody else will end it
                self.reset_peer()
                return
            for upstream in (True, False):
                threading.Thread(target=self._pump, args=(pair,), kwargs={"upstream": upstream}, daemon=True).start()

    def _pump(self, pair: _Pair, *, upstream: bool) -> None:
        source, target = (pair.client, pair.server) if upstream else (pair.server, pair.client)
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if self.timeout or pair.silent:
                    continue
                if self._is_cut(pair, data, target, upstream=upstream):
                    return
                if upstream:
                    self._note_request(pair, data)
                elif self._is_lost(pair, data):
                    pair.reset()
                    return
                self._delay(len(data), upstream=upstream)
                for piece in self._sliced(data):
                    target.sendall(piece)
        with self._lock:
            if pair in self._pairs:
                self._pairs.remove(pair)
        if pair.silent:
            return
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        source.close()  # the other direction's thread closes the other end

    def _is_cut(self, pair: _Pair, data: bytes, target: socket.socket, *, upstream: bool) -> bool:
        with self._lock:
            containing, times = self._limit_data.get(upstream, (b"", 0))
            if not times or containing not in data:
                return False
            self._limit_data[upstream] = (containing, times - 1)
            self._cuts += 1
        target.sendall(data[: len(data) // 2])
        pair.reset()
        return True

    def _note_request(self, pair: _Pair, data: bytes) -> None:
        with self._lock:
            containing, times = self._swallow_requests
            if times and containing in data:
                self._swallow_requests = (containing, times - 1)
                pair.reply_lost = True

    def _is_lost(self, pair: _Pair, data: bytes) -> bool:
        with self._lock:
            containing, times = self._swallow_replies
            if times and containing in data:
                self._swallow_replies = (containing, times - 1)
            elif not pair.reply_lost:
                return False
            self._swallowed += 1
            return True

    def _delay(self, size: int, *, upstream: bool) -> None:
        if self.bandwidth:
            time.sleep(size / self.bandwidth)
        if not upstream and (self.latency or self.jitter):
            time.sleep(self.latency + self._random.uniform(0, self.jitter))

    def _sliced(self, data: bytes) -> list[bytes]:
        if not self.slicer:
            return [data]
        pieces = []
        start = 0
        while start < len(data):
            end = start + self._random.randint(1, self.slicer)
            pieces.append(data[start:end])
            start = end
        return pieces


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already, at either end
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)  # wakes whoever reads it; SHUT_RDWR would take leave first
    sock.close()
