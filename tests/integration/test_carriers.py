"""One whole hire through whatever may stand between two peers: what they signed arrives as it was, or not at all.

Each carrier is a program of its own kind on real sockets; the hire is the same each time, with one counter-offer. After
each, both transcripts agree move for move, there is one contract, and both evidence packs verify offline.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from integration.carried import Companies, assert_one_hire, heads, listed, port_of, rows_of, two_companies
from integration.hires import assert_one_contract_or_none, until
from undersigned.cli.telling import event_line
from undersigned.daemon import Peer
from undersigned.errors import ConfigurationError, PolicyError, TransportError, UndersignedError
from undersigned.runtime import Home, SystemClock
from undersigned.testing import (
    Break,
    Carried,
    Carrier,
    HandClock,
    HurriedClock,
    Queue,
    Rewriter,
    Session,
    Wire,
    WireFaults,
    hurry,
)

pytestmark = pytest.mark.timeout(90)


# ---------------------------------------------------------------------- TLS-terminating proxy


def certified(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority made for this, as a PEM file, and TLS for a server named localhost that it certified."""
    now = datetime.now(UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority of our own")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
        )

    root = (
        builder(authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "chain.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + leaf.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    return folder / "ca.pem", context


def configured(home: Home, *, top: str = "", listen: str = "") -> Home:
    """The home with more lines at the top and in the `[listen]` table of its configuration."""
    file = home.path / "undersigned.toml"
    file.write_text(f"{top}\n{file.read_text()}".replace("[listen]\n", f"[listen]\n{listen}\n"))
    return Home(home.path)


async def test_a_proxy_that_ends_tls(tmp_path: Path) -> None:
    """Acme dials wss:// and Globex fetches the report over https://; TLS ends before either of them, so the proofs are
    between the two ends and not between the two sockets."""
    ca_file, server = certified(tmp_path / "tls")
    plain = await two_companies(tmp_path)
    acme, globex = plain.homes
    async with (
        Wire(("127.0.0.1", port_of(globex)), tls=server) as before_globex,
        Wire(("127.0.0.1", port_of(acme)), tls=server) as before_acme,
    ):
        trusting = f'ca_file = "{ca_file}"'
        both = Companies(
            configured(acme, top=trusting, listen=f'url = "https://localhost:{before_acme.port}"'),
            configured(globex, top=trusting),
        )
        async with both:
            result = await both.hire(f"wss://localhost:{before_globex.port}/hire")
            await both.over()
    assert result["summary.txt"].startswith(b"Quarterly")
    assert before_globex.passed > 10, "the messages went another way"
    assert before_acme.taken, "the report was fetched another way"
    assert await assert_one_hire(acme, globex) == result.contract


async def test_a_proxy_of_an_unknown_authority_is_not_talked_to(tmp_path: Path) -> None:
    """`ca_file` is what makes the authority known: without it the same proxy is refused, before a message is sent."""
    _, server = certified(tmp_path / "tls")
    both = await two_companies(tmp_path)
    async with Wire(("127.0.0.1", port_of(both.homes[1])), tls=server) as proxy, both:
        both.acme.reach_seconds = 1.0
        with pytest.raises(TransportError) as refused:
            await both.hire(f"wss://localhost:{proxy.port}/hire")
        assert refused.value.code == "unreachable"
        assert "certificate" in str(refused.value)
    assert proxy.passed == 0


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "not PEM"])
async def test_a_ca_file_that_cannot_be_used_is_an_error_at_the_start(content: str | None, tmp_path: Path) -> None:
    acme, _ = (await two_companies(tmp_path)).homes
    if content is not None:
        (acme.path / "ca.pem").write_text(content)
    with pytest.raises(ConfigurationError, match="ca_file") as refused:
        Peer.open(configured(acme, top='ca_file = "ca.pem"'))
    assert refused.value.code == "bad_configuration"


class Forwarding:
    """A proxy that ends TLS and says who calls, as nginx does it: behind what the caller wrote of that itself.

    Everything here is on loopback; the network in front of it is `198.51.100.0/24`, with the last part as on loopback.
    """

    def __init__(self, target: int, tls: ssl.SSLContext) -> None:
        self._target = target
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Forwarding:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        onward: asyncio.StreamWriter | None = None
        try:
            first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
            said = [value for name, _, value in (field.partition(": ") for field in fields) if name == FORWARDED_FOR]
            caller = f"198.51.100.{writer.get_extra_info('peername')[0].rpartition('.')[2]}"
            kept = [field for field in fields if not field.startswith(f"{FORWARDED_FOR}: ")]
            head = [first, *kept, f"{FORWARDED_FOR}: {', '.join([*said, caller])}", "", ""]
            back, onward = await asyncio.open_connection("127.0.0.1", self._target)
            onward.write("\r\n".join(head).encode())
            async with asyncio.TaskGroup() as both:
                both.create_task(_pour(reader, onward))
                both.create_task(_pour(back, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one of the two went away
        finally:
            writer.transport.abort()
            if onward is not None:
                onward.transport.abort()


FORWARDED_FOR = "X-Forwarded-For"


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def fetched(port: int, path: str, source: str, *, fields: str = "") -> tuple[asyncio.StreamWriter, str]:
    """The status line of an answer over TLS to a caller at `source`, and the open connection."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, local_addr=(source, 0))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
    return writer, (await reader.readline()).decode().rstrip()


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: hire.v1\r\n"
)


@pytest.mark.parametrize("listed", [False, True], ids=["not listed", "listed"])
async def test_a_stranger_behind_the_proxy_shuts_nobody_else_out(listed: bool, tmp_path: Path) -> None:
    """25 connections that prove nothing: where the proxy is in `proxies`, they are the stranger's, and a hire goes
    through it meanwhile; where it is not, they are the proxy's, and with it everybody's."""
    ca_file, server = certified(tmp_path / "tls")
    acme, globex = (await two_companies(tmp_path)).homes
    both = Companies(
        configured(acme, top=f'ca_file = "{ca_file}"'),
        configured(globex, listen='proxies = ["127.0.0.1"]' if listed else ""),
    )
    async with Forwarding(port_of(globex), server) as proxy, both:
        for n in range(25):
            invented = f"{UPGRADE}{FORWARDED_FOR}: 203.0.113.{n}\r\n"  # which leads nowhere: the proxy knows better
            writer, answer = await fetched(proxy.port, "/hire", "127.0.0.2", fields=invented)
            assert answer.split()[1] == ("101" if n < 20 else "429")
            writer.write(b"\x81\x82\0\0\0\0{}")
            writer.close()  # the answer, that it is none, is waited for by nobody
            door = both.globex._listener.door  # type: ignore[union-attr] - it is open
            await until(lambda door=door: door.unproved == 0, 5)
        for source, status in (("127.0.0.2", "429"), ("127.0.0.3", "200" if listed else "429")):
            writer, answer = await fetched(proxy.port, "/.well-known/did.json", source)
            writer.close()
            assert answer.split()[1] == status
        if listed:
            # Acme's own address is 127.0.0.1, and behind the proxy 198.51.100.1.
            result = await both.hire(f"wss://localhost:{proxy.port}/hire")
            await both.over()
            assert await assert_one_hire(acme, globex) == result.contract


# ---------------------------------------------------------------------- load balancer


@pytest.mark.parametrize("seed", range(3))
def test_a_load_balancer_that_moves_the_connection(seed: int, tmp_path: Path) -> None:
    """Every few messages the connection breaks, at the end of a message or in the middle of one, and the next one goes
    by the other way. Nothing is lost, and nothing is done twice."""
    random = Random(seed)
    breaks: list[Break] = []
    at = 0
    for number in range(5):
        at += random.randint(4, 8)
        breaks.append(Break(after=at, inside=(number + seed) % 2 == 1))

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        acme, globex = (("127.0.0.1", port_of(home)) for home in both.homes)
        async with (
            Wire(globex) as one,
            Wire(globex) as other,
            Wire(
                ("127.0.0.1", one.port), ("127.0.0.1", other.port), faults=WireFaults(breaks=tuple(breaks)), seed=seed
            ) as balancer,
            Wire(acme) as back,
        ):
            listed(both.homes[0], f"ws://localhost:{back.port}/hire")
            async with both:
                result = await both.hire(f"ws://localhost:{balancer.port}/hire")
                await both.over()
        assert len(balancer.taken) >= 4, "it did not move"
        assert one.passed
        assert other.passed
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main)


async def test_a_break_right_after_the_inquiry_costs_no_repeat(tmp_path: Path) -> None:
    """HIRE-SYN-01: Acme knows from a `Sync` alone that its inquiry arrived, and holds nothing of Globex's. It says so
    on the next connection, and is sent what it lacks, seconds before Globex would repeat it."""
    acme, globex = (await two_companies(tmp_path)).homes
    both = Companies(acme, globex, HandClock(SystemClock().now()))  # by which nothing is ever repeated
    # Three frames of proof and the inquiry; three of proof, the `Sync` of Globex, and half of the inquiry again.
    faults = WireFaults(breaks=(Break(after=4), Break(after=8, inside=True)))
    async with Wire(("127.0.0.1", port_of(both.homes[1])), faults=faults) as wire, both:
        result = await both.hire(f"ws://localhost:{wire.port}/hire")
        await both.over()
        assert len(wire.taken) == 3
    assert await assert_one_hire(*both.homes) == result.contract


# ---------------------------------------------------------------------- queue


@pytest.mark.parametrize("seed", range(2))
def test_a_queue_that_stores_and_forwards(seed: int, tmp_path: Path) -> None:
    """Each message is stored, comes later, some twice, some after their sender is gone, some on the next connection."""

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        acme, globex = both.urls
        async with Queue(globex, tmp_path / "q.db", seed=seed) as queue, Queue(acme, tmp_path / "back.db") as back:
            listed(both.homes[0], back.url)

            async def hang_up() -> None:
                """Every few deliveries one side is cut off; which one is the seed's to say."""
                for enough in range(6, 1000, 6):
                    await until(lambda enough=enough: queue.delivered >= enough, 1000)
                    for session in queue.sessions:
                        session.from_(queue.network.random.choice(["up", "down"])).transport.abort()

            queue.spawn(hang_up())
            async with both:
                result = await both.hire(queue.url)
                await both.over()
            assert queue.again, "nothing came twice"
            assert queue.orphaned, "nothing came after its sender was gone"
            assert queue.across, "nothing came on another connection"
            assert queue.opened > 1
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main)


# ---------------------------------------------------------------------- gateway


def respelled(value: Any, random: Random) -> str:
    """The same JSON value in other words: other order of members, white space, and escapes where none are needed."""

    def space() -> str:
        return random.choice(["", "", " ", "\n", "\t", "  \r\n"])

    def text(string: str) -> str:
        out: list[str] = []
        for character in string:
            if character == "/" and random.random() < 0.3:
                out.append("\\/")
            elif random.random() < 0.2 or character in '"\\' or character < " ":
                units = character.encode("utf-16-be")
                out += [f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2)]
            else:
                out.append(character)
        return f'"{"".join(out)}"'

    def write(value: Any) -> str:
        if isinstance(value, dict):
            members = [f"{space()}{text(name)}{space()}:{write(one)}" for name, one in value.items()]
            random.shuffle(members)
            return space() + "{" + ",".join(members) + space() + "}" + space()
        if isinstance(value, list):
            return space() + "[" + ",".join(write(one) for one in value) + space() + "]" + space()
        return space() + (text(value) if isinstance(value, str) else json.dumps(value)) + space()

    return write(value)


async def test_a_gateway_that_writes_the_json_again(tmp_path: Path) -> None:
    """No digest and no proof depends on how the JSON is spelled, and what each side stores is what it received."""
    random = Random(7)
    wrote: dict[bytes, bytes] = {}

    def rewrite(carried: Carried) -> bytes:
        again = respelled(json.loads(carried.raw), random).encode()
        assert again != carried.raw
        wrote[again] = carried.raw
        return again

    both = await two_companies(tmp_path)
    async with Rewriter(both.urls[1], rewrite, proofs=True) as gateway, both:
        result = await both.hire(gateway.url)
        await both.over()
    assert await assert_one_hire(*both.homes) == result.contract
    acme, globex = [await rows_of(home) for home in both.homes]
    for here, there in ((acme, globex), (globex, acme)):
        sent = {row.digest: row.raw for row in there if row.kind == "sent"}
        received = [row for row in here if row.kind == "received"]
        assert len([row for row in received if row.sequence is not None]) >= 6
        for row in received:
            assert wrote[row.raw] == sent[row.digest], "what is stored is not what came"


# ---------------------------------------------------------------------- a carrier that changes a value


def changed(*path: str | int, to: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Changes the value at a place of a message."""

    def change(message: Any) -> None:
        for step in path[:-1]:
            message = message[step]
        old = message[path[-1]]
        message[path[-1]] = to(old)
        assert message[path[-1]] != old

    return change


CHANGES: dict[str, tuple[str, Callable[[Any], None]]] = {
    "what is asked for": ("Inquiry", changed("task", "summary", to=lambda _: "something else")),
    "a price list": ("Profile", changed("capabilities", 0, "price", "amount", to=lambda _: "1")),
    "a sequence number": ("Presentation", changed("sequence", to=lambda old: old + 1)),
    "the price of an offer": ("Offer", changed("document", "terms", "price", "amount", to=lambda _: "2")),
    "the end of an offer": ("Offer", changed("validUntil", to=lambda old: f"{int(old[:4]) + 1}{old[4:]}")),
    "a recipient": ("Acceptance", changed("recipient", to=lambda old: f"{old}:somebody")),
    "the proof that accepts": (
        "Acceptance",
        changed("contractProof", "created", to=lambda old: f"{int(old[:4]) + 1}{old[4:]}"),
    ),
    "a place in a ledger": ("Seal", changed("ledger", "index", to=lambda old: old + 1)),
    "a signature": (
        "Seal",
        changed("proof", "proofValue", to=lambda old: old[:-1] + ("2" if old[-1] != "2" else "3")),
    ),
    "when it was signed": ("Start", changed("proof", "created", to=lambda old: f"{int(old[:4]) - 1}{old[4:]}")),
    "an input": ("Start", changed("inputs", 0, "name", to=lambda _: "another")),
    "an outcome": ("Delivery", changed("outcome", to=lambda _: "failed")),
    "a verdict": ("Review", changed("verdict", to=lambda _: "rejected")),
    "a sum": ("Closing", changed("settlement", "amount", to=lambda _: "400")),
    "who is seen": (
        "Closing",
        changed("seen", to=lambda old: f"{old[:-2]}AA" if old[-2:] != "AA" else f"{old[:-2]}BA"),
    ),
}


class Forger(Carrier):
    """Changes one value in one message, once; then waits for what its receiver says, and looks at the ledger."""

    def __init__(
        self, both: Companies, type: str, change: Callable[[Any], None], respell: Random | None = None
    ) -> None:
        super().__init__(both.urls[1])
        self.both = both
        self.told: list[str] = []
        """Codes that the receivers told."""
        self.forged = 0
        self._type, self._change, self._respell = type, change, respell

    async def carry(self, session: Session, carried: Carried) -> None:
        message = json.loads(carried.raw)
        raw = carried.raw
        if message["type"] == "Fault":
            self.told.append(message["code"])
        forging = message["type"] == self._type and not self.forged
        if forging:
            self.forged += 1
            self._change(message)
            raw = json.dumps(message).encode()
        if self._respell is not None:
            raw = respelled(message, self._respell).encode()
        receiver = self.both.globex if carried.direction == "up" else self.both.acme
        before = await self.stored(receiver) if forging else None
        await session.send(carried.direction, raw)
        if forging:
            await until(lambda: self.told)
            assert await self.stored(receiver) == before, "something moved"

    async def stored(self, peer: Peer) -> list[Any]:
        ledger = peer.ledger
        return [
            (summary, await ledger.rows(summary.engagement), await ledger.outbox(summary.engagement))
            for summary in await ledger.summaries()
        ]


@pytest.mark.parametrize("what", CHANGES)
def test_a_carrier_that_changes_a_value(what: str, tmp_path: Path) -> None:
    """The receiver says `proof_invalid` and nothing moves; whoever sent it hears of it; and once the carrier behaves
    the hire goes on by itself.
    """

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        async with Forger(both, *CHANGES[what]) as carrier, both:
            heard = [peer.watchers.listen(None) for peer in (both.acme, both.globex)]
            result = await both.hire(carrier.url)
            await both.over()
        assert carrier.forged == 1
        assert carrier.told == ["proof_invalid"]
        events = [queue.get_nowait() for queue in heard for _ in range(queue.qsize())]
        faults = [event for event in events if event.kind == "fault"]
        assert [(event.engagement, event.detail) for event in faults] == [(result.engagement, "proof_invalid")]
        assert "proof_invalid; nothing follows from that" in event_line(faults[0])
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main, factor=20)


def test_a_fault_that_a_gateway_writes_again_is_not_answered(tmp_path: Path) -> None:
    """HIRE-SYN-04: two peers whose gateway spells every frame anew do not refuse each other's refusals."""

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        async with Forger(both, *CHANGES["the price of an offer"], respell=Random(3)) as carrier, both:
            result = await both.hire(carrier.url)
            await both.over()
        assert carrier.told == ["proof_invalid"]
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main, factor=20)


def test_a_carrier_that_changes_the_sender_loses_the_connection(tmp_path: Path) -> None:
    """HIRE-CNX-09: a message of another than the proved DID ends the connection; on the next one the hire goes on."""

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        forged: list[int] = []

        def rewrite(carried: Carried) -> bytes:
            message = json.loads(carried.raw)
            if message["type"] == "Presentation" and carried.direction == "up" and not forged:
                forged.append(carried.session)
                message["sender"] += ":somebody"
            return json.dumps(message).encode()

        async with Rewriter(both.urls[1], rewrite) as carrier, both:
            result = await both.hire(carrier.url)
            await both.over()
            assert forged == [1]
            assert carrier.opened == 2
        assert await assert_one_hire(*both.homes) == result.contract

    hurry(main, factor=20)


@pytest.mark.parametrize("part", ["dialer", "acceptor"])
async def test_a_carrier_that_changes_a_connection_proof(part: str, tmp_path: Path) -> None:
    """HIRE-CNX-07: whose proof does not hold is told `proof_invalid`, and no message is exchanged."""

    def rewrite(carried: Carried) -> bytes:
        message = json.loads(carried.raw)
        if message.get("part") == part:
            message["nonce"] = f"{message['nonce'][:-2]}{'A' if message['nonce'][-2] != 'A' else 'B'}A"
        return json.dumps(message).encode()

    both = await two_companies(tmp_path)
    async with Rewriter(both.urls[1], rewrite, proofs=True) as carrier, both:
        both.acme.reach_seconds = 0.5
        with pytest.raises(UndersignedError) as refused:
            await both.hire(carrier.url)
        assert refused.value.code == "proof_invalid"
        assert not carrier.network.sent, "a message passed"
        assert await both.globex.ledger.summaries() == ()


def test_what_a_carrier_kept_from_being_offered_is_withdrawn(tmp_path: Path) -> None:
    """Every offer of Acme arrives with another price, until Acme has had enough. Both sides end without a contract."""

    async def main(clock: HurriedClock) -> None:
        both = await two_companies(tmp_path, clock)
        refused: list[str] = []
        forging = True

        def rewrite(carried: Carried) -> bytes:
            message = json.loads(carried.raw)
            if message["type"] == "Offer" and carried.direction == "up" and forging:
                CHANGES["the price of an offer"][1](message)
            if message["type"] == "Fault":
                refused.append(message["code"])
            return json.dumps(message).encode()

        async with Rewriter(both.urls[1], rewrite) as carrier, both:
            hire = asyncio.ensure_future(both.hire(carrier.url))
            await until(lambda: len(refused) >= 2, 100)
            (conversation,) = both.acme.conversations.values()
            await both.acme.cancel(conversation)
            forging = False
            with pytest.raises(PolicyError, match="withdrew"):
                await hire
            await both.over()
        assert set(refused) == {"proof_invalid"}
        assert await assert_one_contract_or_none(*both.homes) == {None}
        acme, globex = [await heads(home) for home in both.homes]
        assert acme == globex
        assert acme[0] == "withdrawn"

    hurry(main, factor=20)
