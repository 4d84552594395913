"""A peer of a program without asyncio: threads, forks, interruptions, and what it answers between two calls."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from integration.hires import REPORT, linger, two_homes
from undersigned import Peer, SyncPeer, UndersignedError
from undersigned.errors import ConfigurationError, LocalProtocolError
from undersigned.runtime import Home


def homes(folder: Path) -> tuple[Home, Home]:
    return asyncio.run(two_homes(folder))


def hired(hirer: SyncPeer, provider: SyncPeer) -> bytes:
    return hirer.hire(provider.peer.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")["summary.txt"]


def test_several_threads_hire_at_the_same_time(tmp_path: Path) -> None:
    acme, globex = homes(tmp_path)
    with (
        Peer.open_sync(globex) as provider,
        Peer.open_sync(acme) as hirer,
        ThreadPoolExecutor(4) as pool,
    ):
        assert list(pool.map(lambda _: hired(hirer, provider), range(6))) == [REPORT.rstrip()] * 6


def test_what_was_delivered_is_saved_without_asyncio(tmp_path: Path) -> None:
    """`result.artifacts.save` is to be awaited, and nothing here could."""
    acme, globex = homes(tmp_path)
    with Peer.open_sync(globex) as provider, Peer.open_sync(acme) as hirer:
        result = hirer.hire(provider.peer.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        hirer.save(result, "summary.txt", tmp_path / "out.txt")
        assert (tmp_path / "out.txt").read_bytes() == REPORT.rstrip()
        with pytest.raises(KeyError):
            hirer.save(result, "other.txt", tmp_path / "other.txt")
    with pytest.raises(LocalProtocolError, match="enter the peer first"):
        hirer.save(result, "summary.txt", tmp_path / "again.txt")


def test_it_answers_between_two_calls(tmp_path: Path) -> None:
    acme, _ = homes(tmp_path)
    with Peer.open_sync(acme) as peer, urlopen(f"{peer.peer.base_url}/.well-known/did.json", timeout=30) as answer:
        assert answer.read() == peer.peer.own.raw


def _in_the_child(peer: SyncPeer, told: Any) -> None:
    try:
        hired(peer, peer)
    except UndersignedError as error:
        told.send(str(error))
    peer.__exit__(None, None, None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_is_told_and_does_not_wait(tmp_path: Path) -> None:
    acme, globex = homes(tmp_path)
    with Peer.open_sync(globex) as provider, Peer.open_sync(acme) as hirer:
        forks = multiprocessing.get_context("fork")
        here, there = forks.Pipe(duplex=False)
        child = forks.Process(target=_in_the_child, args=(hirer, there))
        child.start()
        assert here.poll(60)
        assert f"open in process {os.getpid()}, from which this one was forked" in here.recv()
        child.join()
        assert child.exitcode == 0
        assert hired(hirer, provider) == REPORT.rstrip()  # and nothing was closed under the one that opened it


def test_who_is_interrupted_while_waiting_can_leave(tmp_path: Path) -> None:
    acme, globex = homes(tmp_path)
    worked = threading.Event()

    async def works(job: Any) -> None:
        worked.set()
        await linger(job)

    def interrupts() -> None:
        worked.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with Peer.open_sync(globex, handlers={"summary": works}) as provider:
        interrupting = threading.Thread(target=interrupts)
        interrupting.start()
        with pytest.raises(KeyboardInterrupt), Peer.open_sync(acme) as hirer:
            hired(hirer, provider)
        interrupting.join()
    with Peer.open_sync(acme) as again:  # it was put away
        assert again.peer.conversations


def test_a_call_that_waits_is_told_when_another_thread_leaves(tmp_path: Path) -> None:
    acme, globex = homes(tmp_path)
    worked = threading.Event()

    async def works(job: Any) -> None:
        worked.set()
        await linger(job)

    with Peer.open_sync(globex, handlers={"summary": works}) as provider, ThreadPoolExecutor(1) as pool:
        with Peer.open_sync(acme) as hirer:
            waiting = pool.submit(hired, hirer, provider)
            worked.wait()
        with pytest.raises(LocalProtocolError) as told:
            waiting.result()
    assert told.value.code == "connection_closed"


def test_it_may_be_entered_again_and_is_once_at_a_time(tmp_path: Path) -> None:
    acme, globex = homes(tmp_path)
    with Peer.open_sync(globex) as provider:
        peer = Peer.open_sync(acme)
        for _ in range(2):
            with peer:
                with pytest.raises(LocalProtocolError, match="started already"):
                    peer.__enter__()
                assert hired(peer, provider) == REPORT.rstrip()
    assert [one.name for one in threading.enumerate() if one.name == "undersigned-loop"] == []


def test_what_it_takes_is_said_to_editors_and_type_checkers() -> None:
    """The options were `Any`: a misspelt one was found when the program ran."""
    blocking = inspect.signature(SyncPeer.hire)
    assert list(blocking.parameters.values()) == list(inspect.signature(Peer.hire).parameters.values())
    assert blocking.return_annotation == "HireResult"
    assert inspect.signature(Peer.open_sync).parameters == inspect.signature(Peer.open).parameters


def test_a_folder_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Peer.open_sync(tmp_path)
