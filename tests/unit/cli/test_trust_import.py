"""`trust import` and `trust diff` find issuers as a running peer of the same folder would."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from histories import Log, document_at
from parties import Party
from undersigned.credentials import build_credential, credential_config
from undersigned.encoding import Did
from undersigned.runtime import SystemClock
from undersigned.trust import Anchor, anchor_set, record_config
from unit.cli.running import Ran, run
from unit.runtime.sites import Site, answers, publish, site

NOW = SystemClock().now()
BODY, EVE, AGENT = Party("industry-body"), Party("eve"), Party("agent")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "acme", "--local", "--trust", BODY.did).code == 0
    return tmp_path / "acme"


def configure(home: Path, text: str) -> None:
    file = home / "undersigned.toml"
    # What a table holds comes after it, so what belongs to none comes first.
    file.write_text(f"{text}\n{file.read_text()}" if not text.startswith("[") else f"{file.read_text()}\n{text}\n")


async def trust(home: Path, *arguments: object) -> Ran:
    return await asyncio.to_thread(run, "trust", *arguments, "--home", home, "--json")


def endorsement(path: Path, issuer: Did, key: Party, capability: str = "sbom") -> Path:
    document = build_credential(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b0a",
        type="EndorsementCredential",
        issuer=issuer,
        subject={"id": AGENT.did, "capability": capability},
        valid_from="2026-01-01T00:00:00Z",
        valid_until="2999-01-01T00:00:00Z",
    )
    signed = key.prove(document, credential_config("eddsa-jcs-2022", f"{issuer}#{key.name}", NOW))
    path.write_text(json.dumps(signed))
    return path


def published(path: Path, issuer: Did, key: Party) -> Path:
    document = anchor_set(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
        issuer=issuer,
        number=1,
        published=NOW,
        anchors=[Anchor(issuer=EVE.did)],
    )
    path.write_text(json.dumps(key.prove(document, record_config("eddsa-jcs-2022", f"{issuer}#{key.name}", NOW))))
    return path


async def used(home: Path, path: Path, issuer: Did, key: Party) -> None:
    """Everything that has to know the issuer's document finds it."""
    assert (await trust(home, "import", endorsement(path / "credential.json", issuer, key))).code == 0
    signed_set = published(path / "set.json", issuer, key)
    assert (await trust(home, "diff", signed_set)).code == 0
    assert (await trust(home, "import", signed_set, "--evidence", "their statutes")).code == 0


async def test_an_issuer_of_another_method_is_found_by_the_resolver_of_the_settings(home: Path, tmp_path: Path) -> None:
    """HIRE-DID-09."""
    issuer = "did:example:north"
    async with site() as resolver:
        resolver.serves(answers(document_at(issuer, BODY)))
        unknown = await trust(home, "import", endorsement(tmp_path / "early.json", issuer, BODY))
        assert unknown.error["code"] == "did_unresolvable", "there is no resolver yet"
        configure(home, f'resolver = "{resolver.url("")}"')
        await used(home, tmp_path, issuer, BODY)
    added = await trust(home, "add", issuer, "--evidence", "their statutes")
    assert added.code == 0
    for command in (("path", issuer, "--type", "X"), ("graph", issuer)):
        assert (await trust(home, *command)).code == 0
    assert (await trust(home, "explain", issuer)).code == 3, "known, and nobody speaks of it"


async def test_an_issuer_that_moved_is_found_where_the_settings_say(home: Path, tmp_path: Path) -> None:
    """HIRE-WVH-12."""
    async with site() as former_place, site() as here:
        former, latest = moved(former_place, here)
        lost = await trust(home, "import", endorsement(tmp_path / "early.json", former, EVE))
        assert lost.code == 6, "nothing is served at its former place"
        configure(home, f'[moved]\n"{former}" = "{latest}"')
        await used(home, tmp_path, former, EVE)


def moved(former_place: Site, here: Site) -> tuple[Did, Did]:
    controller = Party("controller")
    log = Log(f"localhost%3A{former_place.port}", controller=controller, key=BODY, portable=True)
    former, latest = log.did, f"did:webvh:{log.scid}:localhost%3A{here.port}"
    former_place.serves(b"", status="410 Gone")
    log.add(document_at(latest, EVE, also=(former,)), controller=controller)
    publish(here, log)
    return former, latest


async def test_several_credentials_are_taken_in_at_once_or_none_is(home: Path, tmp_path: Path) -> None:
    """Each was a command of its own, and whoever imported a hundred of them knew not how far that had come."""
    issuer = "did:example:north"
    one, two, three = (endorsement(tmp_path / f"{name}.json", issuer, BODY, name) for name in ("sbom", "review", "pay"))
    spoiled = tmp_path / "spoiled.json"
    spoiled.write_text(two.read_text().replace("review", "reviewer"))
    async with site() as resolver:
        resolver.serves(answers(document_at(issuer, BODY)))
        configure(home, f'resolver = "{resolver.url("")}"')
        unknown = endorsement(tmp_path / "unknown.json", "did:web:nobody.invalid", BODY)
        for wrong, code in ((spoiled, 4), (published(tmp_path / "set.json", issuer, BODY), 2), (unknown, 6)):
            ran = await trust(home, "import", one, two, wrong)
            assert (ran.code, ran.error["message"].startswith(f"{wrong}: ")) == (code, True), ran
        alone = await trust(home, "import", one, two, "--evidence", "their statutes")
        assert (alone.code, "for one FILE" in alone.error["message"]) == (2, True)
        taken = await trust(home, "import", one, two)
        assert [(said["edge"]["capability"], said["new"]) for said in taken.values] == [
            ("sbom", True),
            ("review", True),
        ]
        again = await trust(home, "import", two, three)
    assert [said["new"] for said in again.values] == [False, True]
