"""Payment, which is made elsewhere: what is due and on what evidence, and the word of each side that it was made.

A method that the terms name may have a `PaymentMethod`. When the contract is at its end and something is owed, it hears
what is due, with the evidence for it; what it says stands in this side's `Closing`: the name of the payment, or an
objection. Without an answer the `Closing` waits for the owner, as long as `close` leaves time, and goes without one
then. Both words are signed, in both journals and in the evidence. Nothing is paid from here.

Source: protocol-spec/07-contract.md, section 7.12
"""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
import structlog

from undersigned.contract import Price, left_owed, reached, read_payment
from undersigned.contract import Settlement as Agreed
from undersigned.encoding import Did, Digest, EngagementId, Instant, shift
from undersigned.errors import ConfigurationError, FormatError, LocalProtocolError, UndersignedError
from undersigned.messages import Closing, Delivery, Review, Ruling
from undersigned.protocol import HIRER, OTHER, PROVIDER, ROLES, Engagement, Owe, basis
from undersigned.runtime.application import contained, contained_call, in_short, raised_at
from undersigned.runtime.clock import sleep_until
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import Remembered, contract_of
from undersigned.runtime.engagement.turn import Say, fact, noting, value_in
from undersigned.runtime.home.parsing import checked_words

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = [
    "CarriedPayment",
    "Due",
    "Manual",
    "Paid",
    "PaymentMethod",
    "Settlements",
    "awaited",
    "owed_price",
    "said_of_payment",
]

_log = structlog.get_logger()

DUE: Final = "due"
PAID: Final = "paid"
MAX_REFERENCE: Final = 128
"""Characters of a payment's name."""
MAX_NOTE: Final = 1024
"""Characters of an `objection`."""
MARGIN_SECONDS: Final = 60
"""So long before the end of `close` the `Closing` goes without anybody's word."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is owed at the end of a contract, and what shows it. The contract's digest names it once and for all."""

    engagement: EngagementId
    contract: Digest
    role: str
    """Ours: the hirer pays, the provider is paid."""
    peer: Did
    amount: str
    currency: str
    method: str
    hook: str | None
    milestones: tuple[str, ...] = ()
    """Names of those that were reached, by the hirer's last `Review`."""
    evidence: tuple[Digest, ...]
    """The document in force, the delivery, and the moves that ended the contract."""


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """One side's word about a payment."""

    paid: bool
    reference: str | None = None
    """The payment's name where it was made, at most 128 characters; else the other side's name for it, or `paid`."""
    note: str | None = None
    """Why not, for the other side to read, at most 1,024 characters; needed if it was not paid."""


class _Word(Paid, frozen=True, kw_only=True):
    """The word as it is noted, with what it is about: a ruling or release may make another amount due."""

    amount: str | None = None
    currency: str | None = None


class _Wait(NamedTuple):
    """For which word is waited, and how long: a dispute begins `closing` anew, a release changes what is due."""

    by: Instant | None
    amount: str
    currency: str


class PaymentMethod(Protocol):
    """What pays by one method, or sees what was paid."""

    def check(self, agreed: Agreed) -> None:
        """Returns if terms may say this.

        Raises:
            FormatError: They may not.
        """
        ...

    async def due(self, due: Due) -> Paid | None:
        """What to say of this; None to wait for the owner, as does what it raises, what no message can hold, and a no
        without a note. The engagement goes on meanwhile, and its books are closed in time. It is asked again after a
        restart.
        """
        ...


class Manual:
    """People pay, and people say so."""

    def check(self, agreed: Agreed) -> None:
        """See `PaymentMethod.check`."""

    async def due(self, due: Due) -> Paid | None:
        """See `PaymentMethod.due`."""
        return None


class CarriedPayment(Manual):
    """The same, where the terms carry what another payment protocol asks for."""

    def check(self, agreed: Agreed) -> None:
        """See `PaymentMethod.check`."""
        read_payment(agreed.method, agreed.hook)


def awaited(facts: Mapping[str, str], engagement: Engagement) -> Due | None:
    """What is due, while our own word about it is missing; `facts` are those that this side noted."""
    contract, due = engagement.contract, _noted_due(facts)
    if contract is None or engagement.role in contract.closed_by or said_of_payment(facts) is not None:
        return None
    return due


def said_of_payment(facts: Mapping[str, str], due: Due | None = None) -> Paid | None:
    """Our owner's word about what is due, by default as it was noted last; None if there is none, or if it was about
    another amount.
    """
    said, due = value_in(facts, PAID, _Word), due or _noted_due(facts)
    if said is None:
        return None
    if said.amount is not None and due is not None and (said.amount, said.currency) != (due.amount, due.currency):
        return None
    return Paid(paid=said.paid, reference=said.reference, note=said.note)


def _noted_due(facts: Mapping[str, str]) -> Due | None:
    return value_in(facts, DUE, Due)


class Settlements:
    """The methods of one agent; an application puts its own into `methods`."""

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self.methods: dict[str, PaymentMethod | None] = {
            "none": None,
            "invoice": None,
            "manual": Manual(),
            "x402": CarriedPayment(),
            "ap2": CarriedPayment(),
        }
        self._waits: dict[EngagementId, tuple[_Wait, asyncio.Task[None]]] = {}
        """Who goes without a word, and what waits for that."""
        self._asking: set[tuple[EngagementId, str, str]] = set()
        """Of which amounts a program is being asked."""
        self._saying: set[EngagementId] = set()
        """Where a word is being noted."""

    def check(self, agreed: Agreed) -> None:
        """Returns if we can settle like this.

        Raises:
            FormatError: What the terms carry is of another shape.
            LocalProtocolError: `wrong_state`: nobody here knows the method.
            UndersignedError: `decision_failed`: the method's own check failed.
        """
        if agreed.method not in self.methods:
            raise LocalProtocolError("wrong_state", f"nothing here settles by {agreed.method}")
        if (one := self.methods[agreed.method]) is not None:
            try:
                contained_call(partial(one.check, agreed))
            except UndersignedError:
                raise
            except Exception as exc:
                _log.error("nothing is agreed on payment", method=agreed.method, error=in_short(exc), **raised_at(exc))
                raise UndersignedError("decision_failed", f"its check failed: {in_short(exc)}") from exc

    def word(
        self, conversation: Conversation, engagement: Engagement, owed: Owe, price: Price, *, asks: bool = True
    ) -> Paid | Say | None:
        """What our `Closing` says of the payment; what is noted while it waits, or None once that is. Unless it `asks`,
        no program has a say in it, and our owner decides. A program says it beside the conversation, which goes on.
        """
        terms, contract = conversation.offered(engagement).terms, engagement.contract
        agreed = terms.settlement
        one = self.methods.get(agreed.method)
        if one is None or contract is None or price.amount == "0":
            return Paid(paid=False)
        due = Due(
            engagement=engagement.id,
            contract=contract.digest,
            role=engagement.role,
            peer=engagement.peer,
            amount=price.amount,
            currency=price.currency,
            method=agreed.method,
            hook=agreed.hook,
            milestones=tuple(one.name for one in reached(terms, criteria_met(conversation))),
            evidence=tuple(
                digest
                for digest in (contract.in_force, contract.delivery, *(one.move for one in contract.endings))
                if digest is not None
            ),
        )
        if (said := said_of_payment(conversation.facts, due)) is not None:
            return _whole(conversation, said)
        self._wait(conversation, _Wait(owed.by, due.amount, due.currency), partial(one.due, due) if asks else None)
        noted = _noted_due(conversation.facts)
        known = noted is not None and (noted.amount, noted.currency) == (due.amount, due.currency)
        return None if known else noting(fact(DUE, due))

    async def confirm(self, conversation: Conversation, word: Paid, *, facts: tuple[tuple[str, str], ...] = ()) -> None:
        """Our owner's word, which our `Closing` then says.

        Raises:
            LocalProtocolError: `wrong_state`: nothing is due, or something was said already.
            FormatError: `schema_violation`: it was not paid, and nothing says why.
            ConfigurationError: `bad_configuration`: no message can hold it. A word that is noted is the last.
        """
        due = _noted_due(conversation.facts)
        if due is None or not self._waiting(conversation):
            raise LocalProtocolError("wrong_state", "no payment waits for a word of ours")
        _sayable(word)
        about = _Word(**msgspec.structs.asdict(word), amount=due.amount, currency=due.currency)
        self._saying.add(conversation.id)  # until the first is stored or failed, there is no second
        try:
            await conversation.reconsider(noting(*facts, fact(PAID, about)))
        finally:
            self._saying.discard(conversation.id)
        _, wait = self._waits.pop(conversation.id, (None, None))
        if wait is not None:
            wait.cancel()

    def _waiting(self, conversation: Conversation) -> bool:
        due = awaited(conversation.facts, conversation.engagement)
        return due is not None and not conversation.over and conversation.id not in self._saying

    def _wait(self, conversation: Conversation, about: _Wait, asks: Callable[[], Awaitable[object]] | None) -> None:
        before, waits = self._waits.get(conversation.id, (None, None))
        if about == before:
            return
        if waits is not None:
            waits.cancel()
        name = conversation.id[-8:]
        waits = self._agent.spawn(self._go_without(conversation, about.by), f"settlement {name}")
        self._waits[conversation.id] = about, waits
        asked = conversation.id, about.amount, about.currency
        if asks is not None and asked not in self._asking:  # what is being paid is not paid again
            self._asking.add(asked)
            self._agent.spawn(self._ask(conversation, about, asks), f"payment {name}").add_done_callback(
                lambda _: self._asking.discard(asked)
            )

    async def _ask(self, conversation: Conversation, about: _Wait, asks: Callable[[], Awaitable[object]]) -> None:
        """Has a program say it. What is due is stored before that, and what nobody waits for any more is not said."""
        with suppress(LocalProtocolError):  # it is over, or this side is closing
            await conversation.settled()
            word = await _word_of(conversation.id, asks)
            due = _noted_due(conversation.facts)
            if word is None or due is None or (due.amount, due.currency) != (about.amount, about.currency):
                return
            if self._waiting(conversation):
                await self.confirm(conversation, word)

    async def _go_without(self, conversation: Conversation, by: Instant | None) -> None:
        if by is not None:
            await sleep_until(self._agent.clock, shift(by, -MARGIN_SECONDS))
        self._waits.pop(conversation.id, None)
        # In a dispute nobody is late: what is due is asked for again once that is over.
        if conversation.engagement.state != "disputed" and self._waiting(conversation):
            await self.confirm(conversation, Paid(paid=False, note="nobody said whether it was paid"))


def owed_price(conversation: Remembered, engagement: Engagement, ends_by: str | None = None) -> Price:
    """What the contract's end makes due, by the strongest of what ended it, or by what is about to (`ends_by`).

    Raises:
        LocalProtocolError: `wrong_state`: there is no contract.
    """
    strongest = ends_by or basis(engagement)
    return left_owed(
        conversation.offered(engagement).terms,
        strongest,
        next((ending.detail for ending in contract_of(engagement).endings if ending.basis == strongest), ""),
        rulings=lambda: [
            conversation.last("Ruling", Ruling, role).ruling for role in ROLES if conversation.said("Ruling", role)
        ],
        release=conversation.release,
        outcome=lambda: conversation.last("Delivery", Delivery, PROVIDER).outcome,
        met=lambda: criteria_met(conversation),
    )


def criteria_met(conversation: Remembered) -> frozenset[str]:
    """The acceptance criteria that the hirer's last `Review` found met."""
    if not conversation.said("Review", HIRER):
        return frozenset()
    return frozenset(one.id for one in conversation.last("Review", Review, HIRER).criteria if one.met)


async def _word_of(engagement: EngagementId, asks: Callable[[], Awaitable[object]]) -> Paid | None:
    """What the method says of a payment; None if that is nothing, cannot be said, or is what it raised: tried again it
    would be the same, and the books have to be closed. They wait for the owner then, and go without a word in time.
    """
    try:
        given = await contained(asks)
        if given is None:
            return None
        if not isinstance(given, Paid):
            raise TypeError(f"due: expected Paid or None; got {reprlib.repr(given)}")
        return _sayable(msgspec.convert(msgspec.to_builtins(given), Paid))
    except Exception as exc:
        hint = "say with 'contract settle' what became of it; the books are closed without a word else"
        _log.error("no word about a payment", engagement=engagement, error=in_short(exc), **raised_at(exc), hint=hint)
        return None


def _sayable(word: Paid) -> Paid:
    """The word, once it says what it has to and a message can hold that.

    Raises:
        FormatError: `schema_violation`: it was not paid, and nothing says why.
        ConfigurationError: `bad_configuration`, also of a name or note that is empty, for which nothing stands, or
            longer than is told.
    """
    if not word.paid and not word.note:
        raise FormatError("schema_violation", "what was not paid needs a note that says why", path="/note")
    for name, text, most in (("reference", word.reference, MAX_REFERENCE), ("note", word.note, MAX_NOTE)):
        if text is not None:
            if len(text) > most:
                raise ConfigurationError(
                    "bad_configuration", f"{name}: expected at most {most} characters, got {len(text)}"
                )
            checked_words(name, text)
    return word


def _whole(conversation: Conversation, word: Paid) -> Paid:
    """A word with what it has to say: the name of the payment, which the other side may have given it, or why not."""
    if not word.paid:
        return msgspec.structs.replace(word, note=word.note or "not paid")
    other, theirs = OTHER[conversation.engagement.role], None
    if conversation.said("Closing", other):
        theirs = conversation.last("Closing", Closing, other).settlement.reference
    return msgspec.structs.replace(word, reference=word.reference or theirs or "paid")
