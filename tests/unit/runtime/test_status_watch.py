"""What becomes of a contract when a credential of the other side does not hold any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, folded, lingers
from support import refuses
from undersigned.encoding import digest_bytes
from undersigned.errors import CredentialError, ScopeError
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


def test_nothing_is_admitted_under_a_contract_that_is_not_in_force_here(open_world: Callable[..., World]) -> None:
    world = open_world()
    with refuses(ScopeError, "contract_expired"):
        world.run(world.hirer.status_watch.require(OTHER))
