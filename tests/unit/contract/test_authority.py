import pytest
from msgspec.structs import replace

from contracts import DEADLINES, document, terms
from undersigned.contract import authorises
from undersigned.errors import FormatError
from undersigned.scope import Action, Scope

READ = Action("artifact:read", "https://acme.example/artifacts/x", {"bytes": "1"})
MADE = document(terms=terms(deadlines=replace(DEADLINES, not_before="2026-11-25T12:00:00Z")))


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ("2026-11-25T11:59:59Z", "contract_expired"),
        ("2026-11-25T12:00:00Z", ""),
        ("2026-11-25T14:00:00Z", ""),
        ("2026-11-25T14:00:01Z", "contract_expired"),
    ],
)
def test_sc_59_authority_begins_and_ends_with_the_contract(now: str, code: str) -> None:
    """HIRE-GAT-01."""
    decision = authorises(MADE, {}, READ, now)
    assert (decision.code, decision.allowed, decision.clause) == (code, not code, "read-artifact")


def test_inside_its_time_the_scope_decides() -> None:
    decision = authorises(MADE, {"read-artifact": {"count": "10"}}, READ, "2026-11-25T13:00:00Z")
    assert (decision.allowed, decision.code, decision.clause) == (False, "scope_exceeded", "read-artifact")


def test_a_scope_not_understood_decides_nothing() -> None:
    made = document(terms=terms(scope=Scope(extensions={"https://x.example/e": 1}, critical=("https://x.example/e",))))
    with pytest.raises(FormatError):
        authorises(made, {}, READ, "2026-11-25T13:00:00Z")
    assert not authorises(made, {}, READ, "2026-11-25T13:00:00Z", understood=["https://x.example/e"]).allowed
