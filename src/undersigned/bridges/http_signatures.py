"""HTTP Message Signatures (RFC 9421): how a hired agent signs a call to a resource, and how the resource checks it.

Pure: the request comes in as a value, the key and the time are arguments, and what is to be signed goes out as bytes.

Our requests cover `@method`, `@target-uri`, the field `Hire-Contract` (digest of the contract they are made under) and,
when there is a body, `Content-Digest`; their parameters are `created`, `expires`, `nonce`, `keyid` (the verification
method, a DID URL), `alg` and `tag="hire"`. A signature with another tag is somebody else's and is left alone.

Source: protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import http_sf
import msgspec

from undersigned.encoding import DIGEST_PATTERN, DidUrl, Digest, Instant, base64_encode, format_instant, parse_instant
from undersigned.errors import FormatError, ProofError
from undersigned.keys import PublicKey

from .http_messages import PLAIN_TEXT, Component, Request, Response, base_of, field_of, inner_list

__all__ = [
    "AGE_SECONDS",
    "ALGORITHMS",
    "SKEW_SECONDS",
    "TAG",
    "RequestDraft",
    "Signature",
    "VerifiedRequest",
    "check_age",
    "check_signature",
    "claimed_content_digest",
    "claimed_key",
    "content_digest",
    "draft_request",
    "tagged_signature",
    "text_parameter",
    "verify_request",
]

TAG: Final = "hire"
ALGORITHMS: Final[Mapping[str, str]] = {
    "Ed25519": "ed25519",
    "P-256": "ecdsa-p256-sha256",
    "P-384": "ecdsa-p384-sha384",
}
"""The algorithm of RFC 9421, section 3.3, for each kind of key. There is no choice, so none to talk anybody down to."""

_REQUIRED: Final[tuple[str, ...]] = ("@method", "@target-uri", "hire-contract")
SKEW_SECONDS: Final = 60
"""How far ahead of our clock a signature may have been made; inclusive."""
AGE_SECONDS: Final = 60
"""How long ago it may have been made; inclusive."""
_DIGEST: Final = re.compile(DIGEST_PATTERN)
_NONCE: Final = re.compile("[\x21-\x7e]{16,128}")
_KEY: Final = re.compile("[a-z*][a-z0-9_.*-]*")
_INTEGER: Final = "0|-?[1-9][0-9]{0,14}"
"""In its one form: what is signed is written anew, and no other text than the one that came."""
_ONE_INPUT: Final = re.compile(
    rf'(?P<label>{_KEY.pattern})=(?P<written>\((?P<covered>"{PLAIN_TEXT.pattern}"(?: "{PLAIN_TEXT.pattern}")*)\)'
    rf'(?P<parameters>(?:;{_KEY.pattern}=(?:{_INTEGER}|"{PLAIN_TEXT.pattern}"))*))'
)
_ONE_SIGNATURE: Final = re.compile(rf"(?P<label>{_KEY.pattern})=:(?P<raw>[A-Za-z0-9+/]*={{0,2}}):")
_PARAMETER: Final = re.compile(rf';({_KEY.pattern})=(?:({_INTEGER})|"({PLAIN_TEXT.pattern})")')

_OURS: Final = tuple(map(Component, _REQUIRED))


class VerifiedRequest(msgspec.Struct, frozen=True):
    """What a verified signature says. Whether the contract allows the request is the gate's question."""

    keyid: DidUrl
    contract: Digest
    created: Instant
    nonce: str
    components: tuple[str, ...]


class RequestDraft(msgspec.Struct, frozen=True):
    """A request waiting for its signature over `to_sign`."""

    request: Request
    to_sign: bytes
    input: str

    def signed(self, signature: bytes) -> Request:
        """The request with its two signature fields."""
        fields = (
            ("Signature-Input", f"{TAG}={self.input}"),
            ("Signature", f"{TAG}=:{base64_encode(signature)}:"),
        )
        return msgspec.structs.replace(self.request, headers=self.request.headers + fields)


def content_digest(body_digest: bytes) -> str:
    """The value of `Content-Digest` (RFC 9530) for a SHA-256."""
    return f"sha-256=:{base64_encode(body_digest)}:"


def draft_request(
    request: Request, keyid: DidUrl, kind: str, *, contract: Digest, now: Instant, nonce: str
) -> RequestDraft:
    """The request with `Hire-Contract` and, if it has a body, `Content-Digest`, ready to be signed by a key of `kind`.

    `nonce` is fresh: 16 to 128 visible ASCII characters.

    Raises:
        FormatError: `schema_violation`, the request cannot be signed as it is.
    """
    headers = (*request.headers, ("Hire-Contract", contract))
    parts = _OURS
    if request.body_digest is not None:
        headers += (("Content-Digest", content_digest(request.body_digest)),)
        parts = (*parts, Component("content-digest"))
    request = msgspec.structs.replace(request, headers=headers)
    created = int(parse_instant(now).timestamp())
    parameters = {
        "created": created,
        "expires": created + AGE_SECONDS,
        "nonce": nonce,
        "keyid": keyid,
        "alg": ALGORITHMS[kind],
        "tag": TAG,
    }
    written = inner_list(parts, parameters)
    return RequestDraft(request, base_of(request, parts, written), written)


def claimed_key(message: Request | Response, tag: str = TAG) -> DidUrl:
    """The verification method that a message claims to be signed by, so that its DID document can be gathered.

    Raises:
        ProofError: `proof_missing`, `proof_invalid`, as `verify_request`.
    """
    return text_parameter(tagged_signature(message, tag).parameters, "keyid")


def claimed_content_digest(message: Request | Response) -> bytes:
    """The SHA-256 that a message states of its body, for who verifies the head before the body is read.

    Raises:
        ProofError: `proof_missing`, `proof_invalid`: there is no `Content-Digest` with a `sha-256`.
    """
    member = _dictionary(message, "content-digest").get("sha-256")
    digest: Any = member[0] if member is not None else None
    if not isinstance(digest, bytes) or len(digest) != 32:
        raise ProofError("proof_invalid", "Content-Digest states no sha-256")
    return digest


def verify_request(
    request: Request,
    key: Callable[[DidUrl], PublicKey],
    *,
    now: Instant,
    fresh: Callable[[DidUrl, str], bool],
) -> VerifiedRequest:
    """What the request's signature says, once it holds.

    `key` gives the key of a verification method under `authentication`, or raises. `fresh` says whether a nonce is
    seen for the first time by that method, and remembers it (`NonceWindow.first`).

    Raises:
        ProofError: `proof_missing`; `proof_invalid`, it does not hold, or covers too little; `suite_not_allowed`;
            `proof_expired`, `proof_from_future`; `digest_mismatch`, the body is another; `replayed`.
        VerificationError: What `key` raises.

    Source: RFC 9421, section 3.2; protocol-spec/03-connection.md, section 3.7
    """
    # Step 1: exactly one signature with our tag.
    found = tagged_signature(request, TAG)
    components, parameters = found.components, found.parameters
    # Step 2: it covers what matters.
    plain = {part.name for part in components if not part.parameters}
    if len(plain) < len(components):
        raise ProofError("proof_invalid", "a covered component has parameters, or stands there twice")
    needed = (*_REQUIRED, "content-digest") if request.body_digest is not None else _REQUIRED
    missing = [name for name in needed if name not in plain]
    if missing:
        raise ProofError("proof_invalid", f"the signature does not cover {', '.join(missing)}")
    # Step 3: made just now, by our clock. Inclusive on both ends.
    keyid, nonce = text_parameter(parameters, "keyid"), text_parameter(parameters, "nonce")
    created = check_age(parameters, now)
    _check_life(parameters, created)
    if _NONCE.fullmatch(nonce) is None:
        raise ProofError("proof_invalid", "the nonce is not 16 to 128 visible characters")
    # Step 4: the body is the one whose digest is covered.
    if "content-digest" in plain:
        _check_content_digest(request)
    # Steps 5 and 6: the key, the algorithm that goes with it, and the signature.
    check_signature(request, found, key(keyid))
    # Step 7: the first time. Last, because a stranger must not be able to use up somebody's nonces.
    if not fresh(keyid, nonce):
        raise ProofError("replayed", f"the nonce {nonce!r} of {keyid} was used before")
    contract = field_of(request.headers, "hire-contract") if "hire-contract" in plain else ""
    if contract and _DIGEST.fullmatch(contract) is None:
        raise ProofError("proof_invalid", "Hire-Contract is not a digest")
    moment = format_instant(datetime.fromtimestamp(created, UTC))
    return VerifiedRequest(keyid, contract, moment, nonce, tuple([part.name for part in components]))


class Signature(NamedTuple):
    """One signature as the fields of a message state it; nothing is verified yet."""

    label: str
    components: tuple[Component, ...]
    parameters: dict[str, Any]
    raw: bytes
    written: str | None = None
    """Components and parameters as they stand in `Signature-Input`, if there is no other way to write them."""


@lru_cache(maxsize=64)
def tagged_signature(message: Request | Response, tag: str) -> Signature:
    """The one signature with `tag`. Read twice: to find out whose key is claimed, and to check it.

    Raises:
        ProofError: `proof_missing`, `proof_invalid`: none, several, or what cannot be read.
    """
    if (plain := _plain_signature(message, tag)) is not None:
        return plain
    inputs, signatures = _dictionary(message, "signature-input"), _dictionary(message, "signature")
    ours: list[tuple[str, list[Any], dict[str, Any]]] = []
    for label, member in inputs.items():
        items, attributes = cast("tuple[Any, dict[str, Any]]", member)
        # Text, and no token of the same letters, which others may take for another tag.
        if isinstance(items, list) and isinstance(attributes.get("tag"), str) and attributes["tag"] == tag:
            ours.append((label, cast("list[Any]", items), attributes))
    if len(ours) != 1:
        raise ProofError("proof_invalid" if ours else "proof_missing", f"{len(ours)} signatures for {tag!r}")
    label, covered, parameters = ours[0]
    value: Any = signatures.get(label, (None, {}))[0]
    if not isinstance(value, bytes):
        raise ProofError("proof_missing", f"Signature has no bytes for {label!r}")
    components: list[Component] = []
    for name, attributes in covered:
        if not isinstance(name, str):
            raise ProofError("proof_invalid", "a covered component is not named by a string")
        components.append(Component(name, tuple(attributes.items())))
    return Signature(label, tuple(components), parameters, value)


def check_age(parameters: Mapping[str, Any], now: Instant) -> int:
    """When a signature was made, in seconds since 1970, if that was just now by our clock. Inclusive on both ends.

    Raises:
        ProofError: `proof_invalid`, it does not say, or not as a number; `proof_expired`, `proof_from_future`.
    """
    created, seconds = parameters.get("created"), int(parse_instant(now).timestamp())
    if type(created) is not int:
        raise ProofError("proof_invalid", "the signature does not say when it was made")
    if created > seconds + SKEW_SECONDS:
        raise ProofError("proof_from_future", f"made {created - seconds} s ahead of our clock")
    if created < seconds - AGE_SECONDS:
        raise ProofError("proof_expired", f"made {seconds - created} s ago; at most {AGE_SECONDS} s are taken")
    expires = parameters.get("expires", seconds)
    if type(expires) is not int:
        raise ProofError("proof_invalid", "expires is no time")
    if expires < seconds:
        raise ProofError("proof_expired", "the signature is past its expiry")
    return created


def _check_life(parameters: Mapping[str, Any], created: int) -> None:
    """A request says itself how long it is good for, and no longer than a nonce is remembered."""
    expires = parameters.get("expires")
    if type(expires) is not int or not 0 <= expires - created <= AGE_SECONDS:
        raise ProofError(
            "proof_invalid", f"expected expires at most {AGE_SECONDS} s after {created}; came {expires!a:.40}"
        )


def check_signature(message: Request | Response, signature: Signature, key: PublicKey) -> None:
    """Returns if `signature` over `message` is one of `key`'s.

    Raises:
        ProofError: `suite_not_allowed`, it does not name the algorithm that goes with the key; `proof_invalid`.
    """
    algorithm = signature.parameters.get("alg")
    if not isinstance(algorithm, str) or algorithm != ALGORITHMS[key.kind]:
        raise ProofError("suite_not_allowed", f"{algorithm!r} with a {key.kind} key")
    try:
        written = signature.written or inner_list(signature.components, signature.parameters)
        base = base_of(message, signature.components, written)
    except FormatError as exc:
        raise ProofError("proof_invalid", f"the signature covers what is not there: {exc.message}") from exc
    key.verify(signature.raw, base)


def _plain_signature(message: Request | Response, tag: str) -> Signature | None:
    """The signature if it is the only one and its fields hold no more than `_plain_input` writes; else None, and the
    library reads them.
    """
    try:
        inputs = _ONE_INPUT.fullmatch(field_of(message.headers, "signature-input"))
        value = _ONE_SIGNATURE.fullmatch(field_of(message.headers, "signature"))
    except FormatError:
        return None
    if inputs is None or value is None or inputs["label"] != value["label"]:
        return None
    found = _PARAMETER.findall(inputs["parameters"])
    parameters: dict[str, Any] = {name: int(number) if number else text for name, number, text in found}
    if len(parameters) < len(found) or parameters.get("tag") != tag:
        return None
    try:
        raw = a2b_base64(value["raw"])
    except ValueError:
        return None
    components = tuple(map(Component, inputs["covered"][1:-1].split('" "')))
    return Signature(inputs["label"], components, parameters, raw, inputs["written"])


def _dictionary(message: Request | Response, name: str) -> dict[str, Any]:
    try:
        text = field_of(message.headers, name)
    except FormatError as exc:
        raise ProofError("proof_missing", f"no field {name}") from exc

    def repeated(key: str, where: str) -> None:
        raise http_sf.StructuredFieldError(f"{key} repeats in a {where}")

    try:
        return cast(
            "dict[str, Any]", http_sf.parse(text.encode("latin-1"), tltype="dictionary", on_duplicate_key=repeated)
        )
    except (http_sf.StructuredFieldError, ValueError) as exc:
        raise ProofError("proof_invalid", f"{name} is not a dictionary: {exc}") from exc


def text_parameter(parameters: Mapping[str, Any], name: str) -> str:
    """A parameter of a signature that has to be there, as text.

    Raises:
        ProofError: `proof_invalid`.
    """
    value = parameters.get(name)
    if not isinstance(value, str):
        raise ProofError("proof_invalid", f"the signature has no {name}")
    return value


def _check_content_digest(request: Request) -> None:
    if all(name.lower() != "content-digest" for name, _ in request.headers):
        raise ProofError("proof_invalid", "Content-Digest is covered and is not there")
    expected = request.body_digest if request.body_digest is not None else hashlib.sha256(b"").digest()
    if claimed_content_digest(request) != expected:
        raise ProofError("digest_mismatch", "the body is not the one whose sha-256 the request states")
