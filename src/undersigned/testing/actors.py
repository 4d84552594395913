"""Actors: parties with a real key in memory, who sign real messages and real contract documents.

An actor knows nothing of an engagement; `Party` folds one. Everything it makes is decided by its name and its seed, so
a test that fails fails again.

Source: protocol-spec/02-identity-and-keys.md, section 2.3
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from random import Random
from typing import Any, Protocol, TypeVar
from uuid import UUID

from nacl.signing import SigningKey

from undersigned.contract import SignedDocument, acceptance_config, offer_config, ruling_config
from undersigned.credentials import build_presentation, credential_config, presentation_config
from undersigned.did import DidDocument, did_key, document_from
from undersigned.encoding import (
    Did,
    DidUrl,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    base64url_encode,
    from_struct,
    shift,
    to_struct,
)
from undersigned.keys import public_key_from_raw
from undersigned.messages import Message, VerifiedMessage, decode_message, draft, verify_message
from undersigned.proof import make_proof, prepare

__all__ = ["SUITE", "Actor", "Counterpart"]

SUITE = "eddsa-jcs-2022"
KIND = "Ed25519"
D = TypeVar("D", bound=SignedDocument)


class Counterpart(Protocol):
    """What a party has to know of the other one."""

    @property
    def did(self) -> Did:
        """Its DID."""
        ...

    @property
    def document(self) -> DidDocument:
        """Its DID document."""
        ...

    @property
    def method(self) -> DidUrl:
        """The method that it signs with."""
        ...


class Actor:
    """A party with an Ed25519 key, known by its `did:key`. Two actors of one name and seed are one."""

    suite: str = SUITE
    """Of its proofs."""
    kind: Any = KIND
    """Of its key."""

    def __init__(self, name: str, *, seed: int = 0) -> None:
        self.name = name
        secret = sha256(f"{name}/{seed}".encode()).digest()
        self._key = SigningKey(secret)
        self._random = Random(f"{name}/{seed}")  # noqa: S311 - repeatable, and nothing here is secret
        self.public_key = public_key_from_raw(KIND, bytes(self._key.verify_key))
        self.did: Did = did_key(self.public_key)
        self.document: DidDocument = document_from(self.did, {})
        self.method: DidUrl = self.document.methods("authentication")[0]

    def __repr__(self) -> str:
        return f"Actor({self.name!r})"

    def message_id(self) -> str:
        """A fresh `urn:uuid:` of version 4."""
        return UUID(int=self._random.getrandbits(128), version=4).urn

    def nonce(self) -> str:
        """32 bytes, multibase."""
        return f"u{base64url_encode(self._random.randbytes(32))}"

    def sign(self, message: Message, now: Instant, *, lifetime_seconds: int = 3600) -> VerifiedMessage:
        """The message with this actor's proof, made at `now`."""
        unsigned = draft(message, self.method, self.suite, self.kind, now, shift(now, lifetime_seconds))
        return unsigned.signed(self.signature(unsigned.to_sign))

    def verify(self, raw: bytes, sender: Counterpart, now: Instant) -> VerifiedMessage:
        """What came, once it is known to be `sender`'s and for this actor.

        Raises:
            FormatError, VerificationError: As `decode_message` and `verify_message`.
        """
        documents = {sender.did: sender.document, self.did: self.document}
        return verify_message(decode_message(raw), documents, now=now, recipient=self.did)

    def prove_offer(self, document: D, now: Instant) -> D:
        """The document with this actor's proof, the first."""
        config = offer_config(self.suite, self.method, now, self.message_id())
        bare = from_struct(document)
        return to_struct({**bare, "proof": self._proof(bare, config)}, type(document))

    def prove_acceptance(self, document: Mapping[str, Any], now: Instant) -> JsonObject:
        """The proof of this actor on a document that carries the offerer's; it names that one."""
        return self._proof(document, acceptance_config(document, self.suite, self.method, now))

    def present(
        self,
        engagement: EngagementId,
        now: Instant,
        *,
        credentials: Iterable[JsonObject] = (),
        challenge: Digest,
        domain: Did,
    ) -> JsonObject:
        """A presentation of these credentials by this actor, in answer to a challenge of `domain`."""
        unsigned = build_presentation(
            id=self.message_id(), holder=self.did, engagement=engagement, credentials=credentials
        )
        config = presentation_config(
            self.suite.replace("rdfc", "jcs"), self.method, now, challenge=challenge, domain=domain
        )
        return {**unsigned, "proof": self._proof(unsigned, config)}

    def issue(self, document: Mapping[str, Any], now: Instant) -> JsonObject:
        """The credential with this actor's proof as its issuer, whoever is named as that."""
        return {**document, "proof": self._proof(document, credential_config(self.suite, self.method, now))}

    def rule(self, contract: Digest, dispute: Digest, now: Instant, **members: Any) -> JsonObject:
        """A ruling of this actor as an arbiter; `members` replace those of `ArbiterRuling`. Divided, at 6 EUR."""
        document = {
            "@context": "https://w3id.org/hire/v1",
            "id": self.message_id(),
            "type": "ArbiterRuling",
            "contract": contract,
            "dispute": dispute,
            "outcome": "divided",
            "amount": "6",
            "currency": "EUR",
            "reasons": "Half of it is there.",
        } | members
        return {**document, "proof": self._proof(document, ruling_config(self.suite, self.method, now))}

    def _proof(self, document: Mapping[str, Any], config: JsonObject) -> JsonObject:
        return make_proof(document, config, self.signature(prepare(document, config, self.kind)))

    def signature(self, data: bytes) -> bytes:
        """The signature of this actor's key."""
        return self._key.sign(data).signature
