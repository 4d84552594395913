"""Each side watches the other's log: what continues is cosigned, what was rewritten is refused."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from integration.hires import REPORT, Hands, much_later, two_homes, until
from integration.test_log import went_back
from undersigned import Peer
from undersigned.encoding import base64url_decode, base64url_encode, digest_hex, parse_instant, shift
from undersigned.errors import LogProofError, PolicyError, UndersignedError
from undersigned.ledger import Seen, decided, open_ledger
from undersigned.messages import Closing, LogHead, recorded_message
from undersigned.runtime import HireResult, Home, SystemClock
from undersigned.runtime.agent import witnessing
from undersigned.runtime.engagement.saying import Speaker
from undersigned.runtime.engagement.turn import Say
from undersigned.runtime.log.forks import fork_document
from undersigned.runtime.log.logbook import stated_heads
from undersigned.transparency import (
    Checkpoint,
    Frontier,
    checkpoint_text,
    cosigned_note,
    cosigned_text,
    leaf_hash,
    read_checkpoint,
    read_note,
    signed_note,
    verify_cosignature,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


async def hire(acme: Peer, globex: Peer) -> str:
    result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
    await until(lambda: not acme.conversations and not globex.conversations)
    return result.engagement


async def closings(peer: Peer, engagement: str) -> dict[str, Closing]:
    found = [recorded_message(row.raw).message for row in await peer.ledger.rows(engagement) if row.type == "Closing"]
    return {one.role: one for one in found if isinstance(one, Closing)}


async def seen(peer: Peer, other: Peer) -> Seen:
    found = await peer.ledger.seen(other.own.id)
    assert found is not None
    return found


def text_of(note: str) -> str:
    return base64url_decode(note[1:]).decode()


async def moves(peer: Peer, engagement: str) -> dict[tuple[str, str], Any]:
    rows = await peer.ledger.rows(engagement)
    said = [recorded_message(row.raw).message for row in rows if row.kind != "noted"]
    return {(one.type, one.role): one for one in said}


async def test_each_cosigns_the_log_of_the_other_at_sealing_and_at_closing(tmp_path: Path) -> None:
    """HIRE-LOG-09, HIRE-LOG-22: the head of an `Offer` in the `Acceptance`, that of the `Acceptance` in the `Seal`, the
    first `Closing` in the second; each is shown to continue the one before, and nobody had to look at tiles for that.
    """
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        for _ in range(2):
            said = await moves(acme, await hire(acme, globex))
            by = [said["Closing", role] for role in OTHER if said["Closing", role].cosignatures]
            assert len(by) == 1, "nothing more was seen of the other log when the first closed"
            last = by[0]
            text = read_note(text_of(said["Closing", OTHER[last.role]].checkpoint)).text
            for move, stated in (
                (said["Acceptance", "provider"], head_of(acme, said["Offer", "hirer"].head)),
                (said["Seal", "hirer"], head_of(globex, said["Acceptance", "provider"].head)),
                (last, read_checkpoint(text)),
            ):
                (note,) = move.cosignatures
                signer = acme if move.role == "hirer" else globex
                head, seconds = verify_cosignature(text_of(note), signer.own.id, signer.log_key.public_key)
                assert head == stated
                assert abs(seconds - time.time()) < 3600


def head_of(peer: Peer, head: LogHead) -> Checkpoint:
    return Checkpoint(peer.own.id, head.size, bytes.fromhex(digest_hex(head.root)))


async def test_after_a_restart_the_log_itself_is_looked_at(tmp_path: Path) -> None:
    """HIRE-LOG-22: who no longer knows what it told the other proves nothing by itself; its tiles do."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        for one, other in ((acme, globex), (globex, acme)):
            one.witness._told.clear()
            one.witness._looked[other.own.id] = asyncio.get_running_loop().time()  # not before we say so
        said = await moves(acme, await hire(acme, globex))
        assert said["Offer", "hirer"].head.consistency is None
        assert said["Acceptance", "provider"].cosignatures is None
        for one, other in ((acme, globex), (globex, acme)):
            before = await seen(one, other)
            assert not before.one_history, "it has grown, and nobody has looked yet"
            one.witness._looked.clear()
            one.witness.follow(other.own.id, "")
            await until_agreed(one, other)
        assert (await moves(acme, await hire(acme, globex)))["Seal", "hirer"].cosignatures


OTHER = {"hirer": "provider", "provider": "hirer"}


async def until_agreed(one: Peer, other: Peer) -> None:
    for _ in range(400):
        if (await seen(one, other)).one_history:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it was not looked at")


async def a_second_later(seen: Seen) -> None:
    """Of what was signed in one second nobody can tell which came first."""
    last = max(parse_instant(one.at) for one in seen.held)
    await asyncio.sleep(max(0.0, last.timestamp() + 1 - time.time()))


async def test_a_log_that_went_back_is_noticed_by_who_met_it_before(tmp_path: Path) -> None:
    """HIRE-LOG-05, HIRE-LOG-22, SC-90: a database put back from before, head file and all, is refused with the first
    thing that it says of its log, before anything is sealed, and the message that shows it is kept.
    """
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        await hire(acme, globex)
        await a_second_later(await seen(acme, globex))
    went_back(homes[1])
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        with pytest.raises(PolicyError, match="its log went back") as refused:
            await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        assert refused.value.code == "ledger_diverged"
        (name,) = [one.engagement for one in await acme.ledger.summaries() if one.contract is None]
        kept = [blob for blob in await acme.ledger.evidence(name) if blob.kind == "fork"]
        assert [blob.name for blob in kept] == ["Acceptance"]


@pytest.mark.parametrize("role", ["hirer", "provider"])
async def test_who_signed_two_histories_is_hired_by_nobody_and_hires_nobody(tmp_path: Path, role: str) -> None:
    """HIRE-LOG-09: whatever it shows afterwards, after a restart of ours too, the history that was first seen as well,
    until our operator decides.
    """
    homes = await two_homes(tmp_path)
    own, other = (0, 1) if role == "hirer" else (1, 0)  # the state folder that is put back is that of `role`
    copy = tmp_path / "copy"

    async def hired() -> HireResult:
        async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
            result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
            await until(lambda: not acme.conversations and not globex.conversations)
            return result

    async def contracts() -> int:
        ledger = await open_ledger(homes[other].ledger_url, read_only=True)
        try:
            return sum(one.contract is not None for one in await ledger.summaries())
        finally:
            await ledger.close()

    async def refused() -> str:
        before = await contracts()
        with pytest.raises(UndersignedError) as caught:
            await hired()
        assert caught.value.code == "ledger_diverged"
        assert await contracts() == before, "nothing was agreed"
        return str(caught.value)

    await hired()
    shutil.copytree(homes[own].path, copy)
    await hired()
    genuine = tmp_path / "genuine"
    shutil.copytree(homes[own].path, genuine)
    ledger = await open_ledger(homes[other].ledger_url)
    seen = await ledger.seen(homes[own].configuration.did)
    assert seen is not None
    await a_second_later(seen)
    await ledger.close()

    put_back(copy, homes[own])
    await refused()
    await refused()
    put_back(genuine, homes[own])
    await refused()

    ledger = await open_ledger(homes[other].ledger_url)
    did = homes[own].configuration.did
    await ledger.update_seen(did, lambda seen: decided(seen, ledger_time(), anew=False, reason="the old one is back"))
    await ledger.close()
    await hired()


def put_back(copy: Path, home: Home) -> None:
    shutil.rmtree(home.path)
    shutil.copytree(copy, home.path)


def ledger_time() -> str:
    return SystemClock().now()


async def test_a_log_that_was_rewritten_is_not_cosigned_again(tmp_path: Path) -> None:
    """HIRE-LOG-09: it has more leaves than before, and its tiles do not lead from the one root to the other."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        await hire(acme, globex)  # until now the first head may wait to be cosigned, and the rewritten log refuses that
        before = await seen(acme, globex)
    rewritten(homes[1])
    clock = Hands()
    async with Peer.open(homes[0], clock=clock) as acme, Peer.open(homes[1], clock=clock) as globex:
        # The tiles are looked at while it works: its closing comes too late to be cosigned, and is not taken.
        result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        assert (result.price, list(result.artifacts)) == ("4 EUR", ["summary.txt"])
        assert result.unclosed is not None
        assert result.unclosed.code == "ledger_diverged"
        found = await seen(acme, globex)
        assert found.agreed == before.agreed
        assert found.fork is not None
        assert found.fork.held == before.agreed
        assert found.fork.path, "it has more leaves than the one before"
        heard = acme.watchers.listen(None)
        with pytest.raises(LogProofError) as refused:
            await hire(acme, globex)
        assert refused.value.code == "ledger_diverged"
        await much_later(clock, acme, globex)
        events = [heard.get_nowait() for _ in range(heard.qsize())]
        assert [one for one in events if one.kind in ("refused", "problem")] == [], "it is not said again and again"


def rewritten(home: Home) -> None:
    """One leaf is another one, and the tree fits again: as if it had always been so."""
    db = sqlite3.connect(home.ledger)
    leaves = [row[0] for row in db.execute("SELECT data FROM leaf ORDER BY id")]
    leaves[1] = leaves[1][:-1] + bytes([leaves[1][-1] ^ 1])
    tree = Frontier()
    for at, leaf in enumerate(leaves):
        (_, _, value), *inner = tree.append(leaf_hash(leaf))
        row = value, b"".join(node for _, _, node in inner), leaf, at
        db.execute("UPDATE leaf SET hash = ?, inner = ?, data = ? WHERE id = ?", row)
    db.execute("UPDATE tree SET root = ?", (tree.root,))
    db.commit()
    db.close()
    home.ledger.with_name(home.ledger.name + ".head").unlink()


async def test_a_cosignature_of_leaves_that_our_log_never_had_is_refused(tmp_path: Path) -> None:
    """HIRE-LOG-09: it would say that our log went back, or is made up; and says in which member."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        closing = (await closings(acme, await hire(acme, globex)))["provider"]
        key = globex.log_key
        size = await acme.ledger.tree_size()
        for number, root in ((size, bytes(32)), (size + 1, await acme.ledger.root())):
            text = checkpoint_text(acme.own.id, number, root)
            note = cosigned_note(text, globex.own.id, key.public_key, 1, await key.sign(cosigned_text(text, 1)))
            said = replace(closing, cosignatures=("u" + base64url_encode(note.encode()),))
            with pytest.raises(LogProofError) as refused:
                await acme.witness.check(said, globex.own)
            assert (refused.value.code, refused.value.path) == ("log_proof_invalid", "/cosignatures")


async def test_books_that_are_signed_again_are_no_older_log(tmp_path: Path) -> None:
    """HIRE-LOG-05: a `Closing` that found nobody while its proof lasted comes after larger heads were stated."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        closing = (await closings(acme, await hire(acme, globex)))["provider"]
        assert closing.proof is not None
        await hire(acme, globex)
        later = replace(closing.proof, created=shift(ledger_time(), 1))  # times are whole seconds
        await acme.witness.check(replace(closing, proof=later, cosignatures=()), globex.own)
        assert (await seen(acme, globex)).fork is None
        said = replace(closing, proof=later, cosignatures=(), checkpoint_at=None)
        with pytest.raises(LogProofError) as refused:
            await acme.witness.check(said, globex.own)
        assert refused.value.code == "ledger_diverged"


async def test_what_could_not_be_looked_at_is_not_forgotten(tmp_path: Path) -> None:
    """HIRE-LOG-22: a hirer whose log was rewritten is gone before its tiles are read, and states heads that continue
    each other when it is there again. None of them is cosigned, and once its tiles are there the first one tells.
    """
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        before = await seen(globex, acme)
    rewritten(homes[0])

    def not_now(globex: Peer, acme: Peer) -> None:
        globex.witness._looked[acme.own.id] = asyncio.get_running_loop().time()

    async with Peer.open(homes[1]) as globex:
        async with Peer.open(homes[0]) as acme:
            not_now(globex, acme)
            await hire(acme, globex)
        globex.witness._looked.clear()
        globex.witness.follow(acme.own.id, "")
        await until(lambda: not any(task.get_name().startswith("log of") for task in globex._tasks))
        after = await seen(globex, acme)
        assert (after.agreed, after.fork, len(after.open)) == (before.agreed, None, 1), "nobody serves it now"
    async with Peer.open(homes[1]) as globex, Peer.open(homes[0]) as acme:
        not_now(globex, acme)
        said = await moves(globex, await hire(acme, globex))
        assert said["Acceptance", "provider"].cosignatures is None
        assert said["Closing", "provider"].cosignatures == ()
        waiting = (await seen(globex, acme)).open
        assert after.open[0] in waiting
        globex.witness._looked.clear()
        globex.witness.follow(acme.own.id, "")
        await until(lambda: not any(task.get_name().startswith("log of") for task in globex._tasks))
        found = await seen(globex, acme)
        assert found.fork is not None
        assert found.fork.held == before.agreed
        assert found.agreed == before.agreed


async def test_a_log_is_looked_at_once_at_a_time_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose tiles come as slowly as is borne was looked at again every second beside that, until nothing else could
    be looked up.
    """
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        acme.witness._told.clear()
        globex.witness._looked[acme.own.id] = asyncio.get_running_loop().time()
        await hire(acme, globex)
        before, fetch, asked = await seen(globex, acme), globex.gatherer.fetch, 0

        async def slow(url: str, **options: Any) -> bytes:
            nonlocal asked
            if "/tile/" in url:
                asked += 1
                await asyncio.sleep(3600)
            return await fetch(url, **options)

        monkeypatch.setattr(globex.gatherer, "fetch", slow)
        monkeypatch.setattr(witnessing, "LONGEST_SECONDS", 1.0)
        globex.witness._looked.clear()
        globex.witness.follow(acme.own.id, "")
        await until(lambda: asked)
        for _ in range(2):
            globex.witness._looked.clear()
            globex.witness.follow(acme.own.id, "")
        await until(lambda: not any(task.get_name().startswith("log of") for task in globex._tasks))
        assert asked == 1
        assert await seen(globex, acme) == before
        monkeypatch.undo()
        globex.witness._looked.clear()
        globex.witness.follow(acme.own.id, "")
        await until_agreed(globex, acme)


async def test_what_found_no_room_is_looked_up_in_the_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LOG-22: many heads that wait, more than are kept apart, are connected from the messages that state them."""
    monkeypatch.setattr("undersigned.ledger.seen.MAX_OPEN", 1)
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[1]) as globex:
        for _ in range(4):  # each time it has forgotten what it told
            async with Peer.open(homes[0]) as acme:
                globex.witness._looked[acme.own.id] = asyncio.get_running_loop().time()
                await hire(acme, globex)
        found = await seen(globex, acme)
        assert (len(found.open), found.missed > 0, found.one_history) == (1, True, False)
        async with Peer.open(homes[0]) as acme:
            globex.witness._looked.clear()
            globex.witness.follow(acme.own.id, "")
            await until_agreed(globex, acme)
            largest = max(one.size for one in await stated_heads(globex.ledger, acme.own.id))
            assert (await seen(globex, acme)).agreed.size == largest


async def test_the_check_of_a_ledger_misses_what_was_seen(tmp_path: Path) -> None:
    """SC-90: a row that was taken out has no seal; the messages that say how large it has to be are in the journal."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        assert (await acme.ledger.check()).ok
    db = sqlite3.connect(homes[0].ledger)
    db.execute("DELETE FROM seen_log")
    db.commit()
    db.close()
    ledger = await open_ledger(homes[0].ledger_url, read_only=True)
    (defect,) = (await ledger.check()).defects
    await ledger.close()
    assert (defect.code, defect.where) == ("store_corrupt", f"log of {globex.own.id}")


async def test_a_notice_that_shows_another_history_is_noticed_as_well(tmp_path: Path) -> None:
    """HIRE-LOG-05, HIRE-LOG-09: a `Receipt` whose checkpoint has another root of a size that its sender stated before.
    It is not recorded; both heads are the proof, and nothing more is agreed with it.
    """
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        key, real = globex.witness._key, Speaker._say
        notes: list[str] = []

        async def say(self: Speaker, turn: Any, said: Say) -> None:
            if said.type == "Receipt" and self.shell.identity.did == globex.own.id:
                head = globex.witness._told[acme.own.id]
                text = checkpoint_text(globex.own.id, head.size, b"x" * 32)
                notes.append(signed_note(text, globex.own.id, key.public_key, await key.sign(text)))
                said = Say("Receipt", {**said.body, "checkpoint": "u" + base64url_encode(notes[-1].encode())})
            await real(self, turn, said)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Speaker, "_say", say)
            result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        assert "two roots" in str(result.unclosed)
        fork = (await seen(acme, globex)).fork
        assert fork is not None
        assert fork.held.size == fork.came.size
        assert (await fork_document(acme.ledger, fork))["notes"] == [fork.held.note, notes[0]]
        with pytest.raises(LogProofError, match="two roots"):
            await hire(acme, globex)
        assert (await acme.ledger.check()).ok


async def test_a_notice_may_show_an_older_checkpoint(tmp_path: Path) -> None:
    """HIRE-LOG-09: of fewer leaves than were stated before it was signed, and true: nobody showed two histories."""
    homes, clock = await two_homes(tmp_path), Hands()
    async with Peer.open(homes[0], clock=clock) as acme, Peer.open(homes[1], clock=clock) as globex:
        await hire(acme, globex)
        text = checkpoint_text(globex.own.id, 2, await globex.ledger.root(2))
        key, real = globex.witness._key, Speaker._say
        note = signed_note(text, globex.own.id, key.public_key, await key.sign(text))
        shown: list[str] = []

        async def say(self: Speaker, turn: Any, said: Say) -> None:
            if said.type == "Receipt" and self.shell.identity.did == globex.own.id:
                shown.append(note)
                said = Say("Receipt", {**said.body, "checkpoint": "u" + base64url_encode(note.encode())})
            await real(self, turn, said)

        clock.ahead += 5
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Speaker, "_say", say)
            await hire(acme, globex)
        assert shown
        assert (await seen(acme, globex)).fork is None
        await hire(acme, globex)
