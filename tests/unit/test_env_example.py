"""What .env.example says is what the services do."""

import string
from pathlib import Path

import pytest
from dotenv import dotenv_values

from dashboard.settings import DashboardSettings
from tasks.settings import TasksSettings
from townpost.settings import Settings

EXAMPLE_FILE = Path(__file__).parents[2] / ".env.example"
EXAMPLE = dotenv_values(EXAMPLE_FILE)
KINDS: tuple[type[Settings], ...] = (Settings, DashboardSettings, TasksSettings)


def test_the_example_has_exactly_the_settings() -> None:
    fields = {field for kind in KINDS for field in kind.model_fields}

    assert set(EXAMPLE) == {field.upper() for field in fields}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXAMPLE)
def test_the_example_shows_the_default(monkeypatch: pytest.MonkeyPatch, name: str, kind: type[Settings]) -> None:
    monkeypatch.setenv(name, EXAMPLE[name] or "")

    assert kind.read() == kind()


def test_the_example_can_be_copied_as_it_is(tmp_path: Path) -> None:
    defaults = [kind() for kind in KINDS]

    (tmp_path / ".env").write_text(EXAMPLE_FILE.read_text())

    assert [kind.read() for kind in KINDS] == defaults


@pytest.mark.parametrize("name", EXAMPLE)
def test_every_line_of_the_example_has_its_reason_above(name: str) -> None:
    lines = EXAMPLE_FILE.read_text().splitlines()
    here = next(number for number, line in enumerate(lines) if line.startswith(f"{name}="))
    above = lines[:here]
    while above and above[-1][:1] in string.ascii_uppercase:  # neighbours may share a reason
        above.pop()

    assert above[-1].startswith("# ")
