"""A call of a tool is one action, or it does not pass."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from undersigned.bridges.mcp_rules import Argument, Rules
from undersigned.errors import ConfigurationError, ScopeError

RULES = """
[[tool]]
name = "git_log"
action = "repo:log"
target = "https://git.acme.example/{+repo_path}"
amounts = { commits = "{max_count}" }
facts = { dataClass = "internal" }

[tool.arguments]
repo_path = { pattern = "/srv/git/*" }
max_count = { max = 50 }
branch = { one_of = ["main", "next"] }
level = { one_of = [1, 2] }
skip = { min = 3 }
other = { pattern = "/srv/git/*" }
page = { pattern = "https://docs.acme.example/*" }
note = { max_length = 5 }
options = { any = true }

[[tool]]
name = "pay"
action = "money:pay"
target = "https://bank.acme.example/accounts/{account}"
amounts = { EUR = "{amount}" }
arguments = { account = {}, amount = {}, reason = { equals = "rent", required = true } }

[[method]]
name = "resources/read"
action = "doc:read"
target = "{uri}"
arguments = { uri = { pattern = "https://docs.acme.example/*" } }
"""


def rules(text: str = RULES) -> Rules:
    return Rules.from_toml(tomllib.loads(text))


def asked(tool: str, **arguments: Any):
    return rules().tools[tool].action_of(arguments)


LOG = {"repo_path": "/srv/git/app", "max_count": 5}
PAY = {"account": "a-1", "amount": "12.50", "reason": "rent"}


def test_a_call_becomes_an_action() -> None:
    """HIRE-MCP-04: name and arguments give action, target, amounts and facts."""
    action = asked("git_log", **LOG)
    assert (action.name, action.target) == ("repo:log", "https://git.acme.example/srv/git/app")
    assert (action.amounts, action.facts) == ({"commits": "5"}, {"dataClass": "internal"})
    assert asked("git_log", **LOG | {"repo_path": "/srv/git/my app"}).target.endswith("/srv/git/my%20app")
    fixed = rules(RULES.replace('"{max_count}"', '"2"')).tools["git_log"].action_of({"repo_path": "/srv/git/app"})
    assert fixed.amounts == {"commits": "2"}
    read = rules().methods["resources/read"].action_of({"uri": "https://docs.acme.example/a/b"})
    assert read.target == "https://docs.acme.example/a/b"


@pytest.mark.parametrize(
    ("amount", "counted"), [("12.50", "12.5"), ("5.00", "5"), (12.5, "12.5"), (5, "5"), (5.0, "5"), ("0", "0")]
)
def test_an_amount_is_counted_as_the_server_reads_it(amount: Any, counted: str) -> None:
    """HIRE-MCP-04."""
    assert asked("pay", **PAY | {"amount": amount}).amounts == {"EUR": counted}


@pytest.mark.parametrize(
    "given", [{"max_count": 50}, {"max_count": 0}, {"skip": 3}, {"level": 2}, {"branch": "next"}, {"note": "fives"}]
)
def test_what_just_fits_its_constraint_passes(given: dict[str, Any]) -> None:
    """HIRE-MCP-03."""
    assert asked("git_log", **LOG | given).name == "repo:log"


@pytest.mark.parametrize("amount", ["-1", -1, "1e3", 1e22, "+1", " 1", "1 ", "1,5", "0x1", "", True, [1], None, "١"])
def test_what_may_be_read_as_another_amount_does_not_pass(amount: Any) -> None:
    """HIRE-MCP-04."""
    with pytest.raises(ScopeError):
        asked("pay", **PAY | {"amount": amount})


@pytest.mark.parametrize(
    "changed",
    [
        {"max_count": 51},
        {"max_count": -1},
        {"max_count": "5"},
        {"max_count": 5.0},
        {"max_count": True},
        {"max_count": None},
        {"branch": "Main"},
        {"branch": ["main"]},
        {"level": True},
        {"level": 1.0},
        {"level": "1"},
        {"skip": 2},
        {"skip": "3"},
        {"skip": True},
        {"note": "sixsix"},
        {"note": ["a"]},
        {"note": None},
        {"Max_Count": 5},
        {"max_count ": 5},
        {"limit": 5},
        {"repo_path": "/srv/gits/app"},
        {"repo_path": "/srv/git"},
        {"repo_path": 5},
        {"other": "/srv/gits/app"},
        {"other": "/srv/git/../app"},
        {"other": "srv/git/app"},
        {"page": "https://docs.acme.example/../x"},
        {"page": "docs"},
    ],
)
def test_an_argument_outside_its_constraint_does_not_pass(changed: dict[str, Any]) -> None:
    """HIRE-MCP-03: what would pass is said."""
    with pytest.raises(ScopeError) as refused:
        asked("git_log", **LOG | changed)
    assert (refused.value.code, refused.value.detail["clause"]) == ("scope_exceeded", "rules")
    assert refused.value.detail["would_pass"]


@pytest.mark.parametrize(("equals", "others"), [(1, [True, 1.0, "1"]), (True, [1, 1.0, "true"]), ("1", [1, True])])
def test_what_equals_another_type_does_not_pass(equals: Any, others: list[Any]) -> None:
    """HIRE-MCP-03: true is 1 to Python, and not to the server."""
    for argument in (Argument(equals=equals), Argument(one_of=(equals,))):
        assert argument.passes(equals)
        assert [one for one in others if argument.passes(one)] == []
        assert not argument.passes(type(equals)())


def test_what_would_pass_is_said() -> None:
    for argument, said in (
        (Argument(equals="rent"), "exactly 'rent'"),
        (Argument(one_of=("main", 1)), "'main' or 1"),
        (Argument(pattern="/srv/git/*"), "within /srv/git/*"),
        (Argument(min=3), "a whole number from 3"),
        (Argument(max=5), "a whole number from 0 to 5"),
        (Argument(max_length=5), "text of at most 5 characters, a number or a boolean"),
    ):
        assert argument.wanted() == said
    assert Argument(any=True, max_length=5).passes("as long as it likes")


def test_arguments_within_their_constraints_pass() -> None:
    """HIRE-MCP-03: so the refusals above are for the reason they name."""
    asked("git_log", **LOG | {"branch": "next", "note": "short", "options": [None, {"a": 1}]})
    asked("git_log", **LOG | {"other": "/srv/git/other", "page": "https://docs.acme.example/a"})


def test_what_names_the_target_or_an_amount_cannot_be_left_out() -> None:
    """HIRE-MCP-04: what a server would put in its place, nobody here knows."""
    for tool, arguments in (("git_log", LOG), ("pay", PAY)):
        for name in arguments:
            with pytest.raises(ScopeError) as refused:
                asked(tool, **{key: value for key, value in arguments.items() if key != name})
            assert name in refused.value.message


@pytest.mark.parametrize(
    "path",
    [
        "/srv/git/app/",
        "/srv/git//app",
        "/srv/git/./app",
        "/srv/git/x/../app",
        "/srv/git/%61pp",
        "/srv/git/app?x",
        "/srv/git/app#x",
        "/srv/git/a*",
        "/srv/git/a\\b",
        "/srv/git/ａｐｐ",
        "/srv/git/app\u200b",
        "/srv/git/app\n",
        "srv/git/app",
        "",
        "/",
    ],
)
def test_a_place_with_two_spellings_does_not_pass(path: str) -> None:
    """HIRE-MCP-04: else a prohibition that names it would be passed by under the other one."""
    with pytest.raises(ScopeError):
        asked("git_log", **LOG | {"repo_path": path})


@pytest.mark.parametrize("account", ["a/b", "..", ".", "", "a:b", "a%62", "a@b", "é", "a?b", True])
def test_one_argument_is_one_segment(account: Any) -> None:
    """HIRE-MCP-04."""
    with pytest.raises(ScopeError) as refused:
        asked("pay", **PAY | {"account": account})
    assert not refused.value.detail["would_pass"].endswith("."), "a sentence ends behind it"


@pytest.mark.parametrize(
    "change",
    [
        ('name = "git_log"', 'name = "git log"'),
        ('name = "git_log"', 'name = "gіt_log"'),
        ('name = "git_log"', 'name = "pay"'),
        ('action = "repo:log"', 'action = "log"'),
        ("https://git.acme.example/{+repo_path}", "https://{branch}/{+repo_path}"),
        ("https://git.acme.example/{+repo_path}", "https://git.acme.example/x{branch}"),
        ("https://git.acme.example/{+repo_path}", "https://git.acme.example/{+repo_path}/x"),
        ("https://git.acme.example/{+repo_path}", "https://git.acme.example/{branch}/x{branch}"),
        ("https://git.acme.example/{+repo_path}", "https://git.acme.example/{nothing}"),
        ("note = {", '"no te" = {'),
        ("https://git.acme.example/{+repo_path}", "{+repo_path}"),
        ("https://git.acme.example/{+repo_path}", "/{+repo_path}"),
        ('"{max_count}"', '"many"'),
        ('"{max_count}"', '"-5"'),
        ("dataClass", "dataclass"),
        ("https://git.acme.example/{+repo_path}", "https://git.acme.example/../{+repo_path}"),
        ("commits =", "Commits ="),
        ("max = 50", "maximum = 50"),
        ("max = 50", 'max = "50"'),
        ('"/srv/git/*"', '"/srv/../git/*"'),
        ('name = "resources/read"', 'name = "tools/call"'),
        ('name = "resources/read"', 'name = "initialize"'),
        ("[[method]]", "[[methods]]"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_whole(change: tuple[str, str]) -> None:
    """HIRE-MCP-02."""
    assert change[0] in RULES
    with pytest.raises(ConfigurationError) as refused:
        rules(RULES.replace(*change))
    assert refused.value.code == "bad_configuration"


def test_a_name_that_no_tool_has_is_told_with_those_that_it_has() -> None:
    with pytest.raises(ConfigurationError, match=r"has no `acton`; did you mean `action`\? It may have name, "):
        rules(RULES.replace("action =", "acton =", 1))
