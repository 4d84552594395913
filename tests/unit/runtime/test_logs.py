"""What is logged is read on a terminal, and much of it was chosen by a stranger."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from undersigned.runtime.logs import configure_logs

pytestmark = pytest.mark.usefixtures("logs_as_they_come")
CHOSEN = "/\x1b[2J\x9b31m\u202egnp.exe\u2028\x07\udcff"


@pytest.fixture
def _ours() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("_ours")
@pytest.mark.parametrize("around", ["{}", "a path {}", "{}\n2026-01-01 [error] forged"])
def test_sc_99_no_terminal_obeys_a_line(around: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether structlog writes a value as it is, as most without a blank, or quotes it."""
    configure_logs(logging.INFO, force=True)
    log = structlog.get_logger()
    log.warning("request refused", path=around.format(CHOSEN))
    try:
        raise ValueError(around.format(CHOSEN))
    except ValueError:
        log.exception("a request was not answered", path="/")
    first, *rest = capsys.readouterr().err.splitlines()
    assert "request refused" in first
    assert "a request was not answered" in rest[0]
    assert "\\x1b[2J" in first
    for line in (first, *rest):
        assert line.isprintable(), ascii(line)


@pytest.mark.usefixtures("_ours")
def test_what_is_printable_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(logging.INFO, force=True)
    structlog.get_logger().warning("kept", name="Übersicht.txt", count=3)
    assert "name=Übersicht.txt" in capsys.readouterr().err
