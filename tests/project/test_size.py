"""A fresh environment with the base dependencies stays at or below 100 MB."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from support import ROOT

MAX_BYTES = 100_000_000


def closure(requirements: list[str]) -> dict[str, metadata.Distribution]:
    """The installed distributions that `requirements` lead to, extras followed, by normalised name."""
    found: dict[str, metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    queue = [(Requirement(text), "") for text in requirements]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        for wanted in ["", *requirement.extras]:
            if (name, wanted) in done:
                continue
            done.add((name, wanted))
            found[name] = metadata.distribution(name)
            queue += [(Requirement(text), wanted) for text in found[name].requires or ()]
    return found


def installed_bytes(distribution: metadata.Distribution) -> int:
    paths = (Path(str(distribution.locate_file(file))) for file in distribution.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def test_base_dependencies_are_at_most_100_mb() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sizes = {name: installed_bytes(found) for name, found in closure(project["dependencies"]).items()}
    assert all(sizes.values()), f"no files known for {[name for name, size in sizes.items() if not size]}"
    listing = "\n".join(f"{size:>12,} {name}" for name, size in sorted(sizes.items(), key=lambda item: -item[1]))
    assert sum(sizes.values()) <= MAX_BYTES, f"\n{listing}\n{sum(sizes.values()):>12,} in all"
