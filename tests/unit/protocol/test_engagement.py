"""The engagement as a value: small, hashable, and what it says about itself."""

from __future__ import annotations

import sys

import msgspec
import pytest

from undersigned.protocol import HIRER, PROVIDER, position
from undersigned.testing import Playbook, receipt

IDLE_BYTES = 8 * 1024
"""The most that an idle negotiation may take, live offer included (`DESIGN`, section 13)."""


def size_of(value: object, seen: set[int] | None = None) -> int:
    """Bytes of a value and of everything that only it holds; what is shared is counted once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, msgspec.Struct):
        return size + sum(size_of(getattr(value, name), seen) for name in value.__struct_fields__)
    if isinstance(value, dict):
        return size + sum(size_of(part, seen) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(size_of(part, seen) for part in value)
    return size


@pytest.mark.parametrize(
    "state",
    ["inquired", "profiled", "presented", "ready", "offered-by-hirer", "offered-by-provider", "accepted-by-provider"],
)
def test_an_idle_negotiation_is_small(state: str) -> None:
    """Digests, what later moves are compared with, and the live offer's bytes; counted, not timed."""
    playbook = Playbook(state)
    playbook.provider >> receipt()
    playbook.hirer >> receipt()
    for party in playbook.parties.values():
        assert size_of(party.engagement) <= IDLE_BYTES


def test_what_it_says_about_itself() -> None:
    """Parties, position, doubt, authority (HIRE-LIF-02, HIRE-NEG-18), outbox."""
    playbook = Playbook("accepted-by-provider")
    hirer, provider = playbook.hirer.party.engagement, playbook.provider.party.engagement
    assert (hirer.hirer, hirer.provider) == (provider.hirer, provider.provider)
    assert (hirer.role, provider.role) == (HIRER, PROVIDER)
    assert position(hirer) == (3, 3)
    assert provider.in_doubt
    assert not hirer.in_doubt
    assert provider.outbox == (provider.acceptance,)
    assert Playbook("working").hirer.party.engagement.authority
    for state in ("sealed", "cancelling", "delivered", "closing", "closed", "accepted-by-provider"):
        assert not Playbook(state).hirer.party.engagement.authority


def test_the_live_offer_can_be_read_again() -> None:
    """Its bytes are kept, and decode to the message that was sent."""
    engagement = Playbook("offered-by-hirer").provider.party.engagement
    assert engagement.offer is not None
    message = engagement.offer.message()
    assert message.valid_until == engagement.offer.valid_until
    assert message.document.terms.deadlines == engagement.offer.terms.deadlines


def test_equal_journals_give_equal_values() -> None:
    """As values they compare and hash."""
    one, two = (Playbook("working").hirer.party.engagement for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    with pytest.raises(AttributeError):
        one.state = "closed"
