"""Making a proof, putting it on the document, and verifying exactly one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from proofs import CREATED, HIRER, P256, P384, PROVIDER, SUITES, Key, contract, credential, key_of
from support import refuses
from undersigned.encoding import canonicalize, multibase_decode, multibase_encode
from undersigned.errors import FormatError, ProofError
from undersigned.jsonld import compiled_quads, document_quads
from undersigned.proof import (
    CRYPTOSUITES,
    attach,
    data_integrity,
    detach,
    make_proof,
    prepare,
    proof_config,
    verify_detached,
    verify_proof,
)
from undersigned.proof.data_integrity import secured

PURPOSE = "assertionMethod"


def config_of(suite: str, key: Key, **options: Any) -> dict[str, Any]:
    return proof_config(suite, key.method, PURPOSE, CREATED, **options)


def test_what_is_signed() -> None:
    """Hash of the options, then hash of the document, each in the suite's canonical form. Nodes without a name are in
    the order of their hashes, which is another for P-384.
    """
    document, other = contract(), credential()
    nameless = credential(credentialSubject=[{"name": str(number)} for number in range(4)])
    assert document_quads(nameless, algorithm="sha256") != document_quads(nameless, algorithm="sha384")
    for suite, key in SUITES:
        digest = hashlib.sha384 if key.kind == "P-384" else hashlib.sha256
        config = config_of(suite, key)
        for found in (document, other, nameless):
            options = {**config, "@context": found["@context"]}
            if "jcs" in suite:
                parts = (canonicalize(options), canonicalize(found))
            elif found is document:
                parts = (compiled_quads(options), compiled_quads(found))
            else:
                algorithm = "sha384" if key.kind == "P-384" else "sha256"
                parts = (document_quads(options, algorithm=algorithm), document_quads(found, algorithm=algorithm))
            expected = b"".join(digest(part).digest() for part in parts)
            assert prepare(found, config, key.public.kind) == expected


def test_the_canonical_form_is_not_made_twice() -> None:
    """A JCS suite takes the caller's; it is believed, so it must be the document's."""
    document = contract()
    config = config_of("eddsa-jcs-2022", HIRER)
    given = canonicalize(document)
    assert prepare(document, config, "Ed25519", jcs=given) == prepare(document, config, "Ed25519")
    signed = HIRER.signed(document, "eddsa-jcs-2022")
    assert verify_proof(signed, key=key_of, purpose=PURPOSE, jcs=given) is signed
    with pytest.raises(ProofError):
        verify_proof(signed, key=key_of, purpose=PURPOSE, jcs=given + b" ")
    quads = config_of("eddsa-rdfc-2022", HIRER)
    assert prepare(document, quads, "Ed25519", jcs=b"not asked for") == prepare(document, quads, "Ed25519")


def test_a_second_proof_makes_a_list() -> None:
    document = contract()
    one = HIRER.signed(document, "eddsa-jcs-2022")
    assert isinstance(one["proof"], dict)
    two = PROVIDER.signed(one, "eddsa-jcs-2022")
    assert two["proof"] == [one["proof"], PROVIDER.proof(document, "eddsa-jcs-2022")]
    assert "proof" not in document


def test_proofs_of_jcs_suites_repeat_the_context() -> None:
    for suite in CRYPTOSUITES:
        key = HIRER if "Ed25519" in CRYPTOSUITES[suite].kinds else P256
        proof = key.proof(credential(), suite)
        assert ("@context" in proof) == ("jcs" in suite)
        assert "@context" not in key.proof({"id": "urn:x:1"}, "eddsa-jcs-2022" if key is HIRER else "ecdsa-jcs-2019")


def test_a_context_of_null_is_not_none() -> None:
    """HIRE-PRF-08: the RDF suites take the document's contexts, so nobody would have signed that it is there."""
    for suite, key in SUITES:
        signed = key.signed(credential(), suite)
        assert verify_proof(signed, key=key_of, purpose=PURPOSE)
        with refuses(ProofError, "proof_invalid"):
            verify_proof({**signed, "proof": {**signed["proof"], "@context": None}}, key=key_of, purpose=PURPOSE)


def test_a_document_without_a_context_has_no_quads() -> None:
    for document in ({"id": "urn:x:1"}, {"@context": None, "id": "urn:x:1"}):
        with refuses(FormatError, "context_not_allowed"):
            prepare(document, config_of("eddsa-rdfc-2022", HIRER), "Ed25519")


@pytest.mark.parametrize("suite", ["none", "", None, "eddsa-rdfc-2023"])
def test_an_unknown_suite_makes_no_proof(suite: Any) -> None:
    config = {**config_of("eddsa-jcs-2022", HIRER), "cryptosuite": suite}
    for function in (
        lambda: prepare(contract(), config, "Ed25519"),
        lambda: make_proof(contract(), config, b"x" * 64),
        lambda: attach(contract(), config, b"x" * 64),
    ):
        with refuses(ProofError, "suite_not_allowed"):
            function()


@pytest.mark.parametrize(("suite", "key"), SUITES)
def test_who_is_refused_by_another_key_under_the_same_id_is_told_which(suite: str, key: Key) -> None:
    """A document that changed meanwhile has it: the operator looks there."""
    signed = key.signed(contract(), suite)
    another = Key(key.kind, bytes([7]) * (48 if key.kind == "P-384" else 32))
    with pytest.raises(ProofError) as caught:
        verify_proof(signed, key=lambda method, purpose: another.public, purpose="assertionMethod")
    assert caught.value.code == "proof_invalid"
    assert caught.value.message.endswith(f"; the key is that of {key.method!a:.200}")


def test_what_a_proof_covers() -> None:
    """The document without proofs, but with those that are built on: each by its id, and each exactly one."""
    document = {"id": "urn:x:0", "proof": [{"id": "urn:x:1"}, {"id": "urn:x:2"}, {"id": "urn:x:2"}, {}, "x"]}
    assert secured(document) == {"id": "urn:x:0"}
    assert secured(document, ["urn:x:1"]) == {"id": "urn:x:0", "proof": [{"id": "urn:x:1"}]}
    assert secured({**document, "proof": {"id": "urn:x:1"}}, ["urn:x:1"])["proof"] == [{"id": "urn:x:1"}]
    for named in (["urn:x:2"], ["urn:x:3"], ["urn:x:1", "urn:x:3"]):
        with refuses(ProofError, "proof_invalid"):
            secured(document, named)


def test_a_registry_of_ones_own() -> None:
    """An application adds a suite by passing another registry."""

    class Salted:
        name, kinds, carries_context = "x-salted", ("Ed25519",), False

        def hash(
            self,
            document: Any,
            config: Any,
            kind: Any,
            *,
            jcs: Any = None,
            jcs_sha256: Any = None,
            contexts: Any = None,
        ) -> bytes:
            return b"salt" + canonicalize(document)

    registry = {**CRYPTOSUITES, "x-salted": Salted()}
    config = config_of("x-salted", HIRER)
    signed = attach(
        contract(), config, HIRER.sign(prepare(contract(), config, "Ed25519", registry=registry)), registry=registry
    )
    assert verify_proof(signed, key=key_of, purpose=PURPOSE, registry=registry) == signed
    with refuses(ProofError, "suite_not_allowed"):
        verify_proof(signed, key=key_of, purpose=PURPOSE)
    with pytest.raises(TypeError):
        CRYPTOSUITES["x-salted"] = Salted()  # type: ignore[index]


def test_what_is_remembered_to_have_held_has_a_bound_and_says_nothing_of_another_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The higher form of s, which a credential may have and a message may not; another registry, other contexts."""

    class Salted(type(CRYPTOSUITES["ecdsa-jcs-2019"])):
        def hash(self, *args: Any, **more: Any) -> bytes:
            return b"salt" + super().hash(*args, **more)

    salted = Salted("ecdsa-jcs-2019", ("P-256",))
    signed = P256.signed(credential(), "ecdsa-jcs-2019")
    signature = multibase_decode(signed["proof"]["proofValue"])
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    s = int.from_bytes(signature[32:])
    higher = signature[:32] + max(s, order - s).to_bytes(32)
    signed["proof"]["proofValue"] = multibase_encode("z", higher)
    of: dict[str, Any] = {"key": key_of, "purpose": PURPOSE, "digest": "uEi-of-this-one"}
    for _ in range(2):
        assert verify_proof(signed, **of, foreign=True) == signed
        for other in ({}, {"foreign": True, "registry": {}}, {"foreign": True, "registry": {salted.name: salted}}):
            with pytest.raises(ProofError):
                verify_proof(signed, **of | other)
    monkeypatch.setattr(data_integrity, "MAX_HELD", 3)
    for number in range(8):
        verify_proof(signed, **of | {"digest": str(number)}, foreign=True)
        assert len(data_integrity._held) <= 3
    quads = P256.signed(credential(), "ecdsa-rdfc-2019")
    verify_proof(quads, **of)
    with refuses(FormatError, "context_not_allowed"):
        verify_proof(quads, **of, contexts={})


@pytest.mark.parametrize(("suite", "key"), SUITES)
def test_a_proof_may_travel_apart(suite: str, key: Key) -> None:
    """It verifies the same, for this document only, and not for one that has a proof of its own."""
    signed = key.signed(contract(), suite)
    document, proof = detach(signed)
    assert document == contract()
    assert {**document, "proof": proof} == signed
    assert verify_detached(document, proof, key=key_of, purpose=PURPOSE) == document
    for wrong, given, code in (
        (contract(parent="uEiA"), proof, "proof_invalid"),
        (signed, proof, "proof_invalid"),
        (document, None, "proof_missing"),
        (document, {}, "proof_missing"),
        (document, [proof], "proof_missing"),
        (document, {**proof, "proofPurpose": "authentication"}, "proof_purpose_mismatch"),
    ):
        with refuses(ProofError, code):
            verify_detached(wrong, given, key=key_of, purpose=PURPOSE)
    bound = key.proof(document, suite, domain="acme.example", challenge="of today")
    asked = {"domain": "acme.example", "challenge": "of today", "now": CREATED}
    assert verify_detached(document, bound, key=key_of, purpose=PURPOSE, **asked) == document
    for other in ({"domain": "globex.example"}, {"challenge": "of old"}, {"now": "2020-01-01T00:00:00Z"}):
        with pytest.raises(ProofError):
            verify_detached(document, bound, key=key_of, purpose=PURPOSE, **asked | other)


def test_proofs_that_belong_together_do_not_travel_apart() -> None:
    two = PROVIDER.signed(HIRER.signed(contract(), "eddsa-jcs-2022"), "eddsa-jcs-2022")
    for document, code in (
        (two, "proof_invalid"),
        (contract(), "proof_missing"),
        (contract(proof=["x"]), "proof_invalid"),
    ):
        with refuses(ProofError, code):
            detach(document)


def test_kinds_of_keys() -> None:
    """Each suite by each kind it takes: the digest of P-384 is the longer one."""
    for suite, key in SUITES:
        length = 96 if key is P384 else 64
        assert len(prepare(contract(), config_of(suite, key), key.public.kind)) == length
