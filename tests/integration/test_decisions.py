"""Decisions of real hires, made again from the ledgers alone: the same bytes, or what differs and how."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tomllib
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace

from integration.hires import REPORT, two_homes
from integration.test_credentials import as_jwt
from integration.test_histories import homes as homes_with_history
from issuing import issued
from undersigned.contract import Price
from undersigned.credentials import Authority, encode_list
from undersigned.daemon import Peer
from undersigned.did import DidDocument
from undersigned.encoding import canonicalize, digest_bytes, shift
from undersigned.errors import UndersignedError
from undersigned.ledger import Ledger, open_ledger
from undersigned.protocol import Concede
from undersigned.runtime import (
    DecisionBasis,
    Home,
    RecordedDecision,
    Replayed,
    Say,
    SystemClock,
    load_anchors,
    recorded_decisions,
    replay_decision,
)
from undersigned.runtime.engagement.kept import KeptInputs
from undersigned.runtime.evidence.decisions import Gathering
from undersigned.testing import Actor
from undersigned.trust import Anchors, Answers, Decision, Policy, Restored, differences, replay
from unit.cli.running import run

pytestmark = pytest.mark.timeout(90)


class Hired(NamedTuple):
    """What two hires left on disk; the peers are gone, so nobody can be asked for anything."""

    folder: Path

    def homes(self, into: Path) -> tuple[Home, Home]:
        """A copy that a test may spoil."""
        shutil.copytree(self.folder, into, dirs_exist_ok=True)
        return Home(into / "acme"), Home(into / "globex")


async def hire_twice(acme: Home, globex: Home) -> None:
    """The second one opens below the price, so that the hirer accepts and the provider seals."""
    async with Peer.open(globex) as provider, Peer.open(acme) as hirer:
        for opening in (None, "3.00 EUR"):
            hirer.bargaining.strategy = Concede(steps=("5",)) if opening else None
            result = await hirer.hire(
                provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR", opening=opening
            )
            assert result.contract is not None


@pytest.fixture(scope="module")
def hired(tmp_path_factory: pytest.TempPathFactory) -> Hired:
    folder = tmp_path_factory.mktemp("hired")

    async def made() -> None:
        await hire_twice(*await two_homes(folder))

    asyncio.run(made())
    return Hired(folder)


async def opened(home: Home) -> Ledger:
    return await open_ledger(home.ledger_url, read_only=True)


async def decisions(home: Home) -> tuple[RecordedDecision, ...]:
    ledger = await opened(home)
    try:
        return await recorded_decisions(ledger)
    finally:
        await ledger.close()


async def replayed(home: Home, *, in_force: DecisionBasis | None = None) -> list[tuple[RecordedDecision, Replayed]]:
    """All decisions of a ledger, made again."""
    ledger = await opened(home)
    try:
        found = await recorded_decisions(ledger)
        return [(one, await replay_decision(ledger, home.configuration.did, one, in_force)) for one in found]
    finally:
        await ledger.close()


async def restored(home: Home, one: RecordedDecision) -> Restored:
    """What a decision was made from."""
    ledger = await opened(home)
    try:
        rows = await ledger.rows(one.engagement)
        given = await Gathering(ledger, one.decision).given(home.configuration.did, one, rows)
    finally:
        await ledger.close()
    assert given is not None
    return given


def in_force(home: Home) -> DecisionBasis:
    """What the state folder says now."""
    again = Home(home.path)
    part = again.configuration.organisation
    own = (again.configuration.did, *([part.did] if part else []))
    return DecisionBasis(
        policy=again.configuration.policy, anchors=load_anchors(again, "2026-01-01T00:00:00Z"), own=own
    )


def spoil(home: Home, sql: str, *values: object) -> int:
    """Changes the ledger's file behind its back; returns how many rows."""
    with closing(sqlite3.connect(home.path / home.ledger.name)) as db, db:
        return db.execute(sql, values).rowcount


def edit_policy(home: Home) -> None:
    """Nothing above 2 is paid from now on."""
    settings = home.path / "undersigned.toml"
    assert tomllib.loads(settings.read_text())["policy"]["max_price"] == "10"
    settings.write_text(settings.read_text().replace('max_price = "10"', 'max_price = "2"'))


# --- the same again


async def test_every_decision_of_both_sides_comes_out_the_same(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-01, HIRE-RPL-02: with nobody listening, and all of it there."""
    acme, globex = hired.homes(tmp_path)
    # The hirer has terms of its own when they meet, the provider once it is offered some; in one it makes an offer.
    for home, with_terms in ((acme, [True, True, True, True]), (globex, [False, True, False, True, True])):
        found = await replayed(home)
        for one, again in found:
            assert again.same, again.differences
            assert again.decision is not None
            assert msgspec.json.encode(again.decision) == one.raw
            inputs = one.decision.inputs
            assert (len(inputs.documents), len(inputs.status_lists), len(inputs.looked_up)) == (2, 1, 1)
        assert [bool(one.decision.inputs.terms) for one, _ in found] == with_terms


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"verified": None}, "does not say when its inputs were verified"),
        ({"lists_verified": ()}, "does not say when its inputs were verified"),
        ({"status_lists": (), "lists_verified": ()}, "no list is named for"),
    ],
)
async def test_a_decision_that_does_not_name_all_it_is_made_from_is_not_made_again(
    hired: Hired, tmp_path: Path, inputs: dict[str, Any], said: str
) -> None:
    """HIRE-RPL-02."""
    acme, _ = hired.homes(tmp_path)
    ledger = await opened(acme)
    try:
        one, *_ = await recorded_decisions(ledger)
        less = replace(one.decision, inputs=replace(one.decision.inputs, **inputs))
        again = await replay_decision(ledger, acme.configuration.did, replace(one, decision=less))
    finally:
        await ledger.close()
    assert again.decision is None
    assert said in again.differences[-1].now


async def test_what_was_kept_is_kept_once(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-03: eight decisions, by one policy, one set of anchors and one document of the other's organisation."""
    for home in hired.homes(tmp_path):
        ledger = await opened(home)
        try:
            kept = [[blob.kind for blob in await ledger.evidence(s.engagement)] for s in await ledger.summaries()]
        finally:
            await ledger.close()
        first, second = map(Counter, kept)
        assert (first["policy"], first["anchors"]) == (1, 1)
        assert first["did-document"] == 2, "both agents', for their messages"
        assert first["resolved-document"] == 1, "of the organisation that vouches for the other"
        assert first["consulted-list"] >= 1
        # Who comes back is judged by what is there.
        assert (second["policy"], second["anchors"], second["resolved-document"]) == (0, 0, 0)


async def test_decisions_by_histories_hold_their_logs(tmp_path: Path) -> None:
    """HIRE-RPL-02: a did:webvh is verified again from its whole log."""
    acme, globex = await homes_with_history(tmp_path)
    await hire_twice(acme, globex)
    for home, other in ((acme, globex), (globex, acme)):
        for one, again in await replayed(home):
            assert again.same, again.differences
            assert {file.did for file in one.decision.inputs.logs} >= {other.configuration.did}
        (one, *_) = await decisions(home)
        given = await restored(home, one)
        others = tuple(DidDocument(document.id, document.raw + b" ") for document in given.documents)
        with pytest.raises(UndersignedError, match="gives another document"):
            replay(one.decision, replace(given, documents=others))
        (file, *_) = one.decision.inputs.logs
        assert spoil(home, "UPDATE blob SET raw = CAST(raw || x'20' AS BLOB) WHERE digest = ?", file.digest) == 1
        (_, again), *_ = await replayed(home)
        (difference,) = again.differences
        assert file.url in difference.what


async def test_decisions_about_jwts(tmp_path: Path) -> None:
    """HIRE-RPL-01: what was shown in envelopes is verified in them."""
    acme, globex = await two_homes(tmp_path)
    for home in (acme, globex):
        await as_jwt(home)
    await hire_twice(acme, globex)
    for home in (acme, globex):
        assert all(again.same for _, again in await replayed(home))


async def test_a_refusal_comes_out_the_same(tmp_path: Path) -> None:
    """HIRE-RPL-01: no is replayed as well as yes."""
    acme, globex = await two_homes(tmp_path)
    settings = globex.path / "undersigned.toml"
    anchors = globex.configuration.trust.anchors
    settings.write_text(settings.read_text().replace(anchors[0], "did:web:example.com"))
    with pytest.raises(UndersignedError):
        await hire_twice(acme, Home(globex.path))
    ((one, again),) = await replayed(globex)
    assert (one.decision.outcome, again.same) == ("deny", True)


async def test_a_refusal_when_it_was_about_to_be_signed_is_recorded_too(tmp_path: Path) -> None:
    """HIRE-RPL-01, HIRE-CRD-08: terms that our own policy does not allow."""
    acme, globex = await two_homes(tmp_path)
    edit_policy(acme)
    acme = Home(acme.path)
    with pytest.raises(UndersignedError):
        await hire_twice(acme, globex)
    ((refused, again),) = await replayed(acme)
    assert refused.decision.outcome == "deny"
    assert refused.decision.inputs.terms is not None
    assert again.same


def test_what_could_not_be_stored_is_kept_with_the_next_attempt() -> None:
    """HIRE-RPL-03: only what is on disk is not written again."""
    kept, said = KeptInputs(), Say("Withdraw", {}, facts=(("decision", "{}"),))

    def blobs() -> set[str]:
        kept.hold(
            "one",
            policy=Policy(),
            anchors=Anchors(),
            answers=Answers(),
            terms=None,
            links=[],
            documents=[],
            lists=[],
            logs=[],
        )
        filled = kept.with_inputs("one", said)
        assert filled is not None
        kept.drop("one")
        assert kept.with_inputs("one", said) == said
        kept.stored([blob for blob in filled.evidence if blob.kind == "policy"])
        return {blob.kind for blob in filled.evidence}

    assert blobs() == {"policy", "anchors", "graph-answers"}
    assert blobs() == {"anchors", "graph-answers"}
    assert kept.with_inputs("one", None) is None


def test_what_several_decide_by_before_it_is_stored_is_written_once() -> None:
    """Until it is on disk each engagement has it ready, and hundreds may decide by what was just learned."""
    kept, policy, anchors, answers = KeptInputs(), Policy(), Anchors(), Answers()
    raws: list[tuple[bytes, ...]] = []
    for engagement in ("one", "two"):
        kept.hold(
            engagement,
            policy=policy,
            anchors=anchors,
            answers=answers,
            terms=None,
            links=[],
            documents=[],
            lists=[],
            logs=[],
        )
        raws.append(tuple(blob.raw for blob in kept.of(engagement)))
    first, second = raws
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert [digest_bytes(raw) for raw in first] == [policy.digest, anchors.digest, answers.digest]


async def test_a_credential_that_was_revoked_since_changes_nothing(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-02: the list of then says what it said then."""
    acme, globex = hired.homes(tmp_path)
    with closing(globex.register()) as register:
        (issued,) = register.issued()
        register.revoke(issued.id, "2099-01-01T00:00:00Z")
    assert all(again.same for _, again in await replayed(acme))


# --- what changed


async def test_a_policy_that_was_edited_since_shows_if_it_is_asked_for(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-02, HIRE-RPL-05."""
    acme, _ = hired.homes(tmp_path)
    edit_policy(acme)
    assert all(again.same for _, again in await replayed(acme))
    for one, again in await replayed(acme, in_force=in_force(acme)):
        said = [str(difference) for difference in again.differences]
        assert said[0] == "policy max_price: recorded 10; now 2"
        assert any(line.startswith("decision inputs policy: recorded ") for line in said)
        on_terms = one.decision.inputs.terms is not None
        assert ("decision outcome: recorded allow; now deny" in said) == on_terms


async def test_what_a_policy_left_at_its_default_is_said(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-05: nobody wrote it, and it counted all the same."""
    acme, _ = hired.homes(tmp_path)
    then = in_force(acme)
    now = replace(then, policy=replace(then.policy, allow_self_issued=not then.policy.allow_self_issued))
    for _, again in await replayed(acme, in_force=now):
        said = [str(difference) for difference in again.differences]
        assert "policy allow_self_issued: recorded false; now true" in said


async def test_an_anchor_that_was_removed_since_shows_if_it_is_asked_for(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-05: over the edges on which the answer rested, nobody entitles the issuer any more."""
    acme, globex = hired.homes(tmp_path)
    (anchor,) = acme.configuration.trust.anchors
    now = replace(in_force(acme), anchors=Anchors())
    for _, again in await replayed(acme, in_force=now):
        said = [str(difference) for difference in again.differences]
        assert any(line.startswith("anchors anchors 1: recorded ") and anchor in line for line in said)
        assert "decision outcome: recorded allow; now deny" in said
    assert globex.configuration.did != anchor
    # The control: what did not change is no difference.
    assert all(again.same for _, again in await replayed(acme, in_force=in_force(acme)))


async def test_a_policy_that_refuses_whom_a_chain_led_through_shows_if_it_is_asked_for(tmp_path: Path) -> None:
    """HIRE-RPL-05, HIRE-TRU-23: the answers of then were given to a policy that refused nobody."""
    root, between = Actor("root"), Actor("between")
    acme, globex = await two_homes(tmp_path)
    settings = acme.path / "undersigned.toml"
    (office,) = acme.configuration.trust.anchors
    settings.write_text(settings.read_text().replace(office, root.did))
    acme, since = Home(acme.path), shift(SystemClock().now(), -3600)
    for by, about, depth in ((root, between.did, 1), (between, office, 0)):
        file = tmp_path / f"link {depth}.json"
        says = Authority(id=about, may_attest="MembershipCredential", depth=depth)
        file.write_bytes(canonicalize(issued(by, says, since)))
        assert (await asyncio.to_thread(run, "trust", "import", file, "--home", acme.path)).code == 0
    await hire_twice(acme, globex)

    then = in_force(acme)
    for refused, outcome, verdict in ((Actor("somebody").did, "allow", "yes"), (between.did, "deny", "no")):
        now = replace(then, policy=replace(then.policy, refuse=(refused,)))
        for _, again in await replayed(acme, in_force=now):
            assert again.decision is not None
            assert again.decision.outcome == outcome
            (ground,) = again.decision.grounds
            assert (ground.verdict, bool(ground.paths)) == (verdict, verdict == "yes")
            assert not any(office in (need.issuers or ()) for need in again.decision.needed), (
                "it would pass by no other chain"
            )


def _with(of: str, **members: Any) -> Callable[[Restored, Decision], tuple[Restored, Decision]]:
    """Another value for a member of what was kept, of the policy, of the decision, or of its inputs."""

    def change(given: Restored, one: Decision) -> tuple[Restored, Decision]:
        match of:
            case "given":
                return replace(given, **members), one
            case "policy":
                return replace(given, policy=replace(given.policy, **members)), one
            case "inputs":
                return given, replace(one, inputs=replace(one.inputs, **members))
            case _:
                return given, replace(one, **members)

    return change


def _shown_less(given: Restored, one: Decision) -> tuple[Restored, Decision]:
    return replace(given, presentation={**given.presentation, "verifiableCredential": []}), one


def _another_document(given: Restored, one: Decision) -> tuple[Restored, Decision]:
    """The issuer's, with the holder's key in place of its own."""
    holder, issuer = given.documents
    (method, *_), (key, *_) = issuer.json["verificationMethod"], holder.json["verificationMethod"]
    other = {**issuer.json, "verificationMethod": [{**method, "publicKeyMultibase": key["publicKeyMultibase"]}]}
    return replace(given, documents=(holder, DidDocument(issuer.id, canonicalize(other)))), one


def _another_list(given: Restored, one: Decision) -> tuple[Restored, Decision]:
    """All its bits are set."""
    (digest,) = given.lists
    document = given.lists[digest]
    bits = encode_list(b"\xff" * 16_384)
    changed = {**document, "credentialSubject": {**document["credentialSubject"], "encodedList": bits}}
    return replace(given, lists={digest: changed}), one


def _other_terms(given: Restored, one: Decision) -> tuple[Restored, Decision]:
    assert given.terms is not None
    return replace(given, terms=replace(given.terms, price=Price(amount="4.01", currency="EUR"))), one


CHANGED: dict[str, tuple[Callable[[Restored, Decision], tuple[Restored, Decision]], str]] = {
    "a clause of the policy": (_with("policy", max_price="2"), "decision outcome"),
    "a clause of the policy that is met": (_with("policy", max_price="11"), "decision inputs policy"),
    "the version of the policy": (_with("policy", version="2"), "decision policy"),
    "a credential that the policy requires": (_with("policy", require=("Other",)), "decision outcome"),
    "the anchors": (_with("given", anchors=Anchors()), "decision outcome"),
    "the answers of the graph": (_with("given", answers=Answers()), "decision outcome"),
    "the terms": (_other_terms, "decision inputs terms"),
    "no terms": (_with("given", terms=None), "decision inputs terms"),
    "the clock": (_with("decision", at="2020-01-01T00:00:00Z"), "status_unavailable"),
    "when the presentation was verified": (_with("inputs", verified="2020-01-01T00:00:00Z"), "proof_from_future"),
    "when the list was verified": (_with("inputs", lists_verified=("2020-01-01T00:00:00Z",)), "status_unavailable"),
    "what was looked up": (_with("inputs", looked_up=(), status_lists=(), lists_verified=()), "decision outcome"),
    "whom it was shown": (_with("given", own="did:web:example.com"), "challenge_mismatch"),
    "what it answers": (_with("given", challenge=digest_bytes(b"another")), "challenge_mismatch"),
    "the engagement": (_with("given", engagement="urn:hire:engagement:another"), "wrong_negotiation"),
    "who showed it": (_with("decision", peer="did:web:example.com"), "holder_mismatch"),
    "what was shown": (_shown_less, "proof_invalid"),
    "a DID document": (_another_document, "proof_invalid"),
    "no DID document": (_with("given", documents=()), "did_unresolvable"),
    "a status list": (_another_list, "status_unavailable"),
}


@pytest.mark.parametrize("what", CHANGED)
async def test_any_one_input_that_changes_shows(what: str, hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-01, HIRE-RPL-04: nothing in a decision can be another without the decision being another, or none."""
    acme, _ = hired.homes(tmp_path)
    (_, one, *_) = await decisions(acme)
    given = await restored(acme, one)
    assert msgspec.json.encode(replay(one.decision, given)) == one.raw, "the control"
    change, shows = CHANGED[what]
    given, recorded = change(given, one.decision)
    if shows.startswith("decision "):
        found = [difference.what for difference in differences("decision", one.decision, replay(recorded, given))]
        assert any(name.startswith(shows) for name in found), found
    else:
        with pytest.raises(UndersignedError) as caught:
            replay(recorded, given)
        assert caught.value.code == shows


DIGESTS: dict[str, Callable[[Any], str]] = {
    "policy": lambda inputs: inputs.policy,
    "anchors": lambda inputs: inputs.anchors,
    "answers of the trust graph": lambda inputs: inputs.answers,
    "DID document": lambda inputs: inputs.documents[1],
    "status list": lambda inputs: inputs.status_lists[0],
}


@pytest.mark.parametrize("what", DIGESTS)
async def test_what_was_damaged_shows_and_what_is_missing_is_an_error(what: str, hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-04."""
    acme, _ = hired.homes(tmp_path)
    (one, *_) = await decisions(acme)
    digest = DIGESTS[what](one.decision.inputs)
    ledger = await opened(acme)
    raw = await ledger.blob(digest)
    await ledger.close()
    assert raw is not None
    other = raw.replace(b"e", b"f", 1)
    assert spoil(acme, "UPDATE blob SET raw = ? WHERE digest = ?", other, digest) == 1
    (_, again), *_ = await replayed(acme)
    (difference,) = again.differences
    assert again.decision is None
    assert (difference.what, difference.recorded) == (what, digest)
    assert difference.now.endswith(digest_bytes(other))

    assert spoil(acme, "DELETE FROM blob WHERE digest = ?", digest) == 1
    with pytest.raises(UndersignedError) as caught:
        await replayed(acme)
    assert caught.value.code == "not_found"
    assert digest in caught.value.message


# --- the command


def test_the_command(hired: Hired, tmp_path: Path) -> None:
    """HIRE-RPL-04: exit codes 0, 1 and 2, and everything for programs as well."""
    acme, _ = hired.homes(tmp_path)
    home = ("--home", acme.path)
    code, out, _ = run("decision", "list", *home, "--json")
    listed = [json.loads(line) for line in out.splitlines()]
    assert (code, [value["decision"]["outcome"] for value in listed]) == (0, ["allow"] * 4)
    id, inputs = listed[1]["id"], listed[1]["decision"]["inputs"]
    code, out, _ = run("decision", "show", id[-12:].lstrip("-"), *home)  # one in 64 would be read as an option
    assert f"decision replay {id} --home " in out, "what is typed finds the same folder"
    assert code == 0
    assert all(digest in out for digest in (inputs["policy"], inputs["answers"], *inputs["statusLists"]))
    code, out, _ = run("decision", "replay", id, *home, "--json")
    said = json.loads(out)
    assert (code, said["same"], said["differences"], said["now"]) == (0, True, [], listed[1]["decision"])

    edit_policy(acme)
    code, out, _ = run("decision", "replay", id, *home, "--in-force")
    assert code == 1
    assert "policy max_price: recorded 10; now 2" in out
    assert "NOT the same: recorded allow; now deny" in out

    spoil(acme, "DELETE FROM blob WHERE digest = ?", inputs["policy"])
    code, out, _ = run("decision", "replay", id, *home, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "not_found")
    assert run("decision", "replay", "nosuchdecision", *home).code == 2
