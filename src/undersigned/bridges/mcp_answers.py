"""What the gate answers in an MCP server's place, and how a refusal is told.

A refused call of a tool is a result with `isError`, as the protocol has it for what the model that called can mend;
anything else is an error of JSON-RPC. Either tells the code, the clause and what would pass: no more than what follows
from the contract that its reader signed, and from the rules.

Source: protocol-spec/15-mcp-gate.md, section 15.4
"""

from __future__ import annotations

from typing import Final, TypeAlias, cast

import msgspec

from undersigned.encoding import JsonObject, JsonValue
from undersigned.errors import ScopeError

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "REFUSAL",
    "RequestId",
    "error_answer",
    "notification",
    "refusal_answer",
    "refusal_error",
]

RequestId: TypeAlias = "str | int"

REFUSAL: Final = "org.w3id.hire/refusal"
"""Member of `_meta` in a refused result, and of `data` in an error: code, clause, and what would pass."""
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603


def told_refusal(error: ScopeError) -> dict[str, str]:
    """What the client is told of a refusal: what the contract that it signed says, and nothing of our reasons."""
    return {"code": error.code, "clause": error.clause, "wouldPass": error.would_pass}


def refusal_error(id: RequestId | None, number: int, message: str, error: ScopeError) -> bytes:
    """The JSON-RPC error of a refusal."""
    data = {REFUSAL: told_refusal(error)}
    told = {"code": number, "message": f"{message} ({error.code})", "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "error": told})


def error_answer(id: JsonValue, number: int, message: str, code: str = "schema_violation") -> bytes:
    """The JSON-RPC error of what cannot be read, or cannot be done."""
    error = {"code": number, "message": message, "data": {"code": code}}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "error": error})


def notification(method: str, params: JsonObject) -> bytes:
    """A message that nobody answers."""
    said: JsonObject = {"jsonrpc": "2.0", "method": method}
    return msgspec.json.encode({**said, "params": params} if params else said)


def refusal_answer(id: RequestId, error: ScopeError, *, tool: bool, modern: bool) -> bytes:
    """The answer to a call that the contract or the rules refuse; `modern` results say that they are complete."""
    if not tool:
        return refusal_error(id, INVALID_PARAMS, "Refused", error)
    told = told_refusal(error)
    would = f"Would pass: {told['wouldPass']}." if told["wouldPass"] else "Nothing would pass."
    text = f"Refused by the contract: {told['code']}, clause {told['clause']}. {would}"
    result: JsonObject = {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "_meta": {REFUSAL: cast(JsonValue, told)},
    }
    if modern:
        result["resultType"] = "complete"
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "result": result})
