"""The scope under generated input: the two forms are inverse, limits never overshoot, attenuation only narrows."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from undersigned.encoding import add_amounts, compare_amounts, from_struct, to_struct
from undersigned.errors import FormatError, ScopeError
from undersigned.scope import (
    Action,
    Grant,
    Limit,
    Prohibition,
    Scope,
    Window,
    WireScope,
    attenuate,
    compile_scope,
    contains,
    draws,
    inside,
    matches,
    parse_pattern,
    parse_target,
    permits,
    read_scope,
)

ACTIONS = st.sampled_from(["a:read", "a:write"])
SEGMENT = st.sampled_from(["x", "y", "*"])
QUERY = st.sampled_from(["", "", "", "?q", "?*"])
PATTERNS = st.builds(
    lambda segments, query: "https://h.example/" + "/".join(segments) + query,
    st.lists(SEGMENT, min_size=1, max_size=3),
    QUERY,
)
TARGETS = st.builds(
    lambda segments, query: "https://h.example/" + "/".join(segments) + query,
    st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=3),
    st.sampled_from(["", "", "?q"]),
)
INSTANTS = st.sampled_from([f"2026-11-25T12:00:{second:02d}Z" for second in range(0, 60, 10)])
LIMITS = st.lists(
    st.builds(
        Limit,
        st.sampled_from(["count", "bytes"]),
        st.integers(0, 4).map(str),
        st.sampled_from([None, "PT20S"]),
    ),
    max_size=3,
    unique_by=lambda limit: limit.name,
).map(tuple)
WINDOWS = (
    st.none()
    | st.builds(lambda a, b: Window(not_before=min(a, b), until=max(a, b)), INSTANTS, INSTANTS)
    | st.builds(lambda a: Window(until=a), INSTANTS)
)
CONDITIONS = st.sampled_from([{}, {"region": ["eu"]}, {"region": ["eu", "us"]}])


def grants(prefix: str) -> st.SearchStrategy[tuple[Grant, ...]]:
    made = st.lists(st.tuples(ACTIONS, PATTERNS, LIMITS, WINDOWS, CONDITIONS), min_size=1, max_size=3)
    return made.map(lambda rows: tuple(Grant(f"{prefix}{n}", *row) for n, row in enumerate(rows)))


def scopes(prefix: str) -> st.SearchStrategy[Scope]:
    forbidden = st.lists(st.tuples(ACTIONS, PATTERNS), max_size=1).map(
        lambda rows: tuple(Prohibition(f"{prefix}p{n}", *row) for n, row in enumerate(rows))
    )
    return st.builds(lambda g, p: Scope(grants=g, prohibitions=p), grants(prefix), forbidden)


ASKED = st.tuples(
    st.builds(
        lambda name, target, size, region: Action(name, target, {"bytes": size}, {"region": region}),
        ACTIONS,
        TARGETS,
        st.integers(0, 3).map(str),
        st.sampled_from(["eu", "us"]),
    ),
    INSTANTS,
)


@given(scopes("g"))
def test_compiled_and_written_form_are_inverse(scope: Scope) -> None:
    wire = compile_scope(scope, "urn:x:1")
    assert read_scope(to_struct(from_struct(wire), WireScope)) == scope


@given(PATTERNS, PATTERNS, TARGETS)
def test_a_pattern_inside_another_covers_no_more(outer: str, inner: str, target: str) -> None:
    wide, narrow, asked = parse_pattern(outer), parse_pattern(inner), parse_target(target)
    if inside(wide, narrow) and matches(narrow, asked):
        assert matches(wide, asked)


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z.]{0,8}(/[a-zA-Z.%*2eEfF\\]{0,4}){0,3}", fullmatch=True))
def test_any_text_parses_to_its_one_spelling_or_is_refused(text: str) -> None:
    for parse in (parse_target, parse_pattern):
        try:
            kept = str(parse(text))
        except FormatError:
            continue
        assert str(parse(kept)) == kept


@given(scopes("g"), st.lists(ASKED, max_size=12))
def test_no_limit_is_overshot(scope: Scope, asked: list[tuple[Action, str]]) -> None:
    """HIRE-SCO-08."""
    used: dict[str, dict[str, str]] = {}
    for action, now in asked:
        for charge in permits(scope, used, action, now).charges:
            total = add_amounts(used.setdefault(charge.clause, {}).get(charge.counter, "0"), charge.amount)
            used[charge.clause][charge.counter] = total
            assert compare_amounts(total, charge.maximum) <= 0


@st.composite
def narrowed(draw: st.DrawFn) -> tuple[Scope, Scope]:
    """A scope and one that was made from it by changes most of which narrow."""
    parent = draw(scopes("g"))
    made: list[Grant] = []
    for number in range(draw(st.integers(1, 3))):
        wide = draw(st.sampled_from(parent.grants))
        limits = [Limit(limit.unit, str(draw(st.integers(0, int(limit.max)))), limit.per) for limit in wide.limits]
        made.append(
            Grant(
                f"c{number}",
                wide.action,
                draw(st.sampled_from([wide.target] * 3 + [draw(PATTERNS)])),
                tuple(limits),
                draw(st.sampled_from([wide.window] * 3 + [draw(WINDOWS)])),
                draw(st.sampled_from([wide.conditions] * 3 + [draw(CONDITIONS)])),
            )
        )
    return parent, Scope(grants=tuple(made), prohibitions=parent.prohibitions)


def near(grant: Grant) -> st.SearchStrategy[tuple[Action, str]]:
    """What the grant is likely to allow, so that the property is not about refusals alone."""
    target = grant.target.replace("?*", "").replace("*", "x")
    action = Action(grant.action, target, {"bytes": "1"}, {"region": "eu"})
    return st.tuples(st.just(action), INSTANTS if grant.window is None else st.just(grant.window.until or ""))


@given(narrowed() | st.tuples(scopes("g"), scopes("c")), st.data())
def test_whatever_the_child_permits_the_parent_permits(pair: tuple[Scope, Scope], data: st.DataObject) -> None:
    """HIRE-SCO-05."""
    """Use of a child's grant is use of the one it draws on, and the parent's grant alone would have allowed it.

    HIRE-SCO-05.
    """
    parent, child = pair
    try:
        drawn = draws(parent, child)
    except ScopeError:
        assert not contains(parent, child)
        return
    assert contains(parent, child)
    asked = data.draw(st.lists(st.one_of(ASKED, *map(near, child.grants)), min_size=1, max_size=12))
    child_used: dict[str, dict[str, str]] = {}
    parent_used: dict[str, dict[str, str]] = {}
    for action, now in asked:
        decision = permits(child, child_used, action, now)
        if not decision.allowed:
            continue
        on = drawn[decision.clause]
        alone = Scope(grants=tuple(g for g in parent.grants if g.id == on), prohibitions=parent.prohibitions)
        above = permits(alone, parent_used, action, now)
        assert above.allowed, (decision, above)
        assert permits(parent, parent_used, action, now).allowed
        event("permitted")
        for used, charges in ((child_used, decision.charges), (parent_used, above.charges)):
            for charge in charges:
                counters = used.setdefault(charge.clause, {})
                counters[charge.counter] = add_amounts(counters.get(charge.counter, "0"), charge.amount)


@given(scopes("g"))
def test_a_scope_lies_inside_itself(scope: Scope) -> None:
    assert attenuate(scope, scope) is scope
