"""Logs of did:webvh DIDs for tests: made with the program's own writer, or spoiled on the way."""

from __future__ import annotations

import json
from typing import Any

from parties import Party
from undersigned.did import make_document
from undersigned.did.methods.webvh_log import SUITE, multihash
from undersigned.did.methods.webvh_write import UNNAMED, entry_proof, first_entry, log_line, next_entry
from undersigned.encoding import JsonObject, canonicalize
from undersigned.proof import attach, make_proof, prepare, proof_config

FIRST = "2026-11-01T00:00:00Z"
SECOND = "2026-11-10T00:00:00Z"
THIRD = "2026-11-20T00:00:00Z"


def signed(entry: JsonObject, party: Party) -> JsonObject:
    config = entry_proof(party.key.multikey, entry["versionTime"])
    return attach(entry, config, party.sign(prepare(entry, config, "Ed25519")))


def document_at(did: str, *keys: Party, also: tuple[str, ...] = (), service: str | None = None) -> JsonObject:
    """A document whose methods are `#<name of the party>`."""
    named = {party.name: party.key for party in keys}
    services = (("HireService", service),) if service else ()
    document = make_document(did, authentication=named, assertion_method=named, services=services)
    return {**document, "alsoKnownAs": list(also)} if also else document


class Log:
    """A log that grows, its controller and the witnesses' file beside it."""

    def __init__(self, location: str = "globex.example", *, controller: Party, key: Party, **parameters: Any) -> None:
        parameters = {"updateKeys": [controller.key.multikey], **parameters}
        service = parameters.pop("service", None)
        document = document_at(f"did:webvh:{UNNAMED}:{location}", key, service=service)
        entry = first_entry(document, now=parameters.pop("now", FIRST), **parameters)
        self.did: str = entry["state"]["id"]
        self.scid = self.did.split(":")[2]
        self.entries = [signed(entry, controller)]
        self.witnessed: list[JsonObject] = []

    def add(self, document: JsonObject, *, controller: Party, now: str = SECOND, **parameters: Any) -> JsonObject:
        entry = signed(next_entry(self.entries[-1], document, now=now, **parameters), controller)
        self.entries.append(entry)
        return entry

    def witness(self, version: int, *parties: Party) -> None:
        """Adds the proofs of these parties on an entry, counted from 1."""
        said = {"versionId": self.entries[version - 1]["versionId"]}
        self.witnessed.append({**said, "proof": [witness_proof(said, party) for party in parties]})

    @property
    def raw(self) -> bytes:
        return b"".join(map(log_line, self.entries))

    def fetched(self, did: str | None = None) -> dict[str, bytes]:
        """What is served for the DID, at its URLs."""
        location = (did or self.did).split(":", 3)[3]
        host, *path = location.replace("%3A", "\0").split(":")
        folder = "/".join([host.replace("\0", ":"), *(path or [".well-known"])])
        scheme = "http" if host.startswith("localhost") else "https"
        found = {f"{scheme}://{folder}/did.jsonl": self.raw}
        if self.witnessed:
            found[f"{scheme}://{folder}/did-witness.json"] = json.dumps(self.witnessed).encode()
        return found


def witness_proof(said: JsonObject, party: Party, **options: Any) -> JsonObject:
    config = {**proof_config(SUITE, f"{party.did}#{party.key.multikey}", "assertionMethod", SECOND), **options}
    return make_proof(said, config, party.sign(prepare(said, config, "Ed25519")))


def rehashed(entry: JsonObject, predecessor: str) -> JsonObject:
    """The entry with the hash that it has now; its proof is gone."""
    content = {name: value for name, value in entry.items() if name != "proof"}
    number = entry["versionId"].partition("-")[0]
    return {**content, "versionId": f"{number}-{multihash(canonicalize({**content, 'versionId': predecessor}))}"}
