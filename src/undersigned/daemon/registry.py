"""A small trust registry over a file, by TRQP v2.0: for tests, and for partners who want to be asked.

It answers `POST /authorization` and `POST /recognition` from what the file says at that moment, so an edit counts with
the next question; a file that cannot be read answers nothing. It holds no key. TLS is for whatever stands before it.

Source: protocol-spec/12-trust.md, section 12.11
"""

from __future__ import annotations

import asyncio
import hmac
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import structlog
from aiohttp import web

from undersigned.encoding import Instant, canonicalize, to_struct
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.runtime import SystemClock, read_file, why
from undersigned.trust import QueryKind, StatementFile, answer_query

from .edge import go_on, read_at_most
from .near import NearListener

__all__ = ["RegistryServer"]

CONNECTIONS: Final = 64
BODY_SECONDS: Final = 10.0
MAX_QUERY_BYTES: Final = 16 * 1024
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_TITLES: Final = {
    400: "not a query",
    401: "no bearer token, or another one",
    404: "not known here",
    405: "expected POST",
    408: "the query did not arrive in time",
    500: "the registry cannot be read",
}
_log: Final = structlog.get_logger("undersigned.registry")


def _read(file: Path) -> StatementFile:
    """What a file says: TOML, `[[authorization]]` and `[[recognition]]` with the members of `AuthorityStatement`.

    Raises:
        ConfigurationError: `bad_configuration`, it cannot be read or says something else.
    """
    try:
        return to_struct(tomllib.loads(read_file(file, MAX_FILE_BYTES).decode()), StatementFile)
    except (OSError, ValueError) as exc:
        raise ConfigurationError("bad_configuration", f"{file}: {why(exc)}") from exc
    except FormatError as exc:
        raise ConfigurationError("bad_configuration", f"{file}: {exc.path or 'all of it'}: {exc.message}") from exc


class RegistryServer(NearListener):
    """Serves one file at `host`:`port` (0 picks a free one) from `start` to `stop`. With `token`, only who has it."""

    def __init__(
        self,
        file: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        now: Callable[[], Instant] | None = None,
    ) -> None:
        self._file = file
        super().__init__(self._answer, host, port, connections=CONNECTIONS)
        self._token = token
        self._now = now or SystemClock().now
        self._known: tuple[tuple[int, ...], StatementFile] | None = None

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigurationError: `bad_configuration`, the file or the address cannot be used.
        """
        self._statements()
        await super().start()

    def _statements(self) -> StatementFile:
        """What the file says now; read again when it changed."""
        try:
            status = self._file.stat()
        except OSError as exc:
            raise ConfigurationError("bad_configuration", f"{self._file}: {why(exc)}") from exc
        # What was done to a file last is what its owner cannot set; it may have been put there with its own time.
        version = status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size
        if self._known is None or self._known[0] != version:
            self._known = version, _read(self._file)
        return self._known[1]

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.path not in ("/authorization", "/recognition"):
            return _problem(404)
        if request.method != "POST":
            return _problem(405)
        if self._token is not None:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            given = token.strip().encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, self._token.encode()) or scheme.lower() != "bearer":
                return _problem(401)
            self.welcome(request)
        go_on(request)
        kind = cast("QueryKind", request.path.strip("/"))
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_at_most(request.content, MAX_QUERY_BYTES)
        except TimeoutError:
            return _problem(408)
        if len(body) > MAX_QUERY_BYTES:
            return _problem(400, f"expected at most {MAX_QUERY_BYTES} bytes")
        try:
            said = answer_query(kind, body, self._statements(), self._now())
        except FormatError as exc:
            return _problem(400, exc.message)
        except ConfigurationError as exc:
            _log.error("a query was not answered", error=exc.message)
            return _problem(500)
        except UndersignedError as exc:
            return _problem(404, exc.message)
        return web.Response(
            body=canonicalize(said), content_type="application/json", headers={"Cache-Control": "no-store"}
        )


def _problem(status: int, detail: str = "") -> web.Response:
    """Problem Details (RFC 7807)."""
    said: dict[str, Any] = {"type": "about:blank", "title": _TITLES[status], "status": status}
    if detail:
        said["detail"] = detail[:400]
    headers = {401: {"WWW-Authenticate": "Bearer"}, 405: {"Allow": "POST"}}.get(status, {})
    return web.Response(
        status=status, body=canonicalize(said), content_type="application/problem+json", headers=headers
    )
