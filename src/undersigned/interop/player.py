"""Our side of one engagement: an honest party that checks all that comes, and may be told to say something else.

What comes is verified and folded as a peer of ours does it, and each document in it is checked; where any of that does
not hold, the implementation under test has failed.

Source: protocol-spec/05-negotiation.md, 07-contract.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final, cast

from undersigned.attestation import (
    PAYLOAD_TYPE,
    Predicate,
    envelope,
    make_statement,
    pae,
)
from undersigned.contract import (
    ReleaseDocument,
    Terms,
    canonical_document,
    countersigned,
    verify_countersigned,
    verify_offered,
    verify_sealed,
    verify_sealed_change,
)
from undersigned.credentials import read_presentation, verify_presentation
from undersigned.daemon import signed_headers
from undersigned.did import DidDocument
from undersigned.encoding import (
    EngagementId,
    Instant,
    JsonObject,
    canonicalize,
    digest_bytes,
    digest_of,
    from_struct,
)
from undersigned.errors import LogProofError, ProofError, UndersignedError
from undersigned.messages import (
    Acceptance,
    Closing,
    Delivery,
    LedgerPlace,
    Message,
    Offer,
    Presentation,
    Review,
    Seal,
    Settled,
    VerifiedMessage,
    Withdraw,
)
from undersigned.protocol import ENDED, Role
from undersigned.runtime import FetchAnswer, key_lookup, read_multibase_note
from undersigned.testing import Attacker, Party, Say, closing, seal
from undersigned.transparency import contract_leaf, leaf_digest, verify_note

from .contract_log import ContractLog
from .failures import Failure, NotApplicable, NotReady, Silent, shown
from .lines import SceneLine
from .scene import Scene

__all__ = ["Player"]

AFTER_WORK: Final = frozenset({"delivered", "closing", "closed"})
ROOM: Final = (
    "it has no room left (capacity): a provider needs places for as many contracts as are played at a time, and for "
    "those that a broken connection leaves behind (capacity of an offer, --at-a-time), a hirer a budget for every hire"
)


class Player(ABC):
    """One engagement of ours with the implementation under test. `Hiring` and `Working` know what each role says, and
    what is served to it.
    """

    UNMET: ClassVar[Mapping[str, str]] = {}
    """For states that the other side may lead away from: the state in which it then is."""

    @abstractmethod
    def due(self, low: bool = False) -> Say | None:
        """What an honest party says next; None where the other side has to. `low` begins with a low price."""

    @abstractmethod
    def allow(self) -> None:
        """Lets the input be read."""

    @abstractmethod
    def check_work(self, delivery: Delivery) -> None:
        """Returns if a delivery is what the contract asks for.

        Raises:
            Failure: It is not.
        """

    @abstractmethod
    def uri_of(self, place: int = 0) -> str:
        """Where what is served to us is read."""

    @property
    @abstractmethod
    def served_name(self) -> str:
        """The name that what is served has."""

    @abstractmethod
    def limit_of(self, uri: str) -> int:
        """How often what is served may be read.

        Raises:
            NotApplicable: As often as one likes.
        """

    @abstractmethod
    async def check_served(self) -> None:
        """Fetches what is served to us, and checks it and every statement about it.

        Raises:
            Failure: Any of it does not hold.
        """

    def __init__(self, scene: Scene, who: Attacker, line: SceneLine, role: Role, engagement: EngagementId) -> None:
        self.scene, self.who, self.line = scene, who, line
        self.said: list[VerifiedMessage] = []
        """Every message of ours that counts, in order."""
        self.got: list[VerifiedMessage] = []
        """Every move of the peer's, in order."""
        self.changed: dict[str, Any] = {}
        """JSON pointers into the terms that we offer, and what stands there."""
        self.reads = 0
        """How often what is served was given to us."""
        self.log = ContractLog()
        self.forged: set[str] = set()
        """Digests by which refusals name what we sent to be refused; one may come over the next connection."""
        self.comes_back: Callable[[], Awaitable[None]] | None = None
        """Where connections break on the way: how this goes on over another one."""
        self.party = Party(role, who, scene.stage.known, engagement, scene.clock)

    @property
    def state(self) -> str:
        """Where the engagement stands."""
        return self.party.state

    # ------------------------------------------------------------------ going on

    async def reach(self, state: str, *, low: bool = False, optional: bool = False, **members: Any) -> None:
        """Goes on until the engagement is in `state`. `members` replace those of our next move.

        Raises:
            Failure: The implementation does something else.
            NotApplicable: It does, and may.
        """
        if state in AFTER_WORK:
            self.allow()
        while self.state != state:
            move = self.due(low)
            if self.state in ENDED:
                ended = f"it ended {self.state} where {state} was to be reached: {self.reason()}"
                raise NotApplicable(ended) if optional else Failure(ended)
            if self.UNMET.get(state) == self.state:
                answered = "it answers the offer with another one"
                raise NotApplicable(answered) if optional else Failure(answered)
            if move is None:
                came = await self.hear(f"{state} to be reached from {self.state}")
                if isinstance(came, Delivery) and self.state == "delivered":
                    self.check_work(came)
            else:
                await self.say(move._replace(members=move.members | members))
                members = {}

    def reason(self) -> str:
        """Why the other side ended it, in a word of the lists; empty if it did not."""
        last = self.got[-1].message if self.got else None
        return str(getattr(last, "reason", None) or getattr(last, "cause", None) or "")

    def keep(self, move: Say) -> VerifiedMessage:
        """Signs and keeps a move, which is not sent by that."""
        try:
            message = self.party.say(move.message)
        except UndersignedError as error:
            raise Failure(f"the scenario cannot go on: {error}") from error
        self.said.append(message)
        return message

    def again(self, raw: bytes) -> bytes:
        """A move of ours as it is sent again: signed anew if our key was replaced since (page 02, section 2.5)."""
        message = json.loads(raw)
        if message["proof"]["verificationMethod"] == self.who.method:
            return raw
        return canonicalize(self.who.signed(message, self.party.now))

    async def say(self, move: Say) -> VerifiedMessage:
        """Signs, keeps and sends a move."""
        sealed = self._countersigned() if move.type == "Seal" else None
        message = self.keep(move)
        if sealed is not None:
            try:
                self._check_alone(sealed, message)
            except UndersignedError as error:
                text = f"what its Acceptance makes is nothing by itself: {error.message} ({error.code})"
                raise Failure(text) from error
        await self.line.send(message.raw)
        return message

    async def hear(self, waiting_for: str) -> Message:
        """Folds the next frame of this engagement; gives what it says.

        Raises:
            Failure: It is a refusal, does not hold, or nothing comes.
        """
        while True:
            try:
                raw = await self.line.next(self.scene.stage.limits.answer, waiting_for)
            except Silent:
                if self.line.closed is None or self.comes_back is None:
                    raise
                await self.comes_back()
                continue
            message = await self.fold(raw)
            if message is not None:
                return message

    async def fold(self, raw: bytes) -> Message | None:
        """What a frame of the peer says, once it is checked and folded; None if it is of another engagement.

        Raises:
            Failure: It is a refusal, or does not hold.
        """
        try:
            frame = json.loads(raw)
        except ValueError:
            raise Failure(f"this is not JSON: {shown(raw)} (HIRE-CNX-03)") from None
        if not isinstance(frame, dict):
            raise Failure(f"this is no message: {shown(raw)} (HIRE-CNX-03)")
        if frame.get("type") in ("Fault", "Problem") and frame.get("of") in self.forged:
            return None
        if frame.get("type") == "Fault":
            raise Failure(f"it found fault with a message that is right: {frame.get('code')}")
        if "engagement" in frame and frame["engagement"] != self.party.engagement.id:
            return None
        agreed = self.party.engagement.talks
        try:
            verified = self.who.verify(raw, self.scene.stage.known, self.party.now)
            became = self.party.take(verified)
        except UndersignedError as error:
            raise Failure(f"its {shown(raw)} does not hold: {error.message} ({error.code})") from error
        message = verified.message
        used = message.proof.cryptosuite if message.proof is not None else ""
        if agreed is not None and agreed.suite and used != agreed.suite:
            raise Failure(f"its {message.type} is signed in {used}, and {agreed.suite} was agreed on (HIRE-PRF-02)")
        if became == "repeat":
            return message
        if message.type == "Problem":
            problem: Any = message
            raise Failure(f"it refused {self._named(problem.of)}, which is to be recorded: {problem.code}")
        if not message.notice:
            self.got.append(verified)
            if isinstance(message, Withdraw) and message.reason == "capacity":
                raise NotReady(ROOM)
            try:
                await self._check(verified)
            except UndersignedError as error:
                raise Failure(
                    f"what its {message.type} carries does not hold: {error.message} ({error.code})"
                ) from error
        return message

    def _named(self, digest: str) -> str:
        """What of ours has this digest, for people."""
        found = [one.message.type for one in self.said if one.digest == digest]
        return f"our {found[0]}" if found else "a message of ours"

    # ------------------------------------------------------------------ what an honest hirer says

    def honest(self, move: str) -> Say | None:
        """The next move, if it is of this type and ours."""
        said = self.due()
        return said if said is not None and move in ("next", said.type) else None

    def owed(self, move: str = "next") -> Say:
        """As `honest`, where it has to be ours.

        Raises:
            Failure: It is not.
        """
        said = self.honest(move)
        if said is None:
            raise Failure(f"no {'move' if move == 'next' else move} of ours is due in {self.state}")
        return said

    def closing(self) -> Say:
        """Our books, with a checkpoint of our log."""
        self.log.index_of(self._leaf())
        return closing(checkpoint=self.log.checkpoint(self.who, len(self.log)), settlement=self._owed())

    def _owed(self) -> Settled:
        """What a sealed release says; else the price if the work was accepted, or nothing."""
        contract = self.party.engagement.contract
        if contract is not None and contract.released:
            for one in (*self.said, *self.got):
                if isinstance(one.message, Offer) and isinstance(one.message.document, ReleaseDocument):
                    owed = one.message.document.settlement
                    return Settled(amount=owed.amount, currency=owed.currency)
        price = self.terms_in_force().price
        passed = any(
            isinstance(one.message, Review) and one.message.verdict == "accepted" for one in (*self.said, *self.got)
        )
        return Settled(amount=price.amount if passed else "0", currency=price.currency)

    def closes(self) -> Say | None:
        """Our books, unless we closed them already."""
        contract = self.party.engagement.contract
        return None if contract is not None and self.party.role in contract.closed_by else self.closing()

    def stated(
        self, artifacts: dict[str, str], predicate: Predicate, by: Attacker | None = None, *, twice: bool = False
    ) -> JsonObject:
        """The predicate about these artifacts, in an envelope signed by us, or by somebody else; with `twice` a member
        stands in it two times, with two values.
        """
        who, payload = by or self.who, make_statement(artifacts, predicate)
        if twice:
            payload = payload.replace(b'{"_type":', b'{"_type":"nothing","_type":', 1)
        return envelope(payload, [(who.method, who.signature(pae(PAYLOAD_TYPE, payload)))])

    @property
    def contract(self) -> str:
        """Name of the contract."""
        contract = self.party.engagement.contract
        if contract is None:
            raise Failure("there is no contract yet")
        return contract.digest

    def _leaf(self) -> bytes:
        return contract_leaf(self._countersigned())

    def _countersigned(self) -> JsonObject:
        """What is on the table, or was last agreed on in the negotiation, with both proofs."""
        document = from_struct(self.party.offered())
        return countersigned(document, cast(Acceptance, self._acceptance_of(document).message).contract_proof)

    def _acceptance_of(self, document: JsonObject) -> VerifiedMessage:
        name = digest_of(document)
        for one in (*self.got, *self.said):
            if isinstance(one.message, Acceptance) and one.message.document == name:
                return one
        raise Failure("it was not accepted yet")

    def _check_alone(self, document: JsonObject, seal: VerifiedMessage) -> None:
        """Returns if what was sealed holds by itself, whatever else was said (HIRE-CTR-10, HIRE-LAN-07)."""
        keys = key_lookup(self.scene.stage.known.document, self.who.document, now=self.party.now)
        check = verify_sealed if document["type"] == "Contract" else verify_sealed_change
        check(document, json.loads(self._acceptance_of(document).raw), json.loads(seal.raw), keys=keys)

    def in_lane(self, move: str) -> Say | None:
        """The seal of what the other side accepted under the contract, if that is what is to be said."""
        return seal(ledger=self.place()) if move == "Seal" and self.party.engagement.tabled else None

    def terms_in_force(self) -> Terms:
        """The terms of the contract, or of what took their place."""
        contract = self.party.engagement.contract
        documents = [one.message.document for one in (*self.said, *self.got) if isinstance(one.message, Offer)]
        for document in documents:
            if isinstance(document, ReleaseDocument) or contract is None:
                continue
            if digest_bytes(canonical_document(document)) == contract.in_force:
                return document.terms
        raise Failure("there is no contract yet")

    def place(self) -> LedgerPlace:
        """Where the contract stands in our log."""
        leaf = self._leaf()
        return LedgerPlace(log=self.who.did, index=self.log.index_of(leaf), leaf=leaf_digest(leaf))

    # ------------------------------------------------------------------ what is checked of what came

    async def _check(self, verified: VerifiedMessage) -> None:
        stage, now, message = self.scene.stage, self.party.now, verified.message
        keys = key_lookup(stage.known.document, self.who.document, now=now)
        talks = self.party.engagement.talks
        agreed = (talks.suite,) if talks is not None and talks.suite else None
        match message:
            case Presentation():
                read_ = read_presentation(message.presentation)
                documents = await stage.documents(read_.parties)
                verify_presentation(
                    read_,
                    challenge=message.answers,
                    domain=self.who.did,
                    holder=stage.subject.did,
                    engagement=self.party.engagement.id,
                    documents=documents,
                    now=now,
                )
            case Offer():
                read = verify_offered(from_struct(message.document), keys=keys, now=now, suites=agreed)
                if self.who.method not in getattr(read.methods, self.party.role):
                    raise ProofError("key_not_authorized", "the document does not let us sign")
            case Acceptance():
                # What it accepts may be off the table by now: then it crossed what took it away, and is void.
                offered = cast(Offer, self.party.stored[message.offer].message)
                document = countersigned(from_struct(offered.document), message.contract_proof)
                verify_countersigned(document, keys=keys, now=now, suites=agreed)
            case Seal():
                if message.ledger.leaf != leaf_digest(self._leaf()):
                    raise LogProofError("log_proof_invalid", "the leaf of the seal is not that of the contract")
                self._check_alone(self._countersigned(), verified)
            case Closing():
                _check_note(read_multibase_note(message.checkpoint), stage.known.document, now)
            case _:
                pass

    async def fetched(self, uri: str, by: Attacker | None) -> FetchAnswer:
        """The answer to a request for `uri`, signed by `by` under the contract."""
        fields: tuple[tuple[str, str], ...] = ()
        if by is not None:
            fields = await signed_headers(by.identity, "GET", uri, self.contract, self.party.now)
        answer = await self.scene.stage.gatherer.exchange(
            "GET", uri, max_bytes=2**24, timeout_seconds=self.scene.stage.limits.answer, headers=fields
        )
        self.reads += answer.status == 200
        return answer


def _check_note(note: str, document: DidDocument, now: Instant) -> None:
    """Returns if an Ed25519 key of the document signed the checkpoint.

    Raises:
        LogProofError: None did.
    """
    for key in document.keys("assertionMethod", now=now).values():
        if key.kind == "Ed25519":
            try:
                verify_note(note, key, document.id)
            except LogProofError:
                continue
            return
    raise LogProofError("log_proof_invalid", "no key of its sender signed the checkpoint")
