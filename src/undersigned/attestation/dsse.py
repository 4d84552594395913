"""DSSE: bytes of a named type under signatures, as in-toto uses it.

What is signed is the pre-authentication encoding, which has one reading. What comes out of `verify_envelope` are the
bytes that were verified, and nothing reads the envelope again. A `keyid` is a hint; only the key decides.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.1; DSSE v1.0.2, protocol and envelope
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from undersigned.encoding import JsonObject, base64_decode, base64_encode, to_struct
from undersigned.errors import FormatError, ProofError
from undersigned.keys import PublicKey

__all__ = ["MAX_PAYLOAD_BYTES", "PAYLOAD_TYPE", "Envelope", "VerifiedPayload", "envelope", "pae", "verify_envelope"]

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_PAYLOAD_BYTES: Final = 128 * 1024
MAX_SIGNATURES: Final = 8


class EnvelopeSignature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One signature of an envelope."""

    sig: Annotated[str, Meta(min_length=4, max_length=1024)]
    keyid: Annotated[str, Meta(max_length=2048)] = ""


class Envelope(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A DSSE envelope as it is read: closed, and bounded."""

    payload: str
    payload_type: Annotated[str, Meta(min_length=1, max_length=256)]
    signatures: Annotated[tuple[EnvelopeSignature, ...], Meta(max_length=MAX_SIGNATURES)]


class VerifiedPayload(Struct, frozen=True, kw_only=True):
    """The bytes that were signed, and by which keys."""

    payload: bytes
    payload_type: str
    signers: tuple[str, ...]
    """Names, as given, of the keys whose signatures hold; sorted."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a signer signs: lengths before values, so no two pairs give the same.

    Source: DSSE v1.0.2, protocol, "Signature Definition"
    """
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def envelope(payload: bytes, signatures: Iterable[tuple[str, bytes]], payload_type: str = PAYLOAD_TYPE) -> JsonObject:
    """The envelope around `payload`; `signatures` are pairs of verification method and signature over its `pae`."""
    return {
        "payload": base64_encode(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": keyid, "sig": base64_encode(signature)} for keyid, signature in signatures],
    }


def verify_envelope(
    document: Mapping[str, Any],
    *,
    keys: Mapping[str, PublicKey],
    payload_type: str = PAYLOAD_TYPE,
    threshold: int = 1,
    asn1: bool = False,
) -> VerifiedPayload:
    """The payload, once at least `threshold` different keys of `keys` signed it as this type.

    `keys` are named by verification method. ECDSA signatures are r and s, each of full length, s the smaller one, as
    everywhere in this protocol. With `asn1`, for envelopes of others, they may be in ASN.1 and in either form of s, as
    most tools write them: nothing is named by the bytes of an envelope.

    Raises:
        FormatError: `schema_violation`, `unknown_term`: not an envelope; `too_large`: a payload that is not read.
        ProofError: `proof_missing`: no signatures; `proof_invalid`: another payload type, or too few hold;
            `attester_not_trusted`: none of them claims to be by one of these keys.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.1
    """
    # Step 1: shape. An empty list must not pass as "all of them hold".
    written: Any = document.get("payload")
    if isinstance(written, str) and len(written) > MAX_PAYLOAD_BYTES * 4 // 3 + 4:
        raise FormatError("too_large", f"expected a payload of at most {MAX_PAYLOAD_BYTES} bytes", path="/payload")
    read = to_struct(document, Envelope)
    if not read.signatures or threshold < 1:
        raise ProofError("proof_missing", "expected a signature in the envelope; came none", path="/signatures")
    payload = read_base64(read.payload, "/payload")

    # Step 2: the signatures over the type as it was sent. A key counts once, however often it signed.
    signed = pae(read.payload_type, payload)
    holding: dict[str, PublicKey] = {}
    for place, one in enumerate(read.signatures):
        signature = read_base64(one.sig, f"/signatures/{place}/sig")
        hinted = [one.keyid] if one.keyid in keys else []
        for name in (*hinted, *(name for name in keys if name not in hinted)):
            if keys[name] not in holding.values() and _holds(keys[name], signature, signed, asn1):
                holding[name] = keys[name]
                break
    if len(holding) < threshold:
        if all(one.keyid and one.keyid not in keys for one in read.signatures):
            came = ", ".join(one.keyid for one in read.signatures)
            raise ProofError("attester_not_trusted", f"expected a signature by {_names(keys)}; came by {came!r:.300}")
        raise ProofError("proof_invalid", f"expected {threshold} signatures by {_names(keys)}; {len(holding)} hold")

    # Step 3: the payload is of the type asked for. The type is signed, so this is asked of verified text.
    if read.payload_type != payload_type:
        raise ProofError(
            "proof_invalid", f"expected {payload_type}; came {read.payload_type!r:.200}", path="/payloadType"
        )
    return VerifiedPayload(payload=payload, payload_type=payload_type, signers=tuple(sorted(holding)))


def _holds(key: PublicKey, signature: bytes, signed: bytes, asn1: bool) -> bool:
    try:
        key.verify(signature, signed, low_s=not asn1, asn1=asn1)
    except ProofError:
        return False
    return True


def _names(keys: Mapping[str, PublicKey]) -> str:
    return " or ".join(sorted(keys)) or "a key (none is known)"


def read_base64(text: str, path: str) -> bytes:
    """Bytes of padded base64 in one of its two alphabets, in the one spelling that these bytes have in it.

    Raises:
        FormatError: `schema_violation`, at `path`.
    """
    if "+" not in text and "/" not in text:
        text = text.replace("-", "+").replace("_", "/")
    try:
        return base64_decode(text)
    except FormatError as exc:
        exc.path = path
        raise
