"""The matrix of pairs as files: the report, one page that loads and runs nothing, and a transcript of each cell.

Source: protocol-spec/harness.md, "Matrix"
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from undersigned.runtime import write_whole

from .pairs import Cell
from .report import page

__all__ = ["write_matrix"]

MORE: Final = """
.grid td,.grid th{border:1px solid #d0d7de;padding:.4rem .7rem}.passed{background:#dafbe1}
.failed{background:#ffebe9}.left{color:#57606a}
"""


def write_matrix(folder: Path, report: Mapping[str, Any], cells: Iterable[Cell]) -> None:
    """Writes `interop.json`, `interop.html` and `transcripts/` into a folder."""
    transcripts = folder / "transcripts"
    transcripts.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        file = transcripts / f"{cell.name}.jsonl"
        if cell.transcript:
            write_whole(file, "".join(json.dumps(line) + "\n" for line in cell.transcript).encode())
        else:
            file.unlink(missing_ok=True)
    write_whole(folder / "interop.json", f"{json.dumps(report, indent=1)}\n".encode())
    write_whole(folder / "interop.html", _page(report).encode())


def _page(report: Mapping[str, Any]) -> str:
    names = [str(one["name"]) for one in report["peers"]]
    cells = {(one["hirer"], one["provider"]): one for one in report["cells"]}
    versions = {one["name"]: one["version"] for one in report["peers"]}
    head = "".join(f"<th>{escape(name)}<br><small>{escape(versions[name])}</small>" for name in names)
    rows = "".join(
        f"<tr><th>{escape(hirer)}" + "".join(_cell(cells[hirer, provider]) for provider in names) for hirer in names
    )
    played = " that was played" if any(one["outcome"] == "left out" for one in report["cells"]) else ""
    title = f"Every pair{played} passed" if report["passed"] else "Not every pair passed"
    harness = report["harness"]
    body = (
        f"<h1>{title}</h1><p>Each row hires each column. {escape(report['began'])} to {escape(report['ended'])}, by "
        f"{escape(harness['name'])} {escape(harness['version'])}; "
        f"{'signed' if 'proof' in report else 'not signed'}."
        f'<table class="grid"><tr><th>hirer, provider{head}{rows}</table>{_details(report)}'
    )
    return page(title, body, MORE)


def _cell(cell: Mapping[str, Any]) -> str:
    hires = cell["hires"]
    passed = sum(1 for one in hires if one["outcome"] == "passed")
    said = f"{passed} of {len(hires)}" if hires else cell["outcome"]
    link = f'<a href="{escape(cell["transcript"])}">{escape(said)}</a>' if "transcript" in cell else escape(said)
    return f'<td class="{cell["outcome"].split()[0]}">{link}'


def _details(report: Mapping[str, Any]) -> str:
    told = ""
    for cell in report["cells"]:
        lines = "".join(
            f"<tr><td>{escape(one['outcome'])}<td>{escape(one['title'])}<td>{escape(one['state'])}"
            f"<td>{one['moves']} moves<td>{one['milliseconds']} ms"
            for one in cell["hires"]
        )
        detail = f'<p class="detail">{escape(cell["detail"])}' if cell["detail"] else ""
        told += f"<h2>{escape(cell['hirer'])} hires {escape(cell['provider'])}</h2>{detail}<table>{lines}</table>"
    return told
