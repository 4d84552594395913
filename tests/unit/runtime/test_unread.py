"""What was not read yet: in order, once, and the oldest is lost first."""

from __future__ import annotations

import asyncio

import pytest

from undersigned.runtime import Unread


async def test_who_waits_gets_what_comes_and_in_order() -> None:
    unread: Unread[int] = Unread()
    waiting = asyncio.create_task(unread.get())
    await asyncio.sleep(0)
    for number in range(3):
        unread.put_nowait(number)
    assert [await waiting, await unread.get(), unread.get_nowait()] == [0, 1, 2]
    assert unread.qsize() == 0


async def test_the_oldest_is_lost_first() -> None:
    unread: Unread[int] = Unread(2)
    for number in range(5):
        unread.put_nowait(number)
    assert [unread.get_nowait(), unread.get_nowait()] == [3, 4]


async def test_nothing_is_lost_with_a_reader_that_gives_up() -> None:
    unread: Unread[int] = Unread()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await unread.get()
    unread.put_nowait(0)
    more = unread.more()
    assert not more.done(), "what is there already is not waited for"
    unread.put_nowait(1)
    assert more.done()
    assert [unread.get_nowait() for _ in range(unread.qsize())] == [0, 1]
