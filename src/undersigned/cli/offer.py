"""Commands for terms that wait for people: `offer list|show|approve|refuse`.

They read the ledger, and leave what a person signed in the state folder, where a running peer finds it. So they work
beside `serve` or `hire`, and as well while nothing runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import click
import msgspec

from undersigned.contract import terms_card
from undersigned.encoding import from_struct
from undersigned.errors import ConfigurationError, FormatError, PolicyError
from undersigned.runtime import (
    Home,
    SystemClock,
    WaitingTerms,
    drop_approval,
    load_approvers,
    sign_approval,
    waiting_terms,
)
from undersigned.trust import Decision, Verdict, approval, weigh

from .listing import CommandGroup
from .options import FOLDER
from .output import HOME_OPTION, WAITS, Out, command, counted, plain, reading, typed

__all__ = ["offer"]

AS_OPTION = click.option(
    "--as",
    "person",
    required=True,
    type=FOLDER,
    metavar="FOLDER",
    help="Your own state folder: its key signs. Its passphrase is in UNDERSIGNED_PASSPHRASE or in the folder.",
)
NOTE_OPTION = click.option("--note", metavar="TEXT", help="Why, in your words; signed along.")


@click.group(cls=CommandGroup)
def offer() -> None:
    """Terms that wait for people: what is put to them, and their answer."""


@offer.command("list")
@HOME_OPTION
@command
async def offer_list(out: Out, home: str | None) -> None:
    """What waits for people: with whom, for what price, how many approvals it has, until when."""
    opened = out.home(home)
    found = await _waiting(opened)
    for one in found:
        terms = one.asked.terms
        out.value(_json(one))
        out.line(one.about.terms, style="bold")
        what = f"{terms.task.kind} for {terms.price.amount} {terms.price.currency}"
        out.line(f"    {plain(what, 200)}, {_other(one)}; {one.standing.explain()}; until {one.asked.until}")
        out.line(f"    {one.about.engagement}", style="dim")
    out.value({"count": len(found)})
    out.line(f"{counted(len(found), 'set')} of terms {'waits' if len(found) == 1 else 'wait'} for people")


@offer.command("show")
@click.argument("terms", metavar="TERMS")
@HOME_OPTION
@command
async def offer_show(out: Out, terms: str, home: str | None) -> None:
    """All of what is put to people: the terms clause by clause, the decision that asks, who has answered."""
    opened = out.home(home)
    one = waiting_as(terms, await _waiting(opened))
    card = terms_card(
        one.asked.terms,
        hirer=one.about.hirer,
        provider=one.about.provider,
        title=("Terms", one.about.terms),
        state=f"put to people until {one.asked.until}: {one.standing.explain()}",
    )
    decision = _decision(one)
    out.value(
        {
            **_json(one),
            "card": card,
            "clauses": from_struct(one.asked.terms),
            "decision": from_struct(decision) if decision is not None else None,
        }
    )
    for line in [*card.splitlines(), "", *(decision.explain().splitlines() if decision is not None else ())]:
        out.line(plain(line, 1000))
    out.line()
    out.line(typed("offer approve|refuse {} --as FOLDER --home {}", one.about.terms, opened.path))


@offer.command("approve")
@click.argument("terms", metavar="TERMS")
@AS_OPTION
@NOTE_OPTION
@HOME_OPTION
@command
async def offer_approve(out: Out, terms: str, person: Path, note: str | None, home: str | None) -> int:
    """Approve exactly these terms; TERMS is their whole digest. Exit code 7 if another person has to as well.

    An approval is for one negotiation. Where several wait with the same terms, TERMS is the id of one of them.
    """
    return await _say(out, out.home(home), terms, "approve", person, note)


@offer.command("refuse")
@click.argument("terms", metavar="TERMS")
@AS_OPTION
@NOTE_OPTION
@HOME_OPTION
@command
async def offer_refuse(out: Out, terms: str, person: Path, note: str | None, home: str | None) -> int:
    """Refuse exactly these terms, for good: nobody can approve them afterwards. Other terms are another question."""
    return await _say(out, out.home(home), terms, "refuse", person, note)


# -- what several of them do


async def _say(out: Out, opened: Home, terms: str, verdict: Verdict, person: Path, note: str | None) -> int:
    one = waiting_as(terms, await _waiting(opened), any_of_them=verdict == "refuse")
    if one.standing.state == "refused":
        raise PolicyError("policy_denied", f"{one.about.terms} is {one.standing.explain()}")
    now = SystemClock().now()
    if now > one.asked.until:
        raise PolicyError("policy_denied", f"{one.about.terms} waited until {one.asked.until}; it is {now}")
    try:
        document = approval(id=f"urn:uuid:{uuid4()}", verdict=verdict, about=one.about, given=now, note=note)
    except FormatError as error:
        raise ConfigurationError("bad_configuration", f"--note: {error.message}") from error
    signed = await sign_approval(Home(person), load_approvers(opened), document, now)
    said = drop_approval(opened, signed, now)
    # A running peer may have gone on with it by now.
    standing = weigh([*one.given, said], one.about, needed=one.asked.needed)
    out.value({"terms": one.about.terms, "verdict": verdict, "approval": said.digest, **from_struct(standing)})
    out.line(standing.explain(), style="yellow" if standing.state == "waits" else "bold green")
    out.line("a peer that runs goes on with it at once, else at its next start")
    return WAITS if standing.state == "waits" else 0


async def _waiting(home: Home) -> list[WaitingTerms]:
    ledger = await reading(home)
    try:
        return await waiting_terms(ledger, home, SystemClock().now())
    finally:
        await ledger.close()


def waiting_as(name: str, waiting: Sequence[WaitingTerms], *, any_of_them: bool = False) -> WaitingTerms:
    """What waits under this digest of terms or id of an engagement. Terms are refused wherever they wait; so for that
    `any_of_them` does.

    Raises:
        ConfigurationError: `not_found`; `bad_configuration`: several negotiations wait with the same terms.
    """
    found = [one for one in waiting if name in (one.about.terms, one.about.engagement)]
    if not found:
        raise ConfigurationError("not_found", f"no terms {plain(name, 100)} wait for people here: see 'offer list'")
    if len(found) > 1 and not any_of_them:
        names = "; ".join(f"{one.about.engagement}, where {_other(one)}" for one in found)
        text = f"{counted(len(found), 'negotiation')} wait with these terms; name one by its id: {names}"
        raise ConfigurationError("bad_configuration", text)
    return found[0]


def _json(one: WaitingTerms) -> dict[str, object]:
    terms = one.asked.terms
    return {
        "terms": one.about.terms,
        "engagement": one.about.engagement,
        "role": one.role,
        "peer": one.peer,
        "task": terms.task.kind,
        "price": f"{terms.price.amount} {terms.price.currency}",
        "until": one.asked.until,
        **from_struct(one.standing),
    }


def _decision(one: WaitingTerms) -> Decision | None:
    try:
        return msgspec.json.decode(one.decision, type=Decision)
    except msgspec.MsgspecError:
        return None


def _other(one: WaitingTerms) -> str:
    return f"{plain(one.peer, 200)} {'hires us' if one.role == 'provider' else 'would be hired'}"
