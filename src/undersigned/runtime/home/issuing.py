"""What the organisation of a state folder says under signature.

Source: protocol-spec/11-credentials.md
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from undersigned.credentials import Claim, Membership, claim_credential
from undersigned.encoding import JsonObject, canonicalize, from_struct, shift
from undersigned.errors import ConfigurationError
from undersigned.runtime.clock import Clock, SystemClock
from undersigned.runtime.files import write_whole
from undersigned.runtime.names import fresh_urn

from .home import Home
from .parsing import check_plug

__all__ = ["issue_claims", "issue_membership"]


def issue_claims(
    home: Home, claims: Iterable[Claim], *, days: int = 365, clock: Clock | None = None
) -> tuple[JsonObject, ...]:
    """Has the organisation of a state folder say these, under signature; a credential of each, for its subject to keep.

    Raises:
        ConfigurationError: `bad_configuration`, the folder has no organisation.
        CredentialError, FormatError: As `claim_credential`: not for this organisation to say, or of another shape; then
            none is issued.
    """
    now, said = (clock or SystemClock()).now(), tuple(claims)
    until = shift(now, days * 86_400)
    issued: list[JsonObject] = []
    with closing(home.register()) as register:
        for claim in said:
            # What is wrong is found before anything is written down.
            claim_credential(claim, id=fresh_urn(), issuer=register.issuer, valid_from=now, valid_until=until)
        for claim in said:
            subject = from_struct(claim)
            issued.append(register.issue(claim.type, subject.pop("id"), subject, now=now, until=until))
    return tuple(issued)


async def issue_membership(home: Home | Path | str, *, days: int = 365, clock: Clock | None = None) -> Path:
    """Has the organisation of a state folder say, under signature, that it operates the agent; returns the file.

    Raises:
        ConfigurationError: `bad_configuration`, the folder has no organisation, or an argument is not usable; or as
            `Home`.
        OSError: It cannot be written.
    """
    check_plug("clock", clock, "now")
    if type(days) is not int or days < 1:
        raise ConfigurationError("bad_configuration", f"days: expected a whole number, 1 or more, got {days!r:.60}")
    home = home if isinstance(home, Home) else Home(home)
    part = home.configuration.organisation
    claim = Membership(id=home.configuration.did, member_of=part.did if part else "")
    (signed,) = issue_claims(home, [claim], days=days, clock=clock)
    path = home.path / "credentials" / "membership.json"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, canonicalize(signed))
    return path
