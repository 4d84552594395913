"""A trace as W3C PROV-O in JSON-LD: entities, activities and agents that any provenance tool reads.

The context is written into the document, so that nothing is fetched to read it, and is the one pinned here.

Source: protocol-spec/19-trace.md, section 19.3; W3C PROV-O
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from undersigned.encoding import Digest, JsonObject, base64url_encode, digest_hash
from undersigned.errors import FormatError
from undersigned.trace.step import Kind, TraceStep

__all__ = ["PROV_CONTEXT", "TYPES", "name_of", "prov_document"]

PINNED: Final = "55f7872a05f9535838986c8cc8ec45ab730b01d462e10b190a81c947d7d64e71"
"""SHA-256 of the context's file, hex."""

TYPES: Final[dict[Kind, tuple[str, ...]]] = {
    "artifact": ("Entity",),
    "delivery": ("Activity",),
    "statement": ("Entity",),
    "action": ("Activity",),
    "input": ("Entity",),
    "subcontract": ("Activity",),
    "acceptance": ("Entity",),
    "contract": ("Entity", "Plan"),
    "amendment": ("Entity", "Plan"),
    "refusal": ("Activity",),
    "ending": ("Activity",),
    "decision": ("Entity",),
    "credential": ("Entity",),
    "link": ("Entity",),
    "anchor": ("Agent",),
}
"""What each kind of step is in PROV-O; the specification's table says the same."""


def _context() -> JsonObject:
    raw = files(__package__ or "").joinpath("prov-v1.jsonld").read_bytes()
    found = sha256(raw).hexdigest()
    if found != PINNED:
        raise FormatError("context_tampered", f"prov-v1.jsonld: expected SHA-256 {PINNED}; came {found}")
    return json.loads(raw)["@context"]


PROV_CONTEXT: Final[JsonObject] = _context()
"""The context of every document made here; a modified installation does not start."""


def name_of(digest: Digest) -> str:
    """What a digest names, as a URI: `ni:///sha-256;` and the base64url of the hash (RFC 6920).

    Raises:
        FormatError: `schema_violation`: not a digest.
    """
    return f"ni:///sha-256;{base64url_encode(digest_hash(digest))}"


def prov_document(steps: Iterable[TraceStep]) -> JsonObject:
    """The steps, and all that follow from them, as one JSON-LD document.

    Source: protocol-spec/19-trace.md, section 19.3
    """
    graph = _Graph()
    for step in steps:
        graph.add(step)
    return {"@context": PROV_CONTEXT, "@graph": graph.listed}


Place = tuple[str, Kind]
"""A node of the graph, and the kind of step that it is."""


class _Graph:
    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, Any]] = {}
        self._blank = 0

    @property
    def listed(self) -> list[Any]:
        return list(self._nodes.values())

    def add(self, step: TraceStep, above: tuple[Place, ...] = ()) -> None:
        """Puts a step into the graph, and what it is to those above it, the nearest first."""
        own = self._name(step)
        if not step.told:
            node = self._node(own, *TYPES[step.kind])
            # Of one thing in two places what was checked of it counts, wherever that was.
            if "checked" not in node or node["checked"] == ["missing"]:
                node |= {"kind": [step.kind], "label": [step.text], "checked": [step.state], "why": [step.why]}
            self._agents(own, step)
            self._times(own, step)
        self._related(own, step, above)
        for below in step.steps:
            self.add(below, ((own, step.kind), *above))

    def _name(self, step: TraceStep) -> str:
        if step.name.startswith("uEi"):
            # A hash names bytes. What was done about them has a name of its own.
            return name_of(step.name) + (f"#{step.kind}" if "Activity" in TYPES[step.kind] else "")
        if step.kind == "anchor" and step.name:
            return step.name
        self._blank += 1
        return f"_:b{self._blank}"

    def _node(self, name: str, *types: str) -> dict[str, Any]:
        node = self._nodes.setdefault(name, {"id": name, "type": []})
        node["type"] += [one for one in types if one not in node["type"]]
        return node

    def _put(self, name: str, term: str, value: Any) -> None:
        known = self._nodes[name].setdefault(term, [])
        if value not in known:
            known.append(value)

    def _agents(self, own: str, step: TraceStep) -> None:
        if step.kind == "anchor" or step.state == "missing":
            return
        term = "wasAssociatedWith" if "Activity" in TYPES[step.kind] else "wasAttributedTo"
        # A hire is what the hired one does; it is its hirer's word that there was one.
        doing, acted_for = (step.of, step.by) if step.kind == "subcontract" else (step.by, step.of)
        for did in doing:
            self._node(did, "Agent")
            self._put(own, term, did)
            for hirer in acted_for if step.kind in ("delivery", "subcontract") else ():
                self._node(hirer, "Agent")
                self._put(did, "actedOnBehalfOf", hirer)

    def _times(self, own: str, step: TraceStep) -> None:
        if "Activity" in TYPES[step.kind]:
            if step.begun is not None:
                self._put(own, "startedAtTime", step.begun)
            if step.at is not None:
                self._put(own, "endedAtTime", step.at)
        elif step.at is not None and step.kind != "credential":
            self._put(own, "generatedAtTime", step.at)

    def _related(self, own: str, step: TraceStep, above: tuple[Place, ...]) -> None:
        """What a step is to the one above it follows from the two kinds; what is missing is related to nothing but by
        being looked for there.
        """
        if not above:
            return
        (upper, kind), made = above[0], above[1][0] if len(above) > 1 else ""
        missing = step.state == "missing" and step.kind not in ("input", "artifact")
        match kind, step.kind:
            case _ if missing:
                self._put(own, "about", upper)
            case (("artifact" | "input"), "delivery"):
                self._put(upper, "wasGeneratedBy", own)
            case "delivery", "statement":
                self._put(own, "wasGeneratedBy", upper)
                if made:
                    self._put(own, "about", made)
            case "delivery", "acceptance":
                self._put(own, "wasInfluencedBy", upper)
                if made:
                    self._put(own, "about", made)
            case "delivery", "contract":
                for did in self._nodes[upper].get("wasAssociatedWith", ()):
                    self._put(upper, "qualifiedAssociation", {"type": "Association", "agent": did, "hadPlan": own})
            case "statement", ("input" | "artifact"):
                self._put(made, "used", own)
                if len(above) > 2:
                    self._put(above[2][0], "wasDerivedFrom", own)
            case "statement", ("action" | "subcontract"):
                self._put(made, "wasInformedBy", own)
            case "subcontract", ("input" | "artifact"):
                self._put(own, "wasGeneratedBy", upper)
            case "subcontract", "contract":
                for did in step.by[1:]:
                    self._put(upper, "qualifiedAssociation", {"type": "Association", "agent": did, "hadPlan": own})
            case _, "anchor":
                self._put(upper, "wasInfluencedBy", own)
            case _, ("refusal" | "ending"):
                self._put(own, "wasInfluencedBy", upper)
            case _:
                # A contract rests on decisions and on the contract above it, a decision on credentials, those on links.
                self._put(upper, "wasInfluencedBy", own)
