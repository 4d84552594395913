"""Signed JSON in compact form (JWS), read strictly, verified, and made in two steps.

A reader here takes what it needs and nothing else: four members of the header, a payload that is one JSON object, one
spelling of everything. What could choose the key or the rules for the reader (`jwk`, `x5c`, `jku`, `crit`, an algorithm
off the list) is refused before anything is looked up.

    draft = draft_jws(payload, CREDENTIAL_JWT, method, kind)
    text = draft.signed(sign(draft.to_sign))

Source: protocol-spec/11-credentials.md, section 11.2; RFC 7515; RFC 8725; RFC 9864
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from undersigned.encoding import (
    DIDURL_PATTERN,
    FOREIGN_LIMITS,
    MESSAGE_LIMITS,
    DidUrl,
    JsonObject,
    base64url_decode,
    base64url_encode,
    canonicalize,
    decode_json,
)
from undersigned.errors import FormatError, ProofError
from undersigned.keys import KeyKind, PublicKey
from undersigned.proof import SIGNATURE_BYTES

__all__ = [
    "CREDENTIAL_JWT",
    "JOSE_ALGORITHMS",
    "LIST_JWT",
    "PRESENTATION_JWT",
    "DraftJws",
    "Jws",
    "JwsKind",
    "draft_jws",
    "read_jws",
    "verify_jws",
]

JOSE_ALGORITHMS: Final[Mapping[str, KeyKind]] = MappingProxyType(
    {"Ed25519": "Ed25519", "EdDSA": "Ed25519", "ES256": "P-256", "ES384": "P-384"}
)
"""The algorithms that are read, with the one kind of key of each. `EdDSA` is the old name (RFC 9864): never written."""

_WRITTEN: Final[Mapping[KeyKind, str]] = MappingProxyType({"Ed25519": "Ed25519", "P-256": "ES256", "P-384": "ES384"})
_HEADER: Final = frozenset({"alg", "kid", "typ", "cty"})
_MAX_HEADER: Final = 4096
_DID_URL: Final = re.compile(DIDURL_PATTERN)


class JwsKind(NamedTuple):
    """What a signed text is for, as its header says it."""

    typ: str
    cty: str
    max_payload: int
    """Bytes; of a document with a proof, those of its canonical form."""

    @property
    def max_text(self) -> int:
        """Characters of the whole text."""
        return 4 * (self.max_payload + _MAX_HEADER) // 3


CREDENTIAL_JWT: Final = JwsKind("vc+jwt", "vc", 64 * 1024)
LIST_JWT: Final = CREDENTIAL_JWT._replace(max_payload=1024 * 1024)
"""A credential that carries a status list."""
PRESENTATION_JWT: Final = JwsKind("vp+jwt", "vp", 96 * 1024)
"""A text of 128 KiB, as large as a presentation may be."""


class Jws(Struct, frozen=True, kw_only=True):
    """What a signed text says. Nothing of it is verified."""

    text: str
    algorithm: str
    """A name of `JOSE_ALGORITHMS`."""
    method: DidUrl
    """The verification method that the header names."""
    payload: JsonObject


class DraftJws(Struct, frozen=True):
    """A text to be signed: the shell signs `to_sign`, and `signed` puts the signature to it."""

    to_sign: bytes

    def signed(self, signature: bytes) -> str:
        """The compact form."""
        return f"{self.to_sign.decode()}.{base64url_encode(signature)}"


def draft_jws(payload: Mapping[str, Any], of: JwsKind, method: DidUrl, kind: KeyKind) -> DraftJws:
    """The text to be signed for `payload`, by the key of this kind that `method` names."""
    header = {"alg": _WRITTEN[kind], "cty": of.cty, "kid": method, "typ": of.typ}
    return DraftJws(f"{base64url_encode(canonicalize(header))}.{base64url_encode(canonicalize(payload))}".encode())


def read_jws(text: str, of: JwsKind) -> Jws:
    """What the text says, once it has the form that is taken here.

    Raises:
        FormatError: `too_large`; those of strict JSON; `schema_violation`: not three parts, another spelling of
            base64url, a payload that is no object.
        ProofError: `suite_not_allowed`: another algorithm, `none` among them; `unknown_term`: another member of the
            header; `proof_purpose_mismatch`: typed as something else; `key_not_authorized`: `kid` is no DID URL with a
            fragment; `proof_invalid`: a signature of another length.

    Source: protocol-spec/11-credentials.md, section 11.2
    """
    # Step 1: size and parts.
    if len(text) > of.max_text:
        raise FormatError("too_large", f"expected at most {of.max_text} characters; came {len(text)}")
    parts = text.split(".")
    if len(parts) != 3:
        raise FormatError("schema_violation", f"expected three parts of a {of.typ}; came {len(parts)}")

    # Step 2: the header, closed. What asks for something that is not done here is refused, critical or not.
    header = _object(parts[0], _MAX_HEADER, "header")
    if unknown := sorted(set(header) - _HEADER):
        raise ProofError("unknown_term", f"expected alg, cty, kid and typ in the header; came {unknown[0]!a:.64}")
    algorithm: Any = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in JOSE_ALGORITHMS:
        raise ProofError("suite_not_allowed", f"expected {' or '.join(JOSE_ALGORITHMS)}; came {algorithm!a:.64}")
    if header.get("typ") != of.typ or header.get("cty", of.cty) != of.cty:
        came = f"{header.get('typ')!a:.64} of {header.get('cty')!a:.64}"
        raise ProofError("proof_purpose_mismatch", f"expected {of.typ} of {of.cty}; came {came}")
    method: Any = header.get("kid")
    if not isinstance(method, str) or not _DID_URL.search(method) or "#" not in method:
        raise ProofError("key_not_authorized", f"expected a DID URL with a fragment as kid; came {method!a:.200}")

    # Step 3: one spelling of a signature of full length.
    expected = SIGNATURE_BYTES[JOSE_ALGORITHMS[algorithm]]
    if len(base64url_decode(parts[2])) != expected:
        raise ProofError("proof_invalid", f"expected a signature of {expected} bytes")

    # Step 4: the payload.
    return Jws(text=text, algorithm=algorithm, method=method, payload=_object(parts[1], of.max_payload, "payload"))


def verify_jws(signed: Jws, key: PublicKey, *, remember: bool = False) -> None:
    """Return if `key` signed it. Of ECDSA both values of s are taken, as JOSE has it. `remember` is as of
    `verify_proof`.

    Raises:
        ProofError: `suite_not_allowed`: a key of another kind than the algorithm's; `proof_invalid`.

    Source: protocol-spec/11-credentials.md, section 11.2
    """
    if key.kind != JOSE_ALGORITHMS[signed.algorithm]:
        raise ProofError("suite_not_allowed", f"expected a key for {signed.algorithm}; came {key.kind}")
    to_sign, _, signature = signed.text.rpartition(".")
    verify = key.verify_remembering if remember else key.verify
    verify(base64url_decode(signature), to_sign.encode(), low_s=False)


def _object(part: str, max_bytes: int, name: str) -> JsonObject:
    limits = replace(FOREIGN_LIMITS, max_bytes=max_bytes, max_string=max(max_bytes, MESSAGE_LIMITS.max_string))
    value = decode_json(base64url_decode(part), limits)
    if not isinstance(value, dict):
        raise FormatError("schema_violation", f"expected a JSON object as {name}")
    return value
