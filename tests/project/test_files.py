"""Committed files name no machine, no package registry, and hold no unfinished merge."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support import ROOT

# Spelled in parts, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w./-])/(?:work|root|Users|home/[a-z]+|opt/wheels|tmp" + r"/w)/"),
    "a package registry": re.compile(
        "|".join(["pypi" + r"\.org", "files" + r"\.pythonhosted", "registry" + r"\.npmjs", "crates" + r"\.io"])
    ),
    "an unfinished merge": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


KINDS = {
    *("", ".md", ".py", ".js", ".mjs", ".cjs", ".c", ".sql", ".html", ".css"),
    *(".json", ".jsonld", ".toml", ".yml", ".typed", ".sha256", ".cedarschema"),
}
"""Of files here; another kind is most often what a run left behind."""


def committed() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are committed")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, timeout=60)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_committed_file_holds(what: str) -> None:
    found: list[str] = []
    for path in committed():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]!r}" for match in FORBIDDEN[what].finditer(text)]
    assert not found


def test_what_is_committed_is_of_a_kind_that_belongs_here() -> None:
    odd = [str(path.relative_to(ROOT)) for path in committed() if path.suffix not in KINDS]
    assert not odd


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link in a Markdown file names a file, and its fragment a heading of that file."""
    broken: list[str] = []
    for page in (path for path in committed() if path.suffix == ".md"):
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, fragment = target.partition("#")
            aim = page.parent / name if name else page
            if not aim.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
            elif fragment and aim.suffix == ".md" and fragment not in anchors(aim.read_text()):
                broken.append(f"{page.relative_to(ROOT)}: {target} (no such heading)")
    assert not broken


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings} | set(
        re.findall(r'<a id="([^"]+)"', text)
    )
