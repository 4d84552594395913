"""What a hirer makes of a counter-offer that says more than another price."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, folded, last, offices
from undersigned.contract import ContractDocument, Deadlines, Organisations
from undersigned.encoding import shift
from undersigned.messages import Withdraw
from undersigned.protocol import Answer, Moment
from undersigned.runtime.negotiation import papers

LATER = 20
"""Seconds between the hirer's offer and the counter-offer."""


class Counters:
    """A provider that counters once at the hirer's own price, with other times."""

    def __init__(self, times: Callable[[Deadlines], Deadlines]) -> None:
        self.times = times

    def answer(self, moment: Moment) -> Answer:
        deadlines = self.times(moment.theirs.deadlines)
        return Answer(act="counter", terms=replace(moment.theirs, deadlines=deadlines))


def moved(deadlines: Deadlines, seconds: int) -> Deadlines:
    return replace(
        deadlines,
        start=shift(deadlines.start, seconds),
        finish=shift(deadlines.finish, seconds),
        until=shift(deadlines.until, seconds),
    )


@pytest.fixture
def countered(tmp_path: Path) -> Any:
    worlds: list[World] = []

    def begin(times: Callable[[Deadlines], Deadlines]) -> Any:
        world = World(offices(tmp_path), held=True, provider_options={"strategy": Counters(times)})
        worlds.append(world)
        conversation = world.begin()
        world.until("offered-by-hirer", conversation.id, world.hirer)
        world.settle(LATER)
        while folded(world.hirer, conversation.id).state not in ("withdrawn", "working"):
            if world.next_parcel() is None:
                world.settle(1)
        return world, conversation.id

    yield begin
    for world in worlds:
        world.close()


@pytest.mark.parametrize(
    "times",
    [
        lambda d: replace(d, review="PT0S"),
        lambda d: replace(d, review="PT30M"),
        lambda d: replace(d, heartbeat="PT1H"),
        lambda d: replace(d, close="P9D"),
        lambda d: replace(d, wind_down="P1D"),
        lambda d: replace(d, rework="P1D"),
        lambda d: replace(d, not_before=d.start),
        lambda d: moved(d, LATER + 60),
        lambda d: moved(d, -1),
        lambda d: replace(d, until=shift(d.until, 86400)),
        lambda d: replace(d, start=shift(d.start, -60)),
    ],
)
def test_a_hirer_binds_itself_to_no_times_but_those_of_its_order(
    countered: Any, times: Callable[[Deadlines], Deadlines]
) -> None:
    """A review of no time, at the hirer's own price, would have it pay for what it never could look at."""
    world, engagement = countered(times)
    assert folded(world.hirer, engagement).contract is None
    assert last(world.hirer, engagement, Withdraw).reason == "declined"


@pytest.mark.parametrize("seconds", [0, LATER // 2, LATER])
def test_a_counter_offer_may_count_its_instants_from_later(countered: Any, seconds: int) -> None:
    """Whoever counters counts from when it does: the order's own durations, a little later."""
    world, engagement = countered(lambda d: moved(d, seconds))
    assert folded(world.hirer, engagement).contract is not None


@pytest.mark.parametrize(
    ("asked", "member"),
    [
        ({"predicates": ("https://nobody.example/statement",)}, "/evidence/predicates"),
        ({"sbom": "CycloneDX 9"}, "/evidence/sbom"),
    ],
)
def test_a_provider_agrees_to_no_evidence_that_no_delivery_could_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], member: str
) -> None:
    """HIRE-ATT-05, HIRE-ATT-09: for want of it whatever is made could be rejected, and nothing be owed for it."""
    build = papers.build_document

    def asks(**given: Any) -> ContractDocument:
        terms = given["terms"]
        return build(**{**given, "terms": replace(terms, evidence=replace(terms.evidence, **asked))})

    monkeypatch.setattr(papers, "build_document", asks)
    world = World(offices(tmp_path))
    try:
        conversation = world.begin()
        world.settle(5)
        said = last(world.hirer, conversation.id, Withdraw)
        (need,) = said.needed or ()
        assert (said.reason, need.code, need.member) == ("declined", "member", member)
    finally:
        world.close()


def test_a_hirer_signs_no_word_of_the_other_side_about_organisations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card of a contract shows whom each party speaks for, and both signatures cover it."""
    build = papers.build_document

    def claims(**given: Any) -> ContractDocument:
        said = Organisations(hirer="did:web:bank.example", provider="did:web:trusted.example")
        return build(**given, organisations=said if given["role"] == "provider" else None)

    monkeypatch.setattr(papers, "build_document", claims)
    world = World(offices(tmp_path), held=True, provider_options={"strategy": Counters(lambda d: d)})
    try:
        conversation = world.begin()
        while folded(world.hirer, conversation.id).state not in ("withdrawn", "working"):
            if world.next_parcel() is None:
                world.settle(1)
        assert last(world.hirer, conversation.id, Withdraw).reason == "declined"
    finally:
        world.close()


@pytest.mark.parametrize(
    ("hirer", "provider", "state"),
    [
        (None, None, "working"),
        ("own", None, "working"),
        ("own", "own", "working"),
        ("did:web:bank.example", None, "withdrawn"),
        ("own", "did:web:trusted.example", "withdrawn"),
        ("other", "own", "withdrawn"),
    ],
)
def test_a_provider_signs_that_an_organisation_vouches_for_a_party_if_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hirer: str | None, provider: str | None, state: str
) -> None:
    """The same for an offer of the hirer's: what both sign is what both showed of themselves, or nothing."""
    build = papers.build_document
    both = offices(tmp_path)
    world = World(both, held=True)
    acme, globex = (office.organisation.did for office in both)
    said = Organisations(
        hirer={"own": acme, "other": globex}.get(hirer or "", hirer),
        provider=globex if provider == "own" else provider,
    )

    def claims(**given: Any) -> ContractDocument:
        return build(**given, organisations=said if given["role"] == "hirer" else None)

    monkeypatch.setattr(papers, "build_document", claims)
    try:
        conversation = world.begin()
        while folded(world.hirer, conversation.id).state not in ("withdrawn", "working"):
            if world.next_parcel() is None:
                world.settle(1)
        assert folded(world.hirer, conversation.id).state == state
    finally:
        world.close()
