"""Commands for what waits for people, terms or a change of a contract: `offer list|show|approve|refuse|withdraw`.

They read the ledger, and leave what a person signed in the state folder, where a running peer finds it. So they work
beside `serve` or `hire`, and as well while nothing runs; but for `withdraw`, which a peer that runs carries out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import click
import msgspec

from undersigned.contract import terms_card
from undersigned.encoding import from_struct
from undersigned.errors import ConfigurationError, PolicyError, UndersignedError
from undersigned.runtime import (
    Answered,
    ContractOrder,
    Home,
    SystemClock,
    WaitingTerms,
    drop_approval,
    load_approvers,
    no_longer_waiting,
    sign_approval,
    waiting_terms,
)
from undersigned.trust import Decision, Difference, Verdict, approval, weigh

from .contract_table import changed_terms, changes_json
from .listing import CommandGroup
from .options import FOLDER
from .orders import ordered, require_done, require_whole
from .output import HOME_OPTION, WAITS, Out, checking, command, reading
from .words import WHOLE, counted, plain, typed

__all__ = ["offer"]

AS_OPTION = click.option(
    "--as",
    "person",
    required=True,
    type=FOLDER,
    metavar="FOLDER",
    help="Your own state folder: its key signs. Its passphrase is in UNDERSIGNED_PASSPHRASE or in the folder.",
)
WORDS_OPTION = click.option("--note", metavar="TEXT", help="Why, in your words; signed along.")


@click.group(cls=CommandGroup)
def offer() -> None:
    """Terms, and changes of contracts, that wait for people: what is put to them, and their answer; and the end of a
    negotiation.
    """


@offer.command("list")
@HOME_OPTION
@command
async def offer_list(out: Out, home: str | None) -> None:
    """What waits for people: with whom, for what price, how many approvals it has, until when."""
    opened = out.home(home)
    found = await _waiting(opened)
    for one in found:
        out.value(_json(one))
        out.line(one.about.change or one.about.terms, style="bold")
        out.line(f"    {plain(_what(one), 200)}, {_other(one)}; {one.standing.explain()}; until {one.asked.until}")
        out.line(f"    {one.about.engagement}", style="dim")
    out.value({"count": len(found)})
    waiting = sum(one.standing.state == "waits" for one in found)
    decided = f"; {len(found) - waiting} decided, with which a peer that runs goes on" if waiting < len(found) else ""
    out.line(f"{counted(waiting, 'set')} of terms {'waits' if waiting == 1 else 'wait'} for people{decided}")


@offer.command("show")
@click.argument("terms", metavar="TERMS")
@HOME_OPTION
@command
async def offer_show(out: Out, terms: str, home: str | None) -> None:
    """What is put to people, nothing of it cut: the terms clause by clause, of a change what it would change, the
    decision that asks, who has answered. With --json every member of the terms.
    """
    opened = out.home(home)
    one = await _named(opened, terms)
    change, decision, changes = one.change, _decision(one), _changes(one)
    card = terms_card(
        one.asked.terms,
        hirer=one.about.hirer,
        provider=one.about.provider,
        title=("Terms", one.about.terms) if change is None else (change.kind, change.name),
        state=f"put to people until {one.asked.until}: {one.standing.explain()}",
        most=WHOLE,
    )
    out.value(
        {
            **_json(one),
            "card": card,
            "clauses": from_struct(one.asked.terms),
            "changes": changes_json(changes),
            "decision": from_struct(decision) if decision is not None else None,
        }
    )
    out.lines(card, WHOLE)
    if change is not None and change.owed is not None and one.in_force is not None:
        said = f"{change.owed} instead of {one.in_force.price}; {change.reason!r}"
        out.line(f"Owed all told {said}", most=WHOLE)
    else:
        for each in changes:
            out.line(f"Changes       {each.what.strip()}: {each.now} (in force: {each.recorded})", most=WHOLE)
    out.line()
    if decision is not None:
        out.lines(decision.explain(), 1000)
    out.line()
    name = one.about.change or one.about.terms
    out.line(typed("offer approve|refuse {} --as FOLDER --home {}", name, opened.path))


@offer.command("approve")
@click.argument("terms", metavar="TERMS")
@AS_OPTION
@WORDS_OPTION
@HOME_OPTION
@command
async def offer_approve(out: Out, terms: str, person: Path, note: str | None, home: str | None) -> int:
    """Approve exactly these terms; TERMS is their whole digest. Exit code 7 if another person has to as well.

    An approval is for one negotiation. Where several wait with the same terms, TERMS is the id of one of them. Of a
    change of a contract TERMS is the digest that 'offer list' has for it, and the approval is for that change alone.
    """
    return await _say(out, out.home(home), terms, "approve", person, note)


@offer.command("refuse")
@click.argument("terms", metavar="TERMS")
@AS_OPTION
@WORDS_OPTION
@HOME_OPTION
@command
async def offer_refuse(out: Out, terms: str, person: Path, note: str | None, home: str | None) -> int:
    """Refuse exactly these terms, for good: nobody can approve them afterwards. Other terms are another question."""
    return await _say(out, out.home(home), terms, "refuse", person, note)


@offer.command("withdraw")
@click.argument("engagement", metavar="ENGAGEMENT")
@HOME_OPTION
@command
async def offer_withdraw(out: Out, engagement: str, home: str | None) -> int:
    """End a negotiation, whoever has to say something now: no contract comes of it. ENGAGEMENT is its id, see 'ledger
    list'.

    Not while an acceptance waits for its answer. A contract is ended by 'contract cancel', or 'contract revoke'.
    """
    opened = out.home(home)
    await require_whole(opened, engagement)

    def said(answer: Answered) -> int:
        require_done(answer)
        out.value({"act": "withdraw", "ok": True, "state": answer.state, "move": answer.move})
        out.line(f"the negotiation is {answer.state}", style="bold green")
        return 0

    order = ContractOrder(act="withdraw", engagement=engagement)
    return await ordered(out, opened, order, order.act, said)


# -- what several of them do


async def _say(out: Out, opened: Home, terms: str, verdict: Verdict, person: Path, note: str | None) -> int:
    one = await _named(opened, terms, any_of_them=verdict == "refuse")
    if one.standing.state == "refused":
        raise PolicyError("policy_denied", f"{terms} is {one.standing.explain()}")
    now = SystemClock().now()
    if now > one.asked.until:
        raise PolicyError("policy_denied", f"{terms} waited until {one.asked.until}; it is {now}")
    with checking("--note"):
        document = approval(id=f"urn:uuid:{uuid4()}", verdict=verdict, about=one.about, given=now, note=note)
    signed = await sign_approval(Home(person), load_approvers(opened), document, now)
    said = drop_approval(opened, signed, now)
    # Others may have said something meanwhile, and a running peer may have gone on with all of it by now.
    waits = next((each for each in await _waiting(opened) if each.about == one.about), None)
    standing = weigh([*(waits or one).given, said], one.about, needed=one.asked.needed)
    over = await _over(opened, terms) if waits is None else None
    if verdict == "approve" and (standing.state == "refused" or isinstance(over, PolicyError)):
        raise over or PolicyError("policy_denied", f"{terms} is {standing.explain()}")
    named = {"change": one.about.change} if one.about.change else {}
    out.value({"terms": one.about.terms, **named, "verdict": verdict, "approval": said.digest, **from_struct(standing)})
    out.line(standing.explain(), style="yellow" if standing.state == "waits" else "bold green")
    if standing.state == "waits":
        return WAITS
    out.line("a peer that runs goes on with it at once, else at its next start")
    return 0


async def _waiting(home: Home) -> list[WaitingTerms]:
    async with reading(home) as ledger:
        return await waiting_terms(ledger, home, SystemClock().now())


async def _named(home: Home, name: str, *, any_of_them: bool = False) -> WaitingTerms:
    """As `waiting_as`; of what waited once it is said what became of it."""
    try:
        return waiting_as(name, await _waiting(home), any_of_them=any_of_them)
    except ConfigurationError as error:
        if error.code != "not_found":
            raise
        raise await _over(home, name) or error from None


async def _over(home: Home, name: str) -> UndersignedError | None:
    """What became of what waited under this name."""
    async with reading(home) as ledger:
        return await no_longer_waiting(ledger, home, name, SystemClock().now())


def waiting_as(name: str, waiting: Sequence[WaitingTerms], *, any_of_them: bool = False) -> WaitingTerms:
    """What waits under this digest, of terms or a change, or id of an engagement. Terms are refused wherever they wait;
    so for that `any_of_them` does.

    Raises:
        ConfigurationError: `not_found`; `bad_configuration`: several negotiations wait with the same terms.
    """
    found = [one for one in waiting if name in (one.about.terms, one.about.change, one.about.engagement)]
    if not found:
        text = f"nothing waits for people here as {plain(name, 100)}; it may be decided, withdrawn or too late"
        raise ConfigurationError("not_found", f"{text}: see 'offer list'")
    # By the id of an engagement two things may be meant, and they are refused one by one.
    if len(found) > 1 and not (any_of_them and len({one.about.terms for one in found}) == 1):
        names = "; ".join(f"{one.about.change or one.about.engagement}, where {_other(one)}" for one in found)
        what = "change" if all(one.about.change for one in found) else "negotiation"
        text = f"{counted(len(found), what)} wait with these terms; name one by its id: {names}"
        raise ConfigurationError("bad_configuration", text)
    return found[0]


def _what(one: WaitingTerms) -> str:
    """What is put to people, in a few words; of a change, what is in force beside it."""
    terms, change, before = one.asked.terms, one.change, one.in_force
    if change is None:
        return f"{terms.task.kind} for {terms.price}"
    instead = ""
    if before is not None and before.price != terms.price:
        instead = f" instead of {before.price}"
    offered = "offered to us" if not one.asked.opens else "to be offered by us"
    return f"{change.kind.lower()} of {terms.task.kind}, for {terms.price}{instead}, {offered}"


def _changes(one: WaitingTerms) -> tuple[Difference, ...]:
    """Where what is put says something else than what is in force."""
    return () if one.in_force is None else changed_terms(one.in_force, one.asked.terms)


def _json(one: WaitingTerms) -> dict[str, object]:
    terms, change, before = one.asked.terms, one.change, one.in_force
    changed: dict[str, object] = {}
    if change is not None:
        changed = {
            "change": change.name,
            "kind": change.kind,
            "amends": change.amends,
            "ours": one.asked.opens,
            "inForce": str(before.price) if before is not None else None,
        }
        if change.owed is not None:
            changed |= {"settlement": from_struct(change.owed), "reason": change.reason}
    return {
        "terms": one.about.terms,
        **changed,
        "engagement": one.about.engagement,
        "role": one.role,
        "peer": one.peer,
        "task": terms.task.kind,
        "price": str(terms.price),
        "until": one.asked.until,
        **from_struct(one.standing),
    }


def _decision(one: WaitingTerms) -> Decision | None:
    try:
        return msgspec.json.decode(one.decision, type=Decision)
    except msgspec.MsgspecError:
        return None


def _other(one: WaitingTerms) -> str:
    hired = "would be hired" if one.about.change is None else "is hired"
    return f"{plain(one.peer, 200)} {'hires us' if one.role == 'provider' else hired}"
