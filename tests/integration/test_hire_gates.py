"""`hire --gates`, as `examples/guarded_server` tells it: one command hires and answers the gate of our own server."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from integration.commands import UNDERSIGNED, Process, running, serving
from integration.hires import did_of, free_ports, two_homes
from integration.test_readme import text_of
from undersigned.errors import ScopeError
from undersigned.runtime import Job

RULES = """origin = "{origin}"
[[rule]]
method = "GET"
path = "/reports/{{name}}"
action = "report:read"
"""


async def reads(job: Job) -> None:
    """Work that reads three reports of the hirer's server, where it may read two."""
    origin = (Path(job._agent.home.path) / "origin").read_text()
    heard = [(await job.fetch(f"{origin}/reports/{name}", "report:read")).body.decode() for name in ("q1", "q2")]
    try:
        await job.fetch(f"{origin}/reports/q3", "report:read")
    except ScopeError as error:
        heard.append(error.code)
    await job.deliver("summary.txt", json.dumps(heard).encode(), media_type="text/plain")


def test_a_hire_answers_the_gate_of_our_server(tmp_path: Path) -> None:
    acme, globex = asyncio.run(two_homes(tmp_path, handler="integration.test_hire_gates:reads"))
    desk, gate, upstream = free_ports(3)
    origin, out = f"http://127.0.0.1:{gate}", tmp_path / "out"
    (globex.path / "origin").write_text(origin)
    (tmp_path / "rules.toml").write_text(RULES.format(origin=origin))
    (tmp_path / "reports").mkdir()
    for name in ("q1", "q2"):
        (tmp_path / "reports" / name).write_text(f"this is {name}")
    service = [*UNDERSIGNED[:1], "-m", "http.server", str(upstream), "--bind", "127.0.0.1"]
    guarding = ("--upstream", f"http://127.0.0.1:{upstream}", "--rules", "rules.toml", "--listen", f"127.0.0.1:{gate}")
    at = ("--home", str(acme.path), "--peer", f"http://127.0.0.1:{desk}", "--json")
    hiring = ["hire", did_of(globex.configuration.listen.port), "--task", "summary", "--price", "5 EUR"]
    allowed = f"report:read={origin}/reports/*;count<=2"
    (tmp_path / "report.txt").write_text("none")
    hiring += ["--input", "report=report.txt", "--allow", allowed, "--gates", f"127.0.0.1:{desk}", "--out", str(out)]
    with (
        serving(globex.path),
        running(service, tmp_path, "Serving"),
        running([*UNDERSIGNED, "gate", *guarding, *at], tmp_path, '"url"'),
    ):
        hire = Process([*UNDERSIGNED, *hiring, "--home", str(acme.path), "--json"], tmp_path)
        try:
            hire.end().result()
        finally:
            hire.end(signal.SIGKILL)
    assert json.loads((out / "summary.txt").read_text()) == ["this is q1", "this is q2", "scope_exceeded"]


def test_the_programs_of_the_guide(tmp_path: Path) -> None:
    """A hirer whose server asks it in its own process, and whoever it hires, as they are written there."""
    _, globex = asyncio.run(two_homes(tmp_path))
    (port,) = free_ports(1)
    for name in ("gated", "visitor"):
        text = (
            text_of(f"python {name}").replace("8180", str(port)).replace("8102", str(globex.configuration.listen.port))
        )
        (tmp_path / f"{name}.py").write_text(text)
    provider = Process([sys.executable, "visitor.py"], tmp_path)
    try:
        hirer = Process([sys.executable, "gated.py"], tmp_path).end()
    finally:
        ended = provider.end(signal.SIGINT)
    assert hirer.code == 0, hirer
    assert hirer.out.splitlines() == [
        "[mail] mail:send on mailto:boss@acme.example (1 count) 'to say that it is done'",
        f"today: all is well, {globex.configuration.did} {{'short': True}}",
    ]
    assert ended.out == "the mail is sent here\n", ended
