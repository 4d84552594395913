"""Where the harness listens: as a peer of ours does, and beside that with whom a dialer must not go on.

Source: protocol-spec/03-connection.md, sections 3.2 and 3.3
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web

from undersigned.daemon import PublicListener
from undersigned.testing import LOOSE
from undersigned.transport import SUBPROTOCOL, AcceptedChannel, Channel

__all__ = ["ELSEWHERE", "Listener", "Met"]

ELSEWHERE: Final = "/elsewhere"
"""Behind the path of a document, where it is, too."""
LATE_SECONDS: Final = 6.0
"""Longer than whoever asks for a DID document waits."""
Met = Callable[[Channel], Awaitable[None]]
"""What is done with a connection that nobody has proved."""


class Listener(PublicListener):
    """A `PublicListener` that gives connections to some paths to whoever asked for them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._met: dict[str, tuple[Met, bool]] = {}
        self.in_vain: Callable[[str], str] = lambda _: ""
        """How a document at a path is asked for in vain: `Publish.answer`; empty where it is given."""

    @contextmanager
    def meeting(self, met: Met, *, granted: bool) -> Generator[str]:
        """The path at which `met` is given each connection, with the subprotocol `granted` or without it."""
        path = f"/met/{secrets.token_hex(8)}"
        self._met[path] = met, granted
        try:
            yield path
        finally:
            del self._met[path]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        match self.in_vain(request.raw_path):
            case "elsewhere":
                return web.Response(status=302, headers={"Location": f"{request.raw_path}{ELSEWHERE}"})
            case "late":
                await asyncio.sleep(LATE_SECONDS)
            case _:
                pass
        found = self._met.get(request.raw_path)
        transport = request.transport
        if found is None or transport is None:
            return await super()._handle(request)
        met, granted = found
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), compress=False)
        if not granted:
            asked = request.headers.copy()
            asked.popall("Sec-WebSocket-Protocol", None)
            request = request.clone(headers=asked)
        channel = AcceptedChannel(socket, transport, request.remote or "", LOOSE, lambda: None)
        await socket.prepare(request)
        try:
            await met(channel)
        finally:
            await channel.close()
        return socket
