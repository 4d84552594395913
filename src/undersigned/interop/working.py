"""Our side of an engagement in which the implementation under test hires us.

Source: protocol-spec/05-negotiation.md and 07-contract.md
"""

from __future__ import annotations

from typing import Any, Final

from undersigned.attestation import provenance, work
from undersigned.contract import ContractDocument
from undersigned.encoding import EngagementId, digest_bytes, from_struct
from undersigned.messages import Artifact, Delivery, Input, Inquiry, Offer, PresentationRequest, Start
from undersigned.protocol import PROVIDER
from undersigned.testing import Attacker, Say, acceptance, delivery, offer, presentation, profile, seal

from .failures import Failure, NotApplicable, answered
from .lines import SceneLine
from .player import Player
from .scene import Scene

__all__ = ["Working"]

NAME: Final = "result.txt"


class Working(Player):
    """We are the provider."""

    def __init__(self, scene: Scene, who: Attacker, line: SceneLine, engagement: EngagementId) -> None:
        super().__init__(scene, who, line, PROVIDER, engagement)
        self.countered = False

    def due(self, low: bool = False) -> Say | None:
        """See `Player.due`. With `low` we answer the first offer with one of our own, at the same price."""
        match self.state:
            case "inquired":
                return self._profile()
            case "presented":
                return presentation(presentation=self.who.shown(self.party))
            case "offered-by-hirer":
                return self._counter() if low and not self.countered else acceptance()
            case "accepted-by-hirer":
                return seal(ledger=self.place())
            case "working" | "cancelling":
                return self._delivery_of(complete=self.state == "working")
            case "closing":
                return self.closes()
            case _:
                return None

    def allow(self) -> None:
        """See `Player.allow`. What we are given to read is the other side's."""

    def check_work(self, delivery: Delivery) -> None:
        """See `Player.check_work`. A hirer delivers nothing, and the tables have refused it."""

    def uri_of(self, place: int = 0) -> str:
        """Where an input is read."""
        uri = self._input(place).uri
        if uri is None:
            raise NotApplicable("it does not say where its input is read")
        return uri

    @property
    def served_name(self) -> str:
        """See `Player.served_name`."""
        return self._input(0).name

    def _input(self, place: int) -> Input:
        """What it gave to be worked on.

        Raises:
            Failure: It gave nothing there.
        """
        given = self._started().inputs
        if place >= len(given):
            raise Failure("it was told to hire for work on an input, and its Start gives none")
        return given[place]

    def limit_of(self, uri: str) -> int:
        """See `Player.limit_of`."""
        scope: Any = from_struct(self.party.offered())["terms"]["scope"]
        for grant in scope.get("grants", ()):
            for limit in grant.get("constraint", ()) if grant["target"] == uri else ():
                if limit["leftOperand"] == "count" and "per" not in limit:
                    return int(limit["rightOperand"][0])
        raise NotApplicable("what it grants has no limit")

    async def check_served(self) -> None:
        """Reads every input, and checks that it is what was to be worked on."""
        for place, one in enumerate(self._started().inputs):
            answer = await self.fetched(self.uri_of(place), self.who)
            if answer.status != 200 or digest_bytes(answer.body) != one.digest:
                raise Failure(f"{one.name} is not what it says: {answered(answer)}")

    def _started(self) -> Start:
        """Its `Start`."""
        for one in self.got:
            if isinstance(one.message, Start):
                return one.message
        raise Failure("it did not start yet")

    def _profile(self) -> Say:
        inquiry = next(one.message for one in self.got if isinstance(one.message, Inquiry))
        if self.who.suite not in inquiry.suites:
            raise Failure(f"its Inquiry does not offer {self.who.suite}")
        price = self.scene.stage.subject.price
        capability = {
            "task": inquiry.need,
            "price": {"amount": price.amount, "currency": price.currency},
            "delivers": [{"name": NAME, "mediaType": "text/plain"}],
        }
        return profile(suite=self.who.suite, capabilities=(capability,), request=PresentationRequest(needs=()))

    def _counter(self) -> Say:
        self.countered = True
        theirs = next(one.message for one in reversed(self.got) if isinstance(one.message, Offer)).document
        if not isinstance(theirs, ContractDocument):
            raise Failure("its first offer is of no contract")
        return offer(terms=theirs.terms)

    def _delivery_of(self, *, complete: bool) -> Say:
        document, now = self.party.offered(), self.party.now
        started = next((one.message for one in self.got if isinstance(one.message, Start)), None)
        inputs = {one.name: one.digest for one in started.inputs} if started is not None else {}
        if not complete:
            return delivery("cancelled", artifacts=())
        data = f"What {self.party.engagement.id} is about.\n".encode()
        digest, url, may = self.scene.stage.serve(data)
        may.set()
        if not isinstance(document, ContractDocument):
            raise Failure("there is no contract to work on")
        names = [one.name for one in document.terms.deliverables]
        made = dict.fromkeys(names, digest)
        common: dict[str, Any] = {
            "contract": self.contract,
            "provider": self.who.did,
            "task": self.scene.stage.subject.task,
            "inputs": inputs,
            "started_on": now,
            "finished_on": now,
        }
        statements = (
            self.stated(made, work(engagement=self.party.engagement.id, actions=(), usage=(), **common)),
            self.stated(made, provenance(clauses=(), invocation_id=f"{self.party.engagement.id}:1", **common)),
        )
        artifacts = tuple(Artifact(name=name, digest=digest, media_type="text/plain", uri=url) for name in names)
        return delivery(artifacts=artifacts, statements=statements)
