"""Trust registries: what is asked, which answers are answers, and what a small registry says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from parties import NOW, Party
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import CredentialError, FormatError, UndersignedError
from undersigned.trust import (
    Anchors,
    AuthorityStatement,
    Edge,
    Graph,
    Registry,
    RegistryAsk,
    StatementFile,
    Viewpoint,
    answer,
    answer_query,
    authority,
    beside,
    read_answer,
    recognition_asks,
    registry_asks,
)

GUILD, UNION, BODY, ISSUER = (Party(name).did for name in ("guild", "union", "body", "issuer"))
REGISTRY = Registry(url="https://registry.example/trqp", authorities=(GUILD, UNION))
OTHER = Registry(url="https://other.example", authorities=(BODY,), action="attest", max_age_seconds=60)
ASK = RegistryAsk(REGISTRY, "authorization", ISSUER, GUILD, "sbom")
RECOGNITION = RegistryAsk(REGISTRY, "recognition", UNION, GUILD, "sbom")


def said(ask: RegistryAsk = ASK, **changes: Any) -> bytes:
    verdict = "authorized" if ask.kind == "authorization" else "recognized"
    body = json.loads(ask.body) | {verdict: True, "time_evaluated": NOW} | changes
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def test_what_is_asked() -> None:
    """HIRE-REG-01. Each authority about the issuer, and once it may lead there, about each other one."""
    asks = registry_asks(ISSUER, "EndorsementCredential", "sbom", [REGISTRY, OTHER])
    assert {(one.kind, one.authority, one.entity) for one in asks} == {
        ("authorization", one, ISSUER) for one in (GUILD, UNION, BODY)
    }
    assert [one.registry for one in asks if one.authority == BODY] == [OTHER]
    assert {one.resource for one in asks} == {"sbom"}
    assert ASK.url == "https://registry.example/trqp/authorization"
    assert json.loads(ASK.body) == {"entity_id": ISSUER, "authority_id": GUILD, "action": "issue", "resource": "sbom"}
    assert {json.loads(one.body)["action"] for one in asks if one.registry is OTHER} == {"attest"}
    assert {one.resource for one in registry_asks(ISSUER, "EndorsementCredential", None, [REGISTRY])} == {
        "EndorsementCredential"
    }
    assert registry_asks(ISSUER, "EndorsementCredential", "sbom", []) == ()
    assert {one.authority for one in registry_asks(GUILD, "EndorsementCredential", "sbom", [REGISTRY])} == {UNION}

    yes, no = read_answer(said(), ASK, NOW), read_answer(said(authorized=False), ASK, NOW)
    pairs = {
        ("recognition", one, other) for one in (GUILD, UNION, BODY) for other in (GUILD, UNION, BODY) if one != other
    }
    for issuer, answers in ((ISSUER, [no, yes]), (GUILD, [no]), (GUILD, [])):
        then = recognition_asks(issuer, answers, "sbom", [REGISTRY, OTHER])
        assert {(one.kind, one.authority, one.entity) for one in then} == pairs
        assert len(then) == len(pairs)
        assert [one.registry for one in then if one.authority == BODY] == [OTHER, OTHER]
    assert recognition_asks(ISSUER, [no], "sbom", [REGISTRY, OTHER]) == ()
    assert recognition_asks(ISSUER, [], "sbom", [REGISTRY, OTHER]) == ()


def test_a_yes_is_an_edge_for_its_time() -> None:
    """HIRE-REG-02, HIRE-REG-03."""
    raw = said()
    found = read_answer(raw, ASK, NOW)
    until = shift(NOW, 300)
    assert (found.yes, found.evaluated, found.until, found.digest) == (True, NOW, until, digest_bytes(raw))
    assert found.edge == Edge(found.digest, GUILD, ISSUER, "authority", "sbom", 0, valid_until=until)
    edge = read_answer(said(RECOGNITION), RECOGNITION, NOW).edge
    assert edge is not None
    assert (edge.source, edge.target, edge.depth, edge.weight) == (GUILD, UNION, 1, 0)
    assert read_answer(said(authorized=False), ASK, NOW).edge is None


GOOD: dict[str, dict[str, Any]] = {
    "with a message": {"message": "It is."},
    "with its time": {"time_requested": NOW, "context": {"time": NOW}},
    "with no time": {"time_requested": "", "context": {}},
    "an offset of nothing": {"time_evaluated": NOW.replace("Z", "+00:00")},
    "parts of a second": {"time_evaluated": NOW.replace("Z", ".999999Z")},
    "as old as it may be": {"time_evaluated": shift(NOW, -300)},
    "as far ahead as it may be": {"time_evaluated": shift(NOW, 60)},
}
BAD: dict[str, dict[str, Any]] = {
    "another entity": {"entity_id": GUILD},
    "another authority": {"authority_id": UNION},
    "another action": {"action": "verify"},
    "another resource": {"resource": "audit"},
    "no entity": {"entity_id": ...},
    "no time": {"time_evaluated": ...},
    "no verdict": {"authorized": ...},
    "the other verdict": {"authorized": ..., "recognized": True},
    "both verdicts": {"recognized": True},
    "a text for a verdict": {"authorized": "true"},
    "a number for a verdict": {"authorized": 1},
    "null for a verdict": {"authorized": None},
    "a member more": {"unless": "revoked"},
    "a condition": {"context": {"time": NOW, "region": "EU"}},
    "too old": {"time_evaluated": shift(NOW, -301)},
    "too far ahead": {"time_evaluated": shift(NOW, 61)},
    "about another time": {"time_requested": "2025-06-19T11:30:00Z"},
    "in the context of another time": {"context": {"time": "2027-06-19T11:30:00Z"}},
    "another zone": {"time_evaluated": NOW.replace("Z", "+01:00")},
    "no zone": {"time_evaluated": NOW.removesuffix("Z")},
    "no day": {"time_evaluated": "2026-02-30T00:00:00Z"},
    "no time at all": {"time_evaluated": "now"},
    "too long": {"message": "x" * 20_000},
}


@pytest.mark.parametrize("name", GOOD)
def test_answers(name: str) -> None:
    """HIRE-REG-02, HIRE-REG-03."""
    found = read_answer(said(**GOOD[name]), ASK, NOW)
    assert found.edge is not None
    assert found.edge.counts(NOW)
    assert found.until <= shift(NOW, 360)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_answer(name: str) -> None:
    """HIRE-REG-02, HIRE-REG-03, HIRE-REG-04."""
    with pytest.raises(CredentialError) as caught:
        read_answer(said(**BAD[name]), ASK, NOW)
    assert caught.value.code == "registry_unavailable"
    assert ASK.url in caught.value.message


@pytest.mark.parametrize("raw", [b"", b"yes", b"[]", b'{"authorized":true,"authorized":false}', b"\xff", b"{" * 5000])
def test_what_is_no_json_object(raw: bytes) -> None:
    """HIRE-REG-04."""
    with pytest.raises(CredentialError) as caught:
        read_answer(raw, ASK, NOW)
    assert caught.value.code == "registry_unavailable"


def test_an_answer_has_at_most_16_kib() -> None:
    """HIRE-REG-04."""
    assert read_answer(said().ljust(16_384), ASK, NOW).edge is not None
    with pytest.raises(CredentialError, match="expected at most 16384 bytes; came 16385"):
        read_answer(said().ljust(16_385), ASK, NOW)


def test_the_earliest_time_counts() -> None:
    """HIRE-REG-03."""
    found = read_answer(said(time_requested=shift(NOW, -200)), ASK, NOW)
    assert (found.evaluated, found.until) == (NOW, shift(NOW, 100))


def entitled(edges: list[Edge], stored: list[Edge], *anchors: str, now: str = NOW) -> bool:
    view = Viewpoint(anchors=Anchors.of(*anchors), now=now, refused=frozenset())
    read = beside(edges, Graph(stored).read)
    return answer(authority(ISSUER, "EndorsementCredential", "sbom", view), read).entitled


def edge_of(ask: RegistryAsk) -> Edge:
    found = read_answer(said(ask), ask, NOW).edge
    assert found is not None
    return found


def test_what_a_registry_says_makes_chains_with_what_is_stored() -> None:
    """HIRE-REG-01. It never makes a root; recognition reaches one authority further, and no further."""
    direct, recognised = edge_of(ASK), edge_of(RECOGNITION)
    by_union = edge_of(RegistryAsk(REGISTRY, "authorization", ISSUER, UNION, "sbom"))
    assert entitled([direct], [], GUILD)
    assert not entitled([direct], [], BODY)
    assert not entitled([direct], [])
    assert not entitled([direct], [], GUILD, now=shift(NOW, 301))
    assert entitled([recognised, by_union], [], GUILD)
    assert not entitled([by_union], [], GUILD)
    stored = Edge(digest_bytes(b"one"), BODY, GUILD, "authority", "sbom", 1)
    assert entitled([direct], [stored], BODY)
    # Two recognitions: the second may attest, and authorises nobody.
    onward = replace(recognised, source=UNION, target=BODY, digest=digest_bytes(b"two"))
    last = replace(direct, source=BODY, digest=digest_bytes(b"three"))
    assert not entitled([recognised, onward, last], [], GUILD)
    assert entitled([recognised, replace(onward, target=ISSUER)], [], GUILD)


# -- the other side

KNOWN = StatementFile(
    authorization=(
        AuthorityStatement(authority=GUILD, entity=ISSUER, action="issue", resource="sbom"),
        AuthorityStatement(
            authority=GUILD,
            entity=UNION,
            action="issue",
            resource="sbom",
            valid_from="2026-01-01T00:00:00Z",
            valid_until="2026-06-30T23:59:59Z",
        ),
    ),
    recognition=(AuthorityStatement(authority=GUILD, entity=UNION, action="issue", resource="sbom"),),
)


def test_a_small_registry_answers_what_its_file_says() -> None:
    """HIRE-REG-06. What it says is what we read."""
    for ask in (ASK, RECOGNITION):
        body = json.dumps(answer_query(ask.kind, ask.body, KNOWN, NOW)).encode()
        assert read_answer(body, ask, NOW).yes
    other = replace_entity(ASK, BODY)
    assert not read_answer(json.dumps(answer_query("authorization", other.body, KNOWN, NOW)).encode(), other, NOW).yes


def replace_entity(ask: RegistryAsk, entity: str) -> RegistryAsk:
    return ask._replace(entity=entity)


@pytest.mark.parametrize(
    ("time", "yes"),
    [
        ("", False),
        ("2025-12-31T23:59:59Z", False),
        ("2026-01-01T00:00:00Z", True),
        ("2026-06-30T23:59:59.999Z", True),
        ("2026-07-01T00:00:00+00:00", False),
    ],
)
def test_at_a_time(time: str, yes: bool) -> None:
    """HIRE-REG-06."""
    query = json.loads(replace_entity(ASK, UNION).body) | ({"context": {"time": time}} if time else {})
    found = answer_query("authorization", json.dumps(query).encode(), KNOWN, NOW)
    assert (found["authorized"], found["time_evaluated"]) == (yes, NOW)
    assert (found.get("time_requested"), found.get("context")) == ((time, {"time": time}) if time else (None, None))


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], Any], type[UndersignedError]]] = {
    "no authority": (lambda query: query.pop("authority_id"), FormatError),
    "an empty action": (lambda query: query.update(action=""), FormatError),
    "a number": (lambda query: query.update(resource=7), FormatError),
    "a member more": (lambda query: query.update(region="EU"), FormatError),
    "a condition": (lambda query: query.update(context={"region": "EU"}), FormatError),
    "a condition of another type": (lambda query: query.update(context={"time": 7}), FormatError),
    "no time": (lambda query: query.update(context={"time": "tomorrow"}), FormatError),
    "another zone": (lambda query: query.update(context={"time": "2026-01-01T00:00:00+02:00"}), FormatError),
    "an unknown authority": (lambda query: query.update(authority_id=BODY), CredentialError),
    "an unknown action": (lambda query: query.update(action="verify"), CredentialError),
    "an unknown resource": (lambda query: query.update(resource="audit"), CredentialError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_queries_that_are_not_answered(name: str) -> None:
    """HIRE-REG-06. A condition that is not understood is not left out."""
    change, error = REFUSED[name]
    query = json.loads(ASK.body)
    change(query)
    with pytest.raises(error):
        answer_query("authorization", json.dumps(query).encode(), KNOWN, NOW)
