"""Packs that were tampered with: what somebody makes of a pack who has none of the keys that signed it.

Each kind changes one thing as well as that can be done: digests, names, copies and the manifest are made to agree, and
only what takes a key is left as it was. `verify_pack` refuses each of them, at the step that the kind names. They try
out verifiers, ours and others.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from undersigned.evidence.archive import write_archive
from undersigned.evidence.pack import read_pack
from undersigned.evidence.tampering.members import MEMBERS
from undersigned.evidence.tampering.messages import MESSAGES
from undersigned.evidence.tampering.opened import Opened, Tampering

__all__ = ["TAMPERINGS", "Tampering", "tamper"]

TAMPERINGS: Final[Mapping[str, Tampering]] = MappingProxyType({**MESSAGES, **MEMBERS})
"""Every kind, by name. Step 7 judges what is signed inside messages: whoever changes that fails at step 3."""


def tamper(data: bytes, what: str) -> bytes:
    """The pack in `data`, tampered with in the way that `what` names. The same input gives the same bytes.

    Raises:
        VerificationError: `evidence_invalid`: not a pack, or one that holds nothing of that kind to change.
        FormatError: As `read_pack`.
        KeyError: There is no such kind in `TAMPERINGS`.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
    """
    return write_archive(TAMPERINGS[what].make(Opened(read_pack(data))))
