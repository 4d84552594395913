"""The command itself: its help, its version, and what is wrong on a command line before any command runs."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

from support import ROOT
from undersigned import __version__
from undersigned.cli import _COMMANDS, _group
from unit.cli.running import run


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in _COMMANDS:
        command = _group.get_command(click.Context(_group), name)
        assert command is not None
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.commands]
    return found


COMMANDS = every_command()
GROUPS = {
    (n,)
    for n in (
        "contract",
        "credentials",
        "decision",
        "keys",
        "ledger",
        "offer",
        "policy",
        "registry",
        "trust",
        "witness",
    )
}
LEAVES = [path for path in COMMANDS if path not in GROUPS]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(path: tuple[str, ...], option: str) -> None:
    ran = run(*path, option)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: undersigned {' '.join(path)} [OPTIONS]")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    command: click.Command | None = _group
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    assert command.help
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert {option.name: option.help for option in options if not option.help} == {}
    assert "--json" in [name for option in options for name in option.opts]


def test_the_overview_lists_every_command_and_exit_code() -> None:
    ran = run("--help")
    assert ran.code == 0
    for name in _COMMANDS:
        assert re.search(rf"^  {name} ", ran.out, re.MULTILINE)
    said = " ".join(ran.out.split())
    for code in ("0 done", "1 a defect", "2 usage", "3 the answer is no", "4 a check failed", "5 the peer broke"):
        assert code in said
    for code in ("6 unreachable", "7 waits for a person", "8 store failure", "130 interrupted"):
        assert code in said


def test_the_readme_names_every_command() -> None:
    table = "\n".join(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `"))
    assert [name for name in _COMMANDS if f"`{name}" not in table] == []


def said_by(program: str) -> str:
    """What a program says in a process of its own."""
    environment = {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def test_help_does_not_load_the_libraries() -> None:
    """The overview is quick: no command is imported for it."""
    program = (
        "import sys\nsys.argv = ['undersigned', '--help']\nfrom undersigned.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'aiohttp', 'cryptography', 'rich', 'pyld', 'nacl'} & set(sys.modules)))"
    )
    assert said_by(program).splitlines()[-1] == "[]"


def test_what_a_command_loads_is_not_looked_through_for_garbage() -> None:
    """Neither while it is loaded nor later: it stays. What comes after it is looked through as ever."""
    program = (
        "import gc, sys\nrounds = []\ngc.callbacks.append(lambda phase, about: rounds.append(phase))\n"
        "from undersigned.cli import _group\nbefore = len(rounds)\n"
        "_group.get_command(None, 'hire')\nprint(len(rounds) - before, gc.isenabled(), gc.get_freeze_count() > 100_000)"
    )
    assert said_by(program) == "0 True True\n"


def test_version() -> None:
    assert run("--version").out == f"undersigned, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("--nonsense",), "No such option"),
        (("hire",), "Missing argument 'DID'"),
        (("rule", "x"), "Choose from: for_hirer, for_provider, divided"),
        (("hire", "did:web:a.example"), "Missing option '--task'"),
        (("hire", "did:web:a.example", "more", "--task", "sbom"), "unexpected extra argument"),
        (("hire", "did:web:a.example", "--task", "sbom", "--wait", "0"), "--wait"),
        (("hire", "did:web:a.example", "--task", "sbom", "--wait", "soon"), "--wait"),
        (("hire", "did:web:a.example", "--task", "sbom", "--wait", "nan"), "expected a number, got nan"),
        (("hire", "did:web:a.example", "--task", "sbom", "--out", ""), "expected the name of a folder, got ''"),
        (("spawn", "-n", "1", "--out", ""), "expected the name of a folder, got ''"),
        (("init", "x", "--port", "70000"), "--port"),
        (("init", "x", "--port", "0"), "--port"),
        (("init", "x", "--port", "http"), "--port"),
        (("init", "x", "--key", "RSA"), "--key"),
        (("keys", "nonsense"), "No such command"),
        (("hier",), "No such command 'hier'. (Did you mean 'hire'"),
        (("zzz",), "No such command 'zzz'."),
        (("keys", "--home", "x"), "--home stands after the command: undersigned keys COMMAND --home …"),
        (("--home", "x", "serve"), "--home stands after the command: undersigned COMMAND --home …"),
        (("keys", "--nonsense"), "No such option"),
        (("keys", "show", "nobody"), "is not one of"),
        (("contract", "suspend", "X", "--reason", "nonsense"), "is not one of 'revoked', "),
        (("contract", "revoke", "X"), "Missing option '--cause'"),  # by default it accused the other side of a lost key
        (("contract", "revoke", "X", "--cause", "nonsense"), "is not one of 'breach', "),
        (("contract", "revoke", "X", "--cause", "parent"), "is not one of 'breach', "),  # the peer says it by itself
        (("hire", "X", "--task", "x", "--settlement", "nonsense"), "is not one of 'none', 'invoice', 'manual', "),
        (("ledger", "show"), "Missing argument 'ENGAGEMENT'"),
        (("verify",), "Missing argument 'PACK'"),
        (("export", "--out", "."), "is a directory"),
        (("export", "--out", "-"), "no standard input or output"),
        (("export", "--page", "-"), "no standard input or output"),
        (("verify", "-"), "no standard input or output"),
        (("verify", ""), "expected the name of a file, got ''"),
        (("export", "--out", ""), "expected the name of a file, got ''"),
        (("trace", "--pack", ""), "expected the name of a file, got ''"),
        (("verify", "--page", "-"), "no standard input or output"),
        (("judge", "-", "passed", "--out", "x"), "no standard input or output"),
        (("demo", "--artifact", "."), "is a directory"),
        (("demo", "--dir", __file__), "is a file"),
        (("serve", "now"), "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...], says: str) -> None:
    for_people = run(*arguments)
    assert for_people.code == 2
    assert for_people.out == ""
    assert says in for_people.err
    assert "Usage: undersigned" in for_people.err
    assert for_people.err.endswith("  (bad_configuration)\n")
    for_programs = run(*arguments, "--json")
    assert for_programs.code == 2
    assert for_programs.err == ""
    assert for_programs.error["code"] == "bad_configuration"
    assert says in for_programs.error["message"]


@pytest.mark.parametrize("path", [(), ("keys",), ("ledger",), ("credentials",)], ids=" ".join)
def test_a_group_alone_shows_its_commands(path: tuple[str, ...]) -> None:
    ran = run(*path)
    assert ran.code == 2
    assert "Commands:" in ran.err
    assert "bad_configuration" not in ran.err
