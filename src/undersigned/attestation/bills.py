"""Bills of materials: read, validated by the schema of their format, and held against what they describe.

The only module that uses the libraries of CycloneDX and SPDX for reading. Needs the extra `prov`; for SPDX, `spdx`.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.9; CycloneDX 1.6; SPDX 2.3
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct

from undersigned.encoding import Digest, JsonLimits, decode_json, digest_hex
from undersigned.errors import ConfigurationError, FormatError, VerificationError

from .quick_schemas import import_jsonschema
from .references import is_iri_reference

__all__ = ["BILLS", "LIMITS", "MAX_BILLS_BYTES", "MEDIA_TYPES", "Bill", "check_bills", "read_bill"]

MAX_BILL_BYTES: Final = 16 * 1024 * 1024
LIMITS: Final = JsonLimits(
    max_bytes=MAX_BILL_BYTES,
    max_depth=64,
    max_members=4096,
    max_items=500_000,
    max_string=1024 * 1024,
    nulls=True,
    floats=True,
    control_characters=True,
    ascii_names=False,
)


MAX_BILLS_BYTES: Final = 4 * MAX_BILL_BYTES
"""All bills of one delivery together: each takes a minute at most, and the review lasts an hour."""
MAX_SPDX_PAIRS: Final = 10**8
"""Relationships times elements: 10,000 of each, which take minutes."""


class Bill(Struct, frozen=True, kw_only=True):
    """A bill that is valid in its format."""

    describes: frozenset[str]
    """SHA-256, in hex, of what it says it is about."""
    files: Mapping[str, str]
    """Path and SHA-256 of each file that it lists."""


def read_bill(data: bytes, format: str) -> Bill:
    """The bill, of a format and version that `BILLS` names, once it is valid.

    Raises:
        FormatError: `schema_violation`, and those of the strict parser: it is not.
        VerificationError: `digest_mismatch`: bills of this format are not read here.
        ConfigurationError: `missing_extra`.
    """
    reader = BILLS.get(format)
    if reader is None:
        raise VerificationError("digest_mismatch", f"expected a bill as {' or '.join(BILLS)}; asked for {format!r:.80}")
    # The strict reader first: the libraries would take a name twice, and nest as deep as the stack allows.
    value = decode_json(data, LIMITS)
    if not isinstance(value, dict):
        raise FormatError("schema_violation", "expected a bill of materials; came another JSON value")
    return reader(data.decode(), value)


def check_bills(
    format: str,
    artifacts: Mapping[str, Digest | bytes],
    media_types: Mapping[str, str],
    inputs: Mapping[str, Digest | bytes],
) -> None:
    """Returns if the artifacts of this format's media type are valid bills, and describe every other artifact; where
    nothing else was delivered, an input (HIRE-ATT-09). A bill is given as its bytes; of
    everything else the digest does.

    Raises:
        VerificationError: `digest_mismatch`: there is none, or something that it has to describe is not described.
        FormatError, ConfigurationError: As `read_bill`.
    """
    wanted = MEDIA_TYPES.get(format.partition(" ")[0])
    bills = {name: data for name, data in artifacts.items() if media_types.get(name) == wanted}
    if not bills:
        raise VerificationError("digest_mismatch", f"expected a bill of materials as {format!a:.80}; there is none")
    described: set[str] = set()
    for name, data in bills.items():
        if not isinstance(data, bytes):
            raise VerificationError("digest_mismatch", f"the bill {name!a:.200} is not at hand")
        described |= read_bill(data, format).describes
    others = {name: _hex_of(data) for name, data in artifacts.items() if name not in bills}
    if missing := [name for name, digest in others.items() if digest not in described]:
        raise VerificationError("digest_mismatch", f"no bill of materials describes {missing[0]!a:.200}")
    if not others and not described & {_hex_of(data) for data in inputs.values()}:
        raise VerificationError("digest_mismatch", "the bill of materials describes none of the inputs")


MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"CycloneDX": "application/vnd.cyclonedx+json", "SPDX": "application/spdx+json"}
)


def _hex_of(thing: Digest | bytes) -> str:
    return sha256(thing).hexdigest() if isinstance(thing, bytes) else digest_hex(thing)


def _one_sha256(found: Iterable[str], of: str) -> str | None:
    """The SHA-256 of one thing, None if there is none. With two it would describe two artifacts, of which it is one."""
    digests = {digest.lower() for digest in found}
    if len(digests) > 1:
        raise FormatError("schema_violation", f"{of[:200]!a} has {len(digests)} different SHA-256")
    return next(iter(digests), None)


def _cyclonedx_sha256(component: Mapping[str, Any]) -> str | None:
    hashes = component.get("hashes") or ()
    return _one_sha256((str(one["content"]) for one in hashes if one["alg"] == "SHA-256"), str(component.get("name")))


@lru_cache(maxsize=1)
def _cyclonedx_schema() -> Any:
    """What validates by the strict schema of CycloneDX 1.6, in time that grows with the bill and not with its square.

    Of the library's own, two checks take longer than any review lasts: that of items that have to differ, which holds
    each against each, and that of references by a whole grammar.
    """
    try:
        import_jsonschema()
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
        from jsonschema import FormatChecker, validators
    except ImportError as exc:
        raise ConfigurationError("missing_extra", "checking CycloneDX needs the extra: undersigned[prov]") from exc
    found: Any = JsonStrictValidator(SchemaVersion.V1_6)
    slow = found._validator
    formats: Any = FormatChecker()
    formats.checkers = {**slow.format_checker.checkers, "iri-reference": (is_iri_reference, ())}
    library: Any = validators
    quick: Any = library.extend(type(slow), {"uniqueItems": _unique_items})
    return quick(slow.schema, registry=slow._registry, format_checker=formats)


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: set[str] = set()
    for one in instance:
        seen.add(json.dumps(_plain(one), sort_keys=True))
    if len(seen) < len(instance):
        yield ValidationError("items that have to differ are the same")


def _plain(value: Any) -> Any:
    """The same with one spelling of each number: for JSON Schema 1 and 1.0 are one."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _cyclonedx(text: str, value: Mapping[str, Any]) -> Bill:
    wrong: Any = next(_cyclonedx_schema().iter_errors(json.loads(text)), None)
    if wrong is not None:
        where = "/".join(map(str, wrong.absolute_path))
        raise FormatError("schema_violation", f"not valid CycloneDX 1.6 at /{where:.100}: {wrong.message[:300]!a}")
    if value.get("specVersion") != "1.6":  # the schema takes any text here
        raise FormatError("schema_violation", f"expected CycloneDX 1.6; came {str(value.get('specVersion'))[:40]!a}")
    root = value.get("metadata", {}).get("component", {})
    files: dict[str, str] = {}
    for one in value.get("components", ()):
        digest = _cyclonedx_sha256(one)
        if digest is not None and one["type"] == "file":
            files[one["name"]] = digest
    describes = _cyclonedx_sha256(root)
    return Bill(describes=frozenset({describes} if describes is not None else ()), files=files)


def _spdx(text: str, value: Mapping[str, Any]) -> Bill:
    try:
        from spdx_tools.spdx.model.checksum import ChecksumAlgorithm
        from spdx_tools.spdx.model.relationship import RelationshipType
        from spdx_tools.spdx.parser.error import SPDXParsingError
        from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
        from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    except ImportError as exc:
        raise ConfigurationError("missing_extra", "checking SPDX needs the extra: undersigned[spdx]") from exc
    _check_spdx_size(value)
    try:
        document: Any = JsonLikeDictParser().parse(json.loads(text))
    except SPDXParsingError as exc:
        raise FormatError("schema_violation", f"not an SPDX document: {'; '.join(exc.get_messages())[:300]!a}") from exc
    except (TypeError, ValueError, KeyError, AttributeError) as exc:
        # The library looks for members before it looks at their types.
        raise FormatError("schema_violation", f"not an SPDX document: {str(exc)[:300]!a}") from exc
    if value.get("spdxVersion") != "SPDX-2.3":
        raise FormatError("schema_violation", f"expected SPDX-2.3; came {str(value.get('spdxVersion'))[:40]!a}")
    if wrong := validate_full_spdx_document(document):
        raise FormatError("schema_violation", f"not valid SPDX 2.3: {wrong[0].validation_message[:300]!a}")
    digests: dict[str, str] = {}
    for element in (*document.packages, *document.files):
        given = (one.value for one in element.checksums if one.algorithm == ChecksumAlgorithm.SHA256)
        if (digest := _one_sha256(given, element.name)) is not None:
            digests[element.spdx_id] = digest
    of = document.creation_info.spdx_id
    about = {
        *(
            r.related_spdx_element_id
            for r in document.relationships
            if r.relationship_type == RelationshipType.DESCRIBES and r.spdx_element_id == of
        ),
        *(
            r.spdx_element_id
            for r in document.relationships
            if r.relationship_type == RelationshipType.DESCRIBED_BY and r.related_spdx_element_id == of
        ),
    }
    files = {one.name.removeprefix("./"): digests[one.spdx_id] for one in document.files if one.spdx_id in digests}
    return Bill(describes=frozenset(digests[name] for name in about if name in digests), files=files)


def _check_spdx_size(value: Mapping[str, Any]) -> None:
    """Returns if the library validates it in minutes: it looks for each relationship among all that there is.

    Raises:
        FormatError: `too_large`.
    """
    elements = [one for name in ("packages", "files", "snippets") for one in _listed(value, name)]
    related = len(_listed(value, "relationships")) + len(_listed(value, "documentDescribes"))
    related += sum(len(_listed(cast("dict[str, Any]", one), "hasFiles")) for one in elements if isinstance(one, dict))
    if related * len(elements) > MAX_SPDX_PAIRS:
        text = f"{related} relationships among {len(elements)} elements are more than are checked"
        raise FormatError("too_large", text)


def _listed(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return cast("list[Any]", found) if isinstance(found, list) else []


BILLS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], Bill]]] = MappingProxyType(
    {"CycloneDX 1.6": _cyclonedx, "SPDX 2.3": _spdx}
)
"""Formats and versions that are read, as terms name them."""
