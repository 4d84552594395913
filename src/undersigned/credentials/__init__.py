"""What others say about a party, in W3C Verifiable Credentials 2.0, and how a party shows it."""

from undersigned.credentials.issue import (
    build_credential,
    build_presentation,
    credential_config,
    membership,
    presentation_config,
)
from undersigned.credentials.model import (
    CREDENTIALS_CONTEXT,
    MAX_CREDENTIAL_BYTES,
    MAX_CREDENTIALS,
    MEMBERSHIP,
    Credential,
    read_credential,
)
from undersigned.credentials.verify import VerifiedPresentation, issuers_of, verify_credential, verify_presentation

__all__ = [
    "CREDENTIALS_CONTEXT",
    "MAX_CREDENTIALS",
    "MAX_CREDENTIAL_BYTES",
    "MEMBERSHIP",
    "Credential",
    "VerifiedPresentation",
    "build_credential",
    "build_presentation",
    "credential_config",
    "issuers_of",
    "membership",
    "presentation_config",
    "read_credential",
    "verify_credential",
    "verify_presentation",
]
