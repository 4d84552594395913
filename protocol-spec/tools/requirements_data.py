"""The requirements as data: read from the pages, with what shows each of them; `requirements.yml` is written from it.

A page says what must hold, `shown_by.py` which vectors show it, tests and scenarios name the ids they are about. By
hand is only what none of these says: the class of a requirement, and what can break it from outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from shown_by import CANARIES, SHOWN_BY, shown_by

from undersigned.interop import written_scenarios

__all__ = [
    "CANARIES",
    "CLASSES",
    "ID",
    "PAGES",
    "SPEC",
    "TESTS_ALONE",
    "Requirement",
    "about",
    "as_yaml",
    "case_members",
    "class_of",
    "loose",
    "requirements",
    "shown_by",
    "sorted_by_hand",
]

SPEC: Final = Path(__file__).resolve().parent.parent
TESTS: Final = SPEC.parent / "tests"
ID: Final = re.compile(r"HIRE-[A-Z]+-\d\d")
DEFINED: Final = re.compile(rf"\*\*({ID.pattern})\*\* ")
WORD: Final = re.compile(r"\b(?:MUST|SHALL|REQUIRED|SHOULD|RECOMMENDED|MAY|OPTIONAL)\b")
BINDS: Final = re.compile(r"\b(?:MUST|SHALL|REQUIRED)\b")
HEADING: Final = re.compile(r"^##+ (.+)$")
MEANT: Final = "MUST, MUST NOT, SHOULD and MAY are meant as"
"""How the paragraph begins that says what these words mean."""

PAGES: Final = [
    page
    for page in sorted(SPEC.rglob("*.md"))
    if page.parent.name != "decisions" and (page.parent.name == "vectors" or "vectors" not in page.parts)
]

CLASSES: Final[dict[str, str]] = {
    "core": "hires and is hired: everything from the connection to the books of both sides",
    "trust": "judges by a trust graph, by credentials in every form, by other DID methods, and while a contract runs",
    "authority": "guards resources: gates for HTTP and for tools, labels, and contracts under contracts",
    "evidence": "verifies packs, watches logs, checks bills of materials and media, and makes decisions again",
    "program": "no part of the protocol: how the program of this project is set up and controlled",
}
"""What an implementation of each class does. Whoever is of another class is of class core as well."""

_AREAS: Final[dict[str, str]] = {
    "trust": "ANC APR JWT LNK REG REN SWM TED TRU VC WVH DID-09 STA-08 STA-09 STA-10",
    "authority": "GTS MCP SUB GAT-05 SCO-05",
    "evidence": """
        RPL TRC ATT-08 ATT-09 ATT-10 ATT-11 LOG-06 LOG-07 LOG-08 LOG-09 LOG-20 LOG-22 LOG-21 LOG-23 LOG-24 PCK-01
        PCK-02 PCK-04 PCK-06 PCK-07 PCK-08 PCK-09 PCK-10 PCK-11 PCK-12
        """,
    "program": "CTL POL VCA PCK-05",
}
"""Class -> areas, and single ids, that belong to it; all others are core."""

_BROKEN_BY: Final[dict[str, str]] = {
    "host": """
        ATT-11 ATT-12 DID-04 DID-05 DID-07 DID-08 DID-09 LNK-04 LOG-24 REG STA-04 STA-10 WVH
        """,
    "client": """
        ART-01 CTL GAT-01 GAT-05 GTS-05 GTS-06 GTS-07 GTS-08 GTS-09 GTS-10 GTS-11 GTS-12 GTS-13 GTS-16 GTS-17 LIM-02
        LOG-07 LOG-20 MCP VCA
        """,
    "nobody": """
        ANC APR CLK POL RPL SWM TRC
        ATT-08 CAP-01 CAP-02 CHN-07 CHN-08 CHN-12 CLS-01 CLS-03 CLS-04 CRD-08 CRD-09 DID-06 DIG-02 ENV-07 ERR-04 KEY-10
        LAN-06 LAN-09 GAT-02 GAT-03 GAT-04
        LD-05 LD-07 LIF-09 LIF-13 LIF-14 LIF-15 LIF-18 LIF-23 LIF-24 LIF-31 LIF-32 LIF-34 LIF-35 LIM-03 LIM-04 LIM-05
        LNK-05 LOG-06 LOG-21 LOG-23 NEG-04 NEG-10 NEG-17 NEG-18 NEG-19 NEG-21 NEG-24 PAY-01 PAY-02 PCK-03 PCK-05 REN
        SEC-03 SEC-04 SEC-09 STA-05 STA-06 STA-07 STA-08 STA-09
        SUB-04 SUB-05 SUB-06 SUB-07 SUB-08 SUB-09 TRU-11 TRU-12 TRU-15 TRU-16 TRU-19 TRU-20 TRU-21 TRU-22 TRU-23
        TRU-17 TRU-18 TRU-24 TRU-26 TRU-28 VC-05 VC-07 VC-08
        """,
}
"""What it takes to break a requirement from outside; where nothing is said, a message or document of a peer does it."""


_ALONE: Final = """
    ATT-10
    """
TESTS_ALONE: Final = {f"HIRE-{name}" for name in _ALONE.split()}
"""What a message or document of a peer can break, and only tests of this repository show; the list gets shorter."""


class Requirement(NamedTuple):
    """One id."""

    name: str
    page: Path
    section: str
    """The heading above it."""
    text: str
    """The paragraph, without its id."""

    @property
    def level(self) -> str:
        """The word of BCP 14."""
        plain = re.sub(r"\bMUST NOT\b", "", self.text)
        return "MUST" if BINDS.search(plain) else "MUST NOT"

    @property
    def where(self) -> str:
        """Page and heading, as a link goes there."""
        anchor = re.sub(r"[^a-z0-9 _-]", "", self.section.lower()).replace(" ", "-")
        return f"{self.page.relative_to(SPEC)}#{anchor}"

    @property
    def broken_by(self) -> str:
        """`message`, `host`, `client` or `nobody`."""
        return _listed(_BROKEN_BY, self.name) or "message"


def _listed(of: dict[str, str], name: str) -> str | None:
    short = name.removeprefix("HIRE-")
    area = short.partition("-")[0]
    for value, names in of.items():
        if short in names.split():
            return value
    return next((value for value, names in of.items() if area in names.split()), None)


def class_of(names: Iterator[str] | list[str]) -> str:
    """The class of one requirement, or of what shows several: the first beyond core that one of them has."""
    found = {_listed(_AREAS, name) or "core" for name in names}
    return next((one for one in CLASSES if one != "core" and one in found), "core")


def sorted_by_hand() -> list[str]:
    """Areas and short ids that a table of this module names."""
    return [name for of in (_AREAS, _BROKEN_BY) for names in of.values() for name in names.split()]


def prose(page: Path) -> str:
    """The page without what is generated and without code."""
    text = re.sub(r"<!-- generated:.*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _paragraphs(page: Path) -> Iterator[tuple[str, str]]:
    """Heading and text of each."""
    section = ""
    for paragraph in re.split(r"\n\s*\n", prose(page)):
        if found := HEADING.match(paragraph.strip()):
            section = found[1]
        yield section, paragraph.strip()


@cache
def requirements() -> dict[str, Requirement]:
    """Id -> requirement, in the order of the pages."""
    found: dict[str, Requirement] = {}
    for page in PAGES:
        for section, paragraph in _paragraphs(page):
            if begun := DEFINED.match(paragraph):
                name = begun[1]
                if name in found:
                    raise ValueError(f"{name} is defined in {found[name].page.name} and in {page.name}")
                found[name] = Requirement(name, page, section, " ".join(paragraph[begun.end() :].split()))
    return found


def loose() -> list[str]:
    """Paragraphs with a word of BCP 14 and without an id."""
    return [
        f"{page.relative_to(SPEC)}: {paragraph[:100]}"
        for page in PAGES
        for _, paragraph in _paragraphs(page)
        if WORD.search(paragraph) and not DEFINED.match(paragraph) and not paragraph.startswith(MEANT)
    ]


@cache
def about(kind: str) -> dict[str, list[str]]:
    """Id -> what names it: paths of `tests`, patterns of `vectors`, ids of `scenarios`."""
    found: dict[str, list[str]] = {}
    match kind:
        case "tests":
            for path in sorted(TESTS.rglob("*.py")):
                # Whoever writes "HIRE-NEG-12 to HIRE-NEG-16" means those between as well.
                for name in _named(path.read_text()):
                    found.setdefault(name, []).append(str(path.relative_to(TESTS)))
        case "vectors":
            found.update({name: list(patterns) for name, patterns in SHOWN_BY.items()})
        case _:
            for scenario in written_scenarios():
                for name in scenario.requirements:
                    found.setdefault(name, []).append(scenario.id)
    return found


def _named(text: str) -> set[str]:
    names = set(ID.findall(text))
    for area, first, last in re.findall(r"HIRE-([A-Z]+)-(\d\d) to HIRE-\1-(\d\d)", text):
        names |= {f"HIRE-{area}-{number:02}" for number in range(int(first), int(last) + 1)}
    return names


def as_yaml() -> str:
    """`requirements.yml`."""
    head = (
        "# Written by tools/generate.py from the pages, the tests, the vectors and the scenarios: change those.\n"
        "# `broken by` says what breaks a requirement from outside: a message or document of a peer, a host that is\n"
        "# asked, a client that calls a gate or listener, or nobody, because it is a duty of one's own. In `vectors`\n"
        "# are patterns of paths below vectors/, those with schemas/ in front below schemas/examples/; `tests` are\n"
        "# below tests/ of the program's repository, `scenarios` are ids of harness.md.\n"
    )
    return head + "".join(_entry(one) for one in requirements().values())


def _entry(one: Requirement) -> str:
    lines = [
        f"{one.name}:",
        f"  page: {json.dumps(one.where)}",
        f"  level: {one.level}",
        f"  class: {class_of([one.name])}",
        f"  broken by: {one.broken_by}",
    ]
    for kind in ("tests", "vectors", "scenarios"):
        if names := about(kind).get(one.name):
            lines += [f"  {kind}:", *(f"    - {json.dumps(name)}" for name in names)]
    return "\n".join(lines) + "\n"


def case_members(name: str) -> dict[str, object]:
    """What `case.json` of a vector says of itself: what it shows, for which class, and whether it is a canary."""
    names = shown_by(name)
    members: dict[str, object] = {"requirements": names, "class": class_of(names)}
    return members | ({"canary": CANARIES[name]} if name in CANARIES else {})
