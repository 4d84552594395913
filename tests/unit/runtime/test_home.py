"""State folders: made, opened, and refused with a reason."""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support import refuses
from undersigned.credentials import (
    Endorsement,
    Membership,
    StatusList,
    read_claim,
    read_credential,
    status_urls,
    verify_credential,
    verify_status_list,
)
from undersigned.did import DidDocument
from undersigned.encoding import shift
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.ledger import open_ledger
from undersigned.runtime import (
    Home,
    OfferPart,
    StatusRegister,
    SystemClock,
    claimed,
    create_home,
    issue_claims,
    issue_membership,
    load_anchors,
    open_key,
    rotate_key,
)
from undersigned.testing import NOON, Actor, HandClock
from undersigned.trust import Policy

MINIMAL = 'did = "did:key:z6MkoVNKbBqcyxASmBuHMfyKY2oro2aiqb42u88HsXC2UtSN"\nname = "Acme"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return create_home(tmp_path_factory.mktemp("made") / "home", name="Acme", domain="acme.example")


@pytest.fixture
def home(folder: Path) -> Home:
    return create_home(folder, name="Acme", local=True, port=18080)


def write(folder: Path, text: str | bytes) -> Path:
    folder.mkdir()
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / "undersigned.toml").write_bytes(raw)
    return folder


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL + "colour = 'red'\n",
        MINIMAL + "[listen]\nports = 1\n",
        MINIMAL + "[listen]\nport = 65536\n",
        MINIMAL + "[listen]\nport = '8443'\n",
        MINIMAL + "[listen]\nproxies = '127.0.0.1'\n",
        MINIMAL + "[listen]\nproxies = ['proxy.example']\n",
        MINIMAL + "[listen]\nproxies = ['10.0.0.1/8']\n",
        MINIMAL + "[trust]\nanchor = []\n",
        MINIMAL + "[trust]\nanchors = ['acme']\n",
        MINIMAL + "[policy]\nmaxPrice = '5'\n",
        MINIMAL + "[policy]\nmax_price = '5,00'\ncurrency = 'EUR'\n",
        MINIMAL + "[[offer]]\ntask = 'sbom'\n",
        MINIMAL + "[[offer]]\ntask = 'sbom'\nhandler = 'a:b'\ncapacity = 0\n",
        MINIMAL + "[organisation]\ndid = 'did:web:acme.example'\n",
        MINIMAL + "resolver = 'http://resolver.example'\n",
        MINIMAL + "resolver = 'https://'\n",
        MINIMAL + "[listen]\nurl = 'https://'\n",
        MINIMAL + "[listen]\nurl = 'ftp://acme.example'\n",
        MINIMAL + "[listen]\nurl = 'http://acme.example'\n",
        MINIMAL + "[listen]\nurl = ' https://acme.example'\n",
        MINIMAL + "[listen]\nurl = 'https://acme.example:99999'\n",
        MINIMAL + "[moved]\n'did:web:acme.example' = 'did:web:acme.org'\n",
        MINIMAL + "[moved]\n'acme' = 'did:webvh:a:acme.org'\n",
        "name = 'Acme'\n",
        "did = 'acme'\nname = 'Acme'\n",
        "did = 'did:WEB:acme.example'\nname = 'Acme'\n",
        "did = 1\nname = 'Acme'\n",
        "not toml",
        b"\xff\xfe",
        MINIMAL + "x = " + "[" * 5000,
    ],
    ids=lambda text: repr(text[-30:]),
)
def test_a_configuration_is_read_strictly(text: str | bytes, folder: Path) -> None:
    """An unknown name may be a limit that was misspelled, so it is an error."""
    with pytest.raises(ConfigurationError) as refused:
        Home(write(folder, text))
    assert refused.value.code == "bad_configuration"
    assert "undersigned.toml" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[policy]\nbudget = []\n", "; budget is a member of the file: it stands before the first [table]"),
        ("[policy]\n[[policy.rule]]\nname = 'x'\nbooks = 'x'\n", "; books is a member of the file"),
        ("[[offer]]\ntask = 'x'\nhandler = 'a:b'\nlabels = 'x'\n", "; labels is a member of the file"),
        ("[policy]\ncolour = 'red'\n", ": policy has no `colour`. It may have "),
        ("colour = 'red'\n", ": the file has no `colour`. It may have did, name, local, "),
        ("budgets = []\n", ": the file has no `budgets`; did you mean `budget`? It may have did, "),
        (
            "[[offer]]\ntask = 'x'\nhandler = 'a:b'\ncapcity = 3\n",
            ": offer[0] has no `capcity`; did you mean `capacity`? ",
        ),
        ("[control]\nhots = 'x'\n", ": control has no `hots`; did you mean `host`? It may have host, port"),
        (
            "[policy]\n[[policy.rule]]\nname = 'x'\nabov = '1 EUR'\n",
            ": policy.rule[0] has no `abov`; did you mean `above`? ",
        ),
    ],
)
def test_a_member_of_the_file_in_a_table_is_told_where_it_stands(text: str, says: str, folder: Path) -> None:
    """Appended to the file, it is in the table that stands last."""
    with pytest.raises(ConfigurationError, match="has no `") as refused:
        Home(write(folder, MINIMAL + text))
    assert says in refused.value.message
    assert ("is a member" in refused.value.message) == ("It may have" not in refused.value.message)


def test_an_editor_s_byte_order_mark_is_told_as_that(folder: Path) -> None:
    """What cannot be seen was an invalid statement at line 1, column 1."""
    with pytest.raises(ConfigurationError) as refused:
        Home(write(folder, BOM_UTF8 + MINIMAL.encode()))
    assert refused.value.message.endswith(
        "undersigned.toml: it begins with a byte order mark: save it as UTF-8 without one"
    )


@pytest.mark.parametrize("member", ["budget = [{ unit = 'EUR', max = '5' }]", "books = 'bookings.db'"])
def test_a_member_of_the_file_among_people_is_told_where_it_stands(member: str, folder: Path) -> None:
    """A table whose names anybody may choose knows no unknown one."""
    with pytest.raises(ConfigurationError) as refused:
        Home(write(folder, f"{MINIMAL}[approvers]\n{member}\n"))
    name = member.partition(" ")[0]
    assert refused.value.message.endswith(f"; {name} is a member of the file: it stands before the first [table]")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[trust]\nanchors = ['acme']\n",
            "[trust] anchors: expected a DID such as did:web:agents.example.com, got 'acme'",
        ),
        (
            "[trust]\npeople = ['acme']\n",
            "[trust] people: expected a DID such as did:web:agents.example.com, got 'acme'",
        ),
        (
            "[organisation]\ndid = 'x'\nname = 'X'\n",
            "[organisation] did: expected a DID such as did:web:agents.example.com, got 'x'",
        ),
        (
            "[listen]\nurl = 'https://acme.example?a'\n",
            "listen: url: expected https://host, with no query, got 'https://acme.example?a'",
        ),
        ("[gates]\nhost = '10.0.0.1'\n", "gates: listens on loopback unless it has names; 10.0.0.1 is not loopback"),
        (
            "budget = [{ unit = 'EUR', max = '5', per = 'P1X' }]\n",
            "limit of EUR: per: expected days, hours, minutes or seconds, such as P30D or PT1H, got 'P1X'",
        ),
        (
            "[policy]\ncurrency = 'EUR'\nmax_price = '-1'\n",
            "policy: expected a limit of a price, 0 or more; got -1",
        ),
        (
            "[[witness]]\nurl = 'https://witness.example'\nkey = 'w+00+AA'\n",
            "witness https://witness.example: key: not canonical base64: 'AA'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_one_code(text: str, says: str, folder: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Home(write(folder, MINIMAL + text))
    assert refused.value.message.endswith(f"undersigned.toml: {says}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("labels = 'no.toml'\n", "labels {folder}/no.toml: No such file or directory"),
        ("ca_file = 'no.pem'\n", "ca_file {folder}/no.pem: No such file or directory"),
    ],
    ids=["labels", "ca_file"],
)
def test_a_file_that_is_missing_is_named_once(text: str, says: str, folder: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Home(write(folder, MINIMAL + text)).tls()
    assert refused.value.message.endswith(says.format(folder=folder))
    assert refused.value.message.count(says.partition("/")[2].partition(":")[0]) == 1


@pytest.mark.parametrize("asks", ["ask = true", "ask_above = '10'\ncurrency = 'EUR'"])
def test_who_asks_people_names_some(asks: str, folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"puts terms to a person, and \[approvers\] has none"):
        Home(write(folder, f"{MINIMAL}[policy]\n{asks}\n"))


def test_what_a_pattern_stands_for_is_told_in_words(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Home(write(folder, f"{MINIMAL}[policy]\nask_above = '2.00 EUR'\ncurrency = 'EUR'\n"))
    assert refused.value.message.endswith("an amount in its only spelling, such as 2.5 - at `$.policy.ask_above`")


@pytest.mark.parametrize("limit", ["max_price", "min_price", "ask_above", "two_above"])
def test_a_limited_price_needs_its_currency(limit: str, folder: Path) -> None:
    """Ten of what? Without a currency the limit would count for any, so it is none."""
    with refuses(ConfigurationError, "bad_configuration"):
        Home(write(folder, f"{MINIMAL}[policy]\n{limit} = '10'\n"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "192.168.1.5", "acme.example", "127.0.0.1.acme.example", ""])
def test_what_is_local_listens_where_localhost_is_dialled(host: str, folder: Path) -> None:
    with refuses(ConfigurationError, "bad_configuration"):
        Home(write(folder, f"{MINIMAL}local = true\n[listen]\nhost = '{host}'\n"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_local(host: str, folder: Path) -> None:
    assert Home(write(folder, f"{MINIMAL}local = true\n[listen]\nhost = '{host}'\n")).configuration.local


def test_what_is_not_written_is_cautious(folder: Path) -> None:
    configuration = Home(write(folder, MINIMAL)).configuration
    assert configuration.policy.require == ("MembershipCredential",)
    assert configuration.trust.anchors == ()
    assert not configuration.policy.allow_self_issued
    assert not configuration.local
    assert configuration.offer == ()
    assert configuration.listen.host == "127.0.0.1"


def test_a_folder_without_configuration_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Home(tmp_path)
    assert refused.value.code == "not_found"
    assert "undersigned init" in str(refused.value)


# --- making one


def test_what_is_made_can_be_opened(made: Home) -> None:
    again = Home(made.path)
    assert again.configuration == made.configuration
    assert again.document().id == "did:web:acme.example"
    assert again.document().services("HireService") == ("wss://acme.example/hire",)
    organisation = again.organisation_document()
    assert organisation is not None
    assert organisation.id == "did:web:acme.example:org"
    for name, document in (("agent", again.document()), ("organisation", organisation)):
        method = document.methods("assertionMethod")[0]
        assert document.key_for(method, "authentication", now=None) == again.key(name).public_key


def test_what_is_made_is_not_made_again(made: Home) -> None:
    """A second `init` would orphan every contract of the first one's keys."""
    before = {path: path.read_bytes() for path in made.path.rglob("*") if path.is_file()}
    with refuses(ConfigurationError, "bad_configuration"):
        create_home(made.path, name="Another")
    assert {path: path.read_bytes() for path in made.path.rglob("*") if path.is_file()} == before


def test_secrets_are_for_their_owner_alone(made: Home) -> None:
    assert stat.S_IMODE((made.path / "keys").stat().st_mode) == 0o700
    for path in (made.path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@pytest.mark.parametrize(
    "options",
    [
        {"domain": "Acme.example"},
        {"domain": "acme"},
        {"domain": "acme.example/evil"},
        {"domain": "acme.example:443"},
        {"domain": "-acme.example"},
        {"domain": "acme..example"},
        {"domain": "acmé.example"},
        {"kind": "P-256"},
        {"max_price": "10"},
        {"max_price": "-1 EUR"},
        {"max_price": "1e3 EUR"},
        {"name": "a\nb"},
        {"name": "a\x00b"},
        {"policy": "[policy"},
        {"policy": "[policy]\nrequires = []"},
        {"policy": "[policy]\n[listen]\nport = 1"},
        {"policy": "[policy]\nmax_price = '3'\ncurrency = 'EUR'", "max_price": "3 EUR"},
        {"office": False, "organisation": "Acme"},
        {"name": "a" * 129},
        {"organisation": "a" * 129},
        {"offers": 2 * (OfferPart(task="sbom", handler="a.b:c"),)},
    ],
    ids=str,
)
def test_nothing_is_made_of_what_cannot_be(options: dict[str, Any], folder: Path) -> None:
    with refuses(ConfigurationError, "bad_configuration"):
        create_home(folder, **{"name": "Acme", **options})
    assert not (folder / "undersigned.toml").exists()


def test_a_state_folder_is_at_a_path_in_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was made, and the peer that was to run in it ended in an error of Python's."""
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.mkdir()
    monkeypatch.chdir(odd)
    for path in ("acme", odd / "acme"):
        with pytest.raises(ConfigurationError, match=r"state folder: expected its path to be UTF-8, got '/.*udcff"):
            create_home(path, name="Acme", local=True)
        with refuses(ConfigurationError, "bad_configuration"):
            Home(path)
    assert not list(odd.iterdir())
    assert create_home(tmp_path / "acme", name="Acme", local=True).path.exists()


@pytest.mark.parametrize("name", ['"', "\\", "'", '"]\n[trust]', "[policy]", "Acmé & Söhne", "a" * 128])
def test_a_name_is_text_and_nothing_else(name: str, folder: Path) -> None:
    """No name writes a line of the configuration."""
    if "\n" in name:
        with pytest.raises(ConfigurationError):
            create_home(folder, name=name)
        return
    made = create_home(folder, name=name, organisation=name)
    assert made.configuration.name == name
    assert made.configuration.trust.anchors == ()


def test_offers_are_kept_as_given(folder: Path) -> None:
    given = OfferPart(task='sum"mary', handler="a.b:c", price="4.50 EUR", delivers="x.txt", capacity=3)
    several = OfferPart(task="scan", handler="a.b:c", delivers=("x.txt", 'y".csv'))
    assert create_home(folder, name="Acme", offers=(given, several)).configuration.offer == (given, several)


def test_a_limit_given_is_policy(folder: Path) -> None:
    policy = create_home(folder, name="Acme", max_price="10.50 EUR").configuration.policy
    assert (policy.max_price, policy.currency) == ("10.5", "EUR")


async def test_a_path_may_hold_anything_that_a_path_may(tmp_path: Path) -> None:
    """The ledger's URL is made of it."""
    home = create_home(tmp_path / "a b%20c?d#e", name="Acme")
    ledger = await open_ledger(home.ledger_url)
    await ledger.close()
    assert home.ledger.is_file()


# --- passphrases


def test_the_keys_of_a_new_folder_are_sealed_by_one_derivation(home: Home) -> None:
    """Of its passphrase, which all of them open with; each is sealed with a nonce of its own."""
    keys = [json.loads(file.read_text()) for file in sorted((home.path / "keys").glob("*.json"))]
    assert len(keys) == 2, "of the agent and of its organisation"
    assert len({key["salt"] for key in keys}) == 1
    assert len({key["nonce"] for key in keys}) == len(keys)


def test_a_passphrase_of_the_environment_is_written_nowhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSIGNED_PASSPHRASE", "from the environment")
    home = create_home(folder, name="Acme")
    assert not (folder / "keys" / "passphrase").exists()
    assert home.key().public_key
    assert not [p for p in folder.rglob("*") if p.is_file() and b"from the environment" in p.read_bytes()]
    monkeypatch.delenv("UNDERSIGNED_PASSPHRASE")
    with refuses(ConfigurationError, "key_unavailable"):
        home.key()


def test_the_environment_wins_over_the_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSIGNED_PASSPHRASE", "another")
    with refuses(ConfigurationError, "key_unavailable"):
        home.key()


@pytest.mark.parametrize("raw", [b"\xff\xff", b"", b"something else\n"])
def test_a_passphrase_file_that_is_another_opens_nothing(raw: bytes, home: Home) -> None:
    (home.path / "keys" / "passphrase").write_bytes(raw)
    with refuses(ConfigurationError, "key_unavailable"):
        home.key()


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_passphrase_that_others_may_read_opens_nothing(home: Home) -> None:
    """As of a copy that was made without the modes: it was taken without a word."""
    file = home.path / "keys" / "passphrase"
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(ConfigurationError, match=f"others may read {file}: make its mode 0600") as refused:
            home.key()
        assert refused.value.code == "bad_configuration"
    file.chmod(0o400)
    assert home.key().public_key


# --- documents and credentials


@pytest.mark.parametrize(
    ("name", "raw", "code"),
    [
        ("did.json", None, "not_found"),
        ("did.json", b"{}", "bad_configuration"),
        ("did.json", b"nonsense", "bad_configuration"),
        ("organisation.json", None, "not_found"),
    ],
)
def test_a_document_that_cannot_be_published_is_an_error(name: str, raw: bytes | None, code: str, home: Home) -> None:
    if raw is None:
        (home.path / name).unlink()
    else:
        (home.path / name).write_bytes(raw)
    with refuses(ConfigurationError, code):
        home.document() if name == "did.json" else home.organisation_document()


def test_the_document_of_another_did_is_not_ours(home: Home) -> None:
    value = json.loads((home.path / "did.json").read_text())
    (home.path / "did.json").write_text(json.dumps(value).replace("18080", "18081"))
    with refuses(ConfigurationError, "bad_configuration"):
        home.document()


async def test_the_organisation_vouches_for_its_agent(home: Home) -> None:
    clock = HandClock()
    path = await issue_membership(home, clock=clock, days=30)
    (credential,) = home.credentials()
    assert credential.issuer == f"{home.configuration.did}:org"
    assert read_claim(credential).id == home.configuration.did
    assert credential.valid_from == shift(NOON, -60)
    assert credential.valid_until == "2026-04-01T12:00:00Z"
    assert path.parent.name == "credentials"


async def test_without_an_organisation_nobody_vouches(folder: Path) -> None:
    with refuses(ConfigurationError, "bad_configuration"):
        await issue_membership(Home(write(folder, MINIMAL)))


@pytest.mark.parametrize("raw", [b"nonsense", b"[]", b'{"a":1,"a":2}', b"\xff"])
def test_a_credential_that_is_none_is_an_error(raw: bytes, home: Home) -> None:
    """It is not passed over in silence: the agent would go out without it and be refused everywhere."""
    (home.path / "credentials").mkdir(exist_ok=True)
    (home.path / "credentials" / "broken.json").write_bytes(raw)
    with pytest.raises(ConfigurationError) as refused:
        home.credentials()
    assert refused.value.code == "bad_configuration"
    assert "broken.json" in str(refused.value)


def test_what_cannot_be_read_is_not_said_to_be_missing(home: Home) -> None:
    secret, settings = home.path / "keys" / "passphrase", home.path / "undersigned.toml"
    secret.unlink()
    with pytest.raises(ConfigurationError, match="there is no keys/passphrase"):
        home.key()
    secret.mkdir()
    with pytest.raises(ConfigurationError, match=f"{secret} cannot be read: not a regular file") as sealed:
        home.key()
    settings.unlink()
    with pytest.raises(ConfigurationError, match="is not a state folder") as none:
        Home(home.path)
    settings.mkdir()
    with pytest.raises(ConfigurationError, match=f"{settings} cannot be read: not a regular file") as unread:
        Home(home.path)
    found = [one.value.code for one in (sealed, none, unread)]
    assert found == ["key_unavailable", "not_found", "bad_configuration"]


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("did.json", Home.document),
        ("organisation.json", Home.organisation_document),
        ("keys/agent.json", Home.key),
    ],
)
def test_a_file_that_cannot_be_read_is_neither_missing_nor_taken_for_another(
    name: str, ask: Callable[[Home], object], home: Home
) -> None:
    """As with too many files open, or no right to: whoever mends it looks at that, and makes nothing anew."""
    file = home.path / name
    file.unlink()
    with pytest.raises(ConfigurationError, match=f"{file} is missing$"):
        ask(home)
    file.mkdir()
    with pytest.raises(ConfigurationError, match=f"{file} cannot be read: not a regular file$"):
        ask(home)


@pytest.mark.parametrize("name", ["credentials", "anchors"])
def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(name: str, home: Home) -> None:
    """The agent would go out with nothing to show, or believe nobody, and hear only that it is refused."""
    folder = home.path / name
    if folder.exists():
        folder.rmdir()
    assert Home(home.path).credentials() == ()
    assert load_anchors(home, NOON) is not None
    folder.write_bytes(b"")
    with pytest.raises(ConfigurationError, match=f"{folder} cannot be read"):
        home.credentials() if name == "credentials" else load_anchors(home, NOON)


def test_a_folder_whose_making_was_cut_short_says_what_to_do(folder: Path) -> None:
    def made() -> None:
        with claimed(folder):
            create_home(folder, name="Acme")

    (folder / "keys").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=f"that was cut short; then take {folder / 'keys'} away"):
        made()
    (folder / "keys").rmdir()
    made()
    with pytest.raises(ConfigurationError, match="is a state folder already: it has keys"):
        made()


# --- rotation


def test_a_new_key_keeps_the_identity(home: Home) -> None:
    """HIRE-KEY-07 begins here: the same DID, another key, the old one put aside."""
    old, document = home.key(), home.document()
    method = rotate_key(home)
    again = Home(home.path)
    assert again.document().id == document.id
    assert again.document().methods("authentication") == (method,)
    assert method not in document.methods("authentication")
    assert again.key().public_key != old.public_key
    assert again.document().key_for(method, "assertionMethod", now=None) == again.key().public_key
    assert again.document().services("HireService") == document.services("HireService")
    passphrase = (home.path / "keys" / "passphrase").read_text().strip()
    assert open_key(home.path / "keys" / "retired" / "agent-1.json", passphrase).public_key == old.public_key
    assert rotate_key(again) != method
    assert len(list((home.path / "keys" / "retired").iterdir())) == 2


def test_a_did_that_is_its_key_cannot_rotate(folder: Path) -> None:
    home = create_home(folder, name="Acme")
    before = home.key().public_key
    with refuses(ConfigurationError, "bad_configuration"):
        rotate_key(home)
    assert home.key().public_key == before


def test_a_key_that_does_not_open_is_not_replaced(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the new key would be sealed under another passphrase than the others."""
    before = (home.path / "keys" / "agent.json").read_bytes()
    monkeypatch.setenv("UNDERSIGNED_PASSPHRASE", "another")
    with refuses(ConfigurationError, "key_unavailable"):
        rotate_key(home)
    assert (home.path / "keys" / "agent.json").read_bytes() == before


@pytest.mark.parametrize("after", range(7))
def test_a_rotation_on_a_full_disk_says_where_and_the_next_one_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Whichever sync of it fails, also one of a folder, which the system does not name."""
    really, synced = os.fsync, list[int]()

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == after + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=str(home.path)) as caught:
            rotate_key(home)
    assert caught.value.errno == errno.ENOSPC
    method = rotate_key(Home(home.path))
    again = Home(home.path)
    assert again.document().key_for(method, "assertionMethod", now=None) == again.key().public_key


# --- TLS


def test_authorities_of_its_own_are_trusted_besides(home: Home) -> None:
    assert home.tls() is None
    for raw in (b"", b"not a certificate"):
        (home.path / "ca.pem").write_bytes(raw)
        text = (home.path / "undersigned.toml").read_text()
        (home.path / "undersigned.toml").write_text(f'ca_file = "ca.pem"\n{text}' if "ca_file" not in text else text)
        with refuses(ConfigurationError, "bad_configuration"):
            Home(home.path).tls()


def test_a_policy_is_kept_as_it_is_written(folder: Path) -> None:
    rules = """
[policy]
require = []
currency = "EUR"
[[policy.rule]]
name = "large"
above = "3"
credentials = [{ type = "AccreditedByCredential", capability = "sbom" }]
"""
    made = create_home(
        folder, name="Acme", policy=rules, offers=(OfferPart(task="sbom", handler="a.b:c", price="4 EUR"),)
    )
    assert made.configuration.policy == Policy.from_toml(tomllib.loads(rules)["policy"])
    assert [offer.task for offer in made.configuration.offer] == ["sbom"]


def test_a_policy_that_asks_people_is_written_with_them(folder: Path) -> None:
    """No folder was made with one: it asked people, and none could be named."""
    ann = Actor("ann").did
    rules = f'[policy]\nask_above = "20"\ncurrency = "EUR"\n\n[approvers]\nann = "{ann}"\n'
    made = create_home(folder, name="Acme", policy=rules)
    assert made.configuration.policy.ask_above == "20"
    assert made.configuration.approvers == {"ann": ann}


def served_list(register: StatusRegister, url: str, issuer: DidDocument) -> StatusList:
    now = SystemClock().now()
    document = json.loads(register.served(urlsplit(url).path, now) or b"{}")
    return verify_status_list(document, url=url, issuer=issuer.id, documents={issuer.id: issuer}, now=now)


async def test_an_agent_of_an_organisation_in_another_folder(made: Home, folder: Path) -> None:
    """It has a key and no office; the organisation's folder says that it operates it."""
    agent = create_home(folder, name="Second", local=True, port=18081, office=False)
    assert agent.organisation_document() is None
    assert [file.name for file in sorted((folder / "keys").iterdir())] == ["agent.json", "passphrase"]
    with pytest.raises(ConfigurationError, match="has no organisation"):
        await issue_membership(agent)
    office = made.organisation_document()
    assert office is not None
    claim = Membership(id=agent.configuration.did, member_of=office.id)
    (signed,) = issue_claims(made, [claim])
    register = made.register()
    lists = {url: served_list(register, url, office) for url in status_urls([read_credential(signed)])}
    verified = verify_credential(signed, documents={office.id: office}, now=SystemClock().now(), lists=lists)
    assert read_claim(verified) == claim


def test_what_is_not_an_organisations_to_say_is_not_issued(made: Home) -> None:
    own = made.register().issuer
    other = Membership(id=made.configuration.did, member_of="did:web:other.example:org")
    for claim in (other, Endorsement(id=made.configuration.did, capability="sbom", weight="2")):
        before = len(made.register().issued())
        with refuses(UndersignedError, "schema_violation"):
            issue_claims(made, [Membership(id=made.configuration.did, member_of=own), claim])
        assert len(made.register().issued()) == before
