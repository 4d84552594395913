"""Peers that are wrong on purpose, each by one changed function of ours: what the harness has to find.

A mutant is a function that changes the running program, and the requirement that is broken by it. `peer.py` serves one;
`run.py` plays the harness against all of them and writes the matrix of scenarios and mutants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from undersigned.attestation import UsageLine
from undersigned.attestation import statement as stating
from undersigned.credentials import ClearStatus, VerifiedPresentation
from undersigned.daemon import listener, serving
from undersigned.encoding import digest_bytes
from undersigned.errors import (
    CredentialError,
    FormatError,
    ResolutionError,
    TransportError,
    UndersignedError,
    VerificationError,
)
from undersigned.messages import MESSAGE_TYPES, Delivery, Message, Offer, Receipt, SignedMessage, VerifiedMessage, codec
from undersigned.messages import verify as verifying
from undersigned.protocol import fold, notices
from undersigned.runtime.agent import hirer, intake, provider
from undersigned.runtime.engagement import conversation, outgoing, receiving, saying, turn
from undersigned.runtime.execution import inspection, moves, review, work
from undersigned.runtime.fetching import status_keeper
from undersigned.runtime.negotiation import beliefs, meeting, papers
from undersigned.transport import base, proving

__all__ = ["MUTANTS", "TOGETHER", "UNSEEN", "Mutant"]


class Mutant(NamedTuple):
    """One way to be wrong."""

    name: str
    requirement: str
    caught_by: tuple[str, ...]
    """Ids of scenarios of which each finds it, or patterns of ids."""
    change: Callable[[], None]


MUTANTS: list[Mutant] = []
TOGETHER: dict[str, tuple[str, str]] = {
    "HIRE-CTR-10": (
        "seals another document than was accepted",
        "each thing by which a contract is verified alone is asked for by itself (HIRE-NEG-11, HIRE-NEG-14)",
    ),
    "HIRE-DID-03": (
        "lets one key sign for both",
        "nobody has the key of the other side, so that one key for both is met in what a document lists, HIRE-CTR-04",
    ),
    "HIRE-OVR-01": (
        "lets go of its acceptance when the offer is over",
        "of a history that is read again only what time changed in it is seen, which is HIRE-OVR-02",
    ),
    "HIRE-CTR-09": (
        "lets the proof of a message stand for that of its document",
        "a document that was changed is met inside a message alone, whose own proof holds (HIRE-CRD-06)",
    ),
    "HIRE-LIF-03": (
        "works while it is suspended",
        "the gate of a provider is seen through nothing but the work that it delivers, which is HIRE-LIF-02",
    ),
    "HIRE-SEC-01": (
        "says who a message is for before it looks at its proof",
        "of the order of checks only the code that comes first is seen, which is what HIRE-ERR-02 asks for",
    ),
}
"""Requirements that nobody can break from outside without breaking another: the mutant that breaks both, and why."""
UNSEEN: dict[str, str] = {
    "HIRE-CRD-11": "vectors show each shape; what a scenario presents the program's own builder made",
    "HIRE-JSN-06": "vectors of packs show it; no scenario presents a credential with a time that is none",
    "HIRE-DID-07": (
        "on the machine of the harness whoever is tested is set up for local use, and on another one it would fetch "
        "from a localhost that is not the harness's"
    ),
    "HIRE-ATT-12": (
        "a hirer that has what nobody serves got it in another hire, and rejects it minutes later: of the "
        "harness a scenario has one hire, and waits for seconds"
    ),
    "HIRE-LAN-10": "what names another offer is forged, and takes no place in the chain that the harness goes on with",
    "HIRE-LIF-17": "the dispute that is crossed, or its end, is a move of its own, which nothing makes it send",
    "HIRE-LIF-33": "a dispute of the harness cannot end for want of a ruling: that is a day away",
    "HIRE-SCO-10": "a limit with a period counts where the hirer's gate counts, and no hirer is made to grant one",
}
"""Requirements that a message, host or client breaks, and that no scenario can show: why. Vectors show them."""
ROWLESS = ("wrong_state", "wrong_party", "already_contracted", "already_fulfilled")


def mutant(name: str, requirement: str, *caught_by: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Lists the decorated change."""

    def listed(change: Callable[[], None]) -> Callable[[], None]:
        MUTANTS.append(Mutant(name, requirement, caught_by, change))
        return change

    return listed


# ---------------------------------------------------------------------- helpers


def unguarded(*names: str) -> None:
    """These guards of the tables let everything pass."""
    fold.GUARDS = {**fold.GUARDS, **dict.fromkeys(names, lambda _: None)}


def rowless(taken: Callable[[Any], bool]) -> None:
    """Moves without a row of which `taken` is true are recorded and move nothing, in place of being refused."""
    real = fold._row

    def row(engagement: Any, move: Any, mine: bool, at: str, seen: int, total: int) -> Any:
        try:
            return real(engagement, move, mine, at, seen, total)
        except fold.Refused as refused:
            if mine or refused.code not in ROWLESS or not taken(move.message):
                raise
            return fold._Judged("void", seen, None, None)

    fold._row = row


def forgiven(*codes: str) -> None:
    """A message that is refused with one of these is taken as if it held."""
    real, real_recordable = intake.verify_message, receiving.check_recordable

    def verify(received: SignedMessage, *args: Any, **options: Any) -> VerifiedMessage:
        try:
            return real(received, *args, **options)
        except UndersignedError as error:
            if error.code not in codes:
                raise
            return VerifiedMessage(message=received.message, digest=received.digest, raw=received.raw)

    def recordable(*args: Any, **options: Any) -> None:
        try:
            real_recordable(*args, **options)
        except UndersignedError as error:
            if error.code not in codes:
                raise

    intake.verify_message, receiving.check_recordable = verify, recordable


def shown_anyway(*codes: str, about: str = "") -> None:
    """A presentation that is refused with one of these, for something `about`, is taken as if what it shows held."""
    real = meeting.verify_presentation

    def verify(shown: Any, **options: Any) -> Any:
        try:
            return real(shown, **options)
        except UndersignedError as error:
            if error.code not in codes or about not in str(error):
                raise
            return VerifiedPresentation(
                holder=shown.holder,
                engagement=options["engagement"],
                credentials=shown.credentials,
                digest=shown.digest,
            )

    meeting.verify_presentation = verify


def read_first(change: Callable[[bytes], bytes]) -> None:
    """What comes is changed before it is read, and its proof is not held against the change."""
    real = intake.decode_message

    def decode(raw: bytes) -> SignedMessage:
        try:
            return real(raw)
        except UndersignedError as error:
            try:
                return real(change(raw))
            except (UndersignedError, ValueError, RecursionError):
                raise error from None

    intake.decode_message = decode
    forgiven("proof_invalid")


def known_members(value: Any) -> Any:
    """The message without members that its type does not define."""
    of = MESSAGE_TYPES[value["type"]]
    names = {field.encode_name for field in msgspec.structs.fields(of)} | {"type"}
    return {name: one for name, one in value.items() if name in names}


def judge_as(members: Callable[[Any, Message], dict[str, Any]]) -> None:
    """What comes is judged as if it had these members."""
    real = fold._judge

    def judge(engagement: Any, move: VerifiedMessage, mine: bool, at: str) -> Any:
        if not mine and not move.message.notice:
            message = msgspec.structs.replace(move.message, **members(engagement, move.message))
            move = msgspec.structs.replace(move, message=message)
        return real(engagement, move, mine, at)

    fold._judge = judge


def says(type_: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """What this peer says in messages of one type is changed before it is signed."""
    real = saying.Speaker._say

    async def say(self: Any, turn_: Any, said: turn.Say) -> None:
        if said.type == type_:
            said = msgspec.structs.replace(said, body=change(dict(said.body)))
        await real(self, turn_, said)

    saying.Speaker._say = say


# ---------------------------------------------------------------------- connections


@mutant(
    "opens a socket without the subprotocol",
    "HIRE-CNX-02",
    "connection-without-subprotocol",
    "connection-other-subprotocol",
)
def _subprotocol() -> None:
    class Whatever(str):
        __slots__ = ()

        def __eq__(self, _: object) -> bool:
            return True

        __hash__ = str.__hash__

    listener.SUBPROTOCOL = Whatever("hire.v1")


def _proof_of_connections(*taken_from_proof: str) -> None:
    """What a connection proof says of these is what is expected of it."""
    real, real_proof = proving._verify, proving.verify_proof

    async def verify(raw: bytes, frame: Any, own: str, nonce: str, *rest: Any) -> None:
        said = frame.proof or {}
        own = said.get("domain", own) if "domain" in taken_from_proof else own
        nonce = said.get("challenge", nonce) if "challenge" in taken_from_proof else nonce
        if own != frame.recipient:
            frame = msgspec.structs.replace(frame, recipient=own)
        await real(raw, frame, own, nonce, *rest)

    def verify_proof(document: Any, **options: Any) -> Any:
        if "proofPurpose" in taken_from_proof:
            options["purpose"] = document["proof"].get("proofPurpose")
        return real_proof(document, **options)

    proving._verify, proving.verify_proof = verify, verify_proof


@mutant("takes any answer to a challenge", "HIRE-CNX-05", "connection-old-challenge")
def _challenge_of_connection() -> None:
    _proof_of_connections("challenge")


@mutant("takes a proof that was made for another peer", "HIRE-CNX-05", "connection-other-domain")
def _domain_of_connection() -> None:
    _proof_of_connections("domain")


@mutant("takes a proof of a connection for any purpose", "HIRE-PRF-07", "connection-wrong-purpose")
def _purpose_of_connection() -> None:
    _proof_of_connections("proofPurpose")


@mutant("does not check who connects", "HIRE-CNX-04", "connection-broken-proof", "connection-old-proof")
def _connection_unchecked() -> None:
    async def verified(*_: Any) -> None:
        return None

    proving._verify = verified


@mutant("lets anybody connect to anybody", "HIRE-CNX-05", "connection-other-recipient")
def _other_recipient() -> None:
    real = proving.admit

    async def admit(channel: Any, identities: Any, *args: Any, **options: Any) -> Any:
        class Anybody(dict):
            def get(self, _: Any, default: Any = None) -> Any:
                return next(iter(self.values()))

        return await real(channel, Anybody(identities), *args, **options)

    from undersigned.runtime.agent import links

    links.admit = admit
    _proof_of_connections("domain")


@mutant("goes on without the subprotocol", "HIRE-CNX-01", "hirer-subprotocol-not-granted")
def _not_granted() -> None:
    from undersigned.transport import websocket

    real = websocket.connect

    async def connect(*args: Any, **options: Any) -> Any:
        connection = await real(*args, **options)
        connection.protocol.subprotocol = base.SUBPROTOCOL
        return connection

    websocket.connect = connect


def _answers_of_acceptors(change: Callable[[Any, dict[str, Any]], Any]) -> None:
    """What the dialled side proves is changed before it is judged, by what this side had said; and its proof holds."""
    asked: dict[str, Any] = {}
    first = ""
    real, real_document, real_verify = proving._read, proving._document, proving._verify

    def document(part: str, sender: str, recipient: str, nonce: str, versions: Any) -> Any:
        asked[nonce] = {"sender": recipient, "versions": versions, "nonce": first}
        return real_document(part, sender, recipient, nonce, versions)

    def read(raw: bytes, kind: Any) -> Any:
        nonlocal first
        frame = real(raw, kind)
        if kind is proving._Challenge:
            first = frame.nonce  # what is said to it is made at once
        said = asked.get((frame.proof or {}).get("challenge")) if kind is proving._Acceptor else None
        return change(frame, said) if said is not None else frame

    async def verify(raw: bytes, frame: Any, *rest: Any) -> None:
        if frame.part == "dialer":
            await real_verify(raw, frame, *rest)

    proving._document, proving._read, proving._verify = document, read, verify


@mutant("takes whoever answers for whom it dialled", "HIRE-CNX-06", "hirer-another-answers")
def _whoever_answers() -> None:
    _answers_of_acceptors(lambda frame, said: msgspec.structs.replace(frame, sender=said["sender"]))


@mutant("takes an answer whatever first frame it is of", "HIRE-CNX-06", "hirer-another-nonce")
def _any_first_frame() -> None:
    _answers_of_acceptors(lambda frame, said: msgspec.structs.replace(frame, nonce=said["nonce"]))


@mutant(
    "speaks whatever version it is told to",
    "HIRE-CNX-06",
    "hirer-version-not-offered",
    "hirer-versions-not-repeated",
)
def _any_version() -> None:
    _answers_of_acceptors(
        lambda frame, said: msgspec.structs.replace(frame, versions=said["versions"], version=said["versions"][0])
    )


@mutant("holds no log against what it signed before", "HIRE-LOG-05", "ledger-forked", "ledger-went-back")
def _any_log() -> None:
    from undersigned.runtime.agent import witnessing

    real = witnessing.CrossWitness.check

    async def check(self: Any, *args: Any) -> Any:
        try:
            return await real(self, *args)
        except UndersignedError as error:
            if error.code != "ledger_diverged":
                raise
            return None

    witnessing.CrossWitness.check = check


@mutant("closes politely", "HIRE-CNX-07", "connection-no-json", "connection-anothers-name")
def _close_code() -> None:
    proving.closing = lambda error: (1000, base.told_code(error))


@mutant("tells strangers nothing", "HIRE-CNX-07", "connection-old-version", "connection-unknown-member")
def _no_reason() -> None:
    proving.closing = lambda _: (1008, "")


@mutant("leaves a stranger's connection open", "HIRE-CNX-07", "connection-message-before-proof")
def _stays_open() -> None:
    async def bounded(channel: Any, exchange: Any) -> Any:
        import asyncio

        try:
            return await exchange()
        except UndersignedError:
            await asyncio.sleep(3600)
            raise

    proving._bounded = bounded


@mutant("takes messages that others signed", "HIRE-CNX-09", "replay-over-another-connection")
def _any_sender() -> None:
    real = intake.Intake._verified

    async def verified(self: Any, channel: Any, peer: str, received: SignedMessage) -> None:
        await real(self, channel, received.message.sender, received)

    intake.Intake._verified = verified


@mutant("answers faults with faults", "HIRE-ERR-03", "text-fault-is-not-answered", "text-problem-is-not-answered")
def _answers_faults() -> None:
    intake._refusal = lambda _: None


@mutant("says whether somebody else's engagement exists", "HIRE-SYN-04", "replay-into-anothers-engagement")
def _tells_existence() -> None:
    real = intake.Intake._conversation

    async def found(self: Any, verified: VerifiedMessage) -> Any:
        known = await real(self, verified)
        if known is not None and known.engagement.peer != verified.message.sender:
            raise VerificationError("wrong_party", "somebody else's", proved=True)
        return known

    intake.Intake._conversation = found
    real_verified = intake.Intake._verified

    async def verified(self: Any, channel: Any, peer: str, received: SignedMessage) -> None:
        conversation_ = self._agent.conversations.get(received.message.engagement)
        if conversation_ is not None and conversation_.engagement.peer != peer:
            raise VerificationError("wrong_party", "somebody else's", proved=True)
        await real_verified(self, channel, peer, received)

    intake.Intake._verified = verified


@mutant(
    "says no Sync on a new connection",
    "HIRE-SYN-01",
    "hirer-reconnects",
    "reconnect-in-doubt",
    "reconnect-two-connections",
)
def _no_sync() -> None:
    async def reconnect(self: Any, turn_: Any) -> None:
        turn_.sends.extend([await self._fresh(row.raw) for row in await self._unreceipted(turn_)])

    saying.Speaker._reconnect = reconnect


@mutant("answers a Sync with a Sync", "HIRE-SYN-02", "sync-is-not-answered-with-sync")
def _sync_for_sync() -> None:
    real = receiving.Receiver._receive

    async def receive(self: Any, turn_: Any, item: Any) -> None:
        await real(self, turn_, item)
        if item.message.message.type == "Sync":
            engagement = turn_.engagement
            await self._say(turn_, turn.Say("Sync", {"state": engagement.state, "lane": engagement.lane}))

    receiving.Receiver._receive = receive


@mutant("sends nothing again after a connection ended", "HIRE-CHN-12", "reconnect-answer-was-lost")
def _nothing_again() -> None:
    async def reconnect(self: Any, turn_: Any) -> None:
        engagement = turn_.engagement
        await self._say(turn_, turn.Say("Sync", {"state": engagement.state, "lane": engagement.lane}))

    real = receiving.Receiver._receive

    async def receive(self: Any, turn_: Any, item: Any) -> None:
        before = list(turn_.sends)
        await real(self, turn_, item)
        if item.message.message.type == "Sync":
            turn_.sends[:] = before

    async def answer(self: Any, turn_: Any, move: Any) -> None:
        await self._say(turn_, turn.Say("Receipt", {"of": (move.digest,), "received_at": self.shell.clock.now()}))

    saying.Speaker._answer_repeat = answer
    saying.Speaker._reconnect = reconnect
    receiving.Receiver._receive = receive


@mutant(
    "gives up when a connection ends",
    "HIRE-CNX-10",
    "reconnect-after-a-cut",
    "reconnect-before-an-offer",
    "reconnect-offer-was-lost",
    "reconnect-in-work",
)
def _gives_up() -> None:
    real = saying.Speaker._reconnect

    async def reconnect(self: Any, turn_: Any) -> None:
        await real(self, turn_)
        engagement = turn_.engagement
        if engagement.state == "ready":
            await self._say(turn_, turn.Say("Withdraw", {"reason": "changed"}))
        elif engagement.state in ("working", "delivered"):  # it may have done the work meanwhile
            end = {"contract": engagement.contract.digest, "cause": "unable", "evidence": ()}
            await self._say(turn_, turn.Say("Terminate", end))

    saying.Speaker._reconnect = reconnect


@mutant("takes keys for which anybody can sign", "HIRE-KEY-01", "connection-weak-key")
def _weak_keys() -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from undersigned.errors import ProofError
    from undersigned.keys import ed25519

    def verify(raw: bytes, signature: bytes, data: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
        except InvalidSignature as exc:
            raise ProofError("proof_invalid", "not by this key") from exc

    ed25519.check_point, ed25519.verify = lambda _: None, verify


# ---------------------------------------------------------------------- JSON and envelopes


@mutant(
    "reads JSON with names that stand twice",
    "HIRE-JSN-01",
    "hirer-name-twice",
    "text-name-twice",
    "text-name-twice-escaped",
)
def _names_twice() -> None:
    read_first(lambda raw: json.dumps(json.loads(raw)).encode())


@mutant("reads numbers with fractions", "HIRE-JSN-03", "text-fraction")
def _fractions() -> None:
    read_first(lambda raw: json.dumps(json.loads(raw, parse_float=lambda text: int(float(text)))).encode())


@mutant("reads half a character", "HIRE-JSN-02", "text-lone-surrogate", "text-control-character")
def _half_characters() -> None:
    read_first(lambda raw: re.sub(rb"\\u(d8|00)[0-9a-f]{2}|[\x00-\x1f]", b"?", raw))


@mutant("cuts large numbers down", "HIRE-JSN-03", "text-huge-number")
def _large_numbers() -> None:
    def cut(text: str) -> int:
        return int(text) if len(text) < 12 else 2

    read_first(lambda raw: json.dumps(json.loads(raw, parse_int=cut)).encode())


@mutant(
    "reads times and amounts in any spelling",
    "HIRE-JSN-05",
    "envelope-other-spelling-of-a-time",
    "envelope-trailing-zero",
)
def _spellings() -> None:
    read_first(lambda raw: raw.replace(b"+00:00", b"Z").replace(b'"4.0"', b'"4"'))


@mutant("drops members that it does not know from documents", "HIRE-CTR-01", "envelope-unknown-member-inside")
def _drops_inside() -> None:
    def known(raw: bytes) -> bytes:
        value = json.loads(raw)
        value["document"]["terms"]["deadlines"].pop("grace", None)
        return json.dumps(value).encode()

    read_first(known)


@mutant("takes messages without a proof", "HIRE-PRF-01", "proof-missing", "proof-empty-list")
def _no_proof() -> None:
    def proved(raw: bytes) -> bytes:
        value = json.loads(raw)
        sender = value["sender"]
        proof = {
            "type": "DataIntegrityProof",
            "cryptosuite": "eddsa-jcs-2022",
            "created": "2020-01-01T00:00:00Z",
            "expires": "2020-01-01T01:00:00Z",
            "verificationMethod": f"{sender}#{sender.removeprefix('did:key:')}",
            "proofPurpose": MESSAGE_TYPES[value["type"]].purpose,
            "proofValue": "z" + "2" * 86,
        }
        return json.dumps({**value, "proof": proof}).encode()

    read_first(proved)


@mutant("drops members that it does not know", "HIRE-ENV-01", "hirer-unknown-member", "envelope-unknown-member")
def _drops_members() -> None:
    read_first(lambda raw: json.dumps(known_members(json.loads(raw))).encode())


@mutant("ignores the context", "HIRE-ENV-02", "envelope-other-context", "envelope-context-in-a-list")
def _any_context() -> None:
    known = b'"@context":"https://w3id.org/hire/v1"'
    read_first(lambda raw: re.sub(rb'"@context":("[^"]*hire/v2"|\["[^"]*"\])', known, raw))


@mutant("ignores the version of a message", "HIRE-ENV-04", "version-changes-later")
def _any_version() -> None:
    read_first(lambda raw: json.dumps({**json.loads(raw), "version": "1.0"}).encode())


@mutant("has one code for every refusal", "HIRE-SYN-04", "text-not-json", "text-too-deep")
def _one_code() -> None:
    real = intake.problem_code_told
    intake.problem_code_told = lambda error, **options: "internal" if real(error, **options) else None


@mutant(
    "refuses without a word",
    "HIRE-SYN-04",
    "envelope-unknown-type",
    "envelope-missing-member",
    "replay-unknown-engagement",
)
def _silent_faults() -> None:
    intake.problem_code_told = lambda *_, **__: None


@mutant("refuses moves without a word", "HIRE-CHN-11", "contract-closing-checkpoint", "negotiation-round-limit")
def _silent_problems() -> None:
    real = saying.Speaker._say

    async def say(self: Any, turn_: Any, said: turn.Say) -> None:
        if said.type != "Problem":
            await real(self, turn_, said)

    saying.Speaker._say = say


@mutant("takes messages of any size", "HIRE-JSN-04", "text-too-large")
def _any_size() -> None:
    real = listener.PublicListener.__init__

    def init(self: Any, *args: Any, limits: Any = None, **options: Any) -> None:
        given = limits or listener.ListenerLimits()
        channel = msgspec.structs.replace(given.channel, max_message_bytes=2**24)
        real(self, *args, limits=msgspec.structs.replace(given, channel=channel), **options)

    listener.PublicListener.__init__ = init
    codec._parse = lambda raw: json.loads(raw)


@mutant("wants each message in canonical form", "HIRE-DIG-03", "text-other-spelling")
def _canonical_only() -> None:
    real = intake.decode_message

    def decode(raw: bytes) -> SignedMessage:
        if codec.read_canonical(raw) is None:
            raise FormatError("bad_json", "not in canonical form")
        return real(raw)

    intake.decode_message = decode


@mutant("takes an Inquiry for any engagement", "HIRE-ENV-05", "envelope-anothers-engagement")
def _any_engagement() -> None:
    forgiven("wrong_negotiation")
    unguarded("opens_engagement")


@mutant("does not look at the role", "HIRE-ENV-09", "envelope-other-role")
def _any_role() -> None:
    judge_as(lambda engagement, message: {"role": fold.OTHER[engagement.role]})


@mutant("takes messages for anybody", "HIRE-ENV-06", "hirer-other-recipient", "replay-other-recipient")
def _any_recipient() -> None:
    forgiven("wrong_recipient")
    real = fold._parties

    def parties(engagement: Any, message: Message, mine: bool) -> None:
        try:
            real(engagement, message, mine)
        except fold.Refused as refused:
            if refused.code != "wrong_recipient":
                raise

    fold._parties = parties


# ---------------------------------------------------------------------- proofs


@mutant(
    "checks no signature",
    "HIRE-PRF-06",
    "hirer-proof-broken",
    "proof-does-not-hold",
    "proof-by-another-key",
    "keys-never-listed",
)
def _no_signature() -> None:
    forgiven("proof_invalid", "key_not_authorized", "self_dealing")
    _any_sender()


@mutant("takes proofs past their end", "HIRE-PRF-03", "expiry-proof-over", "expiry-signed-again")
def _expired() -> None:
    forgiven("proof_expired")


@mutant("takes proofs from the future", "HIRE-PRF-03", "expiry-proof-from-the-future")
def _future() -> None:
    forgiven("proof_from_future")


@mutant("takes proofs that live for ever", "HIRE-PRF-04", "expiry-proof-lives-too-long")
def _long_lives() -> None:
    forgiven("proof_expired")


@mutant("takes proofs that end before they begin", "HIRE-PRF-04", "expiry-proof-ends-before-it-begins")
def _ends_first() -> None:
    forgiven("proof_invalid")


@mutant("wants clocks to be equal", "HIRE-PRF-03", "expiry-proof-a-little-ahead")
def _strict_clock() -> None:
    real = verifying._check_times

    def times(proof: Any, now: str) -> None:
        real(proof, now)
        if proof.created > now:
            raise verifying._proved("proof_from_future", "made ahead", "/proof/created")

    verifying._check_times = times


@mutant("takes any purpose", "HIRE-PRF-07", "proof-wrong-purpose", "proof-wrong-purpose-seal")
def _any_purpose() -> None:
    forgiven("proof_purpose_mismatch")
    real = codec.read_message

    def read(content: Any, size: int) -> Message:
        purpose = MESSAGE_TYPES[content["type"]].purpose
        return real({**content, "proof": {**content["proof"], "proofPurpose": purpose}}, size)

    codec.read_message = read
    codec.read_canonical = lambda _: None
    forgiven("proof_invalid")


@mutant("takes any suite that it knows", "HIRE-PRF-02", "proof-suite-not-agreed")
def _any_suite() -> None:
    intake.Intake._suites = staticmethod(lambda *_: None)


@mutant("takes a suite that there is not for its own", "HIRE-PRF-02", "proof-unknown-suite")
def _unknown_suite() -> None:
    forgiven("suite_not_allowed")


@mutant("drops members of proofs", "HIRE-PRF-08", "proof-unknown-member")
def _proof_members() -> None:
    def known(raw: bytes) -> bytes:
        value = json.loads(raw)
        proof = {name: one for name, one in value["proof"].items() if name != "liability"}
        return json.dumps({**value, "proof": proof}).encode()

    read_first(known)


@mutant("does not check the document of an offer", "HIRE-NEG-07", "proof-of-document-broken")
def _offer_unchecked() -> None:
    def check(self: Any, engagement: Any, offer: Offer, peer: Any) -> Any:
        return offer.document

    papers.Papers.check_offer = check


@mutant(
    "does not check the second signature",
    "HIRE-NEG-11",
    "hirer-second-signature",
    "proof-of-acceptance-broken",
    "proof-of-acceptance-alone",
)
def _acceptance_unchecked() -> None:
    def check(self: Any, offered: Any, read: Any, proof: Any, peer: Any) -> bytes:
        named = {**proof, "previousProof": offered["proof"]["id"]}
        return papers.contract_leaf(papers.countersigned(offered, named))

    papers.Papers.check_acceptance = check


# ---------------------------------------------------------------------- chains


@mutant("records a move that came too early", "HIRE-CHN-03", "hirer-gap", "chain-gap", "chain-early-then-in-order")
def _early() -> None:
    _taken_as_known("out_of_order")


@mutant("does not look at what a move follows", "HIRE-CHN-03", "chain-other-previous")
def _previous() -> None:
    def follows(engagement: Any, message: Message) -> dict[str, Any]:
        chain = engagement.got
        return {"previous": chain[-1] if chain else None} if message.sequence == len(chain) + 1 else {}

    judge_as(follows)


def _taken_as_known(code: str) -> None:
    real = fold._judge

    def judge(engagement: Any, move: VerifiedMessage, mine: bool, at: str) -> Any:
        try:
            return real(engagement, move, mine, at)
        except fold.Refused as refused:
            if mine or refused.code != code:
                raise
            return fold._Judged("repeat", len(engagement.sent), None, None)

    fold._judge = judge


@mutant(
    "knows a move by its number and not by its digest",
    "HIRE-CHN-05",
    "chain-equivocation",
    "chain-equivocation-inquiry",
)
def _by_number() -> None:
    _taken_as_known("conflicting_message")


@mutant("does not look at what a move has seen", "HIRE-CHN-13", "chain-seen-unknown", "chain-seen-goes-back")
def _seen() -> None:
    fold._seen = lambda message, chain: len(chain)


@mutant("forgets what a notice has seen", "HIRE-CHN-13", "chain-seen-goes-back-after-a-receipt")
def _seen_by_a_notice() -> None:
    real = fold.after_notice

    def notice(engagement: Any, *others: Any) -> Any:
        return msgspec.structs.replace(real(engagement, *others), peer_saw=engagement.peer_saw)

    fold.after_notice = notice


@mutant("drops a Receipt that names what it never made", "HIRE-CHN-14", "chain-receipt-of-nothing")
def _receipts_of_all_or_none() -> None:
    real = fold.after_notice

    def notice(engagement: Any, said: Message, *others: Any) -> Any:
        foreign = isinstance(said, Receipt) and not {*said.of} <= {*engagement.sent, *engagement.got}
        return engagement if foreign else real(engagement, said, *others)

    fold.after_notice = notice


@mutant(
    "does not acknowledge repeats",
    "HIRE-CHN-04",
    "hirer-repeat-acceptance",
    "chain-repeat-offer",
    "chain-repeat-inquiry",
    "chain-terminal-state",
)
def _no_receipt() -> None:
    async def answer(self: Any, turn_: Any, move: Any) -> None:
        return None

    saying.Speaker._answer_repeat = answer


@mutant("answers a repeat anew", "HIRE-CHN-06", "chain-repeat-acceptance", "chain-repeat-offer", "chain-repeat-start")
def _answers_anew() -> None:
    async def answer(self: Any, turn_: Any, move: Any) -> None:
        from undersigned.runtime.names import fresh_urn

        rows = [row for row in await self.shell.ledger.rows(self.id) if row.kind == "sent" and row.sequence is not None]
        last = outgoing.recorded_message(rows[-1].raw)
        again = msgspec.structs.replace(last.message, id=fresh_urn(), proof=None)
        turn_.sends.append((await outgoing.sign_message(again, self.shell.identity, None, turn_.now)).raw)

    saying.Speaker._answer_repeat = answer


@mutant("refuses repeats", "HIRE-CHN-04", "chain-repeat-seal")
def _refuses_repeats() -> None:
    real = fold._judge

    def judge(engagement: Any, move: VerifiedMessage, mine: bool, at: str) -> Any:
        judged = real(engagement, move, mine, at)
        if judged.outcome == "repeat" and not mine:
            raise fold.Refused("conflicting_message", "came before")
        return judged

    fold._judge = judge


# ---------------------------------------------------------------------- presentations


def _presented(**taken_from: Callable[[Any], Any]) -> None:
    real = meeting.verify_presentation

    def verify(shown: Any, **options: Any) -> Any:
        return real(shown, **options | {name: take(shown) for name, take in taken_from.items()})

    meeting.verify_presentation = verify


@mutant("takes a presentation that answers another challenge", "HIRE-CRD-05", "replay-challenge")
def _challenge() -> None:
    _presented(challenge=lambda shown: shown.content["proof"]["challenge"])


@mutant("takes a presentation for another verifier", "HIRE-CRD-05", "replay-domain")
def _domain() -> None:
    _presented(domain=lambda shown: shown.content["proof"]["domain"])


@mutant("takes a presentation of somebody else", "HIRE-CRD-04", "replay-anothers-presentation")
def _holder() -> None:
    _presented(holder=lambda shown: shown.holder)


@mutant("takes a credential of somebody else", "HIRE-CRD-04", "replay-anothers-credential")
def _subject() -> None:
    shown_anyway("holder_mismatch", about="credential")


@mutant("does not ask who vouches for whom it works", "HIRE-CRD-07", "status-nothing-shown")
def _no_policy() -> None:
    real = meeting.Meeting.evaluate

    async def evaluate(self: Any, *args: Any, **options: Any) -> Any:
        return msgspec.structs.replace(await real(self, *args, **options), outcome="allow")

    meeting.Meeting.evaluate = evaluate


@mutant("looks up no status", "HIRE-STA-02", "status-revoked", "status-unavailable")
def _no_status() -> None:
    def clear(credential: Any, lists: Any, now: str) -> Any:
        return ClearStatus(credential=credential.digest, lists=(), at=now)

    async def lists(*_: Any, **__: Any) -> dict[str, Any]:
        return {}

    beliefs.check_status, status_keeper.StatusKeeper.lists = clear, lists


@mutant("refuses whatever has a status", "HIRE-STA-02", "status-clear")
def _any_status() -> None:
    def revoked(credential: Any, lists: Any, now: str) -> Any:
        raise CredentialError("revoked", "it has a status", credential=credential.digest)

    beliefs.check_status = revoked


@mutant("knows nobody by a document that is published", "HIRE-CLS-02", "keys-did-web")
def _no_did_web() -> None:
    from undersigned.runtime.fetching import gather

    real = gather.Gatherer.document

    async def document(self: Any, did: str, *args: Any) -> Any:
        if did.startswith("did:web:"):
            raise ResolutionError("did_unresolvable", "not fetched")
        return await real(self, did, *args)

    gather.Gatherer.document = document


@mutant("does not look at which move is answered", "HIRE-NEG-03", "replay-answers-another-move")
def _answers() -> None:
    unguarded("answers_request")
    _presented(challenge=lambda shown: shown.content["proof"]["challenge"])


# ---------------------------------------------------------------------- negotiation


@mutant("shortens the list of versions", "HIRE-VER-01", "version-one-of-two")
def _shortens() -> None:
    unguarded("echoes_and_picks")
    says("Profile", lambda body: {**body, "versions": ("1.0",)})


@mutant("shortens the list of suites", "HIRE-VER-01", "suites-echoed")
def _shortens_suites() -> None:
    unguarded("echoes_and_picks")
    says("Profile", lambda body: {**body, "suites": (body["suite"],)})


@mutant("picks a suite of its own", "HIRE-VER-03", "suites-none-known")
def _own_suite() -> None:
    unguarded("echoes_and_picks")
    provider.first_suite = lambda *_: "eddsa-jcs-2022"
    real = outgoing.first_suite
    outgoing.first_suite = lambda offered, kind: real(offered, kind) or "eddsa-jcs-2022"


@mutant("speaks any version", "HIRE-VER-03", "version-not-spoken")
def _speaks_any() -> None:
    read_first(lambda raw: json.dumps({**json.loads(raw), "version": "1.0", "versions": ["1.0"]}).encode())


@mutant("does not sign in the suite that it chose", "HIRE-PRF-02", "suite-rdfc")
def _other_suite() -> None:
    real = saying.sign_message
    saying.sign_message = lambda message, identity, talks, now: real(message, identity, None, now)


@mutant(
    "takes acceptances out of turn", "HIRE-NEG-05", "negotiation-accepts-own-offer", "table-provider-ready-acceptance"
)
def _own_offer() -> None:
    rowless(lambda message: message.type == "Acceptance")


@mutant(
    "takes a counter-offer to any offer",
    "HIRE-NEG-06",
    "hirer-other-transcript",
    "negotiation-counters-another-offer",
    "negotiation-round-limit",
    "negotiation-second-offer",
)
def _any_counter() -> None:
    unguarded("replies_to_live_offer", "opens_bargaining")


@mutant(
    "takes an offer with any document",
    "HIRE-NEG-07",
    "negotiation-other-transcript",
    "negotiation-other-parties",
    "negotiation-other-id",
)
def _any_document() -> None:
    unguarded("opens_bargaining")


@mutant(
    "takes any acceptance for its offer",
    "HIRE-NEG-11",
    "hirer-accepts-another-document",
    "negotiation-accepts-another-offer",
    "negotiation-accepts-another-document",
    "negotiation-accepts-unseen",
)
def _any_acceptance() -> None:
    unguarded("names_live_offer")


@mutant(
    "takes any seal",
    "HIRE-NEG-14",
    "negotiation-seals-another-acceptance",
    "negotiation-seals-another-document",
    "negotiation-seals-unseen",
)
def _any_seal() -> None:
    unguarded("names_acceptance")


@mutant(
    "takes a seal of any place", "HIRE-LOG-02", "negotiation-seals-another-leaf", "negotiation-seals-in-anothers-log"
)
def _any_place() -> None:
    papers.Papers.check_place = staticmethod(lambda _, leaf: leaf)


@mutant("lets an offerer walk away from an acceptance", "HIRE-NEG-16", "negotiation-withdraws-after-acceptance")
def _walks_away() -> None:
    unguarded("answers_acceptance")


@mutant("does not let go of its acceptance", "HIRE-NEG-15", "expiry-acceptance-is-late")
def _holds_on() -> None:
    def refuse(_: Any) -> None:
        raise fold.Refused("wrong_state", "it was accepted")

    fold.GUARDS = {**fold.GUARDS, "answers_acceptance": refuse}


@mutant("allows any number of rounds", "HIRE-NEG-08", "negotiation-too-many-rounds")
def _any_rounds() -> None:
    def fewer(raw: bytes) -> bytes:
        value = json.loads(raw)
        return json.dumps({**value, "limits": {**value["limits"], "rounds": 16}}).encode()

    read_first(fewer)


@mutant("does not answer what it cannot do", "HIRE-NEG-20", "negotiation-unknown-task")
def _no_answer() -> None:
    real = provider.ProviderSide._profile

    async def profile(self: Any, conversation_: Any, inquiry: Any, engagement: Any) -> Any:
        return await real(self, conversation_, inquiry, engagement) if inquiry.need in self._services else None

    provider.ProviderSide._profile = profile


@mutant("accepts an offer that is over", "HIRE-NEG-09", "expiry-offer-over")
def _late_acceptance() -> None:
    real = conversation.pending

    def owes(engagement: Any, at: str) -> Any:
        live = engagement.offer
        if live is not None and engagement.state.startswith("offered-by-"):
            later = msgspec.structs.replace(live, valid_until=max(live.valid_until, at))
            return real(msgspec.structs.replace(engagement, offer=later), at)
        return real(engagement, at)

    conversation.pending = owes
    unguarded("opens_bargaining", "names_live_offer")

    async def answer(self: Any, conversation_: Any, engagement: Any) -> Any:
        return await self._agent.papers.acceptance(engagement, conversation_.offered_json(engagement), ())

    provider.ProviderSide._answer = answer


@mutant("counters with a document that it did not sign", "HIRE-NEG-07", "counter-lower-price", "counter-withdrawn")
def _unsigned_counter() -> None:
    def broken(body: dict[str, Any]) -> dict[str, Any]:
        document = body["document"]
        price = msgspec.structs.replace(document.terms.price, amount="4.5")
        return {
            **body,
            "document": msgspec.structs.replace(document, terms=msgspec.structs.replace(document.terms, price=price)),
        }

    says("Offer", broken)


@mutant("seals another document than was accepted", "HIRE-NEG-14", "counter-lower-price", "chain-repeat-acceptance")
def _seals_another() -> None:
    unguarded("names_acceptance")
    says("Seal", lambda body: {**body, "document": digest_bytes(b"another")})


# ---------------------------------------------------------------------- contract


@mutant(
    "starts any contract with any input", "HIRE-LIF-04", "contract-start-names-another", "contract-start-other-inputs"
)
def _any_start() -> None:
    unguarded("starts_as_contracted")


@mutant("takes moves of another contract", "HIRE-LIF-01", "contract-suspend-names-another")
def _any_contract() -> None:
    unguarded("names_contract")


@mutant("takes a review of anything", "HIRE-LIF-06", "contract-review-names-another")
def _any_review() -> None:
    unguarded("reviews_delivery")


@mutant(
    "does not check the statement of a review",
    "HIRE-ATT-02",
    "attestation-review-unsigned",
    "attestation-review-contradicts",
    "attestation-review-by-a-stranger",
    "attestation-review-of-another-contract",
    "attestation-review-of-another-engagement",
    "attestation-review-of-other-statements",
    "attestation-review-of-other-artifacts",
)
def _review_unchecked() -> None:
    async def unchecked(*_: Any) -> tuple[()]:
        return ()

    review.Reviews.check_review = unchecked


@mutant(
    "takes any cause to terminate", "HIRE-LIF-10", "contract-terminate-for-nothing", "contract-terminate-at-convenience"
)
def _any_cause() -> None:
    unguarded("cause_allowed")


@mutant("takes disputes that nobody can rule on", "HIRE-LIF-21", "contract-dispute-without-arbiter")
def _any_dispute() -> None:
    unguarded("may_dispute")


@mutant("takes approvals of nothing", "HIRE-LIF-19", "contract-approval-of-nothing")
def _any_approval() -> None:
    unguarded("answers_open_request")


@mutant("closes the books of any document", "HIRE-LIF-08", "contract-closes-another")
def _any_closing() -> None:
    unguarded("closes_once")


@mutant("delivers nothing after a Cancel before the work", "HIRE-LIF-23", "happy-cancelled-before-work")
def _no_delivery() -> None:
    async def stopped(*_: Any) -> None:
        return None

    work.Worker.stopped = stopped


@mutant("works on after a Cancel", "HIRE-LIF-23", "happy-cancelled-in-work", "happy-cancelled-before-work")
def _works_on() -> None:
    real = work.Worker._watched

    async def watched(self: Any, conversation_: Any, job: Any, coroutine: Any) -> Any:
        if conversation_.engagement.state == "cancelling":
            coroutine.close()
            return None
        try:
            outcome = await real(self, conversation_, job, coroutine)
        except UndersignedError:
            # The gate refuses what the work asks for once it is cancelled, and that would be delivered as a failure.
            if conversation_.engagement.state != "cancelling":
                raise
            outcome = None
        return None if conversation_.engagement.state == "cancelling" else outcome

    work.Worker._watched = watched
    _no_delivery()


@mutant("works while it is suspended", "HIRE-LIF-02", "scope-no-work-while-suspended", "happy-suspended-and-resumed")
def _works_suspended() -> None:
    suspends = ("working", "Suspend", "hirer", "")
    fold.ROWS = {**fold.ROWS, suspends: fold.ROWS[suspends]._replace(next="working")}  # type: ignore[misc]


@mutant(
    "closes with a checkpoint that it did not sign",
    "HIRE-LOG-04",
    "happy-whole-hire",
    "happy-terminated",
    "happy-rejected",
)
def _closing_unsigned() -> None:
    says("Closing", lambda body: {**body, "checkpoint": "uAAAA"})


@mutant("gives what it made to anybody", "HIRE-ART-02", "scope-nobody-reads-a-delivery")
def _gives_away() -> None:
    async def answer(self: Any, asked: Any) -> Any:
        return serving.ArtifactResponse(200, await self._peer.artifacts.get(asked.digest))

    serving.ArtifactDoor.answer = answer


@mutant("delivers other bytes than it stated", "HIRE-ATT-03", "attestation-delivery", "scope-nobody-reads-a-delivery")
def _other_bytes() -> None:
    real = serving.ArtifactDoor._allowed

    async def allowed(self: Any, conversation_: Any, asked: Any, target: str) -> bytes:
        return await real(self, conversation_, asked, target) + b" and more"

    serving.ArtifactDoor._allowed = allowed


@mutant("states nothing of what it delivers", "HIRE-ATT-02", "attestation-delivery")
def _no_statements() -> None:
    says("Delivery", lambda body: {**body, "statements": ()})


@mutant("states what it delivers for another contract", "HIRE-ATT-04", "attestation-delivery")
def _other_contract() -> None:
    real = work.work
    work.work = lambda **options: real(**options | {"contract": digest_bytes(b"another")})


@mutant("tells of another task in what it states of its work", "HIRE-ATT-04", "attestation-delivery")
def _other_task() -> None:
    real = work.work
    work.work = lambda **options: real(**options | {"task": "another"})


@mutant("states other usage than it says", "HIRE-ATT-04", "attestation-delivery")
def _states_other_usage() -> None:
    real = work.work
    line = UsageLine(clause="read", unit="count", amount="999")
    work.work = lambda **options: real(**options | {"usage": (line,)})


@mutant("takes a verdict on what was not delivered", "HIRE-ATT-04", "attestation-review-of-other-statements")
def _other_statements() -> None:
    class All:
        def __rsub__(self, _: object) -> set[str]:
            return set()

    stating.payload_digests = lambda _: All()


@mutant("takes moves where no row is", "HIRE-CHN-11", "table-hirer-*", "table-provider-[!n]*")
def _any_move() -> None:
    async def unchecked(*_: Any) -> tuple[()]:
        return ()

    rowless(lambda _: True)
    forgiven("wrong_negotiation")  # an Inquiry by a provider
    moves.Moves.check_ruling = unchecked


@mutant(
    "takes what comes after the end",
    "HIRE-CHN-11",
    "table-hirer-closed-delivery",
    "table-provider-closed-start",
    "table-provider-withdrawn-offer",
)
def _after_the_end() -> None:
    real = fold._row

    def row(engagement: Any, move: Any, mine: bool, at: str, seen: int, total: int) -> Any:
        try:
            return real(engagement, move, mine, at, seen, total)
        except fold.Refused:
            if mine or engagement.state not in ("withdrawn", "closed"):
                raise
            return fold._Judged("late", seen, None, None)

    fold._row = row


@mutant("knows every engagement", "HIRE-CHN-11", "table-provider-nothing-*", "replay-unknown-engagement")
def _every_engagement() -> None:
    real = intake.problem_code_told
    intake.problem_code_told = lambda error, **o: (
        "wrong_state" if error.code == "wrong_negotiation" else real(error, **o)
    )


# ---------------------------------------------------------------------- documents and shapes


def mended(change: Callable[[Any], Any]) -> None:
    """What cannot be read is mended by `change` before it is read again, and no proof of it is asked for."""

    def mend(raw: bytes) -> bytes:
        value = json.loads(raw)
        change(value)
        return json.dumps(value).encode()

    read_first(mend)
    _offer_unchecked()
    unguarded("opens_bargaining")


@mutant("drops members of documents", "HIRE-EXT-01", "document-unknown-member")
def _document_members() -> None:
    mended(lambda value: value["document"].pop("liability"))


@mutant("takes documents by keys that they do not list", "HIRE-CTR-04", "document-by-an-unlisted-key")
def _unlisted_key() -> None:
    _offer_unchecked()
    unguarded("opens_bargaining")


@mutant("lets one key sign for both", "HIRE-CTR-04", "document-shared-key")
def _shared_key() -> None:
    _unlisted_key()
    mended(lambda value: value["document"]["methods"].update(provider=["did:web:a.example#key"]))
    forgiven("self_dealing", "proof_invalid")


@mutant(
    "does not look at the names of clauses", "HIRE-CTR-05", "document-terms-of-another", "document-clause-of-another"
)
def _any_clause_name() -> None:
    def renamed(value: Any) -> None:
        terms, id_ = value["document"]["terms"], value["document"]["id"]
        terms["id"], terms["scope"]["grants"][0]["id"] = f"{id_}#terms", f"{id_}#read"

    mended(renamed)


@mutant(
    "takes terms that contradict themselves",
    "HIRE-CTR-12",
    "document-negative-price",
    "document-deadlines-out-of-order",
    "document-own-arbiter",
    "document-subcontracting-of-no-depth",
    "document-deliverables-of-one-name",
)
def _contradictions() -> None:
    def straight(value: Any) -> None:
        terms = value["document"]["terms"]
        terms["price"]["amount"] = terms["price"]["amount"].removeprefix("-")
        terms["deadlines"]["finish"] = terms["deadlines"]["until"]
        terms["subcontracting"]["allowed"] = False
        terms["deliverables"] = terms["deliverables"][:1]
        terms.pop("arbiter", None)

    mended(straight)


@mutant("takes prices below nothing", "HIRE-CTR-06", "document-negative-price")
def _negative_prices() -> None:
    def positive(value: Any) -> None:
        price = value["document"]["terms"]["price"]
        price["amount"] = price["amount"].removeprefix("-")

    mended(positive)


@mutant(
    "reads scopes as it likes",
    "HIRE-SCO-02",
    "scope-operand-unknown",
    "scope-negative-limit",
    "scope-half-a-count",
    "scope-target-with-a-fragment",
)
def _any_scope() -> None:
    def read(value: Any) -> None:
        grant = value["document"]["terms"]["scope"]["grants"][0]
        grant["constraint"][0].update(leftOperand="count", rightOperand=["1"])
        grant["target"] = grant["target"].partition("#")[0]

    mended(read)


@mutant("ignores what a scope calls critical", "HIRE-SCO-02", "scope-critical-unknown")
def _not_critical() -> None:
    def agreed(value: Any) -> None:
        scope = value["document"]["terms"]["scope"]
        scope.pop("critical", None)
        scope.pop("extensions", None)

    mended(agreed)
    _accepts_any_offer()


def _accepts_any_offer() -> None:
    async def answer(self: Any, conversation_: Any, engagement: Any) -> Any:
        return await self._agent.papers.acceptance(engagement, conversation_.offered_json(engagement), ())

    provider.ProviderSide._answer = answer


@mutant(
    "mends what does not fit",
    "HIRE-ENV-08",
    "shape-unknown-word",
    "shape-too-long",
    "shape-lowest-version",
    "shape-presentation-asks-nothing",
    "shape-terminate-names-nothing",
    "shape-receipt-proves-nothing",
    "shape-negative-usage",
)
def _mends_shapes() -> None:
    def fit(value: Any) -> None:
        match value["type"]:
            case "Withdraw":
                value["reason"] = "changed"
            case "Inquiry":
                value.update(need=value["need"][:100], versions=["1.0"])
            case "Presentation":
                value["request"] = {"needs": []}
            case "Closing":
                value["usage"] = []
            case "Terminate":
                value["cause"] = "key_compromised"
            case _:
                value.pop("inclusion", None)

    mended(fit)


@mutant("closes politely for a bad frame", "HIRE-CNX-03", "text-binary-frame", "text-broken-encoding")
def _polite_frames() -> None:
    from aiohttp.web import WebSocketResponse

    real = WebSocketResponse.close

    async def close(self: Any, *, code: int = 1000, **options: Any) -> bool:
        return await real(self, code=1000, **options)

    WebSocketResponse.close = close


@mutant("counts no bytes", "HIRE-NEG-22", "negotiation-bytes-used-up")
def _no_bytes() -> None:
    fold._WEIGHED = frozenset()


@mutant("continues whatever is named", "HIRE-NEG-23", "negotiation-continues-nothing")
def _continues_anything() -> None:
    from undersigned.runtime.agent import shell

    real = shell.check_received

    async def check(agent: Any, conversation_: Any, before: Any, message: Any, *given: Any) -> Any:
        body = message.message
        if getattr(body, "continues", None) is not None:
            return None, ()
        return await real(agent, conversation_, before, message, *given)

    shell.check_received = check


@mutant("tells of an Inquiry that it refuses in no name", "HIRE-NEG-23", "negotiation-refused-by-a-problem")
def _unsigned_no() -> None:
    real = intake.verify_message

    def verify(*args: Any, **options: Any) -> VerifiedMessage:
        verified = real(*args, **options)
        if getattr(verified.message, "continues", None) is not None:
            raise VerificationError("wrong_negotiation", "nobody withdrew", proved=True)
        return verified

    intake.verify_message = verify


@mutant("says who a message is for before it looks at its proof", "HIRE-ERR-02", "proof-before-what-depends-on-more")
def _recipient_first() -> None:
    real = intake.verify_message

    def verify(received: SignedMessage, *args: Any, recipient: str, **options: Any) -> VerifiedMessage:
        if received.message.recipient != recipient:
            raise VerificationError("wrong_recipient", "for somebody else", proved=True)
        return real(received, *args, recipient=recipient, **options)

    intake.verify_message = verify


@mutant("takes what a hirer says of capacity", "HIRE-CAP-03", "contract-capacity-of-the-hirer")
def _any_capacity() -> None:
    papers.Papers.check_closing = lambda *_: None


# ---------------------------------------------------------------------- what changes a contract


@mutant(
    "takes any document that is put on the table",
    "HIRE-LAN-01",
    "lane-amendment-of-another-contract",
    "lane-amends-another-document",
    "lane-release-of-another-contract",
)
def _any_amendment() -> None:
    unguarded("tables_document")
    _offer_unchecked()


@mutant(
    "refuses what is said about documents under a contract",
    "HIRE-LAN-03",
    "lane-release-taken-back",
    "lane-amendment-taken-back",
)
def _no_lane() -> None:
    def refuse(_: Any) -> None:
        raise fold.Refused("wrong_state", "not now")

    fold.GUARDS = {**fold.GUARDS, "withdraws_document": refuse}


@mutant(
    "takes answers to offers that nobody made", "HIRE-LAN-02", "lane-acceptance-of-nothing", "lane-withdraws-nothing"
)
def _answers_nothing() -> None:
    rowless(lambda message: message.type in ("Acceptance", "Withdraw"))


@mutant("takes a breach of anything", "HIRE-LIF-20", "breach-of-no-clause")
def _any_breach() -> None:
    unguarded("leaves_time_to_cure")


@mutant("hears of no breach", "HIRE-LIF-20", "breach-stands")
def _no_breach() -> None:
    def refuse(_: Any) -> None:
        raise fold.Refused("terms_mismatch", "nothing was broken")

    fold.GUARDS = {**fold.GUARDS, "leaves_time_to_cure": refuse}


@mutant("knows of no crossing", "HIRE-CHN-09", "cancel-crosses-the-delivery", "suspend-crosses-the-delivery")
def _no_crossing() -> None:
    real = fold._judge

    def judge(engagement: Any, move: VerifiedMessage, mine: bool, at: str) -> Any:
        judged = real(engagement, move, mine, at)
        if judged.outcome == "void" and not mine:
            raise fold.Refused("wrong_state", "it is too late for that")
        return judged

    fold._judge = judge


@mutant("takes rulings by anybody", "HIRE-LIF-22", "ruling-by-nobody")
def _any_ruling() -> None:
    papers.Papers.check_ruling = lambda *_: None


@mutant("hears no disputes", "HIRE-LIF-21", "dispute-is-ruled-on")
def _no_disputes() -> None:
    def refuse(_: Any) -> None:
        raise fold.Refused("terms_mismatch", "there is nothing to dispute")

    fold.GUARDS = {**fold.GUARDS, "may_dispute": refuse}


@mutant(
    "holds on to a connection that is half open",
    "HIRE-CNX-10",
    "reconnect-half-open",
    "reconnect-half-open-in-work",
)
def _holds_half_open() -> None:
    from undersigned.runtime.agent import links

    real = links.Links._channel

    def channel(self: Any, peer: str) -> Any:
        found = real(self, peer)
        first = self.__dict__.setdefault("_first_of", {})
        return first.setdefault(peer, found) if found is not None else None

    links.Links._channel = channel


@mutant("opens a connection once", "HIRE-CNX-10", "hirer-cut-twice", "hirer-reconnects")
def _dials_once() -> None:
    from undersigned.transport import connecting

    dialled: list[str] = []
    real = connecting.connect

    async def connect(url: str, **options: Any) -> Any:
        if url in dialled:
            raise TransportError("unreachable", "it was dialled before")
        dialled.append(url)
        return await real(url, **options)

    from undersigned.runtime.agent import links

    links.connect = connect


# ---------------------------------------------------------------------- hirers


@mutant("takes lists that came back shortened", "HIRE-VER-02", "hirer-profile-shortened")
def _takes_shortened() -> None:
    unguarded("echoes_and_picks")


@mutant("accepts whatever is delivered", "HIRE-ART-03", "hirer-broken-delivery")
def _accepts_anything() -> None:
    inspection.verify_delivery = lambda *_, **__: ()


@mutant("refuses work that does not hold, in place of a verdict", "HIRE-ATT-13", "hirer-broken-delivery")
def _refuses_a_delivery() -> None:
    from undersigned.runtime.agent import shell

    real = shell.check_received

    async def check(agent_: Any, conversation_: Any, before: Any, message: VerifiedMessage, *rest: Any) -> Any:
        if isinstance(message.message, Delivery) and not message.message.statements:
            raise VerificationError("digest_mismatch", "no statement")
        return await real(agent_, conversation_, before, message, *rest)

    shell.check_received = check


@mutant("does not read what a delivery says was used", "HIRE-ATT-04", "hirer-other-usage")
def _any_usage() -> None:
    real = inspection.verify_delivery
    inspection.verify_delivery = lambda *given, **options: real(*given, **options | {"usage": None})


@mutant("never closes its books", "HIRE-CLS-01", "hirer-whole-hire", "hirer-broken-delivery")
def _never_closes() -> None:
    real = hirer.HirerSide.decide

    async def decide(self: Any, conversation_: Any, engagement: Any, owed: Any) -> Any:
        return None if engagement.state == "closing" else await real(self, conversation_, engagement, owed)

    hirer.HirerSide.decide = decide


@mutant("takes no offer but its own", "HIRE-NEG-06", "hirer-takes-counter-offer")
def _own_offers_alone() -> None:
    def refuse(_: Any) -> None:
        raise fold.Refused("wrong_party", "ours stands")

    fold.GUARDS = {**fold.GUARDS, "replies_to_live_offer": refuse}


@mutant("does not hear that a provider walks away", "HIRE-NEG-01", "hirer-provider-walks-away")
def _deaf_to_withdrawals() -> None:
    real = fold._row

    def row(engagement: Any, move: Any, mine: bool, at: str, seen: int, total: int) -> Any:
        if move.message.type == "Withdraw" and not mine:
            return fold._Judged("void", seen, None, None)
        return real(engagement, move, mine, at, seen, total)

    fold._row = row


@mutant("seals another acceptance than came", "HIRE-NEG-14", "hirer-whole-hire", "hirer-repeat-acceptance")
def _seals_anothers() -> None:
    unguarded("names_acceptance")
    says("Seal", lambda body: {**body, "acceptance": digest_bytes(b"another")})


@mutant("starts with inputs that nobody agreed on", "HIRE-LIF-04", "hirer-whole-hire")
def _other_inputs() -> None:
    unguarded("starts_as_contracted")
    other = digest_bytes(b"another")
    says(
        "Start",
        lambda body: {**body, "inputs": tuple(msgspec.structs.replace(i, digest=other) for i in body["inputs"])},
    )


@mutant("refuses at length", "HIRE-SEC-08", "negotiation-withdraws-after-acceptance")
def _at_length() -> None:
    real = saying.Speaker._say

    async def say(self: Any, turn: Any, said: Any) -> None:
        if said.type == "Problem":
            said = msgspec.structs.replace(said, body={**said.body, "supported": ("x" * 200,) * 5})
        await real(self, turn, said)

    saying.Speaker._say = say


@mutant("takes a delivery back because it is refused", "HIRE-NEG-19", "contract-problem-about-a-delivery")
def _takes_back_what_stands() -> None:
    notices.STANDING = frozenset()
