"""The embedded index as a file: who shares it, and what may be wrong with it."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from made import put

from tasks.index.contract import Criteria, IndexUnavailableError
from tasks.index.fts import FtsIndex
from townpost.errors import SettingError


def _open(path: Path) -> None:
    index = FtsIndex(path)
    index.open()
    index.close()


def test_another_process_reads_what_was_written(tmp_path: Path) -> None:
    writer, reader = FtsIndex(tmp_path / "index.db"), FtsIndex(tmp_path / "index.db")
    for index in (writer, reader):
        index.open()

    writer.apply([put("buy milk")])

    assert reader.search(Criteria(text="milk")).total == 1
    writer.close()
    reader.close()


def test_processes_that_open_a_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(tmp_path / "index.db",)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0] * 4


def test_a_file_of_another_kind_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_text("certainly not a database, but some long text" * 100)

    with pytest.raises(SettingError, match=r"INDEX_URL cannot be used: .*index\.db: file is not a database"):
        _open(tmp_path / "index.db")


def test_a_missing_folder_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="there is no folder"):
        _open(tmp_path / "nowhere" / "index.db")


def test_a_folder_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is a folder"):
        _open(tmp_path)


def test_a_batch_that_fails_half_way_leaves_nothing_of_it(tmp_path: Path) -> None:
    # Given an index that will refuse the second of two tasks
    index = FtsIndex(tmp_path / "index.db")
    index.open()
    with sqlite3.connect(tmp_path / "index.db") as db:
        db.execute(
            "CREATE TRIGGER t BEFORE INSERT ON tasks WHEN new.priority = 'high' BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    db.close()

    # When both are applied at once
    with pytest.raises(IndexUnavailableError, match="full"):
        index.apply([put("buy milk"), put("buy tea", priority="high")])

    # Then neither is there, and the index can be used again
    assert index.search(Criteria()).total == 0
    assert index.apply([put("buy milk")]) == 1
    index.close()


def test_what_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailableError, match="not open"):
        FtsIndex(tmp_path / "index.db").apply([put("buy milk")])
