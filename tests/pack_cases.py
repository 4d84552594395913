"""Packs that hold and packs that must not, for those who judge packs: of hires in memory and of the vectors."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

from msgspec.structs import replace

from packs import (
    NEXT_ARBITER,
    OTHER_ENGAGEMENT,
    Hire,
    Line,
    Log,
    Posing,
    changed_hire,
    coded,
    ended_anew,
    fewer_statements,
    judged_anew,
    partly_passed,
    refused_action,
    renamed_after,
    ruled_anew,
    sign,
    stated,
)
from parties import Party
from support import ROOT, examples
from undersigned.attestation import PAYLOAD_TYPE, ActionTaken, SubcontractLine, accepted, envelope, pae
from undersigned.attestation.predicates.base import resource
from undersigned.contract import Methods, Milestone, Price, Subcontracting, Terms, acceptance_config
from undersigned.did import DidDocument, make_document
from undersigned.encoding import (
    JsonObject,
    base64_encode,
    canonicalize,
    digest_bytes,
    from_struct,
    multibase_encode,
    parse_instant,
    shift,
)
from undersigned.evidence import TAMPERINGS, read_archive, read_pack, tamper, write_archive, write_pack
from undersigned.evidence.pack import PLACES, sealed_documents
from undersigned.messages import Consistency, CriterionVerdict, LogHead, Recorded, Settled, Usage, VerifiedMessage
from undersigned.protocol import HIRER, PROVIDER, Role, Sent
from undersigned.testing import (
    ARBITER,
    Actor,
    Playbook,
    Say,
    acceptance,
    amendment,
    breach,
    cancel,
    closing,
    delivery,
    dispute,
    minutes,
    offer,
    release,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    terminate,
    terms_for,
    withdraw,
)
from undersigned.transparency import InclusionProof, NoteVerifier, checkpoint_text, signed_note

VECTORS = ROOT / "protocol-spec" / "vectors"
LATER = "2031-01-01T00:00:00Z"

NEUTRAL = b"\x01" + bytes(31)
"""The neutral element of Ed25519: as a key it fits one signature to every message."""


LEDGER, DECISIONS = 8, 10
"""Numbers of steps."""
DECISION = b'{"outcome":"allow","reasons":["known"]}'
OTHER = b'{"outcome":"deny","reasons":["unknown"]}'
SALT, ITS = b"0123456789abcdef", b"fedcba9876543210"


class Case(NamedTuple):
    """A pack, and when it is judged."""

    name: str
    data: bytes
    now: str = LATER


def hires() -> Iterator[Case]:
    """Hires that went well, or as far as they went."""
    whole = Hire().whole()
    for role in ("hirer", "provider"):
        yield Case(f"whole, {role}", whole.pack(role))
        yield Case(f"changed, {role}", changed_hire().delivered().reviewed().closed().pack(role))
    yield Case("fewer statements, as its amendment asks for", fewer_statements(amended=True).pack())
    waiting = fewer_statements(amended=True, reviewed=False)
    yield Case("fewer statements, as its amendment asks for, not reviewed", waiting.pack("provider"))
    for role in ("hirer", "provider"):
        yield Case(f"an end at convenience that crosses the seal of terms without, {role}", ended_anew().pack(role))
    for by, crossing, unseen in RULED_ANEW:
        how = "crosses" if crossing else "knows of"
        hire, said = ruled_anew(by, crossing=crossing, unseen=unseen), "and so does" if unseen else "before"
        for role in ("hirer", "provider"):
            yield Case(
                f"a dispute that {how} the seal of another arbiter, {said} the ruling of {by.did}, {role}",
                hire.pack(role),
            )
    for crossing in (True, False):
        said = "crosses" if crossing else "knows of"
        judged, renamed = judged_anew(crossing=crossing), renamed_after(crossing=crossing)
        for role in ("hirer", "provider"):
            yield Case(
                f"a verdict by the verifier of before that {said} the seal of another, {role}", judged.pack(role)
            )
            yield Case(
                f"a delivery under the name of before that {said} the seal of another, {role}", renamed.pack(role)
            )
    yield Case("without artifacts", whole.pack(artifacts=()))
    yield Case("of a later version", _with_member(whole.pack(), "later/one.json", b"{}"))
    yield Case("a member of a kind that is none", _with_member(whole.pack(), "x/one.json", b"{}", kind="No Kind"))
    for kind in sorted(set(PLACES.values())):
        yield Case(f"{kind} elsewhere", _with_member(whole.pack(), "x/one.json", b"{}", kind=kind))
    for path, member in read_archive(whole.pack()).items():
        if path != "manifest.json":
            yield Case(f"{path} of another kind", _with_member(whole.pack(), path, member, kind="other"))
    now = whole.book.clock.now()
    yield Case("a minute ahead", whole.pack(), shift(now, -60))
    yield Case("more than a minute ahead", whole.pack(), shift(now, -61))
    for name, hire in (
        ("sealed", Hire().sealed()),
        ("delivered", Hire().sealed().delivered()),
        ("reviewed", Hire().sealed().delivered().reviewed()),
    ):
        yield Case(name, hire.pack())
        yield Case(f"{name}, nothing of a log", hire.pack(checkpoint=None, inclusion=None))
    for state in ("inquired", "ready", "offered-by-provider", "accepted-by-provider", "withdrawn"):
        yield Case(f"negotiation, {state}", _talk(Playbook(state)))
    book = Playbook("offered-by-hirer")
    with book.held():
        book.hirer >> withdraw()
        book.provider >> withdraw()
    yield Case("withdrawals that cross", _talk(book))
    yield Case("a second proof that names the first in a list", named_in_a_list().pack())
    disputed = changed_hire().delivered()
    disputed.book.provider >> dispute()
    disputed.book.hirer >> ruling("for_provider", amount="15")
    yield Case("ruled", disputed.closed().pack())
    released = Hire().sealed()
    released.book.hirer >> release(amount="2")
    released.book.provider >> acceptance()
    released.book.hirer >> seal()
    released.book.hirer >> closing(basis="release", checkpoint=coded(released.logs["hirer"].note()))
    yield Case("released", released.pack())
    for name, given in (("no proof", {}), ("a proof of another document", {"previousProof": f"urn:uuid:{'0' * 36}"})):
        back = Hire().sealed()
        back.book.provider >> amendment()
        with back.book.held():
            back.book.provider >> withdraw()
            back.book.hirer >> acceptance(contract_proof=given)
        for role in ("hirer", "provider"):
            yield Case(f"an acceptance that moves nothing, with {name}, {role}", back.pack(role))
    nothing = Hire().sealed()
    nothing.book.provider >> delivery("cancelled", artifacts=(), statements=())
    yield Case("nothing, accepted", nothing.reviewed(statement=_of_the_contract(nothing)).closed().pack())
    for outcome in ("complete", "partial"):
        other = Hire().sealed()
        other.delivered(other.claims(name="other.json"), name="other.json", outcome=outcome)
        for role in ("hirer", "provider"):
            yield Case(f"not agreed on, {outcome}, {role}", other.pack(role))
    yield from books()
    none = Hire().sealed().delivered(artifacts=(), statements=())
    yield Case("nothing, called complete", none.pack("provider"))
    yield from keys_that_end()
    for name in REPLACED:
        for role in ("hirer", "provider"):
            yield Case(f"{name}, {role}", with_replaced_key(name, role))
    yield Case(
        "refusals", whole.pack(refusals=(refused_action(whole), refused_action(whole, clause="scope", repeated=7)))
    )
    grown = Hire().whole()
    for number in range(9):
        grown.logs["hirer"].append(b"leaf %d" % number)
        yield Case(f"a log of {grown.logs['hirer'].frontier.size} leaves", grown.pack())


def books() -> Iterator[Case]:
    """Sums in the books of one side or of both, some of which are not what ended the contract leaves owed."""
    for verdict, met in (("accepted", True), ("rejected", True), ("rejected", False)):
        shared = Hire(changing=in_parts).sealed().delivered()
        shared.reviewed(verdict, criteria=(CriterionVerdict(id="complete", met=met),)).closed()
        for role in ("hirer", "provider"):
            yield Case(f"in parts, {verdict}, {met}, {role}", shared.pack(role))
    again = Hire(changing=in_parts).sealed()
    for verdict, met in (("rework", False), ("rejected", True)):
        again.delivered().reviewed(verdict, criteria=(CriterionVerdict(id="complete", met=met),))
    yield Case("in parts, after a rework", again.closed().pack())
    for outcome in ("complete", "partial"):
        for amount in ("0", "12.5", "9999"):
            alone = Hire().sealed().delivered(outcome=outcome)
            alone.book.advance(minutes(60 * 24))
            books = {"basis": "silence", "settlement": Settled(amount=amount, currency="EUR")}
            alone.book.provider >> closing(checkpoint=coded(alone.logs["provider"].note()), **books)
            yield Case(f"alone, {outcome}, {amount}", alone.pack("provider"))
    ended = Hire().sealed()
    ended.book.hirer >> terminate("key_compromised")
    yield Case("ended", ended.closed().pack())
    crossed = Hire().sealed().delivered()
    with crossed.book.held():
        crossed.book.provider >> terminate("key_compromised")
        crossed.reviewed()
    crossed.closed(settlement=Settled(amount="7", currency="EUR"))
    yield Case("accepted, and ended meanwhile", crossed.pack("provider"))
    released = Hire().sealed()
    released.book.hirer >> release(amount="2")
    released.book.provider >> release(amount="3")
    released.book.hirer >> acceptance()
    released.book.provider >> seal()
    yield Case("released", released.closed().pack())
    for sums in (("3", "3"), ("7", "3"), ("3", "7")):
        ruled = Hire().sealed().delivered()
        ruled.book.provider >> dispute()
        with ruled.book.held():
            for side, amount in zip((ruled.book.hirer, ruled.book.provider), sums, strict=True):
                side >> ruling("divided", amount=amount)
        yield Case(f"ruled, {sums}", ruled.closed().pack())


def in_parts(terms: Terms) -> Terms:
    """A third of an uneven price is owed once its criterion is met."""
    part = Milestone(name="first", percent=33, criteria=("complete",))
    settlement = replace(terms.settlement, milestones=(part,))
    return replace(terms, price=Price(amount="12.345678901", currency="EUR"), settlement=settlement)


class Named(Actor):
    """A party under a name of its own, whose document lists two keys; it signs by the first one, which has an end."""

    def __init__(self, name: str, until: str = "2100-01-01T00:00:00Z") -> None:
        super().__init__(name)
        self.did = f"did:web:{name}.example"
        self.other = Actor(f"{name}, later")
        keys = [("1", self.public_key, {"expires": until}), ("2", self.other.public_key, {})]
        methods = [
            {"id": f"{self.did}#{at}", "type": "Multikey", "controller": self.did, "publicKeyMultibase": key.multikey}
            | more
            for at, key, more in keys
        ]
        names = [str(one["id"]) for one in methods]
        lists = {"verificationMethod": methods, "assertionMethod": names, "authentication": names}
        self.document = DidDocument(self.did, canonicalize({"id": self.did, **lists}))
        self.method = names[0]

    def changes_key(self) -> None:
        """From now on it signs by the second."""
        self.method, self._key, self.public_key = f"{self.did}#2", self.other._key, self.other.public_key


def keys_that_end() -> Iterator[Case]:
    """Keys that had their end before the pack was made, and others that an amendment names."""
    hour = shift(Playbook("-").clock.now(), 3600)
    for role in ("hirer", "provider"):
        one = Named(role, hour)
        other = Actor("provider" if role == "hirer" else "hirer")
        hire = Hire(actors=(one, other) if role == "hirer" else (other, one)).sealed().delivered().reviewed()
        hire.book.advance(2 * 3600)
        peer = hire.book.side(other.name)
        peer >> closing(checkpoint=coded(hire.logs[other.name].note()))
        yield Case(f"the key of the {role} had its end since", hire.pack(other.name, documents=(one.document.raw,)))
    for name, make in ENDED_MEANWHILE.items():
        yield Case(name, make())
    yield Case("claims by a key that the contract does not name", claimed_by(named=False))
    one = Named("provider")
    hire = Hire(actors=(Actor("hirer"), one)).sealed()
    one.changes_key()
    hire.book.hirer >> amendment()
    hire.book.provider >> acceptance()
    hire.book.hirer >> seal()
    hire.delivered().reviewed().closed()
    yield Case("another key that an amendment names", hire.pack(documents=(one.document.raw,)))


def _ended_meanwhile(role: Role) -> bytes:
    """Accepted after a key of one side had its end, by which it signed the contract: the hirer before that. Of
    all else it signs by its other one.
    """
    one = Named(role, shift(Playbook("-").clock.now(), minutes(4)))

    def stating(hire: Hire, name: str) -> dict[str, Any]:
        if name != "Acceptance":
            return {}
        hire.book.advance(minutes(6))
        proof = hire.provider.actor.prove_acceptance(from_struct(hire.provider.offered()), hire.provider.now)
        one.changes_key()
        return {"contract_proof": proof}

    other = Actor("provider" if role == HIRER else "hirer")
    hire = Hire(actors=(one, other) if role == HIRER else (other, one), stating=stating).sealed()
    return hire.pack(documents=(one.document.raw,))


ENDED_MEANWHILE: dict[str, Callable[[], bytes]] = {
    f"a contract by the key of the {role}, which had its end before it was accepted": partial(_ended_meanwhile, role)
    for role in (HIRER, PROVIDER)
}
"""The first holds, and the second does not."""


def claimed_by(*, named: bool) -> bytes:
    """Claims of a provider with two keys by the one that the contract names, or by the other one."""
    provider = Named("provider")
    hire = Hire(actors=(Actor("hirer"), provider)).sealed()
    by = copy(provider)
    if not named:
        by.changes_key()
    return hire.delivered(hire.claims(by=by)).reviewed().closed().pack(documents=(provider.document.raw,))


REPLACED = {
    "a verdict by the key before": ("1", ""),
    "a verdict by a key that nobody has seen": ("3", "attester_not_trusted"),
    "a verdict by another key under the name of the one before": ("1 of another", "proof_invalid"),
}
"""By which key of a hirer that has replaced its key the statement is, in a review by the new one; and the code."""


def with_replaced_key(name: str, role: str) -> bytes:
    """Such a pack, with a document for each key that the hirer had; `role` packs it."""
    hirer = Named("hirer")
    documents = [
        canonicalize(
            {
                **hirer.document.json,
                "verificationMethod": [method],
                "authentication": [method["id"]],
                "assertionMethod": [method["id"]],
            }
        )
        for method in hirer.document.json["verificationMethod"]
    ]
    hire = Hire(actors=(hirer, Actor("provider"))).sealed().delivered()
    stating, (number, _, another) = copy(hirer), REPLACED[name][0].partition(" of ")
    if another or number == "3":
        stating._key = Actor("hirer, another")._key
    stating.method = f"{hirer.did}#{number}"
    said = hire.verdict(by=stating)
    hirer.changes_key()
    return hire.reviewed(statement=said).closed().pack(role, documents=tuple(documents))


def _of_the_contract(hire: Hire) -> Any:
    """The hirer's acceptance where nothing was delivered: it is about the contract."""
    said = {"document_id": hire.document["id"], "verifier": hire.hirer.actor.did, "statements": ()}
    predicate = accepted(contract=hire.contract, passed=True, time_verified=hire.book.clock.now(), **said)
    return stated(hire.hirer.actor, {"contract": hire.contract}, predicate)


PROVED = ("decision", "withheld")
"""Kinds of tampering with what only some packs have."""
APART = (
    *PROVED,
    *("witness", "credential", "status", "jwt-signature", "jwt-none", "jwt-key"),
    *("no-refusals", "no-decisions", "no-inputs", "no-subcontracts"),
)
"""Those that take packs of their own."""


def tampered() -> Iterator[Case]:
    """Every kind of tampering, with a pack of either side."""
    whole = Hire().whole()
    for role in ("hirer", "provider"):
        for what in TAMPERINGS:
            if what not in APART:
                yield Case(f"{what}, {role}", tamper(whole.pack(role), what))
    proved = proved_hire()
    shown = {"proofs": proved.proofs(), "decisions": (DECISION, OTHER), "withheld": withheld(("artifact", b"a"))}
    for what in PROVED:
        yield Case(what, tamper(proved.pack(**shown), what))
    for did in (
        *("did:key:zBad", "did:key:z6MkBad", "did:jwk:e30", "did:other:x", "did:web:nobody.example"),
        *("did:web:Nobody.example", "did:web:nobody.example.", "did:web:127.0.0.1", "did:web:0x7f.1", "did:web:host"),
        *("did:web:localhost", "did:web:localhost%3A8101", "did:web:a.localhost", "did:web:nobody.example%3A0"),
        *("did:web:nobody.example%3A70000", "did:web:nobody.example:a:b", "did:web:nobody.example:..", "did:web:a%5Bb"),
        *("did:webvh:Qm:nobody.example", f"did:webvh:Qm{'a' * 44}:nobody.example", f"did:webvh:Qm{'a' * 44}:host"),
    ):
        for party in ("own", "peer"):
            yield Case(f"{party} is {did}", _with_manifest(whole.pack(), **{party: did}))
    data = whole.pack()
    for at in range(0, len(data), 997):
        yield Case(f"bit of byte {at}", data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
    for name, spoiled in (("nothing", b""), ("cut", data[:-1]), ("more", data + b"x"), ("no zip", b"not a zip")):
        yield Case(name, spoiled)


def wronged() -> Iterator[Case]:
    """What a party signed, and should not have: nothing that a stranger could make."""
    claims: tuple[tuple[str, Callable[[Hire], Any]], ...] = (
        ("another contract", lambda hire: hire.claims(contract=digest_bytes(b"another"))),
        ("another provider", lambda hire: hire.claims(provider=hire.hirer.actor.did)),
        ("a verdict", lambda hire: hire.verdict()),
        ("a verdict of its own", lambda hire: hire.verdict(by=hire.provider.actor)),
        ("another engagement", lambda hire: hire.claims(engagement=OTHER_ENGAGEMENT)),
        ("another task", lambda hire: hire.claims(task="another")),
        ("another input", lambda hire: hire.claims(inputs={"artifact": digest_bytes(b"another")})),
        ("unsigned", lambda hire: {**hire.claims(), "signatures": []}),
        ("another payload type", lambda hire: {**hire.claims(), "payloadType": "text/plain"}),
        ("a stray member", lambda hire: {**hire.claims(), "more": 1}),
        ("a stray context", lambda hire: {**hire.claims(), "@context": "https://w3id.org/hire/v1"}),
        ("a context inside", lambda hire: _within_claims(hire, **{"@context": "https://w3id.org/hire/v1"})),
        ("no object", lambda hire: _signed_as_it_is(hire.provider.actor, b"[]")),
    )
    for name, wrong in claims:
        for verdict in ("accepted", "rejected"):
            hire = Hire().sealed()
            yield Case(f"work: {name}, {verdict}", hire.delivered(wrong(hire)).reviewed(verdict).closed().pack())
        hire = Hire().sealed()
        hire.delivered(wrong(hire))
        yield Case(f"work: {name}, not reviewed", hire.pack())
        yield Case(f"work: {name}, not reviewed, its provider's", hire.pack("provider"))
    line = Usage(clause="read", unit="count", amount="1")
    for name, usage in (
        ("less", ()),
        ("more", (line, replace(line, unit="tokens"))),
        ("other", (replace(line, amount="2"),)),
    ):
        for verdict in ("accepted", "rejected"):
            hire = Hire().sealed()
            hire.delivered(hire.claims(), usage=usage).reviewed(verdict).closed()
            yield Case(f"work: {name} usage in the delivery, {verdict}", hire.pack())
    witness = json.loads(web_document(Actor("a witness")))
    documents = [canonicalize({**witness, "alsoKnownAs": [f"https://{number}.example/"]}) for number in range(257)]
    for number in (256, 257):
        yield Case(f"{number} documents of one", Hire().whole().pack(documents=tuple(documents[:number])))
    yield Case("a ruling whose arbiter is here", ruled_from_a_web_site(documents=True))
    yield Case("a ruling by whom nobody knows", ruled_from_a_web_site(documents=False))
    yield Case("work: none", Hire().sealed().delivered(statements=()).reviewed().pack())
    yield Case("work: another name", Hire().sealed().delivered(name="<img src=x onerror=alert(1)>\u202e").pack())
    verdicts: tuple[tuple[str, Callable[[Hire], Any]], ...] = (
        ("not passed", lambda hire: hire.verdict(passed=False)),
        ("by the provider", lambda hire: hire.verdict(by=hire.provider.actor)),
        ("another contract", lambda hire: hire.verdict(contract=digest_bytes(b"another"))),
        ("another engagement's document", lambda hire: hire.verdict(document_id=f"{OTHER_ENGAGEMENT}:hirer:1")),
        ("another statement", lambda hire: hire.verdict(statements=[digest_bytes(b"another")])),
        ("a claim", lambda hire: hire.claims()),
        ("another payload", lambda hire: {**hire.verdict(), "payload": "AAAA"}),
        ("bad base64", lambda hire: {**hire.verdict(), "payload": "AAA"}),
    )
    for name, wrong in verdicts:
        hire = Hire().sealed().delivered()
        yield Case(f"acceptance: {name}", hire.reviewed("accepted", wrong(hire)).pack())
    yield Case("acceptance: of a part, and rejected", partly_passed().pack())
    as_hirer, as_provider = Posing(Actor("hirer")), Posing(Actor("provider"))
    for name, verifier, by in (
        ("the one named", ARBITER.did, ARBITER),
        ("the hirer", ARBITER.did, None),
        ("a stranger", ARBITER.did, Actor("stranger")),
        ("the hirer under another name", as_hirer.did, as_hirer),
        ("the provider under another name", as_provider.did, as_provider),
        ("nobody whose document is here", "did:web:judge.example", ARBITER),
    ):
        for verdict in ("accepted", "rejected"):
            for hint in (True, False):
                hire = Hire(verifier=verifier).sealed().delivered()
                statement = hire.verdict(by=by, passed=verdict == "accepted")
                if not hint:
                    statement["signatures"] = [{"sig": one["sig"]} for one in statement["signatures"]]
                data = hire.reviewed(verdict, statement).pack()
                yield Case(f"judged by {name}, {verdict}{'' if hint else ', without keyid'}", data)
    failed = Hire().sealed().delivered(outcome="failed", artifacts=(), statements=())
    said = accepted(
        contract=failed.contract,
        document_id=str(failed.document["id"]),
        verifier=failed.hirer.actor.did,
        passed=False,
        statements=(),
        time_verified=failed.book.clock.now(),
    )
    statement = stated(failed.hirer.actor, {"contract": failed.contract}, said)
    yield Case("failed and rejected", failed.reviewed("rejected", statement).closed().pack())
    for payload, text in ((["++++/w=="], "++++/w=="), (1234, "1234"), (True, "True"), (None, "None"), ("1234", "1234")):
        carried: Any = {} if payload is None else {"payload": payload}
        failed = Hire().sealed().delivered(outcome="failed", artifacts=(), statements=(carried,))
        of = replace(said, input_attestations=(resource(digest_bytes(b64decode(text))),))
        of = replace(of, policy=resource(failed.contract, uri=str(failed.document["id"])))
        statement = stated(failed.hirer.actor, {"contract": failed.contract}, of)
        data = failed.reviewed("rejected", statement).closed().pack()
        yield Case(f"rejected, by the payload of {json.dumps(carried)}", data)
    for number, promise in enumerate(
        ({"index": 2}, {"index": 4}, {"leaf": digest_bytes(b"another")}, {"log": "did:web:elsewhere.example"})
    ):
        hire = Hire()
        hire.sealed(hire.place(**promise)).delivered().reviewed().closed()
        yield Case(f"seal: promise {number}", hire.pack("provider"))
    for name, note in (("empty", "\n"), ("x", "x"), ("nobody's", "a note\n\n— of nothing AAAAAAAA\n")):
        yield Case(f"closing: note {name}", Hire().sealed().delivered().reviewed().closed(note).pack())
    for size in (0, 2**53 - 1, 2**53, 2**63):
        hire = Hire().sealed().delivered().reviewed()
        yield Case(f"closing: {size} leaves", hire.closed(_note_of(hire, size)).pack("provider"))
    fork = Hire()
    forked = fork.logs["hirer"].__class__(fork.hirer.actor, 4).note()
    yield Case("closing: another log", fork.sealed().delivered().reviewed().closed(forked).pack())
    hire = Hire().whole()
    for name, changes in (
        ("another's note", {"checkpoint": hire.logs["provider"].note()}),
        ("no note", {"checkpoint": "not a note"}),
        ("another's proof", {"inclusion": hire.logs["provider"].proof(hire.places["provider"])}),
        ("proof alone", {"checkpoint": None}),
    ):
        yield Case(f"log: {name}", hire.pack(**changes))
    for name, changes in (
        ("another gate", {"gate": hire.provider.actor.did}),
        ("another contract", {"contract": digest_bytes(b"another")}),
        ("another subject", {"subject": digest_bytes(b"another")}),
        ("another engagement", {"engagement": f"urn:hire:engagement:{digest_bytes(b'x')}"}),
        ("to come", {"at": shift(LATER, 61)}),
    ):
        yield Case(f"refusal: {name}", hire.pack(refusals=(refused_action(hire, **changes),)))
    for name, written in (("1.0", b"1.0"), ("an exponent", b"1e0"), ("a fraction", b"0.5"), ("too much", b"1e20")):
        yield Case(f"refusal: repeated, written as {name}", hire.pack(refusals=(_repeated(hire, written),)))
    yield Case("refusal: a null of no known name", hire.pack(refusals=(_repeated(hire, b'0,"x":null'),)))
    yield Case("refusal: another signer", hire.pack(refusals=(refused_action(hire, by=hire.provider.actor),)))
    yield from no_json(hire)
    for purpose in ("assertionMethod", "authentication"):
        yield Case(f"a contract for {purpose}, then an amendment without its second proof", half_amended(purpose))


def named_in_a_list() -> Hire:
    """Sealed, by a second proof that names the first in a list (page 07, section 7.3)."""

    def stating(hire: Hire, move: str) -> dict[str, Any]:
        if move != "Acceptance":
            return {}
        actor, offered, now = hire.provider.actor, from_struct(hire.provider.offered()), hire.book.clock.now()
        config = acceptance_config(offered, actor.suite, actor.method, now)
        return {"contract_proof": actor._proof(offered, config | {"previousProof": [offered["proof"]["id"]]})}

    return Hire(stating=stating).sealed()


def half_amended(purpose: str) -> bytes:
    """A contract whose second proof is for this purpose, and an amendment whose acceptance proves another document."""

    def proof(party: Any, **change: str) -> dict[str, Any]:
        return {"contract_proof": party.actor.prove_acceptance(from_struct(party.offered()), party.now) | change}

    def sealing(party: Any) -> dict[str, Any]:
        live = party.engagement.tabled
        return {"offer": live.digest, "document": live.document, "acceptance": live.acceptance, "ledger": hire.place()}

    def stating(hire: Hire, move: str) -> dict[str, Any]:
        return proof(hire.provider, proofPurpose=purpose) if move == "Acceptance" else {}

    hire = Hire(stating=stating).sealed()
    hire.book.provider >> amendment()
    hire.book.hirer >> acceptance(**proof(hire.hirer, previousProof=f"urn:uuid:{'0' * 36}"))
    hire.book.provider >> seal()._replace(write=sealing)
    return hire.pack()


def _repeated(hire: Hire, written: bytes) -> bytes:
    """A refusal that says in these bytes how often it was repeated."""
    actor, said = hire.hirer.actor, json.loads(refused_action(hire, repeated=7))
    payload = b64decode(said["payload"]).replace(b'"repeated":7', b'"repeated":' + written)
    return canonicalize(_signed_as_it_is(actor, payload))


def _within_claims(hire: Hire, **more: str) -> JsonObject:
    """What the provider states, with members more."""
    said = json.loads(b64decode(str(hire.claims()["payload"])))
    return _signed_as_it_is(hire.provider.actor, canonicalize({**said, **more}))


def _signed_as_it_is(actor: Actor, payload: bytes) -> JsonObject:
    """These bytes in the place of a statement."""
    return envelope(payload, [(actor.method, sign(actor, pae(PAYLOAD_TYPE, payload)))])


def no_json(hire: Hire) -> Iterator[Case]:
    """Something of the packer's making that is no JSON."""
    yield Case("no JSON: refusal", hire.pack(refusals=(b"{",)))
    yield Case("no JSON: decision", hire.pack(decisions=(b"{",)))
    yield Case("no JSON: withheld", hire.pack(withheld=b"{"))
    yield Case("no JSON: proofs", hire.pack(proofs=b"{"))
    yield Case("no JSON: inclusion", _with_member(hire.pack(), "ledger/inclusion.json", b"{", "ledger"))


def journals() -> Iterator[Case]:
    """The published histories, each with its last message."""
    for folder in sorted((VECTORS / "journals").iterdir()):
        case, journal, last = (_read(folder, name) for name in ("case.json", "journal.json", "input.json"))
        own, peer = case[case["view"]], case["provider" if case["view"] == "hirer" else "hirer"]
        lines = [(line["message"], line["at"]) for line in journal] + [(last, case["at"])]
        yield Case(
            folder.name,
            raw_pack(
                [Line("sent" if one["sender"] == own else "received", at, canonicalize(one)) for one, at in lines],
                **{"engagement": case["engagement"], "role": case["view"], "own": own, "peer": peer},
            ),
        )


def untimely() -> Iterator[Case]:
    """Moves that came before their time, by what the packer recorded, and the same at their time (HIRE-LIF-34)."""
    day, hour = minutes(24 * 60), minutes(60)
    silence, late = closing(basis="silence"), terminate("deadline")
    waits: tuple[tuple[str, Role, Say, tuple[int, ...]], ...] = (
        ("delivered", PROVIDER, silence, (0, 2 * hour - 121, 2 * hour - 120)),
        ("delivered", PROVIDER, late, (0, 2 * hour - 121, 2 * hour)),
        ("delivered", HIRER, late, (hour, day)),
        ("working", HIRER, late, (0, 60, hour, day)),
        ("working", PROVIDER, late, (hour, day)),
        ("cancelling", HIRER, late, (0, hour)),
        ("suspended", PROVIDER, late, (0, hour, day)),
        ("suspended", HIRER, late, (0, day)),
        ("sealed", PROVIDER, late, (hour - 121, hour - 120)),
        ("sealed", HIRER, late, (0, day)),
        ("disputed", HIRER, terminate("no_ruling"), (day - 121, day)),
        ("working", PROVIDER, terminate("late_seal"), (0, day)),
        ("working", HIRER, terminate("key_compromised"), (0,)),
    )
    for state, by, say, times in waits:
        for after in times:
            book = Playbook(state)
            book.advance(after)
            yield lied(f"{say.type} of the {by} in {state} after {after} s", book, by, say)
            yield lied(f"the packer's own {say.type} of the {by} in {state} after {after} s", book, by, say, own=True)
    leaving: tuple[tuple[str, Role, str, Callable[..., Say], int], ...] = (
        ("working", HIRER, "cure_by", breach, hour),
        ("delivered", PROVIDER, "ruling_by", dispute, day),
        ("working", HIRER, "wind_down", cancel, minutes(10)),
    )
    for state, by, member, made, least in leaving:
        for left in (0, least - 121, least - 120, least - 1, least, 180 * day, 180 * day + 1):
            book = Playbook(state)
            said = made(**{member: shift(book.parties[by].now, left)})
            yield lied(f"{said.type} that leaves {left} s", book, by, said)
            yield lied(f"the packer's own {said.type} that leaves {left} s", book, by, said, own=True)
        book = Playbook(state)
        under_way = book.side(by).forge(made(**{member: shift(book.parties[by].now, least)}))
        book.advance(least)
        yield lied(f"{said.type} that was under way for as long as it leaves", book, by, under_way)
    book = Playbook("working")
    claimed = book.hirer >> breach()
    yield lied("an end for a breach that had its time", book, HIRER, terminate("breach", names=claimed.digest))
    book = Playbook("working")
    book.hirer >> suspend(lasts=hour // 2)
    book.advance(hour // 4)
    book.hirer >> resume()
    yield lied("an end of what goes on", book, HIRER, late)
    for waited in (hour // 2 - 121, hour // 2 + 1):
        book = Playbook("working")
        book.hirer >> suspend(lasts=hour // 2)
        book.hold()
        book.advance(waited)
        ended = book.provider.forge(late)
        book.hirer >> resume()
        yield lied(f"an end after {waited} s that crossed a resumption", book, PROVIDER, ended)
        book.hirer >> suspend(lasts=hour)
        yield lied(f"an end after {waited} s that crossed another suspension", book, PROVIDER, ended)
    book = Playbook("delivered")
    book.hold()
    again = book.hirer >> review("rework")
    for after in (hour, day):
        book.advance(after)
        if after == hour:
            book.provider.party.take(again)
        yield lied(f"an end of a rework that was long under way, {after} s later", book, HIRER, late)
    book = Playbook("ready")
    rare = terms_for(book.hirer.party)
    rare = replace(rare, deadlines=replace(rare.deadlines, heartbeat="PT3H"))
    for by, say in ((HIRER, offer(terms=rare)), (PROVIDER, acceptance()), (HIRER, seal()), (HIRER, start())):
        book.side(by) >> say
    book.provider >> delivery()
    book.hold()
    again = book.hirer >> review("rework")
    book.advance(4 * hour + 1)
    book.provider.party.take(again)
    yield lied("an end of a rework that was long under way where signs of life are rare", book, HIRER, late)
    for verdict in ("rejected", "rework", "accepted"):
        for when in (0, 2 * hour, 2 * hour + 1):
            book = Playbook("delivered")
            book.advance(when)
            book.hold()
            book.hirer >> review(verdict)
            book.advance(2 * hour + 1 - when)
            yield lied(f"a silence after {verdict}, said at {when} s", book, PROVIDER, silence)
    for by in (HIRER, PROVIDER):
        book, posed = disputed_once_closed(by)
        yield lied(f"a dispute of the {by}, who has closed its books, that crossed a closing", book, by, posed)


def disputed_once_closed(by: Role) -> tuple[Playbook, VerifiedMessage]:
    """A `Dispute` by a side that has closed its books, which crosses the `Closing` of the other."""
    book = Playbook("closing")
    book.side(by) >> closing()
    book.hold()
    posed = book.side(by).forge(dispute())
    book.side(HIRER if by == PROVIDER else PROVIDER) >> closing()
    return book, posed


def lied(name: str, book: Playbook, by: Role, say: Say | VerifiedMessage, *, own: bool = False) -> Case:
    """What the other side has of a move that no honest program makes, or its maker."""
    packer = book.parties[by if own else PROVIDER if by == HIRER else HIRER]
    lines = [
        *(Line("sent" if isinstance(one, Sent) else "received", one.at, one.message.raw) for one in packer.journal),
        Line(
            "sent" if own else "received", packer.now, (book.side(by).forge(say) if isinstance(say, Say) else say).raw
        ),
    ]
    peer = next(one for one in book.parties.values() if one is not packer)
    parties = {"role": packer.role, "own": packer.actor.did, "peer": peer.actor.did}
    return Case(name, raw_pack(lines, engagement=packer.engagement.id, **parties))


def published() -> Iterator[Case]:
    """The published packs."""
    for folder in sorted((VECTORS / "packs").iterdir()):
        yield Case(folder.name, b64decode(_read(folder, "input.json")["pack"]), _read(folder, "case.json")["now"])


def single_messages() -> Iterator[Case]:
    """The published messages, good and refused, each alone in a pack of its sender's."""
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022", "ecdsa-jcs-2019", "ecdsa-rdfc-2019", "refused"):
        for folder in sorted((VECTORS / "messages" / suite).iterdir()):
            case, raw = _read(folder, "case.json"), (folder / "input.json").read_bytes()
            try:
                said = json.loads(raw)
                parties = {"own": said["sender"], "peer": said["recipient"], "role": said["role"]}
                engagement, kind = said["engagement"], said["type"]
            except (ValueError, KeyError, TypeError):
                keys = [one["method"].partition("#")[0] for one in case["keys"]]
                parties = {"own": keys[0], "peer": keys[1], "role": "hirer"}
                engagement, kind = f"urn:hire:engagement:{digest_bytes(b'x')}", "Inquiry"
            documents = [canonicalize(one) for one in case.get("documents", {}).values()]
            line = Line("sent", case["now"], raw)
            data = raw_pack([line], kinds=[kind], engagement=engagement, documents=documents, **parties)
            yield Case(f"{suite}, {folder.name}", data)


def weak_keys() -> Iterator[Case]:
    """A did:web document with a key of small order, and the signature that fits every message under it."""
    for folder in sorted((VECTORS / "keys").iterdir()):
        yield Case(f"key {folder.name}", weak_pack((folder / "input.json").read_text().strip()))
    yield Case("key that is neutral", weak_pack(multibase_encode("z", b"\xed\x01" + NEUTRAL)))
    yield from keys_of_both()
    provider = Named("provider")
    said: Any = provider.document.json
    name = f"{provider.did}?at=1#3"
    key = {"type": "Multikey", "controller": provider.did, "publicKeyMultibase": ARBITER.public_key.multikey}
    said["verificationMethod"].append({"id": name, **key})
    said["assertionMethod"].append(name)
    hire = Hire(actors=(Actor("hirer"), provider)).sealed().delivered().reviewed().closed()
    yield Case("a key whose name has a query", hire.pack(documents=(canonicalize(said),)))


LISTED: dict[str, dict[str, str]] = {
    "as it is": {},
    "revoked": {"revoked": "2026-01-01T00:00:00Z"},
    "past its end": {"expires": "2026-01-01T00:00:00Z"},
    "with an end that is no instant": {"expires": "soon"},
}
"""How a document lists a key that somebody has."""


def keys_of_both() -> Iterator[Case]:
    """Hires whose hirer's document lists the provider's key, which makes them one party, or that of the verifier,
    which makes it none, whether it is good any more or not.
    """
    for name, more in LISTED.items():
        for whose, of in (("provider", Actor("provider")), ("verifier", ARBITER)):
            hirer = Named("hirer")
            said: Any = hirer.document.json
            key = {"type": "Multikey", "controller": hirer.did, "publicKeyMultibase": of.public_key.multikey}
            said["verificationMethod"].append({"id": f"{hirer.did}#3", **key, **more})
            said["assertionMethod"] += [f"{hirer.did}#3"]
            hire = Hire(ARBITER.did if of is ARBITER else None, actors=(hirer, Actor("provider"))).sealed().delivered()
            hire.reviewed("accepted", hire.verdict(by=of) if of is ARBITER else None).closed()
            yield Case(
                f"the key of the {whose} in the hirer's document, {name}", hire.pack(documents=(canonicalize(said),))
            )


def weak_pack(multikey: str) -> bytes:
    """One inquiry by a did:web whose key this is, under the neutral signature."""
    folder = VECTORS / "messages" / "eddsa-jcs-2022" / "inquiry"
    said, did = _read(folder, "input.json"), "did:web:weak.example"
    engagement = f"urn:hire:engagement:{_digest({'hirer': did, 'nonce': said['nonce'], 'provider': said['recipient']})}"
    said |= {"sender": did, "engagement": engagement}
    said["proof"] |= {"verificationMethod": f"{did}#key", "proofValue": multibase_encode("z", NEUTRAL + bytes(32))}
    method = {"id": f"{did}#key", "type": "Multikey", "controller": did, "publicKeyMultibase": multikey}
    document = {"id": did, "verificationMethod": [method]}
    document |= {"authentication": [method["id"]], "assertionMethod": [method["id"]]}
    return raw_pack(
        [Line("sent", said["proof"]["created"], canonicalize(said))],
        documents=[canonicalize(document)],
        **{"engagement": engagement, "role": "hirer", "own": did, "peer": said["recipient"]},
    )


def proved_hire() -> Hire:
    """A hire whose hirer's log holds its moves and two decisions."""
    return Hire().whole().logged((DECISION, SALT), (OTHER, ITS))


RECORDED = Recorded(decisions=2, refusals=2)
"""What the hirer of `recorded_hire` recorded."""
BELOW = digest_bytes(b"a contract with somebody hired for it")


def recorded_hire() -> tuple[Hire, dict[str, Any]]:
    """A hire whose parties say in their closings what they recorded beside, and what the hirer has of that."""
    hire = Hire().sealed()
    taken = {"at": hire.book.clock.now(), "action": "artifact:read", "clause": "read", "allowed": False}
    # The first is refused once more than the hirer states.
    targets = (*10 * ("https://acme.example/payroll",), "https://globex.example/own")
    actions = [ActionTaken(**taken, target=target) for target in targets]
    hire.delivered(hire.claims(actions=actions)).reviewed()
    hire.closed(recorded=RECORDED)
    refusals = (refused_action(hire), refused_action(hire, clause="scope", repeated=7))
    policy = b'{"name":"a policy","version":"1"}'
    decision = canonicalize({"outcome": "allow", "inputs": {"policy": digest_bytes(policy)}})
    hire.logged((decision, SALT), (OTHER, ITS), refusals=refusals)
    return hire, {"refusals": refusals, "decisions": (decision, OTHER), "policies": (policy,), "proofs": hire.proofs()}


def _less(hire: Hire, of: dict[str, Any], name: str, committed: bytes, kind: str = "") -> bytes:
    """Without the first of these, which is listed as withheld, or else has no proof either."""
    said = json.loads(of["proofs"])
    if not kind:
        said["proofs"] = [one for one in said["proofs"] if one["commitment"] != digest_bytes(committed)]
    things = withheld((kind, committed)) if kind else None
    return hire.pack(**{**of, name: of[name][1:], "proofs": canonicalize(said), "withheld": things})


def recorded() -> Iterator[Case]:
    """Packs that have as much as their packer's closing says, with some of it withheld, and with less of it."""
    hire, of = recorded_hire()
    yield Case("all", hire.pack(**of))
    yield Case("the provider's", hire.pack("provider"))
    for name, kind, left in (
        ("refusals", "refusal", of["refusals"][0]),
        ("decisions", "decision", SALT + of["decisions"][0]),
    ):
        yield Case(f"one of the {name} withheld", _less(hire, of, name, left, kind))
        yield Case(f"one of the {name} gone", _less(hire, of, name, left))
        yield Case(f"another kind withheld than one of the {name}", _less(hire, of, name, left, "artifact"))
    made_up = [one for one in json.loads(of["proofs"])["proofs"] if one["label"] != "decision"]
    proofs = canonicalize({**json.loads(of["proofs"]), "proofs": made_up})
    yield Case("decisions that somebody made up", hire.pack(**of | {"proofs": proofs, "decisions": (DECISION, b"{}")}))
    for what in ("no-refusals", "no-decisions", "no-inputs", "no-proofs"):
        yield Case(what, tamper(hire.pack(**of), what))
    passed_on = hire_with_subcontract()
    yield Case("a subcontract, of which the hirer has no pack", passed_on.pack())
    yield Case("no-subcontracts", tamper(passed_on.pack("provider", subcontracts={BELOW: b"x"}), "no-subcontracts"))


def hire_with_subcontract() -> Hire:
    """A hire whose provider says that it hired somebody for it, by the contract `BELOW`."""
    hire = Hire().sealed()
    hired = SubcontractLine(provider=TWO.did, task="summary", contract=BELOW, outcome="review accepted")
    return hire.delivered(hire.claims(subcontracts=(hired,))).reviewed().closed()


def wide(terms: Terms) -> Terms:
    """Terms under which somebody may be hired for 20 EUR."""
    later = {name: shift(getattr(terms.deadlines, name), minutes(60 * 24)) for name in ("finish", "until")}
    return replace(
        terms,
        price=replace(terms.price, amount="20"),
        deadlines=replace(terms.deadlines, **later),
        subcontracting=Subcontracting(allowed=True, depth=1),
        data_handling=replace(terms.data_handling, onward=True),
    )


def _hired_under(above: Hire, shown: JsonObject, *prices: str, classes: Sequence[tuple[str, ...]] = ((), ())) -> bytes:
    """The pack of a hire under this contract, which is `shown` as far as it went; the second price is asked for in
    answer to the first. `classes` of data are those of the terms of each.
    """

    def under(say: Say, classes: tuple[str, ...], **parents: Any) -> Say:
        def write(party: Any) -> dict[str, Any]:
            move = dict(say.write(party))
            terms = of_classes(move["document"].terms, classes)
            document = replace(move["document"], terms=terms, parent=above.contract, proof=None)
            return {**move, **parents, "document": party.actor.prove_offer(document, party.now)}

        return say._replace(write=write)

    book = Playbook("ready", actors=(above.provider.actor, Actor("below")))
    book.hirer >> under(offer(price=prices[0]), classes[0], parents=(shown,))
    for price in prices[1:]:
        book.provider >> under(offer(price=price), classes[1])
    answering, sealing = (book.hirer, book.provider) if prices[1:] else (book.provider, book.hirer)
    answering >> acceptance()
    sealing >> seal()
    return _talk(book)


def _by_another_name(above: Hire, shown: JsonObject) -> JsonObject:
    """This contract, signed by both again: its first proof is named by no `urn:uuid:`."""

    def again(by: Actor, of: Any, **options: Any) -> Any:
        said = {name: value for name, value in of["proof"].items() if name not in ("@context", "proofValue")}
        return by._proof({name: value for name, value in of.items() if name != "proof"}, said | options)

    hirer, provider, name = above.hirer.actor, above.provider.actor, "urn:example:1"
    document: Any = shown["document"]
    bare, (first, second) = {key: value for key, value in document.items() if key != "proof"}, document["proof"]
    first = again(hirer, {**bare, "proof": first}, id=name)
    options = {key: value for key, value in second.items() if key not in ("@context", "proofValue")}
    second = provider._proof({**bare, "proof": first}, {**options, "previousProof": name})
    accepting: Any = {**cast("JsonObject", shown["acceptance"]), "contractProof": second}
    accepting["proof"] = again(provider, accepting)
    accepted = _digest({key: value for key, value in accepting.items() if key != "proof"})
    sealing: Any = {**cast("JsonObject", shown["seal"]), "acceptance": accepted, "seen": accepted}
    sealing["proof"] = again(hirer, sealing)
    return {"document": {**bare, "proof": [first, second]}, "acceptance": accepting, "seal": sealing}


def of_classes(terms: Terms, classes: tuple[str, ...]) -> Terms:
    return replace(terms, data_handling=replace(terms.data_handling, classes=classes))


def hired_for_classes() -> Iterator[Case]:
    """Packs of hires under a contract of two classes of data: for one of them, for others, and for any."""
    above = Hire(changing=lambda terms: of_classes(wide(terms), ("internal", "public"))).sealed()
    shown = json.loads(read_archive(above.pack())["contract.json"])
    for classes in (("public",), ("internal", "public"), ("public", "secret"), ()):
        data = _hired_under(above, shown, "12.5", "15", classes=(("public",), classes))
        yield Case(f"a hire under another, for {classes}", data)


def hired_under() -> dict[str, tuple[bytes, str]]:
    """Packs of hires under a contract of 20 EUR, later of 30 EUR, and of who hired with such a pack in it; and the code
    if one does not hold.
    """
    above = Hire(changing=wide).sealed()
    shown = json.loads(read_archive(above.pack())["contract.json"])
    unproved = {**shown, "seal": {**shown["seal"], "proof": {}}}
    first, second = shown["document"]["proof"]
    nameless = {key: value for key, value in first.items() if key != "verificationMethod"}
    by_none = {**shown, "document": {**shown["document"], "proof": [nameless, second]}}
    found = {
        "inside": (_hired_under(above, shown, "12.5"), ""),
        "under a seal with nothing in its proof": (_hired_under(above, unproved, "12.5"), "proof_missing"),
        "under a first proof without a method": (_hired_under(above, by_none, "12.5"), "schema_violation"),
        "under a first proof of another name": (
            _hired_under(above, _by_another_name(above, shown), "12.5"),
            "proof_invalid",
        ),
        "inside by its answer": (_hired_under(above, shown, "12.5", "15"), ""),
        "beyond by its answer": (_hired_under(above, shown, "12.5", "25"), "scope_exceeded"),
    }
    early, terms = above.lines("provider"), above.hirer.offered().terms
    above.book.hirer >> amendment(terms=replace(terms, price=replace(terms.price, amount="30")))
    above.book.provider >> acceptance()
    above.book.hirer >> seal()
    of = {"checkpoint": None, "inclusion": None}
    _, (document, accepting, sealing) = sealed_documents(read_pack(above.pack(**of)).transcript)[1]
    below = _hired_under(above, {"document": document, "acceptance": accepting, "seal": sealing}, "25")
    of["subcontracts"] = {read_pack(below).manifest.contract: below}
    return found | {
        "under the amendment": (below, ""),
        "in the pack of its hirer": (above.pack("provider", **of), ""),
        "in the pack of its hirer from before the amendment": (
            above.pack("provider", lines=early, **of),
            "scope_exceeded",
        ),
    }


def chains() -> Iterator[Case]:
    """Packs of hires under a contract, and of parties that share a key."""
    yield from (Case(name, data) for name, (data, _) in hired_under().items())
    yield from hired_for_classes()
    for claims, verdict in ((True, False), (False, True), (True, True)):
        yield Case(f"a shared key, {claims}, {verdict}", by_a_shared_key(claims=claims, verdict=verdict))


class Sharing(Actor):
    """A party whose document lists, for statements alone, a key that another's lists as well."""

    shared = Actor("shared")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.did = f"did:web:{name}.example"
        own = {"own": self.public_key}
        both = own | {"shared": self.shared.public_key}
        document = make_document(self.did, authentication=own, assertion_method=both)
        self.document = DidDocument(self.did, canonicalize(document))
        self.method = f"{self.did}#own"

    def prove_offer(self, document: Any, now: str) -> Any:
        dids = {"hirer": document.hirer, "provider": document.provider}
        methods = {role: (f"{did}#own", f"{did}#shared") for role, did in dids.items()}
        return super().prove_offer(replace(document, methods=Methods(**methods)), now)

    def by_it(self) -> Any:
        """Itself, as it signs with the shared key."""
        other = copy(self)
        other.method, other._key, other.public_key = f"{self.did}#shared", self.shared._key, self.shared.public_key
        return other


def by_a_shared_key(*, claims: bool, verdict: bool) -> bytes:
    """The pack of a hire between two that share a key, with which the work is claimed, or accepted."""
    hirer, provider = Sharing("acme"), Sharing("globex")
    hire = Hire(actors=(hirer, provider), changing=lambda terms: terms).sealed()
    hire.delivered(hire.claims(by=provider.by_it() if claims else None))
    hire.reviewed("accepted", hire.verdict(by=hirer.by_it() if verdict else None)).closed()
    return hire.pack(documents=(hirer.document.raw, provider.document.raw))


def _turned(listed: bytes) -> bytes:
    """The list of what is withheld, its last first."""
    return canonicalize({"withheld": json.loads(listed)["withheld"][::-1]})


def withheld(*things: tuple[str, bytes]) -> bytes:
    listed = [{"kind": kind, "commitment": digest_bytes(data)} for kind, data in things]
    return canonicalize({"withheld": sorted(listed, key=lambda one: (one["kind"], one["commitment"]))})


def changed(hire: Hire, change: Callable[[Any], object]) -> dict[str, Any]:
    said = json.loads(hire.proofs())
    change(said)
    return {"proofs": canonicalize(said), "decisions": (DECISION, OTHER)}


WRONG_PROOFS: dict[str, tuple[Callable[[Hire], dict[str, Any]], tuple[int, str]]] = {
    "a decision changed": (
        lambda hire: {"proofs": hire.proofs(), "decisions": (DECISION + b" ", OTHER)},
        (LEDGER, "log_proof_invalid"),
    ),
    "a decision silently missing": (
        lambda hire: {"proofs": hire.proofs(), "decisions": (OTHER,)},
        (LEDGER, "log_proof_invalid"),
    ),
    "another commitment withheld": (
        lambda hire: {
            "proofs": hire.proofs(),
            "decisions": (DECISION,),
            "withheld": withheld(("decision", b"another")),
        },
        (LEDGER, "log_proof_invalid"),
    ),
    "another place": (
        lambda hire: changed(hire, lambda said: said["proofs"][-1].update(index=said["size"])),
        (LEDGER, "log_proof_invalid"),
    ),
    "another path": (
        lambda hire: changed(hire, lambda said: said["proofs"][0]["path"].pop()),
        (LEDGER, "log_proof_invalid"),
    ),
    "another label": (
        lambda hire: changed(hire, lambda said: said["proofs"][0].update(label="move")),
        (LEDGER, "log_proof_invalid"),
    ),
    "another size": (
        lambda hire: changed(hire, lambda said: said.update(size=said["size"] + 1)),
        (LEDGER, "log_proof_invalid"),
    ),
    "the contract in another size, by the same path": (
        lambda hire: {
            "inclusion": replace(proof := hire.logs["hirer"].proof(hire.places["hirer"]), size=proof.size - 1)
        },
        (LEDGER, "log_proof_invalid"),
    ),
    "not by place": (
        lambda hire: changed(hire, lambda said: said["proofs"].reverse()),
        (LEDGER, "log_proof_invalid"),
    ),
    "twice": (
        lambda hire: changed(hire, lambda said: said["proofs"].insert(0, said["proofs"][0])),
        (LEDGER, "log_proof_invalid"),
    ),
    "a member more": (lambda hire: changed(hire, lambda said: said.update(more=1)), (LEDGER, "evidence_invalid")),
    "no proof": (lambda hire: changed(hire, lambda said: said["proofs"].clear()), (LEDGER, "evidence_invalid")),
    "not canonical": (lambda hire: {"proofs": hire.proofs() + b"\n"}, (LEDGER, "evidence_invalid")),
    "no checkpoint": (
        lambda hire: {"proofs": hire.proofs(), "checkpoint": None, "inclusion": None},
        (LEDGER, "log_proof_invalid"),
    ),
    "withheld twice": (
        lambda hire: {"withheld": withheld(("artifact", b"a"), ("artifact", b"a"))},
        (DECISIONS, "evidence_invalid"),
    ),
    "withheld in another order": (
        lambda hire: {"withheld": _turned(withheld(("artifact", b"a"), ("policy", b"a")))},
        (DECISIONS, "evidence_invalid"),
    ),
    "withheld of no kind": (lambda hire: {"withheld": withheld(("message", b"a"))}, (LEDGER, "evidence_invalid")),
}
"""What makes of the proofs and decisions of a pack something that does not fit: step and code that refuse it."""


def proved() -> Iterator[Case]:
    """Packs with proofs of more than the contract, decisions, cosignatures and things withheld."""
    hire = proved_hire()
    hidden = digest_bytes(ITS + OTHER)
    shown = {"proofs": hire.proofs(hidden={hidden}), "decisions": (DECISION,)}
    yield Case("decisions", hire.pack(proofs=hire.proofs(), decisions=(DECISION, OTHER)))
    yield Case("one withheld", hire.pack(**shown, withheld=withheld(("decision", ITS + OTHER))))
    yield Case(
        "decisions alone", hire.pack(decisions=(DECISION,), statuses=(b"{}",), credentials=(b"{}",), policies=(b"{}",))
    )
    yield Case(
        "a credential under another name", _with_member(hire.pack(), "credentials/one.json", b"{}", "credential")
    )
    for name, (make, _) in WRONG_PROOFS.items():
        yield Case(name, hire.pack(**make(hire)))
    for name, cosignature in (
        ("good", lambda hire: hire.cosigned()),
        ("the packer's own", lambda hire: hire.cosigned("hirer")),
        ("of another log", lambda hire: hire.cosigned("provider", hire.logs["provider"])),
        ("of another history", lambda hire: hire.cosigned("provider", Log(hire.hirer.actor, 4))),
        ("no note", lambda hire: "uAAAA"),
    ):
        closed = Hire().sealed().delivered().reviewed()
        yield Case(f"cosignature, {name}", closed.closed(cosignatures=(cosignature(closed),)).pack())


def heads(hire: Hire, move: str) -> dict[str, Any]:
    """What a hire says of its logs at sealing: each its own, and the second cosigns the first."""
    at = hire.book.clock.now()
    if move == "Offer":
        return {"head": hire.logs["hirer"].head(at)}
    return {"head": hire.logs["provider"].head(at, consistency=UNKNOWN), "cosignatures": (hire.cosigned(),)}


def signed_again(*, checkpoint_at: bool) -> Hire:
    """Books of the hirer with a new proof: its log as it was before its offer; or, without the time, as if after it."""
    hire = Hire(stating=lambda hire, move: heads(hire, move) if move == "Offer" else {})
    before = {"checkpoint_at": shift(hire.book.clock.now(), -60)} if checkpoint_at else {}
    return hire.sealed().delivered().reviewed().closed(Log(hire.hirer.actor, 2).note(), **before)


UNKNOWN = Consistency(size=2, path=())
"""From what no pack has."""


def _stating(**changes: Callable[[Hire], dict[str, Any]]) -> Callable[[Hire, str], dict[str, Any]]:
    return lambda hire, move: heads(hire, move) | (changes[move](hire) if move in changes else {})


def _sealed_and_closed(stating: Callable[[Hire, str], dict[str, Any]], **closing: Any) -> Hire:
    hire = Hire(stating=stating)
    before = hire.cosigned("hirer", Log(hire.provider.actor, 6))
    hire.sealed(cosignatures=(before,)).delivered().reviewed()
    return hire.closed(**{"consistency": hire.logs["hirer"].since(3), **closing})


def _note_of(hire: Hire, size: int) -> str:
    """A note of the hirer's by which its log has so many leaves."""
    actor = hire.hirer.actor
    text = f"{actor.did}\n{size}\n{base64_encode(bytes(32))}\n".encode()
    return signed_note(text, actor.did, actor.public_key, sign(actor, text))


def _other(hire: Hire, leaves: int) -> LogHead:
    return Log(hire.hirer.actor, leaves).head(hire.book.clock.now())


WRONG_HEADS: dict[str, tuple[Callable[[], Hire], str]] = {
    "an Offer with another root": (
        lambda: _sealed_and_closed(_stating(Offer=lambda hire: {"head": _other(hire, 4)})),
        "ledger_diverged",
    ),
    "an Offer of more leaves, and fewer later": (
        lambda: _sealed_and_closed(_stating(Offer=lambda hire: {"head": _other(hire, 9)})),
        "ledger_diverged",
    ),
    "an Acceptance that cosigns another history": (
        lambda: _sealed_and_closed(
            _stating(Acceptance=lambda hire: {"cosignatures": (hire.cosigned("provider", Log(hire.hirer.actor, 4)),)})
        ),
        "ledger_diverged",
    ),
    "a Closing that does not continue the Offer": (
        lambda: _sealed_and_closed(_stating(), consistency=Consistency(size=3, path=(digest_bytes(b"x"),))),
        "log_proof_invalid",
    ),
    "a Closing that proves nothing": (
        lambda: _sealed_and_closed(_stating(), consistency=Consistency(size=3, path=())),
        "log_proof_invalid",
    ),
}
"""What makes of the heads and cosignatures of a hire something that does not fit, and the code that refuses it."""


def _receipt_with(note: Callable[[Hire], str]) -> Hire:
    """The hirer's `Receipt` has this note."""
    hire = Hire()
    hire.sealed(note=note(hire))
    return hire.delivered().reviewed().closed()


def _note_in_the_name_of(hire: Hire, did: str) -> str:
    """A note of the hirer's by which its log is somebody else's."""
    actor, head = hire.hirer.actor, hire.logs["hirer"].frontier
    text = checkpoint_text(did, head.size, head.root)
    return signed_note(text, actor.did, actor.public_key, sign(actor, text))


def _wrong_path(hire: Hire) -> InclusionProof:
    right = hire.logs["hirer"].proof(hire.places["hirer"])
    return InclusionProof(right.leaf, right.index, right.size, (digest_bytes(b"x"), *right.path[1:]))


def _misled() -> Hire:
    hire = Hire()
    return hire.sealed(proof=_wrong_path(hire)).delivered().reviewed().closed()


FALSE_WORDS: dict[str, tuple[Callable[[], Hire], str]] = {
    "a Receipt with no note": (lambda: _receipt_with(lambda _: "uAAAA"), "log_proof_invalid"),
    "a Receipt with a stranger's note": (
        lambda: _receipt_with(lambda _: coded(Log(Actor("stranger"), 4).note())),
        "log_proof_invalid",
    ),
    "a Receipt of another history": (
        lambda: _receipt_with(lambda hire: coded(Log(hire.hirer.actor, 4).note())),
        "ledger_diverged",
    ),
    "a Receipt with another path": (_misled, "log_proof_invalid"),
    "an Offer with another root": WRONG_HEADS["an Offer with another root"],
    "a Closing that does not continue the Offer": WRONG_HEADS["a Closing that does not continue the Offer"],
    "a Receipt whose note is of another's log": (
        lambda: _receipt_with(lambda hire: coded(_note_in_the_name_of(hire, Actor("stranger").did))),
        "log_proof_invalid",
    ),
    "a Closing under no note": (
        lambda: Hire().sealed().delivered().reviewed().closed("a note\n\n\u2014 of nothing AAAAAAAA\n"),
        "log_proof_invalid",
    ),
    "a Closing of fewer leaves": (lambda: signed_again(checkpoint_at=False), "ledger_diverged"),
}
"""What a hirer says of its log and does not hold: hires, and the code that refuses its own pack."""


LINES_BY = ("witness.example", "\U0001fae9", "\u0378", "a\u200bb", "\U0001f600" * 600, "a\u2003b", "a\x85b", "a\u3000")
"""Names of others in lines of a note: with characters of a later Unicode, of no width, many of them, and spaces."""


def stated_logs() -> Iterator[Case]:
    """Hires that state and cosign logs at sealing and at closing."""
    yield Case("heads", _sealed_and_closed(_stating()).pack())
    yield Case("heads, by the provider", _sealed_and_closed(_stating()).pack("provider"))
    for name in LINES_BY:
        hire = Hire().sealed().delivered().reviewed()
        line = f"\u2014 {name} {b64encode(bytes(68)).decode()}\n"
        yield Case(f"a line by {name!a:.20}", hire.closed(hire.logs["hirer"].note() + line).pack())
    for name, (make, _) in WRONG_HEADS.items():
        yield Case(name, make().pack())
    for name, (make, _) in FALSE_WORDS.items():
        yield Case(f"{name}, by the packer", make().pack())
        yield Case(f"{name}, by the other side", make().pack("provider"))
    yield Case("a checkpoint from before a release", older_than_a_release())
    yield Case("a checkpoint of fewer leaves than the closing has", older_than_the_closing())
    yield Case("a checkpoint from before a change", older_than_a_change())
    yield Case("signed again", signed_again(checkpoint_at=True).pack())
    yield Case("signed again, without its time", signed_again(checkpoint_at=False).pack())


def as_of_now(hire: Hire, role: str) -> dict[str, Any]:
    """What a pack shows of the log as it is, for one that is made later."""
    log = hire.logs[role]
    return {"checkpoint": log.note(), "inclusion": log.proof(hire.places[role]), "proofs": hire.proved(role)}


def older_than_a_release() -> bytes:
    """After the provider has closed its books there is a dispute, and a release that it offers: its pack has the
    checkpoint of the books.
    """
    hire = Hire().sealed()
    log, book = hire.logs["provider"], hire.book
    book.hirer >> terminate()
    book.provider >> closing(basis="terminate", checkpoint=coded(log.note()))
    then = as_of_now(hire, "provider")
    book.hirer >> dispute()
    book.advance(2)
    log.append(b"what was said since")
    book.provider >> release(head=log.head(book.clock.now()))
    return hire.pack("provider", **then)


def older_than_a_change() -> bytes:
    """The checkpoint that witnesses have cosigned last is from before an amendment was offered."""
    hire = Hire().sealed()
    log, then = hire.logs["hirer"], as_of_now(hire, "hirer")
    hire.book.advance(2)
    log.append(b"what was said since")
    hire.book.hirer >> amendment(head=log.head(hire.book.clock.now()))
    return hire.pack(**then)


def older_than_the_closing() -> bytes:
    """Of fewer leaves than its packer signed in its books."""
    hire = Hire().sealed()
    log, then = hire.logs["provider"], as_of_now(hire, "provider")
    log.append(b"what was said since")
    hire.book.hirer >> terminate()
    hire.book.provider >> closing(basis="terminate", checkpoint=coded(log.note()))
    return hire.pack("provider", **then)


RULED_ANEW = (
    (ARBITER, True, False),
    (ARBITER, True, True),
    (NEXT_ARBITER, True, False),
    (NEXT_ARBITER, False, False),
    (ARBITER, False, False),
)
"""Who rules; whether the dispute, and whether the ruling, crosses the seal by which another arbiter rules. The last one
does not hold.
"""

WEB = "did:web:witness.example"


def ruled_from_a_web_site(*, documents: bool) -> bytes:
    """The pack of a contract whose arbiter is found under a name, with its document or without."""
    arbiter = Actor("an arbiter with a web site")
    arbiter.did, arbiter.method = WEB, f"{WEB}#key"
    hire = Hire().sealed()
    terms = replace(terms_for(hire.hirer, price="15"), arbiter=WEB)
    hire.book.hirer >> amendment(terms=terms)
    hire.book.provider >> acceptance()
    hire.book.hirer >> seal()
    hire = hire.delivered()
    hire.book.provider >> dispute()
    hire.book.hirer >> ruling("for_provider", amount="15", by=arbiter)
    return hire.closed().pack(documents=(web_document(arbiter),) if documents else ())


def web_document(key: Actor) -> bytes:
    """The document of a witness that is found under a name."""
    method = {"id": f"{WEB}#key", "type": "Multikey", "controller": WEB, "publicKeyMultibase": key.public_key.multikey}
    return canonicalize({"id": WEB, "verificationMethod": [method], "assertionMethod": [method["id"]]})


def witnessed_pack(lines: Callable[[Log], str], documents: tuple[bytes, ...] = (), role: str = "hirer") -> bytes:
    """A whole hire, and these lines below the note of the packer's log."""
    hire = Hire().whole()
    log = hire.logs[role]
    return hire.pack(role, checkpoint=log.note() + lines(log), documents=documents)


ONE, TWO = Actor("one witness"), Actor("two witnesses")
"""Witnesses."""
_OTHER_KIND = (ONE.public_key.multikey.encode(), Party("a witness", "P-256").key.multikey.encode())
LATEST = int(parse_instant(LATER).timestamp()) + 60
"""The last second at which a witness may have cosigned a pack that is judged at `LATER`."""


def _second_key() -> bytes:
    """A pack whose witness has two keys and signs by the second."""
    witness = Named("witness")
    witness.changes_key()
    return witnessed_pack(lambda log: log.witnessed(witness), documents=(witness.document.raw,))


WITNESSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "two witnesses": (
        lambda: witnessed_pack(
            lambda log: log.witnessed(ONE) + log.witnessed(TWO, name=WEB), documents=(web_document(TWO),)
        ),
        "",
    ),
    "the other side": (
        lambda: witnessed_pack(lambda log: log.witnessed(Hire().hirer.actor), role="provider"),
        "",
    ),
    "of a witness nothing is known": (lambda: witnessed_pack(lambda log: log.witnessed(TWO, name=WEB)), ""),
    "a witness whose name is no DID": (
        lambda: witnessed_pack(
            lambda log: log.witnessed(ONE, name="w.example/a") + log.witnessed(ONE, name="did:key:z6Mk")
        ),
        "",
    ),
    "a witness whose clock went back to its beginning": (
        lambda: witnessed_pack(lambda log: log.witnessed(ONE, seconds=0)),
        "",
    ),
    "a witness by the second of its keys": (
        _second_key,
        "",
    ),
    "a witness none of whose keys signs notes": (
        lambda: witnessed_pack(
            lambda log: log.witnessed(ONE, name=WEB), documents=(web_document(ONE).replace(*_OTHER_KIND),)
        ),
        "",
    ),
    "a witness a minute ahead": (lambda: witnessed_pack(lambda log: log.witnessed(ONE, seconds=LATEST)), ""),
    "a witness more than a minute ahead": (
        lambda: witnessed_pack(lambda log: log.witnessed(ONE, seconds=LATEST + 1)),
        "log_proof_invalid",
    ),
    "two lines by one witness": (
        lambda: witnessed_pack(lambda log: log.witnessed(ONE) + log.witnessed(ONE, seconds=1_773_000_000)),
        "log_proof_invalid",
    ),
    "a witness that signed another root": (
        lambda: witnessed_pack(lambda log: Log(log.actor, 2).witnessed(ONE)),
        "log_proof_invalid",
    ),
    "a witness that signed another root, behind one of whom nothing is known": (
        lambda: witnessed_pack(lambda log: log.witnessed(TWO, name=WEB) + Log(log.actor, 2).witnessed(ONE)),
        "log_proof_invalid",
    ),
    "by another's key": (
        lambda: witnessed_pack(lambda log: log.witnessed(ONE, name=WEB), documents=(web_document(TWO),)),
        "log_proof_invalid",
    ),
    "the same witness twice": (lambda: witnessed_pack(lambda log: 2 * log.witnessed(ONE)), "log_proof_invalid"),
    "a witness to come": (
        lambda: witnessed_pack(lambda log: log.witnessed(ONE, seconds=2_000_000_000)),
        "log_proof_invalid",
    ),
    "a witness of another age": (
        lambda: witnessed_pack(lambda log: log.witnessed(ONE, seconds=2**64 - 1)),
        "log_proof_invalid",
    ),
    "a line that is none": (
        lambda: witnessed_pack(lambda _: f"\u2014 {ONE.did} {'A' * 16}\n"),
        "log_proof_invalid",
    ),
    "a witness that signs notes of its own": (
        lambda: witnessed_pack(
            lambda log: Log(log.actor, 3).note().partition("\n\n")[2].replace(log.actor.did, ONE.did, 1)
        ),
        "log_proof_invalid",
    ),
}
"""Packs with lines of witnesses, and the code that refuses them, if any."""


def _cosigning(key: Actor, name: str) -> NoteVerifier:
    return NoteVerifier(name, True, key.public_key)


NAMED_WITNESSES: dict[str, tuple[Callable[[], bytes], tuple[NoteVerifier, ...], str]] = {
    "of whom the pack says nothing": (WITNESSED["of a witness nothing is known"][0], (_cosigning(TWO, WEB),), ""),
    "whose name is no DID": (WITNESSED["a witness whose name is no DID"][0], (_cosigning(ONE, "w.example/a"),), ""),
    "two": (WITNESSED["two witnesses"][0], (_cosigning(ONE, ONE.did), _cosigning(TWO, WEB)), ""),
    "one of whom is missing": (
        WITNESSED["two witnesses"][0],
        (_cosigning(TWO, WEB), _cosigning(ONE, WEB)),
        "log_proof_invalid",
    ),
    "with another key": (
        WITNESSED["of a witness nothing is known"][0],
        (_cosigning(ONE, WEB),),
        "log_proof_invalid",
    ),
    "with another name": (
        WITNESSED["of a witness nothing is known"][0],
        (_cosigning(TWO, "w.example"),),
        "log_proof_invalid",
    ),
    "who signed another root": (
        lambda: witnessed_pack(lambda log: Log(log.actor, 2).witnessed(TWO, name=WEB)),
        (_cosigning(TWO, WEB),),
        "log_proof_invalid",
    ),
    "of a log without lines": (lambda: Hire().whole().pack(), (_cosigning(TWO, WEB),), "log_proof_invalid"),
    "of a pack without a checkpoint": (lambda: Hire().sealed().pack(), (_cosigning(TWO, WEB),), "log_proof_invalid"),
}
"""Packs, the witnesses that must have cosigned them, and the code if they did not."""


def witnessed() -> Iterator[Case]:
    """Packs whose checkpoint witnesses cosigned."""
    for name, (make, _) in WITNESSED.items():
        yield Case(name, make())
    yield Case("one bit", tamper(WITNESSED["two witnesses"][0](), "witness"))


NAMED_BY_DIGEST = ("did-documents", "credentials", "status", "decisions")
"""Folders."""


def spoiled() -> Iterator[Case]:
    """One value of one member changed, in shape or by a bit, and digests made to agree: whatever may come of it."""
    hire = proved_hire()
    packs = [
        changed_hire().delivered().reviewed().closed().pack("hirer"),
        Hire().whole().pack("provider"),
        hire.pack(proofs=hire.proofs(), decisions=(DECISION, OTHER), withheld=withheld(("artifact", b"a"))),
    ]
    yield from spoiled_ones(packs, examples(400))


def archives() -> Iterator[Case]:
    """A header or name of a member, or the directory, changed by a byte or two, or something put there: archives that
    other programs open, and that none here does.
    """
    whole, dice = Hire().sealed().pack(), Random(11)
    heads = [found.start() for found in re.finditer(rb"PK\x03\x04", whole)]
    ends = whole.index(b"PK\x01\x02")
    for number in range(examples(120)):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            place = dice.choice([dice.choice(heads) + dice.randrange(4, 60), dice.randrange(ends, len(whole))])
            if dice.random() < 0.2:
                data[place:place] = dice.randbytes(dice.randint(1, 4))
            else:
                data[place] ^= 1 << dice.randrange(8)
        yield Case(f"archive {number}", bytes(data))
    yield Case("a comment", whole[:-2] + b"\x01\x00x")
    first = bytearray(whole)
    first[heads[0] + 10] ^= 1  # the time of one member, and the name of a later one
    first[heads[1] + 30] = ord("/")
    yield Case("a wrong time, then a wrong name", bytes(first))


def spoiled_ones(packs: list[bytes], count: int, within: str = "") -> Iterator[Case]:
    """So many of these packs with something changed, in a member whose name begins so."""
    dice = Random(7)
    for number in range(count):
        members = read_archive(dice.choice(packs))
        said = json.loads(members.pop("manifest.json"))
        path = dice.choice([name for name in sorted(members) if name.startswith(within) and name[:10] != "artifacts/"])
        if path.endswith(".json") and dice.random() < 0.75:
            content = changed_somewhere(json.loads(members.pop(path)), dice)
        else:
            data = bytearray(members.pop(path))
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            content = bytes(data)
        folder, _, _ = path.partition("/")
        new = f"{folder}/{digest_bytes(content)}.json" if folder in NAMED_BY_DIGEST else path
        for item in said["members"]:
            if item["path"] == path:
                item |= {"path": new, "digest": digest_bytes(content)}
        said["members"].sort(key=lambda item: item["path"])
        data = write_archive({**members, new: content, "manifest.json": canonicalize(said)})
        yield Case(f"spoiled {number}: {path}", data)


def changed_somewhere(value: Any, dice: Random) -> bytes:
    """The JSON with one of its values gone, or of another type or length."""
    places: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        inner = pending.pop()
        for name, one in inner.items() if isinstance(inner, dict) else enumerate(inner):
            places.append((inner, name))
            if isinstance(one, dict | list):
                pending.append(one)
    holder, name = dice.choice(places)
    old = holder[name]
    shorter = old[:-1] if isinstance(old, str | list) else 0
    for_it = dice.choice([None, -1, "x", [], {"a": old}, [old, old], shorter, ...])
    if for_it is ...:
        del holder[name]
    else:
        holder[name] = for_it
    return canonicalize(value)


def raw_pack(
    lines: list[Line], *, documents: list[bytes] | None = None, kinds: list[str] | None = None, **parties: str
) -> bytes:
    """A pack of these messages whatever they are; `contract.json` and statements are those that they make, if any."""
    try:
        if documents is None and kinds is None:
            return write_pack(lines, **parties)  # type: ignore[arg-type]
    except Exception:  # what a packer refuses to write, somebody else may have written
        kinds = [json.loads(line.raw)["type"] for line in lines]
    types = kinds or [json.loads(line.raw)["type"] for line in lines]
    members: dict[str, tuple[bytes, dict[str, str]]] = {
        f"transcript/{number:04d}-{line.kind}-{of}.json": (line.raw, {"kind": "message", "recordedAt": line.at})
        for number, (line, of) in enumerate(zip(lines, types, strict=True), 1)
    }
    for data in documents or ():
        members[f"did-documents/{digest_bytes(data)}.json"] = data, {"kind": "did-document"}
    listed = [{"path": path, "digest": digest_bytes(data), **more} for path, (data, more) in sorted(members.items())]
    manifest = {"format": 1, "created": max(line.at for line in lines), "members": listed, **parties}
    files = {path: data for path, (data, _) in members.items()}
    return write_archive({**files, "manifest.json": canonicalize(manifest)})


def _talk(book: Playbook) -> bytes:
    own, peer = book.hirer.party, book.provider.party
    lines = [Line("sent" if isinstance(item, Sent) else "received", item.at, item.message.raw) for item in own.journal]
    return write_pack(lines, engagement=own.engagement.id, role="hirer", own=own.actor.did, peer=peer.actor.did)


def _with_manifest(data: bytes, **changes: Any) -> bytes:
    members = read_archive(data)
    said = json.loads(members.pop("manifest.json")) | changes
    return write_archive({**members, "manifest.json": canonicalize(said)})


def _with_member(data: bytes, path: str, content: bytes, kind: str = "later") -> bytes:
    members = read_archive(data)
    said = json.loads(members.pop("manifest.json"))
    listed = {one["path"]: one for one in said["members"]}
    listed[path] = {**listed.get(path, {}), "path": path, "digest": digest_bytes(content), "kind": kind}
    said["members"] = [one for _, one in sorted(listed.items())]
    return write_archive({**members, path: content, "manifest.json": canonicalize(said)})


def _digest(value: Any) -> str:
    return digest_bytes(canonicalize(value))


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())
