"""The readers of the verifier page in a real browser, beside those of the package: both take the same texts."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from browser import Tab
from integration.test_js_crossings import histories, holds
from moments import MOMENTS
from properties.test_crossings import PUT_DOWN, QUIET, WORK_ONLY
from support import ROOT, refuses
from undersigned.encoding import (
    FOREIGN_LIMITS,
    MESSAGE_LIMITS,
    JsonLimits,
    canonicalize,
    decode_json,
    digest_from_hash,
    read_moment,
    to_struct,
)
from undersigned.errors import FormatError, UndersignedError
from undersigned.evidence import verifier_page
from undersigned.jsonld import HIRE_CONTEXT, compiled_quads, compiled_table
from undersigned.protocol import ROLES, Engagement
from undersigned.scope import WireScope, parse_pattern, whole_scope
from undersigned.testing import amendment, release
from undersigned.transparency import EMPTY_ROOT, consistency_path, leaf_hash, node_hash, root_at, verify_consistency

SCRIPTS = Path(verifier_page.__code__.co_filename).parent / "verifier"
READERS = (SCRIPTS / "encoding.js").read_text()
"""The part of the page that reads bytes and texts, to be called by itself."""
TOKENS = (
    *("{", "}", "[", "]", ",", ":", " ", "\t", "\n", "\x0b", "\u00a0", "\ufeff", "true", "false", "null", "tru", "NaN"),
    *("Infinity", "-Infinity", "0", "-0", "-", "1", "01", "+1", "1.", ".5", "1.5", "1.0", "1e3", "1E+2", "1e", "0x1"),
    *("2e308", "1e-400", "-1e-400", "1e21", "5e-324", "9007199254740991", "9007199254740992", "-9007199254740991"),
    *('"a"', '"b"', '"é"', '"\x7f"', '"\u0085"', '"\t"', '"\ufdd0"', '""', '"', "'a'", '"__proto__"', '"0"', '"\\"'),
    *('"\\u0041"', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\/"', '"\\v"', '"\\u12"', '\\"', "\\"),
)
"""What JSON is made of, and what it is not."""


def test_both_read_json_alike(page: Tab) -> None:
    """HIRE-PCK-04, HIRE-JSN-01: the same values, or the same code, also of several faults."""
    texts = [*edges_of_json(), *generated_json(6000)]
    calls = f"JSON.parse({json.dumps(json.dumps([base64.b64encode(one).decode() for one in texts]))})"
    for own, limits in (("MESSAGE_LIMITS", MESSAGE_LIMITS), ("FOREIGN_LIMITS", FOREIGN_LIMITS)):
        came = page.eval(
            f"""(() => {{ {READERS}
              return {calls}.map((text) => {{
                try {{
                  return `=${{canonicalText(decodeJson(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), {own}))}}`;
                }} catch (error) {{
                  return error instanceof Refused ? error.code : String(error);
                }}
              }}); }})()"""
        )
        expected = [read_json(one, limits) for one in texts]
        assert [one for one in zip(texts, expected, came, strict=True) if one[1] != one[2]] == []
        for code in ("bad_json", "bad_unicode", "number_out_of_range", "too_deep", "too_large"):
            assert expected.count(code) > 3, code
        assert sum(one.startswith("=") for one in expected) > 500


def read_json(text: bytes, limits: JsonLimits) -> str:
    try:
        return f"={canonicalize(decode_json(text, limits)).decode()}"
    except UndersignedError as error:
        return error.code


def edges_of_json() -> Iterator[bytes]:
    """Each token in each place, and each size on both sides of a limit."""
    for token in TOKENS:
        for around in ("%s", "[%s]", "[1,%s]", '{"a":%s}', '{"a":1,%s:2}', '["\x7f",%s'):
            yield (around.replace("%s", token)).encode()
    for depth in (15, 16, 17, 32, 33, 34):
        yield b"[" * depth + b"]" * depth
        yield b"x" + b'{"a":' * depth
        yield b'["' + b"[" * depth + b'"]'
    for count in (256, 257, 1024, 1025, 4096, 4097):
        yield json.dumps(dict.fromkeys(map(str, range(count)), 1)).encode()
        yield json.dumps([1] * count).encode()
    for size in (65_500, 65_536, 65_537):
        yield b'"%s"' % (b"a" * size)


def generated_json(count: int) -> Iterator[bytes]:
    dice = Random(7)

    def value(depth: int) -> str:
        kind = dice.random()
        if not depth or kind < 0.4:
            return dice.choice(['"a"', "1", "0", "-1", "1.5", "true", "null", '"é"', '"x\\ny"', "1e3", "[]", "{}"])
        many = range(dice.randint(0, 3))
        if kind < 0.7:
            return f"[{','.join(value(depth - 1) for _ in many)}]"
        names = dice.sample(["a", "b", "é", "__proto__", "7", "0", "\U0001f600", "\uff5e"], len(many))
        return "{" + ",".join(f'"{name}":{value(depth - 1)}' for name in names) + "}"

    for _ in range(count):
        text = list(value(3))
        for _ in range(dice.randint(0, 3)):
            place = dice.randrange(len(text) + 1)
            text[place : place + dice.randint(0, 1)] = dice.choice([[], [dice.choice(TOKENS)]])
        raw = "".join(text).encode()
        if dice.random() < 0.02:
            place = dice.randrange(len(raw) + 1)
            raw = raw[:place] + bytes([dice.randrange(256)]) + raw[place:]
        yield raw


def test_both_read_targets_alike(page: Tab) -> None:
    """HIRE-PCK-04, HIRE-SCO-04: what a scope may name, and what has more than one reading."""
    dice = Random(5)
    parts = (
        "a",
        "*",
        ".",
        "..",
        ";",
        "%3B",
        "%2e",
        "%2F",
        "%C0",
        "%AF",
        "%C3%A4",
        "%e4",
        "%25",
        "%7f",
        "x",
        "/",
        "?",
        "%",
    )
    texts = ["https://acme.example/" + "".join(dice.choices(parts, k=dice.randint(0, 5))) for _ in range(4000)]
    came = page.eval(
        f"""(() => {{ {READERS} {(SCRIPTS / "scope.js").read_text()}
          return {json.dumps(texts)}.map((text) => {{
            try {{
              parsePattern(text);
              return "good";
            }} catch (error) {{
              return error instanceof Refused ? error.code : String(error);
            }}
          }}); }})()"""
    )
    expected = [taken(lambda text=text: parse_pattern(text)) for text in texts]
    assert [one for one in zip(texts, expected, came, strict=True) if one[1] != one[2]] == []
    assert min(Counter(expected).values()) > 500


def taken(reads: Callable[[], object]) -> str:
    """The code of the refusal, or that there is none."""
    try:
        reads()
    except UndersignedError as error:
        return error.code
    return "good"


def test_both_read_the_scopes_of_the_vectors_alike(page: Tab) -> None:
    """HIRE-PCK-04, HIRE-SCO-01: each form of a clause, and each that is none; the page holds no action against one."""
    data = next(line for line in verifier_page().decode().splitlines() if line.startswith("const DATA = "))
    texts = [(one / "input.json").read_text() for one in sorted((ROOT / "protocol-spec/vectors/scopes").iterdir())]
    named = {"urn:x:y": {"more": 1}}
    for more in ({"critical": ["urn:x:y"]}, {"extensions": named}, {"extensions": named, "critical": ["urn:x:y"]}):
        texts.append(json.dumps(json.loads(texts[0]) | more))
    scripts = "".join((SCRIPTS / f"{name}.js").read_text() for name in ("encoding", "scope", "documents"))
    came = page.eval(
        f"""(() => {{ {data} {scripts}
          return {json.dumps(texts)}.map((text) => {{
            try {{
              const scope = decodeJson(new TextEncoder().encode(text), FOREIGN_LIMITS);
              checkSchema(DATA.schemas.WireScope, scope);
              readScope(scope);
              return "good";
            }} catch (error) {{
              return error instanceof Refused ? error.code : String(error);
            }}
          }}); }})()"""
    )
    expected = [
        taken(lambda text=text: whole_scope(to_struct(decode_json(text.encode()), WireScope))) for text in texts
    ]
    assert [one for one in zip(texts, expected, came, strict=True) if one[1] != one[2]] == []
    assert min(Counter(expected)[one] for one in ("good", "schema_violation")) > 25


def test_both_take_consistency_proofs_alike(page: Tab) -> None:
    """HIRE-PCK-04, RFC 9162, section 2.1.4.2: of small trees, and with one thing wrong."""
    cases = list(trees())
    told = [
        [old, old_root.hex(), size, root.hex(), [digest_from_hash(one) for one in path]]
        for old, old_root, size, root, path in cases
    ]
    came = page.eval(
        f"""(() => {{ {READERS} {(SCRIPTS / "logs.js").read_text()}
          const bytes = (hex) => Uint8Array.from(hex.match(/../g), (two) => parseInt(two, 16));
          return Promise.all({json.dumps(told)}.map(async ([old, oldRoot, size, root, path]) => {{
            try {{
              await verifyConsistency(old, bytes(oldRoot), size, bytes(root), path);
              return "good";
            }} catch (error) {{
              return error instanceof Refused ? error.code : String(error);
            }}
          }})); }})()"""
    )
    expected = [taken(lambda case=case: verify_consistency(*case)) for case in cases]
    assert [one for one in zip(cases, expected, came, strict=True) if one[1] != one[2]] == []
    assert Counter(expected).keys() == {"good", "log_proof_invalid"}
    assert min(Counter(expected).values()) > 50


def trees() -> Iterator[tuple[int, bytes, int, bytes, tuple[bytes, ...]]]:
    leaves = [leaf_hash(bytes([number])) for number in range(9)]

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    roots = [EMPTY_ROOT, *(root_at(size, node) for size in range(1, 10))]
    other = leaf_hash(b"other")
    for size in range(10):
        for old in range(size + 1):
            path = consistency_path(old, size, node) if old else ()
            yield old, roots[old], size, roots[size], path
            yield old, other, size, roots[size], path
            yield old, roots[old], size, other, path
            yield old, roots[old], size, roots[size], (*path, other)
            yield old, roots[old], size, roots[size], path[:-1]
            yield size + 1, roots[old], size, roots[size], path


def test_both_read_times_alike(page: Tab) -> None:
    """HIRE-PCK-04, HIRE-JSN-06: to the microsecond, in all the years that there are."""
    texts = [*MOMENTS, *generated_times(3000)]
    came = page.eval(
        f"(() => {{ {READERS} return {json.dumps(texts)}.map((text) => moment(text)?.toString() ?? null); }})()"
    )
    start = datetime(1970, 1, 1, tzinfo=UTC)
    found = [read_moment(text) for text in texts]
    expected = [None if at is None else str((at - start) // timedelta(microseconds=1)) for at in found]
    assert [one for one in zip(texts, expected, came, strict=True) if one[1] != one[2]] == []
    assert 500 < expected.count(None) < 2500


def test_both_refuse_alike_what_the_context_has_not(page: Tab) -> None:
    """HIRE-LD-03, HIRE-LD-04: also where no schema has looked before, in a document and in the options of a proof."""
    documents = [
        {"@context": HIRE_CONTEXT, "type": kind, "id": "urn:x:y", name: "x"}
        for kind in ("Contract", "DataIntegrityProof")
        for name in ("more", "@id", "constructor")
    ]
    came = page.eval(
        f"""(() => {{ const DATA = {{ context: {json.dumps(compiled_table())} }};
          {READERS} {(SCRIPTS / "quads.js").read_text()}
          const told = (error) => error.code ?? String(error);
          return Promise.all({json.dumps(documents)}.map((one) => quadsOf(one).catch(told)));
        }})()"""
    )
    expected = ["unknown_term", "schema_violation", "unknown_term"] * 2
    assert came == expected
    for one, code in zip(documents, expected, strict=True):
        with refuses(FormatError, code):
            compiled_quads(one)


def test_both_come_to_the_same_by_what_crossed(page: Tab) -> None:
    """HIRE-PCK-04, HIRE-CHN-09: what is void counts all the same where it disputes, rules on or ends a dispute. Both
    keep the same of that, whether or not a later move asks for it.
    """

    def kept(view: Engagement) -> dict[str, Any]:
        contract = view.contract
        assert contract is not None
        return {
            **holds(view),
            "disputes": [one.digest for one in contract.disputes],
            "resolved": [one.digest for one in contract.resolved],
            "released": contract.released and contract.released.digest,
            "accepted": any((one.basis, one.detail) == ("review", "accepted") for one in contract.endings),
        }

    taken: list[Any] = []
    held: list[Any] = []
    walks = [(one, 3, QUIET, 60) for one in ("working", "delivered", "disputed", "closing")]
    walks += [(one, 4, WORK_ONLY, 60) for one in ("working", "delivered")]
    for came, ends in (
        *(histories(*one, told=kept) for one in walks),
        *(
            histories("delivered", 4, without, 150, (owner, document), told=kept)
            for owner in ROLES
            for document in (amendment(), release())
            for without in (PUT_DOWN, PUT_DOWN - {"Dispute"})
        ),
    ):
        taken += came
        held += ends
    said: dict[str, int] = {}
    told = [
        [one["view"], [[said.setdefault(json.dumps(message), len(said)), at] for message, at in one["lines"]]]
        for one in taken
    ]
    data = next(line for line in verifier_page().decode().splitlines() if line.startswith("const DATA = "))
    names = "encoding keys quads scope proofs messages documents statements engagement guards facts untimely"
    scripts = "".join((SCRIPTS / f"{name}.js").read_text() for name in names.split())
    found = page.eval(
        f"""(async () => {{ {data} {scripts}
          const strongest = ["ruling", "release", "silence", "review", "terminate"];
          const basisOf = (ends) => strongest.find((of) => ends.some((one) => one.basis === of)) ?? null;
          const said = await Promise.all({json.dumps(list(said))}.map((text) => decodeMessage(encode(text))));
          const fold = async ([view, lines]) => {{
            const {{ sender, recipient, engagement: id }} = said[lines[0][0]].content;
            const [own, peer] = view === "hirer" ? [sender, recipient] : [recipient, sender];
            let engagement = begin(view, own, peer, id);
            for (const [number, at] of lines) {{
              engagement = await apply(engagement, said[number], said[number].content.sender === own, at);
            }}
            const {{ state, lane, contract }} = engagement;
            const digests = (marks) => marks.map((one) => one.digest);
            const kept = {{ disputes: digests(contract.disputes), resolved: digests(contract.resolved) }};
            const released = contract.released?.digest ?? null;
            return {{ state, lane, basis: basisOf(contract.endings), ...kept, released, accepted: contract.accepted }};
          }};
          const told = {json.dumps(told)};
          return Promise.all(told.map((one) => fold(one).catch((error) => String(error.code ?? error))));
        }})()"""
    )
    assert [one for one in zip(held, found, strict=True) if one[0] != one[1]] == []
    assert Counter(one["basis"] for one in held)["ruling"] > 10


def generated_times(count: int) -> Iterator[str]:
    dice = Random(7)
    for _ in range(count):
        year, month, day = dice.choice([0, 1, 99, 1900, 2000, 2026, 9999]), dice.randint(0, 13), dice.randint(1, 31)
        hour, minute, second = (
            dice.choice([0, 12, 23, 23, 24]),
            dice.choice([0, 59, 59, 60]),
            dice.choice([0, 59, 59, 60]),
        )
        fraction = dice.choice(["", "", f".{dice.randrange(10 ** dice.randint(1, 10))}"])
        zone = dice.choice(["Z", "+", "-"])
        if zone != "Z":
            zone += f"{dice.choice([0, 9, 13, 14, 15]):02d}:{dice.choice([0, 30, 59, 60]):02d}"
        yield f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}{fraction}{zone}"
