"""The hook of protocol-spec/harness.md for a peer of ours: a template for an adapter of another implementation."""

from __future__ import annotations

import asyncio
import base64
import hmac
from typing import Any

from aiohttp import web

from undersigned.daemon import Peer
from undersigned.errors import UndersignedError
from undersigned.messages import Problem, Withdraw, recorded_message
from undersigned.runtime import Reviewed


async def met(reviewed: Reviewed) -> dict[str, bool]:
    """Every criterion is met by what was delivered and verified."""
    return {criterion.id: True for item in reviewed.document.terms.deliverables for criterion in item.criteria}


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


async def standing(peer: Peer, engagement: str) -> dict[str, Any] | None:
    """Where an engagement stands, in either role; None for one that is not known."""
    summary, live = await peer.ledger.summary(engagement), peer.conversations.get(engagement)
    if summary is None:
        return None
    rows = [row for row in await peer.ledger.rows(engagement) if row.kind != "noted"]
    said = [(row, recorded_message(row.raw).message) for row in rows]
    moves = {
        role: [row.digest for row, one in said if row.sequence and one.role == role] for role in ("hirer", "provider")
    }
    found = {"id": engagement, "role": summary.role, "peer": summary.peer, "state": summary.state, "heads": moves}
    found |= {"lane": live.engagement.lane if live else "idle", "over": summary.state in ("withdrawn", "closed")}
    found |= {"problems": [{"type": "Problem", "code": one.code} for _, one in said if isinstance(one, Problem)]}
    ended = [one.reason for _, one in said if isinstance(one, Withdraw)]
    found |= ({"contract": summary.contract} if summary.contract else {}) | ({"withdrawn": ended[-1]} if ended else {})
    return found | {"messages": [row.raw.decode() for row in rows]}


def app(peer: Peer, token: str) -> web.Application:
    """The two routes."""

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

    served = web.Application()
    served.add_routes([web.post("/hire", answer), web.get("/hires/{id}", answer)])
    return served
