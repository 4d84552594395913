"""A trace as a picture: whole, still, and nothing that others wrote is more than text in it."""

from __future__ import annotations

from xml.etree import ElementTree

from undersigned.trace import TraceStep, draw_trace, trace
from unit.trace.test_walk import DIGEST, Hire, evidence

ODD = '"><script>alert(1)</script>\x00\x1b[31m‮&amp;'
DRAWN = {"svg", "title", "rect", "circle", "text", "tspan", "path", "g"}


def elements(drawn: str) -> set[str]:
    return {node.tag.rpartition("}")[2] for node in ElementTree.fromstring(drawn).iter()}


def test_what_others_wrote_is_text() -> None:
    """HIRE-TRC-04."""
    below = TraceStep(kind="action", name=ODD, text=ODD, state="failed", why=ODD)
    drawn = draw_trace(
        TraceStep(kind="artifact", name=DIGEST, text=ODD, state="stated", why=ODD, steps=(below,)), title=ODD
    )
    assert elements(drawn) <= DRAWN
    assert "<script" not in drawn
    assert all(c.isprintable() or c == "\n" for c in drawn)


def test_it_loads_nothing() -> None:
    """HIRE-TRC-04."""
    drawn = draw_trace(trace(DIGEST, evidence(Hire().whole())))
    for node in ElementTree.fromstring(drawn).iter():
        assert not [name for name in node.attrib if "href" in name or name.startswith("on") or name == "style"]


def test_each_step_has_a_row_and_says_its_state() -> None:
    tree = trace(DIGEST, evidence(Hire().whole()))
    drawn = draw_trace(tree)
    assert drawn.count("<g>") == len(list(tree.every))
    assert drawn == draw_trace(tree)
