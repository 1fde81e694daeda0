"""The matrix as a Markdown table, and its place in a document."""

from pathlib import Path

from lab.faults import FAULTS
from lab.report.cells import Judgement, judgement, words
from lab.trials.run import Matrix
from lab.trials.subjects import SUBJECTS
from lab.trials.trial import Cell

__all__ = ["renew", "table"]

_BEGIN, _END = "<!-- matrix: written by `python -m lab faults --out docs` -->", "<!-- end of matrix -->"


def table(matrix: Matrix) -> str:
    """With a line on where it was measured."""
    titles = [SUBJECTS[name].title for name in matrix.subjects]
    lines = [f"| fault | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for fault in matrix.faults:
        cells = [_cell(matrix.cell(fault, subject)) for subject in matrix.subjects]
        lines.append(f"| {FAULTS[fault].title} | {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {value}" for name, value in matrix.versions.items() if name != "server")
    signs = "; ".join(f"{each.sign} {each.meaning}" for each in Judgement if each is not Judgement.FAILED)
    lines += ["", f"{signs}. Seed {matrix.seed}, {matrix.versions['server']}, {versions}."]
    return "\n".join(lines) + "\n"


def renew(document: Path, matrix: Matrix) -> bool:
    """Put the table in its place in a document; whether it has one."""
    text = document.read_text() if document.exists() else ""
    if _BEGIN not in text or _END not in text:
        return False
    before, rest = text.split(_BEGIN)
    document.write_text(f"{before}{_BEGIN}\n{table(matrix)}{_END}{rest.split(_END)[1]}")
    return True


def _cell(cell: Cell | None) -> str:
    first, rest = words(cell)
    return f"{judgement(cell).sign} {first}" + (f"<br>{rest}" if rest else "")
