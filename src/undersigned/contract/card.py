"""The contract as a card for people: plain text, so it can be shown anywhere.

What agents wrote is untrusted: control characters are dropped, so a name can neither forge a line nor move a cursor,
and every value is cut to a length.

Source: protocol-spec/07-contract.md, section 7.2
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from undersigned.contract.check import DocumentName, read_contract
from undersigned.contract.terms import Terms
from undersigned.encoding import digest_of
from undersigned.scope import read_scope

__all__ = ["contract_card", "plain", "terms_card"]

WIDTH: Final = 12
MAX_VALUE: Final = 160


def plain(text: object, limit: int = MAX_VALUE) -> str:
    """The text on one line: without control, format and private characters, cut to `limit` characters."""
    kept = "".join(
        " " if character.isspace() else character
        for character in str(text)[: limit * 4]
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    return kept if len(kept) <= limit else f"{kept[: limit - 1]}…"


def contract_card(
    document: Mapping[str, Any], seal: Mapping[str, Any] | None = None, *, state: str | None = None
) -> str:
    """The contract in a few lines; with its `seal` it says so, without it says what is missing. `state` is what the
    engagement has come to since.

    Nothing is verified here beyond the document's shape: show what `verify_sealed` gave.

    Raises:
        FormatError: As `read_contract`.
        ContractError: As `read_contract`.
    """
    read = read_contract(document)
    name, organisations = DocumentName.parse(read.id), read.organisations
    signed = 0 if read.proof is None else len(read.proof) if isinstance(read.proof, tuple) else 1
    states = ("a draft, not signed", f"offered by the {name.role}", "signed by both, not sealed")
    made = "sealed" if seal is not None else states[min(signed, 2)]
    return terms_card(
        read.terms,
        hirer=_party(read.hirer, organisations and organisations.hirer),
        provider=_party(read.provider, organisations and organisations.provider),
        title=("Contract", digest_of(document)),
        state=state or made,
    )


def terms_card(terms: Terms, *, hirer: str, provider: str, title: tuple[str, str], state: str) -> str:
    """The same lines for terms that may be in no document yet; `title` is a label and what the terms are named by.

    Raises:
        FormatError: The scope is not well-formed.
    """
    scope = read_scope(terms.scope, understood=terms.scope.critical or ())
    lines = [
        title,
        ("Hirer", hirer),
        ("Provider", provider),
        ("Task", f"{terms.task.kind}: {terms.task.summary}"),
    ]
    for deliverable in terms.deliverables:
        criteria = "; ".join(criterion.text for criterion in deliverable.criteria)
        most = f", {deliverable.max_bytes} bytes at most" if deliverable.max_bytes is not None else ""
        about = f"{deliverable.name} ({deliverable.media_type}{most})"
        lines.append(("Delivers", f"{about}{': ' if criteria else ''}{criteria}"))
    lines += scope.lines()
    lines += [
        ("Price", f"{terms.price.amount} {terms.price.currency}, settled by {terms.settlement.method}"),
        *(
            ("Milestone", f"{one.percent} % of it for {one.name}, once met: {', '.join(one.criteria)}")
            for one in terms.settlement.milestones
        ),
        ("Start by", terms.deadlines.start),
        ("Finish by", f"{terms.deadlines.finish}; authority until {terms.deadlines.until}"),
        ("Evidence", ", ".join(terms.evidence.predicates) or "a statement of the work"),
        *((("Judged by", terms.evidence.verifier),) if terms.evidence.verifier is not None else ()),
    ]
    lines.append(("State", state))
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label.ljust(max(width, WIDTH))}  {plain(value)}" for label, value in lines)


def _party(did: str, organisation: str | None) -> str:
    return f"{did} of {organisation}" if organisation else did
