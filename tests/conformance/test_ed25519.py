"""Ed25519 verification: every Wycheproof case ends as labelled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import conformance_dir
from undersigned.errors import ProofError
from undersigned.keys import public_key_from_jwk, public_key_from_raw

pytestmark = pytest.mark.conformance


def _cases() -> list[object]:
    folder = conformance_dir()
    if folder is None:
        return [pytest.param(None, None, id="vectors absent")]
    groups = json.loads((folder / "ed25519" / "wycheproof_ed25519.json").read_text())["testGroups"]
    return [
        pytest.param(group, case, id=f"{case['tcId']}-{case['result']}") for group in groups for case in group["tests"]
    ]


@pytest.mark.parametrize(("group", "case"), _cases())
def test_sc_36_signature(conformance: Path, group: dict, case: dict):
    key = public_key_from_raw("Ed25519", bytes.fromhex(group["publicKey"]["pk"]))
    signature, data = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
    if case["result"] == "valid":
        key.verify(signature, data)
    else:
        with pytest.raises(ProofError) as caught:
            key.verify(signature, data)
        assert caught.value.code == "proof_invalid"


@pytest.mark.parametrize(("group", "case"), _cases())
def test_key_as_jwk(conformance: Path, group: dict, case: dict):
    key = public_key_from_raw("Ed25519", bytes.fromhex(group["publicKey"]["pk"]))
    published = group["publicKeyJwk"]
    assert public_key_from_jwk({name: published[name] for name in ("kty", "crv", "x")}) == key


def test_every_case_is_run(conformance: Path):
    assert len(_cases()) == 101
