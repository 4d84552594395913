"""Commands for a contract that is performed: `contract show|suspend|resume|amend|release|accept|decline|cancel|…`.

`show` reads the ledger. The others leave an order in the state folder, which the running peer carries out; so they work
beside `serve` or `hire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from msgspec.structs import replace

from undersigned.encoding import from_struct, shift
from undersigned.errors import ConfigurationError
from undersigned.messages import CANCEL_REASONS, CAUSES, SUSPEND_REASONS
from undersigned.runtime import (
    Answered,
    ContractOrder,
    Home,
    checked_demands,
    checked_words,
    parse_price,
    read_document,
)
from undersigned.scope import compile_scope, whole_scope

from .contract_show import load_contract, show
from .listing import CommandGroup
from .options import NamedPath, checked_digest
from .orders import named_in, ordered, require_done
from .output import HOME_OPTION, Out, command
from .terms import with_grants

__all__ = ["contract"]

CONTRACT = click.argument("contract", metavar="CONTRACT")
FOR_OPTION = click.option(
    "--for", "seconds", type=click.IntRange(60), metavar="SECONDS", default=3600, show_default=True, help="How long."
)
OWN_CAUSES, OWN_SUSPENSIONS, OWN_CANCELS = (
    tuple(one for one in words if one != "parent") for words in (CAUSES, SUSPEND_REASONS, CANCEL_REASONS)
)
"""What an owner may give. That the contract above is suspended, or has ended, the peer says by itself."""


@click.group(cls=CommandGroup)
def contract() -> None:
    """A contract while it is performed: look at it, suspend it, change it, end it, dispute it."""


@contract.command("show")
@CONTRACT
@HOME_OPTION
@command
async def contract_show(out: Out, contract: str, home: str | None) -> None:
    """What is in force now, clause by clause; its state, who owes what, and what is on the table."""
    await show(out, out.home(home), contract)


@contract.command("suspend")
@CONTRACT
@FOR_OPTION
@click.option("--reason", type=click.Choice(OWN_SUSPENSIONS), default="incident", show_default=True, help="Why.")
@HOME_OPTION
@command
async def contract_suspend(out: Out, contract: str, seconds: int, reason: str, home: str | None) -> int:
    """No authority for now. If it does not go on in time, the provider may end it."""
    return await _order(out, home, contract, "suspend", {"seconds": seconds, "reason": reason})


@contract.command("resume")
@CONTRACT
@HOME_OPTION
@command
async def contract_resume(out: Out, contract: str, home: str | None) -> int:
    """A suspended contract goes on; what is due moves by the time it was suspended."""
    return await _order(out, home, contract, "resume", {})


@contract.command("amend")
@CONTRACT
@click.option("--price", metavar="PRICE", help="Another price.")
@click.option("--extend", type=click.IntRange(60), metavar="SECONDS", help="More time, for finish and all authority.")
@click.option(
    "--reworks",
    type=click.IntRange(0, 16),
    metavar="TIMES",
    help="How often rework may be asked for. How often its inputs may be read is left as it is: --limit.",
)
@click.option("--arbiter", metavar="DID", help="Who rules on disputes.")
@click.option(
    "--allow", multiple=True, metavar="ACTION=TARGET", help="Something more it may do, as with 'hire'. May be repeated."
)
@click.option(
    "--drop", multiple=True, metavar="CLAUSE", help="A grant that is taken out, as 'show' names it. May be repeated."
)
@click.option(
    "--limit",
    multiple=True,
    metavar="CLAUSE;UNIT<=MAX",
    help="How much may be used under a grant, all told. May be repeated.",
)
@FOR_OPTION
@HOME_OPTION
@command
async def contract_amend(
    out: Out,
    contract: str,
    price: str | None,
    extend: int | None,
    reworks: int | None,
    arbiter: str | None,
    allow: tuple[str, ...],
    drop: tuple[str, ...],
    limit: tuple[str, ...],
    seconds: int,
    home: str | None,
) -> int:
    """Offer other terms; they are in force once both signed and the seal is there. `accept` is the other side's."""
    opened = out.home(home)
    document = (await load_contract(opened, contract)).document
    terms = document.terms
    if price is not None:
        terms = replace(terms, price=parse_price(price, "--price"))
    if extend is not None:
        times = terms.deadlines
        later = replace(times, finish=shift(times.finish, extend), until=shift(times.until, extend))
        terms = replace(terms, deadlines=later)
    if reworks is not None:
        terms = replace(terms, reworks=reworks)
    if arbiter is not None:
        parties = (document.hirer, document.provider)
        await checked_demands(parties, verifier=None, arbiter=arbiter, sbom=None, c2pa=None, mark="--")
        terms = replace(terms, arbiter=arbiter)
    if allow or drop or limit:
        scope = whole_scope(terms.scope)
        base = terms.scope.id.removesuffix("#scope")
        terms = replace(terms, scope=compile_scope(with_grants(scope, allow, drop, limit), base))
    if terms == document.terms:
        raise ConfigurationError("bad_configuration", "nothing would be changed: name --price, --extend or another")
    return await _order(out, home, contract, "amend", {"terms": from_struct(terms), "seconds": seconds})


@contract.command("release")
@CONTRACT
@click.option("--owed", required=True, metavar="PRICE", help="What the hirer owes, all told.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in your words; both sign it.")
@FOR_OPTION
@HOME_OPTION
@command
async def contract_release(out: Out, contract: str, owed: str, reason: str, seconds: int, home: str | None) -> int:
    """Offer to let each other go."""
    body = {"owed": from_struct(parse_price(owed, "--owed")), "reason": reason, "seconds": seconds}
    return await _order(out, home, contract, "release", body)


@contract.command("accept")
@CONTRACT
@click.argument("document", metavar="DOCUMENT")
@HOME_OPTION
@command
async def contract_accept(out: Out, contract: str, document: str, home: str | None) -> int:
    """Sign the amendment or release that the other side put on the table; DOCUMENT is its digest, see `show`."""
    return await _order(out, home, contract, "accept", {"document": document})


@contract.command("decline")
@CONTRACT
@HOME_OPTION
@command
async def contract_decline(out: Out, contract: str, home: str | None) -> int:
    """Take the document from the table, ours or the other side's, while nobody accepted it."""
    return await _order(out, home, contract, "decline", {})


@contract.command("cancel")
@CONTRACT
@click.option(
    "--for",
    "seconds",
    type=click.IntRange(0),
    metavar="SECONDS",
    help="How long. Default: as many as the terms leave at least.",
)
@click.option(
    "--reason",
    type=click.Choice(OWN_CANCELS),
    default="no_longer_needed",
    show_default=True,
    help="Why.",
)
@HOME_OPTION
@command
async def contract_cancel(out: Out, contract: str, seconds: int | None, reason: str, home: str | None) -> int:
    """Order the provider to stop, and to hand over what there is within `--for`. To end it at once: `revoke`."""
    body = {"reason": reason} if seconds is None else {"reason": reason, "seconds": seconds}
    return await _order(out, home, contract, "cancel", body)


@contract.command("revoke")
@CONTRACT
@click.option("--cause", type=click.Choice(OWN_CAUSES), required=True, help="What allows it, as the contract has it.")
@click.option("--names", metavar="DIGEST", help="The breach; or the credential, or the list, that you know to be so.")
@HOME_OPTION
@command
async def contract_revoke(out: Out, contract: str, cause: str, names: str | None, home: str | None) -> int:
    """End it at once, for a cause that it allows. In order: `cancel`. For now only: `suspend`.

    Which credential is `revoked` the running peer finds out, among those that the terms name; the other causes are your
    word. Where a contract above it ends, the peer ends this one by itself.
    """
    if names is None and cause == "breach":
        text = "--cause breach: expected --names as well, with the digest that 'contract show' or 'ledger show' has"
        raise ConfigurationError("bad_configuration", text)
    return await _order(out, home, contract, "revoke", {"cause": cause, **({"names": names} if names else {})})


@contract.command("breach")
@CONTRACT
@click.argument("clause", metavar="CLAUSE")
@FOR_OPTION
@HOME_OPTION
@command
async def contract_breach(out: Out, contract: str, clause: str, seconds: int, home: str | None) -> int:
    """Claim that the other side broke CLAUSE, and leave it time to cure that.

    CLAUSE is a clause of the scope, by the name that `show` has for it, or a member of the terms, such as dataHandling.
    `--for` is no less than the `cure` of the terms.
    """
    return await _order(out, home, contract, "breach", {"clause": clause, "seconds": seconds})


@contract.command("dispute")
@CONTRACT
@click.option("--claim", metavar="TEXT", help="What you ask for, and why.")
@click.option("--ruling", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The arbiter's ruling.")
@click.option(
    "--for",
    "seconds",
    type=click.IntRange(24 * 3600),
    metavar="SECONDS",
    default=7 * 24 * 3600,
    show_default=True,
    help="How long the arbiter has; by default a week.",
)
@HOME_OPTION
@command
async def contract_dispute(
    out: Out, contract: str, claim: str | None, ruling: Path | None, seconds: int, home: str | None
) -> int:
    """Put the outcome before the arbiter that the terms name, or carry the arbiter's ruling to the other side."""
    if (claim is None) == (ruling is None):
        raise ConfigurationError("bad_configuration", "name --claim to dispute, or --ruling to end a dispute")
    if ruling is not None:
        out.home(home)
        return await _order(out, home, contract, "rule", {"ruling": read_document(ruling)})
    return await _order(out, home, contract, "dispute", {"claim": claim, "seconds": seconds})


@contract.command("review")
@CONTRACT
@click.option("--met", multiple=True, metavar="CRITERION", help="Id of one that is met. May be repeated.")
@click.option("--not-met", multiple=True, metavar="CRITERION", help="Id of one that is not. May be repeated.")
@HOME_OPTION
@command
async def contract_review(
    out: Out, contract: str, met: tuple[str, ...], not_met: tuple[str, ...], home: str | None
) -> int:
    """Review what was delivered by your own word, where the program that would is gone: say each criterion, see `show`.

    Whether the delivery and what its provider states of it hold is looked at all the same.
    """
    if both := set(met) & set(not_met):
        raise ConfigurationError("bad_configuration", f"said to be met and not met: {', '.join(sorted(both))}")
    said = {**dict.fromkeys(met, True), **dict.fromkeys(not_met, False)}
    return await _order(out, home, contract, "review", {"criteria": said}, told="reviewed")


@contract.command("judge")
@CONTRACT
@click.argument("statement", type=NamedPath(path_type=Path), metavar="STATEMENT")
@HOME_OPTION
@command
async def contract_judge(out: Out, contract: str, statement: Path, home: str | None) -> int:
    """Carry the verdict of the verifier that the terms name: STATEMENT is the file that 'judge' wrote for it."""
    out.home(home)
    return await _order(out, home, contract, "judge", {"statement": read_document(statement)})


@contract.command("settle")
@CONTRACT
@click.option("--reference", metavar="TEXT", help="It was paid: the payment's name where it was made.")
@click.option("--not-paid", metavar="TEXT", help="It was not, and why; the other side reads it.")
@HOME_OPTION
@command
async def contract_settle(
    out: Out, contract: str, reference: str | None, not_paid: str | None, home: str | None
) -> int:
    """Say whether what is owed was paid, or came in; our closing of the books says it. Without options: it
    was, under the name that the other side gave the payment, or else `paid`.

    In a dispute it may be said, too: it is about the sum that is owed now. If the ruling names another one, that is
    asked about anew.
    """
    if reference is not None and not_paid is not None:
        raise ConfigurationError("bad_configuration", "name --reference if it was paid, or --not-paid")
    body = {"paid": not_paid is None, "reference": reference, "note": not_paid}
    said = {key: value for key, value in body.items() if value is not None}
    return await _order(out, home, contract, "settle", said, told="noted for our closing")


@contract.command("approve")
@CONTRACT
@click.argument("request", metavar="REQUEST")
@click.option("--refuse", is_flag=True, help="The answer is no.")
@click.option(
    "--uses", type=click.IntRange(1), metavar="TIMES", default=1, show_default=True, help="How often it may be done."
)
@FOR_OPTION
@HOME_OPTION
@command
async def contract_approve(
    out: Out, contract: str, request: str, refuse: bool, uses: int, seconds: int, home: str | None
) -> int:
    """Answer the provider's request for approval; REQUEST is its digest, see `show`."""
    body = {"request": request, "granted": not refuse, "uses": uses, "seconds": seconds}
    return await _order(out, home, contract, "approve", body, told="refused" if refuse else "approved")


# -- what several of them do


_TEXTS: Final = {
    "reason": ("--reason", 1024),
    "claim": ("--claim", 4096),
    "reference": ("--reference", 128),
    "note": ("--not-paid", 1024),
}
"""What is said in words, by the options that give it, and how many characters of it both sides are told."""


_LOOKED_UP: Final = frozenset({"did_unresolvable", "registry_unavailable", "status_unavailable"})
"""What says that something has to be looked up before we bind ourselves, and cannot be had: a party is away, mostly."""


async def _order(
    out: Out, home: str | None, contract: str, act: str, body: Mapping[str, Any], told: str | None = None
) -> int:
    """Leaves an order and waits for what becomes of it; `told` is what people are told was done, by default `act`.
    Programs are told of the act by its name, and of an approval's no by a name of its own.
    """
    named = "refuse" if body.get("granted") is False else act
    for name in ("request", "document", "names"):
        if name in body:
            checked_digest(body[name])
    for name, (option, most) in _TEXTS.items():
        if name in body and len(checked_words(option, str(body[name]))) > most:
            text = f"{option}: expected at most {most} characters, got {len(body[name])}"
            raise ConfigurationError("bad_configuration", text)
    opened = out.home(home)
    await _named_in_whole(opened, contract)
    order = ContractOrder(act=act, contract=contract, body=body)
    return await ordered(out, opened, order, named, partial(_said, out, named, told or act))


async def _named_in_whole(home: Home, contract: str) -> None:
    """Returns if `contract` is a digest. A part of one is enough to look at a contract, and not to change it.

    Raises:
        ConfigurationError: `bad_configuration`, it is none; it names the contract that `show` would show.
    """
    try:
        checked_digest(contract)
    except ConfigurationError as error:
        try:
            found = await named_in(home, contract)
        except ConfigurationError:
            raise error from None
        text = f"who orders something names the contract in whole: {found.contract}"
        if found.contract is None:
            text = f"there is no contract, and 'offer withdraw {found.engagement}' ends a negotiation"
        raise ConfigurationError(error.code, f"{error.message}; {text}") from error


def _said(out: Out, act: str, told: str, said: Answered) -> int:
    # What we put on the table ourselves stands there until it is answered.
    hint = ""
    if act in ("amend", "release") and said.code == "wrong_party":
        hint = "; first take it from the table: 'contract decline'"
    elif said.code == "wrong_state" and "'" not in said.message:  # where it names no command itself
        hint = "; 'contract show' tells who owes what, and by when"
    elif said.code in _LOOKED_UP:
        hint = "; nothing was said: say it again once this can be had"
    require_done(said, hint)
    out.value({"act": act, "ok": True, "state": said.state, "lane": said.lane, "move": said.move})
    out.line(f"{told}: the contract is {said.state}{lane_told(said.lane)}", style="bold green")
    return 0


def lane_told(lane: str) -> str:
    """What is on the table, behind the contract's state; empty if nothing is."""
    what, _, role = lane.partition("-by-")
    if what == "offered":
        return f"; what the {role} offers is on the table, see 'contract show'"
    return f"; what the {role} accepted waits for the other side's seal" if what == "accepted" else ""
