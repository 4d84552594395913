#!/usr/bin/env python3
"""The same attacks against published runtimes and against undersigned, each through an adapter of its own.

    run.py [--only NAME]... [--attack ID]... [--json] [--write] [--list]

`--write` writes the rows into README.md, with the date of today. Each published runtime is installed, at its pinned
version, from the registry that pip is set up for, into an environment of its own below build/rivals; wheels alone, so
that nothing of it runs before the attacks do. Ends with 0, or 1 if undersigned did not refuse something; 2 is wrong
usage, 4 an adapter that does not work, 6 a registry that was not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build" / "rivals"
PAGE = HERE / "README.md"
BEGIN, END = "<!-- rows: written by run.py --write -->", "<!-- end of rows -->"
OURS = "undersigned"
SECONDS = 300


class Unreachable(Exception):
    """What is to be installed could not be."""


def runtimes() -> list[dict[str, Any]]:
    """The runtimes, in the order of the file; the version of ours is that of this tree."""
    return tomllib.loads((HERE / "runtimes.toml").read_text(encoding="utf-8"))["runtime"]


def attacks() -> list[dict[str, Any]]:
    """The attacks, in the order of the file."""
    return tomllib.loads((HERE / "attacks.toml").read_text(encoding="utf-8"))["attack"]


def told(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def environment(runtime: dict[str, Any]) -> Path:
    """The Python that has this runtime, which is installed on first use.

    Raises:
        Unreachable: It could not be installed; the text says why.
    """
    if runtime["name"] == OURS:
        return Path(sys.executable)
    folder = CACHE / f"{runtime['name']}-{runtime['version']}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and ready.read_text(encoding="utf-8") == runtime["requirement"]:
        return python
    told(f"== installing {runtime['requirement']}")
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    done = subprocess.run([*command, runtime["requirement"]], capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise Unreachable(
            f"{runtime['requirement']} could not be installed: {said[-1]}\n"
            "It comes from the package registry that pip is set up for; see `pip config list` and `pip index versions "
            f"{runtime['name']}`."
        )
    ready.write_text(runtime["requirement"], encoding="utf-8")
    return python


def played(python: Path, adapter: str, only: list[str]) -> Iterator[dict[str, str]]:
    """What one adapter says, a line at a time, in a process with a home folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        command = [str(python), "-I", str(HERE / "play.py"), str(HERE / "adapters" / f"{adapter}.py"), *only]
        given = {"PATH": os.environ.get("PATH", ""), "HOME": home, "LC_ALL": "C.UTF-8"}
        process = subprocess.Popen(  # noqa: S603
            command, env=given, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err = f"it was not over after {SECONDS} s"
        yield from (json.loads(line) for line in out.splitlines() if line.startswith("{"))
        if process.returncode:
            yield {"id": "", "outcome": "broken adapter", "said": " ".join(err.split())[-300:], "control": ""}


def rows_of(runtime: dict[str, Any], only: list[str]) -> list[dict[str, str]]:
    """A row for each attack and each part of the runtime that is called."""
    python = environment(runtime)
    found: list[dict[str, str]] = []
    for adapter in runtime["adapters"]:
        about: dict[str, str] = {"surface": adapter}
        for said in played(python, adapter, only):
            if "surface" in said:
                about = said
                continue
            named = {"runtime": runtime["name"], "version": runtime["version"], "adapter": adapter, **about}
            found.append({**named, "attack": said.pop("id"), **said})
            row = found[-1]
            if row["outcome"] != "not applicable":
                told(f"   {runtime['name']}, {row['surface']}: {row['attack']}: {row['outcome']}")
    return found


# ---------------------------------------------------------------------- for people


def cell(rows: list[dict[str, str]]) -> str:
    """What a runtime did, over all that is called of it; the parts are named where they differ."""
    by: dict[str, list[str]] = {}
    for row in rows:
        if row["outcome"] != "not applicable":
            by.setdefault(row["outcome"], []).append(row["surface"])
    if len(by) == 1:
        return next(iter(by))
    return ", ".join(f"{outcome} ({', '.join(names)})" for outcome, names in by.items()) or "–"


def text(value: str) -> str:
    """A cell of a table."""
    return value.replace("|", "\\|").replace("<", "&lt;")


def page(chosen: list[dict[str, Any]], rows: list[dict[str, str]], today: str) -> str:
    """The part of README.md that is written by this."""
    lines = ["| attack | what happens | security cases | scenarios of `conform` |", "| --- | --- | --- | --- |"]
    for attack in attacks():
        scenarios = ", ".join(f"`{one}`" for one in attack.get("scenarios", ()))
        lines.append(f"| `{attack['id']}` | {attack['title']} | {', '.join(attack['cases'])} | {scenarios or '–'} |")
    lines += ["", f"Run on {today}, with Python {rows[0]['python']}.", ""]
    titles = " | ".join(f"{one['name']} {one['version']}" for one in chosen)
    lines += [f"| attack | {titles} |", "| --- |" + " --- |" * len(chosen)]
    for attack in attacks():
        cells = [
            cell([row for row in rows if (row["runtime"], row["attack"]) == (one["name"], attack["id"])])
            for one in chosen
        ]
        lines.append(f"| `{attack['id']}` | {' | '.join(cells)} |")
    for one in chosen:
        lines += ["", f"### {one['name']} {one['version']}", "", f'`make rivals ARGS="--only {one["name"]}"`']
        for adapter in one["adapters"]:
            lines += ["", *part(one, adapter, rows)]
    return "\n".join(lines) + "\n"


def part(runtime: dict[str, Any], adapter: str, rows: list[dict[str, str]]) -> Iterator[str]:
    """The lines about what is called through one adapter."""
    mine = [row for row in rows if (row["runtime"], row["adapter"]) == (runtime["name"], adapter)]
    yield f"**{mine[0]['surface']}** ([adapter](adapters/{adapter}.py)). {mine[0]['about']}"
    yield ""
    yield "| attack | outcome | what came back | of the honest control |"
    yield "| --- | --- | --- | --- |"
    lacking: dict[str, list[str]] = {}
    notes = runtime.get("notes", {})
    for row in mine:
        if row["outcome"] == "not applicable":
            lacking.setdefault(row["said"], []).append(row["attack"])
            continue
        note = f" *{notes[row['attack']]}*" if row["attack"] in notes else ""
        yield f"| `{row['attack']}` | {row['outcome']} | {text(row['said'])}{note} | {text(row['control'])} |"
    if lacking:
        yield ""
        yield "Not applicable:"
        yield ""
        for reason, names in lacking.items():
            yield f"- {', '.join(f'`{name}`' for name in names)}: {reason}"


def write(chosen: list[dict[str, Any]], rows: list[dict[str, str]]) -> None:
    """Writes the rows into README.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    today = datetime.now(UTC).date().isoformat()
    PAGE.write_text(f"{before}{BEGIN}\n\n{page(chosen, rows, today)}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Plays what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = runtimes()
    names, ids = [one["name"] for one in known], [one["id"] for one in attacks()]
    parser.add_argument("--only", action="append", default=[], choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--attack", action="append", default=[], choices=ids, metavar="ID", help="see --list")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    parser.add_argument("--write", action="store_true", help="write README.md; needs all runtimes and attacks")
    parser.add_argument("--list", action="store_true", help="name the attacks, and end")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(f"{one['id']:28}{one['title']}" for one in attacks()))
        return 0
    if asked.write and (asked.only or asked.attack):
        parser.error("--write goes with neither --only nor --attack: the page has every row")
    chosen = [one for one in known if not asked.only or one["name"] in asked.only]
    if any(one["name"] == OURS for one in chosen):
        from undersigned import __version__

        next(one for one in chosen if one["name"] == OURS)["version"] = __version__
    try:
        rows = [row for one in chosen for row in rows_of(one, asked.attack)]
    except Unreachable as error:
        told(str(error))
        return 6
    for row in rows:
        if asked.json:
            print(json.dumps(row))
        elif row["outcome"] != "not applicable":
            print(
                f"{row['runtime']:26}{row['surface']:18}{row['attack'] or '?':26}{row['outcome']:16}{row['said']:.120}"
            )
    broken = [row for row in rows if row["outcome"] == "broken adapter"]
    if asked.write and not broken:
        write(chosen, rows)
        told(f"wrote {PAGE.relative_to(HERE.parent.parent)}")
    if broken:
        told(f"{len(broken)} rows say nothing, because the adapter does not work: {broken[0]['said']}")
        return 4
    return int(any(row["runtime"] == OURS and row["outcome"] == "accepted" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
