"""How a scenario ends that did not pass."""

__all__ = ["Failure", "NotApplicable"]


class Failure(Exception):
    """The implementation did something else than it has to."""


class NotApplicable(Exception):
    """The implementation may do something else, and what the scenario shows cannot be shown then."""
