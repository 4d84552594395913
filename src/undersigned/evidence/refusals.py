"""What the packer's gate said no to: signed by the packer, under this contract.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from undersigned.attestation import ActionTaken, RefusalPredicate, WorkPredicate, verify_statement
from undersigned.encoding import FOREIGN_LIMITS, decode_json, shift
from undersigned.errors import VerificationError
from undersigned.evidence.case import Case, assertion_keys, counted, invalid, named_by_digest, pack_of, sealed_of
from undersigned.evidence.leaves import check_recorded, withheld_in
from undersigned.proof import MAX_SKEW_SECONDS

__all__ = ["check_refusals"]


def check_refusals(case: Case) -> str:
    """Each is a statement of the packer's, of an action under this contract, and none of those that it recorded is
    silently missing.

    It is the packer's word for what was asked, as the work statement is the provider's for what was done. What that
    names beside may have been refused by the other side's gate, which states it in its own pack: it is told, no more.
    """
    pack = pack_of(case)
    count = 0
    for path, data in pack.of_kind("refusal"):
        named_by_digest(path, data)
        sealed, own = sealed_of(case), pack.manifest.own
        document = decode_json(data, FOREIGN_LIMITS)
        if not isinstance(document, dict):
            raise invalid(f"{path} is no envelope")
        verified = verify_statement(
            document,
            attester=own,
            keys=assertion_keys(case, own),
            contract=sealed.digest,
            artifacts={"contract": sealed.digest},
            predicates={RefusalPredicate.PREDICATE_TYPE: RefusalPredicate},
        )
        refusal = verified.predicate
        if not isinstance(refusal, RefusalPredicate) or refusal.engagement != pack.manifest.engagement:
            raise VerificationError("attestation_binding", f"{path} is of another engagement")
        if refusal.at > shift(case.now, MAX_SKEW_SECONDS):
            raise invalid(f"{path} is of {refusal.at}, which is after {case.now}")
        case.refusals.append(refusal)
        count += 1
    check_recorded(case, "refusal")
    withheld = sum(one.kind == "refusal" for one in withheld_in(pack))
    named = Counter((one.action, one.target) for one in _named(case))
    stated = Counter[tuple[str, str]]()
    for one in case.refusals:
        stated[one.action, one.target] += 1 + one.repeated
    missing = (named - stated).total()
    said = [
        f"{counted(count, 'refused action is', 'refused actions are')} stated by {pack.manifest.own}"
        if count
        else "none in this pack",
        f"{withheld} withheld" if withheld else "",
        f"the work statements name {named.total()}, {missing} of which are not stated here" if missing else "",
    ]
    return "; ".join(filter(None, said))


def _named(case: Case) -> Iterator[ActionTaken]:
    """The refused actions of the work statements that hold."""
    for statements in case.statements.values():
        for one in statements:
            if isinstance(one.predicate, WorkPredicate):
                yield from (action for action in one.predicate.actions if not action.allowed)
