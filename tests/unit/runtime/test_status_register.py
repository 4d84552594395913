"""What an organisation issued: written down before it is given, withdrawn for good, and told to whoever asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import refuses
from undersigned.credentials import (
    MIN_LIST_BITS,
    check_status,
    read_credential,
    read_unsigned,
    status_entries,
    verify_credential,
    verify_status_list,
)
from undersigned.encoding import JsonObject, decode_json, shift
from undersigned.errors import ConfigurationError, CredentialError, LedgerError, LedgerUnavailable
from undersigned.runtime import Home, StatusRegister, create_home, issue_membership
from undersigned.runtime.home import status_register as module
from undersigned.testing import NOON, HandClock

AGENT = "did:web:agent.example"
UNTIL = shift(NOON, 86_400 * 30)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "acme", name="Acme", domain="acme.example")


@pytest.fixture
def register(home: Home) -> Iterator[StatusRegister]:
    opened = home.register()
    yield opened
    opened.close()


def issue(register: StatusRegister, agent: str = AGENT) -> JsonObject:
    return register.issue("MembershipCredential", agent, {"memberOf": register.issuer}, now=NOON, until=UNTIL)


def look(home: Home, register: StatusRegister, credential: JsonObject, now: str = NOON) -> str:
    """`clear`, or the code by which a verifier refuses it, from what is served."""
    document = home.organisation_document()
    assert document is not None
    one = read_credential(credential)
    (entry,) = status_entries(one)
    raw = register.served(entry.url.removeprefix("https://acme.example"), now)
    assert raw is not None
    value = decode_json(raw)
    assert isinstance(value, dict)
    found = verify_status_list(value, url=entry.url, issuer=register.issuer, documents={document.id: document}, now=now)
    try:
        check_status(one, {entry.url: found}, now)
    except CredentialError as error:
        return error.code
    verify_credential(credential, documents={document.id: document}, lists={entry.url: found}, now=now)
    return "clear"


def test_what_is_issued_is_written_down(register: StatusRegister) -> None:
    signed = issue(register)
    found = register.find(str(signed["id"]))
    assert (found.type, found.subject, found.issued, found.until) == ("MembershipCredential", AGENT, NOON, UNTIL)
    assert found.url == "https://acme.example/status/1"
    assert found.revoked is None
    assert decode_json(found.raw) == signed
    assert register.issued() == (found,)
    with refuses(ConfigurationError, "not_found"):
        register.find("urn:uuid:nobody")


def test_what_others_write_may_be_good_for_ever(home: Home, register: StatusRegister) -> None:
    """HIRE-JSN-06: it is signed as it is; written down is the last instant that there is."""
    written: JsonObject = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": register.issuer,
        "validUntil": "9999-12-31T23:59:59Z",
        "credentialSubject": {"id": AGENT},
    }
    signed = register.secure(read_unsigned(written), known_as="for ever", now=NOON)
    assert signed["validUntil"] == "9999-12-31T23:59:59Z"
    assert register.find("for ever").until == "2999-12-31T23:59:59Z"
    assert look(home, register, signed) == "clear"


@pytest.mark.parametrize("as_jwt", [False, True], ids=["with-a-proof", "as-a-text"])
def test_whose_clock_is_a_little_behind_takes_what_is_made_now(
    home: Home, register: StatusRegister, as_jwt: bool
) -> None:
    """By as much as HIRE-PRF-03 allows: what is issued is shown at once, and a list signed when it is asked for."""
    claims = {"memberOf": register.issuer}
    credential = register.issue("MembershipCredential", AGENT, claims, now=NOON, until=UNTIL, as_jwt=as_jwt)
    behind, document = shift(NOON, -60), home.organisation_document()
    assert document is not None
    (entry,) = status_entries(read_credential(credential))
    value = decode_json(register.served("/status/1", NOON) or b"")
    assert isinstance(value, dict)
    documents = {document.id: document}
    found = verify_status_list(value, url=entry.url, issuer=register.issuer, documents=documents, now=behind)
    verify_credential(credential, documents=documents, lists={entry.url: found}, now=behind)


def test_a_withdrawn_credential_and_no_other(home: Home, register: StatusRegister) -> None:
    """HIRE-STA-07."""
    credentials = [issue(register, f"did:web:agent-{number}.example") for number in range(5)]
    assert {look(home, register, one) for one in credentials} == {"clear"}
    withdrawn = register.revoke(str(credentials[2]["id"]), shift(NOON, 5))
    assert withdrawn.revoked == shift(NOON, 5)
    assert [look(home, register, one, shift(NOON, 6)) for one in credentials] == [
        "clear",
        "clear",
        "revoked",
        "clear",
        "clear",
    ]
    assert register.revoke(withdrawn.id, shift(NOON, 99)) == withdrawn


def test_another_process_withdraws_and_the_server_tells(home: Home, register: StatusRegister) -> None:
    """HIRE-STA-07: what the command wrote is seen by the daemon with the next request."""
    credential = issue(register)
    assert look(home, register, credential) == "clear"
    other = home.register()
    other.revoke(str(credential["id"]), NOON)
    other.close()
    assert look(home, register, credential) == "revoked"


def test_withdrawn_stays_withdrawn_when_the_process_dies_before_it_signs(
    home: Home, register: StatusRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-STA-07: the bit is on disk first, and the list is signed by whoever serves it next."""
    credential = issue(register)
    assert look(home, register, credential) == "clear"

    def died(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StatusRegister, "_sign_list", died)
        with pytest.raises(KeyboardInterrupt):
            register.revoke(str(credential["id"]), NOON)
    register.close()
    assert look(home, home.register(), credential) == "revoked"


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("key", [True, False], ids=["no store", "no key"])
def test_who_withdraws_and_cannot_sign_the_list_is_told_that_it_is_withdrawn(
    home: Home, register: StatusRegister, monkeypatch: pytest.MonkeyPatch, several: bool, key: bool
) -> None:
    """HIRE-STA-07: who read that it was not would go on with it, or say so to others."""
    ids = [str(issue(register)["id"]) for _ in range(2 if several else 1)]
    opened = home.register()
    error = LedgerError("store_unavailable", "away") if key else ConfigurationError("key_unavailable", "away")

    def away(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(StatusRegister, "_sign_list", away)
    with pytest.raises(type(error), match=r"withdrawn; the list cannot be signed now.*: away") as told:
        opened.revoke_all(ids, NOON) if several else opened.revoke(ids[0], NOON)
    assert told.value.detail["withdrawn"] is True
    assert [one.revoked for one in opened.issued()] == [NOON] * len(ids)
    opened.close()


def test_a_list_is_signed_again_before_its_end(home: Home, register: StatusRegister) -> None:
    credential = issue(register)
    path = "/status/1"
    first = register.served(path, NOON)
    assert register.served(path, shift(NOON, 43_200)) == first
    assert register.served(path, shift(NOON, 43_201)) != first
    assert look(home, register, credential, shift(NOON, 10 * 86_400)) == "clear"
    # A clock that was set back: nobody would take a list from the future.
    assert look(home, register, credential, shift(NOON, 60)) == "clear"


@pytest.mark.parametrize("path", ["/status/2", "/status/0", "/status/01", "/status/1/", "/status/", "/status/x", "/"])
def test_no_other_path_is_served(path: str, register: StatusRegister) -> None:
    issue(register)
    assert register.served(path, NOON) is None
    assert register.served("/status/1", NOON) is not None


def test_nothing_is_made_by_asking(home: Home, register: StatusRegister) -> None:
    assert register.served("/status/1", NOON) is None
    assert register.issued() == ()
    assert not (home.path / "issued.db").exists()


def test_places_are_not_in_order_and_a_half_full_list_is_followed_by_the_next(
    register: StatusRegister, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PLACES", 20)
    for number in range(45):
        issue(register, f"did:web:agent-{number}.example")
    found = register.issued()
    assert [sum(one.url == f"https://acme.example/status/{number}" for one in found) for number in (1, 2, 3)] == [
        20,
        20,
        5,
    ]
    places = [one.place for one in found if one.place is not None]
    assert len(places) == 45
    assert places != sorted(places)
    assert all(32 <= place < MIN_LIST_BITS for place in places)


async def test_an_organisation_without_a_domain_withdraws_nothing(tmp_path: Path) -> None:
    """It has nowhere to serve a list (decision 0132)."""
    home = create_home(tmp_path / "key", name="Key")
    await issue_membership(home, clock=HandClock())
    (credential,) = home.credentials()
    assert not credential.has_status
    register = home.register()
    (found,) = register.issued()
    assert (found.url, found.place, found.id) == (None, None, credential.json["id"])
    with refuses(ConfigurationError, "bad_configuration"):
        register.revoke(found.id, NOON)
    assert register.served("/status/1", NOON) is None
    register.close()


@pytest.mark.parametrize(
    ("options", "base"),
    [({"domain": "acme.example"}, "https://acme.example"), ({"local": True, "port": 18_080}, "http://localhost:18080")],
)
async def test_a_membership_can_be_withdrawn_where_there_is_a_domain(
    options: dict[str, str | int], base: str, tmp_path: Path
) -> None:
    home = create_home(tmp_path / "home", name="Acme", **options)  # type: ignore[arg-type]
    await issue_membership(home, clock=HandClock())
    (entry,) = status_entries(home.credentials()[0])
    assert (entry.url, entry.purpose) == (f"{base}/status/1", "revocation")


def test_a_register_that_cannot_be_used_is_an_error(home: Home) -> None:
    (home.path / "issued.db").write_bytes(b"not a database at all, and longer than a header of one " * 20)
    with refuses(LedgerError, "store_corrupt"):
        home.register().issued()
    (home.path / "issued.db").unlink()
    with sqlite3.connect(home.path / "issued.db") as store:
        store.execute("PRAGMA user_version = 9")
    with refuses(LedgerError, "store_version"):
        home.register().issued()
    (home.path / "issued.db").unlink()
    (home.path / "issued.db").mkdir()
    with refuses(LedgerError, "store_unavailable"):
        issue(home.register())


@pytest.mark.parametrize("lost", ["gone", "empty"])
def test_a_register_that_was_lost_makes_nothing_good_that_was_withdrawn(
    lost: str, home: Home, register: StatusRegister
) -> None:
    """It served a list in which nothing is withdrawn, once it issued again."""
    register.revoke(str(issue(register)["id"]), NOON)
    register.close()
    held = (home.path / "issued.db").read_bytes()
    (home.path / "issued.db").unlink()
    if lost == "empty":
        (home.path / "issued.db").touch()
    again = home.register()
    for use in (
        again.issued,
        again.check,
        lambda: issue(again),
        lambda: again.served("/status/1", NOON),
    ):
        with pytest.raises(LedgerError, match=f"issued.db is {lost}") as caught:
            use()
        assert caught.value.code == "store_corrupt"
    (home.path / "issued.db").write_bytes(held)
    (found,) = again.issued()
    assert found.revoked == NOON
    again.close()


def test_a_register_of_before_is_known_for_one_once_it_was_opened(home: Home, register: StatusRegister) -> None:
    issue(register)
    register.close()
    (home.path / "issued.db.made").unlink()
    older = home.register()
    assert len(older.issued()) == 1
    older.close()
    (home.path / "issued.db").unlink()
    with refuses(LedgerError, "store_corrupt"):
        home.register().issued()
    (home.path / "issued.db.made").unlink()  # who knows that nothing was withdrawn
    assert home.register().issued() == ()


def test_a_register_that_finds_no_room_says_so(home: Home, register: StatusRegister) -> None:
    issue(register)
    register._store._connected().execute("PRAGMA max_page_count = 1")  # as many as there are: SQLite takes no more

    def more() -> None:
        for _ in range(100):
            issue(register)

    with pytest.raises(LedgerUnavailable, match=str(home.path / "issued.db")) as caught:
        more()
    assert caught.value.code == "store_full"


def test_who_was_hired_and_withdrawn_is_nobody_elses_to_read(home: Home, register: StatusRegister) -> None:
    """Like the ledger, and whatever the umask says."""
    issue(register)
    written = [file for file in home.path.glob("issued.db*") if file.is_file()]
    assert [file.name for file in written if file.stat().st_mode & 0o077] == []
    assert written
