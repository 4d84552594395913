"""IMPLEMENTATIONS.md: its rows come from reports, and a newer measurement replaces an older one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import ROOT
from undersigned.encoding import digest_bytes
from undersigned.interop import Result, Run, chosen, compatibility

SCRIPT = ROOT / "interop" / "implementations.py"


def told(*places: Path) -> tuple[int, str, str]:
    ran = subprocess.run([sys.executable, SCRIPT, *places], capture_output=True, text=True, check=False, timeout=60)
    return ran.returncode, ran.stdout, ran.stderr


def report(folder: Path, day: str, *, passes: bool, name: str = "another") -> Path:
    run: dict[str, Any] = {"implementation": name, "version": "1", "did": "did:key:z", "role": "provider"}
    run |= {"profile": "core", "seed": "s", "began": f"{day}T12:00:00Z", "ended": f"{day}T12:00:00Z"}
    (probe,) = chosen("provider", only=("happy-probe",))
    result = Result(scenario=probe, outcome="passed" if passes else "failed")
    folder.mkdir()
    file = folder / "compatibility.json"
    file.write_text(json.dumps(compatibility(Run(**run, vectors=digest_bytes(b"m")), (result,))))
    return file


def test_the_newest_measurement_of_each_stands(tmp_path: Path) -> None:
    report(tmp_path / "a", "2040-01-02", passes=True)
    report(tmp_path / "b", "2040-01-01", passes=False)
    report(tmp_path / "c", "2040-01-01", passes=False, name="a | <b>third</b>")
    code, page, err = told(tmp_path)
    assert (code, err) == (0, "")
    assert page.count("| another |") == 1
    total = len(chosen("provider", every=True))
    assert f"| another | 1 | core, provider | passed what was asked | 1 of {total} passed |" in page
    assert "<b>" not in page
    assert "| 2040-01-02 |" in page
    before = (ROOT / "interop" / "IMPLEMENTATIONS.md").read_text()
    kept = [line for line in before.split("\n") if line.startswith("| ")]
    assert [line for line in kept if line not in page] == []


def test_each_implementation_here_was_measured_in_both_roles() -> None:
    page = (ROOT / "interop" / "IMPLEMENTATIONS.md").read_text()
    for name in ("ours", "js-peer"):
        for role in ("hirer", "provider"):
            assert f"| {name} | 0.1.0 | core, {role} | conforms |" in page
        for other in ("ours", "js-peer"):
            assert f"| {name} 0.1.0 | {other} 0.1.0 | passed | 3 of 3 |" in page


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    for text in ("{}", "not json", '{"format": "https://w3id.org/hire/interop/v1"}'):
        file.write_text(text)
        code, out, err = told(file)
        assert (code, out) == (2, "")
        assert err.startswith("implementations.py: ")
        assert "Traceback" not in err
    assert told(tmp_path / "nothing")[0] == 2
