"""What the packer's gate said no to: signed by the packer, under this contract.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from undersigned.attestation import RefusalPredicate, verify_statement
from undersigned.encoding import FOREIGN_LIMITS, decode_json, digest_bytes, shift
from undersigned.errors import VerificationError
from undersigned.evidence.case import Case, assertion_keys, invalid, pack_of, sealed_of

__all__ = ["check_refusals"]

MAX_SKEW_SECONDS = 60


def check_refusals(case: Case) -> str:
    """Each is a statement of the packer's, of an action under this contract.

    It is the packer's word for what was asked, as the work statement is the provider's for what was done.
    """
    pack = pack_of(case)
    count = 0
    for path, data in pack.of_kind("refusal"):
        if path != f"refusals/{digest_bytes(data)}.json":
            raise invalid(f"{path} is not named by its digest")
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
    return f"{count} refused actions are stated by {pack.manifest.own}" if count else "no action was refused"
