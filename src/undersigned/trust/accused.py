"""Whether accusations that count are heard against a party.

    found = answer(accused(party, view), graph.read)

Source: protocol-spec/12-trust.md, sections 12.5 and 12.8
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from undersigned.encoding import Did, Digest, Instant
from undersigned.trust.edge import Edge
from undersigned.trust.graph import Meter, Question, TooMuchWork, Work
from undersigned.trust.viewpoint import Negatives, Viewpoint, negatives, stands_until

__all__ = ["Accused", "accused"]

UNKNOWN = Negatives(frozenset(), (), ())


class Accused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether somebody is accused, or shares a key with somebody who is."""

    party: Did
    verdict: Literal["yes", "no", "indeterminate"]
    """Only no is no."""
    dissent: tuple[Edge, ...] = ()
    """The accusations that are heard."""
    anchors: Digest
    """The version of the anchors that answered."""
    at: Instant
    until: Instant | None = None
    """As `Authority.until`."""
    work: Work


def accused(party: Did, view: Viewpoint) -> Question[Accused]:
    """Asks whether an accusation against `party` is heard from somebody whose word counts.

    Source: protocol-spec/12-trust.md, section 12.5
    """
    meter = Meter(view.limit)
    try:
        against = yield from negatives(view, (party,), meter)
        verdict = "yes" if against.blocked else "no"
    except TooMuchWork:
        against, verdict = UNKNOWN, "indeterminate"
    return Accused(
        party=party,
        verdict=verdict,
        dissent=against.edges,
        anchors=view.anchors.digest,
        at=view.now,
        until=stands_until(view, against.changes),
        work=meter.work,
    )
