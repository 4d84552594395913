"""Each canary is caught by one check and by nothing else: without that check, the verifier takes it.

A check is left out by compiling its function again without the statement that refuses. Nothing else is changed, so a
canary that passes then is one that every other check lets through.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import pytest
from shown_by import CANARIES

from undersigned.attestation import statement
from undersigned.bridges import gates, http_answers, http_signatures
from undersigned.contract import check, sealed, subcontract
from undersigned.credentials import linkage, presentation, status_list
from undersigned.credentials import verify as credentials
from undersigned.did import DidDocument
from undersigned.encoding import strict_json
from undersigned.keys import ecdsa, ed25519, public_key
from undersigned.messages import verify as messages
from undersigned.proof import data_integrity, sets
from undersigned.protocol import case, fold, guards, performance
from undersigned.runtime.engagement import documents
from undersigned.scope import decision
from undersigned.transport import proving
from vectors import test_vectors as runner

SIGNATURE: Final = (ed25519.verify, "a signature by this key")

CHECKS: Final[dict[str, tuple[Callable[..., Any], str]]] = {
    "signature": SIGNATURE,
    "signature, over every member": SIGNATURE,
    "signature, over every quad": SIGNATURE,
    "the smaller s of an ECDSA signature": (ecdsa.verify, "s in the lower half"),
    "expiry of a proof": (messages._check_times, "or later"),
    "longest life of a proof": (messages.verify_message, "'proof_expired', text"),
    "skew of a proof": (messages._check_times, "'proof_from_future'"),
    "purpose of the type": (data_integrity.verify_options, "'proof_purpose_mismatch'"),
    "suites that were agreed on": (data_integrity.verify_options, "'suite_not_allowed'"),
    "relationship of the key": (DidDocument.key_for, "is not listed under"),
    "controller of the key": (DidDocument.key_for, "has another controller"),
    "name of the key": (documents.require_names, "changes_key"),
    "recipient": (messages.verify_message, "'wrong_recipient'"),
    "engagement id": (messages.verify_message, "'wrong_negotiation'"),
    "keys of two parties": (messages.verify_message, "'self_dealing', text"),
    "names that repeat": (strict_json._Hooks.object, "each name once"),
    "engagement": (fold._parties, "'wrong_negotiation'"),
    "role": (fold._parties, "'wrong_party'"),
    "place": (fold._judge, "came before move"),
    "previous digest": (fold._judge, "message.previous != last"),
    "seen": (fold._judge, "seen < engagement.peer_saw"),
    "echo of the lists": (guards.echoes_and_picks, "echo of the"),
    "choice from the lists": (guards.echoes_and_picks, "choice among"),
    "challenge of a presentation": (guards.answers_request, "'challenge_mismatch'"),
    "who opens": (guards.opens_bargaining, "'wrong_party'"),
    "rounds": (guards._binds, "'round_limit'"),
    "live offer": (guards.names_live_offer, "'stale_offer'"),
    "document accepted": (guards.names_live_offer, "the live offer's document"),
    "offer seen by the acceptance": (guards.names_live_offer, "the last move seen"),
    "offer sealed": (guards.names_acceptance, "'terms_mismatch'"),
    "document sealed": (guards.names_acceptance, "'terms_mismatch'"),
    "acceptance sealed": (guards.names_acceptance, "'terms_mismatch'"),
    "acceptance seen by the seal": (guards.names_acceptance, "'terms_mismatch'"),
    "reason after an acceptance": (guards.answers_acceptance, "withdrawal after an acceptance"),
    "contract digest": (case.of_this, "'conflicting_contract'"),
    "round": (performance.delivers_round, "'terms_mismatch'"),
    "delivery reviewed": (performance.reviews_delivery, "'delivery'"),
    "document amended": (check.check_document, "'/amends'"),
    "provider of the parent": (subcontract.check_parents, "whose provider"),
    "price of the parent": (subcontract._price_within, "at most the parent"),
    "end of the parent": (subcontract._times_within, "before the parent's, "),
    "acceptance sealed, in a contract alone": (sealed._verify_sealed, "_expect(seal, member"),
    "chain of the two proofs": (sets.verify_proof_set, "previousProof"),
    "prohibitions": (decision.permits, "is prohibited"),
    "window": (decision._weigh, "has ended"),
    "conditions": (decision._weigh, "is not known"),
    "limits": (decision._weigh, "more than what is left"),
    "limits per period": (decision._weigh, "more than what is left"),
    "longest life of a connection's proof": (proving._verify, "lives at most"),
    "whom a connection is for": (proving._verify, "frame.recipient != own"),
    "who was dialed": (proving.prove, "was to prove itself"),
    "nonce of the acceptor": (proving.prove, "repeats another nonce"),
    "version chosen": (proving.prove, "the answer is"),
    "skew of a request": (http_signatures.check_age, "'proof_from_future'"),
    "nonce of a request": (http_signatures.verify_request, "'replayed'"),
    "body of a request": (gates.check_body, "'digest_mismatch'"),
    "method covered": (http_signatures.verify_request, "does not cover"),
    "target covered": (http_signatures.verify_request, "does not cover"),
    "contract of a request": (gates.verify_head, "no contract of this name"),
    "fields that change a request": (gates.request_of, "no field that changes"),
    "age of an answer": (http_signatures.check_age, "s are taken"),
    "life of a request": (http_signatures._check_life, "expires"),
    "body of an answer": (http_answers.verify_answer, "'digest_mismatch'"),
    "request covered by an answer": (http_answers.verify_answer, "does not cover"),
    "question that is answered": (data_integrity.verify_options, "'challenge_mismatch'"),
    "engagement of a presentation": (presentation.verify_presentation, "'wrong_negotiation'"),
    "subject of a credential": (presentation.verify_presentation, "expected a credential about"),
    "status": (status_list._looked_up, "'revoked'"),
    "end of a JWT": (credentials.verify_issued, "valid from"),
    "contract of a statement": (statement.verify_statement, "'attestation_binding'"),
    "who claims a statement": (statement.verify_statement, "it claims to be of"),
    "statements that the terms demand": (statement.verify_delivery, "there is none"),
    "key of who is judged": (statement.verify_statement, "whose work it judges"),
    "origin in the DID document": (linkage.verify_linkage, "does not name {origin}"),
    "origin in the credential": (linkage._check_said, "expected {expected}"),
    "validity of a credential": (credentials.verify_issued, "valid from"),
    "signature of a credential": SIGNATURE,
    "closed form of a linkage credential": (linkage._check_said, "expected nothing beside"),
}
"""Check -> the function that makes it, and words of the statement by which it refuses, or of what that depends on."""

KINDS: Final[dict[str, Callable[[Path], None]]] = {
    "connection": runner.test_a_frame_proves_its_sender_or_not,
    "message": runner.test_a_message_is_taken_or_refused,
    "journal": runner.test_a_history_takes_one_more_message,
    "chain": runner.test_a_chain_of_contracts_verifies_up_to_its_root,
    "sealed": runner.test_a_sealed_contract_verifies_alone,
    "linkage": runner.test_a_did_and_an_origin_are_tied_or_not,
    "presentation": runner.test_what_is_shown_holds_or_not,
    "delivery": runner.test_what_was_delivered_is_stated_or_refused,
    "review": runner.test_a_verdict_is_stated_or_refused,
    "request": runner.test_a_request_is_let_in_or_refused,
    "answer": runner.test_an_answer_is_the_hirers_or_not,
}


class _Without(ast.NodeTransformer):
    """Leaves out each statement that refuses in these words."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.found = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        said = node.test if isinstance(node, ast.If) else node
        if isinstance(node, ast.If | ast.Raise | ast.Return | ast.Expr) and self.words in ast.unparse(said):
            self.found += 1
            return ast.copy_location(ast.Pass(), node)
        return super().generic_visit(node)


def without(function: Callable[..., Any], words: str) -> CodeType:
    """The code of a function without the one check; how it is called stays as it is."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    transformer = _Without(words)
    made = ast.fix_missing_locations(transformer.visit(tree))
    assert transformer.found == 1, f"{transformer.found} statements of {function.__qualname__} say {words!r}"
    module = compile(made, inspect.getfile(function), "exec")
    codes = {one.co_name: one for one in module.co_consts if isinstance(one, CodeType)}
    return codes[function.__name__]  # what makes its annotations is another, from Python 3.14 on


def test_each_canary_has_its_check_and_each_check_its_canary() -> None:
    assert sorted(CANARIES.values()) == sorted(CHECKS)
    canaries = {
        str(folder.relative_to(runner.VECTORS)): found
        for folder in runner.FOLDERS
        if (found := runner.read(folder, "case.json").get("canary"))
    }
    assert canaries == CANARIES


@pytest.mark.parametrize("name", sorted(CANARIES))
def test_without_its_check_a_canary_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = runner.VECTORS / name
    function, words = CHECKS[CANARIES[name]]
    kind = runner.read(folder, "case.json")["kind"]
    if kind == "scope":
        assert runner.decided(folder).answer != "yes"
    else:
        KINDS[kind](folder)
    assert isinstance(function, FunctionType)
    monkeypatch.setattr(function, "__code__", without(function, words))
    if kind == "scope":
        assert runner.decided(folder).answer == "yes"
        return
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        KINDS[kind](folder)
    public_key._held.cache_clear()  # a signature that is taken here holds nowhere else
