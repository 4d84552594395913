"""The engagement as a value: small, hashable, and what it says about itself."""

from __future__ import annotations

import sys

import msgspec
import pytest

from undersigned.messages import Offer
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
    """Its digest leads to the message in the journal; the engagement holds no message's bytes itself."""
    party = Playbook("offered-by-hirer").provider.party
    live = party.engagement.offer
    assert live is not None
    message = party.stored[live.digest].message
    assert isinstance(message, Offer)
    assert message.valid_until == live.valid_until
    assert message.document.terms.deadlines == live.terms.deadlines
    assert not any(isinstance(getattr(live, field), bytes) for field in live.__struct_fields__)


def test_equal_journals_give_equal_values() -> None:
    """As values they compare and hash."""
    one, two = (Playbook("working").hirer.party.engagement for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    with pytest.raises(AttributeError):
        one.state = "closed"
