"""The labels that RDFC-1.0 gives the blank nodes of a dataset, and what they would cost.

Most documents need no more than first-degree hashes. Where some are equal, Hash N-Degree Quads takes time that grows
with a factorial, so what it would do is walked through first, without hashing a path, up to a limit. Steps have the
numbers of the standard.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7; W3C RDF Dataset Canonicalization, section 4
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import permutations

import pyoxigraph as ox

from undersigned.errors import FormatError

__all__ = ["BlankNodes", "check_work", "label", "written"]


def written(quad: ox.Quad, names: Callable[[str], str]) -> str:
    """The line of canonical N-Quads with these names for blank nodes."""
    terms = (quad.subject, quad.predicate, quad.object, quad.graph_name)
    texts = [names(term.value) if isinstance(term, ox.BlankNode) else str(term) for term in terms]
    return f"{' '.join(texts[: 3 if isinstance(terms[3], ox.DefaultGraph) else 4])} .\n"


class BlankNodes:
    """The blank nodes of a dataset, the hash of what is said with each, and the links between them."""

    def __init__(self, quads: Iterable[ox.Quad], algorithm: str) -> None:
        self.links: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        """For each node (how, other) for every other blank node in one quad with it: position and predicate, as they
        are hashed (section 4.7.3; the name of a graph without the predicate)."""
        said: defaultdict[str, list[str]] = defaultdict(list)
        for quad in quads:
            found = [
                (place, term.value)
                for place, term in ((f"s{quad.predicate}", quad.subject), (f"o{quad.predicate}", quad.object))
                if isinstance(term, ox.BlankNode)
            ]
            if isinstance(quad.graph_name, ox.BlankNode):
                found.append(("g", quad.graph_name.value))
            for name in {name for _, name in found}:
                # Section 4.6.3: the node itself is `_:a`, every other `_:z`.
                said[name].append(written(quad, lambda other, name=name: "_:a" if other == name else "_:z"))
                self.links[name] += [(how, other) for how, other in found if other != name]
        self._algorithm = algorithm
        self.hashes = {name: self.digest("".join(sorted(lines))) for name, lines in said.items()}

    def digest(self, text: str) -> str:
        """The hash of RDFC-1.0 in hex: that of the suite."""
        return hashlib.new(self._algorithm, text.encode()).hexdigest()

    def groups(self) -> list[list[str]]:
        """The nodes by their first-degree hash, in the order of those."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.hashes, key=self.hashes.__getitem__):
            found.setdefault(self.hashes[name], []).append(name)
        return list(found.values())


def check_work(nodes: BlankNodes, max_steps: int) -> None:
    """Walk through Hash N-Degree Quads without hashing paths; give up when it would take more than `max_steps`.

    The walk takes every permutation to its end, where the algorithm drops those that compare larger, so what it
    counts is never less than what is done. Whoever walks so counts the same (HIRE-LD-08).
    """
    groups = nodes.groups()
    own = {names[0] for names in groups if len(names) == 1}
    tied = [name for names in groups for name in names if len(names) > 1]
    steps = 0

    def take(more: int) -> None:
        nonlocal steps
        steps += more
        if steps > max_steps:
            raise FormatError("canon_limit", f"expected labels within {max_steps} steps; this graph takes more")

    def walk(name: str, issued: set[str]) -> None:
        take(len(links[name]))
        alike: dict[tuple[str, str], list[str]] = {}
        for by, other in links[name]:
            alike.setdefault((by, other if other in own or other in issued else ""), []).append(other)
        for others in alike.values():
            after = issued
            for order in permutations(others):
                take(len(order))
                after = set(issued)
                new: list[str] = []
                for other in order:
                    if other not in own and other not in after:
                        new.append(other)
                        after.add(other)
                for other in new:
                    walk(other, after)
            issued |= after

    # Which list of alike nodes comes first changes what the later ones cost: they go by their hash before any
    # identifier is issued, since what is issued by then depends on paths that are not hashed here.
    links = {name: sorted((nodes.digest(how + nodes.hashes[to]), to) for how, to in nodes.links[name]) for name in tied}
    for name in own:
        links[name] = []
    # Which group comes first changes what the later ones cost, so each node is counted as if it were first.
    for name in tied:
        walk(name, {name})


def label(nodes: BlankNodes) -> dict[str, str]:
    """The canonical label of each blank node.

    Source: W3C RDF Dataset Canonicalization, sections 4.4.3 and 4.8.3
    """
    groups = nodes.groups()
    # Section 4.4.3, step 4: those whose hash is their own.
    canonical = {names[0]: f"_:c14n{place}" for place, names in enumerate([of for of in groups if len(of) == 1])}
    # Step 5: the others, by the hashes of their paths.
    for names in (of for of in groups if len(of) > 1):
        found = [_hash_paths(nodes, canonical, name, {name: "_:b0"}) for name in names if name not in canonical]
        for _, issued in sorted(found, key=lambda one: one[0]):
            for name in issued:
                canonical.setdefault(name, f"_:c14n{len(canonical)}")
    return canonical


def _hash_paths(
    nodes: BlankNodes, canonical: dict[str, str], name: str, issued: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """Hash N-Degree Quads: the hash of a node by the paths from it, and the identifiers issued on them."""
    # Steps 1 to 3.
    related: defaultdict[str, list[str]] = defaultdict(list)
    for how, other in nodes.links[name]:
        related[nodes.digest(how + (canonical.get(other) or issued.get(other) or nodes.hashes[other]))].append(other)
    data = ""
    for by in sorted(related):  # Step 5.
        chosen, after = "", issued
        for order in permutations(related[by]):
            path, copy = "", dict(issued)
            for other in order:  # Step 5.4.4.
                path += canonical.get(other) or copy.setdefault(other, f"_:b{len(copy)}")
            if chosen and path > chosen:
                continue
            for other in dict.fromkeys(order):  # Step 5.4.5.
                if other in canonical or other in issued:
                    continue
                found, copy = _hash_paths(nodes, canonical, other, copy)
                path += f"{copy[other]}<{found}>"
                if chosen and path > chosen:
                    break
            else:  # Step 5.4.6.
                if not chosen or path < chosen:
                    chosen, after = path, copy
        data += by + chosen
        issued = after
    return nodes.digest(data), issued
