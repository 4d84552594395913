"""A drawing of trust paths is well-formed XML, whatever names and words others chose."""

from __future__ import annotations

from itertools import pairwise
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
    assert len(list(drawn.iter(f"{SVG}polyline"))) == 5
    assert draw_paths(found.party, found.paths, found.dissent) == draw_paths(found.party, found.paths, found.dissent)


def test_no_link_is_hidden_behind_a_party_that_it_only_passes() -> None:
    """A link over two columns has a place of its own in the one between."""
    edges = [edge("r", "t", weight="0.2"), edge("r", "a", weight="0.5"), edge("a", "t", weight="0.3")]
    found = answer(reputation(did("t"), "sbom", view("r")), Graph(edges).read)
    assert len(found.paths) == 2
    drawn = ElementTree.fromstring(draw_paths(found.party, found.paths))
    boxes = [tuple(int(one.attrib[name]) for name in ("x", "y", "width", "height")) for one in drawn.iter(f"{SVG}rect")]
    links = list(drawn.iter(f"{SVG}polyline"))
    assert (len(links), len(boxes)) == (3, 3)
    for link in links:
        points = [tuple(map(int, point.split(","))) for point in link.attrib["points"].split()]
        for (ax, ay), (bx, by) in pairwise(points):
            for x, y, width, height in boxes:
                for part in range(1, 100):
                    at = ax + (bx - ax) * part / 100, ay + (by - ay) * part / 100
                    assert not (x < at[0] < x + width and y < at[1] < y + height)


def test_nothing_to_draw_is_the_party_alone() -> None:
    drawn = ElementTree.fromstring(draw_paths(did("t"), ()))
    assert [node.text for node in drawn.iter(f"{SVG}title")] == ["Trust paths", did("t")]


def test_a_party_that_has_a_name_here_is_drawn_under_it() -> None:
    found = answer(reputation(did("t"), "sbom", view("r")), Graph([edge("r", "t")]).read)
    drawn = ElementTree.fromstring(draw_paths(found.party, found.paths, names={did("t"): "Globex", did("x"): "nobody"}))
    boxes = {box.findtext(f"{SVG}title"): box.findtext(f".//{SVG}text") for box in drawn.iter(f"{SVG}g")}
    assert boxes[did("t")] == "Globex"
    assert len(boxes) == 2
    assert "Globex" not in (boxes[did("r")] or "")


def test_names_and_words_are_text_and_never_markup() -> None:
    hostile = '<script>alert(1)</script>"&\x00\x1b[2J\u202e'
    bad = edge("r", "t", "accusation", says=hostile)
    text = draw_paths(did("t"), (), (bad,), title=hostile, names={did("r"): hostile})
    drawn = ElementTree.fromstring(text)
    assert "<script" not in text
    assert {node.tag for node in drawn.iter()} <= {
        SVG + name for name in ("svg", "title", "defs", "marker", "path", "g", "rect", "text", "polyline")
    }
