"""A contract while it is performed, by two processes on real sockets and the command beside each of them."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.commands import SECONDS, UNDERSIGNED, Process, serving
from integration.hires import REPORT, did_of, moves, two_homes
from undersigned.ledger import open_ledger
from undersigned.runtime import Home, Job
from unit.cli.running import Ran, run


async def waits(job: Job) -> None:
    """Work that goes on until a file says that it may end."""
    gate = Path(job._agent.home.path) / "may-end"
    text = await job.read("report")
    while not gate.exists():  # noqa: ASYNC110 - what is waited for is another process
        await asyncio.sleep(0.05)
    await job.deliver("summary.txt", text.split(b"\n", 1)[0], media_type="text/plain")


class Hire:
    """Acme has hired Globex, which works."""

    def __init__(self, folder: Path, acme: Home, globex: Home, hire: Process) -> None:
        self.folder, self.acme, self.globex, self.hire = folder, acme, globex, hire
        self.contract = asyncio.run(_contract(acme))

    def on(self, home: Home, *words: object) -> Ran:
        verb, *more = words
        return run("contract", verb, self.contract, *more, "--home", home.path, "--json")

    def shown(self, home: Home) -> dict:
        return self.on(home, "show").values[0]

    def until(self, home: Home, holds: Callable[[dict], bool]) -> dict:
        """What `show` says once that holds."""
        ends = time.monotonic() + SECONDS
        while not holds(shown := self.shown(home)):
            assert time.monotonic() < ends, shown
        return shown

    def ends(self) -> None:
        (self.globex.path / "may-end").touch()


async def _contract(home: Home) -> str:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        assert summary.contract is not None
        return summary.contract
    finally:
        await ledger.close()


@pytest.fixture
def hired(tmp_path: Path) -> Iterator[Hire]:
    acme, globex = asyncio.run(two_homes(tmp_path, handler="integration.test_contract_commands:waits"))
    report = tmp_path / "report.txt"
    report.write_bytes(REPORT)
    provider = did_of(globex.configuration.listen.port)
    options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR", "--json")
    with serving(globex.path):
        hire = Process([*UNDERSIGNED, "hire", provider, "--home", str(acme.path), *options], tmp_path)
        try:
            hire.until('"Start"')
            yield Hire(tmp_path, acme, globex, hire)
        finally:
            hire.end(signal.SIGKILL)
    assert asyncio.run(_moves(acme)) == asyncio.run(_moves(globex)), "the two transcripts differ"


def test_a_contract_is_suspended_amended_and_goes_on(hired: Hire) -> None:
    """Beside two running peers: what one side orders, both hold; the price paid is the one in force (HIRE-LAN-05)."""
    acme, globex = hired.acme, hired.globex
    assert hired.on(globex, "suspend").code != 0  # only the hirer may
    paused = hired.on(acme, "suspend", "--for", 600)
    assert (paused.code, paused.values[0]["state"]) == (0, "suspended"), paused
    hired.hire.until('"Suspend"')
    assert hired.shown(acme)["moves"] == ["Resume", "Cancel"]
    assert hired.on(acme, "resume").values[0]["state"] == "working"

    offered = hired.on(globex, "amend", "--price", "4.50 EUR", "--extend", 3600)
    assert (offered.code, offered.values[0]["lane"]) == (0, "offered-by-provider"), offered
    hired.hire.until('"Amendment"')
    table = hired.shown(acme)["onTheTable"]
    assert (table["type"], table["owner"]) == ("Amendment", "provider")
    other = hired.on(acme, "accept", hired.contract)
    assert other.code != 0
    assert other.error["code"] == "stale_offer"
    assert hired.on(acme, "accept", table["document"]).code == 0
    for home in (acme, globex):
        now = hired.until(home, lambda shown: shown["inForce"] == table["document"])
        assert now["contract"] == hired.contract
        assert now["terms"]["price"]["amount"] == "4.5"
    hired.ends()
    assert hired.hire.end().result()["price"] == "4.5 EUR"


def test_a_release_ends_the_work_for_what_it_says(hired: Hire) -> None:
    """Mutual release: the work is stopped, both close their books by it, and the provider says what it destroys.

    HIRE-LIF-23.
    """
    acme, globex = hired.acme, hired.globex
    assert hired.on(acme, "release", "--owed", "2 EUR", "--reason", "No longer needed").code == 0
    table = hired.until(globex, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
    assert hired.on(globex, "accept", table["document"]).code == 0
    hired.hire.end()
    closings = asyncio.run(_closings(acme))
    assert len(closings) == 2
    for closing in closings:
        assert (closing["basis"], closing["settlement"]["amount"]) == ("release", "2")
        assert len(closing["dataHandling"]["destroy"]) == 1


async def _moves(home: Home) -> dict[str, list[tuple[str, int, str, str]]]:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        assert (await ledger.check()).ok
        return await moves(ledger)
    finally:
        await ledger.close()


async def _closings(home: Home) -> list[dict]:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        return [json.loads(row.raw) for row in await ledger.rows(summary.engagement) if row.type == "Closing"]
    finally:
        await ledger.close()


def test_a_revoked_contract_ends_on_both_sides(hired: Hire) -> None:
    """SC-62: the hirer ends it; the provider's work is stopped, and nothing is delivered or owed."""
    assert hired.on(hired.acme, "revoke", "--cause", "key_compromised").code == 0
    hired.hire.end()
    closings = asyncio.run(_closings(hired.acme))
    assert [(one["basis"], one["settlement"]["amount"]) for one in closings] == [("terminate", "0")] * 2
    again = hired.on(hired.globex, "suspend")
    assert again.code != 0
