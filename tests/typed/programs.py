"""Programs as applications write them. Nothing runs them: `make check` holds the types of what is public to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

from undersigned import (
    Event,
    Hire,
    HireResult,
    Home,
    Job,
    Organisation,
    Peer,
    Reviewed,
    SyncPeer,
    create_home,
    current_job,
    guard,
)
from undersigned.protocol import Concede


@guard("repo:read", target="https://git.acme.example/{repo}")
def checkout(repo: str) -> str:
    return repo


async def review(done: Reviewed) -> Mapping[str, bool]:
    return {"short": len(done.artifacts["summary.txt"]) < 1000}


async def provider(folder: Path) -> None:
    home = create_home(folder, name="globex", local=True, port=8102, anchors=["did:web:localhost%3A8101:org"])
    assert_type(home, Home)
    with Organisation(folder) as organisation:
        assert_type(organisation.did, str)
    async with Peer.open(home, strategy=Concede(steps=("5", "4.5"))) as peer:

        @peer.offers("summary", price="4.00 EUR", delivers=["summary.txt", "words.csv"])
        async def summarise(job: Job) -> None:
            assert_type(await job.read("report"), bytes)
            assert_type(await asyncio.to_thread(checkout, "app"), str)
            assert_type(current_job(), Job)
            for data in (b"x", bytearray(b"x"), memoryview(b"x"), folder / "words.csv"):
                assert_type(await job.deliver("words.csv", data), str)

        jobs: list[asyncio.Task[None]] = []

        async def alone(job: Job) -> None:
            jobs.append(asyncio.create_task(summarise(job)))  # what is offered is still the function that it was

        peer.offers("alone")(alone)
        await peer.serve_forever()


async def hirer(peer: Peer) -> None:
    hire = peer.hire(
        "did:web:localhost%3A8102",
        task="summary",
        inputs={"report": Path("report.txt"), "notes": b"none"},
        price="5.00 EUR",
        criteria={"short": "at most 1000 bytes"},
        review=review,
    )
    assert_type(hire, Hire)
    async for event in hire:
        assert_type(event, Event)
        assert_type(event.kind, str)
    result = await hire
    assert_type(result, HireResult)
    assert_type(result["summary.txt"], bytes)
    assert_type(result.criteria, dict[str, bool])
    assert_type(await asyncio.wait_for(hire, 5), HireResult)
    await result.artifacts.save("summary.txt", "out.txt")


def blocking(peer: SyncPeer) -> None:
    assert_type(peer.hire("did:web:localhost%3A8102", task="summary", price="5 EUR"), HireResult)
