"""Verdicts after an issuer's server is gone: a hire on real sockets, a host of status lists that is stopped, and people
who were no party.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from issuing import issued
from security.wire_world import World
from status_host import PLACE, StatusHost, status_host
from support import refuses
from undersigned.credentials import Authority
from undersigned.encoding import canonicalize, digest_bytes, shift
from undersigned.errors import LedgerError
from undersigned.evidence import read_archive, tamper
from undersigned.runtime import Home, SystemClock, create_home, recorded_decisions, replay_decision
from undersigned.runtime.evidence.last_known import before_in_ledger
from undersigned.testing import Actor
from unit.cli.running import Ran, run

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


class Hired:
    """A hire whose provider's membership names a list at a host of its own, and somebody who was no party."""

    def __init__(self, world: World, host: StatusHost, folder: Path, artifact: str) -> None:
        self.world, self.host, self.folder, self.artifact = world, host, folder, artifact
        self.pack = folder / "hire.zip"
        self.umbrella = create_home(
            folder / "umbrella", name="Umbrella", local=True, port=9, anchors=(host.issuer,), max_price="1 EUR"
        )
        homes = (world.acme.home, world.globex.home)
        every = [one for home in homes for one in (home.document(), home.organisation_document()) if one is not None]
        self.brought = tuple(every)
        self.documents: list[str | Path] = []
        for place, document in enumerate(every):
            file = folder / f"{place}.json"
            file.write_bytes(document.raw)
            self.documents += ["--did-document", file]

    async def run(self, *words: object) -> Ran:
        """One command, beside the peers that run in this process."""
        return await asyncio.to_thread(run, *words, "--json")

    async def check(self, home: Home, *more: object) -> tuple[int, dict[str, Any], Ran]:
        """Exit code, the reason about status, and the verdict made again."""
        ran = await self.run("check", self.artifact, "--for", "summary", "--home", home.path, *more)
        (one,) = ran.values[0]["verdict"]["judged"]
        assert {reason["code"] for reason in one["reasons"] if reason["clause"] != "status"} == {"met"}, one
        (reason,) = [reason for reason in one["reasons"] if reason["clause"] == "status"]
        again = await self.run("decision", "replay", ran.values[0]["id"], "--home", home.path)
        assert (again.code, again.values[0]["same"]) == (0, True), again
        return ran.code, reason, ran

    async def by_acme(self, *more: object) -> tuple[int, dict[str, Any], Ran]:
        return await self.check(self.world.acme.home, *more)

    async def by_umbrella(self, *more: object, pack: Path | None = None) -> tuple[int, dict[str, Any], Ran]:
        return await self.check(self.umbrella, "--pack", pack or self.pack, *self.documents, *more)


@asynccontextmanager
async def hired(folder: Path, *, as_text: bool = False, listed: bool = True) -> AsyncIterator[Hired]:
    async with World(folder) as world, status_host(world.globex.home, SystemClock().now()) as host:
        host.vouch(listed=listed)
        host.as_text = as_text
        await world.restart()
        world.acme.gatherer.limits = msgspec.structs.replace(world.acme.gatherer.limits, seconds=2.0)
        result = await world.honest()
        made = Hired(world, host, folder, digest_bytes(result["summary.txt"]))
        exported = await made.run("export", "--home", world.acme.home.path, "--out", made.pack)
        assert exported.code == 0, exported
        yield made


@pytest.mark.parametrize("as_text", [False, True], ids=["with a proof", "as a JWT"])
async def test_the_last_list_known_decides_between_a_no_and_a_person(tmp_path: Path, as_text: bool) -> None:
    """HIRE-TRC-07, HIRE-TRC-06: a live list decides; without one, nothing is allowed, and what is known to be revoked
    is no.
    """
    async with hired(tmp_path, as_text=as_text) as made:
        host = made.host
        assert (await made.by_acme())[0] == 0
        assert (await made.by_umbrella())[0] == 0

        await host.down()
        code, reason, ran = await made.by_acme()
        assert (code, reason["code"]) == (7, "status_last_known")
        verdict = ran.values[0]["verdict"]
        (known,) = verdict["inputs"]["known"]
        assert (known["own"], "lists" in verdict["inputs"]) == (True, False)
        # It was asked for at the verdict before, later than at the hire.
        assert f"last known good as of {known['verified']}; the list could not be had now: " in reason["value"]
        assert host.url in reason["value"]
        code, reason, _ = await made.by_acme("--offline")
        assert (code, reason["code"]) == (7, "status_last_known")
        assert reason["value"].endswith("could not be had now: nothing was asked, offline")

        # Withdrawn, and seen so by Acme; then its issuer is gone. Umbrella has only what the pack of the hire shows.
        host.now = shift(host.now, 30)  # a list of another time than the one before, also on a fast machine
        host.places.add(PLACE)
        await host.up()
        assert (await made.by_acme())[1]["code"] == "revoked"
        await host.down()
        code, reason, _ = await made.by_acme()
        assert (code, reason["code"]) == (3, "revoked")
        assert "last known as of" in reason["value"]
        await host.up()
        assert (await made.by_umbrella())[1]["code"] == "revoked"
        # What the pack shows is older than what Umbrella has seen itself.
        assert (await made.by_umbrella("--offline"))[1]["code"] == "revoked"


@pytest.mark.parametrize("as_text", [False, True], ids=["with a proof", "as a JWT"])
async def test_a_pack_of_others_is_known_since_its_issuer_made_the_list(tmp_path: Path, as_text: bool) -> None:
    """HIRE-TRC-07: when a packer says that it looked is its word; and a pack without a list is no, as before."""
    async with hired(tmp_path, as_text=as_text) as made:
        issued = made.host.now
        made.host.places.add(PLACE)
        code, reason, ran = await made.by_umbrella("--offline")
        (known,) = ran.values[0]["verdict"]["inputs"]["known"]
        assert (code, reason["code"], "own" in known) == (7, "status_last_known", False)
        assert known["verified"] >= issued
        assert f"last known good as of {issued};" in reason["value"]
        told = await asyncio.to_thread(
            run, "check", made.artifact, "--for", "summary", "--home", made.umbrella.path, "--pack", made.pack,
            *made.documents, "--offline",
        )  # fmt: skip
        assert f"by {made.host.issuer}: last known good as of {issued}; the list could not be had now" in told.out

        bare = tmp_path / "bare.zip"
        home = made.world.acme.home.path
        assert (await made.run("export", "--home", home, "--withhold", "status", "--out", bare)).code == 0
        code, reason, _ = await made.by_umbrella("--offline", pack=bare)
        assert (code, reason["code"]) == (3, "status_unavailable")
        # Whoever asks can be shown the newest list by anybody: the hirer's ledger has none but this.
        code, reason, _ = await made.by_acme("--offline")
        assert (code, reason["code"]) == (7, "status_last_known")


async def test_a_chain_through_somebody_who_is_refused_entitles_no_signer(tmp_path: Path) -> None:
    """HIRE-TRU-23, HIRE-TRC-05: the graph of whoever asks leads to the provider's organisation through another one."""
    root, between = Actor("root"), Actor("between")
    async with hired(tmp_path, listed=False) as made:
        reader = create_home(tmp_path / "reader", name="Reader", local=True, port=9, anchors=(root.did,))
        since = shift(SystemClock().now(), -3600)
        for by, about, depth in ((root, between.did, 1), (between, made.host.issuer, 0)):
            file = tmp_path / f"link {depth}.json"
            file.write_bytes(canonicalize(issued(by, Authority(id=about, may_attest="summary", depth=depth), since)))
            imported = await made.run("trust", "import", file, "--home", reader.path)
            assert imported.code == 0, imported

        async def outcome() -> tuple[int, set[str]]:
            asked = ("check", made.artifact, "--for", "summary", "--home", reader.path, "--pack", made.pack)
            ran = await made.run(*asked, *made.documents)
            (one,) = ran.values[0]["verdict"]["judged"]
            return ran.code, {reason["clause"] for reason in one["reasons"] if reason["code"] != "met"}

        assert await outcome() == (0, set())
        settings = reader.path / "undersigned.toml"
        text = settings.read_text()
        settings.write_text(text.replace("[policy]", f'[policy]\nrefuse = ["{between.did}"]'))
        assert settings.read_text() != text
        assert await outcome() == (3, {"signer"})


async def test_a_list_that_is_a_jwt_is_kept_as_it_was_served(tmp_path: Path) -> None:
    """HIRE-STA-10, HIRE-RPL-01, HIRE-PCK-09: by decisions that are made again, and in a pack that holds."""
    async with hired(tmp_path, as_text=True) as made:
        home, ledger = made.world.acme.home, made.world.acme.ledger
        found = await recorded_decisions(ledger)
        assert {len(one.decision.inputs.status_lists) for one in found} == {1}
        for one in found:
            assert (await replay_decision(ledger, home.configuration.did, one)).same
        kept = {digest: await ledger.blob(digest) for one in found for digest in one.decision.inputs.status_lists}
        members = {path: data for path, data in read_archive(made.pack.read_bytes()).items() if path[:7] == "status/"}
        assert members == {f"status/{digest}.json": raw for digest, raw in kept.items()}
        assert made.host.served() in members.values()
        report = await made.run("verify", made.pack)
        assert report.code == 0, report
        (step,) = [step for step in report.values[0]["steps"] if step["number"] == 10]
        assert "1 status list holds" in step["detail"]

        made.host.now = shift(made.host.now, 30)
        made.host.places.add(PLACE)
        assert (await made.by_acme())[1]["code"] == "revoked"
        known = await made.run("history", made.world.globex.own.id, "--pack", made.pack, *made.documents)
        assert known.code == 0
        assert "decision" in {line["kind"] for line in known.values[0]["lines"]}
        changed = tmp_path / "changed.zip"
        changed.write_bytes(tamper(made.pack.read_bytes(), "jwt-signature"))
        refused = await made.run("verify", changed)
        assert (refused.code, "proof_invalid" in refused.out) == (4, True), refused


async def test_what_is_served_in_place_of_a_list_is_no_list(tmp_path: Path) -> None:
    """HIRE-TRC-07: whatever is served that is no list of its issuer, none was had, and the reason says what came."""
    async with hired(tmp_path) as made:
        forged = canonicalize(made.host.signed(made.host.list(), made.world.acme.home.key("organisation")))
        for body, says in (
            (b"<html>this domain is for sale</html>", f"{made.host.url} holds no list"),
            (b"{}", f"{made.host.url} holds no list"),
            (b"", f"{made.host.url} holds no list"),
            (forged, f"{made.host.url} does not hold: proof_invalid"),
        ):
            made.host.body = body
            code, reason, _ = await made.by_acme()
            assert (code, reason["code"]) == (7, "status_last_known")
            assert says in reason["value"].partition("could not be had now: ")[2], reason
        # Who knows none of before is told what came as well, and not that nobody asked.
        bare, home = tmp_path / "bare.zip", made.world.acme.home.path
        assert (await made.run("export", "--home", home, "--withhold", "status", "--out", bare)).code == 0
        made.host.body = b"<html>this domain is for sale</html>"
        code, reason, _ = await made.by_umbrella(pack=bare)
        assert (code, reason["code"]) == (3, "status_unavailable")
        assert f"{made.host.url} holds no list" in reason["value"]
        made.host.body, made.host.status = None, "404 Not Found"
        code, reason, _ = await made.by_acme()
        assert (code, reason["code"]) == (7, "status_last_known")
        assert "answered 404" in reason["value"]


@pytest.mark.parametrize("as_text", [False, True], ids=["with a proof", "as a JWT"])
async def test_an_older_list_that_is_served_does_not_decide(tmp_path: Path, as_text: bool) -> None:
    """HIRE-TRC-07: from a stale cache, or played back; what its issuer made later is known here."""
    async with hired(tmp_path, as_text=as_text) as made:
        host = made.host
        begun = host.now
        host.now = shift(begun, 20)
        host.places.add(PLACE)
        assert (await made.by_acme())[1]["code"] == "revoked"
        host.now = begun
        host.places.clear()
        code, reason, ran = await made.by_acme()
        assert (code, reason["code"]) == (3, "revoked")
        assert f"{host.url} serves an older one, of {begun}" in reason["value"]
        inputs = ran.values[0]["verdict"]["inputs"]
        assert (len(inputs["lists"]), len(inputs["known"])) == (1, 1)
        # Who has never seen the newer one cannot know.
        assert (await made.by_umbrella())[0] == 0
        # Lifted since, as far as is known; what is served says that it is withdrawn, and is older.
        host.now = shift(begun, 40)
        assert (await made.by_acme())[0] == 0
        host.now = shift(begun, 20)
        host.places.add(PLACE)
        code, reason, _ = await made.by_acme()
        assert (code, reason["code"]) == (7, "status_last_known")
        host.now = shift(begun, 50)
        assert (await made.by_acme())[1]["code"] == "revoked"


async def test_a_list_that_is_gone_from_the_ledger_hides_no_withdrawal(tmp_path: Path) -> None:
    """HIRE-TRC-07: it may be the one that says so, and no older one is looked into in its place."""
    async with hired(tmp_path) as made:
        home, ledger = made.world.acme.home, made.world.acme.ledger
        (digest,) = {one for found in await recorded_decisions(ledger) for one in found.decision.inputs.status_lists}
        assert await before_in_ledger(ledger, [made.host.url])
        with closing(sqlite3.connect(home.path / "ledger.db")) as db, db:
            db.execute("DELETE FROM blob WHERE digest = ?", (digest,))
        with refuses(LedgerError, "store_corrupt"):
            await before_in_ledger(ledger, [made.host.url])
