"""The gate between a client and an MCP server that both speak over standard input and output.

The server is a process of the gate's own: it ends when the gate does, with what it started, unless the gate is killed,
by which the server only loses its input; and what it writes to standard error is the operator's to read. Lines are
bounded on both sides; a longer one ends the gate, for nobody can tell what it was.

Source: protocol-spec/15-mcp-gate.md, section 15.5; Model Context Protocol, transport stdio
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Final

import msgspec

from undersigned.bridges.mcp import CLIENT_LIMITS, SERVER_LIMITS, ToClient, ToServer
from undersigned.bridges.mcp_answers import RequestId
from undersigned.errors import ConfigurationError, TransportError
from undersigned.runtime import why

from .mcp_passage import Passage
from .orphans import adopt, bury, end_adopted

__all__ = ["GateLimits", "StdioGate", "standard_streams"]

BURY_SECONDS: Final = 30.0
_OURS: Final = "UNDERSIGNED_"
"""How variables of the environment begin that are for us alone, such as a passphrase."""


class GateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate bears."""

    answer_seconds: float = 60.0
    """For the server to answer one request."""
    end_seconds: float = 2.0
    """For the server to end once its input does; and again once it is told to."""
    connections: int = 256
    """Over HTTP, at a time."""
    body_seconds: float = 10.0
    """Over HTTP, for a body to arrive."""


class StdioGate:
    """One client, one server process."""

    def __init__(
        self,
        passage: Passage,
        command: Sequence[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: GateLimits | None = None,
    ) -> None:
        """`reader` has a limit of `CLIENT_LIMITS.max_bytes`. This process must have no other child than the server:
        whoever the server left behind in a session of its own is found, and ended as well (on Linux).
        """
        self._passage = passage
        self._command = command
        self._reader = reader
        self._writer = writer
        self._limits = limits or GateLimits()
        self._timers: dict[RequestId, asyncio.TimerHandle] = {}
        self._reads = True

    async def run(self) -> None:
        """Returns when the client has gone.

        Raises:
            ConfigurationError: `bad_configuration`, the server's command cannot be run.
            TransportError: `connection_closed`, the server ended first; `too_large`, a line that is too long.
            BrokenPipeError: The client reads no more.
        """
        loop = asyncio.get_running_loop()
        adopt()
        try:
            # As `create_subprocess_exec` does it, but the transport is ours to close.
            transport, protocol = await loop.subprocess_exec(
                lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=SERVER_LIMITS.max_bytes, loop=loop),
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=None,
                # A session of its own, so that what it starts ends with it; and none of our secrets.
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
            )
        except OSError as exc:
            raise ConfigurationError("bad_configuration", f"{self._command[0]} cannot be run: {why(exc)}") from exc
        process = asyncio.subprocess.Process(transport, protocol, loop)
        burying = loop.create_task(self._bury(process.pid))
        try:
            await self._between(process)
        finally:
            burying.cancel()
            for timer in self._timers.values():
                timer.cancel()
            await self._end(process)
            await end_adopted(self._limits.end_seconds)
            transport.close()
            await asyncio.sleep(0)  # its pipes are closed in the next turn of the loop

    @staticmethod
    async def _bury(server: int) -> None:
        while True:
            await asyncio.sleep(BURY_SECONDS)
            bury(server)

    async def _between(self, process: asyncio.subprocess.Process) -> None:
        client = asyncio.create_task(self._from_client(process))
        server = asyncio.create_task(self._from_server(process))
        try:
            await asyncio.wait({client, server}, return_when=asyncio.FIRST_COMPLETED)
            if client.done() and client.exception() is None and process.stdin is not None:
                # What the server still answers is passed on.
                process.stdin.close()
                await asyncio.wait({server}, timeout=self._limits.end_seconds)
                return
            for id in self._passage.open:
                await self._to_client(self._passage.fail(id, "upstream_failed"))
            await (client if client.done() else server)
            raise TransportError("connection_closed", "the MCP server ended before its client did")
        finally:
            for task in (client, server):
                task.cancel()
            await asyncio.gather(client, server, return_exceptions=True)

    async def _from_client(self, process: asyncio.subprocess.Process) -> None:
        while line := await _line(self._reader, "the client"):
            step = await self._passage.from_client(line)
            if isinstance(step, ToClient):
                await self._to_client(step)
            elif isinstance(step, ToServer):
                if not await self._to_server(process, step.raw):
                    await self._to_client(self._passage.not_sent(step))
                elif step.id is not None:
                    self._timers[step.id] = asyncio.get_running_loop().call_later(
                        self._limits.answer_seconds, self._late, step.id
                    )

    async def _from_server(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  (it was asked for)
        while line := await _line(process.stdout, "the MCP server"):
            step = await self._passage.from_server(line)
            if isinstance(step, ToClient):
                await self._to_client(step)
            elif isinstance(step, ToServer):
                await self._to_server(process, step.raw)

    async def _to_client(self, step: ToClient | None) -> None:
        if step is None:
            return
        if step.answers is not None and (timer := self._timers.pop(step.answers, None)) is not None:
            timer.cancel()
        if self._writer.is_closing():  # a closed one drops it without a word, or raises what is no OSError (uvloop)
            raise BrokenPipeError
        try:
            self._writer.write(step.raw + b"\n")
            await self._writer.drain()
        except ConnectionError as exc:
            raise BrokenPipeError from exc

    async def _to_server(self, process: asyncio.subprocess.Process, raw: bytes) -> bool:
        """Whether the server's process was there to take it."""
        if process.stdin is None:
            return False
        try:
            # Of what it was sent before: who waits for ever, or again for each message, sees no client leave.
            async with asyncio.timeout(self._limits.answer_seconds if self._reads else 0):
                await process.stdin.drain()
        except OSError:  # TimeoutError, too
            self._reads = False
            return False
        self._reads = True
        if process.stdin.is_closing() or process.returncode is not None:
            return False
        process.stdin.write(raw + b"\n")  # from here on nobody knows whether it came to be read
        return True

    def _late(self, id: RequestId) -> None:
        self._timers.pop(id, None)
        answer = self._passage.fail(id, "timeout")
        if answer is not None and not self._writer.is_closing():  # 64 at most, in the time for an answer
            self._writer.write(answer.raw + b"\n")

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """The server and what it started are gone when this returns."""
        if process.stdin is not None:
            process.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.end_seconds):
                    await process.wait()
                break
        if process.stdout is None or process.stdout.at_eof():
            return
        # It left others behind that hold its output open. While they are there, nobody else has its group's number.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


async def _line(reader: asyncio.StreamReader, whose: str) -> bytes:
    """The next line that is not empty; nothing at the end.

    Raises:
        TransportError: `too_large`.
    """
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            # Half a line is no message: its sender may have been about to say something else.
            return b""
        except (asyncio.LimitOverrunError, ValueError) as exc:
            raise TransportError("too_large", f"{whose} wrote a line longer than a message may be") from exc
        if stripped := line.strip():
            return stripped


async def standard_streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Standard input and output, for the gate's client.

    Raises:
        ConfigurationError: `bad_configuration`, they are no pipes, sockets or terminals.
    """
    loop = asyncio.get_running_loop()
    try:
        # A loop would find out later, and tell its log, or end the process (uvloop).
        with DefaultSelector() as selector:
            selector.register(sys.stdin.buffer, EVENT_READ)
            selector.register(sys.stdout.buffer, EVENT_WRITE)
        reader = asyncio.StreamReader(limit=CLIENT_LIMITS.max_bytes)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop), sys.stdout.buffer
        )
    except (ValueError, OSError) as exc:
        raise ConfigurationError(
            "bad_configuration",
            "a gate over stdio is run by its client: expected a pipe, socket or terminal as standard input and output",
        ) from exc
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
