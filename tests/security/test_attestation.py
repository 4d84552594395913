"""Security cases about attestations and what is delivered: SC-65 to SC-70."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from hashlib import md5, sha1, sha256, sha384, sha512
from typing import Any
from zlib import crc32

import pytest

from contracts import ENGAGEMENT, HIRER, PROVIDER, STRANGER
from packs import Hire
from parties import NOW, Party
from support import counted_calls
from undersigned.attestation import make_statement, provenance, verify_foreign_statement, verify_statement, work
from undersigned.daemon.sbom import MAX_MEMBERS, bill_of_materials, read_distribution
from undersigned.encoding import base64_encode, canonicalize, decode_json, digest_bytes, shift
from undersigned.errors import FormatError, UndersignedError, VerificationError
from undersigned.evidence import verify_pack
from undersigned.evidence.archive import read_archive, write_archive
from undersigned.messages import Artifact
from undersigned.testing import Playbook, closing, delivery, review, terminate

ARTIFACT = b"the artifact"
ARTIFACTS = {"out.bin": digest_bytes(ARTIFACT)}
CONTRACT = digest_bytes(b"contract 1")


def claim(builder: Party = PROVIDER, contract: str = CONTRACT) -> bytes:
    return make_statement(
        ARTIFACTS,
        work(
            contract=contract,
            engagement=ENGAGEMENT,
            provider=builder.did,
            task="sbom",
            inputs={},
            actions=[],
            usage=[],
            started_on=NOW,
            finished_on=NOW,
        ),
    )


def code(document: Any, artifact: bytes | None = None, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "attester": PROVIDER.did,
        "keys": PROVIDER.keys,
        "contract": CONTRACT,
        "artifacts": ARTIFACTS if artifact is None else {"out.bin": artifact},
    }
    try:
        verify_statement(document, **(fields | changes))
    except VerificationError as refused:
        return refused.code
    return ""


@pytest.mark.parametrize("artifact", [ARTIFACT[:-1], b"", bytes([ARTIFACT[0] ^ 1]) + ARTIFACT[1:], ARTIFACT + b"\0"])
def test_sc_65_another_artifact_by_one_bit(artifact: bytes) -> None:
    """HIRE-ATT-03."""
    document = PROVIDER.seal_statement(claim())
    assert code(document, ARTIFACT) == ""
    assert code(document, artifact) == "digest_mismatch"
    assert code(document, artifacts={"out.bin": digest_bytes(artifact)}) == "digest_mismatch"
    assert code(document, artifacts={"other.bin": digest_bytes(ARTIFACT)}) == "digest_mismatch"
    assert code(document, artifacts={}) == "digest_mismatch"


def test_sc_66_another_contract() -> None:
    """HIRE-ATT-04."""
    other = digest_bytes(b"contract 2")
    for payload in (
        claim(contract=other),
        make_statement(
            ARTIFACTS,
            provenance(
                contract=other,
                clauses=[],
                provider=PROVIDER.did,
                task="sbom",
                inputs={},
                invocation_id="1",
                started_on=NOW,
                finished_on=NOW,
            ),
        ),
    ):
        document = PROVIDER.seal_statement(payload)
        assert code(document) == "attestation_binding"
        assert code(document, contract=other) == ""


def test_sc_67_a_forged_builder() -> None:
    """HIRE-ATT-02, HIRE-ATT-05."""
    assert code(PROVIDER.seal_statement(claim(builder=STRANGER))) == "attester_not_trusted"
    assert code(HIRER.seal_statement(claim(builder=HIRER))) == "attester_not_trusted"
    assert code(HIRER.seal_statement(claim())) == "attester_not_trusted"
    # The name of a key helps nobody who does not hold it.
    posing = HIRER.seal_statement(claim())
    posing["signatures"][0]["keyid"] = PROVIDER.method
    assert code(posing) == "proof_invalid"
    # Nor does a key of somebody else among those that are believed.
    assert code(HIRER.seal_statement(claim()), keys=PROVIDER.keys | HIRER.keys) == "attester_not_trusted"


RIGHT = sha256(ARTIFACT).hexdigest()


@pytest.mark.parametrize(
    "digests",
    [
        {"sha1": sha1(ARTIFACT).hexdigest()},
        {"md5": md5(ARTIFACT).hexdigest()},
        {"sha3_256": RIGHT},
        {"SHA256": RIGHT},
        {"sha256": RIGHT.upper()},
        {"sha256": RIGHT[:-1]},
        {"sha256": RIGHT + "0"},
        {"sha256": RIGHT[:-1] + " "},
        {"sha256": ""},
        {"sha256": sha256(b"").hexdigest()},
        {"sha256": RIGHT, "sha512": "0" * 127},
        {"sha256": sha256(b"other").hexdigest(), "sha512": sha512(ARTIFACT).hexdigest()},
        {"sha384": sha384(b"other").hexdigest()},
    ],
)
def test_sc_68_weak_wrong_or_several_digests(digests: dict[str, str]) -> None:
    """HIRE-ATT-03."""
    statement: Any = decode_json(claim())
    statement["subject"][0]["digest"] = digests
    document = PROVIDER.seal_statement(canonicalize(statement))
    # With the artifact's bytes, and with its digest alone.
    for artifact in (ARTIFACT, None):
        assert code(document, artifact) == "digest_mismatch"


def test_sc_68_a_second_digest_is_held_against_the_bytes() -> None:
    """HIRE-ATT-03: where they are there."""
    statement: Any = decode_json(claim())
    statement["subject"][0]["digest"] = {"sha256": RIGHT, "sha512": sha512(b"other").hexdigest()}
    document = PROVIDER.seal_statement(canonicalize(statement))
    assert code(document, ARTIFACT) == "digest_mismatch"
    assert code(document, None) == ""


def test_sc_68_subjects_are_listed_once() -> None:
    statement: Any = decode_json(claim())
    statement["subject"] *= 2
    assert code(PROVIDER.seal_statement(canonicalize(statement))) == "digest_mismatch"


def limited(act: Callable[[], object]) -> str:
    """The code with which it is refused."""
    with pytest.raises(UndersignedError) as refused:
        act()
    return refused.value.code


@pytest.mark.parametrize("count", [65, 1000, 1_000_000])
def test_sc_69_a_statement_about_more_than_is_read(count: int) -> None:
    """65 are one too many; a million do not fit into an envelope, and nothing decodes them."""
    statement: Any = decode_json(claim())
    (subject,) = statement["subject"]
    statement["subject"] = ["all of them"]
    written = json.dumps(subject).encode()
    payload = json.dumps(statement).encode().replace(b'"all of them"', written + (b", " + written) * (count - 1))
    # So many megabytes are not worth a signature that nobody may look at.
    document = PROVIDER.seal_statement(payload if count <= 1000 else claim())
    document["payload"] = base64_encode(payload)
    fields: dict[str, Any] = {"keys": PROVIDER.keys, "artifacts": ARTIFACTS, "contract": CONTRACT}
    assert limited(lambda: verify_statement(document, attester=PROVIDER.did, **fields)) == "too_large"
    kinds = {statement["predicateType"]}
    act = partial(
        verify_foreign_statement, document, keys=PROVIDER.keys, artifact=ARTIFACTS["out.bin"], predicate_types=kinds
    )
    assert limited(act) == "too_large"


METADATA = b"Metadata-Version: 2.1\nName: a\nVersion: 1\n"


def wheel(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"a.dist-info/METADATA": METADATA, **files}.items():
            archive.writestr(name, data)
    return made.getvalue()


def test_an_empty_artifact_is_told_as_that() -> None:
    with pytest.raises(FormatError, match="not a wheel or source distribution: it is empty"):
        read_distribution(b"")


def test_sc_69_an_archive_in_an_archive_is_one_file() -> None:
    """What is inside is hashed and never opened, so nesting costs nothing."""
    inner = wheel(bomb=bytes(10_000_000))
    found = read_distribution(wheel(nested=inner))
    assert dict(found.files)["nested"] == sha256(inner).hexdigest()
    assert "bomb" not in dict(found.files)


@pytest.mark.parametrize("size", [2**40, 257 * 1024 * 1024], ids=["1 TiB", "257 MiB"])
def test_sc_69_a_claim_of_a_terabyte_is_refused_before_a_byte_is_read(size: int) -> None:
    """In a tar archive the header says it; in a zip archive the directory does."""
    made = io.BytesIO()
    header = tarfile.TarInfo("a-1/PKG-INFO")
    header.size = size
    made.write(header.tobuf(format=tarfile.GNU_FORMAT))
    assert limited(lambda: read_distribution(made.getvalue() + bytes(10240))) == "too_large"

    if size < 2**32:
        data = wheel(big=b"x" * 100)
        place = data.rindex(b"PK\x01\x02")
        claimed = data[: place + 24] + size.to_bytes(4, "little") + data[place + 28 :]
        assert limited(lambda: read_distribution(claimed)) == "too_large"


def header(name: str, kind: bytes, size: int = 0) -> bytes:
    """Of one member of a tar archive."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def bomb_of_bzip2(size: int) -> bytes:
    """A zip archive whose one member becomes `size` bytes, of which its directory says 1,000."""
    packed, said = bz2.compress(bytes(size)), 1000
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.dist-info/METADATA", packed)
    data = bytearray(made.getvalue())
    for place, method in ((0, 8), (data.rindex(b"PK\1\2"), 10)):
        data[place + method : place + method + 2] = zipfile.ZIP_BZIP2.to_bytes(2, "little")
        data[place + method + 6 : place + method + 10] = crc32(bytes(said)).to_bytes(4, "little")
        data[place + method + 14 : place + method + 18] = said.to_bytes(4, "little")
    return bytes(data)


def records(count: int) -> bytes:
    """A zip archive whose directory lists its one member so often."""
    made = wheel()
    start, end = made.index(b"PK\1\2"), made.rindex(b"PK\5\6")
    listed = made[start:end] * count
    return made[:start] + listed + made[end : end + 12] + len(listed).to_bytes(4, "little") + made[end + 16 :]


def thirsty(size: int) -> bytes:
    """An xz file of so many zeros, whose header has its reader keep 4 GiB of what it has read."""
    made = bytearray(lzma.compress(header("x", tarfile.REGTYPE, size) + bytes(size)))
    made[16] = 40  # behind twelve bytes of the file, the size and kind of its block, and the filter
    end = 12 + 4 * (made[12] + 1)
    made[end - 4 : end] = crc32(made[12 : end - 4]).to_bytes(4, "little")
    return bytes(made)


LARGE = 50_000_000
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "what becomes more than is said of it": ("bad_request", lambda: bomb_of_bzip2(LARGE)),
    "a header without end": ("too_large", lambda: lzma.compress(header("x", tarfile.XHDTYPE, LARGE) + bytes(LARGE))),
    "a name without end": (
        "too_large",
        lambda: lzma.compress(header("x", tarfile.GNUTYPE_LONGNAME, LARGE) + b"a" * LARGE),
    ),
    "what is of no known kind": ("too_large", lambda: lzma.compress(header("x", b"Z", LARGE) + bytes(LARGE))),
    "what has its reader keep all": ("bad_request", lambda: thirsty(LARGE)),
    "folders without end": ("too_large", lambda: gzip.compress(header("d", tarfile.DIRTYPE) * (MAX_MEMBERS + 1))),
    "streams without end": ("too_large", lambda: gzip.compress(b"") * (MAX_MEMBERS + 1)),
    "streams of bzip2 without end": ("too_large", lambda: bz2.compress(b"") * (MAX_MEMBERS + 1)),
    "streams of xz without end": ("too_large", lambda: lzma.compress(b"") * (MAX_MEMBERS + 1)),
    "records without end": ("too_large", lambda: records(MAX_MEMBERS + 1)),
    # Such a member ends where it begins, and is the next one again.
    "a member that leads back": (
        "bad_request",
        lambda: header("d", tarfile.DIRTYPE) + header("x", b"Z", -512) + bytes(1024),
    ),
    "a header that leads back": (
        "bad_request",
        lambda: header("d", tarfile.DIRTYPE) + header("x", tarfile.XHDTYPE, -1024) + bytes(1024),
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_sc_69_an_archive_that_grows_is_refused_before_it_does(bomb: str) -> None:
    """Whoever reads it holds little more than what came, and comes to an end."""
    expected, make = BOMBS[bomb]
    data = make()
    tracemalloc.start()
    try:
        assert limited(lambda: read_distribution(data)) == expected
        assert tracemalloc.get_traced_memory()[1] < LARGE / 3  # xz itself takes 8 MiB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("where", ["name", "zeros"])
def test_sc_69_what_is_in_a_gzip_file_beside_its_streams_takes_no_step_for_each_byte(where: str) -> None:
    """The time that 64 MiB of it take of whoever reads it is short, and everybody else's turn comes."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        info = tarfile.TarInfo("a-1/PKG-INFO")
        info.size = len(METADATA)
        archive.addfile(info, io.BytesIO(METADATA))
    data = gzip.compress(held.getvalue())
    if where == "name":
        data = data[:3] + b"\x08" + data[4:10] + b"a" * 1_000_000 + b"\0" + data[10:]
    else:
        data = gzip.compress(b"") + bytes(1_000_000) + data

    with counted_calls() as calls:
        found = read_distribution(data)
    assert found.name == "a"
    assert calls() < 25_000


def test_sc_69_what_is_said_of_all_members_is_little() -> None:
    """The library copies it to each of them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", pax_headers={f"f{at}": "" for at in range(100)}) as archive:
        archive.addfile(tarfile.TarInfo("a-1/PKG-INFO"))
    assert limited(lambda: read_distribution(made.getvalue())) == "too_large"


def test_a_name_that_an_archive_holds_twice_is_refused() -> None:
    """Of two files with one name the bill would list one, and an installer might take the other."""
    made = io.BytesIO(wheel(one=b"first"))
    with zipfile.ZipFile(made, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("one", b"second")
    assert limited(lambda: read_distribution(made.getvalue())) == "bad_request"


def test_a_name_of_slashes_is_none() -> None:
    """No package URL can be made of it."""
    data = wheel(**{"a.dist-info/METADATA": METADATA.replace(b"Name: a", b"Name: /")})
    assert limited(lambda: bill_of_materials(data, "a.whl")) == "bad_request"


def test_a_package_that_is_required_twice_is_one_component() -> None:
    """As one version for an old Python and another for a new one. And the same archive has the same bill."""
    wanted = b"Requires-Dist: n>=1; python_version<'3.9'\nRequires-Dist: n>=2; python_version>='3.9'\n"
    data = wheel(**{"a.dist-info/METADATA": METADATA + wanted})
    bill: Any = json.loads(bill_of_materials(data, "a.whl"))
    (required,) = (one for one in bill["components"] if one["type"] == "library")
    assert [one["value"] for one in required["properties"]] == [">=1", ">=2"]
    (root, *_) = bill["dependencies"]
    assert root["dependsOn"] == [required["bom-ref"]]
    assert bill_of_materials(data, "a.whl") == bill_of_materials(data, "a.whl")


def test_sc_69_a_manifest_that_lists_itself() -> None:
    """No member can hold its own digest; one that says so is no pack."""
    data = Hire().whole().pack()
    members = read_archive(data)
    manifest: Any = decode_json(members["manifest.json"])
    own = {"path": "manifest.json", "digest": digest_bytes(members["manifest.json"]), "kind": "message"}
    manifest["members"] = sorted([*manifest["members"], own], key=lambda one: one["path"])
    listing = write_archive({**members, "manifest.json": canonicalize(manifest)})
    report = verify_pack(listing, now=shift(NOW, 365 * 86400))
    assert verify_pack(data, now=shift(NOW, 365 * 86400)).ok
    assert (report.ok, report.steps[0].ok) == (False, False)


def test_sc_70_a_second_delivery_after_fulfilment() -> None:
    """HIRE-ATT-07: another artifact, as late as one likes; and the hirer cannot send one in the provider's place."""
    playbook = Playbook("working")
    playbook.provider >> delivery()
    playbook.refused("wrong_state", lambda: playbook.provider >> delivery())
    playbook.hirer >> review("accepted")
    other = (Artifact(name="sbom.json", digest=digest_bytes(b"another"), media_type="application/json"),)
    for state in ("closing", "closed"):
        playbook.agree(state)
        playbook.refused("already_fulfilled", lambda: playbook.provider >> delivery(artifacts=other))
        playbook.refused("wrong_state", lambda: playbook.hirer >> delivery(artifacts=other))
        if state == "closing":
            playbook.expect(closing(), closing(), state="closed")


def test_sc_70_a_delivery_after_rejection_or_revocation_fulfils_nothing() -> None:
    """What was refused or ended is not made good by a later statement; nothing was fulfilled, so the state says it."""
    playbook = Playbook("working")
    playbook.provider >> delivery()
    playbook.hirer >> review("rejected")
    playbook.refused("wrong_state", lambda: playbook.provider >> delivery())

    ended = Playbook("working")
    ended.hirer >> terminate("key_compromised")
    ended.refused("wrong_state", lambda: ended.provider >> delivery())


def test_sc_70_a_late_delivery_is_judged_by_the_time_at_which_it_was_recorded() -> None:
    """The hirer's clock decides: a delivery past `finish` is taken and gives the hirer its right to end."""
    playbook = Playbook("working")
    finish = playbook.hirer.party.engagement.offer.terms.deadlines.finish
    playbook.clock.set(shift(finish, 1))
    playbook.provider >> delivery()
    hirer, provider = (side.party.engagement.contract for side in (playbook.hirer, playbook.provider))
    assert (hirer.missed, provider.missed) == (("finish",), ())
    playbook.hirer >> terminate("deadline")
    playbook.agree("closing")
