#!/usr/bin/env python3
"""The hook of protocol-spec/harness.md for a peer of ours: `hook.py HOME HOST:PORT TOKEN`. An adapter of another
implementation has as much to do: start a hire, and tell where an engagement stands.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import sys
from typing import Any

from aiohttp import web

from undersigned.daemon import Hire, Peer
from undersigned.errors import UndersignedError
from undersigned.messages import Problem, Withdraw, recorded_message
from undersigned.runtime import Reviewed


async def met(reviewed: Reviewed) -> dict[str, bool]:
    """Every criterion is met by what was delivered and verified."""
    return {criterion.id: True for item in reviewed.document.terms.deliverables for criterion in item.criteria}


async def begin(peer: Peer, order: dict[str, Any]) -> Hire:
    """A hire that goes on by itself, once its `Inquiry` is stored."""
    price, opening = ({"": order["price"], **order}.get(name) or order["price"] for name in ("price", "opening"))
    hire = peer.hire(
        order["provider"],
        task=order["task"],
        summary=order.get("summary", order["task"]),
        inputs={name: base64.b64decode(text) for name, text in order.get("inputs", {}).items()},
        price=f"{price['amount']} {price['currency']}",
        opening=f"{opening['amount']} {opening['currency']}",
        criteria=order.get("criteria", {}),
        at=order.get("url"),
        review=met,
    )
    task = asyncio.ensure_future(hire)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    while hire.engagement is None and not task.done():  # noqa: ASYNC110 - it is a moment
        await asyncio.sleep(0.01)
    if hire.engagement is None:
        await task
    return hire


async def standing(peer: Peer, engagement: str) -> dict[str, Any] | None:
    """Where an engagement stands; None for one that is not known."""
    summary = await peer.ledger.summary(engagement)
    if summary is None:
        return None
    rows = [row for row in await peer.ledger.rows(engagement) if row.kind != "noted"]
    said = [(row, recorded_message(row.raw).message) for row in rows]
    heads = {role: [row.digest for row, one in said if row.sequence and one.role == role] for role in ROLES}
    problems = [{"type": "Problem", "code": one.code} for row, one in said if isinstance(one, Problem)]
    withdrawn = [one.reason for _, one in said if isinstance(one, Withdraw)]
    found = {"id": engagement, "role": summary.role, "peer": summary.peer, "state": summary.state, "lane": "idle"}
    found |= {"over": summary.state in ("withdrawn", "closed"), "heads": heads, "problems": problems}
    found |= {"contract": summary.contract} if summary.contract else {}
    return found | ({"withdrawn": withdrawn[-1]} if withdrawn else {})


ROLES = ("hirer", "provider")


def app(peer: Peer, token: str) -> web.Application:
    """The two routes."""

    async def answer(request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {token}"):
            return web.json_response({"code": "unauthorized"}, status=401)
        try:
            if request.method == "POST":
                return web.json_response({"id": (await begin(peer, await request.json())).engagement}, status=202)
            found = await standing(peer, request.match_info["id"])
            return web.json_response(found or {"code": "bad_path"}, status=200 if found else 404)
        except (UndersignedError, KeyError, TypeError, ValueError) as error:
            return web.json_response({"code": getattr(error, "code", "bad_request")}, status=400)

    served = web.Application()
    served.add_routes([web.post("/hire", answer), web.get("/hires/{id}", answer)])
    return served


async def main(home: str, where: str, token: str) -> None:
    """Runs the peer and its hook until it is ended."""
    host, _, port = where.rpartition(":")
    async with Peer.open(home) as peer:
        runner = web.AppRunner(app(peer, token))
        await runner.setup()
        await web.TCPSite(runner, host, int(port)).start()
        print(json.dumps({"did": peer.own.id, "url": peer.url}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
