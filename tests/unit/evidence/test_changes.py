"""Packs of contracts that were suspended, amended, disputed and ruled on, or released."""

from __future__ import annotations

import pytest

from pack_cases import RULED_ANEW, ruled_from_a_web_site
from packs import NEXT_ARBITER, Hire, changed_hire, coded, ruled_anew
from undersigned.contract import countersigned, verify_sealed, verify_sealed_change
from undersigned.encoding import from_struct
from undersigned.errors import ContractError, ProofError
from undersigned.evidence import Report, verify_pack
from undersigned.messages import Acceptance, Offer, Seal
from undersigned.protocol import Received, Sent
from undersigned.testing import ARBITER, Actor, acceptance, closing, dispute, release, ruling, seal

LATER = "2030-01-01T00:00:00Z"


def step(report: Report, name: str) -> str:
    return next(one.detail for one in report.steps if one.name == name)


@pytest.mark.parametrize("role", ["hirer", "provider"])
def test_a_changed_contract_is_verified_with_its_changes(role: str) -> None:
    """HIRE-PCK-01, HIRE-LAN-07: both amendments hold, each by itself; the contract keeps its name."""
    hire = changed_hire().delivered().reviewed().closed()
    report = verify_pack(hire.pack(role), now=LATER)
    assert report.ok, report.steps
    assert (report.contract, report.state) == (hire.contract, "closed")
    assert step(report, "contract").count("Amendment") == 2


def test_a_ruling_is_verified_too() -> None:
    """By the arbiter's DID document; its key follows from a did:key."""
    hire = changed_hire().delivered()
    hire.book.provider >> dispute()
    hire.book.hirer >> ruling("for_provider", amount="15")
    report = verify_pack(hire.closed().pack(), now=LATER)
    assert report.ok, report.steps
    assert "ruled for_provider, 15 EUR owed" in step(report, "contract")


def test_a_ruling_of_somebody_else_is_found() -> None:
    """A ruling that both carried and that the arbiter did not sign (HIRE-LIF-22)."""
    hire = changed_hire().delivered()
    hire.book.provider >> dispute()
    hire.book.hirer >> ruling(by=hire.provider.actor)
    report = verify_pack(hire.closed().pack(), now=LATER)
    assert not report.ok
    assert next(one.code for one in report.steps if not one.ok) == "key_not_authorized"


@pytest.mark.parametrize(("by", "crossing", "unseen"), RULED_ANEW)
@pytest.mark.parametrize("role", ["hirer", "provider"])
def test_on_a_dispute_that_crossed_a_seal_either_arbiter_rules(
    role: str, by: Actor, crossing: bool, unseen: bool
) -> None:
    """HIRE-LIF-22, HIRE-PCK-01: and of one that knows of the seal the one in force alone."""
    report = verify_pack(ruled_anew(by, crossing=crossing, unseen=unseen).pack(role), now=LATER)
    holds = crossing or by is NEXT_ARBITER
    assert [one.code for one in report.steps if not one.ok][:1] == ([] if holds else ["key_not_authorized"])


def test_a_ruling_that_cannot_be_checked_does_not_hold() -> None:
    """HIRE-PCK-01, HIRE-PCK-04: what is owed rests on it, and a pack without the arbiter's document proves nothing."""
    report = verify_pack(ruled_from_a_web_site(documents=True), now=LATER)
    assert report.ok, report.steps
    assert "ruled for_provider, 15 EUR owed" in step(report, "contract")
    report = verify_pack(ruled_from_a_web_site(documents=False), now=LATER)
    failed = next(one for one in report.steps if not one.ok)
    assert (failed.name, failed.code) == ("contract", "evidence_invalid")
    assert "did:web:witness.example" in failed.detail


def test_a_release_is_verified_too() -> None:
    hire = Hire().sealed()
    hire.book.hirer >> release(amount="2")
    hire.book.provider >> acceptance()
    hire.book.hirer >> seal()
    hire.book.hirer >> closing(basis="release", checkpoint=coded(hire.logs["hirer"].note()))
    report = verify_pack(hire.pack(), now=LATER)
    assert report.ok, report.steps
    assert "Release" in step(report, "contract")


def test_an_amendment_stands_alone_and_a_contract_is_none() -> None:
    """HIRE-LAN-07, HIRE-CTR-10: they verify without the journal, and neither passes for the other."""
    hire = changed_hire()
    said = [e.message for e in hire.hirer.journal if isinstance(e, Sent | Received)]
    keys = {actor.did: actor.document for actor in (hire.hirer.actor, hire.provider.actor, ARBITER)}

    def key(method: str, purpose: str):
        return keys[method.partition("#")[0]].key_for(method, purpose, now=None)

    def whole(number: int):
        taken, seals = ([m.message for m in said if isinstance(m.message, of)] for of in (Acceptance, Seal))
        body = taken[number]
        assert isinstance(body, Acceptance)
        (offer,) = [m.message for m in said if m.digest == body.offer]
        assert isinstance(offer, Offer)
        document = countersigned(from_struct(offer.document), body.contract_proof)
        return document, from_struct(body), from_struct(seals[number])

    first, second = whole(1), whole(2)
    change = verify_sealed_change(*second, keys=key)
    assert change.document.amends == verify_sealed_change(*first, keys=key).digest  # type: ignore[union-attr]
    with pytest.raises(ContractError):
        verify_sealed(*first, keys=key)
    with pytest.raises(ContractError):
        verify_sealed_change(*whole(0), keys=key)
    with pytest.raises(ContractError):
        verify_sealed_change(first[0], first[1], second[2], keys=key)
    with pytest.raises(ProofError):
        verify_sealed_change({**first[0], "amends": change.digest}, *first[1:], keys=key)
