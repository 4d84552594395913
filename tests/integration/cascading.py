"""A provider in a process of its own, which hires another for its work; with `--dies` it ends by SIGKILL in the middle
of a cascade: its parent's end is stored, and its child was not told.

    python -m integration.cascading HOME DID [--dies]
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from undersigned.daemon import Peer
from undersigned.runtime import Conversation, Job, Reviewed
from undersigned.runtime.agent.subcontracts import Subcontracts


async def main(home: str, did: str, *more: str) -> None:
    async def is_short(reviewed: Reviewed) -> dict[str, bool]:
        return {"short": b"\n" not in reviewed.artifacts["summary.txt"]}

    async def handler(job: Job) -> None:
        text = await job.read("report")
        made = await job.hire(
            did,
            task="summary",
            inputs={"report": text},
            price="8 EUR",
            criteria={"short": "is one line"},
            review=is_short,
        )
        await job.deliver("summary.txt", made["summary.txt"])

    if "--dies" in more:

        async def told(_: Subcontracts, parent: Conversation, __: Any) -> bool:
            await parent.settled()
            os.kill(os.getpid(), signal.SIGKILL)
            return False

        Subcontracts._told = told  # type: ignore[method-assign]
    async with Peer.open(home, handlers={"summary": handler}):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
