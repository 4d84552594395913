"""The contract: its document and terms, who signed what, and whether it stands alone."""

from undersigned.contract.document import (
    ContractDocument,
    Methods,
    Organisations,
    Place,
    Role,
    Transcript,
    document_id,
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
    "ContractDocument",
    "Criterion",
    "DataHandling",
    "Deadlines",
    "Deliverable",
    "Evidence",
    "Methods",
    "Organisations",
    "Place",
    "Price",
    "Role",
    "Settlement",
    "Subcontracting",
    "Task",
    "Termination",
    "Terms",
    "Transcript",
    "document_id",
]
