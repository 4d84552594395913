"""The Model Context Protocol between a hired agent and a server: which of its messages pass, and what they become.

One `Exchange` reads what both sides send, one message at a time, and says what is to be done with it. It does nothing
itself: a call that rules map to an action is given back with that action, and goes on only once the gate admitted it.

What passes is listed; everything else is refused. From the client: `initialize`, `server/discover`, `ping`,
`tools/list`, `tools/call` and other methods as the rules map them, and two notifications. From the server: the answer
to a request that is open, progress, and that its tools changed. A server asks the client for nothing: its requests
(sampling, elicitation, roots) are answered here, and results that ask for input are refused. Messages are written anew
from what was read, so that both sides read the same in them.

Source: protocol-spec/15-mcp-gate.md; Model Context Protocol, revisions 2024-11-05 to 2026-07-28
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, TypeAlias, TypeGuard, cast

import msgspec

from undersigned.encoding import JsonLimits, JsonObject, JsonValue, decode_json
from undersigned.errors import FormatError, ScopeError
from undersigned.scope import Action

from .mcp_answers import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RequestId,
    error_answer,
    notification,
    refusal_answer,
    refusal_error,
)
from .mcp_rules import Rules, outside

__all__ = [
    "CLIENT_LIMITS",
    "SERVER_LIMITS",
    "VERSIONS",
    "Dropped",
    "Exchange",
    "ToClient",
    "ToServer",
]

VERSIONS: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"})
"""Revisions whose messages are known here. Another one may give them another meaning, so it is not spoken."""
CLIENT_LIMITS: Final = JsonLimits(
    max_bytes=128 * 1024,
    max_depth=32,
    max_members=1024,
    max_items=4096,
    max_string=128 * 1024,
    nulls=True,
    floats=True,
    control_characters=True,
    ascii_names=False,
)
SERVER_LIMITS: Final = msgspec.structs.replace(
    CLIENT_LIMITS, max_bytes=4 * 1024 * 1024, max_depth=64, max_items=100_000, max_string=4 * 1024 * 1024
)
MAX_OPEN: Final = 64
MAX_OWED: Final = 1024
"""Ids of requests that were given up, and that the server may still answer."""
ELICITS: Final = -32042
"""Number of the error by which a server of 2025-11-25 asks the client to have a person open a page."""

_META: Final = "io.modelcontextprotocol/"
_PROTOCOL_VERSION: Final = _META + "protocolVersion"
_META_PASSES: Final = frozenset({"progressToken", _PROTOCOL_VERSION, _META + "clientInfo"})
"""Of `_meta` in a request. Capabilities are replaced by none: what the server may ask of the client is nothing."""
_MEMBERS: Final = frozenset({"jsonrpc", "id", "method", "params"})
_CAPABILITIES: Final = _META + "clientCapabilities"
_PARAMS: Final = {
    "initialize": frozenset({"protocolVersion", "capabilities", "clientInfo"}),
    "server/discover": frozenset[str](),
    "ping": frozenset[str](),
    "tools/list": frozenset({"cursor"}),
    "tools/call": frozenset({"name", "arguments"}),
}
"""Method -> its params, beside `_meta`. One more may ask for more: a task of its own, or input that was asked for."""
_CLIENT_NOTIFICATIONS: Final = frozenset({"notifications/initialized", "notifications/cancelled"})
_SERVER_NOTIFICATIONS: Final = frozenset({"notifications/progress", "notifications/tools/list_changed"})
_FAMILY: Final = {"resources": "resources", "prompts": "prompts", "completion": "completions", "logging": "logging"}

_Key: TypeAlias = tuple[type, RequestId]
"""1 and "1" are two ids, and so are 1 and true."""


class ToServer(msgspec.Struct, frozen=True):
    """Goes on to the server; if it `asks`, only once the gate admitted that."""

    raw: bytes
    """One JSON object, without a line break."""
    method: str = ""
    id: RequestId | None = None
    """None: a notification, or an answer."""
    asks: Action | None = None
    tool: str = ""
    modern: bool = False
    """Of a revision whose results say that they are complete."""

    @property
    def lists(self) -> bool:
        """Whether the answer tells what the grants name."""
        return self.method in ("initialize", "server/discover", "tools/list")


class ToClient(msgspec.Struct, frozen=True):
    """Goes to the client, an answer of the server or one of ours."""

    raw: bytes
    answers: RequestId | None = None
    """The request that is over with it."""
    permit: str | None = None
    """What was admitted for that request; it was done, as far as anybody knows."""
    refused: ScopeError | None = None
    """Why we answered in the server's place, if a contract or the rules said no."""
    asked: str = ""
    """What was refused, in the client's words: for the record."""
    unnamed: bool = False
    """A rule has it, but no grant was known to name the rule's action."""


class Dropped(msgspec.Struct, frozen=True):
    """Goes nowhere, and nothing answers it."""

    why: str
    refused: ScopeError | None = None


class _Unfit(Exception):
    """What the client sent cannot be read, or cannot be done; said in an error of JSON-RPC."""

    def __init__(self, id: JsonValue, number: int, message: str, code: str = "schema_violation") -> None:
        super().__init__(message)
        self.id, self.number, self.message, self.code = id, number, message, code


_ASKED: Final[JsonObject] = {
    "code": INTERNAL_ERROR,
    "message": "the server asked for input, which no contract provides",
}


class _Named(msgspec.Struct):
    id: str | int


class _Open(msgspec.Struct):
    """A request that the server has not answered."""

    method: str
    sent: bool = False
    """Whether it was let in. Before that, nothing that a server says answers it."""
    permit: str | None = None


class Exchange:
    """The messages between one client and one server, or of one HTTP request."""

    def __init__(self, rules: Rules, actions: Collection[str], *, in_session: bool = False) -> None:
        """`actions` are those that the contract's grants name: other tools are not even listed. `in_session`: the
        server knows this client's requests from those of others, and the open ones may have come another way.
        """
        self._rules = rules
        self._in_session = in_session
        self.grants(actions)
        self._open: dict[_Key, _Open] = {}
        self._owed: dict[_Key, None] = {}

    def grants(self, actions: Collection[str]) -> None:
        """The contract's grants name these now."""
        self._tools = {name: rule for name, rule in self._rules.tools.items() if rule.action in actions}
        self._methods = {name: rule for name, rule in self._rules.methods.items() if rule.action in actions}

    # -- from the client

    def from_client(self, raw: bytes) -> ToServer | ToClient | Dropped:
        """What becomes of one message of the client. A request that goes on is open until it is answered.

        Never raises for what is in it: whatever cannot be read is answered, or dropped.
        """
        try:
            return self._read(raw)
        except _Unfit as unfit:
            return ToClient(error_answer(unfit.id, unfit.number, unfit.message, unfit.code))

    def _read(self, raw: bytes) -> ToServer | ToClient | Dropped:
        try:
            message = decode_json(raw, CLIENT_LIMITS)
        except FormatError as exc:
            raise _Unfit(None, PARSE_ERROR, "not a JSON text that is read here", exc.code) from exc
        if not isinstance(message, dict):
            # A batch is several messages in one, of which a reader may see the first only.
            raise _Unfit(None, INVALID_REQUEST, "expected one message, not several")
        if "method" not in message and ("result" in message or "error" in message):
            return Dropped("the answer to a request that nobody sent")
        id = message.get("id")
        if not _usable(id) and "id" in message:
            raise _Unfit(None, INVALID_REQUEST, "an id is text of at most 128 characters or an integer")
        method, params = message.get("method"), message.get("params", {})
        if message.get("jsonrpc") != "2.0" or not set(message) <= _MEMBERS or not isinstance(method, str):
            raise _Unfit(id, INVALID_REQUEST, "not a request of JSON-RPC 2.0")
        if not isinstance(params, dict):
            raise _Unfit(id, INVALID_PARAMS, "expected params by name")
        if "id" not in message:
            return self._notified(method, params)
        return self._requested(cast(RequestId, id), method, params)

    def _notified(self, method: str, params: JsonObject) -> ToServer | Dropped:
        if method not in _CLIENT_NOTIFICATIONS:
            # A server that answers nothing may still do it.
            called = not method.startswith("notifications/")
            refused = outside(f"{method!a:.80} as a notification", "a request with an id") if called else None
            return Dropped(f"a notification that does not pass: {method!a:.80}", refused)
        if method == "notifications/cancelled":
            cancelled = params.get("requestId")
            if not _usable(cancelled) or not (self._in_session or _key(cancelled) in self._open):
                return Dropped("takes back a request that is not open")
            return ToServer(notification(method, {"requestId": cancelled}), method)
        return ToServer(notification(method, {}), method)

    def _requested(self, id: RequestId, method: str, params: JsonObject) -> ToServer | ToClient:
        key = _key(id)
        if key in self._open or key in self._owed:
            # Two answers to one id, and nobody could say which call was done.
            raise _Unfit(id, INVALID_REQUEST, "a request with this id is open")
        if len(self._open) >= MAX_OPEN:
            raise _Unfit(id, INTERNAL_ERROR, "too many requests are open", "overloaded")
        meta = self._meta(id, params.pop("_meta", {}))
        step = ToServer(b"", method, id, modern=_PROTOCOL_VERSION in meta)
        allowed = _PARAMS.get(method)
        if allowed is None and method not in self._methods:
            refused = outside(f"{method!a:.80} is not among what passes", "method tools/call")
            no = self._no(step, METHOD_NOT_FOUND, "Method not found", refused)
            return msgspec.structs.replace(no, unnamed=method in self._rules.methods)
        if allowed is not None and (unknown := set(params) - allowed):
            refused = outside(f"{method} with {min(unknown)!a:.80}", f"params {', '.join(sorted(allowed)) or 'none'}")
            return self._no(step, INVALID_PARAMS, "Invalid params", refused)
        rule, arguments = self._methods.get(method), params
        if method == "tools/call":
            name, called = params.get("name"), params.get("arguments", {})
            if not isinstance(name, str) or not isinstance(called, dict):
                raise _Unfit(id, INVALID_PARAMS, "expected a name, and arguments by name")
            rule, arguments = self._tools.get(name), called
            if rule is None:
                refused = outside(f"no tool {name!a:.80} under this contract", _named("tool", self._tools))
                no = self._no(step, INVALID_PARAMS, "Unknown tool", refused)
                return msgspec.structs.replace(no, unnamed=name in self._rules.tools)
            step = msgspec.structs.replace(step, tool=name)
        elif method == "initialize":
            params = {**params, "capabilities": {}}
        try:
            asks = rule.action_of(arguments) if rule is not None else None
        except ScopeError as refused:
            return _refusal(step, refused)
        self._open[key] = _Open(method)
        if meta:
            params = {**params, "_meta": meta}
        raw = msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return msgspec.structs.replace(step, raw=raw, asks=asks)

    @staticmethod
    def _meta(id: RequestId, given: JsonValue) -> JsonObject:
        """What goes on of `_meta`; of what the client could do for the server, nothing."""
        if not isinstance(given, dict):
            raise _Unfit(id, INVALID_PARAMS, "_meta: expected an object")
        if _PROTOCOL_VERSION in given and not _spoken(given[_PROTOCOL_VERSION]):
            raise _Unfit(id, INVALID_PARAMS, "a revision that is not spoken here", "version_not_supported")
        kept: JsonObject = {name: value for name, value in given.items() if name in _META_PASSES}
        return {**kept, _CAPABILITIES: {}} if _CAPABILITIES in given else kept

    @staticmethod
    def _no(step: ToServer, number: int, message: str, error: ScopeError) -> ToClient:
        answer = refusal_error(cast(RequestId, step.id), number, message, error)
        return ToClient(answer, answers=step.id, refused=error, asked=f"{step.method!a:.80}")

    # -- what the gate said

    def let_in(self, step: ToServer, permit: str | None = None) -> None:
        """`step` goes on to the server; if the gate booked what it asks for, the answer to it will name the permit."""
        opened = self._open.get(_key(step.id)) if step.id is not None else None
        if opened is not None:
            opened.sent, opened.permit = True, permit

    def refuse(self, step: ToServer, error: ScopeError) -> ToClient | Dropped:
        """The gate said no: the answer to the client in the server's place, and the request is over."""
        if step.id is None:
            return Dropped(f"{step.method} is not let in", error)
        self._open.pop(_key(step.id), None)
        return _refusal(step, error)

    def fail(self, id: RequestId, code: str) -> ToClient | None:
        """The request gets no answer from the server: one of ours, and it is over. None if it was over already.

        Its permit is not in the answer: nobody knows how far the server came, so it stays booked.
        """
        key = _key(id)
        if self._open.pop(key, None) is None:
            return None
        if code == "timeout":
            # Its answer may come yet, and would be taken for that to another call of this id.
            self._owed[key] = None
            if len(self._owed) > MAX_OWED:
                del self._owed[next(iter(self._owed))]
        return ToClient(error_answer(id, INTERNAL_ERROR, "no answer of the server can be given", code), answers=id)

    def permit(self, id: RequestId) -> str | None:
        """The permit of an open request."""
        opened = self._open.get(_key(id))
        return opened.permit if opened is not None else None

    @property
    def open(self) -> tuple[RequestId, ...]:
        """Ids of requests that the server has not answered."""
        return tuple(id for _, id in self._open)

    # -- from the server

    def from_server(self, raw: bytes) -> ToClient | ToServer | Dropped:
        """What becomes of one message of the server; its own requests are answered with a `ToServer`.

        Raises:
            FormatError: It cannot be read, and answers nothing that is open.
        """
        try:
            message = decode_json(raw, SERVER_LIMITS)
        except FormatError as exc:
            return self._unreadable(raw, exc)
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise FormatError("bad_json", "the server sent something that is no message of JSON-RPC 2.0")
        if "method" in message:
            return self._asked_or_told(message)
        id = message.get("id")
        opened = self._answered(id)
        if opened is None:
            return Dropped("the answer to a request that is not open")
        error, result = message.get("error"), message.get("result")
        if ("error" in message) == ("result" in message) or not isinstance(error if result is None else result, dict):
            answer = _instead("the server's answer cannot be given")
        elif isinstance(error, dict):
            answer = {"error": _ASKED if error.get("code") == ELICITS else error}
        else:
            answer = self._result(opened.method, cast(JsonObject, result))
        raw = msgspec.json.encode({"jsonrpc": "2.0", "id": id, **answer})
        return ToClient(raw, answers=cast(RequestId, id), permit=opened.permit)

    def _unreadable(self, raw: bytes, why: FormatError) -> ToClient:
        """Its caller hears at once of an answer that cannot be read, if it can be told whose it is."""
        try:
            id = msgspec.json.decode(raw, type=_Named).id
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise why from None
        opened = self._answered(id)
        if opened is None:
            raise why
        answer = error_answer(id, INTERNAL_ERROR, "the server's answer cannot be given", why.code)
        return ToClient(answer, answers=id, permit=opened.permit)

    def _answered(self, id: JsonValue) -> _Open | None:
        """The request that is over with its answer; None if none is. What comes after it was given up is owed no more,
        and its id may be used again.
        """
        if not _usable(id):
            return None
        key = _key(id)
        opened = self._open.get(key)
        if opened is None or not opened.sent:
            self._owed.pop(key, None)
            return None
        return self._open.pop(key)

    def _asked_or_told(self, message: JsonObject) -> ToClient | ToServer | Dropped:
        method = message.get("method")
        if "id" in message:
            id = message["id"]
            if not _usable(id):
                return Dropped("a request of the server whose id cannot be answered")
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": id}
            if method == "ping":
                answer["result"] = {}
            else:
                answer["error"] = {"code": METHOD_NOT_FOUND, "message": "the client is asked for nothing"}
            return ToServer(msgspec.json.encode(answer), f"answer to {method!a:.80}")
        params = message.get("params", {})
        if method not in _SERVER_NOTIFICATIONS or not isinstance(params, dict):
            return Dropped(f"a notification that does not pass: {method!a:.80}")
        return ToClient(notification(cast(str, method), params))

    def _result(self, method: str, result: JsonObject) -> JsonObject:
        """What a result becomes; in place of one that must not pass, an error."""
        if result.get("resultType", "complete") != "complete":
            return {"error": _ASKED}
        if method == "initialize" and not _spoken(result.get("protocolVersion")):
            return _instead("the server speaks a revision that is not spoken here")
        if method == "tools/list":
            return self._listed(result)
        if method in ("initialize", "server/discover"):
            given = result.get("capabilities")
            families = {"tools"} | {_FAMILY[name.partition("/")[0]] for name in self._methods}
            kept = {n: v for n, v in given.items() if n in families} if isinstance(given, dict) else {}
            result = {**result, "capabilities": kept}
        return {"result": _private(result)}

    def _listed(self, result: JsonObject) -> JsonObject:
        """The list without the tools that are not under contract."""
        listed = result.get("tools")
        tools = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        names = [name for one in tools if isinstance(name := one.get("name"), str) and name in self._tools]
        if len(set(names)) < len(names):
            # Two descriptions of one tool: which of them the server means, nobody can tell.
            return _instead("the server lists a tool twice")
        return {"result": _private({**result, "tools": [one for one in tools if one.get("name") in names]})}


def _refusal(step: ToServer, error: ScopeError) -> ToClient:
    id = cast(RequestId, step.id)
    raw = refusal_answer(id, error, tool=bool(step.tool), modern=step.modern)
    return ToClient(raw, answers=id, refused=error, asked=f"{step.method} {step.tool}".strip())


def _instead(message: str) -> JsonObject:
    """The error in place of an answer that must not pass."""
    return {"error": {"code": INTERNAL_ERROR, "message": message}}


def _key(id: RequestId) -> _Key:
    return type(id), id


def _usable(id: JsonValue) -> TypeGuard[RequestId]:
    """Whether this is an id by which one request is told from another in every language."""
    return (type(id) is str and len(id) <= 128) or type(id) is int


def _spoken(version: JsonValue) -> bool:
    return isinstance(version, str) and version in VERSIONS


def _private(result: JsonObject) -> JsonObject:
    """What was filtered for one contract must not be kept for others."""
    return {**result, "cacheScope": "private"} if "cacheScope" in result else result


def _named(what: str, names: Collection[str]) -> str:
    return f"{what} {', '.join(sorted(names))}" if names else ""
