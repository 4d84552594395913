"""Whether to work with somebody: anchors, rules, and the decision they give."""

from undersigned.trust.anchors import Anchor, Anchors
from undersigned.trust.evaluate import Decision, Inputs, Needed, Outcome, Reason, evaluate
from undersigned.trust.policy import Policy

__all__ = ["Anchor", "Anchors", "Decision", "Inputs", "Needed", "Outcome", "Policy", "Reason", "evaluate"]
