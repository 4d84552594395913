"""The three DID methods: what each fetches, and what it makes of what came."""

from __future__ import annotations

import json

import pytest
from nacl.signing import SigningKey

from undersigned.did import DID_METHODS, did_key, document_from, fetches, is_derived, keeps_history
from undersigned.encoding import base64url_encode, canonicalize, digest_bytes
from undersigned.errors import ResolutionError, UndersignedError, VerificationError
from undersigned.keys import PublicKey, public_key_from_raw

KEY = public_key_from_raw("Ed25519", bytes(SigningKey(b"k" * 32).verify_key))


def code_of(use: object, *arguments: object, **options: object) -> str:
    with pytest.raises(UndersignedError) as caught:
        use(*arguments, **options)
    assert isinstance(caught.value, ResolutionError | VerificationError)
    assert len(str(caught.value)) < 400
    return caught.value.code


def test_did_key():
    did = did_key(KEY)
    assert fetches(did) == ()
    document = document_from(did, {})
    name = f"{did}#{KEY.multikey}"
    for relationship in ("authentication", "assertionMethod"):
        assert document.methods(relationship) == (name,)
        assert document.key_for(name, relationship, now=None) == KEY
    assert document.raw == canonicalize(document.json)
    assert document.raw_digest == digest_bytes(document.raw)
    assert document == document_from(did, {})


def did_jwk(jwk: object) -> str:
    return "did:jwk:" + base64url_encode(json.dumps(jwk).encode())


def test_did_key_has_one_spelling():
    """Or one party had several names."""
    own = KEY.multikey
    raw = bytes([0xED, 0x01]) + KEY.raw
    for specific in (f"z1{own[1:]}", f"u{base64url_encode(raw)}", own.upper(), f"{own}=", f"Z{own[1:]}"):
        assert code_of(document_from, f"did:key:{specific}", {}) == "did_document_invalid", specific


def test_did_jwk():
    did = did_jwk({**KEY.jwk, "kid": "mine", "alg": "EdDSA"})
    assert fetches(did) == ()
    document = document_from(did, {})
    assert document.methods("assertionMethod") == (f"{did}#0",)
    assert document.key_for(f"{did}#0", "authentication", now=None) == KEY
    assert document.json["verificationMethod"][0]["publicKeyJwk"]["kid"] == "mine"


@pytest.mark.parametrize(
    "specific",
    [
        "x",
        "!",
        base64url_encode(b"[]"),
        base64url_encode(b"{}"),
        base64url_encode(b"null"),
        base64url_encode(b'{"kty":"OKP","kty":"OKP"}'),
        base64url_encode(json.dumps({**KEY.jwk, "d": "AAAA"}).encode()),
        base64url_encode(json.dumps(KEY.jwk).encode()) + "A",
        base64url_encode(b"[" * 1000),
    ],
)
def test_did_jwk_refused(specific: str):
    for use in (fetches, lambda did: document_from(did, {})):
        assert code_of(use, f"did:jwk:{specific}") == "did_document_invalid"


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:example.com", "https://example.com/.well-known/did.json"),
        ("did:web:example.com:user:Alice", "https://example.com/user/Alice/did.json"),
        ("did:web:example.com%3A8443", "https://example.com:8443/.well-known/did.json"),
        ("did:web:example.com%3A8443:a", "https://example.com:8443/a/did.json"),
        ("did:web:xn--bcher-kva.example", "https://xn--bcher-kva.example/.well-known/did.json"),
        ("did:web:a-1.b2.example:..a:.well-known", "https://a-1.b2.example/..a/.well-known/did.json"),
        ("did:web:127.0.0.1.example", "https://127.0.0.1.example/.well-known/did.json"),
    ],
)
def test_did_web(did: str, url: str):
    assert fetches(did) == fetches(did, local=True) == (url,)
    raw = json.dumps({"id": did}).encode()
    document = document_from(did, {url: raw})
    assert (document.id, document.raw, document.methods("authentication")) == (did, raw, ())


@pytest.mark.parametrize(
    "host",
    # Dotted, short, decimal, octal, hexadecimal, mixed, IPv6; each also hidden behind a trailing dot; local names.
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "8.8.8.8", "127.0.0.1."),
        *("127.1", "127.0.1", "0", "1", "2130706433", "017700000001", "0177.0.0.1", "1.2.3.08", "a.1"),
        *("0x7f000001", "0x7f.0.0.1", "0X7F.1", "0x", "1.2.3.0x4", "0x7f.1.", "example.0x7f"),
        *("%5B%3A%3A1%5D", "%5b%3A%3A1%5d", "%5B%3A%3Affff%3A127.0.0.1%5D"),
        *("localhost", "localhost%3A80", "x.localhost", "x.LOCALHOST", "intranet", "metadata"),
    ],
)
def test_sc_05_hosts_that_are_addresses_or_local_names(host: str):
    """As text, before anything is dialled (HIRE-DID-05); the fetcher checks the address itself."""
    assert code_of(fetches, f"did:web:{host}") == "did_forbidden_address"
    if not host.startswith("localhost"):
        assert code_of(fetches, f"did:web:{host}", local=True) == "did_forbidden_address"
        assert code_of(document_from, f"did:web:{host}", {}) == "did_forbidden_address"


def test_a_port_is_one_of_65535():
    assert fetches("did:web:acme.example%3A65535") == ("https://acme.example:65535/.well-known/did.json",)
    assert code_of(fetches, "did:web:acme.example%3A65536") == "did_document_invalid"


def test_a_host_name_has_at_most_253_characters():
    """As names in the DNS."""
    host = ".".join(("a" * 63, "b" * 63, "c" * 63, "d" * 61))
    assert fetches(f"did:web:{host}") == (f"https://{host}/.well-known/did.json",)
    assert code_of(fetches, f"did:web:{host}d") == "did_document_invalid"


def test_local_mode_allows_localhost_with_a_port_and_nothing_else():
    """HIRE-DID-07."""
    assert fetches("did:web:localhost%3A8001", local=True) == ("http://localhost:8001/.well-known/did.json",)
    assert fetches("did:web:localhost%3A8001:a", local=True) == ("http://localhost:8001/a/did.json",)
    for host in ("localhost", "LOCALHOST%3A80", "localhost.%3A80", "127.0.0.1%3A80", "a.localhost%3A80"):
        assert code_of(fetches, f"did:web:{host}", local=True) in {"did_forbidden_address", "did_document_invalid"}
    with pytest.raises(ResolutionError, match="'LOCALHOST'; in lower case it is this machine"):
        fetches("did:web:LOCALHOST%3A80", local=True)
    assert code_of(fetches, "did:web:localhost%3A8001") == "did_forbidden_address"


def test_evidence_of_a_local_document_can_be_read_without_local_mode():
    did = "did:web:localhost%3A8001"
    (url,) = fetches(did, local=True)
    assert document_from(did, {url: json.dumps({"id": did}).encode()}).id == did


@pytest.mark.parametrize(
    "specific",
    [
        "Example.com",
        "example.com.",
        ".example.com",
        "a..example",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "%65xample.com",
        "example.com%3a80",
        "example.com%3A",
        "example.com%3A0",
        "example.com%3A080",
        "example.com%3A65536",
        "example.com%3A999999999999",
        "example.com%3A80%3A80",
        "user%40example.com",
        "example.com%2Fx",
        "example.com::a",
        "example.com:.:a",
        "example.com:..:a",
        "example.com:%2E%2E:a",
        "example.com:a%2Fb",
        "example.com:a%00b",
        "example.com:" + "a" * 256,
        "xn--" + "a" * 60 + ".example",
    ],
)
def test_did_web_has_one_spelling(specific: str):
    assert code_of(fetches, f"did:web:{specific}") == "did_document_invalid"


def test_did_web_that_was_not_fetched():
    assert code_of(document_from, "did:web:example.com", {}) == "did_unresolvable"
    assert code_of(document_from, "did:web:example.com", {"https://example.com/did.json": b"{}"}) == "did_unresolvable"


def test_unknown_method_and_registry():
    assert code_of(fetches, "did:example:a") == code_of(document_from, "did:example:a", {}) == "did_unresolvable"
    assert sorted(DID_METHODS) == ["jwk", "key", "web", "webvh"]
    with pytest.raises(TypeError):
        DID_METHODS["x"] = DID_METHODS["key"]
    more = {**DID_METHODS, "example": DID_METHODS["web"]}
    assert fetches("did:example:a.example", methods=more) == ("https://a.example/.well-known/did.json",)


@pytest.mark.parametrize(
    "did", ["", "did:key:", "did:web:a b", "did:key:z6Mk#a", f"{did_key(KEY)}\n", f"{did_key(KEY)}#x"]
)
def test_not_a_did(did: str):
    assert code_of(fetches, did) == code_of(document_from, did, {}) == "did_document_invalid"


def test_keys_are_public_keys():
    assert isinstance(
        document_from(did_key(KEY), {}).key_for(f"{did_key(KEY)}#{KEY.multikey}", "authentication", now=None), PublicKey
    )


def test_which_documents_follow_from_their_did():
    for did, derived in (
        (did_key(KEY), True),
        (did_jwk({"kty": "OKP", "crv": "Ed25519", "x": base64url_encode(KEY.raw)}), True),
        ("did:web:globex.example", False),
        ("did:web:localhost%3A8001", False),
        (f"did:webvh:Qm{'1' * 44}:globex.example", False),
        ("did:example:globex", False),
    ):
        assert is_derived(did) is derived
    assert code_of(is_derived, "did:key:z") == "did_document_invalid"


def test_which_methods_keep_a_history():
    for did, kept in (
        (f"did:webvh:Qm{'1' * 44}:globex.example", True),
        (did_key(KEY), False),
        ("did:example:a", False),
    ):
        assert keeps_history(did) is kept
