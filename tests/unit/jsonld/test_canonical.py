"""RDFC-1.0 behind its guard: sorting, limits, and the bound on work."""

from __future__ import annotations

from typing import Any

import pyoxigraph as ox
import pytest

from support import refuses
from undersigned.errors import FormatError
from undersigned.jsonld import CANON_LIMITS, CanonLimits, canonical_quads
from undersigned.jsonld.labels import BlankNodes, check_work

P, Q = ox.NamedNode("urn:x:p"), ox.NamedNode("urn:x:q")


def blank(name: Any) -> ox.BlankNode:
    return ox.BlankNode(f"b{name}")


def ring(size: int) -> list[ox.Quad]:
    return [ox.Quad(blank(place), P, blank((place + 1) % size)) for place in range(size)]


def both_ways(size: int) -> list[ox.Quad]:
    return ring(size) + [ox.Quad(blank((place + 1) % size), P, blank(place)) for place in range(size)]


def clique(size: int) -> list[ox.Quad]:
    return [ox.Quad(blank(one), P, blank(other)) for one in range(size) for other in range(size) if one != other]


def twins(size: int) -> list[ox.Quad]:
    return [ox.Quad(blank(one), P, blank(f"{one}c{child}")) for one in range(2) for child in range(size)]


def pairs(layers: int) -> list[ox.Quad]:
    """No more than two nodes are alike anywhere: each of a layer leads to both of the next."""
    return [
        quad
        for layer in range(layers)
        for one in range(2)
        for quad in (
            ox.Quad(blank(f"{layer}p{one}"), ox.NamedNode("urn:x:layer"), ox.Literal(str(layer))),
            *(ox.Quad(blank(f"{layer}p{one}"), P, blank(f"{layer + 1}p{other}")) for other in range(2)),
        )
    ]


def labelled(quads: list[ox.Quad], texts: int, length: int) -> list[ox.Quad]:
    """With much to be hashed on every node."""
    nodes = sorted({quad.subject.value for quad in quads})
    said = [
        ox.Quad(ox.BlankNode(name), ox.NamedNode(f"urn:x:t{number}"), ox.Literal("x" * length))
        for name in nodes
        for number in range(texts)
    ]
    return quads + said


def code_of(quads: list[ox.Quad], **limits: int) -> str:
    with pytest.raises(FormatError) as raised:
        canonical_quads(quads, limits=CanonLimits(**limits))
    return raised.value.code


def test_lines_are_sorted_as_bytes_and_end_at_newlines_only() -> None:
    """Some readers end a line at U+0085 or U+2028; those stand inside a literal here."""
    quads = [
        ox.Quad(ox.NamedNode("urn:x:1"), P, ox.Literal(text))
        for text in ("\u2028b", "\u0085", "\x0b", "😀", "\uffee", "z")
    ]
    lines = canonical_quads(quads).split(b"\n")
    assert lines[-1] == b""
    assert len(lines) == 7
    assert lines[:-1] == sorted(lines[:-1])
    assert canonical_quads(quads[::-1]) == canonical_quads(quads)


def test_an_empty_dataset_has_no_lines() -> None:
    assert canonical_quads([]) == b""


def test_quads_and_blank_nodes_are_counted_inclusively() -> None:
    quads = [ox.Quad(blank(number), ox.NamedNode(f"urn:x:{number}"), ox.Literal("x")) for number in range(8)]
    assert canonical_quads(quads, limits=CanonLimits(max_quads=8, max_blank_nodes=8))
    assert code_of(quads, max_quads=7) == "canon_limit"
    assert code_of(quads, max_blank_nodes=7) == "canon_limit"
    assert CANON_LIMITS == (4096, 64, 10_000)


def test_the_same_quad_counts_once() -> None:
    quad = ox.Quad(ox.NamedNode("urn:x:1"), P, ox.Literal("x"))
    assert canonical_quads([quad] * 5000, limits=CanonLimits(max_quads=1))


def test_nodes_without_ties_cost_no_step() -> None:
    """However many, and however they hang together: first-degree hashes tell them apart."""
    chain = [ox.Quad(blank(place), ox.NamedNode(f"urn:x:{place}"), blank(place + 1)) for place in range(60)]
    assert canonical_quads(chain, limits=CanonLimits(max_steps=0))


@pytest.mark.parametrize("quads", [clique(6), clique(10), twins(6), twins(12), both_ways(40), pairs(10)], ids=len)
def test_poison_is_refused(quads: list[ox.Quad]) -> None:
    assert code_of(quads) == "canon_limit"


@pytest.mark.parametrize(
    "quads", [clique(4), clique(5), twins(4), ring(32), both_ways(16), ring(3) + clique(0)], ids=len
)
def test_small_ties_are_resolved(quads: list[ox.Quad]) -> None:
    """Honest documents have equal parts too; their labels do not depend on the names given."""
    renamed = [
        ox.Quad(ox.BlankNode(f"z{quad.subject.value}"), quad.predicate, ox.BlankNode(f"z{quad.object.value}"))
        for quad in quads
    ]
    assert canonical_quads(quads) == canonical_quads(renamed[::-1])


JUST_INSIDE = {
    "ring": ring(48),
    "clique": clique(5),
    "twins": twins(5),
    "both ways": both_ways(24),
    "texts on a ring": labelled(ring(16), 10, 300),
    "a longer one on a clique": labelled(clique(4), 1, 5000),
}
"""Graphs just inside the limit that is used. How long they take: `make bench ARGS=--graphs`."""


@pytest.mark.parametrize("quads", JUST_INSIDE.values(), ids=JUST_INSIDE)
def test_what_lies_just_inside_the_limit_is_let_through(quads: list[ox.Quad]) -> None:
    """With a tenth of the steps none is, so these are what the limit is about."""
    assert canonical_quads(quads)
    with refuses(FormatError, "canon_limit"):
        check_work(BlankNodes(quads, "sha256"), CANON_LIMITS.max_steps // 10)


@pytest.mark.parametrize("quads", [ring(50), ring(51)], ids=len)
def test_steps_are_counted_as_the_page_has_it(quads: list[ox.Quad]) -> None:
    """From each of n nodes to n nodes, with two links and two lists of one at each: 4n² (HIRE-LD-08)."""
    steps = 4 * len(quads) ** 2
    check_work(BlankNodes(quads, "sha256"), steps)
    with refuses(FormatError, "canon_limit"):
        check_work(BlankNodes(quads, "sha256"), steps - 1)


def test_the_count_does_not_depend_on_names_or_order() -> None:
    """Nor what is refused, then."""
    one = [ox.Quad(blank(0), P, blank(1), blank(2)), ox.Quad(blank(1), Q, blank(3), blank(2)), *ring(4)]
    quads = [*one, *renamed_apart(one)]
    for given in (quads, quads[::-1], renamed_apart(quads)):
        assert steps_of(given) == steps_of(quads)


def steps_of(quads: list[ox.Quad]) -> int:
    nodes, steps = BlankNodes(quads, "sha256"), 0
    while True:
        try:
            check_work(nodes, steps)
        except FormatError:
            steps += 1
        else:
            return steps


def renamed_apart(quads: list[ox.Quad]) -> list[ox.Quad]:
    def other(term: Any) -> Any:
        return ox.BlankNode(f"z{9 - int(term.value[-1])}{term.value}") if isinstance(term, ox.BlankNode) else term

    return [ox.Quad(other(quad.subject), quad.predicate, other(quad.object), other(quad.graph_name)) for quad in quads]


def test_the_name_of_a_graph_is_hashed_without_the_predicate() -> None:
    """RDFC-1.0, section 4.7.3, where nodes are alike. The lines are those of rdf-canonize."""
    n = [blank(number) for number in range(5)]
    quads = [ox.Quad(n[3], Q, n[4]), *(ox.Quad(n[one], Q, n[other], n[0]) for one, other in ((1, 3), (3, 2), (2, 1)))]
    assert canonical_quads(quads) == (
        b"_:c14n2 <urn:x:q> _:c14n0 .\n"
        b"_:c14n2 <urn:x:q> _:c14n3 _:c14n1 .\n"
        b"_:c14n3 <urn:x:q> _:c14n4 _:c14n1 .\n"
        b"_:c14n4 <urn:x:q> _:c14n2 _:c14n1 .\n"
    )


def test_a_graph_that_says_something_of_its_own_name() -> None:
    """A quad that mentions a node twice. The lines are those of rdf-canonize."""
    a, b, c = blank("a"), blank("b"), blank("c")
    quads = [
        *(ox.Quad(node, Q, node) for node in (a, c)),
        *(ox.Quad(node, Q, ox.Literal("a")) for node in (a, c)),
        *(ox.Quad(b, Q, node, b) for node in (a, c)),
        *(ox.Quad(b, Q, a), ox.Quad(c, Q, b), ox.Quad(a, Q, c)),
    ]
    assert canonical_quads(quads) == (
        b"_:c14n0 <urn:x:q> _:c14n1 _:c14n0 .\n"
        b"_:c14n0 <urn:x:q> _:c14n2 .\n"
        b"_:c14n0 <urn:x:q> _:c14n2 _:c14n0 .\n"
        b'_:c14n1 <urn:x:q> "a" .\n'
        b"_:c14n1 <urn:x:q> _:c14n0 .\n"
        b"_:c14n1 <urn:x:q> _:c14n1 .\n"
        b'_:c14n2 <urn:x:q> "a" .\n'
        b"_:c14n2 <urn:x:q> _:c14n1 .\n"
        b"_:c14n2 <urn:x:q> _:c14n2 .\n"
    )
