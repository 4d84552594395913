"""did:webvh: what a log has to be, who may add to it, and which document of it is in force."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from histories import FIRST, SECOND, THIRD, Log, document_at, rehashed, signed, witness_proof
from parties import Party
from support import refuses
from undersigned.did import DidHistory, document_from, fetches, history_from, keeps_history
from undersigned.did.methods.webvh_log import MAX_ENTRIES, MAX_LOG_BYTES
from undersigned.did.methods.webvh_write import UNNAMED, first_entry, log_line, next_entry, next_key_hash
from undersigned.encoding import JsonObject, canonicalize, multibase_encode
from undersigned.errors import ResolutionError, UndersignedError

NOW = "2026-11-25T12:00:00Z"
CONTROLLER, NEXT, OTHER = Party("controller"), Party("next controller"), Party("somebody-else")
KEY_1, KEY_2 = Party("key-1"), Party("key-2")
WITNESSES = tuple(Party(f"witness {number}") for number in range(3))


def new_log(**parameters: Any) -> Log:
    return Log(controller=CONTROLLER, key=KEY_1, **parameters)


def history_of(log: Log, did: str | None = None, now: str = NOW) -> DidHistory:
    return history_from(did or log.did, log.fetched(did), now=now)


def refused(log: Log, did: str | None = None, now: str = NOW) -> str:
    """The message with which a log is refused as invalid."""
    with pytest.raises(UndersignedError) as caught:
        history_of(log, did, now)
    assert caught.value.code == "did_document_invalid", caught.value
    assert len(str(caught.value)) < 500
    return caught.value.message


def witness(*parties: Party, threshold: int = 2) -> JsonObject:
    return {"threshold": threshold, "witnesses": [{"id": party.did} for party in parties]}


# --- what is fetched ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("globex.example", "https://globex.example/.well-known"),
        ("globex.example%3A8443", "https://globex.example:8443/.well-known"),
        ("globex.example:agents:buyer", "https://globex.example/agents/buyer"),
        ("globex.example%3A8443:a", "https://globex.example:8443/a"),
    ],
)
def test_urls(location: str, folder: str) -> None:
    """HIRE-WVH-01: one spelling, that of did:web behind the SCID; the SCID is no part of the URL."""
    log = Log(location, controller=CONTROLLER, key=KEY_1)
    assert fetches(log.did) == (f"{folder}/did.jsonl",)
    assert history_of(log).document.id == log.did
    assert keeps_history(log.did)
    assert not keeps_history("did:web:globex.example")


def test_the_proofs_are_asked_for_only_if_the_log_names_witnesses() -> None:
    """HIRE-WVH-02: the second file is fetched when the first one asks for it."""
    plain, watched = new_log(), new_log(witness=witness(*WITNESSES))
    assert len(fetches(plain.did, plain.fetched())) == 1
    assert fetches(watched.did) == ("https://globex.example/.well-known/did.jsonl",)
    assert fetches(watched.did, watched.fetched())[1:] == ("https://globex.example/.well-known/did-witness.json",)
    with refuses(ResolutionError, "did_unresolvable"):
        history_of(watched)


@pytest.mark.parametrize(
    ("specific", "code"),
    [
        ("globex.example", "did_document_invalid"),
        ("Qm:globex.example", "did_document_invalid"),
        (f"{UNNAMED}", "did_document_invalid"),
        (f"{UNNAMED}0:globex.example", "did_document_invalid"),
        (f"{UNNAMED}:Globex.example", "did_document_invalid"),
        (f"{UNNAMED}:globex.example%3a8443", "did_document_invalid"),
        (f"{UNNAMED}:globex.example:", "did_document_invalid"),
        (f"{UNNAMED}:globex.example:..:a", "did_document_invalid"),
        (f"{UNNAMED}:127.0.0.1", "did_forbidden_address"),
        (f"{UNNAMED}:0x7f000001", "did_forbidden_address"),
        (f"{UNNAMED}:localhost%3A8443", "did_forbidden_address"),
        (f"{UNNAMED}:intranet", "did_forbidden_address"),
    ],
)
def test_other_spellings_and_places_are_refused(specific: str, code: str) -> None:
    """HIRE-WVH-01."""
    with refuses(UndersignedError, code):
        fetches(f"did:webvh:{specific}")


def test_without_the_time_or_the_log_nothing_is_resolved() -> None:
    log = new_log()
    for given in (lambda: document_from(log.did, log.fetched()), lambda: document_from(log.did, {}, now=NOW)):
        with refuses(ResolutionError, "did_unresolvable"):
            given()
    with pytest.raises(ResolutionError):
        history_from("did:web:globex.example", {}, now=NOW)


# --- the log --------------------------------------------------------------------------------------------------------


def test_a_log_of_two_versions() -> None:
    log = new_log(ttl=60)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
    history = history_of(log)
    assert [version.time for version in history.versions] == [FIRST, SECOND]
    assert history.ttl_seconds == 60
    assert not history.deactivated
    assert document_from(log.did, log.fetched(), now=NOW) == history.document
    assert history.document.key_for(f"{log.did}#key-2", "assertionMethod", now=None) == KEY_2.key
    assert history.document.raw == canonicalize(log.entries[1]["state"])


def spoiled(change: Callable[[list[JsonObject]], object], *, sign: bool = False, second: bool = True) -> Log:
    """A log of two entries, changed; with `sign`, hash and proof of the last one are made anew afterwards."""
    log = new_log()
    if second:
        log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
    change(log.entries)
    if sign:
        before = log.entries[-2]["versionId"] if second else log.scid
        log.entries[-1] = signed(rehashed(log.entries[-1], before), CONTROLLER)
    return log


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entries: entries[1].update(versionTime=THIRD), "proof does not hold"),
        (lambda entries: entries[1]["state"].update(also=1), "proof does not hold"),
        (lambda entries: entries[0]["state"].update(also=1), "log entry 1: its proof does not hold"),
        (lambda entries: entries.pop(0), "expected versionId 1-"),
        (lambda entries: entries.reverse(), "expected versionId 1-"),
        (lambda entries: entries.append(entries[1]), "expected versionId 3-"),
        (lambda entries: entries[1].pop("proof"), "expected an object with"),
        (lambda entries: entries[1].update(proof=[]), "proof does not hold"),
        (lambda entries: entries[1].update(proof=[entries[1]["proof"]] * 5), "at most 4 proofs"),
        (lambda entries: entries[1].update(proof=[entries[1]["proof"], entries[0]["proof"]]), "proof does not hold"),
        (lambda entries: entries[1].update(more=1), "expected an object with"),
        (lambda entries: entries[1].update(versionId=2), "expected versionId 2-"),
        (lambda entries: entries[1].update(versionId="2-Qm"), "expected versionId 2-"),
        (lambda entries: entries[1].update(state=[]), "expected objects"),
        (lambda entries: entries[1]["state"].update(id=7), "document with an id"),
    ],
)  # fmt: skip
def test_what_was_changed_afterwards_is_refused(change: Callable[[list[JsonObject]], object], said: str) -> None:
    """HIRE-WVH-03: every entry is under a proof by an allowed key and chained by its hash."""
    assert said in refused(spoiled(change))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda last: last.update(versionTime=FIRST), "expected a time after"),
        (lambda last: last.update(versionTime="2026-10-01T00:00:00Z"), "expected a time after"),
        (lambda last: last.update(versionTime="2026-11-25T12:01:01Z"), "expected a time up to"),
        (lambda last: last.update(versionTime="2026-11-10"), "expected versionTime as"),
        (lambda last: last.update(versionTime=5), "expected versionTime as"),
        (lambda last: last.update(parameters=[]), "expected objects in parameters and state"),
        (lambda last: last.update(state="text"), "expected objects in parameters and state"),
        (lambda last: last.update(versionTime="2026-11-10T00:00:00+00:00"), "expected versionTime as"),
        (lambda last: last["parameters"].update(scid=UNNAMED), "in the first entry alone"),
        (lambda last: last["parameters"].update(method="did:webvh:0.5"), "expected method did:webvh:1.0"),
        (lambda last: last["parameters"].update(method="did:webvh:1.1"), "expected method did:webvh:1.0"),
        (lambda last: last["parameters"].update(portable=True), "in the first entry alone"),
        (lambda last: last["parameters"].update(portable=1), "expected true or false"),
        (lambda last: last["parameters"].update(deactivated="true"), "expected true or false"),
        (lambda last: last["parameters"].update(ttl=-1), "expected ttl"),
        (lambda last: last["parameters"].update(ttl=2**31 + 1), "expected ttl"),
        (lambda last: last["parameters"].update(ttl=True), "expected ttl"),
        (lambda last: last["parameters"].update(prerotation=True), "there is no parameter"),
        (lambda last: last["parameters"].update(updateKeys="z6Mk"), "different texts in updateKeys"),
        (lambda last: last["parameters"].update(updateKeys=["a"] * 2), "different texts in updateKeys"),
        (lambda last: last["parameters"].update(updateKeys=["no key"]), "proof does not hold"),
        (lambda last: last["parameters"].update(nextKeyHashes=[str(n) for n in range(17)]), "at most 16"),
        (lambda last: last["parameters"].update(watchers=[1]), "different texts in watchers"),
        (lambda last: last["parameters"].update(witness=[]), "expected a witness parameter"),
        (lambda last: last["parameters"].update(witness={"threshold": 1}), "expected a witness parameter"),
        (lambda last: last["parameters"].update(witness=witness(OTHER, threshold=0)), "threshold from 1"),
        (lambda last: last["parameters"].update(witness=witness(OTHER, threshold=2)), "threshold from 1 to 1"),
        (lambda last: last["parameters"].update(witness=witness(OTHER, OTHER)), "different texts in witnesses"),
        (lambda last: last["parameters"].update(witness=witness(OTHER, threshold=True)), "threshold from 1 to 1"),
        (lambda last: last["parameters"].update(witness=witness(OTHER) | {"more": 1}), "expected a witness parameter"),
        (lambda last: last["parameters"].update(witness=witness(OTHER) | {"witnesses": {}}), "expected a witness"),
        (lambda last: last["parameters"].update(witness={"threshold": 1, "witnesses": [{"id": OTHER.key.multikey}]}),
         "to be a did:key"),
        (lambda last: last["parameters"].update(witness={"threshold": 1, "witnesses": [{"id": OTHER.did, "x": 2}]}),
         "its id and no more"),
        (lambda last: last["parameters"].update(witness={"threshold": 1, "witnesses": [
            {"id": OTHER.did}, {"id": KEY_1.did, "weight": 2}]}), "its id and no more"),
        (lambda last: last["parameters"].update(witness={"threshold": 1, "witnesses": [
            {"id": OTHER.did}, {"id": "did:web:globex.example"}]}), "to be a did:key"),
        (lambda last: last["parameters"].update(witness={"threshold": 1, "witnesses": [OTHER.did]}), "its id and no"),
        (lambda last: last["state"].update(id="did:web:globex.example"), "expected the document of a did:webvh"),
        (lambda last: last["state"].update(id=last["state"]["id"].replace("webvh", "web")), "expected the document of"),
        (lambda last: last["state"].update(id=f"did:webvh:{UNNAMED}:globex.example"), "expected the document of a"),
        (lambda last: last["state"].update(id=last["state"]["id"].replace("globex", "initech")), "not portable"),
    ],
)  # fmt: skip
def test_what_an_entry_may_not_say(change: Callable[[JsonObject], object], said: str) -> None:
    """HIRE-WVH-03, HIRE-WVH-04: also under a good hash and proof."""
    assert said in refused(spoiled(lambda entries: change(entries[-1]), sign=True))


@pytest.mark.parametrize("last", [True, False])
def test_an_entry_with_a_good_proof_and_another_hash_is_refused(last: bool) -> None:
    """HIRE-WVH-03: who holds the update keys does not put another entry before one, or change what is in it."""
    for changed in (False, True):
        log = new_log()
        if last:
            log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
        entry = {name: value for name, value in log.entries[-1].items() if name != "proof"}
        if changed:
            entry["state"] = {**entry["state"], "alsoKnownAs": ["did:web:globex.example"]}
        else:
            # Behind the SCID where it follows the first entry, and the first entry behind itself.
            entry = rehashed(entry, log.scid if last else entry["versionId"])
        log.entries[-1] = signed(entry, CONTROLLER)
        assert "its hash is another than in" in refused(log)


@pytest.mark.parametrize("line", [b"[]", b"1", b'"text"', b"null", b"{}"])
def test_a_line_that_is_no_entry_is_refused(line: bytes) -> None:
    """HIRE-WVH-03."""
    log = new_log()
    log_url, raw = next(iter(log.fetched().items()))
    for lines in (line, raw + line):
        with refuses(UndersignedError, "did_document_invalid"):
            history_from(log.did, {log_url: lines}, now=NOW)


def test_what_may_be_said_at_the_edge() -> None:
    """A time of nothing or of the longest; a portable DID that says so again, or that it is none any more."""
    for ttl in (0, 2**31):
        assert history_of(new_log(ttl=ttl)).ttl_seconds == ttl
    for first, portable in ((True, True), (True, False), (False, False)):
        log = new_log(portable=first)
        log.add(document_at(log.did, KEY_2), controller=CONTROLLER, portable=portable)
        assert len(history_of(log).versions) == 2


def test_the_first_entry_is_the_identifier() -> None:
    """HIRE-WVH-03: nobody can give a log another first entry, also not the holder of its keys."""
    log = spoiled(lambda entries: entries[0]["state"].update(also="more"), sign=True, second=False)
    assert "SCID is not the hash" in refused(log)
    # The name in the document is bound to it, too: a true SCID beside another one in the name.
    entry = first_entry(document_at(f"did:webvh:{'Qm' + '2' * 44}:globex.example", KEY_1), now=FIRST,
                        updateKeys=[CONTROLLER.key.multikey])  # fmt: skip
    log.entries = [signed(entry, CONTROLLER)]
    assert "expected the document of a did:webvh" in refused(log, f"did:webvh:{'Qm' + '2' * 44}:globex.example")
    for scid in (5, None, "Qm"):
        other = new_log()
        other.entries[0]["parameters"]["scid"] = scid
        assert "SCID" in refused(other)
    for without in ("method", "scid", "updateKeys"):
        gone = new_log()
        del gone.entries[0]["parameters"][without]
        assert "in the first entry" in refused(gone)
    assert "expected an update key" in refused(
        spoiled(lambda e: e[0]["parameters"].update(updateKeys=[]), second=False)
    )


def test_a_log_of_another_did_is_refused() -> None:
    log, other = new_log(), Log(controller=CONTROLLER, key=KEY_2)
    assert log.did != other.did
    with refuses(UndersignedError, "did_document_invalid"):
        history_from(other.did, log.fetched(), now=NOW)


def test_null_is_the_default() -> None:
    """As the standard asks, for logs of its first years."""
    log = new_log(witness=None, watchers=None, nextKeyHashes=None, ttl=None, portable=None, deactivated=None)
    assert history_of(log).ttl_seconds == 3600


def test_our_clock_may_be_a_minute_behind() -> None:
    """HIRE-WVH-03: the boundary is inclusive."""
    log = new_log(now="2026-11-25T12:01:00Z")
    assert history_of(log).versions[0].time > NOW
    assert "expected a time up to" in refused(log, now="2026-11-25T11:59:59Z")


def test_limits_stand_before_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-WVH-05."""
    monkeypatch.setattr("undersigned.did.methods.webvh_log.verify_proof", lambda *_, **__: pytest.fail("verified"))
    log = new_log()
    line = log_line(log.entries[0])
    url = next(iter(log.fetched()))
    many = b"".join(line.replace(b'"1-', f'"{number}-'.encode()) for number in range(1, MAX_ENTRIES + 2))
    for raw, said in (
        (b" " * (MAX_LOG_BYTES + 1), f"at most {MAX_LOG_BYTES} bytes"),
        (many, f"at most {MAX_ENTRIES} entries"),
        (b"", "expected JSON"),
        (b"\n", "expected JSON"),
        (line + b"\n", "expected JSON"),
        (b"[" * 40 + b"]" * 40 + b"\n", "levels"),
        (b"{" + b" " * 65536 + b"}", "65536 bytes"),
        (line.replace(b'"state"', b'"proof":{},"state"'), "each name once"),
    ):
        with pytest.raises(UndersignedError) as caught:
            history_from(log.did, {url: raw}, now=NOW)
        assert caught.value.code == "did_document_invalid"
        assert said in caught.value.message


# --- keys that may add to it ----------------------------------------------------------------------------------------


def test_only_the_keys_before_may_sign() -> None:
    """HIRE-WVH-04: a new key does not let itself in."""
    log = new_log()
    log.add(document_at(log.did, KEY_2), controller=NEXT, updateKeys=[NEXT.key.multikey])
    assert "not one of the keys allowed" in refused(log)
    log.entries.pop()
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, updateKeys=[NEXT.key.multikey])
    history_of(log)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, now=THIRD)
    assert "not one of the keys allowed" in refused(log)
    log.entries.pop()
    log.add(document_at(log.did, KEY_2), controller=NEXT, now=THIRD)
    assert len(history_of(log).versions) == 3


def test_a_method_of_two_keys_is_refused() -> None:
    """HIRE-WVH-04: body and fragment of the did:key are one key."""
    for method in (
        f"{OTHER.did}#{CONTROLLER.key.multikey}",
        f"{CONTROLLER.did}#{OTHER.key.multikey}",
        CONTROLLER.did,
        f"{CONTROLLER.did}#",
        f"#{CONTROLLER.key.multikey}",
    ):
        log = new_log()
        log.entries[0]["proof"]["verificationMethod"] = method
        assert "its proof does not hold" in refused(log)


@pytest.mark.parametrize("halves", [(CONTROLLER, OTHER), (OTHER, CONTROLLER)])
def test_a_forgery_under_two_names(halves: tuple[Party, Party]) -> None:
    """HIRE-WVH-04: signed by a stranger, who shows its own key in one half of the name."""
    log = new_log()
    bare = {name: value for name, value in log.entries[0].items() if name != "proof"}
    config = {**log.entries[0]["proof"], "verificationMethod": f"{halves[0].did}#{halves[1].key.multikey}"}
    del config["proofValue"]
    log.entries[0] = OTHER.prove(bare, config)
    assert "not one of the keys allowed" in refused(log)


@pytest.mark.parametrize(
    "options",
    [
        {"proofPurpose": "authentication"},
        {"cryptosuite": "eddsa-rdfc-2022"},
        {"cryptosuite": "ecdsa-jcs-2019"},
        {"type": "Ed25519Signature2020"},
        {"challenge": "for somebody else"},
    ],
)
def test_proofs_are_eddsa_jcs_2022_and_assert(options: JsonObject) -> None:
    """HIRE-WVH-04."""
    log = new_log()
    log.entries[0]["proof"].update(options)
    assert "its proof does not hold" in refused(log)


def test_a_weak_update_key_is_refused() -> None:
    """HIRE-KEY-01: the identity point verifies one signature for every entry."""
    weak = multibase_encode("z", b"\xed\x01" + b"\x01" + bytes(31))
    log = new_log(updateKeys=[CONTROLLER.key.multikey, weak])
    with refuses(UndersignedError, "key_weak"):
        history_of(log)


def rotating(**parameters: Any) -> Log:
    return new_log(nextKeyHashes=[next_key_hash(NEXT.key.multikey)], **parameters)


def test_pre_rotation() -> None:
    """HIRE-WVH-06: the next keys are those committed to, and sign their own entry."""
    log = rotating()
    log.add(
        document_at(log.did, KEY_2),
        controller=NEXT,
        updateKeys=[NEXT.key.multikey],
        nextKeyHashes=[next_key_hash(OTHER.key.multikey)],
    )
    assert len(history_of(log).versions) == 2
    # Turned off by an entry that still keeps to it; the one after is signed by the keys before it.
    log.add(document_at(log.did, KEY_2), controller=OTHER, now=THIRD, updateKeys=[OTHER.key.multikey], nextKeyHashes=[])
    log.add(document_at(log.did, KEY_2), controller=OTHER, now="2026-11-21T00:00:00Z")
    assert len(history_of(log).versions) == 4


@pytest.mark.parametrize(
    ("signer", "parameters", "said"),
    [
        (CONTROLLER, {}, "expected updateKeys and nextKeyHashes"),
        (CONTROLLER, {"nextKeyHashes": []}, "expected updateKeys and nextKeyHashes"),
        (NEXT, {"updateKeys": [NEXT.key.multikey]}, "expected updateKeys and nextKeyHashes"),
        (CONTROLLER, {"updateKeys": [CONTROLLER.key.multikey], "nextKeyHashes": []}, "whose hashes the entry before"),
        (NEXT, {"updateKeys": [NEXT.key.multikey, OTHER.key.multikey], "nextKeyHashes": []}, "whose hashes"),
        (NEXT, {"updateKeys": [], "nextKeyHashes": []}, "whose hashes"),
        (CONTROLLER, {"updateKeys": [NEXT.key.multikey], "nextKeyHashes": []}, "not one of the keys allowed"),
    ],
)
def test_a_stolen_key_does_not_get_past_pre_rotation(signer: Party, parameters: JsonObject, said: str) -> None:
    """HIRE-WVH-06: who has the present key alone cannot go on."""
    log = rotating()
    log.add(document_at(log.did, KEY_2), controller=signer, **parameters)
    assert said in refused(log)


# --- witnesses ------------------------------------------------------------------------------------------------------


def test_witnesses_up_to_the_threshold() -> None:
    """HIRE-WVH-07: a proof counts for its version and those before."""
    log = new_log(witness=witness(*WITNESSES))
    log.witness(1, WITNESSES[0])
    assert "expected 2 witnesses of 1-" in refused(log)
    log.witness(1, WITNESSES[1])
    history_of(log)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
    assert "expected 2 witnesses of 2-" in refused(log)
    log.witnessed = []
    log.witness(2, *WITNESSES[1:])
    history_of(log)


def test_new_witnesses_count_from_the_entry_after() -> None:
    """HIRE-WVH-07: those before witness the change, also when it turns witnessing off; if there were none, the new."""
    log = new_log(witness=witness(*WITNESSES[:2]))
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, witness={})
    log.witness(1, *WITNESSES[:2])
    assert "expected 2 witnesses of 2-" in refused(log)
    log.witness(2, *WITNESSES[:2])
    history_of(log)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, now=THIRD)
    history_of(log)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, now="2026-11-21T00:00:00Z",
            witness=witness(WITNESSES[2], threshold=1))  # fmt: skip
    assert "expected 1 witnesses of 4-" in refused(log)
    log.witness(4, WITNESSES[2])
    history_of(log)


def test_those_who_follow_do_not_witness_that_they_do() -> None:
    """HIRE-WVH-07: whoever holds the update key alone could name witnesses of their own."""
    log = new_log(witness=witness(WITNESSES[0], threshold=1))
    log.witness(1, WITNESSES[0])
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, witness=witness(WITNESSES[1], threshold=1))
    log.witness(2, WITNESSES[1])
    assert "expected 1 witnesses of 2-" in refused(log)
    log.witness(2, WITNESSES[0])
    history_of(log)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER, now=THIRD)
    assert "expected 1 witnesses of 3-" in refused(log)
    log.witness(3, WITNESSES[1])
    history_of(log)


def test_what_does_not_count_as_a_witness() -> None:
    """HIRE-WVH-07: of another log, by others, twice by one, under another purpose, over something else."""
    log = new_log(witness=witness(*WITNESSES))
    said = {"versionId": log.entries[0]["versionId"]}
    other = {"versionId": "1-" + UNNAMED}
    good = witness_proof(said, WITNESSES[0])
    for proof in (
        witness_proof(said, WITNESSES[0]),
        witness_proof(said, OTHER),
        witness_proof(other, WITNESSES[1]),
        witness_proof(said, WITNESSES[1], proofPurpose="authentication"),
        witness_proof(said, WITNESSES[1], verificationMethod=f"{WITNESSES[1].did}#{WITNESSES[0].key.multikey}"),
        {**witness_proof(said, WITNESSES[1]), "created": FIRST},
        {**witness_proof(said, WITNESSES[1]), "@context": None},
        {**witness_proof(said, WITNESSES[1]), "weight": 1.5, "größe": None},
        "no proof",
        None,
        {},
    ):
        log.witnessed = [{**said, "proof": [good, proof]}]
        assert "expected 2 witnesses of 1-" in refused(log)
    # Replayed from another log that has the same witnesses: its version is none of this log.
    log.witnessed = [{**said, "proof": [good]}, {**other, "proof": [witness_proof(other, WITNESSES[1])]}]
    assert "expected 2 witnesses of 1-" in refused(log)
    log.witnessed.append({**said, "proof": [{}, witness_proof(said, WITNESSES[2])]})
    history_of(log)


@pytest.mark.parametrize(
    "raw",
    [b"", b"5", b"{}", b"[1]", b"[{}]", b'[{"versionId":"a","proof":{}}]', b"[" + b"{}," * 600 + b"{}]", b"[" * 20],
)
def test_a_file_of_another_shape(raw: bytes) -> None:
    """HIRE-WVH-05."""
    log = new_log(witness=witness(*WITNESSES))
    log.witness(1, *WITNESSES)
    fetched = log.fetched()
    proofs = next(url for url in fetched if url.endswith("did-witness.json"))
    with refuses(UndersignedError, "did_document_invalid"):
        history_from(log.did, {**fetched, proofs: raw}, now=NOW)


@pytest.mark.parametrize("item", [1, {}, {"proof": []}, {"versionId": 1, "proof": []}, {"versionId": "a", "proof": {}}])
def test_enough_witnesses_do_not_make_up_for_what_is_no_proof(item: Any) -> None:
    """HIRE-WVH-05."""
    log = new_log(witness=witness(*WITNESSES))
    log.witness(1, *WITNESSES)
    assert history_of(log)
    log.witnessed.append(item)
    assert "expected a versionId and a list of proofs" in refused(log)


def test_too_many_witness_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-WVH-05: counted before any of them is verified."""
    log = new_log(witness=witness(*WITNESSES))
    log.witnessed = [{"versionId": log.entries[0]["versionId"], "proof": [{}] * 257} for _ in range(2)]
    monkeypatch.setattr(
        "undersigned.did.methods.webvh_witness.verify_did_key_proof", lambda *_: pytest.fail("verified")
    )
    assert "at most 512 proofs" in refused(log)


def test_too_many_proofs_of_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-WVH-05: counted before any of the log is verified."""
    log = new_log()
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
    log.entries[1]["proof"] = [{}] * 5
    monkeypatch.setattr("undersigned.did.methods.webvh_log.verify_did_key_proof", lambda *_: pytest.fail("verified"))
    assert "at most 4 proofs" in refused(log)


# --- which document is in force -------------------------------------------------------------------------------------


def rotated() -> Log:
    log = new_log()
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
    return log


def test_the_document_in_force_at_an_instant() -> None:
    """HIRE-WVH-08: the last version whose time is not later."""
    log = rotated()
    history = history_of(log)
    for instant, party, gone in (
        (FIRST, KEY_1, KEY_2),
        ("2026-11-09T23:59:59Z", KEY_1, KEY_2),
        (SECOND, KEY_2, KEY_1),
        (NOW, KEY_2, KEY_1),
    ):
        document = history.at(instant)
        assert document.key_for(f"{log.did}#{party.name}", "assertionMethod", now=None) == party.key
        with refuses(UndersignedError, "key_not_authorized"):
            document.key_for(f"{log.did}#{gone.name}", "assertionMethod", now=None)
    with refuses(ResolutionError, "did_unresolvable"):
        history.at("2026-10-31T23:59:59Z")


def test_a_deactivated_did_resolves_no_more() -> None:
    """HIRE-WVH-09: but what was in force before can still be looked up."""
    log = rotated()
    log.add(document_at(log.did), controller=CONTROLLER, now=THIRD, deactivated=True, updateKeys=[])
    history = history_of(log)
    assert history.deactivated
    for use in (
        lambda: history.document,
        lambda: history.at(THIRD),
        lambda: history.at(NOW),
        lambda: document_from(log.did, log.fetched(), now=NOW),
    ):
        with refuses(UndersignedError, "did_deactivated"):
            use()
    assert history.at(SECOND).methods("assertionMethod") == (f"{log.did}#key-2",)
    log.add(document_at(log.did, KEY_1), controller=CONTROLLER, now="2026-11-21T00:00:00Z", deactivated=False)
    assert "expected no entry after" in refused(log)


def test_a_history_that_continues_another() -> None:
    """HIRE-WVH-10."""
    log = new_log()
    before = history_of(log)
    log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
    after = history_of(log)
    log.entries[1] = signed(next_entry(log.entries[0], document_at(log.did, OTHER), now=SECOND), CONTROLLER)
    forked = history_of(log)
    assert after.continues(before)
    assert after.continues(after)
    assert not before.continues(after)
    assert not forked.continues(after)


# --- a move ---------------------------------------------------------------------------------------------------------


def moved(*keys: Party, also: tuple[str, ...] | None = None, **changes: Any) -> tuple[Log, str, str]:
    """A log that moved from globex.example to globex.org; and both names."""
    log = new_log(portable=True)
    former, latest = log.did, f"did:webvh:{log.scid}:globex.org"
    document = document_at(latest, *(keys or (KEY_2,)), also=(former,) if also is None else also)
    log.add({**document, **changes}, controller=CONTROLLER)
    return log, former, latest


def test_a_portable_did_moves_and_its_former_name_stands_for_it() -> None:
    """HIRE-WVH-11: the former name gives the keys of today, under that name."""
    log, former, latest = moved()
    history = history_of(log, latest)
    assert history.document.id == history.did == latest
    for past in (history.under(former), history_of(log, former)):
        document = past.document
        assert document.id == former
        assert document.methods("authentication") == (f"{former}#key-2",)
        assert document.key_for(f"{former}#key-2", "assertionMethod", now=None) == KEY_2.key
        with refuses(UndersignedError, "key_not_authorized"):
            document.key_for(f"{former}#key-1", "assertionMethod", now=None)
        assert past.at(FIRST).key_for(f"{former}#key-1", "assertionMethod", now=None) == KEY_1.key
    with refuses(ResolutionError, "did_unresolvable"):
        history.at(FIRST)  # The new name did not exist then.
    with pytest.raises(UndersignedError):
        history.under(former.replace("globex", "initech"))


def test_nothing_but_what_names_keys_is_under_the_former_name() -> None:
    """HIRE-WVH-11: neither another member of a method, nor a name that only begins as the latest one."""
    log = new_log(portable=True)
    former, latest = log.did, f"did:webvh:{log.scid}:globex.org"
    document: Any = document_at(latest, KEY_2, also=(former,))
    method = document["verificationMethod"][0] | {"owner": latest}
    document |= {"verificationMethod": [method], "keyAgreement": [f"{latest}:europe#key-2"]}
    log.add(document, controller=CONTROLLER)
    known: Any = json.loads(history_of(log, latest).under(former).document.raw)
    assert known["verificationMethod"] == [{**method, "id": f"{former}#key-2", "controller": former}]
    assert known["keyAgreement"] == document["keyAgreement"]


def test_a_later_rotation_counts_under_the_former_name_too() -> None:
    """HIRE-WVH-11: who has the key of before the move does not act for the party any more."""
    log, former, latest = moved()
    log.add(document_at(latest, OTHER, also=(former,)), controller=CONTROLLER, now=THIRD)
    document = history_of(log, latest).under(former).document
    assert document.methods("assertionMethod") == (f"{former}#{OTHER.name}",)


@pytest.mark.parametrize("also", [(), ("did:web:globex.example",)])
def test_a_former_name_ends_when_the_document_no_longer_says_so(also: tuple[str, ...]) -> None:
    """HIRE-WVH-11."""
    log, former, latest = moved()
    log.add(document_at(latest, KEY_2, also=also), controller=CONTROLLER, now=THIRD)
    history = history_of(log, latest)
    assert history.document.id == latest
    with refuses(UndersignedError, "did_document_invalid"):
        _ = history.under(former).document
    assert history.under(former).at(SECOND).id == former


@pytest.mark.parametrize("also", [(), ("did:web:globex.example",), ("did:webvh:globex.example",)])
def test_a_move_names_where_it_comes_from(also: tuple[str, ...]) -> None:
    """HIRE-WVH-11."""
    log, _, latest = moved(also=also)
    assert "under alsoKnownAs" in refused(log, latest)


@pytest.mark.parametrize(
    ("place", "said"), [("127.0.0.1", "address"), ("Globex.org", "host"), ("globex.org:..:a", "plain path segments")]
)
def test_a_log_was_never_at_a_place_that_is_none(place: str, said: str) -> None:
    """HIRE-WVH-01: also if it moved on since."""
    log = new_log(portable=True)
    former, odd, latest = log.did, f"did:webvh:{log.scid}:{place}", f"did:webvh:{log.scid}:globex.org"
    log.add(document_at(odd, KEY_2, also=(former,)), controller=CONTROLLER)
    log.add(document_at(latest, KEY_2, also=(former, odd)), controller=CONTROLLER, now=THIRD)
    with pytest.raises(UndersignedError, match=said) as caught:
        history_of(log, latest)
    assert caught.value.code in {"did_document_invalid", "did_forbidden_address"}


def test_keys_of_others_are_not_renamed() -> None:
    """A method that another DID controls stays another's, also if it is listed under both names."""
    log, former, latest = moved(KEY_2, OTHER)
    state = json.loads(json.dumps(log.entries[1]["state"]))
    state["verificationMethod"][1]["controller"] = "did:web:initech.example"
    log.entries.pop()
    log.add(state, controller=CONTROLLER)
    history = history_of(log, latest)
    assert history.under(former).document.methods("assertionMethod") == (f"{former}#key-2",)
    # One name for two methods is refused.
    state["verificationMethod"].append({**state["verificationMethod"][0], "id": f"{former}#key-2"})
    log.entries.pop()
    log.add(state, controller=CONTROLLER)
    with refuses(UndersignedError, "did_document_invalid"):
        _ = history_of(log, latest).under(former).document
