"""The hook of protocol-spec/harness.md for a peer of ours: a template for an adapter of another implementation."""

from __future__ import annotations

import asyncio
import base64
import hmac
from decimal import Decimal
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from undersigned.contract import Document, ReleaseDocument, same_terms
from undersigned.daemon import Peer
from undersigned.errors import UndersignedError
from undersigned.messages import Closing, Delivery, Problem, Withdraw, recorded_message
from undersigned.runtime import Conversation, Reviewed


async def met(reviewed: Reviewed) -> dict[str, bool]:
    """Every criterion is met by what was delivered and verified."""
    return {criterion.id: True for item in reviewed.document.terms.deliverables for criterion in item.criteria}


async def agrees(conversation: Conversation, document: Document) -> bool | None:
    """The owner of a provider agrees to more for the same work, and to an end for the whole price; the rest waits."""
    terms = conversation.offered().terms
    if conversation.engagement.role != "provider":
        return None
    if isinstance(document, ReleaseDocument):
        return Decimal(document.settlement.amount) >= Decimal(terms.price.amount) or None
    alike = replace(document.terms, price=terms.price, deadlines=terms.deadlines)
    return (same_terms(alike, terms) and Decimal(document.terms.price.amount) >= Decimal(terms.price.amount)) or None


async def begin(peer: Peer, order: dict[str, Any]) -> str:
    """Starts a hire that goes on by itself; its engagement, once the `Inquiry` is stored."""
    prices = {name: "{amount} {currency}".format(**order[name]) for name in ("price", "opening") if name in order}
    inputs = {name: base64.b64decode(text) for name, text in order.get("inputs", {}).items()}
    options = {name: order[name] for name in ("summary", "criteria") if name in order}
    hire = peer.hire(
        order["provider"], task=order["task"], inputs=inputs, at=order.get("url"), review=met, **prices, **options
    )
    task = asyncio.ensure_future(hire)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    while hire.engagement is None and not task.done():  # noqa: ASYNC110 - it is a moment
        await asyncio.sleep(0.01)
    if hire.engagement is None:
        await task
    return str(hire.engagement)


async def bytes_of(peer: Peer, digest: str) -> str | None:
    """An artifact as base64, if it is here."""
    try:
        return base64.b64encode(await peer.artifacts.get(digest)).decode()
    except UndersignedError:
        return None


async def standing(peer: Peer, engagement: str) -> dict[str, Any] | None:
    """Where an engagement stands, in either role; None for one that is not known."""
    summary, live = await peer.ledger.summary(engagement), peer.conversations.get(engagement)
    if summary is None:
        return None
    rows = [row for row in await peer.ledger.rows(engagement) if row.kind != "noted"]
    found: dict[str, Any] = {"id": engagement, "role": summary.role, "peer": summary.peer, "state": summary.state}
    found |= {"lane": live.engagement.lane if live else "idle", "over": summary.state in ("withdrawn", "closed")}
    found |= {"heads": {"hirer": [], "provider": []}, "problems": [], "messages": [row.raw.decode() for row in rows]}
    found |= {"contract": summary.contract} if summary.contract else {}
    for row in rows:
        message = recorded_message(row.raw).message
        if row.sequence:
            found["heads"][message.role].append(row.digest)
        match message:
            case Problem(code=code):
                found["problems"].append({"type": "Problem", "code": code})
            case Withdraw(reason=reason):
                found["withdrawn"] = reason
            case Delivery(artifacts=named):
                found["artifacts"] = {one.name: await bytes_of(peer, one.digest) for one in named}
            case Closing(basis=basis, settlement=owed) if message.role == summary.role:
                found |= {"basis": basis, "owed": {"amount": owed.amount, "currency": owed.currency}}
            case _:
                pass
    return found


def app(peer: Peer, token: str) -> web.Application:
    """The two routes; what is put on the table under a contract is decided from then on."""

    async def answer(request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
            return web.json_response({"code": "unauthorized"}, status=401)
        try:
            if request.method == "POST":
                return web.json_response({"id": await begin(peer, await request.json())}, status=202)
            found = await standing(peer, request.match_info["id"])
            return web.json_response(found or {"code": "bad_path"}, status=200 if found else 404)
        except (UndersignedError, LookupError, TypeError, ValueError, AttributeError) as error:
            return web.json_response({"code": getattr(error, "code", "bad_request")}, status=400)

    peer.changes.consents = agrees
    served = web.Application()
    served.add_routes([web.post("/hire", answer), web.get("/hires/{id}", answer)])
    return served
