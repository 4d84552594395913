import tomllib
from collections.abc import Callable
from datetime import datetime

import pytest

from support import refuses
from undersigned.errors import ConfigurationError, FormatError
from undersigned.scope import Grant, Label, Limit, Obligation, Prohibition, Scope, Window
from undersigned.scope.wire import MAX_RULES

TOML = """
[[scope.grant]]
id = "read-repo"
action = "repo:read"
target = "https://git.acme.example/app/*"
limits = [{ unit = "count", max = 100 }, { unit = "EUR", max = "10.00" }, { unit = "count", max = 10, per = "PT60S" }]
window = { until = "2026-12-01T00:00:00Z" }
conditions = { dataClass = ["public", "internal"], egress = ["none"], region = ["eu"] }
approval = true

[[scope.prohibition]]
id = "no-secrets"
action = "repo:read"
target = "https://git.acme.example/app/secrets/*"

[[scope.obligation]]
id = "erase"
action = "data:erase"
target = "https://git.acme.example/app/*"
until = "2026-12-02T00:00:00Z"
"""


def test_toml_and_python_say_the_same() -> None:
    assert Scope.from_toml(tomllib.loads(TOML)) == Scope(
        grants=(
            Grant(
                "read-repo",
                action="repo:read",
                target="HTTPS://git.acme.example/app/*",
                limits=(Limit("count", "10", "PT1M"), Limit("EUR", "10"), Limit("count", "100")),
                window=Window(until="2026-12-01T00:00:00Z"),
                conditions={"region": ("eu",), "dataClass": {"internal", "public"}, "egress": ["none"]},
                approval=True,
            ),
        ),
        prohibitions=(Prohibition("no-secrets", "repo:read", "https://git.acme.example/app/secrets/*"),),
        obligations=(Obligation("erase", "data:erase", "https://git.acme.example/app/*", "2026-12-02T00:00:00Z"),),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('max = "10.00"', 'max = "5,00"'),
        ('max = "10.00"', "max = 5.5"),
        ('max = "10.00"', "max = true"),
        ('max = "10.00"', 'max = "-5"'),
        ("max = 100", 'max = "1.5"'),
        ('unit = "EUR"', 'unit = "euro!"'),
        ('unit = "EUR"', 'unit = "type"'),
        ('unit = "EUR"', 'unit = "count"'),
        ('per = "PT60S"', 'per = "PT0S"'),
        ('per = "PT60S"', 'per = "P1Y"'),
        ('per = "PT60S"', 'each = "PT60S"'),
        ('id = "read-repo"', 'id = "scope"'),
        ('id = "read-repo"', 'id = "Read Repo"'),
        ('id = "read-repo"', 'id = "no-secrets"'),
        ('id = "read-repo"\n', ""),
        ('action = "repo:read"', 'action = "read"'),
        ('action = "repo:read"', 'action = "REPO:read"'),
        ("limits =", "limit ="),
        ('until = "2026-12-01T00:00:00Z"', 'until = "2026-12-01"'),
        ('until = "2026-12-01T00:00:00Z"', "until = 2026-12-01T00:00:00Z"),
        ('until = "2026-12-01T00:00:00Z"', 'til = "2026-12-01T00:00:00Z"'),
        ('until = "2026-12-01T00:00:00Z"', ""),
        ("dataClass =", "colour ="),
        ("approval = true", "approval = 1"),
        ("approval = true", 'approval = "yes"'),
        ('["public", "internal"]', '"public"'),
        ('["public", "internal"]', "[]"),
        ("[[scope.prohibition]]", "[[scope.forbid]]"),
        ("[[scope.prohibition]]", "[[scope.obligation]]\nid='x'\naction='a:b'\ntarget='c:d'\nlimits=[]\n[[scope.x]]"),
        ("https://git.acme.example/app/secrets/*", "https://git.acme.example/app/s*"),
    ],
)
def test_what_cannot_be_meant_is_refused_as_configuration(old: str, new: str) -> None:
    """HIRE-SCO-03."""
    assert old in TOML
    with refuses(ConfigurationError, "bad_configuration"):
        Scope.from_toml(tomllib.loads(TOML.replace(old, new)))


def test_a_period_of_months_is_refused_with_its_member_and_what_is_taken() -> None:
    """A budget of a month was refused with the spelling of a duration, and whoever wrote it sought where it stood."""
    told = "limit of EUR: per: expected days, hours, minutes or seconds, such as P30D or PT1H, got 'P1M'"
    with pytest.raises(FormatError, match=told):
        Limit("EUR", "100", "P1M")


def test_an_integer_is_taken_as_toml_takes_it() -> None:
    assert Limit("count", 11) == Limit("count", "11")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limit("EUR", 0.5),  # type: ignore[arg-type]
        lambda: Limit("count", True),
        lambda: Limit("count", 10**5000),  # type: ignore[arg-type]
        lambda: Limit("count", None),  # type: ignore[arg-type]
        lambda: Limit(5, "1"),  # type: ignore[arg-type]
        lambda: Limit("count", "1", 60),  # type: ignore[arg-type]
        lambda: Window(until=datetime(2026, 12, 1)),  # type: ignore[arg-type]
        lambda: Grant("read", 5, "c:d"),  # type: ignore[arg-type]
        lambda: Prohibition("read", "a:b", 5),  # type: ignore[arg-type]
        lambda: Obligation("Read", "a:b", "c:d"),
        lambda: Obligation("read", "b", "c:d"),
        lambda: Obligation("read", "a:b", "c"),
        lambda: Obligation("read", "a:b", "c:d", until=5),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_text_is_an_error_of_ours(make: Callable[[], object]) -> None:
    """HIRE-SCO-03."""
    with pytest.raises(FormatError) as caught:
        make()
    assert (caught.value.code, "expected" in caught.value.message) == ("schema_violation", True)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("grant = 5", "grant: expected a list, as [[grant]] begins one, got 5"),
        ("prohibition = {id = 'x'}", "prohibition: expected a list"),
        ("scope.grant = []\nprohibition = []", "scope: expected nothing beside it, got `prohibition`"),
        ("[[grant]]\nid='a'\naction='a:b'\ntarget='c:d'\nlimits=5", "limits: expected a list"),
        (
            "[[grant]]\nid='a'\naction='a:b'\ntarget='c:d'\nwindow={until=2026-12-01T00:00:00Z}",
            "window: expected text in quotes, got datetime 2026-12-01 00:00:00+00:00",
        ),
    ],
)
def test_toml_of_another_shape_is_told_in_its_own_words(toml: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Scope.from_toml(tomllib.loads(toml))
    assert caught.value.message.startswith(said)


def test_extensions_are_written_in_toml_with_those_that_must_be_understood() -> None:
    toml = 'critical = ["https://acme.example/quota"]\n[extensions]\n"https://acme.example/quota" = {most = 3}'
    scope = Scope.from_toml(tomllib.loads(toml))
    assert (scope.extensions, scope.critical) == (
        {"https://acme.example/quota": {"most": 3}},
        ("https://acme.example/quota",),
    )


def test_a_scope_explains_itself_in_plain_words() -> None:
    scope = Scope.from_toml(tomllib.loads(TOML))
    assert scope.explain().splitlines() == [
        "May      [read-repo] repo:read on https://git.acme.example/app/*, at most 10 EUR, at most 100 times, at most"
        " 10 times per minute, until 2026-12-01T00:00:00Z, data class internal or public, egress none, region eu,"
        " each time with a person's approval",
        "May not  [no-secrets] repo:read on https://git.acme.example/app/secrets/*",
        "Must     [erase] data:erase on https://git.acme.example/app/*, by 2026-12-02T00:00:00Z",
        "Else     nothing: what no line allows is refused, and `May not` wins",
    ]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Limit("count", "1"), "at most 1 time"),
        (Limit("tokens", "5000", "PT1H"), "at most 5000 tokens per hour"),
        (Limit("seconds", "90", "P2D"), "at most 90 seconds per 2 days"),
        (Limit("EUR", "0.5", "PT90S"), "at most 0.5 EUR per 90 seconds"),
    ],
)
def test_limits_in_words(limit: Limit, words: str) -> None:
    assert limit.explain() == words


def test_a_scope_holds_a_bounded_number_of_clauses() -> None:
    with refuses(FormatError, "too_large"):
        Scope(grants=tuple(Grant(f"g{n}", "a:b", "c:d") for n in range(65)))


def test_a_critical_extension_is_there() -> None:
    with pytest.raises(FormatError):
        Scope(critical=("https://x.example/e",))
    with pytest.raises(FormatError):
        Scope(extensions={"no-uri": 1})


def test_the_narrowest_that_can_be_meant() -> None:
    """A limit of nothing, a window of one instant, as many clauses as fit."""
    at = "2026-11-25T12:00:00Z"
    assert Limit("EUR", "0").max == "0"
    assert Window(not_before=at, until=at).explain() == f"from {at} until {at}"
    rules = tuple(Obligation(f"o{number:03}", "data:erase", "https://a.example/a") for number in range(MAX_RULES))
    assert len(Scope(obligations=rules).obligations) == MAX_RULES
    with refuses(FormatError, "too_large"):
        Scope(obligations=(*rules, Obligation("more", "data:erase", "https://a.example/a")))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(not_before="2026-11-25T12:00:01Z", until="2026-11-25T12:00:00Z"),
        lambda: Obligation("erase", "data:erase", "https://a.example/a", "tomorrow"),
        lambda: Grant("read", "a:read", "https://a.example/a", conditions={"region": ("eu", "not\nplain")}),
        lambda: Grant("read", "a:read", "https://a.example/a", conditions={"region": "eu"}),
        lambda: Label(target="https://a.example/*", facts={"region": ""}),
        lambda: Label(target="https://a.example/*", facts={"region": 5}),
        lambda: Label(target="https://a.example/*", facts={"planet": "earth"}),
        lambda: Label(target="https://a.example/*", facts={"region": "eu", "planet": "earth"}),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises((FormatError, ConfigurationError)):
        make()
