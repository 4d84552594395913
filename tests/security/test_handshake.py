"""The connection proof under attack: challenges used twice, elsewhere, late; identities borrowed; frames that lie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from support import refuses
from undersigned.did import DidDocument, did_key, document_from
from undersigned.encoding import canonicalize, multibase_encode, shift
from undersigned.errors import Closed, ProofError, ResolutionError, TransportError, UndersignedError
from undersigned.messages import decode_message
from undersigned.proof import attach, prepare, proof_config
from undersigned.runtime.signers import PrivateKey, generate_key
from undersigned.transport import Channel, ChannelLimits, Identity, Proved, admit, memory_pair, prove

NOW = "2026-11-25T12:00:00Z"


async def resolve(did: str) -> DidDocument:
    return document_from(did, {})


def identity_of(key: PrivateKey) -> Identity:
    did = did_key(key.public_key)
    kind = key.public_key.kind
    suite = "eddsa-rdfc-2022" if kind == "Ed25519" else "ecdsa-rdfc-2019"
    return Identity(did, f"{did}#{did.removeprefix('did:key:')}", suite, kind, key.sign)


ACME, GLOBEX, MALLORY = (identity_of(generate_key()) for _ in range(3))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> str:
        return self.now


async def met(
    dialer: Identity = ACME,
    hosted: tuple[Identity, ...] = (GLOBEX,),
    *,
    expect: str = GLOBEX.did,
    between: Callable[[int, bytes], bytes] = lambda frame, data: data,
    accepting: Callable[[], str] = lambda: NOW,
    dialling: Callable[[], str] = lambda: NOW,
    limits: ChannelLimits = ChannelLimits(proof_seconds=5),  # noqa: B008
    versions: tuple[str, ...] = ("1.0",),
    resolving: Any = resolve,
) -> tuple[Proved | BaseException, Proved | BaseException, Channel, Channel]:
    """Both sides of one exchange, through a middle box that may change each frame; results of dialer and acceptor."""
    ours, left = memory_pair(limits)
    right, theirs = memory_pair(limits)
    frames = iter(range(100))

    async def carry(source: Channel, target: Channel) -> None:
        try:
            while True:
                data = await source.receive()
                await target.send(between(next(frames), data))
        except Closed as exc:
            await target.close(exc.detail.get("close_code", 1000), exc.code)

    carriers = [asyncio.create_task(carry(left, right)), asyncio.create_task(carry(right, left))]
    dialled, accepted = await asyncio.gather(
        prove(ours, dialer, resolve, dialling, expect=expect, versions=versions),
        admit(theirs, {one.did: one for one in hosted}, resolving, accepting),
        return_exceptions=True,
    )
    for carrier in carriers:
        carrier.cancel()
    await asyncio.gather(*carriers, return_exceptions=True)
    return dialled, accepted, ours, theirs


def code_of(result: object) -> str:
    assert isinstance(result, UndersignedError), result
    return result.code


def changed(frame: int, **members: Any) -> Callable[[int, bytes], bytes]:
    def between(number: int, data: bytes) -> bytes:
        if number != frame:
            return data
        document = json.loads(data)
        for name, value in members.items():
            if value is None:
                document.pop(name, None)
            else:
                document[name] = value
        return json.dumps(document).encode()

    return between


@pytest.mark.parametrize("kind", ["Ed25519", "P-256", "P-384"])
async def test_both_sides_prove_themselves(kind) -> None:
    dialer = identity_of(generate_key(kind))
    dialled, accepted, ours, theirs = await met(dialer)
    assert dialled == Proved(dialer.did, GLOBEX.did, "1.0")
    assert accepted == Proved(GLOBEX.did, dialer.did, "1.0")
    assert ours.peer == GLOBEX.did
    assert theirs.peer == dialer.did
    assert not ours.closed


async def test_one_listener_may_be_several_dids() -> None:
    dialled, accepted, _, _ = await met(hosted=(MALLORY, GLOBEX), expect=GLOBEX.did)
    assert dialled == Proved(ACME.did, GLOBEX.did, "1.0")
    assert accepted == Proved(GLOBEX.did, ACME.did, "1.0")


async def test_the_acceptor_signs_nothing_for_a_stranger() -> None:
    """No signing oracle: a dialer whose proof fails has seen 32 random bytes and a close code (HIRE-CNX-04)."""
    signed: list[bytes] = []

    async def sign(data: bytes) -> bytes:
        signed.append(data)
        return await GLOBEX.sign(data)

    hosted = msgspec.structs.replace(GLOBEX, sign=sign)
    seen: list[bytes] = []

    def between(number: int, data: bytes) -> bytes:
        seen.append(data)
        return changed(1, nonce=fresh_nonce())(number, data)

    dialled, accepted, _, theirs = await met(hosted=(hosted,), between=between)
    assert code_of(accepted) == "proof_invalid"
    assert code_of(dialled) == "proof_invalid"
    assert theirs.closed
    assert theirs.peer is None
    assert signed == []
    assert len(seen) == 2


async def test_a_stranger_is_told_the_same_whoever_it_asks_for() -> None:
    """Whether a DID is here, and why a proof failed, is ours to know (rule 4) (HIRE-CNX-07)."""
    told = set()
    for expect, between in ((MALLORY.did, lambda _, data: data), (GLOBEX.did, changed(1, nonce=fresh_nonce()))):
        dialled, _, _, _ = await met(expect=expect, between=between)
        told.add((code_of(dialled), dialled.detail["close_code"]))  # type: ignore[union-attr]
    assert told == {("proof_invalid", 1008)}


def fresh_nonce() -> str:
    return multibase_encode("u", bytes(range(32)))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"nonce": fresh_nonce()}, "proof_invalid"),
        ({"sender": MALLORY.did}, "key_not_authorized"),
        ({"recipient": MALLORY.did}, "challenge_mismatch"),
        ({"part": "acceptor"}, "schema_violation"),
        ({"versions": ["1.0", "1.1"]}, "proof_invalid"),
        ({"versions": ["2.0"]}, "version_not_supported"),
        ({"versions": []}, "schema_violation"),
        ({"versions": ["1.0", "1"]}, "schema_violation"),
        ({"nonce": "uAA"}, "schema_violation"),
        ({"version": "1.0"}, "schema_violation"),
        ({"subprotocol": "hire.v0"}, "schema_violation"),
        ({"extra": 1}, "schema_violation"),
        ({"type": "Inquiry"}, "schema_violation"),
        ({"@context": "https://example.com/"}, "schema_violation"),
        ({"proof": None}, "proof_missing"),
        ({"proof": {}}, "proof_missing"),
        ({"proof": []}, "schema_violation"),
        ({"sender": "nobody"}, "schema_violation"),
    ],
)
async def test_a_changed_dialer_frame_is_refused(members, code) -> None:
    _, accepted, _, theirs = await met(between=changed(1, **members))
    assert code_of(accepted) == code
    assert theirs.closed
    assert theirs.peer is None


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"nonce": fresh_nonce()}, "proof_invalid"),
        ({"sender": MALLORY.did}, "challenge_mismatch"),
        ({"recipient": MALLORY.did}, "challenge_mismatch"),
        ({"part": "dialer"}, "schema_violation"),
        ({"versions": ["1.0", "1.1"]}, "version_not_supported"),
        ({"version": "1.1"}, "version_not_supported"),
        ({"version": None}, "schema_violation"),
        ({"proof": None}, "proof_missing"),
    ],
)
async def test_a_changed_acceptor_frame_is_refused(members, code) -> None:
    """SC-82 too: the offered list and the choice are both signed (HIRE-CNX-06)."""
    dialled, _, ours, _ = await met(between=changed(2, **members))
    assert code_of(dialled) == code
    assert ours.closed
    assert ours.peer is None


@pytest.mark.parametrize("again", [True, False])
async def test_an_acceptor_says_its_nonce_twice(again: bool) -> None:
    """HIRE-CNX-06: what it signs is of the exchange that its challenge began."""
    ours, theirs = memory_pair()
    proving = asyncio.create_task(prove(ours, ACME, resolve, lambda: NOW, expect=GLOBEX.did))
    first, other = fresh_nonce(), multibase_encode("u", bytes(32))
    await theirs.send(canonicalize({"type": "Challenge", "subprotocol": "hire.v1", "nonce": first}))
    asked = json.loads(await theirs.receive())
    del asked["proof"]
    answer = {**asked, "part": "acceptor", "sender": GLOBEX.did, "recipient": ACME.did, "version": "1.0"}
    answer["nonce"] = first if again else other
    until = shift(NOW, 60)
    config = proof_config(
        "eddsa-jcs-2022", GLOBEX.method, "authentication", NOW, until, challenge=asked["nonce"], domain=ACME.did
    )
    signature = await GLOBEX.sign(prepare(answer, config, GLOBEX.kind))
    await theirs.send(canonicalize(attach(answer, config, signature)))
    if again:
        assert await proving == Proved(ACME.did, GLOBEX.did, "1.0")
    else:
        with refuses(ProofError, "challenge_mismatch"):
            await proving
        assert ours.peer is None


async def test_nobody_is_looked_up_whose_key_did_not_sign() -> None:
    """Who names a key of another than itself is refused by its bytes alone: looking up costs us more than asking."""
    asked: list[str] = []

    async def looks_up(did: str) -> DidDocument:
        asked.append(did)
        return await resolve(did)

    def between(number: int, data: bytes) -> bytes:
        if number != 1:
            return data
        document = json.loads(data)
        document["proof"]["verificationMethod"] = MALLORY.method
        return canonicalize(document)

    _, accepted, _, _ = await met(between=between, resolving=looks_up)
    assert code_of(accepted) == "key_not_authorized"
    assert asked == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"type":"Challenge"}', b'{"nonce":1,"nonce":2}', b"[" * 5000, b" " * 9000],
)
@pytest.mark.parametrize("frame", [0, 1, 2])
async def test_bytes_that_are_no_frame_are_refused(raw, frame) -> None:
    dialled, accepted, ours, theirs = await met(between=lambda number, data: raw if number == frame else data)
    assert isinstance(accepted if frame == 1 else dialled, UndersignedError)
    assert ours.peer is None
    assert theirs.peer is None or frame == 2


async def answer(challenge: str, domain: str, *, signer: Identity = ACME, **options: Any) -> bytes:
    """A dialer's frame made by hand."""
    document: dict[str, Any] = {
        "@context": "https://w3id.org/hire/v1",
        "type": "Connection",
        "part": "dialer",
        "subprotocol": "hire.v1",
        "sender": signer.did,
        "recipient": GLOBEX.did,
        "nonce": fresh_nonce(),
        "versions": ["1.0"],
    }
    created = options.get("created", NOW)
    config = proof_config(
        options.get("suite", "eddsa-jcs-2022"),
        signer.method,
        options.get("purpose", "authentication"),
        created,
        shift(created, options.get("life", 60)),
        challenge=challenge,
        domain=domain,
    )
    config.pop(options.get("without", ""), None)
    return canonicalize(attach(document, config, await signer.sign(prepare(document, config, signer.kind))))


async def admitted(frame: Callable[[str], Any], *, now: Callable[[], str] = lambda: NOW, **options: Any) -> Proved:
    """What the acceptor makes of the frame that is made from its challenge."""
    theirs, ours = memory_pair(ChannelLimits(proof_seconds=5))
    admitting = asyncio.create_task(admit(theirs, {GLOBEX.did: GLOBEX}, options.get("resolve", resolve), now))
    challenge = json.loads(await ours.receive())["nonce"]
    await ours.send(await frame(challenge))
    return await admitting


async def test_a_frame_made_by_hand_is_taken() -> None:
    """So the refusals below are for the reason they name."""
    assert (await admitted(lambda challenge: answer(challenge, GLOBEX.did))).peer == ACME.did


@pytest.mark.parametrize("member", ["created", "expires"])
async def test_an_answer_says_when_it_was_made_and_until_when_it_is_good(member: str) -> None:
    """Signed without one of them it would be good for ever, or from whenever."""
    with refuses(ProofError, "proof_expired"):
        await admitted(lambda challenge: answer(challenge, GLOBEX.did, without=member))


async def test_sc_43_an_answer_works_once() -> None:
    """A recorded answer meets another challenge on every other connection (HIRE-CNX-05, HIRE-SEC-06)."""
    recorded = []

    async def frame(challenge: str) -> bytes:
        recorded.append(await answer(challenge, GLOBEX.did))
        return recorded[0]

    assert (await admitted(frame)).peer == ACME.did
    with refuses(ProofError, "challenge_mismatch"):
        await admitted(frame)


async def test_sc_43_an_answer_given_twice_on_one_connection_is_no_message() -> None:
    """After the proof only messages are read, and the frame is none."""
    dialled_frames: list[bytes] = []

    def between(number: int, data: bytes) -> bytes:
        dialled_frames.append(data)
        return data

    await met(between=between)
    with pytest.raises(UndersignedError) as caught:
        decode_message(dialled_frames[1])
    assert caught.value.row.family in ("schema", "parse")


async def test_sc_43_an_answer_for_somebody_else_is_refused() -> None:
    """B's challenge with a proof made for C: the domain is signed (HIRE-CNX-05)."""
    with refuses(ProofError, "challenge_mismatch"):
        await admitted(lambda challenge: answer(challenge, MALLORY.did))


async def test_sc_43_a_challenge_expires() -> None:
    """After `proof_seconds` the exchange is over, however good the answer (HIRE-CNX-08)."""
    theirs, ours = memory_pair(ChannelLimits(proof_seconds=0.05))
    with refuses(TransportError, "timeout"):
        async with asyncio.timeout(10):  # and not after what a proof's own life gives
            await admit(theirs, {GLOBEX.did: GLOBEX}, resolve, lambda: NOW)
    await ours.receive()
    with refuses(Closed, "timeout"):
        await ours.receive()


async def test_sc_43_a_relayed_challenge_is_bound_to_the_one_who_relays() -> None:
    """Mallory, dialled by Acme, forwards Globex's challenge: Acme signs for Mallory's DID, which Globex refuses."""
    globex_side, mallory_out = memory_pair()
    mallory_in, acme_side = memory_pair()
    admitting = asyncio.create_task(admit(globex_side, {GLOBEX.did: GLOBEX}, resolve, lambda: NOW))
    proving = asyncio.create_task(prove(acme_side, ACME, resolve, lambda: NOW, expect=MALLORY.did))
    await mallory_in.send(await mallory_out.receive())
    await mallory_out.send(await mallory_in.receive())
    with refuses(ProofError, "challenge_mismatch"):
        await admitting
    await mallory_in.close()
    with pytest.raises(Closed):
        await proving


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"created": shift(NOW, -61)}, "proof_expired"),
        ({"created": shift(NOW, -60)}, None),
        ({"created": shift(NOW, 60)}, None),
        ({"created": shift(NOW, 61)}, "proof_from_future"),
        ({"life": 61}, "proof_expired"),
        ({"life": 3600}, "proof_expired"),
        ({"purpose": "assertionMethod"}, "proof_purpose_mismatch"),
        ({"suite": "eddsa-rdfc-2022"}, "suite_not_allowed"),
        ({"signer": MALLORY}, None),
    ],
)
async def test_times_purpose_and_suite_of_the_proof(options, code) -> None:
    def frame(challenge: str) -> Any:
        return answer(challenge, GLOBEX.did, **options)

    if options.get("suite") == "eddsa-rdfc-2022":
        # No context defines the terms of a connection; the frame is made by the other suite and says this one.
        async def frame(challenge: str) -> bytes:
            return (await answer(challenge, GLOBEX.did)).replace(b"eddsa-jcs-2022", b"eddsa-rdfc-2022")

    if code is None:
        await admitted(frame)
        return
    with refuses(ProofError, code):
        await admitted(frame)


async def test_a_key_of_another_did_proves_nothing() -> None:
    """SC-01 on the connection: the verification method has to be the sender's own."""
    borrowed = msgspec.structs.replace(ACME, method=MALLORY.method, sign=MALLORY.sign)
    _, accepted, _, _ = await met(borrowed)
    assert code_of(accepted) == "key_not_authorized"


async def test_a_wrong_key_proves_nothing() -> None:
    _, accepted, _, _ = await met(msgspec.structs.replace(ACME, sign=MALLORY.sign))
    assert code_of(accepted) == "proof_invalid"


async def test_an_acceptor_with_a_wrong_key_proves_nothing() -> None:
    dialled, _, ours, _ = await met(hosted=(msgspec.structs.replace(GLOBEX, sign=MALLORY.sign),))
    assert code_of(dialled) == "proof_invalid"
    assert ours.peer is None


async def test_our_own_proof_sent_back_is_refused() -> None:
    """Reflection: who claims one of the acceptor's own DIDs is not admitted."""
    dialled, accepted, _, _ = await met(GLOBEX, expect=GLOBEX.did)
    assert isinstance(accepted, UndersignedError)
    assert code_of(dialled) == "self_dealing"
    both = (ACME, GLOBEX)
    _, accepted, _, _ = await met(ACME, both, expect=GLOBEX.did)
    assert code_of(accepted) == "self_dealing"


async def test_nothing_is_looked_up_for_an_answer_to_another_challenge() -> None:
    """I11: what is not an answer to our challenge causes no fetch (HIRE-DID-06)."""
    asked = []

    async def counting(did: str) -> DidDocument:
        asked.append(did)
        return await resolve(did)

    for frame in (
        lambda challenge: answer(fresh_nonce(), GLOBEX.did),
        lambda challenge: answer(challenge, ACME.did),
    ):
        with pytest.raises(ProofError):
            await admitted(frame, resolve=counting)
    assert asked == []
    await admitted(lambda challenge: answer(challenge, GLOBEX.did), resolve=counting)
    assert asked == [ACME.did]


async def test_a_did_that_does_not_resolve_is_not_admitted() -> None:
    async def failing(did: str) -> DidDocument:
        raise ResolutionError("did_forbidden_address", "no")

    dialled, accepted, _, _ = await met(resolving=failing)
    assert code_of(accepted) == "did_forbidden_address"
    assert code_of(dialled) == "proof_invalid", "whether we could resolve is not told"


async def test_no_common_version_is_a_typed_refusal() -> None:
    """HIRE-VER-03."""
    dialled, accepted, _, _ = await met(versions=("7.3",))
    assert code_of(accepted) == "version_not_supported"
    assert code_of(dialled) == "version_not_supported"


async def test_the_nonces_of_two_exchanges_differ() -> None:
    seen: list[str] = []

    def between(number: int, data: bytes) -> bytes:
        seen.append(json.loads(data)["nonce"])
        return data

    await met(between=between)
    await met(between=between)
    assert len(seen) == 6
    assert len(set(seen)) == 4, "the acceptor's nonce is in its challenge and in its proof"
