"""Credentials and presentations that are one signed text, as the data model carries them: in a `data:` URL.

Source: protocol-spec/11-credentials.md, section 11.3; W3C Verifiable Credentials Data Model 2.0, section 4.13
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from undersigned.credentials.jws import CREDENTIAL_JWT, PRESENTATION_JWT, Jws, JwsKind, read_jws
from undersigned.encoding import JsonObject
from undersigned.errors import CredentialError, FormatError

__all__ = ["CREDENTIALS_CONTEXT", "enveloped_credential", "enveloped_presentation", "is_enveloped", "open_envelope"]

CREDENTIALS_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"

_TYPES: Final = {
    CREDENTIAL_JWT: "EnvelopedVerifiableCredential",
    PRESENTATION_JWT: "EnvelopedVerifiablePresentation",
}


def enveloped_credential(jwt: str) -> JsonObject:
    """A `vc+jwt` as a member of a presentation."""
    return _enveloped(jwt, CREDENTIAL_JWT)


def enveloped_presentation(jwt: str) -> JsonObject:
    """A `vp+jwt` as a JSON object, to be sent where a presentation is."""
    return _enveloped(jwt, PRESENTATION_JWT)


def is_enveloped(document: Mapping[str, Any], of: JwsKind) -> bool:
    """Whether the object says that it is an envelope of this kind, in whole or in part."""
    kind, types = _TYPES[of], document.get("type")
    return types == kind or (isinstance(types, list) and kind in types)


def open_envelope(document: Mapping[str, Any], of: JwsKind) -> Jws:
    """What an envelope holds, read and not verified. It has three members, and nothing is said beside the text.

    Raises:
        CredentialError: `schema_violation`: another shape, a URL that is not `data:application/<typ>,` and the text, or
            an envelope in the envelope.
        FormatError: `unknown_term`: another member; `context_not_allowed`; and as `read_jws`.
        ProofError: As `read_jws`.

    Source: protocol-spec/11-credentials.md, section 11.3
    """
    if unknown := sorted(set(document) - {"@context", "id", "type"}):
        raise FormatError("unknown_term", "no such member of an envelope is defined", path=f"/{unknown[0][:80]}")
    if document.get("@context") not in (CREDENTIALS_CONTEXT, [CREDENTIALS_CONTEXT]):
        raise FormatError("context_not_allowed", f"expected {CREDENTIALS_CONTEXT} alone", path="/@context")
    if document.get("type") not in (_TYPES[of], [_TYPES[of]]):
        raise CredentialError("schema_violation", f"expected {_TYPES[of]} alone", path="/type")
    url, prefix = document.get("id"), _prefix(of)
    if not isinstance(url, str) or not url.startswith(prefix):
        raise CredentialError("schema_violation", f"expected {prefix} and a text; came {url!a:.80}", path="/id")
    jws = read_jws(url.removeprefix(prefix), of)
    if is_enveloped(jws.payload, of):
        raise CredentialError("schema_violation", "expected no envelope in an envelope", path="/type")
    return jws


def _enveloped(jwt: str, of: JwsKind) -> JsonObject:
    return {"@context": CREDENTIALS_CONTEXT, "id": _prefix(of) + jwt, "type": _TYPES[of]}


def _prefix(of: JwsKind) -> str:
    return f"data:application/{of.typ},"
