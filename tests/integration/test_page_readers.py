"""The readers of the verifier page in a real browser, beside those of the package: both take the same texts."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from browser import Tab
from moments import MOMENTS
from support import refuses
from undersigned.encoding import FOREIGN_LIMITS, MESSAGE_LIMITS, JsonLimits, canonicalize, decode_json, read_moment
from undersigned.errors import FormatError, UndersignedError
from undersigned.evidence import verifier_page
from undersigned.jsonld import HIRE_CONTEXT, compiled_quads, compiled_table
from undersigned.scope import parse_pattern

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
    expected = [read_target(one) for one in texts]
    assert [one for one in zip(texts, expected, came, strict=True) if one[1] != one[2]] == []
    assert min(Counter(expected).values()) > 500


def read_target(text: str) -> str:
    try:
        parse_pattern(text)
    except UndersignedError as error:
        return error.code
    return "good"


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
