"""The connection proof: before a first message is read, each side shows that it holds a key of the DID it claims.

Three frames, each a JSON object with no other members than these:

1. acceptor to dialer, unsigned. It is the same for everybody, so a stranger learns nothing from it:

       {"type": "Challenge", "subprotocol": "hire.v1", "nonce": N}

2. dialer to acceptor, signed. The dialer signs first, because it is the one that wants something; the acceptor
   signs nothing for a peer that has not proved itself:

       {"@context": "https://w3id.org/hire/v1", "type": "Connection", "part": "dialer", "subprotocol": "hire.v1",
        "sender": DID of the dialer, "recipient": DID that it wants to reach, "nonce": N', "versions": ["1.0"],
        "proof": {...}}

3. acceptor to dialer, signed. `versions` repeats the dialer's list and `version` is the choice from it, so that a
   middle box cannot talk the two down:

       {"@context": ..., "type": "Connection", "part": "acceptor", "subprotocol": "hire.v1", "sender": DID of the
        acceptor, "recipient": DID of the dialer, "nonce": N, "versions": ["1.0"], "version": "1.0", "proof": {...}}

A nonce is 32 fresh bytes as multibase base64url (`u...`). The proof is one Data Integrity proof by `eddsa-jcs-2022`
or `ecdsa-jcs-2019`, as the key is: `proofPurpose` is `authentication`, `challenge` the nonce of the side that
verifies, `domain` the DID of the side that verifies, `expires` at most 60 s after `created`. So each proof is bound
to both nonces (the signer's own is in the document), both DIDs, the part played and the subprotocol; and it says
nothing else, so that signing it for somebody who turns out to be a stranger commits nobody to anything.

A nonce lives in the memory of one exchange and dies with it: an answer given twice, given elsewhere or given late is
an answer to another challenge. A frame that does not fit ends the connection: close code 1008, and as reason an error
code that depends on the peer's bytes alone, else `proof_invalid`.

Source: protocol-spec/03-connection.md, section 3.3
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Final, Literal, NamedTuple, TypeVar

import msgspec

from undersigned.did import DidDocument
from undersigned.encoding import (
    MESSAGE_LIMITS,
    Did,
    DidUrl,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    multibase_encode,
    seconds_between,
    shift,
)
from undersigned.errors import FormatError, ProofError, TimedOut, TransportError, UndersignedError
from undersigned.jsonld import HIRE_CONTEXT
from undersigned.proof import JCS_SUITE_OF, JCS_SUITES, attach, prepare, proof_config, verify_proof

from .base import MAX_FRAME_BYTES, SUBPROTOCOL, Channel, closing

__all__ = ["PROTOCOL_VERSIONS", "Identity", "Proved", "Resolve", "admit", "prove"]

PROTOCOL_VERSIONS: Final = ("1.0",)
"""Versions of the protocol that this code speaks, the one it likes best first."""

_PROOF_LIFE_SECONDS: Final = 60
_FRAME_LIMITS: Final = msgspec.structs.replace(MESSAGE_LIMITS, max_bytes=MAX_FRAME_BYTES, max_depth=4)
"""The shapes of the frames bound the rest."""

Nonce = Annotated[str, msgspec.Meta(pattern="^u[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
Version = Annotated[str, msgspec.Meta(pattern="^(0|[1-9][0-9]{0,3})\\.(0|[1-9][0-9]{0,3})$")]
ProofText = Annotated[str, msgspec.Meta(max_length=2048)]
Resolve = Callable[[Did], Awaitable[DidDocument]]


class Identity(msgspec.Struct, frozen=True):
    """What signs as one of our DIDs."""

    did: Did
    method: DidUrl
    """The verification method that proofs name; under `authentication` and `assertionMethod` in the DID document."""
    suite: str
    """Cryptosuite for messages and documents, one of those for this kind of key."""
    kind: Literal["Ed25519", "P-256", "P-384"]
    sign: Callable[[bytes], Awaitable[bytes]]
    """The signature over the bytes that a cryptosuite prepared."""


class Proved(NamedTuple):
    """Who is at the two ends of a proved channel, and the version they speak."""

    own: Did
    peer: Did
    version: str


class _Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    type: Literal["Challenge"]  # msgspec asks nobody for the tag of a struct that stands in no union
    subprotocol: Literal["hire.v1"]
    nonce: Nonce


class _Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    type: Literal["Connection"]
    context: Literal["https://w3id.org/hire/v1"] = msgspec.field(name="@context")
    subprotocol: Literal["hire.v1"]
    sender: Did
    recipient: Did
    nonce: Nonce
    versions: Annotated[tuple[Version, ...], msgspec.Meta(min_length=1, max_length=16)]
    proof: dict[str, ProofText] = {}


class _Dialer(_Connection, frozen=True):
    part: Literal["dialer"]


class _Acceptor(_Connection, frozen=True):
    part: Literal["acceptor"]
    version: Version


_Frame = TypeVar("_Frame", _Challenge, _Dialer, _Acceptor)


async def prove(
    channel: Channel,
    identity: Identity,
    resolve: Resolve,
    now: Callable[[], Instant],
    *,
    expect: Did,
    nonce: bytes | None = None,
    versions: Sequence[str] = PROTOCOL_VERSIONS,
) -> Proved:
    """The dialer's side: shows `identity` to the acceptor and has it show that it is `expect`.

    `resolve` gives the DID document of a DID, recent enough for the caller; `nonce` is 32 fresh bytes, drawn here if
    not given. When this returns, `channel.peer` is set and messages may be sent.

    Raises:
        ProofError: The acceptor did not show that it is `expect`: `challenge_mismatch`, `proof_invalid`, ...
        FormatError: It sent something else.
        ResolutionError: `expect` did not resolve.
        TransportError: `version_not_supported`; `TimedOut`, not within `proof_seconds`; `Closed`, it hung up, which
            is also its answer to a proof it does not accept.

    The channel is closed whenever this raises.

    Source: protocol-spec/03-connection.md, section 3.3
    """

    async def exchange() -> Proved:
        if expect == identity.did:
            raise ProofError("self_dealing", f"{expect} would be connected with itself")
        challenge = _read(await channel.receive(), _Challenge)
        own_nonce = _nonce(nonce)
        offered = tuple(versions)
        document = _document("dialer", identity.did, expect, own_nonce, offered)
        await channel.send(await _signed(document, identity, now(), challenge=challenge.nonce, domain=expect))
        raw = await channel.receive()
        answer = _read(raw, _Acceptor)
        if answer.sender != expect:
            raise ProofError("challenge_mismatch", f"{expect} was to prove itself; {answer.sender} did")
        if answer.versions != offered or answer.version not in offered:
            raise TransportError(
                "version_not_supported",
                f"offered {', '.join(offered)}; the answer is {answer.version} from {', '.join(answer.versions)}",
            )
        await _verify(raw, answer, identity.did, own_nonce, resolve, now)
        if answer.nonce != challenge.nonce:
            raise ProofError("challenge_mismatch", f"{expect} repeats another nonce than that of its first frame")
        channel.proved(expect)
        return Proved(identity.did, expect, answer.version)

    return await _bounded(channel, exchange)


async def admit(
    channel: Channel,
    identities: Mapping[Did, Identity],
    resolve: Resolve,
    now: Callable[[], Instant],
    *,
    nonce: bytes | None = None,
    versions: Sequence[str] = PROTOCOL_VERSIONS,
) -> Proved:
    """The acceptor's side: has the dialer prove itself, then shows the one of `identities` that it asked for.

    Nothing is signed before the dialer's proof has verified. When this returns, `channel.peer` is set and messages
    may be read.

    Raises:
        ProofError: The dialer did not prove its DID, wants a DID that is not here (`challenge_mismatch`), or claims
            ours.
        FormatError: It sent something else.
        ResolutionError: Its DID did not resolve.
        TransportError: `version_not_supported`; `TimedOut`, not within `proof_seconds`; `Closed`, it hung up.

    The channel is closed whenever this raises.

    Source: protocol-spec/03-connection.md, section 3.3
    """

    async def exchange() -> Proved:
        own_nonce = _nonce(nonce)
        await channel.send(canonicalize({"type": "Challenge", "subprotocol": SUBPROTOCOL, "nonce": own_nonce}))
        raw = await channel.receive()
        # Cheap before costly: what the bytes say alone, then whose challenge, then the resolver, then the key.
        asked = _read(raw, _Dialer)
        version = next((known for known in versions if known in asked.versions), None)
        if version is None:
            raise TransportError("version_not_supported", f"the dialer speaks {', '.join(asked.versions)}")
        identity = identities.get(asked.recipient)
        if identity is None:
            raise ProofError("challenge_mismatch", f"{asked.sender} asks for {asked.recipient}, which is not here")
        if asked.sender in identities:
            # Also stops a reflection: our own proof, sent back to us.
            raise ProofError("self_dealing", f"{asked.sender} is ours")
        await _verify(raw, asked, identity.did, own_nonce, resolve, now)
        # Before our answer leaves: what the dialer sends next is a message, and no longer a stranger's.
        channel.proved(asked.sender)
        document = _document("acceptor", identity.did, asked.sender, own_nonce, asked.versions)
        document["version"] = version
        await channel.send(await _signed(document, identity, now(), challenge=asked.nonce, domain=asked.sender))
        return Proved(identity.did, asked.sender, version)

    return await _bounded(channel, exchange)


async def _bounded(channel: Channel, exchange: Callable[[], Awaitable[Proved]]) -> Proved:
    """Runs one exchange to its end, its deadline or its first fault; a fault closes the channel."""
    seconds = min(channel.limits.proof_seconds, _PROOF_LIFE_SECONDS)
    try:
        try:
            async with asyncio.timeout(seconds):
                proved = await exchange()
        except TimeoutError as exc:
            raise TimedOut("timeout", f"no connection proof within {seconds:g} s") from exc
    except UndersignedError as exc:
        await channel.close(*closing(exc))
        raise
    except BaseException:
        await channel.close(1011, "internal")
        raise
    return proved


def _nonce(given: bytes | None) -> str:
    raw = secrets.token_bytes(32) if given is None else given
    if len(raw) != 32:
        raise ValueError("a nonce is 32 bytes")
    return multibase_encode("u", raw)


def _read(raw: bytes, kind: type[_Frame]) -> _Frame:
    """The frame that `raw` is, checked against its closed shape."""
    try:
        value = decode_json(raw, _FRAME_LIMITS)
    except FormatError as exc:
        if (exc.code, exc.path) == ("bad_json", "/proof"):
            raise ProofError("proof_missing", "expected a proof; came null", path="/proof") from exc
        raise
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise FormatError("schema_violation", f"expected {kind.__name__[1:]}: {exc}") from exc


def _document(
    part: Literal["dialer", "acceptor"], sender: Did, recipient: Did, nonce: str, versions: tuple[str, ...]
) -> JsonObject:
    return {
        "@context": HIRE_CONTEXT,
        "type": "Connection",
        "part": part,
        "subprotocol": SUBPROTOCOL,
        "sender": sender,
        "recipient": recipient,
        "nonce": nonce,
        "versions": list(versions),
    }


async def _signed(document: JsonObject, identity: Identity, now: Instant, *, challenge: str, domain: Did) -> bytes:
    config = proof_config(
        JCS_SUITE_OF[identity.kind],
        identity.method,
        "authentication",
        now,
        shift(now, _PROOF_LIFE_SECONDS),
        challenge=challenge,
        domain=domain,
    )
    signature = await identity.sign(prepare(document, config, identity.kind))
    return canonicalize(attach(document, config, signature))


async def _verify(
    raw: bytes, frame: _Connection, own: Did, own_nonce: str, resolve: Resolve, now: Callable[[], Instant]
) -> None:
    """Checks that `frame` is its sender's answer to our challenge, made for us and just now."""
    proof = frame.proof
    if not proof:
        raise ProofError("proof_missing", "the connection document carries no proof")
    # Step 1: an answer to this challenge, for us. Not before this does anything of the peer's cause a look-up.
    if not hmac.compare_digest(proof.get("challenge", "").encode(), own_nonce.encode()):
        raise ProofError("challenge_mismatch", f"{frame.sender} answers another challenge")
    if proof.get("domain") != own or frame.recipient != own:
        raise ProofError("challenge_mismatch", f"{frame.sender} answers a challenge of {proof.get('domain')}")
    created, expires = proof.get("created"), proof.get("expires")
    if created is None or expires is None:
        raise ProofError("proof_expired", "the connection proof does not say when it was made and expires")
    # Step 2: the key that its DID document allows to authenticate.
    method = proof.get("verificationMethod", "")
    if method.partition("#")[0] != frame.sender:
        raise ProofError("key_not_authorized", f"{method} is no verification method of {frame.sender}")
    resolved = await resolve(frame.sender)
    moment = now()
    # Step 3: the proof. Its document is read again from the bytes, so that what is verified is what came.
    document = decode_json(raw, _FRAME_LIMITS)
    assert isinstance(document, dict)  # noqa: S101 - `_read` saw it as an object
    verify_proof(
        document,
        key=partial(resolved.key_for, now=moment),
        purpose="authentication",
        now=moment,
        challenge=own_nonce,
        domain=own,
        suites=JCS_SUITES,
    )
    # Step 4: short-lived. `verify_proof` has checked that both instants are well-formed and that now lies between.
    if seconds_between(created, expires) > _PROOF_LIFE_SECONDS:
        raise ProofError("proof_expired", f"a connection proof lives at most {_PROOF_LIFE_SECONDS} s")
