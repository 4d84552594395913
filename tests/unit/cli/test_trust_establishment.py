"""`trust import` of trust establishment documents: signed or pinned, replaced by newer ones, healed after a crash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parties import Party
from undersigned.cli import trust_import
from undersigned.credentials import schema_id
from undersigned.encoding import digest_of
from undersigned.ledger import TrustStore
from undersigned.runtime import Home, SystemClock
from undersigned.runtime.evidence import establishments
from undersigned.trust import record_config
from unit.cli.running import run
from unit.cli.test_trust import trust

NOW = SystemClock().now()
BODY, ACME, GLOBEX, LATER = (Party(name) for name in ("industry-body", "acme", "globex", "later"))
AUTHORITY = schema_id("AttestationAuthorityCredential")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "home", "--local", "--trust", BODY.did).code == 0
    return tmp_path / "home"


def document(version: int, *attesters: Party, **changes: Any) -> dict[str, Any]:
    return {
        "id": "32f54163-7166-48f1-93d8-ff217bdb0653",
        "author": BODY.did,
        "created": "2026-11-01T00:00:00Z",
        "validFrom": "2026-01-01T00:00:00Z",
        "version": version,
        "entries": {
            AUTHORITY: {one.did: {"mayAttest": "sbom", "depth": 0} for one in attesters},
            "https://example.com/others.schema.json": {BODY.did: {"pass_rate": 88}},
        },
    } | changes


def written(home: Path, made: dict[str, Any], by: Party | None = BODY) -> Path:
    signed = made if by is None else by.prove(made, record_config("eddsa-jcs-2022", by.method, NOW))
    path = home.parent / "document.json"
    path.write_text(json.dumps(signed))
    return path


def entitled(home: Path, party: Party) -> bool:
    return trust(home, "path", party.did, "--type", "EndorsementCredential", "--capability", "sbom").code == 0


def edges(home: Path) -> set[str]:
    with TrustStore(Home(home).trust, read_only=True) as store:
        return {edge.target for edge in store.edges()}


def test_a_signed_document_and_the_one_that_replaces_it(home: Path) -> None:
    """HIRE-TED-02, HIRE-TED-03, HIRE-TED-04."""
    file = written(home, document(1, ACME, GLOBEX))
    ran = trust(home, "import", file)
    (value,) = ran.values
    assert (ran.code, value["new"], value["gone"], value["version"]) == (0, 2, 0, 1)
    assert value["skipped"] == ["https://example.com/others.schema.json"]
    assert (entitled(home, ACME), entitled(home, GLOBEX)) == (True, True)
    (again,) = trust(home, "import", file).values
    assert (again["new"], again["gone"]) == (0, 0)
    assert "--authority-->" in run("trust", "import", file, "--home", home).out
    ran = trust(home, "diff", file)
    assert (ran.code, ran.error["code"], ran.error["path"]) == (4, "schema_violation", "/type")
    assert "expected a signed anchor set, or a record of an anchor" in ran.error["message"]
    # What would be held against a document that was kept is an accusation alone.
    kept = home / "kept.json"
    kept.write_bytes(ACME.document.raw)
    ran = trust(home, "import", file, "--did-document", kept)
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "it is for an accusation" in ran.error["message"]

    (value,) = trust(home, "import", written(home, document(2, GLOBEX))).values
    assert (value["new"], value["gone"]) == (1, 2)
    assert (entitled(home, ACME), entitled(home, GLOBEX)) == (False, True)
    for older in (document(1, ACME, GLOBEX), document(2, ACME)):
        ran = trust(home, "import", written(home, older))
        assert (ran.code, ran.error["code"]) == (3, "policy_denied")
    assert trust(home, "import", written(home, document(7, ACME, id="another"))).code == 0
    assert edges(home) == {ACME.did, GLOBEX.did}
    assert len(list((home / "establishments").iterdir())) == 2


def test_a_document_that_a_record_pins(home: Path) -> None:
    """HIRE-TED-02. Unsigned, it counts by its digest alone, and only for the anchor whose record names it."""
    made = document(1, ACME)
    file, digest = written(home, made, by=None), digest_of(made)
    ran = trust(home, "import", file)
    assert ran.error["code"] == "proof_missing"
    assert digest in ran.error["message"]
    assert trust(home, "add", GLOBEX.did, "--evidence", digest).code == 0
    assert trust(home, "import", file).error["code"] == "proof_missing", "named for another author"
    assert trust(home, "add", BODY.did, "--evidence", digest, "--until", "2026-01-02T00:00:00Z").code == 0
    assert trust(home, "import", file).error["code"] == "proof_missing", "that anchor has ended"
    assert not Home(home).trust.exists()
    assert trust(home, "add", BODY.did, "--evidence", digest).code == 0
    assert trust(home, "import", file).values[0]["new"] == 1
    assert entitled(home, ACME)
    other = written(home, document(2, ACME, GLOBEX), by=None)
    assert trust(home, "import", other).error["code"] == "proof_missing"


@pytest.mark.parametrize(
    "made",
    [
        document(1, ACME, author="nobody"),
        document(1, ACME, validUntil="2026-01-02T00:00:00Z"),
        document(1, ACME, entries={AUTHORITY: {ACME.did: {"mayAttest": "sbom"}}}),
        document(1, ACME, more=1),
    ],
)
def test_what_is_refused_changes_nothing(home: Path, made: dict[str, Any]) -> None:
    """HIRE-TED-01, HIRE-TED-03."""
    ran = trust(home, "import", written(home, made))
    assert ran.code in (3, 4)
    assert not Home(home).trust.exists()
    assert not (home / "establishments").exists()


def test_an_import_that_was_interrupted_is_put_right_by_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-TED-04. Killed before the graph was written, and after: nothing of the older version is left."""
    assert trust(home, "import", written(home, document(1, ACME))).code == 0

    class Killed(TrustStore):
        def admit(self, *_: object, **__: object) -> int:
            raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(establishments, "TrustStore", Killed)
        assert trust(home, "import", written(home, document(2, GLOBEX))).code != 0
    assert edges(home) == {ACME.did}
    (value,) = trust(home, "import", written(home, document(2, GLOBEX))).values
    assert (value["new"], value["gone"]) == (1, 1)
    assert edges(home) == {GLOBEX.did}

    unlink = Path.unlink

    def killed(path: Path, **options: Any) -> None:
        if path.suffix == ".json":
            raise OSError("killed")
        unlink(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed)
        assert trust(home, "import", written(home, document(3, ACME))).code != 0
    assert edges(home) == {ACME.did}
    assert trust(home, "import", written(home, document(4, GLOBEX))).code == 0
    assert edges(home) == {GLOBEX.did}
    assert len(list((home / "establishments").iterdir())) == 1


def test_of_two_imports_at_once_the_second_replaces_what_the_first_put_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-TED-04. It looked at what there was before it could write, and the other's edges stayed beside its own."""
    assert trust(home, "import", written(home, document(1, ACME))).code == 0
    other = json.loads(written(home, document(2, GLOBEX)).read_bytes())

    class Overtaken(TrustStore):
        def __init__(self, path: Path) -> None:
            patched.undo()
            documents = {BODY.did: BODY.document}
            establishments.import_establishment(Home(home), other, documents=documents, contracts=(), now=NOW)
            super().__init__(path)

    with monkeypatch.context() as patched:
        patched.setattr(establishments, "TrustStore", Overtaken)
        (value,) = trust(home, "import", written(home, document(3, LATER))).values
    assert (value["new"], value["gone"]) == (1, 1)
    assert edges(home) == {LATER.did}
    assert len(list((home / "establishments").iterdir())) == 1


def test_an_import_waits_for_who_writes_the_graph(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running peer keeps what it learned there, for a moment at a time, and the import has not failed by that."""
    held = TrustStore(Home(home).trust)

    async def released(seconds: float) -> None:
        held.close()

    with monkeypatch.context() as patched:
        patched.setattr(trust_import.asyncio, "sleep", released)
        assert trust(home, "import", written(home, document(1, ACME))).code == 0
    assert edges(home) == {ACME.did}
