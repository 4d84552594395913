"""Security cases about the store, as far as the store alone decides them: SC-84 to SC-90.

Sync errors and kills are made real by a small library before the C library (`faults.c`), full disks by a small volume.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from backends.moves import AT, OWN, PEER, answer, engagement, move, reservation
from support import ROOT, program, refuses
from undersigned.encoding import digest_bytes
from undersigned.errors import LedgerConflict, LedgerError
from undersigned.ledger import Blob, Head, Ledger, SqliteLedger, Stated, open_ledger
from undersigned.ledger.chain import first_link, link
from undersigned.ledger.sqlite_rows import engagement_seal, seal, tree_seal

NAME = engagement()


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes syncs fail, built for this machine."""
    if not sys.platform.startswith("linux"):
        pytest.skip("making sync calls fail needs Linux")
    built = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([program("cc", "gcc"), "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True, timeout=60)
    return built


def child(
    scenario: str, path: Path, *rest: int, preload: Path | None = None, volume: str = ""
) -> tuple[int, list[Any]]:
    """Exit code and the lines that a scenario printed."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    if preload:
        environment["LD_PRELOAD"] = str(preload)
    command = [sys.executable, "-m", "security.store_child", scenario, f"sqlite://{path}", *map(str, rest)]
    if volume:
        mount = 'mount -t tmpfs -o "size=$0" none "$1" && shift && exec "$@"'
        command = ["unshare", "-Urm", "sh", "-c", mount, volume, str(path.parent), *command]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


async def opened(path: Path) -> Ledger:
    return await open_ledger(f"sqlite://{path}")


async def filled(path: Path) -> list[Any]:
    """A ledger with something of every kind, closed; returns all that it holds."""
    ledger = await opened(path)
    for at in range(4):
        name = engagement(at)
        document = Blob(digest_bytes(b"%d" % at), b"%d" % at, "did-document", OWN)
        await ledger.commit(
            move(name, 1, leaves=(b"leaf %d" % at,), evidence=(document,), effects=(f"effect-{at}",), text="t" * 600)
        )
        await ledger.commit(answer(name, 1, own=1))
        await ledger.commit(move(name, 2, peer=1, reserve=(reservation(f"r{at}", "1", "10"),)))
    seen = Stated(log=PEER, size=3, root=bytes(32), at=AT, note="a note")
    await ledger.commit(move(engagement("last"), 1, seen=(seen,)))
    await ledger.put_checkpoint(Head(await ledger.tree_size(), await ledger.root()), "a signed note")
    found = await everything(ledger)
    await ledger.close()
    return found


async def everything(ledger: Ledger, *, verify: bool = True) -> list[Any]:
    found: list[Any] = [await ledger.usage("uEiContract"), await ledger.checkpoint(), await ledger.root()]
    found += [await ledger.logs_seen(), await ledger.secret()]
    for item in await ledger.summaries():
        name = item.engagement
        found += [item, await ledger.rows(name, verify=verify), await ledger.outbox(name)]
        found += [await ledger.effects(name), await ledger.evidence(name)]
    found += await ledger.leaves(0, await ledger.tree_size())
    return [*found, await ledger.open_reservations("uEiContract"), await ledger.summaries(live_only=True)]


# SC-84, SC-85: kills


@pytest.mark.parametrize("at", range(0, 24, 2))
async def test_sc84_killed_at_a_sync_loses_nothing_acknowledged(tmp_path: Path, faults: Path, at: int) -> None:
    """SIGKILL at the n-th sync: what was acknowledged is there, what was not is there whole or not at all.

    HIRE-CHN-07.
    """
    path = tmp_path / "ledger.db"
    code, lines = child("kill_in_sync", path, at, preload=faults)
    acknowledged = max((line.get("acknowledged", 0) for line in lines), default=0)
    assert code == -signal.SIGKILL or lines[-1] == {"survived": True}
    ledger = await opened(path)
    stored = await ledger.rows(NAME)
    assert acknowledged <= len(stored) <= acknowledged + 1
    assert await ledger.tree_size() == len(stored)
    assert len(await ledger.outbox(NAME)) == len(stored)
    assert (await ledger.check()).ok
    for number in range(len(stored) + 1, 9):
        await ledger.commit(move(NAME, number, leaves=(b"leaf %d" % number,)))
    await ledger.close()


async def test_sc85_recorded_but_not_answered(tmp_path: Path) -> None:
    """Killed between commit and reply: the reply is in the outbox byte for byte, and the peer's repeat is absorbed.

    HIRE-CHN-07.
    """
    path = tmp_path / "ledger.db"
    code, lines = child("commit_and_die", path)
    assert (code, lines) == (-signal.SIGKILL, [{"ready": True}])
    ledger = await opened(path)
    reply = move(NAME, 2, peer=1).rows
    assert (await ledger.outbox(NAME))[-1:] == reply
    before = await everything(ledger)
    with pytest.raises(LedgerConflict):
        await ledger.commit(answer(NAME, 1, own=1))
    with pytest.raises(LedgerConflict):
        await ledger.commit(answer(NAME, 1, own=2))
    assert await everything(ledger) == before
    await ledger.close()


# SC-86: sync errors


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_sc86_a_sync_error_is_no_acknowledgement(tmp_path: Path, faults: Path, code: int) -> None:
    """The commit is refused and readiness turns false; the file is read again and the work goes on."""
    _, (refused, after) = child("sync_error", tmp_path / "ledger.db", code, preload=faults)
    assert refused == {"refused": "store_unavailable", "ready": False, "failures": 1}
    assert after["stored"] in (1, 2)
    assert set(after["follow"]) == {"written"}
    assert (after["ready"], after["ok"], after["leaves"]) == (True, True, 1)


def test_sc86_what_a_commit_saw_of_a_log_is_kept_when_it_is_found_done(tmp_path: Path, faults: Path) -> None:
    """HIRE-LOG-09: no head is forgotten, whatever the writer had in memory when it was refused."""
    _, (found,) = child("found_done", tmp_path / "ledger.db", preload=faults)
    assert found == {"refused": "store_unavailable", "follow": "written", "stored": 2, "heads": [1, 2, 3]}


@pytest.mark.parametrize("older", [0, 1])
def test_sc86_what_is_opened_again_is_the_same_ledger(tmp_path: Path, faults: Path, older: int) -> None:
    """Another would contradict what this one signed: none is begun where the volume of it was."""
    (tmp_path / "state").mkdir()
    _, (found,) = child("another_in_its_place", tmp_path / "state" / "ledger.db", older, preload=faults)
    assert found == {"refused": ["store_unavailable"] * 2, "made": bool(older), "after": "written"}


def test_sc86_a_disk_that_stays_broken_acknowledges_nothing(tmp_path: Path, faults: Path) -> None:
    """Reads go on meanwhile, and readiness comes back without a restart once the disk works."""
    _, (broken, healed) = child("sync_errors_for_long", tmp_path / "ledger.db", preload=faults)
    assert broken == {"refused": ["store_unavailable"], "ready": False, "kept": 1}
    assert healed == {"ready": True, "kept": 1, "next": "written"}


# SC-87: full disk


def small_volumes() -> bool:
    probe = ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(probe, capture_output=True, timeout=30).returncode == 0


def test_sc87_a_full_disk_refuses_new_work_and_keeps_the_rest(tmp_path: Path) -> None:
    """One code for new work, reads and checks go on, endings still fit, and room freed is enough to go on."""
    if not small_volumes():
        pytest.skip("a small volume needs Linux with user namespaces")
    _, (full, still, urgent, freed) = child("full_disk", tmp_path / "ledger.db", volume="8m")
    assert (full["refused"], full["ready"]) == ("store_full", False)
    assert still["again"] == ["store_full"] * 3
    assert (still["small"], still["ready"], still["ok"]) == ("store_full", False, True)
    assert still["why"].endswith("it goes on once 1 MiB is free"), "less than that is as good as nothing"
    assert still["kept"] == full["acknowledged"]
    assert still["rows"] == full["acknowledged"] + 1
    assert urgent == {"urgent": ["written"] * 3, "ordinary": "store_full", "kept": 4}
    assert freed == {"after": ["written"] * 2, "ready": True, "ok": True}


def test_sc87_a_full_disk_that_can_only_be_read_then_is_answered_for(tmp_path: Path) -> None:
    """The room that is kept back can be neither taken nor given up: commits are refused, and nobody waits for ever."""
    if not small_volumes():
        pytest.skip("a small volume needs Linux with user namespaces")
    _, (found,) = child("full_and_read_only", tmp_path / "ledger.db", volume="4m")
    assert found == {"full": "store_full", "said": "store_full", "after": "written"}


@pytest.mark.parametrize("left", [0, 4096, 16_384, 65_536, 131_072, 200_000])
def test_sc87_a_ledger_that_finds_no_room_at_first_leaves_nothing_half_made(tmp_path: Path, left: int) -> None:
    """It is not taken for one afterwards, and the same process opens it once there is room."""
    if not small_volumes():
        pytest.skip("a small volume needs Linux with user namespaces")
    _, (refused, after) = child("opened_full", tmp_path / "ledger.db", left, volume="4m")
    assert refused["refused"] in ("store_full", "store_unavailable")
    assert refused["refused"] == "store_full" or left, "a lock that cannot be written says why"
    assert refused["files"] == ["filler", "ledger.db.lock"]
    assert after == {"after": "written", "ok": True}


# SC-88: bit flips


async def verdict(path: Path, expected: list[Any]) -> str:
    """`found` if the damage is noticed and nothing is written on it; `harmless` if everything reads as it was."""
    try:
        ledger = await opened(path)
    except LedgerError:
        return "found"
    try:
        if not (await ledger.check()).ok:
            with pytest.raises(LedgerError):
                await ledger.commit(move(engagement("new"), 1))
            assert not ledger.ready
            return "found"
        return "harmless" if await everything(ledger) == expected else "silent"
    except LedgerError:
        return "found"
    finally:
        await ledger.close()


async def test_sc88_every_flipped_bit_of_entry_data_is_found(tmp_path: Path) -> None:
    """Any bit of the database: it is noticed, or it changes nothing that anybody reads."""
    expected = await filled(tmp_path / "whole.db")
    data = (tmp_path / "whole.db").read_bytes()
    dice = random.Random(88)
    seen: dict[str, int] = {}
    for run in range(150):
        path = tmp_path / f"{run}.db"
        at = dice.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :])
        outcome = await verdict(path, expected)
        assert outcome != "silent", f"bit in byte {at}"
        seen[outcome] = seen.get(outcome, 0) + 1
    assert set(seen) == {"found", "harmless"}


@pytest.mark.parametrize("what", [b'"text":"tttt', b"leaf 2", b"effect-3", b"did-document", b'"used":"', b"urn:hire"])
async def test_sc88_a_flip_inside_an_entry_is_found(tmp_path: Path, what: bytes) -> None:
    """The same where it is known to matter: every bit of a row, leaf, effect, evidence entry and engagement."""
    path = tmp_path / "ledger.db"
    expected = await filled(path)
    data = path.read_bytes()
    at = data.find(what)
    if at < 0:
        what, at = b'"amount":"1"', data.find(b'"amount":"1"')
    assert at > 0
    for offset in range(0, len(what) * 8, 5):
        byte, bit = at + offset // 8, 1 << offset % 8
        copy = tmp_path / f"{offset}.db"
        copy.write_bytes(data[:byte] + bytes([data[byte] ^ bit]) + data[byte + 1 :])
        assert await verdict(copy, expected) == "found"


async def test_sc88_a_flip_in_the_log_file_loses_a_tail_at_most(tmp_path: Path) -> None:
    """The write-ahead log ends at the first frame whose sum is wrong: an older state, never another one. What went
    back in time is found by the head file if a leaf is gone, and by the peer's next message otherwise.
    """
    path, dice, outcomes = tmp_path / "ledger.db", random.Random(89), set[str]()
    ledger = await opened(path)
    for number in range(1, 9):
        await ledger.commit(move(NAME, number, leaves=(b"leaf %d" % number,) if number < 5 else ()))
    whole = await ledger.rows(NAME)
    files = {name: (tmp_path / name).read_bytes() for name in ("ledger.db", "ledger.db-wal", "ledger.db.head")}
    await ledger.close()
    log = files["ledger.db-wal"]
    for run in range(60):
        copy = tmp_path / str(run)
        copy.mkdir()
        at = dice.randrange(len(log))
        for name, data in files.items():
            (copy / name).write_bytes(data)
        (copy / "ledger.db-wal").write_bytes(log[:at] + bytes([log[at] ^ 1 << dice.randrange(8)]) + log[at + 1 :])
        try:
            damaged = await opened(copy / "ledger.db")
        except LedgerError as exc:
            outcomes.add(exc.code)
            continue
        rows = await damaged.rows(NAME)
        assert (await damaged.check()).ok
        assert rows == whole[: len(rows)]
        assert len(rows) >= 4
        outcomes.add("prefix")
        await damaged.close()
    assert outcomes == {"ledger_diverged", "prefix"}


async def test_sc88_a_damaged_ledger_is_read_and_not_written(tmp_path: Path) -> None:
    """HIRE-SEC-03."""
    path = tmp_path / "ledger.db"
    await filled(path)
    edit(path, "UPDATE journal SET raw = ? WHERE id = 2", b"{}")
    ledger = await opened(path)
    with refuses(LedgerError, "store_corrupt"):
        await ledger.rows(engagement(0))
    assert not ledger.ready
    with refuses(LedgerError, "store_corrupt"):
        await ledger.commit(move(engagement("new"), 1))
    assert len(await ledger.rows(engagement(0), verify=False)) == 3
    assert len(await ledger.rows(engagement(1))) == 3
    await ledger.close()


# SC-89, SC-90: edits and cuts


def edit(path: Path, *statements: Any) -> None:
    """Change the file behind the ledger's back: SQL, its value, SQL, its value, …"""
    db = sqlite3.connect(path)
    for sql, value in zip(statements[::2], statements[1::2], strict=True):
        db.execute(sql, (value,) if "?" in sql else ())
    db.commit()
    db.close()


def sealed_again(path: Path) -> None:
    """The seal of the tree's row fits again: whoever can write the file can make it."""
    db = sqlite3.connect(path)
    db.execute("UPDATE tree SET seal = ?", (tree_seal(db),))
    db.commit()
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET raw = CAST(replace(raw, 'ttt', 'xxx') AS BLOB) WHERE id = 1",
        "UPDATE journal SET at = '2026-11-25T12:00:01Z' WHERE id = 3",
        "UPDATE journal SET sequence = 9 WHERE id = 3",
        "UPDATE journal SET engagement = 2, place = 4, sequence = 4 WHERE id = 3",
        "UPDATE journal SET link = zeroblob(32) WHERE id = 3",
        "UPDATE journal SET freed = 1 WHERE id = 3",
        "DELETE FROM journal WHERE id = 2",
        "DELETE FROM journal WHERE id = 3",
        "DELETE FROM engagement WHERE id = 2",
        "UPDATE engagement SET live = 0",
        "UPDATE engagement SET own = 1 WHERE id = 1",
        "UPDATE engagement SET outbox = CAST('[]' AS BLOB) WHERE id = 1",
        "UPDATE blob SET raw = x'00' WHERE id = 1",
        "UPDATE evidence SET name = 'did:web:other.example' WHERE id = 1",
        "DELETE FROM blob WHERE id = 1",
        "UPDATE effect SET key = 'effect-9' WHERE key = 'effect-3'",
        "UPDATE reservation SET state = 'released' WHERE id = 'r1'",
        "UPDATE usage SET held = '1'",
        "DELETE FROM usage",
        "UPDATE leaf SET data = x'00' WHERE id = 1",
        "UPDATE leaf SET inner = zeroblob(32) WHERE id = 1",
        "UPDATE leaf SET inner = x'' WHERE id = 3",
        "UPDATE leaf SET engagement = 99 WHERE id = 1",
        "UPDATE tree SET secret = zeroblob(32)",
        "UPDATE tree SET checkpoint = NULL",
        "UPDATE tree SET checkpoint = 'another note'",
        "UPDATE tree SET unseen = 99",
        "UPDATE seen_log SET body = CAST(replace(body, '\"size\":3', '\"size\":2') AS BLOB)",
        "UPDATE seen_log SET log = 'did:web:other.example'",
    ],
)
async def test_sc89_an_edited_row_is_found(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "ledger.db"
    expected = await filled(path)
    edit(path, statement, None)
    assert await verdict(path, expected) == "found"


async def test_sc89_an_edited_row_with_its_own_hash_is_found(tmp_path: Path) -> None:
    """Computing the changed row's link again breaks the next one, and the last one breaks the engagement's entry."""
    path = tmp_path / "ledger.db"
    expected = await filled(path)
    ledger = SqliteLedger(path)
    await ledger.open()
    first, second, third = await ledger.rows(engagement(0))
    await ledger.close()
    for row, before in ((first, b""), (third, link(link(first_link(engagement(0)), first), second))):
        copy = tmp_path / f"{row.place}.db"
        shutil.copy(path, copy)
        other = move(engagement(0), row.sequence or 0, peer=row.place // 3, place=row.place, text="forged").rows[0]
        new = link(before or first_link(engagement(0)), other)
        where = f"WHERE id = {row.place}"
        edit(copy, f"UPDATE journal SET raw = ? {where}", other.raw, f"UPDATE journal SET link = ? {where}", new)
        edit(copy, f"UPDATE journal SET digest = ? {where}", other.digest)
        assert await verdict(copy, expected) == "found"


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("reservation", {"state": "'released'"}),
        ("reservation", {"contract": "'another'"}),
        ("reservation", {"kind": "iif(kind = 'action', 'capacity', 'action')"}),
        ("reservation", {"until": "'2020-01-01T00:00:00Z'"}),
        ("engagement", {"own": "own + 1"}),
        ("engagement", {"peer": "peer - 1"}),
        ("engagement", {"length": "length - 1"}),
        ("engagement", {"outbox": "CAST('[[1,\"uEi\"]]' AS BLOB)"}),
        ("engagement", {"outbox": "CAST('[[3,\"uEi\"]]' AS BLOB)"}),
    ],
)
async def test_sc89_an_edited_row_that_was_sealed_again_is_found(
    tmp_path: Path, table: str, change: dict[str, str]
) -> None:
    """Its seal fits, as whoever can write the file can make it; what it repeats of other rows does not."""
    path = tmp_path / "ledger.db"
    expected = await filled(path)
    sealed_with(path, table, change)
    assert await verdict(path, expected) == "found"


def sealed_with(path: Path, table: str, change: dict[str, str]) -> None:
    """Changes a row of a table, and seals it again."""
    covered = {
        "reservation": "id, contract, kind, state, until, body",
        "engagement": "name, own, peer, length, head, live, summary, outbox",
    }[table]
    values = ", ".join(change.get(name, name) for name in covered.split(", "))
    made = ", ".join(f"{name} = {value}" for name, value in change.items())
    db = sqlite3.connect(path)
    db.create_function("reservation_sealed", 6, seal)
    db.create_function("engagement_sealed", 8, engagement_seal)
    db.execute(f"UPDATE {table} SET {made}, seal = {table}_sealed({values}) WHERE rowid = 2")
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("change", "ask"),
    [
        ({"outbox": "CAST('[[1,\"uEi\"]]' AS BLOB)"}, lambda ledger, name: ledger.outbox(name)),
        ({"outbox": "CAST('[[9,\"uEi\"]]' AS BLOB)"}, lambda ledger, name: ledger.outbox(name)),
        ({"length": "length - 1"}, lambda ledger, name: ledger.rows(name)),
        ({"length": "length - 1"}, lambda ledger, name: ledger.rows(name, 1)),
        ({"head": "zeroblob(32)"}, lambda ledger, name: ledger.rows(name)),
        ({"summary": "CAST('{}' AS BLOB)"}, lambda ledger, name: ledger.summary(name)),
    ],
)
async def test_sc89_what_a_journal_contradicts_is_not_handed_out(
    tmp_path: Path, change: dict[str, str], ask: Callable[[Ledger, str], Awaitable[Any]]
) -> None:
    """Nobody has to ask for a check, and nothing is written any more."""
    path = tmp_path / "ledger.db"
    await filled(path)
    sealed_with(path, "engagement", change)
    ledger = await opened(path)
    with pytest.raises(LedgerError) as refused:
        await ask(ledger, engagement(1))
    assert (refused.value.code, ledger.ready) == ("store_corrupt", False)
    await ledger.close()


async def test_sc89_evidence_that_was_changed_is_not_handed_out(tmp_path: Path) -> None:
    """Neither by its digest nor with the engagement that it was kept for."""
    path = tmp_path / "ledger.db"
    await filled(path)
    edit(path, "UPDATE blob SET raw = x'00' WHERE id = 1", None)
    for ask in (
        lambda ledger: ledger.blob(digest_bytes(b"0")),
        lambda ledger: ledger.evidence(engagement(0)),
    ):
        ledger = await opened(path)
        with pytest.raises(LedgerError) as refused:
            await ask(ledger)
        assert (refused.value.code, ledger.ready) == ("store_corrupt", False)
        await ledger.close()


async def test_sc88_a_lost_page_of_an_index_is_found(tmp_path: Path) -> None:
    """What is looked up by it would be missing, and nothing that is stored in the rows says so."""
    path = tmp_path / "ledger.db"
    expected = await filled(path)
    db = sqlite3.connect(path)
    (size,) = db.execute("PRAGMA page_size").fetchone()
    (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'leaf_hash'").fetchone()
    db.close()
    data = bytearray(path.read_bytes())
    start = (page - 1) * size
    assert data[start] == 10, "a page of an index"
    data[start + 3 : start + 5] = bytes(2)  # so many entries
    path.write_bytes(data)
    assert await verdict(path, expected) == "found"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE leaf SET inner = zeroblob(64) WHERE id = 3", "store_corrupt"),
        ("UPDATE leaf SET inner = x'' WHERE id = 3", "store_corrupt"),
        ("UPDATE tree SET root = zeroblob(32)", "store_corrupt"),
        ("UPDATE tree SET size = 3", "ledger_diverged"),
        ("DELETE FROM leaf WHERE id = 3", "ledger_diverged"),
    ],
)
async def test_sc89_a_tree_that_leads_elsewhere_is_not_written(tmp_path: Path, statement: str, code: str) -> None:
    """Nobody has to ask for a check: what would be signed next is looked at when it is opened."""
    path = tmp_path / "ledger.db"
    await filled(path)
    edit(path, statement, None)
    with refuses(LedgerError, code):
        await opened(path)


async def test_sc90_another_ledger_in_its_place_is_refused(tmp_path: Path) -> None:
    """As many leaves, or more, are not the same ones: by the head beside it, and by the checkpoint inside."""
    path, other = tmp_path / "ledger.db", tmp_path / "other.db"
    await filled(path)
    ledger = await opened(other)
    for at in range(6):
        await ledger.commit(move(engagement(at), 1, leaves=(b"another leaf %d" % at,)))
    await ledger.close()
    shutil.copy(other, path)
    with refuses(LedgerError, "ledger_diverged"):
        await opened(path)


async def test_sc89_an_entry_that_was_changed_is_not_gone_on_from(tmp_path: Path) -> None:
    """A move is not decided on a position that somebody wrote there."""
    path = tmp_path / "ledger.db"
    await filled(path)
    edit(path, "UPDATE engagement SET own = 1, length = 2 WHERE id = 1", None)
    ledger = await opened(path)
    with pytest.raises(LedgerError) as refused:
        await ledger.commit(move(engagement(0), 2, peer=1, text="another"))
    assert (refused.value.code, ledger.ready) == ("store_corrupt", False)
    await ledger.close()


@pytest.mark.parametrize("dropped", range(1, 5))
async def test_sc90_a_shortened_tree_is_refused(tmp_path: Path, dropped: int) -> None:
    """The last k leaves go, and everything inside the file is made to agree: the head beside it tells."""
    path = tmp_path / "ledger.db"
    await filled(path)
    ledger = await opened(path)
    size = await ledger.tree_size()
    root = await ledger.root(size - dropped)
    await ledger.close()
    cut = size - dropped
    edit(path, "DELETE FROM leaf WHERE id >= ?", cut)
    edit(path, "UPDATE tree SET size = ?", cut, "UPDATE tree SET root = ?", root)
    edit(
        path, "UPDATE tree SET checkpoint = NULL, checkpoint_root = ?", root, "UPDATE tree SET checkpoint_size = ?", cut
    )
    sealed_again(path)
    with refuses(LedgerError, "ledger_diverged"):
        await opened(path)
    # Whoever removes that too still meets the checkpoint that a peer or the operator kept.
    (tmp_path / "ledger.db.head").unlink()
    ledger = await opened(path)
    with refuses(LedgerError, "ledger_diverged"):
        await ledger.put_checkpoint(Head(size, bytes(32)), "the note that a peer holds")
    await ledger.close()


async def test_sc90_a_shortened_tree_contradicts_its_own_checkpoint(tmp_path: Path) -> None:
    """Without the head file, the signed checkpoint inside the database tells the same."""
    path = tmp_path / "ledger.db"
    await filled(path)
    ledger = await opened(path)
    root = await ledger.root(2)
    await ledger.close()
    (tmp_path / "ledger.db.head").unlink()
    edit(path, "DELETE FROM leaf WHERE id >= ?", 2)
    edit(path, "UPDATE tree SET size = 2, root = ?", root)
    with refuses(LedgerError, "ledger_diverged"):
        await opened(path)


@pytest.mark.parametrize("left", ["no file", "empty", "zeros"])
async def test_sc90_a_head_that_is_not_there_is_told_of(tmp_path: Path, left: str) -> None:
    """Of a copy, and after a power cut, that is as it should be, so the ledger is gone on with (decision 0365)."""
    path, head = tmp_path / "ledger.db", tmp_path / "ledger.db.head"
    with capture_logs() as told:
        await filled(path)
        await (await opened(path)).close()
    assert told == [], "neither of a new one, nor of one that has it"
    if left == "no file":
        head.unlink()
    else:
        head.write_bytes(bytes(head.stat().st_size if left == "zeros" else 0))
    with capture_logs() as told:
        ledger = await opened(path)
    assert [(one["log_level"], one["missing"]) for one in told] == [("warning", str(head))]
    report = await ledger.check()
    assert (report.ok, report.missing) == (True, str(head))
    await ledger.commit(move(engagement("later"), 1, leaves=(b"one more",)))
    assert (await ledger.check()).missing == ""
    await ledger.close()
    with capture_logs() as told:
        await (await opened(path)).close()
    assert told == []


async def test_sc90_a_deleted_file_is_not_an_empty_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await filled(path)
    path.unlink()
    with refuses(LedgerError, "ledger_diverged"):
        await opened(path)


async def test_sc90_an_older_copy_put_back_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await filled(path)
    older = path.read_bytes()
    ledger = await opened(path)
    await ledger.commit(move(engagement("later"), 1, leaves=(b"one more",)))
    await ledger.close()
    newest = path.read_bytes()
    path.write_bytes(older)
    with pytest.raises(LedgerError, match="put the newest ledger back") as caught:
        await opened(path)
    assert caught.value.code == "ledger_diverged"
    reading = await open_ledger(f"sqlite://{path}", read_only=True)
    assert await reading.summaries()
    await reading.close()
    path.write_bytes(newest)
    await (await opened(path)).close()
