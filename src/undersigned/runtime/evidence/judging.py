"""The verdict of a verifier that a contract names, on what was delivered under it: from an evidence pack alone.

The verifier takes no part in the engagement. It gets the hirer's pack, looks at it with what it has, and signs a
statement of acceptance; the hirer's peer carries that in its `Review`.

Source: protocol-spec/08-attestation-and-evidence.md, HIRE-ATT-06
"""

from __future__ import annotations

from pathlib import Path

from undersigned.attestation import PAYLOAD_TYPE, accepted, envelope, make_statement, pae, payload_digests
from undersigned.encoding import Digest, Instant, JsonObject, canonicalize
from undersigned.errors import ConfigurationError, LocalProtocolError, PolicyError, VerificationError
from undersigned.evidence import check_pack, sealed_of, terms_at
from undersigned.messages import Delivery
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.home import Home

__all__ = ["judge_pack"]


async def judge_pack(home: Home, pack: bytes, *, passed: bool, now: Instant, again: bool = False) -> JsonObject:
    """The signed statement that the owner of `home` accepts the last delivery in this pack, or does not. It is kept, so
    that the other result is not signed for the same delivery unless `again` says so: whoever had both could choose.

    Raises:
        VerificationError: The pack does not hold; with the code and the step that says so.
        LocalProtocolError: `conflicting_message`: the other result was signed before.
        PolicyError: `attester_not_trusted`: the terms in force name another verifier, or none; `wrong_state`: nothing
            in it waits for a verdict.
        ConfigurationError: `key_unavailable`.
    """
    report, case = check_pack(pack, now=now)
    for step in report.steps:
        if not step.ok:
            raise VerificationError(step.code, f"step {step.number}, {step.name}: {step.detail}")
    deliveries = [
        (one.number, message.digest, body)
        for one, message in case.verified
        if isinstance(body := message.message, Delivery)
    ]
    if report.state != "delivered" or not deliveries:
        raise PolicyError("wrong_state", f"no delivery waits for a verdict in state {report.state or '-'}")
    number, digest, delivery = deliveries[-1]
    if passed and delivery.statements and not case.statements[digest]:
        said = next(step.detail for step in report.steps if step.name == "statements")
        raise VerificationError("attestation_binding", f"what was delivered is not what it is stated to be: {said}")
    named, own = terms_at(case, number).evidence.verifier, home.document()
    if named != own.id:
        raise PolicyError("attester_not_trusted", f"the terms name {named or 'no verifier'}; this is {own.id}")
    method, key = next(iter(own.methods("assertionMethod")), ""), home.key()
    if not method or own.key_for(method, "assertionMethod", now=now) != key.public_key:
        raise ConfigurationError("key_unavailable", f"the private key is not the first one that {own.id} publishes")
    other = _kept(home, digest, passed=not passed)
    if other.exists() and not again:
        said = f"for this delivery this folder has signed {_result(not passed)} before: {other}"
        raise LocalProtocolError("conflicting_message", said)
    payload = make_statement(
        # A statement has a subject; when nothing was delivered it is about the contract itself.
        {artifact.name: artifact.digest for artifact in delivery.artifacts} or {"contract": delivery.contract},
        accepted(
            contract=delivery.contract,
            document_id=sealed_of(case).document.id,
            verifier=own.id,
            passed=passed,
            statements=sorted(payload_digests(delivery.statements)),
            time_verified=now,
        ),
    )
    statement = envelope(payload, [(method, await key.sign(pae(PAYLOAD_TYPE, payload)))])
    # On disk before anybody has it.
    write_whole(_kept(home, digest, passed=passed), canonicalize(statement))
    return statement


def _kept(home: Home, delivery: Digest, *, passed: bool) -> Path:
    return home.verdicts / "stated" / f"{delivery}-{_result(passed)}.json"


def _result(passed: bool) -> str:
    return "passed" if passed else "failed"
