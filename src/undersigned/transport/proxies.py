"""Whose a connection is that a proxy of ours passes on: the address that the proxy says, if it is one that we named.

Anybody can write such a header, so it is read only where a listed proxy is at the other end, and from its right end,
where the proxies of ours wrote. What cannot be read gives the proxy's own address, whose limits then hold for all such
requests together: no spelling leads out of the limits.

Source: protocol-spec/10-security.md, section 10.4; RFC 7239
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

__all__ = ["NO_PROXIES", "Proxies"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_SAID: Final = 2048
"""Characters of both fields that are read: some forty proxies one behind the other."""
_WITH_PORT: Final = re.compile(r"\[([^\[\]]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII)
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - of HTTP's grammar
_PAIR: Final = re.compile(rf'({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")', re.ASCII)
_SPACE: Final = re.compile(r"[ \t]*")


class Proxies:
    """The addresses and networks of proxies, as the operator named them."""

    def __init__(self, named: Sequence[str] = ()) -> None:
        """Raises:
        ValueError: Something is no address and no network, has bits beyond its network, or is IPv4 inside IPv6.
        """
        try:
            self._networks = tuple(map(ipaddress.ip_network, named))
        except ValueError as exc:
            raise ValueError(f"proxies: {exc}") from exc
        for network in self._networks:
            if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
                raise ValueError(f"proxies: {network} is compared as IPv4: write it so")

    def listed(self, address: str) -> bool:
        """Whether `address` is one of them."""
        parsed = _parsed(address) if self._networks else None
        return parsed is not None and self._has(parsed)

    def _has(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def caller(self, connected: str, forwarded_for: Sequence[str] = (), forwarded: Sequence[str] = ()) -> str:
        """Whose address counts for a request that came from `connected`, with the values of `X-Forwarded-For` and of
        `Forwarded`, one for each line of them.

        That is `connected`, unless it is listed and the right-most address that is not listed can be read. Where both
        fields came they have to agree: a proxy writes one of them, and the other is the stranger's.
        """
        if not self.listed(connected):
            return connected
        if sum(map(len, (*forwarded_for, *forwarded))) > MAX_SAID:
            return connected
        said = {
            self._last(hops)
            for lines, hops in ((forwarded_for, _forwarded_for(forwarded_for)), (forwarded, _forwarded(forwarded)))
            if lines
        }
        found = said.pop() if len(said) == 1 else None
        # An address of the machine itself says nothing about where the proxy was called from, and never makes anybody
        # one who calls from here.
        if found is None or found.is_loopback or found.is_unspecified or found.is_multicast:
            return connected
        return str(found)

    def _last(self, hops: Sequence[Address | None]) -> Address | None:
        """The right-most one that is not a listed proxy; None if there is none, or if no address stands there."""
        return next((hop for hop in reversed(hops) if hop is None or not self._has(hop)), None)


NO_PROXIES: Final = Proxies()


def _parsed(text: str) -> Address | None:
    """An address, without its zone; IPv4 inside IPv6 as IPv4."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _hop(text: str) -> Address | None:
    """An address as proxies write it: with or without a port, IPv6 also in brackets."""
    found = _WITH_PORT.fullmatch(text)
    if found is None:
        return _parsed(text)
    bracketed, with_port = found.groups()
    parsed = _parsed(bracketed or with_port)
    # Only IPv6 stands in brackets, and only IPv4 has its port behind it without them.
    return parsed if parsed is not None and (bracketed is None or ":" in bracketed) else None


def _forwarded_for(lines: Sequence[str]) -> list[Address | None]:
    """The hops in order; None for each that is no address."""
    return [_hop(item.strip(" \t")) for line in lines for item in line.split(",")]


def _forwarded(lines: Sequence[str]) -> list[Address | None]:
    """The hops in order. A line that is not as the grammar has it is one hop that cannot be read: who leaves a quote
    open on the left must not say what the right end is.
    """
    hops: list[Address | None] = []
    for line in lines:
        try:
            hops += [_hop(element.get("for", "")) for element in _elements(line)]
        except ValueError:
            return [None]
    return hops


def _elements(line: str) -> Iterator[dict[str, str]]:
    """The elements of a `Forwarded` field (RFC 7239, section 4), names in lower case.

    Raises:
        ValueError: It is not of this form.
    """
    at, element = 0, dict[str, str]()
    while True:
        at = _skipped(line, at)
        pair = _PAIR.match(line, at)
        if pair is None or pair[1].lower() in element:
            raise ValueError("expected name=value, each name once")
        element[pair[1].lower()] = pair[2] if pair[3] is None else re.sub(r"\\(.)", r"\1", pair[3])
        at = _skipped(line, pair.end())
        if at == len(line):
            yield element
            return
        if line[at] == ",":
            yield element
            element = {}
        elif line[at] != ";":
            raise ValueError("expected ; or ,")
        at += 1


def _skipped(line: str, at: int) -> int:
    found = _SPACE.match(line, at)
    return found.end() if found is not None else at
