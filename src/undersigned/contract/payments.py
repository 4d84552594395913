"""What a settlement says: parts of the price by milestones, and what other payment protocols write, carried by value.

The `hook` of a contract's settlement holds it as a `data:` URI.

    x402    `PaymentRequirements` of version 2, or of version 1 (`maxAmountRequired`)
    ap2     `CartMandate`, with or without the merchant's authorization

Only the shape is looked at. Whether it is signed and by whom, and whether anything was paid, is for who pays.

Source: protocol-spec/07-contract.md, section 7.12;
x402 protocol specification, versions 1 and 2, "PaymentRequirements"; AP2 specification, "Cart Mandate"
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import msgspec

from undersigned.contract.document import ReleaseDocument
from undersigned.contract.ruling import read_ruling
from undersigned.contract.terms import Milestone, Price, Terms
from undersigned.encoding import JsonObject, digest_of, percent_of
from undersigned.errors import FormatError

__all__ = ["PAYMENTS", "carried", "left_owed", "reached", "read_payment", "share"]

_PREFIX: Final = "data:application/json;base64,"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Units = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,78}(?!\n)$")]


class X402(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a seller asks to be paid; others' members are kept and not looked at."""

    scheme: Text
    network: Text
    asset: Text
    pay_to: Text
    max_timeout_seconds: Annotated[int, msgspec.Meta(ge=0)]
    amount: Units | None = None
    """In the smallest unit of the asset; version 2."""
    max_amount_required: Units | None = None
    """The same in version 1."""

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.max_amount_required is None):
            raise ValueError("expected `amount` or `maxAmountRequired`")


class CartContents(msgspec.Struct, frozen=True, kw_only=True):
    """What is bought, and how it may be paid."""

    id: Text
    user_cart_confirmation_required: bool
    payment_request: dict[str, Any]
    cart_expiry: Text
    merchant_name: Text


class CartMandate(msgspec.Struct, frozen=True, kw_only=True):
    """A cart as its merchant vouches for it."""

    contents: CartContents
    merchant_authorization: Annotated[str, msgspec.Meta(min_length=1, max_length=8192)] | None = None


PAYMENTS: Final[dict[str, type[msgspec.Struct]]] = {"x402": X402, "ap2": CartMandate}
"""Method of a settlement -> what its hook carries."""


def carried(raw: bytes) -> str:
    """The URI that carries these bytes of JSON."""
    return _PREFIX + b64encode(raw).decode()


def read_payment(method: str, hook: str | None) -> bytes:
    """The bytes that the hook of a settlement carries, once they are what `method` says.

    Raises:
        FormatError: `schema_violation`: there are none, or they are of another shape.
    """
    try:
        raw = b64decode((hook or "").removeprefix(_PREFIX), validate=True)
        if hook is None or not hook.startswith(_PREFIX):
            raise ValueError(f"expected {_PREFIX}…")
        msgspec.convert(json.loads(raw, object_pairs_hook=_once), PAYMENTS[method])
    except (ValueError, RecursionError, KeyError) as exc:
        raise FormatError("schema_violation", f"{method}: {exc}", path="/settlement/hook") from exc
    return raw


def reached(terms: Terms, met: frozenset[str]) -> tuple[Milestone, ...]:
    """The milestones all of whose criteria are among those `met`, as the terms list them."""
    return tuple(one for one in terms.settlement.milestones if met.issuperset(one.criteria))


def share(terms: Terms, met: frozenset[str]) -> Price:
    """What the milestones reached are worth together, cut after nine places; 0 without any (HIRE-PAY-03)."""
    percent = sum(one.percent for one in reached(terms, met))
    return Price(amount=percent_of(terms.price.amount, percent), currency=terms.price.currency)


def left_owed(
    terms: Terms,
    ended_by: str | None,
    detail: str,
    *,
    rulings: Callable[[], Iterable[JsonObject]],
    release: Callable[[str], ReleaseDocument],
    outcome: Callable[[], str],
    met: Callable[[], frozenset[str]],
) -> Price:
    """What the end of a contract leaves owed (HIRE-LIF-11, HIRE-PAY-03), by the strongest of what ended it and its
    `detail`: the verdict of a `Review`, the digest of a release. Asked for only as far as it counts: the last ruling
    of each side, that release, the outcome of the last `Delivery`, and the criteria that the last `Review` found met.

    Raises:
        FormatError: As `read_ruling`.
    """
    match ended_by:
        case "ruling":
            # Of two, the one with the lower digest counts.
            ruled = read_ruling(min(rulings(), key=digest_of))
            return Price(amount=ruled.amount, currency=ruled.currency)
        case "release":
            settled = release(detail).settlement
            return Price(amount=settled.amount, currency=settled.currency)
        # Silence accepts what is called complete: nobody is paid for saying that it failed (HIRE-LIF-07).
        case "silence" if terms.on_silence == "accepted" and outcome() == "complete":
            return terms.price
        case "review" if detail == "accepted":
            return terms.price
        case _:
            return share(terms, met())


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found
