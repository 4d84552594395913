"""Small trust graphs for tests: parties are letters, edges come from a line of text."""

from __future__ import annotations

from random import Random
from typing import Any

from undersigned.encoding import digest_bytes
from undersigned.trust import UNIT, Anchor, Anchors, Edge, Viewpoint

NOW = "2026-11-25T12:00:00Z"
PAST = "2026-11-25T11:59:59Z"
LATER = "2026-11-25T12:00:01Z"


def did(name: str) -> str:
    return f"did:example:{name}"


def edge(source: str, target: str, kind: Any = "endorsement", weight: str = "1", **more: Any) -> Edge:
    """`source` says something about `target`; equal arguments give an equal edge."""
    whole, _, part = weight.partition(".")
    units = int(whole) * UNIT + int(part.ljust(9, "0")) if kind not in ("authority", "accusation") else 0
    fields = {"capability": None if kind == "accusation" else "sbom", "says": "breach" if kind == "accusation" else ""}
    fields |= more
    name = digest_bytes(repr((source, target, kind, weight, sorted(more.items()))).encode())
    return Edge(digest=name, source=did(source), target=did(target), kind=kind, weight=units, **fields)


def view(*roots: str, own: tuple[str, ...] = (), now: str = NOW, **more: Any) -> Viewpoint:
    """The viewpoint of somebody who believes these about anything."""
    return Viewpoint(
        anchors=Anchors.of(*map(did, roots)), own=tuple(map(did, own)), now=now, **{"refused": frozenset(), **more}
    )


def anchored(*anchors: Anchor, now: str = NOW) -> Viewpoint:
    return Viewpoint(anchors=Anchors(anchors=anchors), now=now, refused=frozenset())


def shuffled(edges: list[Edge], seed: int) -> list[Edge]:
    return Random(seed).sample(edges, len(edges))
