"""Credentials and presentations that are one signed text, as the data model carries them: in a `data:` URL.

Source: protocol-spec/11-credentials.md, section 11.3; W3C Verifiable Credentials Data Model 2.0, section 4.13
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec.structs import replace

from undersigned.credentials.jws import CREDENTIAL_JWT, LIST_JWT, PRESENTATION_JWT, Jws, JwsKind, read_jws
from undersigned.encoding import FOREIGN_LIMITS, JsonObject, decode_json
from undersigned.errors import CredentialError, FormatError

__all__ = [
    "CREDENTIALS_CONTEXT",
    "enveloped_credential",
    "enveloped_presentation",
    "is_enveloped",
    "open_envelope",
    "signed_document",
]

CREDENTIALS_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"

_LIMITS: Final = replace(FOREIGN_LIMITS, max_bytes=LIST_JWT.max_payload, max_string=LIST_JWT.max_payload)
_TYPES: Final = {
    CREDENTIAL_JWT.typ: "EnvelopedVerifiableCredential",
    PRESENTATION_JWT.typ: "EnvelopedVerifiablePresentation",
}


def enveloped_credential(jwt: str) -> JsonObject:
    """A `vc+jwt` as a member of a presentation."""
    return _enveloped(jwt, CREDENTIAL_JWT)


def enveloped_presentation(jwt: str) -> JsonObject:
    """A `vp+jwt` as a JSON object, to be sent where a presentation is."""
    return _enveloped(jwt, PRESENTATION_JWT)


def signed_document(raw: bytes) -> JsonObject:
    """A credential or status list in these bytes, as it is read and verified: the JSON object that they are, or a
    `vc+jwt`, which is put into its envelope and not read yet.

    Raises:
        FormatError: As `decode_json`: it begins as a JSON object and is none, or is larger than a status list may be.
    """
    if raw[:1] == b"{":
        return cast("JsonObject", decode_json(raw, _LIMITS))
    return enveloped_credential(raw.decode("latin-1"))  # what is not ASCII is no signed text, whatever it says


def is_enveloped(document: Mapping[str, Any], of: JwsKind) -> bool:
    """Whether the object says that it is an envelope of this kind, in whole or in part."""
    kind, types = _TYPES[of.typ], document.get("type")
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
    if document.get("type") not in (_TYPES[of.typ], [_TYPES[of.typ]]):
        raise CredentialError("schema_violation", f"expected {_TYPES[of.typ]} alone", path="/type")
    url, prefix = document.get("id"), _prefix(of)
    if not isinstance(url, str) or not url.startswith(prefix):
        raise CredentialError("schema_violation", f"expected {prefix} and a text; came {url!a:.80}", path="/id")
    jws = read_jws(url.removeprefix(prefix), of)
    if is_enveloped(jws.payload, of):
        raise CredentialError("schema_violation", "expected no envelope in an envelope", path="/type")
    return jws


def _enveloped(jwt: str, of: JwsKind) -> JsonObject:
    return {"@context": CREDENTIALS_CONTEXT, "id": _prefix(of) + jwt, "type": _TYPES[of.typ]}


def _prefix(of: JwsKind) -> str:
    return f"data:application/{of.typ},"
