import tomllib

import pytest

from undersigned.errors import ConfigurationError, FormatError
from undersigned.scope import Grant, Limit, Obligation, Prohibition, Scope, Window

TOML = """
[[scope.grant]]
id = "read-repo"
action = "repo:read"
target = "https://git.acme.example/app/*"
limits = [{ unit = "count", max = 100 }, { unit = "EUR", max = "5.00" }, { unit = "count", max = 10, per = "PT60S" }]
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
                limits=(Limit("count", "10", "PT1M"), Limit("EUR", "5"), Limit("count", "100")),
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
        ('max = "5.00"', 'max = "5,00"'),
        ('max = "5.00"', "max = 5.5"),
        ('max = "5.00"', "max = true"),
        ('max = "5.00"', 'max = "-5"'),
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
    with pytest.raises(ConfigurationError) as caught:
        Scope.from_toml(tomllib.loads(TOML.replace(old, new)))
    assert caught.value.code == "bad_configuration"


def test_a_scope_explains_itself_in_plain_words() -> None:
    scope = Scope.from_toml(tomllib.loads(TOML))
    assert scope.explain().splitlines() == [
        "May      [read-repo] repo:read on https://git.acme.example/app/*, at most 5 EUR, at most 100 times, at most"
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
    with pytest.raises(FormatError) as caught:
        Scope(grants=tuple(Grant(f"g{n}", "a:b", "c:d") for n in range(65)))
    assert caught.value.code == "too_large"


def test_a_critical_extension_is_there() -> None:
    with pytest.raises(FormatError):
        Scope(critical=("https://x.example/e",))
    with pytest.raises(FormatError):
        Scope(extensions={"no-uri": 1})
