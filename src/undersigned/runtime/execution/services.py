"""What an agent does for others, and the functions that do it, by their names in the settings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final, cast

import msgspec

from undersigned.contract import Deliverable, Price
from undersigned.encoding import JsonObject, canonicalize, check_sayable, in_words
from undersigned.errors import ConfigurationError, FormatError
from undersigned.runtime.application import contained_call, in_short, takes_one, why_not_async
from undersigned.runtime.home.configuration import HOLD_SECONDS, WAIT_SECONDS, OfferPart
from undersigned.runtime.home.parsing import checked_name, parse_price

from .job import Handler

__all__ = ["Service", "checked_service", "handler_named", "load_handler", "names_of", "offered"]

MAX_CAPACITY: Final = 2**53 - 1
"""The largest number that a message can hold."""
_EXPECTED: Final = f"expected 1 to {MAX_CAPACITY:,}"
MAX_DELIVERABLES: Final = 64
"""Of one task; a contract has no more."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A task that this agent does for others."""

    task: str
    handler: Handler
    price: Price
    """Asked for; nothing below it is taken."""
    summary: str = ""
    delivers: tuple[str, ...] = ("result",)
    """Names of what the handler delivers, unless the hirer names others."""
    media_type: str = "application/octet-stream"
    capacity: int = 16
    """Contracts at a time."""
    hold_seconds: int = HOLD_SECONDS
    """Longest time for which one of these places is held for who has not sealed."""
    wait_seconds: int = WAIT_SECONDS
    """Longest time that terms may leave a hirer to start, to review or to close."""
    by_settings: bool = False
    """Whether the settings say so; the application may say otherwise, once."""


def checked_service(service: Service, before: Service | None = None) -> Service:
    """The service, once it can be hired: what it says goes into messages, and its handler is awaited. `before` is what
    is offered of that task already.

    Raises:
        ConfigurationError: `bad_configuration`: it cannot, or the application offers that task already.
    """
    task = checked_name("offer: task", service.task)
    what, capacity = f"offer {task}", service.capacity
    if before is not None and not before.by_settings:
        raise ConfigurationError("bad_configuration", f"offer: two are of the task {task!r}")
    _check_delivers(what, service.delivers)
    if type(capacity) is not int or not 1 <= capacity <= MAX_CAPACITY:
        raise ConfigurationError("bad_configuration", f"{what}: capacity: {_EXPECTED}, got {capacity!r:.40}")
    for name in ("hold_seconds", "wait_seconds"):
        if type(seconds := getattr(service, name)) is not int or not 1 <= seconds <= MAX_CAPACITY:
            raise ConfigurationError("bad_configuration", f"{what}: {name}: {_EXPECTED}, got {seconds!r:.40}")
    if not isinstance(service.summary, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError("bad_configuration", f"{what}: summary: expected text, got {service.summary!r:.40}")
    delivers: list[JsonObject] = [
        {"name": name, "mediaType": service.media_type, "criteria": []} for name in service.delivers
    ]
    try:
        msgspec.convert(delivers, list[Deliverable])
        check_sayable(canonicalize({"summary": service.summary, "delivers": [*delivers]}))
    except msgspec.ValidationError as exc:
        text = in_words(str(exc))
        if "mediaType" in text:
            text = f"media_type: expected one such as text/plain, got {service.media_type!r:.60}"
        raise ConfigurationError("bad_configuration", f"{what}: {text}") from exc
    except FormatError as exc:
        raise ConfigurationError("bad_configuration", f"{what}{exc.path.replace('/', ': ')}: {exc.message}") from exc
    why = why_not_async(service.handler)
    if why is None and not takes_one(service.handler):
        why = f"{getattr(service.handler, '__qualname__', service.handler)!s:.80} takes no job, or more than that"
    if why is not None:
        text = f"{what}: expected a handler that is awaited, `async def handler(job)`; {why}"
        raise ConfigurationError("bad_configuration", text)
    return service


def _check_delivers(what: str, names: tuple[str, ...]) -> None:
    for name in names:
        checked_name(f"{what}: delivers", name)
    count = len(names)
    if not 1 <= count <= MAX_DELIVERABLES or len(set(names)) < count:
        raise ConfigurationError(
            "bad_configuration",
            f"{what}: delivers: expected 1 to {MAX_DELIVERABLES} names, each once, got {count}",
        )


def names_of(delivers: str | Sequence[str]) -> tuple[str, ...]:
    """One name, or several: what is none is found by `checked_service`."""
    return tuple(delivers) if isinstance(delivers, list | tuple) else (cast("str", delivers),)


def offered(offer: OfferPart, handler: Handler | None) -> Service:
    """What the settings offer, done by `handler`; without one, by the function that they name.

    Raises:
        ConfigurationError: As `load_handler` and `checked_service`; `bad_configuration`, the price is none.
    """
    service = Service(
        task=offer.task,
        handler=handler or load_handler(offer.handler),
        price=parse_price(offer.price),
        summary=offer.summary,
        delivers=names_of(offer.delivers),
        media_type=offer.media_type,
        capacity=offer.capacity,
        hold_seconds=offer.hold_seconds,
        wait_seconds=offer.wait_seconds,
        by_settings=True,
    )
    return checked_service(service)


def handler_named(text: str, what: str = "handler") -> tuple[str, str]:
    """The module and the function in `package.module:function`; neither is looked for. `what` is what the operator
    calls it.

    Raises:
        ConfigurationError: `bad_configuration`, with an example.
    """
    module, _, function = text.partition(":")
    if not function.isidentifier() or "" in module.split("."):
        raise ConfigurationError(
            "bad_configuration",
            f"{what}: expected package.module:function, such as acme.tasks:summarise, got {text[:100]!r}",
        )
    return module, function


def load_handler(name: str) -> Handler:
    """The function that `package.module:function` names.

    Raises:
        ConfigurationError: `bad_configuration`, there is none; `missing_extra`, it needs something not installed.
    """
    module, function = handler_named(name)
    try:
        loaded = contained_call(lambda: import_module(module))
    except ImportError as exc:
        known = exc.name is not None and not module.startswith(exc.name)
        code = "missing_extra" if known else "bad_configuration"
        hint = " (install undersigned[prov])" if module.startswith("undersigned.") else ""
        if not known:
            hint = (
                ": a command looks for it where it is started, in the folders of PYTHONPATH and among what is installed"
            )
        raise ConfigurationError(code, f"handler {name} cannot be loaded: {exc}{hint}") from exc
    except Exception as exc:  # what the module does when it is loaded, or a name that no module has
        raise ConfigurationError("bad_configuration", f"handler {name} cannot be loaded: {in_short(exc)}") from exc
    found: Handler | None = getattr(loaded, function, None)
    if found is None:
        raise ConfigurationError("bad_configuration", f"handler {name}: the module has no {function!r}")
    return found
