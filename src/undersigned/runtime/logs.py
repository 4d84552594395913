"""Logs: on standard error, and only what matters, unless the application has configured structlog itself.

A traceback is written without the values of its variables: among them may be a key, a challenge or a peer's text.
What a stranger chose, such as a path, is in many lines: what is not printable in it is escaped, for a terminal obeys
some of it, and shows the rest in another order than it stands.
"""

from __future__ import annotations

import logging
import sys
from io import StringIO
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

__all__ = ["configure_logs"]


def configure_logs(level: int = logging.WARNING, *, force: bool = False) -> None:
    """Sends logs from `level` on to standard error. Without `force` an application's own configuration stays."""
    if structlog.is_configured() and not force:
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _escaped_values,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback),
        ],
    )


def _escaped(text: str) -> str:
    """`text` with escapes for what is not printable, its line breaks left."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _escaped_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # One with a line break or a blank is written by its `repr`, which escapes these; one without is written as it is.
    return {name: _escaped(value) if isinstance(value, str) else value for name, value in event.items()}


def _traceback(to: TextIO, error: ExcInfo) -> None:
    held = StringIO()
    structlog.dev.plain_traceback(held, error)
    to.write(_escaped(held.getvalue()))


configure_logs()
