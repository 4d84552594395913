"""The work of one contract, as the function that does it sees it.

The job holds the contract's scope and nothing else: what it does in the world goes through `act`, which asks the gate
and books the use first. What it delivers is kept by digest and stated under signature.

Source: protocol-spec/06-scope.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from undersigned.attestation import ActionTaken
from undersigned.contract import ARTIFACT_READ, ContractDocument, Deliverable
from undersigned.encoding import Amount, Did, Digest, Instant, from_struct, to_struct
from undersigned.errors import FormatError, LedgerUnavailable, LocalProtocolError, UndersignedError
from undersigned.messages import Artifact, Input, Review
from undersigned.runtime.artifacts.contents import MAX_WHOLE_BYTES
from undersigned.runtime.artifacts.incoming import too_large
from undersigned.runtime.artifacts.transfers import transfer
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.fetching.fetcher import FetchAnswer
from undersigned.runtime.fetching.other_side import Fields, Sent, refusal_of
from undersigned.scope import Action, Scope

from .acting import APPROVAL_SECONDS, Acting, Admission
from .given import BUFFERS, check_request, checked_action, checked_fields, checked_headers, checked_sent, of_kind
from .reading import Reading
from .signs_of_life import SignsOfLife

if TYPE_CHECKING:
    from undersigned.attestation.media import MediaSigner
    from undersigned.runtime.agent.agent import Agent
    from undersigned.runtime.agent.hire import Hire

    from .reviewers import Reviewer

__all__ = ["Handler", "Job"]

Handler = Callable[["Job"], Awaitable[None]]
"""What does a task: reads its inputs, works, delivers."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Of a server's answer, unless the caller says otherwise."""
FETCH_SECONDS = 30.0


class Job:
    """One contract at work. Given to the handler; valid until the handler returns, in the event loop that it runs in.

    `contract` is its digest, and `document` what it says: `document.hirer`, `document.terms.price` and so on. `task` is
    the kind of task. `inputs` are what the hirer gave, each with `name` and `digest`. `cursor` is what an earlier
    attempt told `progress` last; None in the first. `round` is 1, and one more after each rework, which `review` asked
    for.
    """

    def __init__(
        self,
        agent: Agent,
        conversation: Conversation,
        *,
        contract: Digest,
        inputs: tuple[Input, ...],
        cursor: str | None,
        round: int,
    ) -> None:
        self._agent = agent
        self._conversation = conversation
        self.contract = contract
        """Digest of the contract."""
        self.inputs = inputs
        self.cursor = cursor
        """Where an earlier attempt got to, in the handler's own words; None at first."""
        self.round = round
        """1, and one more after each rework."""
        self.artifacts: list[Artifact] = []
        self.hired: Counter[str] = Counter()
        """How often each hire was asked for, by what it is."""
        self.started: Instant = agent.clock.now()
        self.loop = asyncio.get_running_loop()
        """Where the work runs; a thread of it hands its questions over to there."""
        self._admission = Admission(agent, conversation)
        self.actions = self._admission.actions
        self._reading = Reading(agent, conversation, contract, self._admission)
        self._unasked: dict[Acting, None] = {}
        """Actions that were named and not asked about."""
        self._signs = SignsOfLife(agent, conversation, contract)

    @property
    def document(self) -> ContractDocument:
        """The contract as it is in force now: an amendment that was sealed meanwhile is what counts."""
        return self._conversation.offered()

    @property
    def task(self) -> str:
        """The kind of task, such as `sbom`."""
        return self.document.terms.task.kind

    @property
    def review(self) -> Review | None:
        """The hirer's review that asked for this round: which criteria were not met; None in the first."""
        return self._conversation.last("Review", Review) if self.round > 1 else None

    def input(self, name: str) -> Input:
        """The input called `name`.

        Raises:
            FormatError: `schema_violation`: the hirer gave none of that name.
        """
        for item in self.inputs:
            if item.name == name:
                return item
        raise FormatError(
            "schema_violation",
            f"no input {name!r:.200}; the hirer gave {', '.join(i.name for i in self.inputs) or 'none'}",
        )

    def act(
        self,
        action: str,
        target: str,
        amounts: Mapping[str, Amount] | None = None,
        *,
        reason: str = "",
        approval_seconds: int = APPROVAL_SECONDS,
        **facts: str,
    ) -> Acting:
        """For `async with`: permission for one action, booked before the block runs and settled after it.

        If the block raises, what was reserved stays spent: nobody knows how far it came. While a credential of the
        hirer does not hold, the contract is suspended and this waits: for another one in its place, or the end.

        Where the clause needs a person's yes, the hirer is asked, once, with `reason`, and has `approval_seconds` to
        answer; with 0 nobody is asked. Of `reason` that person reads one line, of 1,024 characters at most.

        Work that ends while one was not entered fails (`wrong_state`): nobody was asked. `facts` are what is known of
        the target, by the names of conditions: `dataClass="public"`.

        Raises, when called:
            FormatError: `schema_violation`: an argument is of another kind, or there is no such fact.
        Raises, when entered:
            ScopeError: The contract does not allow it; `detail["clause"]` names the clause that decided. The refusal
                is recorded. `approval_required`: no person agreed.
        """
        asked = checked_action(action, target, amounts, facts)
        of_kind("reason", reason, str, "text")
        of_kind("approval_seconds", approval_seconds, int, "a whole number")
        return Acting(action, self._admission.acting(asked, reason, approval_seconds), self._unasked)

    def require_asked(self) -> None:
        """Returns if every action that the handler named was asked about.

        Raises:
            LocalProtocolError: `wrong_state`.
        """
        for one in self._unasked:
            # What was done there, if anything, was done without permission.
            raise LocalProtocolError(
                "wrong_state",
                f"job.act({one.name!r}, ...) asked nobody: what is done has to stand in a block, "
                "`async with job.act(...):`",
            )

    async def read(self, name: str) -> bytes:
        """The bytes of the input `name`, fetched through the contract's grant and checked against its digest.

        Raises:
            ScopeError: No grant allows it, here or at the hirer's gate.
            FormatError: `too_large`: it is more than is held in memory, 64 MiB; `file` takes it.
            VerificationError: `digest_mismatch`.
            TransportError: Not reached.
        """
        most = min(MAX_WHOLE_BYTES, self._agent.max_artifact_bytes)
        try:
            async with await self._reading.whole(self.input(name), most, hold_bytes=most) as incoming:
                return incoming.whole()
        except FormatError as error:
            if error.code == "too_large" and most < self._agent.max_artifact_bytes:
                error.message += f"; job.file({name!r}) takes up to {self._agent.max_artifact_bytes}"
            raise

    @asynccontextmanager
    async def file(self, name: str) -> AsyncGenerator[Path]:
        """The input `name` as a file, which is there until the block ends: as `read`, for what is too large to be held.
        Nothing can be read before the digest of all of it was found right.

            async with job.file("scans") as path:
                count = await asyncio.to_thread(count_pages, path)

        Raises:
            ScopeError, VerificationError, TransportError: As `read`.
            FormatError: `too_large`: it is more than `max_bytes` in the table `[artifacts]` of the settings.
        """
        async with await self._reading.whole(self.input(name), self._agent.max_artifact_bytes) as incoming:
            yield await incoming.file()

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
        summary: str = "",
        at: str | None = None,
        finish_seconds: int = 3600,
        decide_seconds: int | None = None,
        subcontracting: int = 0,
        onward: bool = False,
        reworks: int = 0,
        max_bytes: int | None = None,
    ) -> Hire:
        """Hires `provider` for a part of this work, under this contract: inside its scope, price, times and duties, and
        ended with it. Await it for the result, or iterate over it for events first; the rest as `Peer.hire`.

            summary = await job.hire("did:web:globex.example", task="summary", inputs={"report": text}, price="2 EUR")

        `scope` names what it may do besides reading `inputs`, drawn from what this contract grants. What it may take of
        a limit or of the price is held for it until it is over. Work that begins again after a crash, and asks for the
        same again, gets the hire that it began before. `subcontracting` and `onward` are what it may allow further.
        While this contract is suspended nobody is hired, and this waits.

        Raises, when awaited:
            ScopeError: `scope_exceeded`, this contract does not allow such a hire, or not any more; `contract_expired`,
                it gives no authority now. Nobody was asked for anything.
            PolicyError: `upstream_failed`, it did not do the work; and the others that `Peer.hire` raises.

        Source: protocol-spec/16-subcontracts.md, sections 16.2 and 16.3
        """
        self._admission.goes_on(anywhere=True)
        return self._agent.subcontracts.hire(
            self,
            self._conversation,
            provider,
            review=review,
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
            decide_seconds=decide_seconds,
            subcontracting=subcontracting,
            onward=onward,
            reworks=reworks,
            max_bytes=max_bytes,
        )

    async def sign(self, method: str, url: str, body: bytes | None = None) -> tuple[tuple[str, str], ...]:
        """The fields that sign a request to a server of the hirer, to be sent once, within a minute, by any client.

        It asks nobody: `act` comes first, and the server's gate decides for itself.

            async with job.act("order:place", url, {"EUR": "0.5"}):
                await session.post(url, data=body, headers=await job.sign("POST", url, body))

        Raises:
            FormatError: `schema_violation`: an argument is of another kind, or nothing that can be signed.

        Source: protocol-spec/03-connection.md, section 3.7
        """
        self._admission.goes_on()
        check_request(method, url, body)
        return await self._agent.other_side.sign(method, url, self.contract, body)

    async def check_answer(self, sent: Sent, status: int, fields: Fields, body: bytes) -> None:
        """Returns if a server's answer is signed as the hirer's, to this request; gates sign if their operator says so.

            signed = await job.sign("GET", url)
            async with session.get(url, headers=signed) as answer:
                body = await answer.read()
                await job.check_answer(("GET", url, signed), answer.status, answer.headers.items(), body)

        Raises:
            VerificationError, ResolutionError: As `OtherSide.check_answer`.
            FormatError: `schema_violation`: an argument is of another kind.

        Source: protocol-spec/14-gates.md, section 14.7
        """
        asked = checked_sent(sent)
        of_kind("status", status, int, "a whole number")
        of_kind("body", body, BUFFERS, "bytes")
        came = checked_fields("fields", fields)
        await self._agent.other_side.check_answer(self.contract, asked, status, came, body)

    async def fetch(
        self,
        url: str,
        action: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        target: str | None = None,
        amounts: Mapping[str, Amount] | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        **options: Any,
    ) -> FetchAnswer:
        """The answer of a server of the hirer to a request that is signed under the contract.

        Our own gate comes first: `action` on `target` (default: `url`) with `amounts` and `options` as for `act`. Only
        https is used, to addresses that may be dialled, and from a local state folder http on this machine; a redirect
        is an answer like any other and is not followed. A gate that says no because the contract is suspended, that may
        not know yet of a change which we sealed, that can ask nobody now, or for which our clock is wrong, is asked
        again: this waits as `act` does.

        Raises:
            ScopeError: Our gate says no; or the server's does, with its code and clause. What was sent stays spent.
            TransportError: Not reached, or the answer is longer than `max_bytes` or encoded.
            ResolutionError: `did_forbidden_address`.
            VerificationError: The answer is signed, and not as the hirer's to this request.
            FormatError: `schema_violation`: `headers` holds a field that the signature writes; an argument is of
                another kind, or there is none of its name. Nothing is booked then.

        Source: protocol-spec/14-gates.md, section 14.5
        """
        check_request(method, url, body)
        of_kind("max_bytes", max_bytes, int, "a whole number")
        given = checked_headers(headers or {})
        target = target or url
        paused = 0.0
        async with self.act(action, target, amounts, **options):
            while True:
                before = self._conversation.engagement
                signed = await self.sign(method, url, body)
                answer = await self._agent.gatherer.exchange(
                    method,
                    url,
                    headers=(*given, *signed),
                    body=body,
                    max_bytes=max_bytes,
                    timeout_seconds=FETCH_SECONDS,
                    transfer=True,
                )
                if "signature" in answer.headers:
                    await self.check_answer((method, url, signed), answer.status, answer.headers.items(), answer.body)
                if (refused := refusal_of(answer)) is None:
                    return answer
                asked = Action(name=action, target=target)
                paused = await self._admission.refused_there(asked, url, refused, before, paused)

    async def send_past_gate(self, target: str) -> bytes:
        """Requests `target`, signed for this contract, without asking our own gate; the other side's gate decides.

        For finding out whether the other side's gate holds. An agent that is allowed to act uses `act` or `read`.

        Raises:
            ScopeError: The other side refused it, with its code; `contract_expired`: the handler has returned.
        """
        self._admission.goes_on()
        try:
            async with self._agent.artifacts.receive(max_bytes=MAX_WHOLE_BYTES, hold_bytes=MAX_WHOLE_BYTES) as incoming:
                await transfer(self._agent.other_side.open, target, self.contract, incoming)
                return incoming.whole()
        except UndersignedError as error:
            now = self._agent.clock.now()
            clause = str(error.detail.get("clause") or "scope")
            self.actions.append(ActionTaken.refused(ARTIFACT_READ, target, clause=clause, at=now, reason=error.code))
            raise

    async def progress(self, *, percent: int | None = None, note: str | None = None, cursor: str | None = None) -> None:
        """Tells the hirer how far it is. A `cursor` is kept at once, and given to the next attempt after a crash.

        Said more often than every 5 seconds, it waits until these are over, and the newest of each is told.

        Raises:
            FormatError: `schema_violation`: it is no percentage from 0 to 100, no note of 1 to 1,024 characters, or no
                cursor of 1 to 256; `bad_unicode`: no message can hold it.
        """
        await self._signs.give(percent=percent, note=note, cursor=cursor)

    async def deliver(
        self, name: str, data: bytes | bytearray | memoryview | Path, media_type: str | None = None
    ) -> Digest:
        """Keeps an artifact for the `Delivery` that is sent when the handler returns; gives its digest. Of a buffer or
        a path, what it holds now; a file is never held in memory as a whole. A store of ours that is full or away is
        waited for.

        Raises:
            ScopeError: `contract_expired`: the handler has returned.
            FormatError: `schema_violation`: the contract names no such deliverable, the data are neither bytes nor a
                path, or the media type is none; `too_large`: it is more than the contract lets it be or, where that
                names no limit, than `[artifacts]` of our settings does (HIRE-ATT-11).
            OSError: The file cannot be read, or is none.
        """
        self._admission.goes_on()
        if not isinstance(data, bytes | bytearray | memoryview | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
            hint = ": a text has to be encoded" if isinstance(data, str) else ""
            what = f"expected bytes or a path; came {type(data).__name__}{hint}"
            raise FormatError("schema_violation", what, path="/data")
        wanted = self._wanted(name, media_type)
        media_type = media_type or wanted.media_type
        digest = await self._kept(data, wanted.max_bytes or self._agent.max_artifact_bytes)
        self._admission.goes_on()  # what is delivered may be stated by now
        made = Artifact(name=name, digest=digest, media_type=media_type, uri=self._agent.artifact_url(digest))
        to_struct(from_struct(made), Artifact)  # here, where the handler hears of it: its `Delivery` could not be said
        self.artifacts = [artifact for artifact in self.artifacts if artifact.name != name]
        self.artifacts.append(made)
        return digest

    def undelivered(self) -> tuple[str, ...]:
        """What the contract wants and was not delivered yet."""
        delivered = {artifact.name for artifact in self.artifacts}
        return tuple(item.name for item in self.document.terms.deliverables if item.name not in delivered)

    def _wanted(self, name: str, media_type: str | None) -> Deliverable:
        of_kind("name", name, str, "text")
        of_kind("media_type", media_type or "", str, "text such as text/plain")
        named = {item.name: item for item in self.document.terms.deliverables}
        if name not in named:
            what = f"the contract wants {' and '.join(named)}; {name!r:.200} is none of it"
            raise FormatError("schema_violation", what, path="/artifacts")
        return named[name]

    async def _kept(self, data: bytes | bytearray | memoryview | Path, most: int) -> Digest:
        artifacts, paused = self._agent.artifacts, 0.0
        if not isinstance(data, Path):
            size = data.nbytes if isinstance(data, memoryview) else len(data)
            if size > most:
                raise too_large(most, f"{size} are delivered")
            data = bytes(data)  # of a buffer a copy: its owner fills it anew
        while True:
            try:
                if isinstance(data, Path):
                    return (await artifacts.put_file(data, max_bytes=most)).digest
                return await artifacts.put(data)
            except LedgerUnavailable as error:
                paused = await self._admission.waits(error, paused)

    async def deliver_media(self, name: str, data: bytes, signer: MediaSigner, media_type: str | None = None) -> Digest:
        """As `deliver`, with a C2PA manifest in it that says who made this under which contract, signed by the
        `signer`'s certificate and, in it, by this agent. The digest is of the media with their manifest.

        Raises:
            ScopeError: As `deliver`.
            FormatError: As `deliver`; `bad_request`: such media carry no manifest, or the signer is not usable.
            ConfigurationError: `missing_extra`.
        """
        self._admission.goes_on()
        of_kind("data", data, BUFFERS, "bytes")
        wanted, own = self._wanted(name, media_type), self._agent.identity
        kind = media_type or wanted.media_type
        media = await asyncio.to_thread(import_module, "undersigned.attestation.media")
        of_kind("signer", signer, media.MediaSigner, "a MediaSigner")
        if kind not in media.MEDIA_TYPES:
            raise FormatError(
                "bad_request",
                f"{name!a:.200} is {kind!a:.100} by the contract, and no manifest is written into such media; say "
                f"what it is with media_type in what is offered, or here: {', '.join(sorted(media.MEDIA_TYPES))}",
            )
        about = media.ContractAssertion(
            contract=self.contract,
            document=self.document.id,
            task=self.task,
            agent=own.did,
            certificate=signer.serial,
        )
        signed = await asyncio.to_thread(
            partial(media.bytes_to_sign, data, kind, about, signer, keyid=own.method, kind=own.kind)
        )
        signature = await own.sign(signed)
        whole = await asyncio.to_thread(
            partial(media.embed, data, kind, about, signer, keyid=own.method, signature=signature)
        )
        return await self.deliver(name, whole, kind)

    def ends(self) -> None:
        """The handler has returned: what it left running may do no more in the contract's name."""
        self._admission.over = True
        self._signs.end()  # the delivery says more
