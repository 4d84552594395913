"""Every MUST of the specification has an id; every id a test; and what a peer can break, a vector or a scenario."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requirements_data as tool
import shown_by

from support import ROOT
from undersigned.interop import PROFILES, written_scenarios

SPEC = ROOT / "protocol-spec"
PAGE = re.compile(r"([\w/-]*\w+(?:\.(?:md|json|jsonld|py))?)(.*?)(?=\d\d-[\w-]+\.md|$)")


def defined() -> dict[str, Path]:
    """Id -> the page that defines it."""
    return {name: one.page for name, one in tool.requirements().items()}


def shown() -> list[str]:
    """Every vector and every example that is refused, by the names that `shown_by` gives them."""
    vectors, examples = SPEC / "vectors", SPEC / "schemas" / "examples"
    return [
        *(str(path.parent.relative_to(vectors)) for path in sorted(vectors.rglob("case.json"))),
        *(f"schemas/{path.stem}" for path in sorted((examples / "invalid").glob("*.json"))),
        *(f"schemas/credentials/{path.stem}" for path in sorted((examples / "credentials/invalid").glob("*.json"))),
    ]


def test_every_must_stands_behind_an_id() -> None:
    """A paragraph with a word of BCP 14 begins with an id; so does one with SHOULD or MAY."""
    assert tool.loose() == []


def test_every_id_says_something_that_must_hold() -> None:
    assert [name for name, one in tool.requirements().items() if not tool.BINDS.search(one.text)] == []


def test_every_id_that_is_mentioned_is_defined() -> None:
    known = defined()
    unknown = {
        f"{name} in {path.relative_to(ROOT)}"
        for folder, kind in (("protocol-spec", "*.md"), ("protocol-spec", "*.py"), ("tests", "*.py"), ("src", "*.*"))
        for path in (ROOT / folder).rglob(kind)
        if path.suffix in (".md", ".py", ".toml")
        for name in set(tool.ID.findall(path.read_text())) - set(known)
    }
    assert not unknown


@pytest.mark.parametrize("area", sorted({name.split("-")[1] for name in defined()}))
def test_every_id_is_named_by_a_test(area: str) -> None:
    named = tool.about("tests")
    assert not [name for name in defined() if name.split("-")[1] == area and name not in named]


def test_what_a_message_can_break_has_a_vector_or_a_scenario() -> None:
    """`broken by: message` in `requirements.yml`, and neither vectors nor scenarios."""
    lacking = {
        name
        for name, one in tool.requirements().items()
        if one.broken_by == "message" and name not in tool.about("vectors") and name not in tool.about("scenarios")
    }
    assert lacking == tool.TESTS_ALONE, "of those listed as shown by tests alone, none has another"


def test_requirements_yml_is_what_the_pages_say_now() -> None:
    assert (SPEC / "requirements.yml").read_text() == tool.as_yaml(), "run `make docs`"


def test_every_vector_shows_a_requirement() -> None:
    assert [name for name in shown() if not tool.shown_by(name)] == []


def test_every_pattern_is_of_something_that_there_is() -> None:
    names = shown()
    dead = [
        f"{name}: {pattern}"
        for name, patterns in shown_by.SHOWN_BY.items()
        for pattern in patterns
        if name not in tool.requirements() or not any(shown_by.fits(each, pattern) for each in names)
    ]
    assert dead == []


def test_every_name_that_is_sorted_by_hand_is_a_requirement() -> None:
    areas = {name.split("-")[1] for name in defined()}
    assert [name for name in tool.sorted_by_hand() if name not in areas and f"HIRE-{name}" not in defined()] == []


def test_the_harness_knows_the_classes() -> None:
    """It says of each class whether it plays it, and no scenario is of one that it does not."""
    assert [*PROFILES, "program"] == list(tool.CLASSES)
    played = {tool.class_of(list(one.requirements)) for one in written_scenarios()}
    assert played == {name for name, missing in PROFILES.items() if not missing}


def test_every_message_has_its_page_schema_and_examples() -> None:
    """Each page links the schema, shows a good message, and names one that is refused."""
    wanting: list[str] = []
    for page in sorted((SPEC / "messages").glob("[a-z]*.md")):
        text = page.read_text()
        name = text.splitlines()[0].removeprefix("# ")
        refused = text.partition("## Refused")[2].partition("## Example")[0]
        wanting += [
            f"{name}: {what}"
            for what, there in {
                "no schema": (SPEC / "schemas" / f"{name}.json").is_file() and f"(../schemas/{name}.json)" in text,
                "no good example": "## Example" in text and "(../vectors/messages/" in text.partition("## Example")[2],
                "nothing refused": "](../vectors/" in refused or "](../schemas/examples/invalid/" in refused,
            }.items()
            if not there
        ]
    assert wanting == []


def test_every_source_line_names_a_page_that_exists() -> None:
    """`Source: protocol-spec/…` in a docstring leads to a page, and its section to a heading of that page."""
    wrong: list[str] = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for line in re.findall(r"protocol-spec/([^\n;]*)", path.read_text()):
            # "05-negotiation.md, section 5.2, and 07-contract.md, sections 7.5 to 7.7" is two pages.
            for name, rest in PAGE.findall(line)[:3]:
                if "/" not in name and "." not in name:
                    continue
                page = SPEC / name
                text = page.read_text() if page.is_file() else ""
                if not page.exists():
                    wrong.append(f"{path.relative_to(ROOT)}: no {name}")
                wrong += [
                    f"{path.relative_to(ROOT)}: {name} has no section {number}"
                    for number in re.findall(r"\b(\d+\.\d+)\b", rest)
                    if text and not re.search(rf"^## {re.escape(number)} ", text, flags=re.MULTILINE)
                ]
    assert not wrong, "\n".join(wrong)
