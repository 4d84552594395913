"""What an agent does for others, and the functions that do it, by their names in the settings."""

from __future__ import annotations

from importlib import import_module

import msgspec

from undersigned.contract import Price
from undersigned.errors import ConfigurationError

from .configuration import OfferPart
from .job import Handler
from .order import parse_price

__all__ = ["Service", "handler_named", "load_handler", "offered"]


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A task that this agent does for others."""

    task: str
    handler: Handler
    price: Price
    """Asked for; nothing below it is taken."""
    summary: str = ""
    delivers: str = "result"
    """Name of what the handler delivers, unless the hirer names another."""
    media_type: str = "application/octet-stream"
    capacity: int = 16
    """Contracts at a time."""


def offered(offer: OfferPart, handler: Handler | None) -> Service:
    """What the settings offer, done by `handler`; without one, by the function that they name.

    Raises:
        ConfigurationError: As `load_handler`; `bad_configuration`, the price is none.
    """
    return Service(
        task=offer.task,
        handler=handler or load_handler(offer.handler),
        price=parse_price(offer.price),
        summary=offer.summary,
        delivers=offer.delivers,
        media_type=offer.media_type,
        capacity=offer.capacity,
    )


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
        found: Handler = getattr(import_module(module), function)
    except ImportError as exc:
        known = exc.name is not None and not module.startswith(exc.name)
        code = "missing_extra" if known else "bad_configuration"
        hint = " (install undersigned[prov])" if module.startswith("undersigned.") else ""
        raise ConfigurationError(code, f"handler {name} cannot be loaded: {exc}{hint}") from exc
    except (ValueError, TypeError) as exc:
        raise ConfigurationError("bad_configuration", f"handler {name} cannot be loaded: {exc}") from exc
    except AttributeError as exc:
        raise ConfigurationError("bad_configuration", f"handler {name}: the module has no {function!r}") from exc
    return found
