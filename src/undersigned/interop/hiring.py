"""Our side of an engagement in which we hire the implementation under test.

Source: protocol-spec/05-negotiation.md and 07-contract.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from msgspec import to_builtins

from undersigned.attestation import WorkPredicate, accepted, payload_digests, verify_delivery
from undersigned.contract import (
    ARTIFACT_READ,
    Criterion,
    DataHandling,
    Deadlines,
    Deliverable,
    Evidence,
    Price,
    Task,
    Terms,
    draft_terms,
)
from undersigned.encoding import Digest, digest_bytes, from_struct, shift, to_struct
from undersigned.errors import UndersignedError
from undersigned.messages import Artifact, CriterionVerdict, Delivery, Input, Profile, engagement_id
from undersigned.messages import Task as Asked
from undersigned.protocol import HIRER
from undersigned.runtime import asked_by, delivered_by
from undersigned.scope import Action, Grant, Limit, Scope, arguments_of, sketch
from undersigned.testing import (
    ARBITER,
    Attacker,
    Say,
    acceptance,
    inquiry,
    minutes,
    offer,
    presentation,
    review,
    seal,
    start,
)

from .failures import Failure, NotApplicable, answered
from .lines import SceneLine
from .player import Player
from .pointers import replaced
from .scene import Scene

__all__ = ["CRITERION", "NEVER", "Hiring"]

CRITERION: Final = "delivered"
CENT: Final = "0.01"
NEVER: Final = digest_bytes(b"nothing that anybody ever said")


class Hiring(Player):
    """We are the hirer."""

    UNMET: ClassVar[Mapping[str, str]] = {"accepted-by-provider": "offered-by-provider"}

    def __init__(
        self, scene: Scene, who: Attacker, line: SceneLine, *, arbiter: bool = False, approval: bool = False
    ) -> None:
        self._arbiter = ARBITER.did if arbiter else None
        self._approval = approval
        stage = scene.stage
        self._nonce = who.nonce()
        made = engagement_id(who.did, stage.subject.did, self._nonce)
        super().__init__(scene, who, line, HIRER, made)
        content = f"{stage.subject.content.decode()}{made}\n".encode()
        # What was asked for before a suspension is not given after it (HIRE-LIF-03).
        self.input, self._input_url, self._may_read = stage.serve(content, lambda: self.state != "suspended")

    def allow(self) -> None:
        """Lets the input be read."""
        self._may_read.set()

    def due(self, low: bool = False) -> Say | None:
        """See `Player.due`."""
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
                return seal(ledger=self.place())
            case "sealed":
                given = (Input(name=self.scene.stage.subject.input, digest=self.input, uri=self._input_url),)
                return start(inputs=given)
            case "delivered":
                return self.review()
            case "closing":
                return self.closes()
            case _:
                return None

    def inquiry(self) -> Say:
        """The first move."""
        subject = self.scene.stage.subject
        task = Asked(kind=subject.task, summary="A test of conformance", inputs=(self.input,))
        scope = to_builtins(sketch(self.scope()))
        return inquiry(nonce=self._nonce, need=subject.task, task=task, scope_sketch=scope, suites=(self.who.suite,))

    def scope(self) -> Scope:
        """What the work may do: read its input a few times."""
        limits = (Limit("count", "9"),)
        return Scope(grants=(Grant("read", ARTIFACT_READ, self._input_url, limits=limits, approval=self._approval),))

    @property
    def reading(self) -> Digest:
        """The digest of reading the input once: what an `ApprovalRequest` names (HIRE-SCO-13)."""
        return arguments_of(Action(name=ARTIFACT_READ, target=self._input_url))

    def terms(self, *, low: bool = False) -> Terms:
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
        drafted = draft_terms(
            task=Task(kind=subject.task, summary="A test of conformance", inputs=(self.input,)),
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
            seal_grace="PT2M",
            data_handling=DataHandling(
                purpose="this task only", classes=(), retention="PT0S", onward=False, training=False
            ),
            evidence=Evidence(predicates=(WorkPredicate.PREDICATE_TYPE,), c2pa=False),
            arbiter=self._arbiter,
        )
        return to_struct(replaced(from_struct(drafted), self.changed), Terms)

    def review(self, verdict: str = "accepted", wrong: str = "", stranger: Attacker | None = None) -> Say:
        """The verdict on the delivery, with its statement; `wrong` is what is wrong with that: `Forge.statement`."""
        delivery = self.delivery()
        document = self.party.offered()
        contract = NEVER if wrong == "of another contract" else self.contract
        predicate = accepted(
            contract=contract,
            document_id=f"urn:hire:engagement:{NEVER}:hirer:1" if wrong == "of another engagement" else document.id,
            verifier=stranger.did if stranger is not None else self.who.did,
            passed=verdict == "accepted",
            statements=(NEVER,) if wrong == "of other statements" else sorted(payload_digests(delivery.statements)),
            time_verified=self.party.now,
        )
        named = {one.name: one.digest for one in delivery.artifacts}
        if wrong == "of other artifacts":
            named = dict.fromkeys(named, NEVER)
        twice = wrong == "with a name twice"
        statement = self.stated(named or {"contract": contract}, predicate, by=stranger, twice=twice)
        criteria = (CriterionVerdict(id=CRITERION, met=verdict == "accepted"),)
        return review(verdict, statement=statement, criteria=criteria)

    # ------------------------------------------------------------------ what is checked of a delivery

    def delivery(self) -> Delivery:
        """The last delivery that came."""
        for one in reversed(self.got):
            if isinstance(one.message, Delivery):
                return one.message
        raise Failure("nothing was delivered yet")

    def uri_of(self, place: int = 0) -> str:
        """See `Player.uri_of`: an artifact of the delivery."""
        artifact = self._artifact(place)
        origin = self.scene.stage.subject.url.replace("ws", "http", 1).rpartition("/")[0]
        return artifact.uri or f"{origin}/artifacts/{artifact.digest}"

    @property
    def served_name(self) -> str:
        """See `Player.served_name`."""
        return self._artifact(0).name

    def _artifact(self, place: int) -> Artifact:
        """An artifact of the delivery.

        Raises:
            Failure: It has none there.
        """
        delivery = self.delivery()
        if place >= len(delivery.artifacts):
            raise Failure(f"it was hired to make something, and delivered nothing: its Delivery is {delivery.outcome}")
        return delivery.artifacts[place]

    def limit_of(self, uri: str) -> int:
        """See `Player.limit_of`."""
        raise NotApplicable("what was delivered may be read as often as one likes")

    async def check_served(self) -> None:
        """Fetches what was delivered, and checks it and every statement about it.

        Raises:
            Failure: Any of it does not hold.
        """
        delivery = self.delivery()
        artifacts: dict[str, Digest | bytes] = {}
        for place, one in enumerate(delivery.artifacts):
            answer = await self.fetched(self.uri_of(place), self.who)
            if answer.status != 200 or digest_bytes(answer.body) != one.digest:
                raise Failure(f"{one.name} is not what was delivered: {answered(answer)}")
            artifacts[one.name] = answer.body
        self._check_statements(delivery, artifacts)

    def check_work(self, delivery: Delivery) -> None:
        """Returns if this is what the contract asks for, as far as a `Delivery` alone shows it: all deliverables by
        their names, with statements that hold.

        Raises:
            Failure: It is not, and an honest hirer would not accept it.

        Source: protocol-spec/08-attestation-and-evidence.md, sections 8.1 to 8.3, and 09-errors.md, section 9.4
        """
        if delivery.outcome != "complete":
            given = f"it was given {self.scene.stage.subject.input!r}, which --input says"
            raise Failure(f"it did not do what it was hired for: its Delivery is {delivery.outcome}; {given}")
        made = {one.name: one.digest for one in delivery.artifacts}
        if len(made) < len(delivery.artifacts):
            raise Failure("two artifacts of its Delivery have one name (page 08, section 8.3)")
        if missing := sorted({one.name for one in self.terms_in_force().deliverables} - made.keys()):
            raise Failure(f"its Delivery is complete, and has not {', '.join(missing)} (page 08, section 8.3)")
        self._check_statements(delivery, made)

    def _check_statements(self, delivery: Delivery, artifacts: Mapping[str, Digest | bytes]) -> None:
        stage, document, terms = self.scene.stage, self.party.offered(), self.terms_in_force()
        keys = stage.known.document.keys("assertionMethod", now=self.party.now)
        try:
            verify_delivery(
                delivery.statements,
                attester=stage.subject.did,
                keys={method: key for method, key in keys.items() if method in document.methods.provider},
                contract=self.contract,
                artifacts=artifacts,
                required=(WorkPredicate.PREDICATE_TYPE,),
                engagement=self.party.engagement.id,
                task=terms.task.kind,
                inputs=terms.task.inputs,
                usage=[(one.clause, one.unit, one.amount) for one in delivery.usage],
            )
        except UndersignedError as error:
            raise Failure(f"its statements do not hold: {error.message} ({error.code})") from error
