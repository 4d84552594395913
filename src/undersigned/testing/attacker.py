"""Whoever keeps to no rule: real keys of every kind, anything signed, and proved connections that collect what comes.

An `Attacker` signs whatever it likes, and can show that it is a member of an organisation. A `Line` is a proved
connection of its.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

from undersigned.contract import SignedDocument, acceptance_config
from undersigned.contract import offer_config as document_config
from undersigned.credentials import (
    build_presentation,
    credential_config,
    credential_jwt,
    enveloped_credential,
    enveloped_presentation,
    membership,
    presentation_config,
    presentation_jwt,
)
from undersigned.did import DidDocument, did_key, document_from
from undersigned.encoding import Did, DidUrl, Digest, Instant, JsonObject, shift
from undersigned.errors import Closed
from undersigned.messages import MESSAGE_TYPES
from undersigned.proof import JCS_SUITE_OF, attach, prepare, proof_config
from undersigned.runtime import PrivateKey
from undersigned.testing.actors import Actor
from undersigned.testing.party import Party
from undersigned.transport import Channel, ChannelLimits, Identity

__all__ = ["GUILD", "LOOSE", "Attacker", "Known", "Line", "Told", "vouched"]

T = TypeVar("T")
D = TypeVar("D", bound=SignedDocument)
GUILD: Final = Actor("the guild")
"""An organisation that vouches for anybody. Its key is public, so only what is made for tests may believe it."""
LOOSE: Final = ChannelLimits(
    local=True, max_message_bytes=2**24, queue_bytes=2**26, ping_seconds=3600, message_seconds=3600, send_seconds=3600
)
"""Limits of an attacker's own end, which holds itself to nothing."""


class Known(NamedTuple):
    """Somebody of whom only the DID document is known; stands where `Party` asks for the peer."""

    did: Did
    document: DidDocument

    @property
    def method(self) -> DidUrl:
        """The first method that it signs contracts with."""
        return self.document.methods("assertionMethod")[0]


class Attacker(Actor):
    """A party with a key in memory, vouched for by the guild, that keeps to no rule."""

    def __init__(self, name: str, *, kind: Any = "Ed25519", suite: str | None = None) -> None:
        super().__init__(name)
        self.kind = kind
        self.suite = suite or JCS_SUITE_OF[kind]
        self.key = PrivateKey(kind, sha256(f"{name}/{kind}".encode()).digest())
        self.public_key = self.key.public_key
        self.did = did_key(self.public_key)
        self.document = document_from(self.did, {})
        self.method = self.document.methods("authentication")[0]

    @property
    def identity(self) -> Identity:
        """What proves its connections."""
        return Identity(self.did, self.method, self.suite, self.kind, self.key.sign)

    # ------------------------------------------------------------------ what `Party` and the recipes ask of an actor

    def signature(self, data: bytes) -> bytes:
        """The signature of this attacker's key."""
        return self.key.sign_now(data)

    # ------------------------------------------------------------------ anything, signed

    def signed(self, content: Mapping[str, Any], now: Instant, **options: Any) -> JsonObject:
        """Any JSON object with a proof that holds, as a message of its type would have it.

        `options` replace `suite`, `purpose`, `created`, `expires`, and others of `proof_config`.
        """
        bare = {name: value for name, value in content.items() if name != "proof"}
        of = MESSAGE_TYPES.get(str(content.get("type")))
        given: dict[str, Any] = {
            "suite": self.suite,
            "method": self.method,
            "purpose": of.purpose if of is not None else "authentication",
            "created": now,
            "expires": shift(options.get("created", now), 600),
        }
        return {**bare, "proof": self._proof(bare, proof_config(**given | options))}

    def first(self, document: Mapping[str, Any], now: Instant) -> JsonObject:
        """Any document with a first proof that holds, whether a contract could be made of it or not."""
        bare = {name: value for name, value in document.items() if name != "proof"}
        return {**bare, "proof": self._proof(bare, document_config(self.suite, self.method, now, self.message_id()))}

    def second(self, document: Mapping[str, Any], now: Instant, **options: Any) -> JsonObject:
        """A second proof on a document that has its first one. `options` as of `acceptance_config`, and others."""
        config = acceptance_config(document, self.suite, self.method, now) | options
        return self._proof(document, {name: value for name, value in config.items() if value is not None})

    def member(
        self, now: Instant, *, of: Did | None = None, suite: str = "eddsa-jcs-2022", status: JsonObject | None = None
    ) -> JsonObject:
        """The guild's word that this is one of its members; or that another is, which does not help.

        `status` says where to look up whether that still holds.
        """
        unsigned = membership(
            id=self.message_id(),
            organisation=GUILD.did,
            agent=of or self.did,
            valid_from=shift(now, -60),
            valid_until=shift(now, 86_400),
            status=status,
        )
        return vouched(unsigned, now, suite=suite)

    def shown(
        self,
        party: Party,
        *,
        credentials: tuple[JsonObject, ...] | None = None,
        change: Callable[[JsonObject], JsonObject] = lambda unsigned: unsigned,
        **options: Any,
    ) -> JsonObject:
        """A presentation in answer to the last move of the peer's, with a proof or (`jwt`) as a JWT.

        `change` is made to it before it is signed; `options` replace those of its proof, `suite` among them.
        """
        now = party.now
        unsigned = build_presentation(
            id=self.message_id(),
            holder=self.did,
            engagement=party.engagement.id,
            credentials=(self.member(now),) if credentials is None else credentials,
        )
        unsigned = change(unsigned)
        given: dict[str, Any] = {
            "challenge": party.engagement.got[-1],
            "domain": party.engagement.peer,
            "expires": shift(now, 600),
        } | options
        if given.pop("jwt", False):
            draft = presentation_jwt(unsigned, self.method, self.kind, now, **given)
            return enveloped_presentation(draft.signed(self.key.sign_now(draft.to_sign)))
        suite = given.pop("suite", JCS_SUITE_OF[self.kind])
        config = presentation_config(suite, self.method, now, **given)
        return attach(unsigned, config, self.key.sign_now(prepare(unsigned, config, self.kind)))


def vouched(document: Mapping[str, Any], now: Instant, *, suite: str = "eddsa-jcs-2022") -> JsonObject:
    """Any credential of the guild's, with its proof; `suite` `jwt` makes it an enveloped one."""
    if suite == "jwt":
        draft = credential_jwt(document, GUILD.method, "Ed25519", now)
        return enveloped_credential(draft.signed(GUILD.signature(draft.to_sign)))
    config = credential_config(suite, GUILD.method, now)
    return attach(document, config, GUILD.signature(prepare(document, config, "Ed25519")))


class Told(NamedTuple):
    """What the attacker heard of its attack."""

    how: str
    """`Fault`, `Problem`, `close`, or `nothing`."""
    code: str
    path: str = ""
    raw: bytes = b""
    close_code: int | None = None


class Line:
    """A proved connection of an attacker's, and every frame that came back on it."""

    def __init__(self, who: Attacker, channel: Channel) -> None:
        self.who = who
        self.channel = channel
        self.frames: list[bytes] = []
        self.closed: Closed | None = None
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                raw = await self.channel.receive()
                self.came(raw)
                self.frames.append(raw)
                self._news.set()
        except Closed as closed:
            self.closed = closed
            self.ended(closed)
            self._news.set()

    def when_over(self, told: Callable[[], object]) -> None:
        """Calls `told` once nothing more comes."""
        self._reading.add_done_callback(lambda _: told())

    def ended(self, closed: Closed) -> None:
        """Hears once that nothing more comes, and why."""

    def came(self, raw: bytes) -> None:
        """Hears of each frame as it comes."""

    async def send(self, raw: bytes) -> None:
        """Sends one frame; if the peer closes meanwhile, `closed` says why."""
        with suppress(Closed):
            await self.channel.send(raw)

    async def hang_up(self) -> None:
        """Closes the connection, and returns once nothing more comes."""
        await self.channel.close()
        await self._reading

    async def wait(self, found: Callable[[], T | None], seconds: float = 10.0) -> T:
        """What `found` finds, as soon as it does.

        Raises:
            TimeoutError: It found nothing in time.
        """
        async with asyncio.timeout(seconds):
            while (value := found()) is None:
                self._news.clear()
                await self._news.wait()
        return value

    def answer(self, digests: set[Digest], since: int = 0) -> Told | None:
        """The refusal of a message with one of these digests, if it is among the frames from number `since` on."""
        for raw in self.frames[since:]:
            frame = json.loads(raw)
            if frame.get("type") in ("Fault", "Problem") and frame.get("of", "") in {*digests, ""}:
                return Told(frame["type"], frame["code"], frame.get("path", ""), raw)
        if self.closed is not None:
            return Told("close", self.closed.code, close_code=int(str(self.closed.detail["close_code"])))
        return None
