"""Commands about this peer's own state: `init`, `keys`, `ledger`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any

import click

from undersigned.did import entries_left, parse_did
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.ledger import Ledger, Summary
from undersigned.protocol import ENDED, Engagement, owed
from undersigned.runtime import (
    MAX_NAME,
    Home,
    OfferPart,
    SystemClock,
    bound_to_key,
    cannot_sign,
    checked_name,
    claimed,
    contracts_to_deliver,
    create_home,
    distinct_offers,
    handler_named,
    issue_membership,
    load_engagement,
    parse_price,
    rotate_key,
    rotate_organisation_key,
)

from .listing import CommandGroup
from .output import (
    HOME_OPTION,
    JSON_OPTION,
    Out,
    command,
    engagement_named,
    home_path,
    owed_in_words,
    plain,
    reading,
    typed,
)

__all__ = ["init", "keys", "ledger", "mute_in", "waits_of"]

FEW_ROTATIONS = 16
"""So many are left of a `did:webvh` when `keys rotate` begins to say so: enough for a year of one a month."""
SBOM_HANDLER = "undersigned.daemon.sbom:make_sbom"


def _own(home: Home) -> dict[str, Any]:
    configuration = home.configuration
    part = configuration.organisation
    return {
        "home": str(home.path),
        "did": configuration.did,
        "organisation": part.did if part else None,
        "local": configuration.local,
        "port": configuration.listen.port,
        "offers": [offer.task for offer in configuration.offer],
        "anchors": list(configuration.trust.anchors),
    }


@click.command()
@click.argument("folder", required=False)
@click.option(
    "--name", metavar="NAME", help="Name people see; by default the folder's, or if none is named the domain."
)
@click.option(
    "--organisation",
    metavar="NAME",
    help="Name of the organisation that vouches for the agent; by default the agent's.",
)
@click.option("--domain", metavar="HOST", help="Host the agent at this domain: did:web over https.")
@click.option(
    "--method",
    type=click.Choice(["web", "webvh"]),
    default="web",
    show_default=True,
    help="Method of a DID with a domain: webvh keeps a verifiable history. Its log would allow a move to another "
    "domain; no command makes one yet.",
)
@click.option(
    "--url",
    metavar="URL",
    help="Where others reach a did:key agent, such as https://agents.example.com: TLS ends there.",
)
@click.option("--local", "local", is_flag=True, help="Loopback only, without TLS: for one machine.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Port to listen on; by default 8443 with --domain or --url, with --local a free one, chosen now. With --local "
    "and --port the DID names it.",
)
@click.option(
    "--key",
    "kind",
    type=click.Choice(["Ed25519", "P-256", "P-384"]),
    default="Ed25519",
    show_default=True,
    help="Kind of the agent's key.",
)
@click.option("--trust", "anchors", multiple=True, metavar="DID", help="An issuer whose credentials are believed.")
@click.option(
    "--offer", "offers", multiple=True, metavar="TASK[=PRICE]", help="A task done for others, such as 'sbom=4.00 EUR'."
)
@click.option("--handler", metavar="MODULE:FUNCTION", help="What does the offered tasks; 'sbom' has one built in.")
@click.option(
    "--delivers",
    multiple=True,
    metavar="NAME",
    help="Name of what --handler delivers, such as 'report.txt'; by default 'result'. May be repeated.",
)
@click.option("--max-price", metavar="PRICE", help="Most that is paid in one contract, e.g. '5.00 EUR'.")
@HOME_OPTION
@command
async def init(
    out: Out,
    folder: str | None,
    name: str | None,
    organisation: str | None,
    domain: str | None,
    url: str | None,
    method: str,
    local: bool,
    port: int | None,
    kind: Any,
    anchors: tuple[str, ...],
    offers: tuple[str, ...],
    handler: str | None,
    delivers: tuple[str, ...],
    max_price: str | None,
    home: str | None,
) -> None:
    """Make a state folder: keys, DIDs, a membership credential, configuration.

    With --domain the agent is did:web, with --local and --port it is did:web:localhost%3APORT; else it is did:key, and
    others reach it with --at URL. Contracts name where it listens, so the port is written down. With --local it stays
    on this machine; otherwise it dials nothing but wss and https, and a proxy ends TLS before it. FOLDER is created;
    nothing is overwritten.
    """
    if sum(map(bool, (domain, url, local))) > 1:
        raise ConfigurationError("bad_configuration", "--domain, --url and --local exclude each other")
    if folder and home and Path(folder) != Path(home):
        raise ConfigurationError("bad_configuration", f"two state folders are named: {folder} and {home}")
    for anchor in anchors:
        try:
            parse_did(anchor)
        except UndersignedError as error:
            raise ConfigurationError("bad_configuration", f"--trust: {error.message}") from error
    if max_price is not None:
        parse_price(max_price, "--max-price")
    if handler is not None:
        handler_named(handler, "--handler")
        if not offers:
            raise ConfigurationError("bad_configuration", "--handler does what --offer offers: name that, too")
    elif delivers:
        raise ConfigurationError("bad_configuration", "--delivers says what --handler delivers: name that, too")
    for each in delivers:
        checked_name("--delivers", each)
    path = home_path(home if folder is None else folder)
    if name is None:
        # Where no folder is named it is one of the user's data folder, which says nothing to others.
        named = domain if domain and folder is None and home is None else path.absolute().name
        name = named[:MAX_NAME]
    checked_name("--name", name)
    checked_name("--organisation", name if organisation is None else organisation)
    parts: list[OfferPart] = []
    for offer in offers:
        task, _, price = offer.partition("=")
        if not task or price != price.strip():
            raise ConfigurationError(
                "bad_configuration", f"--offer: expected TASK[=PRICE], such as 'sbom=4.00 EUR', got {offer!r}"
            )
        if task != "sbom" and handler is None:
            raise ConfigurationError("bad_configuration", f"--offer {task} needs --handler module:function")
        if handler is None and find_spec("cyclonedx") is None:
            text = f"--offer {task}: making a bill of materials needs an extra: pip install 'undersigned[prov]'"
            raise ConfigurationError("missing_extra", text)
        if price:
            parse_price(price, f"--offer {task}")
        names = delivers[0] if len(delivers) == 1 else delivers or "result"
        parts.append(
            OfferPart(
                task=task,
                handler=handler or SBOM_HANDLER,
                price=price or "0 EUR",
                delivers=names,
                media_type=_media_type(delivers),
            )
        )
    distinct_offers((part.task for part in parts), "--offer")
    with claimed(path):
        made = create_home(
            path,
            name=name,
            organisation=organisation,
            domain=domain,
            url=url,
            local=local,
            port=port,
            kind=kind,
            anchors=anchors,
            offers=tuple(parts),
            max_price=max_price,
            history=method == "webvh",
        )
        await issue_membership(made)
    own = _own(made)
    out.local = bool(own["local"])
    out.value(own)
    passphrase = path / "keys" / "passphrase"
    out.line(f"state folder   {own['home']}{'  (loopback only, without TLS)' if out.local else ''}")
    out.line(f"agent          {own['did']}")
    out.line(f"organisation   {own['organisation']}")
    sealed = f"with the passphrase in {passphrase}" if passphrase.exists() else "with UNDERSIGNED_PASSPHRASE"
    out.line(f"keys           sealed in {path / 'keys'}, {sealed}")
    out.line(f"settings       {path / 'undersigned.toml'}")
    listen = made.configuration.listen
    if listen.url:
        out.line(f"reached at     {listen.url}: let it end TLS and pass all on to {listen.host}:{listen.port}")
        out.line("               and set X-Forwarded-For; then name its address in proxies of [listen] in the settings")
    elif local:
        out.line(f"reached at     ws://localhost:{listen.port}/hire")
    else:
        out.line(
            "reached at     nowhere yet: it can hire without inputs; for more, set url in [listen] of the settings"
        )
    for part in parts:
        named = part.delivers if isinstance(part.delivers, str) else ", ".join(part.delivers)
        out.line(
            f"does           {part.task} for {part.price}" + (f", delivers {named}" if handler is not None else "")
        )
    if not anchors:
        out.line("trusts nobody yet: add issuers to [trust] anchors in the settings, or nobody passes its policy")
    out.line(f"others trust this agent with   --trust {own['organisation']}")
    out.line(f"run it with                    {typed('serve --home {}', path)}")


def _media_type(names: tuple[str, ...]) -> str:
    """What the ends of all these names say of them, by the table that Python has on every machine."""
    table = MimeTypes(filenames=())
    said = {None if packed else kind for kind, packed in map(table.guess_type, names)}
    return (said.pop() if len(said) == 1 else None) or "application/octet-stream"


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
        for method in document.methods("assertionMethod"):
            if (public := good.get(method)) is None:
                out.value({"name": name, "method": method, "over": True})
                out.line(f"{name:13} {'over':8} {method}  (past its end, revoked, or none that can be used)")
                continue
            out.value({"name": name, "method": method, "kind": public.kind, "publicKeyMultibase": public.multikey})
            out.line(f"{name:13} {public.kind:8} {method}")


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

    What the old key signed stays valid. A running peer uses the agent's new key after a restart. A contract under which
    we work names the key that its delivery must be signed with, so while there is one `--force` is needed, and such
    work is rejected: rotate by force a key that is lost or known to others, and any other once the work is over. The
    same where a change of the terms that this key has signed waits for the other side: it is refused then, and what is
    said after it, such as a review, may not arrive any more.

    The organisation's key is replaced while no peer runs. The ones before stay published, so that what they signed
    holds; with `--drop` nothing does that was not signed anew.
    """
    opened = out.home(home)
    if name == "organisation":
        if force:
            raise ConfigurationError("bad_configuration", "--force is for the agent's key; expected --drop, or neither")
        _rotate_organisation(out, opened, drop=drop)
        return
    if drop:
        raise ConfigurationError("bad_configuration", "--drop is for the organisation's key: keys rotate organisation")
    if not force:
        await _require_nothing_by_its_key(opened)
    method = rotate_key(opened)
    log = opened.log()
    left = entries_left(log) if log is not None else None
    out.value({"did": opened.configuration.did, "method": method, "left": left})
    out.line(f"new key {method}; a running 'serve' uses it after a restart")
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
        ConfigurationError: `bad_configuration`, naming them.
    """
    store = await reading(home)
    try:
        own = home.configuration.did
        methods = home.document().methods("authentication")
        named = {one: None for method in methods for one in await contracts_to_deliver(store, own, method)}
        bound = [move for method in methods for move in await bound_to_key(store, own, method)]
    finally:
        await store.close()
    if named:
        raise ConfigurationError(
            "bad_configuration",
            f"work is owed under {', '.join(named)}, whose delivery must be signed by the key of now: rotate when it "
            "is over, or with --force if the key is lost or known to others; that work is rejected then",
        )
    if bound:
        moves = ", ".join(f"{move.type} in {move.engagement} to {move.recipient}" for move in bound)
        raise ConfigurationError(
            "bad_configuration",
            f"what only the key of now can have signed waits for the other side: {moves}. Run `serve` until that has "
            "it, and has answered it or it is taken back (`contract decline`), and rotate then, or with --force if the "
            "key is lost or known to others; it is refused then, and nothing more that is said there may arrive",
        )


@click.group(cls=CommandGroup)
@JSON_OPTION
def ledger(as_json: bool) -> None:
    """Look at the ledger: engagements, their journals, the log, its checks."""


@ledger.command("list")
@click.option("--live", is_flag=True, help="Only those that are not over.")
@HOME_OPTION
@command
async def ledger_list(out: Out, live: bool, home: str | None) -> None:
    """The engagements of this peer: their state, and who owes what by when."""
    opened = out.home(home)
    store = await reading(opened)
    try:
        found = await store.summaries(live_only=live)
        waits = {row.engagement: await waits_of(store, row, opened) for row in found if row.live}
    finally:
        await store.close()
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
        "who": list(due.who),
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


@ledger.command("show")
@click.argument("engagement")
@HOME_OPTION
@command
async def ledger_show(out: Out, engagement: str, home: str | None) -> None:
    """The journal of one engagement, entry by entry."""
    store = await reading(out.home(home))
    try:
        rows = await store.rows(await engagement_named(store, engagement))
    finally:
        await store.close()
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
