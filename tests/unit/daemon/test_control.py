"""How errors of what a control listener serves are answered."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from support import refuses
from undersigned.daemon.control import ControlAnswer, ControlListener
from undersigned.encoding import JsonObject
from undersigned.errors import (
    ConfigurationError,
    FormatError,
    LedgerError,
    LedgerUnavailable,
    TimedOut,
    TransportError,
    UndersignedError,
    VerificationError,
)
from undersigned.runtime import ControlPart


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (FormatError("schema_violation", "why", path="/a/0"), 400, {"detail": "why", "pointer": "/a/0"}),
        (FormatError("bad_json", "why"), 400, {"detail": "why"}),
        (FormatError("too_large", "why"), 413, {"detail": "why"}),
        (VerificationError("key_not_authorized", "why"), 400, {}),
        (ConfigurationError("not_found", "why"), 404, {}),
        (ConfigurationError("bad_configuration", "why"), 500, {}),
        (LedgerUnavailable("store_unavailable", "why"), 500, {}),
        (LedgerError("ledger_diverged", "why"), 500, {}),
        (TransportError("internal", "why"), 500, {}),
        (TransportError("of no table", "why"), 500, {}),
        (TransportError("unreachable", "why"), 400, {}),
        (TimedOut("timeout", "why"), 503, {"detail": "why"}),
    ],
    ids=lambda value: value.code if isinstance(value, UndersignedError) else "",
)
async def test_an_error_is_told_as_far_as_it_follows_from_what_was_sent(
    error: UndersignedError, status: int, told: JsonObject
) -> None:
    """HIRE-CTL-05: the place and the reason then; of ours the code and what it means, and that it is ours."""

    async def fails(_: JsonObject) -> ControlAnswer:
        raise error

    async with (
        ControlListener(ControlPart(), "token", {("POST", "/x"): fails}) as listener,
        ClientSession(headers={"Authorization": "Bearer token"}) as session,
        session.post(f"http://127.0.0.1:{listener.port}/x", json={}) as answer,
    ):
        body = await answer.json(content_type="application/problem+json")
    meaning = error.row.meaning
    assert (answer.status, "WWW-Authenticate" in answer.headers) == (status, False)
    assert body == {"type": body["type"], "title": meaning, "code": error.code, "status": status, **told}
    assert body["type"].endswith(error.code)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_nothing_listens_beyond_loopback_without_names(host: str) -> None:
    """HIRE-CTL-01: whoever starts it, and wherever it has the part from."""
    listener = ControlListener(ControlPart(host=host), "token", {})
    with refuses(ConfigurationError, "bad_configuration"):
        await listener.start()
