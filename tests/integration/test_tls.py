"""rediss:// works: through a proxy that ends TLS, since the packaged server has none."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from conftest import Start
from messages import parsed

from lab.server import Server
from townpost import AsyncPublisher, Message, Settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Certificate and key for 127.0.0.1 in one file."""
    path = tmp_path / "server.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], capture_output=True, check=True)
    path.write_text((tmp_path / "key").read_text() + (tmp_path / "crt").read_text())
    return path


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source, target:
        while data := source.recv(65536):
            target.sendall(data)


@pytest.fixture
def tls_port(server: Server, certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                client = context.wrap_socket(plain, server_side=True)
                upstream = socket.create_connection(("127.0.0.1", server.port))
                for pair in ((client, upstream), (upstream, client)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_all_patterns_work_over_tls(start: Start, tls_port: int, certificate: Path) -> None:
    url = f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate}"
    subscriber = start("subscriber", url=url, PATTERN="all")
    subscriber.wait_for("connected", count=4)

    assert start("publisher", "over TLS", "--count", "3", "--interval", "0", url=url, PATTERN="all").wait() == 0

    for source in ("pub-sub", "queue", "reliable", "stream"):
        subscriber.wait_for("over TLS", f"from {source}]", count=3)


def test_an_event_loop_publishes_over_tls(client: redis.Redis, tls_port: int, certificate: Path) -> None:
    url = f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate}"
    text = "x" * 100_000  # more than a socket takes at once: a hundred are ten megabytes

    async def main() -> None:
        async with AsyncPublisher(settings=Settings.read(redis_url=url, pattern="queue"), report=False) as publisher:
            await asyncio.gather(*(publisher.send(Message.create(f"{n} {text}")) for n in range(100)))
            await publisher.send(Message.create("last"))

    asyncio.run(main())

    texts = [parsed(raw).message.partition(" ")[0] for raw in client.lrange("message_queue", 0, -1)]
    assert texts == [*map(str, range(100)), "last"]


def test_a_certificate_nobody_vouches_for_is_refused_and_said(start: Start, tls_port: int) -> None:
    publisher = start("publisher", "hi", url=f"rediss://127.0.0.1:{tls_port}", CONNECT_TIMEOUT="0")

    assert publisher.wait() == 1
    assert publisher.matching("certificate", "CONNECT_TIMEOUT")
