"""Which addresses are dialled, and the one place where a socket to a peer is opened.

The rule is applied to the address that is dialled and not to the name that led there, because names are the peer's:
a name may resolve to our own network, or to something else each time it is asked. So a name is resolved once, each
address is judged, and the socket is connected to an address that passed.

Source: protocol-spec/02-identity-and-keys.md, section 2.2
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from typing import Final
from urllib.parse import urlsplit

from undersigned.errors import ResolutionError, TimedOut, TransportError

from .names import look_up
from .unreached import why_unreached

__all__ = ["addresses_of", "dial", "is_https_base", "is_loopback_name", "is_odd_number", "may_dial"]

_MAX_ADDRESSES: Final = 4
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1"})
_NUMERIC_LABEL: Final = re.compile("0[xX][0-9a-fA-F]*|[0-9]+")
_EMBEDDING: Final = tuple(
    ipaddress.ip_network(net)
    for net in (
        "64:ff9b::/96",  # NAT64: the last 32 bits are an IPv4 address that somebody else will dial for us
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "::/96",  # IPv4-compatible, unused for long
    )
)
_UNLISTED: Final = tuple(
    ipaddress.ip_network(net)
    for net in (
        "192.0.0.0/24",  # for protocols of a network itself; metadata of machines was served there
        "192.88.99.0/24",  # relays of 6to4
        "3fff::/20",  # documentation
    )
)
"""Not public either, and the standard library of some of the Python versions that we run on takes them for it."""


def is_loopback_name(host: str) -> bool:
    """Whether `host` is one of the two spellings of this machine that local state may use."""
    return host.lower() in _LOCAL_NAMES


def is_https_base(url: str, local: bool) -> bool:
    """Whether other URLs can stand below this one: https, or http to loopback where `local`, and no query, fragment or
    user.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(url)
    if parts.port == 0 or not url.isprintable() or " " in url or "@" in parts.netloc:
        return False
    plain = local and parts.scheme == "http" and is_loopback_name(parts.hostname or "")
    return (parts.scheme == "https" or plain) and bool(parts.hostname) and not (parts.query or parts.fragment)


def may_dial(address: str) -> bool:
    """Whether `address`, an IP address as text, is a public unicast address.

    Not so: private, loopback, link-local, shared (CGNAT), unique-local, multicast, reserved and unspecified ones, and
    IPv6 addresses that carry an IPv4 address inside.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return may_dial(str(parsed.ipv4_mapped))
        if any(parsed in net for net in _EMBEDDING) or parsed.is_site_local:
            return False
    if any(parsed in net for net in _UNLISTED):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def is_odd_number(host: str) -> bool:
    """Whether some resolver would take `host` for an IPv4 address though it is not written as one.

    So it is when the last label is a number: decimal, octal and hexadecimal spellings, and short ones (`127.1`).
    """
    if _NUMERIC_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]) is None:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


async def addresses_of(
    host: str, port: int, *, local: bool = False, whose: str = ""
) -> tuple[tuple[socket.AddressFamily, str], ...]:
    """The addresses of `host` that may be dialled, in the resolver's order, at most 4.

    With `local`, the names `localhost` and `127.0.0.1` are this machine, without asking a resolver. `whose`: for whose
    sake it is asked, which bounds how often at once; empty for our own.

    Raises:
        ResolutionError: `did_forbidden_address`, there is none that may be dialled, or `host` is a number in one of
            the spellings that are not the usual one.
        TransportError: `unreachable`, the name does not resolve, or too many names wait for an answer.
    """
    if local and is_loopback_name(host):
        return ((socket.AF_INET, "127.0.0.1"),)
    try:
        literal: str | None = str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        literal = None
        if not host or is_odd_number(host):
            raise ResolutionError("did_forbidden_address", f"{host!r} is a number, and not a name") from None
    if literal is not None:
        found = [(socket.AF_INET6 if ":" in literal else socket.AF_INET, literal)]
    else:
        found = await look_up(host, port, whose)
    permitted = tuple(dict.fromkeys(pair for pair in found if may_dial(pair[1])))
    if not permitted:
        tried = ", ".join(sorted({address for _, address in found}))
        raise ResolutionError("did_forbidden_address", f"{host} leads to {tried}, which is not dialled")
    return permitted[:_MAX_ADDRESSES]


async def dial(host: str, port: int, *, seconds: float, local: bool = False) -> socket.socket:
    """A TCP socket connected to an address of `host` that may be dialled; not blocking, Nagle off.

    Raises:
        ResolutionError: See `addresses_of`.
        TransportError: `unreachable`, it has no address, or none took the connection; `TimedOut`, not within `seconds`.
    """
    loop = asyncio.get_running_loop()
    refused: list[str] = []
    last: Exception | None = None
    try:
        async with asyncio.timeout(seconds):
            candidates = await addresses_of(host, port, local=local)
            for family, address in candidates:
                try:
                    sock = socket.socket(family, socket.SOCK_STREAM)
                except OSError as exc:  # no descriptor is free, or the machine speaks no IPv6
                    refused.append(f"{address}: {exc}")
                    continue
                try:
                    sock.setblocking(False)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    # One silent address must not use up the time of the others.
                    async with asyncio.timeout(seconds / len(candidates)):
                        await loop.sock_connect(sock, (address, port))
                except (OSError, TimeoutError) as exc:
                    sock.close()
                    refused.append(f"{address}: {exc or 'no answer'}")
                    last = exc
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
    except TimeoutError as exc:
        raise TimedOut("timeout", f"{host}:{port} took no connection within {seconds:g} s", unreached="silent") from exc
    told = f"{host}:{port} took no connection ({'; '.join(refused)})"
    raise TransportError("unreachable", told, unreached=why_unreached(last)) from last
