"""Every MUST of the specification has an id, and every id is named by a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import ROOT

SPEC = ROOT / "protocol-spec"
ID = re.compile(r"HIRE-[A-Z]+-\d\d")
PAGE = re.compile(r"([\w/-]*\w+(?:\.(?:md|json|jsonld|py))?)(.*?)(?=\d\d-[\w-]+\.md|$)")
DEFINED = re.compile(rf"^\*\*({ID.pattern})\*\* ", re.MULTILINE)
WORD = re.compile(r"\b(?:MUST|SHALL|REQUIRED)\b")

PAGES = [page for page in sorted(SPEC.rglob("*.md")) if page.parent.name not in ("decisions", "vectors")]


def prose(page: Path) -> str:
    """The page without what is generated and without code."""
    text = re.sub(r"<!-- generated:.*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def defined() -> dict[str, Path]:
    """Id -> the page that defines it."""
    found: dict[str, Path] = {}
    for page in PAGES:
        for name in DEFINED.findall(prose(page)):
            assert name not in found, f"{name} is defined in {found[name].name} and in {page.name}"
            found[name] = page
    return found


def named_by_tests() -> dict[str, list[str]]:
    """Id -> the test modules that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path == Path(__file__):
            continue
        for name in set(ID.findall(path.read_text())):
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def test_every_must_stands_behind_an_id() -> None:
    loose: list[str] = []
    for page in PAGES:
        for paragraph in re.split(r"\n\s*\n", prose(page)):
            if WORD.search(paragraph) and not DEFINED.match(paragraph.lstrip()) and page.name != "README.md":
                loose.append(f"{page.name}: {paragraph[:100]}")
    assert not loose


def test_every_id_says_something_that_must_hold() -> None:
    empty: list[str] = []
    for page in PAGES:
        for paragraph in re.split(r"\n\s*\n", prose(page)):
            if (found := DEFINED.match(paragraph.lstrip())) and not WORD.search(paragraph):
                empty.append(found[1])
    assert not empty


def test_every_id_that_is_mentioned_is_defined() -> None:
    known = defined()
    unknown = {
        f"{name} in {path.relative_to(ROOT)}"
        for folder, kind in (("protocol-spec", "*.md"), ("tests", "*.py"), ("src", "*.py"))
        for path in (ROOT / folder).rglob(kind)
        for name in set(ID.findall(path.read_text())) - set(known)
        if path.name not in ("README.md", "test_requirements.py") or folder != "protocol-spec"
    }
    assert not unknown


@pytest.mark.parametrize("area", sorted({name.split("-")[1] for name in defined()}))
def test_every_id_is_named_by_a_test(area: str) -> None:
    named = named_by_tests()
    assert not [name for name in defined() if name.split("-")[1] == area and name not in named]


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
