"""A witness of logs, over real sockets: what continues is cosigned; a log that went back is noticed by who meets it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from integration.commands import UNDERSIGNED, Ended, Process, running, undersigned
from integration.hires import REPORT, free_ports, two_homes, until
from integration.test_cross_witness import rewritten
from integration.test_log import went_back
from support import refuses
from undersigned import Peer
from undersigned.daemon import WitnessBook, WitnessServer
from undersigned.daemon.witness import CONNECTIONS
from undersigned.encoding import base64_encode
from undersigned.errors import LedgerError
from undersigned.evidence import read_archive, tamper, verify_pack
from undersigned.ledger import open_ledger
from undersigned.runtime import Gatherer, Home, PrivateKey, SystemClock, export_pack, rotate_key
from undersigned.runtime.log import witnesses
from undersigned.runtime.log.logbook import noted
from undersigned.transparency import (
    MAX_SUBMISSION_BYTES,
    SIZE_TYPE,
    Frontier,
    NoteVerifier,
    checkpoint_text,
    consistency_path,
    cosignature_line,
    cosigned_text,
    leaf_hash,
    read_checkpoint,
    read_note,
    read_verifier,
    signed_note,
    submission,
    verifier_text,
    verify_cosignature,
    verify_note,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]
LOG = PrivateKey("Ed25519", b"\x01" * 32)
OTHER = PrivateKey("Ed25519", b"\x02" * 32)
WITNESS = PrivateKey("Ed25519", b"\x03" * 32)
NAME = "did:web:witness.example"
ORIGIN = "log.example/one"


class Log:
    """A log by hand."""

    def __init__(self, *, odd: bool = False) -> None:
        """`odd`: its third leaf is another one."""
        self.tree = Frontier()
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.roots = [self.tree.root]
        self.odd = odd

    def grow(self, size: int) -> Log:
        while self.tree.size < size:
            leaf = b"other" if self.odd and self.tree.size == 2 else b"leaf %d" % self.tree.size
            self.nodes |= {(level, at): value for level, at, value in self.tree.append(leaf_hash(leaf))}
            self.roots.append(self.tree.root)
        return self

    def note(self, size: int, key: PrivateKey = LOG, origin: str = ORIGIN) -> str:
        text = checkpoint_text(origin, size, self.grow(size).roots[size])
        return signed_note(text, origin, key.public_key, key.sign_now(text))

    def asks(self, old: int, size: int, note: str = "") -> bytes:
        note = note or self.note(size)
        path = consistency_path(old, size, lambda level, at: self.nodes[level, at]) if 0 < old < size else ()
        return submission(old, path, note)


@asynccontextmanager
async def witness(folder: Path) -> AsyncIterator[tuple[WitnessServer, WitnessBook]]:
    gatherer, book = Gatherer(local=True), WitnessBook(folder / "witness.db")
    keys = [NoteVerifier(ORIGIN, False, LOG.public_key)]
    try:
        async with WitnessServer(book, NAME, WITNESS, gatherer, keys=keys) as server:
            yield server, book
    finally:
        book.close()
        await gatherer.close()


async def post(server: WitnessServer | str, body: bytes) -> tuple[int, str, str]:
    url = server if isinstance(server, str) else server.url
    async with ClientSession() as session, session.post(f"{url}/add-checkpoint", data=body) as answer:
        return answer.status, await answer.text(), answer.headers.get("Content-Type", "")


async def test_connections_that_say_nothing_make_room(tmp_path: Path) -> None:
    """Whoever holds them all, the oldest goes, and a log is cosigned."""
    async with witness(tmp_path) as (server, _):
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(CONNECTIONS)]
        await until(lambda: len(server._strangers) == CONNECTIONS)
        assert (await post(server, Log().asks(0, 5)))[0] == 200
        with suppress(ConnectionResetError):
            assert await held[0][0].read() == b""
        held[-1][1].write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await held[-1][0].readline()).split()[1] == b"404", "and no more than that"
        for _, writer in held:
            writer.close()


async def test_what_continues_is_cosigned_and_nothing_else(tmp_path: Path) -> None:
    """HIRE-LOG-20: every answer of C2SP tlog-witness, in the order of its checks."""
    log = Log().grow(20)
    async with witness(tmp_path) as (server, book):
        for body in (b"", b"old 0\n\nnothing", log.asks(0, 5).replace(b"old", b"new"), b"x" * 40_000):
            assert (await post(server, body))[0] in (400, 413), body[:40]
        head = f"{ORIGIN}\n{2**63}\n{base64_encode(bytes(32))}\n".encode()
        over = signed_note(head, ORIGIN, LOG.public_key, LOG.sign_now(head))
        assert (await post(server, submission(0, (), over)))[0] == 400, "no store has room for it"
        assert (await post(server, log.asks(0, 5, log.note(5, origin="log.example/two"))))[0] == 404
        assert (await post(server, log.asks(0, 5, log.note(5, OTHER))))[0] == 403
        assert (await post(server, submission(6, (), log.note(5))))[0] == 400
        assert (await post(server, submission(0, (bytes(32),), log.note(5))))[0] == 422
        assert await post(server, log.asks(3, 5)) == (409, "0\n", SIZE_TYPE)
        assert book.logs() == (), "no refusal moved anything"
        for old, size in ((0, 5), (5, 5), (5, 12), (12, 13)):
            status, line, _ = await post(server, log.asks(old, size))
            assert status == 200
            head, seconds = verify_cosignature(log.note(size) + line, NAME, WITNESS.public_key)
            assert (head.origin, head.size, head.root) == (ORIGIN, size, log.roots[size])
            assert abs(seconds - time.time()) < 60
        for old, size in ((0, 20), (5, 20), (12, 20), (0, 5), (0, 13)):
            assert await post(server, log.asks(old, size)) == (409, "13\n", SIZE_TYPE)
        assert (await post(server, log.asks(13, 20).replace(b"\n", b"\n" + b"A" * 43 + b"=\n", 1)))[0] == 422
        assert (await post(server, Log(odd=True).grow(20).asks(13, 20)))[0] == 422
        status, _, kind = await post(server, Log(odd=True).asks(13, 13))
        assert (status, kind == SIZE_TYPE) == (409, False), "as many leaves, and another root"
        assert [(one.size, one.root) for one in book.logs()] == [(13, log.roots[13])]
        (doubled,) = book.contradictions()
        heads = [verify_note(note, LOG.public_key, ORIGIN) for note in (doubled.held, doubled.came)]
        assert heads[0].size == heads[1].size == 13
        assert heads[0].root != heads[1].root
    async with witness(tmp_path) as (server, book):
        assert await post(server, log.asks(0, 20)) == (409, "13\n", SIZE_TYPE), "it is known after a restart"
        assert len(book.contradictions()) == 1


async def test_of_many_at_once_each_continues_the_one_before(tmp_path: Path) -> None:
    """HIRE-LOG-20: whether it continues and that it is the newest now is decided in one step."""
    log = Log().grow(40)
    async with witness(tmp_path) as (server, book):
        assert (await post(server, log.asks(0, 2)))[0] == 200
        found = await asyncio.gather(*(post(server, log.asks(2, size)) for size in range(3, 41)))
        assert sorted({status for status, _, _ in found}) == [200, 409]
        assert [status for status, _, _ in found].count(200) == 1
        (held,) = book.logs()
        assert f"{held.size}\n" in {text for status, text, _ in found if status == 409}


async def test_only_posts_to_its_path_are_answered(tmp_path: Path) -> None:
    async with witness(tmp_path) as (server, _), ClientSession() as session:
        async with session.get(f"{server.url}/add-checkpoint") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        async with session.post(f"{server.url}/other", data=b"") as answer:
            assert answer.status == 404
        async with session.post(f"{server.url}/add-checkpoint", data=b"x", expect100=True) as answer:
            assert answer.status == 400, "who waits to be asked for the body is asked"


async def test_of_what_is_longer_than_any_request_no_more_is_read(tmp_path: Path) -> None:
    async with witness(tmp_path) as (server, _):
        assert (await post(server, b"x" * MAX_SUBMISSION_BYTES))[0] == 400
        assert (await post(server, b"x" * (MAX_SUBMISSION_BYTES + 1)))[0] == 413
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /add-checkpoint HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n")
        writer.write(b"x" * (MAX_SUBMISSION_BYTES + 1))
        assert (await reader.readline()).split()[1] == b"413", "and the rest was not waited for"
        writer.close()


@pytest.mark.parametrize(
    ("made", "tables"),
    [("CREATE TABLE theirs (one)", ["theirs"]), ("PRAGMA application_id = 1", []), ("PRAGMA user_version = 1", [])],
)
async def test_a_file_of_somebody_else_is_no_book_of_a_witness(tmp_path: Path, made: str, tables: list[str]) -> None:
    """Nor does it become one."""
    file = tmp_path / "witness.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as theirs:
        theirs.execute(made)
    with refuses(LedgerError, "store_version"):
        WitnessBook(file)
    with closing(sqlite3.connect(file)) as theirs:
        assert [name for (name,) in theirs.execute("SELECT name FROM sqlite_schema")] == tables


def settings(home: Home, url: str, key: str) -> Home:
    """The state folder with this witness in its settings."""
    file = home.path / "undersigned.toml"
    file.write_text(f'{file.read_text()}\n[[witness]]\nurl = "{url}"\nkey = "{key}"\n')
    return Home(home.path)


@asynccontextmanager
async def watched(folder: Path, logs: Iterable[Home | str], home: Home) -> AsyncIterator[tuple[Process, str, str]]:
    """`witness serve` for logs of these folders or keys, as a process; its URL and key."""
    (port,) = free_ports(1)
    named = [word for one in logs for word in ("--log", one if isinstance(one, str) else one.configuration.did)]
    program = [
        *UNDERSIGNED,
        "witness",
        "serve",
        "--home",
        str(home.path),
        "--listen",
        f"127.0.0.1:{port}",
        "--json",
        *named,
    ]
    with running(program, folder, '"ready"') as process:
        key = next(part for part in process.until('"ready"').split('"') if part.count("+") >= 2)
        yield process, f"http://localhost:{port}", key


async def ran(folder: Path, *words: object) -> Ended:
    """A command about witnesses; meanwhile peers of this process answer."""
    return await asyncio.to_thread(undersigned, "witness", *words, folder=folder)


async def hire(acme: Peer, globex: Peer) -> None:
    await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")


async def test_a_peer_has_its_log_cosigned_and_one_that_went_back_does_not_start(tmp_path: Path) -> None:
    """HIRE-LOG-21, SC-90: a store that was put back, or written anew, is noticed by the witness that saw more."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(globex) as other, watched(tmp_path, [acme], globex) as (_, url, key):
        acme = settings(acme, url, key)
        async with Peer.open(acme) as peer:
            await hire(peer, other)
            shown = await ran(tmp_path, "ask", "--home", acme.path, "--json")
            assert shown.code == 0, shown
            assert shown.values[0]["cosigned"] is not None
            note = shown.values[-1]["note"]
            head, _ = verify_cosignature(note, globex.configuration.did, read_verifier(key).key)
            assert head.size == await peer.ledger.tree_size()
            (asked,) = await peer.witnesses.ask()
            assert asked.error is None
            async with ClientSession() as session, session.get(f"{peer.base_url}/ledger/checkpoint") as answer:
                served = await answer.text()
            assert len(read_note(served).signatures) == 2, "the log's own, and the witness's"
            verify_cosignature(served, globex.configuration.did, read_verifier(key).key)
        listed = await ran(tmp_path, "show", "--home", globex.path, "--json")
        assert (listed.code, [one["size"] for one in listed.values]) == (0, [head.size])
        for damage, said in ((rewritten, "does not continue|another root"), (went_back, f"has cosigned {head.size}")):
            damage(acme)
            with pytest.raises(LedgerError, match=said) as refused:
                async with Peer.open(acme):
                    pass
            assert (refused.value.code, refused.value.exit_code) == ("ledger_diverged", 4), "as 'witness ask' ends"
            told = await ran(tmp_path, "ask", "--home", acme.path, "--json")
            assert (told.code, told.values[0]["error"]["code"]) == (4, "ledger_diverged")


async def test_who_signed_two_roots_is_shown_with_both(tmp_path: Path) -> None:
    """HIRE-LOG-20: of a log that is no agent's, and is watched by its key; both notes are proof to anybody."""
    _, globex = await two_homes(tmp_path)
    log = Log().grow(5)
    key = verifier_text(NoteVerifier(ORIGIN, False, LOG.public_key))
    assert (await ran(tmp_path, "show", "--home", globex.path)).code == 2, "nothing was ever cosigned"
    async with watched(tmp_path, [key, key], globex) as (process, url, _):
        assert json.loads(next(one for one in process.lines if '"ready"' in one))["logs"] == [ORIGIN], "named twice"
        assert (await ran(tmp_path, "show", "--home", globex.path)).out == "local | nothing was cosigned yet\n"
        assert (await post(url, log.asks(0, 5)))[0] == 200
        shown = await ran(tmp_path, "show", "--home", globex.path)
        assert (shown.code, shown.out.split()) == (0, ["local", "|", "5", ORIGIN])
        assert (await post(url, Log(odd=True).asks(5, 5)))[0] == 409
    shown = await ran(tmp_path, "show", "--home", globex.path)
    assert (shown.code, shown.out.splitlines()[-1]) == (4, f"local | {ORIGIN} signed two roots of 5 leaves")
    shown = await ran(tmp_path, "show", "--home", globex.path, "--json")
    heads = [verify_note(note, LOG.public_key, ORIGIN) for note in shown.values[-1]["notes"]]
    assert [head.root for head in heads] == [log.roots[5], Log(odd=True).grow(5).roots[5]]


async def test_a_pack_stands_under_what_witnesses_cosigned(tmp_path: Path) -> None:
    """HIRE-PCK-08: their lines, and the document of one that is no party; whoever verifies hears who cosigned."""
    acme, globex = await two_homes(tmp_path)
    third = (await two_homes(tmp_path / "others"))[0]
    async with (
        Peer.open(third),
        Peer.open(globex) as other,
        watched(tmp_path, [acme], third) as (_, url, key),
        Peer.open(settings(acme, url, key)) as peer,
    ):
        await hire(peer, other)
        await until(lambda: not peer.conversations)
        (summary,) = await peer.ledger.summaries()

        async def packed() -> bytes:
            return await export_pack(peer.ledger, peer.artifacts, peer.own.id, summary.engagement)

        before = await packed()
        assert len(read_note(read_archive(before)["ledger/checkpoint.txt"].decode()).signatures) == 1
        told = ("export", "--home", acme.path, "--out", tmp_path / "hire.zip", "--force")
        early = await asyncio.to_thread(undersigned, *told, folder=tmp_path)
        assert f"without a line of {third.configuration.did}: a peer that runs" in early.out, early
        early = await asyncio.to_thread(undersigned, *told, "--json", folder=tmp_path)
        assert early.values[0]["notCosignedBy"] == [third.configuration.did]
        await peer.witnesses._round()
        later = await asyncio.to_thread(undersigned, *told, "--json", folder=tmp_path)
        assert "notCosignedBy" not in later.values[0]
        data = await packed()
        assert data == await packed()
        report = verify_pack(data, now=peer.clock.now())
        assert report.ok, report.steps
        size = await peer.ledger.tree_size()
        assert f"{third.configuration.did} cosigned {size} leaves at " in report.steps[7].detail
        assert not verify_pack(tamper(data, "witness"), now=peer.clock.now()).ok


async def test_evidence_of_before_a_key_was_replaced_stands_under_what_was_cosigned_since(tmp_path: Path) -> None:
    """HIRE-PCK-08: with the document that has the new key; if it was replaced again, under what our closing signed."""
    acme, globex = await two_homes(tmp_path)
    wanted = NoteVerifier(NAME, True, WITNESS.public_key)
    async with Peer.open(globex) as other, Peer.open(acme) as peer:
        await hire(peer, other)
        await until(lambda: not peer.conversations)
    rotate_key(acme)
    ledger = await open_ledger(acme.ledger_url)
    head = await ledger.head()
    note = await noted(ledger, acme.configuration.did, Home(acme.path).log_key(), head)
    text, seconds = read_note(note).text, int(time.time())
    line = cosignature_line(NAME, WITNESS.public_key, seconds, WITNESS.sign_now(cosigned_text(text, seconds)))
    await ledger.put_checkpoint(head, note + line)
    await ledger.close()
    for replaced, cosigned in ((1, True), (2, False)):
        made = await asyncio.to_thread(
            undersigned, "export", "--home", acme.path, "--out", f"{replaced}.zip", "--json", folder=tmp_path
        )
        assert made.code == 0, made
        data = (tmp_path / f"{replaced}.zip").read_bytes()
        report = verify_pack(data, now=SystemClock().now(), witnesses=[wanted])
        assert report.ok == cosigned, report.steps
        assert verify_pack(data, now=SystemClock().now()).ok
        told = await asyncio.to_thread(
            undersigned, "history", globex.configuration.did, "--home", acme.path, folder=tmp_path
        )
        assert told.code == 0, told
        rotate_key(acme)


async def test_a_witness_that_is_killed_knows_what_it_cosigned(tmp_path: Path) -> None:
    """HIRE-LOG-20: it is on disk before it is said."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as peer, Peer.open(globex) as other:
        await hire(peer, other)
        size = await peer.ledger.tree_size()
        async with watched(tmp_path, [acme], globex) as (process, url, key):
            options = ("--url", url, "--key", key, "--home", acme.path, "--json")
            assert (await ran(tmp_path, "ask", *options)).code == 0
            process.end(signal.SIGKILL)
            gone = await ran(tmp_path, "ask", *options)
            assert (gone.code, gone.values[0]["cosigned"]) == (6, None), gone
    book = WitnessBook(globex.path / "witness.db")
    assert [one.size for one in book.logs()] == [size]
    book.close()


async def test_a_witness_that_cannot_read_our_keys_found_no_proof_wrong(tmp_path: Path) -> None:
    """They are in our DID document, which our own peer serves: the log is not at fault, and it can be asked again."""
    acme, globex = await two_homes(tmp_path)
    async with watched(tmp_path, [acme], globex) as (_, url, key):
        options = ("--url", url, "--key", key, "--home", acme.path, "--json")
        async with Peer.open(acme) as peer, Peer.open(globex) as other:
            await hire(peer, other)
        told = await ran(tmp_path, "ask", *options)
        assert (told.code, told.values[0]["error"]["code"]) == (6, "did_unresolvable"), told
        assert "'serve'" in told.values[0]["error"]["message"]


async def code_of(home: Home, status: int, said: str, kind: str = "text/plain") -> str | None:
    """Why a witness that answers so cosigned nothing."""

    async def answers(_: web.Request) -> web.Response:
        return web.Response(status=status, text=said, content_type=kind)

    app = web.Application()
    app.router.add_post("/add-checkpoint", answers)
    key = verifier_text(NoteVerifier("w.example", True, WITNESS.public_key))
    async with (
        TestServer(app, host="localhost") as server,
        Peer.open(settings(home, f"http://localhost:{server.port}", key)) as peer,
    ):
        (asked,) = await peer.witnesses.ask()
    return asked.error.code if asked.error is not None else None


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (503, "store_full\n", "overloaded"),
        (503, "<html>no backend</html>", "overloaded"),
        (429, "", "overloaded"),
        (403, "no signature of its key\n", "log_proof_invalid"),
    ],
)
async def test_a_witness_without_capacity_found_no_proof_wrong(
    tmp_path: Path, status: int, said: str, code: str
) -> None:
    """What its own store says is no word about ours."""
    acme, _ = await two_homes(tmp_path)
    assert await code_of(acme, status, said) == code


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (409, "<html>conflict</html>", "text/html"),
        (409, "0\n", SIZE_TYPE),
        (409, "-5\n", SIZE_TYPE),
        (422, "unprocessable\n", "text/plain"),
    ],
)
async def test_who_names_no_checkpoint_that_it_holds_keeps_nobody_from_working(
    tmp_path: Path, status: int, said: str, kind: str
) -> None:
    """HIRE-LOG-21: a log continues the one without leaves, whatever stands in a witness's place says to that."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as peer, Peer.open(globex) as other:
        await hire(peer, other)
    assert await code_of(acme, status, said, kind) == "log_proof_invalid"


async def test_a_witness_that_knows_less_than_it_did_is_shown_the_rest(tmp_path: Path) -> None:
    """HIRE-LOG-21: put back from an old copy, or lost altogether, it says nothing against a log that goes on."""
    acme, globex = await two_homes(tmp_path)
    gatherer, (port,) = Gatherer(local=True), free_ports(1)
    key = verifier_text(NoteVerifier(NAME, True, WITNESS.public_key))
    acme = settings(acme, f"http://localhost:{port}", key)

    @asynccontextmanager
    async def serving(name: str) -> AsyncIterator[None]:
        book = WitnessBook(tmp_path / name)
        try:
            async with WitnessServer(book, NAME, WITNESS, gatherer, logs=[acme.configuration.did], port=port):
                yield
        finally:
            book.close()

    async def asked(peer: Peer) -> int:
        (one,) = await peer.witnesses.ask()
        assert one.error is None
        head, _ = verify_cosignature(peer.witnesses.newest or "", NAME, WITNESS.public_key)
        return head.size

    try:
        async with Peer.open(globex) as other:
            async with Peer.open(acme) as peer:
                async with serving("witness.db"):
                    await hire(peer, other)
                    before = await asked(peer)
                shutil.copyfile(tmp_path / "witness.db", tmp_path / "old.db")
                async with serving("witness.db"):
                    await hire(peer, other)
                    assert await asked(peer) > before
                async with serving("old.db"):
                    assert await asked(peer) == await peer.ledger.tree_size()
            async with serving("new.db"), Peer.open(acme) as peer:
                assert await asked(peer) == await peer.ledger.tree_size()
    finally:
        await gatherer.close()


async def test_a_log_that_has_grown_is_shown_again_while_its_peer_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LOG-21: nobody has to ask for it."""
    monkeypatch.setattr(witnesses, "ROUND_SECONDS", 0.1)
    acme, globex = await two_homes(tmp_path)
    async with (
        Peer.open(globex) as other,
        watched(tmp_path, [acme], globex) as (_, url, key),
        Peer.open(settings(acme, url, key)) as peer,
    ):
        await hire(peer, other)
        await until(lambda: not peer.conversations)
        size = await peer.ledger.tree_size()
        await until(lambda: cosigned(peer) == size)


def cosigned(peer: Peer) -> int:
    """Leaves of the log that a witness has signed for."""
    return read_checkpoint(read_note(peer.witnesses.newest).text).size if peer.witnesses.newest else 0


async def test_a_witness_out_of_reach_keeps_nobody_from_working(tmp_path: Path) -> None:
    acme, globex = await two_homes(tmp_path)
    (port,) = free_ports(1)
    key = verifier_text(NoteVerifier("w.example", True, WITNESS.public_key))
    acme = settings(acme, f"http://localhost:{port}", key)
    async with Peer.open(acme) as peer, Peer.open(globex) as other:
        await hire(peer, other)
        (asked,) = await peer.witnesses.ask()
        assert asked.error is not None
        assert asked.error.code == "unreachable", "it was told as a DID that does not resolve"


async def test_settings_and_options_that_name_no_witness_are_refused(tmp_path: Path) -> None:
    acme, _ = await two_homes(tmp_path)
    key = verifier_text(NoteVerifier("w.example", True, WITNESS.public_key))
    of_log = verifier_text(NoteVerifier("w.example", False, LOG.public_key))
    for words in (
        ("ask",),
        ("ask", "--url", "http://localhost:1"),
        ("ask", "--url", "http://w.example", "--key", key),
        ("ask", "--url", "https://w.example", "--key", of_log),
        ("ask", "--url", "https://w.example", "--key", key[:-8]),
        ("show",),
        ("serve", "--log", key),
        ("serve", "--log", "nobody"),
        ("serve", "--log", "a+b"),
    ):
        ended = await ran(tmp_path, *words, "--home", acme.path, "--json")
        assert ended.code == 2, (words, ended)
        assert ended.error["message"]
        assert "log_proof_invalid" not in ended.error["message"], "it has a code, and not two"
