"""Showing who we are, and judging who the other is: the present and evaluate phases.

A presentation answers the move that asked for it and shows what was asked and no more. What the peer showed is checked
before it is recorded; whether it is enough is a decision, which is recorded with its inputs by digest.

Source: protocol-spec/02-identity-and-keys.md, sections 2.6 to 2.8
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from undersigned.contract import Terms
from undersigned.credentials import (
    Credential,
    ShownPresentation,
    VerifiedPresentation,
    build_presentation,
    presentation_config,
    read_presentation,
    select,
    verify_presentation,
)
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, EngagementId, Instant, JsonObject, shift, write_canonical
from undersigned.errors import CredentialError
from undersigned.messages import Presentation, PresentationRequest
from undersigned.proof import attach, prepare
from undersigned.protocol import OTHER, ROLES, Engagement, Role
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.outgoing import agreed_suite
from undersigned.runtime.engagement.stand_ins import as_shown, stand_ins, standing
from undersigned.runtime.engagement.turn import Declined
from undersigned.runtime.fetching.fetcher import looked_up_for
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.runtime.home.wallet import Wallet
from undersigned.runtime.names import fresh_urn
from undersigned.trust import (
    Decision,
    Policy,
    Questions,
    Stake,
    asked_about,
    check_presented,
    evaluate,
    lapsed,
    needs,
    parties_of,
    weigh_party,
)

from .beliefs import Beliefs
from .decided import need_of, needed_for, recorded

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

    from .approvals import Approvals
    from .asked import Change

__all__ = ["Meeting"]

_log = structlog.get_logger()

PRESENTATION_SECONDS = 600
MAX_TTL_SECONDS = 86_400.0
"""Longest that a status list is relied on while a contract runs; its own time is shorter."""
INLINE_BYTES: Final = 8 * 1024
"""A longer presentation is verified in a thread: one of many terms that are signed as a graph takes half a second."""
_LOOKED_UP = ("credential", "reputation", "not_accused")
"""Needs that a list or a registry, once it can be had, may show to be met: of who is accused only if nobody does."""


class CheckedPresentation(msgspec.Struct, frozen=True):
    """A presentation that was verified."""

    presentation: VerifiedPresentation | None
    """None: to be read again from the message, as it was verified then."""
    at: Instant
    documents: dict[Did, Digest]
    """The DID documents by which it was."""


class Meeting:
    """The present and evaluate phases of one agent."""

    def __init__(self, agent: AgentBase, approvals: Approvals) -> None:
        self._agent, self._approvals = agent, approvals
        self.beliefs = Beliefs(agent)
        self.policy: Policy = agent.home.configuration.policy
        self.wallet = Wallet(agent.home)
        self._shown: dict[EngagementId, CheckedPresentation] = {}
        """What was verified: nothing is judged anew while the DID documents that it was verified by stand."""
        self._relied: dict[tuple[EngagementId, str], tuple[Credential, ...]] = {}
        """What each role showed, read once."""

    async def request(self, stake: Stake) -> PresentationRequest:
        """What we ask to be shown: exactly what our policy demands where this is at stake."""
        asked = msgspec.structs.replace(self._asked(_shows_nothing(), stake), reputation=(), accused=())
        answers = (await self.beliefs.settled(asked, max_age_seconds=FRESH_SECONDS)).answers
        return PresentationRequest(needs=tuple(map(need_of, needs(self.policy, stake, answers))))

    def _asked(self, shown: VerifiedPresentation, stake: Stake | None) -> Questions:
        """What the graph is asked. Registries answer about an issuer and list none, so whoever is not listed may do."""
        asked = asked_about(shown, self.policy, stake)
        return msgspec.structs.replace(asked, entitled=()) if self.beliefs.asks_registries else asked

    async def present(self, engagement: Engagement, asked: PresentationRequest) -> JsonObject:
        """A presentation that answers `asked`, in the move that came last, with the fewest credentials that do."""
        agent, identity = self._agent, self._agent.identity
        now = agent.clock.now()
        chosen = select(asked.needs, self.wallet.held(), now)
        self._relied[engagement.id, engagement.role] = chosen
        unsigned = build_presentation(
            id=fresh_urn(),
            holder=identity.did,
            engagement=engagement.id,
            credentials=[credential.shown for credential in chosen],
        )
        config = presentation_config(
            agreed_suite(identity, engagement.talks).replace("rdfc", "jcs"),
            identity.method,
            now,
            challenge=engagement.got[-1],
            domain=engagement.peer,
            expires=shift(now, PRESENTATION_SECONDS),
        )
        jcs = write_canonical(unsigned)  # it goes into a message, whose reader takes no more than this can write
        return attach(unsigned, config, await identity.sign(prepare(unsigned, config, identity.kind, jcs=jcs)))

    async def check(self, engagement: Engagement, message: Presentation, now: Instant) -> None:
        """The presentation is its sender's own answer to our challenge, and well-formed, at `now`, when it is recorded.

        A credential in it that is not in its time, or of a schema that is not known here, is no fault of the message:
        it counts for nothing when we decide.

        Raises:
            VerificationError, FormatError: It is not; the move is refused.
        """
        self._shown.pop(engagement.id, None)
        self._relied.pop((engagement.id, OTHER[engagement.role]), None)
        await self._verify(engagement, message.presentation, message.answers, before=now)

    async def evaluate(
        self,
        engagement: Engagement,
        message: Presentation,
        terms: Terms | None = None,
        *,
        stake: Stake | None = None,
    ) -> Decision:
        """Whether we work with the peer where this is at `stake` and, with `terms`, whether we bind ourselves to these.

        Asked again right before signing: what the peer showed must still hold, by DID documents that are fresh.

        Raises:
            VerificationError, ResolutionError, FormatError: A credential does not hold, or could not be checked.
        """
        decision, _ = await self._evaluate(engagement, message, terms, stake, FRESH_SECONDS)
        return decision

    def require_dealings(self, peer: Did, stake: Stake) -> None:
        """Returns unless our policy refuses this peer, or this work, whatever the peer may show.

        Raises:
            Declined: It does: nothing is asked of it then, and nothing shown.
        """
        for reason, need in weigh_party(_shows_nothing(peer), self.policy, stake):
            text = f"nothing is asked of it, or shown to it: {reason.clause}: {reason.value}"
            raise Declined(text, needed=(need_of(need),) if need is not None else None, facts=(), retryable=False)

    async def _evaluate(
        self,
        engagement: Engagement,
        message: Presentation,
        terms: Terms | None,
        stake: Stake | None,
        status_age_seconds: float,
    ) -> tuple[Decision, bool]:
        """As `evaluate`, and whether something that may speak for the peer could not be looked up."""
        known, whose = self._shown.get(engagement.id), self._agent.whose(engagement.id, engagement.peer)
        shown = known.presentation if known is not None else None
        if known is None or shown is None or not await self._current(engagement.peer, known.documents, whose):
            with looked_up_for(whose):
                shown = await self._verify(engagement, message.presentation, message.answers)
        asked = self._asked(shown, Stake.of(terms) if terms is not None else stake)
        await self.beliefs.prepare(asked)
        away = self.beliefs.asks_registries and await self.beliefs.consult(asked.authority)
        rated = bool(asked.reputation)
        counted = self._counted(shown.credentials, engagement.peer, rated=rated)
        with looked_up_for(whose):
            lists = await self._agent.statuses.lists(counted, max_age_seconds=status_age_seconds)
            now = self._agent.clock.now()
            clear = [self.beliefs.looked_up(one, lists, now) for one in counted if one.has_status]
            await self.beliefs.learned.learn(counted, holder=engagement.peer, now=rated)
        answers, links, unsure = await self.beliefs.settled(asked, max_age_seconds=status_age_seconds)
        if (later := self._agent.clock.now()) != now:  # answers and lists have to stand at one time
            now = later
            clear = [self.beliefs.looked_up(one, lists, now) for one in counted if one.has_status]
        consulted = [*lists.values()]
        for link in links:
            clear.append(link.status)
            consulted += link.lists.values()
        documents = [*shown.by]
        for listed in consulted:
            if listed.by is not None:
                documents.append(listed.by)
        logs = self._agent.gatherer.logs_of(shown.by)
        anchors, policy = self.beliefs.anchors, self.policy
        decision = evaluate(
            shown,
            anchors,
            policy,
            now,
            terms=terms,
            stake=stake,
            statuses=clear,
            answers=answers,
            logs=tuple(file for file, _ in logs) if logs else (),
        )
        if decision.inputs.logs:
            # Others of whom they show something are whomever they like, and would crowd out those who are believed. Who
            # is believed stands not in the grounds alone: a reputation and Cedar read what no clause demands.
            relied = {decision.peer, *[one.issuer for one in counted]}
            relied |= {one.issuer for one in decision.grounds if one.verdict == "yes"}
            await self._agent.gatherer.rely_on(one for one in shown.by if one.id in relied)
        self._agent.kept_inputs.hold(
            engagement.id,
            policy=policy,
            anchors=anchors,
            answers=answers,
            terms=terms if decision.outcome != "allow" else None,
            links=[link.credential for link in links] if links else (),
            documents=documents,
            lists=consulted,
            logs=logs if decision.inputs.logs else (),
        )
        return decision, away or unsure

    async def recheck(
        self,
        conversation: Conversation,
        engagement: Engagement,
        terms: Terms,
        *,
        offering: bool = False,
        change: Change | None = None,
    ) -> Decision:
        """The judgement of `terms` with what the peer showed before, and with what people said where it asks them;
        under a contract, about this `change` to them.

        `offering`: we are about to offer them, and bind ourselves only by the seal, before which all is asked again.

        Raises:
            Declined: It is no yes.
            ScopeError: `approval_required`, people have to decide first.
            VerificationError: A credential no longer holds.
        """
        shown = conversation.last("Presentation", Presentation, OTHER[engagement.role])
        # Status is asked for anew: a list that we fetched a second ago may be the one before the revocation (SC-60).
        # A list of minutes ago tells whether to go on; what binds is asked for again.
        status_age_seconds = FRESH_SECONDS if offering else 0.0
        try:
            decision, away = await self._evaluate(engagement, shown, terms, None, status_age_seconds)
        except (CredentialError, Declined) as error:
            error.message += _renewed(conversation)
            raise
        if decision.outcome == "ask":
            await self._approvals.require(conversation, engagement, terms, decision, change)
        elif decision.outcome != "allow":
            later = away and _may_turn(decision)
            refusal = decision.refusal + _renewed(conversation)
            raise Declined(f"denied {refusal}", needed=needed_for(decision), facts=recorded(decision), retryable=later)
        return decision

    def let_go(self, engagement: EngagementId) -> None:
        """Drops the presentation of a negotiation that rests, but not when and by what it was verified."""
        known = self._shown.get(engagement)
        if known is not None:
            self._shown[engagement] = msgspec.structs.replace(known, presentation=None)
        for role in ROLES:
            self._relied.pop((engagement, role), None)

    async def stands(self, conversation: Conversation) -> None:
        """Returns if what the other side showed still holds: in its time, and clear in lists that are in theirs.

        The proofs were verified before the move was recorded, so only what can change is looked at.

        Raises:
            CredentialError: `revoked`, `status_unavailable`, `status_invalid`; `policy_denied`, past its end: `detail`
                has the digest of the `credential`; without one: nobody entitles its issuer any more, or, with `accused`
                or `refused` in it, the other side is accused, or our policy refuses it.
        """
        engagement = conversation.engagement
        relied = self.relied(conversation, OTHER[engagement.role])
        stake = Stake.of(conversation.offered().terms)
        shown = VerifiedPresentation(holder=engagement.peer, engagement=engagement.id, credentials=relied, digest="")
        policy = self.policy  # which may be another one since a restart
        if (policy.refuse or policy.refuse_capabilities) and (red := weigh_party(shown, policy, stake)):
            raise CredentialError("policy_denied", red[0][0].value, refused=True)
        asked = msgspec.structs.replace(asked_about(shown, self.policy, stake), entitled=(), reputation=())
        away = self.beliefs.asks_registries and await self.beliefs.consult(asked.authority)
        answers, _, unsure = await self.beliefs.settled(asked, max_age_seconds=MAX_TTL_SECONDS)
        unsure = unsure or away
        unchecked = ""  # said last: what is withdrawn for sure is withdrawn whatever else cannot be looked up

        clear = {one.party for one in answers.accused if one.verdict == "no"}
        if not clear.issuperset(parties_of(engagement.peer, relied)):
            if not unsure or any(one.dissent for one in answers.accused):
                text = f"{engagement.peer}, or its organisation, is accused now"
                raise CredentialError("policy_denied", text, accused=True)
            unchecked = f"whether {engagement.peer}, or its organisation, is accused could not be looked up"
        if (type := lapsed(shown, policy, answers, stake)) is not None:
            if not unsure:
                raise CredentialError("policy_denied", f"no {type} that was shown is believed any more")
            unchecked = f"who may say {type} could not be looked up"
        credentials = relied if unchecked else self._counted(relied, engagement.peer)
        lists = await self._agent.statuses.lists(credentials, max_age_seconds=MAX_TTL_SECONDS)
        now = self._agent.clock.now()
        for one in credentials:
            self.beliefs.looked_up(one, lists, now)
            if not one.valid_at(now):
                raise CredentialError(
                    "policy_denied", f"valid until {one.valid_until}; it is {now}", credential=one.digest
                )
        if unchecked:
            raise CredentialError("status_unavailable", unchecked)

    def _counted(
        self, credentials: tuple[Credential, ...], holder: Did, *, rated: bool = False
    ) -> tuple[Credential, ...]:
        """Those that can count for us; `rated`: for a reputation too. What a stranger wrote about itself must not make
        us ask anybody: whoever names a list in it would choose whom we call.
        """
        counting = self.beliefs.counting(credentials, holder=holder, rated=rated)
        if not self.policy.allow_self_issued:
            return counting
        return (*counting, *[one for one in credentials if one.issuer == holder])

    def relied(self, conversation: Conversation, role: Role) -> tuple[Credential, ...]:
        """The credentials that a side showed in an engagement; of the other side, those that stand in their place now.

        Raises:
            LocalProtocolError: It has shown nothing yet.
        """
        key = conversation.id, role
        found = self._relied.get(key)
        if found is None:
            verified = self.verified(conversation.id) if role != conversation.engagement.role else None
            found = (verified or as_shown(conversation, role)).credentials
            if role != conversation.engagement.role:
                found = standing(conversation, found)
            self._relied[key] = found
        return found

    def verified(self, engagement: EngagementId) -> VerifiedPresentation | None:
        """What the other side showed in an engagement, as it was verified last; None if that was let go of."""
        known = self._shown.get(engagement)
        return None if known is None else known.presentation

    def renewed(self, conversation: Conversation) -> None:
        """What the other side showed was renewed: it is read again when it is asked for."""
        self._relied.pop((conversation.id, OTHER[conversation.engagement.role]), None)

    def forget(self, engagement: EngagementId) -> None:
        """Drops what was verified for an engagement."""
        self._shown.pop(engagement, None)
        for role in ROLES:
            self._relied.pop((engagement, role), None)

    async def _current(self, holder: Did, made_with: dict[Did, Digest], whose: str) -> bool:
        """Whether the DID documents that a presentation was verified with still stand; its holder's need only be there,
        because what was recorded stays valid when a key of it is replaced (HIRE-KEY-07).
        """
        for did, digest in made_with.items():
            document = self._agent.known_document(did, FRESH_SECONDS)
            if document is None:
                with looked_up_for(whose):
                    document = await self._agent.document_of(did, FRESH_SECONDS)
            if did != holder and document.raw_digest != digest:
                return False
        return True

    async def _documents(
        self, engagement: Engagement, shown: ShownPresentation, *, recorded: bool
    ) -> dict[Did, DidDocument]:
        # The sender has a connection to us; its document is not among the hosts that it may have us ask. Another holder
        # than it is refused, and asked nothing.
        holder, issuers = engagement.peer, shown.parties[1:]
        document = await self._agent.document_of(holder, FRESH_SECONDS)
        if recorded and shown.method not in document.methods("authentication"):
            document = await self._replaced(engagement, shown) or document
        return await self._agent.documents_of(issuers, FRESH_SECONDS) | {holder: document}

    async def _replaced(self, engagement: Engagement, shown: ShownPresentation) -> DidDocument | None:
        """The stored document by which the holder's proof was verified when it was recorded (HIRE-KEY-07).

        None if there is none, or if the holder vouches for itself: credentials are held against documents of today.
        """
        if any(credential.issuer == shown.holder for credential in shown.credentials):
            return None
        for blob in await self._agent.ledger.evidence(engagement.id):
            if blob.kind == "did-document" and blob.name == shown.holder:
                document = DidDocument(blob.name, blob.raw)
                if shown.method in document.methods("authentication"):
                    return document
        return None

    async def _verify(
        self,
        engagement: Engagement,
        presentation: JsonObject,
        challenge: Digest,
        *,
        before: Instant | None = None,
    ) -> VerifiedPresentation:
        """Verifies it anew, now; or as of when it is about to be recorded, `before` issuers were asked for their keys:
        whoever looks at the record later knows that time alone. What counted for nothing when it was recorded is not
        among its credentials.
        """
        read = read_presentation(presentation, strict=True)
        check_presented(read.credentials)
        documents = await self._documents(engagement, read, recorded=before is None)
        digests = {did: document.raw_digest for did, document in documents.items()}
        known, now = self._shown.get(engagement.id), before or self._agent.clock.now()
        if known is not None and known.documents == digests:
            now = known.at  # only let go of
        # The answer to our challenge is as of when it was recorded (HIRE-KEY-07); credentials are of today.
        answered = None
        if before is None:
            answered = known.at if known is not None else await self._recorded(engagement)
        verify = partial(
            verify_presentation,
            read,
            challenge=challenge,
            domain=self._agent.identity.did,
            holder=engagement.peer,
            engagement=engagement.id,
            documents=documents,
            now=now,
            answered=answered,
            leave_out=True,
        )
        shown = verify() if len(read.unproved or b"") <= INLINE_BYTES else await asyncio.to_thread(verify)
        if len(shown.credentials) < len(read.credentials):
            held = {one.digest for one in shown.credentials}
            beside = [f"{' '.join(one.types)} of {one.issuer}" for one in read.credentials if one.digest not in held]
            _log.warning("shown, and counts for nothing", engagement=engagement.id, credentials=beside)
        self._shown[engagement.id] = CheckedPresentation(shown, shown.verified, digests)
        return shown

    async def _recorded(self, engagement: Engagement) -> Instant | None:
        """When what the other side showed was recorded, by a process before this one; None if it was not."""
        for row in await self._agent.ledger.rows(engagement.id):
            if row.type == "Presentation" and row.sender == engagement.peer:
                return row.at
        return None


def _shows_nothing(holder: Did = "") -> VerifiedPresentation:
    return VerifiedPresentation(holder=holder, engagement="", credentials=(), digest="")


def _renewed(conversation: Conversation) -> str:
    """What is said beside a no where something stands in the place of what was shown when a contract was made."""
    return "; what was issued anew since carries no other terms" if stand_ins(conversation) else ""


def _may_turn(decision: Decision) -> bool:
    """Whether a no can become a yes by what is looked up later; where it has another reason, it stays one."""
    needed = {need.code for need in decision.needed}
    return bool(needed) and not decision.accusations and needed.issubset(_LOOKED_UP)
