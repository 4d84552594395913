"""SC-80 and SC-105 where a proxy stands before the listener: who is counted, and who is shut out."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from security.raw_peer import (
    DIGEST,
    GET,
    LIMITS,
    LISTENING,
    UPGRADE,
    Served,
    asking,
    ended,
    frame,
    raw,
    served,
    settled,
    status,
)
from undersigned.daemon.answers import ArtifactRequest, ArtifactResponse
from undersigned.daemon.door import Door, NotAdmitted, Ticket
from undersigned.daemon.listener import TOLD, ListenerLimits
from undersigned.encoding import digest_bytes
from undersigned.errors import ProofError
from undersigned.transport import NO_PROXIES, Channel, Proxies

BEHIND = Proxies(["127.0.0.1"])
"""What connects from 127.0.0.1 is a proxy, and says who calls; what connects from elsewhere does not."""


def said(field: str, request: bytes = GET) -> bytes:
    """A request with such a field in its head."""
    return request.rstrip() + (f"\r\n{field}\r\n\r\n" if field else "\r\n\r\n").encode()


async def fail(serving: Served, field: str, times: int, *, source: str = "127.0.0.1") -> None:
    """So many connections that prove nothing."""
    for _ in range(times):
        reader, writer = await raw(serving, source=source)
        writer.write(said(field, UPGRADE))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(b"", opcode=8))
        await ended(reader)


async def test_failures_of_one_caller_shut_out_nobody_else_behind_the_proxy() -> None:
    """HIRE-LIM-02."""
    async with served(msgspec.structs.replace(LISTENING, failures=3), proves=False, proxies=BEHIND) as serving:
        await fail(serving, "X-Forwarded-For: 203.0.113.7", 3)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 429
        assert await status(serving, said("X-Forwarded-For: 198.51.100.1, 203.0.113.7", UPGRADE)) == 429
        assert await status(serving, said('Forwarded: for="203.0.113.7:99";proto=https')) == 429
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 200
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8", UPGRADE)) == 101
        assert await status(serving, said("")) == 200


async def test_callers_behind_a_proxy_are_one_for_each_ipv6_network() -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=2), proves=False, proxies=BEHIND) as serving:
        await fail(serving, "X-Forwarded-For: 2001:db8:0:1::1", 1)
        await fail(serving, "X-Forwarded-For: [2001:db8:0:1:ffff::2]:4711", 1)
        assert await status(serving, said("X-Forwarded-For: 2001:db8:0:1::3")) == 429
        assert await status(serving, said("X-Forwarded-For: 2001:db8:0:2::1")) == 200


@pytest.mark.parametrize("field", ["", "X-Forwarded-For: unknown", "X-Forwarded-For: 127.0.0.2", "Forwarded: for"])
async def test_who_is_not_named_counts_as_the_proxy(field: str) -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=2), proves=False, proxies=BEHIND) as serving:
        await fail(serving, field, 2)
        assert await status(serving, said("")) == 429
        assert await status(serving, said("X-Forwarded-For: what, 127.0.0.1")) == 429
        assert await status(serving, said(""), source="127.0.0.2") == 200
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 200


async def test_a_field_from_who_is_no_proxy_of_ours_is_not_looked_at() -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=2), proves=False, proxies=BEHIND) as serving:
        for n in range(2):
            await fail(serving, f"X-Forwarded-For: 203.0.113.{n}", 1, source="127.0.0.2")
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9"), source="127.0.0.2") == 429
        assert await status(serving, said("X-Forwarded-For: 203.0.113.0")) == 200


async def test_strangers_behind_a_proxy_are_counted_by_caller_and_altogether() -> None:
    limits = ListenerLimits(channel=LIMITS, unproved=6, unproved_per_address=2, head_seconds=5)
    async with served(limits, proves=False, proxies=BEHIND) as serving:
        door = serving.listener.door
        for _ in range(2):
            assert await status(serving, said("X-Forwarded-For: 203.0.113.7", UPGRADE)) == 101
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 503
        await settled(lambda: door.unproved == 2)
        # Who has not said who calls counts nowhere yet but among all.
        waiting = [await raw(serving) for _ in range(4)]
        await settled(lambda: door.unproved == 6)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 200
        assert await ended(waiting[0][0]) == b"", "the oldest of those has made room"
        assert door.unproved == 6
        reader, writer = waiting[1]
        writer.write(said("X-Forwarded-For: 203.0.113.9"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_a_crowd_of_many_ipv6_networks_makes_room_before_who_is_alone() -> None:
    """HIRE-LIM-02: whoever has a /48 has 65,536 networks, and each of them counts alone."""
    limits = ListenerLimits(channel=LIMITS, unproved=4, head_seconds=5)
    async with served(limits, proxies=BEHIND) as serving:
        reader, writer = await raw(serving)
        writer.write(said("X-Forwarded-For: 203.0.113.7"))
        await settled(lambda: "203.0.113.7" in serving.listener.door._strangers)
        for n in range(12):
            assert await status(serving, said(f"X-Forwarded-For: 2001:db8:0:{n:x}::1")) == 200
        assert serving.listener.door.unproved == 4
        writer.write(said("X-Forwarded-For: 203.0.113.7"))
        for _ in range(2):
            assert (await reader.readuntil(b'here"}')).startswith(b"HTTP/1.1 200 ")


async def test_where_a_caller_is_proved_a_crowd_behind_the_same_proxy_shuts_nobody_out() -> None:
    limits = ListenerLimits(channel=LIMITS, unproved=2, reserved=1, head_seconds=5)
    async with served(limits, proxies=BEHIND) as serving:
        door = serving.listener.door
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7", UPGRADE)) == 101
        await settled(lambda: (door.connections, door.unproved) == (1, 0))
        for n in range(2):
            await asking(serving, field=f"X-Forwarded-For: 203.0.113.{8 + n}")
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9")) == 503
        await settled(lambda: door.unproved == 2)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 200


async def test_a_connection_of_a_proxy_counts_where_its_last_caller_is() -> None:
    """A proxy sends requests of one caller after the other's on one connection, and an upgrade behind them."""
    limits = ListenerLimits(channel=LIMITS, failures=1, unproved_per_address=1, head_seconds=5)
    async with served(limits, proves=False, proxies=BEHIND) as serving:
        reader, writer = await raw(serving)
        await fail(serving, "X-Forwarded-For: 203.0.113.6", 1)
        for n in (7, 8):
            writer.write(said(f"X-Forwarded-For: 203.0.113.{n}"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(len(b'{"id":"did:web:here"}'))
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 503
        writer.write(said("X-Forwarded-For: 203.0.113.9", UPGRADE))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(b'"said"'))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9")) == 503
        writer.write(frame(b"", opcode=8))
        await ended(reader)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9")) == 429
        # Who was let in before is not let in again once its address is closed, also where it was the last caller.
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 200


async def test_a_proxy_s_connection_is_closed_to_a_caller_that_failed_meanwhile() -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=1), proves=False, proxies=BEHIND) as serving:
        request = said("X-Forwarded-For: 203.0.113.7")
        reader, writer = await raw(serving)
        writer.write(request)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(len(b'{"id":"did:web:here"}'))
        await fail(serving, "X-Forwarded-For: 203.0.113.7", 1)
        writer.write(request)
        assert (await ended(reader)).startswith(b"HTTP/1.1 429 ")


@pytest.mark.parametrize(
    "before",
    [said("X-Forwarded-For: 203.0.113.7"), said("X-Forwarded-For: 203.0.113.7") * 2],
    ids=["one request", "two requests"],
)
async def test_what_follows_a_head_is_no_upgrade_behind_a_proxy_either(before: bytes) -> None:
    """Frames that were not seen are never read: not behind the head, nor behind requests that were not waited for."""
    upgrade = said("X-Forwarded-For: 203.0.113.7", UPGRADE)
    async with served(proves=False, proxies=BEHIND) as serving:
        for tail in (frame(b'"x"'), frame(b"\r\n\r\n"), b"\r\n\r\n"):
            reader, writer = await raw(serving)
            writer.write(before + upgrade + tail)
            assert b"HTTP/1.1 101 " not in await ended(reader)
        assert serving.messages == []


async def test_a_caller_leaves_no_connection_of_a_proxy_that_takes_no_upgrade() -> None:
    """A head that is more than is kept: the connection ends with its answer, and the next caller gets another."""
    async with served(LISTENING, proves=False, proxies=BEHIND) as serving:
        reader, writer = await raw(serving)
        long = "".join(f"\r\nX-{n}: {'x' * 7000}" for n in range(3))
        writer.write(said(f"X-Forwarded-For: 203.0.113.7{long}"))
        answer = await ended(reader)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer


async def test_a_frame_that_looks_like_the_end_of_a_head_is_not_one() -> None:
    """Two requests at once, and a frame while the first of them is answered: it was not watched, so it is not read."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slowly(request: ArtifactRequest) -> ArtifactResponse:
        asked.set()
        await answered.wait()
        return ArtifactResponse(200, b"")

    field = "X-Forwarded-For: 203.0.113.7"
    request = GET.replace(b"/.well-known/did.json", b"/artifacts/" + DIGEST.encode())
    async with served(proves=False, proxies=BEHIND) as serving:
        serving.listener._artifacts = slowly
        reader, writer = await raw(serving)
        writer.write(said(field, request) + said(field, UPGRADE))
        await asked.wait()
        writer.write(frame(b"\r\n\r\n"))
        assert await status(serving, said(field)) == 200, "what was sent before is there"
        answered.set()
        assert b"HTTP/1.1 101 " not in await ended(reader)
        assert serving.messages == []


def test_what_was_lost_before_its_request_was_looked_at_is_counted_nowhere() -> None:
    door = Door(LISTENING, lambda: 0.0, BEHIND)
    ticket = door.enter("127.0.0.1")
    assert isinstance(ticket, Ticket)
    ticket.leave()
    ticket.remote = "203.0.113.7"
    assert door.moved(ticket) is None
    assert (door.connections, door.unproved) == (0, 0)


def test_who_asks_again_on_a_connection_of_a_proxy_is_not_one_more() -> None:
    """HIRE-LIM-02: nor refused where its address has no more than its share."""
    door = Door(msgspec.structs.replace(LISTENING, unproved_per_address=1), lambda: 0.0, BEHIND)
    ticket = door.enter("127.0.0.1")
    assert isinstance(ticket, Ticket)
    ticket.remote = "203.0.113.7"
    assert [door.moved(ticket), door.moved(ticket)] == [None, None]
    assert door.unproved == 1
    assert door.enter("203.0.113.7") == NotAdmitted("overloaded", by_address=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.7", "::ffff:203.0.113.7"),
        ("2001:db8::1", "2001:db8::ffff:0:0:2"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_one_place_is_one_whatever_it_is_called(one: str, other: str) -> None:
    """HIRE-LIM-02: an IPv4 address in its other spelling, and the /64 that one customer has."""
    door = Door(msgspec.structs.replace(LISTENING, unproved_per_address=1), lambda: 0.0, NO_PROXIES)
    assert isinstance(door.enter(one), Ticket)
    assert door.enter(other) == NotAdmitted("overloaded", by_address=True)


@pytest.mark.parametrize("proxies", [NO_PROXIES, BEHIND], ids=["not listed", "listed"])
async def test_who_is_proved_stays_when_the_door_closes_to_its_address(proxies: Proxies) -> None:
    """Only who is let in changes: a hire that is under way goes on beside strangers from the same place that fail."""
    field = "X-Forwarded-For: 203.0.113.7"
    async with served(msgspec.structs.replace(LISTENING, failures=3), proxies=proxies) as serving:
        reader, writer = await raw(serving)
        writer.write(said(field, UPGRADE))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await settled(lambda: len(serving.channels) == 1)

        async def refuse(channel: Channel) -> None:
            raise ProofError("proof_invalid", "not theirs")

        serving.listener._accept = refuse
        await fail(serving, field, 3)
        assert await status(serving, said(field)) == 429
        writer.write(frame(b'"still here"'))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        assert serving.messages == [b'"still here"']


async def test_that_the_door_is_closed_to_an_address_is_said_with_what_may_be_wrong() -> None:
    """Once, however many failures were told before it: the proxy is not listed, or names nobody."""

    def closed() -> list[dict[str, Any]]:
        return [dict(line) for line in logs if line["event"] == "closed to an address"]

    limits = msgspec.structs.replace(LISTENING, failures=TOLD + 2)
    with capture_logs() as logs:
        async with served(limits, proves=False, proxies=Proxies(["127.0.0.9"])) as serving:
            await fail(serving, "", TOLD + 1)
            assert closed() == []
            await fail(serving, "", 1)
            for _ in range(3):
                assert await status(serving, said("")) == 429
            (line,) = closed()
            assert (line["remote"], line["seconds"], line["log_level"]) == ("127.0.0.1", 60.0, "warning")
            assert line["hint"].endswith('in [listen] of the settings: proxies = ["127.0.0.1"]')
            await fail(serving, "", TOLD + 2, source="127.0.0.9")
            assert [one["remote"] for one in closed()] == ["127.0.0.1", "127.0.0.9"]
            assert closed()[1]["hint"].endswith("names no caller: let it set X-Forwarded-For")


async def test_that_too_many_come_from_an_address_is_said_with_what_may_be_wrong() -> None:
    with capture_logs() as logs:
        async with served(ListenerLimits(channel=LIMITS, unproved_per_address=1, unproved=2)) as serving:
            await asking(serving)
            await settled(lambda: serving.listener.door.unproved == 1)
            await ended((await raw(serving))[0])
            await asking(serving, source="127.0.0.2")
            await settled(lambda: serving.listener.door.unproved == 2)
            await ended((await raw(serving, source="127.0.0.3"))[0])
    told = [line for line in logs if line["event"] == "handshake failed"]
    assert [(line["remote"], line["code"], "hint" in line) for line in told] == [
        ("127.0.0.1", "overloaded", True),
        ("127.0.0.3", "overloaded", False),  # because of everybody together
    ]


async def test_what_asks_for_an_artifact_is_told_who_calls() -> None:
    async with served(proxies=BEHIND) as serving:
        request = GET.replace(b"/.well-known/did.json", b"/artifacts/" + digest_bytes(b"another").encode())
        await status(serving, said("X-Forwarded-For: 203.0.113.7", request))
        await status(serving, said("X-Forwarded-For: 203.0.113.7", request), source="127.0.0.2")
        assert [one.address for one in serving.asked] == ["203.0.113.7", "127.0.0.2"]
