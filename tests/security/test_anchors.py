"""SC-112 where anchors are added: nobody extends alone whom an organisation believes, and no set is slipped in.

Two people, each with a folder of its own, have to sign what their organisation believes.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from histories import document_at
from parties import Party
from undersigned.did import DidDocument
from undersigned.encoding import JsonObject, canonicalize, digest_of
from undersigned.errors import ConfigurationError
from undersigned.runtime import Home, SystemClock, sign_record
from undersigned.trust import Anchor, Anchors, adoption, anchor_record, anchor_set, record_config
from unit.cli.running import Ran, files, run
from unit.cli.test_trust import anchors as believed
from unit.cli.test_trust import trust, written
from unit.runtime.sites import site

NOW = SystemClock().now()
BODY, GOOD, BAD = Party("industry-body"), Party("good"), Party("bad")
SET_ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02"
RECORD_ID = "urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b{:02}"
WHY = ("--evidence", "their statutes")


@pytest.fixture
def people(tmp_path: Path) -> tuple[Path, Path]:
    one, two = tmp_path / "one", tmp_path / "two"
    for home in (one, two):
        assert run("init", home, "--local").code == 0
    dids = [part.did for home in (one, two) if (part := Home(home).configuration.organisation)]
    for home in (one, two):
        file = home / "undersigned.toml"
        limit = f"[trust]\npeople = {json.dumps(dids)}\nreach_of_one = 0\n"
        file.write_text(file.read_text().replace("[trust]\n", limit))
    return one, two


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "alone", "--local").code == 0
    return tmp_path / "alone"


def published(number: int, *listed: Party, issuer: str = BODY.did, method: str = BODY.method) -> JsonObject:
    anchors = [Anchor(issuer=one.did) for one in listed]
    document = anchor_set(id=SET_ID, issuer=issuer, number=number, published=NOW, anchors=anchors)
    return BODY.prove(document, record_config("eddsa-jcs-2022", method, NOW))


def record_of(document: JsonObject, number: int = 1, issuer: DidDocument = BODY.document) -> JsonObject:
    return adoption(
        id=RECORD_ID.format(number), signed_set=document, document=issuer, evidence="their statutes", added=NOW
    )


def signed_by(document: JsonObject, *homes: Path) -> JsonObject:
    """As somebody does who has the keys and does not ask the program."""
    for home in homes:
        document = asyncio.run(sign_record(Home(home), document, NOW))
    return document


def adopted(people: tuple[Path, Path], file: Path) -> None:
    """Both sign, as the program tells them to: the second gets the first one's record, and gives it back."""
    one, two = people
    first = trust(one, "import", file, *WHY)
    assert (first.code, first.values[-1]["state"]) == (7, "waits for a second person")
    second = trust(two, "add", "--record", first.values[-1]["file"])
    assert (second.code, second.values[-1]["state"]) == (0, "valid")
    back = trust(one, "add", "--record", second.values[-1]["file"])
    assert (back.code, back.values[-1]["record"]) == (0, first.values[-1]["record"])


def test_sc_112_what_a_body_takes_back_is_believed_no_longer_by_either(
    people: tuple[Path, Path], tmp_path: Path
) -> None:
    """HIRE-ANC-03: the newer set replaces the older one in both folders, though neither signs it alone."""
    adopted(people, written(tmp_path / "1.json", published(1, GOOD, BAD)))
    newer = written(tmp_path / "2.json", published(2, GOOD))
    waiting = trust(people[0], "import", newer, *WHY)
    assert waiting.code == 7
    assert believed(people[0]) == Anchors.of(GOOD.did, BAD.did), "nothing is replaced before enough have signed"
    assert trust(people[0], "remove", waiting.values[-1]["record"]).code == 0
    adopted(people, newer)
    for home in people:
        assert believed(home) == Anchors.of(GOOD.did)
        listed = trust(home, "list").values
        assert [one["set"]["number"] for one in listed if "set" in one] == [2]
        assert trust(home, "path", BAD.did, "--type", "X").code == 3
        assert trust(home, "diff", newer).values[0]["removed"] == []


def test_sc_112_an_older_set_that_lies_there_does_not_count(people: tuple[Path, Path], tmp_path: Path) -> None:
    """HIRE-ANC-03: nor does it come back when the newer one is removed."""
    one, two = people
    adopted(people, written(tmp_path / "1.json", published(1, GOOD, BAD)))
    first = trust(one, "import", written(tmp_path / "2.json", published(2, GOOD)), *WHY).values[-1]
    second = trust(two, "add", "--record", first["file"]).values[-1]
    shutil.copy(second["file"], first["file"])  # carried back by hand
    assert believed(one) == Anchors.of(GOOD.did)
    assert [one["state"] for one in trust(one, "list").values if "state" in one] == ["valid", "replaced"]
    assert trust(one, "remove", BODY.did).code == 0
    assert believed(one) == Anchors()


def test_sc_112_an_older_set_is_signed_by_nobody(alone: Path, people: tuple[Path, Path], tmp_path: Path) -> None:
    """HIRE-ANC-03: in a record, too, whoever has signed it before."""
    old, other = record_of(published(1, GOOD, BAD)), record_of(published(2, BAD), 2)
    assert trust(alone, "import", written(tmp_path / "2.json", published(2, GOOD)), *WHY).code == 0
    adopted(people, tmp_path / "2.json")
    for home, document in (
        (alone, old),
        (alone, signed_by(old, alone)),
        (alone, other),
        (people[0], signed_by(old, people[1])),
        (people[0], signed_by(old, *people)),
        (people[0], signed_by(other, *people)),
    ):
        before = files(home)
        assert trust(home, "add", "--record", written(tmp_path / "old.json", document)).error["code"] == "policy_denied"
        assert trust(home, "diff", tmp_path / "old.json").error["code"] == "policy_denied"
        assert files(home) == before


def test_sc_112_a_set_that_its_issuer_did_not_sign_counts_whoever_signed_it(
    alone: Path, people: tuple[Path, Path], tmp_path: Path
) -> None:
    """HIRE-ANC-03, HIRE-ANC-06: refused when it is to be signed, and where it lies in the folder all the same."""
    whole = published(1, GOOD)
    for number, spoilt in enumerate(
        (
            {name: value for name, value in whole.items() if name != "proof"} | {"number": 99},
            whole | {"anchors": [{"issuer": BAD.did}]},
        )
    ):
        record = record_of(spoilt, number)
        for home, document in ((alone, record), (people[1], signed_by(record, people[0]))):
            before = files(home)
            ran = trust(home, "add", "--record", written(tmp_path / "record.json", document))
            assert ran.error["code"] in ("proof_missing", "proof_invalid")
            assert files(home) == before
        (alone / "anchors").mkdir(exist_ok=True)
        file = written(alone / "anchors" / f"{digest_of(record)}.json", signed_by(record, alone))
        with pytest.raises(ConfigurationError, match="proof"):
            believed(alone)
        file.unlink()


async def test_sc_112_the_document_of_an_issuer_is_not_taken_from_the_first_who_signed(
    people: tuple[Path, Path], tmp_path: Path
) -> None:
    """HIRE-ANC-06: the second person's program asks the issuer itself; later nobody has to."""

    async def added(home: Path, document: JsonObject) -> Ran:
        file = written(tmp_path / "record.json", document)
        return await asyncio.to_thread(trust, home, "add", "--record", file)

    async with site() as here:
        did, method = here.did, f"{here.did}#{BODY.name}"
        here.serves(canonicalize(document_at(did, GOOD)))
        made_up = DidDocument(did, canonicalize(document_at(did, BODY)))
        whole = published(1, BAD, issuer=did, method=method)
        record = await asyncio.to_thread(signed_by, record_of(whole, 1, made_up), people[0])
        before = files(people[1])
        assert (await added(people[1], record)).error["code"] == "key_not_authorized"
        assert files(people[1]) == before

        here.serves(made_up.raw)
        whole = published(1, GOOD, issuer=did, method=method)
        file = written(tmp_path / "set.json", whole)
        await asyncio.to_thread(adopted, people, file)
    for home in people:
        assert believed(home) == Anchors.of(GOOD.did), "its issuer is not asked again"


def test_sc_112_what_a_record_adds_is_shown_before_it_is_signed(alone: Path, tmp_path: Path) -> None:
    """HIRE-ANC-07."""
    adopt = signed_by(record_of(published(1, GOOD)), alone)
    many = tuple(f"work-{number}-{'x' * 90}" for number in range(30))
    far = Anchor(issuer=BAD.did, types=("AuditedByCredential",), capabilities=many)
    alone_too = anchor_record(id=RECORD_ID.format(3), anchor=far, evidence="a rumour", added=NOW)
    for document, party in ((adopt, GOOD), (alone_too, BAD)):
        file = written(tmp_path / "record.json", document)
        compared = trust(alone, "diff", file)
        assert [one["issuer"] for one in compared.values[0]["added"]] == [party.did]
        spoken = run("trust", "add", "--record", file, "--home", alone)
        shown, _, signed = spoken.out.partition(": counts,")
        assert f"+ {party.did}" in shown
        assert party is GOOD or many[-1] in shown, "to the last of it"
        assert f"on the evidence: {document['evidence']}" in shown
        assert signed
        assert trust(alone, "add", "--record", file).values[0]["added"] == [], "it counts already"


def test_sc_112_a_record_given_back_with_fewer_signatures_takes_none_away(
    people: tuple[Path, Path], tmp_path: Path
) -> None:
    """HIRE-ANC-01."""
    one, two = people
    first = trust(one, "add", GOOD.did, *WHY)
    shutil.copy(first.values[-1]["file"], tmp_path / "once.json")
    twice = trust(two, "add", "--record", tmp_path / "once.json").values[-1]["file"]
    assert trust(one, "add", "--record", twice).code == 0
    trust(one, "add", "--record", tmp_path / "once.json")
    assert believed(one) == Anchors.of(GOOD.did)
