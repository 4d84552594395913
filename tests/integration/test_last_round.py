"""The end of a peer, in real processes: its witnesses are asked once more, and none of them keeps it from ending."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.moves import engagement, move
from integration.commands import UNDERSIGNED, Ended, Process, running, serving, undersigned
from integration.hires import REPORT, Hands, free_ports, two_homes, until
from integration.test_cross_witness import rewritten
from integration.test_witness import WITNESS, hire, ran, settings, watched
from undersigned import Peer
from undersigned.daemon import WitnessBook, WitnessServer
from undersigned.evidence import read_archive
from undersigned.ledger import Head, open_ledger
from undersigned.runtime import FetchAnswer, Gatherer, Home, PrivateKey, SystemClock, create_home, issue_membership
from undersigned.runtime.log.witnesses import LAST_SECONDS, Witness, Witnesses
from undersigned.transparency import (
    NoteVerifier,
    checkpoint_text,
    cosignature_line,
    cosigned_text,
    read_note,
    read_verifier,
    signed_note,
    verifier_text,
    verify_cosignature,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]
KEY = verifier_text(NoteVerifier("w.example", True, WITNESS.public_key))
NO = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


def words_of(acme: Home, globex: Home, folder: Path) -> list[str]:
    """`undersigned hire`: it does nothing else, and its DID document is served as long as it runs."""
    report = folder / "report.txt"
    report.write_bytes(REPORT)
    return [
        *("hire", globex.configuration.did, "--home", str(acme.path), "--task", "summary"),
        *("--input", f"report={report}", "--price", "5 EUR", "--json"),
    ]


async def hired(acme: Home, globex: Home, folder: Path, *more: str) -> Ended:
    return await asyncio.to_thread(undersigned, *words_of(acme, globex, folder), *more, folder=folder)


async def leaves(home: Home) -> int:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        return await ledger.tree_size()
    finally:
        await ledger.close()


async def seen_by(witness: Home, log: Home) -> list[int]:
    """How many leaves of a log stand in the witness's store."""
    shown = await ran(witness.path.parent, "show", "--home", witness.path, "--json")
    return [one["size"] for one in shown.values if one.get("origin") == log.configuration.did]


@asynccontextmanager
async def odd(answer: bytes | None, *, times: int = 99) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """No good witness: it hangs, or says this to whoever asks, so many times. Its URL, and the requests."""
    asked: list[bytes] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is None or len(asked) > times:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    async with server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}", asked


async def test_a_hire_ends_with_its_whole_log_cosigned(tmp_path: Path) -> None:
    """HIRE-LOG-23: also the leaves of the closing, and its pack shows that to whoever verifies it."""
    acme, globex = await two_homes(tmp_path)
    with serving(globex.path):
        async with watched(tmp_path, [acme], globex) as (_, url, key):
            acme = settings(acme, url, key)
            ended = await hired(acme, globex, tmp_path)
            ended.result()
            size = await leaves(acme)
            assert size > 1
            assert await seen_by(globex, acme) == [size]
    pack = tmp_path / "hire.zip"
    assert undersigned("export", "--home", acme.path, "--out", pack, folder=tmp_path).code == 0
    note = read_archive(pack.read_bytes())["ledger/checkpoint.txt"].decode()
    head, _ = verify_cosignature(note, globex.configuration.did, read_verifier(key).key)
    assert head.size == size
    verified = undersigned("verify", pack, "--explain", "--json", folder=tmp_path)
    assert verified.code == 0
    detail = verified.values[0]["steps"][7]["detail"]
    assert f"{globex.configuration.did} cosigned {size} leaves at " in detail


async def test_an_agent_whose_did_nobody_serves_has_its_log_cosigned_too(tmp_path: Path) -> None:
    """HIRE-LOG-23: a did:key says its key itself."""
    _, globex = await two_homes(tmp_path)
    acme = create_home(tmp_path / "key", name="Key", local=True, anchors=(f"{globex.configuration.did}:org",))
    await issue_membership(acme)
    organisation = acme.organisation_document()
    assert organisation is not None
    file = globex.path / "undersigned.toml"
    file.write_text(file.read_text().replace("anchors = [", f'anchors = ["{organisation.id}", '))
    with serving(globex.path) as served:
        at = json.loads(served.lines[0])["url"]
        async with watched(tmp_path, [acme], globex) as (_, url, key):
            acme = settings(acme, url, key)
            (await hired(acme, globex, tmp_path, "--at", at)).result()
            size = await leaves(acme)
            assert size > 1
            assert await seen_by(globex, acme) == [size]


@pytest.mark.parametrize("way", ["gone", "hangs", "is none"])
async def test_a_witness_keeps_no_hire_from_its_end(way: str, tmp_path: Path) -> None:
    """HIRE-LOG-23: it is said which did not cosign, and the hire is what it was; each end asks once."""
    acme, globex = await two_homes(tmp_path)
    async with odd(NO if way == "is none" else None) as (url, asked):
        with serving(globex.path):
            if way == "gone":
                url = f"http://localhost:{free_ports(1)[0]}"
            ended = await hired(settings(acme, url, KEY), globex, tmp_path)
    assert ended.code == 0, ended
    assert [one["kind"] for one in ended.values if one.get("kind") in ("result", "unwitnessed")] == [
        "result",
        "unwitnessed",
    ]
    assert ended.values[-1]["witness"] == "w.example"
    assert len(asked) == (0 if way == "gone" else 2), "at the start, and at the end"


async def test_a_log_that_has_not_grown_is_not_shown_again(tmp_path: Path) -> None:
    acme, _ = await two_homes(tmp_path)
    async with odd(None) as (url, asked):
        async with Peer.open(settings(acme, url, KEY)) as peer:
            pass
        assert peer.unwitnessed == ()
    assert len(asked) == 1


async def test_who_was_out_of_reach_is_not_waited_for_again(tmp_path: Path) -> None:
    """HIRE-LOG-23: it is asked at the end too, and has less time for it than one that answered, or than before."""
    acme, globex = await two_homes(tmp_path)
    async with odd(None) as (url, asked), Peer.open(globex) as other:
        waited: list[float] = []
        async with Peer.open(settings(acme, url, KEY)) as peer:
            exchange = peer.gatherer.exchange

            async def counted(*words: Any, timeout_seconds: float, **more: Any) -> FetchAnswer:
                waited.append(timeout_seconds)
                return await exchange(*words, timeout_seconds=timeout_seconds, **more)

            peer.gatherer.exchange = counted
            await hire(peer, other)
    assert (waited, len(asked)) == ([LAST_SECONDS], 2)
    assert [one.witness.url for one in peer.unwitnessed] == [url]


async def test_a_witness_whose_clock_runs_ahead_is_none(tmp_path: Path) -> None:
    """HIRE-LOG-24: it is said why, and the pack of the hire holds; also where such a line was kept already."""
    acme, globex = await two_homes(tmp_path)
    clock, key, gatherer = Hands(), globex.log_key(), Gatherer(local=True)
    clock.ahead = 10 * 86_400
    book = WitnessBook(tmp_path / "witness.db")
    of_log = NoteVerifier(acme.configuration.did, False, acme.log_key().public_key)
    try:
        async with WitnessServer(book, globex.configuration.did, key, gatherer, keys=[of_log], now=clock.now) as server:
            acme = settings(acme, server.url, verifier_text(server.verifier))
            with serving(globex.path):
                ended = await hired(acme, globex, tmp_path)
            asked = await ran(tmp_path, "ask", "--home", acme.path, "--json")
    finally:
        book.close()
        await gatherer.close()
    assert ended.code == 0, ended
    assert [one["error"]["code"] for one in ended.values if one.get("kind") == "unwitnessed"] == ["log_proof_invalid"]
    assert asked.code == 6, asked
    assert "its clock or ours is wrong" in asked.values[0]["error"]["message"]
    assert signatures(acme, tmp_path / "first.zip") == 1
    ledger = await open_ledger(acme.ledger_url)
    try:
        head = Head(await ledger.tree_size(), await ledger.root(await ledger.tree_size()))
        text = checkpoint_text(acme.configuration.did, head.size, head.root)
        note = signed_note(text, acme.configuration.did, of_log.key, await acme.log_key().sign(text))
        lines = ""
        for seconds in (int(time.time()), int(time.time()) + clock.ahead):
            signature = await key.sign(cosigned_text(text, seconds))
            lines += cosignature_line(f"w{len(lines)}.example", key.public_key, seconds, signature)
        await ledger.put_checkpoint(head, note + lines)
    finally:
        await ledger.close()
    assert signatures(acme, tmp_path / "second.zip") == 2, "the log's own, and that of the first witness"


def signatures(home: Home, pack: Path) -> int:
    """How many stand below the checkpoint of the pack that `export` writes, and `verify` finds to hold."""
    ended = undersigned("export", "--home", home.path, "--out", pack, folder=pack.parent)
    assert ended.code == 0, ended
    assert undersigned("verify", pack, folder=pack.parent).code == 0
    return len(read_note(read_archive(pack.read_bytes())["ledger/checkpoint.txt"].decode()).signatures)


async def test_what_witnesses_signed_of_one_head_is_kept_from_all_of_them(tmp_path: Path) -> None:
    """HIRE-PCK-08: one that was away while the log did not grow is asked again, and then the first one is away."""
    own, name = "did:web:acme.example", "did:web:w{}.example"
    keys = [PrivateKey("Ed25519", bytes([at]) * 32) for at in (4, 5)]
    ports, gatherer, clock = free_ports(2), Gatherer(local=True), SystemClock()
    asked = tuple(
        Witness(f"http://localhost:{port}", NoteVerifier(name.format(at), True, key.public_key))
        for at, (port, key) in enumerate(zip(ports, keys, strict=True))
    )

    @asynccontextmanager
    async def only(at: int) -> AsyncGenerator[None]:
        book = WitnessBook(tmp_path / f"{at}.db")
        of_log = [NoteVerifier(own, False, WITNESS.public_key)]
        try:
            async with WitnessServer(book, name.format(at), keys[at], gatherer, keys=of_log, port=ports[at]):
                yield
        finally:
            book.close()

    ledger = await open_ledger(f"sqlite://{tmp_path / 'ledger.db'}")
    try:
        await ledger.commit(move(engagement(), 1, leaves=(b"a leaf",)))
        witnesses = Witnesses(asked, ledger, own, WITNESS, gatherer, clock)
        async with only(0):
            await witnesses.first()
        async with only(1):
            assert [bool(one.line) for one in await witnesses._round()] == [False, True]
        for note in (witnesses.newest, await ledger.checkpoint()):
            assert note is not None
            assert [signed for signed, _, _ in read_note(note).signatures] == [own, name.format(1), name.format(0)]
            for one in asked:
                verify_cosignature(note, one.verifier.name, one.verifier.key)
    finally:
        await ledger.close()
        await gatherer.close()


@pytest.mark.parametrize("first", [None, signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_end_says_who_was_not_heard(first: int | None, tmp_path: Path) -> None:
    """HIRE-LOG-23: whoever does not wait for the witnesses, after the work or after an interruption, is told which of
    them did not answer; what the others cosigned by then is kept.
    """
    handler = "integration.hires:summarise" if first is None else "integration.hires:linger"
    acme, globex = await two_homes(tmp_path, handler=handler)
    with serving(globex.path):
        async with odd(NO, times=1) as (silent, asked), watched(tmp_path, [acme], globex) as (_, url, key):
            acme = settings(settings(acme, silent, KEY), url, key)
            process = Process([*UNDERSIGNED, *words_of(acme, globex, tmp_path)], tmp_path)
            await asyncio.to_thread(process.until, '"result"' if first is None else '"Start"')
            if first is not None:
                process.signal(first)
            await until(lambda: len(asked) == 2)
            size = await leaves(acme)
            book = WitnessBook(globex.path / "witness.db")
            await until(lambda: [one.size for one in book.logs()] == [size])
            book.close()
            await asyncio.sleep(0.5)  # until its answer is there
            ended = await asyncio.to_thread(process.end, first or signal.SIGINT)
    assert ended.code == 130, ended
    told = [one for one in ended.values if one.get("kind") == "unwitnessed"]
    assert [(one["witness"], one["error"]["code"]) for one in told] == [("w.example", "timeout")], ended
    assert "Traceback" not in ended.err
    ledger = await open_ledger(acme.ledger_url, read_only=True)
    try:
        kept = await ledger.checkpoint()
    finally:
        await ledger.close()
    assert kept is not None
    head, _ = verify_cosignature(kept, globex.configuration.did, read_verifier(key).key)
    assert head.size == size


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_is_interrupted_is_shown_as_far_as_it_came(number: int, tmp_path: Path) -> None:
    """HIRE-LOG-23: Ctrl-C, or SIGTERM, ends a hire in the midst of the work, with the contract in its log."""
    acme, globex = await two_homes(tmp_path, handler="integration.hires:linger")
    with serving(globex.path):
        async with watched(tmp_path, [acme], globex) as (_, url, key):
            acme = settings(acme, url, key)
            process = Process([*UNDERSIGNED, *words_of(acme, globex, tmp_path)], tmp_path)
            await asyncio.to_thread(process.until, '"Start"')
            ended = await asyncio.to_thread(process.end, number)
            assert ended.code == 130, ended
            assert ended.values[-1]["kind"] == "interrupted", ended
            size = await leaves(acme)
            assert size > 1
            assert await seen_by(globex, acme) == [size]


async def test_an_error_ends_it_no_other_way(tmp_path: Path) -> None:
    """HIRE-LOG-23: what the program raised comes out, and the log was shown."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(globex) as other, watched(tmp_path, [acme], globex) as (_, url, key):
        peer = Peer.open(settings(acme, url, key))

        async def program() -> None:
            async with peer:
                await hire(peer, other)
                await until(lambda: not peer.conversations)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await program()
        assert peer.unwitnessed == ()
        assert await seen_by(globex, acme) == [await leaves(acme)]


async def test_a_witness_that_saw_another_history_is_heard_at_the_end(tmp_path: Path) -> None:
    """HIRE-LOG-23: while this peer ran, an old copy of its store was shown with other leaves. Its end says so as loudly
    as the next start, which is refused.
    """
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as peer, Peer.open(globex) as other:
        await hire(peer, other)
        await until(lambda: not peer.conversations and not other.conversations)
    shutil.copytree(globex.path, tmp_path / "copy")
    copy = Home(tmp_path / "copy")
    rewritten(copy)
    (port,) = free_ports(1)
    url, key = (
        f"http://localhost:{port}",
        verifier_text(NoteVerifier(acme.configuration.did, True, acme.log_key().public_key)),
    )
    with serving(settings(globex, url, key).path) as served:  # the witness is not there yet
        program = [
            *UNDERSIGNED,
            "witness",
            "serve",
            "--home",
            str(acme.path),
            "--listen",
            f"127.0.0.1:{port}",
            "--json",
        ]
        async with Peer.open(acme) as peer:
            with running([*program, "--log", globex.configuration.did], tmp_path, '"ready"'):
                asked = await ran(tmp_path, "ask", "--home", copy.path, "--url", url, "--key", key, "--json")
                assert asked.code == 0, asked
                await peer.hire(globex.configuration.did, task="summary", inputs={"report": REPORT}, price="5 EUR")
                await until(lambda: not peer.conversations)
                ended = await asyncio.to_thread(served.end, signal.SIGTERM)
                assert (ended.code, ended.error["code"]) == (4, "ledger_diverged"), ended
                again = await asyncio.to_thread(undersigned, "serve", "--home", globex.path, "--json", folder=tmp_path)
                assert (again.code, again.error["code"]) == (4, "ledger_diverged"), again
                words = ("check", acme.configuration.did, "--home", globex.path)
                shown = await asyncio.to_thread(undersigned, *words, folder=tmp_path)
                assert shown.code == 4, shown
                assert all(line.startswith("local | ") for line in shown.err.splitlines()), "no line of a log beside it"
