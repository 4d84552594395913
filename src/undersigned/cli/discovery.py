"""The command `discover`: what somebody publishes about itself, none of it proved."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import click
from msgspec import to_builtins

from undersigned.encoding import decode_json
from undersigned.errors import UndersignedError
from undersigned.runtime import Gatherer, SystemClock, domain_links

from .options import AT_OPTION, checked_did, checked_url
from .output import HOME_OPTION, Out, home_path, meeting, plain
from .telling import domain_lines

__all__ = ["discover"]


async def _card(gatherer: Gatherer, endpoint: str) -> dict[str, Any] | None:
    parts = urlsplit(endpoint)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        raw = await gatherer.fetch(f"{scheme}://{parts.netloc}/.well-known/agent-card.json")
        value = decode_json(raw)
    except UndersignedError:
        return None
    return dict(value) if isinstance(value, dict) else None


def _list_of_objects(value: Any) -> list[dict[str, Any]]:
    """The JSON objects in a list that somebody else wrote; what is neither counts as nothing."""
    return [item for item in cast(list[Any], value) if isinstance(item, dict)] if isinstance(value, list) else []


@click.command()
@click.argument("did")
@AT_OPTION
@click.option("--local", is_flag=True, help="Allow http and ws on loopback.")
@HOME_OPTION
@meeting
async def discover(out: Out, did: str, at: str | None, local: bool, home: str | None) -> int:
    """What a DID publishes: its keys, where it listens, what it does. Nothing of it is proved yet, except whether it is
    tied to the domains that it names.

    Needs no state folder; a local one, like --local, allows DIDs of this machine.
    """
    if home is not None or (home_path(None) / "undersigned.toml").exists():
        out.home(home)
    out.local = out.local or local
    checked_did(did, out.local)
    checked_url(at, out.local)
    gatherer = Gatherer(local=out.local)
    try:
        document = await gatherer.document(did)
        endpoints = [at] if at else list(document.services("HireService"))
        card = await _card(gatherer, endpoints[0]) if endpoints else None
        domains = await domain_links(gatherer, did, SystemClock())
    finally:
        await gatherer.close()
    keys = {method: document.key_for(method, "authentication").kind for method in document.methods("authentication")}
    told = [to_builtins(link) for link in domains]
    out.value({"did": did, "keys": keys, "endpoints": endpoints, "card": card, "domains": told})
    out.line(did)
    for method, kind in keys.items():
        out.line(f"  key       {kind} {method}")
    for endpoint in endpoints:
        out.line(f"  listens   {plain(endpoint)}")
    for line, style in domain_lines({did: domains}):
        out.line(line, style=style)
    for task in _list_of_objects((card or {}).get("tasks")):
        (price,) = _list_of_objects([task.get("price")]) or [{}]
        cost = f"{plain(price.get('amount'), 20)} {plain(price.get('currency'), 8)}"
        said = plain(task.get("summary", ""), 120)
        out.line(f"  does      {plain(task.get('task'), 60)} for {cost}  {said}".rstrip())
    if not endpoints:
        out.line("  it publishes no place where it listens; name one with --at")
    elif card is None:
        out.line("  there is no agent card there: it may be down, or say nothing about what it does")
    return 0
