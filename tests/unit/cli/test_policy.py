"""`policy`: what our policy demands in plain words, and what it would say; the specification's own policy and cases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import ROOT
from undersigned.runtime import Home, read_policy
from undersigned.trust import cedar_schema
from unit.cli.running import Ran, files, run

PAGE = (ROOT / "protocol-spec" / "13-policy.md").read_text()
ORGANISATION = "did:web:globex.example"


def block(language: str) -> str:
    """The one block of the page in this language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the page has, in files."""
    (tmp_path / "policy.toml").write_text(block("toml policy"))
    (tmp_path / "hiring.cedar").write_text(block("cedar"))
    (tmp_path / "cases.toml").write_text(block("toml cases"))
    return tmp_path


def policy(folder: Path, *arguments: object) -> Ran:
    return run("policy", *arguments, "--file", folder / "policy.toml")


def test_the_cases_of_the_specification_pass(folder: Path) -> None:
    """HIRE-POL-08."""
    ran = policy(folder, "test", folder / "cases.toml")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "4 cases, none failed"
    assert ran.out.count("pass  ") == 4
    values = policy(folder, "test", folder / "cases.toml", "--json").values
    assert [value.get("passed") for value in values] == [True] * 4 + [None]
    assert values[-1] == {"cases": 4, "failed": 0}
    assert values[2]["decision"]["outcome"] == "ask"


def test_the_schema_of_the_specification_is_the_one_that_is_used() -> None:
    """HIRE-POL-04."""
    assert block("cedarschema") == cedar_schema()


def test_a_failing_case_shows_what_came_and_ends_with_1(folder: Path) -> None:
    """HIRE-POL-08."""
    text = (folder / "policy.toml").read_text()
    (folder / "policy.toml").write_text(text.replace('max_price = "100"', 'max_price = "30"'))
    ran = policy(folder, "test", folder / "cases.toml")
    assert ran.code == 1
    lines = [line.strip() for line in ran.out.splitlines()]
    assert lines[-1] == "4 cases, 2 failed"
    failed = lines.index("FAIL  a person decides about 40 EUR")
    assert {"- outcome ask", "+ outcome deny", "+ reason policy_denied max_price"} <= set(lines[failed : failed + 6])
    values = policy(folder, "test", folder / "cases.toml", "--json").values
    assert [value["case"] for value in values[:-1] if not value["passed"]] == [
        "a person decides about 40 EUR",
        "an old audit does not do above 50 EUR",
    ]
    assert "+ outcome deny" in values[2]["difference"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("[[case]", "cases.toml"),
        ('nome = "x"\n', "/nome"),
        ('[[case]]\nname = "a stranger is told what is needed"\n', "/case/"),
        ('now = "2026-11-25T12:00:00Z"\n', "cases.toml"),
    ],
)
def test_cases_that_cannot_be_meant_end_with_2(folder: Path, change: str, said: str) -> None:
    cases = folder / "cases.toml"
    cases.write_text(change + cases.read_text())
    ran = policy(folder, "test", cases, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert said in ran.error["message"]


def test_a_case_that_cannot_be_is_named(folder: Path) -> None:
    cases = folder / "cases.toml"
    cases.write_text(cases.read_text().replace('{ amount = "40" }', '{ amount = "4,0" }'))
    ran = policy(folder, "test", cases)
    assert ran.code == 2
    assert "case 'a person decides about 40 EUR': /terms/price/amount" in ran.err


@pytest.mark.parametrize(
    ("price", "action", "code", "outcome"),
    [
        ("4 EUR", "artifact:read", 0, "allow"),
        ("30 EUR", "artifact:read", 7, "ask"),
        ("60 EUR", "artifact:read", 3, "deny"),
        ("4 EUR", "repo:push", 3, "deny"),
    ],
)
def test_one_hypothetical_is_judged(folder: Path, price: str, action: str, code: int, outcome: str) -> None:
    shown = ("--credential", f"MembershipCredential={ORGANISATION}", "--anchor", ORGANISATION)
    asked = ("test", *shown, "--price", price, "--action", action, "--task", "sbom")
    ran = policy(folder, *asked)
    assert (ran.code, ran.out.split(":")[0]) == (code, outcome)
    (value,) = policy(folder, *asked, "--json").values
    assert value["decision"]["outcome"] == outcome


def test_a_hypothetical_without_terms_is_only_met(folder: Path) -> None:
    assert policy(folder, "test").code == 3
    ran = policy(folder, "test", "--credential", f"MembershipCredential={ORGANISATION}", "--anchor", ORGANISATION)
    assert (ran.code, "permits meeting" in ran.out) == (0, True)
    ran = policy(folder, "test", "--credential", "MembershipCredential")
    assert "--credential: expected TYPE=ISSUER" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("test", "--credential", "MembershipCredential=nobody"),
        ("test", "--anchor", "nobody"),
        ("test", "--peer", "nobody"),
        ("test", "--task", "sbom"),
        ("test", "--action", "a:b"),
        ("test", "--price", "many"),
        ("test", "--price", "1 EUR", "--action", "no action"),
        ("test", "missing.toml"),
        ("explain", "--home", "somewhere"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused(folder: Path, arguments: tuple[str, ...]) -> None:
    ran = policy(folder, *arguments, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert policy(folder, *arguments).err.startswith("error: ")


@pytest.mark.parametrize(
    "more",
    [
        ("--credential", f"MembershipCredential={ORGANISATION}"),
        ("--anchor", ORGANISATION),
        ("--price", "1 EUR"),
        ("--action", "a:b"),
        ("--task", "sbom"),
    ],
)
def test_beside_a_file_of_cases_nothing_is_supposed(folder: Path, more: tuple[str, ...]) -> None:
    ran = policy(folder, "test", folder / "cases.toml", *more, "--json")
    assert (ran.code, ran.error["message"]) == (2, "a file of cases says all that is supposed")


def test_the_policy_of_a_state_folder_is_explained_and_tried_out(folder: Path) -> None:
    home = folder / "acme"
    assert run("init", home, "--local", "--trust", ORGANISATION, "--max-price", "10 EUR").code == 0
    (home / "hiring.cedar").write_text(block("cedar"))
    settings = home / "undersigned.toml"
    settings.write_text(settings.read_text().replace("[policy]\n", '[policy]\ncedar_file = "hiring.cedar"\n'))
    before = files(home)

    ran = run("policy", "explain", "--home", home)
    assert (ran.code, ran.err) == (0, "")
    assert f"MembershipCredential: from {ORGANISATION}" in ran.out
    assert "at most 10 EUR is paid" in ran.out
    assert "cedar:dear" in ran.out
    first, *clauses = run("policy", "explain", "--home", home, "--json").values
    assert first["digest"] == Home(home).configuration.policy.digest
    assert {"clause": "max_price", "says": "at most 10 EUR is paid", "local": True} in clauses

    # The folder's anchors are whom it believes.
    member = ("--credential", f"MembershipCredential={ORGANISATION}", "--price", "4 EUR")
    assert run("policy", "test", *member, "--home", home).code == 0
    assert run("policy", "test", *member[:2], "--price", "11 EUR", "--home", home).code == 3
    assert files(home) == before


def test_a_policy_file_is_a_table_or_a_whole_configuration(folder: Path) -> None:
    """HIRE-POL-07. The digest is that of the text, under whatever name it lies."""
    alone = read_policy(folder / "policy.toml")
    assert alone.cedar == block("cedar")
    (folder / "hiring.cedar").rename(folder / "other.cedar")
    text = (folder / "policy.toml").read_text().replace("hiring.cedar", "other.cedar")
    (folder / "settings.toml").write_text(f"[policy]\n{text}\n[trust]\n")
    assert read_policy(folder / "settings.toml").digest == alone.digest
    (folder / "other.cedar").write_text(block("cedar") + "\n")
    assert read_policy(folder / "settings.toml").digest != alone.digest


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["policy.toml", "hiring.cedar", "cases.toml"]),
    at=st.floats(0, 1),
    cut=st.integers(0, 30),
    put=st.one_of(st.text(max_size=8), st.sampled_from(['"', "[", "= 1", "0", "-1", "did:", "true", "\x00", "}"])),
)
def test_no_damage_of_a_file_is_a_defect(folder: Path, name: str, at: float, cut: int, put: str) -> None:
    """Whatever is in them, the answer is about the files."""
    file = folder / name
    before = file.read_text()
    place = int(at * len(before))
    file.write_bytes((before[:place] + put + before[place + cut :]).encode(errors="surrogatepass"))
    try:
        ran = policy(folder, "test", folder / "cases.toml", "--json")
    finally:
        file.write_text(before)
    assert ran.err == ""
    assert ran.code in {0, 1, 2}
    assert ran.values[-1].get("error", {"code": "bad_configuration"})["code"] == "bad_configuration"
    assert ("cases" in ran.values[-1]) is (ran.code != 2)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    option=st.sampled_from(["--peer", "--credential", "--anchor", "--price", "--action", "--task"]),
    value=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
)
def test_any_text_in_any_option_is_judged_or_refused(folder: Path, option: str, value: str) -> None:
    ran = policy(folder, "test", "--price", "1 EUR", option, value, "--json")
    assert ran.code in {2, 3}
    assert "Traceback" not in ran.err
