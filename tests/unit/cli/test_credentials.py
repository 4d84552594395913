"""`credentials issue|list|revoke|show|add`: what the organisation said and took back, what others said of us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from undersigned.credentials import (
    credential_jwt,
    enveloped_credential,
    membership,
    read_claim,
    read_credential,
    status_entries,
    verify_credential,
)
from undersigned.encoding import canonicalize, from_struct, shift
from undersigned.errors import CredentialError
from undersigned.runtime import Home, SystemClock
from undersigned.testing import ARBITER
from undersigned.trust import KINDS
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
    warning = "this agent itself shows it"
    assert warning not in run("credentials", "revoke", made["id"], "--home", home).out
    (own,) = (id for id in listed if id != made["id"])
    assert warning in run("credentials", "revoke", own, "--home", home).out


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


@pytest.mark.parametrize("file", ["missing/said.json", "undersigned.toml/said.json"])
def test_what_cannot_be_written_is_not_issued(file: str, home: Path) -> None:
    before = files(home)
    ran = run("credentials", "issue", AGENT, "--out", home / file, "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert files(home) == before


def test_a_jwt_is_issued_kept_and_withdrawn(home: Path, tmp_path: Path) -> None:
    """HIRE-VC-01: the text that its subject keeps, verified by what anybody has of the issuer."""
    file = tmp_path / "member.jwt"
    (made,) = run("credentials", "issue", AGENT, "--jwt", "--out", file, "--home", home, "--json").values
    text = file.read_text()
    assert made["credential"] == enveloped_credential(text)
    assert text.count(".") == 2
    organisation = Home(home).organisation_document()
    assert organisation is not None
    with pytest.raises(CredentialError) as caught:
        verify_credential(made["credential"], documents={organisation.id: organisation}, now=SystemClock().now())
    assert caught.value.code == "status_unavailable", "all but its status holds"
    assert "operates" in run("credentials", "show", made["id"], "--home", home).out
    assert run("credentials", "revoke", made["id"], "--home", home).code == 0
    (shown,) = run("credentials", "show", made["id"], "--home", home, "--json").values
    assert shown["state"] == "revoked"


def test_what_is_not_issued_leaves_no_file(home: Path, tmp_path: Path) -> None:
    said = ("credentials", "issue", AGENT, "--type", "endorsement", "--out", tmp_path / "said.json", "--home", home)
    assert run(*said).code == 2
    assert not (tmp_path / "said.json").exists()
    assert run(*said, "--capability", "sbom").code == 0


@pytest.mark.parametrize("name", ["list", "show", "revoke", "issue"])
def test_a_folder_that_is_none(name: str, tmp_path: Path) -> None:
    more = {"show": ["urn:uuid:x"], "revoke": ["urn:uuid:x"], "issue": [AGENT]}.get(name, [])
    ran = run("credentials", name, *more, "--home", tmp_path / "nothing", "--json")
    assert (ran.code, ran.error["code"]) == (2, "not_found")


def test_a_register_that_is_damaged_is_a_store_failure(home: Path) -> None:
    (home / "issued.db").write_bytes(b"nothing of a database in it, and rather more of that than one line. " * 40)
    ran = run("credentials", "list", "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (8, "store_corrupt")


# --- what is said of others

DIGEST = "uEiCeOf0MTzqgHUh8zSUGKon9P1f8yusqoHBiV2a8RZovJA"
ISSUER = "did:web:localhost%3A8109:org"
SAID = {
    "membership": ((), {"memberOf": ISSUER}, "operates"),
    "authority": (("--capability", "sbom", "--depth", 1), {"mayAttest": "sbom", "depth": 1}, "1 further authority"),
    "endorsement": (("--capability", "sbom", "--weight", "0.5"), {"capability": "sbom", "weight": "0.5"}, "0.5 of 1"),
    "performance": (
        ("--contract", DIGEST, "--outcome", "accepted"),
        {"contract": DIGEST, "outcome": "accepted"},
        "was accepted",
    ),
    "accusation": (
        ("--kind", "breach", "--evidence", DIGEST),
        {"kind": "breach", "evidence": DIGEST},
        "accuses",
    ),
    "partOf": ((), {"partOf": ISSUER}, "is a part of it"),
    "suppliesTo": ((), {"suppliesTo": ISSUER}, "supplies it"),
    "accreditedBy": (("--capability", "sbom"), {"accreditedFor": "sbom"}, "accredits"),
    "auditedBy": (("--standard", "ISO {27001}:2022"), {"auditedFor": "ISO {27001}:2022"}, "against ISO {27001}:2022"),
}


def test_a_breach_is_shown_by_a_ruling(home: Path, tmp_path: Path) -> None:
    """HIRE-TRU-27: an accusation that nobody could import is not issued."""
    file = tmp_path / "evidence"
    options = ("--type", "accusation", "--kind", "breach", "--evidence", file, "--home", home, "--json")
    for wrong in (b"PK\x03\x04\x00", b"[]", b"{}"):
        file.write_bytes(wrong)
        ran = run("credentials", "issue", AGENT, *options)
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
        assert "ruling" in ran.error["message"]
    file.write_bytes(canonicalize(ARBITER.rule(DIGEST, DIGEST, SystemClock().now())))
    assert run("credentials", "issue", AGENT, *options).code == 0


def test_every_kind_of_claim_is_issued_and_told(home: Path) -> None:
    """HIRE-VC-03, HIRE-VC-04: each has the members of its type, and tells them in words."""
    assert set(SAID) == set(KINDS)
    organisation = Home(home).organisation_document()
    assert organisation is not None
    for kind, (options, members, words) in SAID.items():
        ran = run("credentials", "issue", AGENT, "--type", kind, *options, "--home", home, "--json")
        assert ran.code == 0, ran
        (made,) = ran.values
        claim = read_claim(read_credential(made["credential"]))
        assert from_struct(claim) == {"id": AGENT, **members}
        assert words in made["says"]
        assert AGENT in made["says"]
        for told in (("list",), ("show", made["id"])):
            assert made["says"] in run("credentials", *told, "--home", home).out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--type", "authority", "--capability", "sbom"), "--depth missing"),
        (("--type", "performance"), "--contract and --outcome missing"),
        (("--type", "partOf", "--depth", 1), "--depth not taken: partOf takes a subject and no more"),
        (("--type", "endorsement", "--capability", "sbom", "--weight", "1.0"), "--weight: expected a decimal"),
        (("--type", "authority", "--capability", "sbom", "--depth", 17), "--depth: expected a whole number"),
        (("--type", "endorsement", "--capability", ""), "--capability: expected a name"),
        (("--type", "performance", "--contract", "0xab", "--outcome", "failed"), "--contract: expected a digest"),
        (("--type", "accusation", "--kind", "envy", "--evidence", DIGEST), "--kind: expected equivocation"),
        (("--type", "friendship",), "friendship"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_explained(options: tuple[object, ...], words: str, home: Path) -> None:
    before = files(home)
    ran = run("credentials", "issue", AGENT, *options, "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert words in ran.error["message"]
    assert files(home) == before


# --- what others said of us


def issued(home: Path, file: Path, subject: str = "did:web:localhost%3A8109", *more: object) -> dict[str, Any]:
    ran = run("credentials", "issue", subject, "--out", file, *more, "--home", home, "--json")
    assert ran.code == 0, ran
    return ran.values[0]


def test_a_renewed_one_takes_the_place_of_the_old(home: Path, tmp_path: Path) -> None:
    """HIRE-VC-07. It is verified without a running peer, because our own organisation issued it."""
    made = issued(home, tmp_path / "new.json")
    ran = run("credentials", "add", tmp_path / "new.json", "--home", home, "--json")
    (kept,) = ran.values
    assert (ran.code, kept["new"], kept["types"]) == (0, True, ["MembershipCredential"])
    (held,) = Home(home).credentials()
    assert held.json["id"] == made["id"]
    (aside,) = kept["replaced"]
    assert Home.credential(Path(aside)).json["id"] != made["id"]
    (again,) = run("credentials", "add", tmp_path / "new.json", "--home", home, "--json").values
    assert (again["new"], again["replaced"]) == (False, [])
    assert len(list((home / "credentials").glob("*.json"))) == 1
    (listed,) = run("credentials", "held", "--home", home, "--json").values
    assert (listed["credential"], listed["file"], listed["state"]) == (held.digest, kept["file"], "valid")
    assert f"valid    until {held.valid_until}" in run("credentials", "held", "--home", home).out


def test_what_says_something_else_stands_beside(home: Path, tmp_path: Path) -> None:
    issued(home, tmp_path / "other.json", "did:web:localhost%3A8109", "--type", "endorsement", "--capability", "sbom")
    said = run("credentials", "add", tmp_path / "other.json", "--home", home).out
    assert "can do sbom" in said
    assert len(Home(home).credentials()) == 2


def test_a_jwt_is_kept_in_its_envelope(home: Path, tmp_path: Path) -> None:
    """HIRE-VC-07."""
    opened, now = Home(home), SystemClock().now()
    office = opened.organisation_document()
    assert office is not None
    document = membership(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        organisation=office.id,
        agent=opened.configuration.did,
        valid_from=now,
        valid_until=shift(now, 3600),
    )
    key = opened.key("organisation")
    draft = credential_jwt(document, office.methods("assertionMethod")[0], "Ed25519", now)
    (tmp_path / "member.jwt").write_text(draft.signed(key.sign_now(draft.to_sign)) + "\n")
    ran = run("credentials", "add", tmp_path / "member.jwt", "--home", home, "--json")
    assert ran.code == 0, ran
    (held,) = opened.credentials()
    assert held.jws is not None


def test_what_does_not_hold_is_not_kept(home: Path, tmp_path: Path) -> None:
    """HIRE-VC-07: about another, changed, withdrawn, past, or of somebody who cannot be asked."""
    mine = "did:web:localhost%3A8109"
    issued(home, tmp_path / "other.json", AGENT)
    issued(home, tmp_path / "good.json")
    changed = json.loads((tmp_path / "good.json").read_text())
    (tmp_path / "changed.json").write_text(json.dumps({**changed, "validUntil": "2099-01-01T00:00:00Z"}))
    (tmp_path / "not.json").write_text("[]")
    (tmp_path / "stranger.json").write_text(json.dumps({**changed, "issuer": "did:web:localhost%3A1"}))
    withdrawn = issued(home, tmp_path / "withdrawn.json")
    assert run("credentials", "revoke", withdrawn["id"], "--home", home).code == 0
    register, now = Home(home).register(), SystemClock().now()
    past = register.issue(
        "MembershipCredential", mine, {"memberOf": ISSUER}, now=shift(now, -90), until=shift(now, -60)
    )
    register.close()
    (tmp_path / "past.json").write_bytes(canonicalize(past))
    before = files(home)
    for name, code in {
        "other.json": "holder_mismatch",
        "changed.json": "proof_invalid",
        "not.json": "bad_json",
        "stranger.json": "did_unresolvable",
        "withdrawn.json": "revoked",
        "past.json": "policy_denied",
        "nothing.json": "bad_configuration",
    }.items():
        ran = run("credentials", "add", tmp_path / name, "--home", home, "--json")
        assert ran.code, name
        assert ran.error["code"] == code, (name, ran.error)
    assert files(home) == before
