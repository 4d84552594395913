"""Rules of a gate: method and path in, action and target out, and nothing that could be read in two ways."""

from __future__ import annotations

import tomllib

import pytest

from undersigned.bridges.gate_rules import GateRules, read_rules
from undersigned.errors import ConfigurationError, ScopeError

ORIGIN = "https://api.acme.example"
RULES = """
origin = "https://api.acme.example"

[[rule]]
method = ["GET", "HEAD"]
path = "/repos/{repo}/files/*"
action = "repo:read"
target = "https://git.acme.example/{repo}"

[[rule]]
method = "POST"
path = "/orders"
action = "order:place"
amounts = { EUR = "0.5", bytes = "body" }
facts = { dataClass = "internal" }

[[rule]]
method = "GET"
path = "/search"
action = "search:run"
query = true

[[rule]]
method = "GET"
path = "/people/{person}"
action = "person:read"
target = "https://people.acme.example/{person}"

[[rule]]
method = "GET"
path = "/"
action = "root:read"
"""


@pytest.fixture
def rules() -> GateRules:
    return read_rules(tomllib.loads(RULES))


@pytest.mark.parametrize(
    ("method", "path", "action", "target"),
    [
        ("GET", "/repos/app/files/a", "repo:read", "https://git.acme.example/app"),
        ("HEAD", "/repos/app/files/a/b/c", "repo:read", "https://git.acme.example/app"),
        ("GET", "/repos/a%7Ep/files/a", "repo:read", "https://git.acme.example/a~p"),
        ("POST", "/orders", "order:place", f"{ORIGIN}/orders"),
        ("GET", "/search?q=x", "search:run", f"{ORIGIN}/search?q=x"),
        ("GET", "/search", "search:run", f"{ORIGIN}/search"),
        ("GET", "/people/ann", "person:read", "https://people.acme.example/ann"),
        ("GET", "/", "root:read", ORIGIN),
    ],
)
def test_what_a_rule_maps(rules: GateRules, method: str, path: str, action: str, target: str) -> None:
    asked, _ = rules.action_of(method, ORIGIN + path, 0)
    assert (asked.name, asked.target) == (action, target)


def test_amounts_and_facts_are_the_servers_own(rules: GateRules) -> None:
    """HIRE-GTS-07: nothing of them is taken from the request but how long its body is."""
    asked, _ = rules.action_of("POST", f"{ORIGIN}/orders", 77)
    assert asked.amounts == {"EUR": "0.5", "bytes": "77"}
    assert asked.facts == {"dataClass": "internal"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/repos/app/files/a"),
        ("get", "/repos/app/files/a"),
        ("GET", "/repos/app/files"),
        ("GET", "/repos/app/files/"),
        ("GET", "/repos//files/a"),
        ("GET", "/repos/app/../orders/files/a"),
        ("GET", "/repos/app/./files/a"),
        ("GET", "/repos/%2e%2e/files/a"),
        ("GET", "/repos/a%2Fb/files/a"),
        ("GET", "/repos/a%5cb/files/a"),
        ("GET", "/repos/a%252Fb/files/a"),
        ("GET", "/repos/app/files/a%00"),
        ("GET", "/repos/app/files/a;x=1/../b"),
        ("GET", "/repos/app/files//a"),
        ("GET", "/Repos/app/files/a"),
        ("GET", "/repos/app/files/*"),
        ("GET", "/repos/app/files/a?x=1"),
        ("POST", "/orders/"),
        ("POST", "/orders?x"),
        ("POST", "/orders/1"),
        ("POST", "/%6frders/"),
        ("GET", "/people/"),
        ("GET", "/nothing"),
    ],
)
def test_what_no_rule_maps_is_no_action(rules: GateRules, method: str, path: str) -> None:
    """HIRE-GTS-06: paths are compared as parsed, in one spelling; what is not mapped is refused."""
    with pytest.raises(ScopeError) as refused:
        rules.action_of(method, ORIGIN + path, 0)
    assert refused.value.code == "scope_exceeded"
    assert refused.value.detail["clause"] == "rules"


def test_who_runs_the_gate_reads_that_a_query_kept_a_request_from_a_rule(rules: GateRules) -> None:
    with pytest.raises(ScopeError, match="no rule that takes a query maps this method and path"):
        rules.action_of("GET", f"{ORIGIN}/repos/app/files/a?x=1", 0)
    with pytest.raises(ScopeError, match="no rule maps this method and path"):
        rules.action_of("GET", f"{ORIGIN}/nothing", 0)


EVADED = """
origin = "https://api.acme.example"

[[rule]]
method = "GET"
path = "/repos/secret"
action = "secret:read"

[[rule]]
method = "GET"
path = "/repos/{repo}"
action = "repo:read"

[[rule]]
method = "GET"
path = "/repos/{repo}/"
action = "repo:list"

[[rule]]
method = "GET"
path = "/search"
action = "search:form"

[[rule]]
method = "GET"
path = "/search"
action = "search:run"
query = true

[[rule]]
method = ["GET", "POST"]
path = "/*"
action = "any:read"
query = true

[[rule]]
method = "PUT"
path = "/{place}"
action = "place:write"

[[rule]]
method = "PUT"
path = "/*"
action = "any:write"
query = true

[[rule]]
method = "DELETE"
path = "/repos/*"
action = "repo:delete"

[[rule]]
method = "DELETE"
path = "/*"
action = "any:delete"
query = true

[[rule]]
method = "PATCH"
path = "/*"
action = "any:patch"

[[rule]]
method = "PATCH"
path = "/repos/*"
action = "repo:patch"
query = true

[[rule]]
method = "LOCK"
path = "/repos/{repo}"
action = "repo:lock"

[[rule]]
method = ["LOCK", "UNLOCK"]
path = "/repos/*"
action = "repo:lock-all"

[[rule]]
method = "UNLOCK"
path = "/repos/app/*"
action = "repo:unlock"
query = true
"""


@pytest.mark.parametrize(
    "path",
    [
        "/repos/secret;v=1",
        "/repos/secret%3bv=1",
        "/repos;v=1/secret",
        "/repos/secret/",
        "/repos/secret;v=1/",
        "/repos/secret?",
        "/repos/secret?v=1",
        "/repos/secret;v=1?v=1",
        "/repos/app?",
        "/search/",
        "/search;v=1?q=x",
    ],
)
def test_no_spelling_gets_past_the_rule_that_is_meant(path: str) -> None:
    """HIRE-GTS-06: a server may take it for what an earlier rule maps, and a later one would ask for less."""
    rules = read_rules(tomllib.loads(EVADED))
    with pytest.raises(ScopeError) as refused:
        rules.action_of("GET", ORIGIN + path, 0)
    assert refused.value.detail["clause"] == "rules"


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/app/"), ("PUT", "/app?v=1"), ("DELETE", "/repos;v=1/app"), ("LOCK", "/repos/app/")],
)
def test_no_spelling_gets_past_a_rule_for_a_deeper_one(method: str, path: str) -> None:
    """HIRE-GTS-06: that maps more than the earlier one is about, though each of its segments could be any."""
    with pytest.raises(ScopeError) as refused:
        read_rules(tomllib.loads(EVADED)).action_of(method, ORIGIN + path, 0)
    assert refused.value.detail["clause"] == "rules"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("PUT", "/app", "place:write"),
        ("PUT", "/app/more", "any:write"),
        ("DELETE", "/repos/app", "repo:delete"),
        ("DELETE", "/repositories/app", "any:delete"),
        ("PATCH", "/repos/app?v=1", "repo:patch"),
        ("PATCH", "/repos/app", "any:patch"),
        ("LOCK", "/repos/app/x", "repo:lock-all"),
        ("UNLOCK", "/repos/app/x?v=1", "repo:unlock"),
        ("GET", "/repos/secret", "secret:read"),
        ("GET", "/repos/app", "repo:read"),
        ("GET", "/repos/app;v=1", "repo:read"),
        ("GET", "/repos/app/", "repo:list"),
        ("GET", "/search", "search:form"),
        ("GET", "/search?q=x", "search:run"),
        ("GET", "/search/x?q=x", "any:read"),
        ("GET", "/repos/secret/x", "any:read"),
        ("POST", "/repos/secret;v=1", "any:read"),
    ],
)
def test_rules_may_tell_spellings_apart_themselves(method: str, path: str, action: str) -> None:
    asked, _ = read_rules(tomllib.loads(EVADED)).action_of(method, ORIGIN + path, 0)
    assert asked.name == action


def test_a_segment_is_not_read_as_a_hole(rules: GateRules) -> None:
    table = tomllib.loads(RULES)
    table["rule"][0] |= {"path": "/{a}/{b}/*", "target": "https://git.acme.example/{b}/{a}"}
    asked, _ = read_rules(table).action_of("GET", f"{ORIGIN}/%7Bb%7D/two/x", 0)
    assert asked.target == "https://git.acme.example/two/%7Bb%7D"


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"path": path, "target": None}
            for path in ("orders", "", "/a//b", "/a/../b", "/a/*/b", "/a*", "/a%7Eb", "/a?b", "/x{repo}", "/{Repo}")
        ),
        {"path": "/{repo}/{repo}", "target": None},
        {"method": "get"},
        {"method": []},
        {"method": "CONNECT"},
        {"method": "TRACE"},
        {"action": "read"},
        {"target": "https://git.acme.example/{other}"},
        {"target": "https://git.acme.example/x-{repo}"},
        {"target": "https://{repo}/x"},
        {"target": "https://git.acme.example/a/../{repo}"},
        {"target": "/{repo}"},
        {"amounts": {"EUR": "-1"}},
        {"amounts": {"EUR": "much"}},
        {"amounts": {"EUR": 1}},
        {"amounts": {"EURO": "1"}},
        {"facts": {"dataclass": "internal"}},
        {"unknown": "x"},
    ],
)
def test_rules_that_could_mean_two_things_are_refused(change: dict) -> None:
    table = tomllib.loads(RULES)
    table["rule"][0] = {name: value for name, value in (table["rule"][0] | change).items() if value is not None}
    with pytest.raises(ConfigurationError) as refused:
        read_rules(table)
    assert refused.value.code == "bad_configuration"


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "api.acme.example"},
        {"origin": "https://api.acme.example/"},
        {"origin": "https://api.acme.example/v1"},
        {"origin": "https://u@api.acme.example"},
        {"origin": "ftp://api.acme.example"},
        {"forward": ["Authorization"]},
        *(
            {"forward": [name]}
            for name in (
                *(
                    "connection",
                    "content-length",
                    "host",
                    "keep-alive",
                    "te",
                    "trailer",
                    "transfer-encoding",
                    "upgrade",
                ),
                *("idempotency-key", "hire-agent", "hire-contract", "signature", "signature-input", "content-digest"),
                *("proxy-authorization", "proxy-connection", "expect"),
            )
        ),
        {"rule": []},
        {"max_body_bytes": -1},
    ],
)
def test_a_file_that_names_no_origin_or_too_much_is_refused(change: dict) -> None:
    with pytest.raises(ConfigurationError):
        read_rules(tomllib.loads(RULES) | change)


def test_what_is_wrong_with_a_file_is_said_of_its_part() -> None:
    unnamed = tomllib.loads(RULES)["rule"][0] | {"action": "read"}
    for change, said in (
        ({"origin": "ftp://api.acme.example"}, "rules: origin: expected a scheme and a host"),
        ({"max_body_bytes": -1}, "rules/max_body_bytes: "),
        ({"forward": ["host"]}, "forward: 'host' is not a field"),
        ({"rule": [unnamed]}, "rule 1 [(]/repos/{repo}/files/[*][)]: 'read'"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            read_rules(tomllib.loads(RULES) | change)


def test_what_a_file_leaves_open_has_a_bound() -> None:
    """HIRE-GTS-04: a body has, and an answer."""
    rules = read_rules(tomllib.loads(RULES) | {"forward": ["x-trace", "dnt"]})
    assert (rules.max_body_bytes, rules.max_answer_bytes) == (1_048_576, 1_073_741_824)
    assert rules.forward == ("x-trace", "dnt")


def test_a_name_that_no_rule_has_is_told_with_those_that_it_has() -> None:
    table = tomllib.loads(RULES)
    table["rule"][0]["metod"] = ["GET"]
    with pytest.raises(
        ConfigurationError, match=r"rules: rule\[0\] has no `metod`; did you mean `method`\? It may have "
    ):
        read_rules(table)
