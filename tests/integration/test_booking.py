"""Limits that several processes book on, some of which are killed in the middle of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from integration.booking import CONTRACT, COUNT, EUR, KILLS
from support import ROOT
from undersigned.ledger import open_ledger


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_eight_processes_with_kills_never_pass_a_limit(tmp_path: Path, seed: int) -> None:
    """HIRE-SCO-08, HIRE-GAT-04: eight gates on one ledger, killed at chance and replaced; not one too many.

    What was answered yes is in the ledger, however its process ended; what was booked without an answer stays spent.
    """
    url = f"sqlite://{tmp_path}/ledger.db"
    writer = await open_ledger(url)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.booking", url, str(seed)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    out, _ = await running.communicate()
    assert running.returncode == 0
    bookers = json.loads(out)
    told = [line.split() for booker in bookers for line in booker["told"]]
    statuses = [booker["status"] for booker in bookers]
    assert set(statuses) <= {0, -signal.SIGKILL}
    killed = [booker for booker in bookers if booker["status"] == -signal.SIGKILL]
    assert len(killed) == KILLS, "each was killed before it came to its end"
    assert any(booker["told"] for booker in killed)

    assert len({name for name, _ in told}) == len(told)
    usage = {key: Decimal(amount) for key, amount in (await writer.usage(CONTRACT)).items()}
    assert len(told) <= usage["read/count"] <= COUNT
    assert sum(Decimal(amount) for _, amount in told) <= usage["read/EUR"] <= Decimal(EUR)
    # And no less than the limits allow: who stopped, stopped because of one of them.
    assert usage["read/count"] == COUNT or usage["read/EUR"] > Decimal(EUR) - Decimal("0.4")
    report = await writer.check()
    assert report.ok, report.defects
    await writer.close()
