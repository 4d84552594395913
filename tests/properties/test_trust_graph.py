"""Both answers of the trust graph, on every small graph that hypothesis thinks of, beside definitions of their own.

The definitions here are the slow ones of the specification: a score is the smallest cut, found by trying every cut; a
chain of authority is any sequence of links that the rules allow.
"""

from __future__ import annotations

from itertools import chain, combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from support import examples
from trust_graphs import LATER, NOW, did, edge, view
from undersigned.trust import UNIT, Edge, Graph, Viewpoint, answer, authority, reputation
from undersigned.trust import entitled as everybody

NAMES = "rqabcdet"
ROOTS = ("r", "q")
VIEW = view(*ROOTS)
TYPE = "EndorsementCredential"

names = st.sampled_from(NAMES)
weights = st.sampled_from(["0.1", "0.25", "0.5", "1"])
positive = st.builds(edge, names, names, st.sampled_from(["endorsement", "performance"]), weights)
lapsed = st.builds(edge, names, names, weight=weights, status=st.sampled_from(["revoked", "suspended"]))
later = st.builds(edge, names, names, weight=weights, valid_from=st.just(LATER))
negative = st.builds(edge, names, names, st.just("accusation"))
authorities = st.builds(
    lambda a, b, depth: edge(a, b, "authority", depth=depth), names, names, st.integers(min_value=0, max_value=4)
)
sharing = st.dictionaries(names, st.lists(st.sampled_from("xyz"), max_size=1), max_size=4)
graphs = st.lists(st.one_of(positive, positive, positive, lapsed, later, negative), max_size=24, unique=True)
authority_graphs = st.lists(st.one_of(authorities, authorities, authorities, negative), max_size=20, unique=True)


def graph(edges: list[Edge], shares: dict[str, list[str]] | None = None) -> Graph:
    return Graph(edges, {did(name): keys for name, keys in (shares or {}).items()})


def score(edges: list[Edge], shares: dict[str, list[str]] | None = None, by: Viewpoint = VIEW, of: str = "t") -> int:
    found = answer(reputation(did(of), "sbom", by), graph(edges, shares).read)
    assert found.verdict == "known"
    assert 0 <= found.units <= UNIT
    return found.units


def entitled(edges: list[Edge], shares: dict[str, list[str]] | None = None, by: Viewpoint = VIEW) -> bool:
    found = answer(authority(did("t"), TYPE, "sbom", by), graph(edges, shares).read)
    assert found.verdict != "indeterminate"
    return found.entitled


def blocked_by(edges: list[Edge], shares: dict[str, list[str]]) -> set[str]:
    """Names that are accused by a root, or share a key with one that is."""
    accused = {e.target for e in edges if e.kind == "accusation" and e.counts(NOW) and e.source in map(did, ROOTS)}
    keys = {key for name, held in shares.items() if did(name) in accused for key in held}
    return {name for name in NAMES if did(name) in accused or keys & set(shares.get(name, ()))}


def defined_score(edges: list[Edge], shares: dict[str, list[str]]) -> int:
    """Section 12.4, word by word: the smallest of all cuts, over the edges on chains of at most four links."""
    out = blocked_by(edges, shares)
    if "t" in out:
        return 0
    same = {name for name in NAMES if set(shares.get(name, ())) & set(shares.get("t", ()))} | {"t"}
    arcs: dict[tuple[str, str], int] = {}
    for e in edges:
        a, b = e.source[-1], e.target[-1]
        if e.weight and a != b and e.counts(NOW) and not {a, b} & out and a not in same:
            arcs[a, b] = max(arcs.get((a, b), 0), e.weight)
    on_chains: set[tuple[str, str]] = set()

    def walk(at: str, passed: list[tuple[str, str]]) -> None:
        if at == "t":
            on_chains.update(passed)
        elif len(passed) < 4:
            for a, b in arcs:
                if a == at and b not in ROOTS:
                    walk(b, [*passed, (a, b)])

    for root in ROOTS:
        walk(root, [])
    inner = sorted({name for arc in on_chains for name in arc} - {"t", *ROOTS})
    cuts = chain.from_iterable(combinations(inner, size) for size in range(len(inner) + 1))
    least = min(
        sum(arcs[a, b] for a, b in on_chains if a in {*near, *ROOTS} and b not in {*near, *ROOTS}) for near in cuts
    )
    return min(UNIT, least)


@given(graphs, sharing)
@settings(max_examples=examples(400), deadline=None)
def test_a_score_is_the_smallest_cut(edges: list[Edge], shares: dict[str, list[str]]) -> None:
    """HIRE-TRU-07, HIRE-TRU-08."""
    assert score(edges, shares) == defined_score(edges, shares)


@given(graphs, sharing, st.integers(min_value=0, max_value=10**6))
@settings(max_examples=examples(300), deadline=None)
def test_removing_an_edge_moves_a_score_one_way(edges: list[Edge], shares: dict[str, list[str]], pick: int) -> None:
    """HIRE-TRU-09: a positive edge never raises by going, a negative one never lowers."""
    if not edges:
        return
    gone = edges[pick % len(edges)]
    before, after = score(edges, shares), score([e for e in edges if e != gone], shares)
    assert after >= before if gone.kind == "accusation" else after <= before


@given(authority_graphs, sharing)
def test_those_listed_as_entitled_are_those_who_are(edges: list[Edge], shares: dict[str, list[str]]) -> None:
    """HIRE-TRU-05: what a request lists is what a decision takes."""
    known = graph(edges, shares).read
    one_by_one = [did(name) for name in NAMES if answer(authority(did(name), TYPE, "sbom", VIEW), known).entitled]
    assert answer(everybody(TYPE, "sbom", VIEW), known).issuers == tuple(sorted(one_by_one))


@given(authority_graphs, sharing, st.integers(min_value=0, max_value=10**6))
@settings(max_examples=examples(300), deadline=None)
def test_removing_an_edge_moves_authority_one_way(edges: list[Edge], shares: dict[str, list[str]], pick: int) -> None:
    """HIRE-TRU-09."""
    if not edges:
        return
    gone = edges[pick % len(edges)]
    before, after = entitled(edges, shares), entitled([e for e in edges if e != gone], shares)
    assert after or not before if gone.kind == "accusation" else before or not after


@given(authority_graphs, sharing)
@settings(max_examples=examples(300), deadline=None)
def test_authority_is_a_chain_that_the_rules_allow(edges: list[Edge], shares: dict[str, list[str]]) -> None:
    """HIRE-TRU-05."""
    out = blocked_by(edges, shares)

    def reaches(at: str, left: int) -> bool:
        if at in out:
            return False
        if at == "t":
            return True
        return left > 0 and any(
            reaches(e.target[-1], min(left - 1, e.depth))
            for e in edges
            if e.kind == "authority" and e.source == did(at)
        )

    assert entitled(edges, shares) == any(reaches(root, 4) for root in ROOTS)


@given(graphs, st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("uvwxyz" + NAMES)), max_size=20), weights)
@settings(max_examples=examples(300), deadline=None)
def test_identities_that_nobody_endorsed_change_no_score(
    edges: list[Edge], said: list[tuple[str, str]], weight: str
) -> None:
    """HIRE-TRU-08: they may say of each other and of everybody what they like (SC-72)."""
    crowd = [edge(a, b, weight=weight) for a, b in said]
    assert score(edges + crowd) == score(edges)


@given(graphs, st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("uvwxyzt")), max_size=20), weights)
@settings(max_examples=examples(300), deadline=None)
def test_a_crowd_behind_one_agent_adds_no_more_than_that_agent_has(
    edges: list[Edge], said: list[tuple[str, str]], weight: str
) -> None:
    """HIRE-TRU-08: everything it does passes through its one link."""
    honest = [e for e in edges if e.kind != "accusation"]
    crowd = [edge("r", "u", weight=weight), *(edge(a, b) for a, b in said)]
    # Without a limit of depth between them, or honest chains of five links may come into view (section 12.4).
    near = [e for e in honest if e.source in map(did, ROOTS)]
    assert score(near + crowd) <= score(near) + crowd[0].weight


@given(graphs, sharing, st.integers())
@settings(max_examples=examples(200), deadline=None)
def test_the_order_of_edges_changes_nothing(edges: list[Edge], shares: dict[str, list[str]], seed: int) -> None:
    """HIRE-TRU-10: nor does an edge that is told twice."""
    one = answer(reputation(did("t"), "sbom", VIEW), graph(edges, shares).read)
    mixed = Random(seed).sample(edges * 2, len(edges) * 2)
    other = answer(reputation(did("t"), "sbom", VIEW), graph(mixed, shares).read)
    assert one == other


@given(authority_graphs, sharing, st.integers())
@settings(max_examples=examples(200), deadline=None)
def test_the_order_of_edges_changes_no_authority(edges: list[Edge], shares: dict[str, list[str]], seed: int) -> None:
    """HIRE-TRU-10."""
    one = answer(authority(did("t"), TYPE, "sbom", VIEW), graph(edges, shares).read)
    mixed = Random(seed).sample(edges * 2, len(edges) * 2)
    assert one == answer(authority(did("t"), TYPE, "sbom", VIEW), graph(mixed, shares).read)


@given(graphs, sharing, st.integers(min_value=1, max_value=30))
@settings(max_examples=examples(200), deadline=None)
def test_a_limit_of_work_is_held(edges: list[Edge], shares: dict[str, list[str]], limit: int) -> None:
    """HIRE-TRU-11: more is indeterminate, which counts as nothing, and a known score is the same as without a limit."""
    tight = view(*ROOTS, limit=limit)
    found = answer(reputation(did("t"), "sbom", tight), graph(edges, shares).read)
    assert found.work.edges <= limit
    assert found.units == (score(edges, shares) if found.verdict == "known" else 0)


@given(graphs, sharing)
@settings(max_examples=examples(200), deadline=None)
def test_the_paths_that_are_told_lead_from_a_root_to_the_party(edges: list[Edge], shares: dict[str, list[str]]) -> None:
    found = answer(reputation(did("t"), "sbom", VIEW), graph(edges, shares).read)
    assert bool(found.paths) == bool(found.units)
    assert sum(path.amount for path in found.paths) <= found.units
    for path in found.paths:
        assert path.edges[0].source in map(did, ROOTS)
        assert path.edges[-1].target == did("t")
        assert all(a.target == b.source for a, b in zip(path.edges, path.edges[1:], strict=False))
        assert all(e.counts(NOW) and e.weight >= path.amount for e in path.edges)
