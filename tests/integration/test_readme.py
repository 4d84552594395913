"""README and guide run as they are written: their consoles, their programs, a scope, in their order, in one folder."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from integration.archives import make_wheel
from integration.commands import LOADED_ANEW, Ended, Process, running
from integration.hires import free_ports
from support import ROOT
from undersigned.bridges.gate_rules import read_rules
from undersigned.bridges.mcp_rules import Rules
from undersigned.interop.expected import reasons
from undersigned.ledger import open_books
from undersigned.runtime import Configuration
from undersigned.scope import Labels, Scope
from unit.cli.running import run

# The first test that asks for what came of the pages waits for all of it: some twenty processes, one after the other.
pytestmark = pytest.mark.timeout(360)

README = ROOT / "README.md"
GUIDE = ROOT / "GUIDE.md"
PORTS = ("8101", "8102")
"""The ports that the README names, of Acme and of Globex; others are taken if these are in use."""
RUN_HERE = {
    README: ["console", "console", "python provider", "python hirer", "python blocking"],
    GUIDE: ["toml", "toml", "toml", "console", "console", "console"],
}


def settings(table: dict[str, Any]) -> Configuration:
    read = msgspec.convert(table, Configuration)
    read.policy.checked()
    return read


READERS = {"did": settings, "tool": Rules.from_toml, "label": Labels.from_toml, "rule": read_rules, "expected": reasons}
"""What reads a table, by a name in it that no other has."""


class Block(NamedTuple):
    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page that say what they are written in."""
    found = re.findall(r"^```(\w[^\n]*)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*pair) for pair in found]


def written() -> list[Block]:
    """Those of both pages, in the order in which they are read."""
    return [*blocks(README), *blocks(GUIDE)]


def text_of(language: str) -> str:
    (text,) = (block.text for block in written() if block.language == language)
    return text


def free(port: str) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", int(port))) != 0


@contextmanager
def ours_alone() -> Iterator[bool]:
    """Whether no other run of these tests on this machine, whoever started it, has the ports that the pages name."""
    shared = os.open(tempfile.gettempdir(), os.O_RDONLY)  # a file in there would be its maker's
    alone = True
    try:
        fcntl.flock(shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alone = False
    try:
        yield alone
    finally:
        os.close(shared)


class Run(NamedTuple):
    """What became of each part of the pages."""

    folder: Path
    consoles: list[tuple[str, Ended]]
    """Each command line that ends by itself, and how it ended."""
    provider: Ended
    hirer: Ended
    blocking: Ended
    scoped: Ended


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("readme")
    make_wheel(folder).rename(folder / "app.whl")
    with ours_alone() as alone:
        named = alone and all(map(free, PORTS))
        return told(folder, PORTS if named else tuple(map(str, free_ports(2))))


def told(folder: Path, ports: tuple[str, ...]) -> Run:
    """What became of all that the pages say, with these ports in place of theirs."""

    def here(text: str) -> str:
        for named, port in zip(PORTS, ports, strict=True):
            text = re.sub(rf"\b{named}\b|(?<=%3A){named}", port, text)
        return text

    def program(name: str) -> list[str]:
        (folder / f"{name}.py").write_text(here(text_of(f"python {name}")))
        return [sys.executable, f"{name}.py"]

    consoles: list[tuple[str, Ended]] = []
    with ExitStack() as serving:
        for text in (block.text for block in written() if block.language == "console"):
            lines = text.splitlines()
            assert all(line.startswith("$ undersigned ") for line in lines)
            for line in lines:
                words = shlex.split(here(line))[2:]
                if words[0] == "serve":
                    serving.enter_context(running([*LOADED_ANEW, *words], folder, "serving did:web:"))
                else:
                    consoles.append((line[2:], Process([*LOADED_ANEW, *words], folder).end()))
        scope, labels, budget = (block.text for block in written() if block.language == "toml")
        settings = folder / "acme" / "undersigned.toml"
        settings.write_text(budget + settings.read_text())
        (folder / "scope.toml").write_text(scope)
        assert Labels.from_toml(tomllib.loads(labels)).rules
        hire = next(shlex.split(here(line))[1:] for line, _ in consoles if line.startswith("undersigned hire"))
        scoped = Process([*LOADED_ANEW, *hire, "--scope", "scope.toml", "--json"], folder).end()
    provider = Process(program("provider"), folder)
    try:
        hirer = Process(program("hirer"), folder).end()
        blocking = Process(program("blocking"), folder).end()
    finally:
        ended = provider.end(signal.SIGINT)
    return Run(folder, consoles, ended, hirer, blocking, scoped)


def test_every_block_of_both_pages_runs_here() -> None:
    # test_hire_gates, test_subcontracts, test_content, test_guard, and below; the settings are read in
    # backends/test_artifacts.py
    elsewhere = [
        "python gated",
        "python visitor",
        "python subcontract",
        "python large",
        "toml artifacts",
        "python guarded",
        "python tested",
    ]
    shown = {page: [block.language for block in blocks(page)] for page in RUN_HERE}
    assert shown == {README: RUN_HERE[README], GUIDE: [*RUN_HERE[GUIDE], *elsewhere]}


def test_no_other_page_has_programs_that_nobody_runs() -> None:
    pages = [ROOT / "CONTRIBUTING.md", *(ROOT / "protocol-spec").rglob("*.md")]
    runs = ("python", "console", "sh", "bash", "shell")
    found = {(page.name, block.language) for page in pages for block in blocks(page)}
    assert [pair for pair in found if pair[1].split()[0] in runs] == []
    for page in pages:
        for block in blocks(page):
            if block.language == "toml":
                table = tomllib.loads(block.text)
                # A page shows a scope, labels, the rules of a gate, or expected failures.
                read = READERS.get(min(table.keys() & READERS.keys(), default=""), Scope.from_toml)
                assert read(table), page


def test_the_tests_of_ones_own(tmp_path: Path) -> None:
    """As pytest runs them where somebody copied them to."""
    (tmp_path / "test_mine.py").write_text(text_of("python tested"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_the_consoles(readme: Run) -> None:
    assert [(line.split()[1], ended.code) for line, ended in readme.consoles] == [
        ("init", 0),
        ("init", 0),
        ("hire", 0),
        ("export", 0),
        ("verify", 0),
        ("credentials", 0),
        ("credentials", 0),
        ("credentials", 0),
        ("credentials", 0),
        ("check", 0),
        ("trust", 0),
        ("trust", 0),
        ("trust", 0),
        ("trace", 0),
        ("trace", 0),
    ]
    said = {line.split()[1]: ended for line, ended in readme.consoles}
    assert not [ended.err for ended in said.values() if ended.err]
    assert "accepted; owed 4 EUR" in said["hire"].out
    assert (readme.folder / "out" / "sbom.cdx.json").is_file()
    assert "hire.zip" in said["export"].out
    assert "it holds (all 10 steps), up to the state closed" in said["verify"].out
    assert "by did:web:localhost%3A" in said["trust"].out, "the list, in which an anchor has who signed it"
    assert said["check"].out.count("are tied by proof") == 2
    _, kept, held, said_of_globex = (ended for line, ended in readme.consoles if line.split()[1] == "credentials")
    assert "it is renewed by this one" in kept.out
    assert " operates did:web:localhost%3A" in held.out
    assert "accredits did:web:localhost%3A" in said_of_globex.out


def test_the_scope(readme: Run) -> None:
    shown = [block.text for block in written() if block.language == "toml"]
    scope = Scope.from_toml(tomllib.loads(shown[0]))
    assert [grant.id for grant in scope.grants] == ["read-repo"]
    result = readme.scoped.result()
    assert result["price"] == "4 EUR"
    offers = [value["message"] for value in readme.scoped.values if value.get("type") == "Offer"]
    granted = offers[0]["document"]["terms"]["scope"]["grants"]
    assert sorted(grant["action"] for grant in granted) == ["artifact:read", "repo:read"]


async def test_the_budget(readme: Run) -> None:
    books = await open_books(f"sqlite://{readme.folder}/bookings.db")
    used = await books.usage("budget")
    await books.close()
    # The hire with a scope, and the two programs after it; midnight or the hour may have passed meanwhile.
    for unit, total in (("EUR", 12), ("count", 3)):
        assert sum(int(amount) for key, amount in used.items() if key.startswith(unit)) == total, used


def test_the_hirer_in_ten_lines(readme: Run) -> None:
    assert (readme.hirer.code, readme.hirer.err) == (0, "")
    words = readme.hirer.out.split()
    assert words[:5] == ["All", "is", "well.", "4", "EUR"]
    assert words[5].startswith("uEi")


def test_the_provider_in_ten_lines(readme: Run) -> None:
    """It served both, said nothing, and ended as any program does that is interrupted."""
    assert readme.provider.out == ""
    assert readme.provider.code == -signal.SIGINT
    assert readme.provider.err.splitlines()[0].startswith("Traceback")
    assert readme.provider.err.splitlines()[-1] == "KeyboardInterrupt"


def test_the_hirer_without_asyncio(readme: Run) -> None:
    assert (readme.blocking.code, readme.blocking.err) == (0, "")
    assert "owed 4 EUR" in readme.blocking.out
    assert "artifact summary.txt: 12 bytes" in readme.blocking.out


def test_what_the_programs_left_can_be_checked(readme: Run) -> None:
    for home in ("acme", "globex"):
        assert run("ledger", "fsck", "--home", readme.folder / home).code == 0
        listed = run("ledger", "list", "--home", readme.folder / home, "--json").values
        assert sorted(value["state"] for value in listed) == ["closed"] * 4 + ["withdrawn"]
        assert run("export", "--home", readme.folder / home, "--out", readme.folder / "last.zip", "--force").code == 0
        assert run("verify", readme.folder / "last.zip").code == 0


def test_the_table_of_exit_codes_is_the_one_of_the_command() -> None:
    said = " ".join(run("--help").out.split())
    listed = " ".join(README.read_text().split())
    for code, meaning in (
        ("0", "done, or yes"),
        ("1", "a defect of ours"),
        ("2", "usage or configuration"),
        ("3", "the answer is no"),
        ("4", "a check failed"),
        ("5", "the peer broke the protocol"),
        ("6", "unreachable or timed out"),
        ("7", "waits for a person, or in doubt"),
        ("8", "store failure"),
        ("130", "interrupted"),
    ):
        assert f"{code} {meaning}" in said
        assert f"{code} {meaning}" in listed
