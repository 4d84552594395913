"""Security cases about the trust graph: SC-71 to SC-75, and the sybil attack measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from support import ROOT
from trust_graphs import LATER, NOW, PAST, did, edge, shuffled, view
from undersigned.credentials import Credential
from undersigned.encoding import digest_bytes
from undersigned.errors import FormatError
from undersigned.trust import UNIT, Edge, EdgeQuery, Graph, Reputation, answer, authority, check_presented, reputation

VIEW = view("r")
SCORE_OF = "0.2"
ROOTED = edge("r", "a", weight=SCORE_OF)


def score(edges: Sequence[Edge], of: str = "t", *, keys: dict[str, list[str]] | None = None, **more: object):
    known = {did(name): held for name, held in (keys or {}).items()}
    return answer(reputation(did(of), "sbom", view("r", **more)), Graph(edges, known).read)


def test_sc_71_who_endorses_itself_gains_nothing() -> None:
    """HIRE-TRU-07: neither directly nor through a second DID with the same key, even one that a root endorses."""
    own = [edge("a", "a"), edge("b", "a"), edge("b", "c"), edge("c", "a")]
    keys = {"a": ["k1"], "b": ["k1"]}
    assert score([ROOTED], "a").score == SCORE_OF
    assert score([ROOTED, *own], "a", keys=keys).score == SCORE_OF
    assert score(own, "a", keys=keys).score == "0"
    # The second DID has a name of its own with a root, and still cannot speak for the first.
    lent = [*own, edge("r", "b", weight="0.5")]
    assert score(lent, "a", keys=keys).score == "0"
    assert score(lent, "a").score == "0.5", "the same edges count where the keys differ"


def test_sc_72_a_ring_without_a_root_scores_nothing() -> None:
    """HIRE-TRU-08: a thousand identities that endorse each other and one of them; what is read is bounded."""
    ring = [edge(f"s{i}", f"s{(i + step) % 1000}") for i in range(1000) for step in (1, 7)]
    ring += [edge(f"s{i}", "t") for i in range(1000)]
    found = score(ring)
    assert (found.verdict, found.score, found.paths) == ("known", "0", ())
    assert found.missing == (f"a chain of at most 4 links from an anchor to {did('t')}",)
    assert found.work.edges == 1000, "those about the target; from the root's side there is nothing to read"
    assert not answer(authority(did("t"), "EndorsementCredential", "sbom", VIEW), Graph(ring).read).entitled


CYCLE = [edge("a", "b"), edge("b", "c"), edge("c", "a"), ROOTED, edge("c", "t"), edge("b", "t", weight="0.1")]


def cycle_answers(edges: list[Edge]) -> tuple[Reputation, ...]:
    return tuple(score(edges, of) for of in "abct")


def test_sc_73_a_cycle_ends_and_each_edge_counts_once() -> None:
    """HIRE-TRU-10: 100 shuffles."""
    first = cycle_answers(CYCLE)
    assert [found.score for found in first] == [SCORE_OF] * 4
    for seed in range(100):
        assert cycle_answers(shuffled(CYCLE, seed)) == first
    reads: list[EdgeQuery] = []
    graph = Graph(CYCLE)

    def read(wanted: EdgeQuery):
        reads.append(wanted)
        return graph.read(wanted)

    answer(reputation(did("t"), "sbom", VIEW), read)
    for of in ("source", "target"):
        asked = [name for wanted in reads if wanted.of == of and wanted.by is None for name in wanted.dids]
        assert len(asked) == len(set(asked)), "nobody is asked about twice"


def test_of_edges_that_say_the_same_the_one_of_the_greatest_digest_is_named() -> None:
    """HIRE-TRU-10: whichever came first."""
    same = [edge("r", "t", kind, weight="0.5") for kind in ("endorsement", "performance", "membership", "supply")]
    greatest = max(same, key=lambda one: one.digest)
    for seed in range(20):
        (path,) = answer(reputation(did("t"), "sbom", VIEW), Graph(shuffled(same, seed)).read).paths
        assert path.edges == (greatest,)


def test_sc_73_the_hash_seed_changes_nothing() -> None:
    """HIRE-TRU-10: other processes, in which sets have another order, give the same bytes."""
    program = "from security.test_trust import CYCLE, cycle_answers; print(cycle_answers(CYCLE))"
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in range(5)
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    "change",
    [{"valid_until": PAST}, {"status": "revoked"}, {"status": "suspended"}, {"valid_from": LATER}],
    ids=["expired", "revoked", "suspended", "not-yet"],
)
def test_sc_74_an_edge_that_does_not_stand_counts_for_nothing(change: dict[str, str]) -> None:
    """HIRE-TRU-03."""
    assert score([ROOTED, edge("a", "t")]).score == SCORE_OF
    found = score([ROOTED, edge("a", "t", **change)])
    assert (found.score, found.verdict) == ("0", "known")
    assert any("the endorsement of" in text for text in found.missing), "and it says which edge it was"
    grants = [edge("r", "a", "authority", depth=1), edge("a", "t", "authority")]
    assert answer(authority(did("t"), "X", "sbom", VIEW), Graph(grants).read).entitled
    grants[1] = edge("a", "t", "authority", **change)
    refused = answer(authority(did("t"), "X", "sbom", VIEW), Graph(grants).read)
    assert (refused.verdict, refused.paths) == ("no", ())


def test_sc_74_an_answer_says_how_long_it_may_be_kept() -> None:
    """HIRE-TRU-12: to the second before anything in it begins or ends."""
    edges = [ROOTED, edge("a", "t", valid_until=NOW), edge("a", "t", "performance", "0.5", valid_from=LATER)]
    assert score(edges).until == NOW
    kept = score([ROOTED, edge("a", "t", valid_until=LATER), edge("a", "t", "performance", "0.5", valid_from=LATER)])
    assert kept.until == NOW, "what begins a second later may raise it"
    assert score(edges, now=LATER).score == SCORE_OF
    accused = score([ROOTED, edge("a", "t"), edge("r", "a", "accusation", valid_from=LATER)])
    assert (accused.score, accused.until) == (SCORE_OF, NOW), "what accuses a second later takes it"
    assert score([ROOTED, edge("a", "t")]).until is None


def shown(pairs: Sequence[tuple[str, str]]) -> list[Credential]:
    """Credentials as they are before anything about them is verified."""
    return [
        Credential(
            json={},
            digest=digest_bytes(f"{a} {b}".encode()),
            types=("EndorsementCredential",),
            issuer=did(a),
            subjects=({"id": did(b), "capability": "sbom"},),
            valid_from=None,
            valid_until=None,
            has_status=False,
        )
        for a, b in pairs
    ]


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", f"b{i}") for i in range(100_000)],
        [(f"n{i}", f"n{i + 1}") for i in range(10_000)],
        [("a", f"b{i}") for i in range(10_000)],
        [(f"n{i}", f"n{i + 1}") for i in range(5)],
        [*((f"n{i}", f"n{i + 1}") for i in range(5)), ("n2", "n0"), ("n5", "n4")],
        [("a", f"b{i}") for i in range(65)],
        [(f"b{i}", "a") for i in range(65)],
        [(f"a{i % 16}", f"b{i // 16}") for i in range(257)],
    ],
    ids=[
        "edges",
        "depth",
        "fan-out",
        "one-too-deep",
        "one-too-deep-with-cycles",
        "one-too-wide",
        "one-too-many-issuers",
        "one-too-many",
    ],
)
def test_sc_75_a_graph_bomb_is_refused_before_any_signature(pairs: list[tuple[str, str]]) -> None:
    """HIRE-TRU-13: what is looked at here carries no proof at all, and still there is one code."""
    with pytest.raises(FormatError) as caught:
        check_presented(shown(pairs))
    assert caught.value.code == "too_large"


def test_sc_75_what_is_within_the_limits_passes() -> None:
    """HIRE-TRU-13: a chain of four links, a cycle, 64 at one party, 256 in all."""
    check_presented([])
    check_presented(shown([(f"n{i}", f"n{i + 1}") for i in range(4)]))
    check_presented(shown([("a", "b"), ("b", "c"), ("c", "a")]))
    check_presented(shown([("z", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "b"), ("c", "z")]))
    check_presented(shown([*((f"n{i}", f"n{i + 1}") for i in range(4)), ("m", "n1")]))
    check_presented(shown([("a", f"b{i}") for i in range(64)]))
    check_presented(shown([(f"a{i % 16}", f"b{i // 16}") for i in range(256)]))


def test_ten_thousand_identities_lift_nobody_above_their_one_agent() -> None:
    """HIRE-TRU-08: an agent of trust 0.2, and ten thousand fresh identities between it and the target."""
    alone = score([ROOTED, edge("a", "t")])
    crowd = [edge("a", f"s{i}") for i in range(10_000)] + [edge(f"s{i}", "t") for i in range(10_000)]
    with_crowd = score([ROOTED, edge("a", "t"), *crowd])
    assert alone.units == UNIT // 5
    assert with_crowd.verdict == "known"
    assert with_crowd.units == alone.units
    assert with_crowd.work.edges <= 50_000
    # And the attack is real: were the identities known to the root, the target would have it all.
    known = [edge("r", f"s{i}", weight="0.01") for i in range(100)]
    assert score([ROOTED, *crowd, *known]).units == UNIT


def test_who_is_spammed_from_one_side_is_seen_from_the_other() -> None:
    """HIRE-TRU-11: identities that nobody endorsed cannot make an answer indeterminate, from either side."""
    spam = [edge(f"s{i}", "t") for i in range(60_000)]
    found = score([ROOTED, edge("a", "t"), *spam])
    assert (found.verdict, found.score) == ("known", SCORE_OF)
    fan = [edge("a", f"s{i}") for i in range(60_000)]
    found = score([ROOTED, edge("a", "t"), *fan])
    assert (found.verdict, found.score) == ("known", SCORE_OF)


def test_accusations_by_strangers_are_not_read_and_those_by_anchors_win() -> None:
    """HIRE-TRU-06."""
    good = [ROOTED, edge("a", "t")]
    noise = [edge(f"s{i}", "t", "accusation") for i in range(60_000)]
    assert score([*good, *noise]).score == SCORE_OF
    heard = edge("r", "t", "accusation")
    found = score([*good, heard])
    assert (found.score, found.dissent) == ("0", (heard,))
    assert score([*good, edge("r", "a", "accusation")]).score == "0", "nor does trust pass through who is accused"
    assert score([*good, edge("me", "t", "accusation")], own=("me",)).score == "0"
    # A second DID with the key of the accused stands accused as well.
    assert score([*good, edge("r", "b", "accusation")], keys={"b": ["k"], "t": ["k"]}).score == "0"
    grants = [edge("r", "a", "authority", depth=1), edge("a", "t", "authority"), edge("r", "a", "accusation")]
    refused = answer(authority(did("t"), "X", "sbom", VIEW), Graph(grants).read)
    assert (refused.verdict, refused.dissent) == ("no", (grants[2],))
