"""A domain and a DID that name each other: what ties them, and what looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from histories import document_at
from parties import NOW, Party
from undersigned.credentials import (
    build_linkage,
    check_origin,
    credential_config,
    credential_jwt,
    did_configuration,
    linked_origins,
    verify_linkage,
)
from undersigned.did import DidDocument
from undersigned.encoding import JsonObject, canonicalize
from undersigned.errors import CredentialError, UndersignedError

DID, ORIGIN = "did:web:acme.example", "https://acme.example"
KEY, STRANGER = Party("acme"), Party("mallory")
DOMAINS = {"id": f"{DID}#domains", "type": "LinkedDomains", "serviceEndpoint": ORIGIN}


def document(*services: JsonObject) -> DidDocument:
    return DidDocument(DID, canonicalize({**document_at(DID, KEY), "service": list(services)}))


def linkage(by: Party = KEY, *, without: tuple[str, ...] = (), **changes: Any) -> JsonObject:
    made = build_linkage(DID, ORIGIN, valid_from="2026-11-01T00:00:00Z", valid_until="2026-12-01T00:00:00Z")
    made = {name: value for name, value in (made | changes).items() if name not in without}
    return by.prove(made, credential_config("eddsa-jcs-2022", f"{DID}#{KEY.name}", NOW))


def verified(file: Any, *services: JsonObject) -> Any:
    held = document(*(services or (DOMAINS,)))
    return verify_linkage(canonicalize(file), origin=ORIGIN, document=held, now=NOW)


def refused(file: Any, *services: JsonObject) -> str:
    with pytest.raises(UndersignedError) as caught:
        verified(file, *services)
    return caught.value.code


@pytest.mark.parametrize(
    ("services", "origins"),
    [
        ([DOMAINS], (ORIGIN,)),
        ([DOMAINS | {"type": ["LinkedDomains", "Other"]}], (ORIGIN,)),
        ([DOMAINS | {"type": "Other"}], ()),
        ([DOMAINS | {"type": ["Other"]}], ()),
        ([DOMAINS | {"serviceEndpoint": {"origins": ["https://b.example", ORIGIN]}}], ("https://b.example", ORIGIN)),
        ([DOMAINS | {"serviceEndpoint": [ORIGIN, "https://b.example"]}], (ORIGIN, "https://b.example")),
        ([DOMAINS, DOMAINS | {"id": f"{DID}#again"}], (ORIGIN,)),
        ([DOMAINS | {"id": f"{DID}#other", "type": "Other"}, DOMAINS], (ORIGIN,)),
        ([], ()),
    ],
)
def test_a_did_names_origins_in_services_of_one_type(services: list[JsonObject], origins: tuple[str, ...]) -> None:
    """HIRE-LNK-01."""
    assert linked_origins(document(*services)) == origins


def test_both_name_each_other() -> None:
    """HIRE-LNK-01."""
    file = did_configuration([linkage()])
    assert verified(file).issuer == DID
    assert refused(file, DOMAINS | {"type": "Other"}) == "domain_not_linked"
    assert refused(did_configuration([linkage(STRANGER)])) == "proof_invalid"


@pytest.mark.parametrize("spelled", ["https://ACME.example", f"{ORIGIN}:443", f"{ORIGIN}/", f"{ORIGIN}."])
def test_another_spelling_is_another_origin(spelled: str) -> None:
    """HIRE-LNK-02: as text, on either side; and who wrote it so is not asked for a file."""
    assert refused(did_configuration([linkage()]), DOMAINS | {"serviceEndpoint": spelled}) == "domain_not_linked"
    said = linkage(credentialSubject={"id": DID, "origin": spelled})
    assert refused(did_configuration([said])) == "domain_not_linked"
    with pytest.raises(CredentialError, match="expected an origin such as"):
        check_origin(spelled)


def signed_text(**claims: Any) -> str:
    made = build_linkage(DID, ORIGIN, valid_from="2026-11-01T00:00:00Z", valid_until="2026-12-01T00:00:00Z")
    draft = credential_jwt(made | claims, f"{DID}#{KEY.name}", KEY.kind, NOW)
    return draft.signed(KEY.sign(draft.to_sign))


@pytest.mark.parametrize("claims", [{}, {"iss": DID}, {"sub": DID}, {"nbf": 1_793_491_200}, {"exp": 1_796_083_200}])
def test_a_signed_text_may_say_the_same_as_a_jwt(claims: dict[str, Any]) -> None:
    """HIRE-LNK-01: by whom, about whom, from when and until when."""
    assert verified(did_configuration([signed_text(**claims)])).issuer == DID


@pytest.mark.parametrize(
    "file",
    [
        [],
        {"@context": "https://www.w3.org/ns/credentials/v2", "linked_dids": [linkage()]},
        did_configuration([]),
        did_configuration([]) | {"linked_dids": {"one": linkage()}},
        did_configuration([]) | {"linked_dids": "text"},
        did_configuration([]) | {"linked_dids": None},
    ],
)
def test_what_is_no_such_file(file: Any) -> None:
    assert refused(file) == "schema_violation"


def test_a_file_says_nothing_beside() -> None:
    assert refused(did_configuration([linkage()]) | {"more": 1}) == "unknown_term"


@pytest.mark.parametrize(
    "entry",
    [
        linkage(type=["VerifiableCredential", "OtherCredential"]),
        linkage(credentialSubject={"id": DID, "origin": "https://b.example"}),
        linkage(credentialSubject=[{"id": DID, "origin": ORIGIN}] * 2),
        linkage(id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01"),
        linkage(without=("validFrom",)),
        linkage(without=("validUntil",)),
        linkage(issuer=STRANGER.did),
        linkage(issuer={"id": DID}),
        linkage(name="Acme's domain"),
        linkage(iss=DID),
        linkage(**{"@context": ["https://www.w3.org/ns/credentials/v2"]}),
        "a.b.c",
        7,
        None,
    ],
)
def test_what_ties_nothing_says_nothing_and_spoils_nothing(entry: Any) -> None:
    assert refused(did_configuration([entry])) in ("domain_not_linked", "schema_violation")
    assert verified(did_configuration([entry, linkage()])).issuer == DID


@pytest.mark.parametrize(
    ("text", "local", "taken"),
    [
        (ORIGIN, False, True),
        (f"{ORIGIN}:8443", False, True),
        ("http://localhost:8080", True, True),
        ("http://localhost:8080", False, False),
        ("http://acme.example", True, False),
        ("https://localhost", True, False),
        (f"{ORIGIN}/", False, False),
        (f"https://{'.'.join(['a' * 60] * 4)}.example", False, True),
        (f"https://{'.'.join(['a' * 60] * 5)}.example", False, False),
    ],
)
def test_an_origin_is_a_host_and_nothing_after_it(text: str, local: bool, taken: bool) -> None:
    """HIRE-LNK-02."""
    if taken:
        assert check_origin(text, local=local) == text
    else:
        with pytest.raises(CredentialError) as caught:
            check_origin(text, local=local)
        assert caught.value.code == "domain_not_linked"
