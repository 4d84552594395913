"""Where commands listen, and the servers that they are told of: what is no such place is refused before anything is
done.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.cli.running import files, run

GATE = ("gate", "--rules", "RULES", "--upstream", "http://127.0.0.1:1")
MCP_GATE = ("mcp-gate", "--rules", "RULES", "--upstream", "http://127.0.0.1:1/mcp", "--peer", "http://127.0.0.1:1")
CONFORM = ("conform", "ws://localhost:1/hire", "--local", "--wait", "0.1")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "acme", "--local", "--port", 8109).code == 0
    return tmp_path / "acme"


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://", "ftp://127.0.0.1", "127.0.0.1:9", "http://u:p@127.0.0.1:9/", "http://127.0.0.1:9/?x"),
        *("http://127.0.0.1:9/#f", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://127.0.0.1:-1/"),
        *("http://[::1/", "http://a b/", "http://a..b/", f"http://{'x' * 64}.example/", "http://℀.com/"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        (*GATE, "--peer", "http://127.0.0.1:1", "--upstream"),
        (*GATE, "--peer"),
        (*MCP_GATE, "--upstream"),
        (*MCP_GATE, "--peer"),
        (*MCP_GATE, "--public"),
        (*CONFORM, "--reached-at"),
        (*CONFORM, "--role", "hirer", "--hook"),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_a_server_that_nobody_reaches_is_refused_at_once(
    command: tuple[str, ...], url: str, home: Path, tmp_path: Path
) -> None:
    """A gate stood there and let nobody in, or it ended in a defect of ours; and made a token on the way."""
    rules = tmp_path / "rules.toml"
    gate = 'origin = "https://api.acme.example"\n[[rule]]\nmethod = ["GET"]\npath = "/*"\naction = "a:b"\n'
    rules.write_text(
        gate if command[0] == "gate" else '[[tool]]\nname = "a"\naction = "a:b"\ntarget = "https://a.example"\n'
    )
    before = files(home)
    line = (str(rules) if word == "RULES" else word for word in command)
    ran = run(*line, url, "--home", home, "--json")
    assert files(home) == before
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    if url:
        assert ran.error["message"].startswith(f"{command[-1]}: expected a URL such as http://127.0.0.1:8000")


@pytest.mark.parametrize("where", ["a..b:0", f"{'x' * 64}.example:0", "[::1:0", "::1]:0", "[]:0", "nowhere.invalid:0"])
def test_a_place_to_listen_that_is_none_is_refused(where: str, tmp_path: Path) -> None:
    """A host that is no name ended in a defect of ours, and half a bracket was none."""
    (tmp_path / "registry.toml").touch()
    ran = run("registry", "serve", "--file", tmp_path / "registry.toml", "--listen", where, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    home = tmp_path / "acme"
    assert run("init", home, "--domain", "agents.example.com").code == 0
    settings = home / "undersigned.toml"
    settings.write_text(settings.read_text().replace('host = "127.0.0.1"', f'host = "{where[:-2]}"'))
    ran = run("serve", "--home", home, "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert "cannot listen on" in ran.error["message"]
