"""The implementation in interop/js-peer, written from the specification alone, and this one: they hire each other."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.carried import heads, judged, rows_of
from integration.hires import REPORT, did_of, free_ports, until
from support import ROOT
from undersigned.daemon import Peer
from undersigned.encoding import decode_json
from undersigned.errors import PolicyError
from undersigned.runtime import Home, OfferPart, create_home, issue_membership

PEER = ROOT / "interop" / "js-peer"
TOKEN = "a token of the test"
SUITES = ["eddsa-jcs-2022", "eddsa-rdfc-2022"]
FIRST_LINE = REPORT.split(b"\n", 1)[0]


def node() -> str:
    """The Node to run it with; without it, or without what it needs, the test is skipped, and in CI it fails."""
    found = shutil.which("node")
    missing = "node is not installed" if found is None else ""
    if found is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
        if int(version.strip().removeprefix("v").split(".")[0]) < 20:
            missing = f"node {version.strip()} is older than 20"
    if not missing and not (PEER / "node_modules").is_dir():
        missing = "interop/js-peer/node_modules is not there: npm ci in interop/js-peer"
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing or found is None:
        pytest.skip(missing)
    return found


def test_its_own_tests() -> None:
    """Every vector of the specification with the result that it states, and every example of a schema (HIRE-CLS-03)."""
    command = [node(), "--test", "--test-reporter=tap", "test"]
    run = subprocess.run(command, cwd=PEER, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    folders = len(list((ROOT / "protocol-spec" / "vectors").rglob("case.json")))
    passed = next(int(line.split()[2]) for line in run.stdout.splitlines() if line.startswith("# pass "))
    assert passed > folders


def test_its_lock_names_no_registry() -> None:
    """`npm ci` asks whatever registry is configured; each package is pinned by its digest."""
    lock = (PEER / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') >= 10


class Js:
    """A peer of the other implementation, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        made = subprocess.run(
            [node(), PEER / "bin" / "peer.js", "init", folder], capture_output=True, check=True, timeout=60
        )
        said = json.loads(made.stdout)
        self.did: str = said["did"]
        self.organisation: str = said["organisation"]
        self.url = ""
        self._origin = ""

    @asynccontextmanager
    async def serving(self, *options: str) -> AsyncIterator[Js]:
        process = await asyncio.create_subprocess_exec(
            node(),
            str(PEER / "bin" / "peer.js"),
            *("serve", str(self._folder), "--local", "--hook-token", TOKEN, *options),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(30):
                ready = json.loads(await process.stdout.readline())
            self.url, self._origin = ready["url"], ready["origin"]
            yield self
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def ask(self, path: str, body: dict[str, Any] | None = None, token: str = TOKEN) -> dict[str, Any]:
        """What its hook answers (protocol-spec/harness.md)."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self._origin}{path}", data=data, headers={"authorization": f"Bearer {token}"})

        def answer() -> dict[str, Any]:
            with urllib.request.urlopen(asked, timeout=10) as came:
                return json.load(came)

        return await asyncio.to_thread(answer)

    async def over(self, engagement: str) -> dict[str, Any]:
        """What became of an engagement, once it is over there."""
        for _ in range(400):
            found = await self.ask(f"/hires/{engagement}")
            if found["over"]:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"not over: {found}")


async def company(folder: Path, js: Js) -> tuple[Home, str]:
    """A state folder of ours, which trusts the organisation of `js`, and the DID of its organisation."""
    (port,) = free_ports(1)
    offers = (OfferPart(task="summary", handler="integration.hires:summarise", price="4 EUR", delivers="summary.txt"),)
    home = create_home(
        folder / "acme",
        name="Acme",
        local=True,
        port=port,
        anchors=(js.organisation,),
        max_price="10 EUR",
        offers=offers,
    )
    await issue_membership(home)
    return home, f"{did_of(port)}:org"


async def assert_one_story(home: Home, told: dict[str, Any], suite: str) -> None:
    """Both ended the same, move for move; all was signed in one suite; and our evidence verifies offline."""
    state, chains = await heads(home)
    assert (state, told["state"]) == ("closed", "closed")
    assert {role: list(chain) for role, chain in chains.items()} == told["heads"]
    assert told["problems"] == []
    messages = [decode_json(row.raw) for row in await rows_of(home) if row.sequence is not None]
    later = [message["proof"]["cryptosuite"] for message in messages if message["type"] not in ("Inquiry", "Profile")]
    assert set(later) == {suite}
    report = await judged(home)
    assert report.ok, [step for step in report.steps if not step.ok]
    assert report.contract == told["contract"]


@pytest.mark.parametrize("suite", SUITES)
async def test_ours_hires_it(suite: str, tmp_path: Path) -> None:
    """HIRE-CLS-01, HIRE-NEG-06, HIRE-ART-03: it counters once, reads its input through our gate and delivers."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation, "--suite", suite, "--offer", "summary=4.00 EUR"):
        async with Peer.open(home) as peer:
            result = await peer.hire(
                js.did, task="summary", inputs={"report": REPORT}, price="5 EUR", opening="3 EUR", at=js.url
            )
            assert (result["summary.txt"], result.price) == (FIRST_LINE, "4 EUR")
            told = await js.over(result.engagement)
            await until(lambda: not peer.conversations)
        assert (told["role"], told["contract"], told["owed"]["amount"]) == ("provider", result.contract, "4")
        await assert_one_story(home, told, suite)


@pytest.mark.parametrize("suite", SUITES)
async def test_it_hires_ours(suite: str, tmp_path: Path) -> None:
    """HIRE-CLS-01: it takes our counter-offer, hands its input over through its gate, and accepts what it checked."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation, "--suite", suite), Peer.open(home) as peer:
        order = {
            "provider": peer.identity.did,
            "task": "summary",
            "inputs": {"report": base64.b64encode(REPORT).decode()},
            "price": {"amount": "5", "currency": "EUR"},
            "opening": {"amount": "3", "currency": "EUR"},
            "criteria": {"whole": "Nothing is missing."},
        }
        begun = await js.ask("/hire", order)
        told = await js.over(begun["id"])
        await until(lambda: not peer.conversations)
    assert (told["role"], told["owed"], told["basis"]) == ("hirer", {"amount": "4", "currency": "EUR"}, "review")
    assert base64.b64decode(told["artifacts"]["summary.txt"]) == FIRST_LINE
    await assert_one_story(home, told, suite)


async def test_neither_works_for_whom_nobody_vouches(tmp_path: Path) -> None:
    """Each asks to be shown a membership by an organisation that it trusts, and says what would change its no."""
    js = Js(tmp_path / "js")
    home, _ = await company(tmp_path, js)
    stranger = js.did.replace("did:key:", "did:web:")
    options = ("--trust", "did:web:nobody.example", "--offer", "summary=4.00 EUR")
    async with js.serving(*options), Peer.open(home) as peer:
        with pytest.raises(PolicyError) as refused:
            await peer.hire(js.did, task="summary", inputs={"report": REPORT}, price="5 EUR", at=js.url)
        assert refused.value.code == "policy_denied"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            await js.ask("/hire", {"provider": stranger}, token="another token")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await js.ask("/hires/urn:hire:engagement:none")
