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
from typing import Final, Literal, TypeAlias, cast

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant
from undersigned.trust.edge import KINDS, MAX_DEPTH, UNIT, Edge, Kind, written
from undersigned.trust.flow import largest_flow
from undersigned.trust.graph import EdgeQuery, Link, Meter, Path, Question, Read, ReadCost, Ref, TooMuchWork
from undersigned.trust.viewpoint import Viewpoint, lapsed_text, negatives, shared, stands_until

__all__ = ["Reputation", "reputation"]

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
    work: ReadCost

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
        lines += [f"  against: {edge.accusation}" for edge in self.dissent]
        lines += [f"  missing: {text}" for text in self.missing]
        return "\n".join([*lines, f"  by anchors {self.anchors}"])


def reputation(party: Did, capability: str | None, view: Viewpoint) -> Question[Reputation]:
    """Asks for the score of `party`: for a capability, or over everything.

    Source: protocol-spec/12-trust.md, section 12.4
    """
    meter = Meter(view.limit)
    changes: list[Instant | None] = []
    dissent: tuple[Edge, ...] = ()
    missing: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    units, known = 0, False
    try:
        # Step 1: whoever has a key of the party speaks for itself, and who is accused has no score, whoever speaks.
        same = (yield from shared((party,), meter)).get(party, set()) | {party}
        against = yield from negatives(view, {party}, meter)
        dissent = against.edges
        changes += against.changes
        if party in against.blocked:
            missing = (f"an end of what {party} is accused of",)
        else:
            # Step 2: the edges on chains of at most four links.
            read = _Links(same, capability, view, changes)
            yield from _neighbourhood(party, read, capability, view, meter)
            near = _within_depth(party, read.usable)
            # Step 3: who on them is accused.
            names = {name for _, target, link in near for name in (link[1], target)} - {party}
            against = yield from negatives(view, names, meter)
            dissent, blocked = against.edges, against.blocked
            changes += against.changes
            if blocked:
                left = [one for one in near if one[2][1] not in blocked and one[1] not in blocked]
                near = _within_depth(party, left)
            # Step 4: the largest flow.
            units, paths = yield from _flow(party, near, view)
            if not units:
                missing = yield from _hoped(party, read, view)
        known = True
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
        until=stands_until(view, changes),
        work=meter.work,
    )


_Out: TypeAlias = tuple[str, Did, Link]
"""Where the trust comes from that a link carries, and where it goes: all roots are one."""


class _Links:
    """What was read for one question."""

    def __init__(self, same: set[Did], capability: str | None, view: Viewpoint, changes: list[Instant | None]) -> None:
        self.same = same
        """The party, and whoever shares a key with it: they speak for themselves."""
        self.changes = changes
        """When each of them begins or ends is added here."""
        anchors = {anchor.issuer for anchor in view.anchors.anchors if anchor.until is None or view.now <= anchor.until}
        self.named: Final = frozenset(anchors | set(view.own))
        """Roots, for whichever claims."""
        self.all: Final[list[Link]] = []
        self.usable: Final[list[_Out]] = []
        """Those that carry trust now."""
        self._capability = capability
        self._view = view
        self._roots: dict[tuple[Kind, str | None], frozenset[Did]] = {}

    def take(self, links: list[Link]) -> list[_Out]:
        """Keeps these; those of them that carry trust."""
        self.all.extend(links)
        self.changes.extend(link[7] for link in links)
        about, same = self._capability, self.same
        taken = self.out(
            link
            for link in links
            for _, source, target, _, capability, weight, counts, _ in (link,)
            if counts
            and weight
            and source != target
            and source not in same
            and (about is None or capability is None or capability == about)
        )
        self.usable.extend(taken)
        return taken

    def out(self, links: Iterable[Link]) -> list[_Out]:
        """Each with its origin. It comes from a root whose issuer is believed about its type and capability."""
        named, believed = self.named, self._believed
        return [
            (ROOT if link[1] in named and link[1] in believed(link[3], link[4]) else link[1], link[2], link)
            for link in links
        ]

    def _believed(self, kind: Kind, capability: str | None) -> frozenset[Did]:
        roots = self._roots.get((kind, capability))
        if roots is None:
            roots = frozenset(self._view.roots(KINDS[kind].claim.type, capability))
            self._roots[kind, capability] = roots
        return roots


def _neighbourhood(
    party: Did, read: _Links, capability: str | None, view: Viewpoint, meter: Meter
) -> Generator[EdgeQuery, Read, None]:
    """Reads all edges on chains of up to four links from a root to the party, and some more.

    Three levels are read from the roots and from the party, whichever side has fewer parties to ask about next; between
    them lies the fourth, of which only the edges from one side to the other are read. A side that would need more than
    half of the limit is given up, and the other goes all the way: who is spammed from one side is seen from the other.
    """
    half = view.limit // 2
    # Roots have many edges, and none of them is worth reading in full before it is known to lead somewhere.
    roots = _Side(start=frozenset(read.named - read.same), half=half, cost=16)
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
            wanted = EdgeQuery("reached", tuple(sorted(roots.frontier)), POSITIVE, capability, most=roots.half)
            pairs = cast("list[tuple[Did, Did]]", list((yield wanted)))
            if roots.takes(wanted.dids, len(pairs), meter):
                names = {target for _, target in pairs} - read.same
                middle = yield from _between(names, end.frontier, capability, meter, view.now)
                onward = {link[1] for _, _, link in read.take(middle)} | end.frontier
                read.take((yield from _between(roots.frontier, onward, capability, meter, view.now)))
                return
            continue
        asked = tuple(sorted(side.frontier - side.read.keys()))
        if asked:
            of: Literal["source", "target"] = "source" if side is roots else "target"
            links = cast("list[Link]", (yield EdgeQuery(of, asked, POSITIVE, capability, most=side.half, at=view.now)))
            if not side.takes(asked, len(links), meter):
                continue
            side.read.update((did, []) for did in asked)
            for one in read.take(links):
                side.read[one[2][1] if side is roots else one[1]].append(one)
        passed = (one for did in side.frontier for one in side.read[did])
        if side is roots:
            # A root is left first as one, by the edges it is believed about, and perhaps later like anybody else.
            first = side.levels == 0
            side.frontier = frozenset(target for origin, target, _ in passed if (origin == ROOT) == first)
        else:
            side.frontier = frozenset(origin for origin, _, _ in passed if origin != ROOT)
        side.levels += 1
    read.take((yield from _between(roots.frontier, end.frontier, capability, meter, view.now)))


def _between(
    sources: Collection[Did], targets: Collection[Did], capability: str | None, meter: Meter, now: Instant
) -> Generator[EdgeQuery, Read, list[Link]]:
    """The links from one of these to one of those."""
    if not sources or not targets:
        return []
    dids = tuple(sorted(targets))
    wanted = EdgeQuery("target", dids, POSITIVE, capability, tuple(sorted(sources)), most=meter.left, at=now)
    found = cast("list[Link]", (yield wanted))
    meter.spend(dids, len(found))
    return found


def _edges(refs: Collection[Ref]) -> Generator[EdgeQuery, Read, dict[Ref, Edge]]:
    """The edges of links that were read."""
    if not refs:
        return {}
    return dict(cast("list[tuple[Ref, Edge]]", (yield EdgeQuery("ref", refs=tuple(refs)))))


class _Side:
    """How far the walk from one end has come."""

    def __init__(self, *, start: frozenset[Did], half: int, cost: int) -> None:
        self.start = self.frontier = start
        self.cost = cost
        self.half = half
        """What it may still read."""
        self.read: dict[Did, list[_Out]] = {}
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


def _within_depth(party: Did, links: list[_Out]) -> list[_Out]:
    """Those on a chain of at most four links from the roots to the party."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    for origin, target, _ in links:
        after[origin].append(target)
    down = _distances(ROOT, after)
    if party not in down:
        return []
    before: defaultdict[str, list[str]] = defaultdict(list)
    for origin, target, _ in links:
        if origin in down:
            before[target].append(origin)
    up = _distances(party, before)
    far = MAX_DEPTH + 1
    return [one for one in links if down.get(one[0], far) + 1 + up.get(one[1], far) <= MAX_DEPTH]


def _distances(start: str, after: Mapping[str, list[str]]) -> dict[str, int]:
    found, frontier = {start: 0}, [start]
    for length in range(1, MAX_DEPTH + 1):
        reached = {end for one in frontier for end in after.get(one, ())} - found.keys()
        found.update(dict.fromkeys(reached, length))
        frontier = list(reached)
    return found


def _arcs(links: Iterable[_Out]) -> dict[tuple[str, str], list[Link]]:
    """For each issuer and subject the links of most weight: saying a thing twice does not make it truer.

    What an issuer says as a root is kept apart from what it says beside: else the heavier of the two would hide the
    other, and a score could rise when it is removed. Sorted, so that the answer depends on no order of reading.
    """
    found: dict[tuple[str, str], list[Link]] = {}
    for origin, target, link in links:
        heaviest = found.setdefault((AS_ROOT + link[1] if origin == ROOT else origin, target), [])
        if heaviest and link[5] > heaviest[0][5]:
            heaviest.clear()
        if not heaviest or link[5] == heaviest[0][5]:
            heaviest.append(link)
    return dict(sorted(found.items()))


def _flow(party: Did, near: list[_Out], view: Viewpoint) -> Generator[EdgeQuery, Read, tuple[int, tuple[Path, ...]]]:
    """The largest flow along these links, and the ways it takes; of several links that say the same, the one with the
    greatest digest.

    Raises:
        TooMuchWork: It takes more steps than the limit of the question allows.
    """
    arcs = _arcs(near)
    roots = {(ROOT, one): UNIT for one, _ in arcs if one.startswith(AS_ROOT)}
    capacities = {arc: heaviest[0][5] for arc, heaviest in arcs.items()}
    found = largest_flow({**roots, **capacities}, ROOT, party, most=UNIT, max_steps=STEPS_PER_EDGE * view.limit)
    if found is None:
        raise TooMuchWork
    units, ways = found
    passed = {arc for way, _ in ways for arc in itertools.pairwise(way[1:])}
    edges = yield from _edges({link[0] for arc in passed for link in arcs[arc]})
    of = {arc: max((edges[link[0]] for link in arcs[arc]), key=lambda edge: edge.digest) for arc in passed}
    return units, tuple(Path(tuple(of[arc] for arc in itertools.pairwise(way[1:])), amount) for way, amount in ways)


def _hoped(party: Did, read: _Links, view: Viewpoint) -> Generator[EdgeQuery, Read, tuple[str, ...]]:
    """What would have to be there for a score, and what would be if it stood."""
    hoped = read.out(link for link in read.all if link[5] and link[1] not in read.same)
    on_chains = [*_within_depth(party, hoped), *(one for one in hoped if one[1] == party)]
    edges = yield from _edges({link[0] for _, _, link in on_chains if not link[6]})
    wanted = f"a chain of at most {MAX_DEPTH} links from an anchor to {party}" if read.named else "an anchor"
    return wanted, *lapsed_text(view, edges.values())
