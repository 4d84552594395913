"""Arithmetic of limits: reserve, settle, release, exact and never past a limit.

A store lends its tables as a `Book`; the rules are here once, so that every store keeps them alike. The caller holds
the store's transaction around each call, which is what makes check and write one step.

Source: protocol-spec/06-scope.md, section 6.6
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from undersigned.encoding import Amount, Instant, add_amounts, compare_amounts, subtract_amounts
from undersigned.errors import LedgerConflict, LedgerError, ScopeError
from undersigned.ledger.base import Commit, Reservation, Spent

__all__ = ["Book", "Entry", "book", "counted", "recounted", "release", "reserve", "settle"]

EntryState: TypeAlias = Literal["open", "settled", "released", "lapsed"]


class Entry(Struct, frozen=True):
    """A reservation and what became of it."""

    reservation: Reservation
    state: EntryState = "open"
    actual: Mapping[str, Amount] = {}
    """What was really used, once settled."""


class Book(Protocol):
    """The tables of a store that limits are kept in."""

    def find(self, id: str) -> Entry | None:
        """The entry with this id."""
        ...

    def put(self, entry: Entry) -> None:
        """Write an entry, in place of the one with its id."""
        ...

    def total(self, contract: str, key: str) -> tuple[Amount, Amount]:
        """(used, held) of one key, "0" if never drawn on."""
        ...

    def set_total(self, contract: str, key: str, used: Amount, held: Amount) -> None:
        """Write the two."""
        ...

    def lapsed(self, contract: str, now: Instant) -> Sequence[Entry]:
        """Open capacity entries of a contract whose `until` is before `now`."""
        ...


def reserve(book: Book, wanted: Reservation) -> dict[str, Amount]:
    """Take `wanted`, or raise and take nothing (see `Ledger.reserve`)."""
    known = book.find(wanted.id)
    if known is not None:
        held = known.reservation
        promised = wanted.kind == "capacity"
        same = _content(held) == _content(wanted)
        if same and known.state == "open" and (promised or held.until == wanted.until):
            if promised:  # for longer, perhaps: it takes no more room
                book.put(Entry(wanted))
            return {draw.key: add_amounts(*book.total(wanted.contract, draw.key)) for draw in wanted.draws}
        if not (same and promised and known.state in ("lapsed", "released")):
            # Settled means that the action was done: reserving it again would let it be done twice.
            raise LedgerConflict("store_conflict", f"reservation {wanted.id} exists already and is {known.state}")
    for entry in book.lapsed(wanted.contract, wanted.at):
        _give_back(book, entry, "lapsed")
    taken: dict[str, tuple[Amount, Amount]] = {}
    for draw in wanted.draws:
        if compare_amounts(draw.amount, "0") < 0:
            # A negative amount would widen the limit for the next one.
            raise ScopeError("scope_exceeded", f"{draw.key}: {draw.amount} is not an amount to reserve", key=draw.key)
        used, held = taken.get(draw.key) or book.total(wanted.contract, draw.key)
        before, held = held, add_amounts(held, draw.amount)
        beside = add_amounts(*book.total(wanted.contract, draw.beside)) if draw.beside is not None else "0"
        if draw.max is not None and compare_amounts(add_amounts(add_amounts(used, held), beside), draw.max) > 0:
            raise ScopeError(
                "scope_exceeded",
                f"{draw.key}: {add_amounts(used, beside)} used and {before} held; {draw.amount} more is above the "
                f"limit of {draw.max}",
                key=draw.key,
            )
        taken[draw.key] = used, held
    for key, (used, held) in taken.items():
        book.set_total(wanted.contract, key, used, held)
    book.put(Entry(wanted))
    return {key: add_amounts(used, held) for key, (used, held) in taken.items()}


def settle(book: Book, spent: Spent) -> None:
    """Replace what was held by what was used, or raise and change nothing (see `Ledger.settle`)."""
    entry = book.find(spent.id)
    if entry is None:
        raise LedgerError("not_found", f"no reservation {spent.id}")
    actual = dict(spent.amounts)
    if entry.state == "settled" and dict(entry.actual) == actual:
        return
    if entry.state != "open":
        raise LedgerConflict("store_conflict", f"reservation {spent.id} is {entry.state} already")
    drawn = {draw.key for draw in entry.reservation.draws}
    for key, amount in actual.items():
        if key not in drawn or compare_amounts(amount, "0") < 0:
            raise LedgerError("not_found", f"reservation {spent.id} holds nothing of {key} that {amount} can settle")
    contract = entry.reservation.contract
    _unhold(book, entry)
    for key, amount in actual.items():
        used, held = book.total(contract, key)
        book.set_total(contract, key, add_amounts(used, amount), held)
    book.put(Entry(entry.reservation, "settled", actual))


def release(book: Book, id: str) -> None:
    """Give back what was held (see `Ledger.release`)."""
    entry = book.find(id)
    if entry is None or entry.state in ("released", "lapsed"):
        return
    if entry.state == "settled":
        raise LedgerConflict("store_conflict", f"reservation {id} is settled: what was used is not given back")
    _give_back(book, entry, "released")


def book(book: Book, commit: Commit) -> None:
    """All that a commit books. What it gives back first makes room for what it takes, as a counter-offer does for the
    offer that it follows.
    """
    for id in commit.release:
        release(book, id)
    for reservation in commit.reserve:
        reserve(book, reservation)
    for spent in commit.settle:
        settle(book, spent)


def counted(totals: Mapping[str, tuple[Amount, Amount]], lapsed: Iterable[Entry]) -> dict[str, Amount]:
    """For each key of (used, held) `totals` the two together, less what the `lapsed` entries still seem to hold."""
    found = {key: add_amounts(used, held) for key, (used, held) in totals.items()}
    for entry in lapsed:
        for draw in entry.reservation.draws:
            found[draw.key] = subtract_amounts(found[draw.key], draw.amount)
    return found


def recounted(entries: Iterable[Entry]) -> dict[tuple[str, str], tuple[Amount, Amount]]:
    """(used, held) for each (contract, key), summed up again from all entries."""
    totals: dict[tuple[str, str], tuple[Amount, Amount]] = {}
    for entry in entries:
        contract = entry.reservation.contract
        for draw in entry.reservation.draws:
            used, held = totals.get((contract, draw.key), ("0", "0"))
            now = add_amounts(held, draw.amount) if entry.state == "open" else held
            totals[contract, draw.key] = used, now
        for key, amount in entry.actual.items():
            used, held = totals.get((contract, key), ("0", "0"))
            totals[contract, key] = add_amounts(used, amount), held
    return totals


def _content(reservation: Reservation) -> tuple[object, ...]:
    """What may not change under one id. A service's own capacity may: it is configured anew between two processes."""
    draws: object = reservation.draws
    if reservation.kind == "capacity":
        draws = [(draw.key, draw.amount) for draw in reservation.draws]
    return reservation.contract, reservation.kind, draws


def _give_back(book: Book, entry: Entry, state: EntryState) -> None:
    _unhold(book, entry)
    book.put(Entry(entry.reservation, state))


def _unhold(book: Book, entry: Entry) -> None:
    for draw in entry.reservation.draws:
        used, held = book.total(entry.reservation.contract, draw.key)
        book.set_total(entry.reservation.contract, draw.key, used, subtract_amounts(held, draw.amount))
