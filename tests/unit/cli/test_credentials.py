"""`credentials issue|list|revoke|show`: what the organisation said, and took back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from undersigned.credentials import read_credential, status_entries, verify_credential
from undersigned.errors import CredentialError
from undersigned.runtime import Home, SystemClock
from unit.cli.running import files, run

AGENT = "did:web:agent.example"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "acme", "--local", "--port", 8109).code == 0
    return tmp_path / "acme"


def test_init_issues_the_first_one(home: Path) -> None:
    (one,) = run("credentials", "list", "--home", home, "--json").values
    assert one["type"] == "MembershipCredential"
    assert one["subject"] == "did:web:localhost%3A8109"
    assert (one["state"], one["revoked"], one["local"]) == ("valid", None, True)
    assert one["statusList"] == "http://localhost:8109/status/1"
    shown = json.loads((home / "credentials" / "membership.json").read_text())
    assert shown["id"] == one["id"]
    assert shown["credentialStatus"]["statusListIndex"] == str(one["statusIndex"])


def test_issue_show_revoke(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "member.json"
    ran = run("credentials", "issue", AGENT, "--days", 7, "--out", file, "--home", home, "--json")
    (made,) = ran.values
    assert (ran.code, made["subject"], made["file"]) == (0, AGENT, str(file))
    document = json.loads(file.read_text())
    assert document == made["credential"]
    organisation = Home(home).organisation_document()
    assert organisation is not None
    with pytest.raises(CredentialError) as caught:
        verify_credential(document, documents={organisation.id: organisation}, now=SystemClock().now())
    assert caught.value.code == "status_unavailable", "all but its status holds"
    assert status_entries(read_credential(document))[0].index == made["statusIndex"]

    (shown,) = run("credentials", "show", made["id"], "--home", home, "--json").values
    assert (shown["credential"], shown["state"]) == (document, "valid")
    assert made["id"] in run("credentials", "show", made["id"], "--home", home).out

    for _ in range(2):  # again changes nothing
        ran = run("credentials", "revoke", made["id"], "--home", home, "--json")
        assert (ran.code, ran.values[0]["state"]) == (0, "revoked")
    listed = {one["id"]: one["state"] for one in run("credentials", "list", "--home", home, "--json").values}
    assert sorted(listed.values()) == ["revoked", "valid"]
    assert listed[made["id"]] == "revoked"
    said = run("credentials", "list", "--home", home).out
    assert all(line.startswith("local | ") for line in said.splitlines())
    assert "revoked" in said
    assert run("credentials", "show", made["id"], "--home", home).out.startswith("local | revoked since ")


def test_without_a_domain_nothing_is_withdrawn(tmp_path: Path) -> None:
    """Decision 0132: the answer is an error that says so, and not a silence."""
    assert run("init", tmp_path / "key", "--port", 9001).code == 0
    ran = run("credentials", "issue", AGENT, "--home", tmp_path / "key")
    assert ran.code == 0
    assert "cannot be withdrawn" in ran.out
    for one in run("credentials", "list", "--home", tmp_path / "key", "--json").values:
        assert one["statusList"] is None
        ran = run("credentials", "revoke", one["id"], "--home", tmp_path / "key", "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("issue", "nobody"), "bad_configuration"),
        (("issue", AGENT, "--days", 0), "bad_configuration"),
        (("issue",), "bad_configuration"),
        (("show", "urn:uuid:nobody"), "not_found"),
        (("revoke", "urn:uuid:nobody"), "not_found"),
        (("revoke", "'; DROP TABLE issued; --"), "not_found"),
    ],
)
def test_what_is_wrong_changes_nothing(arguments: tuple[object, ...], code: str, home: Path) -> None:
    before = files(home)
    ran = run("credentials", *arguments, "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, code)
    assert files(home) == before


def test_no_file_is_overwritten(home: Path) -> None:
    file = home / "credentials" / "membership.json"
    before = files(home)
    ran = run("credentials", "issue", AGENT, "--out", file, "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert files(home) == before


@pytest.mark.parametrize("name", ["list", "show", "revoke", "issue"])
def test_a_folder_that_is_none(name: str, tmp_path: Path) -> None:
    more = {"show": ["urn:uuid:x"], "revoke": ["urn:uuid:x"], "issue": [AGENT]}.get(name, [])
    ran = run("credentials", name, *more, "--home", tmp_path / "nothing", "--json")
    assert (ran.code, ran.error["code"]) == (2, "not_found")


def test_a_register_that_is_damaged_is_a_store_failure(home: Path) -> None:
    (home / "issued.db").write_bytes(b"nothing of a database in it, and rather more of that than one line. " * 40)
    ran = run("credentials", "list", "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (8, "store_corrupt")
