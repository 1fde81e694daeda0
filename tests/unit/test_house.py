"""The top level has few entries, and generated data is small."""

import subprocess

from lab.processes import ROOT


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_the_top_level_has_at_most_twenty_entries_besides_hidden_ones() -> None:
    top = {path.partition("/")[0] for path in _tracked()}

    assert len([name for name in top if not name.startswith(".")]) <= 20


def test_generated_figures_stay_small() -> None:
    assert (ROOT / "docs" / "data" / "bench.json").stat().st_size < 100_000
    assert (ROOT / "docs" / "data" / "faults.json").stat().st_size < 30_000
