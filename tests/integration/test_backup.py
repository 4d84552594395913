"""A copy of a state folder, made while a peer runs on it: what can be done with it, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from integration.hires import REPORT, two_homes, until
from undersigned.cli import log
from undersigned.credentials import MEMBERSHIP
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import decode_json, shift
from undersigned.errors import ConfigurationError
from undersigned.ledger import open_ledger
from undersigned.runtime import Home, Job, SystemClock
from undersigned.runtime.home.backup import back_up
from undersigned.runtime.home.status_register import CredentialContent
from unit.cli.running import files, run

PEER = "did:web:localhost%3A1"


async def hired(acme: Peer, globex: Home, number: int = 0) -> HireResult:
    inputs = {"report": b"%d: %b" % (number, REPORT)}
    return await acme.hire(globex.configuration.did, task="summary", inputs=inputs, price="5 EUR")


class Waiting:
    """Work that goes on once it is told to."""

    def __init__(self) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, job: Job) -> None:
        self.began.set()
        await self.go_on.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")


async def opened_once(folder: Path) -> Home:
    """A state folder with a ledger in which nothing stands."""
    acme, _ = await two_homes(folder)
    await (await open_ledger(acme.ledger_url)).close()
    return acme


async def copied(home: Home, folder: Path) -> Home:
    """The state folder, copied while the peer runs, with its keys beside it again."""
    made = await asyncio.to_thread(run, "ledger", "backup", folder, "--home", home.path, "--json")
    assert made.code == 0, made
    shutil.copytree(home.path / "keys", folder / "keys")
    return Home(folder)


async def test_one_taken_during_hires_is_all_of_one_moment(tmp_path: Path) -> None:
    acme, globex = await two_homes(tmp_path)
    copy = tmp_path / "copy"
    async with Peer.open(acme) as hirer, Peer.open(globex) as provider:
        await hired(hirer, globex)
        hires = [asyncio.create_task(hired(hirer, globex, number)) for number in range(1, 9)]
        await until(lambda: len(provider.conversations) > 0)
        made = await asyncio.to_thread(run, "ledger", "backup", copy, "--home", globex.path, "--json")
        await asyncio.gather(*hires)
    (said,) = made.values
    there = files(copy)
    assert (made.code, said["folder"], said["files"]) == (0, str(copy), len(there))
    assert said["bytes"] == sum(map(len, there.values()))
    assert not [name for name in there if "key" in str(name) or "token" in str(name) or "-wal" in str(name)]
    assert {S_IMODE(one.stat().st_mode) for one in copy.rglob("*") if one.is_file()} == {0o600}
    checked = await asyncio.to_thread(run, "ledger", "fsck", "--home", copy, "--json")
    assert (checked.code, checked.values[0]["ok"]) == (0, True), checked
    assert checked.values[0]["missing"] == str(copy / "ledger.db.head"), "of a copy it is told, and no defect"
    listed = (await asyncio.to_thread(run, "ledger", "list", "--home", copy, "--json")).values
    pack, first = tmp_path / "pack.zip", next(one["engagement"] for one in listed if one["state"] == "closed")
    exported = await asyncio.to_thread(run, "export", first, "--home", copy, "--out", pack)
    assert exported.code == 0, exported
    assert (await asyncio.to_thread(run, "verify", pack)).code == 0
    ledger = await open_ledger(Home(copy).ledger_url, read_only=True)
    try:
        for one in await ledger.summaries():
            for row in await ledger.rows(one.engagement):
                if row.type == "Delivery" and row.kind == "sent":
                    (artifact,) = decode_json(row.raw)["artifacts"]
                    assert f"artifacts/{artifact['digest']}" in there, "what it speaks of was stored before"
    finally:
        await ledger.close()


async def test_no_token_that_the_settings_name_is_in_it(tmp_path: Path) -> None:
    acme, _ = await two_homes(tmp_path)
    await (await open_ledger(acme.ledger_url)).close()
    (acme.path / "secrets").mkdir()
    for name in ("one", "secrets/other"):
        (acme.path / name).write_text("abcdef\n")
        with (acme.path / "undersigned.toml").open("a") as file:
            file.write(f'[[registry]]\nurl = "https://x.example"\nauthorities = ["did:web:{name[0]}.example"]\n')
            file.write(f'token_file = "{name}"\n')
    (acme.path / "again").symlink_to("one")
    made = await asyncio.to_thread(run, "ledger", "backup", tmp_path / "copy", "--home", acme.path)
    assert "may go on only if nothing\n" in made.out, "whoever keeps the keys too is told what they are for"
    there = files(tmp_path / "copy")
    assert "undersigned.toml" in there
    assert not [name for name, data in there.items() if b"abcdef" in data]


@pytest.mark.parametrize("command", [("serve",), ("ledger", "checkpoint"), ("hire", PEER, "--task", "x")])
async def test_nothing_is_signed_by_it(tmp_path: Path, command: tuple[str, ...]) -> None:
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as hirer, Peer.open(globex):
        await hired(hirer, globex)
        await asyncio.to_thread(back_up, acme, tmp_path / "copy", lambda *_: None)
    ended = await asyncio.to_thread(run, *command, "--home", tmp_path / "copy", "--json")
    assert (ended.code, ended.error["code"]) == (2, "key_unavailable"), ended
    assert "only if nothing was said since" in ended.error["message"]


async def test_with_its_keys_it_goes_on_where_nothing_was_said_since(tmp_path: Path) -> None:
    acme, globex = await two_homes(tmp_path)
    work = Waiting()
    async with Peer.open(acme) as hirer:
        async with Peer.open(globex, handlers={"summary": work}):
            hire = asyncio.create_task(hired(hirer, globex))
            await asyncio.wait_for(work.began.wait(), 30)
            copy = await copied(globex, tmp_path / "copy")
        shutil.rmtree(globex.path)
        work.go_on.set()
        async with Peer.open(copy, handlers={"summary": work}) as provider:
            assert (await asyncio.wait_for(hire, 60))["summary.txt"] == b"done"
            await until(lambda: not provider.conversations)
            assert (await provider.ledger.check()).ok


async def test_an_old_one_that_goes_on_with_its_keys_is_proof_against_their_owner(tmp_path: Path) -> None:
    """So they are not in it. The other side has seen another delivery in that place, and other leaves of that log; a
    witness of its settings would have kept it from starting (HIRE-LOG-21).
    """
    acme, globex = await two_homes(tmp_path)
    work = Waiting()
    async with Peer.open(acme) as hirer:
        async with Peer.open(globex, handlers={"summary": work}) as provider:
            hire = asyncio.create_task(hired(hirer, globex))
            await asyncio.wait_for(work.began.wait(), 30)
            copy = await copied(globex, tmp_path / "copy")
            work.go_on.set()
            await hire
            await until(lambda: not provider.conversations)
        async with Peer.open(copy, handlers={"summary": work}):
            (first,) = await hirer.ledger.summaries()

            async def accused() -> bool:
                return any(row.type == "equivocation" for row in await hirer.ledger.rows(first.engagement))

            async with asyncio.timeout(30):
                while not await accused():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            result = await asyncio.wait_for(hired(hirer, globex, 1), 30)
    assert result.unclosed is not None
    assert result.unclosed.code == "ledger_diverged"


def test_what_is_in_the_way_is_refused(tmp_path: Path) -> None:
    """Nothing is written over, and no copy lies in what it is a copy of."""
    home = tmp_path / "acme"
    assert run("init", home, "--local", "--port", 8109).code == 0
    (tmp_path / "there").mkdir()
    before = files(tmp_path)
    for folder, code, said in (
        (tmp_path / "new", "not_found", "nothing was ever written to"),
        (tmp_path / "no" / "new", "bad_configuration", "there is no folder"),
        (tmp_path / "there", "bad_configuration", "is there already: name a folder that is not"),
        (home / "copy", "bad_configuration", "lies in the state folder: name one outside of it"),
    ):
        ended = run("ledger", "backup", folder, "--home", home, "--json")
        assert (ended.code, ended.error["code"]) == (2, code), ended
        assert said in ended.error["message"]
        assert files(tmp_path) == before


def test_of_two_that_make_it_at_once_the_first_has_it(tmp_path: Path) -> None:
    """The other was told of a store that failed, in a hidden folder of ours."""
    acme, folder = asyncio.run(opened_once(tmp_path)), tmp_path / "copy"

    def other(*_: int) -> None:
        if not folder.exists():
            back_up(acme, folder, lambda *_: None)

    with pytest.raises(ConfigurationError, match="copy is there already: name a folder that is not"):
        back_up(acme, folder, other)
    assert "ledger.db" in files(folder)
    assert not list(tmp_path.glob(".copy.*"))


async def test_a_ledger_that_is_gone_is_not_taken_for_one_that_never_was(tmp_path: Path) -> None:
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as hirer, Peer.open(globex):
        await hired(hirer, globex)
    acme.ledger.unlink()
    ended = await asyncio.to_thread(run, "ledger", "backup", tmp_path / "copy", "--home", acme.path, "--json")
    assert ended.error["code"] == "ledger_diverged"
    assert f"{acme.ledger} is gone" in ended.error["message"]


def test_what_is_withdrawn_meanwhile_does_not_wait_for_it(tmp_path: Path) -> None:
    """It was not withdrawn at all, where the disk is slow, or who reads what is told; the copy is of one moment."""
    acme, now = asyncio.run(opened_once(tmp_path)), SystemClock().now()
    register, copy = acme.register(), tmp_path / "copy"
    said = CredentialContent(MEMBERSHIP, acme.configuration.did, {"memberOf": register.issuer})
    issued = register.issue_all([said] * 40, now=now, until=shift(now, 600))
    with closing(sqlite3.connect(acme.path / "issued.db")) as db, db:
        db.execute("INSERT INTO lists VALUES (9, 0, '', zeroblob(9000000))")  # for some more pieces than one
    left = [str(one["id"]) for one in issued]

    def tell(_done: int, _total: int) -> None:
        if left:
            register.revoke(left.pop(), now)

    back_up(acme, copy, tell)
    assert len(left) < 37
    with closing(register), closing(sqlite3.connect(copy / "issued.db")) as db:
        ((signed, withdrawn),) = db.execute(
            "SELECT lists.revoked, (SELECT count(*) FROM issued WHERE revoked IS NOT NULL) FROM lists WHERE number = 1"
        )
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert 0 < signed == withdrawn
        assert len([one for one in register.issued() if one.revoked]) == 40 - len(left)


@pytest.mark.parametrize("after", [0, 1 << 20])
def test_one_that_is_ended_leaves_nothing(tmp_path: Path, after: int) -> None:
    """Ctrl-C, a full disk, a defect: half of a copy would be taken for one."""

    def tell(done: int, total: int) -> None:
        assert done <= total
        if done > after:
            raise RuntimeError("enough")

    acme = asyncio.run(opened_once(tmp_path))
    (acme.path / "artifacts").mkdir()
    (acme.path / "artifacts" / "large").write_bytes(bytes(1 << 22))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="enough"):
        back_up(acme, tmp_path / "copy", tell)
    assert sorted(tmp_path.iterdir()) == before


KILLED = """
import sys, time
from pathlib import Path
from undersigned.runtime import Home
from undersigned.runtime.home.backup import back_up

def tell(done, total):
    print("began", flush=True)
    time.sleep(600)

back_up(Home(Path(sys.argv[1])), Path(sys.argv[2]), tell)
"""


def test_what_a_kill_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """Not what somebody still writes, nor what was begun just now, nor a hidden folder of anybody else."""
    acme = asyncio.run(opened_once(tmp_path))
    (tmp_path / ".mine.0123abcd").mkdir()
    command = [sys.executable, "-c", KILLED, str(acme.path), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"began\n"
        (draft,) = tmp_path.glob(".killed.*")
        os.utime(draft / ".undersigned-draft", (0, 0))
        back_up(acme, tmp_path / "beside", lambda *_: None)
        assert draft.is_dir(), "it is being written"
        writing.kill()
    os.utime(draft / ".undersigned-draft")
    back_up(acme, tmp_path / "soon", lambda *_: None)
    assert draft.is_dir(), "it may be one that is not held yet"
    os.utime(draft / ".undersigned-draft", (0, 0))
    back_up(acme, tmp_path / "next", lambda *_: None)
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith(".")) == [".mine.0123abcd"]
    assert files(tmp_path / "next").keys() == files(tmp_path / "beside").keys()


KILLED_LAST = """
import os, signal, sys
from pathlib import Path
from undersigned.runtime import Home
from undersigned.runtime.home.backup import DRAFT, back_up

def killed(event, arguments):
    if event == "os.remove" and Path(arguments[0]).name == DRAFT:
        os.kill(os.getpid(), signal.SIGKILL)

def tell(done, total):
    if sys.argv[3] == "ended":
        raise RuntimeError("enough")

sys.addaudithook(killed)
back_up(Home(Path(sys.argv[1])), Path(sys.argv[2]), tell)
"""


@pytest.mark.parametrize("how", ["whole", "ended"])
def test_a_draft_is_marked_as_long_as_it_holds_anything(tmp_path: Path, how: str) -> None:
    """Whenever a kill comes, before it has its name or while it is removed, the next one knows it for a draft."""
    acme = asyncio.run(opened_once(tmp_path))
    ended = subprocess.run([sys.executable, "-c", KILLED_LAST, str(acme.path), str(tmp_path / "killed"), how])
    assert ended.returncode == -signal.SIGKILL
    (draft,) = tmp_path.glob(".killed.*")
    assert [one.name for one in draft.iterdir()] == [".undersigned-draft"]
    os.utime(draft / ".undersigned-draft", (0, 0))
    back_up(acme, tmp_path / "next", lambda *_: None)
    assert not draft.exists()
    assert (tmp_path / "killed").exists() == (how == "whole")
    if how == "whole":
        assert files(tmp_path / "killed").keys() == files(tmp_path / "next").keys()


async def test_what_links_lead_to_is_copied(tmp_path: Path) -> None:
    """Large contents may lie on another disk."""
    acme, globex = await two_homes(tmp_path)
    (tmp_path / "large").mkdir()
    (globex.path / "artifacts").symlink_to(tmp_path / "large")
    async with Peer.open(acme) as hirer, Peer.open(globex):
        await hired(hirer, globex)
        found = await asyncio.to_thread(back_up, globex, tmp_path / "copy", lambda *_: None)
    there = files(tmp_path / "copy")
    assert len(there) == found.files
    assert {name.removeprefix("artifacts/") for name in there if name.startswith("artifacts/")} == {
        one.name for one in (tmp_path / "large").iterdir()
    }


@pytest.mark.parametrize("link", ["also", "zzz"])
def test_what_two_names_lead_to_is_there_under_both(tmp_path: Path, link: str) -> None:
    """Whichever is met first: without `artifacts` nothing of what was delivered is found. A circle ends."""
    home = asyncio.run(opened_once(tmp_path))
    (home.path / "artifacts" / "deeper").mkdir(parents=True)
    (home.path / "artifacts" / "one").write_bytes(b"1")
    (home.path / link).symlink_to("artifacts")
    (home.path / "artifacts" / "deeper" / "back").symlink_to("..")
    back_up(home, tmp_path / "copy", lambda *_: None)
    there = files(tmp_path / "copy")
    assert {name for name in there if "/one" in name} == {"artifacts/one", f"{link}/one"}


def test_only_what_is_beside_a_database_is_left_out_with_it(tmp_path: Path) -> None:
    home = asyncio.run(opened_once(tmp_path))
    home.evidence.mkdir()
    mine = {"poetry.lock", "x-journal", "of.head", "one.db"}
    for name in mine - {"one.db"} | {"one.db.lock"}:
        (home.evidence / name).write_bytes(b"mine")
    sqlite3.connect(home.evidence / "one.db").close()
    back_up(home, tmp_path / "copy", lambda *_: None)
    assert {one.name for one in (tmp_path / "copy" / "evidence").iterdir()} == mine


def test_no_key_or_token_is_in_it_by_another_name(tmp_path: Path) -> None:
    home = asyncio.run(opened_once(tmp_path))
    home.control_token()
    secret = {file.read_bytes() for file in (*(home.path / "keys").iterdir(), home.path / "control.token")}
    (home.path / "sealed").symlink_to("keys")
    (home.path / "mine.json").symlink_to("keys/agent.json")
    os.link(home.path / "control.token", home.path / "token.txt")
    back_up(home, tmp_path / "copy", lambda *_: None)
    assert not secret & set(files(tmp_path / "copy").values())


def test_one_that_would_lack_something_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is not mounted, a folder that may not be listed: no copy is better than one without artifacts."""
    acme = asyncio.run(opened_once(tmp_path))
    lost = acme.path / "verdicts"
    lost.symlink_to(tmp_path / "unmounted")
    before = sorted(tmp_path.iterdir())

    def refused() -> bool:
        ended = run("ledger", "backup", tmp_path / "copy", "--home", acme.path, "--json")
        assert sorted(tmp_path.iterdir()) == before
        return ended.error["code"] == "store_unavailable" and str(lost) in ended.error["message"]

    assert refused()
    lost.unlink()
    lost.mkdir()
    listed = os.scandir

    def scandir(path: str) -> object:
        if path == str(lost):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return listed(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        assert refused()
    assert run("ledger", "backup", tmp_path / "copy", "--home", acme.path).code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_the_command_is_not_kept_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    home, ended = tmp_path / "acme", list[BaseException]()
    assert run("init", home, "--local", "--port", 8109).code == 0

    def copies(_home: Home, _folder: Path, tell: Callable[[int, int], None]) -> None:
        os.kill(os.getpid(), number)
        try:
            for _ in range(1000):
                tell(1, 2)
                time.sleep(0.01)
        except BaseException as error:
            ended.append(error)
            raise

    monkeypatch.setattr(log, "back_up", copies)
    assert run("ledger", "backup", tmp_path / "copy", "--home", home).code == 130
    assert len(ended) == 1


async def test_a_ledger_of_another_agent_is_not_gone_on_with(tmp_path: Path) -> None:
    """It was, and by the next checkpoint whoever put it there had signed a second history of the log."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as hirer, Peer.open(globex):
        await hired(hirer, globex)
    for kept in globex.path.glob("ledger.db*"):
        shutil.copy(kept, acme.path)
    text = f"is that of {globex.configuration.did}, and this is {acme.configuration.did}"
    with pytest.raises(ConfigurationError, match=text):
        async with Peer.open(acme):
            pass
    for kept in globex.path.glob("ledger.db*"):  # with its own one, each goes on
        assert (acme.path / kept.name).read_bytes() == kept.read_bytes(), kept
    async with Peer.open(globex):
        pass


async def test_nothing_is_signed_of_a_ledger_of_another_agent(tmp_path: Path) -> None:
    """'ledger fsck' said ok of it, and 'ledger checkpoint' signed for it as for our own log."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as hirer, Peer.open(globex):
        result = await hired(hirer, globex)
    for kept in globex.path.glob("ledger.db*"):
        shutil.copy(kept, acme.path)
    checked = await asyncio.to_thread(run, "ledger", "fsck", "--home", acme.path, "--json")
    (said,) = checked.values
    assert (checked.code, said["ok"]) == (4, False)
    assert [(one["code"], one["where"]) for one in said["defects"]] == [("bad_configuration", "ledger")]
    assert "ANOTHER'S: " in (await asyncio.to_thread(run, "ledger", "fsck", "--home", acme.path)).out
    for command in ("ledger checkpoint", f"ledger prove {result.engagement}", "ledger audit", "witness ask"):
        ran = await asyncio.to_thread(run, *command.split(), "--home", acme.path, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
        assert f"is that of {globex.configuration.did}" in ran.error["message"]
    told = await asyncio.to_thread(run, "ledger", "fsck", "--home", globex.path, "--json")
    assert (told.code, told.values[0]["ok"]) == (0, True), "with its own one"
