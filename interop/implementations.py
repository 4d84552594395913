#!/usr/bin/env python3
"""Writes the rows of IMPLEMENTATIONS.md from reports: `implementations.py [--write] REPORT...`.

REPORT is a compatibility.json or interop.json, or a folder with such files in it (default build/interop). A row of the
same implementation, role and profile is replaced by a newer one and never by an older; all others stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "IMPLEMENTATIONS.md"
CONFORMANCE = "https://w3id.org/hire/interop/v1"
MATRIX = "https://w3id.org/hire/interop-matrix/v1"
SHOWN = 16
"""Characters of a digest that a row shows."""


def reports(places: list[Path]) -> Iterator[dict[str, Any]]:
    """Every report in these files and folders."""
    for place in places:
        files = (
            sorted([*place.rglob("compatibility.json"), *place.rglob("interop.json")]) if place.is_dir() else [place]
        )
        if not files:
            raise ValueError(f"{place}: no reports")
        for file in files:
            report = json.loads(file.read_text("utf-8"))
            if report.get("format") not in (CONFORMANCE, MATRIX):
                raise ValueError(f"{file}: not a report: {report.get('format')}")
            yield report


def plain(value: object) -> str:
    """Text that stays in its cell."""
    return "".join(c if c.isprintable() and c not in "|<>`[]" else "?" for c in str(value))[:80]


def short(digest: object) -> str:
    """The beginning of a digest."""
    return f"`{plain(digest)[:SHOWN]}`" if digest else "not known"


def conformance(report: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one row."""
    of, counts = report["implementation"], report["counts"]
    of_all = "" if report["set"]["name"] == "all" else f" of {int(report['set']['of'])}"
    others = ", ".join(f"{counts[name]} {name}" for name in sorted(counts) if counts[name] and name != "passed")
    return (
        plain(of["name"]),
        plain(of["version"]),
        f"{plain(report['profile'])}, {plain(report['role'])}",
        plain(report["verdict"]),
        f"{int(counts['passed'])}{of_all} passed" + (f", {plain(others)}" if others else ""),
        short(report.get("vectors")),
        short(report["scenarios"]),
        plain(report["seed"]),
        plain(report["ended"])[:10],
    )


def pairs(report: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """A row for each pair that was played."""
    versions = {one["name"]: one["version"] for one in report["peers"]}
    for cell in report["cells"]:
        if cell["hires"]:
            passed = sum(1 for one in cell["hires"] if one["outcome"] == "passed")
            yield (
                *(f"{plain(cell[role])} {plain(versions[cell[role]])}" for role in ("hirer", "provider")),
                plain(cell["outcome"]),
                f"{passed} of {len(cell['hires'])}",
                plain(report["ended"])[:10],
            )


def merged(text: str, mark: str, keys: int, rows: list[tuple[str, ...]]) -> str:
    """The page with these rows in the table behind a mark; the first `keys` cells, versions left out, say which."""
    start = text.index(f"<!-- {mark} -->")
    end = text.index("\n\n", start)
    lines = text[start:end].split("\n")
    old = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in lines[3:]]
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for row in [*old, *rows]:
        key = (row[0], row[2]) if keys == 3 else tuple(cell.rpartition(" ")[0] for cell in row[:keys])
        if key not in found or row[-1] >= found[key][-1]:
            found[key] = row
    told = [f"| {' | '.join(row)} |" for _, row in sorted(found.items())]
    return text[:start] + "\n".join([*lines[:3], *told]) + text[end:]


def main() -> int:
    """Writes, or shows what would be written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="change the page; without it the page is printed")
    parser.add_argument("places", nargs="*", type=Path, default=[HERE.parent / "build" / "interop"])
    asked = parser.parse_args()
    try:
        found = list(reports(asked.places))
        text = PAGE.read_text("utf-8")
        text = merged(text, "conformance", 3, [conformance(one) for one in found if one["format"] == CONFORMANCE])
        text = merged(text, "pairs", 2, [row for one in found if one["format"] == MATRIX for row in pairs(one)])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"implementations.py: {error}", file=sys.stderr)
        return 2
    if asked.write:
        PAGE.write_text(text, "utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
