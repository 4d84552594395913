"""`did:web`: the document lies at an HTTPS address that the identifier spells.

Which address may be dialled is the fetcher's check, on the address itself. Here the text is held to one spelling: a
lower-case DNS name, perhaps a port, plain path segments. Hosts that are addresses in any notation never get so far.

Source: did:web method, section 3; protocol-spec/02-identity-and-keys.md, sections 2.1 and 2.2
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from undersigned.did.document import DidDocument
from undersigned.did.url import ParsedDidUrl
from undersigned.encoding import Instant
from undersigned.errors import ResolutionError, VerificationError

__all__ = ["document", "fetches", "folder_url"]

_LABEL: Final = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PORT: Final = re.compile("[1-9][0-9]{0,4}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")


def fetches(did: ParsedDidUrl, local: bool, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
    """The one URL of the document. With `local`, `localhost%3APORT` is allowed too, over http.

    Raises:
        ResolutionError: `did_forbidden_address`: the host is an address, or a name of this machine or network.
        VerificationError: `did_document_invalid`: not a `did:web` in its one spelling.
    """
    return (f"{folder_url(did.specific, local=local)}/did.json",)


def folder_url(location: str, *, local: bool) -> str:
    """The URL, without a last slash, of the folder that `host[%3Aport][:segment]...` names; `did:webvh` has it, too.

    Raises:
        ResolutionError, VerificationError: As `fetches`.
    """
    host, port, path = _split(location)
    is_local = host == "localhost"
    if is_local and not (local and port):
        # A colon is what separates everywhere else, and here begins a path.
        meant = local and path and path[0].isdecimal()
        hint = f"; a port is written %3A: did:web:localhost%3A{path[0]}" if meant else ""
        raise ResolutionError("did_forbidden_address", f"expected a public host, got localhost{hint}")
    scheme = "http" if is_local else "https"
    authority = f"{host}:{port}" if port else host
    return f"{scheme}://{authority}/{'/'.join(path) if path else '.well-known'}"


def document(did: ParsedDidUrl, fetched: Mapping[str, bytes], now: Instant | None) -> DidDocument:
    """The document among what was fetched. Whether `localhost` may be dialled was decided when fetching.

    Raises:
        ResolutionError: `did_unresolvable`: its URL is not among them; `did_forbidden_address`: as `fetches`.
        VerificationError: `did_document_invalid`: as `fetches`, or not the document of this DID.
    """
    (url,) = fetches(did, True, fetched)
    raw = fetched.get(url)
    if raw is None:
        raise ResolutionError("did_unresolvable", f"expected the document of {did.did} from {url}, got none")
    return DidDocument(did.did, raw)


def _split(location: str) -> tuple[str, str, list[str]]:
    authority, *path = location.split(":")
    host, _, port = authority.partition("%3A")
    _check_host(host)
    if ("%3A" in authority and not _PORT.fullmatch(port)) or int(port or 0) > 65535:
        raise VerificationError("did_document_invalid", f"expected a port from 1 to 65535, got {port[:20]!a}")
    for segment in path:
        if not _SEGMENT.fullmatch(segment) or not segment.strip("."):
            raise VerificationError("did_document_invalid", f"expected plain path segments, got {segment[:60]!a}")
    return host, port, path


def _check_host(host: str) -> None:
    labels = host.split(".")
    # With a trailing dot it is the same host in another spelling: look at the label before.
    last = labels[-1] or labels[-2:][0]
    # A last label that is a number makes the whole host an IPv4 address to URL parsers (WHATWG URL, section 3.5).
    if "%5B" in host.upper() or last.isdecimal() or last.lower().startswith("0x"):
        raise ResolutionError("did_forbidden_address", f"expected a host name, got an address in {host[:160]!a}")
    if last.lower() == "localhost" and host != "localhost":
        hint = "; in lower case it is this machine" if host.lower() == "localhost" else ""
        raise ResolutionError(
            "did_forbidden_address", f"expected a public host, got a local one in {host[:160]!a}{hint}"
        )
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise VerificationError("did_document_invalid", f"expected a lower-case host name, got {host[:80]!a}")
    if len(labels) == 1 and host != "localhost":
        raise ResolutionError("did_forbidden_address", f"expected a public host, got the local name {host[:80]!a}")
