"""What one identity may make a running peer hold and do. A name costs nothing, so none of them needs a credential."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from unittest.mock import patch

import pytest

from integration.hires import until
from security.wire_attacker import Attacker, Hiring, Line, Stranger, quiet_logs, still_open
from security.wire_world import World
from undersigned.credentials import membership
from undersigned.encoding import canonicalize, shift
from undersigned.runtime import links, presence
from undersigned.testing import presentation
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


async def test_credentials_of_issuers_that_nobody_can_ask_are_counted(world: World) -> None:
    """SC-103: each is waited for, so whoever goes on naming such issuers is sent away as for other failures."""
    who = anybody()
    line = await Line.to(world, who)
    named = 0
    with quiet_logs(), patch.object(world.globex.intake, "_budget", Budget(3)):
        hirings = [await Hiring(line).up_to("profiled") for _ in range(5)]
        for hiring in hirings:
            now, named = world.clock.now(), named + 1
            issuer = f"did:web:localhost%3A1:x{named}"
            made = membership(
                id=who.message_id(),
                organisation=issuer,
                agent=who.did,
                valid_from=shift(now, -60),
                valid_until=shift(now, 86400),
            )
            signed = who.vouches(made, now)
            signed["proof"]["verificationMethod"] = f"{issuer}#key-1"  # type: ignore[index, call-overload]
            await hiring.say(presentation(presentation=who.shown(hiring.party, credentials=(signed,))))
            await line.wait(lambda expected=named: line.closed or len(told(line)) == expected or None)
            if line.closed is not None:
                break
    assert len(told(line)) == 3
    closed = await line.wait(lambda: line.closed)
    assert (closed.code, closed.detail["close_code"]) == ("rate_limited", 1008)


async def test_names_that_came_once_are_not_kept(world: World) -> None:
    """HIRE-LIM-02: a name costs nothing, so whoever comes under many leaves nothing in memory but what has a bound."""
    links, presences = world.globex.links, world.globex.presences
    with quiet_logs(), patch.object(presence, "LOST_SECONDS", 0.05):
        for number in range(8):
            line = await Line.to(world, anybody())
            if number % 2:
                await Hiring(line).up_to("profiled")
            if number % 3:
                await line.send(b"\x00")  # for which the connection is ended
                await line.wait(lambda line=line: line.closed)
            await line.hang_up()
            await until(lambda did=line.who.did: not links.connected(did))
            await until(lambda did=line.who.did: did not in presences._away)
            kept = (links._changed, links._fell_out, links._channels, links._keepers, links.last_error)
            assert [line.who.did in one for one in kept] == [False] * len(kept)


def told(line: Line) -> list[bytes]:
    return [frame for frame in line.frames if b'"did_unresolvable"' in frame]
