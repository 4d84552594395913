"""How fast an organisation gives its processes identities, beside a floor in the same run. Nothing passes or fails.

    make bench ARGS="--spawn"

The floor makes as many keys, signs as often, and writes as many rows of the same size in as many commits that sync:
what no issuer can leave out. Issuing and floor take turns, and medians over the rounds are shown. All of it is on one
core.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from undersigned.credentials import Ceiling
from undersigned.encoding import canonicalize
from undersigned.runtime import SPAWN_BATCH, Organisation, Swarm, create_home

__all__ = ["show_spawn"]

CEILING = Ceiling(amount="5", currency="EUR", actions=("artifact:read",))
WRITTEN = 100
"""State folders that are written in a round."""


class Floor:
    """A table, and rows of this size for it."""

    def __init__(self, path: Path, size: int) -> None:
        self._row = os.urandom(size)
        self._store = sqlite3.connect(path, isolation_level=None)
        self._store.execute("PRAGMA synchronous = EXTRA")
        self._store.execute("CREATE TABLE issued (id TEXT PRIMARY KEY, raw BLOB NOT NULL) STRICT")
        self._secret = crypto_sign_seed_keypair(os.urandom(32))[1]

    def issue(self, count: int) -> None:
        """Keys, signatures, rows, one commit."""
        self._store.execute("BEGIN IMMEDIATE")
        for _ in range(count):
            public, _ = crypto_sign_seed_keypair(os.urandom(32))
            crypto_sign(public + public, self._secret)
            self._store.execute("INSERT INTO issued VALUES (?, ?)", (public.hex(), self._row))
        self._store.execute("COMMIT")

    def close(self) -> None:
        self._store.close()


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write(swarm: Swarm, folder: Path) -> None:
    """State folders for the newest identities."""
    for one in swarm.identities[-WRITTEN:]:
        swarm.write(one, folder / one.did[-24:])


def show_spawn(rounds: int, folder: str | None) -> None:
    """Measures, and prints a line for each step."""
    issued: list[float] = []
    floors: list[float] = []
    withdrawn: list[float] = []
    written: list[float] = []
    with tempfile.TemporaryDirectory(dir=folder) as made:
        home = create_home(Path(made) / "acme", name="Acme", local=True, port=8109)
        with Organisation(home) as acme:
            swarm = acme.spawn(0, ceiling=CEILING)
            (first,) = swarm.add(1)  # opens the organisation's key, and signs the first list
            swarm.write(first, Path(made) / "first")  # derives what seals the keys
            floor = Floor(Path(made) / "floor.db", len(canonicalize(first.membership)))
            for _ in range(rounds):
                floors.append(seconds(lambda: floor.issue(SPAWN_BATCH)))
                issued.append(seconds(lambda: swarm.add(SPAWN_BATCH)))
                written.append(seconds(lambda: write(swarm, Path(made) / "workers")))
            for _ in range(rounds):
                with acme.spawn(SPAWN_BATCH) as another:
                    withdrawn.append(seconds(another.withdraw))
            swarm.withdraw()
            floor.close()
    least, most = statistics.median(floors), statistics.median(issued)
    print(f"identities, {SPAWN_BATCH} in a commit, {rounds} rounds; medians, per second on one core")
    print(f"  issued           {SPAWN_BATCH / most:>10,.0f}   {most / least:.1f} times the floor")
    print(f"  floor            {SPAWN_BATCH / least:>10,.0f}   keys, signatures and rows alone")
    print(f"  written          {WRITTEN / statistics.median(written):>10,.0f}   state folders, keys sealed")
    print(f"  withdrawn        {SPAWN_BATCH / statistics.median(withdrawn):>10,.0f}   and the list that says so signed")
