"""Credentials of our own types: built, read, closed; their schemas and examples say the same."""

import gc
import json
from typing import Any
from weakref import ref

import jsonschema
import pytest
from msgspec.structs import replace

import credential_examples as tool
from parties import NOW, Party
from support import ROOT
from undersigned.credentials import (
    CLAIMS,
    MEMBERSHIP,
    SCHEMAS,
    Accusation,
    Authority,
    Ceiling,
    Claim,
    Endorsement,
    Membership,
    claim_credential,
    credential_config,
    read_claim,
    read_credential,
    schema_id,
    status_entries,
    verify_credential,
    verify_presentation,
)
from undersigned.credentials.model import MAX_ANSWERS
from undersigned.encoding import digest_bytes
from undersigned.errors import CredentialError, UndersignedError
from undersigned.jsonld import document_quads
from undersigned.messages.schemas import credential_schemas

ORGANISATION, AGENT = Party("acme-org"), Party("acme")
SPEC = ROOT / "protocol-spec" / "schemas"
EXAMPLES = SPEC / "examples" / "credentials"
VALID = {path.stem: json.loads(path.read_text()) for path in (EXAMPLES / "valid").glob("*.json")}
INVALID = {path.stem: json.loads(path.read_text()) for path in (EXAMPLES / "invalid").glob("*.json")}
NOT_OF_SHAPE = {"membership-of-another", "supplies-to-another"}
"""The schemas do not say that two members are equal."""


def built(claim: Claim, issuer: str = ORGANISATION.did) -> dict[str, Any]:
    return claim_credential(
        claim,
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        issuer=issuer,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )


def refused(document: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(UndersignedError) as caught:
        read_claim(read_credential(document))
    return caught.value.code, caught.value.path


def schema_of(document: dict[str, Any]) -> dict[str, Any]:
    kind = next(name for name in document["type"] if name != "VerifiableCredential")
    return json.loads((SPEC / "credentials" / f"{kind}.json").read_text())


@pytest.mark.parametrize("name", tool.CLAIMS)
def test_each_type_is_built_signed_verified_and_read(name: str) -> None:
    """HIRE-VC-03."""
    verified = verify_credential(VALID[name], documents=tool.DOCUMENTS, now=tool.NOW)
    assert read_claim(verified) == tool.CLAIMS[name]
    jsonschema.validate(VALID[name], schema_of(VALID[name]))
    # Each member has a term, so the RDF suites can sign it too.
    bare = {key: value for key, value in VALID[name].items() if key != "proof"}
    assert document_quads(bare)


def test_there_is_an_example_of_each_type() -> None:
    assert {claim.type for claim in tool.CLAIMS.values()} == set(CLAIMS)
    assert {kind for example in INVALID.values() for kind in example["credential"]["type"][1:]} == set(CLAIMS)


@pytest.mark.parametrize("name", INVALID)
def test_invalid_examples_are_refused_as_they_say(name: str) -> None:
    """HIRE-VC-03, HIRE-VC-04."""
    example = INVALID[name]
    assert refused(example["credential"]) == (example["code"], example["path"])
    if name in NOT_OF_SHAPE:
        jsonschema.validate(example["credential"], schema_of(example["credential"]))
    else:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(example["credential"], schema_of(example["credential"]))


def test_enveloped_examples_verify() -> None:
    """HIRE-JWT-08, HIRE-JWT-09."""
    enveloped = verify_credential(VALID["enveloped-membership"], documents=tool.DOCUMENTS, now=tool.NOW)
    assert read_claim(enveloped) == tool.CLAIMS["membership"]
    shown = verify_presentation(
        VALID["enveloped-presentation"],
        challenge=tool.CHALLENGE,
        domain=tool.VERIFIER,
        holder=tool.HOLDER,
        engagement=tool.ENGAGEMENT,
        documents=tool.DOCUMENTS,
        now=tool.NOW,
    )
    assert shown.credentials == (enveloped,)


def test_schemas_are_sound_and_found_by_their_id() -> None:
    for name, schema in credential_schemas().items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert SCHEMAS[schema["$id"]] == schema["title"]
        assert name == f"credentials/{schema['title']}.json"
    assert set(SCHEMAS.values()) == set(CLAIMS)
    assert schema_id(MEMBERSHIP) == "https://w3id.org/hire/v1/schemas/credentials/MembershipCredential.json"


def test_one_of_our_types_stands_alone() -> None:
    """HIRE-VC-03."""
    document = built(Membership(id=AGENT.did, member_of=ORGANISATION.did))
    for types in (["VerifiableCredential"], [*document["type"], "Other"], [*document["type"], "EndorsementCredential"]):
        assert refused(document | {"type": types}) == ("schema_violation", "/type")
    subject = document["credentialSubject"]
    assert refused(document | {"credentialSubject": [subject]}) == ("schema_violation", "/credentialSubject")
    other = subject | {"id": ORGANISATION.did}
    assert refused(document | {"credentialSubject": [subject, other]}) == ("schema_violation", "/credentialSubject")
    del subject["id"]
    assert refused(document)[0] == "schema_violation"


def test_only_the_organisation_says_who_belongs_to_it() -> None:
    """HIRE-VC-04."""
    with pytest.raises(CredentialError) as caught:
        built(Membership(id=AGENT.did, member_of=ORGANISATION.did), issuer=AGENT.did)
    assert caught.value.path == "/credentialSubject/memberOf"


@pytest.mark.parametrize(
    "claim",
    [
        Authority(id=AGENT.did, may_attest="sbom", depth=True),
        Authority(id=AGENT.did, may_attest="sbom", depth=-1),
        Authority(id=AGENT.did, may_attest="", depth=0),
        Authority(id="acme", may_attest="sbom", depth=0),
        Endorsement(id=AGENT.did, capability="sbom", weight="-0.5"),
        Endorsement(id=AGENT.did, capability="sbom", weight="1.0"),
        Endorsement(id=AGENT.did, capability="sbom", weight="0.5\n"),
        Endorsement(id=AGENT.did, capability="x" * 257),
        Accusation(id=AGENT.did, kind="breach", evidence="u"),
    ],
    ids=repr,
)
def test_what_is_built_is_checked(claim: Claim) -> None:
    with pytest.raises(UndersignedError):
        built(claim)


def signed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return ORGANISATION.prove(document | changes, credential_config("eddsa-jcs-2022", ORGANISATION.method, NOW))


def checked(document: dict[str, Any]) -> str:
    try:
        verify_credential(document, documents={ORGANISATION.did: ORGANISATION.document}, now=NOW)
    except UndersignedError as error:
        return error.code
    return "good"


def test_schemas_are_checked_or_refused() -> None:
    """HIRE-VC-02: what could not be checked does not count."""
    document = built(Endorsement(id=AGENT.did, capability="sbom"))
    ours = {"id": schema_id("EndorsementCredential"), "type": "JsonSchema"}
    other = {"id": "https://example.com/schema.json", "type": "JsonSchema"}
    assert checked(signed(document)) == "good"
    assert checked(signed(document, credentialSchema=ours)) == "good"
    assert checked(signed(document, credentialSchema=[ours])) == "good"
    for unknown in (other, [ours, other], ours | {"type": "JsonSchemaCredential"}, ours | {"id": f"{ours['id']}#"}):
        assert checked(signed(document, credentialSchema=unknown)) == "policy_denied"
    assert checked(signed(document, credentialSchema=ours | {"id": schema_id(MEMBERSHIP)})) == "schema_violation"
    of_others = document | {"type": ["VerifiableCredential", "ExampleCredential"]}
    assert checked(signed(of_others)) == "good"
    assert checked(signed(of_others, credentialSchema=ours)) == "schema_violation"


def test_a_verified_credential_of_ours_is_closed() -> None:
    """HIRE-VC-03: also where nobody asks for its claim."""
    document = built(Membership(id=AGENT.did, member_of=ORGANISATION.did))
    wider = document["credentialSubject"] | {"until": digest_bytes(b"an audit")}
    assert checked(signed(document, credentialSubject=wider)) == "unknown_term"
    assert checked(signed(document, type=[*document["type"], "Other"])) == "schema_violation"


def test_a_claim_that_is_shown_again_is_read_once_and_one_that_is_none_is_refused_each_time() -> None:
    document = built(Endorsement(id=AGENT.did, capability="shown again"))
    first = read_claim(read_credential(document))
    assert read_claim(read_credential(document)) is first
    other = document["credentialSubject"] | {"capability": "another"}
    assert read_claim(read_credential(document | {"credentialSubject": other})) == Endorsement(
        id=AGENT.did, capability="another"
    )
    wider = document | {"credentialSubject": document["credentialSubject"] | {"until": "never"}}
    assert refused(wider) == refused(wider) == ("unknown_term", "/credentialSubject/until")


class Held(dict[str, Any]):
    """What can be asked whether anybody still has it."""


def test_what_a_credential_says_is_kept_and_not_the_credential() -> None:
    """It may be eight times as large as what is kept of those that are read again, and a stranger shows any number."""
    once = read_credential(built(Endorsement(id=AGENT.did, capability="hold")))
    credential = replace(once, json=Held(once.json))
    claim, entries, held = read_claim(credential), status_entries(credential), ref(credential.json)
    del credential
    gc.collect()
    assert held() is None
    assert (read_claim(once), status_entries(once)) == (claim, entries)
    assert read_claim(once) is claim, "it is read once"


def test_of_many_credentials_the_answers_are_dropped() -> None:
    first = read_credential(built(Endorsement(id=AGENT.did, capability="first")))
    claim = read_claim(first)
    for number in range(MAX_ANSWERS):
        assert read_claim(read_credential(built(Endorsement(id=AGENT.did, capability=f"skill-{number}")))) != claim
    assert read_claim(first) == claim
    assert read_claim(first) is not claim


def test_a_ceiling_of_an_amount_says_in_which_currency() -> None:
    """To a program as every error of ours: it was Python's own."""
    with pytest.raises(CredentialError, match="an amount with its currency"):
        Ceiling(amount="5")
