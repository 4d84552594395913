"""Whose question it is: our anchors, our own DIDs, the time, and how much work an answer is worth.

Negative edges are heard from here too. Who may accuse depends on the viewpoint alone and on no edge: if an edge could
give or take that standing, removing one could raise a score or lower another, and both must be impossible.

Source: protocol-spec/12-trust.md, sections 12.2 and 12.5
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import cast

from msgspec import Struct

from undersigned.encoding import Did, Instant
from undersigned.trust.anchors import Anchors
from undersigned.trust.edge import KINDS, MAX_DEPTH, Edge
from undersigned.trust.graph import WORK_LIMIT, EdgeQuery, Meter, Read

__all__ = ["Negatives", "Viewpoint", "lapsed_text", "negatives", "read_edges", "stands_until"]


class Viewpoint(Struct, frozen=True, kw_only=True):
    """What every answer depends on beside the edges."""

    anchors: Anchors
    now: Instant
    own: tuple[Did, ...] = ()
    """Our own DIDs: what we have signed ourselves we believe, without a limit."""
    refused: frozenset[Did]
    """Whom our policy refuses: no chain of authority leads through one (HIRE-TRU-23). Left out, nobody would be."""
    limit: int = WORK_LIMIT
    """Edges that one question may read."""

    def roots(self, credential_type: str, capability: str | None) -> dict[Did, int]:
        """Who is believed about this without anybody's word, and how many links of authority may hang below each."""
        found = {
            anchor.issuer: anchor.depth
            for anchor in sorted(self.anchors.anchors, key=lambda one: one.depth)
            if anchor.covers(credential_type, capability, self.now)
        }
        return {**found, **dict.fromkeys(self.own, MAX_DEPTH)}

    def heard(self) -> tuple[Did, ...]:
        """Those whose accusations count; sorted."""
        return tuple(sorted(self.roots(KINDS["accusation"].claim.type, None)))


class Negatives(Struct, frozen=True):
    """The negative edges about some parties."""

    blocked: frozenset[Did]
    """The parties that are accused, or that have a key in common with one that is."""
    edges: tuple[Edge, ...]
    """Those that stand, by digest."""
    changes: tuple[Instant | None, ...]
    """Of each that was read, standing or not."""


def read_edges(wanted: EdgeQuery, meter: Meter) -> Generator[EdgeQuery, Read, list[Edge]]:
    """The edges wanted, within what the meter has left.

    Raises:
        TooMuchWork: There are more.
    """
    if not wanted.dids:
        return []
    found = cast("list[Edge]", list((yield wanted._replace(most=meter.left))))
    meter.spend(wanted.dids, len(found))
    return found


def shared(dids: Iterable[Did], meter: Meter) -> Generator[EdgeQuery, Read, dict[Did, set[Did]]]:
    """For each of `dids` that has a key in common with others: the others.

    Raises:
        TooMuchWork: There are more than the meter has left.
    """
    asked = tuple(sorted(set(dids)))
    pairs = cast("list[tuple[Did, Did]]", list((yield EdgeQuery("key", asked, most=meter.left))))
    meter.spend(asked, len(pairs))
    found: dict[Did, set[Did]] = {}
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
    return found


def negatives(view: Viewpoint, dids: Iterable[Did], meter: Meter) -> Generator[EdgeQuery, Read, Negatives]:
    """The accusations that are heard, about `dids` and whoever shares a key with one of them.

    Raises:
        TooMuchWork: There are more than the meter has left.
    """
    about = set(dids)
    heard = view.heard()
    if not heard or not about:
        return Negatives(frozenset(), (), ())
    others = yield from shared(about, meter)
    named = about.union(*others.values())
    edges = yield from read_edges(EdgeQuery("target", tuple(sorted(named)), ("accusation",), by=heard), meter)
    standing = {edge.digest: edge for edge in edges if edge.counts(view.now)}
    accused = {edge.target for edge in standing.values()}
    blocked = frozenset(did for did in about if did in accused or others.get(did, set()) & accused)
    changes = tuple(edge.changes(view.now) for edge in edges)
    return Negatives(blocked, tuple(standing[digest] for digest in sorted(standing)), changes)


def stands_until(view: Viewpoint, changes: Iterable[Instant | None]) -> Instant | None:
    """The last second in which nothing of this begins or ends by itself; None if nothing ever does. `changes`: of each
    edge that was read.

    What is kept of an answer is kept no longer than this (SC-74), and not past any change of the graph.
    """
    ends = [one.until for one in view.anchors.anchors if one.until is not None and one.until >= view.now]
    return min((*ends, *(end for end in changes if end is not None)), default=None)


def lapsed_text(view: Viewpoint, edges: Iterable[Edge]) -> tuple[str, ...]:
    """Up to three sentences about edges that would be there, if they stood."""
    told: list[str] = []
    for edge in sorted({edge.digest: edge for edge in edges if not edge.counts(view.now)}.values(), key=_by_digest)[:3]:
        if edge.status != "good":
            why = f"is {edge.status}"
        elif edge.valid_until is not None and edge.valid_until < view.now:
            why = f"ended at {edge.valid_until}"
        else:
            why = f"begins at {edge.valid_from}"
        told.append(f"the {edge.kind} of {edge.target} by {edge.source} {why}")
    return tuple(told)


def _by_digest(edge: Edge) -> str:
    return edge.digest
