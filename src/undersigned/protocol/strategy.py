"""Strategy: how a side bargains. A plug that proposes and never decides what is allowed.

A strategy sees the terms on the table and the time, and answers with what it would do. It sees no key, it cannot send,
and it cannot widen policy: `bounded` refuses terms that lie outside the limits it was given, whoever proposed them.

Source: protocol-spec/05-negotiation.md, section 5.4
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from undersigned.contract import Price, Terms
from undersigned.encoding import Instant, compare_amounts, is_amount
from undersigned.errors import FormatError, PolicyError, text_of
from undersigned.messages import REASONS
from undersigned.protocol.states import HIRER, Role

__all__ = ["Answer", "Bounds", "Concede", "Moment", "Strategy", "bounded"]


class Bounds(Struct, frozen=True, kw_only=True):
    """What policy allows this side to agree to; a strategy moves inside it and nowhere else."""

    role: Role
    limit: Price
    """Most that a hirer pays, least that a provider takes."""
    latest_finish: Instant | None = None
    """Hirer: last instant it can wait for; provider: first it can promise."""

    def allow(self, terms: Terms) -> bool:
        """Whether these terms may be agreed to."""
        if terms.price.currency != self.limit.currency:
            return False
        order = compare_amounts(terms.price.amount, self.limit.amount)
        if order > 0 if self.role == HIRER else order < 0:
            return False
        if self.latest_finish is None:
            return True
        finish = terms.deadlines.finish
        return finish <= self.latest_finish if self.role == HIRER else finish >= self.latest_finish


class Moment(Struct, frozen=True, kw_only=True):
    """What a strategy may know: its own last terms, the other's, and how much bargaining is left."""

    role: Role
    now: Instant
    theirs: Terms
    ours: Terms
    """What we would propose at first, or proposed last."""
    rounds_left: int
    """Offers left, both sides together."""


class Answer(Struct, frozen=True, kw_only=True):
    """What the strategy would do: accept theirs, counter with `terms`, or walk away for `reason`."""

    act: Literal["accept", "counter", "withdraw"]
    terms: Terms | None = None
    reason: str = "declined"


class Strategy(Protocol):
    """How a side bargains. The same moment has to give the same answer."""

    def answer(self, moment: Moment) -> Answer:
        """What to do about the offer on the table."""
        ...


Steps: TypeAlias = tuple[str, ...]


class Concede(Struct, frozen=True, kw_only=True):
    """Concede step by step: take what is no worse than the next step, else propose it; walk away after the last.

    `steps` are prices, our best first, in the currency of the terms: a hirer's rise, a provider's fall. A peer that is
    hired names its list price first and agrees to nothing below it, so it has no step to take.

    Raises:
        FormatError: `schema_violation`: a step is no amount.
    """

    steps: Steps

    def __post_init__(self) -> None:
        given = cast("object", self.steps)
        if not isinstance(given, tuple | list) or not all(map(is_amount, self.steps)):
            text = f"steps: expected amounts in their only spelling, such as ('3', '3.5'), got {given!r:.80}"
            raise FormatError("schema_violation", text)

    def answer(self, moment: Moment) -> Answer:
        """Accept, counter with the next step, or withdraw when there is none or no round is left for it."""
        ahead = [step for step in self.steps if self._gives(moment, step)]
        reach = ahead[0] if ahead else moment.ours.price.amount
        order = compare_amounts(moment.theirs.price.amount, reach)
        if order <= 0 if moment.role == HIRER else order >= 0:
            return Answer(act="accept")
        if not ahead or moment.rounds_left < 1:
            return Answer(act="withdraw", reason="declined" if moment.rounds_left else "round_limit")
        price = replace(moment.ours.price, amount=reach)
        return Answer(act="counter", terms=replace(moment.ours, price=price))

    @staticmethod
    def _gives(moment: Moment, step: str) -> bool:
        order = compare_amounts(step, moment.ours.price.amount)
        return order > 0 if moment.role == HIRER else order < 0


def bounded(strategy: Strategy, moment: Moment, bounds: Bounds) -> Answer:
    """The strategy's answer if policy allows it; else a withdrawal. The strategy cannot widen what policy allows.

    Raises:
        PolicyError: `decision_failed`: the strategy raised, or answered something that is no answer.
    """
    try:
        answer = strategy.answer(moment)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # `SystemExit` too: it would end the process with every other negotiation
        raise PolicyError("decision_failed", f"the strategy failed: {text_of(exc, repr)}") from exc
    if not _is_answer(answer):
        wanted = "expected an Answer, with terms exactly in a counter, and a reason of the list"
        raise PolicyError("decision_failed", f"{wanted}: came {text_of(answer, repr):.500}")
    agreed = moment.theirs if answer.act == "accept" else answer.terms
    if agreed is not None and not bounds.allow(agreed):
        return Answer(act="withdraw", reason="policy_denied")
    return answer


def _is_answer(given: object) -> bool:
    """An application's code is checked by nobody else."""
    if not isinstance(given, Answer) or given.act not in ("accept", "counter", "withdraw"):  # pyright: ignore[reportUnnecessaryContains]
        return False
    return (given.act == "counter") == isinstance(given.terms, Terms) and given.reason in REASONS
