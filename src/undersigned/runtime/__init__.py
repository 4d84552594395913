"""The asyncio shell around the protocol: it moves bytes, signs, keeps the ledger and does the work.

Its folders, from below to above; each imports only those before it, and what is used by all:

- `fetching`: what is fetched from servers that strangers name
- `artifacts`: contents by digest
- `log`: the log of our ledger, and those of others
- `home`: the state folder
- `engagement`: one engagement while it runs
- `negotiation`: up to the contract
- `execution`: under a contract
- `agent`: the agent itself, its connections, its two roles, and a hire as its application sees it
- `evidence`: what others can check
- `base`: what every part of an agent stands on, from `negotiation` upward
- used by all: `application` (where its code is called), `clock`, `files`, `logs`, `names`, `signers` (private keys),
  `unread`, `untaken`
"""

from undersigned.runtime.agent.agent import Agent
from undersigned.runtime.agent.hearing import unread, unresolved
from undersigned.runtime.agent.hire import Hire
from undersigned.runtime.agent.hirer import asked_by, delivered_by
from undersigned.runtime.agent.links import given_up
from undersigned.runtime.agent.ordering import checked_demands, hire_order
from undersigned.runtime.agent.outcome import HireResult, hint_of, needed_text, not_hired
from undersigned.runtime.agent.presence import lost_at
from undersigned.runtime.agent.shell import Shell
from undersigned.runtime.agent.whereabouts import LOCAL_ONLY, checked_url
from undersigned.runtime.artifacts.contents import MAX_WHOLE_BYTES, Contents
from undersigned.runtime.artifacts.incoming import SMALL_BYTES
from undersigned.runtime.artifacts.objects import ObjectArtifacts
from undersigned.runtime.artifacts.store import ArtifactStore, of_store
from undersigned.runtime.artifacts.transfers import Meter
from undersigned.runtime.clock import Clock, ClockHeld, SystemClock, steady_seconds
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.engagement.outgoing import bound_to_key, cannot_sign
from undersigned.runtime.engagement.turn import Event, Say, Transfer
from undersigned.runtime.evidence.accusations import equivocation_proof, keep_evidence, proved
from undersigned.runtime.evidence.decisions import (
    DecisionBasis,
    RecordedDecision,
    Replayed,
    decision_named,
    recorded_decisions,
    replay_decision,
)
from undersigned.runtime.evidence.delivered import ABSENT, Absent
from undersigned.runtime.evidence.establishments import import_establishment
from undersigned.runtime.evidence.export import export_pack
from undersigned.runtime.evidence.judging import judge_pack, rule_on_pack
from undersigned.runtime.evidence.reliance import open_engagements
from undersigned.runtime.evidence.tracing import OwnEvidence, gather_evidence, given_packs
from undersigned.runtime.evidence.verdict_book import VerdictBook
from undersigned.runtime.evidence.verdicts import judge_artifact
from undersigned.runtime.evidence.withholding import left_out
from undersigned.runtime.execution.books import Differs, books_differ
from undersigned.runtime.execution.budget import room_in
from undersigned.runtime.execution.contract_orders import Answered, ContractOrder, leave_order, take_back
from undersigned.runtime.execution.gate import Gate, Permit, Refusal, Resolver, used_of
from undersigned.runtime.execution.guard import current_job, guard
from undersigned.runtime.execution.job import Handler, Job
from undersigned.runtime.execution.objections import came_early, held_until
from undersigned.runtime.execution.requests import Approves, Wanted, open_requests
from undersigned.runtime.execution.reviewers import Reviewed, Reviewer, word_of
from undersigned.runtime.execution.services import Service, handler_named, load_handler
from undersigned.runtime.execution.settlement import awaited
from undersigned.runtime.execution.work import contracts_to_deliver
from undersigned.runtime.fetching.bodies import Body, FinalAnswer
from undersigned.runtime.fetching.fetcher import FetchAnswer, GathererLimits, looked_up_for
from undersigned.runtime.fetching.gather import FRESH_SECONDS, Gatherer
from undersigned.runtime.fetching.other_side import Fields, Sent
from undersigned.runtime.fetching.status_keeper import StatusKeeper
from undersigned.runtime.files import naming, open_file, read_file, whole_file, why, write_whole
from undersigned.runtime.home.anchors import (
    AnchorBook,
    KeptRecord,
    load_anchors,
    read_document,
    sign_record,
    viewpoint,
)
from undersigned.runtime.home.configuration import CONFIGURATION, Configuration, ListenPart, OfferPart, distinct_offers
from undersigned.runtime.home.control import (
    CONTROL_TOKEN,
    GATE_TOKEN,
    ControlPart,
    control_at,
    control_token,
    host_port,
    split_port,
)
from undersigned.runtime.home.home import Home
from undersigned.runtime.home.issuing import issue_claims, issue_membership
from undersigned.runtime.home.linkage import DomainLink, LinkageDesk, domain_links
from undersigned.runtime.home.new_home import claimed, create_home
from undersigned.runtime.home.organisation import SPAWN_BATCH, Organisation, Spawned, Swarm
from undersigned.runtime.home.parsing import (
    MAX_NAME,
    checked_folder,
    checked_name,
    checked_text,
    checked_words,
    parse_price,
)
from undersigned.runtime.home.policy_file import read_policy, read_toml
from undersigned.runtime.home.registries import RegistryKeeper
from undersigned.runtime.home.registry_part import read_token
from undersigned.runtime.home.rotation import (
    require_rotates,
    rotate_key,
    rotate_organisation_key,
    while_no_peer_runs,
)
from undersigned.runtime.home.status_register import LIST_TTL_SECONDS, Issued, StatusRegister
from undersigned.runtime.home.wallet import Wallet, read_handed, verify_handed
from undersigned.runtime.log.logbook import beside, multibase_note, read_multibase_note
from undersigned.runtime.log.proofs import LogProofLine
from undersigned.runtime.log.witnesses import Witness, Witnesses, WitnessPart, witnesses_of
from undersigned.runtime.logs import configure_logs
from undersigned.runtime.negotiation.known_tasks import SBOM_FORMATS, TASKS
from undersigned.runtime.negotiation.learned import admission, withdrawn_as
from undersigned.runtime.negotiation.new_keys import NewKeys
from undersigned.runtime.negotiation.order import Order, bytes_limits, order_in
from undersigned.runtime.negotiation.papers import key_lookup
from undersigned.runtime.negotiation.statements import drop_approval, load_approvers, sign_approval
from undersigned.runtime.negotiation.waiting import WaitingTerms, no_longer_waiting, waiting_terms
from undersigned.runtime.signers import PrivateKey, Signer, generate_key, open_key, seal_key
from undersigned.runtime.unread import Unread

__all__ = [
    "ABSENT",
    "CONFIGURATION",
    "CONTROL_TOKEN",
    "FRESH_SECONDS",
    "GATE_TOKEN",
    "LIST_TTL_SECONDS",
    "LOCAL_ONLY",
    "MAX_NAME",
    "MAX_WHOLE_BYTES",
    "SBOM_FORMATS",
    "SMALL_BYTES",
    "SPAWN_BATCH",
    "TASKS",
    "Absent",
    "Agent",
    "AnchorBook",
    "Answered",
    "Approves",
    "ArtifactStore",
    "Body",
    "Clock",
    "ClockHeld",
    "Configuration",
    "Contents",
    "ContractOrder",
    "ControlPart",
    "Conversation",
    "DecisionBasis",
    "Differs",
    "DomainLink",
    "Event",
    "FetchAnswer",
    "Fields",
    "FinalAnswer",
    "Gate",
    "Gatherer",
    "GathererLimits",
    "Handler",
    "Hire",
    "HireResult",
    "Home",
    "Issued",
    "Job",
    "KeptRecord",
    "LinkageDesk",
    "ListenPart",
    "LogProofLine",
    "Meter",
    "NewKeys",
    "ObjectArtifacts",
    "OfferPart",
    "Order",
    "Organisation",
    "OwnEvidence",
    "Permit",
    "PrivateKey",
    "RecordedDecision",
    "Refusal",
    "RegistryKeeper",
    "Replayed",
    "Resolver",
    "Reviewed",
    "Reviewer",
    "Say",
    "Sent",
    "Service",
    "Shell",
    "Signer",
    "Spawned",
    "StatusKeeper",
    "StatusRegister",
    "Swarm",
    "SystemClock",
    "Transfer",
    "Unread",
    "VerdictBook",
    "WaitingTerms",
    "Wallet",
    "Wanted",
    "Witness",
    "WitnessPart",
    "Witnesses",
    "admission",
    "asked_by",
    "awaited",
    "beside",
    "books_differ",
    "bound_to_key",
    "bytes_limits",
    "came_early",
    "cannot_sign",
    "checked_demands",
    "checked_folder",
    "checked_name",
    "checked_text",
    "checked_url",
    "checked_words",
    "claimed",
    "configure_logs",
    "contracts_to_deliver",
    "control_at",
    "control_token",
    "create_home",
    "current_job",
    "decision_named",
    "delivered_by",
    "distinct_offers",
    "domain_links",
    "drop_approval",
    "equivocation_proof",
    "export_pack",
    "gather_evidence",
    "generate_key",
    "given_packs",
    "given_up",
    "guard",
    "handler_named",
    "held_until",
    "hint_of",
    "hire_order",
    "host_port",
    "import_establishment",
    "issue_claims",
    "issue_membership",
    "judge_artifact",
    "judge_pack",
    "keep_evidence",
    "key_lookup",
    "leave_order",
    "left_out",
    "load_anchors",
    "load_approvers",
    "load_engagement",
    "load_handler",
    "looked_up_for",
    "lost_at",
    "multibase_note",
    "naming",
    "needed_text",
    "no_longer_waiting",
    "not_hired",
    "of_store",
    "open_engagements",
    "open_file",
    "open_key",
    "open_requests",
    "order_in",
    "parse_price",
    "proved",
    "read_document",
    "read_file",
    "read_handed",
    "read_multibase_note",
    "read_policy",
    "read_token",
    "read_toml",
    "recorded_decisions",
    "replay_decision",
    "require_rotates",
    "room_in",
    "rotate_key",
    "rotate_organisation_key",
    "rule_on_pack",
    "seal_key",
    "sign_approval",
    "sign_record",
    "split_port",
    "steady_seconds",
    "take_back",
    "unread",
    "unresolved",
    "used_of",
    "verify_handed",
    "viewpoint",
    "waiting_terms",
    "while_no_peer_runs",
    "whole_file",
    "why",
    "withdrawn_as",
    "witnesses_of",
    "word_of",
    "write_whole",
]
