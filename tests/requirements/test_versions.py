"""What an implementation of class core has, and what becomes of other versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support import ROOT
from undersigned.did import DID_METHODS
from undersigned.encoding import canonicalize
from undersigned.errors import FormatError
from undersigned.messages import decode_message
from undersigned.proof import CRYPTOSUITES

HIRE = ROOT / "protocol-spec" / "vectors" / "messages" / "eddsa-jcs-2022"


def test_class_core_is_there() -> None:
    """HIRE-CLS-02: the suite and the DID methods that everybody has."""
    assert "eddsa-jcs-2022" in CRYPTOSUITES
    assert {"key", "web"} <= {name.removeprefix("did:").rstrip(":") for name in DID_METHODS}


@pytest.mark.parametrize("version", ["1.1", "2.0", "0.9", "1", "1.0.0", "01.0"])
@pytest.mark.parametrize("name", ["profile", "offer", "start", "sync"])
def test_a_message_of_another_version_than_the_chosen_one_is_refused(name: str, version: str) -> None:
    """HIRE-VER-04, HIRE-ENV-04: nothing of another version is read, whatever else it holds."""
    said: dict[str, Any] = json.loads((HIRE / name / "input.json").read_bytes())
    with pytest.raises(FormatError) as refused:
        decode_message(canonicalize({**said, "version": version}))
    assert refused.value.code == "version_not_supported"
    assert refused.value.path == "/version"
