"""State folders as the commands make and read them: who may look, a full disk, a folder that cannot be written."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from stat import S_IMODE
from typing import Any

import msgspec
import pytest

from backends.moves import BEFORE_6
from integration.commands import undersigned
from integration.hires import free_ports
from support import ROOT
from trust_graphs import edge
from undersigned.cli.demo import _own_folder
from undersigned.credentials import Membership
from undersigned.daemon import Peer
from undersigned.errors import ConfigurationError
from undersigned.ledger import Admitted, Head, TrustStore
from undersigned.ledger.sqlite_file import HeadFile, create_empty
from undersigned.runtime import ControlPart, Home, claimed, create_home, issue_claims


def cli(*arguments: str, limit: int | None = None, by: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
    """Exit code and last JSON value of a command in a process of its own, which may write no file above `limit`; run
    `by` another program.
    """

    if limit is None and not by:
        ended = undersigned(*arguments, "--json", folder=Path.cwd())
        return ended.code, ended.values[-1] if ended.out else {}

    def before() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [*by, sys.executable, "-m", "undersigned.cli", *arguments, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}


@pytest.mark.parametrize("limit", [8, 100, 400, 2000, 8192])
def test_a_full_disk_is_the_stores_failure_and_leaves_nothing_half_made(tmp_path: Path, limit: int) -> None:
    """Exit code 8 (section 9.2), wherever it happens; and once there is room the same command does it."""
    code, said = cli("init", str(tmp_path / "made"), limit=limit)
    assert (code, said["error"]["code"]) in ((8, "store_full"), (8, "store_unavailable"))
    assert f"{tmp_path}/made/" in said["error"]["message"]
    assert not (tmp_path / "made").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("stays")
    assert cli("init", str(mine), limit=limit)[0] == 8
    assert [file.name for file in mine.iterdir()] == ["notes.txt"]
    assert cli("init", str(mine))[0] == 0


def test_what_an_init_that_fails_takes_away_is_its_own(tmp_path: Path) -> None:
    """Of two that make one folder one does, and its keys stay; so does what others put there meanwhile, or before."""
    made = tmp_path / "made"
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "undersigned.cli", "init", str(made), "--json"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert sorted(one.wait(60) for one in both) == [0, 2]
    assert Home(made).key().public_key.multikey in Home(made).configuration.did
    mine = tmp_path / "mine"
    (mine / "keys").mkdir(parents=True)
    (mine / "keys" / "other.json").write_text("stays")
    assert cli("init", str(mine))[0] == 2
    assert [file.name for file in mine.rglob("*")] == ["keys", "other.json"]
    new = tmp_path / "new"

    def half() -> None:
        with claimed(new):
            create_home(new, name="New")
            (new / "notes.txt").write_text("stays")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        half()
    assert [file.name for file in new.rglob("*")] == ["notes.txt"]


def test_an_init_that_was_killed_before_the_credential_says_how_to_go_on(tmp_path: Path) -> None:
    """Its folder is one, but nobody would deal with an agent that shows nothing."""
    made, file = tmp_path / "made", tmp_path / "file.json"
    killed = "from os import _exit; import undersigned.cli.init as init; init.issue_membership = lambda _: _exit(9)\n"
    killed += "from undersigned.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", killed, "init", str(made)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        timeout=60,
    )
    assert (ran.returncode, (made / "credentials").exists()) == (9, False)
    did = Home(made).configuration.did
    code, said = cli("init", str(made))
    message = said["error"]["message"]
    assert (code, "no credential" in message, "cut short" in message) == (2, True, True)
    for line in (f"credentials issue {did} --home {made} --out FILE", f"credentials add FILE --home {made}"):
        assert f"'undersigned {line}'" in message
        assert cli(*line.replace("FILE", str(file)).split())[0] == 0
    code, said = cli("init", str(made))
    assert (code, said["error"]["message"]) == (2, f"{made} is a state folder already: it has keys")


def test_a_state_folder_is_its_owners_alone(tmp_path: Path) -> None:
    made = tmp_path / "made"
    os.umask(umask := os.umask(0o022))
    assert umask & 0o077 != 0o077, "or this shows nothing"
    assert cli("init", str(made))[0] == 0
    for folder in (made, *(one for one in made.rglob("*") if one.is_dir())):
        assert S_IMODE(folder.stat().st_mode) == 0o700, folder


READING = ("ledger list", "ledger audit", "ledger fsck", "watch x", "export x", "contract show x", "trace FILE")


def powerless() -> tuple[str, ...]:
    """Runs a program as somebody who may not write everywhere, as on a mount that is read-only."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, or a user that is not root")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


def test_a_folder_that_is_read_only_is_named_with_what_to_do(written: Path, tmp_path: Path) -> None:
    """SQLite makes files beside a database also to read it, and says of that only that it cannot open one."""
    made, by = shutil.copytree(written, tmp_path / "made"), powerless()
    made.chmod(0o555)
    try:
        for command in READING:
            words = command.replace("FILE", str(made / "undersigned.toml")).split()
            code, said = cli(*words, "--home", str(made), by=by)
            assert (code, said["error"]["code"]) == (8, "store_unavailable"), command
            assert f"the ledger {made}/ledger.db " in said["error"]["message"], command
            assert f"{made} is read-only here" in said["error"]["message"], command
            assert "copy the folder" in said["error"]["message"], command
    finally:
        made.chmod(0o755)


def test_a_copy_is_read_where_nothing_can_be_written(written: Path, tmp_path: Path) -> None:
    copy, by = tmp_path / "copy", powerless()
    assert cli("ledger", "backup", str(copy), "--home", str(written))[0] == 0
    copy.chmod(0o555)
    try:
        for command in ("ledger list", "ledger audit", "ledger fsck", "trust list", "credentials list"):
            code, said = cli(*command.split(), "--home", str(copy), by=by)
            assert code == 0, (command, said)
    finally:
        copy.chmod(0o755)


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("other file", "store_corrupt", "; see GUIDE, Copies"),
        ("folder", "store_unavailable", "it is a folder"),
        ("other database", "store_version", "is no ledger"),
    ],
)
def test_books_that_are_something_else_are_named(
    kind: str, code: str, says: str, written: Path, tmp_path: Path
) -> None:
    made, books = shutil.copytree(written, tmp_path / "made"), tmp_path / "books"
    if kind == "folder":
        books.mkdir()
    elif kind == "other file":
        books.write_bytes(b"no database" * 100)
    else:
        with closing(sqlite3.connect(books)) as db:
            db.execute("CREATE TABLE other (name)")
    settings = made / "undersigned.toml"
    settings.write_text(f'books = "{books}"\n{settings.read_text()}')
    ended, said = cli("serve", "--home", str(made))
    assert (ended, said["error"]["code"]) == (8, code)
    assert str(books) in said["error"]["message"]
    assert says in said["error"]["message"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with something in each of its files; a test takes a copy."""
    made = tmp_path_factory.mktemp("written") / "made"
    assert cli("init", str(made), "--local", "--port", str(free_ports(1)[0]))[0] == 0
    asyncio.run(_written(made))
    return made


@pytest.mark.parametrize("name", ["issued.db", "trust.db", "ledger.db.head"])
@pytest.mark.parametrize("part", ["all of it", "the middle"])
def test_a_peer_does_not_start_on_a_damaged_file(written: Path, tmp_path: Path, name: str, part: str) -> None:
    """Exit code 8, and the file by its name; nobody asks for status lists that are not there."""
    made = shutil.copytree(written, tmp_path / "made")
    file = made / name
    held = bytearray(file.read_bytes())
    begin, end = (0, len(held)) if part == "all of it" else (len(held) // 3, 2 * len(held) // 3)
    held[begin:end] = os.urandom(end - begin)
    file.write_bytes(held)
    code, said = cli("serve", "--home", str(made))
    assert (code, said["error"]["code"]) == (8, "store_corrupt")
    assert name in said["error"]["message"]


def test_a_start_that_fails_says_what_for_and_closes_the_register(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert cli("init", str(made), "--local", "--port", str(free_ports(1)[0]))[0] == 0
    asyncio.run(_refused(made))


def test_a_ledger_of_an_older_release_is_brought_up_to_date_without_a_peer(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert cli("init", str(made))[0] == 0
    assert cli("ledger", "upgrade", "--home", str(made))[1]["error"]["code"] == "not_found"
    create_empty(made / "ledger.db")
    db = sqlite3.connect(made / "ledger.db")
    db.executescript(f"{BEFORE_6} PRAGMA user_version = 5;")
    db.close()
    code, said = cli("ledger", "fsck", "--home", str(made))
    assert (code, said["error"]["code"]) == (8, "store_version")
    assert "'undersigned ledger upgrade'" in said["error"]["message"]
    code, said = cli("ledger", "upgrade", "--home", str(made))
    assert (code, said) == (0, {"file": str(made / "ledger.db"), "leaves": 0})
    assert cli("ledger", "fsck", "--home", str(made))[0] == 0


async def _refused(made: Path) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        for part, what in (("gates", "for gates"), ("control", "for control"), ("listen", "on 127.0.0.1")):
            peer = Peer.open(made)
            if part == "listen":
                configuration = peer.home.configuration
                listen = msgspec.structs.replace(configuration.listen, port=port)
                peer.home.configuration = msgspec.structs.replace(configuration, listen=listen)
            else:
                setattr(peer, part, ControlPart(port=port))
            with pytest.raises(ConfigurationError, match=f"cannot listen {what}"):
                await peer.start()
            assert peer._register is not None
            assert peer._register._store._db is None, part


async def _written(path: Path) -> None:
    """Something in each of its files."""
    home = Home(path)
    with TrustStore(home.trust) as store:
        store.admit(Admitted(edge(f"n{number}", f"n{number + 1}"), None) for number in range(200))
    organisation = home.configuration.organisation
    assert organisation is not None
    said = [Membership(id=f"did:web:{number}.example", member_of=organisation.did) for number in range(20)]
    issue_claims(home, said)
    async with Peer.open(home):
        pass
    HeadFile(path / "ledger.db.head").write(Head(0, sha256(b"").digest()))


def test_runs_in_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    made = [_own_folder(tmp_path / "demo") for _ in range(5)]
    assert len(set(made)) == 5
    assert all(folder.is_dir() for folder in made)
