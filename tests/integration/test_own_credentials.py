"""Who vouches for the packer itself: its document is in the pack, as long as it still is the one that was shown by."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from security.wire_world import World
from undersigned.did import make_document
from undersigned.encoding import canonicalize
from undersigned.evidence import read_archive
from undersigned.runtime import Home, generate_key
from unit.cli.running import run

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


def packed(home: Home, pack: Path) -> tuple[dict[str, bytes], str]:
    """Its members, and what step 10 says of it, which holds."""
    made = run("export", "--home", home.path, "--out", pack, "--force", "--json")
    assert made.code == 0, made
    verified = run("verify", pack, "--json")
    assert verified.code == 0, verified
    (step,) = [step for step in verified.values[0]["steps"] if step["number"] == 10]
    return read_archive(pack.read_bytes()), str(step["detail"])


def is_there(home: Home, members: dict[str, bytes]) -> bool:
    document: Any = home.organisation_document()
    return members.get(f"did-documents/{document.raw_digest}.json") == document.raw


async def test_what_both_sides_showed_is_judged_in_each_pack(tmp_path: Path) -> None:
    """HIRE-PCK-03, HIRE-PCK-09: by both organisations' documents, and no other way after one has another key."""
    async with World(tmp_path / "world") as world:
        await world.honest()
        homes = (world.acme.home, world.globex.home)
        for home in homes:
            members, said = await asyncio.to_thread(packed, home, tmp_path / "one.zip")
            assert all(is_there(one, members) for one in homes)
            assert "2 presentations are by their holders; 2 credentials hold; 1 status list holds" in said
            assert "not checked" not in said
            first = (tmp_path / "one.zip").read_bytes()
            await asyncio.to_thread(packed, home, tmp_path / "two.zip")
            assert (tmp_path / "two.zip").read_bytes() == first

        home = world.acme.home
        before: Any = home.organisation_document()
        key = {"office": generate_key().public_key}
        other = make_document(before.id, authentication=key, assertion_method=key)
        (home.path / "organisation.json").write_bytes(canonicalize(other))
        members, said = await asyncio.to_thread(packed, home, tmp_path / "three.zip")
        assert not is_there(home, members)
        assert is_there(world.globex.home, members)
        assert f"1 credential holds; 1 status list holds; not checked: what is signed by '{before.id}'" in said
