"""An aiohttp application that an agent we hired may use as far as its contract allows. See README.md."""

import os
from pathlib import Path

from aiohttp import web

from undersigned import GRANTED, RemoteDesk, RequestGate, aiohttp_gate, read_rules
from undersigned.runtime import read_toml


async def report(request: web.Request) -> web.Response:
    """Answers who it is called by, and under which clause."""
    granted = request[GRANTED]
    return web.json_response({"hello": granted.provider, "clause": granted.clause})


def make_app() -> web.Application:
    rules = read_rules(read_toml(Path(__file__).parent / "rules.toml"))
    desk = RemoteDesk(os.environ["HIRE_PEER"], Path(os.environ["HIRE_TOKEN_FILE"]).read_text().strip())
    app = web.Application(middlewares=[aiohttp_gate(RequestGate(desk, rules))])
    app.on_cleanup.append(lambda _: desk.close())
    app.router.add_get("/reports/{name}", report)
    app.router.add_post("/orders", report)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")), print=None)
