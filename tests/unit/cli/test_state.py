"""`init`, `keys`, `ledger`: state folders are made whole, shown without secrets, and never overwritten."""

from __future__ import annotations

import json
import shlex
import stat
import tomllib
from pathlib import Path

import pytest

from undersigned.did.methods import webvh_log
from undersigned.ledger import Lock
from undersigned.runtime import Home
from unit.cli.running import files, run

LOCAL = ("--local", "--port", 8109)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "acme", *LOCAL).code == 0
    return tmp_path / "acme"


def secrets(home: Path) -> list[str]:
    opened = Home(home)
    keys = [opened.key(name).secret_bytes().hex() for name in ("agent", "organisation")]
    return [*keys, (home / "keys" / "passphrase").read_text().strip()]


def test_a_folder_with_a_space_in_its_name_is_one_word_of_what_to_type(tmp_path: Path) -> None:
    ran = run("init", tmp_path / "my agent", *LOCAL)
    assert shlex.split(ran.out.splitlines()[-1])[-3:] == ["serve", "--home", str(tmp_path / "my agent")]


def test_init_says_what_is_done_and_what_is_delivered(tmp_path: Path) -> None:
    """A handler that delivers under another name than the offer's fails its first job."""
    offer = ("--offer", "report=9.00 EUR", "--handler", "acme.tasks:report")
    told = run("init", tmp_path / "one", *LOCAL, *offer).out
    assert "report for 9.00 EUR, delivers result" in told
    told = run("init", tmp_path / "two", *LOCAL, *offer, "--delivers", "a.txt", "--delivers", "b.txt").out
    assert "report for 9.00 EUR, delivers a.txt, b.txt" in told
    assert Home(tmp_path / "two").configuration.offer[0].delivers == ("a.txt", "b.txt")
    run("init", tmp_path / "three", *LOCAL, *offer, "--delivers", "a.txt")
    assert Home(tmp_path / "three").configuration.offer[0].delivers == "a.txt"
    assert Home(tmp_path / "three").configuration.offer[0].media_type == "text/plain"
    told = run("init", tmp_path / "built-in", *LOCAL, "--offer", "sbom").out
    made = Home(tmp_path / "built-in").configuration.offer[0]
    # Whoever hires by the profile alone asks for what it names, and the built-in handler makes nothing else.
    assert (made.delivers, made.media_type) == ("sbom.cdx.json", "application/vnd.cyclonedx+json"), told
    refused = run("init", tmp_path / "four", *LOCAL, "--offer", "sbom", "--delivers", "a", "--json")
    assert (refused.code, "--handler" in refused.error["message"]) == (2, True)


def test_init_offers_no_work_that_needs_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `serve` said so, once all was set up."""
    monkeypatch.setattr("undersigned.cli.init.find_spec", lambda name: None if name == "cyclonedx" else name)
    offer = ("--offer", "sbom=4.00 EUR")
    refused = run("init", tmp_path / "one", *LOCAL, *offer, "--json")
    assert (refused.code, refused.error["code"]) == (2, "missing_extra")
    assert "pip install 'undersigned[prov]'" in refused.error["message"]
    assert not (tmp_path / "one").exists()
    assert run("init", tmp_path / "two", *LOCAL, *offer, "--handler", "acme.tasks:sbom").code == 0, "made by another"


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("a.json", "b.json"), "application/json"),
        (("a.txt", "b.pdf"), "application/octet-stream"),
        (("a.txt.gz",), "application/octet-stream"),
        (("result",), "application/octet-stream"),
    ],
)
def test_init_guesses_the_one_type_of_what_is_delivered(names: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    delivers = [part for name in names for part in ("--delivers", name)]
    run("init", tmp_path / "x", *LOCAL, "--offer", "report", "--handler", "acme.tasks:report", *delivers)
    assert Home(tmp_path / "x").configuration.offer[0].media_type == kind


@pytest.mark.parametrize(
    ("given", "option"),
    [
        (("--name", ""), "--name"),
        (("--organisation", ""), "--organisation"),
        (("--offer", "report", "--handler", "acme.tasks:report", "--delivers", ""), "--delivers"),
    ],
)
def test_a_name_of_nothing_is_refused(given: tuple[str, str], option: str, tmp_path: Path) -> None:
    ran = run("init", tmp_path / "acme", *LOCAL, *given, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert ran.error["message"] == f"{option}: expected 1 to 128 printable characters, got ''"
    assert not (tmp_path / "acme").exists()


def test_a_local_home(tmp_path: Path) -> None:
    ran = run("init", tmp_path / "acme", *LOCAL, "--trust", "did:web:localhost%3A8102:org", "--max-price", "5.00 EUR")
    assert (ran.code, ran.err) == (0, "")
    assert all(line.startswith("local | ") for line in ran.out.splitlines())
    assert "--trust did:web:localhost%3A8109:org" in ran.out
    assert f"serve --home {tmp_path / 'acme'}" in ran.out
    said = tomllib.loads((tmp_path / "acme" / "undersigned.toml").read_text())
    assert said["did"] == "did:web:localhost%3A8109"
    assert said["local"] is True
    assert said["listen"] == {"host": "127.0.0.1", "port": 8109}
    assert said["trust"]["anchors"] == ["did:web:localhost%3A8102:org"]
    assert (said["policy"]["max_price"], said["policy"]["currency"]) == ("5", "EUR")


def test_an_agent_in_the_users_data_folder_is_named_as_its_domain(tmp_path: Path) -> None:
    """Not as that folder: every one would have the name of this program."""
    at = {"HOME": str(tmp_path), "XDG_DATA_HOME": None, "UNDERSIGNED_HOME": None}
    (made,) = run("init", "--domain", "agents.example.com", "--json", **at).values
    settings = tomllib.loads((Path(made["home"]) / "undersigned.toml").read_text())
    assert (settings["name"], settings["organisation"]["name"]) == ("agents.example.com", "agents.example.com")


def test_a_home_of_a_domain_is_not_local(tmp_path: Path) -> None:
    ran = run("init", tmp_path / "acme", "--domain", "agents.example.com", "--port", 9443, "--json")
    (made,) = ran.values
    assert made["did"] == "did:web:agents.example.com"
    assert made["organisation"] == "did:web:agents.example.com:org"
    assert made["local"] is False
    listen = Home(tmp_path / "acme").configuration.listen
    assert (listen.port, listen.url) == (9443, "https://agents.example.com")
    assert "local |" not in run("keys", "list", "--home", tmp_path / "acme").out


def test_a_home_without_a_domain_is_its_key(tmp_path: Path) -> None:
    """HIRE-DID-07: local state is what was asked for as such, and nothing else is."""
    for name, more, local, port in (
        ("real", ("--port", 9001), False, 9001),
        ("reached", ("--url", "https://agents.example.com"), False, 8443),
        ("local", ("--local",), True, None),
    ):
        (made,) = run("init", tmp_path / name, *more, "--json").values
        assert made["did"].startswith("did:key:z6Mk")
        assert made.get("local", False) is local
        listen = Home(tmp_path / name).configuration.listen
        assert (listen.port, listen.url) == (port or made["port"], more[1] if name == "reached" else None)
        assert made["port"] == listen.port > 0
        with Lock(tmp_path / name / "ledger.db.lock"):
            ran = run("keys", "rotate", "--home", tmp_path / name, "--json")
        assert (ran.code, "is its key" in ran.error["message"]) == (2, True), "and no peer is ended for it"
    real = ("--home", tmp_path / "real", "--json")
    (named,) = run("init", *real[:1], tmp_path / "named", "--json").values
    assert named["home"] == str(tmp_path / "named"), "where an option names the folder"
    assert run("init", tmp_path / "both", "--home", tmp_path / "both").code == 0
    plain = run("check", made["did"], "--at", "ws://localhost:8102/hire", *real)
    assert (plain.code, plain.error["code"]) == (2, "bad_configuration")
    forbidden = run("check", "did:web:localhost%3A8102", *real)
    assert (forbidden.code, forbidden.error["code"]) == (4, "did_forbidden_address")
    (tmp_path / "input").write_bytes(b"x")
    wanted = ("--task", "x", "--at", "wss://globex.example/hire", "--input", f"x={tmp_path / 'input'}")
    unreachable = run("hire", made["did"], *wanted, *real)
    assert (unreachable.code, "[listen]" in unreachable.error["message"]) == (2, True)


def test_who_offers_work_can_be_reached(tmp_path: Path) -> None:
    assert run("init", tmp_path / "acme", "--offer", "sbom").code == 0
    ran = run("serve", "--home", tmp_path / "acme", "--json")
    assert (ran.code, "[listen]" in ran.error["message"]) == (2, True)


def test_a_home_with_a_history(tmp_path: Path) -> None:
    (made,) = run("init", tmp_path / "acme", "--domain", "acme.example", "--method", "webvh", "--json").values
    assert made["did"].startswith("did:webvh:Qm")
    (rotated,) = run("keys", "rotate", "--home", tmp_path / "acme", "--json").values
    assert rotated == {"did": made["did"], "method": f"{made['did']}#agent-2", "left": 254}
    log = Home(tmp_path / "acme").log()
    assert log is not None
    assert log.count(b"\n") == 2
    assert run("init", tmp_path / "other", "--method", "webvh").code == 2


def test_the_key_of_an_organisation(tmp_path: Path) -> None:
    """A peer has to be ended first; what others have to be handed again is said."""
    home, did = tmp_path / "acme", "did:web:acme.example:org"
    assert run("init", home, "--domain", "acme.example").code == 0
    rotate = ("keys", "rotate", "organisation", "--home", home)
    (rotated,) = run(*rotate, "--json").values
    assert rotated == {"did": did, "method": f"{did}#office-2", "dropped": False, "signedAnew": []}
    listed = [(one["method"], one["former"]) for one in run("keys", "list", "--home", home, "--json").values]
    expected = [("did:web:acme.example#agent", False), (f"{did}#office-2", False), (f"{did}#office", True)]
    assert listed == expected, "the former signs nothing any more"
    assert f"{did}#office  (former" in run("keys", "list", "--home", home).out
    assert run("credentials", "issue", "did:web:other.example", "--home", home, "--out", tmp_path / "other").code == 0
    ran = run(*rotate, "--drop")
    assert (ran.code, "but for 2 signed anew" in ran.out, "1 of them others have" in ran.out) == (0, True, True), ran
    assert [one["method"] for one in run("keys", "list", "--home", home, "--json").values][1:] == [f"{did}#office-3"]
    for wrong, told in (((*rotate, "--force"), "--force is for"), (("keys", "rotate", "--drop"), "--drop is for")):
        ran = run(*wrong, "--json", UNDERSIGNED_HOME=str(home))
        assert (ran.code, told in ran.error["message"]) == (2, True), ran
    running = Lock(home / "ledger.db.lock")
    ran = run(*rotate, "--json")
    assert (ran.code, "end it first" in ran.error["message"]) == (8, True), ran
    running.release()
    assert run("init", tmp_path / "small").code == 0
    assert run("keys", "rotate", "organisation", "--home", tmp_path / "small").code == 2
    settings = tmp_path / "small" / "undersigned.toml"
    before, _, after = settings.read_text().partition("[organisation]")
    settings.write_text(before + after[after.index("[") :])
    assert run("keys", "show", "organisation", "--home", tmp_path / "small", "--json").error["code"] == "not_found"


def test_a_history_that_is_nearly_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-WVH-05: it was told with the rotation that was refused, when nothing could be done any more."""
    home = tmp_path / "acme"
    assert run("init", home, "--domain", "acme.example", "--method", "webvh").code == 0
    monkeypatch.setattr(webvh_log, "MAX_ENTRIES", 19)
    assert run("keys", "rotate", "--home", home).err == ""
    ran = run("keys", "rotate", "--home", home)
    assert (ran.code, "takes 16 more of them" in ran.err) == (0, True)
    log = Home(home).log()
    assert log is not None
    monkeypatch.setattr(webvh_log, "MAX_LOG_BYTES", 3 * len(log))
    assert run("keys", "rotate", "--home", home, "--json").values[0]["left"] == 5, "by its bytes"
    monkeypatch.setattr(webvh_log, "MAX_ENTRIES", 5)
    assert "takes no more of them" in run("keys", "rotate", "--home", home).err


@pytest.mark.parametrize("kind", ["P-256", "P-384"])
def test_a_home_with_another_kind_of_key_has_one_for_its_log(kind: str, tmp_path: Path) -> None:
    """Checkpoints are notes, and those know only Ed25519; the key for them opens no connection."""
    assert run("init", tmp_path / "acme", *LOCAL, "--key", kind).code == 0
    found = {
        value["method"].partition("#")[2]: value["kind"]
        for value in run("keys", "list", "--home", tmp_path / "acme", "--json").values
    }
    assert found == {"agent": kind, "log": "Ed25519", "office": "Ed25519"}
    document = Home(tmp_path / "acme").document()
    assert [method.partition("#")[2] for method in document.methods("authentication")] == ["agent"]
    before = document.key_for("did:web:localhost%3A8109#log", "assertionMethod", now=None)
    assert run("keys", "rotate", "--home", tmp_path / "acme").code == 0
    after = Home(tmp_path / "acme").document()
    assert after.key_for("did:web:localhost%3A8109#log", "assertionMethod", now=None) == before
    assert [method.partition("#")[2] for method in after.methods("assertionMethod")] == ["agent-2", "log"]
    assert run("init", tmp_path / "key", "--key", kind).code == 2


def test_json_may_be_asked_of_the_group(home: Path) -> None:
    for group, name in (("keys", "list"), ("ledger", "fsck")):
        assert run(group, "--json", name, "--home", home).values == run(group, name, "--json", "--home", home).values
        assert run(group, "--json", "--home", home).code == 2


def test_secrets_are_sealed_and_shown_to_nobody(home: Path) -> None:
    """HIRE-KEY: private keys are in no output, and no file but the passphrase opens them."""
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    for name in ("agent.json", "organisation.json", "passphrase"):
        assert stat.S_IMODE((home / "keys" / name).stat().st_mode) == 0o600
    shown = [
        run("keys", *more, "--home", home, *form).out
        for more in (("list",), ("show",), ("show", "organisation"))
        for form in ((), ("--json",))
    ]
    assert all(shown)
    held = secrets(home)
    assert not [secret for secret in held for text in shown if secret in text]
    sealed = b"".join(content for name, content in files(home).items() if name != "keys/passphrase")
    assert not [secret for secret in held if secret.encode() in sealed]


def test_a_passphrase_of_ones_own_is_not_written(tmp_path: Path) -> None:
    env = {"UNDERSIGNED_PASSPHRASE": "correct horse"}
    ran = run("init", tmp_path / "acme", *LOCAL, **env)
    assert "UNDERSIGNED_PASSPHRASE" in ran.out
    assert not (tmp_path / "acme" / "keys" / "passphrase").exists()
    assert b"correct horse" not in b"".join(files(tmp_path / "acme").values())
    before = files(tmp_path / "acme")
    for wrong in (None, "wrong"):
        ran = run("keys", "rotate", "--home", tmp_path / "acme", "--json", UNDERSIGNED_PASSPHRASE=wrong)
        assert (ran.code, ran.error["code"]) == (2, "key_unavailable")
    assert files(tmp_path / "acme") == before
    assert run("keys", "rotate", "--home", tmp_path / "acme", **env).code == 0


def test_nothing_is_overwritten(home: Path) -> None:
    before = files(home)
    ran = run("init", home, *LOCAL, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert files(home) == before


def test_the_document_is_shown_as_it_is_published(home: Path) -> None:
    (document,) = run("keys", "show", "--home", home, "--json").values
    assert document == dict(Home(home).document().json)
    shown = run("keys", "show", "--home", home)
    assert json.loads(shown.out) == document, "it can be kept in a file"
    assert shown.err == "local | of a state folder for one machine\n"
    (office,) = run("keys", "show", "organisation", "--home", home, "--json").values
    assert office["id"] == "did:web:localhost%3A8109:org"


def test_a_rotation_keeps_the_did_and_retires_the_key(home: Path) -> None:
    old = Home(home).key()
    for number in (2, 3):
        (rotated,) = run("keys", "rotate", "--home", home, "--json").values
        assert rotated["did"] == "did:web:localhost%3A8109"
        assert rotated["method"] == f"did:web:localhost%3A8109#agent-{number}"
        document = Home(home).document()
        assert document.methods("authentication") == (rotated["method"],)
        assert (
            document.key_for(rotated["method"], "authentication", now=None)
            == Home(home).key().public_key
            != old.public_key
        )
        assert document.services("HireService") == ("ws://localhost:8109/hire",)
    assert sorted(path.name for path in (home / "keys" / "retired").iterdir()) == ["agent-1.json", "agent-2.json"]


def test_a_folder_that_was_never_used_has_an_empty_ledger(home: Path) -> None:
    before = files(home)
    assert run("ledger", "list", "--home", home).out == "local | no engagements yet\n"
    assert run("ledger", "list", "--live", "--home", home, "--json").values == []
    (checked,) = run("ledger", "fsck", "--home", home, "--json").values
    assert (checked["ok"], checked["rows"]) == (True, 0)
    for command in (("watch",), ("export",), ("ledger", "show", "urn:hire:engagement:x")):
        ran = run(*command, "--home", home, "--json")
        assert (ran.code, ran.error["code"]) == (2, "not_found")
    assert files(home) == before


def test_a_folder_whose_first_start_failed_has_an_empty_ledger(home: Path) -> None:
    """A start takes the lock before it makes the database, and found no room for it, say."""
    (home / "ledger.db.lock").touch()
    assert run("ledger", "list", "--home", home).out == "local | no engagements yet\n"


@pytest.mark.parametrize(
    ("left", "code"), [("ledger.db.head", "ledger_diverged"), ("ledger.db-wal", "store_unavailable")]
)
def test_what_was_left_of_a_ledger_says_that_it_is_gone(left: str, code: str, home: Path) -> None:
    (home / left).write_bytes(b"x")
    assert run("ledger", "list", "--home", home, "--json").error["code"] == code


def test_the_folder_may_have_any_printable_name(tmp_path: Path) -> None:
    home = tmp_path / "a b#c?d%41é"
    assert run("init", home, *LOCAL).code == 0
    assert Home(home).ledger_url.endswith("/a%20b%23c%3Fd%2541%C3%A9/ledger.db")
    assert run("keys", "list", "--home", home).code == 0


def test_the_variable_names_the_folder(home: Path) -> None:
    assert run("keys", "list", UNDERSIGNED_HOME=str(home)).code == 0


def test_offers_are_written_down(tmp_path: Path) -> None:
    more = ("--offer", "sbom=4.00 EUR", "--offer", "summary", "--handler", "acme.tasks:summarise")
    assert run("init", tmp_path / "acme", *LOCAL, *more).code == 0
    offers = Home(tmp_path / "acme").configuration.offer
    assert [(offer.task, offer.price, offer.handler) for offer in offers] == [
        ("sbom", "4.00 EUR", "acme.tasks:summarise"),
        ("summary", "0 EUR", "acme.tasks:summarise"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--domain", "agents.example.com", *LOCAL),
        ("--domain", "Agents.Example.Com"),
        ("--domain", "https://agents.example.com"),
        ("--domain", "localhost"),
        ("--domain", "-a.example"),
        ("--domain", ""),
        (*LOCAL, "--name", "new\nline"),
        (*LOCAL, "--organisation", "bell\a"),
        (*LOCAL, "--trust", "nobody"),
        (*LOCAL, "--trust", "did:web:a.example#key"),
        (*LOCAL, "--offer", "sbom=cheap"),
        (*LOCAL, "--offer", "=4 EUR"),
        (*LOCAL, "--offer", "sbom= 4 EUR"),
        (*LOCAL, "--offer", "summary=4 EUR"),
        (*LOCAL, "--offer", "two\nlines=4 EUR", "--handler", "a:b"),
        (*LOCAL, "--offer", "sbom=1 EUR", "--offer", "sbom=2 EUR"),
        (*LOCAL, "--offer", "x" * 129, "--handler", "a:b"),
        (*LOCAL, "--offer", "summary", "--handler", "os"),
        (*LOCAL, "--offer", "summary", "--handler", "acme..tasks:summarise"),
        (*LOCAL, "--handler", "acme.tasks:"),
        (*LOCAL, "--name", "x" * 129),
        (*LOCAL, "--organisation", "x" * 129),
        (*LOCAL, "--handler", "acme.tasks:summarise"),
        (*LOCAL, "--max-price", ""),
        (*LOCAL, "--max-price", "5"),
        (*LOCAL, "--max-price", "-5 EUR"),
        (*LOCAL, "--home", "elsewhere"),
        ("--key", "P-256"),
        ("--key", "P-256", "--local"),
        ("--url", "http://agents.example.com"),
        ("--url", "https://agents.example.com/path"),
        ("--url", "https://localhost"),
        ("--url", "https://agents.example.com", "--domain", "agents.example.com"),
        ("--url", "https://agents.example.com", *LOCAL),
    ],
    ids=lambda arguments: " ".join(map(repr, arguments)),
)
def test_init_refuses_and_leaves_nothing(arguments: tuple[object, ...], tmp_path: Path) -> None:
    ran = run("init", tmp_path / "new", *arguments, "--json")
    assert (ran.code, ran.err) == (2, "")
    assert ran.error["code"] == "bad_configuration"
    assert not (tmp_path / "new").exists()


def test_init_names_the_option_that_it_refuses(tmp_path: Path) -> None:
    twice = ("--offer", "sbom=1 EUR", "--offer", "sbom=2 EUR")
    for arguments, said in (
        (twice, "--offer: two are of the task 'sbom'"),
        (("--name", "x" * 129), "--name: expected 1 to 128 printable characters"),
        (("--handler", "os"), "--handler: expected package.module:function"),
        (("--handler", "acme.tasks:summarise"), "--handler does what --offer offers"),
        (("--max-price", ""), "--max-price: expected a price such as '4.50 EUR', got ''"),
        (("--offer", "=4 EUR", "--handler", "a:b"), "--offer: expected TASK[=PRICE]"),
    ):
        assert run("init", tmp_path / "new", *LOCAL, *arguments, "--json").error["message"].startswith(said)


def test_a_folder_with_a_longer_name_than_an_agent_has_gives_it_the_beginning(tmp_path: Path) -> None:
    assert run("init", tmp_path / ("x" * 200), *LOCAL).code == 0
    assert Home(tmp_path / ("x" * 200)).configuration.name == "x" * 128


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/acme")):
        ran = run("init", place, *LOCAL)
        assert ran.code == 2
        assert str(place) in ran.err
        assert "Traceback" not in ran.err
