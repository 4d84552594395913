"""Kinds of task and formats of bills of materials that this library knows; an application names others itself."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from undersigned.attestation.predicates import OF_WORK
from undersigned.contract import Terms

__all__ = ["SBOM_FORMATS", "TASKS", "KnownTask", "SbomFormat", "unstated"]


class SbomFormat(msgspec.Struct, frozen=True, kw_only=True):
    """A format of bills of materials that can be asked for, because what comes can be checked."""

    name: str
    """What the bill is called among the deliverables."""
    media_type: str
    library: str
    """What reads it."""
    extra: str
    """The extra that has the library."""


SBOM_FORMATS: Mapping[str, SbomFormat] = {
    "CycloneDX 1.6": SbomFormat(
        name="bill.cdx.json", media_type="application/vnd.cyclonedx+json", library="cyclonedx", extra="prov"
    ),
    "SPDX 2.3": SbomFormat(
        name="bill.spdx.json", media_type="application/spdx+json", library="spdx_tools", extra="spdx"
    ),
}
"""By format and version, as terms name them."""


class KnownTask(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of task whose deliverable and criteria this library knows."""

    summary: str
    deliverable: str
    media_type: str
    criteria: dict[str, str]
    inputs: tuple[str, ...] = ()
    """Names of the inputs without which it cannot be done."""
    sbom: str | None = None


TASKS: Mapping[str, KnownTask] = {
    "sbom": KnownTask(
        summary="A CycloneDX 1.6 software bill of materials of the artifact",
        deliverable="sbom.cdx.json",
        media_type="application/vnd.cyclonedx+json",
        criteria={
            "schema-valid": "valid against the strict CycloneDX 1.6 JSON schema",
            "describes-artifact": "describes the artifact by its SHA-256",
            "lists-every-file": "lists every file of the artifact with its SHA-256",
        },
        inputs=("artifact",),
        sbom="CycloneDX 1.6",
    )
}
"""Kinds of task known here; an application names deliverable and criteria of its own."""


def unstated(terms: Terms) -> str | None:
    """What terms ask for that no delivery of ours could have, and for want of which whatever we make could be rejected;
    None if nothing.
    """
    asked = terms.evidence
    if not OF_WORK.keys() >= set(asked.predicates):
        return "/evidence/predicates"
    return None if asked.sbom is None or asked.sbom in SBOM_FORMATS else "/evidence/sbom"
