"""Showing who we are, and judging who the other is: the present and evaluate phases.

A presentation answers the move that asked for it and shows what was asked and no more. What the peer showed is checked
before it is recorded; whether it is enough is a decision, which is recorded with its inputs by digest.

Source: protocol-spec/02-identity-and-keys.md, sections 2.6 to 2.8
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from undersigned.contract import Terms
from undersigned.credentials import (
    VerifiedPresentation,
    build_presentation,
    issuers_of,
    presentation_config,
    verify_presentation,
)
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, EngagementId, JsonObject, shift
from undersigned.errors import CredentialError, PolicyError
from undersigned.messages import Need, Presentation, PresentationRequest
from undersigned.proof import attach, prepare
from undersigned.protocol import Engagement
from undersigned.trust import Decision, Policy, evaluate

from .anchors import load_anchors
from .conversation import Conversation
from .turn import Say

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Meeting", "declined", "recorded"]

PRESENTATION_SECONDS = 600
FRESH_SECONDS = 300
"""How old the DID document of an issuer may be."""
_OF_A_CREDENTIAL = frozenset({"policy_denied", "status_unavailable", "did_unresolvable"})


class Meeting:
    """The present and evaluate phases of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.anchors = load_anchors(agent.home, agent.clock.now())
        self.policy: Policy = agent.home.configuration.policy
        self._credentials = agent.home.credentials()
        self._shown: dict[EngagementId, tuple[VerifiedPresentation, dict[Did, Digest]]] = {}
        """What was verified, and by which DID documents: nothing is verified twice while these stand."""

    def request(self) -> PresentationRequest:
        """What we ask to be shown: what our policy requires, by type and believed issuers."""
        now = self._agent.clock.now()
        return PresentationRequest(
            needs=tuple(
                Need(code="credential", credential=required, issuers=self.anchors.issuers(required, now=now) or None)
                for required in self.policy.require
            )
        )

    async def present(self, engagement: Engagement, asked: PresentationRequest, *, challenge: Digest) -> JsonObject:
        """A presentation that answers `asked` with the fewest credentials that do."""
        agent, identity = self._agent, self._agent.identity
        chosen: list[JsonObject] = []
        for need in asked.needs:
            found = next((c for c in self._credentials if _answers(c, need)), None)
            if found is not None and found not in chosen:
                chosen.append(found)
        now = agent.clock.now()
        unsigned = build_presentation(
            id=f"urn:uuid:{uuid4()}", holder=identity.did, engagement=engagement.id, credentials=chosen
        )
        talks = engagement.talks
        suite = talks.suite if talks is not None and talks.suite else identity.suite
        config = presentation_config(
            suite.replace("rdfc", "jcs"),
            identity.method,
            now,
            challenge=challenge,
            domain=engagement.peer,
            expires=shift(now, PRESENTATION_SECONDS),
        )
        return attach(unsigned, config, await identity.sign(prepare(unsigned, config, identity.kind)))

    async def check(self, engagement: Engagement, message: Presentation) -> None:
        """The presentation is its sender's own answer to our challenge, and well-formed.

        A credential in it that does not hold is no fault of the message: it counts for nothing when we decide.

        Raises:
            VerificationError, FormatError: It is not; the move is refused.
        """
        try:
            await self._verify(engagement, message.presentation, message.answers)
        except CredentialError as error:
            if error.code not in _OF_A_CREDENTIAL:
                raise

    async def evaluate(self, engagement: Engagement, message: Presentation, terms: Terms | None = None) -> Decision:
        """Whether we work with the peer at all and, with `terms`, whether we bind ourselves to these.

        Asked again right before signing: what the peer showed must still hold, by DID documents that are fresh.

        Raises:
            VerificationError, ResolutionError, FormatError: A credential does not hold, or could not be checked.
        """
        known = self._shown.get(engagement.id)
        if known is not None and await self._current(known[1]):
            shown = known[0]
        else:
            shown = await self._verify(engagement, message.presentation, message.answers)
        return evaluate(shown, self.anchors, self.policy, self._agent.clock.now(), terms=terms)

    async def recheck(self, conversation: Conversation, engagement: Engagement, terms: Terms) -> Decision:
        """The judgement of `terms` with what the peer showed before.

        Raises:
            PolicyError: `policy_denied`, it is no yes.
            VerificationError: A credential no longer holds.
        """
        role = "provider" if engagement.role == "hirer" else "hirer"
        decision = await self.evaluate(engagement, conversation.last("Presentation", Presentation, role), terms)
        if decision.outcome != "allow":
            raise PolicyError("policy_denied", decision.explain())
        return decision

    def forget(self, engagement: EngagementId) -> None:
        """Drops what was verified for an engagement."""
        self._shown.pop(engagement, None)

    async def _current(self, made_with: dict[Did, Digest]) -> bool:
        """Whether the DID documents that a presentation was verified with still stand."""
        for did, digest in made_with.items():
            if (await self._agent.document_of(did, FRESH_SECONDS)).raw_digest != digest:
                return False
        return True

    async def _documents(self, presentation: JsonObject) -> dict[Did, DidDocument]:
        agent = self._agent
        return {did: await agent.document_of(did, FRESH_SECONDS) for did in issuers_of(presentation)}

    async def _verify(
        self, engagement: Engagement, presentation: JsonObject, challenge: Digest
    ) -> VerifiedPresentation:
        documents = await self._documents(presentation)
        shown = verify_presentation(
            presentation,
            challenge=challenge,
            domain=self._agent.identity.did,
            holder=engagement.peer,
            engagement=engagement.id,
            documents=documents,
            now=self._agent.clock.now(),
        )
        self._shown[engagement.id] = shown, {did: document.raw_digest for did, document in documents.items()}
        return shown


def _answers(credential: JsonObject, need: Need) -> bool:
    types = credential.get("type")
    if not isinstance(types, list) or need.credential not in types:
        return False
    issuer = credential.get("issuer")
    return need.issuers is None or issuer in need.issuers


def recorded(decision: Decision) -> tuple[tuple[str, str], ...]:
    """The decision as a fact of the journal."""
    return (("decision", msgspec.json.encode(decision).decode()),)


def declined(decision: Decision, offer: Digest | None = None) -> Say:
    """The `Withdraw` of a decision that is not a yes, with what would change it."""
    needed = tuple(
        Need(code=need.code, credential=need.credential, issuers=need.issuers, member=need.member)
        for need in decision.needed
    )
    return Say(
        "Withdraw",
        {"reason": "policy_denied", "needed": needed or None, "offer": offer},
        facts=recorded(decision),
    )
