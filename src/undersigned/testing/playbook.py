"""Playbooks: a conversation of two parties in memory, written as one line per move.

    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(5))
    playbook.advance(minutes(5, seconds=1))
    playbook.provider >> acceptance()
    playbook.expect(withdraw("offer_expired"), state="withdrawn")

A move that is said is signed, recorded and delivered at once. `hold()` keeps what is said on the network instead, and
`deliver()` hands it over; in between, moves cross.

Source: protocol-spec/05-negotiation.md and 07-contract.md
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from undersigned.encoding import Did
from undersigned.errors import UndersignedError
from undersigned.messages import VerifiedMessage, engagement_id
from undersigned.protocol import HIRER, PROVIDER, Owe, Role
from undersigned.testing.actors import Actor
from undersigned.testing.changes import dispute, suspend
from undersigned.testing.clock import HandClock
from undersigned.testing.moves import (
    Say,
    acceptance,
    cancel,
    closing,
    delivery,
    inquiry,
    offer,
    presentation,
    profile,
    review,
    seal,
    start,
    withdraw,
)
from undersigned.testing.network import Network, Parcel
from undersigned.testing.party import Party

__all__ = ["PATHS", "Playbook", "Side"]

_Path: TypeAlias = tuple[tuple[Role, Callable[[], Say]], ...]

_OPENED: Final[_Path] = ((HIRER, inquiry), (PROVIDER, profile), (HIRER, presentation), (PROVIDER, presentation))
_OFFERED: Final[_Path] = (*_OPENED, (HIRER, offer))
_COUNTERED: Final[_Path] = (*_OFFERED, (PROVIDER, offer))
_ACCEPTED: Final[_Path] = (*_OFFERED, (PROVIDER, acceptance))
_SEALED: Final[_Path] = (*_ACCEPTED, (HIRER, seal))
_WORKING: Final[_Path] = (*_SEALED, (HIRER, start))
_DELIVERED: Final[_Path] = (*_WORKING, (PROVIDER, delivery))
_CLOSING: Final[_Path] = (*_DELIVERED, (HIRER, review))

PATHS: Final[dict[str, _Path]] = {
    "-": (),
    "inquired": _OPENED[:1],
    "profiled": _OPENED[:2],
    "presented": _OPENED[:3],
    "ready": _OPENED,
    "offered-by-hirer": _OFFERED,
    "offered-by-provider": _COUNTERED,
    "accepted-by-provider": _ACCEPTED,
    "accepted-by-hirer": (*_COUNTERED, (HIRER, acceptance)),
    "withdrawn": (*_OFFERED, (PROVIDER, withdraw)),
    "sealed": _SEALED,
    "working": _WORKING,
    "suspended": (*_WORKING, (HIRER, suspend)),
    "cancelling": (*_WORKING, (HIRER, cancel)),
    "delivered": _DELIVERED,
    "disputed": (*_DELIVERED, (PROVIDER, dispute)),
    "closing": _CLOSING,
    "closed": (*_CLOSING, (HIRER, closing), (PROVIDER, closing)),
}
"""For each state that the types in use can reach, an honest conversation that leads there."""


class Side:
    """One party as a playbook writes it: `side >> move` says it. Where a type checker asks for the use of each result,
    `playbook.say(side.party, move)` does the same.
    """

    def __init__(self, playbook: Playbook, party: Party) -> None:
        self._playbook = playbook
        self.party = party

    def __rshift__(self, say: Say) -> VerifiedMessage:
        """Sign, record, and deliver unless the playbook holds messages back."""
        return self._playbook.say(self.party, say)

    def forge(self, say: Say) -> VerifiedMessage:
        """Sign without recording, as a dishonest program would; nothing is delivered."""
        return self.party.actor.sign(say.message(self.party), self.party.now)

    @property
    def state(self) -> str:
        """The state that this side holds."""
        return self.party.state


class Playbook:
    """Two parties who have come as far as `at`, one clock, one network.

    `skew` is how many seconds each side's clock is off.
    """

    def __init__(
        self,
        at: str = "ready",
        *,
        seed: int = 0,
        clock: HandClock | None = None,
        skew: dict[Role, int] | None = None,
        first: Say | None = None,
        actors: tuple[Actor, Actor] | None = None,
    ) -> None:
        """`actors` are the hirer and the provider, where they are to be others than two by `did:key`.

        Raises:
            ValueError: No path leads to `at`, or there is no such side.
            ProofError: `proof_from_future`: the clocks are more than 60 seconds apart, and what is said on the way is
                refused; set the clocks apart once it is there.
        """
        for role in skew or {}:
            _require_role(role)
        if at not in PATHS:
            raise ValueError(f"no path leads to {at!r}; there are {', '.join(PATHS)}")
        self.clock = clock or HandClock()
        self.network = Network(seed)
        hirer, provider = actors or (Actor(HIRER, seed=seed), Actor(PROVIDER, seed=seed))
        nonce = hirer.nonce()
        made = engagement_id(hirer.did, provider.did, nonce)
        off = skew or {}
        self.parties: dict[Role, Party] = {
            HIRER: Party(HIRER, hirer, provider, made, self.clock.skewed(off.get(HIRER, 0))),
            PROVIDER: Party(PROVIDER, provider, hirer, made, self.clock.skewed(off.get(PROVIDER, 0))),
        }
        self.hirer = Side(self, self.parties[HIRER])
        self.provider = Side(self, self.parties[PROVIDER])
        self._nonce = nonce
        self._held: list[Parcel] | None = None
        for number, (role, recipe) in enumerate(PATHS[at]):
            self.say(self.parties[role], first if first is not None and number == 0 else recipe())

    def side(self, role: str) -> Side:
        """The side of this role.

        Raises:
            ValueError: There is none.
        """
        _require_role(role)
        return self.hirer if role == HIRER else self.provider

    def say(self, party: Party, say: Say) -> VerifiedMessage:
        """What `side >> move` does."""
        if not isinstance(say, Say):  # pyright: ignore[reportUnnecessaryIsInstance] - `>> offer`, without brackets
            raise TypeError(f"expected a move such as offer(...), got {say!r:.100}")
        if say.type == "Inquiry":
            say = say._replace(members={"nonce": self._nonce} | say.members)
        signed = party.say(say.message)
        parcel = self.network.send(party.actor.did, party.peer.did, signed.raw)
        if self._held is not None:
            self._held.append(parcel)
        else:
            self._hand_over(parcel.recipient, parcel.raw)
        return signed

    def repeat(self, message: VerifiedMessage) -> str:
        """Deliver a message again, to whom it is for; what became of it."""
        return self._hand_over(message.message.recipient, message.raw)

    @contextmanager
    def held(self) -> Generator[None]:
        """What is said inside crosses: it is delivered at the end, in the order in which it was said."""
        self.hold()
        yield
        self.deliver()

    def hold(self) -> None:
        """From now on keep what is said on the network."""
        self._held = []

    def deliver(self) -> None:
        """Hand over what was held back, and hold nothing back any more."""
        held, self._held = self._held or [], None
        for parcel in held:
            self._hand_over(parcel.recipient, parcel.raw)

    def lose(self) -> None:
        """Forget what was held back, as a cut connection does; the outboxes still have it."""
        self._held = None

    def resend(self) -> None:
        """Each side's outbox goes out again, oldest first, as after a reconnect."""
        for party in self.parties.values():
            for digest in party.engagement.outbox:
                parcel = self.network.send(party.actor.did, party.peer.did, party.stored[digest].raw)
                self._hand_over(parcel.recipient, parcel.raw)

    def advance(self, seconds: int) -> None:
        """Let time go by on both clocks."""
        self.clock.advance(seconds)

    def crash(self, role: str) -> None:
        """One side loses all but its journal."""
        self.side(role).party.crash()

    def expect(self, *moves: Say, state: str | None = None) -> None:
        """Somebody owes exactly each of these moves, now; they make them. Then both hold `state`.

        Raises:
            AssertionError: Nobody owes it, or for another reason, or the sides differ.
        """
        for move in moves:
            party, owe = self._owing(move)
            if owe.reason is not None:
                said = move.write(party) | move.members
                given = said.get("reason") or said.get("cause") or said.get("basis")
                _same(given, owe.reason, f"{party.role} owes {move.type}")
            self.say(party, move)
        if state is not None:
            self.agree(state)

    def agree(self, state: str) -> None:
        """Both sides hold this state, and each journal folds to what its side holds.

        Raises:
            AssertionError: One does not.
        """
        for party in self.parties.values():
            _same(party.state, state, f"state of the {party.role}")
            if party.replayed() != party.engagement:
                raise AssertionError(f"the {party.role}'s journal folds to another engagement")

    def refused(self, code: str, act: Callable[[], Any]) -> None:
        """The act fails with this code and leaves both sides as they were.

        Raises:
            AssertionError: It succeeds, fails otherwise, or changed something.
        """
        before = [(party.engagement, len(party.journal)) for party in self.parties.values()]
        try:
            act()
        except UndersignedError as error:
            _same(error.code, code, f"code of {error}")
        else:
            raise AssertionError(f"expected a refusal with {code}; it was taken")
        after = [(party.engagement, len(party.journal)) for party in self.parties.values()]
        if before != after:
            raise AssertionError("a refused message changed something")

    def _owing(self, move: Say) -> tuple[Party, Owe]:
        seen: list[Owe] = []
        for party in self.parties.values():
            for effect in party.pending():
                if isinstance(effect, Owe):
                    seen.append(effect)
                    if move.type in effect.moves:
                        return party, effect
        raise AssertionError(f"nobody owes {move.type}; owed: {seen}")

    def _hand_over(self, recipient: Did, raw: bytes) -> str:
        return next(p for p in self.parties.values() if p.actor.did == recipient).receive(raw)


def _same(came: object, expected: object, what: str) -> None:
    if came != expected:
        raise AssertionError(f"{what}: expected {expected!r}, came {came!r}")


def _require_role(role: str) -> None:
    if role not in (HIRER, PROVIDER):
        raise ValueError(f"expected {HIRER} or {PROVIDER}, got {role!r}")
