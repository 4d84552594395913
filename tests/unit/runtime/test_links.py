"""Whoever keeps a connection to a peer goes on, whatever this machine is short of meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from undersigned.did import DidDocument
from undersigned.encoding import Did
from undersigned.errors import TransportError
from undersigned.runtime import SystemClock
from undersigned.runtime.links import Links
from undersigned.testing import LOOSE, Attacker
from undersigned.transport import Channel, dial

PEER = "did:web:globex.example"


@contextmanager
def no_descriptor() -> Iterator[None]:
    """This process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.asyncio
async def test_without_a_descriptor_nobody_is_reached() -> None:
    """It is said as all else that keeps from a peer, so that it is tried again."""
    with no_descriptor(), pytest.raises(TransportError) as caught:
        await dial("127.0.0.1", 9, seconds=1, local=True)
    assert caught.value.code == "unreachable"
    assert "Too many open files" in str(caught.value)


@pytest.mark.asyncio
async def test_what_the_machine_is_short_of_is_tried_again() -> None:
    tried = 0
    again = asyncio.Event()

    async def locate(_: Did) -> tuple[str, ...]:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        again.set()
        return ()

    async def resolve(did: Did) -> DidDocument:
        raise AssertionError(did)

    async def read(*_: Channel | bytes) -> None: ...

    async def opened(_: Did) -> None: ...

    links = Links(
        Attacker("whoever keeps").identity,
        clock=SystemClock(),
        resolve=resolve,
        limits=LOOSE,
        read=read,
        opened=opened,
        lost=lambda _: None,
        locate=locate,
        wanted=lambda _: True,
        spent=lambda _: False,
    )
    links.keep(PEER)
    async with asyncio.timeout(10):
        await again.wait()
    await links.close()
