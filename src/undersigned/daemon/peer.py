"""A peer: an agent with a public listener. This is what applications embed and what `undersigned serve` runs.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import msgspec

from undersigned.contract import Settlement
from undersigned.encoding import Did, Digest
from undersigned.errors import ConfigurationError, LedgerUnavailable, UndersignedError
from undersigned.protocol import Strategy
from undersigned.runtime import (
    Agent,
    Approves,
    Clock,
    ControlPart,
    Handler,
    Hire,
    Home,
    ListenPart,
    Reviewer,
    control_at,
    hire_order,
)
from undersigned.runtime.execution.given import check_request, of_kind
from undersigned.runtime.files import in_thread
from undersigned.scope import Limit, Scope
from undersigned.transport import Channel

from .answers import ArtifactRequest, ArtifactResponse, Document
from .control import ControlListener
from .gate_desk import GateDesk
from .listener import ListenerLimits, PublicListener
from .log_files import LogFiles
from .own_port import compare_port, otherwise, require_alone
from .published import Published, check_card
from .sbom_loading import load_sbom, review_sbom
from .serving import ArtifactDoor, SignedRequests
from .vc_api import VcApi

if TYPE_CHECKING:
    from .sync_peer import SyncPeer

__all__ = ["Peer"]

YOUNG_OBJECTS: Final = 50_000
"""So many new objects that may refer to others before the garbage collector looks among them; Python has 700."""
GATE_CONNECTIONS = 1024
"""Of all gates together; each has up to 32 (`gate_remote`)."""


class Peer(Agent):
    """An agent that listens.

        async with Peer.open("acme") as peer:
            result = await peer.hire(provider, task="sbom", inputs={"artifact": path}, price="5.00 EUR")

    The listener serves the DID documents, what ties them to the domain, the agent card, status lists, artifacts behind
    the gate, and the peer WebSocket. A second one, for control, is there if `[control]` of the configuration or
    `control` asks for it.
    """

    control: ControlPart | str | None = None
    """Set before it starts, as HOST:PORT (port 0 picks a free one): in place of `[control]` of the configuration."""
    gates: ControlPart | str | None = None
    """The same for `[gates]`."""
    _control: ControlListener | None = None
    _for_gates: ControlListener | None = None
    _desk: GateDesk
    _has_listened = False
    """Whether there is something to close."""

    @classmethod
    def open(
        cls,
        home: Home | Path | str,
        *,
        clock: Clock | None = None,
        ledger_url: str | None = None,
        suite: str | None = None,
        strategy: Strategy | None = None,
        handlers: Mapping[str, Handler] | None = None,
        budget: Iterable[Limit] | None = None,
        books: str | None = None,
    ) -> Peer:
        """The peer of a state folder, to be entered with `async with`; the options are those of `Agent`.

        Raises:
            ConfigurationError: The folder is not one, or its keys do not open.
        """
        opened = home if isinstance(home, Home) else Home(home)
        return cls(
            opened,
            clock=clock,
            ledger_url=ledger_url,
            suite=suite,
            strategy=strategy,
            handlers=handlers,
            budget=budget,
            books=books,
        )

    @classmethod
    def open_sync(
        cls,
        home: Home | Path | str,
        *,
        clock: Clock | None = None,
        ledger_url: str | None = None,
        suite: str | None = None,
        strategy: Strategy | None = None,
        handlers: Mapping[str, Handler] | None = None,
        budget: Iterable[Limit] | None = None,
        books: str | None = None,
    ) -> SyncPeer:
        """The same for callers without asyncio: a context manager whose methods block.

        Raises:
            ConfigurationError: As `open`.
        """
        from .sync_peer import SyncPeer

        return SyncPeer(
            cls.open(
                home,
                clock=clock,
                ledger_url=ledger_url,
                suite=suite,
                strategy=strategy,
                handlers=handlers,
                budget=budget,
                books=books,
            )
        )

    async def start(self) -> None:
        """Listens, opens the ledger, and goes on with every engagement that is not over.

        Raises:
            ConfigurationError: The address cannot be listened on, or the settings offer what cannot be offered.
            LedgerUnavailable: `store_unavailable`, another process runs this state folder.
            LedgerError, LocalProtocolError: Ledger, register or trust graph cannot be opened, or is damaged;
                `wrong_state`: it is started already.
        """
        with self._claimed():
            await self._start_all()

    async def _start_all(self) -> None:
        part = self.home.configuration.listen
        if self.home.configuration.offer and not self.base_url and not self.home.configuration.local:
            raise ConfigurationError(
                "bad_configuration", "it offers work and nobody can reach it: set url in [listen] of the settings"
            )
        self._door = ArtifactDoor(self)
        self._desk = GateDesk(self)
        self._register = self.home.register() if self.organisation is not None else None
        try:
            if self._register is not None:
                await in_thread(self._register.check)
            await self._begin(part)
        except BaseException:
            if self._register is not None:
                self._register.close()
            raise

    async def _begin(self, part: ListenPart) -> None:
        """The rest of `start`."""
        self._log_files = LogFiles(self)
        self._published = Published(self, self._register)
        self.other_side = SignedRequests(self)
        self.programs = {"sbom": review_sbom}
        self.reviewers.setdefault("sbom", review_sbom)
        limits = (
            ListenerLimits(channel=msgspec.structs.replace(ListenerLimits().channel, local=True))
            if self.home.configuration.local
            else ListenerLimits()
        )
        self._listener = PublicListener(
            part.host,
            part.port,
            documents=self._published.document,
            accept=self._accept,
            artifacts=self._artifact,
            log=self._log_file,
            limits=limits,
            proxies=self.home.proxies,
            otherwise=otherwise(self.home, part.port),
        )
        self._has_listened = True
        try:
            await self._listener.start()
        except ConfigurationError as error:
            require_alone(self._ledger_url, self.home.path, error)
            raise
        if self.home.configuration.local:
            compare_port(self.home.configuration.did, self._listener.port)
            if not self.base_url:
                self.base_url = f"http://localhost:{self._listener.port}"
        try:
            self.load_offers()
            check_card(self)
            await self._start_control()
            await self._start()
        except BaseException:
            await self._stop_listening()
            raise
        try:
            await self._start_gates()  # last: a gate that hears that there is no contract remembers it for a moment
        except BaseException:
            await self.close()
            raise

    async def _accept(self, channel: Channel) -> None:
        await self.ready.wait()
        await self.links.accept(channel)

    async def _artifact(self, asked: ArtifactRequest) -> ArtifactResponse:
        # While engagements are not all there, to say that there is none would be a verdict: of a hirer about what was
        # delivered, or of a provider about its input. That it may be tried again is none.
        if not self.ready.is_set():
            return ArtifactResponse(503, code="overloaded")
        return await self._door.answer(asked)

    async def _log_file(self, path: str) -> Document | None:
        if self._ledger is None or not self.resumed.is_set():
            raise UndersignedError("overloaded", "the log is not open")
        try:
            return await self._log_files.answer(path)
        except LedgerUnavailable:
            if not self.closing:
                raise
            raise UndersignedError("overloaded", "the log is closed") from None

    async def _start_control(self) -> None:
        part = self._near("control", self.control, self.home.configuration.control)
        if part is None:
            return
        api = VcApi(self, self._register, self.home.contexts(part))
        self._control = ControlListener(part, self.home.control_token(), api.routes)
        await self._control.start()

    async def _start_gates(self) -> None:
        part = self._near("gates", self.gates, self.home.configuration.gates)
        if part is not None:
            self._for_gates = ControlListener(
                part, self.home.gate_token(), self.desk.routes, connections=GATE_CONNECTIONS, what="for gates"
            )
            await self._for_gates.start()

    def _near(self, name: str, given: ControlPart | str | None, configured: ControlPart | None) -> ControlPart | None:
        """Where to listen, once it is known that a local state folder is not spoken to from elsewhere."""
        if not isinstance(given, ControlPart | str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("bad_configuration", f"{name}: expected text, HOST:PORT, got {given!r:.60}")
        part = control_at(given, configured, name) if isinstance(given, str) else given or configured
        if part is not None:
            part.checked(name)
        if part is not None and self.home.configuration.local and not part.loopback:
            raise ConfigurationError("bad_configuration", f"a local state folder is not controlled from {part.host}")
        return part

    async def close(self) -> None:
        """Takes no more connections, and ends as `Agent.close`; until then the DID documents are served, for the
        witnesses.

        Raises:
            LedgerError, LocalProtocolError: As `Agent.close`.
        """
        if not self._has_listened:
            return
        self.require_loop()
        try:
            await super().close()
        finally:
            try:
                await self._stop_listening()
            finally:
                if self._register is not None:
                    self._register.close()

    async def _stop_listening(self) -> None:
        async with AsyncExitStack() as rest:  # each of them, whatever becomes of the one before
            rest.push_async_callback(self._listener.stop)
            for listener in (self._control, self._for_gates):
                if listener is not None:
                    rest.push_async_callback(listener.stop)

    @property
    def control_url(self) -> str:
        """Where the control listener is reached on this machine; empty if there is none."""
        return self._control.url if self._control is not None else ""

    @property
    def desk(self) -> GateDesk:
        """Where gates in this process ask; others ask at `gates_url`.

        Raises:
            LocalProtocolError: `wrong_state`: the peer is not started; `connection_closed`: it was closed.
        """
        self.require_started()
        return self._desk

    @property
    def gates_url(self) -> str:
        """Where gates on this machine ask; empty if nothing listens for them."""
        return self._for_gates.url if self._for_gates is not None else ""

    @staticmethod
    def settle_down() -> None:
        """For a process that does nothing but serve: what is loaded now stays, so the garbage collector need not look
        through all of it again and again, tens of milliseconds each time in which nobody is answered; and it looks less
        often, as nearly everything that a hire makes goes without it.

        So what commands load only when they need it is loaded before: the first document that does would have all wait.
        """
        import_module("undersigned.jsonld.strict")
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)

    async def serve_forever(self) -> None:
        """Serves until it is cancelled. Where another task closes the peer it returns then: who waited for it, in a
        `TaskGroup` say, would never end.

        Raises:
            LocalProtocolError: `wrong_state`: it was not started.
        """
        self.require_started()
        self.settle_down()
        closes = asyncio.Event()
        self.waits.add(closes.set)
        try:
            await closes.wait()
        finally:
            self.waits.discard(closes.set)

    def hire(
        self,
        provider: Did,
        *,
        task: str,
        inputs: Mapping[str, Path | bytes | str] | None = None,
        price: str,
        opening: str | None = None,
        scope: Scope | None = None,
        deliverable: str | Sequence[str] | None = None,
        criteria: Mapping[str, str] | None = None,
        review: Reviewer | None = None,
        approve: Approves | None = None,
        summary: str = "",
        at: str | None = None,
        finish_seconds: int = 3600,
        continues: str | None = None,
        decide_seconds: int | None = None,
        subcontracting: int = 0,
        onward: bool = False,
        settlement: Settlement | None = None,
        reworks: int = 0,
        sbom: str | None = None,
        verifier: Did | None = None,
        arbiter: Did | None = None,
        c2pa: Sequence[Path | bytes | str] | None = None,
        max_bytes: int | None = None,
    ) -> Hire:
        """Hires `provider` for `task`. Await it for the result, or iterate over it for events first.

        `inputs` are files (paths) or bytes by name; the provider may read them and nothing else, unless `scope` adds
        to it. `price` is the most that is paid, `opening` the first offer (default: what the
        provider asks for, if that is less). `deliverable` names what is to be delivered, one thing or several
        (default: what the provider says). `criteria` (id to text) are what the delivery is held to; `review`, which is
        `async`, gets a `Reviewed` and returns a dict with True or False for each, whether it is met; neither is of use
        without the other, unless there is a `verifier`. If it raises, or returns anything else, nothing is signed: it
        is called again while there is time for the review, after which the price is owed as a rule, so let it catch
        what bad work can cause. `reviewers` of this peer, by kind of task, has the one that is called without it, and
        after a restart. `approve`, which is `async`, answers what the scope allows only with a person's yes: it gets
        what is asked for, a `Wanted` (`action`, `details`, `reason`, `explain()` for a line of all), and returns True,
        which is a yes for once and an hour, False, or None to leave it to people, who answer with
        `undersigned contract approve` as they do without it. `at` is the provider's URL, needed if its DID document
        does not say. `decide_seconds` is all the time until both are bound
        or it is withdrawn, people's approval on either side included; by default 15 minutes, or an hour if our own
        policy asks people. A provider that does not answer is tried for `reach_seconds` of this peer, 30 unless it is
        set, and then withdrawn from; iterate to see what happens meanwhile. `subcontracting` is how many levels of
        others the provider may hire for it, `onward` whether it may hand the inputs on to them.
        `settlement` says how the price is paid, elsewhere (default: by
        `none`); by `manual` the result comes before the books are closed, which wait for the word of both owners; its
        `milestones` are parts of the price that are owed for criteria that were met, even if the delivery is
        rejected. `reworks` is how often a delivery that misses a criterion is asked for again, before it is rejected.
        `sbom` is a bill of materials that has to come with the work, `CycloneDX 1.6` or `SPDX 2.3`, valid and
        describing each artifact. `verifier` is a third party that judges the work: its statement is carried with
        `undersigned contract judge`. `arbiter` is one that rules on disputes. With `c2pa`, media have to carry a C2PA
        manifest of this contract, whose signer comes from these certificates (PEM files, or what is in them; none: the
        provider's own proof is enough). `max_bytes` are the most that each thing delivered may have (default: what
        `[artifacts]` of the settings says, and not in the contract). `continues` names an earlier withdrawal that said
        what was needed, by its digest or its engagement.

        Raises, when awaited:
            ConfigurationError: An argument is not usable; nobody was asked for anything.
            LocalProtocolError: `wrong_state`: this peer is not started; `connection_closed`: it was closed.
            PolicyError: `policy_denied` and others: one side said no, and where it withdrew, before a contract,
                `detail` has the digest of the `withdrawal`, whether it is `ours` (as after `cancel`), and what is
                `needed`; or the work was not done (`upstream_failed`), or nobody knows yet (`in_doubt`).
            VerificationError: `evidence_invalid` and others: the delivery was rejected, for what the message says.
            TransportError, ResolutionError: The provider was not reached.

        Of what is raised once there is an engagement, `detail` has the `engagement`.
        """
        if task == "sbom" and review is None:
            Thread(target=load_sbom, name="undersigned-sbom", daemon=True).start()
        return Hire(
            self,
            partial(
                hire_order,
                self,
                provider,
                task=task,
                inputs=inputs or {},
                price=price,
                opening=opening,
                scope=scope,
                deliverable=deliverable,
                criteria=criteria or {},
                summary=summary,
                at=at,
                finish_seconds=finish_seconds,
                continues=continues,
                decide_seconds=decide_seconds,
                subcontracting=subcontracting,
                onward=onward,
                settlement=settlement,
                sbom=sbom,
                verifier=verifier,
                arbiter=arbiter,
                c2pa=c2pa,
                max_bytes=max_bytes,
                reworks=reworks,
                review=review,
                approve=approve,
            ),
            review,
            approve,
        )

    async def sign_request(
        self, method: str, url: str, contract: Digest, body: bytes | None = None
    ) -> tuple[tuple[str, str], ...]:
        """The fields that sign a request to a server of the other side, made under a contract. See `Job.sign`.

        Raises:
            LocalProtocolError: `wrong_state`: it is not started; `connection_closed`: it was closed.
            FormatError: `schema_violation`: an argument is of another kind, or nothing that can be signed.
        """
        self.require_started()
        check_request(method, url, body)
        of_kind("contract", contract, str, "the digest of a contract")
        return await self.other_side.sign(method, url, contract, body)
