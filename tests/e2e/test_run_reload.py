"""`townpost run --reload`: a change of the code starts the app anew, and a mistake in it is waited out."""

import signal

from user_apps import STUB, Folder, pids


def test_a_change_starts_it_anew(folder: Folder) -> None:
    # Given an app that runs
    service = folder.run("worker:app", "--reload")
    service.wait_for("running")

    # When its module changes
    folder.write("worker.py", STUB.replace('"running"', '"anew..."'))

    # Then the old one stops and the new one runs
    service.wait_for("anew...")
    assert len(pids(service, "stopped")) == 1
    assert service.stop() == 0
    assert len(set(pids(service, "stopped"))) == 2


def test_a_change_of_what_it_imports_counts(folder: Folder) -> None:
    folder.write("words.py", 'WORD = "one"')
    folder.write("worker.py", f'from words import WORD\nprint("word is", WORD, flush=True)\n{STUB}')
    service = folder.run("worker:app", "--reload")
    service.wait_for("running")

    folder.write("words.py", 'WORD = "two"')

    service.wait_for("word is two")
    assert service.stop() == 0


def test_another_file_does_not_count(folder: Folder) -> None:
    service = folder.run("worker:app", "--reload")
    service.wait_for("running")

    folder.write("unused.py", "")
    folder.write("notes.txt", "")
    folder.write("worker.py", f"# again\n{STUB}")

    # it is started once
    service.wait_for("running", count=2)
    assert service.stop() == 0
    assert len(pids(service, "running")) == 2


def test_a_mistake_is_waited_out(folder: Folder) -> None:
    # Given an app that runs, and then a mistake in it
    service = folder.run("worker:app", "--reload")
    service.wait_for("running")
    folder.write("worker.py", "def (:\n")
    service.wait_for("SyntaxError: invalid syntax (worker.py:1); a change of the code starts it again")

    # When it is mended
    folder.write("worker.py", STUB)

    # Then it runs, and nothing was started in between
    service.wait_for("running", count=2)
    assert len(service.matching("SyntaxError")) == 1
    assert service.stop() == 0


def test_a_module_that_is_not_there_is_waited_for(folder: Folder) -> None:
    service = folder.run("later:app", "--reload")
    service.wait_for("No module named 'later'; a change of the code starts it again")

    folder.write("later.py", STUB)

    service.wait_for("running")
    assert service.stop() == 0


def test_a_stop_ends_it_while_it_waits(folder: Folder) -> None:
    folder.write("broken.py", "1 / 0")
    service = folder.run("broken:app", "--reload")
    service.wait_for("a change of the code starts it again")

    service.signal(signal.SIGINT)

    assert service.wait() == 0
    assert len(service.lines) == 1
