"""Evidence that the terms ask for in what is delivered: a bill of materials, and manifests in media.

The libraries that read either are loaded only for a contract that asks for it.

Source: protocol-spec/08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib import import_module

from undersigned.contract import ContractDocument
from undersigned.encoding import Digest
from undersigned.errors import VerificationError
from undersigned.keys import PublicKey
from undersigned.messages import Delivery

from .contents import Contents
from .incoming import too_large
from .store import ArtifactStore

__all__ = ["check_bills", "check_media"]


async def check_bills(format: str, delivery: Delivery, artifacts: Contents, inputs: Mapping[str, Digest]) -> None:
    """Returns if the bill of materials is there, in the format that the terms name, valid, and of what was delivered
    (HIRE-ATT-09); `inputs` are those of the work, by name.

    Raises:
        FormatError, VerificationError: It is not.
    """
    media_types = {artifact.name: artifact.media_type for artifact in delivery.artifacts}
    # Loading the libraries and schema work take seconds, in which every other engagement would wait.
    bills = await asyncio.to_thread(import_module, "undersigned.attestation.bills")
    wanted = bills.MEDIA_TYPES.get(format.partition(" ")[0])
    given: dict[str, Digest | bytes] = {name: artifacts.digest(name) for name in artifacts}
    found = [name for name, kind in media_types.items() if kind == wanted]
    if (size := sum(map(artifacts.size, found))) > bills.MAX_BILLS_BYTES:
        raise too_large(bills.MAX_BILLS_BYTES, f"the bills have {size} together")
    for name in found:
        given[name] = await artifacts.read(name, bills.LIMITS.max_bytes)
    await asyncio.to_thread(bills.check_bills, format, given, media_types, inputs)


async def check_media(
    document: ContractDocument,
    delivery: Delivery,
    artifacts: Contents,
    keys: Mapping[str, PublicKey],
    store: ArtifactStore,
) -> None:
    """Returns if media carry a manifest of this contract, signed by a certificate of its anchors, which are in `store`,
    and by the provider with one of `keys` (HIRE-ATT-10).

    Raises:
        FormatError, VerificationError: They do not.
    """
    media = await asyncio.to_thread(import_module, "undersigned.attestation.media")
    anchors = [await store.get(digest) for digest in document.terms.evidence.anchors]
    # What the terms expect under its name is not got rid of by another word for it.
    kinds = {one.name: one.media_type for one in document.terms.deliverables}
    kinds |= {one.name: one.media_type for one in delivery.artifacts if one.media_type in media.MEDIA_TYPES}
    carrying = [one for one in delivery.artifacts if kinds.get(one.name) in media.MEDIA_TYPES]
    if not carrying and document.parent is None:
        raise VerificationError("digest_mismatch", "expected media with a C2PA manifest; nothing delivered is any")
    for one in carrying:
        media.check_size(artifacts.size(one.name))
        check = partial(
            media.check_media,
            await artifacts.read(one.name),
            kinds[one.name],
            contract=delivery.contract,
            agent=document.provider,
            keys=keys,
            anchors=anchors,
        )
        await asyncio.to_thread(check)
