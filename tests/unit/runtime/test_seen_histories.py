"""How far histories of DIDs went, in the state folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from histories import SECOND, Log, document_at
from parties import Party
from undersigned.did import DidHistory, history_from
from undersigned.errors import ConfigurationError, VerificationError
from undersigned.runtime.fetching import seen_histories
from undersigned.runtime.fetching.seen_histories import SeenHistories

NOW = "2026-11-28T00:00:00Z"
OWNER, KEY, NEW = (Party(name) for name in ("owner", "key", "new"))


def history(log: Log) -> DidHistory:
    return history_from(log.did, log.fetched(), now=NOW)


def two_versions() -> tuple[DidHistory, DidHistory]:
    log = Log(controller=OWNER, key=KEY)
    first = history(log)
    log.add(document_at(log.did, NEW), controller=OWNER)
    return first, history(log)


def test_a_history_that_went_back_or_on_in_another_way_is_refused(tmp_path: Path) -> None:
    """HIRE-WVH-10."""
    first, second = two_versions()
    SeenHistories(tmp_path / "seen").keep([second])
    seen = SeenHistories(tmp_path / "seen")
    seen.require(second)
    other = Log(controller=OWNER, key=KEY)
    other.add(document_at(other.did, KEY), controller=OWNER, now=SECOND)
    for one in (first, history(other)):
        with pytest.raises(VerificationError, match="when it was seen before") as caught:
            seen.require(one)
        assert caught.value.code == "did_document_invalid"


def test_what_nothing_rests_on_is_not_remembered(tmp_path: Path) -> None:
    """Or strangers would decide how much is, and push out the others."""
    first, second = two_versions()
    seen = SeenHistories(tmp_path / "seen")
    seen.grown(second)
    seen.require(first)
    assert not (tmp_path / "seen").exists()
    seen.keep([first])
    seen.grown(second)
    with pytest.raises(VerificationError):
        SeenHistories(tmp_path / "seen").require(first)


def test_so_many_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_histories, "MOST", 2)
    seen = SeenHistories(tmp_path / "seen")
    for port in range(3):
        log = Log(f"localhost%3A{port + 1}", controller=OWNER, key=KEY)
        seen.keep([history(log)])
    assert (tmp_path / "seen").read_text().count("did:webvh:") == 2


@pytest.mark.parametrize("content", ["", "[]", '{"did:web:a": 1}', "\xff"])
def test_a_file_that_cannot_be_read_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "seen").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigurationError, match="seen"):
        SeenHistories(tmp_path / "seen")


def test_a_file_that_cannot_be_written_is_logged(tmp_path: Path) -> None:
    first, second = two_versions()
    seen = SeenHistories(tmp_path / "seen")
    (tmp_path / "seen").mkdir()
    with capture_logs() as logs:
        seen.keep([second])
    assert [entry["log_level"] for entry in logs] == ["error"]
    with pytest.raises(VerificationError):
        seen.require(first)
