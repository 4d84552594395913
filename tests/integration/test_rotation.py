"""A key that is replaced between two peers that do not reach each other just then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from integration.hires import REPORT, assert_one_contract_or_none, two_homes, until
from integration.test_js_peer import Js, assert_one_story, company
from undersigned.daemon import Peer
from undersigned.errors import UndersignedError
from undersigned.evidence import verify_pack
from undersigned.messages import Closing, recorded_message
from undersigned.runtime import HireResult, Home, Job, export_pack, rotate_key, rotate_organisation_key
from undersigned.testing import free_ports

pytestmark = pytest.mark.timeout(90)


def looking(met: bool) -> tuple[asyncio.Event, asyncio.Event, Callable[..., Awaitable[dict[str, bool]]]]:
    """A review that says when it has begun, and that waits until it may go on."""
    looks, may = asyncio.Event(), asyncio.Event()

    async def look(*_: object) -> dict[str, bool]:
        looks.set()
        await may.wait()
        return {"short": met}

    return looks, may, look


async def hiring(hirer: Peer, provider: str, **more: Any) -> HireResult:
    asked = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "criteria": {"short": "is one line"}}
    return await hirer.hire(provider, **asked, **more)


@pytest.mark.parametrize("met", [True, False], ids=["accepted", "rejected"])
async def test_a_review_that_was_under_way_when_its_key_was_replaced_counts(tmp_path: Path, met: bool) -> None:
    """HIRE-ATT-02, HIRE-PRF-05: it is signed again, and the statement in it is not. Both close by it, and show it."""
    acme, globex = await two_homes(tmp_path)
    looks, may, look = looking(met)

    async with Peer.open(acme) as hirer:
        async with Peer.open(globex) as provider:
            hire = asyncio.create_task(hiring(hirer, provider.own.id, review=look))
            await asyncio.wait_for(looks.wait(), 30)
        may.set()
        (conversation,) = hirer.conversations.values()
        name = conversation.id
        await until(lambda: conversation.engagement.state == "closing")
        hire.cancel()
    rotate_key(acme)
    async with Peer.open(Home(acme.path)) as hirer, Peer.open(Home(globex.path)) as provider:
        for peer in (hirer, provider):
            async with asyncio.timeout(30):
                while (await peer.ledger.summary(name)).state != "closed":  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        for peer in (hirer, provider):
            said = [recorded_message(row.raw).message for row in await peer.ledger.rows(name) if row.type == "Closing"]
            assert [(one.basis, one.settlement.amount) for one in said if isinstance(one, Closing)] == [
                ("review", "4" if met else "0")
            ] * 2
            pack = await export_pack(peer.ledger, peer.artifacts, peer.own.id, name)
            report = verify_pack(pack, now=peer.clock.now())
            assert report.ok, report.steps
    await assert_one_contract_or_none(acme, globex)


async def test_work_that_goes_on_with_a_new_key_reads_its_input(tmp_path: Path) -> None:
    """HIRE-RQS-01: it asks before its connection is proved by that key, and its hirer has an older document at hand."""
    acme, globex = await two_homes(tmp_path)
    begun, read = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def work(job: Job) -> None:
        if begun.is_set():
            try:
                read.set_result(await job.read("report"))
            except UndersignedError as error:
                read.set_result(error)
        begun.set()
        await asyncio.Event().wait()

    async with Peer.open(acme) as hirer:
        async with Peer.open(globex, handlers={"summary": work}) as provider:
            hire = asyncio.create_task(hiring(hirer, provider.own.id, review=looking(True)[2]))
            await asyncio.wait_for(begun.wait(), 30)
        rotate_key(globex)
        async with Peer.open(Home(globex.path), handlers={"summary": work}):
            assert await asyncio.wait_for(read, 30) == REPORT
        hire.cancel()


async def test_companies_whose_keys_were_replaced_hire_each_other(tmp_path: Path) -> None:
    """The one with what the key before signed, the other with what was signed anew when that was taken out."""
    asked: dict[str, Any] = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR"}
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(acme) as hirer, Peer.open(globex) as provider:
        await hirer.hire(provider.own.id, **asked)  # each has seen the documents of before
    rotate_organisation_key(acme)
    rotate_organisation_key(globex, drop=True)
    async with Peer.open(Home(acme.path)) as hirer, Peer.open(Home(globex.path)) as provider:
        result = await hirer.hire(provider.own.id, **asked)
        assert result["summary.txt"] == REPORT.splitlines()[0]
        for peer in (hirer, provider):
            pack = await export_pack(peer.ledger, peer.artifacts, peer.own.id, result.engagement)
            report = verify_pack(pack, now=peer.clock.now())
            assert report.ok, report.steps


@pytest.mark.parametrize("replaced", ["hirer", "provider"])
async def test_who_looked_up_the_keys_just_before_takes_what_the_new_one_signed(tmp_path: Path, replaced: str) -> None:
    """HIRE-KEY-10: credential and status list; the other side works on, with the documents of before."""
    asked: dict[str, Any] = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR"}
    acme, globex = await two_homes(tmp_path)
    async with AsyncExitStack() as stays, AsyncExitStack() as leaves:
        opened = {
            role: await (leaves if role == replaced else stays).enter_async_context(Peer.open(home))
            for role, home in (("hirer", acme), ("provider", globex))
        }
        await opened["hirer"].hire(opened["provider"].own.id, **asked)
        await leaves.aclose()
        home = acme if replaced == "hirer" else globex
        rotate_organisation_key(home, drop=True)
        opened[replaced] = await leaves.enter_async_context(Peer.open(Home(home.path)))
        result = await opened["hirer"].hire(opened["provider"].own.id, **asked)
        for peer in opened.values():
            pack = await export_pack(peer.ledger, peer.artifacts, peer.own.id, result.engagement)
            report = verify_pack(pack, now=peer.clock.now())
            assert report.ok, report.steps


async def test_the_other_implementation_takes_the_review_and_the_closing(tmp_path: Path) -> None:
    """HIRE-ATT-02, HIRE-LOG-22: both were under way, and each holds something by the key before."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    looks, may, look = looking(met=False)
    (port,), options = free_ports(1), ("--trust", organisation, "--offer", "summary=4.00 EUR")

    async with Peer.open(home) as hirer:
        async with js.serving(*options, port=port):
            hire = asyncio.create_task(hiring(hirer, js.did, at=js.url, review=look))
            await asyncio.wait_for(looks.wait(), 30)
        may.set()
        (conversation,) = hirer.conversations.values()
        await until(lambda: conversation.engagement.state == "closing")
        hire.cancel()
    rotate_key(home)
    async with js.serving(*options, port=port), Peer.open(Home(home.path)) as hirer:
        told = await js.over(conversation.id)
        await until(lambda: not hirer.conversations)
    assert (told["owed"], told["basis"]) == ({"amount": "0", "currency": "EUR"}, "review")
    await assert_one_story(home, js, told, "eddsa-jcs-2022")
