"""RDFC-1.0 with a guard: pyoxigraph labels the blank nodes, and only after the work was seen to be small.

The algorithm takes exponential time on graphs of a few hundred bytes, no engine stops by itself, and the native call
can neither be interrupted nor run beside the event loop. So before it is made the work is bounded: quads and blank
nodes are counted, first-degree hashes are compared, and where some are equal, what Hash N-Degree Quads would do is
walked through without hashing, up to a limit. Nothing is hashed to the N-th degree before that walk has ended.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7; W3C RDF Dataset Canonicalization, section 4
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Final, NamedTuple

import pyoxigraph as ox

from undersigned.errors import FormatError

__all__ = ["CANON_LIMITS", "CanonLimits", "canonical_quads"]


class CanonLimits(NamedTuple):
    """What a dataset may cost."""

    max_quads: int = 4096
    max_blank_nodes: int = 64
    max_steps: int = 10_000
    """Hashes of related blank nodes (one more for each 1,000 characters that are hashed) and places of permutations,
    counted as if no path were ever cut short: an upper bound on the work of the engine. A step takes it 2 µs or less,
    so all of them about 20 ms, and never 100."""


CANON_LIMITS: Final = CanonLimits()

TEXT_PER_STEP: Final = 1000

_ALGORITHMS: Final = {
    "sha256": ox.CanonicalizationAlgorithm.RDFC_1_0,
    "sha384": ox.CanonicalizationAlgorithm.RDFC_1_0_SHA_384,
}


def canonical_quads(
    quads: Iterable[ox.Quad], *, limits: CanonLimits = CANON_LIMITS, algorithm: str = "sha256"
) -> bytes:
    """The canonical N-Quads of a dataset: one line a quad, blank nodes `_:c14n0` and up, sorted by bytes.

    Raises:
        FormatError: `canon_limit`: more quads, blank nodes or work than `limits` allow.

    Source: W3C RDF Dataset Canonicalization, sections 4.4 and 5
    """
    dataset = ox.Dataset(quads)
    if len(dataset) > limits.max_quads:
        raise FormatError("canon_limit", f"expected at most {limits.max_quads} quads; came {len(dataset)}")
    graph = _BlankNodes(dataset)
    if len(graph.mentions) > limits.max_blank_nodes:
        text = f"expected at most {limits.max_blank_nodes} blank nodes; came {len(graph.mentions)}"
        raise FormatError("canon_limit", text)
    _check_work(graph, limits.max_steps)
    if graph.mentions:
        _label(dataset, algorithm)
    written = ox.serialize(dataset, format=ox.RdfFormat.N_QUADS) or b""
    # Lines end at \n and nowhere else; other characters that end lines for some readers stand inside literals.
    lines = sorted(written.split(b"\n"))
    return b"\n".join([line for line in lines if line] + [b""])


def _label(dataset: ox.Dataset, algorithm: str) -> None:
    """Give the blank nodes their canonical labels. The only place that hashes to the N-th degree."""
    dataset.canonicalize(_ALGORITHMS[algorithm])


class _BlankNodes:
    """The blank nodes of a dataset, what is said with each, and the links between them."""

    def __init__(self, dataset: ox.Dataset) -> None:
        self.mentions: dict[str, list[str]] = {}
        """For each node the quads that mention it, itself written `_:a` and all others `_:z`."""
        self.links: dict[str, list[tuple[str, str]]] = {}
        """For each node (how, other) for every other blank node in one quad with it: position and predicate."""
        for quad in dataset:
            found = [
                (place, term.value)
                for place, term in (("s", quad.subject), ("o", quad.object), ("g", quad.graph_name))
                if isinstance(term, ox.BlankNode)
            ]
            for name in {name for _, name in found}:
                self.mentions.setdefault(name, []).append(_masked(quad, name))
                links = self.links.setdefault(name, [])
                for place, other in found:
                    if other != name:
                        # RDFC-1.0, section 4.7.3: a graph's name is hashed without the predicate.
                        links.append((place if place == "g" else f"{place}{quad.predicate.value}", other))

    def groups(self) -> dict[str, list[str]]:
        """The nodes by what their first-degree hash is taken of: equal text, equal hash."""
        found: dict[str, list[str]] = {}
        for name, lines in self.mentions.items():
            found.setdefault("".join(sorted(lines)), []).append(name)
        return found


def _masked(quad: ox.Quad, name: str) -> str:
    def term(of: object) -> str:
        if isinstance(of, ox.BlankNode):
            return "_:a" if of.value == name else "_:z"
        return str(of)

    return f"{term(quad.subject)} {quad.predicate} {term(quad.object)} {term(quad.graph_name)}\n"


def _check_work(graph: _BlankNodes, max_steps: int) -> None:
    """Walk through Hash N-Degree Quads without hashing; give up when it would take more than `max_steps`.

    The walk takes every permutation to its end, where the algorithm drops those that compare larger, so what it
    counts is never less than what the engine does.
    """
    groups = graph.groups()
    tied = [names for names in groups.values() if len(names) > 1]
    if not tied:
        return
    hashes = {name: text for text, names in groups.items() for name in names}
    canonical = {name for names in groups.values() if len(names) == 1 for name in names}
    steps = 0

    def walk(name: str, issued: set[str]) -> None:
        nonlocal steps
        alike: dict[tuple[str, str], list[str]] = {}
        for how, other in graph.links[name]:
            label = other if other in canonical or other in issued else hashes[other]
            alike.setdefault((how, label), []).append(other)
            # The engine hashes all that is said with the other node anew each time.
            steps += 1 + len(hashes[other]) // TEXT_PER_STEP
        _check_steps(steps, max_steps)
        for others in alike.values():
            after = issued
            for order in permutations(others):
                after = set(issued)
                new: list[str] = []
                for other in order:
                    steps += 1
                    if other not in canonical and other not in after:
                        new.append(other)
                        after.add(other)
                _check_steps(steps, max_steps)
                for other in new:
                    walk(other, after)
            issued |= after

    # RDFC-1.0, section 4.4.3, step 5. Groups go by the order of their hashes; which is first changes what the later
    # ones cost, so each is counted as if it were first, but for the nodes that its own walk has labelled.
    for names in tied:
        reached: set[str] = set()
        for name in names:
            issued = {name}
            walk(name, issued)
            reached |= issued


def _check_steps(steps: int, max_steps: int) -> None:
    if steps > max_steps:
        raise FormatError("canon_limit", f"expected labels within {max_steps} steps; this graph takes more")
