"""One suite that every store of artifacts passes: a folder, and objects in each kind of store that can run here.

The S3 server is nanio, a small one of its own, in another process and on a real socket. That of Azure is Azurite, which
is used where it is installed (`npm install --global azurite`).
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import pytest

from integration.hires import did_of, two_homes
from integration.test_readme import text_of
from support import refuses
from undersigned.daemon import Peer
from undersigned.encoding import digest_bytes
from undersigned.errors import ConfigurationError, FormatError, LedgerUnavailable, UndersignedError, VerificationError
from undersigned.evidence import verify_pack
from undersigned.ledger import open_ledger
from undersigned.runtime import (
    ABSENT,
    SMALL_BYTES,
    Absent,
    ArtifactStore,
    Contents,
    Home,
    Job,
    ObjectArtifacts,
    OwnEvidence,
    SystemClock,
    create_home,
    export_pack,
    gather_evidence,
)
from undersigned.runtime.artifacts.incoming import PIECE_BYTES
from undersigned.testing import free_ports
from undersigned.trace import trace

obstore = pytest.importorskip("obstore", reason="the extra artifacts is not installed")

DATA = b"what was made"
LARGE = bytes(range(256)) * (SMALL_BYTES // 32)
"""16 MiB: eight times what is held in memory, and two parts of an upload."""
KEY, SECRET = "AKIAEXAMPLE", "a-secret-that-nobody-may-see"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Backend(NamedTuple):
    """A store, and what a test does to what is in it behind its back."""

    store: ArtifactStore
    again: Callable[[], ArtifactStore]
    """The same place, opened by another process."""
    names: Callable[[], list[str]]
    write: Callable[[str, bytes], object]


def folder(path: Path) -> Backend:
    def names() -> list[str]:
        return [one.name for one in path.glob("*")]

    return Backend(
        ArtifactStore(path),
        lambda: ArtifactStore(path),
        names,
        lambda name, data: (path / name).write_bytes(data),
    )


def objects(store: Any, scratch: Path) -> Backend:
    def names() -> list[str]:
        assert not list(scratch.glob("*")), "what was on its way is gone"
        return [one["path"] for batch in obstore.list(store) for one in batch]

    def opened() -> ArtifactStore:
        return ObjectArtifacts(store, "objects", scratch)

    return Backend(opened(), opened, names, lambda name, data: obstore.put(store, name, data))


class Server(NamedTuple):
    """A server, its process, and what the environment of its clients says."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    port: int


def serving(folder: Path) -> Server:
    (port,) = free_ports(1)
    (folder / "bucket").mkdir(parents=True)
    serve = [sys.executable, "-m", "nanio", "serve", "--data-dir", str(folder), "--host", "127.0.0.1"]
    env = {**os.environ, "NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*serve, "--port", str(port)], env=env, stdout=log, stderr=log)
    environment = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
    }
    return Server(process, environment, port)


def serving_azure(folder: Path, program: str) -> Server:
    """Azurite, with the account and the key that its documentation publishes."""
    (port,) = free_ports(1)
    arguments = ("--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "--blobPort", str(port), *arguments], cwd=folder, stdout=log, stderr=log)
    environment = {
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port}",
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_ALLOW_HTTP": "true",
    }
    return Server(process, environment, port)


def make_container(port: int, name: str) -> None:
    """What obstore does not do: a request signed as Azure's "Shared Key" wants it."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    of_headers = "".join(f"{key}:{value}\n" for key, value in headers.items())
    signed = "PUT" + "\n" * 12 + f"{of_headers}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    mac = hmac.digest(base64.b64decode(ACCOUNT_KEY), signed.encode(), "sha256")
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"
    url = f"http://127.0.0.1:{port}/{ACCOUNT}/{name}?restype=container"
    with urlopen(Request(url, method="PUT", headers={**headers, "Content-Length": "0"})) as answer:
        assert answer.status == 201


async def there(server: Server) -> None:
    """Returns once the server takes connections."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.close()
                return
            except OSError:
                assert server.process.poll() is None, "it did not start"
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("nanio", reason="the S3 server of the tests is not installed")
    with running(serving(tmp_path_factory.mktemp("s3"))) as found:
        yield found


@pytest.fixture(scope="module")
def az(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite, the server of Azure's blobs, is not installed")
    with running(serving_azure(tmp_path_factory.mktemp("az"), program)) as found:
        make_container(found.port, "bucket")
        yield found


@contextmanager
def running(found: Server) -> Iterator[Server]:
    """The server, once it takes connections, until the end."""
    try:
        asyncio.run(there(found))
        yield found
    finally:
        found.process.terminate()
        found.process.wait(30)


@pytest.fixture(params=["folder", "local objects", "objects in memory", "s3", "az"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    scratch = tmp_path / "scratch"
    match request.param:
        case "folder":
            return folder(tmp_path / "artifacts")
        case "local objects":
            return objects(obstore.store.LocalStore(tmp_path / "objects", mkdir=True), scratch)
        case "objects in memory":
            return objects(obstore.store.MemoryStore(), scratch)
        case kind:
            for name, value in request.getfixturevalue(kind).environment.items():
                monkeypatch.setenv(name, value)
            return objects(obstore.store.from_url(f"{kind}://bucket/{tmp_path.name}/of-a-test"), scratch)


async def in_chunks(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for place in range(0, len(data), size):
        yield data[place : place + size]


async def read(store: ArtifactStore, digest: str, start: int = 0) -> bytes:
    return b"".join([piece async for piece in store.pieces(digest, start)])


@pytest.mark.parametrize("data", [b"", DATA, LARGE], ids=["empty", "small", "large"])
async def test_what_is_kept_is_read(data: bytes, backend: Backend, tmp_path: Path) -> None:
    """In one and in pieces, by who kept it and by others, whole and from any byte on."""
    await backend.store.check()
    given = tmp_path / "given"
    await asyncio.to_thread(given.write_bytes, data)
    kept = await backend.store.put_chunks(in_chunks(data), max_bytes=len(data), digest=digest_bytes(data))
    assert kept == (digest_bytes(data), len(data)) == await backend.store.put_file(given, max_bytes=len(data))
    assert backend.names() == [kept.digest]
    for store in (backend.store, backend.again()):
        assert await store.size(kept.digest) == len(data)
        for start in (0, 1, PIECE_BYTES, len(data) - 1):
            assert await read(store, kept.digest, max(0, start)) == data[max(0, start) :]
        assert store.read_now(kept.digest) == await store.get(kept.digest) == data
        await store.copy(kept.digest, tmp_path / "copied")
        assert await asyncio.to_thread((tmp_path / "copied").read_bytes) == data
        found = await Contents.of(store, {"it": kept.digest})
        assert (found["it"], await found.read("it"), found.size("it")) == (data, data, len(data))
    assert await backend.again().put(data) == kept.digest
    assert backend.names() == [kept.digest]


@pytest.mark.parametrize("data", [b"", DATA, LARGE], ids=["empty", "small", "large"])
async def test_what_came_under_an_engagement_is_known_to_the_next_process(data: bytes, backend: Backend) -> None:
    """HIRE-ATT-12: and of what is there for another reason it is not said, whichever of the two was first."""
    digest, ours, theirs = digest_bytes(data), *(f"urn:hire:engagement:{digest_bytes(name)}" for name in (b"a", b"b"))
    await backend.store.put_chunks(in_chunks(data), max_bytes=len(data))
    assert not await backend.store.came(digest, ours)
    async with backend.store.receive(max_bytes=len(data), digest=digest, under=ours) as incoming:
        async for chunk in in_chunks(data):
            await incoming.add(chunk)
        assert not await backend.store.came(digest, ours), "it is not whole"
        await incoming.keep()
    for store in (backend.store, backend.again()):
        assert [await store.came(digest, one) for one in (ours, theirs)] == [True, False]
        assert await read(store, digest) == data
    assert len(backend.names()) == 2


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
async def test_what_does_not_hold_is_not_kept(data: bytes, backend: Backend) -> None:
    """HIRE-ART-03, SC-69: too much, something else, or not to its end."""

    async def cut() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(data):
            yield chunk
        raise ConnectionResetError

    with refuses(FormatError, "too_large"):
        await backend.store.put_chunks(in_chunks(data), max_bytes=len(data) - 1)
    for other in (data[:-1], data[:-1] + b"!"):
        with refuses(VerificationError, "digest_mismatch"):
            await backend.store.put_chunks(in_chunks(other), max_bytes=len(data), digest=digest_bytes(data))
    with pytest.raises(ConnectionResetError):
        await backend.store.put_chunks(cut(), max_bytes=len(data))
    assert backend.names() == []
    assert await backend.store.size(digest_bytes(data)) is None


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: b"?" + raw[1:], lambda raw: raw + b"!"])
async def test_what_was_changed_there_is_not_given(change: Any, data: bytes, backend: Backend, tmp_path: Path) -> None:
    """HIRE-ART-03: whoever keeps the store may write to it; the digest is checked whenever it is read."""
    digest = (await backend.store.put_chunks(in_chunks(data), max_bytes=len(data))).digest
    backend.write(digest, change(data))
    store = backend.again()
    for reading in (store.get(digest), read(store, digest), asyncio.to_thread(store.read_now, digest)):
        with refuses(VerificationError, "digest_mismatch"):
            await reading
    with pytest.raises(VerificationError):
        await store.copy(digest, tmp_path / "copied")
    assert not {"copied"} & set(os.listdir(tmp_path))
    # What is put takes its place.
    await store.put_chunks(in_chunks(data), max_bytes=len(data))
    assert await backend.again().get(digest) == data


async def test_what_is_put_again_is_there_whatever_became_of_it(backend: Backend) -> None:
    """The process that has put it has it in memory still."""
    digest = await backend.store.put(DATA)
    backend.write(digest, DATA[:-1])
    assert await backend.store.put(DATA) == digest
    assert await backend.again().get(digest) == DATA


async def test_what_is_not_there_is_not_found(backend: Backend, tmp_path: Path) -> None:
    digest = digest_bytes(b"never")
    store = backend.store
    assert await store.size(digest) is None
    reading = (store.get(digest), read(store, digest), asyncio.to_thread(store.read_now, digest))
    for one in (*reading, store.copy(digest, tmp_path / "copied"), Contents.of(store, {"it": digest})):
        with refuses(UndersignedError, "not_found"):
            await one


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/x", "uEi/../x", "", "..", "C:\\x", "a\x00b", "%2e%2e%2fx", "x" * 300]
)
async def test_sc98_a_name_is_no_place(name: str, backend: Backend) -> None:
    """HIRE-ART-01: whatever it is that keeps them, nothing but a digest names anything in it."""
    await backend.store.put(DATA)
    for ask in (backend.store.get, backend.store.size, lambda digest: read(backend.store, digest)):
        with refuses(UndersignedError, "bad_path"):
            await ask(name)
    assert backend.names() == [digest_bytes(DATA)]


async def test_many_at_once_are_one_each(backend: Backend) -> None:
    data = [bytes([number]) * 1000 for number in range(8)] + [LARGE[number:] for number in range(2)]
    keep = backend.store.put_chunks
    kept = await asyncio.gather(*(keep(in_chunks(one), max_bytes=len(LARGE)) for one in data + data))
    assert sorted(backend.names()) == sorted({one.digest for one in kept})
    assert [await backend.again().get(one.digest) for one in kept[: len(data)]] == data


async def test_what_is_known_to_be_right_is_sound(backend: Backend) -> None:
    """Every byte was read: small or large, damaged or not there."""
    for data in (DATA, LARGE):
        digest = digest_bytes(data)
        assert await backend.again().sound(digest) is None
        await backend.store.put_chunks(in_chunks(data), max_bytes=len(data))
        assert await backend.again().sound(digest) == len(data)
        backend.write(digest, data[:-1] + b"?")
        assert await backend.again().size(digest) == len(data)
        assert await backend.again().sound(digest) is None


# --- a folder ---------------------------------------------------------------------------------------------------------


async def test_a_folder_that_cannot_be_written_is_found_at_once(tmp_path: Path) -> None:
    """A peer does not start with it, and each way to use it says which store it is."""
    file = tmp_path / "file"
    await asyncio.to_thread(file.write_bytes, b"")
    for path in (Path("/proc/x"), file, file / "below"):
        with pytest.raises(LedgerUnavailable) as refused:
            await ArtifactStore(path).check()
        assert (refused.value.code, str(path) in refused.value.message) == ("store_unavailable", True)
    assert {error.code for error in await told(ArtifactStore(file))} == {"store_unavailable"}
    store = ArtifactStore(tmp_path / "away")
    async with store.receive(max_bytes=len(LARGE)) as incoming:
        for chunk in (LARGE[:SMALL_BYTES], LARGE[SMALL_BYTES:]):
            await incoming.add(chunk)
        assert os.listdir(store.folder)
        store.folder.rename(tmp_path / "aside")
        await asyncio.to_thread(store.folder.write_bytes, b"")
        with pytest.raises(LedgerUnavailable):
            await incoming.keep()
    home = home_with(tmp_path, f"file://{file}/below")
    with pytest.raises(LedgerUnavailable) as refused:
        await Peer.open(home).start()
    assert refused.value.code == "store_unavailable"
    store = ArtifactStore(tmp_path / "new")
    await store.check()
    assert os.listdir(store.folder) == []


async def test_a_folder_that_is_full_takes_it_when_there_is_room(tmp_path: Path) -> None:
    """What came until then is not lost, not half there, and grows by nothing while there is no room."""
    store = ArtifactStore(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with store.receive(max_bytes=len(LARGE), digest=digest_bytes(LARGE)) as incoming:

        async def add() -> None:
            async for chunk in in_chunks(LARGE[incoming.size :]):
                await incoming.add(chunk)

        resource.setrlimit(resource.RLIMIT_FSIZE, (len(LARGE) // 2 + 1, hard))
        try:
            with pytest.raises(LedgerUnavailable) as full:
                await store.put(LARGE)
            assert (full.value.code, os.listdir(tmp_path)) == ("store_full", [])
            sizes: list[int] = []
            for _ in range(3):
                with pytest.raises(LedgerUnavailable) as full:
                    await add()
                assert full.value.code == "store_full"
                sizes.append(incoming.size)
            assert len(set(sizes)) == 1
            assert sizes[0] > len(LARGE) // 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await add()
        kept = await incoming.keep()
    assert await ArtifactStore(tmp_path).get(kept.digest) == LARGE
    assert os.listdir(tmp_path) == [digest_bytes(LARGE)]


# --- a store elsewhere ------------------------------------------------------------------------------------------------


def home_with(folder: Path, store: str) -> Home:
    create_home(folder / "home", name="Acme", local=True)
    file = folder / "home" / "undersigned.toml"
    file.write_text(f'{file.read_text()}\n[artifacts]\nstore = "{store}"\n')
    return Home(folder / "home")


async def told(store: ArtifactStore) -> list[LedgerUnavailable]:
    """What each way to use a store raises that is away."""
    digest, found = digest_bytes(b"something"), []
    for one in (
        store.check(),
        store.size(digest),
        store.get(digest),
        store.put(DATA),
        store.put_chunks(in_chunks(LARGE), max_bytes=len(LARGE)),
        read(store, digest),
        asyncio.to_thread(store.read_now, digest),
    ):
        with pytest.raises(LedgerUnavailable) as caught:
            await one
        found.append(caught.value)
    return found


async def test_the_settings_name_it(s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its URL and nothing else: who may use it stands in the environment."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    home = home_with(tmp_path, "s3://bucket/of-acme")
    store = home.open_artifacts()
    await store.check()
    digest = (await store.put_chunks(in_chunks(LARGE), max_bytes=len(LARGE))).digest
    assert await read(Home(home.path).open_artifacts(), digest) == LARGE
    assert store.where == "s3://bucket/of-acme"
    (stored,) = (one for batch in obstore.list(obstore.store.from_url(store.where)) for one in batch)
    assert str(stored["e_tag"]).endswith('-2"'), "it went up in two parts"
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())
    assert not home.artifacts.exists()
    assert not list(home.scratch.glob("*"))


async def test_a_hire_between_two_who_keep_nothing_here(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Input and result, large and small, from one's store through the other's hands into its store; and a peer whose
    store is away does not start.
    """
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)

    async def double(job: Job) -> None:
        made = job._agent.home.path / "made"
        async with job.file("report") as path:
            await asyncio.to_thread(lambda: made.write_bytes(2 * path.read_bytes()))
        await job.deliver("summary.txt", made)

    homes: list[Home] = []
    for home in await two_homes(tmp_path):
        file = home.path / "undersigned.toml"
        await asyncio.to_thread(
            file.write_text, f'{file.read_text()}\n[artifacts]\nstore = "s3://bucket/{home.path.name}"\n'
        )
        homes.append(Home(home.path))
    async with (
        Peer.open(homes[0]) as acme,
        Peer.open(homes[1], handlers={"summary": double}) as globex,
        asyncio.timeout(60),
    ):
        for given in (DATA, LARGE):
            result = await acme.hire(
                did_of(globex.home.configuration.listen.port),
                task="summary",
                inputs={"report": given},
                price="5 EUR",
                deliverable="summary.txt",
            )
            assert result["summary.txt"] == 2 * given
            assert await globex.artifacts.get(digest_bytes(2 * given)) == 2 * given
    assert not [home for home in homes if home.artifacts.exists() or list(home.scratch.glob("*"))]
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    with refuses(LedgerUnavailable, "store_unavailable"):
        await Peer.open(homes[0]).start()


async def test_a_damaged_object_is_fetched_again_and_one_out_of_reach_is_named(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ATT-11: the second hire of the same bytes heals the hirer's own store; and its pack holds without them."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    url, digest = "s3://bucket/healed", digest_bytes(DATA)

    async def work(job: Job) -> None:
        await job.deliver("summary.txt", DATA)

    acme, globex = await two_homes(tmp_path)
    file = acme.path / "undersigned.toml"
    await asyncio.to_thread(file.write_text, f'{file.read_text()}\n[artifacts]\nstore = "{url}"\n')
    for _ in range(2):
        async with (
            Peer.open(Home(acme.path)) as hirer,
            Peer.open(Home(globex.path), handlers={"summary": work}) as provider,
            asyncio.timeout(60),
        ):
            did = did_of(provider.home.configuration.listen.port)
            order = {"task": "summary", "inputs": {"report": b"x"}, "price": "5 EUR", "deliverable": "summary.txt"}
            result = await hirer.hire(did, **order)
            assert result["summary.txt"] == DATA
            assert await Home(acme.path).open_artifacts().get(digest) == DATA
        obstore.put(obstore.store.from_url(url), digest, b"?" + DATA[1:])
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    home = Home(acme.path)
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        absent: list[Absent] = []
        store, own = home.open_artifacts(), home.configuration.did
        pack = await export_pack(ledger, store, own, result.engagement, absent=absent.append)
        assert absent == [Absent(result.engagement, digest, "summary.txt", "unavailable", f"{url}/{digest}")]
        assert verify_pack(pack, now=SystemClock().now()).ok
        evidence = OwnEvidence(ledger, home, SystemClock().now())
        tree = trace(digest, await gather_evidence(digest, own=evidence, packs={}, now=SystemClock().now()))
        assert ABSENT["unavailable"] in tree.why
        assert not [step for step in tree.every if step.state == "failed"]
    finally:
        await ledger.close()


async def test_a_folder_elsewhere_is_named_as_a_url(tmp_path: Path) -> None:
    store = home_with(tmp_path, f"file://{tmp_path}/else%20where").open_artifacts()
    digest = await store.put(DATA)
    assert await asyncio.to_thread((tmp_path / "else where" / digest).read_bytes) == DATA


@pytest.mark.parametrize(
    "what", ["nobody listens", "another secret", "no bucket", "another protocol", "a server that says nothing"]
)
async def test_could_not_look_is_no(what: str, s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away has nothing, lacks nothing, and takes nothing; the error says where, and tells no secret."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    (port,) = free_ports(1)
    url = "s3://bucket/of-acme"
    silent = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    if what == "nobody listens":
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{port}")
    elif what == "another secret":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-of-somebody")
    elif what == "no bucket":
        url = "s3://other/of-acme"
    elif what == "another protocol":
        monkeypatch.delenv("AWS_ALLOW_HTTP")
    else:
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    store = home_with(tmp_path, url).open_artifacts()
    with closing(silent):
        if what == "no bucket":
            # Nothing is in a bucket that is not there; S3 answers both in one way. But nothing can be kept there.
            with pytest.raises(LedgerUnavailable):
                await store.put(DATA)
            return
        for error in await told(store):
            assert error.code == "store_unavailable"
            assert error.retryable
            assert url in error.message
            assert not any(secret in str(error) for secret in (SECRET, KEY, "another-secret-of-somebody"))
            assert "\n" not in error.message


@pytest.mark.parametrize(
    "store",
    [
        "ftp://host/x", "bucket", "", "memory:///", "http://host/x", "https://bucket.s3.amazonaws.com/x", "s3:///x",
        "s3://key:secret@bucket/x", "az://container/x?sig=abc", "gs://bucket/x#y", "file://host/x", "file:///",
        "file:relative",
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_is_refused_when_the_settings_are_read(store: str, tmp_path: Path) -> None:
    """A URL with credentials among them: the settings are no place for those."""
    with pytest.raises(ConfigurationError) as refused:
        home_with(tmp_path, store)
    assert refused.value.code == "bad_configuration"
    assert "secret" not in refused.value.message
    assert "abc" not in refused.value.message


def test_the_settings_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    create_home(tmp_path / "home", name="Acme", local=True)
    file = tmp_path / "home" / "undersigned.toml"
    file.write_text(f"{file.read_text()}\n{text_of('toml artifacts')}")
    home = Home(tmp_path / "home")
    assert home.open_artifacts().where == home.configuration.artifacts.store == "s3://acme-artifacts/agents"


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(ConfigurationError) as refused:
        home_with(tmp_path, "s3://bucket/of-acme").open_artifacts()
    assert refused.value.code == "missing_extra"
    assert "undersigned[artifacts]" in refused.value.message
