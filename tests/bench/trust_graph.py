"""How fast the trust graph answers, on graphs that are the same in each run; nothing here passes or fails.

    make bench ARGS="--trust"                     20,000 parties, 100,000 edges
    make bench ARGS="--trust --million"           and 1,000,000 edges, with the memory and disk they take

Parties come one after the other and speak, and are spoken of, the more the more they did already; so a few have
thousands of edges. The twenty oldest, who have most, are the anchors. One edge in twenty is authority, one in a hundred
an accusation, by anybody about anybody. One in ten has ended or begins later. Questions are about targets of edges
drawn evenly, so that those who are spoken of much are asked about much.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from parties import Party
from trust_graphs import LATER, NOW, PAST, did, view
from undersigned.encoding import digest_bytes
from undersigned.ledger import Admitted, TrustStore
from undersigned.trust import MAX_DEPTH, UNIT, Edge, authority, reputation

__all__ = ["generated", "measured", "show_trust"]

ANCHORS = 20
QUESTIONS = 400
WEIGHTS = (UNIT // 10, UNIT // 4, UNIT // 2, UNIT)


def party(number: int) -> str:
    """A name as long as a did:key, so that sizes are those of real ones."""
    return f"n{number:07d}".ljust(44, "x")


def generated(nodes: int, edges: int, seed: int = 1) -> Iterator[Edge]:
    """The fixed graph: heavy-tailed on both sides, and the same for the same numbers."""
    random = Random(seed)
    # Parties come one after the other. Each end of an edge is a ticket: who has many draws many.
    sources, targets = list(range(ANCHORS)), list(range(ANCHORS))
    come = ANCHORS
    for number in range(edges):
        if come < nodes and number * nodes >= come * edges:
            sources.append(come)
            targets.append(come)
            come += 1
        source, target = random.choice(sources), random.choice(targets)
        sources.append(source)
        targets.append(target)
        kind: Any = "authority" if number % 20 == 0 else "accusation" if number % 100 == 1 else "endorsement"
        capability = None if kind == "accusation" else f"capability-{random.randrange(4)}"
        yield Edge(
            digest=digest_bytes(f"{seed}/{number}".encode()),
            source=did(party(source)),
            target=did(party(target)),
            kind=kind,
            capability=capability,
            depth=random.randrange(MAX_DEPTH + 1) if kind == "authority" else 0,
            weight=random.choice(WEIGHTS) if kind == "endorsement" else 0,
            valid_until=PAST if number % 20 == 7 else None,
            valid_from=LATER if number % 20 == 13 else None,
            says="breach" if kind == "accusation" else "",
        )


def fill(path: Path, nodes: int, edges: int) -> None:
    """Admits the fixed graph, in transactions of 10,000."""
    key = Party("bench").key
    with TrustStore(path) as store:
        batch: list[Admitted] = []
        for edge in generated(nodes, edges):
            batch.append(Admitted(edge, key))
            if len(batch) == 10_000:
                put(store, batch)
                batch.clear()
        put(store, batch)


def put(store: TrustStore, batch: list[Admitted]) -> None:
    """Edges whose issuers share no key: each DID has one, named after its number."""
    store.admit(batch)
    # One key for all of them would make them all one; the generator's parties are different.
    with store._writing() as db:  # pyright: ignore[reportPrivateUsage] - only in this process
        db.execute("UPDATE OR IGNORE signer SET key = 'key ' || party WHERE key <> 'key ' || party")
        db.execute("DELETE FROM signer WHERE key <> 'key ' || party")


def measured(path: Path, nodes: int) -> dict[str, Any]:
    """Opening, and the same questions in each run."""
    begun = time.perf_counter()
    with TrustStore(path, read_only=True) as store:
        by = view(*(party(number) for number in range(ANCHORS)))
        first = store.ask(reputation(did(party(nodes // 2)), "capability-0", by))
        opened = time.perf_counter() - begun
        random = Random(2)
        asked = [edge.target for number, edge in enumerate(store.edges()) if number % 50 == 0]
        report: dict[str, Any] = {"opened": opened, "first": first.score, "count": store.count}
        for name in ("reputation", "authority"):
            times: list[float] = []
            walked: list[float] = []
            work: list[float] = []
            edges: list[int] = []
            said: Counter[str] = Counter()
            for number in range(QUESTIONS):
                of = random.choice(asked)
                about = f"capability-{number % 4}"
                begun, worked = time.perf_counter(), time.process_time()
                if name == "reputation":
                    found: Any = store.ask(reputation(of, about, by))
                    said[found.verdict if found.verdict != "known" else "score" if found.units else "zero"] += 1
                else:
                    found = store.ask(authority(of, "EndorsementCredential", about, by))
                    said[found.verdict] += 1
                times.append(1000 * (time.perf_counter() - begun))
                work.append(1000 * (time.process_time() - worked))
                edges.append(found.work.edges)
                if not any("accused" in text for text in found.missing):
                    walked.append(times[-1])
            times.sort()
            report[name] = {
                "median": statistics.median(times),
                "walked": statistics.median(walked),
                "work": statistics.median(work),
                "p95": times[int(0.95 * len(times))],
                "worst": times[-1],
                "edges": statistics.median(edges),
                "most": max(edges),
                "said": dict(said),
            }
    report["megabytes"] = path.stat().st_size / 1e6
    report["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return report


def show_trust(million: bool) -> None:
    """Both graphs, each in a process of its own so that its memory is its own."""
    for nodes, edges in [(20_000, 100_000), *([(200_000, 1_000_000)] if million else [])]:
        subprocess.run([sys.executable, __file__, str(nodes), str(edges)], check=True)


def main(nodes: int, edges: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trust.db"
        begun = time.perf_counter()
        subprocess.run([sys.executable, __file__, str(nodes), str(edges), str(path)], check=True)
        filled = time.perf_counter() - begun
        report = measured(path, nodes)
    print(f"{nodes:,} parties, {report['count']:,} edges, {ANCHORS} anchors, at {NOW}")
    print(f"  admitted in        {filled:8.1f} s   ({report['megabytes']:.0f} MB on disk)")
    print(f"  opened, first asked {1000 * report['opened']:7.1f} ms")
    for name in ("reputation", "authority"):
        part = report[name]
        print(
            f"  {name:18} {part['median']:8.2f} ms ({part['work']:.2f} of them work; "
            f"{part['walked']:.2f} ms where the party is not accused)   "
            f"p95 {part['p95']:.1f}, worst {part['worst']:.1f}; "
            f"edges read {part['edges']:.0f}, most {part['most']:,}; {part['said']}"
        )
    print(f"  memory of the process that asked {report['memory']:.0f} MB")


if __name__ == "__main__":
    counts = int(sys.argv[1]), int(sys.argv[2])
    if len(sys.argv) > 3:
        fill(Path(sys.argv[3]), *counts)
    else:
        main(*counts)
