"""`pytest --hire-peer=URL`: every scenario is a test of whoever listens there."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

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
        assert "7 passed" in out
        assert "PASSED ::hire[version-one-of-two]" in out
        code, out = await pytested(
            tmp_path, f"--hire-peer={url}", "--hire-only=happy-probe", "--hire-task=something else"
        )
    assert code == 1, out
    assert "HIRE-NEG-01" in out
    assert "Traceback" not in out


async def test_without_a_peer_nothing_is_added(tmp_path: Path) -> None:
    code, out = await pytested(tmp_path)
    assert (code, "no tests ran" in out) == (5, True)
