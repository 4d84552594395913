"""What every transport promises, run over each of them with real sockets where it has any."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support import refuses
from undersigned.daemon.answers import ArtifactRequest, ArtifactResponse
from undersigned.daemon.listener import ListenerLimits, PublicListener
from undersigned.encoding import digest_bytes
from undersigned.errors import Closed, TransportError
from undersigned.transport import TRANSPORTS, Channel, ChannelLimits, connect, listen_memory, memory_pair

LIMITS = ChannelLimits(local=True, max_message_bytes=64 * 1024, queue_bytes=512 * 1024, close_seconds=0.5)


@dataclass
class Ends:
    """The two ends of one open channel."""

    dialled: Channel
    accepted: Channel


@asynccontextmanager
async def over_memory(accept: Callable[[Channel], Awaitable[None]], limits: ChannelLimits) -> AsyncIterator[str]:
    listener = listen_memory("here", accept, limits=limits)
    try:
        yield "memory://here"
    finally:
        await listener.close()


@asynccontextmanager
async def over_websocket(accept: Callable[[Channel], Awaitable[None]], limits: ChannelLimits) -> AsyncIterator[str]:
    listener = PublicListener(
        "127.0.0.1", 0, documents=lambda path: None, accept=accept, limits=ListenerLimits(channel=limits)
    )
    await listener.start()
    try:
        yield f"ws://127.0.0.1:{listener.port}/hire"
    finally:
        await listener.stop()


@asynccontextmanager
async def over_tls(accept: Callable[[Channel], Awaitable[None]], limits: ChannelLimits) -> AsyncIterator[str]:
    listener = PublicListener(
        "127.0.0.1",
        0,
        documents=lambda path: None,
        accept=accept,
        limits=ListenerLimits(channel=limits),
        ssl=serving_tls(),
    )
    await listener.start()
    try:
        yield f"wss://localhost:{listener.port}/hire"
    finally:
        await listener.stop()


@cache
def certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate for localhost, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    return (
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
    )


@cache
def serving_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder, "both.pem")
        file.write_bytes(b"".join(certificate()))
        context.load_cert_chain(file)
    return context


@cache
def dialling_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certificate()[0].decode())


@pytest.fixture(params=[over_memory, over_websocket, over_tls], ids=["memory", "websocket", "tls"])
def open_channel(request):
    """Opens one channel, each end under limits of its own, and closes it at the end."""

    @asynccontextmanager
    async def opened(
        accepting: ChannelLimits = LIMITS, dialling: ChannelLimits = LIMITS, *, proved: bool = True
    ) -> AsyncIterator[Ends]:
        arrived: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        async def accept(channel: Channel) -> None:
            if proved:
                channel.proved("did:web:globex.example")
            arrived.set_result(channel)
            await over.wait()

        async with request.param(accept, accepting) as url:
            dialled = await connect(url, limits=dialling, ssl=dialling_tls() if url.startswith("wss:") else None)
            try:
                yield Ends(dialled, await arrived)
            finally:
                await dialled.close()
                over.set()

    return opened


async def test_messages_arrive_whole_and_in_order_both_ways(open_channel) -> None:
    sent = [b"{}", b'{"a":"' + "ü".encode() * 300 + b'"}', b'"' + b"x" * 60_000 + b'"']
    async with open_channel() as ends:
        for data in sent:
            await ends.dialled.send(data)
        assert [await ends.accepted.receive() for _ in sent] == sent
        for data in sent:
            await ends.accepted.send(data)
        assert [await ends.dialled.receive() for _ in sent] == sent


async def test_many_senders_share_one_channel(open_channel) -> None:
    async with open_channel() as ends:
        messages = [f'"{number}"'.encode() for number in range(200)]
        received = asyncio.create_task(gathered(ends.accepted, len(messages)))
        await asyncio.gather(*(ends.dialled.send(data) for data in messages))
        assert sorted(await received) == sorted(messages)


async def gathered(channel: Channel, count: int) -> list[bytes]:
    return [await channel.receive() for _ in range(count)]


async def test_nobody_is_there_until_proved(open_channel) -> None:
    async with open_channel(proved=False) as ends:
        assert ends.dialled.peer is None
        assert ends.accepted.peer is None
        ends.accepted.proved("did:web:acme.example")
        assert ends.accepted.peer == "did:web:acme.example"


async def test_the_limits_and_the_address_are_readable(open_channel) -> None:
    async with open_channel() as ends:
        assert ends.accepted.limits == LIMITS
        assert ends.dialled.limits == LIMITS
        assert ends.accepted.address
        assert ends.dialled.address


@pytest.mark.parametrize("closer", ["dialled", "accepted"])
async def test_closing_ends_both(open_channel, closer) -> None:
    """The other side learns the close code and reason; both sides refuse to send and receive afterwards.

    HIRE-CNX-10.
    """
    async with open_channel() as ends:
        ours = getattr(ends, closer)
        theirs = ends.accepted if closer == "dialled" else ends.dialled
        waiting = asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        await ours.close(1008, "proof_invalid")
        with pytest.raises(Closed) as caught:
            await waiting
        assert caught.value.code == "proof_invalid"
        assert caught.value.detail["close_code"] == 1008
        for channel in (ours, theirs):
            assert channel.closed
            with pytest.raises(Closed):
                await channel.receive()
            with pytest.raises(Closed):
                await channel.send(b"{}")
            await channel.close()


async def test_why_a_channel_ended_stays(open_channel) -> None:
    """Whoever closes it again, as everybody does who is done with it, hides from nobody why it ended."""
    async with open_channel() as ends:
        waiting = asyncio.create_task(ends.accepted.receive())
        await ends.dialled.close(1008, "rate_limited")
        with refuses(Closed, "rate_limited"):
            await waiting
        for channel in (ends.dialled, ends.accepted):
            await channel.close()
        for channel in (ends.dialled, ends.accepted):
            with refuses(Closed, "rate_limited"):
                await channel.send(b"{}")


async def test_a_reason_of_the_peer_that_is_no_code_is_not_believed(open_channel) -> None:
    async with open_channel() as ends:
        waiting = asyncio.create_task(ends.accepted.receive())
        await asyncio.sleep(0)
        await ends.dialled.close(1008, "store_corrupt")
        with pytest.raises(Closed) as caught:
            await waiting
        assert caught.value.code == "connection_closed"
        assert "store_corrupt" not in str(caught.value)


async def test_what_was_sent_before_the_close_arrives(open_channel) -> None:
    async with open_channel() as ends:
        await ends.dialled.send(b'"last"')
        closing = asyncio.create_task(ends.dialled.close())
        assert await ends.accepted.receive() == b'"last"'
        with refuses(Closed, "connection_closed"):
            await ends.accepted.receive()
        await closing


async def test_a_close_wakes_our_own_reader(open_channel) -> None:
    async with open_channel() as ends:
        for channel in (ends.accepted, ends.dialled):
            waiting = asyncio.create_task(channel.receive())
            await asyncio.sleep(0)
            await channel.close()
            with pytest.raises(Closed):
                await waiting


async def test_a_message_of_exactly_the_limit_passes(open_channel) -> None:
    async with open_channel() as ends:
        data = b'"' + b"x" * (LIMITS.max_message_bytes - 2) + b'"'
        await ends.dialled.send(data)
        assert await ends.accepted.receive() == data
        await ends.accepted.send(data)
        assert await ends.dialled.receive() == data


async def test_a_message_past_our_own_limit_is_not_sent(open_channel) -> None:
    """Refused here, and the channel goes on."""
    async with open_channel() as ends:
        for sender, receiver in ((ends.dialled, ends.accepted), (ends.accepted, ends.dialled)):
            with refuses(TransportError, "too_large"):
                await sender.send(b"x" * (LIMITS.max_message_bytes + 1))
            await sender.send(b"{}")
            assert await receiver.receive() == b"{}"


@pytest.mark.parametrize("small", ["dialling", "accepting"])
async def test_sc_78_a_message_past_the_peers_limit_closes(open_channel, small) -> None:
    """Both sides learn `too_large`: the one that refuses by itself, the other by close code 1009 (HIRE-CNX-03)."""
    less = msgspec.structs.replace(LIMITS, max_message_bytes=1024)
    async with open_channel(**{small: less}) as ends:
        sender, receiver = (ends.accepted, ends.dialled) if small == "dialling" else (ends.dialled, ends.accepted)
        reading = asyncio.create_task(receiver.receive())
        with suppress(Closed):  # in memory the sender hears of it at once
            await sender.send(b"x" * 1025)
        with pytest.raises(Closed) as caught:
            await reading
        assert caught.value.code == "too_large"
        assert receiver.closed
        with pytest.raises(Closed) as caught:
            await sender.receive()
        assert caught.value.detail["close_code"] == 1009


@pytest.mark.parametrize("reader", ["dialled", "accepted"])
async def test_sc_81_a_peer_that_stops_reading_is_let_go(open_channel, reader) -> None:
    """What waits for one peer is bounded by `queue_bytes` and `send_seconds`, then its channel ends: `overloaded`."""
    tight = msgspec.structs.replace(LIMITS, queue_bytes=200 * 1024, send_seconds=0.2)
    async with open_channel(accepting=tight, dialling=tight) as ends:
        sender = ends.accepted if reader == "dialled" else ends.dialled
        data = b'"' + b"x" * 60_000 + b'"'
        with refuses(Closed, "overloaded"):
            for _ in range(1000):
                await sender.send(data)
        assert sender.closed


@pytest.mark.parametrize("reader", ["dialled", "accepted"])
async def test_sc_81_what_many_say_at_once_is_bounded(open_channel, reader) -> None:
    """However long a peer is given to read: past `queue_bytes` its channel ends, and nobody waits for it."""
    tight = msgspec.structs.replace(LIMITS, queue_bytes=200 * 1024, send_seconds=3600)
    async with open_channel(accepting=tight, dialling=tight) as ends:
        sender = ends.accepted if reader == "dialled" else ends.dialled
        data = b'"' + b"x" * 60_000 + b'"'
        async with asyncio.timeout(20):
            said = await asyncio.gather(*(sender.send(data) for _ in range(1000)), return_exceptions=True)
        ended = [one for one in said if one is not None]
        assert ended
        assert {getattr(one, "code", one) for one in ended} == {"overloaded"}
        assert sender.closed


async def test_in_memory_no_byte_past_the_limit_waits_and_no_sender_keeps_others_waiting() -> None:
    ours, theirs = memory_pair(msgspec.structs.replace(LIMITS, queue_bytes=100))
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had their turn")
    await ours.send(b"x" * 60)
    assert others
    await ours.send(b"x" * 40)
    await theirs.receive()
    await ours.send(b"x" * 60)
    with refuses(Closed, "overloaded"):
        await ours.send(b"x")
    assert theirs.closed


async def test_a_scheme_without_a_transport_is_refused() -> None:
    with refuses(TransportError, "bad_request"):
        await connect("gopher://localhost/")


async def test_nobody_listening_is_unreachable() -> None:
    for url in ("memory://nobody", "ws://127.0.0.1:1/hire"):
        with refuses(TransportError, "unreachable"):
            await connect(url, limits=LIMITS)


def test_the_table_of_transports_is_read_only() -> None:
    with pytest.raises(TypeError):
        TRANSPORTS["memory"] = None  # type: ignore[index]


async def test_a_name_in_memory_is_taken_once() -> None:
    async def accept(channel: Channel) -> None:
        await channel.close()

    listener = listen_memory("once", accept)
    with pytest.raises(TransportError):
        listen_memory("once", accept)
    await listener.close()
    await listen_memory("once", accept).close()


@pytest.mark.parametrize("begun", [True, False])
async def test_a_listener_in_memory_ends_what_it_took_with_itself(begun: bool) -> None:
    """Also whoever dialled a moment ago: it would wait for ever."""
    serves = asyncio.Event()

    async def accept(channel: Channel) -> None:
        serves.set()
        await asyncio.Event().wait()

    listener = listen_memory("there", accept)
    dialled = await connect("memory://there")
    async with asyncio.timeout(20):
        if begun:
            await serves.wait()
        await listener.close()
        with refuses(Closed, "connection_closed"):
            await dialled.receive()
    with refuses(TransportError, "unreachable"):
        await connect("memory://there")


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    """The system's authorities decide unless the caller brings its own; there is no way to turn the check off."""

    async def accept(channel: Channel) -> None:
        raise AssertionError("nobody gets here")

    async with over_tls(accept, LIMITS) as url:
        with pytest.raises(TransportError) as caught:
            await connect(url, limits=LIMITS)
        assert caught.value.code == "unreachable"
        with pytest.raises(TransportError) as caught:
            await connect(url.replace("localhost", "127.0.0.1"), limits=LIMITS, ssl=dialling_tls())
        assert caught.value.code == "unreachable", "the certificate is for another name"
        with pytest.raises(TransportError) as caught:
            await connect(url.replace("wss:", "ws:"), limits=LIMITS)
        assert caught.value.code == "unreachable", "no plain talk with a server that wants TLS"


async def test_sc_76_a_slow_tls_handshake_is_ended() -> None:
    """Counted and timed before TLS begins."""

    async def accept(channel: Channel) -> None:
        raise AssertionError("nobody gets here")

    limits = ListenerLimits(channel=LIMITS, head_seconds=0.2)
    listener = PublicListener(
        "127.0.0.1", 0, documents=lambda path: None, accept=accept, limits=limits, ssl=serving_tls()
    )
    await listener.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(10):  # by itself asyncio waits for a minute
        with suppress(ConnectionError):
            assert await reader.read(-1) == b""
    writer.close()
    await listener.stop()
    assert listener.door.connections == 0


async def test_sc_80_who_is_silent_before_tls_makes_room() -> None:
    """HIRE-LIM-02: two who never begin their handshake keep nobody out."""

    async def accept(channel: Channel) -> None:
        channel.proved("did:web:acme.example")
        await channel.send(b"{}")
        await channel.receive()

    limits = ListenerLimits(channel=LIMITS, unproved=2)
    listener = PublicListener(
        "127.0.0.1", 0, documents=lambda path: None, accept=accept, limits=limits, ssl=serving_tls()
    )
    await listener.start()
    silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
    channel = await connect(f"wss://localhost:{listener.port}/hire", limits=LIMITS, ssl=dialling_tls())
    assert await channel.receive() == b"{}"
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            assert await silent[0][0].read(-1) == b""
    assert (listener.door.connections, listener.door.unproved) == (2, 1)
    await channel.close()
    for _, writer in silent:
        writer.close()
    await listener.stop()
    assert listener.door.connections == 0


async def test_what_is_answered_over_tls_comes_whole() -> None:
    """Each write of it waits until the one before is taken, and none for one that is taken already."""
    pieces = [bytes(16 * 1024)] * 64

    async def accept(channel: Channel) -> None:
        raise AssertionError("nobody gets here")

    async def artifacts(request: ArtifactRequest) -> ArtifactResponse:
        async def sent(start: int) -> AsyncGenerator[bytes, None]:
            for piece in pieces:
                yield piece

        return ArtifactResponse(200, size=sum(map(len, pieces)), pieces=sent)

    listener = PublicListener(
        *("127.0.0.1", 0),
        documents=lambda path: None,
        accept=accept,
        artifacts=artifacts,
        limits=ListenerLimits(channel=LIMITS),
        ssl=serving_tls(),
    )
    await listener.start()
    reader, writer = await asyncio.open_connection("localhost", listener.port, ssl=dialling_tls())
    writer.write(f"GET /artifacts/{digest_bytes(b'')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(sum(map(len, pieces))) == b"".join(pieces)
    writer.close()
    await listener.stop()


async def test_an_ipv6_address_is_listened_on() -> None:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")

    async def accept(channel: Channel) -> None:
        raise AssertionError

    listener = PublicListener("::1", 0, documents=lambda path: None, accept=accept)
    await listener.start()
    reader, writer = await asyncio.open_connection("::1", listener.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
    writer.close()
    await listener.stop()
