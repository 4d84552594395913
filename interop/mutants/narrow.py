"""Mutants of one requirement each, where those of `mutants.py` break several at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from mutants import known_members, mutant

from undersigned.contract import canonical_document
from undersigned.credentials import ClearStatus
from undersigned.daemon import listener, serving
from undersigned.did import document
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import CredentialError, FormatError, UndersignedError
from undersigned.messages import SignedMessage, VerifiedMessage, codec, draft, recorded_message
from undersigned.protocol import ENDED, ROWS, case, fold
from undersigned.runtime.agent import agent, intake, witnessing
from undersigned.runtime.engagement import saying, turn
from undersigned.runtime.execution import review
from undersigned.runtime.fetching import gather, status_keeper
from undersigned.runtime.negotiation import beliefs, papers
from undersigned.transport import proving

# ---------------------------------------------------------------------- helpers


def verified_anyway(held: Callable[[SignedMessage, UndersignedError], bool]) -> None:
    """A message that is refused is taken as if it held, where `held` says so."""
    real = intake.verify_message

    def verify(received: SignedMessage, *args: Any, **options: Any) -> VerifiedMessage:
        try:
            return real(received, *args, **options)
        except UndersignedError as error:
            if not held(received, error):
                raise
            return VerifiedMessage(message=received.message, digest=received.digest, raw=received.raw)

    intake.verify_message = verify


def mended(change: Callable[[Any], Any]) -> None:
    """What cannot be read is read once `change` has mended it; of that alone, the proof is not held against it."""
    taken: set[str] = set()
    real = intake.decode_message

    def decode(raw: bytes) -> SignedMessage:
        try:
            return real(raw)
        except UndersignedError:
            value = json.loads(raw)
            change(value)
            received = real(json.dumps(value).encode())
        taken.add(received.digest)
        return received

    intake.decode_message = decode
    verified_anyway(lambda received, error: error.code == "proof_invalid" and received.digest in taken)


def compared(change: Callable[[Any, Any], Any]) -> None:
    """A document on the table that does not fit is compared as if `change`, which is told what fits, had been made."""
    real = case.check_document

    def check(document: Any, **fits: Any) -> None:
        try:
            real(document, **fits)
        except UndersignedError:
            value = json.loads(canonical_document(document))
            change(value, fits)
            real(msgspec.convert(value, type(document)), **fits)

    case.check_document = check


def leaves_as(type_: str, **members: Any) -> None:
    """What this peer says in one type leaves with other members than were judged and stored, and a proof over them."""
    real = saying.Speaker._say

    async def say(self: Any, turn_: Any, said: turn.Say) -> None:
        await real(self, turn_, said)
        if said.type != type_:
            return
        message = recorded_message(turn_.sends.pop()).message
        identity, proof = self.shell.identity, message.proof
        drafted = draft(
            msgspec.structs.replace(message, proof=None, **members),
            method=identity.method,
            suite=proof.cryptosuite,
            kind=identity.kind,
            created=turn_.now,
            expires=shift(turn_.now, 600),
        )
        turn_.sends.append(drafted.signed(await identity.sign(drafted.to_sign)).raw)

    saying.Speaker._say = say


def refuses(code: str, moves: Callable[[Any, Any], bool]) -> None:
    """Moves of the peer that would be taken are refused, where `moves` says so of the engagement and the message."""
    real = fold._judge

    def judge(engagement: Any, move: VerifiedMessage, mine: bool, at: str) -> Any:
        judged = real(engagement, move, mine, at)
        if not mine and moves(engagement, move.message):
            raise fold.Refused(code, "not by this one")
        return judged

    fold._judge = judge


@mutant("lets nobody go before an offer", "HIRE-NEG-01", "happy-probe")
def _nobody_goes() -> None:
    refuses("wrong_state", lambda engagement, said: said.type == "Withdraw" and engagement.state == "ready")


# ---------------------------------------------------------------------- keys and credentials


@mutant("lets a key speak for another DID than its own", "HIRE-KEY-03", "keys-never-listed", "proof-by-another-key")
def _any_controller() -> None:
    verified_anyway(
        lambda received, error: (
            error.code == "key_not_authorized"
            and received.proof.verification_method.partition("#")[0] != received.message.sender
        )
    )


@mutant(
    "keeps a DID document for ever",
    "HIRE-KEY-06",
    "keys-rotated-under-a-contract",
    "keys-rotated-in-a-negotiation",
)
def _for_ever() -> None:
    real = gather.Gatherer.remembered
    gather.Gatherer.remembered = lambda self, did, _: real(self, did, 1e9)


@mutant("lets a connection be proved by a document of an hour", "HIRE-KEY-09", "keys-rotated-in-a-negotiation")
def _proved_by_an_old_document() -> None:
    agent.PROVING_SECONDS = 3600


@mutant("lets a key sign that was replaced", "HIRE-KEY-07", "keys-former-key")
def _former_keys() -> None:
    verified_anyway(
        lambda received, error: (
            error.code == "key_not_authorized"
            and received.proof.verification_method.partition("#")[0] == received.message.sender
        )
    )


@mutant("forgets by which key a review was stated before", "HIRE-ATT-02", "keys-replaced-before-the-review")
def _former_statement() -> None:
    async def none(*_: Any) -> tuple[()]:
        return ()

    review.recorded_documents = none


@mutant("takes another key under the name of the one before", "HIRE-KEY-08", "keys-former-name")
def _former_names() -> None:
    document.DidDocument.changes_key = lambda *_: None


@mutant("takes a credential whose status it could not look up", "HIRE-CRD-02", "status-unavailable")
def _status_unknown() -> None:
    real, real_lists = beliefs.check_status, status_keeper.StatusKeeper.lists

    def check(credential: Any, lists: Any, now: str) -> Any:
        return real(credential, lists, now) if lists else ClearStatus(credential=credential.digest, lists=(), at=now)

    async def lists(*args: Any, **options: Any) -> Any:
        try:
            return await real_lists(*args, **options)
        except CredentialError as error:
            if error.code != "status_unavailable":
                raise
            return {}

    beliefs.check_status, status_keeper.StatusKeeper.lists = check, lists


@mutant("takes a list that cannot be had for one on which nobody stands", "HIRE-STA-03", "status-unavailable")
def _empty_list() -> None:
    real = status_keeper.StatusKeeper._fetch

    async def fetch(self: Any, url: str, issuer: str, since: float) -> Any:
        try:
            return await real(self, url, issuer, since)
        except CredentialError:
            purposes = ("revocation", "suspension")
            empty = status_keeper.StatusList(
                url=url, issuer=issuer, purposes=purposes, bits=bytes(2**14), ttl_seconds=0, credential=None
            )
            return status_keeper._Kept(since, "", "", empty, 0)

    status_keeper.StatusKeeper._fetch = fetch


@mutant("lets the proof of a message stand for that of its document", "HIRE-CRD-06", "proof-of-document-broken")
def _outer_proof() -> None:
    real = papers.verify_offered

    def offered(document: Any, *, read: Any, **options: Any) -> Any:
        try:
            return real(document, read=read, **options)
        except UndersignedError as error:
            if error.code != "proof_invalid":
                raise
            return read

    papers.verify_offered = offered


# ---------------------------------------------------------------------- connections


@mutant("waits for strangers without an end", "HIRE-CNX-08", "connection-silent-stranger")
def _no_deadline() -> None:
    async def bounded(channel: Any, exchange: Any) -> Any:
        try:
            return await exchange()
        except UndersignedError as error:
            await channel.close(*proving.closing(error))
            raise

    proving._bounded = bounded


@mutant("asks everybody the same challenge", "HIRE-SEC-06", "connection-old-challenge")
def _one_challenge() -> None:
    real = proving._nonce
    proving._nonce = lambda given: real(given or bytes(32))


@mutant("does not recover from a move that came too early", "HIRE-SYN-03", "chain-early-then-in-order")
def _never_in_order() -> None:
    real, lost = fold._judge, set()

    def judge(engagement: Any, move: VerifiedMessage, mine: bool, at: str) -> Any:
        try:
            if not mine and engagement.id in lost:
                raise fold.Refused("out_of_order", "one came too early")
            return real(engagement, move, mine, at)
        except fold.Refused as refused:
            if not mine and refused.code == "out_of_order":
                lost.add(engagement.id)
            raise

    fold._judge = judge


@mutant("gives what it made to whoever asks without a signature", "HIRE-RQS-01", "scope-nobody-reads-a-delivery")
def _unsigned_requests() -> None:
    real = serving.ArtifactDoor.answer

    async def answer(self: Any, asked: Any) -> Any:
        if "signature" not in {str(name).lower() for name, *_ in asked.headers}:
            return serving.ArtifactResponse(200, await self._peer.artifacts.get(asked.digest))
        return await real(self, asked)

    serving.ArtifactDoor.answer = answer


# ---------------------------------------------------------------------- envelopes, digests, proofs


@mutant("ignores messages of a type that it does not know", "HIRE-ENV-03", "envelope-unknown-type")
def _ignores_types() -> None:
    real = intake.problem_code_told
    intake.problem_code_told = lambda error, **options: None if error.path == "/type" else real(error, **options)


@mutant("gives its second move the place of a third", "HIRE-CHN-01", "chain-gap", "chain-other-previous")
def _own_places() -> None:
    leaves_as("Presentation", sequence=3)


@mutant("answers nothing after the end", "HIRE-CHN-10", "chain-terminal-state")
def _silent_after_the_end() -> None:
    real = saying.Speaker._answer_repeat

    async def answer(self: Any, turn_: Any, move: Any) -> None:
        if turn_.engagement.state not in ENDED:
            await real(self, turn_, move)

    saying.Speaker._answer_repeat = answer


@mutant("digests a message as it was spelled", "HIRE-DIG-01", "text-other-spelling")
def _spelled_digests() -> None:
    real = intake.decode_message

    def decode(raw: bytes) -> SignedMessage:
        received = real(raw)
        if codec.read_canonical(raw) is not None:
            return received
        return msgspec.structs.replace(received, digest=digest_bytes(raw))

    intake.decode_message = decode


@mutant("refuses for good what had an old proof once", "HIRE-PRF-05", "expiry-signed-again")
def _never_again() -> None:
    real, old = intake.verify_message, {}

    def verify(received: SignedMessage, *args: Any, **options: Any) -> VerifiedMessage:
        if received.digest in old:
            raise old[received.digest]
        try:
            return real(received, *args, **options)
        except UndersignedError as error:
            if error.code == "proof_expired":
                old[received.digest] = error
            raise

    intake.verify_message = verify


@mutant("takes a signature that was made for a document", "HIRE-SEC-05", "proof-wrong-purpose")
def _document_purpose() -> None:
    verified_anyway(
        lambda received, error: (
            error.code == "proof_purpose_mismatch" and received.proof.proof_purpose == "assertionMethod"
        )
    )


@mutant("looks at the size of a message once it has read it", "HIRE-LIM-01", "text-too-large")
def _size_last() -> None:
    real_init, real = listener.PublicListener.__init__, intake.decode_message

    def init(self: Any, *args: Any, limits: Any = None, **options: Any) -> None:
        given = limits or listener.ListenerLimits()
        channel = msgspec.structs.replace(given.channel, max_message_bytes=2**24)
        real_init(self, *args, limits=msgspec.structs.replace(given, channel=channel), **options)

    def decode(raw: bytes) -> SignedMessage:
        if len(raw) > 2**18 and "type" in json.loads(raw):
            known_members(json.loads(raw) | {"type": "Inquiry"})
            raise FormatError("proof_missing", "it is read before it is measured")
        return real(raw)

    listener.PublicListener.__init__, intake.decode_message = init, decode


@mutant("takes a move that has seen what was never said", "HIRE-SEC-10", "chain-seen-unknown")
def _seen_unknown() -> None:
    real = fold._seen

    def seen(message: Any, chain: Any) -> int:
        try:
            return real(message, chain)
        except fold.Refused:
            return len(chain)

    fold._seen = seen


@mutant("speaks another version than it chose", "HIRE-VER-04", "version-changes-later")
def _own_version() -> None:
    leaves_as("Presentation", version="1.1")


@mutant("tells what its program says", "HIRE-SEC-07", "proof-before-what-depends-on-more")
def _tells_text() -> None:
    real = intake.canonicalize
    intake.canonicalize = lambda said: real({**said, "text": "no such file: /srv/keys"})


# ---------------------------------------------------------------------- negotiation and documents


@mutant("goes on after an acceptance of something else", "HIRE-NEG-12", "hirer-accepts-another-document")
def _goes_on() -> None:
    real = saying.Speaker._say

    async def say(self: Any, turn_: Any, said: turn.Say) -> None:
        if said.type != "Withdraw" or said.body.get("reason") != "terms_mismatch":
            await real(self, turn_, said)

    saying.Speaker._say = say


@mutant("forgets that it accepted when a connection ends", "HIRE-NEG-13", "reconnect-in-doubt")
def _forgets_acceptances() -> None:
    real, forgotten = saying.Speaker._reconnect, set()

    async def reconnect(self: Any, turn_: Any) -> None:
        if turn_.engagement.state == "accepted-by-provider":
            forgotten.add(turn_.engagement.id)
        await real(self, turn_)

    saying.Speaker._reconnect = reconnect
    refuses("wrong_state", lambda engagement, said: said.type == "Seal" and engagement.id in forgotten)


@mutant("takes a document by any name", "HIRE-CTR-02", "negotiation-other-id")
def _any_name() -> None:
    compared(lambda document, fits: document.update(id="{engagement}:{role}:{sequence}".format(**fits)))


@mutant("takes a document that binds somebody else", "HIRE-CTR-03", "negotiation-other-parties")
def _anybodys() -> None:
    compared(lambda document, fits: document.update(provider=fits["provider"]))


@mutant("takes a second signature that does not name the first", "HIRE-CTR-07", "proof-of-acceptance-alone")
def _signs_alone() -> None:
    real = papers.Papers.check_acceptance

    def check(self: Any, offered: Any, read: Any, proof: Any, peer: Any) -> bytes:
        if "previousProof" in proof:
            return real(self, offered, read, proof, peer)
        named = {**proof, "previousProof": offered["proof"]["id"]}
        return papers.contract_leaf(papers.countersigned(offered, named))

    papers.Papers.check_acceptance = check


def _grant(change: Callable[[Any, str], Any]) -> None:
    """Documents are compared as if `change`, which is told the name of the document, had been made to the grant."""
    compared(lambda document, _: change(document["terms"]["scope"]["grants"][0], document["id"]))


@mutant("takes grants by any name", "HIRE-SCO-01", "document-clause-of-another")
def _any_grant_name() -> None:
    _grant(lambda grant, id_: grant.update(id=f"{id_}#read"))


@mutant("takes limits that limit nothing", "HIRE-SCO-03", "scope-negative-limit", "scope-half-a-count")
def _any_limit() -> None:
    def limited(grant: Any, _: str) -> None:
        for one in grant["constraint"]:
            if one["leftOperand"] == "count":
                one["rightOperand"] = ["1"]

    _grant(limited)


@mutant(
    "cuts what it does not compare off a target",
    "HIRE-SCO-04",
    "scope-target-with-a-fragment",
    "scope-target-with-hidden-dots",
)
def _cut_targets() -> None:
    _grant(lambda grant, _: grant.update(target=grant["target"].partition("#")[0].partition("/..;")[0]))


# ---------------------------------------------------------------------- contract


@mutant("delivers in a round that there was not", "HIRE-LIF-05", "attestation-delivery")
def _other_round() -> None:
    leaves_as("Delivery", round=2)


@mutant(
    "takes its delivery back for what crossed it",
    "HIRE-LIF-12",
    "cancel-crosses-the-delivery",
    "suspend-crosses-the-delivery",
)
def _takes_back() -> None:
    real = fold._row

    def row(engagement: Any, move: Any, mine: bool, *rest: Any) -> Any:
        judged = real(engagement, move, mine, *rest)
        stopped = ROWS.get(("working", move.message.type, "hirer", ""))
        if mine or judged.outcome != "void" or engagement.state != "delivered" or stopped is None:
            return judged
        return judged._replace(outcome="applies", row=stopped)

    fold._row = row


@mutant("takes statements of strangers in a review", "HIRE-ATT-05", "attestation-review-by-a-stranger")
def _strangers_review() -> None:
    real = review.Reviews.check_review

    async def check(*args: Any) -> Any:
        try:
            return await real(*args)
        except UndersignedError as error:
            if error.code != "attester_not_trusted":
                raise
            return ()

    review.Reviews.check_review = check


@mutant("takes a delivery after the accepted one", "HIRE-ATT-07", "table-hirer-closed-delivery")
def _delivered_twice() -> None:
    real = fold._row

    def row(engagement: Any, move: Any, mine: bool, at: str, seen: int, total: int) -> Any:
        try:
            return real(engagement, move, mine, at, seen, total)
        except fold.Refused as refused:
            if mine or refused.code != "already_fulfilled":
                raise
            return fold._Judged("late", seen, None, None)

    fold._row = row


@mutant("takes checkpoints that nobody signed", "HIRE-LOG-03", "contract-closing-checkpoint")
def _any_checkpoint() -> None:
    async def check(*_: Any) -> None:
        return None

    witnessing.CrossWitness.check = check


# ---------------------------------------------------------------------- shapes


@mutant("takes an Inquiry in any of its versions", "HIRE-MSG-01", "shape-lowest-version")
def _not_the_lowest() -> None:
    mended(lambda value: value.update(versions=["1.0"]))


@mutant("takes a hirer that asks for nothing", "HIRE-MSG-02", "shape-presentation-asks-nothing")
def _asks_nothing() -> None:
    mended(lambda value: value.update(request={"needs": []}))


@mutant("takes a breach that is not named", "HIRE-MSG-03", "shape-terminate-names-nothing")
def _names_nothing() -> None:
    mended(lambda value: value.update(cause="key_compromised"))


@mutant("takes two totals of one unit", "HIRE-MSG-06", "shape-usage-twice", "hirer-usage-twice")
def _two_totals() -> None:
    mended(lambda value: value.update(usage=value["usage"][:1]))


@mutant("takes two inputs of one name", "HIRE-MSG-07", "shape-inputs-of-one-name")
def _two_of_one_name() -> None:
    mended(lambda value: value.update(inputs=value["inputs"][:1]))


@mutant("takes an inclusion in no checkpoint", "HIRE-MSG-04", "shape-receipt-proves-nothing")
def _in_no_checkpoint() -> None:
    mended(lambda value: value.pop("inclusion"))
