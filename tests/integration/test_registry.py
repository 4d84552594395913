"""A trust registry asked over real sockets: ours over a file, and one that does what it should not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from integration.commands import UNDERSIGNED, running
from integration.hires import Hands, free_ports, until
from parties import Party
from support import held_time
from undersigned.daemon import RegistryServer
from undersigned.daemon.registry import CONNECTIONS
from undersigned.encoding import shift
from undersigned.errors import ConfigurationError
from undersigned.runtime import Gatherer, GathererLimits, Home, RegistryKeeper, SystemClock, create_home
from undersigned.runtime.home.registries import AT_ONCE
from unit.cli.running import run

pytestmark = pytest.mark.timeout(60)

GUILD, UNION, ISSUER = (Party(name).did for name in ("guild", "union", "issuer"))
SAYS = f"""
[[authorization]]
authority = "{UNION}"
entity = "{ISSUER}"
action = "issue"
resource = "sbom"

[[recognition]]
authority = "{GUILD}"
entity = "{UNION}"
action = "issue"
resource = "sbom"
"""


def asking(folder: Path, url: str, *, authorities: tuple[str, ...] = (GUILD, UNION), more: str = "") -> Home:
    """A state folder that asks this registry, and believes the guild."""
    home = create_home(folder, name="Acme", local=True, anchors=(GUILD,))
    file = home.path / "undersigned.toml"
    listed = json.dumps(list(authorities))
    file.write_text(f'{file.read_text()}\n[[registry]]\nurl = "{url}"\nauthorities = {listed}\n{more}')
    return Home(folder)


@asynccontextmanager
async def keeper(home: Home, clock: Any = None, **limits: Any) -> AsyncIterator[RegistryKeeper]:
    gatherer = Gatherer(local=True, limits=GathererLimits(**limits))
    try:
        yield RegistryKeeper(home, gatherer, clock or SystemClock())
    finally:
        await gatherer.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.toml"
    path.write_text(SAYS)
    return path


async def test_a_registry_over_a_file_is_asked_and_kept_for_its_time(tmp_path: Path, file: Path) -> None:
    """HIRE-REG-03, HIRE-REG-04, HIRE-REG-06."""
    clock = Hands()
    server = RegistryServer(file, now=clock.now)
    await server.start()
    home = asking(tmp_path / "acme", server.url)
    async with keeper(home, clock) as registries:
        word = await registries.word(ISSUER, "EndorsementCredential", "sbom")
        assert {(edge.source, edge.target, edge.depth) for edge in word.edges} == {
            (GUILD, UNION, 1),
            (UNION, ISSUER, 0),
        }
        # Nothing is known of recognition by the union, nor of authorization by the guild: two times status 404.
        assert len(word.failures) == 2
        assert {failure.code for failure in word.failures} == {"registry_unavailable"}
        await server.stop()
        assert (await registries.word(ISSUER, "EndorsementCredential", "sbom")).edges == word.edges
        clock.ahead = 301
        later = await registries.word(ISSUER, "EndorsementCredential", "sbom")
        assert (later.edges, later.answers, len(later.failures)) == ((), (), 2)


async def test_what_the_file_says_now_is_answered(tmp_path: Path, file: Path) -> None:
    """HIRE-REG-06. A line that was taken out is a no with the next question, and a broken file answers nothing."""

    def says(text: str | None) -> None:
        file.unlink()
        if text is not None:
            file.write_text(text)

    query = {"entity_id": ISSUER, "authority_id": UNION, "action": "issue", "resource": "sbom"}
    async with RegistryServer(file) as server, ClientSession() as session:

        async def ask(*, waits: bool = False, **changes: Any) -> tuple[int, Any]:
            body = json.dumps(query | changes).encode()
            async with session.post(f"{server.url}/authorization", data=body, expect100=waits) as response:
                return response.status, await response.json(content_type=None)

        assert (await ask())[1]["authorized"] is True
        assert (await ask(waits=True))[1]["authorized"] is True, "who waits to be asked for the body is asked"
        assert (await ask(entity_id=GUILD))[1]["authorized"] is False
        status, problem = await ask(resource="audit")
        assert (status, problem["status"], problem["type"]) == (404, 404, "about:blank")
        assert (await ask(context={"region": "EU"}))[0] == 400
        assert (await ask(entity_id="x" * 20_000))[0] == 400
        async with session.post(f"{server.url}/authorization", data=json.dumps(query) + " " * 20_000) as response:
            assert response.status == 400, "as long as a query never is"
        async with session.post(f"{server.url}/authorization", data=json.dumps(query)) as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        says(SAYS.replace(f'entity = "{ISSUER}"', f'entity = "{GUILD}"'))
        assert (await ask())[1]["authorized"] is False
        # Whatever puts the file there may keep its time, and what is taken back may be as long.
        for same in (SAYS, SAYS.replace(ISSUER, "x" * len(ISSUER))):
            says(same)
            os.utime(file, (1, 1))
            assert (await ask())[1]["authorized"] is (same == SAYS)
        says("[[authorization]]\nauthority = 7\n")
        assert (await ask())[0] == 500
        says(SAYS)
        assert (await ask())[0] == 200
        says(None)
        assert (await ask())[0] == 500
        async with session.get(f"{server.url}/authorization") as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")
        async with session.post(f"{server.url}/", data=b"{}") as response:
            assert response.status == 404
    with pytest.raises(ConfigurationError):
        await server.start()


@pytest.mark.parametrize(("sent", "seconds", "status"), [(20_000, 30.0, 400), (20, 0.05, 408)])
async def test_a_query_that_does_not_end_is_not_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch, sent: int, seconds: float, status: int
) -> None:
    """It is refused once it is longer than one may be, or when it took too long."""
    monkeypatch.setattr("undersigned.daemon.registry.BODY_SECONDS", seconds)
    monkeypatch.setattr("undersigned.daemon.near.LINGER_SECONDS", 0.0)
    async with RegistryServer(file) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
        writer.write(b"POST /recognition HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b" " * sent)
        heard = await asyncio.wait_for(reader.readline(), 20)
        writer.close()
    assert int(heard.split()[1]) == status


@pytest.mark.parametrize("said", [b"", b"POST /recognition HTTP/1.1\r\nContent-Len"], ids=["nothing", "half a request"])
async def test_connections_that_say_nothing_make_room(file: Path, said: bytes) -> None:
    """They cost memory and a file descriptor each, so there are only so many, and the oldest goes first."""
    async with RegistryServer(file) as server, ClientSession() as session:
        port = urlsplit(server.url).port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
        for _, writer in held:
            writer.write(said)
        async with session.post(f"{server.url}/recognition", data=b"{}") as response:
            assert response.status == 400
        assert len(server._strangers) == CONNECTIONS
        with suppress(ConnectionResetError):
            assert await held[0][0].read() == b"", "the oldest made room"
        for _, writer in held:
            writer.close()


async def test_who_has_no_token_keeps_nobody_out(file: Path) -> None:
    """Whoever has the registry's token stays, however many come after."""
    headers = {"Authorization": "Bearer s3cret-token"}
    async with RegistryServer(file, token="s3cret-token") as server, ClientSession(headers=headers) as session:
        async with session.post(f"{server.url}/recognition", data=b"{}") as response:
            assert response.status == 400
        port = urlsplit(server.url).port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS + 8)]
        await until(lambda: len(server._strangers) == CONNECTIONS - 1)
        async with session.post(f"{server.url}/recognition", data=b"{}") as response:
            assert response.status == 400
        assert len(server._strangers) == CONNECTIONS - 1, "it was not asked by a new one"
        for _, writer in held:
            writer.close()


async def test_only_who_has_the_token_is_answered(tmp_path: Path, file: Path) -> None:
    """HIRE-REG-05, HIRE-REG-06."""
    async with RegistryServer(file, token="s3cret-token") as server:
        (tmp_path / "good").write_text("s3cret-token\n")
        (tmp_path / "other").write_text("another")
        for name, edges in (("good", 2), ("other", 0)):
            home = asking(tmp_path / f"acme-{name}", server.url, more=f'token_file = "{tmp_path / name}"\n')
            async with keeper(home) as registries:
                assert len((await registries.word(ISSUER, "EndorsementCredential", "sbom")).edges) == edges
        async with keeper(asking(tmp_path / "acme-none", server.url)) as registries:
            word = await registries.word(ISSUER, "EndorsementCredential", "sbom")
            assert (word.edges, len(word.failures)) == ((), 2)
        home = asking(tmp_path / "acme-gone", server.url, more='token_file = "nothing"\n')
        async with keeper(home) as registries:
            with pytest.raises(ConfigurationError) as caught:
                await registries.word(ISSUER, "EndorsementCredential", "sbom")
            assert caught.value.code == "key_unavailable"


@pytest.mark.parametrize(
    ("shown", "status"), [("Bearer s3cret", 404), ("bearer s3cret", 404), ("Basic s3cret", 401), ("s3cret", 401)]
)
async def test_the_name_of_a_scheme_is_written_in_any_case(file: Path, shown: str, status: int) -> None:
    """RFC 9110, section 11.1; as at control."""
    query = {"entity_id": ISSUER, "authority_id": "did:web:x.example", "action": "issue", "resource": "sbom"}
    async with RegistryServer(file, token="s3cret") as server, ClientSession() as session:
        headers = {"Authorization": shown}
        async with session.post(f"{server.url}/authorization", json=query, headers=headers) as answer:
            assert answer.status == status


async def test_a_token_of_odd_bytes_is_another_one(file: Path) -> None:
    async with RegistryServer(file, token="s3cret-token") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        try:
            writer.write(b"POST /authorization HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xe9\xff\r\n")
            writer.write(b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
            heard = await reader.read()
        finally:
            writer.close()
    head = heard.split(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nServer: hire" in head
    assert b"\r\nWWW-Authenticate: Bearer" in head


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answers(status: str, body: bytes, fields: str = "") -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

    return answer


async def hang(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


def yes() -> bytes:
    """What would be an answer, now."""
    query = {"entity_id": ISSUER, "authority_id": GUILD, "action": "issue", "resource": "sbom"}
    return json.dumps(query | {"authorized": True, "time_evaluated": SystemClock().now()}).encode()


WRONG: dict[str, Callable[[bytes], Answer]] = {
    "400": lambda yes: answers("400 Bad Request", yes),
    "401": lambda yes: answers("401 Unauthorized", yes),
    "404": lambda yes: answers("404 Not Found", b'{"title":"action not found","status":404}'),
    "500": lambda yes: answers("500 Internal Server Error", yes),
    "201": lambda yes: answers("201 Created", yes),
    "redirect": lambda yes: answers("307 Temporary Redirect", yes, "Location: /elsewhere\r\n"),
    "no JSON": lambda yes: answers("200 OK", b"yes"),
    "encoded": lambda yes: answers("200 OK", yes, "Content-Encoding: gzip\r\n"),
    "too long": lambda yes: answers("200 OK", yes + b" " * 20_000),
    "never": lambda _: hang,
    "hangs up": lambda _: hang_up,
}


async def test_a_registry_that_does_not_answer_says_nothing(tmp_path: Path) -> None:
    """HIRE-REG-04, HIRE-REG-05. Everything but the one whole answer, which is the control."""
    now: list[Answer] = []
    requests: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            requests.append(
                head + await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            )
            await now[-1](writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    home = asking(tmp_path / "acme", f"http://localhost:{port}/v2/", authorities=(GUILD,))
    try:
        for name, answer in WRONG.items():
            now.append(answer(yes()))
            async with keeper(home, seconds=0.5 if name == "never" else 5.0) as registries:
                word = await registries.word(ISSUER, "EndorsementCredential", "sbom")
                assert (word.edges, word.answers, len(word.failures)) == ((), (), 1), name
                if name == "500":  # it was not remembered
                    now.append(answers("200 OK", yes()))
                    word = await registries.word(ISSUER, "EndorsementCredential", "sbom")
                    assert (len(word.edges), word.failures) == (1, ())
        sent = requests[0]
        assert sent.startswith(b"POST /v2/authorization HTTP/1.1\r\n")
        assert b"Content-Type: application/json\r\n" in sent
        assert len(requests) == len(WRONG) + 1, "a redirect is not followed, and nothing is asked twice"
    finally:
        listening.close()


async def test_an_answer_that_another_one_overtook_takes_no_place(tmp_path: Path) -> None:
    """HIRE-REG-04. It was a yes again, for five minutes, that an authority had taken back."""
    comes, held, asked = asyncio.Event(), asyncio.Event(), list[bytes]()
    now = SystemClock().now()
    before = yes().replace(now.encode(), shift(now, -5).encode())

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0])))
        first = len(asked) == 1
        if first:
            held.set()
            await comes.wait()
        await answers("200 OK", before if first else yes().replace(b"true", b"false"))(writer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        home = asking(tmp_path / "acme", f"http://localhost:{port}", authorities=(GUILD,))
        async with keeper(home) as registries:

            async def said() -> list[bool]:
                return [one.yes for one in (await registries.word(ISSUER, "EndorsementCredential", "sbom")).answers]

            first = asyncio.create_task(said())
            await held.wait()
            assert await said() == [False]
            comes.set()
            assert (await first, await said(), len(asked)) == ([False], [False], 2)


async def test_a_registry_that_hangs_keeps_nothing_else_from_being_looked_up(tmp_path: Path) -> None:
    """HIRE-REG-05. Whoever names issuers has it asked, and of issuers there is no end."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    writers: list[asyncio.StreamWriter] = []
    crowded = asyncio.Event()

    async def keeps(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if len(writers) == AT_ONCE:
            crowded.set()

    hangs = await asyncio.start_server(keeps, "127.0.0.1", 0)
    serves = await asyncio.start_server(served, "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (hangs, serves)]
    home = asking(tmp_path / "acme", f"http://localhost:{ports[0]}/v2")
    try:
        async with keeper(home, seconds=1.0) as registries:
            issuers = [Party(f"issuer {number}").did for number in range(40)]
            with held_time() as put_forward:
                asked = [asyncio.create_task(registries.word(did, "EndorsementCredential", "sbom")) for did in issuers]
                await crowded.wait()
                assert await registries._gatherer.fetch(f"http://localhost:{ports[1]}/") == b"{}"
                assert not any(task.done() for task in asked)
                assert len(writers) == AT_ONCE
                put_forward(1.0)
                words = await asyncio.gather(*asked)  # who waited for a place had no more time than who had one
            assert len(writers) == AT_ONCE
            assert {(word.edges, len(word.failures)) for word in words} == {((), 2)}
    finally:
        for writer in writers:
            writer.close()
        hangs.close()
        serves.close()


@pytest.mark.parametrize(
    "more",
    [
        '[[registry]]\nurl = "http://registry.example"\nauthorities = []\n',
        '[[registry]]\nurl = "https://registry.example/?a=b"\nauthorities = []\n',
        '[[registry]]\nurl = "https:///path"\nauthorities = []\n',
        '[[registry]]\nurl = "https://registry.example"\nauthorities = ["guild"]\n',
        f'[[registry]]\nurl = "https://registry.example"\nauthorities = ["{GUILD}", "{GUILD}"]\n',
        '[[registry]]\nurl = "https://registry.example"\nauthorities = []\nmax_age = "P2D"\n',
        '[[registry]]\nurl = "https://registry.example"\nauthorities = []\nmax_age = "PT0S"\n',
        '[[registry]]\nurl = "https://registry.example"\nauthorities = []\naction = ""\n',
        '[[registry]]\nurl = "https://registry.example"\nauthorities = []\nroots = true\n',
        "".join(
            f'[[registry]]\nurl = "https://r{n}.example"\nauthorities = ["did:web:a{n}.example"]\n' for n in range(9)
        ),
    ],
)
def test_configurations_that_are_refused(more: str, tmp_path: Path) -> None:
    """HIRE-REG-01."""
    home = create_home(tmp_path / "acme", name="Acme", domain="acme.example")
    file = home.path / "undersigned.toml"
    file.write_text(f"{file.read_text()}\n{more}")
    with pytest.raises(ConfigurationError) as caught:
        Home(home.path)
    assert caught.value.code == "bad_configuration"


def test_the_commands(tmp_path: Path, file: Path) -> None:
    """HIRE-REG-01, HIRE-REG-04. `registry serve` answers and `trust path` asks. No answer is a no, and says why."""
    (port,) = free_ports(1)
    serve = [*UNDERSIGNED, "registry", "serve", "--file", str(file), "--listen", f"127.0.0.1:{port}", "--json"]
    home = asking(tmp_path / "acme", f"http://localhost:{port}")
    about = ("trust", "path", ISSUER, "--type", "EndorsementCredential", "--capability", "sbom", "--home", home.path)
    with running(serve, tmp_path, '"ready"') as process:
        found = run(*about, "--json")
        (value,) = found.values
        assert (found.code, value["verdict"]) == (0, "yes")
        assert [edge["source"] for edge in value["paths"][0]["edges"]] == [GUILD, UNION]
        assert {one["yes"] for one in value["registries"]["answers"]} == {True}
        assert process.end(signal.SIGTERM).code == 0
    found = run(*about, "--json")
    (value,) = found.values
    assert (found.code, value["verdict"], value["registries"]["answers"]) == (3, "no", [])
    assert len(value["registries"]["failed"]) == 2
    assert "no answer: " in run(*about).out
