"""The contract as a card for people: plain text, so it can be shown anywhere.

What agents wrote is untrusted: control characters are made visible, so a name can neither forge a line nor move a
cursor, nor hide that it is another one, and every value is cut to a length.

Source: protocol-spec/07-contract.md, section 7.2; 10-security.md, section 10.6
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from undersigned.contract.check import DocumentName, read_contract
from undersigned.contract.document import AmendmentDocument
from undersigned.contract.terms import Evidence, Terms
from undersigned.encoding import digest_of
from undersigned.scope import whole_scope

__all__ = ["contract_card", "plain", "terms_card"]

WIDTH: Final = 12
MAX_VALUE: Final = 160


def plain(text: object, limit: int = MAX_VALUE) -> str:
    """The text on one line: control, format and private characters escaped, cut to `limit` characters."""
    shown = "".join(
        " " if character.isspace() else character if character.isprintable() else repr(character)[1:-1]
        for character in str(text)[: limit + 1]
    )
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def contract_card(
    document: Mapping[str, Any],
    seal: Mapping[str, Any] | None = None,
    *,
    state: str | None = None,
    most: int = MAX_VALUE,
) -> str:
    """The contract in a few lines, of which each says at most so many characters; with its `seal` it says so, without
    it says what is missing. `state` is what the engagement has come to since.

    An amendment has the name of its contract, by which commands know it. Nothing is verified here beyond the document's
    shape: show what `verify_sealed` gave.

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
        title=("Contract", read.contract if isinstance(read, AmendmentDocument) else digest_of(document)),
        state=state or made,
        most=most,
    )


def terms_card(
    terms: Terms, *, hirer: str, provider: str, title: tuple[str, str], state: str, most: int = MAX_VALUE
) -> str:
    """The same lines for terms that may be in no document yet; `title` is a label and what the terms are named by.

    Raises:
        FormatError: The scope is not well-formed.
    """
    scope = whole_scope(terms.scope)
    lines = [
        title,
        ("Hirer", hirer),
        ("Provider", provider),
        ("Task", f"{terms.task.kind}: {terms.task.summary}"),
    ]
    for deliverable in terms.deliverables:
        criteria = "; ".join(criterion.text for criterion in deliverable.criteria)
        bound = f", {deliverable.max_bytes} bytes at most" if deliverable.max_bytes is not None else ""
        about = f"{deliverable.name} ({deliverable.media_type}{bound})"
        lines.append(("Delivers", f"{about}{': ' if criteria else ''}{criteria}"))
    lines += scope.lines()
    lines += [
        ("Price", f"{terms.price}, settled by {terms.settlement.method}"),
        *((("Paid by", terms.settlement.hook),) if terms.settlement.hook is not None else ()),
        *(
            ("Milestone", f"{one.percent} % of it for {one.name}, once met: {', '.join(one.criteria)}")
            for one in terms.settlement.milestones
        ),
        ("Start by", terms.deadlines.start),
        ("Finish by", f"{terms.deadlines.finish}; authority until {terms.deadlines.until}"),
        ("Evidence", "; ".join(_evidence(terms.evidence))),
        *_others(terms),
    ]
    lines.append(("State", state))
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label.ljust(max(width, WIDTH))}  {plain(value, most)}" for label, value in lines)


def _evidence(evidence: Evidence) -> Iterator[str]:
    if evidence.sbom is not None:
        yield f"a bill of materials, {evidence.sbom}"
    if evidence.c2pa:
        yield "a C2PA manifest in media"
    yield ", ".join(evidence.predicates) or "a statement of the work"


def _others(terms: Terms) -> Iterator[tuple[str, str]]:
    """Who else has a part in it, what silence means, what becomes of the data; a part that is not allowed has no
    line. What its writer may word freely comes last, so that nothing behind it is cut off.
    """
    if terms.evidence.verifier is not None:
        yield "Judged by", terms.evidence.verifier
    if terms.arbiter is not None:
        yield "Arbiter", terms.arbiter
    if terms.reworks:
        yield "Rework", f"may be asked for {terms.reworks} {'time' if terms.reworks == 1 else 'times'}"
    yield "Silence", f"where the hirer lets the time for its review pass, the work counts as {terms.on_silence}"
    if terms.termination.convenience == "notice":
        yield "Early end", f"without cause, after {terms.termination.notice}"
    if terms.termination.convenience == "fee" and (fee := terms.termination.fee) is not None:
        yield "Early end", f"without cause, for {fee}"
    if terms.subcontracting.allowed:
        depth = terms.subcontracting.depth
        yield "Subcontracts", f"{depth} {'level' if depth == 1 else 'levels'} of others may be hired for it"
    data = terms.data_handling
    words = (
        "not kept" if data.retention == "PT0S" else f"kept for {data.retention} after the end",
        "may be passed on to who is hired for it" if data.onward else "not passed on",
        "models may be trained on it" if data.training else "no training",
        *((f"of the classes {', '.join(data.classes)}",) if data.classes else ()),
        f"for {data.purpose}",
    )
    yield "Data", ", ".join(words)


def _party(did: str, organisation: str | None) -> str:
    return f"{did} of {organisation}" if organisation else did
