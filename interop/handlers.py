"""What the peers here can be hired for."""

from __future__ import annotations

from undersigned.runtime import Job

__all__ = ["summarise"]


async def summarise(job: Job) -> None:
    """The first line of the input `report`."""
    text = await job.read("report")
    await job.deliver("summary.txt", text.split(b"\n", 1)[0], media_type="text/plain")
