"""What the provider may do: written by people, signed in its ODRL form, decided by one pure function."""

from undersigned.scope.compiled import compile_scope, read_scope, sketch
from undersigned.scope.contain import attenuate, contains, draws
from undersigned.scope.decision import (
    APPROVAL,
    Action,
    Approved,
    Charge,
    GateDecision,
    arguments_of,
    counter,
    permits,
    stated,
)
from undersigned.scope.labels import Label, Labels
from undersigned.scope.model import (
    CONDITIONS,
    Grant,
    Limit,
    Obligation,
    Prohibition,
    Scope,
    Window,
    amount_in_words,
    read_limit,
)
from undersigned.scope.target import Target, forbids, inside, parse_pattern, parse_target, plain_segments
from undersigned.scope.wire import (
    ACTION_PATTERN,
    OBTAIN_CONSENT,
    SKETCH_BASE,
    WireConstraint,
    WireDuty,
    WireRule,
    WireScope,
)

__all__ = [
    "ACTION_PATTERN",
    "APPROVAL",
    "CONDITIONS",
    "OBTAIN_CONSENT",
    "SKETCH_BASE",
    "Action",
    "Approved",
    "Charge",
    "GateDecision",
    "Grant",
    "Label",
    "Labels",
    "Limit",
    "Obligation",
    "Prohibition",
    "Scope",
    "Target",
    "Window",
    "WireConstraint",
    "WireDuty",
    "WireRule",
    "WireScope",
    "amount_in_words",
    "arguments_of",
    "attenuate",
    "compile_scope",
    "contains",
    "counter",
    "draws",
    "forbids",
    "inside",
    "parse_pattern",
    "parse_target",
    "permits",
    "plain_segments",
    "read_limit",
    "read_scope",
    "sketch",
    "stated",
]
