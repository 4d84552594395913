"""What one identity may make a running peer hold and do. A name costs nothing, so none of them needs a credential."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from integration.hires import until
from security.wire_attacker import Attacker, Hiring, Line, Stranger, hiring_at, quiet_logs, still_open
from security.wire_world import World
from undersigned.contract import Methods, Subcontracting, contract_digest
from undersigned.credentials import membership
from undersigned.encoding import canonicalize, digest_bytes, from_struct, shift
from undersigned.runtime.agent import crowd as crowds
from undersigned.runtime.agent import links, presence
from undersigned.runtime.agent.crowd import Crowd
from undersigned.testing import offer, presentation, sync
from undersigned.transport import FailureBudget

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
_numbers = count(1)


def anybody() -> Attacker:
    return Attacker(f"over the limit {next(_numbers)}")


@pytest.fixture
def few_connections(world: World) -> Iterator[int]:
    """As many as one peer may open in a minute."""
    with patch.object(world.globex.links, "_came", FailureBudget(5)):
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
    with quiet_logs(), patch.object(world.globex.intake, "_budget", FailureBudget(3)):
        hirings = [await Hiring(line).up_to("profiled") for _ in range(5)]
        for hiring in hirings:
            now, named = world.clock.now(), named + 1
            signed = said_of(who, f"did:web:localhost%3A1:x{named}", now)
            await hiring.say(presentation(presentation=who.shown(hiring.party, credentials=(signed,))))
            await line.wait(lambda expected=named: line.closed or len(told(line)) == expected or None)
            if line.closed is not None:
                break
    assert len(told(line)) == 3
    closed = await line.wait(lambda: line.closed)
    assert (closed.code, closed.detail["close_code"]) == ("rate_limited", 1008)


class Silent:
    """A server that takes requests and answers none: its port, how many wait, and how many did at most."""

    port = held = most = 0

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Silent]:
        silent = cls()
        async with await asyncio.start_server(silent._hear, "127.0.0.1", 0) as server:
            silent.port = server.sockets[0].getsockname()[1]
            yield silent

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.held += 1
        self.most = max(self.most, self.held)
        await reader.read()  # until whoever asks gives up
        self.held -= 1
        writer.close()


async def test_many_names_have_together_looked_up_what_one_may(world: World) -> None:
    """SC-103: a name costs nothing, and a few together took all that is looked up at a time. With a contract each has
    its own.
    """
    async with hiring_at(world, "sealed") as bound, Silent.open() as silent:

        async def shows(hiring: Hiring, number: int) -> None:
            now, issuers = world.clock.now(), [f"did:web:localhost%3A{silent.port}:x{number}-{i}" for i in range(2)]
            made = [said_of(hiring.who, issuer, now) for issuer in issuers]
            await hiring.say(presentation(presentation=hiring.who.shown(hiring.party, credentials=tuple(made))))

        lines = [await Line.to(world, anybody()) for _ in range(4)]
        hirings = [await Hiring(line).up_to("profiled") for line in lines]
        other = await Hiring(bound.line).up_to("profiled")
        with quiet_logs():
            for number, hiring in enumerate(hirings):
                await shows(hiring, number)
            await until(lambda: silent.held == 4)
            await asyncio.sleep(0.2)
            assert silent.most == 4
            await shows(other, len(hirings))
            await until(lambda: silent.held == 6)
            for line in lines:
                await line.wait(lambda line=line: told(line) or None)
                await line.hang_up()


async def test_who_stands_above_an_offer_is_looked_up_for_who_says_so(world: World) -> None:
    """SC-103: an offer that is not accepted yet names whom it likes as the hirers of the contracts above it."""
    async with Silent.open() as silent:
        lines = [await Line.to(world, anybody()) for _ in range(3)]
        hirings = [await Hiring(line).up_to("ready") for line in lines for _ in range(2)]
        with quiet_logs():
            for number, hiring in enumerate(hirings):
                above = contract_above(hiring, f"did:web:localhost%3A{silent.port}:x{number}")
                said = offer(terms=hiring.terms(), parents=({"document": above, "acceptance": {}, "seal": {}},))
                move = said.write(hiring.party)
                move["document"] = hiring.who.prove_offer(
                    replace(move["document"], parent=contract_digest(above), proof=None), hiring.party.now
                )
                await hiring.say(said._replace(write=lambda _, move=move: move))
            await until(lambda: silent.held == 4)
            await asyncio.sleep(0.2)
            assert silent.most == 4
            for line in lines:
                await line.wait(lambda line=line: told(line) or None)
                await line.hang_up()


def contract_above(hiring: Hiring, hirer: str) -> Any:
    """What a contract of this hirer with whoever hires would say, under which it may hire."""
    terms = hiring.terms()
    later = {name: shift(getattr(terms.deadlines, name), 86_400) for name in ("finish", "until")}
    wider = replace(
        terms,
        deadlines=replace(terms.deadlines, **later),
        subcontracting=Subcontracting(allowed=True, depth=1),
        data_handling=replace(terms.data_handling, onward=True),
    )
    draft = offer(terms=wider)
    own = draft.write(hiring.party)["document"]
    methods = Methods(hirer=(f"{hirer}#key-1",), provider=own.methods.hirer)
    return from_struct(replace(own, hirer=hirer, provider=hiring.who.did, methods=methods))


def said_of(who: Attacker, issuer: str, now: str) -> Any:
    """What an issuer that nobody can ask is made to say."""
    made = membership(
        id=who.message_id(),
        organisation=issuer,
        agent=who.did,
        valid_from=shift(now, -60),
        valid_until=shift(now, 86400),
    )
    signed: Any = who.issue(made, now)
    signed["proof"]["verificationMethod"] = f"{issuer}#key-1"
    return signed


@pytest.fixture
def crowd(world: World) -> Iterator[Crowd]:
    """Four negotiations without a contract may come from one address."""
    fresh = Crowd(world.globex.conversations)
    with patch.object(crowds, "FROM_ONE_PLACE", 4), patch.object(world.globex, "crowd", fresh):
        yield fresh


async def test_many_names_have_together_what_one_address_may(world: World, crowd: Crowd) -> None:
    """HIRE-LIM-02: a name costs nothing, so what each may have bounds nothing. A contract does not count."""
    async with hiring_at(world, "sealed"):
        lines = [await Line.to(world, anybody()) for _ in range(6)]
        first, *_ = [await Hiring(line).up_to("profiled") for line in lines[:4]]
        for line in lines[4:]:
            other = Hiring(line)
            said = digest_bytes((await other.say(other.next_move())).raw)
            assert (await line.wait(lambda line=line, said=said: line.answer({said}))).code == "overloaded"
            assert other.id not in world.globex.conversations
        await first.give_up()
        await until(lambda: first.id not in world.globex.conversations)
        await still_open(lines[4])
        for line in lines:
            await line.hang_up()


async def test_what_has_ended_makes_room(world: World, crowd: Crowd) -> None:
    """HIRE-LIM-02: nobody says that it has the end of those, and who comes from there begins another one all the same;
    whoever asks for the end later hears of it.
    """
    line = await Line.to(world, anybody())
    hirings = [await Hiring(line).up_to("profiled") for _ in range(4)]
    await line.hang_up()
    await until(lambda: not world.globex.links.connected(line.who.did))
    world.clock.held = shift(world.clock.now(), 3600)
    try:
        for hiring in hirings:
            conversation = world.globex.conversations[hiring.id]
            await conversation.settled()
            assert (conversation.engagement.state, conversation.over) == ("withdrawn", False)
        other = await Line.to(world, anybody())
        await Hiring(other).up_to("profiled")
        await until(lambda: hirings[0].id not in world.globex.conversations)
        assert all(hiring.id in world.globex.conversations for hiring in hirings[1:])
        summary = await world.globex.ledger.summary(hirings[0].id)
        assert summary is not None
        assert not summary.live
        hirings[0].line = again = await Line.to(world, line.who)
        hirings[0]._read = 0
        await hirings[0].say(sync())
        await hirings[0].hear("Withdraw")
        assert hirings[0].state == "withdrawn"
        await other.hang_up()
        await again.hang_up()
    finally:
        world.clock.held = None


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
