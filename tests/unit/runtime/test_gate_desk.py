"""What the hirer's peer tells gates, whoever asks them: only of its own contracts, and of their providers' requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from runtimes import Node, World
from support import refuses
from undersigned.daemon.gate_desk import AnswerToSign, Ask, GateDesk, GateRefusal, RequestSigner, Visit
from undersigned.encoding import Digest, digest_bytes
from undersigned.errors import FormatError, ProofError, ScopeError, VerificationError
from undersigned.scope import Action, Grant, Limit, Scope

Open = Callable[..., World]
ORDERS = "https://acme.example/orders"


def desk_of(node: Node) -> GateDesk:
    return GateDesk(node)  # type: ignore[arg-type] - it needs no more than an agent has


def working(world: World, *, unit: str = "count", **options: Any) -> Digest:
    """The contract of a hire that is at work."""
    orders = Grant("orders", "orders:create", ORDERS, limits=(Limit(unit, "50"),), **options)
    begun = world.begin(opening="3 EUR", scope=Scope(grants=(orders,)))
    world.until("working", begun.id, world.hirer)
    contract = world.hirer.the(begun.id).engagement.contract
    assert contract is not None
    return contract.digest


@pytest.fixture
def world(open_world: Open) -> World:
    return open_world(held=True, handler=lambda _: asyncio.Event().wait())


@pytest.mark.parametrize("way", ["admit", "enter", "refused"])
def test_only_who_is_hired_is_asked_for_and_once_with_each_nonce(world: World, way: str) -> None:
    """HIRE-GTS-03, HIRE-GTS-12: whatever the gate asks for; of what is not the provider's nothing is recorded."""
    contract, desk, provider = working(world), desk_of(world.hirer), world.provider.identity
    turned = {"code": "scope_exceeded", "message": "no rule", "clause": "rules", "would_pass": "another"}

    def ask(keyid: str, nonce: str, of: Digest = contract) -> None:
        visit = Visit(
            contract=of, signed=RequestSigner(keyid=keyid, nonce=nonce), action="orders:create", target=ORDERS
        )
        plain = {name: getattr(visit, name) for name in visit.__struct_fields__}
        match way:
            case "admit":
                world.run(desk.admit(Ask(**plain)))
            case "enter":
                world.run(desk.enter(visit))
            case _:
                world.run(desk.refused(GateRefusal(**plain, **turned)))

    with pytest.raises(ScopeError) as refused:
        ask(provider.method, "a" * 16, digest_bytes(b"another contract"))
    assert (refused.value.code, refused.value.clause) == ("contract_expired", "contract")
    with refuses(ScopeError, "contract_expired"):
        ask(world.hirer.identity.method, "a" * 16)
    with refuses(VerificationError, "key_not_authorized"):
        ask(f"{provider.did}#another", "a" * 16)
    ask(provider.method, "a" * 16)
    with refuses(ProofError, "replayed"):
        ask(provider.method, "a" * 16)
    (engagement,) = world.hirer.conversations
    recorded = [blob for blob in world.run(world.hirer.ledger.evidence(engagement)) if blob.kind == "refusal"]
    assert len(recorded) == (way == "refused")
    rows = world.run(world.hirer.ledger.rows(engagement))
    said = [json.loads(row.raw) for row in rows if row.type == "refused-action"]
    assert [(one["clause"], one["wouldPass"]) for one in said] == [("rules", "another")] * len(recorded)


def test_a_contract_that_ends_while_credentials_are_looked_up_lets_nobody_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GAT-01: whoever is asked about them may take long, and an end in between is one."""
    contract, desk = working(world), desk_of(world.hirer)
    conversation = world.hirer.conversations.contracts[contract]
    looked: list[Digest] = []

    async def slow(of: Digest) -> None:
        looked.append(of)
        await world.hirer.changes.revoke(conversation)

    monkeypatch.setattr(world.hirer.gate, "_require", slow)
    signed = RequestSigner(keyid=world.provider.identity.method, nonce="a" * 16)
    with refuses(ScopeError, "contract_expired"):
        world.run(desk.enter(Visit(contract=contract, signed=signed, action="orders:create", target=ORDERS)))
    assert looked == [contract]


def test_what_a_gate_s_rules_refused_is_told_as_it_was_refused() -> None:
    """HIRE-GTS-12: with what would pass, and with nothing where nothing would."""
    signed = RequestSigner(keyid="did:web:globex.example#key", nonce="a" * 16)
    visit = Visit(contract=digest_bytes(b"contract"), signed=signed, action="GET", target=ORDERS)
    full = GateRefusal.by(ScopeError("scope_exceeded", "none", clause="rules", would_pass="another"), visit)
    assert (full.code, full.message, full.clause, full.would_pass) == ("scope_exceeded", "none", "rules", "another")
    assert Visit(**{name: getattr(full, name) for name in Visit.__struct_fields__}) == visit
    bare = GateRefusal.by(ScopeError("scope_exceeded", "none"), visit)
    assert (bare.clause, bare.would_pass) == ("", "")


def test_a_provider_s_peer_answers_for_no_gate_of_its_hirer(world: World) -> None:
    """HIRE-GTS-05, HIRE-GTS-14: the contract is known to both; the one who is hired lets nobody in under it."""
    contract, desk = working(world), desk_of(world.provider)
    visit = Visit(contract=contract, action="orders:create", target=ORDERS)
    assert world.run(desk.keys(contract)) is None
    with refuses(ScopeError, "contract_expired"):
        world.run(desk.enter(visit))
    heard = AnswerToSign(contract=contract, method="GET", url=ORDERS, fields=(), status=200, body_sha256="0" * 64)
    with pytest.raises(ScopeError) as refused:
        world.run(desk.sign(heard))
    assert (refused.value.code, refused.value.clause) == ("contract_expired", "contract")
    keys = world.run(desk_of(world.hirer).keys(contract))
    assert keys is not None
    assert (keys.provider, keys.actions) == (world.provider.identity.did, ("artifact:read", "orders:create"))


def test_of_open_actions_a_bounded_number_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all contracts together: the oldest is given up, and what it holds stays spent (HIRE-GTS-10)."""
    monkeypatch.setattr("undersigned.daemon.gate_desk.OPEN_PERMITS", 2)
    contracts, desk, provider = [working(world), working(world)], desk_of(world.hirer), world.provider.identity
    permits: list[str] = []
    for number in range(3):
        signed = RequestSigner(keyid=provider.method, nonce=f"{number:016}")
        ask = Ask(contract=contracts[number % 2], signed=signed, action="orders:create", target=ORDERS)
        permits.append(world.run(desk.admit(ask)).permit)
    assert list(desk._open) == permits[1:]
    for permit in permits:
        world.run(desk.done(permit, happened=False))
    used = [world.run(world.hirer.ledger.usage(one, world.clock.now()))["orders/count"] for one in contracts]
    assert used == ["1", "0"]


def test_an_action_has_the_amounts_and_the_facts_that_it_is_asked_for_with(world: World) -> None:
    """HIRE-GTS-07: the contract is about them."""
    contract = working(world, unit="EUR", conditions={"dataClass": ("internal",)})
    desk = desk_of(world.hirer)
    for facts, amounts in (({}, {"EUR": "0.5"}), ({"dataClass": "internal"}, {})):
        with refuses(ScopeError, "scope_exceeded"):
            world.run(desk.admit(Ask.of(contract, None, Action("orders:create", ORDERS, amounts, facts))))
    stated = Action("orders:create", ORDERS, {"EUR": "0.5"}, {"dataClass": "internal"})
    granted = world.run(desk.admit(Ask.of(contract, None, stated)))
    assert (granted.clause, granted.amounts) == ("orders", {"EUR": "0.5"})
    assert world.run(world.hirer.ledger.usage(contract, world.clock.now()))["orders/EUR"] == "0.5"


@pytest.mark.parametrize("happened", [True, False])
def test_an_action_is_settled_once(world: World, happened: bool) -> None:
    """HIRE-GTS-10: what comes after is about nothing."""
    contract, desk = working(world), desk_of(world.hirer)
    signed = RequestSigner(keyid=world.provider.identity.method, nonce="a" * 16)
    permit = world.run(desk.admit(Ask(contract=contract, signed=signed, action="orders:create", target=ORDERS))).permit
    for said in (happened, not happened):
        world.run(desk.done(permit, happened=said))
    used = world.run(world.hirer.ledger.usage(contract, world.clock.now()))["orders/count"]
    assert used == ("1" if happened else "0")
    world.run(world.hirer.changes.suspend(world.hirer.conversations.contracts[contract], seconds=600))
    assert not world.run(world.hirer.ledger.open_reservations(contract)), "with what is stored next at the latest"


def test_a_no_is_an_answer_of_a_route(world: World) -> None:
    """HIRE-GTS-05: with the clause and what would pass, where it has them."""
    contract, desk, key = working(world), desk_of(world.hirer), world.provider.identity.method

    def told(target: str, keyid: str, nonce: str) -> dict[str, Any]:
        visit = {"contract": contract, "action": "orders:create", "target": target}
        signed = {"keyid": keyid, "nonce": nonce * 16}
        return world.run(desk.routes["POST", "/gate/admit"]({**visit, "signed": signed})).body

    assert "granted" in told(ORDERS, key, "a")
    found = [told(*asked)["refused"] for asked in ((ORDERS, key, "a"), (ORDERS, f"{key}x", "b"), ("urn:x:y", key, "c"))]
    assert [(no["code"], no["clause"], bool(no["wouldPass"])) for no in found] == [
        ("replayed", "", False),
        ("key_not_authorized", "", False),
        ("scope_exceeded", "orders", True),
    ]
    assert [key in no["message"] for no in found] == [True, True, False], "for the hirer's operator"


def test_a_gate_that_says_more_than_is_known_is_told_so(world: World) -> None:
    """What would be passed over may be what asks for more care."""
    desk, contract = desk_of(world.hirer), working(world)
    visit = {"contract": contract, "action": "orders:create", "target": ORDERS}
    for path, body in (("keys", {"contract": contract}), ("admit", visit), ("enter", visit)):
        route = desk.routes["POST", f"/gate/{path}"]
        with refuses(FormatError, "unknown_term"):
            world.run(route({**body, "careful": True}))
        assert world.run(route(body)).status == 200
