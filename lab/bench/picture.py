"""The main figures as one SVG: dots on a log scale (a bar would need a zero), readable on a light and a dark page.

Of whom there are two settings, the better one is shown; the tables of docs/performance.md have both, and all measures.
"""

import math
from collections.abc import Sequence
from html import escape

from lab.bench.figures import NAIVE, Figure, Result, spread
from lab.bench.table import number

__all__ = ["svg"]

_PANELS = (
    ("drain", "drain", "emptying a queue, messages a second (more is better)"),
    ("latency", "p50", "from sent to handled at 200 messages a second, p50 in us (less is better)"),
    ("memory", "memory", "Redis memory for a waiting message, bytes (less is better)"),
)
_WIDTH, _ROW, _LABEL, _VALUE = 860, 20, 250, 70
_SCALE = _WIDTH - _LABEL - _VALUE
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; } .note { fill: #59636e; }
  .townpost { fill: #1a7f37; stroke: #1a7f37; } .line { fill: #0969da; stroke: #0969da; }
  .peer { fill: #9a6700; stroke: #9a6700; } .spread { stroke-width: 2; } .grid { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .note { fill: #9198a1; }
    .townpost { fill: #3fb950; stroke: #3fb950; } .line { fill: #4493f8; stroke: #4493f8; }
    .peer { fill: #d29922; stroke: #d29922; } .grid { stroke: #3d444d; }
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
            panel, y = _panel(_better(rows), title, y)
            parts += panel
    note = ", ".join(f"{name} {value}" for name, value in result.context.items() if name not in ("versions", "seconds"))
    parts.append(f'<text class="note" x="10" y="{y + 14}">{escape(note)}</text>')
    height = y + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img"><title>Townpost beside others</title><style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _better(rows: Sequence[Figure]) -> Sequence[Figure]:
    """Best first, each contestant once."""
    ordered = sorted(rows, key=lambda figure: spread(figure.values)[1], reverse=rows[0].more_is_better)
    best: dict[str, Figure] = {}
    for figure in ordered:
        best.setdefault(figure.contestant.removesuffix(", plain").removesuffix(", tuned"), figure)
    return list(best.values())


def _panel(rows: Sequence[Figure], title: str, y: int) -> tuple[list[str], int]:
    floor = math.floor(math.log10(max(min(spread(figure.values)[0] for figure in rows), 1e-3)))
    top = math.ceil(math.log10(max(spread(figure.values)[2] for figure in rows)) + 1e-9)

    def at(value: float) -> float:
        return _LABEL + _SCALE * (math.log10(max(value, 10.0**floor)) - floor) / (top - floor)

    parts = [f'<text class="title" x="10" y="{y + 16}">{escape(title)}</text>']
    y += 42
    bottom = y + _ROW * len(rows)
    for power in range(floor, top + 1):
        x = at(10.0**power)
        parts += [
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 4}" y2="{bottom}"/>',
            f'<text class="note" x="{x:.1f}" y="{y - 8}" text-anchor="middle">{number(10.0**power)}</text>',
        ]
    for figure in rows:
        low, median, high = spread(figure.values)
        middle = y + _ROW // 2
        kind = _kind(figure)
        parts += [
            f'<text x="{_LABEL - 12}" y="{middle + 4}" text-anchor="end">{escape(figure.contestant)}</text>',
            f'<line class="spread {kind}" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" y2="{middle}"/>',
            f'<circle class="{kind}" cx="{at(median):.1f}" cy="{middle}" r="5"/>',
            f'<text x="{max(at(high), at(median) + 5) + 7:.1f}" y="{middle + 4}">{number(median)}</text>',
        ]
        y += _ROW
    return parts, y + 22


def _kind(figure: Figure) -> str:
    if figure.contestant.startswith("townpost"):
        return "townpost"
    return "line" if figure.contestant.startswith((NAIVE, "limit", "bare")) else "peer"
