"""Status lists: whatever is set comes back, at its place and nowhere else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from parties import NOW, Party, documents
from undersigned.credentials import (
    MIN_LIST_BITS,
    build_status_list,
    credential_config,
    decode_list,
    encode_list,
    verify_status_list,
)

ISSUER = Party("acme-org")
URL = "https://acme.example/status/1"
# Below place 32 a list could look like gzip, which is refused; test_status_list of the unit tests has that.
places = st.sets(st.integers(32, MIN_LIST_BITS - 1), max_size=200)
fair = settings(max_examples=60, deadline=None)


def packed(chosen: set[int], size: int = MIN_LIST_BITS // 8) -> bytes:
    bits = bytearray(size)
    for place in chosen:
        bits[place // 8] |= 1 << (7 - place % 8)
    return bytes(bits)


@fair
@given(places, st.integers(MIN_LIST_BITS // 8, 40_000))
def test_bits_come_back_from_a_list_of_any_length(chosen: set[int], size: int) -> None:
    bits = packed(chosen, size)
    encoded = encode_list(bits)
    assert decode_list(encoded) == bits
    assert encode_list(bits) == encoded


@fair
@given(places, st.sets(st.integers(0, MIN_LIST_BITS - 1), min_size=1, max_size=50))
def test_a_place_is_set_if_it_was_set(chosen: set[int], asked: set[int]) -> None:
    document = build_status_list(
        url=URL, issuer=ISSUER.did, bits=packed(chosen), valid_from=NOW, valid_until=NOW, ttl_seconds=1
    )
    signed = ISSUER.prove(document, credential_config("eddsa-jcs-2022", ISSUER.method, NOW))
    found = verify_status_list(signed, url=URL, issuer=ISSUER.did, documents=documents(ISSUER), now=NOW)
    assert {place for place in chosen | asked if found.is_set(place)} == chosen
