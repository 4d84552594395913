"""RDFC-1.0 with a guard: blank nodes are labelled only after the work was seen to be small.

The algorithm takes exponential time on graphs of a few hundred bytes, and it holds the interpreter. So before it begins
the work is bounded: quads and blank nodes are counted, first-degree hashes are compared, and where some are equal,
what Hash N-Degree Quads would do is walked through without hashing a path, up to a limit.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7; W3C RDF Dataset Canonicalization, section 4
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import pyoxigraph as ox

from undersigned.errors import FormatError
from undersigned.jsonld.labels import BlankNodes, check_work, label, written

__all__ = ["CANON_LIMITS", "CanonLimits", "canonical_quads"]


class CanonLimits(NamedTuple):
    """What a dataset may cost."""

    max_quads: int = 4096
    max_blank_nodes: int = 64
    max_steps: int = 10_000
    """Hashes of related blank nodes and places of permutations, counted as if no path were ever cut short: an upper
    bound on the work. All of them take some 30 ms, and never 100."""


CANON_LIMITS: Final = CanonLimits()


def canonical_quads(
    quads: Iterable[ox.Quad], *, limits: CanonLimits = CANON_LIMITS, algorithm: str = "sha256"
) -> bytes:
    """The canonical N-Quads of a dataset: one line a quad, blank nodes `_:c14n0` and up, sorted by bytes.

    Raises:
        FormatError: `canon_limit`: more quads, blank nodes or work than `limits` allow.

    Source: W3C RDF Dataset Canonicalization, sections 4.4 and 5
    """
    dataset = set(quads)
    if len(dataset) > limits.max_quads:
        raise FormatError("canon_limit", f"expected at most {limits.max_quads} quads; came {len(dataset)}")
    nodes = BlankNodes(dataset, algorithm)
    if len(nodes.hashes) > limits.max_blank_nodes:
        text = f"expected at most {limits.max_blank_nodes} blank nodes; came {len(nodes.hashes)}"
        raise FormatError("canon_limit", text)
    check_work(nodes, limits.max_steps)
    labels = label(nodes)
    return b"".join(sorted(written(quad, labels.__getitem__).encode() for quad in dataset))
