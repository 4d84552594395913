"""The steps of a trace.

A step is `verified`: its signature, digest or rule was checked here; `stated`: it is somebody's signed word and no
more; `missing`: it is not in the evidence; `failed`: it was checked and does not hold. What is not there is said, and
nothing is guessed from names, places or times.

Source: protocol-spec/19-trace.md, section 19.2
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from undersigned.encoding import Did, Instant

__all__ = ["KINDS", "Kind", "State", "TraceStep"]

State = Literal["verified", "stated", "missing", "failed"]
Kind = Literal[
    "artifact",
    "delivery",
    "statement",
    "action",
    "input",
    "subcontract",
    "acceptance",
    "contract",
    "amendment",
    "refusal",
    "ending",
    "decision",
    "credential",
    "link",
    "anchor",
]

KINDS: Final[dict[Kind, str]] = {
    "artifact": "bytes that were delivered, or that went into work",
    "delivery": "the provider's signed move that hands an artifact over",
    "statement": "an in-toto statement about the artifact",
    "action": "one action that the provider says it asked its gate for",
    "input": "what the work started from",
    "subcontract": "a hire under the contract",
    "acceptance": "the verdict on the delivery, or that there is none",
    "contract": "what both parties signed and one of them sealed; above another one: its parent",
    "amendment": "a sealed change of the contract",
    "refusal": "an action that a gate said no to",
    "ending": "what ended the contract early, or was claimed or ruled about it",
    "decision": "one party's recorded decision about the other",
    "credential": "what was shown of a party, and whose word it is",
    "link": "authority that one party gave another",
    "anchor": "whom the one who decided believes without anybody's word",
}
"""The kinds of steps; the specification's table says the same."""


class TraceStep(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One step of a trace. What it quotes was written by others: text, and never more."""

    kind: Kind
    name: str
    """What names it: a digest, a DID, or what an action is called."""
    text: str
    state: State
    why: str
    """By what it was checked, or why it was not."""
    by: tuple[Did, ...] = ()
    """Whose word it is."""
    of: tuple[Did, ...] = ()
    """Whom it is about, or who it was for."""
    begun: Instant | None = None
    at: Instant | None = None
    told: bool = False
    """It stands in the tree already, with all that follows from it."""
    steps: tuple[TraceStep, ...] = ()

    @property
    def every(self) -> Iterator[TraceStep]:
        """The step itself and all that follow from it."""
        yield self
        for step in self.steps:
            yield from step.every
