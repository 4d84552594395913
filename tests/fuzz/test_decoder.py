"""Any bytes decode to a message or to an error of the documented family; nothing in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from message_examples import conversation, verify
from support import examples
from undersigned.encoding import canonicalize, decode_json, digest_of
from undersigned.errors import CODES, FormatError, ProofError, UndersignedError
from undersigned.messages import SignedMessage, decode_message, draft, problem_code_told
from undersigned.messages.codec import read_canonical, read_message

FAMILIES = {"parse", "schema", "context", "proof", "limit", "transport"}
EXAMPLES = [message.raw for message in conversation().values()]
T = TypeVar("T")
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
relaxed = settings(
    max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=80)
    | st.sampled_from(
        ["", "did:key:z6Mk", "2026-02-30T00:00:00Z", "https://w3id.org/hire/v1", "1.0", "Seal", "u", "\ud800"]
    )
)
names = st.text(max_size=20) | st.sampled_from(
    ["@context", "@id", "@graph", "@value", "type", "proof", "previous", "seen", "sequence", "document", "id", "role"]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


def tried(step: Callable[[], T]) -> T | UndersignedError:
    """What a step gives or refuses with; any exception that is not ours fails the test."""
    try:
        return step()
    except UndersignedError as error:
        return error


def _outcome(raw: bytes) -> SignedMessage | UndersignedError:
    """What came of the bytes, once it is known to be what the documentation says."""
    before = bytes(raw)
    came = tried(lambda: decode_message(raw))
    assert raw == before
    if isinstance(came, UndersignedError):
        assert isinstance(came, (FormatError, ProofError))
        assert came.code in CODES
        assert came.row.family in FAMILIES
        assert len(str(came)) < 2_000
        assert came.path == "" or came.path.startswith("/")
        assert problem_code_told(came) in (came.code, "proof_invalid")
    else:
        assert came.digest == digest_of(json.loads(raw))
        assert came.message.proof is not None
    return came


@relaxed
@given(st.binary(max_size=2_000))
@example(b"")
@example(b"null")
@example(b"\x00")
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"@context":"https://w3id.org/hire/v1","type":"Start","version":"1.0","proof":{}}')
def test_any_bytes(raw: bytes) -> None:
    assert isinstance(_outcome(raw), UndersignedError)


@relaxed
@given(values)
def test_any_json(value: Any) -> None:
    assert isinstance(_outcome(json.dumps(value).encode(errors="surrogatepass")), UndersignedError)


@relaxed
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_message_with_damaged_bytes(raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "repeat", "insert"])):
            case "flip":
                damaged[place] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del damaged[place : place + data.draw(st.integers(1, 40))]
            case "repeat":
                damaged[place:place] = damaged[place : place + data.draw(st.integers(1, 200))]
            case _:
                damaged[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        if not damaged:
            break
    _holds_only_if_the_same(bytes(damaged), raw)


@relaxed
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_message_with_changed_members(raw: bytes, data: st.DataObject) -> None:
    message = json.loads(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        containers = [message, *_containers(message)]
        inside = containers[data.draw(st.integers(0, len(containers) - 1))]
        if isinstance(inside, list):
            inside.insert(data.draw(st.integers(0, len(inside))), data.draw(values))
            continue
        own = sorted(inside)
        match data.draw(st.sampled_from(["replace", "add", "remove", "swap", "rename"])):
            case "add":
                inside[data.draw(names)] = data.draw(values)
            case "replace" if own:
                inside[data.draw(st.sampled_from(own))] = data.draw(values)
            case "remove" if own:
                del inside[data.draw(st.sampled_from(own))]
            case "rename" if own:
                inside[data.draw(names)] = inside.pop(data.draw(st.sampled_from(own)))
            case "swap" if own:
                one, other = data.draw(st.sampled_from(own)), data.draw(st.sampled_from(own))
                inside[one], inside[other] = inside[other], inside[one]
            case _:
                pass
    _holds_only_if_the_same(json.dumps(message).encode(errors="surrogatepass"), raw)


@relaxed
@given(st.sampled_from(EXAMPLES), st.sampled_from(EXAMPLES), st.data())
def test_a_message_with_members_of_another(raw: bytes, other: bytes, data: st.DataObject) -> None:
    message, foreign = json.loads(raw), json.loads(other)
    for member in data.draw(st.lists(st.sampled_from(sorted(foreign)), min_size=1, max_size=4)):
        message[member] = foreign[member]
    changed = canonicalize(message)
    _holds_only_if_the_same(changed, other if changed == other else raw)


def _holds_only_if_the_same(changed: bytes, raw: bytes) -> None:
    """Whatever was done to it: what verifies is what was signed, and what was decoded can be drafted again."""
    received = _outcome(changed)
    if isinstance(received, UndersignedError):
        return
    proof, original = received.proof, decode_message(raw)
    verified = tried(lambda: verify(received, now=original.proof.created, suites=SUITES))
    if isinstance(verified, UndersignedError):
        assert problem_code_told(verified) is not None
    else:
        assert verified.digest == original.digest
        assert verified.message == original.message
    again = tried(
        lambda: draft(received.message, proof.verification_method, SUITES[0], "Ed25519", proof.created, proof.expires)
    )
    if isinstance(again, UndersignedError):
        assert again.code == "too_large"  # The new proof may be longer than the one that came.
    else:
        assert again.digest == received.digest


def _containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for one in inner if isinstance(one, (dict, list)) for found in (one, *_containers(one))]


@relaxed
@given(data=st.data())
def test_what_is_read_at_once_is_what_the_steps_read(data: st.DataObject) -> None:
    """The short way takes nothing that the numbered steps would refuse, nor reads anything else in it."""
    content = json.loads(data.draw(st.sampled_from(EXAMPLES)))
    for _ in range(data.draw(st.integers(0, 3))):
        target = data.draw(st.sampled_from([content, *(v for v in content.values() if isinstance(v, dict) and v)]))
        name = data.draw(st.sampled_from(sorted(target) or ["id"]) | names)
        if data.draw(st.booleans()):
            target.pop(name, None)
        else:
            target[name] = data.draw(values | st.sampled_from(list(content.values())))
    try:
        raw = canonicalize(content)
    except FormatError:
        return
    short = read_canonical(raw)
    if short is None:
        return
    content = decode_json(raw)
    assert isinstance(content, dict)
    assert read_message(content, len(raw)) == short


def test_every_example_is_read_at_once() -> None:
    """So that the test above compares something."""
    assert all(read_canonical(raw) is not None for raw in EXAMPLES)
