"""What an agent publishes: its DID documents, what ties them to the domain, its card, status lists.

Source: protocol-spec/03-connection.md, section 3.6
"""

from __future__ import annotations

from typing import Any

from undersigned.encoding import canonicalize, digest_bytes
from undersigned.errors import ConfigurationError
from undersigned.runtime import LIST_TTL_SECONDS, Agent, GathererLimits, LinkageDesk, StatusRegister

from .answers import Document

__all__ = ["Published", "check_card"]


class Published:
    """What one agent publishes, by path. `register` has its organisation's status lists."""

    def __init__(self, agent: Agent, register: StatusRegister | None) -> None:
        self._agent, self._register = agent, register
        self._linkage = LinkageDesk(agent.home, agent.own, agent.organisation)

    def document(self, path: str) -> Document | None:
        """What is at `path`; None if there is nothing.

        Raises:
            ConfigurationError: `key_unavailable`: it has to be signed and cannot be.
            LedgerError: The register cannot be read.
        """
        agent = self._agent
        if path == "/.well-known/did.json" and agent.own.id.startswith("did:web:"):
            return Document(agent.own.raw, "application/did+json", 60)
        if path == "/.well-known/did.jsonl" and agent.own_log is not None:
            return Document(agent.own_log, "text/jsonl", 60)
        organisation = agent.organisation
        if organisation is not None and path == "/org/did.json" and organisation.id.startswith("did:web:"):
            return Document(organisation.raw, "application/did+json", 60)
        if (
            path == "/.well-known/did-configuration.json"
            and (tied := self._linkage.served(agent.clock.now())) is not None
        ):
            return Document(tied, "application/json", 60)
        if path == "/.well-known/agent-card.json":
            return Document(canonicalize(card_of(agent)), "application/json", 60)
        if path.startswith("/status/") and self._register is not None:
            raw = self._register.served(path, agent.clock.now())
            if raw is not None:
                return Document(raw, "application/vc", LIST_TTL_SECONDS, f'"{digest_bytes(raw)}"')
        return None


def card_of(agent: Agent) -> dict[str, Any]:
    """What is published about this agent: who it is, where it listens, what it does."""
    return {
        "name": agent.home.configuration.name,
        "did": agent.own.id,
        "url": agent.url,
        "protocol": "hire.v1",
        "suites": [agent.identity.suite],
        "tasks": [
            {
                "task": service.task,
                "summary": service.summary,
                "price": {"amount": service.price.amount, "currency": service.price.currency},
                "capacity": service.capacity,
            }
            for service in agent.services.values()
        ],
    }


def check_card(agent: Agent) -> None:
    """Returns if others would take its card; a longer one looks to them like none.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    size, most = len(canonicalize(card_of(agent))), GathererLimits().document_bytes
    if size > most:
        raise ConfigurationError(
            "bad_configuration",
            f"the agent card, which says what is offered, has {size} bytes, and others take {most}: shorten the "
            "summaries of the offers, or offer less",
        )
