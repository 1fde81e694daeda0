"""Apps of a user for `townpost run`, in a folder of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.processes import ROOT, Process

STUB = """
import os, signal, sys, time

class App:
    def run(self):
        self.signals = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        self.say("running")
        while not self.signals:
            time.sleep(0.02)
        self.say("stopped")
        return 0

    def stop(self, number, frame):
        self.signals += 1

    def say(self, word):
        os.write(1, f"{word} {os.getpid()}\\n".encode())

app = App()
"""
"""An app that says when it runs, and stops well."""


class Folder:
    """Where a user writes modules and runs `townpost run`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[Process] = []

    def write(self, name: str, source: str) -> None:
        """A module; replaced in one step, as editors do."""
        draft = self.path / f"{name}.draft"
        draft.write_text(source)
        draft.replace(self.path / name)

    def run(self, *arguments: str, **environment: str) -> Process:
        process = Process(
            "townpost",
            "run",
            *arguments,
            environment={"PYTHONPATH": str(ROOT / "shared"), **environment},
            folder=self.path,
        )
        self.started.append(process)
        return process


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """With the stub in `worker.py`."""
    path = tmp_path / "mine"
    path.mkdir()
    folder = Folder(path)
    folder.write("worker.py", STUB)
    yield folder
    for process in folder.started:
        if process.status is None:
            process.kill()


def pids(process: Process, word: str) -> list[int]:
    """Of the processes that have printed this word."""
    return [int(line.split()[1]) for line in process.matching(f"{word} ") if line.startswith(word)]
