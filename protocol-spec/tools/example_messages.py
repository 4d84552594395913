"""One whole hire as messages, signed with keys that anybody can make again: the examples of this specification.

The private keys are the SHA-256 of `hire example hirer` and `hire example provider`; identifiers and nonces come from
such texts too, so the same examples come out each time.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from msgspec import convert, to_builtins
from msgspec.structs import replace
from nacl.signing import SigningKey

from undersigned.attestation import (
    PAYLOAD_TYPE,
    ActionTaken,
    Predicate,
    UsageLine,
    accepted,
    envelope,
    make_statement,
    pae,
    provenance,
    refusal,
    work,
)
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
    ED25519_PUB,
    Instant,
    base64url_encode,
    digest_bytes,
    digest_from_hex,
    digest_of,
    multibase_encode,
    multicodec_encode,
    parse_instant,
    shift,
)
from undersigned.keys import public_key_from_raw
from undersigned.messages import (
    Acceptance,
    Artifact,
    Bid,
    Cancel,
    Closing,
    Consistency,
    CriterionVerdict,
    Delivery,
    Inclusion,
    Input,
    Inquiry,
    LedgerPlace,
    Limits,
    LogHead,
    Message,
    Need,
    Offer,
    Presentation,
    PresentationRequest,
    Problem,
    Profile,
    Progress,
    Receipt,
    Recorded,
    Review,
    Seal,
    Served,
    Settled,
    Start,
    Sync,
    Task,
    Tender,
    Terminate,
    Usage,
    VerifiedMessage,
    Waiting,
    Withdraw,
    draft,
    engagement_id,
)
from undersigned.proof import attach, prepare, proof_config
from undersigned.scope import Action, Grant, Limit, Scope, compile_scope, sketch
from undersigned.transparency import (
    Frontier,
    checkpoint_text,
    contract_leaf,
    cosigned_note,
    cosigned_text,
    leaf_digest,
    leaf_hash,
    node_hash,
    signed_note,
)

BEGIN = "2026-11-24T09:00:00Z"
SUITE = "eddsa-jcs-2022"
GONE = object()
"""In place of a value: the member is left out."""


def seed(text: str) -> bytes:
    """32 bytes that look random and are not."""
    return hashlib.sha256(f"hire example {text}".encode()).digest()


def nonce(text: str) -> str:
    """A nonce made of a text."""
    return "u" + base64url_encode(seed(text))


@dataclass(frozen=True)
class Party:
    """A side with its key and did:key."""

    role: str

    @property
    def key(self) -> SigningKey:
        """The private key."""
        return SigningKey(seed(self.role))

    @property
    def multikey(self) -> str:
        """The public key."""
        return multibase_encode("z", multicodec_encode(ED25519_PUB, bytes(self.key.verify_key)))

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
            "id": f"urn:uuid:{uuid.UUID(bytes=seed(f'message {self.count}')[:16], version=4)}",
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
    name = f"urn:uuid:{uuid.UUID(bytes=seed(document['id'])[:16], version=4)}"
    return proof_on(document, party, talk.now, "assertionMethod", talk.suite, id=name)


def presentation(talk: Talk, holder: Party, verifier: Party, challenge: str) -> dict[str, Any]:
    """A presentation with no credential in it."""
    name = f"urn:uuid:{uuid.UUID(bytes=seed(f'presentation by the {holder.role}')[:16], version=4)}"
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
    key = public_key_from_raw("Ed25519", bytes(party.key.verify_key))
    return "u" + base64url_encode(signed_note(text, party.did, key, party.sign(text)).encode())


def cosignature(by: Party, owner: Party, tree: Frontier, at: Instant) -> str:
    """A cosignature of the owner's log, as messages write it."""
    text, seconds = checkpoint_text(owner.did, tree.size, tree.root), int(parse_instant(at).timestamp())
    key = public_key_from_raw("Ed25519", bytes(by.key.verify_key))
    signature = by.sign(cosigned_text(text, seconds))
    return "u" + base64url_encode(cosigned_note(text, by.did, key, seconds, signature).encode())


def log_of(party: Party, contract_entry: bytes) -> tuple[Frontier, list[bytes]]:
    """A log of five leaves, the contract's the last."""
    leaves = [leaf_hash(seed(f"leaf {place} of the {party.role}")) for place in range(4)] + [leaf_hash(contract_entry)]
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree, leaves


def conversation(suite: str = SUITE) -> dict[str, VerifiedMessage]:
    """Name -> message: one hire from `Inquiry` to both `Closing`s, then the types it had no use for."""
    talk = Talk(suite=suite)
    said: dict[str, VerifiedMessage] = {}

    def say(name: str, of: type[Message], role: str, /, **body: Any) -> VerifiedMessage:
        said[name] = talk.say(of, role, **body)
        return said[name]

    versions, suites = ("1.0",), ("eddsa-jcs-2022", "eddsa-rdfc-2022")
    need = Need(code="credential", credential="MembershipCredential", issuers=("did:web:chamber.example",))
    inquiry = say(
        "inquiry",
        Inquiry,
        "hirer",
        nonce=nonce("hirer's nonce"),
        need="sbom",
        task=TASK,
        scope_sketch=sketch(SCOPE),
        versions=versions,
        suites=suites,
        extensions=(),
        opens="hirer",
        limits=Limits(rounds=16, bytes=2_097_152),
        respond_by=shift(BEGIN, 600),
        closes_at=shift(BEGIN, 86_400),
    )
    profile = say(
        "profile",
        Profile,
        "provider",
        nonce=nonce("provider's nonce"),
        inquiry=inquiry.digest,
        versions=versions,
        suites=suites,
        suite=suite,
        hybrid=False,
        capabilities=({"name": "sbom", "formats": ["CycloneDX 1.6"]},),
        request=PresentationRequest(needs=(need,)),
        respond_by=shift(BEGIN, 1200),
    )
    shown = say(
        "presentation-hirer",
        Presentation,
        "hirer",
        answers=profile.digest,
        presentation=presentation(talk, HIRER, PROVIDER, profile.digest),
        request=PresentationRequest(needs=()),
    )
    say(
        "presentation-provider",
        Presentation,
        "provider",
        answers=shown.digest,
        presentation=presentation(talk, PROVIDER, HIRER, shown.digest),
    )
    first = say("offer", Offer, "hirer", document=contract(talk, "hirer", "20"), valid_until=shift(BEGIN, 3600))
    document = contract(talk, "provider", "25")
    counter = say(
        "offer-counter",
        Offer,
        "provider",
        document=document,
        valid_until=shift(BEGIN, 3600),
        in_reply_to=first.digest,
        note="Two formats would be 30.",
    )
    said["receipt-waiting"] = talk.say(
        Receipt,
        "hirer",
        of=(counter.digest,),
        received_at=talk.now,
        waiting=Waiting(for_="person", until=shift(BEGIN, 1800)),
    )
    offered = counter.message
    assert isinstance(offered, Offer)
    json = offered.as_json()["document"]
    named = json["proof"]["id"]
    both = proof_on(json, HIRER, talk.now, "assertionMethod", suite, previous_proof=named)
    acceptance = say(
        "acceptance",
        Acceptance,
        "hirer",
        offer=counter.digest,
        document=digest_of(json),
        contract_proof=both["proof"][1],
    )
    tree, leaves = log_of(PROVIDER, contract_leaf(both))
    leaf = leaf_digest(contract_leaf(both))
    seal = say(
        "seal",
        Seal,
        "provider",
        offer=counter.digest,
        document=digest_of(json),
        acceptance=acceptance.digest,
        ledger=LedgerPlace(log=PROVIDER.did, index=4, leaf=leaf),
    )
    # With five leaves, the fifth has one sibling: the root of the other four.
    sibling = node_hash(node_hash(leaves[0], leaves[1]), node_hash(leaves[2], leaves[3]))
    checkpoint = signed_checkpoint(PROVIDER, tree.size, tree.root)
    said["receipt-inclusion"] = talk.say(
        Receipt,
        "provider",
        of=(),
        received_at=talk.now,
        checkpoint=checkpoint,
        inclusion=Inclusion(leaf=leaf, index=4, size=5, path=(digest_from_hex(sibling.hex()),)),
    )
    sealed = digest_of(json)
    say("start", Start, "hirer", contract=sealed, inputs=(Input(name="a.whl", digest=INPUT),))
    begun = Talk({role: list(moves) for role, moves in talk.moves.items()}, talk.count + 200, suite)
    usage = (Usage(clause="read-input", unit="count", amount="1"),)
    say("progress", Progress, "provider", contract=sealed, number=1, cursor="parsed", percent=50, usage=usage)
    say("progress-bare", Progress, "provider", contract=sealed, number=2)
    began, ended = talk.moves["hirer"][-1], talk.now
    account = work(
        contract=sealed,
        engagement=ENGAGEMENT,
        provider=PROVIDER.did,
        task="sbom",
        inputs={"a.whl": INPUT},
        actions=(
            ActionTaken(
                at=ended,
                action="artifact:read",
                target=f"https://acme.example/artifacts/{INPUT}",
                clause="read-input",
                allowed=True,
            ),
        ),
        usage=(UsageLine(clause="read-input", unit="count", amount="1"),),
        started_on=began.message.proof.created if began.message.proof else ended,
        finished_on=ended,
    )
    delivery = say(
        "delivery",
        Delivery,
        "provider",
        contract=sealed,
        outcome="complete",
        artifacts=(Artifact(name="sbom.json", digest=MADE, media_type="application/vnd.cyclonedx+json"),),
        statements=(statement(PROVIDER, account),),
        usage=usage,
        round=1,
    )
    say(
        "review",
        Review,
        "hirer",
        delivery=delivery.digest,
        verdict="accepted",
        criteria=(CriterionVerdict(id="valid", met=True),),
        statement=statement(
            HIRER,
            accepted(
                contract=sealed,
                document_id=document.id,
                verifier=HIRER.did,
                passed=True,
                statements=(digest_bytes(make_statement({"sbom.json": MADE}, account)),),
                time_verified=talk.now,
            ),
        ),
    )
    own, _ = log_of(HIRER, contract_leaf(both))
    books = {"hirer": signed_checkpoint(HIRER, own.size, own.root), "provider": checkpoint}
    for role in ("hirer", "provider"):
        say(
            f"closing-{role}",
            Closing,
            role,
            contract=sealed,
            basis="review",
            delivery=delivery.digest,
            usage=usage,
            settlement=Settled(amount="25", currency="EUR"),
            checkpoint=books[role],
            cosignatures=(),
        )
    say("sync", Sync, "hirer", state="closed", lane="idle", checkpoint=books["hirer"])
    say(
        "problem",
        Problem,
        "provider",
        of=seal.digest,
        code="schema_violation",
        class_="schema",
        path="/terms/price",
        retryable=False,
        final=True,
    )
    say(
        "problem-retryable",
        Problem,
        "provider",
        of=seal.digest,
        code="rate_limited",
        class_="limit",
        retryable=True,
        retry_after=5,
        final=False,
    )

    # What this hire had no use for, each in a talk of its own.
    tender = Tender(
        id="urn:uuid:0f0e0d0c-0b0a-4908-8706-050403020100",
        sealed=True,
        bids_close=shift(BEGIN, 3600),
        reveal_by=shift(BEGIN, 7200),
        award_by=shift(BEGIN, 10_800),
        rule={"price": "lowest"},
    )
    opened = inquiry.message
    assert isinstance(opened, Inquiry)
    body = {name: getattr(opened, name) for name in opened.__struct_fields__}
    for name in ("context", "version", "id", "engagement", "sender", "recipient", "role", "sequence"):
        del body[name]
    for name in ("previous", "seen", "proof"):
        del body[name]
    body |= {"tender": tender, "opens": "provider", "continues": digest_bytes(b"a withdrawal")}
    talk = Talk(suite=suite)
    said["inquiry-tender"] = talk.say(Inquiry, "hirer", **body)
    said["bid"] = talk.say(
        Bid, "provider", commitment=digest_bytes(b"terms and salt"), valid_until=shift(BEGIN, 14_400)
    )
    said["withdraw"] = talk.say(Withdraw, "hirer", reason="changed")
    said["withdraw-needed"] = talk.say(
        Withdraw, "provider", reason="policy_denied", needed=(need, Need(code="opens", member="/opens"))
    )
    said["withdraw-capacity"] = talk.say(
        Withdraw,
        "provider",
        reason="capacity",
        needed=(Need(code="capacity", capability="sbom", after=shift(BEGIN, 7200)),),
    )
    talk.moves["hirer"].append(said["withdraw"])
    said["closing-capacity"] = talk.say(
        Closing,
        "provider",
        contract=sealed,
        basis="terminate",
        usage=(),
        settlement=Settled(amount="0", currency="EUR"),
        checkpoint=checkpoint,
        cosignatures=(),
        capacity=Served(advertised=4, met=2),
        recorded=Recorded(decisions=3, refusals=1),
    )
    said["cancel"] = talk.say(
        Cancel, "hirer", contract=sealed, reason="no_longer_needed", wind_down=shift(BEGIN, 20_000)
    )
    said["terminate"] = talk.say(Terminate, "hirer", contract=sealed, cause="deadline", evidence=())
    said["terminate-revoked"] = talk.say(
        Terminate,
        "provider",
        contract=sealed,
        cause="revoked",
        names=digest_bytes(b"a status list"),
        evidence=(digest_bytes(b"a status list"),),
    )
    stated = LogHead(
        at=talk.now,
        size=tree.size,
        root=digest_from_hex(tree.root.hex()),
        consistency=Consistency(size=4, path=(leaf,)),
    )
    said["offer-head"] = talk.say(
        Offer,
        "provider",
        document=document,
        valid_until=shift(BEGIN, 3600),
        in_reply_to=first.digest,
        head=stated,
    )
    said["acceptance-cosigning"] = talk.say(
        Acceptance,
        "hirer",
        offer=said["offer-head"].digest,
        document=sealed,
        contract_proof=both["proof"][1],
        head=LogHead(at=talk.now, size=own.size, root=digest_from_hex(own.root.hex())),
        cosignatures=(cosignature(HIRER, PROVIDER, tree, talk.now),),
    )
    said["seal-cosigning"] = talk.say(
        Seal,
        "provider",
        offer=said["offer-head"].digest,
        document=sealed,
        acceptance=said["acceptance-cosigning"].digest,
        ledger=LedgerPlace(log=PROVIDER.did, index=4, leaf=leaf),
        cosignatures=(cosignature(PROVIDER, HIRER, own, talk.now),),
    )
    said["closing-cosigning"] = talk.say(
        Closing,
        "provider",
        contract=sealed,
        basis="terminate",
        usage=(),
        settlement=Settled(amount="0", currency="EUR"),
        checkpoint=checkpoint,
        checkpoint_at=talk.now,
        cosignatures=(cosignature(PROVIDER, HIRER, own, talk.now),),
        consistency=Consistency(size=4, path=(leaf,)),
    )
    from example_changes import changes  # it is made of what stands here

    return said | changes(begun, sealed)


def refused() -> dict[str, dict[str, Any]]:
    """Name -> `{"code", "path", "says", "message"}`: a message, and the error it is refused with.

    Each is one valid example with one change. The proofs are those of the unchanged messages: none of these is looked
    at that far.
    """
    said = {name: json.loads(message.raw) for name, message in conversation().items()}
    made: dict[str, dict[str, Any]] = {}

    def change(name: str, base: str, code: str, path: str, says: str, **members: Any) -> None:
        message = json.loads(json.dumps(said[base]))
        for member, value in members.items():
            *steps, last = member.split("__")
            inside = message
            for step in steps:
                inside = inside[int(step) if step.isdigit() else step]
            if value is GONE:
                del inside[last]
            else:
                inside[last.replace("at_", "@")] = value
        made[name] = {"code": code, "path": path, "says": says, "message": message}

    wrong = "schema_violation"
    change("capacity-less", "closing-capacity", wrong, "/capacity/met", "less than nothing", capacity__met=-1)
    change("needed-some-day", "withdraw-capacity", wrong, "/needed/0/after", "no instant", needed__0__after="soon")
    change("no-proof", "start", "proof_missing", "/proof", "a message without a proof", proof=GONE)
    change("proof-empty", "start", "proof_missing", "/proof", "an empty proof", proof={})
    change("proof-list-empty", "start", "proof_missing", "/proof", "no proof in a list", proof=[])
    change("proof-null", "start", "proof_missing", "/proof", "a proof that is null", proof=None)
    change("proof-list", "start", "proof_invalid", "/proof", "a proof in a list", proof=[said["start"]["proof"]])
    change("proof-challenge", "start", "unknown_term", "/proof/challenge", "no challenge", proof__challenge="x")
    change(
        "proof-old-type",
        "start",
        "suite_not_allowed",
        "/proof/type",
        "an older type",
        proof__type="JsonWebSignature2020",
    )
    change("proof-no-suite", "start", "suite_not_allowed", "/proof/cryptosuite", "no suite", proof__cryptosuite=GONE)
    change(
        "proof-purpose",
        "start",
        "proof_purpose_mismatch",
        "/proof/proofPurpose",
        "a purpose that no message has",
        proof__proofPurpose="capabilityInvocation",
    )
    change("proof-no-zone", "start", wrong, "/proof/created", "no time zone", proof__created="2026-11-24T09:00:00")
    change(
        "proof-leap-second", "start", wrong, "/proof/expires", "a leap second", proof__expires="2026-12-31T23:59:60Z"
    )
    change("proof-not-base58", "start", wrong, "/proof/proofValue", "another base", proof__proofValue="uAAAA")
    change("unknown-member", "start", "unknown_term", "/liability", "a member that no type has", liability="none")
    change(
        "unknown-member-inside", "start", "unknown_term", "/inputs/0/maxSpendX", "one deeper", inputs__0__maxSpendX=1
    )
    change(
        "unknown-member-of-contract",
        "offer",
        "unknown_term",
        "/document/liability",
        "one in the contract document",
        document__liability="none",
    )
    change("unknown-type", "start", wrong, "/type", "a type that is not in the list", type="Amendment")
    change("unknown-version", "start", "version_not_supported", "/version", "another major version", version="2.0")
    change("no-version", "start", wrong, "/version", "no version", version=GONE)
    change("no-type", "start", wrong, "/type", "no type", type=GONE)
    for name, value in (
        ("inline", {"budget": "https://w3id.org/hire#price"}),
        ("list", ["https://w3id.org/hire/v1"]),
        ("other", "https://example.org/hire/v1"),
        ("fragment", "https://w3id.org/hire/v1#x"),
        ("file", "file:///etc/hosts"),
    ):
        change(f"context-{name}", "start", "context_not_allowed", "/@context", "another context", **{"@context": value})
    change("context-none", "start", "context_not_allowed", "/@context", "no context", **{"@context": GONE})
    change(
        "context-inside", "start", "context_not_allowed", "/inputs/0/@context", "one inside", inputs__0__at_context={}
    )
    for keyword in ("graph", "included", "reverse", "nest", "id", "type"):
        change(f"keyword-{keyword}", "start", wrong, f"/@{keyword}", "a keyword", **{f"at_{keyword}": {}})
    change(
        "value-object", "start", wrong, "/contract", "a value object", contract={"@value": said["start"]["contract"]}
    )
    change("list-object", "start", wrong, "/inputs", "a list object", inputs={"@list": []})
    change("id-object", "start", wrong, "/sender", "a node object", sender={"@id": HIRER.did})
    change("null-member", "start", "bad_json", "/seen", "null", seen=None)
    change("sequence-text", "start", wrong, "/sequence", "text for a number", sequence="5")
    change("sequence-zero", "inquiry", wrong, "/sequence", "a move in place 0", sequence=0)
    change("sequence-negative", "sync", wrong, "/sequence", "a count below 0", sequence=-1)
    change("first-with-previous", "inquiry", wrong, "/previous", "a first move with one before", previous=INPUT)
    change("later-without-previous", "start", wrong, "/previous", "a later move with none before", previous=GONE)
    change("notice-without-previous", "sync", wrong, "/previous", "a notice after moves without one", previous=GONE)
    change("role", "start", wrong, "/role", "a third role", role="arbiter")
    change("id-upper-case", "start", wrong, "/id", "another spelling of a name", id=said["start"]["id"].upper())
    change("id-not-random", "start", wrong, "/id", "not version 4", id="urn:uuid:00000000-0000-1000-8000-000000000000")
    change("digest-hex", "start", wrong, "/contract", "a digest in hex", contract="00" * 32)
    change("instant-offset", "bid", wrong, "/validUntil", "an offset", validUntil="2026-11-24T09:00:00+01:00")
    change("instant-no-day", "bid", wrong, "/validUntil", "a day that is not", validUntil="2026-02-29T09:00:00Z")
    change("amount-zeros", "closing-hirer", wrong, "/settlement/amount", "a trailing zero", settlement__amount="25.0")
    change("amount-number", "closing-hirer", wrong, "/settlement/amount", "a number", settlement__amount=25)
    change("nonce-short", "profile", wrong, "/nonce", "31 bytes", nonce="u" + base64url_encode(bytes(31)))
    change("nonce-other-base", "profile", wrong, "/nonce", "another base", nonce=multibase_encode("z", bytes(32)))
    change("rounds", "inquiry", wrong, "/limits/rounds", "more rounds than there may be", limits__rounds=65)
    change("opens-none", "inquiry", wrong, "/opens", "nobody opens", opens=GONE)
    change("request-none", "presentation-hirer", wrong, "/request", "a hirer that asks nothing", request=GONE)
    change("request-both", "presentation-provider", wrong, "/request", "a provider that asks", request={"needs": []})
    change("reason", "withdraw", wrong, "/reason", "a reason of one's own", reason="because")
    change("names-none", "terminate-revoked", wrong, "/names", "what was revoked is not named", names=GONE)
    change("final-and-retryable", "problem-retryable", wrong, "/final", "again and never", final=True)
    change("retry-after", "problem", wrong, "/retryAfter", "when to do what will not help", retryAfter=5)
    change("inclusion-alone", "receipt-inclusion", wrong, "/checkpoint", "a proof that leads nowhere", checkpoint=GONE)
    change("uses-of-a-no", "approval-refused", wrong, "/uses", "a no that allows something", uses=1)
    change("uses-none", "approval", wrong, "/uses", "a yes that allows nothing", uses=0)
    change("suspend-reason", "suspend", wrong, "/reason", "a reason of one's own", reason="because")
    change("suspend-for-ever", "suspend", wrong, "/until", "no end", until=GONE)
    change("cure-by-none", "breach", wrong, "/cureBy", "no time to cure it", cureBy=GONE)
    change("claim-none", "dispute", wrong, "/claim", "a dispute about nothing", claim=GONE)
    change("ruling-none", "ruling", wrong, "/ruling", "no ruling", ruling=GONE)
    change(
        "amendment-of-nothing",
        "offer-amendment",
        wrong,
        "/document/amends",
        "what it amends is not said",
        document__amends=GONE,
    )
    change(
        "release-with-terms",
        "offer-release",
        "unknown_term",
        "/document/terms",
        "a release that goes on",
        document__terms={},
    )
    change("document-type", "offer", wrong, "/document/type", "a document of another kind", document__type="Renewal")
    change("verdict", "review", wrong, "/verdict", "a verdict of one's own", verdict="fine")
    owed = {"settlement": {"amount": "-5", "currency": "EUR"}}
    change("owed-less-than-nothing", "closing-hirer", wrong, "/settlement/amount", "owed to the hirer", **owed)
    change("percent", "progress", wrong, "/percent", "more than all", percent=101)
    change("note-long", "offer-counter", wrong, "/note", "more than 1 KiB of note", note="x" * 1025)
    change(
        "needs-many", "presentation-hirer", wrong, "/request/needs", "too many", request={"needs": [{"code": "x"}] * 65}
    )
    return made
