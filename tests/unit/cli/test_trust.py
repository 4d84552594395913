"""`trust`: anchors added, signed by a second person, imported, compared and removed; paths shown and drawn."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from parties import Party
from undersigned.credentials import build_credential, credential_config
from undersigned.encoding import JsonObject, digest_bytes, digest_of
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.runtime import AnchorBook, Home, SystemClock, load_anchors, sign_record
from undersigned.runtime.files import files_of
from undersigned.trust import Anchor, Anchors, OpenEngagement, ShownClaim, anchor_set, record_config
from unit.cli.running import files, run

NOW = SystemClock().now()
EVE, BODY, AGENT, ORGANISATION = (Party(name) for name in ("eve", "industry-body", "agent", "organisation"))
LOCAL = ("--local", "--port", 8109)
WHY = ("--evidence", "their statutes")
SET_ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "acme", "--local", "--trust", BODY.did).code == 0
    return tmp_path / "acme"


def trust(home: Path, *arguments: object):
    return run("trust", *arguments, "--home", home, "--json")


def anchors(home: Path) -> Anchors:
    # Proofs made since are not from the future.
    return load_anchors(Home(home), SystemClock().now())


def written(path: Path, document: JsonObject) -> Path:
    path.write_text(json.dumps(document))
    return path


def published(path: Path, number: int, *listed: Anchor, by: Party = BODY) -> Path:
    document = anchor_set(id=SET_ID, issuer=BODY.did, number=number, published=NOW, anchors=listed)
    return written(path / f"set-{number}.json", by.prove(document, record_config("eddsa-jcs-2022", by.method, NOW)))


def said(path: Path, by: Party, of: Party, type: str, **claims: Any) -> Path:
    document = build_credential(
        id=f"urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-{by.did[-6:].encode().hex()}",
        type=type,
        issuer=by.did,
        subject={"id": of.did, **claims},
        valid_from="2026-01-01T00:00:00Z",
        valid_until="2999-01-01T00:00:00Z",
    )
    # Terms of some of these credentials are in no context yet; a JCS suite signs the JSON itself.
    return written(path / "credential.json", by.prove(document, credential_config("eddsa-jcs-2022", by.method, NOW)))


def limit(home: Path, *lines: str) -> None:
    """Changes the [trust] table of the configuration."""
    file = home / "undersigned.toml"
    text = file.read_text()
    file.write_text(text.replace("[trust]\n", "\n".join(["[trust]", *lines, ""])))


def test_what_init_trusts_is_an_anchor_of_the_configuration(home: Path) -> None:
    """HIRE-ANC-04."""
    ran = trust(home, "list")
    assert (ran.code, ran.values[0]["issuer"], ran.values[0]["by"]) == (0, BODY.did, ["configuration"])
    said = {name: ran.values[0][name] for name in ("types", "capabilities", "depth", "reach")}
    assert said == {"types": [], "capabilities": [], "depth": 4, "reach": 5}, "also what is by default"
    assert ran.values[-1] == {"anchors": Anchors.of(BODY.did).digest, "count": 1, "local": True}
    assert anchors(home).digest == Anchors.of(BODY.did).digest


def test_an_anchor_is_added_by_a_signed_record_and_removed_again(home: Path) -> None:
    """HIRE-ANC-01."""
    about = ("--type", "EndorsementCredential", "--capability", "sbom", "--depth", 1, "--until", "2999-01-01T00:00:00Z")
    ran = trust(home, "add", EVE.did, *about, *WHY)
    assert (ran.code, ran.values[0]["state"]) == (0, "valid")
    record = json.loads(Path(ran.values[0]["file"]).read_text())
    office = Home(home).configuration.organisation
    assert office is not None
    assert record["proof"]["verificationMethod"].startswith(office.did)
    listed = trust(home, "list").values
    assert listed[1] | {"issuer": EVE.did, "depth": 1, "by": [office.did], "evidence": "their statutes"} == listed[1]
    assert anchors(home).believed(EVE.did, "EndorsementCredential", capability="sbom", now=NOW)
    assert not anchors(home).believed(EVE.did, "MembershipCredential", now=NOW)

    assert trust(home, "remove", ran.values[0]["record"]).code == 0
    assert anchors(home).digest == Anchors.of(BODY.did).digest
    assert len(list((home / "anchors" / "removed").iterdir())) == 1
    assert trust(home, "remove", EVE.did).error["code"] == "not_found"


def test_what_another_command_puts_aside_meanwhile_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that remove at once, or one beside whoever reads: it was told as a folder that cannot be used."""
    record = Path(trust(home, "add", EVE.did, *WHY).values[0]["file"])
    credential = home / "credentials" / "membership.json"

    def gone_since(folder: Path, pattern: str) -> list[Path]:
        listed = files_of(folder, pattern)
        for file in listed:
            file.rename(home / file.name)
        return listed

    monkeypatch.setattr(importlib.import_module("undersigned.runtime.home.anchors"), "files_of", gone_since)
    monkeypatch.setattr(importlib.import_module("undersigned.runtime.home.home"), "files_of", gone_since)
    assert anchors(home) == Anchors.of(BODY.did)
    assert Home(home).credentials() == ()
    for file in (record, credential):
        (home / file.name).unlink()
        file.symlink_to(home / "nowhere")  # which is not gone: believing or showing less would not say why
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match="No such file"):
        anchors(home)
    with pytest.raises(ConfigurationError, match="No such file"):
        Home(home).credentials()


def test_an_anchor_of_the_configuration_is_taken_off_its_list(home: Path) -> None:
    before = tomllib.loads((home / "undersigned.toml").read_text())
    assert trust(home, "remove", BODY.did).code == 0
    after = tomllib.loads((home / "undersigned.toml").read_text())
    assert after == before | {"trust": {"anchors": []}}
    # A list that was written otherwise is left to whoever wrote it.
    (home / "undersigned.toml").write_text(
        (home / "undersigned.toml").read_text().replace("anchors = []", f'anchors = [\n  "{BODY.did}",\n]')
    )
    kept = files(home)
    assert trust(home, "remove", BODY.did).code == 2
    assert files(home) == kept


def test_a_wide_reach_takes_two_people(home: Path, tmp_path: Path) -> None:
    """HIRE-ANC-01, HIRE-ANC-02."""
    assert run("init", tmp_path / "second").code == 0
    people = [Home(path).configuration.organisation for path in (home, tmp_path / "second")]
    limit(home, f"people = {json.dumps([one.did for one in people if one])}", "reach_of_one = 2")
    # The list of the configuration is of the widest reach, and nobody signed it.
    with pytest.raises(ConfigurationError, match="one person may not"):
        AnchorBook(Home(home), NOW)
    assert trust(home, "list").code == 2
    file = home / "undersigned.toml"
    file.write_text(file.read_text().replace(f'anchors = ["{BODY.did}"]', "anchors = []"))

    ran = trust(home, "add", EVE.did, *WHY)
    assert (ran.code, ran.values[0]["state"]) == (7, "waits for a second person")
    assert trust(home, "list").values[0]["state"] == "waits for a second person"
    assert anchors(home) == Anchors()
    # The second person signs the file at home, where the two of them are named as well, and gives it back.
    limit(tmp_path / "second", f"people = {json.dumps([one.did for one in people if one])}", "reach_of_one = 2")
    signed = trust(tmp_path / "second", "add", "--record", ran.values[0]["file"])
    assert [one["issuer"] for one in signed.values[0]["added"]] == [EVE.did], "shown before it is signed"
    assert (signed.code, signed.values[-1]["state"]) == (0, "valid")
    Path(ran.values[0]["file"]).write_bytes(Path(signed.values[-1]["file"]).read_bytes())
    assert anchors(home) == Anchors.of(EVE.did)
    assert trust(home, "add", EVE.did, "--type", "X", "--capability", "c", "--depth", 2, *WHY).code == 0
    assert trust(home, "add", EVE.did, "--type", "X", "--capability", "c", "--depth", 3, *WHY).code == 7


def test_what_the_agent_signed_counts_after_its_key_was_replaced(tmp_path: Path) -> None:
    """HIRE-ANC-01, HIRE-KEY-07: where no organisation signs. What comes later by a key from before is refused."""
    home = tmp_path / "acme"
    assert run("init", home, *LOCAL, "--trust", BODY.did).code == 0
    settings = home / "undersigned.toml"
    settings.write_text(re.sub(r"\[organisation\]\n(.+\n)+", "", settings.read_text()))
    assert trust(home, "add", EVE.did, *WHY).code == 0
    other = Path(trust(home, "add", AGENT.did, *WHY).values[0]["file"])
    late = other.rename(tmp_path / "late.json")
    for _ in range(2):
        assert run("keys", "rotate", "--home", home).code == 0
        assert trust(home, "list").code == 0
        assert anchors(home) == Anchors.of(BODY.did, EVE.did)
    with pytest.raises(UndersignedError, match="key_not_authorized"):
        AnchorBook(Home(home), SystemClock().now()).put(json.loads(late.read_text()))
    forged = json.loads(late.read_text())
    forged["evidence"] = "another"
    written(home / "anchors" / f"{digest_of(forged)}.json", forged)
    with pytest.raises(ConfigurationError, match="key_not_authorized"):
        anchors(home)


def test_a_record_that_was_changed_stops_everything(home: Path) -> None:
    """HIRE-ANC-01."""
    ran = trust(home, "add", EVE.did, *WHY)
    file = Path(ran.values[0]["file"])
    file.write_text(file.read_text().replace("statutes", "statute"))
    assert trust(home, "list").error["code"] == "bad_configuration"
    with pytest.raises(ConfigurationError):
        load_anchors(Home(home), NOW)


def test_a_record_under_another_name_stops_everything(home: Path) -> None:
    """HIRE-ANC-01: taken back by its name, it would count on."""
    file = Path(trust(home, "add", EVE.did, *WHY).values[0]["file"])
    file.rename(file.with_name("kept.json"))
    assert trust(home, "list").error["code"] == "bad_configuration"
    with pytest.raises(ConfigurationError, match="digest"):
        load_anchors(Home(home), NOW)


def test_a_set_is_compared_imported_and_updated(home: Path, tmp_path: Path) -> None:
    """HIRE-ANC-03."""
    one, two = Anchor(issuer=EVE.did, types=("X",)), Anchor(issuer=AGENT.did)
    first = published(tmp_path, 1, one)
    compared = trust(home, "diff", first)
    assert (compared.code, compared.values[0]["added"], compared.values[0]["removed"]) == (
        0,
        [{"issuer": EVE.did, "types": ["X"]}],
        [],
    )
    assert not (home / "anchors").exists(), "comparing changes nothing"
    assert trust(home, "import", first).error["code"] == "bad_configuration", "without evidence"
    assert trust(home, "import", first, *WHY).code == 0
    assert set(anchors(home).anchors) == {Anchor(issuer=BODY.did), one}
    assert trust(home, "import", first).values[0]["changed"] is False

    second = published(tmp_path, 2, two)
    compared = trust(home, "diff", second)
    assert [len(compared.values[0][part]) for part in ("added", "removed")] == [1, 1]
    assert trust(home, "import", second, *WHY).code == 0
    assert set(anchors(home).anchors) == {Anchor(issuer=BODY.did), two}
    assert trust(home, "import", first, *WHY).error["code"] == "policy_denied", "an older one comes too late"
    assert trust(home, "import", published(tmp_path, 3, one, by=EVE), *WHY).error["code"] == "key_not_authorized"


def test_whom_nobody_named_is_believed_as_before(home: Path, tmp_path: Path) -> None:
    """An issuer or a record is removed, and nothing of others; an anchor that ended is told as one that did."""
    assert trust(home, "add", AGENT.did, *WHY).code == 0
    for issuer, year in ((EVE, 2100), (ORGANISATION, 2020)):
        assert trust(home, "add", issuer.did, "--until", f"{year}-01-01T00:00:00Z", *WHY).code == 0
    states = {one["issuer"]: one["state"] for one in trust(home, "list").values if "issuer" in one}
    assert states == {one.did: "valid" for one in (BODY, EVE, AGENT)} | {ORGANISATION.did: "expired"}
    assert trust(home, "remove", EVE.did, "--yes").code == 0
    assert {one.issuer for one in anchors(home).anchors} == {BODY.did, AGENT.did, ORGANISATION.did}


def test_all_that_is_listed_can_be_removed(home: Path, tmp_path: Path) -> None:
    """By a set's issuer or the record that the list names; by one who stands in a set if told that all of it goes."""
    two = (Anchor(issuer=EVE.did, types=("X",)), Anchor(issuer=AGENT.did))
    assert trust(home, "import", published(tmp_path, 1, *two), *WHY).code == 0
    spoken = run("trust", "list", "--home", home).out
    (record,) = {one["record"] for one in trust(home, "list").values if "record" in one}
    assert f"record {record}, number 1 of a set by {BODY.did}" in spoken

    before = files(home)
    held = trust(home, "remove", EVE.did)
    assert (held.code, held.values[0]["whole"], held.values[0]["count"]) == (7, record, 2)
    assert "can only be removed whole" in run("trust", "remove", EVE.did, "--home", home).out
    assert files(home) == before
    assert trust(home, "remove", EVE.did, "--yes").code == 0
    assert anchors(home) == Anchors.of(BODY.did)

    for name in (record, BODY.did):
        assert trust(home, "import", tmp_path / "set-1.json", *WHY).code == 0
        (record,) = {one["record"] for one in trust(home, "list").values if "record" in one}
        assert trust(home, "remove", record if name != BODY.did else name).code == 0
        assert not [one for one in anchors(home).anchors if one.issuer in (EVE.did, AGENT.did)]
    assert trust(home, "list").values[-1]["count"] == 0, "the body was in the configuration, too"


def test_an_end_that_is_no_instant_is_told_in_plain_words(home: Path) -> None:
    ran = trust(home, "add", EVE.did, *WHY, "--until", "yesterday")
    assert ran.code == 2
    assert ran.error["message"] == "--until: expected an instant such as 2027-01-01T00:00:00Z, got 'yesterday'"


def test_an_end_that_is_past_is_told(home: Path) -> None:
    said = run("trust", "add", EVE.did, *WHY, "--until", "2020-01-01T00:00:00Z", "--home", str(home))
    assert "it ended at 2020-01-01T00:00:00Z, so it will not count" in said.out


def test_credentials_become_edges_and_paths_are_told(home: Path, tmp_path: Path) -> None:
    """HIRE-TRU-01."""
    nothing = trust(home, "explain", AGENT.did)
    assert (nothing.code, nothing.values[0]["score"]) == (3, "0")
    endorsed = trust(
        home, "import", said(tmp_path, BODY, EVE, "EndorsementCredential", capability="sbom", weight="0.2")
    )
    assert (endorsed.code, endorsed.values[0]["new"]) == (0, True)
    assert trust(home, "import", said(tmp_path, EVE, AGENT, "EndorsementCredential", capability="sbom")).code == 0
    told = trust(home, "explain", AGENT.did, "--capability", "sbom")
    assert (told.code, told.values[0]["score"]) == (0, "0.2")
    assert [edge["source"] for edge in told.values[0]["paths"][0]["edges"]] == [BODY.did, EVE.did]
    assert told.values[0]["anchors"] == anchors(home).digest
    spoken = run("trust", "explain", AGENT.did, "--home", home)
    assert f"score 0.2: {AGENT.did}" in spoken.out

    drawn = tmp_path / "paths.svg"
    assert trust(home, "graph", AGENT.did, "--svg", "--out", drawn).code == 0
    assert AGENT.did in [node.text for node in ElementTree.parse(drawn).iter()]
    assert run("trust", "graph", AGENT.did, "--svg", "--home", home).out == drawn.read_text()
    assert [value["kind"] for value in trust(home, "graph", AGENT.did).values] == ["endorsement"] * 2
    named = trust(home, "graph", AGENT.did, "--svg", "--name", f"{AGENT.did}=Agent=1", "--name", f"{BODY.did}=Body")
    assert {">Agent=1<", ">Body<"} <= set(re.findall(">[^<]*<", named.values[0]["svg"]))
    for wrong in ("Agent", f"{AGENT.did}=", f"Agent={AGENT.did}"):
        assert trust(home, "graph", AGENT.did, "--svg", "--name", wrong).code == 2

    no = trust(home, "path", EVE.did, "--type", "EndorsementCredential", "--capability", "sbom")
    assert (no.code, no.values[0]["verdict"]) == (3, "no")
    grant = said(tmp_path, BODY, EVE, "AttestationAuthorityCredential", mayAttest="sbom", depth=0)
    assert trust(home, "import", grant).code == 0
    yes = trust(home, "path", EVE.did, "--type", "EndorsementCredential", "--capability", "sbom")
    assert (yes.code, yes.values[0]["verdict"], len(yes.values[0]["paths"])) == (0, "yes", 1)
    audit = tmp_path / "audit.txt"
    audit.write_text("what was found")
    digest = digest_bytes(audit.read_bytes())
    accused = said(tmp_path, BODY, EVE, "AccusationCredential", kind="distrust", evidence=digest)
    assert trust(home, "import", accused, "--evidence", audit).code == 0
    assert (home / "accusations" / digest).read_bytes() == audit.read_bytes()
    assert trust(home, "path", EVE.did, "--type", "EndorsementCredential", "--capability", "sbom").code == 3
    assert trust(home, "explain", AGENT.did).values[0]["dissent"][0]["source"] == BODY.did


@pytest.mark.parametrize("kind", ["distrust", "equivocation", "breach"])
def test_an_accusation_is_imported_beside_its_evidence_alone(home: Path, tmp_path: Path, kind: str) -> None:
    """HIRE-TRU-27: none, another file, and one that shows nothing of what is said."""
    audit, other = tmp_path / "audit.txt", tmp_path / "other.txt"
    audit.write_text("{}")
    other.write_text("something else")
    digest = digest_bytes(audit.read_bytes())
    accused = said(tmp_path, BODY, EVE, "AccusationCredential", kind=kind, evidence=digest)
    for given in ((), ("--evidence", other)):
        ran = trust(home, "import", accused, *given)
        assert (ran.code, ran.error["code"]) == (3, "policy_denied")
        assert f"a file whose digest is {digest}" in ran.error["message"]
    assert trust(home, "import", accused, "--evidence", "its word").error["code"] == "bad_configuration"
    if kind != "distrust":
        refused = trust(home, "import", accused, "--evidence", audit).error
        assert refused["code"] == ("context_not_allowed" if kind == "breach" else "schema_violation")
        assert f"the evidence of a {kind} has to be " in refused["message"], "of two files it is said which"
    assert not (home / "trust.db").exists()
    assert not (home / "accusations").exists()


def test_a_document_that_was_kept_is_named_for_an_accusation_alone(home: Path, tmp_path: Path) -> None:
    """It would be of no use for anything else, and whoever named it expects that it is used."""
    kept = tmp_path / "kept.json"
    kept.write_bytes(BODY.document.raw)
    for file in (
        said(tmp_path, BODY, EVE, "EndorsementCredential", capability="sbom"),
        published(tmp_path, 1, Anchor(issuer=AGENT.did)),
    ):
        ran = trust(home, "import", file, *WHY, "--did-document", kept)
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
        assert "it is for an accusation" in ran.error["message"]
        assert trust(home, "import", file, *WHY).code == 0


def test_a_credential_is_imported_as_the_text_of_a_jwt(home: Path, tmp_path: Path) -> None:
    """As `credentials issue --jwt --out` writes it, by the organisation of this folder."""
    file = tmp_path / "endorsement.jwt"
    issued = ("credentials", "issue", EVE.did, "--type", "endorsement", "--capability", "sbom", "--jwt", "--out", file)
    assert run("init", tmp_path / "body").code == 0
    assert run(*issued, "--home", tmp_path / "body").code == 0
    assert not file.read_text().startswith("{")
    ran = trust(home, "import", file)
    assert (ran.code, ran.values[0]["edge"]["target"], ran.values[0]["new"]) == (0, EVE.did, True)


@pytest.mark.parametrize(
    ("type", "claims"),
    [
        ("EndorsementCredential", {"capability": "sbom", "weight": "2"}),
        ("OtherCredential", {"capability": "sbom"}),
        ("PerformanceCredential", {"contract": Anchors().digest, "outcome": "accepted"}),
    ],
)
def test_what_makes_no_edge_is_not_imported(home: Path, tmp_path: Path, type: str, claims: dict[str, Any]) -> None:
    """HIRE-TRU-01, HIRE-TRU-02."""
    path = said(tmp_path, BODY, EVE, type, **claims)
    assert trust(home, "import", path).error["code"] in ("schema_violation", "policy_denied")
    assert not (home / "trust.db").exists()


def test_a_proof_in_a_list_of_one_is_one_proof(home: Path, tmp_path: Path) -> None:
    path = said(tmp_path, BODY, EVE, "EndorsementCredential", capability="sbom")
    document = json.loads(path.read_text())
    assert trust(home, "import", written(path, document | {"proof": [document["proof"]]})).code == 0


def test_a_credential_that_was_changed_is_not_imported(home: Path, tmp_path: Path) -> None:
    """HIRE-TRU-01."""
    path = said(tmp_path, BODY, EVE, "EndorsementCredential", capability="sbom", weight="0.2")
    path.write_text(path.read_text().replace('"0.2"', '"0.9"'))
    assert trust(home, "import", path).error["code"] == "proof_invalid"


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("add", EVE.did),
        ("add", "eve", *WHY),
        ("add", EVE.did, *WHY, "--until", "tomorrow"),
        ("add", EVE.did, *WHY, "--record", "x.json"),
        ("add", "--record", "nowhere.json"),
        ("import", "nowhere.json"),
        ("diff", "nowhere.json"),
        ("remove", "did:example:nobody"),
        ("path", EVE.did),
        ("graph", EVE.did, "--out", "drawing.svg"),
        ("explain", "eve"),
    ],
)
def test_a_command_line_that_cannot_be_used(home: Path, arguments: tuple[str, ...]) -> None:
    before = files(home)
    assert trust(home, *arguments).code == 2
    assert files(home) == before


def test_a_set_is_signed_by_the_folder_that_publishes_it(home: Path) -> None:
    opened = Home(home)
    assert opened.configuration.organisation is not None
    own = opened.configuration.organisation.did
    document = anchor_set(id=SET_ID, issuer=own, number=1, published=NOW, anchors=[Anchor(issuer=EVE.did)])
    file = written(home / "set.json", asyncio.run(sign_record(opened, document, NOW)))
    assert trust(home, "import", file, *WHY).code == 0


def test_what_is_published_is_signed_by_a_command(home: Path, tmp_path: Path) -> None:
    opened = Home(home)
    assert opened.configuration.organisation is not None
    own = opened.configuration.organisation.did
    unsigned = written(tmp_path / "set.json", anchor_set(id=SET_ID, issuer=own, number=1, published=NOW, anchors=[]))
    signed = tmp_path / "signed.json"
    assert trust(home, "sign", unsigned, "--out", signed).code == 0
    assert trust(home, "import", signed, *WHY).code == 0
    assert trust(home, "sign", signed, "--out", tmp_path / "again.json").code == 2, "it has a proof"
    assert trust(home, "sign", unsigned, "--out", signed).code == 2, "the file is there"
    other = anchor_set(id=SET_ID, issuer=EVE.did, number=1, published=NOW, anchors=[])
    ran = trust(home, "sign", written(tmp_path / "other.json", other), "--out", tmp_path / "never.json")
    assert (ran.code, ran.error["code"]) == (4, "key_not_authorized")
    assert not (tmp_path / "never.json").exists()
    document = {
        "id": "32f54163-7166-48f1-93d8-ff217bdb0653",
        "author": own,
        "created": "2026-01-01T00:00:00Z",
        "validFrom": "2026-01-01T00:00:00Z",
        "version": 1,
        "entries": {"https://example.com/others.schema.json": {EVE.did: {"rate": 88}}},
    }
    established = tmp_path / "established.json"
    assert trust(home, "sign", written(tmp_path / "document.json", document), "--out", established).code == 0
    assert trust(home, "import", established).code == 0


def one_relies_on(issuer: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open engagement rests on what this one said; what a real ledger gives is shown by
    tests/unit/runtime/test_reliance.py.
    """
    relying = OpenEngagement(
        engagement="urn:hire:engagement:e",
        peer=AGENT.did,
        required=("MembershipCredential",),
        shown=(ShownClaim(issuer.did, "MembershipCredential"),),
    )

    async def one_is_open(*_: object) -> list[OpenEngagement]:
        return [relying]

    monkeypatch.setattr("undersigned.cli.trust_changes.open_engagements", one_is_open)


def test_nothing_is_removed_while_an_open_engagement_would_lose_its_path(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ANC-05: it is shown first, and the exit code says that somebody has to decide."""
    one_relies_on(BODY, monkeypatch)
    before = files(home)
    ran = trust(home, "remove", BODY.did)
    assert (ran.code, ran.values[0]["losing"], ran.values[0]["peer"]) == (7, "urn:hire:engagement:e", AGENT.did)
    assert files(home) == before
    spoken = run("trust", "remove", BODY.did, "--home", home)
    assert "loses its path: urn:hire:engagement:e" in spoken.out
    assert trust(home, "remove", BODY.did, "--yes").code == 0
    assert anchors(home) == Anchors()


def test_a_set_that_names_others_waits_for_a_yes_as_well(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ANC-05: what is imported may take as much away as what is removed."""
    one_relies_on(EVE, monkeypatch)
    assert trust(home, "import", published(tmp_path, 1, Anchor(issuer=EVE.did)), *WHY).code == 0
    second, before = published(tmp_path, 2, Anchor(issuer=AGENT.did)), files(home)
    ran = trust(home, "import", second, *WHY)
    assert (ran.code, [one["losing"] for one in ran.values if "losing" in one]) == (7, ["urn:hire:engagement:e"])
    assert files(home) == before
    assert trust(home, "import", second, *WHY, "--yes").code == 0
    assert {one.issuer for one in anchors(home).anchors} == {BODY.did, AGENT.did}
