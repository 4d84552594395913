"""What a run says about an implementation: as JSON, as one page, for CI, as a badge; and, line by line, what was said.

Source: protocol-spec/harness.md, "Reports"
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal
from xml.etree import ElementTree as Xml

import msgspec
from msgspec import to_builtins

from undersigned import __version__
from undersigned.did import DidDocument
from undersigned.encoding import Instant, JsonObject, digest_bytes
from undersigned.errors import VerificationError
from undersigned.proof import verify_proof
from undersigned.runtime import key_lookup, write_whole

from .diagram import drawn, mermaid
from .run import Result, chosen
from .scenario import GROUPS, Scenario

__all__ = [
    "FORMAT",
    "MATRIX_FORMAT",
    "Run",
    "Verdict",
    "compatibility",
    "extent",
    "page",
    "passes",
    "summary",
    "transcript",
    "verdict",
    "verify_report",
    "write_reports",
]

FORMAT: Final = "https://w3id.org/hire/interop/v1"
MATRIX_FORMAT: Final = "https://w3id.org/hire/interop-matrix/v1"
COLOURS: Final = {
    "passed": "#1a7f37",
    "failed": "#c62828",
    "expected": "#9a6700",
    "stale": "#c62828",
    "defect": "#c62828",
}
UNJUDGED: Final = ("defect", "given up")
"""What says nothing of the implementation: a report in which one of these stands is not one of a whole run."""
WORDS: Final = {
    "passed": "passed",
    "failed": "failed",
    "not applicable": "not applicable",
    "expected": "failed, as expected",
    "stale": "passed, and was expected to fail",
    "defect": "not judged: a defect of the harness",
    "given up": "given up",
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Which run it was."""

    implementation: str
    """Its name, in the words of whoever runs the harness."""
    version: str
    did: str
    role: str
    profile: str
    seed: str
    faults: str = "none"
    """Name of the profile of faults on the way."""
    began: Instant
    ended: Instant
    vectors: str | None = None
    """Digest of the manifest of vectors that the implementation was tested with, if that is known."""
    interrupted: bool = False
    """Whether somebody ended it before all was played."""


Verdict = Literal["conforms", "passed what was asked", "does not conform", "not judged to the end"]


def passes(results: Iterable[Result]) -> bool:
    """Whether something was judged, and all that was played to its end; every MUST holds or was expected not to, and
    no expectation is stale.
    """
    of = tuple(results)
    return any(map(_judged, of)) and not any(map(_fails, of))


def _judged(result: Result) -> bool:
    return result.outcome not in ("not applicable", *UNJUDGED)


def verdict(results: tuple[Result, ...], *, interrupted: bool = False) -> Verdict:
    """What may be said of the implementation: `conforms` only where every scenario of its role was played and no
    MUST is excused; nothing where the run was `interrupted`, given up, or met a defect of the harness.
    """
    if interrupted or any(one.outcome in UNJUDGED for one in results):
        return "not judged to the end"
    if not passes(results):
        return "does not conform"
    excused = any(one.outcome == "expected" and one.scenario.level == "MUST" for one in results)
    return "passed what was asked" if excused or extent(results)["name"] != "all" else "conforms"


def extent(results: tuple[Result, ...]) -> JsonObject:
    """Which set of scenarios of a role was played: its `name` (`all`, `small`, or `chosen` for any other), how many
    `scenarios`, and how many there are (`of`).
    """
    played = {one.scenario.id for one in results}
    role = results[0].scenario.role if results else "provider"
    every = {one.id for one in chosen(role, every=True)}
    small = {one.id for one in chosen(role)}
    name = "all" if played >= every else "small" if played == small else "chosen"
    return {"name": name, "scenarios": len(played), "of": len(every)}


def summary(results: tuple[Result, ...], *, interrupted: bool = False) -> str:
    """The verdict with its figures, on one line."""
    counts, found = Counter(one.outcome for one in results), verdict(results, interrupted=interrupted)
    of = f" of {extent(results)['of']}" if found == "passed what was asked" else ""
    told = [f"{counts[name]}{of if name == 'passed' else ''} {name}" for name in WORDS if counts[name]]
    return f"{found}: {', '.join(told) or 'nothing was judged'}"


def transcript(said: Iterable[Mapping[str, Any]]) -> bytes:
    """`transcript.jsonl`: what was said, and a last line by which it is seen that nothing of the file is missing."""
    return "".join(json.dumps(one) + "\n" for one in (*said, {"what": "end"})).encode()


def digest_of_scenarios(scenarios: Iterable[Scenario]) -> str:
    """Digest of what these scenarios say, in whichever order they come."""
    played = [to_builtins(one) for one in sorted(scenarios, key=lambda one: one.id)]
    return digest_bytes(json.dumps(played, sort_keys=True).encode())


def compatibility(run: Run, results: tuple[Result, ...], said: bytes | None = None) -> JsonObject:
    """`compatibility.json`, without a proof; `said` is the transcript that it is of."""
    tables = files("undersigned.protocol").joinpath("tables.json").read_bytes()
    counts = Counter(one.outcome for one in results)
    value: Mapping[str, Any] = {
        "format": FORMAT,
        "harness": {"name": "undersigned", "version": __version__},
        "implementation": {"name": run.implementation, "version": run.version, "did": run.did},
        "profile": run.profile,
        "role": run.role,
        "seed": run.seed,
        "faults": run.faults,
        "began": run.began,
        "ended": run.ended,
        "tables": digest_bytes(tables),
        "scenarios": digest_of_scenarios(one.scenario for one in results),
        **({"vectors": run.vectors} if run.vectors is not None else {}),
        **({"transcript": digest_bytes(said)} if said is not None else {}),
        "set": extent(results),
        **({"interrupted": True} if run.interrupted else {}),
        "conforms": verdict(results, interrupted=run.interrupted) == "conforms",
        "verdict": verdict(results, interrupted=run.interrupted),
        "counts": {name: counts[name] for name in WORDS},
        "results": [_told(one) for one in results],
    }
    return dict(value)


def _told(result: Result) -> Mapping[str, Any]:
    scenario = result.scenario
    return {
        "id": scenario.id,
        "title": scenario.title,
        "group": scenario.group,
        "level": scenario.level,
        "requirements": list(scenario.requirements),
        "outcome": result.outcome,
        "detail": result.detail,
        "milliseconds": round(1000 * result.seconds),
        "diagram": mermaid(scenario),
    }


def verify_report(report: Mapping[str, Any], signer: DidDocument, *, now: Instant) -> Mapping[str, Any]:
    """The report, once it is signed by a key that `signer` lists for assertions `now`.

    Raises:
        ProofError, VerificationError: It is not.
    """
    if report.get("format") not in (FORMAT, MATRIX_FORMAT):
        raise VerificationError("schema_violation", f"expected a report of format {FORMAT} or {MATRIX_FORMAT}")
    return verify_proof(report, key=key_lookup(signer, now=now), purpose="assertionMethod")


def write_reports(folder: Path, report: JsonObject, results: tuple[Result, ...], said: bytes) -> None:
    """Writes the report into a folder, in each form, and the transcript, which is `said`."""
    write_whole(folder / "compatibility.json", f"{json.dumps(report, indent=1)}\n".encode())
    write_whole(folder / "compatibility.html", _page(report, results).encode())
    write_whole(folder / "junit.xml", Xml.tostring(_junit(report, results), encoding="utf-8", xml_declaration=True))
    write_whole(folder / "transcript.jsonl", said)
    write_whole(folder / "badge.json", f"{json.dumps(_badge(report))}\n".encode())


def _badge(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """For shields.io, "endpoint"."""
    counts = report["counts"]
    shown = report["set"]["of"] - counts["not applicable"]
    colours: Mapping[Verdict, str] = {
        "conforms": "brightgreen",
        "passed what was asked": "yellow",
        "does not conform": "red",
        "not judged to the end": "lightgrey",
    }
    return {
        "schemaVersion": 1,
        "label": f"hire {report['profile']} {report['role']}",
        "message": f"{counts['passed']} of {shown}",
        "color": colours[report["verdict"]],
    }


def _junit(report: Mapping[str, Any], results: tuple[Result, ...]) -> Xml.Element:
    root = Xml.Element("testsuites", name=f"{report['profile']} {report['role']}")
    for group in GROUPS:
        of = [one for one in results if one.scenario.group == group]
        if not of:
            continue
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=group,
            tests=str(len(of)),
            errors=str(sum(1 for one in of if one.outcome in UNJUDGED)),
            failures=str(sum(1 for one in of if _fails(one) and one.outcome not in UNJUDGED)),
            skipped=str(sum(1 for one in of if one.outcome == "not applicable" or _excused(one))),
            time=f"{sum(one.seconds for one in of):.3f}",
        )
        for one in of:
            case = Xml.SubElement(suite, "testcase", classname=group, name=one.scenario.id, time=f"{one.seconds:.3f}")
            if one.outcome in UNJUDGED:
                Xml.SubElement(case, "error", message=_printable(one.detail)).text = WORDS[one.outcome]
            elif _fails(one):
                Xml.SubElement(case, "failure", message=_printable(one.detail)).text = one.scenario.title
            elif one.outcome != "passed":
                Xml.SubElement(case, "skipped", message=_printable(f"{WORDS[one.outcome]}: {one.detail}"))
    return root


def _fails(result: Result) -> bool:
    return result.outcome in ("stale", *UNJUDGED) or (result.outcome == "failed" and result.scenario.level == "MUST")


def _excused(result: Result) -> bool:
    return result.outcome == "expected" or (result.outcome == "failed" and result.scenario.level != "MUST")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1f2328}
body{overflow-wrap:anywhere}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}
td,th{padding:.1rem .8rem .1rem 0;text-align:left;vertical-align:top}code{font-size:.9em}
details{border-top:1px solid #d0d7de;padding:.3rem 0}summary{cursor:pointer}.detail{color:#c62828}
.mark{display:inline-block;min-width:8.5em;margin-right:.6em;font-weight:600}svg{max-width:100%;height:auto;font-size:13px}
svg text{text-anchor:middle;fill:#1f2328}svg .who{font-weight:600}svg path{fill:none;stroke:#57606a}
svg .life{stroke:#d0d7de}svg .wrong{stroke:#c62828;stroke-dasharray:5 3}svg .both{stroke-dasharray:2 3}
"""


def page(title: str, body: str, style: str = "") -> str:
    """One page that loads and runs nothing; whatever others said is text in these parts of it already."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{POLICY}"><title>{title}</title><style>{STYLE}{style}</style>{body}</html>\n'
    )


def _page(report: Mapping[str, Any], results: tuple[Result, ...]) -> str:
    """All that an implementation said is text."""
    of = report["implementation"]
    found, played = report["verdict"], report["set"]
    rows = {
        "implementation": f"{of['name']} {of['version']}",
        "DID": of["did"],
        "role": report["role"],
        "profile": report["profile"],
        "set": f"{played['name']}: {played['scenarios']} of {played['of']} scenarios",
        "faults on the way": report["faults"],
        "seed": report["seed"],
        "harness": f"{report['harness']['name']} {report['harness']['version']}",
        "began, ended": f"{report['began']}, {report['ended']}",
        "signed": "yes" if "proof" in report else "no",
    }
    head = "".join(f"<tr><th>{escape(name)}<td><code>{escape(str(value))}</code>" for name, value in rows.items())
    counts = ", ".join(f"{count} {WORDS[name]}" for name, count in report["counts"].items() if count)
    sections = "".join(_section(group, results) for group in GROUPS)
    body = f"<h1>{escape(of['name'])} {found}</h1><p>{counts}.<table>{head}</table>{sections}"
    return page(f"{escape(of['name'])}: {found}", body)


def _section(group: str, results: tuple[Result, ...]) -> str:
    of = [one for one in results if one.scenario.group == group]
    if not of:
        return ""
    passed = sum(1 for one in of if one.outcome == "passed")
    return f"<h2>{escape(GROUPS[group])}: {passed} of {len(of)}</h2>" + "".join(map(_row, of))


def _row(result: Result) -> str:
    scenario: Scenario = result.scenario
    colour = COLOURS.get(result.outcome, "#57606a")
    detail = f'<p class="detail">{escape(result.detail)}' if result.detail else ""
    return (
        f'<details{" open" if _fails(result) else ""}><summary><span class="mark" style="color:{colour}">'
        f"{escape(WORDS[result.outcome])}</span> {escape(scenario.title)}</summary>"
        f"<p><code>{escape(scenario.id)}</code> {scenario.level} {escape(' '.join(scenario.requirements))}"
        f"{detail}<div>{drawn(scenario)}</div></details>"
    )
