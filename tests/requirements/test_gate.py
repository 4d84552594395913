"""A gate says yes to what the sealed contract permits now, and to nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts import DEADLINES, document, terms
from undersigned.encoding import Instant, digest_bytes, shift
from undersigned.errors import ScopeError
from undersigned.ledger import open_ledger
from undersigned.protocol import STATES
from undersigned.runtime.clock import Clock
from undersigned.runtime.gate import Gate
from undersigned.scope import Action, Grant, Limit, Scope
from undersigned.testing import HandClock

CONTRACT = digest_bytes(b"the contract")
READ = Action(name="artifact:read", target="https://acme.example/artifacts/one", amounts={"bytes": "100"})


class Floored:
    """A peer's clock over one that is set by hand: it never runs back."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.last: Instant = clock.now()

    def now(self) -> Instant:
        self.last = max(self.last, self.clock.now())
        return self.last


@pytest.fixture
async def clock() -> HandClock:
    return HandClock("2026-11-25T12:30:00Z")


@pytest.fixture
async def gate(clock: HandClock) -> AsyncIterator[Gate]:
    ledger = await open_ledger("memory://gate")
    floored: Clock = Floored(clock)
    yield Gate(ledger, floored)
    await ledger.close()


async def test_a_working_contract_permits_what_its_scope_lists(gate: Gate) -> None:
    """HIRE-GAT-01: so the refusals below are for the reason they name."""
    permit = await gate.admit(CONTRACT, document(), "working", READ, until=DEADLINES.until)
    assert permit.decision.clause == "read-artifact"


@pytest.mark.parametrize("state", sorted(set(STATES) - {"working"}))
async def test_there_is_authority_in_working_only(gate: Gate, state: str) -> None:
    """HIRE-LIF-02, HIRE-GAT-01: both gates ask their own side's state, which is what it has sent or received."""
    with pytest.raises(ScopeError) as refused:
        await gate.admit(CONTRACT, document(), state, READ, until=DEADLINES.until)
    assert refused.value.code == "contract_expired"
    assert state in refused.value.message


async def test_authority_ends_with_the_contract_and_stays_ended(gate: Gate, clock: HandClock) -> None:
    """HIRE-GAT-01, HIRE-GAT-03: inclusive at `until`; a clock that is set back brings nothing back to life."""
    clock.set(DEADLINES.until)
    await gate.admit(CONTRACT, document(), "working", READ, until=DEADLINES.until)
    for moment in (shift(DEADLINES.until, 1), shift(DEADLINES.until, -7200)):
        clock.set(moment)
        with pytest.raises(ScopeError) as refused:
            await gate.admit(CONTRACT, document(), "working", READ, until=DEADLINES.until)
        assert refused.value.code == "contract_expired"


async def test_authority_does_not_begin_before_the_contract_says(gate: Gate, clock: HandClock) -> None:
    """HIRE-GAT-01: `notBefore`, inclusive."""
    begins = "2026-11-25T12:40:00Z"
    deadlines = type(DEADLINES)(
        **{name: getattr(DEADLINES, name) for name in DEADLINES.__struct_fields__}
        | {"not_before": begins, "start": "2026-11-25T12:50:00Z"}
    )
    bound = document(terms=terms(deadlines=deadlines))
    clock.set(shift(begins, -1))
    with pytest.raises(ScopeError) as refused:
        await gate.admit(CONTRACT, bound, "working", READ, until=DEADLINES.until)
    assert refused.value.code == "contract_expired"
    clock.set(begins)
    await gate.admit(CONTRACT, bound, "working", READ, until=DEADLINES.until)


@pytest.mark.parametrize(
    "action",
    [
        Action(name="artifact:write", target=READ.target, amounts={"bytes": "1"}),
        Action(name="artifact:read", target="https://acme.example/other/one", amounts={"bytes": "1"}),
        Action(name="artifact:read", target=READ.target, amounts={"bytes": "1000001"}),
        Action(name="artifact:read", target=READ.target, amounts={"bytes": "1", "count": "11"}),
        Action(name="artifact:read", target=READ.target),
    ],
    ids=["another action", "another target", "too many bytes", "too often", "bytes not stated"],
)
async def test_what_is_outside_is_refused_with_its_clause(gate: Gate, action: Action) -> None:
    """HIRE-SCO-06, HIRE-SCO-07, HIRE-SCO-09."""
    with pytest.raises(ScopeError) as refused:
        await gate.admit(CONTRACT, document(), "working", action, until=DEADLINES.until)
    assert refused.value.code == "scope_exceeded"
    assert refused.value.detail["clause"] in ("read-artifact", "scope")
    assert refused.value.detail["would_pass"]


async def test_many_at_once_get_no_more_than_the_limit(gate: Gate) -> None:
    """HIRE-SCO-08: a hundred ask at the same time for what ten may have."""
    scope = Scope(
        grants=(Grant("read", "artifact:read", "https://acme.example/artifacts/*", limits=(Limit("count", "10"),)),)
    )
    contract = document(terms=terms(scope=scope))

    async def ask() -> str:
        try:
            await gate.admit(CONTRACT, contract, "working", READ, until=DEADLINES.until)
        except ScopeError as error:
            return error.code
        return "yes"

    answers = await asyncio.gather(*(ask() for _ in range(100)))
    assert sorted(answers) == ["scope_exceeded"] * 90 + ["yes"] * 10
