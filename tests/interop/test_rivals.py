"""The attacks of `interop/rivals` against our own runtime, and what its page says of others beside what was pinned."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support import ROOT
from undersigned.interop import table_scenarios, written_scenarios

RIVALS = ROOT / "interop" / "rivals"
ROW = re.compile(r"^\| `([a-z-]+)` \| (refused|accepted) \| (.+) \| (.+) \|$", re.MULTILINE)
LACKING = re.compile(r"^- ((?:`[a-z-]+`(?:, )?)+): (.+)$", re.MULTILINE)


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rivals_{name}", RIVALS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN = program("run")
ATTACKS: list[dict[str, Any]] = RUN.attacks()
IDS = [attack["id"] for attack in ATTACKS]
OURS, *OTHERS = RUN.runtimes()


def played(adapter: Path | str, *only: str) -> dict[str, dict[str, str]]:
    """What an adapter's rows say, by attack, as the program plays them."""
    path = adapter if isinstance(adapter, Path) else RIVALS / "adapters" / f"{adapter}.py"
    command = [sys.executable, "-I", str(RIVALS / "play.py"), str(path), *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines()) if "id" in row}


# ---------------------------------------------------------------------- ours


def ours(folder: Path, adapter: str, before: str = "") -> Path:
    """One of our adapters, with something done to us before. It seals keys cheaply, as this process does: the price of
    guessing a passphrase would be seven tenths of the work.
    """
    made = folder / "ours_here.py"
    lines = (
        "import sys",
        f"sys.path.append({str(RIVALS / 'adapters')!r})",
        "import undersigned.runtime.signers",
        "undersigned.runtime.signers._SCRYPT_N = 2**4",
        before,
        f"from {adapter} import *",
    )
    made.write_text("\n".join(lines))
    return made


@pytest.mark.parametrize(
    ("adapter", "those"),
    [
        ("ours", IDS[: IDS.index("out-of-scope")]),
        ("ours_at_work", IDS[IDS.index("out-of-scope") : IDS.index("fifty-fresh-identities")]),
        ("ours_trust", IDS[IDS.index("fifty-fresh-identities") :]),
    ],
)
def test_ours_refuses_every_attack_and_takes_what_is_honest(adapter: str, those: list[str], tmp_path: Path) -> None:
    """By running peers, and signed credentials; what one adapter lacks, another has."""
    rows = played(ours(tmp_path, adapter))
    assert list(rows) == IDS
    assert [name for name, row in rows.items() if row["outcome"] != "not applicable"] == those
    for name in those:
        assert rows[name]["outcome"] == "refused", rows[name]
        assert rows[name]["control"], f"{name}: the honest control has to succeed"


SEEDED = {
    "signature-of-nothing": (
        "ours",
        "import undersigned.runtime.negotiation.papers as at\nat.verify_countersigned = lambda *given, **named: None",
        "the peer holds sealed",
    ),
    "longer-name": (
        "ours_at_work",
        "from msgspec.structs import replace\nimport undersigned.runtime.execution.gate as at\nright = at.permits\n"
        "at.permits = lambda scope, used, asked, *rest: "
        "right(scope, used, replace(asked, target=asked.target.removesuffix('-secret')), *rest)",
        "the gate grants repo:read https://git.acme.example/app-secret by clause read",
    ),
}


@pytest.mark.parametrize("attack", list(SEEDED))
def test_a_defect_of_ours_is_a_row_that_says_accepted(tmp_path: Path, attack: str) -> None:
    """The adapters look at what the peer then holds, and do not take silence for a refusal."""
    adapter, defect, said = SEEDED[attack]
    row = played(ours(tmp_path, adapter, defect), attack)[attack]
    assert (row["outcome"], row["said"]) == ("accepted", said)


# ---------------------------------------------------------------------- how it judges

TAKES_ALL = """
from play import NotApplicable, Refused

SURFACE, REFUSALS = "all", (ValueError,)
LACKS = {"grant": "it grants nothing"}


class Runtime:
    def open(self, against): return "open"
    def offer(self, by, price, how=""): return "offered"
    def accept(self, by, how=""): %s
    def rate(self, by, how, count): raise NotApplicable("it rates nobody")
"""


@pytest.mark.parametrize(
    ("accept", "outcome", "said"),
    [
        ("return f'agreed with {by}'", "accepted", "agreed with buyer"),
        ("raise ValueError('never')", "broken adapter", "the control was refused: ValueError: never"),
        ("return 1 / 0", "broken adapter", "accept seller: ZeroDivisionError: division by zero"),
        ("raise NotApplicable('nothing is accepted')", "not applicable", "nothing is accepted"),
        ("\n        if by == 'buyer': raise Refused('not yours')\n        return 'yes'", "refused", "not yours"),
    ],
)
def test_a_refusal_counts_beside_an_honest_control_alone(tmp_path: Path, accept: str, outcome: str, said: str) -> None:
    adapter = tmp_path / "one.py"
    adapter.write_text(TAKES_ALL % accept)
    row = played(adapter, "own-offer")["own-offer"]
    assert (row["outcome"], row["said"]) == (outcome, said)


def test_what_a_runtime_has_not_is_said_with_its_reason(tmp_path: Path) -> None:
    """Also where an earlier step of an attack is the one that it refuses: that shows nothing."""
    adapter = tmp_path / "one.py"
    adapter.write_text(TAKES_ALL % "raise Refused('no') if how == 'replayed' else Refused('nor that')")
    rows = played(adapter, "out-of-scope", "self-rating", "replayed-acceptance")
    assert [(row["outcome"], row["said"]) for row in rows.values()] == [
        ("broken adapter", "accept seller: nor that"),
        ("not applicable", "it grants nothing"),
        ("not applicable", "it rates nobody"),
    ]


# ---------------------------------------------------------------------- the data, and the page


def test_attacks_name_cases_and_scenarios_that_there_are() -> None:
    assert len(set(IDS)) == len(IDS)
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    scenarios = {one.id for one in (*written_scenarios(), *table_scenarios())}
    for attack in ATTACKS:
        assert attack["cases"], attack["id"]
        for case in attack["cases"]:
            number = re.fullmatch(r"SC-(\d+)", case)
            assert number is not None
            assert f"test_sc_{number[1]}_" in tests, f"{attack['id']}: no test is named after {case}"
        assert set(attack.get("scenarios", ())) <= scenarios, attack["id"]


def test_runtimes_are_pinned_and_their_notes_are_about_attacks() -> None:
    for runtime in OTHERS:
        package, _, version = runtime["requirement"].partition("==")
        assert (package.partition("[")[0], version) == (runtime["name"], runtime["version"])
        assert re.fullmatch(r"\d+(\.\d+)+", version)
        assert set(runtime["notes"]) <= set(IDS)
    adapters = [name for runtime in (OURS, *OTHERS) for name in runtime["adapters"]]
    files = {path.stem for path in (RIVALS / "adapters").glob("*.py")} - {"undersigned_world"}
    assert sorted(adapters) == sorted(files)


def test_the_page_has_every_row_of_the_pinned_versions() -> None:
    """Each attack once for each adapter; what the first table says is what the rows say; each is dated."""
    written = (RIVALS / "README.md").read_text().partition(RUN.BEGIN)[2].partition(RUN.END)[0]
    assert re.search(r"^Run on \d{4}-\d\d-\d\d, with Python 3\.\d+\.\d+\.$", written, re.MULTILINE)
    sections = re.split(r"^### ", written, flags=re.MULTILINE)
    titles = [section.partition("\n")[0] for section in sections[1:]]
    assert [title.partition(" ")[0] for title in titles] == [one["name"] for one in (OURS, *OTHERS)]
    assert titles[1:] == [f"{one['name']} {one['version']}" for one in OTHERS]
    assert f"| attack | {' | '.join(titles)} |" in written
    side_by_side = {
        cells[1].strip(" `"): [cell.strip() for cell in cells[2:-1]]
        for cells in (line.split("|") for line in sections[0].rpartition("Run on")[2].splitlines())
        if len(cells) > 3 and cells[1].strip().startswith("`")
    }
    assert list(side_by_side) == IDS
    for attack in ATTACKS:
        assert f"| `{attack['id']}` | {attack['title']} |" in sections[0]
    for place, (runtime, section) in enumerate(zip((OURS, *OTHERS), sections[1:], strict=True)):
        parts = re.split(r"^\*\*", section, flags=re.MULTILINE)[1:]
        rows: list[dict[str, str]] = []
        for adapter, part in zip(runtime["adapters"], parts, strict=True):
            assert f"](adapters/{adapter}.py)" in part
            found = [(name, outcome) for name, outcome, _, _ in ROW.findall(part)]
            lacking = [name for names, _ in LACKING.findall(part) for name in re.findall(r"`([a-z-]+)`", names)]
            assert sorted([*(name for name, _ in found), *lacking]) == sorted(IDS), adapter
            surface = part.partition("**")[0]
            rows += [{"attack": name, "outcome": outcome, "surface": surface} for name, outcome in found]
        for name in IDS:
            assert side_by_side[name][place] == RUN.cell([row for row in rows if row["attack"] == name])
        accepted = {row["attack"] for row in rows if row["outcome"] == "accepted"}
        noted = {name for name, note in runtime.get("notes", {}).items() if f"*{note}*" in section}
        assert accepted <= noted, f"{runtime['name']}: what is accepted stands beside what the runtime says of itself"
        assert not (runtime is OURS and accepted)


# ---------------------------------------------------------------------- the command


def test_a_registry_that_is_not_reached_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUN, "CACHE", tmp_path)
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "0", "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(RUN.Unreachable, match=r"agent-rating-protocol==0\.3\.1 could not be installed: ERROR: .*"):
        RUN.environment(next(one for one in OTHERS if one["name"] == "agent-rating-protocol"))


def test_the_command_says_a_row_a_line_and_refuses_to_write_a_part() -> None:
    command = [sys.executable, str(RIVALS / "run.py"), "--only", "undersigned", "--attack", "self-rating"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["adapter"], row["outcome"]) for row in rows] == [
        ("ours", "not applicable"),
        ("ours_at_work", "not applicable"),
        ("ours_trust", "refused"),
    ]
    refused = subprocess.run([*command, "--write"], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "--write goes with neither" in refused.stderr
