from typing import Any

import pytest

from contracts import (
    ENGAGEMENT,
    HIRER,
    OFFER,
    PROOF_ID,
    PROVIDER,
    STRANGER,
    acceptance,
    accepted,
    document,
    offered,
    seal,
    terms,
)
from parties import NOW, Party, keys_of
from support import refuses
from undersigned.contract import (
    Price,
    acceptance_config,
    countersigned,
    offer_config,
    verify_countersigned,
    verify_offered,
    verify_sealed,
)
from undersigned.encoding import digest_bytes, digest_of, from_struct, shift
from undersigned.errors import ContractError, ProofError, VerificationError
from undersigned.proof import prepare

KEYS = keys_of(HIRER, PROVIDER, STRANGER)
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("role", ["hirer", "provider"])
def test_a_contract_verifies_alone(role: str, suite: str) -> None:
    """HIRE-CTR-10."""
    contract = accepted(role, suite)
    agreed = acceptance(contract, role, suite)
    sealed = verify_sealed(contract, agreed, seal(contract, agreed, role, suite), keys=KEYS)
    assert sealed.digest == digest_of(contract)
    assert sealed.offerer == role
    assert sealed.json == contract


def test_an_offer_has_one_proof_and_an_acceptance_two() -> None:
    """HIRE-CTR-08, HIRE-CTR-11."""
    assert verify_offered(offered(), keys=KEYS, now=NOW).id == document().id
    assert verify_countersigned(accepted(), keys=KEYS, now=NOW).id == document().id
    for wrong, verify in ((accepted(), verify_offered), (offered(), verify_countersigned)):
        with refuses(ProofError, "proof_invalid"):
            verify(wrong, keys=KEYS)


@pytest.mark.parametrize("suite", SUITES)
def test_what_came_in_messages_is_signed_and_verified_the_same(suite: str) -> None:
    first = offered(suite=suite)
    config = acceptance_config(first, suite, PROVIDER.method, NOW)
    assert prepare(first, config, "Ed25519", strict=True) == prepare(first, config, "Ed25519")
    assert verify_countersigned(accepted(suite=suite), keys=KEYS, strict=True).id == document().id
    again = HIRER.proof(from_struct(document()), offer_config(suite, HIRER.method, shift(NOW, 1), PROOF_ID))
    other = {**first, "proof": [again, *accepted(suite=suite)["proof"][1:]]}
    with pytest.raises(ProofError, match="signature") as caught:
        verify_countersigned(other, keys=KEYS, strict=True)
    assert caught.value.code == "proof_invalid"


def test_the_digest_stays_what_it_was_when_offered() -> None:
    assert digest_of(offered()) == digest_of(accepted()) == digest_of(from_struct(document()))


def test_only_the_offerer_offers() -> None:
    """HIRE-CTR-04."""
    unsigned = from_struct(document("hirer"))
    wrong = PROVIDER.prove(unsigned, offer_config("eddsa-jcs-2022", PROVIDER.method, NOW, PROOF_ID))
    with pytest.raises(ProofError, match="expected a proof by"):
        verify_offered(wrong, keys=KEYS)


def test_an_offer_without_an_id_on_its_proof_cannot_be_countersigned() -> None:
    config = offer_config("eddsa-jcs-2022", HIRER.method, NOW, PROOF_ID)
    del config["id"]
    nameless = HIRER.prove(from_struct(document()), config)
    with pytest.raises(ProofError):
        verify_offered(nameless, keys=KEYS)
    with pytest.raises(ProofError):
        acceptance_config(nameless, "eddsa-jcs-2022", PROVIDER.method, NOW)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"proof": None}, "proof_missing"),
        ({"proof": ["no object"]}, "proof_invalid"),
        ({"proof": offered()["proof"] | {"id": "1"}}, "proof_invalid"),
        ({"proof": accepted()["proof"]}, "proof_invalid"),
    ],
    ids=["none", "no proof", "another id", "two"],
)
def test_what_is_countersigned_carries_the_offerers_proof_alone(change: dict[str, Any], code: str) -> None:
    """HIRE-CTR-07, HIRE-CTR-08: the second proof names the first by its id."""
    given = offered() | change
    for sign in (
        lambda: acceptance_config(given, "eddsa-jcs-2022", PROVIDER.method, NOW),
        lambda: countersigned(given, accepted()["proof"][1]),
    ):
        with refuses(ProofError, code):
            sign()
    with refuses(ProofError, "proof_missing"):
        countersigned(offered(), {})


@pytest.mark.parametrize("place", [0, 1])
def test_no_proof_of_a_contract_ends(place: int) -> None:
    """HIRE-CTR-11: it would be a contract for some of its readers, and none for those who come later."""
    first = HIRER.prove(
        from_struct(document()),
        offer_config("eddsa-jcs-2022", HIRER.method, NOW, PROOF_ID) | ({} if place else {"expires": shift(NOW, 3600)}),
    )
    config = acceptance_config(first, "eddsa-jcs-2022", PROVIDER.method, NOW)
    second = PROVIDER.proof(first, config | ({"expires": shift(NOW, 3600)} if place else {}))
    with pytest.raises(ProofError) as refused:
        verify_countersigned(countersigned(first, second), keys=KEYS)
    assert (refused.value.code, refused.value.path) == ("unknown_term", f"/proof/{place}/expires")


def test_suites_and_time_of_the_reader_hold_for_every_proof() -> None:
    agreed, other = SUITES
    first = offered()
    second = PROVIDER.proof(first, acceptance_config(first, agreed, PROVIDER.method, NOW) | {"cryptosuite": other})
    contract = accepted()
    said = acceptance(contract)
    for verify in (
        lambda by: verify_offered(offered(suite=other), keys=KEYS, **by),
        lambda by: verify_countersigned(accepted(suite=other), keys=KEYS, **by),
        lambda by: verify_countersigned(countersigned(first, second), keys=KEYS, **by),
        lambda by: verify_sealed(accepted(suite=other), said, seal(contract, said), keys=KEYS, **by),
        lambda by: verify_sealed(contract, acceptance(contract, "hirer", other), seal(contract, said), keys=KEYS, **by),
        lambda by: verify_sealed(contract, said, seal(contract, said, "hirer", other), keys=KEYS, **by),
    ):
        with refuses(ProofError, "suite_not_allowed"):
            verify({"suites": (agreed,)})
    for verify in (
        lambda by: verify_offered(offered(), keys=KEYS, **by),
        lambda by: verify_countersigned(accepted(), keys=KEYS, **by),
    ):
        with refuses(ProofError, "proof_from_future"):
            verify({"now": shift(NOW, -3600)})


def test_a_countersignature_names_the_first_proof() -> None:
    """HIRE-CTR-07."""
    first = offered()
    config = acceptance_config(first, "eddsa-jcs-2022", PROVIDER.method, NOW)
    loose = PROVIDER.proof(first, {name: value for name, value in config.items() if name != "previousProof"})
    with pytest.raises(ProofError):
        countersigned(first, loose)
    with pytest.raises(ProofError):
        verify_countersigned({**first, "proof": [first["proof"], loose]}, keys=KEYS)
    listed = PROVIDER.proof(first, {**config, "previousProof": [PROOF_ID]})
    verify_countersigned(countersigned(first, listed), keys=KEYS)
    with refuses(ProofError, "proof_invalid"):
        countersigned(first, {**listed, "previousProof": [PROOF_ID] * 2})


def test_an_authentication_key_signs_no_contract() -> None:
    """SC-02: the look-up is asked for assertionMethod, whatever the proof says."""

    def authentication_only(method: str, purpose: str) -> Any:
        if purpose != "authentication":
            raise VerificationError("key_not_authorized", "not listed")
        return KEYS(method, purpose)

    with refuses(VerificationError, "key_not_authorized"):
        verify_offered(offered(), keys=authentication_only)


CONTRACT = accepted()
AGREED = acceptance(CONTRACT)
OTHER = digest_bytes(b"other")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "Seal"}, "terms_mismatch"),
        ({"engagement": f"urn:hire:engagement:{OTHER}"}, "wrong_negotiation"),
        ({"role": "hirer"}, "wrong_party"),
        ({"sender": HIRER.did, "recipient": PROVIDER.did, "by": HIRER}, "wrong_party"),
        ({"sender": STRANGER.did, "by": STRANGER}, "wrong_party"),
        ({"recipient": STRANGER.did}, "wrong_party"),
        ({"by": STRANGER}, "key_not_authorized"),
        ({"by": HIRER}, "key_not_authorized"),
        ({"document": OTHER}, "terms_mismatch"),
        ({"seen": OTHER}, "terms_mismatch"),
        ({"offer": None, "seen": None}, "terms_mismatch"),
        ({"contractProof": CONTRACT["proof"][0]}, "terms_mismatch"),
        ({"purpose": "assertionMethod"}, "proof_purpose_mismatch"),
    ],
)
def test_another_acceptance_is_refused(changes: dict[str, Any], code: str) -> None:
    agreed = acceptance(CONTRACT, **changes)
    with refuses((ContractError, ProofError), code):
        verify_sealed(CONTRACT, agreed, seal(CONTRACT, agreed), keys=KEYS)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "Withdraw"}, "terms_mismatch"),
        ({"engagement": f"urn:hire:engagement:{OTHER}"}, "wrong_negotiation"),
        ({"role": "provider", "sender": PROVIDER.did, "recipient": HIRER.did, "by": PROVIDER}, "wrong_party"),
        ({"by": PROVIDER}, "key_not_authorized"),
        ({"document": OTHER}, "terms_mismatch"),
        ({"offer": OTHER}, "terms_mismatch"),
        ({"acceptance": OTHER}, "terms_mismatch"),
        ({"seen": OTHER}, "terms_mismatch"),
        ({"previous": OTHER}, "terms_mismatch"),
        ({"sequence": 5}, "terms_mismatch"),
        ({"purpose": "authentication"}, "proof_purpose_mismatch"),
    ],
)
def test_another_seal_is_refused(changes: dict[str, Any], code: str) -> None:
    with refuses((ContractError, ProofError), code):
        verify_sealed(CONTRACT, AGREED, seal(CONTRACT, AGREED, **changes), keys=KEYS)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_edit_anywhere_is_found(which: int) -> None:
    """HIRE-CTR-09."""
    texts: list[Any] = [CONTRACT, AGREED, seal(CONTRACT, AGREED)]
    edits = [
        {"terms": {**CONTRACT["terms"], "reworks": 2}},
        {"previous": OTHER},
        {"ledger": {"log": "acme.example", "index": 1, "leaf": OTHER}},
    ]
    texts[which] = {**texts[which], **edits[which]}
    with pytest.raises((ProofError, ContractError)):
        verify_sealed(*texts, keys=KEYS)


def test_the_acceptor_of_another_offer_cannot_be_put_under_this_one() -> None:
    cheap = accepted(terms=terms(price=Price(amount="1", currency="EUR")))
    with pytest.raises((ProofError, ContractError)):
        verify_sealed(CONTRACT, acceptance(cheap), seal(CONTRACT, acceptance(cheap)), keys=KEYS)
    assert AGREED["offer"] == OFFER
    assert AGREED["engagement"] == ENGAGEMENT


def test_two_names_for_one_key_are_one_signer() -> None:
    """SC-11 where only the keys tell: both parties' documents list the same key."""
    twin = Party("acme")

    def same(method: str, purpose: str) -> Any:
        return twin.key

    first = offered()
    proof = twin.proof(first, acceptance_config(first, "eddsa-jcs-2022", PROVIDER.method, NOW))
    with pytest.raises(ProofError):
        verify_countersigned(countersigned(first, proof), keys=same)
