"""From what somebody asks for to the order that is kept: checked before anybody hears of it, inputs in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from undersigned.contract import MAX_DEPTH, MAX_REWORKS, Criterion, Deliverable, Price, Settlement, check_milestones
from undersigned.did import fetches, parse_did
from undersigned.encoding import Did, compare_amounts, from_struct, to_struct
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.runtime.application import takes_one, why_not_async
from undersigned.runtime.artifacts.incoming import too_large
from undersigned.runtime.files import read_file, why
from undersigned.runtime.home.parsing import checked_name, checked_text, parse_price
from undersigned.runtime.negotiation.continuing import named_withdrawal
from undersigned.runtime.negotiation.known_tasks import SBOM_FORMATS, TASKS, KnownTask
from undersigned.runtime.negotiation.order import Order, OrderInput, Timing, order_scope
from undersigned.scope import Scope

from .whereabouts import checked_url

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["checked_demands", "hire_order"]

MOST_BYTES: Final = 2**53 - 1
"""The largest limit that a contract can name."""
DECIDE_SECONDS: Final = 3600
"""How long all may take until there is a contract where people have to approve, if nothing else is said."""


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
    arbiter: Did | None = None,
    c2pa: Sequence[Path | bytes | str] | None = None,
    max_bytes: int | None = None,
    review: object = None,
    approve: object = None,
    probe: bool = False,
) -> Order:
    """The order for a hire; its inputs are put into the artifact store. `continues` is the digest of an earlier
    withdrawal, or the engagement that ended with it.

    `subcontracting` is how many levels the provider may hire below it, `onward` whether it may hand on the inputs then.
    `sbom` is the format and version of a bill of materials that has to come with what is delivered; `verifier` judges
    it in our place, `arbiter` rules on disputes; each is neither party. With `c2pa`, media have to carry a manifest; it
    holds files or bytes with the certificates, in PEM, from which their signers come, or nothing if the provider's own
    proof is enough. `max_bytes` are the most that each thing delivered may have. `review` and `approve` are functions
    of the application, which are only looked at here. With `probe` both are evaluated, and nothing is done.

    `decide_seconds` is all the time until both are bound, with that of people on either side who have to approve; what
    comes after counts from its end. By default an hour if our own policy asks any.

    Raises:
        ConfigurationError: `bad_configuration`, the provider, a price, a time, a file or a name is not usable;
            `not_found`, there was no such withdrawal with this provider.
        LocalProtocolError: As `Agent.require_started`.
    """
    agent.require_started()
    _check_provider(provider, agent)
    checked_name("task", task)
    for name, function in (("review", review), ("approve", approve)):
        _check_function(name, function)
    for name, given, kind, what, optional in (
        ("inputs", inputs, Mapping, "a path or bytes for each name, as a dict", False),
        ("criteria", criteria, Mapping, "a text for each name, as a dict", False),
        ("subcontracting", subcontracting, int, "a whole number", False),
        ("reworks", reworks, int, "a whole number", False),
        ("finish_seconds", finish_seconds, int, "a whole number", False),
        ("decide_seconds", decide_seconds, int, "a whole number", True),
        ("max_bytes", max_bytes, int, "a whole number", True),
        ("scope", scope, Scope, "a Scope", True),
        ("settlement", settlement, Settlement, "a Settlement", True),
        ("continues", continues, str, "the digest of a withdrawal, or an engagement", True),
        ("at", at, str, "a URL", True),
        ("summary", summary, str, "text", False),
        ("opening", opening, str, "a price such as '4.50 EUR'", True),
    ):
        _check_kind(name, given, kind, what, optional=optional)
    checked_text("continues", continues or "")
    if at is not None and not at.startswith("memory://"):  # which a program dials in its own process
        checked_url(at, agent.home.configuration.local, "at")
    anchors = await checked_demands(
        (agent.identity.did, provider), task, verifier=verifier, arbiter=arbiter, sbom=sbom, c2pa=c2pa
    )
    if not 0 <= subcontracting <= MAX_DEPTH:
        raise _unusable(f"subcontracting: expected 0 to {MAX_DEPTH} levels, got {subcontracting}")
    if onward and not subcontracting:
        raise _unusable("onward is about those whom the provider hires: it goes with subcontracting, 1 or more")
    if not 0 <= reworks <= MAX_REWORKS:
        raise _unusable(f"reworks: expected 0 to {MAX_REWORKS}, got {reworks}")
    ceiling, first = _prices(price, opening)
    if max_bytes is not None and not 1 <= max_bytes <= MOST_BYTES:
        raise _unusable(f"max_bytes: expected 1 to {MOST_BYTES}, got {max_bytes}")
    known = TASKS.get(task)
    reviewed = review is not None or task in agent.reviewers
    if review is not None and not criteria and (known is None or not known.criteria):
        raise _unusable(
            "review says for each of the criteria whether it is met, and there are none: name them with criteria"
        )
    if criteria and not reviewed and verifier is None:
        # Nobody would find them met, and the provider would go without its pay.
        raise _unusable(
            "criteria are met if somebody says so, and nobody does: give review, or a verifier that judges it"
        )
    for key, text in criteria.items():
        _check_criterion(key, text)
    named = _named(deliverable, known, criteria)
    looks = agent.reviewers.get(task) if review is None and not probe else None
    if known is not None and looks is not None and looks is agent.programs.get(task):
        _check_known(task, known, inputs, criteria, named)
    agreed = _agreed(settlement or Settlement(method="none"), agent, named, criteria)
    kept = tuple([await _input(agent, name, given) for name, given in inputs.items()])
    try:
        wanted = order_scope(kept, scope, reworks)
    except FormatError as exc:
        raise _unusable(f"inputs and scope: {exc.message}") from exc
    if decide_seconds is None and agent.home.configuration.policy.asks:
        decide_seconds = DECIDE_SECONDS
    return Order(
        settlement=agreed,
        reworks=reworks,
        reviewed=reviewed,
        provider=provider,
        url=at,
        task=task,
        summary=summary or (known.summary if known else task),
        inputs=kept,
        scope=wanted,
        deliverables=named,
        criteria=dict(criteria),
        sbom=sbom or (known.sbom if known else None),
        verifier=verifier,
        arbiter=arbiter,
        c2pa=c2pa is not None,
        max_bytes=max_bytes,
        anchors=tuple([await agent.artifacts.put(one) for one in anchors]),
        opening=first,
        ceiling=ceiling,
        continues=await named_withdrawal(agent.ledger, continues, provider) if continues is not None else None,
        timing=_timing(finish_seconds, decide_seconds),
        subcontracting=subcontracting,
        onward=onward,
        probe=probe,
    )


async def checked_demands(
    parties: tuple[Did, Did],
    task: str = "",
    *,
    verifier: Did | None,
    arbiter: Did | None,
    sbom: str | None,
    c2pa: Sequence[Path | bytes | str] | None,
    mark: str = "",
) -> list[bytes]:
    """The certificates of `c2pa`, in DER, once all that is demanded with the work can be demanded and checked: as in
    `hire_order`. `mark` stands before the name of each in what is said of it.

    Raises:
        ConfigurationError: `bad_configuration`, one is not usable; `missing_extra`, what checks it is not installed.
    """
    if isinstance(c2pa, str | bytes) or not isinstance(c2pa, Sequence | None):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        text = f"{mark}c2pa: expected a list of files with certificates, or of their bytes, got {c2pa!r:.60}"
        raise _unusable(text)
    if c2pa is not None and find_spec("c2pa") is None:
        text = f"{mark}c2pa: checking C2PA manifests needs the extra: undersigned[c2pa]"
        raise ConfigurationError("missing_extra", text)
    for third, name in ((verifier, "verifier"), (arbiter, "arbiter")):
        if third is not None:
            _check_third(third, parties, name, mark)
    if sbom is not None:
        _check_format(sbom, f"{mark}sbom")
    elif (known := TASKS.get(task)) is not None and known.sbom is not None:
        _check_format(known.sbom, f"{mark}task {task}")
    return await _anchors(c2pa or (), f"{mark}c2pa")


def _unusable(text: str) -> ConfigurationError:
    return ConfigurationError("bad_configuration", text)


def _check_provider(provider: Did, agent: Agent) -> None:
    try:
        parse_did(provider)
    except (UndersignedError, TypeError, AttributeError) as exc:
        raise _unusable(f"expected the provider's DID, got {provider!r}") from exc
    if provider == agent.identity.did:
        raise _unusable(f"{provider} is this agent itself, and nobody hires itself")


def _check_kind(name: str, given: object, kind: type, what: str, *, optional: bool) -> None:
    """Returns if what a caller gave is of the kind that the signature says, which nobody checks in its code."""
    if given is None and optional:
        return
    if not isinstance(given, kind) or isinstance(given, bool):
        raise _unusable(f"{name}: expected {what}, got {given!r:.60}")


def _check_function(name: str, given: object) -> None:
    """Returns if it can be called with one argument and awaited: what nobody can call is known before it is asked."""
    if given is None:
        return
    why = why_not_async(given)
    if why is None and callable(given) and not takes_one(given):
        why = f"{getattr(given, '__qualname__', given)!s:.80} takes no argument, or more than that"
    if why is not None:
        text = f"{name}: expected a function that is awaited, such as `async def {name}(...)`; {why}"
        raise _unusable(text)


def _check_criterion(key: object, text: object) -> None:
    try:
        to_struct({"id": key, "text": text}, Criterion)
    except FormatError as exc:
        what = exc.message if exc.path == "/text" else "expected a name of a-z, 0-9 and -, such as 'lists-every-file'"
        raise _unusable(f"criteria: {key!r:.80}: {what}") from exc


def _check_known(
    task: str, known: KnownTask, inputs: Mapping[str, object], criteria: object, named: Sequence[Deliverable]
) -> None:
    """Returns if the program that looks at a known task can: of anything else it says nothing, and by silence the price
    is owed, whatever came.
    """
    if criteria:
        text = f"criteria: the task {task} has criteria of its own, which are looked at by program: leave them out, or "
        raise _unusable(f"{text}give review, which looks at yours")
    if missing := [name for name in known.inputs if name not in inputs]:
        raise _unusable(f"inputs: the task {task} needs {', '.join(missing)}")
    if known.deliverable not in [one.name for one in named]:
        text = f"deliverable: the program that looks at the task {task} looks at {known.deliverable}"
        raise _unusable(f"{text}: leave it out, or give review, which looks at another")


def _check_members(settlement: Settlement) -> None:
    """Returns if what its members and its milestones hold is of the kind that they say."""
    try:
        to_struct(from_struct(settlement), Settlement)
    except FormatError as exc:
        raise _unusable(f"settlement{exc.path or ''}: {exc.message}") from exc
    except TypeError as exc:  # what has no form on the wire
        raise _unusable(f"settlement: {exc}") from exc


def _prices(price: str, opening: str | None) -> tuple[Price, Price | None]:
    """The most that is paid, and what is offered first."""
    ceiling = parse_price(price, "price")
    if opening is None:
        return ceiling, None
    first = parse_price(opening, "opening")
    if first.currency != ceiling.currency:
        raise _unusable("the opening price and the limit are in two currencies")
    if compare_amounts(first.amount, ceiling.amount) > 0:
        raise _unusable(f"opening: {opening} is more than the price, {price}, and nothing above that is paid")
    return ceiling, first


def _agreed(
    settlement: Settlement, agent: Agent, named: Sequence[Deliverable], criteria: Mapping[str, str]
) -> Settlement:
    """The settlement, if this side can settle so, and its milestones are of criteria that there are."""
    _check_members(settlement)
    try:
        agent.settlements.check(settlement)
        check_milestones(settlement.milestones, [*criteria, *(one.id for item in named for one in item.criteria)])
    except UndersignedError as exc:
        raise _unusable(f"settlement: {exc.message}") from exc
    return settlement


def _timing(finish_seconds: int, decide_seconds: int | None) -> Timing:
    if finish_seconds < 1:
        raise _unusable(f"expected at least a second to finish, got {finish_seconds}")
    usual = Timing(finish_seconds=finish_seconds, until_seconds=finish_seconds + 3600)
    if decide_seconds is None:
        return usual
    if decide_seconds < 1:
        raise _unusable(f"expected at least a second to decide, got {decide_seconds}")
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
    if not isinstance(deliverable, str | Sequence | None):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
        text = f"deliverable: expected a name, or several; got {deliverable!r:.60}"
        raise _unusable(text)
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
        if isinstance(one, str) and "-----BEGIN" in one:
            one = one.encode()  # what is in a file, and not its name
        data = one if isinstance(one, bytes) else await _read(Path(one), what)
        try:
            found += [each.public_bytes(Encoding.DER) for each in load_pem_x509_certificates(data)]
        except ValueError as exc:
            named = what if isinstance(one, bytes) else f"{what} {one}"
            raise _unusable(f"{named}: expected certificates in PEM: {exc}") from exc
    return found


def _check_third(third: Did, parties: tuple[Did, Did], name: str, mark: str) -> None:
    try:
        parse_did(third)
    except (UndersignedError, TypeError, AttributeError) as exc:
        raise _unusable(f"{mark}{name}: expected a DID, got {third!r:.200}") from exc
    try:
        fetches(third, local=True)
    except UndersignedError as error:
        # Its signature could never be checked. A method that is unknown here may be one of a resolver.
        if error.code != "did_unresolvable":
            raise _unusable(f"{mark}{name}: {error.message}") from error
    if third in parties:
        text = f"{mark}{name}: the {name} is neither the hirer nor the provider"
        raise _unusable(text)


def _check_format(sbom: str, what: str) -> None:
    """What is asked for is checked when it comes, so it can be."""
    needs = SBOM_FORMATS.get(sbom) if isinstance(sbom, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
    if needs is None:
        raise _unusable(f"{what}: expected {' or '.join(SBOM_FORMATS)}, got {sbom!r:.80}")
    if find_spec(needs.library) is None:
        text = f"{what}: checking {sbom} needs the extra: undersigned[{needs.extra}]"
        raise ConfigurationError("missing_extra", text)


async def _input(agent: Agent, name: str, given: Path | bytes | str) -> OrderInput:
    """Puts an input into the store; of a file no more than a few pieces are held."""
    checked_name("input", name)
    if not isinstance(given, bytes | str | Path):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise _unusable(f"input {name}: expected a path or bytes, got {given!r:.60}")
    most = agent.max_artifact_bytes
    try:
        if not isinstance(given, bytes):
            digest = (await agent.artifacts.put_file(Path(given), max_bytes=most)).digest
        elif len(given) <= most:
            digest = await agent.artifacts.put(given)
        else:
            raise too_large(most)
    except (OSError, ValueError) as exc:  # of a name that no file can have
        hint = "; a str is a path here, and a text has to be encoded" if isinstance(given, str) else ""
        raise _unusable(f"input {name}: {str(given)!r:.200}: {why(exc)}{hint}") from exc
    except FormatError as exc:
        raise _unusable(f"input {name}: {exc.message}; [artifacts] max_bytes of the settings says so") from exc
    return OrderInput(name=name, digest=digest, uri=agent.artifact_url(digest))


async def _read(path: Path, what: str) -> bytes:
    try:
        return await asyncio.to_thread(read_file, path)
    except OSError as exc:
        raise _unusable(f"{what}: {path}: {why(exc)}") from exc
