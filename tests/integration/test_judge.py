"""Work judged by a third party: three state folders, two processes on real sockets, and files between them."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from integration.commands import UNDERSIGNED, Process, serving
from integration.hires import REPORT, did_of, two_homes
from undersigned.evidence import read_archive, verify_pack
from undersigned.runtime import SystemClock, create_home
from undersigned.testing import ARBITER
from unit.cli.running import run


def test_a_named_verifier_judges_from_a_pack_and_the_hirer_carries_it(tmp_path: Path) -> None:
    """HIRE-ATT-06: `export`, `judge` and `contract judge`; both sides' packs hold with the verifier's statement."""
    acme, globex = asyncio.run(two_homes(tmp_path))
    judge = create_home(tmp_path / "judge", name="Judge", url="https://judge.example")
    own = judge.configuration.did
    assert own.startswith("did:key:")
    report = tmp_path / "report.txt"
    report.write_bytes(REPORT)
    provider = did_of(globex.configuration.listen.port)
    options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR", "--verifier", own, "--json")
    options += ("--arbiter", ARBITER.did)
    pack, verdict = tmp_path / "waits.zip", tmp_path / "verdict.json"
    with serving(globex.path):
        hire = Process([*UNDERSIGNED, "hire", provider, "--home", str(acme.path), *options], tmp_path)
        try:
            hire.until('"verdict-awaited"')
            assert run("export", "--home", acme.path, "--out", pack).code == 0
            contract = verify_pack(pack.read_bytes(), now=SystemClock().now()).contract
            shown = run("contract", "show", contract, "--home", globex.path, "--json").values[0]
            assert shown["terms"]["arbiter"] == ARBITER.did
            for home, waits in ((acme, True), (globex, False)):
                told = " ".join(run("contract", "show", contract, "--home", home.path).out.split())
                assert (f"Verdict is waited for, by {own}: it gets the pack ('export')" in told) is waits, told

            # Neither party is the verifier, and nobody states two results.
            for home in (acme, globex):
                refused = run("judge", pack, "passed", "--out", verdict, "--home", home.path, "--json")
                assert (refused.code, refused.error["code"]) == (4, "attester_not_trusted"), refused
            assert run("judge", pack, "--out", verdict, "--home", judge.path).code == 2
            made = run("judge", pack, "passed", "--out", verdict, "--home", judge.path, "--json")
            assert (made.code, made.values[0]["result"]) == (0, "PASSED"), made

            # The other result for the same delivery is not signed in passing; the same one is.
            other = ("judge", pack, "failed", "--out", tmp_path / "other.json", "--home", judge.path, "--json")
            refused = run(*other)
            assert (refused.code, refused.error["code"]) == (4, "conflicting_message"), refused
            assert "has signed passed before" in refused.error["message"]
            assert not (tmp_path / "other.json").exists()
            assert run("judge", pack, "passed", "--out", verdict, "--force", "--home", judge.path).code == 0

            changed = json.loads(verdict.read_bytes())
            changed["payload"] = changed["payload"][:-8] + "AAAA" + changed["payload"][-4:]
            (tmp_path / "changed.json").write_text(json.dumps(changed))
            broken = run("contract", "judge", contract, tmp_path / "changed.json", "--home", acme.path, "--json")
            assert broken.code == 4, broken
            carried = run("contract", "judge", contract, verdict, "--home", acme.path, "--json")
            assert (carried.code, carried.values[0]["state"]) == (0, "closing"), carried
            result = hire.end(None).result()
        finally:
            hire.end(signal.SIGKILL)
    assert result["contract"] == contract
    for home in (acme, globex):
        assert run("export", "--home", home.path, "--out", tmp_path / f"{home.path.name}.zip").code == 0
        whole = verify_pack((tmp_path / f"{home.path.name}.zip").read_bytes(), now=SystemClock().now())
        assert whole.ok
        assert whole.state == "closed"
    late = run(
        "judge", tmp_path / "acme.zip", "failed", "--out", tmp_path / "late.json", "--home", judge.path, "--json"
    )
    assert (late.code, late.error["code"]) == (4, "wrong_state"), late


def test_a_no_of_a_named_verifier_is_told_as_its_own(tmp_path: Path) -> None:
    """HIRE-ATT-06: who rejected is said to the hirer, by the provider and in a verdict; and that a yes went before."""
    acme, globex = asyncio.run(two_homes(tmp_path))
    judge = create_home(tmp_path / "judge", name="Judge", url="https://judge.example")
    own = judge.configuration.did
    report = tmp_path / "report.txt"
    report.write_bytes(REPORT)
    provider = did_of(globex.configuration.listen.port)
    options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR", "--verifier", own)
    pack, verdict = tmp_path / "waits.zip", tmp_path / "verdict.json"
    with serving(globex.path):
        hire = Process([*UNDERSIGNED, "hire", provider, "--home", str(acme.path), *options, "--json"], tmp_path)
        try:
            hire.until('"verdict-awaited"')
            assert run("export", "--home", acme.path, "--out", pack).code == 0
            contract = verify_pack(pack.read_bytes(), now=SystemClock().now()).contract
            assert run("judge", pack, "passed", "--out", tmp_path / "yes.json", "--home", judge.path).code == 0
            assert run("judge", pack, "failed", "--out", verdict, "--home", judge.path, "--again").code == 0
            refused = run("contract", "judge", contract, verdict, "--home", globex.path, "--json")
            assert refused.error["code"] == "wrong_state"
            assert "in state delivered, where we are the provider; " in refused.error["message"], "the hirer does"
            assert run("contract", "judge", contract, verdict, "--home", acme.path).code == 0
            ended = hire.end(None)
        finally:
            hire.end(signal.SIGKILL)
    assert ended.code == 4
    said = f"the delivery was rejected: by {own}, the verifier of the contract; our own check found nothing"
    assert ended.values[-1]["error"]["message"] == said
    for home in (acme, globex):
        shown = run("ledger", "list", "--home", home.path, "--json").values[-1]["engagement"]
        told = run("watch", shown, "--no-follow", "--home", home.path).out
        assert f"rejected by the verifier {own}; " in told, told
    assert run("export", "--home", acme.path, "--out", tmp_path / "over.zip").code == 0
    (delivered,) = [
        name.rpartition("/")[2] for name in read_archive((tmp_path / "over.zip").read_bytes()) if "artifacts/" in name
    ]
    asked = run("check", delivered, "--for", "summary", "--home", acme.path, "--offline", "--json")
    assert asked.code == 3
    (one,) = asked.values[0]["verdict"]["judged"]
    (reason,) = [reason for reason in one["reasons"] if reason["clause"] == "acceptance"]
    assert (reason["code"], reason["value"]) == ("policy_denied", f"rejected by {own}")
