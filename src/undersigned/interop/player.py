"""Our side of one engagement: an honest party that checks all that comes, and may be told to say something else.

What comes is verified and folded as a peer of ours does it, and each document in it is checked; where any of that does
not hold, the implementation under test has failed.

Source: protocol-spec/05-negotiation.md, 07-contract.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

import json
from typing import Any, Final

from msgspec import to_builtins

from undersigned.attestation import (
    PAYLOAD_TYPE,
    Predicate,
    WorkPredicate,
    accepted,
    envelope,
    make_statement,
    pae,
    verify_delivery,
)
from undersigned.contract import (
    Criterion,
    DataHandling,
    Deadlines,
    Deliverable,
    Evidence,
    Price,
    ReleaseDocument,
    Task,
    Terms,
    countersigned,
    draft_terms,
    verify_countersigned,
    verify_offered,
)
from undersigned.credentials import read_presentation, verify_presentation
from undersigned.daemon import signed_headers
from undersigned.did import DidDocument
from undersigned.encoding import JsonObject, base64url_encode, digest_bytes, from_struct, shift
from undersigned.errors import LogProofError, ProofError, UndersignedError
from undersigned.messages import (
    Acceptance,
    Closing,
    CriterionVerdict,
    Delivery,
    Input,
    LedgerPlace,
    Message,
    Offer,
    Presentation,
    Profile,
    Review,
    Seal,
    Settled,
    VerifiedMessage,
    engagement_id,
)
from undersigned.messages import Task as Asked
from undersigned.protocol import HIRER, Role
from undersigned.runtime import ARTIFACT_READ, Answer, asked_by, delivered_by, keys_of, read_multibase_note
from undersigned.scope import Grant, Limit, Scope, sketch
from undersigned.testing import (
    Attacker,
    Party,
    Say,
    acceptance,
    closing,
    inquiry,
    minutes,
    offer,
    presentation,
    review,
    seal,
    start,
)
from undersigned.transparency import (
    checkpoint_text,
    contract_leaf,
    leaf_digest,
    leaf_hash,
    signed_note,
    verify_note,
)

from .failures import Failure, NotApplicable
from .stage import Scene, SceneLine, shown

__all__ = ["Player"]

CRITERION: Final = "delivered"
AFTER_WORK: Final = frozenset({"delivered", "closing", "closed"})
CENT: Final = "0.01"


class Player:
    """One engagement of ours with the implementation under test."""

    def __init__(self, scene: Scene, who: Attacker, line: SceneLine, role: Role = HIRER) -> None:
        stage = scene.stage
        nonce = who.nonce()
        self.scene, self.who, self.line = scene, who, line
        self.said: list[VerifiedMessage] = []
        """Every message of ours that counts, in order."""
        self.got: list[VerifiedMessage] = []
        """Every move of the peer's, in order."""
        self.delivered: dict[str, bytes] = {}
        self._nonce = nonce
        made = engagement_id(who.did, stage.subject.did, nonce)
        self.party = Party(role, who, stage.known, made, stage.clock)
        content = f"{stage.subject.content.decode()}{made}\n".encode()
        self._input, self._input_url, self._may_read = stage.serve(content)

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
            move = self._ours(low)
            if self.state in ("withdrawn", "closed"):
                ended = f"it ended {self.state} where {state} was to be reached: {self._reason()}"
                raise NotApplicable(ended) if optional else Failure(ended)
            if state == "accepted-by-provider" and self.state == "offered-by-provider":
                answered = "it answers the offer with another one"
                raise NotApplicable(answered) if optional else Failure(answered)
            if move is None:
                await self.hear(f"{state} to be reached from {self.state}")
            else:
                await self.say(move._replace(members=move.members | members))
                members = {}

    def _reason(self) -> str:
        last = self.got[-1].message if self.got else None
        return str(getattr(last, "reason", None) or getattr(last, "cause", None) or "")

    def keep(self, move: Say) -> VerifiedMessage:
        """Signs and keeps a move, which is not sent by that."""
        try:
            message = self.party.send(move.message(self.party))
        except UndersignedError as error:
            raise Failure(f"the scenario cannot go on: {error}") from error
        self.said.append(message)
        return message

    async def say(self, move: Say) -> VerifiedMessage:
        """Signs, keeps and sends a move."""
        message = self.keep(move)
        await self.line.send(message.raw)
        return message

    async def hear(self, waiting_for: str) -> Message:
        """Folds the next frame of this engagement; gives what it says.

        Raises:
            Failure: It is a refusal, does not hold, or nothing comes.
        """
        while True:
            raw = await self.line.next(self.scene.stage.limits.answer, waiting_for)
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
            raise Failure(f"this is not JSON: {shown(raw)}") from None
        if not isinstance(frame, dict):
            raise Failure(f"this is no message: {shown(raw)}")
        if frame.get("type") == "Fault":
            raise Failure(f"it found fault with a message that is right: {frame.get('code')}")
        if "engagement" in frame and frame["engagement"] != self.party.engagement.id:
            return None
        try:
            verified = self.who.verify(raw, self.scene.stage.known, self.party.now)
            became = self.party.take(verified)
        except UndersignedError as error:
            raise Failure(f"its {shown(raw)} does not hold: {error.message} ({error.code})") from error
        message = verified.message
        if became == "repeat":
            return message
        if message.type == "Problem":
            problem: Any = message
            raise Failure(f"it refused a message that is right: {problem.code}")
        if not message.notice:
            self.got.append(verified)
            try:
                await self._check(verified)
            except UndersignedError as error:
                raise Failure(
                    f"what its {message.type} carries does not hold: {error.message} ({error.code})"
                ) from error
        return message

    def allow(self) -> None:
        """Lets the input be read."""
        self._may_read.set()

    # ------------------------------------------------------------------ what an honest hirer says

    def _ours(self, low: bool) -> Say | None:
        match self.state:
            case "-":
                return self.inquiry()
            case "profiled":
                return presentation(presentation=self.who.shown(self.party))
            case "ready":
                return offer(terms=self.terms(low=low))
            case "offered-by-provider":
                return acceptance()
            case "accepted-by-provider":
                return seal(ledger=self._place())
            case "sealed":
                given = (Input(name=self.scene.stage.subject.input, digest=self._input, uri=self._input_url),)
                return start(inputs=given)
            case "delivered":
                return self.review()
            case "closing":
                contract = self.party.engagement.contract
                if contract is not None and HIRER in contract.closed_by:
                    return None
                return self.closing()
            case _:
                return None

    def honest(self, move: str) -> Say | None:
        """The next move, if it is of this type and ours."""
        said = self._ours(low=False)
        return said if said is not None and move in ("next", said.type) else None

    def inquiry(self) -> Say:
        """The first move."""
        subject = self.scene.stage.subject
        task = Asked(kind=subject.task, summary="A test of conformance", inputs=(self._input,))
        scope = to_builtins(sketch(self.scope()))
        return inquiry(nonce=self._nonce, need=subject.task, task=task, scope_sketch=scope, suites=(self.who.suite,))

    def scope(self) -> Scope:
        """What the work may do: read its input a few times."""
        return Scope(grants=(Grant("read", ARTIFACT_READ, self._input_url, limits=(Limit("count", "9"),)),))

    def terms(self, *, low: bool = False, grace: str = "PT2M") -> Terms:
        """Terms that start from what the `Profile` says, at the price that it asks or at less."""
        subject, now = self.scene.stage.subject, self.party.now
        profile = next((one.message for one in self.got if isinstance(one.message, Profile)), None)
        delivers: tuple[Deliverable, ...] = ()
        price = subject.price
        for capability in profile.capabilities if profile is not None else ():
            if capability.get("task") == subject.task:
                delivers, price = delivered_by(capability), asked_by(capability) or price
        named = delivers or (Deliverable(name="result", media_type="application/octet-stream", criteria=()),)
        wanted = (Criterion(id=CRITERION, text="It is delivered"),)
        return draft_terms(
            task=Task(kind=subject.task, summary="A test of conformance", inputs=(self._input,)),
            deliverables=tuple(Deliverable(name=one.name, media_type=one.media_type, criteria=wanted) for one in named),
            scope=self.scope(),
            price=Price(amount=CENT, currency=price.currency) if low else price,
            deadlines=Deadlines(
                start=shift(now, minutes(60)),
                finish=shift(now, minutes(120)),
                heartbeat="PT10M",
                review="PT2H",
                rework="PT2H",
                wind_down="PT1M",
                close="PT1H",
                until=shift(now, minutes(240)),
            ),
            seal_grace=grace,
            data_handling=DataHandling(
                purpose="this task only", classes=(), retention="PT0S", onward=False, training=False
            ),
            evidence=Evidence(predicates=(WorkPredicate.PREDICATE_TYPE,), c2pa=False),
        )

    def review(self, verdict: str = "accepted") -> Say:
        """The verdict on the delivery, with its statement."""
        delivery = self._delivery()
        document = self.party.offered()
        contract = self.contract
        predicate = accepted(
            contract=contract,
            document_id=document.id,
            verifier=self.who.did,
            passed=verdict == "accepted",
            statements=(),
            time_verified=self.party.now,
        )
        named = {one.name: one.digest for one in delivery.artifacts}
        statement = self.stated(named or {"contract": contract}, predicate)
        criteria = (CriterionVerdict(id=CRITERION, met=verdict == "accepted"),)
        return review(verdict, statement=statement, criteria=criteria)

    def closing(self) -> Say:
        """Our books, with a checkpoint of a log that holds the contract and nothing else."""
        text = checkpoint_text(self.who.did, 1, leaf_hash(self._leaf()))
        note = signed_note(text, self.who.did, self.who.public_key, self.who.signature(text))
        return closing(checkpoint="u" + base64url_encode(note.encode()), settlement=self._owed())

    def _owed(self) -> Settled:
        """The price if the work was accepted, else nothing."""
        document = self.party.offered()
        if isinstance(document, ReleaseDocument):
            return Settled(amount=document.settlement.amount, currency=document.settlement.currency)
        price = document.terms.price
        passed = any(isinstance(one.message, Review) and one.message.verdict == "accepted" for one in self.said)
        return Settled(amount=price.amount if passed else "0", currency=price.currency)

    def stated(self, artifacts: dict[str, str], predicate: Predicate) -> JsonObject:
        """The predicate about these artifacts, in an envelope signed by us."""
        payload = make_statement(artifacts, predicate)
        return envelope(payload, [(self.who.method, self.who.signature(pae(PAYLOAD_TYPE, payload)))])

    @property
    def contract(self) -> str:
        """Name of the contract."""
        contract = self.party.engagement.contract
        if contract is None:
            raise Failure("there is no contract yet")
        return contract.digest

    def _leaf(self) -> bytes:
        for one in (*self.got, *self.said):
            if isinstance(one.message, Acceptance):
                return contract_leaf(countersigned(from_struct(self.party.offered()), one.message.contract_proof))
        raise Failure("nothing was accepted yet")

    def _place(self) -> LedgerPlace:
        return LedgerPlace(log=self.who.did, index=0, leaf=leaf_digest(self._leaf()))

    def _delivery(self) -> Delivery:
        for one in reversed(self.got):
            if isinstance(one.message, Delivery):
                return one.message
        raise Failure("nothing was delivered yet")

    # ------------------------------------------------------------------ what is checked of what came

    async def _check(self, verified: VerifiedMessage) -> None:
        stage, now, message = self.scene.stage, self.party.now, verified.message
        keys = keys_of(stage.known.document, self.who.document)
        match message:
            case Presentation():
                read_ = read_presentation(message.presentation)
                documents = await stage.gatherer.documents(read_.parties, 300.0)
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
                read = verify_offered(from_struct(message.document), keys=keys, now=now)
                if self.who.method not in getattr(read.methods, self.party.role):
                    raise ProofError("key_not_authorized", "the document does not let us sign")
            case Acceptance():
                document = countersigned(from_struct(self.party.offered()), message.contract_proof)
                verify_countersigned(document, keys=keys, now=now)
            case Seal():
                if message.ledger.leaf != leaf_digest(self._leaf()):
                    raise LogProofError("log_proof_invalid", "the leaf of the seal is not that of the contract")
            case Closing():
                _check_note(read_multibase_note(message.checkpoint), stage.known.document)
            case _:
                pass

    async def fetched(self, uri: str, by: Attacker | None) -> Answer:
        """The answer to a request for `uri`, signed by `by` under the contract."""
        fields: tuple[tuple[str, str], ...] = ()
        if by is not None:
            fields = await signed_headers(by.identity, "GET", uri, self.contract, self.party.now)
        return await self.scene.stage.gatherer.exchange(
            "GET", uri, max_bytes=2**24, timeout_seconds=self.scene.stage.limits.answer, headers=fields
        )

    def uri_of(self, place: int = 0) -> str:
        """Where an artifact of the delivery is read."""
        artifact = self._delivery().artifacts[place]
        origin = self.scene.stage.subject.url.replace("ws", "http", 1).rpartition("/")[0]
        return artifact.uri or f"{origin}/artifacts/{artifact.digest}"

    async def check_delivery(self) -> None:
        """Fetches what was delivered, and checks it and every statement about it.

        Raises:
            Failure: Any of it does not hold.
        """
        delivery, stage = self._delivery(), self.scene.stage
        document = self.party.offered()
        artifacts: dict[str, bytes] = {}
        for place, one in enumerate(delivery.artifacts):
            answer = await self.fetched(self.uri_of(place), self.who)
            if answer.status != 200 or digest_bytes(answer.body) != one.digest:
                raise Failure(f"{one.name} is not what was delivered: {answer.status}, {len(answer.body)} bytes")
            artifacts[one.name] = answer.body
        keys = stage.known.document.keys("assertionMethod", now=self.party.now)
        try:
            verify_delivery(
                delivery.statements,
                attester=stage.subject.did,
                keys={method: key for method, key in keys.items() if method in document.methods.provider},
                contract=self.contract,
                artifacts=artifacts,
                required=(WorkPredicate.PREDICATE_TYPE,),
            )
        except UndersignedError as error:
            raise Failure(f"its statements do not hold: {error.message} ({error.code})") from error


def _check_note(note: str, document: DidDocument) -> None:
    """Returns if an Ed25519 key of the document signed the checkpoint.

    Raises:
        LogProofError: None did.
    """
    keys = [document.key_for(method, "assertionMethod") for method in document.methods("assertionMethod")]
    for key in keys:
        if key.kind == "Ed25519":
            try:
                verify_note(note, key, document.id)
            except LogProofError:
                continue
            return
    raise LogProofError("log_proof_invalid", "no key of its sender signed the checkpoint")
