"""Data Integrity proofs and their cryptosuites. Private keys stay with the shell: it signs the bytes given here."""

from undersigned.proof.cryptosuite import SIGNATURE_BYTES, Cryptosuite
from undersigned.proof.data_integrity import (
    KeyLookup,
    attach,
    lone_proof,
    make_proof,
    prepare,
    proofs_of,
    signs_json,
    suite_for,
    verify_options,
    verify_proof,
    verify_signature,
)
from undersigned.proof.detached import detach, verify_detached
from undersigned.proof.options import MAX_SKEW_SECONDS, Purpose, check_options, proof_config
from undersigned.proof.sets import verify_proof_set
from undersigned.proof.suites import CRYPTOSUITES, JCS_SUITE_OF, JCS_SUITES, first_suite

__all__ = [
    "CRYPTOSUITES",
    "JCS_SUITES",
    "JCS_SUITE_OF",
    "MAX_SKEW_SECONDS",
    "SIGNATURE_BYTES",
    "Cryptosuite",
    "KeyLookup",
    "Purpose",
    "attach",
    "check_options",
    "detach",
    "first_suite",
    "lone_proof",
    "make_proof",
    "prepare",
    "proof_config",
    "proofs_of",
    "signs_json",
    "suite_for",
    "verify_detached",
    "verify_options",
    "verify_proof",
    "verify_proof_set",
    "verify_signature",
]
