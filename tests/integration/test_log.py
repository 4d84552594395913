"""The log of a real hire: what stands in it, how anybody reads it, and how somebody notices that it was rewritten."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from integration.commands import Ended, undersigned
from integration.hires import REPORT, two_homes
from undersigned import Peer
from undersigned.encoding import digest_hex
from undersigned.evidence import read_archive
from undersigned.ledger import open_ledger
from undersigned.ledger.sqlite_rows import tree_seal
from undersigned.runtime import Home
from undersigned.transparency import (
    Frontier,
    Tile,
    bundle,
    checkpoint_text,
    decision_leaf,
    leaf_digest,
    leaf_hash,
    move_leaf,
    read_bundle,
    read_checkpoint,
    read_note,
    signed_note,
    verify_inclusion,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]
LOGGED = ["contract", "Acceptance", "Seal", "Delivery", "Review", "Closing", "Closing"]


async def hired(folder: Path) -> tuple[Home, Home, str]:
    """Two companies after a hire, and its engagement."""
    homes = await two_homes(folder)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
    return *homes, result.engagement


def proofs(home: Home, engagement: str) -> list[dict[str, Any]]:
    return undersigned("ledger", "prove", engagement, "--home", home.path, "--json", folder=home.path).values


async def test_what_binds_and_what_decided_has_a_leaf_on_both_sides(tmp_path: Path) -> None:
    """HIRE-LOG-06: proved with the thing itself, a path and a signed checkpoint; a decision with its salt as well."""
    acme, globex, engagement = await hired(tmp_path)
    for home in (acme, globex):
        found = proofs(home, engagement)
        of = found[0]["digest"]
        one = ("ledger", "prove", engagement, "--home", home.path, "--json", "--of")
        ((shown,), nothing) = (undersigned(*one, digest, folder=home.path).values for digest in (of, of[:-4] + "AAAA"))
        assert {**shown, "checkpoint": ""} == {**found[0], "checkpoint": ""}
        assert "nothing of digest" in nothing[0]["error"]["message"]
        assert [one["what"] for one in found if one["what"] != "decision"] == LOGGED
        assert sorted(one["index"] for one in found) == list(range(len(found))), "and nothing else has one"
        store = await open_ledger(home.ledger_url, read_only=True)
        rows = {row.digest: row.raw for row in await store.rows(engagement) if row.kind != "noted"}
        decisions = [row.raw for row in await store.rows(engagement) if row.type == "decision"]
        await store.close()
        assert len(decisions) >= 2
        for one in found:
            head = read_checkpoint(read_note(one["checkpoint"]).text)
            path = [bytes.fromhex(digest_hex(item)) for item in one["path"]]
            verify_inclusion(bytes.fromhex(digest_hex(one["leaf"])), one["index"], head.size, path, head.root)
            if one["what"] in LOGGED[1:]:
                assert one["leaf"] == leaf_digest(move_leaf(rows[one["digest"]]))
            if one["what"] == "decision":
                salt = bytes.fromhex(one["salt"])
                assert one["leaf"] in [leaf_digest(decision_leaf(raw, salt)) for raw in decisions]
                assert one["leaf"] not in [leaf_digest(decision_leaf(raw, b"")) for raw in decisions]


async def test_what_was_proved_is_checked_by_whoever_is_given_it(tmp_path: Path) -> None:
    """HIRE-LOG-06: by the owner's keys, the path, and the thing itself; one changed letter and it does not hold."""
    acme, _, engagement = await hired(tmp_path)
    file, known, pack = tmp_path / "proofs.jsonl", tmp_path / "did.json", tmp_path / "hire.zip"
    lines = proofs(acme, engagement)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    known.write_bytes(acme.document().raw)

    def checked(*arguments: object) -> Ended:
        return undersigned("verify", file, *arguments, "--json", folder=tmp_path)

    alone = checked()
    assert alone.code == 4
    assert {line["code"] for line in alone.values} == {"did_unresolvable"}, "nobody named the owner's keys"
    held = checked("--did-document", known)
    assert (held.code, [line["ok"] for line in held.values]) == (0, [True] * len(lines))

    undersigned("export", engagement, "--home", acme.path, "--out", pack, folder=tmp_path)
    members = read_archive(pack.read_bytes())
    named: list[object] = []
    for place, (name, data) in enumerate(members.items()):
        if name == "contract.json" or name.startswith("decisions/") or name.endswith(("-Seal.json", "-Delivery.json")):
            (tmp_path / f"thing-{place}").write_bytes(data)
            named += ["--of", tmp_path / f"thing-{place}"]
    shown = checked("--did-document", known, *named)
    assert shown.code == 0
    of = {line["what"] for line in shown.values if line["of"]}
    assert of == {"contract", "decision", "Seal", "Delivery"}
    (tmp_path / "other").write_bytes(b"{}")
    assert checked("--did-document", known, "--of", tmp_path / "other").values[-1]["error"]["code"] == "digest_mismatch"

    one = lines[0]
    for change in (
        {"index": one["index"] + 1},
        {"path": [*one["path"], one["leaf"]]},
        {"leaf": lines[1]["leaf"]},
        {"checkpoint": one["checkpoint"].replace("\n", "\n1", 1)},
    ):
        file.write_text(json.dumps(one | change))
        broken = checked("--did-document", known)
        assert (broken.code, broken.values[0]["code"]) == (4, "log_proof_invalid"), change
    for change in ({"index": "x"}, {"leaf": "x"}, {"checkpoint": ""}, {"path": 1}):
        file.write_text(json.dumps(one | change))
        assert checked("--did-document", known).code == 4, change


async def test_anybody_reads_the_log_and_learns_nothing(tmp_path: Path) -> None:
    """HIRE-LOG-07: checkpoint, tiles and bundles; what is there for ever says so, what is not is 404."""
    acme, _, engagement = await hired(tmp_path)
    size = len(proofs(acme, engagement))
    async with Peer.open(acme) as peer, ClientSession() as session:

        async def get(path: str) -> tuple[int, str, bytes]:
            async with session.get(f"{peer.base_url}/ledger/{path}") as answer:
                return answer.status, answer.headers.get("Cache-Control", ""), await answer.read()

        status, cache, note = await get("checkpoint")
        head = read_checkpoint(read_note(note.decode()).text)
        assert (status, cache) == (200, "no-cache")
        assert head.origin == acme.configuration.did
        assert head.size == size
        bundle = Tile(None, 0, head.size)
        status, cache, data = await get(bundle.path)
        assert (status, cache) == (200, "max-age=31536000")
        leaves = read_bundle(bundle, data)
        assert all(leaf.startswith(b"hire/v1 ") and len(leaf.partition(b"\n")[2]) == 32 for leaf in leaves)
        assert (await get(Tile(0, 0, head.size).path))[0] == 200
        for path in (
            "",
            "tile/0/000",
            Tile(0, 0, head.size + 1).path,
            "tile/0/001.p/1",
            "tile/2/000.p/1",
            "x",
        ):
            assert (await get(path))[0] == 404, path


async def test_an_audit_reads_another_log_and_holds_it_against_what_it_signed(tmp_path: Path) -> None:
    """HIRE-LOG-05, HIRE-LOG-08: a log that was rewritten, and one that went back, are found by who met it before."""
    acme, globex, _ = await hired(tmp_path)
    kept = tmp_path / "kept.txt"
    signed = undersigned("ledger", "checkpoint", "--home", globex.path, folder=tmp_path).out
    kept.write_bytes(signed.encode() + "\u2014 somebody".encode() + b"\xff AAAAAAAA\n")
    (own,) = undersigned("ledger", "audit", "--home", globex.path, "--since", kept, "--json", folder=tmp_path).values
    assert (own["ok"], own["compared"] >= 2) == (True, True)
    junk = tmp_path / "junk.txt"
    junk.write_text("no checkpoint\n")
    words = ("--since", kept, "--since", junk, "--home", globex.path, "--json")
    other = undersigned("ledger", "audit", *words, folder=tmp_path)
    assert (other.code, other.error["message"].startswith(f"--since {junk}: ")) == (4, True), other
    async with Peer.open(globex):
        told = await audit(acme, globex, "--since", kept)
    assert (told["ok"], told["leaves"], told["root"]) == (True, own["leaves"], own["root"])
    assert told["compared"] >= 2, "the closing, and the checkpoint that was kept"
    went_back(globex)
    async with Peer.open(globex):
        told = await audit(acme, globex, "--since", kept)
    assert told["ok"] is False
    assert any("Closing" in defect for defect in told["defects"])
    assert any(str(kept) in defect for defect in told["defects"])


async def test_an_audit_passes_over_what_others_wrote_below_a_checkpoint(tmp_path: Path) -> None:
    """HIRE-LOG-08: who serves a log may add signatures of others to it, in whatever bytes."""
    acme, globex, _ = await hired(tmp_path)
    async with Peer.open(globex) as peer, ClientSession() as session:

        async def answer(request: web.BaseRequest) -> web.Response:
            async with session.get(f"{peer.base_url}{request.path}") as heard:
                body = await heard.read()
            if request.path.endswith("/checkpoint"):
                body += "\u2014 somebody".encode() + b"\xff AAAAAAAA\n"
            return web.Response(body=body)

        server = web.Server(answer)
        async with await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            told = await audit(acme, globex, "--at", f"http://localhost:{port}/ledger")
            await server.shutdown(1)
    assert told["ok"]


async def claimed(home: Home, leaves: list[bytes], size: int | None = None) -> bytes:
    """A checkpoint of these leaves, or of so many, that its owner signed."""
    tree, key, did = Frontier(), home.log_key(), home.configuration.did
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    text = checkpoint_text(did, len(leaves) if size is None else size, tree.root)
    return signed_note(text, did, key.public_key, await key.sign(text)).encode()


async def test_an_audit_reads_no_more_of_a_log_than_it_was_told_to(tmp_path: Path) -> None:
    """HIRE-LOG-08: whoever signs for 2^53 leaves is asked for none of them."""
    acme, globex, _ = await hired(tmp_path)
    leaves = [b"%d" % number for number in range(300)]
    files = {"/checkpoint": await claimed(globex, leaves, 2**53 - 1)}
    async with Peer.open(globex), served(files) as (url, asked):
        ran = await audit_ran(acme, globex, "--at", url)
        assert (ran.code, ran.error["code"]) == (5, "too_large"), ran
        assert asked == ["/checkpoint"]
        files["/checkpoint"] = await claimed(globex, leaves)
        files["/tile/entries/000"], files["/tile/entries/001.p/44"] = bundle(leaves[:256]), bundle(leaves[256:])
        assert (await audit_ran(acme, globex, "--at", url, "--most", 299)).error["code"] == "too_large"
        (told,) = (await audit_ran(acme, globex, "--at", url, "--most", 300)).values
        assert told["leaves"] == 300


@pytest.mark.parametrize("missing", ["/tile/entries/001", "/tile/0/000", "neither"])
async def test_a_log_hides_nothing_by_what_it_does_not_serve(missing: str, tmp_path: Path) -> None:
    """HIRE-LOG-08: what is found before it breaks off is told, with the exit code for that."""
    acme, globex, _ = await hired(tmp_path)
    leaves = [b"%d" % number for number in range(512)]
    files = {"/checkpoint": await claimed(globex, leaves), "/tile/entries/000": bundle(leaves[:256])}
    files |= {"/tile/entries/001": bundle(leaves[256:]), "/tile/1/000.p/2": b""}
    for number in range(2):
        part = [leaf_hash(leaf) for leaf in leaves[256 * number :][:256]]
        files[f"/tile/0/{number:03}"] = b"".join(part)
        files["/tile/1/000.p/2"] += root_of(part)
    files.pop(missing, None)
    async with Peer.open(globex), served(files) as (url, _):
        ran = await audit_ran(acme, globex, "--at", url)
        assert ran.code == 4, ran
        (told,) = ran.values
        for document in told["contradictions"]:
            (tmp_path / "proof.json").write_text(json.dumps(document))
            checking = ("ledger", "forks", "--check", tmp_path / "proof.json", "--home", acme.path)
            assert (await asyncio.to_thread(undersigned, *checking, folder=tmp_path)).code == 0
    assert any("Closing" in defect for defect in told["defects"])
    assert any("/tile/entries/001" in defect for defect in told["defects"]) == (missing == "/tile/entries/001")
    assert len(told["contradictions"]) == (missing != "/tile/0/000")


@pytest.mark.parametrize("size", [2, 3])
async def test_a_checkpoint_that_was_kept_shows_two_histories_to_anybody(size: int, tmp_path: Path) -> None:
    """HIRE-LOG-08: who never met the owner has what it signed from elsewhere, and that is proof as well."""
    acme, globex = await two_homes(tmp_path)
    kept, proof = tmp_path / "kept.txt", tmp_path / "proof.json"
    kept.write_bytes(await claimed(globex, [b"another"] * size))
    leaves = [b"%d" % number for number in range(3)]
    files = {"/checkpoint": await claimed(globex, leaves), "/tile/entries/000.p/3": bundle(leaves)}
    files["/tile/0/000.p/3"] = b"".join(leaf_hash(leaf) for leaf in leaves)
    async with Peer.open(globex), served(files) as (url, _):
        told = await audit(acme, globex, "--at", url, "--since", kept)
        (document,) = told["contradictions"]
        proof.write_text(json.dumps(document))
        checking = ("ledger", "forks", "--check", proof, "--home", acme.path)
        assert (await asyncio.to_thread(undersigned, *checking, folder=tmp_path)).code == 0
    assert any(str(kept) in defect for defect in told["defects"])
    assert ("path" in document) == (size < 3)


def root_of(hashes: list[bytes]) -> bytes:
    tree = Frontier()
    for one in hashes:
        tree.append(one)
    return tree.root


@asynccontextmanager
async def served(files: dict[str, bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """A place for a log, and what it was asked for."""
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        found = files.get(request.path)
        return web.Response(body=found) if found is not None else web.Response(status=404)

    server = web.Server(answer)
    async with await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0) as listening:
        yield f"http://localhost:{listening.sockets[0].getsockname()[1]}", asked
        await server.shutdown(1)


async def audit(home: Home, other: Home, *options: object) -> dict[str, Any]:
    ran = await audit_ran(home, other, *options)
    (told,) = ran.values
    assert ran.code == (0 if told["ok"] else 4)
    return told


async def audit_ran(home: Home, other: Home, *options: object) -> Ended:
    arguments = ("ledger", "audit", other.configuration.did, "--home", home.path, "--json", *options)
    return await asyncio.to_thread(undersigned, *arguments, folder=home.path)


def went_back(home: Home) -> None:
    """Somebody takes the log away, with all that would notice it here, and lets it begin anew."""
    db = sqlite3.connect(home.ledger)
    db.executescript(
        "DELETE FROM leaf; UPDATE tree SET size = 0, checkpoint_size = 0, checkpoint = NULL,"
        " root = x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',"
        " checkpoint_root = x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';"
    )
    db.execute("UPDATE tree SET seal = ?", (tree_seal(db),))  # whoever can write it can do that too
    db.commit()
    db.close()
    home.ledger.with_name(home.ledger.name + ".head").unlink(missing_ok=True)
