"""Media and bills of materials that strangers deliver: any bytes are read or refused with a code."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from bills import cyclonedx, spdx
from contracts import ENGAGEMENT, PROVIDER
from media import Authority, png
from undersigned.attestation.bills import read_bill
from undersigned.attestation.media import ContractAssertion, bytes_to_sign, check_media, embed
from undersigned.encoding import digest_bytes
from undersigned.errors import CODES, UndersignedError

CONTRACT = digest_bytes(b"contract")


def test_a_changed_picture_is_read_or_refused() -> None:
    """What is still taken was changed where nothing is said: in the room that a signature leaves for a time stamp."""
    root = Authority()
    signer, random = root.signer(), Random(7)
    about = ContractAssertion(
        contract=CONTRACT, document=ENGAGEMENT, task="picture", agent=PROVIDER.did, certificate=signer.serial
    )
    signature = PROVIDER.sign(
        bytes_to_sign(png(), "image/png", about, signer, keyid=PROVIDER.method, kind=PROVIDER.key.kind)
    )
    whole = embed(png(), "image/png", about, signer, keyid=PROVIDER.method, signature=signature)
    given: dict[str, Any] = {"contract": CONTRACT, "agent": PROVIDER.did, "keys": PROVIDER.keys, "anchors": [root.der]}
    seen: set[str] = set()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(random.choice([1, 1, 2, 8])):
            place = random.randrange(len(data))
            if random.random() < 0.7:
                data[place] = random.randrange(256)
            else:
                del data[place : place + random.randrange(1, 50)]
        try:
            read = check_media(bytes(data), "image/png", **given)
        except UndersignedError as error:
            seen.add(error.code)
        else:
            assert read.assertion is not None
            assert read.assertion.contract == CONTRACT
    assert {"digest_mismatch", "proof_invalid"} <= seen <= CODES.keys()


@pytest.mark.parametrize(("format", "make"), [("SPDX 2.3", spdx), ("CycloneDX 1.6", cyclonedx)])
def test_a_changed_bill_is_read_or_refused(format: str, make: Any) -> None:
    random = Random(8)
    values: tuple[Any, ...] = (None, 1, "x", [], {}, [1], {"a": 1}, True, "SPDXRef-DOCUMENT", 1.5)
    seen: set[str] = set()
    for _ in range(150):
        document = json.loads(make(b"app"))
        holders = [document]
        for one in holders:
            inner = one.values() if isinstance(one, dict) else one
            holders += [value for value in inner if isinstance(value, dict | list) and value]
        holder = random.choice(holders)
        place = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        holder[place] = random.choice(values)
        try:
            read_bill(json.dumps(document).encode(), format)
        except UndersignedError as error:
            seen.add(error.code)
    assert "schema_violation" in seen
    assert seen <= CODES.keys()
