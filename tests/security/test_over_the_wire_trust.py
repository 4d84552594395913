"""The trust graph asked by a running peer: SC-71, SC-72, SC-74 and SC-75 over real sockets, and second tries that lie.

Globex believes the body, which lets the guild say who its members are and the lab whom it accredits. Who is not spoken
of is not hired for `summary`, and who is not accredited not for `idle`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from issuing import edge, issued
from security.wire_attacker import Attacker, Hiring, Line, refused, until
from security.wire_world import GUILD, World, homes_in
from status_host import PLACE, StatusHost, status_host
from support import counted_calls
from undersigned.credentials import (
    AccreditedBy,
    Accusation,
    Authority,
    Claim,
    Endorsement,
    claim_credential,
    read_credential,
    status_entry,
)
from undersigned.encoding import Instant, JsonObject, canonicalize, digest_bytes, shift
from undersigned.errors import CredentialError
from undersigned.ledger import Admitted, TrustStore
from undersigned.messages import Seal, Withdraw
from undersigned.runtime import Home, recorded_decisions, replay_decision
from undersigned.testing import Actor
from undersigned.trust import edge_of
from unit.cli.running import run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

BODY, LAB = Actor("the body"), Actor("the lab")
RULES = """
[[policy.rule]]
name = "known"
capabilities = ["summary"]
min_reputation = "0.5"

[[policy.rule]]
name = "accredited"
capabilities = ["idle"]
credentials = [{ type = "AccreditedByCredential", capability = "idle" }]
"""


def granted(to: str, what: str, now: Instant, **more: Any) -> Admitted:
    return edge(BODY, Authority(id=to, may_attest=what, depth=0), now, **more)


@asynccontextmanager
async def store_of(world: World) -> AsyncIterator[TrustStore]:
    """Globex's trust graph while it runs, once it has written what it learned: it does that within a second, and the
    file is for one at a time.
    """
    await world.globex.meeting.beliefs.learned.write()
    with TrustStore(world.globex.home.trust) as store:
        yield store


async def import_beside(world: World, *edges: Admitted) -> None:
    """As `undersigned trust import` does while the peer runs."""
    async with store_of(world) as store:
        store.admit(edges)


def ruled(globex: Home) -> Home:
    file = globex.path / "undersigned.toml"
    text = file.read_text().replace(GUILD.did, BODY.did)
    file.write_text(text.replace("\n[[offer]]", RULES + "\n[[offer]]", 1))
    return Home(globex.path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    made = World(tmp_path_factory.mktemp("trust"), ledger="memory://")
    acme, globex = await homes_in(tmp_path_factory.mktemp("trust"))
    made._homes = acme, ruled(globex)
    async with made as opened:
        now = opened.clock.now()
        await import_beside(opened, granted(GUILD.did, "MembershipCredential", now), granted(LAB.did, "idle", now))
        yield opened
        assert (await opened.honest()).contract, "the organisation of Acme is an anchor, and speaks for Acme"


async def shows(world: World, who: Attacker, *claims: tuple[Actor, Claim], task: str, **members: Any) -> Hiring:
    """An attacker that shows its membership, and what others say."""
    hiring = await Hiring(await Line.to(world, who), task=task, **members).up_to("profiled")
    now = world.clock.now()
    said: list[JsonObject] = [issued(by, claim, now) for by, claim in claims]
    await hiring.said(
        hiring.next_message(presentation=who.shown(hiring.party, credentials=(who.member(now), *said))).raw
    )
    return hiring


async def declined(hiring: Hiring, *needed: str) -> Withdraw:
    """What Globex says to it; the connection stays open, and another engagement begins on it."""
    said = await hiring.hear("Withdraw")
    assert isinstance(said, Withdraw)
    assert said.reason == "policy_denied"
    assert tuple(need.credential for need in said.needed or ()) == needed
    again = Hiring(hiring.line, task="idle")
    await again.say(again.next_move())
    await again.hear("Profile")
    await again.give_up()
    return said


async def test_sc_71_its_own_word_is_worth_nothing(world: World) -> None:
    """HIRE-TRU-07: by itself, and by another name of its own that nobody speaks for."""
    who = Attacker("who endorses itself")
    claim = Endorsement(id=who.did, capability="summary")
    hiring = await shows(world, who, (who, claim), (Actor("its other name"), claim), task="summary")
    await declined(hiring, "EndorsementCredential")


async def test_sc_72_a_ring_is_worth_nothing_and_takes_no_work(world: World) -> None:
    """HIRE-TRU-08, HIRE-TRU-17: a thousand identities in the graph, eight of them shown; none of it is learned."""
    now, who = world.clock.now(), Attacker("of the ring")
    ring = [Actor(f"ring {number}") for number in range(8)]
    names = [f"did:key:z6MkRing{number}" for number in range(1000)]
    one = edge(ring[0], Endorsement(id=who.did, capability="summary"), now)
    edges = [
        Admitted(
            type(one.edge)(digest_bytes(f"{a} {b}".encode()), a, b, "endorsement", "summary", weight=one.edge.weight),
            one.key,
        )
        for number, a in enumerate(names)
        for b in (names[(number + 1) % 1000], who.did)
    ]
    await import_beside(world, *edges)
    claims = [(by, Endorsement(id=who.did, capability="summary")) for by in ring[:7]]
    with counted_calls() as calls:
        await declined(await shows(world, who, *claims, task="summary"), "EndorsementCredential")
    assert calls() < 100_000
    await world.globex.meeting.beliefs.learned.write()
    with TrustStore(world.globex.home.trust, read_only=True) as store:
        assert not {edge.source for edge in store.edges()} & {by.did for by in ring}


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_sc_74_the_only_path_ends_though_an_answer_is_kept(world: World, how: str) -> None:
    """HIRE-TRU-12, HIRE-TRU-15: a second ago; in the next hire, and in one that was on its way to be agreed."""
    now, who = world.clock.now(), Attacker(f"accredited, {how}")
    lab = Actor(f"a lab that is {how}")
    link = granted(lab.did, "idle", now, seconds=3600)
    await import_beside(world, link)
    shown = (lab, AccreditedBy(id=who.did, accredited_for="idle"))
    under_way = await shows(world, who, shown, task="idle")
    await under_way.hear("Presentation")
    assert under_way.state == "ready"

    if how == "expired":
        world.clock.held = shift(now, 3601)
    else:
        async with store_of(world) as store:
            store.set_status(link.edge.digest, "revoked")
    try:
        await under_way.say(under_way.next_move())
        said = await under_way.hear("Withdraw")
        assert isinstance(said, Withdraw)
        assert (said.reason, said.offer is not None) == ("policy_denied", True)
        (need,) = said.needed or ()
        assert LAB.did in (need.issuers or ())
        assert lab.did not in (need.issuers or ())
        await declined(await shows(world, who, shown, task="idle"), "AccreditedByCredential")
    finally:
        world.clock.held = None


async def import_link(world: World, host: StatusHost, lab: Actor, file: Path) -> None:
    """The issuer whose list is at `host` lets `lab` say who does idle work."""
    link = claim_credential(
        Authority(id=lab.did, may_attest="idle", depth=0),
        id=lab.message_id(),
        issuer=host.issuer,
        valid_from=shift(host.now, -60),
        valid_until=shift(host.now, 3600),
    )
    signed = host.signed({**link, "credentialStatus": status_entry(host.url, PLACE)})
    await asyncio.to_thread(file.write_bytes, canonicalize(signed))
    ran = await asyncio.to_thread(run, "trust", "import", file, "--home", world.globex.home.path, "--json")
    assert ran.code == 0, ran


@pytest.mark.parametrize("then", ["back", "withdrawn", "away", "no list"])
async def test_sc_61_a_link_whose_list_is_away_when_a_seal_is_due(world: World, tmp_path: Path, then: str) -> None:
    """HIRE-NEG-04, HIRE-NEG-14, HIRE-NEG-16: nothing is sealed without it, and nobody is called revoked who is not."""
    now, lab, who = world.clock.now(), Actor(f"a lab: {then}"), Attacker(f"whose lab's list is {then}")
    async with status_host(world.acme.home, now, ttl_seconds=0) as host:
        await import_link(world, host, lab, tmp_path / "link.json")
        hiring = await shows(world, who, (lab, AccreditedBy(id=who.did, accredited_for="idle")), task="idle")
        await hiring.hear("Presentation")
        await hiring.up_to("offered-by-provider", "3")
        if then == "no list":
            host.body = b"<html>"
        else:
            await host.down()
        if then in ("away", "no list"):
            world.clock.held = hiring.party.engagement.offer.valid_until
        try:
            await hiring.say(hiring.next_move())
            if world.clock.held is None:
                conversation = world.globex.conversations[hiring.id]
                await until(lambda: conversation.engagement.state == "accepted-by-hirer")
                await until(lambda: conversation._alarm.again_at)
                if then == "withdrawn":
                    host.places.add(PLACE)
                await host.up()
            said = await hiring.hear("Seal", "Withdraw")
        finally:
            world.clock.held = None
        if then == "back":
            assert isinstance(said, Seal)
            # Under the contract, too: the gate refuses, and nobody is told that it is not believed any more.
            await host.down()
            with pytest.raises(CredentialError) as caught:
                await world.globex.meeting.stands(world.globex.conversations[hiring.id])
            assert caught.value.code == "status_unavailable"
        else:
            assert isinstance(said, Withdraw)
            assert said.reason == ("revoked" if then == "withdrawn" else "status_unavailable")


async def test_sc_74_a_link_that_its_issuer_withdraws(world: World, tmp_path: Path) -> None:
    """HIRE-TRU-24, HIRE-TRU-18: it was imported long ago; its list is asked, and a list that is away is no."""
    now, lab, who = world.clock.now(), Actor("a lab of Acme's"), Attacker("accredited by a lab of Acme's")
    shown = (lab, AccreditedBy(id=who.did, accredited_for="idle"))
    async with status_host(world.acme.home, now, ttl_seconds=0) as host:
        await import_link(world, host, lab, tmp_path / "link.json")
        hiring = await shows(world, who, shown, task="idle")
        await hiring.hear("Presentation")
        (decision,) = await decisions(world, hiring)
        assert decision["inputs"]["statusLists"], "the link's list is an input of the decision"

        await host.down()
        other = await shows(world, who, shown, task="idle")
        await declined(other, "AccreditedByCredential")
        (decision,) = await decisions(world, other)
        (ground,) = [one for one in decision["grounds"] if one["issuer"] == lab.did]
        assert any("was not fetched" in text for text in ground["missing"])
        await host.up()
        again = await shows(world, who, shown, task="idle")
        await again.hear("Presentation")
        await again.give_up()

        host.places.add(PLACE)
        await hiring.come_back()
        await hiring.say(hiring.next_move())
        said = await hiring.hear("Withdraw")
        assert isinstance(said, Withdraw)
        assert said.reason == "policy_denied", "it was on its way to be agreed"
        await world.globex.meeting.beliefs.learned.write()
        with TrustStore(world.globex.home.trust, read_only=True) as store:
            assert [edge.status for edge in store.edges() if edge.target == lab.did] == ["revoked"]
        host.places.clear()
        await declined(await shows(world, who, shown, task="idle"), "AccreditedByCredential")


@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
async def test_sc_74_an_accusation_that_its_issuer_withdraws(world: World, purpose: str) -> None:
    """HIRE-TRU-26: nobody imports it again; as long as its list is away it counts, and a suspended one comes back."""
    now, who = world.clock.now(), Attacker(f"accused until {purpose}")
    async with status_host(world.acme.home, now, ttl_seconds=0) as host:
        host.purpose = purpose
        claim = claim_credential(
            Accusation(id=who.did, kind="distrust", evidence=digest_bytes(b"an audit")),
            id=who.message_id(),
            issuer=host.issuer,
            valid_from=shift(now, -60),
            valid_until=shift(now, 3600),
        )
        signed = host.signed({**claim, "credentialStatus": status_entry(host.url, PLACE, purpose)})
        said = edge_of(read_credential(signed), evidence=(digest_bytes(b"an audit"),))
        await import_beside(world, Admitted(said, None, canonicalize(signed)))

        async def refusals() -> list[str]:
            said = await (await shows(world, who, task="summary")).hear("Withdraw")
            assert isinstance(said, Withdraw)
            return [need.code for need in said.needed or ()]

        assert await refusals() == ["not_accused"]
        await host.down()
        assert await refusals() == ["not_accused"], "nobody can tell that it was withdrawn"
        await host.up()
        host.places.add(PLACE)
        assert await refusals() == ["reputation"], "nobody speaks for it either, which it heard nothing of"
        host.places.clear()
        assert await refusals() == ["reputation" if purpose == "revocation" else "not_accused"]


@pytest.mark.parametrize(("purpose", "status"), [("revocation", "revoked"), ("suspension", "suspended")])
async def test_sc_74_an_endorsement_that_import_finds_withdrawn(
    world: World, tmp_path: Path, purpose: str, status: str
) -> None:
    """HIRE-TRU-18: whose only good word was withdrawn is hired no more; a running peer hears of it from the import."""
    now, who = world.clock.now(), Attacker(f"whose endorsement is {status}")

    async def imported() -> int:
        ran = await asyncio.to_thread(run, "trust", "import", file, "--home", world.globex.home.path, "--json")
        return ran.code

    async def standing() -> tuple[str, int]:
        command = ("trust", "explain", who.did, "--capability", "summary", "--home", world.globex.home.path, "--json")
        told = (await asyncio.to_thread(run, *command)).values[0]
        with TrustStore(world.globex.home.trust, read_only=True) as store:
            (found,) = [edge.status for edge in store.edges() if edge.target == who.did and edge.kind == "endorsement"]
        return found, int(told["score"])

    async with status_host(world.acme.home, now, ttl_seconds=0) as host:
        host.purpose = purpose
        word = claim_credential(
            Endorsement(id=who.did, capability="summary"),
            id=who.message_id(),
            issuer=host.issuer,
            valid_from=shift(now, -60),
            valid_until=shift(now, 3600),
        )
        entry = status_entry(host.url, PLACE, purpose)
        file = tmp_path / "word.json"
        file.write_bytes(canonicalize(host.signed({**word, "credentialStatus": entry})))
        assert await imported() == 0
        assert await standing() == ("good", 1)
        hiring = await shows(world, who, task="summary")
        await hiring.hear("Presentation")
        await hiring.give_up()

        host.places.add(PLACE)
        assert await imported() == 3
        assert await standing() == (status, 0)
        await declined(await shows(world, who, task="summary"), "EndorsementCredential")
        host.places.clear()
        assert await imported() == 0
        assert await standing() == ((status, 0) if purpose == "revocation" else ("good", 1))


async def decisions(world: World, hiring: Hiring) -> list[dict[str, Any]]:
    """What Globex decided in an engagement, as it is recorded."""
    rows = await world.globex.ledger.rows(hiring.id)
    return [json.loads(row.raw) for row in rows if row.type == "decision"]


@pytest.mark.parametrize("subjects", [65, 300], ids=["fan-out", "edges"])
async def test_sc_75_a_graph_in_a_credential(world: World, subjects: int) -> None:
    """HIRE-TRU-13, HIRE-TRU-17: counted before its signature, which does not hold, is looked at."""
    who = Attacker(f"bomb {subjects}")
    hiring = await Hiring(await Line.to(world, who)).up_to("profiled")
    members = [{"id": f"did:key:z{number}", "memberOf": GUILD.did} for number in range(subjects)]
    bomb = who.member(world.clock.now()) | {"credentialSubject": members}
    raw = hiring.next_message(presentation=who.shown(hiring.party, credentials=(bomb,))).raw
    await refused(hiring.line, raw, "too_large", how="Problem")
    await hiring.give_up()


async def test_who_comes_back_names_the_refusal(world: World) -> None:
    """HIRE-NEG-23, HIRE-NEG-24: with the accreditation that was asked for."""
    who = Attacker("who comes back")
    first = await shows(world, who, task="idle")
    await declined(first, "AccreditedByCredential")
    shown = (LAB, AccreditedBy(id=who.did, accredited_for="idle"))
    again = await shows(world, who, shown, task="idle", continues=first.party.engagement.got[-1])
    await again.hear("Presentation")
    links = [one.name for one in await world.globex.ledger.evidence(again.id) if one.kind == "withdrawal"]
    assert links == [first.id]
    await again.give_up()


async def test_a_refusal_that_is_not_ours_to_name(world: World) -> None:
    """HIRE-NEG-23: one that never was, and one of somebody else's, are refused alike."""
    other = await shows(world, Attacker("somebody else"), task="idle")
    await declined(other, "AccreditedByCredential")
    line = await Line.to(world, Attacker("a liar"))
    answers = []
    for named in (digest_bytes(b"never said"), other.party.engagement.got[-1]):
        raw = Hiring(line, continues=named).next_message().raw
        answers.append(await refused(line, raw, "wrong_negotiation", how="Problem"))
    assert answers[0].path == answers[1].path


async def test_all_that_was_decided_comes_out_the_same(world: World) -> None:
    """HIRE-RPL-01, HIRE-RPL-02: chains, links with a status, reputation, and everybody who was refused above."""
    globex = world.globex
    await declined(await shows(world, Attacker("decided on in any case"), task="idle"), "AccreditedByCredential")
    found = await recorded_decisions(globex.ledger)
    assert found
    for one in found:
        again = await replay_decision(globex.ledger, globex.own.id, one)
        assert again.same, (one.decision, again.differences)
