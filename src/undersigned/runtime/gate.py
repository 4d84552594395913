"""The gate: what is asked is held against the sealed contract, and what it takes of a limit is booked first.

The same gate stands on both sides. The provider's runtime asks it before it acts, the hirer's servers before they
answer; each side books in its own ledger.

Source: protocol-spec/06-scope.md, section 6.6
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from undersigned.contract import ContractDocument
from undersigned.encoding import Amount, Digest, Instant
from undersigned.errors import ScopeError
from undersigned.ledger import Draw, Ledger, Reservation, Settlement
from undersigned.messages import Usage
from undersigned.scope import Action, GateDecision, Scope, permits, read_scope

from .clock import Clock
from .names import fresh_urn

__all__ = ["Gate", "Permit"]


class Permit(msgspec.Struct, frozen=True):
    """An allowed action, booked. Its id is the idempotency key that goes to the resource."""

    id: str
    decision: GateDecision

    def used(self, amounts: Mapping[str, Amount] | None = None) -> Settlement:
        """What was really used, in place of what was reserved; a unit left out is taken as reserved."""
        given = amounts or {}
        return Settlement(
            self.id,
            {
                f"{charge.clause}/{charge.counter}": given.get(charge.counter.partition("@")[0], charge.amount)
                for charge in self.decision.charges
            },
        )


class Gate:
    """One side's gate for all its contracts.

    `require` returns if the other side's credentials still hold under a contract, and raises `ScopeError` if not, or if
    that cannot be told; without it nobody's credentials matter here.
    """

    def __init__(
        self, ledger: Ledger, clock: Clock, require: Callable[[Digest], Awaitable[None]] | None = None
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._require = require
        self._scopes: dict[Digest, Scope] = {}

    def scope(self, contract: Digest, document: ContractDocument) -> Scope:
        """The scope of a contract as people read it."""
        scope = self._scopes.get(contract)
        if scope is None:
            scope = self._scopes[contract] = read_scope(document.terms.scope)
        return scope

    def forget(self, contract: Digest) -> None:
        """Drops what is cached about a contract."""
        self._scopes.pop(contract, None)

    async def admit(
        self, contract: Digest, document: ContractDocument, state: str, action: Action, *, until: Instant
    ) -> Permit:
        """Books `action` under `contract`, once its scope allows it; the caller acts and then settles.

        Raises:
            ScopeError: `scope_exceeded`, with the clause and what would pass; `contract_expired`, the contract gives
                no authority in this state or no longer; `revoked`, `status_unavailable` and others of `require`.
            LedgerError: It could not be booked, so it is not done.
        """
        now = self._clock.now()
        # Authority exists in `working` only, and within the contract's own end.
        if state != "working":
            raise ScopeError(
                "contract_expired",
                f"the contract gives no authority while it is {state}",
                clause="state",
                would_pass="",
            )
        not_before = document.terms.deadlines.not_before
        if not_before is not None and now < not_before:
            raise ScopeError("contract_expired", "it has not begun", clause="notBefore", would_pass=not_before)
        if now > document.terms.deadlines.until:
            raise ScopeError("contract_expired", "the contract is past its end", clause="until", would_pass="")
        scope = self.scope(contract, document)
        if self._require is not None:
            # After everything that costs nothing: this may have to ask somebody.
            await self._require(contract)
        # The store has the last word on what is left, so what was used is read only after it said no.
        try:
            return await self._book(contract, permits(scope, {}, action, now).require(), until, now)
        except ScopeError:
            used = await self._used(contract, now)
            return await self._book(contract, permits(scope, used, action, now).require(), until, now)

    async def _book(self, contract: Digest, decision: GateDecision, until: Instant, now: Instant) -> Permit:
        permit = Permit(id=fresh_urn(), decision=decision)
        draws = tuple(
            Draw(f"{charge.clause}/{charge.counter}", charge.amount, charge.maximum) for charge in decision.charges
        )
        await self._ledger.reserve(Reservation(contract=contract, id=permit.id, draws=draws, until=until, at=now))
        return permit

    async def _used(self, contract: Digest, now: Instant) -> dict[str, dict[str, str]]:
        used: dict[str, dict[str, str]] = {}
        for key, amount in (await self._ledger.usage(contract, now)).items():
            clause, _, counter = key.partition("/")
            used.setdefault(clause, {})[counter] = amount
        return used

    async def release(self, permit: Permit) -> None:
        """Gives back what was reserved: the action is known not to have happened."""
        await self._ledger.release(permit.id)

    async def usage(self, contract: Digest) -> tuple[Usage, ...]:
        """What was used under a contract, clause by clause, for a `Delivery` or `Closing`."""
        totals: dict[tuple[str, str], Amount] = {}
        for key, amount in sorted((await self._ledger.usage(contract)).items()):
            clause, _, counter = key.partition("/")
            if "@" not in counter and amount != "0":
                totals[clause, counter] = amount
        return tuple(Usage(clause=clause, unit=unit, amount=amount) for (clause, unit), amount in totals.items())
