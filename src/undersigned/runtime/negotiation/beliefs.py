"""Whom this agent believes: its anchors, and the trust graph in its state folder.

Answers are kept while the graph is the same and nothing in them begins or ends (HIRE-TRU-12), so a hire seldom reads
the file, and without a file nothing is read at all. The file is opened for reading; for the moment of a write it is
opened by whoever writes, be it this agent or `undersigned trust import` beside it.

Source: protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec
import structlog

from undersigned.credentials import ClearStatus, Credential, StatusList, check_status, read_credential
from undersigned.encoding import Did, Digest, Instant
from undersigned.errors import CredentialError, LedgerError, LedgerUnavailable, LocalProtocolError
from undersigned.ledger import TrustStore
from undersigned.runtime.files import in_thread
from undersigned.runtime.home.anchors import followed_anchors
from undersigned.runtime.home.registries import RegistryKeeper
from undersigned.runtime.negotiation.learned import Learned, withdrawn_as
from undersigned.trust import (
    KINDS,
    Anchors,
    Answer,
    Answers,
    Edge,
    Graph,
    IssuerAuthority,
    Question,
    Questions,
    Rated,
    Reputation,
    ShownClaim,
    Subject,
    Viewpoint,
    answer,
    question_of,
    shown_in,
)

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Beliefs"]

_log = structlog.get_logger()

MAX_ROUNDS: Final = 4
"""How often a decision is asked again because links do not count; then nobody is entitled."""
MAX_KEPT: Final = 4096
"""Answers."""
INLINE_EDGES: Final = 1000
"""A question that reads more of the graph is answered in a thread: it takes up to a second."""
POSITIVE_TYPES: Final = frozenset(of.claim.type for of in KINDS.values() if of.weight)


class _Large(Exception):
    """A question reads too much of the graph to be answered in the event loop."""


class ClearLink(NamedTuple):
    """A link that nobody has withdrawn."""

    status: ClearStatus
    credential: Credential
    lists: Mapping[str, StatusList]
    """By URL."""


class GroundedAnswers(NamedTuple):
    """Answers, and what they stand on."""

    answers: Answers
    links: tuple[ClearLink, ...] = ()
    away: bool = False
    """Whether something that may change them could not be looked up now."""


class Beliefs:
    """Anchors and the graph are followed: what is added or removed beside us counts with the next answer.

    Raises:
        ConfigurationError: When made. `bad_configuration`: as `AnchorBook`.
    """

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self._at = agent.clock.now()
        """When the anchors and the graph were looked at last."""
        self._followed = followed_anchors(agent.home, self._at)
        self._own = agent.home.configuration.own
        self._refused = frozenset(agent.home.configuration.policy.refuse)
        self._graph = agent.home.trust
        """Its file, whether there is one or not."""
        self._store: TrustStore | None = None
        self._state = 0
        """The state of the graph that the kept answers are of."""
        self._looked = False
        """Whether it was looked at in this round of the event loop."""
        self._kept: dict[Subject, Answer] = {}
        self._forgotten = 0
        """How often all kept answers were."""
        self._large = asyncio.Lock()
        """Of questions in a thread: one at a time is worked out, and the next may know the answer then."""
        self._settled: dict[Questions, GroundedAnswers] = {}
        """All of a decision's, where no link or accusation that they stand on has a status."""
        self._statusful: dict[Digest, Credential | None] = {}
        """The credentials of links, where they have a status, in this state of the graph."""
        self._unrevoked: set[Digest] = set()
        """Credentials that nobody had withdrawn in this state of the graph."""
        self.asks_registries = bool(agent.home.registries)
        """Whether somebody may be entitled who is in no graph of ours: then nobody can list all who are."""
        self._registries = RegistryKeeper(agent.home, agent.gatherer, agent.clock)
        self._registered: dict[ShownClaim, tuple[Edge, ...]] = {}
        """What the trust registries said last about issuers; each edge ends with its own time."""
        self.learned = Learned(agent, self._forget)

    @property
    def anchors(self) -> Anchors:
        """Those that counted when they were looked at last."""
        return self._followed.found

    async def check(self) -> None:
        """Returns if the graph can be read, all of it.

        Raises:
            LocalProtocolError: `store_corrupt`, `store_unavailable`, `store_version`.
        """
        self._follow()
        if self._store is not None:
            try:
                await in_thread(self._store.check)
            except LedgerError as error:
                raise self._unreadable(error) from error

    # -- asking

    async def settled(self, asked: Questions, *, max_age_seconds: float) -> GroundedAnswers:
        """The answers, once the status of each link and accusation that they stand on was looked up in lists at most so
        old.

        What is withdrawn counts no more. What could not be looked up does not count this time if it is a link, and does
        if it is an accusation. Then it is asked again.

        Raises:
            LocalProtocolError: `store_unavailable`, `store_corrupt`: the graph cannot be read.
        """
        if (known := self._known(asked)) is not None:
            return known
        await self.prepare(asked)
        away = False
        unknown: dict[Digest, str] = {}
        suspended: set[Digest] = set()
        heard: set[Digest] = set()
        clear: dict[Digest, ClearLink] = {}
        for _ in range(MAX_ROUNDS):
            self._follow_in_round()
            without = {*unknown, *suspended}
            answers = Answers.given(asked, partial(self._answer, without=without) if without else self._answer)
            against = answers.accusations
            links = self._links(answers, against)
            open_ = [one for one in links if one.digest not in clear and one.digest not in heard]
            if not open_:
                if not links and not without:
                    if len(self._settled) >= MAX_KEPT:
                        self._forget()
                    self._settled[asked] = GroundedAnswers(answers)
                told = answers.not_knowing(unknown.values()) if unknown else answers
                return GroundedAnswers(told, tuple(clear.values()), away)
            lists = await asyncio.gather(
                *(self._agent.statuses.lists([one], max_age_seconds=max_age_seconds) for one in open_),
                return_exceptions=True,
            )
            now = self._agent.clock.now()
            for one, found in zip(open_, lists, strict=True):
                try:
                    if isinstance(found, BaseException):
                        raise found
                    status = self.looked_up(one, found, now, accusation=one.digest in against)
                    clear[one.digest] = ClearLink(status, one, found)
                except CredentialError as error:
                    away = away or withdrawn_as(error) is None
                    if one.digest not in against:
                        unknown[one.digest] = f"{one.types[0]} by {one.issuer}: {error.message}"
                    elif withdrawn_as(error) == "suspended":
                        suspended.add(one.digest)
                    else:
                        heard.add(one.digest)  # as long as nobody can tell that it was withdrawn
        return GroundedAnswers(Answers(), away=True)

    def _known(self, asked: Questions) -> GroundedAnswers | None:
        """All of the answers, if they are kept and still stand."""
        if not self._looked:
            self._follow_in_round()
        known = self._settled.get(asked)
        if known is None or known.answers.standing(self._followed.found, self._at) is not known.answers:
            return None
        return known

    async def prepare(self, asked: Questions) -> None:
        """Works out the answers that read much of the graph, in a thread, so that nothing else waits for them.

        Raises:
            LocalProtocolError: As `settled`.
        """
        if self._known(asked) is not None or self._store is None:
            return
        for about in (*asked.authority, *asked.entitled, *asked.reputation, *asked.accused):
            try:
                self._answer(about, most=INLINE_EDGES)
            except _Large:
                async with self._large:
                    await self._beside(about)

    async def _beside(self, about: Subject) -> None:
        """Keeps the answer to a question, which a thread asks of the file by a connection of its own."""
        self._follow_in_round()
        if self._standing(about) is not None:
            return  # somebody who waited for the same has it
        question, more, without = self._question(about), self._more(about), self.learned.bad()

        def ask() -> Answer:
            with TrustStore(self._graph, read_only=True) as store:
                return store.ask(question, without=without, more=more)

        forgotten = self._forgotten
        try:
            found = await asyncio.to_thread(ask)
        except LedgerError as error:
            raise self._unreadable(error) from error
        if forgotten == self._forgotten:  # else the graph is another, and whoever needs the answer asks again
            self._keep(about, found)

    def looked_up(
        self, credential: Credential, lists: Mapping[str, StatusList], now: Instant, *, accusation: bool = False
    ) -> ClearStatus:
        """As `check_status`; a withdrawal is remembered, but no suspension of an `accusation`: nobody shows that again
        once it counts again. A list in which something is clear that was revoked before is an older one.
        """
        try:
            clear = check_status(credential, lists, now)
        except CredentialError as error:
            status = withdrawn_as(error)
            if status is not None and not (accusation and status == "suspended"):
                self.learned.withdrawn(credential, status)
            raise
        if credential.has_status and self._revoked_before(credential.digest):
            text = f"{credential.issuer} had revoked before what its list shows as clear: it is an older one"
            raise CredentialError("status_unavailable", text)
        return clear

    def _revoked_before(self, digest: Digest) -> bool:
        if not self._looked:
            self._follow_in_round()
        if self.learned.revoked(digest):
            return True
        if self._store is None or digest in self._unrevoked:
            return False
        try:
            found = self._store.revoked(digest)
        except LedgerError as error:
            raise self._unreadable(error) from error
        if not found:
            if len(self._unrevoked) >= MAX_KEPT:
                self._unrevoked.clear()
            self._unrevoked.add(digest)
        return found

    def _links(self, answers: Answers, against: Collection[Digest]) -> list[Credential]:
        """The credentials of the links of these answers, and of accusations, as far as they have a status."""
        digests = {edge.digest for one in answers.authority for path in one.paths for edge in path.edges}.union(against)
        if not digests:
            return []  # most often: anchors answer by themselves
        if len(self._statusful) > MAX_KEPT:
            self._statusful.clear()
        fresh = digests - self._statusful.keys()
        if fresh and self._store is not None:
            try:
                held = self._store.held(fresh)
            except LedgerError as error:
                raise self._unreadable(error) from error
            for digest in fresh:
                raw = held.get(digest)
                self._statusful[digest] = read_credential(msgspec.json.decode(raw)) if raw is not None else None
        return [found for digest in sorted(digests) if (found := self._statusful.get(digest)) is not None]

    async def consult(self, asked: Iterable[ShownClaim]) -> bool:
        """Asks our trust registries about issuers whom the graph alone does not entitle. What they do not answer is no
        edge (HIRE-REG-04). Returns whether there was such.

        Raises:
            ConfigurationError: `key_unavailable`, the token for one cannot be read.
        """
        away = False
        for shown in asked:
            if shown not in self._registered and self.authority(shown).entitled:
                continue
            word = await self._registries.word(shown.issuer, shown.credential_type, shown.capability)
            for failure in word.failures:
                away = True
                _log.info("a trust registry did not answer", error=failure.message)
            if word.edges != self._registered.pop(shown, ()):
                self._forget()
            if word.edges:
                self._registered[shown] = word.edges
            while len(self._registered) > MAX_KEPT:
                del self._registered[next(iter(self._registered))]
        return away

    def authority(self, shown: ShownClaim) -> IssuerAuthority:
        """Whether the issuer of a claim is entitled to it, and by which paths."""
        self._follow()
        return cast("IssuerAuthority", self._answer(shown))

    def counting(self, credentials: Iterable[Credential], *, holder: Did, rated: bool) -> tuple[Credential, ...]:
        """Those that can count and are not their holder's own, read as any of their types; `rated`: for a reputation,
        too.
        """
        if not self._looked:
            self._follow_in_round()
        found: list[Credential] = []
        for one in credentials:
            if one.issuer != holder and (self._believed(one) or (rated and self._heard(one))):
                found.append(one)
        return tuple(found)

    def _believed(self, credential: Credential) -> bool:
        for type in credential.types:
            found: Any = self._answer(shown_in(credential, type))
            if found.entitled:
                return True
        return False

    def _heard(self, credential: Credential) -> bool:
        """Whether its issuer is spoken of itself, though nobody entitles it."""
        shown = [shown_in(credential, type) for type in credential.types if type in POSITIVE_TYPES]
        return any(cast("Reputation", self._answer(Rated(one.issuer, one.capability))).units > 0 for one in shown)

    def _answer(self, about: Subject, *, without: Collection[Digest] = (), most: int | None = None) -> Answer:
        """`most`: edges that are read at once.

        Raises:
            _Large: It needs more than that.
        """
        kept = self._standing(about)
        if kept is not None and not without:
            return kept
        question, more = self._question(about), self._more(about)
        try:
            if self._store is None:
                found = answer(question, Graph(more).read)
            else:
                bad = self.learned.bad() | set(without)
                found = self._store.ask(question if most is None else _within(question, most), without=bad, more=more)
        except LedgerError as error:
            raise self._unreadable(error) from error
        if not without:
            self._keep(about, found)
        return found

    def _standing(self, about: Subject) -> Answer | None:
        """The answer that is kept, if it still stands."""
        kept = self._kept.get(about)
        if kept is None or kept.at > self._at or (kept.until is not None and self._at > kept.until):
            return None
        return kept

    def _question(self, about: Subject) -> Question[Answer]:
        view = Viewpoint(anchors=self.anchors, own=self._own, now=self._at, refused=self._refused)
        return question_of(about, view)

    def _more(self, about: Subject) -> tuple[Edge, ...]:
        """What registries said of it."""
        return self._registered.get(about, ()) if isinstance(about, ShownClaim) else ()

    def _keep(self, about: Subject, found: Answer) -> None:
        if len(self._kept) >= MAX_KEPT:
            self._forget()
        self._kept[about] = found

    def _forget(self) -> None:
        """Has all asked anew."""
        self._kept.clear()
        self._settled.clear()
        self._statusful.clear()
        self._unrevoked.clear()
        self._forgotten += 1

    def _follow(self) -> None:
        """Opens the graph once it is there, or another one is, forgets what was answered by another state of it or by
        other anchors, and looks at the time.
        """
        self._at = self._agent.clock.now()
        if self._followed.follow(self._at):
            found = self._followed.found
            _log.info("anchors were changed", count=len(found.anchors), anchors=found.digest)
            self._forget()
        if self._store is not None and self._store.replaced:
            # One that was put back, or made anew because it was damaged: nobody writes to the old one any more.
            self._store.close()
            self._store = None
        try:
            if self._store is None:
                if not self._graph.exists():
                    return
                with suppress(LedgerUnavailable):  # somebody writes it, and has done this
                    TrustStore(self._graph).close()  # a file of an earlier release is brought up to date
                self._store = TrustStore(self._graph, read_only=True)
                self._forget()
            state = self._store.state
        except LedgerError as error:
            raise self._unreadable(error) from error
        if state != self._state:
            self._state = state
            self._forget()

    def _follow_in_round(self) -> None:
        """As `_follow`, once in a round of the event loop: whatever follows from a change of the graph by somebody else
        reaches us in a later one. Decisions ask several times in a row, and to look is to let other threads run.
        """
        if not self._looked:
            self._follow()
            self._looked = True
            asyncio.get_running_loop().call_soon(self._look_again)

    def _look_again(self) -> None:
        self._looked = False

    def _unreadable(self, error: LedgerError) -> LocalProtocolError:
        # Trouble with this file must not look like trouble with the ledger, which is tried again for ever.
        file = str(self._graph)
        named = error.message if file in error.message else f"{file} cannot be read: {error.message}"
        return LocalProtocolError(error.code, named)

    async def close(self) -> None:
        """Writes what was learned, and closes the file."""
        await self.learned.close()
        if self._store is not None:
            self._store.close()
            self._store = None


def _within(question: Question[Answer], most: int) -> Question[Answer]:
    """The same question, as long as it reads no more edges than so many.

    Raises:
        _Large: It needs more.
    """
    wanted = next(question)
    try:
        while True:
            found = yield wanted._replace(most=min(wanted.most, most))
            most -= len(found)
            if most < 0:
                raise _Large
            wanted = question.send(found)
    except StopIteration as done:
        return done.value
