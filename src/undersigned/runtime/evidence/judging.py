"""The verdict of a verifier and the ruling of an arbiter that a contract names: from an evidence pack alone.

Neither takes part in the engagement. The verifier gets the hirer's pack, looks at it with what it has, and signs a
statement of acceptance; the hirer's peer carries that in its `Review`. The arbiter gets the pack of either side while
they dispute, and signs what is owed; either side's peer carries that in a `Ruling`.

Source: protocol-spec/08-attestation-and-evidence.md, HIRE-ATT-06; protocol-spec/07-contract.md, section 7.11
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from undersigned.attestation import PAYLOAD_TYPE, accepted, envelope, make_statement, pae, payload_digests
from undersigned.contract import Price, Ruled, read_ruling, ruling_config
from undersigned.did import DidDocument
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    compare_amounts,
    decode_json,
)
from undersigned.errors import ConfigurationError, LocalProtocolError, PolicyError, VerificationError
from undersigned.evidence import Case, arbiters_at, check_pack, sealed_of, terms_at
from undersigned.ledger import Lock
from undersigned.messages import Delivery, Dispute
from undersigned.proof import JCS_SUITE_OF, attach, prepare
from undersigned.runtime.files import read_file, write_whole
from undersigned.runtime.home.home import Home
from undersigned.runtime.signers import PrivateKey

__all__ = ["judge_pack", "rule_on_pack"]


async def judge_pack(home: Home, pack: bytes, *, passed: bool, now: Instant, again: bool = False) -> JsonObject:
    """The signed statement that the owner of `home` accepts the last delivery in this pack, or does not. It is kept, so
    that the other result is not signed for the same delivery unless `again` says so: whoever had both could choose.

    Raises:
        BrokenPack: The pack does not hold; with the code of the step.
        VerificationError: `attestation_binding`: nothing that is stated otherwise than it was delivered is accepted.
        LocalProtocolError: `conflicting_message`: the other result was signed before.
        PolicyError: `attester_not_trusted`: the terms in force name another verifier, or none; `wrong_state`: nothing
            in it waits for a verdict.
        ConfigurationError: `key_unavailable`.
        LedgerUnavailable: `store_unavailable`: another verdict or ruling of this folder is being signed.
    """
    report, case = check_pack(pack, now=now)
    report.require_ok("the pack")
    deliveries = [(one.digest, body) for _, one in case.verified if isinstance(body := one.message, Delivery)]
    if report.state != "delivered" or not deliveries:
        raise PolicyError("wrong_state", f"no delivery waits for a verdict in state {report.state or '-'}")
    digest, delivery = deliveries[-1]
    if passed and delivery.statements and not case.statements[digest]:
        said = next(step.detail for step in report.steps if step.name == "statements")
        raise VerificationError("attestation_binding", f"what was delivered is not what it is stated to be: {said}")
    own, method, key = _named(home, [terms_at(case, _end(case)).evidence.verifier], "verifier", now)
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
    with _alone(home):
        other = _kept(home, digest, passed=not passed)
        if other.exists() and not again:
            said = f"for this delivery this folder has signed {_result(not passed)} before: {other}"
            raise LocalProtocolError("conflicting_message", said)
        statement = envelope(payload, [(method, await key.sign(pae(PAYLOAD_TYPE, payload)))])
        # On disk before anybody has it.
        write_whole(_kept(home, digest, passed=passed), canonicalize(statement))
    return statement


async def rule_on_pack(
    home: Home,
    pack: bytes,
    *,
    outcome: Ruled,
    owed: Price,
    reasons: str,
    now: Instant,
    again: bool = False,
    beyond: bool = False,
) -> JsonObject:
    """The signed ruling of the owner of `home` on the dispute in this pack: who is right, and what the hirer owes, all
    told. It is kept, so that no other is signed on the same contract unless `again` says so: each side could carry one.
    What is more than the price is signed only if `beyond` says so: it binds both sides, and a slip does as well.

    Raises:
        BrokenPack: The pack does not hold; with the code of the step.
        LocalProtocolError: `conflicting_message`: another ruling on this contract was signed before.
        PolicyError: `attester_not_trusted`: the terms in force name another arbiter; `wrong_state`: nothing in it waits
            for a ruling; `policy_denied`: it is more than the price, or in another currency.
        FormatError: `schema_violation`: no ruling can say that.
        ConfigurationError: `key_unavailable`.
        LedgerUnavailable: `store_unavailable`: another verdict or ruling of this folder is being signed.
    """
    report, case = check_pack(pack, now=now)
    report.require_ok("the pack")
    found = [message.digest for _, message in case.verified if isinstance(message.message, Dispute)]
    # After a dispute that ended for want of a ruling one still counts, until the books are closed (HIRE-LIF-33).
    if report.state not in ("disputed", "closing") or not found:
        raise PolicyError("wrong_state", f"no dispute waits for a ruling in state {report.state or '-'}")
    dispute = found[0]
    _, method, key = _named(home, arbiters_at(case, _end(case)), "arbiter", now)
    price = terms_at(case, _end(case)).price
    if not beyond and (owed.currency != price.currency or compare_amounts(owed.amount, price.amount) > 0):
        text = f"expected at most the price, {price}; came {owed}"
        raise PolicyError("policy_denied", f"{text}, which is signed only as beyond it")
    said: JsonObject = {
        "contract": sealed_of(case).digest,
        "dispute": dispute,
        "outcome": outcome,
        "amount": owed.amount,
        "currency": owed.currency,
        "reasons": reasons,
    }
    document: JsonObject = {
        "@context": "https://w3id.org/hire/v1",
        "id": uuid4().urn,
        "type": "ArbiterRuling",
        **said,
    }
    read_ruling(document)
    config = ruling_config(JCS_SUITE_OF[key.public_key.kind], method, now)
    with _alone(home):
        # By the contract: of two disputes that crossed each pack may have its own first, and either side takes both.
        kept = home.verdicts / "ruled" / f"{said['contract']}.json"
        if kept.exists():
            before = decode_json(read_file(kept), FOREIGN_LIMITS)
            if isinstance(before, dict) and {**said, "dispute": before.get("dispute")}.items() <= before.items():
                document = {name: value for name, value in before.items() if name != "proof"}
                proof = before.get("proof")
                if isinstance(proof, dict) and proof.get("verificationMethod") == method:
                    return before
                # Nobody takes what the key before ours signed: it is the same ruling, by the key of now.
            elif not again:
                text = f"on this contract this folder has ruled before: {kept}"
                raise LocalProtocolError("conflicting_message", text)
        ruling = attach(document, config, await key.sign(prepare(document, config, key.public_key.kind)))
        write_whole(kept, canonicalize(ruling))
    return ruling


def _alone(home: Home) -> Lock:
    """Around looking for what was signed before, and signing: two at a time would find nothing, and sign both.

    Raises:
        LedgerUnavailable: `store_unavailable`: somebody else does; `store_full`.
    """
    return Lock(home.verdicts / "signing.lock", "signs verdicts and rulings of this state folder")


def _end(case: Case) -> int:
    """The number of the next message: what is signed now is carried after all that stands there."""
    return case.verified[-1][0].number + 1


def _named(home: Home, named: Sequence[Did | None], what: str, now: Instant) -> tuple[DidDocument, str, PrivateKey]:
    """Our document, and the method and key that sign, if the terms name us."""
    own = home.document()
    if own.id not in named:
        those = " and ".join(filter(None, named)) or f"no {what}"
        raise PolicyError("attester_not_trusted", f"the terms name {those}; this is {own.id}")
    method, key = next(iter(own.methods("assertionMethod")), ""), home.key()
    if not method or own.key_for(method, "assertionMethod", now=now) != key.public_key:
        raise ConfigurationError("key_unavailable", f"the private key is not the first one that {own.id} publishes")
    return own, method, key


def _kept(home: Home, delivery: Digest, *, passed: bool) -> Path:
    return home.verdicts / "stated" / f"{delivery}-{_result(passed)}.json"


def _result(passed: bool) -> str:
    return "passed" if passed else "failed"
