"""Security cases about scope where the gate, its ledger and its record are needed: SC-56 and SC-59."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import DEADLINES, document
from support import refuses
from undersigned.encoding import Digest, digest_bytes, shift
from undersigned.errors import ScopeError
from undersigned.ledger import Ledger, Reservation, open_ledger
from undersigned.runtime import Gate, Permit, Refusal
from undersigned.scope import Action, Grant, Limit, Scope, permits
from undersigned.testing import HandClock

CONTRACT = digest_bytes(b"the contract")
READ = Action("artifact:read", "https://acme.example/artifacts/one", {"bytes": "100"})
OUTSIDE = {
    "another resource": Action("artifact:read", "https://acme.example/payroll", {"bytes": "1"}),
    "another verb": Action("artifact:write", READ.target, {"bytes": "1"}),
    "another amount": Action("artifact:read", READ.target, {"bytes": "1000001"}),
    "more often": Action("artifact:read", READ.target, {"bytes": "1", "count": "11"}),
}


async def admit(gate: Gate, action: Action = READ, state: str = "working") -> Permit:
    return await gate.admit(CONTRACT, document(), state, action)


@pytest.fixture
async def clock() -> HandClock:
    return HandClock("2026-11-25T12:30:00Z")


async def test_sc_56_what_is_outside_is_refused_and_recorded(tmp_path: Path, clock: HandClock) -> None:
    """HIRE-GAT-02, HIRE-SCO-06: each dimension alone; nothing is booked, and each refusal has its record."""
    ledger = await open_ledger(f"sqlite://{tmp_path}/ledger.db")
    kept: list[Refusal] = []

    async def record(_: Digest, refusal: Refusal) -> None:
        kept.append(refusal)

    gate = Gate(ledger, clock, record=record)
    for action in OUTSIDE.values():
        with refuses(ScopeError, "scope_exceeded"):
            await admit(gate, action)
    assert [one.action for one in kept] == list(OUTSIDE.values())
    assert await ledger.usage(CONTRACT) == {}
    await admit(gate)
    (booked,) = await ledger.open_reservations(CONTRACT)
    assert (booked.at, booked.until, await ledger.last_at()) == (clock.now(), DEADLINES.until, clock.now())
    assert len(kept) == len(OUTSIDE)
    await ledger.close()


async def test_a_refusal_that_is_repeated_is_recorded_less_and_less_often(tmp_path: Path, clock: HandClock) -> None:
    """HIRE-GAT-02: after a minute, after two more and after four more, and each time how often it was given between."""
    ledger = await open_ledger(f"sqlite://{tmp_path}/ledger.db")
    kept: list[Refusal] = []

    async def record(_: Digest, refusal: Refusal) -> None:
        kept.append(refusal)

    gate, begun = Gate(ledger, clock, record=record), clock.now()
    for seconds in (0, 30, 59, 60, 120, 179, 180, 419, 420):
        clock.set(shift(begun, seconds))
        with refuses(ScopeError, "scope_exceeded"):
            await admit(gate, OUTSIDE["another verb"])
    found = [(one.at, one.repeated) for one in kept]
    assert found == [(shift(begun, after), count) for after, count in ((0, 0), (60, 2), (180, 2), (420, 1))]
    await ledger.close()


def test_what_was_really_used_counts_for_each_limit_of_its_unit() -> None:
    """HIRE-SCO-08: of a period as of all; a unit that is left out is taken as it was reserved."""
    limits = (Limit("EUR", "10"), Limit("EUR", "5", "PT1M"), Limit("count", "9"))
    scope = Scope(grants=(Grant("buy", "order:place", "https://acme.example/", limits=limits),))
    asked = Action("order:place", "https://acme.example/", {"EUR": "3"})
    permit = Permit("one", permits(scope, {}, asked, "2026-11-25T12:30:00Z"))
    assert dict(permit.used({"EUR": "2"}).amounts) == {
        "buy/EUR": "2",
        "buy/EUR.PT1M@2026-11-25T12:30:00Z": "2",
        "buy/count": "1",
    }


async def refused(ledger: Ledger, clock: HandClock) -> str:
    with pytest.raises(ScopeError) as caught:
        await admit(Gate(ledger, clock))
    return caught.value.code


async def test_sc_59_time_moved_back_revives_no_contract(tmp_path: Path, clock: HandClock) -> None:
    """HIRE-GAT-03: work that began before the end and books after it is refused; the operator sets the clock back by
    two hours and starts again, and it is refused still, because the ledger holds a later time."""
    url = f"sqlite://{tmp_path}/ledger.db"
    ledger = await open_ledger(url)
    gate = Gate(ledger, clock)
    await admit(gate)
    clock.set(DEADLINES.until)
    begun = await admit(gate)
    clock.set(shift(DEADLINES.until, 1))
    with refuses(ScopeError, "contract_expired"):
        await admit(gate)
    await gate.settle(begun)  # what was begun in time is booked as it was
    other = shift(DEADLINES.until, 30)
    await ledger.reserve(Reservation("another contract", "r", (), other, other))
    await ledger.close()

    clock.set(shift(DEADLINES.until, -7200))
    ledger = await open_ledger(url)
    assert await refused(ledger, clock) == "contract_expired"
    assert await ledger.usage(CONTRACT) == {"read-artifact/bytes": "200", "read-artifact/count": "2"}
    await ledger.close()


async def test_sc_59_who_is_slow_to_say_that_a_credential_holds_prolongs_no_contract(
    tmp_path: Path, clock: HandClock
) -> None:
    """HIRE-GAT-01: the status list of the provider's credential comes once the contract is over."""
    ledger = await open_ledger(f"sqlite://{tmp_path}/ledger.db")

    async def slow(_: Digest) -> None:
        clock.set(shift(clock.now(), 10))

    gate = Gate(ledger, clock, slow)
    clock.set(shift(DEADLINES.until, -10))
    await admit(gate)
    clock.set(shift(DEADLINES.until, -9))
    with refuses(ScopeError, "contract_expired"):
        await admit(gate)
    again = Gate(ledger, clock, slow)
    clock.set(shift(DEADLINES.until, -9))
    with refuses(ScopeError, "contract_expired"):
        await again.enter(CONTRACT, document(), "working", READ)
    assert (await ledger.usage(CONTRACT))["read-artifact/count"] == "1"
    await ledger.close()
