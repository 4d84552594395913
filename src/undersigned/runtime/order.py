"""What a hirer wants done and how far it goes for it: kept in the journal, so that a restart goes on from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from msgspec.structs import replace

from undersigned.attestation import ProvenancePredicate, WorkPredicate
from undersigned.contract import (
    INPUT_READ,
    MAX_DEPTH,
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
    check_milestones,
    check_terms,
    draft_terms,
)
from undersigned.did import parse_did
from undersigned.encoding import Did, Digest, Duration, EngagementId, Instant, compare_amounts, is_amount, shift
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.scope import (
    Grant,
    Limit,
    Scope,
    WireScope,
    matches,
    parse_pattern,
    parse_target,
    sketch,
)

from .application import why_not_async
from .continuing import named_withdrawal
from .files import read_file

if TYPE_CHECKING:
    from .agent import Agent

__all__ = [
    "ARTIFACT_READ",
    "MAX_NAME",
    "TASKS",
    "KnownTask",
    "Order",
    "OrderInput",
    "Timing",
    "Within",
    "budget_limits",
    "bytes_limits",
    "checked_name",
    "hire_order",
    "input_grants",
    "order_scope",
    "parse_price",
    "read_order",
]

MAX_NAME = 128
"""Characters of the name of a task or input, and of an agent or its organisation."""
MOST_BYTES = 2**53 - 1
"""The largest limit that a contract can name."""
DECIDE_SECONDS = 3600
"""How long all may take until there is a contract where people have to approve, if nothing else is said."""
ARTIFACT_READ = INPUT_READ
"""The action of fetching an artifact from a party's artifact route."""


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
            task=Task(kind=self.task, summary=self.summary, inputs=tuple(i.digest for i in self.inputs)),
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
        criteria = tuple(Criterion(id=key, text=text) for key, text in self.criteria.items())
        # Criteria are named once in a contract, so they stand with the first deliverable.
        return tuple(
            Deliverable(name=item.name, media_type=item.media_type, criteria=criteria if number == 0 else ())
            for number, item in enumerate(delivers)
        )


@lru_cache(maxsize=256)
def read_order(text: str) -> Order:
    """The order in a fact of the journal. Each decision of an engagement asks for it."""
    return msgspec.json.decode(text, type=Order)


UNNAMED = (Deliverable(name="result", media_type="application/octet-stream", criteria=()),)
"""What is owed if neither side names it."""


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


def bytes_limits(grant: Grant, uri: str) -> tuple[Limit, ...]:
    """The limits of a grant on how many bytes of an artifact may be read there; none if it does not count them."""
    if grant.action != ARTIFACT_READ:
        return ()
    counted = tuple(limit for limit in grant.limits if limit.unit == "bytes")
    return counted if counted and matches(parse_pattern(grant.target), parse_target(uri)) else ()


def checked_name(what: str, text: str) -> str:
    """`text`, once it can be the name of a task, an input or an agent; `what` is what the operator calls it.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME or not text.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError(
            "bad_configuration", f"{what}: expected 1 to {MAX_NAME} printable characters, got {str(text)[:40]!r}"
        )
    return text


def parse_price(text: str) -> Price:
    """The price in `4.00 EUR` (amount, space, currency).

    Raises:
        ConfigurationError: `bad_configuration`, with an example.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError("bad_configuration", f"expected a price such as '4.50 EUR', got {text!r}")
    amount, _, currency = text.strip().partition(" ")
    whole, point, cents = amount.partition(".")
    if point and cents.isdecimal():  # an amount has no trailing zeros, people write them
        amount = f"{whole}.{cents}".rstrip("0").rstrip(".")
    if (
        not is_amount(amount)
        or amount.startswith("-")
        or not (currency.isascii() and currency.isupper() and len(currency) == 3)
    ):
        raise ConfigurationError("bad_configuration", f"expected a price such as '4.50 EUR', got {text!r}")
    return Price(amount=amount, currency=currency)


def budget_limits(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The limits of a budget.

    Raises:
        ConfigurationError: `bad_configuration`: two count the same, or one neither money nor contracts.
    """
    found = tuple(limits)
    for limit in found:
        if limit.unit != "count" and not limit.unit.isupper():
            raise ConfigurationError("bad_configuration", f"budget: expected a currency or count, got {limit.unit}")
    if len({limit.name for limit in found}) < len(found):
        raise ConfigurationError("bad_configuration", "budget: two limits count the same")
    return found


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


async def hire_order(
    agent: Agent,
    provider: Did,
    *,
    task: str,
    inputs: Mapping[str, Path | bytes | str],
    price: str,
    opening: str | None = None,
    scope: Scope | None = None,
    deliverable: str | Sequence[str] | None = None,
    criteria: Mapping[str, str],
    summary: str = "",
    at: str | None = None,
    finish_seconds: int = 3600,
    continues: str | None = None,
    decide_seconds: int | None = None,
    subcontracting: int = 0,
    onward: bool = False,
    settlement: Settlement | None = None,
    reworks: int = 0,
    sbom: str | None = None,
    verifier: Did | None = None,
    c2pa: Sequence[Path | bytes | str] | None = None,
    max_bytes: int | None = None,
    review: object = None,
    approve: object = None,
) -> Order:
    """The order for a hire; its inputs are put into the artifact store. `continues` is the digest of an earlier
    withdrawal, or the engagement that ended with it.

    `subcontracting` is how many levels the provider may hire below it, `onward` whether it may hand on the inputs then.
    `sbom` is the format and version of a bill of materials that has to come with what is delivered; `verifier` judges
    it in our place, and is neither party. With `c2pa`, media have to carry a manifest; it holds files or bytes with the
    certificates, in PEM, from which their signers come, or nothing if the provider's own proof is enough.
    `max_bytes` are the most that each thing delivered may have. `review` and `approve` are functions of the
    application, which are only looked at here.
    `decide_seconds` is all the time until both are bound, with that of people on either side who have to approve; what
    comes after counts from its end. By default an hour if our own policy asks any.

    Raises:
        ConfigurationError: `bad_configuration`, the provider, a price, a time, a file or a name is not usable;
            `not_found`, there was no such withdrawal with this provider.
        LocalProtocolError: As `Agent.require_started`.
    """
    agent.require_started()
    try:
        parse_did(provider)
    except (UndersignedError, TypeError, AttributeError) as exc:
        raise ConfigurationError("bad_configuration", f"expected the provider's DID, got {provider!r}") from exc
    checked_name("task", task)
    for name, function in (("review", review), ("approve", approve)):
        if function is not None and (why := why_not_async(function)) is not None:
            text = f"{name}: expected a function that is awaited, such as `async def {name}(...)`; {why}"
            raise ConfigurationError("bad_configuration", text)
    for name, given in (("inputs", inputs), ("criteria", criteria)):
        if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            what = "a path or bytes" if name == "inputs" else "a text"
            text = f"{name}: expected {what} for each name, as a dict; got {given!r:.60}"
            raise ConfigurationError("bad_configuration", text)
    anchors = await checked_demands((agent.identity.did, provider), verifier=verifier, sbom=sbom, c2pa=c2pa)
    if not 0 <= subcontracting <= MAX_DEPTH:
        raise ConfigurationError(
            "bad_configuration", f"subcontracting: expected 0 to {MAX_DEPTH} levels, got {subcontracting}"
        )
    if onward and not subcontracting:
        raise ConfigurationError(
            "bad_configuration", "onward is about those whom the provider hires: it goes with subcontracting, 1 or more"
        )
    if not 0 <= reworks <= MAX_REWORKS:
        raise ConfigurationError("bad_configuration", f"reworks: expected 0 to {MAX_REWORKS}, got {reworks}")
    ceiling = parse_price(price)
    first = parse_price(opening) if opening else None
    if first is not None and first.currency != ceiling.currency:
        raise ConfigurationError("bad_configuration", "the opening price and the limit are in two currencies")
    if max_bytes is not None and not 1 <= max_bytes <= MOST_BYTES:
        raise ConfigurationError("bad_configuration", f"max_bytes: expected 1 to {MOST_BYTES}, got {max_bytes}")
    known = TASKS.get(task)
    if decide_seconds is None and agent.home.configuration.policy.asks:
        decide_seconds = DECIDE_SECONDS
    if review is not None and not criteria and (known is None or not known.criteria):
        text = "review says for each of the criteria whether it is met, and there are none: name them with criteria"
        raise ConfigurationError("bad_configuration", text)
    if criteria and review is None and verifier is None and task not in agent.reviewers:
        # Nobody would find them met, and the provider would go without its pay.
        text = "criteria are met if somebody says so, and nobody does: give review, or a verifier that judges it"
        raise ConfigurationError("bad_configuration", text)
    agreed, named = settlement or Settlement(method="none"), _named(deliverable, known, criteria)
    try:
        agent.settlements.check(agreed)
        check_milestones(agreed.milestones, [*criteria, *(one.id for item in named for one in item.criteria)])
    except UndersignedError as exc:
        raise ConfigurationError("bad_configuration", f"settlement: {exc.message}") from exc
    kept: list[OrderInput] = []
    for name, given in inputs.items():
        checked_name("input", name)
        if not isinstance(given, bytes | str | Path):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            raise ConfigurationError("bad_configuration", f"input {name}: expected a path or bytes, got {given!r:.60}")
        digest = await _kept(agent, name, given)
        kept.append(OrderInput(name=name, digest=digest, uri=agent.artifact_url(digest)))
    try:
        wanted = order_scope(tuple(kept), scope)
    except FormatError as exc:
        raise ConfigurationError("bad_configuration", f"inputs and scope: {exc.message}") from exc
    return Order(
        settlement=agreed,
        reworks=reworks,
        reviewed=review is not None or task in agent.reviewers,
        provider=provider,
        url=at,
        task=task,
        summary=summary or (known.summary if known else task),
        inputs=tuple(kept),
        scope=wanted,
        deliverables=named,
        criteria=dict(criteria),
        sbom=sbom or (known.sbom if known else None),
        verifier=verifier,
        c2pa=c2pa is not None,
        max_bytes=max_bytes,
        anchors=tuple([await agent.artifacts.put(one) for one in anchors]),
        opening=first,
        ceiling=ceiling,
        continues=await named_withdrawal(agent.ledger, continues, provider) if continues is not None else None,
        timing=_timing(finish_seconds, decide_seconds),
        subcontracting=subcontracting,
        onward=onward,
    )


async def checked_demands(
    parties: tuple[Did, Did],
    *,
    verifier: Did | None,
    sbom: str | None,
    c2pa: Sequence[Path | bytes | str] | None,
    mark: str = "",
) -> list[bytes]:
    """The certificates of `c2pa`, in DER, once all that is demanded beside the work can be demanded and checked: as in
    `hire_order`. `mark` stands before the name of each in what is said of it.

    Raises:
        ConfigurationError: `bad_configuration`, one is not usable; `missing_extra`, what checks it is not installed.
    """
    if c2pa is not None and find_spec("c2pa") is None:
        text = f"{mark}c2pa: checking C2PA manifests needs the extra: undersigned[c2pa]"
        raise ConfigurationError("missing_extra", text)
    if verifier is not None:
        _check_verifier(verifier, parties, f"{mark}verifier")
    if sbom is not None:
        _check_format(sbom, f"{mark}sbom")
    return await _anchors(c2pa or (), f"{mark}c2pa")


def _timing(finish_seconds: int, decide_seconds: int | None) -> Timing:
    if finish_seconds < 1:
        raise ConfigurationError("bad_configuration", f"expected at least a second to finish, got {finish_seconds}")
    usual = Timing(finish_seconds=finish_seconds, until_seconds=finish_seconds + 3600)
    if decide_seconds is None:
        return usual
    if decide_seconds < 1:
        raise ConfigurationError("bad_configuration", f"expected at least a second to decide, got {decide_seconds}")
    # Who is bound in the last second still has the usual time to begin and to finish.
    return Timing(
        answer_seconds=min(usual.answer_seconds, decide_seconds),
        offer_seconds=min(usual.offer_seconds, decide_seconds),
        negotiation_seconds=decide_seconds,
        start_seconds=usual.start_seconds + decide_seconds,
        finish_seconds=usual.finish_seconds + decide_seconds,
        until_seconds=usual.until_seconds + decide_seconds,
    )


def _named(
    deliverable: str | Sequence[str] | None, known: KnownTask | None, criteria: Mapping[str, str]
) -> tuple[Deliverable, ...]:
    """The deliverables that the hirer names, or the one that the kind of task has; none: the provider names it."""
    names = (deliverable,) if isinstance(deliverable, str) else tuple(deliverable or ())
    if not names and known is None:
        return ()
    held = criteria or (known.criteria if known else {})
    return tuple(
        Deliverable(
            name=name,
            media_type=known.media_type if known else "application/octet-stream",
            # Criteria are named once in a contract, so they stand with the first deliverable.
            criteria=tuple(Criterion(id=key, text=text) for key, text in held.items()) if number == 0 else (),
        )
        for number, name in enumerate(names or ((known.deliverable,) if known else ()))
    )


async def _anchors(given: Sequence[Path | bytes | str], what: str) -> list[bytes]:
    """Certificates in DER."""
    found: list[bytes] = []
    for one in given:
        data = one if isinstance(one, bytes) else await _read(Path(one), what)
        try:
            found += [each.public_bytes(Encoding.DER) for each in load_pem_x509_certificates(data)]
        except ValueError as exc:
            raise ConfigurationError("bad_configuration", f"{what}: expected certificates in PEM: {exc}") from exc
    return found


def _check_verifier(verifier: Did, parties: tuple[Did, Did], what: str) -> None:
    try:
        parse_did(verifier)
    except (UndersignedError, TypeError, AttributeError) as exc:
        raise ConfigurationError("bad_configuration", f"{what}: expected a DID, got {verifier!r:.200}") from exc
    if verifier in parties:
        raise ConfigurationError("bad_configuration", f"{what}: the verifier is neither the hirer nor the provider")


def _check_format(sbom: str, what: str) -> None:
    """What is asked for is checked when it comes, so it can be."""
    needs = SBOM_FORMATS.get(sbom)
    if needs is None:
        raise ConfigurationError("bad_configuration", f"{what}: expected {' or '.join(SBOM_FORMATS)}, got {sbom!r:.80}")
    if find_spec(needs.library) is None:
        text = f"{what}: checking {sbom} needs the extra: undersigned[{needs.extra}]"
        raise ConfigurationError("missing_extra", text)


async def _kept(agent: Agent, name: str, given: Path | bytes | str) -> Digest:
    """Puts an input into the store; of a file no more than a few pieces are held."""
    if isinstance(given, bytes):
        return await agent.artifacts.put(given)
    try:
        return (await agent.artifacts.put_file(Path(given), max_bytes=agent.max_artifact_bytes)).digest
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"{given}: {exc.strerror or exc}") from exc
    except FormatError as exc:
        text = f"input {name}: {exc.message}; [artifacts] max_bytes of the settings says so"
        raise ConfigurationError("bad_configuration", text) from exc


async def _read(path: Path, what: str) -> bytes:
    try:
        return await asyncio.to_thread(read_file, path)
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"{what}: {path}: {exc.strerror or exc}") from exc


class SbomFormat(msgspec.Struct, frozen=True, kw_only=True):
    """A format of bills of materials that can be asked for, because what comes can be checked."""

    name: str
    """What the bill is called among the deliverables."""
    media_type: str
    library: str
    """What reads it."""
    extra: str
    """The extra that has the library."""


SBOM_FORMATS: Mapping[str, SbomFormat] = {
    "CycloneDX 1.6": SbomFormat(
        name="bill.cdx.json", media_type="application/vnd.cyclonedx+json", library="cyclonedx", extra="prov"
    ),
    "SPDX 2.3": SbomFormat(
        name="bill.spdx.json", media_type="application/spdx+json", library="spdx_tools", extra="spdx"
    ),
}
"""By format and version, as terms name them."""


class KnownTask(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of task whose deliverable and criteria this library knows."""

    summary: str
    deliverable: str
    media_type: str
    criteria: dict[str, str]
    inputs: tuple[str, ...] = ()
    """Names of the inputs without which it cannot be done."""
    sbom: str | None = None


TASKS: Mapping[str, KnownTask] = {
    "sbom": KnownTask(
        summary="A CycloneDX 1.6 software bill of materials of the artifact",
        deliverable="sbom.cdx.json",
        media_type="application/vnd.cyclonedx+json",
        criteria={
            "schema-valid": "valid against the strict CycloneDX 1.6 JSON schema",
            "describes-artifact": "describes the artifact by its SHA-256",
            "lists-every-file": "lists every file of the artifact with its SHA-256",
        },
        inputs=("artifact",),
        sbom="CycloneDX 1.6",
    )
}
"""Kinds of task known here; an application names deliverable and criteria of its own."""
