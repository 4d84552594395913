"""The verdict of a verifier that a contract names, on what was delivered under it: from an evidence pack alone.

The verifier takes no part in the engagement. It gets the hirer's pack, looks at it with what it has, and signs a
statement of acceptance; the hirer's peer carries that in its `Review`.

Source: protocol-spec/08-attestation-and-evidence.md, HIRE-ATT-06
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable

from undersigned.attestation import PAYLOAD_TYPE, accepted, envelope, make_statement, pae
from undersigned.did import DidDocument
from undersigned.encoding import Instant, JsonObject, digest_bytes
from undersigned.errors import ConfigurationError, FormatError, PolicyError, VerificationError
from undersigned.evidence import check_pack, sealed_of, terms_at
from undersigned.messages import Delivery

from .home import Home

__all__ = ["judge_pack"]


async def judge_pack(
    home: Home, pack: bytes, *, passed: bool, now: Instant, known: Iterable[DidDocument] = ()
) -> JsonObject:
    """The signed statement that the owner of `home` accepts the last delivery in this pack, or does not.

    Raises:
        VerificationError: The pack does not hold; with the code and the step that says so.
        PolicyError: `attester_not_trusted`: the terms in force name another verifier, or none; `wrong_state`: nothing
            in it waits for a verdict.
        ConfigurationError: `key_unavailable`.
    """
    report, case = check_pack(pack, now=now, known=known)
    for step in report.steps:
        if not step.ok:
            raise VerificationError(step.code, f"step {step.number}, {step.name}: {step.detail}")
    deliveries = [(one.number, body) for one, message in case.verified if isinstance(body := message.message, Delivery)]
    if report.state != "delivered" or not deliveries:
        raise PolicyError("wrong_state", f"no delivery waits for a verdict in state {report.state or '-'}")
    number, delivery = deliveries[-1]
    named, own = terms_at(case, number).evidence.verifier, home.document()
    if named != own.id:
        raise PolicyError("attester_not_trusted", f"the terms name {named or 'no verifier'}; this is {own.id}")
    method, key = next(iter(own.methods("assertionMethod")), ""), home.key()
    if not method or own.key_for(method, "assertionMethod", now=now) != key.public_key:
        raise ConfigurationError("key_unavailable", f"the private key is not the first one that {own.id} publishes")
    payload = make_statement(
        # A statement has a subject; when nothing was delivered it is about the contract itself.
        {artifact.name: artifact.digest for artifact in delivery.artifacts} or {"contract": delivery.contract},
        accepted(
            contract=delivery.contract,
            document_id=sealed_of(case).document.id,
            verifier=own.id,
            passed=passed,
            statements=[digest_bytes(_payload(one)) for one in delivery.statements],
            time_verified=now,
        ),
    )
    return envelope(payload, [(method, await key.sign(pae(PAYLOAD_TYPE, payload)))])


def _payload(statement: JsonObject) -> bytes:
    try:
        return b64decode(str(statement.get("payload")), validate=True)
    except binascii.Error as exc:  # of a delivery that does not hold, and was not accepted
        raise FormatError("schema_violation", "a statement of the delivery has no payload") from exc
