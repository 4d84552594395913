"""Commands for a contract that is performed: `contract show|suspend|resume|amend|release|accept|decline|cancel|…`.

`show` reads the ledger. The others leave an order in the state folder, which the running peer carries out; so they work
beside `serve` or `hire`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import click
import msgspec
from msgspec.structs import replace

from undersigned.contract import (
    AmendmentDocument,
    ArbiterRuling,
    ContractDocument,
    ReleaseDocument,
    contract_card,
    read_parents,
    read_ruling,
    rebase,
)
from undersigned.encoding import Digest, digest_hex, from_struct, shift
from undersigned.errors import CODES, ConfigurationError, FormatError, LedgerUnavailable, UndersignedError
from undersigned.ledger import surely_unwritten
from undersigned.messages import (
    CANCEL_REASONS,
    CAUSES,
    SUSPEND_REASONS,
    Artifact,
    Closing,
    Delivery,
    Dispute,
    Message,
    Offer,
    Ruling,
    recorded_message,
)
from undersigned.protocol import ENDED, HIRER, Engagement, Presence, Tabled, owed, presence, rights
from undersigned.runtime import (
    Answered,
    ContractOrder,
    Home,
    SystemClock,
    Wanted,
    awaited,
    books_differ,
    came_early,
    held_until,
    leave_order,
    load_engagement,
    lost_at,
    open_requests,
    parse_price,
    read_document,
    take_back,
    word_of,
)
from undersigned.trust import Difference, differences

from .listing import CommandGroup
from .output import HOME_OPTION, WAITS, Out, command, counted, plain, reading, typed

__all__ = ["contract"]

WAIT_SECONDS = 10.0
"""How long the running peer may take."""
LOOK_SECONDS = 0.05
_OF_A_RULING = ("dispute", "outcome", "amount", "currency", "reasons")

CONTRACT = click.argument("contract", metavar="CONTRACT")
FOR_OPTION = click.option(
    "--for", "seconds", type=click.IntRange(60), metavar="SECONDS", default=3600, help="How long. Default 3600."
)


@click.group(cls=CommandGroup)
def contract() -> None:
    """A contract while it is performed: look at it, suspend it, change it, end it, dispute it."""


@contract.command("show")
@CONTRACT
@HOME_OPTION
@command
async def contract_show(out: Out, contract: str, home: str | None) -> None:
    """What is in force now, clause by clause; its state, who owes what, and what is on the table."""
    opened = out.home(home)
    found = await _read(opened, contract)
    engagement, document, facts, closings, wanted, delivered, table, disputes, rulings = found
    files = await _kept(opened, delivered)
    now = SystemClock().now()
    seen, mays = presence(engagement, now, lost_at(facts)), rights(engagement, now)
    under, due, unpaid = engagement.contract, owed(engagement), awaited(facts, engagement)
    if under is None:
        raise ConfigurationError("not_found", f"{engagement.id} has no contract")
    waits = held_until(facts, engagement)
    above, hired = await _chain(opened, engagement)
    out.value(
        {
            "contract": under.digest,
            "inForce": under.in_force,
            "engagement": engagement.id,
            "role": engagement.role,
            "peer": engagement.peer,
            "state": engagement.state,
            "lane": engagement.lane,
            "onTheTable": _table_json(engagement.tabled, table),
            "owes": list(due.who),
            "moves": list(due.moves),
            "by": due.by,
            "heardAt": under.heard_at,
            "presence": from_struct(seen),
            "rights": [from_struct(right) for right in mays],
            "endings": [from_struct(ending) for ending in under.endings],
            "breaches": [from_struct(one) for one in under.breaches],
            "disputes": [
                {"role": one.role, "claim": one.claim, "about": one.about, "rulingBy": one.ruling_by}
                for one in disputes
            ],
            "rulings": [
                {key: value for key, value in from_struct(one).items() if key in _OF_A_RULING} for one in rulings
            ],
            "requests": [from_struct(one) for one in wanted],
            "delivered": [{**from_struct(one), "file": files.get(one.name)} for one in delivered],
            "terms": from_struct(document.terms),
            "above": above,
            "hired": hired,
            "payment": {
                one.role: {**from_struct(one.settlement), **({"objection": one.objection} if one.objection else {})}
                for one in closings
            },
            "due": from_struct(unpaid) if unpaid else None,
            "booksDiffer": [from_struct(one) for one in books_differ(facts)],
            "early": [from_struct(one) for one in came_early(facts)],
            "booksWait": waits,
        }
    )
    for line in contract_card(from_struct(document), {}, state=_state(engagement)).splitlines():
        out.line(plain(line, 1000))
    out.line(f"Other side    {_presence(seen)}")
    for right in mays:
        itself = ", by itself" if right.by_itself else ""
        out.line(f"After {right.after} the {right.role} may send {right.move} ({right.reason}: {right.name}){itself}")
    if under.in_force != under.digest:
        out.line(f"In force      {under.in_force}, which amends {under.digest}")
    for one in delivered:
        out.line(f"Delivered     {plain(one.name)}, {files.get(one.name, 'not kept here')}")
    for one in under.endings:
        out.line(f"Ended by      {one.basis} of the {one.role}{f': {one.detail}' if one.detail else ''}")
    for one in under.breaches:
        out.line(f"Breach        of {plain(one.clause)}, claimed by the {one.role}, to be cured by {one.cure_by}")
        out.line(f"              {one.move}")
    for one in disputes:
        out.line(f"Disputed      by the {one.role}, who says: {plain(one.claim, 1000)}")
    for one in rulings:
        reasons = f": {plain(one.reasons, 1000)}" if one.reasons else ""
        out.line(f"Ruled         {one.outcome.replace('_', ' ')}, {one.amount} {one.currency} owed, all told{reasons}")
    for one in closings:
        said = f"; says: {plain(word, 1000)}" if (word := _word(one)) else ""
        out.line(f"Books         of the {one.role}: {one.settlement.amount} {one.settlement.currency} owed{said}")
    for one in books_differ(facts):
        out.line(f"Books differ  {plain(one.explain(), 300)}")
    if unpaid is not None:
        out.line(f"Waits         for our word about {unpaid.amount} {unpaid.currency}:")
        out.line(f"              {typed('contract settle {} --home {}', under.digest, opened.path)}")
    for one in came_early(facts):
        out.line(f"Too early     {plain(one.explain(), 300)}" + (f"; signed {one.signed}" if one.signed else ""))
    if waits is not None:
        out.line(f"Waits         until {waits}, then our books say so. If the arbiter shall decide:")
        word = "--claim TEXT" if not under.disputes else "--ruling FILE"
        out.line(f"              {typed('contract dispute {} ' + word + ' --home {}', under.digest, opened.path)}")
    for line in _review_lines(engagement, facts, document):
        out.line(line)
    for line in _table_lines(engagement.tabled, table):
        out.line(line)
    for one in wanted:
        out.line(f"Asked for     {plain(one.explain(), 1000)}")
        out.line(f"              request {one.move}, answer by {one.answer_by}; {plain(one.reason, 300)!r}")
    for one in above:
        out.line(f"Under         {one['contract']}: {one['provider']} for {one['hirer']}")
    for one in hired:
        made = f", contract {one['contract']}" if one["contract"] else ""
        out.line(plain(f"Hired         {one['provider']} for {one['task']}: {one['state']}{made}", 1000))


async def _kept(home: Home, delivered: Iterable[Artifact]) -> dict[str, str]:
    """Where the bytes are, by name: of what was handed over, once they were fetched and checked."""
    store = home.open_artifacts()
    try:
        return {one.name: store.place(one.digest) for one in delivered if await store.size(one.digest) is not None}
    except LedgerUnavailable:
        return {}  # where they would be is away, and all else can be shown


async def _chain(home: Home, engagement: Engagement) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the contract stands under, the direct parent first, and what was hired under it."""
    ledger = await reading(home)
    try:
        above: list[dict[str, Any]] = []
        for row in await ledger.rows(engagement.id):
            offer = recorded_message(row.raw).message if row.kind != "noted" and row.type == "Offer" else None
            if isinstance(offer, Offer) and offer.parents:
                above = [
                    {"contract": one.name, "hirer": one.document.hirer, "provider": one.document.provider}
                    for one in read_parents(offer.parents)
                ]
        hired: list[dict[str, Any]] = []
        for child in engagement.contract.children if engagement.contract is not None else ():
            summary = await ledger.summary(child.engagement)
            known = {"engagement": child.engagement, "provider": child.provider, "task": child.task}
            state = child.outcome or (summary.state if summary is not None else "not begun")
            hired.append({**known, "state": state, "contract": summary.contract if summary is not None else None})
        return above, hired
    finally:
        await ledger.close()


def _word(closing: Closing) -> str:
    """What a side says of the payment; empty if nothing."""
    reference = closing.settlement.reference
    if reference:
        return "paid" if reference == "paid" else f"paid as {reference}"
    return closing.objection or ""


def _review_lines(engagement: Engagement, facts: Mapping[str, str], document: ContractDocument) -> Iterator[str]:
    """Where our review failed: why, and what a person may say in its place, or has said."""
    why, contract = facts.get("review-failed"), engagement.contract
    if why is None or contract is None or engagement.state != "delivered" or engagement.role != HIRER:
        return
    word = word_of(facts, contract.round)
    if word is not None:
        said = ", ".join(f"{plain(id, 100)} {'is' if met else 'is not'} met" for id, met in word.items())
        yield f"Review        a person said: {said or 'no criteria'}; the verdict is that of the verifier"
        return
    yield f"Review        failed: {plain(why, 300)}; a person may say it with 'contract review':"
    for item in document.terms.deliverables:
        for one in item.criteria:
            yield f"              {plain(one.id, 100)}: {plain(one.text, 1000)}"


def _table_json(tabled: Tabled | None, table: _Table | None) -> dict[str, Any] | None:
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
    changes = [{"what": one.what.strip(), "inForce": one.recorded, "proposed": one.now} for one in table.changes]
    return {**said, "terms": from_struct(document.terms), "changes": changes}


def _table_lines(tabled: Tabled | None, table: _Table | None) -> Iterator[str]:
    """What is on the table: of an amendment what it changes, of a release what is owed by it and why."""
    if tabled is None or table is None:
        return
    yield f"On the table  {tabled.kind} {tabled.document}, offered by the {tabled.owner}, {table_answer(tabled)}"
    document = table.document
    if isinstance(document, ReleaseDocument):
        owed = document.settlement
        yield f"              {owed.amount} {owed.currency} owed, all told; {plain(document.reason, 1000)!r}"
    for one in table.changes:
        what, now, before = plain(one.what.strip(), 200), plain(one.now, 1000), plain(one.recorded, 1000)
        yield f"              {what}: {now} (in force: {before})"


def table_answer(tabled: Tabled) -> str:
    """Whose answer is missing, and which."""
    if tabled.acceptance is None:
        return f"to be answered by {tabled.valid_until}"
    if tabled.overtaken is None:
        return f"accepted: the {tabled.owner} owes its seal, or withdraws"
    return f"accepted, and overtaken by the work: the {tabled.owner} withdraws, unless it had sealed before"


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


@contract.command("suspend")
@CONTRACT
@FOR_OPTION
@click.option("--reason", type=click.Choice(list(SUSPEND_REASONS)), default="incident", help="Why. Default incident.")
@HOME_OPTION
@command
async def contract_suspend(out: Out, contract: str, seconds: int, reason: str, home: str | None) -> int:
    """No authority for now. If it does not go on in time, the provider may end it."""
    return await _order(out, home, contract, "suspend", {"seconds": seconds, "reason": reason})


@contract.command("resume")
@CONTRACT
@HOME_OPTION
@command
async def contract_resume(out: Out, contract: str, home: str | None) -> int:
    """A suspended contract goes on; what is due moves by the time it was suspended."""
    return await _order(out, home, contract, "resume", {})


@contract.command("amend")
@CONTRACT
@click.option("--price", metavar="PRICE", help="Another price.")
@click.option("--extend", type=click.IntRange(60), metavar="SECONDS", help="More time, for finish and all authority.")
@click.option("--reworks", type=click.IntRange(0, 16), metavar="TIMES", help="How often rework may be asked for.")
@click.option("--arbiter", metavar="DID", help="Who rules on disputes.")
@FOR_OPTION
@HOME_OPTION
@command
async def contract_amend(
    out: Out,
    contract: str,
    price: str | None,
    extend: int | None,
    reworks: int | None,
    arbiter: str | None,
    seconds: int,
    home: str | None,
) -> int:
    """Offer other terms; they are in force once both signed and the seal is there. `accept` is the other side's."""
    opened = out.home(home)
    document = (await _read(opened, contract)).document
    terms = document.terms
    if price is not None:
        terms = replace(terms, price=parse_price(price, "--price"))
    if extend is not None:
        times = terms.deadlines
        later = replace(times, finish=shift(times.finish, extend), until=shift(times.until, extend))
        terms = replace(terms, deadlines=later)
    if reworks is not None:
        terms = replace(terms, reworks=reworks)
    if arbiter is not None:
        terms = replace(terms, arbiter=arbiter)
    if terms == document.terms:
        raise ConfigurationError("bad_configuration", "nothing would be changed: name --price, --extend or another")
    return await _order(out, home, contract, "amend", {"terms": from_struct(terms), "seconds": seconds})


@contract.command("release")
@CONTRACT
@click.option("--owed", required=True, metavar="PRICE", help="What the hirer owes, all told.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in your words; both sign it.")
@FOR_OPTION
@HOME_OPTION
@command
async def contract_release(out: Out, contract: str, owed: str, reason: str, seconds: int, home: str | None) -> int:
    """Offer to let each other go."""
    body = {"owed": from_struct(parse_price(owed, "--owed")), "reason": reason, "seconds": seconds}
    return await _order(out, home, contract, "release", body)


@contract.command("accept")
@CONTRACT
@click.argument("document", metavar="DOCUMENT")
@HOME_OPTION
@command
async def contract_accept(out: Out, contract: str, document: str, home: str | None) -> int:
    """Sign the amendment or release that the other side put on the table; DOCUMENT is its digest, see `show`."""
    return await _order(out, home, contract, "accept", {"document": document})


@contract.command("decline")
@CONTRACT
@HOME_OPTION
@command
async def contract_decline(out: Out, contract: str, home: str | None) -> int:
    """Take the document from the table, ours or the other side's, while nobody accepted it."""
    return await _order(out, home, contract, "decline", {})


@contract.command("cancel")
@CONTRACT
@click.option(
    "--for",
    "seconds",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="How long. Default: as many as the terms leave at least.",
)
@click.option(
    "--reason",
    type=click.Choice(list(CANCEL_REASONS)),
    default="no_longer_needed",
    help="Why. Default no_longer_needed.",
)
@HOME_OPTION
@command
async def contract_cancel(out: Out, contract: str, seconds: int | None, reason: str, home: str | None) -> int:
    """Order the provider to stop, and to hand over what there is within `--for`. To end it at once: `revoke`."""
    body = {"reason": reason} if seconds is None else {"reason": reason, "seconds": seconds}
    return await _order(out, home, contract, "cancel", body)


@contract.command("revoke")
@CONTRACT
@click.option(
    "--cause",
    type=click.Choice(list(CAUSES)),
    default="key_compromised",
    help="What allows it. Default key_compromised.",
)
@click.option("--names", metavar="DIGEST", help="The breach, or the evidence of a revocation.")
@HOME_OPTION
@command
async def contract_revoke(out: Out, contract: str, cause: str, names: str | None, home: str | None) -> int:
    """End it at once, for a cause that it allows. In order: `cancel`. For now only: `suspend`."""
    return await _order(out, home, contract, "revoke", {"cause": cause, **({"names": names} if names else {})})


@contract.command("breach")
@CONTRACT
@click.argument("clause", metavar="CLAUSE")
@FOR_OPTION
@HOME_OPTION
@command
async def contract_breach(out: Out, contract: str, clause: str, seconds: int, home: str | None) -> int:
    """Claim that the other side broke CLAUSE, and leave it time to cure that.

    CLAUSE is a clause of the scope, by the name that `show` has for it, or a member of the terms, such as dataHandling.
    `--for` is no less than the `cure` of the terms.
    """
    return await _order(out, home, contract, "breach", {"clause": clause, "seconds": seconds})


@contract.command("dispute")
@CONTRACT
@click.option("--claim", metavar="TEXT", help="What you ask for, and why.")
@click.option("--ruling", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The arbiter's ruling.")
@click.option(
    "--for", "seconds", type=click.IntRange(24 * 3600), metavar="SECONDS", default=7 * 24 * 3600, help="For the ruling."
)
@HOME_OPTION
@command
async def contract_dispute(
    out: Out, contract: str, claim: str | None, ruling: Path | None, seconds: int, home: str | None
) -> int:
    """Put the outcome before the arbiter that the terms name, or carry the arbiter's ruling to the other side."""
    if (claim is None) == (ruling is None):
        raise ConfigurationError("bad_configuration", "name --claim to dispute, or --ruling to end a dispute")
    if ruling is not None:
        return await _order(out, home, contract, "rule", {"ruling": read_document(ruling)})
    return await _order(out, home, contract, "dispute", {"claim": claim, "seconds": seconds})


@contract.command("review")
@CONTRACT
@click.option("--met", multiple=True, metavar="CRITERION", help="Id of one that is met. Can be repeated.")
@click.option("--not-met", multiple=True, metavar="CRITERION", help="Id of one that is not. Can be repeated.")
@HOME_OPTION
@command
async def contract_review(
    out: Out, contract: str, met: tuple[str, ...], not_met: tuple[str, ...], home: str | None
) -> int:
    """Review what was delivered by your own word, where the program that would is gone: say each criterion, see `show`.

    Whether the delivery and what its provider states of it hold is looked at all the same.
    """
    if both := set(met) & set(not_met):
        raise ConfigurationError("bad_configuration", f"said to be met and not met: {', '.join(sorted(both))}")
    said = {**dict.fromkeys(met, True), **dict.fromkeys(not_met, False)}
    return await _order(out, home, contract, "review", {"criteria": said}, told="reviewed")


@contract.command("judge")
@CONTRACT
@click.argument("statement", type=click.Path(path_type=Path), metavar="STATEMENT")
@HOME_OPTION
@command
async def contract_judge(out: Out, contract: str, statement: Path, home: str | None) -> int:
    """Carry the verdict of the verifier that the terms name: STATEMENT is the file that 'judge' wrote for it."""
    return await _order(out, home, contract, "judge", {"statement": read_document(statement)})


@contract.command("settle")
@CONTRACT
@click.option("--reference", metavar="TEXT", help="It was paid: the payment's name where it was made.")
@click.option("--not-paid", metavar="TEXT", help="It was not, and why; the other side reads it.")
@HOME_OPTION
@command
async def contract_settle(
    out: Out, contract: str, reference: str | None, not_paid: str | None, home: str | None
) -> int:
    """Say whether what is owed was paid, or came in; our closing of the books says it. Without options: it
    was, under the name that the other side gave the payment, or else `paid`.
    """
    if reference is not None and not_paid is not None:
        raise ConfigurationError("bad_configuration", "name --reference if it was paid, or --not-paid")
    body = {"paid": not_paid is None, "reference": reference, "note": not_paid}
    return await _order(out, home, contract, "settle", {key: value for key, value in body.items() if value is not None})


@contract.command("approve")
@CONTRACT
@click.argument("request", metavar="REQUEST")
@click.option("--refuse", is_flag=True, help="The answer is no.")
@click.option("--uses", type=click.IntRange(1), metavar="TIMES", default=1, help="How often it may be done. Default 1.")
@FOR_OPTION
@HOME_OPTION
@command
async def contract_approve(
    out: Out, contract: str, request: str, refuse: bool, uses: int, seconds: int, home: str | None
) -> int:
    """Answer the provider's request for approval; REQUEST is its digest, see `show`."""
    body = {"request": request, "granted": not refuse, "uses": uses, "seconds": seconds}
    return await _order(out, home, contract, "approve", body, told="refused" if refuse else "approved")


# -- what several of them do


async def _order(
    out: Out, home: str | None, contract: str, act: str, body: Mapping[str, Any], told: str | None = None
) -> int:
    """Leaves an order and waits for what becomes of it; `told` is what people are told was done, by default `act`."""
    for given in (contract, *(body[name] for name in ("request", "document", "names") if name in body)):
        try:
            digest_hex(given)
        except FormatError as exc:
            text = f"expected a digest as 'contract show' and 'ledger list' print it, got {plain(given, 60)}"
            raise ConfigurationError("bad_configuration", text) from exc
    opened = out.home(home)
    if surely_unwritten(opened.ledger_url):
        return await _nobody(out, opened, act, contract)
    name = uuid4().hex
    answer = leave_order(opened.orders, name, ContractOrder(act=act, contract=contract, body=body))
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        if answer.exists():
            said = msgspec.json.decode(answer.read_bytes(), type=Answered)
            answer.unlink()
            return _said(out, act, said, told or act)
        await asyncio.sleep(LOOK_SECONDS)
    if take_back(answer):
        return await _nobody(out, opened, act, contract)
    out.value({"act": act, "contract": contract, "ok": False, "code": "timeout"})
    out.line("the peer has taken it and not answered: it is carried out once, see 'contract show'", style="yellow")
    return WAITS


async def _nobody(out: Out, home: Home, act: str, contract: str) -> int:
    """What is said where no peer runs; that it should be started only if it could then do something.

    Raises:
        ConfigurationError: `not_found`: there is no such contract, or it is over.
    """
    state = (await _read(home, contract)).engagement.state
    if state in ENDED:
        text = f"{plain(contract, 100)} is {state}: nothing of it is left to be done, see 'contract show'"
        raise ConfigurationError("not_found", text)
    out.value({"act": act, "contract": contract, "ok": False, "code": "timeout"})
    out.line("no peer runs here that could carry it out: start 'serve', then say it again", style="yellow")
    return WAITS


def _said(out: Out, act: str, said: Answered, told: str) -> int:
    if not said.ok:
        raise UndersignedError(said.code if said.code in CODES else "internal", said.message)
    out.value({"act": act, "ok": True, "state": said.state, "lane": said.lane, "move": said.move})
    lane = f", documents {said.lane}" if said.lane != "idle" else ""
    out.line(f"{told}: the contract is {said.state}{lane}", style="bold green")
    return 0


class _Table(NamedTuple):
    """The document on the table."""

    document: ContractDocument | AmendmentDocument | ReleaseDocument
    changes: tuple[Difference, ...]
    """Of an amendment: where its terms are others than those in force."""


class _Found(NamedTuple):
    """A contract in the ledger."""

    engagement: Engagement
    document: ContractDocument
    """The one in force."""
    facts: Mapping[str, str]
    """What this side noted."""
    closings: list[Closing]
    wanted: tuple[Wanted, ...]
    """Requests that wait for an answer."""
    delivered: tuple[Artifact, ...]
    """What the last delivery names."""
    table: _Table | None
    disputes: list[Dispute]
    rulings: list[ArbiterRuling]


async def _read(home: Home, contract: Digest) -> _Found:
    """The contract of this digest in the ledger, or of the engagement with this id.

    Raises:
        ConfigurationError: `not_found`.
    """
    ledger = await reading(home)
    try:
        for summary in await ledger.summaries():
            if contract not in (summary.contract, summary.engagement):
                continue
            loaded = await load_engagement(ledger, summary, home.configuration.did)
            engagement = loaded.engagement
            under, live = engagement.contract, engagement.offer
            place = under.in_force_by if under is not None else None
            if place is None and live is not None:
                place = live.owner, live.sequence
            for move in loaded.moves:
                if not isinstance(move, Offer) or isinstance(move.document, ReleaseDocument):
                    continue
                if (move.role, move.sequence) == place:
                    closings = [one for one in loaded.moves if isinstance(one, Closing)]
                    wanted = open_requests(engagement, await ledger.rows(summary.engagement), SystemClock().now())
                    deliveries = [one.artifacts for one in loaded.moves if isinstance(one, Delivery)]
                    delivered = deliveries[-1] if deliveries else ()
                    tabled = None if engagement.state in ENDED else engagement.tabled
                    table = _on_the_table(tabled, loaded.moves, move.document)
                    disputes = [one for one in loaded.moves if isinstance(one, Dispute)]
                    rulings = [read_ruling(one.ruling) for one in loaded.moves if isinstance(one, Ruling)]
                    return _Found(
                        engagement, move.document, loaded.facts, closings, wanted, delivered, table, disputes, rulings
                    )
    finally:
        await ledger.close()
    raise ConfigurationError("not_found", f"no contract {plain(contract, 100)} in this ledger: see 'ledger list'")


def _on_the_table(tabled: Tabled | None, moves: Iterable[Message], in_force: ContractDocument) -> _Table | None:
    place = (tabled.owner, tabled.sequence) if tabled is not None else None
    for move in moves:
        if not isinstance(move, Offer) or (move.role, move.sequence) != place:
            continue
        document = move.document
        if isinstance(document, ReleaseDocument):
            return _Table(document, ())
        before, after = (rebase(one.terms, in_force.id) for one in (in_force, document))
        return _Table(document, differences("", before, after))
    return None
