"""An ASGI application that an agent we hired may use as far as its contract allows. See README.md."""

import json
import os
from pathlib import Path

from undersigned import AsgiGate, RemoteDesk, RequestGate, read_rules
from undersigned.runtime import read_toml


async def service(scope, receive, send):
    """Answers who it is called by, and under which clause."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    granted = scope["hire"]
    said = {"hello": granted.provider, "clause": granted.clause}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def lifespan(receive, send):
    """The server says when it begins and when it ends: then what asks the peer is closed."""
    for moment in ("startup", "shutdown"):
        await receive()
        if moment == "shutdown":
            await desk.close()
        await send({"type": f"lifespan.{moment}.complete"})


rules = read_rules(read_toml(Path(__file__).parent / "rules.toml"))
desk = RemoteDesk(os.environ["HIRE_PEER"], Path(os.environ["HIRE_TOKEN_FILE"]).read_text().strip())
app = AsgiGate(service, RequestGate(desk, rules))
