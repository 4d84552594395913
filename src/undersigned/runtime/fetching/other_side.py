"""The servers of the other side of a contract, as this side asks them: requests are signed, and answers can be.

Source: protocol-spec/03-connection.md, section 3.7; 14-gates.md
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from undersigned.encoding import FOREIGN_LIMITS, Digest, decode_json
from undersigned.errors import CODES, PROBLEM_TYPES, ConfigurationError, ScopeError, UndersignedError

from .bodies import Body
from .fetcher import FetchAnswer

__all__ = ["Fields", "NoListener", "OtherSide", "Sent", "refusal_of"]

MAX_TOLD: Final = 256
"""Characters of a clause or a hint that a server's refusal holds."""

Fields = Iterable[tuple[str, str]]
"""Fields of an HTTP message: name and value of each line, in order."""
Sent = tuple[str, str, Fields]
"""A request as it was sent: its method, its URL, and the fields that signed it."""


class OtherSide(Protocol):
    """How an agent asks them; what listens for the agent knows how."""

    async def open(self, url: str, contract: Digest, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        """An artifact from the byte `start` on, asked for under a contract; in all it has at most `max_bytes`.

        Raises:
            FormatError: `too_large`.
            TransportError: Not reached, or refused, with the `status` and what was `told`.
            ResolutionError: `did_forbidden_address`.
            ConfigurationError: `bad_configuration`, this agent fetches nothing.
        """
        ...

    async def sign(
        self, method: str, url: str, contract: Digest, body: bytes | None = None
    ) -> tuple[tuple[str, str], ...]:
        """The fields that sign a request made under a contract.

        Raises:
            ConfigurationError: `bad_configuration`, this agent signs no requests.
        """
        ...

    async def check_answer(self, contract: Digest, sent: Sent, status: int, fields: Fields, body: bytes) -> None:
        """Returns if an answer is the hirer's under a contract, to the request that was `sent`: method, URL, and the
        fields that signed it. `fields` and `body` are those of the answer as they came.

        Raises:
            ProofError: `proof_missing`, it is not signed; `proof_invalid`, `digest_mismatch` and others.
            VerificationError: `key_not_authorized`, it is not signed by the hirer.
            ResolutionError: The hirer's DID did not resolve.
            ConfigurationError: `bad_configuration`, this agent checks no answers.

        Source: protocol-spec/14-gates.md, section 14.7
        """
        ...


class NoListener:
    """That of an agent for which nothing listens."""

    async def open(self, url: str, contract: Digest, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        """See `OtherSide.open`."""
        raise ConfigurationError("bad_configuration", "this agent has no way to fetch artifacts")

    async def sign(
        self, method: str, url: str, contract: Digest, body: bytes | None = None
    ) -> tuple[tuple[str, str], ...]:
        """See `OtherSide.sign`."""
        raise ConfigurationError("bad_configuration", "this agent has no way to sign requests")

    async def check_answer(self, contract: Digest, sent: Sent, status: int, fields: Fields, body: bytes) -> None:
        """See `OtherSide.check_answer`."""
        raise ConfigurationError("bad_configuration", "this agent has no way to check answers")


def refusal_of(answer: FetchAnswer) -> ScopeError | None:
    """The no of a server's gate, if the answer is one (RFC 9457, of a type of ours). A server may have a word of ours
    as a code of its own; what it did with the request is done then.
    """
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.status not in (401, 403, 503) or kind != "application/problem+json":
        return None
    try:
        told = decode_json(answer.body, FOREIGN_LIMITS)
    except UndersignedError:
        return None
    code = told.get("code") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(code, str) or code not in CODES:
        return None
    if told.get("type") != PROBLEM_TYPES + code:
        return None
    clause, passes = (str(told.get(name) or "")[:MAX_TOLD] for name in ("clause", "wouldPass"))
    clause = clause or "(the server's gate)"
    return ScopeError(code, f"the server's gate refused: {code}", clause=clause, would_pass=passes)
