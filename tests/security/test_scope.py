"""Security cases about the scope of authority: SC-56, SC-57, SC-58, SC-59 where the decision alone is enough."""

from __future__ import annotations

import pytest

from support import refuses
from undersigned.errors import ScopeError
from undersigned.scope import Action, Grant, Limit, Obligation, Prohibition, Scope, Window, attenuate, contains, permits

NOW = "2026-11-25T12:00:00Z"
GRANT = Grant(
    "read-repo",
    "repo:read",
    "https://git.acme.example/repo/a",
    limits=(Limit("count", "3"), Limit("EUR", "5")),
    window=Window(not_before="2026-11-25T00:00:00Z", until="2026-12-01T00:00:00Z"),
    conditions={"region": ["eu"], "egress": ["none"], "dataClass": ["public"]},
)
SCOPE = Scope(grants=(GRANT,))


def ask(
    target: str = "https://git.acme.example/repo/a",
    *,
    name: str = "repo:read",
    amount: str = "1",
    now: str = NOW,
    used: str = "0",
    scope: Scope = SCOPE,
    **facts: str,
):
    known = {"region": "eu", "egress": "none", "dataClass": "public", **facts}
    return permits(scope, {"read-repo": {"count": used}}, Action(name, target, {"EUR": amount}, known), now)


@pytest.mark.parametrize(
    "change",
    [
        {"target": "https://git.acme.example/repo/b"},
        {"name": "repo:write"},
        {"amount": "5.000000001"},
        {"used": "3"},
        {"now": "2026-12-01T00:00:01Z"},
        {"now": "2026-11-24T23:59:59Z"},
        {"region": "us"},
        {"egress": "mail.example"},
        {"dataClass": "restricted"},
    ],
)
def test_sc_56_each_dimension_alone_is_refused(change: dict[str, str]) -> None:
    """HIRE-SCO-06."""
    assert ask().allowed
    decision = ask(**change)
    assert not decision.allowed
    with refuses(ScopeError, "scope_exceeded"):
        decision.require()


@pytest.mark.parametrize(
    "target",
    [
        "https://git.acme.example/repo/ab",
        "https://git.acme.example/repo/a/",
        "https://git.acme.example/repo/a/b",
        "https://git.acme.example/repo/a/../b",
        "https://git.acme.example/repo/b/../a",
        "https://git.acme.example/repo/%2e%2e/repo/a",
        "https://git.acme.example/repo/./a",
        "https://git.acme.example/repo//a",
        "https://git.acme.example/repo/A",
        "https://git.acme.example/Repo/a",
        "https://git.acme.example/repo%2Fa",
        "https://git.acme.example/repo%2fa",
        "https://git.acme.example/repo%252Fa",
        "https://git.acme.example/repo\\a",
        "https://git.acme.example/repo%5Ca",
        "https://git.acme.example/repo/a%00",
        "https://git.acme.example/repo/a?x",
        "https://git.acme.example/repo/a;x",
        "https://git.acme.example/repo/a#x",
        "https://git.acme.example/repo/*",
        "https://git.acme.example/*",
        "https://git.acme.example/repo/%2A",
        "https://git.acme.example.evil.example/repo/a",
        "https://evil.example/git.acme.example/repo/a",
        "https://xgit.acme.example/repo/a",
        "https://git.acme.example@evil.example/repo/a",
        "https://git.acme.example:8443/repo/a",
        "https://git.acme.example./repo/a",
        "https://git.аcme.example/repo/a",
        "http://git.acme.example/repo/a",
        "//git.acme.example/repo/a",
        "repo/a",
        "",
        " https://git.acme.example/repo/a",
        "https://git.acme.example/repo/a\n",
    ],
)
def test_sc_57_no_prefix_suffix_or_wildcard_trick_passes(target: str) -> None:
    """HIRE-SCO-04."""
    assert not ask(target).allowed


@pytest.mark.parametrize(
    "target",
    [
        "https://GIT.acme.example/repo/a",
        "HTTPS://git.acme.example:443/repo/a",
        "https://git.acme.example/rep%6F/%61",
    ],
)
def test_sc_57_other_spellings_of_the_same_target_are_the_same(target: str) -> None:
    assert ask(target).allowed


def test_sc_57_a_prohibition_cannot_be_spelled_around() -> None:
    scope = Scope(
        grants=(Grant("all", "repo:read", "https://git.acme.example/*"),),
        prohibitions=(Prohibition("secret", "repo:read", "https://git.acme.example/repo/secret/*"),),
    )
    assert permits(scope, {}, Action("repo:read", "https://git.acme.example/repo/x"), NOW).allowed
    for target in (
        "https://git.acme.example/repo/secret/key",
        "https://git.acme.example/repo/s%65cret/key",
        "https://git.acme.example/repo/x/../secret/key",
        "https://git.acme.example/repo/x/..;/secret/key",
        "https://git.acme.example/repo/x/%2e%2e%3Bv=1/secret/key",
        "https://git.acme.example/repo/;v=1/secret/key",
        "https://git.acme.example/repo/secret%3Bv=1/key",
        "https://git.acme.example/repo%2fsecret/key",
        "https://git.acme.example/repo//secret/key",
        "https://GIT.acme.example:443/repo/secret/deep/er",
    ):
        assert not permits(scope, {}, Action("repo:read", target), NOW).allowed


PARENT = Scope(
    grants=(
        Grant(
            "read",
            "repo:read",
            "https://git.acme.example/repo/*",
            limits=(Limit("count", "10"), Limit("EUR", "5")),
            window=Window(until="2026-12-01T00:00:00Z"),
            conditions={"region": ["eu"], "egress": ["none"]},
            approval=True,
        ),
    ),
    prohibitions=(Prohibition("secret", "repo:read", "https://git.acme.example/repo/secret"),),
    obligations=(Obligation("erase", "data:erase", "https://git.acme.example/repo/*"),),
)


def child(**changes: object) -> Scope:
    fields: dict[str, object] = {
        "action": "repo:read",
        "target": "https://git.acme.example/repo/a",
        "limits": (Limit("count", "10"), Limit("EUR", "5")),
        "window": Window(until="2026-12-01T00:00:00Z"),
        "conditions": {"region": ["eu"], "egress": ["none"]},
        "approval": True,
    }
    rest = {"prohibitions": PARENT.prohibitions, "obligations": PARENT.obligations}
    rest |= {name: changes.pop(name) for name in list(changes) if name in rest}
    return Scope(grants=(Grant("c", **(fields | changes)),), **rest)  # type: ignore[arg-type]


def test_sc_58_a_subset_is_taken() -> None:
    assert attenuate(PARENT, child()) == child()


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "repo:write"},
        {"target": "https://git.acme.example/*"},
        {"target": "https://git.acme.example/repo"},
        {"limits": (Limit("count", "11"), Limit("EUR", "5"))},
        {"limits": (Limit("count", "10"),)},
        {"limits": (Limit("count", "10"), Limit("EUR", "5", "PT1M"))},
        {"limits": ()},
        {"window": Window(until="2026-12-01T00:00:01Z")},
        {"window": Window(not_before="2026-11-01T00:00:00Z")},
        {"window": None},
        {"conditions": {"region": ["eu", "us"], "egress": ["none"]}},
        {"conditions": {"region": ["eu"], "egress": ["none", "mail.example"]}},
        {"conditions": {"region": ["eu"]}},
        {"conditions": {}},
        {"approval": False},
        {"prohibitions": ()},
        {"prohibitions": (Prohibition("secret", "repo:read", "https://git.acme.example/repo/secret/x"),)},
        {"prohibitions": (Prohibition("secret", "repo:write", "https://git.acme.example/repo/secret"),)},
        {"obligations": ()},
    ],
)
def test_sc_58_more_in_any_dimension_is_refused(changes: dict[str, object]) -> None:
    """HIRE-SCO-05."""
    with refuses(ScopeError, "scope_exceeded"):
        attenuate(PARENT, child(**changes))


@pytest.mark.parametrize(
    ("first", "last", "inside"),
    [
        ("2026-11-25T00:00:00Z", "2026-12-01T00:00:00Z", True),
        ("2026-11-24T23:59:59Z", "2026-12-01T00:00:00Z", False),
        ("2026-11-25T00:00:00Z", "2026-12-01T00:00:01Z", False),
        (None, "2026-12-01T00:00:00Z", False),
        ("2026-11-25T00:00:00Z", None, False),
    ],
)
def test_sc_58_a_window_lies_inside_at_both_ends(first: str | None, last: str | None, inside: bool) -> None:
    def windowed(window: Window) -> Scope:
        return Scope(grants=(Grant("w", "repo:read", "https://git.acme.example/repo/a", window=window),))

    narrow = windowed(Window(not_before=first, until=last))
    for wide, fits in (
        (Window(not_before="2026-11-25T00:00:00Z", until="2026-12-01T00:00:00Z"), inside),
        (Window(not_before="2026-11-25T00:00:00Z"), first == "2026-11-25T00:00:00Z"),
        (Window(until="2026-12-01T00:00:00Z"), last == "2026-12-01T00:00:00Z"),
    ):
        assert contains(windowed(wide), narrow) == fits


def test_sc_58_two_grants_share_one_budget() -> None:
    """Split in two, the parent's ten are still ten."""

    def pair(one: str, other: str) -> Scope:
        grants = tuple(
            Grant(
                name,
                "repo:read",
                f"https://git.acme.example/repo/{name}",
                limits=(Limit("count", count), Limit("EUR", "2")),
                window=PARENT.grants[0].window,
                conditions=PARENT.grants[0].conditions,
                approval=True,
            )
            for name, count in (("a", one), ("b", other))
        )
        return Scope(grants=grants, prohibitions=PARENT.prohibitions, obligations=PARENT.obligations)

    assert attenuate(PARENT, pair("4", "6"))
    with pytest.raises(ScopeError) as caught:
        attenuate(PARENT, pair("5", "6"))
    assert caught.value.detail["clause"] == "b"


def test_sc_58_an_extension_cannot_be_dropped() -> None:
    uri = "https://x.example/e"
    narrow = Scope(extensions={uri: {"max": 1}}, critical=(uri,))
    assert attenuate(narrow, narrow)
    for other in (Scope(), Scope(extensions={uri: {"max": 2}}, critical=(uri,)), Scope(extensions={uri: {"max": 1}})):
        with pytest.raises(ScopeError):
            attenuate(narrow, other)
    known = Scope(extensions={uri: {"max": 1}})
    assert attenuate(known, known)
    assert attenuate(known, narrow)
    with pytest.raises(ScopeError):
        attenuate(known, Scope())


def test_what_is_prohibited_for_one_action_is_not_for_another() -> None:
    prohibited = Prohibition("no-write", "repo:write", "https://git.acme.example/repo/*")
    assert ask(scope=Scope(grants=(GRANT,), prohibitions=(prohibited,))).allowed
