"""From bytes to a signed message, or to an error that says where and what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Struct, inspect

from message_examples import conversation, refused
from undersigned.encoding import MESSAGE_LIMITS, canonicalize, digest_of, write_canonical
from undersigned.errors import CODES, FormatError, ProofError
from undersigned.messages import MESSAGE_TYPES, Offer, decode_message, recorded_message
from undersigned.messages.codec import LEFT_OPEN, MAX_MESSAGE_BYTES, read_canonical


@pytest.mark.parametrize("name", sorted(conversation()))
def test_what_was_signed_is_read_back(name: str) -> None:
    said = conversation()[name]
    received = decode_message(said.raw)
    assert received.message == said.message
    assert received.digest == said.digest == digest_of(json.loads(said.raw))
    assert received.raw == said.raw
    assert "proof" not in received.content
    assert received.canonical == canonicalize(received.content)


@pytest.mark.parametrize("name", sorted(conversation()))
def test_a_gateway_that_writes_the_json_anew_changes_no_digest(name: str) -> None:
    """Order, white space and escapes are not the message (HIRE-DIG-03)."""
    said = conversation()[name]
    turned = dict(reversed(json.loads(said.raw).items()))
    for raw in (json.dumps(turned, indent=4), json.dumps(turned, ensure_ascii=True).replace("/", "\\/")):
        received = decode_message(raw.encode())
        assert received.digest == said.digest
        assert received.message == said.message


@pytest.mark.parametrize("name", sorted(refused()))
def test_what_is_wrong_is_refused_with_its_code_and_place(name: str) -> None:
    """HIRE-ENV-02, HIRE-ENV-03, HIRE-ENV-04, HIRE-PRF-01, HIRE-ERR-04.

    HIRE-LD-04, HIRE-JSN-05, HIRE-MSG-01, HIRE-MSG-02, HIRE-MSG-03, HIRE-MSG-04, HIRE-MSG-05.
    """
    example = refused()[name]
    with pytest.raises((FormatError, ProofError)) as caught:
        decode_message(json.dumps(example["message"]).encode())
    assert (caught.value.code, caught.value.path) == (example["code"], example["path"])
    assert "expected" in caught.value.message
    assert "came" in caught.value.message or "got" in caught.value.message
    assert CODES[caught.value.code].family in ("parse", "schema", "context", "proof", "transport")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (b'"text"', "bad_json"),
        (b"1", "bad_json"),
        (b"{", "bad_json"),
        (b'{"a":1,"a":1}', "bad_json"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"type":[],"proof":{"a":"b"}}', "schema_violation"),
        (b'{"type":{},"proof":{"a":"b"}}', "schema_violation"),
        (b'{"a":1.5}', "number_out_of_range"),
        (b'{"a":"\\ud800"}', "bad_unicode"),
        (b'{"a":"\\u0000"}', "bad_unicode"),
        (b"\xef\xbb\xbf{}", "bad_unicode"),
        (b"[" * 100_000, "too_deep"),
        (b" " * (MAX_MESSAGE_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_strict_json_object_is_refused_first(raw: bytes, code: str) -> None:
    """HIRE-SEC-01, HIRE-LIM-01."""
    with pytest.raises(FormatError) as caught:
        decode_message(raw)
    assert caught.value.code == code


def test_the_proof_that_is_not_covered_is_the_messages_own() -> None:
    """A document in it may have the very same proof, and keeps it."""
    message = _wire("presentation-hirer")
    message["presentation"] = {**message["presentation"], "proof": message["proof"]}
    received = decode_message(canonicalize(message))
    assert received.canonical == canonicalize({name: value for name, value in message.items() if name != "proof"})
    assert received.digest == digest_of(message)


def _wire(name: str) -> dict[str, Any]:
    return json.loads(conversation()[name].raw)


def _too_large(message: dict[str, Any]) -> str:
    with pytest.raises(FormatError) as caught:
        decode_message(canonicalize(message))
    assert caught.value.code == "too_large"
    return caught.value.path


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (2**53 - 1, ""),
        (-(2**53 - 1), ""),
        (2**53, "number_out_of_range"),
        (-(2**53), "number_out_of_range"),
        (10**30, "number_out_of_range"),
        (0.5, "number_out_of_range"),
        ([None], "bad_json"),
        ("a\x7f", "bad_unicode"),
        ({f"n{number}": "" for number in range(MESSAGE_LIMITS.max_members)}, ""),
        ({f"n{number}": "" for number in range(MESSAGE_LIMITS.max_members + 1)}, "too_large"),
        ({"\u00e9": ""}, "bad_unicode"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_canonical_bytes_are_read_as_strictly_as_others(value: Any, code: str) -> None:
    """HIRE-JSN-01, HIRE-JSN-02, HIRE-JSN-03, HIRE-JSN-04: also in what a message carries of others, where no schema
    says what there may be. Bytes that are their own canonical form are read in one step.
    """
    whole = json.loads(conversation()["presentation-hirer"].raw)
    whole["presentation"]["note"] = value
    for raw in (write_canonical(whole), json.dumps(whole, indent=1).encode()):
        if code:
            with pytest.raises(FormatError) as caught:
                decode_message(raw)
            assert caught.value.code == code
        else:
            assert decode_message(raw).content["presentation"]["note"] == value


def test_each_kind_has_its_size() -> None:
    """HIRE-LIM-01."""
    message = _wire("presentation-hirer")
    message["presentation"]["holder"] = "x" * (127 * 1024)
    decode_message(canonicalize(message))
    message["presentation"]["more"] = "x" * (1024)
    assert _too_large(message) == "/presentation"

    message = _wire("delivery")
    message["statements"] = [{"payload": "x" * 64 * 1024}, {"payload": "x" * 64 * 1024}]
    assert _too_large(message) == "/statements"

    message = _wire("offer")
    message["document"]["terms"]["deliverables"] = [
        {"name": f"n{i}", "mediaType": "text/plain", "criteria": [{"id": "a", "text": "x" * 4096}]} for i in range(15)
    ]
    decode_message(canonicalize(message))
    message["document"]["terms"]["deliverables"] += message["document"]["terms"]["deliverables"][:1]
    assert _too_large(message) == "/document"


def test_notices_are_small_and_problems_smaller() -> None:
    """HIRE-LIM-01."""
    message = _wire("receipt-inclusion")
    message["checkpoint"] = "u" + "A" * 8191
    assert _too_large(message) == ""

    message = _wire("problem")
    message["needed"] = [{"code": "credential", "credential": "x" * 200}] * 5
    assert _too_large(message) == ""


def test_a_small_document_behind_much_white_space_is_not_a_large_one() -> None:
    raw = conversation()["offer"].raw
    assert isinstance(decode_message(raw + b" " * 100_000).message, Offer)


def test_errors_show_no_more_than_a_glimpse_of_what_came() -> None:
    """HIRE-SEC-07."""
    message = _wire("start")
    message["contract"] = "y" * 100_000
    message["inputs"][0]["z" * 100_000] = 1
    with pytest.raises(FormatError) as caught:
        decode_message(json.dumps(message).encode())
    assert len(str(caught.value)) < 500
    del message["inputs"][0]["z" * 100_000]
    with pytest.raises(FormatError) as caught:
        decode_message(json.dumps(message).encode())
    assert len(str(caught.value)) < 500


def test_a_name_with_marks_of_a_pointer_is_escaped() -> None:
    message = _wire("start")
    message["a/b~c`d"] = 1
    with pytest.raises(FormatError) as caught:
        decode_message(json.dumps(message).encode())
    assert (caught.value.code, caught.value.path) == ("unknown_term", "/a~1b~0c`d")


def test_every_member_but_the_optional_ones_is_required() -> None:
    """Absent means refused; no member has a default on the wire (HIRE-ENV-01)."""
    optional = {
        (of.__name__, member)
        for of in MESSAGE_TYPES.values()
        for member, default in zip(
            of.__struct_encode_fields__[-len(of.__struct_defaults__) :], of.__struct_defaults__, strict=True
        )
        if default is None and member != "proof"
    }
    tried = 0
    for said in conversation().values():
        kind = said.message.type
        for member in json.loads(said.raw):
            if (kind, member) in optional:
                continue
            message = json.loads(said.raw)
            del message[member]
            with pytest.raises((FormatError, ProofError)):
                decode_message(json.dumps(message).encode())
            tried += 1
    assert tried > 300


def test_a_recorded_message_is_read_back_as_verified() -> None:
    said = conversation()["seal"]
    again = recorded_message(said.raw)
    assert again == said
    assert hash(again) == hash(said)
    assert again.message == said.message
    assert again != conversation()["start"]
    assert again != said.message


@pytest.mark.parametrize("name", ["a` - at `$.proof.type", " - at `$.proof.type", " - at `$.x" * 100, "`" * 1000])
def test_names_that_imitate_a_place_are_refused_all_the_same(name: str) -> None:
    message = _wire("start")
    message["inputs"][0][name] = 1
    with pytest.raises((FormatError, ProofError)) as caught:
        decode_message(json.dumps(message).encode())
    assert (caught.value.code, caught.value.path[:10]) == ("unknown_term", "/inputs/0/")
    assert len(str(caught.value)) < 500


def _left_open(kind: Any, found: dict[type[Struct], tuple[str, ...]], depth: int = 1) -> bool:
    """Whether this type bounds less than a strict reader does, in anything but text; which members do, by struct."""
    assert depth < MESSAGE_LIMITS.max_depth
    match kind:
        case inspect.Metadata():
            return _left_open(kind.type, found, depth)
        case inspect.StructType():
            assert len(kind.fields) <= MESSAGE_LIMITS.max_members
            for field in kind.fields:
                # What is None is not written, so that a null does not come back.
                may_be_null = inspect.NoneType() in getattr(field.type, "types", ())
                assert not may_be_null or field.default is None, field
            names = tuple(field.name for field in kind.fields if _left_open(field.type, found, depth + 1))
            if names:
                found[kind.cls] = names
            return names != ()
        case inspect.UnionType():
            return True in [_left_open(one, found, depth) for one in kind.types]  # each is looked at
        case inspect.VarTupleType(max_length=int(most)) if most <= MESSAGE_LIMITS.max_items:
            return _left_open(kind.item_type, found, depth + 1)
        case inspect.DictType(key_type=inspect.StrType(), max_length=int(most)) if most <= MESSAGE_LIMITS.max_members:
            return _left_open(kind.value_type, found, depth + 1)
        case inspect.IntType(ge=int(least), le=int(most)):
            return not -(2**53) < least <= most < 2**53
        case inspect.LiteralType():
            return not all(isinstance(value, str) for value in kind.values)
        case _:
            return not isinstance(kind, (inspect.StrType, inspect.BoolType, inspect.NoneType))


def test_every_member_that_its_type_leaves_open_is_looked_at() -> None:
    """No other can hold what a strict reader refuses: so nothing else is looked for in what was read at once."""
    found: dict[type[Struct], tuple[str, ...]] = {}
    for of in MESSAGE_TYPES.values():
        _left_open(inspect.type_info(of), found)
    assert found == LEFT_OPEN


def _containers(value: Any, level: int = 1) -> list[tuple[Any, int]]:
    """All of them in it, itself included, and at which level each stands."""
    inner = value.values() if isinstance(value, dict) else value
    return [
        (value, level),
        *(found for one in inner if isinstance(one, (dict, list)) for found in _containers(one, level + 1)),
    ]


def _deep(levels: int) -> Any:
    return [] if levels == 1 else [_deep(levels - 1)]


def _with_what_is_seldom_there(name: str) -> Any:
    message = json.loads(conversation()[name].raw)
    match message:
        case {"type": "Inquiry", "scopeSketch": scope} | {"document": {"terms": {"scope": scope}}}:
            scope["extensions"] = {"urn:x:extension": {"a": [1]}}
        case {"type": "Withdraw"}:
            message["award"] = {"a": [1]}
        case _:
            pass
    return message


@pytest.mark.parametrize("name", sorted(conversation()))
def test_what_a_strict_reader_refuses_is_not_read_at_once_wherever_it_stands(name: str) -> None:
    """HIRE-JSN-01, HIRE-JSN-02, HIRE-JSN-03, HIRE-JSN-04: open documents are held to them as all else is."""
    open_places = 0
    for place, (_, level) in enumerate(_containers(_with_what_is_seldom_there(name))):

        def reads_with(value: Any, place: int = place) -> bool:
            message = _with_what_is_seldom_there(name)
            container, _ = _containers(message)[place]
            if isinstance(container, list):
                container.append(value)
            else:
                container["urn:x:added"] = value
            return read_canonical(write_canonical(message)) is not None

        room = MESSAGE_LIMITS.max_depth - level
        for value in (None, 2**53, -(2**53), 1.5, "\x7f", "\u0085", "\ufdd0", {"ü": 1}, _deep(room + 1)):
            assert not reads_with(value)
        assert not reads_with(dict.fromkeys(map(str, range(257)), "a"))
        assert not reads_with([0] * 4097)
        if reads_with([True]):
            open_places += 1
            for value in (2**53 - 1, -(2**53) + 1, _deep(room), dict.fromkeys(map(str, range(256)), "a"), [0] * 4096):
                assert reads_with(value)
    assert (open_places > 0) == (type(conversation()[name].message) in LEFT_OPEN)
