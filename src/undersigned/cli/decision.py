"""Commands about recorded decisions: `decision list|show|replay`."""

from __future__ import annotations

from typing import Any

import click

from undersigned.encoding import Digest, from_struct
from undersigned.errors import ConfigurationError
from undersigned.runtime import (
    DecisionBasis,
    Home,
    RecordedDecision,
    SystemClock,
    VerdictBook,
    decision_named,
    load_anchors,
    recorded_decisions,
    replay_decision,
)
from undersigned.trace import Verdict
from undersigned.trust import Decision, Difference

from .listing import CommandGroup
from .output import HOME_OPTION, JSON_OPTION, Out, command, engagement_named, reading
from .trace import tell_verdict
from .words import plain, typed

__all__ = ["decision"]

DIFFERS = 1
STYLES = {"allow": "green", "deny": "red", "ask": "yellow"}


@click.group(cls=CommandGroup)
@JSON_OPTION
def decision(as_json: bool) -> None:
    """What was decided about others: why, from what, and whether it comes out the same again."""


def _value(one: RecordedDecision) -> dict[str, Any]:
    return {"id": one.id, "engagement": one.engagement, "place": one.place, "decision": from_struct(one.decision)}


@decision.command("list")
@click.argument("engagement", required=False)
@HOME_OPTION
@command
async def list_(out: Out, engagement: str | None, home: str | None) -> int:
    """The decisions of this peer, those on artifacts among them, or those of one engagement.

    Exit code 8 if one is damaged; the others are shown all the same.
    """
    opened = out.home(home)
    async with reading(opened) as store:
        named = None if engagement is None else await engagement_named(store, engagement)
        found = await recorded_decisions(store, named)
    verdicts, damaged = VerdictBook(opened).listed() if engagement is None else ([], [])
    for verdict in verdicts:
        out.value(_verdict(verdict))
        out.line(
            f"{verdict.at}  {verdict.outcome:5} artifact {verdict.artifact} for {plain(verdict.purpose, 60)}  "
            f"{verdict.digest}",
            style=STYLES[verdict.outcome],
        )
    for one in found:
        out.value(_value(one))
        about = "on terms" if one.decision.inputs.terms else "meeting"
        out.line(
            f"{one.decision.at}  {one.decision.outcome:5} {about:8} {plain(one.decision.peer, 60)}  {one.id}",
            style=STYLES[one.decision.outcome],
        )
    if not (found or verdicts or damaged):
        out.line("nothing was decided yet")
    for error in damaged:
        out.error(error)
    return damaged[0].exit_code if damaged else 0


@decision.command("show")
@click.argument("id")
@HOME_OPTION
@command
async def show(out: Out, id: str, home: str | None) -> None:
    """The decision ID (its digest, or a part of it): its reasons, and what it was made from."""
    opened = out.home(home)
    if (verdict := VerdictBook(opened).named(id)) is not None:
        out.value(_verdict(verdict))
        tell_verdict(out, verdict, opened)
        return
    async with reading(opened) as store:
        one = await decision_named(store, id)
    out.value(_value(one))
    out.lines(one.decision.explain())
    out.line("made from")
    inputs = one.decision.inputs
    for name, digests in (
        ("policy", [inputs.policy]),
        ("anchors", [inputs.anchors]),
        ("presentation", [inputs.presentation]),
        ("terms", [inputs.terms]),
        ("answers", [inputs.answers]),
        ("DID documents", inputs.documents),
        ("histories", [f"{file.digest}  {file.url}" for file in inputs.logs]),
        ("status lists", inputs.status_lists),
    ):
        for digest in filter(None, digests):
            out.line(f"  {name:14} {plain(digest, 400)}")
    out.line(f"make it again:  {typed('decision replay {} --home {}', one.id, opened.path)}")


@decision.command("replay")
@click.argument("id")
@click.option(
    "--in-force",
    "today",
    is_flag=True,
    help="By the policy and the anchors of today instead of those of then; everything else as it was.",
)
@HOME_OPTION
@command
async def replay(out: Out, id: str, today: bool, home: str | None) -> int:
    """Make the decision ID again, from the ledger alone: no network, and by the clock of then.

    Exit code 0 if it gives the same bytes, 1 if anything differs, 2 if an input is not in the ledger.
    """
    opened = out.home(home)
    book = VerdictBook(opened)
    if (verdict := book.named(id)) is not None:
        if today:
            raise ConfigurationError("bad_configuration", "--in-force: ask about the artifact again, with 'check'")
        made = await book.replay(verdict)
        return _tell_replayed(out, verdict.digest, verdict, made.verdict, made.differences)
    in_force = _in_force(opened) if today else None
    async with reading(opened) as store:
        one = await decision_named(store, id)
        replayed = await replay_decision(store, opened.configuration.did, one, in_force)
    return _tell_replayed(out, one.id, one.decision, replayed.decision, replayed.differences)


def _verdict(one: Verdict) -> dict[str, Any]:
    return {"id": one.digest, "verdict": from_struct(one)}


def _tell_replayed(
    out: Out,
    id: Digest,
    recorded: Decision | Verdict,
    now: Decision | Verdict | None,
    differences: tuple[Difference, ...],
) -> int:
    """What came of making it again, and the exit code."""
    out.value(
        {
            "id": id,
            "same": not differences,
            "recorded": from_struct(recorded),
            "now": None if now is None else from_struct(now),
            "differences": [from_struct(difference) for difference in differences],
        }
    )
    for difference in differences:
        out.line(plain(str(difference), 2000), style="red")
    if not differences:
        out.line(f"the same: {recorded.outcome}, every byte of it, from what was kept", style="bold green")
        return 0
    outcome = "none" if now is None else now.outcome
    out.line(f"NOT the same: recorded {recorded.outcome}; now {outcome}", style="bold red")
    return DIFFERS


def _in_force(home: Home) -> DecisionBasis:
    return DecisionBasis(
        policy=home.configuration.policy,
        anchors=load_anchors(home, SystemClock().now()),
        own=home.configuration.own,
    )
