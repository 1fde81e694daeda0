"""The checkout, installed by pip where a user has modules called `shared` and `tasks`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from lab.processes import ROOT

pytestmark = pytest.mark.slow

SOURCES = ("shared", "dashboard", "pyproject.toml", "README.md", "LICENSE")
TASKS = """
import shared

MINE = "tasks"

class App:
    def run(self):
        print(shared.MINE, flush=True)
        return 0

app = App()
"""
LEAVE_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def said(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")}
    return subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def copy(folder: Path) -> None:
    """A build leaves files beside its sources: not beside ours."""
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEAVE_OUT)
        else:
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with nothing but the wheel; what it needs is that of this one."""
    base = tmp_path_factory.mktemp("wheel")
    copy(base / "checkout")
    assert said(sys.executable, "-m", "venv", base / "venv", folder=base).returncode == 0
    pip = (base / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    installed = said(*pip, "install", "--quiet", "--no-deps", base / "checkout", folder=base)
    if "setuptools" in installed.stderr and "No matching distribution" in installed.stderr:
        pytest.skip("no network: pip cannot get setuptools to build with")
    assert installed.returncode == 0, installed.stderr
    (packages,) = (base / "venv" / "lib").glob("python*/site-packages")
    (packages / "needs.pth").write_text(f"{Path(redis.__file__).parents[1]}\n")
    return base / "venv" / "bin"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's folder."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "shared.py").write_text("MINE = 'shared'\n")
    (folder / "tasks.py").write_text(TASKS)
    return folder


def test_only_townpost_is_installed(programs: Path) -> None:
    (packages,) = (programs.parent / "lib").glob("python*/site-packages")
    (record,) = packages.glob("townpost-*.dist-info/RECORD")

    tops = {line.partition("/")[0] for line in record.read_text().splitlines() if not line.startswith("..")}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"townpost", "townpost_dashboard"}


def test_every_file_that_is_not_python_is_there(programs: Path) -> None:
    (packages,) = (programs.parent / "lib").glob("python*/site-packages")

    for name, folder in (("townpost", ROOT / "shared" / "townpost"), ("townpost_dashboard", ROOT / "dashboard")):
        for file in folder.rglob("*"):
            if file.suffix in (".lua", ".js", ".css", ".html", ".svg", ".typed", ".woff2"):
                assert (packages / name / file.relative_to(folder)).is_file(), file


def test_the_command_helps(programs: Path, mine: Path) -> None:
    helped = said(programs / "townpost", "--help", folder=mine)
    version = said(programs / "townpost", "--version", folder=mine)

    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: townpost ")
    assert version.stdout == "townpost 0.2.0\n"


def test_a_users_own_modules_are_theirs(programs: Path, mine: Path) -> None:
    code = "import townpost, shared, tasks; print(shared.MINE, tasks.MINE, townpost.__file__)"

    imported = said(programs / "python", "-c", code, folder=mine)

    assert imported.returncode == 0, imported.stderr
    assert imported.stdout.startswith("shared tasks ")
    assert str(programs.parent) in imported.stdout


def test_every_public_name_is_there(programs: Path, mine: Path) -> None:
    code = "import townpost; print([getattr(townpost, name) for name in townpost.__all__])"

    assert said(programs / "python", "-c", code, folder=mine).stderr == ""


@pytest.mark.parametrize("options", [(), ("--reload",)], ids=["one process", "a child"])
def test_an_app_in_the_folder_runs(programs: Path, mine: Path, options: tuple[str, ...]) -> None:
    command = [str(programs / "townpost"), "run", "tasks:app", *options]

    with subprocess.Popen(command, cwd=mine, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shared\n"
        process.terminate()


def test_the_dashboard_is_in_it(programs: Path, mine: Path) -> None:
    helped = said(programs / "townpost", "dashboard", "health", folder=mine)

    assert helped.stderr == "unhealthy: HEALTH_FILE is not set: there is no report to check\n"
