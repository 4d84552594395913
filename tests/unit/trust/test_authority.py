"""Authority, what relies on it, and what is told of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from trust_graphs import LATER, NOW, PAST, anchored, did, edge, shuffled, view
from undersigned.trust import (
    Anchor,
    Anchors,
    Answers,
    Edge,
    EdgeQuery,
    Graph,
    OpenEngagement,
    Questions,
    Read,
    ShownClaim,
    Viewpoint,
    answer,
    answers_again,
    authority,
    losing_their_path,
    reputation,
)
from undersigned.trust import entitled as everybody

TYPE = "EndorsementCredential"


def entitled(edges: list[Edge], by=None, of: str = "t", capability: str | None = "sbom") -> bool:
    return answer(authority(did(of), TYPE, capability, by or view("r")), Graph(edges).read).entitled


def grant(source: str, target: str, depth: int = 0, **more: object) -> Edge:
    return edge(source, target, "authority", depth=depth, **more)


def test_depth_says_how_many_links_may_follow() -> None:
    """HIRE-TRU-05."""
    assert entitled([grant("r", "t")])
    assert not entitled([grant("r", "a"), grant("a", "t")])
    assert entitled([grant("r", "a", 1), grant("a", "t", 4)])
    assert not entitled([grant("r", "a", 1), grant("a", "b", 4), grant("b", "t")])
    four = [grant("r", "a", 4), grant("a", "b", 4), grant("b", "c", 4), grant("c", "t", 4)]
    assert entitled(four)
    assert not entitled([grant("r", "z", 4), grant("z", "a", 4), *four[1:]])


def test_what_a_policy_refuses_now_is_led_through_no_more() -> None:
    """HIRE-TRU-23: also where a decision of before is made again by the policy in force now."""
    edges = [grant("r", "a", 1), grant("a", "t")]
    given = Answers.of(Questions((ShownClaim(did("t"), TYPE, "sbom"),), (), (), ()), view("r"), Graph(edges).read)
    for refused, still in ((frozenset[str](), True), (frozenset({did("a")}), False)):
        (again,) = answers_again(given, Anchors.of(did("r")), (), NOW, refused).authority
        assert again.entitled == still


def test_nothing_else_stands_for_a_link() -> None:
    """HIRE-TRU-05."""
    for kind in ("membership", "endorsement", "accreditedBy", "partOf", "performance"):
        assert not entitled([edge("r", "t", kind)])
    assert not entitled([grant("r", "t", capability="another")])
    assert not entitled([grant("r", "t", capability=None)])


@pytest.mark.parametrize(
    ("anchor", "direct", "linked"),
    [
        (Anchor(issuer=did("r")), True, True),
        (Anchor(issuer=did("r"), types=(TYPE,)), True, True),
        (Anchor(issuer=did("r"), types=("X",)), False, False),
        (Anchor(issuer=did("r"), capabilities=("sbom",)), True, True),
        (Anchor(issuer=did("r"), capabilities=("another",)), False, False),
        (Anchor(issuer=did("r"), depth=0), True, False),
        (Anchor(issuer=did("r"), until=NOW), True, True),
        (Anchor(issuer=did("r"), until=PAST), False, False),
    ],
)
def test_what_an_anchor_is_believed_about(anchor: Anchor, direct: bool, linked: bool) -> None:
    """HIRE-TRU-04."""
    edges = [grant("r", "t")]
    assert entitled(edges, anchored(anchor), "r") is direct
    assert entitled(edges, anchored(anchor)) is linked


def test_without_a_time_an_anchor_that_ends_is_not_believed() -> None:
    """HIRE-TRU-04."""
    ending = Anchors(anchors=(Anchor(issuer=did("r"), until=LATER),))
    assert ending.issuers(TYPE) == ()
    assert ending.issuers(TYPE, now=NOW) == (did("r"),)


def test_a_claim_about_no_capability() -> None:
    """HIRE-TRU-04: not from an anchor that names capabilities; authority for the type's name covers it."""
    assert entitled([], view("r"), "r", None)
    assert not entitled([], anchored(Anchor(issuer=did("r"), capabilities=("sbom",))), "r", None)
    assert entitled([grant("r", "t", capability=TYPE)], capability=None)
    assert not entitled([grant("r", "t")], capability=None)


def test_our_own_word_needs_no_anchor() -> None:
    assert entitled([grant("me", "t")], view(own=("me",)))
    assert not entitled([grant("me", "t")], view())


def test_up_to_three_chains_and_what_is_missing() -> None:
    edges = [grant("r", "t"), *(edge for name in "abc" for edge in (grant("r", name, 1), grant(name, "t")))]
    found = answer(authority(did("t"), TYPE, "sbom", view("r")), Graph(edges).read)
    assert [len(path.edges) for path in found.paths] == [1, 2, 2]
    told = found.explain().splitlines()
    assert told[0].startswith(f"yes: {did('t')} may attest {TYPE} about sbom")
    assert [line.split()[0] for line in told[1:-1]] == ["anchor", "anchor", "then", "anchor", "then"]
    anchor = answer(authority(did("r"), TYPE, "sbom", view("r")), Graph(edges).read)
    assert "it is one of our anchors" in anchor.explain()
    gone = [grant("r", "t", valid_until=PAST)]
    refused = answer(authority(did("t"), TYPE, "sbom", view("r")), Graph(gone).read)
    assert refused.missing == (
        f"a chain of authority for sbom from an anchor to {did('t')}",
        f"the authority of {did('t')} by {did('r')} ended at {PAST}",
    )
    assert all(text in refused.explain() for text in refused.missing)
    begins = grant("r", "t", valid_from=LATER, valid_until=LATER)
    ahead = answer(authority(did("t"), TYPE, "sbom", view("r")), Graph([begins]).read)
    assert ahead.missing[1:] == (f"the authority of {did('t')} by {did('r')} begins at {LATER}",)
    nobody = answer(authority(did("t"), TYPE, "sbom", view()), Graph(gone).read)
    assert nobody.missing == (f"an anchor for {TYPE} about sbom",)


def test_more_work_than_the_limit_is_no() -> None:
    """HIRE-TRU-11."""
    edges = [grant("r", f"a{i}", 1) for i in range(30)]
    found = answer(authority(did("t"), TYPE, "sbom", view("r", limit=29)), Graph(edges).read)
    assert (found.verdict, found.entitled, found.work.edges) == ("indeterminate", False, 29)
    assert found.missing == ("an answer within 29 edges",)
    assert "indeterminate" in found.explain()
    further, most = Graph([grant("r", "a", 1), *(grant("a", f"b{i}") for i in range(30))]), list[int]()

    def read(wanted: EdgeQuery) -> Read:
        most.append(wanted.most)
        return further.read(wanted)

    assert answer(authority(did("t"), TYPE, "sbom", view("r", limit=29)), read).verdict == "indeterminate"
    assert most == [29, 28], "no store reads more than what is left"


def test_who_shares_a_key_with_more_than_may_be_read_is_no() -> None:
    """HIRE-TRU-11: one of those that were left out may be accused."""
    holders = {did(name): ["k"] for name in ("t", *(f"a{i}" for i in range(30)))}
    read = Graph([grant("r", "t"), edge("r", "t")], holders).read
    for limit, verdict in ((20, "indeterminate"), (200, "known")):
        by = view("r", limit=limit)
        assert answer(reputation(did("t"), "sbom", by), read).verdict == verdict
        assert answer(authority(did("t"), TYPE, "sbom", by), read).entitled == (verdict == "known")


def test_every_answer_names_the_version_of_the_anchors() -> None:
    """HIRE-ANC-04."""
    for by in (view("r"), view("r", "q"), anchored(Anchor(issuer=did("r"), until=LATER))):
        assert answer(authority(did("t"), TYPE, "sbom", by), Graph().read).anchors == by.anchors.digest
        assert answer(reputation(did("t"), "sbom", by), Graph().read).anchors == by.anchors.digest


@pytest.mark.parametrize("chain", ["rt", "rat", "rabt", "rabct"])
def test_a_chain_counts_however_many_speak_for_its_end(chain: str) -> None:
    """HIRE-TRU-08: of the middle of a long one no more is read than leads from one side to the other."""
    edges = [edge(*both) for both in pairwise(chain)] + [edge(f"y{i}", "t") for i in range(40)]
    assert answer(reputation(did("t"), "sbom", view("r")), Graph(edges).read).score == "1"
    assert answer(reputation(did("t"), "sbom", view("r")), Graph(edges[1:]).read).score == "0"


@pytest.mark.parametrize(("from_root", "to_party"), [(150, 20), (20, 150)])
@pytest.mark.parametrize("seed", range(3))
def test_who_is_spammed_from_one_side_is_seen_from_the_other(seed: int, from_root: int, to_party: int) -> None:
    """HIRE-TRU-11: of more edges than a side may read none is used, for which of them came depends on their order."""
    chain = [edge(*both) for both in pairwise("rabct")]
    spam = [edge("r", f"x{i}") for i in range(from_root)] + [edge(f"y{i}", "t") for i in range(to_party)]
    found = answer(reputation(did("t"), "sbom", view("r", limit=200)), Graph(shuffled(chain + spam, seed)).read)
    assert (found.verdict, found.score) == ("known", "1")


def test_what_a_side_read_before_it_was_given_up_makes_no_chain_longer() -> None:
    """HIRE-TRU-08: a chain of five links is none beside a short one, also where each of them was read."""
    chain = [*(edge(*both) for both in pairwise("rabcdt")), *(edge(*both, weight="0.1") for both in pairwise("rxyd"))]
    graph, read = Graph(chain + [edge(f"y{i}", "c") for i in range(101)]), set[object]()

    def reader(wanted: EdgeQuery) -> Read:
        found = graph.read(wanted)
        read.update(link[0] for link in found)
        return found

    found = answer(reputation(did("t"), "sbom", view("r", limit=200)), reader)
    assert read >= {one.digest for one in chain}
    assert (found.verdict, found.score) == ("known", "0.1")


@pytest.mark.parametrize(
    ("named", "score"),
    [
        ({"types": (TYPE,), "capabilities": ("sbom",)}, "1"),
        ({"types": ("PerformanceCredential",)}, "0"),
        ({"capabilities": ("translation",)}, "0"),
    ],
)
def test_the_word_of_an_anchor_counts_in_a_score_for_what_it_is_believed_about(named: Any, score: str) -> None:
    """HIRE-TRU-04."""
    by = anchored(Anchor(issuer=did("r"), **named))
    assert answer(reputation(did("t"), "sbom", by), Graph([edge("r", "t")]).read).score == score


@pytest.mark.parametrize(("until", "stands"), [(None, None), (LATER, LATER), (NOW, NOW), (PAST, None)])
def test_no_answer_stands_longer_than_the_anchors_that_it_was_given_by(until: str | None, stands: str | None) -> None:
    """HIRE-TRU-12: also not than one of them that had no part in it."""
    by = anchored(Anchor(issuer=did("r")), Anchor(issuer=did("q"), until=until))
    assert answer(authority(did("r"), TYPE, "sbom", by), Graph().read).until == stands
    assert answer(reputation(did("t"), "sbom", by), Graph().read).until == stands


def test_which_open_engagements_lose_their_path() -> None:
    """HIRE-ANC-05."""

    def engaged(name: str, *shown: ShownClaim) -> OpenEngagement:
        return OpenEngagement(engagement=name, peer=did("p"), required=(TYPE,), shown=shown)

    direct, linked, other = (
        ShownClaim(did("r"), TYPE, "sbom"),
        ShownClaim(did("t"), TYPE, "sbom"),
        ShownClaim(did("q"), TYPE, "sbom"),
    )
    stranger = ShownClaim(did("x"), TYPE, "sbom")
    open_now = [
        engaged("d", stranger),
        engaged("c", other),
        engaged("b", linked, other),
        engaged("a", linked, stranger),
        engaged("e", direct),
        engaged("f", linked, replace(other, credential_type="PerformanceCredential")),
    ]
    lost = losing_their_path(open_now, view("r", "q"), view("q"), Graph([grant("r", "t")]).read)
    assert [(one.engagement, one.claims) for one in lost] == [("a", (linked,)), ("e", (direct,)), ("f", (linked,))]
    assert losing_their_path(open_now, view("r"), view("r"), Graph([grant("r", "t")]).read) == ()


def steps(edges: list[Edge], by: Viewpoint, of: str = "t") -> list[str]:
    """The chains to somebody, each as a word of the parties on it."""
    found = answer(authority(did(of), TYPE, "sbom", by), Graph(edges).read)
    return ["".join(edge.source[-1] for edge in path.edges) + of for path in found.paths]


def listed(edges: list[Edge], by: Viewpoint, **more: int) -> str | None:
    """Everybody who is entitled, as a word."""
    found = answer(everybody(TYPE, "sbom", by, **more), Graph(edges).read).issuers
    return None if found is None else "".join(one[-1] for one in found)


DEEP = [grant("r", "b", 4), grant("b", "a", 4), grant("a", "t")]


@pytest.mark.parametrize(
    ("edges", "by", "chains", "all_of_them"),
    [
        ([grant("r", "a", 4), grant("a", "t")], view("r"), ["rat"], "art"),
        # What a longer way allows is not allowed to the shorter one.
        ([*DEEP, grant("r", "a")], view("r"), ["rbat"], "abrt"),
        (
            [*DEEP[1:], grant("q", "a", 4), grant("r", "b", 4)],
            anchored(Anchor(issuer=did("q"), depth=1), Anchor(issuer=did("r"))),
            ["rbat"],
            "abqrt",
        ),
        (DEEP, anchored(Anchor(issuer=did("r"), depth=2)), [], "abr"),
        (DEEP, anchored(Anchor(issuer=did("r"), depth=1)), [], "br"),
        (DEEP, anchored(Anchor(issuer=did("r"), depth=0)), [], "r"),
        # Of the many that lead to somebody the one that leads furthest is kept.
        (
            [edge for one in "abcd" for edge in (grant("r", one, 2), grant(one, "e", one == "d"))] + [grant("e", "t")],
            view("r"),
            ["rdet"],
            "abcdert",
        ),
        # Nobody is on a chain twice.
        ([grant("r", "a", 4), grant("a", "b", 4), grant("b", "a", 4), grant("a", "t")], view("r"), ["rat"], "abrt"),
        ([grant("r", "a", 4), grant("a", "r", 4), grant("a", "t")], view("r"), ["rat"], "art"),
        (
            [grant("r", "t"), grant("q", "a")],
            anchored(
                Anchor(issuer=did("q"), types=("sbom",), capabilities=(TYPE,)),
                Anchor(issuer=did("r"), types=(TYPE,), capabilities=("sbom",)),
            ),
            ["rt"],
            "rt",
        ),
    ],
)
def test_each_chain_has_its_own_depth(edges: list[Edge], by: Viewpoint, chains: list[str], all_of_them: str) -> None:
    """HIRE-TRU-05: also where another chain goes further."""
    assert steps(edges, by) == chains
    assert listed(edges, by) == all_of_them


def test_those_who_are_entitled_are_listed_as_far_as_links_are_taken_and_up_to_64() -> None:
    """HIRE-TRU-21."""
    assert [listed(DEEP, view("r"), links=links) for links in range(4)] == ["r", "br", "abr", "abrt"]
    many = [grant("r", f"a{n}") for n in range(64)]
    assert len(listed(many[1:], view("r")) or "") == 64
    assert listed(many, view("r")) is None


def test_who_is_accused_is_on_no_chain_and_not_listed() -> None:
    """HIRE-TRU-06: in the middle, at the end, and as an anchor that another one accuses."""
    edges, by = [grant("r", "a", 1), grant("a", "t"), grant("q", "t")], view("r", "q")
    assert (steps(edges, by), listed(edges, by)) == (["qt", "rat"], "aqrt")
    for accused, chains, all_of_them in (("a", ["qt"], "qrt"), ("t", [], "aqr"), ("q", ["rat"], "art")):
        against = [*edges, edge("r", accused, "accusation")]
        assert (steps(against, by), listed(against, by)) == (chains, all_of_them)
        told = f"  against: {did('r')} accuses {did(accused)} of breach"
        read = Graph([*against, edge("r", accused), edge(accused, "t")]).read
        for asked in (authority(did("t"), TYPE, "sbom", by), reputation(did("t"), "sbom", by)):
            assert told in answer(asked, read).explain().splitlines()
    apart = Graph([edge("r", "t"), edge("a", "t"), edge("r", "a", "accusation")])
    assert answer(reputation(did("t"), "sbom", by), apart.read).dissent == (), "of whom no root speaks"
    spoken = [edge("q", "t"), edge("r", "q", "accusation")]
    assert answer(reputation(did("t"), "sbom", by), Graph(spoken[:1]).read).score == "1"
    assert answer(reputation(did("t"), "sbom", by), Graph(spoken).read).score == "0"
