"""A pack taken apart, to be changed and put together again; and what a kind of tampering is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.json import decode

from undersigned.encoding import JsonValue, canonicalize, digest_bytes, from_struct
from undersigned.errors import VerificationError
from undersigned.evidence.pack import MANIFEST, Pack

__all__ = ["Files", "Opened", "Tampering", "document_of", "flipped", "nothing"]

Files: TypeAlias = "dict[str, bytes]"
"""Members by name, the manifest among them."""


class Opened:
    """A pack taken apart, to be changed and put together again."""

    def __init__(self, pack: Pack) -> None:
        self.said = from_struct(pack.manifest)
        self.files: Files = dict(pack.members)
        self.kinds = {item.path: str(item.kind) for item in pack.manifest.members}
        self.times = {item.path: item.recorded_at for item in pack.manifest.members if item.recorded_at is not None}

    @property
    def messages(self) -> list[str]:
        """Paths of the transcript, in order."""
        return sorted(self.times)

    def first(self, kind: str, *types: str) -> str:
        """Path of the first member of a kind; of messages, of one of these types."""
        for path in sorted(self.files):
            if self.kinds[path] == kind and (not types or path.removesuffix(".json").rpartition("-")[2] in types):
                return path
        raise nothing(" or ".join(types) or kind)

    def json(self, path: str) -> Any:
        """What a member says."""
        return decode(self.files[path])  # it was read strictly when the pack was

    def put(self, path: str, data: bytes, kind: str | None = None) -> None:
        """Sets a member."""
        self.files[path], self.kinds[path] = data, kind or self.kinds[path]

    def take(self, path: str) -> bytes:
        """The member, which is gone then."""
        self.kinds.pop(path)
        self.times.pop(path, None)
        return self.files.pop(path)

    def transcript(self, paths: list[str], times: list[str] | None = None) -> None:
        """Sets the transcript: these messages in this order, numbered anew, and the statements that they carry."""
        held = [(path, self.files[path], self.times[path]) for path in paths]
        statements = {path: self.files[path] for path, kind in self.kinds.items() if kind == "statement"}
        for path in (*self.messages, *statements):
            self.take(path)
        for number, (path, data, at) in enumerate(held, 1):
            before, name = path.removeprefix("transcript/")[:4], path.removeprefix("transcript/")[4:]
            new = f"transcript/{number:04d}{name}"
            self.put(new, data, "message")
            self.times[new] = times[number - 1] if times is not None else at
            for carried, statement in statements.items():
                if carried.startswith(f"statements/{before}"):
                    rest = carried.removeprefix(f"statements/{before}")
                    self.put(f"statements/{number:04d}{rest}", statement, "statement")

    def all(self, **changes: Any) -> Files:
        """The members and a manifest that agrees with them; `changes` are members of the manifest."""
        listed: list[JsonValue] = [
            {"path": path, "digest": digest_bytes(data), "kind": self.kinds[path]}
            | ({"recordedAt": self.times[path]} if path in self.times else {})
            for path, data in sorted(self.files.items())
        ]
        return {**self.files, MANIFEST: canonicalize({**self.said, "members": listed, **changes})}


class Tampering(Struct, frozen=True):
    """One kind of tampering."""

    says: str
    """What was changed."""
    step: int
    """The step that refuses it; `key` and `weak-key` get to the next, where a DID is not its own key."""
    make: Callable[[Opened], Files]


def document_of(pack: Opened, did: str) -> tuple[str, Any]:
    """Path of the DID document of `did`, and what it says."""
    for path, kind in pack.kinds.items():
        if kind == "did-document" and (document := pack.json(path)).get("id") == did:
            return path, document
    raise nothing(f"document of {did}")


def flipped(data: bytes) -> bytes:
    """The same, but for one bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def nothing(what: str) -> VerificationError:
    """That a pack holds nothing of a kind."""
    return VerificationError("evidence_invalid", f"there is no {what} in this pack to tamper with")
