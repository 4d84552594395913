"""The decisions in a ledger, and each made again from what the ledger kept: no network, no key, no wall clock.

Presentation and terms are in the journal; everything else that a decision names is evidence, by digest. So it works
beside a running peer and years later, from a ledger opened for reading.

Source: protocol-spec/12-trust.md, section 12.13
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import msgspec

from undersigned.contract import ReleaseDocument, Terms, rebase
from undersigned.credentials import read_credential, read_presentation, signed_document
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    Digest,
    EngagementId,
    JsonObject,
    decode_json,
    digest_bytes,
    write_canonical,
)
from undersigned.errors import ConfigurationError, LedgerError, UndersignedError
from undersigned.ledger import Ledger, Row
from undersigned.messages import Offer, Presentation, recorded_message
from undersigned.scope import SKETCH_BASE
from undersigned.trust import (
    Anchors,
    Answers,
    Decision,
    Difference,
    Policy,
    Restored,
    answers_again,
    differences,
    replay,
)

__all__ = [
    "DecisionBasis",
    "RecordedDecision",
    "Replayed",
    "decision_named",
    "kept_document",
    "names",
    "recorded_decisions",
    "replay_decision",
]

SHORTEST_PART = 6
"""Characters of a digest that name a decision."""
T = TypeVar("T")


class RecordedDecision(msgspec.Struct, frozen=True):
    """A decision as the journal has it."""

    engagement: EngagementId
    place: int
    """Its line of the journal."""
    raw: bytes
    decision: Decision

    @property
    def id(self) -> Digest:
        """What the command names it by: the decision's digest."""
        return self.decision.digest


class DecisionBasis(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision would be made by today."""

    policy: Policy
    anchors: Anchors
    own: tuple[Did, ...]
    """Our agent's DID and our organisation's."""


class Replayed(msgspec.Struct, frozen=True):
    """What came of making a decision again."""

    decision: Decision | None
    """None if an input is not what it was, so that there is nothing to make it from."""
    differences: tuple[Difference, ...]
    """None of them: the same bytes."""

    @property
    def same(self) -> bool:
        """Whether it came out as recorded."""
        return not self.differences


async def recorded_decisions(ledger: Ledger, engagement: EngagementId | None = None) -> tuple[RecordedDecision, ...]:
    """All decisions, or those of one engagement: by engagement, oldest first.

    Raises:
        LedgerError: `store_corrupt`.
    """
    names = [engagement] if engagement else [summary.engagement for summary in await ledger.summaries()]
    return tuple([_read(row) for name in names for row in await ledger.rows(name) if _is_decision(row)])


async def decision_named(ledger: Ledger, text: str) -> RecordedDecision:
    """The decision that `text` names: its digest, or a part of it that no other has. Equal ones are one.

    Raises:
        ConfigurationError: `not_found`, none is named, or more than one.
        LedgerError: `store_corrupt`.
    """
    every = {one.id: one for one in await recorded_decisions(ledger)}
    found = [one for id, one in every.items() if names(text, id)]
    if not found:
        raise ConfigurationError("not_found", f"no decision {text[:100]!a} in this ledger: see 'decision list'")
    if len(found) > 1:
        raise ConfigurationError("not_found", f"{text[:100]!a} names {len(found)} decisions: write more of the id")
    return found[0]


async def replay_decision(
    ledger: Ledger, own: Did, recorded: RecordedDecision, in_force: DecisionBasis | None = None
) -> Replayed:
    """The decision made again, from what the ledger kept; with `in_force`, by that policy and those anchors instead.

    Raises:
        UndersignedError: `not_found`: an input is not in the ledger. A decision without its inputs is not made again.
        LedgerError: `store_corrupt`: the journal itself was changed.

    Source: protocol-spec/12-trust.md, section 12.13
    """
    gathering = Gathering(ledger, recorded.decision)
    given = await gathering.given(own, recorded, await ledger.rows(recorded.engagement))
    if given is None:
        return Replayed(None, tuple(gathering.damaged))
    changed: tuple[Difference, ...] = ()
    if in_force is not None:
        changed = (
            *differences("policy", given.policy, in_force.policy),
            *differences("anchors", given.anchors, in_force.anchors),
        )
        answers = given.answers
        if (given.anchors, given.policy.refuse) != (in_force.anchors, in_force.policy.refuse):
            refused = frozenset(in_force.policy.refuse)
            answers = answers_again(answers, in_force.anchors, in_force.own, recorded.decision.at, refused)
        given = msgspec.structs.replace(given, policy=in_force.policy, anchors=in_force.anchors, answers=answers)
    try:
        again = replay(recorded.decision, given)
    except UndersignedError as error:
        return Replayed(None, (*changed, Difference("decision", recorded.decision.outcome, f"none: {error}")))
    if msgspec.json.encode(again) == recorded.raw:
        return Replayed(again, changed)
    found = differences("decision", recorded.decision, again)
    return Replayed(again, (*changed, *found) or (Difference("bytes", "other bytes", "the same members"),))


def names(text: str, digest: Digest) -> bool:
    """Whether `text` is a digest, or a part of it that is long enough to name it."""
    return text == digest or (len(text) >= SHORTEST_PART and text in digest)


class Gathering:
    """Looks up what a decision names, and remembers what was damaged."""

    def __init__(self, ledger: Ledger, decision: Decision) -> None:
        self._ledger = ledger
        self._inputs = decision.inputs
        self.damaged: list[Difference] = []

    async def given(self, own: Did, recorded: RecordedDecision, rows: tuple[Row, ...]) -> Restored | None:
        """What was kept; None if some of it is not what it was."""
        inputs = self._inputs
        shown = _presentation(rows, inputs.presentation)
        policy = await self._kept("policy", inputs.policy, _of(Policy))
        anchors = await self._kept("anchors", inputs.anchors, _of(Anchors))
        answers = Answers()
        if inputs.answers is not None:
            answers = await self._kept("answers of the trust graph", inputs.answers, _of(Answers))
        read = read_presentation(shown.presentation)
        in_it = {credential.digest for credential in read.credentials}
        links = {
            digest: await self._kept("credential of a link", digest, signed_document)
            for digest in inputs.looked_up
            if digest not in in_it
        }
        issuers = {read_credential(link).issuer for link in links.values() if link is not None}
        derived = {document_from(did, {}).raw_digest for did in issuers.union(read.parties) if is_derived(did)}
        documents = [
            await self._kept("DID document", digest, kept_document)
            for digest in inputs.documents
            if digest not in derived
        ]
        lists = {digest: await self._kept("status list", digest, signed_document) for digest in inputs.status_lists}
        logs = {file.digest: await self._kept(f"history at {file.url}", file.digest, bytes) for file in inputs.logs}
        terms = None
        if inputs.terms is not None:
            terms = _terms(rows, inputs.terms) or await self._kept("terms", inputs.terms, _of(Terms))
        if self.damaged:
            return None
        return Restored(
            own=own,
            engagement=recorded.engagement,
            challenge=shown.answers,
            presentation=shown.presentation,
            terms=terms,
            policy=cast("Policy", policy),
            anchors=cast("Anchors", anchors),
            answers=cast("Answers", answers),
            links=cast("dict[Digest, JsonObject]", links),
            documents=tuple(cast("list[DidDocument]", documents)),
            lists=cast("dict[Digest, JsonObject]", lists),
            logs=cast("dict[Digest, bytes]", logs),
        )

    async def _kept(self, what: str, digest: Digest, read: Callable[[bytes], T]) -> T | None:
        try:
            raw = await self._ledger.blob(digest)
            found = digest if raw is None else digest_bytes(raw)
        except LedgerError as error:
            if error.code != "store_corrupt" or "found" not in error.detail:
                raise
            raw, found = b"", str(error.detail["found"])
        if raw is None:
            raise UndersignedError("not_found", f"the {what} {digest} that the decision names is not in this ledger")
        if found != digest:
            self.damaged.append(Difference(what, digest, f"damaged, the bytes kept are of {found}"))
            return None
        return read(raw)


def _is_decision(row: Row) -> bool:
    return row.kind == "noted" and row.type == "decision"


def _read(row: Row) -> RecordedDecision:
    try:
        return RecordedDecision(row.engagement, row.place, row.raw, msgspec.json.decode(row.raw, type=Decision))
    except msgspec.MsgspecError as exc:
        raise LedgerError("store_corrupt", f"line {row.place} of {row.engagement} is no decision: {exc}") from exc


def _presentation(rows: tuple[Row, ...], digest: Digest | None) -> Presentation:
    """The presentation of this digest among the moves that came."""
    for row in rows:
        if row.kind == "received" and row.type == "Presentation":
            message = recorded_message(row.raw).message
            if isinstance(message, Presentation) and read_presentation(message.presentation).digest == digest:
                return message
    raise UndersignedError("not_found", f"the presentation {digest} that the decision names is not in the journal")


def _terms(rows: tuple[Row, ...], digest: Digest) -> Terms | None:
    """The terms of this digest among the offers of both sides.

    What we offer is judged before it has its own ids: with those of a draft, or of the offer that it answers.
    """
    offered: list[Terms] = []
    for row in rows:
        if row.kind != "noted" and row.type == "Offer":
            message = recorded_message(row.raw).message
            if isinstance(message, Offer) and not isinstance(message.document, ReleaseDocument):
                offered.append(message.document.terms)
    bases = (SKETCH_BASE, *(terms.id.removesuffix("#terms") for terms in offered))
    for terms in offered:
        for found in (terms, *(rebase(terms, base) for base in bases)):
            if digest_bytes(write_canonical(found)) == digest:
                return found
    return None


def _of(kind: type[T]) -> Callable[[bytes], T]:
    return lambda raw: msgspec.json.decode(raw, type=kind)


def kept_document(raw: bytes) -> DidDocument:
    """A DID document as it was kept."""
    value = cast("JsonObject", decode_json(raw, FOREIGN_LIMITS))
    return DidDocument(str(value.get("id")), raw)
