"""HTTP Message Signatures (RFC 9421): how a hired agent signs a call to a resource, and how the resource checks it.

Pure: the request comes in as a value, the key and the time are arguments, and what is to be signed goes out as bytes.

Our requests cover `@method`, `@target-uri`, the field `Hire-Contract` (digest of the contract they are made under) and,
when there is a body, `Content-Digest`; their parameters are `created`, `expires`, `nonce`, `keyid` (the verification
method, a DID URL), `alg` and `tag="hire"`. A signature with another tag is somebody else's and is left alone.

`signature_base` can do all derived components and the parameters `name`, `key`, `bs`, `sf` (for fields that
RFC 9421 readers know the type of) and `req`; `tr` is refused, since no trailers are read.

Source: protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl, quote, urlsplit

import http_sf
import msgspec

from undersigned.encoding import (
    DIGEST_PATTERN,
    DidUrl,
    Digest,
    Instant,
    base64_encode,
    format_instant,
    parse_instant,
)
from undersigned.errors import FormatError, ProofError
from undersigned.keys import PublicKey

__all__ = [
    "ALGORITHMS",
    "TAG",
    "Component",
    "NonceWindow",
    "NonceWindows",
    "Request",
    "RequestDraft",
    "Response",
    "Signature",
    "VerifiedRequest",
    "check_age",
    "check_signature",
    "claimed_content_digest",
    "claimed_key",
    "content_digest",
    "draft_request",
    "signature_base",
    "signature_input",
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
_SKEW_SECONDS: Final = 60
_AGE_SECONDS: Final = 60
_DIGEST: Final = re.compile(DIGEST_PATTERN)
_NAME: Final = re.compile("[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile("[\t\x20-\x7e\x80-\xff]*")
_NONCE: Final = re.compile("[\x21-\x7e]{16,128}")
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]*")
_KEY: Final = re.compile("[a-z*][a-z0-9_.*-]*")
_INTEGER: Final = "0|-?[1-9][0-9]{0,14}"
"""In its one form: what is signed is written anew, and no other text than the one that came."""
_ONE_INPUT: Final = re.compile(
    rf'(?P<label>{_KEY.pattern})=(?P<written>\((?P<covered>"{_PLAIN.pattern}"(?: "{_PLAIN.pattern}")*)\)'
    rf'(?P<parameters>(?:;{_KEY.pattern}=(?:{_INTEGER}|"{_PLAIN.pattern}"))*))'
)
_ONE_SIGNATURE: Final = re.compile(rf"(?P<label>{_KEY.pattern})=:(?P<raw>[A-Za-z0-9+/]*={{0,2}}):")
_PARAMETER: Final = re.compile(rf';({_KEY.pattern})=(?:({_INTEGER})|"({_PLAIN.pattern})")')
_MAX_INTEGER: Final = 999_999_999_999_999  # RFC 9651, section 3.3.1
_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "alg", "tag"})  # RFC 9421, section 2.3
_COMPONENT_PARAMETERS: Final = frozenset({"name", "key", "bs", "sf", "req"})
_NAMED: Final = frozenset({"name"})
_NOTHING: Final = frozenset[str]()
_NO_PARAMETERS: Final[Mapping[str, str | bool]] = {}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Headers = tuple[tuple[str, str], ...]
Parameters = Mapping[str, "str | int | bool"]


class Request(msgspec.Struct, frozen=True):
    """An HTTP request as both sides see it."""

    method: str
    url: str
    """The target URI, absolute. A server builds it from its own origin and the path; the Host field is the peer's."""
    headers: Headers = ()
    """Name and value of each field line, in order."""
    body_digest: bytes | None = None
    """SHA-256 of the body; None if there is none."""


class Response(msgspec.Struct, frozen=True):
    """An HTTP response; `request` is what it answers, for components with `req`."""

    status: int
    headers: Headers = ()
    request: Request | None = None


class Component(NamedTuple):
    """A covered component with its parameters; a plain string stands for one without."""

    name: str
    parameters: tuple[tuple[str, str | bool], ...] = ()


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
        "expires": created + _AGE_SECONDS,
        "nonce": nonce,
        "keyid": keyid,
        "alg": ALGORITHMS[kind],
        "tag": TAG,
    }
    written = _inner_list(parts, parameters)
    return RequestDraft(request, _base(request, parts, written), written)


def signature_input(components: Sequence[str | Component], parameters: Parameters) -> str:
    """The inner list that says what is covered: value of `@signature-params`, and a member of `Signature-Input`.

    Raises:
        FormatError: `schema_violation`, a name or value that a structured field cannot hold.

    Source: RFC 9421, section 2.3
    """
    return _inner_list([_component(part) for part in components], parameters)


def _inner_list(parts: Sequence[Component], parameters: Parameters) -> str:
    if (plain := _plain_input(parts, parameters)) is not None:
        return plain
    items = [(part.name, dict(part.parameters)) for part in parts]
    try:
        return http_sf.ser(cast(Any, [(items, dict(parameters))]))
    except (ValueError, TypeError) as exc:
        raise FormatError("schema_violation", f"not writable as a structured field: {exc}") from exc


def _plain_input(parts: Sequence[Component], parameters: Parameters) -> str | None:
    """The inner list if nothing in it needs an escape or a type of its own, as in all requests of ours; else None, and
    the library writes it, character by character.
    """
    texts = [part.name for part in parts if not part.parameters]
    if not texts or len(texts) < len(parts) or not parameters.keys() <= _PARAMETERS:
        return None
    written = '("' + '" "'.join(texts) + '")'
    for name, value in parameters.items():
        if type(value) is str:
            texts.append(value)
            written += f';{name}="{value}"'
        elif type(value) is int and -_MAX_INTEGER <= value <= _MAX_INTEGER:
            written += f";{name}={value}"
        else:
            return None
    return written if _PLAIN.fullmatch("".join(texts)) else None


def signature_base(message: Request | Response, components: Sequence[str | Component], parameters: Parameters) -> bytes:
    """The bytes that are signed.

    Raises:
        FormatError: `schema_violation`: a component is not there, repeats, is ambiguous, or is one that is not known.

    Source: RFC 9421, section 2.5
    """
    parts = [_component(part) for part in components]
    return _base(message, parts, _inner_list(parts, parameters))


def _base(message: Request | Response, parts: Sequence[Component], written: str) -> bytes:
    """`written` is the inner list of components and parameters."""
    values: dict[str, str] = {}
    lines = ""
    for part in parts:
        identifier = _identifier(part)
        if identifier in values:
            raise FormatError("schema_violation", f"a component is covered twice: {identifier}")
        try:
            value = values[identifier] = _value(message, part)
        except ValueError as exc:  # bytes that no text has, or a target that is no URL
            raise FormatError("schema_violation", f"{identifier} has no value: {exc}") from exc
        lines += f"{identifier}: {value}\n"
    # A line break in a value would let one component be read as two.
    if _VALUE.fullmatch("".join(values.values())) is None:
        raise FormatError("schema_violation", f"a value holds a control character, of {' '.join(values)}")
    return f'{lines}"@signature-params": {written}'.encode("latin-1")


def claimed_key(request: Request) -> DidUrl:
    """The verification method that the request claims to be signed by, so that its DID document can be gathered.

    Raises:
        ProofError: `proof_missing`, `proof_invalid`, as `verify_request`.
    """
    return text_parameter(tagged_signature(request, TAG).parameters, "keyid")


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
    required: Sequence[str] = _REQUIRED,
    max_age_seconds: int = _AGE_SECONDS,
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
    needed = (*required, "content-digest") if request.body_digest is not None else tuple(required)
    missing = [name for name in needed if name not in plain]
    if missing:
        raise ProofError("proof_invalid", f"the signature does not cover {', '.join(missing)}")
    # Step 3: made just now, by our clock. Inclusive on both ends.
    keyid, nonce = text_parameter(parameters, "keyid"), text_parameter(parameters, "nonce")
    created = check_age(parameters, now, max_age_seconds)
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
    contract = _field(request.headers, "hire-contract") if "hire-contract" in plain else ""
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
        if isinstance(items, list) and attributes.get("tag") == tag:
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


def check_age(parameters: Mapping[str, Any], now: Instant, max_age_seconds: int = _AGE_SECONDS) -> int:
    """When a signature was made, in seconds since 1970, if that was just now by our clock. Inclusive on both ends.

    Raises:
        ProofError: `proof_invalid`, it does not say; `proof_expired`, `proof_from_future`.
    """
    created, seconds = parameters.get("created"), int(parse_instant(now).timestamp())
    if type(created) is not int:
        raise ProofError("proof_invalid", "the signature does not say when it was made")
    if created > seconds + _SKEW_SECONDS:
        raise ProofError("proof_from_future", f"made {created - seconds} s ahead of our clock")
    if created < seconds - max_age_seconds:
        raise ProofError("proof_expired", f"made {seconds - created} s ago; at most {max_age_seconds} s are taken")
    expires = parameters.get("expires", seconds)
    if type(expires) is not int or expires < seconds:
        raise ProofError("proof_expired", "the signature is past its expiry")
    return created


def _check_life(parameters: Mapping[str, Any], created: int) -> None:
    """A request says itself how long it is good for, and no longer than a nonce is remembered."""
    expires = parameters.get("expires")
    if type(expires) is not int or not 0 <= expires - created <= _AGE_SECONDS:
        raise ProofError(
            "proof_invalid", f"expected expires at most {_AGE_SECONDS} s after {created}; came {expires!a:.40}"
        )


def check_signature(message: Request | Response, signature: Signature, key: PublicKey) -> None:
    """Returns if `signature` over `message` is one of `key`'s.

    Raises:
        ProofError: `suite_not_allowed`, it does not name the algorithm that goes with the key; `proof_invalid`.
    """
    algorithm = signature.parameters.get("alg")
    if algorithm != ALGORITHMS[key.kind]:
        raise ProofError("suite_not_allowed", f"{algorithm!r} with a {key.kind} key")
    try:
        written = signature.written or _inner_list(signature.components, signature.parameters)
        base = _base(message, signature.components, written)
    except FormatError as exc:
        raise ProofError("proof_invalid", f"the signature covers what is not there: {exc.message}") from exc
    key.verify(signature.raw, base)


class NonceWindow:
    """Nonces seen, for as long as a request that carries them could still be taken.

    Holds at most `max_entries`; full, it takes no more until some have aged: a nonce forgotten early could be used
    again. Whoever fills it is a holder of a valid key, and one key may fill no more than `per_key`.
    """

    def __init__(
        self, max_age_seconds: int = _AGE_SECONDS, *, max_entries: int = 100_000, per_key: int = 10_000
    ) -> None:
        self._keep_seconds = max_age_seconds + _SKEW_SECONDS
        self._max_entries = max_entries
        self._per_key = per_key
        self._until: dict[tuple[DidUrl, str], float] = {}
        self._counts: dict[DidUrl, int] = {}

    def first(self, keyid: DidUrl, nonce: str, now: Instant) -> bool:
        """Whether `nonce` is new for `keyid`; remembers it. Times must not run back."""
        seconds = self._age(now)
        held = self._counts.get(keyid, 0)
        if (keyid, nonce) in self._until or len(self._until) >= self._max_entries or held >= self._per_key:
            return False
        self._until[keyid, nonce] = seconds + self._keep_seconds
        self._counts[keyid] = held + 1
        return True

    def is_empty(self, now: Instant) -> bool:
        """Whether no nonce in it could come again."""
        self._age(now)
        return not self._until

    def _age(self, now: Instant) -> float:
        """Lets go of what is too old; `now` in seconds."""
        seconds = parse_instant(now).timestamp()
        while self._until:
            # In order of insertion, which is the order of time.
            oldest = next(iter(self._until))
            if self._until[oldest] >= seconds:
                break
            del self._until[oldest]
            self._counts[oldest[0]] -= 1
            if not self._counts[oldest[0]]:
                del self._counts[oldest[0]]
        return seconds


class NonceWindows:
    """One window for each contract: nobody uses up the nonces of another one's. A window that holds nothing any more is
    let go.
    """

    def __init__(self, tidied: int = 64) -> None:
        self._windows: dict[Digest, NonceWindow] = {}
        self._tidied = self._tidy_at = tidied

    def __len__(self) -> int:
        return len(self._windows)

    def first(self, contract: Digest, keyid: DidUrl, nonce: str, now: Instant) -> bool:
        """As `NonceWindow.first`, under `contract`."""
        windows = self._windows
        if contract not in windows and len(windows) >= self._tidy_at:
            for old in [name for name, window in windows.items() if window.is_empty(now)]:
                del windows[old]
            self._tidy_at = max(self._tidied, 2 * len(windows))  # so that each costs the same, however many there are
        return windows.setdefault(contract, NonceWindow()).first(keyid, nonce, now)


def _component(part: str | Component) -> Component:
    return Component(part) if isinstance(part, str) else part


@lru_cache(maxsize=64)
def _identifier(part: Component) -> str:
    try:
        return http_sf.ser(cast(Any, (part.name, dict(part.parameters))))
    except (ValueError, TypeError) as exc:
        raise FormatError("schema_violation", f"not a component: {part.name!a}: {exc}") from exc


def _plain_signature(message: Request | Response, tag: str) -> Signature | None:
    """The signature if it is the only one and its fields hold no more than `_plain_input` writes; else None, and the
    library reads them.
    """
    try:
        inputs = _ONE_INPUT.fullmatch(_field(message.headers, "signature-input"))
        value = _ONE_SIGNATURE.fullmatch(_field(message.headers, "signature"))
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
        text = _field(message.headers, name)
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
    member = _dictionary(request, "content-digest").get("sha-256")
    expected = request.body_digest if request.body_digest is not None else hashlib.sha256(b"").digest()
    if member is None or member[0] != expected:
        raise ProofError("digest_mismatch", "the body is not the one whose sha-256 the request states")


def _field(headers: Headers, name: str) -> str:
    """The combined value of a field: its lines in order, trimmed, joined by a comma."""
    value = _fields(headers).get(name)
    if value is None:
        raise FormatError("schema_violation", f"there is no field {name}")
    return value


@lru_cache(maxsize=64)
def _fields(headers: Headers) -> Mapping[str, str]:
    """All of them by name. Asked of the same message for each field that is read or covered."""
    fields: dict[str, str] = {}
    for key, value in headers:
        name, line = key.lower(), value.strip(" \t")
        fields[name] = f"{fields[name]}, {line}" if name in fields else line
    return fields


def _value(message: Request | Response, part: Component) -> str:
    """The value of one component (RFC 9421, sections 2.1 and 2.2)."""
    parameters = _NO_PARAMETERS
    if part.parameters:
        parameters = dict(part.parameters)
        if unknown := parameters.keys() - _COMPONENT_PARAMETERS:
            raise FormatError("schema_violation", f"parameters not known: {', '.join(sorted(unknown))}")
        if "req" in parameters:
            if not isinstance(message, Response) or message.request is None:
                raise FormatError("schema_violation", "req is for responses")
            message = message.request
    if part.name.startswith("@"):
        return _derived(message, part.name, parameters)
    if _NAME.fullmatch(part.name) is None or "name" in parameters:
        raise FormatError("schema_violation", f"not a field name: {part.name!a}")
    if "bs" in parameters:
        if "sf" in parameters or "key" in parameters:
            raise FormatError("schema_violation", "bs does not go with sf or key")
        lines = [value.strip(" \t") for key, value in message.headers if key.lower() == part.name]
        if lines:
            return ", ".join(f":{base64_encode(line.encode('latin-1'))}:" for line in lines)
    combined = _field(message.headers, part.name)
    if "key" not in parameters and "sf" not in parameters:
        return combined
    try:
        kind = "dictionary" if "key" in parameters else None
        parsed: Any = http_sf.parse(combined.encode("latin-1"), name=part.name, tltype=kind)
        if "key" not in parameters:
            return http_sf.ser(parsed)
        member = parsed[parameters["key"]]
        return http_sf.ser([member])
    except (http_sf.StructuredFieldError, ValueError, KeyError, TypeError) as exc:
        raise FormatError("schema_violation", f"{part.name} is not the structured field that is covered") from exc


def _derived(message: Request | Response, name: str, parameters: Mapping[str, str | bool]) -> str:
    own = parameters.keys() - {"req"} if parameters else _NOTHING
    if own != (_NAMED if name == "@query-param" else _NOTHING):
        raise FormatError("schema_violation", f"{name} has parameters that it does not take")
    if isinstance(message, Response):
        if name == "@status":
            return str(message.status)
        raise FormatError("schema_violation", f"{name} is not a component of a response")
    if name == "@method":
        return message.method
    if name == "@target-uri":
        return message.url
    parts = urlsplit(message.url)
    path, query = parts.path or "/", f"?{parts.query}"
    if name == "@scheme":
        return parts.scheme.lower()
    if name == "@authority":
        host = (parts.netloc.rpartition("@")[2]).lower()
        return host.removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme.lower(), 0)}")
    if name == "@path":
        return path
    if name == "@query":
        return query
    if name == "@request-target":
        return path + (query if "?" in message.url.partition("#")[0] else "")
    if name == "@query-param":
        wanted = str(parameters["name"])
        found = [value for key, value in parse_qsl(parts.query, keep_blank_values=True) if _encoded(key) == wanted]
        if len(found) != 1:
            raise FormatError("schema_violation", f"{len(found)} query parameters are named {wanted!a}")
        return _encoded(found[0])
    raise FormatError("schema_violation", f"not a component of a request: {name!a}")


def _encoded(text: str) -> str:
    """As a form-urlencoded string, but a space is %20 (RFC 9421, section 2.2.8)."""
    return quote(text, safe="*").replace("~", "%7E")
