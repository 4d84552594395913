"""`pytest --hire-peer=URL`: every scenario is a test of whoever listens there."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from interop.worlds import peer_home, subject_of
from undersigned.daemon import Peer


async def pytested(folder: Path, *options: str) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-p", "undersigned.pytest_plugin", "-p", "no:cacheprovider", "-rA", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_scenarios_are_tests(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex")
    url = subject_of(home).url
    async with Peer.open(home):
        code, out = await pytested(tmp_path, f"--hire-peer={url}", "--hire-only=happy-probe", "--hire-only=version")
        assert code == 0, out
        assert "8 passed" in out
        assert "PASSED ::hire[version-one-of-two]" in out
        code, out = await pytested(
            tmp_path, f"--hire-peer={url}", "--hire-only=happy-probe", "--hire-task=something else"
        )
    assert code == 1, out
    assert "HIRE-NEG-01" in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--hire-peer=http://localhost/hire",), "expected a wss or ws URL"),
        (("--hire-peer=ws://localhost:1/hire", "--hire-only=no-such"), "no scenario of role provider begins with"),
        (("--hire-peer=ws://localhost:1/hire", "--hire-price=much"), "expected a price such as"),
        (("--hire-peer=ws://localhost:1/hire", "--hire-role=hirer"), "say --hire-hook=URL"),
    ],
)
async def test_what_cannot_be_is_a_usage_error(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    code, out = await pytested(tmp_path, *options)
    assert (code, told in out, "Traceback" in out) == (4, True, False), out


@pytest.mark.parametrize("spread", [("-n", "2"), ("--dist", "load", "--tx", "2*popen")], ids=["n", "tx"])
async def test_it_is_not_left_out_where_tests_go_to_several_processes(tmp_path: Path, spread: tuple[str, ...]) -> None:
    """A run without the scenarios would say that all is well."""
    (tmp_path / "test_own.py").write_text("def test_own(): ...\n")
    code, out = await pytested(tmp_path, *spread, "--hire-peer=ws://localhost:1/hire")
    assert (code, "plays in one process" in out, "Traceback" in out) == (4, True, False), out
    code, out = await pytested(tmp_path, *spread)
    assert (code, "1 passed" in out) == (0, True), out


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("-k", "happy-probe"), {"hire[happy-probe]"}),
        (("-m", "hire"), {"hire[happy-probe]", "hire[version-one-of-two]"}),
        (("-m", "not hire"), {"test_own"}),
    ],
    ids=["keyword", "mark", "not"],
)
async def test_scenarios_are_selected_as_tests_are(tmp_path: Path, options: tuple[str, ...], ids: set[str]) -> None:
    (tmp_path / "test_own.py").write_text("def test_own(): ...\n")
    peer = ("--hire-peer=ws://localhost:1/hire", "--hire-only=happy-probe", "--hire-only=version-one")
    code, out = await pytested(tmp_path, *peer, *options, "--strict-markers", "--collect-only", "-q")
    found = {line.rpartition("::")[2] for line in out.splitlines() if "::" in line}
    assert (code, found) == (0, ids), out


async def test_without_a_peer_nothing_is_added(tmp_path: Path) -> None:
    code, out = await pytested(tmp_path)
    assert (code, "no tests ran" in out) == (5, True)
