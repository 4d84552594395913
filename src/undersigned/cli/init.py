"""The command `init`."""

from __future__ import annotations

from importlib.util import find_spec
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any

import click

from undersigned.did import parse_did
from undersigned.errors import ConfigurationError
from undersigned.runtime import (
    MAX_NAME,
    TASKS,
    Home,
    OfferPart,
    checked_name,
    claimed,
    create_home,
    distinct_offers,
    handler_named,
    issue_membership,
    parse_price,
)

from .interrupts import ended_gently
from .output import HOME_OPTION, Out, checking, command, home_path
from .words import typed

__all__ = ["init"]

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
    help="Kind of the agent's key. P-256 and P-384 deal with each other, and Ed25519 with Ed25519 alone.",
)
@click.option(
    "--trust",
    "anchors",
    multiple=True,
    metavar="DID",
    help="An issuer whose credentials are believed. May be repeated.",
)
@click.option(
    "--offer",
    "offers",
    multiple=True,
    metavar="TASK[=PRICE]",
    help="A task done for others, such as 'sbom=4.00 EUR'. May be repeated.",
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
        with checking("--trust"):
            parse_did(anchor)
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
    parts = tuple([_offered(each, handler, delivers) for each in offers])
    distinct_offers((part.task for part in parts), "--offer")
    with ended_gently(), claimed(path):
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
            offers=parts,
            max_price=max_price,
            history=method == "webvh",
        )
        await issue_membership(made)
    out.local = made.configuration.local
    out.value(_own(made))
    _tell(out, made, handled=handler is not None)


def _offered(offer: str, handler: str | None, delivers: tuple[str, ...]) -> OfferPart:
    """What one --offer says.

    Raises:
        ConfigurationError: `bad_configuration`; `missing_extra`, without which the built-in handler does nothing.
    """
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
    price = price or "0 EUR"
    if handler is None:
        # The profile says this to whoever knows the task by name alone: a contract for another name could not be kept.
        made = TASKS[task]
        return OfferPart(
            task=task, handler=SBOM_HANDLER, price=price, delivers=made.deliverable, media_type=made.media_type
        )
    return OfferPart(
        task=task,
        handler=handler,
        price=price,
        delivers=delivers[0] if len(delivers) == 1 else delivers or "result",
        media_type=_media_type(delivers),
    )


def _tell(out: Out, made: Home, *, handled: bool) -> None:
    """What was made, and what comes next; `handled` if what is delivered is that of a handler who was named."""
    own, path = made.configuration, made.path
    organisation = own.organisation.did if own.organisation else None
    passphrase = path / "keys" / "passphrase"
    out.line(f"state folder   {path}{'  (loopback only, without TLS)' if own.local else ''}")
    out.line(f"agent          {own.did}")
    out.line(f"organisation   {organisation}")
    sealed = f"with the passphrase in {passphrase}" if passphrase.exists() else "with UNDERSIGNED_PASSPHRASE"
    out.line(f"keys           sealed in {path / 'keys'}, {sealed}")
    out.line(f"settings       {path / 'undersigned.toml'}")
    listen = own.listen
    if listen.url:
        out.line(f"reached at     {listen.url}: let it end TLS and pass all on to {listen.host}:{listen.port}")
        out.line("               and set X-Forwarded-For; then name its address in proxies of [listen] in the settings")
    elif own.local:
        out.line(f"reached at     ws://localhost:{listen.port}/hire")
    else:
        out.line(
            "reached at     nowhere yet: it can hire without inputs; for more, set url in [listen] of the settings"
        )
    for part in own.offer:
        named = part.delivers if isinstance(part.delivers, str) else ", ".join(part.delivers)
        out.line(f"does           {part.task} for {part.price}{f', delivers {named}' if handled else ''}")
    if not own.trust.anchors:
        out.line("trusts nobody yet: add issuers to [trust] anchors in the settings, or nobody passes its policy")
    out.line(f"others trust this agent with   --trust {organisation}")
    out.line(f"run it with                    {typed('serve --home {}', path)}")


def _media_type(names: tuple[str, ...]) -> str:
    """What the ends of all these names say of them, by the table that Python has on every machine."""
    table = MimeTypes(filenames=())
    said = {None if packed else kind for kind, packed in map(table.guess_type, names)}
    return (said.pop() if len(said) == 1 else None) or "application/octet-stream"
