"""Credentials and presentations as JWTs: made, verified, and what is refused of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from contracts import ENGAGEMENT
from parties import CURVES, NOW, Party, documents, neutral_signature
from undersigned.credentials import (
    build_presentation,
    credential_config,
    credential_jwt,
    enveloped_credential,
    enveloped_presentation,
    membership,
    presentation_config,
    presentation_jwt,
    read_presentation,
    verify_credential,
    verify_presentation,
)
from undersigned.did import DidDocument, document_from
from undersigned.encoding import JsonObject, base64url_decode, base64url_encode, canonicalize, digest_bytes
from undersigned.errors import UndersignedError

KINDS = ("Ed25519", "P-256", "P-384")
WRITTEN = {"Ed25519": "Ed25519", "P-256": "ES256", "P-384": "ES384"}
ISSUERS = {kind: Party("acme-org", kind) for kind in KINDS}
AGENTS = {kind: Party("acme", kind) for kind in KINDS}
ISSUER, AGENT, VERIFIER, STRANGER = ISSUERS["Ed25519"], AGENTS["Ed25519"], Party("globex"), Party("mallory")
DOCUMENTS = documents(*ISSUERS.values(), *AGENTS.values(), STRANGER)
CHALLENGE = digest_bytes(b"the move that asked")
SECONDS = 1_795_608_000  # NOW
ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01"


def unsigned(by: Party = ISSUER, to: Party = AGENT, **changes: Any) -> JsonObject:
    document = membership(
        id=ID, organisation=by.did, agent=to.did, valid_from="2026-11-01T00:00:00Z", valid_until="2026-12-01T00:00:00Z"
    )
    return document | changes


def jwt(by: Party = ISSUER, to: Party = AGENT, **changes: Any) -> str:
    draft = credential_jwt(unsigned(by, to, **changes), by.method, by.kind, NOW)
    return draft.signed(by.sign(draft.to_sign))


def written(header: dict[str, Any] | str, payload: JsonObject | bytes, by: Party = ISSUER) -> str:
    """A text with any header and payload, signed by `by`."""
    head = header.encode() if isinstance(header, str) else canonicalize(header)
    body = payload if isinstance(payload, bytes) else canonicalize(payload)
    to_sign = f"{base64url_encode(head)}.{base64url_encode(body)}"
    return f"{to_sign}.{base64url_encode(by.sign(to_sign.encode()))}"


HEADER = {"alg": "Ed25519", "cty": "vc", "kid": ISSUER.method, "typ": "vc+jwt"}


def verified(text: str, **options: Any):
    return verify_credential(enveloped_credential(text), **({"documents": DOCUMENTS, "now": NOW} | options))


def refused(text: str | JsonObject, **options: Any) -> str:
    document = enveloped_credential(text) if isinstance(text, str) else text
    with pytest.raises(UndersignedError) as caught:
        verify_credential(document, **({"documents": DOCUMENTS, "now": NOW} | options))
    return caught.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_credential_of_each_kind_of_key_verifies(kind: str) -> None:
    """HIRE-JWT-01."""
    text = jwt(ISSUERS[kind])
    found = verified(text)
    assert found.issuer == ISSUERS[kind].did
    assert found.types == ("MembershipCredential",)
    assert found.digest == digest_bytes(text.encode())
    assert found.shown == enveloped_credential(text)
    header = json.loads(base64url_decode(text.split(".")[0]))
    assert header == {"alg": WRITTEN[kind], "cty": "vc", "kid": ISSUERS[kind].method, "typ": "vc+jwt"}


@pytest.mark.parametrize("kind", ["P-256", "P-384"])
def test_both_values_of_s_are_taken(kind: str) -> None:
    """As other libraries write them; the two texts are two credentials."""
    text = jwt(ISSUERS[kind])
    to_sign, _, signature = text.rpartition(".")
    raw, (_, _, order, size) = base64url_decode(signature), CURVES[kind]
    other = raw[:size] + (order - int.from_bytes(raw[size:])).to_bytes(size)
    again = f"{to_sign}.{base64url_encode(other)}"
    assert verified(again).json == verified(text).json
    assert verified(again) != verified(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_covers_all_of_it(kind: str) -> None:
    head, body, signature = jwt(ISSUERS[kind]).split(".")
    other_head = base64url_encode(canonicalize({"alg": WRITTEN[kind], "kid": ISSUERS[kind].method, "typ": "vc+jwt"}))
    other_body = base64url_encode(canonicalize(json.loads(base64url_decode(body)) | {"validFrom": NOW}))
    flipped = bytearray(base64url_decode(signature))
    flipped[5] ^= 1
    for text in (
        f"{other_head}.{body}.{signature}",
        f"{head}.{other_body}.{signature}",
        f"{head}.{body}.{base64url_encode(bytes(flipped))}",
    ):
        assert refused(text) == "proof_invalid"


def test_another_library_reads_ours_and_we_read_its() -> None:
    """joserfc as a stranger would use it: with a private key, and its own way to write."""
    for kind, key_type in (("Ed25519", OKPKey), ("P-256", ECKey), ("P-384", ECKey)):
        public: Any = ISSUERS[kind].key.jwk
        found = jws.deserialize_compact(jwt(ISSUERS[kind]), key_type.import_key(public), [WRITTEN[kind]])
        assert json.loads(found.payload)["issuer"] == ISSUERS[kind].did
    theirs = OKPKey.generate_key("Ed25519")
    stranger: Any = theirs.as_dict(private=False)
    did = f"did:jwk:{base64url_encode(canonicalize({name: stranger[name] for name in ('kty', 'crv', 'x')}))}"
    payload = canonicalize(unsigned() | {"issuer": did, "credentialSubject": {"id": AGENT.did, "memberOf": did}})
    header = {"alg": "Ed25519", "kid": f"{did}#0", "typ": "vc+jwt"}

    class Wide(jws.JWSRegistry):
        max_header_length = 4096

    text = jws.serialize_compact(header, payload, theirs, registry=Wide(algorithms=["Ed25519"]))
    assert verified(text, documents={did: document_from(did, {})}).issuer == did


def test_the_old_name_is_read() -> None:
    """HIRE-JWT-01: as the same algorithm, and without a warning of the library's."""
    assert verified(written(HEADER | {"alg": "EdDSA"}, unsigned())).issuer == ISSUER.did
    es256 = ISSUERS["P-256"]
    assert (
        refused(written(HEADER | {"alg": "EdDSA", "kid": es256.method}, unsigned(es256), es256)) == "suite_not_allowed"
    )


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "RS256", "PS256", "ES256K", "ES512", "Ed448", "", None, 1]
)
def test_algorithms_are_those_listed(algorithm: Any) -> None:
    """HIRE-JWT-01."""
    assert refused(written(HEADER | {"alg": algorithm}, unsigned())) == "suite_not_allowed"


def test_no_signature_and_a_shared_secret_are_none() -> None:
    """HIRE-JWT-01: the public key as secret is the classic; it fails for its algorithm."""
    head, body, _ = jwt().split(".")
    assert refused(f"{head}.{body}.") in ("proof_invalid", "schema_violation")
    secret = OctKey.import_key(ISSUER.key.raw)
    text = jws.serialize_compact({"alg": "HS256", "typ": "vc+jwt"}, canonicalize(unsigned()), secret, ["HS256"])
    assert refused(text) == "suite_not_allowed"


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("Ed25519", "P-256"), ("ES256", "P-384"), ("ES384", "P-256"), ("ES256", "Ed25519")]
)
def test_the_key_is_of_the_kind_that_the_algorithm_names(algorithm: str, kind: str) -> None:
    """HIRE-JWT-01."""
    by = ISSUERS[kind]
    assert refused(written(HEADER | {"alg": algorithm, "kid": by.method}, unsigned(by), by)) in (
        "suite_not_allowed",
        "proof_invalid",
    )


@pytest.mark.parametrize("name", ["jwk", "jku", "x5c", "x5u", "x5t", "crit", "b64", "iss", "zip", "enc"])
def test_the_header_chooses_nothing(name: str) -> None:
    """HIRE-JWT-02: not even what nobody would look at."""
    value: Any = {"jwk": STRANGER.key.jwk, "crit": ["exp"], "x5c": ["MII="], "b64": False}.get(
        name, "https://evil.example"
    )
    text = written(HEADER | {name: value, "kid": ISSUER.method}, unsigned(), STRANGER)
    # No document: it is refused before a key is looked up.
    assert refused(text, documents={}) == "unknown_term"


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"},
        {"typ": "vp+jwt"},
        {"typ": "application/vc+jwt"},
        {"typ": "VC+JWT"},
        {"typ": None},
        {"cty": "vp"},
        {"cty": "JWT"},
        {"cty": None},
    ],
)
def test_it_is_typed_for_its_place(changes: dict[str, Any]) -> None:
    """HIRE-JWT-03."""
    assert refused(written(HEADER | changes, unsigned())) == "proof_purpose_mismatch"


def test_typ_is_needed_and_cty_is_not() -> None:
    """HIRE-JWT-03."""
    without = {name: value for name, value in HEADER.items() if name != "typ"}
    assert refused(written(without, unsigned())) == "proof_purpose_mismatch"
    assert verified(written({name: value for name, value in HEADER.items() if name != "cty"}, unsigned()))


@pytest.mark.parametrize("kid", [None, "key-1", ISSUER.did, STRANGER.method, f"{ISSUER.did}#other", "did:x:y#z", 1])
def test_kid_is_a_method_of_the_issuer(kid: Any) -> None:
    """HIRE-JWT-04."""
    assert refused(written(HEADER | {"kid": kid}, unsigned())) == "key_not_authorized"


@pytest.mark.parametrize("relationship", ["assertionMethod", "authentication"])
def test_kid_is_listed_for_what_it_signs(relationship: str) -> None:
    """HIRE-JWT-04: a credential under `assertionMethod`, a presentation under `authentication`."""
    left = {party.did: without(party, relationship) for party in (ISSUER, AGENT)}
    documents = {**DOCUMENTS, **left}
    credential, presentation = jwt(), shown_jwt(enveloped_credential(jwt()))
    if relationship == "assertionMethod":
        assert refused(credential, documents=documents) == "key_not_authorized"
    else:
        verified(credential, documents=documents)
    assert turned_away(presentation, documents=documents) == "key_not_authorized"
    answered(presentation)


def without(party: Party, relationship: str) -> DidDocument:
    """A party's document that lists its key for everything else."""
    listed = dict(party.document.json)
    del listed[relationship]
    return DidDocument(party.did, canonicalize(listed))


def test_one_spelling() -> None:
    """HIRE-JWT-05."""
    head, body, signature = jwt().split(".")
    for text in (
        f"{head}.{body}",
        f"{head}.{body}.{signature}.",
        f"{head}=.{body}.{signature}",
        f"{head}.{body}.{signature}==",
        f"{head}.{body} .{signature}",
        f"{head}.{body}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",
        f".{body}.{signature}",
    ):
        assert refused(text) in ("schema_violation", "bad_json")
    assert refused(written('{"alg":"Ed25519","alg":"none"}', unsigned())) == "bad_json"
    assert refused(written(HEADER, b'{"issuer":1,"issuer":2}')) == "bad_json"
    assert refused(written(HEADER, b"[]")) == "schema_violation"
    assert refused(written(HEADER, b"\xff")) == "bad_unicode"
    assert refused(f"{head}.{body}.{base64url_encode(bytes(63))}") == "proof_invalid"


def test_sc_102_a_text_has_a_size() -> None:
    """HIRE-JWT-05."""
    assert refused("x" * 200_000) == "too_large"
    assert refused(jwt(name="x" * 66_000)) == "too_large"
    assert refused("e30." + "A" * 88_000 + ".AA") in ("too_large", "suite_not_allowed")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": STRANGER.did}, "schema_violation"),
        ({"sub": STRANGER.did}, "schema_violation"),
        ({"jti": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b99"}, "schema_violation"),
        ({"vc": {}}, "schema_violation"),
        ({"vp": {}}, "schema_violation"),
        ({"aud": VERIFIER.did}, "schema_violation"),
        ({"cnf": {"jwk": {}}}, "schema_violation"),
        ({"nonce": "x"}, "schema_violation"),
        ({"proof": {"type": "DataIntegrityProof"}}, "schema_violation"),
        ({"exp": "1"}, "schema_violation"),
        ({"exp": SECONDS + 0.5}, "schema_violation"),
        ({"nbf": True}, "schema_violation"),
        ({"iat": 0}, "schema_violation"),
        ({"nbf": 946_684_799}, "schema_violation"),
        ({"exp": 32_503_680_000}, "schema_violation"),
        ({"exp": 10**12}, "schema_violation"),
        ({"exp": SECONDS}, "policy_denied"),
        ({"nbf": SECONDS + 1}, "policy_denied"),
        ({"iat": SECONDS + 61}, "proof_from_future"),
        ({"validUntil": "2026-11-20T00:00:00Z", "exp": SECONDS + 60}, "policy_denied"),
    ],
)
def test_what_it_says_as_a_jwt_is_what_it_says_as_a_document(claims: JsonObject, code: str) -> None:
    """HIRE-JWT-06, HIRE-JWT-07."""
    assert refused(written(HEADER, unsigned() | claims)) == code


def test_a_clock_may_be_a_little_ahead() -> None:
    """HIRE-JWT-07."""
    assert verified(written(HEADER, unsigned() | {"iat": SECONDS + 60}))


def test_the_narrower_time_counts_also_later() -> None:
    """HIRE-JWT-07."""
    claims = {"iss": ISSUER.did, "sub": AGENT.did, "jti": ID, "iat": SECONDS, "nbf": SECONDS - 60, "exp": SECONDS + 60}
    found = verified(written(HEADER, unsigned() | claims))
    assert (found.valid_from, found.valid_until) == ("2026-11-25T11:59:00Z", "2026-11-25T12:00:59Z")
    assert found.valid_at("2026-11-25T12:00:59Z")
    assert not found.valid_at("2026-11-25T12:01:00Z")
    wide = verified(written(HEADER, unsigned() | {"nbf": SECONDS - 10**7, "exp": SECONDS + 10**7}))
    assert (wide.valid_from, wide.valid_until) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    without = {name: value for name, value in unsigned().items() if name not in ("validFrom", "validUntil")}
    alone = verified(written(HEADER, without | {"nbf": SECONDS - 60, "exp": SECONDS + 60}))
    assert (alone.valid_from, alone.valid_until) == (found.valid_from, found.valid_until)
    first = verified(written(HEADER, without | {"nbf": 946_684_800}))
    assert first.valid_from == "2000-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": ISSUER.did}, "unknown_term"),
        ({"@context": None}, "context_not_allowed"),
        ({"@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/hire/v1"]}, "context_not_allowed"),
        ({"type": ["EnvelopedVerifiableCredential", "MembershipCredential"]}, "schema_violation"),
        ({"id": "https://example.com/credential"}, "schema_violation"),
        ({"id": None}, "schema_violation"),
        ({"id": "data:application/vc+jwt;charset=utf-8,x.y.z"}, "schema_violation"),
        ({"id": "data:application/vp+jwt,x.y.z"}, "schema_violation"),
        ({"id": "data:application/vc+jwt;base64,eA"}, "schema_violation"),
        ({"id": jwt()}, "schema_violation"),
    ],
)
def test_an_envelope_has_one_form(changes: dict[str, Any], code: str) -> None:
    """HIRE-JWT-08."""
    assert refused(enveloped_credential(jwt()) | changes) == code
    assert verify_credential(
        enveloped_credential(jwt()) | {"type": ["EnvelopedVerifiableCredential"]}, documents=DOCUMENTS, now=NOW
    )


def test_an_envelope_holds_no_envelope() -> None:
    """HIRE-JWT-08."""
    assert refused(written(HEADER, enveloped_credential(jwt()))) == "schema_violation"
    header = {"alg": "Ed25519", "kid": AGENT.method, "typ": "vp+jwt"}
    inside = shown_jwt() | {"aud": VERIFIER.did, "nonce": CHALLENGE, "holder": AGENT.did, "engagement": ENGAGEMENT}
    assert turned_away(enveloped_presentation(written(header, inside, AGENT))) == "schema_violation"
    inside["@context"] = ["https://www.w3.org/ns/credentials/v2"]
    assert turned_away(enveloped_presentation(written(header, inside, AGENT))) == "schema_violation"


# --- presentations


def with_proof(by: Party = ISSUER, to: Party = AGENT, suite: str = "eddsa-jcs-2022") -> JsonObject:
    return by.prove(unsigned(by, to), credential_config(suite, by.method, NOW))


def shown_jwt(
    *credentials: JsonObject, holder: Party = AGENT, signer: Party | None = None, **options: Any
) -> JsonObject:
    signer = signer or holder
    document = build_presentation(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
        holder=holder.did,
        engagement=options.pop("engagement", ENGAGEMENT),
        credentials=credentials,
    )
    changes = options.pop("changes", {})
    given = {"challenge": CHALLENGE, "domain": VERIFIER.did} | options
    draft = presentation_jwt(document | changes, signer.method, signer.kind, NOW, **given)
    return enveloped_presentation(draft.signed(signer.sign(draft.to_sign)))


def answered(presentation: JsonObject, **options: Any):
    given: dict[str, Any] = {
        "challenge": CHALLENGE,
        "domain": VERIFIER.did,
        "holder": AGENT.did,
        "engagement": ENGAGEMENT,
        "documents": DOCUMENTS,
        "now": NOW,
    }
    return verify_presentation(presentation, **(given | options))


def turned_away(presentation: JsonObject, **options: Any) -> str:
    with pytest.raises(UndersignedError) as caught:
        answered(presentation, **options)
    return caught.value.code


def test_what_is_in_an_envelope_no_reader_of_messages_has_seen() -> None:
    """With numbers and names that no message has, a credential has the one canonical form all the same."""
    subject = {"id": AGENT.did, "share": 2.0, "\U0001f600": 1, "\ufb33": 2}
    credential = unsigned() | {"credentialSubject": subject}
    shown = shown_jwt(credential | {"proof": {"type": "DataIntegrityProof"}})
    strict, read = read_presentation(shown, strict=True), read_presentation(shown)
    assert [one.digest for one in strict.credentials] == [one.digest for one in read.credentials]
    assert strict.digest == read.digest


@pytest.mark.parametrize("kind", KINDS)
def test_a_presentation_of_each_kind_of_key_verifies(kind: str) -> None:
    """HIRE-JWT-09."""
    holder = AGENTS[kind]
    one, other = enveloped_credential(jwt(ISSUERS[kind], holder)), with_proof(ISSUER, holder)
    presentation = shown_jwt(one, other, holder=holder)
    assert read_presentation(presentation).parties == (holder.did, *sorted({ISSUERS[kind].did, ISSUER.did}))
    found = answered(presentation, holder=holder.did)
    assert found.holder == holder.did
    assert found.digest == digest_bytes(canonicalize(presentation))
    assert [credential.shown for credential in found.credentials] == [one, other]


@pytest.mark.parametrize(
    ("kind", "suite"),
    [
        ("Ed25519", "eddsa-jcs-2022"),
        ("Ed25519", "eddsa-rdfc-2022"),
        ("P-256", "ecdsa-jcs-2019"),
        ("P-256", "ecdsa-rdfc-2019"),
        ("P-384", "ecdsa-jcs-2019"),
        ("P-384", "ecdsa-rdfc-2019"),
    ],
)
def test_a_presentation_with_a_proof_carries_enveloped_credentials(kind: str, suite: str) -> None:
    """HIRE-JWT-08: also in the RDF suites, where the envelope is a node with a type."""
    holder = AGENTS[kind]
    document = build_presentation(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
        holder=holder.did,
        engagement=ENGAGEMENT,
        credentials=[enveloped_credential(jwt(to=holder)), with_proof(to=holder)],
    )
    config = presentation_config(suite, holder.method, NOW, challenge=CHALLENGE, domain=VERIFIER.did)
    presentation = holder.prove(document, config)
    assert len(answered(presentation, holder=holder.did).credentials) == 2
    other = enveloped_credential(jwt(ISSUERS["P-256"], holder))
    swapped = presentation | {"verifiableCredential": [other, with_proof(to=holder)]}
    assert turned_away(swapped, holder=holder.did) == "proof_invalid"


def test_sc_35_an_outer_signature_speaks_for_no_inner_one() -> None:
    """HIRE-CRD-06."""
    head, body, signature = jwt().split(".")
    edited = base64url_encode(canonicalize(json.loads(base64url_decode(body)) | {"validFrom": NOW}))
    assert turned_away(shown_jwt(enveloped_credential(f"{head}.{edited}.{signature}"))) == "proof_invalid"
    text = str(shown_jwt(enveloped_credential(jwt()))["id"])
    head, body, signature = text.split(".")
    edited = base64url_encode(canonicalize(json.loads(base64url_decode(body)) | {"iat": SECONDS - 1}))
    broken = shown_jwt() | {"id": f"{head}.{edited}.{signature}"}
    assert turned_away(broken) == "proof_invalid"
    # A credential's text as presentation, and the reverse.
    assert turned_away(enveloped_presentation(jwt())) == "proof_purpose_mismatch"
    presentation = str(shown_jwt()["id"]).partition(",")[2]
    assert turned_away(shown_jwt(enveloped_credential(presentation))) == "proof_purpose_mismatch"


def test_sc_43_a_jwt_answers_one_challenge_and_one_verifier() -> None:
    """HIRE-CRD-05, HIRE-JWT-09."""
    presentation = shown_jwt(enveloped_credential(jwt()))
    assert answered(presentation)
    assert turned_away(presentation, challenge=digest_bytes(b"a fresh one")) == "challenge_mismatch"
    assert turned_away(presentation, domain=STRANGER.did) == "challenge_mismatch"
    assert turned_away(presentation, engagement=f"urn:hire:engagement:{CHALLENGE}") == "wrong_negotiation"
    assert turned_away(shown_jwt(changes={"engagement": None})) == "schema_violation"
    assert turned_away(shown_jwt(domain=[VERIFIER.did, STRANGER.did])) == "challenge_mismatch"
    assert turned_away(shown_jwt(expires="2026-11-25T12:00:00Z")) == "proof_expired"
    assert answered(shown_jwt(expires="2026-11-25T12:00:01Z"))
    assert turned_away(shown_jwt(changes={"nbf": SECONDS + 61})) == "proof_from_future"
    assert answered(shown_jwt(changes={"nbf": SECONDS + 60}))
    assert turned_away(shown_jwt(), now="2026-11-25T11:58:59Z") == "proof_from_future"
    assert turned_away(shown_jwt(changes={"iss": STRANGER.did})) == "schema_violation"
    assert turned_away(shown_jwt(changes={"vp": {}})) == "unknown_term"
    assert turned_away(shown_jwt(changes={"termsOfUse": {}})) == "unknown_term"
    assert turned_away(shown_jwt(changes={"proof": {}})) == "unknown_term"


def test_sc_64_a_borrowed_jwt() -> None:
    """HIRE-CRD-04, HIRE-JWT-04."""
    theirs = enveloped_credential(jwt())
    assert turned_away(shown_jwt(theirs, holder=STRANGER), holder=STRANGER.did) == "holder_mismatch"
    assert turned_away(shown_jwt(theirs), holder=STRANGER.did) == "holder_mismatch"
    assert turned_away(shown_jwt(theirs, signer=STRANGER)) == "key_not_authorized"


def test_sc_102_limits_hold_in_an_envelope() -> None:
    """HIRE-CRD-03."""
    small = [enveloped_credential(jwt())] * 16
    assert len(answered(shown_jwt(*small)).credentials) == 16
    many = [enveloped_credential("e30.e30.AA")] * 17
    assert turned_away(shown_jwt(*many)) == "too_large"
    by_many = [enveloped_credential(jwt(Party(f"org {n}"))) for n in range(9)]
    assert turned_away(shown_jwt(*by_many)) == "too_large"
    assert turned_away(enveloped_presentation("x" * 150_000)) == "too_large"


def test_suites_are_those_allowed_here() -> None:
    assert refused(jwt(), suites=["eddsa-jcs-2022"]) == "suite_not_allowed"
    assert verified(jwt(), suites=["eddsa-jcs-2022", "Ed25519"])


def test_a_signature_that_others_could_read_in_two_ways_is_none() -> None:
    """An R of small order, which its signer can make and some libraries verify, holds in no credential."""
    to_sign = jwt().rpartition(".")[0]
    signature = neutral_signature(ISSUER._ed, to_sign.encode())
    Ed25519PublicKey.from_public_bytes(ISSUER.key.raw).verify(signature, to_sign.encode())
    assert refused(f"{to_sign}.{base64url_encode(signature)}") == "proof_invalid"


def test_a_number_has_one_value_in_each_spelling() -> None:
    """HIRE-JWT-07: `1.0` and `1` are one number to JSON, and to other readers."""
    payload = canonicalize(unsigned())[:-1] + b',"exp":%d.0}' % (SECONDS + 1)
    assert verified(written(HEADER, payload)).valid_until == NOW
    assert refused(written(HEADER, payload.replace(b".0}", b".5}"))) == "schema_violation"
