"""JSON and DID documents in odd spellings: the implementation in JavaScript, and the page, read in them what we do."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from browser import Tab
from integration.test_js_peer import said_there
from integration.test_page_readers import SCRIPTS, edges_of_json, generated_json, read_json
from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, MESSAGE_LIMITS, JsonLimits, base64url_decode, base64url_encode
from undersigned.errors import VerificationError
from undersigned.evidence import verifier_page
from undersigned.runtime.signers import generate_key

DID: Final = "did:web:acme.example"
NOW: Final = "2026-11-25T12:00:00Z"
KEY: Final = generate_key().public_key
JWK: Final = generate_key("P-256").public_key.jwk
OKP: Final = KEY.jwk


def method(name: str = "#a", **members: Any) -> dict[str, Any]:
    return {"id": name, "type": "Multikey", "controller": DID, "publicKeyMultibase": KEY.multikey, **members}


def listing(*methods: Any, **members: Any) -> str:
    """A document that lists these for both purposes."""
    names = [one if isinstance(one, str) else one["id"] for one in methods]
    return json.dumps({"id": DID, "authentication": methods, "assertionMethod": names, **members})


def with_jwk(**members: Any) -> str:
    jwk = {**JWK, **members}
    return listing({"id": "#a", "type": "JsonWebKey", "controller": DID, "publicKeyJwk": jwk})


def divided(at: int) -> dict[str, str]:
    """The coordinates of the same point, divided elsewhere than in the middle."""
    whole = b"".join(base64url_decode(str(JWK[name])) for name in ("x", "y"))
    return {"x": base64url_encode(whole[:at]), "y": base64url_encode(whole[at:])}


def with_member(value: str) -> str:
    """A document with a member of this JSON."""
    return f'{listing(method())[:-1]},"more":{value}}}'


DOCUMENTS: Final[dict[str, tuple[str, int | None]]] = {
    "a method": (listing("#a", verificationMethod=[method()]), 2),
    "a method embedded in the other relationship": (listing(method()), 2),
    "a method embedded in a relationship that signs nothing": (listing("#a", keyAgreement=[method()]), 2),
    "a reference to nothing": (listing("#b", verificationMethod=[method()]), 0),
    "a name with a query": (listing(method(f"{DID}?at=1#a")), 0),
    "a name with a path": (listing(method(f"{DID}/keys#a")), 0),
    "a key of two coordinates": (with_jwk(), 2),
    "coordinates that are divided elsewhere": (with_jwk(**divided(31)), 0),
    "a curve in a list": (with_jwk(crv=["P-256"]), 0),
    "coordinates of two points": (with_jwk(y=generate_key("P-256").public_key.jwk["y"]), 0),
    "a coordinate that is a number": (with_jwk(x=5), 0),
    "a coordinate in a list": (with_jwk(x=[JWK["x"]]), 0),
    "a coordinate of 129 characters": (with_jwk(x="A" * 129), 0),
    "a coordinate of one key alone": (with_jwk(**OKP), 2),
    "a coordinate of one key alone, cut": (with_jwk(**{**OKP, "x": str(OKP["x"])[:-4]}), 0),
    "a secret key": (with_jwk(d=JWK["x"]), 0),
    "a key to encrypt with": (with_jwk(use="enc"), 0),
    "a key of another algorithm": (with_jwk(alg="ES384"), 0),
    "a key that only signs": (with_jwk(key_ops=["sign"]), 0),
    "a key that verifies too": (with_jwk(use="sig", alg="ES256", key_ops=["sign", "verify"]), 2),
    "a member beside": (with_member('{"a": 1.5e3}'), 2),
    "32 containers": (with_member("[" * 31 + "]" * 31), 2),
    "33 containers": (with_member("[" * 32 + "]" * 32), None),
    "the greatest whole number": (with_member("9007199254740991"), 2),
    "a whole number beyond": (with_member("9007199254740992"), None),
    "a whole number of 30 digits": (with_member("1" * 30), None),
    "minus zero": (with_member("-0"), None),
    "a fraction of minus zero": (with_member("-0.0"), None),
    "a number beyond all": (with_member("1e400"), None),
    "a fraction of 40 digits": (with_member(f"0.{'1' * 40}"), 2),
}
"""With the number of keys that they give, for both purposes together; None: they are none."""


@pytest.fixture(scope="module")
def keys_there() -> dict[str, Any]:
    """What the other implementation makes of all of them."""
    given = [{"did": DID, "now": NOW, "document": text} for text, _ in DOCUMENTS.values()]
    return dict(zip(DOCUMENTS, said_there("documents.js", given), strict=True))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_gives_the_same_keys(name: str, keys_there: dict[str, Any]) -> None:
    """HIRE-KEY-01, HIRE-KEY-03, HIRE-KEY-05."""
    text, count = DOCUMENTS[name]
    if count is None:
        with pytest.raises(VerificationError) as refused:
            DidDocument(DID, text.encode())
        assert keys_there[name] == {"code": refused.value.code}
        return
    document, purposes = DidDocument(DID, text.encode()), ("authentication", "assertionMethod")
    keys = {one: {url: key.multikey for url, key in document.keys(one, now=NOW).items()} for one in purposes}
    assert sum(map(len, keys.values())) == count
    assert keys_there[name] == keys


def test_the_page_finds_the_same_keys(page: Tab) -> None:
    """HIRE-PCK-04, HIRE-KEY-01, HIRE-KEY-05: in each form of a key, and in what is none."""
    data = next(line for line in verifier_page().decode().splitlines() if line.startswith("const DATA = "))
    scripts = "".join((SCRIPTS / f"{name}.js").read_text() for name in ("encoding", "keys"))
    texts = [text for text, _ in DOCUMENTS.values()]
    came = page.eval(
        f"""(() => {{ {data} {scripts}
          const count = (document, of) => [...document.keys(of, {json.dumps(NOW)})].length;
          return {json.dumps(texts)}.map((text) => {{
            try {{
              const document = new DidDocument({json.dumps(DID)}, encode(text));
              return count(document, "authentication") + count(document, "assertionMethod");
            }} catch (error) {{
              return error.code === "did_document_invalid" ? null : String(error.code ?? error);
            }}
          }}); }})()"""
    )
    assert dict(zip(DOCUMENTS, came, strict=True)) == {name: count for name, (_, count) in DOCUMENTS.items()}


@pytest.mark.parametrize(("foreign", "limits"), [(False, MESSAGE_LIMITS), (True, FOREIGN_LIMITS)])
def test_a_text_says_the_same(foreign: bool, limits: JsonLimits) -> None:
    """HIRE-JSN-01 to HIRE-JSN-04: the same values, or a refusal; of several faults it may be for another one."""
    texts = [
        b'{"member":%s}' % one for one in (*edges_of_json(), *generated_json(6000)) if len(one) < limits.max_string
    ]
    came = said_there("texts.js", [(base64.b64encode(one).decode(), foreign) for one in texts])
    expected = [read_json(one, limits) for one in texts]

    def plain(answers: list[str]) -> list[str]:
        return [one if one.startswith("=") else "refused" for one in answers]

    compared = zip(texts, plain(expected), plain(came), strict=True)
    assert [one for one in compared if one[1] != one[2]] == []
    for code in ("bad_json", "bad_unicode", "number_out_of_range", "too_deep", "too_large"):
        assert came.count(code) > 1, code
    assert sum(one.startswith("=") for one in came) > 500
