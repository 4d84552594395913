"""People who approve, for tests: their `[approvers]` table, and what they sign."""

from __future__ import annotations

from uuid import uuid4

from parties import Party
from runtimes import Node
from undersigned.encoding import Instant, JsonObject
from undersigned.messages import Receipt, Waiting
from undersigned.runtime import Home, WaitingTerms, drop_approval, waiting_terms
from undersigned.trust import Put, Verdict, approval, record_config

ALICE, BOB, MALLORY = Party("alice"), Party("bob", "P-256"), Party("mallory")
TABLE = f'[approvers]\nalice = "{ALICE.did}"\nbob = "{BOB.key.multikey}"\n'
ASKS = 'currency = "EUR"\nask_above = "3"\n' + TABLE
TWO = 'currency = "EUR"\nask_above = "3"\ntwo_above = "3.5"\n' + TABLE
LONG = 3600
"""More than people get in these tests."""


def signed(
    person: Party, about: Put, now: Instant, verdict: Verdict = "approve", changes: JsonObject | None = None
) -> JsonObject:
    """What a person signs; `changes` are made before."""
    document = approval(id=f"urn:uuid:{uuid4()}", verdict=verdict, about=about, given=now) | (changes or {})
    suite = "ecdsa-jcs-2019" if person.kind == "P-256" else "eddsa-jcs-2022"
    return person.prove(document, record_config(suite, person.method, now))


def waits(node: Node) -> WaitingTerms:
    """The one thing that waits on a side."""
    (found,) = node.world.run(waiting_terms(node.kept, node.office, node.clock.now()))
    return found


def told(node: Node) -> list[Waiting]:
    """What the other side said that it waits for."""
    said = [event.message for event in node.events if event.kind == "received"]
    return [one.waiting for one in said if isinstance(one, Receipt) and one.waiting is not None]


def says(node: Node, person: Party, verdict: Verdict = "approve", about: Put | None = None) -> JsonObject:
    """A person signs, and puts it where the node finds it."""
    document = signed(person, about or waits(node).about, node.clock.now(), verdict)
    put_down(node.office, document, node.clock.now())
    return document


def put_down(home: Home, document: JsonObject, now: Instant) -> None:
    drop_approval(home, document, now)
