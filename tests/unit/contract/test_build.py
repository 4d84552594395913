import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT, HIRER, SCOPE, document, terms
from undersigned.contract import Price, document_id, rebase, same_terms
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


def test_a_document_is_the_same_after_the_wire() -> None:
    made = document(parent=HIRER.document.raw_digest)
    assert to_struct(from_struct(made), type(made)) == made


def test_a_scope_that_does_not_read_back_is_not_rebased() -> None:
    broken = terms()
    broken = replace(broken, scope=replace(broken.scope, id="urn:x#other"))
    with pytest.raises(FormatError):
        rebase(broken, "urn:y")
