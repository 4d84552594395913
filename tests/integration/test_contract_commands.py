"""A contract while it is performed, by two processes on real sockets and the command beside each of them."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.commands import SECONDS, UNDERSIGNED, Process, serving
from integration.hires import REPORT, did_of, linger, moves, summarise, two_homes
from undersigned import Peer
from undersigned.did import make_document
from undersigned.encoding import canonicalize, digest_bytes, parse_duration, shift
from undersigned.ledger import Row, open_ledger
from undersigned.runtime import ContractOrder, Home, Job, Say, SystemClock, generate_key, leave_order
from undersigned.testing import ARBITER, ARTIFACT, Actor
from unit.cli.running import Ran, run


async def waits(job: Job) -> None:
    """Work that goes on until a file says that it may end; another file has it ask for approval."""
    folder = Path(job._agent.home.path)
    text = await job.read("report")
    while not (folder / "may-end").exists():
        if (folder / "ask").exists():
            (folder / "ask").unlink()
            await job._conversation.ask(lambda _: _question(job))
        await asyncio.sleep(0.05)
    await job.deliver("summary.txt", text.split(b"\n", 1)[0], media_type="text/plain")


async def begins_late(job: Job) -> None:
    """Work that does nothing at all until a file says that it may."""
    may_end = Path(job._agent.home.path) / "may-end"
    while not may_end.exists():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.05)
    await summarise(job)


def _question(job: Job) -> Say:
    body = {"contract": job.contract, "clause": "read-report", "action": "artifact:read", "reason": "To be sure."}
    until = shift(SystemClock().now(), 600)
    return Say("ApprovalRequest", {**body, "arguments": ARTIFACT, "answer_by": until})


class Hire:
    """Acme has hired Globex, which works."""

    def __init__(self, folder: Path, acme: Home, globex: Home, hire: Process) -> None:
        self.folder, self.acme, self.globex, self.hire = folder, acme, globex, hire
        self.contract = asyncio.run(_contract(acme))
        assert asyncio.run(_contract(globex)) == self.contract

    def on(self, home: Home, *words: object) -> Ran:
        verb, *more = words
        return run("contract", verb, self.contract, *more, "--home", home.path, "--json")

    def shown(self, home: Home) -> dict:
        return self.on(home, "show").values[0]

    def until(self, home: Home, holds: Callable[[dict], bool]) -> dict:
        """What `show` says once that holds."""
        ends = time.monotonic() + SECONDS
        while not holds(shown := self.shown(home)):
            assert time.monotonic() < ends, shown
        return shown

    def told(self, home: Home) -> str:
        """What `show` says to people, as one line."""
        return " ".join(run("contract", "show", self.contract, "--home", home.path).out.split())

    def ends(self) -> None:
        (self.globex.path / "may-end").touch()


async def _contract(home: Home) -> str:
    """The contract, once this side has it too."""
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                for one in await ledger.summaries():
                    if one.contract is not None:
                        return one.contract
                await asyncio.sleep(0.01)
    finally:
        await ledger.close()


def _homes(folder: Path) -> tuple[Home, Home]:
    return asyncio.run(two_homes(folder, handler="integration.test_contract_commands:waits"))


@pytest.fixture
def hired(tmp_path: Path) -> Iterator[Hire]:
    acme, globex = _homes(tmp_path)
    with serving(globex.path), _hiring(tmp_path, acme, globex) as hire:
        yield hire
    assert asyncio.run(_moves(acme)) == asyncio.run(_moves(globex)), "the two transcripts differ"


@contextmanager
def _hiring(folder: Path, acme: Home, globex: Home, *more: str) -> Iterator[Hire]:
    report = folder / "report.txt"
    report.write_bytes(REPORT)
    provider = did_of(globex.configuration.listen.port)
    options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR", "--json")
    hire = Process([*UNDERSIGNED, "hire", provider, "--home", str(acme.path), *options, *more], folder)
    try:
        hire.until('"Start"')
        yield Hire(folder, acme, globex, hire)
    finally:
        hire.end(signal.SIGKILL)


def test_who_cannot_sign_in_an_engagement_any_more_is_told_wherever_it_is_looked_at(hired: Hire) -> None:
    """HIRE-PRF-02: after a key of another kind was put in its place the log alone said why nothing goes on."""
    home, published = hired.acme, hired.acme.path / "did.json"
    before = published.read_bytes()
    assert hired.shown(home)["mute"] is None
    key = {"agent-2": generate_key("P-256").public_key}
    other = make_document(home.configuration.did, authentication=key, assertion_method=key)
    published.write_bytes(canonicalize(other))
    why = "it was agreed to sign by eddsa-jcs-2022, which the key of now, P-256, cannot"
    assert hired.shown(home)["mute"].startswith(why)
    assert f"Mute {why}" in hired.told(home)
    (row,) = run("ledger", "list", "--home", home.path, "--json").values
    assert row["owed"]["text"].endswith(row["owed"]["mute"])
    assert row["owed"]["mute"].startswith(why)
    published.write_bytes(before)
    hired.ends()
    hired.hire.end().result()


def test_a_contract_is_suspended_amended_and_goes_on(hired: Hire) -> None:
    """Beside two running peers: what one side orders, both hold; the price paid is the one in force (HIRE-LAN-05)."""
    acme, globex = hired.acme, hired.globex
    assert hired.on(globex, "suspend").code != 0  # only the hirer may
    paused = hired.on(acme, "suspend", "--for", 600)
    assert (paused.code, paused.values[0]["state"]) == (0, "suspended"), paused
    hired.hire.until('"Suspend"')
    assert hired.shown(acme)["moves"] == ["Resume", "Cancel"]
    assert hired.on(acme, "resume").values[0]["state"] == "working"

    before = hired.shown(acme)["terms"]["deadlines"]
    assert hired.on(globex, "amend").error["message"].startswith("nothing would be changed")
    unknown = hired.on(globex, "amend", "--drop", "nothing").error["message"]
    assert unknown == "--drop: expected a grant, read-1; got 'nothing'"
    notes = "notes:write=https://acme.example/notes/*;count<=2"
    offered = hired.on(globex, "amend", "--price", "4.50 EUR", "--extend", 3600, "--allow", notes)
    assert (offered.code, offered.values[0]["lane"]) == (0, "offered-by-provider"), offered
    hired.hire.until('"Amendment"')
    table = hired.shown(acme)["onTheTable"]
    assert (table["type"], table["owner"], table["accepted"]) == ("Amendment", "provider", False)
    later = shift(before["finish"], 3600)
    assert {one["what"]: (one["inForce"], one["proposed"]) for one in table["changes"]} == {
        "price amount": ("4", "4.5"),
        "deadlines finish": (before["finish"], later),
        "deadlines until": (before["until"], shift(before["until"], 3600)),
        "May [allow-1]": ("nothing", "notes:write on https://acme.example/notes/*, at most 2 times"),
    }
    assert table["terms"]["price"]["amount"] == "4.5"
    told = hired.told(acme)
    assert "price amount: 4.5 (in force: 4)" in told
    assert f"deadlines finish: {later} (in force: {before['finish']})" in told
    assert "Ended by" not in told
    other = hired.on(acme, "accept", hired.contract)
    assert other.code != 0
    assert other.error["code"] == "stale_offer"
    assert f"got {hired.contract}: {table['document']} is on the table, and 'undersigned" in other.error["message"]
    assert hired.on(acme, "accept", table["document"]).code == 0
    for home in (acme, globex):
        now = hired.until(home, lambda shown: shown["inForce"] == table["document"])
        assert now["contract"] == hired.contract
        assert now["terms"]["price"]["amount"] == "4.5"
        later = now["terms"]["deadlines"]
        assert [later[name] for name in ("finish", "until")] == [
            shift(before[name], 3600) for name in ("finish", "until")
        ]
        assert later["start"] == before["start"]
        assert hired.told(home).startswith(f"local | Contract {hired.contract} "), "the name that every command takes"
    assert hired.on(acme, "amend", "--drop", "allow-1", "--limit", "read-1;count<=9", "--reworks", 2).code == 0
    less = hired.until(globex, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
    assert [(one["what"], one["proposed"].rpartition(", ")[2]) for one in less["changes"]] == [
        ("reworks", "2"),
        ("May [allow-1]", "nothing"),
        ("May [read-1]", "at most 9 times"),
    ]
    assert hired.on(globex, "accept", less["document"]).code == 0
    hired.until(acme, lambda shown: shown["inForce"] == less["document"])
    assert "May [allow-1]" not in hired.told(acme)
    hired.ends()
    assert hired.hire.end().result()["price"] == "4.5 EUR"
    (delivered,) = hired.shown(acme)["delivered"]
    assert delivered["name"] == "summary.txt"
    assert digest_bytes(Path(delivered["file"]).read_bytes()) == delivered["digest"]
    asked = ("history", globex.configuration.did, "--home", acme.path)
    (whole,), (end,) = (run(*asked, *last, "--json").values for last in ((), ("--last", 2)))
    assert end["lines"] == whole["lines"][-2:]
    assert [line["verdict"] for line in whole["lines"] if line["kind"] == "decision"][:2] == ["allow", "allow"]
    counts = f"{len(whole['lines'])} lines under 1 contract, of which these are the last 2"
    assert counts in run(*asked, "--last", 2).out
    assert "the last" not in run(*asked, "--last", len(whole["lines"])).out
    assert run(*asked, "--last", 2, "--prov", "--json").error["code"] == "bad_configuration"


def test_a_key_that_work_is_owed_with_is_rotated_by_force_alone_and_the_work_is_rejected(tmp_path: Path) -> None:
    """HIRE-ATT-02: only a key that the contract names states what was done; both sides hear that it is another."""
    acme, globex = asyncio.run(two_homes(tmp_path, handler="integration.test_contract_commands:begins_late"))
    with serving(globex.path) as served, _hiring(tmp_path, acme, globex) as hired:
        (before,) = globex.document().methods("authentication")
        refused = run("keys", "rotate", "--home", globex.path, "--json")
        assert (refused.code, hired.contract in refused.error["message"]) == (4, True), refused  # later it is none
        assert "--force" in refused.error["message"]
        assert globex.document().methods("authentication") == (before,)
        # The hirer has no work to deliver, but runs: what it agreed to from now on would be by the key of before.
        for options in ((), ("--force",)):
            refused = run("keys", "rotate", "--home", acme.path, "--json", *options)
            assert (refused.code, "end it first" in refused.error["message"]) == (8, True), refused
        served.end(signal.SIGINT)
        assert run("keys", "rotate", "--home", globex.path, "--force").code == 0
        with serving(globex.path) as again:
            hired.hire.until("there again")
            hired.ends()
            said = hired.hire.end().error["message"]
        assert any("the contract names another key" in line for line in again.errors)
        (after,) = globex.document().methods("authentication")
        assert f"the contract names {before}" in said
        assert f"published now: {after}" in said
    assert run("keys", "rotate", "--home", globex.path).code == 0


def test_a_key_whose_terms_are_on_their_way_is_rotated_once_they_are_answered(tmp_path: Path) -> None:
    """HIRE-KEY-07: by another key they are refused, and if the other side moved meanwhile, all is that follows them."""
    acme, globex = _homes(tmp_path)
    rotate = ("keys", "rotate", "--home", acme.path, "--json")
    with serving(globex.path) as served, _hiring(tmp_path, acme, globex) as hired:
        served.end(signal.SIGINT)
        (before,) = acme.document().methods("authentication")
        offered = hired.on(acme, "amend", "--extend", 3600)
        assert (offered.code, offered.values[0]["lane"]) == (0, "offered-by-hirer"), offered
        refused = run(*rotate)
        assert (refused.code, refused.error["code"]) == (4, "wrong_state"), refused
        for word in ("Offer", hired.shown(acme)["engagement"], globex.configuration.did, "--force", "`serve`"):
            assert word in refused.error["message"]
        assert acme.document().methods("authentication") == (before,)
        with serving(globex.path):
            hired.until(globex, lambda shown: shown["onTheTable"] is not None)
            assert run(*rotate).code == 4, "who accepts it has it refused"
            assert hired.on(globex, "decline").code == 0
            ends = time.monotonic() + SECONDS
            while (ran := run(*rotate)).code == 4:
                assert time.monotonic() < ends, ran
            assert (ran.code, "end it first" in ran.error["message"]) == (8, True), "nothing else holds it up"
            hired.hire.end(signal.SIGINT)
            assert run(*rotate).code == 0
    assert acme.document().methods("authentication") != (before,)


def test_terms_that_name_a_key_replaced_since_are_declined_and_may_be_offered_anew(tmp_path: Path) -> None:
    """HIRE-KEY-07: an acceptance by the new key is refused, and so would be the review behind it."""
    acme, globex = _homes(tmp_path)
    with serving(globex.path), _hiring(tmp_path, acme, globex) as hired:
        assert hired.on(globex, "amend", "--extend", 60).code == 0
        hired.until(acme, lambda shown: shown["onTheTable"] is not None)
        hired.hire.end(signal.SIGINT)
        assert run("keys", "rotate", "--home", acme.path).code == 0
        with serving(acme.path):
            hired.until(globex, lambda shown: shown["onTheTable"] is None)
            assert hired.on(globex, "amend", "--extend", 60).code == 0
            table = hired.until(acme, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
            assert hired.on(acme, "accept", table["document"]).code == 0
            hired.until(globex, lambda shown: shown["inForce"] == table["document"])
            hired.ends()
            hired.until(globex, lambda shown: shown["state"] == "closed")


def test_a_release_ends_the_work_for_what_it_says(hired: Hire) -> None:
    """Mutual release: the work is stopped, both close their books by it, and the provider says what it destroys.

    HIRE-LIF-23.
    """
    acme, globex = hired.acme, hired.globex
    assert hired.on(acme, "release", "--owed", "2 EUR", "--reason", "No longer needed").code == 0
    table = hired.until(globex, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
    assert (table["settlement"], table["reason"]) == ({"amount": "2", "currency": "EUR"}, "No longer needed")
    assert "2 EUR owed, all told; 'No longer needed'" in hired.told(globex)
    assert hired.on(globex, "accept", table["document"]).code == 0
    hired.hire.end()
    assert f"Ended by release of the hirer: {table['document']}" in hired.told(acme)
    closings = _closings(acme)
    assert len(closings) == 2
    for closing in closings:
        assert (closing["basis"], closing["settlement"]["amount"]) == ("release", "2")
        assert len(closing["dataHandling"]["destroy"]) == 1


async def _moves(home: Home) -> dict[str, list[tuple[str, int, str, str]]]:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        assert (await ledger.check()).ok
        return await moves(ledger)
    finally:
        await ledger.close()


async def _rows(home: Home, kind: str) -> tuple[Row, ...]:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        return tuple(row for row in await ledger.rows(summary.engagement) if row.type == kind)
    finally:
        await ledger.close()


def _closings(home: Home) -> list[dict]:
    return [json.loads(row.raw) for row in asyncio.run(_rows(home, "Closing"))]


def test_a_cancelled_contract_is_wound_down_and_says_what_there_is(hired: Hire) -> None:
    """HIRE-LIF-23: in order, unlike `revoke`: the work is stopped, and the provider delivers that it was; only the
    hirer may, with a reason of the list.
    """
    acme, globex = hired.acme, hired.globex
    assert hired.on(globex, "cancel").error["code"] == "wrong_party"
    assert hired.on(acme, "cancel", "--reason", "bored").code == 2
    least = parse_duration(hired.shown(acme)["terms"]["deadlines"]["windDown"])
    soon = hired.on(acme, "cancel", "--for", least - 1).error
    assert (soon["code"], " is too soon: the terms leave until " in soon["message"]) == ("terms_mismatch", True)
    before = SystemClock().now()
    ordered = hired.on(acme, "cancel", "--reason", "superseded")
    assert ordered.code == 0, ordered
    ended = hired.hire.end()
    (said,) = [json.loads(row.raw) for row in asyncio.run(_rows(globex, "Cancel"))]
    assert said["reason"] == "superseded"
    assert shift(before, least) <= said["windDown"] <= shift(SystemClock().now(), least)
    (delivery,) = [json.loads(row.raw) for row in asyncio.run(_rows(acme, "Delivery"))]
    assert (delivery["outcome"], delivery["artifacts"]) == ("cancelled", [])
    assert (ended.code, ended.error["code"]) == (3, "policy_denied"), ended
    assert "we cancelled it: superseded; the delivery is cancelled, owed 0 EUR" in ended.error["message"]
    assert [one["settlement"]["amount"] for one in _closings(acme)] == ["0", "0"]
    for home in (acme, globex):
        told = hired.told(home)
        assert "Delivery cancelled: nothing was delivered" in told
        assert "Cancelled by the hirer: superseded" in told
        value = hired.shown(home)
        assert (value["cancels"], value["outcome"]) == ([{"role": "hirer", "reason": "superseded"}], "cancelled")


def test_a_revoked_contract_ends_on_both_sides(hired: Hire) -> None:
    """SC-62: the hirer ends it; the provider's work is stopped, and nothing is delivered or owed."""
    assert hired.on(hired.acme, "revoke", "--cause", "key_compromised").code == 0
    hired.hire.end()
    closings = _closings(hired.acme)
    assert [(one["basis"], one["settlement"]["amount"]) for one in closings] == [("terminate", "0")] * 2
    again = hired.on(hired.globex, "suspend")
    assert again.code != 0
    for home in (hired.acme, hired.globex):
        assert "Ended by terminate of the hirer: key_compromised" in hired.told(home)


def test_nothing_ends_by_a_credential_of_which_nobody_knows_that_it_ended(hired: Hire) -> None:
    """HIRE-STA-09: with any digest for its evidence, and no credential named, a contract ended for this cause."""
    acme, stranger = hired.acme, digest_bytes(b"a credential that nobody showed")
    (named, _) = hired.shown(acme)["terms"]["mustStayValid"]
    for names in ((), ("--names", stranger), ("--names", named)):
        refused = hired.on(acme, "revoke", "--cause", "revoked", *names)
        assert (refused.code, refused.error["code"]) == (4, "wrong_state"), refused
        assert "expected a credential that the terms name, revoked or ended: all that " in refused.error["message"]
    assert hired.shown(acme)["state"] == "working"


def test_a_credential_that_the_terms_name_and_nobody_showed_is_told_as_that(hired: Hire) -> None:
    """Any digest may stand there, of another form of what was shown say: then no end of it ends the contract."""
    acme, globex = hired.acme, hired.globex
    shown, stranger = hired.shown(acme), digest_bytes(b"the same credential, hashed another way")
    assert shown["unshown"] == []
    for role, home in (("hirer", acme), ("provider", globex)):
        office = f"{home.configuration.did}:org"
        assert f"Stays valid MembershipCredential of the {role}, by {office}" in hired.told(acme)
    named = sorted([*shown["terms"]["mustStayValid"], stranger])
    order = {"terms": {**shown["terms"], "mustStayValid": named}, "seconds": 600}
    _appears(leave_order(globex.orders, "0001", ContractOrder(act="amend", contract=hired.contract, body=order)))
    table = hired.until(acme, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
    assert hired.on(acme, "accept", table["document"]).code == 0
    for home in (acme, globex):
        assert hired.until(home, lambda shown: shown["inForce"] == table["document"])["unshown"] == [stranger]
        assert f"Stays valid {stranger}, which nobody showed: that it ends is no reason for anything" in hired.told(
            home
        )
    hired.ends()
    hired.hire.end().result()


def test_the_books_wait_for_both_words_about_the_payment(tmp_path: Path) -> None:
    """HIRE-PAY-01: hired and settled by commands alone; while our word is missing, `show` says how it is given."""
    acme, globex = _homes(tmp_path)
    with serving(globex.path), _hiring(tmp_path, acme, globex, "--settlement", "manual") as hire:
        hire.ends()
        hire.hire.end().result()
        for home in (acme, globex):
            shown = hire.until(home, lambda shown: shown["due"] is not None)
            assert (shown["state"], shown["due"]["amount"], shown["due"]["method"]) == ("closing", "4", "manual")
            told = hire.told(home)
            assert "Waits for our word about 4 EUR:" in told
            assert f"contract settle {hire.contract}" in told
        with serving(acme.path):
            settled = run("contract", "settle", hire.contract, "--reference", "SEPA 4711", "--home", acme.path)
            assert (settled.code, "noted for our closing: the contract is " in settled.out) == (0, True), settled
            assert hire.until(acme, lambda shown: "hirer" in shown["payment"])["due"] is None
            assert "contract settle" not in hire.told(acme)
            assert hire.on(globex, "settle").code == 0
            shown = hire.until(globex, lambda shown: shown["state"] == "closed")
            assert shown["payment"]["hirer"]["reference"] == "SEPA 4711"
            assert "Books of the hirer: 4 EUR owed; says: paid as SEPA 4711" in hire.told(globex)
            hire.until(acme, lambda shown: shown["state"] == "closed")


def test_show_and_watch_tell_an_offline_side_from_one_that_is_there(tmp_path: Path) -> None:
    """HIRE-LIF-24: while its process is killed, and after it runs again; and what may be done by whom."""
    acme, globex = _homes(tmp_path)
    serve = [*UNDERSIGNED, "serve", "--home", str(globex.path), "--json"]
    first = Process(serve, tmp_path)
    first.until('"ready"')
    with _hiring(tmp_path, acme, globex) as hire:
        shown = hire.shown(acme)
        assert shown["presence"]["word"] == "here"
        mays = [(right["name"], right["role"], right["passed"], right["byItself"]) for right in shown["rights"]]
        assert mays[0] == ("heartbeat", "hirer", False, True)
        assert {name for name, *_ in mays} == {"heartbeat", "finish", "until"}
        assert first.end(signal.SIGKILL).code == -signal.SIGKILL
        lost = hire.until(acme, lambda shown: shown["presence"]["word"] == "offline")["presence"]
        assert lost["since"] < lost["goneAfter"]
        told = run("contract", "show", hire.contract, "--home", acme.path).out
        # What is interrupted names it so: there may be no contract yet.
        by_id = run("contract", "show", shown["engagement"], "--home", acme.path, "--json").values[0]
        assert by_id["contract"] == shown["contract"]
        assert "offline since" in told
        assert f"After {lost['goneAfter']} the hirer may send Terminate" in " ".join(told.split())
        with serving(globex.path):
            back = hire.until(acme, lambda shown: shown["presence"]["word"] == "here")
            assert back["state"] == "working"
            watched = run("watch", "--no-follow", "--home", acme.path).out
            assert "order:" not in watched, "what was ordered has a line of its own, and no key"
            assert "offline since" in watched
            assert "there again" in watched


def test_what_binds_waits_until_the_other_side_can_be_looked_up(tmp_path: Path) -> None:
    """Its lists are where it is: what is said while it is away says nothing, tells so, and may be said again."""
    acme, globex = _homes(tmp_path)
    serve = [*UNDERSIGNED, "serve", "--home", str(globex.path), "--json"]
    first = Process(serve, tmp_path)
    first.until('"ready"')
    with _hiring(tmp_path, acme, globex) as hire:
        assert hire.on(globex, "amend", "--extend", 600).code == 0
        document = hire.until(acme, lambda shown: shown["onTheTable"] is not None)["onTheTable"]["document"]
        first.end(signal.SIGKILL)
        away = hire.on(acme, "accept", document)
        assert (away.code, away.error["code"]) == (3, "status_unavailable")
        assert away.error["message"].endswith("; nothing was said: say it again once this can be had")
        assert not hire.shown(acme)["onTheTable"]["accepted"]
        with serving(globex.path):
            assert hire.on(acme, "accept", document).code == 0
            for home in (acme, globex):
                hire.until(home, lambda shown: shown["inForce"] == document)


def test_a_document_is_taken_from_the_table(hired: Hire) -> None:
    """Declined by the side that did not offer it: the contract is as it was."""
    engagement = hired.shown(hired.acme)["engagement"]
    ended = run("offer", "withdraw", engagement, "--home", hired.acme.path, "--json")
    told = f"there is a contract, {hired.contract}, which 'contract cancel' or 'revoke' ends"
    assert (ended.code, ended.error["message"]) == (4, told)
    for untrue in ("suspend", "cancel"):  # it is under no contract, and if it were the peer would say so
        assert hired.on(hired.acme, untrue, "--reason", "parent").code == 2
    dear = hired.on(hired.acme, "amend", "--price", "500 EUR").error
    assert dear["message"] == "denied by our own policy default/1: max_price 500 EUR (would pass: at most 10)"
    assert hired.on(hired.acme, "amend", "--extend", 7200).code == 0
    for again in (("amend", "--extend", 3600), ("release", "--owed", "0 EUR", "--reason", "Enough.")):
        second = hired.on(hired.acme, *again)
        assert second.error["code"] == "wrong_party", second
        assert second.error["message"].endswith("; first take it from the table: 'contract decline'"), second
    hired.until(hired.globex, lambda shown: shown["onTheTable"] is not None)
    assert hired.on(hired.globex, "decline").values[0]["lane"] == "idle"
    for home in (hired.acme, hired.globex):
        shown = hired.until(home, lambda shown: shown["onTheTable"] is None)
        assert shown["inForce"] == hired.contract
    nothing = hired.on(hired.globex, "decline")
    assert (nothing.code, nothing.error["code"]) == (4, "wrong_state")
    assert nothing.error["message"].endswith("; 'contract show' tells who owes what, and by when")
    nobody = hired.on(hired.globex, "dispute", "--claim", "It was never said.")
    told = "the terms name no arbiter: one offers 'contract amend --arbiter', the other side accepts that"
    assert (nobody.code, nobody.error["code"], nobody.error["message"]) == (4, "terms_mismatch", told)


def test_questions_for_approval_are_answered(hired: Hire) -> None:
    """HIRE-LIF-19: yes and no, each once, and only to what was asked; the provider may not answer itself."""
    acme, globex = hired.acme, hired.globex
    asked = []
    for _ in range(2):
        (globex.path / "ask").touch()
        hired.until(acme, lambda shown: len(shown["requests"]) == 1)
        asked.append(hired.shown(acme)["requests"][0]["move"])
        command = f"undersigned contract approve {hired.contract} {asked[-1]} --home {acme.path} (or --refuse)"
        assert (command in hired.told(acme), "contract approve" in hired.told(globex)) == (True, False)
        assert hired.on(globex, "approve", asked[-1]).code != 0
        answer, told = (("--uses", 3, "--for", 600), "approved") if len(asked) == 1 else (("--refuse",), "refused")
        said = run("contract", "approve", hired.contract, asked[-1], *answer, "--home", acme.path)
        assert (said.code, said.out) == (0, f"local | {told}: the contract is working\n")
        hired.until(globex, lambda shown: not shown["requests"])
        assert hired.on(acme, "approve", asked[-1]).error["code"] == "wrong_state"
    (globex.path / "ask").touch()
    (wanted,) = hired.until(acme, lambda shown: len(shown["requests"]) == 1)["requests"]
    (no,) = hired.on(acme, "approve", wanted["move"], "--refuse").values
    assert no["act"] == "refuse", "and not the name of the command, which says yes"
    hired.until(globex, lambda shown: not shown["requests"])
    answers = [json.loads(row.raw) for row in asyncio.run(_rows(globex, "Approval"))]
    assert [(one["request"], one["granted"], one["uses"]) for one in answers] == [
        (asked[0], True, 3),
        (asked[1], False, 0),
        (wanted["move"], False, 0),
    ]
    assert hired.shown(globex)["state"] == "working"


def test_a_breach_is_claimed_and_has_time_to_be_cured(hired: Hire) -> None:
    """HIRE-LIF-20: not less than agreed on, by either side; before that time is up it ends nothing."""
    acme, globex = hired.acme, hired.globex
    assert hired.on(acme, "breach", "read-1", "--for", 60).error["code"] == "terms_mismatch"
    assert hired.on(acme, "breach", "read-report", "--for", 7200).error["code"] == "terms_mismatch"
    claimed = hired.on(acme, "breach", "read-1").values[0]  # as long as the terms leave at least
    assert claimed["state"] == "working"
    (shown,) = hired.until(globex, lambda shown: shown["breaches"])["breaches"]
    assert (shown["role"], shown["clause"], shown["move"]) == ("hirer", "read-1", claimed["move"])
    told = hired.told(globex)
    cured = f"to be cured by {shown['cure_by']} local | {claimed['move']}"
    assert f"Breach of read-1, claimed by the hirer, {cured}" in told
    ended = hired.on(acme, "revoke", "--cause", "breach", "--names", claimed["move"])
    assert (ended.code != 0, ended.error["code"]) == (True, "wrong_state")
    assert hired.on(globex, "revoke", "--cause", "breach", "--names", claimed["move"]).error["code"] == "wrong_state"
    assert hired.shown(globex)["state"] == "working"


def test_a_dispute_is_put_and_ruled_on(hired: Hire) -> None:
    """HIRE-LIF-21, HIRE-LIF-22: between two running peers and the arbiter's file, carried by the side that lost."""
    acme, globex = hired.acme, hired.globex
    assert hired.on(acme, "dispute", "--claim", "Nobody is named.").error["code"] == "terms_mismatch"
    nowhere = hired.on(acme, "amend", "--arbiter", "did:web:localhost:8104")
    assert (nowhere.code, nowhere.error["message"].endswith("did:web:localhost%3A8104")) == (2, True), nowhere
    assert hired.on(acme, "amend", "--arbiter", ARBITER.did).code == 0
    table = hired.until(globex, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
    assert hired.on(globex, "accept", table["document"]).code == 0
    hired.until(acme, lambda shown: shown["terms"].get("arbiter") == ARBITER.did)
    assert hired.on(acme, "dispute").code == 2
    put = hired.on(acme, "dispute", "--claim", "It is late.", "--for", 172_800).values[0]
    assert put["state"] == "disputed"
    shown = hired.until(globex, lambda shown: shown["state"] == "disputed")
    assert [(one["role"], one["claim"]) for one in shown["disputes"]] == [("hirer", "It is late.")]
    told = hired.told(globex)
    assert f"Arbiter {ARBITER.did} " in told
    assert "Disputed by the hirer, who says: It is late." in told
    assert "hirer and provider owe the arbiter's ruling" in told
    file = hired.folder / "ruling.json"
    for by, code in ((Actor("a stranger"), "key_not_authorized"), (ARBITER, "")):
        ruling = by.rule(hired.contract, put["move"], SystemClock().now(), outcome="for_provider", amount="3.5")
        file.write_text(json.dumps(ruling))
        ran = hired.on(acme, "dispute", "--ruling", file)
        assert ran.error["code"] == code if code else ran.values[0]["state"] in ("closing", "closed")
    ended = "the contract ended without a review: the arbiter ruled for provider (Half of it is there.); owed by it: "
    assert hired.hire.end().error["message"] == ended + "3.5 EUR"
    assert (hired.shown(globex)["presence"], "Other side" in hired.told(globex)) == (None, False), "it is over"
    assert [(one["basis"], one["settlement"]["amount"]) for one in _closings(acme)] == [("ruling", "3.5")] * 2
    (ruled,) = hired.shown(globex)["rulings"]
    assert (ruled["dispute"], ruled["outcome"], ruled["amount"]) == (put["move"], "for_provider", "3.5")
    assert "Ruled for provider, 3.5 EUR owed, all told" in hired.told(globex)


def test_an_arbiter_rules_by_commands_alone(hired: Hire) -> None:
    """HIRE-LIF-22, HIRE-LIF-31: from a pack, by who the terms name, once; and each side carries what it was given."""
    acme, globex, folder = hired.acme, hired.globex, hired.folder
    made = run("init", folder / "arbiter", "--url", "https://arbiter.example", "--json").values[0]
    hired.on(acme, "amend", "--arbiter", made["did"])
    table = hired.until(globex, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
    hired.on(globex, "accept", table["document"])
    hired.until(acme, lambda shown: shown["terms"].get("arbiter") == made["did"])

    def ruled(owed: str, *words: object, by: object = folder / "arbiter") -> Ran:
        said = ("rule", folder / "pack.zip", "for_provider", "--owed", owed, "--reason", "It was never asked for.")
        return run(*said, "--out", folder / "ruling.json", "--home", by, "--force", "--json", *words)

    def packed(home: Home) -> None:
        assert run("export", hired.contract, "--home", home.path, "--out", folder / "pack.zip", "--force").code == 0

    packed(acme)
    assert ruled("3.5 EUR").error["code"] == "wrong_state", "nobody disputes anything"
    put = hired.on(acme, "dispute", "--claim", "It is short.").values[0]
    hired.until(globex, lambda shown: shown["state"] == "disputed")
    packed(globex)
    assert (ruled("3.5 EUR", by=acme.path).code, ruled("3.5 EUR", by=acme.path).error["code"]) == (
        4,
        "attester_not_trusted",
    )
    assert ruled("-1 EUR").code == 2
    for slip in ("35 EUR", "3.5 USD"):
        assert ruled(slip).error["code"] == "policy_denied", "what is more than the price is mostly a slip, and binds"
    assert ruled("3.5 EUR").values[0]["dispute"] == put["move"]
    first = (folder / "ruling.json").read_bytes()
    judges_ruling(folder, acme, {"contract": hired.contract, "dispute": put["move"]}, made["did"])
    packed(acme)
    assert ruled("3.5 EUR").code == 0
    assert (folder / "ruling.json").read_bytes() == first, "the same is said again by the same bytes"
    assert ruled("0 EUR").error["code"] == "conflicting_message"
    assert (folder / "ruling.json").read_bytes() == first
    assert ruled("35 EUR", "--again", "--beyond").values[0]["amount"] == "35"
    assert ruled("3.5 EUR", "--again").code == 0
    carried = hired.on(globex, "dispute", "--ruling", folder / "ruling.json")
    assert carried.values[0]["state"] in ("closing", "closed")
    hired.hire.end()
    assert [(one["basis"], one["settlement"]["amount"]) for one in _closings(acme)] == [("ruling", "3.5")] * 2
    packed(acme)
    assert ruled("0 EUR", "--again").error["code"] == "wrong_state", "the books are closed"


def judges_ruling(folder: Path, acme: Home, about: dict[str, str], arbiter: str) -> None:
    """`verify` says of a ruling what it decides, and whether its arbiter signed it."""
    ruling, strange = folder / "ruling.json", ("--did-document", acme.path / "did.json")
    held = run("verify", ruling, "--json")
    assert (held.code, held.values[0]["ok"], held.values[0]["arbiter"]) == (0, True, arbiter)
    decided = {"outcome": "for_provider", "amount": "3.5", "currency": "EUR", "reasons": "It was never asked for."}
    assert (about | decided).items() <= held.values[0]["ruling"].items()
    told = " ".join(run("verify", ruling).out.split())
    assert "ruling for_provider, 3.5 EUR owed, all told" in told
    assert f"it holds: signed by {arbiter}" in told
    assert (run("verify", ruling, *strange).code, "did_unresolvable" in run("verify", ruling, *strange).out) == (
        4,
        True,
    )
    assert run("verify", ruling, "--of", ruling).code == 2
    signed = json.loads(ruling.read_bytes())
    other = folder / "other.json"
    other.write_text(json.dumps(signed, indent=2))
    assert run("verify", other).code == 0, "it is signed as what it says, and not as how it is laid out"
    for changed, code in (
        ({**signed, "amount": "35"}, "proof_invalid"),
        ({**signed, "amount": "-1"}, "schema_violation"),
        ({name: value for name, value in signed.items() if name != "proof"}, "proof_missing"),
    ):
        other.write_text(json.dumps(changed))
        ran = run("verify", other, "--json")
        assert (ran.code, ran.values[0]["ok"], ran.values[0]["code"]) == (4, False, code)


@pytest.mark.parametrize("killed_at", ["answering", "taken"])
def test_an_order_is_carried_out_once_whenever_its_peer_is_killed(tmp_path: Path, killed_at: str) -> None:
    """HIRE-LIF-13: killed between carrying it out and answering, or before, the next process leaves one `Breach`."""
    acme, globex = _homes(tmp_path)
    program = [sys.executable, "-m", "integration.killed_before_answering", "serve", "--home", str(globex.path)]
    first = Process([*program, "--json"], tmp_path, KILLED_AT=killed_at)
    first.until('"ready"')
    with _hiring(tmp_path, acme, globex) as hire:
        order = ContractOrder(act="breach", contract=hire.contract, body={"clause": "deadlines", "seconds": 7200})
        answer = leave_order(globex.orders, "0001", order)
        assert first.end().code == -signal.SIGKILL
        assert not answer.exists()
        made = asyncio.run(_rows(globex, "Breach"))
        assert len(made) == (killed_at == "answering")
        with serving(globex.path):
            _appears(answer)
            hire.until(acme, lambda shown: shown["breaches"])
            claimed = asyncio.run(_rows(globex, "Breach"))
            assert len(claimed) == len(hire.shown(acme)["breaches"]) == 1
            assert made in ((), claimed)
            said = json.loads(answer.read_bytes())
            assert (said["ok"], said["state"], said["move"]) == (True, "working", claimed[0].digest)
            assert not answer.with_suffix(".taken").exists()
            # A fresh order, on purpose, is another.
            _appears(leave_order(globex.orders, "0002", order))
            hire.until(acme, lambda shown: len(shown["breaches"]) == 2)


def _appears(path: Path) -> None:
    _holds(path.exists)


def _holds(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_peer_is_started_for_an_order_only_if_it_could_carry_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a contract that was over, too, it said that one should be. What a peer took is not said again, and a program
    sees which it was.
    """
    acme, globex = asyncio.run(two_homes(tmp_path))
    begun = threading.Event()

    async def works(job: Job) -> None:
        if (await job.read("report")) == REPORT:
            return await summarise(job)
        begun.set()
        await linger(job)

    with Peer.open_sync(globex, handlers={"summary": works}) as provider, ThreadPoolExecutor(1) as pool:
        did = provider.peer.own.id
        with Peer.open_sync(acme) as hirer:
            over = hirer.hire(did, task="summary", inputs={"report": REPORT}, price="5 EUR").contract
            begun.clear()
            pool.submit(hirer.hire, did, task="summary", inputs={"report": b"Another."}, price="5 EUR")
            begun.wait()
    ledger = run("ledger", "list", "--home", acme.path, "--json").values
    (goes_on,) = [one["contract"] for one in ledger if one.get("contract") not in (None, over)]
    ran = run("contract", "suspend", over, "--home", acme.path, "--json")
    assert (ran.code, ran.error["code"]) == (4, "wrong_state")
    assert "is closed" in ran.error["message"]
    ran = run("contract", "suspend", goes_on, "--home", acme.path)
    assert (ran.code, ran.out.count("start 'serve', then say it again")) == (7, 1)
    told = run("contract", "show", goes_on, "--home", acme.path)
    assert "Other side    not known: no peer of ours runs here" in told.out

    def taken(folder: Path, name: str, order: ContractOrder) -> Path:
        answer = leave_order(folder, name, order)
        answer.with_suffix(".json").rename(answer.with_suffix(".taken"))  # as a peer does, which was killed then
        return answer

    answers = [run("contract", "suspend", goes_on, "--home", acme.path, "--json")]
    (acme.path / "ledger.db.lock").write_text("1\n")
    monkeypatch.setattr("undersigned.cli.orders.WAIT_SECONDS", 0.0)
    monkeypatch.setattr("undersigned.cli.orders.leave_order", taken)
    answers.append(run("contract", "suspend", goes_on, "--home", acme.path, "--json"))
    assert [one.code for one in answers] == [7, 7]
    assert [one.values[0]["taken"] for one in answers] == [False, True]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        command = ("contract", "cancel", goes_on, "--home", str(acme.path))
        broken_off = Process([*UNDERSIGNED, *command], tmp_path)
        _holds(lambda: list(acme.orders.glob("*.json")))
        ended = broken_off.end(number)
        assert (ended.code, list(acme.orders.glob("*.json"))) == (130, []), "the next peer would have carried it out"


def asks_people(home: Home, folder: Path, *names: str) -> dict[str, Path]:
    """From now on these people decide about a price above 4.20 EUR; their own folders, by name."""
    people = {name: folder / name for name in names}
    assert [run("init", one).code for one in people.values()] == [0] * len(people)
    file = home.path / "undersigned.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("currency")]
    at = lines.index("[policy]") + 1
    approvers = [f'{name} = "{Home(one).configuration.did}"' for name, one in people.items()]
    policy = ['currency = "EUR"', 'ask_above = "4.2"', *(['two_above = "4.2"'] if len(names) > 1 else [])]
    file.write_text("\n".join([*lines[:at], *policy, *lines[at:], "[approvers]", *approvers, ""]))
    return people


def test_an_amendment_waits_for_two_people_while_the_peer_is_killed(tmp_path: Path) -> None:
    """HIRE-APR-09, HIRE-APR-06: with commands alone; `offer show` says what it would change, and who approved is not
    asked again after SIGKILL.
    """
    acme, globex = _homes(tmp_path)
    people = asks_people(acme, tmp_path, "alice", "bob")

    def offer(verb: str, *words: object, by: str = "") -> Ran:
        more = ("--as", people[by]) if by else ()
        return run("offer", verb, *words, *more, "--home", acme.path, "--json")

    with serving(globex.path) as served, _hiring(tmp_path, acme, globex) as hire:
        served.until('"Start"')
        assert hire.on(globex, "amend", "--price", "4.50 EUR", "--extend", 3600).code == 0
        table = hire.until(acme, lambda shown: shown["onTheTable"] is not None)["onTheTable"]
        assert offer("list").values[0]["count"] == 0
        waits = hire.on(acme, "accept", table["document"])
        assert (waits.code, waits.error["code"]) == (7, "approval_required"), waits
        assert "offer list" in waits.error["message"]
        hire.hire.until("Amendment")
        hire.hire.until("waits for two people")
        served.until('"waiting": {"for": "person"')
        (one, _) = offer("list").values
        assert (one["change"], one["kind"], one["ours"]) == (table["document"], "Amendment", False)
        assert (one["price"], one["inForce"], one["state"]) == ("4.5 EUR", "4 EUR", "waits")
        assert one["until"] < table["validUntil"]
        shown = offer("show", one["change"]).values[0]
        assert {each["what"] for each in shown["changes"]} == {"price amount", "deadlines finish", "deadlines until"}
        assert {reason["clause"] for reason in shown["decision"]["reasons"]} >= {"ask_above", "two_above"}
        listed, told = (run("offer", *w, "--home", acme.path).out for w in (["list"], ["show", one["change"]]))
        assert "amendment of summary, for 4.5 EUR instead of 4 EUR, offered to us" in " ".join(listed.split())
        assert "price amount: 4.5 (in force: 4)" in told

        assert offer("approve", one["change"], by="alice").code == 7
        hire.hire.until("a person says: approve")
        assert hire.hire.end(signal.SIGKILL).code == -signal.SIGKILL
        said = offer("approve", one["change"], by="bob")
        assert (said.code, said.values[0]["approved"]) == (0, ["alice", "bob"])
        with serving(acme.path):
            for home in (acme, globex):
                now = hire.until(home, lambda shown: shown["inForce"] == table["document"])
                assert now["terms"]["price"]["amount"] == "4.5"
            late = offer("approve", one["change"], by="bob")
            assert (late.code, late.error["code"]) == (4, "wrong_state"), "it is said what became of it"
            assert "bob said approve" in late.error["message"]

            # What we would offer ourselves.
            assert hire.on(acme, "amend", "--extend", 60).code == 7
            listed = " ".join(run("offer", "list", "--home", acme.path).out.split())
            assert "amendment of summary, for 4.5 EUR, to be offered by us" in listed, "the price stays"
            assert hire.on(acme, "release", "--owed", "5 EUR", "--reason", "A bonus", "--for", 600).code == 7
            (one, _) = offer("list").values
            assert (one["kind"], one["ours"], one["settlement"]["amount"]) == ("Release", True, "5")
            assert hire.shown(globex)["onTheTable"] is None
            told = run("offer", "show", one["change"], "--home", acme.path).out
            assert "Owed all told 5 EUR instead of 4.5 EUR; 'A bonus'" in told
            assert offer("refuse", one["change"], by="alice").code == 0
            hire.until(acme, lambda _: offer("list").values[-1]["count"] == 0)
            late = offer("approve", one["change"], by="bob")
            assert (late.code, late.error["code"]) == (3, "policy_denied")
            again = hire.on(acme, "release", "--owed", "5 EUR", "--reason", "Another word")
            assert (again.code, again.error["code"]) == (3, "policy_denied")
            watched = " ".join(run("watch", "--no-follow", "--home", acme.path).out.split())
            assert "is not offered: a person refused it, for good" in watched
            assert hire.shown(globex)["onTheTable"] is None
            hire.ends()
            hire.until(acme, lambda shown: shown["state"] == "closed")
    engagement = hire.shown(acme)["engagement"]
    pack = run("export", engagement, "--home", acme.path, "--json").values[0]["file"]
    assert run("verify", pack).code == 0


@pytest.mark.parametrize(("met", "code"), [(("whole", "short"), 0), (("whole",), 4)])
def test_whoever_hires_by_command_reviews_by_command(met: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """`hire --criterion` says how, and waits; whoever says it hears that it was done, though the hire ends by it."""
    acme, globex = _homes(tmp_path)
    with serving(globex.path):
        (globex.path / "may-end").touch()
        (tmp_path / "report").write_bytes(REPORT)
        criteria = ("--criterion", "whole=all of it", "--criterion", "short=a line", "--summary", "The report in short")
        order = ("--task", "summary", "--input", f"report={tmp_path / 'report'}", "--settlement", "manual", *criteria)
        provider = did_of(globex.configuration.listen.port)
        hire = Process([*UNDERSIGNED, "hire", provider, *order, "--home", str(acme.path), "--json"], tmp_path)
        told = json.loads(hire.until('"kind": "review"'))
        assert told["criteria"] == ["whole", "short"]
        shown = run("contract", "show", told["contract"], "--home", acme.path).out
        assert "summary: The report in short" in shown
        assert "all of it; a line" in shown
        assert "is waited for; a person may say it with 'contract review':" in shown
        assert ("  whole: all of it\n" in shown, "  short: a line\n" in shown) == (True, True)
        words = [word for id in told["criteria"] for word in ("--met" if id in met else "--not-met", id)]
        said = run("contract", "review", told["contract"], *words, "--home", acme.path, "--json")
        assert (said.code, said.values[0]["ok"]) == (0, True), said
        assert hire.end().code == code


def test_a_rejection_is_put_before_the_arbiter_by_command(tmp_path: Path) -> None:
    """By the provider, whose books wait for that; the hire ends without them, and says so."""
    acme, globex = _homes(tmp_path)
    with serving(globex.path):
        (globex.path / "may-end").touch()
        (tmp_path / "report").write_bytes(REPORT)
        order = ("--task", "summary", "--input", f"report={tmp_path / 'report'}", "--criterion", "whole=all of it")
        words = ("--arbiter", ARBITER.did, "--home", str(acme.path), "--json")
        hire = Process([*UNDERSIGNED, "hire", did_of(globex.configuration.listen.port), *order, *words], tmp_path)
        contract = json.loads(hire.until('"kind": "review"'))["contract"]
        assert run("contract", "review", contract, "--not-met", "whole", "--home", acme.path, "--json").code == 0
        assert "its provider may put that before the arbiter until " in hire.until('"error"')
        assert hire.end().code == 4
        told = run("contract", "show", contract, "--home", globex.path).out
        assert ", then our books are closed. If the arbiter shall decide:\n" in told
        assert f"undersigned contract dispute {contract} --claim TEXT" in told
        put = run("contract", "dispute", contract, "--claim", "It is all of it.", "--home", globex.path, "--json")
        assert (put.code, put.values[0]["state"]) == (0, "disputed"), put
        with serving(acme.path) as again:
            again.until('"Dispute"')
            ruling = ARBITER.rule(contract, put.values[0]["move"], SystemClock().now(), amount="4")
            (tmp_path / "ruling.json").write_text(json.dumps(ruling))
            words = ("--ruling", tmp_path / "ruling.json", "--home", globex.path, "--json")
            assert run("contract", "dispute", contract, *words).code == 0
            again.until('"closed"')
    assert [(one["basis"], one["settlement"]["amount"]) for one in _closings(acme)][1:] == [("ruling", "4")] * 2


def test_where_the_hiring_program_is_gone_a_person_reviews_by_command(tmp_path: Path) -> None:
    """Its function went with it; `serve` on the same folder says so, and carries a person's word."""
    acme, globex = _homes(tmp_path)

    async def whole(_: object) -> dict[str, bool]:
        return {"whole": True}

    async def hires() -> None:
        provider = did_of(globex.configuration.listen.port)
        wanted = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "criteria": {"whole": "all of it"}}
        async with Peer.open(acme.path) as peer:
            async for event in peer.hire(provider, review=whole, **wanted):
                if event.type == "Start":
                    return

    with serving(globex.path) as served:
        asyncio.run(hires())
        contract = asyncio.run(_contract(acme))

        def on(verb: str, *words: object) -> Ran:
            return run("contract", verb, contract, *words, "--home", acme.path, "--json")

        assert on("review", "--met", "whole").code == 7, "nothing runs that could say it"
        (globex.path / "may-end").touch()
        for when in ("delivered", "started anew"):
            with serving(acme.path) as peer:
                asked = json.loads(peer.until('"kind": "review"'))
                assert (asked["contract"], asked["criteria"]) == (contract, ["whole"]), when
        with serving(acme.path) as again:
            told = run("contract", "show", contract, "--home", acme.path).out
            assert "a person may say it with 'contract review':" in told
            assert "whole: all of it" in told
            assert f"undersigned contract review {contract} --home {acme.path} --met whole   (or --not-met)" in told
            assert on("review").error["message"] == "the contract's criteria are whole; left out: whole"
            assert on("review", "--met", "whole", "--not-met", "whole").error["code"] == "bad_configuration"
            said = on("review", "--met", "whole")
            assert (said.code, said.values[0]["act"]) == (0, "review"), said
            served.until('"closed"')
            again.until('"closed"')
            late = on("review", "--met", "whole")
            over = late.error
            assert (late.code, over["code"]) == (4, "wrong_state"), "as if the peer still had it in memory"
            assert over["message"] == f"{contract} is closed: nothing of it is left to be done, see 'contract show'"
    (row,) = asyncio.run(_rows(globex, "Review"))
    assert json.loads(row.raw)["verdict"] == "accepted"
