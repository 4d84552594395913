"""Evidence packs: one file that proves an engagement to somebody who asks nobody, and its offline verifier."""

from undersigned.evidence.archive import MAX_ARCHIVE_BYTES, MAX_PACK_BYTES, read_archive, write_archive
from undersigned.evidence.case import Case, engagement_of, pack_of, sealed_of
from undersigned.evidence.chain import showing
from undersigned.evidence.changes import arbiters_at, document_at, terms_at
from undersigned.evidence.leaves import LogProof, LogProofs, Withheld, WithheldList
from undersigned.evidence.pack import (
    CHECKPOINT,
    MANIFEST,
    Manifest,
    Member,
    Pack,
    read_pack,
    sealed_documents,
    transcribed,
    write_pack,
)
from undersigned.evidence.page import verifier_page
from undersigned.evidence.tamper import TAMPERINGS, tamper
from undersigned.evidence.verify import MAX_DOCUMENTS, STEPS, BrokenPack, Report, Step, check_pack, verify_pack

__all__ = [
    "CHECKPOINT",
    "MANIFEST",
    "MAX_ARCHIVE_BYTES",
    "MAX_DOCUMENTS",
    "MAX_PACK_BYTES",
    "STEPS",
    "TAMPERINGS",
    "BrokenPack",
    "Case",
    "LogProof",
    "LogProofs",
    "Manifest",
    "Member",
    "Pack",
    "Report",
    "Step",
    "Withheld",
    "WithheldList",
    "arbiters_at",
    "check_pack",
    "document_at",
    "engagement_of",
    "pack_of",
    "read_archive",
    "read_pack",
    "sealed_documents",
    "sealed_of",
    "showing",
    "tamper",
    "terms_at",
    "transcribed",
    "verifier_page",
    "verify_pack",
    "write_archive",
    "write_pack",
]
