"""The view of a DID document: which key may do what, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from undersigned.did import DidDocument, make_document
from undersigned.did import document as document_module
from undersigned.encoding import base58_encode, digest_bytes
from undersigned.errors import VerificationError
from undersigned.keys import public_key_from_raw

DID = "did:web:acme.example"
OTHER = "did:web:other.example"
K1, K2 = (public_key_from_raw("Ed25519", bytes(SigningKey(seed * 32).verify_key)) for seed in (b"1", b"2"))


def method(name: str = "#k1", **more: object) -> dict:
    return {"id": DID + name, "type": "Multikey", "controller": DID, "publicKeyMultibase": K1.multikey, **more}


def without(entry: dict, *names: str, **more: object) -> dict:
    return {name: value for name, value in entry.items() if name not in names} | more


def view(**members: object) -> DidDocument:
    return DidDocument(DID, json.dumps({"id": DID, **members}).encode())


def signing(*entries: dict) -> DidDocument:
    names = [entry["id"] for entry in entries]
    return view(verificationMethod=[*entries], authentication=names, assertionMethod=names)


def code_of(use: object, *arguments: object, **options: object) -> str:
    with pytest.raises(VerificationError) as caught:
        use(*arguments, **options)
    assert len(str(caught.value)) < 600
    return caught.value.code


def test_published_document():
    """Its digest is that of the bytes as served (HIRE-DIG-02)."""
    services = [("HireService", "wss://acme.example/hire"), ("LinkedDomains", "https://acme.example")]
    made = make_document(
        DID, authentication={"key-1": K1}, assertion_method={"key-1": K1, "key-2": K2}, services=services
    )
    assert made["@context"] == ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
    assert [entry["type"] for entry in made["verificationMethod"]] == ["Multikey", "Multikey"]
    raw = json.dumps(made).encode()
    document = DidDocument(DID, raw)
    assert document.json == made
    assert document.raw_digest == digest_bytes(raw)
    assert document.methods("authentication") == (f"{DID}#key-1",)
    assert document.methods("assertionMethod") == (f"{DID}#key-1", f"{DID}#key-2")
    assert document.key_for(f"{DID}#key-2", "assertionMethod", now=None) == K2
    assert document.services("HireService") == ("wss://acme.example/hire",)
    assert document.services("Nothing") == ()


@pytest.mark.parametrize("end", [{}, {"revoked": "2026-01-01T00:00:00Z"}, {"expires": "2026-01-01T00:00:00Z"}])
def test_a_key_that_is_not_good_any_more_is_known_by_its_name_and_by_itself(end: dict[str, str]):
    """HIRE-KEY-08, HIRE-DID-03, HIRE-ATT-06: who revokes it still holds it, and what it signed may still be shown."""
    document = signing(method(**end))
    assert document.signs_by(K1)
    assert not document.signs_by(K2)
    assert document.changes_key(signing(method(publicKeyMultibase=K2.multikey))) == f"{DID}#k1"
    assert document.changes_key(signing(method())) is None


def test_what_is_listed_no_more_or_cannot_be_read_is_no_other_key_and_another_form_is_the_same():
    """HIRE-KEY-08."""
    one = signing(method())
    spelled = signing(without(method(), "publicKeyMultibase", type="JsonWebKey", publicKeyJwk=K1.jwk))
    left = view(verificationMethod=[method()], keyAgreement=[f"{DID}#k1"])
    unread = signing(method(publicKeyMultibase="z6Mk"))
    for other, same in ((spelled, True), (left, False), (unread, False)):
        for here, there in ((one, other), (other, one)):
            assert here.same_keys(there) is same
            assert here.changes_key(there) is None


def test_documents_of_many_keys_are_compared_without_decoding_them(monkeypatch: pytest.MonkeyPatch):
    """HIRE-KEY-08: one that names hundreds costs its publisher nothing, and is compared with each before it."""
    decoded: list[str] = []

    def key(entry: dict) -> object:
        decoded.append(entry["id"])
        return read(entry)

    read = document_module._key
    monkeypatch.setattr(document_module, "_key", key)
    one = signing(method("#a"), method("#b"))
    for other in (signing(method("#c"), method("#d")), signing(method("#b"), method("#a"))):
        assert one.changes_key(other) is None
    assert one.same_keys(signing(method("#b"), method("#a")))
    assert decoded == []
    for _ in range(3):
        assert not one.same_keys(signing(method("#a")))
        assert one.changes_key(signing(method("#b", publicKeyMultibase=K2.multikey))) == f"{DID}#b"
    assert decoded.count(f"{DID}#b") == 1 + 3, "its own once, and that of each other document"


@pytest.mark.parametrize("fragment", ["", "a b", "a#b", "é", "a\n", "a/b", "x" * 129])
def test_published_fragment(fragment: str):
    assert code_of(make_document, DID, authentication={fragment: K1}, assertion_method={}) == "did_document_invalid"


def test_published_name_has_one_key():
    assert code_of(make_document, DID, authentication={"k": K1}, assertion_method={"k": K2}) == "did_document_invalid"


def test_view_is_read_only():
    document = signing(method())
    document.json["authentication"].clear()
    document.json["verificationMethod"][0]["publicKeyMultibase"] = K2.multikey
    assert document.key_for(f"{DID}#k1", "authentication", now=None) == K1
    assert document == signing(method())
    assert document != signing(method(more=1))
    assert len({document, signing(method()), signing(method(more=1))}) == 2


def test_embedded_method_is_for_its_relationship_alone():
    document = view(authentication=[method()])
    assert document.key_for(f"{DID}#k1", "authentication", now=None) == K1
    assert document.methods("assertionMethod") == ()
    assert code_of(document.key_for, f"{DID}#k1", "assertionMethod", now=None) == "key_not_authorized"


def test_relative_names():
    document = view(
        verificationMethod=[method() | {"id": "#k1"}], authentication=["#k1"], assertionMethod=[f"{DID}#k1"]
    )
    for relationship in ("authentication", "assertionMethod"):
        assert document.methods(relationship) == (f"{DID}#k1",)
        assert document.key_for(f"{DID}#k1", relationship, now=None) == K1
    assert code_of(document.key_for, "#k1", "authentication", now=None) == "key_not_authorized"


@pytest.mark.parametrize(
    "entry",
    [
        method(),
        without(method(), "publicKeyMultibase", type="JsonWebKey", publicKeyJwk=K1.jwk),
        without(method(), "publicKeyMultibase", type="JsonWebKey2020", publicKeyJwk=K1.jwk),
        method(type="Ed25519VerificationKey2020"),
        method(comment="ignored"),
    ],
    ids=lambda entry: entry["type"],
)
def test_key_encodings(entry: dict):
    assert signing(entry).key_for(f"{DID}#k1", "authentication", now=None) == K1


P256 = "zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (without(method(), "publicKeyMultibase"), "did_document_invalid"),
        (method(publicKeyMultibase=None), "did_document_invalid"),
        (method(publicKeyMultibase="z"), "did_document_invalid"),
        (method(publicKeyMultibase=["z"]), "did_document_invalid"),
        (method(publicKeyMultibase="z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F"), "did_document_invalid"),
        (method(type="Ed25519VerificationKey2020", publicKeyMultibase=P256), "did_document_invalid"),
        (method(type="Ed25519VerificationKey2018"), "did_document_invalid"),
        (method(type="multikey"), "did_document_invalid"),
        (method(type="JsonWebKey"), "did_document_invalid"),
        (method(publicKeyJwk=K1.jwk), "did_document_invalid"),
        (method(publicKeyBase58=base58_encode(K2.raw)), "did_document_invalid"),
        (without(method(), "publicKeyMultibase", publicKeyJwk=K1.jwk), "did_document_invalid"),
        (without(method(), "publicKeyMultibase", type="JsonWebKey", publicKeyJwk="x"), "did_document_invalid"),
        (method(type="JsonWebKey", publicKeyMultibase=K1.jwk), "did_document_invalid"),
        (without(method(), "publicKeyMultibase", publicKeyJwk=K1.multikey), "did_document_invalid"),
        (
            without(method(), "publicKeyMultibase", type="JsonWebKey", publicKeyJwk={**K1.jwk, "d": "AA"}),
            "did_document_invalid",
        ),
        (method(secretKeyMultibase="z3u2"), "did_document_invalid"),
        (method(privateKeyJwk={}), "did_document_invalid"),
        (method(revoked="2030-01-01T00:00:00Z"), "key_not_authorized"),
        (method(expires="2030-01-01T00:00:00Z"), "key_not_authorized"),
        (method(expires="soon"), "did_document_invalid"),
        (method(expires=5), "did_document_invalid"),
        (method(controller=OTHER), "key_not_authorized"),
        (method(controller=DID.upper()), "key_not_authorized"),
    ],
)
def test_method_that_cannot_be_used(entry: dict, code: str):
    """The document stands, and other methods in it work; only the use of this one is refused."""
    document = view(
        verificationMethod=[entry, method("#k2", publicKeyMultibase=K2.multikey)],
        authentication=[f"{DID}#k1", f"{DID}#k2"],
    )
    assert code_of(document.key_for, f"{DID}#k1", "authentication", now=None) == code
    assert document.key_for(f"{DID}#k2", "authentication", now=None) == K2
    assert document.keys("authentication", now="2031-01-01T00:00:00Z") == {f"{DID}#k2": K2}


def test_expiry_is_inclusive():
    document = signing(method(expires="2030-01-01T00:00:00Z"))
    assert document.key_for(f"{DID}#k1", "authentication", now="2030-01-01T00:00:00Z") == K1
    assert code_of(document.key_for, f"{DID}#k1", "authentication", now="2030-01-01T00:00:01Z") == "key_not_authorized"


@pytest.mark.parametrize(
    ("name", "relationship"),
    [
        (f"{DID}#k2", "authentication"),
        (f"{DID}#K1", "authentication"),
        (f"{DID}#k1", "assertion"),
        (f"{DID}#k1", ""),
        (f"{DID}#k1", "verificationMethod"),
        (f"{DID}#k1", "keyAgreement"),
        (f"{DID}/#k1", "authentication"),
        (f"{DID}?a=b#k1", "authentication"),
        (DID, "authentication"),
        (f"{OTHER}#k1", "authentication"),
    ],
)
def test_not_authorized(name: str, relationship: str):
    assert code_of(signing(method()).key_for, name, relationship, now=None) == "key_not_authorized"


def test_sc_02_listed_but_not_for_this_relationship():
    """HIRE-KEY-03."""
    document = view(verificationMethod=[method()], authentication=[f"{DID}#k1"])
    assert document.key_for(f"{DID}#k1", "authentication", now=None) == K1
    assert code_of(document.key_for, f"{DID}#k1", "assertionMethod", now=None) == "key_not_authorized"


def test_what_is_listed_and_not_there_is_no_key():
    """HIRE-KEY-03."""
    document = view(verificationMethod=[method()], authentication=[f"{DID}#k1", f"{DID}#k9"])
    assert code_of(document.key_for, f"{DID}#k9", "authentication", now=None) == "key_not_authorized"
    assert document.methods("authentication") == (f"{DID}#k1",)


def test_a_key_that_cannot_be_used_is_none_of_its_keys():
    odd = method("#k2", publicKeyMultibase="z6Mk")
    document = view(verificationMethod=[method(), odd], authentication=[f"{DID}#k1", f"{DID}#k2"])
    assert document.signing_keys() == {K1}


def test_sc_03_foreign_controller():
    """Another controller, a method of another DID, a bare reference: not ours (HIRE-KEY-04, HIRE-KEY-05)."""
    theirs = {"id": f"{OTHER}#k1", "type": "Multikey", "controller": DID, "publicKeyMultibase": K1.multikey}
    document = view(
        verificationMethod=[method(controller=OTHER), theirs],
        authentication=[f"{DID}#k1", f"{OTHER}#k1", f"{OTHER}#k9"],
        assertionMethod=[method("#k3", controller=OTHER)],
    )
    assert f"{DID}#k1" not in document.methods("authentication")
    assert document.methods("assertionMethod") == ()
    for name in (f"{DID}#k1", f"{OTHER}#k1", f"{OTHER}#k9"):
        assert code_of(document.key_for, name, "authentication", now=None) == "key_not_authorized"
    assert code_of(document.key_for, f"{DID}#k3", "assertionMethod", now=None) == "key_not_authorized"
    for name in document.methods("authentication"):
        assert name.startswith(f"{DID}#")


@pytest.mark.parametrize(
    "named",
    [
        OTHER,
        "did:web:Acme.example",
        "did:web:acme%2Eexample",
        "did:web:acme.example.",
        f"{DID}#",
        f"{DID}\n",
        "",
        None,
        5,
        [DID],
        {"id": DID},
    ],
)
def test_sc_04_document_of_another_did(named: object):
    """HIRE-DID-01, HIRE-DID-02."""
    assert code_of(DidDocument, DID, json.dumps({"id": named}).encode()) == "did_document_invalid"


@pytest.mark.parametrize("name", ["", "acme.example", "did:web", f"{DID}#k1", f"{DID}/a"])
def test_nothing_but_a_did_has_a_document(name: str):
    """HIRE-DID-01."""
    assert code_of(DidDocument, name, json.dumps({"id": name}).encode()) == "did_document_invalid"
    assert code_of(make_document, name, authentication={}, assertion_method={}) == "did_document_invalid"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b"<html>",
        b'{"id":"did:web:acme.example","id":"did:web:acme.example"}',
        b'{"id":"did:web:other.example","\\u0069d":"did:web:acme.example"}',
        b'\xef\xbb\xbf{"id":"did:web:acme.example"}',
        b'{"id":"did:web:acme.example","x":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"id":"did:web:acme.example","x":"' + b"x" * 65536 + b'"}',
        b'{"id":"did:web:acme.example","x":"\\u0000"}',
        b'{"id":"did:web:acme.example","x":1e999}',
    ],
)
def test_not_a_document(raw: bytes):
    assert code_of(DidDocument, DID, raw) == "did_document_invalid"


@pytest.mark.parametrize(
    "members",
    [
        {"verificationMethod": {}},
        {"verificationMethod": None},
        {"verificationMethod": ["#k1"]},
        {"verificationMethod": [method(), method()]},
        {"verificationMethod": [method(), method() | {"id": "#k1"}]},
        {"verificationMethod": [method()], "authentication": [method()]},
        {"verificationMethod": [without(method(), "id")]},
        {"verificationMethod": [without(method(), "type")]},
        {"verificationMethod": [without(method(), "controller")]},
        {"verificationMethod": [method(type=["Multikey"])]},
        {"verificationMethod": [method(controller=[DID])]},
        {"verificationMethod": [method() | {"id": DID}]},
        {"verificationMethod": [method() | {"id": "k1"}]},
        {"verificationMethod": [method() | {"id": "https://acme.example/#k1"}]},
        {"authentication": "#k1"},
        {"authentication": [5]},
        {"authentication": [None]},
        {"authentication": ["k1"]},
        {"authentication": [{}]},
        {"assertionMethod": [[]]},
        {"keyAgreement": {}},
        {"service": {}},
        {"service": ["https://acme.example"]},
    ],
)
def test_malformed_document(members: dict):
    """Where in it is in the words: a pointer would be told to a peer as one into its message (HIRE-SEC-07)."""
    with pytest.raises(VerificationError) as refused:
        view(**members)
    assert (refused.value.code, refused.value.path) == ("did_document_invalid", "")


def test_services():
    document = view(
        service=[
            {"id": "#a", "type": "HireService", "serviceEndpoint": "wss://a.example/hire"},
            {"id": "#b", "type": ["Other", "HireService"], "serviceEndpoint": ["wss://b.example/hire", {"uri": "x"}]},
            {"id": "#c", "type": "HireService", "serviceEndpoint": {"uri": "wss://c.example"}},
            {"id": "#d", "type": "HireServices", "serviceEndpoint": "wss://d.example"},
            {"id": "#e", "type": 5, "serviceEndpoint": "wss://e.example"},
            {"id": "#f"},
        ]
    )
    assert document.services("HireService") == ("wss://a.example/hire", "wss://b.example/hire")
    assert document.services("Other") == ("wss://b.example/hire",)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([DID, f"{DID}#k1", "#k1", "Multikey", K1.multikey]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "type", "controller", "publicKeyMultibase", "publicKeyJwk", "serviceEndpoint", "expires"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["verificationMethod", "authentication", "assertionMethod", "service", "@context"]), json_values
    ),
    st.sampled_from([f"{DID}#k1", "#k1", f"{OTHER}#k1", "", DID]),
)
def test_any_document_answers_or_refuses(members: dict, name: str):
    try:
        document = view(**members)
    except VerificationError as error:
        assert error.code == "did_document_invalid"  # noqa: PT017 nothing else is meant to be raised
        return
    assert document.services("Multikey") is not None
    for relationship in ("authentication", "assertionMethod"):
        for listed in (*document.methods(relationship), name):
            try:
                key = document.key_for(listed, relationship, now=None)
            except VerificationError:
                continue
            assert key == K1
