"""Commands about what the organisation of this state folder issued: `credentials issue|list|revoke|show`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from undersigned.credentials import MEMBERSHIP
from undersigned.did import parse_did
from undersigned.encoding import FOREIGN_LIMITS, Instant, canonicalize, decode_json, shift
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.runtime import LIST_TTL_SECONDS, Home, Issued, StatusRegister, SystemClock

from .output import HOME_OPTION, Out, command, plain

__all__ = ["credentials"]


@click.group()
def credentials() -> None:
    """Issue, list, show and withdraw the credentials of this folder's organisation."""


@contextmanager
def _register(home: Home) -> Generator[StatusRegister]:
    register = home.register()
    try:
        yield register
    finally:
        register.close()


def _state(one: Issued, now: Instant) -> str:
    if one.revoked is not None:
        return "revoked"
    return "expired" if now > one.until else "valid"


def _value(one: Issued, now: Instant) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": one.type,
        "subject": one.subject,
        "issued": one.issued,
        "until": one.until,
        "state": _state(one, now),
        "revoked": one.revoked,
        "statusList": one.url,
        "statusIndex": one.place,
    }


@credentials.command("issue")
@click.argument("agent")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it is valid.")
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write it to; the agent puts it into credentials/ of its state folder.",
)
@HOME_OPTION
@command
async def issue(out: Out, agent: str, days: int, file: Path | None, home: str | None) -> None:
    """Say under the organisation's signature that it operates AGENT, a DID.

    An organisation with a domain can withdraw it again ('credentials revoke'); one that is did:key cannot, so give a
    short time with --days.
    """
    try:
        parse_did(agent)
    except UndersignedError as error:
        raise ConfigurationError("bad_configuration", f"AGENT: {error.message}") from error
    if file is not None and file.exists():
        raise ConfigurationError("bad_configuration", f"{file} exists already")
    opened, now = out.home(home), SystemClock().now()
    with _register(opened) as register:
        signed = register.issue(
            MEMBERSHIP, agent, {"memberOf": register.issuer}, now=now, until=shift(now, days * 86_400)
        )
        made = register.find(str(signed["id"]))
    text = canonicalize(signed).decode()
    if file is not None:
        file.write_text(text, encoding="utf-8")
    out.value({**_value(made, now), "file": str(file) if file is not None else None, "credential": signed})
    out.line(f"{made.type} of {plain(made.subject, 200)}, until {made.until}")
    out.line(f"id     {made.id}")
    out.line(f"file   {file}" if file is not None else text)
    if made.url is None:
        out.line("it has no status: a did:key organisation serves no list, so it cannot be withdrawn", style="yellow")


@credentials.command("list")
@HOME_OPTION
@command
async def list_(out: Out, home: str | None) -> None:
    """What was issued, and what of it still holds."""
    opened, now = out.home(home), SystemClock().now()
    with _register(opened) as register:
        found = register.issued()
    for one in found:
        out.value(_value(one, now))
        state = _state(one, now)
        style = {"valid": "green", "revoked": "red"}.get(state, "dim")
        out.line(f"{state:8} until {one.until}  {one.type:22} {plain(one.subject, 80)}  {one.id}", style=style)
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
    with _register(opened) as register:
        one = register.revoke(credential, now)
    out.value(_value(one, now))
    out.line(f"withdrawn since {one.revoked}: {one.type} of {plain(one.subject, 200)}")
    minutes = LIST_TTL_SECONDS // 60
    out.line(f"listed at {one.url}; who looked it up before may rely on it for {minutes} minutes more")


@credentials.command("show")
@click.argument("credential")
@HOME_OPTION
@command
async def show(out: Out, credential: str, home: str | None) -> None:
    """CREDENTIAL (its id) as it was issued."""
    opened, now = out.home(home), SystemClock().now()
    with _register(opened) as register:
        one = register.find(credential)
    document = decode_json(one.raw, FOREIGN_LIMITS)
    out.value({**_value(one, now), "credential": document})
    since = f" since {one.revoked}" if one.revoked is not None else ""
    out.line(f"{_state(one, now)}{since}: {one.type} of {plain(one.subject, 200)}, until {one.until}")
    out.line(f"status  {f'{one.url}, place {one.place}' if one.url else 'none: it ends by its validity alone'}")
    out.line(one.raw.decode())
