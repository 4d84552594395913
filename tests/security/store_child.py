"""What the store's security cases do in a process of its own: `python -m security.store_child SCENARIO PATH [N]`.

Each scenario prints what it saw as JSON, one line as soon as it is so, for the test that started it to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from backends.moves import AT, PEER, answer, engagement, move
from undersigned.errors import UndersignedError
from undersigned.ledger import Commit, Ledger, Stated, open_ledger

NAME = engagement()


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def faults() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ["LD_PRELOAD"])


async def code_of(ledger: Ledger, commit: Commit) -> str:
    try:
        await ledger.commit(commit)
    except UndersignedError as exc:
        return exc.code
    return "written"


async def message_of(ledger: Ledger, commit: Commit) -> str:
    try:
        await ledger.commit(commit)
    except UndersignedError as exc:
        return exc.message
    return "written"


async def moves(ledger: Ledger, name: str = NAME) -> int:
    return len(await ledger.rows(name))


async def commit_and_die(path: str, _: int) -> None:
    """A move of the peer and our answer are committed; the process ends before the answer leaves."""
    ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 1))
    await ledger.commit(answer(NAME, 1, own=1))
    await ledger.commit(move(NAME, 2, peer=1))
    say(ready=ledger.ready)
    os.kill(os.getpid(), 9)


async def sync_error(path: str, code: int) -> None:
    """One sync fails; then the work goes on by itself, from what the file holds."""
    ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 1))
    faults().fault_fail(0, 1, code)
    refused = await code_of(ledger, move(NAME, 2, leaves=(b"leaf",)))
    say(refused=refused, ready=ledger.ready, failures=ledger.counters.failures)
    stored = await moves(ledger)
    # The outcome was unknown: read what there is and decide again on that.
    follow = [await code_of(ledger, move(NAME, number, leaves=(b"leaf",))) for number in range(stored + 1, 6)]
    report = await ledger.check()
    say(stored=stored, follow=follow, ready=ledger.ready, ok=report.ok, leaves=report.leaves)
    await ledger.close()


async def found_done(path: str, _: int) -> None:
    """The sync of a commit fails, and that of the file's closing: the commit is refused, and found done afterwards."""
    ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 1, seen=(stated(1),)))
    faults().fault_fail(0, 2, errno.EIO)
    refused = await code_of(ledger, move(NAME, 2, seen=(stated(2),)))
    follow = await code_of(ledger, move(engagement("other"), 1, seen=(stated(3),)))
    seen = await ledger.seen(PEER)
    heads = [] if seen is None else [one.size for one in seen.held]
    say(refused=refused, follow=follow, stored=await moves(ledger), heads=heads)
    await ledger.close()


def stated(size: int) -> Stated:
    return Stated(log=PEER, size=size, root=bytes([size] * 32), at=AT, note="a note")


async def another_in_its_place(path: str, older: int) -> None:
    """The volume is gone and a sync fails; where it was there is nothing, or an older copy, until it is back."""
    folder = Path(path.removeprefix("sqlite://")).parent
    ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 1))
    if older:
        await ledger.close()
        shutil.copytree(folder, folder.with_name("older"))
        ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 2, leaves=(b"leaf",)))
    folder.rename(folder.with_name("gone"))
    folder.with_name("older").rename(folder) if older else folder.mkdir()
    faults().fault_fail(0, 1, errno.EIO)
    refused = [await code_of(ledger, move(engagement(at), 1, urgent=True)) for at in range(2)]
    made = (folder / "ledger.db").exists()
    faults().fault_fail(0, 0, 0)
    shutil.rmtree(folder)
    folder.with_name("gone").rename(folder)
    say(refused=refused, made=made, after=await code_of(ledger, move(engagement("after"), 1)))
    await ledger.close()


async def sync_errors_for_long(path: str, _: int) -> None:
    """Every sync fails for a while: each commit is refused, none is acknowledged, none is lost that was."""
    ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 1))
    faults().fault_fail(0, 1_000_000, errno.EIO)
    refused = {await code_of(ledger, move(engagement(at), 1)) for at in range(4)}
    say(refused=sorted(refused), ready=ledger.ready, kept=await moves(ledger))
    faults().fault_fail(0, 0, 0)
    # Nobody commits: the ledger finds out by itself that the disk works again.
    for _ in range(600):
        if ledger.ready:
            break
        await asyncio.sleep(0.01)
    say(ready=ledger.ready, kept=await moves(ledger), next=await code_of(ledger, move(NAME, 2)))
    await ledger.close()


async def kill_in_sync(path: str, at: int) -> None:
    """The process is killed at a sync; what was acknowledged before is said before."""
    faults().fault_kill(at)
    ledger = await open_ledger(path)
    for number in range(1, 9):
        await ledger.commit(move(NAME, number, leaves=(b"leaf %d" % number,)))
        say(acknowledged=number)
    await ledger.close()
    say(survived=True)


def fill(path: Path) -> None:
    """Write until the volume has no room for one more block."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


async def full_disk(path: str, _: int) -> None:
    """The volume fills up during work and is emptied later."""
    ledger = await open_ledger(path)
    await ledger.commit(move(NAME, 1))
    filler = Path(path.removeprefix("sqlite://")).with_name("filler")
    fill(filler)
    done, name = 0, engagement("big")
    refused = "written"
    while refused == "written" and done < 500:
        done += 1
        refused = await code_of(ledger, move(name, done, text="x" * 50_000))
    say(refused=refused, acknowledged=done - 1, ready=ledger.ready)
    again = [await code_of(ledger, move(engagement(at), 1, text="x" * 50_000)) for at in range(3)]
    small = await code_of(ledger, move(engagement("small"), 1))
    why = await message_of(ledger, move(engagement("small"), 1))
    report = await ledger.check()
    say(
        again=again,
        small=small,
        why=why,
        ready=ledger.ready,
        kept=await moves(ledger, name),
        ok=report.ok,
        rows=report.rows,
    )
    urgent = [await code_of(ledger, move(NAME, number, urgent=True)) for number in (2, 3, 4)]
    say(urgent=urgent, ordinary=await code_of(ledger, move(NAME, 5)), kept=await moves(ledger))
    filler.unlink()
    after = [await code_of(ledger, move(NAME, 5)), await code_of(ledger, move(name, done, text="x" * 50_000))]
    say(after=after, ready=ledger.ready, ok=(await ledger.check()).ok)
    await ledger.close()


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=30)


async def full_and_read_only(path: str, _: int) -> None:
    """The volume fills up, and can then only be read, as a system does with one whose disk makes errors."""
    folder = Path(path.removeprefix("sqlite://")).parent
    ledger = await open_ledger(path)
    fill(folder / "filler")
    full = await code_of(ledger, move(NAME, 1, text="x" * 50_000))
    run(["sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"', str(folder)])
    async with asyncio.timeout(30):
        said = await code_of(ledger, move(NAME, 1, text="x" * 50_000))
    run(["umount", str(folder)])
    (folder / "filler").unlink()
    say(full=full, said=said, after=await code_of(ledger, move(NAME, 1)))
    await ledger.close()


async def opened_full(path: str, left: int) -> None:
    """A ledger is opened for the first time where no more than so many bytes are left, and again once there is room."""
    folder = Path(path.removeprefix("sqlite://")).parent
    fill(folder / "filler")
    os.truncate(folder / "filler", (folder / "filler").stat().st_size - left)
    try:
        await (await open_ledger(path)).close()
        refused = "opened"
    except UndersignedError as exc:
        refused = exc.code
    say(refused=refused, files=sorted(file.name for file in folder.iterdir()))
    (folder / "filler").unlink()
    ledger = await open_ledger(path)
    say(after=await code_of(ledger, move(NAME, 1)), ok=(await ledger.check()).ok)
    await ledger.close()


if __name__ == "__main__":
    _, scenario, url, *rest = sys.argv
    asyncio.run(globals()[scenario](url, int(rest[0]) if rest else 0))
