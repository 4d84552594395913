"""Names, prices and budgets as people write them, checked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from undersigned.contract import Price
from undersigned.did import parse_did
from undersigned.encoding import canonicalize, check_sayable, is_amount
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.scope import Limit

__all__ = [
    "MAX_NAME",
    "budget_limits",
    "checked_dids",
    "checked_folder",
    "checked_name",
    "checked_text",
    "checked_words",
    "parse_price",
]

MAX_NAME = 128
"""Characters of the name of a task or input, and of an agent or its organisation."""


def checked_name(what: str, text: str) -> str:
    """`text`, once it can be the name of a task, an input or an agent; `what` is what the operator calls it.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME or not text.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError(
            "bad_configuration", f"{what}: expected 1 to {MAX_NAME} printable characters, got {str(text)[:40]!r}"
        )
    return text


def checked_dids(member: str, dids: Iterable[str]) -> None:
    """Returns if each is a DID; `member` is where they stand.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    for did in dids:
        try:
            parse_did(did)
        except UndersignedError as exc:
            raise ConfigurationError("bad_configuration", f"{member}: {exc.message}") from exc


def check_plug(name: str, given: object, method: str) -> None:
    """Returns if what a caller gave can be asked by its `method`, or is None.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if given is not None and (isinstance(given, type) or not callable(getattr(given, method, None))):
        raise ConfigurationError("bad_configuration", f"{name}: expected an object with {method}(), got {given!r:.80}")


def checked_folder(path: Path | str) -> Path:
    """`path`, once it can name a state folder.

    Raises:
        ConfigurationError: `bad_configuration`, it is nothing that names a file, or '', which would be the folder that
            the program was started in; or all of it is no UTF-8, in which the URLs of ledgers are.
    """
    try:
        named = os.fsencode(path)
    except (TypeError, UnicodeEncodeError):
        named = b""
    if not isinstance(path, str | Path) or not named or b"\0" in named:  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError("bad_configuration", f"the state folder: expected its path, got {path!r:.80}")
    with suppress(FileNotFoundError):  # the folder where we are is gone, as whoever reads in it hears
        named = os.path.join(os.getcwdb(), named)
    try:
        named.decode()
    except UnicodeDecodeError as exc:
        text = f"the state folder: expected its path to be UTF-8, got {os.fsdecode(named)!a:.200}"
        raise ConfigurationError("bad_configuration", text) from exc
    return Path(path)


def checked_text(what: str, text: str) -> str:
    """`text`, once a message can hold it: one paragraph without control characters; `what` is what the operator calls
    it.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    try:
        check_sayable(canonicalize([text]))
    except FormatError as exc:
        raise ConfigurationError("bad_configuration", f"{what}: {exc.message}") from exc
    return text


def checked_words(what: str, text: str) -> str:
    """As `checked_text`, of what has to say something: an empty one, as of a shell's variable that is not set, is a
    slip.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if not text.strip():
        raise ConfigurationError("bad_configuration", f"{what}: expected words, got {text!r:.80}")
    return checked_text(what, text)


def parse_price(text: str, name: str = "") -> Price:
    """The price in `4.00 EUR` (amount, space, currency). `name`, if there is one, says whose argument it is.

    Raises:
        ConfigurationError: `bad_configuration`, with an example.
    """
    wrong = f"{name}: expected a price" if name else "expected a price"
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        raise ConfigurationError("bad_configuration", f"{wrong} such as '4.50 EUR', got {text!r:.60}")
    amount, _, currency = text.strip().partition(" ")
    whole, point, cents = amount.partition(".")
    if point and cents.isdecimal():  # an amount has no trailing zeros, people write them
        amount = f"{whole}.{cents}".rstrip("0").rstrip(".")
    if (
        not is_amount(amount)
        or amount.startswith("-")
        or not (currency.isascii() and currency.isupper() and len(currency) == 3)
    ):
        raise ConfigurationError("bad_configuration", f"{wrong} such as '4.50 EUR', got {text!r:.60}")
    return Price(amount=amount, currency=currency)


def budget_limits(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The limits of a budget.

    Raises:
        ConfigurationError: `bad_configuration`: two count the same, or one neither money nor contracts; or these are
            no limits.
    """
    found: tuple[Any, ...] = tuple(limits) if isinstance(limits, Iterable) else (limits,)  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
    for limit in found:
        if not isinstance(limit, Limit):
            text = f"budget: expected limits, such as [Limit('EUR', '100', 'P1D')], got {limits!r:.80}"
            raise ConfigurationError("bad_configuration", text)
        if limit.unit != "count" and not limit.unit.isupper():
            raise ConfigurationError("bad_configuration", f"budget: expected a currency or count, got {limit.unit}")
    if len({limit.name for limit in found}) < len(found):
        raise ConfigurationError("bad_configuration", "budget: two limits count the same")
    return found
