"""Commands that meet other agents: `serve`, `discover`, `check`, `hire`, `watch`."""

from __future__ import annotations

import asyncio
import signal
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
import structlog

from undersigned.daemon import Peer
from undersigned.did import document_from, fetches
from undersigned.encoding import decode_json
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.ledger import open_ledger
from undersigned.messages import recorded_message
from undersigned.runtime import Gatherer, Home, hire_order
from undersigned.scope import Grant, Limit, Scope

from .output import Out, command, home_path, plain
from .telling import event_json, event_line, summary_of

__all__ = ["check", "discover", "hire", "quiet_logs", "serve", "watch"]

HOME_OPTION = click.option("--home", metavar="FOLDER", help="State folder (or UNDERSIGNED_HOME).")
AT_OPTION = click.option("--at", metavar="URL", help="Where the peer listens, if its DID document does not say.")


def quiet_logs(verbose: bool) -> None:
    """Logs go to standard error: all of them with `--verbose`, else only errors."""
    level = 10 if verbose else 40
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _local_mark(home: Home) -> str:
    return "  (local: loopback only, without TLS)" if home.configuration.local else ""


@click.command()
@HOME_OPTION
@click.option("--verbose", is_flag=True, help="Log everything to standard error.")
@command
async def serve(out: Out, home: str | None, verbose: bool) -> int:
    """Run the peer: listen, answer, work, go on with what is unfinished. Ends on SIGINT or SIGTERM."""
    quiet_logs(verbose)
    opened = Home(home_path(home))
    mark = _local_mark(opened)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Peer.open(opened) as peer:
        out.value(
            {
                "kind": "ready",
                "did": peer.own.id,
                "url": peer.url,
                "tasks": sorted(peer.services),
                "local": opened.configuration.local,
                "resumed": len(peer.conversations),
            }
        )
        out.line(f"serving {peer.own.id} at {peer.url}{mark}")
        out.line(f"tasks: {', '.join(sorted(peer.services)) or 'none; this peer only hires'}{mark}")
        for unfinished in peer.status():
            out.line(f"goes on with {unfinished['engagement']}: {unfinished['state']}, {unfinished['why']}{mark}")
        queue = peer.listen()
        waiting = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                getting = asyncio.create_task(queue.get())
                done, _ = await asyncio.wait({getting, waiting}, return_when=asyncio.FIRST_COMPLETED)
                if getting in done:
                    event = getting.result()
                    out.value(event_json(event))
                    out.line(event_line(event, "we", "peer"))
                else:
                    getting.cancel()
        finally:
            waiting.cancel()
            peer.unlisten(queue)
    out.line("stopped; what is unfinished goes on at the next start")
    return 0


async def _card(gatherer: Gatherer, endpoint: str) -> dict[str, Any] | None:
    parts = urlsplit(endpoint)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    try:
        raw = await gatherer.fetch(f"{scheme}://{parts.netloc}/.well-known/agent-card.json")
        value = decode_json(raw)
    except UndersignedError:
        return None
    return dict(value) if isinstance(value, dict) else None


@click.command()
@click.argument("did")
@AT_OPTION
@click.option("--local", is_flag=True, help="Allow http and ws on loopback.")
@HOME_OPTION
@command
async def discover(out: Out, did: str, at: str | None, local: bool, home: str | None) -> None:
    """What a DID publishes: its keys, where it listens, what it does. Nothing of it is proved yet."""
    path = home_path(home)
    if not local and (path / "undersigned.toml").exists():
        local = Home(path).configuration.local
    gatherer = Gatherer(local=local)
    try:
        document = document_from(did, {}) if not fetches(did, local=local) else await gatherer.document(did)
        endpoints = [at] if at else list(document.services("HireService"))
        card = await _card(gatherer, endpoints[0]) if endpoints else None
    finally:
        await gatherer.close()
    keys = {method: document.key_for(method, "authentication").kind for method in document.methods("authentication")}
    out.value({"did": did, "keys": keys, "endpoints": endpoints, "card": card})
    out.line(f"{did}")
    for method, kind in keys.items():
        out.line(f"  key       {kind} {method}")
    for endpoint in endpoints:
        out.line(f"  listens   {plain(endpoint)}")
    for task in (card or {}).get("tasks", []):
        price = task.get("price", {})
        out.line(
            f"  does      {plain(task.get('task'), 60)} for {plain(price.get('amount'), 20)} "
            f"{plain(price.get('currency'), 8)}  {plain(task.get('summary'), 120)}"
        )
    if not endpoints:
        out.line("  it publishes no place where it listens; name one with --at")


@click.command()
@click.argument("did")
@click.option("--task", default="sbom", show_default=True, help="The task it would be hired for.")
@AT_OPTION
@HOME_OPTION
@click.option("--verbose", is_flag=True, help="Log everything to standard error.")
@command
async def check(out: Out, did: str, task: str, at: str | None, home: str | None, verbose: bool) -> int:
    """Would our policy let us work with this agent, for this task, now? Both present; then we withdraw.

    Exit code 0 is yes, 3 is no.
    """
    quiet_logs(verbose)
    async with Peer.open(Home(home_path(home))) as peer:
        order = await hire_order(peer, did, task=task, inputs={}, price="0 EUR", criteria={}, at=at)
        conversation = await peer.begin(msgspec.structs.replace(order, probe=True))
        queue = peer.listen(conversation.id)
        try:
            async with asyncio.timeout(peer.reach_seconds):
                while conversation.engagement.state != "withdrawn":
                    await queue.get()
        except TimeoutError as exc:
            await peer.cancel(conversation)
            error = peer.links.last_error.get(did)
            raise error or UndersignedError("timeout", f"{did} did not answer") from exc
        text = conversation.facts.get("decision")
    if text is None:
        out.value({"did": did, "outcome": "deny", "reasons": [{"code": "policy_denied", "value": "it withdrew"}]})
        out.line(f"no: {did} withdrew before it showed who it is", style="red")
        return 3
    decision = msgspec.json.decode(text)
    out.value({"did": did, **decision})
    out.line(f"{'yes' if decision['outcome'] == 'allow' else 'no'}: {did} by policy {decision['policy']}")
    for reason in decision["reasons"]:
        hint = f"; would pass: {plain(reason['wouldPass'])}" if reason.get("wouldPass") else ""
        out.line(f"  {reason['code']:14} {reason['clause']}: {plain(reason['value'])}{hint}")
    return 0 if decision["outcome"] == "allow" else 3


def parse_allow(number: int, text: str) -> Grant:
    """The grant in `ACTION=TARGET[;UNIT<=MAX]...`, such as `repo:read=https://git.example/app/*;count<=100`.

    Raises:
        ConfigurationError: `bad_configuration`, with an example.
    """
    head, *limits = text.split(";")
    action, equals, target = head.partition("=")
    parsed: list[Limit] = []
    for limit in limits:
        unit, mark, most = limit.partition("<=")
        if not mark:
            raise ConfigurationError("bad_configuration", f"expected a limit such as count<=100, got {limit!r}")
        parsed.append(Limit(unit.strip(), most.strip()))
    if not equals:
        raise ConfigurationError(
            "bad_configuration", f"expected ACTION=TARGET, such as repo:read=https://git.example/app/*, got {text!r}"
        )
    try:
        return Grant(f"allow-{number}", action.strip(), target.strip(), limits=tuple(parsed))
    except UndersignedError as error:
        raise ConfigurationError("bad_configuration", error.message) from error


def read_scope_options(allow: tuple[str, ...], scope_file: Path | None) -> Scope:
    """The scope that `--allow` and `--scope` give together."""
    grants = tuple(parse_allow(number, text) for number, text in enumerate(allow, start=1))
    if scope_file is None:
        return Scope(grants=grants)
    try:
        table = tomllib.loads(scope_file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError("bad_configuration", f"{scope_file}: {exc}") from exc
    written = Scope.from_toml(table)
    return Scope(
        grants=(*written.grants, *grants),
        prohibitions=written.prohibitions,
        obligations=written.obligations,
        extensions=written.extensions,
        critical=written.critical,
    )


@click.command()
@click.argument("did")
@click.option("--task", required=True, help="What is to be done, in the provider's word: sbom.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=PATH", help="A file to work on; it may be read.")
@click.option("--allow", multiple=True, metavar="ACTION=TARGET", help="Something more it may do; ';count<=10' limits.")
@click.option("--scope", "scope_file", type=click.Path(path_type=Path), help="A TOML file with [[scope.grant]] tables.")
@click.option("--price", default="10 EUR", show_default=True, help="The most that is paid.")
@click.option("--opening", help="The first offer; by default the price.")
@click.option("--out", "folder", type=click.Path(path_type=Path), help="Folder for what is delivered.")
@AT_OPTION
@HOME_OPTION
@click.option("--verbose", is_flag=True, help="Log everything to standard error.")
@command
async def hire(
    out: Out,
    did: str,
    task: str,
    inputs: tuple[str, ...],
    allow: tuple[str, ...],
    scope_file: Path | None,
    price: str,
    opening: str | None,
    folder: Path | None,
    at: str | None,
    home: str | None,
    verbose: bool,
) -> int:
    """Hire an agent: meet it, judge it, agree, have the work done, check it, close the books."""
    quiet_logs(verbose)
    files: dict[str, Path | bytes | str] = {}
    for text in inputs:
        name, equals, path = text.partition("=")
        if not equals or not name:
            raise ConfigurationError("bad_configuration", f"expected NAME=PATH, such as artifact=app.whl, got {text!r}")
        files[name] = Path(path)
    scope = read_scope_options(allow, scope_file)
    opened = Home(home_path(home))
    async with Peer.open(opened) as peer:
        out.line(f"hiring {did} for {plain(task, 60)} as {peer.own.id}{_local_mark(opened)}")
        under_way = peer.hire(did, task=task, inputs=files, price=price, opening=opening, scope=scope, at=at)
        async for event in under_way:
            out.value(event_json(event))
            out.line(event_line(event, "we", "peer"))
        result = await under_way
        written: dict[str, str] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for number, (name, data) in enumerate(result.artifacts.items(), start=1):
                # The name is the provider's text: it becomes a file name only if it is a plain one.
                safe = (
                    name if name.replace(".", "").replace("-", "").replace("_", "").isalnum() else f"artifact-{number}"
                )
                path = folder / safe.lstrip(".")
                path.write_bytes(data)
                written[name] = str(path)
        out.value(
            {
                "kind": "result",
                "engagement": result.engagement,
                "contract": result.contract,
                "price": result.price,
                "criteria": result.criteria,
                "artifacts": {name: len(data) for name, data in result.artifacts.items()},
                "written": written,
            }
        )
        out.line()
        out.line(plain(f"accepted; owed {result.price}"), style="bold green")
        for line in result.explain().splitlines():
            out.line(f"  {plain(line)}")
        for name, path in written.items():
            out.line(f"  {plain(name)} is in {path}")
        out.line(f"evidence: undersigned export {result.engagement} --home {opened.path}")
    return 0


@click.command()
@click.argument("engagement", required=False)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on until the engagement is over.")
@HOME_OPTION
@command
async def watch(out: Out, engagement: str | None, follow: bool, home: str | None) -> int:
    """Follow an engagement (by default the newest one) in the ledger, from another terminal."""
    opened = Home(home_path(home))
    store = await open_ledger(opened.ledger_url, read_only=True)
    try:
        if engagement is None:
            found = await store.summaries()
            if not found:
                raise ConfigurationError("not_found", "this ledger holds no engagement yet")
            engagement = max(found, key=lambda summary: summary.updated).engagement
        place = 0
        while True:
            summary = await store.summary(engagement)
            if summary is None:
                raise ConfigurationError("not_found", f"no engagement {engagement} in this ledger")
            for row in await store.rows(engagement, place):
                place = row.place
                said = summary_of(recorded_message(row.raw).message) if row.kind != "noted" else ""
                out.value({"place": row.place, "at": row.at, "kind": row.kind, "type": row.type, "summary": said})
                out.line(f"{row.at}  {row.kind:8} {plain(row.type, 24):16} {said}")
            if not follow or not summary.live:
                out.value({"engagement": engagement, "state": summary.state, "live": summary.live})
                out.line(f"state {summary.state}{'' if summary.live else ', over'}")
                return 0
            await asyncio.sleep(0.3)
    finally:
        await store.close()
