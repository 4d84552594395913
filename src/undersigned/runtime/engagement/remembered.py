"""What an engagement's moves said, as far as later steps ask for it: the last move of each type and side, the facts."""

from __future__ import annotations

from typing import Final, TypeVar, cast

from undersigned.contract import ContractDocument, Document, ReleaseDocument, canonical_document
from undersigned.encoding import Digest, Instant, JsonObject, digest_bytes, from_struct
from undersigned.errors import LocalProtocolError
from undersigned.messages import Delivery, Message, Offer, Recorded
from undersigned.protocol import Contract, Engagement

from .loading import PACKED, Loaded, Packed, place_in_force

__all__ = ["Remembered", "contract_of"]

M = TypeVar("M", bound=Message)

NO_JSON: tuple[Document | None, JsonObject] = (None, {})
"""No document was written out yet."""

NONE_PACKED: Final[Packed] = frozenset()


class Remembered:
    """The last move of each type and side. A restart reads them back from the journal.

    What is held is replaced and never changed in place, so that what was held before can be gone back to.
    """

    __slots__ = ("_found", "_json", "_last", "_mark", "_offers", "engagement", "facts", "forgot", "packed", "shown_at")

    def __init__(self, engagement: Engagement) -> None:
        self.engagement = engagement
        self.facts: dict[str, str] = {}
        """The last value of each fact noted."""
        self.packed: Packed = NONE_PACKED
        """Decisions and refused actions that were noted."""
        self.shown_at: dict[str, Instant] = {}
        """When the last presentation of a side was recorded."""
        self._last: dict[tuple[str, str], Message] = {}
        self._offers: dict[tuple[str, int], Document] = {}
        """Documents by side and place of their offer, as long as the engagement may ask for them."""
        self._found: tuple[Engagement, object, ContractDocument] | None = None
        """What `offered` gave last: for which engagement, of which offers."""
        self._json = NO_JSON
        self.forgot = False
        """Whether what the moves and facts say is in the journal alone; whoever asks for it has to recall it first."""
        self.mark()

    def last(self, type: str, of: type[M], role: str | None = None) -> M:
        """The last move of a type (and of a role, if both sides send such) that was recorded.

        Raises:
            LocalProtocolError: There is none.
        """
        if role is None:
            found = next((message for (kind, _), message in self._last.items() if kind == type), None)
        else:
            found = self._last.get((type, role))
        if isinstance(found, of):
            return found
        raise LocalProtocolError("not_found", f"{self.engagement.id} has no {type} of {role or 'either side'}")

    def said(self, type: str, role: str) -> bool:
        """Whether a side has sent a move of this type."""
        return (type, role) in self._last

    def move_of(self, digest: Digest) -> Message | None:
        """Our own move of this digest; None if it is not the last one of its type, or none at all."""
        sent, role = self.engagement.sent, self.engagement.role
        place = sent.index(digest) + 1 if digest in sent else 0
        ours = (move for (_, of), move in self._last.items() if of == role)
        return next((move for move in ours if move.sequence == place), None)

    def delivered(self) -> frozenset[Digest]:
        """Digests of the artifacts of the last delivery."""
        found = self._last.get(("Delivery", "provider"))
        artifacts = found.artifacts if isinstance(found, Delivery) else ()
        return frozenset(artifact.digest for artifact in artifacts)

    def offered(self, engagement: Engagement | None = None) -> ContractDocument:
        """The document of the live offer; after the seal, the contract or what amends it: what is in force.

        Raises:
            LocalProtocolError: There is no offer.
        """
        asked, found = engagement or self.engagement, self._found
        if found is not None and found[0] is asked and found[1] is self._offers:
            return found[2]
        place = place_in_force(asked)
        document = self._offers.get(place) if place is not None else None
        if not isinstance(document, ContractDocument):
            raise self._no_offer()
        self._found = asked, self._offers, document
        return document

    def delivered_under(self) -> tuple[ContractDocument, ...]:
        """The documents with one of which the last delivery has to hold (HIRE-ATT-13): those of when it was recorded,
        and the one in force.

        Raises:
            LocalProtocolError: There is no offer.
        """
        contract = contract_of(self.engagement)
        found = [self._offers.get(place) for place in contract.delivered_under]
        known = [document for document in found if isinstance(document, ContractDocument)]
        return tuple({document.id: document for document in (*known, self.offered())}.values())

    def tabled(self, engagement: Engagement | None = None) -> Document:
        """The amendment or release that is on the table.

        Raises:
            LocalProtocolError: There is none.
        """
        tabled = (engagement or self.engagement).tabled
        document = self._offers.get((tabled.owner, tabled.sequence)) if tabled is not None else None
        if document is None:
            raise self._no_offer()
        return document

    def _no_offer(self) -> LocalProtocolError:
        return LocalProtocolError("wrong_state", f"{self.engagement.id} has no such offer on the table")

    def offered_json(self, engagement: Engagement | None = None) -> JsonObject:
        """The document of `offered` as the JSON that was signed. Not to be changed."""
        return self._written(self.offered(engagement))

    def tabled_json(self, engagement: Engagement | None = None) -> JsonObject:
        """The document of `tabled` as the JSON that was signed. Not to be changed."""
        return self._written(self.tabled(engagement))

    def _written(self, document: Document) -> JsonObject:
        if self._json[0] is not document:
            self._json = (document, from_struct(document))
        return self._json[1]

    def release(self, digest: Digest) -> ReleaseDocument:
        """The release of this digest, which was on the table.

        Raises:
            LocalProtocolError: `wrong_state`: there was none.
        """
        for document in self._offers.values():
            if isinstance(document, ReleaseDocument) and digest_bytes(canonical_document(document)) == digest:
                return document
        raise LocalProtocolError("wrong_state", f"no release {digest} was on the table")

    def remember(self, message: Message, at: Instant) -> None:
        """Keeps a move that was recorded."""
        if message.type == "Presentation":
            self.shown_at = {**self.shown_at, message.role: at}
        if not message.notice:
            self._last = {**self._last, (message.type, message.role): message}
        if message.type == "Offer":
            self._offers = {**self._offers, (message.role, message.sequence): cast("Offer", message).document}

    def forget(self) -> None:
        """Drops what the journal holds as well, to be recalled from there."""
        self._last, self._offers, self.shown_at, self.facts, self.packed = {}, {}, {}, {}, NONE_PACKED
        self._found, self._json = None, NO_JSON
        self.forgot = True
        self.mark()

    def recall(self, loaded: Loaded) -> None:
        """What the journal holds, instead of what was remembered before."""
        self.forget()
        self.facts, self.packed = loaded.facts, loaded.packed
        for move, at in loaded.timed:
            self.remember(move, at)
        self.forgot = False
        self.mark()

    def mark(self) -> None:
        """All that is remembered now is stored; of documents, what the engagement as it is now may be asked for."""
        if len(self._offers) > 1:
            tabled, contract = self.engagement.tabled, self.engagement.contract
            kept = {place_in_force(self.engagement), (tabled.owner, tabled.sequence) if tabled is not None else None}
            if contract is not None:
                kept |= {*contract.delivered_under, contract.were.offered if contract.were is not None else None}
            released = contract is not None and contract.released
            self._offers = {
                place: document
                for place, document in self._offers.items()
                if place in kept or (released and isinstance(document, ReleaseDocument))
            }
        self._mark = self._last, self._offers, self.shown_at, self.facts, self.packed

    def go_back(self) -> None:
        """Forgets what was said since the last mark: the turn that said it was not stored."""
        self._last, self._offers, self.shown_at, self.facts, self.packed = self._mark

    def recorded(self) -> Recorded:
        """How much beside the moves is stored for the evidence pack, so that the log has it; equal ones are one."""
        *_, packed = self._mark
        decisions = sum(name == "decision" for name, _ in packed)
        return Recorded(decisions=decisions, refusals=len(packed) - decisions)

    def note(self, name: str, value: str) -> None:
        """Keeps a fact that was noted."""
        self.facts = {**self.facts, name: value}
        if name in PACKED:
            self.packed |= {(name, digest_bytes(value.encode()))}


def contract_of(engagement: Engagement) -> Contract:
    """The contract.

    Raises:
        LocalProtocolError: `wrong_state`: there is none yet.
    """
    if engagement.contract is None:
        raise LocalProtocolError("wrong_state", f"{engagement.id} has no contract")
    return engagement.contract
