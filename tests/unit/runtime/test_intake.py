"""Messages on their way in: how fresh the keys are that they are checked with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from runtimes import Node, World
from support import refuses
from undersigned.encoding import Did, decode_json
from undersigned.errors import ProofError
from undersigned.runtime.fetching.gather import Known
from undersigned.transport import Channel, memory_pair

Open = Callable[..., World]
FRESH, USUAL = 300, 3600
BINDING = {"Offer", "Acceptance", "Seal"}


def watch_ages(node: Node) -> dict[str, set[float]]:
    """How old the sender's DID document may be for a message, by the message's type, as the intake asks."""
    ages: dict[str, set[float]] = defaultdict(set)
    reading: list[str] = []
    read, remembered = node.intake.read, node.gatherer.remembered

    async def watched_read(channel: Channel, raw: bytes) -> None:
        content = decode_json(raw)
        assert isinstance(content, dict)
        reading.append(str(content["type"]))
        await read(channel, raw)

    def watched_remembered(did: Did, max_age_seconds: float) -> Known | None:
        if reading:  # nothing is asked between the bytes and their sender's keys; later ones are for other checks
            ages[reading.pop()].add(max_age_seconds)
        return remembered(did, max_age_seconds)

    node.intake.read = watched_read
    node.gatherer.remembered = watched_remembered
    return ages


def test_what_binds_is_checked_with_a_document_of_five_minutes_and_the_rest_with_one_of_an_hour(
    open_world: Open,
) -> None:
    """HIRE-KEY-06: by the type of each message, on both sides."""
    world = open_world()
    ages = {node.office.name: watch_ages(node) for node in world.nodes}
    world.begun("closed", opening="3 EUR")
    assert {kind for kinds in ages.values() for kind in kinds} >= BINDING | {
        "Inquiry",
        "Profile",
        "Delivery",
        "Closing",
    }
    for kinds in ages.values():
        assert kinds == {kind: {FRESH if kind in BINDING else USUAL} for kind in kinds}


def test_nothing_is_read_of_a_connection_that_is_not_proved(open_world: Open) -> None:
    world = open_world(held=True)
    world.begin()
    ours, _ = memory_pair()
    with refuses(ProofError, "proof_missing"):
        world.run(world.provider.intake.read(ours, world.network.sent[0].raw))
    assert not world.provider.conversations
