"""A trace as a picture: one SVG file that needs nothing else, without script. Names are data of others: text alone.

Source: protocol-spec/19-trace.md, section 19.4
"""

from __future__ import annotations

from typing import Final

from undersigned.trace.step import State, TraceStep
from undersigned.trust import drawn_text

__all__ = ["draw_trace"]

ROW: Final = 34
INDENT: Final = 26
WIDTH: Final = 1120
MAX_TEXT: Final = 130
COLOURS: Final[dict[State, tuple[str, str]]] = {
    "verified": ("#1b7f3b", "verified"),
    "stated": ("#2f5fa8", "stated, not more"),
    "missing": ("#8a6d00", "not in the evidence"),
    "failed": ("#b00020", "does not hold"),
}


def draw_trace(tree: TraceStep, *, title: str = "Trace") -> str:
    """An SVG document: a row for each step, below the step that it follows from; what was checked is its colour and is
    written beside it. Equal trees give an equal document.
    """
    rows: list[tuple[int, TraceStep]] = []
    lines: list[str] = []
    _place(tree, 0, rows, lines)
    height = (len(rows) + 2) * ROW
    width = max(WIDTH, 24 + max(depth for depth, _ in rows) * INDENT + 860)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" role="img">',
        f"<title>{drawn_text(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *(
            f'<circle cx="{24 + place * 190}" cy="16" r="5" fill="{colour}"/>'
            f'<text x="{36 + place * 190}" y="20" fill="#222">{drawn_text(words)}</text>'
            for place, (colour, words) in enumerate(COLOURS.values())
        ),
        *lines,
        *(_row(depth, number, step) for number, (depth, step) in enumerate(rows)),
    ]
    return "\n".join([*parts, "</svg>", ""])


def _place(step: TraceStep, depth: int, rows: list[tuple[int, TraceStep]], lines: list[str]) -> int:
    """Gives the step and all below it a row each, and draws what ties them; returns its row."""
    own = len(rows)
    rows.append((depth, step))
    x, top = 24 + depth * INDENT, _middle(own) + 6
    for below in step.steps:
        row = _place(below, depth + 1, rows, lines)
        lines.append(f'<path d="M{x} {top}V{_middle(row)}H{x + INDENT - 6}" fill="none" stroke="#bbb"/>')
    return own


def _middle(row: int) -> int:
    return (row + 1) * ROW + ROW // 2


def _row(depth: int, number: int, step: TraceStep) -> str:
    x, y = 24 + depth * INDENT, _middle(number)
    colour = COLOURS[step.state][0]
    whole = f"{step.kind} {step.name}: {step.text}. {step.why}"
    return (
        f"<g><title>{drawn_text(whole)}</title>"
        f'<circle cx="{x}" cy="{y}" r="5" fill="{"#fff" if step.told else colour}" stroke="{colour}"/>'
        f'<text x="{x + 12}" y="{y}" fill="#222"><tspan font-weight="bold">{step.kind}</tspan> '
        f"{drawn_text(_short(step.text))}</text>"
        f'<text x="{x + 12}" y="{y + 13}" fill="{colour}" font-size="9">{step.state}: {drawn_text(_short(step.why))}'
        f"{f' · {drawn_text(step.name[:60])}' if step.name else ''}</text></g>"
    )


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
