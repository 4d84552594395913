"""An organisation's key is replaced: what the one before signed holds, unless that is taken out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from support import refuses
from undersigned.credentials import read_credential, status_entries, verify_credential, verify_status_list
from undersigned.did import DidDocument
from undersigned.encoding import Did, JsonObject, decode_json, digest_of, shift
from undersigned.errors import ConfigurationError, CredentialError, LedgerError, LedgerUnavailable, VerificationError
from undersigned.ledger import Lock
from undersigned.runtime import (
    AnchorBook,
    Home,
    create_home,
    issue_membership,
    rotate_key,
    rotate_organisation_key,
    sign_record,
)
from undersigned.testing import NOON, HandClock
from undersigned.trust import Anchor, anchor_record

OTHER = "did:web:other.example"
UNTIL = shift(NOON, 86_400 * 30)
LATER = HandClock(shift(NOON, 3600))


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    made = create_home(tmp_path / "acme", name="Acme", domain="acme.example")
    await issue_membership(made, clock=HandClock(NOON))
    return made


def office(home: Home) -> DidDocument:
    document = home.organisation_document()
    assert document is not None
    return document


def issued(home: Home, *, as_jwt: bool = False) -> JsonObject:
    register = home.register()
    claims = {"memberOf": register.issuer}
    try:
        return register.issue("MembershipCredential", OTHER, claims, now=NOON, until=UNTIL, as_jwt=as_jwt)
    finally:
        register.close()


def look(home: Home, credential: Mapping[str, object], now: str = LATER.now()) -> str:
    """`clear`, or the code by which others refuse it, from what the organisation publishes."""
    document, register = office(home), home.register()
    try:
        (entry,) = status_entries(read_credential(credential))
        raw = register.served("/status/1", now)
        assert raw is not None
        served = decode_json(raw)
        assert isinstance(served, dict)
        documents = {document.id: document}
        listed = verify_status_list(served, url=entry.url, issuer=document.id, documents=documents, now=now)
        verify_credential(credential, documents=documents, now=now, lists={entry.url: listed})
    except (CredentialError, VerificationError) as error:
        return error.code
    finally:
        register.close()
    return "clear"


def by(credential: Mapping[str, object]) -> object:
    """The method that signed it."""
    read = read_credential(credential)
    proof = read.json.get("proof")
    return read.jws.method if read.jws is not None else isinstance(proof, dict) and proof["verificationMethod"]


def test_what_the_key_before_signed_holds_and_the_new_one_signs(home: Home) -> None:
    """Its list too: it was signed by the one before, and is later signed by the new one."""
    before, names = issued(home), [f"{office(home).id}#office"]
    old = home.key("organisation").public_key
    names.append(rotate_organisation_key(home, clock=LATER)[0])
    assert office(home).methods("authentication") == (names[1],)
    assert office(home).methods("assertionMethod") == (names[1], names[0])
    assert home.key("organisation").public_key != old
    assert home.former_keys("organisation") == (old,)
    after = issued(home)
    assert (by(before), by(after)) == (names[0], names[1])
    day = shift(LATER.now(), 86_400)
    assert [look(home, one, now) for one in (before, after) for now in (LATER.now(), day)] == ["clear"] * 4
    assert [look(home, one.shown) for one in home.credentials()] == ["clear"]
    names.append(rotate_organisation_key(home, clock=LATER)[0])
    assert office(home).methods("assertionMethod") == (names[2], names[1], names[0])
    assert len(set(names)) == 3, "HIRE-KEY-08: a name that was published stays that of its key"


def test_taken_out_it_signs_nothing_that_holds(home: Home) -> None:
    """HIRE-KEY-07: what holds is signed anew before, under its id and at its place, the agent's own where it lies."""
    before, text, gone = issued(home), issued(home, as_jwt=True), issued(home)
    (own,) = home.credentials()
    register = home.register()
    register.revoke(str(gone["id"]), NOON)
    register.close()
    method, anew = rotate_organisation_key(home, drop=True, clock=LATER)
    assert office(home).methods("assertionMethod") == (method,)
    assert {look(home, one) for one in (before, text, gone, own.shown)} == {"key_not_authorized"}
    register = home.register()
    held = {one.id: one for one in register.issued()}
    register.close()
    signed = {id: decode_json(held[id].raw) for id in anew}
    assert anew == {id: held[id].subject for id in held if id != gone["id"]}
    for id in anew:
        document = signed[id]
        assert isinstance(document, dict)
        assert (by(document), look(home, document)) == (method, "clear")
    read = read_credential(text)
    again = read_credential(signed[str(read.json["id"])])
    assert again.jws is not None, "what was a signed text is one again"
    assert {name: again.json[name] for name in again.json if name != "iat"} == {
        name: read.json[name] for name in read.json if name != "iat"
    }
    (shown,) = home.credentials()
    assert shown.json == signed[str(own.json["id"])]
    assert {name: shown.json[name] for name in shown.json if name != "proof"} == {
        name: own.json[name] for name in own.json if name != "proof"
    }


def test_a_list_that_the_key_taken_out_signed_since_is_not_served(home: Home) -> None:
    """By who has the register open: `spawn` withdraws at its end what it gave out."""
    before, gone = issued(home), issued(home)
    spawning = home.register()
    spawning.revoke(str(issued(home)["id"]), NOON)  # its key is open
    rotate_organisation_key(home, drop=True, clock=LATER)
    spawning.revoke(str(gone["id"]), LATER.now())
    spawning.close()
    register = home.register()
    anew = {one.id: decode_json(one.raw) for one in register.issued()}
    register.close()
    seen = [anew[str(one["id"])] for one in (before, gone)]
    assert [look(home, one) for one in seen if isinstance(one, dict)] == ["clear", "revoked"]


def test_what_is_over_is_not_signed_anew(home: Home) -> None:
    credential = issued(home)
    _, anew = rotate_organisation_key(home, drop=True, clock=HandClock(shift(UNTIL, 1)))
    assert str(credential["id"]) not in anew
    assert len(anew) == 1, "the membership, which holds for a year"


async def test_whom_it_believes_stays(home: Home) -> None:
    """What the organisation signed in its own folder counts as it did, whichever of its keys is published."""
    did: Did = "did:web:guild.example"
    unsigned = anchor_record(id=f"urn:uuid:{uuid4()}", anchor=Anchor(issuer=did), evidence="their statutes", added=NOON)
    record = await sign_record(home, unsigned, NOON)
    AnchorBook(home, NOON).put(record)
    for drop in (False, True):
        rotate_organisation_key(home, drop=drop, clock=LATER)
        book = AnchorBook(home, LATER.now())
        assert [one.issuer for one in book.anchors.anchors] == [did]
    assert [kept.digest for kept in book.records] == [digest_of(record)]
    with refuses(VerificationError, "key_not_authorized"):
        book.checked(record)  # handed in again it is as anybody's


def test_both_keys_are_replaced_one_after_the_other(home: Home) -> None:
    agent = home.key().public_key
    rotate_organisation_key(home, clock=LATER)
    assert home.key().public_key == agent
    rotate_key(home)
    assert home.key().public_key != agent
    assert home.former_keys() == (agent,)
    assert len(home.former_keys("organisation")) == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [({"office": False}, "has no organisation"), ({}, "is its key: it cannot rotate")],
    ids=["none", "did:key"],
)
def test_where_there_is_none_that_could_be_replaced(tmp_path: Path, more: Mapping[str, bool], told: str) -> None:
    home = create_home(tmp_path / "small", name="Small", **more)
    with pytest.raises(ConfigurationError, match=told) as caught:
        rotate_organisation_key(home)
    assert caught.value.code == "bad_configuration"


@pytest.mark.parametrize("lock", ["ledger.db.lock", "keys/rotation.lock"])
def test_not_while_a_peer_runs_nor_twice_at_once(home: Home, lock: str) -> None:
    """The peer would publish the document of before, with lists that the new key signed."""
    before, held = office(home).raw, Lock(home.path / lock)
    with refuses(LedgerUnavailable, "store_unavailable"):
        rotate_organisation_key(home)
    assert office(home).raw == before
    held.release()
    rotate_organisation_key(home)


def test_what_cannot_be_signed_anew_takes_nothing_out(home: Home) -> None:
    credential = issued(home)
    (home.path / "issued.db").write_bytes(b"damaged" * 1000)
    with refuses(LedgerError, "store_corrupt"):
        rotate_organisation_key(home, drop=True, clock=LATER)
    assert len(office(home).methods("assertionMethod")) == 2
    document = office(home)
    verify = {"documents": {document.id: document}, "now": LATER.now()}
    with refuses(CredentialError, "status_unavailable"):
        verify_credential(credential, lists={}, **verify)
