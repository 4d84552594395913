"""The asyncio shell around the protocol: it moves bytes, signs, keeps the ledger and does the work.

Its modules, by what they are about:

- an agent: agent, bargaining, conversations, crowd, greetings, intake, links, presence, shell, watchers, whereabouts,
  unread
- an engagement while it runs: conversation, alarm, documents, inbox, journal, names, outgoing, pace, receiving,
  remembered, saying, told, turn, untaken
- the bargain: hirer, provider, approvals, bookings, continuing, decisions, kept, known_tasks, meeting, order, ordering,
  papers, received, sealing, services
- the work: work, job, acting, application, gate, guard, other_side, refusals, requests, shares, signs_of_life,
  subcontracts
- what is delivered: review, artifacts, contents, delivered_evidence, incoming, judging, objects, patience, transfers
- a contract while it is performed: changes, closing, contract_orders, objections, renewal, settlement, status_watch
- a hire as its application sees it: hire
- whom we believe: beliefs, accusations, anchors, establishments, policy_file, registries, registry_part, reliance
- what is fetched: fetching, bodies, gather, last_known, linkage, status_keeper
- the log of our ledger, and those of others: logbook, forks, log_proofs, witnesses, witnessing
- what others can check: export, tracing, verdicts
- the state folder: home, configuration, control, files, issuing, new_home, organisation, own_keys, own_log,
  signers, status_register, wallet
- the machine: clock, logs
"""

from undersigned.runtime.accusations import equivocation_proof, keep_evidence, proved
from undersigned.runtime.agent import Agent
from undersigned.runtime.anchors import AnchorBook, KeptRecord, load_anchors, read_document, sign_record
from undersigned.runtime.approvals import (
    WaitingTerms,
    drop_approval,
    load_approvers,
    sign_approval,
    waiting_terms,
)
from undersigned.runtime.artifacts import ArtifactStore
from undersigned.runtime.beliefs import Beliefs, admission, viewpoint, withdrawn_as
from undersigned.runtime.bodies import Body
from undersigned.runtime.changes import Changes
from undersigned.runtime.clock import Clock, ClockHeld, SystemClock, steady_seconds
from undersigned.runtime.configuration import (
    Configuration,
    ListenPart,
    OfferPart,
    OrganisationPart,
    TrustPart,
    distinct_offers,
)
from undersigned.runtime.contents import MAX_WHOLE_BYTES, Contents
from undersigned.runtime.contract_orders import Answered, ContractOrder, leave_order, take_back
from undersigned.runtime.control import CONTROL_TOKEN, GATE_TOKEN, ControlPart, control_token
from undersigned.runtime.conversation import Arrived, Conversation
from undersigned.runtime.decisions import (
    InForce,
    RecordedDecision,
    Replayed,
    decision_named,
    recorded_decisions,
    replay_decision,
)
from undersigned.runtime.establishments import Imported, import_establishment
from undersigned.runtime.export import ABSENT, Absent, export_pack, left_out
from undersigned.runtime.fetching import Answer, GathererLimits
from undersigned.runtime.files import naming, open_file, read_file, whole_file, why, write_whole
from undersigned.runtime.gate import Gate, Permit, Refusal, Resolver
from undersigned.runtime.gather import Gatherer
from undersigned.runtime.guard import current_job, guard
from undersigned.runtime.hire import Hire, HireResult, needed_text, unresolved
from undersigned.runtime.hirer import asked_by, delivered_by
from undersigned.runtime.home import Home
from undersigned.runtime.incoming import SMALL_BYTES, Stored
from undersigned.runtime.issuing import issue_claims, issue_membership
from undersigned.runtime.job import Handler, Job
from undersigned.runtime.judging import judge_pack
from undersigned.runtime.known_tasks import SBOM_FORMATS, TASKS
from undersigned.runtime.linkage import DomainLink, LinkageDesk, domain_links
from undersigned.runtime.log_proofs import LogProofLine
from undersigned.runtime.logbook import beside, read_multibase_note
from undersigned.runtime.logs import configure_logs
from undersigned.runtime.new_home import claimed, create_home, rotate_key
from undersigned.runtime.objections import came_early, held_until
from undersigned.runtime.objects import ObjectArtifacts, open_artifacts
from undersigned.runtime.order import (
    ARTIFACT_READ,
    MAX_NAME,
    Order,
    OrderInput,
    Timing,
    bytes_limits,
    checked_name,
    parse_price,
)
from undersigned.runtime.ordering import checked_demands, hire_order
from undersigned.runtime.organisation import SPAWN_BATCH, Organisation, Spawned, Swarm
from undersigned.runtime.other_side import Fields, Sent
from undersigned.runtime.papers import keys_of
from undersigned.runtime.policy_file import read_policy, read_toml
from undersigned.runtime.presence import lost_at
from undersigned.runtime.registries import RegistryKeeper, RegistryWord
from undersigned.runtime.registry_part import RegistryPart, read_token
from undersigned.runtime.reliance import open_engagements
from undersigned.runtime.requests import Approves, Wanted, open_requests
from undersigned.runtime.review import Reviewed, Reviewer
from undersigned.runtime.services import Service, handler_named, load_handler
from undersigned.runtime.settlement import awaited
from undersigned.runtime.shell import Shell
from undersigned.runtime.signers import PrivateKey, Signer, generate_key, open_key, seal_key
from undersigned.runtime.status_keeper import StatusKeeper
from undersigned.runtime.status_register import LIST_TTL_SECONDS, Issued, Said, StatusRegister
from undersigned.runtime.tracing import OwnEvidence, gather_evidence, verified_pack
from undersigned.runtime.transfers import Meter
from undersigned.runtime.turn import Event, Say, Transfer, load_engagement
from undersigned.runtime.unread import Unread
from undersigned.runtime.verdicts import ReplayedVerdict, VerdictBook, judge_artifact
from undersigned.runtime.wallet import Wallet, read_handed, verify_handed
from undersigned.runtime.whereabouts import LOCAL_ONLY, checked_url
from undersigned.runtime.witnesses import Witness, Witnesses, WitnessPart, witnesses_of
from undersigned.runtime.work import contracts_to_deliver

__all__ = [
    "ABSENT",
    "ARTIFACT_READ",
    "CONTROL_TOKEN",
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
    "Answer",
    "Answered",
    "Approves",
    "Arrived",
    "ArtifactStore",
    "Beliefs",
    "Body",
    "Changes",
    "Clock",
    "ClockHeld",
    "Configuration",
    "Contents",
    "ContractOrder",
    "ControlPart",
    "Conversation",
    "DomainLink",
    "Event",
    "Fields",
    "Gate",
    "Gatherer",
    "GathererLimits",
    "Handler",
    "Hire",
    "HireResult",
    "Home",
    "Imported",
    "InForce",
    "Issued",
    "Job",
    "KeptRecord",
    "LinkageDesk",
    "ListenPart",
    "LogProofLine",
    "Meter",
    "ObjectArtifacts",
    "OfferPart",
    "Order",
    "OrderInput",
    "Organisation",
    "OrganisationPart",
    "OwnEvidence",
    "Permit",
    "PrivateKey",
    "RecordedDecision",
    "Refusal",
    "RegistryKeeper",
    "RegistryPart",
    "RegistryWord",
    "Replayed",
    "ReplayedVerdict",
    "Resolver",
    "Reviewed",
    "Reviewer",
    "Said",
    "Say",
    "Sent",
    "Service",
    "Shell",
    "Signer",
    "Spawned",
    "StatusKeeper",
    "StatusRegister",
    "Stored",
    "Swarm",
    "SystemClock",
    "Timing",
    "Transfer",
    "TrustPart",
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
    "bytes_limits",
    "came_early",
    "checked_demands",
    "checked_name",
    "checked_url",
    "claimed",
    "configure_logs",
    "contracts_to_deliver",
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
    "guard",
    "handler_named",
    "held_until",
    "hire_order",
    "import_establishment",
    "issue_claims",
    "issue_membership",
    "judge_artifact",
    "judge_pack",
    "keep_evidence",
    "keys_of",
    "leave_order",
    "left_out",
    "load_anchors",
    "load_approvers",
    "load_engagement",
    "load_handler",
    "lost_at",
    "naming",
    "needed_text",
    "open_artifacts",
    "open_engagements",
    "open_file",
    "open_key",
    "open_requests",
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
    "rotate_key",
    "seal_key",
    "sign_approval",
    "sign_record",
    "steady_seconds",
    "take_back",
    "unresolved",
    "verified_pack",
    "verify_handed",
    "viewpoint",
    "waiting_terms",
    "whole_file",
    "why",
    "withdrawn_as",
    "witnesses_of",
    "write_whole",
]
