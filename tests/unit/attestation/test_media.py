"""C2PA manifests: certificate and DID speak for each other, over media that nobody changed (HIRE-ATT-10)."""

from __future__ import annotations

import io
import json
from typing import Any

import c2pa
import pytest

from contracts import ENGAGEMENT, PROVIDER, STRANGER
from media import Authority, png
from parties import Party
from undersigned.attestation.media import (
    LABEL,
    ContractAssertion,
    MediaSigner,
    bytes_to_sign,
    check_media,
    embed,
    read_manifest,
)
from undersigned.encoding import digest_bytes
from undersigned.errors import FormatError, UndersignedError

CONTRACT = digest_bytes(b"contract")
ROOT = Authority()
SIGNER = ROOT.signer()
PNG = "image/png"


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
    data: bytes, said: ContractAssertion | None = None, by: Party = PROVIDER, signer: MediaSigner = SIGNER
) -> bytes:
    said = said or about(signer)
    signature = by.sign(bytes_to_sign(data, PNG, said, signer))
    return embed(data, PNG, said, signer, keyid=by.method, signature=signature)


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


def test_media_that_were_changed_are_other_media(picture: bytes) -> None:
    place = picture.rindex(b"IDAT") + 6
    changed = picture[:place] + bytes([picture[place] ^ 1]) + picture[place + 1 :]
    assert code(changed) == "digest_mismatch"
    assert code(png()) == "digest_mismatch"
    assert code(b"no picture") == "digest_mismatch"
    place = picture.index(PROVIDER.did.encode()) + 12
    assert code(picture[:place] + b"X" + picture[place + 1 :]) in ("proof_invalid", "digest_mismatch")


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


def test_the_agents_signature_has_one_form() -> None:
    """HIRE-KEY-02: the form of our own assertion is this protocol's, whatever C2PA takes of other signatures."""
    agent = Party("an agent with a curve", "P-256")
    said = about(agent=agent.did)
    low = agent.sign(bytes_to_sign(png(), PNG, said, SIGNER))
    high = low[:32] + (agent._order - int.from_bytes(low[32:])).to_bytes(32)
    for signature, expected in ((low, ""), (high, "proof_invalid")):
        data = embed(png(), PNG, said, SIGNER, keyid=agent.method, signature=signature)
        assert code(data, agent=agent.did, keys=agent.keys) == expected


def test_certificate_and_did_are_tied(picture: bytes) -> None:
    """Who takes our assertion off, and signs the same picture or another by a certificate of the same root."""
    read = read_manifest(picture, PNG)
    assert read.assertion is not None
    assert read.assertion.signature is not None
    sig = PROVIDER.sign(bytes_to_sign(png(), PNG, about(), SIGNER))
    thief = ROOT.signer("Initech")
    stolen = embed(png(), PNG, about(), thief, keyid=PROVIDER.method, signature=sig)
    assert code(stolen) == "attester_not_trusted"
    renamed = embed(png(), PNG, about(thief), thief, keyid=PROVIDER.method, signature=sig)
    assert code(renamed) == "proof_invalid"
    other = embed(png(10), PNG, about(), SIGNER, keyid=PROVIDER.method, signature=sig)
    assert code(other) == "proof_invalid"


def manifest(data: bytes, assertions: list[Any], ingredient: bytes | None = None) -> bytes:
    """A manifest that another tool writes by the same certificate."""
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
        {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
    )
    with c2pa.Context(settings) as context, c2pa.Builder(text, context=context) as builder:
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


def test_ingredients_are_walked(picture: bytes) -> None:
    """What a picture was made from has to hold too, though the picture's own manifest does."""
    whole = manifest(picture, [], ingredient=picture)
    assert read_manifest(whole, PNG, [ROOT.der]).failures == ()
    place = picture.rindex(b"IDAT") + 6
    broken = picture[:place] + bytes([picture[place] ^ 1]) + picture[place + 1 :]
    made_of = manifest(png(), [], ingredient=broken)
    assert "assertion.dataHash.mismatch" in read_manifest(made_of, PNG, [ROOT.der]).failures
    assert code(made_of) == "digest_mismatch"


def test_what_cannot_carry_a_manifest_is_refused() -> None:
    with pytest.raises(FormatError):
        bytes_to_sign(b"text", "text/plain", about(), SIGNER)
    with pytest.raises(FormatError):
        bytes_to_sign(b"no picture", PNG, about(), SIGNER)
    with pytest.raises(FormatError):
        read_manifest(png(), "text/plain")
