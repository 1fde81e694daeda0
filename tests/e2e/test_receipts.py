"""`--receipts`: what was acknowledged can be told after a crash of the publisher."""

from pathlib import Path

import redis
from conftest import Run, Start

from lab.server import Server
from townpost.message import read


def test_the_id_of_each_acknowledged_message_is_written_down_in_order(
    run: Run, client: redis.Redis, tmp_path: Path
) -> None:
    receipts = tmp_path / "receipts"

    for _ in range(2):  # a second run adds to them
        run("publisher", "hi", "--count", "700", "--receipts", str(receipts), PATTERN="queue")

    sent = [str(read(raw).id) for raw in client.lrange("message_queue", 0, -1) if isinstance(raw, bytes)]
    assert len(sent) == 1400
    assert receipts.read_text().splitlines() == sent


def test_what_stands_there_was_acknowledged_even_if_the_publisher_is_killed(
    start: Start, server: Server, client: redis.Redis, tmp_path: Path
) -> None:
    receipts = tmp_path / "receipts"
    publisher = start(
        "publisher", "hi", "--count", "1000000", "--receipts", str(receipts), PATTERN="queue", REDIS_URL=server.url
    )
    while not receipts.exists() or receipts.stat().st_size < 100_000:
        assert publisher.status is None

    publisher.kill()

    written = receipts.read_text().splitlines()
    sent = {str(read(raw).id) for raw in client.lrange("message_queue", 0, -1) if isinstance(raw, bytes)}
    assert sent.issuperset(written)
    assert len(sent) - len(written) <= 500  # the batch in flight


def test_a_file_that_cannot_be_opened_is_named_and_nothing_is_sent(run: Run, client: redis.Redis) -> None:
    publisher = run("publisher", "hi", "--receipts", "/no/such/folder/receipts", PATTERN="queue")

    assert publisher.status == 2
    assert publisher.lines == [
        "publisher: --receipts /no/such/folder/receipts cannot be opened: No such file or directory"
    ]
    assert not client.exists("message_queue")


def test_a_full_disk_ends_it_with_one_line(run: Run) -> None:
    publisher = run("publisher", "hi", "--receipts", "/dev/full", PATTERN="queue")

    assert publisher.status == 1
    assert len(publisher.matching("--receipts /dev/full cannot be written: No space left on device", "#1")) == 1


def test_half_an_id_that_a_killed_run_left_does_not_spoil_the_next(
    run: Run, client: redis.Redis, tmp_path: Path
) -> None:
    receipts = tmp_path / "receipts"
    receipts.write_text("0b9f7a52-7c5a")

    run("publisher", "hi", "--receipts", str(receipts), PATTERN="queue")

    (raw,) = client.lrange("message_queue", 0, -1)
    assert isinstance(raw, bytes)
    assert receipts.read_text().splitlines() == ["0b9f7a52-7c5a", str(read(raw).id)]
