"""Artifacts between the parties: served behind the gate, and asked for with a signature.

A request is answered in this order: the signature over it holds, the contract it names is one of ours and in force, the
signer is the other party, its nonce is new, and then, for the hirer's inputs, the contract's scope allows it and the
use is booked. What a provider delivered is for its hirer to read.

Source: protocol-spec/06-scope.md, section 6.6; RFC 9421
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial

import msgspec
import structlog

from undersigned.bridges.http_answers import ANSWER_TAG, verify_answer
from undersigned.bridges.http_messages import Request, Response
from undersigned.bridges.http_signatures import claimed_key, draft_request, verify_request
from undersigned.bridges.nonces import NonceWindows
from undersigned.contract import ARTIFACT_READ
from undersigned.did import DidDocument
from undersigned.encoding import DidUrl, Digest, Instant
from undersigned.errors import ProofError, ScopeError, UndersignedError, VerificationError
from undersigned.keys import PublicKey
from undersigned.messages import Delivery, Start
from undersigned.runtime import (
    SMALL_BYTES,
    Agent,
    Body,
    Conversation,
    Fields,
    Meter,
    NewKeys,
    Sent,
    bytes_limits,
    looked_up_for,
    of_store,
)
from undersigned.scope import Action, Scope
from undersigned.transport import Identity, LogBudget

from .answers import ArtifactRequest, ArtifactResponse
from .listener import TOLD, TOLD_SECONDS

__all__ = ["ArtifactDoor", "SignedRequests", "signed_headers"]

FETCH_SECONDS = 30.0
ANSWER_KEYS_SECONDS = 300.0
"""How old the hirer's DID document may be, by which an answer is judged."""
KEYS_SECONDS = 3600.0
"""How old that of whoever asks for an artifact may be."""
MAX_TOLD = 256
"""Characters that are logged of why somebody was refused."""
TIDIED = 64
"""Windows of nonces that may be kept though nothing in them could come again."""
_log = structlog.get_logger()


async def signed_headers(
    identity: Identity, method: str, url: str, contract: Digest, now: Instant, body: bytes | None = None
) -> tuple[tuple[str, str], ...]:
    """The fields that sign a request for `contract`."""
    unsigned = draft_request(
        Request(method=method, url=url, body_digest=hashlib.sha256(body).digest() if body is not None else None),
        identity.method,
        identity.kind,
        contract=contract,
        now=now,
        nonce=secrets.token_urlsafe(24),
    )
    return unsigned.signed(await identity.sign(unsigned.to_sign)).headers


class SignedRequests:
    """Asks the servers of the other side over HTTP. See `OtherSide`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._new_keys = NewKeys(agent)

    async def open(self, url: str, contract: Digest, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        """See `OtherSide.open`."""
        headers = await self.sign("GET", url, contract)
        return self._agent.gatherer.open(
            url, start=start, max_bytes=max_bytes, timeout_seconds=FETCH_SECONDS, headers=headers
        )

    async def sign(
        self, method: str, url: str, contract: Digest, body: bytes | None = None
    ) -> tuple[tuple[str, str], ...]:
        """See `OtherSide.sign`."""
        return await signed_headers(self._agent.identity, method, url, contract, self._agent.clock.now(), body)

    async def check_answer(self, contract: Digest, sent: Sent, status: int, fields: Fields, body: bytes) -> None:
        """See `OtherSide.check_answer`."""
        agent, (method, url, signed) = self._agent, sent
        conversation = agent.conversations.contracts.get(contract)
        if conversation is None:
            raise ProofError("proof_invalid", "no contract of this name is known here")
        hirer = conversation.engagement.peer if conversation.engagement.role == "provider" else agent.own.id
        answer = Response(status, tuple(fields), request=Request(method, url, tuple(signed)))
        document = await agent.document_of(hirer, ANSWER_KEYS_SECONDS)
        try:
            self._verify_answer(answer, body, document)
        except VerificationError as error:
            if error.code != "key_not_authorized":
                raise
            # It may be a new one, of a hirer that started anew with it.
            document = await self._new_keys.document_of(hirer, claimed_key(answer, ANSWER_TAG), ANSWER_KEYS_SECONDS)
            self._verify_answer(answer, body, document)

    def _verify_answer(self, answer: Response, body: bytes, document: DidDocument) -> None:
        now = self._agent.clock.now()
        verify_answer(answer, hashlib.sha256(body).digest(), _authenticating(document, now), now=now)


def _authenticating(document: DidDocument, now: Instant) -> Callable[[DidUrl], PublicKey]:
    """The key of each method by which the owner of a document signs requests and answers."""
    return partial(document.key_for, relationship="authentication", now=now)


def _named(conversation: Conversation) -> Iterator[tuple[str, Digest]]:
    """What we hand out under a contract, by the names that it has there."""
    if conversation.engagement.role == "provider":
        yield from ((one.name, one.digest) for one in conversation.last("Delivery", Delivery, "provider").artifacts)
    else:
        yield from ((one.name, one.digest) for one in conversation.last("Start", Start, "hirer").inputs)


class ArtifactDoor:
    """Answers requests for artifacts."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._nonces = NonceWindows(TIDIED)
        self._told = LogBudget(TOLD, TOLD_SECONDS)
        self._new_keys = NewKeys(agent)

    async def answer(self, asked: ArtifactRequest) -> ArtifactResponse:
        """The artifact, or a status and the code that the requester may hear."""
        agent = self._agent
        try:
            request = Request(
                method=asked.method, url=f"{agent.base_url}{asked.path}", headers=asked.headers, body_digest=None
            )
            keyid = claimed_key(request)
            signer = keyid.partition("#")[0]
            document = await self._known(signer, keyid)
            now = agent.clock.now()
            verified = verify_request(request, _authenticating(document, now), now=now, fresh=_later)
        except UndersignedError as error:
            return self._unsigned(asked, error)
        try:
            conversation = agent.conversations.contracts.get(verified.contract)
            if conversation is None or conversation.engagement.peer != signer:
                # Whoever is no party does not learn whether the contract exists.
                raise ScopeError("contract_expired", "no contract in force of this name and party", clause="contract")
            if not self._nonces.first(verified.contract, verified.keyid, verified.nonce, agent.clock.now()):
                error = ProofError("replayed", f"the nonce {verified.nonce!r} of {verified.keyid} was used before")
                return self._unsigned(asked, error)
            return await self._allowed(conversation, asked, request.url, (verified.keyid, verified.nonce))
        except ProofError as error:
            return self._unsigned(asked, error)
        except UndersignedError as error:
            self._refused(asked, error, contract=verified.contract)
            if error.code == "not_found":
                return ArtifactResponse(404, code="bad_path")
            if error.row.told == "never":
                # What is wrong with a store of ours is not for others to know; that it may be tried again is.
                return ArtifactResponse(503, code="overloaded")
            return ArtifactResponse(403 if isinstance(error, ScopeError) else 503, code=error.code)

    async def _allowed(
        self, conversation: Conversation, asked: ArtifactRequest, target: str, request: tuple[str, str]
    ) -> ArtifactResponse:
        agent, engagement = self._agent, conversation.engagement
        if engagement.role == "provider":
            if asked.digest not in conversation.delivered():
                raise ScopeError("scope_exceeded", "not among what was delivered under this contract", clause="scope")
            return await self._found(conversation, asked)
        action = Action(name=ARTIFACT_READ, target=target)
        contract = engagement.contract
        scope = agent.gate.scope(contract.digest, conversation.offered()) if contract is not None else Scope()
        given = asked.digest in (conversation.offered().terms.task.inputs if contract is not None else ())
        if given and any(bytes_limits(grant, target) for grant in scope.grants):
            size = await agent.artifacts.size(asked.digest) or 0
            action = msgspec.structs.replace(action, amounts={"bytes": str(max(0, size - asked.start))})
        permit = await agent.admit(conversation, action, request=request)
        try:
            if contract is not None and not given:
                # However wide its grant is: what else is in our store, such as another contract's, is not of this one.
                clause = permit.decision.clause
                error = ScopeError("scope_exceeded", "not among the inputs of this contract", clause=clause)
                await agent.gate.refuse(contract.digest, action, error)
                raise error
            found = await self._found(conversation, asked)
        except BaseException:  # also where it takes so long that whoever listens gives up
            await agent.gate.release(permit)  # nothing is handed out, so nothing is used
            raise
        conversation.journal.settle(permit.used())
        return found

    async def _found(self, conversation: Conversation, asked: ArtifactRequest) -> ArtifactResponse:
        """What is small, as its bytes, which were checked; what is not, in pieces, which are while they are read."""
        artifacts, digest = self._agent.artifacts, asked.digest
        size = await artifacts.size(digest)
        if size is None or size <= SMALL_BYTES:
            return ArtifactResponse(200, await artifacts.get(digest))
        name = next((name for name, known in _named(conversation) if known == digest), "")
        meter = Meter(self._agent.watchers.tells(conversation, name, digest, outward=True))

        async def pieces(start: int) -> AsyncGenerator[bytes]:
            sent = start
            async with aclosing(artifacts.pieces(digest, start)) as read:
                async for piece in read:
                    yield piece  # and the next is asked for when this one is on its way
                    sent += len(piece)
                    meter.at(sent, size)

        return ArtifactResponse(200, size=size, pieces=pieces)

    async def _known(self, signer: str, keyid: str) -> DidDocument:
        """The signer's DID document; only parties of our engagements are looked up, for their own sake: whoever asks
        writes what name it likes, and nothing is proved yet.
        """
        agent = self._agent
        one = next(iter(agent.conversations.of(signer)), None)
        if one is None:
            raise ScopeError("contract_expired", f"{signer} is a party of no engagement here")
        with looked_up_for(signer if agent.conversations.bound_to(signer) else agent.whose(one.id, signer)):
            return await self._new_keys.document_of(signer, keyid, KEYS_SECONDS)

    def _unsigned(self, asked: ArtifactRequest, error: UndersignedError) -> ArtifactResponse:
        self._refused(asked, error)
        if error.retryable:
            # Whose keys could not be had now may have signed well: that it may come again is all that is said.
            return ArtifactResponse(503, code="overloaded")
        return ArtifactResponse(401, code=error.code if error.row.told == "at once" else "proof_invalid")

    def _refused(self, asked: ArtifactRequest, error: UndersignedError, **more: str) -> None:
        """One line for the operator; anybody may ask, and as often and at what length it likes."""
        at = asyncio.get_running_loop().time()
        if (untold := self._told.take(at)) is not None:
            # What is gone or damaged here is nobody else's doing, and its owner hears no other reason for the work to
            # fail.
            tell = _log.error if of_store(error) else _log.warning
            tell("artifact refused", digest=asked.digest, error=str(error)[:MAX_TOLD], untold=untold, **more)


def _later(_method: DidUrl, _nonce: str) -> bool:
    """Nonces are looked at once the contract and its party are known: strangers have none here to use up."""
    return True
