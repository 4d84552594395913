"""The command `discover`: what somebody publishes about itself, none of it proved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import click
from msgspec import to_builtins

from undersigned.encoding import FOREIGN_LIMITS, Did, decode_json
from undersigned.errors import FormatError, UndersignedError
from undersigned.runtime import DomainLink, Gatherer, SystemClock, beside, checked_url, domain_links

from .options import AT_OPTION, checked_did, open_gatherer
from .output import HOME_OPTION, Out, error_json, home_path, meeting
from .words import plain

__all__ = ["discover", "domain_lines"]

NOT_THERE = 404
MOST_TOLD = 50
"""Of one kind of thing that somebody lists about itself; programs are told all."""


async def _card(gatherer: Gatherer, endpoint: str) -> dict[str, Any]:
    """The agent card beside `endpoint`.

    Raises:
        FormatError: What is there is no JSON object.
        ResolutionError: Nothing is there, or nothing that is taken; as `Gatherer.fetch`.
    """
    url = f"{beside(endpoint)}/.well-known/agent-card.json"
    raw = await gatherer.fetch(url)
    try:
        value = decode_json(raw, FOREIGN_LIMITS)
    except FormatError as error:
        raise FormatError(error.code, f"{url}: {error.message}", path=error.path) from error
    if not isinstance(value, dict):
        raise FormatError("bad_json", f"{url}: expected a JSON object")
    return dict(value)


def _list_of_objects(value: Any) -> list[dict[str, Any]]:
    """The JSON objects in a list that somebody else wrote; what is neither counts as nothing."""
    return [item for item in cast(list[Any], value) if isinstance(item, dict)] if isinstance(value, list) else []


def _tell_some(out: Out, lines: Sequence[str]) -> None:
    for line in lines[:MOST_TOLD]:
        out.line(line)
    if len(lines) > MOST_TOLD:
        out.line(f"  and {len(lines) - MOST_TOLD} more; --json tells them")


def _does(task: dict[str, Any]) -> str:
    """What a card says of one task, as far as it says it."""
    (price,) = _list_of_objects([task.get("price")]) or [{}]
    cost = " ".join(plain(price[name], most) for name, most in (("amount", 20), ("currency", 8)) if name in price)
    said = f"{plain(task.get('task', 'a task without a name'), 60)}{f' for {cost}' if cost else ''}"
    return f"  does      {said}  {plain(task.get('summary', ''), 120)}".rstrip()


@click.command()
@click.argument("did")
@AT_OPTION
@click.option("--local", is_flag=True, help="Allow http and ws on loopback.")
@HOME_OPTION
@meeting
async def discover(out: Out, did: str, at: str | None, local: bool, home: str | None) -> int:
    """What a DID publishes: its keys, where it listens, what it does. Nothing of it is proved yet, except whether it is
    tied to the domains that it names.

    Needs no state folder; with one it is looked up as its peer would, and a local one, like --local, allows DIDs of
    this machine.
    """
    opened = None
    if home is not None or (home_path(None) / "undersigned.toml").exists():
        opened = out.home(home)
    if opened is not None and local and not opened.configuration.local:
        opened = None  # what it knows and trusts is of the world outside
    out.local = out.local or local
    checked_did(did, out.local, opened.configuration.resolver if opened is not None else None)
    checked_url(at, out.local)
    card: dict[str, Any] | None = None
    without: UndersignedError | None = None
    async with open_gatherer(opened) if opened is not None else Gatherer(local=out.local) as gatherer:
        document = await gatherer.document(did)
        endpoints = [at] if at else list(document.services("HireService"))
        try:
            card = await _card(gatherer, endpoints[0]) if endpoints else None
        except UndersignedError as error:
            without = error  # nothing rests on it: the rest is told all the same
        domains = await domain_links(gatherer, did, SystemClock())
    known = document.keys("authentication", now=SystemClock().now())
    keys = {method: key.kind for method, key in known.items()}
    told = [to_builtins(link) for link in domains]
    out.value(
        {"did": did, "keys": keys, "endpoints": endpoints, "card": card, "domains": told}
        | ({"cardError": error_json(without)} if without is not None else {})
    )
    out.line(did)
    _tell_some(out, [f"  key       {kind} {method}" for method, kind in keys.items()])
    _tell_some(out, [f"  listens   {plain(endpoint)}" for endpoint in endpoints])
    for line, style in domain_lines({did: domains}, 10):
        out.line(line, style=style)
    tasks = _list_of_objects((card or {}).get("tasks"))
    _tell_some(out, [_does(task) for task in tasks])
    if not endpoints:
        out.line("  it publishes no place where it listens; name one with --at")
    elif without is not None and without.detail.get("status") == NOT_THERE:
        out.line("  it publishes no agent card, and so does not say what it does")
    elif without is not None:
        out.line(f"  what it does is not known, without its agent card: {plain(without.message)}", style="yellow")
    elif not tasks:
        out.line("  its agent card names no task for which it could be hired")
    return 0


def domain_lines(links: Mapping[Did, tuple[DomainLink, ...]], width: int) -> Iterator[tuple[str, str]]:
    """What ties each DID to the domains that it names: lines with their styles, of whose first column `width` is."""
    label = f"  {'domain':<{width}}"
    for did, found in links.items():
        who = plain(did, 200)
        for link in found:
            domain = plain(link.origin, 120) or "a domain"
            if link.linked:
                yield f"{label}{who} and {domain} are tied by proof", "green"
            else:
                yield f"{label}{who} is not tied to {domain}: {plain(link.reason)}", "yellow"
        if not found:
            yield f"{label}{who} names no domain", "dim"
