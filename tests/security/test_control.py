"""Security cases about the control listener: SC-95 to SC-97 and SC-100, over real sockets."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientError

from control_world import CREDENTIALS, ENTRY, Control, controlled, make_home
from integration.hires import until
from undersigned.daemon import Peer, near
from undersigned.daemon import control as module
from undersigned.daemon.control import ControlAnswer, ControlListener
from undersigned.encoding import JsonObject
from undersigned.errors import CODES, ConfigurationError
from undersigned.runtime import ControlPart, Home, control_token

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

PATHS = (
    "/credentials/issue",
    "/credentials/verify",
    "/credentials/status",
    "/presentations/prove",
    "/presentations/verify",
)
TOLD = {"type", "title", "code", "status", "detail", "pointer"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    async with controlled(make_home(tmp_path_factory.mktemp("control") / "acme")) as control:
        yield control


def good(api: Control) -> dict[str, object]:
    return {"credential": api.unsigned()}


def request(api: Control, *fields: str, body: bytes = b"{}", path: str = PATHS[0], method: str = "POST") -> bytes:
    """A request as it goes over the wire; `fields` replace the usual ones of their name."""
    usual = {
        "host": f"Host: {api.peer.control_url.removeprefix('http://')}",
        "authorization": f"Authorization: Bearer {api.token}",
        "content-type": "Content-Type: application/json",
        "content-length": f"Content-Length: {len(body)}",
    }
    names = {field.partition(":")[0].lower() for field in fields}
    lines = [line for name, line in usual.items() if name not in names] + [one for one in fields if ":" in one]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "Connection: close", "", ""]).encode() + body


async def status(api: Control, sent: bytes) -> int:
    heard = await api.raw(sent)
    assert b"access-control" not in heard.lower()
    return int(heard.split(b" ", 2)[1])


# ---------------------------------------------------------------------- SC-95


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost", "", "file://"]
)
async def test_sc_95_nothing_is_answered_to_a_page(api: Control, origin: str) -> None:
    """HIRE-CTL-03: with the right token even, in every way that a page can send."""
    for media_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        sent = request(api, f"Origin: {origin}", f"Content-Type: {media_type}", body=json.dumps(good(api)).encode())
        assert await status(api, sent) == 403
    asks_first = request(api, f"Origin: {origin}", "Access-Control-Request-Method: POST", method="OPTIONS", body=b"")
    assert await status(api, asks_first) == 403
    upgrade = request(api, f"Origin: {origin}", "Upgrade: websocket", "Connection: Upgrade", method="GET", body=b"")
    assert await status(api, upgrade) == 403


async def test_sc_95_a_name_that_was_rebound_is_not_ours(api: Control) -> None:
    """HIRE-CTL-03."""
    port = api.peer.control_url.rpartition(":")[2]
    body = json.dumps(good(api)).encode()
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert await status(api, request(api, f"Host: {host}", body=body)) == 201
    for host in (
        f"rebound.example:{port}",
        "127.0.0.1",
        "localhost:1",
        f"localhost.evil.example:{port}",
        f"127.0.0.1:{port}.evil.example",
        f"127.0.0.2:{port}",
        f"2130706433:{port}",
        "",
    ):
        assert await status(api, request(api, f"Host: {host}", body=body)) == 403, host
    assert await status(api, request(api, "Host", body=body)) in (400, 403)
    older = request(api, "Host", body=body).replace(b"HTTP/1.1", b"HTTP/1.0")  # which needs to name none
    assert await status(api, older) == 403
    twice = f"Host: 127.0.0.1:{port}\r\nHost: rebound.example"
    assert await status(api, request(api, twice, body=body)) in (400, 403)


async def test_sc_95_a_form_is_no_request(api: Control) -> None:
    """HIRE-CTL-04: without an origin, but of a type that a form can have."""
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        heard = await api.post(PATHS[0], good(api), Content_Type=media_type)
        assert (heard.status, heard.code) == (400, "bad_request")


async def test_how_it_is_written_that_a_body_is_json_and_as_it_is_says_no_more(api: Control) -> None:
    """RFC 9110, sections 8.3.1, 8.4.1 and 11.4: names of types, encodings and schemes have no case, and a scheme ends
    in spaces. JSON-LD is JSON.
    """
    fields = {"Content_Encoding": "Identity", "Authorization": f"bearer  {api.token}"}
    for media_type in ("Application/JSON ; charset=utf-8", "application/ld+json"):
        assert (await api.post(PATHS[0], good(api), Content_Type=media_type, **fields)).status == 201


# ---------------------------------------------------------------------- SC-96


async def test_sc_96_the_table_of_routes_is_the_one_tested(api: Control) -> None:
    listener = api.peer._control
    assert listener is not None
    assert sorted(listener._routes) == sorted(("POST", path) for path in PATHS)


@pytest.mark.parametrize("path", [*PATHS, "/", "/hire", "/unknown", "/.well-known/did.json"])
async def test_sc_96_every_path_asks_for_the_token(api: Control, path: str) -> None:
    """HIRE-CTL-02: whether it exists or not, which nobody else learns; and before the body is read."""
    token = api.token
    wrong = (
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {token[:-1]}",
        f"Bearer {token}x",
        f"Bearer {token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"Bearer {token.swapcase()}",
        f"Basic {token}",
        token,
        f"Bearer {token} {token}",
        "Bearer \u00e9",
    )
    for shown in wrong:
        heard = await api.post(path, b"\xff not even JSON", Authorization=shown)
        assert (heard.status, heard.code, heard.headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer"), shown
    assert await status(api, request(api, "Authorization: Bearer", f"Cookie: token={token}", path=path)) == 401
    assert await status(api, request(api, "Authorization: Bearer", path=f"{path}?access_token={token}")) == 401
    assert await status(api, request(api, "Authorization: Bearer ?", path=path).replace(b"?", b"\xff")) == 401
    twice = f"Authorization: Bearer {token}\r\nAuthorization: Bearer x"
    assert await status(api, request(api, twice, path=path)) in (400, 401)
    for method in ("GET", "PUT", "HEAD", "OPTIONS", "DELETE"):
        assert await status(api, request(api, "Authorization: Bearer x", path=path, method=method, body=b"")) == 401
    heard = await api.post(path, {})
    assert (heard.status, heard.code) == ((400, "schema_violation") if path in PATHS else (404, "bad_path"))


async def test_sc_96_it_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    """HIRE-CTL-01: and makes no token then."""
    home = make_home(tmp_path / "acme")
    async with Peer.open(home) as peer:
        assert peer.control_url == ""
    assert not (home.path / "control.token").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example", ""])
async def test_sc_96_it_does_not_listen_beyond_loopback_by_mistake(tmp_path: Path, host: str) -> None:
    """HIRE-CTL-01: from the configuration, and from whoever makes the part."""
    home = make_home(tmp_path / "acme", local=False)  # which is told nothing else
    with pytest.raises(ConfigurationError, match=r"loopback|an IP address") as caught:
        async with controlled(home, ControlPart(host=host)):
            raise AssertionError("it listens")
    assert caught.value.code == "bad_configuration"
    with (home.path / "undersigned.toml").open("a") as file:
        file.write(f'\n[control]\nhost = "{host}"\n')
    with pytest.raises(ConfigurationError) as caught:
        Home(home.path)
    assert caught.value.code == "bad_configuration"


async def test_sc_96_beyond_loopback_it_answers_to_its_names_alone(tmp_path: Path) -> None:
    """HIRE-CTL-01, HIRE-CTL-03."""
    part = ControlPart(host="0.0.0.0", names=("control.acme.example",))
    async with controlled(make_home(tmp_path / "acme", local=False), part) as api:
        port = api.peer.control_url.rpartition(":")[2]
        body = json.dumps(good(api)).encode()
        for host, expected in (
            ("control.acme.example", 201),
            (f"127.0.0.1:{port}", 201),
            ("acme.example", 403),
            (f"0.0.0.0:{port}", 403),
            (f"control.acme.example:{port}", 403),
        ):
            assert await status(api, request(api, f"Host: {host}", body=body)) == expected


async def test_sc_96_local_state_is_controlled_from_this_machine(tmp_path: Path) -> None:
    """HIRE-CTL-01: names or not."""
    with pytest.raises(ConfigurationError, match="a local state folder"):
        async with controlled(make_home(tmp_path / "acme"), ControlPart(host="0.0.0.0", names=("acme.example",))):
            raise AssertionError("it listens")
    with pytest.raises(ConfigurationError, match="control: expected an IP address"):
        async with controlled(make_home(tmp_path / "globex"), ControlPart(host="localhost.example")):
            raise AssertionError("it listens")


async def test_sc_96_the_token_is_its_owners(tmp_path: Path) -> None:
    """HIRE-CTL-02: made once, at random, of mode 0600; and not believed once others may have read it."""
    homes = [make_home(tmp_path / name) for name in ("acme", "globex")]
    tokens = [home.control_token() for home in homes]
    assert tokens[0] != tokens[1]
    assert all(len(token) >= 32 for token in tokens)
    assert [home.control_token() for home in homes] == tokens
    file = homes[0].path / "control.token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in homes[0].path.glob("control*")) == ["control.token"]
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(ConfigurationError, match="others may read"):
            homes[0].control_token()
    file.chmod(0o600)
    mistyped = file.with_name("contrl.token")
    with pytest.raises(ConfigurationError, match=re.escape(f"there is no token file {mistyped}: a peer makes its own")):
        control_token(mistyped)
    assert not mistyped.exists()
    assert control_token(file) == tokens[0]
    for text in ("", "short", "a" * 31, "a" * 400, "a b" * 20):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match="holds no token"):
            homes[0].control_token()


# ---------------------------------------------------------------------- SC-97


async def test_sc_97_a_peer_does_not_reach_control(api: Control) -> None:
    """HIRE-CTL-01: nothing of control where peers connect, and nothing of theirs here, token or not."""
    headers = {"Authorization": f"Bearer {api.token}"}
    for path in PATHS:
        async with api.session.post(api.peer.base_url + path, json=good(api), headers=headers) as answer:
            assert answer.status in (400, 405)
        async with api.session.get(api.peer.base_url + path, headers=headers) as answer:
            assert answer.status == 404
    for path in ("/hire", "/.well-known/did.json", "/status/1"):
        async with api.session.get(api.peer.control_url + path) as answer:
            assert answer.status == 401
        async with api.session.get(api.peer.control_url + path, headers=headers) as answer:
            assert answer.status == 404
    assert await status(api, request(api, body=json.dumps({"type": "Offer", "document": {}}).encode())) == 400


async def test_another_method_is_said_twice_alike(api: Control) -> None:
    """The status of the answer is the one in its body (RFC 9457), and the methods that there are stand beside it."""
    headers = {"Authorization": f"Bearer {api.token}"}
    for path in PATHS:
        async with api.session.put(api.peer.control_url + path, json={}, headers=headers) as answer:
            body = await answer.json(content_type=None)
            assert (answer.status, body["status"], body["code"]) == (405, 405, "bad_request")
            assert answer.headers["Allow"] == "POST"


# ---------------------------------------------------------------------- limits


async def test_bodies_are_bounded(api: Control) -> None:
    """HIRE-CTL-04: by what is declared, before they are read."""
    most = module.MAX_BODY_BYTES
    assert (await api.post(PATHS[0], b"{" + b" " * (most - 2) + b"}")).code == "schema_violation"
    heard = await api.post(PATHS[0], b"{" + b" " * (most - 1) + b"}")
    assert (heard.status, heard.code) == (413, "too_large")
    assert await status(api, request(api, f"Content-Length: {most + 1}", body=b"")) == 413
    assert await status(api, request(api, "Content-Length", body=b"")) == 400
    for length in ("99999999999999999999999999", "-1", "+2", "0x2", "2, 2", "\u0662"):
        assert await status(api, request(api, f"Content-Length: {length}")) in (400, 413), length
    chunked = request(api, "Content-Length", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n")
    assert await status(api, chunked) == 400
    for coding in ("gzip", "aes128gcm"):
        encoded = request(api, f"Content-Encoding: {coding}", body=json.dumps(good(api)).encode())
        assert await status(api, encoded) == 400, "though it is JSON as it came"
    waiting = request(api, "Expect: 100-continue", body=b"{}")
    assert await status(api, waiting) == 100, "who waits for that is asked"
    assert await status(api, waiting.replace(b"HTTP/1.1", b"HTTP/1.0")) == await status(api, request(api, body=b"{}"))
    assert (await api.post(PATHS[0], b"")).code in ("bad_json", "bad_request")
    assert (await api.post(PATHS[0], b"[]")).code == "bad_json"


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-CTL-04: a body that does not arrive, and an answer that does not come."""
    monkeypatch.setattr(near, "LINGER_SECONDS", 0.0)

    async def never(_: JsonObject) -> ControlAnswer:
        await asyncio.Event().wait()
        raise AssertionError("it came")

    token = "t" * 32
    routes = {("POST", "/never"): never}
    listener = ControlListener(ControlPart(), token, routes, answer_seconds=0.05, body_seconds=0.05)
    await listener.start()
    try:
        for length, late in ((2, "the answer"), (200, "the body")):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(
                f"POST /never HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{}}".encode()
            )
            head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
            writer.close()
            assert head.startswith(b"HTTP/1.1 503 ")
            told = json.loads(body)
            assert (told["code"], told["detail"].startswith(late)) == ("timeout", True)
    finally:
        await listener.stop()


async def test_who_leaves_does_not_stop_what_was_begun_in_its_name() -> None:
    """What ends a contract, say, is done though nobody hears the answer; what is for whoever hears it is taken back."""
    begun, go_on, done, back = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def takes_back() -> None:
        back.set()

    async def acts(_: JsonObject) -> ControlAnswer:
        begun.set()
        await go_on.wait()
        done.set()
        return ControlAnswer(200, {}, takes_back)

    async with ControlListener(ControlPart(), "token", {("POST", "/act"): acts}) as listener:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        host, fields = f"127.0.0.1:{listener.port}", "Authorization: Bearer token\r\nContent-Type: application/json"
        writer.write(f"POST /act HTTP/1.1\r\nHost: {host}\r\n{fields}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await asyncio.wait_for(begun.wait(), 10)
        assert listener._server is not None
        (edge,) = listener._server.connections
        writer.transport.abort()
        await until(lambda: edge.transport is None)
        go_on.set()
        await asyncio.wait_for(done.wait(), 10)
        await asyncio.wait_for(back.wait(), 10)
        back.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(f"POST /act HTTP/1.1\r\nHost: {host}\r\n{fields}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()
    assert not back.is_set(), "who asked has heard it"


async def test_connections_are_bounded(api: Control) -> None:
    """HIRE-CTL-04: one more than the most is closed, and there is room again when they leave."""
    where = ("127.0.0.1", int(api.peer.control_url.rpartition(":")[2]))
    crowd = [await asyncio.open_connection(*where) for _ in range(module.CONNECTIONS)]
    head = f"POST {PATHS[0]} HTTP/1.1\r\nHost: 127.0.0.1:{where[1]}\r\nAuthorization: Bearer {api.token}\r\n"
    try:
        for _, writer in crowd:  # each of somebody who has the token, and is not done
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n".encode())
        await until(lambda: not api.peer._control._strangers)
        reader, writer = await asyncio.open_connection(*where)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    finally:
        for _, one in crowd:
            one.close()
    for _ in range(100):
        try:
            if (await api.post(PATHS[0], good(api))).status == 201:
                return
        except (OSError, ClientError):
            await asyncio.sleep(0)  # until the listener has seen them leave
    raise AssertionError("there is no room")


async def test_who_has_no_token_keeps_nobody_out(api: Control) -> None:
    """HIRE-CTL-04: another user of the machine takes all connections, and says nothing, or half a request."""
    where = ("127.0.0.1", int(api.peer.control_url.rpartition(":")[2]))
    crowd = [await asyncio.open_connection(*where) for _ in range(module.CONNECTIONS)]
    try:
        for _, writer in crowd[::2]:
            writer.write(b"POST /credentials/issue HTTP/1.1\r\n")
        for _ in range(3):
            assert (await api.post(PATHS[0], good(api))).status == 201
        assert await crowd[0][0].read() == b"", "the oldest made room"
    finally:
        for _, one in crowd:
            one.close()


# ---------------------------------------------------------------------- SC-100


async def test_sc_100_whatever_comes_is_answered_as_described(api: Control) -> None:
    """HIRE-CTL-05: no answer of 500, none that says more than a code, its meaning, and what follows from the bytes."""
    chance = random.Random(100)
    signed = await api.issue(api.unsigned())
    pieces: list[object] = [
        None,
        True,
        0,
        -1,
        1.5,
        2**60,
        "",
        "text",
        "did:web:10.0.0.1",
        "did:key:z6Mk",
        "urn:uuid:86294362-4254-4f36-854f-3952fe42555d",
        "\u202e",
        [],
        {},
        [[[[]]]],
        ENTRY,
        [CREDENTIALS],
        ["VerifiableCredential"],
        signed,
        signed["proof"],
    ]
    names = ["credential", "verifiableCredential", "verifiablePresentation", "presentation", "options", "credentialId"]
    names += [
        "credentialStatus",
        "status",
        "checks",
        "challenge",
        "type",
        "@context",
        "issuer",
        "proof",
        "holder",
        "id",
    ]

    def grown(depth: int) -> object:
        if depth == 0 or chance.random() < 0.3:
            return chance.choice(pieces)
        if chance.random() < 0.2:
            return [grown(depth - 1) for _ in range(chance.randrange(3))]
        base = dict(signed) if chance.random() < 0.4 else {}
        return base | {chance.choice(names): grown(depth - 1) for _ in range(chance.randrange(4))}

    for _ in range(400):
        path, body = chance.choice(PATHS), json.dumps(grown(4)).encode()
        if chance.random() < 0.2:
            place = chance.randrange(len(body) + 1)
            body = body[:place] + bytes([chance.randrange(256)]) + body[place + chance.randrange(3) :]
        heard = await api.post(path, body)
        assert heard.status in (200, 201, 400, 404), (heard, body)
        if heard.status in (400, 404):
            for told in heard.body.get("problemDetails", [heard.body]):
                assert told.keys() <= TOLD
                assert told["title"] == CODES[told["code"]].meaning
                assert (CODES[told["code"]].told == "at once") or "detail" not in told
            text = json.dumps(heard.body)
            assert str(api.peer.home.path) not in text
            assert api.token not in text
            assert "Traceback" not in text


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 64 + b"\r\n\r\n",
        b"POST /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_sc_100_what_is_no_http_is_refused(api: Control, sent: bytes) -> None:
    heard = await api.raw(sent + b"\r\n\r\n")
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in (b"400", b"403")
    told = json.loads(body)
    assert (told["code"] in ("bad_request", "forbidden_origin"), told["title"]) == (True, CODES[told["code"]].meaning)
    assert b"\r\nContent-Type: application/problem+json\r\n" in head


async def test_a_defect_of_ours_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-CTL-05: the operator's log has it; and a key that does not open is told by its code alone."""
    home = make_home(tmp_path / "acme")
    (home.path / "keys" / "organisation.json").unlink()
    async with controlled(home) as api:
        heard = await api.post(PATHS[0], good(api))
        assert (heard.status, heard.code, heard.body.keys()) == (
            500,
            "key_unavailable",
            {"type", "title", "code", "status"},
        )

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError(f"in {home.path}")

        monkeypatch.setattr("undersigned.daemon.vc_api.read_credential", broken)
        heard = await api.verify(api.unsigned())
        assert (heard.status, heard.code, heard.body.keys()) == (500, "internal", {"type", "title", "code", "status"})


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(
            ConfigurationError,
            match=r"cannot listen for control on 127.0.0.1:\d+: .*; is somebody listening there already\?",
        ),
    ):
        async with controlled(make_home(tmp_path / "acme"), ControlPart(port=taken.getsockname()[1])):
            raise AssertionError("it listens")


async def test_sc_99_the_token_is_not_logged(api: Control, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor what somebody sent in its place."""
    await api.post(PATHS[0], {})
    await api.post("/unknown", {})
    await api.post(f"{PATHS[0]}?token={api.token}", {}, Authorization="Bearer marked-by-the-test")
    heard = capfd.readouterr()
    logged = heard.out + heard.err
    assert logged.count("control request refused") == 3
    assert api.token not in logged
    assert "marked-by-the-test" not in logged
