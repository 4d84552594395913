"""Documents that change a contract: what is on the table, and where its terms are others than those in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from undersigned.contract import ContractDocument, Document, ReleaseDocument, Terms, rebase
from undersigned.encoding import canonicalize, from_struct
from undersigned.protocol import Tabled
from undersigned.scope import SKETCH_BASE, WireScope, whole_scope
from undersigned.trust import Difference, differences

from .words import WHOLE, plain

__all__ = ["Table", "changed_terms", "changes_json", "on_the_table", "table_answer", "table_json", "table_lines"]


class Table(NamedTuple):
    """The document on the table."""

    document: Document
    changes: tuple[Difference, ...]
    """Of an amendment: where its terms are others than those in force."""


def on_the_table(document: Document, in_force: ContractDocument) -> Table:
    """The document, and what it would change of the one in force."""
    changes = () if isinstance(document, ReleaseDocument) else changed_terms(in_force.terms, document.terms)
    return Table(document, changes)


def changed_terms(before: Terms, after: Terms) -> tuple[Difference, ...]:
    """Where other terms say something else than those before: of the scope by clause, in the words of the card."""
    old, new = (rebase(one, SKETCH_BASE) for one in (before, after))
    clauses = [_clauses(one.scope) for one in (old, new)]
    named = dict.fromkeys(name for one in clauses for name in one)
    told = [Difference(name, *(one.get(name, "nothing") for one in clauses)) for name in named]
    rest = differences("", old, replace(new, scope=old.scope))
    return (*rest, *(one for one in told if one.recorded != one.now))


def changes_json(changes: Iterable[Difference]) -> list[dict[str, str]]:
    """Changes of terms, for programs."""
    return [{"what": one.what.strip(), "inForce": one.recorded, "proposed": one.now} for one in changes]


def _clauses(wire: WireScope) -> dict[str, str]:
    """What a scope says, by what each clause is and its name: `May [notes]`."""
    scope = whole_scope(wire)
    lines = [(label, *text.split(" ", 1)) for label, text in scope.lines() if label != "Also"]
    said = {f"{label} {name}": words for label, name, words in lines}
    for uri, value in scope.extensions.items():
        said[f"Also {uri}"] = f"{canonicalize(value).decode()}{', critical' if uri in scope.critical else ''}"
    return said


def table_json(tabled: Tabled | None, table: Table | None) -> dict[str, Any] | None:
    """What is on the table, for programs."""
    if tabled is None or table is None:
        return None
    said = {
        "document": tabled.document,
        "type": tabled.kind,
        "owner": tabled.owner,
        "validUntil": tabled.valid_until,
        "accepted": tabled.acceptance is not None,
        "overtaken": tabled.overtaken is not None,
    }
    document = table.document
    if isinstance(document, ReleaseDocument):
        return {**said, "settlement": from_struct(document.settlement), "reason": document.reason}
    return {**said, "terms": from_struct(document.terms), "changes": changes_json(table.changes)}


def table_lines(tabled: Tabled | None, table: Table | None) -> Iterator[str]:
    """What is on the table: of an amendment what it changes, of a release what is owed by it and why."""
    if tabled is None or table is None:
        return
    yield f"On the table  {tabled.kind} {tabled.document}, offered by the {tabled.owner}, {table_answer(tabled)}"
    document = table.document
    if isinstance(document, ReleaseDocument):
        owed = document.settlement
        yield f"              {owed} owed, all told; {plain(document.reason, WHOLE)!r}"
    for one in table.changes:
        what, now, before = plain(one.what.strip(), 200), plain(one.now, WHOLE), plain(one.recorded, WHOLE)
        yield f"              {what}: {now} (in force: {before})"


def table_answer(tabled: Tabled) -> str:
    """Whose answer is missing, and which."""
    if tabled.acceptance is None:
        return f"to be answered by {tabled.valid_until}"
    if tabled.overtaken is None:
        return f"accepted: the {tabled.owner} owes its seal, or withdraws"
    return f"accepted, and overtaken by the work: the {tabled.owner} withdraws, unless it had sealed before"
