"""Why nobody was reached at an address, as far as the libraries tell it plainly."""

from __future__ import annotations

import socket
from ssl import SSLCertVerificationError, SSLError
from typing import Final, Literal, TypeAlias

from aiohttp.http_exceptions import BadHttpMessage
from websockets.exceptions import InvalidMessage

__all__ = ["Unreached", "why_unreached"]

Unreached: TypeAlias = Literal[
    "no_name", "no_name_server", "refused", "silent", "authority", "certificate", "no_tls", "no_http", ""
]

_UNKNOWN_NAMES: Final = frozenset(
    number for name in ("EAI_NONAME", "EAI_NODATA") if (number := getattr(socket, name, None)) is not None
)
_UNKNOWN_AUTHORITIES: Final = frozenset({18, 19, 20, 21})
"""As OpenSSL counts what is wrong with a certificate: a self-signed one, or no known issuer."""


def why_unreached(error: BaseException | None) -> Unreached:
    """What is at the bottom of `error`, kept as `unreached` in the `detail` of ours; empty if that is unclear."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            if error.errno in _UNKNOWN_NAMES:
                return "no_name"
            return "no_name_server" if error.errno == socket.EAI_AGAIN else ""
        if isinstance(error, SSLCertVerificationError):
            return "authority" if error.verify_code in _UNKNOWN_AUTHORITIES else "certificate"
        if isinstance(error, SSLError):
            return "no_tls" if error.reason == "WRONG_VERSION_NUMBER" else ""
        if isinstance(error, ConnectionRefusedError):
            return "refused"
        if isinstance(error, TimeoutError):
            return "silent"
        if isinstance(error, BadHttpMessage | InvalidMessage):
            return "no_http"
        error = error.__cause__
    return ""
