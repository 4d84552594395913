"""What a hirer wants done and how far it goes for it: kept in the journal, so that a restart goes on from it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from undersigned.contract import Criterion, Deadlines, Deliverable, Price, Task, Terms, draft_terms
from undersigned.encoding import Did, Digest, Instant, is_amount, shift
from undersigned.errors import ConfigurationError
from undersigned.scope import Grant, Limit, Scope, WireScope, read_scope, sketch

__all__ = ["ARTIFACT_READ", "Order", "OrderInput", "Timing", "input_grants", "parse_price"]

ARTIFACT_READ = "artifact:read"
"""The action of fetching an artifact from a party's artifact route."""


class OrderInput(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be worked on, kept in the hirer's artifact store and served from there."""

    name: str
    digest: Digest
    uri: str


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part may take, in seconds from the offer on."""

    answer_seconds: int = 60
    offer_seconds: int = 300
    negotiation_seconds: int = 900
    start_seconds: int = 600
    finish_seconds: int = 3600
    until_seconds: int = 7200
    review: str = "PT1H"
    heartbeat: str = "PT1M"
    close: str = "PT1H"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a hirer decided before it asked."""

    provider: Did
    url: str | None = None
    """Where the provider listens, if its DID document does not say."""
    task: str
    summary: str
    inputs: tuple[OrderInput, ...] = ()
    scope: WireScope
    deliverables: tuple[Deliverable, ...]
    opening: Price
    """Price of the first offer."""
    ceiling: Price
    """The most that is accepted."""
    evidence: tuple[str, ...] = ()
    """Predicate types of the statements wanted."""
    timing: Timing = Timing()
    rounds: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    probe: bool = False
    """Only evaluate: withdraw once both have shown who they are."""

    def terms(self, now: Instant) -> Terms:
        """The terms of the first offer, made at `now`."""
        timing = self.timing
        return draft_terms(
            task=Task(kind=self.task, summary=self.summary, inputs=tuple(i.digest for i in self.inputs)),
            deliverables=self.deliverables,
            scope=read_scope(self.scope),
            price=self.opening,
            deadlines=Deadlines(
                start=shift(now, timing.start_seconds),
                finish=shift(now, timing.finish_seconds),
                until=shift(now, timing.until_seconds),
                heartbeat=timing.heartbeat,
                review=timing.review,
                rework=timing.review,
                wind_down="PT1M",
                close=timing.close,
            ),
        )


def input_grants(inputs: tuple[OrderInput, ...]) -> tuple[Grant, ...]:
    """The grants by which a provider may read its inputs, and no more than a few times over."""
    return tuple(
        Grant(
            f"read-{number}",
            ARTIFACT_READ,
            item.uri,
            limits=(Limit("count", "4"),),
        )
        for number, item in enumerate(inputs, start=1)
    )


def parse_price(text: str) -> Price:
    """The price in `4.00 EUR` (amount, space, currency).

    Raises:
        ConfigurationError: `bad_configuration`, with an example.
    """
    amount, _, currency = text.strip().partition(" ")
    if "." in amount:
        amount = amount.rstrip("0").rstrip(".")
    if not is_amount(amount) or amount.startswith("-") or not (currency.isascii() and currency.isupper() and len(currency) == 3):
        raise ConfigurationError("bad_configuration", f"expected a price such as '4.50 EUR', got {text!r}")
    return Price(amount=amount, currency=currency)


def order_scope(inputs: tuple[OrderInput, ...], scope: Scope | None) -> WireScope:
    """The scope sketched for an order: its inputs may be read, and what `scope` adds."""
    given = scope or Scope()
    return sketch(
        Scope(
            grants=(*input_grants(inputs), *given.grants),
            prohibitions=given.prohibitions,
            obligations=given.obligations,
            extensions=given.extensions,
            critical=given.critical,
        )
    )


def default_deliverables(name: str, media_type: str, criteria: dict[str, str]) -> tuple[Deliverable, ...]:
    """One artifact with its acceptance criteria, id to text."""
    return (
        Deliverable(
            name=name,
            media_type=media_type,
            criteria=tuple(Criterion(id=key, text=text) for key, text in criteria.items()),
        ),
    )
