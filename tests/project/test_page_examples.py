"""What pages of the specification show people to write is taken by the program that they are about.

Examples of messages and credentials are written by the program; those about policy are run with its command.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from support import ROOT
from undersigned.bridges.mcp_rules import Rules
from undersigned.interop.expected import read_expected
from undersigned.runtime import Home
from undersigned.scope import Labels, Scope, attenuate, compile_scope, read_scope
from undersigned.trust import established, read_establishment

SPEC = ROOT / "protocol-spec"


def blocks(page: str, language: str) -> list[str]:
    """The examples in a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (SPEC / page).read_text(), re.MULTILINE | re.DOTALL)


def test_a_scope_as_people_write_it() -> None:
    """Page 06: it can be signed, reads as it was written, and lies inside itself."""
    text, _ = blocks("06-scope.md", "toml")
    scope = Scope.from_toml(tomllib.loads(text)["scope"])
    assert [(grant.id, grant.approval) for grant in scope.grants] == [("order", True), ("read-input", False)]
    assert read_scope(compile_scope(scope, "urn:hire:sketch")) == scope
    assert attenuate(scope, scope) == scope


def test_labels() -> None:
    """Page 06, section 6.7: the first rule that matches decides, and what nobody names is the most sensitive."""
    _, text = blocks("06-scope.md", "toml")
    labels = Labels.from_toml(tomllib.loads(text))
    assert labels.facts("https://acme.example/press/a")["dataClass"] == "public"
    assert labels.facts("https://acme.example/customers/a") == {"dataClass": "restricted", "egress": "none"}
    assert labels.facts("https://acme.example/other")["dataClass"] == "restricted"


def test_rules_of_a_gate_for_tools() -> None:
    """Page 15: one call is one action."""
    (text,) = blocks("15-mcp-gate.md", "toml")
    (rule,) = Rules.from_toml(tomllib.loads(text)).tools.values()
    action = rule.action_of({"repo_path": "/srv/git/app", "max_count": 7})
    assert (action.name, action.target, action.amounts) == (
        "repo:log",
        "https://git.acme.example/srv/git/app",
        {"commits": "7"},
    )


def test_a_trust_establishment_document() -> None:
    """Page 12, section 12.12: one edge."""
    (text,) = blocks("12-trust.md", "json")
    (edge,) = established(read_establishment(json.loads(text))).edges
    assert (edge.kind, edge.source, edge.target) == ("authority", "did:web:guild.example", "did:web:acme.example")
    assert (edge.capability, edge.depth) == ("sbom", 0)


def test_settings_of_a_state_folder(tmp_path: Path) -> None:
    """The page about settings."""
    (text,) = blocks("settings.md", "toml")
    (tmp_path / "undersigned.toml").write_text(text)
    configuration = Home(tmp_path).configuration
    assert (configuration.name, configuration.policy.max_price) == ("Acme", "100")
    assert [rule.name for rule in configuration.policy.rule] == ["audited work"]


def test_what_is_expected_to_fail(tmp_path: Path) -> None:
    """The page about the harness."""
    (text,) = blocks("harness.md", "toml")
    file = tmp_path / "expected.toml"
    file.write_text(text)
    assert read_expected(file) == {"reconnect-in-doubt": "the outbox is lost with the process"}
