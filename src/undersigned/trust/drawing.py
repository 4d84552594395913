"""Trust paths as a drawing: values in, SVG out. Names are data of others, so all text is escaped.

Source: protocol-spec/12-trust.md, sections 12.3 to 12.5
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import escape

from undersigned.encoding import Did
from undersigned.trust.edge import Edge, written
from undersigned.trust.graph import Path

__all__ = ["draw_paths", "drawn_text"]

WIDTH: Final = 270
HEIGHT: Final = 64
BOX: Final = (160, 36)
MAX_NAME: Final = 26
MAX_LABEL: Final = 24
"""Characters beside an arrow: what is longer would be drawn over the boxes of others."""
_HEAD: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z"/></marker></defs>'
)


def draw_paths(
    party: Did,
    paths: Sequence[Path],
    dissent: Iterable[Edge] = (),
    *,
    title: str = "Trust paths",
    names: Mapping[Did, str] = MappingProxyType({}),
) -> str:
    """An SVG document: anchors left, the party right, a column for each link; accusations in red, dashed.

    A party is drawn under the name that we have for it, or its DID. Equal values give an equal document.
    """
    edges = list({edge.digest: edge for path in paths for edge in path.edges}.values())
    against = sorted(dissent, key=lambda edge: edge.digest)
    column: dict[Did, int] = {}
    for path in paths:
        for place, edge in enumerate(path.edges):
            column[edge.source] = max(column.get(edge.source, 0), place)
            column[edge.target] = max(column.get(edge.target, 0), place + 1)
    column.setdefault(party, 0)
    column[party] = max(column.values())
    for edge in against:
        column.setdefault(edge.target, max(0, column[party] - 1))
        column.setdefault(edge.source, max(0, column[edge.target] - 1))
    place = _places(column, [*edges, *against])
    width, height = (max(at) + size for at, size in zip(zip(*place.values(), strict=True), (190, 72), strict=True))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" role="img">',
        f"<title>{drawn_text(title)}</title>",
        _HEAD,
    ]
    parts += [_arrow(place, edge, edge.kind + (f" {written(edge.weight)}" if edge.weight else "")) for edge in edges]
    parts += [_arrow(place, edge, f"accuses: {edge.says}", "#b00020") for edge in against]
    accused = {edge.target for edge in against}
    parts += [
        _box(did, names.get(did, did), place[did], own=did == party, accused=did in accused) for did in sorted(column)
    ]
    return "\n".join([*parts, "</svg>", ""])


def _places(column: dict[Did, int], edges: Iterable[Edge]) -> dict[str, tuple[int, int]]:
    """The left upper corner of each party's box, and of the free places by which a long link passes the columns in
    between; those have the names that `_passes` gives.
    """
    columns: dict[str, int] = dict(column)
    before: dict[str, list[str]] = {}
    for edge in edges:
        way = [edge.source, *_passes(edge, column[edge.target] - column[edge.source]), edge.target]
        for step, (one, other) in enumerate(pairwise(way), start=column[edge.source] + 1):
            columns.setdefault(other, step)
            before.setdefault(other, []).append(one)
    rows: dict[str, int] = {}
    taken: dict[int, int] = {}
    for at in range(max(columns.values()) + 1):
        # Beside those it comes from, so that few links cross.
        mean: dict[str, Fraction] = {}
        for name in (name for name in columns if columns[name] == at):
            known = [rows[one] for one in before.get(name, ()) if one in rows]
            mean[name] = Fraction(sum(known), len(known)) if known else Fraction(0)
        for name in sorted(mean, key=lambda name: (mean[name], name)):
            rows[name] = taken.get(at, 0)
            taken[at] = rows[name] + 1
    return {name: (16 + columns[name] * WIDTH, 24 + row * HEIGHT) for name, row in rows.items()}


def _passes(edge: Edge, columns: int) -> list[str]:
    """Names of the places by which a link that is so many columns long passes those in between; no DID is like them."""
    return [f"{edge.digest} {step}" for step in range(1, columns)]


def _arrow(place: dict[str, tuple[int, int]], edge: Edge, label: str, colour: str = "") -> str:
    (x1, y1), (x2, y2) = place[edge.source], place[edge.target]
    # From the right side to the left one; within a column, or backwards, from below to above.
    ahead = x2 > x1
    points = [(x1 + BOX[0], y1 + BOX[1] // 2) if ahead else (x1 + BOX[0] // 2, y1)]
    for name in _passes(edge, (x2 - x1) // WIDTH):
        x, y = place[name]
        points += [(x, y + BOX[1] // 2), (x + BOX[0], y + BOX[1] // 2)]
    points.append((x2, y2 + BOX[1] // 2) if ahead else (x2 + BOX[0] // 2, y2 + BOX[1]))
    stroke = f'stroke="{colour}" stroke-dasharray="5 3"' if colour else 'stroke="#333"'
    # Nearer to its beginning: the middles of two links that cross are one place.
    (ax, ay), (bx, by) = points[:2]
    middle = (ax + bx) // 2, ay + (by - ay) * 2 // 5 - 5
    return (
        f'<polyline points="{" ".join(f"{x},{y}" for x, y in points)}" fill="none" {stroke} marker-end="url(#tip)"/>'
        f'<text x="{middle[0]}" y="{middle[1]}" text-anchor="middle" font-size="9" fill="{colour or "#333"}">'
        f"{f'<title>{drawn_text(label)}</title>' if len(label) > MAX_LABEL else ''}"
        f"{drawn_text(_fitted(label, MAX_LABEL))}</text>"
    )


def _box(did: Did, name: str, at: tuple[int, int], *, own: bool, accused: bool) -> str:
    fill, stroke = ("#e8f0fe" if own else "#fff"), ("#b00020" if accused else "#333")
    return (
        f'<g><title>{drawn_text(did)}</title><rect x="{at[0]}" y="{at[1]}" width="{BOX[0]}" height="{BOX[1]}" rx="6" '
        f'fill="{fill}" stroke="{stroke}"/>'
        # A window of its own: letters can be wider than they are counted.
        f'<svg x="{at[0]}" y="{at[1]}" width="{BOX[0]}" height="{BOX[1]}"><text x="{BOX[0] // 2}" y="22" '
        f'text-anchor="middle">{drawn_text(_fitted(name, MAX_NAME))}</text></svg></g>'
    )


def _fitted(text: str, limit: int) -> str:
    """With both ends: two long names are often one as far as a box is wide."""
    return text if len(text) <= limit else f"{text[: limit - 9]}…{text[-8:]}"


def drawn_text(text: str) -> str:
    """Text that cannot be markup; what does not print is shown as an escape, and would not be XML otherwise."""
    return escape("".join(c if c.isprintable() else repr(c)[1:-1] for c in text), {'"': "&quot;"})
