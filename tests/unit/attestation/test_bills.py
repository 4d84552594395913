"""Bills of materials of either format are read, validated, and held against what they describe (HIRE-ATT-09)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from typing import Any

import pytest
from jsonschema import _utils

from bills import cyclonedx, spdx
from support import ROOT
from undersigned.attestation.bills import check_bills, read_bill
from undersigned.attestation.references import is_iri_reference
from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError, VerificationError

APP, OTHER = b"the app", b"another"
CYCLONEDX, SPDX = "CycloneDX 1.6", "SPDX 2.3"
TYPES = {CYCLONEDX: "application/vnd.cyclonedx+json", SPDX: "application/spdx+json"}
MAKE = {CYCLONEDX: cyclonedx, SPDX: spdx}
BOTH = pytest.mark.parametrize("format", [CYCLONEDX, SPDX])


def code(format: str, artifacts: dict[str, Any], inputs: dict[str, bytes] | None = None, kind: str = "") -> str:
    types = {name: kind or TYPES[format] if name.startswith("bill") else "text/plain" for name in artifacts}
    try:
        check_bills(format, artifacts, types, inputs or {})
    except UndersignedError as error:
        return error.code
    return ""


@BOTH
def test_what_a_bill_says_is_read(format: str) -> None:
    read = read_bill(MAKE[format](APP), format)
    assert read.describes == {sha256(APP).hexdigest()}
    assert read.files == {"app/main.py": sha256(b"main").hexdigest()}


def test_files_are_those_whose_digest_is_there() -> None:
    components = json.loads(cyclonedx(APP))["components"]
    components += [components[0] | {"type": "library", "name": "a library"}, {"type": "file", "name": "no digest"}]
    files = json.loads(spdx(APP))["files"]
    checksums = [{"algorithm": "SHA1", "checksumValue": "0" * 40}]
    files += [files[0] | {"SPDXID": "SPDXRef-other", "fileName": "./no-digest", "checksums": checksums}]
    for format, bill in ((CYCLONEDX, cyclonedx(APP, components=components)), (SPDX, spdx(APP, files=files))):
        assert list(read_bill(bill, format).files) == ["app/main.py"]


@BOTH
def test_every_artifact_is_described(format: str) -> None:
    make = MAKE[format]
    assert code(format, {"app": APP, "bill": make(APP)}) == ""
    assert code(format, {"app": digest_bytes(APP), "bill": make(APP)}) == ""
    assert code(format, {"app": APP, "bill": make(OTHER)}) == "digest_mismatch"
    assert code(format, {"app": APP[:-1], "bill": make(APP)}) == "digest_mismatch"
    assert code(format, {"app": APP, "other": OTHER, "bill": make(APP)}) == "digest_mismatch"
    assert code(format, {"app": APP, "other": OTHER, "bill-1": make(APP), "bill-2": make(OTHER)}) == ""


@BOTH
def test_a_bill_alone_describes_an_input(format: str) -> None:
    make = MAKE[format]
    assert code(format, {"bill": make(APP)}, {"wheel": APP, "more": b"x"}) == ""
    assert code(format, {"bill": make(APP)}, {"wheel": OTHER}) == "digest_mismatch"
    assert code(format, {"bill": make(APP)}) == "digest_mismatch"


@BOTH
def test_no_bill_of_the_format_is_none(format: str) -> None:
    other = SPDX if format == CYCLONEDX else CYCLONEDX
    assert code(format, {"app": APP}) == "digest_mismatch"
    assert code(format, {"app": APP, "bill": MAKE[other](APP)}, kind=TYPES[other]) == "digest_mismatch"
    assert code(format, {"app": APP, "bill": MAKE[other](APP)}) == "schema_violation"


@BOTH
def test_a_bill_whose_bytes_are_not_at_hand_describes_nothing(format: str) -> None:
    """HIRE-ATT-09: its digest says nothing of what is in it."""
    artifacts = {"app": APP, "bill": digest_bytes(MAKE[format](APP))}
    with pytest.raises(VerificationError, match="the bill 'bill' is not at hand"):
        check_bills(format, artifacts, {"app": "text/plain", "bill": TYPES[format]}, {})


@BOTH
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", "bad_json"),
        (b"[]", "schema_violation"),
        (b"{}", "schema_violation"),
        (b'{"a":1,"a":1}', "bad_json"),
        (b"[" * 100_000, "too_deep"),
        (b" " * (16 * 1024 * 1024 + 1), "too_large"),
    ],
    ids=["nothing", "array", "empty", "name twice", "deep", "large"],
)
def test_other_bytes_are_refused(format: str, data: bytes, wanted: str) -> None:
    assert code(format, {"bill": data}, {"app": APP}) == wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"spdxVersion": "SPDX-2.2"},
        {"spdxVersion": "SPDX-3.0"},
        {"spdxVersion": 23},
        {"dataLicense": "MIT"},
        {"SPDXID": "SPDXRef-Document"},
        {"documentNamespace": None},
        {"creationInfo": None},
        {"creationInfo": []},
        {"packages": {}},
        {"packages": [1]},
        {"files": "x"},
        {"relationships": [{"spdxElementId": "SPDXRef-DOCUMENT"}]},
        {"relationships": 1},
    ],
    ids=str,
)
def test_an_spdx_document_that_is_not_valid_is_refused(changes: dict[str, Any]) -> None:
    assert code(SPDX, {"app": APP, "bill": spdx(APP, **changes)}) == "schema_violation"


def test_only_what_the_spdx_document_describes_counts() -> None:
    """A package that is merely contained proves nothing, nor does a digest by SHA-1; both ways to say it are read."""
    relation = {"spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": "SPDXRef-app"}
    contains = spdx(APP, relationships=[{**relation, "relationshipType": "CONTAINS"}])
    assert code(SPDX, {"app": APP, "bill": contains}) in ("digest_mismatch", "schema_violation")
    packages = json.loads(spdx(APP))["packages"]
    weak = [{"algorithm": "SHA1", "checksumValue": "0" * 40}]
    assert (
        code(SPDX, {"app": APP, "bill": spdx(APP, packages=[{**packages[0], "checksums": weak}])}) == "digest_mismatch"
    )
    turned = {"spdxElementId": "SPDXRef-app", "relatedSpdxElement": "SPDXRef-DOCUMENT"}
    by = spdx(APP, relationships=[{**turned, "relationshipType": "DESCRIBED_BY"}])
    assert code(SPDX, {"app": APP, "bill": by}) == ""
    listed = spdx(APP, relationships=None, documentDescribes=["SPDXRef-app"])
    assert code(SPDX, {"app": APP, "bill": listed}) == ""


@pytest.mark.parametrize(
    ("one", "kind", "other"),
    [
        ("SPDXRef-DOCUMENT", "CONTAINS", "SPDXRef-other"),
        ("SPDXRef-app", "DESCRIBES", "SPDXRef-other"),
        ("SPDXRef-other", "DESCRIBED_BY", "SPDXRef-app"),
        ("SPDXRef-other", "CONTAINED_BY", "SPDXRef-DOCUMENT"),
    ],
)
def test_beside_what_a_document_describes_nothing_is_described(one: str, kind: str, other: str) -> None:
    """HIRE-ATT-09: what the document only contains, or one of its packages describes."""
    packages = json.loads(spdx(APP))["packages"]
    packages.append({**json.loads(spdx(OTHER))["packages"][0], "SPDXID": "SPDXRef-other"})
    given = json.loads(spdx(APP))["relationships"]

    def bill(one: str, kind: str, other: str) -> bytes:
        more = {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
        return spdx(APP, packages=packages, relationships=[*given, more])

    described = bill("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-other")
    assert code(SPDX, {"app": APP, "other": OTHER, "bill": described}) == ""
    assert code(SPDX, {"app": APP, "other": OTHER, "bill": bill(one, kind, other)}) == "digest_mismatch"


def test_a_cyclonedx_document_describes_its_root_alone() -> None:
    listed = cyclonedx(OTHER, components=json.loads(cyclonedx(APP))["components"])
    assert code(CYCLONEDX, {"app": b"main", "bill": listed}) == "digest_mismatch"
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, specVersion="1.5")}) == "schema_violation"
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, metadata={})}) == "digest_mismatch"


def test_a_format_that_is_not_read_is_refused() -> None:
    assert code("SPDX 3.0", {"app": APP, "bill": spdx(APP)}, kind="application/spdx+json") == "digest_mismatch"
    assert code("Own 1", {"app": APP, "bill": b"{}"}, kind="text/plain") == "digest_mismatch"


def test_items_that_have_to_differ_are_not_held_each_against_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bill of a megabyte would take longer than a review lasts, and what nobody looked at is accepted by silence."""
    compared: list[object] = []
    equal: Any = _utils.equal

    def counted(one: object, two: object) -> bool:
        compared.append(one)
        return bool(equal(one, two))

    monkeypatch.setattr(_utils, "equal", counted)
    files = [{"type": "file", "name": f"file {number}"} for number in range(500)]
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, components=files)}) == ""
    assert len(compared) < len(files)
    evidence = [{"evidence": {"identity": [{"field": "name", "confidence": one}]}} for one in (0, 0.0, 0.5)]
    same = [{"type": "file", "name": "one"} | one for one in evidence]
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, components=same[1:])}) == ""
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, components=same[:2])}) == "schema_violation"
    turned = [dict(reversed(same[0].items())), same[0]]
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, components=turned)}) == "schema_violation"


def test_a_bill_is_checked_without_grammars_that_nobody_needs_and_the_library_stays_whole() -> None:
    """They took longer than all else that a process does with a bill."""
    program = """if True:
        import sys
        from bills import cyclonedx
        from undersigned.attestation.bills import read_bill
        read_bill(cyclonedx(b"the app"), "CycloneDX 1.6")
        assert "jsonschema" in sys.modules and "rfc3987_syntax" not in sys.modules
        from jsonschema import Draft7Validator
        for name, right, wrong in (("iri", "http://a/\u00e9", "a/b"), ("iri-reference", "a/\u00e9", "a b")):
            checked = Draft7Validator({"format": name}, format_checker=Draft7Validator.FORMAT_CHECKER)
            print(checked.is_valid(right), checked.is_valid(wrong))
        print("rfc3987_syntax" in sys.modules)
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False", "True", "False", "True"]


def test_bills_are_looked_at_at_once() -> None:
    """Of two reviews that were the first of their process, one ended in a defect of ours, and began again."""
    program = """if True:
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier
        from undersigned.attestation.quick_schemas import import_jsonschema
        together = Barrier(4)
        def looked_at(_):
            together.wait()
            return import_jsonschema().__name__
        with ThreadPoolExecutor(4) as threads:
            print(*threads.map(looked_at, range(4)))
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["jsonschema"] * 4


def test_relationships_are_bounded_by_what_they_are_searched_among() -> None:
    """The library looks for each of them among all packages and files."""
    whole = json.loads(spdx(APP))
    many = [{**whole["files"][0], "SPDXID": f"SPDXRef-{number}"} for number in range(10_000)]
    related = whole["relationships"] * 10_001
    assert code(SPDX, {"app": APP, "bill": spdx(APP, files=many, relationships=related)}) == "too_large"
    listed = {"relationships": None, "documentDescribes": ["SPDXRef-app"] * 10_001}
    assert code(SPDX, {"app": APP, "bill": spdx(APP, files=many, **listed)}) == "too_large"
    held = [{**whole["packages"][0], "hasFiles": ["SPDXRef-0"] * 10_001}]
    assert code(SPDX, {"app": APP, "bill": spdx(APP, files=many, packages=held)}) == "too_large"


REFERENCES = {
    True: [
        *("", "a", "a/b", "http://a", "http://a:80/x?y#z", "//a/b", "///x", "./a:b", "a%41", "\u00e9", "x?\ue000"),
        *("http://\u00e9.example/\u00fc", "http://u:p@h/", "http://h@/", "mailto:x@y", "urn:x:y", "#", "?", "a?b?c"),
        *("http://", "http:", "http:a", "http://a//b", "http://a:/", "http://[v1.a:b]/", "pkg:pypi/x@1?y=z#q"),
        "//[1:2:3:4:5:6:7:8]:80",
    ],
    False: [
        *("http://a:x/", "http://[::1", "http://[1.2.3.4]/", "a:b c", "1:b", ":a", "a b", "a%4", "%zz", "x#\ue000"),
        *("a\\b", "a|b", "<a>", "http://u@p@h/", "a#b#c", "\0", "a\n", "http://a:80:80/", "[", "a[b]", "\ufdd0"),
        *(
            "http://a:\u0663/",
            "http://[::1%25eth0]/",
            "a^b",
            "a`b",
            "{a}",
            '"a"',
            "?a[b]",
            "http://a%zz/",
            "http://a[b]/",
        ),
        "//[1:2:3:4:5:6:7:8]80",
    ],
}


@pytest.mark.parametrize(("holds", "text"), [(holds, text) for holds in REFERENCES for text in REFERENCES[holds]])
def test_a_reference_is_one_by_its_standard(holds: bool, text: str) -> None:
    """As the grammar of the library has it, which takes a millisecond for each character."""
    from rfc3987_syntax import is_valid_syntax  # more than a second, and not for each process that collects

    assert is_iri_reference(text) is bool(is_valid_syntax("iri_reference", text)) is holds


def test_a_long_reference_is_read_in_a_bill() -> None:
    """By the library's grammar this one would take a quarter of an hour."""
    references = [{"type": "website", "url": f"https://app.example/{'a' * 500_000}"}]
    component = json.loads(cyclonedx(APP))["metadata"]["component"] | {"externalReferences": references}
    assert code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, metadata={"component": component})}) == ""
    references[0]["url"] += " "
    assert (
        code(CYCLONEDX, {"app": APP, "bill": cyclonedx(APP, metadata={"component": component})}) == "schema_violation"
    )
    assert is_iri_reference("http://[::1]/")
    assert is_iri_reference("\U000e1000")


def doubled(format: str, more: str) -> dict[str, Any]:
    """What a bill of the app says of it and of its file, each with another SHA-256 beside the right one."""
    made = json.loads(MAKE[format](APP))
    if format == CYCLONEDX:
        made["metadata"]["component"]["hashes"].append({"alg": "SHA-256", "content": more})
    else:
        made["packages"][0]["checksums"].append({"algorithm": "SHA256", "checksumValue": more})
    return made


@BOTH
def test_one_thing_has_one_digest(format: str) -> None:
    """HIRE-ATT-09: with two of one kind a bill would describe the artifact of which it is, and another."""
    right = sha256(APP).hexdigest()
    assert code(format, {"app": APP, "bill": json.dumps(doubled(format, "0" * 64)).encode()}) == "schema_violation"
    assert code(format, {"app": APP, "bill": json.dumps(doubled(format, right)).encode()}) in ("", "schema_violation")
    made = json.loads(MAKE[format](APP))
    if format == CYCLONEDX:
        made["components"][0]["hashes"].append({"alg": "SHA-256", "content": "0" * 64})
    else:
        made["files"][0]["checksums"].append({"algorithm": "SHA256", "checksumValue": "0" * 64})
    assert code(format, {"app": APP, "bill": json.dumps(made).encode()}) == "schema_violation", "a file in it"
