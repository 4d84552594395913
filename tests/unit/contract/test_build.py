from typing import Any

import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT, HIRER, SCOPE, document, terms
from undersigned.contract import (
    DataHandling,
    Evidence,
    Price,
    Settlement,
    Subcontracting,
    Termination,
    document_id,
    rebase,
    same_terms,
)
from undersigned.encoding import from_struct, to_struct
from undersigned.errors import FormatError
from undersigned.scope import SKETCH_BASE, Scope, read_scope


def test_the_id_is_a_name_and_every_other_id_is_below_it() -> None:
    """HIRE-CTR-02, HIRE-CTR-05."""
    made = document("provider", 7)
    assert made.id == document_id(ENGAGEMENT, "provider", 7) == f"{ENGAGEMENT}:provider:7"
    assert made.terms.id == f"{made.id}#terms"
    assert made.terms.scope.id == f"{made.id}#scope"
    assert made.terms.scope.grants[0].id == f"{made.id}#read-artifact"
    assert read_scope(made.terms.scope) == SCOPE


def test_terms_are_compared_without_their_names() -> None:
    """HIRE-CTR-05."""
    one, other = document("hirer", 3).terms, document("provider", 4).terms
    assert one != other
    assert same_terms(one, other)
    assert same_terms(one, terms())
    assert not same_terms(one, replace(other, price=Price(amount="12", currency="EUR")))
    assert not same_terms(one, terms(scope=Scope()))
    assert rebase(one, SKETCH_BASE) == terms()


def test_what_was_left_out_is_written_cautiously() -> None:
    written = from_struct(document().terms)
    assert written["settlement"] == {"method": "none"}
    assert written["subcontracting"] == {"allowed": False, "depth": 0}
    assert written["termination"] == {"convenience": "none", "cure": "PT1H"}
    assert written["dataHandling"] | {"purpose": ""} == {
        "purpose": "",
        "classes": [],
        "retention": "PT0S",
        "onward": False,
        "training": False,
    }
    assert written["sealGrace"] == "PT2M"
    assert "arbiter" not in written


GIVEN: dict[str, Any] = {
    "settlement": Settlement(method="manual"),
    "evidence": Evidence(predicates=("urn:a",), c2pa=True),
    "data_handling": DataHandling(purpose="the task", classes=("code",), retention="P1D", onward=True, training=True),
    "termination": Termination(convenience="notice", notice="P1D", cure="PT2H"),
    "subcontracting": Subcontracting(allowed=True, depth=2),
    "reworks": 3,
    "seal_grace": "PT5M",
    "arbiter": "did:web:arbiter.example",
    "on_silence": "rejected",
}


def test_what_was_decided_is_written_as_it_is() -> None:
    made = terms(**GIVEN)
    assert {name: getattr(made, name) for name in GIVEN} == GIVEN
    assert terms().on_silence == "accepted"
    assert terms(scope=made.scope).scope == made.scope


@pytest.mark.parametrize("part", ["both", "terms", "scope"])
def test_ids_that_are_in_part_those_of_the_document_are_written_anew(part: str) -> None:
    """HIRE-CTR-05: terms of another document may name this one's by an accident, or not."""
    made = document().terms
    other = document("provider", 4).terms
    mixed = {"both": other, "terms": replace(made, scope=other.scope), "scope": replace(other, scope=made.scope)}[part]
    assert rebase(mixed, document().id) == made


def test_critical_extensions_are_carried_along() -> None:
    """HIRE-CTR-05: nothing is decided by them when terms are compared or written under another id."""
    scope = Scope(extensions={"https://example.org/tide": "low"}, critical=("https://example.org/tide",))
    made = document(terms=terms(scope=scope)).terms
    assert made.scope.critical == scope.critical
    assert same_terms(made, terms(scope=scope))
    assert not same_terms(made, terms(scope=Scope(extensions=scope.extensions)))


def test_a_document_is_the_same_after_the_wire() -> None:
    made = document(parent=HIRER.document.raw_digest)
    assert to_struct(from_struct(made), type(made)) == made


def test_a_scope_that_does_not_read_back_is_not_rebased() -> None:
    broken = terms()
    broken = replace(broken, scope=replace(broken.scope, id="urn:x#other"))
    with pytest.raises(FormatError):
        rebase(broken, "urn:y")
