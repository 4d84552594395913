"""Packs that hold, and every way in which one must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from pack_cases import (
    ENDED_MEANWHILE,
    FALSE_WORDS,
    LATER,
    REPLACED,
    Named,
    books,
    by_a_shared_key,
    claimed_by,
    hired_under,
    no_json,
    older_than_a_change,
    older_than_a_release,
    older_than_the_closing,
    signed_again,
    web_document,
    with_replaced_key,
)
from packs import (
    MADE,
    NAME,
    OTHER_ENGAGEMENT,
    Hire,
    Line,
    Log,
    Posing,
    coded,
    fewer_statements,
    judged_anew,
    partly_passed,
    renamed_after,
    stated,
    wanting,
)
from undersigned.attestation import SubcontractLine, WorkPredicate, accepted
from undersigned.contract import MAX_DEPTH, Terms
from undersigned.did import DidDocument, document_from, make_document
from undersigned.encoding import canonicalize, decode_json, digest_bytes, shift
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.evidence import STEPS, Report, read_archive, read_pack, verify, verify_pack, write_archive, write_pack
from undersigned.evidence.case import Case
from undersigned.evidence.pack import PLACES
from undersigned.keys import PublicKey
from undersigned.messages import Artifact, Settled
from undersigned.protocol import Sent
from undersigned.testing import (
    ARBITER,
    Actor,
    Playbook,
    acceptance,
    amendment,
    closing,
    minutes,
    seal,
    terminate,
    withdraw,
)

ARCHIVE, DOCUMENTS, MESSAGES, TRANSCRIPT, CONTRACT, STATEMENTS, ACCEPTANCE, LEDGER = range(1, 9)


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


@pytest.fixture(scope="module")
def pack(hire: Hire) -> bytes:
    return hire.pack()


def report_on(data: bytes, hire: Hire, **more: Any) -> Report:
    return verify_pack(data, now=hire.book.clock.now(), **more)


def failing(report: Report) -> tuple[int, str]:
    """Number and code of the step that failed; the ones after it must say that they were not reached."""
    first = next(step for step in report.steps if not step.ok)
    assert all(step.detail == f"not checked: step {first.number} failed" for step in report.steps[first.number :])
    assert not report.ok
    return first.number, first.code


def test_a_time_that_is_none_says_nothing_about_a_pack(pack: bytes) -> None:
    """It was told as an archive that does not hold."""
    with pytest.raises(FormatError, match="expected YYYY-MM-DDThh:mm:ssZ"):
        verify_pack(pack, now="yesterday")


@pytest.mark.parametrize("view", [bytearray, memoryview])
def test_a_buffer_is_a_pack_as_its_bytes_are(view: Callable[[bytes], Any], pack: bytes, hire: Hire) -> None:
    """It was let in, and then one of Python's errors came out of the transcript."""
    assert verify_pack(view(pack), now=hire.book.clock.now()).ok


def remade(data: bytes, change: dict[str, bytes | None], **manifest: Any) -> bytes:
    """The pack as a forger makes it: members changed, added or dropped, and the manifest made to agree."""
    members = read_archive(data)
    said: dict[str, Any] = json.loads(members.pop("manifest.json"))
    listed = {item["path"]: item for item in said["members"]}
    for path, content in change.items():
        if content is None:
            members.pop(path)
            listed.pop(path)
        else:
            members[path] = content
            kind = PLACES.get(path) or PLACES.get(path.partition("/")[0], "other")
            listed[path] = {"kind": kind, **listed.get(path, {}), "path": path, "digest": digest_bytes(content)}
    said = {**said, "members": sorted(listed.values(), key=lambda item: item["path"]), **manifest}
    return write_archive({**members, "manifest.json": canonicalize(said)})


def path_of(data: bytes, part: str) -> str:
    return next(name for name in sorted(read_archive(data)) if part in name)


# packs that hold


@pytest.mark.parametrize("role", ["hirer", "provider"])
def test_a_whole_hire_verifies_from_its_bytes(hire: Hire, role: str) -> None:
    """HIRE-PCK-01."""
    data = hire.pack(role)
    report = report_on(data, hire)
    assert report.ok, report.steps
    assert [step.number for step in report.steps] == list(range(1, 1 + len(STEPS)))
    assert (report.state, report.contract, report.engagement) == ("closed", hire.contract, hire.hirer.engagement.id)
    assert [step.code for step in report.steps] == [""] * len(STEPS)
    assert report.document()["ok"] is True


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (lambda: Hire().sealed(), "working"),
        (lambda: Hire().sealed().delivered(), "delivered"),
        (lambda: Hire().sealed().delivered().reviewed(), "closing"),
    ],
)
def test_a_hire_under_way_verifies_as_far_as_it_went(made: Callable[[], Hire], state: str) -> None:
    hire = made()
    for change in ({}, {"checkpoint": None, "inclusion": None}):
        report = report_on(hire.pack(**change), hire)
        assert report.ok, report.steps
        assert report.state == state


def test_a_refusal_is_an_envelope_under_a_contract(pack: bytes, hire: Hire) -> None:
    bare = Hire().pack(checkpoint=None, inclusion=None)
    for of, content in ((pack, b"[]"), (bare, b"{}")):
        report = report_on(remade(of, {f"refusals/{digest_bytes(content)}.json": content}), hire)
        assert failing(report) == (9, "evidence_invalid")


@pytest.mark.parametrize("state", ["inquired", "ready", "offered-by-provider", "accepted-by-provider", "withdrawn"])
def test_a_negotiation_without_a_contract_verifies(state: str) -> None:
    book = Playbook(state)
    own, peer = book.hirer.party, book.provider.party
    lines = [Line("sent" if isinstance(item, Sent) else "received", item.at, item.message.raw) for item in own.journal]
    parties: dict[str, Any] = {"role": "hirer", "own": own.actor.did, "peer": peer.actor.did}
    data = write_pack(lines, engagement=own.engagement.id, **parties)
    report = verify_pack(data, now=book.clock.now())
    assert report.ok, report.steps
    assert (report.state, report.contract) == (state, None)
    assert report.document().keys() == {"ok", "engagement", "state", "steps"}


def test_moves_that_crossed_verify_as_they_were_recorded() -> None:
    """Both withdraw at once: each journal has its own order, and each pack its own fold."""
    book = Playbook("offered-by-hirer")
    with book.held():
        book.hirer >> withdraw()
        book.provider >> withdraw()
    for own, peer in ((book.hirer.party, book.provider.party), (book.provider.party, book.hirer.party)):
        lines = [
            Line("sent" if isinstance(item, Sent) else "received", item.at, item.message.raw) for item in own.journal
        ]
        parties: dict[str, Any] = {"role": own.role, "own": own.actor.did, "peer": peer.actor.did}
        report = verify_pack(write_pack(lines, engagement=own.engagement.id, **parties), now=book.clock.now())
        assert report.ok, report.steps
        assert report.state == "withdrawn"


def test_packing_twice_gives_the_same_bytes(hire: Hire, pack: bytes) -> None:
    """HIRE-PCK-03."""
    assert hire.pack() == pack


def test_facts_stay_at_home(hire: Hire, pack: bytes) -> None:
    lines = [*hire.lines(), Line("noted", hire.book.clock.now(), b"a secret note")]
    assert hire.pack(lines=lines) == pack


def test_what_was_sent_and_received_is_kept_byte_for_byte(hire: Hire, pack: bytes) -> None:
    read = read_pack(pack)
    assert [(one.kind, one.at, one.signed.raw) for one in read.transcript] == [tuple(line) for line in hire.lines()]
    assert [path.partition("/")[0] for path, _ in read.of_kind("artifact")] == ["artifacts"]


def test_a_pack_of_nothing_is_not_made(hire: Hire) -> None:
    with pytest.raises(VerificationError):
        hire.pack(lines=[])


def test_a_member_of_a_later_version_is_kept_and_not_judged(hire: Hire, pack: bytes) -> None:
    report = report_on(remade(pack, {"later/one.json": b"{}"}), hire)
    assert report.ok
    assert report.not_judged == ("later/one.json",)


def test_the_artifact_may_stay_away(hire: Hire) -> None:
    assert report_on(hire.pack(artifacts=()), hire).ok


# one byte


def spread(data: bytes, count: int, seed: int) -> list[int]:
    return sorted(Random(seed).sample(range(len(data)), min(count, len(data))))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def test_any_changed_byte_of_the_file_is_noticed(hire: Hire, pack: bytes) -> None:
    """As it happens on a disk or on the way (HIRE-PCK-02)."""
    for at in spread(pack, 400, 1):
        assert failing(report_on(flipped(pack, at), hire))[0] == ARCHIVE


@pytest.mark.parametrize("part", ["contract.json", "work", "acceptance", "Seal", "Offer", "sent-Start", "checkpoint"])
def test_any_changed_byte_of_a_member_is_noticed(hire: Hire, pack: bytes, part: str) -> None:
    """HIRE-PCK-02: written into a fresh archive, the manifest's digest tells."""
    path, members = path_of(pack, part), read_archive(pack)
    for at in range(0, len(members[path]), 7):
        data = write_archive({**members, path: flipped(members[path], at)})
        assert failing(report_on(data, hire)) == (ARCHIVE, "evidence_invalid")


@pytest.mark.parametrize("part", ["contract.json", "work", "acceptance-1", "Seal", "Offer", "Delivery", "ledger"])
def test_any_byte_changed_by_a_forger_is_noticed(hire: Hire, pack: bytes, part: str) -> None:
    """The manifest is made to agree: then signatures, chains and copies tell."""
    path = path_of(pack, part)
    original = read_archive(pack)[path]
    for at in spread(original, 60, 2):
        report = report_on(remade(pack, {path: flipped(original, at)}), hire)
        assert not report.ok, f"byte {at} of {path}"


def test_a_value_changed_everywhere_is_noticed(hire: Hire, pack: bytes) -> None:
    """The price is raised in the offer, in the contract and in the manifest: the signatures are over another one."""
    members = read_archive(pack)
    change = {
        path: data.replace(b'"amount":"12.5"', b'"amount":"92.5"')
        for path, data in members.items()
        if b'"amount":"12.5"' in data and path != "manifest.json"
    }
    assert {"contract.json"} < set(change)
    assert failing(report_on(remade(pack, change), hire)) == (MESSAGES, "proof_invalid")


def test_what_is_no_json_fails_by_what_it_is(hire: Hire) -> None:
    """HIRE-PCK-01: lists and proofs as any other form that is none; the rest by what was read."""
    assert {case.name: failing(report_on(case.data, hire)) for case in no_json(hire)} == {
        "no JSON: refusal": (9, "bad_json"),
        "no JSON: decision": (10, "bad_json"),
        "no JSON: withheld": (8, "evidence_invalid"),
        "no JSON: proofs": (8, "evidence_invalid"),
        "no JSON: inclusion": (8, "bad_json"),
    }


# step 1: manifest


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        ({"format": 2}, "evidence_invalid"),
        ({"format": "1"}, "evidence_invalid"),
        ({"more": 1}, "evidence_invalid"),
        ({"role": "witness"}, "evidence_invalid"),
        ({"created": "2026-03-02T12:00:00Z"}, "evidence_invalid"),
        ({"created": "yesterday"}, "evidence_invalid"),
        ({"members": []}, "evidence_invalid"),
        ({"members": None}, "evidence_invalid"),
    ],
)
def test_a_manifest_that_is_none_is_refused(hire: Hire, pack: bytes, manifest: dict[str, Any], code: str) -> None:
    assert failing(report_on(remade(pack, {}, **manifest), hire)) == (ARCHIVE, code)


def test_an_unlisted_or_missing_member_is_refused(hire: Hire, pack: bytes) -> None:
    """HIRE-PCK-02."""
    members = read_archive(pack)
    more = write_archive({**members, "extra.txt": b"x"})
    less = write_archive({path: data for path, data in members.items() if path != "contract.json"})
    none = write_archive({path: data for path, data in members.items() if path != "manifest.json"})
    loose = write_archive({**members, "manifest.json": members["manifest.json"] + b"\n"})
    said = json.loads(members["manifest.json"])
    swapped, twice = (
        write_archive({**members, "manifest.json": canonicalize({**said, "members": listed})})
        for listed in (
            [said["members"][1], said["members"][0], *said["members"][2:]],
            [*said["members"][:1], *said["members"]],
        )
    )
    last = said["members"][-1]
    assert last["kind"] == "message"
    unsaid = {**said, "members": [*said["members"][:-1], {k: v for k, v in last.items() if k != "recordedAt"}]}
    hidden = write_archive({**members, "manifest.json": canonicalize(unsaid)})
    silent = remade(pack, {path: None for path in members if path.startswith("transcript/")})
    for data in (more, less, none, loose, swapped, twice, hidden, silent, b"", pack[:-1]):
        assert failing(report_on(data, hire)) == (ARCHIVE, "evidence_invalid")


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("did-documents/{}.json", DOCUMENTS),
        ("artifacts/{}", STATEMENTS),
        ("refusals/{}.json", 9),
        *((f"{folder}/{{}}.json", 10) for folder in ("decisions", "credentials", "status", "policies")),
    ],
)
def test_what_is_named_by_its_digest_has_no_other_name(hire: Hire, pack: bytes, path: str, step: int) -> None:
    """Also beside the right one."""
    held = {DOCUMENTS: hire.hirer.actor.document.raw, STATEMENTS: MADE}.get(step, b"{}")
    report = report_on(remade(pack, {path.format(digest_bytes(b"another")): held}), hire)
    assert failing(report) == (step, "evidence_invalid")
    assert "is not named by its digest" in report.steps[step - 1].detail


def test_a_message_under_another_name_is_refused(hire: Hire, pack: bytes) -> None:
    """A name says number, direction and type; none of the three may lie."""
    for old, new in (
        ("0005-sent", "0005-received"),
        ("0006-received", "0006-taken"),
        ("0007-sent-Seal", "0007-sent-Offer"),
        ("0013-", "0099-"),
    ):
        path = path_of(pack, old)
        members = read_archive(pack)
        said = json.loads(members["manifest.json"])
        renamed = path.replace(old, new)
        members[renamed] = members.pop(path)
        for item in said["members"]:
            item["path"] = renamed if item["path"] == path else item["path"]
        said["members"].sort(key=lambda item: item["path"])
        data = write_archive({**members, "manifest.json": canonicalize(said)})
        step = MESSAGES if "received" in new else ARCHIVE  # only the sender's name tells which way it went
        assert failing(report_on(data, hire)) == (step, "evidence_invalid")


def test_a_pack_from_the_future_is_refused(hire: Hire, pack: bytes) -> None:
    """At most 60 s ahead, as everywhere."""
    now = hire.book.clock.now()
    assert verify_pack(pack, now=shift(now, -60)).ok
    assert failing(verify_pack(pack, now=shift(now, -61))) == (ARCHIVE, "evidence_invalid")
    assert verify_pack(pack, now=shift(now, 10 * 365 * 24 * 3600)).ok


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff", b'{"type":"Offer"}'])
def test_a_transcript_that_is_no_message_is_refused(hire: Hire, pack: bytes, data: bytes) -> None:
    number, code = failing(report_on(remade(pack, {path_of(pack, "Offer"): data}), hire))
    assert number == ARCHIVE
    assert code in ("bad_json", "bad_unicode", "proof_missing")


# step 2: DID documents


def test_documents_are_those_of_the_dids(hire: Hire, pack: bytes) -> None:
    """A `did:key` document follows from the DID, whatever is in the pack, and need not be there."""
    path = next(name for name, data in read_pack(pack).of_kind("did-document") if hire.hirer.actor.did.encode() in data)
    document = json.loads(read_archive(pack)[path])
    document["service"] = [{"id": "#x", "type": "HireService", "serviceEndpoint": "wss://evil.example/hire"}]
    other = canonicalize(document)
    assert report_on(remade(pack, {path: None}), hire).ok
    changed = remade(pack, {path: other})
    assert failing(report_on(changed, hire)) == (DOCUMENTS, "evidence_invalid")
    members, said = read_archive(pack), json.loads(read_archive(pack)["manifest.json"])
    members[f"did-documents/{digest_bytes(other)}.json"] = other
    said["members"].append(
        {"path": f"did-documents/{digest_bytes(other)}.json", "digest": digest_bytes(other), "kind": "did-document"}
    )
    said["members"].sort(key=lambda item: item["path"])
    added = write_archive({**members, "manifest.json": canonicalize(said)})
    assert failing(report_on(added, hire)) == (DOCUMENTS, "evidence_invalid")


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"id":"did:key:zBad"}', b'{"id":7}'])
def test_a_document_that_is_none_is_refused(hire: Hire, pack: bytes, data: bytes) -> None:
    assert failing(report_on(remade(pack, {path_of(pack, "did-documents/"): data}), hire))[0] == DOCUMENTS


def test_a_document_known_from_elsewhere_decides(hire: Hire, pack: bytes) -> None:
    own, other = hire.hirer.actor, Actor("somebody else")
    assert report_on(pack, hire, known=[own.document]).ok
    forged = canonicalize({**own.document.json, "assertionMethod": []})
    assert failing(report_on(pack, hire, known=[DidDocument(own.did, forged)])) == (DOCUMENTS, "evidence_invalid")
    assert report_on(pack, hire, known=[other.document]).ok, "no party's; the command says so"
    given = web_document(Actor("a witness"))
    did, held = json.loads(given)["id"], hire.pack(documents=(given,))
    taken = report_on(held, hire).steps[DOCUMENTS - 1]
    known = report_on(held, hire, known=[DidDocument(did, given)]).steps[DOCUMENTS - 1]
    assert (taken.detail, known.ok, did in known.detail) == (f"taken from the pack: {did}", True, False)


# step 3, 4: messages and chains


def without(hire: Hire, *numbers: int) -> bytes:
    lines = [line for at, line in enumerate(hire.lines(), start=1) if at not in numbers]
    return hire.pack(lines=lines)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 9, 10, 11, 12])
def test_a_missing_move_is_noticed(hire: Hire, number: int) -> None:
    """Everything but the end: a chain has no holes. A shorter pack is one that was made earlier (HIRE-PCK-01)."""
    assert failing(report_on(without(hire, number), hire))[0] == TRANSCRIPT


@pytest.mark.parametrize("number", [5, 6])
def test_a_seal_without_what_it_seals_makes_no_pack(hire: Hire, number: int) -> None:
    with pytest.raises(VerificationError):
        without(hire, number)


def test_swapped_and_repeated_messages_are_noticed(hire: Hire) -> None:
    lines = hire.lines()
    swapped = [*lines[:2], lines[3]._replace(at=lines[2].at), lines[2], *lines[4:]]
    assert failing(report_on(hire.pack(lines=swapped), hire))[0] == TRANSCRIPT
    assert failing(report_on(hire.pack(lines=[*lines, lines[-1]]), hire))[0] == MESSAGES


def test_time_does_not_run_back(hire: Hire) -> None:
    lines = hire.lines()
    lines[4] = lines[4]._replace(at=shift(lines[4].at, -60))
    assert failing(report_on(hire.pack(lines=lines), hire)) == (ARCHIVE, "evidence_invalid")


def test_a_message_recorded_after_its_proof_ended_is_noticed(hire: Hire) -> None:
    late = [line._replace(at=shift(line.at, 3 * 3600)) for line in hire.lines()]
    now = shift(hire.book.clock.now(), 4 * 3600)
    assert failing(verify_pack(hire.pack(lines=late), now=now)) == (MESSAGES, "proof_expired")


def test_messages_of_another_engagement_or_party_are_noticed(hire: Hire) -> None:
    other = Actor("somebody else")
    for change in (
        {"engagement": Playbook("ready", seed=5).hirer.party.engagement.id},
        {"own": other.did},
        {"peer": other.did},
        {"own": hire.provider.actor.did, "peer": hire.hirer.actor.did},
    ):
        assert failing(report_on(hire.pack(**change), hire))[0] == MESSAGES
    assert failing(report_on(hire.pack(role="hirer", **{"lines": hire.lines("provider")}), hire))[0] == MESSAGES


def test_the_wrong_role_is_noticed(hire: Hire, pack: bytes) -> None:
    assert failing(report_on(remade(pack, {}, role="provider"), hire))[0] == TRANSCRIPT


# step 5: contract


def test_the_contract_is_the_one_sealed(hire: Hire, pack: bytes) -> None:
    other = digest_bytes(b"another contract")
    assert failing(report_on(remade(pack, {}, contract=other), hire)) == (CONTRACT, "evidence_invalid")
    assert failing(report_on(remade(pack, {"contract.json": None}), hire)) == (CONTRACT, "evidence_invalid")
    contract: Any = decode_json(read_archive(pack)["contract.json"])
    contract["document"]["proof"].reverse()
    assert failing(report_on(remade(pack, {"contract.json": canonicalize(contract)}), hire))[0] == CONTRACT


def test_a_contract_without_a_seal_is_none() -> None:
    hire = Hire()
    data = hire.pack(checkpoint=None, inclusion=None)
    contract = Hire().sealed().pack()
    sneaked = remade(data, {"contract.json": read_archive(contract)["contract.json"]}, contract=hire.contract)
    assert failing(report_on(sneaked, hire)) == (CONTRACT, "evidence_invalid")


# steps 6, 7: statements and acceptance


def test_statements_are_those_of_the_transcript(hire: Hire, pack: bytes) -> None:
    path = path_of(pack, "work")
    assert failing(report_on(remade(pack, {path: None}), hire)) == (STATEMENTS, "evidence_invalid")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda hire: hire.claims(contract=digest_bytes(b"another")), "attestation_binding"),
        (lambda hire: hire.claims(engagement=OTHER_ENGAGEMENT), "attestation_binding"),
        (lambda hire: hire.claims(provider=hire.hirer.actor.did), "attester_not_trusted"),
        (lambda hire: hire.verdict(), "attester_not_trusted"),
        (lambda hire: {**hire.claims(), "signatures": []}, "proof_missing"),
        (lambda hire: {**hire.claims(), "payloadType": "text/plain"}, "proof_invalid"),
    ],
)
def test_work_whose_claims_do_not_hold_was_not_accepted(wrong: Callable[[Hire], Any], code: str) -> None:
    """SC-66, SC-67, HIRE-PCK-12: accepted all the same, the pack does not hold. A refusal is evidence too, and so is
    what nobody reviewed, but for who delivered it.
    """
    taken = Hire().sealed()
    taken.delivered(wrong(taken)).reviewed("accepted")
    assert failing(report_on(taken.pack(), taken)) == (STATEMENTS, code)
    waiting = Hire().sealed()
    waiting.delivered(wrong(waiting))
    silent = Hire().sealed()
    silent.delivered(wrong(silent))
    silent.book.advance(minutes(60 * 24 * 30))
    silent.book.provider >> closing(basis="silence", checkpoint=coded(silent.logs["provider"].note()))
    over = Hire().sealed()
    over.delivered(wrong(over))
    over.book.hirer >> terminate("key_compromised")
    for hire in (waiting, silent, over):
        report = report_on(hire.pack(), hire)
        assert report.ok, report.steps
        assert f"{code}, and it was not reviewed" in report.steps[STATEMENTS - 1].detail
        assert failing(report_on(hire.pack("provider"), hire)) == (STATEMENTS, code)
    refused = Hire().sealed()
    refused.delivered(wrong(refused)).reviewed("rejected").closed()
    for role in ("hirer", "provider"):
        report = report_on(refused.pack(role), refused)
        assert report.ok, report.steps
        assert f"{code}, and it was not accepted" in report.steps[STATEMENTS - 1].detail


def test_what_was_refused_in_one_round_is_not_accepted_in_the_next() -> None:
    """HIRE-PCK-12: each delivery has its own reviews."""
    hire = Hire().sealed()
    hire.delivered(hire.claims(contract=digest_bytes(b"another"))).reviewed("rework").delivered().reviewed().closed()
    report = report_on(hire.pack(), hire)
    assert report.ok, report.steps
    assert "round 1: attestation_binding, and it was not accepted" in report.steps[STATEMENTS - 1].detail


def test_what_was_refused_is_held_against_no_terms_of_after_that() -> None:
    """HIRE-PCK-12: a delivery is looked at by the terms from then until its own review."""
    hire = fewer_statements(amended=False, reviewed=False).reviewed("rework")
    evidence = replace(hire.hirer.offered().terms.evidence, predicates=(WorkPredicate.PREDICATE_TYPE,))
    hire.book.hirer >> amendment(terms=replace(hire.hirer.offered().terms, evidence=evidence))
    hire.book.provider >> acceptance()
    hire.book.hirer >> seal()
    hire.delivered().reviewed().closed()
    report = report_on(hire.pack(), hire)
    assert report.ok, report.steps
    assert "round 1: digest_mismatch, and it was not accepted" in report.steps[STATEMENTS - 1].detail


@pytest.mark.parametrize("named", [True, False])
def test_only_keys_that_the_contract_names_make_claims(named: bool) -> None:
    """HIRE-ATT-02: another one of the provider's, which its document lists for claims, does not."""
    report = verify_pack(claimed_by(named=named), now=LATER)
    assert report.ok if named else failing(report) == (STATEMENTS, "attester_not_trusted")


@pytest.mark.parametrize("known", [True, False])
def test_keys_by_which_a_pack_was_judged_are_told(known: bool) -> None:
    """Those of the parties, and whether the pack alone says so."""
    provider = Named("provider")
    hire = Hire(actors=(Actor("hirer"), provider)).whole()
    report = report_on(hire.pack(documents=(provider.document.raw,)), hire, known=(provider.document,) if known else ())
    assert report.ok, report.steps
    hirer = hire.hirer.actor
    assert [(one.method, one.key, one.known) for one in report.keys] == [
        (hirer.method, hirer.public_key, True),
        (provider.method, provider.public_key, known),
        (f"{provider.did}#2", provider.other.public_key, known),
    ]
    taken = "all follow from their DIDs or are known" if known else f"taken from the pack: {provider.did}"
    assert report.steps[DOCUMENTS - 1].detail == taken


def misnamed(hire: Hire, outcome: str) -> Hire:
    """Delivers under a name that the terms do not have."""
    return hire.delivered(hire.claims(name="other.json"), name="other.json", outcome=outcome)


@pytest.mark.parametrize(
    ("deliver", "code"),
    [
        (lambda hire: hire.delivered(artifacts=(), statements=()), "digest_mismatch"),
        (lambda hire: misnamed(hire, "complete"), "digest_mismatch"),
        (lambda hire: misnamed(hire, "partial"), "terms_mismatch"),
    ],
)
def test_a_delivery_is_what_the_terms_name(deliver: Callable[[Hire], Hire], code: str) -> None:
    """HIRE-PCK-12: who closes by silence shows nothing as whole that it never made."""
    hire = deliver(Hire().sealed())
    hire.book.advance(minutes(60 * 24 * 30))
    hire.book.provider >> closing(basis="silence", checkpoint=coded(hire.logs["provider"].note()))
    assert failing(report_on(hire.pack("provider"), hire)) == (STATEMENTS, code)
    report = report_on(hire.pack(), hire)
    assert report.ok, report.steps
    assert f"{code}, and it was not reviewed" in report.steps[STATEMENTS - 1].detail


def test_what_a_pack_is_not_asked_for_is_said() -> None:
    """HIRE-PCK-04, HIRE-PCK-12: the terms ask for a bill of materials, and what was delivered is none."""
    hire = Hire(changing=wanting).sealed().delivered()
    told = "1 statement holds; not checked: manifests in media, the bill of materials (CycloneDX 1.6)"
    for role in ("hirer", "provider"):
        assert report_on(hire.pack(role), hire).steps[STATEMENTS - 1].detail == told
    whole = Hire().whole()
    assert report_on(whole.pack(), whole).steps[STATEMENTS - 1].detail == "1 statement holds"


def test_a_side_that_says_another_sum_than_is_owed_is_told_by_its_own_pack() -> None:
    """HIRE-PCK-04: it had nobody beside it who said another, and its pack held."""
    hire = Hire().sealed().delivered()
    hire.book.advance(minutes(60 * 24))
    books = {"basis": "silence", "checkpoint": coded(hire.logs["provider"].note())}
    hire.book.provider >> closing(**books, settlement=Settled(amount="9999", currency="EUR"))
    report = report_on(hire.pack("provider"), hire)
    assert report.ok, report.steps
    assert report.books == (("moves", "12.5 EUR"), ("provider", "9999 EUR"))
    assert report.document()["books"] == {"moves": "12.5 EUR", "provider": "9999 EUR"}


@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("in parts, accepted, True, hirer", "12.345678901 EUR"),
        ("in parts, rejected, True, provider", "4.074074037 EUR"),
        ("in parts, rejected, False, hirer", "0 EUR"),
        ("in parts, after a rework", "4.074074037 EUR"),
        ("alone, complete, 12.5", None),
        ("alone, partial, 12.5", "0 EUR"),
        ("alone, partial, 0", None),
        ("ended", "0 EUR"),
        ("accepted, and ended meanwhile", "12.5 EUR"),
        ("released", "3 EUR"),
        ("ruled, ('3', '3')", "3 EUR"),
    ],
)
def test_what_ended_a_contract_says_what_is_owed(name: str, moves: str | None) -> None:
    """HIRE-LIF-11, HIRE-PAY-03: by a verifier as by the two sides."""
    data, now = next((one.data, one.now) for one in books() if one.name == name)
    report = verify_pack(data, now=now)
    assert report.ok, report.steps
    assert dict(report.books).get("moves") == moves


def test_nobody_shows_as_accepted_what_the_terms_do_not_name() -> None:
    """HIRE-PCK-12."""
    hire = misnamed(Hire().sealed(), "partial")
    hire.reviewed(statement=hire.verdict(name="other.json"))
    for role in ("hirer", "provider"):
        assert failing(report_on(hire.pack(role), hire)) == (STATEMENTS, "terms_mismatch")


@pytest.mark.parametrize(("most", "code"), [(len(MADE), ""), (len(MADE) - 1, "too_large")])
def test_an_artifact_in_the_pack_is_no_larger_than_agreed(most: int, code: str) -> None:
    """HIRE-ATT-11, HIRE-PCK-12: where the bytes are there."""
    hire = Hire(changing=lambda terms: naming(terms, max_bytes=most)).sealed().delivered()
    report = report_on(hire.pack("provider"), hire)
    assert report.ok if not code else failing(report) == (STATEMENTS, code)
    assert report_on(hire.pack("provider", artifacts=()), hire).ok


def test_a_delivery_is_what_the_terms_name_by_which_it_was_reviewed() -> None:
    """HIRE-PCK-12: what was agreed between the two counts."""
    hire = misnamed(Hire().sealed(), "complete")
    hire.book.hirer >> amendment(terms=naming(hire.hirer.offered().terms, name="other.json"))
    hire.book.provider >> acceptance()
    hire.book.hirer >> seal()
    hire.reviewed(statement=hire.verdict(name="other.json"))
    report = report_on(hire.pack("provider"), hire)
    assert report.ok, report.steps


@pytest.mark.parametrize("amended", [True, False])
def test_a_delivery_has_the_statements_that_the_terms_ask_for_by_which_it_was_reviewed(amended: bool) -> None:
    """HIRE-PCK-12: its hirer looks at it by the terms of then."""
    hire = fewer_statements(amended=amended)
    for role in ("hirer", "provider"):
        report = report_on(hire.pack(role), hire)
        assert report.ok if amended else failing(report) == (STATEMENTS, "digest_mismatch"), report.steps


@pytest.mark.parametrize("crossing", [True, False])
def test_a_verdict_that_crossed_a_seal_is_by_the_verifier_of_before(crossing: bool) -> None:
    """HIRE-PCK-01, step 7: its hirer had not seen the seal, and knew of no other verifier."""
    hire = judged_anew(crossing=crossing)
    for role in ("hirer", "provider"):
        report = report_on(hire.pack(role), hire)
        assert report.ok if crossing else failing(report) == (ACCEPTANCE, "attester_not_trusted"), report.steps


@pytest.mark.parametrize("crossing", [True, False])
def test_a_delivery_that_crossed_a_seal_holds_by_the_terms_of_before(crossing: bool) -> None:
    """HIRE-PCK-12: its provider had not seen the seal; and the hirer may accept that."""
    hire = renamed_after(crossing=crossing)
    for role in ("hirer", "provider"):
        report = report_on(hire.pack(role), hire)
        assert report.ok if crossing else failing(report) == (STATEMENTS, "digest_mismatch"), report.steps


def test_what_passed_is_everything_delivered_whatever_the_verdict() -> None:
    """Section 8.2: that comes before the verdict, which is another here, as it does when the `Review` comes."""
    hire = partly_passed()
    assert failing(report_on(hire.pack(), hire)) == (ACCEPTANCE, "attestation_binding")


def naming(terms: Terms, **change: Any) -> Terms:
    """The same terms with another deliverable."""
    return replace(terms, deliverables=(replace(terms.deliverables[0], **change),))


def test_what_was_hired_under_no_contract_has_no_pack() -> None:
    """HIRE-SUB-10."""
    hire = Hire().sealed()
    hired = SubcontractLine(provider=ARBITER.did, task="summary", outcome="review accepted")
    hire.delivered(hire.claims(subcontracts=(hired,))).reviewed().closed()
    report = report_on(hire.pack("provider"), hire)
    assert report.ok, report.steps


def test_a_contract_is_by_keys_of_the_time_of_each_signature() -> None:
    """HIRE-PCK-01, step 5: of the offer, and of the acceptance."""
    by_hirer, by_provider = (verify_pack(make(), now=LATER) for make in ENDED_MEANWHILE.values())
    assert by_hirer.ok, by_hirer.steps
    assert failing(by_provider) == (CONTRACT, "key_not_authorized")


def test_a_contract_lies_inside_the_one_above_it() -> None:
    """HIRE-SUB-10: as it was sealed, whatever was offered first, and in terms that the pack around it has."""
    packs = hired_under()
    for name, (data, code) in packs.items():
        report = verify_pack(data, now=LATER)
        assert report.ok if not code else failing(report) == (CONTRACT, code), (name, report.steps)
    # Nor do documents in a pack within another count against those that the verifier knows.
    below = Actor("below").did
    other = canonicalize({**document_from(below, {}).json, "alsoKnownAs": ["https://elsewhere.example/"]})
    report = verify_pack(packs["in the pack of its hirer"][0], now=LATER, known=[DidDocument(below, other)])
    assert failing(report) == (CONTRACT, "evidence_invalid")


def test_packs_within_packs_are_looked_at_as_deep_as_a_chain_goes(hire: Hire, pack: bytes) -> None:
    """What is in one is judged before it is known whether it is of a child: no pack may lead down without end."""
    for _ in range(MAX_DEPTH + 1):
        pack = hire.pack(subcontracts={digest_bytes(pack): pack})
    assert failing(report_on(pack, hire)) == (CONTRACT, "evidence_invalid")
    detail = report_on(pack, hire).steps[CONTRACT - 1].detail
    assert detail.endswith("lies deeper than a chain goes")
    places = [word.rstrip(":") for word in detail.split() if word.startswith("subcontracts/")]
    assert len(places) == len(set(places)) == MAX_DEPTH + 1, "each is named once"


def test_an_artifact_in_the_pack_is_the_one_delivered(hire: Hire, pack: bytes) -> None:
    """SC-65."""
    path = f"artifacts/{digest_bytes(MADE)}"
    assert failing(report_on(remade(pack, {path: MADE + b" "}), hire)) == (STATEMENTS, "evidence_invalid")


def test_a_delivery_without_a_statement_about_each_artifact_does_not_hold() -> None:
    hire = Hire().sealed().delivered(statements=()).reviewed()
    assert failing(report_on(hire.pack(), hire)) == (STATEMENTS, "digest_mismatch")
    two = tuple(
        Artifact(name=NAME, digest=digest_bytes(made), media_type="application/json") for made in (b"another", MADE)
    )
    hire = Hire().sealed().delivered(artifacts=two).reviewed()
    for kept in ({}, {"artifacts": ()}):
        assert failing(report_on(hire.pack(**kept), hire)) == (STATEMENTS, "digest_mismatch"), "one name is of one"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda hire: hire.verdict(passed=False), "terms_mismatch"),
        (lambda hire: hire.verdict(by=hire.provider.actor), "attester_not_trusted"),
        (lambda hire: hire.verdict(contract=digest_bytes(b"another")), "attestation_binding"),
        (lambda hire: hire.verdict(document_id=f"{OTHER_ENGAGEMENT}:hirer:1"), "attestation_binding"),
        (lambda hire: hire.verdict(statements=[digest_bytes(b"another")]), "attestation_binding"),
        (lambda hire: hire.claims(), "attester_not_trusted"),
        (lambda hire: {**hire.verdict(), "payload": "AAAA"}, "proof_invalid"),
    ],
)
def test_an_acceptance_that_does_not_hold_is_noticed(wrong: Callable[[Hire], Any], code: str) -> None:
    hire = Hire().sealed().delivered()
    hire.reviewed("accepted", wrong(hire))
    assert failing(report_on(hire.pack(), hire)) == (ACCEPTANCE, code)


def test_a_work_that_failed_is_reviewed_as_such() -> None:
    """Nothing was delivered: the verdict is about the contract itself."""

    hire = Hire().sealed().delivered(outcome="failed", artifacts=(), statements=())
    said = accepted(
        contract=hire.contract,
        document_id=str(hire.document["id"]),
        verifier=hire.hirer.actor.did,
        passed=False,
        statements=(),
        time_verified=hire.book.clock.now(),
    )
    hire.reviewed("rejected", stated(hire.hirer.actor, {"contract": hire.contract}, said)).closed()
    report = report_on(hire.pack(), hire)
    assert report.ok, report.steps


# step 8: ledger


def test_a_packer_who_closed_its_books_proves_its_log(hire: Hire) -> None:
    for change in (
        {"checkpoint": None, "inclusion": None},
        {"checkpoint": None},
        {"inclusion": None},
        {"checkpoint": hire.logs["provider"].note()},
        {"checkpoint": "not a note"},
        {"inclusion": hire.logs["hirer"].proof(0)},
        {"inclusion": hire.logs["provider"].proof(hire.places["provider"])},
    ):
        assert failing(report_on(hire.pack(**change), hire)) == (LEDGER, "log_proof_invalid")
    for change in ({"checkpoint": None}, {"inclusion": None}):
        early = Hire().sealed().pack(**change)
        assert failing(report_on(early, hire)) == (LEDGER, "log_proof_invalid"), "of whom no proof is asked for yet"
    # Where no seal promised a place, a proof of another leaf would say that the contract stands there.
    place, log = hire.places["provider"], hire.logs["provider"]
    other = hire.pack("provider", inclusion=log.proof(place - 1 if place else place + 1))
    assert failing(report_on(other, hire)) == (LEDGER, "log_proof_invalid")


def test_a_proof_in_another_form_is_noticed(hire: Hire, pack: bytes) -> None:
    """HIRE-PCK-02: two packs of the same are the same bytes."""
    path = path_of(pack, "inclusion")
    loose = json.dumps(json.loads(read_archive(pack)[path]), indent=1).encode()
    assert failing(report_on(remade(pack, {path: loose}), hire)) == (LEDGER, "log_proof_invalid")


def test_a_checkpoint_of_as_many_other_leaves_is_noticed(hire: Hire) -> None:
    """HIRE-LOG-05: the contract stands in that tree as well, and the books were closed under another."""
    log, place = Log(hire.hirer.actor, 2), hire.places["hirer"]
    log.append(b"other")
    assert log.append(hire.leaf) == place
    proof = {"label": "contract", "commitment": digest_bytes(canonicalize(hire.document)), "index": place}
    proofs = {"size": log.frontier.size, "proofs": [proof | {"path": list(log.proof(place).path)}]}
    forked = hire.pack(checkpoint=log.note(), inclusion=log.proof(place), proofs=canonicalize(proofs))
    assert failing(report_on(forked, hire)) == (LEDGER, "ledger_diverged")


def test_a_proof_under_another_size_is_noticed() -> None:
    hire = Hire().whole()
    older = hire.logs["hirer"].note()
    hire.logs["hirer"].append(b"one more")
    assert report_on(hire.pack(), hire).ok
    assert failing(report_on(hire.pack(checkpoint=older), hire)) == (LEDGER, "log_proof_invalid")


@pytest.mark.parametrize(
    "promise",
    [{"index": 2}, {"index": 4}, {"leaf": digest_bytes(b"another")}, {"log": "did:web:elsewhere.example"}],
)
def test_a_promise_in_the_seal_that_was_not_kept_is_noticed(promise: dict[str, Any]) -> None:
    """HIRE-LOG-02, HIRE-PCK-11: it spoils the pack of who sealed; in the other's it is said against who sealed."""
    hire = Hire()
    hire.sealed(hire.place(**promise)).delivered().reviewed().closed()
    assert failing(report_on(hire.pack(), hire)) == (LEDGER, "log_proof_invalid")
    assert_said_against(hire.hirer.actor, report_on(hire.pack("provider"), hire), "log_proof_invalid")


def test_a_place_promised_in_the_packers_own_log_is_no_promise() -> None:
    """HIRE-PCK-11: a seal that names the log of whoever gets it says nothing of where the contract stands there."""
    hire = Hire()
    hire.sealed(hire.place(log=hire.provider.actor.did, index=99)).delivered().reviewed().closed()
    assert_said_against(hire.hirer.actor, report_on(hire.pack("provider"), hire), "log_proof_invalid")


def assert_said_against(who: Actor, report: Report, code: str) -> None:
    assert report.ok, report.steps
    said = report.steps[LEDGER - 1].detail
    assert f"{who.did} said of a log what does not hold (" in said
    assert f": {code}, " in said


def test_a_proof_that_the_peer_sent_is_checked() -> None:
    hire = Hire()
    hire.sealed(proof=hire.logs["hirer"].proof(hire.places["hirer"]).__class__.of(bytes(32), 0, 1, ()))
    assert report_on(hire.pack(), hire).ok  # of another leaf: not about this contract
    shown = Hire().sealed()
    place = f"leaf {shown.places['hirer'] + 1} of 4 in the log of {shown.hirer.actor.did}"
    report = report_on(shown.pack("provider", checkpoint=None, inclusion=None), shown)
    assert place in report.steps[LEDGER - 1].detail
    wrong = Hire()
    right = wrong.logs["hirer"].proof(wrong.places["hirer"])
    wrong.sealed(proof=right.__class__(right.leaf, right.index - 1, right.size, right.path))
    assert_said_against(wrong.hirer.actor, report_on(wrong.pack("provider"), wrong), "log_proof_invalid")
    assert failing(report_on(wrong.pack(checkpoint=None, inclusion=None), wrong)) == (LEDGER, "log_proof_invalid")


@pytest.mark.parametrize("what", FALSE_WORDS)
def test_what_the_other_side_says_of_a_log_spoils_no_pack_but_its_own(what: str) -> None:
    """HIRE-PCK-11: whoever recorded it cannot be left without evidence by it; it is said, and of whom."""
    make, code = FALSE_WORDS[what]
    hire = make()
    assert_said_against(hire.hirer.actor, report_on(hire.pack("provider"), hire), code)
    assert failing(report_on(hire.pack(), hire)) == (LEDGER, code)


def test_two_histories_of_one_log_are_noticed() -> None:
    """HIRE-LOG-05: another root for a size that was signed before, or fewer leaves than were signed before."""
    hire = Hire().sealed().delivered().reviewed()
    other = Hire().logs["hirer"]
    other.append(b"another history")
    other.append(b"and longer")
    hire.closed(other.note())
    assert failing(report_on(hire.pack(), hire)) == (LEDGER, "ledger_diverged")
    fork = Hire()
    forked = fork.logs["hirer"].__class__(fork.hirer.actor, 4).note()
    fork.sealed().delivered().reviewed().closed(forked)
    assert failing(report_on(fork.pack(), fork)) == (LEDGER, "ledger_diverged")


def test_a_checkpoint_is_as_old_as_it_is() -> None:
    """HIRE-LOG-05: when that of a pack was made it does not say, but it has what its packer's `Closing` signed."""
    for made in (older_than_a_change, older_than_a_release):
        report = verify_pack(made(), now=LATER)
        assert report.ok, report.steps
    assert failing(verify_pack(older_than_the_closing(), now=LATER)) == (LEDGER, "ledger_diverged")


def test_books_that_are_signed_again_state_their_log_as_it_was() -> None:
    """HIRE-LOG-05: a `Closing` has the time of its checkpoint, which a new proof does not change."""
    again = signed_again(checkpoint_at=True)
    assert report_on(again.pack(), again).ok
    late = signed_again(checkpoint_at=False)
    assert failing(report_on(late.pack(), late)) == (LEDGER, "ledger_diverged")


@pytest.mark.parametrize("note", ["", "x", "a note\n\n— of nothing AAAAAAAA\n"])
def test_books_closed_under_no_checkpoint_are_noticed(note: str) -> None:
    hire = Hire().sealed().delivered().reviewed().closed(note or "\n")
    assert failing(report_on(hire.pack(), hire)) == (LEDGER, "log_proof_invalid")


# anything at all


def test_no_bytes_raise(hire: Hire, pack: bytes) -> None:
    """Whatever comes, the answer is a report."""
    dice = Random(3)
    members = read_archive(pack)
    for _ in range(60):
        path = dice.choice(sorted(members))
        data = bytearray(members[path] or b"x")
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        report = report_on(write_archive({**members, path: bytes(data)}), hire)
        assert len(report.steps) == len(STEPS)
    for size in (0, 1, 30, 1000):
        assert not verify_pack(dice.randbytes(size), now=hire.book.clock.now()).ok


def test_read_pack_raises_what_step_1_reports(pack: bytes) -> None:
    with pytest.raises(UndersignedError) as caught:
        read_pack(pack[:-1])
    assert isinstance(caught.value, VerificationError | FormatError)


def test_notes_of_the_kit_are_real(hire: Hire) -> None:
    """The test's own means: what it signs verifies, so that what fails above fails for the reason given."""
    assert coded(hire.logs["hirer"].note()).startswith("u")
    assert minutes(1) == 60
    assert NAME in hire.lines()[9].raw.decode()


def test_who_judges_is_whom_the_contract_names() -> None:
    """HIRE-ATT-06: its statement by its key counts, for a yes and for a no; and nobody else's, under whatever name."""
    judge = ARBITER

    def judged(verifier: str, by: Any, passed: bool = True) -> str:
        hire = Hire(verifier=verifier).sealed().delivered()
        statement = hire.verdict(by=by, passed=passed)
        report = verify_pack(
            hire.reviewed("accepted" if passed else "rejected", statement).pack(), now="2031-01-01T00:00:00Z"
        )
        return next((f"{step.name}: {step.code}" for step in report.steps if not step.ok), "")

    refused = "acceptance of the work: attester_not_trusted"
    assert judged(judge.did, judge) == ""
    assert judged(judge.did, judge, passed=False) == ""
    assert judged(judge.did, None) == refused
    assert judged(judge.did, None, passed=False) == refused
    assert judged(judge.did, Actor("stranger")) == refused
    for role in ("hirer", "provider"):
        posing = Posing(Actor(role))
        assert judged(posing.did, posing) == refused
    assert judged("did:web:judge.example", judge) == "acceptance of the work: evidence_invalid"


@pytest.mark.parametrize("claims", [True, False])
@pytest.mark.parametrize("verdict", [True, False])
def test_nobody_accepts_what_was_claimed_with_one_key(claims: bool, verdict: bool) -> None:
    """HIRE-ATT-06: two names have it, and sign their messages with others."""
    report = verify_pack(by_a_shared_key(claims=claims, verdict=verdict), now=LATER)
    assert report.ok if not (claims and verdict) else failing(report) == (ACCEPTANCE, "attester_not_trusted")


def test_documents_without_end_cost_no_more_than_their_keys() -> None:
    """HIRE-LIM-02: who made a pack chose how many documents are in it. A message is held against each key of the name
    in its proof once, and against few.
    """
    hire = Hire().whole()
    pack = read_pack(hire.pack("hirer"))
    one = next(one for one in pack.transcript if one.message.sender == hire.hirer.actor.did)
    did, peer = one.message.sender, one.message.recipient
    name = one.signed.proof.verification_method.partition("#")[2]

    def document(key: PublicKey, number: int) -> DidDocument:
        services = [("Elsewhere", f"https://{number}.example/")]
        keys = {name: key}
        return DidDocument(
            did, canonicalize(make_document(did, authentication=keys, assertion_method=keys, services=services))
        )

    def tried(keys: list[PublicKey]) -> str:
        case = Case(b"", one.at)
        case.documents = {did: list(map(document, keys, count())), peer: [document_from(peer, {})]}
        try:
            verify._verified(case, one, peer)
        except VerificationError as error:
            return error.code
        return ""

    good, others = hire.hirer.actor.public_key, [Actor(f"another {number}").public_key for number in range(20)]
    assert tried([*others[:1] * 200, good]) == ""
    assert tried([*others[:15], good]) == ""
    assert tried([*others[:16], good]) == "proof_invalid"


def test_documents_of_one_are_bounded() -> None:
    """HIRE-PCK-01, step 2."""
    documents = [
        canonicalize({**json.loads(web_document(Actor("a witness"))), "alsoKnownAs": [f"https://{number}.example/"]})
        for number in range(257)
    ]
    for number, step in ((256, ""), (257, DOCUMENTS)):
        hire = Hire().whole()
        report = report_on(hire.pack("hirer", documents=tuple(documents[:number])), hire)
        assert (report.ok, step and failing(report)[0]) == (not step, step)


def test_a_credential_in_a_review_is_said_not_to_be_checked() -> None:
    """HIRE-PCK-04: it may be about another contract, and by anybody; a pack that holds says nothing for it."""
    junk = {"type": ["VerifiableCredential", "PerformanceCredential"], "issuer": "did:web:nobody.example"}
    for members, said in (({}, False), ({"credential": junk}, True)):
        hire = Hire().sealed().delivered().reviewed(**members).closed()
        report = verify_pack(hire.pack(), now=shift(hire.book.clock.now(), 60))
        assert report.ok
        assert ("1 credential in reviews: not checked" in report.steps[6].detail) == said


@pytest.mark.parametrize("role", ["hirer", "provider"])
@pytest.mark.parametrize("name", REPLACED)
def test_a_review_that_was_signed_again_holds_by_the_key_before(name: str, role: str) -> None:
    """HIRE-ATT-02: what it states was signed before its hirer replaced its key; by no key besides."""
    report = verify_pack(with_replaced_key(name, role), now="2031-01-01T00:00:00Z")
    code = REPLACED[name][1]
    assert report.ok if not code else failing(report) == (ACCEPTANCE, code)
