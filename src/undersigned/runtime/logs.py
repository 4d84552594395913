"""Logs: on standard error, and only what matters, unless the application has configured structlog itself.

A traceback is written without the values of its variables: among them may be a key, a challenge or a peer's text.
"""

from __future__ import annotations

import logging
import sys

import structlog

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
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
    )


configure_logs()
