"""URLs of servers that gates stand in front of, as an operator gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from undersigned.daemon import GateProxy
from undersigned.daemon.mcp_http import HttpGate
from undersigned.errors import ConfigurationError

NOTHING = cast(Any, None)

TAKEN: dict[str, Callable[[str], object]] = {
    "gate --upstream": lambda url: GateProxy(NOTHING, url),
    "mcp-gate --upstream": lambda url: HttpGate(NOTHING, NOTHING, url),
    "mcp-gate --public": lambda url: HttpGate(NOTHING, NOTHING, "http://127.0.0.1:8000/mcp", public=url),
}
NO_SERVERS = (
    *("", "127.0.0.1:8000", "/mcp", "http://", "http:///mcp", "http://:8000/mcp", "ftp://127.0.0.1/mcp"),
    *("http://127.0.0.1:0/mcp", "http://127.0.0.1:65536/mcp", "http://127.0.0.1:x/mcp", "http://[::1/mcp"),
    *("http://127.0.0.1/mcp?a=b", "http://127.0.0.1/mcp#a", "http://me@127.0.0.1/mcp", "http://:s3cret@127.0.0.1/mcp"),
    *("http://127.0.0.1/mcp?", "http://127.0.0.1/mcp#", "http://127.0.0.1/mcp\n", "http://127.0.0.1/a b"),
    *("http://a b/mcp", "http://a\\b/mcp", " http://127.0.0.1/mcp"),
)


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("url", NO_SERVERS)
def test_what_is_no_url_of_a_server_is_refused_at_the_start(url: str, taken: str) -> None:
    """And not at the first request. What may be a password is not told."""
    with pytest.raises(ConfigurationError, match="expected a URL such as") as refused:
        TAKEN[taken](url)
    assert refused.value.code == "bad_configuration"
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("url", ["http://127.0.0.1/mcp", "https://[::1]:8443/mcp", "http://localhost:65535/@a/mcp/"])
def test_what_is_one_is_taken(url: str, taken: str) -> None:
    assert TAKEN[taken](url)


def test_an_mcp_server_has_a_path_and_another_needs_none() -> None:
    assert GateProxy(NOTHING, "http://127.0.0.1:8000")
    for upstream, public in (("http://127.0.0.1:8000", None), ("http://127.0.0.1:8000/mcp", "https://gate.example")):
        with pytest.raises(ConfigurationError, match="/mcp, got"):
            HttpGate(NOTHING, NOTHING, upstream, public=public)
