"""Vectors of packs with packs inside: what was hired under a contract by the one who was hired under it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from vector_packs import pack_vector
from vector_parts import Line, Vector

from undersigned.attestation import PAYLOAD_TYPE, SubcontractLine, envelope, make_statement, pae, work
from undersigned.contract import Price, Subcontracting, Terms, countersigned
from undersigned.encoding import from_struct, shift
from undersigned.evidence import TAMPERINGS, tamper, write_pack
from undersigned.messages import Acceptance, LedgerPlace, Offer, Start, VerifiedMessage, engagement_id
from undersigned.protocol import OTHER, Role
from undersigned.testing import (
    ARTIFACT,
    Attacker,
    HandClock,
    Party,
    Say,
    acceptance,
    delivery,
    inquiry,
    offer,
    presentation,
    profile,
    seal,
    start,
)
from undersigned.testing.moves import terms_for
from undersigned.transparency import contract_leaf, leaf_digest

__all__ = ["below_vectors"]

NOW: Final = "2026-03-03T12:00:00Z"
ROOT, MIDDLE, WORKER = (Attacker(f"{name} of the vectors") for name in ("root", "middle", "worker"))


class Hired(NamedTuple):
    """A hire up to its seal."""

    pack: bytes
    name: str
    """The contract's."""
    parent: dict[str, Any]
    """As `parents` of an offer below it has it."""
    terms: Terms


class _Hire:
    """Both sides of a hire, with one clock, as one of them keeps it."""

    def __init__(self, hirer: Attacker, provider: Attacker, clock: HandClock) -> None:
        self.nonce = hirer.nonce()
        made = engagement_id(hirer.did, provider.did, self.nonce)
        self.clock = clock
        self.sides: dict[Role, Party] = {
            "hirer": Party("hirer", hirer, provider, made, clock),
            "provider": Party("provider", provider, hirer, made, clock),
        }
        self.said: list[tuple[Role, str, VerifiedMessage]] = []

    def say(self, role: Role, move: Say) -> VerifiedMessage:
        """Says a move, and has it heard."""
        self.clock.advance(60)
        side = self.sides[role]
        message = side.send(move.message(side))
        self.sides[OTHER[role]].receive(message.raw)
        self.said.append((role, side.now, message))
        return message

    def pack(self, role: Role, below: Mapping[str, bytes]) -> bytes:
        """What one side has of it."""
        side = self.sides[role]
        lines = [Line("sent" if by == role else "received", at, one.raw) for by, at, one in self.said]
        engagement = side.engagement
        return write_pack(
            lines, engagement=engagement.id, role=role, own=engagement.own, peer=engagement.peer, subcontracts=below
        )


def hired(
    hirer: Attacker,
    provider: Attacker,
    clock: HandClock,
    role: Role,
    *,
    above: Hired | None = None,
    below: Mapping[str, bytes] | None = None,
    names: Hired | None = None,
    **terms: Any,
) -> Hired:
    """A hire under `above` or under nothing, as the side of `role` keeps it; with a delivery whose work statement
    `names` what its provider hired, if it does.
    """
    hire = _Hire(hirer, provider, clock)
    hirers, providers = hire.sides["hirer"], hire.sides["provider"]
    hire.say("hirer", inquiry(nonce=hire.nonce))
    hire.say("provider", profile())
    hire.say("hirer", presentation(presentation=hirer.shown(hirers, credentials=())))
    hire.say("provider", presentation(presentation=provider.shown(providers, credentials=())))
    agreed = replace(above.terms if above is not None else terms_for(hirers), **terms)
    agreed = replace(agreed, data_handling=replace(agreed.data_handling, onward=True))
    clock.advance(60)
    plain = offer(terms=agreed).write(hirers)
    clock.advance(-60)
    shown: dict[str, Any] = {}
    if above is not None:
        document = replace(plain["document"], parent=above.name, proof=None)
        shown = {"document": hirer.prove_offer(document, clock.now()), "parents": (above.parent,)}
    offered = hire.say("hirer", Say("Offer", lambda _: plain, shown))
    accepted = hire.say("provider", acceptance())
    assert isinstance(offered.message, Offer)
    assert isinstance(accepted.message, Acceptance)
    whole = countersigned(from_struct(offered.message.document), accepted.message.contract_proof)
    place = LedgerPlace(log=hirer.did, index=0, leaf=leaf_digest(contract_leaf(whole)))
    sealed = hire.say("hirer", seal(ledger=place))
    contract = hirers.engagement.contract
    assert contract is not None
    if names is not None:
        given = hire.say("hirer", start()).message
        assert isinstance(given, Start)
        account = work(
            contract=contract.digest,
            engagement=hirers.engagement.id,
            provider=provider.did,
            task=agreed.task.kind,
            inputs={one.name: one.digest for one in given.inputs},
            actions=(),
            usage=(),
            started_on=clock.now(),
            finished_on=clock.now(),
            subcontracts=[
                SubcontractLine(provider=WORKER.did, task="sbom", contract=names.name, outcome="review accepted")
            ],
        )
        payload = make_statement({"sbom.json": ARTIFACT}, account)
        signed = envelope(payload, [(provider.method, provider.signature(pae(PAYLOAD_TYPE, payload)))])
        hire.say("provider", delivery(statements=(signed,)))
    parent = {"document": whole, "acceptance": json.loads(accepted.raw), "seal": json.loads(sealed.raw)}
    return Hired(hire.pack(role, below or {}), contract.digest, parent, offered.message.document.terms)


def below_vectors() -> Iterator[Vector]:
    """All of them."""
    # The same two hires each time, so that a pack can be written again with another one inside.
    top = _parent()
    cheap = {"price": Price(amount="3", currency="EUR")}
    child = _child(top, **cheap)
    yield _vector(
        "below", "the pack of a subcontract inside that of its parent", _parent({child.name: child.pack}), top
    )
    price = tamper(child.pack, "price")
    yield _vector("below-changed", "a pack inside does not hold", _parent({child.name: price}), "evidence_invalid")
    other = _parent({top.name: child.pack})
    yield _vector("below-misnamed", "a pack inside under another contract's name", other, "evidence_invalid")
    stray = hired(MIDDLE, WORKER, HandClock(shift(NOW, -3600)), "hirer", **cheap)
    apart = _parent({stray.name: stray.pack})
    yield _vector("below-another", "a pack inside is of no subcontract of this contract", apart, "chain_invalid")
    theirs = _child(hired(ROOT, MIDDLE, HandClock(shift(NOW, -7000)), "provider", **_ABOVE), **cheap)
    elsewhere = _parent({theirs.name: theirs.pack})
    told = _parent({child.name: child.pack}, names=child)
    yield _vector("below-named", "a pack inside of a contract that the work statement names", told, told, "delivered")
    yield _vector(
        "no-subcontracts",
        TAMPERINGS["no-subcontracts"].says,
        told._replace(pack=tamper(told.pack, "no-subcontracts")),
        "evidence_invalid",
    )
    yield _vector("below-anothers", "a pack inside is of a subcontract of another contract", elsewhere, "chain_invalid")
    worked = _child(top, names=stray, **cheap)
    claims = _parent({worked.name: tamper(worked.pack, "statement")})
    yield _vector(
        "below-statement", "the contract of a pack inside holds, and the work does not", claims, "evidence_invalid"
    )
    signed, first = top.parent["seal"], top.parent["document"]["proof"][0]
    forged = {**top.parent, "seal": {**signed, "proof": {**signed["proof"], "proofValue": first["proofValue"]}}}
    shown = _child(top._replace(parent=forged), **cheap)
    yield _vector("above-unsealed", "a contract above that its offerer did not seal", shown, "proof_invalid")


_ABOVE: Final[dict[str, Any]] = {"subcontracting": Subcontracting(allowed=True, depth=1)}


def _parent(below: Mapping[str, bytes] | None = None, names: Hired | None = None) -> Hired:
    root, middle = Attacker(ROOT.name), Attacker(MIDDLE.name)
    return hired(root, middle, HandClock(), "provider", below=below, names=names, **_ABOVE)


def _child(above: Hired, **terms: Any) -> Hired:
    early = above.terms.deadlines
    deadlines = replace(early, finish=shift(early.finish, -3600), until=shift(early.until, -3600))
    alone = Subcontracting(allowed=False, depth=0)
    clock = HandClock(shift(NOW, -86400 + 1800))
    return hired(
        Attacker(MIDDLE.name), WORKER, clock, "hirer", above=above, deadlines=deadlines, subcontracting=alone, **terms
    )


def _vector(name: str, says: str, of: Hired, expected: Hired | str, state: str = "sealed") -> Vector:
    keys = [
        {"method": one.method, "kind": "Ed25519", "seed": sha256(f"{one.name}/Ed25519".encode()).hexdigest()}
        for one in (ROOT, MIDDLE, WORKER)
    ]
    found = {"code": expected} if isinstance(expected, str) else {"contract": expected.name, "state": state}
    return pack_vector(name, says, of.pack, found, NOW, keys)
