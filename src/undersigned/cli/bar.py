"""A bar on a terminal, for what takes long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .output import Out

__all__ = ["bar"]


@contextmanager
def bar(out: Out, what: str) -> Generator[Callable[[int, int], None]]:
    """Told how many of how many, it shows people on a terminal how far it is."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    quiet = out.as_json or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as shown:
        task = shown.add_task(what, total=None)
        yield lambda at, of: shown.update(task, completed=at, total=of)
