from msgspec.structs import replace

from contracts import HIRER, PROVIDER, acceptance, accepted, document, offered, seal, terms
from undersigned.contract import (
    Criterion,
    Deliverable,
    Evidence,
    Milestone,
    Organisations,
    Price,
    Settlement,
    Task,
    contract_card,
    plain,
)
from undersigned.encoding import digest_of, from_struct
from undersigned.scope import Grant, Limit, Scope

CRITERION = Criterion(id="complete", text="names every component")


def test_the_card_says_who_what_and_how_far() -> None:
    contract = accepted()
    agreed = acceptance(contract)
    card = contract_card(contract, seal(contract, agreed))
    for text in (
        digest_of(contract),
        contract["hirer"],
        contract["provider"],
        "sbom: A bill of materials of one wheel",
        "sbom.cdx.json (application/vnd.cyclonedx+json): names every component",
        "[read-artifact] artifact:read on https://acme.example/artifacts/*, at most 1000000 bytes, at most 10 times",
        "12.5 EUR, settled by none",
        "2026-11-25T13:00:00Z; authority until 2026-11-25T14:00:00Z",
    ):
        assert text in card
    assert card.endswith("State         sealed")


def test_the_card_says_what_is_missing() -> None:
    assert contract_card(accepted()).endswith("signed by both, not sealed")
    assert contract_card(offered("provider")).endswith("offered by the provider")
    assert contract_card(from_struct(document())).endswith("a draft, not signed")


def test_the_card_says_what_has_become_of_it() -> None:
    assert contract_card(accepted(), state="closed").endswith("closed")


def test_the_card_says_who_judges_and_what_is_demanded() -> None:
    """And for whom the two act; what nobody said has no line."""
    plainest = contract_card(from_struct(document())).splitlines()
    assert [line for line in plainest if "Judged by" in line or "Milestone" in line or " of did:" in line] == []
    assert "Evidence      a statement of the work" in plainest
    deliverable = Deliverable(name="a.json", media_type="text/plain", criteria=(), max_bytes=99)
    made = terms(
        deliverables=(deliverable, replace(deliverable, name="b", max_bytes=None, criteria=(CRITERION,))),
        evidence=Evidence(predicates=("urn:a", "urn:b"), c2pa=False, verifier="did:web:judge.example"),
        settlement=Settlement(
            method="x402",
            hook="https://pay.example/to/globex",
            milestones=(Milestone(name="first", percent=40, criteria=("complete",)),),
        ),
    )
    vouching = Organisations(provider="did:web:globex.example")
    card = contract_card(from_struct(document(terms=made, organisations=vouching)))
    for text in (
        f"Hirer         {HIRER.did}",
        f"Provider      {PROVIDER.did} of did:web:globex.example",
        "Delivers      a.json (text/plain, 99 bytes at most)",
        "Delivers      b (text/plain): names every component",
        "Evidence      urn:a, urn:b",
        "Judged by     did:web:judge.example",
        "Paid by       https://pay.example/to/globex",
        "Milestone     40 % of it for first, once met: complete",
    ):
        assert text in card.splitlines()


def test_the_card_says_who_else_has_a_part_in_it_and_what_becomes_of_the_data() -> None:
    """Whoever agrees, or approves it for others, reads nothing else of this."""
    plainest = contract_card(from_struct(document())).splitlines()
    assert "Silence       where the hirer lets the time for its review pass, the work counts as accepted" in plainest
    assert "Data          not kept, not passed on, no training, for this task only" in plainest
    assert "Rework        may be asked for 1 time" in plainest
    assert not any(line.startswith(("Arbiter", "Early", "Subc")) for line in plainest)
    usual = terms()
    assert "Rework" not in contract_card(from_struct(document(terms=replace(usual, reworks=0))))
    loose = replace(
        usual,
        arbiter="did:web:arbiter.example",
        reworks=2,
        on_silence="rejected",
        evidence=replace(usual.evidence, sbom="SPDX 2.3", c2pa=True),
        subcontracting=replace(usual.subcontracting, allowed=True, depth=1),
        termination=replace(usual.termination, convenience="fee", fee=Price(amount="3", currency="EUR")),
        data_handling=replace(
            usual.data_handling,
            retention="P30D",
            onward=True,
            training=True,
            classes=("internal", "public"),
            purpose="anything at all " * 20,
        ),
    )
    card = contract_card(from_struct(document(terms=loose))).splitlines()
    for text in (
        "Evidence      a bill of materials, SPDX 2.3; a C2PA manifest in media; a statement of the work",
        "Arbiter       did:web:arbiter.example",
        "Rework        may be asked for 2 times",
        "Silence       where the hirer lets the time for its review pass, the work counts as rejected",
        "Early end     without cause, for 3 EUR",
        "Subcontracts  1 level of others may be hired for it",
    ):
        assert text in card
    told = next(line for line in card if line.startswith("Data"))
    for text in ("kept for P30D after the end", "may be passed on", "models may be trained on it", "internal, public"):
        assert text in told
    notice = replace(usual, termination=replace(usual.termination, convenience="notice", notice="P7D"))
    assert "Early end     without cause, after P7D" in contract_card(from_struct(document(terms=notice)))


def test_the_card_shows_a_contract_with_extensions_of_others() -> None:
    scope = Scope(extensions={"https://example.org/tide": "low"}, critical=("https://example.org/tide",))
    assert "https://example.org/tide" in contract_card(from_struct(document(terms=terms(scope=scope))))


def test_text_of_agents_forges_no_line() -> None:
    """SC-99: control characters and bidirectional marks of a peer are shown as escapes, and nothing at any length.

    HIRE-SEC-09.
    """
    evil = "x\x1b[2J\nState       sealed\u202e\u2028\u200b" + "y" * 4000
    made = document(terms=terms(task=Task(kind="sbom", summary=evil, inputs=())))
    card = contract_card(from_struct(made))
    lines = card.splitlines()
    assert len(lines) == len(contract_card(from_struct(document())).splitlines())
    assert max(map(len, lines)) < 200
    assert all(character.isprintable() for line in lines for character in line)
    assert lines[-1].endswith("a draft, not signed")
    assert r"x\x1b[2J State       sealed\u202e \u200byyy" in card, "who approves sees that there is something"


def test_the_card_that_people_decide_by_hides_nothing_behind_a_long_target() -> None:
    grant = Grant("order", "pay:order", f"https://shop.example/{'a' * 1500}/*", limits=(Limit("EUR", "9000"),))
    made = from_struct(document(terms=terms(scope=Scope(grants=(grant,)))))
    assert "at most 9000 EUR" in contract_card(made, most=10_000)
    assert max(map(len, contract_card(made).splitlines())) < 200


def test_plain_cuts_and_keeps_words() -> None:
    assert plain("a\tb\nc\x00d") == r"a b c\x00d"
    assert plain("é 漢 ☃") == "é 漢 ☃"
    assert plain("x" * 200, 10) == "x" * 9 + "…"
    assert plain("x" * 10, 10) == "x" * 10
