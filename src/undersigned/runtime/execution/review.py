"""The hirer's review of what was delivered.

It runs beside the conversation and comes back with one move. After a restart the conversation asks for it again, and it
is made anew.

Source: protocol-spec/08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from undersigned.attestation import accepted, verify_acceptance
from undersigned.contract import ContractDocument, plain
from undersigned.did import DidDocument, keys_of
from undersigned.encoding import Did, EngagementId, JsonObject
from undersigned.errors import (
    ConfigurationError,
    LocalProtocolError,
    PolicyError,
    ProofError,
    UndersignedError,
    VerificationError,
)
from undersigned.ledger import Blob
from undersigned.messages import CriterionVerdict, Delivery, Review
from undersigned.protocol import HIRER, Engagement, verifiers
from undersigned.runtime.application import in_short
from undersigned.runtime.artifacts.store import of_store
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.documents import document_blob, recorded_documents
from undersigned.runtime.engagement.receiving import Receiver
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import Event, Say, fact, noting
from undersigned.runtime.fetching.gather import FRESH_SECONDS

from .inspection import Inspection
from .patience import RETRY_SECONDS, TryAgain
from .reviewers import REVIEW_WORD, NoReviewer, NoVerdict, Word, wrongly_said

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["REVIEW_FAILED", "Reviews"]

_log = structlog.get_logger()

LONGEST_RETRY_SECONDS: Final = 60.0
"""Most time between attempts of a review whose function fails, or for which something cannot be fetched."""
REVIEW_FAILED: Final = "review-failed"
"""Fact: why our review could not be made when that was tried last."""
REVIEW_WAITS: Final = "review-waits"
"""Fact: what of a delivery could not be fetched, and is asked for again."""
MAX_TOLD: Final = 8
"""How many reasons of one review are noted: a server can think of more."""
MAX_WHY: Final = 1024
"""Characters of a reason that are kept."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the hirer's own check of one delivery found."""

    round: int
    met: Mapping[str, bool] | None
    """Which criteria are met, by the hirer's own function; None where nobody looked."""
    error: UndersignedError | None
    """Why the delivery does not hold, if it does not."""
    raised: str | None
    """Why the hirer's own function could say nothing, if it could not; it is called again."""
    by: tuple[Blob, ...] = ()
    """The provider's DID document, by which that was found."""


class Reviews:
    """Makes the reviews of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._begun: dict[EngagementId, set[int]] = {}
        """Round of each that was begun here: a turn that was not stored asks for one again."""
        self._found: dict[EngagementId, Found] = {}
        """What our own check of a delivery found, while the verifier that the terms name has not spoken."""

    def forget(self, engagement: EngagementId) -> None:
        """It is put away, and waits for no review any more."""
        self._begun.pop(engagement, None)
        self._found.pop(engagement, None)

    async def review(self, conversation: Conversation, delivery: Delivery) -> None:
        """Fetches what was delivered, checks it and its statements, then sends the `Review`."""
        await conversation.settled()
        begun = self._begun.setdefault(conversation.id, set())
        if delivery.round in begun:
            return
        begun.add(delivery.round)
        pause = RETRY_SECONDS
        await self._agent.subcontracts.reviewer(conversation)
        told = set[tuple[object, ...]]()
        seen = Inspection(self._agent, conversation, delivery)
        async with seen.transfers:
            while True:
                try:
                    said = await self._review(seen)
                    if said is not None:
                        await conversation.say(said)
                    return
                except TryAgain as again:
                    if not _waits(conversation.engagement, delivery):
                        return
                    await self._wait_told_of(conversation, again.error, told)
                    await asyncio.sleep(seen.patience.pause(pause))
                    pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                    if conversation.over or not _waits(conversation.engagement, delivery):
                        return
                except Exception as error:
                    if isinstance(error, LocalProtocolError):
                        with suppress(LocalProtocolError):
                            await conversation.settled()  # what came in the same turn may have ended the wait
                    closing = isinstance(error, LocalProtocolError) and error.retryable
                    if closing or conversation.over or not _waits(conversation.engagement, delivery):
                        _log.warning("a review was not sent", engagement=conversation.id, error=str(error))
                        return
                    if isinstance(error, UndersignedError) and (error.retryable or of_store(error)):
                        # Not being able to look is no verdict; the review's own deadline ends this.
                        self._tell_of_ours(conversation, error, told)
                        seen.transfers.doubt(error.detail.get("stored"))
                        await asyncio.sleep(RETRY_SECONDS)
                        continue
                    # A defect of our own program is none of the work, for which the provider is not to lose its pay;
                    # nor may a review that was made and could not be signed end in silence, which accepts.
                    if not await self._told_of(conversation, error, told):
                        return
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_RETRY_SECONDS)
                    if not _waits(conversation.engagement, delivery):
                        return

    async def by_person(self, conversation: Conversation, said: Mapping[str, object]) -> Say:
        """The `Review` in which a person said which criteria are met. If the verdict is somebody else's, whom the terms
        name, what is noted of it until then: our function is not asked again, nor after a restart.

        Raises:
            ConfigurationError: `bad_configuration`: a criterion is left out, or the contract has none of that name.
            LocalProtocolError: `wrong_state`: no delivery waits for our review.
            PolicyError: `decision_failed`: a defect of ours keeps us from looking.
            UndersignedError: What was delivered, or a document, cannot be had now.
        """
        _require_ours(conversation.engagement)
        delivery = conversation.last("Delivery", Delivery, "provider")
        ids = conversation.offered().terms.criteria
        met = {id: said.get(id) is True for id in ids}
        if wrong := wrongly_said(said, ids):
            text = f"the contract's criteria are {', '.join(ids)}" if ids else "the contract has no criteria"
            raise ConfigurationError("bad_configuration", f"{text}; {'; '.join(wrong)}")
        seen = Inspection(self._agent, conversation, delivery)
        async with seen.transfers:
            try:
                review = await self._review(seen, met)
            except TryAgain as again:
                raise again.error from again
            except NoVerdict as error:
                raise PolicyError("decision_failed", str(error)) from error
        return review or noting(fact(REVIEW_WORD, Word(delivery.round, met)))

    async def _told_of(self, conversation: Conversation, error: Exception, told: set[tuple[object, ...]]) -> bool:
        """Whether it can still be reviewed; why it was not is logged, noted for whoever waits, and said once. That
        nobody is there to review is logged once, too: it fails at nothing, and comes again until a person says it.
        """
        why, cause = plain(in_short(error), MAX_WHY), error
        if isinstance(error, NoVerdict):
            why, cause = plain(str(error), MAX_WHY), error.__cause__
        silence = "the contract says what our silence means"
        if not isinstance(error, NoReviewer):
            hint = f"it is tried again, or a person says it with 'contract review'; {silence}"
            _log.error("review failed", engagement=conversation.id, error=why, hint=hint, exc_info=cause)
        elif (NoReviewer,) not in told:
            told.add((NoReviewer,))
            contract = contract_of(conversation.engagement).digest
            hint = f"'undersigned contract show {contract}' has what is asked, 'contract review' answers it; {silence}"
            _log.warning("review waits for a person", engagement=conversation.id, why=why, hint=hint)
        if conversation.facts.get(REVIEW_FAILED) != why:
            try:
                await conversation.say(noting((REVIEW_FAILED, why)))
            except LocalProtocolError:
                return False  # it is over, or this side is closing
            except UndersignedError as exc:
                _log.error("why a review failed was not noted", engagement=conversation.id, error=str(exc))
        return True

    def _tell_of_ours(self, conversation: Conversation, error: UndersignedError, told: set[tuple[object, ...]]) -> None:
        """Says that something of our own is waited for, as `_wait_told_of`. Nothing is noted: where one store is full
        the other may be, too.
        """
        _log.warning("review waits", engagement=conversation.id, error=str(error))
        if (error.code,) in told:
            return
        told.add((error.code,))
        at, state = self._agent.clock.now(), conversation.engagement.state
        why = plain(str(error), MAX_WHY)
        self._agent.shell.happened(conversation, Event(conversation.id, "noted", REVIEW_WAITS, at, state, detail=why))

    async def _wait_told_of(
        self, conversation: Conversation, error: UndersignedError, told: set[tuple[object, ...]]
    ) -> None:
        """Says what is waited for: in the log each time, and to whoever watches once for each kind of failure."""
        hint = "it is fetched again; if it never comes, the delivery is rejected shortly before the review's end"
        _log.warning("review waits", engagement=conversation.id, error=str(error), hint=hint)
        kind = (error.code, error.detail.get("status"), error.detail.get("told"))
        if kind in told or len(told) == MAX_TOLD:
            return
        told.add(kind)
        try:
            await conversation.say(noting((REVIEW_WAITS, plain(str(error), MAX_WHY))))
        except UndersignedError as exc:
            _log.warning("what a review waits for was not noted", engagement=conversation.id, error=str(exc))

    async def _review(self, seen: Inspection, met: Mapping[str, bool] | None = None) -> Say | None:
        """The `Review`; None if the verdict is somebody else's, whom the terms name. `met` is what a person said in
        place of our function.
        """
        agent, now = self._agent, self._agent.clock.now()
        conversation, delivery = seen.conversation, seen.delivery
        engagement, document = conversation.engagement, conversation.offered()
        failed: UndersignedError | None = None
        raised: NoVerdict | None = None
        again: TryAgain | None = None
        reasons: tuple[tuple[str, str], ...] = ()
        try:
            await seen.look(now, met)
        except UndersignedError as error:
            if error.retryable or of_store(error):
                raise
            if isinstance(error, ConfigurationError):
                # What is missing on our side says nothing of the work.
                raised = NoVerdict(str(error))
                raised.__cause__ = error
            else:
                # Whoever waits or watches hears it as `rejected`; and often it is the provider that says so itself.
                _log.info("delivery does not hold", engagement=conversation.id, error=str(error))
                failed = error
                reasons = (("rejected", str(error)),)
        except NoVerdict as error:
            raised = error
        except TryAgain as error:
            if error.error.retryable:
                raise
            again, failed = error, error.error  # the verifier's no can be carried meanwhile
        except Exception as exc:
            # A defect of ours, which must not end in silence: that would accept what nobody looked at.
            raised = NoVerdict(in_short(exc))
            raised.__cause__ = exc
        if document.terms.evidence.verifier is not None and not conversation.over:
            before, why = self._found.get(conversation.id), None if raised is None else str(raised)
            self._found[conversation.id] = Found(
                round=delivery.round, met=seen.met, error=failed, raised=why, by=seen.by
            )
            if before is None or before.round != delivery.round:
                await conversation.say(noting(("verdict-awaited", document.terms.evidence.verifier)))
        if again is not None:
            raise again
        if raised is not None:
            raise raised  # the verifier may speak meanwhile, and what it says may need what we find
        if document.terms.evidence.verifier is not None:
            return None
        criteria = _criteria_of(document, seen.met, failed)
        passed = failed is None and all(criterion.met for criterion in criteria)
        predicate = accepted(
            contract=delivery.contract,
            document_id=document.id,
            verifier=agent.identity.did,
            passed=passed,
            statements=seen.statements,
            time_verified=now,
        )
        # A statement has a subject; when nothing was delivered it is about the contract itself.
        subjects = {artifact.name: artifact.digest for artifact in delivery.artifacts}
        statement = await agent.papers.stated(subjects or {"contract": delivery.contract}, predicate)
        return _reviewed(
            engagement,
            document,
            delivery,
            passed,
            criteria,
            statement,
            failed,
            facts=reasons,
            evidence=seen.by,
        )

    async def judged(self, conversation: Conversation, statement: JsonObject) -> Say:
        """The `Review` with this statement of the verifier that the terms name, once it is one.

        Raises:
            LocalProtocolError: `terms_mismatch`: the terms name none; `wrong_state`: nothing waits for it.
            PolicyError: `decision_failed`: it is a no, and our own review, by which milestones are owed, failed.
            VerificationError, FormatError: It is none; or it accepts what does not hold, with that code.
        """
        engagement, document = conversation.engagement, conversation.offered()
        verifier = document.terms.evidence.verifier
        if verifier is None:
            raise LocalProtocolError("terms_mismatch", "the terms name no verifier: the hirer judges, and did")
        _require_ours(engagement)
        delivery = conversation.last("Delivery", Delivery, "provider")
        found = self._found.get(conversation.id)
        if found is None or found.round != delivery.round:
            raise LocalProtocolError("wrong_state", "our own check of the delivery is not done: say it again then")
        kept, passed = await self._verdict(engagement, statement, delivery, verifier)
        if passed and found.error is not None:
            text = f"the verifier accepts what does not hold: {found.error.message}"
            raise VerificationError(found.error.code, text)
        if not passed and found.raised is not None and document.terms.settlement.milestones:
            # The no is the verifier's; which milestones were reached all the same our own review has to say.
            text = f"it is a no, and our own review, which says what milestones are owed, failed: {found.raised}"
            raise PolicyError("decision_failed", f"{text}; it is made again, and the verdict can be carried then")
        met = dict.fromkeys(document.terms.criteria, True) if passed else found.met
        criteria = _criteria_of(document, met, found.error)
        return _reviewed(
            engagement, document, delivery, passed, criteria, statement, found.error, evidence=(*kept, *found.by)
        )

    async def check_review(
        self,
        conversation: Receiver,
        engagement: Engagement,
        review: Review,
        document: DidDocument,
        delivery: Delivery,
    ) -> tuple[Blob, ...]:
        """Returns if the statement in a received `Review` is of who may make it, about what was delivered, under this
        contract: with the DID document of the verifier that the terms name, to be kept.

        Raises:
            VerificationError, FormatError: It is not.
        """
        failure, alone = None, conversation.records_only(self._agent.own, document)
        for named in verifiers(engagement, review):
            try:
                kept, passed = await self._verdict(engagement, review.statement, delivery, named, document, alone=alone)
                break
            except UndersignedError as error:
                failure = failure or error
        else:
            if failure is not None:
                raise failure
            return ()
        if passed != (review.verdict == "accepted"):
            result = "PASSED" if passed else "FAILED"
            raise VerificationError("terms_mismatch", f"a verdict of {review.verdict} with a statement of {result}")
        return kept

    async def _verdict(
        self,
        engagement: Engagement,
        statement: Mapping[str, Any],
        delivery: Delivery,
        named: Did | None,
        hirer: DidDocument | None = None,
        *,
        alone: bool = False,
    ) -> tuple[tuple[Blob, ...], bool]:
        """Whether a statement accepts a delivery, once it is that of `named`, or else of the `hirer`. `alone`: no
        document is recorded but ours of now and the hirer's.
        """
        agent, now = self._agent, self._agent.clock.now()
        parties = [agent.own]
        if named is not None:
            judge = await agent.document_of(named, max_age_seconds=FRESH_SECONDS)
            parties.append(hirer or await agent.document_of(engagement.peer))
        elif hirer is not None:
            judge = hirer
        else:
            raise LocalProtocolError("terms_mismatch", "the terms name no verifier")
        # A key that a party had before is the party's, too: a pack has all these documents.
        for party in () if alone else tuple(parties):
            parties += await recorded_documents(agent.ledger, engagement.id, party.id, party)
        verified = partial(
            verify_acceptance,
            statement,
            attester=judge.id,
            contract=delivery.contract,
            engagement=engagement.id,
            artifacts={artifact.name: artifact.digest for artifact in delivery.artifacts},
            statements=delivery.statements,
            # HIRE-ATT-06: nobody judges its own work, under whatever name.
            other_than={key for party in parties for key in party.signing_keys()},
        )
        try:
            _, passed = verified(keys=judge.keys("assertionMethod", now=now))
        except ProofError:
            if named is not None:
                raise
            # HIRE-ATT-02: signed again after a rotation, a review carries the statement that it carried.
            recorded = await recorded_documents(agent.ledger, engagement.id, judge.id, judge)
            _, passed = verified(keys=keys_of((judge, *recorded), "assertionMethod", now=now))
        return (document_blob(judge),) if named else (), passed


def _require_ours(engagement: Engagement) -> None:
    """Nothing, where a delivery waits for a review that this side sends.

    Raises:
        LocalProtocolError: `wrong_state`: none does.
    """
    if engagement.state != "delivered" or engagement.role != HIRER:
        text = f"no delivery waits for our review in state {engagement.state}, where we are the {engagement.role}"
        raise LocalProtocolError("wrong_state", text)


def _waits(engagement: Engagement, delivery: Delivery) -> bool:
    """Whether this delivery is the one that waits for its review."""
    contract = engagement.contract
    return engagement.state == "delivered" and contract is not None and contract.round == delivery.round


def _criteria_of(
    document: ContractDocument, met: Mapping[str, bool] | None, failed: UndersignedError | None
) -> tuple[CriterionVerdict, ...]:
    note = failed.code if failed is not None else None
    if met is None and note is None:
        note = "judged by the verifier, as a whole"
    is_met = (met or {}).get
    return tuple(CriterionVerdict(id=id, met=is_met(id, False), note=note) for id in document.terms.criteria)


def _reviewed(
    engagement: Engagement,
    document: ContractDocument,
    delivery: Delivery,
    passed: bool,
    criteria: tuple[CriterionVerdict, ...],
    statement: JsonObject,
    failed: UndersignedError | None,
    *,
    facts: tuple[tuple[str, str], ...] = (),
    evidence: tuple[Blob, ...] = (),
) -> Say:
    again = failed is None and delivery.round <= document.terms.reworks  # what does not hold is not asked for twice
    return Say(
        "Review",
        {
            "delivery": engagement.contract.delivery if engagement.contract is not None else None,
            "verdict": "accepted" if passed else "rework" if again else "rejected",
            "criteria": criteria,
            "statement": statement,
        },
        facts=facts,
        evidence=evidence,
    )
