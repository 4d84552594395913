"""Where commands beside the peer listen: `--listen` of `gate`, `mcp-gate` and `witness serve`."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.cli.running import Ran, run

PEER = "did:web:localhost%3A9"
REQUESTS = 'origin = "http://localhost:1"\n[[rule]]\nmethod = "GET"\npath = "/a"\naction = "repo:read"\n'
TOOLS = '[[tool]]\nname = "look"\naction = "repo:read"\ntarget = "https://git.acme.example/app"\n'


def listening(tmp_path: Path, at: str, command: str, *made: object) -> Ran:
    """What a command says that is to listen there, for a state folder made so; there is neither a peer nor a server."""
    home, rules = tmp_path / "acme", tmp_path / "rules.toml"
    assert run("init", home, *made).code == 0
    rules.write_text(TOOLS if command == "mcp-gate" else REQUESTS)
    server = "http://127.0.0.1:1/mcp" if command == "mcp-gate" else "http://127.0.0.1:1"
    named = ("--upstream", server, "--rules", rules, "--peer", "http://127.0.0.1:1")
    words = ("witness", "serve", "--log", PEER) if command == "witness" else (command, *named)
    return run(*words, "--listen", at, "--home", home, "--json")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "example.com"])
@pytest.mark.parametrize("command", ["gate", "mcp-gate", "witness"])
def test_what_listens_for_local_state_listens_on_this_machine(host: str, command: str, tmp_path: Path) -> None:
    """HIRE-DID-06, the exception: without TLS, for this machine only."""
    ran = listening(tmp_path, f"{host}:0", command, "--local")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "is a local state folder: expected 127.0.0.1, got" in ran.error["message"]


def test_a_gate_that_listens_everywhere_is_told_by_which_url_it_is_called(tmp_path: Path) -> None:
    """Clients sign the URL that they call, and nobody calls 0.0.0.0: each would be refused."""
    ran = listening(tmp_path, "0.0.0.0:0", "mcp-gate", "--url", "https://acme.example")
    assert (ran.code, "goes with --public" in ran.error["message"]) == (2, True)
