"""Verdicts whose DID documents changed since the hire, or cannot be had any more: real servers, and people who were no
party and have a pack.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from integration.test_offline_check import Hired, hired
from status_host import PLACE
from undersigned.encoding import canonicalize, shift
from undersigned.runtime import Home, create_home, rotate_key
from unit.cli.running import Ran

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]


async def asked(made: Hired, home: Home, *more: object, pack: Path | None = None) -> tuple[int, dict[str, Any], Ran]:
    """Exit code, the reasons that are not met by clause, and the verdict, which is made again."""
    ran = await made.run(
        "check", made.artifact, "--for", "summary", "--home", home.path, "--pack", pack or made.pack, *more
    )
    again = await made.run("decision", "replay", ran.values[0]["id"], "--home", home.path)
    assert (again.code, again.values[0]["same"]) == (0, True), again
    (one,) = ran.values[0]["verdict"]["judged"]
    return ran.code, {reason["clause"]: reason for reason in one["reasons"] if reason["code"] != "met"}, ran


def stranger(made: Hired, name: str) -> Home:
    return create_home(
        made.folder / name, name=name.title(), local=True, port=9, anchors=(made.host.issuer,), max_price="1 EUR"
    )


async def test_a_document_of_today_is_not_held_against_the_one_of_then_by_its_bytes(tmp_path: Path) -> None:
    """HIRE-TRC-09: one more service changes no key."""
    async with hired(tmp_path) as made:
        assert (await asked(made, made.umbrella))[:2] == (0, {})
        for home in (made.world.globex.home, made.world.acme.home):
            for file in (home.path / "did.json", home.path / "organisation.json"):
                document = json.loads(file.read_bytes())
                service = {"id": f"{document['id']}#more", "type": "Other", "serviceEndpoint": "https://else.example/"}
                document["service"] = [*document.get("service", ()), service]
                file.write_bytes(canonicalize(document))
        await made.world.restart()
        code, unmet, ran = await asked(made, stranger(made, "fresh"))
        assert (code, unmet) == (0, {})
        assert len(ran.values[0]["verdict"]["inputs"]["documents"]) == 4


async def test_a_key_that_its_document_does_not_have_any_more(tmp_path: Path) -> None:
    """HIRE-TRC-09: rotated, or never its own: no; known from before, a person; brought, as it is."""
    async with hired(tmp_path) as made:
        globex = made.world.globex
        did = globex.identity.did
        assert (await asked(made, made.umbrella))[0] == 0
        rotate_key(globex.home)
        await made.world.restart()
        code, unmet, ran = await asked(made, stranger(made, "fresh"))
        assert (code, list(unmet)) == (3, ["keys"])
        assert unmet["keys"]["code"] == "key_not_authorized"
        assert unmet["keys"]["value"] == f"{did}#agent is in the pack's document of {did}, and in none that is known"
        assert "does not hold" not in ran.out
        # Somebody who relied on the document of then knows the key, and not whether it was stolen since.
        code, unmet, ran = await asked(made, made.umbrella)
        assert (code, list(unmet), unmet["keys"]["code"]) == (7, ["keys"], "did_last_known")
        assert f"keys of {did} are those that were known at " in unmet["keys"]["value"]
        assert "its document of now does not have them any more" in unmet["keys"]["value"]
        assert len(ran.values[0]["verdict"]["inputs"]["earlier"]) == 1
        assert (await asked(made, stranger(made, "bringing"), *made.documents))[:2] == (0, {})
        # What the hirer recorded while the key was listed stays what it was.
        assert (await made.by_acme())[0] == 0
        assert (await asked(made, made.world.acme.home))[:2] == (0, {})


async def test_the_organisation_may_have_another_key_now(tmp_path: Path) -> None:
    """HIRE-TRC-09: its membership does not hold by the document of today, and the reason says so."""
    async with hired(tmp_path) as made:
        assert (await asked(made, made.umbrella))[0] == 0
        file = made.world.globex.home.path / "organisation.json"
        other = made.world.acme.home.organisation_document()
        assert other is not None
        document = json.loads(file.read_bytes())
        document["verificationMethod"][0]["publicKeyMultibase"] = other.json["verificationMethod"][0][
            "publicKeyMultibase"
        ]
        file.write_bytes(canonicalize(document))
        await made.world.restart()
        code, unmet, _ = await asked(made, stranger(made, "fresh"))
        assert (code, unmet["signer"]["code"]) == (3, "attester_not_trusted")
        assert f"showed a membership of {made.host.issuer}, which may attest " in unmet["signer"]["value"]
        assert "it does not hold: " in unmet["signer"]["value"]
        code, unmet, _ = await asked(made, made.umbrella)
        assert (code, unmet["keys"]["code"], "signer" in unmet) == (7, "did_last_known", False)


async def test_a_key_of_before_makes_no_list_that_outdoes_the_one_of_now(tmp_path: Path) -> None:
    """HIRE-TRC-07: who stole a key that was replaced since could date a list as late as it likes."""
    async with hired(tmp_path) as made:
        host, other = made.host, made.world.acme.home
        assert (await asked(made, made.umbrella, "--offline", *made.documents))[0] == 7
        document = json.loads((made.world.globex.home.path / "organisation.json").read_bytes())
        office = other.organisation_document()
        assert office is not None
        document["verificationMethod"][0]["publicKeyMultibase"] = office.json["verificationMethod"][0][
            "publicKeyMultibase"
        ]
        (made.world.globex.home.path / "organisation.json").write_bytes(canonicalize(document))
        await made.world.restart()
        # The list of now is by the key of now, and older than the one that the pack shows.
        host.key, host.now = other.key("organisation"), shift(host.now, -30)
        for withdrawn in (False, True):
            host.places = {PLACE} if withdrawn else set()
            code, unmet, ran = await asked(made, made.umbrella)
            assert code == (3 if withdrawn else 7)
            assert unmet["keys"]["code"] == "did_last_known"
            assert unmet.get("status", {}).get("code") == ("revoked" if withdrawn else None)
            # The second one is of the same time as the first, which the verdict before saw.
            assert ("known" in ran.values[0]["verdict"]["inputs"]) == withdrawn


async def test_servers_that_are_gone_are_named_and_nothing_else_is_said(tmp_path: Path) -> None:
    """HIRE-TRC-09: who could not be asked, that its document would do, and that what is known from before asks."""
    async with hired(tmp_path) as made:
        issuer, agents = made.host.issuer, [did.identity.did for did in (made.world.acme, made.world.globex)]
        assert (await asked(made, made.umbrella))[:2] == (0, {})
        # Those of Acme and of Globex, and not that of its organisation.
        (place,) = [place for place, one in enumerate(made.brought) if one.id == issuer]
        brought = made.documents[: 2 * place] + made.documents[2 * place + 2 :]
        await made.host.down()
        await made.world.__aexit__()
        fresh = stranger(made, "fresh")
        code, unmet, _ = await asked(made, fresh, *brought)
        assert (code, list(unmet)) == (3, ["signer"])
        reason = unmet["signer"]
        assert reason["code"] == "did_unresolvable"
        assert f"showed a membership of {issuer}, which may attest " in reason["value"]
        assert "its DID document could not be had now: " in reason["value"]
        assert "ssl:default" not in reason["value"]
        assert "--did-document FILE; or a chain of authority to " in reason["wouldPass"]
        # With it, what is left is the list, which the pack shows as it was.
        code, unmet, _ = await asked(made, fresh, *made.documents)
        assert (code, list(unmet), unmet["status"]["code"]) == (7, ["status"], "status_last_known")
        assert "did_unresolvable" not in unmet["status"]["value"]
        code, unmet, _ = await asked(made, stranger(made, "nothing"))
        assert (code, unmet["keys"]["code"]) == (3, "did_unresolvable")
        for offline in ((), ("--offline",)):
            code, unmet, ran = await asked(made, made.umbrella, *offline)
            assert code == 7
            assert {clause: reason["code"] for clause, reason in unmet.items()} == {
                "keys": "did_last_known",
                "status": "status_last_known",
            }
            told = [one["value"] for one in ran.values[0]["verdict"]["judged"][0]["reasons"] if one["clause"] == "keys"]
            assert len(told) == 3
            assert all(any(f"keys of {did} are" in one for one in told) for did in (*agents, issuer))
            assert all("could not be had now: " in one for one in told)


async def test_a_pack_that_does_not_hold_is_named(tmp_path: Path) -> None:
    """HIRE-TRC-09: another document is no forgery; bytes that were changed are."""
    async with hired(tmp_path) as made:
        bad = tmp_path / "bad.zip"
        assert (await made.run("tamper", made.pack, "--what", "transcript", "--out", bad)).code == 0
        ran = await made.run(
            "check", made.artifact, "--for", "summary", "--home", made.umbrella.path, "--pack", made.pack, "--pack", bad
        )
        assert (ran.code, f"the pack {bad} does not hold" in ran.out + ran.err) == (4, True), ran


async def test_offline_allows_what_nobody_could_withdraw_and_says_so(tmp_path: Path) -> None:
    """HIRE-TRC-05: nothing is asked, and nothing is said to have been."""
    async with hired(tmp_path, listed=False) as made:
        code, unmet, ran = await asked(made, made.umbrella, "--offline", *made.documents)
        assert (code, unmet) == (0, {})
        (reason,) = [one for one in ran.values[0]["verdict"]["judged"][0]["reasons"] if one["clause"] == "status"]
        assert reason["value"] == "1 not looked up: it names no list, so that nobody can withdraw it"
