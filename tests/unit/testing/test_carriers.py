"""What a carrier does with the frames of one connection, seen from both ends of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from undersigned.testing import Carried, Carrier, Meddler, Mischief, Queue, Rewriter

HIRE = [Subprotocol("hire.v1")]


class Acceptor:
    """The far end: keeps what it gets, and holds its connections."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.ends: list[ServerConnection] = []
        self.url = ""

    async def serve(self, end: ServerConnection) -> None:
        self.ends.append(end)
        try:
            while True:
                self.got.append(await end.recv(decode=False))
        except ConnectionClosed:
            pass


@asynccontextmanager
async def acceptor() -> AsyncIterator[Acceptor]:
    far = Acceptor()
    async with serve(far.serve, "127.0.0.1", 0, subprotocols=HIRE, compression=None) as server:
        far.url = f"ws://localhost:{next(iter(server.sockets)).getsockname()[1]}/hire"
        yield far


async def proved(carrier: Carrier, far: Acceptor) -> ClientConnection:
    """A connection through `carrier` over which three frames, as long as a connection proof, have gone."""
    near = await connect(carrier.url, subprotocols=HIRE, compression=None, proxy=None)
    known = len(far.got)
    for name in ("one", "two", "three"):
        await near.send(f"proof {name}".encode(), text=True)
    await until(lambda: len(far.got) >= known + 3)
    return near


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing here has an event to wait for
            await asyncio.sleep(0.005)


def messages(far: Acceptor) -> list[bytes]:
    return [raw for raw in far.got if not raw.startswith(b"proof")]


async def test_frames_pass_both_ways_and_so_does_the_close_code() -> None:
    async with acceptor() as far, Carrier(far.url) as carrier:
        near = await proved(carrier, far)
        await near.send(b"up", text=True)
        await until(lambda: messages(far) == [b"up"])
        await far.ends[0].send(b"down", text=True)
        assert await near.recv(decode=False) == b"down"
        await far.ends[0].close(1008, "proof_invalid")
        await near.wait_closed()
        assert (near.close_code, near.close_reason) == (1008, "proof_invalid")
        assert [parcel.raw for parcel in carrier.network.sent] == [b"up", b"down"]


async def test_a_rewriter_leaves_the_proof_alone_unless_told() -> None:
    def rewrite(carried: Carried) -> bytes | None:
        return None if carried.raw == b"gone" else carried.raw.upper()

    for proofs, shown in ((False, b"proof one"), (True, b"PROOF ONE")):
        async with acceptor() as far, Rewriter(far.url, rewrite, proofs=proofs) as carrier:
            near = await proved(carrier, far)
            await near.send(b"gone", text=True)
            await near.send(b"here", text=True)
            await until(lambda far=far: b"HERE" in far.got)
            assert far.got[0] == shown
            assert far.got[3:] == [b"HERE"]


async def carried_by(mischief: Mischief, seed: int) -> list[bytes]:
    """What arrives of twenty messages."""
    async with acceptor() as far, Meddler(far.url, mischief, seed=seed) as carrier:
        near = await proved(carrier, far)
        for number in range(20):
            await near.send(b"%d" % number, text=True)
        await near.send(b"last", text=True)
        done = carrier.done
        await until(lambda: len(messages(far)) == 21 - done["drop"] + done["repeat"] + done["replay"])
        return messages(far)


async def test_a_meddler_does_what_its_seed_says() -> None:
    numbers = [b"%d" % number for number in range(20)] + [b"last"]
    lost = await carried_by(Mischief(drop=0.5), 1)
    assert set(lost) < set(numbers)
    assert lost == await carried_by(Mischief(drop=0.5), 1)
    assert lost != await carried_by(Mischief(drop=0.5), 2)
    overtaken = await carried_by(Mischief(hold=0.5, hold_seconds=0.05), 1)
    assert sorted(overtaken) == sorted(numbers)
    assert overtaken != numbers
    repeated = await carried_by(Mischief(repeat=0.5, hold_seconds=0.05), 1)
    assert set(repeated) == set(numbers)
    assert len(repeated) > len(numbers)
    replayed = await carried_by(Mischief(replay=0.5), 1)
    assert [one for place, one in enumerate(replayed) if one not in replayed[:place]] == numbers
    assert len(replayed) > len(numbers)


async def test_a_queue_delivers_after_its_sender_is_gone(tmp_path: Path) -> None:
    """In order, though the sender hangs up at once; and what is stored twice comes twice."""
    numbers = [b"%d" % number for number in range(10)]
    file = tmp_path / "q.db"
    async with (
        acceptor() as far,
        Queue(far.url, file, delay_seconds=0.02, every_other=1, linger_seconds=5) as queue,
    ):
        near = await proved(queue, far)
        for one in numbers:
            await near.send(one, text=True)
        await until(lambda: len(queue.network.sent) == 10)
        near.transport.abort()
        await until(lambda: queue.waiting == 0)
    assert messages(far)[:10] == numbers
    assert sorted(messages(far)) == sorted(numbers * 2)
    assert queue.again == 10
    assert queue.orphaned


async def test_a_queue_keeps_what_could_not_be_delivered_for_the_next_connection(tmp_path: Path) -> None:
    """The receiver goes away in the middle; the rest waits in the file, for another carrier process even."""
    file = tmp_path / "q.db"
    async with acceptor() as far:
        async with Queue(far.url, file, delay_seconds=0.05, every_other=99, linger_seconds=0) as queue:
            near = await proved(queue, far)
            for number in range(10):
                await near.send(b"%d" % number, text=True)
            await until(lambda: len(queue.network.sent) == 10 and messages(far))
            far.ends[0].transport.abort()
            await near.wait_closed()
            left = queue.waiting
            assert 0 < left < 10
        async with Queue(far.url, file, delay_seconds=0) as queue:
            near = await proved(queue, far)
            await until(lambda: queue.waiting == 0)
            assert queue.across == left
            await near.close()
    # The one on its way when the receiver went may be lost with it: no queue knows more than what it handed over.
    assert len(set(messages(far))) >= 9
    assert messages(far)[-1] == b"9"
