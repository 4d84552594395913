"""The trust graph on disk: the same answers as in memory, one neighbourhood read, nothing lost by a kill."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib.resources import files
from pathlib import Path
from stat import S_IMODE
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from parties import Party
from support import ROOT, refuses
from trust_graphs import LATER, NOW, PAST, anchored, did, edge, view
from undersigned.errors import LedgerError, LedgerUnavailable
from undersigned.ledger import Admitted, TrustStore
from undersigned.ledger.trust_store import APPLICATION_ID, VERSION
from undersigned.trust import Anchor, Edge, EdgeQuery, Graph, Question, Viewpoint, answer, authority, reputation

KEYS = {name: Party(name).key for name in "rqabcdetxyz"}


def stored(*edges: Edge) -> list[Admitted]:
    return [Admitted(one, KEYS[one.source[-1]]) for one in edges]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrustStore]:
    with TrustStore(tmp_path / "trust.db") as opened:
        yield opened


def score(store: TrustStore, of: str = "t") -> str:
    return store.ask(reputation(did(of), "sbom", view("r"))).score


def test_nobody_else_may_read_what_is_made(tmp_path: Path) -> None:
    file = tmp_path / "made" / "trust.db"
    with TrustStore(file):
        assert [S_IMODE(one.stat().st_mode) for one in (file.parent, file)] == [0o700, 0o600]


def test_edges_are_there_after_the_store_is_opened_again(tmp_path: Path) -> None:
    edges = [
        edge("r", "a", weight="0.2", valid_from=NOW, valid_until=NOW),
        edge("a", "t", "accusation"),
        edge("a", "b", "authority", depth=3),
    ]
    with TrustStore(tmp_path / "trust.db") as store:
        assert store.admit(stored(*edges)) == 3
        assert store.admit(stored(*edges)) == 0, "shown again, it is the same edge"
    with TrustStore(tmp_path / "trust.db", read_only=True) as store:
        assert list(store.edges()) == sorted(edges, key=lambda one: one.digest)
        assert store.count == 3
        with pytest.raises(LedgerError):
            store.admit([])


def test_a_status_takes_an_edge_out_and_revoked_is_for_ever(store: TrustStore) -> None:
    """HIRE-TRU-03, HIRE-TRU-12."""
    first, last = edge("r", "a", weight="0.2"), edge("a", "t")
    store.admit(stored(first, last))
    assert score(store) == "0.2"
    before = store.version
    assert store.set_status(last.digest, "suspended")
    assert score(store) == "0"
    assert store.set_status(last.digest, "good")
    assert score(store) == "0.2"
    assert store.set_status(last.digest, "revoked")
    store.set_status(last.digest, "good")
    store.admit(stored(last))
    assert score(store) == "0", "who shows it again does not bring it back"
    assert store.version > before
    assert (store.revoked(last.digest), store.revoked(first.digest)) == (True, False)
    assert not store.set_status(edge("x", "y").digest, "revoked")
    assert store.forget(last.digest)
    assert not store.forget(last.digest)


def test_edges_are_admitted_in_place_of_others_and_with_what_became_of_some(store: TrustStore) -> None:
    first, last, other = edge("r", "a", weight="0.2"), edge("a", "t"), edge("r", "a", weight="0.5")
    store.admit(stored(first, last))
    assert store.admit(stored(other), forgetting=[first.digest]) == 1
    assert {one.digest for one in store.edges()} == {last.digest, other.digest}
    assert score(store) == "0.5"
    assert store.admit([], {last.digest: "suspended"}) == 0
    assert score(store) == "0"


def test_who_shares_a_key_is_known_by_signatures_alone(store: TrustStore) -> None:
    """HIRE-TRU-14: the store is told the key of a proof that verified, and nothing of what a document lists."""
    store.proved(did("c"), KEYS["b"])
    store.admit([Admitted(edge("r", "a"), KEYS["r"]), Admitted(edge("b", "a"), KEYS["b"])])
    assert score(store, "a") == "1"
    store.admit([Admitted(edge("r", "b", weight="0.5"), KEYS["r"])])
    accused = [Admitted(edge("r", "b", "accusation"), KEYS["r"])]
    store.admit(accused)
    assert score(store, "a") == "1", "no key in common"
    store.proved(did("a"), KEYS["b"])
    assert score(store, "a") == "0", "a has signed with the key that b signs with"
    store.admit([Admitted(edge("r", "c"), KEYS["r"])])
    assert score(store, "c") == "0", "so has c, before there was an edge of it"


def test_one_process_writes(tmp_path: Path, store: TrustStore) -> None:
    with pytest.raises(LedgerUnavailable):
        TrustStore(store.path)
    store.admit(stored(edge("r", "t", weight="0.2")))
    with TrustStore(store.path, read_only=True) as reader:
        assert score(reader) == "0.2"
    store.close()
    with TrustStore(store.path) as again:
        assert score(again) == "0.2"


def test_reading_makes_no_graph(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        TrustStore(tmp_path / "trust.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_is_refused_leaves_nothing_behind(store: TrustStore) -> None:
    first, wrong = edge("r", "t", weight="0.2"), replace(edge("r", "a"), weight=object())
    before = store.version
    with pytest.raises(LedgerError):
        store.admit(stored(first, wrong))
    assert (store.count, store.version) == (0, before)
    assert store.admit(stored(first)) == 1
    assert score(store) == "0.2"


def test_a_damaged_graph_is_found(tmp_path: Path) -> None:
    path = tmp_path / "trust.db"
    with TrustStore(path) as store:
        store.admit(stored(*(edge(f"n{i}x", "t") for i in range(500))))
        store.check()
        (root,) = store._db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'edge_by_target'").fetchone()
        (size,) = store._db.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    data[(root - 1) * size + 3 : (root - 1) * size + 5] = b"\xff\xff"
    path.write_bytes(data)
    with TrustStore(path, read_only=True) as store, pytest.raises(LedgerError) as caught:
        store.check()
    assert caught.value.code == "store_corrupt"


def test_a_reader_sees_that_another_has_written(store: TrustStore) -> None:
    """HIRE-TRU-12: and that nothing has changed, where nothing has."""
    edges = stored(edge("r", "t", weight="0.2"))
    with TrustStore(store.path, read_only=True) as reader:
        before = reader.state
        assert reader.state == before
        store.admit(edges)
        seen, version = reader.state, reader.version
        assert seen != before
        assert score(reader) == "0.2"
        store.admit(edges, {edges[0].edge.digest: "good"})
        assert (reader.state, reader.version) == (seen, version), "shown again, nothing is written"
        store.set_status(edges[0].edge.digest, "suspended")
        assert reader.state != seen
        assert score(reader) == "0"
        assert reader.ask(reputation(did("t"), "sbom", view("r")), without={edges[0].edge.digest}).missing


def test_what_is_known_not_to_count_is_left_out(store: TrustStore) -> None:
    edges = stored(edge("r", "t", weight="0.2"), edge("r", "a", weight="0.1"), edge("a", "t", weight="0.1"))
    store.admit(edges)
    question = reputation(did("t"), "sbom", view("r"))
    assert store.ask(question).score == "0.3"
    question = reputation(did("t"), "sbom", view("r"))
    assert store.ask(question, without={edges[0].edge.digest}).score == "0.1"


def test_credentials_with_a_status_are_kept_to_be_looked_up(store: TrustStore) -> None:
    """HIRE-TRU-24."""
    (one, other) = stored(edge("r", "a"), edge("a", "t"))
    store.admit([one._replace(raw=b"{}"), other])
    digests = [one.edge.digest, other.edge.digest]
    assert store.held(digests) == {one.edge.digest: b"{}"}
    assert store.held([]) == {}
    store.forget(one.edge.digest)
    assert store.held(digests) == {}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_graph_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    """Edges, keys and credentials are as they were, and so are the answers."""
    path = tmp_path / "trust.db"
    edges = stored(
        edge("r", "t", weight="0.2", valid_from=NOW, valid_until=NOW),
        edge("r", "t", weight="0.1", capability="sbom"),
        edge("r", "a", "accusation"),
        edge("a", "b", "authority", depth=3, status="suspended"),
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for number in range(1, version + 1):
            db.executescript(files("undersigned.ledger.schema").joinpath(f"trust_{number:04d}.sql").read_text("utf-8"))
        for one, key, _ in edges:
            row = tuple("" if value is None and place == 4 else value for place, value in enumerate(astuple(one)))
            db.execute("INSERT INTO edge VALUES (?,?,?,?,?,?,?,?,?,?,?)", row if version > 2 else astuple(one))
            assert key is not None
            db.execute("INSERT OR IGNORE INTO signer VALUES (?, ?)", (one.source, key.multikey))
        db.execute("INSERT INTO signer VALUES (?, ?)", (did("x"), KEYS["a"].multikey))
        if version > 1:
            db.execute("INSERT INTO credential VALUES (?, ?)", (edges[0].edge.digest, b"{}"))
        db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};")
    with refuses(LedgerError, "store_version"):
        TrustStore(path, read_only=True)
    with TrustStore(path) as store:
        assert set(store.edges()) == {one.edge for one in edges}
        assert score(store) == "0.2"
        found = store.ask(reputation(did("x"), "sbom", view("r")))
        assert found.dissent == (edges[2].edge,), "x has the key of a, which is accused"
        assert store.held([edges[0].edge.digest]) == ({} if version == 1 else {edges[0].edge.digest: b"{}"})
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_who_finds_a_new_file_can_read_it(tmp_path: Path) -> None:
    """It comes into its place whole, so a reader beside its writer never sees half of it."""
    path = tmp_path / "trust.db"
    (tmp_path / "trust.db.new").write_bytes(b"left by one that was killed")
    with TrustStore(path), TrustStore(path, read_only=True) as reader:
        assert reader.count == 0
    assert sorted(file.name for file in tmp_path.iterdir() if not file.name.endswith((".lock", "-wal", "-shm"))) == [
        "trust.db"
    ]


def test_it_is_durable_at_each_commit(store: TrustStore) -> None:
    db = store._db
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE x (y)")
    for read_only in (False, False, True):
        with pytest.raises(LedgerError) as caught:
            TrustStore(path, read_only=read_only)
        assert caught.value.code == "store_version", "and it holds no lock"
    (tmp_path / "text.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(LedgerError) as caught:
        TrustStore(tmp_path / "text.db", read_only=True)
    assert caught.value.code == "store_corrupt"


@pytest.mark.parametrize(
    ("application", "version", "known"),
    [(0, 0, True), (APPLICATION_ID, 0, True), (APPLICATION_ID, VERSION + 1, False), (0, VERSION, False), (1, 0, False)],
)
def test_a_graph_of_a_later_release_is_not_opened(tmp_path: Path, application: int, version: int, known: bool) -> None:
    """HIRE-SEC-03: and stays as it is; an empty file is nobody's."""
    path = tmp_path / "trust.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA application_id = {application}; PRAGMA user_version = {version};")
    if known:
        with TrustStore(path) as store:
            assert store.count == 0
        return
    before = path.read_bytes()
    for read_only in (False, True):
        with refuses(LedgerError, "store_version"):
            TrustStore(path, read_only=read_only)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    assert len(path.read_bytes()) == len(before)


def test_only_the_neighbourhood_is_read(store: TrustStore) -> None:
    """HIRE-TRU-11: ten thousand edges elsewhere are not touched; every look-up goes by an index."""
    far = [edge(f"n{i}x", f"n{i * 7 % 3000}y") for i in range(10_000)]
    near = [edge("r", "a", weight="0.2"), edge("a", "t")]
    store.admit(stored(*far, *near))
    found = store.ask(reputation(did("t"), "sbom", view("r")))
    assert (found.score, found.work.edges) == ("0.2", 2)
    plans: list[str] = []
    store._db.set_trace_callback(lambda text: plans.append(text) if text.startswith("SELECT") else None)
    store.ask(reputation(did("t"), "sbom", view("r")))
    store.ask(authority(did("t"), "X", "sbom", view("r")))
    store._db.set_trace_callback(None)
    assert len(plans) >= 4
    for text in plans:
        steps = [row[3] for row in store._db.execute(f"EXPLAIN QUERY PLAN {text}")]
        # What an inner query found is gone through, and so is a list that we gave.
        scans = [step for step in steps if step.startswith("SCAN") and not re.search(r"json_each|subquery", step)]
        assert not scans, (text, steps)


def test_who_is_accused_is_not_looked_at_any_further(store: TrustStore) -> None:
    """Its score is 0, whoever speaks for it: a crowd of admirers makes the question no dearer."""
    accusation = edge("r", "t", "accusation")
    store.admit(stored(edge("r", "a"), *(edge(f"n{i}a", "t") for i in range(500)), edge("a", "t")))
    assert store.ask(reputation(did("t"), "sbom", view("r"))).work.edges > 500
    store.admit(stored(accusation))
    found = store.ask(reputation(did("t"), "sbom", view("r", limit=5)))
    assert (found.verdict, found.score, found.dissent, found.work.edges) == ("known", "0", (accusation,), 1)


def test_names_are_learned_as_they_are_asked_for(store: TrustStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are remembered, answers are the same."""
    monkeypatch.setattr("undersigned.ledger.trust_names.MAX_NAMES", 2)
    store.admit(
        stored(*(edge("r", f"n{i}a", weight="0.1") for i in range(5)), *(edge(f"n{i}a", "t") for i in range(5)))
    )
    assert score(store) == "0.5"
    assert score(store, "nobody") == "0"
    store.admit(stored(edge("r", "t", weight="0.2")))
    assert score(store) == "0.7"


def test_no_more_than_one_too_many_is_read(store: TrustStore) -> None:
    store.admit(stored(*(edge(f"n{i}x", "t") for i in range(50))))
    assert len(store.read(EdgeQuery("target", (did("t"),), ("endorsement",), most=10))) == 11
    for number in range(50):
        store.proved(did(f"n{number}x"), KEYS["x"])
    assert len(store.read(EdgeQuery("key", (did("n0x"),), most=10))) == 11


@pytest.mark.parametrize("more", [0, 1, 2])
def test_what_is_left_out_makes_no_room_for_what_was_not_read(store: TrustStore, more: int) -> None:
    """HIRE-TRU-11: a part of what is there would be taken for all of it, and a chain or an accusation be missed."""
    every = [edge("r", f"a{number}", "authority", depth=0) for number in range(7 + more)]
    store.admit([Admitted(one, KEYS["r"]) for one in every])
    left_out = {one.digest for one in every[:2]}
    question = partial(authority, every[-1].target, "X", "sbom", view("r", limit=5))
    found = store.ask(question(), without=left_out)
    assert found == answer(question(), Graph(every[2:]).read)
    assert found.verdict == ("indeterminate" if more else "yes")


names = st.sampled_from("rqabcdet")
times = st.sampled_from([None, PAST, NOW, LATER])
edges = st.one_of(
    st.builds(edge, names, names, st.sampled_from(["endorsement", "performance", "accusation"]), st.just("0.3")),
    st.builds(
        lambda a, b, kind, about: edge(a, b, kind, "0.2", capability=about),
        names,
        names,
        st.sampled_from(["endorsement", "performance"]),
        st.sampled_from(["sbom", "tests", None]),
    ),
    st.builds(
        lambda a, b, first, last, status: edge(a, b, valid_from=first, valid_until=last, status=status),
        names,
        names,
        times,
        times,
        st.sampled_from(["good", "good", "suspended"]),
    ),
    st.builds(lambda a, b, depth: edge(a, b, "authority", depth=depth), names, names, st.integers(0, 4)),
)


OF_ONE = anchored(Anchor(issuer=did("q")), Anchor(issuer=did("r"), capabilities=("sbom",)))
"""One anchor is believed about one capability alone."""


@given(st.lists(edges, max_size=20, unique=True), st.sampled_from([view("r", "q"), OF_ONE]), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_store_answers_as_a_graph_in_memory(some: list[Edge], by: Viewpoint, shown: int) -> None:
    """Also from some edges that are not stored, and without some that are."""
    keys = {did(name): [key.multikey] for name, key in KEYS.items()}
    whole, part = Graph(some, keys), Graph(some[shown:], keys)
    with tempfile.TemporaryDirectory() as folder, TrustStore(Path(folder) / "trust.db") as store:
        for more, graph in ((some[:shown], whole), ((), whole)):
            store.admit(stored(*(one for one in some if one not in more)))
            for question in questions(by):
                assert store.ask(question(), more=more) == answer(question(), graph.read)
        for question in questions(by):
            without = {one.digest for one in some[:shown]}
            assert store.ask(question(), without=without) == answer(question(), part.read)


def questions(by: Viewpoint) -> Iterator[Callable[[], Question[Any]]]:
    for of, about in itertools.product("at", ("sbom", None)):
        yield partial(reputation, did(of), about, by)
        yield partial(authority, did(of), "X", about, by)


@given(st.lists(edges, max_size=20, unique=True))
@settings(max_examples=20, deadline=None)
def test_a_store_reads_as_a_graph_in_memory(some: list[Edge]) -> None:
    """Whatever is wanted: by either end, of one kind or several, about a capability, by somebody."""
    graph, dids = Graph(some), tuple(did(name) for name in "act")
    with tempfile.TemporaryDirectory() as folder, TrustStore(Path(folder) / "trust.db") as store:
        store.admit(stored(*some))
        for of, kinds, about, by in itertools.product(
            ("source", "target", "reached"),
            (("endorsement",), ("endorsement", "performance"), ("accusation",), ("accusation", "endorsement")),
            (None, "sbom", "nothing"),
            (None, (did("r"), did("b"))),
        ):
            wanted = EdgeQuery(of, dids, kinds, about, by, most=99)
            assert set(store.read(wanted)) == set(graph.read(wanted)), wanted
            if of != "reached":
                links = [store.read(wanted._replace(at=NOW)), graph.read(wanted._replace(at=NOW))]
                assert len({frozenset(one[1:] for one in found) for found in links}) == 1, wanted  # type: ignore[index]


WRITER = """
import sys
from pathlib import Path
from parties import Party
from trust_graphs import edge
from undersigned.ledger import Admitted, TrustStore
from undersigned.ledger.trust_store import APPLICATION_ID
key = Party("r").key
with TrustStore(Path(sys.argv[1])) as store:
    for number in range(100_000):
        store.admit([Admitted(edge("r", f"a{number}"), key), Admitted(edge("r", f"b{number}"), key)])
        print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    """Killed while it writes, three times over: what it said it had is there, and no half of a transaction."""
    path = tmp_path / "trust.db"
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        said = [int(next(writer.stdout)) for _ in range(20)][-1]
        writer.send_signal(signal.SIGKILL)
        writer.wait(timeout=30)
        said = max([said, *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        with TrustStore(path) as store:
            targets = {one.target for one in store.edges()}
            assert {did(f"{half}{number}") for half in "ab" for number in range(said + 1)} <= targets
            assert len(targets) % 2 == 0
            assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
