"""A hire that stands on the word of a trust registry: Globex knows no organisation of Acme's, and the guild does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integration.hires import REPORT, Hands, two_homes
from parties import Party
from undersigned.daemon import Peer, RegistryServer
from undersigned.errors import PolicyError
from undersigned.runtime import Home

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

GUILD = Party("guild").did


def statement(entity: str) -> str:
    names = {"authority": GUILD, "entity": entity, "action": "issue", "resource": "MembershipCredential"}
    return "[[authorization]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in names.items())


def believing_the_guild(home: Home, url: str) -> Home:
    """The state folder, with the guild as its one anchor, and a registry that speaks for it."""
    file = home.path / "undersigned.toml"
    lines = [
        f'anchors = ["{GUILD}"]' if line.startswith("anchors = ") else line for line in file.read_text().splitlines()
    ]
    registry = ["", "[[registry]]", f'url = "{url}"', f'authorities = ["{GUILD}"]', ""]
    file.write_text("\n".join(lines + registry))
    return Home(home.path)


async def hire(acme: Peer, globex: Peer) -> str | None:
    try:
        result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
    except PolicyError:
        return None
    return result.contract


async def test_whom_a_registry_entitles_is_hired(tmp_path: Path) -> None:
    """HIRE-REG-03, HIRE-REG-04. As long as the registry says so: once it is away, its answers end with their time."""
    clock, file = Hands(), tmp_path / "registry.toml"
    file.write_text(statement("did:web:somebody.example"))
    acme_home, globex_home = await two_homes(tmp_path)
    server = RegistryServer(file, now=clock.now)
    await server.start()
    try:
        globex_home = believing_the_guild(globex_home, server.url)
        async with Peer.open(globex_home, clock=clock) as globex, Peer.open(acme_home, clock=clock) as acme:
            assert acme.organisation is not None
            assert await hire(acme, globex) is None, "the guild has not authorised Acme's organisation"
            file.write_text(statement(acme.organisation.id))
            clock.ahead += 301
            assert await hire(acme, globex) is not None
            rows = [
                row.raw for one in await globex.ledger.summaries() for row in await globex.ledger.rows(one.engagement)
            ]
            assert any(b'"authority"' in raw and GUILD.encode() in raw for raw in rows), "the decision names the edge"
            await server.stop()
            assert await hire(acme, globex) is not None, "what it said counts for its time"
            clock.ahead += 301
            assert await hire(acme, globex) is None, "there is no answer, and that is no"
    finally:
        await server.stop()
