"""The two parties of the example hire, with keys that anybody can make again, what they agree on, and how they talk.

The private keys are the SHA-256 of `hire example hirer` and `hire example provider`; identifiers and nonces come from
such texts too, so the same examples come out each time.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any

from msgspec import convert, to_builtins
from msgspec.structs import replace
from nacl.signing import SigningKey

from undersigned.attestation import PAYLOAD_TYPE, Predicate, envelope, make_statement, pae, provenance, refusal
from undersigned.contract import (
    ContractDocument,
    Criterion,
    DataHandling,
    Deadlines,
    Deliverable,
    Evidence,
    Methods,
    Place,
    Price,
    Settlement,
    Subcontracting,
    Termination,
    Terms,
    Transcript,
    document_id,
)
from undersigned.credentials import build_presentation
from undersigned.encoding import (
    Instant,
    digest_bytes,
    multibase_encode,
    parse_instant,
    shift,
)
from undersigned.keys import PublicKey, public_key_from_raw
from undersigned.messages import Message, Task, VerifiedMessage, draft, engagement_id
from undersigned.proof import attach, prepare, proof_config
from undersigned.scope import Action, Grant, Limit, Scope, compile_scope
from undersigned.transparency import Frontier, checkpoint_text, cosigned_note, cosigned_text, leaf_hash, signed_note

BEGIN = "2026-11-24T09:00:00Z"
SUITE = "eddsa-jcs-2022"


def seed(text: str) -> bytes:
    """32 bytes that look random and are not."""
    return hashlib.sha256(f"hire example {text}".encode()).digest()


def nonce(text: str) -> str:
    """A nonce made of a text."""
    return multibase_encode("u", seed(text))


def an_id(text: str) -> str:
    """An identifier made of a text."""
    return f"urn:uuid:{uuid.UUID(bytes=seed(text)[:16], version=4)}"


@dataclass(frozen=True)
class Party:
    """A side with its key and did:key."""

    role: str

    @property
    def key(self) -> SigningKey:
        """The private key."""
        return SigningKey(seed(self.role))

    @property
    def public_key(self) -> PublicKey:
        """The public key."""
        return public_key_from_raw("Ed25519", bytes(self.key.verify_key))

    @property
    def multikey(self) -> str:
        """The public key as a Multikey."""
        return self.public_key.multikey

    @property
    def did(self) -> str:
        """The DID."""
        return f"did:key:{self.multikey}"

    @property
    def method(self) -> str:
        """The one verification method."""
        return f"{self.did}#{self.multikey}"

    def sign(self, data: bytes) -> bytes:
        """The signature's 64 bytes."""
        return self.key.sign(data).signature


HIRER, PROVIDER = Party("hirer"), Party("provider")
PARTIES = {"hirer": HIRER, "provider": PROVIDER}
ENGAGEMENT = engagement_id(HIRER.did, PROVIDER.did, nonce("hirer's nonce"))
INPUT = digest_bytes(b"an input")
MADE = digest_bytes(b"a bill")
SCOPE = Scope(
    grants=(
        Grant(
            "read-input",
            "artifact:read",
            f"https://acme.example/artifacts/{INPUT}",
            limits=(Limit("count", "10"), Limit("EUR", "5")),
        ),
    )
)


def proof_on(
    document: dict[str, Any], party: Party, created: str, purpose: str, suite: str = SUITE, **options: Any
) -> dict[str, Any]:
    """The document with a proof of the party's on it."""
    config = proof_config(suite, party.method, purpose, created, **options)
    return attach(document, config, party.sign(prepare(document, config, "Ed25519")))


@dataclass
class Talk:
    """Both chains, so that each message gets its place, `previous` and `seen`."""

    moves: dict[str, list[VerifiedMessage]] = field(default_factory=lambda: {"hirer": [], "provider": []})
    count: int = 0
    suite: str = SUITE

    @property
    def now(self) -> str:
        """Each message is made a minute after the one before."""
        return shift(BEGIN, 60 * self.count)

    def last(self, role: str) -> str | None:
        """Digest of the last move of a side."""
        return self.moves[role][-1].digest if self.moves[role] else None

    def envelope(self, of: type[Message], role: str) -> dict[str, Any]:
        """The members that do not depend on the type."""
        peer = "provider" if role == "hirer" else "hirer"
        own = len(self.moves[role])
        return {
            "id": an_id(f"message {self.count}"),
            "engagement": ENGAGEMENT,
            "sender": PARTIES[role].did,
            "recipient": PARTIES[peer].did,
            "role": role,
            "sequence": own if of.notice else own + 1,
            "previous": self.last(role),
            "seen": self.last(peer),
        }

    def say(self, of: type[Message], role: str, /, **body: Any) -> VerifiedMessage:
        """The signed message; a move takes its place."""
        self.count += 1
        party = PARTIES[role]
        message = of(**self.envelope(of, role), **body)
        made = draft(message, party.method, self.suite, "Ed25519", self.now, shift(self.now, 3600))
        signed = made.signed(party.sign(made.to_sign))
        if not of.notice:
            self.moves[role].append(signed)
        return signed


def terms(base: str, price: str) -> Terms:
    """Terms with everything that is required."""
    return Terms(
        id=f"{base}#terms",
        task=TASK,
        deliverables=(
            Deliverable(
                name="sbom.json",
                media_type="application/vnd.cyclonedx+json",
                criteria=(Criterion(id="valid", text="The document is valid CycloneDX 1.6."),),
            ),
        ),
        scope=compile_scope(SCOPE, base),
        price=Price(amount=price, currency="EUR"),
        settlement=Settlement(method="invoice"),
        deadlines=Deadlines(
            start="2026-11-24T12:00:00Z",
            finish="2026-11-24T18:00:00Z",
            heartbeat="PT5M",
            review="P1D",
            rework="PT4H",
            wind_down="PT1H",
            close="P2D",
            until="2026-11-30T00:00:00Z",
        ),
        reworks=1,
        seal_grace="PT2M",
        subcontracting=Subcontracting(allowed=False, depth=0),
        must_stay_valid=(),
        evidence=Evidence(predicates=("https://w3id.org/hire/attestation/work/v1",), c2pa=False),
        data_handling=DataHandling(
            purpose="To make the bill of materials.", classes=(), retention="PT0S", onward=False, training=False
        ),
        termination=Termination(convenience="none", cure="PT1H"),
        on_silence="accepted",
        policies=(),
    )


TASK = Task(kind="sbom", summary="Make a CycloneDX bill of materials of one wheel.", inputs=(INPUT,))


def contract(talk: Talk, role: str, price: str, settlement: Settlement | None = None) -> ContractDocument:
    """The document that the next offer of `role` carries, with that side's proof."""
    base = document_name(talk, role)
    said = terms(base, price)
    document = ContractDocument(
        context="https://w3id.org/hire/v1",
        id=base,
        engagement=ENGAGEMENT,
        hirer=HIRER.did,
        provider=PROVIDER.did,
        methods=Methods(hirer=(HIRER.method,), provider=(PROVIDER.method,)),
        transcript=places(talk),
        terms=replace(said, settlement=settlement) if settlement is not None else said,
    )
    return convert(document_proof(to_builtins(document), PARTIES[role], talk), ContractDocument)


def document_name(talk: Talk, role: str) -> str:
    """The id of the document that the next offer of `role` carries."""
    return document_id(ENGAGEMENT, role, len(talk.moves[role]) + 1)


def places(talk: Talk) -> Transcript:
    """Where both chains stand."""
    return Transcript(
        hirer=Place(sequence=len(talk.moves["hirer"]), digest=talk.last("hirer") or ""),
        provider=Place(sequence=len(talk.moves["provider"]), digest=talk.last("provider") or ""),
    )


def document_proof(document: dict[str, Any], party: Party, talk: Talk) -> dict[str, Any]:
    """A document with the proof of who offers it."""
    return proof_on(document, party, talk.now, "assertionMethod", talk.suite, id=an_id(document["id"]))


def presentation(talk: Talk, holder: Party, verifier: Party, challenge: str) -> dict[str, Any]:
    """A presentation with no credential in it."""
    name = an_id(f"presentation by the {holder.role}")
    document = build_presentation(id=name, holder=holder.did, engagement=ENGAGEMENT, credentials=())
    return proof_on(document, holder, talk.now, "authentication", challenge=challenge, domain=verifier.did)


def statement(party: Party, predicate: Predicate) -> dict[str, Any]:
    """The envelope of a statement about the one artifact of the hire."""
    payload = make_statement({"sbom.json": MADE}, predicate)
    return envelope(payload, [(party.method, party.sign(pae(PAYLOAD_TYPE, payload)))])


def provenance_statement(contract: str) -> bytes:
    """The payload of a provenance statement about the artifact of the hire."""
    return make_statement(
        {"sbom.json": MADE},
        provenance(
            contract=contract,
            clauses=("read-input",),
            provider=PROVIDER.did,
            task="sbom",
            inputs={"a.whl": INPUT},
            invocation_id=f"{ENGAGEMENT}:1",
            started_on=shift(BEGIN, 660),
            finished_on=shift(BEGIN, 840),
        ),
    )


def refusal_statement(contract: str) -> bytes:
    """The payload of a refusal by the hirer's gate."""
    return make_statement(
        {"contract": contract},
        refusal(
            Action("artifact:read", "https://acme.example/payroll.csv"),
            contract=contract,
            engagement=ENGAGEMENT,
            gate=HIRER.did,
            at=shift(BEGIN, 700),
            code="scope_exceeded",
            clause="read-input",
            reason="the target is outside the grant",
            would_pass="target https://acme.example/artifacts/a.whl",
        ),
    )


def signed_checkpoint(party: Party, size: int, root: bytes) -> str:
    """A checkpoint of the party's log, as messages write it."""
    text = checkpoint_text(party.did, size, root)
    return multibase_encode("u", signed_note(text, party.did, party.public_key, party.sign(text)).encode())


def cosignature(by: Party, owner: Party, tree: Frontier, at: Instant) -> str:
    """A cosignature of the owner's log, as messages write it."""
    text, seconds = checkpoint_text(owner.did, tree.size, tree.root), int(parse_instant(at).timestamp())
    signature = by.sign(cosigned_text(text, seconds))
    return multibase_encode("u", cosigned_note(text, by.did, by.public_key, seconds, signature).encode())


def log_of(party: Party, contract_entry: bytes) -> tuple[Frontier, list[bytes]]:
    """A log of five leaves, the contract's the last."""
    leaves = [leaf_hash(seed(f"leaf {place} of the {party.role}")) for place in range(4)] + [leaf_hash(contract_entry)]
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree, leaves
