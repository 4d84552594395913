"""Two peers whose credentials are JWTs hire each other; and one that holds more than it is asked for shows no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integration.hires import REPORT, assert_one_contract_or_none, two_homes
from undersigned.credentials import Endorsement, claim_credential, credential_jwt, enveloped_credential, membership
from undersigned.daemon import Peer
from undersigned.encoding import JsonObject, canonicalize, shift
from undersigned.errors import UndersignedError
from undersigned.ledger import open_ledger
from undersigned.runtime import Home, SystemClock

ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b0{}"


async def as_jwt(home: Home, *, seconds: int = 86_400) -> None:
    """The organisation's word on its agent as a JWT, in place of the one with a proof; and one that nobody asks for."""
    office, key, now = home.organisation_document(), home.key("organisation"), SystemClock().now()
    assert office is not None
    times = {"valid_from": shift(now, -60), "valid_until": shift(now, seconds)}
    agent = home.configuration.did
    documents: dict[str, JsonObject] = {
        "membership": membership(id=ID.format(1), organisation=office.id, agent=agent, **times),
        "endorsement": claim_credential(
            Endorsement(id=agent, capability="summary"), id=ID.format(2), issuer=office.id, **times
        ),
    }
    for name, document in documents.items():
        draft = credential_jwt(document, office.methods("assertionMethod")[0], key.public_key.kind, now)
        signed = enveloped_credential(draft.signed(await key.sign(draft.to_sign)))
        (home.path / "credentials" / f"{name}.json").write_bytes(canonicalize(signed))


async def test_a_hire_with_jwts_on_both_sides(tmp_path: Path) -> None:
    """HIRE-VC-05: of what each holds, the other sees the one credential that it asked for."""
    acme, globex = await two_homes(tmp_path)
    for home in (acme, globex):
        await as_jwt(home)
    async with Peer.open(globex), Peer.open(acme) as hirer:
        result = await hirer.hire(globex.configuration.did, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
        assert result.contract is not None
    assert await assert_one_contract_or_none(acme, globex) == {result.contract}
    ledger = await open_ledger(acme.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        said = [json.loads(row.raw) for row in await ledger.rows(summary.engagement) if row.type == "Presentation"]
    finally:
        await ledger.close()
    assert len(said) == 2
    for message in said:
        (shown,) = message["presentation"]["verifiableCredential"]
        assert shown["type"] == "EnvelopedVerifiableCredential"


async def test_a_credential_that_is_past_is_not_shown(tmp_path: Path) -> None:
    acme, globex = await two_homes(tmp_path)
    await as_jwt(acme, seconds=-30)
    async with Peer.open(globex), Peer.open(acme) as hirer:
        with pytest.raises(UndersignedError) as caught:
            await hirer.hire(globex.configuration.did, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
    assert caught.value.code == "policy_denied"
