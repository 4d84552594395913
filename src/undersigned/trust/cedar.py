"""Policy as code, in Cedar: read strictly, checked against our schema, and asked. Needs the extra `cedar`.

Policies in Cedar narrow the rules in TOML and never widen them. What Cedar does not permit is refused, and so is what
it could not work out: in Cedar a policy that fails is left out of the answer, and the one left out may be the one
that forbids. A `forbid` that says `@outcome("ask")` sends a contract to a person, if the others permit it.

cedarpy is used here alone.

Source: protocol-spec/13-policy.md, section 13.2
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from undersigned.credentials import MEMBERSHIP
from undersigned.errors import ConfigurationError
from undersigned.trust.cedar_request import CedarRequest

if TYPE_CHECKING:
    from cedarpy import AuthzResult, PolicySet, Schema

__all__ = ["CedarFinding", "CedarPolicies", "CedarPolicy", "cedar_schema", "judge_by_cedar", "read_cedar"]

_ANNOTATIONS: Final = frozenset({"id", "outcome", "needs", "would_pass"})
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")
_EVALUATING: Final = re.compile(r"error while evaluating policy `([A-Za-z0-9._-]+)`: ")
_MAX_TEXT: Final = 1000
_MAX_DEPTH: Final = 64
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*', re.DOTALL)
_LONG_NAME: Final = re.compile(rf"(?:\.\s*\w+\s*){{{_MAX_DEPTH + 1}}}")
_BRACKET: Final = re.compile(r"[(\[{)\]}]")


class CedarPolicy(NamedTuple):
    """One policy of a text in Cedar."""

    id: str
    """What `@id` says; else `policy` and its place, from 0."""
    effect: Literal["permit", "forbid"]
    asks: bool
    """Whether a person decides about what it forbids: `@outcome("ask")`."""
    needs: str | None
    """Type of credential that would change its answer: `@needs`."""
    looks_for: tuple[str, ...]
    """Types of credential that its conditions ask about."""
    reads_reputation: bool
    """Whether its conditions ask how well the party is spoken of."""
    would_pass: str
    """What would pass, in words: `@would_pass`; empty if it does not say."""
    text: str
    """The policy alone, in Cedar."""


class CedarPolicies(NamedTuple):
    """A text in Cedar that was read and checked."""

    policies: tuple[CedarPolicy, ...]
    every: PolicySet
    firm: PolicySet
    """Without those that ask a person."""


class CedarFinding(NamedTuple):
    """One thing that Cedar had to say."""

    code: Literal["met", "policy_denied", "approval_required"]
    clause: str
    """`cedar:` and the id of the policy that decided; `cedar` alone if none did."""
    value: str
    would_pass: str = ""
    needs: str | None = None


def cedar_schema() -> str:
    """The schema that policies are checked against, in Cedar's own form."""
    return files("undersigned.trust").joinpath("hire.cedarschema").read_text(encoding="utf-8")


@lru_cache(maxsize=16)
def read_cedar(text: str) -> CedarPolicies:
    """The policies in a text, once each of them can be meant.

    Raises:
        ConfigurationError: `missing_extra`: cedarpy is not installed; `bad_configuration`: not Cedar, or nested deeper
            than its JSON form may be (some sixty operators in one another), a template, an annotation that is not
            ours, two of one id, or a policy that the schema does not allow.
    """
    cedarpy, depth = _cedarpy(), 0
    plain = _QUOTED.sub("", text)
    if _LONG_NAME.search(plain):
        # Each takes the engine longer than the one before, so that thousands take it minutes.
        raise _bad(f"more than {_MAX_DEPTH} members of members are nested too deep")
    for bracket in _BRACKET.findall(plain):
        depth += 1 if bracket in "([{" else -1
        if depth > _MAX_DEPTH:
            # The engine's parser calls itself, and would end the process.
            raise _bad(f"brackets are nested deeper than {_MAX_DEPTH}")
    # Step 1: it is Cedar, and only policies.
    try:
        in_json = cedarpy.policies_to_json_str(text)
    except ValueError as exc:
        hint = "" if ";" in text else "; a file of policies is named by cedar_file"
        raise _bad(f"not read: {exc}{hint}") from exc
    try:
        return _read(json.loads(in_json), text)
    except (ValueError, RecursionError) as exc:
        # The JSON form of what Cedar has read goes as deep as its expressions, and no reader of JSON goes on for ever.
        raise _bad("an expression is nested too deep: write it as several policies, or with a set") from exc


def _read(read: dict[str, Any], text: str) -> CedarPolicies:
    if read["templates"]:
        raise _bad("a template permits and forbids nothing: write whole policies")

    # Step 2: each means one thing, and has a name of its own.
    policies: dict[str, CedarPolicy] = {}
    written: dict[str, dict[str, Any]] = {}
    for place, found in sorted(read["staticPolicies"].items(), key=lambda one: (len(one[0]), one[0])):
        policy = _policy(place, found)
        if policy.id in policies:
            raise _bad(f"two policies are called {policy.id}")
        policies[policy.id], written[policy.id] = policy, found

    # Step 3: it asks only for what a request can tell.
    checked = _cedarpy().validate_policies(text, _schema())
    if not checked.validation_passed:
        called = {place: _name(place, found) for place, found in read["staticPolicies"].items()}
        errors = (_renamed(error.error, called) for error in checked.errors)
        raise _bad("; ".join(errors)[:2000])
    return CedarPolicies(
        policies=tuple(policies.values()),
        every=_set(written),
        firm=_set({name: found for name, found in written.items() if not policies[name].asks}),
    )


def judge_by_cedar(text: str, asked: CedarRequest) -> tuple[CedarFinding, ...]:
    """What the policies in `text` say to a request: at least one finding, and none but `met` only if they permit it.

    Raises:
        ConfigurationError: As `read_cedar`.
    """
    read = read_cedar(text)
    by_id = {policy.id: policy for policy in read.policies}

    # Step 1: what no person can overrule.
    answer = _ask(asked, read.firm)
    if broken := _broken(answer, asked):
        return broken
    if not answer.allowed:
        forbidding = [by_id[name] for name in sorted(answer.diagnostics.reasons)]
        if forbidding:
            return tuple(_finding("policy_denied", policy, asked) for policy in forbidding)
        return _unpermitted(read.policies, asked)
    permitted = tuple(_finding("met", by_id[name], asked) for name in sorted(answer.diagnostics.reasons))

    # Step 2: what a person is asked about. These only forbid, so they cannot have permitted it either.
    answer = _ask(asked, read.every)
    if broken := _broken(answer, asked):
        return broken
    if answer.allowed:
        return permitted
    return tuple(_finding("approval_required", by_id[name], asked) for name in sorted(answer.diagnostics.reasons))


def _cedarpy() -> Any:
    try:
        import cedarpy
    except ImportError as exc:
        raise ConfigurationError(
            "missing_extra", "a policy in Cedar needs an extra: pip install 'undersigned[cedar]'"
        ) from exc
    return cedarpy


@lru_cache(maxsize=1)
def _schema() -> Schema:
    return _cedarpy().Schema.from_str(cedar_schema())


def _set(policies: Mapping[str, dict[str, Any]]) -> PolicySet:
    """The policies under their names, which answers then give as reasons."""
    return _cedarpy().PolicySet.from_json_str(_json(policies))


def _json(policies: Mapping[str, Mapping[str, Any]]) -> str:
    whole: dict[str, Any] = {"templates": {}, "staticPolicies": policies, "templateLinks": []}
    return json.dumps(whole)


def _policy(place: str, found: Mapping[str, Any]) -> CedarPolicy:
    annotations: dict[str, str | None] = found.get("annotations", {})
    name = _name(place, found)
    if unknown := sorted(set(annotations) - _ANNOTATIONS):
        raise _bad(f"{name}: expected @{', @'.join(sorted(_ANNOTATIONS))}; came @{unknown[0]}")
    for annotation, value in annotations.items():
        # A bare annotation is one with an empty text.
        if not value or len(value) > _MAX_TEXT or not value.isprintable():
            raise _bad(f"{name}: @{annotation} needs a text of at most {_MAX_TEXT} characters that print")
    if not _ID.fullmatch(name):
        raise _bad(f"{name}: @id takes letters, digits, '.', '_' and '-', at most 64")
    outcome, needs = annotations.get("outcome"), annotations.get("needs")
    if outcome not in (None, "ask"):
        raise _bad(f'{name}: expected @outcome("ask"); came @outcome("{outcome}")')
    if outcome and found["effect"] != "forbid":
        raise _bad(f"{name}: only a forbid can ask a person")
    if needs is not None and not _TYPE.fullmatch(needs):
        raise _bad(f"{name}: @needs takes the type of a credential; came {needs}")
    return CedarPolicy(
        id=name,
        effect=found["effect"],
        asks=outcome == "ask",
        needs=needs,
        looks_for=tuple(dict.fromkeys(_looked_for(name, found))),
        # A name that only looks like it costs a question, and a missed one would be an attribute that is never there.
        reads_reputation='"reputation"' in json.dumps(found["conditions"]),
        would_pass=annotations.get("would_pass") or "",
        text=_cedarpy().policies_from_json_str(_json({name: found})).strip(),
    )


def _looked_for(name: str, found: Any) -> Generator[str]:
    """The types in the names of tags, and that of membership where somebody is `in` an organisation."""
    if isinstance(found, list):
        for one in cast("list[Any]", found):
            yield from _looked_for(name, one)
    if not isinstance(found, dict):
        return
    if isinstance(record := cast("dict[str, Any]", found).get("Record"), dict):
        # Its names are the writer's own, whatever operators are called.
        found = dict(enumerate(cast("dict[str, Any]", record).values()))
    for member, value in cast("dict[str, Any]", found).items():
        if member in ("hasTag", "getTag"):
            tag = value["right"].get("Value")
            if not isinstance(tag, str):
                # Whoever is judged could have a say in what is looked at, and nobody could be asked to show it.
                raise _bad(f'{name}: {member} takes a text, such as "MembershipCredential"')
            yield tag.partition(" by ")[0]
        elif member == "in" or (member == "principal" and value.get("op") == "in"):
            yield MEMBERSHIP
        yield from _looked_for(name, value)


def _name(place: str, found: Mapping[str, Any]) -> str:
    return found.get("annotations", {}).get("id") or place


def _ask(asked: CedarRequest, policies: PolicySet) -> AuthzResult:
    return _cedarpy().is_authorized(asked.request, policies, asked.entities, _schema())


def _broken(answer: AuthzResult, asked: CedarRequest) -> tuple[CedarFinding, ...]:
    """What could not be worked out. The answer beside it counts for nothing.

    The engine's own words are left out: another release may have others, and a decision is made again word for word.
    """
    errors = answer.diagnostics.errors
    named = sorted({found[1] for error in errors if (found := _EVALUATING.match(error))})
    if len(named) < len(errors) or answer.decision.value == "NoDecision":
        named.append("")
    return tuple(
        CedarFinding(
            "policy_denied",
            f"cedar:{name}" if name else "cedar",
            f"could not be evaluated on {asked.summary}",
            f"what {name or 'Cedar'} can be evaluated on",
        )
        for name in named
    )


def _unpermitted(policies: Iterable[CedarPolicy], asked: CedarRequest) -> tuple[CedarFinding, ...]:
    """Nothing permits it. What a `permit` says that it needs would change that."""
    permits = [policy for policy in policies if policy.effect == "permit"]
    said = [policy for policy in permits if policy.needs or policy.would_pass]
    named = " or ".join(policy.id for policy in permits)
    if not said:
        hint = f"what {named} permits" if named else "a policy that permits it"
        return (CedarFinding("policy_denied", "cedar", f"no policy permits {asked.summary}", hint),)
    return tuple(
        CedarFinding("policy_denied", "cedar", f"no policy permits {asked.summary}", _would_pass(policy), policy.needs)
        for policy in said
    )


def _finding(
    code: Literal["met", "policy_denied", "approval_required"], policy: CedarPolicy, asked: CedarRequest
) -> CedarFinding:
    clause = f"cedar:{policy.id}"
    if code == "met":
        return CedarFinding(code, clause, f"permits {asked.summary}")
    hint = _would_pass(policy)
    if code == "approval_required":
        return CedarFinding(code, clause, f"asks about {asked.summary}", f"{hint}, or a person's approval")
    return CedarFinding(code, clause, f"forbids {asked.summary}", hint, policy.needs)


def _would_pass(policy: CedarPolicy) -> str:
    needed = f"one {policy.needs} that counts" if policy.needs else ""
    does = "permits" if policy.effect == "permit" else "does not forbid"
    return policy.would_pass or needed or f"what {policy.id} {does}"


def _renamed(message: str, called: Mapping[str, str]) -> str:
    """A message of Cedar with the names that people gave."""
    return re.sub(r"`(policy\d+)`", lambda found: f"`{called.get(found[1], found[1])}`", message)


def _bad(message: str) -> ConfigurationError:
    return ConfigurationError("bad_configuration", f"cedar: {message}")
