"""`authorization_details` of OAuth 2.0 (RFC 9396): every shape of its text is read; our own says the whole scope."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from support import refuses
from undersigned.bridges.rar import HIRE_CONTRACT, MAX_DETAILS, authorization_details, read_details, scope_of_details
from undersigned.encoding import digest_bytes
from undersigned.errors import FormatError
from undersigned.scope import Action, Grant, Limit, Obligation, Prohibition, Scope, Window, contains, permits

CONTRACT = digest_bytes(b"the contract")
NAMED: dict[str, Any] = {"identifier": "urn:hire:engagement:x:hirer:4", "contract": CONTRACT}
BEGIN, UNTIL = "2026-11-25T12:00:00Z", "2026-12-01T00:00:00Z"
NOW = "2026-11-26T00:00:00Z"
COMMON = ("type", "locations", "actions", "datatypes", "identifier", "privileges")


def blocks(conformance: Path) -> list[tuple[int, list[dict[str, Any]]]]:
    """(number, objects) of each block: an array, one object, or a token or request that holds an array."""
    found: list[tuple[int, list[dict[str, Any]]]] = []
    for block in json.loads((conformance / "oauth-rar" / "examples.json").read_bytes()):
        said = block["json"]
        if isinstance(said, dict):
            said = said.get("authorization_details", [said])
        found.append((block["block"], said))
    return found


def test_every_shape_of_the_text_is_read(conformance: Path) -> None:
    """Section 2: the common members by their names, what a type adds as it came, and nothing lost."""
    seen = blocks(conformance)
    assert len(seen) == 15
    for number, said in seen:
        read = read_details(said)
        assert len(read) == len(said), number
        for detail, item in zip(read, said, strict=True):
            again = {name: value for name in COMMON if (value := getattr(detail, name)) is not None} | detail.more
            assert json.loads(json.dumps(again)) == item, number


@pytest.mark.parametrize(("count", "code"), [(MAX_DETAILS, ""), (MAX_DETAILS + 1, "too_large")])
def test_only_so_many_objects_are_read(count: int, code: str) -> None:
    with refuses(FormatError, code) if code else nullcontext():
        assert len(read_details([{"type": "other"}] * count)) == count


def test_what_others_mean_is_no_scope_of_ours(conformance: Path) -> None:
    """Section 5: an unknown type is refused, and no action or location of it is taken for one of ours."""
    for number, said in blocks(conformance):
        with pytest.raises(FormatError) as refused:
            scope_of_details(said, contract=CONTRACT)
        assert (refused.value.code, refused.value.path) == ("schema_violation", "/0"), number


SCOPE = Scope(
    grants=(
        Grant(
            "read",
            "repo:read",
            "https://git.acme.example/app/*",
            (Limit("count", "10", "PT1M"), Limit("EUR", "5")),
            Window(not_before=NOW, until="2026-11-30T00:00:00Z"),
            {"dataClass": ("internal", "public"), "egress": ("none",), "region": ("eu",)},
        ),
        Grant("pay", "pay:order", "https://shop.example/*", approval=True),
    ),
    prohibitions=(Prohibition("no-keys", "repo:read", "https://git.acme.example/app/keys"),),
    obligations=(Obligation("wipe", "data:destroy", "https://acme.example/*"),),
)


def test_a_scope_is_said_whole_and_read_back() -> None:
    """The members of the standard, the contract's digest and end, and what only our type has; nothing gets lost."""
    said = authorization_details(SCOPE, **NAMED, until=UNTIL, not_before=BEGIN)
    assert json.loads(json.dumps(said)) == said
    pay, read = said
    assert (read["type"], read["identifier"], read["contract_digest"]) == (HIRE_CONTRACT, NAMED["identifier"], CONTRACT)
    assert (read["actions"], read["locations"]) == (["repo:read"], ["https://git.acme.example/app/*"])
    assert (read["datatypes"], read["exp"]) == (["internal", "public"], 1795996800)
    assert pay["exp"] == 1796083200
    back = scope_of_details(said, contract=CONTRACT)
    assert back.prohibitions == SCOPE.prohibitions
    assert back.grants[1] == SCOPE.grants[1]
    assert back.grants[0].window == Window(not_before=BEGIN, until=UNTIL), "the contract's own time stands in it"
    assert back.obligations == ()


def test_each_object_stands_alone() -> None:
    """Whoever is given one of them is held by its prohibitions, limits, conditions and end."""
    _, read = authorization_details(SCOPE, **NAMED, until=UNTIL)
    alone = scope_of_details([read], contract=CONTRACT)
    facts = {"dataClass": "public", "egress": "none", "region": "eu"}

    def asks(name: str, now: str = NOW, **more: str) -> str:
        target, amounts = f"https://git.acme.example/app/{name}", {"EUR": more.pop("eur", "1")}
        decision = permits(alone, {}, Action("repo:read", target, amounts, {**facts, **more}), now)
        return f"{decision.answer} {decision.clause}"

    assert asks("a") == "yes read"
    assert asks("keys") == "no no-keys"
    assert asks("a", dataClass="restricted") == "no read"
    assert asks("a", eur="6") == "no read"
    assert asks("a", "2026-11-30T00:00:01Z") == "no read"
    assert contains(Scope(grants=SCOPE.grants, prohibitions=SCOPE.prohibitions), alone)


def test_what_cannot_be_said_is_refused() -> None:
    """An extension that has to be understood is not left out, because it may be what narrows the scope."""
    with pytest.raises(FormatError, match="urn:example:hours"):
        authorization_details(
            Scope(grants=SCOPE.grants, extensions={"urn:example:hours": 1}, critical=("urn:example:hours",)),
            **NAMED,
            until=UNTIL,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"contract_digest": digest_bytes(b"another")},
        {"type": "payment_initiation"},
        {"actions": ["repo:read", "repo:write"]},
        {"actions": []},
        {"locations": ["https://git.acme.example/app/*", "https://acme.example/*"]},
        {"locations": "https://git.acme.example/app/*"},
        {"privileges": ["admin"]},
        {"hours": "9 to 5"},
        {"exp": "1796083200"},
        {"exp": -1},
        {"exp": 2**53 - 1},
        {"limits": [{"unit": "EUR", "max": "-1"}]},
        {"limits": [{"unit": "EUR", "max": 5}]},
        {"limits": [{"unit": "EUR", "max": "5", "soft": True}]},
        {"approval": "no"},
        {"datatypes": []},
        {"clause": "Not a name"},
    ],
    ids=str,
)
def test_an_object_that_is_not_ours_is_refused(changes: dict[str, Any]) -> None:
    """Section 5: unknown members, other types of value and other contracts; each alone."""
    _, read = authorization_details(SCOPE, **NAMED, until=UNTIL)
    scope_of_details([read], contract=CONTRACT)
    with pytest.raises(FormatError):
        scope_of_details([{**read, **changes}], contract=CONTRACT)


@pytest.mark.parametrize(
    "value", [{}, "x", None, [1], [{}], [{"type": ""}], [{"type": "a", "actions": [1]}], [[]]], ids=str
)
def test_what_is_no_array_of_typed_objects_is_refused(value: object) -> None:
    """Section 2."""
    with pytest.raises(FormatError):
        read_details(value)
