"""What one identity may make a running peer hold and do. A name costs nothing, so none of them needs a credential."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from unittest.mock import patch

import pytest

from security.wire_attacker import Attacker, Line, Stranger, quiet_logs, still_open
from security.wire_world import World
from undersigned.encoding import canonicalize
from undersigned.runtime import links
from undersigned.transport import Budget

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
_numbers = count(1)


def anybody() -> Attacker:
    return Attacker(f"over the limit {next(_numbers)}")


@pytest.fixture
def few_connections(world: World) -> Iterator[int]:
    """As many as one peer may open in a minute."""
    with patch.object(world.globex.links, "_came", Budget(5)):
        yield 5


async def test_connections_of_one_peer_are_counted(world: World, few_connections: int) -> None:
    """HIRE-LIM-02: the next one is refused before anything is resolved or signed for it; others come in."""
    who = anybody()
    for _ in range(few_connections):
        line = await Line.to(world, who)
        await line.hang_up()
    with quiet_logs():
        async with Stranger.at(world, who) as stranger:
            assert await stranger.sends(canonicalize(stranger.opening())) == (1008, "rate_limited")
    other = await Line.to(world, anybody())
    await still_open(other)
    await other.hang_up()


async def test_nobody_uses_up_the_connections_of_another(world: World, few_connections: int) -> None:
    """Only what is proved counts."""
    who = anybody()
    with quiet_logs():
        for _ in range(few_connections):
            async with Stranger.at(world, anybody()) as stranger:
                assert (await stranger.sends(canonicalize(stranger.opening(sender=who.did))))[0] == 1008
    line = await Line.to(world, who)
    await still_open(line)
    await line.hang_up()


async def test_one_peer_has_a_few_connections_at_a_time(world: World) -> None:
    """HIRE-LIM-02: the oldest makes room, as whoever came back has no use for it; the others stay."""
    who = anybody()
    lines = [await Line.to(world, who) for _ in range(links.CONNECTIONS)]
    lines.append(await Line.to(world, who))
    closed = await lines[0].wait(lambda: lines[0].closed)
    assert (closed.code, closed.detail["close_code"]) == ("overloaded", 1008)
    await still_open(lines[-1])
    assert [line.closed for line in lines[1:]] == [None] * links.CONNECTIONS
    for line in lines[1:]:
        await line.hang_up()
