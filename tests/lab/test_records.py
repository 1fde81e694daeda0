"""Files are read while others write them: what is half written is not there yet."""

from pathlib import Path

import pytest

from lab.trials.records import Records


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def write(records: Records, process: str, text: str) -> None:
    with (records.folder / f"{process}.journal").open("a") as file:
        file.write(text)


def receive(records: Records, text: str) -> None:
    with records.receipts.open("a") as file:
        file.write(text)


def test_without_files_there_is_nothing(records: Records) -> None:
    records.refresh()

    assert not records.acknowledged
    assert not records.deliveries


def test_a_receipt_is_an_acknowledged_id(records: Records) -> None:
    records.attempted = {"x": 1.0, "y": 2.0}
    receive(records, "x\ny\n")

    records.refresh()

    assert records.acknowledged == {"x", "y"}


def test_half_a_receipt_is_none_until_it_is_whole(records: Records) -> None:
    records.attempted = {"x": 1.0, "long-id": 2.0}
    receive(records, "x\nlong")
    records.refresh()
    assert records.acknowledged == {"x"}

    receive(records, "-id\n")
    records.refresh()

    assert records.acknowledged == {"x", "long-id"}


def test_what_is_done_is_delivered(records: Records) -> None:
    write(records, "consumer1-7", "begun x 1.0\ndone x 2.5\n")

    records.refresh()

    (delivery,) = records.deliveries
    assert (delivery.id, delivery.listener, delivery.process, delivery.at) == ("x", "consumer1", "consumer1-7", 2.5)
    assert records.done == {"x"}
    assert records.heard == {"consumer1": {"x": 2.5}}
    assert records.changed == 2.5


def test_what_is_only_begun_is_not_delivered(records: Records) -> None:
    write(records, "consumer1-7", "begun x 1.0\n")

    records.refresh()

    assert not records.deliveries
    assert records.begun == 1
    assert records.busy_with("consumer1", 7) == "x"


def test_whoever_is_done_is_busy_no_more(records: Records) -> None:
    write(records, "consumer1-7", "begun x 1.0\ndone x 2.0\n")

    records.refresh()

    assert records.busy_with("consumer1", 7) == ""


@pytest.mark.parametrize("at", range(1, len("done x 2.000000\n")))
def test_half_a_line_is_read_when_it_is_whole(records: Records, at: int) -> None:
    line = "done x 2.000000\n"
    write(records, "consumer1-7", "begun x 1.0\n" + line[:at])
    records.refresh()
    assert not records.deliveries

    write(records, "consumer1-7", line[at:])
    records.refresh()
    records.refresh()

    assert [delivery.at for delivery in records.deliveries] == [2.0]


def test_the_last_words_of_a_killed_process_disturb_nobody(records: Records) -> None:
    write(records, "consumer1-7", "begun x 1.0\ndone")
    write(records, "consumer1-8", "begun x 3.0\ndone x 4.0\n")

    records.refresh()

    assert [delivery.process for delivery in records.deliveries] == ["consumer1-8"]


def test_each_delivery_is_kept_and_the_first_is_remembered(records: Records) -> None:
    write(records, "consumer1-7", "done x 1.0\n")
    records.refresh()
    write(records, "consumer1-7", "done x 2.0\n")
    records.refresh()

    assert len(records.deliveries) == 2
    assert records.heard["consumer1"]["x"] == 1.0


def test_half_an_id_that_a_killed_publisher_left_is_no_acknowledgement(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.attempted = {"1" * 36: 1.0, "2" * 36: 2.0}
    records.receipts.write_text(f"{'1' * 20}\n{'2' * 36}\n")

    records.refresh()

    assert records.acknowledged == {"2" * 36}
