from typing import Any

import pytest

from contracts import ENGAGEMENT
from parties import NOW, Party, documents
from support import refuses
from undersigned.credentials import (
    build_presentation,
    check_status,
    credential_config,
    credential_jwt,
    enveloped_credential,
    membership,
    presentation_config,
    read_credential,
    read_presentation,
    status_entry,
    verify_credential,
    verify_presentation,
)
from undersigned.did import DidDocument
from undersigned.encoding import JsonObject, canonicalize, digest_bytes
from undersigned.errors import CredentialError, FormatError, ProofError, UndersignedError
from undersigned.jsonld import document_quads
from undersigned.keys import PublicKey

ORGANISATION, AGENT, VERIFIER, STRANGER = Party("acme-org"), Party("acme"), Party("globex"), Party("mallory")
EC, EC_384 = Party("acme-org", "P-256"), Party("acme-org", "P-384")
CHALLENGE = digest_bytes(b"the move that asked")
AGENT_256, AGENT_384 = Party("acme", "P-256"), Party("acme", "P-384")
DOCUMENTS = documents(ORGANISATION, AGENT, EC, EC_384, AGENT_256, AGENT_384, STRANGER)
SUITES = [
    (ORGANISATION, "eddsa-jcs-2022"),
    (ORGANISATION, "eddsa-rdfc-2022"),
    (EC, "ecdsa-jcs-2019"),
    (EC, "ecdsa-rdfc-2019"),
    (EC_384, "ecdsa-jcs-2019"),
    (EC_384, "ecdsa-rdfc-2019"),
]
HOLDERS = {"Ed25519": AGENT, "P-256": AGENT_256, "P-384": AGENT_384}


def issued(
    by: Party = ORGANISATION,
    to: Party = AGENT,
    suite: str = "eddsa-jcs-2022",
    purpose: str = "assertionMethod",
    **changes: Any,
) -> JsonObject:
    document = membership(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        organisation=by.did,
        agent=to.did,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )
    made = changes.pop("made", NOW)
    config = credential_config(suite, changes.pop("method", by.method), made) | {"proofPurpose": purpose}
    return changes.pop("signer", by).prove(document | changes, config)


def shown(
    *credentials: JsonObject,
    holder: Party = AGENT,
    signer: Party | None = None,
    suite: str = "eddsa-jcs-2022",
    purpose: str = "authentication",
    challenge: str = CHALLENGE,
    domain: str = VERIFIER.did,
    engagement: str = ENGAGEMENT,
    **changes: Any,
) -> JsonObject:
    document = build_presentation(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
        holder=holder.did,
        engagement=engagement,
        credentials=credentials,
    )
    signer = signer or holder
    config = presentation_config(suite, signer.method, NOW, challenge=challenge, domain=domain)
    return signer.prove(document | changes, config | {"proofPurpose": purpose})


EXPECTED: dict[str, Any] = {
    "challenge": CHALLENGE,
    "domain": VERIFIER.did,
    "holder": AGENT.did,
    "engagement": ENGAGEMENT,
    "documents": DOCUMENTS,
    "now": NOW,
}


def verify(presentation: JsonObject, **changes: Any):
    return verify_presentation(presentation, **(EXPECTED | changes))


def refused(presentation: JsonObject, **changes: Any) -> str:
    with pytest.raises(UndersignedError) as caught:
        verify(presentation, **changes)
    return caught.value.code


@pytest.mark.parametrize(("issuer", "suite"), SUITES)
def test_a_credential_of_each_suite_verifies(issuer: Party, suite: str) -> None:
    """HIRE-VC-01."""
    credential = issued(issuer, suite=suite)
    assert verify_credential(credential, documents=DOCUMENTS, now=NOW).issuer == issuer.did
    edited = credential | {"credentialSubject": {"id": STRANGER.did, "memberOf": issuer.did}}
    with refuses(ProofError, "proof_invalid"):
        verify_credential(edited, documents=DOCUMENTS, now=NOW)


@pytest.mark.parametrize(("issuer", "suite"), SUITES)
def test_a_presentation_of_each_suite_verifies(issuer: Party, suite: str) -> None:
    """HIRE-VC-01: with credentials of every other suite in it."""
    holder = HOLDERS[issuer.kind]
    credentials = [issued(by, holder, suite=of) for by, of in SUITES]
    presentation = shown(*credentials, holder=holder, suite=suite)
    verified = verify(presentation, holder=holder.did)
    assert verified.holder == holder.did
    assert verified.engagement == ENGAGEMENT
    assert verified.by == tuple(DOCUMENTS[did] for did in read_presentation(presentation).parties)
    assert [one.json for one in verified.credentials] == credentials
    for name, value in (
        ("id", "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b03"),
        ("verifiableCredential", credentials[1:]),
    ):
        assert refused(presentation | {name: value}, holder=holder.did) == "proof_invalid"


def test_what_came_in_a_message_reads_the_same() -> None:
    presentation = shown(issued(), issued(EC, suite="ecdsa-jcs-2019"))
    read = read_presentation(presentation, strict=True)
    assert read._replace(unproved=None) == read_presentation(presentation)
    assert verify_presentation(read, **EXPECTED) == verify(presentation)
    edited = read_presentation({**presentation, "id": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b03"}, strict=True)
    with pytest.raises(ProofError, match="signature"):
        verify_presentation(edited, **EXPECTED)


def test_there_may_be_nothing_to_show() -> None:
    assert verify(shown()).credentials == ()


def test_one_proof_in_a_list_is_that_proof() -> None:
    """Section 11.1, also for when a credential was made (HIRE-STA-05), and by which key an answer is (HIRE-KEY-07)."""
    credential = issued()
    listed = credential | {"proof": [credential["proof"]]}
    answer = shown(listed)
    answer["proof"] = [answer["proof"]]
    (verified,) = verify(answer).credentials
    assert verified.made == read_credential(credential).made == NOW
    assert read_presentation(answer).method == AGENT.method
    assert read_presentation(answer | {"proof": answer["proof"] * 2}).method == ""


def test_the_documents_wanted_are_the_holders_and_the_issuers() -> None:
    assert read_presentation(shown(issued(), issued(EC, suite="ecdsa-jcs-2019"))).parties == (
        AGENT.did,
        *sorted([ORGANISATION.did, EC.did]),
    )
    many = [issued(Party(f"org {n}")) for n in range(9)]
    assert len(read_presentation(shown(*many[1:])).parties) == 1 + 8
    with refuses(FormatError, "too_large"):
        read_presentation(shown(*many))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"challenge": digest_bytes(b"another move")}, "challenge_mismatch"),
        ({"domain": STRANGER.did}, "challenge_mismatch"),
        ({"engagement": f"urn:hire:engagement:{CHALLENGE}"}, "wrong_negotiation"),
        ({"holder": STRANGER}, "holder_mismatch"),
        ({"signer": STRANGER}, "key_not_authorized"),
        ({"purpose": "assertionMethod"}, "proof_purpose_mismatch"),
        ({"termsOfUse": {"type": "X"}}, "unknown_term"),
        ({"@context": ["https://www.w3.org/ns/credentials/v2", "https://mallory.example/v1"]}, "context_not_allowed"),
        ({"type": ["VerifiablePresentation", "Other"]}, "schema_violation"),
        ({"type": ["VerifiablePresentation", "VerifiablePresentation"]}, "schema_violation"),
        ({"holder_": None}, "unknown_term"),
        ({"verifiableCredential": ["data:application/vc+jwt,x"]}, "schema_violation"),
        ({"verifiableCredential": [{"id": "data:application/vc+jwt,x"}]}, "context_not_allowed"),
        ({"verifiableCredential": {}}, "schema_violation"),
    ],
)
def test_a_presentation_for_somebody_or_something_else_is_refused(changes: dict[str, Any], code: str) -> None:
    if "holder_" in changes:
        changes = {"holder": AGENT, "holder_": 1}
    assert refused(shown(**({"suite": "eddsa-jcs-2022"} | changes))) == code


@pytest.mark.parametrize("holder", [None, 1, [AGENT.did], "https://acme.example"])
def test_only_a_did_holds_a_presentation(holder: Any) -> None:
    with pytest.raises(CredentialError) as caught:
        read_presentation(shown() | {"holder": holder})
    assert (caught.value.code, caught.value.path) == ("schema_violation", "/holder")


def test_sc_27_no_proof_is_no_presentation() -> None:
    """HIRE-CRD-01."""
    presentation = shown(issued())
    for proof in ([], {}, None):
        assert refused(presentation | {"proof": proof}) == "proof_missing"
    del presentation["proof"]
    assert refused(presentation) == "proof_missing"
    bare = issued()
    del bare["proof"]
    assert refused(shown(bare)) == "proof_missing"


def test_sc_29_a_proof_of_another_purpose_counts_nowhere() -> None:
    assert refused(shown(issued(purpose="authentication"))) == "proof_purpose_mismatch"
    # The issuer's proof moved to the presentation, and the presenter's to the credential.
    presentation = shown(issued())
    assert refused(presentation | {"proof": issued()["proof"]}) == "proof_purpose_mismatch"
    moved = issued() | {"proof": presentation["proof"]}
    assert refused(shown(moved)) == "proof_purpose_mismatch"


def test_sc_35_one_good_proof_speaks_for_no_other() -> None:
    """HIRE-CRD-06."""
    broken = issued() | {"validUntil": "2027-12-01T00:00:00Z"}
    assert refused(shown(broken)) == "proof_invalid"
    outer = shown(issued())
    assert refused(outer | {"id": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b03"}) == "proof_invalid"


def test_sc_43_an_answer_is_to_one_challenge_and_one_verifier() -> None:
    """HIRE-CRD-05."""
    presentation = shown(issued())
    assert verify(presentation)
    assert refused(presentation, challenge=digest_bytes(b"a fresh one")) == "challenge_mismatch"
    assert refused(presentation, domain=STRANGER.did) == "challenge_mismatch"
    assert refused(presentation, engagement=f"urn:hire:engagement:{CHALLENGE}") == "wrong_negotiation"


def test_sc_64_a_borrowed_credential() -> None:
    """HIRE-CRD-04."""
    # Issued to somebody else, shown by the thief.
    assert refused(shown(issued(), holder=STRANGER), holder=STRANGER.did) == "holder_mismatch"
    # A stolen presentation, sent by the thief.
    assert refused(shown(issued()), holder=STRANGER.did) == "holder_mismatch"
    # Two subjects, one of them the thief.
    both = issued(credentialSubject=[{"id": STRANGER.did}, {"id": AGENT.did}])
    assert refused(shown(both, holder=STRANGER), holder=STRANGER.did) == "holder_mismatch"
    # No subject at all belongs to everybody.
    nobody = issued(credentialSubject={"memberOf": ORGANISATION.did})
    assert refused(shown(nobody)) == "holder_mismatch"


def test_sc_01_a_credential_is_its_issuers() -> None:
    """HIRE-CRD-01."""
    assert refused(shown(issued(signer=STRANGER, method=STRANGER.method))) == "key_not_authorized"
    assert refused(shown(issued(signer=STRANGER))) == "proof_invalid"


IRI = "https://www.w3.org/2018/credentials#"
DATE = "http://www.w3.org/2001/XMLSchema#dateTime"


def respelled(credential: JsonObject, form: str) -> JsonObject:
    """The same graph in other JSON: its proof of an RDF suite holds, and the member `validUntil` is not there."""
    rest = {name: value for name, value in credential.items() if name != "validUntil"}
    ends = {"@value": credential["validUntil"], "@type": DATE}
    match form:
        case "iri":
            return rest | {f"{IRI}validUntil": ends}
        case "in a list":
            return rest | {f"{IRI}validUntil": [ends]}
        case "moved":
            again = {"id": credential["id"], "type": "VerifiableCredential", "validUntil": credential["validUntil"]}
            return rest | {"relatedResource": again}
        case _:
            raise AssertionError(form)


@pytest.mark.parametrize("form", ["iri", "in a list"])
def test_sc_74_an_end_that_is_spelled_otherwise(form: str) -> None:
    """HIRE-VC-06: the proof would hold."""
    past = "2026-11-24T00:00:00Z"
    credential = issued(suite="eddsa-rdfc-2022", validUntil=past)
    again = respelled(credential, form)
    assert document_quads(without_proof(again)) == document_quads(without_proof(credential))
    with refuses(FormatError, "unknown_term"):
        verify_credential(again, documents=DOCUMENTS, now=NOW)


def test_sc_74_an_end_that_is_said_elsewhere() -> None:
    """HIRE-VC-06: in a second mention of the credential, where one is to be had."""
    related = {"id": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01"}
    credential = issued(suite="eddsa-rdfc-2022", validUntil="2026-11-24T00:00:00Z", relatedResource=related)
    again = respelled(credential, "moved")
    assert document_quads(without_proof(again)) == document_quads(without_proof(credential))
    for one in (again, credential):
        with pytest.raises(CredentialError) as caught:
            verify_credential(one, documents=DOCUMENTS, now=NOW)
        assert (caught.value.code, caught.value.path) == ("schema_violation", "/relatedResource/id")


def test_sc_61_a_status_that_is_spelled_otherwise() -> None:
    """HIRE-VC-06: or what is revoked would look like what cannot be."""
    status = {
        "id": "https://acme.example/status/1#1",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
    }
    credential = issued(suite="eddsa-rdfc-2022", credentialStatus=status)
    rest = {name: value for name, value in credential.items() if name != "credentialStatus"}
    again = rest | {f"{IRI}credentialStatus": status}
    with refuses(FormatError, "unknown_term"):
        verify_credential(again, documents=DOCUMENTS, now=NOW)


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
@pytest.mark.parametrize(
    "member", ["@id", "@type", "@graph", "@context", "hire:memberOf", "https://w3id.org/hire#memberOf"]
)
def test_members_are_terms(member: str, suite: str) -> None:
    """HIRE-VC-06."""
    credential = issued(suite=suite)
    subject = credential["credentialSubject"]
    assert isinstance(subject, dict)
    again = credential | {"credentialSubject": subject | {member: "https://w3id.org/hire/v1"}}
    with pytest.raises(FormatError) as caught:
        verify_credential(again, documents=DOCUMENTS, now=NOW)
    assert (caught.value.code, caught.value.path[:18]) == ("unknown_term", "/credentialSubject")


def without_proof(document: JsonObject) -> JsonObject:
    return {name: value for name, value in document.items() if name != "proof"}


def test_sc_61_what_may_be_revoked_and_was_not_checked_is_refused() -> None:
    """HIRE-CRD-02. A presentation is verified without it, because lists are fetched only for what is verified."""
    credential = issued(credentialStatus=status_entry("https://acme.example/status/1", 94567))
    with refuses(CredentialError, "status_unavailable"):
        verify_credential(credential, documents=DOCUMENTS, now=NOW)
    (one,) = verify(shown(credential)).credentials
    with refuses(CredentialError, "status_unavailable"):
        check_status(one, {}, NOW)


@pytest.mark.parametrize("now", ["2026-10-31T23:59:59Z", "2026-12-01T00:00:01Z"])
def test_sc_74_out_of_its_time_a_credential_says_nothing(now: str) -> None:
    """HIRE-CRD-01."""
    with refuses(CredentialError, "policy_denied"):
        verify_credential(issued(made="2026-10-31T00:00:00Z"), documents=DOCUMENTS, now=now)


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_out_of_its_time_is_its_issuers_all_the_same(place: int) -> None:
    """HIRE-CRD-01: a signature that does not hold weighs more, in the same credential or another one."""
    past = issued(validUntil="2026-11-02T00:00:00Z")
    unknown = issued(credentialSchema={"id": "https://schemas.example/1", "type": "JsonSchema"})
    assert refused(shown(past)) == refused(shown(unknown)) == refused(shown(issued(), past)) == "policy_denied"
    broken = past | {"id": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b04"}
    assert refused(shown(broken)) == "proof_invalid"
    assert refused(shown(unknown | {"name": "x"})) == "proof_invalid"
    others = [past, issued() | {"validUntil": "2027-12-01T00:00:00Z"}]
    assert refused(shown(*(others if place else reversed(others)))) == "proof_invalid"
    nobodys = issued(Party("unknown"))
    assert refused(shown(*((past, nobodys) if place else (nobodys, past)))) == "did_unresolvable"


def test_sc_102_too_many_or_too_large_before_any_cryptography() -> None:
    """HIRE-CRD-03."""
    credential = issued()
    presentation = shown(*[credential] * 16)
    assert len(verify(presentation).credentials) == 16
    # The proof is not looked at: it is not even there.
    flood = presentation | {"verifiableCredential": [credential] * 17, "proof": None}
    assert refused(flood) == "too_large"
    large = credential | {"name": "x" * 66_000}
    assert refused(presentation | {"verifiableCredential": [large], "proof": None}) == "too_large"
    heavy = credential | {"name": "x" * 60_000}
    assert refused(presentation | {"verifiableCredential": [heavy] * 3, "proof": None}) == "too_large"


def test_an_issuer_without_a_document_is_not_believed() -> None:
    with refuses(CredentialError, "did_unresolvable"):
        verify_credential(issued(), documents={}, now=NOW)


@pytest.mark.parametrize("form", ["proof", "text"])
def test_a_credential_that_comes_again_costs_no_signature_and_is_judged_anew(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time, its status, the issuer's document and the suites count each time, as the first time."""
    done: list[bytes] = []
    really = PublicKey.verify

    def counted(self: PublicKey, signature: bytes, data: bytes, **options: bool) -> None:
        done.append(signature)
        really(self, signature, data, **options)

    monkeypatch.setattr(PublicKey, "verify", counted)
    # No other test makes this one, so that nobody remembers it.
    changes: JsonObject = {"id": "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b05", "validUntil": "2026-11-30T00:00:00Z"}
    credential, suite = issued(**changes), "eddsa-jcs-2022"
    if form == "text":
        unsigned = {name: value for name, value in credential.items() if name != "proof"}
        draft = credential_jwt(unsigned, ORGANISATION.method, ORGANISATION.kind, NOW)
        credential, suite = enveloped_credential(draft.signed(ORGANISATION.sign(draft.to_sign))), "Ed25519"
    for _ in range(3):
        verify_credential(credential, documents=DOCUMENTS, now=NOW, suites=[suite])
    assert len(done) == 1
    (method,), known = ORGANISATION.document.json["verificationMethod"], ORGANISATION.document.json
    unlisted = DidDocument(ORGANISATION.did, canonicalize(known | {"assertionMethod": []}))
    exchanged = method | {"publicKeyMultibase": STRANGER.key.multikey}
    renewed = DidDocument(ORGANISATION.did, canonicalize(known | {"verificationMethod": [exchanged]}))
    for wrong, code in (
        ({"now": "2026-11-30T00:00:01Z"}, "policy_denied"),
        ({"now": "2026-11-24T00:00:00Z"}, "proof_from_future"),
        ({"suites": ["ES256", "ecdsa-jcs-2019"]}, "suite_not_allowed"),
        ({"documents": {}}, "did_unresolvable"),
        ({"documents": {ORGANISATION.did: unlisted}}, "key_not_authorized"),
        ({"documents": {ORGANISATION.did: renewed}}, "proof_invalid"),
    ):
        with refuses(UndersignedError, code):
            verify_credential(credential, **({"documents": DOCUMENTS, "now": NOW} | wrong))
    assert len(done) == 2, "the same name has another key now, for which nothing is remembered"


def test_suites_are_those_agreed() -> None:
    assert refused(shown(issued()), suites=["eddsa-rdfc-2022"]) == "suite_not_allowed"
