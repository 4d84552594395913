"""Files of SQLite: no process opens one past SQLite, and so nobody's lock is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from integration.commands import serving, undersigned
from integration.test_cli import Companies
from support import ROOT
from trust_graphs import edge
from undersigned.ledger import Admitted, TrustStore

pytestmark = [pytest.mark.timeout(90)]

WRITES = """
import sys
from pathlib import Path
from trust_graphs import edge
from undersigned.ledger import Admitted, TrustStore

with TrustStore(Path(sys.argv[1])) as store:
    store.admit(Admitted(edge("r", f"b{sys.argv[2]}x{number}"), None) for number in range(300))
    print(store.version)
"""


def elsewhere(*arguments: object, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=True)


def test_a_reader_sees_what_another_process_writes_after_its_own_wrote(tmp_path: Path) -> None:
    """HIRE-TRU-12: a peer's short write takes nothing from its long reader, whose log is there while it reads."""
    path = tmp_path / "trust.db"
    with TrustStore(path) as store:
        store.admit([Admitted(edge("r", "a"), None)])
    with TrustStore(path, read_only=True) as reader:
        for number in range(4):
            with TrustStore(path) as store:
                store.admit([Admitted(edge("r", f"a{number}"), None)])
            version = int(elsewhere("-c", WRITES, path, number).stdout)
            assert path.with_name("trust.db-wal").exists(), "the last reader is still there"
            assert reader.version == version
            assert reader.count == 1 + (number + 1) * 301


def test_no_database_is_opened_past_sqlite(tmp_path: Path) -> None:
    """A hire between two daemons, gates' books, a check, an issued credential, and all stores opened again."""
    assert elsewhere("-m", "integration.opened", tmp_path).stdout.split("\n") == ["hired", ""]


def test_who_cannot_read_the_trust_graph_is_told_that_and_what_to_do(tmp_path: Path) -> None:
    """It is a failure of the store, not an answer of the policy."""
    companies = Companies(tmp_path)
    (companies.acme / "trust.db").write_bytes(b"no database" * 1000)
    with serving(companies.globex):
        ended = undersigned(
            *("hire", companies.provider, "--home", companies.acme, "--task", "sbom", "--json"),
            *("--input", f"artifact={companies.wheel}"),
            folder=tmp_path,
        )
    assert (ended.code, ended.error["code"]) == (8, "store_corrupt")
    assert "trust.db" in ended.error["message"]
    assert "trust import" in ended.error["message"]
    assert "ledger" not in ended.error["message"]
