"""The command `undersigned`. Its commands are loaded when they are called, so that `--help` is quick."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

import click

from undersigned import __version__

from .interrupts import INTERRUPTED, end_quietly
from .listing import CommandGroup
from .words import brief

__all__ = ["main"]

_COMMANDS = {
    "demo": ("demo", "demo", "Two companies, two processes, one hire: from the first message to the evidence."),
    "init": ("init", "init", "Make a state folder: keys, DIDs, a membership credential, configuration."),
    "serve": ("serving", "serve", "Run the peer: listen, answer, work, go on with what is unfinished."),
    "discover": ("discovery", "discover", "What a DID publishes: its keys, where it listens, what it does."),
    "check": ("check", "check", "Would our policy let us work with this agent, for this task, now?"),
    "hire": ("hire", "hire", "Hire an agent: meet, judge, agree, have it done, check it, close the books."),
    "contract": (
        "contract",
        "contract",
        "A contract while it is performed: show, suspend, resume, amend, release, revoke, dispute and more.",
    ),
    "offer": ("offer", "offer", "Terms and changes that wait for people: list, show, approve, refuse, withdraw."),
    "gate": ("gate", "gate", "A gate in front of a server of ours: only what a contract allows gets through."),
    "watch": ("serving", "watch", "Follow an engagement in the ledger, from another terminal."),
    "mcp-gate": ("mcp_gate", "mcp_gate", "Let hired agents use an MCP server, as far as their contracts go."),
    "trust": ("trust_import", "trust", "Whom we believe about what: anchors, and the graph of what others say."),
    "policy": ("policy", "policy", "What our policy demands in plain words, and what it would say to a peer."),
    "registry": ("registry", "registry", "A small trust registry (TRQP) over a file, for others to ask."),
    "witness": ("witness", "witness", "Watch the logs of others as a witness, or have our own watched."),
    "decision": (
        "decision",
        "decision",
        "What was decided about others, why, and whether it comes out the same again.",
    ),
    "trace": (
        "trace",
        "trace_",
        "Where is an artifact from? Through statements and contracts to whoever was believed.",
    ),
    "history": ("history", "history_", "What an agent did: artifacts, statements, policies, refusals."),
    "verify": ("evidence", "verify", "Check an evidence pack, offline."),
    "export": ("export", "export", "Write the evidence pack of an engagement."),
    "judge": ("evidence", "judge", "State, as the verifier that a contract names, whether the work is accepted."),
    "rule": ("evidence", "rule", "Rule, as the arbiter that a contract names, on a dispute: what is owed."),
    "tamper": ("evidence", "tamper", "Make a pack that must not verify, to try out a verifier."),
    "keys": ("keys", "keys", "Show and rotate the keys of the state folder."),
    "credentials": (
        "credentials",
        "credentials",
        "Issue, list, show and withdraw what we say of others; keep what they say of us.",
    ),
    "spawn": ("spawn", "spawn", "Give processes identities of minutes, withdrawn when it ends."),
    "conform": (
        "conform",
        "conform",
        "Hold an implementation against the specification, from outside.",
    ),
    "interop": ("interop", "interop", "Have implementations hire each other: every pair, in both roles."),
    "ledger": ("forks", "ledger", "Look at the ledger: engagements, journals, the log, its proofs and checks."),
}


def _loaded(name: str) -> ModuleType:
    """The module of a command. What is loaded with it stays until the end, so the garbage collector looks at it neither
    meanwhile nor later, nor once more at the end: all that is a quarter of the time of a short command.
    """
    if (known := sys.modules.get(name)) is not None:
        return known
    collects = gc.isenabled()
    gc.disable()
    try:
        module = import_module(name)
        gc.freeze()
    finally:
        if collects:
            gc.enable()
    return module


@contextmanager
def _help_written() -> Generator[None]:
    """Commands tell by themselves what went wrong. What comes as far as this is help or the version, not written."""
    try:
        yield
    except OSError as exc:
        from .output import help_refused

        raise click.exceptions.Exit(help_refused(exc, as_json="--json" in sys.argv)) from exc


class _Commands(CommandGroup):
    """The group of all commands; one is imported when it is asked for."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        with _help_written():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _help_written():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = _COMMANDS.get(cmd_name)
        if found is None:
            return None
        module, name, _ = found
        return getattr(_loaded(f"undersigned.cli.{module}"), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which knows nothing like a name where no command is imported yet."""
        name = args[0]
        if not (name in _COMMANDS or name.startswith("-") or ctx.resilient_parsing):
            from difflib import get_close_matches

            near = " or ".join(map(repr, get_close_matches(name, _COMMANDS)))
            ctx.fail(f"No such command {name!r}." + (f" (Did you mean {near}?)" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="undersigned")
def _group() -> None:
    """Agents of different organisations hire each other.

    New here? 'undersigned demo' shows the whole story on this machine. Every command has --help, and those that answer
    have --json.

    Exit codes: 0 done, or yes; 1 a defect of ours, a case of 'policy test' that fails, or a replay that differs;
    2 usage or configuration; 3 the answer is no; 4 a check failed, or the state does not allow what was asked for;
    5 the peer broke the protocol; 6 unreachable or timed out; 7 waits for a person, or in doubt; 8 store failure;
    130 interrupted.
    """


def _open_closed_streams() -> None:
    """Each standard stream that was closed before we began is the null device from now on: a command is done, and
    ends, as if what it says were thrown away.

    In the order of their numbers: the system gives the lowest that is free, so that each gets its own, and no ledger or
    socket of ours gets it, to which whatever writes to that number would write.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  (open until we end)
            os.set_inheritable(stream.fileno(), True)  # as the others are: programs that we start have it too
            setattr(sys, name, stream)


def _let_go_of_errors() -> None:
    """What standard error did not take is not tried again when Python ends, which would be another exit code."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def main() -> None:
    """Entry point of the command."""
    end_quietly()
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A locale that cannot write a character is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(_code())
    finally:
        _let_go_of_errors()


def _said(exc: click.ClickException) -> str:
    """On one line, as every error is; click has a list of choices below it."""
    return exc.format_message().replace("\n\t", " ")


def _with_code(exc: click.ClickException) -> click.ClickException:
    """What is wrong with a command line, in brief and with its code, as every error is told."""
    if isinstance(exc, click.UsageError) and not isinstance(exc, click.exceptions.NoArgsIsHelpError):
        return click.UsageError(f"{brief(_said(exc))}  (bad_configuration)", exc.ctx)
    return exc


def _code() -> int:
    """Does what the command line says; the exit code."""
    try:
        return _group.main(prog_name="undersigned", standalone_mode=False)
    except click.ClickException as exc:
        if "--json" in sys.argv and not isinstance(exc, click.exceptions.NoArgsIsHelpError):
            from undersigned.errors import ConfigurationError

            from .output import Out, told

            told(Out(as_json=True), ConfigurationError("bad_configuration", _said(exc)))
        else:
            with suppress(OSError):  # nobody can be told; the exit code says it
                _with_code(exc).show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
