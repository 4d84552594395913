"""One credential of each type of ours, signed with keys that anybody can make again, and some that are refused.

The private key of a party is the SHA-256 of `hire example` and its name, as in `example_parties.py`.
"""

from __future__ import annotations

import json
from typing import Any

from example_parties import Party, an_id

from undersigned.credentials import (
    AccreditedBy,
    Accusation,
    AuditedBy,
    Authority,
    Ceiling,
    Claim,
    Endorsement,
    Membership,
    PartOf,
    Performance,
    SuppliesTo,
    build_presentation,
    claim_credential,
    credential_config,
    credential_jwt,
    enveloped_credential,
    enveloped_presentation,
    presentation_jwt,
)
from undersigned.encoding import JsonObject, digest_bytes
from undersigned.proof import attach, prepare

ISSUER, AGENT, OTHER = Party("organisation"), Party("agent"), Party("other organisation")
VERIFIER = Party("verifier")
FROM, NOW, UNTIL = "2026-11-01T00:00:00Z", "2026-11-24T09:00:00Z", "2027-11-01T00:00:00Z"
CHALLENGE = digest_bytes(b"hire example move that asked")
ENGAGEMENT = f"urn:hire:engagement:{digest_bytes(b'hire example engagement')}"

CLAIMS: dict[str, Claim] = {
    "membership": Membership(id=AGENT.did, member_of=ISSUER.did),
    "limited-membership": Membership(
        id=AGENT.did,
        member_of=ISSUER.did,
        limits=Ceiling(amount="5", currency="EUR", actions=("artifact:read",)),
    ),
    "authority": Authority(id=OTHER.did, may_attest="sbom", depth=1),
    "endorsement": Endorsement(id=AGENT.did, capability="sbom", weight="0.75"),
    "performance": Performance(
        id=AGENT.did, contract=digest_bytes(b"hire example contract"), capability="sbom", outcome="accepted"
    ),
    "accusation": Accusation(id=AGENT.did, kind="equivocation", evidence=digest_bytes(b"hire example proof")),
    "part-of": PartOf(id=OTHER.did, part_of=ISSUER.did),
    "supplies-to": SuppliesTo(id=OTHER.did, supplies_to=ISSUER.did),
    "accredited-by": AccreditedBy(id=OTHER.did, accredited_for="sbom"),
    "audited-by": AuditedBy(id=OTHER.did, audited_for="ISO/IEC 27001:2022"),
}


def unsigned(name: str) -> JsonObject:
    """The credential of this name, without a proof."""
    return claim_credential(
        CLAIMS[name], id=an_id(f"credential {name}"), issuer=ISSUER.did, valid_from=FROM, valid_until=UNTIL
    )


def valid() -> dict[str, JsonObject]:
    """Name -> document: one credential of each type with a proof, one as a JWT, and a presentation as a JWT."""
    made: dict[str, JsonObject] = {}
    for name in CLAIMS:
        document = unsigned(name)
        config = credential_config("eddsa-jcs-2022", ISSUER.method, FROM)
        made[name] = attach(document, config, ISSUER.sign(prepare(document, config, "Ed25519")))
    draft = credential_jwt(unsigned("membership"), ISSUER.method, "Ed25519", FROM)
    jwt = made["enveloped-membership"] = enveloped_credential(draft.signed(ISSUER.sign(draft.to_sign)))
    shown = build_presentation(id=an_id("presentation jwt"), holder=AGENT.did, engagement=ENGAGEMENT, credentials=[jwt])
    draft = presentation_jwt(shown, AGENT.method, "Ed25519", NOW, challenge=CHALLENGE, domain=VERIFIER.did)
    made["enveloped-presentation"] = enveloped_presentation(draft.signed(AGENT.sign(draft.to_sign)))
    return made


def invalid() -> dict[str, dict[str, Any]]:
    """Name -> `{"code", "path", "says", "credential"}`: one valid example with one change, which no proof covers."""
    made: dict[str, dict[str, Any]] = {}

    def change(name: str, base: str, says: str, member: str, value: Any, code: str = "schema_violation") -> None:
        credential = json.loads(json.dumps(unsigned(base)))
        credential["credentialSubject"][member] = value
        path = f"/credentialSubject/{member}"
        made[name] = {"code": code, "path": path, "says": says, "credential": credential}

    change("membership-of-another", "membership", "an organisation that did not issue it", "memberOf", OTHER.did)
    change("membership-role", "membership", "a member that the type has not", "role", "intern", "unknown_term")
    change("membership-limits-alone", "membership", "an amount of no currency", "limits", {"amount": "5"})
    change("membership-limits-text", "membership", "text for an object", "limits", "5 EUR")
    change("authority-deep", "authority", "a depth beyond the limit", "depth", 17)
    change("authority-depth-text", "authority", "text for a number", "depth", "1")
    change("endorsement-weight-above", "endorsement", "a weight above 1", "weight", "1.5")
    change("endorsement-weight-zeros", "endorsement", "a trailing zero", "weight", "0.50")
    change("endorsement-weight-number", "endorsement", "a number", "weight", 1)
    change("endorsement-capability-empty", "endorsement", "no capability", "capability", "")
    change("performance-contract-hex", "performance", "a digest in hex", "contract", "00" * 32)
    change("performance-outcome", "performance", "an outcome of one's own", "outcome", "fine")
    change("performance-note", "performance", "a member that the type has not", "note", "well done", "unknown_term")
    change("accusation-kind", "accusation", "a kind of one's own", "kind", "rumour")
    change("accusation-evidence", "accusation", "evidence by name", "evidence", "https://example.com/proof")
    change("part-of-no-did", "part-of", "a whole that is no DID", "partOf", "https://example.com")
    change("supplies-to-another", "supplies-to", "one supplied that did not issue it", "suppliesTo", AGENT.did)
    change("accredited-by-object", "accredited-by", "an object for a name", "accreditedFor", {"id": "urn:x:y"})
    change("audited-by-long", "audited-by", "more than 1,024 characters", "auditedFor", "x" * 1025)
    return made
