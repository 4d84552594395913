"""When one credential is another one issued anew."""

from __future__ import annotations

from typing import Any

import pytest

from undersigned.credentials import (
    Credential,
    Endorsement,
    claim_credential,
    credential_jwt,
    enveloped_credential,
    read_credential,
    renews,
)
from undersigned.testing import Actor

GUILD, AGENT = Actor("the guild"), Actor("an agent")


def made(number: int = 1, **changes: Any) -> Credential:
    document = claim_credential(
        Endorsement(id=AGENT.did, capability="sbom"),
        id=f"urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b{number:02}",
        issuer=GUILD.did,
        valid_from="2026-11-02T00:00:00Z",
        valid_until="2026-12-02T00:00:00Z",
    )
    return read_credential({**document, **changes})


EARLIER = made()


@pytest.mark.parametrize(
    "later",
    [
        made(2),
        made(2, validFrom="2026-11-03T00:00:00Z"),
        made(2, validFrom="2026-11-02T01:00:00+01:00"),
        made(2, validUntil="2026-11-20T00:00:00Z"),
    ],
    ids=["at-once", "later", "zone", "shorter"],
)
def test_issued_anew(later: Credential) -> None:
    """HIRE-VC-08."""
    assert renews(later, EARLIER)


def test_what_does_not_say_when_it_began_came_first() -> None:
    document = {name: value for name, value in made(2).json.items() if name != "validFrom"}
    assert renews(EARLIER, read_credential(document))
    assert not renews(read_credential(document), EARLIER)


@pytest.mark.parametrize(
    "other",
    [
        EARLIER,
        made(2, validFrom="2026-11-01T00:00:00Z"),
        made(2, issuer=AGENT.did),
        made(2, type=["VerifiableCredential", "OtherCredential"]),
        made(2, credentialSubject={"id": AGENT.did, "capability": "audit"}),
        made(2, credentialSubject={"id": GUILD.did, "capability": "sbom"}),
        made(2, credentialSubject={"id": AGENT.did, "capability": "sbom", "weight": "0.5"}),
    ],
    ids=["itself", "before", "issuer", "type", "claim", "subject", "weight"],
)
def test_something_else(other: Credential) -> None:
    """HIRE-VC-08."""
    assert not renews(other, EARLIER)


def test_a_signed_text_that_is_read_again_is_itself_and_not_issued_anew() -> None:
    """HIRE-VC-08: it is read from a file by its holder, and from each presentation by others."""
    draft = credential_jwt(EARLIER.json, f"{GUILD.did}#key", GUILD.public_key.kind, "2026-11-02T00:00:00Z")
    text = draft.signed(bytes(64))
    one, again = (read_credential(enveloped_credential(text)) for _ in range(2))
    assert one is not again
    assert one == again
    assert not one != again  # noqa: SIM202  (the operator itself)
    assert not renews(again, one)
