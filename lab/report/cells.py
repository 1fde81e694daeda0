"""How a cell is told: a judgement that has a sign and a colour, and a few words."""

from enum import Enum

from lab.trials.subjects import SUBJECTS
from lab.trials.trial import Cell

__all__ = ["Judgement", "judgement", "words"]

_THOUSAND = 1000


class Judgement(Enum):
    """The sign, for whoever does not see the colours; and what it means."""

    KEPT = ("\N{CHECK MARK}", "nothing lost")
    LOSSY = ("\N{WHITE CIRCLE}", "lost or forgotten, as far as its promise allows")
    BROKEN = ("\N{BALLOT X}", "a declared guarantee did not hold")
    FAILED = ("?", "could not be tried")
    ABSENT = ("\N{MIDDLE DOT}", "not run yet")

    @property
    def sign(self) -> str:
        return self.value[0]

    @property
    def meaning(self) -> str:
        return self.value[1]


def judgement(cell: Cell | None) -> Judgement:
    if cell is None:
        return Judgement.ABSENT
    if cell.failed:
        return Judgement.FAILED
    if cell.verdict is None:
        return Judgement.ABSENT
    if cell.broken:
        return Judgement.BROKEN
    spared = not (cell.verdict.lost or cell.verdict.forgotten) and cell.verdict.recovery is not None
    return Judgement.KEPT if spared else Judgement.LOSSY


def words(cell: Cell | None) -> tuple[str, str]:
    """What was lost; and the rest: what came twice, how long recovery took."""
    if cell is None or cell.verdict is None:
        if cell is not None and cell.problem.startswith("not run: "):
            return (cell.problem, "")
        return ("not run yet" if cell is None or not cell.failed else "not tried", "")
    verdict = cell.verdict
    parts = [f"{_number(verdict.lost)} lost"]
    if verdict.forgotten:
        parts = ([parts[0]] if verdict.lost else []) + [f"{_number(verdict.forgotten)} forgotten"]
    if verdict.unexpected:
        parts.append(f"{_number(verdict.unexpected)} unexpected")
    rest = []
    if verdict.duplicated:
        rest.append(f"{_number(verdict.duplicated)} twice")
    if verdict.dead and SUBJECTS.get(cell.subject) is not None and SUBJECTS[cell.subject].redelivers:
        rest.append(f"{_number(verdict.dead)} dead")
    rest.append("never again" if verdict.recovery is None else f"{verdict.recovery:.1f} s")
    return ", ".join(parts), " \N{MIDDLE DOT} ".join(rest)


def _number(count: int) -> str:
    return str(count) if count < _THOUSAND else f"{count:,}"
