"""`undersigned check`: would our policy let us work with this agent, or trust this artifact?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from undersigned.credentials import MEMBERSHIP
from undersigned.daemon import Peer, unread, unresolved
from undersigned.encoding import Did
from undersigned.errors import ConfigurationError, LocalProtocolError, PolicyError, UndersignedError
from undersigned.messages import Problem, Withdraw
from undersigned.runtime import (
    Conversation,
    DomainLink,
    Event,
    checked_name,
    domain_links,
    given_up,
    hint_of,
    hire_order,
    not_hired,
)

from .discovery import domain_lines
from .options import AT_OPTION, DOCUMENTS_OPTION, VERBOSE_OPTION, WAIT_OPTION, open_peer, quiet_logs, running
from .output import ANSWER_NO, HOME_OPTION, Out, meeting
from .reaching import checked_peer, hint_at, tell_if_not_reached
from .starting import goes_on
from .trace import PACK_OPTION, check_artifact
from .words import plain

__all__ = ["check"]

CONFIRM_SECONDS = 2.0
"""How long `check` stays for the other side to confirm that it is over."""
OF_ARTIFACTS = frozenset({"purpose", "packs", "documents", "offline"})
OF_AGENTS = frozenset({"task", "at", "wait"})
"""Parameters of `check` that are about one of its two forms alone."""


@click.command()
@click.argument("did", metavar="DID|ARTIFACT|DIGEST", type=click.Path())
@click.option(
    "--task", metavar="TASK", default="sbom", show_default=True, help="The task that an agent would be hired for."
)
@click.option("--for", "purpose", metavar="PURPOSE", help="What an artifact would be trusted for: a capability.")
@PACK_OPTION
@DOCUMENTS_OPTION
@click.option(
    "--offline",
    is_flag=True,
    help="Of an artifact: fetch nothing. A credential that names a status list asks a person at best.",
)
@AT_OPTION
@WAIT_OPTION
@HOME_OPTION
@VERBOSE_OPTION
@meeting
async def check(
    out: Out,
    did: str,
    task: str,
    purpose: str | None,
    packs: tuple[Path, ...],
    documents: tuple[Path, ...],
    offline: bool,
    at: str | None,
    wait: float,
    home: str | None,
    verbose: bool,
) -> int:
    """Would our policy let us work with this agent, for this task, now? Or: should this artifact be trusted --for that?

    With an agent's DID, both show who they are, as in a hire; then we withdraw. Exit code 0 is yes, 3 is no. Whether it
    and the organisation that says that it operates it are tied to their domains by proof is told beside, and decides
    nothing.

    With a file or its digest, from our own ledger and from packs: was its signer entitled to state it, under a contract
    in force, inside its scope; was it accepted; what came after. The answer is kept, and 'decision replay' makes it
    again. Exit code 0 is allow, 3 deny, 7 that a person has to decide.
    """
    quiet_logs(verbose)
    _require_form(did)
    if not did.startswith("did:"):
        if purpose is None:
            expected = "a DID such as did:web:agents.example.com, or an artifact and --for what"
            raise ConfigurationError("bad_configuration", f"expected {expected}; got {plain(did, 200)!r}")
        return await check_artifact(out, did, purpose, packs, documents, home, offline=offline)
    opened = out.home(home)
    checked_peer(did, at, opened)
    checked_name("--task", task)
    async with running(out, open_peer(opened)) as peer:
        peer.reach_seconds = wait
        status = peer.status()
        unfinished = [one["engagement"] for one in status]
        for line in goes_on(status):
            out.line(line)
        order = await hire_order(peer, did, task=task, inputs={}, price="0 EUR", criteria={}, at=at, probe=True)
        try:
            conversation = await peer.begin(order)
        except PolicyError as error:
            _tell_no(out, did, task, error.message, domains=[], unfinished=unfinished)
            return ANSWER_NO
        heard = await _heard(out, peer, conversation, wait)
        text = conversation.facts.get("decision")
        why = _why_over(conversation, heard)
        links = await _domain_links(peer, conversation, did)
    domains = [msgspec.to_builtins(link) for found in links.values() for link in found]
    if text is None:
        allowed = False
        _tell_no(out, did, task, why, domains=domains, unfinished=unfinished)
    else:
        decision = msgspec.json.decode(text)
        allowed = decision["outcome"] == "allow"
        out.value({"did": did, "task": task, **decision, "domains": domains, "unfinished": unfinished})
        _tell_decision(out, did, task, decision)
    for line, style in domain_lines(links, 15):
        out.line(line, style=style)
    return 0 if allowed else ANSWER_NO


async def _heard(out: Out, peer: Peer, conversation: Conversation, wait: float) -> list[Event]:
    """All that is heard until it is over, and until the other side confirms that, if it does so soon.

    Raises:
        UndersignedError: It was not over within `wait` seconds, or in another way than by a withdrawal; an issuer did
            not resolve.
    """
    did, queue = conversation.engagement.peer, peer.watchers.listen(conversation.id)
    impatient = asyncio.create_task(tell_if_not_reached(out, peer, did))
    heard: list[Event] = []
    over = False
    try:
        async with asyncio.timeout(wait) as limit:
            with peer.links.heeding(did, partial(limit.reschedule, 0)):
                while not over and conversation.engagement.state != "withdrawn":
                    heard.append(event := await queue.get())
                    over = event.kind == "over"
                    if (error := unresolved(event)) is not None:
                        await peer.cancel(conversation)
                        raise error
    except TimeoutError as exc:
        await peer.cancel(conversation)
        strange = next((said for event in reversed(heard) if (said := unread(event)) is not None), None)
        last = strange or peer.links.last_error.get(did)
        error = given_up(last or UndersignedError("timeout", f"{did} did not answer"), wait)
        hint_at(error)
        raise error from exc
    except asyncio.CancelledError:
        # Nobody asks any more: the next start would go on with it, and show who we are.
        with suppress(LocalProtocolError, TimeoutError):
            async with asyncio.timeout(CONFIRM_SECONDS):
                await peer.cancel(conversation)
        raise
    finally:
        impatient.cancel()
    if conversation.engagement.state != "withdrawn":  # it took nothing of us, not even that
        refused = [one.message for one in heard if one.kind == "problem" and isinstance(one.message, Problem)]
        raise not_hired(conversation, refused[-1] if refused else None)
    with suppress(TimeoutError):
        async with asyncio.timeout(CONFIRM_SECONDS):
            while conversation.id in peer.conversations:
                heard.append(await queue.get())
    while queue.qsize():
        heard.append(queue.get_nowait())
    return heard


def _require_form(subject: str) -> None:
    """Returns if no option of `check` was given that is about the other one of its two forms.

    Raises:
        ConfigurationError: `bad_configuration`, naming them.
    """
    called, agent = click.get_current_context(), subject.startswith("did:")
    strange = OF_ARTIFACTS if agent else OF_AGENTS
    given = [
        option.opts[0]
        for option in called.command.params
        if option.name in strange and called.get_parameter_source(option.name) is not ParameterSource.DEFAULT
    ]
    if given:
        said = f"about artifacts, and {plain(subject, 200)} is a DID"
        if not agent:
            said = f"about an agent, and {plain(subject, 200)} is no DID"
        raise ConfigurationError("bad_configuration", f"{', '.join(given)}: {said}")


async def _domain_links(peer: Peer, conversation: Conversation, did: Did) -> dict[Did, tuple[DomainLink, ...]]:
    """What ties the agent to its domains, and the organisation whose membership it showed, if it showed one."""
    parties = [did]
    if conversation.said("Presentation", "provider"):
        shown = peer.meeting.relied(conversation, "provider")
        # One, so that what it shows does not say how many we call.
        parties += [one.issuer for one in shown if MEMBERSHIP in one.types][:1]
    found: dict[Did, tuple[DomainLink, ...]] = {}
    for party in dict.fromkeys(parties):
        try:
            found[party] = await domain_links(peer.gatherer, party, peer.clock)
        except UndersignedError as error:
            found[party] = (DomainLink(did=party, origin="", linked=False, code=error.code, reason=str(error)),)
    return found


def _why_over(conversation: Conversation, heard: Sequence[Event]) -> str:
    """Who withdrew, and the reason given; of ours what it came of: which list says so, and of whom."""
    if conversation.said("Withdraw", "provider"):
        withdraw = conversation.last("Withdraw", Withdraw, "provider")
        return f"it withdrew: {plain(withdraw.reason)}{plain(hint_of(withdraw), 2000)}"
    reason = conversation.last("Withdraw", Withdraw, "hirer").reason
    refused = next((event.detail for event in reversed(heard) if event.kind == "refused"), "")
    told = refused.removeprefix(f"{reason}: ")
    return f"what it showed does not hold: {plain(reason)}{f'; {plain(told)}' if told else ''}"


def _tell_no(out: Out, did: Did, task: str, why: str, *, domains: list[Any], unfinished: list[str]) -> None:
    """Where nothing was judged that the agent showed."""
    decided = {"outcome": "deny", "reasons": [{"code": "policy_denied", "value": why}]}
    out.value({"did": did, "task": task, **decided, "domains": domains, "unfinished": unfinished})
    out.line(f"no: {did} for {plain(task, 60)}: {why}", style="bold red")


def _tell_decision(out: Out, did: Did, task: str, decision: Mapping[str, Any]) -> None:
    allowed = decision["outcome"] == "allow"
    out.line(
        f"{'yes' if allowed else 'no'}: {did} for {plain(task, 60)}, by policy {decision['policy']}",
        style="bold green" if allowed else "bold red",
    )
    for reason in decision["reasons"]:
        hint = f"; would pass: {plain(reason['wouldPass'])}" if reason.get("wouldPass") else ""
        out.line(f"  {reason['code']:14} {reason['clause']}: {plain(reason['value'])}{hint}")
