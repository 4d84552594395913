"""What a hirer wants done and how far it goes for it: kept in the journal, so that a restart goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from undersigned.attestation import ProvenancePredicate, WorkPredicate
from undersigned.contract import (
    ARTIFACT_READ,
    MAX_REWORKS,
    Criterion,
    DataHandling,
    Deadlines,
    Deliverable,
    Evidence,
    Price,
    Settlement,
    Subcontracting,
    Task,
    Terms,
    check_terms,
    draft_terms,
)
from undersigned.encoding import Did, Digest, Duration, EngagementId, Instant, compare_amounts, seconds_between, shift
from undersigned.errors import ConfigurationError, FormatError
from undersigned.scope import Grant, Limit, Scope, WireScope, inside, parse_pattern, parse_target, sketch

from .known_tasks import SBOM_FORMATS

__all__ = [
    "ORDER",
    "Order",
    "OrderInput",
    "Timing",
    "Within",
    "bytes_limits",
    "order_in",
    "order_scope",
]

ORDER: Final = "order"
"""Name of the fact that holds one."""


class OrderInput(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be worked on, kept in the hirer's artifact store and served from there."""

    name: str
    digest: Digest
    uri: str


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part may take, in seconds: up to the contract from the inquiry on, then from the offer on."""

    answer_seconds: int = 60
    offer_seconds: int = 300
    negotiation_seconds: int = 900
    start_seconds: int = 600
    finish_seconds: int = 3600
    until_seconds: int = 7200
    review: str = "PT1H"
    heartbeat: str = "PT1M"
    close: str = "PT1H"


class Within(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of ours under which something is ordered, and what its terms leave."""

    contract: Digest
    engagement: EngagementId
    """Ours with its hirer."""
    key: str
    """Which of the hires of its work this is."""
    finish: Instant
    until: Instant
    """The last instants that leave us time to deliver."""
    close: Duration
    data: DataHandling
    """What a contract below may at most allow."""
    reviewed: bool = False
    """Whether the work that ordered it checks what it gets by a function of its own."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a hirer decided before it asked."""

    provider: Did
    url: str | None = None
    """Where the provider listens, if its DID document does not say."""
    task: str
    summary: str
    inputs: tuple[OrderInput, ...] = ()
    scope: WireScope
    deliverables: tuple[Deliverable, ...] = ()
    """What is to be delivered; empty: what the provider's profile says that it delivers."""
    criteria: dict[str, str] = {}
    """What it is held to, id to text, where the provider says what it delivers."""
    opening: Price | None = None
    """Price of the first offer; None: what the provider asks for, if that is below the most."""
    ceiling: Price
    """The most that is accepted."""
    evidence: tuple[str, ...] = (WorkPredicate.PREDICATE_TYPE, ProvenancePredicate.PREDICATE_TYPE)
    """Predicate types of the statements wanted."""
    sbom: str | None = None
    """Format and version of a bill of materials that is wanted."""
    verifier: Did | None = None
    """Who judges the work, instead of us."""
    arbiter: Did | None = None
    """Who rules on disputes."""
    c2pa: bool = False
    """Whether media must carry a manifest."""
    anchors: tuple[Digest, ...] = ()
    """Certificates from which the signers of manifests come; they are in the artifact store."""
    timing: Timing = Timing()
    rounds: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    subcontracting: int = 0
    """Levels that the provider may hire below it."""
    onward: bool = False
    """Whether it may pass the inputs on to whom it hires."""
    within: Within | None = None
    """Ordered under a contract of ours, as a subcontract of it."""
    continues: Digest | None = None
    """The earlier withdrawal that this answers, with what it said it needs."""
    settlement: Settlement = Settlement(method="none")
    """How the price is paid, elsewhere."""
    reworks: Annotated[int, msgspec.Meta(ge=0, le=MAX_REWORKS)] = 0
    """How often work that misses a criterion is asked for again."""
    max_bytes: int | None = None
    """The most bytes of each thing that is delivered."""
    reviewed: bool = False
    """Whether there was a function that says which criteria are met: then a verifier is not the only judge."""
    probe: bool = False
    """Only evaluate: withdraw once both have shown who they are."""

    def terms(
        self,
        now: Instant,
        *,
        delivers: tuple[Deliverable, ...] = (),
        asked: Price | None = None,
        policies: tuple[Digest, ...] = (),
        must_stay_valid: tuple[Digest, ...] = (),
    ) -> Terms:
        """The terms of the first offer, made at `now`.

        `delivers` and `asked` are what the provider's profile says that it delivers, and for what price; `policies` are
        digests of those that judged, `must_stay_valid` of the credentials whose end may end the contract.
        """
        return draft_terms(
            task=Task(kind=self.task, summary=self.summary, inputs=tuple([i.digest for i in self.inputs])),
            deliverables=self._bounded(
                self._with_bill(self.deliverables or self._criteria(delivers) or self._criteria(UNNAMED))
            ),
            scope=self.scope,
            price=self.first_price(asked),
            deadlines=self._deadlines(now),
            subcontracting=Subcontracting(allowed=self.subcontracting > 0, depth=self.subcontracting),
            data_handling=self._data(),
            settlement=self.settlement,
            reworks=self.reworks,
            arbiter=self.arbiter,
            evidence=Evidence(
                predicates=self.evidence, sbom=self.sbom, c2pa=self.c2pa, anchors=self.anchors, verifier=self.verifier
            ),
            policies=policies,
            must_stay_valid=must_stay_valid,
        )

    def check(self, now: Instant) -> None:
        """Returns if its terms, as they would be offered at `now`, are such that can be.

        Raises:
            ConfigurationError: `bad_configuration`: they are not, and where.
        """
        longest = self.timing.until_seconds
        if seconds_between(now, shift(now, longest)) < longest:
            raise ConfigurationError("bad_configuration", f"the order's time ends after the year 2999: {longest} s")
        try:
            check_terms(self.terms(now))
        except FormatError as exc:
            raise ConfigurationError(
                "bad_configuration", f"the order at {exc.path or '/terms'}: {exc.message}"
            ) from exc

    def _deadlines(self, now: Instant) -> Deadlines:
        timing, within = self.timing, self.within
        finish, until, close = shift(now, timing.finish_seconds), shift(now, timing.until_seconds), timing.close
        if within is not None:
            finish, until, close = min(finish, within.finish), min(until, within.until), within.close
        return Deadlines(
            start=min(shift(now, timing.start_seconds), finish),
            finish=finish,
            until=until,
            heartbeat=timing.heartbeat,
            review=timing.review,
            rework=timing.review,
            wind_down="PT1M",
            close=close,
        )

    def _data(self) -> DataHandling:
        """Used for this task, not kept, not trained on; under a contract, by its words."""
        if self.within is not None:
            return replace(self.within.data, onward=self.onward, retention="PT0S", training=False)
        return DataHandling(purpose="this task only", classes=(), retention="PT0S", onward=self.onward, training=False)

    def first_price(self, asked: Price | None) -> Price:
        """What is offered first: never more than is asked for, if nothing else was decided."""
        if self.opening is not None:
            return self.opening
        if asked is None or asked.currency != self.ceiling.currency:
            return self.ceiling
        return asked if compare_amounts(asked.amount, self.ceiling.amount) <= 0 else self.ceiling

    def _bounded(self, owed: tuple[Deliverable, ...]) -> tuple[Deliverable, ...]:
        return owed if self.max_bytes is None else tuple(replace(item, max_bytes=self.max_bytes) for item in owed)

    def _with_bill(self, owed: tuple[Deliverable, ...]) -> tuple[Deliverable, ...]:
        """The bill of materials that is asked for is delivered under a name, where what is owed is none itself."""
        known = SBOM_FORMATS.get(self.sbom or "")
        if known is None or any(item.media_type == known.media_type for item in owed):
            return owed
        return (*owed, Deliverable(name=known.name, media_type=known.media_type, criteria=()))

    def _criteria(self, delivers: tuple[Deliverable, ...]) -> tuple[Deliverable, ...]:
        """What the provider delivers, held to our criteria and not to its own."""
        criteria = tuple([Criterion(id=key, text=text) for key, text in self.criteria.items()])
        # Criteria are named once in a contract, so they stand with the first deliverable.
        return tuple(
            [
                Deliverable(name=item.name, media_type=item.media_type, criteria=criteria if number == 0 else ())
                for number, item in enumerate(delivers)
            ]
        )


def order_in(facts: Mapping[str, str]) -> Order | None:
    """The order that an engagement was begun with, by the facts of its journal; None if it was not begun by us. Each
    decision of an engagement asks for it.
    """
    text = facts.get(ORDER)
    return None if text is None else _read(text)


@lru_cache(maxsize=256)
def _read(text: str) -> Order:
    return msgspec.json.decode(text, type=Order)


UNNAMED = (Deliverable(name="result", media_type="application/octet-stream", criteria=()),)
"""What is owed if neither side names it."""


def input_grants(inputs: tuple[OrderInput, ...], reworks: int) -> tuple[Grant, ...]:
    """The grants by which a provider may read its inputs, and no more than a few times over in each round."""
    return tuple(
        Grant(
            f"read-{number}",
            ARTIFACT_READ,
            item.uri,
            limits=(Limit("count", str(4 * (1 + reworks))),),
        )
        for number, item in enumerate(inputs, start=1)
    )


def bytes_limits(grant: Grant, uri: str) -> tuple[Limit, ...]:
    """The limits of a grant on how many bytes of an artifact may be read there; none if it does not count them."""
    if grant.action != ARTIFACT_READ:
        return ()
    counted = tuple(limit for limit in grant.limits if limit.unit == "bytes")
    return counted if counted and inside(parse_pattern(grant.target), parse_target(uri)) else ()


def order_scope(inputs: tuple[OrderInput, ...], scope: Scope | None, reworks: int) -> WireScope:
    """The scope sketched for an order: its inputs may be read, and what `scope` adds."""
    given = scope or Scope()
    return sketch(
        Scope(
            grants=(*input_grants(inputs, reworks), *given.grants),
            prohibitions=given.prohibitions,
            obligations=given.obligations,
            extensions=given.extensions,
            critical=given.critical,
        )
    )
