"""What a newcomer gets wrong is an error of ours, with what to do instead, and no warning beside it."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from integration.hires import two_homes
from runtimes import World, last
from undersigned import Peer
from undersigned.errors import ConfigurationError, LocalProtocolError, UndersignedError
from undersigned.messages import Delivery
from undersigned.runtime import Home, Job, create_home

Open = Callable[..., World]
PROVIDER = "did:web:globex.example"


@pytest.fixture(autouse=True)
def no_warning() -> Generator[None]:
    """Such as of a coroutine that was never awaited: an error in a destructor, which pytest tells as a warning."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in told] == []


def a_home(folder: Path) -> Home:
    return asyncio.run(two_homes(folder))[0]


def test_a_blocking_peer_in_a_running_loop(tmp_path: Path) -> None:
    home = a_home(tmp_path)

    async def main() -> None:
        with Peer.open_sync(home):
            pass

    with pytest.raises(LocalProtocolError, match=r"async with Peer\.open") as refused:
        asyncio.run(main())
    assert refused.value.code == "wrong_state"
    with Peer.open_sync(home) as peer:  # nothing of it is left behind
        assert peer.peer.url


def test_a_blocking_hire_in_a_running_loop(tmp_path: Path) -> None:
    with Peer.open_sync(a_home(tmp_path)) as peer:

        async def main() -> None:
            peer.hire(PROVIDER, task="summary", price="5 EUR")

        with pytest.raises(LocalProtocolError, match=r"async with Peer\.open"):
            asyncio.run(main())


def test_a_blocking_peer_that_was_not_entered(tmp_path: Path) -> None:
    peer = Peer.open_sync(a_home(tmp_path))
    with pytest.raises(LocalProtocolError, match=r"with Peer\.open_sync\(\.\.\.\) as peer") as refused:
        peer.hire(PROVIDER, task="summary", price="5 EUR")
    assert refused.value.code == "wrong_state"


def test_a_blocking_peer_that_does_not_start_leaves_no_loop_open(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    with Peer.open_sync(home), pytest.raises(UndersignedError), Peer.open_sync(home):
        pass


def test_a_peer_that_was_not_entered(tmp_path: Path) -> None:
    peer = Peer.open(a_home(tmp_path))

    async def hires() -> None:
        await peer.hire(PROVIDER, task="summary", price="5 EUR")

    for use in (hires, peer.serve_forever):
        with pytest.raises(LocalProtocolError, match=r"async with Peer\.open\(\.\.\.\) as peer") as refused:
            asyncio.run(use())
        assert refused.value.code == "wrong_state"


async def test_a_peer_that_was_left(tmp_path: Path) -> None:
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        pass
    with pytest.raises(LocalProtocolError) as refused:
        await peer.hire(PROVIDER, task="summary", price="5 EUR")
    assert refused.value.code == "connection_closed"


async def test_arguments_of_another_shape(tmp_path: Path) -> None:
    async def whole(_: Any) -> dict[str, bool]:
        return {}

    home, _ = await two_homes(tmp_path)
    async with Peer.open(home) as peer:
        hire: Any = peer.hire
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("inputs", {"inputs": [b"x"]}),
            ("criteria", {"criteria": ["whole"]}),
            ("review", {"review": whole}),
            ("review", {"review": lambda: None, "criteria": {}}),
            ("review", {"review": print, "criteria": {"whole": "all of it"}}),
            ("approve", {"approve": "yes"}),
        ]
        for name, options in wrong:
            with pytest.raises(ConfigurationError, match=f"^bad_configuration: {name}"):
                await hire(PROVIDER, task="summary", price="5 EUR", **options)


@pytest.mark.parametrize(
    ("data", "came"), [({}, "dict"), (None, "NoneType"), ("text", "str: a text has to be encoded")]
)
def test_what_is_delivered_is_bytes_or_a_path(open_world: Open, data: Any, came: str) -> None:
    told: list[str] = []

    async def handler(job: Job) -> None:
        try:
            await job.deliver("summary.txt", data)
        except UndersignedError as error:
            told.append(error.message)
            raise

    world = open_world(handler=handler)
    name = world.begin().id
    world.settle(10)
    assert told == [f"expected bytes or a path; came {came}"]
    assert last(world.hirer, name, Delivery).outcome == "failed"


@pytest.mark.parametrize("given", [{"name": ""}, {"name": "Acme", "organisation": ""}])
def test_a_state_folder_without_a_name(tmp_path: Path, given: dict[str, str]) -> None:
    options: Any = {"local": True, **given}
    with pytest.raises(ConfigurationError, match="expected 1 to 128 printable characters, got ''"):
        create_home(tmp_path / "acme", **options)
    assert not (tmp_path / "acme").exists()
