"""How long labels take for graphs that the work limit of canonicalization just lets through: it cannot be
interrupted and holds the interpreter. Nothing passes or fails.

    make bench ARGS="--graphs"
"""

from __future__ import annotations

import time

from undersigned.jsonld import canonical_quads
from unit.jsonld.test_canonical import JUST_INSIDE

__all__ = ["show_graphs"]

AT_MOST_MS = 100
"""Milliseconds of the processor within which a poison graph is to be refused (SC-25)."""


def show_graphs(rounds: int) -> None:
    """Measures each, and prints a line for it."""
    print(f"graphs just inside the work limit; none is to take more than {AT_MOST_MS} ms")
    for name, quads in JUST_INSIDE.items():
        took: list[float] = []
        for _ in range(rounds):
            before = time.process_time()
            canonical_quads(quads)
            took.append(1000 * (time.process_time() - before))
        print(f"  {name:<26} {len(quads):4} quads {min(took):6.1f} to {max(took):6.1f} ms", flush=True)
