"""The VC API of the W3C Credentials Community Group, on the control listener: issue, verify, prove, withdraw.

Requests are turned into calls of `undersigned.credentials` and of the register, which do all there is to do; here is
only the form of the API. Verifying makes every check there is, whatever `options.checks` asks for.

Source: protocol-spec/control.md; Verifiable Credential API v0.3, W3C Credentials Community Group
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, TypeVar, cast
from uuid import uuid4

import msgspec

from undersigned.credentials import (
    Credential,
    ShownPresentation,
    check_status,
    credential_config,
    read_credential,
    read_presentation,
    read_unsigned,
    verify_issued,
    verify_shown,
)
from undersigned.did import DidDocument
from undersigned.encoding import Did, JsonObject, to_struct
from undersigned.errors import ConfigurationError, CredentialError, FormatError, ProofError, UndersignedError
from undersigned.jsonld import Contexts
from undersigned.proof import attach, prepare, proof_config, proofs_of
from undersigned.runtime import FRESH_SECONDS, Agent, NewKeys, StatusRegister

from .control import ControlAnswer, Route, problem

__all__ = ["VcApi"]

_T = TypeVar("_T")

_DATA_MODEL: Final = "https://www.w3.org/TR/vc-data-model#"
_SECURITY: Final = "https://w3id.org/security#"
_STATUS_LIST: Final = "https://www.w3.org/ns/credentials/status-list#"
_PROBLEM_TYPES: Final = {
    "parse": _DATA_MODEL + "PARSING_ERROR",
    "schema": _DATA_MODEL + "MALFORMED_VALUE_ERROR",
    "context": _DATA_MODEL + "MALFORMED_VALUE_ERROR",
    "limit": _DATA_MODEL + "RANGE_ERROR",
    "proof": _SECURITY + "PROOF_VERIFICATION_ERROR",
    "identity": _SECURITY + "INVALID_VERIFICATION_METHOD",
    "status": _STATUS_LIST + "STATUS_VERIFICATION_ERROR",
    "challenge_mismatch": _SECURITY + "INVALID_CHALLENGE_ERROR",
    "status_unavailable": _STATUS_LIST + "STATUS_RETRIEVAL_ERROR",
}
"""What the standards call it, by code or by family of codes."""
_ENTRIES: Final = ("BitstringStatusListEntry", "BitstringStatusList")
"""The suites send the type of the entry, the example of the API that of the list."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A request. A member that is not known is refused, because it may be the one that asks for more care."""


class _IssueOptions(_Body, frozen=True):
    cryptosuite: str | None = None
    """By default the JCS suite of the issuer's key."""
    credential_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,2000}\Z")] | None = None
    """Names a credential without `id` to `/credentials/status`."""


class _Issue(_Body, frozen=True):
    credential: dict[str, Any]
    options: _IssueOptions = _IssueOptions()


class _VerifyOptions(_Body, frozen=True):
    checks: tuple[str, ...] = ()
    """All checks are made, whichever are named."""
    challenge: str | None = None
    domain: str | None = None


class _VerifyCredential(_Body, frozen=True):
    verifiable_credential: dict[str, Any]
    options: _VerifyOptions = _VerifyOptions()


class _VerifyPresentation(_Body, frozen=True):
    verifiable_presentation: dict[str, Any]
    options: _VerifyOptions = _VerifyOptions()


class _ProveOptions(_Body, frozen=True):
    cryptosuite: str | None = None
    challenge: str | None = None
    domain: str | None = None


class _Prove(_Body, frozen=True):
    presentation: dict[str, Any]
    options: _ProveOptions = _ProveOptions()


class _Entry(_Body, frozen=True):
    type: str
    status_purpose: str
    id: str | None = None
    status_list_index: str | None = None
    status_list_credential: str | None = None


class _Status(_Body, frozen=True):
    credential_id: str
    credential_status: _Entry
    status: bool = True
    index_allocator: str | None = None


class VcApi:
    """The routes of one agent: its organisation issues and withdraws, the agent issues and presents."""

    def __init__(self, agent: Agent, register: StatusRegister | None, contexts: Contexts) -> None:
        self._agent = agent
        self._register = register
        self._contexts = contexts
        self._new_keys = NewKeys(agent)

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """What the control listener serves of it."""
        return {
            ("POST", "/credentials/issue"): self._issue,
            ("POST", "/credentials/verify"): self._verify_credential,
            ("POST", "/credentials/status"): self._status,
            ("POST", "/presentations/prove"): self._prove,
            ("POST", "/presentations/verify"): self._verify_presentation,
        }

    # ------------------------------------------------------------------ issuing

    async def _issue(self, body: JsonObject) -> ControlAnswer:
        asked = to_struct(body, _Issue)
        suite, now = asked.options.cryptosuite, self._agent.clock.now()
        credential = read_unsigned(asked.credential, contexts=self._contexts)
        register, told = self._register, dict[str, str]()
        if register is not None and credential.issuer == register.issuer:
            named = asked.options.credential_id or f"urn:uuid:{uuid4()}"
            signed = register.secure(credential, suite, known_as=named, now=now, contexts=self._contexts)
            if "id" not in signed:
                told = {"credentialId": named}  # or nobody could withdraw it
        elif credential.issuer == self._agent.own.id:
            signed = await self._signed(
                credential.json, credential_config(suite or self._suite, self._agent.identity.method, now)
            )
        else:
            ours = " or ".join((self._agent.own.id, *([register.issuer] if register is not None else [])))
            raise CredentialError("schema_violation", f"expected an issuer that is {ours}", path="/credential/issuer")
        return ControlAnswer(201, {"verifiableCredential": signed, **told})

    async def _status(self, body: JsonObject) -> ControlAnswer:
        asked = to_struct(body, _Status)
        entry = asked.credential_status
        # The text of the API has the type of the list in its example, the suites have that of the entry.
        if entry.type not in _ENTRIES or entry.status_purpose != "revocation":
            raise CredentialError(
                "schema_violation", "expected a BitstringStatusListEntry for revocation", path="/credentialStatus"
            )
        if not asked.status:
            raise CredentialError("schema_violation", "expected true: what is withdrawn stays so", path="/status")
        if self._register is None:
            raise ConfigurationError("not_found", "this agent has no organisation, which could have issued it")
        found = self._register.find(asked.credential_id)
        if found.url is None:
            raise CredentialError("schema_violation", "expected a credential that has a status", path="/credentialId")
        # Which list and place it has is known here. A caller that says another one means another credential.
        said = (entry.status_list_credential or found.url, entry.status_list_index or str(found.place))
        if said != (found.url, str(found.place)):
            raise CredentialError("schema_violation", "expected the place of this credential", path="/credentialStatus")
        self._register.revoke(found.id, self._agent.clock.now())
        return ControlAnswer(200, {"credentialId": found.id, "status": True})

    # ------------------------------------------------------------------ presenting

    async def _prove(self, body: JsonObject) -> ControlAnswer:
        asked, identity = to_struct(body, _Prove), self._agent.identity
        document = {"holder": identity.did} | asked.presentation
        if "proof" in document:
            raise CredentialError("schema_violation", "expected a presentation without proof", path="/proof")
        if "engagement" in document:
            # What is shown to a party of an engagement, the agent's policy decides and nobody beside it.
            raise CredentialError("schema_violation", "the agent answers engagements itself", path="/engagement")
        shown = read_presentation(document, contexts=self._contexts)
        if shown.holder != identity.did:  # an envelope, which has none beside what is in it, was not read
            raise CredentialError("holder_mismatch", f"expected {identity.did} as holder", path="/holder")
        options = asked.options
        config = proof_config(
            options.cryptosuite or self._suite,
            identity.method,
            "authentication",
            self._agent.clock.now(),
            challenge=options.challenge,
            domain=options.domain,
        )
        return ControlAnswer(201, {"verifiablePresentation": await self._signed(document, config)})

    @property
    def _suite(self) -> str:
        return self._agent.identity.suite.replace("rdfc", "jcs")

    async def _signed(self, document: JsonObject, config: JsonObject) -> JsonObject:
        identity = self._agent.identity
        to_sign = prepare(document, config, identity.kind, contexts=self._contexts)
        return attach(document, config, await identity.sign(to_sign))

    # ------------------------------------------------------------------ verifying

    async def _verify_credential(self, body: JsonObject) -> ControlAnswer:
        asked = to_struct(body, _VerifyCredential)
        if asked.options.challenge is not None or asked.options.domain is not None:
            raise FormatError("unknown_term", "a credential answers no challenge", path="/options")
        try:
            credential = read_credential(asked.verifiable_credential, contexts=self._contexts)
            documents = await self._agent.documents_of((credential.issuer,), FRESH_SECONDS)
            verify = partial(verify_issued, credential, now=self._agent.clock.now(), contexts=self._contexts)
            await self._verified(verify, documents)
            await self._clear((credential,))
        except UndersignedError as error:
            return _verdict(error)
        return _verdict(None)

    async def _verify_presentation(self, body: JsonObject) -> ControlAnswer:
        asked = to_struct(body, _VerifyPresentation)
        try:
            shown = read_presentation(asked.verifiable_presentation, contexts=self._contexts)
            challenge, domain = _answers(shown)
            verify = partial(
                verify_shown,
                shown,
                # Only who names a challenge can know whether it is the right one.
                challenge=challenge if asked.options.challenge is None else asked.options.challenge,
                domain=domain if asked.options.domain is None else asked.options.domain,
                now=self._agent.clock.now(),
                contexts=self._contexts,
                foreign=True,
            )
            documents = await self._agent.documents_of(shown.parties, FRESH_SECONDS)
            await self._clear(await self._verified(verify, documents))
        except UndersignedError as error:
            return _verdict(error)
        return _verdict(None)

    async def _verified(self, verify: Callable[..., _T], documents: Mapping[Did, DidDocument]) -> _T:
        """What `verify` gives by these documents, or by a newer one of who signed by a key that is not listed there."""
        try:
            return verify(documents=documents)
        except UndersignedError as error:
            if await self._new_keys.renewed(error) is None:
                raise
        return verify(documents=await self._agent.documents_of(documents, FRESH_SECONDS))

    async def _clear(self, verified: tuple[Credential, ...]) -> None:
        """Returns if nothing was withdrawn, by lists that are fetched now."""
        lists = await self._agent.statuses.lists(verified, max_age_seconds=0.0)
        now = self._agent.clock.now()
        for one in verified:
            check_status(one, lists, now)


def _answers(shown: ShownPresentation) -> tuple[str | None, str | None]:
    """The challenge and the domain that a presentation says it answers."""
    if shown.jws is not None:
        said, names = shown.jws.payload, ("nonce", "aud")
    else:
        (first, *_), names = proofs_of(shown.json), ("challenge", "domain")
        said = cast("JsonObject", first) if isinstance(first, dict) else {}
    values = tuple(said.get(name) for name in names)
    if not all(value is None or isinstance(value, str) for value in values):
        raise ProofError("schema_violation", f"expected text in {' and '.join(names)}", path="/proof")
    return cast("tuple[str | None, str | None]", values)


def _verdict(error: UndersignedError | None) -> ControlAnswer:
    """200 and true, or 400 and what stands against it. What is a failure of ours is no verdict.

    Raises:
        UndersignedError: The error, if it is of our store or configuration.
    """
    if error is None:
        return ControlAnswer(200, {"verified": True, "problemDetails": []})
    if error.row.told == "never":
        raise error
    family = error.row.family
    told = problem(error)
    told["type"] = _PROBLEM_TYPES.get(error.code) or _PROBLEM_TYPES.get(family) or told["type"]
    return ControlAnswer(400, {"verified": False, "problemDetails": [told]})
