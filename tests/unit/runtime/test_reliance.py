"""Which open engagements rely on an anchor, read from a ledger and shown before the anchor is removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtimes import World, lingers, offices
from undersigned.runtime import AnchorBook, open_engagements
from undersigned.trust import Anchors, Graph, Viewpoint, losing_their_path

Open = Callable[..., World]


def test_an_engagement_that_is_not_over_relies_on_what_its_peer_showed(open_world: Open) -> None:
    """HIRE-ANC-05."""
    world = open_world(handler=lingers)
    name = world.begin().id
    (found,) = world.run(open_engagements(world.hirer.ledger, world.hirer.home))
    office = world.provider.home.configuration.organisation
    assert office is not None
    assert (found.engagement, found.peer, found.required) == (name, world.provider.did, ("MembershipCredential",))
    assert [(shown.issuer, shown.credential_type) for shown in found.shown] == [(office.did, "MembershipCredential")]

    now = world.clock.now()
    before = Viewpoint(anchors=AnchorBook(world.hirer.home, now).anchors, now=now, refused=frozenset())
    assert losing_their_path([found], before, before, Graph().read) == ()
    (lost,) = losing_their_path(
        [found], before, Viewpoint(anchors=Anchors(), now=now, refused=frozenset()), Graph().read
    )
    assert (lost.engagement, lost.claims) == (name, found.shown)


def test_an_engagement_that_is_over_relies_on_nothing(open_world: Open) -> None:
    world = open_world()
    world.begin()
    world.settle(3600)
    assert world.run(open_engagements(world.hirer.ledger, world.hirer.home)) == []


def test_what_a_policy_in_cedar_looks_for_is_relied_on_as_well(open_world: Open, folder: Path) -> None:
    """HIRE-ANC-05."""
    text = 'permit (principal, action, resource) unless { principal.hasTag("AuditCredential") };'
    world = open_world(*offices(folder, hirer_policy=f"cedar = '{text}'"), handler=lingers)
    world.begin()
    (found,) = world.run(open_engagements(world.hirer.ledger, world.hirer.home))
    assert found.required == ("MembershipCredential", "AuditCredential")
