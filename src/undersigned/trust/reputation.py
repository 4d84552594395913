"""How well somebody is spoken of, as the largest flow of trust from our roots: no crowd carries more than its cut.

    found = answer(reputation(agent, "sbom", view), graph.read)
    found.score     # "0.2"

Every positive edge carries at most its weight, and what somebody passes on is at most what reached it. So the score is
bounded by every cut between the roots and the party: whoever makes ten thousand identities has them all behind the few
edges that lead to the first. Removing an edge removes capacity, hence no score rises by it; an accusation takes its
party out of the network, hence no score falls when one is withdrawn.

Source: protocol-spec/12-trust.md, section 12.4
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Generator, Iterable, Mapping
from typing import Final, Literal, NamedTuple, cast

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant
from undersigned.trust.edge import KINDS, MAX_DEPTH, UNIT, Edge, Kind, written
from undersigned.trust.flow import largest_flow
from undersigned.trust.graph import Meter, Path, Question, Read, TooMuchWork, Wanted, Work
from undersigned.trust.viewpoint import Viewpoint, lapsed_text, negatives, read_edges, shared, stands_until

__all__ = ["POSITIVE", "Reputation", "reputation"]

POSITIVE: Final[tuple[Kind, ...]] = tuple(kind for kind, of in KINDS.items() if of.weight)
"""Kinds of edge that carry trust."""
STEPS_PER_EDGE: Final = 40
"""How often the flow may look at arcs, for each edge of the work limit."""
ROOT: Final = ""
"""Where trust comes from; no DID is empty."""
AS_ROOT: Final = ">"
"""Begins the name of a root as such. What it is not believed about leaves it as it leaves anybody, under its DID."""


class Reputation(Struct, frozen=True, kw_only=True):
    """How well a party is spoken of, and by whom."""

    party: Did
    capability: str | None
    """What was asked about; None: everything."""
    verdict: Literal["known", "indeterminate"]
    units: int = 0
    """The score in billionths, 0 to 1,000,000,000; 0 if indeterminate."""
    paths: tuple[Path, ...] = ()
    """Up to three ways that trust takes, shortest first, with what goes along each."""
    dissent: tuple[Edge, ...] = ()
    """Accusations that were heard, about the party or somebody on a way to it."""
    missing: tuple[str, ...] = ()
    """What would have to be there for a score; empty if there is one."""
    anchors: Digest
    """The version of the anchors that answered."""
    at: Instant
    until: Instant | None = None
    """Last second for which the answer may be kept, if the graph does not change; None: no end."""
    work: Work

    @property
    def score(self) -> str:
        """The score as an exact decimal from 0 to 1."""
        return written(self.units)

    def explain(self) -> str:
        """The answer for a person."""
        about = f" for {self.capability}" if self.capability else ""
        said = f"score {self.score}" if self.verdict == "known" else "indeterminate, which counts as 0"
        lines = [f"{said}: {self.party}{about}, at {self.at}"]
        for path in self.paths:
            lines.append(f"  {written(path.amount)} by this way:")
            lines += [
                f"    {edge.source} -> {edge.target}: {edge.kind}, at most {written(edge.weight)}"
                for edge in path.edges
            ]
        lines += [f"  against: {edge.source} accuses {edge.target} of {edge.says}" for edge in self.dissent]
        lines += [f"  missing: {text}" for text in self.missing]
        return "\n".join([*lines, f"  by anchors {self.anchors}"])


def reputation(party: Did, capability: str | None, view: Viewpoint) -> Question[Reputation]:
    """Asks for the score of `party`: for a capability, or over everything.

    Source: protocol-spec/12-trust.md, section 12.4
    """
    meter = Meter(view.limit)
    edges: dict[Digest, Edge] = {}
    dissent: tuple[Edge, ...] = ()
    missing: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    units, known = 0, False
    try:
        # Step 1: whoever has a key of the party speaks for itself.
        same = (yield from shared((party,), meter)).get(party, set()) | {party}
        # Step 2: the edges on chains of at most four links.
        cover = _Cover(view)
        read = _Edges(same, capability, view, cover)
        edges = read.all
        yield from _neighbourhood(party, read, capability, view, meter)
        near = _within_depth(party, read.usable.values())
        # Step 3: who on them is accused, the party above all.
        names = {party, *(link.edge.source for link in near), *(link.edge.target for link in near)}
        against = yield from negatives(view, names, meter)
        dissent, blocked = against.edges, against.blocked
        if blocked:
            left = (link for link in near if link.edge.source not in blocked and link.edge.target not in blocked)
            near = _within_depth(party, left)
        # Step 4: the largest flow.
        arcs = _arcs(near)
        capacity_of = {arc: edge.weight for arc, edge in arcs.items()}
        roots = {one: UNIT for one, _ in arcs if one.startswith(AS_ROOT)}
        found = largest_flow(
            {**{(ROOT, one): capacity for one, capacity in roots.items()}, **capacity_of},
            ROOT,
            party,
            most=UNIT,
            max_steps=STEPS_PER_EDGE * view.limit,
        )
        if found is None:
            raise TooMuchWork
        units, ways = found
        paths = tuple(Path(tuple(arcs[arc] for arc in itertools.pairwise(way[1:])), amount) for way, amount in ways)
        known = True
        if party in against.blocked:
            missing = (f"an end of what {party} is accused of",)
        elif not units:
            hoped = [read.link(edge) for edge in edges.values() if edge.weight and edge.source not in same]
            on_chains = [*_within_depth(party, hoped), *(link for link in hoped if link.edge.target == party)]
            missing = (
                f"a chain of at most {MAX_DEPTH} links from an anchor to {party}" if cover.all else "an anchor",
                *lapsed_text(view, [link.edge for link in on_chains]),
            )
    except TooMuchWork:
        missing = (f"an answer within {view.limit} edges",)
    return Reputation(
        party=party,
        capability=capability,
        verdict="known" if known else "indeterminate",
        units=units,
        paths=paths,
        dissent=dissent,
        missing=missing,
        anchors=view.anchors.digest,
        at=view.now,
        until=stands_until(view, (*edges.values(), *dissent)),
        work=meter.work,
    )


class _Cover:
    """Which edges come from a root: their issuer is believed about their type and capability."""

    def __init__(self, view: Viewpoint) -> None:
        self._view = view
        self._roots: dict[tuple[Kind, str | None], frozenset[Did]] = {}
        named = {anchor.issuer for anchor in view.anchors.anchors if anchor.until is None or view.now <= anchor.until}
        self.all: Final = frozenset(named | set(view.own))

    def origin(self, edge: Edge) -> str:
        """Where the trust that this edge carries comes from: all roots are one."""
        if edge.source not in self.all:
            return edge.source
        key = (edge.kind, edge.capability)
        roots = self._roots.get(key)
        if roots is None:
            roots = self._roots[key] = frozenset(self._view.roots(KINDS[edge.kind].claim.type, edge.capability))
        return ROOT if edge.source in roots else edge.source


class _Link(NamedTuple):
    """An edge, and where the trust comes from that it carries."""

    origin: str
    edge: Edge


class _Edges:
    """What was read for one question; each edge is looked at once."""

    def __init__(self, same: set[Did], capability: str | None, view: Viewpoint, cover: _Cover) -> None:
        self.same = same
        """The party, and whoever shares a key with it: they speak for themselves."""
        self.cover = cover
        self.all: Final[dict[Digest, Edge]] = {}
        self.usable: Final[dict[Digest, _Link]] = {}
        """Those that carry trust now."""
        self._capability = capability
        self._now = view.now

    def link(self, edge: Edge) -> _Link:
        """The edge with its origin."""
        return _Link(self.cover.origin(edge), edge)

    def take(self, edges: Iterable[Edge]) -> list[_Link]:
        """Keeps these; those of them that carry trust."""
        taken: list[_Link] = []
        for edge in edges:
            self.all[edge.digest] = edge
            if self._carries(edge):
                link = self.usable[edge.digest] = self.link(edge)
                taken.append(link)
        return taken

    def _carries(self, edge: Edge) -> bool:
        about = self._capability
        return (
            edge.weight > 0
            and edge.source != edge.target
            and edge.source not in self.same
            and (about is None or edge.capability is None or edge.capability == about)
            and edge.counts(self._now)
        )


def _neighbourhood(
    party: Did, read: _Edges, capability: str | None, view: Viewpoint, meter: Meter
) -> Generator[Wanted, Read, None]:
    """Reads all edges on chains of up to four links from a root to the party, and some more.

    Three levels are read from the roots and from the party, whichever side has fewer parties to ask about next; between
    them lies the fourth, of which only the edges from one side to the other are read. A side that would need more than
    half of the limit is given up, and the other goes all the way: who is spammed from one side is seen from the other.
    """
    half = view.limit // 2
    # Roots have many edges, and none of them is worth reading in full before it is known to lead somewhere.
    roots = _Side(start=frozenset(read.cover.all - read.same), half=half, cost=16)
    end = _Side(start=frozenset({party}), half=half, cost=1)
    while roots.levels + end.levels < MAX_DEPTH - 1:
        going = [side for side in (roots, end) if not side.given_up]
        if not going:
            raise TooMuchWork
        side = min(going, key=lambda one: len(one.frontier) * one.cost)
        if not side.frontier:
            return  # all chains are read from this side
        if side is roots and roots.levels + end.levels == MAX_DEPTH - 2 and not end.given_up:
            # Of the roots' last level only the names, which are many, and then the edges that go on to the other side.
            wanted = Wanted("reached", tuple(sorted(roots.frontier)), POSITIVE, capability, most=roots.half)
            pairs = cast("list[tuple[Did, Did]]", list((yield wanted)))
            if roots.takes(wanted.dids, len(pairs), meter):
                names = {target for _, target in pairs} - read.same
                middle = yield from _between(names, end.frontier, capability, meter)
                onward = {link.edge.source for link in read.take(middle)} | end.frontier
                read.take((yield from _between(roots.frontier, onward, capability, meter)))
                return
            continue
        asked = tuple(sorted(side.frontier - side.read.keys()))
        if asked:
            wanted = Wanted("source" if side is roots else "target", asked, POSITIVE, capability, most=side.half)
            edges = cast("list[Edge]", list((yield wanted)))
            if not side.takes(asked, len(edges), meter):
                continue
            side.read.update((did, []) for did in asked)
            for link in read.take(edges):
                side.read[link.edge.source if side is roots else link.edge.target].append(link)
        passed = (link for did in side.frontier for link in side.read[did])
        if side is roots:
            # A root is left first as one, by the edges it is believed about, and perhaps later like anybody else.
            first = side.levels == 0
            side.frontier = frozenset(link.edge.target for link in passed if (link.origin == ROOT) == first)
        else:
            side.frontier = frozenset(link.origin for link in passed if link.origin != ROOT)
        side.levels += 1
    read.take((yield from _between(roots.frontier, end.frontier, capability, meter)))


def _between(
    sources: Collection[Did], targets: Collection[Did], capability: str | None, meter: Meter
) -> Generator[Wanted, Read, list[Edge]]:
    """The edges from one of these to one of those."""
    if not sources or not targets:
        return []
    wanted = Wanted("target", tuple(sorted(targets)), POSITIVE, capability, by=tuple(sorted(sources)))
    return (yield from read_edges(wanted, meter))


class _Side:
    """How far the walk from one end has come."""

    def __init__(self, *, start: frozenset[Did], half: int, cost: int) -> None:
        self.start = self.frontier = start
        self.cost = cost
        self.half = half
        """What it may still read."""
        self.read: dict[Did, list[_Link]] = {}
        self.levels = 0
        self.given_up = False

    def takes(self, asked: Iterable[Did], count: int, meter: Meter) -> bool:
        """Whether what was read is within its half. If not, none is used: which part came depends on its order."""
        meter.spend(asked, min(count, self.half))
        if count > self.half:
            self.given_up, self.levels, self.frontier = True, 0, self.start
            return False
        self.half -= count
        return True


def _within_depth(party: Did, links: Iterable[_Link]) -> list[_Link]:
    """Those on a chain of at most four links from the roots to the party."""
    links = list(links)
    after: defaultdict[str, list[str]] = defaultdict(list)
    before: defaultdict[str, list[str]] = defaultdict(list)
    for origin, edge in links:
        after[origin].append(edge.target)
        before[edge.target].append(origin)
    down, up = _distances(ROOT, after), _distances(party, before)
    far = MAX_DEPTH + 1
    return [link for link in links if down.get(link.origin, far) + 1 + up.get(link.edge.target, far) <= MAX_DEPTH]


def _distances(start: str, after: Mapping[str, list[str]]) -> dict[str, int]:
    found, frontier = {start: 0}, [start]
    for length in range(1, MAX_DEPTH + 1):
        reached = {end for one in frontier for end in after.get(one, ())} - found.keys()
        found.update(dict.fromkeys(reached, length))
        frontier = list(reached)
    return found


def _arcs(links: Iterable[_Link]) -> dict[tuple[str, str], Edge]:
    """For each issuer and subject the edge of most weight: saying a thing twice does not make it truer.

    What an issuer says as a root is kept apart from what it says beside: else the heavier of the two would hide the
    other, and a score could rise when it is removed. Sorted, so that the answer depends on no order of reading.
    """
    found: dict[tuple[str, str], Edge] = {}
    for origin, edge in links:
        arc = (AS_ROOT + edge.source if origin == ROOT else origin, edge.target)
        known = found.get(arc)
        if known is None or (edge.weight, edge.digest) > (known.weight, known.digest):
            found[arc] = edge
    return dict(sorted(found.items()))
