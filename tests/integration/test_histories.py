"""Two companies known by did:webvh hire each other, rotate keys, and one of them moves while a contract is open."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from integration.hires import REPORT, Patient, assert_one_contract_or_none, free_ports, until
from undersigned.cli.options import open_gatherer
from undersigned.credentials import Claim, Endorsement, Membership, claim_credential, credential_config
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import FOREIGN_LIMITS, canonicalize, decode_json, shift
from undersigned.errors import UndersignedError
from undersigned.proof import attach, prepare
from undersigned.runtime import Home, OfferPart, SystemClock, create_home, issue_membership, rotate_key
from undersigned.runtime.home.own_log import continue_log
from undersigned.runtime.negotiation import meeting
from unit.cli.running import run

pytestmark = pytest.mark.timeout(90)


async def homes(folder: Path) -> tuple[Home, Home]:
    acme_port, globex_port = free_ports(2)

    def org(port: int) -> str:
        return f"did:web:{quote(f'localhost:{port}', safe='')}:org"

    acme = create_home(
        folder / "acme",
        name="Acme",
        local=True,
        port=acme_port,
        anchors=(org(globex_port),),
        max_price="10 EUR",
        history=True,
    )
    globex = create_home(
        folder / "globex",
        name="Globex",
        local=True,
        port=globex_port,
        anchors=(org(acme_port),),
        offers=(
            OfferPart(
                task="summary",
                handler="integration.hires:summarise",
                price="4.00 EUR",
                delivers="summary.txt",
                capacity=10,
            ),
        ),
        history=True,
    )
    await issue_membership(acme)
    await issue_membership(globex)
    return acme, globex


async def test_a_hire_between_two_histories_and_another_after_both_rotated(tmp_path: Path) -> None:
    acme, globex = await homes(tmp_path)
    for rotation in range(2):
        async with Peer.open(globex) as provider, Peer.open(acme) as hirer:
            assert hirer.own.id.startswith("did:webvh:")
            result = await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
            assert result.contract is not None
            history = await hirer.gatherer.history(provider.own.id)
            assert len(history.versions) == rotation + 1
        for home in (acme, globex):
            rotate_key(home)
    assert len(await assert_one_contract_or_none(acme, globex)) == 2


async def test_a_peer_whose_key_is_rotated_while_it_runs_works_on_with_the_one_it_has(tmp_path: Path) -> None:
    """As one with a did:web does: what it publishes and what it signs by change together, at its next start."""
    acme, globex = await homes(tmp_path)
    for versions in (1, 2):
        async with Peer.open(Home(globex.path)) as provider, Peer.open(acme) as hirer:
            hirer.reach_seconds = 10.0
            if versions == 1:
                rotate_key(Home(globex.path))
            hired = await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
            assert hired.contract is not None
            assert len((await hirer.gatherer.history(provider.own.id)).versions) == versions


async def test_a_history_that_went_back_is_refused_after_a_restart_too(tmp_path: Path) -> None:
    """HIRE-WVH-10: whoever has the place of the log, and the key that was taken out of it, is not who was hired."""
    acme, globex = await homes(tmp_path)
    before = tmp_path / "before"
    shutil.copytree(globex.path, before)
    rotate_key(globex)

    async def hires() -> HireResult:
        async with Peer.open(Home(globex.path)) as provider, Peer.open(Home(acme.path)) as hirer:
            hirer.reach_seconds = 2.0
            return await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")

    assert (await hires()).contract is not None
    assert list(json.loads(acme.histories.read_text())) == [globex.configuration.did]
    after = tmp_path / "after"
    globex.path.rename(after)
    before.rename(globex.path)
    with pytest.raises(UndersignedError, match="had when it was seen before") as caught:
        await hires()
    assert caught.value.code == "did_document_invalid"
    globex.path.rename(before)
    after.rename(globex.path)
    rotate_key(globex)
    assert (await hires()).contract is not None, "and one that went on is the same"


def shows_also(home: Home, claim: Claim, issuer: Home) -> None:
    """`home` holds a credential besides, by the agent of another."""
    did, now = issuer.configuration.did, SystemClock().now()
    made = claim_credential(claim, id=f"urn:uuid:{uuid4()}", issuer=did, valid_from=now, valid_until=shift(now, 600))
    (method,) = issuer.document().methods("assertionMethod")
    config = credential_config("eddsa-jcs-2022", method, now)
    proved = attach(made, config, issuer.key().sign_now(prepare(made, config, "Ed25519")))
    (home.path / "credentials" / "another.json").write_bytes(canonicalize(proved))


async def test_of_whom_nothing_counts_no_history_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-WVH-10: who is let in shows what it likes besides, and would crowd out those on whom decisions rest."""
    monkeypatch.setattr(meeting, "select", lambda _needs, held, _now: held)
    acme, globex = await homes(tmp_path)
    stranger = create_home(tmp_path / "initech", name="Initech", local=True, port=free_ports(1)[0], history=True)
    did = stranger.configuration.did
    shows_also(globex, Membership(id=globex.configuration.did, member_of=did), stranger)
    async with Peer.open(stranger), Peer.open(Home(globex.path)) as provider, Peer.open(acme) as hirer:
        await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
        (name,) = (one.engagement for one in await hirer.ledger.summaries())
        assert any(did.encode() in row.raw for row in await hirer.ledger.rows(name) if row.type == "Presentation")
    assert list(json.loads(acme.histories.read_text())) == [globex.configuration.did]


async def test_the_history_of_whom_a_reputation_rests_on_is_remembered(tmp_path: Path) -> None:
    """HIRE-WVH-10: no rule demands an endorsement, and whoever has a key that its issuer had once can write one."""
    acme, globex = await homes(tmp_path)
    friend = create_home(tmp_path / "initech", name="Initech", local=True, port=free_ports(1)[0], history=True)
    did = friend.configuration.did
    shows_also(globex, Endorsement(id=globex.configuration.did, capability="summary"), friend)
    settings = acme.path / "undersigned.toml"
    text = settings.read_text().replace("anchors = [", f'anchors = ["{did}", ')
    settings.write_text(text + '\n[[policy.rule]]\nname = "known"\nmin_reputation = "0.5"\n')
    async with Peer.open(friend), Peer.open(Home(globex.path)) as provider, Peer.open(Home(acme.path)) as hirer:
        hired = await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
        assert hired.contract is not None
    assert set(json.loads(acme.histories.read_text())) == {globex.configuration.did, did}


async def test_a_command_beside_the_peer_knows_how_far_a_history_went(tmp_path: Path) -> None:
    """HIRE-WVH-10: what it keeps for the peer rests on no older history either, and it writes nothing that the peer may
    write at this moment.
    """
    acme, globex = await homes(tmp_path)
    before = tmp_path / "before"
    shutil.copytree(globex.path, before)
    rotate_key(globex)
    async with Peer.open(Home(globex.path)) as provider, Peer.open(Home(acme.path)) as hirer:
        await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")
    known = acme.histories.read_bytes()

    async def fetched() -> int:
        async with open_gatherer(Home(acme.path)) as gatherer, Peer.open(Home(globex.path)):
            return len((await gatherer.history(globex.configuration.did)).versions)

    rotate_key(globex)
    assert await fetched() == 3
    assert acme.histories.read_bytes() == known
    globex.path.rename(tmp_path / "after")
    before.rename(globex.path)
    with pytest.raises(UndersignedError, match="had when it was seen before") as caught:
        await fetched()
    assert caught.value.code == "did_document_invalid"
    async with Peer.open(Home(globex.path)):
        for command in (("ledger", "audit"), ("discover",)):
            line = (*command, globex.configuration.did, "--home", acme.path, "--json")
            assert (await asyncio.to_thread(run, *line)).error["code"] == "did_document_invalid"


def move(globex: Home, port: int) -> str:
    """Globex goes to another port: its log says so, and what it listens on. Returns its latest DID."""
    former = globex.configuration.did
    latest = former.rpartition(":")[0] + ":" + quote(f"localhost:{port}", safe="")
    text = canonicalize(globex.document().json).decode()
    old_port = str(globex.configuration.listen.port)
    document = decode_json(text.replace(former, latest).replace(old_port, str(port)).encode(), FOREIGN_LIMITS)
    assert isinstance(document, dict)
    passphrase = (globex.path / "keys" / "passphrase").read_text().strip()
    continue_log(globex.path, {**document, "alsoKnownAs": [former]}, passphrase=passphrase, now=SystemClock().now())
    settings = globex.path / "undersigned.toml"
    settings.write_text(settings.read_text().replace(f"port = {old_port}", f"port = {port}"))
    return latest


async def test_a_provider_moves_during_a_contract_and_delivers_from_its_new_place(tmp_path: Path) -> None:
    """HIRE-WVH-12: the contract stays in force, under the name that was signed."""
    acme, globex = await homes(tmp_path)
    former, work = globex.configuration.did, Patient()
    async with Peer.open(acme) as hirer:
        async with Peer.open(globex, handlers={"summary": work}) as provider:

            async def hiring() -> HireResult:
                return await hirer.hire(former, task="summary", inputs={"report": REPORT}, price="5.00 EUR")

            hire = asyncio.create_task(hiring())
            await until(lambda: any(one.engagement.state == "working" for one in provider.conversations.values()))
        # The former place is gone.
        (port,) = free_ports(1)
        latest = move(globex, port)
        moved = Home(globex.path)
        assert moved.document().id == former
        work.may.set()
        async with Peer.open(moved, handlers={"summary": work}) as provider:
            hirer.gatherer._moved = {former: latest}
            hirer.gatherer._documents[former] = hirer.gatherer._documents[former]._replace(since=-1e9)
            result = await hire
            assert result.contract is not None
            assert (await hirer.gatherer.document(latest)).id == latest
    contracts = await assert_one_contract_or_none(acme, globex)
    assert contracts == {result.contract}


async def test_who_moved_rotates_its_key(tmp_path: Path) -> None:
    """HIRE-WVH-12: the log goes on under the latest name, and who knows the former one sees the new key under that."""
    acme, globex = await homes(tmp_path)
    former, (port,) = globex.configuration.did, free_ports(1)
    latest = move(globex, port)
    moved = Home(globex.path)
    method = rotate_key(moved)
    assert list(moved.document().methods("authentication")) == [method] == [f"{former}#agent-2"]
    settings = acme.path / "undersigned.toml"
    settings.write_text(f'moved = {{ "{former}" = "{latest}" }}\n{settings.read_text()}')
    async with Peer.open(Home(globex.path)), Peer.open(Home(acme.path)) as hirer:
        for did in (former, latest):
            document = await hirer.gatherer.document(did)
            assert list(document.methods("authentication")) == [f"{did}#agent-2"]
