"""Section 16.2, row by row: what a subcontract may not say under its parent, and what it may at the very edge."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from contracts import DEADLINES, terms
from undersigned.contract import DataHandling, Evidence, Price, Subcontracting, Task, Terms, check_within
from undersigned.encoding import digest_bytes
from undersigned.errors import ContractError
from undersigned.scope import Grant, Scope

WHEEL, OWN = digest_bytes(b"wheel"), digest_bytes(b"made by the provider itself")
WORK, MORE = "https://w3id.org/hire/predicates/work", "https://example.org/more"
SBOM = "CycloneDX 1.6"
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
        ({"scope": granting("artifact:read", f"https://globex.example/artifacts/{WHEEL}")}, "/terms/scope"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_each_row_by_itself(own: dict[str, Any], path: str) -> None:
    """HIRE-SUB-03."""
    with pytest.raises(ContractError) as refused:
        check_within(replace(EDGE, **own), ABOVE)
    assert (refused.value.code, refused.value.path) == ("scope_exceeded", path)


@pytest.mark.parametrize(
    ("own", "above"),
    [
        ({"price": Price(amount="0", currency="USD")}, {}),
        ({"evidence": replace(EVIDENCE, predicates=(MORE, WORK))}, {}),
        ({"evidence": EVIDENCE}, {"evidence": Evidence(predicates=(), c2pa=False)}),
        ({"data_handling": replace(DATA, classes=("names",), retention="P1D")}, {}),
        ({"data_handling": replace(DATA, classes=())}, {"data_handling": replace(DATA, classes=())}),
        ({"data_handling": replace(DATA, onward=True)}, {"data_handling": replace(DATA, onward=True, training=True)}),
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


def test_under_what_allows_none_there_is_none() -> None:
    parent: Terms = replace(ABOVE, subcontracting=Subcontracting(allowed=False, depth=0))
    with pytest.raises(ContractError) as refused:
        check_within(replace(EDGE, subcontracting=Subcontracting(allowed=False, depth=0)), parent)
    assert (refused.value.code, refused.value.path) == ("scope_exceeded", "/terms/subcontracting")
