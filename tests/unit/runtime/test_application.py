"""What the application's code raises ends what it was asked for, and nothing else: in two whole runtimes."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from runtimes import World, folded, last, summarise
from undersigned.contract import Settlement
from undersigned.messages import Delivery, Withdraw
from undersigned.protocol import Answer, Moment
from undersigned.runtime import Job, guard
from undersigned.runtime.application import ApplicationEnded, contained, in_short, raised_at, why_not_async
from undersigned.runtime.logs import configure_logs

Open = Callable[..., World]


class Odd(BaseException):
    """No `Exception`, and nothing that the loop knows."""


class Mute(ValueError):
    """As a class of a library is, whose text is made of what it was not given."""

    def __str__(self) -> str:
        raise LookupError("no text")

    __repr__ = __str__


async def mute(_: Job) -> None:
    raise Mute


async def exits(_: Job) -> None:
    sys.exit(3)


async def exits_in_a_thread(_: Job) -> None:
    await asyncio.to_thread(sys.exit, 3)


@guard("artifact:read", target="{url}")
def guarded(url: str) -> None:
    sys.exit(3)


@guard("artifact:read", target="{url}")
async def guarded_too(url: str) -> None:
    raise GeneratorExit


async def exits_behind_a_guard(job: Job) -> None:
    await asyncio.to_thread(guarded, str(job.input("report").uri))


async def leaves_behind_a_guard(job: Job) -> None:
    await guarded_too(str(job.input("report").uri))


async def leaves(_: Job) -> None:
    raise GeneratorExit


async def odd(_: Job) -> None:
    raise Odd


async def cancels_itself(_: Job) -> None:
    """As what bounds a time by cancelling the task that asks does, and forgets that it did."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "handler",
    [exits, exits_in_a_thread, exits_behind_a_guard, leaves_behind_a_guard, leaves, odd, mute, cancels_itself],
)
def test_whatever_a_handler_raises_its_delivery_is_failed_and_others_go_on(open_world: Open, handler: Any) -> None:
    """Not the process, with the work for everybody else."""
    world = open_world(handler=handler)
    with capture_logs() as logs:
        failed = world.begin().id
        world.settle(10)
    assert last(world.hirer, failed, Delivery).outcome == "failed"
    (told,) = [one for one in logs if one["event"] == "work failed"]
    assert "the handler of summary failed: " in told["error"]
    assert any(name in told["error"] for name in ("SystemExit: 3", "GeneratorExit", "Odd", "Mute: ", "it gave up"))
    world.handler = summarise
    done = world.begin().id
    world.settle(10)
    assert last(world.hirer, done, Delivery).outcome == "complete"


async def looks_up(_: Job) -> None:
    helper({})


async def looks_up_in_a_library(_: Job) -> None:
    json.loads("{")


async def acts(job: Job) -> None:
    async with job.act("files:delete", "https://acme.example/"):
        pass


def helper(rows: dict[str, str]) -> str:
    return rows["missing"]


@pytest.mark.parametrize(
    ("handler", "function", "why"),
    [
        (looks_up, helper, "KeyError: 'missing'"),
        (looks_up_in_a_library, looks_up_in_a_library, "JSONDecodeError"),
        (exits_behind_a_guard, inspect.unwrap(guarded), "SystemExit: 3"),
        (acts, acts, "scope_exceeded"),
    ],
)
def test_the_operator_is_told_where_a_handler_failed(open_world: Open, handler: Any, function: Any, why: str) -> None:
    """The last line of its own code; all of it is logged for who wants to see everything."""
    world = open_world(handler=handler)
    as_before = structlog.get_config()
    try:
        configure_logs(logging.DEBUG, force=True)
        with capture_logs() as logs:
            world.begin()
            world.settle(10)
    finally:
        structlog.configure(**as_before)
    (told,) = [one for one in logs if one["event"] == "work failed"]
    assert why in told["error"]
    file, _, place = told["at"].partition(":")
    assert (file, place.partition(" in ")[2]) == (Path(__file__).name, function.__name__)
    assert int(place.partition(" ")[0]) > function.__code__.co_firstlineno
    (whole,) = [one for one in logs if one["event"] == "work failed so"]
    assert whole["exc_info"].__traceback__ is not None


def test_what_is_not_of_the_handlers_doing_has_no_place_in_it(open_world: Open) -> None:
    async def returns(_: Job) -> bytes:
        return b"as a newcomer does"

    world = open_world(handler=returns)
    with capture_logs() as logs:
        world.begin()
        world.settle(10)
    (told,) = [one for one in logs if one["event"] == "work failed"]
    assert "delivered nothing: what is made goes by `await job.deliver(name, data)`" in told["error"]
    assert "at" not in told


def test_what_a_handler_of_ours_has_python_do_has_no_place_in_it() -> None:
    """Such as `threads.py:25 in to_thread`, of a bill of materials for what is no wheel."""
    ours: dict[str, Any] = {"__name__": "undersigned.daemon.sbom", "json": json}
    exec("def make(): json.loads('{')", ours)
    with pytest.raises(json.JSONDecodeError) as caught:
        ours["make"]()
    assert caught.value.__traceback__ is not None
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # without this test, which is not ours
    assert raised_at(caught.value) == {}


async def test_of_a_group_what_was_raised_in_it_is_told() -> None:
    """`ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)` tells whoever wrote a handler nothing."""

    async def look() -> None:
        raise ValueError("no such row")

    async def handler() -> None:
        async with asyncio.TaskGroup() as inner, asyncio.TaskGroup() as group:
            group.create_task(look())
            await inner.create_task(asyncio.sleep(0.01))

    with pytest.raises(ExceptionGroup) as caught:
        await contained(handler)
    assert in_short(caught.value) == "ValueError: no such row"
    assert raised_at(caught.value)["at"].endswith(" in look")


@pytest.mark.parametrize("raised", [SystemExit(1), GeneratorExit(), Odd(), asyncio.CancelledError()])
async def test_what_is_no_exception_becomes_one(raised: BaseException) -> None:
    async def raises() -> None:
        raise raised

    with pytest.raises(ApplicationEnded) as caught:
        await contained(raises)
    assert caught.value.__cause__ is raised
    assert "ApplicationEnded" not in in_short(caught.value)


def test_an_interrupt_goes_through() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(contained(interrupted))


async def test_who_cancels_itself_has_failed_and_its_caller_goes_on() -> None:
    """As what bounds a time by cancelling the task that asks does, and forgets that it did."""

    async def cancels_itself() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return "forgot it"

    assert await contained(cancels_itself) == "forgot it"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await contained(asyncio.Event().wait)
    own = asyncio.current_task()
    assert own is not None
    assert own.cancelling() == 0


async def test_a_cancellation_of_ours_goes_through() -> None:
    task = asyncio.ensure_future(contained(asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_what_is_thrown_away_while_it_waits_just_ends() -> None:
    """Python ends a coroutine that nobody awaits any more with `GeneratorExit`, and wants nothing else back."""

    async def begun() -> Any:
        running: Any = contained(asyncio.Event().wait)
        running.send(None)
        return running

    asyncio.run(begun()).close()


class Exits:
    def answer(self, moment: Moment) -> Answer:
        sys.exit(1)


class Raises:
    def answer(self, moment: Moment) -> Answer:
        raise Mute


class Answers:
    def answer(self, moment: Moment) -> Any:
        return Mute()


@pytest.mark.parametrize("strategy", [Exits(), Raises(), Answers()])
def test_a_strategy_in_its_thread_ends_its_own_negotiation_alone(open_world: Open, strategy: Any) -> None:
    world = open_world(hirer_options={"strategy": strategy})
    name = world.begin(opening="2 EUR", price="5 EUR").id
    world.settle(10)
    assert folded(world.hirer, name).state == "withdrawn"
    assert last(world.hirer, name, Withdraw).reason == "decision_failed"


def test_who_pays_may_fail_and_the_books_wait(open_world: Open) -> None:
    """A method of settlement is the application's code: its owner is waited for then, and nobody else waits for it."""
    asked: list[str] = []

    class Exits:
        def check(self, agreed: Settlement) -> None:
            return

        async def due(self, due: Any) -> None:
            asked.append(due.role)
            sys.exit(1)

    world = open_world()
    world.hirer.settlements.methods["manual"] = Exits()
    name = world.begin(settlement=Settlement(method="manual")).id
    world.settle(30)
    assert folded(world.hirer, name).state == "closing"
    world.settle(3600)
    assert asked == ["hirer"]


# --- what can be awaited


async def does(job: Any, extra: int = 0) -> None: ...


class Does:
    async def __call__(self, job: Any) -> None: ...

    async def method(self, job: Any) -> None: ...


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def around(*given: Any) -> Any:
        return function(*given)

    return around


def decorated_barely(function: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
    def around(*given: Any):
        return function(*given)

    return around


def says_so(job: Any) -> Awaitable[None]:
    return does(job)


def plain(job: Any) -> None: ...


def yields(job: Any) -> Any:
    yield job


async def yields_too(job: Any) -> Any:
    yield job


class Plain:
    def __call__(self, job: Any) -> None: ...


def from_a_lambda() -> object:
    made: Callable[[Any], object] = lambda job: does(job)  # noqa: E731
    return made


AWAITED: list[object] = [
    does,
    partial(does, extra=1),
    partial(partial(Does().method)),
    Does(),
    Does().method,
    decorated(does),
    decorated(Does()),
    decorated_barely(does),
    says_so,
    from_a_lambda(),
]


@pytest.mark.parametrize("given", AWAITED)
def test_what_may_be_awaited_is_taken(given: object) -> None:
    assert why_not_async(given) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "cannot be called"),
        ("does", "cannot be called"),
        (plain, "plain is not `async def`"),
        (partial(plain), "plain is not `async def`"),
        (Plain(), "not `async def`"),
        (Plain, "is a class"),
        (print, "print is not `async def`"),
        (yields, "is a generator"),
        (yields_too, "is a generator"),
        (decorated(plain), "plain is not `async def`"),
    ],
)
def test_what_cannot_be_awaited_is_known_before_it_is_called(given: object, why: str) -> None:
    assert why in (why_not_async(given) or "")
