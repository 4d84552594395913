"""Two companies whose books differ, on real sockets: who hires is told by the command, and by `contract
show`, which says too what was used."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from integration.commands import UNDERSIGNED
from integration.hires import REPORT, two_homes
from undersigned import Peer
from undersigned.contract import Price
from unit.cli.running import run


@pytest.mark.timeout(60)
async def test_the_command_says_which_books_differ(tmp_path: Path) -> None:
    acme, globex = await two_homes(tmp_path)
    report = tmp_path / "report"
    report.write_bytes(REPORT)
    async with Peer.open(globex) as provider:
        real = provider.papers.closing

        async def dearer(engagement: Any, basis: str, usage: Any, paid: Price, *said: Any, **more: Any) -> Any:
            return await real(
                engagement, basis, usage, Price(amount="400", currency=paid.currency), "\u202epay", **more
            )

        provider.papers.closing = dearer  # type: ignore[method-assign]
        words = ("--task", "summary", "--input", f"report={report}", "--home", str(acme.path))
        hired = await asyncio.create_subprocess_exec(
            *(*UNDERSIGNED, "hire", globex.configuration.did, *words), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await hired.communicate()
    said = " ".join(out.decode().split())
    assert hired.returncode == 0
    assert "owed 400 EUR; objects: \\u202epay" in said
    assert "books the provider's differ: owed: 400 EUR by the other side, 4 EUR by ours" in said
    assert "THE BOOKS DIFFER: owed: 400 EUR by the other side, 4 EUR by ours" in said
    contract = said.rpartition(" contract ")[2].split()[0]
    shown = await asyncio.to_thread(run, "contract", "show", contract, "--home", acme.path, "--json")
    assert shown.values[0]["booksDiffer"] == [{"what": "owed", "ours": "4 EUR", "theirs": "400 EUR"}]
    assert shown.values[0]["used"] == [{"clause": "read-1", "unit": "count", "amount": "1"}]
    assert shown.values[0]["presence"] is None, "nobody here would know"
    shown = await asyncio.to_thread(run, "contract", "show", contract, "--home", acme.path)
    assert "Other side" not in shown.out, "nor would it matter: it is over"
    assert "Books differ  owed: 400 EUR by the other side, 4 EUR by ours" in shown.out
    assert "Used          [read-1] 1 time of at most 4" in shown.out
