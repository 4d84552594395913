"""Counts what a hire does, by replacing functions of the library inside this process.

Each operation notes for which side it was done, which line of the library wanted it, and whether it was needed. Not
needed is what one side does to the same bytes a second time, and what it checks or reads though it wrote it itself.
Nothing of this runs while time is taken: what was counted is kept as a tape, which the floor plays back.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import undersigned.daemon  # loads every module that a hire runs through, before any name in them is replaced
from undersigned.encoding import strict_json
from undersigned.keys import PublicKey
from undersigned.ledger import Commit
from undersigned.ledger.sqlite_writer import Writer
from undersigned.runtime import Body
from undersigned.runtime.artifacts.folder import Files
from undersigned.runtime.fetching.fetcher import Fetcher
from undersigned.runtime.signers import PrivateKey
from undersigned.transport import AcceptedChannel
from undersigned.transport.websocket import DialledChannel

from .pair import HIRER, PROVIDER, SIDE

__all__ = ["KINDS", "Op", "Tape", "counting"]

KINDS = {
    "sign": "signatures",
    "verify": "verifications",
    "base58": "base58 of signatures",
    "jcs": "canonical JSON: documents",
    "options": "canonical JSON: proof options",
    "parts": "canonical JSON: parts of a message",
    "quads": "canonical quads: documents",
    "option-quads": "canonical quads: proof options",
    "general": "general JSON-LD processor",
    "decode": "strict JSON read",
    "convert": "JSON to struct and back (not in the floor)",
    "sha256": "SHA-256",
    "send": "socket messages",
    "http": "HTTP requests",
    "write": "durable writes",
    "file": "artifact files written",
}
"""What is counted, in the order of the report."""

_CARRIERS = ("encoding/", "keys/", "proof/", "jsonld/", "runtime/signers.py")
"""What only carries out what others want."""
_SOURCE = str(Path(undersigned.daemon.__file__).parent.parent) + "/"
_sorted = msgspec.json.Encoder(order="sorted").encode


class Op(NamedTuple):
    """One operation."""

    kind: str
    side: str
    payload: Any
    """What the floor needs to do the same."""
    site: str
    """File, line and function that wanted it."""
    needed: bool


class Tape:
    """What was done, in order."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._seen: defaultdict[tuple[str, str], set[Any]] = defaultdict(set)
        self._written: defaultdict[str, set[bytes]] = defaultdict(set)
        """Bytes that a side made itself: canonical forms, signatures, messages."""
        self._options: set[bytes] = set()
        self.in_quads = False
        """Whether quads are being written: the canonical JSON of their literals is part of that."""

    def add(
        self, kind: str, payload: Any, key: Any, *, made: bytes | None = None, foreign: bytes | None = None
    ) -> None:
        """Notes an operation. `key` is what it was done to, `made` what came of it; `foreign` has to come from the
        other side for the operation to make sense.
        """
        side = _side()
        seen = self._seen[side, kind]
        needed = key not in seen and (foreign is None or foreign not in self._written[side])
        seen.add(key)
        if made is not None:
            self._written[side].add(made)
        self._note(kind, payload, needed)

    def _note(self, kind: str, payload: Any, needed: bool) -> None:
        self.ops.append(Op(kind, _side(), payload, _site(), needed))

    def add_options(self, kind: str, payload: Any, written: bytes) -> None:
        """Notes that the options of a proof were written: needed each time that a cryptosuite hashes them, however
        alike two proofs of one second are.
        """
        self._options.add(written)
        self._note(kind, payload, "/proof/suites/" in sys._getframe(2).f_code.co_filename)

    def add_hash(self, data: bytes) -> None:
        """Notes a hash."""
        self.add("sha256", data, object() if data in self._options else data)

    def wrote(self, made: bytes) -> None:
        """Notes bytes that this side made."""
        self._written[_side()].add(made)

    def done(self) -> Counter[str]:
        """How often each kind was done."""
        return Counter(op.kind for op in self.ops)

    def needed_ops(self) -> list[Op]:
        """The tape without what was not needed."""
        writes = {
            id(op)
            for side in (HIRER, PROVIDER)
            for op in _needed_writes([op for op in self.ops if op.kind == "write" and op.side == side])
        }
        return [op for op in self.ops if (id(op) in writes if op.kind == "write" else op.needed)]

    def needed(self) -> Counter[str]:
        """How often each kind was needed."""
        return Counter(op.kind for op in self.needed_ops())

    def sites(self) -> list[tuple[str, str, int, int]]:
        """Kind, site, how often done, how often needed; in the order of the kinds, the most frequent first."""
        done = Counter((op.kind, op.site) for op in self.ops)
        needed = Counter((op.kind, op.site) for op in self.needed_ops())
        order = list(KINDS)
        return sorted(
            ((kind, site, count, needed[kind, site]) for (kind, site), count in done.items()),
            key=lambda row: (order.index(row[0]), -row[2], row[1]),
        )

    def bytes_sent(self, side: str) -> int:
        """Bytes of the messages that a side sent."""
        return sum(len(op.payload) for op in self.ops if op.kind == "send" and op.side == side)

    def sent(self, side: str) -> list[str]:
        """Types of the messages that a side sent, in order."""
        return [
            str(msgspec.json.decode(op.payload)["type"]) for op in self.ops if op.kind == "send" and op.side == side
        ]


_TAKES_TIME = frozenset({"Start", "Delivery"})
"""Moves whose answer is work: their receipt does not wait for it, so they are stored by themselves."""
_LOGGED_FIRST = frozenset({"Acceptance"})
"""Moves whose answer states a place in the log, which there is only once they are stored."""


def _needed_writes(writes: Sequence[Op]) -> Iterator[Op]:
    """The transactions that one side cannot do without.

    One for each turn that takes moves of the peer and answers them: what is received is on disk before it is answered,
    what is sent before it leaves. Notices and facts go with the next. One more for each booking of an action, which has
    to be there before the action is taken; settling it can go with the next turn, as can a signed checkpoint.
    """
    before: dict[str, str] = {}
    for op in writes:
        if isinstance(op.payload, Commit):
            moves = [row for row in op.payload.rows if row.sequence is not None]
            answers = bool(moves) and all(row.kind == "sent" for row in moves)
            asked = before.get(op.payload.engagement, "")
            if moves and not (answers and asked and asked not in _TAKES_TIME | _LOGGED_FIRST):
                yield op
            received = moves and moves[-1].kind == "received"
            before[op.payload.engagement] = moves[-1].type if received else ""
        elif type(op.payload).__name__ == "Reservation":
            yield op


def _side() -> str:
    thread = threading.current_thread()
    if isinstance(thread, Writer):
        return PROVIDER if PROVIDER in str(thread._path) else HIRER
    return SIDE.get()


def _site() -> str:
    frame = sys._getframe(1)
    last = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_SOURCE):
            name = name.removeprefix(_SOURCE)
            last = f"{name}:{frame.f_lineno} {frame.f_code.co_name}"
            if not name.startswith(_CARRIERS):
                return last
        frame = frame.f_back
    return last or "(a thread)"


def _is_options(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "DataIntegrityProof" and "proofValue" not in value


def _replacements(tape: Tape) -> dict[Any, Callable[..., Any]]:
    """Functions of modules, each with what stands in for it."""
    from hashlib import new, sha256

    from undersigned.encoding import canonicalize, from_struct, multibase_decode, multibase_encode, write_canonical
    from undersigned.jsonld import compiled_quads, document_quads
    from undersigned.messages.codec import read_canonical

    def jcs(real: Callable[[Any], bytes], guarded: bool) -> Callable[[Any], bytes]:
        def counted(value: Any) -> bytes:
            written = real(value)
            if tape.in_quads:
                return written
            kept = value if isinstance(value, msgspec.Struct) else msgspec.json.decode(written)
            if _is_options(value):
                tape.add_options("options", (kept, guarded), written)
            else:
                whole = guarded or isinstance(value, msgspec.Struct) or "@context" in value
                tape.add("jcs" if whole else "parts", (kept, guarded), written, made=written)
            return written

        return counted

    def quads(document: Any, **options: Any) -> bytes:
        tape.in_quads = True
        try:
            written = compiled_quads(document, **options)
        finally:
            tape.in_quads = False
        kept = msgspec.json.decode(_sorted(document))
        if _is_options(document):
            tape.add_options("option-quads", kept, written)
        else:
            tape.add("quads", kept, written)
        return written

    def general(document: Any, **options: Any) -> bytes:
        tape.add("general", None, _sorted(document))
        return document_quads(document, **options)

    def decode(raw: bytes, *limits: Any) -> Any:
        tape.add("decode", raw, raw, foreign=raw)
        return decode_canonical(raw, *limits)

    def read(raw: bytes, *more: Any) -> Any:
        tape.add("decode", raw, raw, foreign=raw)
        tape.add("convert", None, raw)
        return read_canonical(raw, *more)

    def converted(value: Any, type: Any, **options: Any) -> Any:
        tape.add("convert", None, (str(type), _sorted(value)))
        return convert(value, type, **options)

    def json_of(struct: Any) -> Any:
        tape.add("convert", None, _sorted(struct))
        return from_struct(struct)

    def hashed(data: bytes = b"", **options: Any) -> Any:
        tape.add_hash(data)
        return sha256(data, **options)

    def hashed_by_name(name: str, data: bytes = b"", **options: Any) -> Any:
        tape.add_hash(data)
        return new(name, data, **options)

    def encoded(prefix: str, data: bytes) -> str:
        if prefix == "z":
            tape.add("base58", data, data)
        return multibase_encode(prefix, data)

    def decoded(text: str, allowed: str = "zu") -> bytes:
        if text[:1] == "z":
            tape.add("base58", text, text)
        return multibase_decode(text, allowed)

    convert, decode_canonical = msgspec.convert, strict_json.decode_json_canonical
    return {
        canonicalize: jcs(canonicalize, True),
        write_canonical: jcs(write_canonical, False),
        compiled_quads: quads,
        document_quads: general,
        decode_canonical: decode,
        read_canonical: read,
        convert: converted,
        from_struct: json_of,
        sha256: hashed,
        new: hashed_by_name,
        multibase_encode: encoded,
        multibase_decode: decoded,
    }


def _methods(tape: Tape) -> list[tuple[type, str, Callable[..., Any]]]:
    """Methods of classes, each with what stands in for it."""
    sign, verify, submit = PrivateKey.sign_now, PublicKey.verify, Writer.submit
    fetch, opens, put = Fetcher.fetch, Fetcher.open, Files._write
    dialled, accepted = DialledChannel.send, AcceptedChannel.send

    def signed(self: PrivateKey, data: bytes) -> bytes:
        signature = sign(self, data)
        tape.add("sign", data, data, made=signature)
        return signature

    def verified(self: PublicKey, signature: bytes, data: bytes, **options: Any) -> None:
        tape.add("verify", (self.raw, signature, data), signature + data, foreign=signature)
        verify(self, signature, data, **options)

    def submitted(self: Writer, write: Any) -> Any:
        tape.add("write", write, object())
        return submit(self, write)

    async def fetched(self: Fetcher, url: str, **options: Any) -> bytes:
        body = await fetch(self, url, **options)
        tape.add("http", (options.get("headers", ()), body), object())
        return body

    @asynccontextmanager
    async def opened(self: Fetcher, url: str, **options: Any) -> AsyncIterator[Body]:
        got = bytearray()
        async with opens(self, url, **options) as body:

            async def chunks() -> AsyncGenerator[bytes]:
                async for chunk in body.chunks:
                    got.extend(chunk)
                    yield chunk

            yield body._replace(chunks=chunks())
        tape.add("http", (options.get("headers", ()), bytes(got)), object())

    def sender(send: Callable[[Any, bytes], Any]) -> Callable[..., Any]:
        async def sent(self: Any, data: bytes) -> None:
            tape.add("send", data, object())
            await send(self, data)

        return sent

    def kept(self: Files, digest: str, data: bytes, under: str | None) -> Any:
        tape.add("file", data, object())
        return put(self, digest, data, under)

    return [
        (PrivateKey, "sign_now", signed),
        (PublicKey, "verify", verified),
        (Writer, "submit", submitted),
        (Fetcher, "fetch", fetched),
        (Fetcher, "open", opened),
        (Files, "_write", kept),
        (DialledChannel, "send", sender(dialled)),
        (AcceptedChannel, "send", sender(accepted)),
    ]


@contextmanager
def counting() -> Iterator[Tape]:
    """Counts everything that is done in this process until the block ends."""
    tape = Tape()
    undo: list[Callable[[], None]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        old = vars(owner)[name]
        undo.append(lambda: setattr(owner, name, old))
        setattr(owner, name, value)

    replacements = {id(real): counted for real, counted in _replacements(tape).items()}
    for module in [msgspec, *(found for name, found in sys.modules.items() if name.startswith("undersigned."))]:
        for name, value in list(vars(module).items()):
            if id(value) in replacements:
                put(module, name, replacements[id(value)])
    for owner, name, counted in _methods(tape):
        put(owner, name, counted)
    try:
        yield tape
    finally:
        for step in reversed(undo):
            step()
