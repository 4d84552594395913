"""The command `conform`: plays the other side of a hire against any implementation, and says what it got wrong."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import quote, urlsplit

import click

from undersigned.errors import ConfigurationError
from undersigned.interop import GROUPS, Limits, Result, Stage, Subject, chosen, play_all
from undersigned.runtime import parse_price, read_file
from undersigned.testing import GUILD

from .options import checked_did, checked_url, quiet_logs
from .output import Out, counted, meeting, plain

__all__ = ["conform"]

BROKE = 5
STYLES = {"passed": "green", "failed": "bold red", "not applicable": "yellow"}
MAX_INPUT = 1024 * 1024


def web_did(url: str) -> str:
    """The `did:web` of the host that a URL names."""
    return "did:web:" + quote(urlsplit(url).netloc, safe=".")


@click.command()
@click.argument("url")
@click.option("--did", metavar="DID", help="Who listens there; by default the did:web of its host.")
@click.option(
    "--role",
    type=click.Choice(["provider"]),
    default="provider",
    show_default=True,
    help="The role of the implementation; we play the other one.",
)
@click.option("--profile", type=click.Choice(["core"]), default="core", show_default=True, help="What it is held to.")
@click.option("--task", default="summary", show_default=True, help="What it can be hired for.")
@click.option(
    "--price",
    default="5.00 EUR",
    show_default=True,
    metavar="AMOUNT CURRENCY",
    help="What is offered, where its Profile names no price.",
)
@click.option(
    "--input",
    "work_on",
    metavar="NAME=FILE",
    help="What it is given to work on, text of at most 1 MiB; by default a line of text named 'report'.",
)
@click.option("--all", "every", is_flag=True, help="Play every scenario, not only the small set.")
@click.option(
    "--only", multiple=True, metavar="ID", help="Scenarios whose id begins so, or of a group; may be repeated."
)
@click.option("--seed", metavar="TEXT", help="Makes a run repeatable: who we are. A fresh one by default.")
@click.option(
    "--wait",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for one answer.",
)
@click.option(
    "--at-a-time", type=click.IntRange(1, 64), default=8, show_default=True, help="Scenarios played side by side."
)
@click.option("--local", is_flag=True, help="Allow http and ws on loopback.")
@click.option("--list", "only_list", is_flag=True, help="Only list the scenarios.")
@meeting
async def conform(
    out: Out,
    url: str,
    did: str | None,
    role: str,
    profile: str,
    task: str,
    price: str,
    work_on: str | None,
    every: bool,
    only: tuple[str, ...],
    seed: str | None,
    wait: float,
    at_a_time: int,
    local: bool,
    only_list: bool,
) -> int:
    """Hold an implementation of the protocol against its specification, from outside.

    URL is where it listens. We play its counterparty, a second one, and an attacker, over real sockets. It has to
    believe memberships that the organisation named in the first line issues; the key of that organisation is public, so
    let no other instance believe it than one that is made to be tested.

    Ends with exit code 5 if it broke the protocol.
    """
    quiet_logs(False)
    scenarios = chosen("provider", every=every, only=only)
    if only_list:
        for one in scenarios:
            out.value({"id": one.id, "title": one.title, "group": one.group, "level": one.level})
            out.line(f"{one.id:44} {one.level:6} {one.title}")
        return 0
    checked_url(url, local)
    name, content = _content(work_on)
    subject = Subject(
        url=url,
        did=checked_did(did or web_did(url), local),
        task=task,
        price=parse_price(price),
        input=name,
        content=content,
        local=local,
    )
    seed = seed or secrets.token_hex(8)
    out.value({"kind": "run", "url": url, "did": subject.did, "role": role, "profile": profile, "seed": seed})
    out.line(f"{counted(len(scenarios), 'scenario')} of profile {profile} against {subject.did} as {role}, seed {seed}")
    out.line(f"it has to believe memberships issued by {GUILD.did}")
    limits = Limits(answer=wait, scenario=max(60.0, 6 * wait), upgrade=min(wait, 10.0))
    async with Stage(subject, seed=seed, limits=limits) as stage:
        results = await play_all(stage, scenarios, at_a_time=at_a_time, done=lambda one: _tell(out, one))
    return _end(out, results)


def _content(work_on: str | None) -> tuple[str, bytes]:
    if work_on is None:
        return "report", b"A report of one line.\n"
    name, equals, path = work_on.partition("=")
    try:
        content = read_file(Path(path), MAX_INPUT)
        content.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError("bad_configuration", f"--input: {exc}") from exc
    if not equals or not name:
        raise ConfigurationError("bad_configuration", f"--input: expected NAME=FILE, got {work_on!r}")
    return name, content


def _tell(out: Out, result: Result) -> None:
    scenario = result.scenario
    out.value(
        {
            "kind": "result",
            "id": scenario.id,
            "level": scenario.level,
            "outcome": result.outcome,
            "detail": plain(result.detail, 2000),
            "seconds": round(result.seconds, 3),
        }
    )
    out.line(f"{result.outcome:14} {scenario.level:6} {scenario.id}", style=STYLES[result.outcome])
    if result.detail:
        out.line(f"{'':21} {plain(result.detail, 400)}")


def _end(out: Out, results: tuple[Result, ...]) -> int:
    """What it comes to, by group."""
    for group, title in GROUPS.items():
        of = [one for one in results if one.scenario.group == group]
        if of:
            passed = sum(1 for one in of if one.outcome == "passed")
            out.line(f"{title:44} {passed} of {len(of)}")
    counts = {name: sum(1 for one in results if one.outcome == name) for name in STYLES}
    broke = any(one.outcome == "failed" and one.scenario.level == "MUST" for one in results)
    out.value({"kind": "end", "conforms": not broke, **{name.replace(" ", "_"): n for name, n in counts.items()}})
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    out.line(f"{'conforms' if not broke else 'does not conform'}: {told}", style="bold red" if broke else "bold green")
    return BROKE if broke else 0
