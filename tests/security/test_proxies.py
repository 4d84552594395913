"""Who calls where a proxy passes it on: what the proxy says is read, and nothing that a stranger wrote."""

from __future__ import annotations

import pytest

from undersigned.transport import Proxies
from undersigned.transport.proxies import MAX_SAID

PROXY = "10.0.0.1"
KNOWN = Proxies(["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"])


@pytest.mark.parametrize(
    ("lines", "caller"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["  203.0.113.7\t"], "203.0.113.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:DB8:0::7"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        # What a stranger wrote stands on the left, whatever it is.
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["what is this, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7", ""], PROXY),
        # Proxies behind one another.
        (["203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        (["203.0.113.7, 10.9.9.9, [fd00::3]:80, ::ffff:127.0.0.1"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
    ],
)
def test_the_right_most_address_that_is_no_proxy(lines: list[str], caller: str) -> None:
    assert KNOWN.caller(PROXY, lines) == caller


@pytest.mark.parametrize(
    "line",
    [
        *("", " ", ",", "unknown", "_hidden", "localhost", "203.0.113", "203.0.113.007", "0x7f.1", "1"),
        *("203.0.113.7/32", "203.0.113.7:", "203.0.113.7:x", "203.0.113.7:123456", "[203.0.113.7]", "[2001:db8::7"),
        *("2001:db8::7]", "[2001:db8::7]x", "[2001:db8::7]:", "[[2001:db8::7]]", "[]", '"203.0.113.7"', "٢٠٣.0.113.7"),
        *("203.0.113.7;", "10.9.9.9", "10.9.9.9, 127.0.0.1", "198.51.100.1, unknown"),
        "198.51.100.1, unknown, 10.9.9.9",
        # Of this machine, or of nobody.
        *("127.0.0.2", "::ffff:127.0.0.9", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "198.51.100.1, 127.0.0.2"),
    ],
)
def test_what_names_no_caller_is_the_proxy_s_own(line: str) -> None:
    """Nobody gets out of the limits by a spelling, and nobody becomes somebody on this machine."""
    assert KNOWN.caller(PROXY, [line]) == PROXY
    assert KNOWN.caller("127.0.0.1", [line]) == "127.0.0.1"


def test_a_field_that_is_longer_than_any_is_not_read() -> None:
    """Reading it takes longer than the request that it came with."""
    assert KNOWN.caller(PROXY, [f"{',' * 2000}203.0.113.7"]) == "203.0.113.7"
    assert KNOWN.caller(PROXY, [f"{',' * 3000}203.0.113.7"]) == PROXY
    assert KNOWN.caller(PROXY, ["203.0.113.7"], [f"{'x' * 3000};for=203.0.113.7"]) == PROXY
    assert KNOWN.caller(PROXY, ["203.0.113.7".rjust(MAX_SAID)]) == "203.0.113.7"
    assert KNOWN.caller(PROXY, ["203.0.113.7".rjust(MAX_SAID + 1)]) == PROXY


def test_without_a_field_it_is_the_proxy_s_own() -> None:
    assert KNOWN.caller(PROXY) == PROXY


@pytest.mark.parametrize("connected", ["203.0.113.9", "127.0.0.2", "2001:db8::9", "11.0.0.1", "near", ""])
def test_a_field_from_who_is_not_listed_is_not_looked_at(connected: str) -> None:
    assert KNOWN.caller(connected, ["198.51.100.1"], ["for=198.51.100.1"]) == connected
    assert not KNOWN.listed(connected)


@pytest.mark.parametrize("connected", ["10.0.0.1", "::ffff:10.0.0.1", "::1", "fd12::1", "fd12::1%eth0"])
def test_a_listed_proxy_in_any_spelling(connected: str) -> None:
    assert KNOWN.listed(connected)
    assert KNOWN.caller(connected, ["198.51.100.1"]) == "198.51.100.1"


def test_by_default_nothing_is_listed() -> None:
    assert Proxies().caller("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


@pytest.mark.parametrize(
    ("lines", "caller"),
    [
        (["for=203.0.113.7"], "203.0.113.7"),
        (["For=203.0.113.7;Proto=https;by=10.0.0.1"], "203.0.113.7"),
        (['proto=https ; for="203.0.113.7:4711"'], "203.0.113.7"),
        (['for="[2001:db8::7]"'], "2001:db8::7"),
        (['for="[2001:db8::7]:4711"'], "2001:db8::7"),
        ([r'for="\2\03.0.113.7"'], "203.0.113.7"),
        (["for=unknown, for=203.0.113.7"], "203.0.113.7"),
        (["for=198.51.100.1", "for=203.0.113.7, for=10.0.0.2"], "203.0.113.7"),
        (['for=198.51.100.1;secret="a,b;c", for=203.0.113.7'], "203.0.113.7"),
        (["for=198.51.100.1,for=203.0.113.7,for=10.0.0.2"], "203.0.113.7"),
        (['for=198.51.100.1;x="', "for=203.0.113.7"], PROXY),
    ],
)
def test_the_field_of_rfc_7239(lines: list[str], caller: str) -> None:
    assert KNOWN.caller(PROXY, (), lines) == caller


@pytest.mark.parametrize(
    "line",
    [
        *("", "for=", "for", "203.0.113.7", "for=unknown", "for=_x", "by=203.0.113.7", "for=198.51.100.1, by=10.0.0.2"),
        *("for=198.51.100.1,", "for=198.51.100.1;", ", for=198.51.100.1", "for=[2001:db8::7]", "for = 198.51.100.1"),
        *('for="198.51.100.1', 'for="198.51.100.1"x', "for=198.51.100.1 for=198.51.100.2", "for=a;for=203.0.113.7"),
        *("for=127.0.0.2", "for=10.0.0.2"),
        # A quote that a stranger left open does not swallow what the proxy wrote behind it.
        *('for=198.51.100.1;x=", for=203.0.113.7', 'for=198.51.100.1, x=", for="[2001:db8::7]"'),
    ],
)
def test_a_field_of_rfc_7239_that_names_no_caller(line: str) -> None:
    assert KNOWN.caller(PROXY, (), [line]) == PROXY


def test_two_fields_have_to_agree() -> None:
    """A proxy sets one of them and passes the other on as the stranger wrote it; which, nobody knows."""
    assert KNOWN.caller(PROXY, ["203.0.113.7"], ["for=203.0.113.7"]) == "203.0.113.7"
    assert KNOWN.caller(PROXY, ["203.0.113.7"], ["for=198.51.100.1"]) == PROXY
    assert KNOWN.caller(PROXY, ["unknown"], ["for=198.51.100.1"]) == PROXY
    assert KNOWN.caller(PROXY, ["203.0.113.7"], ["nonsense"]) == PROXY


@pytest.mark.parametrize(
    "named",
    [
        "",
        "proxy.example",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "127.0.0.1:80",
        "[::1]",
        "::ffff:10.0.0.1",
        "::ffff:10.0.0.0/104",
    ],
)
def test_what_is_no_address_and_no_network_is_an_error(named: str) -> None:
    with pytest.raises(ValueError, match="proxies"):
        Proxies([named])
