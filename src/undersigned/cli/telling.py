"""An engagement in words: one line for each thing that happens, for people who watch.

01:12:49  -> Inquiry        needs sbom: a bill of materials       sent
01:12:49  <- Profile        version 1.0, suite eddsa-jcs-2022     received
01:12:49     decision       allow (require: ...)                  noted on this side alone
"""

from __future__ import annotations

from typing import Any

import msgspec

from undersigned.daemon import needed_text
from undersigned.messages import (
    Acceptance,
    Bid,
    Cancel,
    Closing,
    Delivery,
    Inquiry,
    Message,
    Offer,
    Presentation,
    Problem,
    Profile,
    Progress,
    Receipt,
    Review,
    Seal,
    Start,
    Sync,
    Terminate,
    Withdraw,
)
from undersigned.runtime import Event

from .output import counted, plain

__all__ = ["event_json", "event_line", "noted", "quiet", "row_line", "summary_of"]


def summary_of(message: Message) -> str:
    """What a message says, in a few words. Text of the peer is escaped and cut."""
    match message:
        case Inquiry():
            more = f": {plain(message.task.summary, 80)}" if message.task.summary != message.need else ""
            after = f"; continues {_short(message.continues)}" if message.continues else ""
            return f"needs {plain(message.need, 40)}{more}{after}"
        case Profile():
            return f"version {message.version}, suite {message.suite}; asks for {_needs(message.request.needs)}"
        case Presentation():
            shown: Any = message.presentation.get("verifiableCredential", [])
            types = [str(credential.get("type", ["?"])[-1]) for credential in shown]
            asks = f"; asks for {_needs(message.request.needs)}" if message.request is not None else ""
            return f"shows {', '.join(plain(t, 40) for t in types) or 'nothing'}{asks}"
        case Bid():
            return f"commits to sealed terms, good until {message.valid_until}"
        case Offer():
            terms = message.document.terms
            grants = counted(len(terms.scope.grants), "grant")
            return f"{terms.price.amount} {terms.price.currency}, {grants}, good until {message.valid_until}"
        case Acceptance():
            return f"second signature on {_short(message.document)}"
        case Seal():
            return f"contract {_short(message.document)}, leaf {message.ledger.index} of its log"
        case Withdraw():
            return f"{message.reason}{'; needed: ' if message.needed else ''}" + "; ".join(
                plain(needed_text(need), 400) for need in message.needed or ()
            )
        case Start():
            return f"inputs {', '.join(plain(item.name, 40) for item in message.inputs) or 'none'}"
        case Progress():
            percent = f"{message.percent} % " if message.percent is not None else ""
            return f"{percent}{plain(message.note or '', 80)}"
        case Delivery():
            names = ", ".join(f"{plain(a.name, 40)} {_short(a.digest)}" for a in message.artifacts)
            return f"{message.outcome}: {names or 'nothing'}; {counted(len(message.statements), 'statement')}"
        case Review():
            met = sum(1 for criterion in message.criteria if criterion.met)
            return f"{message.verdict}, {met} of {len(message.criteria)} criteria met"
        case Closing():
            return f"basis {message.basis}, owed {message.settlement.amount} {message.settlement.currency}"
        case Cancel():
            return f"{message.reason}, wind down by {message.wind_down}"
        case Terminate():
            return f"cause {message.cause}"
        case Receipt():
            waiting = f", waiting for a {message.waiting.for_}" if message.waiting else ""
            return f"has {', '.join(_short(digest) for digest in message.of)}{waiting}"
        case Problem():
            return f"{message.code} about {_short(message.of)}{' (final)' if message.final else ''}"
        case Sync():
            return f"is at {plain(message.state, 40)}"
        case _:
            return ""


def quiet(event: Event) -> bool:
    """Whether people are spared this event: a receipt or position that keeps the two sides in step and says no more."""
    waits = isinstance(event.message, Receipt) and event.message.waiting is not None
    return event.kind in ("sent", "received") and event.type in ("Receipt", "Sync") and not waits


def event_line(event: Event) -> str:
    """One event on one line."""
    if event.kind == "over":
        return row_line(event.at, "", "over", event.state)
    if event.kind == "noted":
        return row_line(event.at, "noted", event.type, noted(event.type, event.detail))
    if event.message is None:
        return row_line(event.at, "noted", event.type, f"CANNOT BE SAID: {plain(event.detail, 300)}")
    said = summary_of(event.message)
    mark = "" if event.kind in ("sent", "received") else f"{event.kind.upper()}: "
    detail = f"  {plain(event.detail, 300)}" if event.detail else ""
    return row_line(event.at, "sent" if event.kind == "sent" else "received", event.type, f"{mark}{said}{detail}")


def row_line(at: str, kind: str, name: str, said: str) -> str:
    """One entry of a journal on one line; `at` is an instant, of which the time of day is shown."""
    arrow = {"sent": "->", "received": "<-"}.get(kind, "  ")
    return f"{at[11:19]}  {arrow} {plain(name, 24):14} {said}"


def event_json(event: Event) -> dict[str, Any]:
    """One event as JSON; the message as it went over the wire, without its proof."""
    message = msgspec.to_builtins(event.message) if event.message is not None else None
    if isinstance(message, dict):
        message.pop("proof", None)
    return {
        "engagement": event.engagement,
        "kind": event.kind,
        "type": event.type,
        "at": event.at,
        "state": event.state,
        "summary": summary_of(event.message) if event.message is not None else noted(event.type, event.detail),
        "detail": event.detail,
        "message": message,
    }


def noted(name: str, text: str) -> str:
    """What this side wrote into its journal for itself, in a few words."""
    try:
        fact = msgspec.json.decode(text.encode(), type=dict[str, Any])
    except msgspec.MsgspecError:
        return plain(text, 200)
    if name == "order":
        ceiling = fact.get("ceiling", {})
        most = f"{plain(ceiling.get('amount'), 20)} {plain(ceiling.get('currency'), 8)}"
        return "only to see whether policy allows it" if fact.get("probe") else f"we want it for at most {most}"
    if name == "refused-action":
        return (
            f"{plain(fact.get('action'), 40)} on …{plain(fact.get('target'), 400)[-24:]} refused by clause "
            f"'{plain(fact.get('clause'), 60)}': {plain(fact.get('reason'), 160)}"
        )
    if name == "decision":
        reasons = "; ".join(f"{r.get('clause')}: {plain(r.get('value'), 120)}" for r in fact.get("reasons", ()))
        return f"{fact.get('outcome')} ({reasons})"
    return ""


def _needs(needs: Any) -> str:
    return ", ".join(plain(need.credential or need.member or need.code, 60) for need in needs or ()) or "nothing"


def _short(digest: str) -> str:
    return f"{digest[4:12]}…"
