"""What one side says while the seal of an amendment by the other is on its way: each change of the terms, each move.

A move whose sender had not seen the seal is held against the terms before as well as those in force (page 07, section
7.5). So neither side refuses it, both come to the same state, end, and have packs that hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from packs import NEXT_ARBITER, Hire, coded
from undersigned.attestation import ProvenancePredicate, WorkPredicate
from undersigned.contract import Criterion, Price, Terms
from undersigned.encoding import digest_bytes
from undersigned.errors import LocalProtocolError
from undersigned.evidence import verify_pack
from undersigned.protocol import HIRER, OTHER, PROVIDER, Role
from undersigned.protocol.engagement import Essentials
from undersigned.testing import (
    ARBITER,
    Actor,
    Party,
    Say,
    acceptance,
    amendment,
    approval,
    approval_request,
    breach,
    cancel,
    closing,
    dispute,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    terminate,
)

LATER = "2030-01-01T00:00:00Z"
JUDGE = Actor("judge")
Change = Callable[[Terms], Terms]


def of(member: str, **changes: object) -> Change:
    """Terms with other values in one member."""
    return lambda terms: replace(terms, **{member: replace(getattr(terms, member), **changes)})


def made(**changes: object) -> Change:
    return lambda terms: replace(terms, deliverables=(replace(terms.deliverables[0], **changes),))


WORK, PROVENANCE = WorkPredicate.PREDICATE_TYPE, ProvenancePredicate.PREDICATE_TYPE

CHANGES: dict[str, Change] = {
    "the price": of("price", amount="99"),
    "its currency": lambda terms: replace(terms, price=Price(amount="99", currency="USD")),
    "the name of what is made": made(name="other.json"),
    "its size": made(max_bytes=1),
    "another criterion": made(criteria=(Criterion(id="other", text=""),)),
    "no criterion": made(criteria=()),
    "no input": of("task", inputs=()),
    "the task": of("task", kind="vex"),
    "one statement more": of("evidence", predicates=(WORK, PROVENANCE)),
    "a verifier": of("evidence", verifier=JUDGE.did),
    "another arbiter": lambda terms: replace(terms, arbiter=NEXT_ARBITER.did),
    "no arbiter": lambda terms: replace(terms, arbiter=None),
    "no rework": lambda terms: replace(terms, reworks=0),
    "no end at convenience": of("termination", convenience="none", notice=None),
    "more time to cure": of("termination", cure="P9D"),
    "more time to stop": of("deadlines", wind_down="P1D"),
    "less time": of("deadlines", heartbeat="PT1M", review="PT1M", rework="PT1M", close="PT1M"),
    "no grant": of("scope", grants=()),
    "what silence means": lambda terms: replace(terms, on_silence="rejected"),
    "what must stay valid": lambda terms: replace(terms, must_stay_valid=(digest_bytes(b"a credential"),)),
}
"""What of the terms an amendment changes, of all that something later is judged by."""


class Later(NamedTuple):
    """What one side says while the other's seal is under way."""

    role: Role
    says: tuple[Callable[[Hire], Say], ...]
    after: str = "working"
    """Which state it says it in, as it is before the amendment."""


def said(role: Role, *says: Callable[[], Say], after: str = "working") -> Later:
    return Later(role, tuple([lambda _, one=one: one() for one in says]), after)


def reviewed(verdict: str) -> Later:
    def says(hire: Hire) -> Say:
        return review(verdict, statement=hire.verdict(passed=verdict == "accepted"))

    return Later(HIRER, (says,), "delivered")


def in_force(party: Party) -> Essentials:
    assert party.engagement.offer is not None
    return party.engagement.offer.terms


def books(basis: str, role: Role) -> Callable[[Hire], Say]:
    def says(hire: Hire) -> Say:
        owed = Price(amount="0", currency=in_force(hire.book.side(role).party).currency)
        return closing(basis=basis, settlement=owed, checkpoint=coded(hire.logs[role].note()))

    return says


def rules(role: Role) -> Callable[[Hire], Say]:
    """By the arbiter that this side knows of."""

    def says(hire: Hire) -> Say:
        named = in_force(hire.book.side(role).party).arbiter
        return ruling(by=NEXT_ARBITER if named == NEXT_ARBITER.did else ARBITER)

    return says


LATERS: dict[str, Later] = {
    "Start": said(HIRER, start, after="sealed"),
    "Approval": said(HIRER, approval, after="asked"),
    "ApprovalRequest": said(PROVIDER, approval_request),
    "Suspend, Resume": said(HIRER, suspend, resume),
    "Cancel": said(HIRER, cancel),
    "Delivery": Later(PROVIDER, (), "working"),
    "Review, accepted": reviewed("accepted"),
    "Review, rejected": reviewed("rejected"),
    "Review, rework": reviewed("rework"),
    **{f"Breach, {role}": said(role, breach) for role in (HIRER, PROVIDER)},
    **{f"Dispute, {role}": said(role, dispute) for role in (HIRER, PROVIDER)},
    **{f"Dispute, Ruling, {role}": Later(role, (lambda _: dispute(), rules(role))) for role in (HIRER, PROVIDER)},
    **{f"Terminate, {role}": said(role, lambda: terminate("convenience")) for role in (HIRER, PROVIDER)},
    **{
        f"Terminate, Closing, {role}": Later(
            role, (lambda _: terminate("key_compromised"), books("terminate", role)), "working"
        )
        for role in (HIRER, PROVIDER)
    },
}


def verdict(hire: Hire, verdict_is: str) -> None:
    """The `Review` after the seal, by whom the terms in force name."""
    by = JUDGE if in_force(hire.hirer).verifier else None
    hire.reviewed(verdict_is, hire.verdict(passed=verdict_is == "accepted", by=by))


def ends(hire: Hire) -> None:
    """From wherever they are, both go on and close their books."""
    book, state = hire.book, hire.hirer.state
    if state == "sealed" or state in ("working", "suspended"):
        book.hirer >> terminate("key_compromised")
    elif state == "cancelling":
        hire.delivered(outcome="cancelled")
    if hire.hirer.state == "delivered":
        verdict(hire, "rejected")
    if hire.hirer.state == "disputed":
        book.hirer >> rules(HIRER)(hire)
    contract = hire.hirer.engagement.contract
    assert contract is not None
    basis = {"review": "review", "ruling": "ruling"}.get(contract.endings[-1].basis, "terminate")
    for role in (HIRER, PROVIDER):
        if role not in contract.closed_by:
            book.side(role) >> books(basis, role)(hire)


def begun(change: str, later: Later) -> Hire:
    """A contract in the state in which that is said, with the amendment accepted, and its seal to be sent."""
    hire = Hire(changing=of("termination", convenience="notice", notice="P1D"))
    book = hire.book
    if later.after == "sealed":
        book.hirer >> seal(ledger=hire.place())
    else:
        hire.sealed()
    if later.after == "asked":
        book.provider >> approval_request()
    if later.after == "delivered":
        if "criterion" in change:
            pytest.skip("HIRE-LAN-06: nobody offers that")
        hire.delivered()
    book.side(OTHER[later.role]) >> amendment(terms=CHANGES[change](hire.hirer.offered().terms))
    book.side(later.role) >> acceptance()
    return hire


def crosses(change: str, name: str) -> None:
    later = LATERS[name]
    hire = begun(change, later)
    with hire.book.held():
        hire.book.side(OTHER[later.role]) >> seal()
        for say in later.says:
            hire.book.side(later.role) >> say(hire)
        if name == "Delivery":
            hire.delivered()
    if name == "Delivery":
        verdict(hire, "accepted")
    come_to_an_end(hire)


def follows(change: str, name: str) -> None:
    """The same by who has the seal: what would be refused is not sent."""
    later = LATERS[name]
    hire = begun(change, later)
    hire.book.side(OTHER[later.role]) >> seal()
    with suppress(LocalProtocolError):
        for say in later.says:
            if name.startswith("Review") and in_force(hire.hirer).verifier:
                verdict(hire, name.rpartition(" ")[2])
                break
            hire.book.side(later.role) >> say(hire)
    if name == "Delivery":
        hire.delivered()
        verdict(hire, "rejected")  # it is by the terms of before
    come_to_an_end(hire)


def come_to_an_end(hire: Hire) -> None:
    """Both hold the same document and state, close their books, and have packs that hold."""
    contracts = [party.engagement.contract for party in hire.book.parties.values()]
    documents = {one.in_force for one in contracts if one is not None}
    assert len(documents) == 1
    assert documents != {hire.contract}
    assert hire.hirer.state == hire.provider.state
    ends(hire)
    assert (hire.hirer.state, hire.provider.state) == ("closed", "closed")
    for role in (HIRER, PROVIDER):
        report = verify_pack(hire.pack(role), now=LATER)
        assert report.ok, (role, [step for step in report.steps if not step.ok])


EACH = [
    ("the name of what is made", "Delivery"),
    ("a verifier", "Review, accepted"),
    ("no arbiter", "Dispute, Ruling, provider"),
    ("another arbiter", "Dispute, Ruling, hirer"),
    ("no end at convenience", "Terminate, hirer"),
    ("its currency", "Terminate, Closing, provider"),
    ("no input", "Start"),
    ("no grant", "Breach, provider"),
    ("no rework", "Review, rework"),
    ("more time to stop", "Cancel"),
]
"""One of each move that is judged by the terms, with what it is judged by."""


@pytest.mark.parametrize(("change", "later"), EACH)
@pytest.mark.parametrize("when", [crosses, follows])
def test_each_move_that_is_judged_by_terms(when: Callable[[str, str], None], change: str, later: str) -> None:
    when(change, later)


@pytest.mark.slow
@pytest.mark.parametrize("later", LATERS)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("when", [crosses, follows])
def test_every_move_after_every_change(when: Callable[[str, str], None], change: str, later: str) -> None:
    when(change, later)
