"""The matrix as JSON, one line per cell, and back. `columns` and `verdict` name the values of a line."""

import json
from dataclasses import astuple, fields
from typing import Any

from lab.trials.checker import Verdict
from lab.trials.run import Matrix
from lab.trials.trial import Cell

__all__ = ["dumps", "loads"]


def dumps(matrix: Matrix) -> str:
    head = {
        "seed": matrix.seed,
        "subjects": matrix.subjects,
        "faults": matrix.faults,
        "versions": matrix.versions,
        "columns": [each.name for each in fields(Cell)],
        "verdict": [each.name for each in fields(Verdict)],
    }
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    for name, cells in (("cells", matrix.cells), ("suspects", matrix.suspects)):
        lines = ",\n".join(json.dumps(astuple(cell), separators=(",", ":")) for cell in cells)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def loads(text: str) -> Matrix:
    value = json.loads(text)

    def cell(row: list[Any]) -> Cell:  # Any: JSON
        found = dict(zip(value["columns"], row, strict=True))
        if found["verdict"] is not None:
            found["verdict"] = Verdict(**dict(zip(value["verdict"], found["verdict"], strict=True)))
        return Cell(**found | {"broken": tuple(found["broken"])})

    return Matrix(
        seed=value["seed"],
        subjects=tuple(value["subjects"]),
        faults=tuple(value["faults"]),
        cells=tuple(map(cell, value["cells"])),
        suspects=tuple(map(cell, value["suspects"])),
        versions=value["versions"],
    )
