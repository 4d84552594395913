"""Security cases that a message alone decides. Each message is signed by a key that may sign it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from message_examples import HIRER, NOW, PARTIES, PROVIDER, conversation, sign, verify
from undersigned.did import DidDocument, document_from
from undersigned.encoding import canonicalize, multibase_encode, shift
from undersigned.errors import UndersignedError
from undersigned.messages import decode_message
from undersigned.proof import attach, prepare, proof_config

SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")


def _signed(
    message: dict[str, Any], role: str, *, suite: str = "eddsa-jcs-2022", purpose: str = "authentication"
) -> bytes:
    """Any JSON, signed as a message would be: the sender is the attacker and its proof holds."""
    party = PARTIES[role]
    bare = {name: value for name, value in message.items() if name != "proof"}
    config = proof_config(suite, party.method, purpose, NOW, shift(NOW, 600))
    return canonicalize(attach(bare, config, party.sign(prepare(bare, config, "Ed25519"))))


def _code(raw: bytes) -> str:
    with pytest.raises(UndersignedError) as caught:
        verify(decode_message(raw))
    return caught.value.code


def _wire(name: str) -> dict[str, Any]:
    return json.loads(conversation()[name].raw)


def test_the_attackers_proof_does_hold() -> None:
    """Else the cases below would prove nothing."""
    verify(_signed(_wire("start"), "hirer"))


@pytest.mark.parametrize(
    ("at", "term", "value"),
    [
        ((), "liability", "none"),
        ((), "maxSpendX", 1),
        (("inputs", 0), "maxSpendX", 1),
        ((), "https://w3id.org/hire#cause", "breach"),
        ((), "cause", "breach"),
    ],
)
def test_sc_19_an_unknown_term_is_refused(at: tuple[Any, ...], term: str, value: Any) -> None:
    """SC-19: under RDF it would not be signed; also a term that the context knows and the type does not have.

    HIRE-LD-03, HIRE-EXT-01.
    """
    message = _wire("start")
    inside: Any = message
    for step in at:
        inside = inside[step]
    inside[term] = value
    assert _code(_signed(message, "hirer")) == "unknown_term"


@pytest.mark.parametrize("suite", SUITES)
def test_sc_19_an_unknown_term_in_the_offered_contract_is_refused(suite: str) -> None:
    """SC-19: the document is a literal for the outer proof, and still of a closed shape."""
    message = json.loads(conversation(suite)["offer"].raw)
    message["document"]["terms"]["liability"] = "none"
    assert _code(_signed(message, "hirer", suite=suite)) == "unknown_term"


@pytest.mark.parametrize(
    "context",
    [
        ["https://w3id.org/hire/v1", {"budget": "https://w3id.org/hire#price"}],
        {"budget": "https://w3id.org/hire#price"},
        ["https://w3id.org/hire/v1"],
        ["https://w3id.org/hire/v1", "https://w3id.org/hire/v1"],
        "https://w3id.org/hire/v1#",
        "https://w3id.org/hire/v1?",
        "https://w3id.org/hire/v1/",
        "http://w3id.org/hire/v1",
        "https://www.w3.org/ns/credentials/v2",
        "",
        [],
        1,
    ],
)
def test_sc_20_a_context_but_the_one_is_refused(context: Any) -> None:
    """SC-20 and SC-21: by exact value, and nothing is fetched: this package has no means to (HIRE-ENV-02)."""
    message = {**_wire("start"), "@context": context, "budget": 10}
    assert _code(_signed(message, "hirer")) == "context_not_allowed"


@pytest.mark.parametrize("where", ["inputs", "proof"])
def test_sc_20_a_context_inside_is_refused(where: str) -> None:
    """SC-20: a scoped context would rename what is below it."""
    message = json.loads(_signed(_wire("start"), "hirer"))
    inside = message["inputs"][0] if where == "inputs" else message["proof"]
    inside["@context"] = {"budget": "https://w3id.org/hire#price"}
    raw = canonicalize(message) if where == "proof" else _signed(message, "hirer")
    assert _code(raw) in ("context_not_allowed", "schema_violation")


@pytest.mark.parametrize("keyword", ["@graph", "@included", "@reverse", "@nest", "@id", "@type", "@set", "@value"])
def test_sc_23_wrapping_keywords_are_refused(keyword: str) -> None:
    """SC-23: a second message cannot be smuggled beside or around the first (HIRE-LD-04)."""
    other = {name: value for name, value in _wire("seal").items() if name != "proof"}
    assert _code(canonicalize({**_wire("start"), keyword: other})) == "schema_violation"
    wrapped = {"@context": "https://w3id.org/hire/v1", keyword: other, "proof": _wire("seal")["proof"]}
    assert _code(canonicalize(wrapped)) == "schema_violation"


@pytest.mark.parametrize(
    "spelled",
    [
        lambda value: {"@value": value},
        lambda value: {"@value": value, "@type": "http://www.w3.org/2001/XMLSchema#string"},
        lambda value: {"@list": [value]},
        lambda value: {"@set": [value]},
        lambda value: {"@id": value},
        lambda value: [value],
    ],
)
@pytest.mark.parametrize("member", ["sender", "role", "sequence", "contract", "previous", "id", "version", "type"])
def test_sc_26_one_spelling_of_each_value(member: str, spelled: Any) -> None:
    """SC-26: what JSON-LD would read as the same is another JSON, and refused (HIRE-LD-04)."""
    message = _wire("start")
    message[member] = spelled(message[member])
    assert _code(canonicalize(message)) == "schema_violation"


@pytest.mark.parametrize("value", ["10", True, [10], {"@value": 10}])
def test_sc_26_a_number_is_a_number(value: Any) -> None:
    """SC-26."""
    message = _wire("inquiry")
    message["limits"]["rounds"] = value
    assert _code(canonicalize(message)) == "schema_violation"


def _web_did(purpose: str) -> tuple[str, str, DidDocument]:
    """A `did:web` that lists the hirer's key for this alone, and the key's name there."""
    did = "did:web:acme.example"
    method = f"{did}#key-1"
    document = {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": [
            {"id": method, "type": "Multikey", "controller": did, "publicKeyMultibase": HIRER.multikey}
        ],
        purpose: [method],
    }
    return did, method, document_from(did, {"https://acme.example/.well-known/did.json": canonicalize(document)})


def test_sc_01_the_signer_is_the_sender() -> None:
    """SC-01: a good proof by somebody else's key (HIRE-KEY-03)."""
    message = _wire("start")
    config = proof_config("eddsa-jcs-2022", PROVIDER.method, "authentication", NOW, shift(NOW, 600))
    del message["proof"]
    raw = canonicalize(attach(message, config, PROVIDER.sign(prepare(message, config, "Ed25519"))))
    assert _code(raw) == "key_not_authorized"


def test_sc_02_the_key_is_listed_for_what_the_type_needs() -> None:
    """SC-02: a key that may authenticate does not bind (HIRE-KEY-03)."""
    did, method, published = _web_did("authentication")
    known = {did: published}
    for name, holds in (("start", True), ("cancel", False)):
        message = {**_wire(name), "sender": did}
        purpose = message.pop("proof")["proofPurpose"]
        config = proof_config("eddsa-jcs-2022", method, purpose, NOW, shift(NOW, 600))
        raw = canonicalize(attach(message, config, HIRER.sign(prepare(message, config, "Ed25519"))))
        if holds:
            verify(raw, documents=known)
        else:
            with pytest.raises(UndersignedError) as caught:
                verify(raw, documents=known)
            assert caught.value.code == "key_not_authorized"


def test_sc_11_one_key_under_two_dids_hires_nobody() -> None:
    """SC-11 (HIRE-DID-03)."""
    did, _, ours = _web_did("assertionMethod")
    message = replace(conversation()["start"].message, proof=None, recipient=did)
    with pytest.raises(UndersignedError) as caught:
        verify(sign(message).raw, documents={did: ours, HIRER.did: document_from(HIRER.did, {})})
    assert caught.value.code == "self_dealing"


@pytest.mark.parametrize("proof", [None, [], {}, ...])
def test_sc_27_no_proof_is_no_message(proof: Any) -> None:
    """SC-27: all of no proofs hold (HIRE-PRF-01)."""
    message = {**_wire("start"), "proof": proof}
    if proof is ...:
        del message["proof"]
    assert _code(json.dumps(message).encode()) == "proof_missing"


@pytest.mark.parametrize(
    "change",
    [
        {"cryptosuite": "ecdsa-jcs-2019"},
        {"cryptosuite": "eddsa-jcs-2099"},
        {"cryptosuite": "none"},
        {"type": "Ed25519Signature2020"},
        {"cryptosuite": ...},
    ],
)
def test_sc_28_suite_confusion(change: dict[str, Any]) -> None:
    """SC-28."""
    message = _wire("start")
    message["proof"] = {name: value for name, value in {**message["proof"], **change}.items() if value is not ...}
    assert _code(canonicalize(message)) == "suite_not_allowed"


@pytest.mark.parametrize("suite", SUITES)
def test_sc_28_one_suites_signature_is_not_anothers(suite: str) -> None:
    """SC-28: the suite is under the signature."""
    other = next(name for name in SUITES if name != suite)
    message = json.loads(conversation(suite)["start"].raw)
    message["proof"]["cryptosuite"] = other
    assert _code(canonicalize(message)) == "proof_invalid"


@pytest.mark.parametrize("name", sorted(conversation()))
def test_sc_29_the_purpose_is_fixed_by_the_type(name: str) -> None:
    """SC-29: a proof that holds, made for the other purpose."""
    message = _wire(name)
    wrong = {"authentication": "assertionMethod", "assertionMethod": "authentication"}
    raw = _signed(message, message["role"], purpose=wrong[message["proof"]["proofPurpose"]])
    assert _code(raw) == "proof_purpose_mismatch"


def test_sc_30_a_signature_for_one_message_fits_no_other() -> None:
    """SC-30: the whole matrix of types; what is signed carries version and type (HIRE-SEC-05)."""
    said = [json.loads(message.raw) for message in conversation().values()]
    for one in said:
        for other in said:
            if other["id"] == one["id"]:
                continue
            pasted = {**one, "proof": {**one["proof"], "proofValue": other["proof"]["proofValue"]}}
            assert _code(canonicalize(pasted)) == "proof_invalid"


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-24T09:30:00",
        "2026-11-24 09:30:00Z",
        "9999-12-31T23:59:59Z",
        "2026-12-31T23:59:60Z",
        "2026-11-24T09:30Z",
    ],
)
@pytest.mark.parametrize("member", ["created", "expires"])
def test_sc_31_a_time_has_one_spelling(member: str, time: str) -> None:
    """SC-31; the edges to the second are in the unit tests."""
    message = _wire("start")
    message["proof"][member] = time
    assert _code(canonicalize(message)) == "schema_violation"


def test_sc_32_a_message_has_exactly_one_proof() -> None:
    """SC-32: two good proofs are one too many (HIRE-PRF-01)."""
    message = _wire("start")
    again = json.loads(_signed(message, "hirer"))["proof"]
    assert _code(canonicalize({**message, "proof": [message["proof"], again]})) == "proof_invalid"


def test_a_signature_of_another_length_or_base_is_refused() -> None:
    message = _wire("start")
    for value in (multibase_encode("z", bytes(63)), multibase_encode("z", bytes(65)), "z", "zzzz"):
        message["proof"]["proofValue"] = value
        assert _code(canonicalize(message)) in ("proof_invalid", "schema_violation")
