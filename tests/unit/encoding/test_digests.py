"""Digests: the multihash of the canonical form without the document's own proof."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import refuses
from undersigned.encoding import (
    DIGEST_PATTERN,
    canonicalize,
    digest_bytes,
    digest_from_hash,
    digest_from_hex,
    digest_hash,
    digest_hex,
    digest_of,
    multibase_decode,
)
from undersigned.errors import FormatError

EMPTY = "uEiDjsMRCmPwcFJr79MiZb7kkJ65B5GSbk0yklZkbeFK4VQ"


@given(st.binary(max_size=100))
def test_a_digest_is_a_sha2_256_multihash(data: bytes):
    digest = digest_bytes(data)
    assert multibase_decode(digest) == b"\x12\x20" + hashlib.sha256(data).digest()
    assert re.search(DIGEST_PATTERN, digest)
    assert digest_hex(digest) == hashlib.sha256(data).hexdigest()
    assert digest_from_hex(digest_hex(digest)) == digest
    assert digest_from_hash(digest_hash(digest)) == digest


def test_known_answer():
    assert digest_bytes(b"") == EMPTY
    assert digest_hex(EMPTY) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_own_proof_is_left_out_and_no_other():
    """HIRE-DIG-01."""
    inner = {"proof": {"proofValue": "z1"}}
    document = {"b": inner, "a": 1}
    assert digest_of(document) == digest_bytes(canonicalize(document))
    assert digest_of({**document, "proof": {"proofValue": "z2"}}) == digest_of(document)
    assert digest_of({**document, "proof": []}) == digest_of(document)
    assert digest_of({"a": 1, "b": {"proof": {"proofValue": "z2"}}}) != digest_of(document)


def test_the_document_is_left_as_it_was():
    document = {"a": 1, "proof": {}}
    digest_of(document)
    assert document == {"a": 1, "proof": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "u",
        EMPTY[1:],
        EMPTY + "\n",
        EMPTY + "A",
        EMPTY[:-1],
        EMPTY[:-1] + "R",
        "z" + EMPTY[1:],
        EMPTY.upper(),
        "uEyDjsMRCmPwcFJr79MiZb7kkJ65B5GSbk0yklZkbeFK4VQ",
        EMPTY.replace("j", "+", 1),
    ],
)
def test_not_a_digest(text: str):
    with refuses(FormatError, "schema_violation"):
        digest_hex(text)


@pytest.mark.parametrize("text", ["", "e3", "E" * 64, "g" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", " " * 64])
def test_not_hex(text: str):
    with refuses(FormatError, "schema_violation"):
        digest_from_hex(text)


@pytest.mark.parametrize("value", [b"", b"\x00" * 31, b"\x00" * 33])
def test_not_a_hash(value: bytes):
    with refuses(FormatError, "schema_violation"):
        digest_from_hash(value)
