"""SC-76 to SC-80, SC-18 and SC-105: strangers on the socket. Everything here speaks raw bytes to a real listener."""

from __future__ import annotations

import asyncio
import gzip
import resource
from collections.abc import Iterator

import msgspec
import pytest
from aiohttp import web
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from integration.hires import until
from security.raw_peer import (
    DIGEST,
    EMPTY,
    GET,
    LIMITS,
    LISTENING,
    LONG,
    UPGRADE,
    asking,
    edge,
    ended,
    frame,
    goes_on,
    raw,
    served,
    settled,
    status,
    unread,
    upgraded,
)
from support import held_time, refuses
from undersigned.daemon.door import OWN_FILES, more_files, within_files
from undersigned.daemon.listener import TOLD, ListenerLimits
from undersigned.daemon.near import NearListener
from undersigned.errors import Closed, ProofError, TransportError, UndersignedError
from undersigned.transport import Allowance, Channel, ChannelLimits, FailureBudget, LogBudget, Watch, admit, connect
from undersigned.transport.websocket import AcceptedChannel

HURRIED = ListenerLimits(channel=LIMITS, head_seconds=0.5)


async def close_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Code and reason of the close frame that comes next, other frames left aside."""
    while True:
        first, size = await reader.readexactly(2)
        payload = await reader.readexactly(size)
        if first & 0x0F == 8:
            return int.from_bytes(payload[:2], "big"), payload[2:]


# --- SC-76 ----------------------------------------------------------------------------------------------------------


async def test_sc_76_a_slow_handshake_is_ended_and_honest_peers_connect() -> None:
    async with served(HURRIED) as serving:
        with held_time() as put_forward:
            streams = [await raw(serving) for _ in range(20)]
            for number, byte in enumerate(UPGRADE):
                for _, writer in streams:
                    writer.write(bytes([byte]))
                if number == 5:
                    await goes_on(serving)
                    assert serving.listener.door.unproved == 20
                put_forward(0.05)
                await asyncio.sleep(0)
        for reader, _ in streams:
            assert b"101" not in await ended(reader)
        assert serving.listener.door.unproved == 0


async def test_sc_76_a_silent_connection_is_ended() -> None:
    async with served(HURRIED) as serving:
        reader, _ = await raw(serving)
        assert await ended(reader) == b""


async def test_sc_76_a_kept_alive_connection_is_ended_too() -> None:
    async with served(HURRIED) as serving:
        with held_time() as put_forward:
            reader, writer = await raw(serving)
            writer.write(b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\nGET /.well-kn")
            answer = await reader.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b'{"id":"did:web:here"}')
            put_forward(2 * HURRIED.head_seconds)
            assert await reader.read() == b""


# --- SC-77 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        frame(b"x", length=60_000),
        frame(b"x", fin=False),
        frame(b"x", fin=False) + frame(b"", opcode=9) + frame(b"x", opcode=0, fin=False),
        b"\x81",
        b"\x81\xfe",
        frame(b"whole") + frame(b"x", length=60_000),
    ],
    ids=["payload", "no fin", "pings between", "half a header", "no length", "after a whole one"],
)
async def test_sc_77_a_message_that_does_not_end_is_not_waited_for(begun) -> None:
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(begun)
        async with asyncio.timeout(5):
            assert await close_of(reader) == (1008, b"timeout")
        await ended(reader)
        assert [exc.code for exc in serving.ended] == ["timeout"]
        await goes_on(serving)


@pytest.mark.parametrize(
    ("begun", "more"),
    [(frame(b"", length=60_000), b"x"), (frame(b"x", fin=False), frame(b"x", opcode=0, fin=False))],
    ids=["bytes", "fragments"],
)
async def test_sc_77_a_dribble_does_not_extend_the_deadline(begun: bytes, more: bytes) -> None:
    """It goes on until the connection is closed: whoever stopped would be closed for that."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(begun)
        closing = asyncio.create_task(close_of(reader))
        async with asyncio.timeout(5):
            while not closing.done():
                writer.write(more)
                await asyncio.sleep(0.02)
        assert await closing == (1008, b"timeout")


async def test_sc_77_many_messages_that_straddle_reads_are_no_slow_message() -> None:
    """Each message has its own time: a stream in which one is always unfinished goes on."""
    whole, parts = frame(b'"message"'), 12
    async with served() as serving:
        reader, writer = await upgraded(serving)
        with held_time() as put_forward:
            writer.write(whole[:-4])
            for number in range(1, parts + 1):
                put_forward(0.5 * LIMITS.message_seconds)
                writer.write(whole[-4:] + whole[:-4])
                while len(serving.messages) < number and not serving.ended:  # noqa: ASYNC110 - a count, as `settled`
                    await asyncio.sleep(0)
        writer.write(whole[-4:] + frame(b"\x03\xe8", opcode=8))
        assert (await close_of(reader))[0] == 1000
        assert serving.messages == [b'"message"'] * (parts + 1)


async def test_sc_77_fragments_are_counted() -> None:
    async with served() as serving:
        reader, writer = await upgraded(serving)
        pieces = [frame(b"x", fin=False)] + [frame(b"x", opcode=0, fin=False)] * 62 + [frame(b"x", opcode=0)]
        writer.write(b"".join(pieces))
        assert await reader.readexactly(2 + len(b'"thanks"')) == b'\x81\x08"thanks"'
        assert serving.messages == [b"x" * 64]
        writer.write(b"".join(pieces[:-1]) + frame(b"", opcode=0, fin=False) * 2)
        assert await close_of(reader) == (1008, b"too_large")


async def test_sc_77_pings_are_counted() -> None:
    """One stranger, and pings of six bytes at a megabyte a second, kept everybody else waiting for seconds."""
    pings = frame(b"", opcode=9) * 32 + frame(b"", opcode=10) * 32
    async with served() as serving:
        _, writer = await upgraded(serving)
        with held_time() as put_forward:
            for number in range(1, 4):
                writer.write(pings + frame(b'"message"'))
                while len(serving.messages) < number and not serving.ended:  # noqa: ASYNC110 - a count, as `settled`
                    await asyncio.sleep(0)
                put_forward(2 * LIMITS.message_seconds)
            assert len(serving.messages) == 3
            writer.write(pings + frame(b"", opcode=9) + frame(b'"message"'))
            while not serving.ended:  # noqa: ASYNC110 - a count, as `settled`
                await asyncio.sleep(0)
        assert [exc.code for exc in serving.ended] == ["rate_limited"]
        assert len(serving.messages) == 3
        await goes_on(serving)


# --- SC-78 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LIMITS.max_message_bytes + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
async def test_sc_78_an_announced_length_is_believed_before_it_is_buffered(size) -> None:
    """HIRE-CNX-03."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(frame(b"", length=size))
        async with asyncio.timeout(5):
            assert (await close_of(reader))[0] == 1009
        await ended(reader)
        assert [exc.code for exc in serving.ended] == ["too_large"]
        assert serving.messages == []


async def test_sc_78_fragments_add_up() -> None:
    async with served() as serving:
        reader, writer = await upgraded(serving)
        piece = b"x" * (LIMITS.max_message_bytes // 63)
        writer.write(frame(piece, fin=False))
        for number in range(63):
            writer.write(frame(piece, opcode=0, fin=number == 62))
        assert (await close_of(reader))[0] == 1009
        assert serving.messages == []
        await goes_on(serving)


async def test_sc_78_a_stranger_may_send_what_a_proof_needs_and_no_more() -> None:
    """HIRE-LIM-02: until the peer has proved itself a message is at most 8 KiB, whatever the limit is afterwards."""
    async with served(proves=False) as serving:
        reader, writer = await upgraded(serving)
        writer.write(frame(b"x" * 8192))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        writer.write(frame(b"", length=8193))
        assert await close_of(reader) == (1009, b"too_large")
        reader, writer = await upgraded(serving)
        writer.write(
            frame(b"x" * 4000, fin=False) + frame(b"x" * 4000, opcode=0, fin=False) + frame(b"", length=193, opcode=0)
        )
        assert await close_of(reader) == (1009, b"too_large")
        assert [len(data) for data in serving.messages] == [8192]


# --- SC-79 ----------------------------------------------------------------------------------------------------------


async def test_sc_79_compression_is_not_negotiated() -> None:
    """HIRE-CNX-02."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(UPGRADE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower()
        assert b"\r\nServer: hire\r\n" in head, "as every other answer, and no more"
        compressed = bytearray(frame(b"x" * 10))
        compressed[0] |= 0x40
        writer.write(bytes(compressed))
        assert (await close_of(reader))[0] == 1002


async def test_sc_79_a_body_is_not_inflated() -> None:
    body = gzip.compress(b"\0" * 1_000_000)
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(
            b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b'{"code":"bad_request"}')


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /.well-known/did.json HTTP/1.1\r\n\r\n", 400),
        (b"GET /.well-known/did.json HTTP/1.0\r\n\r\n", 400),
        (b"GET /.well-known/did.json HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET http://localhost/.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET //localhost/.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"POST /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ],
)
async def test_a_request_of_another_form_is_none_of_ours(sent: bytes, status: int) -> None:
    """So that whatever stands before us and we read one request alike."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(sent)
        answer = await ended(reader)
    assert answer.split()[1] == b"%d" % status
    assert answer.endswith(b'{"code":"bad_request"}')
    assert (b"\r\nAllow: GET, HEAD\r\n" in answer) == (status == 405)


# --- SC-80 ----------------------------------------------------------------------------------------------------------


async def test_sc_80_strangers_are_counted_by_address_and_altogether() -> None:
    """HIRE-LIM-02."""
    limits = ListenerLimits(channel=LIMITS, unproved=6, unproved_per_address=4, head_seconds=5)
    async with served(limits) as serving:
        door = serving.listener.door
        first = [await raw(serving) for _ in range(4)]
        await settled(lambda: door.unproved == 4)
        refused_reader, _ = await raw(serving)
        refused = await ended(refused_reader)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert refused.endswith(b'{"code":"overloaded"}')
        with pytest.raises(TransportError) as caught:
            await connect(serving.url, limits=LIMITS)
        assert caught.value.code in ("overloaded", "unreachable")
        other = [await raw(serving, source="127.0.0.2") for _ in range(2)]
        await settled(lambda: door.unproved == 6)
        third = await raw(serving, source="127.0.0.3")
        assert await ended(first[0][0]) == b"", "the oldest from where most are has made room"
        assert door.unproved == 6
        for _, writer in [*first, *other, third]:
            writer.close()
        await settled(lambda: door.unproved == 0)
        await goes_on(serving)


async def test_sc_80_who_says_nothing_keeps_nobody_out() -> None:
    """HIRE-LIM-02: nor who asks for a channel and then says nothing. Who comes next is let in, wherever they come from;
    and who is alone at an address stays where others are many.
    """
    limits = ListenerLimits(channel=LIMITS, unproved=8, unproved_per_address=4, head_seconds=5)
    async with served(limits, proves=False) as serving:
        alone = await raw(serving, source="127.0.0.9")
        silent = [await raw(serving, source=f"127.0.1.{number % 3}") for number in range(6)]
        _, writer = await raw(serving, source="127.0.1.2")
        writer.write(UPGRADE)
        await settled(lambda: len(serving.channels) == 1)
        assert serving.listener.door.unproved == 8

        async def others_come(*numbers: int) -> None:
            for number in numbers:
                assert await status(serving, GET + b"\r\n", source=f"127.0.2.{number}") == 200
                assert serving.listener.door.unproved <= 8

        await others_come(*range(4))
        alone[1].write(GET + b"Connection: close\r\n\r\n")
        assert (await ended(alone[0])).startswith(b"HTTP/1.1 200 ")
        await others_come(*range(4, 20))
        assert [await ended(reader) for reader, _ in silent] == [b""] * 6
        await settled(lambda: len(serving.ended) == 1)


async def test_sc_80_who_is_being_answered_stays() -> None:
    """HIRE-LIM-02: what is under way ends; while all are being answered, one more is told to come again."""
    limits = ListenerLimits(channel=LIMITS, unproved=2, head_seconds=5)
    with capture_logs() as logs:
        async with served(limits) as serving:
            waiting = [await asking(serving, source="127.0.0.2") for _ in range(2)]
            assert await status(serving, GET + b"\r\n") == 503
            serving.found.set()
            for reader, _ in waiting:
                assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
    assert [line["code"] for line in logs if line["event"] == "handshake failed"] == ["overloaded"]


async def test_sc_80_one_makes_room_for_one() -> None:
    """HIRE-LIM-02: also where more are there, of a proved peer's, than others may be; and nobody goes for nothing."""
    limits = ListenerLimits(channel=LIMITS, unproved=2, reserved=2, head_seconds=5)
    async with served(limits) as serving:
        door = serving.listener.door
        channel = await connect(serving.url, limits=LIMITS)
        await settled(lambda: door.unproved == 0)
        await asking(serving)
        silent = [await raw(serving) for _ in range(2)]
        await asking(serving)
        assert door.unproved == 4
        assert await status(serving, GET + b"\r\n", source="127.0.0.2") == 200
        assert await ended(silent[0][0]) == b""
        assert door.unproved == 4
        silent[1][1].write(GET + b"Connection: close\r\n\r\n")
        assert (await ended(silent[1][0])).startswith(b"HTTP/1.1 200 ")
        await channel.close()


async def test_sc_80_to_make_room_is_no_failed_proof() -> None:
    """HIRE-LIM-02: or a crowd would have the door closed to whoever it drives out."""
    limits = ListenerLimits(channel=LIMITS, unproved=1, failures=2, head_seconds=5)
    async with served(limits, proves=False) as serving:
        for number in range(2):
            reader, _ = await upgraded(serving)
            await raw(serving, source="127.0.0.2")
            await ended(reader)
            await settled(lambda number=number: len(serving.ended) == number + 1)
        assert await status(serving, GET + b"\r\n") == 200


async def test_sc_80_who_leaves_an_answer_unread_keeps_nobody_out() -> None:
    """HIRE-LIM-02: nobody waits for us there. Who says nothing goes first, for what is unread may be on a slow line."""
    async with served(ListenerLimits(channel=LIMITS, unproved=2, head_seconds=5)) as serving:
        _, writer = await unread(serving, source="127.0.0.2")
        slow = edge(serving, writer)
        silent, _ = await raw(serving, source="127.0.0.3")
        await asking(serving, source="127.0.0.4")
        assert await ended(silent) == b""
        assert slow.ticket.open
        assert await status(serving, GET + b"\r\n") == 200
        assert not slow.ticket.open


async def test_sc_80_a_proved_peer_is_no_stranger() -> None:
    limits = ListenerLimits(channel=LIMITS, unproved_per_address=2)
    async with served(limits) as serving:
        channels = []
        for _ in range(6):
            channels.append(await connect(serving.url, limits=LIMITS))
            await settled(lambda: serving.listener.door.unproved == 0)
        assert serving.listener.door.connections == 6
        for channel in channels:
            await channel.send(b"{}")
            assert await channel.receive() == b'"thanks"'
            await channel.close()
        await settled(lambda: serving.listener.door.connections == 0)


async def test_sc_80_where_somebody_is_proved_a_crowd_shuts_nobody_out() -> None:
    """A few more strangers are let in from there, and only while the peer is."""
    limits = ListenerLimits(channel=LIMITS, unproved=2, reserved=1, head_seconds=5)
    async with served(limits) as serving:
        door = serving.listener.door
        channel = await connect(serving.url, limits=LIMITS)
        await settled(lambda: door.unproved == 0)
        for _ in range(2):
            await asking(serving, source="127.0.0.2")
        assert door.unproved == 2
        crowd, _ = await raw(serving, source="127.0.0.2")
        assert (await ended(crowd)).startswith(b"HTTP/1.1 503 ")
        reader, writer = await raw(serving)
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")
        await settled(lambda: door.unproved == 2)
        await asking(serving)
        assert door.unproved == 3
        one_more, _ = await raw(serving)
        assert (await ended(one_more)).startswith(b"HTTP/1.1 503 ")
        await channel.close()
        await settled(lambda: door.connections == 3)
        gone, _ = await raw(serving)
        assert (await ended(gone)).startswith(b"HTTP/1.1 503 ")


async def test_proved_peers_from_one_address_are_bounded_too() -> None:
    """HIRE-LIM-02: a name costs nothing; who is there stays, and other addresses have their own share."""
    limits = ListenerLimits(channel=LIMITS, proved_per_address=2)
    async with served(limits) as serving:
        there = [await connect(serving.url, limits=LIMITS) for _ in range(2)]
        await settled(lambda: serving.listener.door.unproved == 0)
        more = await connect(serving.url, limits=LIMITS)
        with pytest.raises(Closed) as caught:
            await more.receive()
        assert (caught.value.code, caught.value.detail["close_code"]) == ("overloaded", 1008)
        await settled(lambda: serving.listener.door.connections == 2)
        for channel in there:
            await channel.send(b"{}")
            assert await channel.receive() == b'"thanks"'
        await raw(serving, source="127.0.0.2")
        await settled(lambda: serving.listener.door.connections == 3)
        await there[0].close()
        await settled(lambda: serving.listener.door.connections == 2)
        again = await connect(serving.url, limits=LIMITS)
        await again.send(b"{}")
        assert await again.receive() == b'"thanks"'


async def test_sc_80_everybody_together_is_bounded() -> None:
    limits = ListenerLimits(channel=LIMITS, connections=3)
    async with served(limits) as serving:
        channels = [await connect(serving.url, limits=LIMITS) for _ in range(3)]
        with pytest.raises(TransportError):
            await connect(serving.url, limits=LIMITS)
        for channel in channels:
            await channel.close()


@pytest.fixture
def few_files() -> Iterator[int]:
    """So many files may this process have open: twice what a peer keeps for itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * OWN_FILES, hard))
    yield 2 * OWN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_sc_80_strangers_leave_files_to_the_work(few_files: int) -> None:
    """Of half of what may be open they take half: the stores of contracts, and peers who are proved, have the rest.
    The operator hears how many there are.
    """
    limits = msgspec.structs.replace(LISTENING, unproved_per_address=few_files)
    most = few_files // 4
    with capture_logs() as logs:
        async with served(limits) as serving:
            silent = [await raw(serving) for _ in range(most + 1)]
            assert await ended(silent[0][0]) == b""
            assert serving.listener.door.unproved == most
            await until(lambda: logs)
    assert logs[0]["code"] == "overloaded"
    told = f"{most} are connected who did not prove who they are; {most} may be at a time"
    assert logs[0]["reason"] == f"it made room: {told}"


async def test_silent_callers_leave_files_to_a_gate(few_files: int) -> None:
    """HIRE-GTS-17: a gate opens others for whom it answers, and strangers who say nothing leave it those."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="yes")

    most = few_files // 4
    async with NearListener(answer, "127.0.0.1", 0, connections=2 * few_files) as near:
        held = [await asyncio.open_connection("127.0.0.1", near.port) for _ in range(most)]
        reader, writer = await asyncio.open_connection("127.0.0.1", near.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await ended(reader)).endswith(b"yes")
        assert await ended(held[0][0]) == b"", "the oldest made room"
        for _, one in (*held, (reader, writer)):
            one.close()


def test_so_many_connections_as_files_may_be_open(few_files: int) -> None:
    """At least half of them are for connections, and no more are promised than was set."""
    bounds = within_files(ListenerLimits())
    assert (bounds.connections, bounds.unproved, bounds.reserved) == (few_files // 2, few_files // 4, few_files // 8)
    small = ListenerLimits(connections=few_files - OWN_FILES)
    assert within_files(small) == small
    one_more = ListenerLimits(connections=few_files - OWN_FILES + 1, unproved=3, reserved=2)
    assert within_files(one_more) == msgspec.structs.replace(one_more, connections=few_files - OWN_FILES)
    more_files(ListenerLimits(connections=few_files))
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few_files + OWN_FILES
    more_files(small)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == few_files + OWN_FILES, "what may be open already may still"


# --- what the operator hears ------------------------------------------------------------------------------------------


async def test_each_failed_handshake_is_one_line_and_there_are_not_any_number() -> None:
    """Code, address and the beginning of why; after so many in a minute the next line says how many were left out."""

    async def accept(channel: Channel) -> None:
        await channel.receive()
        raise ProofError("proof_invalid", "not theirs" * 100)

    with capture_logs() as logs:
        async with served(msgspec.structs.replace(LISTENING, failures=1000)) as serving:
            serving.listener._accept = accept
            reader, writer = await raw(serving)
            writer.write(UPGRADE.replace(b"hire.v1", b"hire.v9"))
            await reader.read()
            for _ in range(TOLD + 4):
                reader, writer = await upgraded(serving)
                writer.write(frame(b"{}"))
                assert await close_of(reader) == (1008, b"proof_invalid")
            serving.listener._told._budget = FailureBudget(1)  # the minute is over
            reader, writer = await raw(serving)
            writer.write(UPGRADE.replace(b"Version: 13", b"Version: 12"))
            await reader.read()
    told = [line for line in logs if line["event"] == "handshake failed"]
    assert {line["remote"] for line in told} == {"127.0.0.1"}
    assert [line["code"] for line in told[:2]] == ["version_not_supported", "proof_invalid"]
    assert [line["untold"] for line in told] == [0] * TOLD + [5]
    assert told[0]["log_level"] == "warning"
    assert "came 'hire.v9" in told[0]["reason"]
    assert told[-1]["reason"] == "expected version 13 of WebSocket; came '12'"
    assert told[1]["reason"] == ("not theirs" * 100)[:256]


async def test_what_ends_the_channel_of_who_is_proved_is_no_failed_handshake() -> None:
    async def accept(channel: Channel) -> None:
        channel.peer = "did:web:globex.example"
        raise ProofError("proof_invalid", "not theirs")

    with capture_logs() as logs:
        async with served() as serving:
            serving.listener._accept = accept
            reader, _ = await upgraded(serving)
            assert await close_of(reader) == (1008, b"proof_invalid")
    events = [line["event"] for line in logs]
    assert "channel ended" in events
    assert "handshake failed" not in events


# --- frames that are not ours (SC-18 and rule 5) --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "close_code"),
    [
        (frame(b'"\xff"'), 1007),
        (frame(b"\xc0\xaf"), 1007),
        (frame(b"\xed\xa0\x80"), 1007),
        (frame(b'"whole"', opcode=2), 1003),
        (frame(b'"whole"', mask=False), 1002),
        (frame(b"x", opcode=3), 1002),
        (frame(b"x", opcode=0), 1002),
        (frame(b"x", opcode=9, fin=False), 1002),
        (frame(b"x" * 126, opcode=9), 1002),
    ],
)
async def test_sc_18_frames_that_are_not_text_close_with_their_code(sent, close_code) -> None:
    """HIRE-CNX-03."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(sent)
        async with asyncio.timeout(5):
            assert (await close_of(reader))[0] == close_code
        assert serving.messages == []
        await goes_on(serving)


async def test_who_dialled_is_told_that_what_came_was_binary() -> None:
    """HIRE-CNX-03: the close code alone tells an operator nothing."""

    async def says_bytes(socket: ServerConnection) -> None:
        await socket.send(b"{}")
        await socket.wait_closed()

    async with serve(says_bytes, "127.0.0.1", 0, subprotocols=[Subprotocol("hire.v1")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        channel = await connect(f"ws://127.0.0.1:{port}/hire", limits=ChannelLimits(local=True))
        with pytest.raises(Closed, match="with 1003 bad_request; came a binary frame, and each message is a text"):
            await channel.receive()
        await channel.close(1000, "")


async def test_frames_before_the_answer_are_refused() -> None:
    """They could not be watched from their start, so a client has to wait, as RFC 6455 says."""
    for early in (frame(b'"early"'), b"\x81", frame(b"\r\n\r\n", length=1000)):
        async with served() as serving:
            reader, writer = await raw(serving)
            writer.write(UPGRADE + early)
            assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")
            assert serving.messages == []


@pytest.mark.parametrize("early", [b"", b"\x81", frame(b'"early"'), frame(b"\r\n\r\n")])
async def test_an_upgrade_may_follow_a_request_on_its_connection(early: bytes) -> None:
    """HIRE-CNX-02: clients that keep connections fetch the DID document over the one that they then dial on. What
    follows its head is not read there either.
    """
    async with served() as serving:
        reader, writer = await raw(serving)
        for _ in range(2):
            writer.write(b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"}")
        writer.write(UPGRADE + early)
        if early:
            assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")
            assert serving.messages == []
            return
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(b'"said"'))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        writer.close()


async def test_an_upgrade_behind_what_was_not_waited_for_is_none() -> None:
    """HIRE-CNX-02: two requests at once; where the head of the one ends and the other begins, nobody told us."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\n" + UPGRADE)
        await reader.readuntil(b"}")
        assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")


async def test_a_handshake_in_single_bytes_works_if_it_is_quick() -> None:
    async with served() as serving:
        reader, writer = await raw(serving)
        for byte in UPGRADE:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        for byte in frame(b'"bytes"'):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        assert serving.messages == [b'"bytes"']
        writer.close()


# --- SC-105 ---------------------------------------------------------------------------------------------------------


async def test_sc_105_failed_proofs_use_up_the_budget_of_an_address() -> None:
    """After `failures` of them the address is refused before anything of it is read; others are not (HIRE-LIM-02)."""
    limits = ListenerLimits(channel=LIMITS, failures=3)
    async with served(limits) as serving:

        async def accept(channel: Channel) -> None:
            await admit(channel, {}, unresolved, lambda: "2026-11-25T12:00:00Z")

        serving.listener._accept = accept
        for _ in range(3):
            channel = await connect(serving.url, limits=LIMITS)
            await channel.receive()
            await channel.send(b'{"type":"Connection"}')
            with refuses(Closed, "schema_violation"):
                await channel.receive()
        await settled(lambda: serving.listener.door.connections == 0)
        reader, _ = await raw(serving)
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert answer.endswith(b'{"code":"rate_limited"}')
        reader, writer = await raw(serving, source="127.0.0.2")
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")


async def unresolved(did: str):
    raise AssertionError(did)


def test_sc_105_a_budget_counts_failures_in_a_window() -> None:
    budget = FailureBudget(3, 60.0)
    for at in (0.0, 10.0):
        budget.spend("did:web:mallory.example", at)
        assert not budget.exhausted("did:web:mallory.example", at)
    with refuses(TransportError, "rate_limited"):
        budget.spend("did:web:mallory.example", 20.0)
    assert budget.exhausted("did:web:mallory.example", 59.9)
    assert not budget.exhausted("did:web:globex.example", 20.0)
    assert not budget.exhausted("did:web:mallory.example", 60.0)
    budget.spend("did:web:mallory.example", 60.0)
    assert not budget.exhausted("did:web:mallory.example", 60.0)
    budget.spend("did:web:mallory.example", 60.0)
    assert budget.count("did:web:mallory.example", 60.0)
    assert budget.exhausted("did:web:mallory.example", 119.9)
    assert not budget.exhausted("did:web:mallory.example", 120.0)


def test_sc_105_a_peer_has_twenty_failures_in_a_minute() -> None:
    """As the table says; of one that may have a single failure, who has none yet is heard."""
    budget = FailureBudget()
    assert [budget.count("did:web:mallory.example", 0.0) for _ in range(20)] == [False] * 19 + [True]
    assert budget.exhausted("did:web:mallory.example", 59.9)
    assert not budget.exhausted("did:web:mallory.example", 60.0)
    assert not FailureBudget(1).exhausted("did:web:mallory.example", 0.0)


def test_a_log_has_twenty_lines_a_minute_of_one_thing_and_says_how_many_it_has_not() -> None:
    budget = LogBudget()
    assert [budget.take(0.0) for _ in range(22)] == [0] * 20 + [None] * 2
    assert budget.take(59.9, "another") == 2
    assert (budget.take(59.9), budget.take(60.0), budget.take(60.0)) == (None, 1, 0)


def test_an_allowance_says_how_long_to_wait() -> None:
    """So much at once, and then no faster than it comes back; what was brought meanwhile counts."""
    allowance = Allowance(600)
    assert allowance.take("127.0.0.1", 600, 0.0) == 0.0
    assert allowance.take("127.0.0.1", 100, 0.0) == 10.0
    assert allowance.take("127.0.0.1", 100, 0.0) == 20.0
    assert allowance.take("127.0.0.2", 600, 0.0) == 0.0
    assert allowance.take("127.0.0.1", 0, 20.0) == 0.0
    assert allowance.take("127.0.0.1", 600, 80.0) == 0.0
    assert allowance.take("127.0.0.1", 601, 10_000.0) == 0.1


def test_an_allowance_holds_a_bounded_number_of_keys() -> None:
    allowance = Allowance(60, max_keys=10)
    for number in range(1000):
        allowance.take(f"key {number}", 60, 1.0)
    assert allowance.take("key 999", 1, 1.0) == 1.0
    assert allowance.take("key 0", 1, 1.0) == 0.0
    assert len(allowance._taken) == 10


def test_sc_105_a_budget_holds_a_bounded_number_of_keys() -> None:
    budget = FailureBudget(2, 60.0, max_keys=10)
    for number in range(1000):
        budget.spend(f"key {number}", 1.0)
    with pytest.raises(TransportError):
        budget.spend("key 999", 1.0)
    assert not budget.exhausted("key 0", 1.0)
    assert len(budget._windows) == 10


def test_sc_105_room_is_made_by_whose_window_began_first() -> None:
    """Not by whoever was counted first: it would begin anew by having others counted."""
    budget = FailureBudget(2, 60.0, max_keys=2)
    for key, at in (("first", 0.0), ("second", 10.0), ("first", 70.0), ("third", 71.0)):
        assert not budget.count(key, at)
    assert budget.count("first", 72.0)


async def test_sc_81_who_takes_no_close_frame_is_let_go() -> None:
    """What waits for it is thrown away `close_seconds` later, and its place is free."""
    async with served() as serving:
        _, writer = await upgraded(serving)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await settled(lambda: bool(serving.channels))
        (channel,) = serving.channels
        assert isinstance(channel, AcceptedChannel)
        said: list[asyncio.Task[None]] = []
        while not channel._transport.get_write_buffer_size():
            said.append(asyncio.create_task(channel.send(LONG)))
            await asyncio.sleep(0)
        await channel.close()
        await settled(lambda: serving.listener.door.connections == 0)
        await asyncio.gather(*said, return_exceptions=True)


# --- the watch alone ------------------------------------------------------------------------------------------------


async def test_the_watch_reads_frames_however_they_are_cut() -> None:
    """Any cut of a good stream is the same stream: no frame is misread as another."""
    stream = b"".join(
        [
            frame(b"x" * 125), frame(b"x" * 126), frame(b"y" * 70_000), frame(b""), frame(b"", opcode=9),
            frame(b"a", fin=False), frame(b"ping", opcode=9), frame(b"", opcode=0), frame(b'"end"'),
        ]
    )  # fmt: skip
    for step in (1, 2, 3, 7, 1000, len(stream)):
        broken: list[tuple[object, ...]] = []
        watch = Watch(
            ChannelLimits(), lambda *why, to=broken: to.append(why), masked=True, paused_reading=lambda: False
        )
        assert all(watch.received(stream[at : at + step]) for at in range(0, len(stream), step))
        assert broken == []
        assert watch._message_timer is None
        watch.received(frame(b"x", opcode=2))
        assert broken == [(1003, "bad_request")]


async def test_what_comes_after_the_end_is_not_watched() -> None:
    """Of who broke a rule nothing is parsed any more; of whom we close in good order the close frame still is."""
    broken: list[tuple[int, str]] = []
    for failed in (True, False):
        watch = Watch(ChannelLimits(), lambda *why: broken.append(why), masked=True, paused_reading=lambda: False)
        if failed:
            assert not watch.received(frame(b"x", opcode=2))
        else:
            watch.end()
        assert watch.received(frame(b"{}")) is not failed
        assert watch.received(frame(b"x", opcode=2) + frame(b"a" * 10)[:5]) is not failed
        assert watch._message_timer is None
    assert broken == [(1003, "bad_request")]


async def test_a_message_has_its_time_from_its_first_byte_to_its_last() -> None:
    """Neither its further parts nor pings give it more; the next one has its own, also where both come at once."""
    watch = Watch(ChannelLimits(), lambda *_: None, masked=True, paused_reading=lambda: False)
    watch.received(frame(b"a" * 10, fin=False)[:5])
    first = watch._message_timer
    assert first is not None
    watch.received(frame(b"a" * 10, fin=False)[5:])
    for data in (frame(b"b", opcode=0, fin=False), frame(b"", opcode=9), frame(b"c", opcode=0, fin=False)):
        watch.received(data)
        assert watch._message_timer is first
    watch.received(frame(b"d", opcode=0) + frame(b"e" * 10)[:5])
    assert watch._message_timer not in (None, first)
    assert first.cancelled()
    watch.end()
    assert watch._message_timer is None


async def test_the_watch_gives_time_while_we_do_not_read() -> None:
    """It is the peer's time that is bounded, not ours."""
    broken: list[str] = []
    paused = True
    limits = ChannelLimits(message_seconds=0.02)
    watch = Watch(limits, lambda code, reason: broken.append(reason), masked=True, paused_reading=lambda: paused)
    watch.received(frame(b"", length=100))
    await asyncio.sleep(0.06)
    assert broken == []
    paused = False
    await settled(lambda: broken == ["timeout"])


def test_errors_of_this_page_are_in_the_table() -> None:
    for code in ("timeout", "too_large", "overloaded", "version_not_supported", "bad_request", "rate_limited"):
        assert UndersignedError(code, "").row.told == "at once"


@pytest.mark.parametrize(
    "asked", [UPGRADE, GET + b"\r\n", b"GET /artifacts/" + DIGEST.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
async def test_who_leaves_before_the_answer_leaves_no_defect_in_the_log(asked: bytes) -> None:
    """Anybody can, and a peer that slept finds many who did."""
    async with served() as serving:
        with capture_logs() as logs:
            for _ in range(50):
                _, writer = await raw(serving)
                writer.write(asked)
                writer.transport.abort()
            await asyncio.sleep(0.3)
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def test_fields_of_a_request_for_an_artifact_are_the_octets_that_were_sent() -> None:
    """HIRE-RQS-01: a signature may cover any of them, as at a gate."""
    head = b"GET /artifacts/" + EMPTY.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
    async with served() as serving:
        assert await status(serving, head + b"X-Note: \xc3\xa9 \xff\r\n\r\n") == 200
    assert serving.asked[0].headers == (("Host", "localhost"), ("X-Note", "\xc3\xa9 \xff"))
