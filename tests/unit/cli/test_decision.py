"""Decisions that are listed: one that is damaged hides none of the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

from undersigned.encoding import digest_bytes
from undersigned.runtime import Home, VerdictBook
from undersigned.trace import MadeFrom, Verdict
from unit.cli.running import run


def test_a_damaged_verdict_is_told_beside_the_others(tmp_path: Path) -> None:
    home = tmp_path / "acme"
    assert run("init", home, "--local", "--port", 8109).code == 0
    book = VerdictBook(Home(home))
    made = MadeFrom(policy=digest_bytes(b"p"), anchors=digest_bytes(b"a"), heard=digest_bytes(b"h"))

    def verdict(purpose: str) -> Verdict:
        artifact = digest_bytes(b"artifact")
        return Verdict(
            outcome="deny",
            artifact=artifact,
            purpose=purpose,
            by="did:web:acme.example",
            policy="p/1",
            at="2026-11-26T09:00:00Z",
            inputs=made,
        )

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
