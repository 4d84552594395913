"""People who approve, beside running peers: two companies over real sockets, the command, and `kill -9`."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import pytest

from integration.commands import UNDERSIGNED, Process, serving, undersigned
from integration.hires import REPORT, assert_one_contract_or_none, did_of, two_homes
from undersigned.contract import read_document
from undersigned.encoding import JsonObject, decode_json, shift
from undersigned.ledger import open_ledger
from undersigned.runtime import Home, SystemClock, sign_approval
from undersigned.testing import HandClock
from undersigned.trust import Approvers, terms_digest, verify_approval
from unit.cli.running import Ran, run

TWO = 'currency = "EUR"\nask_above = "3"\ntwo_above = "3.5"\n'


class Companies(NamedTuple):
    """Acme hires, Globex is hired; alice and bob have folders of their own."""

    folder: Path
    acme: Home
    globex: Home
    people: dict[str, Path]

    @property
    def approvers(self) -> dict[str, str]:
        """The `[approvers]` table."""
        return {name: Home(folder).configuration.did for name, folder in self.people.items()}

    def asks(self, home: Home) -> None:
        """From now on this company's terms need both."""
        file = home.path / "undersigned.toml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("currency")]
        at = lines.index("[policy]") + 1
        table = "".join(f'{name} = "{did}"\n' for name, did in self.approvers.items())
        file.write_text("\n".join([*lines[:at], TWO, *lines[at:], "[approvers]", table]))

    def hire(self, *more: str) -> Process:
        """Acme's hire, in a process of its own."""
        report = self.folder / "report.txt"
        report.write_bytes(REPORT)
        provider = did_of(self.globex.configuration.listen.port)
        options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR", "--json")
        return Process([*UNDERSIGNED, "hire", provider, "--home", str(self.acme.path), *options, *more], self.folder)

    def offer(self, home: Home, *arguments: object) -> Ran:
        return run("offer", *arguments, "--home", home.path, "--json")

    def says(self, home: Home, verdict: str, terms: str, person: str | Home) -> Ran:
        folder = person.path if isinstance(person, Home) else self.people[person]
        return self.offer(home, verdict, terms, "--as", folder, "--note", "as budgeted")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two people, each with a key of its own."""
    folders = {name: tmp_path_factory.mktemp("people") / name for name in ("alice", "bob")}
    assert [run("init", folder).code for folder in folders.values()] == [0, 0]
    return folders


@pytest.fixture
def companies(tmp_path: Path, people: dict[str, Path]) -> Companies:
    return Companies(tmp_path, *asyncio.run(two_homes(tmp_path)), people)


async def booked(home: Home, terms: str) -> bool:
    """Whether the ledger holds a refusal of these terms."""
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        return bool(await ledger.usage(f"refused:{terms}"))
    finally:
        await ledger.close()


def test_two_people_approve_a_hire_that_was_killed_meanwhile(
    companies: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SC-112, HIRE-APR-01, HIRE-APR-06: beside `hire`, and after SIGKILL while nothing runs; `serve` goes on."""
    acme = companies.acme
    companies.asks(acme)
    with serving(companies.globex.path) as globex:
        hire = companies.hire()
        hire.until('"approval-asked"')
        assert "Receipt" in globex.until('"waiting": {"for": "person"')
        (one, count) = companies.offer(acme, "list").values
        assert (one["state"], one["needed"], one["approved"], one["price"]) == ("waits", 2, [], "4 EUR")
        assert count["count"] == 1
        shown = companies.offer(acme, "show", one["terms"]).values[0]
        assert all(part in shown["card"] for part in (one["terms"], "May", "artifact:read", "4 EUR", "0 of 2"))
        assert {"ask_above", "two_above"} <= {reason["clause"] for reason in shown["decision"]["reasons"]}

        for _ in range(2):
            ran = companies.says(acme, "approve", one["terms"], "alice")
            assert (ran.code, ran.values[0]["approved"]) == (7, ["alice"]), "twice is once"
        hire.until("a person says: approve")
        ended = hire.end(signal.SIGKILL)
        assert ended.code == -signal.SIGKILL
        assert companies.says(acme, "approve", one["terms"], companies.globex).error["code"] == "key_not_authorized"
        # What would be said after its time, or after a no: on a copy, which nobody runs.
        copy = Home(shutil.copytree(acme.path, companies.folder / "copy"))
        with monkeypatch.context() as patched:
            patched.setattr("undersigned.cli.offer.SystemClock", lambda: HandClock(shift(one["until"], 1)))
            late = companies.says(copy, "approve", one["terms"], "bob")
        assert (late.code, f"waited until {one['until']}" in late.error["message"]) == (3, True)
        assert companies.says(copy, "refuse", one["terms"], "bob").code == 0
        late = companies.says(copy, "refuse", one["terms"], "alice")
        assert (late.code, late.error["message"]) == (3, f"{one['terms']} is refused by bob, for good")
        listed = run("offer", "list", "--home", copy.path).out
        assert "0 sets of terms wait for people; 1 decided, with which a peer that runs goes on" in listed
        ran = companies.says(acme, "approve", one["terms"], "bob")
        assert (ran.code, ran.values[0]["state"], ran.values[0]["approved"]) == (0, "approved", ["alice", "bob"])
        with serving(acme.path) as again:
            again.until('"closed"')
            globex.until('"over"')
    assert companies.offer(acme, "list").values == [{"count": 0, "local": True}]
    for name, said in ((one["terms"], "alice said approve at "), (one["engagement"], "")):
        late = companies.says(acme, "approve", name, "alice")
        assert (late.code, late.error["code"]) == (4, "wrong_state")
        assert late.error["message"].startswith(f"{name} waits for people no more: {said}")
        assert late.error["message"].endswith(f"{one['engagement']} is in state closed")
    (contract,) = asyncio.run(assert_one_contract_or_none(companies.acme, companies.globex))
    assert contract is not None

    # Anybody who has the names and their keys checks it later, with the evidence alone.
    pack = Path(run("export", one["engagement"], "--home", acme.path, "--json").values[0]["file"])
    assert run("verify", pack).code == 0
    with ZipFile(pack) as members:
        names = [name for name in members.namelist() if name.startswith("approvals/")]
        said = [decode_json(members.read(name)) for name in names]
        offer = json.loads(next(members.read(name) for name in members.namelist() if name.endswith("-Offer.json")))
    known, now = Approvers.from_toml(companies.approvers), SystemClock().now()
    verified = [verify_approval(document, known, now=now) for document in said]  # type: ignore[arg-type]
    assert {one.by for one in verified} == {"alice", "bob"}
    assert {one.about.terms for one in verified} == {one["terms"]}
    assert terms_digest(read_document(offer["document"]).terms) == one["terms"]


def test_a_refusal_beside_a_serving_provider_ends_the_hire(
    companies: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-APR-04: the hirer sees that a person is waited for, and then the no; nobody approves after it, nor is told
    so who does at the same time.
    """
    globex = companies.globex
    companies.asks(globex)
    with serving(globex.path) as served:
        held_to = [f"--criterion=c{number}={'b' * 500}" for number in range(10)]
        far = f"report:send=https://acme.example/{'a' * 1500};count<=7"
        hire = companies.hire("--allow", far, *held_to, "--criterion=last=and a case of wine")
        hire.until('"waiting": {"for": "person"')
        one = companies.offer(globex, "list").values[0]
        listed, shown = (run("offer", *what, "--home", globex.path).out for what in (["list"], ["show", one["terms"]]))
        assert "summary for 4 EUR" in listed
        assert "aaa, at most 7 times" in shown, "all of what is put to people"
        assert "bbb; and a case of wine" in shown, "however long a line"
        assert "hires us; 0 of 2 approvals; until" in listed
        unsealed, ordered = (
            run("contract", word, one["engagement"], "--home", globex.path, "--json").error
            for word in ("show", "suspend")
        )
        assert (unsealed["code"], unsealed["message"]) == ("not_found", f"{one['engagement']} has no contract")
        assert (ordered["code"], "in whole" in ordered["message"]) == ("bad_configuration", False)
        assert "approval_required [two_above] 4 EUR; would pass: at most 3.5, or two people's approval" in shown
        said = run("offer", "approve", one["terms"], "--as", companies.people["alice"], "--home", globex.path)
        assert (said.code, said.out) == (7, "local | 1 of 2 approvals by alice\n"), "nobody goes on with it yet"
        served.until("a person says: approve")
        bob = ("refuse", one["terms"], "--as", companies.people["bob"], "--home", globex.path)

        async def slowly(*given: Any) -> JsonObject:
            await asyncio.to_thread(undersigned, "offer", *bob, folder=companies.folder)
            return await sign_approval(*given)

        with monkeypatch.context() as patched:
            patched.setattr("undersigned.cli.offer.sign_approval", slowly)
            both = companies.says(globex, "approve", one["terms"], "alice")
        assert (both.code, both.error["code"]) == (3, "policy_denied"), both
        ended = hire.end()
        assert (ended.code, ended.error["code"]) == (3, "policy_denied")
        served.until('"over"')
        late = companies.says(globex, "approve", one["terms"], "alice")
        assert (late.code, late.error["code"]) == (3, "policy_denied")
        assert late.error["message"] == f"{one['terms']} was refused by a person, and that is for good"
    assert asyncio.run(assert_one_contract_or_none(companies.acme, globex)) == {None}
    assert asyncio.run(booked(globex, one["terms"])), "in the ledger, whatever becomes of the files"


def test_who_hires_is_told_that_its_own_people_refused(companies: Companies) -> None:
    """`policy_denied` alone could be any clause of the policy of either side."""
    companies.asks(companies.acme)
    with serving(companies.globex.path):
        hire = companies.hire()
        hire.until('"approval-asked"')
        (one, _) = companies.offer(companies.acme, "list").values
        assert companies.says(companies.acme, "refuse", one["terms"], "alice").code == 0
        ended = hire.end()
    assert (ended.code, ended.error["code"]) == (3, "policy_denied")
    why = f"the terms {one['terms']} were refused by a person, for good"
    assert ended.error["message"] == f"we withdrew: policy_denied; {why}"


def test_who_is_asked_may_withdraw_too_and_the_hirer_hears_what_that_means(companies: Companies) -> None:
    companies.asks(companies.globex)
    with serving(companies.globex.path) as globex:
        hire = companies.hire()
        globex.until('"approval-asked"')
        (one, _) = companies.offer(companies.globex, "list").values
        assert companies.offer(companies.globex, "withdraw", one["engagement"]).code == 0
        ended = hire.end()
    assert (ended.code, ended.error["code"]) == (3, "policy_denied")
    assert ended.error["message"] == "the provider withdrew: changed; whoever runs it has other plans now"


def test_who_withdraws_while_the_other_side_is_off_is_told_that_it_has_not_heard_it(companies: Companies) -> None:
    """`ledger list` said so, and the hire that waited in another terminal did not."""
    companies.asks(companies.globex)
    with serving(companies.globex.path) as globex:
        hire = companies.hire()
        globex.until('"approval-asked"')
        (one, _) = companies.offer(companies.globex, "list").values
        globex.end(signal.SIGINT)
        assert companies.offer(companies.acme, "withdraw", one["engagement"]).code == 0
        ended = hire.end()
    assert (ended.code, ended.error["code"]) == (3, "policy_denied")
    unheard = "the other side has not confirmed that it knows: what runs on this folder tells it again"
    assert ended.error["message"] == f"we withdrew: changed; {unheard}"


def test_who_does_not_want_to_wait_for_the_people_of_the_other_side_withdraws(companies: Companies) -> None:
    """No command ended such a negotiation: the one that hires said alone that it is not over."""
    acme = companies.acme
    companies.asks(companies.globex)
    with serving(companies.globex.path) as globex:
        hire = companies.hire()
        globex.until('"approval-asked"')
        (one, _) = companies.offer(companies.globex, "list").values
        engagement = one["engagement"]
        told = run("contract", "cancel", engagement, "--home", acme.path, "--json").error
        assert told["message"].endswith(f"; there is no contract, and 'offer withdraw {engagement}' ends a negotiation")
        part = companies.offer(acme, "withdraw", engagement[-12:].lstrip("-"))
        assert (part.code, part.error["message"].endswith(f"in whole: {engagement}")) == (2, True)
        assert hire.end(signal.SIGINT).code == 130
        nobody = companies.offer(acme, "withdraw", engagement)
        assert (nobody.code, nobody.values[0]["taken"]) == (7, False), "it goes on once a peer runs"
        assert nobody.values[0]["engagement"] == engagement
        assert "contract" not in nobody.values[0], "there is none"
        globex.end(signal.SIGINT)
        with serving(acme.path):
            (done,) = companies.offer(acme, "withdraw", engagement).values
            assert (done["act"], done["state"]) == ("withdraw", "withdrawn")
            again = companies.offer(acme, "withdraw", engagement)
            assert (again.code, again.error["code"]) == (4, "wrong_state")
            assert again.error["message"] == "it is withdrawn already: nothing of it is left to be done"
            with serving(companies.globex.path) as globex:
                globex.until('"changed"')
    late = companies.offer(acme, "withdraw", engagement)
    told = f"{engagement} is withdrawn: nothing of it is left to be done, see 'watch --no-follow'"
    assert (late.code, late.error["message"]) == (4, told), "'contract show' knows of none"
    assert companies.offer(companies.globex, "list").values == [{"count": 0, "local": True}]
    assert asyncio.run(assert_one_contract_or_none(acme, companies.globex)) == {None}
