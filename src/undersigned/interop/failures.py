"""How a scenario ends that did not pass."""

__all__ = ["Failure", "NotApplicable", "Silent"]


class Failure(Exception):
    """The implementation did something else than it has to."""


class NotApplicable(Exception):
    """The implementation may do something else, and what the scenario shows cannot be shown then."""


class Silent(Failure):
    """The implementation cannot be reached, or says nothing that could be judged."""
