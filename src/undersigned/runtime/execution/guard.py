"""The work that is under way, found from anywhere below its handler, and functions that the contract has to allow.

A guarded function is entered only with the gate's permission, as by `Job.act`; it finds its job by itself, so code deep
inside an application, or a tool that a framework calls, needs no argument for it.

Source: protocol-spec/06-scope.md, section 6.6
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast
from urllib.parse import quote

from undersigned.errors import ConfigurationError, FormatError, LocalProtocolError
from undersigned.scope import ACTION_PATTERN, CONDITIONS, parse_target

if TYPE_CHECKING:
    from .job import Job

__all__ = ["current_job", "guard", "working_on"]

P = ParamSpec("P")
T = TypeVar("T")
Named = str | Callable[..., str]
"""A format of the function's arguments, or a function of them."""

_CURRENT: Final[ContextVar[Job | None]] = ContextVar("hire_job", default=None)


def current_job() -> Job:
    """The job whose handler this runs under, in whatever task or thread it started.

    Raises:
        LocalProtocolError: `wrong_state`: no work of a contract is under way here.
    """
    job = _CURRENT.get()
    if job is None:
        raise LocalProtocolError("wrong_state", "no work of a contract is under way here: call it from a handler")
    return job


@contextmanager
def working_on(job: Job) -> Generator[None]:
    """Inside the block, and in the tasks and threads begun there, `job` is the current one."""
    before = _CURRENT.set(job)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def guard(
    action: str,
    *,
    target: Named,
    amounts: Mapping[str, Named] | None = None,
    reason: str = "",
    approval_seconds: int | None = None,
    **facts: str,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorator: the function is `action`, on `target`, and runs only if the contract of the current job allows it.

        @guard("repo:read", target="https://git.acme.example/{repo}")
        async def read(repo: str) -> bytes: ...

    In a target each argument is written as one path segment, whatever it holds; `target="{url}"` alone takes it as it
    is. The rest is as for `Job.act`. A function that is not `async` blocks, so it is called in a thread
    (`await asyncio.to_thread(read, "app")`), and waits there for the gate.

    Raises, when decorating:
        ConfigurationError: `bad_configuration`: it is no function, but a class or another object that is called; the
            action or target is none; a name in a format is no argument; or the function is a generator, which would be
            let in before it does anything.
    Raises, when called:
        ScopeError: As `Job.act`; the function was not entered.
        LocalProtocolError: `wrong_state`: outside a handler, or not `async` and called on the event loop itself.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        try:
            # Of an object that is called nobody sees whether it is `async`; a partial is a routine from Python 3.14 on.
            if isinstance(function, partial) or not inspect.isroutine(function):
                raise TypeError
            signature = inspect.signature(function)
        except (TypeError, ValueError) as exc:
            raise ConfigurationError("bad_configuration", f"@guard: expected a function, got {function!r:.80}") from exc
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise _unusable(function, "a generator cannot be guarded; guard what it calls")
        if not isinstance(action, str) or not re.fullmatch(ACTION_PATTERN, action):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise _unusable(function, f"expected an action such as `artifact:read`, got {action!r:.80}")
        if amounts is not None and not isinstance(amounts, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            raise _unusable(function, f"amounts: expected what is used by its unit, got {amounts!r:.80}")
        if odd := sorted(set(facts) - set(CONDITIONS)):
            raise _unusable(function, f"{odd[0]}: no such argument, and no fact among {', '.join(CONDITIONS)}")
        for one in (target, *(amounts or {}).values()):
            _check(one, function, signature)
        if isinstance(target, str) and not _whole(target):
            try:
                parse_target(target.format(**dict.fromkeys(_names(target), "x")))
            except FormatError as exc:
                raise _unusable(function, f"target {target!r:.80}: {exc.message}") from exc

        def acting(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            options: dict[str, Any] = {**facts}
            if approval_seconds is not None:
                options["approval_seconds"] = approval_seconds
            return current_job().act(
                action,
                _written(target, given, args, kwargs, segment=True),
                {unit: _written(one, given, args, kwargs, segment=False) for unit, one in (amounts or {}).items()},
                reason=reason,
                **options,
            )

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
                async with acting(args, kwargs):
                    return await function(*args, **kwargs)

            return cast("Callable[P, T]", guarded)

        @wraps(function)
        def blocking(*args: P.args, **kwargs: P.kwargs) -> T:
            loop = _loop_elsewhere(function)
            entered = acting(args, kwargs)
            _on(loop, entered.__aenter__())
            try:
                made = function(*args, **kwargs)
            except BaseException as exc:
                _on(loop, entered.__aexit__(type(exc), exc, exc.__traceback__))
                raise
            _on(loop, entered.__aexit__(None, None, None))
            return made

        return blocking

    return decorate


def _loop_elsewhere(function: Callable[..., Any]) -> asyncio.AbstractEventLoop:
    """The loop of the current job, which is not the one of this thread."""
    job = current_job()
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return job.loop
    name = function.__qualname__
    raise LocalProtocolError("wrong_state", f"{name} would block the event loop: await asyncio.to_thread({name}, ...)")


def _on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def _names(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name is not None]


def _whole(text: str) -> bool:
    """Whether a format is one argument as it is."""
    return [text] == [f"{{{name}}}" for name in _names(text)]


def _check(one: Named, function: Callable[..., Any], signature: inspect.Signature) -> None:
    """Returns if a format names nothing but arguments."""
    if not isinstance(one, str):
        if not callable(one):  # pyright: ignore[reportUnnecessaryComparison]
            raise _unusable(function, f"expected a text or a function of its arguments, got {one!r:.80}")
        return
    try:
        names = _names(one)
    except ValueError as exc:
        raise _unusable(function, f"{one!r:.200} is no format: {exc}") from exc
    for name in names:
        if name not in signature.parameters:
            raise _unusable(function, f"{one!r} names {name!r}, which is no argument")


def _written(
    one: Named, given: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, segment: bool
) -> str:
    """The text for these arguments. A value must not bring a segment, a query or a host of its own into a target."""
    if not isinstance(one, str):
        return one(*args, **kwargs)
    if not segment or _whole(one):
        return one.format(**{name: str(given[name]) for name in _names(one)})
    return one.format(**{name: quote(str(given[name]), safe="") for name in _names(one)})


def _unusable(function: Callable[..., Any], why: str) -> ConfigurationError:
    return ConfigurationError("bad_configuration", f"@guard of {function.__qualname__}: {why}")
