"""Each side watches the other's log: what continues is cosigned, what was rewritten is refused."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from integration.hires import REPORT, two_homes, until
from integration.test_log import went_back
from undersigned import Peer
from undersigned.encoding import base64url_decode, base64url_encode, digest_hex, parse_instant
from undersigned.errors import LogProofError
from undersigned.ledger import Head, Seen
from undersigned.messages import Closing, LogHead, Problem, recorded_message
from undersigned.runtime import Home
from undersigned.transparency import (
    Checkpoint,
    Frontier,
    checkpoint_text,
    cosigned_note,
    cosigned_text,
    leaf_hash,
    read_checkpoint,
    read_note,
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
                head, seconds = verify_cosignature(text_of(note), signer.own.id, signer._log_key.public_key)
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
            assert before.agreed is not None
            assert before.agreed.size < before.size, "it has grown, and nobody has looked yet"
            one.witness._looked.clear()
            one.witness.follow(other.own.id)
            await until_agreed(one, other)
        assert (await moves(acme, await hire(acme, globex)))["Seal", "hirer"].cosignatures


OTHER = {"hirer": "provider", "provider": "hirer"}


async def until_agreed(one: Peer, other: Peer) -> None:
    for _ in range(400):
        found = await seen(one, other)
        if found.agreed == Head(found.size, found.root):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it was not looked at")


async def test_a_log_that_went_back_is_noticed_by_who_met_it_before(tmp_path: Path) -> None:
    """HIRE-LOG-05, HIRE-LOG-22, SC-90: a database put back from before, head file and all, is refused with the first
    thing that it says of its log, before anything is sealed, and the message that shows it is kept.
    """
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        await hire(acme, globex)
        last = await seen(acme, globex)
    went_back(homes[1])
    await asyncio.sleep(max(0.0, parse_instant(last.at).timestamp() + 1 - time.time()))  # of one second nobody can tell
    heard: list[Any] = []
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        watching = globex.listen(None)
        hiring = asyncio.ensure_future(hire(acme, globex))
        async with asyncio.timeout(90):
            while "ledger_diverged" not in heard:
                event = await watching.get()
                heard += [event.message.code] if isinstance(event.message, Problem) else []
        hiring.cancel()
        (live,) = [one for one in acme.conversations.values() if "fork" in one.facts]
        kept = [blob for blob in await acme.ledger.evidence(live.id) if blob.kind == "fork"]
        assert [blob.name for blob in kept] == ["Acceptance"]
        assert live.engagement.contract is None


async def test_a_log_that_was_rewritten_is_not_cosigned_again(tmp_path: Path) -> None:
    """HIRE-LOG-09: it has more leaves than before, and its tiles do not lead from the one root to the other."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        await hire(acme, globex)  # until now the first head may wait to be cosigned, and the rewritten log refuses that
        before = await seen(acme, globex)
    rewritten(homes[1])
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        await hire(acme, globex)
        after = await seen(acme, globex)
        assert after.size > before.size
        acme.witness._looked.clear()
        acme.witness.follow(globex.own.id)
        await until(lambda: not any(task.get_name().startswith("log of") for task in acme._tasks))
        assert (await seen(acme, globex)).agreed == before.agreed
        third = await closings(acme, await hire(acme, globex))
        assert third["hirer"].cosignatures == ()


def rewritten(home: Home) -> None:
    """One leaf is another one, and the tree fits again: as if it had always been so."""
    db = sqlite3.connect(home.ledger)
    leaves = [row[0] for row in db.execute("SELECT data FROM leaf ORDER BY id")]
    leaves[1] = leaves[1][:-1] + bytes([leaves[1][-1] ^ 1])
    tree, nodes = Frontier(), list[tuple[int, int, bytes]]()
    for leaf in leaves:
        nodes += tree.append(leaf_hash(leaf))
    db.execute("DELETE FROM leaf")
    db.execute("DELETE FROM node")
    db.executemany("INSERT INTO leaf VALUES (?, ?, ?)", [(at, leaf_hash(x), x) for at, x in enumerate(leaves)])
    db.executemany("INSERT INTO node VALUES (?, ?, ?)", [one for one in nodes if one[0]])
    db.execute("UPDATE tree SET root = ?", (tree.root,))
    db.commit()
    db.close()
    home.ledger.with_name(home.ledger.name + ".head").unlink()


async def test_a_cosignature_of_leaves_that_our_log_never_had_is_refused(tmp_path: Path) -> None:
    """HIRE-LOG-09: it would say that our log went back, or is made up; and says in which member."""
    homes = await two_homes(tmp_path)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        closing = (await closings(acme, await hire(acme, globex)))["provider"]
        key = globex._log_key
        size = await acme.ledger.tree_size()
        for number, root in ((size, bytes(32)), (size + 1, await acme.ledger.root())):
            text = checkpoint_text(acme.own.id, number, root)
            note = cosigned_note(text, globex.own.id, key.public_key, 1, await key.sign(cosigned_text(text, 1)))
            said = replace(closing, cosignatures=("u" + base64url_encode(note.encode()),))
            with pytest.raises(LogProofError) as refused:
                await acme.witness.check(said, globex.own)
            assert (refused.value.code, refused.value.path) == ("log_proof_invalid", "/cosignatures")
