"""Asking people: terms that the policy puts to them wait here until enough approved, one refused, or time is up.

What waits is noted in the engagement's journal, so it is there again after a restart. A person's signed statement is
dropped as a file into the state folder, `approvals/<terms>/<statement>.json`, by whoever has it and whether or not the
peer runs; so the ledger keeps its one writer. The running peer looks there while something waits, verifies what it
finds, notes it in the journal with the statement as evidence, and decides again in the same turn. What is signed is
signed by what the journal holds. A refusal is booked in the ledger first, under the digest of the terms alone, and is
never given back.

Source: protocol-spec/12-trust.md, section 12.10
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from msgspec import Struct

from undersigned.contract import Terms, same_terms
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    canonicalize,
    digest_bytes,
    shift,
)
from undersigned.errors import ConfigurationError, PolicyError, ScopeError, UndersignedError, VerificationError
from undersigned.ledger import Blob, Draw, Ledger, Reservation
from undersigned.messages import Waiting
from undersigned.proof import JCS_SUITE_OF, attach, prepare
from undersigned.protocol import ENDED, Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Say, load_engagement
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.anchors import read_document
from undersigned.runtime.home.home import Home
from undersigned.trust import (
    Approvers,
    Decision,
    Put,
    Standing,
    VerifiedApproval,
    approvals_needed,
    record_config,
    terms_digest,
    verify_approval,
    weigh,
)

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Approvals", "Asked", "WaitingTerms", "drop_approval", "load_approvers", "sign_approval", "waiting_terms"]

_log = structlog.get_logger()

ASKED: Final = "approval-asked"
GIVEN: Final = "approvals"
"""Names of the facts in the journal: what waits, and all statements about any terms of the engagement so far."""
SEND_SECONDS: Final = 5
"""From the last moment at which people may decide to that at which the negotiation closes."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at the folder, while something waits."""
MAX_FILES: Final = 256
"""Statements about the same terms that are looked at."""

_Mark = tuple[str, int, int]
"""A file by its name, and when and how long it was written: one that was not all there yet is another one later."""


class Asked(Struct, frozen=True, kw_only=True, rename="camel"):
    """Terms that were put to people, as the journal notes it."""

    terms: Terms
    cause: Digest | None
    """The last move before; what waits is the answer to it."""
    needed: int
    until: Instant
    """Last instant for the people, by our clock."""
    opens: bool
    """Whether they would be offered by us; else they are the live offer's, to be accepted."""


class ApprovalWanted(ScopeError):
    """`approval_required`: people have to decide about these terms first."""

    def __init__(self, terms: Terms, decision: Decision, standing: Standing) -> None:
        super().__init__("approval_required", f"{standing.explain()}; {decision.explain()}")
        self.terms = terms
        self.decision = decision
        self.needed = standing.needed


class _Waits:
    """One engagement that waits, while this process runs."""

    def __init__(
        self, about: Put, asked: Asked, given: list[JsonObject], known: Iterable[VerifiedApproval], judged: set[_Mark]
    ) -> None:
        self.about = about
        self.cause = asked.cause
        self.until = asked.until
        self.begun = False
        """Whether the turn that began it is stored."""
        self.judged = judged
        """Files that say nothing here, and were told so."""
        self.given = given
        """What the journal holds."""
        self.known = {(one.by, one.verdict, one.about) for one in known}
        """Who said what in it: saying it again adds nothing, so nobody makes the journal longer by it."""


class Approvals:
    """What waits for people in the engagements of one agent.

    Raises:
        ConfigurationError: When made. `bad_configuration`: as `load_approvers`.
    """

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self.approvers = load_approvers(agent.home)
        self._folder = agent.home.approvals
        self._waiting: dict[EngagementId, _Waits] = {}
        self._watched = False

    async def require(
        self, conversation: Conversation, engagement: Engagement, terms: Terms, decision: Decision
    ) -> None:
        """Returns if as many people as `decision` asks for have approved exactly `terms` in this engagement.

        Raises:
            PolicyError: `policy_denied`: somebody refused them, or too few people are configured.
            ApprovalWanted: `approval_required`: they have not decided yet.
            LedgerError: It could not be looked up.
        """
        about, needed = _put(engagement, terms), approvals_needed(decision)
        standing = weigh(self._noted(conversation), about, needed=needed)
        if standing.state == "refused" or await _refused(self._agent.ledger, about.terms):
            raise PolicyError("policy_denied", f"the terms {about.terms} were refused by a person, for good")
        if standing.state == "approved":
            return
        if len(self.approvers.people) < needed:
            raise PolicyError("policy_denied", f"[approvers] names too few people; {decision.explain()}")
        raise ApprovalWanted(terms, decision, standing)

    def wait(self, conversation: Conversation, engagement: Engagement, wanted: ApprovalWanted) -> Say | None:
        """What is said and noted when terms begin to wait; None if they wait already.

        Raises:
            PolicyError: `decision_failed`: the time for it is over.
        """
        now, asked, said = self._agent.clock.now(), _asked(conversation.facts), None
        if asked is None or asked.cause != engagement.cause or not same_terms(asked.terms, wanted.terms):
            asked = Asked(
                terms=wanted.terms,
                cause=engagement.cause,
                needed=wanted.needed,
                until=_until(engagement, wanted.terms),
                opens=engagement.offer is None or not same_terms(conversation.offered(engagement).terms, wanted.terms),
            )
            waiting = Waiting(for_="person", until=asked.until)
            said = Say(
                "Receipt",
                {"of": engagement.got[-1:], "received_at": now, "waiting": waiting},
                facts=(
                    ("decision", msgspec.json.encode(wanted.decision).decode()),
                    (ASKED, msgspec.json.encode(asked).decode()),
                ),
            )
        if now > asked.until:
            self._waiting.pop(engagement.id, None)
            raise PolicyError("decision_failed", f"nobody decided about the terms by {asked.until}")
        about = _put(engagement, wanted.terms)
        before = self._waiting.get(engagement.id)
        judged = before.judged if before is not None and before.about == about else set[_Mark]()
        given = _statements(conversation.facts)
        self._waiting[engagement.id] = _Waits(about, asked, given, self._noted(conversation), judged)
        if not self._watched:
            self._watched = True
            self._agent.spawn(self._watch(), "approvals")
        return said

    def put(self, conversation: Conversation, engagement: Engagement) -> Terms | None:
        """Terms of our own that people were asked about at this place: they, and no newer ones, are to be offered."""
        asked = _asked(conversation.facts)
        return asked.terms if asked is not None and asked.opens and asked.cause == engagement.cause else None

    def _noted(self, conversation: Conversation) -> list[VerifiedApproval]:
        """The statements of the journal that hold now: who is no approver any more counts no more."""
        return _verified(_statements(conversation.facts), self.approvers, self._agent.clock.now())

    async def _watch(self) -> None:
        try:
            while self._waiting:
                for engagement, waits in tuple(self._waiting.items()):
                    try:
                        await self._look(engagement, waits)
                    except Exception as error:
                        # One that cannot be looked at must not keep the others from it.
                        _log.error("approvals were not looked at", engagement=engagement, error=repr(error))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._watched = False

    async def _look(self, engagement: EngagementId, waits: _Waits) -> None:
        """Notes what people said since the last look, and decides again if that or the time changes anything."""
        agent, conversation = self._agent, self._agent.conversations.get(engagement)
        here = conversation is not None and conversation.engagement.cause == waits.cause
        waits.begun = waits.begun or here
        if conversation is None or conversation.over or (waits.begun and not here):
            self._waiting.pop(engagement, None)
            return
        now = agent.clock.now()
        came: list[JsonObject] = []
        known = set(waits.known)
        for file, mark in _files(self._folder / waits.about.terms, waits.judged):
            try:
                document = read_document(file)
                if document in waits.given:
                    continue
                said = verify_approval(document, self.approvers, now=now)
                if said.about.terms != waits.about.terms:
                    raise VerificationError("terms_mismatch", f"expected {waits.about}; came {said.about}")
            except UndersignedError as error:
                _log.warning("an approval does not count", file=str(file), error=str(error))
                if not error.retryable:
                    waits.judged.add(mark)
                continue
            # An approval is of one negotiation, a refusal of the terms wherever they wait.
            elsewhere = said.verdict == "approve" and said.about != waits.about
            if elsewhere or (said.by, said.verdict, said.about) in known:
                waits.judged.add(mark)
                continue
            known.add((said.by, said.verdict, said.about))
            if said.verdict == "refuse":
                await _refuse(agent.ledger, said)
            came.append(document)
        if not came and now <= waits.until:
            return
        given = [*waits.given, *came]
        facts = ((GIVEN, canonicalize(given).decode()),) if came else ()
        await conversation.reconsider(Say("", {}, evidence=tuple(map(_blob, came)), facts=facts))
        if now > waits.until and self._waiting.get(engagement) is waits:
            del self._waiting[engagement]


class WaitingTerms(Struct, frozen=True, kw_only=True):
    """Terms in a ledger that wait for people."""

    about: Put
    role: str
    peer: Did
    asked: Asked
    decision: str
    """The decision that asks, as JSON."""
    given: tuple[VerifiedApproval, ...]
    """What people said, with what lies in the folder and is not noted yet."""
    standing: Standing


async def waiting_terms(ledger: Ledger, home: Home, now: Instant) -> list[WaitingTerms]:
    """Everything that waits for people, oldest first; the ledger may be another process's.

    Raises:
        ConfigurationError: As `load_approvers`.
        LedgerError: It cannot be read.
    """
    approvers, own = load_approvers(home), home.configuration.did
    found: list[WaitingTerms] = []
    for summary in await ledger.summaries(live_only=True):
        if summary.contract is not None or summary.state in ENDED:
            continue
        loaded = await load_engagement(ledger, summary, own)
        engagement, asked = loaded.engagement, _asked(loaded.facts)
        if asked is None or asked.cause != engagement.cause:
            continue
        about = _put(engagement, asked.terms)
        documents = [*_statements(loaded.facts), *_dropped(home.approvals / about.terms)]
        given = tuple(_verified(documents, approvers, now))
        standing = weigh(given, about, needed=asked.needed)
        if standing.state != "refused" and await _refused(ledger, about.terms):
            standing = msgspec.structs.replace(standing, state="refused", refused=("somebody before",))
        found.append(
            WaitingTerms(
                about=about,
                role=engagement.role,
                peer=engagement.peer,
                asked=asked,
                decision=loaded.facts.get("decision", "{}"),
                given=given,
                standing=standing,
            )
        )
    return found


def load_approvers(home: Home) -> Approvers:
    """The people who may approve in a state folder.

    Raises:
        ConfigurationError: `bad_configuration`: one of them has the key of the agent or its organisation. What runs
            here could approve to itself.
    """
    approvers, office = home.approvers, home.organisation_document()
    for document in (home.document(), *([office] if office else [])) if approvers.people else ():
        for person in approvers.people:
            if document.signs_by(person.key):
                raise ConfigurationError(
                    "bad_configuration",
                    f"[approvers] {person.name} has a key of {document.id}, which is kept in this folder",
                )
    return approvers


async def sign_approval(person: Home, approvers: Approvers, document: JsonObject, now: Instant) -> JsonObject:
    """The statement with the proof of the person whose own state folder `person` is.

    Raises:
        ConfigurationError: `key_unavailable`.
        VerificationError: `key_not_authorized`: this key is nobody's who may approve.
    """
    key = person.key("agent")
    approver = approvers.of_key(key.public_key)
    if approver is None:
        raise VerificationError(
            "key_not_authorized", f"[approvers] names nobody with the key {key.public_key.multikey}"
        )
    config = record_config(JCS_SUITE_OF[approver.key.kind], approver.method, now)
    return attach(document, config, await key.sign(prepare(document, config, approver.key.kind)))


def drop_approval(home: Home, signed: JsonObject, now: Instant) -> VerifiedApproval:
    """Puts a signed statement where the peer of a state folder finds it; what it says, once it is on disk.

    Raises:
        UndersignedError: As `verify_approval`.
    """
    said = verify_approval(signed, load_approvers(home), now=now)
    write_whole(home.approvals / said.about.terms / f"{said.digest}.json", canonicalize(signed))
    return said


def _put(engagement: Engagement, terms: Terms) -> Put:
    return Put(
        terms=terms_digest(terms), engagement=engagement.id, hirer=engagement.hirer, provider=engagement.provider
    )


def _until(engagement: Engagement, terms: Terms) -> Instant:
    """How long it makes sense to wait: until shortly before the negotiation closes, because what is signed then has to
    reach the other side, or until the work could not be started any more.
    """
    talks = engagement.talks
    ends = [terms.deadlines.start, terms.deadlines.until]
    return min(ends if talks is None else [*ends, shift(talks.closes_at, -SEND_SECONDS)])


def _asked(facts: dict[str, str]) -> Asked | None:
    text = facts.get(ASKED)
    return None if text is None else msgspec.json.decode(text, type=Asked)


def _statements(facts: dict[str, str]) -> list[JsonObject]:
    text = facts.get(GIVEN)
    return [] if text is None else msgspec.json.decode(text, type=list[dict[str, Any]])


def _dropped(folder: Path) -> list[JsonObject]:
    """What lies in a folder, not verified; what cannot be read is left out."""
    found: list[JsonObject] = []
    for file, _ in _files(folder):
        with suppress(UndersignedError):
            found.append(read_document(file))
    return found


def _files(folder: Path, but: Set[_Mark] = frozenset()) -> list[tuple[Path, _Mark]]:
    """The files in a folder, without those that are as they were when they were told apart."""
    found: list[tuple[Path, _Mark]] = []
    for file in sorted(folder.glob("*.json")):
        with suppress(OSError):
            status = file.stat()
            found.append((file, (str(file), status.st_mtime_ns, status.st_size)))
    return [one for one in found if one[1] not in but][:MAX_FILES]


def _verified(documents: Iterable[JsonObject], approvers: Approvers, now: Instant) -> list[VerifiedApproval]:
    """Those that count as statements at all; the others say nothing."""
    found: list[VerifiedApproval] = []
    for document in documents:
        with suppress(UndersignedError):
            found.append(verify_approval(document, approvers, now=now))
    return found


def _blob(signed: JsonObject) -> Blob:
    raw = canonicalize(signed)
    return Blob(digest=digest_bytes(raw), raw=raw, kind="approval", name=str(signed["verdict"]))


def _pool(terms: Digest) -> str:
    return f"refused:{terms}"


async def _refused(ledger: Ledger, terms: Digest) -> bool:
    return bool(await ledger.usage(_pool(terms)))


async def _refuse(ledger: Ledger, said: VerifiedApproval) -> None:
    """Books a refusal. What is spent of a limit is spent in every engagement and every process on this ledger."""
    if not await _refused(ledger, said.about.terms):
        pool, at = _pool(said.about.terms), said.given
        await ledger.reserve(Reservation(contract=pool, id=pool, draws=(Draw("refused", "1"),), until=at, at=at))
