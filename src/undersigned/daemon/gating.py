"""What every gate in front of a server does, whatever protocol it reads: who signed this, is it new, who may be asked.

`Gatekeeper` verifies requests and asks the hirer's peer. `RequestGate` adds the rules of an HTTP service; the
middlewares (`gate_aiohttp`, `gate_asgi`) and the proxy (`gate_proxy`) share it. It is asked for each request: `head`
before the body is read, `admit` once it is, `done` when the server has answered. The gate of an MCP server has rules of
its own (`mcp_passage`).

Source: protocol-spec/14-gates.md
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

import msgspec
import structlog

from undersigned.bridges.gate_rules import GateRules
from undersigned.bridges.gates import ContractKeys, check_body, claimed_contract, refusal, request_of, verify_head
from undersigned.bridges.http_messages import Headers, Request
from undersigned.bridges.http_signatures import VerifiedRequest, claimed_key
from undersigned.bridges.nonces import NonceWindows
from undersigned.encoding import Did, DidUrl, Digest
from undersigned.errors import (
    ConfigurationError,
    FormatError,
    ScopeError,
    TransportError,
    UndersignedError,
    VerificationError,
)
from undersigned.runtime import Clock, SystemClock, steady_seconds
from undersigned.scope import Action

from .gate_desk import AnswerToSign, Ask, Desk, GateRefusal, Granted, RequestSigner, Visit

__all__ = ["Gatekeeper", "RequestGate", "VerifiedHead", "require_gate"]

KEYS_SECONDS: Final = 10.0
"""How long a gate goes by what the peer said of who may sign. What is allowed is asked each time."""
AGAIN_SECONDS: Final = 1.0
"""How old that is at most where a request names a key that is not among them. Before the peer was told of one, it may
have gone by a document that is older than the key.
"""
KNOWN_CONTRACTS: Final = 4096
BODY_SECONDS: Final = 60.0
"""For a body to arrive whole."""
UNDER_WAY: Final = 64
"""Requests of one provider that a gate has under way: each holds connections, as long as its sender likes."""
_SIGNED_FIELDS: Final = frozenset({"hire-contract", "content-digest", "signature-input", "signature"})
_log: Final = structlog.get_logger("undersigned.gates")


class VerifiedHead(NamedTuple):
    """A request whose head is verified."""

    request: Request
    verified: VerifiedRequest
    keys: ContractKeys

    @property
    def signed(self) -> RequestSigner:
        """Whose it is, for the peer."""
        return RequestSigner(keyid=self.verified.keyid, nonce=self.verified.nonce)


class Gatekeeper:
    """Verifies who asks, and asks `desk`. A request that is not let in is answered with what `refused` gives.

    With `sign_answers`, answers to verified requests are signed as the hirer's; each is then held until it is whole.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        clock: Clock | None = None,
        ticks: Callable[[], float] = steady_seconds,
        keys_seconds: float = KEYS_SECONDS,
        sign_answers: bool = False,
    ) -> None:
        """`ticks` gives seconds that only ever go on, by which what is known of a contract grows old."""
        self.desk = desk
        self.sign_answers = sign_answers
        self._clock = clock or SystemClock()
        self._ticks = ticks
        self._keys_seconds = keys_seconds
        self._nonces = NonceWindows()
        self._known: OrderedDict[Digest, tuple[float, bool, asyncio.Task[ContractKeys | None]]] = OrderedDict()
        self._telling: set[asyncio.Task[None]] = set()
        self._under_way: Counter[Did] = Counter()

    @contextmanager
    def turn(self, knock: VerifiedHead) -> Generator[None]:
        """Around all that is done for a request: no provider takes what others need.

        Raises:
            TransportError: `overloaded`, so many of its provider are under way.
        """
        provider = knock.keys.provider
        if self._under_way[provider] >= UNDER_WAY:
            raise TransportError("overloaded", f"{UNDER_WAY} requests of {provider} are under way")
        self._under_way[provider] += 1
        try:
            yield
        finally:
            self._under_way[provider] -= 1
            if not self._under_way[provider]:
                del self._under_way[provider]

    async def knock(self, origin: str, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> VerifiedHead:
        """The request, if the provider of the contract that it names signed it. `path` is as sent, with its query.

        Raises:
            UndersignedError: It is not; `refused` says what to answer.
        """
        request = request_of(origin, method, path, headers)
        contract = claimed_contract(request)
        try:
            keys = await self._keys(contract, self._keys_seconds)
        except UndersignedError as error:
            # What is wrong before the key is said first: who has signed nothing does not hear that a contract is known.
            keys = error
        try:
            verified = self._verified(request, contract, keys)
        except VerificationError as error:
            if error.code != "key_not_authorized":
                raise
            # It may be a new one, with which work goes on after a restart. One that is none causes no more than this.
            keys = await self._keys(contract, AGAIN_SECONDS, claimed_key(request))
            verified = self._verified(request, contract, keys)
        assert isinstance(keys, ContractKeys)  # noqa: S101  (nothing is verified without)
        return VerifiedHead(request, verified, keys)

    def done(self, permit: str, *, happened: bool = True) -> None:
        """Says, in the background, how an action ended. What cannot be said stays spent."""
        task = asyncio.create_task(self._tell(permit, happened))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def turned(self, visit: Visit, error: ScopeError) -> None:
        """Has it recorded that our rules refused `visit`. That it cannot be recorded changes no answer."""
        try:
            await self.desk.refused(GateRefusal.by(error, visit))
        except UndersignedError as failure:
            _log.error("a refusal was not recorded", contract=visit.contract, refused=str(error), error=str(failure))

    async def answer_fields(
        self, knock: VerifiedHead | None, status: int, content_type: str | None, body_digest: bytes
    ) -> Headers:
        """The fields that sign an answer; none if none are wanted, if nobody is known to have asked, or if it cannot be
        signed. What the server did is done: who asked has to judge an answer that is not signed.

        `body_digest` is the SHA-256 of the body as it is sent, of nothing if none is.
        """
        if not self.sign_answers or knock is None:
            return ()
        request = knock.request
        heard = AnswerToSign(
            contract=knock.verified.contract,
            method=request.method,
            url=request.url,
            fields=tuple((name, value) for name, value in request.headers if name.lower() in _SIGNED_FIELDS),
            status=status,
            content_type=content_type,
            body_sha256=body_digest.hex(),
        )
        try:
            return await self.desk.sign(heard)
        except UndersignedError as error:
            _log.error("an answer is not signed", contract=heard.contract, error=str(error))
            return ()

    async def close(self) -> None:
        """Returns once everything that ended is said."""
        if self._telling:
            await asyncio.wait(self._telling)  # whoever is cancelled here takes none of them along

    @staticmethod
    def refused(error: UndersignedError, method: str, path: str) -> tuple[int, bytes]:
        """Status and `application/problem+json` that answer a request which was not let in; our operator hears why."""
        status, told = refusal(error)
        _log.warning("request refused", method=method[:20], path=path[:200], status=status, error=str(error)[:500])
        return status, msgspec.json.encode(told)

    def _verified(
        self, request: Request, contract: Digest, keys: ContractKeys | UndersignedError | None
    ) -> VerifiedRequest:
        return verify_head(request, keys, now=self._clock.now(), fresh=partial(self._first, contract))

    def _first(self, contract: Digest, keyid: DidUrl, nonce: str) -> bool:
        return self._nonces.first(contract, keyid, nonce, self._clock.now())

    async def _keys(self, contract: Digest, max_age_seconds: float, keyid: str | None = None) -> ContractKeys | None:
        """What the peer said of a contract, at most so long ago; who asks at the same time asks once."""
        now = self._ticks()
        asked, named, task = self._known.get(contract, (0.0, False, None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or now - asked >= max_age_seconds or (keyid is not None and not named):
            task = asyncio.create_task(self.desk.keys(contract, keyid))
            self._known[contract] = now, keyid is not None, task
            self._known.move_to_end(contract)
            while len(self._known) > KNOWN_CONTRACTS:
                self._known.popitem(last=False)
        # Shielded: one caller that leaves must not take the answer from the others.
        return await asyncio.shield(task)

    async def _tell(self, permit: str, happened: bool) -> None:
        try:
            await self.desk.done(permit, happened=happened)
        except UndersignedError as error:
            _log.warning("not said how an action ended; it stays spent", error=str(error))


class RequestGate(Gatekeeper):
    """The gate of one HTTP service, by `rules`."""

    def __init__(
        self,
        desk: Desk,
        rules: GateRules,
        *,
        clock: Clock | None = None,
        ticks: Callable[[], float] = steady_seconds,
        keys_seconds: float = KEYS_SECONDS,
        body_seconds: float = BODY_SECONDS,
        sign_answers: bool = False,
    ) -> None:
        """`desk` is `peer.desk`, or a `RemoteDesk`. A body has `body_seconds` to arrive.

        Raises:
            ConfigurationError: `bad_configuration`: `rules` are not what `read_rules` returns.
        """
        if not isinstance(rules, GateRules):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            raise ConfigurationError(
                "bad_configuration", f"rules: expected what read_rules() returned, got {rules!r:.80}"
            )
        super().__init__(desk, clock=clock, ticks=ticks, keys_seconds=keys_seconds, sign_answers=sign_answers)
        self.rules = rules
        self.body_seconds = body_seconds

    async def head(self, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> VerifiedHead:
        """`knock`, at the origin of the rules."""
        return await self.knock(self.rules.origin, method, path, headers)

    def check_length(self, length: int) -> None:
        """Returns if a body may be so long.

        Raises:
            FormatError: `too_large`.
        """
        if length > self.rules.max_body_bytes:
            raise FormatError("too_large", f"a body has at most {self.rules.max_body_bytes} bytes here")

    async def admit(self, knock: VerifiedHead, digest: bytes, length: int) -> Granted:
        """The action that the request asks for, booked. `digest` and `length` are those of the body that came, `digest`
        a SHA-256.

        Raises:
            UndersignedError: As `knock`.
        """
        check_body(knock.request, digest)
        action = await self._asked(knock, length)
        return await self.desk.admit(Ask.of(knock.verified.contract, knock.signed, action))

    async def _asked(self, knock: VerifiedHead, length: int) -> Action:
        request = knock.request
        try:
            return self.rules.action_of(request.method, request.url, length)[0]
        except ScopeError as error:
            contract = knock.verified.contract
            visit = Visit(contract=contract, signed=knock.signed, action=request.method, target=request.url)
            await self.turned(visit, error)
            raise


def require_gate(gate: RequestGate) -> None:
    """Returns if a middleware can ask it: one that cannot is found before the first request.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if not isinstance(gate, RequestGate):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError(
            "bad_configuration",
            f"gate: expected a RequestGate, such as RequestGate(peer.desk, rules), got {gate!r:.80}",
        )
