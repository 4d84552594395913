"""The report of a run, in each of its forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import msgspec
import pytest

from undersigned.encoding import digest_bytes
from undersigned.errors import ConfigurationError, ProofError, UndersignedError
from undersigned.interop import (
    Result,
    Run,
    chosen,
    compatibility,
    judged,
    passes,
    read_expected,
    summary,
    transcript,
    verdict,
    verify_report,
    write_reports,
)
from undersigned.runtime import create_home, sign_record

NOW = "2026-11-25T12:00:00Z"
RUN = Run(
    implementation="<b>Another</b>",
    version="2",
    did="did:web:another.example",
    role="provider",
    profile="core",
    seed="a seed",
    began=NOW,
    ended=NOW,
    vectors=digest_bytes(b"a manifest"),
)
PROBE, LOWER = chosen("provider", only=("happy-probe", "counter-lower-price"))
MAY = msgspec.structs.replace(PROBE, id="a-may", level="SHOULD")


def results(*outcomes: str) -> tuple[Result, ...]:
    scenarios = (PROBE, LOWER, MAY)
    return tuple(
        Result(scenario=one, outcome=outcome, detail="" if outcome == "passed" else "<script>x\x00</script>")  # type: ignore[arg-type]
        for one, outcome in zip(scenarios, outcomes, strict=False)
    )


def test_only_a_must_that_fails_is_fatal() -> None:
    assert passes(results("passed", "not applicable", "failed"))
    assert not passes(results("failed", "passed", "passed"))
    assert not passes(results("stale"))
    assert not passes(results())
    assert not passes(results("not applicable"))


def test_whoever_passed_a_part_or_is_excused_does_not_conform() -> None:
    """`conforms` is said of the whole set of a role alone, with no MUST excused."""
    every = tuple(Result(scenario=one, outcome="passed") for one in chosen("provider", every=True))
    small = tuple(Result(scenario=one, outcome="passed") for one in chosen("provider"))
    must = next(place for place, one in enumerate(every) if one.scenario.level == "MUST")
    excused = (*every[:must], msgspec.structs.replace(every[must], outcome="expected"), *every[must + 1 :])
    weaker = tuple(
        one if one.scenario.level == "MUST" else msgspec.structs.replace(one, outcome="expected") for one in every
    )
    assert weaker != every
    assert verdict(every, interrupted=True) == "not judged to the end"
    for found, name, said in (
        (every, "all", "conforms"),
        (weaker, "all", "conforms"),
        (excused, "all", "passed what was asked"),
        (small, "small", "passed what was asked"),
        (every[:7], "chosen", "passed what was asked"),
        ((msgspec.structs.replace(every[0], outcome="failed"), *every[1:]), "all", "does not conform"),
    ):
        report: Any = compatibility(RUN, found)
        assert report["set"] == {"name": name, "scenarios": len(found), "of": len(every)}
        assert (report["verdict"], report["conforms"]) == (said, said == "conforms")
    assert summary(every[:7]) == f"passed what was asked: 7 of {len(every)} passed"
    assert summary(excused).endswith(f"{len(every) - 1} of {len(every)} passed, 1 expected")
    assert summary(every) == f"conforms: {len(every)} passed"


@pytest.mark.parametrize("outcome", ["defect", "given up"])
def test_what_was_not_judged_to_the_end_says_nothing_of_conformance(outcome: str, tmp_path: Path) -> None:
    """Neither good nor bad; an expectation does not excuse it, and is not stale by it."""
    found = judged(results("passed", outcome), {LOWER.id: "known"}, [PROBE.id, LOWER.id])
    assert [one.outcome for one in found] == ["passed", outcome]
    assert not passes(found)
    report = compatibility(RUN, found)
    write_reports(tmp_path, report, found, b"")
    page = (tmp_path / "compatibility.html").read_text()
    assert "not judged to the end" in page
    assert "does not conform" not in page
    errors = [
        one.get("name") for one in Xml.parse(tmp_path / "junit.xml").iter("testcase") if one.find("error") is not None
    ]
    assert errors == [LOWER.id]


def test_expected_failures(tmp_path: Path) -> None:
    """One that fails is excused; one that passes is stale and fails the run; one that names nothing is refused."""
    file = tmp_path / "expected.toml"
    file.write_text("".join(f'[[expected]]\nid = "{one.id}"\nreason = "issue 1"\n' for one in (PROBE, LOWER)))
    expected = read_expected(file)
    ids = [one.id for one in chosen("provider", every=True)]
    found = judged(results("failed", "passed"), expected, ids)
    assert [one.outcome for one in found] == ["expected", "stale"]
    assert not passes(found)
    excused = judged(results("failed"), expected, ids)
    assert (passes(excused), verdict(excused)) == (True, "passed what was asked")
    with pytest.raises(ConfigurationError, match="no scenario: a-may"):
        judged((), {"a-may": "gone"}, ids)
    for text in ("[[expected]]\nid = 1", "[[expected]]\nid = 'x'", "not toml"):
        file.write_text(text)
        with pytest.raises(ConfigurationError):
            read_expected(file)


def test_every_form_says_the_same(tmp_path: Path) -> None:
    found = results("passed", "failed", "failed")
    said = transcript([{"scenario": "x", "text": "said"}])
    report = compatibility(RUN, found, said)
    write_reports(tmp_path / "report", report, found, said)
    folder = tmp_path / "report"
    assert sorted(file.name for file in folder.iterdir()) == [
        *("badge.json", "compatibility.html", "compatibility.json", "junit.xml", "transcript.jsonl")
    ]
    read = json.loads((folder / "compatibility.json").read_text())
    assert read["counts"] == {"passed": 1, "failed": 2, "not applicable": 0, "expected": 0, "stale": 0} | {
        "defect": 0,
        "given up": 0,
    }
    assert (read["conforms"], read["vectors"], read["seed"]) == (False, RUN.vectors, "a seed")
    assert read["results"][0]["diagram"].startswith("sequenceDiagram\n")
    junit = Xml.parse(folder / "junit.xml").getroot()
    assert {case.get("name"): [one.tag for one in case] for case in junit.iter("testcase")} == {
        PROBE.id: [],
        LOWER.id: ["failure"],
        MAY.id: ["skipped"],
    }
    total = len(chosen("provider", every=True))
    assert json.loads((folder / "badge.json").read_text()) == {
        **{
            "schemaVersion": 1,
            "label": "hire core provider",
            "message": f"1 of {total}",
            "color": "red",
        }
    }
    lines = [json.loads(line) for line in (folder / "transcript.jsonl").open()]
    assert lines == [{"scenario": "x", "text": "said"}, {"what": "end"}]
    assert read["transcript"] == digest_bytes((folder / "transcript.jsonl").read_bytes())


def test_the_page_is_whole_and_runs_nothing(tmp_path: Path) -> None:
    """What an implementation said is text, and nothing is loaded from anywhere."""
    found = results("passed", "failed", "not applicable")
    write_reports(tmp_path, compatibility(RUN, found), found, transcript([]))
    page = (tmp_path / "compatibility.html").read_text()
    assert "&lt;b&gt;Another&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 3
    assert "passed</span> " in page, "its mark is a word of its own where it is long, or read aloud"


async def test_a_report_is_signed(tmp_path: Path) -> None:
    """By the key of a state folder; a report that was changed afterwards, or is nobody's, does not verify."""
    home = create_home(tmp_path / "lab", name="Lab", local=True, port=8109)
    signed = await sign_record(home, compatibility(RUN, results("passed")), NOW)
    signer = home.organisation_document() or home.document()
    assert verify_report(signed, signer, now=NOW)["seed"] == "a seed"
    with pytest.raises(ProofError):
        verify_report({**signed, "conforms": True}, signer, now=NOW)
    with pytest.raises(UndersignedError):
        verify_report({name: value for name, value in signed.items() if name != "proof"}, signer, now=NOW)
    with pytest.raises(UndersignedError):
        verify_report({**signed, "format": "another"}, signer, now=NOW)
    another = await sign_record(home, {**compatibility(RUN, results("passed")), "format": "another"}, NOW)
    with pytest.raises(UndersignedError, match="expected a report of format"):
        verify_report(another, signer, now=NOW)
