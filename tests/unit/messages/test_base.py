"""The envelope: what every message says, and what contradicts itself."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from message_examples import conversation
from support import ROOT
from undersigned.errors import FormatError
from undersigned.messages import MESSAGE_TYPES, Message, Sync, Usage, reasons
from undersigned.messages.base import Part, Proof


def test_there_is_an_example_of_every_type() -> None:
    assert {said.message.type for said in conversation().values()} == set(MESSAGE_TYPES)


@pytest.mark.parametrize("name", sorted(MESSAGE_TYPES))
def test_structs_are_frozen_closed_and_keyword_only(name: str) -> None:
    config = MESSAGE_TYPES[name].__struct_config__
    assert config.frozen
    assert config.forbid_unknown_fields
    assert config.tag == name
    with pytest.raises(TypeError):
        MESSAGE_TYPES[name]("positional")  # type: ignore[call-arg]


def _members(of: type[msgspec.Struct]) -> set[str]:
    return set(of.__struct_encode_fields__)


@pytest.mark.parametrize("name", sorted(MESSAGE_TYPES))
def test_the_context_defines_every_member_and_type(name: str) -> None:
    """A term that no context defines would fall outside what an RDF suite signs (SC-19) (HIRE-LD-03)."""
    context = json.loads((ROOT / "protocol-spec/context/hire-v1.jsonld").read_text())["@context"]
    assert name in context
    assert _members(MESSAGE_TYPES[name]) - {"@context"} <= set(context)
    assert _members(Proof) - {"@context", "type"} <= set(context["DataIntegrityProof"]["@context"])


@pytest.mark.parametrize("name", sorted(MESSAGE_TYPES))
def test_every_nested_object_is_one_json_literal(name: str) -> None:
    """So a message is a flat node without blank nodes, and its arrays keep their order under every suite.

    HIRE-LD-01, HIRE-LD-02.
    """
    context = json.loads((ROOT / "protocol-spec/context/hire-v1.jsonld").read_text())["@context"]
    for said in conversation().values():
        if said.message.type != name:
            continue
        for member, value in json.loads(said.raw).items():
            if isinstance(value, (dict, list)) and member != "proof":
                assert context[member]["@type"] == "@json", member


def _sync(**changes: Any) -> Sync:
    said = conversation()["sync"].message
    return msgspec.structs.replace(said, **changes)


_USED = Usage(clause="read", unit="count", amount="2")
_EUROS = Usage(clause="read", unit="EUR", amount="2", unproved="2")


@pytest.mark.parametrize(
    ("name", "changes", "path"),
    [
        ("inquiry", {"sequence": 0}, "/sequence"),
        ("inquiry", {"previous": conversation()["start"].digest}, "/previous"),
        ("inquiry", {"version": "0.9"}, "/version"),
        ("inquiry", {"closes_at": "2026-11-24T09:00:01Z"}, "/closesAt"),
        ("start", {"previous": None}, "/previous"),
        ("sync", {"previous": None}, "/previous"),
        ("sync", {"sequence": 0}, "/previous"),
        ("presentation-hirer", {"request": None}, "/request"),
        ("terminate-revoked", {"names": None}, "/names"),
        ("receipt-inclusion", {"checkpoint": None}, "/checkpoint"),
        ("problem-retryable", {"final": True}, "/final"),
        ("problem", {"retry_after": 1}, "/retryAfter"),
        ("start", {"inputs": 2 * conversation()["start"].message.inputs}, "/inputs/1/name"),  # type: ignore[attr-defined]
        ("delivery", {"usage": (_USED, _EUROS, _USED)}, "/usage/2"),
        ("closing-hirer", {"usage": (_USED, msgspec.structs.replace(_USED, amount="3"))}, "/usage/1"),
        ("progress", {"usage": (_EUROS, msgspec.structs.replace(_USED, unproved="10"))}, "/usage/1/unproved"),
    ],
)
def test_members_that_contradict_each_other_make_no_message(name: str, changes: dict[str, Any], path: str) -> None:
    """Also when made here: nothing is signed that a peer would refuse.

    HIRE-CHN-01, HIRE-MSG-01, HIRE-MSG-02, HIRE-MSG-03, HIRE-MSG-04, HIRE-MSG-05, HIRE-MSG-06, HIRE-MSG-07.

    HIRE-CHN-02.
    """
    with pytest.raises(FormatError) as caught:
        msgspec.structs.replace(conversation()[name].message, **changes)
    assert (caught.value.code, caught.value.path) == ("schema_violation", path)


def test_a_negotiation_may_close_when_its_answer_is_due() -> None:
    """HIRE-MSG-01: and not before."""
    said: Any = conversation()["inquiry"].message
    assert msgspec.structs.replace(said, closes_at=said.respond_by).closes_at == said.respond_by


def test_a_notice_before_any_move_has_no_previous() -> None:
    """HIRE-CHN-02."""
    assert _sync(sequence=0, previous=None).sequence == 0


def test_a_message_says_its_type_and_shows_its_json() -> None:
    said = conversation()["start"]
    assert said.message.type == "Start"
    assert json.loads(json.dumps(said.message.as_json())) == json.loads(said.raw)


def test_purposes_follow_the_type() -> None:
    """What proves who speaks is `authentication`; what binds is `assertionMethod` (HIRE-PRF-07)."""
    binding = {name for name, of in MESSAGE_TYPES.items() if of.purpose == "assertionMethod"}
    assert binding == {
        *("Seal", "Approval", "Suspend", "Resume", "Cancel", "Delivery", "Review", "Closing"),
        *("Breach", "Terminate", "Dispute", "Ruling"),
    }
    assert {name for name, of in MESSAGE_TYPES.items() if of.notice} == {"Receipt", "Problem", "Sync", "Progress"}


@pytest.mark.parametrize(
    ("literal", "table"),
    [
        (reasons.WithdrawReason, reasons.REASONS),
        (reasons.CancelReason, reasons.CANCEL_REASONS),
        (reasons.SuspendReason, reasons.SUSPEND_REASONS),
        (reasons.ResumeReason, reasons.RESUME_REASONS),
        (reasons.Cause, reasons.CAUSES),
        (reasons.Ruled, reasons.RULINGS),
        (reasons.Outcome, reasons.OUTCOMES),
        (reasons.Verdict, reasons.VERDICTS),
        (reasons.Basis, reasons.BASES),
        (reasons.WaitingFor, reasons.WAITING_FOR),
    ],
)
def test_each_word_has_its_meaning_and_each_meaning_its_word(literal: Any, table: dict[str, str]) -> None:
    assert get_args(literal) == tuple(table)


def _parts(of: type[msgspec.Struct], seen: set[type]) -> None:
    for kind in msgspec.inspect.multi_type_info([of]):
        for field in kind.fields:  # type: ignore[attr-defined]
            for inner in _structs_in(field.type):
                if inner not in seen:
                    seen.add(inner)
                    _parts(inner, seen)


def _structs_in(kind: Any) -> list[type[msgspec.Struct]]:
    if isinstance(kind, msgspec.inspect.StructType):
        return [kind.cls]
    found: list[type[msgspec.Struct]] = []
    for attribute in ("types", "item_type", "type"):
        inner = getattr(kind, attribute, None)
        for one in inner if isinstance(inner, tuple) else [inner]:
            if isinstance(one, msgspec.inspect.Type):
                found += _structs_in(one)
    return found


def test_everything_nested_in_a_message_is_closed_too() -> None:
    seen: set[type] = set()
    for of in MESSAGE_TYPES.values():
        _parts(of, seen)
    assert len(seen) > 20
    assert Proof in seen
    for part in seen:
        assert part.__struct_config__.forbid_unknown_fields, part  # type: ignore[attr-defined]
        assert part.__struct_config__.frozen, part  # type: ignore[attr-defined]


def test_base_types_are_not_messages_of_their_own() -> None:
    assert Message not in MESSAGE_TYPES.values()
    assert not issubclass(Part, Message)
