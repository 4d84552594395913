"""Whether to work with somebody: anchors, the graph of what others say, rules, and the decision they give."""

from undersigned.trust.anchors import ANY, Anchor, Anchors
from undersigned.trust.answers import Answers, Asked, Claimed, Rated, asked_about, question_of
from undersigned.trust.authority import Authority, Entitled, authority, entitled
from undersigned.trust.decision import Decision, Ground, Inputs, Needed, Outcome, Rating, Reason
from undersigned.trust.drawing import draw_paths
from undersigned.trust.edge import KINDS, MAX_DEPTH, UNIT, Edge, Kind, Status, edge_of
from undersigned.trust.evaluate import evaluate
from undersigned.trust.graph import (
    WORK_LIMIT,
    Graph,
    Path,
    Question,
    Read,
    Reader,
    Wanted,
    Work,
    answer,
    check_presented,
)
from undersigned.trust.policy import Demand, Policy, Rule, Stake
from undersigned.trust.records import (
    AddingRule,
    AnchorChanges,
    AnchorSet,
    VerifiedRecord,
    adoption,
    anchor_changes,
    anchor_record,
    anchor_set,
    check_successor,
    record_config,
    verify_record,
    verify_set,
)
from undersigned.trust.reliance import Lost, OpenEngagement, Shown, losing_their_path, shown_in
from undersigned.trust.reputation import Reputation, reputation
from undersigned.trust.viewpoint import Viewpoint
from undersigned.trust.weighing import needs

__all__ = [
    "ANY",
    "KINDS",
    "MAX_DEPTH",
    "UNIT",
    "WORK_LIMIT",
    "AddingRule",
    "Anchor",
    "AnchorChanges",
    "AnchorSet",
    "Anchors",
    "Answers",
    "Asked",
    "Authority",
    "Claimed",
    "Decision",
    "Demand",
    "Edge",
    "Entitled",
    "Graph",
    "Ground",
    "Inputs",
    "Kind",
    "Lost",
    "Needed",
    "OpenEngagement",
    "Outcome",
    "Path",
    "Policy",
    "Question",
    "Rated",
    "Rating",
    "Read",
    "Reader",
    "Reason",
    "Reputation",
    "Rule",
    "Shown",
    "Stake",
    "Status",
    "VerifiedRecord",
    "Viewpoint",
    "Wanted",
    "Work",
    "adoption",
    "anchor_changes",
    "anchor_record",
    "anchor_set",
    "answer",
    "asked_about",
    "authority",
    "check_presented",
    "check_successor",
    "draw_paths",
    "edge_of",
    "entitled",
    "evaluate",
    "losing_their_path",
    "needs",
    "question_of",
    "record_config",
    "reputation",
    "shown_in",
    "verify_record",
    "verify_set",
]
