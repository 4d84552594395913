"""Whether somebody is entitled to say it: a chain of authority from our anchors to an issuer.

    found = answer(authority(issuer, "EndorsementCredential", "sbom", view), graph.read)

The walk starts at the anchors and follows authority for the one capability, so nobody whom no anchor reaches can make
it longer. Chains are then looked for in what was read, without those who are accused.

Source: protocol-spec/12-trust.md, section 12.3
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant
from undersigned.trust.edge import MAX_DEPTH, Edge
from undersigned.trust.graph import MAX_PATHS, EdgeQuery, Meter, Path, Question, Read, ReadCost, TooMuchWork
from undersigned.trust.viewpoint import Viewpoint, lapsed_text, negatives, read_edges, stands_until

__all__ = ["Entitled", "IssuerAuthority", "authority", "entitled"]

MAX_LISTED: Final = 64
"""Issuers that are listed; a request names no more."""


class IssuerAuthority(Struct, frozen=True, kw_only=True):
    """Whether an issuer is entitled to attest a claim, and by whom."""

    issuer: Did
    credential_type: str
    capability: str | None
    verdict: Literal["yes", "no", "indeterminate"]
    """Only yes is yes."""
    paths: tuple[Path, ...] = ()
    """Up to three chains, shortest first; one of no links says that the issuer is itself an anchor."""
    dissent: tuple[Edge, ...] = ()
    """Accusations that were heard, and that took somebody out of a chain."""
    missing: tuple[str, ...] = ()
    """Unless yes: what is not there."""
    anchors: Digest
    """The version of the anchors that answered."""
    at: Instant
    until: Instant | None = None
    """Last second for which the answer may be kept, if the graph does not change; None: no end."""
    work: ReadCost

    @property
    def entitled(self) -> bool:
        """Whether the verdict is yes: what could not be worked out is no."""
        return self.verdict == "yes"

    def explain(self) -> str:
        """The answer for a person."""
        about = f"{self.credential_type}{f' about {self.capability}' if self.capability else ''}"
        lines = [f"{self.verdict}: {self.issuer} {_SAID[self.verdict]} {about}, at {self.at}"]
        for path in self.paths:
            if not path.edges:
                lines.append("  it is one of our anchors")
            for number, edge in enumerate(path.edges):
                head = "anchor " if number == 0 else "  then "
                lines.append(f"  {head}{edge.source} lets {edge.target} attest {edge.capability}, depth {edge.depth}")
        lines += [f"  against: {edge.accusation}" for edge in self.dissent]
        lines += [f"  missing: {text}" for text in self.missing]
        return "\n".join([*lines, f"  by anchors {self.anchors}"])


_SAID = {"yes": "may attest", "no": "may not attest", "indeterminate": "could not be shown to be entitled to attest"}


def authority(issuer: Did, credential_type: str, capability: str | None, view: Viewpoint) -> Question[IssuerAuthority]:
    """Asks whether our anchors entitle `issuer` to attest a claim of this type, about this capability.

    A claim about no capability is covered by authority for the name of its type.

    Source: protocol-spec/12-trust.md, section 12.3
    """
    about = capability or credential_type
    meter = Meter(view.limit)
    # Step 1: the anchors for this claim.
    roots = view.roots(credential_type, capability)
    read: dict[Digest, Edge] = {}
    dissent: tuple[Edge, ...] = ()
    changes: tuple[Instant | None, ...] = ()
    chains: list[tuple[Edge, ...]] = []
    try:
        # Step 2: authority for this capability, from the anchors on, as far as depth allows.
        usable, _ = yield from _granted(about, roots, view, meter, read)
        # Step 3: those from whom the issuer can be reached, and who of them is accused.
        towards = _towards(issuer, usable)
        against = yield from negatives(view, towards, meter)
        dissent, changes = against.edges, against.changes
        # Step 4: chains that lead through nobody who is accused.
        chains = _chains(issuer, roots, [edge for edge in usable if edge.target in towards], against.blocked)
        verdict = "yes" if chains else "no"
    except TooMuchWork:
        verdict = "indeterminate"
    missing: tuple[str, ...] = ()
    if verdict == "indeterminate":
        missing = (f"an answer within {view.limit} edges",)
    elif verdict == "no":
        missing = (
            f"an anchor for {credential_type}{f' about {capability}' if capability else ''}"
            if not roots
            else f"a chain of authority for {about} from an anchor to {issuer}",
            *lapsed_text(view, read.values()),
        )
    return IssuerAuthority(
        issuer=issuer,
        credential_type=credential_type,
        capability=capability,
        verdict=verdict,
        paths=tuple(Path(chain) for chain in chains),
        dissent=dissent,
        missing=missing,
        anchors=view.anchors.digest,
        at=view.now,
        until=stands_until(view, (*changes, *(edge.changes(view.now) for edge in read.values()))),
        work=meter.work,
    )


class Entitled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everybody who may attest a claim: what a request for it names."""

    credential_type: str
    capability: str | None
    links: int
    """How many links a chain to them has at most."""
    issuers: tuple[Did, ...] | None
    """Sorted; None: more than can be listed, or it was too much work, and whoever shows something is judged then."""
    anchors: Digest
    at: Instant
    until: Instant | None
    """As `IssuerAuthority.until`."""
    dissent: tuple[Edge, ...] = ()
    """The accusations that were heard against some who would be entitled."""


def entitled(
    credential_type: str, capability: str | None, view: Viewpoint, *, links: int = MAX_DEPTH
) -> Question[Entitled]:
    """Asks for all issuers that `authority` would say yes to by a chain of so many links, our own DIDs among them.

    Source: protocol-spec/12-trust.md, section 12.3
    """
    meter, read = Meter(view.limit), dict[Digest, Edge]()
    roots = {did: min(depth, links) for did, depth in view.roots(credential_type, capability).items()}
    issuers: tuple[Did, ...] | None = None
    dissent: tuple[Edge, ...] = ()
    changes: tuple[Instant | None, ...] = ()
    try:
        usable, reached = yield from _granted(capability or credential_type, roots, view, meter, read)
        against = yield from negatives(view, reached, meter)
        dissent, changes = against.edges, against.changes
        standing = [e for e in usable if e.source not in against.blocked and e.target not in against.blocked]
        best = _reach({did: depth for did, depth in roots.items() if did not in against.blocked}, standing)
        issuers = tuple(sorted(best)) if len(best) <= MAX_LISTED else None
    except TooMuchWork:
        pass
    return Entitled(
        credential_type=credential_type,
        capability=capability,
        links=links,
        issuers=issuers,
        anchors=view.anchors.digest,
        at=view.now,
        until=stands_until(view, (*changes, *(edge.changes(view.now) for edge in read.values()))),
        dissent=dissent,
    )


def _granted(
    about: str, roots: dict[Did, int], view: Viewpoint, meter: Meter, read: dict[Digest, Edge]
) -> Generator[EdgeQuery, Read, tuple[list[Edge], set[Did]]]:
    """The authority for `about` that hangs below the roots, counts now and leads through nobody who is refused, and
    whoever it reaches; all that was read goes into `read`.

    Raises:
        TooMuchWork: There is more than the meter has left.
    """
    usable: list[Edge] = []
    best, asked = dict(roots), set[Did]()
    for _ in range(MAX_DEPTH):
        fresh = tuple(sorted(did for did, left in best.items() if left > 0 and did not in asked))
        edges = yield from read_edges(EdgeQuery("source", fresh, ("authority",), about), meter)
        asked.update(fresh)
        read.update({edge.digest: edge for edge in edges})
        let_in = [edge for edge in edges if not {edge.source, edge.target} & view.refused]
        usable += [edge for edge in let_in if edge.counts(view.now) and edge.capability == about]
        best = _reach(roots, usable)
    return usable, set(best)


def _reach(roots: dict[Did, int], edges: Iterable[Edge]) -> dict[Did, int]:
    """Whoever a chain from the roots reaches, and how many links may follow after the chain that leads furthest."""
    after: defaultdict[Did, list[Edge]] = defaultdict(list)
    for edge in edges:
        after[edge.source].append(edge)
    best, frontier = dict(roots), {did for did, depth in roots.items() if depth > 0}
    while frontier:
        deeper: set[Did] = set()
        for did in sorted(frontier):
            for edge in after[did]:
                left = min(best[did] - 1, edge.depth)
                if left > best.get(edge.target, -1):
                    best[edge.target] = left
                    if left > 0:
                        deeper.add(edge.target)
        frontier = deeper
    return best


class _Chain(NamedTuple):
    left: int
    """How many links may still follow."""
    edges: tuple[Edge, ...]

    @property
    def rank(self) -> tuple[int, list[Digest]]:
        """What leads furthest comes first; among those a choice that does not depend on the order of edges."""
        return -self.left, [edge.digest for edge in self.edges]


def _towards(issuer: Did, edges: Iterable[Edge]) -> set[Did]:
    before: defaultdict[Did, list[Did]] = defaultdict(list)
    for edge in edges:
        before[edge.target].append(edge.source)
    found, frontier = {issuer}, [issuer]
    while frontier:
        frontier = [did for one in frontier for did in before[one] if did not in found]
        found.update(frontier)
    return found


def _chains(issuer: Did, roots: dict[Did, int], edges: list[Edge], blocked: frozenset[Did]) -> list[tuple[Edge, ...]]:
    """Up to three chains to the issuer, shortest first; none leads through somebody twice."""
    after: defaultdict[Did, list[Edge]] = defaultdict(list)
    for edge in sorted(edges, key=lambda one: one.digest):
        if edge.source not in blocked and edge.target not in blocked:
            after[edge.source].append(edge)
    level = {did: [_Chain(depth, ())] for did, depth in sorted(roots.items()) if did not in blocked}
    found: list[tuple[Edge, ...]] = []
    for _ in range(MAX_DEPTH + 1):
        found += [chain.edges for chain in level.get(issuer, ())]
        reached: defaultdict[Did, list[_Chain]] = defaultdict(list)
        for did, chains in level.items():
            for edge in after[did] if did != issuer else ():
                for chain in chains:
                    passed = {did, *(one.source for one in chain.edges)}
                    if chain.left > 0 and edge.target not in passed:
                        left = min(chain.left - 1, edge.depth)
                        reached[edge.target].append(_Chain(left, (*chain.edges, edge)))
        # Three of each length to each party are enough: the one that leads furthest is among them.
        level = {did: sorted(chains, key=lambda one: one.rank)[:MAX_PATHS] for did, chains in reached.items()}
    return found[:MAX_PATHS]
