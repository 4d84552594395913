"""What the specification says by a number is so much in the code: tests beside it may know it by its name alone."""

from __future__ import annotations

import pytest

from support import ROOT
from undersigned.attestation import bills, media
from undersigned.credentials import linkage, model, presentation, status_list
from undersigned.evidence import archive
from undersigned.runtime.engagement import documents, receiving
from undersigned.runtime.execution import gate

KIB, MIB = 1024, 1024 * 1024
EVIDENCE, IDENTITY, SECURITY = "08-attestation-and-evidence.md", "02-identity-and-keys.md", "10-security.md"


@pytest.mark.parametrize(
    ("page", "words", "found", "wanted"),
    [
        (EVIDENCE, "at most 10,000 members and 256 MiB", archive.MAX_MEMBERS, 10_000),
        (EVIDENCE, "at most 10,000 members and 256 MiB", archive.MAX_PACK_BYTES, 256 * MIB),
        (EVIDENCE, "reads bills of at most 16 MiB", bills.MAX_BILL_BYTES, 16 * MIB),
        (EVIDENCE, "of one delivery 64 MiB together", bills.MAX_BILLS_BYTES, 64 * MIB),
        (EVIDENCE, "at most 10^8 relationships times elements", bills.MAX_SPDX_PAIRS, 10**8),
        (EVIDENCE, "Media of more than 64 MiB need not be looked into", media.MAX_MEDIA_BYTES, 64 * MIB),
        (IDENTITY, "16 credentials, 64 KiB each, 128 KiB in all, 8 different", model.MAX_CREDENTIALS, 16),
        (IDENTITY, "16 credentials, 64 KiB each, 128 KiB in all, 8 different", model.MAX_CREDENTIAL_BYTES, 64 * KIB),
        (
            IDENTITY,
            "16 credentials, 64 KiB each, 128 KiB in all, 8 different",
            presentation.MAX_PRESENTATION_BYTES,
            128 * KIB,
        ),
        (IDENTITY, "16 credentials, 64 KiB each, 128 KiB in all, 8 different", presentation.MAX_ISSUERS, 8),
        (IDENTITY, "131,072 bits and at most 4 MiB", status_list.MAX_LIST_BYTES, 4 * MIB),
        (IDENTITY, "that carries it has at most 1 MiB", status_list.MAX_LIST_DOCUMENT_BYTES, MIB),
        (IDENTITY, "5 minutes where it says none", status_list.DEFAULT_TTL_SECONDS, 5 * 60),
        (IDENTITY, "at most 64 KiB of it, from at most 8 origins", linkage.MAX_CONFIGURATION_BYTES, 64 * KIB),
        (SECURITY, "stored with an engagement | 128, of 256 KiB together", documents.MAX_DOCUMENTS, 128),
        (SECURITY, "stored with an engagement | 128, of 256 KiB together", documents.MAX_DOCUMENT_BYTES, 256 * KIB),
        (SECURITY, "keeps so many of one engagement, 1,024 here", receiving.MAX_NOTICES, 1024),
        (SECURITY, "Of refusals of its gates it states as many", gate.MAX_REFUSALS, 1024),
    ],
)
def test_a_number_of_the_specification_is_that_of_the_code(page: str, words: str, found: int, wanted: int) -> None:
    text = " ".join((ROOT / "protocol-spec" / page).read_text("utf-8").split())
    assert words in text
    assert found == wanted
