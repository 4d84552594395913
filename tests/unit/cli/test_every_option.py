"""Every option and argument of every command, as the command declares them: a new one is in these tests by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import click
import pytest

from undersigned import Peer, create_home
from undersigned.cli import _group
from undersigned.cli.options import FilePath
from undersigned.encoding import digest_bytes
from unit.cli.running import files, run
from unit.cli.test_main import COMMANDS, LEAVES

ODD = os.fsdecode(b"\xff")
"""What a shell passes on for $'\\xff'."""


class Place(NamedTuple):
    """One option or argument of one command."""

    command: tuple[str, ...]
    parameter: click.Parameter

    def __str__(self) -> str:
        return f"{' '.join(self.command)} {self.parameter.opts[0]}"

    def line(self, value: str) -> list[str]:
        """The command with `value` in this place, and something in each other place that has to be filled."""
        line = list(self.command)
        for one in found(self.command).params:
            put = value if one is self.parameter else filled(one) if one.required else None
            if put is not None:
                line += [f"{one.opts[0]}={put}"] if isinstance(one, click.Option) else [put]
        return line


def found(path: tuple[str, ...]) -> click.Command:
    command: click.Command | None = _group
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    return command


def filled(parameter: click.Parameter) -> str:
    return str(parameter.type.choices[0]) if isinstance(parameter.type, click.Choice) else "something"


def places() -> Iterator[Place]:
    for path in LEAVES:
        for parameter in found(path).params:
            if not (isinstance(parameter, click.Option) and parameter.is_flag):
                yield Place(path, parameter)


PLACES = list(places())
NAMES_A_FILE = [place for place in PLACES if isinstance(place.parameter.type, click.Path)]
NAMES_NONE = [place for place in PLACES if place not in NAMES_A_FILE]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("homes") / "acme"
    assert run("init", path, "--local", "--port", 8109).code == 0
    return path


@pytest.mark.parametrize("place", NAMES_NONE, ids=str)
@pytest.mark.parametrize("value", [ODD, f"a{ODD}b", f"ws://{ODD}"], ids=ascii)
def test_what_is_not_text_is_refused_by_name(place: Place, value: str, home: Path, tmp_path: Path) -> None:
    """A byte that is no UTF-8 is in no name, DID or word; none of it comes as far as the command."""
    ran = run(*place.line(value), UNDERSIGNED_HOME=str(home))
    assert (ran.code, ran.out) == (2, ""), ran
    assert "Traceback" not in ran.err
    named = place.parameter.make_metavar(click.Context(found(place.command)))
    assert place.parameter.opts[0] in ran.err or named in ran.err
    assert run(*place.line(value), "--json", UNDERSIGNED_HOME=str(home)).error["code"] == "bad_configuration"


@pytest.mark.parametrize(
    "line", [("demo", "--dir"), ("spawn", "--out"), ("ledger", "backup")], ids=lambda line: " ".join(line)
)
def test_a_folder_for_state_folders_has_a_name_that_theirs_may_have(
    line: tuple[str, ...], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demo ended in a defect of ours, and what others made there was no folder that `--home` takes."""
    ran = run(*line, tmp_path / ODD, "--json", UNDERSIGNED_HOME=str(home))
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "expected its path to be UTF-8" in ran.error["message"]
    assert not list(tmp_path.iterdir())
    (tmp_path / ODD).mkdir()
    monkeypatch.chdir(tmp_path / ODD)  # and whatever it is called, it is there
    ran = run(*line, "here", "--json", UNDERSIGNED_HOME=str(home))
    assert (ran.code, "expected its path to be UTF-8" in ran.error["message"]) == (2, True)
    assert not list((tmp_path / ODD).iterdir()), "a demo left the folder of its run"
    ran = run(*line, tmp_path / "two\nlines", "--json", UNDERSIGNED_HOME=str(home))
    assert (ran.code, "expected a name that can be printed" in ran.error["message"]) == (2, True)
    assert not list(tmp_path.glob("two*")), "which no --home takes"


PEER = "did:web:localhost%3A1"  # nobody listens there
DIGEST = digest_bytes(b"a contract")
READS = {
    "demo --artifact": ("demo", "--artifact", "FILE", "--dir", "FOLDER"),
    "hire --input": ("hire", PEER, "--task", "sbom", "--input", "artifact=FILE"),
    "hire --scope": ("hire", PEER, "--task", "x", "--scope", "FILE"),
    "hire --c2pa": ("hire", PEER, "--task", "x", "--c2pa", "FILE"),
    "judge pack": ("judge", "FILE", "passed", "--out", "FOLDER/verdict.json"),
    "rule pack": ("rule", "FILE", "divided", "--owed", "1 EUR", "--reason", "x", "--out", "FOLDER/ruling.json"),
    "contract judge statement": ("contract", "judge", DIGEST, "FILE"),
    "trust add --record": ("trust", "add", "--record", "FILE"),
    "trust import files": ("trust", "import", "FILE"),
    "trust import --did-document": ("trust", "import", "FOLDER/some.toml", "--did-document", "FILE"),
    "trust diff file": ("trust", "diff", "FILE"),
    "trust sign file": ("trust", "sign", "FILE", "--out", "FOLDER/signed.json"),
    "policy explain --file": ("policy", "explain", "--file", "FILE"),
    "policy test cases": ("policy", "test", "FILE"),
    "policy test --file": ("policy", "test", "--file", "FILE"),
    "registry serve --file": ("registry", "serve", "--file", "FILE"),
    "registry serve --token-file": ("registry", "serve", "--file", "FOLDER/some.toml", "--token-file", "FILE"),
    "check did": ("check", "FILE", "--for", "x", "--offline"),
    "check --pack": ("check", "FOLDER/some.toml", "--for", "x", "--offline", "--pack", "FILE"),
    "check --did-document": ("check", "FOLDER/some.toml", "--for", "x", "--offline", "--did-document", "FILE"),
    "history --pack": ("history", PEER, "--pack", "FILE"),
    "history --did-document": ("history", PEER, "--did-document", "FILE"),
    "trace artifact": ("trace", "FILE"),
    "trace --pack": ("trace", "FOLDER/some.toml", "--pack", "FILE"),
    "trace --did-document": ("trace", "FOLDER/some.toml", "--did-document", "FILE"),
    "verify pack": ("verify", "FILE"),
    "tamper pack": ("tamper", "FILE", "--what", "price", "--out", "FOLDER/tampered.zip"),
    "verify --of": ("verify", "FOLDER/some.toml", "--of", "FILE"),
    "verify --did-document": ("verify", "FOLDER/some.toml", "--did-document", "FILE"),
    "credentials add file": ("credentials", "add", "FILE"),
    "gate --rules": ("gate", "--upstream", "http://127.0.0.1:9", "--rules", "FILE"),
    "gate --token-file": (
        *("gate", "--upstream", "http://127.0.0.1:9", "--rules", "FOLDER/gate.toml"),
        *("--peer", "http://127.0.0.1:9", "--token-file", "FILE"),
    ),
    "mcp-gate --token-file": (
        *("mcp-gate", "--upstream", "http://127.0.0.1:9/mcp", "--rules", "FOLDER/some.toml"),
        *("--peer", "http://127.0.0.1:9", "--token-file", "FILE"),
    ),
    "mcp-gate --rules": ("mcp-gate", "--upstream", "http://127.0.0.1:9", "--rules", "FILE"),
    "conform --expected": ("conform", "wss://nobody.example/hire", "--expected", "FILE"),
    "conform --vectors": ("conform", "wss://nobody.example/hire", "--vectors", "FILE"),
    "conform --replay": ("conform", "--replay", "FILE"),
    "conform --verify": ("conform", "--verify", "FILE"),
    "conform --did-document": ("conform", "--verify", "FOLDER/some.toml", "--did-document", "FILE"),
    "conform --token-file": ("conform", "wss://nobody.example/hire", "--token-file", "FILE"),
    "interop --peers": ("interop", "--peers", "FILE"),
    "contract dispute --ruling": ("contract", "dispute", "urn:hire:engagement:x", "--ruling", "FILE"),
    "ledger audit --since": ("ledger", "audit", "--since", "FILE"),
    "ledger forks --check": ("ledger", "forks", "--check", "FILE"),
    "ledger forks --did-document": ("ledger", "forks", "--check", "FOLDER/some.toml", "--did-document", "FILE"),
}
"""Of each place whose file is read: a command line that gets that far."""
GATE_RULES = """origin = "https://api.acme.example"
[[rule]]
method = ["GET"]
path = "/files/*"
action = "repo:read"
"""
WRITES = {
    "trust graph --out": ("trust", "graph", PEER, "--svg", "--out", "FILE"),
    "trust sign --out": ("trust", "sign", "FOLDER/set.json", "--out", "FILE"),
    "judge --out": ("judge", "FOLDER/pack.zip", "passed", "--out", "FILE"),
    "rule --out": ("rule", "FOLDER/pack.zip", "divided", "--owed", "1 EUR", "--reason", "x", "--out", "FILE"),
    "export --out": ("export", "x", "--out", "FILE"),
    "export --page": ("export", "--page", "FILE"),
    "verify --page": ("verify", "--page", "FILE"),
    "tamper --out": ("tamper", "FOLDER/pack.zip", "--what", "price", "--out", "FILE"),
    "credentials issue --out": ("credentials", "issue", PEER, "--out", "FILE"),
    "ledger checkpoint --out": ("ledger", "checkpoint", "--out", "FILE"),
    "ledger forks --out": ("ledger", "forks", PEER, "--out", "FILE"),
    "witness ask --out": ("witness", "ask", "--out", "FILE"),
    "trace --picture": ("trace", DIGEST, "--picture", "FILE"),
}
"""Of each place whose file is written: a command line with it."""
REFUSED_LATER = {"export --out"}
"""Whether the file is in the way is known only once what would be written is; `test_cli.py` has it."""
FOLDERS = {
    *("offer approve --as", "offer refuse --as"),  # read
    *("demo --dir", "spawn --out"),  # each run, each process gets a new one in it
    "hire --out",  # nothing there is written over: what is delivered gets a name beside it
    *("conform --report", "interop --report"),  # written over, as their help says
    "ledger backup folder",  # refused if anything is there
}


def test_every_place_that_names_a_file_is_known() -> None:
    assert {str(place) for place in NAMES_A_FILE} == READS.keys() | WRITES.keys() | FOLDERS


def test_a_folder_is_declared_as_one() -> None:
    """So nothing that writes a file is among the folders, for which other rules are."""
    folders = {str(place) for place in NAMES_A_FILE if not cast("click.Path", place.parameter.type).file_okay}
    assert folders == FOLDERS


@pytest.mark.parametrize("place", WRITES)
def test_what_writes_a_file_has_a_word_for_writing_over_one(place: str) -> None:
    """The same at each: it names a file, and no standard output, and a file that is there stays without `--force`."""
    (named,) = (one for one in NAMES_A_FILE if str(one) == place)
    assert isinstance(named.parameter.type, FilePath)
    assert "--force" in [option for one in found(named.command).params for option in one.opts]
    assert "without this it stays" in " ".join(run(*named.command, "--help").out.split())


@pytest.mark.parametrize("place", sorted(WRITES.keys() - REFUSED_LATER))
@pytest.mark.parametrize("kind", ["file", "link to nothing"])
def test_a_file_that_is_there_is_refused_before_anything_is_done(
    place: str, kind: str, home: Path, tmp_path: Path
) -> None:
    """Nothing is asked, signed or kept for what could then not be written; and what is there stays as it is."""
    named, before = tmp_path / "kept", files(home)
    if kind == "file":
        named.write_text("cannot be made again")
    else:
        named.symlink_to("nowhere")
    line = [part.replace("FILE", str(named)).replace("FOLDER", str(tmp_path)) for part in WRITES[place]]
    refused = run(*line, "--json", UNDERSIGNED_HOME=str(home))
    assert (refused.code, refused.error["code"]) == (2, "bad_configuration")
    assert refused.error["message"].endswith(f"'{place.split()[-1]}': {named} is there already: --force writes over it")
    assert files(home) == before
    assert kind != "file" or named.read_text() == "cannot be made again"


@pytest.mark.parametrize(
    "place", ["trust graph --out", "credentials issue --out", "ledger checkpoint --out", "verify --page"]
)
def test_with_force_it_is_written_over(place: str, home: Path, tmp_path: Path) -> None:
    """And told as `file`, as README says."""
    named = tmp_path / "old"
    named.write_text("old")
    line = [part.replace("FILE", str(named)) for part in WRITES[place]]
    made = run(*line, "--force", "--json", UNDERSIGNED_HOME=str(home))
    assert (made.code, made.values[-1]["file"]) == (0, str(named))
    assert named.stat().st_size > len("old")


@pytest.mark.parametrize("place", READS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing", "name of other bytes", "too large"])
def test_a_file_that_is_none_is_refused_at_once(place: str, kind: str, home: Path, tmp_path: Path) -> None:
    """Nothing is waited for, however long nobody writes into a pipe, and no more is read than a file may hold."""
    (tmp_path / "some.toml").touch()
    (tmp_path / "gate.toml").write_text(GATE_RULES)
    named = {"device": Path("/dev/null"), "name of other bytes": tmp_path / ODD}.get(kind, tmp_path / "named")
    if kind == "pipe":
        os.mkfifo(named)
    elif kind == "folder":
        named.mkdir()
    elif kind == "too large":
        with named.open("wb") as file:
            file.truncate(1 << 40)  # without a block on the disk
    line = [part.replace("FILE", str(named)).replace("FOLDER", str(tmp_path)) for part in READS[place]]
    ran = run(*line, UNDERSIGNED_HOME=str(home))
    assert "Traceback" not in ran.err
    if (place, kind) == ("verify pack", "too large"):
        # HIRE-PCK-01: whatever is a file is judged, and is no pack.
        assert ran.code == 4, ran
        return
    assert ran.code == 2, ran
    assert "error: " in ran.err.lower()


@pytest.mark.parametrize("place", ["contract dispute --ruling", "contract judge statement", "trust add --record"])
def test_a_document_that_is_none_is_refused_by_name(place: str, home: Path, tmp_path: Path) -> None:
    """It was said what is wrong, and not of which file."""
    named = tmp_path / "ruling.zip"
    named.write_bytes(b"PK\x03\x04\0")
    ran = run(*(part.replace("FILE", str(named)) for part in READS[place]), UNDERSIGNED_HOME=str(home))
    assert (ran.code, f"{named}: expected UTF-8" in ran.err) == (4, True), ran
    assert ran.err.startswith("local | "), "what is of a local state folder says so"


@pytest.mark.parametrize(
    "place",
    [
        *("credentials add file", "trust import files", "trust add --record", "trust diff file", "trust sign file"),
        *("judge pack", "rule pack", "tamper pack", "hire --c2pa", "conform --replay", "conform --verify"),
    ],
)
@pytest.mark.parametrize("holds", [b"PK\x03\x04\0", b"no such thing {", b"{}"], ids=["zip", "text", "object"])
def test_what_a_file_should_not_hold_is_told_by_name(place: str, holds: bytes, home: Path, tmp_path: Path) -> None:
    """It was said what is wrong, and not of which file."""
    named = tmp_path / "named"
    named.write_bytes(holds)
    ran = run(
        *(part.replace("FILE", str(named)).replace("FOLDER", str(tmp_path)) for part in READS[place]),
        UNDERSIGNED_HOME=str(home),
    )
    assert (ran.code in (2, 4), f"{named}: " in ran.err or f"{named} is" in ran.err) == (True, True), ran


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_help_is_for_people(path: tuple[str, ...]) -> None:
    """No mark of a program that lays it out, and no character that moves a terminal."""
    out = run(*path, "--help").out
    assert "\\b" not in out
    assert all(line.isprintable() for line in out.splitlines())


def test_a_command_that_is_no_text_is_none() -> None:
    assert run(ODD).code == run("trust", ODD).code == run("hire", f"--{ODD}").code == 2


def test_help_says_what_is_to_be_put_in_each_place() -> None:
    """The library's own words (PATH, DIRECTORY, INTEGER RANGE) say of which type it is; TEXT is for people to read."""
    prose = {
        "--summary",
        "--criterion",
        "--evidence",
        "--reason",
        "--claim",
        "--not-paid",
        "--note",
        "--standard",
        "--reference",
    }
    for place in places():
        shown = place.parameter.make_metavar(click.Context(found(place.command)))
        words = set(shown.strip("[]").replace("=", "|").split("|"))
        assert not words & {"PATH", "DIRECTORY", "INTEGER", "FLOAT", "INTEGER RANGE", "FLOAT RANGE"}, place
        assert "TEXT" not in words or place.parameter.opts[0] in prose, place


def test_a_folder_may_stand_where_this_python_has_no_letters_for_the_name(tmp_path: Path) -> None:
    """With PYTHONUTF8=0 and no locale each command that reads the ledger ended in an error of Python's."""
    folder = tmp_path / "für alle"
    folder.mkdir()
    home = create_home(folder / "acme", name="Acme", local=True)

    async def started() -> None:
        async with Peer.open(home):
            assert home.ledger.exists()

    asyncio.run(started())
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for line in ("ledger list", "ledger checkpoint", "ledger forks"):
        command = [sys.executable, "-m", "undersigned", *line.split(), "--home", "acme", "--json"]
        ran = subprocess.run(command, cwd=folder, env=os.environ | plain, capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, "")
