"""Two histories of one log: what proves them to anybody, and how an operator goes on."""

from __future__ import annotations

import asyncio
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from msgspec.structs import replace

from integration.commands import Ended, undersigned
from integration.hires import REPORT, Hands, much_later, summarise, two_homes, until
from integration.test_cross_witness import a_second_later, put_back, rewritten
from issuing import issued
from undersigned import Peer
from undersigned.credentials import Accusation
from undersigned.did import DidDocument
from undersigned.encoding import canonicalize, digest_bytes, digest_from_hex
from undersigned.errors import UndersignedError
from undersigned.ledger import Fork, contradicted, decided, open_ledger
from undersigned.protocol import ENDED
from undersigned.runtime import Event, Home, Job, SystemClock, create_home, rotate_key
from undersigned.runtime.agent.hearing import Hearing
from undersigned.runtime.log.forks import check_fork
from undersigned.testing import Actor
from undersigned.transparency import checkpoint_text, signed_note
from unit.cli.running import run

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


async def ran(home: Home, *arguments: object) -> Ended:
    return await asyncio.to_thread(undersigned, *arguments, "--home", home.path, "--json", folder=home.path)


async def hire(homes: tuple[Home, Home]) -> str:
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        await until(lambda: not acme.conversations and not globex.conversations)
        return result.engagement


async def went_back(folder: Path) -> tuple[Home, Home]:
    """The hirer is put back from a copy, and hires again."""
    homes = await two_homes(folder)
    await hire(homes)
    shutil.copytree(homes[0].path, folder / "copy")
    await hire(homes)
    store = await open_ledger(homes[1].ledger_url, read_only=True)
    seen = await store.seen(homes[0].configuration.did)
    await store.close()
    assert seen is not None
    await a_second_later(seen)
    put_back(folder / "copy", homes[0])
    with pytest.raises(UndersignedError, match=r"after the provider refused a message of ours \(ledger_diverged\)"):
        await hire(homes)
    return homes


async def test_two_histories_are_proved_to_anybody(tmp_path: Path) -> None:
    """HIRE-LOG-08, HIRE-TRU-27: by one document, from the ledger, the engagement and an audit; a stranger checks it."""
    acme, globex = await went_back(tmp_path)
    accused = acme.configuration.did
    shown = await ran(globex, "ledger", "forks")
    (document,) = shown.values
    assert (shown.code, document["contradiction"]) == (4, accused)
    assert [one["type"] for one in document["messages"]] == ["Closing", "Offer"]
    assert len(document["notes"]) == 2

    file, other = tmp_path / "proof.json", tmp_path / "other.json"
    written = await ran(globex, "ledger", "forks", accused, "--out", file)
    assert (written.code, written.values[-1]["file"]) == (4, str(file))
    document.pop("local")  # what every command adds for programs, on a machine of its own
    assert json.loads(file.read_bytes()) == document
    engagement = document["messages"][1]["engagement"]
    assert (await ran(globex, "export", engagement, "--equivocation", "--out", other)).code == 0
    assert other.read_bytes() == file.read_bytes()
    told = (await ran(globex, "ledger", "show", engagement)).values
    assert [one["digest"] != "" for one in told if one["type"] == "fork"] == [True]

    stranger = create_home(tmp_path / "stranger", name="Stranger", local=True)
    async with Peer.open(acme):
        audited = await ran(globex, "ledger", "audit", accused)
        assert (audited.code, audited.values[-1]["contradictions"][0]) == (4, document)
        checked = await ran(stranger, "ledger", "forks", "--check", file)
        assert (checked.code, checked.values[-1]["proved"]) == (0, True)
        assert checked.values[-1]["digest"] == digest_bytes(file.read_bytes())
        kept = tmp_path / "did.json"
        kept.write_bytes((acme.path / "did.json").read_bytes())
    gone = await ran(stranger, "ledger", "forks", "--check", file)
    assert (gone.code, "--did-document" in gone.error["message"]) == (6, True)
    assert (await ran(stranger, "ledger", "forks", "--check", file, "--did-document", kept)).code == 0
    async with Peer.open(acme):
        file.write_bytes(file.read_bytes().replace(b'"size":', b'"size":1', 1))
        assert (await ran(stranger, "ledger", "forks", "--check", file)).code != 0


async def test_a_key_that_was_replaced_since_takes_nothing_back(tmp_path: Path) -> None:
    """HIRE-TRU-27, HIRE-KEY-07: of what was recorded. Whoever did not record it names the document that it kept."""
    acme, globex = await went_back(tmp_path)
    accused, evidence = acme.configuration.did, tmp_path / "proof.json"
    assert (await ran(globex, "ledger", "forks", accused, "--out", evidence)).code == 4
    kept, said = tmp_path / "did.json", tmp_path / "accusation.json"
    shutil.copyfile(acme.path / "did.json", kept)
    claim = Accusation(id=accused, kind="equivocation", evidence=digest_bytes(evidence.read_bytes()))
    said.write_bytes(canonicalize(issued(Actor("a body"), claim, SystemClock().now())))
    stranger = create_home(tmp_path / "stranger", name="Stranger", local=True)
    rotate_key(acme)
    given = ("trust", "import", said, "--evidence", evidence)
    async with Peer.open(Home(acme.path)):
        assert (await ran(globex, *given)).code == 0
        assert (await ran(stranger, *given)).error["code"] in ("key_not_authorized", "log_proof_invalid")
        assert (await ran(stranger, *given, "--did-document", kept)).code == 0
    assert (await ran(globex, *given)).code == 0, "nor does a document that is served no more"


async def test_who_asks_whom_that_deals_with_us_no_more_is_told_why(tmp_path: Path) -> None:
    """It refuses the first message, so there is nothing to withdraw, and nothing to wait for."""
    acme, globex = await went_back(tmp_path)
    async with Peer.open(globex) as provider:
        checked = await ran(acme, "check", provider.own.id, "--wait", "86400")
    assert (checked.code, checked.error["code"]) == (4, "ledger_diverged")
    assert "refused the inquiry: ledger_diverged" in checked.error["message"]


async def test_an_operator_decides_and_it_is_kept(tmp_path: Path) -> None:
    """HIRE-LOG-09: nothing is agreed before; with the decision stand its reason and what it was about."""
    homes = await went_back(tmp_path)
    accused = homes[0].configuration.did
    assert (await ran(homes[1], "ledger", "decide", accused, "--reason", "they asked")).code == 2
    assert (await ran(homes[1], "ledger", "decide", accused, "--keep", "--reason", " ")).code == 2
    with pytest.raises(UndersignedError, match="ledger_diverged"):
        await hire(homes)
    async with Peer.open(homes[1]):
        beside = await ran(homes[1], "ledger", "decide", accused, "--anew", "--reason", "their disk was lost")
        assert (beside.code, beside.error["code"]) == (8, "store_unavailable")
    decided = await ran(homes[1], "ledger", "decide", accused, "--anew", "--reason", "their disk was lost")
    assert (decided.code, decided.values[-1]["anew"]) == (0, True)
    await hire(homes)
    after = await ran(homes[1], "ledger", "forks")
    assert (after.code, [one["reason"] for one in after.values]) == (0, ["their disk was lost"])
    again = await ran(homes[1], "ledger", "decide", accused, "--keep", "--reason", "once more")
    assert (again.code, again.error["code"]) == (2, "not_found")
    assert (await ran(homes[1], "ledger", "fsck")).code == 0


async def test_an_honest_hirer_gets_what_it_accepted(tmp_path: Path) -> None:
    """HIRE-LOG-09: its provider's books are not taken; the command ends, with the work, why, and the code for that."""
    homes = await two_homes(tmp_path)
    await hire(homes)
    await hire(homes)
    rewritten(homes[1])
    (tmp_path / "report").write_bytes(REPORT)
    async with Peer.open(homes[1]):
        hired = await ran(
            homes[0],
            *("hire", homes[1].configuration.did, "--task", "summary", "--price", "5 EUR"),
            *("--input", f"report={tmp_path / 'report'}", "--out", tmp_path / "out"),
        )
    assert (hired.code, hired.error["code"]) == (4, "ledger_diverged")
    assert (tmp_path / "out" / "summary.txt").read_bytes() == REPORT.split(b"\n", 1)[0]
    (result,) = [one for one in hired.values if one.get("kind") == "result"]
    assert list(result["written"]) == ["summary.txt"]
    pack = tmp_path / "pack.zip"
    assert (await ran(homes[0], "export", result["engagement"], "--out", pack)).code == 0
    verified = await asyncio.to_thread(undersigned, "verify", pack, "--json", folder=tmp_path)
    assert verified.code == 0
    (named,) = verified.values[-1]["notJudged"]
    with ZipFile(pack) as archive:
        told = json.loads(archive.read(named))
    assert (named.partition("/")[0], told["contradiction"]) == ("forks", homes[1].configuration.did)
    assert "messages" not in told, "one is of another engagement"
    (document,) = (await ran(homes[0], "ledger", "forks")).values
    assert document["path"], "it has more leaves than the one before"
    async with Peer.open(homes[1]) as globex:
        raw = canonicalize(document)
        assert (await check(raw, globex.own))[0] == globex.own.id
        for changed in (
            document | {"path": document["path"][:-1]},
            document | {"path": [*document["path"][:-1], digest_from_hex("00" * 32)]},
            {name: value for name, value in document.items() if name != "path"},
        ):
            with pytest.raises(UndersignedError) as refused:
                await check(canonicalize(changed), globex.own)
            assert refused.value.code in ("evidence_invalid", "log_proof_invalid")


async def check(raw: bytes, owner: DidDocument) -> tuple[str, str]:
    async def documents_of(did: str) -> list[DidDocument]:
        assert did == owner.id
        return [owner]

    return await check_fork(raw, documents_of, now=SystemClock().now())


async def test_what_a_witness_shows_is_checked_alike(tmp_path: Path) -> None:
    """HIRE-LOG-20: two notes of one size. Of another size, with one root, or of another key they prove nothing."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        own, key, stranger = acme.own.id, acme.log_key, globex.log_key

        async def shown(*heads: tuple[int, bytes], by: Any = key) -> bytes:
            texts = [checkpoint_text(own, size, root) for size, root in heads]
            notes: list[Any] = [signed_note(text, own, by.public_key, await by.sign(text)) for text in texts]
            return canonicalize({"contradiction": own, "size": heads[0][0], "notes": notes})

        one, other = bytes(32), bytes([1]) * 32
        assert await check(await shown((5, one), (5, other)), acme.own) == (own, "two roots of 5 leaves")
        for false in (
            await shown((5, one), (5, one)),
            await shown((5, one), (4, other)),
            await shown((4, one), (5, other)),
            await shown((5, one), (5, other), by=stranger),
        ):
            with pytest.raises(UndersignedError) as refused:
                await check(false, acme.own)
            assert refused.value.code in ("evidence_invalid", "log_proof_invalid")


async def test_a_hire_whose_books_are_refused_ends_with_the_work_and_with_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LOG-09: also where the provider's own closing came first, by which the contract is closed on this side: who
    goes by the exit code was told that all is well.
    """
    acme, home = await two_homes(tmp_path)
    await hire((acme, home))
    (tmp_path / "report.txt").write_bytes(REPORT)
    running: list[Peer] = []
    early: list[Event] = []
    heard = Hearing.hear

    async def goes_back(job: Job) -> None:
        await of_two_histories(running[0], acme.configuration.did)
        await summarise(job)

    def closing_first(one: Hearing, event: Event) -> None:
        if event.kind == "problem" and event.state not in ENDED:
            early.append(event)
            return
        heard(one, event)
        while event.state in ENDED and early:
            heard(one, early.pop())

    monkeypatch.setattr(Hearing, "hear", closing_first)
    monkeypatch.setattr("undersigned.runtime.agent.hearing.LAST_RECEIPT_SECONDS", 60.0)
    async with Peer.open(home, handlers={"summary": goes_back}) as globex:
        running.append(globex)
        options = ("--task", "summary", "--input", f"report={tmp_path / 'report.txt'}", "--price", "5 EUR", "--json")
        ended = await asyncio.to_thread(run, "hire", globex.own.id, *options, "--home", acme.path)
    assert [one.get("kind") for one in ended.values[-2:]] == ["result", None]
    assert (ended.code, ended.error["code"]) == (4, "ledger_diverged")


async def of_two_histories(peer: Peer, did: str) -> None:
    """What this peer saw of that log contradicts itself."""
    seen = await peer.witness.seen(did)
    assert seen is not None
    assert seen.agreed is not None
    fork = Fork(held=seen.agreed, came=replace(seen.agreed, root=bytes(32)))
    await peer.witness.update(did, partial(contradicted, fork=fork))


async def test_a_hirer_whose_books_are_refused_is_told_and_goes_on(tmp_path: Path) -> None:
    """HIRE-LOG-09: it was put back while the work went on, say. The hire ends with the work and why; its closing is not
    said again before the next start, when the other side's operator may have decided.
    """
    homes = await two_homes(tmp_path)
    await hire(homes)
    clock = Hands()
    async with Peer.open(homes[0], clock=clock) as acme, Peer.open(homes[1], clock=clock) as globex:
        under_way = acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        heard = globex.watchers.listen(None)
        async for event in under_way:
            if event.type == "Start":
                await of_two_histories(globex, acme.own.id)
        result = await under_way
        assert list(result.artifacts) == ["summary.txt"]
        assert result.unclosed is not None
        assert result.unclosed.code == "ledger_diverged"
        await much_later(clock, acme, globex)
        events = [heard.get_nowait() for _ in range(heard.qsize())]
        assert [one.type for one in events if one.kind == "refused"] == ["Closing"], "once"
    store = await open_ledger(homes[1].ledger_url)
    now = SystemClock().now()
    await store.update_seen(homes[0].configuration.did, partial(decided, at=now, anew=False, reason="a mistake"))
    await store.close()
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await until(lambda: not acme.conversations and not globex.conversations)
    for home in homes:
        store = await open_ledger(home.ledger_url, read_only=True)
        assert {one.state for one in await store.summaries()} == {"closed"}
        await store.close()
