"""The gate: what is asked is held against the sealed contract, and what it takes of a limit is booked first.

The same gate stands on both sides. The provider's runtime asks it before it acts, the hirer's servers before they
answer; each side books in its own ledger. An answer that was not yes is recorded, signed, by whoever lends `record`.

Source: protocol-spec/06-scope.md, sections 6.6 and 6.7
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

import msgspec
import structlog

from undersigned.contract import ContractDocument
from undersigned.encoding import Amount, Digest, Instant, add_amounts, shift, subtract_amounts
from undersigned.errors import (
    LedgerConflict,
    LedgerError,
    LedgerUnavailable,
    ProofError,
    ScopeError,
    UndersignedError,
    text_of,
)
from undersigned.ledger import Draw, Ledger, Reservation, Spent
from undersigned.messages import Usage
from undersigned.runtime.application import contained
from undersigned.runtime.clock import Clock
from undersigned.runtime.names import fresh_urn
from undersigned.scope import APPROVAL, Action, Approved, GateDecision, Labels, Scope, permits, read_scope
from undersigned.scope import counter as counter_of

__all__ = ["CHILDREN", "Above", "Gate", "Permit", "Refusal", "Resolver", "used_of"]

CHILDREN: Final = "children"
"""In place of a period's beginning: what hires under a contract may take of a limit per period, counted in any."""
REPEAT_SECONDS: Final = 60
"""The same refusal is recorded again after so long, and then after twice as long each time; the next record says how
often it was repeated.
"""
MAX_REFUSALS: Final = 1024
"""Refusals recorded under one contract: who asks is the one who would fill the store, and the evidence."""
_OTHERS: Final = ()
"""In place of the one more that is told apart: all that are more."""

FORGOTTEN_SECONDS: Final = 180
"""For longer than this no signed request from before a restart is taken (HIRE-RQS-01)."""

Resolver: TypeAlias = Callable[[str], Awaitable[Mapping[str, str]]]
"""What an application knows about a target, by label; raises if it cannot tell."""

Above: TypeAlias = Callable[[Digest, Action | None, Instant], Awaitable[None]]
"""Returns if the contracts above one give authority, and allow an action, too; raises `ScopeError` if not, or if that
cannot be told.
"""

_log = structlog.get_logger()


class Permit(msgspec.Struct, frozen=True):
    """An allowed action, booked. Its id is the idempotency key that goes to the resource."""

    id: str
    decision: GateDecision

    def used(self, amounts: Mapping[str, Amount] | None = None) -> Spent:
        """What was really used, in place of what was reserved, by unit; one left out is taken as reserved."""
        given = amounts or {}
        return Spent(
            self.id,
            {
                # Of a limit per period as of one in all.
                f"{charge.clause}/{charge.counter}": given.get(charge.limit.partition(".")[0], charge.amount)
                for charge in self.decision.charges
            },
        )


class Refusal(msgspec.Struct, frozen=True):
    """One answer that was not yes, to be recorded."""

    action: Action
    """With the facts that the gate knew."""
    error: ScopeError
    at: Instant
    repeated: int
    """How often it was given since its last record."""


class _Told(msgspec.Struct):
    at: Instant
    pause: int = REPEAT_SECONDS
    """For so many seconds it is not told again."""
    repeated: int = 0


class Gate:
    """One side's gate for all its contracts.

    `require` returns if the other side's credentials still hold under a contract, and raises `ScopeError` if not, or if
    that cannot be told; without it nobody's credentials matter here. `record` keeps a refusal under a contract.
    `above` asks the contracts that this one stands under.
    `labels` are what is known about targets, `resolve` what the application knows besides. Without both, the facts are
    those that the action is asked with, so its caller has to know them.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        require: Callable[[Digest], Awaitable[None]] | None = None,
        *,
        record: Callable[[Digest, Refusal], Awaitable[None]] | None = None,
        above: Above | None = None,
        labels: Labels | None = None,
        resolve: Resolver | None = None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._require = require
        self._record = record
        self._above = above
        self.labels = labels
        self.resolve = resolve
        self._scopes: dict[Digest, tuple[ContractDocument, Scope]] = {}
        self._told: dict[Digest, dict[tuple[str, ...], _Told]] = {}
        self._last: Instant | None = None
        self._since: Instant = ""
        """When the first request asked here."""

    def scope(self, contract: Digest, document: ContractDocument) -> Scope:
        """The scope of a contract, by the document in force, as people read it."""
        kept = self._scopes.get(contract)
        if kept is None or kept[0] is not document:
            kept = self._scopes[contract] = document, read_scope(document.terms.scope)
        return kept[1]

    def forget(self, contract: Digest) -> None:
        """Drops what is cached about a contract."""
        self._scopes.pop(contract, None)
        self._told.pop(contract, None)

    async def admit(
        self,
        contract: Digest,
        document: ContractDocument,
        state: str,
        action: Action,
        *,
        approved: Collection[Approved] = (),
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
        sealed_at: Instant = "",
    ) -> Permit:
        """Books `action` under `contract`, once its scope allows it; the caller acts and then settles.

        `approved` are the approvals recorded under this contract. `headers` are those with which the resource itself
        answered, never the requester's: they may carry labels. `name` is that of a request which may ask once; nonces
        are kept in memory, and after a restart what is booked under a name still is. `sealed_at` is when the contract
        was: before that nobody asked under it.

        Raises:
            ScopeError: `scope_exceeded`, with the clause and what would pass; `approval_required`, with the clause that
                asks; `contract_expired`, the contract gives no authority in this state or no longer; `revoked`,
                `status_unavailable` and others of `require`. Each is recorded.
            ProofError: `replayed`: something is booked under this `name`.
            LedgerError: It could not be booked, so it is not done.
        """
        now = await self._now()
        self._since = self._since or now
        known, until = action, document.terms.deadlines.until
        try:
            if name is not None and sealed_at <= self._since and await self._is_open(contract, name, now):
                raise _replayed()
            self._in_force(document, state, now)
            scope = self.scope(contract, document)
            known = await self._labelled(scope, action, headers)
            if self._above is not None:
                await self._above(contract, known, now)
            if self._require is not None:
                # After everything that costs nothing: this may have to ask somebody.
                await self._require(contract)
                # Which takes as long as whoever was asked likes: what ended meanwhile has ended.
                now = await self._now()
                self._in_force(document, state, now)
            # The store has the last word on what is left, so what was used is read only after it said no.
            try:
                return await self._book(contract, permits(scope, {}, known, now, approved).require(), until, now, name)
            except ScopeError:
                used = await self._used(contract, scope, now)
                return await self._book(
                    contract, permits(scope, used, known, now, approved).require(), until, now, name
                )
        except ScopeError as error:
            await self._refused(contract, known, error, now)
            raise

    async def foresee(self, contract: Digest, document: ContractDocument, action: Action) -> GateDecision:
        """What the scope would say to `action` now, after what was used. It books nothing, and binds nobody: whoever
        acts asks again.
        """
        now, scope = await self._now(), self.scope(contract, document)
        used = await self._used(contract, scope, now)
        return permits(scope, used, await self._labelled(scope, action, None), now)

    async def enter(self, contract: Digest, document: ContractDocument, state: str, action: Action) -> None:
        """Returns if the contract gives authority at all now, for what takes nothing of it. `action` is for the record.

        Raises:
            ScopeError: `contract_expired`, or what `require` raises. It is recorded.
        """
        now = await self._now()
        try:
            self._in_force(document, state, now)
            if self._above is not None:
                await self._above(contract, None, now)
            if self._require is not None:
                await self._require(contract)
                now = await self._now()
                self._in_force(document, state, now)
        except ScopeError as error:
            await self._refused(contract, action, error, now)
            raise

    async def refuse(self, contract: Digest, action: Action, error: ScopeError) -> None:
        """Records what was refused before the contract had to be asked, such as by the rules of a server's gate."""
        await self._refused(contract, action, error, await self._now())

    async def _now(self) -> Instant:
        """The present, never before anything that the ledger holds: a clock that was set back revives no contract."""
        if self._last is None:
            self._last = await self._ledger.last_at() or ""
        self._last = max(self._last, self._clock.now())
        return self._last

    @staticmethod
    def _in_force(document: ContractDocument, state: str, now: Instant) -> None:
        """Authority exists in `working` only, and within the contract's own time."""
        times = document.terms.deadlines
        if state != "working":
            raise _ended(f"the contract gives no authority while it is {state}", "state")
        if times.not_before is not None and now < times.not_before:
            raise _ended("it has not begun", "notBefore", f"from {times.not_before}")
        if now > times.until:
            raise _ended("the contract is past its end", "until")

    async def _labelled(self, scope: Scope, action: Action, headers: Mapping[str, str] | None) -> Action:
        """The action with the facts that this side knows about its target."""
        if (self.labels is None and self.resolve is None) or not any(grant.conditions for grant in scope.grants):
            return action
        labels = self.labels or Labels()
        said: Mapping[str, str] = {}
        try:
            if self.resolve is not None:
                said = await contained(partial(self.resolve, action.target))
            facts = labels.facts(action.target, headers, said)
        except Exception as exc:
            # What cannot be looked up is not known, whatever a rule says; what comes may be of any kind.
            _log.warning("a target has no labels", target=action.target[:200], error=text_of(exc, repr))
            facts = labels.unlabelled
        return msgspec.structs.replace(action, facts=facts)

    async def _book(
        self, contract: Digest, decision: GateDecision, until: Instant, now: Instant, name: str | None
    ) -> Permit:
        identifier = name or fresh_urn()
        draws = tuple(
            Draw(
                f"{charge.clause}/{charge.counter}",
                charge.amount,
                charge.maximum,
                # What children may take in any period is not there for us; in all, it is held under the same key.
                beside=f"{charge.clause}/{charge.limit}@{CHILDREN}" if "@" in charge.counter else None,
            )
            for charge in decision.charges
        )
        try:
            totals = await self._ledger.reserve(
                Reservation(contract=contract, id=identifier, draws=draws, until=until, at=now)
            )
        except LedgerConflict as exc:  # no other has a fresh identifier
            raise _replayed() from exc
        except (asyncio.CancelledError, LedgerUnavailable):
            if name is None:  # else something before may be booked under it
                # Whoever asked has left, or asks anew; the store takes this behind what it may be writing, and what
                # it did not say that it wrote may be written (decision 0063).
                with suppress(LedgerError):
                    await self._ledger.release(identifier)
            raise
        remaining = {
            charge.limit: subtract_amounts(charge.maximum, totals[draw.key])
            for charge, draw in zip(decision.charges, draws, strict=True)
            if charge.limit != APPROVAL
        }
        return Permit(identifier, msgspec.structs.replace(decision, remaining=remaining))

    async def _is_open(self, contract: Digest, name: str, now: Instant) -> bool:
        """Whether an action is under way that was booked under this name before our start; later ones are known by
        their nonces.
        """
        if now > shift(self._since, FORGOTTEN_SECONDS):
            return False
        return any(one.id == name for one in await self._ledger.open_reservations(contract, name))

    async def _used(self, contract: Digest, scope: Scope, now: Instant) -> dict[str, dict[str, str]]:
        used: dict[str, dict[str, str]] = {}
        for key, amount in (await self._ledger.usage(contract, now)).items():
            clause, _, counter = key.partition("/")
            used.setdefault(clause, {})[counter] = amount
        for grant in scope.grants:
            found = used.get(grant.id, {})
            for limit in grant.limits:
                held = found.get(f"{limit.name}@{CHILDREN}", "0")
                if held != "0":
                    name = counter_of(limit, now)
                    found[name] = add_amounts(found.get(name, "0"), held)
        return used

    async def _refused(self, contract: Digest, action: Action, error: ScopeError, now: Instant) -> None:
        """Records a refusal. That it cannot be recorded changes no answer."""
        if self._record is None:
            return
        told = self._told.setdefault(contract, {})
        asked = (action.name[:256], action.target[:2048], str(sorted(action.amounts.items()))[:2048])
        key = (*asked, str(error.detail.get("clause")), error.code)
        if key not in told and len(told) >= MAX_REFUSALS:
            key = _OTHERS
        known = told.get(key)
        if known is not None and now < shift(known.at, known.pause):
            known.repeated += 1
            return
        told[key] = _Told(now, 2 * known.pause if known else REPEAT_SECONDS)
        if key == _OTHERS:
            _log.warning("refused, and too often to be recorded", contract=contract, error=str(error))
            return
        try:
            await self._record(contract, Refusal(action, error, now, known.repeated if known else 0))
        except UndersignedError as exc:
            told.pop(key, None)  # the next one is tried again
            log = _log.warning if exc.code == "connection_closed" else _log.error  # who closes writes nothing more
            log("a refusal was not recorded", contract=contract, refused=str(error), error=str(exc))

    async def settle(self, permit: Permit, amounts: Mapping[str, Amount] | None = None) -> None:
        """Books what was really used, at once; where there is a conversation, it does so with what it stores next."""
        spent = permit.used(amounts)
        await self._ledger.settle(spent.id, spent.amounts)

    async def release(self, permit: Permit) -> None:
        """Gives back what was reserved: the action is known not to have happened."""
        await self._ledger.release(permit.id)

    async def usage(self, contract: Digest) -> tuple[Usage, ...]:
        """What was used under a contract, clause by clause, for a `Delivery` or `Closing`."""
        return used_of(await self._ledger.usage(contract))


def used_of(totals: Mapping[str, Amount]) -> tuple[Usage, ...]:
    """What was used clause by clause, of what `Ledger.usage` counts for a contract by each limit and period."""
    used: dict[tuple[str, str], Amount] = {}
    for key, amount in sorted(totals.items()):
        clause, _, counter = key.partition("/")
        if "@" not in counter and ":" not in counter and amount != "0":
            used[clause, counter] = amount
    return tuple([Usage(clause=clause, unit=unit, amount=amount) for (clause, unit), amount in used.items()])


def _replayed() -> ProofError:
    return ProofError("replayed", "this request was admitted before")


def _ended(reason: str, clause: str, would_pass: str = "") -> ScopeError:
    return ScopeError("contract_expired", reason, clause=clause, would_pass=would_pass)
