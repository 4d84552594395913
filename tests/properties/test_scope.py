"""The scope under generated input: the two forms are inverse, limits never overshoot, attenuation only narrows."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from undersigned.encoding import add_amounts, compare_amounts, from_struct, to_struct
from undersigned.errors import FormatError
from undersigned.scope import (
    Action,
    Approved,
    Grant,
    Limit,
    Obligation,
    Prohibition,
    Scope,
    Window,
    WireScope,
    arguments_of,
    attenuate,
    compile_scope,
    contains,
    draws,
    forbids,
    inside,
    parse_pattern,
    parse_target,
    permits,
    read_scope,
)

ACTIONS = st.sampled_from(["a:read", "a:write"])
SEGMENT = st.sampled_from(["x", "y", "*", "*", "x;v", "x%3Bv"])
QUERY = st.sampled_from(["", "", "", "/", "?q", "?*"])
PATTERNS = st.builds(
    lambda segments, query: "https://h.example/" + "/".join(segments) + query,
    st.lists(SEGMENT, min_size=1, max_size=3),
    QUERY,
)
TARGETS = st.builds(
    lambda segments, query: "https://h.example/" + "/".join(segments) + query,
    st.lists(st.sampled_from(["x", "y", "z", "x;v", "x%3Bv"]), min_size=1, max_size=3),
    st.sampled_from(["", "", "?q", "/"]),
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
CONDITIONS = st.sampled_from(
    [{}, {"region": ["eu"]}, {"region": ["eu", "us"]}, {"egress": ["none"]}, {"dataClass": ["a"], "region": ["eu"]}]
)


def grants(prefix: str) -> st.SearchStrategy[tuple[Grant, ...]]:
    made = st.lists(
        st.tuples(ACTIONS, PATTERNS, LIMITS, WINDOWS, CONDITIONS, st.sampled_from([False, False, True])),
        min_size=1,
        max_size=3,
    )
    return made.map(lambda rows: tuple(Grant(f"{prefix}{n}", *row) for n, row in enumerate(rows)))


def scopes(prefix: str) -> st.SearchStrategy[Scope]:
    forbidden = st.lists(st.tuples(ACTIONS, PATTERNS), max_size=1).map(
        lambda rows: tuple(Prohibition(f"{prefix}p{n}", *row) for n, row in enumerate(rows))
    )
    demanded = st.lists(st.tuples(ACTIONS, PATTERNS, st.none() | INSTANTS), max_size=1).map(
        lambda rows: tuple(Obligation(f"{prefix}o{n}", *row) for n, row in enumerate(rows))
    )
    return st.builds(
        lambda g, p, o: Scope(grants=g, prohibitions=p, obligations=o), grants(prefix), forbidden, demanded
    )


ASKED = st.tuples(
    st.builds(
        lambda name, target, size, facts: Action(name, target, {"bytes": size}, facts),
        ACTIONS,
        TARGETS,
        st.integers(0, 3).map(str),
        st.sampled_from(
            [
                {"region": "eu", "egress": "none", "dataClass": "a"},
                {"region": "us"},
                {"region": "eu", "egress": "x"},
                {},
            ]
        ),
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
    if inside(wide, narrow) and inside(narrow, asked):
        assert inside(wide, asked)


@given(PATTERNS, PATTERNS, TARGETS)
def test_a_prohibition_covers_no_less_than_it_says_and_all_that_one_inside_it_does(
    outer: str, inner: str, target: str
) -> None:
    """HIRE-SCO-05, HIRE-SCO-06."""
    wide, narrow, asked = parse_pattern(outer), parse_pattern(inner), parse_target(target)
    if inside(narrow, asked):
        assert forbids(narrow, asked)
    if forbids(wide, narrow) and forbids(narrow, asked):
        assert forbids(wide, asked)
    if forbids(narrow, asked):
        for spelled in (target.rstrip("/") + "/", target.replace("/x", "/x;w=1")):
            if "?" not in target:
                assert forbids(narrow, parse_target(spelled))


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
                draw(st.sampled_from([wide.approval] * 3 + [not wide.approval])),
            )
        )
    kept = (
        draw(st.sampled_from([parent.prohibitions] * 3 + [()])),
        draw(st.sampled_from([parent.obligations] * 3 + [()])),
    )
    return parent, Scope(grants=tuple(made), prohibitions=kept[0], obligations=kept[1])


def near(grant: Grant) -> st.SearchStrategy[tuple[Action, str]]:
    """What the grant is likely to allow, so that the property is not about refusals alone."""
    target = grant.target.replace("?*", "").replace("*", "x")
    action = Action(grant.action, target, {"bytes": "1"}, {"region": "eu", "egress": "none", "dataClass": "a"})
    return st.tuples(st.just(action), INSTANTS if grant.window is None else st.just(grant.window.until or ""))


def agreed(clause: str, action: Action) -> Approved:
    """A person's yes to this action under this clause, as often as need be."""
    return Approved(
        request="uEiA", clause=clause, arguments=arguments_of(action), uses=1000, until="2026-12-31T00:00:00Z"
    )


def compare(parent: Scope, child: Scope, asked: Iterable[tuple[Action, str, bool]]) -> int:
    """Asks both for each action at its time, with a person's yes or without; how many the child permitted.

    Use of a child's grant is use of the one it draws on, and the parent's grant alone would have allowed it. Usage is
    counted on both sides, over the whole history. Where the child needs a person's yes, the parent may need one too;
    where the child needs none, neither does the parent.
    """
    drawn = draws(parent, child)
    permitted = 0
    child_used: dict[str, dict[str, str]] = {}
    parent_used: dict[str, dict[str, str]] = {}
    for action, now, yes in asked:
        decision = permits(child, child_used, action, now)
        if decision.answer == "ask" and yes:
            decision = permits(child, child_used, action, now, (agreed(decision.clause, action),))
        if not decision.allowed:
            continue
        permitted += 1
        on = drawn[decision.clause]
        needs = next(grant.approval for grant in child.grants if grant.id == decision.clause)
        approved = (agreed(on, action),) if needs else ()
        alone = Scope(grants=tuple(g for g in parent.grants if g.id == on), prohibitions=parent.prohibitions)
        above = permits(alone, parent_used, action, now, approved)
        assert above.allowed, (decision, above)
        assert permits(parent, parent_used, action, now, approved).allowed
        for used, charges in ((child_used, decision.charges), (parent_used, above.charges)):
            for charge in charges:
                counters = used.setdefault(charge.clause, {})
                counters[charge.counter] = add_amounts(counters.get(charge.counter, "0"), charge.amount)
    # What the parent demands, the child demands.
    duties = [{(one.action, one.target, one.until) for one in scope.obligations} for scope in (parent, child)]
    assert duties[0] <= duties[1]
    return permitted


@given(narrowed() | st.tuples(scopes("g"), scopes("c")), st.data())
def test_whatever_the_child_permits_the_parent_permits(pair: tuple[Scope, Scope], data: st.DataObject) -> None:
    """HIRE-SCO-05."""
    parent, child = pair
    if not contains(parent, child):
        event("not inside")
        return
    asked = data.draw(st.lists(st.one_of(ASKED, *map(near, child.grants)), min_size=1, max_size=12))
    event(f"{compare(parent, child, [(action, now, data.draw(st.booleans())) for action, now in asked])} permitted")


class Made:
    """Scopes by chance, most of them made by narrowing: quicker than `scopes`, so that there can be thousands."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def instant(self) -> str:
        return f"2026-11-25T12:00:{self.chance.randrange(0, 60, 10):02d}Z"

    def window(self) -> Window | None:
        first, last = sorted((self.instant(), self.instant()))
        return self.chance.choice([None, Window(not_before=first, until=last), Window(until="2026-11-25T12:00:59Z")])

    def pattern(self) -> str:
        parts = [self.chance.choice("xy*") for _ in range(self.chance.randint(1, 3))]
        return "https://h.example/" + "/".join(parts) + self.chance.choice(["", "", "?q", "?*"])

    def grant(self, name: str) -> Grant:
        units = self.chance.sample([("count", None), ("bytes", None), ("count", "PT20S")], self.chance.randint(0, 2))
        conditions = [{}, {"region": ["eu"]}, {"region": ["eu", "us"]}, {"egress": ["none"], "dataClass": ["a", "b"]}]
        return Grant(
            name,
            self.chance.choice(["a:read", "a:write"]),
            self.pattern(),
            tuple(Limit(unit, str(self.chance.randint(1, 6)), per) for unit, per in units),
            self.window(),
            self.chance.choice(conditions),
            self.chance.random() < 0.3,
        )

    def scope(self) -> Scope:
        return Scope(
            grants=tuple(self.grant(f"g{n}") for n in range(self.chance.randint(1, 3))),
            prohibitions=(Prohibition("p", "a:read", self.pattern()),) if self.chance.random() < 0.4 else (),
            obligations=(Obligation("o", "a:erase", self.pattern()),) if self.chance.random() < 0.4 else (),
        )

    def narrower(self, wide: Grant, name: str) -> Grant:
        """Mostly inside `wide`, in some dimension perhaps not."""
        target = wide.target.replace("/*", self.chance.choice(["/*", "/x", "/x/y"])).replace("?*", "?q")
        limits = tuple(Limit(one.unit, str(self.chance.randint(0, int(one.max))), one.per) for one in wide.limits)
        narrow = {name: values[:1] for name, values in wide.conditions.items()}
        wider = self.grant(name)
        field, value = self.chance.choice(
            [
                ("target", wider.target),
                ("limits", wider.limits),
                ("window", wider.window),
                ("approval", False),
                ("conditions", wider.conditions),
            ]
        )
        made = Grant(
            name, wide.action, target, limits, wide.window, narrow, wide.approval or self.chance.random() < 0.2
        )
        return msgspec.structs.replace(made, **{field: value}) if self.chance.random() < 0.15 else made

    def child(self, parent: Scope) -> Scope:
        count = self.chance.randint(1, 4)
        return Scope(
            grants=tuple(self.narrower(self.chance.choice(parent.grants), f"c{n}") for n in range(count)),
            prohibitions=parent.prohibitions if self.chance.random() < 0.95 else (),
            obligations=parent.obligations,
        )

    def request(self, scope: Scope) -> tuple[Action, str, bool]:
        grant = self.chance.choice(scope.grants)
        target = grant.target.replace("?*", self.chance.choice(["", "?q"])).replace("*", self.chance.choice("xyz"))
        facts = {"region": self.chance.choice(["eu", "us"]), "egress": "none", "dataClass": self.chance.choice("ab")}
        action = Action(grant.action, target, {"bytes": str(self.chance.randint(0, 2))}, facts)
        return action, self.instant(), self.chance.random() < 0.7


@pytest.mark.parametrize("seed", range(4))
def test_on_thousands_of_scopes_and_requests_the_parent_permits_what_the_child_does(seed: int) -> None:
    """HIRE-SCO-05: a thousand pairs for each seed, and tens of requests for each pair that lies inside."""
    made, inside_, permitted = Made(seed), 0, 0
    for _ in range(1000):
        parent = made.scope()
        child = made.child(parent)
        if contains(parent, child):
            inside_ += 1
            permitted += compare(parent, child, [made.request(child) for _ in range(20)])
            grandchild = Scope(
                grants=tuple(made.narrower(grant, f"x{n}") for n, grant in enumerate(child.grants)),
                prohibitions=child.prohibitions,
                obligations=child.obligations,
            )
            # A chain is as good as its links: what lies inside something inside a scope lies inside the scope.
            if contains(child, grandchild):
                assert contains(parent, grandchild)
    assert inside_ > 300, "most pairs were made to lie inside"
    assert permitted > 1000, "the property is about what is permitted"


@given(scopes("g"))
def test_a_scope_lies_inside_itself(scope: Scope) -> None:
    assert attenuate(scope, scope) is scope
