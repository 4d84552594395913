"""SC-12 to SC-26 on a running peer: what a proved and trusted peer sends instead of the JSON that it owes."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from security.test_json import code_of
from security.wire_attacker import changed, hiring_at, refused
from security.wire_world import World
from support import ROOT, counted_calls
from undersigned.encoding import canonicalize, strict_json

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
AMOUNT = '"amount":"4"'
AT_MOST = 5000
"""Functions that a message may enter while others wait."""
AT_MOST_FOR_A_GRAPH = 120_000
"""The same of a credential that the work limit refuses."""


async def unblocked(most_calls: int, attack: Callable[[], Awaitable[Any]]) -> None:
    """The loop that both ends share never enters more functions than these before others have their turn."""
    longest = 0

    async def watch(calls: Callable[[], int]) -> None:
        nonlocal longest
        while True:
            before = calls()
            await asyncio.sleep(0)
            longest = max(longest, calls() - before)

    with counted_calls() as calls:
        watching = asyncio.create_task(watch(calls))
        await attack()
        watching.cancel()
    assert longest <= most_calls


# --- B. JSON parsing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version":"1.0"', '"version":"1.0","version":"1.0"'),
        ('"version":"1.0"', '"version":"1.0","v\\u0065rsion":"9.0"'),
        (AMOUNT, f'{AMOUNT},"amount":"1000000"'),
        (AMOUNT, f'"amount":"1000000",{AMOUNT}'),
        (AMOUNT, f'{AMOUNT},"am\\u006funt":"1000000"'),
        ('"proofPurpose":', '"proofPurpose":"assertionMethod","proofPurpose":'),
    ],
)
async def test_sc_12_duplicate_names(world: World, old: str, new: str) -> None:
    async with hiring_at(world, "ready") as hiring:
        await refused(hiring.line, changed(hiring.next_message().raw, old, new), "bad_json")


@pytest.mark.parametrize(
    ("old", "name"), [('"sequence":3', "sequence"), (AMOUNT, "amount"), ('"reworks":1', "reworks")]
)
async def test_sc_13_numbers_that_are_none(world: World, old: str, name: str) -> None:
    async with hiring_at(world, "ready") as hiring:
        raw = hiring.next_message().raw
        for number in ("NaN", "Infinity", "-Infinity", "-0", "1e400", "-1e400"):
            await refused(hiring.line, changed(raw, old, f'"{name}":{number}'), code_of(number))


async def test_sc_13_a_lifetime_that_is_none(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        message = hiring.next_json()
        for number in ("NaN", "Infinity", "1e400", "-0"):
            raw = changed(canonicalize(message), f'"validUntil":"{message["validUntil"]}"', f'"validUntil":{number}')
            await refused(hiring.line, raw, code_of(number))


async def test_sc_14_integers_past_the_safe_ones(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        raw = hiring.next_message().raw
        numbers = (str(2**53 + 1), str(2**64), "3" * 5000, "3.0", "3E0", "3" * 200_000)
        for number in numbers:
            attack = changed(raw, '"sequence":3', f'"sequence":{number}')
            await unblocked(AT_MOST, partial(refused, hiring.line, attack, "number_out_of_range"))


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b'{"a":' * 17 + b'"' + b"x" * 200 + b'"' + b"}" * 17,
    ],
    ids=["arrays", "open", "objects", "one more"],
)
async def test_sc_15_deep_nesting(world: World, raw: bytes) -> None:
    async with hiring_at(world, "ready") as hiring:
        await unblocked(AT_MOST, lambda: refused(hiring.line, raw, "too_deep"))


async def test_sc_15_nesting_inside_a_signed_document(world: World) -> None:
    async with hiring_at(world, "profiled") as hiring:
        presentation = hiring.next_json()
        shown: Any = {}
        for _ in range(20):
            shown = {"a": shown}
        presentation["presentation"]["credentialSubject"] = shown
        await refused(hiring.line, json.dumps(presentation).encode(), "too_deep")


@pytest.mark.parametrize(
    "raw",
    [
        b"{" + b",".join(b'"%d":0' % number for number in range(20_000)) + b"}",
        b'{"a":[' + b"0," * 100_000 + b"0]}",
        b'{"' + b"k" * 200_000 + b'":0}',
        b'{"a":"' + b"v" * 200_000 + b'"}',
    ],
    ids=["members", "items", "name", "string"],
)
async def test_sc_16_wide_objects(world: World, raw: bytes) -> None:
    async with hiring_at(world, "ready") as hiring:
        await unblocked(AT_MOST, lambda: refused(hiring.line, raw, "too_large"))


@pytest.mark.parametrize(
    ("raw", "code", "most"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "too_deep", 1),
        (b'{"a":[' + b"{}," * 60_000 + b"{}]}", "too_large", 2),
        (b'{"a":' + b"7" * 200_000 + b"}", "number_out_of_range", 1),
    ],
    ids=["deep", "wide", "number"],
)
async def test_sc_16_a_large_text_is_not_read_again_and_again(
    world: World, monkeypatch: pytest.MonkeyPatch, raw: bytes, code: str, most: int
) -> None:
    """Once to refuse it, and once for what its sender and the operator are told, unless nothing can be in it."""
    readings, check = 0, strict_json._check_depth

    def counted(text: bytes, max_depth: int) -> int:
        nonlocal readings
        readings += text == raw
        return check(text, max_depth)

    monkeypatch.setattr(strict_json, "_check_depth", counted)
    async with hiring_at(world, "ready") as hiring:
        await refused(hiring.line, raw, code)
    assert readings == most


@pytest.mark.parametrize(
    "raw",
    [
        b"{" + b",".join(b'"%d":0' % number for number in range(1_000_000)) + b"}",
        b"[" + b"0," * 999_999 + b"0]",
        b'{"' + b"k" * 4 * 2**20 + b'":0}',
    ],
    ids=["members", "items", "name"],
)
async def test_sc_16_wider_than_a_message(world: World, raw: bytes) -> None:
    async with hiring_at(world, "ready") as hiring:
        await refused(hiring.line, raw, "too_large", how="close", close_code=1009)


@pytest.mark.parametrize("text", ["\\ud800", "\\udfff\\ud800", "a\\u0000b"])
@pytest.mark.parametrize(
    "old",
    ['"amount":"', '"id":"urn:uuid:', '"summary":"', '"action":"', '"role":"', '"name":"summary', '"proofValue":"z'],
)
async def test_sc_17_surrogates_and_nul(world: World, text: str, old: str) -> None:
    async with hiring_at(world, "ready") as hiring:
        await refused(hiring.line, changed(hiring.next_message().raw, old, old + text), "bad_unicode")
        # Also as the name of a member.
        raw = changed(hiring.next_message().raw, '"version":', f'"x{text}":1,"version":')
        await refused(hiring.line, raw, "bad_unicode")


@pytest.mark.parametrize(
    "bad",
    [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff"],
    ids=lambda bad: bad.hex(),
)
async def test_sc_18_invalid_utf8(world: World, bad: bytes) -> None:
    async with hiring_at(world, "ready") as hiring:
        raw = hiring.next_message().raw.replace(AMOUNT.encode(), b'"amount":"4' + bad + b'"')
        await refused(hiring.line, raw, "bad_unicode", how="close", close_code=1007)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le"])
async def test_sc_18_byte_order_marks_and_wider_encodings(world: World, encoding: str) -> None:
    async with hiring_at(world, "ready") as hiring:
        raw = hiring.next_message().raw.decode().encode(encoding)
        await refused(hiring.line, raw, "bad_unicode", how="close", close_code=1007)


# --- C. JSON-LD -----------------------------------------------------------------------------------------------------


def inserted(raw: bytes, place: str, member: str) -> bytes:
    """With a member more, at the begin of an object; the proof is left as it was."""
    return changed(raw, place, f"{place}{member},")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("member", ['"liability":"none"', '"maxSpendX":1', '"https://w3id.org/hire#cause":"breach"'])
@pytest.mark.parametrize("place", ["{", '"document":{', '"terms":{', '"price":{', '"grants":[{'])
async def test_sc_19_an_unknown_term_is_refused(world: World, suite: str, member: str, place: str) -> None:
    """Under the RDF suite the signed quads would be the same."""
    async with hiring_at(world, "ready", suite=suite, suites=(suite,)) as hiring:
        raw = hiring.next_message().raw
        await refused(hiring.line, inserted(raw, place, member), "unknown_term")


@pytest.mark.parametrize("member", ["liability", "cause"])
async def test_sc_19_signed_or_not(world: World, member: str) -> None:
    """A term that the context knows and this type has not is as unknown; that its sender signed it does not help."""
    async with hiring_at(world, "ready") as hiring:
        message = hiring.who.signed({**hiring.next_json(), member: "breach"}, world.clock.now())
        await refused(hiring.line, canonicalize(message), "unknown_term", path=f"/{member}")


async def test_sc_20_an_alias_is_refused(world: World) -> None:
    """The same quads with `cost` in the place of `price`: a reader of `price` would find nothing."""
    alias = {"cost": "https://w3id.org/hire#price", "budget": "https://w3id.org/hire#validUntil"}
    async with hiring_at(world, "ready") as hiring:
        now = world.clock.now()
        for where in ("message", "document"):
            message = hiring.next_json()
            if where == "message":
                message["@context"] = [message["@context"], alias]
                message["budget"] = message.pop("validUntil")
            else:
                message["document"]["@context"] = [message["document"]["@context"], alias]
                message["document"]["terms"]["cost"] = message["document"]["terms"].pop("price")
            signed = hiring.who.signed(message, now)
            told = await refused(hiring.line, canonicalize(signed), "context_not_allowed")
            assert told.path.endswith("/@context")


async def test_sc_20_a_context_inside_is_refused(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        for place in ('"terms":{', '"price":{', '"scope":{', '"task":{'):
            raw = inserted(hiring.next_message().raw, place, '"@context":{"cost":"https://w3id.org/hire#price"}')
            await refused(hiring.line, raw, "context_not_allowed")


async def test_sc_21_no_context_is_fetched(world: World, tmp_path: Path) -> None:
    """Not from a host that answers, nor from a file that is there, in a message or in what it carries."""
    came: list[object] = []

    async def answered(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        writer.close()

    file = tmp_path / "context.jsonld"
    file.write_text('{"@context": {}}')
    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    here = f"localhost:{server.sockets[0].getsockname()[1]}"
    urls = [
        f"http://{here}/context.jsonld",
        f"https://{here}/context.jsonld",
        file.as_uri(),
        'data:application/ld+json,{"@context":{}}',
        "https://w3id.org/hire/v1#",
        "https://w3id.org/hire/v1?",
        "context.jsonld",
    ]
    async with hiring_at(world, "profiled") as hiring:
        now = world.clock.now()
        for url in urls:
            for context in (url, ["https://w3id.org/hire/v1", url]):
                message = hiring.who.signed({**hiring.next_json(), "@context": context}, now)
                await refused(hiring.line, canonicalize(message), "context_not_allowed", path="/@context")
    async with hiring_at(world, "profiled") as hiring:
        for url in urls:
            # In a presentation and in the credential in it: signed by the suite that does not look into contexts.
            message = hiring.next_json()
            shown = message["presentation"]
            shown["@context"].append(url)
            message["presentation"] = hiring.who.signed(shown, now)
            signed = canonicalize(hiring.who.signed(message, now))
            await refused(hiring.line, signed, "context_not_allowed", how="Problem")
    server.close()
    assert not came


async def test_sc_22_a_peer_with_a_changed_context_does_not_start(tmp_path: Path) -> None:
    """Whatever it is that is to be served: it ends before it opens a socket or a store."""
    shutil.copytree(ROOT / "src/undersigned", tmp_path / "undersigned", ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path / "undersigned/jsonld/contexts/hire-v1.jsonld"
    text = target.read_text()
    assert "validUntil" in text
    assert await serving(tmp_path) == (0, b"here", b"")
    target.write_text(text.replace("validUntil", "validUnti1", 1))
    code, out, err = await serving(tmp_path)
    assert code != 0
    assert out == b""
    assert b"context_tampered" in err


async def serving(library: Path) -> tuple[int | None, bytes, bytes]:
    """What becomes of a program with this library that is about to serve."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import undersigned.daemon; print('here', end='')"),
        env={"PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await program.communicate()
    return program.returncode, out, err


@pytest.mark.parametrize("keyword", ["@graph", "@included", "@reverse", "@nest", "@set", "@id"])
async def test_sc_23_wrapping_keywords_are_refused(world: World, keyword: str) -> None:
    """A body in a graph, a second contract beside the first, edges the other way."""
    async with hiring_at(world, "ready") as hiring:
        now = world.clock.now()
        message = hiring.next_json()
        proof = message.pop("proof")
        document = json.loads(json.dumps(message["document"]))
        document["terms"]["price"]["amount"] = "1000000"
        smuggled = [
            {"@context": message["@context"], keyword: [message], "proof": proof},
            hiring.who.signed({"@context": message["@context"], "type": "Offer", keyword: [message]}, now),
            hiring.who.signed({**message, keyword: [document]}, now),
            hiring.who.signed({**message, "document": {**message["document"], keyword: [document]}}, now),
        ]
        for attack in smuggled:
            await refused(hiring.line, canonicalize(attack), "schema_violation")


@pytest.mark.parametrize("suite", SUITES)
async def test_sc_24_order_and_repeats_are_signed(world: World, suite: str) -> None:
    """Another order, or an entry twice, is another content: of the message, and of the document by itself."""

    def repeated(items: list[Any]) -> None:
        items.append(items[0])

    def turned(items: list[Any]) -> None:
        items.reverse()

    async with hiring_at(world, "ready", suite=suite, suites=(suite,)) as hiring:
        for path, change in (
            (("task", "inputs"), repeated),
            (("scope", "grants"), turned),
            (("deliverables", 0, "criteria"), turned),
        ):
            message = hiring.next_json()
            inside: Any = message["document"]["terms"]
            for step in path:
                inside = inside[step]
            assert len(inside) > 1 or change is repeated
            change(inside)
            await refused(hiring.line, canonicalize(message), "proof_invalid")
            # The message signed again by its sender: now it is the proof of the document that does not hold.
            # A scope has one order only, and is refused for that.
            again = canonicalize(hiring.who.signed(message, world.clock.now()))
            code = "schema_violation" if path[0] == "scope" else "proof_invalid"
            await refused(hiring.line, again, code, how="Problem")


def clique(size: int) -> list[dict[str, Any]]:
    """Blank nodes that all name each other."""
    return [
        {"id": f"_:b{one}", "memberOf": [f"_:b{other}" for other in range(size) if other != one]} for one in range(size)
    ]


@pytest.mark.parametrize("size", [8, 10, 16])
async def test_sc_25_a_poison_graph(world: World, size: int) -> None:
    """In a credential that the RDF suite would have to canonicalize: refused and others have their turn."""
    async with hiring_at(world, "profiled") as hiring:
        now = world.clock.now()
        member = hiring.who.member(now)
        subject = member["credentialSubject"]
        assert isinstance(subject, dict)
        poisoned = {**member, "credentialSubject": {**subject, "memberOf": clique(size)}}
        proof = {**member["proof"], "cryptosuite": "eddsa-rdfc-2022"}  # type: ignore[dict-item]
        proof.pop("@context", None)
        poisoned["proof"] = proof
        shown = hiring.who.shown(hiring.party, credentials=(poisoned,))
        raw = hiring.next_message(presentation=shown).raw
        await unblocked(AT_MOST_FOR_A_GRAPH, lambda: refused(hiring.line, raw, "canon_limit", how="Problem"))


async def test_sc_26_one_spelling_of_each_value(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        raw = hiring.next_message().raw
        typed = '{"@value":"4","@type":"http://www.w3.org/2001/XMLSchema#string"}'
        for value in (typed, '{"@list":["4"]}', '{"@id":"urn:x:4"}', '["4"]', "4"):
            await refused(hiring.line, changed(raw, AMOUNT, f'"amount":{value}'), "schema_violation")
