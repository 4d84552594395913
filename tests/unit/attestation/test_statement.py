import json
from hashlib import sha1, sha256, sha512
from typing import Any

import pytest

from contracts import ENGAGEMENT, HIRER, PROVIDER, STRANGER
from parties import LATER, NOW
from support import refuses
from undersigned.attestation import (
    PAYLOAD_TYPE,
    PREDICATES,
    STATEMENT_TYPE,
    ActionTaken,
    UsageLine,
    accepted,
    envelope,
    make_statement,
    pae,
    payload_digests,
    provenance,
    refusal,
    verify_acceptance,
    verify_delivery,
    verify_statement,
    work,
)
from undersigned.encoding import canonicalize, decode_json, digest_bytes
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.scope import Action, Grant, Scope, permits

ARTIFACT = b"the bill of materials"
ARTIFACTS = {"sbom.cdx.json": digest_bytes(ARTIFACT)}
CONTRACT = digest_bytes(b"contract")
REFUSED = permits(Scope(), {}, Action("artifact:read", "https://acme.example/secret"), NOW)


def claim(**changes: Any):
    fields: dict[str, Any] = {
        "contract": CONTRACT,
        "engagement": ENGAGEMENT,
        "provider": PROVIDER.did,
        "task": "sbom",
        "inputs": {"wheel": digest_bytes(b"wheel")},
        "actions": [ActionTaken.of(REFUSED, NOW)],
        "usage": [UsageLine(clause="read", unit="count", amount="1")],
        "started_on": NOW,
        "finished_on": LATER,
    }
    return work(**(fields | changes))


def built(**changes: Any):
    fields: dict[str, Any] = {
        "contract": CONTRACT,
        "clauses": ["read"],
        "provider": PROVIDER.did,
        "task": "sbom",
        "inputs": {"wheel": digest_bytes(b"wheel")},
        "invocation_id": ENGAGEMENT,
        "started_on": NOW,
        "finished_on": LATER,
        "version": {"undersigned": "0.1.0"},
    }
    return provenance(**(fields | changes))


def verdict(**changes: Any):
    fields: dict[str, Any] = {
        "contract": CONTRACT,
        "document_id": f"{ENGAGEMENT}:hirer:3",
        "verifier": HIRER.did,
        "passed": True,
        "statements": [digest_bytes(b"statement")],
        "time_verified": LATER,
    }
    return accepted(**(fields | changes))


def verify(document: Any, *, by=PROVIDER, **changes: Any):
    fields: dict[str, Any] = {"attester": by.did, "keys": by.keys, "contract": CONTRACT, "artifacts": ARTIFACTS}
    return verify_statement(document, **(fields | changes))


def edited(payload: bytes, *path: Any, value: Any) -> bytes:
    statement: Any = decode_json(payload)
    inner = statement
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return canonicalize(statement)


@pytest.mark.parametrize("predicate", [claim(), built()])
def test_a_providers_statement_verifies(predicate: Any) -> None:
    payload = make_statement(ARTIFACTS, predicate)
    verified = verify(PROVIDER.seal_statement(payload))
    assert verified.predicate == predicate
    assert verified.digest == digest_bytes(payload)
    assert verified.signers == (PROVIDER.method,)
    assert verified.statement.subject[0].digest == {"sha256": sha256(ARTIFACT).hexdigest()}


@pytest.mark.parametrize("passed", [True, False])
def test_an_acceptance_is_the_verifiers(passed: bool) -> None:
    document = HIRER.seal_statement(make_statement(ARTIFACTS, verdict(passed=passed)))
    assert verify(document, by=HIRER).predicate == verdict(passed=passed)
    with pytest.raises(UndersignedError):
        verify(document)


def test_the_standard_members_have_their_standard_names() -> None:
    statement: Any = decode_json(make_statement(ARTIFACTS, built()))
    assert (statement["_type"], statement["predicateType"]) == (STATEMENT_TYPE, "https://slsa.dev/provenance/v1")
    assert statement["predicate"]["buildDefinition"]["externalParameters"] == {
        "contract": CONTRACT,
        "clauses": ["read"],
        "task": "sbom",
    }
    assert statement["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"name": "wheel", "digest": {"sha256": sha256(b"wheel").hexdigest()}}
    ]
    assert statement["predicate"]["runDetails"] == {
        "builder": {"id": PROVIDER.did, "version": {"undersigned": "0.1.0"}},
        "metadata": {"invocationId": ENGAGEMENT, "startedOn": NOW, "finishedOn": LATER},
    }
    statement = decode_json(make_statement(ARTIFACTS, verdict()))
    assert statement["predicate"]["verificationResult"] == "PASSED"
    assert statement["predicate"]["policy"]["uri"] == f"{ENGAGEMENT}:hirer:3"
    assert set(PREDICATES) == {
        "https://slsa.dev/provenance/v1",
        "https://slsa.dev/verification_summary/v1",
        "https://w3id.org/hire/attestation/refusal/v1",
        "https://w3id.org/hire/attestation/work/v1",
    }


def test_refused_actions_are_told_too() -> None:
    statement: Any = decode_json(make_statement(ARTIFACTS, claim()))
    assert statement["predicate"]["actions"] == [
        {
            "at": NOW,
            "action": "artifact:read",
            "target": "https://acme.example/secret",
            "clause": "scope",
            "allowed": False,
            "reason": "no grant names 'artifact:read'",
        }
    ]


def test_what_was_asked_is_told_as_it_was_answered() -> None:
    """What strangers wrote is escaped and cut, and has a place also where it is nothing."""
    scope = Scope(grants=(Grant("read", "artifact:read", "https://acme.example/*"),))
    allowed = permits(scope, {}, Action("artifact:read", "https://acme.example/a"), NOW)
    assert ActionTaken.of(allowed, NOW) == ActionTaken(
        at=NOW, action="artifact:read", target="https://acme.example/a", clause="read", allowed=True
    )
    odd = ActionTaken.refused("", "C:\\\u00e9" + "x" * 3000, clause="", at=NOW, reason="a\nb")
    assert (odd.action, odd.target[:8], len(odd.target)) == ("-", "C:\\\\\\xe9", 2048)
    assert (odd.clause, odd.allowed, odd.reason) == ("scope", False, "a\\nb")
    assert ActionTaken.refused("x", "", clause="read", at=NOW, reason="C:\\").target == "-"
    gate = {"contract": CONTRACT, "engagement": ENGAGEMENT, "gate": HIRER.did, "at": NOW, "code": "scope_exceeded"}
    asked = Action("pay:order", "https://shop.example/", {str(number): "1" for number in range(16, -1, -1)})
    stated = refusal(asked, clause="pay", reason="C:\\", would_pass="less", **gate)
    assert (stated.action, stated.target, stated.clause) == ("pay:order", "https://shop.example/", "pay")
    assert (stated.reason, stated.would_pass, stated.facts) == ("C:\\", "less", {})
    assert list(stated.amounts) == sorted(map(str, range(17)))[:16]
    bare = refusal(Action("", ""), clause="", reason="", **gate)
    assert (bare.action, bare.target, bare.clause, bare.would_pass) == ("-", "-", "scope", None)


def test_what_a_task_is_made_from_is_told_once_and_in_order() -> None:
    digests = {name: digest_bytes(name.encode()) for name in ("wheel", "source")}
    made = built(clauses=["write", "read", "read"], inputs=digests).build_definition
    assert made.external_parameters.clauses == ("read", "write")
    assert [one.name for one in made.resolved_dependencies] == ["source", "wheel"]
    assert [one.name for one in claim(inputs=digests).inputs] == ["source", "wheel"]
    about: Any = decode_json(make_statement(digests, claim()))
    assert [one["name"] for one in about["subject"]] == ["source", "wheel"]
    with refuses(FormatError, "schema_violation"):
        make_statement({}, claim())


def test_more_actions_than_fit_are_counted() -> None:
    predicate = claim(actions=[ActionTaken.of(REFUSED, NOW)] * 300)
    assert (len(predicate.actions), predicate.actions_omitted) == (256, 44)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (["_type"], "https://in-toto.io/Statement/v0.1", "schema_violation"),
        (["extra"], 1, "unknown_term"),
        (["subject"], [], "schema_violation"),
        (["subject", 0, "digest"], {}, "schema_violation"),
        (["predicateType"], "https://example.org/own/v1", "attester_not_trusted"),
        (["predicateType"], "https://slsa.dev/provenance/v1", "unknown_term"),
        (["predicate", "contract"], "x", "schema_violation"),
        (["predicate", "extra"], 1, "unknown_term"),
        (["predicate", "finishedOn"], "2026-11-25T11:00:00Z", "schema_violation"),
        (["predicate", "usage", 0, "amount"], 1, "schema_violation"),
    ],
)
def test_a_statement_of_another_shape_is_refused(path: list[Any], value: Any, code: str) -> None:
    """HIRE-ATT-05."""
    payload = edited(make_statement(ARTIFACTS, claim()), *path, value=value)
    with refuses((FormatError, VerificationError), code):
        verify(PROVIDER.seal_statement(payload))


@pytest.mark.parametrize("payload", [b"[]", b"x", b'{"_type":1,"_type":2}', b"\xff", b'{"_type":"\\ud800"}'])
def test_any_bytes_are_read_by_the_strict_parser(payload: bytes) -> None:
    """HIRE-ATT-01."""
    with pytest.raises(FormatError):
        verify(PROVIDER.seal_statement(payload))


def test_external_parameters_are_closed() -> None:
    payload = edited(
        make_statement(ARTIFACTS, built()), "predicate", "buildDefinition", "externalParameters", "extra", value="x"
    )
    with pytest.raises(FormatError) as caught:
        verify(PROVIDER.seal_statement(payload))
    assert caught.value.path == "/predicate/buildDefinition/externalParameters/extra"


def test_a_delivery_has_each_required_statement_about_each_artifact() -> None:
    two = ARTIFACTS | {"log.txt": digest_bytes(b"log")}
    both = [PROVIDER.seal_statement(make_statement(two, made)) for made in (claim(), built())]
    required = ["https://w3id.org/hire/attestation/work/v1", "https://slsa.dev/provenance/v1"]

    def deliver(statements: Any, needed: Any = required):
        return verify_delivery(
            statements, attester=PROVIDER.did, keys=PROVIDER.keys, contract=CONTRACT, artifacts=two, required=needed
        )

    assert len(deliver(both)) == 2
    assert deliver([], []) == ()
    with refuses(FormatError, "too_large"):
        deliver([*both * 32, both[0]])
    partial = PROVIDER.seal_statement(make_statement(ARTIFACTS, built()))
    for statements in ([], both[:1], [both[0], partial]):
        with refuses(VerificationError, "digest_mismatch"):
            deliver(statements)


def test_every_algorithm_is_checked_against_bytes() -> None:
    digests = {"sha256": sha256(ARTIFACT).hexdigest(), "sha512": sha512(ARTIFACT).hexdigest()}
    payload = edited(make_statement(ARTIFACTS, claim()), "subject", 0, "digest", value=digests)
    document = PROVIDER.seal_statement(payload)
    assert verify(document, artifacts={"sbom.cdx.json": ARTIFACT})
    assert verify(document, artifacts={"sbom.cdx.json": ARTIFACT}).unchecked == ()
    # With its digest alone, that by sha256 is held against it, and of the other it is said that it was not.
    assert verify(document).unchecked == ("sha512 of 'sbom.cdx.json'",)
    # With its digests by each algorithm all are held against them, and one that is not among them proves nothing.
    assert verify(document, artifacts={"sbom.cdx.json": digests}).unchecked == ()
    for known in ({"sha256": digests["sha256"]}, digests | {"sha512": sha512(b"x").hexdigest()}):
        with refuses(VerificationError, "digest_mismatch"):
            verify(document, artifacts={"sbom.cdx.json": known})
    said: Any = decode_json(payload)
    said["subject"][0]["digest"] = {"sha512": digests["sha512"], "sha256": "0" * 64}
    with refuses(VerificationError, "digest_mismatch"):
        verify(PROVIDER.seal_statement(json.dumps(said).encode()))
    alone = edited(payload, "subject", 0, "digest", value={"sha512": digests["sha512"]})
    for artifacts in (ARTIFACTS, {"sbom.cdx.json": ARTIFACT}):
        with pytest.raises(VerificationError, match="expected a digest by sha256"):
            verify(PROVIDER.seal_statement(alone), artifacts=artifacts)
    weak = digests | {"sha1": sha1(b"x").hexdigest()}
    payload = edited(make_statement(ARTIFACTS, claim()), "subject", 0, "digest", value=weak)
    assert verify(PROVIDER.seal_statement(payload), artifacts={"sbom.cdx.json": ARTIFACT})


def test_keys_of_somebody_else_do_not_count() -> None:
    document = PROVIDER.seal_statement(make_statement(ARTIFACTS, claim()))
    with refuses(VerificationError, "attester_not_trusted"):
        verify(document, keys=PROVIDER.keys | STRANGER.keys)


def test_nobody_accepts_his_own_work() -> None:
    """HIRE-ATT-06: the same key under another name is the same key."""
    document = HIRER.seal_statement(make_statement(ARTIFACTS, verdict()))
    assert verify(document, by=HIRER, other_than=[PROVIDER.key])
    with refuses(VerificationError, "attester_not_trusted"):
        verify(document, by=HIRER, other_than=[HIRER.key])


def test_what_is_told_of_the_contract_is_as_the_contract_has_it() -> None:
    """HIRE-ATT-04: another engagement or task, or an input that nobody gave, in either kind of statement."""

    def deliver(*claims: Any, **agreed: Any):
        made = [PROVIDER.seal_statement(make_statement(ARTIFACTS, one)) for one in claims]
        fields: dict[str, Any] = {"engagement": ENGAGEMENT, "task": "sbom", "inputs": [digest_bytes(b"wheel")]}
        return verify_delivery(
            made,
            attester=PROVIDER.did,
            keys=PROVIDER.keys,
            contract=CONTRACT,
            artifacts=ARTIFACTS,
            required=(),
            **(fields | agreed),
        )

    used = [UsageLine(clause=clause, unit="count", amount="1") for clause in ("write", "read")]
    told = [("write", "count", "1"), ("read", "count", "1")]
    assert len(deliver(claim(), built())) == 2
    assert len(deliver(claim(usage=used), usage=told)) == 1
    for claims, agreed in (
        ([claim(engagement=f"urn:hire:engagement:{digest_bytes(b'other')}")], {}),
        ([claim(task="other")], {}),
        ([built(task="other")], {}),
        ([claim(inputs={"more": digest_bytes(b"more")})], {}),
        ([claim()], {"inputs": []}),
        ([claim(usage=used)], {"usage": told[:1]}),
        ([claim(usage=used[:1] * 2)], {"usage": told[1:]}),
    ):
        with refuses(VerificationError, "attestation_binding"):
            deliver(*claims, **agreed)


def test_a_verdict_is_of_what_was_delivered() -> None:
    """HIRE-ATT-04: of this engagement, of the statements that the delivery carries, and, if it passes, of all of it."""
    work_done = PROVIDER.seal_statement(make_statement(ARTIFACTS, claim()))
    two = ARTIFACTS | {"notes.txt": digest_bytes(b"notes")}

    def judged(about: Any = ARTIFACTS, *, delivered: Any = ARTIFACTS, **change: Any) -> bool:
        predicate = verdict(**{"statements": payload_digests([work_done]), **change})
        fields = {"attester": HIRER.did, "keys": HIRER.keys, "contract": CONTRACT, "engagement": ENGAGEMENT}
        of = {"artifacts": delivered, "statements": [{"payload": "?"}, {}, work_done]}
        return verify_acceptance(HIRER.seal_statement(make_statement(about, predicate)), **fields, **of)[1]

    assert judged()
    assert judged(statements=())
    assert not judged(passed=False)
    assert not judged(delivered=two, passed=False)
    assert judged(two, delivered=two)
    assert judged({"contract": CONTRACT}, delivered={})
    away = f"urn:hire:engagement:{digest_bytes(b'other')}:hirer:3"
    for wrong in (
        {"document_id": away},
        {"document_id": f"{ENGAGEMENT}x:hirer:3"},
        {"statements": [digest_bytes(b"other")]},
        {"delivered": two},
    ):
        with refuses(VerificationError, "attestation_binding"):
            judged(**wrong)


def test_nobody_judges_in_a_delivery() -> None:
    """HIRE-ATT-05, HIRE-ATT-06: an executor is never its own verifier, though its key and its name agree."""
    own = accepted(
        contract=CONTRACT,
        document_id=f"{ENGAGEMENT}:hirer:3",
        verifier=PROVIDER.did,
        passed=True,
        statements=[],
        time_verified=LATER,
    )
    document = PROVIDER.seal_statement(make_statement(ARTIFACTS, own))
    with pytest.raises(VerificationError) as caught:
        verify_delivery(
            [document],
            attester=PROVIDER.did,
            keys=PROVIDER.keys,
            contract=CONTRACT,
            artifacts=ARTIFACTS,
            required=(),
        )
    assert (caught.value.code, caught.value.path) == ("attester_not_trusted", "/predicateType")


ORDER = ("envelope", "payload type", "statement type", "subjects", "predicate", "policy", "contract")
SHOWS: dict[str, tuple[str, str]] = {
    "envelope": ("proof_invalid", "hold"),
    "payload type": ("proof_invalid", "application/json"),
    "statement type": ("schema_violation", "v9"),
    "subjects": ("digest_mismatch", "other.bin"),
    "predicate": ("unknown_term", "no such member"),
    "policy": ("attester_not_trusted", "claims to be of"),
    "contract": ("attestation_binding", "expected a statement under"),
}
"""What is wrong -> the code, and a part of what is said."""


@pytest.mark.parametrize("first", range(len(ORDER)), ids=ORDER)
def test_checks_come_in_their_order(first: int) -> None:
    """The order of section 8.3: from `first` on everything is wrong, and the first is what is said."""
    wrong = ORDER[first:]
    statement: Any = decode_json(
        make_statement(
            {"other.bin": digest_bytes(ARTIFACT)} if "subjects" in wrong else ARTIFACTS,
            claim(
                provider=STRANGER.did if "policy" in wrong else PROVIDER.did,
                contract=digest_bytes(b"another") if "contract" in wrong else CONTRACT,
            ),
        )
    )
    if "statement type" in wrong:
        statement["_type"] = "https://in-toto.io/Statement/v9"
    if "predicate" in wrong:
        statement["predicate"]["extra"] = 1
    payload, kind = canonicalize(statement), "application/json" if "payload type" in wrong else PAYLOAD_TYPE
    signature = PROVIDER.sign(pae(kind, payload + b" " if "envelope" in wrong else payload))
    code, said = SHOWS[ORDER[first]]
    with pytest.raises(UndersignedError) as caught:
        verify(envelope(payload, [(PROVIDER.method, signature)], kind))
    assert caught.value.code == code
    assert said in f"{caught.value.message} {caught.value.path}"
