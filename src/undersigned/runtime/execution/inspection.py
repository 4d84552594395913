"""What is seen of a delivery: whether it holds, and which criteria it meets.

Source: protocol-spec/08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from undersigned.attestation import WorkPredicate, algorithms_named, verify_delivery
from undersigned.contract import ContractDocument
from undersigned.encoding import Digest, Instant
from undersigned.errors import FormatError, PolicyError, UndersignedError, VerificationError
from undersigned.ledger import Blob
from undersigned.messages import Delivery, Review, Start
from undersigned.protocol import HIRER
from undersigned.runtime.artifacts.contents import Contents
from undersigned.runtime.artifacts.delivered_evidence import check_bills, check_media
from undersigned.runtime.artifacts.store import of_store
from undersigned.runtime.artifacts.transfers import Transfers
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.documents import document_blob

from .patience import Patience
from .reviewers import said_by_function, word_of

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["Inspection"]

_log = structlog.get_logger()

HANDED_OVER_SECONDS: Final = 300
"""How long one thing may take to come that was handed over by who did not finish."""


class Inspection:
    """What the last look at a delivery saw; of one that ended early, what it found so far. What the hirer's own
    function said is kept for the next look: it may cost money, or a person's time.
    """

    def __init__(
        self,
        agent: Agent,
        conversation: Conversation,
        delivery: Delivery,
    ) -> None:
        self._agent = agent
        store, ask, locate = agent.artifacts, agent.other_side.open, agent.whereabouts.artifact_url
        self.transfers = Transfers(store, ask, locate, conversation.id, delivery.contract)
        self.patience = Patience(agent.clock, conversation, agent.links.connected)
        self.conversation, self.delivery = conversation, delivery
        self.by: tuple[Blob, ...] = ()
        """The provider's DID document, by which it looked."""
        self.statements: tuple[Digest, ...] = ()
        """Those that hold."""
        self.met: Mapping[str, bool] | None = None
        """Which criteria are met; None where nobody looked."""
        self._said: Mapping[str, bool] | None = None
        """The answer of the hirer's own function, once it gave one."""
        self._refused: FormatError | VerificationError | None = None
        """What it raised in place of one, by which the delivery does not hold."""

    async def look(self, now: Instant, met: Mapping[str, bool] | None) -> None:
        """Looks whether the delivery holds, and which criteria it meets; `met` is what a person said of these.

        Raises:
            UndersignedError: It does not hold, or that cannot be seen now (`retryable`).
            NoVerdict, Again: As `said_by_function` and `Patience.had`.
        """
        self.by, self.statements, self.met = (), (), self._met_before()
        artifacts, outcome = await self._held(now), self.delivery.outcome
        # Of what was not finished only what a part of the price is owed for is asked about.
        if outcome == "complete" or self.conversation.offered().terms.settlement.milestones:
            met = met if met is not None else word_of(self.conversation.facts, self.delivery.round)
            self.met = met if met is not None else await self._asked(artifacts)
        if outcome != "complete":
            raise _unfinished(outcome)

    def _met_before(self) -> Mapping[str, bool] | None:
        """What we found met before we asked for rework, where nothing came of that: by this milestones are owed, as if
        the time for it had passed (HIRE-PAY-03). None of what is looked at now, and of what nobody looked at.
        """
        if self.delivery.artifacts or not self.conversation.said("Review", HIRER):
            return None
        return {one.id: one.met for one in self.conversation.last("Review", Review, HIRER).criteria}

    async def _held(self, now: Instant) -> Contents:
        """What was delivered, once it holds by one of the documents that it is held against. The first that fails
        says why it does not. Raises as `look`.
        """
        failure: UndersignedError | None = None
        for document in self.conversation.delivered_under():
            try:
                return await self._held_by(document, now)
            except UndersignedError as error:
                if error.retryable or of_store(error):
                    raise
                failure = failure or error
        assert failure is not None  # noqa: S101  (one document at least is in force)
        raise failure

    async def _held_by(self, document: ContractDocument, now: Instant) -> Contents:
        agent, conversation, delivery = self._agent, self.conversation, self.delivery
        peer, asked = conversation.engagement.peer, document.terms.evidence
        artifacts = await self._fetched(document)
        provider = agent.known_document(peer) or await self.patience.had(agent.document_of(peer))
        await conversation.require_document(provider)
        # What the statements were held against is evidence with the verdict: no message may ever come by it.
        self.by = (document_blob(provider),)
        published, named = provider.keys("assertionMethod", now=now), document.methods.provider
        # HIRE-ATT-02: only keys that the contract lists speak for the provider.
        keys = {method: key for method, key in published.items() if method in named}
        if not keys:
            came = ", ".join(published) or "none"
            text = f"the contract names {', '.join(named)} for its statements; published now: {came}"
            raise VerificationError("attester_not_trusted", text)
        verified = verify_delivery(
            delivery.statements,
            attester=peer,
            keys=keys,
            contract=delivery.contract,
            artifacts=await artifacts.stated(partial(algorithms_named, delivery.statements)),
            required=asked.predicates or (WorkPredicate.PREDICATE_TYPE,),
            engagement=conversation.engagement.id,
            task=document.terms.task.kind,
            inputs=[given.digest for given in conversation.last("Start", Start, "hirer").inputs],
            usage=[(one.clause, one.unit, one.amount) for one in delivery.usage],
        )
        self.statements = tuple(one.digest for one in verified)
        if asked.sbom is not None and delivery.outcome == "complete":
            given = agent.hirer.order(conversation).inputs
            await check_bills(asked.sbom, delivery, artifacts, {item.name: item.digest for item in given})
        if asked.c2pa and delivery.outcome == "complete":
            await check_media(document, delivery, artifacts, keys, agent.artifacts)
        return artifacts

    async def _asked(self, artifacts: Contents) -> Mapping[str, bool] | None:
        """As `said_by_function`, which is asked until it has said something."""
        if self._refused is not None:
            raise self._refused.with_traceback(None)  # or each look would add to it
        if self._said is None:
            try:
                self._said = await said_by_function(self._agent, self.conversation, artifacts)
            except (FormatError, VerificationError) as error:
                if not (error.retryable or of_store(error)):
                    self._refused = error
                raise
        return self._said

    async def _fetched(self, document: ContractDocument) -> Contents:
        """What was delivered, in our store, once it is whole and what this document asks for; of work that was not
        finished, what there is of that.

        Raises:
            PolicyError, VerificationError: It is not.
        """
        agent, conversation, delivery = self._agent, self.conversation, self.delivery
        peer = conversation.engagement.peer
        wanted = {item.name: item.max_bytes for item in document.terms.deliverables}
        delivered = {artifact.name: artifact.digest for artifact in delivery.artifacts}
        complete = delivery.outcome == "complete"
        if not complete and not delivered:
            raise _unfinished(delivery.outcome)
        if len(delivered) < len(delivery.artifacts):
            raise VerificationError("digest_mismatch", "two artifacts of the delivery have one name")
        if complete and (missing := wanted.keys() - delivered.keys()):
            raise VerificationError("digest_mismatch", f"not delivered: {', '.join(sorted(missing))}")
        if unasked := delivered.keys() - wanted.keys():
            # No contract bounds how much they are (SC-69), so none of it is fetched.
            names = ", ".join(sorted(unasked))
            raise VerificationError("terms_mismatch", f"delivered and not agreed on: {names:.200}")
        for artifact in delivery.artifacts:
            most = wanted[artifact.name] or agent.max_artifact_bytes
            tell = agent.watchers.tells(conversation, artifact.name, artifact.digest)
            fetching = self.transfers.fetch(peer, artifact.uri, artifact.digest, most, tell)
            await (self.patience.had(fetching) if complete else _had_once(fetching, delivery.outcome))
            _log.info("artifact kept", engagement=conversation.id, name=artifact.name, digest=artifact.digest)
        return await Contents.of(agent.artifacts, delivered)


def _unfinished(outcome: str, why: str = "") -> PolicyError:
    return PolicyError("upstream_failed", f"the provider did not finish: the delivery is {outcome}{why}")


async def _had_once(fetching: Awaitable[None], outcome: str) -> None:
    """Returns once it came. What was not finished is rejected in any case, so nobody waits long for what there is.

    Raises:
        PolicyError: It did not come.
        LedgerUnavailable: A store of ours failed.
    """
    limit = asyncio.timeout(HANDED_OVER_SECONDS)
    try:
        async with limit:
            await fetching
    except TimeoutError as exc:
        if not limit.expired():
            raise
        raise _unfinished(outcome, ", and what there is of it did not come in time") from exc
    except UndersignedError as error:
        if of_store(error):
            raise
        raise _unfinished(outcome, f", and what there is of it was not had: {error}") from error
