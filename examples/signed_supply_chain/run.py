"""A wheel whose whole way is known: a hired agent builds it, has another agent list what is in it, and anybody can ask.

    .venv/bin/python examples/signed_supply_chain/run.py [FOLDER]

Everything is real: a source distribution and its wheel, four state folders with their own keys, three peers on sockets
of this machine, two contracts of which one stands under the other, a bill of materials in CycloneDX and provenance in
SLSA. FOLDER keeps all of it; by default it is a new temporary one. What to look at afterwards is told in README.md.
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from undersigned import HireResult, Job, Peer, Reviewed, create_home, issue_membership
from undersigned.attestation import ProvenancePredicate
from undersigned.daemon.sbom import check_bill, make_sbom, read_distribution, review_sbom
from undersigned.encoding import Did, decode_json
from undersigned.errors import UndersignedError
from undersigned.evidence import read_pack
from undersigned.runtime import Home
from undersigned.testing import free_ports

SDIST, WHEEL, BILL = "greeting-1.0.tar.gz", "greeting-1.0-py3-none-any.whl", "sbom.cdx.json"
PROVENANCE = "provenance.dsse.json"
SOURCE = Path(__file__).parent / "greeting"


def source_distribution() -> bytes:
    """The project in the folder `greeting`, as its author would publish it: the same bytes each time."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(SOURCE.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                info = archive.gettarinfo(file, f"greeting-1.0/{file.relative_to(SOURCE).as_posix()}")
                info.uid = info.gid = info.mtime = 0
                info.uname = info.gname = ""
                with file.open("rb") as content:
                    archive.addfile(info, content)
        metadata = b"Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"
        info = tarfile.TarInfo("greeting-1.0/PKG-INFO")
        info.size = len(metadata)
        archive.addfile(info, io.BytesIO(metadata))
    return packed.getvalue()


def build_wheel(sdist: bytes) -> bytes:
    """The wheel that pip builds of a source distribution, with the backend that the distribution brings along.

    A build runs the source's own code: whoever builds for strangers does it in a sandbox without a network.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SDIST).write_bytes(sdist)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run(  # noqa: S603
            [*pip, "--disable-pip-version-check", "--no-cache-dir", "--wheel-dir", folder, SDIST],
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        return (Path(folder) / WHEEL).read_bytes()


class Cast:
    """Acme hires Globex to build, Globex hires Initech to list; Umbrella is no party and wants to use it."""

    def __init__(self, folder: Path) -> None:
        acme, globex, initech = free_ports(3)
        builds, lists = (f"did:web:localhost%3A{port}:org" for port in (globex, initech))
        self.acme = self._home(folder, "Acme", acme, builds)
        self.globex = self._home(folder, "Globex", globex, office(self.acme), lists)
        self.initech = self._home(folder, "Initech", initech, builds)
        self.umbrella = create_home(folder / "umbrella", name="Umbrella", local=True, anchors=(builds, lists))

    def _home(self, folder: Path, name: str, port: int, *anchors: Did) -> Home:
        return create_home(folder / name.lower(), name=name, local=True, port=port, anchors=anchors)


def open_workshop(peer: Peer, initech: Did) -> None:
    """Globex builds; the bill of materials it has made by somebody who does nothing else."""

    @peer.offers("build", price="9.00 EUR", delivers=WHEEL)
    async def build(job: Job) -> None:
        wheel = await asyncio.to_thread(build_wheel, await job.read("sdist"))
        await job.deliver(WHEEL, wheel)
        listed = await job.hire(initech, task="sbom", inputs={"artifact": wheel}, price="3.00 EUR", review=review_sbom)
        await job.deliver(BILL, listed[BILL])


async def built_from_it(reviewed: Reviewed) -> Mapping[str, bool]:
    """Acme's look at what it gets: the sources are in the wheel as they were, and the bill is of this wheel."""
    wheel, bill = reviewed.artifacts[WHEEL], reviewed.artifacts[BILL]
    with tarfile.open(fileobj=io.BytesIO(reviewed.inputs["sdist"])) as archive:
        source = archive.extractfile("greeting-1.0/greeting.py")
        assert source is not None
        given = source.read()
    with zipfile.ZipFile(io.BytesIO(wheel)) as built:
        same = built.read("greeting.py") == given
    return {"from-the-source": same, "bill-of-it": all(check_bill(bill, wheel).values())}


async def have_it_built(peer: Peer, globex: Did) -> HireResult:
    return await peer.hire(
        globex,
        task="build",
        inputs={"sdist": source_distribution()},
        price="10.00 EUR",
        deliverable=(WHEEL, BILL),
        criteria={"from-the-source": "Its modules are those of the source.", "bill-of-it": "The bill is of the wheel."},
        review=built_from_it,
        subcontracting=1,
        onward=True,
    )


def provenance_in(pack: bytes) -> bytes:
    """The SLSA provenance in an evidence pack, in the envelope that the builder signed."""
    for _, data in read_pack(pack).of_kind("statement"):
        if ProvenancePredicate.PREDICATE_TYPE.encode() in decoded(data):
            return data
    raise AssertionError("the contract asks for provenance")


def decoded(envelope: bytes) -> bytes:
    found = decode_json(envelope)
    assert isinstance(found, dict)
    return b64decode(str(found["payload"]))


def undersigned(*arguments: object) -> str:
    """What the command `undersigned` writes; it must succeed."""
    command = [sys.executable, "-m", "undersigned.cli", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    if ended.returncode:
        raise AssertionError(f"{arguments}: {ended.stdout}{ended.stderr}")
    return ended.stdout


async def main(folder: Path) -> None:
    cast = Cast(folder)
    for home in (cast.acme, cast.globex, cast.initech):
        await issue_membership(home)
    print(f"State folders are in {folder}\n")
    async with Peer.open(cast.acme) as acme, Peer.open(cast.globex) as globex, Peer.open(cast.initech) as initech:
        open_workshop(globex, cast.initech.configuration.did)
        initech.offers("sbom", price="2.00 EUR", delivers=BILL, media_type="application/vnd.cyclonedx+json")(make_sbom)
        result = await have_it_built(acme, cast.globex.configuration.did)
        await asyncio.to_thread(keep, folder, cast, result)
        await asyncio.to_thread(tell, folder, cast)


def keep(folder: Path, cast: Cast, result: HireResult) -> None:
    """Writes what was delivered, and the packs."""
    for name in (WHEEL, BILL):
        (folder / name).write_bytes(result[name])
    for home in (cast.acme, cast.globex):
        undersigned("export", "--home", home.path, "--out", folder / f"{home.path.name}.zip", result.contract)
    (folder / PROVENANCE).write_bytes(provenance_in((folder / "acme.zip").read_bytes()))
    found = read_distribution(result[WHEEL])
    print(f"1. Built by Globex, listed by Initech under Globex's contract, accepted by Acme, for {result.price}:")
    for name in (WHEEL, BILL, PROVENANCE):
        print(f"   {name}, {(folder / name).stat().st_size} bytes")
    print(f"   {found.name} {found.version}, {len(found.files)} files\n")


def tell(folder: Path, cast: Cast) -> None:
    """Asks where the wheel is from: the hirer, by its own ledger; and somebody who was no party, by packs."""
    print("2. Acme asks its own ledger, and the pack that Globex gave it: where is the wheel from?\n")
    packs = ["--pack", folder / "globex.zip"]
    print(undersigned("trace", folder / WHEEL, "--home", cast.acme.path, *packs, "--picture", folder / "wheel.svg"))
    (folder / "wheel.prov.json").write_text(
        undersigned("trace", folder / WHEEL, "--home", cast.acme.path, *packs, "--prov")
    )
    print("3. Umbrella was no party. With the pack alone, where is the bill of materials from?\n")
    print(undersigned("trace", folder / BILL, "--home", cast.umbrella.path, *packs))
    print("4. And should Umbrella trust the wheel, as something built? The bill, as a bill of materials?\n")
    for name, purpose in ((WHEEL, "build"), (BILL, "sbom")):
        print(undersigned("check", folder / name, "--for", purpose, "--home", cast.umbrella.path, *packs))


def office(home: Home) -> Did:
    """The DID of the organisation of a state folder."""
    part = home.configuration.organisation
    assert part is not None
    return part.did


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="supply-chain-"))))
    except UndersignedError as error:
        sys.exit(f"\nIt ends here: {error}")
