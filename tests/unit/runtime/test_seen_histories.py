"""How far histories of DIDs went, in the state folder."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from histories import SECOND, Log, document_at
from parties import Party
from undersigned.did import DidHistory, history_from
from undersigned.errors import ConfigurationError, VerificationError
from undersigned.runtime.fetching import seen_histories
from undersigned.runtime.fetching.seen_histories import SeenHistories
from undersigned.runtime.files import write_whole

NOW = "2026-11-28T00:00:00Z"
OWNER, KEY, NEW = (Party(name) for name in ("owner", "key", "new"))


def history(log: Log) -> DidHistory:
    return history_from(log.did, log.fetched(), now=NOW)


def two_versions() -> tuple[DidHistory, DidHistory]:
    log = Log(controller=OWNER, key=KEY)
    first = history(log)
    log.add(document_at(log.did, NEW), controller=OWNER)
    return first, history(log)


async def test_a_history_that_went_back_or_on_in_another_way_is_refused(tmp_path: Path) -> None:
    """HIRE-WVH-10."""
    first, second = two_versions()
    seen = SeenHistories(tmp_path / "seen")
    seen.keep([second])
    await seen.written()
    seen = SeenHistories(tmp_path / "seen")
    seen.require(second)
    other = Log(controller=OWNER, key=KEY)
    other.add(document_at(other.did, KEY), controller=OWNER, now=SECOND)
    for one in (first, history(other)):
        with pytest.raises(VerificationError, match="when it was seen before") as caught:
            seen.require(one)
        assert caught.value.code == "did_document_invalid"


async def test_what_nothing_rests_on_is_not_remembered(tmp_path: Path) -> None:
    """Or strangers would decide how much is, and push out the others."""
    first, second = two_versions()
    seen = SeenHistories(tmp_path / "seen")
    seen.grown(second)
    await seen.written()
    seen.require(first)
    assert not (tmp_path / "seen").exists()
    seen.keep([first])
    seen.grown(second)
    await seen.written()
    with pytest.raises(VerificationError):
        SeenHistories(tmp_path / "seen").require(first)


async def test_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_histories, "MOST", 2)
    seen = SeenHistories(tmp_path / "seen")
    for port in range(3):
        log = Log(f"localhost%3A{port + 1}", controller=OWNER, key=KEY)
        seen.keep([history(log)])
    await seen.written()
    assert (tmp_path / "seen").read_text().count("did:webvh:") == 2


async def test_what_went_on_last_is_forgotten_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_histories, "MOST", 2)
    seen = SeenHistories(tmp_path / "seen")
    first, second = two_versions()
    others = [history(Log(f"localhost%3A{port}", controller=OWNER, key=KEY)) for port in (1, 2)]
    for one in (first, others[0], second, others[1]):
        seen.keep([one])
    with pytest.raises(VerificationError):
        seen.require(first)


async def test_without_a_file_nothing_is_remembered() -> None:
    """As in a command that keeps nothing."""
    first, second = two_versions()
    seen = SeenHistories()
    seen.keep([second])
    await seen.written()
    seen.require(first)


def test_so_many_of_the_longest_names_are_read_again(tmp_path: Path) -> None:
    """Whom we hired chose them: a file that is too large to be read would keep our peer from its next start."""
    first, _ = two_versions()
    scid = first.did.split(":")[2]
    long = f"did:webvh:{scid}:globex.example:".ljust(2044, "a")
    last = f"256-{scid}"
    lines = {f"{long}{number:04}": last for number in range(seen_histories.MOST - 1)}
    seen_histories._write(tmp_path / "seen", {**lines, first.did: last})
    with pytest.raises(VerificationError, match="when it was seen before"):
        SeenHistories(tmp_path / "seen").require(first)


@pytest.mark.parametrize("content", ["", "[]", '{"did:web:a": 1}', "\xff"])
def test_a_file_that_cannot_be_read_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "seen").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match="seen"):
        SeenHistories(tmp_path / "seen")


async def test_a_file_that_cannot_be_written_is_logged(tmp_path: Path) -> None:
    first, second = two_versions()
    seen = SeenHistories(tmp_path / "seen")
    (tmp_path / "seen").mkdir()
    with capture_logs() as logs:
        seen.keep([second])
        await seen.written()
    assert [entry["log_level"] for entry in logs] == ["error"]
    with pytest.raises(VerificationError):
        seen.require(first)


async def test_it_is_written_beside_the_event_loop_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where whoever waited gave up while an earlier state was on its way to the disk."""
    first, second = two_versions()
    seen, write, begun, go_on = SeenHistories(tmp_path / "seen"), write_whole, threading.Event(), threading.Event()

    def slow(path: Path, data: bytes) -> None:
        begun.set()
        assert go_on.wait(10)
        write(path, data)

    monkeypatch.setattr(seen_histories, "write_whole", slow)
    seen.keep([first])
    gives_up = asyncio.create_task(seen.written())
    assert await asyncio.to_thread(begun.wait, 10)
    gives_up.cancel()
    seen.keep([second])
    waits = asyncio.create_task(seen.written())
    await asyncio.sleep(0.01)
    assert not waits.done()
    go_on.set()
    await waits
    with pytest.raises(VerificationError):
        SeenHistories(tmp_path / "seen").require(first)
