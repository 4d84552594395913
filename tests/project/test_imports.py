"""`import undersigned` stays light, and the core neither reads a clock nor draws a random number."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import ROOT

SOURCE = ROOT / "src" / "undersigned"

HEAVY = ("aiohttp", "websockets", "pyld", "pyoxigraph", "transitions", "structlog", "rich")

# `protocol` and everything under it, evidence and bridges.
CORE = (
    "errors.py",
    *("encoding", "jsonld", "keys", "did", "proof", "scope", "transparency", "credentials", "contract"),
    *("attestation", "trust", "messages", "protocol", "evidence", "bridges"),
)

# What asks the machine for the time, or for chance. The core gets both as arguments.
IMPURE = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "sleep"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
    ("os", "urandom"),
    ("os", "getrandom"),
    ("os", "environ"),
    ("os", "getenv"),
}
IMPURE_NAMES = {name for _, name in IMPURE} - {"now", "time", "today", "sleep"} | {"open"}


def core_files() -> Iterator[Path]:
    for name in CORE:
        path = SOURCE / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def modules_after(statement: str) -> list[str]:
    """The names of the modules that a fresh interpreter has after `statement` and had not before."""
    code = (
        f"import sys, json; before = set(sys.modules); {statement}; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_import_loads_only_the_standard_library_and_msgspec() -> None:
    roots = {name.split(".")[0] for name in modules_after("import undersigned")}
    assert not roots & set(HEAVY)
    assert roots - set(sys.stdlib_module_names) <= {"undersigned", "msgspec"}


@pytest.mark.parametrize("command", ["hire", "serving", "evidence"])
def test_a_command_begins_without_the_general_json_ld_processor(command: str) -> None:
    """With what it brings along it is a sixth of the start; whoever meets a document that takes it loads it then."""
    asked = "from undersigned.jsonld import CONTEXTS, expand; expand({'@context': next(iter(CONTEXTS))})"
    heavy = "{'pyld', 'requests', 'lxml'} & set(sys.modules)"
    assert "pyld" in modules_after(f"import undersigned.cli.{command}; assert not {heavy}, {heavy}; {asked}")


def test_who_serves_has_loaded_what_a_document_needs() -> None:
    """The first that needs it would have all wait for it."""
    assert "pyld" in modules_after("from undersigned import Peer; Peer.settle_down()")


def test_the_guard_sees_a_heavy_import() -> None:
    """The guard above can fail: the same look finds a library that is imported."""
    assert "aiohttp" in {name.split(".")[0] for name in modules_after("import undersigned, aiohttp")}


def impure(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            base = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if (base, node.attr) in IMPURE:
                yield node.lineno, f"{base}.{node.attr}"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in IMPURE_NAMES:
            yield node.lineno, node.id


@pytest.mark.parametrize("path", list(core_files()), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_core_is_told_the_time_and_the_chance(path: Path) -> None:
    found = [f"{path.name}:{line} uses {what}" for line, what in impure(ast.parse(path.read_text()))]
    if path.parent.name == "jsonld":
        # The bundled context tables are files of the package itself, read once when it is imported.
        found = [line for line in found if not line.endswith(" open")]
    assert not found


@pytest.mark.parametrize(
    "code",
    ["datetime.datetime.now()", "datetime.now(UTC)", "time.time()", "uuid.uuid4()", "uuid4()", "os.urandom(8)"],
)
def test_the_look_for_impure_calls_finds_them(code: str) -> None:
    assert list(impure(ast.parse(code)))
