"""`verify` of what is no pack: statements of anybody, by keys that are known from elsewhere."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integration.archives import make_wheel
from packs import Hire
from undersigned.attestation import PAYLOAD_TYPE, pae
from undersigned.evidence import read_archive
from undersigned.keys import public_key_from_pem
from unit.cli.running import Ran, run

APP = b"the app"
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "subject": [{"name": "app.whl", "digest": {"sha256": sha256(APP).hexdigest()}}],
    "predicateType": "https://slsa.dev/provenance/v0.2",
    "predicate": {
        "builder": {"id": "https://builder.example/1"},
        "buildType": "https://build.example/make",
        "materials": [{"uri": "git+https://git.example/app", "digest": {"sha1": "0" * 40}}],
    },
}


class Signer:
    """A tool of others: an ECDSA key, signatures in ASN.1, and a name of its own for the key."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = generate_private_key(SECP256R1())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, statement: dict[str, Any], file: Path, **more: Any) -> Path:
        payload = json.dumps(statement).encode()
        sig = b64encode(self.key.sign(pae(PAYLOAD_TYPE, payload), ECDSA(SHA256()))).decode()
        signature = {"keyid": "a-name-of-theirs", "sig": sig, "cert": "whatever"}
        made = {"payload": b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signature], **more}
        file.write_text(json.dumps(made, indent=1))
        return file


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path, "builder")


def said(*arguments: object) -> tuple[Ran, dict[str, Any]]:
    ran = run("verify", *arguments, "--json")
    return ran, ran.values[-1]


def test_a_statement_of_others_is_told_and_held_against_a_key_that_is_named(signer: Signer, tmp_path: Path) -> None:
    """HIRE-ATT-08: Statement v0.1 and provenance v0.2; what came along proves nothing."""
    file = signer.sign(STATEMENT, tmp_path / "app.dsse.json")
    (tmp_path / "app.whl").write_bytes(APP)
    named = ("--key", signer.file, "--of", tmp_path / "app.whl")
    ran, value = said(file, *named)
    assert (ran.code, value["ok"], value["signers"]) == (0, True, [str(signer.file)])
    assert value["statement"]["predicateType"] == STATEMENT["predicateType"]
    told = run("verify", file, *named).out
    for part in (
        "builder    https://builder.example/1",
        "git+https://git.example/app",
        "app.whl  sha256 ",
        "it holds: ",
    ):
        assert part in told
    # Nobody is believed without being named, and it is told all the same.
    ran, value = said(file)
    assert (ran.code, value["code"], value["claimed"]) == (4, "attester_not_trusted", ["a-name-of-theirs"])
    assert value["statement"]["subjects"][0]["name"] == "app.whl"
    assert "no key of a signer is known here" in value["detail"]
    assert "NOT shown to be so: attester_not_trusted" in run("verify", file).out
    other = Signer(tmp_path, "other")
    assert said(file, "--key", other.file)[0].code == 4
    (tmp_path / "app.whl").write_bytes(APP + b"!")
    assert said(file, *named)[1]["code"] == "digest_mismatch"


def test_a_bundle_around_it_is_read_and_a_changed_one_refused(signer: Signer, tmp_path: Path) -> None:
    file = signer.sign(STATEMENT, tmp_path / "app.dsse.json")
    bundle = tmp_path / "app.sigstore.json"
    bundle.write_text(json.dumps({"mediaType": "x", "dsseEnvelope": json.loads(file.read_text())}))
    assert said(bundle, "--key", signer.file)[0].code == 0
    forged = signer.sign(STATEMENT, tmp_path / "forged.json")
    changed = json.loads(forged.read_text())
    other = json.dumps({**STATEMENT, "predicate": {}}).encode()
    forged.write_text(json.dumps({**changed, "payload": b64encode(other).decode()}))
    ran, value = said(forged, "--key", signer.file)
    assert (ran.code, value["ok"]) == (4, False)
    for text in (
        "{}",
        '{"payload": 1}',
        '{"dsseEnvelope": []}',
        "{",
        '{"payload":"","payloadType":"x","signatures":[]}',
    ):
        bundle.write_text(text)
        assert said(bundle)[0].code == 4
        assert run("trace", "x" * 64, "--pack", bundle, "--json").code == 2


def test_our_own_statement_holds_by_the_did_of_its_signer(tmp_path: Path) -> None:
    """Without a key that is named, by what follows from a DID; with one, by that alone."""
    members = read_archive(Hire().whole().pack())
    file = tmp_path / "work.json"
    file.write_bytes(next(data for name, data in members.items() if name.startswith("statements/")))
    ran, value = said(file)
    assert (ran.code, value["ok"]) == (0, True)
    (method,) = value["signers"]
    assert method.startswith("did:key:")
    assert method.rpartition("#")[2].startswith("z6Mk")
    assert said(file, "--key", method.rpartition("#")[2])[0].code == 0
    stranger = Signer(tmp_path, "stranger")
    assert said(file, "--key", stranger.file)[0].code == 4, "the key that was named did not sign it"


def test_keys_in_pem(tmp_path: Path) -> None:
    for key, kind in (
        (Ed25519PrivateKey.generate(), "Ed25519"),
        (generate_private_key(SECP256R1()), "P-256"),
        (generate_private_key(SECP384R1()), "P-384"),
    ):
        read = public_key_from_pem(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        assert read.kind == kind
    rsa = generate_rsa(65537, 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "statement.json").write_text("{}")
    for bad in (rsa, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        (tmp_path / "bad.pem").write_bytes(bad)
        ran = run("verify", tmp_path / "statement.json", "--key", tmp_path / "bad.pem", "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert run("verify", tmp_path / "statement.json", "--key", "zNoKey").code == 2


@pytest.mark.parametrize("text", ['{"some": 1, "thing": 2}', "{}", '{"@context": [], "type": "VerifiableCredential"}'])
def test_json_that_is_nothing_of_these_is_told_what_is_taken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text(text)
    ran, value = said(file)
    assert (ran.code, value["ok"], value["code"]) == (4, False, "schema_violation")
    for kind in ("an evidence pack (a zip", "'ledger prove --json'", "a signed statement (in-toto in DSSE"):
        assert kind in value["detail"]
    assert ("'some', 'thing'" if "some" in text else "a JSON object with") in value["detail"]


def test_what_is_checked_elsewhere_or_by_other_keys_is_told_so(signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    for text, more, says in (
        ('{"contradiction": {}}', (), "it is checked by 'ledger forks --check FILE'"),
        ('{"checkpoint": ""}', ("--key", signer.file), "--key is for statements"),
    ):
        file.write_text(text)
        ran = run("verify", file, *more, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
        assert says in ran.error["message"]


@pytest.mark.parametrize("text", ["hello", "[1]"])
def test_a_file_that_is_no_pack_is_told_what_is_taken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text(text)
    ran = run("verify", file)
    assert ran.code == 4
    assert f"{file} is none of the files that are judged: expected an evidence pack (a zip" in ran.out


def test_a_wheel_is_a_zip_and_no_pack(tmp_path: Path) -> None:
    """Whoever checks what was delivered, in place of the evidence of it, is told that it is none."""
    wheel = make_wheel(tmp_path)
    ran = run("verify", wheel)
    assert ran.code == 4
    assert f"{wheel} is none of the files that are judged: expected an evidence pack (a zip" in ran.out


def test_a_file_that_cannot_be_read_is_named() -> None:
    """One that opens, and then gives nothing; the system says only of the opening whose it was."""
    ran = run("verify", "/proc/self/mem", "--json")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
    assert ran.error["message"] == "/proc/self/mem: Input/output error"
