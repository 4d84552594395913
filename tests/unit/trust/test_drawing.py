"""A drawing of trust paths is well-formed XML, whatever names and words others chose."""

from __future__ import annotations

from xml.etree import ElementTree

from trust_graphs import did, edge, view
from undersigned.trust import Graph, answer, draw_paths, reputation

SVG = "{http://www.w3.org/2000/svg}"


def test_every_party_and_link_of_the_paths_is_drawn() -> None:
    edges = [edge("r", "a", weight="0.5"), edge("a", "t"), edge("r", "b", weight="0.2"), edge("b", "t")]
    edges.append(edge("r", "c", "accusation"))
    edges += [edge("r", "c"), edge("c", "t")]
    found = answer(reputation(did("t"), "sbom", view("r")), Graph(edges).read)
    assert (found.score, len(found.dissent)) == ("0.7", 1)
    drawn = ElementTree.fromstring(draw_paths(found.party, found.paths, found.dissent))
    titles = [node.text for node in drawn.iter(f"{SVG}title")]
    assert titles == ["Trust paths", *sorted(map(did, "abcrt"))]
    assert len(list(drawn.iter(f"{SVG}line"))) == 5
    assert draw_paths(found.party, found.paths, found.dissent) == draw_paths(found.party, found.paths, found.dissent)


def test_nothing_to_draw_is_the_party_alone() -> None:
    drawn = ElementTree.fromstring(draw_paths(did("t"), ()))
    assert [node.text for node in drawn.iter(f"{SVG}title")] == ["Trust paths", did("t")]


def test_names_and_words_are_text_and_never_markup() -> None:
    hostile = '<script>alert(1)</script>"&\x00\x1b[2J\u202e'
    bad = edge("r", "t", "accusation", says=hostile)
    text = draw_paths(did("t"), (), (bad,), title=hostile)
    drawn = ElementTree.fromstring(text)
    assert "<script" not in text
    assert {node.tag for node in drawn.iter()} <= {
        SVG + name for name in ("svg", "title", "defs", "marker", "path", "g", "rect", "text", "line")
    }
