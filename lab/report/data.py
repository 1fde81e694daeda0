"""The matrix as JSON, and back."""

import json
from dataclasses import asdict

from lab.trials.checker import Verdict
from lab.trials.run import Matrix
from lab.trials.trial import Cell

__all__ = ["dumps", "loads"]


def dumps(matrix: Matrix) -> str:
    return json.dumps(asdict(matrix), indent=1) + "\n"


def loads(text: str) -> Matrix:
    value = json.loads(text)
    return Matrix(
        seed=value["seed"],
        subjects=tuple(value["subjects"]),
        faults=tuple(value["faults"]),
        cells=tuple(map(_cell, value["cells"])),
        suspects=tuple(map(_cell, value["suspects"])),
        versions=value["versions"],
    )


def _cell(value: dict[str, object]) -> Cell:
    verdict = value["verdict"]
    broken = value["broken"]
    return Cell(
        subject=str(value["subject"]),
        fault=str(value["fault"]),
        verdict=Verdict(**verdict) if isinstance(verdict, dict) else None,
        broken=tuple(broken) if isinstance(broken, list) else (),
        problem=str(value["problem"]),
        failed=bool(value["failed"]),
        seconds=float(str(value["seconds"])),
    )
