"""How much flows through a network, and by which ways it is told."""

from __future__ import annotations

from itertools import pairwise

from undersigned.trust.flow import largest_flow


def test_all_of_it_counts_and_three_ways_are_told() -> None:
    arcs = {arc: 1 for middle in "abcde" for arc in (("root", middle), (middle, "party"))}
    found = largest_flow(arcs, "root", "party", most=9, max_steps=1000)
    assert found == (5, [(["root", middle, "party"], 1) for middle in "abc"])


def test_no_more_flows_than_is_asked_for() -> None:
    found = largest_flow({("root", "party"): 7}, "root", "party", most=4, max_steps=1000)
    assert found == (4, [(["root", "party"], 4)])


def test_what_the_shortest_way_takes_is_given_back_where_more_flows_without_it() -> None:
    arcs = {(one, other): 1 for way in ("rabt", "rczbt", "raxyt") for one, other in pairwise(way)}
    assert largest_flow(arcs, "r", "t", most=9, max_steps=61) == (2, [([*"raxyt"], 1), ([*"rczbt"], 1)])
    assert largest_flow(arcs, "r", "t", most=9, max_steps=60) is None, "each look at an arc counts"


def test_what_takes_too_long_is_given_up() -> None:
    arcs = {arc: 1 for middle in "abcde" for arc in (("root", middle), (middle, "party"))}
    assert largest_flow(arcs, "root", "party", most=9, max_steps=3) is None
