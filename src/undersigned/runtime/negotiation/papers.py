"""The documents that both roles make: offers, acceptances, seals, closings; and the checks of the peer's.

Everything signed here goes through the identity's signer; nothing here decides whether it should be said.

Source: protocol-spec/07-contract.md
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.json import decode
from msgspec.structs import replace

from undersigned.attestation import PAYLOAD_TYPE, Predicate, envelope, make_statement, pae
from undersigned.contract import (
    ArbiterRuling,
    ContractDocument,
    Document,
    Methods,
    Place,
    Price,
    ReleaseDocument,
    SignedDocument,
    Terms,
    Transcript,
    acceptance_config,
    build_amendment,
    build_document,
    build_release,
    canonical_document,
    countersigned,
    offer_config,
    verify_countersigned,
    verify_offered,
    verify_ruling,
)
from undersigned.did import DidDocument
from undersigned.encoding import (
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    from_struct,
    shift,
    write_canonical,
)
from undersigned.errors import LocalProtocolError, LogProofError, VerificationError
from undersigned.keys import PublicKey
from undersigned.ledger import Head, Ledger
from undersigned.messages import (
    Closing,
    Consistency,
    Handled,
    LedgerPlace,
    Offer,
    Recorded,
    Seal,
    Served,
    Settled,
    Usage,
)
from undersigned.proof import KeyLookup, make_proof, prepare, signs_json
from undersigned.protocol import OTHER, Engagement, Offered, Tabled, position
from undersigned.runtime.clock import Clock
from undersigned.runtime.engagement.outgoing import agreed_suite
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import Say
from undersigned.runtime.log.logbook import multibase_note, noted
from undersigned.runtime.names import fresh_urn
from undersigned.runtime.signers import Signer
from undersigned.scope import read_scope
from undersigned.transparency import contract_leaf, leaf_digest, leaf_hash
from undersigned.transport import Identity

from .asked import ChangeTo

__all__ = ["Papers", "key_lookup"]


def key_lookup(*documents: DidDocument, now: Instant) -> KeyLookup:
    """Finds keys in these DID documents, as they are `now`."""
    known = {document.id: document for document in documents}

    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        document = known.get(method.partition("#")[0])
        if document is None:
            raise VerificationError("key_not_authorized", f"{method[:160]!a} is of neither party")
        return document.key_for(method, purpose, now=now)

    return lookup


class Papers:
    """Makes and checks the documents of one agent's engagements."""

    def __init__(self, identity: Identity, own: DidDocument, ledger: Ledger, clock: Clock, log: Signer) -> None:
        """`log` signs checkpoints, with an Ed25519 key that `own` lists under `assertionMethod`."""
        self._log = log
        self._identity = identity
        self._own = own
        self._ledger = ledger
        self._clock = clock

    # ------------------------------------------------------------------ made

    async def offer(
        self,
        engagement: Engagement,
        terms: Terms,
        peer: DidDocument,
        *,
        valid_seconds: int,
        parent: Digest | None = None,
        parents: tuple[JsonObject, ...] = (),
    ) -> Say:
        """An `Offer` of these terms, in answer to the live offer if there is one; a subcontract of `parent`."""
        document = build_document(
            engagement=engagement.id,
            hirer=engagement.hirer,
            provider=engagement.provider,
            terms=terms,
            parent=parent,
            **self._place(engagement, peer),
        )
        return await self._offered(engagement, document, engagement.offer, valid_seconds, parents)

    async def change(
        self,
        engagement: Engagement,
        of: ContractDocument,
        what: ChangeTo,
        peer: DidDocument,
        *,
        valid_seconds: int,
        parents: tuple[JsonObject, ...] = (),
    ) -> Say:
        """An `Offer` of other terms, or of a release, in place of `of`, which is in force."""
        contract = contract_of(engagement)
        where: dict[str, Any] = self._place(engagement, peer)
        where |= {"contract": contract.digest, "amends": contract.in_force}
        if not isinstance(what, Terms):
            release = build_release(of, *what, **where)
            return await self._offered(engagement, release, engagement.tabled, valid_seconds)
        return await self._offered(
            engagement, build_amendment(of, what, **where), engagement.tabled, valid_seconds, parents
        )

    def _place(self, engagement: Engagement, peer: DidDocument) -> dict[str, Any]:
        """Where in the transcript a document is offered, and by which keys each side may sign it."""
        own, theirs = position(engagement)
        role, other = engagement.role, OTHER[engagement.role]
        places = {
            role: Place(sequence=own, digest=engagement.sent[-1]),
            other: Place(sequence=theirs, digest=engagement.got[-1]),
        }
        methods = {role: (self._identity.method,), other: peer.methods("assertionMethod")[:16]}
        return {
            "role": role,
            "sequence": own + 1,
            "methods": Methods(**methods),
            "transcript": Transcript(**places),
        }

    async def _offered(
        self,
        engagement: Engagement,
        document: SignedDocument,
        live: Offered | Tabled | None,
        valid_seconds: int,
        parents: tuple[JsonObject, ...] = (),
    ) -> Say:
        """The `Offer` of a document with our signature, in answer to what is `live`."""
        identity, now = self._identity, self._clock.now()
        jcs, suite = canonical_document(document), agreed_suite(self._identity, engagement.talks)
        # A suite that signs canonical JSON needs no more than that.
        unsigned: JsonObject = {"@context": document.context} if signs_json(suite) else decode(jcs)
        config = offer_config(suite, identity.method, now, fresh_urn())
        signature = await identity.sign(prepare(unsigned, config, identity.kind, jcs=jcs))
        return Say(
            "Offer",
            {
                "document": replace(document, proof=make_proof(unsigned, config, signature)),
                "valid_until": shift(now, valid_seconds),
                "in_reply_to": live.digest if live is not None else None,
                "parents": parents or None,
            },
        )

    async def acceptance(self, engagement: Engagement, document: JsonObject, cosignatures: tuple[str, ...]) -> Say:
        """An `Acceptance` of the live offer, whose `document` it is, with the second signature."""
        identity, live = self._identity, _live(engagement)
        config = acceptance_config(
            document, agreed_suite(self._identity, engagement.talks), identity.method, self._clock.now()
        )
        signature = await identity.sign(prepare(document, config, identity.kind, strict=True))
        return Say(
            "Acceptance",
            {
                "offer": live.digest,
                "document": live.document,
                "contract_proof": make_proof(document, config, signature),
                "cosignatures": cosignatures or None,
            },
        )

    async def seal(
        self, engagement: Engagement, leaf: bytes, index: int | None = None, cosignatures: tuple[str, ...] = ()
    ) -> Say:
        """The `Seal` of the accepted offer. `leaf` is in the log already, and its place is stated: `index`, or what is
        looked up.
        """
        live = _live(engagement)
        if index is None:
            index = await self._ledger.index_of(engagement.id, leaf_hash(leaf))
        tabled = engagement.tabled
        acceptance = tabled.acceptance if tabled is not None else engagement.acceptance
        if index is None or acceptance is None:
            raise LocalProtocolError("wrong_state", "the accepted contract has no place in the log yet")
        return Say(
            "Seal",
            {
                "offer": live.digest,
                "document": live.document,
                "acceptance": acceptance,
                "ledger": LedgerPlace(log=self._identity.did, index=index, leaf=leaf_digest(leaf)),
                "cosignatures": cosignatures or None,
            },
        )

    async def closing(
        self,
        engagement: Engagement,
        basis: str,
        usage: tuple[Usage, ...],
        paid: Price,
        objection: str | None = None,
        *,
        handled: Handled | None = None,
        served: Served | None = None,
        reference: str | None = None,
        cosignatures: tuple[str, ...] = (),
        told: Callable[[Head], Awaitable[Consistency | None]],
        recorded: Recorded,
    ) -> Say:
        """The `Closing` of this side's books, with a signed checkpoint of its log as it stands now, and the proof that
        it continues what the peer was told before, which `told` gives for a head.

        Of two, the one with the later `checkpointAt` is never of fewer leaves.
        """
        contract = contract_of(engagement)
        head = await self._ledger.head()
        at = self._clock.now()
        note = await self.checkpoint(head)
        return Say(
            "Closing",
            {
                "contract": contract.in_force,
                "basis": basis,
                "delivery": contract.delivery,
                "usage": usage,
                "settlement": Settled(amount=paid.amount, currency=paid.currency, reference=reference),
                "checkpoint": multibase_note(note),
                "checkpoint_at": at,
                "cosignatures": cosignatures,
                "consistency": await told(head),
                "data_handling": handled,
                "capacity": served,
                "objection": objection,
                "recorded": recorded,
            },
        )

    async def stated(self, artifacts: Mapping[str, Digest], predicate: Predicate) -> JsonObject:
        """The predicate about these artifacts, in a signed envelope."""
        payload = make_statement(artifacts, predicate)
        return envelope(payload, [(self._identity.method, await self._identity.sign(pae(PAYLOAD_TYPE, payload)))])

    async def checkpoint(self, head: Head | None = None) -> str:
        """A signed note of the log at `head`, or as it stands."""
        return await noted(self._ledger, self._own.id, self._log, head)

    # ------------------------------------------------------------------ checked

    def check_offer(self, engagement: Engagement, offer: Offer, peer: DidDocument) -> Document:
        """The document of a received offer, once its proof holds. Whether we may sign it is asked when it is answered.

        Raises:
            VerificationError, FormatError: It does not hold.
        """
        now = self._clock.now()
        document = offer.document  # the fold has seen that its parts agree
        proof = document.proof
        read = verify_offered(
            {"@context": document.context, "proof": proof}
            if isinstance(proof, dict) and signs_json(str(proof.get("cryptosuite")))
            else from_struct(document),
            keys=key_lookup(peer, now=now),
            now=now,
            suites=(agreed_suite(self._identity, engagement.talks),),
            jcs=canonical_document(document),
            read=document,
        )
        if not isinstance(read, ReleaseDocument) and read.terms.scope.critical:
            read_scope(read.terms.scope)  # what is not understood here may be what narrows it (HIRE-SCO-02)
        return read

    def may_sign(self, engagement: Engagement, document: Document) -> bool:
        """Whether it names the key that we sign with, which may have been replaced since it was offered."""
        named = document.methods.hirer if engagement.role == "hirer" else document.methods.provider
        return self._identity.method in named

    def check_acceptance(
        self, engagement: Engagement, offered: JsonObject, read: Document, proof: JsonObject, peer: DidDocument
    ) -> bytes:
        """The leaf of the contract that this acceptance of our offer makes possible; `offered` is its document, which
        was `read`.

        Raises:
            VerificationError, FormatError: The second signature does not hold.
        """
        document, now = countersigned(offered, proof), self._clock.now()
        verify_countersigned(
            document,
            keys=key_lookup(self._own, peer, now=now),
            now=now,
            suites=(agreed_suite(self._identity, engagement.talks),),
            jcs=canonical_document(read),
            read=read,
            strict=True,
        )
        return contract_leaf(document, jcs=write_canonical(document))

    def check_ruling(self, ruling: Mapping[str, Any], arbiter: Did, document: DidDocument) -> ArbiterRuling:
        """The ruling, once it is the arbiter's; `document` is its DID document.

        Raises:
            VerificationError, FormatError: It is not.
        """
        return verify_ruling(ruling, arbiter=arbiter, keys=key_lookup(document, now=self._clock.now()))

    @staticmethod
    def check_place(seal: Seal, leaf: bytes) -> bytes:
        """The leaf of the contract, which is the one that a received `Seal` states, in its sender's log.

        Raises:
            LogProofError: `log_proof_invalid`: it states another (HIRE-LOG-02).
        """
        stated = leaf_digest(leaf)
        if (seal.ledger.log, seal.ledger.leaf) != (seal.sender, stated):
            raise LogProofError(
                "log_proof_invalid",
                f"expected the leaf {stated} in the log of {seal.sender}, "
                f"came {seal.ledger.leaf} in that of {seal.ledger.log!a:.200}",
                path="/ledger",
            )
        return leaf

    @staticmethod
    def check_closing(closing: Closing, advertised: int | None) -> None:
        """A received closing says of capacity what the provider's `Profile` said, `advertised`.

        Raises:
            VerificationError: `terms_mismatch`: it says something else.
        """
        served = closing.capacity
        if served is not None and (closing.role != "provider" or served.advertised != advertised):
            raise VerificationError(
                "terms_mismatch",
                f"the profile said {advertised} contracts at a time, the closing {served.advertised}",
                path="/capacity",
            )


def _live(engagement: Engagement) -> Offered | Tabled:
    if engagement.tabled is not None:
        return engagement.tabled
    if engagement.offer is None:
        raise LocalProtocolError("wrong_state", "there is no offer on the table")
    return engagement.offer
