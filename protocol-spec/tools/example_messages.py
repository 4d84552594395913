"""One whole hire as messages: the examples of this specification."""

from __future__ import annotations

import json
from typing import Any

from example_changes import changes
from example_parties import (
    BEGIN,
    ENGAGEMENT,
    HIRER,
    INPUT,
    MADE,
    PROVIDER,
    SCOPE,
    SUITE,
    TASK,
    Talk,
    contract,
    cosignature,
    log_of,
    nonce,
    presentation,
    proof_on,
    signed_checkpoint,
    statement,
)
from msgspec.structs import replace

from undersigned.attestation import ActionTaken, UsageLine, accepted, make_statement, work
from undersigned.encoding import base64url_encode, digest_bytes, digest_from_hex, digest_of, multibase_encode, shift
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
    Tender,
    Terminate,
    Usage,
    VerifiedMessage,
    Waiting,
    Withdraw,
)
from undersigned.scope import sketch
from undersigned.transparency import contract_leaf, leaf_digest, node_hash

GONE = object()
"""In place of a value: the member is left out."""


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
    once = replace(opened.limits, rounds=1)
    body |= {"tender": tender, "opens": "provider", "limits": once, "continues": digest_bytes(b"a withdrawal")}
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
    for name, base, (says, member, value), path in (
        (
            "document-proof-null",
            "offer",
            ("a document's proof that is null", "document__proof", None),
            "/document/proof",
        ),
        (
            "document-proof-list-empty",
            "offer",
            ("no proof of a document in a list", "document__proof", []),
            "/document/proof",
        ),
        ("contract-proof-missing", "acceptance", ("no proof on the document", "contractProof", GONE), "/contractProof"),
    ):
        change(name, base, "proof_missing", path, says, **{member: value})
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
    change(
        "proof-of-another-kind",
        "start",
        "suite_not_allowed",
        "/proof/type",
        "a member of an older type beside",
        proof__type="JsonWebSignature2020",
        proof__jws="x",
    )
    change(
        "proof-suite-misspelled",
        "start",
        "suite_not_allowed",
        "/proof/cryptosuite",
        "a suite in no spelling of one, and a time that is none",
        proof__created="yesterday",
        proof__cryptosuite="EdDSA JCS",
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
    less = "a release by which less than nothing is owed"
    there = "/document/settlement/amount"
    change("release-below-nothing", "offer-release", wrong, there, less, document__settlement__amount="-1")
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
