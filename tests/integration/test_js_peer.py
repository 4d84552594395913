"""The implementation in interop/js-peer, written from the specification alone, and this one: they hire each other."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import pytest
from msgspec.structs import replace

from integration.carried import heads, judged, rows_of
from integration.commands import undersigned
from integration.hires import REPORT, did_of, free_ports, until
from support import ROOT, lacks, program
from undersigned.contract import Price
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import canonicalize, decode_json
from undersigned.errors import Closed, PolicyError, UndersignedError
from undersigned.evidence import verify_pack
from undersigned.evidence.archive import read_archive, write_archive
from undersigned.runtime import Conversation, Home, Job, OfferPart, SystemClock, create_home, issue_membership
from undersigned.runtime.execution.requests import Wanted
from undersigned.scope import Grant, Limit, Scope
from undersigned.testing import GUILD

PEER = ROOT / "interop" / "js-peer"
TOKEN = "a token of the test"
SUITES = ["eddsa-jcs-2022", "eddsa-rdfc-2022"]
FIRST_LINE = REPORT.split(b"\n", 1)[0]


def node() -> str:
    """The Node to run it with; without it, or without what it needs, the test is skipped, and in CI it fails."""
    found = program("node")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if int(version.strip().removeprefix("v").split(".")[0]) < 20:
        lacks(f"node {version.strip()} is older than 20")
    if not (PEER / "node_modules").is_dir():
        lacks("interop/js-peer/node_modules is not there: npm ci in interop/js-peer")
    return found


def said_there(script: str, given: list[Any]) -> list[Any]:
    """What a script of its `support` makes of each of these."""
    run = subprocess.run(
        [node(), f"support/{script}"],
        cwd=PEER,
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout)


@pytest.mark.timeout(300)
def test_its_own_tests() -> None:
    """The vectors of its class with the results that they state, and every example of a schema (HIRE-CLS-03).

    In one process: `npm test` starts one for each file, which takes as long again.
    """
    files = "".join(f"import './test/{path.name}'\n" for path in sorted((PEER / "test").glob("*.test.js")))
    command = [node(), "--test-reporter=tap", "--input-type=module", "--eval", files]
    run = subprocess.run(command, cwd=PEER, capture_output=True, text=True, timeout=280, check=False)
    failed = [part[:2000] for part in run.stdout.split("# Subtest: ") if re.search("^ *not ok ", part, re.MULTILINE)]
    assert run.returncode == 0, "\n".join([*failed, run.stdout[-1000:], run.stderr[-2000:]])
    cases = [json.loads(path.read_bytes()) for path in (ROOT / "protocol-spec" / "vectors").rglob("case.json")]
    folders = sum(1 for case in cases if case["class"] == "core")
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
        self.folder = folder
        made = subprocess.run(
            [node(), PEER / "bin" / "peer.js", "init", folder], capture_output=True, check=True, timeout=60
        )
        said = json.loads(made.stdout)
        self.did: str = said["did"]
        self.organisation: str = said["organisation"]
        self.url = ""
        self._origin = ""

    @asynccontextmanager
    async def serving(self, *options: str, port: int = 0, env: Mapping[str, str] | None = None) -> AsyncIterator[Js]:
        words = ("serve", str(self.folder), "--local", "--hook-token", TOKEN, "--port", str(port), *options)
        process = await asyncio.create_subprocess_exec(
            *(node(), str(PEER / "bin" / "peer.js"), *words),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        assert process.stdout is not None
        self._process = process
        try:
            async with asyncio.timeout(30):
                ready = json.loads(await process.stdout.readline())
            self.url, self._origin = ready["url"], ready["origin"]
            yield self
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def pack(self, engagement: str) -> bytes:
        """Its evidence pack. It must have ended."""
        file = self.folder / "pack.zip"
        command = [node(), PEER / "bin" / "peer.js", "export", self.folder, engagement, file, "--local"]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
        return file.read_bytes()

    async def kill(self) -> None:
        """Ends it as a power cut does."""
        self._process.kill()
        await self.ended()

    async def ended(self) -> int:
        """How it ended, once it has."""
        return await self._process.wait()

    async def ask(self, path: str, body: dict[str, Any] | None = None, token: str = TOKEN) -> dict[str, Any]:
        """What its hook answers (protocol-spec/harness.md)."""
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self._origin}{path}", data=data, headers={"authorization": f"Bearer {token}"})

        def answer() -> dict[str, Any]:
            with urllib.request.urlopen(asked, timeout=10) as came:
                return json.load(came)

        return await asyncio.to_thread(answer)

    async def until(self, engagement: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Where an engagement stands there, once that holds."""
        found: dict[str, Any] = {}
        for _ in range(400):
            found = await self.ask(f"/hires/{engagement}")
            if holds(found):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"it does not come to that: {found}")

    async def over(self, engagement: str) -> dict[str, Any]:
        """What became of an engagement, once it is over there."""
        return await self.until(engagement, lambda found: found["over"])


async def company(folder: Path, js: Js, *more: OfferPart) -> tuple[Home, str]:
    """A state folder of ours, which trusts the organisation of `js` and offers a summary and `more`, and the DID of its
    organisation.
    """
    (port,) = free_ports(1)
    summary = OfferPart(task="summary", handler="integration.hires:summarise", price="4 EUR", delivers="summary.txt")
    offers = (summary, *more)
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


async def assert_one_story(home: Home, js: Js, told: dict[str, Any], suite: str) -> None:
    """Both ended the same, move for move; all was signed in one suite; and the evidence of both verifies offline."""
    state, chains = await heads(home)
    assert (state, told["state"]) == ("closed", "closed")
    assert {role: list(chain) for role, chain in chains.items()} == told["heads"]
    assert told["problems"] == []
    messages = [decode_json(row.raw) for row in await rows_of(home) if row.sequence is not None]
    later = [message["proof"]["cryptosuite"] for message in messages if message["type"] not in ("Inquiry", "Profile")]
    assert set(later) == {suite}
    packs = [(await judged(home)), verify_pack(js.pack(told["id"]), now=SystemClock().now())]
    for report in packs:
        assert report.ok, [f"{step.name}: {step.detail}" for step in report.steps if not step.ok]
        assert report.contract == told["contract"]


@pytest.mark.parametrize("suite", SUITES)
async def test_ours_hires_it(suite: str, tmp_path: Path) -> None:
    """HIRE-CLS-01, HIRE-NEG-06, HIRE-ART-03: it counters once, reads its input through our gate and delivers.

    Its pack has the documents of us and of who vouches for us (HIRE-KEY-06), its decisions (HIRE-CRD-08), and proofs of
    each leaf (HIRE-LOG-06).
    """
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
        await assert_one_story(home, js, told, suite)
    members = read_archive((js.folder / "pack.zip").read_bytes())
    said = json.loads(members.pop("manifest.json"))
    documents = [one for one in said["members"] if one["kind"] == "did-document"]
    assert {json.loads(members[one["path"]])["id"] for one in documents} == {told["peer"], organisation}
    leaves = Counter(one["label"] for one in json.loads(members["ledger/proofs.json"])["proofs"])
    assert leaves.pop("decision") in (2, 3), "of the presentation, the offer and the seal; equal ones are one"
    assert leaves == {"contract": 1, "move": 4}
    without = {path: members[path] for path in members if path not in [one["path"] for one in documents]}
    rest = [one for one in said["members"] if one not in documents]
    pack = write_archive({**without, "manifest.json": canonicalize({**said, "members": rest})})
    steps = verify_pack(pack, now=SystemClock().now()).steps
    assert next(step.number for step in steps if not step.ok) == 2, "of a did:web it has to be there"
    kept = [one for one in said["members"] if one["kind"] != "decision"]
    less = {path: members[path] for path in members if not path.startswith("decisions/")}
    pack = write_archive({**less, "manifest.json": canonicalize({**said, "members": kept})})
    steps = verify_pack(pack, now=SystemClock().now()).steps
    assert next(step.number for step in steps if not step.ok) == 8, "its decisions are in its log"


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
    await assert_one_story(home, js, told, suite)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("init", "{there}"), "peer.js: EEXIST: file already exists, open '{there}/peer.json'\n"),
        (
            ("serve", "{there}/no"),
            "peer.js: ENOENT: no such file or directory, open '{there}/no/peer.json'\n",
        ),
        (("serve", "{there}", "--offer", "x=1 EUR"), "peer.js: no handler for x=1 EUR\n"),
    ],
    ids=["there", "nowhere", "no-handler"],
)
def test_what_stands_in_its_way_is_told_in_a_line(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    there = Js(tmp_path / "js").folder
    command = [node(), str(PEER / "bin" / "peer.js"), *(word.format(there=there) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", says.format(there=there))


def test_a_port_that_another_program_has_is_told_in_a_line(tmp_path: Path) -> None:
    js = Js(tmp_path / "js")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [node(), str(PEER / "bin" / "peer.js"), "serve", str(js.folder), "--local", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    told = f"peer.js: listen EADDRINUSE: address already in use 127.0.0.1:{port}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


@pytest.mark.parametrize("theirs", ["it", "ours"])
@pytest.mark.parametrize(("off", "said"), [(90, "s ahead of theirs"), (-600, "s behind theirs")])
async def test_the_clock_of_who_publishes_no_document_is_told_where_it_is_another(
    theirs: str, off: int, said: str, tmp_path: Path
) -> None:
    """HIRE-CNX-07: it tells no more than a code. What let us in says the time."""
    clock = SystemClock(wall=lambda: time() + off)
    ours = Peer.open(create_home(tmp_path / "acme", name="Acme", local=True), clock=clock)
    js, other = Js(tmp_path / "js"), Peer.open(create_home(tmp_path / "globex", name="Globex", local=True))
    async with ours, other, js.serving("--trust", js.organisation):
        with pytest.raises(Closed, match=said) as refused:
            await ours.links.dial(*((js.did, js.url) if theirs == "it" else (other.identity.did, other.url)))
    assert refused.value.code == "proof_invalid"


async def test_it_is_owed_each_thing_that_ours_delivers(tmp_path: Path) -> None:
    """What it asks for is named once in the contract, however much is delivered."""

    async def twice(job: Job) -> None:
        for name in ("summary.txt", "whole.txt"):
            await job.deliver(name, await job.read("report"), media_type="text/plain")

    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation), Peer.open(home) as peer:
        peer.offers("summary", price="4 EUR", delivers=["summary.txt", "whole.txt"])(twice)
        begun = await js.ask(
            "/hire",
            {
                "provider": peer.identity.did,
                "task": "summary",
                "inputs": {"report": base64.b64encode(REPORT).decode()},
                "price": {"amount": "5", "currency": "EUR"},
                "criteria": {"whole": "Nothing is missing."},
            },
        )
        told = await js.over(begun["id"])
        await until(lambda: not peer.conversations)
    assert told["basis"] == "review"
    assert {name: base64.b64decode(data) for name, data in told["artifacts"].items()} == {
        "summary.txt": REPORT,
        "whole.txt": REPORT,
    }


async def test_it_delivers_no_more_than_the_contract_says(tmp_path: Path) -> None:
    """HIRE-ATT-11: as many bytes as were agreed; with one less it fails, and delivers nothing."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation, "--offer", "summary=4.00 EUR"), Peer.open(home) as peer:
        order: Any = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "at": js.url}
        result = await peer.hire(js.did, **order, max_bytes=len(FIRST_LINE))
        assert result["summary.txt"] == FIRST_LINE
        with pytest.raises(PolicyError, match="the delivery is failed"):
            await peer.hire(js.did, **order, max_bytes=len(FIRST_LINE) - 1)


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


@pytest.mark.timeout(300)
async def test_it_conforms(tmp_path: Path) -> None:
    """The core profile of `undersigned conform`, every scenario of it; none may be left out."""
    js = Js(tmp_path / "js")
    async with js.serving("--trust", GUILD.did, "--offer", "summary=5.00 EUR"):
        words = ("conform", js.url, "--did", js.did, "--local", "--json", "--wait", "30")
        run = await asyncio.to_thread(undersigned, *words, folder=tmp_path, seconds=280)
    *results, end = run.values
    failed = [f"{one['id']}: {one['detail']}" for one in results if one.get("outcome") not in (None, "passed")]
    assert (run.code, end["failed"], end["not_applicable"]) == (0, 0, 0), failed
    assert end["passed"] > 140


async def test_its_run_is_judged_again_without_it(tmp_path: Path) -> None:
    """It ends an old connection after the next one began, and a replay gives each its own end."""
    js = Js(tmp_path / "js")
    only = ("--only", "reconnect", "--only", "happy-whole", "--report", str(tmp_path / "report"))

    async def said(*words: str) -> tuple[int, dict[str, tuple[str, str]]]:
        run = await asyncio.to_thread(undersigned, "conform", "--json", *words, folder=tmp_path, seconds=120)
        results = (one for one in run.values if one["kind"] == "result")
        return run.code, {one["id"]: (one["outcome"], one["detail"]) for one in results}

    async with js.serving("--trust", GUILD.did, "--offer", "summary=5.00 EUR"):
        live = await said(js.url, "--did", js.did, "--local", *only)
    code, again = await said("--replay", str(tmp_path / "report" / "transcript.jsonl"))
    assert (code, len(again)) == (0, len(live[1]))
    assert (code, again) == live


# --- a contract while it is performed

SLOW = ("--offer", "slow=4.00 EUR", "--handler", str(ROOT / "tests" / "integration" / "js_handlers.mjs"))


class Hired:
    """We have hired it for the task `slow`, and it works."""

    def __init__(self, js: Js, peer: Peer, hire: asyncio.Task[HireResult], conversation: Conversation) -> None:
        self.js, self.peer, self.hire, self.conversation = js, peer, hire, conversation

    async def there(self, state: str) -> None:
        await self.js.until(self.conversation.id, lambda found: found["state"] == state)

    def ends(self) -> None:
        (self.js.folder / "may-end").touch()


@asynccontextmanager
async def hired(js: Js, home: Home) -> AsyncIterator[Hired]:
    async with Peer.open(home) as peer:

        async def run() -> HireResult:
            return await peer.hire(js.did, task="slow", inputs={"report": REPORT}, price="5 EUR", at=js.url)

        hire = asyncio.create_task(run())
        await until(lambda: [one.engagement.state for one in peer.conversations.values()] == ["working"])
        (conversation,) = peer.conversations.values()
        found = Hired(js, peer, hire, conversation)
        await found.there("working")
        yield found
        await until(lambda: not peer.conversations)


async def test_it_waits_while_suspended_and_signs_an_amendment(tmp_path: Path) -> None:
    """HIRE-LIF-18, HIRE-LAN-05: more time is agreed on while it works, and both close by the document in force."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation, *SLOW):
        async with hired(js, home) as at:
            changes = at.peer.changes
            await changes.suspend(at.conversation, seconds=60)
            await at.there("suspended")
            await changes.resume(at.conversation)
            await at.there("working")
            before = at.conversation.engagement.contract
            assert before is not None
            await changes.amend(
                at.conversation, lambda terms: replace(terms, price=Price(amount="4.5", currency="EUR"))
            )
            await until(lambda: in_force(at.conversation) != before.in_force)
            await changes.amend(at.conversation, lambda terms: replace(terms, price=Price(amount="1", currency="EUR")))
            await js.until(at.conversation.id, lambda found: len(found["heads"]["provider"]) == 5)
            at.ends()
            assert (await at.hire).price == "4.5 EUR"
            told = await js.over(at.conversation.id)
            assert told["owed"] == {"amount": "4.5", "currency": "EUR"}
        await assert_one_story(home, js, told, "eddsa-jcs-2022")


def in_force(conversation: Conversation) -> str:
    contract = conversation.engagement.contract
    assert contract is not None
    return contract.in_force


async def test_it_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    """HIRE-LIF-23: its delivery says that it was, and nothing is owed."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation, *SLOW):
        async with hired(js, home) as at:
            await at.peer.cancel(at.conversation)
            with pytest.raises(UndersignedError):
                await at.hire
            told = await js.over(at.conversation.id)
            assert told["owed"]["amount"] == "0"
        await assert_one_story(home, js, told, "eddsa-jcs-2022")


async def test_it_lets_go_for_the_whole_price(tmp_path: Path) -> None:
    """HIRE-LAN-05: a sealed release ends the contract, for what it says."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    async with js.serving("--trust", organisation, *SLOW):
        async with hired(js, home) as at:
            await at.peer.changes.release(at.conversation, Price(amount="4", currency="EUR"), "No longer needed.")
            with pytest.raises(UndersignedError):
                await at.hire
            told = await js.over(at.conversation.id)
            assert (told["basis"], told["owed"]["amount"]) == ("release", "4")
        await assert_one_story(home, js, told, "eddsa-jcs-2022")


async def test_it_is_killed_while_it_works_and_goes_on(tmp_path: Path) -> None:
    """HIRE-LIF-15, HIRE-SYN-03: from its journal, and with what was said meanwhile."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    (port,) = free_ports(1)
    options = ("--trust", organisation, *SLOW)
    async with js.serving(*options, port=port):
        async with hired(js, home) as at:
            await js.kill()
            await at.peer.changes.suspend(at.conversation, seconds=600)
            async with js.serving(*options, port=port):
                await at.there("suspended")
                await at.peer.changes.resume(at.conversation)
                await at.there("working")
                at.ends()
                assert (await at.hire)["summary.txt"] == FIRST_LINE
                told = await js.over(at.conversation.id)
        await assert_one_story(home, js, told, "eddsa-jcs-2022")


async def test_it_asks_before_it_does_what_needs_a_yes(tmp_path: Path) -> None:
    """HIRE-SCO-12, HIRE-SCO-13, HIRE-LIF-19, HIRE-LIF-30: the yes is good for exactly what it was asked for."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    handlers = ("--handler", str(ROOT / "tests" / "integration" / "js_handlers.mjs"))
    orders = Grant("orders", "order:place", "https://shop.example/*", limits=(Limit("EUR", "100"),), approval=True)

    async def decide(wanted: Wanted) -> bool:
        return wanted.details is not None and wanted.details.amounts == {"EUR": "0.5", "count": "1"}

    async with js.serving("--trust", organisation, "--offer", "order=4 EUR", *handlers):
        async with Peer.open(home) as peer:
            scope = Scope(grants=(orders,))
            result = await peer.hire(js.did, task="order", price="5 EUR", scope=scope, approve=decide, at=js.url)
            assert result["answers.txt"] == b"0.5 by orders, 90: approval_required"
            told = await js.over(result.engagement)
            await until(lambda: not peer.conversations)
        await assert_one_story(home, js, told, "eddsa-jcs-2022")


async def test_what_it_refused_itself_is_stated_as_statements_can_hold_it(tmp_path: Path) -> None:
    """HIRE-GAT-02: whoever has its work ask for no name at all, or for one without end, spoils neither."""
    js = Js(tmp_path / "js")
    home, organisation = await company(tmp_path, js)
    handlers = ("--handler", str(ROOT / "tests" / "integration" / "js_handlers.mjs"))
    async with js.serving("--trust", organisation, "--offer", "odd=4 EUR", *handlers):
        async with Peer.open(home) as peer:
            scope = Scope(grants=(Grant("orders", "order:place", "https://shop.example/*"),))
            result = await peer.hire(js.did, task="odd", price="5 EUR", scope=scope, at=js.url)
            assert result["answers.txt"].decode() == ", ".join(["scope_exceeded"] * 8 + ["schema_violation"] * 2)
            told = await js.over(result.engagement)
            await until(lambda: not peer.conversations)
        await assert_one_story(home, js, told, "eddsa-jcs-2022")
