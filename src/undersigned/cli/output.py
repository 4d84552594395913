"""How commands speak: text for people, one JSON value per line for programs, exit codes for both.

Text that a peer sent is data: control characters are shown as escapes and never reach the terminal.

Source: protocol-spec/09-errors.md, table of exit codes
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click
import platformdirs
from rich.console import Console
from rich.text import Text

from undersigned.errors import ConfigurationError, UndersignedError

__all__ = ["Out", "command", "home_path", "pass_out", "plain"]

P = ParamSpec("P")
R = TypeVar("R")
INTERRUPTED: Final = 130


def plain(text: object, limit: int = 400) -> str:
    """`text` on one line, control characters escaped, at most `limit` characters."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


class Out:
    """Where a command writes."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def value(self, value: dict[str, Any]) -> None:
        """One JSON object on one line; only with `--json`."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def line(self, text: str = "", style: str = "") -> None:
        """A line for people; nothing with `--json`."""
        if not self.as_json:
            self.console.print(Text(text, style=style))

    def error(self, error: UndersignedError) -> None:
        """An error, on standard error for people, as an object for programs."""
        if self.as_json:
            self.value({"error": {"code": error.code, "message": error.message, "path": error.path}})
        else:
            self.errors.print(Text(f"error: {plain(error, 2000)}", style="bold red"))


def home_path(home: str | None) -> Path:
    """The state folder meant: `--home`, else `UNDERSIGNED_HOME`, else the user's data folder."""
    named = home or os.environ.get("UNDERSIGNED_HOME")
    return Path(named) if named else Path(platformdirs.user_data_dir("undersigned"))


def pass_out(function: Callable[..., R]) -> Callable[..., R]:
    """Gives the command its `Out` and the option `--json`."""

    @click.option("--json", "as_json", is_flag=True, help="Write JSON, one value per line.")
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> R:
        return function(Out(as_json), *args, **kwargs)

    return wrapped


def command(function: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., None]:
    """An asynchronous command: run to its end, its errors turned into messages and exit codes.

    The function returns its exit code; None is 0.
    """

    @functools.wraps(function)
    def wrapped(out: Out, *args: Any, **kwargs: Any) -> None:
        try:
            code = asyncio.run(function(out, *args, **kwargs))
        except UndersignedError as error:
            out.error(error)
            code = error.exit_code
        except KeyboardInterrupt:
            code = INTERRUPTED
        except OSError as exc:
            error = ConfigurationError("bad_configuration", f"{exc.filename or ''}: {exc.strerror or exc}")
            out.error(error)
            code = error.exit_code
        sys.exit(code or 0)

    return pass_out(wrapped)
