"""C2PA manifests: certificate and DID speak for each other, over media that nobody changed (HIRE-ATT-10)."""

from __future__ import annotations

import io
import json
import socket
import zlib
from contextlib import suppress
from ssl import DER_cert_to_PEM_cert
from threading import Thread
from typing import Any

import c2pa
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from contracts import ENGAGEMENT, PROVIDER, STRANGER
from media import Authority, png, samples, wav
from parties import Party
from undersigned.attestation.media import (
    LABEL,
    MAX_MEDIA_BYTES,
    MEDIA_TYPES,
    ContractAssertion,
    MediaSigner,
    bytes_to_sign,
    check_media,
    embed,
    read_manifest,
)
from undersigned.encoding import digest_bytes
from undersigned.errors import FormatError, UndersignedError, VerificationError

CONTRACT = digest_bytes(b"contract")
ROOT = Authority()
SIGNER = ROOT.signer()
PNG = "image/png"
BY: dict[str, Any] = {"keyid": PROVIDER.method, "kind": PROVIDER.key.kind}


def about(signer: MediaSigner = SIGNER, **changes: Any) -> ContractAssertion:
    fields: dict[str, Any] = {
        "contract": CONTRACT,
        "document": f"{ENGAGEMENT}:hirer:3",
        "task": "picture",
        "agent": PROVIDER.did,
        "certificate": signer.serial,
    }
    return ContractAssertion(**(fields | changes))


def made(
    data: bytes,
    said: ContractAssertion | None = None,
    by: Party = PROVIDER,
    signer: MediaSigner = SIGNER,
    kind: str = PNG,
) -> bytes:
    said = said or about(signer)
    signature = by.sign(bytes_to_sign(data, kind, said, signer, keyid=by.method, kind=by.key.kind))
    return embed(data, kind, said, signer, keyid=by.method, signature=signature)


def code(data: bytes, **changes: Any) -> str:
    given: dict[str, Any] = {
        "contract": CONTRACT,
        "agent": PROVIDER.did,
        "keys": PROVIDER.keys,
        "anchors": [ROOT.der],
    }
    try:
        check_media(data, PNG, **(given | changes))
    except UndersignedError as error:
        return error.code
    return ""


@pytest.fixture(scope="module")
def picture() -> bytes:
    return made(png())


def test_what_was_signed_is_read(picture: bytes) -> None:
    read = read_manifest(picture, PNG, [ROOT.der])
    assert (read.failures, read.certificate) == ((), SIGNER.serial)
    assert read.assertion is not None
    assert (read.assertion.contract, read.assertion.agent) == (CONTRACT, PROVIDER.did)
    assert code(picture) == ""
    assert code(picture, anchors=[Authority("Other").der, ROOT.der]) == ""


def test_other_readers_read_it(picture: bytes) -> None:
    """The library's own report, as `c2patool` prints it, has our assertion and no failure."""
    with c2pa.Reader(PNG, io.BytesIO(picture)) as reader:
        told = json.loads(reader.json())
    active = told["manifests"][told["active_manifest"]]
    (said,) = [one["data"] for one in active["assertions"] if one["label"] == LABEL]
    assert (said["contract"], said["agent"], said["certificate"]) == (CONTRACT, PROVIDER.did, SIGNER.serial)
    failed = [one["code"] for one in told["validation_results"]["activeManifest"]["failure"]]
    assert [one for one in failed if one != "signingCredential.untrusted"] == []


@pytest.mark.parametrize("kind", sorted(MEDIA_TYPES))
@pytest.mark.parametrize("key", ["Ed25519", "P-384"])
def test_a_manifest_is_of_its_media_whatever_they_say_of_their_length(kind: str, key: Any) -> None:
    """WAV, WebP, AVIF and MP4 say, outside the manifest, how long they are with it or where their parts lie then."""
    agent = Party("an agent that makes media", key)
    whole = made(samples()[kind], about(agent=agent.did), by=agent, kind=kind)
    given: dict[str, Any] = {"contract": CONTRACT, "agent": agent.did, "keys": agent.keys, "anchors": [ROOT.der]}
    assert check_media(whole, kind, **given).failures == ()
    changed = whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:]
    with pytest.raises(UndersignedError):
        check_media(changed, kind, **given)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "over": ({"days": (-30, -1)}, "expired"),
    "not yet": ({"days": (1, 30)}, "expired"),
    "signs no media": ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "invalid"),
    "signs certificates": ({"usages": ("digital_signature", "key_cert_sign")}, "invalid"),
    "signs nothing": ({"usages": ("key_encipherment",)}, "invalid"),
    "signed by another": ({"by": ec.generate_private_key(ec.SECP256R1())}, ""),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_certificate_that_is_not_to_be_relied_on_is_not(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own tool writes such a manifest; who wants one puts the certificate into a good one and signs that. What
    is wrong with it is said, beside that it leads to no anchor.
    """
    how, said = WRONG[wrong]
    poser, good, bad = ROOT.posing(**how)
    of, from_dict = about(poser), c2pa.Settings.from_dict
    honest = MediaSigner(poser.certificates, ROOT.signer().sign)
    monkeypatch.setattr(c2pa.Settings, "from_dict", lambda given: from_dict(_unchecked(given)))
    signature = PROVIDER.sign(bytes_to_sign(png(), PNG, of, honest, **BY))
    whole = embed(png(), PNG, of, poser, keyid=PROVIDER.method, signature=signature)
    monkeypatch.undo()
    assert whole.count(good) == 1
    data = _summed(whole.replace(good, bad))
    with pytest.raises(UndersignedError) as caught:
        check_media(data, PNG, contract=CONTRACT, agent=PROVIDER.did, keys=PROVIDER.keys, anchors=[ROOT.der])
    assert caught.value.code in ("attester_not_trusted", "proof_invalid")
    assert said in caught.value.message
    # Without anchors anybody's certificate will do, if it is one to sign media with, and in its time.
    assert code(data, anchors=[]) == ("proof_invalid" if said else "")


def _unchecked(settings: dict[str, Any]) -> dict[str, Any]:
    """As the library is used to write, without its look at what it wrote."""
    return (
        settings | {"verify": settings["verify"] | {"verify_after_sign": False}} if "builder" in settings else settings
    )


def _summed(data: bytes) -> bytes:
    """A picture whose chunk with the manifest was changed, with the sum that it has now."""
    at = data.index(b"caBX")
    end = at + 4 + int.from_bytes(data[at - 4 : at])
    return data[:end] + zlib.crc32(data[at:end]).to_bytes(4) + data[end + 4 :]


def test_media_that_were_changed_are_other_media(picture: bytes) -> None:
    place = picture.rindex(b"IDAT") + 6
    changed = picture[:place] + bytes([picture[place] ^ 1]) + picture[place + 1 :]
    assert code(changed) == "digest_mismatch"
    assert code(png()) == "digest_mismatch"
    assert code(b"no picture") == "digest_mismatch"
    place = picture.index(PROVIDER.did.encode()) + 12
    assert code(picture[:place] + b"X" + picture[place + 1 :]) in ("proof_invalid", "digest_mismatch")
    # A binding may lack the hash of the whole where it has hashes of parts, and nobody signed by those.
    video = made(samples()["video/mp4"], kind="video/mp4").replace(b"dhashX", b"dhasgX", 1)
    with pytest.raises(VerificationError, match="a manifest with a hard binding"):
        read_manifest(video, "video/mp4")


def test_a_certificate_of_no_anchor_is_nobodys(picture: bytes) -> None:
    """The anchors are those of the contract; without any, the agent's own signature alone says whose it is."""
    assert code(picture, anchors=[Authority("Other").der]) == "attester_not_trusted"
    assert code(picture, anchors=[]) == ""
    assert code(picture, anchors=[b"no certificate"]) == "schema_violation"


def test_another_contract_or_agent(picture: bytes) -> None:
    assert code(picture, contract=digest_bytes(b"another")) == "attestation_binding"
    assert code(picture, agent=STRANGER.did, keys=STRANGER.keys) == "attester_not_trusted"
    assert code(picture, keys={}) == "attester_not_trusted"
    posing = made(png(), about(agent=PROVIDER.did), by=STRANGER)
    assert code(posing) == "attester_not_trusted"
    assert code(posing, keys={STRANGER.method: PROVIDER.key}) == "proof_invalid"
    assert code(made(png(), about(agent=STRANGER.did), by=PROVIDER)) == "attester_not_trusted"


def test_the_agents_signature_has_one_form() -> None:
    """HIRE-KEY-02: the form of our own assertion is this protocol's, whatever C2PA takes of other signatures."""
    agent = Party("an agent with a curve", "P-256")
    said = about(agent=agent.did)
    low = agent.sign(bytes_to_sign(png(), PNG, said, SIGNER, keyid=agent.method, kind=agent.key.kind))
    high = low[:32] + (agent._order - int.from_bytes(low[32:])).to_bytes(32)
    for signature, expected in ((low, ""), (high, "proof_invalid")):
        data = embed(png(), PNG, said, SIGNER, keyid=agent.method, signature=signature)
        assert code(data, agent=agent.did, keys=agent.keys) == expected


def test_certificate_and_did_are_tied(picture: bytes) -> None:
    """Who takes our assertion off, and signs the same picture or another by a certificate of the same root."""
    read = read_manifest(picture, PNG)
    assert read.assertion is not None
    assert read.assertion.signature is not None
    sig = PROVIDER.sign(bytes_to_sign(png(), PNG, about(), SIGNER, **BY))
    thief = ROOT.signer("Initech")
    stolen = embed(png(), PNG, about(), thief, keyid=PROVIDER.method, signature=sig)
    assert code(stolen) == "attester_not_trusted"
    renamed = embed(png(), PNG, about(thief), thief, keyid=PROVIDER.method, signature=sig)
    assert code(renamed) == "proof_invalid"
    other = embed(png(10), PNG, about(), SIGNER, keyid=PROVIDER.method, signature=sig)
    assert code(other) == "proof_invalid"


def manifest(
    data: bytes,
    assertions: list[Any],
    ingredient: bytes | None = None,
    trusting: Authority | None = None,
    elsewhere: str = "",
) -> bytes:
    """A manifest that another tool writes by the same certificate; it trusts the signers of one root. Of one that lies
    `elsewhere` the media have the address alone.
    """
    action = "c2pa.created" if ingredient is None else "c2pa.opened"
    source = {"digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"}
    actions = {"actions": [{"action": action, **(source if ingredient is None else {})}]}
    text = json.dumps(
        {
            "claim_generator_info": [{"name": "other"}],
            "format": PNG,
            "assertions": [
                *([] if ingredient is not None else [{"label": "c2pa.actions", "data": actions}]),
                *assertions,
            ],
        }
    )
    out = io.BytesIO()
    settings = c2pa.Settings.from_dict(
        {
            "builder": {"thumbnail": {"enabled": False}},
            "verify": {"verify_after_sign": False},
            **({"trust": {"trust_anchors": DER_cert_to_PEM_cert(trusting.der)}} if trusting else {}),
        }
    )
    with c2pa.Context(settings) as context, c2pa.Builder(text, context=context) as builder:
        if elsewhere:
            builder.set_no_embed()
            builder.set_remote_url(elsewhere)
        if ingredient is not None:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            builder.add_ingredient({"title": "before", "relationship": "parentOf"}, PNG, io.BytesIO(ingredient))
        with c2pa.Signer.from_callback(SIGNER.sign, c2pa.C2paSigningAlg.ES256, SIGNER.certificates, None) as by:
            builder.sign(by, PNG, io.BytesIO(data), out)
    return out.getvalue()


def test_a_manifest_without_our_assertion_proves_nothing() -> None:
    assert code(manifest(png(), [])) == "proof_missing"
    unsigned = {
        "label": LABEL,
        "data": json.loads(
            json.dumps(
                {
                    "contract": CONTRACT,
                    "document": "x",
                    "task": "x",
                    "agent": PROVIDER.did,
                    "certificate": SIGNER.serial,
                }
            )
        ),
    }
    assert code(manifest(png(), [unsigned])) == "proof_missing"
    strange = {"label": LABEL, "data": {**unsigned["data"], "more": 1}}
    assert code(manifest(png(), [strange])) == "unknown_term"
    spelled = {"label": LABEL, "data": {**unsigned["data"], "certificate": f"{SIGNER.serial}\n"}}
    for several in ([spelled], [unsigned, unsigned]):
        assert code(manifest(png(), several)) == "schema_violation"


def test_ingredients_are_walked(picture: bytes) -> None:
    """What a picture was made from has to hold too, though the picture's own manifest does."""
    whole = manifest(picture, [], ingredient=picture)
    assert read_manifest(whole, PNG, [ROOT.der]).failures == ()
    place = picture.rindex(b"IDAT") + 6
    broken = picture[:place] + bytes([picture[place] ^ 1]) + picture[place + 1 :]
    made_of = manifest(png(), [], ingredient=broken)
    assert "assertion.dataHash.mismatch" in read_manifest(made_of, PNG, [ROOT.der]).failures
    assert code(made_of) == "digest_mismatch"
    # Where it came to differ once the picture's manifest was signed.
    place = whole.index(PROVIDER.did.encode()) + 12
    later = _summed(whole[:place] + b"X" + whole[place + 1 :])
    assert "ingredient.manifest.mismatch" in read_manifest(later, PNG, [ROOT.der]).failures


def test_an_ingredient_need_not_come_from_our_anchors() -> None:
    other = Authority("Other")
    of = made(png(), signer=other.signer())
    for trusting in (None, other):
        assert read_manifest(manifest(of, [], of, trusting), PNG, [ROOT.der]).failures == ()


def test_nothing_is_fetched() -> None:
    """What media name, a manifest elsewhere or who knows of a certificate, does not decide whom we call."""
    called: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    called.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    connection.close()

        thread = Thread(target=answer)
        thread.start()
        at = f"http://127.0.0.1:{server.getsockname()[1]}/"
        away = manifest(png(), [], elsewhere=at)
        assert at.encode() in away
        assert code(away) == "digest_mismatch"
        signer = ROOT.signer(asked_at=at)
        assert code(made(away, signer=signer)) == ""
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert called == []


def test_media_that_are_too_large_are_not_read() -> None:
    """The library has them in memory as a whole, whether it is given bytes or a file."""
    sound = wav(MAX_MEDIA_BYTES)
    with pytest.raises(FormatError, match=rf"at most {MAX_MEDIA_BYTES} bytes.*came {len(sound)}") as caught:
        bytes_to_sign(sound, "audio/wav", about(), SIGNER, **BY)
    assert caught.value.code == "too_large"
    with pytest.raises(FormatError, match="at most"):
        read_manifest(sound, "audio/wav")


def test_what_cannot_carry_a_manifest_is_refused() -> None:
    with pytest.raises(FormatError):
        bytes_to_sign(b"text", "text/plain", about(), SIGNER, **BY)
    with pytest.raises(FormatError):
        bytes_to_sign(b"no picture", PNG, about(), SIGNER, **BY)
    with pytest.raises(FormatError):
        read_manifest(png(), "text/plain")


def test_what_a_signer_raises_comes_out_as_it_is(picture: bytes) -> None:
    """The library would tell of a signature that is invalid, and nobody would look at where the key is."""

    def away(_data: bytes) -> bytes:
        raise PermissionError("the key store is locked")

    with pytest.raises(PermissionError, match="the key store is locked"):
        bytes_to_sign(picture, PNG, about(), MediaSigner(SIGNER.certificates, away), **BY)
