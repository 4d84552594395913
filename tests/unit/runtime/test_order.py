"""What a hirer decided before it asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from runtimes import REPORT, World, last
from support import refuses
from undersigned.contract import ARTIFACT_READ, Criterion, Deliverable
from undersigned.contract.subcontract import MAX_DEPTH
from undersigned.errors import ConfigurationError, LocalProtocolError
from undersigned.messages import Inquiry, Withdraw
from undersigned.proof import CRYPTOSUITES
from undersigned.runtime import Order, hire_order, parse_price
from undersigned.runtime.agent import ordering
from undersigned.scope import Grant, Limit, Prohibition, Scope, read_scope
from undersigned.testing import NOON


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4 EUR", "4"),
        ("4.00 EUR", "4"),
        ("4.50 EUR", "4.5"),
        (" 0 EUR ", "0"),
        ("0.000000001 EUR", "0.000000001"),
        ("999999999999999999 EUR", "999999999999999999"),
    ],
)
def test_a_price_is_an_amount_and_a_currency(text: str, amount: str) -> None:
    price = parse_price(text)
    assert (price.amount, price.currency) == (amount, "EUR")


@pytest.mark.parametrize(
    "text",
    [
        *("", "4", "EUR", "4EUR", "4  EUR", "-4 EUR", "4,50 EUR", "4.5.0 EUR", "4.0.0 EUR", "4. EUR", ".5 EUR"),
        *("04 EUR", "1e3 EUR", "4 eur", "4 EURO", "4 €", "NaN EUR", "∞ EUR", "4 EU", "٤ EUR", "4.٠ EUR"),
        *("0.0000000001 EUR", "9999999999999999999 EUR", ". EUR", "4\nEUR"),
    ],
)
def test_everything_else_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_price(text)
    assert refused.value.code == "bad_configuration"
    assert "4.50 EUR" in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"task": ""},
        {"task": "x" * 129},
        {"task": "two\nlines"},
        {"task": None},
        {"price": 5},
        {"price": None},
        {"opening": 3},
        {"inputs": {"": b"x"}},
        {"inputs": {"report": 5}},
        {"inputs": {5: b"x"}},
    ],
    ids=str,
)
def test_an_argument_that_is_not_usable_is_an_error_of_usage(options: dict[str, Any], open_world: Any) -> None:
    """Exit code 2, whoever calls; and never an error that is not of our tree."""
    world = open_world()
    with pytest.raises(ConfigurationError) as refused:
        world.order(**options)
    assert (refused.value.code, refused.value.exit_code) == ("bad_configuration", 2)


@pytest.mark.parametrize("name", ["reworks", "subcontracting"])
@pytest.mark.parametrize("more", [-1, 17])
def test_what_may_be_done_more_often_has_its_limits(name: str, more: int, open_world: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected 0 to [0-9]+.*, got {more}$"):
        open_world().order(**{name: more})


@pytest.mark.parametrize("name", ["reworks", "subcontracting"])
def test_what_may_be_done_most_often_may_be_ordered(name: str, open_world: Any) -> None:
    open_world().order(**{name: 16 if name == "reworks" else MAX_DEPTH})


@pytest.mark.parametrize("name", ["verifier", "arbiter"])
@pytest.mark.parametrize(
    ("third", "said"),
    [
        ("judge.example", "expected a DID"),
        (5, "expected a DID"),
        ("did:web:10.0.0.1", "10.0.0.1"),
        ("did:key:zBroken", "expected an Ed25519, P-256 or P-384 key"),
    ],
)
def test_a_third_whose_signature_nobody_could_check_is_not_ordered(
    name: str, third: Any, said: str, open_world: Any
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: .*{said}") as refused:
        open_world().order(**{name: third})
    assert refused.value.code == "bad_configuration"


@pytest.mark.parametrize("name", ["verifier", "arbiter"])
def test_a_third_is_no_party_and_may_be_of_a_resolver(name: str, open_world: Any) -> None:
    world: World = open_world()
    for party in (world.hirer.did, world.provider.did):
        with pytest.raises(ConfigurationError, match=f"the {name} is neither the hirer nor the provider"):
            world.order(**{name: party})
    world.order(**{name: "did:example:judge"})


def test_an_inquiry_offers_every_suite_of_our_key_and_no_other(open_world: Any) -> None:
    """HIRE-PRF-02: the provider may choose any of them."""
    world = open_world(held=True)
    said = last(world.hirer, world.begin().id, Inquiry)
    assert set(said.suites) == {name for name, one in CRYPTOSUITES.items() if "Ed25519" in one.kinds}


UNUSABLE: dict[str, dict[str, Any]] = {
    "criterion": {"criteria": {"Bad Id": "x"}},
    "text": {"criteria": {"short": "x" * 5000}},
    "number": {"criteria": {"short": 5}},
    "summary": {"summary": "x" * 5000},
    "deliverable": {"deliverable": "x" * 129},
    "deliverable's criterion": {"deliverable": "x.txt", "criteria": {"-": "x"}},
    "times": {"finish_seconds": -7200},
    "time without end": {"finish_seconds": 10**12},
    "inputs": {"inputs": {f"report-{number}": b"x" for number in range(65)}},
    "size": {"criteria": {f"c{number}": "x" * 4000 for number in range(32)}},
}


@pytest.mark.parametrize("most", [0, 2**53, 99999999999999999])
def test_a_limit_is_told_with_what_can_be_named(most: int, open_world: Any) -> None:
    world: World = open_world()
    with pytest.raises(ConfigurationError, match=f"max_bytes: expected 1 to 9007199254740991, got {most}$"):
        world.begin(max_bytes=most)


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_order_of_which_no_contract_can_be_made_is_refused_before_anything_begins(
    name: str, open_world: Any
) -> None:
    """HIRE-CTR-01: the terms are drafted and checked as they would be sent."""
    world: World = open_world()
    with pytest.raises(ConfigurationError) as refused:
        world.begin(**UNUSABLE[name])
    assert (refused.value.code, refused.value.exit_code) == ("bad_configuration", 2)
    assert world.hirer.conversations == {}
    assert world.hirer.kept.engagements() == ()
    assert world.network.sent == []


@pytest.mark.parametrize("restart", [False, True])
def test_an_order_that_cannot_be_offered_ends_in_a_withdrawal(
    restart: bool, open_world: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is in the journal already, such as of a release that checked less, is not tried for ever."""
    monkeypatch.setattr(Order, "check", lambda _order, _now: None)
    monkeypatch.setattr(ordering, "_check_criterion", lambda _key, _text: None)
    world: World = open_world(held=True)
    conversation = world.begin(criteria={"Bad Id": "x"})
    world.until("presented", conversation.id, world.hirer)
    if restart:
        world.restart(world.hirer)
        world.reconnect()
    world.until("withdrawn", conversation.id)
    assert last(world.provider, conversation.id, Withdraw).reason == "decision_failed"
    assert "a turn failed" not in capsys.readouterr().out


@pytest.mark.parametrize("provider", ["", "globex", "did:web:x#key", None, 5])
def test_a_provider_is_a_did(provider: Any, open_world: Any) -> None:
    world = open_world()
    wanted = hire_order(world.hirer, provider, task="summary", inputs={}, price="5 EUR", criteria={})
    with pytest.raises(ConfigurationError) as refused:
        world.run(wanted)
    assert refused.value.exit_code == 2


def test_an_order_survives_its_journal(open_world: Any) -> None:
    """A restart goes on from what was stored, so nothing may be lost on the way."""
    scope = Scope(
        grants=(Grant("mail", "mail:send", "https://mail.example/*", limits=(Limit("count", "3", per="PT1M"),)),),
        prohibitions=(Prohibition("not-there", "mail:send", "https://mail.example/boss"),),
    )
    order: Order = open_world().order(
        scope=scope, criteria={"short": "one line"}, deliverable="x.txt", at="memory://globex", finish_seconds=60
    )
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order


def test_an_input_may_be_read_and_nothing_else(open_world: Any) -> None:
    """HIRE-SCO-01: deny by default; what the order does not list is not in the scope."""
    world: World = open_world()
    order = world.order()
    (given,) = order.inputs
    scope = read_scope(order.scope)
    (grant,) = scope.grants
    assert (grant.action, grant.target) == (ARTIFACT_READ, given.uri)
    assert grant.limits == (Limit("count", "4"),)
    assert world.run(world.hirer.artifacts.get(given.digest)) == REPORT


def test_files_are_read_and_kept(open_world: Any, tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_bytes(REPORT)
    world: World = open_world()
    by_path = world.order(inputs={"report": tmp_path / "report.txt"})
    assert by_path.inputs == world.order(inputs={"report": REPORT}).inputs
    assert world.order(inputs={"report": str(tmp_path / "report.txt")}).inputs == by_path.inputs


@pytest.mark.parametrize("name", ["missing.txt", ".", "/dev/zero"])
def test_what_is_no_file_is_refused(name: str, open_world: Any, tmp_path: Path) -> None:
    world: World = open_world()
    with refuses(ConfigurationError, "bad_configuration"):
        world.order(inputs={"report": tmp_path / name})


@pytest.mark.parametrize("prices", [{"opening": "3 USD"}, {"price": "free"}, {"opening": "-1 EUR"}])
def test_prices_that_do_not_fit_are_refused(prices: dict[str, str], open_world: Any) -> None:
    with pytest.raises(ConfigurationError):
        open_world().order(**prices)


def test_no_hire_opens_above_the_most_that_is_paid(open_world: Any) -> None:
    """It was offered, accepted and owed: the ceiling was held against counter-offers alone."""
    with pytest.raises(ConfigurationError, match="6 EUR is more than the price, 5 EUR"):
        open_world().order(opening="6 EUR", price="5 EUR")
    assert open_world().order(opening="5.00 EUR", price="5 EUR").opening == open_world().order(price="5 EUR").ceiling


def test_terms_say_what_the_order_says(open_world: Any) -> None:
    order: Order = open_world().order(deliverable="x.txt", criteria={"short": "one line"}, finish_seconds=60)
    terms = order.terms(NOON)
    assert terms.price == order.ceiling
    assert terms.deliverables[0].name == "x.txt"
    assert terms.deliverables[0].criteria == (Criterion(id="short", text="one line"),)
    assert terms.deadlines.finish == "2026-03-02T12:01:00Z"
    assert terms.deadlines.until > terms.deadlines.finish
    assert terms.task.inputs == tuple(item.digest for item in order.inputs)


def test_criteria_are_the_hirers(open_world: Any) -> None:
    """What a provider says that it delivers, it does not say by what it is judged."""
    order: Order = open_world().order(criteria={"short": "one line"})
    said = (
        Deliverable(name="a", media_type="text/plain", criteria=(Criterion(id="mine", text="always met"),)),
        Deliverable(name="b", media_type="text/plain", criteria=()),
    )
    terms = order.terms(NOON, delivers=said)
    assert [item.name for item in terms.deliverables] == ["a", "b"]
    assert [item.criteria for item in terms.deliverables] == [(Criterion(id="short", text="one line"),), ()]


def test_where_no_round_is_left_for_its_price_a_provider_says_so(open_world: Any) -> None:
    """It tried to name it all the same, and withdrew as if nothing could have been decided."""
    world: World = open_world()
    ours = world.begin(replace(world.order(opening="2 EUR"), rounds=1))
    assert ours.engagement.state == "withdrawn"
    assert ours.last("Withdraw", Withdraw, "provider").reason == "round_limit"


def test_an_input_is_no_larger_than_our_settings_say(open_world: Any, tmp_path: Path) -> None:
    """In memory as in a file."""
    world: World = open_world()
    world.hirer.max_artifact_bytes = 3
    file = tmp_path / "report"
    file.write_bytes(b"four")
    for given in (b"four", file):
        with pytest.raises(ConfigurationError, match=r"input report: expected at most 3 bytes.*the settings says so"):
            world.order(inputs={"report": given})
    assert world.order(inputs={"report": b"six"}).inputs


def test_a_known_task_has_its_criteria(open_world: Any) -> None:
    world: World = open_world()
    order = world.order(task="sbom", criteria={})
    (item,) = order.deliverables
    assert item.name == "sbom.cdx.json"
    assert {criterion.id for criterion in item.criteria} == {"schema-valid", "describes-artifact", "lists-every-file"}
    assert order.sbom == "CycloneDX 1.6"


def test_text_that_nobody_can_write_is_refused(open_world: Any) -> None:
    """A lone surrogate is what a shell makes of bytes that are no UTF-8."""
    world: World = open_world()
    with pytest.raises(ConfigurationError, match="without lone surrogates") as refused:
        world.begin(world.order(summary="the caf\udce9"))
    assert refused.value.code == "bad_configuration"
    assert not world.hirer.conversations


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"summary": "two\nlines"}, "/task/summary"),
        ({"criteria": {"whole": "two\nlines"}, "verifier": "did:web:judge.example"}, "/deliverables/0/criteria/0/text"),
        ({"deliverable": "\x1b[31m"}, "/deliverables/0/name"),
    ],
    ids=["summary", "criterion", "deliverable"],
)
def test_text_that_no_message_holds_is_refused(said: dict[str, Any], where: str, open_world: Any) -> None:
    """The provider was asked first, and told then that nothing comes of it."""
    world: World = open_world()
    with pytest.raises(ConfigurationError, match=f"the order at {where}: expected text without U"):
        world.begin(world.order(**said))
    assert not world.hirer.conversations


def test_hiring_oneself_is_refused(open_world: Any) -> None:
    """HIRE-NEG-05's spirit before a first message: both parties would be one. No peer broke the protocol: who named
    the provider is told, as by the command.
    """
    world: World = open_world()
    with refuses(ConfigurationError, "bad_configuration"):
        world.run(hire_order(world.hirer, world.hirer.did, task="x", inputs={}, price="1 EUR", criteria={}))
    order = replace(world.order(), provider=world.hirer.did)
    with refuses(LocalProtocolError, "self_dealing"):
        world.begin(order)
    assert not world.hirer.conversations


def test_a_summary_is_text(open_world: Any) -> None:
    """Bytes went out as base64."""
    with pytest.raises(ConfigurationError, match=r"summary: expected text, got b'x'"):
        open_world().order(summary=b"x")
