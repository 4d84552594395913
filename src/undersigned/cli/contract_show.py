"""A contract as our ledger has it, for people and programs: what `contract show` says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from undersigned.contract import ContractDocument, Document, contract_card, read_parents, read_ruling
from undersigned.credentials import Credential, read_presentation
from undersigned.encoding import Amount, Digest, add_amounts, from_struct, subtract_amounts
from undersigned.errors import ConfigurationError, LedgerUnavailable
from undersigned.ledger import Ledger, Row, booked, surely_unwritten
from undersigned.messages import (
    Artifact,
    Cancel,
    Closing,
    Delivery,
    Dispute,
    Message,
    Offer,
    Presentation,
    Problem,
    Review,
    Ruling,
    Usage,
    recorded_message,
)
from undersigned.protocol import ENDED, HIRER, Contract, Engagement, Presence, Right, Role, owed, presence, rights
from undersigned.runtime import (
    Home,
    SystemClock,
    Wanted,
    awaited,
    books_differ,
    came_early,
    held_until,
    load_engagement,
    lost_at,
    open_requests,
    used_of,
    word_of,
)
from undersigned.scope import amount_in_words, whole_scope

from .contract_table import Table, on_the_table, table_json, table_lines
from .ledger import mute_in
from .output import Out, reading, summary_named
from .telling import review_command
from .words import WHOLE, counted, plain, typed

__all__ = ["became", "diverged_by", "load_contract", "show"]

_OF_A_RULING = ("dispute", "outcome", "amount", "currency", "reasons")


class _Found(NamedTuple):
    """A contract in the ledger."""

    engagement: Engagement
    document: ContractDocument
    """The one in force."""
    tabled: Document | None
    """The one on the table."""
    facts: Mapping[str, str]
    """What this side noted."""
    moves: list[Message]
    wanted: tuple[Wanted, ...]
    """Requests that wait for an answer."""
    used: tuple[Usage, ...]
    """What was used of each grant, by the count of our gates."""
    held: tuple[Usage, ...]
    """What is held of it for hires under the contract: it may be used, or be given back."""
    diverged: tuple[str, ...]
    """Sides that refused a message of the other for a history that they do not have."""


async def load_contract(home: Home, contract: Digest) -> _Found:
    """The contract of this digest in the ledger, or of the engagement with this id; a part of either is enough.

    Raises:
        ConfigurationError: `not_found`.
    """
    async with reading(home) as ledger:
        summary = await summary_named(ledger, contract)
        loaded = await load_engagement(ledger, summary, home.configuration.did)
        engagement, document = loaded.engagement, loaded.offered()
        if document is None:
            raise ConfigurationError("not_found", f"{summary.engagement} has no contract")
        under, rows = engagement.contract, await ledger.rows(summary.engagement)
        wanted = open_requests(engagement, rows, SystemClock().now())
        used, held = await _counted(ledger, under.digest) if under is not None else ((), ())
        diverged = diverged_by(engagement, rows)
        return _Found(engagement, document, loaded.tabled(), loaded.facts, loaded.moves, wanted, used, held, diverged)


async def _counted(ledger: Ledger, contract: Digest) -> tuple[tuple[Usage, ...], tuple[Usage, ...]]:
    """What was used, and what is held for hires: a capacity is promised to a contract below, an action is under way."""
    both, stands = await booked(ledger, contract)
    held: dict[str, Amount] = {}
    for draw in (draw for one in stands if one.kind == "capacity" for draw in one.draws):
        held[draw.key] = add_amounts(held.get(draw.key, "0"), draw.amount)
    return used_of({key: subtract_amounts(amount, held.get(key, "0")) for key, amount in both.items()}), used_of(held)


def diverged_by(engagement: Engagement, rows: Iterable[Row]) -> tuple[str, ...]:
    """Sides that refused a message of the other with `ledger_diverged`, as far as the journal has it."""
    found: set[str] = set()
    for row in rows:
        if (row.kind, row.type) == ("noted", "diverged"):
            found.add(engagement.role)
        elif row.type == "Problem":
            said = recorded_message(row.raw).message
            if isinstance(said, Problem) and said.code == "ledger_diverged":
                found.add(said.role)
    return tuple(sorted(found))


def diverged_lines(by: Sequence[str]) -> Iterator[str]:
    """That the histories of the two sides were found to differ, and what may be done."""
    if by:
        who = " and the ".join(by)
        yield f"Diverged      the {who} refused what the other side signed: a store was put back from an older copy,"
        yield "              this one or the other. Whoever did so puts the newest copy in place again"


class _Shown(NamedTuple):
    """A contract in the ledger, and what else is to be said of it."""

    found: _Found
    contract: Contract
    table: Table | None
    files: Mapping[str, str]
    """Where what was delivered is, by its name."""
    seen: Presence | None
    """Whether the other side is there; None if nothing of ours would know."""
    rights: Sequence[Right]
    above: Sequence[Mapping[str, Any]]
    hired: Sequence[Mapping[str, Any]]
    mute: str | None


async def show(out: Out, opened: Home, contract: str) -> None:
    """Tells what is in force, in which state it is, who owes what, and what is on the table.

    Raises:
        ConfigurationError: As `load_contract`.
    """
    found = await load_contract(opened, contract)
    engagement, under = found.engagement, found.engagement.contract
    if under is None:
        raise ConfigurationError("not_found", f"{engagement.id} has no contract")
    over, now = engagement.state in ENDED, SystemClock().now()
    seen: Presence | None = presence(engagement, now, lost_at(found.facts))
    if over or (seen.word == "here" and surely_unwritten(opened.ledger_url)):
        seen = None  # only a peer that runs would have noted that it is not
    shown = _Shown(
        found,
        under,
        table=None if found.tabled is None or over else on_the_table(found.tabled, found.document),
        files=await _kept(opened, _delivered(found.moves)),
        seen=seen,
        rights=rights(engagement, now),
        above=_above(found.moves),
        hired=await _hired(opened, under),
        mute=mute_in(opened, engagement),
    )
    out.value(_json(shown))
    for line in _lines(shown, opened):
        out.line(line, most=WHOLE)


def _json(shown: _Shown) -> dict[str, Any]:
    engagement, document, _, facts, moves, wanted, used, held, diverged = shown.found
    under, due, unpaid = shown.contract, owed(engagement), awaited(facts, engagement)
    return {
        "contract": under.digest,
        "inForce": under.in_force,
        "engagement": engagement.id,
        "role": engagement.role,
        "peer": engagement.peer,
        "state": engagement.state,
        "lane": engagement.lane,
        "onTheTable": table_json(engagement.tabled, shown.table),
        "owes": list(due.who),
        "moves": list(due.moves),
        "by": due.by,
        "heardAt": under.heard_at,
        "presence": from_struct(shown.seen) if shown.seen is not None else None,
        "rights": [from_struct(right) for right in shown.rights],
        "endings": [from_struct(ending) for ending in under.endings],
        "breaches": [from_struct(one) for one in under.breaches],
        "disputes": [
            {"role": one.role, "claim": one.claim, "about": one.about, "rulingBy": one.ruling_by}
            for one in moves
            if isinstance(one, Dispute)
        ],
        "rulings": [
            {key: value for key, value in from_struct(read_ruling(one.ruling)).items() if key in _OF_A_RULING}
            for one in moves
            if isinstance(one, Ruling)
        ],
        "requests": [from_struct(one) for one in wanted],
        "cancels": [{"role": one.role, "reason": one.reason} for one in moves if isinstance(one, Cancel)],
        "outcome": next((one.outcome for one in reversed(moves) if isinstance(one, Delivery)), None),
        "delivered": [{**from_struct(one), "file": shown.files.get(one.name)} for one in _delivered(moves)],
        "terms": from_struct(document.terms),
        "unshown": [one for one in document.terms.must_stay_valid if one not in _credentials(moves)],
        "used": [from_struct(one) for one in used],
        "held": [from_struct(one) for one in held],
        "above": shown.above,
        "hired": shown.hired,
        "payment": {
            one.role: {**from_struct(one.settlement), **({"objection": one.objection} if one.objection else {})}
            for one in moves
            if isinstance(one, Closing)
        },
        "due": from_struct(unpaid) if unpaid else None,
        "booksDiffer": [from_struct(one) for one in books_differ(facts)],
        "early": [from_struct(one) for one in came_early(facts)],
        "booksWait": held_until(facts, engagement),
        "diverged": list(diverged),
        "mute": shown.mute,
    }


def _lines(shown: _Shown, home: Home) -> Iterator[str]:
    engagement, document, _, facts, moves, wanted, used, held, diverged = shown.found
    under = shown.contract
    yield from contract_card(from_struct(document), {}, state=_state(engagement), most=WHOLE).splitlines()
    yield from diverged_lines(diverged)
    if shown.mute is not None:
        yield f"Mute          {shown.mute}"
    yield from _valid_lines(document, moves)
    yield from _used_lines(document, used, held)
    if engagement.state not in ENDED:
        seen = _presence(shown.seen) if shown.seen is not None else "not known: no peer of ours runs here"
        yield f"Other side    {seen}"
    for right in shown.rights:
        itself = ", by itself" if right.by_itself else ""
        yield f"After {right.after} the {right.role} may send {right.move} ({right.reason}: {right.name}){itself}"
    if under.in_force != under.digest:
        yield f"In force      {under.in_force}, which amends {under.digest}"
    yield from became(engagement, moves, shown.files)
    yield from _books_lines(engagement, under, facts, home)
    yield from _review_lines(engagement, facts, document, home.path)
    yield from table_lines(engagement.tabled, shown.table)
    yield from _asked_lines(wanted, engagement.role, under, home)
    for one in shown.above:
        yield f"Under         {one['contract']}: {one['provider']} for {one['hirer']}"
    for one in shown.hired:
        made = f", contract {one['contract']}" if one["contract"] else ""
        yield plain(f"Hired         {one['provider']} for {one['task']}: {one['state']}{made}", 1000)


def became(engagement: Engagement, moves: Sequence[Message], places: Mapping[str, str]) -> Iterator[str]:
    """What came of a contract, in lines: what was delivered and how it was judged, what ended it, who disputes, what is
    owed. `places` says where each thing that was delivered is, by name.
    """
    for one in _delivered(moves):
        yield f"Delivered     {plain(one.name)}, {places.get(one.name, 'not kept here')}"
    last = next((one for one in reversed(moves) if isinstance(one, Delivery)), None)
    if last is not None and last.outcome != "complete":
        yield f"Delivery      {last.outcome}: {'some of it' if last.artifacts else 'nothing'} was delivered"
    for one in moves:
        if isinstance(one, Cancel):
            yield f"Cancelled     by the {one.role}: {one.reason}"
    reviews = [one for one in moves if isinstance(one, Review)]
    for one in reviews[-1:]:
        met = ", ".join(f"{plain(each.id, 100)} is {'' if each.met else 'not '}met" for each in one.criteria)
        yield f"Reviewed      {one.verdict}{f': {met}' if met else ''}"
    for one in engagement.contract.endings if engagement.contract else ():
        whose = f"of the arbiter, carried by the {one.role}" if one.basis == "ruling" else f"of the {one.role}"
        yield f"Ended by      {one.basis} {whose}{f': {one.detail}' if one.detail else ''}"
    for one in engagement.contract.breaches if engagement.contract else ():
        yield f"Breach        of {plain(one.clause)}, claimed by the {one.role}, to be cured by {one.cure_by}"
        yield f"              {one.move}"
    for one in moves:
        if isinstance(one, Dispute):
            yield f"Disputed      by the {one.role}, who says: {plain(one.claim, 1000)}"
    for one in (read_ruling(move.ruling) for move in moves if isinstance(move, Ruling)):
        reasons = f": {plain(one.reasons, 1000)}" if one.reasons else ""
        yield f"Ruled         {one.outcome.replace('_', ' ')}, {one.amount} {one.currency} owed, all told{reasons}"
    closings = [one for one in moves if isinstance(one, Closing)]
    last = {one.role: one for one in closings}
    for one in closings:
        said = f"; says: {plain(word, 1000)}" if (word := _word(one)) else ""
        of = one.role if one is last[one.role] else f"{one.role}, before the dispute"
        yield f"Books         of the {of}: {one.settlement} owed{said}"


def _delivered(moves: Sequence[Message]) -> tuple[Artifact, ...]:
    """What came last: rework that comes to nothing takes nothing back."""
    return next((one.artifacts for one in reversed(moves) if isinstance(one, Delivery) and one.artifacts), ())


async def _kept(home: Home, delivered: Iterable[Artifact]) -> dict[str, str]:
    """Where the bytes are, by name: of what was handed over, once they were fetched and checked."""
    store = home.open_artifacts()
    try:
        return {one.name: store.place(one.digest) for one in delivered if await store.size(one.digest) is not None}
    except LedgerUnavailable:
        return {}  # where they would be is away, and all else can be shown


def _above(moves: Sequence[Message]) -> list[dict[str, Any]]:
    """What the contract stands under, the direct parent first, by the last offer that says it."""
    parents = next((one.parents for one in reversed(moves) if isinstance(one, Offer) and one.parents), ())
    return [
        {"contract": one.name, "hirer": one.document.hirer, "provider": one.document.provider}
        for one in read_parents(parents)
    ]


async def _hired(home: Home, contract: Contract) -> list[dict[str, Any]]:
    """What was hired under it."""
    hired: list[dict[str, Any]] = []
    async with reading(home) as ledger:
        for child in contract.children:
            summary = await ledger.summary(child.engagement)
            known = {"engagement": child.engagement, "provider": child.provider, "task": child.task}
            state = child.outcome or (summary.state if summary is not None else "not begun")
            hired.append({**known, "state": state, "contract": summary.contract if summary is not None else None})
    return hired


def _credentials(moves: Iterable[Message]) -> dict[Digest, tuple[Role, Credential]]:
    """What either side showed, by digest."""
    return {
        one.digest: (move.role, one)
        for move in moves
        if isinstance(move, Presentation)
        for one in read_presentation(move.presentation).credentials
    }


def _valid_lines(document: ContractDocument, moves: Iterable[Message]) -> Iterator[str]:
    """Whose end is a reason to end the contract. Terms may name what they like: of what nobody showed nobody learns."""
    shown = _credentials(moves)
    for named in document.terms.must_stay_valid:
        if named in shown:
            role, one = shown[named]
            yield f"Stays valid   {plain(', '.join(one.types), 200)} of the {role}, by {plain(one.issuer, 200)}"
        else:
            yield f"Stays valid   {named}, which nobody showed: that it ends is no reason for anything"


def _used_lines(document: ContractDocument, used: Iterable[Usage], held: Iterable[Usage]) -> Iterator[str]:
    """How much of each grant was used, of how much where the whole of it is limited, and what is held of that."""
    scope = whole_scope(document.terms.scope)
    most = {(grant.id, limit.name): limit.max for grant in scope.grants for limit in grant.limits}
    spent, kept = ({(one.clause, one.unit): one.amount for one in each} for each in (used, held))
    for clause, unit in sorted({*spent, *kept}):
        limit, promised = most.get((clause, unit)), kept.get((clause, unit))
        of = f" of at most {limit}" if limit is not None else ""
        beside = f"; {promised} held for hires" if promised is not None else ""
        amount = amount_in_words(spent.get((clause, unit), "0"), unit)
        yield f"Used          [{plain(clause, 100)}] {amount}{of}{beside}"


def _word(closing: Closing) -> str:
    """What a side says of the payment; empty if nothing."""
    reference = closing.settlement.reference
    if reference:
        return "paid" if reference == "paid" else f"paid as {reference}"
    return closing.objection or ""


def _books_lines(engagement: Engagement, contract: Contract, facts: Mapping[str, str], home: Home) -> Iterator[str]:
    """Where the books differ, what came too early, and what ours wait for."""
    unpaid, early, waits = awaited(facts, engagement), came_early(facts), held_until(facts, engagement)
    for one in books_differ(facts):
        yield f"Books differ  {plain(one.explain(), 300)}"
    if unpaid is not None:
        yield f"Waits         for our word about {unpaid.amount} {unpaid.currency}:"
        yield f"              {typed('contract settle {} --home {}', contract.digest, home.path)}"
    for one in early:
        yield f"Too early     {plain(one.explain(), 300)}" + (f"; signed {one.signed}" if one.signed else "")
    if waits is not None:
        then = "our books say so" if early else "our books are closed"
        yield f"Waits         until {waits}, then {then}. If the arbiter shall decide:"
        word = "--claim TEXT" if not contract.disputes else "--ruling FILE"
        yield f"              {typed('contract dispute {} ' + word + ' --home {}', contract.digest, home.path)}"


def _review_lines(
    engagement: Engagement, facts: Mapping[str, str], document: ContractDocument, home: Path
) -> Iterator[str]:
    """What a person may say of a delivery that waits for our review, why it failed if it did, or what was said."""
    why, contract = facts.get("review-failed"), engagement.contract
    if contract is None or engagement.state != "delivered" or engagement.role != HIRER:
        return
    criteria = [one for item in document.terms.deliverables for one in item.criteria]
    if (verifier := document.terms.evidence.verifier) is not None:
        yield f"Verdict       is waited for, by {plain(verifier, 200)}: it gets the pack ('export'),"
        yield "              and 'contract judge' carries what it says"
    word = word_of(facts, contract.round)
    if word is not None:
        said = ", ".join(f"{plain(id, 100)} {'is' if met else 'is not'} met" for id, met in word.items())
        yield f"Review        a person said: {said or 'no criteria'}; the verdict is that of the verifier"
    elif why is not None or (criteria and document.terms.evidence.verifier is None):
        failed = f"not made: {plain(why, 300)}" if why is not None else "is waited for"
        yield f"Review        {failed}; a person may say it with 'contract review':"
        for one in criteria:
            yield f"              {plain(one.id, 100)}: {plain(one.text, 1000)}"
        yield f"              {review_command(contract.digest, [one.id for one in criteria], home)}"


def _asked_lines(wanted: Iterable[Wanted], role: Role, contract: Contract, home: Home) -> Iterator[str]:
    """What the provider asks for, and how the hirer answers it."""
    for one in wanted:
        yield f"Asked for     {one.explain()}"
        yield f"              request {one.move}, answer by {one.answer_by}; {plain(one.reason, 300)!r}"
        if role == HIRER:
            answer = typed("contract approve {} {} --home {}", contract.digest, one.move, home.path)
            yield f"              {answer}   (or --refuse)"


def _presence(seen: Presence) -> str:
    words = {
        "here": "here",
        "offline": f"offline since {seen.since}, which gives no right",
        "silent": f"no sign of life since {seen.since}: {counted(seen.missed, 'heartbeat')} missed",
        "gone": f"gone: not heard of since {seen.since}, {counted(seen.missed, 'heartbeat')} missed",
    }
    until = f"; gone if not heard of by {seen.gone_after}" if seen.gone_after and seen.word != "gone" else ""
    return words[seen.word] + until


def _state(engagement: Engagement) -> str:
    due = owed(engagement)
    who = " and ".join(due.who)
    told = f"{who} {'owes' if len(due.who) == 1 else 'owe'} {due.why}" if who else due.why
    return f"{engagement.state}; {told}{f' by {due.by}' if due.by else ''}"
