"""Commands about what this side demands: `policy explain|test`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from undersigned.did import parse_did
from undersigned.encoding import Did, from_struct
from undersigned.errors import ConfigurationError
from undersigned.runtime import AnchorBook, SystemClock, parse_price, read_policy
from undersigned.trust import (
    Anchors,
    CaseResult,
    Hypothetical,
    Policy,
    SupposedCredential,
    decide,
    explain_policy,
    read_cases,
    run_case,
)

from .listing import CommandGroup
from .options import FILE, read_toml_as
from .output import HOME_OPTION, OUTCOMES, Out, checking, command
from .words import counted, plain

__all__ = ["policy"]

FAILED = 1
"""Exit code: a case did not come as expected."""
POLICY_OPTION = click.option(
    "--file", "file", type=FILE, help="The policy in this TOML file, instead of that of a state folder."
)


@click.group(cls=CommandGroup)
def policy() -> None:
    """What our policy demands, and what it would say."""


@policy.command("explain")
@POLICY_OPTION
@HOME_OPTION
@command
async def explain(out: Out, file: Path | None, home: str | None) -> None:
    """The policy in plain words, clause by clause, as decisions name them."""
    found, anchors = _policy(out, file, home)
    out.value({"policy": f"{found.name}/{found.version}", "digest": found.digest})
    out.line(f"{plain(found.name, 128)}/{plain(found.version, 128)}  {found.digest}")
    for clause, says in explain_policy(found, anchors, SystemClock().now()):
        out.value({"clause": clause, "says": says})
        out.line(f"  {clause:21} {plain(says, 4000)}")


@policy.command("test")
@click.argument("cases", required=False, type=FILE)
@POLICY_OPTION
@click.option("--peer", metavar="DID", default="did:web:peer.example", help="Who might come.", show_default=True)
@click.option(
    "--credential", "credentials", multiple=True, metavar="TYPE=ISSUER", help="What it would show. May be repeated."
)
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="DID",
    help="Whom we believe, beside the folder's anchors. May be repeated.",
)
@click.option("--price", metavar="PRICE", help="What it would cost, such as '4.00 EUR'; else only meeting is judged.")
@click.option(
    "--action", "actions", multiple=True, metavar="ACTION", help="What the scope would grant. May be repeated."
)
@click.option("--task", metavar="TASK", help="What the work would be.")
@HOME_OPTION
@command
async def test(
    out: Out,
    cases: Path | None,
    file: Path | None,
    peer: str,
    credentials: tuple[str, ...],
    anchors: tuple[str, ...],
    price: str | None,
    actions: tuple[str, ...],
    task: str | None,
    home: str | None,
) -> int:
    """Run the cases in a TOML file through the policy, as peers are judged.

    The exit code is 1 if one does not come as expected. Without CASES, one hypothetical is judged, and the exit code
    is 0 for allow, 3 for deny, 7 for ask. Nothing is fetched, and nothing is recorded.
    """
    found, believed = _policy(out, file, home)
    if cases is not None:
        if credentials or anchors or price or actions or task:
            raise ConfigurationError("bad_configuration", "a file of cases says all that is supposed")
        return _tell([run_case(case, found) for case in read_toml_as(cases, read_cases)], out)
    if (actions or task) and price is None:
        raise ConfigurationError(
            "bad_configuration", "--action and --task are terms: give their --price, such as '0 EUR'"
        )
    supposed = Hypothetical(
        now=SystemClock().now(),
        peer=_did(peer, "--peer"),
        anchors=(*(believed.anchors if believed else ()), *(_did(one, "--anchor") for one in anchors)),
        credentials=tuple(_credential(text) for text in credentials),
        terms=None if price is None else _terms(price, actions, task),
    )
    decision = decide(supposed, found)
    out.value({"decision": from_struct(decision)})
    out.lines(decision.explain())
    return OUTCOMES[decision.outcome]


def _policy(out: Out, file: Path | None, home: str | None) -> tuple[Policy, Anchors | None]:
    """The policy that is meant; with a state folder, also whom it believes."""
    if file is None:
        opened = out.home(home)
        return opened.configuration.policy, AnchorBook(opened, SystemClock().now()).anchors
    if home is not None:
        raise ConfigurationError("bad_configuration", "--file and --home name two policies")
    return read_policy(file), None


def _did(text: str, option: str) -> Did:
    with checking(option):
        parse_did(text)
    return text


def _tell(results: list[CaseResult], out: Out) -> int:
    for result in results:
        out.value(
            {
                "case": result.case.name,
                "passed": result.passed,
                "difference": list(result.difference),
                "decision": from_struct(result.decision),
            }
        )
        style = "green" if result.passed else "bold red"
        out.line(f"{'pass' if result.passed else 'FAIL'}  {plain(result.case.name, 128)}", style=style)
        for line in result.difference:
            out.line(f"      {plain(line, 2000)}")
    failed = sum(not result.passed for result in results)
    out.value({"cases": len(results), "failed": failed})
    out.line(f"{counted(len(results), 'case')}, {failed or 'none'} failed")
    return FAILED if failed else 0


def _credential(text: str) -> SupposedCredential:
    type, found, issuer = text.partition("=")
    if not found:
        raise ConfigurationError("bad_configuration", f"--credential: expected TYPE=ISSUER, got {text!r}")
    return SupposedCredential(type=type, issuer=_did(issuer, "--credential"))


def _terms(price: str, actions: tuple[str, ...], task: str | None) -> dict[str, Any]:
    terms: dict[str, Any] = {"price": from_struct(parse_price(price, "--price"))}
    if task is not None:
        terms["task"] = {"kind": task}
    if actions:
        grants = [
            {"id": f"grant-{place}", "action": action, "target": "https://target.example/*"}
            for place, action in enumerate(actions)
        ]
        terms["scope"] = {"grant": grants}
    return terms
