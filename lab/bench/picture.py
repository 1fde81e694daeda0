"""The drain, bulk publishing and latency as one SVG: bars on a log scale, readable on a light and a dark page."""

import math
from collections.abc import Sequence
from html import escape

from lab.bench.figures import NAIVE, Figure, Result, spread
from lab.bench.table import number

__all__ = ["svg"]

_PANELS = (
    ("drain", "drain", "emptying a queue, messages a second (more is better)"),
    ("publish, bulk", "publish", "publishing in bulk, messages a second (more is better)"),
    ("receive", "receive", "hearing a channel, messages a second (more is better)"),
    ("latency", "p50", "from sent to handled at 200 messages a second, p50 in us (less is better)"),
    ("memory", "memory", "Redis memory for a waiting message, bytes (less is better)"),
)
_WIDTH, _ROW, _LABEL, _VALUE = 860, 22, 270, 120
_BAR = _WIDTH - _LABEL - _VALUE
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; } .note { fill: #59636e; }
  .townpost { fill: #1a7f37; } .line { fill: #0969da; } .peer { fill: #9a6700; } .spread { stroke: #1f2328; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; }
    .townpost { fill: #3fb950; } .line { fill: #4493f8; } .peer { fill: #d29922; } .spread { stroke: #e6edf3; }
  }
"""


def svg(result: Result) -> str:
    """Green is Townpost, blue the naive loop and the limits, yellow what others built; a line from least to most."""
    parts: list[str] = []
    y = 10
    for measure, quantity, title in _PANELS:
        rows = [f for f in result.figures if (f.measure, f.quantity) == (measure, quantity) and not f.failure]
        rows = [f for f in rows if math.isfinite(spread(f.values)[1])]
        if rows:
            panel, y = _panel(rows, title, y)
            parts += panel
    note = ", ".join(f"{name} {value}" for name, value in result.context.items() if name != "versions")
    parts.append(f'<text class="note" x="10" y="{y + 14}">{escape(note)}</text>')
    height = y + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img"><title>Townpost beside others</title><style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(rows: Sequence[Figure], title: str, y: int) -> tuple[list[str], int]:
    rows = sorted(rows, key=lambda figure: spread(figure.values)[1], reverse=rows[0].more_is_better)
    most = max(spread(figure.values)[2] for figure in rows)
    least = min(spread(figure.values)[0] for figure in rows)
    floor, top = math.log10(max(least, 1e-9)) - 0.3, math.log10(most)

    def at(value: float) -> float:
        return _LABEL + _BAR * (math.log10(max(value, 1e-9)) - floor) / max(top - floor, 1e-9)

    parts = [f'<text class="title" x="10" y="{y + 16}">{escape(title)}</text>']
    y += 26
    for figure in rows:
        low, median, high = spread(figure.values)
        middle = y + _ROW // 2
        bar = at(median) - _LABEL
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle + 4}" text-anchor="end">{escape(figure.contestant)}</text>',
            f'<rect class="{_kind(figure)}" x="{_LABEL}" y="{y + 3}" width="{bar:.1f}" height="{_ROW - 6}" rx="2"/>',
            f'<line class="spread" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text x="{at(high) + 6:.1f}" y="{middle + 4}">{number(median)}</text>',
        ]
        y += _ROW
    parts.append(f'<text class="note" x="{_LABEL}" y="{y + 13}">log scale</text>')
    return parts, y + 30


def _kind(figure: Figure) -> str:
    if figure.contestant.startswith("townpost"):
        return "townpost"
    return "line" if figure.contestant.startswith((NAIVE, "limit", "bare")) else "peer"
