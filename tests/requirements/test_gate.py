"""A gate says yes to what the sealed contract permits now, and to nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from contracts import DEADLINES, document, terms
from support import refuses
from undersigned.encoding import Digest, Instant, digest_bytes, shift
from undersigned.errors import LedgerUnavailable, ProofError, ScopeError
from undersigned.ledger import Ledger, Reservation, open_ledger
from undersigned.messages import Usage
from undersigned.protocol import STATES
from undersigned.runtime.clock import Clock
from undersigned.runtime.execution.gate import FORGOTTEN_SECONDS, MAX_REFUSALS, Gate, Refusal, used_of
from undersigned.scope import Action, Approved, Grant, Label, Labels, Limit, Scope, arguments_of
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
async def ledger() -> AsyncIterator[Ledger]:
    opened = await open_ledger("memory://gate")
    yield opened
    await opened.close()


@pytest.fixture
async def gate(ledger: Ledger, clock: HandClock) -> Gate:
    floored: Clock = Floored(clock)
    return Gate(ledger, floored)


async def test_a_working_contract_permits_what_its_scope_lists(gate: Gate) -> None:
    """HIRE-GAT-01: so the refusals below are for the reason they name."""
    permit = await gate.admit(CONTRACT, document(), "working", READ)
    assert permit.decision.clause == "read-artifact"


async def test_a_name_that_something_else_is_booked_under_books_nothing(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GTS-03: nor for a contract that was sealed while this gate ran, of which only nonces are looked at."""
    gate = Gate(ledger, clock)
    more = Action(READ.name, READ.target, {"bytes": "200"})
    once: Any = {"name": "urn:x:once", "sealed_at": "2026-11-25T12:30:01Z"}
    await gate.admit(CONTRACT, document(), "working", READ, **once)
    used = await ledger.usage(CONTRACT)
    with pytest.raises(ProofError) as refused:
        await gate.admit(CONTRACT, document(), "working", more, **once)
    assert refused.value.code == "replayed"
    assert await ledger.usage(CONTRACT) == used


async def test_what_was_booked_under_a_name_before_a_restart_is_booked_once(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GTS-03: the nonces are forgotten. It is looked up as long as a request from before is taken."""
    once: Any = {"name": "urn:x:once", "sealed_at": clock.now()}
    await Gate(ledger, clock).admit(CONTRACT, document(), "working", READ, **once)
    gate = Gate(ledger, clock)  # within the same second
    for seconds in (0, FORGOTTEN_SECONDS):
        clock.advance(seconds)
        with refuses(ProofError, "replayed"):
            await gate.admit(CONTRACT, document(), "working", READ, **once)
    await gate.admit(CONTRACT, document(), "working", READ, name="urn:x:other", sealed_at=once["sealed_at"])
    clock.advance(1)
    await gate.admit(CONTRACT, document(), "working", READ, **once)  # by then it is known by its nonce, and not here
    assert (await ledger.usage(CONTRACT))["read-artifact/count"] == "2"


@pytest.mark.parametrize("state", sorted(set(STATES) - {"working"}))
async def test_there_is_authority_in_working_only(gate: Gate, state: str) -> None:
    """HIRE-LIF-02, HIRE-GAT-01: both gates ask their own side's state, which is what it has sent or received."""
    with pytest.raises(ScopeError) as refused:
        await gate.admit(CONTRACT, document(), state, READ)
    assert refused.value.code == "contract_expired"
    assert state in refused.value.message


async def test_authority_ends_with_the_contract_and_stays_ended(gate: Gate, clock: HandClock) -> None:
    """HIRE-GAT-01, HIRE-GAT-03: inclusive at `until`; a clock that is set back brings nothing back to life."""
    clock.set(DEADLINES.until)
    await gate.admit(CONTRACT, document(), "working", READ)
    for moment in (shift(DEADLINES.until, 1), shift(DEADLINES.until, -7200)):
        clock.set(moment)
        with refuses(ScopeError, "contract_expired"):
            await gate.admit(CONTRACT, document(), "working", READ)


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
        await gate.admit(CONTRACT, bound, "working", READ)
    error = refused.value
    assert (error.code, error.clause, error.would_pass) == ("contract_expired", "notBefore", f"from {begins}")
    clock.set(begins)
    await gate.admit(CONTRACT, bound, "working", READ)


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
        await gate.admit(CONTRACT, document(), "working", action)
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
            await gate.admit(CONTRACT, contract, "working", READ)
        except ScopeError as error:
            return error.code
        return "yes"

    answers = await asyncio.gather(*(ask() for _ in range(100)))
    assert sorted(answers) == ["scope_exceeded"] * 90 + ["yes"] * 10


async def test_who_is_cancelled_while_it_is_booked_has_used_nothing(tmp_path: Path, clock: HandClock) -> None:
    """HIRE-GAT-04: by a timeout, say: the store goes on writing what it was asked for, and nobody acts."""
    ledger = await open_ledger(f"sqlite:{tmp_path / 'ledger.db'}")
    try:
        gate = Gate(ledger, clock)
        await gate.admit(CONTRACT, document(), "working", READ)
        asked, reserve = asyncio.Event(), ledger.reserve

        async def reserved(reservation: Reservation) -> Mapping[str, str]:
            asked.set()
            return await reserve(reservation)

        ledger.reserve = reserved  # type: ignore[method-assign]
        for name, count in ((None, "1"), ("urn:x:once", "2")):
            asked.clear()
            admitting = asyncio.ensure_future(gate.admit(CONTRACT, document(), "working", READ, name=name))
            await asked.wait()
            admitting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await admitting
            await ledger.put_checkpoint(await ledger.head(), "what comes behind it is written")
            assert (await ledger.usage(CONTRACT))["read-artifact/count"] == count, name
    finally:
        await ledger.close()


async def test_a_yes_says_what_is_left_after_it(gate: Gate) -> None:
    """HIRE-SCO-07: by the store's own count, also after what others booked meanwhile."""
    for left in ("9", "8", "7"):
        permit = await gate.admit(CONTRACT, document(), "working", READ)
        assert permit.decision.remaining["count"] == left
    greedy = Action(READ.name, READ.target, {"bytes": "999701"})
    with pytest.raises(ScopeError) as refused:
        await gate.admit(CONTRACT, document(), "working", greedy)
    assert refused.value.detail["remaining"] == {"bytes": "999700", "count": "7"}
    assert refused.value.detail["would_pass"] == "bytes up to 999700"


async def test_what_was_really_used_takes_the_place_of_what_was_booked(gate: Gate, ledger: Ledger) -> None:
    """HIRE-SCO-08: in each period as in all; what did not happen is given back."""
    limits = (Limit("bytes", "1000"), Limit("bytes", "500", "P1D"), Limit("count", "10"))
    scope = Scope(grants=(Grant("read", "artifact:read", "https://acme.example/artifacts/*", limits=limits),))
    one, other = [await gate.admit(CONTRACT, document(terms=terms(scope=scope)), "working", READ) for _ in range(2)]
    await gate.settle(one, {"bytes": "40"})
    await gate.release(other)
    assert await ledger.usage(CONTRACT) == {
        "read/bytes": "40",
        "read/bytes.P1D@2026-11-25T00:00:00Z": "40",
        "read/count": "1",
    }
    stated = (Usage(clause="read", unit="bytes", amount="40"), Usage(clause="read", unit="count", amount="1"))
    assert await gate.usage(CONTRACT) == stated
    assert used_of({"read/bytes": "0", "read/approval:x": "1"}) == ()


PAY = Action("pay:order", "https://shop.example/1", {"EUR": "80"})
ASKING = document(
    terms=terms(scope=Scope(grants=(Grant("pay", "pay:order", "https://shop.example/*", approval=True),)))
)


async def test_without_a_persons_yes_nothing_is_booked(gate: Gate, ledger: Ledger) -> None:
    """HIRE-SCO-12: the third answer, with the clause that asks."""
    with pytest.raises(ScopeError) as asked:
        await gate.admit(CONTRACT, ASKING, "working", PAY)
    assert (asked.value.code, asked.value.detail["clause"]) == ("approval_required", "pay")
    assert await ledger.usage(CONTRACT) == {}


async def test_an_approval_is_used_so_often_and_no_more(gate: Gate) -> None:
    """HIRE-SCO-13: once, and of fifty at once two more; `Suspend` and the end of the contract win over it."""
    yes = Approved(
        request=digest_bytes(b"request"), clause="pay", arguments=arguments_of(PAY), uses=3, until=DEADLINES.until
    )

    async def ask(state: str = "working") -> str:
        try:
            await gate.admit(CONTRACT, ASKING, state, PAY, approved=(yes,))
        except ScopeError as error:
            return error.code
        return "yes"

    assert await ask("suspended") == "contract_expired"
    permit = await gate.admit(CONTRACT, ASKING, "working", PAY, approved=(yes,))
    assert permit.decision.remaining == {}, "nor is it a limit"
    answers = await asyncio.gather(*(ask() for _ in range(50)))
    assert sorted(answers) == ["approval_required"] * 48 + ["yes"] * 2
    assert await gate.usage(CONTRACT) == (), "an approval is no usage of a limit"


# refusals


class Kept:
    """Keeps what is recorded; may be broken."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []
        self.broken = False

    async def record(self, _: Digest, refusal: Refusal) -> None:
        if self.broken:
            raise LedgerUnavailable("store_full", "no room")
        self.refusals.append(refusal)


async def refuse(gate: Gate, action: Action = READ, state: str = "working") -> str:
    with pytest.raises(ScopeError) as refused:
        await gate.admit(CONTRACT, document(), state, action)
    return refused.value.code


OUTSIDE = Action("artifact:read", "https://acme.example/payroll", {"bytes": "1"})


async def test_every_answer_but_yes_is_recorded(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-02: outside the scope, outside the state, outside the time, and for want of a credential."""
    kept = Kept()
    failing: list[ScopeError] = []

    async def require(_: Digest) -> None:
        for error in failing:
            raise error

    gate = Gate(ledger, clock, require, record=kept.record)
    await gate.admit(CONTRACT, document(), "working", READ)
    assert kept.refusals == []
    await refuse(gate, OUTSIDE)
    await refuse(gate, state="suspended")
    failing.append(ScopeError("revoked", "withdrawn", clause="mustStayValid"))
    await refuse(gate)
    clock.set(shift(DEADLINES.until, 1))
    await refuse(gate)
    assert [(one.error.code, one.error.detail["clause"]) for one in kept.refusals] == [
        ("scope_exceeded", "read-artifact"),
        ("contract_expired", "state"),
        ("revoked", "mustStayValid"),
        ("contract_expired", "until"),
    ]


async def test_an_integer_is_an_amount_and_a_float_is_refused_and_recorded(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-02, HIRE-SCO-07: what cannot be parsed is refused by the gate, whatever hands it in."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    counted: Any = {"bytes": 1}
    permit = await gate.admit(CONTRACT, document(), "working", Action(READ.name, READ.target, counted))
    assert [charge.amount for charge in permit.decision.charges if charge.counter == "bytes"] == ["1"]
    for amount in (0.5, True, None, [1]):
        wrong: Any = {"bytes": amount}
        assert await refuse(gate, Action(READ.name, READ.target, wrong)) == "scope_exceeded"
    assert [one.error.detail["clause"] for one in kept.refusals] == ["scope"] * 4


async def test_the_same_refusal_is_recorded_again_after_pauses_that_grow(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-02: a hammering peer fills no store; the next record counts what had none."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    for _ in range(20):
        await refuse(gate, OUTSIDE)
    clock.advance(60)
    await refuse(gate, OUTSIDE)
    await refuse(gate, Action("artifact:read", "https://acme.example/other", {"bytes": "1"}))
    assert [one.repeated for one in kept.refusals] == [0, 19, 0]
    for number in range(MAX_REFUSALS):
        assert await refuse(gate, Action("artifact:read", f"https://acme.example/x{number}")) == "scope_exceeded"
    assert len(kept.refusals) == 1 + MAX_REFUSALS


@pytest.mark.parametrize(("field", "most"), [("name", 256), ("target", 2048), ("amounts", 2048)])
async def test_refusals_are_told_apart_by_so_much_of_what_was_asked(
    ledger: Ledger, clock: HandClock, field: str, most: int
) -> None:
    """HIRE-GAT-02: what is kept of each has a bound."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    error = ScopeError("scope_exceeded", "outside", clause="read")
    for end in ("a", "b", "bc"):
        text = "x" * (most - 1) + end
        asked: dict[str, Any] = {"name": "a:b", "target": "https://acme.example/1"}
        asked[field] = {text[3:]: "1"} if field == "amounts" else text  # with `[('` before it
        await gate.refuse(CONTRACT, Action(**asked), error)
    assert [one.repeated for one in kept.refusals] == [0, 0]


async def test_what_another_clause_refuses_is_another_refusal(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-02: and one that is known goes on to be recorded where there is no room for more."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    for number in range(MAX_REFUSALS + 1):
        await gate.refuse(CONTRACT, OUTSIDE, ScopeError("scope_exceeded", "outside", clause=f"read-{number}"))
    assert len(kept.refusals) == MAX_REFUSALS
    clock.advance(60)
    await gate.refuse(CONTRACT, OUTSIDE, ScopeError("scope_exceeded", "outside", clause="read-0"))
    assert len(kept.refusals) == MAX_REFUSALS + 1


async def test_what_is_asked_for_all_day_is_recorded_a_few_times(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-02, HIRE-LIM-05: each pause is twice as long, and all that had no record is counted in the next."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    error = ScopeError("scope_exceeded", "outside", clause="read")
    for _ in range(24 * 60):
        await gate.refuse(CONTRACT, OUTSIDE, error)
        clock.advance(60)
    assert [one.repeated for one in kept.refusals] == [0, *(2**number - 1 for number in range(10))]


async def test_what_the_rules_of_a_gate_refuse_has_the_same_bound(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GTS-12: many different things, and one of them many times."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    error = ScopeError("scope_exceeded", "no rule maps it", clause="rules")
    for number in range(MAX_REFUSALS + 50):
        await gate.refuse(CONTRACT, Action("GET", f"https://acme.example/x{number}"), error)
        await gate.refuse(CONTRACT, Action("GET", "https://acme.example/x0"), error)
    assert len(kept.refusals) == MAX_REFUSALS
    assert {one.error.detail["clause"] for one in kept.refusals} == {"rules"}


async def test_what_takes_nothing_is_let_in_under_a_contract_in_force(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GTS-13: it books nothing; and time that ran back lets nothing in."""
    kept = Kept()
    gate = Gate(ledger, clock, record=kept.record)
    listing = Action("tools/list", "")
    await gate.enter(CONTRACT, document(), "working", listing)
    clock.set(shift(DEADLINES.until, 1))
    for _ in range(2):
        with refuses(ScopeError, "contract_expired"):
            await gate.enter(CONTRACT, document(), "working", listing)
        clock.set(shift(DEADLINES.until, -3600))
    assert await ledger.usage(CONTRACT) == {}
    assert len(kept.refusals) == 1


async def test_a_record_that_fails_changes_no_answer(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-02."""
    kept = Kept()
    kept.broken = True
    gate = Gate(ledger, clock, record=kept.record)
    assert await refuse(gate, OUTSIDE) == "scope_exceeded"
    kept.broken = False
    assert await refuse(gate, OUTSIDE) == "scope_exceeded"
    assert len(kept.refusals) == 1, "what has no record yet is recorded when it comes again"


# time


async def test_the_ledger_holds_the_time_over_a_restart(tmp_path: Path, clock: HandClock) -> None:
    """HIRE-GAT-03: what was over when the last thing was booked is over, whatever the clock says after a restart."""
    url = f"sqlite://{tmp_path}/ledger.db"
    ledger = await open_ledger(url)
    clock.set(shift(DEADLINES.until, 60))
    # Something of another contract, that is no business of this one.
    await ledger.reserve(Reservation("another", "r", (), clock.now(), clock.now()))
    await ledger.close()
    clock.set(shift(DEADLINES.until, -7200))
    ledger = await open_ledger(url)
    assert await refuse(Gate(ledger, clock)) == "contract_expired"
    await ledger.close()


# labels


CUSTOMERS = "https://acme.example/customers/7"
LABELS = Labels(rules=(Label("https://acme.example/press/*", {"dataClass": "public"}),))
OPEN = document(
    terms=terms(
        scope=Scope(
            grants=(
                Grant("read", "data:read", "https://acme.example/*", conditions={"dataClass": ["public", "internal"]}),
            )
        )
    )
)


async def seen(gate: Gate, target: str, headers: Mapping[str, str] | None = None, **facts: str) -> bool:
    action = Action("data:read", target, facts=facts)
    try:
        await gate.admit(CONTRACT, OPEN, "working", action, headers=headers)
    except ScopeError as error:
        return error.detail["would_pass"] != "data class internal or public"
    return True


async def test_should_this_agent_see_my_customer_data(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-05: no rule says that it may, so it may not, though the grant reaches the target and it asks nicely."""
    gate = Gate(ledger, clock, labels=LABELS)
    assert await seen(gate, "https://acme.example/press/1")
    assert not await seen(gate, CUSTOMERS)
    assert not await seen(gate, CUSTOMERS, dataClass="public")
    assert await seen(gate, CUSTOMERS, {"Data-Class": "internal"}), "the resource says so itself"
    assert not await seen(gate, "https://acme.example/press/1", {"Data-Class": "confidential"})


async def test_labels_are_read_wherever_one_grant_asks_for_them(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-05: beside a grant that asks for none."""
    grants = (
        Grant("list", "data:list", "https://acme.example/*"),
        Grant("read", "data:read", "https://acme.example/*", conditions={"dataClass": ["public"]}),
    )
    both = document(terms=terms(scope=Scope(grants=grants)))
    press = Action("data:read", "https://acme.example/press/1")
    assert (await Gate(ledger, clock, labels=LABELS).foresee(CONTRACT, both, press)).allowed


async def test_what_the_application_knows_counts_too(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-05: and what it cannot look up is not known, whatever a rule says."""
    known = {CUSTOMERS: {"dataClass": "internal"}, "https://acme.example/press/1": {"dataClass": "restricted"}}

    async def resolve(target: str) -> Mapping[str, str]:
        return known[target] if target != "https://acme.example/press/3" else sys.exit(1)

    gate = Gate(ledger, clock, labels=LABELS, resolve=resolve)
    assert await seen(gate, CUSTOMERS)
    assert not await seen(gate, "https://acme.example/press/1")
    assert not await seen(gate, "https://acme.example/press/2"), "the look-up raised"
    assert not await seen(gate, "https://acme.example/press/3"), "and would have ended the process"


async def test_what_the_application_knows_is_enough(ledger: Ledger, clock: HandClock) -> None:
    """HIRE-GAT-05: without labels as well; what whoever asks says of it is nothing then."""

    async def resolve(target: str) -> Mapping[str, str]:
        return {"dataClass": "internal" if target == CUSTOMERS else "restricted"}

    gate = Gate(ledger, clock, resolve=resolve)
    assert await seen(gate, CUSTOMERS)
    assert not await seen(gate, "https://acme.example/press/1", dataClass="public")


@pytest.mark.parametrize("said", ["public", 3, ["public"], {"region": ["eu"]}])
async def test_what_the_application_says_in_no_form_of_labels_is_not_known(
    ledger: Ledger, clock: HandClock, said: Any
) -> None:
    """HIRE-GAT-05: it came out of the gate as an error of whoever asked, with no record of the refusal."""

    async def resolve(_: str) -> Mapping[str, str]:
        return said

    assert not await seen(Gate(ledger, clock, labels=LABELS, resolve=resolve), "https://acme.example/press/1")
