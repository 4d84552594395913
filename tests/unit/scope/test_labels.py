"""What a gate knows about a target, and what it takes the rest for."""

from __future__ import annotations

import tomllib

import pytest

from undersigned.errors import ConfigurationError
from undersigned.scope import Labels

LABELS = Labels.from_toml(
    tomllib.loads("""
[[label]]
target = "https://acme.example/press/*"
dataClass = "public"
region = "eu"

[[label]]
target = "https://acme.example/customers/*"
dataClass = "restricted"
egress = "none"

[[label]]
target = "https://acme.example/*"
dataClass = "internal"
egress = "acme"
region = "eu"
""")
)
PRESS, CUSTOMERS, OTHER = (f"https://acme.example/{name}/1" for name in ("press", "customers", "other"))
ELSEWHERE = "https://globex.example/x"


def test_the_first_rule_that_names_a_label_decides_it() -> None:
    assert LABELS.facts(PRESS) == {"dataClass": "public", "egress": "acme", "region": "eu"}
    assert LABELS.facts(CUSTOMERS) == {"dataClass": "restricted", "egress": "none", "region": "eu"}
    assert LABELS.facts(OTHER) == {"dataClass": "internal", "egress": "acme", "region": "eu"}


@pytest.mark.parametrize("spelled", ["customers;v=1/1", "customers%3bv=1/1", "customers;v=1/1/", "customers;v=1/1;w"])
def test_another_spelling_shows_no_more_than_the_plain_one(spelled: str) -> None:
    """HIRE-GAT-05: a server may take it for the plain one, which the rules further down do not hide."""
    facts = LABELS.facts(f"https://acme.example/{spelled}")
    assert facts == {"dataClass": "restricted", "region": "eu"}, "of egress the two readings say different things"


def test_another_spelling_shows_no_more_than_what_is_said_of_it() -> None:
    """HIRE-GAT-05: a server may tell the two apart, and have something else there."""
    spelled = "https://acme.example/press;v=1/1"
    assert LABELS.facts(spelled)["dataClass"] == "internal"
    labels = Labels(rules=LABELS.rules[:2])
    assert labels.facts(spelled) == labels.unlabelled
    assert labels.facts(spelled, {"Data-Class": "internal"}) == {"dataClass": "internal"}


@pytest.mark.parametrize("target", [ELSEWHERE, "https://acme.example/press/../customers/1", "nonsense", ""])
def test_what_nobody_labels_is_the_most_sensitive(target: str) -> None:
    """HIRE-GAT-05."""
    assert LABELS.facts(target) == LABELS.unlabelled == {"dataClass": "restricted"}
    assert Labels().facts(target) == {"dataClass": "restricted"}


@pytest.mark.parametrize(
    ("headers", "said", "expected"),
    [
        ({"data-class": "confidential"}, {}, "confidential"),
        ({"Data-Class": "public"}, {}, "internal"),
        ({}, {"dataClass": "confidential"}, "confidential"),
        ({}, {"dataClass": "public"}, "internal"),
        ({"DATA-CLASS": "public"}, {"dataClass": "restricted"}, "restricted"),
        ({"Data-Class": "secret squirrel"}, {}, "restricted"),
        ({"Data-Class": ""}, {}, "internal"),
    ],
)
def test_the_most_sensitive_word_counts(headers: dict[str, str], said: dict[str, str], expected: str) -> None:
    """HIRE-GAT-05."""
    assert LABELS.facts(OTHER, headers, said)["dataClass"] == expected


def test_region_and_egress_are_known_if_all_agree() -> None:
    """HIRE-GAT-05."""
    assert LABELS.facts(OTHER, {"Data-Region": "eu"})["region"] == "eu"
    assert "region" not in LABELS.facts(OTHER, {"Data-Region": "us"})
    assert "egress" not in LABELS.facts(OTHER, {}, {"egress": "none"})
    assert LABELS.facts(ELSEWHERE, {"Data-Region": "us"}) == {"dataClass": "restricted", "region": "us"}


def test_other_classes_and_headers() -> None:
    labels = Labels.from_toml({"classes": ["open", "closed"], "headers": {"dataClass": "X-Class"}})
    assert labels.facts(OTHER) == {"dataClass": "closed"}
    assert labels.facts(OTHER, {"x-class": "open", "Data-Region": "eu"}) == {"dataClass": "open"}


@pytest.mark.parametrize(
    "text",
    [
        'rules = "x"',
        "classes = []",
        'classes = ["a", "a"]',
        '[headers]\ncolour = "X"',
        '[[label]]\ndataClass = "public"',
        '[[label]]\ntarget = "https://a.example/*"',
        '[[label]]\ntarget = "https://a.example/a*"\ndataClass = "public"',
        '[[label]]\ntarget = "https://a.example/*"\ndataClass = "Public"',
        '[[label]]\ntarget = "https://a.example/*"\ncolour = "red"',
        '[[label]]\ntarget = "https://a.example/*"\nregion = 1',
        "label = 1",
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Labels.from_toml(tomllib.loads(text))
    assert caught.value.code == "bad_configuration"
