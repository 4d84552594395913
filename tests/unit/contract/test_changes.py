"""Amendments and releases: what an offer of one may carry, and that one passes for no contract."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from contracts import (
    ENGAGEMENT,
    HIRER,
    OFFER,
    PROOF_ID,
    PROVIDER,
    SUITE,
    TRANSCRIPT,
    acceptance,
    accepted,
    document,
    seal,
    terms,
)
from parties import NOW, keys_of
from undersigned.contract import (
    AmendmentDocument,
    Methods,
    Organisations,
    Price,
    ReleaseDocument,
    acceptance_config,
    build_amendment,
    build_release,
    check_document,
    countersigned,
    document_id,
    offer_config,
    read_contract,
    read_document,
    read_parents,
    same_terms,
    verify_parents,
    verify_sealed,
    verify_sealed_change,
)
from undersigned.encoding import JsonObject, digest_bytes, digest_of, from_struct
from undersigned.errors import ContractError, FormatError

KEYS = keys_of(HIRER, PROVIDER)
CONTRACT, IN_FORCE, OTHER = digest_bytes(b"contract"), digest_bytes(b"in force"), digest_bytes(b"other")
OF = document(parent=OTHER, organisations=Organisations(hirer="did:web:acme.example"))
PLACE: dict[str, Any] = {
    "contract": CONTRACT,
    "amends": IN_FORCE,
    "role": "provider",
    "sequence": 7,
    "methods": Methods(hirer=(HIRER.method,), provider=(PROVIDER.method,)),
    "transcript": TRANSCRIPT,
}
FIVE = Price(amount="5", currency="EUR")
AMENDMENT = build_amendment(OF, terms(price=FIVE), **PLACE)
RELEASE = build_release(OF, FIVE, "no more of it is needed", **PLACE)
CHANGES = pytest.mark.parametrize("made", [AMENDMENT, RELEASE], ids=["amendment", "release"])


def check(made: Any, under: tuple[str, str] | None = (CONTRACT, IN_FORCE)) -> None:
    check_document(
        made,
        engagement=ENGAGEMENT,
        hirer=HIRER.did,
        provider=PROVIDER.did,
        role="provider",
        sequence=7,
        transcript=TRANSCRIPT,
        under=under,
    )


def test_what_an_amendment_does_not_say_is_as_it_was() -> None:
    assert (AMENDMENT.id, AMENDMENT.parent) == (document_id(ENGAGEMENT, "provider", 7), OTHER)
    assert AMENDMENT.organisations == OF.organisations
    assert same_terms(AMENDMENT.terms, terms(price=FIVE))
    assert AMENDMENT.terms.id == f"{AMENDMENT.id}#terms"


@CHANGES
def test_a_change_reads_back_and_is_what_its_offer_may_carry(made: Any) -> None:
    assert read_document(from_struct(made)) == made
    check(made)


@CHANGES
@pytest.mark.parametrize(
    ("under", "code", "path"),
    [
        (None, "terms_mismatch", "/type"),
        ((OTHER, IN_FORCE), "conflicting_contract", "/contract"),
        ((CONTRACT, OTHER), "terms_mismatch", "/amends"),
        ((CONTRACT, CONTRACT), "terms_mismatch", "/amends"),
    ],
)
def test_a_change_is_of_the_contract_and_of_what_is_in_force(
    made: Any, under: tuple[str, str] | None, code: str, path: str
) -> None:
    """HIRE-LAN-07."""
    with pytest.raises(ContractError) as refused:
        check(made, under)
    assert (refused.value.code, refused.value.path) == (code, path)


def test_there_is_no_second_contract_under_one() -> None:
    with pytest.raises(ContractError) as refused:
        check(document("provider", 7))
    assert (refused.value.code, refused.value.path) == ("terms_mismatch", "/type")


@pytest.mark.parametrize(("amount", "taken"), [("0", True), ("-1", False)])
def test_a_release_owes_nothing_at_least(amount: str, taken: bool) -> None:
    made = from_struct(replace(RELEASE, settlement=Price(amount=amount, currency="EUR")))
    if taken:
        assert isinstance(read_document(made), ReleaseDocument)
    else:
        with pytest.raises(FormatError) as refused:
            read_document(made)
        assert refused.value.path == "/settlement/amount"


def test_a_release_has_no_terms() -> None:
    assert isinstance(read_contract(from_struct(AMENDMENT)), AmendmentDocument)
    with pytest.raises(FormatError) as refused:
        read_contract(from_struct(RELEASE))
    assert (refused.value.code, refused.value.path) == ("schema_violation", "/type")


def sealed(made: Any, **of_acceptance: Any) -> tuple[JsonObject, JsonObject, JsonObject]:
    """The document with both proofs, its acceptance and its seal; the provider offered."""
    first = PROVIDER.prove(from_struct(made), offer_config(SUITE, PROVIDER.method, NOW, PROOF_ID))
    whole = countersigned(first, HIRER.proof(first, acceptance_config(first, SUITE, HIRER.method, NOW)))
    agreed = acceptance(whole, "provider", **of_acceptance)
    offer = {"offer": of_acceptance["offer"]} if "offer" in of_acceptance else {}
    return whole, agreed, seal(whole, agreed, "provider", **offer)


@CHANGES
def test_a_change_verifies_alone_and_is_no_contract(made: Any) -> None:
    """While a contract is performed, other moves may stand between the offer, its acceptance and the seal."""
    texts = sealed(made, seen=OTHER)
    found = verify_sealed_change(*texts, keys=KEYS)
    assert (found.document.contract, found.document.amends) == (CONTRACT, IN_FORCE)
    assert (found.digest, found.offer) == (digest_of(texts[0]), OFFER)
    assert (found.acceptance, found.seal) == (digest_of(texts[1]), digest_of(texts[2]))
    with pytest.raises(ContractError) as refused:
        verify_sealed(*sealed(made), keys=KEYS)
    assert (refused.value.code, refused.value.path) == ("terms_mismatch", "/type")


def test_what_is_in_force_verifies_as_a_parent() -> None:
    """HIRE-SUB-02: it goes by the name of the contract that it amends."""
    whole, agreed, ended = sealed(AMENDMENT, seen=OTHER)
    held = read_parents([{"document": whole, "acceptance": agreed, "seal": ended}])
    assert held[0].name == CONTRACT
    verify_parents(held, keys=KEYS)
    with pytest.raises(FormatError):
        read_parents([dict(zip(("document", "acceptance", "seal"), sealed(RELEASE), strict=True))])


def test_a_contract_is_no_change() -> None:
    contract = accepted()
    agreed = acceptance(contract)
    with pytest.raises(ContractError) as refused:
        verify_sealed_change(contract, agreed, seal(contract, agreed), keys=KEYS)
    assert (refused.value.code, refused.value.path) == ("terms_mismatch", "/type")


@CHANGES
def test_an_acceptance_of_no_offer_seals_nothing(made: Any) -> None:
    """Neither it nor the seal names one: they agree, and say nothing."""
    with pytest.raises(ContractError) as refused:
        verify_sealed_change(*sealed(made, offer=None), keys=KEYS)
    assert refused.value.code == "terms_mismatch"
