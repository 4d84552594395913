"""The commands `keys list`, `keys show` and `keys rotate`."""

from __future__ import annotations

import json

import click

from undersigned.did import entries_left
from undersigned.errors import ConfigurationError, LocalProtocolError
from undersigned.runtime import (
    Home,
    SystemClock,
    bound_to_key,
    contracts_to_deliver,
    require_rotates,
    rotate_key,
    rotate_organisation_key,
    while_no_peer_runs,
)

from .listing import CommandGroup
from .output import HOME_OPTION, JSON_OPTION, Out, command, reading
from .words import typed

__all__ = ["keys"]

FEW_ROTATIONS = 16
"""So many are left of a `did:webvh` when `keys rotate` begins to say so: enough for a year of one a month."""


@click.group(cls=CommandGroup)
@JSON_OPTION
def keys(as_json: bool) -> None:
    """Show and rotate the keys of the state folder."""


@keys.command("list")
@HOME_OPTION
@command
async def keys_list(out: Out, home: str | None) -> None:
    """Which keys there are; never their private parts."""
    opened = out.home(home)
    documents = {"agent": opened.document(), "organisation": opened.organisation_document()}
    for name, document in documents.items():
        if document is None:
            continue
        good = document.keys("assertionMethod", now=SystemClock().now())
        for place, method in enumerate(document.methods("assertionMethod")):
            # An agent's second one signs its log.
            former = place > 0 and name == "organisation"
            if (public := good.get(method)) is None:
                out.value({"name": name, "method": method, "over": True})
                out.line(f"{name:13} {'over':8} {method}  (past its end, revoked, or none that can be used)")
                continue
            kind, multikey = public.kind, public.multikey
            out.value({"name": name, "method": method, "kind": kind, "publicKeyMultibase": multikey, "former": former})
            out.line(f"{name:13} {kind:8} {method}{'  (former: what it signed holds)' if former else ''}")


@keys.command("show")
@click.argument("name", type=click.Choice(["agent", "organisation"]), default="agent")
@HOME_OPTION
@command
async def keys_show(out: Out, name: str, home: str | None) -> None:
    """The DID document that publishes a key."""
    opened = out.home(home)
    document = opened.document() if name == "agent" else opened.organisation_document()
    if document is None:
        raise ConfigurationError("not_found", f"this state folder has no {name}")
    out.document(dict(document.json))
    out.file(json.dumps(document.json, indent=2) + "\n")


@keys.command("rotate")
@click.argument("name", type=click.Choice(["agent", "organisation"]), default="agent")
@click.option(
    "--force",
    is_flag=True,
    help="Of the agent: also while work is owed, or terms wait, that only the key of now can sign.",
)
@click.option(
    "--drop",
    is_flag=True,
    help="Of the organisation: take out its former keys, for one that others know. What was issued and holds is signed "
    "anew, and has to be handed over again.",
)
@HOME_OPTION
@command
async def keys_rotate(out: Out, name: str, force: bool, drop: bool, home: str | None) -> None:
    """A new key for the agent, or its organisation: the DID stays, the old key is retired. Not possible for did:key.

    No peer may run meanwhile. What the old key signed stays valid. A contract under which we work names the key that
    its delivery must be signed with, so while there is one `--force` is needed, and such work is rejected: rotate by
    force a key that is lost or known to others, and any other once the work is over. The same where a change of the
    terms that this key has signed waits for the other side: it is refused then, and what is said after it, such as a
    review, may not arrive any more.

    The organisation's keys of before stay published, so that what they signed holds; with `--drop` nothing does that
    was not signed anew.
    """
    opened = out.home(home)
    if name == "organisation":
        if force:
            raise ConfigurationError("bad_configuration", "--force is for the agent's key; expected --drop, or neither")
        _rotate_organisation(out, opened, drop=drop)
        return
    if drop:
        raise ConfigurationError("bad_configuration", "--drop is for the organisation's key: keys rotate organisation")
    require_rotates(opened)  # as the next: or a peer would be ended for nothing
    if not force:
        await _require_nothing_by_its_key(opened)
    # It would be bound by the key of before to deliver what no key states any more.
    with while_no_peer_runs(opened):
        if not force:
            await _require_nothing_by_its_key(opened)
        method = rotate_key(opened)
    log = opened.log()
    left = entries_left(log) if log is not None else None
    out.value({"did": opened.configuration.did, "method": method, "left": left})
    out.line(f"new key {method}; the next 'serve' uses it")
    if left is not None and left <= FEW_ROTATIONS:
        text = "the log of this DID takes"
        out.alarm(f"{text} {left or 'no'} more of them, and then the key stays: another one needs another DID")


def _rotate_organisation(out: Out, home: Home, *, drop: bool) -> None:
    method, anew = rotate_organisation_key(home, drop=drop)
    out.value({"did": method.partition("#")[0], "method": method, "dropped": drop, "signedAnew": list(anew)})
    out.line(f"new key {method}; it signs what is issued from now on")
    if drop:
        out.line(f"the keys before are taken out: what they signed holds no more, but for {len(anew)} signed anew")
    others = [one for one in anew if anew[one] != home.configuration.did]
    if others:
        text = f"{len(others)} of them others have to be given again:"
        out.line(f"{text} {typed('credentials list --home {}', home.path)}, and of each 'credentials show'")


async def _require_nothing_by_its_key(home: Home) -> None:
    """Returns if no contract under which this agent works names its key, and nothing is on its way that only this key
    can have signed.

    Raises:
        LocalProtocolError: `wrong_state`, naming them.
    """
    async with reading(home) as store:
        own = home.configuration.did
        methods = home.document().methods("authentication")
        named = {one: None for method in methods for one in await contracts_to_deliver(store, own, method)}
        bound = [move for method in methods for move in await bound_to_key(store, own, method)]
    if named:
        raise LocalProtocolError(
            "wrong_state",
            f"work is owed under {', '.join(named)}, whose delivery must be signed by the key of now: rotate when it "
            "is over, or with --force if the key is lost or known to others; that work is rejected then",
        )
    if bound:
        moves = ", ".join(f"{move.type} in {move.engagement} to {move.recipient}" for move in bound)
        raise LocalProtocolError(
            "wrong_state",
            f"what only the key of now can have signed waits for the other side: {moves}. Run `serve` until that has "
            "it, and has answered it or it is taken back (`contract decline`), and rotate then, or with --force if the "
            "key is lost or known to others; it is refused then, and nothing more that is said there may arrive",
        )
