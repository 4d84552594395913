"""An ASGI application that an agent we hired may use as far as its contract allows. See README.md."""

import json
import os
from pathlib import Path

from undersigned import AsgiGate, RemoteDesk, RequestGate, read_rules
from undersigned.runtime import control_token, read_toml


async def service(scope, receive, send):
    """Answers who it is called by, and under which clause."""
    granted = scope["hire"]
    said = {"hello": granted.provider, "clause": granted.clause}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


rules = read_rules(read_toml(Path(__file__).parent / "rules.toml"))
desk = RemoteDesk(os.environ["HIRE_PEER"], control_token(Path(os.environ["HIRE_TOKEN_FILE"])))
app = AsgiGate(service, RequestGate(desk, rules))
