from typing import Any

import pytest
from msgspec.structs import replace

from support import put, refuses
from undersigned.encoding import digest_bytes, from_struct, to_struct
from undersigned.errors import FormatError
from undersigned.jsonld import HIRE_CONTEXT, compiled_quads, document_quads, expand
from undersigned.scope import (
    OBTAIN_CONSENT,
    SKETCH_BASE,
    Grant,
    Limit,
    Obligation,
    Prohibition,
    Scope,
    Window,
    WireScope,
    compile_scope,
    compiled,
    read_scope,
    sketch,
    whole_scope,
)

BASE = f"urn:hire:engagement:{digest_bytes(b'x')}:hirer:4"
SCOPE = Scope(
    grants=(
        Grant(
            "read",
            "artifact:read",
            "https://acme.example/artifacts/*",
            limits=(Limit("count", "10"), Limit("EUR", "5.5"), Limit("bytes", "1000"), Limit("count", "2", "PT1M")),
            window=Window(not_before="2026-11-25T00:00:00Z", until="2026-12-01T00:00:00Z"),
            conditions={"region": ["eu", "ch"], "dataClass": ["public"], "egress": ["none"]},
        ),
        Grant("write", "artifact:write", "https://acme.example/out", approval=True),
    ),
    prohibitions=(Prohibition("secrets", "artifact:read", "https://acme.example/artifacts/secret"),),
    obligations=(Obligation("erase", "data:erase", "https://acme.example/*", "2026-12-02T00:00:00Z"),),
    extensions={"https://x.example/e": {"a": [1, "b"]}},
)


def test_compiling_and_reading_are_inverse() -> None:
    wire = compile_scope(SCOPE, BASE)
    assert read_scope(wire) == SCOPE
    assert read_scope(to_struct(from_struct(wire), WireScope)) == SCOPE
    assert read_scope(sketch(SCOPE)) == SCOPE
    assert sketch(SCOPE).id == f"{SKETCH_BASE}#scope"


def test_money_counts_and_amounts_have_their_operands() -> None:
    wire = from_struct(compile_scope(SCOPE, BASE))
    assert wire["grants"][0]["constraint"] == [
        constraint(".condition.dataClass", "dataClass", "isAnyOf", "public"),
        constraint(".condition.egress", "egress", "isAnyOf", "none"),
        constraint(".condition.region", "region", "isAnyOf", "ch", "eu"),
        constraint(".limit.EUR", "payAmount", "lteq", "5.5", unit="EUR"),
        constraint(".limit.bytes", "amount", "lteq", "1000", unit="bytes"),
        constraint(".limit.count", "count", "lteq", "10"),
        constraint(".limit.count.PT1M", "count", "lteq", "2", per="PT1M"),
        constraint(".window.not-before", "dateTime", "gteq", "2026-11-25T00:00:00Z"),
        constraint(".window.until", "dateTime", "lteq", "2026-12-01T00:00:00Z"),
    ]


def constraint(name: str, operand: str, operator: str, *values: str, **more: str) -> dict[str, Any]:
    return {
        "id": f"{BASE}#read{name}",
        "leftOperand": operand,
        "operator": operator,
        "rightOperand": list(values),
        **more,
    }


def test_a_scope_is_odrl_by_the_hire_context() -> None:
    """The quads are ODRL's, the same on the fast and on the general path."""
    document = {"@context": HIRE_CONTEXT, **from_struct(compile_scope(SCOPE, BASE))}
    quads = compiled_quads(document)
    assert quads == document_quads(document)
    odrl, kind = "http://www.w3.org/ns/odrl/2", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    for line in (
        f"<{BASE}#write> <{odrl}/duty> <{BASE}#write.approval> .",
        f"<{BASE}#write.approval> <{odrl}/action> <{odrl}/obtainConsent> .",
        f"<{BASE}#scope> <{kind}> <{odrl}/Set> .",
        f"<{BASE}#scope> <{odrl}/permission> <{BASE}#read> .",
        f"<{BASE}#read> <{odrl}/action> <artifact:read> .",
        f"<{BASE}#read.limit.EUR> <{odrl}/leftOperand> <{odrl}/payAmount> .",
        f"<{BASE}#read.condition.region> <{odrl}/operator> <{odrl}/isAnyOf> .",
    ):
        assert f"{line}\n".encode() in quads
    assert b"_:" not in quads


ODRL = "http://www.w3.org/ns/odrl/2/"
ODRL_TERMS = {
    "Set",
    "action",
    "constraint",
    "count",
    "dateTime",
    "duty",
    "gteq",
    "isAnyOf",
    "leftOperand",
    "lteq",
    "obligation",
    "obtainConsent",
    "operator",
    "payAmount",
    "permission",
    "prohibition",
    "rightOperand",
    "target",
    "unit",
}
"""Terms of the ODRL 2.2 Information Model and Common Vocabulary that a scope is written in."""


def test_expanding_a_scope_gives_the_terms_of_odrl() -> None:
    """HIRE-SCO-11: what a JSON-LD processor reads is ODRL; only what ODRL has no word for is ours."""
    (node,) = expand({"@context": HIRE_CONTEXT, **from_struct(compile_scope(SCOPE, BASE))})
    names: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            names.update(key for key in value if ":" in key)
            names.update(value.get("@type", ()) if isinstance(value.get("@type"), list) else ())
            if ":" in value.get("@id", ""):
                names.add(value["@id"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(node)
    assert {name.removeprefix(ODRL) for name in names if name.startswith(ODRL)} == ODRL_TERMS
    ours = {name.removeprefix("https://w3id.org/hire#") for name in names if name.startswith("https://w3id.org/hire#")}
    assert ours == {"amount", "dataClass", "egress", "extensions", "per", "region", "unit-EUR", "unit-bytes"}

    assert node["@type"] == [f"{ODRL}Set"]
    read, write = (grant for grant in node[f"{ODRL}permission"])
    assert write[f"{ODRL}duty"] == [
        {"@id": f"{BASE}#write.approval", f"{ODRL}action": [{"@id": f"{ODRL}obtainConsent"}]}
    ]
    (money,) = (one for one in read[f"{ODRL}constraint"] if one["@id"].endswith(".limit.EUR"))
    assert money == {
        "@id": f"{BASE}#read.limit.EUR",
        f"{ODRL}leftOperand": [{"@id": f"{ODRL}payAmount"}],
        f"{ODRL}operator": [{"@id": f"{ODRL}lteq"}],
        f"{ODRL}rightOperand": [{"@value": "5.5"}],
        f"{ODRL}unit": [{"@id": "https://w3id.org/hire#unit-EUR"}],
    }


def changed(path: list[Any], value: Any) -> WireScope:
    wire = from_struct(compile_scope(SCOPE, BASE))
    put(wire, path, value)
    return to_struct(wire, WireScope)


READ = ["grants", 0, "constraint"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["id"], f"{BASE}#other"),
        (["id"], "scope"),
        (["grants", 0, "id"], f"{BASE}:x#read"),
        (["grants", 0, "id"], f"{BASE}#write"),
        (["grants", 0, "target"], "https://ACME.example/artifacts/*"),
        (["grants", 0, "target"], "https://acme.example/a*"),
        ([*READ, 0, "id"], f"{BASE}#read.condition.region"),
        ([*READ, 2, "rightOperand"], ["eu", "ch"]),
        ([*READ, 2, "rightOperand"], ["ch", "ch", "eu"]),
        ([*READ, 3, "unit"], "USD"),
        ([*READ, 3, "unit"], "bytes"),
        ([*READ, 3, "unit"], None),
        ([*READ, 3, "operator"], "gteq"),
        ([*READ, 3, "rightOperand"], ["5.50"]),
        ([*READ, 3, "rightOperand"], ["5.5", "9"]),
        ([*READ, 5, "unit"], "bytes"),
        ([*READ, 6, "per"], "PT60S"),
        ([*READ, 8, "rightOperand"], ["2026-12-01"]),
        ([*READ, 8, "per"], "PT1M"),
        ([*READ, 8], None),
        (["obligations", 0, "constraint", 0, "operator"], "gteq"),
        (["grants", 1, "duty", 0, "id"], f"{BASE}#read.approval"),
        (["prohibitions", 0, "duty"], [{"id": f"{BASE}#secrets.approval", "action": OBTAIN_CONSENT}]),
        (["obligations", 0, "duty"], [{"id": f"{BASE}#erase.approval", "action": OBTAIN_CONSENT}]),
        (["critical"], ["https://x.example/e"]),
    ],
)
def test_what_compiling_does_not_write_is_refused(path: list[Any], value: Any) -> None:
    """One meaning, one spelling; and a constraint that is not understood is never skipped.

    HIRE-SCO-01, HIRE-SCO-02.
    """
    if path == [*READ, 8] and value is None:
        assert read_scope(changed(path, value)) != SCOPE
        return
    with pytest.raises(FormatError):
        read_scope(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "pointer", "told"),
    [
        ([*READ, 2, "rightOperand"], ["eu", "ch"], "/grants/0/constraint/2/rightOperand/0", "expected 'ch', came 'eu'"),
        (
            [*READ, 2, "rightOperand"],
            ["ch", "ch", "eu"],
            "/grants/0/constraint/2/rightOperand/1",
            "expected 'eu', came 'ch'",
        ),
        ([*READ, 5, "unit"], "bytes", "/grants/0/constraint/5/unit", "expected None, came 'bytes'"),
        ([*READ, 0, "id"], f"{BASE}#other", "/grants/0/constraint/0/id", f"came '{BASE}#other'"),
    ],
)
def test_where_it_is_spelled_otherwise_is_told(path: list[Any], value: Any, pointer: str, told: str) -> None:
    """And what was expected there and what came (HIRE-ERR-04)."""
    with pytest.raises(FormatError) as caught:
        whole_scope(changed(path, value))
    assert caught.value.path == pointer
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ([*READ, 3, "leftOperand"], "purpose", "schema_violation"),
        ([*READ, 3, "operator"], "neq", "schema_violation"),
        ([*READ, 3, "status"], "x", "unknown_term"),
        (["grants", 0, "duty"], [], "schema_violation"),
        (["grants", 0, "remedy"], [], "unknown_term"),
        (["grants", 1, "duty", 0, "action"], "http://www.w3.org/ns/odrl/2/inform", "schema_violation"),
        (["grants", 1, "duty", 0, "target"], "https://acme.example/", "unknown_term"),
        (["grants", 0, "action"], "Read", "schema_violation"),
        (["prohibitions"], [], "schema_violation"),
        (["grants", 1, "constraint"], [], "schema_violation"),
        (["type"], "Offer", "schema_violation"),
    ],
)
def test_the_shape_is_closed(path: list[Any], value: Any, code: str) -> None:
    """HIRE-SCO-02."""
    with pytest.raises(FormatError) as caught:
        changed(path, value)
    assert caught.value.code == code


def test_a_critical_extension_has_to_be_understood() -> None:
    """HIRE-SCO-02."""
    scope = Scope(extensions={"https://x.example/e": 1}, critical=("https://x.example/e",))
    wire = compile_scope(scope, BASE)
    with pytest.raises(FormatError, match="critical"):
        read_scope(wire)
    assert whole_scope(wire) == scope


@pytest.mark.parametrize("critical", [["https://x.example/f", "https://x.example/e"], ["https://x.example/e"] * 2])
def test_what_is_critical_is_a_sorted_set(critical: list[str]) -> None:
    """HIRE-SCO-01."""
    uris = sorted(set(critical))
    wire = from_struct(compile_scope(Scope(extensions=dict.fromkeys(uris, 1), critical=tuple(uris)), BASE))
    assert whole_scope(to_struct(wire, WireScope))
    with refuses(FormatError, "schema_violation"):
        whole_scope(to_struct({**wire, "critical": critical}, WireScope))


def test_clauses_in_another_order_are_another_text() -> None:
    wire = from_struct(compile_scope(SCOPE, BASE))
    wire["grants"].reverse()
    with pytest.raises(FormatError):
        read_scope(to_struct(wire, WireScope))


@pytest.mark.parametrize("base", ["", "urn:x#y"])
def test_a_scope_belongs_to_a_document(base: str) -> None:
    """Its ids are made of the document's; without one they would be those of any (HIRE-SCO-01)."""
    wire = compile_scope(SCOPE, base)
    if base:
        assert read_scope(wire) == SCOPE
        return
    with pytest.raises(FormatError, match="#scope"):
        read_scope(wire)


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the scopes that are read from now on, one that is known already not among them."""
    read: list[str] = []
    really = compiled._read

    def counted(wire: WireScope) -> Scope:
        read.append(wire.id)
        return really(wire)

    monkeypatch.setattr(compiled, "_read", counted)
    return read


def test_the_same_clauses_under_other_ids_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each offer has the scope under ids of its own. What differs in anything but those is read by itself, and refused
    if it is not as compiling writes it.
    """
    read = reads(monkeypatch)
    target = "https://acme.example/artifacts/read-once"
    scope = Scope(grants=(Grant("read", "artifact:read", target, limits=(Limit("count", "4"),)),))
    for number in range(3):
        assert read_scope(compile_scope(scope, f"{BASE}{number}")) == scope
    assert read == [f"{BASE}0#scope"]
    for other in (
        Scope(grants=(Grant("read", "artifact:read", target, limits=(Limit("count", "5"),)),)),
        Scope(grants=(Grant("write", "artifact:write", target),)),
        Scope(grants=scope.grants, prohibitions=(Prohibition("none", "artifact:write", target),)),
    ):
        assert read_scope(compile_scope(other, f"{BASE}9")) == other
    (rule,) = compile_scope(scope, BASE).grants
    for wrong in (
        replace(compile_scope(scope, BASE), grants=(replace(rule, id=f"{BASE}8#read"),)),
        replace(compile_scope(scope, ""), id="#scope"),
    ):
        with refuses(FormatError, "schema_violation"):
            read_scope(wrong)


def test_what_was_sketched_is_known_where_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hirer has its scope before it is written. What differs from what it sketched is read by itself."""
    read = reads(monkeypatch)
    grant = Grant("read", "artifact:read", "https://acme.example/artifacts/sketched", limits=(Limit("count", "4"),))
    scope = Scope(grants=(grant,))
    assert read_scope(sketch(scope)) == scope
    assert read_scope(compile_scope(scope, BASE)) == scope
    assert read == []
    narrower = Scope(grants=(replace(grant, limits=(Limit("count", "3"),)),))
    assert read_scope(compile_scope(narrower, BASE)) == narrower
    assert read == [f"{BASE}#scope"]


def test_what_is_read_is_not_changed_by_what_it_was_written_from() -> None:
    """The scope that was sketched answers for what is read, so nobody else may have a part of it."""
    extensions: dict[str, Any] = {}
    wire = sketch(Scope(grants=SCOPE.grants, extensions=extensions))
    before = read_scope(wire)
    extensions["https://x.example/later"] = 1
    assert read_scope(wire) == before == Scope(grants=SCOPE.grants)
