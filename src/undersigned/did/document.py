"""A DID document as received, behind a read-only view that answers one question: which key may do what.

The document stays JSON; a method that is malformed or of a kind not used here harms nobody until a proof names it.
What could be read in two ways (two methods of one name, two encodings of one key) is refused at once or when used.

Source: protocol-spec/02-identity-and-keys.md, sections 2.3 and 2.4; DID Core, section 5; Controlled Identifiers 1.0,
section 2
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from undersigned.did.url import parse_did, parse_did_url
from undersigned.encoding import (
    FOREIGN_LIMITS,
    INSTANT_PATTERN,
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    digest_bytes,
)
from undersigned.errors import FormatError, VerificationError
from undersigned.keys import PublicKey, public_key_from_jwk, public_key_from_multikey

__all__ = ["RELATIONSHIPS", "DidDocument", "keys_of", "make_document"]

DID_CONTEXT: Final = "https://www.w3.org/ns/did/v1"
MULTIKEY_CONTEXT: Final = "https://w3id.org/security/multikey/v1"
JWK_CONTEXT: Final = "https://w3id.org/security/jwk/v1"

RELATIONSHIPS: Final = (
    "authentication",
    "assertionMethod",
    "keyAgreement",
    "capabilityInvocation",
    "capabilityDelegation",
)
_INSTANT: Final = re.compile(INSTANT_PATTERN)
_FRAGMENT: Final = re.compile("[A-Za-z0-9._-]{1,128}")
# What names a private part, in any of the suites whose documents are read here.
_PRIVATE: Final = ("secretKeyMultibase", "secretKeyJwk", "privateKeyMultibase", "privateKeyJwk", "privateKeyBase58")
_ENCODINGS: Final = ("publicKeyMultibase", "publicKeyJwk", "publicKeyBase58", "publicKeyPem", "publicKeyHex")


class DidDocument:
    """One DID's document, checked to be that DID's and well-formed. Immutable; equal if their bytes are.

    Raises:
        VerificationError: When made. `did_document_invalid`: not JSON of the expected shape, of another DID, or two
            methods of one name.

    Source: protocol-spec/02-identity-and-keys.md, sections 2.3 and 2.4
    """

    __slots__ = (
        "_allowed",
        "_decoded",
        "_keys",
        "_methods",
        "_named",
        "_services",
        "_signer_names",
        "_signing",
        "id",
        "raw",
        "raw_digest",
    )

    id: Did
    raw: bytes
    """The bytes as fetched, or the canonical form where the document follows from the DID: evidence."""
    raw_digest: Digest

    def __init__(self, did: Did, raw: bytes) -> None:
        parse_did(did)
        document = _object(raw)
        if document.get("id") != did:
            # Exactly: letter case, percent-encoding and a trailing dot make another DID.
            raise VerificationError(
                "did_document_invalid", f"expected the document of {did}, got that of {str(document.get('id'))[:80]!a}"
            )
        self.id = did
        self.raw = raw
        self.raw_digest = digest_bytes(raw)
        self._methods: dict[DidUrl, JsonObject] = {}
        self._keys: dict[tuple[DidUrl, str], PublicKey] = {}
        """Those that were asked for and that a relationship lists for good, by method and relationship."""
        for entry in _objects(document, "verificationMethod"):
            self._add(entry)
        self._allowed: dict[str, dict[DidUrl, None]] = {}  # A dict, for its order
        for relationship in RELATIONSHIPS:
            self._allowed[relationship] = dict.fromkeys(self._names(document, relationship))
        self._named = {
            relationship: tuple(filter(self._is_own, names)) for relationship, names in self._allowed.items()
        }
        self._services = tuple(_services(document))
        self._signer_names: dict[DidUrl, None] | None = None
        """Those of the methods that it lists for signing, once that was asked."""
        self._decoded: dict[DidUrl, PublicKey | None] = {}
        """The keys of these that were looked at."""
        self._signing: frozenset[bytes] | None = None
        """The keys it lists for signing, once that was asked; those of different kinds differ in length."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DidDocument) and self.id == other.id and self.raw == other.raw

    def __hash__(self) -> int:
        return hash((self.id, self.raw_digest))

    def __repr__(self) -> str:
        return f"DidDocument({self.id!r}, {self.raw_digest})"

    @property
    def json(self) -> JsonObject:
        """The document as JSON: a new copy each time."""
        return _object(self.raw)

    def key_for(self, method_url: DidUrl, relationship: str, *, now: Instant | None) -> PublicKey:
        """The key that `method_url` names, if this DID lets it do what `relationship` says.

        `now` matters only to a method that states `expires`; None refuses such a method.

        Raises:
            VerificationError: `key_not_authorized`: of another DID, not in the document, not in that relationship,
                controlled by somebody else, expired or revoked; where it is not listed there, `detail` has the document
                as `unlisted`. `did_document_invalid`: its key cannot be read or is of a kind not used here. `key_weak`:
                the key is of small order or not canonical.

        Source: protocol-spec/02-identity-and-keys.md, sections 2.3 and 2.4
        """
        known = self._keys.get((method_url, relationship))
        if known is not None:
            return known
        # What is listed is a DID URL; what a proof names can be any text.
        if method_url not in self._allowed.get(relationship, ()):
            raise VerificationError(
                "key_not_authorized", f"{method_url[:160]!a} is not listed under {relationship!a}", unlisted=self
            )
        if method_url.partition("#")[0] != self.id:
            raise VerificationError("key_not_authorized", f"expected a key of {self.id}, got {method_url[:160]!a}")
        method = self._methods.get(method_url)
        if method is None:
            raise VerificationError("key_not_authorized", f"{method_url[:160]!a} is listed, but not in the document")
        if method["controller"] != self.id:
            # Listing somebody's key is a claim about them: only their own document can make it.
            raise VerificationError("key_not_authorized", f"{method_url[:160]!a} has another controller than {self.id}")
        _check_validity(method, now)
        key = _key(method)
        if "expires" not in method:
            self._keys[method_url, relationship] = key
        return key

    def methods(self, relationship: str) -> tuple[DidUrl, ...]:
        """The names under `relationship` that `key_for` can authorize, in the document's order.

        Whether each one's key is of a kind used here shows when it is asked for.
        """
        return self._named.get(relationship, ())

    def _is_own(self, name: DidUrl) -> bool:
        """Whether a method is this DID's by its name, is in the document, and has no other controller."""
        method = self._methods.get(name)
        return method is not None and method["controller"] == self.id and name.partition("#")[0] == self.id

    def keys(self, relationship: str, *, now: Instant) -> dict[DidUrl, PublicKey]:
        """The keys that `key_for` authorizes now, by method; one that it does not, of whatever kind, is left out."""
        found: dict[DidUrl, PublicKey] = {}
        for name in self.methods(relationship):
            try:
                found[name] = self.key_for(name, relationship, now=now)
            except VerificationError:
                continue
        return found

    def signs_by(self, key: PublicKey) -> bool:
        """Whether it lists this key for signing, also if the key is not good any more."""
        if self._signing is None:
            self._signing = frozenset(one.raw for name in self._signers() if (one := self._listed(name)) is not None)
        return key.raw in self._signing

    def signing_keys(self) -> frozenset[PublicKey]:
        """All keys that it lists for signing, also those that are not good any more: whose they are still has them."""
        return frozenset(key for name in self._signers() if (key := self._listed(name)) is not None)

    def changes_key(self, other: DidDocument) -> DidUrl | None:
        """A method that names one key here and another one in `other`, whether it is good any more or not; None: none
        does.
        """
        others = other._signers()
        for name in self._signers():
            if name in others and not self._same_key(other, name):
                mine, theirs = self._listed(name), other._listed(name)
                if mine is not None and theirs is not None and mine != theirs:
                    return name
        return None

    def same_keys(self, other: DidDocument) -> bool:
        """Whether both list the same keys under the same names for signing."""
        return all(
            self._same_key(other, name) or self._listed(name) == other._listed(name)
            for name in {**self._signers(), **other._signers()}
        )

    def _signers(self) -> dict[DidUrl, None]:
        """The names of methods that it lists for signing, in its order."""
        if self._signer_names is None:
            self._signer_names = dict.fromkeys((*self.methods("authentication"), *self.methods("assertionMethod")))
        return self._signer_names

    def _same_key(self, other: DidDocument, name: DidUrl) -> bool:
        """Whether both have a method of this name in the same words, so that nothing has to be decoded."""
        mine, theirs = self._methods.get(name), other._methods.get(name)
        return mine is not None and mine == theirs and name in self._signers() and name in other._signers()

    def _listed(self, name: DidUrl) -> PublicKey | None:
        """The key that this method lists for signing, also if it is expired or revoked; None: none that is used here.
        Decoded once: a document may have hundreds, and is compared with hundreds of others.
        """
        if name not in self._signers():
            return None
        if name not in self._decoded:
            try:
                self._decoded[name] = _key(self._methods[name])
            except VerificationError:
                self._decoded[name] = None
        return self._decoded[name]

    def services(self, service_type: str) -> tuple[str, ...]:
        """Endpoint URLs of the services of one type, in the document's order.

        Endpoints that are not text are left out.
        """
        return tuple(endpoint for types, endpoint in self._services if service_type in types)

    def _add(self, entry: JsonObject) -> DidUrl:
        name, kind, controller = entry.get("id"), entry.get("type"), entry.get("controller")
        if not (isinstance(name, str) and isinstance(kind, str) and isinstance(controller, str)):
            raise VerificationError("did_document_invalid", "expected text for id, type and controller of a method")
        url = self._absolute(name)
        if url in self._methods:
            raise VerificationError(
                "did_document_invalid", f"expected one method of each name, got {url[:160]!a} twice"
            )
        self._methods[url] = entry
        return url

    def _names(self, document: JsonObject, relationship: str) -> Iterator[DidUrl]:
        for entry in _list(document, relationship):
            if isinstance(entry, str):
                yield self._absolute(entry)
            elif isinstance(entry, dict):
                # A method embedded here is for this relationship alone.
                yield self._add(cast("JsonObject", entry))
            else:
                raise VerificationError("did_document_invalid", f"expected methods or their names in {relationship}")

    def _absolute(self, name: str) -> DidUrl:
        url = self.id + name if name.startswith("#") else name
        if parse_did_url(url).fragment is None:
            raise VerificationError("did_document_invalid", f"expected a name with a fragment, got {name[:160]!a}")
        return url


def keys_of(documents: Iterable[DidDocument], relationship: str, *, now: Instant) -> dict[DidUrl, PublicKey]:
    """The keys that any of a DID's documents authorizes now, by method; the first that has a method decides."""
    found: dict[DidUrl, PublicKey] = {}
    for document in documents:
        found = document.keys(relationship, now=now) | found
    return found


def make_document(
    did: Did,
    *,
    authentication: Mapping[str, PublicKey],
    assertion_method: Mapping[str, PublicKey],
    services: Sequence[tuple[str, str]] = (),
) -> JsonObject:
    """The document to publish for `did`, with Multikey methods.

    The mappings go from fragment (`"key-1"`) to key; a fragment in both is one method in two relationships. `services`
    are pairs of type and URL.

    Raises:
        VerificationError: `did_document_invalid`: a fragment that is not 1 to 128 letters, digits, `.`, `_`, `-`, or
            one fragment with two keys.

    Source: protocol-spec/02-identity-and-keys.md, sections 2.3 and 2.4
    """
    parse_did(did)
    keys = {**authentication, **assertion_method}
    for fragment, key in authentication.items():
        if keys[fragment] != key:
            raise VerificationError("did_document_invalid", f"expected one key named {fragment!a}, got two")
    for fragment in keys:
        if not _FRAGMENT.fullmatch(fragment):
            raise VerificationError("did_document_invalid", f"expected a plain fragment, got {fragment[:140]!a}")
    document: JsonObject = {
        "@context": [DID_CONTEXT, MULTIKEY_CONTEXT],
        "id": did,
        "verificationMethod": [
            {"id": f"{did}#{name}", "type": "Multikey", "controller": did, "publicKeyMultibase": key.multikey}
            for name, key in keys.items()
        ],
        "authentication": [f"{did}#{name}" for name in authentication],
        "assertionMethod": [f"{did}#{name}" for name in assertion_method],
    }
    if services:
        document["service"] = [
            {"id": f"{did}#service-{number}", "type": kind, "serviceEndpoint": url}
            for number, (kind, url) in enumerate(services, 1)
        ]
    return document


def derived_document(did: Did, fragment: str, method: Mapping[str, Any], context: str) -> DidDocument:
    """The document of a DID that is its own key: one method, in every relationship of a signing key."""
    name = f"{did}#{fragment}"
    signing = [relationship for relationship in RELATIONSHIPS if relationship != "keyAgreement"]
    document: JsonObject = {
        "@context": [DID_CONTEXT, context],
        "id": did,
        "verificationMethod": [{"id": name, "controller": did, **method}],
        **{relationship: [name] for relationship in signing},
    }
    return DidDocument(did, canonicalize(document))


def _key(method: JsonObject) -> PublicKey:
    kind = method["type"]
    if any(name in method for name in _PRIVATE):
        raise VerificationError("did_document_invalid", "expected a public key, got a method with private parts")
    given = [name for name in _ENCODINGS if name in method]
    if len(given) != 1:
        raise VerificationError("did_document_invalid", f"expected one encoding of the key, got {len(given)}")
    value = method[given[0]]
    if (
        kind in ("Multikey", "Ed25519VerificationKey2020")
        and given == ["publicKeyMultibase"]
        and isinstance(value, str)
    ):
        key = public_key_from_multikey(value)
        if kind != "Multikey" and key.kind != "Ed25519":
            raise VerificationError("did_document_invalid", f"expected an Ed25519 key in {kind}, got {key.kind}")
        return key
    if kind in ("JsonWebKey", "JsonWebKey2020") and given == ["publicKeyJwk"] and isinstance(value, dict):
        return public_key_from_jwk(value)
    raise VerificationError(
        "did_document_invalid", f"expected Multikey, JsonWebKey or Ed25519VerificationKey2020, got {str(kind)[:60]!a}"
    )


def _check_validity(method: JsonObject, now: Instant | None) -> None:
    if "revoked" in method:
        raise VerificationError("key_not_authorized", "the method is revoked")
    if "expires" in method:
        expires = method["expires"]
        if not isinstance(expires, str) or not _INSTANT.search(expires):
            raise VerificationError("did_document_invalid", "expected expires as YYYY-MM-DDThh:mm:ssZ")
        if now is None or now > expires:
            raise VerificationError("key_not_authorized", f"the method expires {expires}, and now is {now}")


def _object(raw: bytes) -> JsonObject:
    try:
        document = decode_json(raw, FOREIGN_LIMITS)
    except FormatError as exc:
        # Here and below the place is in words: a pointer is told to peers, and is one into their message (HIRE-SEC-07).
        where = f" at {exc.path}" if exc.path else ""
        raise VerificationError("did_document_invalid", f"expected a DID document{where}: {exc.message}") from exc
    if not isinstance(document, dict):
        raise VerificationError("did_document_invalid", "expected a DID document, got JSON that is no object")
    return document


def _list(document: JsonObject, member: str) -> list[Any]:
    entries = document.get(member, [])
    if not isinstance(entries, list):
        raise VerificationError("did_document_invalid", f"expected a list in {member}")
    return cast("list[Any]", entries)


def _objects(document: JsonObject, member: str) -> Iterator[JsonObject]:
    for entry in _list(document, member):
        if not isinstance(entry, dict):
            raise VerificationError("did_document_invalid", f"expected objects in {member}")
        yield cast("JsonObject", entry)


def _services(document: JsonObject) -> Iterator[tuple[tuple[str, ...], str]]:
    for entry in _objects(document, "service"):
        kinds, endpoints = entry.get("type"), entry.get("serviceEndpoint")
        for endpoint in _several(endpoints):
            yield tuple(_several(kinds)), endpoint


def _several(value: object) -> list[str]:
    """The texts in one text or a list."""
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str)]
