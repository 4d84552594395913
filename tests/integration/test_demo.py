"""`undersigned demo`: the main job on a real archive, told to programs and to people; its evidence holds, and bites."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.archives import contents, make_sdist, make_wheel
from integration.commands import Ended, undersigned
from undersigned.daemon.sbom import bill_of_materials, check_bill
from undersigned.errors import FormatError
from undersigned.evidence import read_archive, tamper, write_archive
from undersigned.testing import free_ports
from unit.cli.running import run

PHASES = ["discover", "present", "evaluate", "contract", "execute", "attest"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder: Path) -> Ended:
    """A demo on a source distribution, as programs see it."""
    return undersigned("demo", "--artifact", make_sdist(folder), "--json", folder=folder)


@pytest.fixture(scope="module")
def done(demo: Ended) -> dict:
    assert demo.code == 0, demo
    print(f"the hire took {demo.values[-1]['hireSeconds']} s")
    return demo.values[-1]


def test_it_ends_well(demo: Ended, done: dict) -> None:
    assert (done["kind"], done["ok"], done["refusals"]) == ("done", True, 2)
    assert done["contract"].startswith("uEi")
    assert demo.err == ""
    assert all(value["local"] is True for value in demo.values)


def test_every_phase_is_told_in_order(demo: Ended, done: dict) -> None:
    told = [value["phase"] for value in demo.values[:-1]]
    assert list(dict.fromkeys(told)) == PHASES
    assert told == sorted(told, key=PHASES.index)


def test_both_gates_refuse_and_name_the_clause(demo: Ended, done: dict) -> None:
    """HIRE-SCP: what the contract does not grant is refused, by the provider's own gate and by the hirer's."""
    refusals = [value for value in demo.values if value.get("type") == "REFUSED"]
    assert sorted(value["who"] for value in refusals) == ["Acme's gate", "Globex's gate"]
    assert all("refused by clause 'read-1'" in value["text"] for value in refusals)


def test_what_was_made_describes_the_archive(done: dict, folder: Path) -> None:
    bill = json.loads((folder / done["delivered"]["sbom.cdx.json"]).read_bytes())
    described = bill["metadata"]["component"]
    assert (described["name"], described["version"]) == ("app", "1.0")
    listed = {c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"}
    assert listed == contents(folder / "app-1.0.tar.gz")


@pytest.mark.parametrize("side", ["acme", "globex"])
def test_the_evidence_of_both_sides_holds(side: str, done: dict, folder: Path) -> None:
    (said,) = run("verify", folder / done["packs"][side], "--json").values
    assert (said["ok"], said["contract"], said["engagement"]) == (True, done["contract"], done["engagement"])


@pytest.mark.parametrize("side", ["acme", "globex"])
@pytest.mark.parametrize("what", ["no-refusals", "no-decisions", "no-inputs", "no-proofs"])
def test_nobody_takes_out_unseen_what_was_recorded(
    what: str, side: str, done: dict, folder: Path, tmp_path: Path
) -> None:
    """HIRE-PCK-10: whoever has no key can leave it out of the pack of either side, and then that does not hold."""
    pack = folder / done["packs"][side]
    (said,) = run("verify", pack, "--json").values
    assert said["steps"][8]["detail"].startswith("1 refused action is stated by ")
    assert said["steps"][8]["detail"].endswith("the work statements name 2, 1 of which are not stated here")
    less = tmp_path / "less.zip"
    less.write_bytes(tamper(pack.read_bytes(), what))
    assert run("verify", less).code == 4


@pytest.mark.parametrize("side", ["acme", "globex"])
@pytest.mark.parametrize("part", ["contract", "statement", "transcript"])
def test_one_changed_byte_and_it_does_not_hold(side: str, part: str, done: dict, folder: Path, tmp_path: Path) -> None:
    """In the archive as it lies there, and in one put together again around the changed member."""
    data, random = (folder / done["packs"][side]).read_bytes(), Random(f"{side}{part}")
    members = read_archive(data)
    named = [name for name in members if part in name]
    assert named
    forged: list[bytes] = []
    for name in random.sample(named, min(3, len(named))):
        content = members[name]
        for _ in range(4):
            at, bit = random.randrange(len(content)), 1 << random.randrange(8)
            changed = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
            head = name.encode()
            assert data.count(head + content) == 1, "members are stored as they are, each behind its name"
            forged += [data.replace(head + content, head + changed), write_archive({**members, name: changed})]
    for one in forged:
        (tmp_path / "pack.zip").write_bytes(one)
        assert run("verify", tmp_path / "pack.zip").code == 4


def test_the_ledgers_of_both_sides_are_whole(done: dict, folder: Path) -> None:
    for pack in done["packs"].values():
        home = (folder / pack).parent.parent
        assert run("ledger", "fsck", "--home", home).code == 0
        (row,) = run("ledger", "list", "--home", home, "--json").values
        assert (row["state"], row["contract"], row["live"]) == ("closed", done["contract"], False)


def test_people_are_told_a_story(tmp_path: Path) -> None:
    ended = undersigned("demo", "--artifact", make_wheel(tmp_path), "--dir", "here", folder=tmp_path, COLUMNS="80")
    assert (ended.code, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if line]
    assert [line for line in lines if not line.startswith("local | ")] == []
    for number, phase in enumerate(PHASES, start=1):
        assert f"local |  {number}  {phase}" in lines
    assert sum("REFUSED" in line for line in lines) == 2
    assert "refused 2 times, accepted and closed" in lines[-1]
    assert [line.split()[-1] for line in lines if " State " in line] == ["closed"]
    (pack,) = [line.split()[-2] for line in lines if "undersigned verify" in line]
    assert (tmp_path / pack).is_file()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["here"]


@pytest.fixture(scope="module")
def archives(folder: Path) -> dict[str, bytes]:
    """One archive of each kind that is read."""
    packed = make_sdist(folder).read_bytes()
    tar = gzip.decompress(packed)
    wheel = make_wheel(folder).read_bytes()
    return {"whl": wheel, "gz": packed, "tar": tar, "bz2": bz2.compress(tar), "xz": lzma.compress(tar)}


NO_ARCHIVES = {
    "text": b"not an archive",
    "empty": b"",
    "a zip without metadata": b"PK\x05\x06" + bytes(18),
    "a broken zip": b"PK\x03\x04" + b"\xff" * 200,
    "a broken gzip": b"\x1f\x8b\x08" + b"\xff" * 200,
    "a broken xz": b"\xfd7zXZ\x00" + b"\xff" * 200,
}


@pytest.mark.parametrize("what", NO_ARCHIVES)
def test_what_is_no_archive_is_said_before_anything_is_made(what: str, tmp_path: Path) -> None:
    (tmp_path / "file.whl").write_bytes(NO_ARCHIVES[what])
    ran = run("demo", "--artifact", tmp_path / "file.whl", "--dir", tmp_path / "demo", "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "file.whl" in ran.error["message"]
    assert "\\n" not in ran.error["message"]
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(("taken", "says"), [("acme", "the hire failed: "), ("globex", "")])
def test_a_company_that_cannot_start_ends_the_demo_with_why(
    taken: str, says: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own, which takes its time: by no code alone is it seen what went wrong there."""
    ports = dict(zip(("acme", "globex"), free_ports(2), strict=True))
    monkeypatch.setattr("undersigned.cli.demo.free_ports", lambda _: tuple(ports.values()))
    with closing(socket.create_server(("127.0.0.1", ports[taken]))):
        ran = run("demo", "--artifact", make_wheel(tmp_path), "--dir", tmp_path / "demo", "--json")
    assert ran.code == 2, ran
    assert ran.error["message"].startswith(f"{says}cannot listen")


def test_an_artifact_that_is_not_there(tmp_path: Path) -> None:
    ran = run("demo", "--artifact", tmp_path / "missing.whl", "--dir", tmp_path / "demo", "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert not (tmp_path / "demo").exists()


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(["whl", "gz", "tar", "bz2", "xz"]), seed=st.integers(0, 2**32))
def test_any_damage_of_an_archive_is_an_error_or_harmless(kind: str, seed: int, archives: dict[str, bytes]) -> None:
    """Either it is no archive, or its bill lists what is in it; nothing else comes out of the libraries below."""
    random, data = Random(seed), bytearray(archives[kind])
    match random.randrange(3):
        case 0:
            for _ in range(random.randrange(1, 4)):
                data[random.randrange(len(data))] = random.randrange(256)
        case 1:
            del data[random.randrange(len(data)) :]
        case _:
            data[random.randrange(len(data)) : 0] = random.randbytes(random.randrange(1, 9))
    try:
        bill = bill_of_materials(bytes(data), "artifact")
    except FormatError as error:
        assert error.code in {"bad_request", "too_large"}  # noqa: PT017 - most are refused, some are harmless
        return
    assert check_bill(bill, bytes(data)) == {"schema-valid": True, "describes-artifact": True, "lists-every-file": True}


def test_what_a_review_needs_is_loaded_beside_and_a_failure_of_that_is_left_to_the_review() -> None:
    """With no file to be had, say: the thread that loads it has nobody to tell."""
    load = (
        "import resource; from threading import Thread; from undersigned.daemon import sbom_loading\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "thread = Thread(target=sbom_loading.load_sbom); thread.start(); thread.join(); print('done')"
    )
    ran = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("done\n", "")
