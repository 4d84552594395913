"""Decisions that are listed: one that is damaged hides none of the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from parties import Party
from undersigned.encoding import digest_bytes
from undersigned.errors import LedgerError
from undersigned.runtime import Home, VerdictBook
from undersigned.trace import MadeFrom, Verdict
from unit.cli.running import run

ARTIFACT = digest_bytes(b"artifact")
MADE = MadeFrom(policy=digest_bytes(b"p"), anchors=digest_bytes(b"a"), heard=digest_bytes(b"h"))


def verdict(purpose: str, at: str = "2026-11-26T09:00:00Z", **inputs: Any) -> Verdict:
    return Verdict(
        outcome="deny",
        artifact=ARTIFACT,
        purpose=purpose,
        by="did:web:acme.example",
        policy="p/1",
        at=at,
        inputs=replace(MADE, **inputs),
    )


def made(folder: Path) -> Path:
    home = folder / "acme"
    assert run("init", home, "--local", "--port", 8109).code == 0
    return home


def test_a_damaged_verdict_is_told_beside_the_others(tmp_path: Path) -> None:
    home = made(tmp_path)
    book = VerdictBook(Home(home))
    files = {one: asyncio.run(book.put(verdict(one), [])) for one in ("build", "sbom", "scan")}
    assert len(run("decision", "list", "--home", home, "--json").values) == 3
    in_force = run("decision", "replay", files["scan"].stem, "--in-force", "--home", home, "--json")
    assert in_force.error["message"].startswith("--in-force: ")
    files["sbom"].write_bytes(files["sbom"].read_bytes() + b" ")
    listed = run("decision", "list", "--home", home, "--json")
    assert listed.code == 8
    assert {one["verdict"]["purpose"] for one in listed.values[:-1]} == {"build", "scan"}
    assert listed.error["code"] == "store_corrupt"
    assert files["sbom"].name in listed.error["message"]
    told = run("decision", "list", "--home", home)
    assert (told.code, len(told.out.splitlines())) == (8, 2)
    assert files["sbom"].name in told.err
    with pytest.raises(LedgerError, match=files["sbom"].name):  # it may be the one that names a list of a no
        asyncio.run(book.before(["https://globex.example/status/1"]))


def test_a_part_of_two_verdicts_names_neither(tmp_path: Path) -> None:
    home = made(tmp_path)
    folder = Home(home).verdicts
    folder.mkdir()
    for last in "XY":
        (folder / f"uEiDmuchTheSame{last}.json").write_bytes(b"{}")
    both = run("decision", "show", "TheSame", "--home", home, "--json")
    assert (both.code, both.error["code"]) == (2, "not_found")
    assert "names 2 verdicts" in both.error["message"]
    assert run("decision", "show", "TheSameX", "--home", home, "--json").error["code"] == "store_corrupt"


def test_of_documents_that_verdicts_rested_on_each_is_known_since_the_last(tmp_path: Path) -> None:
    """HIRE-TRC-09: those that are asked for; one that is damaged or gone is not known."""
    home = Home(made(tmp_path))
    known, other, lost = Party("known"), Party("other"), Party("lost")
    documents = [one.document for one in (known, other, lost)]
    rested = {"documents": tuple(one.raw_digest for one in documents)}
    times = ["2026-11-26T09:00:00Z", "2026-11-28T09:00:00Z", "2026-11-27T09:00:00Z"]
    for at in times:
        asyncio.run(VerdictBook(home).put(verdict("build", at, **rested), [one.raw for one in documents]))
    (home.verdicts / "inputs" / lost.document.raw_digest).write_bytes(b"{")
    assert asyncio.run(VerdictBook(home).documents([known.did, lost.did])) == [(known.document, max(times))]
    assert [one.at for one in VerdictBook(home).listed()[0]] == sorted(times)
