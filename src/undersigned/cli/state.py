"""Commands about this peer's own state: `init`, `keys`, `ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from undersigned.errors import ConfigurationError
from undersigned.ledger import open_ledger
from undersigned.runtime import Home, OfferPart, create_home, issue_membership, rotate_key

from .output import Out, command, home_path, plain

__all__ = ["init", "keys", "ledger"]

SBOM_HANDLER = "undersigned.daemon.sbom:make_sbom"


def _own(home: Home) -> dict[str, Any]:
    configuration = home.configuration
    part = configuration.organisation
    return {
        "home": str(home.path),
        "did": configuration.did,
        "organisation": part.did if part else None,
        "local": configuration.local,
        "offers": [offer.task for offer in configuration.offer],
        "anchors": list(configuration.trust.anchors),
    }


@click.command()
@click.argument("folder", required=False)
@click.option("--name", help="Name people see; by default the folder's.")
@click.option("--organisation", help="Name of the organisation that vouches for the agent.")
@click.option("--domain", help="Host the agent at this domain: did:web over https.")
@click.option("--local", "local", is_flag=True, help="Loopback only, without TLS: for one machine. Needs --port.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the public listener.")
@click.option("--key", "kind", type=click.Choice(["Ed25519", "P-256", "P-384"]), default="Ed25519", show_default=True)
@click.option("--trust", "anchors", multiple=True, metavar="DID", help="An issuer whose credentials are believed.")
@click.option("--offer", "offers", multiple=True, metavar="TASK[=PRICE]", help="A task done for others: sbom=4.00 EUR.")
@click.option("--handler", help="module:function that does the offered task; 'sbom' has one built in.")
@click.option("--max-price", help="Most that is paid in one contract, e.g. '5.00 EUR'.")
@click.option("--home", "home", metavar="FOLDER", help="State folder, as in other commands.")
@command
async def init(
    out: Out,
    folder: str | None,
    name: str | None,
    organisation: str | None,
    domain: str | None,
    local: bool,
    port: int | None,
    kind: Any,
    anchors: tuple[str, ...],
    offers: tuple[str, ...],
    handler: str | None,
    max_price: str | None,
    home: str | None,
) -> None:
    """Make a state folder: keys, DIDs, a membership credential, configuration."""
    if local and not port:
        raise ConfigurationError("bad_configuration", "--local needs --port: the DID names it")
    if domain and local:
        raise ConfigurationError("bad_configuration", "--domain and --local exclude each other")
    parts: list[OfferPart] = []
    for offer in offers:
        task, _, price = offer.partition("=")
        if task != "sbom" and handler is None:
            raise ConfigurationError("bad_configuration", f"--offer {task} needs --handler module:function")
        parts.append(OfferPart(task=task, handler=handler or SBOM_HANDLER, price=price or "0 EUR"))
    path = Path(folder) if folder else home_path(home)
    made = create_home(
        path,
        name=name or path.name,
        organisation=organisation,
        domain=domain,
        local_port=port if local else None,
        kind=kind,
        anchors=anchors,
        offers=tuple(parts),
        max_price=max_price,
    )
    await issue_membership(made)
    own = _own(made)
    out.value(own)
    mark = " (local: loopback only, without TLS)" if own["local"] else ""
    out.line(f"state folder   {own['home']}{mark}")
    out.line(f"agent          {own['did']}{mark}")
    out.line(f"organisation   {own['organisation']}{mark}")
    out.line("keys           sealed in keys/; the passphrase is in keys/passphrase or UNDERSIGNED_PASSPHRASE")
    out.line(f"others trust this agent with:  --trust {own['organisation']}")


@click.group()
def keys() -> None:
    """Show and rotate the keys of the state folder."""


@keys.command("list")
@click.option("--home", metavar="FOLDER", help="State folder.")
@command
async def keys_list(out: Out, home: str | None) -> None:
    """Which keys there are; never their private parts."""
    opened = Home(home_path(home))
    documents = {"agent": opened.document(), "organisation": opened.organisation_document()}
    for name, document in documents.items():
        if document is None:
            continue
        for method in document.methods("assertionMethod"):
            public = document.key_for(method, "assertionMethod")
            out.value({"name": name, "method": method, "kind": public.kind, "publicKeyMultibase": public.multikey})
            out.line(f"{name:13} {public.kind:8} {method}")


@keys.command("show")
@click.argument("name", type=click.Choice(["agent", "organisation"]), default="agent")
@click.option("--home", metavar="FOLDER", help="State folder.")
@command
async def keys_show(out: Out, name: str, home: str | None) -> None:
    """The DID document that publishes a key."""
    opened = Home(home_path(home))
    document = opened.document() if name == "agent" else opened.organisation_document()
    if document is None:
        raise ConfigurationError("not_found", f"this state folder has no {name}")
    out.value(dict(document.json))
    if not out.as_json:
        out.console.print_json(data=dict(document.json))


@keys.command("rotate")
@click.option("--home", metavar="FOLDER", help="State folder.")
@command
async def keys_rotate(out: Out, home: str | None) -> None:
    """A new key for the agent: the DID stays, the old key is retired. Not possible for did:key."""
    opened = Home(home_path(home))
    method = rotate_key(opened)
    out.value({"did": opened.configuration.did, "method": method})
    out.line(f"new key {method}; restart 'undersigned serve' to use it")


@click.group()
def ledger() -> None:
    """Look at the ledger: engagements, their journals, the log, its checks."""


@ledger.command("list")
@click.option("--live", is_flag=True, help="Only those that are not over.")
@click.option("--home", metavar="FOLDER", help="State folder.")
@command
async def ledger_list(out: Out, live: bool, home: str | None) -> None:
    """The engagements of this peer, their state, and who owes what by when."""
    store = await open_ledger(Home(home_path(home)).ledger_url, read_only=True)
    try:
        found = await store.summaries(live_only=live)
    finally:
        await store.close()
    for row in found:
        out.value(
            {
                "engagement": row.engagement,
                "role": row.role,
                "peer": row.peer,
                "state": row.state,
                "contract": row.contract,
                "updated": row.updated,
            }
        )
        out.line(f"{row.updated}  {row.role:8} {row.state:22} {plain(row.peer, 60)}  {row.engagement}")
    if not found:
        out.line("no engagements")


@ledger.command("show")
@click.argument("engagement")
@click.option("--home", metavar="FOLDER", help="State folder.")
@command
async def ledger_show(out: Out, engagement: str, home: str | None) -> None:
    """The journal of one engagement, entry by entry."""
    store = await open_ledger(Home(home_path(home)).ledger_url, read_only=True)
    try:
        rows = await store.rows(engagement)
    finally:
        await store.close()
    if not rows:
        raise ConfigurationError("not_found", f"no engagement {engagement} in this ledger")
    for row in rows:
        out.value(
            {
                "place": row.place,
                "kind": row.kind,
                "at": row.at,
                "type": row.type,
                "sender": row.sender,
                "sequence": row.sequence,
                "digest": row.digest,
            }
        )
        out.line(f"{row.place:4} {row.at} {row.kind:8} {plain(row.type, 24):24} {row.digest}")


@ledger.command("check")
@click.option("--home", metavar="FOLDER", help="State folder.")
@command
async def ledger_check(out: Out, home: str | None) -> int:
    """Recompute every digest, position and the log's root. Exit code 4 when something differs."""
    store = await open_ledger(Home(home_path(home)).ledger_url, read_only=True)
    try:
        report = await store.check()
    finally:
        await store.close()
    defects = [{"code": d.code, "where": d.where, "detail": d.detail} for d in report.defects]
    out.value(
        {
            "ok": report.ok,
            "rows": report.rows,
            "leaves": report.leaves,
            "blobs": report.blobs,
            "defects": defects,
        }
    )
    for defect in defects:
        out.line(plain(f"{defect['code']} at {defect['where']}: {defect['detail']}", 2000), style="red")
    verdict = "ok" if report.ok else "DAMAGED"
    out.line(f"{verdict}: {report.rows} rows, {report.leaves} leaves, {report.blobs} pieces of evidence")
    return 0 if report.ok else 4
