"""Commands that meet another agent: `check`, `hire`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import cast

import click
import msgspec
from click.core import ParameterSource

from undersigned.contract import MAX_REWORKS, PAYMENTS, Milestone, Settlement, check_milestones, read_payment
from undersigned.credentials import MEMBERSHIP, read_presentation
from undersigned.daemon import Peer, needed_text, unresolved
from undersigned.did import is_derived
from undersigned.encoding import Did, compare_amounts, from_struct, to_struct
from undersigned.errors import (
    CODES,
    ConfigurationError,
    CredentialError,
    FormatError,
    UndersignedError,
)
from undersigned.messages import Need, Presentation, Withdraw
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.runtime import (
    SBOM_FORMATS,
    TASKS,
    Conversation,
    DomainLink,
    Home,
    checked_demands,
    checked_name,
    checked_url,
    domain_links,
    hire_order,
    parse_price,
    why,
)

from .delivered import Failed, Written, not_written, write_artifacts
from .options import (
    AT_OPTION,
    DOCUMENTS_OPTION,
    FOLDER,
    FORCE_OPTION,
    GATES_OPTION,
    VERBOSE_OPTION,
    WAIT_OPTION,
    checked_control,
    checked_did,
    open_peer,
    quiet_logs,
    read_inputs,
    read_scope_options,
    running,
)
from .output import HOME_OPTION, Out, counted, meeting, plain, typed
from .telling import domain_lines, goes_on, held_clock, tell, tell_unfinished
from .trace import PACK_OPTION, check_artifact

__all__ = ["check", "hire"]

UNREACHABLE = CODES["unreachable"].exit_code
CONFIRM_SECONDS = 2.0
"""How long `check` stays for the other side to confirm that it is over."""
OF_ARTIFACTS = frozenset({"purpose", "packs", "documents", "offline"})
OF_AGENTS = frozenset({"task", "at", "wait"})
"""Parameters of `check` that are about one of its two forms alone."""
PATIENCE_SECONDS = 2.0
"""After so long without a connection people are told why."""


@click.command()
@click.argument("did", metavar="DID|ARTIFACT|DIGEST", type=click.Path())
@click.option("--task", default="sbom", show_default=True, help="The task that an agent would be hired for.")
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
            raise ConfigurationError(
                "bad_configuration", f"{plain(did, 200)} is no DID; of an artifact, say --for what"
            )
        return await check_artifact(out, did, purpose, packs, documents, home, offline=offline)
    opened = out.home(home)
    _checked_peer(did, at, opened)
    checked_name("--task", task)
    async with running(out, open_peer(opened)) as peer:
        peer.reach_seconds = wait
        unfinished = [one["engagement"] for one in peer.status()]
        for one in peer.status():
            out.line(goes_on(one))
        order = await hire_order(peer, did, task=task, inputs={}, price="0 EUR", criteria={}, at=at)
        conversation = await peer.begin(msgspec.structs.replace(order, probe=True))
        queue = peer.watchers.listen(conversation.id)
        impatient = asyncio.create_task(_tell_if_not_reached(out, peer, did))
        try:
            async with asyncio.timeout(wait):
                while conversation.engagement.state != "withdrawn":
                    if (error := unresolved(await queue.get())) is not None:
                        await peer.cancel(conversation)
                        raise error
        except TimeoutError as exc:
            await peer.cancel(conversation)
            last = peer.links.last_error.get(did) or UndersignedError("timeout", f"{did} did not answer")
            error = type(last)(last.code, f"{last.message}; tried for {wait:g} s, then withdrawn")
            error.detail = last.detail
            _hint(error, peer, did)
            raise error from exc
        finally:
            impatient.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_SECONDS):
                while conversation.id in peer.conversations:
                    await queue.get()
        text = conversation.facts.get("decision")
        told = "it withdrew" if conversation.said("Withdraw", "provider") else "what it showed does not hold"
        who = "provider" if conversation.said("Withdraw", "provider") else "hirer"
        why = f"{told}: {plain(conversation.last('Withdraw', Withdraw, who).reason)}"
        links = await _domain_links(peer, conversation, did)
    domains = [msgspec.to_builtins(link) for found in links.values() for link in found]
    if text is None:
        out.value(
            {
                "did": did,
                "outcome": "deny",
                "reasons": [{"code": "policy_denied", "value": why}],
                "domains": domains,
                "unfinished": unfinished,
            }
        )
        out.line(f"no: {did}: {why}", style="bold red")
        for line, style in domain_lines(links):
            out.line(line, style=style)
        return 3
    decision = msgspec.json.decode(text)
    allowed = decision["outcome"] == "allow"
    out.value({"did": did, **decision, "domains": domains, "unfinished": unfinished})
    out.line(
        f"{'yes' if allowed else 'no'}: {did} for {plain(task, 60)}, by policy {decision['policy']}",
        style="bold green" if allowed else "bold red",
    )
    for reason in decision["reasons"]:
        hint = f"; would pass: {plain(reason['wouldPass'])}" if reason.get("wouldPass") else ""
        out.line(f"  {reason['code']:14} {reason['clause']}: {plain(reason['value'])}{hint}")
    for line, style in domain_lines(links):
        out.line(line, style=style)
    return 0 if allowed else 3


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
        shown = conversation.last("Presentation", Presentation, "provider").presentation
        # One, so that what it shows does not say how many we call.
        parties += [one.issuer for one in read_presentation(shown).credentials if MEMBERSHIP in one.types][:1]
    found: dict[Did, tuple[DomainLink, ...]] = {}
    for party in dict.fromkeys(parties):
        try:
            found[party] = await domain_links(peer.gatherer, party, peer.clock)
        except UndersignedError as error:
            found[party] = (DomainLink(did=party, origin="", linked=False, code=error.code, reason=str(error)),)
    return found


def _require_writable(folder: Path) -> None:
    """Returns if files can be written there, before anything is agreed: what is delivered is owed for by then.

    Raises:
        OSError: The folder cannot be made, or takes none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, str(folder)) from exc


@click.command()
@click.argument("did")
@click.option("--task", required=True, help="What is to be done, in the provider's word: sbom.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(),  # like the name of every file, that after the = may be any bytes
    metavar="NAME=PATH",
    help="A file to work on; it may be read.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="ACTION=TARGET",
    help="Something more it may do, such as 'repo:read=https://git.example/app/*;count<=10'.",
)
@click.option("--scope", "scope_file", type=click.Path(path_type=Path), help="A TOML file with [[scope.grant]] tables.")
@click.option("--price", default="10 EUR", show_default=True, help="The most that is paid.")
@click.option("--opening", help="Price of the first offer, such as '3 EUR'; by default what the provider asks for.")
@click.option(
    "--decide-within",
    type=click.IntRange(1, 7 * 86_400),
    metavar="SECONDS",
    help="All the time until both are bound, people's approval on either side included; by default 900, or 3600 if the "
    "policy asks people.",
)
@click.option(
    "--out",
    "folder",
    type=FOLDER,
    help="Folder for what is delivered. What is there stays: a file of that name gets one with a number beside it.",
)
@FORCE_OPTION
@click.option(
    "--continues", metavar="ENGAGEMENT|DIGEST", help="The earlier refusal that this answers, with what it asked for."
)
@click.option(
    "--subcontracting",
    type=click.IntRange(0, 5),
    default=0,
    metavar="LEVELS",
    help="How many levels of others the provider may hire for it, under its contract. Default 0: none.",
)
@click.option("--onward", is_flag=True, help="It may hand the inputs on to whom it hires: with --subcontracting.")
@click.option(
    "--settlement",
    type=click.Choice(["none", "invoice", "manual", *PAYMENTS]),
    default="none",
    show_default=True,
    help="How the price is paid, elsewhere. By all but none and invoice the books wait for 'contract settle'.",
)
@click.option("--hook", metavar="URI", help="What x402 or ap2 wrote about the payment.")
@click.option(
    "--milestone",
    "milestones",
    multiple=True,
    metavar="NAME=PERCENT:CRITERION,...",
    help="A part of the price that is owed once these criteria are met, whatever becomes of the rest; may be repeated.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="The most that each thing delivered may have; it is in the contract. By default as [artifacts] says.",
)
@click.option(
    "--reworks",
    type=click.IntRange(0, MAX_REWORKS),
    default=0,
    metavar="TIMES",
    help="How often work that misses a criterion is asked for again. Default 0: it is rejected.",
)
@click.option(
    "--sbom",
    type=click.Choice(list(SBOM_FORMATS)),
    help="A bill of materials that has to come with the work, valid and describing each artifact.",
)
@click.option(
    "--c2pa",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Media have to carry a C2PA manifest of this contract, by a certificate that comes from one in FILE (PEM).",
)
@click.option("--verifier", metavar="DID", help="A third party that judges the work; see 'contract judge'.")
@GATES_OPTION
@AT_OPTION
@WAIT_OPTION
@HOME_OPTION
@VERBOSE_OPTION
@meeting
async def hire(
    out: Out,
    did: str,
    task: str,
    inputs: tuple[str, ...],
    allow: tuple[str, ...],
    scope_file: Path | None,
    price: str,
    opening: str | None,
    decide_within: int | None,
    folder: Path | None,
    force: bool,
    continues: str | None,
    subcontracting: int,
    onward: bool,
    settlement: str,
    hook: str | None,
    milestones: tuple[str, ...],
    max_bytes: int | None,
    reworks: int,
    sbom: str | None,
    c2pa: tuple[Path, ...],
    verifier: str | None,
    gates: str | None,
    at: str | None,
    wait: float,
    home: str | None,
    verbose: bool,
) -> int:
    """Hire an agent: meet it, judge it, agree, have the work done, check it, close the books.

    What is interrupted is not over: it goes on when this peer runs again.
    """
    quiet_logs(verbose)
    opened = out.home(home)
    # All that can be wrong with the command is found before anybody is asked for anything.
    _checked_peer(did, at, opened)
    checked_name("--task", task)
    files = read_inputs(inputs)
    known = TASKS.get(task)
    for name in known.inputs if known is not None else ():
        if name not in files:
            raise ConfigurationError("bad_configuration", f"the task {task} needs --input {name}=FILE")
    scope = read_scope_options(allow, scope_file)
    most = parse_price(price, "--price")
    first = most if opening is None else parse_price(opening, "--opening")
    if first.currency != most.currency or compare_amounts(first.amount, most.amount) > 0:
        raise ConfigurationError(
            "bad_configuration", f"--opening {opening} is more than --price {price}, or other money"
        )
    agreed = _settlement(settlement, hook, tuple(map(_milestone, milestones)), known.criteria if known else ())
    if onward and not subcontracting:
        raise ConfigurationError(
            "bad_configuration", "--onward is about those whom the provider hires: it goes with --subcontracting LEVELS"
        )
    near = checked_control(gates, opened.configuration.gates, "--gates") if gates is not None else None
    parties = (opened.configuration.did, did)
    await checked_demands(parties, verifier=verifier, sbom=sbom, c2pa=c2pa or None, mark="--")
    if folder is not None:
        _require_writable(folder)
    peer = open_peer(opened)
    peer.gates = near
    async with running(out, peer):
        peer.reach_seconds = wait
        await tell_unfinished(out, peer, did, task)
        out.line(f"hiring {did} for {plain(task, 60)} as {peer.own.id}")
        under_way = peer.hire(
            did,
            task=task,
            inputs=files,
            price=price,
            opening=opening,
            scope=scope,
            at=at,
            continues=continues,
            decide_seconds=decide_within,
            subcontracting=subcontracting,
            onward=onward,
            settlement=agreed,
            max_bytes=max_bytes,
            reworks=reworks,
            sbom=sbom,
            verifier=verifier,
            c2pa=c2pa or None,
        )
        impatient = asyncio.create_task(_tell_if_not_reached(out, peer, did))
        try:
            async for event in under_way:
                tell(out, event)
            result = await under_way
        except (asyncio.CancelledError, BrokenPipeError) as exc:
            if under_way.engagement is not None:
                later = f"interrupted, but not over: {under_way.engagement} goes on when this peer runs again, with "
                later += typed("serve --home {}", opened.path)
                if isinstance(exc, BrokenPipeError):
                    out.unheard(later)  # whoever read our output has left
                    raise
                out.value({"kind": "interrupted", "engagement": under_way.engagement})
                out.line(later, style="bold yellow")
                if folder is not None:
                    shown = typed("contract show {} --home {}", under_way.engagement, opened.path)
                    out.line(f"nothing is written to {folder} then; where it is: {shown}, 'Delivered'")
            raise
        except UndersignedError as error:
            _hint(error, peer, did)
            _tell_needs(out, error)
            raise
        finally:
            impatient.cancel()
        written: dict[str, Written] = {}
        failed: dict[str, Failed] = {}  # told after the result: the work is accepted and owed all the same
        if folder is not None:
            written, failed = await write_artifacts(result.artifacts, folder, out, force=force)
        out.value(
            {
                "kind": "result",
                "engagement": result.engagement,
                "contract": result.contract,
                "price": result.price,
                "criteria": result.criteria,
                "artifacts": {name: result.artifacts.size(name) for name in result.artifacts},
                "written": {name: str(one.path) for name, one in written.items()},
                "unwritten": {name: why(error) for name, error in failed.items()},
                # What stands there is not what was delivered.
                "insteadOf": {name: str(one.instead_of) for name, one in written.items() if one.instead_of},
            }
        )
        out.line()
        out.line(f"accepted; owed {result.price}", style="bold green")
        out.line(f"  contract   {result.contract} with {result.provider}")
        met = [name for name, held in result.criteria.items() if held]
        out.line(f"  met        {plain(', '.join(met)) or 'no criteria were agreed'}")
        for name in result.artifacts:
            kept = f"{peer.artifacts.where} as {result.artifacts.digest(name)} (--out FOLDER writes a copy)"
            size = counted(result.artifacts.size(name), "byte")
            out.line(f"  delivered  {plain(name)}, {size}, in {_place(written[name]) if name in written else kept}")
        if result.price.partition(" ")[0] != "0" and settlement not in ("none", "invoice"):
            settle = typed("contract settle {} --home {}", result.contract, opened.path)
            out.line(f"  payment    the books wait for {settle}, beside {typed('serve --home {}', opened.path)}")
        out.line(f"  evidence   {typed('export {} --home {}', result.engagement, opened.path)}")
        if folder is not None and failed:
            raise not_written(failed, folder, peer.artifacts.where)
        if result.unclosed is not None:
            raise result.unclosed
    return 0


def _place(written: Written) -> str:
    """Where an artifact is, and why there."""
    there = ", where it was already" if written.was_there else ""
    if written.instead_of is not None:
        hint = "" if written.instead_of.is_dir() else ": --force would write over it"
        there += f"; {written.instead_of} is something else, and stays{hint}"
    return f"{written.path}{there}"


def _settlement(
    method: str, hook: str | None, milestones: tuple[Milestone, ...], criteria: Iterable[str]
) -> Settlement:
    """What `--settlement`, `--hook` and `--milestone` say together.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    try:
        if method in PAYMENTS:
            read_payment(method, hook)
        elif hook is not None:
            raise ConfigurationError("bad_configuration", f"--hook goes with --settlement {' or '.join(PAYMENTS)}")
    except FormatError as error:
        raise ConfigurationError("bad_configuration", f"--hook: {error.message}") from error
    try:
        check_milestones(milestones, criteria)
    except FormatError as error:
        raise ConfigurationError("bad_configuration", f"--milestone: {error.message}") from error
    return Settlement(method=method, hook=hook, milestones=milestones)


def _milestone(text: str) -> Milestone:
    name, _, rest = text.partition("=")
    percent, _, criteria = rest.partition(":")
    try:
        said = {"name": name, "percent": int(percent), "criteria": [one.strip() for one in criteria.split(",")]}
        return to_struct(said, Milestone)
    except (ValueError, FormatError) as error:
        raise ConfigurationError(
            "bad_configuration", f"--milestone: expected NAME=PERCENT:CRITERION,..., got {text!r}"
        ) from error


def _tell_needs(out: Out, error: UndersignedError) -> None:
    """Of a withdrawal that says what it needs: that, and how one comes back with it."""
    needed = cast("tuple[Need, ...]", error.detail.get("needed", ()))
    if not needed:
        return
    withdrawal, engagement = str(error.detail["withdrawal"]), str(error.detail["engagement"])
    out.value(
        {
            "kind": "needed",
            "engagement": engagement,
            "withdrawal": withdrawal,
            "needed": [from_struct(need) for need in needed],
        }
    )
    for need in needed:
        out.line(f"  needed     {plain(needed_text(need), 1000)}")
    out.line(f"once that is there:   {typed('hire … --continues {}', engagement)}")


def _checked_peer(did: str, at: str | None, home: Home) -> None:
    """Whether `did` is a DID of somebody else, who is reached at a URL or says where.

    Raises:
        ConfigurationError: `bad_configuration`.
        ResolutionError: As `checked_did`.
    """
    local = home.configuration.local
    checked_did(did, local, home.configuration.resolver)
    checked_url(at, local)
    if did == home.configuration.did:
        raise ConfigurationError("bad_configuration", f"{did} is this agent itself, and nobody hires itself")
    if at is None and is_derived(did):
        raise ConfigurationError(
            "bad_configuration", f"{did} publishes no place where it listens: name one with --at URL"
        )


async def _tell_if_not_reached(out: Out, peer: Peer, did: str) -> None:
    """After a while without a connection: a line that says why, so that nobody waits in the dark."""
    await asyncio.sleep(PATIENCE_SECONDS)
    if not peer.links.connected(did):
        error = peer.links.last_error.get(did)
        why = f": {plain(error.message)}" if error is not None else ""
        out.line(f"not reached yet{why}; trying for {peer.reach_seconds:g} s", style="yellow")


def _hint(error: UndersignedError, peer: Peer, did: Did) -> None:
    """Adds to the message of an error what can be done about it: if a peer was not reached, or takes no more for now,
    and if no proof holds because our clock stands still, or is another than theirs.
    """
    status = error.detail.get("status")
    if error.exit_code != UNREACHABLE or isinstance(error, CredentialError):
        pass
    elif error.code in ("rate_limited", "overloaded") or status in (429, 503):
        error.message += ". It is there, and takes no more from here for now: try again later"
    elif status is None and error.code != "connection_closed":  # else somebody answered
        error.message += ". Is it running, and listening there? --wait SECONDS tries for longer"
    if error.code.startswith("proof_") and (held := held_clock(peer)) is not None:
        error.message += f". Our clock stands still at {held.at}, and this machine's says {held.machine}: to others "
        error.message += "all that we sign is made in the future"
    elif error.code.startswith("proof_") and abs(ahead := peer.gatherer.ahead_of(did) or 0) > MAX_SKEW_SECONDS:
        error.message += (
            f". Our clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} theirs: with more than "
        )
        error.message += f"{MAX_SKEW_SECONDS} s between them no proof of one holds for the other"
