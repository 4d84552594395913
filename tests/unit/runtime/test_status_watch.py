"""What becomes of a contract when a credential of the other side does not hold any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, folded, lingers, messages
from support import refuses
from undersigned.encoding import Instant, digest_bytes
from undersigned.errors import CredentialError, ScopeError
from undersigned.testing import problem
from unit.runtime.stories import forge
from unit.runtime.test_contract import amend

NAMED, OTHER = digest_bytes(b"agreed to be a reason"), digest_bytes(b"another")


@pytest.mark.parametrize(
    ("credential", "purpose", "waits", "ends"),
    [
        (NAMED, "revocation", "suspended", "closed"),
        (NAMED, "suspension", "suspended", "suspended"),
        (OTHER, "revocation", "working", "working"),
    ],
    ids=["revoked", "suspended", "not named"],
)
def test_only_what_was_agreed_to_be_a_reason_and_is_withdrawn_for_good_ends_a_contract(
    open_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
    credential: str,
    purpose: str,
    waits: str,
    ends: str,
) -> None:
    """HIRE-STA-09, HIRE-REN-05: until then the hirer suspends it; for anything else the gate refuses, and no more."""
    world = open_world(handler=lingers)
    ours = world.begin()
    world.until("working", ours.id)
    amend(world, lambda terms: replace(terms, must_stay_valid=(NAMED,)))
    watch = world.hirer.status_watch

    async def fails(_: object) -> None:
        raise CredentialError("revoked", "told to", credential=credential, purpose=purpose)

    async def asked(*_: Any, **__: Any) -> None:
        pass

    monkeypatch.setattr(world.hirer.meeting, "stands", fails)
    monkeypatch.setattr(world.hirer.renewals, "ask", asked)
    world.run(watch.look(ours), 1)
    assert folded(world.hirer, ours.id).state == waits
    world.settle(watch.renewal_seconds + watch.every_seconds)
    assert folded(world.hirer, ours.id).state == ends


def test_what_was_slept_is_no_time_in_which_something_could_be_shown(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-REN-03: whoever wakes asks once more, and waits for the answer; it had ended the contract at once."""
    world = open_world(handler=lingers)
    ours = world.begin()
    world.until("working", ours.id)
    amend(world, lambda terms: replace(terms, must_stay_valid=(NAMED,)))
    watch, hirer = world.hirer.status_watch, world.hirer
    fails, asked = True, list[Instant]()

    async def stands(_: object) -> None:
        if fails:
            raise CredentialError("revoked", "told to", credential=NAMED, purpose="revocation")

    async def asks(*_: Any, **__: Any) -> None:
        asked.append(world.clock.now())

    monkeypatch.setattr(hirer.meeting, "stands", stands)
    monkeypatch.setattr(hirer.renewals, "ask", asks)
    world.run(watch.look(ours), 1)
    world.clock.ahead += int(watch.renewal_seconds) + 10
    woken = world.clock.now()
    world.run(watch.look(ours), 1)
    assert asked[-1] >= woken
    assert folded(hirer, ours.id).state == "suspended"
    fails = False
    world.run(watch.look(ours), 1)
    assert folded(hirer, ours.id).state == "working"


def test_a_provider_that_will_not_go_on_is_not_asked_for_ever(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-05: each `Resume` that it refuses for good is a line of our journal, and so is its refusal."""
    world = open_world(handler=lingers)
    ours = world.begin()
    world.until("working", ours.id)
    amend(world, lambda terms: replace(terms, must_stay_valid=(NAMED,)))
    watch, hirer = world.hirer.status_watch, world.hirer
    watch.every_seconds = 3600.0  # the test looks itself
    fails = True

    async def stands(_: object) -> None:
        if fails:
            raise CredentialError("revoked", "told to", credential=NAMED, purpose="suspension")

    async def asked(*_: Any, **__: Any) -> None:
        pass

    monkeypatch.setattr(hirer.meeting, "stands", stands)
    monkeypatch.setattr(hirer.renewals, "ask", asked)
    world.run(watch.look(ours), 1)
    fails = False
    said = 0
    for _ in range(100):
        world.cut = True
        world.run(watch.look(ours), 1)
        if (resumed := messages(hirer, ours.id)[-1]).message.type == "Resume":
            said += 1
            world.tell(forge(world, hirer, ours.id, problem(resumed.digest)), world.provider.did, hirer)
        world.settle(30)
    assert said == 7
    assert folded(hirer, ours.id).state == "suspended"


def test_nothing_is_admitted_under_a_contract_that_is_not_in_force_here(open_world: Callable[..., World]) -> None:
    world = open_world()
    with refuses(ScopeError, "contract_expired"):
        world.run(world.hirer.status_watch.require(OTHER))
