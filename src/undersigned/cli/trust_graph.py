"""Commands about what others say of each other: `trust path|explain|graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from undersigned.encoding import from_struct
from undersigned.errors import ConfigurationError
from undersigned.ledger import TrustStore
from undersigned.runtime import Home, RegistryKeeper, SystemClock, viewpoint
from undersigned.trust import (
    Edge,
    Graph,
    IssuerAuthority,
    Question,
    Viewpoint,
    answer,
    authority,
    draw_paths,
    reputation,
)
from undersigned.trust import Path as TrustPath

from .options import FORCE_OPTION, did_here, open_gatherer, out_option, write_new
from .output import ANSWER_NO, HOME_OPTION, Out, command
from .trust_anchors import trust
from .words import counted, plain

__all__ = ["edge_line", "trust"]

CAPABILITY_OPTION = click.option("--capability", metavar="NAME", help="Only about this capability.")


@trust.command("path")
@click.argument("did")
@click.option("--type", "credential_type", required=True, metavar="TYPE", help="Of the credential that it issued.")
@CAPABILITY_OPTION
@HOME_OPTION
@command
async def trust_path(out: Out, did: str, credential_type: str, capability: str | None, home: str | None) -> int:
    """By which chain is an issuer entitled to attest this? Exit code 3 if by none."""
    opened, view = _view(out, home)
    found, told = await _authority(out, opened, view, did_here(opened, did), credential_type, capability)
    out.value(
        {
            "issuer": found.issuer,
            "type": credential_type,
            "capability": capability,
            "verdict": found.verdict,
            "paths": [_path(path) for path in found.paths],
            **_common(found),
            **told,
        }
    )
    out.lines(found.explain())
    return 0 if found.entitled else ANSWER_NO


@trust.command("explain")
@click.argument("did")
@CAPABILITY_OPTION
@HOME_OPTION
@command
async def trust_explain(out: Out, did: str, capability: str | None, home: str | None) -> int:
    """How well is a party spoken of, by whom, and who speaks against it? Exit code 3 if there is no score above 0."""
    opened, view = _view(out, home)
    found = _ask(opened, reputation(did_here(opened, did), capability, view))
    out.value(
        {
            "party": found.party,
            "capability": capability,
            "verdict": found.verdict,
            "score": found.score,
            "paths": [_path(path) for path in found.paths],
            **_common(found),
        }
    )
    out.lines(found.explain())
    return 0 if found.units else ANSWER_NO


@trust.command("graph")
@click.argument("did")
@CAPABILITY_OPTION
@click.option("--type", "credential_type", metavar="TYPE", help="Draw authority to attest this type, not reputation.")
@click.option("--svg", is_flag=True, help="Write a drawing.")
@click.option(
    "--name", "names", multiple=True, metavar="DID=NAME", help="Draw a party under a name of your own. May be repeated."
)
@out_option("File to write the drawing to; by default standard output.")
@FORCE_OPTION
@HOME_OPTION
@command
async def trust_graph(
    out: Out,
    did: str,
    capability: str | None,
    credential_type: str | None,
    svg: bool,
    names: tuple[str, ...],
    file: Path | None,
    force: bool,
    home: str | None,
) -> None:
    """The trust paths to a party: link by link, or as a drawing with --svg.

    Exit code 0 also if there is none: `trust path` and `trust explain` are the questions.
    """
    if file is not None and not svg:
        raise ConfigurationError("bad_configuration", "--out is for a drawing: give --svg as well")
    opened, view = _view(out, home)
    did_here(opened, did)
    if credential_type:
        found, _ = await _authority(out, opened, view, did, credential_type, capability)
    else:
        found = _ask(opened, reputation(did, capability, view))
    if svg:
        called = dict(_named(one) for one in names)
        drawn = draw_paths(did, found.paths, found.dissent, title=f"Trust paths to {did}", names=called)
        if file is not None:
            write_new(file, drawn.encode(), force=force)
        out.value({"file": str(file)} if file else {"svg": drawn})
        if file is not None:
            out.line(f"{file} ({counted(len(found.paths), 'path')})")
        elif not out.as_json:
            click.echo(drawn, nl=False)
        return
    edges = {edge.digest: edge for path in found.paths for edge in path.edges}
    for edge in [*edges.values(), *found.dissent]:
        out.value(from_struct(edge))
        out.line(edge_line(edge))
    if found.verdict == "indeterminate":  # more than is read: nobody knows whether there is one
        out.line(f"{found.verdict}: expected {' and '.join(found.missing)}", style="yellow")
    elif not edges and not found.dissent:
        out.line("no path")


def edge_line(edge: Edge) -> str:
    """An edge for people: who says what of whom."""
    return f"{plain(edge.source, 90)} --{edge.kind}--> {plain(edge.target, 90)}"


def _named(option: str) -> tuple[str, str]:
    """A DID and what it is called here."""
    did, equals, name = option.partition("=")
    if not (did.startswith("did:") and equals and name):
        raise ConfigurationError("bad_configuration", f"--name: expected DID=NAME, got {plain(option, 200)}")
    return did, name


def _view(out: Out, home: str | None) -> tuple[Home, Viewpoint]:
    opened = out.home(home)
    return opened, viewpoint(opened, SystemClock().now())


def _ask(home: Home, question: Question[Any], more: tuple[Edge, ...] = ()) -> Any:
    if not home.trust.exists():
        return answer(question, Graph(more).read)
    with TrustStore(home.trust, read_only=True) as store:
        return store.ask(question, more=more)


async def _authority(
    out: Out, home: Home, view: Viewpoint, did: str, credential_type: str, capability: str | None
) -> tuple[IssuerAuthority, dict[str, Any]]:
    """The answer, by the graph and by what the configured registries say now; and what is told of these."""
    question = authority(did, credential_type, capability, view)
    if not home.registries:
        return _ask(home, question), {}
    async with open_gatherer(home) as gatherer:
        word = await RegistryKeeper(home, gatherer, SystemClock()).word(did, credential_type, capability)
    for failure in word.failures:
        out.line(f"no answer: {plain(failure.message, 400)}", style="yellow")
    said = [
        {"url": one.ask.url, "authority": one.ask.authority, "entity": one.ask.entity, "yes": one.yes}
        for one in word.answers
    ]
    failed = [plain(failure.message, 400) for failure in word.failures]
    return _ask(home, question, word.edges), {"registries": {"answers": said, "failed": failed}}


def _common(found: Any) -> dict[str, Any]:
    """What both answers tell beside their own."""
    return {
        "dissent": [from_struct(edge) for edge in found.dissent],
        "missing": list(found.missing),
        "anchors": found.anchors,
        "at": found.at,
        "until": found.until,
        "work": found.work._asdict(),
    }


def _path(path: TrustPath) -> dict[str, Any]:
    return {"edges": [from_struct(edge) for edge in path.edges], "amount": path.amount}
