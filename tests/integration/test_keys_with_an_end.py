"""Keys that a DID document gives an end: until then they are keys like any other, in every place."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from integration.hires import two_homes
from undersigned.daemon import Peer
from undersigned.encoding import shift
from undersigned.errors import ConfigurationError
from undersigned.evidence import verify_pack
from undersigned.runtime import Home, SystemClock, export_pack, load_approvers
from unit.cli.running import run

HOUR = 3600


def give_end(home: Home, seconds: int) -> None:
    """Says in both documents of a folder that their keys end then."""
    for name in ("did.json", "organisation.json"):
        file = home.path / name
        document: Any = json.loads(file.read_bytes())
        for method in document["verificationMethod"]:
            method["expires"] = shift(SystemClock().now(), seconds)
        file.write_text(json.dumps(document))


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
async def test_both_sides_hire_by_keys_that_have_an_end(tmp_path: Path, suite: str) -> None:
    """HIRE-KEY-03: offers, acceptances, requests for artifacts, statements and the log, each within its time."""
    homes = await two_homes(tmp_path)
    for home in homes:
        give_end(home, HOUR)
    acme_home, globex_home = homes
    async with Peer.open(globex_home) as globex, Peer.open(acme_home, suite=suite) as acme:
        result = await acme.hire(
            globex.identity.did, task="summary", inputs={"report": b"Report: fine."}, price="5.00 EUR"
        )
        assert result["summary.txt"].startswith(b"Report")
        for peer in (acme, globex):
            pack = await export_pack(peer.ledger, peer.artifacts, peer.identity.did, result.engagement)
            report = verify_pack(pack, now=peer.clock.now(), known=(acme.own, globex.own))
            assert report.ok, report.steps


async def test_nobody_starts_with_a_key_that_is_over(tmp_path: Path) -> None:
    """Its messages would be refused by everybody."""
    home, _ = await two_homes(tmp_path)
    give_end(home, -HOUR)
    with pytest.raises(ConfigurationError) as refused:
        async with Peer.open(home):
            pass
    assert refused.value.code == "key_unavailable"
    assert "past its end" in refused.value.message
    told = (await asyncio.to_thread(run, "keys", "list", "--home", home.path, "--json")).values
    assert [(one["name"], one["over"]) for one in told] == [("agent", True), ("organisation", True)]


async def test_a_key_that_is_over_and_in_the_folder_is_no_approvers(tmp_path: Path) -> None:
    """HIRE-APR-03: the folder has it all the same."""
    home, _ = await two_homes(tmp_path)
    give_end(home, -HOUR)
    own = home.organisation_document()
    assert own is not None
    key = json.loads(own.raw)["verificationMethod"][0]["publicKeyMultibase"]
    file = home.path / "undersigned.toml"
    file.write_text(f'{file.read_text()}\n[approvers]\ncarol = "{key}"\n')
    with pytest.raises(ConfigurationError) as refused:
        load_approvers(Home(home.path))
    assert "carol" in refused.value.message
