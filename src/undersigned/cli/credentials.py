"""Commands about credentials: `issue|list|revoke|show` of those that the organisation issued, `add|held` of those that
this agent shows.
"""

from __future__ import annotations

from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import click

from undersigned.contract import read_ruling
from undersigned.credentials import Credential, read_credential
from undersigned.encoding import FOREIGN_LIMITS, Instant, canonicalize, decode_json, digest_bytes, from_struct, shift
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.runtime import (
    LIST_TTL_SECONDS,
    Issued,
    SystemClock,
    Wallet,
    read_file,
    read_handed,
    verify_handed,
)
from undersigned.trust import KINDS

from .claims import claim_of, told
from .listing import CommandGroup
from .options import FILE, FORCE_OPTION, about, new_file, open_gatherer, out_option
from .output import HOME_OPTION, Out, command
from .words import plain

__all__ = ["credentials"]


@click.group(cls=CommandGroup)
def credentials() -> None:
    """Issue, list, show and withdraw what this folder's organisation says; keep and list what others say about this
    agent.
    """


def _require_ruling(evidence: bytes) -> None:
    """Returns if these bytes may show a breach: nobody could import an accusation that rests on anything else."""
    try:
        document = decode_json(evidence, FOREIGN_LIMITS)
        read_ruling(document if isinstance(document, dict) else {})
    except FormatError as error:
        text = "--evidence: a breach is shown by the signed ruling of the contract's arbiter, as 'rule' writes it"
        raise ConfigurationError("bad_configuration", f"{text}; for a judgement of ours: --kind distrust") from error


def _state(one: Issued, now: Instant) -> str:
    if one.revoked is not None:
        return "revoked"
    return "expired" if now > one.until else "valid"


def _read(one: Issued) -> Credential:
    document = decode_json(one.raw, FOREIGN_LIMITS)
    if not isinstance(document, dict):
        raise FormatError("bad_json", f"the register holds no credential as {one.id}")
    return read_credential(document)


def _said(one: Issued) -> str:
    """What it says, in words; its type and subject if it says more than our types have."""
    try:
        return told(_read(one))
    except UndersignedError:
        return f"says something about {plain(one.subject, 200)}: {one.type}"


def _value(one: Issued, now: Instant) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "subject": one.subject,
        "says": _said(one),
        "issued": one.issued,
        "until": one.until,
        "state": _state(one, now),
        "revoked": one.revoked,
        "statusList": one.url,
        "statusIndex": one.place,
    }


@credentials.command("issue")
@click.argument("subject")
@click.option(
    "--type", "kind", type=click.Choice(list(KINDS)), default="membership", show_default=True, help="What is said."
)
@click.option("--capability", metavar="NAME", help="What it may attest, can do, did, or is accredited for.")
@click.option(
    "--depth",
    type=int,
    metavar="LEVELS",
    help="authority: how many further authorities may follow below it; 0 is none.",
)
@click.option("--weight", metavar="0..1", help="endorsement: how much is laid on it; absent is 1.")
@click.option("--contract", metavar="DIGEST", help="performance: of the contract, as 'ledger list' shows it.")
@click.option("--outcome", metavar="WORD", help="performance: accepted, rejected, or failed.")
@click.option("--kind", "accused", metavar="WORD", help="accusation: equivocation, breach, or distrust.")
@click.option(
    "--evidence", metavar="FILE|DIGEST", help="accusation: what it rests on, which whoever imports it has to hold, too."
)
@click.option("--standard", metavar="TEXT", help="auditedBy: against what, with its year.")
@click.option(
    "--days", type=click.IntRange(1, 3650), metavar="DAYS", default=365, show_default=True, help="How long it is valid."
)
@click.option("--jwt", is_flag=True, help="As a JWT (vc+jwt), in place of JSON-LD with a proof.")
@out_option("File to write it to; an agent that it is about keeps it with 'credentials add', an organisation does not.")
@FORCE_OPTION
@HOME_OPTION
@command
async def issue(
    out: Out,
    subject: str,
    kind: str,
    accused: str | None,
    days: int,
    jwt: bool,
    file: Path | None,
    force: bool,
    home: str | None,
    **said: Any,
) -> None:
    """Say something about SUBJECT, a DID, under the organisation's signature: by default, that it operates this agent.

    \b
    membership     we operate it
    authority      we believe what it attests about --capability, to --depth
    endorsement    it can do --capability [--weight]
    performance    its work under --contract had this --outcome [--capability]
    accusation     it did this --kind, as --evidence shows
    partOf         it is a part of us
    suppliesTo     it supplies us
    accreditedBy   we accredit it for --capability
    auditedBy      we audited it against --standard

    An organisation with a domain can withdraw it again ('credentials revoke'); one that is did:key cannot, so give a
    short time with --days.
    """  # noqa: D301 - a backspace keeps the lines of a paragraph apart in the help
    opened, now = out.home(home), SystemClock().now()
    if said["evidence"] is not None and Path(said["evidence"]).is_file():
        evidence = read_file(Path(said["evidence"]))
        if accused == "breach":
            _require_ruling(evidence)
        said["evidence"] = digest_bytes(evidence)
    opened_file = new_file(file, force=force) if file is not None else nullcontext()
    with closing(opened.register()) as register, opened_file as written:
        claim = claim_of(kind, subject, register.issuer, {**said, "kind": accused})
        claims = {name: value for name, value in from_struct(claim).items() if name != "id"}
        signed = register.issue(claim.type, claim.id, claims, now=now, until=shift(now, days * 86_400), as_jwt=jwt)
        read = read_credential(signed)
        made = register.find(str(read.json["id"]))
        issuer = register.issuer
        text = str(signed["id"]).partition(",")[2] if jwt else canonicalize(signed).decode()
        if written is not None:
            written.write(text.encode())
    out.value({**_value(made, now), "file": str(file) if file is not None else None, "credential": signed})
    out.line(f"{issuer} {told(read)}, until {made.until}")
    out.line(f"id     {made.id}")
    out.line(f"file   {file}" if file is not None else text)
    if made.url is None:
        out.line("it has no status: a did:key organisation serves no list, so it cannot be withdrawn", style="yellow")


@credentials.command("add")
@click.argument("file", type=FILE)
@HOME_OPTION
@command
async def add(out: Out, file: Path, home: str | None) -> None:
    """Keep the credential in FILE, which somebody issued to this agent, once it is verified.

    What it renews (the same, said by the same issuer) is put aside in credentials/replaced. A running peer of this
    state folder shows the new one from then on; it need not be started again.
    """
    opened, clock = out.home(home), SystemClock()
    async with open_gatherer(opened) as gatherer:
        with about(file):
            verified = await verify_handed(opened, read_handed(read_file(file)), gatherer, clock)
    kept = Wallet(opened).keep(verified)
    out.value(
        {
            "credential": verified.digest,
            "types": list(verified.types),
            "issuer": verified.issuer,
            "until": verified.valid_until,
            "file": str(kept.file),
            "new": kept.new,
            "replaced": [str(one) for one in kept.replaced],
        }
    )
    out.line(f"{plain(verified.issuer, 200)} {told(verified)}, until {verified.valid_until or 'it is withdrawn'}")
    out.line(f"file   {kept.file}" if kept.new else f"held already, in {kept.file}")
    if "AccusationCredential" in verified.types:
        out.line("it speaks against this agent, and is shown to whoever asks for such credentials", style="yellow")
    for one in kept.replaced:
        out.line(f"aside  {one}: it is renewed by this one")


@credentials.command("held")
@HOME_OPTION
@command
async def held(out: Out, home: str | None) -> None:
    """What this agent has to show: its organisation's word, and what 'add' kept.

    Whether an issuer has withdrawn one of them, its list says, which is not asked here.
    """
    opened, now = out.home(home), SystemClock().now()
    found = Wallet(opened).files()
    for file, one in found.items():
        over = one.valid_until is not None and now > one.valid_until
        state = "valid" if one.valid_at(now) else "expired" if over else "not yet"
        out.value(
            {
                "credential": one.digest,
                "types": list(one.types),
                "issuer": one.issuer,
                "from": one.valid_from,
                "until": one.valid_until,
                "state": state,
                "file": str(file),
            }
        )
        out.line(
            f"{state:8} until {one.valid_until or 'it is withdrawn'}  {plain(one.issuer, 200)} {told(one)}",
            style="green" if state == "valid" else "dim",
        )
        out.line(f"         {file}", style="dim")
    if not found:
        out.line("this agent has nothing to show")


@credentials.command("list")
@HOME_OPTION
@command
async def list_(out: Out, home: str | None) -> None:
    """What was issued by this folder's organisation, and what of it still holds; 'held' lists what its agent shows."""
    opened, now = out.home(home), SystemClock().now()
    with closing(opened.register()) as register:
        found = register.issued()
    for one in found:
        out.value(_value(one, now))
        state = _state(one, now)
        style = {"valid": "green", "revoked": "red"}.get(state, "dim")
        out.line(f"{state:8} until {one.until}  {_said(one)}  ({one.id})", style=style)
    if not found:
        out.line("nothing was issued here yet")


@credentials.command("revoke")
@click.argument("credential")
@HOME_OPTION
@command
async def revoke(out: Out, credential: str, home: str | None) -> None:
    """Withdraw CREDENTIAL (its id, urn:uuid:...) for good.

    A running peer of this state folder says so to the next who asks; who asked before hears of it within minutes.
    Doing it again changes nothing.
    """
    opened, now = out.home(home), SystemClock().now()
    with closing(opened.register()) as register:
        one = register.revoke(credential, now)
    out.value(_value(one, now))
    out.line(f"withdrawn since {one.revoked}: {_said(one)}")
    minutes = LIST_TTL_SECONDS // 60
    out.line(f"listed at {one.url}; who looked it up before may rely on it for {minutes} minutes more")
    if _read(one).digest in {held.digest for held in Wallet(opened).files().values()}:
        out.line("this agent itself shows it: who asks for such credentials declines it from now on", style="yellow")


@credentials.command("show")
@click.argument("credential")
@HOME_OPTION
@command
async def show(out: Out, credential: str, home: str | None) -> None:
    """CREDENTIAL (its id) as it was issued."""
    opened, now = out.home(home), SystemClock().now()
    with closing(opened.register()) as register:
        one = register.find(credential)
    document = decode_json(one.raw, FOREIGN_LIMITS)
    out.value({**_value(one, now), "credential": document})
    since = f" since {one.revoked}" if one.revoked is not None else ""
    out.line(f"{_state(one, now)}{since}: {_said(one)}, until {one.until}")
    out.line(f"type    {one.type}")
    out.line(f"status  {f'{one.url}, place {one.place}' if one.url else 'none: it ends by its validity alone'}")
    out.line(one.raw.decode())
