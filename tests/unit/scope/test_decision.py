from itertools import pairwise, product

import pytest

from undersigned.encoding import Instant, digest_bytes
from undersigned.errors import FormatError, ScopeError
from undersigned.scope import (
    Action,
    Approved,
    Charge,
    Grant,
    Limit,
    Prohibition,
    Scope,
    Window,
    arguments_of,
    attenuate,
    counter,
    permits,
)

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
    write = Grant("also", "artifact:write", "https://acme.example/artifacts/*")
    assert permits(Scope(grants=(write, *SCOPE.grants)), {}, read(), NOW).clause == "read"
    with pytest.raises(FormatError):
        permits(PAY, {}, pay("5"), "soon")
    assert decision.charges == (
        Charge("read", "bytes", "100", "1000", "bytes"),
        Charge("read", "count", "1", "10", "count"),
        Charge("read", "count.PT1M@2026-11-25T12:00:00Z", "1", "2", "count.PT1M"),
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
        ("2026-11-25T13:00:01Z", False, ""),  # no time that is still to come
    ],
)
def test_a_window_is_inclusive(now: str, allowed: bool, would_pass: str) -> None:
    decision = permits(SCOPE, {}, read(), now)
    assert (decision.allowed, decision.would_pass, decision.clause) == (allowed, would_pass, "read")


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
        ({"count.PT1M@2026-11-25T12:00:00Z": "2"}, "1", False, "as much from 2026-11-25T12:01:00Z"),
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


ANY = "https://acme.example/artifacts/*"
STEPS = (
    (Grant("target", "artifact:read", "https://acme.example/artifacts/b"),),
    (
        Grant("not-begun", "artifact:read", ANY, window=Window(not_before="2026-11-25T12:00:31Z")),
        Grant("ended", "artifact:read", ANY, window=Window(until="2026-11-25T12:00:29Z")),
    ),
    (Grant("condition", "artifact:read", ANY, conditions={"region": ["us"]}),),
    (
        Grant("used-up", "artifact:read", ANY, limits=(Limit("bytes", "1"),)),
        Grant("not-stated", "artifact:read", ANY, limits=(Limit("EUR", "1"),)),
    ),
    (Grant("approval", "artifact:read", ANY, approval=True),),
    (Grant("all", "artifact:read", ANY),),
)


@pytest.mark.parametrize(("here", "further"), [pair for near, far in pairwise(STEPS) for pair in product(near, far)])
def test_the_grant_that_carries_an_action_further_explains(here: Grant, further: Grant) -> None:
    """Target, window, conditions, limits, a person: whichever grant stands first."""
    for grants in ((here, further), (further, here)):
        assert permits(Scope(grants=grants), {}, read(), NOW).clause == further.id


def test_an_answer_is_told_on_one_line() -> None:
    """With the fact that was missing or another one; and nothing of limits where there are none."""
    told = [permits(Scope(grants=STEPS[2]), {}, read(region=region), NOW).explain() for region in (None, "eu")]
    action = "artifact:read on https://acme.example/artifacts/a"
    assert told == [
        f"no: {action} [condition] the region is not known; would pass: region us",
        f"no: {action} [condition] the region is 'eu'; would pass: region us",
    ]
    decision = permits(Scope(grants=STEPS[-1]), {}, read(), NOW)
    assert (decision.explain(), decision.code) == (f"yes: {action} [all] granted by all", "")


def test_a_period_begins_at_a_multiple_of_its_length() -> None:
    """HIRE-SCO-10."""
    assert counter(Limit("count", "1", "P1D"), NOW) == "count.P1D@2026-11-25T00:00:00Z"
    assert counter(Limit("count", "1", "PT7S"), NOW) == "count.PT7S@2026-11-25T12:00:24Z"
    assert counter(Limit("count", "1"), NOW) == "count"


def test_the_clock_is_an_instant() -> None:
    with pytest.raises(FormatError):
        permits(SCOPE, {}, read(), "now")


def test_every_answer_says_what_is_left() -> None:
    """HIRE-SCO-07."""
    yes = permits(SCOPE, {"read": {"count": "3"}}, read(), NOW)
    assert yes.remaining == {"bytes": "900", "count": "6", "count.PT1M": "1"}
    assert yes.explain() == (
        "yes: artifact:read on https://acme.example/artifacts/a [read] granted by read;"
        " left: 900 bytes, 6 times, 1 time per minute"
    )
    no = permits(SCOPE, {"read": {"count": "3"}}, read(bytes="1001"), NOW)
    assert no.remaining == {"bytes": "1000", "count": "7", "count.PT1M": "2"}
    assert no.explain() == (
        "no: artifact:read on https://acme.example/artifacts/a [read] 1001 bytes is more than what is left of at most"
        " 1000 bytes; left: 1000 bytes, 7 times, 2 times per minute; would pass: bytes up to 1000"
    )
    with pytest.raises(ScopeError) as caught:
        no.require()
    assert caught.value.detail["remaining"] == no.remaining


@pytest.mark.parametrize(
    ("asked", "until", "passes"),
    [
        ("1", None, "as much from 2026-11-25T12:01:00Z"),
        ("2", "2026-11-25T12:01:00Z", "as much from 2026-11-25T12:01:00Z"),
        ("2", "2026-11-25T12:00:59Z", ""),
        ("3", None, ""),
    ],
)
def test_what_is_used_up_for_now_says_when_it_passes(asked: str, until: Instant | None, passes: str) -> None:
    target = "https://acme.example/query"
    window = Window(until=until) if until is not None else None
    grant = Grant("ask", "a:b", target, limits=(Limit("count", "2", "PT1M"),), window=window)
    action = Action("a:b", target, {"count": asked})
    no = permits(Scope(grants=(grant,)), {"ask": {"count.PT1M@2026-11-25T12:00:00Z": "2"}}, action, NOW)
    assert (no.allowed, no.would_pass) == (False, passes)
    if asked != "1":
        some = permits(Scope(grants=(grant,)), {"ask": {"count.PT1M@2026-11-25T12:00:00Z": "1"}}, action, NOW)
        assert some.would_pass == f"count up to 1 per PT1M{passes and f' or {passes}'}"


@pytest.mark.parametrize("asked", ["0", "1"])
def test_an_overdrawn_limit_allows_nothing(asked: str) -> None:
    """A settlement may record more than was reserved; not even what costs nothing is done after that."""
    decision = permits(SCOPE, {"read": {"bytes": "1001"}}, read(bytes=asked), NOW)
    assert (decision.allowed, decision.remaining["bytes"], decision.would_pass) == (False, "-1", "")


PAY = Scope(
    grants=(
        Grant("dear", "pay:order", "https://shop.example/*", limits=(Limit("EUR", "100"),), approval=True),
        Grant("small", "pay:order", "https://shop.example/*", limits=(Limit("EUR", "5"),)),
    )
)


def pay(amount: str, target: str = "https://shop.example/1") -> Action:
    return Action("pay:order", target, {"EUR": amount})


def agreed(action: Action | None = None, **changes: object) -> Approved:
    fields: dict[str, object] = {
        "request": digest_bytes(b"request"),
        "clause": "dear",
        "arguments": arguments_of(action or pay("80")),
        "uses": 2,
        "until": NOW,
    }
    return Approved(**fields | changes)  # type: ignore[arg-type]


def test_an_approval_clause_is_the_third_answer() -> None:
    """HIRE-SCO-12: neither yes nor no, with the clause that asks; nothing is to be booked."""
    decision = permits(PAY, {}, pay("80"), NOW)
    assert (decision.answer, decision.allowed, decision.clause) == ("ask", False, "dear")
    assert decision.charges == ()
    assert decision.explain().startswith("ask: pay:order on https://shop.example/1 [dear]")
    with pytest.raises(ScopeError) as caught:
        decision.require()
    assert caught.value.code == "approval_required"
    # What is outside the grant is a no, which no approval turns into a yes.
    assert permits(PAY, {}, pay("101"), NOW, (agreed(pay("101")),)).answer == "no"


def test_nobody_is_asked_where_a_grant_allows_it_anyway() -> None:
    """HIRE-SCO-12."""
    assert permits(PAY, {}, pay("5"), NOW).clause == "small"
    assert permits(PAY, {}, pay("5"), NOW, (agreed(pay("5")),)).clause == "small", "no approval is used up for it"
    assert permits(PAY, {"small": {"EUR": "1"}}, pay("5"), NOW).answer == "ask"


def test_an_approval_lets_this_action_through_so_often() -> None:
    """HIRE-SCO-13."""
    decision = permits(PAY, {}, pay("80"), NOW, (agreed(),))
    assert (decision.answer, decision.clause, decision.remaining) == ("yes", "dear", {"EUR": "20"})
    name = f"approval:{digest_bytes(b'request')}"
    assert decision.charges == (
        Charge("dear", "EUR", "80", "100", "EUR"),
        Charge("dear", name, "1", "2", "approval"),
    )
    assert permits(PAY, {"dear": {name: "1"}}, pay("80"), NOW, (agreed(),)).answer == "yes"
    assert permits(PAY, {"dear": {name: "2"}}, pay("80"), NOW, (agreed(),)).answer == "ask"


@pytest.mark.parametrize(
    "wrong",
    [
        agreed(pay("79")),
        agreed(pay("80", "https://shop.example/2")),
        agreed(clause="small"),
        agreed(until="2026-11-25T12:00:29Z"),
        agreed(uses=0),
    ],
    ids=["another amount", "another target", "another clause", "over", "no uses"],
)
def test_an_approval_of_something_else_is_none(wrong: Approved) -> None:
    """HIRE-SCO-13."""
    assert permits(PAY, {}, pay("80"), NOW, (wrong,)).answer == "ask"
    assert permits(PAY, {}, pay("80"), NOW, (wrong, agreed())).answer == "yes"


def test_an_approval_counts_whichever_grant_it_is_for_stands_first() -> None:
    other = Grant("other", "pay:order", "https://shop.example/*", approval=True)
    for grants in ((other, PAY.grants[0]), (PAY.grants[0], other)):
        decision = permits(Scope(grants=grants), {}, pay("80"), NOW, (agreed(),))
        assert (decision.answer, decision.clause) == ("yes", "dear")


def test_arguments_have_one_name_however_the_target_is_spelled() -> None:
    spelled = Action("pay:order", "HTTPS://shop.example:443/%31", {"EUR": "80", "count": "1"})
    assert arguments_of(spelled) == arguments_of(pay("80"))
    assert arguments_of(pay("80")) != arguments_of(pay("81"))


def test_a_child_hears_which_limit_of_its_parent_keeps_it_out() -> None:
    """HIRE-SCO-05."""

    def scope(*limits: Limit) -> Scope:
        return Scope(grants=(Grant("read", "a:b", "https://h.example/*", limits=limits),))

    above = scope(Limit("count", "5"), Limit("EUR", "2"))
    for below, said in (
        (scope(Limit("count", "6"), Limit("EUR", "2")), "count up to 6 is more than what is left of read, 5"),
        (scope(Limit("count", "5")), "the limit EUR of read is left out"),
    ):
        with pytest.raises(ScopeError) as caught:
            attenuate(above, below)
        assert caught.value.message.endswith(said)


def test_an_integer_is_an_amount_and_nothing_else_that_is_no_text() -> None:
    """Callers' code is not checked by ours; what is no amount is refused and readable in the record of that."""
    plain = Scope(grants=(Grant("buy", "a:buy", "https://acme.example/a", limits=(Limit("EUR", "10"),)),))
    for given, kept, allowed in (
        (5, "5", True),
        ("5", "5", True),
        (True, "bool True", False),
        (5.0, "float 5.0", False),
    ):
        action = Action("a:buy", "https://acme.example/a", {"EUR": given})  # type: ignore[dict-item]
        assert action.amounts == {"EUR": kept}
        assert permits(plain, {}, action, NOW).allowed is allowed
    both = Action("a:buy", "https://acme.example/a", {"EUR": "5", "count": 1})  # type: ignore[dict-item]
    assert both.amounts == {"EUR": "5", "count": "1"}


def test_a_window_without_an_end_has_none() -> None:
    opened = Window(not_before="2026-11-25T12:00:00Z")
    scope = Scope(grants=(Grant("read", "a:read", "https://acme.example/a", window=opened),))
    assert permits(scope, {}, Action("a:read", "https://acme.example/a"), NOW).allowed
