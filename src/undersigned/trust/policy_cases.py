"""A policy tried out on peers and terms that nobody has met: one hypothetical, or a file of cases with what must come.

A case is decided by `evaluate`, as a peer is. Only what comes before it is supposed: that the presentation and the
credentials in it were verified, and what their status lists said. So such a decision is never recorded.

Source: protocol-spec/13-policy.md, section 13.3
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import ndiff
from typing import Annotated, Any, Final, Literal, NamedTuple, cast

from msgspec import Meta, Struct
from msgspec.structs import replace

from undersigned.contract import Deadlines, Deliverable, Price, Task, Terms, draft_terms
from undersigned.credentials import (
    CLAIMS,
    ClearStatus,
    Credential,
    VerifiedPresentation,
    build_credential,
    read_claim,
    read_credential,
    status_entry,
)
from undersigned.encoding import (
    Did,
    EngagementId,
    Instant,
    canonicalize,
    digest_bytes,
    from_struct,
    shift,
    to_struct,
    write_canonical,
)
from undersigned.errors import ConfigurationError, CredentialError, FormatError
from undersigned.scope import SKETCH_BASE, Scope, compile_scope
from undersigned.trust.anchors import Anchor, Anchors
from undersigned.trust.answers import Answers, asked_about
from undersigned.trust.decision import Decision, Outcome
from undersigned.trust.edge import Edge, edge_of
from undersigned.trust.evaluate import evaluate
from undersigned.trust.graph import Graph
from undersigned.trust.policy import Policy, Stake
from undersigned.trust.viewpoint import Viewpoint

__all__ = [
    "Case",
    "CaseResult",
    "Expected",
    "Hypothetical",
    "SupposedCredential",
    "SupposedEdge",
    "decide",
    "read_cases",
    "run_case",
]

Name = Annotated[str, Meta(min_length=1, max_length=128)]

_ENGAGEMENT: Final[EngagementId] = f"urn:hire:engagement:{digest_bytes(b'a policy is tried out')}"
_LIST: Final = "https://status.example/1"
_DAY: Final = 86_400
_HOUR: Final = 3_600


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of a file of cases; unknown names are refused."""


class SupposedCredential(_Part, frozen=True, kw_only=True):
    """A credential about the peer that counts as verified."""

    type: Name
    issuer: Did
    valid_from: Instant | None = None
    """By default a day before."""
    valid_until: Instant | None = None
    """By default a day after."""
    status: Literal["none", "clear", "unknown"] = "none"
    """`none`: it has no status; `clear`: its list was looked at, and nothing is there; `unknown`: it could not be."""
    claims: dict[str, Any] = {}
    """What it says of the peer beside its `id`. In one of our own types the member that names the issuer is filled."""


class SupposedEdge(SupposedCredential, frozen=True, kw_only=True):
    """A credential that the trust graph has; one about work is of a contract that both have signed, and one that
    accuses stands beside its evidence.
    """

    about: Did


class Hypothetical(_Part, frozen=True, kw_only=True):
    """Who might come, with what, on which terms, and when."""

    now: Instant
    peer: Did
    anchors: tuple[Did | Anchor, ...] = ()
    credentials: Annotated[tuple[SupposedCredential, ...], Meta(max_length=16)] = ()
    graph: tuple[SupposedEdge, ...] = ()
    """What others say of others."""
    stake: Stake | None = None
    """What it is about, while there are no terms."""
    terms: dict[str, Any] | None = None
    """Members of the terms of a contract, laid over cautious ones; `scope` as in a scope file. None: only meeting."""


class Expected(_Part, frozen=True, kw_only=True):
    """What must come; what is not named is not looked at."""

    outcome: Outcome
    reasons: tuple[str, ...] | None = None
    """`CODE CLAUSE` of each reason that is not `met`, in order."""
    needed: tuple[dict[str, Any], ...] | None = None
    """What would change the answer, in order, with the members that `Withdraw` sends."""


class Case(Hypothetical, frozen=True, kw_only=True):
    """A hypothetical, and what must come of it."""

    name: Name
    expect: Expected


class CaseResult(NamedTuple):
    """What came of a case."""

    case: Case
    decision: Decision
    difference: tuple[str, ...]
    """Lines that begin with `-` for what was expected, `+` for what came, and a space for both; empty if it passed."""

    @property
    def passed(self) -> bool:
        """Whether it came as expected."""
        return not self.difference


class _File(_Part, frozen=True, kw_only=True):
    case: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1)]
    now: Instant | None = None
    peer: Did | None = None
    anchors: tuple[Did | Anchor, ...] | None = None


def read_cases(table: Mapping[str, Any]) -> tuple[Case, ...]:
    """The cases in a parsed TOML file: `[[case]]`, and `now`, `peer` and `anchors` for those that do not say.

    Raises:
        ConfigurationError: `bad_configuration`, and what was expected.

    Source: protocol-spec/13-policy.md, section 13.3
    """
    try:
        file = to_struct(dict(table), _File)
        given = {name: table[name] for name in ("now", "peer", "anchors") if name in table}
        cases = tuple(to_struct({**given, **one}, Case, f"/case/{place}") for place, one in enumerate(file.case))
    except FormatError as exc:
        raise ConfigurationError("bad_configuration", f"cases{exc.path}: {exc.message}") from exc
    names = [case.name for case in cases]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError("bad_configuration", f"two cases are called {repeated[0]!r}")
    return cases


def decide(supposed: Hypothetical, policy: Policy) -> Decision:
    """What `evaluate` says to a hypothetical.

    Raises:
        ConfigurationError: `bad_configuration`: a credential or terms that cannot be; others as `evaluate`.
    """
    try:
        credentials = tuple(
            _credential(supposed.peer, supposed.now, one, f"/credentials/{place}")
            for place, one in enumerate(supposed.credentials)
        )
        # HIRE-TRU-24: a link that could not be looked up entitles nobody, though other edges count until they are.
        edges = tuple(
            edge
            for place, one in enumerate(supposed.graph)
            if (edge := _edge(supposed, one, place)).kind != "authority" or one.status != "unknown"
        )
        terms = None if supposed.terms is None else _terms(supposed.terms, supposed.now)
    except (FormatError, CredentialError) as exc:
        raise ConfigurationError("bad_configuration", f"{exc.path or '/'}: {exc.message}") from exc
    digest = digest_bytes(write_canonical([one.digest for one in credentials]))
    presented = VerifiedPresentation(
        holder=supposed.peer, engagement=_ENGAGEMENT, credentials=credentials, digest=digest
    )
    anchors = Anchors().with_anchors(Anchor(issuer=one) if isinstance(one, str) else one for one in supposed.anchors)
    view = Viewpoint(anchors=anchors, now=supposed.now, refused=frozenset(policy.refuse))
    stake = supposed.stake if terms is None else Stake.of(terms)
    return evaluate(
        presented,
        anchors,
        policy,
        supposed.now,
        stake=supposed.stake,
        answers=Answers.of(asked_about(presented, policy, stake), view, Graph(edges).read),
        terms=terms,
        statuses=tuple(
            ClearStatus(credential=credential.digest, lists=(digest_bytes(_LIST.encode()),), at=supposed.now)
            for one, credential in zip(supposed.credentials, credentials, strict=True)
            if one.status == "clear"
        ),
    )


def run_case(case: Case, policy: Policy) -> CaseResult:
    """What came of a case, held against what it expects.

    Raises:
        ConfigurationError: As `decide`; the message names the case.
    """
    try:
        decision = decide(case, policy)
    except ConfigurationError as exc:
        raise ConfigurationError(exc.code, f"case {case.name!r}: {exc.message}") from exc
    expect = case.expect
    expected, came = [f"outcome {expect.outcome}"], [f"outcome {decision.outcome}"]
    if expect.reasons is not None:
        expected += [f"reason {reason}" for reason in expect.reasons]
        came += [f"reason {reason.code} {reason.clause}" for reason in decision.reasons if reason.code != "met"]
    if expect.needed is not None:
        expected += [f"needed {_line(need)}" for need in expect.needed]
        came += [f"needed {_line(from_struct(need))}" for need in decision.needed]
    differs = expected != came
    lines = [line.rstrip() for line in ndiff(expected, came) if not line.startswith("?")] if differs else []
    return CaseResult(case, decision, tuple(lines))


def _line(need: Mapping[str, Any]) -> str:
    return canonicalize(need).decode()


def _credential(subject: Did, now: Instant, one: SupposedCredential, path: str) -> Credential:
    claims, kind = dict(one.claims), CLAIMS.get(one.type)
    if kind is not None and kind.by is not None:
        claims.setdefault(kind.__struct_encode_fields__[kind.__struct_fields__.index(kind.by)], one.issuer)
    try:
        credential = read_credential(
            build_credential(
                id=f"urn:undersigned:supposed{path.replace('/', ':')}",
                type=one.type,
                issuer=one.issuer,
                subject={**claims, "id": subject},
                valid_from=one.valid_from or shift(now, -_DAY),
                valid_until=one.valid_until or shift(now, _DAY),
                status=None if one.status == "none" else status_entry(_LIST, 0),
            )
        )
        if kind is not None:
            read_claim(credential)
    except (FormatError, CredentialError) as exc:
        exc.path = path + exc.path
        raise
    return credential


def _edge(supposed: Hypothetical, one: SupposedEdge, place: int) -> Edge:
    contract, evidence = one.claims.get("contract"), one.claims.get("evidence")
    credential = _credential(one.about, supposed.now, one, f"/graph/{place}")
    return edge_of(
        credential,
        contracts=(contract,) if isinstance(contract, str) else (),
        evidence=(evidence,) if isinstance(evidence, str) else (),
    )


def _terms(members: Mapping[str, Any], now: Instant) -> Terms:
    rest = dict(members)
    scope = Scope.from_toml(rest.pop("scope", {}))
    cautious = draft_terms(
        task=Task(kind="task", summary="", inputs=()),
        deliverables=(Deliverable(name="result", media_type="application/octet-stream", criteria=()),),
        scope=scope,
        price=Price(amount="0", currency="EUR"),
        deadlines=Deadlines(
            start=shift(now, _HOUR // 6),
            finish=shift(now, _HOUR // 2),
            until=shift(now, _HOUR),
            heartbeat="PT1M",
            review="PT10M",
            rework="PT10M",
            wind_down="PT1M",
            close="PT10M",
        ),
    )
    whole = to_struct(_laid_over(from_struct(cautious), rest), Terms, "/terms")
    return replace(whole, scope=compile_scope(scope, SKETCH_BASE))


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Objects member by member, anything else whole."""
    laid = dict(below)
    for name, value in above.items():
        under = laid.get(name)
        both = isinstance(under, dict) and isinstance(value, dict)
        laid[name] = _laid_over(cast("dict[str, Any]", under), cast("dict[str, Any]", value)) if both else value
    return laid
