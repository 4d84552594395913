"""A hire over a network that does its worst: it ends in one contract on both sides or in none, and here in one.

Bytes are cut, stalled, delayed and slowed by a wire; whole messages are lost, repeated, held back, overtaken and
replayed by a meddler. Both stand on both ways, Acme's to Globex and Globex's to Acme. What chance decides comes from
the seed in the test's name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from integration.carried import assert_one_hire, listed, port_of, two_companies
from undersigned.testing import Break, HurriedClock, Meddler, Mischief, Stall, Wire, WireFaults, hurry

pytestmark = pytest.mark.timeout(90)


def broken(random: Random) -> WireFaults:
    """Seven breaks, somewhere; about half of them in the middle of a message."""
    places = sorted(random.sample(range(1, 50), 7))
    return WireFaults(breaks=tuple(Break(after=place, inside=random.random() < 0.5) for place in places))


def stalled(random: Random) -> WireFaults:
    """In the middle of the hire nothing passes any more one way, and nobody is told."""
    return WireFaults(stalls=(Stall(after=random.randint(4, 20), direction=random.choice(["up", "down"])),))


def everything(random: Random) -> WireFaults:
    return WireFaults(delay_seconds=0.2, bytes_per_second=200_000, piece_bytes=2_000, breaks=broken(random).breaks[:4])


WIRES: dict[str, Callable[[Random], WireFaults]] = {
    "pieces": lambda _: WireFaults(piece_bytes=11),
    "late": lambda _: WireFaults(delay_seconds=1.0),
    "slow": lambda _: WireFaults(bytes_per_second=20_000, piece_bytes=2_000),
    "broken": broken,
    "stalled": stalled,
    "everything": everything,
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fault", WIRES)
def test_bytes(fault: str, seed: int, tmp_path: Path) -> None:
    """Whatever happens to the bytes, there is one contract, and both sides close it."""
    random = Random(seed)

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        acme, globex = (("127.0.0.1", port_of(home)) for home in both.homes)
        async with (
            Wire(globex, faults=WIRES[fault](random), seed=seed) as there,
            Wire(acme, faults=WIRES[fault](random), seed=seed) as back,
        ):
            listed(both.homes[0], f"ws://localhost:{back.port}/hire")
            async with both:
                result = await both.hire(f"ws://localhost:{there.port}/hire")
                await both.over()
            assert there.passed > 15
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main, factor=20 if fault == "stalled" else 10)


MEDDLERS = {
    "lost": Mischief(drop=0.2),
    "repeated": Mischief(repeat=0.5),
    "overtaken": Mischief(hold=0.4, hold_seconds=4.0),
    "replayed": Mischief(replay=0.5),
    "everything": Mischief(drop=0.1, repeat=0.2, hold=0.2, replay=0.2),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fault", MEDDLERS)
def test_messages(fault: str, seed: int, tmp_path: Path) -> None:
    """Whatever happens to whole messages, there is one contract, and both sides close it."""

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        async with AsyncExitStack() as stack:
            back, there = [
                await stack.enter_async_context(Meddler(url, MEDDLERS[fault], seed=seed)) for url in both.urls
            ]
            listed(both.homes[0], back.url)
            async with both:
                result = await both.hire(there.url)
                await both.over()
            assert isinstance(there, Meddler)
            assert sum(there.done.values()), "nothing was done"
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main, factor=20)
