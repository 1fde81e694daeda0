"""How a cell is judged and told, and that what is written can be read again."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.report import data, markdown, picture
from lab.report.cells import Judgement, judgement, words
from lab.trials.checker import Verdict
from lab.trials.run import Matrix
from lab.trials.trial import Cell


def verdict(
    *, lost: int = 0, forgotten: int = 0, duplicated: int = 0, dead: int = 0, recovery: float | None = 0.25
) -> Verdict:
    return Verdict(
        attempted=1500,
        acknowledged=1500,
        delivered=1500 - lost,
        lost=lost,
        lost_later=0,
        forgotten=forgotten,
        unexpected=0,
        duplicated=duplicated,
        recovered=0,
        dead=dead,
        reordered=0,
        recovery=recovery,
    )


def cell(
    found: Verdict | None, *, subject: str = "reliable", broken: tuple[str, ...] = (), failed: bool = False
) -> Cell:
    return Cell(subject=subject, fault="nothing", verdict=found, broken=broken, failed=failed)


MATRIX = Matrix(
    seed=7,
    subjects=("naive-queue", "reliable"),
    faults=("nothing", "failover"),
    cells=(
        cell(verdict(lost=3), subject="naive-queue"),
        cell(verdict(duplicated=2), broken=("2 came twice",)),
        Cell(subject="naive-queue", fault="failover", verdict=None, problem="not yet"),
    ),
    suspects=(cell(verdict(lost=1), subject="acks-first", broken=("lost 1",)),),
    versions={"server": "Valkey 9", "python": "3.11"},
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (cell(verdict()), Judgement.KEPT),
        (cell(verdict(duplicated=4)), Judgement.KEPT),
        (cell(verdict(lost=1)), Judgement.LOSSY),
        (cell(verdict(forgotten=1)), Judgement.LOSSY),
        (cell(verdict(recovery=None)), Judgement.LOSSY),
        (cell(verdict(), broken=("x",)), Judgement.BROKEN),
        (cell(None, failed=True), Judgement.FAILED),
        (cell(None), Judgement.ABSENT),
        (None, Judgement.ABSENT),
    ],
)
def test_each_outcome_has_its_judgement(given: Cell | None, expected: Judgement) -> None:
    assert judgement(given) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (verdict(), ("0 lost", "0.2 s")),
        (verdict(lost=1234, duplicated=5), ("1,234 lost", "5 twice \N{MIDDLE DOT} 0.2 s")),
        (verdict(forgotten=9), ("9 forgotten", "0.2 s")),
        (verdict(lost=1, forgotten=9), ("1 lost, 9 forgotten", "0.2 s")),
        (verdict(dead=1, recovery=None), ("0 lost", "1 dead \N{MIDDLE DOT} never again")),
    ],
)
def test_a_cell_is_told_in_a_few_words(given: Verdict, expected: tuple[str, str]) -> None:
    assert words(cell(given)) == expected


def test_what_cannot_be_run_here_says_why_in_the_table_and_briefly_in_the_picture() -> None:
    why = "not run: libfaketime is not installed"
    missing = Cell(subject="reliable", fault="nothing", verdict=None, problem=why)
    matrix = replace(MATRIX, cells=(missing,), subjects=("reliable",), faults=("nothing",))

    assert words(missing) == (why, "")
    assert judgement(missing) is Judgement.ABSENT
    assert f"| nothing goes wrong | \N{MIDDLE DOT} {why} |" in markdown.table(matrix)
    assert ">not run<" in picture.draw(matrix)
    assert matrix.wrong == []


def test_what_is_written_as_json_is_read_the_same() -> None:
    assert data.loads(data.dumps(MATRIX)) == MATRIX


def test_a_matrix_with_a_broken_promise_is_wrong_and_one_that_convicts_is_not() -> None:
    assert [(found.subject, found.broken) for found in MATRIX.wrong] == [("reliable", ("2 came twice",))]
    assert MATRIX.unconvicted == []


def test_the_table_is_put_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text(
        "before\n<!-- matrix: written by `python -m lab faults --out docs` -->\nwhat stood there\n"
        "<!-- end of matrix -->\nafter\n"
    )

    assert markdown.renew(document, MATRIX)
    assert markdown.renew(document, MATRIX)

    text = document.read_text()
    assert text.startswith("before\n<!-- matrix")
    assert text.endswith("<!-- end of matrix -->\nafter\n")
    assert text.count("| nothing goes wrong | \N{WHITE CIRCLE} 3 lost<br>0.2 s |") == 1
    assert "what stood there" not in text
    assert not markdown.renew(tmp_path / "none.md", MATRIX)


def test_the_picture_asks_nobody_else_for_anything() -> None:
    drawn = picture.draw(MATRIX)

    assert drawn.count("http") == 1  # the name of the format
    assert "<script" not in drawn
    assert "@import" not in drawn
    assert 'class="broken"' in drawn
