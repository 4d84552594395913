"""Identities of minutes: issued by the hundred in one commit, each with a key of its own, and withdrawn together."""

from __future__ import annotations

import sqlite3
import stat
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from undersigned.credentials import (
    Ceiling,
    Membership,
    read_claim,
    read_credential,
    status_entries,
    verify_credential,
    verify_status_list,
)
from undersigned.encoding import decode_json, parse_instant
from undersigned.errors import ConfigurationError, LedgerError
from undersigned.runtime import SPAWN_BATCH, Agent, Home, Organisation, SystemClock, create_home, open_key
from undersigned.runtime.home import status_register as module
from undersigned.runtime.home.organisation import toml_value
from undersigned.testing import NOON, HandClock
from undersigned.transparency import NoteVerifier, verifier_text

CEILING = Ceiling(amount="5", currency="EUR", actions=("artifact:read",))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create_home(tmp_path / "acme", name="Acme", domain="acme.example", max_price="10 EUR")


@pytest.fixture
def acme(home: Home) -> Iterator[Organisation]:
    with Organisation(home, clock=HandClock()) as opened:
        yield opened


def test_it_is_opened_by_its_folder_as_a_peer_is(home: Home) -> None:
    with Organisation(home) as acme:
        issuer = acme.did
    for folder in (home.path, str(home.path)):
        with Organisation(folder) as acme:
            assert acme.did == issuer
    with pytest.raises(ConfigurationError, match="the state folder: expected its path, got 3"):
        Organisation(3)  # type: ignore[arg-type]


@contextmanager
def statements(acme: Organisation) -> Iterator[list[str]]:
    """The first words of each statement that the register's store runs."""
    seen: list[str] = []
    store = acme.register._store._connected()
    store.set_trace_callback(lambda text: seen.append(" ".join(text.split()[:2])))
    try:
        yield seen
    finally:
        store.set_trace_callback(None)


def states(acme: Organisation) -> Counter[bool]:
    return Counter(one.revoked is not None for one in acme.register.issued())


def test_a_batch_is_one_commit_and_so_is_the_end(acme: Organisation) -> None:
    """HIRE-SWM-01, HIRE-SWM-02. Counted, not timed: `make bench ARGS=--spawn` shows the speed."""
    count = 2 * SPAWN_BATCH + 1
    with statements(acme) as seen:
        with acme.spawn(count, ceiling=CEILING) as swarm:
            assert seen.count("COMMIT") == 3
            assert states(acme) == {False: count}
            seen.clear()
        end = seen.index("COMMIT")
    assert seen[:end].count("UPDATE issued") == count, "all of them before the first commit"
    assert seen.count("UPDATE issued") == count
    assert seen.count("COMMIT") == 2, "one withdraws, one keeps the list that says so"
    assert states(acme) == {True: count}
    assert len({one.did for one in swarm.identities}) == len({one.key.public_key for one in swarm.identities}) == count


def test_each_has_a_membership_of_minutes_with_the_ceiling(acme: Organisation, home: Home) -> None:
    """HIRE-SWM-01."""
    document = home.organisation_document()
    assert document is not None
    with acme.spawn(3, minutes=7, ceiling=CEILING) as swarm:
        for one in swarm.identities:
            read = read_credential(one.membership)
            assert read_claim(read) == Membership(id=one.did, member_of=acme.did, limits=CEILING)
            assert one.did == f"did:key:{one.key.public_key.multikey}"
            (entry,) = status_entries(read)
            raw = acme.register.served(entry.url.removeprefix("https://acme.example"), NOON)
            assert raw is not None
            value = decode_json(raw)
            assert isinstance(value, dict)
            found = verify_status_list(
                value, url=entry.url, issuer=acme.did, documents={document.id: document}, now=NOON
            )
            verify_credential(one.membership, documents={document.id: document}, lists={entry.url: found}, now=NOON)
            assert not found.is_set(entry.index)
            assert (parse_instant(one.until) - parse_instant(NOON)).total_seconds() == 420
        assert swarm.until == one.until
    for minutes in (0, 61):
        with pytest.raises(ConfigurationError):
            acme.spawn(1, minutes=minutes)


def test_they_end_also_with_an_error(acme: Organisation) -> None:
    """HIRE-SWM-02."""
    swarm = acme.spawn(5)

    def work() -> None:
        with swarm:
            swarm.add(2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert states(acme) == {True: 7}
    assert swarm.withdraw() == 0


def test_a_swarm_that_is_not_issued_whole_is_withdrawn(acme: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-SWM-02. The second of two batches fails: the first was on disk, so it is taken back."""
    first = module.StatusRegister._free
    batches = 0

    def failing(store: sqlite3.Connection):
        nonlocal batches
        batches += 1
        if batches == 2:
            raise sqlite3.OperationalError("disk I/O error")
        return first(store)

    monkeypatch.setattr(module.StatusRegister, "_free", staticmethod(failing))
    with pytest.raises(LedgerError), acme.spawn(SPAWN_BATCH + 1):
        pytest.fail("it was entered")
    assert states(acme) == {True: SPAWN_BATCH}


def test_one_that_was_not_issued_here_withdraws_none(acme: Organisation) -> None:
    with acme.spawn(2) as swarm:
        ids = [str(one.membership["id"]) for one in swarm.identities]
        with pytest.raises(ConfigurationError) as caught:
            acme.register.revoke_all([*ids, "urn:uuid:nobody"], NOON)
        assert caught.value.code == "not_found"
        assert states(acme) == {False: 2}


def test_who_cannot_withdraw_gives_out_none(tmp_path: Path) -> None:
    """HIRE-SWM-03."""
    with Organisation(create_home(tmp_path / "key", name="Key")) as acme, pytest.raises(ConfigurationError) as caught:
        acme.spawn(1)
    assert caught.value.code == "bad_configuration"
    assert "could not withdraw" in caught.value.message


def test_a_full_list_is_followed_by_another_in_the_same_batch(
    acme: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-SWM-02. Both lists show their part."""
    monkeypatch.setattr(module, "MOST_PLACES", 4)
    with acme.spawn(10):
        pass
    assert Counter(one.url for one in acme.register.issued()) == {
        f"https://acme.example/status/{number}": count for number, count in ((1, 4), (2, 4), (3, 2))
    }
    assert states(acme) == {True: 10}


def test_a_state_folder_for_a_process(acme: Organisation, tmp_path: Path) -> None:
    """It opens as any, acts as its own identity and no other, and holds to the ceiling by itself."""
    with acme.spawn(2, ceiling=CEILING) as swarm:
        folder = tmp_path / "workers" / "0"
        home = swarm.write(swarm.identities[0], folder)
        other = swarm.write(swarm.identities[1], tmp_path / "workers" / "1")
        assert home.configuration.did == swarm.identities[0].did
        assert home.key().public_key == swarm.identities[0].key.public_key
        assert home.key().public_key != other.key().public_key
        assert [one.json["id"] for one in home.credentials()] == [swarm.identities[0].membership["id"]]
        policy = home.configuration.policy
        assert (policy.max_price, policy.currency, policy.actions) == ("5", "EUR", ("artifact:read",))
        assert home.configuration.trust == acme.home.configuration.trust
        assert (home.path / "organisation.json").read_bytes() == (acme.home.path / "organisation.json").read_bytes()
        assert Agent(home).identity.did == home.configuration.did
        assert not (folder / "keys" / "organisation.json").exists()
        for file in folder.rglob("*"):
            if file.is_file():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        with pytest.raises(ConfigurationError):
            swarm.write(swarm.identities[1], folder)


def test_the_ceiling_never_widens_the_policy(home: Home, tmp_path: Path) -> None:
    file = home.path / "undersigned.toml"
    text = file.read_text()
    file.write_text(text + 'actions = ["artifact:read", "net:connect"]\nmax_duration = "PT2H"\n')
    wide = Ceiling(amount="500", currency="EUR", actions=("net:connect", "repo:read"))
    with Organisation(Home(home.path), clock=SystemClock()) as acme, acme.spawn(1, ceiling=wide) as swarm:
        policy = swarm.write(swarm.identities[0], tmp_path / "worker").configuration.policy
        assert (policy.max_price, policy.actions, policy.max_duration) == ("10", ("net:connect",), "PT2H")
    other = Ceiling(amount="5", currency="USD")
    with Organisation(home) as acme, acme.spawn(1, ceiling=other) as swarm, pytest.raises(ConfigurationError):
        swarm.write(swarm.identities[0], tmp_path / "another")


@pytest.mark.parametrize("ceiling", [Ceiling(actions=("artifact:read", "write")), Ceiling(amount="-1", currency="EUR")])
def test_a_ceiling_that_no_contract_could_keep_is_none(acme: Organisation, ceiling: Ceiling) -> None:
    """Before anything is issued: a word that is no action would let no scope pass, and nobody would say why."""
    with pytest.raises(ConfigurationError, match="policy: expected"):
        acme.spawn(1, ceiling=ceiling)


def test_under_a_passphrase_that_is_named_none_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSIGNED_PASSPHRASE", "correct horse battery staple")
    home = create_home(tmp_path / "acme", name="Acme", domain="acme.example")
    with Organisation(home) as acme, acme.spawn(1) as swarm:
        worker = swarm.write(swarm.identities[0], tmp_path / "worker")
        assert not (worker.path / "keys" / "passphrase").exists()
        assert worker.key().public_key == swarm.identities[0].key.public_key
        with pytest.raises(ConfigurationError):
            open_key(worker.path / "keys" / "agent.json", "another")


def test_settings_are_written_as_they_were_read(home: Home, tmp_path: Path) -> None:
    """Every kind of value that a configuration can hold comes out as it went in; files are named where they lie."""
    file = home.path / "undersigned.toml"
    (home.path / "token").write_text("secret")
    trust = 'reach_of_one = -1\npeople = ["did:key:z6MktmEgvys6uurSWe31aoeaVqaCsEc77g9UVr3ZWuiZSmmR"]\n'
    text = (
        file.read_text()
        .replace("[trust]\n", f"[trust]\n{trust}")
        .replace('name = "Acme"', 'name = "Ac\u00e9me \\"x\\""', 1)
    )
    more = """allow_subcontracting = false

[[registry]]
url = "https://registry.example"
authorities = ["did:web:guild.example"]
token_file = "token"
"""
    key = verifier_text(NoteVerifier("did:web:witness.example", True, home.key().public_key))
    watched = f'\n[[witness]]\nurl = "https://witness.example"\nkey = "{key}"\n'
    file.write_text(text + more + watched)
    with Organisation(Home(home.path)) as acme, acme.spawn(1) as swarm:
        worker = swarm.write(swarm.identities[0], tmp_path / "worker")
    before, after = (tomllib.loads((one.path / "undersigned.toml").read_text()) for one in (home, worker))
    for settings in (before, after):
        for name in ("did", "listen"):
            settings.pop(name, None)
    assert before.pop("witness"), "who watches the organisation's log knows none of theirs"
    assert after.pop("registry") == [{**before.pop("registry")[0], "token_file": str(home.path / "token")}]
    assert after == before
    assert worker.registry_token(worker.registries[0]) == "secret"


def test_its_identities_book_where_the_organisation_does(home: Home, tmp_path: Path) -> None:
    """HIRE-CAP-01: with books of its own each of them would have the whole budget; and what is known of targets holds
    for all. Where gates ask is the organisation's own.
    """
    file = home.path / "undersigned.toml"
    (home.path / "labels.toml").write_text("")
    text = file.read_text()
    first = text.index("[")
    own = 'books = "books.db"\nlabels = "labels.toml"\n'
    file.write_text(f"{text[:first]}{own}{text[first:]}\n[gates]\nport = 8104\n")
    own_home = Home(home.path)
    with Organisation(own_home) as acme, acme.spawn(1) as swarm:
        worker = swarm.write(swarm.identities[0], tmp_path / "worker")
        assert worker.books_url == own_home.books_url
        assert worker.labels == own_home.labels
        assert worker.configuration.gates is None


def test_a_budget_is_one_for_all_of_them(home: Home, tmp_path: Path) -> None:
    """HIRE-CAP-01: of two swarms, whose settings do not say where to book."""
    with Organisation(home) as acme, acme.spawn(1) as swarm:
        assert swarm.write(swarm.identities[0], tmp_path / "unbounded").books_url is None
    file = home.path / "undersigned.toml"
    file.write_text(file.read_text() + '\n[[budget]]\nunit = "EUR"\nmax = "20"\n')
    urls: list[str | None] = []
    for name in ("one", "two"):
        with Organisation(Home(home.path)) as acme, acme.spawn(2) as swarm:
            for number, one in enumerate(swarm.identities):
                worker = swarm.write(one, tmp_path / f"{name}-{number}")
                assert worker.budget == Home(home.path).budget
                urls.append(worker.books_url)
    assert set(urls) == {f"sqlite://{home.path / 'spawned.db'}"}


def test_any_text_is_written_as_toml() -> None:
    for text in ("", "a\nb\tc", '"\\', "\x00\x1f\x7f\x80", "\u2028", "\U0001f600", "é"):
        assert tomllib.loads(f"x = {toml_value({text or 'y': [text, 1, True]})}") == {
            "x": {text or "y": [text, 1, True]}
        }
