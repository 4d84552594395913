"""Whatever is wrong with a command line or a state folder: a clear error, a documented code, and nothing is changed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.moves import AT, OWN, engagement, summary
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import ConfigurationError
from undersigned.ledger import Commit, Row, open_ledger
from undersigned.runtime import Home, create_home
from undersigned.testing import free_ports
from unit.cli.running import Ran, files, run

PORT = 8109
PEER = "did:web:localhost%3A1"  # nobody listens there
FAR = "did:example:abc"  # of a method that is not implemented here


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("homes") / "acme"
    assert run("init", home, "--local", "--port", free_ports(1)[0], "--trust", f"{PEER}:org").code == 0
    (home.parent / "app.whl").write_bytes(b"not an archive")
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "acme")
    return tmp_path / "acme"


def refused(home: Path, *arguments: object, **env: str | None) -> Ran:
    """The answer to a command that must fail: clear in both forms, and the state folder as it was."""
    before = files(home)
    for_people = run(*arguments, "--home", home, **env)
    assert for_people.code != 0
    assert for_people.code != 1, for_people.err
    assert "error: " in for_people.err
    assert "Traceback" not in for_people.err
    assert all(len(line) < 1000 for line in for_people.err.splitlines())
    ran = run(*arguments, "--home", home, "--json", **env)
    assert ran.code == for_people.code
    assert ran.error["code"]
    assert ran.error["message"]
    assert "Traceback" not in ran.err
    assert files(home) == before
    return ran


# ---------------------------------------------------------------- the command line

DIGEST = "uEiAtcRZCtyawRAFifKn7rDL1yFMPsZA8xNsCJYcXkhpIgQ"
WITNESS = "did:web:witness.example+0e4f532c+BO1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfR"
HIRE = ("hire", PEER, "--task", "sbom", "--input", "artifact=APP")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("hire", "acme", "--task", "x"), "bad_configuration"),
        (("hire", "did:web:localhost%3A1#key", "--task", "x"), "bad_configuration"),
        (("hire", "did:foo:bar", "--task", "x"), "did_unresolvable"),
        (("hire", "did:web:10.0.0.1", "--task", "x"), "did_forbidden_address"),
        (("hire", PEER, "--task", "sbom"), "bad_configuration"),
        ((*HIRE, "--settlement", "x402"), "bad_configuration"),
        ((*HIRE, "--settlement", "ap2", "--hook", "data:application/json;base64,e30="), "bad_configuration"),
        ((*HIRE, "--hook", "data:application/json;base64,e30="), "bad_configuration"),
        ((*HIRE, "--gates", "nowhere"), "bad_configuration"),
        ((*HIRE, "--gates", "192.0.2.1:9"), "bad_configuration"),
        (("hire", PEER, "--task", ""), "bad_configuration"),
        (("hire", PEER, "--task", "x" * 129), "bad_configuration"),
        (("hire", PEER, "--task", "bell\a"), "bad_configuration"),
        ((*HIRE, "--task", "tidying", "--criterion", "tidy"), "bad_configuration"),
        ((*HIRE, "--task", "tidying", "--criterion", "tidy="), "bad_configuration"),
        ((*HIRE, "--task", "tidying", "--criterion", "Tidy=it is"), "bad_configuration"),
        ((*HIRE, "--criterion", "tidy=it is"), "bad_configuration"),  # the task has criteria of its own
        ((*HIRE, "--task", "tidying", "--criterion", "tidy=a", "--criterion", "tidy=b"), "bad_configuration"),
        ((*HIRE, "--milestone", "listed"), "bad_configuration"),
        ((*HIRE, "--milestone", "listed=half:schema-valid"), "bad_configuration"),
        ((*HIRE, "--milestone", "listed=40:tidy"), "bad_configuration"),
        ((*HIRE, "--milestone", "a=60:schema-valid", "--milestone", "b=41:schema-valid"), "bad_configuration"),
        ((*HIRE, "--price", "cheap"), "bad_configuration"),
        ((*HIRE, "--price", "5"), "bad_configuration"),
        ((*HIRE, "--price", "5 euro"), "bad_configuration"),
        ((*HIRE, "--price", "-5 EUR"), "bad_configuration"),
        ((*HIRE, "--price", "0.1234567891 EUR"), "bad_configuration"),
        ((*HIRE, "--price", "1e3 EUR"), "bad_configuration"),
        ((*HIRE, "--opening", "5 USD"), "bad_configuration"),
        ((*HIRE, "--onward"), "bad_configuration"),
        ((*HIRE, "--opening", ""), "bad_configuration"),
        ((*HIRE, "--opening", "6 EUR", "--price", "5 EUR"), "bad_configuration"),
        ((*HIRE, "--allow", "repo:read"), "bad_configuration"),
        ((*HIRE, "--allow", "repo:read=nowhere"), "bad_configuration"),
        ((*HIRE, "--scope", "missing.toml"), "bad_configuration"),
        ((*HIRE, "--scope", "."), "bad_configuration"),
        ((*HIRE, "--scope", __file__), "bad_configuration"),
        ((*HIRE, "--at", "localhost:1"), "bad_configuration"),
        ((*HIRE, "--input", "artifact=APP"), "bad_configuration"),
        ((*HIRE, "--input", "more"), "bad_configuration"),
        ((*HIRE, "--input", "more=missing.whl"), "bad_configuration"),
        ((*HIRE, "--input", "more=."), "bad_configuration"),
        ((*HIRE, "--input", "two\nlines=APP"), "bad_configuration"),
        ((*HIRE, "--input", f"{'x' * 300}=APP"), "bad_configuration"),
        (("check", "acme"), "bad_configuration"),
        (("check", PEER, "--at", "http://localhost"), "bad_configuration"),
        (("check", PEER, "--task", ""), "bad_configuration"),
        (("check", PEER, "--offline"), "bad_configuration"),
        (("check", PEER, "--for", "sbom"), "bad_configuration"),
        (("check", PEER, "--pack", "APP"), "bad_configuration"),
        (("check", PEER, "--did-document", "APP"), "bad_configuration"),
        (("check", "APP", "--for", "sbom", "--task", "sbom"), "bad_configuration"),
        (("check", "APP", "--for", "sbom", "--at", "ws://localhost:1/hire"), "bad_configuration"),
        (("check", "APP", "--for", "sbom", "--wait", "3"), "bad_configuration"),
        (("discover", "acme"), "bad_configuration"),
        (("discover", "did:foo:bar"), "did_unresolvable"),
        (("discover", PEER, "--at", "nowhere"), "bad_configuration"),
        (("discover", PEER), "did_unresolvable"),
        (("contract", "show", "zzz"), "not_found"),
        (("export", ""), "not_found"),
        (("contract", "approve", "zzz", "x"), "bad_configuration"),
        (("contract", "approve", DIGEST, "nonsense"), "bad_configuration"),
        (("contract", "accept", DIGEST, "nonsense"), "bad_configuration"),
        (("contract", "revoke", DIGEST, "--cause", "revoked", "--names", "nonsense"), "bad_configuration"),
        (("contract", "revoke", DIGEST, "--cause", "breach"), "bad_configuration"),
        (("contract", "dispute", DIGEST), "bad_configuration"),
        (("contract", "dispute", DIGEST, "--claim", "x", "--ruling", __file__), "bad_configuration"),
        (("contract", "settle", DIGEST, "--reference", "x", "--not-paid", "y"), "bad_configuration"),
        (("contract", "review", DIGEST, "--met", "a", "--not-met", "a"), "bad_configuration"),
        (("gate", "--upstream", "http://127.0.0.1:1", "--rules", "RULES", "--peer", "foo"), "bad_configuration"),
        (("watch", "urn:hire:engagement:nothing"), "not_found"),
        (("watch",), "not_found"),
        (("export", "--out", "/proc/nothing/pack.zip"), "not_found"),
        (("export", "--equivocation", "--out", "proof.json"), "bad_configuration"),
        (("ledger", "show", "nothing"), "not_found"),
        (("ledger", "audit", ""), "bad_configuration"),
        (("ledger", "audit", "--at", "http://localhost:1/ledger"), "bad_configuration"),
        (("ledger", "audit", PEER, "--at", ""), "bad_configuration"),
        (("ledger", "forks", ""), "bad_configuration"),
        (("ledger", "forks", "acme"), "bad_configuration"),
        (("ledger", "forks", "--out", "forks.json"), "bad_configuration"),
        (("ledger", "forks", "--did-document", "APP"), "bad_configuration"),
        (("ledger", "decide", PEER, "--keep", "--reason", "put back"), "not_found"),
        (("ledger", "show", "\x1b[2J"), "not_found"),
        (("witness", "show"), "not_found"),
        (("conform", "ws://localhost:1/hire", "--local", "--did", ""), "bad_configuration"),
    ],
    ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, tuple) else "",
)
def test_on_the_command_line(arguments: tuple[str, ...], code: str, home: Path, template: Path) -> None:
    app = str(template.parent / "app.whl")
    rules = template.parent / "rules.toml"
    rules.write_text('origin = "https://api.acme.example"\n[[rule]]\nmethod = ["GET"]\npath = "/*"\naction = "a:b"\n')
    given = (text.replace("APP", app).replace("RULES", str(rules)) for text in arguments)
    assert refused(home, *given).error["code"] == code


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("trust", "add"), "name a DID to believe, or --record FILE to sign"),
        (("trust", "add", PEER, "--evidence", "met", "--record", "JSON"), "name a DID to believe, or --record"),
        (("trust", "add", PEER), "--evidence is needed"),
        (("witness", "ask", "--url", "http://localhost:1"), "--url and --key go together"),
        (("witness", "ask"), "the settings name no [[witness]]: add one, or name one by --url and --key"),
        (("trace", DIGEST, "--pack", "JSON"), "no evidence pack; 'verify' reads statements"),
        (("witness", "serve", "--log", WITNESS), "is the key of a witness"),
    ],
)
def test_what_is_missing_or_too_much_is_named(
    arguments: tuple[str, ...], says: str, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "some.json").write_text("{}")
    ran = refused(home, *(str(tmp_path / "some.json") if one == "JSON" else one for one in arguments))
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert says in ran.error["message"]


def test_what_needs_no_state_folder_says_what_it_expected(tmp_path: Path) -> None:
    (rules := tmp_path / "some.toml").write_text('origin = "https://acme.example"\n')
    expected = "url: expected one such as https://agents.example.com, with no path, got 'http://acme.example'"
    for arguments, says in (
        (("registry", "serve", "--file", rules), f"{rules}: /origin: no such member is defined"),
        (("init", tmp_path / "new", "--url", "http://acme.example"), expected),
    ):
        ran = run(*arguments, "--json")
        assert (ran.code, ran.error["code"], ran.error["message"]) == (2, "bad_configuration", says)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigurationError, match="url: it goes with neither domain nor local"):
        create_home(tmp_path / "new", name="new", url="https://acme.example", local=True)


def test_what_is_said_of_an_option_names_that_option(home: Path) -> None:
    ran = refused(home, "serve", "--gates", "192.0.2.1:9")
    assert ran.error["message"].startswith("--gates: ")


def test_a_proof_that_is_none_is_told_with_its_file_and_with_what_writes_one(home: Path, tmp_path: Path) -> None:
    for number, content in enumerate(("junk", "[]", '{"a":1}')):
        (file := tmp_path / f"{number}.json").write_text(content)
        ran = refused(home, "ledger", "forks", "--check", file)
        assert ran.error["message"].startswith(f"--check {file}: expected a proof as 'ledger forks --out' writes it: ")


def test_an_input_that_is_there_and_no_file_is_told_as_that(home: Path, tmp_path: Path) -> None:
    """A pipe, such as `<(cat app.whl)`, can be read once, and an input is read as often as it is asked for."""
    os.mkfifo(tmp_path / "pipe")
    for path, what in (
        (tmp_path / "pipe", f"{tmp_path / 'pipe'}: not a regular file"),
        ("/dev/zero", "/dev/zero: not a regular file"),
        (".", ".: not a regular file"),
        ("missing.whl", "there is no file missing.whl"),
    ):
        ran = refused(home, "hire", PEER, "--task", "x", "--input", f"artifact={path}")
        assert (ran.code, ran.error["message"]) == (2, f"--input artifact: {what}")


def test_a_folder_that_takes_no_file_is_told_before_anything_is_agreed(home: Path, template: Path) -> None:
    """Once the work is delivered its price is owed, wherever it is written."""
    app = template.parent / "app.whl"
    ran = refused(
        home, "hire", PEER, "--task", "sbom", "--input", f"artifact={app}", "--out", "/proc/self", "--wait", 5
    )
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert ran.error["message"].startswith("/proc/self: ")


def test_a_folder_that_was_made_for_a_hire_and_got_nothing_is_taken_away(home: Path, tmp_path: Path) -> None:
    """What was there before, and what has something in it, stays."""
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "new" / "below", tmp_path / "there" / "below"):
        onward = ("--onward", "--subcontracting", 1)
        assert run("hire", PEER, "--task", "x", *onward, "--out", folder, "--wait", "0.1", "--home", home).code == 6
        assert not folder.exists()
    assert (tmp_path / "there").is_dir()
    assert not (tmp_path / "new").exists()


def test_a_file_is_named_once(home: Path, template: Path) -> None:
    ran = refused(home, "policy", "test", "missing.toml")
    assert ran.error["message"] == "missing.toml: No such file or directory"
    (home / "trust.db").mkdir()
    app = template.parent / "app.whl"
    ran = run("hire", PEER, "--task", "sbom", "--input", f"artifact={app}", "--home", home, "--json")
    assert ran.error["message"].count("trust.db") == 1, ran.error["message"]


async def make_ledger(home: Home) -> None:
    ledger = await open_ledger(home.ledger_url)
    await ledger.close()


def begin(home: Path, *names: str, at: str = AT) -> None:
    """Engagements of these names in the ledger, each last changed `at`."""

    async def commit() -> None:
        ledger = await open_ledger(Home(home).ledger_url)
        for name in names:
            said = Row(name, 1, "noted", AT, OWN, None, "connection", "", b"there")
            shown = replace(summary(name, (0, 0)), updated=at)
            await ledger.commit(Commit(name, None, (0, 0), (said,), shown))
        await ledger.close()

    asyncio.run(commit())


def test_of_several_engagements_the_newest_is_watched_and_the_others_are_told(home: Path) -> None:
    """Whoever named none has not said which is meant."""

    begin(home, engagement("a"))
    assert "not over" not in run("watch", "--no-follow", "--home", home).out
    begin(home, engagement("b"), engagement("c"))
    assert "the newest; 2 others not over: see 'ledger list'" in run("watch", "--no-follow", "--home", home).out
    assert "not over" not in run("watch", engagement("a"), "--no-follow", "--home", home).out


def test_what_changed_last_is_at_the_end_of_the_list(home: Path) -> None:
    for name, at in (("a", shift(AT, 2)), ("b", shift(AT, 3)), ("c", shift(AT, 1))):
        begin(home, engagement(name), at=at)
    listed = run("ledger", "list", "--home", home, "--json").values
    assert [one["engagement"] for one in listed] == [engagement(name) for name in ("c", "a", "b")]


def test_what_is_a_part_of_two_names_is_neither(home: Path) -> None:
    names = engagement(43), engagement(84)
    begin(home, *names)
    part = "uEiBEy"
    assert all(part in name for name in names)
    ran = refused(home, "watch", "--no-follow", part)
    assert (ran.code, ran.error["code"]) == (2, "not_found")
    assert "names 2 engagements" in ran.error["message"]


def test_an_order_that_nobody_runs_to_carry_out_is_told_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer lets go of its lock when it ends. If it was killed that cannot be seen, and the order waits a while."""
    monkeypatch.setattr("undersigned.cli.orders.WAIT_SECONDS", 3600.0)
    before = files(home)
    ran = run("contract", "suspend", DIGEST, "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "not_found"), "a peer that is started for it would not know it either"
    assert files(home) == before
    asyncio.run(make_ledger(Home(home)))
    (home / "ledger.db.lock").write_text("1\n")
    monkeypatch.setattr("undersigned.cli.orders.WAIT_SECONDS", 0.0)
    assert run("contract", "suspend", DIGEST, "--home", home).code == 2
    assert (home / "orders").is_dir()


@pytest.mark.parametrize(
    ("option", "value", "missing"),
    [
        ("--verifier", "notadid", ""),
        ("--verifier", PEER, ""),
        ("--arbiter", "notadid", ""),
        ("--arbiter", PEER, ""),
        ("--arbiter", "did:web:localhost:8104", ""),
        ("--verifier", "did:web:localhost:8104", ""),
        ("--c2pa", "missing.pem", ""),
        ("--c2pa", __file__, ""),
        ("--c2pa", __file__, "c2pa"),
        ("--sbom", "SPDX 2.3", "spdx_tools"),
    ],
)
def test_what_cannot_be_demanded_is_told_before_a_hire_begins(
    option: str, value: str, missing: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by the name of its option."""
    monkeypatch.setattr("undersigned.runtime.agent.ordering.find_spec", lambda name: None if name == missing else name)
    ran = refused(home, "hire", PEER, "--task", "x", option, value)
    assert (ran.code, ran.error["code"]) == (2, "missing_extra" if missing else "bad_configuration")
    assert ran.error["message"].startswith((f"{option}: ", f"{option} {value}: "))
    assert run("hire", PEER, "--task", "x", option, value, "--home", home).out == ""


def test_a_task_whose_result_cannot_be_checked_here_is_not_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kind demands the bill of materials that --sbom names, and so needs the same."""
    monkeypatch.setattr(
        "undersigned.runtime.agent.ordering.find_spec", lambda name: None if name == "cyclonedx" else name
    )
    ran = refused(home, "hire", PEER, "--task", "sbom", "--input", f"artifact={__file__}")
    assert (ran.code, ran.error["code"]) == (2, "missing_extra")
    assert ran.error["message"].startswith("--task sbom: ")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--summary", "x" * 4097], "--summary: expected at most 4,096 characters, got 4,097"),
        (
            [word for n in range(65) for word in ("--criterion", f"c{n}=it is")],
            "--criterion: a contract has at most 64, and 65 are named",
        ),
        (["--summary", "two\nlines"], "--summary: expected text without U+000A"),
        (["--criterion", "whole=two\nlines"], "--criterion: expected text without U+000A"),
        (["--criterion", "a=b", "--milestone", "two\nlines=50:a"], "--milestone: expected text without U+000A"),
    ],
)
def test_what_no_contract_holds_is_told_by_the_name_of_its_option(options: list[str], says: str, home: Path) -> None:
    ran = refused(home, "hire", PEER, "--task", "x", *options)
    assert (ran.code, ran.error["message"]) == (2, says)
    assert run("hire", PEER, "--task", "x", *options, "--home", home).out == "", "before anything is begun"


@pytest.mark.parametrize(
    ("command", "option", "most"),
    [
        (("release", "--owed", "1 EUR"), "--reason", 1024),
        (("dispute",), "--claim", 4096),
        (("settle",), "--reference", 128),
        (("settle",), "--not-paid", 1024),
    ],
)
def test_what_no_message_holds_is_not_ordered(command: tuple[str, ...], option: str, most: int, home: Path) -> None:
    order = ("contract", command[0], digest_bytes(b"x"), *command[1:], option)
    ran = refused(home, *order, "two\nlines")
    assert (ran.code, ran.error["message"]) == (2, f"{option}: expected text without U+000A")
    for empty in ("", " "):
        ran = refused(home, *order, empty)
        assert (ran.code, ran.error["message"]) == (2, f"{option}: expected words, got {empty!r}")
    ran = refused(home, *order, "é" * (most + 1))
    assert (ran.code, ran.error["message"]) == (2, f"{option}: expected at most {most} characters, got {most + 1}")
    assert refused(home, *order, "é" * most).error["code"] == "not_found", "the contract is not; nothing else is wrong"


def test_a_port_with_a_colon_is_told_how_it_is_written(home: Path) -> None:
    """With one it is a folder of the host."""
    ran = run("discover", "did:web:localhost:8102", "--home", home, "--json")
    assert ran.error["message"].endswith("a port is written %3A: did:web:localhost%3A8102")


@pytest.mark.parametrize(
    ("command", "came_to"),
    [
        (("ledger", "audit", FAR), "did_unresolvable"),
        (("ledger", "decide", FAR, "--keep", "--reason", "x"), "not_found"),
        (("witness", "serve", "--log", FAR, "--log", "a+b"), "bad_configuration"),
        (("discover", FAR), "did_unresolvable"),
        (("check", FAR, "--task", "x", "--wait", "0.1"), "did_unresolvable"),
    ],
)
def test_a_did_that_only_the_resolver_knows_is_one_to_each_command(
    command: tuple[str, ...], came_to: str, home: Path
) -> None:
    """Who can be hired can be looked at, audited, watched and forgiven too."""
    port = free_ports(1)[0]
    settings_file = home / "undersigned.toml"
    settings_file.write_text(f'resolver = "http://localhost:{port}"\n{settings_file.read_text()}')
    error = run(*command, "--home", home, "--json").error
    assert error["code"] == came_to
    assert "expected one of did:" not in error["message"]
    if came_to == "did_unresolvable":
        assert f"http://localhost:{port}/1.0/identifiers/{FAR} was not fetched" in error["message"]


def test_a_hire_says_where_gates_ask(home: Path) -> None:
    ran = run("hire", PEER, "--task", "x", "--gates", "127.0.0.1:0", "--wait", "0.1", "--home", home)
    assert f", with the token in {home / 'gate.token'}\n" in ran.out


SERVER = ("--", "server")
UPSTREAM = ("--upstream", "http://127.0.0.1:1/mcp")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "expected either --upstream URL or"),
        (("--contract", DIGEST, *UPSTREAM, *SERVER), "expected either --upstream URL or"),
        (SERVER, "--contract goes with a COMMAND"),
        (("--contract", DIGEST, *UPSTREAM), "--contract goes with a COMMAND"),
        (("--contract", DIGEST, "--sign-answers", *SERVER), "--sign-answers goes with --upstream"),
    ],
)
def test_an_mcp_gate_speaks_to_one_client_or_listens(options: tuple[str, ...], says: str, home: Path) -> None:
    before = files(home)
    ran = run("mcp-gate", "--rules", __file__, "--home", home, "--json", *options)
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert ran.error["message"].startswith(says)
    assert files(home) == before


def test_a_gate_is_told_where_its_peer_may_be_named(home: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('origin = "https://api.acme.example"\n[[rule]]\nmethod = ["GET"]\npath = "/*"\naction = "a:b"\n')
    ran = refused(home, "gate", "--upstream", "http://127.0.0.1:1", "--rules", rules)
    assert ran.error["message"].startswith("say --peer URL")


def test_a_check_names_all_options_of_its_other_form(home: Path, template: Path) -> None:
    of_artifacts = refused(home, "check", PEER, "--offline", "--for", "sbom", "--task", "sbom")
    assert of_artifacts.error["message"] == f"--for, --offline: about artifacts, and {PEER} is a DID"
    of_agents = refused(home, "check", "app.whl", "--for", "sbom", "--task", "sbom", "--wait", "3")
    assert of_agents.error["message"] == "--task, --wait: about an agent, and app.whl is no DID"


def test_nobody_hires_itself(home: Path) -> None:
    did = json.loads((home / "did.json").read_bytes())["id"]
    for command in (("hire", did, "--task", "x"), ("check", did)):
        ran = refused(home, *command)
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
        assert "is this agent itself" in ran.error["message"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    option=st.sampled_from(["--price", "--opening", "--allow", "--scope", "--input", "--at", "--wait", "--task"]),
    value=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
)
def test_any_text_in_any_option_of_hire_is_an_error(template: Path, option: str, value: str) -> None:
    """Nothing listens at the peer's port, so no text makes it a success; and none is a defect."""
    before = set(files(template)) - {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    ran = run("hire", PEER, "--task", "x", "--wait", "0.1", option, value, "--home", template, "--json")
    assert ran.code in {2, 6}, ran
    assert "Traceback" not in ran.err
    assert before <= set(files(template))


# ---------------------------------------------------------------- the state folder

READERS = [("keys", "list"), ("ledger", "list"), ("serve",), ("hire", PEER, "--task", "x"), ("export",), ("watch",)]


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_no_state_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "missing", tmp_path / "file", tmp_path):
        ran = run(*command, "--home", place, "--json")
        assert (ran.code, ran.error["code"]) == (2, "not_found")
        assert "undersigned init" in ran.error["message"]
    assert sorted(files(tmp_path)) == ["file"]


CONFIGURATIONS = {
    "binary": b"\xff\xfe\x00\x01" * 50,
    "empty": b"",
    "not TOML": b"did = \n",
    "a list for a table": b"did = []\n",
    "an unknown name": b'surprise = true\ndid = "did:web:localhost%3A8109"\nname = "x"\n',
    "a float for a port": b'did = "did:web:localhost%3A8109"\nname = "x"\n[listen]\nport = 1.5\n',
    "a port out of range": b'did = "did:web:localhost%3A8109"\nname = "x"\n[listen]\nport = 70000\n',
    "nested too deep": b"did = " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "two offers of one task": b'did = "did:web:localhost%3A8109"\nname = "x"\n'
    + 2 * b'[[offer]]\ntask = "sbom"\nhandler = "a:b"\n',
    "a task with a long name": b'did = "did:web:localhost%3A8109"\nname = "x"\n[[offer]]\nhandler = "a:b"\ntask = "'
    + 129 * b"x"
    + b'"\n',
    "a long name": b'did = "did:web:localhost%3A8109"\nname = "' + 129 * b"x" + b'"\n',
    "a long name of the organisation": b'did = "did:web:localhost%3A8109"\nname = "x"\n[organisation]\n'
    b'did = "did:web:localhost%3A8109:org"\nname = "' + 129 * b"x" + b'"\n',
    "a DID that is none": b'did = "acme"\nname = "x"\nlocal = true\n',
}


@pytest.mark.parametrize("what", CONFIGURATIONS)
@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_configuration_that_cannot_be_used(what: str, command: tuple[str, ...], home: Path) -> None:
    (home / "undersigned.toml").write_bytes(CONFIGURATIONS[what])
    if what == "a DID that is none" and command[0] in {"ledger", "export", "watch"}:
        return  # these need no identity
    ran = refused(home, *command)
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    if what == "binary":
        assert ran.error["message"].endswith(": expected UTF-8 text; came the byte 0xff at place 0")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
@pytest.mark.parametrize("command", [("serve",), ("hire", PEER, "--task", "x")], ids=" ".join)
def test_local_state_listens_on_loopback_alone(host: str, command: tuple[str, ...], home: Path) -> None:
    """HIRE-DID-06, the exception: without TLS, on this machine only."""
    file = home / "undersigned.toml"
    file.write_text(file.read_text().replace('host = "127.0.0.1"', f'host = "{host}"'))
    ran = refused(home, *command)
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "listens on 127.0.0.1, not on" in ran.error["message"]


def edited(home: Path, name: str, **changes: object) -> None:
    record = json.loads((home / name).read_bytes())
    (home / name).write_text(json.dumps({**record, **changes}))


KEYS = {
    "missing": lambda home: (home / "keys/agent.json").unlink(),
    "empty": lambda home: (home / "keys/agent.json").write_bytes(b""),
    "binary": lambda home: (home / "keys/agent.json").write_bytes(b"\xff" * 99),
    "a folder": lambda home: ((home / "keys/agent.json").unlink(), (home / "keys/agent.json").mkdir()),
    "of the organisation": lambda home: shutil.copy(home / "keys/organisation.json", home / "keys/agent.json"),
    "odd scrypt cost": lambda home: edited(home, "keys/agent.json", n=3),
    "no scrypt cost": lambda home: edited(home, "keys/agent.json", n=0),
    "huge scrypt cost": lambda home: edited(home, "keys/agent.json", n=2**40),
    "huge scrypt memory": lambda home: edited(home, "keys/agent.json", n=2**20, r=32),
    "negative": lambda home: edited(home, "keys/agent.json", p=-1),
    "another public key": lambda home: edited(
        home, "keys/agent.json", multikey="z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"
    ),
    "no public key": lambda home: edited(home, "keys/agent.json", multikey="z"),
    "salt that is none": lambda home: edited(home, "keys/agent.json", salt="***"),
    "short nonce": lambda home: edited(home, "keys/agent.json", nonce="AA"),
    "nothing sealed": lambda home: edited(home, "keys/agent.json", sealed=""),
    "another kind": lambda home: edited(home, "keys/agent.json", kind="P-256"),
    "an unknown member": lambda home: edited(home, "keys/agent.json", more=1),
    "no passphrase": lambda home: (home / "keys/passphrase").unlink(),
    "passphrase is binary": lambda home: (home / "keys/passphrase").write_bytes(b"\xff\xfe"),
    "passphrase is another": lambda home: (home / "keys/passphrase").write_text("guess"),
}


@pytest.mark.parametrize("what", KEYS)
def test_a_key_that_does_not_open(what: str, home: Path) -> None:
    KEYS[what](home)
    for command in (("serve",), ("hire", PEER, "--task", "x")):
        ran = refused(home, *command)
        assert (ran.code, ran.error["code"]) == (2, "key_unavailable")


@pytest.mark.parametrize("passphrase", ["guess", "\udcff", " "])
def test_a_wrong_passphrase_in_the_environment(passphrase: str, home: Path) -> None:
    for command in (("serve",), ("keys", "rotate")):
        ran = refused(home, *command, UNDERSIGNED_PASSPHRASE=passphrase)
        assert (ran.code, ran.error["code"]) == (2, "key_unavailable")
        assert passphrase.strip() not in ran.error["message"] or not passphrase.strip()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_damage_of_a_key_file_is_found(template: Path, tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    content = bytearray((template / "keys/agent.json").read_bytes())
    at = random.randrange(len(content))
    before = content[at]
    content[at] = random.randrange(256)
    home = tmp_path / "damaged"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(template, home)
    (home / "keys/agent.json").write_bytes(content)
    spaces = b" \t\r\n"
    if content[at] == before or (before in spaces and content[at] in spaces):
        return
    ran = run("keys", "rotate", "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "key_unavailable")


DOCUMENTS = {"binary": b"\xff\xfe" * 20, "empty": b"", "a list": b"[]", "another": b'{"id":"did:web:localhost%3A1"}'}


@pytest.mark.parametrize("what", DOCUMENTS)
@pytest.mark.parametrize("name", ["did.json", "organisation.json"])
def test_a_document_that_is_damaged(name: str, what: str, home: Path) -> None:
    (home / name).write_bytes(DOCUMENTS[what])
    for command in (("serve",), ("keys", "list"), ("keys", "show", "agent" if name == "did.json" else "organisation")):
        ran = refused(home, *command)
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
        assert name in ran.error["message"]


def test_a_document_that_is_missing(home: Path) -> None:
    (home / "did.json").unlink()
    assert refused(home, "serve").error["code"] == "not_found"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"{", b'{"a":1,"a":2}'])
def test_a_credential_that_is_damaged(content: bytes, home: Path) -> None:
    (home / "credentials" / "membership.json").write_bytes(content)
    ran = refused(home, "serve")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "membership.json" in ran.error["message"]


@pytest.mark.parametrize("content", [b"\xff" * 8192, b"SQLite format 3\0" + bytes(4080)])
@pytest.mark.parametrize("command", [("ledger", "list"), ("ledger", "fsck"), ("watch",), ("export",), ("serve",)])
def test_a_ledger_that_is_none(content: bytes, command: tuple[str, ...], home: Path) -> None:
    (home / "ledger.db").write_bytes(content)
    ran = run(*command, "--home", home, "--json")
    assert ran.code in {2, 8}, ran
    assert ran.error["code"] in {"store_corrupt", "store_unavailable", "store_version", "ledger_diverged", "not_found"}
    assert "Traceback" not in ran.err
    assert (home / "ledger.db").read_bytes() == content


def test_a_handler_is_looked_for_where_the_command_is_started(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the error says that names a module which is nowhere."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here_alone.py").write_text("")
    with (home / "undersigned.toml").open("a") as file:
        file.write('\n[[offer]]\ntask = "x"\nhandler = "here_alone:work"\n')
    error = run("serve", "--home", home, "--json").error
    assert "the module has no 'work'" in error["message"]


OFFERS = {
    "no such module": 'task = "x"\nhandler = "no.such:thing"\n',
    "no such function": 'task = "x"\nhandler = "json:nothing"\n',
    "no function named": 'task = "x"\nhandler = "json"\n',
    "not a name": 'task = "x"\nhandler = "..:x"\n',
    "empty": 'task = "x"\nhandler = ""\n',
    "price": 'task = "x"\nhandler = "json:loads"\nprice = "free"\n',
    "more than a card holds": 'task = "x"\nhandler = "json:loads"\nsummary = "' + 65_536 * "x" + '"\n',
    "capacity": 'task = "x"\nhandler = "json:loads"\ncapacity = 0\n',
}


@pytest.mark.parametrize("what", OFFERS)
def test_an_offer_that_cannot_be_kept(what: str, home: Path) -> None:
    file = home / "undersigned.toml"
    file.write_text(file.read_text() + "\n[[offer]]\n" + OFFERS[what])
    ran = run("serve", "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
    assert "Traceback" not in ran.err


def test_a_port_that_is_taken(home: Path) -> None:
    port = int(json.loads((home / "did.json").read_bytes())["id"].rpartition("%3A")[2])
    with socket.socket() as taken:
        with suppress(OSError):  # or somebody else has it by now
            taken.bind(("127.0.0.1", port))
            taken.listen()
        ran = refused(home, "serve")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert f"127.0.0.1:{port}" in ran.error["message"]
    assert "running" in ran.error["message"]


@pytest.mark.parametrize("text", ["foo", "did:", "did:web:", "did:web:über", "did:web:" + "a" * 2041])
def test_what_is_no_did_is_said_once(text: str) -> None:
    message = run("discover", text, "--json").error["message"]
    expected = "expected a DID such as did:web:agents.example.com, got "
    assert message.startswith(expected + repr(text)[:60])
    assert message.count(expected) == 1


@pytest.mark.parametrize(
    "command",
    [("check",), ("check", "--for", "sbom"), ("trace",), ("trust", "remove"), ("credentials", "show")],
)
@pytest.mark.parametrize("text", ["", "a b"])
def test_what_names_nothing_is_seen_in_what_is_said_of_it(command: tuple[str, ...], text: str, home: Path) -> None:
    """Of an empty variable of a shell as well: it was told as `: no such file`, and ` is no DID`."""
    assert repr(text) in refused(home, *command, text).error["message"]


@pytest.mark.parametrize("command", [("check", "--for", "sbom"), ("trace",)])
def test_a_folder_is_not_told_as_missing(command: tuple[str, ...], home: Path) -> None:
    """It is there, as whoever looks sees; so is what a shell puts in place of a file (`<(…)`)."""
    assert f"{str(home)!r}: not a regular file, and not a digest" in refused(home, *command, home).error["message"]


@pytest.mark.parametrize(
    "command", [("gate", "--upstream", "http://127.0.0.1:1"), ("mcp-gate", "--upstream", "http://127.0.0.1:1")]
)
def test_rules_that_are_none_are_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    rules = tmp_path / "odd.toml"
    rules.write_text('origin = "http://localhost:1"\n[[rules]]\nmethod = ["GET"]\n')
    ran = run(*command, "--rules", rules, "--home", tmp_path, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert ran.error["message"].startswith(f"{rules}: ")
