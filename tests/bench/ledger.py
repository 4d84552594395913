"""The Merkle log in SQLite: how fast the tree grows, and what proofs and an audit take at a size given in leaves."""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

from undersigned.encoding import digest_hex
from undersigned.ledger import Ledger, open_ledger
from undersigned.runtime.log.logbook import audited, kept_leaves
from undersigned.transparency import Checkpoint, Frontier, leaf_hash, verify_consistency, verify_inclusion

__all__ = ["show_ledger"]

STEP = 20_000
ASKED = 2_000
LABEL = b"undersigned/leaf/v1 "


async def show_ledger(leaves: int, folder: str | None, quiet: bool) -> None:
    """Prints the figures of a log of so many leaves, beside the bare hashes that it cannot do without."""

    def tell(what: str, done: int) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\r{what}: {done} of {leaves}", end="\r", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "ledger.db"
        await (await open_ledger(f"sqlite://{path}")).close()
        tree, seconds, bare = grown(path, leaves, lambda done: tell("growing", done))
        print(f"a log of {leaves} leaves in SQLite, each of {len(LABEL) + 32} bytes; times are CPU of this process")
        print(
            f"  the tree itself      {leaves / seconds:10.0f} leaves a second, {seconds / bare:.2f} times bare hashes"
        )
        ledger = await open_ledger(f"sqlite://{path}", read_only=True)
        try:
            await show_proofs(ledger, leaves, tree.root)
            began = time.process_time()
            head = Checkpoint("log", leaves, tree.root)
            report = await audited(head, kept_leaves(ledger, leaves), (), {}, lambda done: tell("auditing", done))
            took = time.process_time() - began
            print(f"  an audit of all      {leaves / took:10.0f} leaves a second, {took / bare:.2f} times bare hashes")
            if report.defects:
                raise RuntimeError(report.defects)
        finally:
            await ledger.close()
        print(f"  on disk              {path.stat().st_size / leaves:10.1f} bytes a leaf", flush=True)


def grown(path: Path, leaves: int, tell: Callable[[int], None]) -> tuple[Frontier, float, float]:
    """Fills the file. The tree, the seconds that its appends took, and those of as many bare hashes."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")
    tree, seconds, bare = Frontier(), 0.0, 0.0
    for start in range(0, leaves, STEP):
        data = [LABEL + os.urandom(32) for _ in range(min(STEP, leaves - start))]
        began = time.process_time()
        nodes = [node for leaf in data for node in tree.append(leaf_hash(leaf))]
        middle = time.process_time()
        for leaf in data:
            sha256(b"\x00" + leaf).digest()
        for _, _, value in nodes[: len(nodes) - len(data)]:
            sha256(b"\x01" + value + value).digest()
        seconds, bare = seconds + middle - began, bare + time.process_time() - middle
        rows = list[tuple[int, int, bytes, bytes, bytes]]()
        for level, at, value in nodes:
            if level:
                rows[-1] = (*rows[-1][:3], rows[-1][3] + value, rows[-1][4])
            else:
                rows.append((at, 0, value, b"", data[at - start]))
        db.execute("BEGIN")
        db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("UPDATE tree SET size = ?, root = ?", (tree.size, tree.root))
        db.execute("COMMIT")
        tell(tree.size)
    db.close()
    return tree, seconds, bare


async def show_proofs(ledger: Ledger, leaves: int, root: bytes) -> None:
    """Inclusion of leaves, and consistency from sizes, that nobody has asked for before."""
    drawn = random.Random(leaves)

    async def included() -> None:
        proof = await ledger.inclusion(drawn.randrange(leaves))
        path = [bytes.fromhex(digest_hex(item)) for item in proof.path]
        verify_inclusion(bytes.fromhex(digest_hex(proof.leaf)), proof.index, leaves, path, root)

    async def continued() -> None:
        old = drawn.randrange(1, leaves)
        verify_consistency(old, await ledger.root(old), leaves, root, await ledger.consistency(old, leaves))

    for what, ask in (("inclusion", included), ("consistency", continued)):
        took = [await timed(ask) for _ in range(ASKED)]
        print(
            f"  proof of {what:<11} {statistics.median(took):10.3f} ms at the median, checked; "
            f"{statistics.quantiles(took, n=20)[-1]:.3f} ms at the 95th of 100"
        )


async def timed(ask: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds, wall time: reading waits for the disk."""
    began = time.perf_counter()
    await ask()
    return (time.perf_counter() - began) * 1000
