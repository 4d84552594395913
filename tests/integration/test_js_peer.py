"""The implementation in interop/js-peer, written from the specification alone, and this one: they hire each other."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support import ROOT

PEER = ROOT / "interop" / "js-peer"


def node() -> str:
    """The Node to run it with; without it, or without what it needs, the test is skipped, and in CI it fails."""
    found = shutil.which("node")
    missing = "node is not installed" if found is None else ""
    if not missing and not (PEER / "node_modules").is_dir():
        missing = "interop/js-peer/node_modules is not there: npm ci in interop/js-peer"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing or found is None:
        pytest.skip(missing)
    return found


def test_its_own_tests() -> None:
    """Every vector of the specification with the result that it states, and every example of a schema (HIRE-CLS-03)."""
    run = subprocess.run(
        [node(), "--test", "--test-reporter=tap", "test"],
        cwd=PEER,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=dict(os.environ),
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    folders = len(list((ROOT / "protocol-spec" / "vectors").rglob("case.json")))
    passed = next(int(line.split()[2]) for line in run.stdout.splitlines() if line.startswith("# pass "))
    assert passed > folders


def test_its_lock_names_no_registry() -> None:
    """`npm ci` asks whatever registry is configured; each package is pinned by its digest."""
    lock = Path(PEER / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') >= 10
