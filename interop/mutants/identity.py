"""Mutants of who somebody is: DIDs and their documents, keys, credentials and their status."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
from mutants import mutant, shown_anyway

from undersigned.credentials import model, presentation, status_list
from undersigned.did import DidDocument, document_from
from undersigned.did.methods import web
from undersigned.encoding import base64url_decode
from undersigned.errors import CredentialError, UndersignedError
from undersigned.interop.weak import ORDER
from undersigned.jsonld import canonical, processor
from undersigned.keys import ed25519
from undersigned.messages import codec
from undersigned.proof import data_integrity, verify_proof
from undersigned.runtime.fetching import fetcher as fetching
from undersigned.runtime.negotiation import meeting
from undersigned.transport import FailureBudget, proving

# ---------------------------------------------------------------------- DIDs and their documents


def _at_host(change: Any) -> None:
    """The host in a `did:web` is read as `change` spells it."""
    real = web.folder_url

    def folder_url(location: str, *, local: bool) -> str:
        return real(change(location), local=local)

    web.folder_url = folder_url


@mutant("takes a did:web in any spelling", "HIRE-DID-01", "did-web-in-capitals")
def _any_spelling() -> None:
    _at_host(lambda location: location.replace("LOCALHOST", "localhost"))


@mutant("dials an address that stands in a DID", "HIRE-DID-05", "did-web-of-an-address")
def _dials_addresses() -> None:
    _at_host(lambda location: location.replace("127.0.0.1", "localhost"))


def _read_as(change: Any) -> None:
    """A DID document is read as if `change` had been made to it, which is told whose it has to be."""
    real = DidDocument.__init__

    def init(self: Any, did: str, raw: bytes) -> None:
        value = json.loads(raw)
        change(value, did)
        real(self, did, json.dumps(value).encode())

    DidDocument.__init__ = init


@mutant("takes the document of another DID", "HIRE-DID-02", "did-document-of-another")
def _document_of_another() -> None:
    _read_as(lambda value, did: value.update(id=did))


@mutant("goes where a DID document is said to be", "HIRE-DID-04", "did-document-elsewhere")
def _follows() -> None:
    real = aiohttp.ClientSession._request

    async def request(self: Any, *args: Any, **options: Any) -> Any:
        return await real(self, *args, **options | {"allow_redirects": True})

    aiohttp.ClientSession._request = request


def _fetches(**limits: Any) -> None:
    real = fetching.GathererLimits
    fetching.GathererLimits = lambda: real(**limits)


@mutant("reads DID documents of any size", "HIRE-DID-04", "did-document-too-large")
def _any_size() -> None:
    _fetches(document_bytes=2**24)
    _read_as(lambda value, _: value.pop("alsoKnownAs", None))


@mutant("waits for a DID document as long as it takes", "HIRE-DID-08", "did-document-late")
def _waits() -> None:
    _fetches(seconds=60.0)


@mutant("takes a key whose controller is somebody else", "HIRE-KEY-04", "key-of-another-controller")
def _any_controller() -> None:
    def own(value: Any, did: str) -> None:
        for method in value.get("verificationMethod", ()):
            method["controller"] = did

    _read_as(own)


@mutant("follows a key into another document", "HIRE-KEY-05", "key-listed-elsewhere")
def _followed() -> None:
    real = proving._verify

    async def verified(raw: bytes, frame: Any, own: str, nonce: str, resolve: Any, now: Any) -> None:
        try:
            await real(raw, frame, own, nonce, resolve, now)
        except UndersignedError as error:
            method = (frame.proof or {}).get("verificationMethod", "")
            listed = (await resolve(frame.sender)).json["authentication"]
            if error.code != "key_not_authorized" or method not in listed:
                raise
            verify_proof(
                json.loads(raw),
                key=document_from(method.partition("#")[0], {}).key_for,
                purpose="authentication",
                now=now(),
                challenge=nonce,
                domain=own,
            )

    proving._verify = verified


@mutant("reads a signature as far as it needs to", "HIRE-KEY-02", "proof-above-the-order", "proof-too-long")
def _any_signature() -> None:
    real = ed25519.verify

    def verified(raw: bytes, signature: bytes, data: bytes) -> None:
        half = int.from_bytes(signature[32:64], "little") % ORDER
        real(raw, signature[:32] + half.to_bytes(32, "little"), data)

    ed25519.verify = verified
    real_decode = data_integrity.multibase_decode
    data_integrity.multibase_decode = lambda text, base: real_decode(text, base)[:64]


@mutant("forgives whoever connected any number of failures", "HIRE-LIM-02", "connection-budget-of-failures")
def _no_budget() -> None:
    FailureBudget.exhausted = lambda *_: False
    FailureBudget.count = lambda *_: False


# ---------------------------------------------------------------------- credentials


@mutant("takes credentials at any time", "HIRE-CRD-01", "credential-past", "credential-not-yet")
def _at_any_time() -> None:
    model.Credential.valid_at = lambda *_: True


@mutant("takes nothing of who shows a credential that is over", "HIRE-CRD-01", "credential-past-beside-a-good-one")
def _all_or_nothing() -> None:
    real = meeting.verify_presentation

    def verify(shown: Any, **options: Any) -> Any:
        verified = real(shown, **options)
        if len(verified.credentials) < len(shown.credentials):
            return msgspec.structs.replace(verified, credentials=())
        return verified

    meeting.verify_presentation = verify


@mutant("looks at the time of a credential before its signature", "HIRE-CRD-01", "credential-past-and-forged")
def _time_first() -> None:
    real = presentation.verify_issued

    def verified(credential: Any, *, now: str, **options: Any) -> Any:
        if not credential.valid_at(now):
            raise CredentialError("policy_denied", "not in its time")
        return real(credential, now=now, **options)

    presentation.verify_issued = verified


@mutant("takes credentials that nobody signed", "HIRE-CRD-01", "credential-unsigned")
def _unsigned() -> None:
    shown_anyway("proof_missing")


@mutant("takes credentials that others signed than they say", "HIRE-CRD-01", "credential-signed-by-another")
def _signed_by_anybody() -> None:
    shown_anyway("proof_invalid", "key_not_authorized")


@mutant("reads any number of credentials", "HIRE-CRD-03", "credential-seventeen")
def _any_number() -> None:
    presentation.MAX_CREDENTIALS = 1000


@mutant("reads credentials of any size", "HIRE-CRD-03", "credential-too-large", "credentials-too-large-together")
def _any_credential_size() -> None:
    presentation.MAX_PRESENTATION_BYTES = 2**20
    codec.MAX_MEMBER_BYTES = ()
    real = presentation.read_credential
    presentation.read_credential = lambda document, **options: real(document, **options | {"max_bytes": 2**20})


@mutant("asks any number of issuers", "HIRE-CRD-03", "credential-of-nine-issuers")
def _any_issuers() -> None:
    presentation.MAX_ISSUERS = 1000


@mutant("takes credentials in any context", "HIRE-CRD-10", "credential-other-context", "presentation-other-context")
def _any_context() -> None:
    unknown = "https://nobody.example/v1"
    real = model.check_contexts

    def check(document: Mapping[str, Any], *rest: Any) -> None:
        listed = [one for one in document.get("@context", ()) if one != unknown]
        real({**document, "@context": listed}, *rest)

    model.check_contexts = presentation.check_contexts = check


@mutant("canonicalizes whatever it is shown", "HIRE-LD-06", "credential-many-nodes")
def _no_limit() -> None:
    _limits(max_blank_nodes=10_000)


@mutant("labels nodes however long it takes", "HIRE-LD-08", "credential-alike-nodes")
def _patient() -> None:
    _limits(max_steps=10**9)


def _limits(**other: int) -> None:
    processor.document_quads.__kwdefaults__["limits"] = canonical.CANON_LIMITS._replace(**other)


# ---------------------------------------------------------------------- status


def _reads_lists(read: Any) -> None:
    """A status list that is packed wrongly is read by `read`."""
    real = status_list.decode_list

    def decode(encoded: str) -> bytes:
        try:
            return real(encoded)
        except CredentialError:
            return read(encoded)

    status_list.decode_list = decode


@mutant(
    "reads status lists however they are packed",
    "HIRE-STA-01",
    "status-list-without-multibase",
    "status-list-of-two-members",
    "status-list-too-short",
)
def _any_packing() -> None:
    _reads_lists(lambda encoded: gzip.decompress(base64url_decode(encoded.removeprefix("u"))))


@mutant("asks for a status list before it looks at what names it", "HIRE-STA-04", "status-list-after-the-proof")
def _asks_first() -> None:
    real = meeting.Meeting.check

    async def check(self: Any, engagement: Any, message: Any) -> None:
        for credential in meeting.read_presentation(message.presentation).credentials:
            with suppress(UndersignedError):
                await self._agent.statuses.lists([credential], max_age_seconds=0.0)
        await real(self, engagement, message)

    meeting.Meeting.check = check


@mutant("asks for the status lists of anybody", "HIRE-STA-04", "status-list-of-nobody")
def _asks_anybody() -> None:
    meeting.Meeting._counted = lambda self, credentials, *_, **__: tuple(credentials)
