"""How commands speak: one JSON value per line, exit codes, marks of local state, nothing that moves a terminal."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import ROOT
from undersigned.cli.interrupts import stop_signal
from undersigned.cli.output import Out, command, home_path, meeting
from undersigned.cli.words import WHOLE, counted, plain, typed
from undersigned.errors import CODES, ConfigurationError, UndersignedError
from unit.cli.running import environment, run


def called(function, as_json: bool, monkeypatch: pytest.MonkeyPatch, made=meeting) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command made of `function`."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit) as ended:
        made(function)(as_json=as_json)
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("code", CODES)
def test_every_error_ends_a_command_with_the_exit_code_of_its_line(code: str, monkeypatch) -> None:
    """HIRE-ERR: the table of codes is the table of exit codes."""

    async def fails(out: Out) -> None:
        raise UndersignedError(code, "what came\nwas not expected", path="/terms")

    ended, out, err = called(fails, True, monkeypatch)
    assert ended == CODES[code].exit_code
    assert json.loads(out) == {"error": {"code": code, "message": "what came\\nwas not expected", "path": "/terms"}}
    assert err == ""
    ended, out, err = called(fails, False, monkeypatch)
    assert ended == CODES[code].exit_code
    assert (out, err) == ("", f"error: what came\\nwas not expected at /terms  ({code})\n")


@pytest.mark.parametrize("code", CODES)
def test_where_no_peer_is_met_none_broke_the_protocol(code: str, monkeypatch) -> None:
    """A malformed file is a check that failed; its code says what is wrong with it."""

    async def fails(out: Out) -> None:
        raise UndersignedError(code, "not well-formed")

    ended, out, _ = called(fails, True, monkeypatch, made=command)
    assert ended == {5: 4}.get(CODES[code].exit_code, CODES[code].exit_code)
    assert json.loads(out)["error"]["code"] == code


@pytest.mark.parametrize("there", [True, False])
def test_a_command_runs_on_uvloop_where_that_is_installed(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tells(out: Out) -> None:
        out.value({"loop": type(asyncio.get_running_loop()).__module__.partition(".")[0]})

    if there:
        pytest.importorskip("uvloop")
    else:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    _, out, _ = called(tells, True, monkeypatch)
    assert json.loads(out) == {"loop": "uvloop" if there else "asyncio"}


@pytest.mark.parametrize("uvloop", [True, False])
def test_after_a_command_each_signal_does_again_what_it_did(uvloop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is closed kept those that it was told of, and heard none of them."""

    async def waits(_: Out) -> None:
        stop_signal()

    if uvloop:
        pytest.importorskip("uvloop")
    else:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert called(waits, False, monkeypatch) == (0, "", "")
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (3, 3), (4, 4)])
def test_an_answer_is_an_exit_code(answer: int | None, code: int, monkeypatch) -> None:
    async def answers(out: Out) -> int | None:
        return answer

    assert called(answers, False, monkeypatch) == (code, "", "")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_defect_is_exit_code_1_and_shows_where(as_json: bool, monkeypatch) -> None:
    """Only a defect of ours shows a traceback, and only on standard error."""

    async def breaks(out: Out) -> None:
        raise KeyError("nonsense")

    code, out, err = called(breaks, as_json, monkeypatch)
    assert code == 1
    assert "Traceback" in err
    assert "Traceback" not in out
    if as_json:
        assert json.loads(out)["error"]["code"] == "internal"
    else:
        assert err.startswith("error: a defect of ours")


def test_an_error_of_the_operating_system_is_one_of_configuration(tmp_path, monkeypatch) -> None:
    async def reads(out: Out) -> None:
        (tmp_path / "missing").read_bytes()

    code, out, err = called(reads, False, monkeypatch)
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path / 'missing'}: No such file or directory  (bad_configuration)\n"


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("can't start new thread"), "the system starts no more threads"),
    ],
)
def test_what_the_machine_lacks_is_no_defect(lacks: Exception, says: str, monkeypatch) -> None:
    async def takes(out: Out) -> None:
        raise lacks

    code, out, err = called(takes, False, monkeypatch)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {says}")
    assert err.endswith("(bad_configuration)\n")


@pytest.mark.parametrize("module", ["undersigned", "undersigned.cli"])
def test_with_too_few_descriptors_a_command_says_so(module: str) -> None:
    """With uvloop it began, broke in the middle, and left tracebacks and warnings."""
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)); "
    limited += f"runpy.run_module({module!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", limited, "discover", DID], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: Too many open files  (bad_configuration)\n"


def test_an_interrupt_is_exit_code_130(monkeypatch) -> None:
    async def interrupted(out: Out) -> None:
        raise KeyboardInterrupt

    assert called(interrupted, True, monkeypatch) == (130, "", "")


DID = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


@pytest.mark.parametrize(
    "command",
    [("discover", DID), ("discover", DID, "--json"), ("--help",), ("--version",), ("verify", "--help")],
    ids=["lines", "json", "help", "version", "help of a command"],
)
def test_a_reader_that_leaves_ends_the_command_quietly(command: tuple[str, ...]) -> None:
    """`undersigned ... | head -1`: no traceback, and not exit code 0 either, because not all was said."""
    read, write = os.pipe()
    os.close(read)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with os.fdopen(write, "wb") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "undersigned.cli", *command],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=env,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (130, b"")


def test_a_terminal_that_was_closed_is_a_reader_that_left() -> None:
    """What the system calls it is a fault of the device."""
    other, terminal = os.openpty()
    os.close(other)
    with os.fdopen(terminal, "wb") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "undersigned.cli", "discover", DID],
            stdout=closed,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (130, b"")


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        (("discover", DID), 8, b"error: standard output: No space left on device  (store_full)\n"),
        (("discover", DID, "--json"), 8, b"error: standard output: No space left on device  (store_full)\n"),
        (("nonsense", "--json"), 2, b"error: No such command 'nonsense'.  (bad_configuration)\n"),
        (("--help",), 8, b"error: standard output: No space left on device  (store_full)\n"),
        (("--version",), 8, b"error: standard output: No space left on device  (store_full)\n"),
        (("verify", "--help"), 8, b"error: standard output: No space left on device  (store_full)\n"),
        (
            ("contract", "show", "--json", "--help"),
            8,
            b"error: standard output: No space left on device  (store_full)\n",
        ),
    ],
    ids=["lines", "json", "usage", "help", "version", "help of a command", "help of a part"],
)
def test_an_output_that_takes_no_more_is_told_on_the_other(command: tuple[str, ...], code: int, error: bytes) -> None:
    """A command line that means nothing is that all the same."""
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "undersigned.cli", *command],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (code, error)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", [(), ("nonsense",), ("verify", "nowhere.zip"), ("discover", "foo")], ids=" ".join)
def test_an_error_that_cannot_be_told_is_an_exit_code(command: tuple[str, ...], buffered: bool) -> None:
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "undersigned.cli", *command],
            stdout=subprocess.PIPE,
            stderr=full,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "" if buffered else "1"},
            check=False,
        )
    assert (ran.returncode, ran.stdout) == (2, b"")


def test_what_is_told_beside_a_result_ends_nothing_where_it_cannot_be_told(tmp_path: Path) -> None:
    """A gate whose errors go to a full disk ended as it warned that its peer is not there yet."""
    assert run("init", tmp_path / "acme", "--local", "--port", 8109).code == 0
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "undersigned.cli", "keys", "show", "--home", str(tmp_path / "acme")],
            stdout=subprocess.PIPE,
            stderr=full,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            check=False,
        )
    assert (ran.returncode, json.loads(ran.stdout)["id"]) == (0, "did:web:localhost%3A8109")


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("command", [("discover", DID), ("verify", "nowhere.zip"), ("nonsense",)], ids=" ".join)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_as_the_null_device(
    closed: str, command: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """`undersigned ... >&-`, as some that start services do it: what is done, the rest that is said, and the exit code
    are as ever.
    """

    code, out, err = ran("", *command, *more)
    assert code == (0 if command[0] == "discover" else 2)
    assert out or err
    expected = code, b"" if ">&-" in closed.split() else out, b"" if "2>&-" in closed.split() else err
    assert ran(closed, *command, *more) == expected


@cache
def ran(streams: str, *command: str) -> tuple[int, bytes, bytes]:
    """The exit code of a command and what it says, with these redirections of a shell."""
    with tempfile.TemporaryDirectory() as empty:
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-m", "undersigned.cli", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            check=False,
        )
    return ended.returncode, ended.stdout, ended.stderr


def test_a_stream_that_is_closed_leaves_its_number_to_nothing_else(tmp_path: Path) -> None:
    """Else the next file that is opened had it, a ledger say, and whatever is written to it went there."""
    program = (
        "import os, sys\nsys.argv = ['undersigned', '--version']\nfrom undersigned.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "os.system('echo from a child; echo to its errors >&2')\n"
        "open('numbers', 'w').write(' '.join(str(one.fileno()) for one in (sys.stdin, sys.stdout, sys.stderr)))"
    )
    ran = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert ran.returncode == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"numbers": "0 1 2"}


def test_each_line_of_local_state_says_so(monkeypatch) -> None:
    """HIRE-DID-06, the exception: who uses local state is told in each line, in whatever form."""

    async def speaks(out: Out) -> None:
        out.local = True
        out.line("first")
        out.line("second", style="bold red")
        out.line()
        out.value({"kind": "first"})
        raise ConfigurationError("bad_configuration", "third")

    _, out, err = called(speaks, False, monkeypatch)
    assert out == "local | first\nlocal | second\n\n"
    assert err == "local | error: third  (bad_configuration)\n"
    _, out, _ = called(speaks, True, monkeypatch)
    assert [json.loads(line)["local"] for line in out.splitlines()] == [True, True]


def test_what_people_decide_by_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes it puts what matters behind the cut; of anything else a line has an end."""
    long = f"{'x' * 50_000} 9 EUR"

    async def speaks(out: Out) -> None:
        out.line(long, most=WHOLE)
        out.lines(f"{long}\n{long}", WHOLE)
        out.line(long)

    *whole, cut = called(speaks, False, monkeypatch)[1].splitlines()
    assert (whole, len(cut), cut[-1]) == ([long] * 3, 4000, "…")


def test_a_file_is_the_same_bytes_in_any_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note whose dash came out as an escape is one that nobody reads, and it is kept to be shown later."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    said = Out(as_json=False)
    said.line("before")
    said.file("\N{EM DASH} acme.example \N{LATIN SMALL LETTER U WITH DIAERESIS}\n")
    said.line("after")
    out.flush()
    assert out.buffer.getvalue() == "before\n\u2014 acme.example \u00fc\nafter\n".encode()


def test_a_document_of_others_stays_as_it_is(monkeypatch) -> None:
    async def shows(out: Out) -> None:
        out.local = True
        out.document({"id": "did:web:localhost%3A1"})

    assert called(shows, True, monkeypatch)[1] == '{"id": "did:web:localhost%3A1"}\n'


@given(st.text(max_size=300), st.integers(1, 200))
def test_plain_text_is_one_printable_line(text: str, limit: int) -> None:
    shown = plain(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert plain(shown, limit) == shown


@given(st.text(max_size=100))
def test_no_text_moves_the_terminal(text: str) -> None:
    """Whatever a peer put into a name: one line, no control character, and valid JSON that gives it back."""
    for as_json in (False, True):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace", write_through=True)
        before, sys.stdout = sys.stdout, stream
        try:
            out = Out(as_json)
            out.line(text)
            out.value({"text": text})
        finally:
            sys.stdout = before
        written = stream.buffer.getvalue().decode("ascii")
        assert written.count("\n") == 1
        assert written[:-1].isprintable()
        if as_json:
            assert json.loads(written) == {"text": text}


def test_numbers_of_things() -> None:
    assert [counted(n, "grant") for n in (0, 1, 2)] == ["0 grants", "1 grant", "2 grants"]
    assert [counted(n, "leaf", "leaves") for n in (1, 3)] == ["1 leaf", "3 leaves"]


def test_the_state_folder_is_the_option_then_the_variable_then_the_users(tmp_path) -> None:
    with environment(UNDERSIGNED_HOME=str(tmp_path / "variable"), XDG_DATA_HOME=str(tmp_path / "data")):
        assert home_path(str(tmp_path / "option")) == tmp_path / "option"
        assert home_path(None) == tmp_path / "variable"
    with environment(UNDERSIGNED_HOME=None, XDG_DATA_HOME=str(tmp_path / "data")):
        assert home_path(None).name == "undersigned"
    with pytest.raises(ConfigurationError, match="a name that can be printed"):
        home_path(os.fsdecode(b"a\xff"))


def test_an_empty_name_is_no_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--home "$ACME"` without that variable would act as somebody else, with other keys."""
    monkeypatch.setenv("UNDERSIGNED_HOME", str(tmp_path / "variable"))
    for arguments in (["keys", "list", "--home", ""], ["init", "", "--local"]):
        assert run(*arguments).code == 2, arguments
    assert not (tmp_path / "variable").exists()


def test_a_command_to_type_names_the_program_as_it_is_found(tmp_path, monkeypatch) -> None:
    """After `make demo` the program is at .venv/bin/undersigned, which is on nobody's path."""
    monkeypatch.setattr(sys, "argv", [".venv/bin/undersigned", "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert typed("serve") == ".venv/bin/undersigned serve"
    (tmp_path / "undersigned").write_text("#!/bin/sh\n")
    (tmp_path / "undersigned").chmod(0o755)
    assert typed("serve") == "undersigned serve"


@given(st.lists(st.text(st.characters(exclude_characters="\0")), max_size=3))
def test_a_command_to_type_is_read_by_a_shell_as_it_was_meant(values: list[str]) -> None:
    """A folder with a space in it, and what a peer put into a name: each is one word, and none is a command."""
    command = " ".join(["serve", *["{}"] * len(values)])
    assert shlex.split(typed(command, *values)) == ["undersigned", "serve", *values]


def test_a_program_in_a_folder_with_a_space_can_be_typed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["my tools/undersigned", "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shlex.split(typed("serve")) == ["my tools/undersigned", "serve"]


def test_names_that_are_not_text_are_an_error_and_no_defect() -> None:
    """A file name on the command line may be any bytes."""
    odd = os.fsdecode(b"\xff\xfe.zip")
    ran = run("verify", odd)
    assert ran.code == 2
    assert "udcff" in ran.err
    assert run("verify", odd, "--json").error["code"] == "bad_configuration"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("discover", "N" * 5000), "bad_configuration"),
        (("verify", "N" * 5000), "bad_configuration"),
        (("ledger", "list", "--home", "N" * 5000), "bad_configuration"),
        (("N" * 5000,), "bad_configuration"),
        (("verify", f"--{'n' * 5000}"), "bad_configuration"),
    ],
    ids=["DID", "file", "folder", "command", "option"],
)
def test_nonsense_without_an_end_is_told_in_short(words: tuple[str, ...], code: str) -> None:
    """What is wrong with it, and the code, stood behind all of it or were cut off."""
    for ran in (run(*words), run(*words, "--json")):
        assert ran.code == 2
        said = ran.out + ran.err
        assert len(said) < 600
        assert re.search(r"\(50\d\d characters\)", said)
    assert run(*words, "--json").error["code"] == code
    assert len(run("verify", f"{'folder/' * 60}pack.zip").err) > 420, "a path is told whole"
