"""A rotation of a key that is cut short: by a kill at any step, by a full disk, by another one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support import file_size_limit
from undersigned.credentials import verify_issued
from undersigned.errors import LedgerUnavailable
from undersigned.keys import PublicKey
from undersigned.ledger import Lock
from undersigned.runtime import (
    Home,
    SystemClock,
    create_home,
    issue_membership,
    open_key,
    rotate_key,
    rotate_organisation_key,
)

STEPS = frozenset({"open", "os.mkdir", "os.remove", "os.rename"})
"""What Python announces before it is done, and a state folder is changed by."""


def made(folder: Path, *, history: bool) -> Home:
    return create_home(folder, name="Acme", local=True, port=18080, history=history)


def rotate_until(home: Home, step: int, rotate: Callable[[Home], object] = rotate_key) -> bool:
    """Rotates in a process that is killed before it takes one step in the folder; whether there were so many."""
    with warnings.catch_warnings():  # from Python 3.12 on, where a test before has left threads: the child needs none
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        child = os.fork()
    if child == 0:
        steps = iter(range(step))

        def kill(event: str, arguments: tuple[object, ...]) -> None:
            inside = event in STEPS and str(arguments[0]).startswith(str(home.path))
            if inside and next(steps, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        rotate(home)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


def published(home: Home) -> PublicKey:
    document = home.document()
    (method,) = document.methods("authentication")
    return document.key_for(method, "authentication", now=None)


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("history", [False, True])
def test_a_rotation_killed_at_any_step_leaves_the_old_key_or_the_new_one(folder: Path, *, history: bool) -> None:
    """The key that is published opens at once, and can be rotated; none that was published is lost."""
    home = made(folder, history=history)
    passphrase = (folder / "keys" / "passphrase").read_text().strip()
    had, step = [home.key().public_key], 0
    while rotate_until(home, step):
        step += 1
        opened = Home(folder).key().public_key
        assert opened == published(home)
        if opened != had[-1]:
            had.append(opened)
        if step % 4 == 0:
            rotate_key(home)
            had.append(home.key().public_key)
            assert had[-1] == published(home)
    had.append(home.key().public_key)
    assert len(had) == len(set(had))
    assert published(home) == had[-1]
    retired = sorted((folder / "keys" / "retired").iterdir(), key=lambda one: int(one.stem.partition("-")[2]))
    assert [open_key(one, passphrase).public_key for one in retired] == had[:-1]
    assert home.document().methods("authentication") == (f"{home.configuration.did}#agent-{len(had)}",)
    assert not home.next_key().exists()


def test_one_of_the_organisation_killed_at_any_step_leaves_a_key_that_it_publishes(folder: Path) -> None:
    """And what it signed before holds until all of it is signed anew; none that was published is lost."""
    home, step = made(folder, history=False), 0
    asyncio.run(issue_membership(home))
    rotate = partial(rotate_organisation_key, drop=True)
    had = {home.key("organisation").public_key}
    while rotate_until(home, step, rotate):
        step += 1
        document, opened = home.organisation_document(), home.key("organisation").public_key
        assert document is not None
        first, *_ = document.methods("assertionMethod")
        assert document.key_for(first, "authentication", now=None) == opened
        (shown,) = home.credentials()
        verify_issued(shown, documents={document.id: document}, now=SystemClock().now())
        had.add(opened)
    assert {home.key("organisation").public_key, *home.former_keys("organisation")} >= had
    document = home.organisation_document()
    assert document is not None
    assert len(document.methods("assertionMethod")) == 1


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("room", [0, 100, 600])
def test_a_rotation_without_room_was_none(folder: Path, room: int, *, history: bool) -> None:
    home = made(folder, history=history)
    before = files(folder)
    with file_size_limit(room), pytest.raises((OSError, LedgerUnavailable)):
        rotate_key(home)
    after = files(folder)
    assert {name: after[name] for name in before} == before
    assert home.key().public_key == published(home)
    rotate_key(home)
    assert home.key().public_key == published(home)
    assert home.document().methods("authentication") == (f"{home.configuration.did}#agent-2",)


@pytest.mark.parametrize("taken", ["agent-1.json", "agent-2.json", "agent-*.json"])
def test_a_name_is_not_given_again_when_retired_keys_were_taken_away(folder: Path, taken: str) -> None:
    """HIRE-KEY-08: others refuse a key under the name of another one; and no retired key is written over."""
    home = made(folder, history=False)
    named = [rotate_key(home) for _ in range(2)]
    retired = folder / "keys" / "retired"
    for file in list(retired.glob(taken)):
        file.unlink()
    left = files(retired)
    named += [rotate_key(home) for _ in range(2)]
    assert len(set(named)) == len(named)
    assert {name: files(retired).get(name) for name in left} == left


def test_two_rotations_are_not_under_way_at_once(folder: Path) -> None:
    home = made(folder, history=False)
    other = Lock(folder / "keys" / "rotation.lock")
    before = files(folder)
    with pytest.raises(LedgerUnavailable, match=rf"this process itself \({os.getpid()}\) rotates the key"):
        rotate_key(home)
    assert files(folder) == before
    other.release()
    rotate_key(home)
