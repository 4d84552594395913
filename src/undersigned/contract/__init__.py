"""The contract: its document and terms, who signed what, and whether it stands alone."""

from undersigned.contract.authority import (
    authorises,
)
from undersigned.contract.build import (
    build_document,
    draft_terms,
    rebase,
    same_terms,
)
from undersigned.contract.card import (
    contract_card,
    plain,
)
from undersigned.contract.check import (
    MAX_DOCUMENT_BYTES,
    DocumentName,
    canonical_document,
    check_document,
    check_parts,
    contract_digest,
    read_document,
    scope_of,
)
from undersigned.contract.document import (
    ContractDocument,
    Methods,
    Organisations,
    Place,
    Role,
    Transcript,
    document_id,
)
from undersigned.contract.sealed import (
    SealedContract,
    acceptance_config,
    countersigned,
    offer_config,
    verify_countersigned,
    verify_offered,
    verify_sealed,
)
from undersigned.contract.terms import (
    Criterion,
    DataHandling,
    Deadlines,
    Deliverable,
    Evidence,
    Price,
    Settlement,
    Subcontracting,
    Task,
    Termination,
    Terms,
)

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "ContractDocument",
    "Criterion",
    "DataHandling",
    "Deadlines",
    "Deliverable",
    "DocumentName",
    "Evidence",
    "Methods",
    "Organisations",
    "Place",
    "Price",
    "Role",
    "SealedContract",
    "Settlement",
    "Subcontracting",
    "Task",
    "Termination",
    "Terms",
    "Transcript",
    "acceptance_config",
    "authorises",
    "build_document",
    "canonical_document",
    "check_document",
    "check_parts",
    "contract_card",
    "contract_digest",
    "countersigned",
    "document_id",
    "draft_terms",
    "offer_config",
    "plain",
    "read_document",
    "rebase",
    "same_terms",
    "scope_of",
    "verify_countersigned",
    "verify_offered",
    "verify_sealed",
]
