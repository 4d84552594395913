"""Messages on their way in: from bytes of a proved connection to the inbox of an engagement.

Cheap before costly: size and parse, schema, who sent it, and only then the signature. A peer hears at once what its own
bytes decide, and of everything else only after its proof held; of an engagement it is no party of, it hears the same as
of one that does not exist.

Source: protocol-spec/10-security.md
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from undersigned.encoding import Did, EngagementId, canonicalize, decode_json, digest_bytes
from undersigned.errors import CODES, FormatError, ProofError, UndersignedError, VerificationError
from undersigned.messages import (
    MESSAGE_TYPES,
    Message,
    SignedMessage,
    VerifiedMessage,
    decode_message,
    problem_code_told,
    problem_path_told,
    verify_message,
)
from undersigned.protocol import HIRER, begin
from undersigned.runtime.clock import AHEAD_HINT
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.inbox import Arrived
from undersigned.runtime.engagement.turn import Event
from undersigned.runtime.fetching.fetcher import looked_up_for, strangers
from undersigned.runtime.fetching.gather import FRESH_SECONDS, USUAL_SECONDS
from undersigned.transport import Allowance, Channel, FailureBudget, LogBudget

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Intake"]

_log = structlog.get_logger()

BINDING: Final = frozenset({"Offer", "Acceptance", "Seal"})
MAX_INBOX = 256
"""Messages that may wait for one engagement."""
MAX_ENGAGEMENTS = 10_000
"""Engagements that one peer may have open here at a time."""
MAX_NEGOTIATIONS = 512
"""Those of a peer with whom there is no contract: a name costs nothing, and each negotiation is a line in our store and
wakes on every connection. Hundreds of hires may begin at once; whoever has more is told to come again.
"""
BYTES_A_MINUTE = 64 * 1024 * 1024
"""That all peers of one address together may send before there is a contract with them: whatever they say is stored.
Hundreds of hires may begin at once; what is more than that waits.
"""
LINES_A_MINUTE = 20_000
"""Of journals that were put away, which one peer has read anew, or all of one address with whom there is no contract:
one message is little beside thousands of lines, and everybody waits meanwhile. Two sides that are done with each other
have none read; what is more than that waits.
"""
FAULT = b'{"type":"Fault",'
"""How a frame begins that names the fault of one that was no message of an engagement. It is unsigned, moves nothing,
and is never answered."""
LOOKED_UP = frozenset({"did_unresolvable", "status_unavailable"})
"""Codes of what could not be looked up where a peer said that it is."""
PARTING = frozenset(
    {"conflicting_message", "conflicting_contract", "terms_mismatch", "holder_mismatch", "challenge_mismatch"}
)
"""Codes of what nobody says by mistake: after a move refused with one of these the connection is closed, too."""


class Intake:
    """What reads for one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._budget = FailureBudget()
        self._told = LogBudget()
        """Lines in the log for whoever has something refused; for strangers, those of one address together."""
        self._bytes = Allowance(BYTES_A_MINUTE)
        self._lines = Allowance(LINES_A_MINUTE)

    async def read(self, channel: Channel, raw: bytes) -> None:
        """Takes one message from a proved connection.

        Raises:
            UndersignedError: The connection is to be closed for it.
        """
        peer = channel.peer
        if peer is None:
            raise ProofError("proof_missing", "the connection is not proved")
        if not self._agent.conversations.bound_to(peer):
            seconds = self._bytes.take(channel.address, len(raw), asyncio.get_running_loop().time())
            if seconds:
                await asyncio.sleep(seconds)  # and meanwhile nothing more is read of this connection
        try:
            await self._verified(channel, peer, decode_message(raw))
        except UndersignedError as error:
            await self._refuse(channel, peer, raw, error)

    async def _verified(self, channel: Channel, peer: Did, received: SignedMessage) -> None:
        message = received.message
        conversation = self._agent.conversations.get(message.engagement)
        if message.sender != peer:
            raise VerificationError("key_not_authorized", f"{peer} sent a message of {message.sender}", close=True)
        known = conversation is not None and conversation.engagement.peer == peer
        if message.type == "Progress" and conversation is not None and known and not conversation.hears_progress():
            return  # before its proof costs anything (HIRE-LIM-04)
        seconds = FRESH_SECONDS if message.type in BINDING else USUAL_SECONDS
        remembered = self._agent.gatherer.remembered(peer, seconds)
        document = remembered.document if remembered is not None else None
        if document is None:
            with looked_up_for(self._whose(channel, peer, message.engagement if known else None)):
                document = await self._agent.document_of(peer, seconds)
        verified = verify_message(
            received,
            {document.id: document, self._agent.own.id: self._agent.own},
            now=self._agent.clock.now(),
            recipient=self._agent.identity.did,
            suites=self._suites(conversation, peer, message),
        )
        if conversation is None or conversation.over:
            conversation = await self._conversation(verified, channel.address)
            # Of one that was put away it is known only now what was agreed on.
            suites, suite = self._suites(conversation, peer, message), received.proof.cryptosuite
            if suites is not None and suite not in suites:
                raise ProofError("suite_not_allowed", f"expected {' or '.join(suites)}; came {suite}")
        # Somebody who is no party learns nothing, not even that the engagement exists.
        if conversation is None or conversation.engagement.peer != peer:
            raise VerificationError("wrong_negotiation", f"no engagement {message.engagement} with {peer}", proved=True)
        if len(conversation.inbox.items) > MAX_INBOX:
            raise UndersignedError("overloaded", f"{peer} sends faster than it is answered")
        conversation.post(Arrived(verified, document))

    def _whose(self, channel: Channel, peer: Did, engagement: EngagementId | None) -> str:
        """In whose name the document of `peer` is looked up, for a message of an engagement with it, or of none."""
        if engagement is not None:
            return self._agent.crowd.whose(engagement, peer)
        return peer if self._agent.conversations.bound_to(peer) else strangers(channel.address)

    @staticmethod
    def _suites(conversation: Conversation | None, peer: Did, message: Message) -> tuple[str, ...] | None:
        """The suite agreed with `peer`; for its `Profile`, which chooses, those that were offered.

        A provider that has none of these says so in one of its own, and a notice whose sender knows of no `Profile` yet
        may be in any. A stranger must not find out by the suite that the engagement exists.
        """
        if conversation is None or conversation.engagement.peer != peer:
            return None
        talks = conversation.engagement.talks
        if talks is not None and talks.suite and not _before_profile(message):
            return (talks.suite,)
        return talks.offered_suites if talks is not None and message.type == "Profile" else None

    async def _conversation(self, verified: VerifiedMessage, place: str) -> Conversation | None:
        """The conversation of an engagement that is not in memory: a new one, or one that is over. `place` is where its
        message came from.
        """
        message, stranger = verified.message, False
        summary = await self._agent.ledger.summary(message.engagement)
        if summary is None:
            if message.type != "Inquiry":
                return None
            mine = self._agent.conversations.of(message.sender)
            if len(mine) >= MAX_NEGOTIATIONS and (
                len(mine) >= MAX_ENGAGEMENTS or self._only_negotiates(message.sender)
            ):
                raise UndersignedError("overloaded", f"{message.sender} has {len(mine)} engagements open", proved=True)
            stranger = not self._agent.conversations.bound_to(message.sender)
            if stranger:
                await self._room(place)
            conversation = Conversation(
                self._agent.shell, begin("provider", self._agent.identity.did, message.sender, message.engagement)
            )
        elif summary.peer != message.sender:
            return None  # nothing is read for who is no party
        else:
            whose = message.sender if self._agent.conversations.bound_to(message.sender) else place
            seconds = self._lines.take(whose, 0, asyncio.get_running_loop().time())
            if seconds:
                await asyncio.sleep(seconds)  # and meanwhile nothing more is read of this connection
            conversation = await Conversation.stored(self._agent.shell, summary)
            self._lines.take(whose, conversation.journal.places, asyncio.get_running_loop().time())
        known = self._agent.conversations.get(message.engagement)
        if known is not None:  # another message of the same engagement was faster
            return known
        if conversation.engagement.peer == message.sender:
            self._agent.conversations[conversation.id] = conversation
            if stranger:
                self._agent.crowd.came(conversation.id, place)
            conversation.start()
        return conversation

    async def _room(self, place: str) -> None:
        """Returns once one more may begin from there.

        Raises:
            UndersignedError: `overloaded`.
        """
        crowd, loop = self._agent.crowd, asyncio.get_running_loop()
        seconds = crowd.waits(place, loop.time())
        if seconds:
            await asyncio.sleep(seconds)  # and meanwhile nothing more is read of this connection
        crowd.require_room(place, loop.time())

    def spent(self, peer: Did) -> bool:
        """Whether `peer` has no failure left for now."""
        return self._budget.exhausted(peer, asyncio.get_running_loop().time())

    def _only_negotiates(self, peer: Did) -> bool:
        """Whether there is no contract with `peer`, and it began as many negotiations as may be."""
        open_here = self._agent.conversations
        begun = sum(one.engagement.role == "provider" for one in open_here.of(peer))
        return begun >= MAX_NEGOTIATIONS and not open_here.bound_to(peer)

    async def refused(self, peer: Did, code: str, *, notice: bool) -> None:
        """What follows when an engagement refused a message of `peer`, which has heard why unless it was a notice."""
        # What only came too early is nobody's fault; the carrier may have turned it round.
        spent = not CODES[code].retryable and self._budget.count(peer, asyncio.get_running_loop().time())
        if spent or (code in PARTING and not notice):
            _log.warning("connection ended", peer=peer, code=code, spent=spent)
            await self._agent.links.part(peer, "rate_limited" if spent else code)

    async def in_vain(self, peer: Did, code: str) -> None:
        """What `peer` showed without a contract names somebody who could not be asked: that counts, for it may name
        whom it likes, and each is waited for.
        """
        if self._agent.conversations.bound_to(peer):
            return
        if self._budget.count(peer, asyncio.get_running_loop().time()):
            _log.warning("connection ended", peer=peer, code=code, spent=True)
            await self._agent.links.part(peer, "rate_limited")

    async def _refuse(self, channel: Channel, peer: Did, raw: bytes, error: UndersignedError) -> None:
        """Tells a proved peer the code it may hear, and counts the failure against it.

        Raises:
            UndersignedError: The connection is to be closed for it.
        """
        # Nothing is in what is no JSON of ours; the rest is read once more, however much it is.
        members = _members(raw) if error.row.family != "parse" else {}
        refusal = _refusal(members)
        # What only came too early is nobody's fault; but what is looked up in vain for a stranger costs us the wait.
        costs = not error.row.retryable
        costs = costs or (error.code in LOOKED_UP and not self._agent.conversations.bound_to(peer))
        if refusal is not None:
            hint = {"hint": AHEAD_HINT} if refusal == "proof_from_future" else {}
            self._log("the peer refused something", channel, peer, said=raw[:256], **hint)
            self._doubted(peer, refusal)
        else:
            self._log("message refused", channel, peer, error=str(error))
            self._unread(peer, members, error)
        if error.detail.get("close") or _is_no_text(raw):
            raise error
        if costs:
            self._budget.spend(peer, asyncio.get_running_loop().time())
        code = problem_code_told(error)
        if code is None or refusal is not None:
            return
        path = (problem_path_told(error) or "") if error.row.told == "at once" else ""
        # A fault is smaller than its cause, or nobody could be made to send more than he is sent.
        for said in ({"code": code, "of": digest_bytes(raw), "path": path}, {"code": code}):
            fault = FAULT + canonicalize(said)[1:]
            if len(fault) < len(raw):
                await channel.send(fault)
                return

    def _log(self, event: str, channel: Channel, peer: Did, **more: Any) -> None:
        """A line for the operator; not for each, or there would be any number: some cost their sender nothing, and
        others no more than a name.
        """
        whose, at = self._whose(channel, peer, None), asyncio.get_running_loop().time()
        if (untold := self._told.take(at, whose)) is not None:
            _log.warning(event, peer=peer, untold=untold, **more)

    def _doubted(self, peer: Did, code: str) -> None:
        """`peer`, or somebody on the way, says unsigned that a message of ours cannot be taken. Nothing follows, but
        whoever waits in vain sees why, in each engagement with that peer.
        """
        for conversation in self._agent.conversations.of(peer):
            self._tell_once(conversation, "fault", "Fault", code, code or "unknown")

    def _unread(self, peer: Did, members: dict[str, Any], error: UndersignedError) -> None:
        """The same of a message of `peer` that is none of its engagement, because of `error`; where it names one, in
        that alone. People are told its type.
        """
        named, said = members.get("engagement"), members.get("type")
        kind = said if isinstance(said, str) and said in MESSAGE_TYPES else "message"
        for conversation in self._agent.conversations.of(peer):
            if named in (None, conversation.id):
                self._tell_once(conversation, "unread", kind, error.code, str(error))

    def _tell_once(self, conversation: Conversation, kind: str, type: str, code: str, detail: str) -> None:
        """Tells whoever watches, once for each code: the peer may go on for ever."""
        if (kind, code) not in conversation.doubts:
            conversation.doubts |= {(kind, code)}
            state, now = conversation.engagement.state, self._agent.clock.now()
            self._agent.watchers.tell(
                Event(engagement=conversation.id, kind=kind, type=type, at=now, state=state, detail=detail, code=code)
            )


def _members(raw: bytes) -> dict[str, Any]:
    """What a refused message says, as far as it is an object at all."""
    try:
        value = decode_json(raw)
    except FormatError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _refusal(members: dict[str, Any]) -> str | None:
    """The code, if what could not be taken is a refusal itself, however written: peers must not answer each other's;
    empty if it is none of ours.
    """
    if members.get("type") not in ("Fault", "Problem"):
        return None
    code = members.get("code")
    return code if isinstance(code, str) and code in CODES else ""


def _is_no_text(raw: bytes) -> bool:
    """Whether this is another encoding than UTF-8, or has a mark; a frame that is no UTF-8 does not come here."""
    return b"\x00" in raw or raw.startswith(b"\xef\xbb\xbf")


def _before_profile(message: Message) -> bool:
    """Whether it is a notice whose sender had neither made nor seen the `Profile`."""
    return message.notice and (message.seen is None if message.role == HIRER else message.sequence == 0)
