"""An engagement in words: one line for each thing that happens, for people who watch.

01:12:49  -> Inquiry        needs sbom: a bill of materials       sent
01:12:49  <- Profile        version 1.0, suite eddsa-jcs-2022     received
01:12:49     decision       allow (require: ...)                  noted on this side alone
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec

from undersigned.contract import ReleaseDocument
from undersigned.credentials.envelope import is_enveloped, open_envelope
from undersigned.credentials.jws import CREDENTIAL_JWT
from undersigned.daemon import needed_text
from undersigned.encoding import FOREIGN_LIMITS, Did, Digest, decode_json
from undersigned.errors import UndersignedError
from undersigned.messages import (
    Acceptance,
    Approval,
    ApprovalRequest,
    Bid,
    Breach,
    Cancel,
    Closing,
    Delivery,
    Dispute,
    Inquiry,
    Message,
    Offer,
    Presentation,
    Problem,
    Profile,
    Progress,
    Receipt,
    Resume,
    Review,
    Ruling,
    Seal,
    Start,
    Suspend,
    Sync,
    Terminate,
    Withdraw,
)
from undersigned.runtime import (
    Conversation,
    Event,
    Transfer,
    books_differ,
    came_early,
)

from .output import Out
from .words import bytes_in_words, counted, plain, typed

__all__ = [
    "event_json",
    "event_line",
    "moved",
    "noted",
    "part_of",
    "quiet",
    "review_command",
    "row_line",
    "summary_of",
    "tell",
    "tell_review",
]


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
            types = [_type(credential) for credential in shown]
            asks = f"; asks for {_needs(message.request.needs)}" if message.request is not None else ""
            return f"shows {', '.join(plain(t, 40) for t in types) or 'nothing'}{asks}"
        case Bid():
            return f"commits to sealed terms, good until {message.valid_until}"
        case Offer():
            document = message.document
            until = f"good until {message.valid_until}"
            if isinstance(document, ReleaseDocument):
                owed = document.settlement
                return f"release, {owed} owed, {until}: {plain(document.reason, 120)}"
            terms, what = document.terms, "amendment, " if document.type == "Amendment" else ""
            grants = counted(len(terms.scope.grants), "grant")
            return f"{what}{terms.price}, {grants}, {until}"
        case Acceptance():
            return f"second signature on {_short(message.document)}"
        case Seal():
            return f"contract {_short(message.document)}, leaf {message.ledger.index + 1} of its log"
        case Withdraw():
            return f"{message.reason}{'; needed: ' if message.needed else ''}" + "; ".join(
                plain(needed_text(need), 400) for need in message.needed or ()
            )
        case Start():
            return f"inputs {', '.join(plain(item.name, 40) for item in message.inputs) or 'none'}"
        case Progress():
            percent = f"{message.percent} %" if message.percent is not None else ""
            return f"{percent} {plain(message.note or '', 80)}".strip() or "still at work"
        case Delivery():
            names = ", ".join(f"{plain(a.name, 40)} {_short(a.digest)}" for a in message.artifacts)
            stated = f"; {counted(len(message.statements), 'statement')}" if message.statements else ""
            return f"{message.outcome}: {names or 'nothing was delivered'}{stated}"
        case Review():
            return _reviewed(message)
        case Closing():
            objects = f"; objects: {plain(message.objection, 160)}" if message.objection else ""
            return f"basis {message.basis}, owed {message.settlement}{objects}"
        case Suspend():
            return f"{message.reason}, until {message.until}"
        case Resume():
            return message.reason
        case ApprovalRequest():
            asked = f"{plain(message.action, 80)} by clause {plain(message.clause, 40)}: {plain(message.reason, 120)}"
            return f"{asked}; waits for the hirer's answer, see 'contract show'"
        case Approval():
            return f"{counted(message.uses, 'use')} until {message.until}" if message.granted else "refused"
        case Breach():
            return f"of {plain(message.clause, 80)}, to be cured by {message.cure_by}"
        case Dispute():
            return f"{plain(message.claim, 160)}; ruling by {message.ruling_by}"
        case Ruling():
            return f"{plain(message.ruling.get('outcome', '?'), 40)} on {_short(message.dispute)}"
        case Cancel():
            return f"{message.reason}, wind down by {message.wind_down}"
        case Terminate():
            return f"cause {message.cause}"
        case Receipt():
            waiting = f", waiting for a {message.waiting.for_}" if message.waiting else ""
            return f"has {', '.join(_short(digest) for digest in message.of)}{waiting}"
        case Problem():
            hint = (
                "; a store was put back from an older copy, this one or the other"
                if message.code == "ledger_diverged"
                else ""
            )
            return f"{message.code} about {_short(message.of)}{' (final)' if message.final else ''}{hint}"
        case Sync():
            return f"is at {plain(message.state, 40)}"
        case _:
            return ""


def quiet(event: Event) -> bool:
    """Whether people are spared this event: a receipt or position that keeps the two sides in step and says no more,
    or the key of something that is not to be done twice, whose move has a line of its own.
    """
    if event.kind == "noted" and event.type == "done":
        return True
    waits = isinstance(event.message, Receipt) and event.message.waiting is not None
    return event.kind in ("sent", "received") and event.type in ("Receipt", "Sync") and not waits


def event_line(event: Event) -> str:
    """One event on one line."""
    if event.kind == "over":
        return row_line(event.at, "", "over", event.state)
    if event.kind == "noted":
        return row_line(event.at, "noted", event.type, noted(event.type, event.detail))
    if event.transfer is not None:
        return row_line(event.at, "sent" if event.transfer.outward else "received", event.type, moved(event.transfer))
    if event.kind == "fault":
        return row_line(event.at, "", event.type, _fault(event))
    if event.kind == "unread":
        return row_line(event.at, "received", event.type, _unread(event))
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


def _reviewed(review: Review) -> str:
    met = f"{sum(one.met for one in review.criteria)} of {len(review.criteria)} criteria met"
    met = met if review.criteria else "no criteria were agreed"
    verifier = _verifier(review)
    if verifier == review.sender:
        return f"{review.verdict}, {met}"
    # What it accepts is met by its word, as a whole; of what it rejects its word is of no one criterion.
    own = review.verdict == "rejected" and any(one.met for one in review.criteria)
    by_whom = " by the hirer's own check" if own else ""
    return f"{review.verdict} by the verifier {plain(verifier, 100)}; {met}{by_whom}"


def _verifier(review: Review) -> Did:
    """Whose verdict a review carries: its sender's, or that of a verifier whom the contract names."""
    try:
        value: Any = decode_json(b64decode(str(review.statement.get("payload"))), FOREIGN_LIMITS)
        return str(value["predicate"]["verifier"]["id"])
    except (UndersignedError, ValueError, LookupError, TypeError):
        return review.sender  # what is no statement is refused by whoever checks it, and names nobody


def _type(credential: dict[str, Any]) -> str:
    """The most special type of what was shown, which nobody has checked yet."""
    if is_enveloped(credential, CREDENTIAL_JWT):
        try:
            credential = open_envelope(credential, CREDENTIAL_JWT).payload
        except UndersignedError:
            return "?"
    types: Any = credential.get("type") or "?"
    return str(cast("list[Any]", types)[-1] if isinstance(types, list) else types)


def event_json(event: Event) -> dict[str, Any]:
    """One event as JSON; the message as it went over the wire, without its proof."""
    message = msgspec.to_builtins(event.message) if event.message is not None else None
    if isinstance(message, dict):
        message.pop("proof", None)
    said: dict[str, Any] = {
        "engagement": event.engagement,
        "kind": event.kind,
        "type": event.type,
        "at": event.at,
        "state": event.state,
        "summary": summary_of(event.message) if event.message is not None else noted(event.type, event.detail),
        "detail": event.detail,
        "message": message,
    }
    if event.transfer is not None:
        said |= {"summary": moved(event.transfer), "transfer": msgspec.to_builtins(event.transfer)}
    if event.kind == "fault":
        said |= {"summary": _fault(event)}
    if event.kind == "unread":
        said |= {"summary": _unread(event)}
    return said


def _fault(event: Event) -> str:
    return f"somebody says that a message of ours cannot be taken: {plain(event.detail, 60)}; nothing follows from that"


def _unread(event: Event) -> str:
    return f"CANNOT BE TAKEN: {plain(event.detail, 300)}"


def moved(transfer: Transfer) -> str:
    """How far something large has come, in a few words."""
    of = f" of {bytes_in_words(transfer.total)}" if transfer.total is not None else ""
    return f"{plain(transfer.name, 80) or _short(transfer.digest)}: {bytes_in_words(transfer.bytes)}{of}"


def tell(out: Out, event: Event, before: str = "") -> None:
    """An event to whoever watches: JSON, or a line for people; how far something has come is not for pipes."""
    out.value(event_json(event))
    if event.kind == "transfer":
        out.progress(f"{before}{event_line(event)}")
    elif not quiet(event):
        out.line(f"{before}{event_line(event)}")


def tell_review(out: Out, conversation: Conversation, home: Path) -> None:
    """That a person has to say now which criteria are met, and with which command."""
    contract, criteria = conversation.engagement.contract, conversation.offered().terms.criteria
    if contract is None:
        return
    out.value({"kind": "review", "contract": contract.digest, "criteria": list(criteria)})
    shown = typed("contract show {} --home {}", contract.digest, home)
    out.line(f"delivered, and you say what is met: {shown}", style="bold")
    out.line(f"  {review_command(contract.digest, criteria, home)}")


def review_command(contract: Digest, criteria: Iterable[str], home: Path) -> str:
    """The command by which a person says which of these criteria are met."""
    met = "".join(f" --met {plain(id, 100)}" for id in criteria)
    return f"{typed('contract review {} --home {}', contract, home)}{met}{'   (or --not-met)' if met else ''}"


def noted(name: str, text: str) -> str:
    """What this side wrote into its journal for itself, in a few words."""
    if name == "connection":
        what, _, at = text.partition(" ")
        return f"offline since {plain(at, 24)}; nothing follows from that" if what == "lost" else "there again"
    if name == "missed-heartbeat":
        return f"no sign of life since {plain(text, 24)}; after three heartbeats it is gone, and we end the contract"
    if name == "listening":
        return "we are there again; from now on the provider's silence counts"
    if name == "verdict-awaited":
        return f"by {plain(text, 120)}: it gets the pack ('export'), and 'contract judge' carries what it says"
    if name == "review-failed":
        return f"{plain(text, 200)}; a person may say it, see 'contract show'"
    try:
        if name == "early":
            return "; ".join(f"BEFORE ITS TIME: {plain(one.explain(), 300)}" for one in came_early({name: text})[-1:])
        if name == "books":
            differ = "; ".join(plain(one.explain(), 300) for one in books_differ({name: text}))
            return f"THE BOOKS DIFFER: {differ}" if differ else "the books of the other side are as ours now"
        if name == "approvals":
            said = msgspec.json.decode(text.encode(), type=list[dict[str, Any]])
            last = said[-1] if said else {}
            return f"a person says: {plain(last.get('verdict'), 20)} {_short(plain(last.get('terms'), 60))}"
        return _fact(name, msgspec.json.decode(text.encode(), type=dict[str, Any]))
    except msgspec.MsgspecError:
        return plain(text, 200)


def _fact(name: str, fact: dict[str, Any]) -> str:
    """What is told of a fact that is a JSON object; nothing of one that has no words."""
    if name == "order":
        ceiling = fact.get("ceiling", {})
        most = f"{plain(ceiling.get('amount'), 20)} {plain(ceiling.get('currency'), 8)}"
        return "only to see whether policy allows it" if fact.get("probe") else f"we want it for at most {most}"
    if name == "review-word":
        met: dict[str, Any] = fact.get("met") or {}
        said = ", ".join(f"{plain(id, 100)} {'is' if one is True else 'is not'} met" for id, one in met.items())
        return f"a person said: {said or 'no criteria'}; the verdict is that of the verifier"
    if name == "child":
        became = plain(fact.get("outcome") or "begun", 60)
        return f"hire of {plain(fact.get('provider'), 120)} for {plain(fact.get('task'), 60)}: {became}"
    if name == "due":
        due = f"{plain(fact.get('amount'), 30)} {plain(fact.get('currency'), 8)}"
        return f"{due} due by {plain(fact.get('method'), 32)}: waits for our word, see 'contract settle'"
    if name == "paid":
        if not fact.get("paid"):
            return f"our word: not paid: {plain(fact.get('note') or '', 160)}"
        reference = plain(fact.get("reference") or "", 128)
        return f"our word: paid as {reference}" if reference else "our word: paid"
    if name == "refused-action":
        target = plain(fact.get("target") or "", 400)  # rules that map a call to no action name none
        what = plain(fact.get("action"), 40) + (f" on …{target[-24:]}" if target else "")
        return f"{what} refused by clause '{plain(fact.get('clause'), 60)}': {plain(fact.get('reason'), 160)}"
    if name == "renewed":
        anew = counted(len(fact.get("standIns") or ()), "credential")
        return f"{anew} of the other side, issued anew and shown again"
    if name in ("change-asked", "change-drafted", "change-offered"):
        return _change(name, fact)
    if name == "approval-asked":
        return _asked(fact)
    if name == "decision":
        reasons = "; ".join(map(_reason, fact.get("reasons", ())))
        return f"{fact.get('outcome')} ({reasons})"
    return ""


def _reason(said: dict[str, Any]) -> str:
    would = f", would pass: {plain(said.get('wouldPass'), 120)}" if said.get("wouldPass") else ""
    return f"{said.get('clause')}: {plain(said.get('value'), 120)}{would}"


def _change(name: str, fact: dict[str, Any]) -> str:
    """What was put to people under a contract, or became of it."""
    terms: dict[str, Any] = fact.get("terms", {})
    change: dict[str, Any] = fact.get("change", {})
    price: dict[str, Any] = terms.get("price", {})
    costs = f"for {plain(price.get('amount'), 20)} {plain(price.get('currency'), 8)}"
    what = f"{plain(change.get('kind'), 12)} {_short(plain(change.get('name'), 60))} {costs}"
    if dropped := change.get("dropped"):
        return f"{what} is not offered: {plain(dropped, 300)}"
    if name == "change-offered":
        return f"{what} was approved, and is offered"
    return f"{what} {_asked(fact)}"


def _asked(fact: dict[str, Any]) -> str:
    who = "a person" if fact.get("needed") == 1 else "two people"
    return f"waits for {who} until {plain(fact.get('until'), 24)}: see 'offer list' of this state folder"


def _needs(needs: Any) -> str:
    return ", ".join(plain(need.credential or need.member or need.code, 60) for need in needs or ()) or "nothing"


def part_of(digest: str) -> str:
    """Eight characters in which a digest differs from others; nine where they would look like an option."""
    return digest[3 if digest[4:5] == "-" else 4 : 12]


def _short(digest: str) -> str:
    return f"{part_of(digest)}…"
