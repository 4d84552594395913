"""The group `ledger`, and `list`, `show` and `budget` of its commands; `log` and `forks` add others."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import click

from undersigned.errors import ConfigurationError
from undersigned.ledger import Ledger, Summary
from undersigned.protocol import ENDED, Engagement, owed
from undersigned.runtime import Home, SystemClock, cannot_sign, load_engagement, room_in

from .listing import CommandGroup
from .output import HOME_OPTION, JSON_OPTION, Out, command, engagement_named, ledger_at, reading
from .words import owed_in_words, plain

__all__ = ["ledger", "mute_in", "waits_of"]


@click.group(cls=CommandGroup)
@JSON_OPTION
def ledger(as_json: bool) -> None:
    """Look at the ledger: engagements, their journals, the log, its checks."""


@ledger.command("list")
@click.option("--live", is_flag=True, help="Only those that are not over.")
@HOME_OPTION
@command
async def ledger_list(out: Out, live: bool, home: str | None) -> None:
    """The engagements of this peer, what changed last at the end: their state, and who owes what by when."""
    opened = out.home(home)
    async with reading(opened) as store:
        found = sorted(await store.summaries(live_only=live), key=lambda row: row.updated)
        waits = {row.engagement: await waits_of(store, row, opened) for row in found if row.live}
    for row in found:
        wait = waits.get(row.engagement)
        out.value(
            {
                "engagement": row.engagement,
                "role": row.role,
                "peer": row.peer,
                "state": row.state,
                "contract": row.contract,
                "updated": row.updated,
                "live": row.live,
                "owed": wait,
            }
        )
        out.line(f"{row.updated}  {row.role:8} {row.state:12} {plain(row.peer, 60)}  {row.engagement}")
        if row.contract is not None:
            out.line(f"{'':20}  contract {row.contract}")
        if wait is not None:
            out.line(f"{'':20}  {wait['text']}", style="yellow")
    if not found:
        out.line("no live engagements" if live else "no engagements yet")


async def waits_of(store: Ledger, summary: Summary, home: Home) -> dict[str, Any]:
    """Who owes what by when in an engagement that is not over, and why we could not say it, if so."""
    engagement = (await load_engagement(store, summary, home.configuration.did)).engagement
    due, mute = owed(engagement), mute_in(home, engagement)
    text = "ended here; the other side has not confirmed that it knows"
    if due.who:
        text = owed_in_words(due.moves, due.who, due.by, due.why)
    return {
        "owes": list(due.who),
        "moves": list(due.moves),
        "by": due.by,
        "why": due.why,
        "mute": mute,
        "text": f"{text}; {mute}" if mute is not None else text,
    }


def mute_in(home: Home, engagement: Engagement) -> str | None:
    """Why the key of this state folder can sign nothing in an engagement that is not over; None if it can, or has to
    sign nothing any more.
    """
    if engagement.state in ENDED:
        return None
    try:
        own = home.document()
    except ConfigurationError:
        return None  # whoever starts a peer here is told of that first
    method = next(iter(own.methods("assertionMethod")), "")
    key = own.keys("assertionMethod", now=SystemClock().now()).get(method)
    return cannot_sign(key.kind, engagement.talks) if key is not None else None


@ledger.command("budget")
@HOME_OPTION
@command
async def ledger_budget(out: Out, home: str | None) -> None:
    """What is left of the budget of the settings: of each limit what was spent, and what hires that go on hold."""
    opened = out.home(home)
    async with _books(opened) as books:
        found = await room_in(opened.budget, books, SystemClock().now())
    for one in found:
        limit = one.limit
        amounts = {"spent": one.spent, "held": one.held, "left": one.left, "max": limit.max}
        out.value({"unit": limit.unit, "per": limit.per, **amounts, "anew": one.anew})
        told = f"{one.spent} spent, {one.held} held, {one.left} left of {limit.max}"
        name = limit.unit if limit.per is None else f"{limit.unit} per {limit.per}"
        out.line(f"{name:16} {told}{'' if one.anew is None else f', anew at {one.anew}'}")
    if not found:
        out.line("the settings have no budget: a hire costs at most what is said with it")


def _books(home: Home) -> AbstractAsyncContextManager[Ledger]:
    """Where the budget is counted, for reading; empty books if nothing was counted yet."""
    name = home.configuration.books
    if name is None or home.books_url is None:
        return reading(home)
    return ledger_at(home.books_url if (home.path / name).exists() else "memory:", read_only=True)


@ledger.command("show")
@click.argument("engagement")
@HOME_OPTION
@command
async def ledger_show(out: Out, engagement: str, home: str | None) -> None:
    """The journal of one engagement, entry by entry."""
    async with reading(out.home(home)) as store:
        rows = await store.rows(await engagement_named(store, engagement))
    for row in rows:
        # A message that was refused stands in no place, and what was noted about it names it.
        digest = row.raw.decode() if row.kind == "noted" and row.type in ("fork", "equivocation") else row.digest
        out.value(
            {
                "place": row.place,
                "kind": row.kind,
                "at": row.at,
                "type": row.type,
                "sender": row.sender,
                "sequence": row.sequence,
                "digest": digest,
            }
        )
        out.line(f"{row.place:4} {row.at} {row.kind:8} {plain(row.type, 24):24} {plain(digest, 200)}")
