"""Hires to be packed: two actors in memory, real signatures, statements and logs."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from msgspec.structs import replace

from undersigned.attestation import (
    PAYLOAD_TYPE,
    Predicate,
    ProvenancePredicate,
    UsageLine,
    WorkPredicate,
    accepted,
    envelope,
    make_statement,
    pae,
    refusal,
    work,
)
from undersigned.contract import Terms, countersigned
from undersigned.encoding import (
    Digest,
    JsonObject,
    base64url_encode,
    canonicalize,
    digest_bytes,
    digest_from_hex,
    from_struct,
)
from undersigned.evidence import write_pack
from undersigned.messages import Acceptance, Artifact, Consistency, Inclusion, LedgerPlace, LogHead, Usage
from undersigned.protocol import Noted, Sent
from undersigned.scope import Action
from undersigned.testing import (
    ARBITER,
    ARTIFACT,
    Actor,
    Party,
    Playbook,
    Say,
    acceptance,
    amendment,
    approval,
    approval_request,
    breach,
    closing,
    delivery,
    dispute,
    minutes,
    offer,
    receipt,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    terminate,
    terms_for,
)
from undersigned.transparency import (
    LOGGED_MOVES,
    Frontier,
    InclusionProof,
    checkpoint_text,
    consistency_path,
    contract_leaf,
    cosignature_line,
    cosigned_note,
    cosigned_text,
    decision_leaf,
    inclusion_path,
    leaf_digest,
    leaf_hash,
    move_leaf,
    refusal_leaf,
    signed_note,
)

MADE = b'{"bomFormat":"CycloneDX"}'
NAME = "sbom.json"
OTHER_ENGAGEMENT = f"urn:hire:engagement:{digest_bytes(b'another')}"


class Line(NamedTuple):
    kind: str
    at: str
    raw: bytes


class Posing:
    """The key of somebody, under a DID of its own: a `did:jwk`."""

    def __init__(self, actor: Actor) -> None:
        self.did = "did:jwk:" + base64url_encode(canonicalize(actor.public_key.jwk))
        self.method, self._key, self.public_key = f"{self.did}#0", actor._key, actor.public_key


class Log:
    """One party's log: leaves of others, and whatever is appended."""

    def __init__(self, actor: Actor, others: int) -> None:
        self.actor = actor
        self.frontier = Frontier()
        self.nodes: dict[tuple[int, int], bytes] = {}
        for number in range(others):
            self.append(b"another leaf %d" % number)

    def append(self, leaf: bytes) -> int:
        self.nodes.update(((level, at), value) for level, at, value in self.frontier.append(leaf_hash(leaf)))
        return self.frontier.size - 1

    def head(self, at: str, **change: Any) -> LogHead:
        fields: dict[str, Any] = {"size": self.frontier.size, "root": digest_from_hex(self.frontier.root.hex())}
        return LogHead(at=at, **fields | change)

    def since(self, size: int) -> Consistency:
        """That it continues its first `size` leaves."""
        path = consistency_path(size, self.frontier.size, lambda level, place: self.nodes[level, place])
        return Consistency(size=size, path=tuple(digest_from_hex(one.hex()) for one in path))

    def witnessed(self, by: Actor | Posing, *, name: str | None = None, seconds: int = 1_772_000_000) -> str:
        """The line of a witness below the note."""
        text, name = checkpoint_text(self.actor.did, self.frontier.size, self.frontier.root), name or by.did
        return cosignature_line(name, by.public_key, seconds, sign(by, cosigned_text(text, seconds)))

    def note(self) -> str:
        text = checkpoint_text(self.actor.did, self.frontier.size, self.frontier.root)
        return signed_note(text, self.actor.did, self.actor.public_key, sign(self.actor, text))

    def proof(self, index: int) -> InclusionProof:
        size = self.frontier.size
        path = inclusion_path(index, size, lambda level, place: self.nodes[level, place])
        return InclusionProof.of(self.nodes[0, index], index, size, path)


def sign(actor: Actor | Posing, data: bytes) -> bytes:
    return actor._key.sign(data).signature


def stated(actor: Actor | Posing, artifacts: Mapping[str, Digest], predicate: Predicate) -> JsonObject:
    payload = make_statement(artifacts, predicate)
    return envelope(payload, [(actor.method, sign(actor, pae(PAYLOAD_TYPE, payload)))])


def far_behind(terms: Terms) -> Terms:
    """Terms with something behind so much text that one may overlook it."""
    return replace(terms, task=replace(terms.task, summary=f"{'x' * 3000}, and what matters"))


Stating = Callable[["Hire", str], dict[str, Any]]


class Hire:
    """A hire from offer to closing; keywords of `run` change what is said, for packs that must not verify."""

    def __init__(
        self,
        verifier: str | None = None,
        stating: Stating | None = None,
        shown: Callable[[Hire], Say] | None = None,
        actors: tuple[Actor, Actor] | None = None,
        changing: Callable[[Terms], Terms] | None = None,
    ) -> None:
        """`stating` gives what the offer and the acceptance say beside, from the hire and the name of the move, `shown`
        what the provider presents, `changing` other terms.
        """
        at = "presented" if shown else "ready" if verifier or stating or changing else "accepted-by-provider"
        self.book = Playbook(at, actors=actors)
        self.made: tuple[bytes, ...] = ()
        self.hirer: Party = self.book.hirer.party
        self.provider: Party = self.book.provider.party
        self.logs = {"hirer": Log(self.hirer.actor, 3), "provider": Log(self.provider.actor, 6)}
        if shown:
            self.book.provider >> shown(self)
        if verifier or stating or shown or changing:
            terms = terms_for(self.book.hirer.party)
            terms = changing(terms) if changing else terms
            terms = replace(terms, evidence=replace(terms.evidence, verifier=verifier)) if verifier else terms
            stating = stating or (lambda *_: {})
            self.book.hirer >> offer(terms=terms, **stating(self, "Offer"))
            self.book.provider >> acceptance(**stating(self, "Acceptance"))
        live, taken = self.hirer.engagement.offer, self.hirer.engagement.acceptance
        assert live is not None
        assert taken is not None
        accepting = self.hirer.stored[taken].message
        assert isinstance(accepting, Acceptance)
        self.document = countersigned(from_struct(self.hirer.offered()), accepting.contract_proof)
        self.contract: Digest = live.document
        self.leaf = contract_leaf(self.document)
        self.places = {role: log.append(self.leaf) for role, log in self.logs.items()}

    def place(self, **change: Any) -> LedgerPlace:
        fields: dict[str, Any] = {"log": self.hirer.actor.did, "index": self.places["hirer"]}
        return LedgerPlace(**{**fields, "leaf": leaf_digest(self.leaf), **change})

    def claims(self, *, by: Actor | None = None, name: str = NAME, **change: Any) -> JsonObject:
        """The provider's statement of its work."""
        fields: dict[str, Any] = {
            "contract": self.contract,
            "engagement": self.hirer.engagement.id,
            "provider": self.provider.actor.did,
            "task": "sbom",
            "inputs": {"artifact": ARTIFACT},
            "actions": (),
            "usage": (UsageLine(clause="read", unit="count", amount="1"),),
            "started_on": self.book.clock.now(),
            "finished_on": self.book.clock.now(),
        }
        return stated(by or self.provider.actor, {name: digest_bytes(MADE)}, work(**{**fields, **change}))

    def verdict(
        self, *, by: Actor | Posing | None = None, passed: bool = True, name: str = NAME, **change: Any
    ) -> JsonObject:
        """The hirer's statement of acceptance."""
        signer = by or self.hirer.actor
        fields: dict[str, Any] = {
            "contract": self.contract,
            "document_id": self.document["id"],
            "verifier": signer.did,
            "passed": passed,
            "statements": (),
            "time_verified": self.book.clock.now(),
        }
        return stated(signer, {name: digest_bytes(MADE)}, accepted(**{**fields, **change}))

    def sealed(
        self,
        place: LedgerPlace | None = None,
        *,
        proof: InclusionProof | None = None,
        note: str | None = None,
        **more: Any,
    ) -> Hire:
        """Sealed and begun; `place` is what the seal says, `proof` and `note` what the receipt after it shows."""
        self.book.hirer >> seal(ledger=place or self.place(), **more)
        log = self.logs["hirer"]
        shown = proof or log.proof(self.places["hirer"])
        self.book.hirer >> receipt(checkpoint=note or coded(log.note()), inclusion=Inclusion(**from_struct(shown)))
        self.book.advance(minutes(1))
        self.book.hirer >> start()
        return self

    def delivered(self, *statements: JsonObject, name: str = NAME, **members: Any) -> Hire:
        self.book.advance(minutes(5))
        given: tuple[Artifact, ...] = (Artifact(name=name, digest=digest_bytes(MADE), media_type="application/json"),)
        self.made = (MADE,) if members.get("artifacts", given) else ()
        said = members.get("statements", statements or (self.claims(),))
        self.book.provider >> delivery(**{"artifacts": given, "statements": said, "usage": used_by(said), **members})
        return self

    def reviewed(self, verdict: str = "accepted", statement: JsonObject | None = None, **members: Any) -> Hire:
        self.book.advance(minutes(5))
        said = statement or self.verdict(passed=verdict == "accepted")
        self.book.hirer >> review(verdict, statement=said, **members)
        return self

    def closed(self, note: str | None = None, cosignatures: tuple[str, ...] = (), **more: Any) -> Hire:
        """Both close; `cosignatures` are the provider's, and `more` is what the hirer says."""
        self.book.hirer >> closing(checkpoint=coded(note or self.logs["hirer"].note()), **more)
        self.book.provider >> closing(checkpoint=coded(self.logs["provider"].note()), cosignatures=cosignatures)
        return self

    def whole(self) -> Hire:
        return self.sealed().delivered().reviewed().closed()

    def lines(self, role: str = "hirer") -> list[Line]:
        party = self.hirer if role == "hirer" else self.provider
        return [
            Line("sent" if isinstance(entry, Sent) else "received", entry.at, entry.message.raw)
            for entry in party.journal
            if not isinstance(entry, Noted)
        ]

    def logged(self, *decisions: tuple[bytes, bytes], refusals: Iterable[bytes] = ()) -> Hire:
        """The hirer's log holds all moves so far that have a leaf, these refusals, and decisions with their salts."""
        log = self.logs["hirer"]
        self.leaves = {
            ("contract", digest_bytes(canonicalize(self.document))): self.places["hirer"],
            **{
                ("move", digest_bytes(line.raw)): log.append(move_leaf(line.raw))
                for line in self.lines()
                if json.loads(line.raw)["type"] in LOGGED_MOVES
            },
            **{("refusal", digest_bytes(one)): log.append(refusal_leaf(one)) for one in refusals},
            **{("decision", digest_bytes(salt + one)): log.append(decision_leaf(one, salt)) for one, salt in decisions},
        }
        self.salts = {digest_bytes(salt + one): "u" + base64url_encode(salt) for one, salt in decisions}
        return self

    def proofs(self, *, hidden: Collection[str] = (), **change: Any) -> bytes:
        """Proofs of all that `logged` put there; without the salts of the `hidden` commitments."""
        log = self.logs["hirer"]
        made = [
            {"label": label, "commitment": commitment, "index": index, "path": list(log.proof(index).path)}
            | ({"salt": self.salts[commitment]} if commitment in self.salts and commitment not in hidden else {})
            for (label, commitment), index in sorted(self.leaves.items(), key=lambda one: one[1])
        ]
        return canonicalize({"size": log.frontier.size, "proofs": made, **change})

    def cosigned(self, role: str = "provider", log: Log | None = None) -> str:
        """The cosignature of one side over the other's log, as a `Closing` carries it."""
        signer = self.provider.actor if role == "provider" else self.hirer.actor
        seen = log or self.logs["hirer" if role == "provider" else "provider"]
        text = checkpoint_text(seen.actor.did, seen.frontier.size, seen.frontier.root)
        signature = sign(signer, cosigned_text(text, 1_772_000_000))
        return coded(cosigned_note(text, signer.did, signer.public_key, 1_772_000_000, signature))

    def proved(self, role: str = "hirer") -> bytes:
        """A proof of the contract alone, in one side's log."""
        log, index = self.logs[role], self.places[role]
        proof = {"label": "contract", "commitment": digest_bytes(canonicalize(self.document)), "index": index}
        return canonicalize({"size": log.frontier.size, "proofs": [proof | {"path": list(log.proof(index).path)}]})

    def pack(self, role: str = "hirer", **change: Any) -> bytes:
        own, peer = (self.hirer, self.provider) if role == "hirer" else (self.provider, self.hirer)
        fields: dict[str, Any] = {
            "engagement": own.engagement.id,
            "role": role,
            "own": own.actor.did,
            "peer": peer.actor.did,
            "checkpoint": self.logs[role].note(),
            "inclusion": self.logs[role].proof(self.places[role]),
            "proofs": self.proved(role) if change.get("checkpoint", "") is not None else None,
            "artifacts": self.made,
            **change,
        }
        return write_pack(fields.pop("lines", self.lines(role)), **fields)


def wanting(terms: Terms) -> Terms:
    """Terms that ask for what packs are not asked for: a bill of materials, and manifests in media."""
    return replace(terms, evidence=replace(terms.evidence, sbom="CycloneDX 1.6", c2pa=True))


def used_by(statements: Iterable[JsonObject]) -> tuple[Usage, ...]:
    """What the first statement of work says was used: a `Delivery` says the same."""
    for one in statements:
        with suppress(ValueError, KeyError, TypeError):
            lines = json.loads(b64decode(str(one["payload"])))["predicate"]["usage"]
            return tuple(Usage(**line) for line in lines)
    return ()


def coded(note: str) -> str:
    return "u" + base64url_encode(note.encode())


def changed_hire() -> Hire:
    """Suspended, resumed, approved, a breach claimed, and amended by each side."""
    hire = Hire().sealed()
    for side, say in (
        (hire.book.hirer, suspend()),
        (hire.book.hirer, resume()),
        (hire.book.provider, approval_request()),
        (hire.book.hirer, approval()),
        (hire.book.provider, breach()),
        (hire.book.provider, amendment(price="14")),
        (hire.book.hirer, acceptance()),
        (hire.book.provider, seal()),
        (hire.book.hirer, amendment(price="15")),
        (hire.book.provider, acceptance()),
        (hire.book.hirer, seal()),
    ):
        side >> say
    return hire


def fewer_statements(*, amended: bool, reviewed: bool = True) -> Hire:
    """Accepted, or not yet reviewed, with one statement, where the contract asks for two, and its amendment, after the
    delivery, for one.
    """

    def asking(terms: Terms, *predicates: str) -> Terms:
        return replace(terms, evidence=replace(terms.evidence, predicates=predicates))

    work_alone = WorkPredicate.PREDICATE_TYPE
    both = (work_alone, ProvenancePredicate.PREDICATE_TYPE)
    hire = Hire(changing=lambda terms: asking(terms, *both)).sealed().delivered()
    if amended:
        hire.book.hirer >> amendment(terms=asking(hire.hirer.offered().terms, work_alone))
        hire.book.provider >> acceptance()
        hire.book.hirer >> seal()
    return hire.reviewed() if reviewed else hire


def renamed_after(*, crossing: bool) -> Hire:
    """Accepted under the name of before, where an amendment of the hirer's has the work under another: its seal crosses
    the `Delivery`, or comes before it.
    """
    hire = Hire().sealed()
    terms = hire.hirer.offered().terms
    hire.book.hirer >> amendment(
        terms=replace(terms, deliverables=(replace(terms.deliverables[0], name="other.json"),))
    )
    hire.book.provider >> acceptance()
    if crossing:
        hire.book.hold()
    hire.book.hirer >> seal()
    hire.delivered()
    if crossing:
        hire.book.deliver()
    return hire.reviewed()


def judged_anew(*, crossing: bool) -> Hire:
    """Accepted by the hirer, where an amendment gives the verdict to another: its seal crosses the `Review`, or comes
    before it.
    """
    hire = Hire().sealed().delivered()
    terms = hire.hirer.offered().terms
    judged = replace(terms, evidence=replace(terms.evidence, verifier=ARBITER.did))
    said = hire.verdict()
    hire.book.provider >> amendment(terms=judged)
    hire.book.hirer >> acceptance()
    if not crossing:
        hire.book.provider >> seal()
        return hire.reviewed(statement=said)
    with hire.book.held():
        hire.book.provider >> seal()
        hire.book.hirer >> review(statement=said)
    return hire


def ended_anew() -> Hire:
    """Ended at convenience by the provider, while the hirer's seal of terms that do not allow it is on its way."""

    def ending(terms: Terms, **changes: Any) -> Terms:
        return replace(terms, termination=replace(terms.termination, **changes))

    hire = Hire(changing=lambda terms: ending(terms, convenience="notice", notice="P1D")).sealed()
    hire.book.hirer >> amendment(terms=ending(hire.hirer.offered().terms, convenience="none", notice=None))
    hire.book.provider >> acceptance()
    with hire.book.held():
        hire.book.hirer >> seal()
        hire.book.provider >> terminate("convenience")
    return hire


NEXT_ARBITER = Actor("arbiter of an amendment")


def ruled_anew(by: Actor, *, crossing: bool, unseen: bool = False) -> Hire:
    """Ruled on, where an amendment of the hirer's names another arbiter: its seal crosses the `Dispute`, and with
    `unseen` the `Ruling` as well; or comes before both.
    """
    hire = Hire().sealed()
    hire.book.hirer >> amendment(terms=replace(hire.hirer.offered().terms, arbiter=NEXT_ARBITER.did))
    hire.book.provider >> acceptance()
    if crossing:
        hire.book.hold()
    hire.book.hirer >> seal()
    hire.book.provider >> dispute()
    if crossing and not unseen:
        hire.book.deliver()
    hire.book.provider >> ruling(by=by)
    if unseen:
        hire.book.deliver()
    return hire


def partly_passed() -> Hire:
    """Rejected, with a statement by which one of two artifacts passed."""
    digest = digest_bytes(MADE)
    made = tuple(Artifact(name=name, digest=digest, media_type="application/json") for name in (NAME, "other.json"))
    hire = Hire().sealed().delivered(artifacts=made)
    return hire.reviewed("rejected", hire.verdict())


def refused_action(hire: Hire, by: Any = None, *, subject: str | None = None, **changes: Any) -> bytes:
    """What the hirer's gate states of an action that it refused."""
    fields: dict[str, Any] = {
        "contract": hire.contract,
        "engagement": hire.hirer.engagement.id,
        "gate": hire.hirer.actor.did,
        "at": hire.book.clock.now(),
        "code": "scope_exceeded",
        "clause": "read",
        "reason": "the target is outside the grant",
        "would_pass": "target https://acme.example/a",
    }
    action = Action("artifact:read", "https://acme.example/payroll", {"bytes": "1"}, {"region": "eu"})
    predicate = refusal(action, **fields | changes)
    return canonicalize(stated(by or hire.hirer.actor, {"contract": subject or hire.contract}, predicate))
