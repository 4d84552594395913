"""`verify` and `export`: yes, no, and why, of any bytes."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pack_cases import ONE, TWO, WEB, Named, books, untimely, web_document, witnessed_pack
from packs import Hire, far_behind
from support import file_size_limit
from undersigned.encoding import canonicalize, digest_bytes
from undersigned.evidence import MAX_ARCHIVE_BYTES, STEPS, TAMPERINGS, read_archive, verifier_page, write_archive
from undersigned.runtime.signers import generate_key
from undersigned.testing import Actor
from undersigned.transparency import NoteVerifier, verifier_text
from unit.cli.running import files, run


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pack") / "hire.zip"
    file.write_bytes(Hire().whole().pack())
    return file


def remade(data: bytes, name: str, content: bytes) -> bytes:
    """The pack with one member changed, and its manifest made to agree, as a forger would."""
    members = read_archive(data)
    manifest = json.loads(members.pop("manifest.json"))
    for item in manifest["members"]:
        if item["path"] == name:
            item["digest"] = digest_bytes(content)
    return write_archive({**members, name: content, "manifest.json": canonicalize(manifest)})


def test_nothing_of_what_was_agreed_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "hire.zip"
    file.write_bytes(Hire(changing=far_behind).whole().pack())
    assert "x, and what matters" in run("verify", file, "--explain").out


def test_a_pack_may_have_any_name(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is standard input to other programs, if it is meant."""
    (tmp_path / "-").write_bytes(pack.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert run("verify", "./-").code == 0
    assert run("verify", "-").code == 2


def test_a_pack_that_holds(pack: Path) -> None:
    ran = run("verify", pack)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"it holds (all {len(STEPS)} steps; --explain shows them), up to the state closed\n")
    explained = run("verify", pack, "--explain")
    lines = explained.out.splitlines()
    assert [line[5:8] for line in lines[len(STEPS) :][:2]] == ["key", "key"], "a key of each party"
    assert lines[-1].startswith("it holds")
    told = {line[:14].rstrip(): line[14:] for line in lines[len(STEPS) + 2 : -1]}
    assert told["Task"] == "sbom: List what is in the artifact"
    assert told["Price"] == "12.5 EUR, settled by none"
    assert told["Delivered"].endswith(", in the pack")
    assert told["Reviewed"] == "accepted: complete is met"
    assert told["Ended by"] == "review of the hirer: accepted"
    (said,) = run("verify", pack, "--json").values
    assert (said["ok"], said["state"], len(said["steps"])) == (True, "closed", len(STEPS))
    assert said["contract"].startswith("uEi")


def test_what_a_pack_cannot_show_is_said_when_it_holds(tmp_path: Path) -> None:
    """It ends before the hire did, and names under domains have the keys that the pack says; not so whole `did:key`."""
    file = tmp_path / "hire.zip"
    no_end, own_keys = ", which is no end: the other side may hold more", "the keys of did:web:hirer.example are"
    named = Named("hirer")
    for pack, words in (
        (Hire().whole().pack(), (False, False)),
        (Hire().sealed().delivered().pack(), (True, False)),
        (Hire(actors=(named, Actor("provider"))).whole().pack(documents=(named.document.raw,)), (False, True)),
    ):
        file.write_bytes(pack)
        ran = run("verify", file)
        assert (ran.code, no_end in ran.out, own_keys in ran.out) == (0, *words), ran


@pytest.mark.parametrize("part", ["contract", "statement", "transcript", "did-document", "manifest"])
def test_one_changed_byte_is_found(part: str, pack: Path, tmp_path: Path) -> None:
    """HIRE-PCK: with the manifest as it was, and with one that a forger made to agree."""
    data, random = pack.read_bytes(), Random(part)
    members = read_archive(data)
    named = [name for name in members if part in name or (part == "did-document" and name.startswith("did"))]
    assert named
    changed = tmp_path / "changed.zip"
    for name in named:
        at = random.randrange(len(members[name]))
        content = bytearray(members[name])
        content[at] ^= 1 << random.randrange(8)
        packs = [write_archive({**members, name: bytes(content)})]
        if part != "manifest":
            packs.append(remade(data, name, bytes(content)))
        for forged in packs:
            changed.write_bytes(forged)
            ran = run("verify", changed)
            assert ran.code == 4, f"{name} at {at}"
            assert ran.out.splitlines()[-1].startswith("it does NOT hold: step ")
            assert "FAILED" in ran.out
            assert ran.err == ""
            (said,) = run("verify", changed, "--json").values
            assert said["ok"] is False
            assert [step for step in said["steps"] if not step["ok"]]


def documents_of(pack: Path, folder: Path) -> list[Path]:
    """The DID documents in a pack, as files."""
    found: list[Path] = []
    for name, data in read_archive(pack.read_bytes()).items():
        if name.startswith("did-documents/"):
            found.append(folder / name.rpartition("/")[2])
            found[-1].write_bytes(data)
    return found


def test_the_keys_are_shown_and_compared_with_known_documents(pack: Path, tmp_path: Path) -> None:
    """HIRE-PCK-01, what it cannot prove: whoever has a party's document brings it, and another one is found."""
    files = documents_of(pack, tmp_path)
    assert len(files) == 2
    options = [option for file in files for option in ("--did-document", file)]
    ran = run("verify", pack, *options, "--explain")
    assert ran.code == 0
    (said,) = run("verify", pack, *options, "--json").values
    assert [key["known"] for key in said["keys"]] == [True, True]
    for key in said["keys"]:
        assert f"{key['method']}: Ed25519 {key['publicKeyMultibase']}, known" in ran.out
        assert key["method"].endswith(key["publicKeyMultibase"]), "a did:key names its key"
    other = json.loads(files[0].read_bytes())
    other["service"] = []
    files[0].write_bytes(canonicalize(other))
    changed = run("verify", pack, *options, "--json")
    assert (changed.code, changed.values[0]["steps"][1]["code"]) == (4, "evidence_invalid")
    stranger = tmp_path / "stranger.json"
    stranger.write_bytes(canonicalize({**other, "id": "did:web:stranger.example"}))
    more = ("--did-document", stranger)
    strange = run("verify", pack, *options[2:], *more, "--json")
    assert strange.code == 2, "what is compared with nothing does not look compared"
    assert strange.error["message"] == "--did-document: nothing in it is of did:web:stranger.example"
    assert run("verify", pack, *options, *more).code == 4, "that it does not hold is said first"
    for bad in (b"{}", b"[]", b"not JSON", b'{"id": 1}', b'{"id": "did:web:x"}'):
        files[0].write_bytes(bad)
        assert run("verify", pack, *options).code == 2
    assert run("verify", pack, "--did-document", tmp_path / "nothing").code == 2
    assert run("verify", pack, *options[2:], *options[2:]).code == 0, "said twice, it is known all the same"


def test_what_is_for_statements_is_not_passed_over_for_a_pack(pack: Path) -> None:
    """It would look as if the pack had been held against it."""
    for option, value in (("--key", generate_key().public_key.multikey), ("--of", pack)):
        ran = run("verify", pack, option, value, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")


def test_a_witness_whose_document_is_brought_is_checked(tmp_path: Path) -> None:
    """HIRE-PCK-08; and a document of whom nothing in the pack is, is none that was compared with anything."""
    pack, document, other = (tmp_path / name for name in ("hire.zip", "witness.json", "other.json"))
    pack.write_bytes(witnessed_pack(lambda log: log.witnessed(TWO, name=WEB)))
    document.write_bytes(web_document(TWO))
    at = ("--at", "2026-11-26T00:00:00Z")
    assert f"{WEB} cosigned" not in run("verify", pack, "--explain", *at).out
    ran = run("verify", pack, "--explain", "--did-document", document, *at)
    assert (ran.code, f"{WEB} cosigned" in ran.out) == (0, True), ran
    other.write_bytes(web_document(TWO).replace(WEB.encode(), b"did:web:elsewhere.example"))
    refused = run("verify", pack, "--did-document", other, "--json", *at)
    assert (refused.code, "did:web:elsewhere.example" in refused.error["message"]) == (2, True)
    spoiled = run("tamper", pack, "--what", "witness", "--out", tmp_path / "spoiled.zip", "--json")
    assert (spoiled.code, spoiled.error["code"]) == (4, "evidence_invalid"), "nobody could tell, without its document"


def test_a_witness_that_is_named_must_have_cosigned(tmp_path: Path) -> None:
    """HIRE-PCK-08: by the key that 'witness serve' shows, whatever the pack says of it."""
    pack = tmp_path / "hire.zip"
    pack.write_bytes(witnessed_pack(lambda log: log.witnessed(TWO, name=WEB)))
    at = ("--at", "2026-11-26T00:00:00Z")
    right, wrong, log = (
        verifier_text(NoteVerifier(WEB, cosigns, key.public_key))
        for key, cosigns in ((TWO, True), (ONE, True), (TWO, False))
    )
    ran = run("verify", pack, "--explain", "--witness", right, *at)
    assert (ran.code, f"{WEB} cosigned" in ran.out, "not checked" in ran.out) == (0, True, False), ran
    refused = run("verify", pack, "--witness", right, "--witness", wrong, "--json", *at)
    failed = next(one for one in refused.values[0]["steps"] if not one["ok"])
    assert (refused.code, failed["code"]) == (4, "log_proof_invalid")
    assert f"the witness '{WEB}'" in failed["detail"]
    for bad in (log, right[:-8], WEB):
        assert run("verify", pack, "--witness", bad, "--json", *at).error["code"] == "bad_configuration"
    statement = tmp_path / "statement.json"
    statement.write_text("{}")
    assert "is for packs" in run("verify", statement, "--witness", right, "--json").error["message"]


def test_members_that_nobody_judged_are_named(pack: Path, tmp_path: Path) -> None:
    members = read_archive(pack.read_bytes())
    manifest = json.loads(members["manifest.json"])
    added = {"path": "zz-later/thing.bin", "digest": digest_bytes(b"later"), "kind": "of-a-later-release"}
    manifest["members"].append(added)
    later = tmp_path / "later.zip"
    later.write_bytes(
        write_archive({**members, "zz-later/thing.bin": b"later", "manifest.json": canonicalize(manifest)})
    )
    ran = run("verify", later, "--explain")
    assert ran.code == 0
    assert "zz-later/thing.bin: of a kind that is not judged here" in ran.out
    (said,) = run("verify", later, "--json").values
    assert said["notJudged"] == ["zz-later/thing.bin"]


def test_what_was_not_reached_is_no_failure(pack: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.zip"
    cut.write_bytes(pack.read_bytes()[:-1])
    lines = run("verify", cut).out.splitlines()
    assert len(lines) == 2
    explained = run("verify", cut, "--explain").out.splitlines()
    assert len(explained) == len(STEPS) + 1, "what does not hold says nothing of what was agreed"
    assert sum("FAILED" in line for line in explained) == 1


@pytest.mark.parametrize("content", [b"", b"PK", b"\x00" * 4096, b"PK\x05\x06" + bytes(18), b"PK\x03\x04" * 99, b"{}"])
def test_what_is_no_pack_does_not_hold(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert run("verify", tmp_path / "x.zip").code == 4


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_bytes_are_answered(pack: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Cut anywhere, changed anywhere, or other bytes altogether: never a traceback, never a yes."""
    whole = pack.read_bytes()
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "any"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    forged = {
        "cut": whole[:at],
        "flip": whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :],
        "insert": whole[:at] + data.draw(st.binary(min_size=1, max_size=8)) + whole[at:],
        "any": data.draw(st.binary(max_size=200)) if kind == "any" else b"",
    }[kind]
    file = tmp_path / "forged.zip"
    file.write_bytes(forged)
    ran = run("verify", file, "--json")
    assert (ran.code, ran.err) == (4, "")
    assert ran.values[0]["ok"] is False


@pytest.mark.parametrize("name", ["missing.zip", ".", "x" * 300])
def test_a_pack_that_cannot_be_read_is_an_error_of_the_command_line(name: str, tmp_path: Path) -> None:
    for form in ((), ("--json",)):
        ran = run("verify", f"{tmp_path}/{name}", *form)
        assert ran.code == 2
        assert "Traceback" not in ran.err
    assert ran.error["code"] == "bad_configuration"


def test_an_export_that_cannot_be_made_writes_nothing(tmp_path: Path) -> None:
    assert run("init", tmp_path / "acme", "--local", "--port", 8109).code == 0
    before = files(tmp_path)
    for engagement in ((), ("urn:hire:engagement:nothing",), ("",), ("\x1b[2J",)):
        ran = run("export", *engagement, "--home", tmp_path / "acme", "--out", tmp_path / "pack.zip", "--json")
        assert (ran.code, ran.error["code"]) == (2, "not_found")
    assert files(tmp_path) == before


def test_a_pack_is_tampered_with_and_refused(pack: Path, tmp_path: Path) -> None:
    listed = run("tamper")
    assert (listed.code, len(listed.out.splitlines())) == (0, len(TAMPERINGS))
    (said,) = run("tamper", "--json").values
    assert {one["kind"] for one in said["kinds"]} == set(TAMPERINGS)
    made = tmp_path / "made.zip"
    (said,) = run("tamper", pack, "--what", "price", "--out", made, "--json").values
    assert said == {"file": str(made), "kind": "price"}
    assert run("verify", made).code == 4
    assert run("tamper", pack, "--what", "scope", "--out", made).code == 2, "it writes over nothing"
    assert run("tamper", pack, "--what", "scope", "--out", made, "--force").code == 0
    for wrong in (
        ("--what", "price"),
        ("--out", tmp_path / "x.zip"),
        ("--what", "colour", "--out", tmp_path / "x.zip"),
    ):
        assert run("tamper", pack, *wrong).code == 2
    assert run("tamper", pack, "--what", "price", "--out", tmp_path / "no" / "x.zip", "--json").error["code"] == (
        "bad_configuration"
    )
    assert run("tamper", tmp_path / "none.zip", "--what", "price", "--out", tmp_path / "x.zip").code == 2
    assert run("tamper", made, "--what", "refusal", "--out", tmp_path / "again.zip").code == 0
    made.write_bytes(b"no pack")
    assert run("tamper", made, "--what", "price", "--out", tmp_path / "x.zip").code == 4


def test_the_page_is_written_for_browsers(pack: Path, tmp_path: Path) -> None:
    page = tmp_path / "verifier.html"
    (said,) = run("verify", "--page", page, "--json").values
    assert said == {"file": str(page)}
    assert page.read_bytes() == verifier_page()
    assert run("verify", "--page", page).code == 2, "it writes over nothing"
    assert run("verify", "--page", page, "--force").code == 0
    assert run("verify", pack, "--page", tmp_path / "other.html").code == 2
    assert not (tmp_path / "other.html").exists()


def test_a_full_disk_leaves_no_half_of_a_file(pack: Path, tmp_path: Path) -> None:
    """Source: 09-errors, table of exit codes."""
    with file_size_limit(4096):
        for command in (("tamper", pack, "--what", "price", "--out"), ("verify", "--page")):
            ran = run(*command, tmp_path / "made", "--json")
            assert (ran.code, ran.error["code"]) == (8, "store_full"), ran
            assert str(tmp_path / "made") in ran.error["message"]
    assert files(tmp_path) == {}


def test_a_pack_is_judged_as_of_the_instant_that_is_named(pack: Path) -> None:
    """HIRE-PCK-01: nothing in it was recorded later than the verifier's now, by whatever clock it takes."""
    (said,) = run("verify", pack, "--json").values
    last = json.loads(read_archive(pack.read_bytes())["manifest.json"])["created"]
    assert said["at"] > last
    ran = run("verify", pack, "--at", last)
    assert ran.code == 0
    assert ran.out.startswith(f"it holds as of {last} (all ")
    (then,) = run("verify", pack, "--at", last, "--json").values
    assert then == {**said, "at": last}
    early = run("verify", pack, "--at", "2020-01-01T00:00:00Z", "--json")
    assert early.code == 4
    assert "which is after 2020-01-01T00:00:00Z" in early.values[0]["steps"][0]["detail"]
    for edge in ("2000-01-01T00:00:00Z", "2999-12-31T23:59:59Z"):
        assert run("verify", pack, "--at", edge).code in (0, 4)
    for bad in ("now", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+01:00", ""):
        ran = run("verify", pack, "--at", bad, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "years 2000 to 2999" in run("verify", pack, "--at", "9999-12-31T23:59:59Z", "--json").error["message"]


def test_more_than_a_pack_may_have_does_not_hold(pack: Path, tmp_path: Path) -> None:
    """HIRE-PCK-01: where a step names no code, it is `evidence_invalid`."""
    (tmp_path / "large.zip").write_bytes(pack.read_bytes())
    with (tmp_path / "large.zip").open("r+b") as file:
        file.truncate(MAX_ARCHIVE_BYTES + 9)  # without a block on the disk
    ran = run("verify", tmp_path / "large.zip", "--json")
    assert ran.code == 4
    assert {step["code"] for step in ran.values[0]["steps"]} == {"evidence_invalid"}
    assert "larger than" in ran.values[0]["steps"][0]["detail"]


def test_books_that_differ_and_what_came_too_early_are_told_though_the_pack_holds(tmp_path: Path) -> None:
    """HIRE-LIF-34: the pack is as it was; that somebody said what is not so is in it."""
    file = tmp_path / "hire.zip"
    file.write_bytes(next(one.data for one in books() if one.name == "ended"))
    told = (
        "by the hirer, 12.5 EUR is owed; by what ended the contract, 0 EUR is owed; by the provider, 12.5 EUR is owed"
    )
    ran = run("verify", file)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"     books  they differ: {told}")
    file.write_bytes(next(one.data for one in untimely() if one.name == "Terminate of the hirer in sealed after 0 s"))
    ran = run("verify", file)
    assert (ran.code, ran.out.splitlines()[0].split()[:2]) == (0, ["early", "Terminate"])
