"""What others say about a party, in W3C Verifiable Credentials 2.0, and how a party shows it."""

from undersigned.credentials.claims import (
    CLAIMS,
    MEMBERSHIP,
    AccreditedBy,
    Accusation,
    AuditedBy,
    Authority,
    Claim,
    Endorsement,
    Membership,
    PartOf,
    Performance,
    SuppliesTo,
    read_claim,
)
from undersigned.credentials.envelope import enveloped_credential, enveloped_presentation
from undersigned.credentials.issue import (
    build_credential,
    build_presentation,
    claim_credential,
    credential_config,
    credential_jwt,
    membership,
    presentation_config,
    presentation_jwt,
)
from undersigned.credentials.jws import JOSE_ALGORITHMS, DraftJws
from undersigned.credentials.model import (
    CREDENTIALS_CONTEXT,
    MAX_CREDENTIAL_BYTES,
    MAX_CREDENTIALS,
    Credential,
    read_credential,
)
from undersigned.credentials.schemas import SCHEMAS, schema_id
from undersigned.credentials.select import Wanted, answers, select
from undersigned.credentials.verify import VerifiedPresentation, issuers_of, verify_credential, verify_presentation

__all__ = [
    "CLAIMS",
    "CREDENTIALS_CONTEXT",
    "JOSE_ALGORITHMS",
    "MAX_CREDENTIALS",
    "MAX_CREDENTIAL_BYTES",
    "MEMBERSHIP",
    "SCHEMAS",
    "AccreditedBy",
    "Accusation",
    "AuditedBy",
    "Authority",
    "Claim",
    "Credential",
    "DraftJws",
    "Endorsement",
    "Membership",
    "PartOf",
    "Performance",
    "SuppliesTo",
    "VerifiedPresentation",
    "Wanted",
    "answers",
    "build_credential",
    "build_presentation",
    "claim_credential",
    "credential_config",
    "credential_jwt",
    "enveloped_credential",
    "enveloped_presentation",
    "issuers_of",
    "membership",
    "presentation_config",
    "presentation_jwt",
    "read_claim",
    "read_credential",
    "schema_id",
    "select",
    "verify_credential",
    "verify_presentation",
]
