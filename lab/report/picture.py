"""The matrix as an SVG: no font, script or address from elsewhere, readable in light and dark."""

from xml.sax.saxutils import escape

from lab.faults import FAULTS
from lab.report.cells import Judgement, judgement, words
from lab.trials.run import Matrix
from lab.trials.subjects import SUBJECTS
from lab.trials.trial import Cell

__all__ = ["draw"]

_LABEL, _COLUMN, _ROW, _HEAD, _FOOT, _MARGIN, _GAP = 216, 128, 38, 78, 62, 16, 3

_STYLE = """
  svg { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 12px }
  .page { fill: #ffffff } .ink { fill: #1d2430 } .faint { fill: #5b6675; font-size: 11px }
  .title { font-size: 17px; font-weight: 600 } .head { font-weight: 600 } .small { font-size: 11px }
  .kept { fill: #d3efd8 } .lossy { fill: #fbe6b0 } .broken { fill: #e5484d } .absent, .failed { fill: #eceff3 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #14181f } .ink { fill: #e8ecf2 } .faint { fill: #9aa5b4 }
    .kept { fill: #1d4a2a } .lossy { fill: #5c4712 } .broken { fill: #c0272d } .absent, .failed { fill: #232a34 }
  }
""".strip("\n")

_LEGEND = {
    Judgement.KEPT: "nothing lost",
    Judgement.LOSSY: "lost, and never promised otherwise",
    Judgement.BROKEN: "a promise was broken",
    Judgement.ABSENT: "not run yet",
}


def draw(matrix: Matrix) -> str:
    """One row for each fault, one column for each pattern."""
    width = _MARGIN * 2 + _LABEL + _COLUMN * len(matrix.subjects)
    height = _HEAD + _ROW * len(matrix.faults) + _FOOT
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="What each pattern lost under each fault">'
    )
    parts = [
        opening,
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
        _text(_MARGIN, 30, "What was lost when things broke", "ink title"),
    ]
    for column, name in enumerate(matrix.subjects):
        kind = "faint" if SUBJECTS[name].promises is None else "ink head"
        parts.append(_text(_left(column) + _COLUMN / 2, _HEAD - 12, SUBJECTS[name].title, kind, middle=True))
    for row, fault in enumerate(matrix.faults):
        top = _HEAD + row * _ROW
        parts.append(_text(_MARGIN, top + _ROW / 2 + 4, FAULTS[fault].title, "ink"))
        for column, subject in enumerate(matrix.subjects):
            parts += _cell(matrix.cell(fault, subject), _left(column), top)
    parts += _legend(_HEAD + _ROW * len(matrix.faults) + 16)
    foot = (
        f"lost: acknowledged by Redis, never handled · forgotten: Redis itself had it no more · "
        f"seconds: time to recover · seed {matrix.seed}, {matrix.versions['server']}"
    )
    parts.append(_text(_MARGIN, height - 14, foot, "faint"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _left(column: int) -> float:
    return _MARGIN + _LABEL + column * _COLUMN


def _cell(cell: Cell | None, left: float, top: float) -> list[str]:
    judged = judgement(cell)
    first, rest = words(cell)
    middle = left + _COLUMN / 2
    box = (
        f'<rect class="{judged.name.lower()}" x="{left + _GAP / 2:g}" y="{top + _GAP / 2:g}" '
        f'width="{_COLUMN - _GAP}" height="{_ROW - _GAP}" rx="4"/>'
    )
    if not rest:
        brief = first.partition(":")[0]  # why it was not run stands in the table
        return [box, _text(middle, top + _ROW / 2 + 4, brief, "faint", middle=True)]
    return [
        box,
        _text(middle, top + 17, f"{judged.sign} {first}", "ink", middle=True),
        _text(middle, top + 31, rest, "faint", middle=True),
    ]


def _legend(top: float) -> list[str]:
    parts = []
    left = float(_MARGIN)
    for judged, meaning in _LEGEND.items():
        parts.append(
            f'<rect class="{judged.name.lower()}" x="{left:g}" y="{top - 1:g}" width="14" height="14" rx="3"/>'
        )
        parts.append(_text(left + 20, top + 10, f"{judged.sign} {meaning}", "ink small"))
        left += 60 + 6.2 * len(meaning)
    return parts


def _text(x: float, y: float, text: str, kind: str, *, middle: bool = False) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{anchor}>{escape(text)}</text>'
