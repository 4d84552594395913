import pytest

from undersigned.errors import FormatError, ScopeError
from undersigned.scope import Action, Charge, Grant, Limit, Prohibition, Scope, Window, counter, permits

NOW = "2026-11-25T12:00:30Z"
SCOPE = Scope(
    grants=(
        Grant(
            "read",
            "artifact:read",
            "https://acme.example/artifacts/*",
            limits=(Limit("count", "10"), Limit("bytes", "1000"), Limit("count", "2", "PT1M")),
            window=Window(not_before="2026-11-25T12:00:00Z", until="2026-11-25T13:00:00Z"),
            conditions={"region": ["eu"]},
        ),
    ),
    prohibitions=(Prohibition("secrets", "artifact:read", "https://acme.example/artifacts/secret"),),
)


def read(
    target: str = "https://acme.example/artifacts/a", *, bytes: str | None = "100", region: str | None = "eu"
) -> Action:
    amounts = {} if bytes is None else {"bytes": bytes}
    return Action("artifact:read", target, amounts, {} if region is None else {"region": region})


def test_a_grant_allows_and_says_what_to_reserve() -> None:
    """HIRE-SCO-07."""
    decision = permits(SCOPE, {}, read(), NOW)
    assert decision.allowed
    assert decision.clause == "read"
    assert decision.require() is decision
    assert decision.charges == (
        Charge("read", "bytes", "100", "1000"),
        Charge("read", "count", "1", "10"),
        Charge("read", "count.PT1M@2026-11-25T12:00:00Z", "1", "2"),
    )


def test_the_default_is_no() -> None:
    """HIRE-SCO-06, HIRE-SCO-07."""
    decision = permits(Scope(), {}, read(), NOW)
    assert (decision.allowed, decision.clause, decision.would_pass) == (False, "scope", "")
    decision = permits(SCOPE, {}, Action("artifact:write", "https://acme.example/artifacts/a"), NOW)
    assert (decision.allowed, decision.clause, decision.would_pass) == (False, "scope", "action artifact:read")


def test_a_prohibition_wins() -> None:
    """HIRE-SCO-06, HIRE-SCO-07."""
    decision = permits(SCOPE, {}, read("https://acme.example/artifacts/secret"), NOW)
    assert (decision.allowed, decision.clause) == (False, "secrets")
    with pytest.raises(ScopeError) as caught:
        decision.require()
    assert caught.value.code == "scope_exceeded"
    assert caught.value.detail["clause"] == "secrets"


@pytest.mark.parametrize(
    ("now", "allowed", "would_pass"),
    [
        ("2026-11-25T11:59:59Z", False, "from 2026-11-25T12:00:00Z"),
        ("2026-11-25T12:00:00Z", True, ""),
        ("2026-11-25T13:00:00Z", True, ""),
        ("2026-11-25T13:00:01Z", False, "until 2026-11-25T13:00:00Z"),
    ],
)
def test_a_window_is_inclusive(now: str, allowed: bool, would_pass: str) -> None:
    decision = permits(SCOPE, {}, read(), now)
    assert (decision.allowed, decision.would_pass) == (allowed, would_pass)


@pytest.mark.parametrize(
    ("used", "asked", "allowed", "would_pass"),
    [
        ({"bytes": "0"}, "1000", True, ""),
        ({"bytes": "0"}, "1000.000000001", False, "bytes up to 1000"),
        ({"bytes": "900"}, "100", True, ""),
        ({"bytes": "900"}, "101", False, "bytes up to 100"),
        ({"bytes": "1000"}, "0", True, ""),
        ({"bytes": "1000"}, "1", False, ""),
        ({"count": "9"}, "1", True, ""),
        ({"count": "10"}, "1", False, ""),
        ({"count.PT1M@2026-11-25T12:00:00Z": "2"}, "1", False, ""),
        ({"count.PT1M@2026-11-25T11:59:00Z": "2"}, "1", True, ""),
    ],
)
def test_limits_count_what_was_used(used: dict[str, str], asked: str, allowed: bool, would_pass: str) -> None:
    """HIRE-SCO-08."""
    decision = permits(SCOPE, {"read": used}, read(bytes=asked), NOW)
    assert (decision.allowed, decision.would_pass) == (allowed, would_pass)


def test_an_amount_that_is_limited_has_to_be_stated() -> None:
    """HIRE-SCO-09."""
    decision = permits(SCOPE, {}, read(bytes=None), NOW)
    assert (decision.allowed, decision.would_pass) == (False, "bytes up to 1000")


@pytest.mark.parametrize("region", [None, "us", "EU", "eu "])
def test_a_condition_needs_its_fact(region: str | None) -> None:
    decision = permits(SCOPE, {}, read(region=region), NOW)
    assert (decision.allowed, decision.would_pass) == (False, "region eu")


@pytest.mark.parametrize(
    "amounts", [{"bytes": "-1"}, {"bytes": "1e3"}, {"bytes": "01"}, {"count": "0"}, {"count": "0.5"}]
)
def test_no_amount_lowers_a_counter(amounts: dict[str, str]) -> None:
    action = Action("artifact:read", "https://acme.example/artifacts/a", {"bytes": "1", **amounts}, {"region": "eu"})
    assert not permits(SCOPE, {}, action, NOW).allowed


def test_the_first_grant_that_allows_decides_and_the_nearest_explains() -> None:
    scope = Scope(
        grants=(
            Grant("a", "x:y", "https://a.example/1"),
            Grant("b", "x:y", "https://a.example/2", limits=(Limit("count", "1"),)),
            Grant("c", "x:y", "https://a.example/*", window=Window(until="2026-11-24T00:00:00Z")),
        )
    )
    assert permits(scope, {}, Action("x:y", "https://a.example/2"), NOW).clause == "b"
    assert permits(scope, {"b": {"count": "1"}}, Action("x:y", "https://a.example/2"), NOW).clause == "b"
    assert permits(scope, {}, Action("x:y", "https://a.example/3"), NOW).clause == "c"
    assert permits(scope, {}, Action("x:y", "https://b.example/3"), NOW).clause == "a"


def test_a_period_begins_at_a_multiple_of_its_length() -> None:
    """HIRE-SCO-10."""
    assert counter(Limit("count", "1", "P1D"), NOW) == "count.P1D@2026-11-25T00:00:00Z"
    assert counter(Limit("count", "1", "PT7S"), NOW) == "count.PT7S@2026-11-25T12:00:24Z"
    assert counter(Limit("count", "1"), NOW) == "count"


def test_the_clock_is_an_instant() -> None:
    with pytest.raises(FormatError):
        permits(SCOPE, {}, read(), "now")
