"""Section 16.2, row by row: what a subcontract may not say under its parent, and what it may at the very edge."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from contracts import DEADLINES, HIRER, PROOF_ID, PROVIDER, STRANGER, SUITE, acceptance, accepted, document, seal, terms
from parties import NOW, Party, keys_of
from undersigned.contract import (
    DataHandling,
    Evidence,
    Methods,
    Parent,
    Price,
    Subcontracting,
    Task,
    Terms,
    acceptance_config,
    build_amendment,
    check_parents,
    check_within,
    contract_digest,
    countersigned,
    offer_config,
    read_parents,
    verify_parents,
)
from undersigned.encoding import digest_bytes, from_struct
from undersigned.errors import ContractError
from undersigned.scope import Grant, Scope

KEYS = keys_of(HIRER, PROVIDER, STRANGER)
WHEEL, OWN = digest_bytes(b"wheel"), digest_bytes(b"made by the provider itself")
WORK, MORE = "https://w3id.org/hire/predicates/work", "https://example.org/more"
SBOM = "CycloneDX 1.6"
TIDE = "https://example.org/tide"
EVIDENCE = Evidence(predicates=(WORK,), sbom=SBOM, c2pa=True)
DATA = DataHandling(purpose="the task", classes=("code", "names"), retention="P2D", onward=False, training=False)
ABOVE = replace(
    terms(),
    subcontracting=Subcontracting(allowed=True, depth=2),
    evidence=EVIDENCE,
    data_handling=DATA,
    deadlines=replace(DEADLINES, not_before="2026-11-25T12:05:00Z"),
)
"""What the parent says. It is due by 13:00, reviewed by 13:10 and at its end at 14:00."""
TIMES = replace(DEADLINES, start="2026-11-25T12:05:00Z", finish="2026-11-25T12:59:59Z", until="2026-11-25T13:59:59Z")
EDGE = replace(
    ABOVE,
    subcontracting=Subcontracting(allowed=True, depth=1),
    deadlines=TIMES,
    task=Task(kind="sbom", summary="A part", inputs=(OWN,)),
)
"""The most that a child may say."""


def granting(action: str, target: str) -> Any:
    """As a scope is written."""
    return terms(scope=Scope(grants=(Grant("one", action, target),))).scope


def requiring(tide: str, *critical: str) -> Any:
    """A scope with an extension that must be understood."""
    return terms(scope=Scope(extensions={TIDE: tide}, critical=critical or (TIDE,))).scope


def test_the_edge_lies_inside() -> None:
    check_within(EDGE, ABOVE)


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ({"subcontracting": Subcontracting(allowed=True, depth=2)}, "/terms/subcontracting/depth"),
        ({"price": Price(amount="12.500000001", currency="EUR")}, "/terms/price"),
        ({"price": Price(amount="1", currency="USD")}, "/terms/price"),
        ({"deadlines": replace(TIMES, start="2026-11-25T12:04:59Z")}, "/terms/deadlines/notBefore"),
        ({"deadlines": replace(TIMES, not_before="2026-11-25T12:04:59Z")}, "/terms/deadlines/notBefore"),
        ({"deadlines": replace(TIMES, finish="2026-11-25T13:00:00Z")}, "/terms/deadlines/finish"),
        ({"deadlines": replace(TIMES, review="PT10M1S")}, "/terms/deadlines/review"),
        ({"deadlines": replace(TIMES, until="2026-11-25T14:00:00Z")}, "/terms/deadlines/until"),
        ({"evidence": replace(EVIDENCE, predicates=(MORE,))}, "/terms/evidence/predicates"),
        ({"evidence": replace(EVIDENCE, sbom=None)}, "/terms/evidence/sbom"),
        ({"evidence": replace(EVIDENCE, sbom="CycloneDX 1.5")}, "/terms/evidence/sbom"),
        ({"evidence": replace(EVIDENCE, c2pa=False)}, "/terms/evidence/c2pa"),
        ({"data_handling": replace(DATA, purpose="The task")}, "/terms/dataHandling/purpose"),
        ({"data_handling": replace(DATA, classes=("code", "health"))}, "/terms/dataHandling/classes"),
        ({"data_handling": replace(DATA, classes=())}, "/terms/dataHandling/classes"),
        ({"data_handling": replace(DATA, retention="P2DT1S")}, "/terms/dataHandling/retention"),
        ({"data_handling": replace(DATA, onward=True)}, "/terms/dataHandling"),
        ({"data_handling": replace(DATA, training=True)}, "/terms/dataHandling"),
        ({"task": replace(EDGE.task, inputs=(OWN, WHEEL))}, "/terms/task/inputs"),
        ({"scope": granting("artifact:write", f"https://globex.example/artifacts/{OWN}")}, "/terms/scope"),
        ({"scope": granting("artifact:read", f"https://globex.example/artifacts/{OWN}?all")}, "/terms/scope"),
        ({"scope": granting("artifact:read", f"https://globex.example/artifacts/{OWN}/all")}, "/terms/scope"),
        ({"scope": granting("artifact:read", f"https://globex.example/artifacts/{WHEEL}")}, "/terms/scope"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_each_row_by_itself(own: dict[str, Any], path: str) -> None:
    """HIRE-SUB-03."""
    with pytest.raises(ContractError) as refused:
        check_within(replace(EDGE, **own), ABOVE)
    assert (refused.value.code, refused.value.path) == ("scope_exceeded", path)
    assert not path.endswith("depth") or refused.value.message == "expected at most 1; came 2"


@pytest.mark.parametrize(
    ("own", "above"),
    [
        ({"price": Price(amount="0", currency="USD")}, {}),
        ({"evidence": replace(EVIDENCE, predicates=(MORE, WORK))}, {}),
        ({"evidence": EVIDENCE}, {"evidence": Evidence(predicates=(), c2pa=False)}),
        ({"data_handling": replace(DATA, classes=("names",), retention="P1D")}, {}),
        ({"data_handling": replace(DATA, classes=())}, {"data_handling": replace(DATA, classes=())}),
        ({"data_handling": replace(DATA, onward=True)}, {"data_handling": replace(DATA, onward=True, training=True)}),
        ({"data_handling": replace(DATA, training=True)}, {"data_handling": replace(DATA, training=True)}),
        ({"evidence": replace(EVIDENCE, c2pa=False)}, {"evidence": replace(EVIDENCE, c2pa=False)}),
        ({"scope": requiring("low")}, {"scope": requiring("low")}),
        ({"task": EDGE.task}, {"task": replace(EDGE.task, inputs=(WHEEL,))}),
        ({"task": replace(EDGE.task, inputs=(WHEEL,))}, {"data_handling": replace(DATA, onward=True)}),
        ({"deadlines": replace(TIMES, start="2026-11-25T12:00:00Z")}, {"deadlines": DEADLINES}),
        ({"deadlines": replace(TIMES, not_before="2026-11-25T12:05:00Z")}, {}),
        ({"scope": granting("artifact:read", f"https://globex.example/artifacts/{OWN}")}, {}),
    ],
)
def test_what_is_no_more_is_not_refused(own: dict[str, Any], above: dict[str, Any]) -> None:
    """A price of nothing in any currency, evidence that nobody demanded, the own inputs that are handed over."""
    check_within(replace(EDGE, **own), replace(ABOVE, **above))


@pytest.mark.parametrize(
    "own", [requiring("high"), granting("artifact:read", f"https://globex.example/artifacts/{OWN}")]
)
def test_an_extension_that_must_be_understood_stays_as_it_is(own: Any) -> None:
    """HIRE-SUB-03: another value, or none of it."""
    with pytest.raises(ContractError) as refused:
        check_within(replace(EDGE, scope=own), replace(ABOVE, scope=requiring("low")))
    assert (refused.value.code, refused.value.path) == ("scope_exceeded", "/terms/scope")


def test_under_what_allows_none_there_is_none() -> None:
    parent: Terms = replace(ABOVE, subcontracting=Subcontracting(allowed=False, depth=0))
    with pytest.raises(ContractError) as refused:
        check_within(replace(EDGE, subcontracting=Subcontracting(allowed=False, depth=0)), parent)
    assert (refused.value.code, refused.value.path) == ("scope_exceeded", "/terms/subcontracting")


ROOT = document(
    terms=replace(ABOVE, subcontracting=Subcontracting(allowed=True, depth=2)),
    hirer=STRANGER.did,
    provider=HIRER.did,
    methods=Methods(hirer=(STRANGER.method,), provider=(HIRER.method,)),
)
"""Under it, HIRER is the provider; and PROVIDER is hired by HIRER."""


def parent(made: Any, offerer: Party = STRANGER, acceptor: Party = HIRER) -> Parent:
    """As an offer carries it; acceptance and seal say nothing."""
    first = offerer.prove(from_struct(made), offer_config(SUITE, offerer.method, NOW, PROOF_ID))
    second = acceptor.proof(first, acceptance_config(first, SUITE, acceptor.method, NOW))
    given = {"document": countersigned(first, second), "acceptance": {"type": "x"}, "seal": {"type": "x"}}
    return read_parents([given])[0]


def amended(**changes: Any) -> Any:
    return build_amendment(
        ROOT,
        replace(ROOT.terms, **changes),
        contract=contract_digest(from_struct(ROOT)),
        amends=contract_digest(from_struct(ROOT)),
        role="hirer",
        sequence=9,
        methods=ROOT.methods,
        transcript=ROOT.transcript,
    )


def child(**changes: Any) -> Any:
    return document(**({"terms": EDGE, "parent": contract_digest(from_struct(ROOT))} | changes))


def test_a_chain_ends_at_its_root() -> None:
    """HIRE-SUB-02: each names the one above it by the digest of the contract as it was first sealed."""
    check_parents(document(), ())
    check_parents(child(), [parent(ROOT)])
    check_parents(child(), [parent(amended(reworks=2))])
    assert parent(amended(reworks=2)).name == parent(ROOT).name


@pytest.mark.parametrize(
    ("own", "above", "code"),
    [
        (child(), [], "chain_invalid"),
        (document(), [parent(ROOT)], "chain_invalid"),
        (child(parent=WHEEL), [parent(ROOT)], "chain_invalid"),
        (child(), [parent(ROOT), parent(ROOT)], "chain_invalid"),
        (child(), [parent(replace(ROOT, parent=WHEEL))], "chain_invalid"),
        (child(hirer=PROVIDER.did, provider=HIRER.did), [parent(ROOT)], "chain_invalid"),
        (child(terms=ABOVE), [parent(ROOT)], "scope_exceeded"),
        (child(), [parent(amended(price=Price(amount="1", currency="EUR")))], "scope_exceeded"),
    ],
    ids=["missing", "unnamed", "another", "too many", "no root", "another's", "more than it", "more than in force"],
)
def test_a_chain_that_breaks_is_refused(own: Any, above: list[Parent], code: str) -> None:
    """HIRE-SUB-02, HIRE-SUB-03."""
    with pytest.raises(ContractError) as refused:
        check_parents(own, above)
    assert refused.value.code == code


def test_a_parent_was_signed_and_sealed() -> None:
    """HIRE-SUB-02: as a contract, or as what amends one; nothing else verifies either."""
    for made, role in ((document("provider"), "provider"), (document(), "hirer")):
        contract = accepted(role)
        agreed = acceptance(contract, role)
        held = read_parents([{"document": contract, "acceptance": agreed, "seal": seal(contract, agreed, role)}])
        assert held[0].document.id == made.id
        verify_parents(held, keys=KEYS)
    with pytest.raises(ContractError):
        verify_parents([parent(ROOT)], keys=KEYS)
