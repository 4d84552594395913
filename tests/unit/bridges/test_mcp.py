"""What passes between an MCP client and a server, message by message."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from undersigned.bridges.mcp import MAX_OPEN, VERSIONS, Dropped, Exchange, ToClient, ToServer
from undersigned.bridges.mcp_answers import REFUSAL
from undersigned.bridges.mcp_rules import Rules
from undersigned.errors import FormatError, ScopeError

RULES = Rules.from_toml(
    {
        "tool": [
            {
                "name": "git_log",
                "action": "repo:log",
                "target": "https://git.acme.example/{repo}",
                "arguments": {"repo": {}, "max_count": {"max": 9}},
                "amounts": {"commits": "{max_count}"},
            },
            {"name": "git_push", "action": "repo:push", "target": "https://git.acme.example/app"},
        ],
        "method": [
            {"name": "resources/read", "action": "doc:read", "target": "{uri}", "arguments": {"uri": {}}},
            {"name": "prompts/get", "action": "prompt:get", "target": "https://git.acme.example/prompts"},
        ],
    }
)
ACTIONS = ("repo:log", "doc:read")
CALL = {"name": "git_log", "arguments": {"repo": "app", "max_count": 3}}
META = "io.modelcontextprotocol/"


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(RULES, ACTIONS)


def request(method: str, params: object = None, id: object = 1, **more: object) -> bytes:
    message = {"jsonrpc": "2.0", "id": id, "method": method, **more}
    return json.dumps(message if params is None else {**message, "params": params}).encode()


def asked(exchange: Exchange, method: str, params: object = None, id: object = 1) -> None:
    """A request that was let in."""
    step = exchange.from_client(request(method, params, id))
    assert isinstance(step, ToServer)
    exchange.let_in(step)


def result(value: object, id: object = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": value}).encode()


def error_of(step: object) -> dict[str, Any]:
    assert isinstance(step, ToClient), step
    return json.loads(step.raw)["error"]


def test_a_call_of_a_contracted_tool_asks_for_its_action(exchange: Exchange) -> None:
    """HIRE-MCP-04, HIRE-MCP-06."""
    step = exchange.from_client(request("tools/call", CALL))
    assert isinstance(step, ToServer)
    assert step.asks is not None
    assert (step.asks.name, step.asks.target) == ("repo:log", "https://git.acme.example/app")
    assert step.asks.amounts == {"commits": "3"}
    assert json.loads(step.raw)["params"] == CALL
    exchange.let_in(step, "permit")
    answer = exchange.from_server(result({"content": []}))
    assert isinstance(answer, ToClient)
    assert (answer.answers, answer.permit) == (1, "permit")


@pytest.mark.parametrize("method", ["initialize", "server/discover", "ping", "tools/list"])
def test_what_a_client_needs_to_begin_passes_without_asking(exchange: Exchange, method: str) -> None:
    """HIRE-MCP-01."""
    step = exchange.from_client(request(method, {}))
    assert isinstance(step, ToServer)
    assert step.asks is None


@pytest.mark.parametrize(
    "method",
    [
        *("resources/list", "resources/subscribe", "prompts/list", "prompts/get", "completion/complete"),
        *("logging/setLevel", "sampling/createMessage", "roots/list", "elicitation/create", "tasks/result"),
        *("subscriptions/listen", "tools/Call", "Tools/call", "tools/call ", "tools//call", "rpc.discover", ""),
    ],
)
def test_other_methods_are_refused(exchange: Exchange, method: str) -> None:
    """HIRE-MCP-01: one that rules map to an action that no grant names, as well."""
    step = exchange.from_client(request(method, {}))
    error = error_of(step)
    assert error["code"] == -32601
    assert error["data"][REFUSAL]["code"] == "scope_exceeded"
    assert isinstance(step, ToClient)
    assert step.refused is not None


def test_a_method_that_rules_map_is_an_action(exchange: Exchange) -> None:
    """HIRE-MCP-01."""
    step = exchange.from_client(request("resources/read", {"uri": "https://docs.acme.example/a"}))
    assert isinstance(step, ToServer)
    assert step.asks is not None
    assert step.asks.name == "doc:read"
    refused = exchange.refuse(step, ScopeError("scope_exceeded", "no", clause="docs", would_pass="another"))
    assert error_of(refused)["data"][REFUSAL] == {"code": "scope_exceeded", "clause": "docs", "wouldPass": "another"}


@pytest.mark.parametrize("tool", ["git_push", "git_commit"])
def test_a_tool_that_is_not_under_contract_is_unknown(exchange: Exchange, tool: str) -> None:
    """HIRE-MCP-02: whether the server has it is not told."""
    error = error_of(exchange.from_client(request("tools/call", {"name": tool})))
    assert (error["code"], error["message"]) == (-32602, "Unknown tool (scope_exceeded)")
    assert error["data"][REFUSAL]["wouldPass"] == "tool git_log"


@pytest.mark.parametrize("modern", [False, True])
def test_a_refusal_is_a_result_that_names_its_clause(exchange: Exchange, modern: bool) -> None:
    """HIRE-MCP-05: with what would pass, and nothing of our own reasons."""
    meta = {"_meta": {META + "protocolVersion": "2026-07-28"}} if modern else {}
    step = exchange.from_client(request("tools/call", {**CALL, **meta}))
    assert isinstance(step, ToServer)
    error = ScopeError("scope_exceeded", "secret reason", clause="read-log", would_pass="commits up to 2")
    refused = exchange.refuse(step, error)
    told = json.loads(refused.raw)["result"]
    assert told["isError"] is True
    assert told["_meta"][REFUSAL] == {"code": "scope_exceeded", "clause": "read-log", "wouldPass": "commits up to 2"}
    assert "read-log" in told["content"][0]["text"]
    assert "commits up to 2" in told["content"][0]["text"]
    assert "secret" not in refused.raw.decode()
    assert told.get("resultType") == ("complete" if modern else None)
    assert not exchange.open


def test_arguments_outside_the_rules_are_refused_before_anybody_is_asked(exchange: Exchange) -> None:
    """HIRE-MCP-03, HIRE-MCP-05."""
    step = exchange.from_client(request("tools/call", {"name": "git_log", "arguments": {"repo": "a", "max_count": 10}}))
    assert isinstance(step, ToClient)
    told = json.loads(step.raw)["result"]["_meta"][REFUSAL]
    assert told == {
        "code": "scope_exceeded",
        "clause": "rules",
        "wouldPass": "argument max_count a whole number from 0 to 9",
    }


def test_the_client_can_do_nothing_for_the_server(exchange: Exchange) -> None:
    """HIRE-MCP-07: so a server that keeps to the protocol asks it for nothing."""
    able = {"sampling": {}, "elicitation": {}, "roots": {}}
    begun = exchange.from_client(request("initialize", {"protocolVersion": "2025-06-18", "capabilities": able}))
    assert isinstance(begun, ToServer)
    assert json.loads(begun.raw)["params"]["capabilities"] == {}
    meta = {META + "clientCapabilities": able, META + "logLevel": "debug", "progressToken": 7, "x": 1}
    listed = exchange.from_client(request("tools/list", {"_meta": meta}, id=2))
    assert isinstance(listed, ToServer)
    assert json.loads(listed.raw)["params"]["_meta"] == {META + "clientCapabilities": {}, "progressToken": 7}


def test_of_the_server_only_what_passes_is_announced(exchange: Exchange) -> None:
    """HIRE-MCP-07: and the list of tools is of those under contract."""
    asked(exchange, "initialize", {"protocolVersion": "2025-06-18"})
    offers = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}, "logging": {}, "completions": {}}
    step = exchange.from_server(result({"protocolVersion": "2025-06-18", "capabilities": offers, "serverInfo": {}}))
    assert isinstance(step, ToClient)
    assert json.loads(step.raw)["result"]["capabilities"] == {"tools": {"listChanged": True}, "resources": {}}
    asked(exchange, "tools/list")
    tools = [{"name": "git_log"}, {"name": "git_push"}, {"name": "Git_Log"}, {"name": 5}, "git_log"]
    step = exchange.from_server(result({"tools": tools, "cacheScope": "public", "nextCursor": "c"}))
    assert isinstance(step, ToClient)
    assert json.loads(step.raw)["result"] == {
        "tools": [{"name": "git_log"}],
        "cacheScope": "private",
        "nextCursor": "c",
    }


@pytest.mark.parametrize("version", ["2027-01-01", "", 1, None, {}, ["2025-06-18"]])
def test_only_known_revisions_are_spoken(exchange: Exchange, version: object) -> None:
    """HIRE-MCP-01: another one may give a message another meaning."""
    asked(exchange, "initialize", {"protocolVersion": "2025-06-18"})
    assert error_of(exchange.from_server(result({"protocolVersion": version})))["code"] == -32603
    step = exchange.from_client(request("tools/list", {"_meta": {META + "protocolVersion": version}}))
    assert error_of(step)["data"]["code"] == "version_not_supported"
    assert len(VERSIONS) == 5


def test_a_request_without_an_answer_gets_one(exchange: Exchange) -> None:
    """HIRE-MCP-06: once, and what the server says later is nobody's."""
    exchange.from_client(request("tools/call", CALL))
    failed = exchange.fail(1, "timeout")
    assert error_of(failed)["data"]["code"] == "timeout"
    assert exchange.fail(1, "timeout") is None
    assert exchange.permit(1) is None
    assert isinstance(exchange.from_server(result({"content": []})), Dropped)


@pytest.mark.parametrize("early", [result({"content": []}), result({"n": 2**60})])
def test_what_was_not_let_in_yet_cannot_be_answered(exchange: Exchange, early: bytes) -> None:
    """HIRE-MCP-08: a server that guesses the ids of its client answers before the peer was asked."""
    step = exchange.from_client(request("tools/call", CALL))
    assert isinstance(step, ToServer)
    with suppress(FormatError):
        assert isinstance(exchange.from_server(early), Dropped)
    exchange.let_in(step, "permit")
    answer = exchange.from_server(result({"content": []}))
    assert isinstance(answer, ToClient)
    assert (answer.answers, answer.permit) == (1, "permit")


def test_open_requests_are_counted(exchange: Exchange) -> None:
    """HIRE-MCP-08."""
    for id in range(MAX_OPEN):
        asked(exchange, "ping", id=id)
    assert error_of(exchange.from_client(request("ping", id="one more")))["data"]["code"] == "overloaded"
    exchange.from_server(result({}, id=0))
    assert isinstance(exchange.from_client(request("ping", id="one more")), ToServer)


@pytest.mark.parametrize(
    "answer", [{"result": {}, "error": {"code": 1, "message": "x"}}, {}, {"result": 1}, {"error": 1}]
)
def test_what_is_an_answer_and_a_failure_or_neither_is_not_given(exchange: Exchange, answer: dict[str, Any]) -> None:
    """HIRE-MCP-08: of two that read it, one would take it for the one, and one for the other."""
    asked(exchange, "ping")
    given = error_of(exchange.from_server(json.dumps({"jsonrpc": "2.0", "id": 1, **answer}).encode()))
    assert given == {"code": -32603, "message": "the server's answer cannot be given"}


@pytest.mark.parametrize("id", ["x" * 128, "", 0, -1])
def test_an_id_is_text_or_a_whole_number(exchange: Exchange, id: object) -> None:
    asked(exchange, "ping", id=id)
    assert isinstance(exchange.from_server(result({}, id=id)), ToClient)


@pytest.mark.parametrize("id", ["x" * 129, True, None, 1.5, [1]])
def test_what_is_no_id_is_refused(exchange: Exchange, id: object) -> None:
    assert error_of(exchange.from_client(request("ping", id=id)))["code"] in (-32600, -32700)


@pytest.mark.parametrize(("method", "recorded"), [("tools/call", True), ("x", True), ("notifications/x", False)])
def test_a_call_without_an_id_is_a_refusal_and_another_notification_is_none(
    exchange: Exchange, method: str, recorded: bool
) -> None:
    """HIRE-MCP-07: neither passes; that somebody tried to have something done is recorded."""
    step = exchange.from_client(json.dumps({"jsonrpc": "2.0", "method": method}).encode())
    assert isinstance(step, Dropped)
    assert (step.refused is not None) == recorded


def test_a_notification_that_the_gate_turns_away_is_dropped_and_ends_no_request(exchange: Exchange) -> None:
    """HIRE-MCP-07: nothing answers it; what is open is answered as before."""
    asked(exchange, "tools/list")
    step = exchange.from_client(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode())
    assert isinstance(step, ToServer)
    error = ScopeError("contract_expired", "it is over", clause="contract")
    assert exchange.refuse(step, error) == Dropped("notifications/initialized is not let in", error)
    assert isinstance(exchange.from_server(result({"tools": []})), ToClient)


@pytest.mark.parametrize("id", [None, 1.5, True, [1], "x" * 129])
def test_a_request_of_the_server_whose_id_is_none_is_not_answered(exchange: Exchange, id: object) -> None:
    """HIRE-MCP-07: an answer could name no request of its."""
    assert isinstance(exchange.from_server(request("sampling/createMessage", {}, id)), Dropped)


def test_progress_and_change_pass_and_nothing_else_is_told(exchange: Exchange) -> None:
    """HIRE-MCP-07."""

    def told(method: str) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "method": method, "params": {"a": 1.5}}).encode()

    for method in ("notifications/progress", "notifications/tools/list_changed"):
        assert isinstance(exchange.from_server(told(method)), ToClient)
    for method in ("notifications/message", "notifications/resources/updated", "tools/call", "x"):
        assert isinstance(exchange.from_server(told(method)), Dropped)


def test_an_answer_that_cannot_be_read_is_an_error_at_once(exchange: Exchange) -> None:
    """HIRE-MCP-08: a number past what every language holds, say."""
    step = exchange.from_client(request("tools/call", CALL))
    assert isinstance(step, ToServer)
    exchange.let_in(step, "permit")
    answer = exchange.from_server(result({"structuredContent": {"nanoseconds": 2**60}}))
    assert error_of(answer)["data"]["code"] == "number_out_of_range"
    assert isinstance(answer, ToClient)
    assert (json.loads(answer.raw)["id"], answer.answers, answer.permit) == (1, 1, "permit")
    for line in (b"Listening...", b"[]", b'{"id":1}', result({"n": 2**60}, id=9)):
        with pytest.raises(FormatError):
            exchange.from_server(line)
