"""Whether accusations that count are heard against a party.

    found = answer(accused(party, view), graph.read)

Source: protocol-spec/12-trust.md, sections 12.5 and 12.8
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant
from undersigned.trust.edge import Edge
from undersigned.trust.graph import EdgeQuery, Meter, Question, ReadCost, TooMuchWork
from undersigned.trust.viewpoint import Negatives, Viewpoint, negatives, read_edges, stands_until

__all__ = ["Accused", "accused"]

UNKNOWN = Negatives(frozenset(), (), ())


class Accused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether somebody is accused, or shares a key with somebody who is, or belongs to such an organisation."""

    party: Did
    verdict: Literal["yes", "no", "indeterminate"]
    """Only no is no."""
    dissent: tuple[Edge, ...] = ()
    """The accusations that are heard."""
    members: tuple[Edge, ...] = ()
    """The memberships by which the party belongs to those of them that are organisations of its."""
    anchors: Digest
    """The version of the anchors that answered."""
    at: Instant
    until: Instant | None = None
    """As `IssuerAuthority.until`."""
    work: ReadCost


def accused(party: Did, view: Viewpoint) -> Question[Accused]:
    """Asks whether an accusation is heard from somebody whose word counts, against `party` or an organisation of which
    the graph knows that it is a member.

    Source: protocol-spec/12-trust.md, section 12.5
    """
    meter = Meter(view.limit)
    changes: list[Instant | None] = []
    members: tuple[Edge, ...] = ()
    try:
        # What a party shows is its own choice, and it shows no organisation that is not asked for.
        known: list[Edge] = []
        if view.heard():
            known = yield from read_edges(EdgeQuery("target", (party,), ("membership",)), meter)
        changes += [edge.changes(view.now) for edge in known]
        standing = {edge.digest: edge for edge in known if edge.counts(view.now)}
        against = yield from negatives(view, (party, *(edge.source for edge in standing.values())), meter)
        verdict = "yes" if against.blocked else "no"
        members = tuple(standing[digest] for digest in sorted(standing) if standing[digest].source in against.blocked)
        changes += against.changes
    except TooMuchWork:
        against, verdict = UNKNOWN, "indeterminate"
    return Accused(
        party=party,
        verdict=verdict,
        dissent=against.edges,
        members=members,
        anchors=view.anchors.digest,
        at=view.now,
        until=stands_until(view, changes),
        work=meter.work,
    )
