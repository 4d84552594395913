"""`undersigned interop`: implementations hire each other, each in both roles, and a matrix says what came of it."""

from __future__ import annotations

import base64
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from interop.test_command import typed
from support import ROOT
from undersigned.errors import ConfigurationError
from undersigned.interop import HIRES, Cell, Entry, Instance, matrix_report, read_peers, started, write_matrix
from undersigned.protocol import NOTICES
from unit.cli.running import run

OURS = ROOT / "interop" / "ours.py"
NOW = "2026-11-28T09:00:00Z"

pytestmark = pytest.mark.timeout(120)


def entry(name: str, **members: Any) -> str:
    return "[[peer]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in {"name": name, **members}.items())


def ours(name: str) -> str:
    init, serve = ([sys.executable, str(OURS), word, "{home}"] for word in ("init", "serve"))
    return entry(name, init=init, serve=[*serve, "{token}", "{trust}"])


def alive(process: int) -> bool:
    """Whether it runs; one that ended and was not waited for yet does not."""
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def peers(folder: Path, *entries: str) -> Path:
    file = folder / "peers.toml"
    file.write_text("\n".join(entries))
    return file


async def test_a_peer_hires_a_second_instance_of_itself(tmp_path: Path) -> None:
    """Every move that both name was kept by both, byte for byte, and the page links to what they kept."""
    options = ("--peers", str(peers(tmp_path, ours("ours"))), "--local", "--report", str(tmp_path / "out"))
    code, out, err = await typed(*options, command="interop")
    assert (code, err) == (0, ""), out
    assert "passed    ours hires ours: 3 of 3" in out
    report = json.loads((tmp_path / "out" / "interop.json").read_text())
    (cell,) = report["cells"]
    assert [(one["id"], one["state"]) for one in cell["hires"]] == [
        *(("whole", "closed"), ("counter", "closed"), ("too-little", "withdrawn"))
    ]
    (peer,) = report["peers"]
    assert len(set(peer["dids"])) == 2
    lines = [json.loads(line) for line in (tmp_path / "out" / cell["transcript"]).open()]
    for one in cell["hires"]:
        kept = {
            role: {
                line["text"]
                for line in lines
                if line["hire"] == one["id"] and line["keptBy"] == role and "text" in line
            }
            for role in ("hirer", "provider")
        }
        moves = {
            role: {text for text in texts if json.loads(text)["type"] not in NOTICES} for role, texts in kept.items()
        }
        assert moves["hirer"] == moves["provider"]
        assert len(moves["hirer"]) == one["moves"]
    told = {(line["hire"], line["keptBy"]): line["told"] for line in lines if "told" in line}
    assert told.keys() == {(one["id"], role) for one in cell["hires"] for role in ("hirer", "provider")}
    for (hire, _), one in told.items():
        money = {name: one[name] for name in ("basis", "owed", "artifacts") if name in one}
        summary = base64.b64encode(b"A report of one line.").decode()
        ended = {"basis": "review", "owed": one.get("owed"), "artifacts": {"summary.txt": summary}}
        assert money == ({} if hire == "too-little" else ended)
    assert told["whole", "hirer"]["owed"] == {"amount": "4", "currency": "EUR"}
    page = (tmp_path / "out" / "interop.html").read_text()
    assert f'<a href="{cell["transcript"]}">3 of 3</a>' in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


async def test_who_says_nothing_hears_what_it_should_have_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that runs, and does not print where it listens."""
    monkeypatch.setattr("undersigned.interop.programs.START_SECONDS", 0.3)
    quiet = Entry(name="quiet", serve=("sleep", "60"))
    async with started([quiet], base=tmp_path, folder=tmp_path / "state", roles=("provider",)) as (one,):
        assert one.trouble == "sleep could not be started: it printed no line of JSON within 0.3 s"


async def test_what_a_shell_started_ends_with_it(tmp_path: Path) -> None:
    """A shell ends on SIGTERM, and the peer that it waits for would go on at its port."""
    told = json.dumps({"did": "did:key:z6MkexAMPLE", "url": "ws://127.0.0.1:1/hire"})
    shell = Entry(name="shell", serve=("sh", "-c", f"sleep 60 & echo $! >id; echo '{told}'; wait"))
    async with started([shell], base=tmp_path, folder=tmp_path / "state", roles=("provider",)) as (one,):
        assert one.trouble == ""
        child = int((tmp_path / "id").read_text())
        assert alive(child)
    assert not alive(child)


async def test_what_cannot_be_started_or_reached_is_a_red_cell(tmp_path: Path) -> None:
    """Each for its own reason, at once, and what remains is played."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        file = peers(
            tmp_path,
            ours("ours"),
            entry("absent", serve=["./no-such-program"]),
            entry("ends", serve=[sys.executable, "-c", "import sys; sys.exit('no licence')"]),
            entry("garbage", serve=[sys.executable, "-c", "print('hello')"]),
            entry("wordless", serve=[sys.executable, "-c", "print('{}')"]),
            entry(
                "deaf", url=f"ws://127.0.0.1:{port}/hire", did="did:key:z6MkexAMPLE", hook=f"http://127.0.0.1:{port}"
            ),
        )
        options = ("--peers", str(file), "--local", "--wait", "15", "--at-a-time", "8", "--json")
        code, out, _ = await typed(*options, "--report", str(tmp_path / "out"), command="interop")
    assert code == 6
    told = [json.loads(line) for line in out.splitlines()]
    pairs = {(one["hirer"], one["provider"]): one for one in told if one["kind"] == "pair"}
    assert len(pairs) == 36
    assert {pair for pair, one in pairs.items() if one["outcome"] == "passed"} == {("ours", "ours")}
    for name, why in (
        ("absent", "No such file"),
        ("ends", "it said 'no licence'"),
        ("garbage", "malformed"),
        ("wordless", "did and url"),
    ):
        assert why in pairs[name, "ours"]["detail"], pairs[name, "ours"]
        assert pairs["ours", name]["detail"].startswith("the provider: ")
    assert "does not answer" in pairs["deaf", "ours"]["detail"]
    assert pairs["ours", "deaf"]["outcome"] == "failed"
    assert pairs["deaf", "deaf"]["outcome"] == "left out"
    page = (tmp_path / "out" / "interop.html").read_text()
    assert page.count('<td class="passed">') == 1
    assert page.count('<td class="failed">') == 34


async def test_whose_hook_cannot_be_reached_breaks_no_rule(tmp_path: Path) -> None:
    """Nobody said a word, so that neither is told that it broke the protocol."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        at = f"//127.0.0.1:{nobody.getsockname()[1]}"
        deaf = (entry(name, url=f"ws:{at}", did="did:key:z6MkexAMPLE", hook=f"http:{at}") for name in ("a", "b"))
        code, out, _ = await typed("--peers", str(peers(tmp_path, *deaf)), "--local", "--json", command="interop")
    end = json.loads(out.splitlines()[-1])
    assert (code, end) == (6, {"kind": "end", "passed": False, "failed": 2, "leftOut": 2, "pairs": 4})


async def test_where_no_pair_is_played_none_passed(tmp_path: Path) -> None:
    """Without a hook nobody is told to hire: a run that judged nothing was told, and reported, as one that passed."""
    file = peers(tmp_path, *(entry(name, url="ws://127.0.0.1:1/hire", did="did:key:z6MkexAMPLE") for name in "ab"))
    options = ("--peers", str(file), "--local", "--report", str(tmp_path / "out"))
    code, _, err = await typed(*options, command="interop")
    assert (code, "nothing was judged: no pair could be played" in err) == (2, True)
    assert json.loads((tmp_path / "out" / "interop.json").read_text())["passed"] is False
    assert "<h1>Not every pair passed" in (tmp_path / "out" / "interop.html").read_text()


def test_a_pair_that_was_left_out_is_not_told_as_one_that_passed(tmp_path: Path) -> None:
    instances = [Instance(entry=Entry(name=name, url="ws://127.0.0.1:1/hire")) for name in "ab"]
    outcomes = {"aa": "left out", "ab": "passed", "ba": "left out", "bb": "left out"}
    cells = [Cell(hirer=names[0], provider=names[1], outcome=outcomes[names]) for names in outcomes]
    report = matrix_report(cells, instances, version="0", began=NOW, ended=NOW)
    write_matrix(tmp_path, report, cells)
    assert report["passed"] is True
    assert "<h1>Every pair that was played passed" in (tmp_path / "interop.html").read_text()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("peer = []", "length"),
        ("not toml", "Expected"),
        (entry("a"), "one of serve and url"),
        (entry("a", serve=["x"], url="ws://localhost:1/hire"), "one of serve and url"),
        (entry("a", url="ws://localhost:1/hire"), "did"),
        (entry("../a", serve=["x"]), "matching"),
        (entry("a", serve=["x"], price=1), "str"),
        (entry("a", serve=["x"], colour="red"), r"peer\[0\] has no `colour`. It may have name, "),
        (entry("a", serve=["x"]) + entry("a", serve=["x"]), "two peers"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        read_peers(peers(tmp_path, text))


def test_only_a_peer_of_the_file_is_named(tmp_path: Path) -> None:
    """Else nothing was judged, and nothing failed."""
    file = peers(tmp_path, ours("ours"))
    ran = run("interop", "--peers", file, "--only", "ours", "--only", "theirs", "--json")
    assert (ran.code, "names no theirs" in ran.error["message"]) == (2, True)


def test_the_peers_of_this_repository_can_be_read() -> None:
    assert [one.name for one in read_peers(ROOT / "interop" / "peers.toml")] == ["ours", "js-peer"]
    assert len({one.id for one in HIRES}) == len(HIRES) == 3
