"""Each toxic does what its name says, seen from both ends of real sockets."""

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lab.proxy import Proxy


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


class Ends:
    """A server that a test drives by hand, behind a proxy."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(5)
        self.proxy = Proxy(self._listener.getsockname()[1], seed=1)
        self._open: list[socket.socket] = [self._listener]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """A client's end and the server's end of one connection through the proxy."""
        client = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=5)
        self._open.append(client)
        server, _ = self._listener.accept()
        server.settimeout(5)
        self._open.append(server)
        until(lambda: self._known(client))
        return client, server

    def _known(self, client: socket.socket) -> bool:
        """Whether the proxy has it among its pairs: that is a moment after the server has accepted it."""
        for pair in list(self.proxy._pairs):
            with contextlib.suppress(OSError):  # closed meanwhile
                if pair.client.getpeername() == client.getsockname():
                    return True
        return False

    def close(self) -> None:
        self.proxy.close()
        for sock in self._open:
            sock.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def read(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the other end closes first."""
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


def rest(sock: socket.socket) -> bytes:
    """All that still comes, until the connection ends, however it does."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionError:
        pass
    return data


def ended(sock: socket.socket) -> bool:
    """Wait for the end of a connection on which nothing more comes."""
    return rest(sock) == b""


def test_without_a_toxic_it_hands_on_every_byte(ends: Ends) -> None:
    client, server = ends.connect()
    sent = bytes(range(256)) * 1000

    threading.Thread(target=client.sendall, args=(sent,)).start()
    assert read(server, len(sent)) == sent
    threading.Thread(target=server.sendall, args=(sent,)).start()
    assert read(client, len(sent)) == sent


def test_the_end_of_one_side_is_the_end_of_the_other(ends: Ends) -> None:
    client, server = ends.connect()

    client.close()

    assert ended(server)


def test_without_a_server_a_connection_is_refused_at_once(ends: Ends) -> None:
    ends._listener.close()

    try:
        client = socket.create_connection(("127.0.0.1", ends.proxy.port), timeout=5)
    except ConnectionResetError:
        return  # so soon that it never was one
    ends._open.append(client)

    assert ended(client)


def test_latency_makes_replies_late_and_not_requests(ends: Ends) -> None:
    client, server = ends.connect()
    ends.proxy.latency = 0.2

    began = time.monotonic()
    client.sendall(b"ask")
    read(server, 3)
    asked = time.monotonic() - began
    server.sendall(b"answer")
    read(client, 6)

    assert asked < 0.2
    assert time.monotonic() - began >= 0.2


def test_jitter_adds_no_more_than_it_says(ends: Ends) -> None:
    client, server = ends.connect()
    ends.proxy.jitter = 0.02
    delays: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.proxy.time.sleep", delays.append)
        for _ in range(20):
            server.sendall(b"x")
            read(client, 1)

    assert len(set(delays)) > 1
    assert all(0 <= delay <= 0.02 for delay in delays)


@pytest.mark.parametrize("upstream", [True, False])
def test_bandwidth_limits_both_directions(ends: Ends, *, upstream: bool) -> None:
    client, server = ends.connect()
    source, target = (client, server) if upstream else (server, client)
    ends.proxy.bandwidth = 100_000

    began = time.monotonic()
    source.sendall(b"x" * 30_000)
    assert len(read(target, 30_000)) == 30_000

    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("upstream", [True, False])
def test_the_slicer_cuts_small_and_loses_nothing(ends: Ends, *, upstream: bool) -> None:
    client, server = ends.connect()
    source, target = (client, server) if upstream else (server, client)
    ends.proxy.slicer = 5

    source.sendall(b"0123456789" * 10)

    assert read(target, 100) == b"0123456789" * 10
    sizes = {len(piece) for piece in ends.proxy._sliced(b"0123456789" * 10)}
    assert max(sizes) <= 5
    assert len(sizes) > 1


def test_timeout_answers_nothing_on_connections_new_and_old(ends: Ends) -> None:
    client, server = ends.connect()
    ends.proxy.timeout = True
    new = socket.create_connection(("127.0.0.1", ends.proxy.port), timeout=5)
    ends._open.append(new)

    client.sendall(b"ask")
    new.sendall(b"ask")

    for sock in (server, new):
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)


class TestHalfOpen:
    """Old connections go silent, new ones work."""

    def test_it_says_how_many_there_were(self, ends: Ends) -> None:
        ends.connect()
        ends.connect()

        assert ends.proxy.half_open() == 2
        assert ends.proxy.half_open() == 0

    @pytest.mark.parametrize("upstream", [True, False])
    def test_what_is_sent_vanishes_and_nobody_is_told(self, ends: Ends, *, upstream: bool) -> None:
        client, server = ends.connect()
        source, target = (client, server) if upstream else (server, client)
        ends.proxy.half_open()

        source.sendall(b"lost")

        target.settimeout(0.2)
        with pytest.raises(TimeoutError):
            target.recv(1)

    def test_a_closed_end_is_not_told_to_the_other(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.half_open()

        client.close()

        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.recv(1)

    def test_a_new_connection_works(self, ends: Ends) -> None:
        ends.connect()
        ends.proxy.half_open()

        client, server = ends.connect()
        client.sendall(b"ask")

        assert read(server, 3) == b"ask"

    def test_the_end_of_the_proxy_is_the_end_of_the_silent_ones(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.half_open()

        ends.proxy.close()

        assert ended(client)
        assert ended(server)


def test_reset_peer_cuts_both_ends_of_every_connection(ends: Ends) -> None:
    first, second = ends.connect(), ends.connect()

    assert ends.proxy.reset_peer() == 2

    assert all(ended(sock) for sock in (*first, *second))


def test_reset_peer_is_a_reset(ends: Ends) -> None:
    client, _ = ends.connect()

    ends.proxy.reset_peer()

    with pytest.raises(ConnectionResetError) as caught:
        client.recv(1)
    assert caught.value.errno == errno.ECONNRESET


@pytest.mark.parametrize("upstream", [True, False])
def test_limit_data_lets_half_through_and_cuts(ends: Ends, *, upstream: bool) -> None:
    client, server = ends.connect()
    source, target = (client, server) if upstream else (server, client)
    ends.proxy.limit_data(b"345", 1, upstream=upstream)

    source.sendall(b"0123456789")

    assert rest(target) == b"01234"
    assert ended(source)
    assert ends.proxy.cuts == 1


def test_limit_data_leaves_the_next_connection_alone(ends: Ends) -> None:
    client, server = ends.connect()
    ends.proxy.limit_data(b"345", 1, upstream=True)
    client.sendall(b"0123456789")
    rest(server)

    client, server = ends.connect()
    client.sendall(b"0123456789")

    assert read(server, 10) == b"0123456789"


class TestSwallow:
    """A request is let through, and its reply is not."""

    def test_the_server_hears_the_request_and_the_client_no_reply(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.swallow(b"PUSH")

        client.sendall(b"PUSH x")
        assert read(server, 6) == b"PUSH x"
        server.sendall(b"1")

        assert ended(client)
        assert ends.proxy.swallowed == 1

    def test_other_requests_are_answered(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.swallow(b"PUSH")

        client.sendall(b"PING")
        read(server, 4)
        server.sendall(b"PONG")

        assert read(client, 4) == b"PONG"
        assert ends.proxy.swallowed == 0

    def test_it_counts_up_to_what_was_asked(self, ends: Ends) -> None:
        ends.proxy.swallow(b"PUSH", 2)
        for _ in range(2):
            client, server = ends.connect()
            client.sendall(b"PUSH")
            read(server, 4)
            server.sendall(b"1")
            assert ended(client)

        client, server = ends.connect()
        client.sendall(b"PUSH")
        read(server, 4)
        server.sendall(b"1")

        assert read(client, 1) == b"1"
        assert ends.proxy.swallowed == 2


class TestSwallowReplies:
    """A reply is lost because of what it says."""

    def test_it_is_lost_and_the_connection_with_it(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.swallow_replies(b"secret", 1)

        server.sendall(b"a secret")

        assert ended(client)
        assert ended(server)
        assert ends.proxy.swallowed == 1

    def test_other_replies_arrive(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.swallow_replies(b"secret", 1)

        server.sendall(b"news")

        assert read(client, 4) == b"news"

    def test_a_request_with_these_bytes_is_no_reply(self, ends: Ends) -> None:
        client, server = ends.connect()
        ends.proxy.swallow_replies(b"secret", 1)

        client.sendall(b"secret")

        assert read(server, 6) == b"secret"


def test_closing_it_ends_every_connection_and_its_port(ends: Ends) -> None:
    client, server = ends.connect()

    ends.proxy.close()

    assert ended(client)
    assert ended(server)
    until(lambda: _refuses(ends.proxy.port))


def test_a_connection_that_is_just_being_made_ends_with_the_proxy(ends: Ends) -> None:
    """The proxy is closed while it connects to the server on behalf of a client."""
    connect, connecting, closed = socket.create_connection, threading.Event(), threading.Event()

    def slowly(address: tuple[str, int]) -> socket.socket:
        connecting.set()
        closed.wait(5)
        return connect(address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.proxy.socket.create_connection", slowly)
        client = socket.socket()
        client.connect(("127.0.0.1", ends.proxy.port))
        ends._open.append(client)
        connecting.wait(5)
        ends.proxy.close()
        closed.set()
        client.settimeout(1)

        assert ended(client)


def _refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_limit_data_waits_for_the_bytes_it_is_to_cut(ends: Ends) -> None:
    client, server = ends.connect()
    ends.proxy.limit_data(b"345", 1, upstream=True)

    client.sendall(b"012")
    assert read(server, 3) == b"012"
    server.sendall(b"0123456789")
    assert read(client, 10) == b"0123456789"

    assert ends.proxy.cuts == 0
