"""An agent's own did:webvh: begun, continued by the committed key, and read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import refuses
from undersigned.did import DidHistory, fetches, history_from
from undersigned.did.methods import webvh_log
from undersigned.encoding import shift
from undersigned.errors import ConfigurationError
from undersigned.runtime import Home, create_home, generate_key, rotate_key, seal_key
from undersigned.testing import NOON, HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock(shift(NOON, 0))


def made(folder: Path, clock: HandClock, **options: object) -> Home:
    return create_home(folder, name="Acme", domain="acme.example", history=True, clock=clock, **options)  # type: ignore[arg-type]


def history_of(home: Home, now: str = "2029-01-01T00:00:00Z") -> DidHistory:
    """What others make of what is served."""
    did, log = home.configuration.did, home.log()
    assert log is not None
    return history_from(did, {fetches(did)[0]: log}, now=now)


def test_a_state_folder_with_a_history(folder: Path, clock: HandClock) -> None:
    home = made(folder, clock)
    assert home.configuration.did.startswith("did:webvh:Qm")
    assert home.configuration.did.endswith(":acme.example")
    assert not (folder / "did.json").exists()
    history = history_of(home)
    assert history.document == home.document()
    assert history.document.services("HireService") == ("wss://acme.example/hire",)
    assert history.versions[0].time == NOON
    for name in ("update-1", "update-2"):
        assert (folder / "keys" / f"{name}.json").stat().st_mode & 0o777 == 0o600


def test_a_rotation_is_one_entry_by_the_committed_key(folder: Path, clock: HandClock) -> None:
    """HIRE-WVH-06: also twice within a second, and after one that was cut short."""
    home = made(folder, clock, kind="P-256")
    first = home.document()
    method = rotate_key(home, clock=clock)
    assert method == f"{home.configuration.did}#agent-2"
    # What an interrupted rotation leaves: a key for an entry that was never written.
    passphrase = (folder / "keys" / "passphrase").read_text().strip()
    seal_key(folder / "keys" / "update-4.json", generate_key(), passphrase)
    rotate_key(home, clock=clock)
    history = history_of(Home(folder))
    assert [one.time for one in history.versions] == [NOON, shift(NOON, 1), shift(NOON, 2)]
    assert history.at(NOON) == first
    second = history.at(shift(NOON, 1))
    assert method in second.methods("authentication")
    assert method not in history.document.methods("authentication")
    assert history.document.services("HireService") == first.services("HireService")
    assert Home(folder).document() == history.document


def test_a_log_does_not_grow_longer_than_it_is_read(
    folder: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-WVH-05: with the entry past the limit nobody would know the agent any more, and it would not start again."""
    monkeypatch.setattr(webvh_log, "MAX_ENTRIES", 2)
    home = made(folder, clock)
    rotate_key(home, clock=clock)
    before, document = home.log(), home.document()
    with pytest.raises(ConfigurationError, match="another DID"):
        rotate_key(home, clock=clock)
    home = Home(folder)
    assert home.log() == before
    assert home.document() == document
    assert home.key().public_key in document.keys("authentication", now=NOON).values()


def test_a_log_that_is_older_than_its_keys_does_not_go_on(folder: Path, clock: HandClock) -> None:
    """HIRE-WVH-10: it was put back from a copy that was made before a rotation. What it would sign takes the place of
    an entry that others have seen, and they take none of it.
    """
    home = made(folder, clock)
    before = home.log()
    assert before is not None
    rotate_key(home, clock=clock)
    newest = home.log()
    assert newest is not None
    (folder / "did.jsonl").write_bytes(before)
    keys = sorted(file.name for file in (folder / "keys").iterdir())
    with refuses(ConfigurationError, "key_unavailable"):
        rotate_key(home, clock=clock)
    assert home.log() == before
    assert sorted(file.name for file in (folder / "keys").iterdir()) == keys
    (folder / "did.jsonl").write_bytes(newest)
    rotate_key(home, clock=clock)
    assert history_of(home).versions[1].id in newest.decode()


def test_without_the_committed_key_it_does_not_go_on(folder: Path, clock: HandClock) -> None:
    home = made(folder, clock)
    before = home.log()
    (folder / "keys" / "update-2.json").unlink()
    with refuses(ConfigurationError, "key_unavailable"):
        rotate_key(home, clock=clock)
    assert home.log() == before


def test_a_damaged_or_missing_log_is_said(folder: Path, clock: HandClock) -> None:
    home = made(folder, clock)
    raw = home.log()
    assert raw is not None
    for damaged in (b"", raw[:-10], raw.replace(b"wss://acme", b"wss://evil"), raw + raw):
        (folder / "did.jsonl").write_bytes(damaged)
        with refuses(ConfigurationError, "bad_configuration"):
            home.document()
    (folder / "did.jsonl").unlink()
    with refuses(ConfigurationError, "not_found"):
        home.document()


def test_a_history_needs_a_place(folder: Path) -> None:
    with refuses(ConfigurationError, "bad_configuration"):
        create_home(folder, name="Acme", history=True)
    assert not folder.exists()
    plain = create_home(folder, name="Acme", domain="acme.example")
    assert plain.log() is None
