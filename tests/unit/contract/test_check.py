from typing import Any

import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT, HIRER, PROVIDER, STRANGER, TRANSCRIPT, accepted, document, offered, terms
from support import put, refuses
from undersigned.contract import (
    DocumentName,
    Methods,
    Place,
    Price,
    Terms,
    Transcript,
    canonical_document,
    check_document,
    check_parts,
    check_terms,
    contract_digest,
    read_document,
    read_parents,
)
from undersigned.encoding import canonicalize, digest_bytes, from_struct, to_struct
from undersigned.errors import ContractError, FormatError, UndersignedError


def check(made: Any, **changes: Any) -> None:
    expected: dict[str, Any] = {
        "engagement": ENGAGEMENT,
        "hirer": HIRER.did,
        "provider": PROVIDER.did,
        "role": "hirer",
        "sequence": 3,
        "transcript": TRANSCRIPT,
    }
    check_document(made, **(expected | changes))


def test_the_document_of_its_offer_is_taken() -> None:
    check(document())
    check_parts(document())
    assert read_document(from_struct(document())) == document()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"engagement": f"urn:hire:engagement:{digest_bytes(b'other')}"}, "wrong_negotiation"),
        ({"hirer": STRANGER.did}, "wrong_negotiation"),
        ({"provider": STRANGER.did}, "wrong_negotiation"),
        ({"hirer": PROVIDER.did, "provider": HIRER.did}, "wrong_negotiation"),
        ({"role": "provider"}, "terms_mismatch"),
        ({"sequence": 5}, "terms_mismatch"),
        (
            {"transcript": Transcript(hirer=TRANSCRIPT.hirer, provider=Place(sequence=3, digest=digest_bytes(b"x")))},
            "terms_mismatch",
        ),
        (
            {"transcript": Transcript(hirer=TRANSCRIPT.provider, provider=TRANSCRIPT.hirer)},
            "terms_mismatch",
        ),
    ],
)
def test_the_document_of_another_place_is_refused(changes: dict[str, Any], code: str) -> None:
    """HIRE-CTR-02, HIRE-CTR-03."""
    with refuses(ContractError, code):
        check(document(), **changes)


def test_of_another_transcript_both_are_told() -> None:
    """HIRE-ERR-04."""
    other = Transcript(hirer=TRANSCRIPT.hirer, provider=Place(sequence=3, digest=digest_bytes(b"x")))
    with pytest.raises(ContractError) as caught:
        check(document(), transcript=other)
    assert str(other) in caught.value.message
    assert str(TRANSCRIPT) in caught.value.message


def change(path: list[Any], value: Any) -> dict[str, Any]:
    made = from_struct(document())
    put(made, path, value)
    return made


def fee(amount: str, currency: str = "EUR") -> dict[str, Any]:
    return {"convenience": "fee", "fee": {"amount": amount, "currency": currency}, "cure": "PT1H"}


def deliverables(count: int, criteria: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"part-{n}",
            "mediaType": "text/plain",
            "criteria": [{"id": f"met-{n}-{m}", "text": "It is."} for m in range(criteria)],
        }
        for n in range(count)
    ]


def grants(count: int, limits: int, **of: str) -> list[dict[str, Any]]:
    """Grants with limits of one unit each, in the form that compiling gives."""
    made: list[dict[str, Any]] = []
    for n in range(count):
        name = f"{document().id}#read-{n:02}"
        made.append(
            {
                "id": name,
                "action": "artifact:read",
                "target": "https://acme.example/*",
                "constraint": [
                    {
                        "id": f"{name}.limit.unit-{m}" + (f".{of['per']}" if of else ""),
                        "leftOperand": "amount",
                        "operator": "lteq",
                        "rightOperand": ["1"],
                        "unit": f"unit-{m}",
                        **of,
                    }
                    for m in range(limits)
                ],
            }
        )
    return made


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["terms", "deliverables"], deliverables(2, 32)),
        (["terms", "scope", "grants"], grants(32, 2)),
        (["terms", "scope", "grants"], grants(33, 2, per="PT1M")),
        (["terms", "deliverables"], deliverables(64, 1)),
    ],
    ids=["criteria", "limits", "limits with a period, of which no usage is stated", "deliverables"],
)
def test_as_much_is_agreed_as_one_message_can_answer(path: list[Any], value: Any) -> None:
    """HIRE-CTR-12."""
    assert read_document(change(path, value)).id == document().id


def test_a_bill_of_materials_is_delivered_beside_the_rest() -> None:
    """HIRE-CTR-12: it takes the place of one deliverable in the message that holds them."""
    for count, fits in ((63, True), (64, False)):
        made = change(["terms", "deliverables"], deliverables(count, 1))
        made["terms"]["evidence"]["sbom"] = "CycloneDX 1.6"
        if fits:
            assert len(read_document(made).terms.deliverables) == count  # type: ignore[union-attr]
            continue
        with pytest.raises(FormatError) as caught:
            read_document(made)
        assert (caught.value.code, caught.value.path) == ("schema_violation", "/terms/deliverables")


DIGESTS = sorted(digest_bytes(bytes([n])) for n in range(3))
METHODS = sorted((HIRER.method, f"{HIRER.did}#another"))
DEADLINES = ["terms", "deadlines"]
NULL = "/scope/extensions/https:~1~1example.org~1x"
MILESTONES, AT = ["terms", "settlement", "milestones"], "/terms/settlement/milestones"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["terms", "price", "amount"], "0"),
        (["terms", "termination"], fee("0")),
        (["terms", "termination"], fee("12.5")),
        (["terms", "termination"], {"convenience": "notice", "notice": "PT0S", "cure": "PT1H"}),
        ([*DEADLINES, "notBefore"], "2026-11-25T12:10:00Z"),
        ([*DEADLINES, "finish"], "2026-11-25T12:10:00Z"),
        ([*DEADLINES, "until"], "2026-11-25T13:00:00Z"),
        ([*DEADLINES, "heartbeat"], "PT1S"),
        (MILESTONES, [{"name": n, "percent": 50, "criteria": ["complete"]} for n in "ab"]),
        (["terms", "policies"], DIGESTS),
        (["terms", "arbiter"], STRANGER.did),
        (["terms", "scope", "extensions"], {"https://example.org/tide": {"low": 1.5}}),
    ],
)
def test_what_just_fits_is_taken(path: list[Any], value: Any) -> None:
    """HIRE-CTR-06: nothing is owed, one instant follows on itself, the parts come to the whole."""
    check_parts(read_document(change(path, value)))


def test_an_extension_that_must_be_understood_can_be_agreed() -> None:
    """HIRE-CTR-06: whoever enforces it decides by it; a document that names it is well-formed."""
    made = from_struct(document())
    made["terms"]["scope"] |= {
        "extensions": {"https://example.org/tide": "low"},
        "critical": ["https://example.org/tide"],
    }
    assert read_document(made).terms.scope.critical == ("https://example.org/tide",)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "value", "code", "at"),
    [
        (["@context"], "https://w3id.org/hire/v2", "context_not_allowed", "/@context"),
        (["liability"], "none", "unknown_term", "/liability"),
        (["terms", "maxSpend"], "1", "unknown_term", "/terms/maxSpend"),
        (["terms", "scope", "grants", 0, "limits"], [], "unknown_term", "/terms/scope/grants/0/limits"),
        (["terms", "arbiter"], "", "schema_violation", "/terms/arbiter"),
        (["terms", "price"], None, "schema_violation", "/terms"),
        (["terms", "price", "amount"], 12, "schema_violation", "/terms/price/amount"),
        (["terms", "price", "amount"], "12.50", "schema_violation", "/terms/price/amount"),
        (["terms", "price", "amount"], "-1", "schema_violation", "/terms/price/amount"),
        (["terms", "price", "currency"], "eur", "schema_violation", "/terms/price/currency"),
        (["terms", "reworks"], 17, "schema_violation", "/terms/reworks"),
        (["terms", "reworks"], True, "schema_violation", "/terms/reworks"),
        (["terms", "sealGrace"], 120, "schema_violation", "/terms/sealGrace"),
        (["terms", "onSilence"], "maybe", "schema_violation", "/terms/onSilence"),
        ([*DEADLINES, "until"], "2026-11-25T14:00:00+00:00", "schema_violation", "/terms/deadlines/until"),
        ([*DEADLINES, "until"], "2026-11-25T12:59:59Z", "schema_violation", "/terms/deadlines/until"),
        ([*DEADLINES, "finish"], "2026-11-25T12:09:59Z", "schema_violation", "/terms/deadlines/finish"),
        ([*DEADLINES, "notBefore"], "2026-11-25T12:10:01Z", "schema_violation", "/terms/deadlines/start"),
        (["terms", "subcontracting", "depth"], 1, "schema_violation", "/terms/subcontracting/depth"),
        (["terms", "subcontracting", "allowed"], True, "schema_violation", "/terms/subcontracting/depth"),
        (["terms", "termination", "notice"], "P1D", "schema_violation", "/terms/termination/notice"),
        (["terms", "termination", "convenience"], "fee", "schema_violation", "/terms/termination/fee"),
        ([*DEADLINES, "heartbeat"], "PT0S", "schema_violation", "/terms/deadlines/heartbeat"),
        (["terms", "termination"], fee("-1"), "schema_violation", "/terms/termination/fee/amount"),
        (["terms", "termination"], fee("1", "USD"), "schema_violation", "/terms/termination/fee/currency"),
        (["terms", "evidence", "predicates"], ["urn:a", "urn:a"], "schema_violation", "/terms/evidence/predicates"),
        (["terms", "deliverables"], deliverables(2, 33), "schema_violation", "/terms/deliverables"),
        (["terms", "scope", "grants"], grants(33, 2), "schema_violation", "/terms/scope/grants"),
        (["terms", "arbiter"], HIRER.did, "schema_violation", "/terms/arbiter"),
        (["terms", "evidence", "verifier"], PROVIDER.did, "schema_violation", "/terms/evidence/verifier"),
        (MILESTONES, [], "schema_violation", AT),
        (MILESTONES, [{"name": "all", "percent": 0, "criteria": ["complete"]}], "schema_violation", f"{AT}/0/percent"),
        (MILESTONES, [{"name": "all", "percent": 9, "criteria": []}], "schema_violation", f"{AT}/0/criteria"),
        (MILESTONES, [{"name": "all", "percent": 9, "criteria": ["unknown"]}], "schema_violation", AT),
        (MILESTONES, [{"name": "all", "percent": 9, "criteria": ["complete"] * 2}], "schema_violation", AT),
        (MILESTONES, [{"name": "all", "percent": 9, "criteria": ["complete"]}] * 2, "schema_violation", AT),
        (MILESTONES, [{"name": n, "percent": 51, "criteria": ["complete"]} for n in "ab"], "schema_violation", AT),
        (["terms", "policies"], DIGESTS[::-1], "schema_violation", "/terms/policies"),
        (["terms", "mustStayValid"], [DIGESTS[0], DIGESTS[0]], "schema_violation", "/terms/mustStayValid"),
        (["terms", "id"], "urn:x#terms", "schema_violation", "/terms/id"),
        (["terms", "scope", "id"], "urn:x#scope", "schema_violation", "/terms/scope/id"),
        (["terms", "scope", "grants", 0, "id"], "urn:x#read-artifact", "schema_violation", "/terms/scope"),
        (["id"], f"{ENGAGEMENT}:hirer", "schema_violation", "/id"),
        (["id"], f"{ENGAGEMENT}:hirer:03", "schema_violation", "/id"),
        (["id"], f"urn:hire:engagement:{digest_bytes(b'x')}:hirer:3", "schema_violation", "/id"),
        (["type"], "Renewal", "schema_violation", "/type"),
        (["type"], "Amendment", "schema_violation", ""),
        (["provider"], HIRER.did, "self_dealing", ""),
        (["methods", "provider"], [HIRER.method], "self_dealing", ""),
        (["methods", "provider"], [STRANGER.method], "schema_violation", "/methods/provider"),
        (["methods", "provider"], [], "schema_violation", "/methods/provider"),
        (["methods", "hirer"], METHODS[::-1], "schema_violation", "/methods/hirer"),
        (["methods", "hirer"], METHODS[:1] * 2, "schema_violation", "/methods/hirer"),
        (["transcript", "hirer", "sequence"], 0, "schema_violation", "/transcript/hirer/sequence"),
        (["transcript", "provider"], None, "schema_violation", "/transcript"),
        (["proof"], [], "schema_violation", "/proof"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(path: list[Any], value: Any, code: str, at: str) -> None:
    """HIRE-CTR-01, HIRE-CTR-04, HIRE-CTR-05, HIRE-CTR-06, HIRE-CTR-12."""
    with pytest.raises((FormatError, ContractError)) as caught:
        read_document(change(path, value))
    assert (caught.value.code, caught.value.path) == (code, at)


@pytest.mark.parametrize("again", [{"name": "other"}, {"criteria": [{"id": "another", "text": "It is there."}]}])
def test_a_name_is_given_once(again: dict[str, Any]) -> None:
    """HIRE-CTR-12: a criterion of an id, or a deliverable of a name, that stands there already."""
    made = from_struct(document())
    deliverables = made["terms"]["deliverables"]
    deliverables.append(deliverables[0] | again)
    with pytest.raises(FormatError) as caught:
        read_document(made)
    assert (caught.value.code, caught.value.path) == ("schema_violation", "/terms/deliverables")


def test_methods_may_be_several() -> None:
    """HIRE-CTR-12: in order, each once."""
    assert read_document(change(["methods", "hirer"], METHODS)).methods.hirer == tuple(METHODS)


def filled(made: Any, size: int) -> dict[str, Any]:
    """The same in JSON, with criteria so long that it comes to so many bytes."""
    value: dict[str, Any] = from_struct(made)
    value.pop("proof", None)
    of_terms = value.get("terms", value)
    of_terms["deliverables"] = deliverables(4, 5)
    criteria = [one for part in of_terms["deliverables"] for one in part["criteria"]]
    left = size - len(canonicalize(value))
    for place, one in enumerate(criteria):
        one["text"] += "x" * (left // len(criteria) + (place < left % len(criteria)))
    assert len(canonicalize(value)) == size
    return value


def test_terms_and_documents_have_a_size() -> None:
    """HIRE-CTR-06: to the byte, as they are signed."""
    read_document(filled(document(), 64 * 1024))
    check_terms(to_struct(filled(terms(), 64 * 1024), Terms))
    for read in (
        lambda: read_document(filled(document(), 64 * 1024 + 1)),
        lambda: check_terms(to_struct(filled(terms(), 64 * 1024 + 1), Terms)),
    ):
        with refuses(FormatError, "too_large"):
            read()


@pytest.mark.parametrize(
    ("changes", "code", "at"),
    [
        ({"reworks": 17}, "schema_violation", "/reworks"),
        ({"price": Price(amount="12.50", currency="EUR")}, "schema_violation", "/price/amount"),
        ({"price": Price(amount="-1", currency="EUR")}, "schema_violation", "/price/amount"),
        ({"arbiter": "did:web:\ud800"}, "bad_unicode", ""),
        ({"task": replace(terms().task, summary="Ring \x07")}, "bad_unicode", "/task/summary"),
        ({"scope": replace(terms().scope, extensions={"https://example.org/x": "\ud800"})}, "bad_unicode", ""),
        ({"scope": replace(terms().scope, extensions={"https://example.org/x": 2**60})}, "number_out_of_range", ""),
        ({"scope": replace(terms().scope, extensions={"https://example.org/x": None})}, "schema_violation", NULL),
        ({"scope": replace(terms().scope, extensions={"x": 1})}, "schema_violation", "/terms/scope"),
    ],
)
def test_terms_that_nobody_has_read_yet_are_read_first(changes: dict[str, Any], code: str, at: str) -> None:
    """As the other side would read them, and of what is wrong it is said where."""
    with pytest.raises(FormatError) as caught:
        check_terms(replace(terms(), **changes))
    assert (caught.value.code, caught.value.path) == (code, at)


def test_terms_with_extensions_are_read_whole() -> None:
    extensions = {"https://example.org/x": {"low": [15, True]}}
    check_terms(terms())
    check_terms(replace(terms(), scope=replace(terms().scope, extensions=extensions)))


@pytest.mark.parametrize("made", [from_struct(document()), offered(), accepted()], ids=["none", "one", "two"])
def test_what_was_read_is_signed_as_it_was_written(made: dict[str, Any]) -> None:
    """Whatever proofs it carries: they are no part of what is signed first."""
    bare = canonicalize({name: value for name, value in made.items() if name != "proof"})
    assert canonical_document(read_document(made)) == bare


def test_parts_are_checked_where_an_offer_is_judged() -> None:
    made = document()
    broken = replace(made, methods=Methods(hirer=made.methods.hirer, provider=(STRANGER.method,)))
    with pytest.raises(ContractError) as caught:
        check(broken)
    assert (caught.value.code, caught.value.path) == ("schema_violation", "/methods/provider")


def test_the_digest_is_without_proofs() -> None:
    made = from_struct(document())
    assert contract_digest(made) == contract_digest({**made, "proof": {"type": "x"}})
    assert contract_digest(made) != contract_digest({**made, "parent": DIGESTS[0]})


def test_a_name_has_three_parts() -> None:
    assert DocumentName.parse(f"{ENGAGEMENT}:provider:12") == DocumentName(ENGAGEMENT, "provider", 12)


def test_no_more_contracts_above_are_read_than_there_may_be() -> None:
    """HIRE-SUB-02: six are refused for their number, whatever they are; five are looked at."""
    for count, code in ((6, "chain_invalid"), (5, "schema_violation")):
        with refuses(UndersignedError, code):
            read_parents([{}] * count)
    for wrong in ({"document": {}, "acceptance": {}, "seal": []}, {"document": {}, "acceptance": {}}):
        with pytest.raises(FormatError) as malformed:
            read_parents([wrong])
        assert (malformed.value.code, malformed.value.path) == ("schema_violation", "/parents")
