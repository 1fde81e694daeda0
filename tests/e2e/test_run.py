"""`townpost run module:app`, in one process: the app that is named, or one line that says why not."""

import signal

import pytest
from user_apps import Folder, pids


def test_an_app_runs_until_it_is_stopped(folder: Folder) -> None:
    service = folder.run("worker:app")
    service.wait_for("running")

    status = service.stop()

    assert status == 0
    assert len(pids(service, "stopped")) == 1
    assert pids(service, "running") == [service.pid]


def test_the_status_of_the_app_is_that_of_the_command(folder: Folder) -> None:
    folder.write("brief.py", "class App:\n    def run(self): return 7\napp = App()")

    assert folder.run("brief:app").wait() == 7


def test_concurrency_is_a_setting_of_the_app(folder: Folder) -> None:
    folder.write("brief.py", "import os\nclass App:\n    def run(self): print(os.environ['CONCURRENCY'])\napp = App()")

    service = folder.run("brief:app", "--concurrency", "7", CONCURRENCY="3")

    assert (service.wait(), service.lines) == (0, ["7"])


@pytest.mark.parametrize("number", ["0", "-1", "many", "\N{SUPERSCRIPT TWO}"])
@pytest.mark.parametrize("option", ["--concurrency", "--processes"])
def test_a_number_is_a_whole_number_from_1(folder: Folder, option: str, number: str) -> None:
    service = folder.run("worker:app", f"{option}={number}")

    assert service.wait() == 2
    assert service.lines[-1] == (f"townpost run: error: argument {option}: '{number}' is not a whole number from 1")


@pytest.mark.parametrize("name", ["worker", ":app", "worker:", ""])
def test_a_name_has_a_module_and_an_app(folder: Folder, name: str) -> None:
    service = folder.run(name)

    assert (service.wait(), service.lines) == (
        2,
        [f"townpost: '{name}' names no app: write it as package.module:app"],
    )


def test_a_module_that_is_not_there_is_named(folder: Folder) -> None:
    service = folder.run("absent:app")

    assert (service.wait(), service.lines) == (
        2,
        ["townpost: absent cannot be imported: ModuleNotFoundError: No module named 'absent'"],
    )


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("\n\nimport nowhere", "ModuleNotFoundError: No module named 'nowhere' (broken.py:3)"),
        ("x = 1\nx.y", "AttributeError: 'int' object has no attribute 'y' (broken.py:2)"),
        ("def f(:\n  pass", "SyntaxError: invalid syntax (broken.py:1)"),
        ("import json\njson.loads('')", "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (broken.py:2)"),
        ("raise ValueError('two\\nlines \\x1b[2J')", r"ValueError: two\nlines \x1b[2J (broken.py:1)"),
        ("raise SystemExit", "SystemExit (broken.py:1)"),
        ("class E(Exception):\n    def __str__(self): 1/0\nraise E", "(its text cannot be had: ZeroDivisionError)"),
    ],
    ids=["import", "error", "syntax", "in a library", "text", "exit", "untold"],
)
def test_a_module_that_fails_is_one_line_with_its_place(folder: Folder, source: str, line: str) -> None:
    folder.write("broken.py", source)

    service = folder.run("broken:app")

    assert service.wait() == 2
    (said,) = service.lines
    assert said.startswith("townpost: broken cannot be imported: ")
    assert line in said


def test_the_place_is_where_it_failed_and_not_where_it_was_imported(folder: Folder) -> None:
    folder.write("outer.py", "import inner")
    folder.write("inner.py", "\n\n1 / 0")

    service = folder.run("outer:app")

    assert (service.wait(), service.lines) == (
        2,
        ["townpost: outer cannot be imported: ZeroDivisionError: division by zero (inner.py:3)"],
    )


def test_an_app_that_is_missing_is_named_with_one_that_is_there(folder: Folder) -> None:
    service = folder.run("worker:ap")

    assert (service.wait(), service.lines) == (2, ["townpost: worker has no 'ap'; did you mean app?"])


@pytest.mark.parametrize(
    ("name", "what"), [("os", "a module"), ("App", "the class App"), ("n", "a int"), ("none", "a NoneType")]
)
def test_what_is_no_app_is_named(folder: Folder, name: str, what: str) -> None:
    folder.write("other.py", "import os\nn = 5\nnone = None\nclass App:\n    def run(self): return 0")

    service = folder.run(f"other:{name}")

    assert (service.wait(), service.lines) == (
        2,
        [f"townpost: other:{name} is {what}, not an App: make one with app = App() and name that"],
    )


def test_a_setting_that_cannot_be_used_is_one_line(folder: Folder) -> None:
    service = folder.run("worker:app", REDIS_PORT="none")

    assert service.wait() == 2
    (said,) = service.lines
    assert said.startswith("townpost: REDIS_PORT cannot be used")


def test_an_interrupt_during_the_import_says_nothing(folder: Folder) -> None:
    folder.write("slow.py", "import time\nprint('importing', flush=True)\ntime.sleep(30)")
    service = folder.run("slow:app")
    service.wait_for("importing")

    service.signal(signal.SIGINT)

    assert (service.wait(), service.lines) == (130, ["importing"])
