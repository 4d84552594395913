"""Proofs under attack: SC-27 to SC-34 and SC-36, for every cryptosuite."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from proofs import (
    CREATED,
    EXPIRES,
    HIRER,
    ORDERS,
    P256,
    P384,
    PROVIDER,
    STRANGER,
    SUITES,
    Key,
    contract,
    credential,
    key_of,
    lookup,
    replaced,
)
from support import refuses
from undersigned.encoding import base58_encode, canonicalize, digest_of, multibase_decode, multibase_encode, shift
from undersigned.errors import FormatError, ProofError, UndersignedError, VerificationError
from undersigned.keys import PublicKey, public_key_from_raw
from undersigned.proof import (
    CRYPTOSUITES,
    make_proof,
    prepare,
    proof_config,
    verify_detached,
    verify_proof,
    verify_proof_set,
)

PURPOSE = "assertionMethod"
L = 2**252 + 27742317777372353535851937790883648493
"""Order of the group that Ed25519 signs in."""

each_suite = pytest.mark.parametrize(("suite", "key"), SUITES, ids=[f"{suite}-{key.kind}" for suite, key in SUITES])


def code_of(document: Any, **given: Any) -> str:
    """The code that verification ends with."""
    with pytest.raises(UndersignedError) as raised:
        verify_proof(document, **{"key": key_of, "purpose": PURPOSE, **given})
    return raised.value.code


def set_code(document: Any, **given: Any) -> str:
    with pytest.raises(UndersignedError) as raised:
        verify_proof_set(document, **{"key": key_of, "purpose": PURPOSE, **given})
    return raised.value.code


def with_proof(document: Any, **changes: Any) -> Any:
    """The document with members of its proof changed; those set to Ellipsis removed."""
    proof = {**document["proof"], **changes}
    return {**document, "proof": {name: value for name, value in proof.items() if value is not ...}}


@each_suite
def test_a_proof_of_every_suite_verifies(suite: str, key: Key) -> None:
    """What all that follows starts from."""
    for document in (contract(), credential()):
        signed = key.signed(document, suite)
        assert verify_proof(signed, key=key_of, purpose=PURPOSE) == signed


@pytest.mark.parametrize("proof", [..., None, {}, [], [None], [{}], "", "proof", 0, 1, [[]], True])
def test_sc_27_no_proof_is_refused(proof: Any) -> None:
    """An empty list has no proof that fails, and none that holds."""
    document = contract() if proof is ... else contract(proof=proof)
    assert code_of(document) == "proof_missing"
    assert set_code(document, required=[HIRER.did]) == "proof_missing"
    assert set_code(document, required=[]) in ("proof_missing", "proof_invalid")
    with refuses(ProofError, "proof_missing"):
        verify_detached(contract(), None if proof is ... else proof, key=key_of, purpose=PURPOSE)


def test_sc_27_no_signer_is_required_is_no_answer() -> None:
    """Required signers are never none: a caller that lost its list does not accept everything."""
    signed = HIRER.signed(contract(), "eddsa-jcs-2022")
    assert set_code(signed, required=[]) == "proof_invalid"


@pytest.mark.parametrize("name", sorted({"verificationMethod", "proofPurpose", "proofValue"}))
def test_sc_27_a_proof_without_a_part_is_refused(name: str) -> None:
    signed = HIRER.signed(contract(), "eddsa-jcs-2022")
    assert code_of(with_proof(signed, **{name: ...})) == "schema_violation"
    assert code_of(with_proof(signed, **{name: ""})) == "schema_violation"
    assert code_of(with_proof(signed, **{name: None})) == "schema_violation"
    assert code_of(with_proof(signed, **{name: [signed["proof"][name]]})) == "schema_violation"


@pytest.mark.parametrize("name", ["jws", "capability", "proofvalue", "@id", "@graph", "x" * 5000])
@each_suite
def test_sc_27_a_proof_has_no_other_members(suite: str, key: Key, name: str) -> None:
    """HIRE-PRF-08."""
    assert code_of(with_proof(key.signed(contract(), suite), **{name: "x"})) == "unknown_term"


def test_sc_30_a_proof_is_read_in_the_context_of_its_document() -> None:
    """Signed as it is, with a context that gives its words another meaning than those of the document."""
    document, suite = contract(), "eddsa-jcs-2022"

    def signed(context: object) -> dict[str, Any]:
        options = {**proof_config(suite, HIRER.method, PURPOSE, CREATED), "@context": context}
        hashed = CRYPTOSUITES[suite].hash(document, options, "Ed25519")
        return {**document, "proof": {**options, "proofValue": multibase_encode("z", HIRER.sign(hashed))}}

    verify_proof(signed(document["@context"]), key=lookup(HIRER), purpose=PURPOSE)
    assert code_of(signed("https://www.w3.org/ns/credentials/v2"), key=lookup(HIRER)) == "proof_invalid"


@pytest.mark.parametrize(
    "changes",
    [
        {"cryptosuite": "eddsa-2022"},
        {"cryptosuite": "none"},
        {"cryptosuite": "EDDSA-JCS-2022"},
        {"cryptosuite": ...},
        {"cryptosuite": "bbs-2023"},
        {"type": "Ed25519Signature2020", "cryptosuite": ...},
        {"type": "Ed25519Signature2020"},
        {"type": "JsonWebSignature2020"},
        {"type": "none"},
        {"type": ...},
        {"type": ["DataIntegrityProof"]},
    ],
)
def test_sc_28_a_suite_that_is_not_ours_is_refused(changes: dict[str, Any]) -> None:
    assert code_of(with_proof(HIRER.signed(contract(), "eddsa-jcs-2022"), **changes)) == "suite_not_allowed"


@each_suite
def test_sc_28_the_proof_does_not_choose_its_suite(suite: str, key: Key) -> None:
    """Refused if not in the list of the engagement, and if the key is of another kind."""
    signed = key.signed(contract(), suite)
    assert code_of(signed, suites=set(CRYPTOSUITES) - {suite}) == "suite_not_allowed"
    assert code_of(signed, suites=()) == "suite_not_allowed"
    assert verify_proof(signed, key=key_of, purpose=PURPOSE, suites=[suite]) == signed
    for other in (HIRER, P256, P384):
        if other.kind not in CRYPTOSUITES[suite].kinds:
            assert code_of(signed, key=lambda method, purpose, other=other: other.public) == "suite_not_allowed"
            with refuses(ProofError, "suite_not_allowed"):
                prepare(contract(), proof_config(suite, other.method, PURPOSE, CREATED), other.public.kind)


@each_suite
def test_sc_28_one_suites_signature_is_not_anothers(suite: str, key: Key) -> None:
    """The suite's name is signed, so the same key's signature fits one suite only."""
    signed = key.signed(contract(), suite)
    for other in set(CRYPTOSUITES) - {suite}:
        expected = "proof_invalid" if key.kind in CRYPTOSUITES[other].kinds else "suite_not_allowed"
        assert code_of(with_proof(signed, cryptosuite=other)) == expected


@each_suite
def test_sc_29_the_purpose_is_the_expected_one(suite: str, key: Key) -> None:
    """A proof that opens a session does not sign a contract, and the other way round."""
    opening = key.signed(contract(), suite, "authentication")
    assert code_of(opening) == "proof_purpose_mismatch"
    assert code_of(with_proof(opening, proofPurpose=PURPOSE)) == "proof_invalid"
    asserting = key.signed(contract(), suite)
    assert code_of(asserting, purpose="authentication") == "proof_purpose_mismatch"
    assert code_of(with_proof(asserting, proofPurpose="authentication"), purpose="authentication") == "proof_invalid"


def test_sc_29_the_key_is_asked_for_with_the_expected_purpose() -> None:
    """Not with the one that the proof claims."""
    asked: list[tuple[str, str]] = []

    def key(method: str, purpose: str) -> PublicKey:
        asked.append((method, purpose))
        raise VerificationError("key_not_authorized", "expected a key for this; came another")

    signed = HIRER.signed(contract(), "eddsa-jcs-2022")
    assert code_of(signed, key=key) == "key_not_authorized"
    assert code_of(signed, key=key, purpose="authentication") == "proof_purpose_mismatch"
    assert asked == [(HIRER.method, PURPOSE)]


@pytest.mark.parametrize("member", ["challenge", "domain"])
def test_sc_29_an_answer_is_to_its_own_challenge(member: str) -> None:
    """HIRE-PRF-08."""
    document = credential()
    answer = HIRER.signed(document, "eddsa-jcs-2022", challenge="uEiA", domain=PROVIDER.did)
    given = {"challenge": "uEiA", "domain": PROVIDER.did}
    assert verify_proof(answer, key=key_of, purpose=PURPOSE, **given) == answer
    assert code_of(answer, **{**given, member: "other"}) == "challenge_mismatch"
    assert code_of(answer, **{**given, member: None}) == "challenge_mismatch"
    assert code_of(HIRER.signed(document, "eddsa-jcs-2022"), **given) == "challenge_mismatch"
    assert code_of(with_proof(answer, **{member: "other"}), **{**given, member: "other"}) == "proof_invalid"


def signed_things() -> dict[str, dict[str, Any]]:
    """One document of each sort that is signed anywhere in the protocol, all by one key and under one id."""
    own = contract()["id"]
    envelope = {
        "@context": "https://w3id.org/hire/v1",
        "id": own,
        "version": "1.0",
        "engagement": contract()["engagement"],
        "sender": HIRER.did,
        "recipient": PROVIDER.did,
        "role": "hirer",
        "sequence": 1,
    }
    both = ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/hire/v1"]
    return {
        "message": {**envelope, "type": "Withdraw", "reason": "revoked"},
        "message of another type": {**envelope, "type": "Cancel", "reason": "revoked"},
        "message of another version": {**envelope, "version": "2.0", "type": "Withdraw", "reason": "revoked"},
        "contract": contract(),
        "amendment": contract(type="Amendment"),
        "release": contract(type="Release"),
        "credential": credential(id=own),
        "presentation": {"@context": both, "id": own, "type": "VerifiablePresentation", "holder": HIRER.did},
        "statement": {
            "@context": "https://w3id.org/hire/v1",
            "id": own,
            "type": "Review",
            "statement": {"payloadType": "application/vnd.in-toto+json", "payload": "e30", "signatures": []},
        },
        "DID document": {
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/data-integrity/v2"],
            "id": HIRER.did,
            "alsoKnownAs": own,
        },
    }


@pytest.mark.parametrize("purpose", ["authentication", PURPOSE])
@each_suite
def test_sc_30_no_signature_fits_another_document(suite: str, key: Key, purpose: str) -> None:
    """The whole matrix: made for one thing, tried on every other (HIRE-SEC-05)."""
    things = signed_things()
    proofs = {name: key.proof(thing, suite, purpose) for name, thing in things.items()}
    for (name, thing), (other, proof) in itertools.product(things.items(), proofs.items()):
        # The contexts are repeated in JCS proofs; the attacker would write those of the victim.
        fitted = {**proof, "@context": thing["@context"]} if "@context" in proof else proof
        document = {**thing, "proof": fitted}
        if name == other:
            assert verify_proof(document, key=key_of, purpose=purpose) == document
        else:
            assert code_of(document, purpose=purpose) == "proof_invalid", (name, other)


@each_suite
def test_sc_30_signatures_over_other_bytes_fit_no_document(suite: str, key: Key) -> None:
    """As DSSE, HTTP signatures or other protocols would have the same key sign."""
    document = contract()
    proof = key.proof(document, suite)
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    body = canonicalize(document)
    for data in (
        body,
        canonicalize(config) + body,
        b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(body), body),
        prepare(document, proof_config(suite, key.method, "authentication", CREATED), key.public.kind),
        b"",
    ):
        forged = {**document, "proof": {**config, "proofValue": multibase_encode("z", key.sign(data))}}
        assert code_of(forged) == "proof_invalid"


@each_suite
def test_sc_31_expired_and_future(suite: str, key: Key) -> None:
    """`expires` is inclusive; `created` may be 60 s ahead and no more."""
    signed = key.signed(contract(), suite, created=CREATED, expires=EXPIRES)
    for seconds in (-60, -59, 0, 3600):
        assert verify_proof(signed, key=key_of, purpose=PURPOSE, now=shift(CREATED, seconds)) == signed
    assert code_of(signed, now=shift(CREATED, -61)) == "proof_from_future"
    assert code_of(signed, now="2020-01-01T00:00:00Z") == "proof_from_future"
    assert code_of(signed, now=shift(EXPIRES, 1)) == "proof_expired"
    assert code_of(signed, now="2999-01-01T00:00:00Z") == "proof_expired"


@pytest.mark.parametrize("member", ["created", "expires"])
@pytest.mark.parametrize(
    "time",
    [
        "2026-11-24T12:00:00",
        "2026-11-24",
        "2026-11-24T12:00:60Z",
        "2026-12-31T23:59:60Z",
        "2026-02-30T12:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T12:00Z",
        "10000-01-01T00:00:00Z",
        "20261124T120000Z",
        "2026-11-24 12:00:00Z",
        "2026-11-24T12:00:00z",
        "2026-11-24T12:00:00Z\n",
        " 2026-11-24T12:00:00Z",
        "２026-11-24T12:00:00Z",
        "2026-11-24T12:00:00+99:99",
        "now",
    ],
)
def test_sc_31_a_time_that_is_none_is_refused(member: str, time: str) -> None:
    """No zone, a leap second, a year of five digits, no such day: also when signed just so, and without a clock."""
    times = {"created": CREATED, "expires": EXPIRES, member: time}
    signed = HIRER.signed(contract(), "eddsa-jcs-2022", **times)
    assert code_of(signed) == "schema_violation"
    assert code_of(signed, now=CREATED) == "schema_violation"


def test_sc_31_created_after_expires_is_a_contradiction() -> None:
    """At any time, also when both would do for themselves."""
    signed = HIRER.signed(contract(), "eddsa-jcs-2022", created=EXPIRES, expires=CREATED)
    assert code_of(signed) == "proof_invalid"
    assert code_of(signed, now=CREATED) == "proof_invalid"
    same = HIRER.signed(contract(), "eddsa-jcs-2022", created=CREATED, expires=CREATED)
    assert verify_proof(same, key=key_of, purpose=PURPOSE, now=CREATED) == same


@pytest.mark.parametrize(
    "time", ["2026-11-24T12:00:00.000Z", "2026-11-24T13:00:00+01:00", "2026-11-24T11:59:59.5-00:00"]
)
def test_sc_31_times_of_others_are_read_with_their_zone(time: str) -> None:
    """Credentials may be written by others, to the fraction of a second or in another zone."""
    signed = HIRER.signed(credential(), "eddsa-jcs-2022", created=time)
    assert verify_proof(signed, key=key_of, purpose=PURPOSE, now=shift(CREATED, -60)) == signed
    assert code_of(signed, now=shift(CREATED, -62)) == "proof_from_future"


def test_sc_31_a_changed_time_is_a_changed_proof() -> None:
    for suite, key in SUITES:
        signed = key.signed(contract(), suite, expires=EXPIRES)
        assert code_of(with_proof(signed, expires=shift(EXPIRES, 3600))) == "proof_invalid"
        assert code_of(with_proof(signed, expires=...)) == "proof_invalid"
        assert code_of(with_proof(signed, created=shift(CREATED, 1))) == "proof_invalid"


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_sc_32_each_signer_exactly_once(suite: str) -> None:
    """One bad proof fails all; two by one signer, one more by a stranger, one too few too (HIRE-CTR-08)."""
    document = contract()
    one, two, three = (key.proof(document, suite) for key in (HIRER, PROVIDER, STRANGER))
    required = [HIRER.did, PROVIDER.did]
    good = {**document, "proof": [one, two]}
    assert verify_proof_set(good, key=key_of, purpose=PURPOSE, required=required) == good
    assert verify_proof_set({**document, "proof": [two, one]}, key=key_of, purpose=PURPOSE, required=required)
    again = HIRER.proof(document, suite, created=shift(CREATED, 1))
    broken = {**two, "proofValue": one["proofValue"]}
    for proofs in (
        [one],
        one,
        [one, broken],
        [broken, one],
        [one, one],
        [one, again],
        [one, three],
        [one, two, three],
        [one, two, two],
        [one, two, again],
        [two, two],
    ):
        assert set_code({**document, "proof": proofs}, required=required) == "proof_invalid"
    assert set_code({**document, "proof": [one, {}]}, required=required) == "proof_missing"
    assert set_code({**document, "proof": [one, None]}, required=required) == "proof_missing"
    assert code_of(good) == "proof_invalid"


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_sc_32_nobody_adds_to_a_chain(suite: str) -> None:
    """HIRE-CTR-08: one proof more is refused, by a stranger or by one of the two, on its own or built on the others."""
    good, required = countersigned(suite), [HIRER.did, PROVIDER.did]
    for key in (STRANGER, HIRER, PROVIDER):
        for previous in (None, "urn:uuid:1", "urn:uuid:2"):
            more = key.signed(good, suite, id="urn:uuid:3", previous_proof=previous)
            assert set_code(more, required=required, chain=True) == "proof_invalid"


def test_sc_32_one_key_under_two_names_is_one_signer() -> None:
    """Two DIDs of one key pair, each listed: still one party."""
    other = "did:web:globex.example#key-1"
    document = contract()
    config = proof_config("eddsa-jcs-2022", other, PURPOSE, CREATED)
    second = make_proof(document, config, HIRER.sign(prepare(document, config, "Ed25519")))
    both = {**document, "proof": [HIRER.proof(document, "eddsa-jcs-2022"), second]}
    required = [HIRER.did, "did:web:globex.example"]
    assert set_code(both, required=required, key=lambda method, purpose: HIRER.public) == "proof_invalid"


def test_sc_32_ids_of_proofs_are_their_own() -> None:
    document = contract()
    proofs = [key.proof(document, "eddsa-jcs-2022", id="urn:uuid:1") for key in (HIRER, PROVIDER)]
    assert set_code({**document, "proof": proofs}, required=[HIRER.did, PROVIDER.did]) == "proof_invalid"


def test_of_endless_names_in_a_proof_little_is_said() -> None:
    """HIRE-SEC-02: it is logged."""
    first, second = countersigned(SUITES[0][0])["proof"]
    for changes, required in (
        ({"verificationMethod": "x" * 60_000}, ["did:example:1"]),
        ({"previousProof": "x" * 60_000}, [one["verificationMethod"].partition("#")[0] for one in (first, second)]),
    ):
        document = {**contract(), "proof": [first, {**second, **changes}]}
        with pytest.raises(ProofError) as raised:
            verify_proof_set(document, key=key_of, purpose=PURPOSE, required=required, chain=True)
        assert raised.value.code == "proof_invalid"
        assert len(raised.value.message) < 1024


def countersigned(suite: str, document: Any = None) -> Any:
    """A contract with both proofs, the acceptor's on the offerer's."""
    offered = HIRER.signed(document or contract(), suite, id="urn:uuid:1")
    return PROVIDER.signed(offered, suite, id="urn:uuid:2", previous_proof="urn:uuid:1")


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_sc_33_a_countersignature_covers_the_first_and_the_terms(suite: str) -> None:
    """Taken from a contract with the same id and another price, or over another first signature, it fails.

    HIRE-CTR-07.
    """
    required = [HIRER.did, PROVIDER.did]
    good = countersigned(suite)
    assert verify_proof_set(good, key=key_of, purpose=PURPOSE, required=required, chain=True) == good
    dearer = replaced(contract(), ("terms", "price", "amount"), "6")
    other = countersigned(suite, dearer)
    first, second = good["proof"]
    resigned = HIRER.proof(contract(), suite, id="urn:uuid:1", created=shift(CREATED, 1))
    for document, proofs in (
        (contract(), [first, other["proof"][1]]),
        (dearer, [other["proof"][0], second]),
        (dearer, good["proof"]),
        (contract(), [resigned, second]),
        (contract(), [first, PROVIDER.proof(contract(), suite, id="urn:uuid:2")]),
        (contract(), [second, first]),
        (contract(), [{**first, "id": "urn:uuid:3"}, second]),
        (contract(), [first, {**second, "previousProof": "urn:uuid:2"}]),
        (contract(), [first, {**second, "previousProof": "urn:uuid:9"}]),
        (contract(), [{**first, "previousProof": "urn:uuid:2"}, second]),
    ):
        assert set_code({**document, "proof": proofs}, required=required, chain=True) == "proof_invalid"
    assert set_code(good, required=required) == "proof_invalid"
    assert set_code(good, required=required[::-1], chain=True) == "proof_invalid"


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
def test_sc_33_every_signature_of_a_long_chain_covers_those_before(suite: str) -> None:
    keys = [HIRER, PROVIDER, STRANGER]
    document = contract()
    for number, key in enumerate(keys):
        previous = f"urn:uuid:{number - 1}" if number else None
        document = key.signed(document, suite, id=f"urn:uuid:{number}", previous_proof=previous)
    required = [key.did for key in keys]
    assert verify_proof_set(document, key=key_of, purpose=PURPOSE, required=required, chain=True) == document
    for place in range(3):
        changed = replaced(document, ("proof", place, "created"), shift(CREATED, 1))
        assert set_code(changed, required=required, chain=True) == "proof_invalid"


def test_sc_33_a_proof_of_a_chain_does_not_stand_alone() -> None:
    good = countersigned("eddsa-jcs-2022")
    assert code_of({**contract(), "proof": good["proof"][1]}) == "proof_invalid"
    # One that says it builds on another, and signs the document as if it did not.
    options = proof_config("eddsa-rdfc-2022", PROVIDER.method, PURPOSE, CREATED, previous_proof="urn:uuid:1")
    signature = PROVIDER.sign(CRYPTOSUITES["eddsa-rdfc-2022"].hash(contract(), options, "Ed25519"))
    assert code_of({**contract(), "proof": make_proof(contract(), options, signature)}) == "proof_invalid"
    with refuses(ProofError, "proof_missing"):
        PROVIDER.signed(contract(), "eddsa-jcs-2022", previous_proof="urn:uuid:1")


def signature(document: Any) -> bytes:
    return multibase_decode(document["proof"]["proofValue"], "z")


def with_signature(document: Any, raw: bytes) -> Any:
    return with_proof(document, proofValue=multibase_encode("z", raw))


@pytest.mark.parametrize(("suite", "key"), [("ecdsa-jcs-2019", P256), ("ecdsa-rdfc-2019", P384)])
def test_sc_34_the_higher_s_is_refused(suite: str, key: Key) -> None:
    """Both forms verify under ECDSA; here one does, and the message is the same message anyway."""
    signed = key.signed(contract(), suite)
    size = len(signature(signed)) // 2
    r, s = signature(signed)[:size], int.from_bytes(signature(signed)[size:], "big")
    high = with_signature(signed, r + (ORDERS[key.kind] - s).to_bytes(size, "big"))
    assert code_of(high) == "proof_invalid"
    assert verify_proof(high, key=key_of, purpose=PURPOSE, foreign=True) == high
    assert digest_of(high) == digest_of(signed)


def test_sc_34_a_signature_has_one_length_and_form() -> None:
    """No DER, no padding, no zero, nothing behind it."""
    for suite, key in SUITES:
        signed = key.signed(contract(), suite)
        raw = signature(signed)
        size = len(raw) // 2
        der = (
            b"\x30"
            + bytes([2 * size + 4])
            + b"\x02"
            + bytes([size])
            + raw[:size]
            + b"\x02"
            + bytes([size])
            + raw[size:]
        )
        for other in (raw + b"\0", b"\0" + raw, raw[:-1], raw[1:], b"", der, b"\0" * len(raw), raw[size:] + raw[:size]):
            assert code_of(with_signature(signed, other)) == "proof_invalid"
        assert digest_of(with_signature(signed, raw + b"\0")) == digest_of(signed)


def test_sc_34_ed25519_s_is_below_the_order() -> None:
    """S + L is the same number to a lenient verifier (HIRE-KEY-02)."""
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        signed = HIRER.signed(contract(), suite)
        r, s = signature(signed)[:32], int.from_bytes(signature(signed)[32:], "little")
        assert code_of(with_signature(signed, r + (s + L).to_bytes(32, "little"))) == "proof_invalid"


@pytest.mark.parametrize("prefix", ["u", "m", "f", "Z", "", " z"])
def test_sc_34_a_signature_is_base58(prefix: str) -> None:
    """In its one spelling: another base, a blank or a leading 1 is another text of the same bytes."""
    signed = HIRER.signed(contract(), "eddsa-jcs-2022")
    text = prefix + signed["proof"]["proofValue"][1:]
    assert code_of(with_proof(signed, proofValue=text)) == "proof_invalid"
    for other in ("z1" + base58_encode(signature(signed)), signed["proof"]["proofValue"] + " ", "z0OIl", "z"):
        assert code_of(with_proof(signed, proofValue=other)) == "proof_invalid"


def test_sc_34_a_long_signature_costs_nothing() -> None:
    """Base58 is read in the square of its length, so it is not read at all."""
    signed = HIRER.signed(contract(), "eddsa-jcs-2022")
    with pytest.raises(ProofError, match="came 200001 characters") as raised:
        verify_proof(with_proof(signed, proofValue="z" + "2" * 200_000), key=key_of, purpose=PURPOSE)
    assert raised.value.code == "proof_invalid"


@each_suite
def test_sc_36_every_bit_counts(suite: str, key: Key) -> None:
    """Of the signature, and of what is signed, times and method included."""
    signed = key.signed(contract(), suite)
    assert verify_proof(signed, key=key_of, purpose=PURPOSE) == signed
    assert code_of(with_proof(signed, created=shift(CREATED, 1))) == "proof_invalid"
    raw = signature(signed)
    for place in range(0, len(raw), 7):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert code_of(with_signature(signed, changed)) == "proof_invalid"
    for path, value in (
        (("provider",), STRANGER.did),
        (("terms", "price", "amount"), "50"),
        (("terms", "reworks"), 2),
        (("terms", "scope", "grants", 0, "target"), "https://git.acme.example/*"),
        (("terms", "scope", "grants", 0, "constraint", 0, "rightOperand"), ["1000"]),
        (("terms", "scope", "grants", 1, "action"), "repo:admin"),
    ):
        assert code_of(replaced(signed, path, value)) == "proof_invalid"


@pytest.mark.parametrize("name", sorted(CRYPTOSUITES))
def test_sc_36_the_identity_point_signs_nothing(name: str) -> None:
    """With a key of small order one signature fits every message; such a key cannot be made."""
    if "Ed25519" in CRYPTOSUITES[name].kinds:
        with refuses(VerificationError, "key_weak"):
            public_key_from_raw("Ed25519", b"\1" + b"\0" * 31)
    key = HIRER if "Ed25519" in CRYPTOSUITES[name].kinds else P256
    assert code_of(with_signature(key.signed(contract(), name), b"\1" + b"\0" * 63)) == "proof_invalid"


def test_jcs_contexts_cannot_be_swapped() -> None:
    """The proof repeats the document's contexts; one with others would be read another way (HIRE-PRF-08)."""
    signed = HIRER.signed(credential(), "eddsa-jcs-2022")
    assert signed["proof"]["@context"] == signed["@context"]
    for context in (signed["@context"][:1], signed["@context"][::-1], "https://w3id.org/hire/v1", [], None):
        assert code_of(with_proof(signed, **{"@context": context})) == "proof_invalid"
        assert code_of({**signed, "@context": context}) == "proof_invalid"


def test_a_proof_of_an_rdf_suite_repeats_no_context() -> None:
    """HIRE-PRF-08: it covers quads, in which the document's own contexts are read."""
    signed = HIRER.signed(credential(), "eddsa-rdfc-2022")
    assert "@context" not in signed["proof"]
    assert code_of(with_proof(signed, **{"@context": signed["@context"]})) == "proof_invalid"


def test_verification_changes_nothing() -> None:
    """Neither the document nor what the caller handed in; and it returns the document itself."""
    signed = countersigned("eddsa-rdfc-2022")
    before = json.dumps(signed)
    verify_proof_set(
        signed, key=lookup(HIRER, PROVIDER), purpose=PURPOSE, required=[HIRER.did, PROVIDER.did], chain=True
    )
    alone = HIRER.signed(contract(), "eddsa-rdfc-2022")
    assert verify_proof(alone, key=key_of, purpose=PURPOSE) is alone
    assert json.dumps(signed) == before


def test_what_cannot_be_canonicalized_is_not_signed() -> None:
    """Signing refuses what verification would."""
    for document in (contract(liability="none"), contract(terms={}), {**credential(), "liability": "none"}):
        with pytest.raises(FormatError):
            HIRER.signed(document, "eddsa-rdfc-2022")
