"""The asyncio shell around the protocol: it moves bytes, signs, keeps the ledger and does the work."""

from undersigned.runtime.agent import Agent, load_handler
from undersigned.runtime.anchors import AnchorBook, KeptRecord, load_anchors, read_document, sign_record
from undersigned.runtime.artifacts import ArtifactStore
from undersigned.runtime.beliefs import Beliefs, admission, viewpoint
from undersigned.runtime.clock import Clock, SystemClock
from undersigned.runtime.conversation import Arrived, Conversation, Shell
from undersigned.runtime.export import export_pack
from undersigned.runtime.gate import Gate, Permit
from undersigned.runtime.gather import Gatherer, GathererLimits
from undersigned.runtime.home import (
    Configuration,
    Home,
    ListenPart,
    OfferPart,
    OrganisationPart,
    TrustPart,
    create_home,
    issue_claims,
    issue_membership,
    rotate_key,
)
from undersigned.runtime.job import Handler, Job
from undersigned.runtime.logs import configure_logs
from undersigned.runtime.order import (
    ARTIFACT_READ,
    TASKS,
    Order,
    OrderInput,
    Timing,
    checked_name,
    hire_order,
    parse_price,
)
from undersigned.runtime.provider import Service
from undersigned.runtime.reliance import open_engagements
from undersigned.runtime.signers import PrivateKey, Signer, generate_key, open_key, seal_key
from undersigned.runtime.status_keeper import StatusKeeper
from undersigned.runtime.status_register import LIST_TTL_SECONDS, Issued, StatusRegister
from undersigned.runtime.turn import Event, Say, load_engagement
from undersigned.runtime.work import Reviewed, Reviewer

__all__ = [
    "ARTIFACT_READ",
    "LIST_TTL_SECONDS",
    "TASKS",
    "Agent",
    "AnchorBook",
    "Arrived",
    "ArtifactStore",
    "Beliefs",
    "Clock",
    "Configuration",
    "Conversation",
    "Event",
    "Gate",
    "Gatherer",
    "GathererLimits",
    "Handler",
    "Home",
    "Issued",
    "Job",
    "KeptRecord",
    "ListenPart",
    "OfferPart",
    "Order",
    "OrderInput",
    "OrganisationPart",
    "Permit",
    "PrivateKey",
    "Reviewed",
    "Reviewer",
    "Say",
    "Service",
    "Shell",
    "Signer",
    "StatusKeeper",
    "StatusRegister",
    "SystemClock",
    "Timing",
    "TrustPart",
    "admission",
    "checked_name",
    "configure_logs",
    "create_home",
    "export_pack",
    "generate_key",
    "hire_order",
    "issue_claims",
    "issue_membership",
    "load_anchors",
    "load_engagement",
    "load_handler",
    "open_engagements",
    "open_key",
    "parse_price",
    "read_document",
    "rotate_key",
    "seal_key",
    "sign_record",
    "viewpoint",
]
