"""`make attack`: the attacks of the security cases that are about load, at their full size, and what honest peers feel.

Acme and Globex run in this process, on real sockets and durable ledgers; the attackers run in one of their own, each
at an address of its own. What is required stands beside what was measured. Nothing here passes or fails: the tests of
these cases count instead (`tests/security/test_over_the_wire_transport.py`), for a busy machine disturbs every time.

    make attack                          all four, a bit more than a minute
    make attack ARGS="--seconds 30"      longer, and steadier
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from security.test_over_the_wire_transport import UNFINISHED, UPGRADE, frame, transport
from security.wire_attacker import Attacker, Hiring, Line, quiet_logs
from security.wire_world import World, world_in
from undersigned.encoding import base58_encode, canonicalize
from undersigned.errors import UndersignedError
from undersigned.runtime import Gatherer, SystemClock, configure_logs
from undersigned.transport import websocket

AT_ONCE = 4
"""Honest hires at a time."""
CONNECTS = 40
SLOW_SECONDS = 15.0
"""Longer than a slow handshake is waited for."""


# --- the attackers' process


class Attack:
    """One attack under way: what it counted, and where its connections come from."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.counts: dict[str, int] = {"connections": 0, "messages": 0, "closed": 0, "refused": 0}
        self.kept: list[Any] = []

    async def socket(self, source: str) -> socket.socket:
        """A connection from this address of the machine."""
        opened = socket.socket()
        opened.setblocking(False)
        opened.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self.port))
        self.counts["connections"] += 1
        return opened

    async def slow(self) -> None:
        """SC-76: 500 peers that send their upgrade a byte a second, and come again when they are sent away."""

        async def dribble(number: int) -> None:
            loop = asyncio.get_running_loop()
            while True:
                with suppress(OSError):
                    opened = await self.socket(f"127.0.1.{number % 20 + 1}")
                    with opened:
                        for byte in UPGRADE:
                            await loop.sock_sendall(opened, bytes([byte]))
                            await asyncio.sleep(1)
                self.counts["closed"] += 1
                await asyncio.sleep(0.1)

        await self._ready([dribble(number) for number in range(500)], 500)

    async def flood(self) -> None:
        """SC-80: 2,000 connections from one address, then 2,000 from 200, each with an unfinished request."""
        for number in range(4000):
            source = "127.0.3.1" if number < 2000 else f"127.0.4.{number % 200 + 1}"
            opened = await self.socket(source)
            self.kept.append(opened)
            with suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(opened, UNFINISHED)
        await self._ready([], 0)

    async def deaf(self) -> None:
        """SC-81: a peer that repeats itself and reads no answer, and comes again when it is sent away."""
        world = await self._world()

        async def repeat(number: int) -> None:
            for again in count():
                with suppress(UndersignedError, TimeoutError, OSError):
                    line = await Line.to(world, Attacker(f"deaf {number}.{again}"))
                    self.counts["connections"] += 1
                    hiring = await Hiring(line).up_to("profiled")
                    raw = hiring.party.stored[hiring.party.engagement.sent[0]].raw
                    transport(line).pause_reading()
                    while line.closed is None and not transport(line).is_closing():
                        if transport(line).get_write_buffer_size() < 2**16:
                            transport(line).write(100 * frame(raw))
                            self.counts["messages"] += 100
                        await asyncio.sleep(0.1)
                self.counts["closed"] += 1
                await asyncio.sleep(0.1)

        await self._ready([repeat(0)], 1)

    async def signatures(self) -> None:
        """SC-105: 10,000 messages a second with bad signatures, over 100 connections; who is sent away comes back."""
        world = await self._world()

        async def forge(number: int) -> None:
            who = Attacker(f"forger {number}")
            while True:
                try:
                    line = await Line.to(world, who)
                    self.counts["connections"] += 1
                    message = Hiring(line).next_json()
                    message["proof"]["proofValue"] = "z" + base58_encode(bytes(64))
                    raw = canonicalize(message)
                    while line.closed is None:
                        for _ in range(10):
                            await line.send(raw)
                        self.counts["messages"] += 10
                        await asyncio.sleep(0.1)
                    self.counts["closed"] += 1
                except (UndersignedError, OSError):
                    self.counts["refused"] += 1
                await asyncio.sleep(0.1)

        await self._ready([forge(number) for number in range(100)], 100)

    async def _world(self) -> Any:
        """As much of a `World` as attackers ask for; each of their connections comes from the next address."""
        did = f"did:web:localhost%3A{self.port}"
        gatherer = Gatherer(local=True)
        own = await gatherer.document(did)
        await gatherer.close()
        sources = (f"127.0.5.{number % 100 + 1}" for number in count())

        async def dial(host: str, port: int, *, seconds: float, local: bool = False) -> socket.socket:
            return await self.socket(next(sources))

        websocket.dial = dial

        async def document_of(_: str) -> Any:
            return own

        globex = SimpleNamespace(identity=SimpleNamespace(did=did), own=own, document_of=document_of)
        return SimpleNamespace(url=f"ws://localhost:{self.port}/hire", clock=SystemClock(), globex=globex)

    async def _ready(self, work: list[Coroutine[Any, Any, None]], connections: int) -> None:
        """Says so once so many connections were there, and goes on until the other process has seen enough."""
        tasks = [asyncio.create_task(one) for one in work]
        while self.counts["connections"] < connections:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        print(json.dumps(self.counts), flush=True)


# --- the process that is attacked


@asynccontextmanager
async def attacked_by(kind: str, world: World) -> AsyncIterator[dict[str, int]]:
    """While the attack is under way; afterwards the dictionary holds what the attackers counted."""
    command = [sys.executable, __file__, "--as", kind, "--port", str(world.port)]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert child.stdin is not None
    assert child.stdout is not None
    counts: dict[str, int] = {}
    try:
        async with asyncio.timeout(120):
            if await child.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the attack {kind} did not begin")
        yield counts
        child.stdin.close()
        async with asyncio.timeout(60):
            counts.update(json.loads(await child.stdout.readline()))
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def hires(world: World, seconds: float) -> list[float]:
    """How long each hire took, of all that were begun within so many seconds, a few at a time."""
    took: list[float] = []
    end = time.monotonic() + seconds

    async def one_after_the_other() -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            await world.honest()
            took.append(time.monotonic() - began)

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return took


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def files() -> int:
    return len(os.listdir("/proc/self/fd"))


def told(case: str, what: str, measured: str, required: str) -> None:
    print(f"{case:7} {what:44} {measured:34} required: {required}", flush=True)


async def slow(world: World, seconds: float) -> None:
    async with attacked_by("slow", world) as counts:
        took: list[float] = []
        for number in range(CONNECTS):
            began = time.monotonic()
            line = await Line.to(world, Attacker(f"honest {number}"))  # type: ignore[arg-type]
            took.append(time.monotonic() - began)
            await line.hang_up()
            await asyncio.sleep(max(seconds, SLOW_SECONDS) / CONNECTS)
        there = world.globex._listener.door.unproved
    figures = f"median {statistics.median(took) * 1000:.0f} ms, most {max(took) * 1000:.0f} ms"
    told("SC-76", f"an honest peer connects beside {there} slow ones", figures, "below 1 s")
    told("", "slow peers sent away at the deadline", str(counts["closed"]), "all")


async def flood(world: World, seconds: float) -> None:
    held, open_before = resident(), files()
    async with attacked_by("flood", world) as counts:
        grown, more, door = resident() - held, files() - open_before, world.globex._listener.door.unproved
        took = await hires(world, min(seconds, 5))
    told("SC-80", f"memory for {counts['connections']} connections", f"{grown / 2**20:.1f} MiB", "at most 50 MiB")
    told("", "descriptors, and strangers at the door", f"{more}, and {door}", "at most 576, and 512")
    told("", "honest hires meanwhile", f"{len(took)}, median {statistics.median(took) * 1000:.0f} ms", "all finish")


async def deaf(world: World, seconds: float) -> None:
    alone = await hires(world, seconds / 2)
    async with attacked_by("deaf", world) as counts:
        beside = await hires(world, seconds)
    figures = f"{statistics.median(beside) * 1000:.0f} ms, alone {statistics.median(alone) * 1000:.0f} ms"
    told("SC-81", "median hire beside a deaf peer", figures, "unaffected")
    told("", "repeats, and how often it was sent away", f"{counts['messages']}, {counts['closed']}", "a bounded queue")


async def signatures(world: World, seconds: float) -> None:
    alone = await hires(world, seconds)
    async with attacked_by("signatures", world) as counts:
        beside = await hires(world, seconds)
    share = len(beside) / len(alone)
    figures = f"{share:.0%} ({len(beside)} hires, alone {len(alone)})"
    told("SC-105", "throughput beside 100 forgers, 10,000 msg/s", figures, "above 70 %")
    told(
        "",
        "sent, connections, refused at the door",
        f"{counts['messages']}, {counts['connections']}, {counts['refused']}",
        "-",
    )


ATTACKS: dict[str, Callable[[World, float], Awaitable[None]]] = {
    "slow": slow,
    "flood": flood,
    "deaf": deaf,
    "signatures": signatures,
}


async def main(seconds: float, kinds: list[str]) -> None:
    for kind in kinds:
        # Each has a world of its own: what one attack used up is not the next one's affair.
        with tempfile.TemporaryDirectory() as folder:
            async with world_in(Path(folder)) as world:
                await world.honest()
                with quiet_logs():
                    await ATTACKS[kind](world, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Attacks at their full size, and what honest peers feel.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each attack is measured")
    parser.add_argument("--only", choices=ATTACKS, action="append", help="this one; may be repeated")
    parser.add_argument("--as", dest="kind", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    configure_logs(50, force=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    if arguments.kind:
        asyncio.run(getattr(Attack(arguments.port), arguments.kind)())
    else:
        asyncio.run(main(arguments.seconds, arguments.only or list(ATTACKS)))
