"""`make bench ARGS=--gate`: what a decision costs, and how many limited ones a SQLite ledger books in a second.

A decision without a limit is a function call. One with a limit waits until its booking is on the disk, so the second
figure stands beside how many commits of one row the same disk syncs, one after the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from contracts import document, terms
from undersigned.encoding import digest_bytes
from undersigned.ledger import open_ledger
from undersigned.runtime import Gate
from undersigned.scope import Action, Grant, Limit, Prohibition, Scope, Window, permits
from undersigned.testing import HandClock

NOW = "2026-11-25T12:30:00Z"
CONTRACT = digest_bytes(b"the contract")
CALLERS, SECONDS, ROUNDS = 100, 2.0, 20_000
FREE = Scope(
    grants=(
        *(Grant(f"other-{number}", "repo:write", f"https://git.acme.example/{number}/*") for number in range(8)),
        Grant(
            "read",
            "repo:read",
            "https://git.acme.example/app/*",
            window=Window(until="2026-12-01T00:00:00Z"),
            conditions={"dataClass": ["public", "internal"], "region": ["eu"]},
        ),
    ),
    prohibitions=(Prohibition("secrets", "repo:read", "https://git.acme.example/app/secrets/*"),),
)
LIMITED = Scope(
    grants=(
        Grant(
            "read",
            "repo:read",
            "https://git.acme.example/*",
            limits=(Limit("count", "100000000"), Limit("EUR", "100000000")),
        ),
    )
)


def decisions() -> dict[str, float]:
    """Microseconds of a decision without a limit, each on a target of its own: nothing of it is remembered."""
    taken: list[int] = []
    for number in range(ROUNDS):
        action = Action(
            "repo:read", f"https://git.acme.example/app/src/{number}.py", {}, {"dataClass": "internal", "region": "eu"}
        )
        begun = time.perf_counter_ns()
        decision = permits(FREE, {}, action, NOW)
        taken.append(time.perf_counter_ns() - begun)
        assert decision.allowed
    taken.sort()
    return {"median": statistics.median(taken) / 1000, "p99": taken[int(len(taken) * 0.99)] / 1000}


async def booked(folder: Path) -> dict[str, float]:
    """Limited decisions a second, durable before the answer, by callers that each wait for theirs."""
    ledger = await open_ledger(f"sqlite://{folder}/ledger.db")
    gate, contract = Gate(ledger, HandClock(NOW)), document(terms=terms(scope=LIMITED))
    taken: list[float] = []
    over = time.perf_counter() + SECONDS

    async def caller(number: int) -> None:
        action = Action("repo:read", f"https://git.acme.example/{number}", {"EUR": "0.01"})
        while (begun := time.perf_counter()) < over:
            await gate.admit(CONTRACT, contract, "working", action)
            taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    elapsed = time.perf_counter() - begun
    assert (await ledger.usage(CONTRACT))["read/count"] == str(len(taken))
    groups = ledger.counters.groups
    await ledger.close()
    return {
        "each second": len(taken) / elapsed,
        "in one sync": len(taken) / groups,
        "median ms": statistics.median(taken) * 1000,
    }


def floor(folder: Path) -> float:
    """Commits of one row a second that the disk syncs, one after the other."""
    db = sqlite3.connect(folder / "floor.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = wal")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE one (id INTEGER PRIMARY KEY, text TEXT)")
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS / 2:
        db.execute("INSERT INTO one (text) VALUES (?)", ("x" * 300,))
        count += 1
    db.close()
    return count / (time.perf_counter() - begun)


def show_gate(folder: str | None, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    """Prints the figures; `run` runs a coroutine on the loop that is measured."""
    free = decisions()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        syncs = floor(Path(place))
        durable = run(booked(Path(place)))
    print(
        f"a decision without a limit    {free['median']:8.1f} µs at the median, {free['p99']:.1f} µs at the 99th in 100"
    )
    print(
        f"durable limited decisions     {durable['each second']:8,.0f} a second with {CALLERS} callers, "
        f"{durable['in one sync']:.0f} in one sync, {durable['median ms']:.1f} ms at the median"
    )
    print(f"beside commits of one row     {syncs:8,.0f} a second: {durable['each second'] / syncs:.1f} times as many")
