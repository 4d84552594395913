"""Who says for the hirer which criteria are met: a function of its own, or a person in its place.

Source: protocol-spec/08-attestation-and-evidence.md
"""

from __future__ import annotations

import reprlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import msgspec

from undersigned.contract import ContractDocument
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.runtime.application import contained
from undersigned.runtime.artifacts.contents import Contents
from undersigned.runtime.artifacts.store import of_store
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import value_in

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = [
    "REVIEW_WORD",
    "NoReviewer",
    "NoVerdict",
    "Reviewed",
    "Reviewer",
    "Word",
    "said_by_function",
    "word_of",
]

REVIEW_WORD: Final = "review-word"
"""Fact: what a person said of one round, while the verdict is that of a verifier that has not spoken; as `Word`."""
MAX_NAMED: Final = 8
"""How many names are told of those that a contract does not have."""


class Reviewed(msgspec.Struct, frozen=True):
    """What a reviewer gets: the contract, and the artifacts by name, inputs and results alike."""

    document: ContractDocument
    """The contract as it is in force."""
    inputs: Contents
    """`inputs[name]` is all bytes of one; `read`, `pieces` and `save` do for what is large."""
    artifacts: Contents
    """What was delivered, in the same way."""


Reviewer = Callable[[Reviewed], Awaitable[Mapping[str, bool]]]
"""Says for each acceptance criterion, by id, True or False: whether it is met.

A `FormatError` or `VerificationError` that it raises says that what was delivered does not hold. Whatever else it
raises says nothing about the work, nor does an answer of another form or without one of them, and no verdict is signed
for it.
"""


class Word(msgspec.Struct, frozen=True):
    """What a person said of the delivery of one round."""

    round: int
    met: Mapping[str, bool]


class NoVerdict(Exception):
    """The function that reviews could not say anything, and why."""


class NoReviewer(NoVerdict):
    """There is no function that reviews: nothing failed, and a person is waited for, or a program that brings one."""


async def said_by_function(agent: Agent, conversation: Conversation, artifacts: Contents) -> Mapping[str, bool] | None:
    """Which criteria are met by the hirer's own function; None if it has none, and the verdict is a verifier's alone.

    Raises:
        FormatError, VerificationError: By it, what was delivered does not hold.
        NoVerdict: It could say nothing; `NoReviewer`: there is none.
        UndersignedError: Something cannot be had now.
        Exception: Whatever it raised that is no error of ours.
    """
    document = conversation.offered()
    if not document.terms.criteria:
        return {}
    reviewer = agent.reviewers.get(conversation.id) or agent.reviewers.get(document.terms.task.kind)
    if reviewer is None:
        if document.terms.evidence.verifier is not None and not agent.hirer.order(conversation).reviewed:
            return None  # the verdict is the verifier's alone
        kind = document.terms.task.kind
        raise NoReviewer(f"whoever hired has ended, and `reviewers` of this peer has none for {kind!r}")
    asked = agent.hirer.order(conversation).inputs
    inputs = await Contents.of(agent.artifacts, {item.name: item.digest for item in asked})
    try:
        given: object = await contained(partial(reviewer, Reviewed(document, inputs, artifacts)))
    except UndersignedError as error:
        if isinstance(error, FormatError | VerificationError) or error.retryable or of_store(error):
            raise
        raise NoVerdict(str(error)) from error
    return _said(given, document.terms.criteria)


def wrongly_said(said: Mapping[str, object], criteria: Sequence[str]) -> list[str]:
    """What is wrong with the word of a person on each of `criteria`; empty if nothing is."""
    left = [id for id in criteria if id not in said]
    unknown = [reprlib.repr(id) for id in said if id not in criteria]
    vague = [id for id, met in said.items() if id in criteria and not isinstance(met, bool)]
    return [
        *([f"left out: {', '.join(left)}"] if left else ()),
        *([f"not among them: {', '.join(unknown[:MAX_NAMED])}"] if unknown else ()),
        *([f"said to be neither met nor not met: {', '.join(vague)}"] if vague else ()),
    ]


def _said(given: object, criteria: Sequence[str]) -> Mapping[str, bool]:
    """What the function that reviews said of `criteria`.

    Raises:
        NoVerdict: It is no answer. A criterion left out or misspelt, or a 1 for True, is a defect of our own program.
    """
    wrong = "the review answered wrongly"
    if not isinstance(given, Mapping):
        expected = f"a dict with True or False for each criterion, such as {{{criteria[0]!r}: True}}"
        raise NoVerdict(f"{wrong}: expected {expected}; got {reprlib.repr(given)}")
    found = cast("Mapping[object, object]", given)
    unknown = [reprlib.repr(id) for id in found if id not in criteria]
    if left := [id for id in criteria if id not in found]:
        got = f"{', '.join(unknown[:MAX_NAMED])} in its place" if unknown else "nothing about it"
        raise NoVerdict(f"{wrong}: expected {', '.join(left)}; got {got}")
    said: dict[str, bool] = {}
    for id in criteria:
        met = found[id]
        if not isinstance(met, bool):
            raise NoVerdict(f"{wrong}: {id}: expected True or False; got {reprlib.repr(met)}")
        said[id] = met
    return said


def word_of(facts: Mapping[str, str], round: int) -> Mapping[str, bool] | None:
    """What a person said of this round, criterion by criterion, if that is noted."""
    word = value_in(facts, REVIEW_WORD, Word)
    return word.met if word is not None and word.round == round else None
