"""Vectors of scopes: the form that is signed, and what the decision is about one action."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vector_parts import Vector, changed

from undersigned.encoding import canonicalize, digest_bytes, from_struct
from undersigned.scope import Action, Grant, Limit, Prohibition, Scope, Window, arguments_of, compile_scope

__all__ = ["scope_vectors"]

BASE = "urn:hire:sketch"
NOW = "2026-11-25T12:00:30Z"
SHOP, REPO = "https://shop.example", "https://git.acme.example"
SCOPE = Scope(
    grants=(
        Grant("dear", "pay:order", f"{SHOP}/*", limits=(Limit("EUR", "100"),), approval=True),
        Grant(
            "read",
            "repo:read",
            f"{REPO}/app/*",
            limits=(Limit("bytes", "1000"), Limit("count", "10"), Limit("count", "2", "PT1M")),
            window=Window(until="2026-12-01T00:00:00Z"),
            conditions={"dataClass": ["internal", "public"], "egress": ["none"], "region": ["eu"]},
        ),
        Grant("small", "pay:order", f"{SHOP}/*", limits=(Limit("EUR", "5"),)),
    ),
    prohibitions=(Prohibition("secrets", "repo:read", f"{REPO}/app/secrets/*"),),
)
FACTS = {"dataClass": "internal", "egress": "none", "region": "eu"}
REQUEST = digest_bytes(b"approval request")
MINUTE = "count.PT1M@2026-11-25T12:00:00Z"


def scope_vectors() -> Iterator[Vector]:
    """All of them."""
    wire = from_struct(compile_scope(SCOPE, BASE))

    yield _asked("granted", "inside the grant", _read(), _yes(bytes="900", count="9", minute="1"))
    used = {"read": {"bytes": "900", "count": "9", MINUTE: "1"}}
    yield _asked("granted-last", "the very last of each limit", _read(), _yes("0", "0", "0"), used=used)
    spelled = _read("HTTPS://GIT.acme.example:443/app/%61")
    yield _asked("other-spelling", "the same target, spelled otherwise", spelled, _yes("900", "9", "1"))
    full = {"answer": "no", "code": "scope_exceeded", "clause": "read"}
    left = {"remaining": {"bytes": "1000", "count": "10", "count.PT1M": "2"}}
    over = {"read": {MINUTE: "2"}}
    yield _asked(
        "over-the-period",
        "twice in this minute already",
        _read(),
        {**full, "remaining": {"bytes": "1000", "count": "10", "count.PT1M": "0"}},
        used=over,
    )
    yield _asked("over-the-limit", "more than the limit", _read(bytes="1000.000000001"), {**full, **left})
    yield _asked("not-stated", "a limited amount is not stated", Action("repo:read", f"{REPO}/app/a", {}, FACTS), full)
    for name in FACTS:
        facts = {key: value for key, value in FACTS.items() if key != name}
        yield _asked(f"no-{name.lower()}", f"the fact for `{name}` is missing", _read(facts=facts), {**full, **left})
    away = _read(facts={**FACTS, "egress": "mail.example"})
    yield _asked("other-egress", "the data would leave", away, {**full, **left})
    yield _asked("window-over", "after the window", _read(), {**full, **left}, now="2026-12-01T00:00:01Z")
    secret = {"answer": "no", "code": "scope_exceeded", "clause": "secrets", "remaining": {}}
    yield _asked("prohibited", "a prohibition wins", _read(f"{REPO}/app/secrets/key"), secret)
    spelled = _read(f"{REPO}/app/secrets;v=1/key/")
    yield _asked("prohibited-spelling", "a prohibition wins, in whatever spelling", spelled, secret)
    encoded = _read(f"{REPO}/app/secrets%3bv=1/key")
    yield _asked("prohibited-encoded", "a prohibition wins, also where a server decodes first", encoded, secret)
    nothing = {"answer": "no", "code": "scope_exceeded", "clause": "scope", "remaining": {}}
    yield _asked("dots", "a path with dots is no target", _read(f"{REPO}/app/x/../secrets/key"), nothing)
    for name, part in (("dots", "..;v=1"), ("an-encoded-dot", "%2e%3B"), ("nothing", ";v=1")):
        behind = _read(f"{REPO}/app/x/{part}/key")
        yield _asked(f"parameters-of-{name}", "a segment that is another path without its parameters", behind, nothing)
    long = _read(f"{REPO}/app/x%c0%af..%c0%afsecrets%c0%afkey")
    yield _asked("long-form-of-a-slash", "what is percent-encoded and is no UTF-8", long, nothing)
    outside = {"answer": "no", "code": "scope_exceeded", "clause": "read", "remaining": {}}
    yield _asked("outside", "an action that a grant names, on another target", _read(f"{REPO}/other/a"), outside)
    yield _asked("folder", "a last `*` stands for no empty segment", _read(f"{REPO}/app/"), outside)
    yield _asked("host-of-no-label", "a host that ends with a dot", _read("https://git.acme.example./app/a"), nothing)
    first = {"answer": "no", "code": "scope_exceeded", "clause": "dear"}
    elsewhere = Action("pay:order", "https://other.example/1", {"EUR": "1"})
    yield _asked("outside-of-two", "of two grants on other targets the first", elsewhere, {**first, "remaining": {}})
    yield _asked(
        "over-two-limits", "of two grants, both with too low a limit, the first", _pay("101"), {**first, **_left("100")}
    )
    for name, count in (("none", "0"), ("a-part", "1.5")):
        part = Action("pay:order", f"{SHOP}/1", {"EUR": "1", "count": count})
        yield _asked(f"count-of-{name}", f"{count} uses are no number of uses", part, nothing)
    zeros = "an amount that is not in its only spelling"
    yield _asked("amount-spelled", zeros, _pay("1.50"), nothing)
    yield _asked("no-grant", "an action that no grant names", Action("repo:write", f"{REPO}/app/a"), nothing)

    free = {"answer": "yes", "clause": "small", "remaining": {"EUR": "0"}}
    yield _asked("small", "a grant without approval comes first", _pay("5"), free)
    ask = {"answer": "ask", "code": "approval_required", "clause": "dear", "remaining": {"EUR": "100"}}
    yield _asked("asks", "a person has to agree", _pay("80"), ask)
    agreed = {
        "request": REQUEST,
        "clause": "dear",
        "arguments": arguments_of(_pay("80")),
        "uses": 1,
        "until": NOW,
    }
    yield _asked(
        "approved",
        "a person agreed to this very action",
        _pay("80"),
        {
            "answer": "yes",
            "clause": "dear",
            "remaining": {"EUR": "20"},
            "charges": {"EUR": ["80", "100"], f"approval:{REQUEST}": ["1", "1"]},
        },
        approved=[agreed],
    )
    yield _asked("approved-another", "a person agreed to another amount", _pay("81"), ask, approved=[agreed])
    yield _asked("approved-late", "after the end of the approval", _pay("80"), ask, approved=[agreed], now=_later())
    spent = {"dear": {f"approval:{REQUEST}": "1"}}
    named = Scope(grants=(Grant("constructor", "repo:read", f"{REPO}/*", limits=(Limit("constructor", "5"),)),))
    of_it = {"answer": "yes", "clause": "constructor", "remaining": {"constructor": "3"}}
    uses = Action("repo:read", f"{REPO}/app/a", {"constructor": "2"})
    yield _asked("names-of-objects", "names that objects of a language have of their own", uses, of_it, scope=named)
    yield _asked("approved-used-up", "the one use is used", _pay("80"), ask, approved=[agreed], used=spent)

    def refused(name: str, says: str, code: str, **members: Any) -> Vector:
        return Vector(f"scopes/{name}", says, canonicalize(changed(wire, **members)), _case(_read()), {"code": code})

    bad, at = "schema_violation", "grants__1__constraint"
    yield refused("unknown-operand", "an operand that is not known", bad, **{f"{at}__0__leftOperand": "purpose"})
    yield refused("unsorted", "a set in another order", bad, **{f"{at}__0__rightOperand": ["public", "internal"]})
    minute, spelled = f"{at}__5__per", "one and the same, spelled in another way"
    yield refused("period-spelled", spelled, bad, **{minute: "PT60S", f"{at}__5__id": f"{BASE}#read.limit.count.PT60S"})
    long = {minute: "P100000D", f"{at}__5__id": f"{BASE}#read.limit.count.P100000D"}
    yield refused("period-too-long", "a period of six digits of days", bad, **long)
    ends = f"{at}__6__rightOperand"
    yield refused("window-of-no-time", "a window until no instant", bad, **{ends: ["2026-12-01T00:00:60Z"]})
    for name, target in (
        ("slash", f"{SHOP}/"),
        ("port", f"{SHOP}:443/*"),
        ("escape", f"{SHOP}/%61"),
        ("capitals", "https://SHOP.example/*"),
    ):
        yield refused(f"target-{name}", spelled, bad, grants__0__target=target)
    for name, says, target in (
        ("host", "a host that ends with a dot", "https://shop.example./*"),
        ("character", "a character that a URI has not", f"{SHOP}/<a>"),
        ("encoded-slash", "a slash in percent-encoding", f"{SHOP}/a%2Fb"),
        ("star-inside", "a `*` that is a part of a segment", f"{SHOP}/a*"),
        ("scheme-alone", "anything of a scheme", "urn:*"),
    ):
        yield refused(f"target-{name}", says, bad, grants__0__target=target)
    yield refused("target-too-deep", "65 segments", bad, grants__0__target=f"{SHOP}/" + "/".join(["a"] * 65))
    yield refused("condition-value", "a value with a blank", bad, **{f"{at}__0__rightOperand": ["all of it"]})
    yield refused("name-of-the-terms", "a clause named as the terms are", bad, prohibitions__0__id=f"{BASE}#terms")
    yield refused("extensions-none", "an object of extensions without any", bad, extensions={})
    yield refused("extensions-no-uri", "an extension under a name that is no URI", bad, extensions={"note": "x"})
    held = [{**wire["grants"][0]["constraint"][0], "id": f"{BASE}#secrets.limit.EUR"}]
    yield refused("prohibition-with-a-limit", "a prohibition with a limit", bad, prohibitions__0__constraint=held)
    yield refused("other-id", "an id that does not follow", bad, **{f"{at}__1__id": f"{BASE}#read.condition.x"})
    yield refused("other-duty", "a duty that is no approval", bad, grants__0__duty__0__action="urn:x:inform")
    yield refused("duty-elsewhere", "a prohibition with a duty", bad, prohibitions__0__duty=wire["grants"][0]["duty"])
    known = wire["grants"][1]["constraint"]
    for number, name, says, members in (
        (
            1,
            "condition-that-is-no-list",
            "a condition by another operator",
            {"operator": "lteq", "rightOperand": ["1"], "unit": "bytes"},
        ),
        (0, "condition-with-a-period", "a condition for a period", {"per": "PT1M"}),
        (6, "window-with-a-period", "a window for a period", {"per": "PT1M"}),
        (4, "limit-of-two-values", "a limit of two values", {"rightOperand": ["10", "11"]}),
        (0, "condition-with-a-unit", "a condition with a unit", {"unit": "bytes"}),
        (6, "window-with-a-unit", "a window with a unit", {"unit": "bytes"}),
        (4, "count-with-a-unit", "uses, with a unit", {"unit": "uses"}),
    ):
        held = [*known[:number], known[number] | members, *known[number + 1 :]]
        yield refused(name, says, bad, **{at: held})
    uses = {**known[3], "unit": "count", "id": known[4]["id"]}
    held = [*known[:3], uses, *known[5:]]
    yield refused("unit-of-uses", "an amount whose unit is that of uses", bad, **{at: held})
    euro = {**wire["grants"][0]["constraint"][0], "unit": "euro", "id": f"{BASE}#dear.limit.euro"}
    yield refused("currency-of-four-letters", "an amount of money in no currency", bad, grants__0__constraint=[euro])
    yield refused("scope-of-another-document", "a scope named for another document", bad, id="urn:hire:other#scope")
    yield refused("clauses-unsorted", "clauses in another order", bad, grants=wire["grants"][::-1])
    yield refused("limits-unsorted", "constraints in another order", bad, **{at: known[::-1]})
    begins = {**known[6], "operator": "gteq", "rightOperand": ["2026-12-01T00:00:01Z"]}
    held = [*known[:6], {**begins, "id": f"{BASE}#read.window.not-before"}, known[6]]
    yield refused("window-that-never-opens", "a window that ends before it begins", bad, **{at: held})
    yield refused(
        "duty-of-another-clause", "a duty named otherwise", bad, grants__0__duty__0__id=f"{BASE}#small.approval"
    )
    count = f"{at}__4__rightOperand"
    yield refused("limit-negative", "a limit below nothing", bad, **{count: ["-1"]})
    yield refused("limit-of-a-part", "a part of one use", bad, **{count: ["1.5"]})
    yield refused("remedy", "a member that narrows, and is not known", "unknown_term", prohibitions__0__remedy=[])


def _later() -> str:
    return "2026-11-25T12:00:31Z"


def _read(target: str = f"{REPO}/app/a", *, bytes: str = "100", facts: dict[str, str] | None = None) -> Action:
    return Action("repo:read", target, {"bytes": bytes}, FACTS if facts is None else facts)


def _left(euros: str) -> dict[str, Any]:
    return {"remaining": {"EUR": euros}}


def _pay(amount: str) -> Action:
    return Action("pay:order", f"{SHOP}/1", {"EUR": amount})


def _yes(bytes: str, count: str, minute: str) -> dict[str, Any]:
    return {
        "answer": "yes",
        "clause": "read",
        "remaining": {"bytes": bytes, "count": count, "count.PT1M": minute},
        "charges": {"bytes": ["100", "1000"], "count": ["1", "10"], MINUTE: ["1", "2"]},
    }


def _case(action: Action, **more: Any) -> dict[str, Any]:
    return {"kind": "scope", "now": NOW, "action": from_struct(action), **more}


def _asked(
    name: str, says: str, action: Action, expected: dict[str, Any], *, scope: Scope = SCOPE, **more: Any
) -> Vector:
    wire = canonicalize(from_struct(compile_scope(scope, BASE)))
    return Vector(f"scopes/{name}", says, wire, _case(action, **more), expected)
