"""C2PA manifests in media: who made this, under which contract, inside the file itself.

A manifest is signed by a certificate. Ours carries an assertion with the contract, the agent's DID, and that DID's
signature over the hard binding (the hash of the media) and the certificate's serial number: the certificate speaks for
the DID, and the DID for the certificate. Neither counts alone.

The only module that uses c2pa-python. Needs the extra `c2pa`.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.10; C2PA 2.2
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta, Struct, structs

from undersigned.attestation.dsse import pae, read_base64
from undersigned.encoding import Did, Digest, JsonObject, canonicalize, from_struct, to_struct
from undersigned.errors import ConfigurationError, FormatError, ProofError, VerificationError
from undersigned.keys import KeyKind, PublicKey

try:
    import c2pa
except ImportError as exc:
    raise ConfigurationError("missing_extra", "C2PA manifests need the extra: undersigned[c2pa]") from exc

__all__ = [
    "LABEL",
    "MAX_MEDIA_BYTES",
    "MEDIA_TYPES",
    "ContractAssertion",
    "MediaManifest",
    "MediaSigner",
    "bytes_to_sign",
    "check_media",
    "check_size",
    "embed",
    "read_manifest",
]

LABEL: Final = "org.w3id.hire.contract"
SIGNED_TYPE: Final = "application/vnd.hire.media+json"
MEDIA_TYPES: Final = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/tiff", "image/avif", "video/mp4", "audio/wav"}
)
"""What manifests are written into and read from here."""
MAX_MEDIA_BYTES: Final = 64 * 1024 * 1024
"""Of media that are written into or read: the library holds them several times over, however they are given to it."""
HARD_BINDINGS: Final = ("c2pa.hash.data", "c2pa.hash.bmff.v3", "c2pa.hash.bmff.v2", "c2pa.hash.bmff", "c2pa.hash.boxes")
UNTRUSTED: Final = "signingCredential.untrusted"
_SIGNATURE_BYTES: Final[Mapping[KeyKind, int]] = MappingProxyType({"Ed25519": 64, "P-256": 64, "P-384": 96})

Text = Annotated[str, Meta(min_length=1, max_length=512)]


class _Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A closed part of the assertion."""


class MediaSignature(_Part, frozen=True, kw_only=True):
    """By a key of the agent's DID document."""

    keyid: Text
    sig: Annotated[str, Meta(min_length=4, max_length=1024)]
    """Standard base64."""


class ContractAssertion(_Part, frozen=True, kw_only=True):
    """What a manifest says of the contract, as its assertion `org.w3id.hire.contract`."""

    contract: Digest
    document: Text
    """Name of the contract document."""
    task: Text
    agent: Did
    certificate: Annotated[str, Meta(pattern=r"^[0-9]{1,64}(?!\n)$")]
    """Serial number of the signing certificate, in decimal."""
    signature: MediaSignature | None = None


class MediaManifest(Struct, frozen=True, kw_only=True):
    """What was read from media, and what the library found."""

    assertion: ContractAssertion | None
    binding: tuple[str, str]
    """Algorithm and hash, in base64, of the hard binding."""
    certificate: str
    """Serial number of the certificate that signed, in decimal."""
    failures: tuple[str, ...]
    """Status codes of what does not hold, of this manifest and all of its ingredients; `signingCredential.untrusted`
    among them if its own certificate comes from none of the anchors."""


class MediaSigner(Struct, frozen=True):
    """A certificate and what signs with its key."""

    certificates: str
    """The leaf and its chain, in PEM."""
    sign: Callable[[bytes], bytes]
    """The signature over these bytes; ECDSA as r and s side by side."""
    algorithm: Literal["es256", "es384", "ed25519"] = "es256"

    @property
    def serial(self) -> str:
        """Serial number of the leaf, in decimal."""
        try:
            return str(x509.load_pem_x509_certificates(self.certificates.encode())[0].serial_number)
        except ValueError as exc:
            raise ConfigurationError("bad_configuration", f"expected certificates in PEM: {exc}") from exc


_ALGORITHMS: Final = MappingProxyType(
    {
        "es256": c2pa.C2paSigningAlg.ES256,
        "es384": c2pa.C2paSigningAlg.ES384,
        "ed25519": c2pa.C2paSigningAlg.ED25519,
    }
)


def check_size(size: int) -> None:
    """Returns if media of so many bytes are not too large for a manifest.

    Raises:
        FormatError: `too_large`.
    """
    if size > MAX_MEDIA_BYTES:
        text = (
            f"a manifest is written into media of at most {MAX_MEDIA_BYTES} bytes, and looked for in such; came {size}"
        )
        raise FormatError("too_large", text)


def bytes_to_sign(
    data: bytes, media_type: str, about: ContractAssertion, signer: MediaSigner, *, keyid: str, kind: KeyKind
) -> bytes:
    """What the key `keyid` of the agent, of this kind, signs before `embed`: the hard binding that these media get, and
    the assertion.

    The hash leaves the place of the manifest out. But media say in other places how long they are and where their parts
    lie, so it is known once a manifest of the same length is in.

    Raises:
        FormatError: `bad_request`: no manifest can be written into these media, or by this signer; `too_large`: they
            are more than 64 MiB with it.
        Exception: Whatever `signer.sign` raises.
    """
    signed = _signed_by(about, keyid, bytes(_SIGNATURE_BYTES[kind]))
    return _signed_bytes(about, read_manifest(_embedded(data, media_type, signed, signer), media_type).binding)


def embed(
    data: bytes, media_type: str, about: ContractAssertion, signer: MediaSigner, *, keyid: str, signature: bytes
) -> bytes:
    """The media with a manifest, in which the assertion carries this signature over `bytes_to_sign`.

    Raises:
        As `bytes_to_sign`.
    """
    return _embedded(data, media_type, _signed_by(about, keyid, signature), signer)


def read_manifest(data: bytes, media_type: str, anchors: Collection[bytes] = ()) -> MediaManifest:
    """What the active manifest of these media says. `anchors` are certificates in DER.

    Raises:
        VerificationError: `digest_mismatch`: there is no manifest, or none with a hard binding.
        FormatError: `bad_request`: such media are not read; `too_large`: more than 64 MiB; `schema_violation`: our
            assertion is not of its form.
    """
    if media_type not in MEDIA_TYPES:
        raise FormatError("bad_request", f"no manifest is read from {media_type!a:.100}")
    check_size(len(data))
    trust = {"trust_anchors": "".join(map(_pem, anchors))} if anchors else {}
    settings = {
        # Nothing is fetched: what a file names must not decide whom we call.
        "verify": {"verify_trust": bool(anchors), "remote_manifest_fetch": False, "ocsp_fetch": False},
        **({"trust": trust} if trust else {}),
    }
    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
            c2pa.Reader(media_type, io.BytesIO(data), context=context) as reader,
        ):
            told: Any = json.loads(reader.json())
            detailed: Any = json.loads(reader.detailed_json())
    except c2pa.C2paError as exc:
        raise VerificationError("digest_mismatch", f"expected a C2PA manifest: {str(exc)[:200]!a}") from exc
    try:
        active = told["manifests"][told["active_manifest"]]
        store = detailed["manifests"][detailed["active_manifest"]]["assertion_store"]
    except KeyError as exc:  # a report of what is too broken to be told
        raise VerificationError("digest_mismatch", "expected a C2PA manifest; what is there cannot be read") from exc
    bound: Any = next((store[name] for name in HARD_BINDINGS if name in store), None)
    if not (isinstance(bound, dict) and "hash" in bound):
        raise VerificationError("digest_mismatch", "expected a manifest with a hard binding")
    ours = [one["data"] for one in active.get("assertions", ()) if one.get("label") == LABEL]
    if len(ours) > 1:
        raise FormatError("schema_violation", f"expected one assertion {LABEL}; came {len(ours)}")
    return MediaManifest(
        assertion=to_struct(ours[0], ContractAssertion, f"/{LABEL}") if ours else None,
        binding=_hash_of(cast("dict[str, Any]", bound)),
        certificate=str(active.get("signature_info", {}).get("cert_serial_number", "")),
        failures=tuple(_failures(told)),
    )


def check_media(
    data: bytes,
    media_type: str,
    *,
    contract: Digest,
    agent: Did,
    keys: Mapping[str, PublicKey],
    anchors: Collection[bytes] = (),
) -> MediaManifest:
    """The manifest, once it holds, comes from these anchors, and is the agent's under this contract (HIRE-ATT-10).

    `keys` are the agent's assertion keys that the contract names. Without `anchors` the certificate is anybody's, and
    the agent's own signature alone says whose the media are.

    Raises:
        VerificationError: `digest_mismatch`: no manifest, or not of these media; `attester_not_trusted`: of no anchor,
            or of another agent; `attestation_binding`: of another contract.
        ProofError: `proof_missing`, `proof_invalid`: a signature in it, of an ingredient too, does not hold.
        FormatError: As `read_manifest`.
    """
    found = read_manifest(data, media_type, anchors)
    # Step 1: the manifest, and those of all ingredients.
    for code in found.failures:
        if code == UNTRUSTED:
            if anchors:  # a chain that is over leads to none either: then that is said, too
                more = sorted({one for one in found.failures if one.startswith("signingCredential.")} - {UNTRUSTED})
                text = (
                    f"the certificate comes from no anchor of the contract{''.join(f'; {one!a:.100}' for one in more)}"
                )
                raise VerificationError("attester_not_trusted", text)
        elif code.endswith("Hash.mismatch"):
            raise VerificationError("digest_mismatch", f"the manifest is of other media: {code}")
        else:
            raise ProofError("proof_invalid", f"the manifest does not hold: {code[:100]!a}")
    # Step 2: our assertion, signed by the agent over this binding and for this certificate.
    about = found.assertion
    if about is None or about.signature is None:
        raise ProofError("proof_missing", f"expected an assertion {LABEL} that the agent signed")
    if about.agent != agent or about.signature.keyid not in keys:
        raise VerificationError("attester_not_trusted", f"expected {agent} by a key of it; came {about.agent!a:.300}")
    if about.certificate != found.certificate:
        raise VerificationError("attester_not_trusted", "the agent signed for another certificate")
    keys[about.signature.keyid].verify(
        read_base64(about.signature.sig, f"/{LABEL}/signature/sig"), _signed_bytes(about, found.binding)
    )
    # Step 3: the contract.
    if about.contract != contract:
        raise VerificationError(
            "attestation_binding", f"expected media under contract {contract}; came {about.contract}"
        )
    return found


def _hash_of(bound: Mapping[str, Any]) -> tuple[str, str]:
    return str(bound.get("alg", "sha256")), str(bound["hash"])


def _signed_by(about: ContractAssertion, keyid: str, signature: bytes) -> ContractAssertion:
    return structs.replace(about, signature=MediaSignature(keyid=keyid, sig=b64encode(signature).decode()))


def _signed_bytes(about: ContractAssertion, binding: tuple[str, str]) -> bytes:
    algorithm, hash = binding
    said = from_struct(structs.replace(about, signature=None))
    return pae(SIGNED_TYPE, canonicalize({**said, "hardBinding": {"alg": algorithm, "hash": hash}}))


def _embedded(data: bytes, media_type: str, about: ContractAssertion, signer: MediaSigner) -> bytes:
    if media_type not in MEDIA_TYPES:
        raise FormatError("bad_request", f"no manifest is written into {media_type!a:.100}")
    check_size(len(data))
    created: JsonObject = {"actions": [{"action": "c2pa.created", "digitalSourceType": _SOURCE}]}
    manifest: JsonObject = {
        "claim_generator_info": [{"name": "undersigned"}],
        "format": media_type,
        "assertions": [{"label": "c2pa.actions", "data": created}, {"label": LABEL, "data": from_struct(about)}],
    }
    out = io.BytesIO()
    settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_trust": False}}
    failed: list[Exception] = []

    def sign(to_sign: bytes) -> bytes:
        try:
            return signer.sign(to_sign)
        except Exception as exc:
            failed.append(exc)  # the library makes an invalid signature of it
            raise

    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
            c2pa.Builder(json.dumps(manifest), context=context) as builder,
            c2pa.Signer.from_callback(sign, _ALGORITHMS[signer.algorithm], signer.certificates, None) as by,
        ):
            builder.sign(by, media_type, io.BytesIO(data), out)
    except c2pa.C2paError as exc:
        if failed:
            raise failed[0] from exc
        raise FormatError("bad_request", f"no manifest can be written: {str(exc)[:300]!a}") from exc
    return out.getvalue()


_SOURCE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"


def _failures(told: Mapping[str, Any]) -> Iterator[str]:
    """Codes of what does not hold, of the active manifest and, walking down, of each ingredient. Who signed an
    ingredient is for whoever made the media to know: it need not come from our anchors, but it has to hold.
    """
    results = told.get("validation_results", {})
    for one in results.get("activeManifest", {}).get("failure", ()):
        yield str(one.get("code"))
    for delta in results.get("ingredientDeltas", ()):
        for one in delta.get("validationDeltas", {}).get("failure", ()):
            if one.get("code") != UNTRUSTED:
                yield str(one.get("code"))
    for manifest in told["manifests"].values():
        for ingredient in manifest.get("ingredients", ()):
            for one in (
                *ingredient.get("validation_status", ()),
                *ingredient.get("validation_results", {}).get("activeManifest", {}).get("failure", ()),
            ):
                if one.get("code") != UNTRUSTED:
                    yield str(one.get("code"))


def _pem(certificate: bytes) -> str:
    try:
        return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM).decode()
    except ValueError as exc:
        raise FormatError("schema_violation", "expected a certificate in DER as an anchor") from exc
