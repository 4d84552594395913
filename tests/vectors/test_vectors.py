"""Every folder of protocol-spec/vectors gives the result that it states (HIRE-CLS-03).

Intermediate values are computed here a second time with other libraries: rfc8785 for the canonical JSON, pyld
with the published context for the canonical N-Quads, hashlib for the hashes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pyld.jsonld
import pytest
import rfc8785
from nacl.signing import SigningKey
from pyld.context_resolver import ContextResolver

from support import ROOT, refuses
from undersigned.attestation import VerifiedStatement, WorkPredicate, verify_acceptance, verify_delivery
from undersigned.attestation.bills import check_bills
from undersigned.bridges.gates import ContractKeys, check_body, request_of, verify_head
from undersigned.bridges.http_answers import VerifiedAnswer, verify_answer
from undersigned.bridges.http_messages import Request, Response
from undersigned.bridges.http_signatures import VerifiedRequest
from undersigned.contract import (
    SealedContract,
    check_parents,
    read_contract,
    read_parents,
    verify_parents,
    verify_sealed,
)
from undersigned.credentials import (
    StatusList,
    check_status,
    read_credential,
    read_presentation,
    status_urls,
    verify_credential,
    verify_linkage,
    verify_presentation,
    verify_status_list,
)
from undersigned.credentials.linkage import LINKAGE_CONTEXTS
from undersigned.did import DidDocument, document_from, keys_of, make_document
from undersigned.encoding import (
    FOREIGN_LIMITS,
    base58_decode,
    base64url_encode,
    decode_json,
    digest_bytes,
    from_struct,
    multibase_decode,
    to_struct,
)
from undersigned.errors import CODES, UndersignedError
from undersigned.evidence import verify_pack
from undersigned.keys import public_key_from_multikey
from undersigned.ledger import MemoryLedger
from undersigned.messages import MESSAGE_TYPES, VerifiedMessage, check_sealing, decode_message, verify_message
from undersigned.protocol import Received, Sent, apply, basis, begin, outcome
from undersigned.runtime import read_multibase_note
from undersigned.runtime.engagement.documents import require_names
from undersigned.runtime.evidence.accusations import proved
from undersigned.runtime.evidence.tracing import verified_pack
from undersigned.runtime.log.logbook import HeldHead, audited, verified_note
from undersigned.scope import Action, Approved, GateDecision, WireScope, permits, read_scope
from undersigned.trace import GraphAnswers, MadeFrom, ProvedEngagement, SeenList, TraceEvidence, asked_about, judge
from undersigned.transparency import contract_leaf, leaf_digest
from undersigned.transport import Identity, Proved, admit, memory_pair, prove
from undersigned.trust import (
    Anchors,
    Edge,
    Graph,
    Policy,
    Viewpoint,
    accused,
    answer,
    authority,
    check_presented,
    edge_of,
    reputation,
)
from undersigned.trust.edge import units_of, written
from undersigned.trust.establishment import check_newer, established, read_establishment, verify_establishment
from undersigned.trust.graph import WORK_LIMIT

VECTORS = ROOT / "protocol-spec" / "vectors"
FOLDERS = sorted(path.parent for path in VECTORS.rglob("case.json"))
CONTEXT = json.loads((ROOT / "protocol-spec" / "context" / "hire-v1.jsonld").read_bytes())


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def refused(expected: Mapping[str, Any], act: Callable[[], object]) -> bool:
    """Whether this is to be refused; then it is, with the code."""
    if "code" in expected:
        with refuses(UndersignedError, expected["code"]):
            act()
    return "code" in expected


KINDS = {folder: read(folder, "case.json")["kind"] for folder in FOLDERS}


def key_of(method: str, purpose: str) -> Any:
    return document_from(method.partition("#")[0], {}).key_for(method, purpose, now=None)


def of_kind(*kinds: str) -> list[Any]:
    found = [folder for folder, kind in KINDS.items() if kind in kinds]
    return [pytest.param(folder, id=str(folder.relative_to(VECTORS))) for folder in found]


def document_of(did: str, given: Mapping[str, Any]) -> DidDocument:
    """The DID document: made from the identifier, or the one that the case gives."""
    if did not in given:
        return document_from(did, {})
    host = did.removeprefix("did:web:")
    return document_from(did, {f"https://{host}/.well-known/did.json": json.dumps(given[did]).encode()})


def verified(raw: bytes, case: Mapping[str, Any], now: str) -> VerifiedMessage:
    received = decode_message(raw)
    recipient = case.get("recipient") or received.message.recipient
    documents = {did: document_of(did, case.get("documents", {})) for did in (received.message.sender, recipient)}
    message = verify_message(received, documents, now=now, recipient=recipient, suites=case.get("suites"))
    before = [document_of(one["id"], {one["id"]: one}) for one in case.get("before", ())]
    require_names(documents[received.message.sender], before)
    return message


@pytest.mark.parametrize("folder", of_kind("message"))
def test_a_message_is_taken_or_refused(folder: Path) -> None:
    """HIRE-CLS-03, HIRE-KEY-08, HIRE-JSN-01, HIRE-JSN-02, HIRE-JSN-03, HIRE-PRF-02, HIRE-PRF-03, HIRE-PRF-04,
    HIRE-PRF-06.
    """
    case, expected, raw = read(folder, "case.json"), read(folder, "expected.json"), (folder / "input.json").read_bytes()
    if refused(expected, lambda: verified(raw, case, case["now"])):
        return
    message = verified(raw, case, case["now"])
    assert message.message.type == expected["type"]
    assert message.digest == expected["digest"]
    assert message.raw == raw
    document = json.loads(raw)
    proof = document.pop("proof")
    check_intermediates(document, proof, expected, case["keys"])
    assert message.digest == "u" + base64url_encode(b"\x12\x20" + hashlib.sha256(rfc8785.dumps(document)).digest())


@pytest.mark.parametrize("folder", of_kind("connection"))
def test_a_frame_proves_its_sender_or_not(folder: Path) -> None:
    """HIRE-CNX-05, HIRE-CNX-06, HIRE-CNX-07."""
    case, expected, raw = read(folder, "case.json"), read(folder, "expected.json"), (folder / "input.json").read_bytes()

    async def resolve(did: str) -> DidDocument:
        return document_from(did, {})

    async def sign(data: bytes) -> bytes:
        return SigningKey.generate().sign(data).signature  # what the reader says itself is not looked at

    async def met() -> Proved:
        ours, theirs = memory_pair()
        own = Identity(case["own"], f"{case['own']}#key", "eddsa-jcs-2022", "Ed25519", sign)
        given = {"nonce": multibase_decode(case["nonce"]), "versions": case["versions"]}
        if case["reader"] == "acceptor":
            await theirs.send(raw)
            return await admit(ours, {own.did: own}, resolve, lambda: case["now"], **given)
        first = {"type": "Challenge", "subprotocol": "hire.v1", "nonce": case["challenge"]}
        await theirs.send(rfc8785.dumps(first))
        await theirs.send(raw)
        return await prove(ours, own, resolve, lambda: case["now"], expect=case["peer"], **given)

    if refused(expected, lambda: asyncio.run(met())):
        return
    found = asyncio.run(met())
    assert (found.peer, found.version) == (expected["peer"], expected["version"])
    document = json.loads(raw)
    check_intermediates(document, document.pop("proof"), expected, case["keys"])


@pytest.mark.parametrize("folder", of_kind("journal"))
def test_a_history_takes_one_more_message(folder: Path) -> None:
    """The states of a hire, and for each refusal that nothing moved.

    HIRE-OVR-01, HIRE-CHN-03, HIRE-CHN-05, HIRE-CHN-09, HIRE-CHN-10, HIRE-NEG-01 (`one-hire`, `repeat`, `late`, …);
    HIRE-VER-01, HIRE-VER-02 (`lists-not-echoed`, `suite-not-offered`); HIRE-NEG-03
    (`presentation-for-another-question`); HIRE-NEG-07, HIRE-CTR-02, HIRE-CTR-03 (`document-of-another-place`);
    HIRE-NEG-11, HIRE-NEG-14 (`acceptance-…`, `seal-…`); HIRE-NEG-16 (`withdrawal-without-reason`);
    HIRE-ATT-07 (`delivery-after-the-review`).
    """
    case, expected = read(folder, "case.json"), read(folder, "expected.json")
    own = case[case["view"]]
    peer = case["provider" if case["view"] == "hirer" else "hirer"]
    engagement = begin(case["view"], own, peer, case["engagement"])
    states: list[str] = []
    for line in read(folder, "journal.json"):
        message = verified(rfc8785.dumps(line["message"]), {}, line["at"])
        entry = Sent if line["message"]["sender"] == own else Received
        engagement = apply(engagement, entry(message, line["at"]))
        states.append(engagement.state)
    last = verified((folder / "input.json").read_bytes(), {}, case["at"])
    entry = (Sent if last.message.sender == own else Received)(last, case["at"])
    if "code" in expected:
        before = engagement
        with refuses(UndersignedError, expected["code"]):
            apply(engagement, entry)
        assert engagement == before
    else:
        assert outcome(engagement, last, case["at"]) == expected["outcome"]
        engagement = apply(engagement, entry)
        states.append(engagement.state)
    assert engagement.state == expected["state"]
    assert states == expected.get("states", states)
    assert basis(engagement) == expected.get("basis", basis(engagement))


@pytest.mark.parametrize("folder", of_kind("chain"))
def test_a_chain_of_contracts_verifies_up_to_its_root(folder: Path) -> None:
    """HIRE-SUB-01, HIRE-SUB-02, HIRE-SUB-03."""
    expected = read(folder, "expected.json")
    given = decode_json((folder / "input.json").read_bytes())
    assert isinstance(given, dict)
    parents: Any = given["parents"]

    def names() -> list[str]:
        above = read_parents(parents)
        check_parents(read_contract(given["document"]), above)  # type: ignore[arg-type]
        for parent in above:
            check_sealing(parent.acceptance, parent.seal)
        verify_parents(above, keys=key_of)
        return [parent.name for parent in above]

    assert refused(expected, names) or names() == expected["parents"]


@pytest.mark.parametrize("folder", of_kind("sealed"))
def test_a_sealed_contract_verifies_alone(folder: Path) -> None:
    """HIRE-CTR-07, HIRE-CTR-08, HIRE-CTR-09, HIRE-CTR-10, HIRE-CTR-11, HIRE-LOG-01."""
    case, expected = read(folder, "case.json"), read(folder, "expected.json")
    given = decode_json((folder / "input.json").read_bytes())
    assert isinstance(given, dict)

    def verified() -> SealedContract:
        check_sealing(given["acceptance"], given["seal"])  # type: ignore[arg-type]
        return verify_sealed(given["document"], given["acceptance"], given["seal"], keys=key_of)  # type: ignore[arg-type]

    if refused(expected, verified):
        return
    sealed = verified()
    assert (sealed.digest, sealed.offerer) == (expected["digest"], expected["offerer"])
    assert (sealed.acceptance, sealed.seal) == (expected["acceptance"], expected["seal"])
    document = read(folder, "input.json")["document"]
    whole = hashlib.sha256(rfc8785.dumps(document)).digest()
    leaf = hashlib.sha256(b"\x00hire/v1 contract\n" + whole).digest()
    assert expected["leaf"] == "u" + base64url_encode(b"\x12\x20" + leaf)
    assert expected["leaf"] == leaf_digest(contract_leaf(given["document"]))  # type: ignore[arg-type]
    first, second = document.pop("proof")
    check_intermediates(document, first, expected["offererProof"], case["keys"])
    check_intermediates({**document, "proof": [first]}, second, expected["acceptorProof"], case["keys"])


@pytest.mark.parametrize("folder", of_kind("scope"))
def test_a_scope_answers_one_action(folder: Path) -> None:
    """HIRE-SCO-01, HIRE-SCO-02, HIRE-SCO-06, HIRE-SCO-07, HIRE-SCO-12, HIRE-SCO-13."""
    expected = read(folder, "expected.json")
    if "answer" not in expected:
        with pytest.raises(UndersignedError) as refused:
            decided(folder)
        assert refused.value.code == expected["code"]
        return
    decision = decided(folder)
    found = {
        "answer": decision.answer,
        "clause": decision.clause,
        "code": decision.code,
        "remaining": dict(decision.remaining),
        "charges": {charge.counter: [charge.amount, charge.maximum] for charge in decision.charges},
    }
    assert {name: found[name] for name in expected} == expected


def decided(folder: Path) -> GateDecision:
    """What the scope of a vector says of its action."""
    case, given = read(folder, "case.json"), decode_json((folder / "input.json").read_bytes())
    scope = read_scope(to_struct(given, WireScope))
    approved = [Approved(**one) for one in case.get("approved", ())]
    return permits(scope, case.get("used", {}), Action(**case["action"]), case["now"], approved)


@pytest.mark.parametrize("folder", of_kind("linkage"))
def test_a_did_and_an_origin_are_tied_or_not(folder: Path) -> None:
    """HIRE-LNK-01, HIRE-LNK-02, HIRE-LNK-03."""
    case, expected, raw = read(folder, "case.json"), read(folder, "expected.json"), (folder / "input.json").read_bytes()
    given = {"origin": case["origin"], "document": document_of(case["did"], case["documents"]), "now": case["now"]}
    if refused(expected, lambda: verify_linkage(raw, **given)):
        return
    tied = verify_linkage(raw, **given)
    assert tied.digest == expected["credential"]
    if tied.jws is not None:
        assert tied.jws.text.startswith(f"{expected['signed']}.")
        return
    document = dict(tied.json)
    check_intermediates(document, document.pop("proof"), expected, case["keys"])


@pytest.mark.parametrize("folder", of_kind("request"))
def test_a_request_is_let_in_or_refused(folder: Path) -> None:
    """HIRE-RQS-01, HIRE-GTS-01, HIRE-GTS-02, HIRE-GTS-03, HIRE-GTS-04."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    keys = ContractKeys(contract=case["contract"], provider=case["provider"], keys=case["methods"])
    nonces = {(method, nonce) for method, nonce in case.get("seen", ())}

    def fresh(method: str, nonce: str) -> bool:
        return (method, nonce) not in nonces

    def verified() -> VerifiedRequest:
        headers = tuple((name, value) for name, value in given["headers"])
        request = request_of(case["origin"], given["method"], given["path"], headers)
        found = verify_head(request, keys, now=case["now"], fresh=fresh)
        check_body(request, hashlib.sha256(given.get("body", "").encode()).digest())
        return found

    if refused(expected, verified):
        return
    found = verified()
    assert (found.keyid, found.contract) == (expected["keyid"], case["contract"])
    check_signed(given["headers"], case, expected)


@pytest.mark.parametrize("folder", of_kind("answer"))
def test_an_answer_is_the_hirers_or_not(folder: Path) -> None:
    """HIRE-GTS-14, HIRE-GTS-15."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    asked = given["request"]
    fields = tuple((name, value) for name, value in asked["headers"])
    request = Request(asked["method"], case["origin"] + asked["path"], fields)
    response = Response(given["status"], tuple((name, value) for name, value in given["headers"]), request)
    document = document_from(case["hirer"], {})

    def verified() -> VerifiedAnswer:
        digest = hashlib.sha256(given.get("body", "").encode()).digest()
        return verify_answer(
            response, digest, lambda m: document.key_for(m, "authentication", now=None), now=case["now"]
        )

    if refused(expected, verified):
        return
    assert verified().keyid == expected["keyid"]
    check_signed(given["headers"], case, expected)


def check_signed(headers: list[list[str]], case: dict[str, Any], expected: dict[str, Any]) -> None:
    """The signature is over the text that the vector states, by the key that it publishes."""
    fields = dict(headers[:5])
    raw = base64.b64decode(fields["Signature"].partition("=:")[2].removesuffix(":"))
    assert (
        expected["signed"].rpartition("\n")[2]
        == f'"@signature-params": {fields["Signature-Input"][5:].replace("  ", " ")}'
    )
    key = next(key for key in case["keys"] if key["method"] == expected["keyid"])
    if key["kind"] == "Ed25519":
        assert SigningKey(bytes.fromhex(key["seed"])).sign(expected["signed"].encode()).signature == raw
    else:
        size = 32 if key["kind"] == "P-256" else 48
        assert len(raw) == 2 * size


@pytest.mark.parametrize("folder", of_kind("presentation"))
def test_what_is_shown_holds_or_not(folder: Path) -> None:
    """HIRE-CRD-01 to HIRE-CRD-06, HIRE-CRD-10, HIRE-CRD-11, HIRE-LD-06, HIRE-LD-08, HIRE-STA-01 to HIRE-STA-03,
    HIRE-STA-10, HIRE-VC-01, HIRE-VC-06, HIRE-JWT-01 to HIRE-JWT-09, HIRE-TRU-13.
    """
    case, expected = read(folder, "case.json"), read(folder, "expected.json")
    now = case["now"]

    def held() -> list[str]:
        shown = read_presentation(decode_json((folder / "input.json").read_bytes(), FOREIGN_LIMITS))  # type: ignore[arg-type]
        of_lists = {found["issuer"] for found in case.get("lists", {}).values() if "issuer" in found}
        documents = {did: document_of(did, {}) for did in (*shown.parties, *of_lists)}
        check_presented(shown.credentials)
        given = {name: case[name] for name in ("challenge", "domain", "holder", "engagement", "now")}
        verified = verify_presentation(shown, documents=documents, **given)
        lists = {
            url: verify_status_list(case["lists"][url], url=url, issuer=issuer, documents=documents, now=now)
            for url, issuer in status_urls(verified.credentials).items()
            if url in case["lists"]
        }
        for credential in verified.credentials:
            check_status(credential, lists, now)
        return [credential.digest for credential in verified.credentials]

    if refused(expected, held):
        return
    assert held() == expected["credentials"]
    shown = read(folder, "input.json")
    check_signature(shown, expected["presentation"], case["keys"])
    if "proof" not in shown:
        shown = payload_of(expected["presentation"]["signed"])
    within = shown.get("verifiableCredential", ())
    assert len(within) == len(expected["proofs"])
    for credential, worked in zip(within, expected["proofs"], strict=True):
        check_signature(credential, worked, case["keys"])
    assert case.get("lists", {}).keys() == expected.get("lists", {}).keys()
    for url, worked in expected.get("lists", {}).items():
        check_signature(case["lists"][url], worked, case["keys"])


@pytest.mark.parametrize("folder", of_kind("edge"))
def test_a_credential_makes_an_edge_or_none(folder: Path) -> None:
    """HIRE-TRU-01, HIRE-TRU-02, HIRE-TRU-03, HIRE-TRU-27."""
    case, expected = read(folder, "case.json"), read(folder, "expected.json")
    evidence = case["evidence"].encode() if "evidence" in case else None

    async def documents_of(did: str) -> tuple[DidDocument, ...]:
        return (document_of(did, {}),)

    def made() -> Edge:
        given: Any = decode_json((folder / "input.json").read_bytes(), FOREIGN_LIMITS)
        issuer = given["issuer"]
        credential = verify_credential(given, documents={issuer: document_of(issuer, {})}, now=case["now"])
        of: Any = {"ledger": MemoryLedger(), "own": "", "documents_of": documents_of, "now": case["now"]}
        shown = asyncio.run(proved(credential, evidence, **of))
        return edge_of(credential, contracts=case["contracts"], evidence=shown)

    if refused(expected, made):
        return
    assert told_of(made()) == expected["edge"]


def told_of(edge: Edge) -> dict[str, Any]:
    """An edge as vectors write it: depth, weight and word always, the weight as a decimal."""
    return {**from_struct(edge), "depth": edge.depth, "weight": written(edge.weight), "says": edge.says}


@pytest.mark.parametrize("folder", of_kind("establishment"))
def test_a_document_makes_edges_or_none(folder: Path) -> None:
    """HIRE-TED-01, HIRE-TED-02, HIRE-TED-03, HIRE-TED-04."""
    case, expected = read(folder, "case.json"), read(folder, "expected.json")

    def made() -> list[dict[str, Any]]:
        given: Any = decode_json((folder / "input.json").read_bytes(), FOREIGN_LIMITS)
        documents = {given["author"]: document_of(given["author"], {})}
        found = verify_establishment(given, pinned=case["pinned"], documents=documents, now=case["now"])
        if "before" in case:
            check_newer(read_establishment(case["before"]), found)
        return [told_of(edge) for edge in established(found, contracts=case["contracts"]).edges]

    if refused(expected, made):
        return
    assert made() == expected["edges"]


@pytest.mark.parametrize("folder", of_kind("graph"))
def test_a_graph_answers(folder: Path) -> None:
    """HIRE-TRU-03 to HIRE-TRU-11, HIRE-TRU-14, HIRE-TRU-25."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    edges = [to_struct({**one, "weight": units_of(one.get("weight", "0"))}, Edge) for one in given["edges"]]
    view = Viewpoint(
        anchors=Anchors.from_toml(case["anchors"]),
        now=case["now"],
        own=tuple(case["own"]),
        refused=frozenset(),
        limit=case.get("limit", WORK_LIMIT),
    )
    asked = case["question"]
    questions: dict[str, Callable[[], Any]] = {
        "authority": lambda: authority(asked["issuer"], asked["type"], asked.get("capability"), view),
        "reputation": lambda: reputation(asked["party"], asked.get("capability"), view),
        "accused": lambda: accused(asked["party"], view),
    }
    found = answer(questions[asked["ask"]](), Graph(edges, given["keys"]).read)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("folder", of_kind("delivery"))
def test_what_was_delivered_is_stated_or_refused(folder: Path) -> None:
    """HIRE-ATT-01, HIRE-ATT-02, HIRE-ATT-03, HIRE-ATT-04, HIRE-ATT-05, HIRE-ATT-07, HIRE-DIG-02."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    document = document_from(case["provider"], {})
    artifacts = {name: text.encode() for name, text in case["files"].items()}
    assert {one["name"]: one["digest"] for one in given["artifacts"]} == {
        name: digest_bytes(data) for name, data in artifacts.items()
    }

    def held() -> list[VerifiedStatement]:
        return verify_delivery(
            given["statements"],
            attester=case["provider"],
            keys={method: document.key_for(method, "assertionMethod", now=None) for method in case["methods"]},
            contract=case["contract"],
            artifacts=artifacts,
            required=case["predicates"] or [WorkPredicate.PREDICATE_TYPE],
            engagement=case["engagement"],
            task=case["task"],
            inputs=case["inputs"],
            usage=[(one["clause"], one["unit"], one["amount"]) for one in given["usage"]],
        )

    if refused(expected, held):
        return
    found = held()
    assert [one.statement.predicate_type for one in found] == expected["types"]
    for one, statement, worked in zip(found, given["statements"], expected["statements"], strict=True):
        assert (one.digest, list(one.signers)) == (worked["digest"], worked["signers"])
        check_envelope(statement, worked, case["keys"])


@pytest.mark.parametrize("folder", of_kind("review"))
def test_a_verdict_is_stated_or_refused(folder: Path) -> None:
    """HIRE-ATT-02 to HIRE-ATT-06."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    listed: list[DidDocument] = []
    for methods in (case["methods"], case.get("recorded", {})):
        keys = {name.partition("#")[2]: public_key_from_multikey(key) for name, key in methods.items()}
        document = make_document(case["verifier"], authentication={}, assertion_method=keys)
        listed.append(DidDocument(case["verifier"], rfc8785.dumps(document)))

    def judged() -> tuple[VerifiedStatement, bool]:
        return verify_acceptance(
            given,
            attester=case["verifier"],
            keys=keys_of(listed, "assertionMethod", now="2026-11-24T09:00:00Z"),
            contract=case["contract"],
            engagement=case["engagement"],
            artifacts={one["name"]: one["digest"] for one in case["artifacts"]},
            statements=case["statements"],
            other_than=[
                document_from(did, {}).key_for(f"{did}#{did[8:]}", "assertionMethod", now=None)
                for did in case["parties"]
            ],
        )

    if refused(expected, judged):
        return
    found, passed = judged()
    assert passed == (expected["result"] == "PASSED")
    assert (found.digest, list(found.signers)) == (expected["digest"], expected["signers"])
    check_envelope(given, expected, case["keys"])


@pytest.mark.parametrize("folder", of_kind("pack"))
def test_a_pack_proves_an_engagement_or_not(folder: Path) -> None:
    """HIRE-PCK-01, HIRE-PCK-02, HIRE-LOG-03, HIRE-LOG-09, HIRE-SUB-10: the first step that fails gives the code."""
    case, expected = read(folder, "case.json"), read(folder, "expected.json")
    report = verify_pack(base64.b64decode(read(folder, "input.json")["pack"]), now=case["now"])
    failed = next((step for step in report.steps if not step.ok), None)
    if "code" in expected:
        assert failed is not None
        assert (failed.code, failed.number) == (expected["code"], expected["step"])
        return
    assert failed is None
    assert (report.contract, report.state) == (expected.get("contract"), expected["state"])
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(read(folder, "input.json")["pack"]))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    assert expected["manifest"] == sha256_name(members["manifest.json"])
    engagement = begin(manifest["role"], manifest["own"], manifest["peer"], manifest["engagement"])
    messages: list[dict[str, str]] = []
    for one in manifest["members"]:
        if one["kind"] == "message":
            said = verified(members[one["path"]], {}, one["recordedAt"])
            entry = Sent if said.message.sender == manifest["own"] else Received
            engagement = apply(engagement, entry(said, one["recordedAt"]))
            content = {name: value for name, value in json.loads(said.raw).items() if name != "proof"}
            messages.append({"digest": sha256_name(rfc8785.dumps(content)), "state": engagement.state})
    assert messages == expected["messages"]
    assert ("log" in expected) == ("ledger/checkpoint.txt" in members)
    if "log" in expected:
        log, proof = expected["log"], json.loads(members["ledger/inclusion.json"])
        node, below, last = digest_of_name(log["leaf"]), log["index"], log["size"] - 1
        path = [digest_of_name(name) for name in proof["path"]]
        for beside in path:  # RFC 9162, section 2.1.3.2
            if below & 1 or below == last:
                node = hashlib.sha256(b"\x01" + beside + node).digest()
                while below and not below & 1:
                    below, last = below >> 1, last >> 1
            else:
                node = hashlib.sha256(b"\x01" + node + beside).digest()
            below, last = below >> 1, last >> 1
        assert (last, node.hex()) == (0, log["root"])
        contract = json.loads(members["contract.json"])["document"]
        leaf = b"\x00hire/v1 contract\n" + hashlib.sha256(rfc8785.dumps(contract)).digest()
        assert log["leaf"] == sha256_name(leaf)
        _, size, root = members["ledger/checkpoint.txt"].decode().split("\n")[:3]
        assert (int(size), base64.b64decode(root).hex()) == (log["size"], log["root"])


@pytest.mark.parametrize("folder", of_kind("verdict"))
def test_an_artifact_is_trusted_denied_or_asked_about(folder: Path) -> None:
    """HIRE-TRC-05, HIRE-TRC-07."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    now, anchors = case["now"], Anchors.from_toml(case["anchors"])
    held = [
        ProvedEngagement(verified_pack(base64.b64decode(one), "a pack", now=now), "a pack") for one in given["packs"]
    ]
    evidence = TraceEvidence.of(held)
    graph = Graph([to_struct({**one, "weight": units_of(one.get("weight", "0"))}, Edge) for one in given["edges"]])
    asked = asked_about(case["artifact"], evidence)
    refused = frozenset(case["refuse"])
    heard = GraphAnswers(
        tuple(
            answer(
                authority(issuer, type, case["purpose"], Viewpoint(anchors=anchors, now=at, refused=refused)),
                graph.read,
            )
            for issuer, type, at in asked.authority
        ),
        tuple(
            answer(accused(did, Viewpoint(anchors=anchors, now=now, refused=frozenset())), graph.read)
            for did in asked.accused
        ),
    )

    def verified_list(one: dict[str, Any]) -> StatusList:
        issuer = one["list"]["issuer"]
        documents = {issuer: document_from(issuer, {})}
        return verify_status_list(one["list"], url=one["url"], issuer=issuer, documents=documents, now=one["at"])

    verdict = judge(
        case["artifact"],
        case["purpose"],
        evidence,
        policy=Policy(refuse=tuple(case["refuse"]), refuse_capabilities=tuple(case["refuseCapabilities"])),
        own=case["own"],
        now=now,
        anchors=anchors,
        heard=heard,
        links=[read_credential(one) for one in given["links"]],
        lists={one["url"]: verified_list(one) for one in given["lists"]},
        known=[SeenList(verified_list(one), one["own"], one["why"]) for one in given["known"]],
        inputs=MadeFrom(policy="", anchors="", heard=""),
    )
    assert verdict.outcome == expected["outcome"]
    reasons = [*verdict.reasons, *(reason for one in verdict.judged for reason in one.reasons)]
    unmet = [reason for reason in reasons if reason.code != "met"]
    assert [{"clause": one.clause, "code": one.code} for one in unmet] == expected["reasons"]
    if "asOf" in expected:
        (status,) = unmet
        assert f"last known good as of {expected['asOf']}; " in status.value
        assert given["known"][0]["why"] in status.value


@pytest.mark.parametrize("folder", of_kind("audit"))
def test_a_log_is_what_its_owner_signed_or_not(folder: Path) -> None:
    """HIRE-LOG-08."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    owner = document_from(case["log"], {})
    checkpoint, *heads = (
        verified_note(read_multibase_note(note), owner, case["now"]) for note in (given["checkpoint"], *case["heads"])
    )

    async def leaves() -> AsyncIterator[tuple[bytes, ...]]:
        for leaf in given["leaves"]:
            yield (base64.b64decode(leaf),)

    held = [HeldHead(head, "a message") for head in heads]
    promised: dict[int, dict[str, str]] = {}
    for one in case["promised"]:
        promised.setdefault(one["index"], {})[one["leaf"]] = "a Seal"
    found = asyncio.run(audited(checkpoint, leaves(), held, promised))
    if "code" in expected:
        assert (expected["code"], bool(found.defects)) == ("ledger_diverged", True)
        return
    assert found.defects == ()
    assert found.leaves == expected["size"]
    assert found.compared == len(held) + len(case["promised"])
    hashes = [hashlib.sha256(b"\x00" + base64.b64decode(leaf)).digest() for leaf in given["leaves"]]
    assert [one.hex() for one in hashes] == expected["leaves"]
    assert [merkle_root(hashes[:size]).hex() for size in range(len(hashes) + 1)] == expected["roots"]
    text, _, line = read_multibase_note(given["checkpoint"]).partition("\n\n")
    assert f"{text}\n" == expected["signed"]
    name, signed = line.removeprefix("\u2014 ").split()
    raw, seed = base64.b64decode(signed), SigningKey(bytes.fromhex(case["keys"][0]["seed"]))
    assert (raw[:4].hex(), raw[4:].hex()) == (expected["keyHash"], expected["signature"])
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + bytes(seed.verify_key)).digest()[:4]
    assert seed.sign(expected["signed"].encode()).signature == raw[4:]


@pytest.mark.parametrize("folder", of_kind("bill"))
def test_a_bill_describes_what_was_delivered_or_not(folder: Path) -> None:
    """HIRE-ATT-09."""
    case, expected, given = read(folder, "case.json"), read(folder, "expected.json"), read(folder, "input.json")
    artifacts = {name: base64.b64decode(one["data"]) for name, one in given["artifacts"].items()}
    kinds = {name: one["mediaType"] for name, one in given["artifacts"].items()}
    inputs = {name: base64.b64decode(data) for name, data in given["inputs"].items()}
    if not refused(expected, lambda: check_bills(case["sbom"], artifacts, kinds, inputs)):
        check_bills(case["sbom"], artifacts, kinds, inputs)


@pytest.mark.parametrize("folder", of_kind("key"))
def test_a_public_key_is_read_or_refused(folder: Path) -> None:
    """HIRE-KEY-01."""
    expected, text = read(folder, "expected.json"), (folder / "input.json").read_text()
    if refused(expected, lambda: public_key_from_multikey(text)):
        return
    key = public_key_from_multikey(text)
    assert key.kind == expected["keyKind"]
    assert key.multikey == text


def merkle_root(hashes: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, of the hashes of leaves."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + merkle_root(hashes[:half]) + merkle_root(hashes[half:])).digest()


def sha256_name(data: bytes) -> str:
    """A digest as messages write it."""
    return "u" + base64url_encode(b"\x12\x20" + hashlib.sha256(data).digest())


def digest_of_name(name: str) -> bytes:
    """The hash in a digest as messages write it."""
    return base64.urlsafe_b64decode(f"{name[1:]}==")[2:]


def payload_of(signed: str) -> dict[str, Any]:
    """The claims of a JWS."""
    return json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))


def check_signature(document: dict[str, Any], worked: dict[str, str], keys: list[dict[str, str]]) -> None:
    """Of a credential or presentation: as its proof says, or as a JWT."""
    if "proof" in document:
        document = dict(document)
        (proof,) = document["proof"] if isinstance(document["proof"], list) else [document["proof"]]
        check_intermediates({name: value for name, value in document.items() if name != "proof"}, proof, worked, keys)
        return
    signed, _, signature = document["id"].partition(",")[2].rpartition(".")
    assert (signed, base64.urlsafe_b64decode(f"{signature}==").hex()) == (worked["signed"], worked["signature"])
    header = json.loads(base64.urlsafe_b64decode(signed.partition(".")[0] + "=="))
    check_ed25519(signed.encode(), worked["signature"], header["kid"], keys)


def check_envelope(statement: dict[str, Any], worked: dict[str, Any], keys: list[dict[str, str]]) -> None:
    """What is signed of a DSSE envelope, and by whom."""
    payload, kind = base64.b64decode(statement["payload"]), statement["payloadType"]
    assert worked["digest"] == sha256_name(payload)
    assert worked["signed"].encode() == f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    assert base64.b64decode(statement["signatures"][0]["sig"]).hex() == worked["signature"]
    (method,) = worked["signers"]
    if any(key["method"] == method for key in keys):
        check_ed25519(worked["signed"].encode(), worked["signature"], method, keys)


def check_ed25519(signed: bytes, signature: str, method: str, keys: list[dict[str, str]]) -> None:
    key = next(key for key in keys if key["method"] == method)
    assert SigningKey(bytes.fromhex(key["seed"])).sign(signed).signature.hex() == signature


def check_intermediates(
    document: dict[str, Any], proof: dict[str, Any], expected: dict[str, Any], keys: list[dict[str, str]]
) -> None:
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    signer = next(key for key in keys if key["method"] == proof["verificationMethod"])
    hash_of = hashlib.sha384 if signer["kind"] == "P-384" else hashlib.sha256
    if "jcs" in proof["cryptosuite"]:
        forms = rfc8785.dumps(document), rfc8785.dumps(config)
    else:
        forms = quads(document, hash_of), quads({"@context": document["@context"], **config}, hash_of)
    assert forms[0].decode() == expected["documentForm"]
    assert forms[1].decode() == expected["proofConfigForm"]
    assert hash_of(forms[0]).hexdigest() == expected["documentHash"]
    assert hash_of(forms[1]).hexdigest() == expected["proofConfigHash"]
    assert expected["signed"] == expected["proofConfigHash"] + expected["documentHash"]
    signature = base58_decode(proof["proofValue"][1:])
    assert signature.hex() == expected["signature"]
    if signer["kind"] == "Ed25519":
        again = SigningKey(bytes.fromhex(signer["seed"])).sign(bytes.fromhex(expected["signed"])).signature
        assert again == signature


def quads(document: dict[str, Any], hash_of: Callable[[], Any]) -> bytes:
    """Canonical N-Quads by a JSON-LD processor, with nothing of ours but the published context."""

    def load(url: str, _: Any) -> dict[str, Any]:
        context = CONTEXT if url == "https://w3id.org/hire/v1" else dict(LINKAGE_CONTEXTS[url])
        return {"contextUrl": None, "documentUrl": url, "document": context, "contentType": "application/ld+json"}

    class Canonical(pyld.jsonld.URDNA2015):  # type: ignore[misc]
        def create_hash(self) -> Any:
            return hash_of()

    # What it knows of contexts by their names is shared by all that ask it; others may have given them other contents.
    own = ContextResolver({}, load)
    dataset = pyld.jsonld.to_rdf(document, {"documentLoader": load, "contextResolver": own})
    made: str = Canonical().main(dataset, {"format": "application/n-quads"})
    return made.encode()


def test_a_pack_without_the_bytes_says_which_digests_were_not_checked() -> None:
    """HIRE-ATT-03: this one is wrong, and nobody can tell."""
    folder = VECTORS / "packs" / "statement-digest-wrong-unchecked"
    pack = base64.b64decode(read(folder, "input.json")["pack"])
    (said,) = [one.detail for one in verify_pack(pack, now=read(folder, "case.json")["now"]).steps if one.number == 6]
    assert said == "1 statement holds; not checked without the bytes: sha512 of 'sbom.json'"


def test_every_type_has_a_good_vector_in_both_suites() -> None:
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        there = {read(folder, "expected.json")["type"] for folder in (VECTORS / "messages" / suite).iterdir()}
        assert there == set(MESSAGE_TYPES)


def test_every_code_of_a_vector_is_listed() -> None:
    """HIRE-ERR-01."""
    stated = {read(folder, "expected.json").get("code") for folder in FOLDERS} - {None}
    assert stated <= set(CODES)


def test_the_manifest_lists_every_file() -> None:
    manifest = (VECTORS / "MANIFEST.sha256").read_text()
    listed = {name: digest for digest, name in re.findall(r"^(\S{64})  (.+)$", manifest, flags=re.MULTILINE)}
    assert {
        str(path.relative_to(VECTORS)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VECTORS.rglob("*")
        if path.is_file() and path.parent != VECTORS
    } == listed
