"""The kinds of claims that are known here, by predicate type. An application may pass a table of its own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from undersigned.attestation.predicates.acceptance import AcceptancePredicate, accepted
from undersigned.attestation.predicates.base import Predicate, Resource
from undersigned.attestation.predicates.provenance import ProvenancePredicate, provenance
from undersigned.attestation.predicates.refusal import RefusalPredicate, refusal
from undersigned.attestation.predicates.work import ActionTaken, Input, SubcontractLine, UsageLine, WorkPredicate, work

PREDICATES: Final[Mapping[str, type[Predicate]]] = MappingProxyType(
    {of.PREDICATE_TYPE: of for of in (AcceptancePredicate, ProvenancePredicate, RefusalPredicate, WorkPredicate)}
)

OF_WORK: Final[Mapping[str, type[Predicate]]] = MappingProxyType(
    {of.PREDICATE_TYPE: of for of in (ProvenancePredicate, WorkPredicate)}
)
"""What a provider may claim of what it delivers. A verdict is not among it: nobody judges its own work."""

VERDICTS: Final[Mapping[str, type[Predicate]]] = MappingProxyType(
    {AcceptancePredicate.PREDICATE_TYPE: AcceptancePredicate}
)
"""What may stand in a `Review`."""

__all__ = [
    "OF_WORK",
    "PREDICATES",
    "VERDICTS",
    "AcceptancePredicate",
    "ActionTaken",
    "Input",
    "Predicate",
    "ProvenancePredicate",
    "RefusalPredicate",
    "Resource",
    "SubcontractLine",
    "UsageLine",
    "WorkPredicate",
    "accepted",
    "provenance",
    "refusal",
    "work",
]
