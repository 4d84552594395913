"""What a credential of ours says, for people: the options that name it, and the sentence that tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from msgspec.structs import fields

from undersigned.credentials import (
    CLAIMS,
    AccreditedBy,
    Accusation,
    AuditedBy,
    Authority,
    Claim,
    Credential,
    Endorsement,
    Membership,
    PartOf,
    Performance,
    SuppliesTo,
    read_claim,
)
from undersigned.did import parse_did
from undersigned.encoding import Did, to_struct
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.trust import KINDS, Kind

from .output import checking
from .words import counted, plain

__all__ = ["OPTIONS", "claim_of", "told"]

OPTIONS: Final[Mapping[str, str]] = {
    "may_attest": "capability",
    "capability": "capability",
    "accredited_for": "capability",
    "depth": "depth",
    "weight": "weight",
    "contract": "contract",
    "outcome": "outcome",
    "kind": "kind",
    "evidence": "evidence",
    "audited_for": "standard",
}
"""From each member of a claim that somebody has to say to the option that says it."""

WANTED: Final[Mapping[str, str]] = {
    "capability": "a name of at most 256 characters, as profiles and needs have it, such as sbom",
    "depth": "a whole number from 0 to 16",
    "weight": "a decimal from 0 to 1 without trailing zeros, such as 0.5",
    "contract": "a digest, such as uEi…, as 'ledger list' shows it",
    "outcome": "accepted, rejected or failed",
    "kind": "equivocation, breach or distrust",
    "evidence": "a file, or its digest, such as uEi…",
    "standard": "text of at most 1,024 characters",
}
"""What each option has to look like."""


def claim_of(kind: str, subject: Did, issuer: Did, given: Mapping[str, Any]) -> Claim:
    """The claim of this `kind` (a name of `KINDS`) about `subject`; `given` are the options, by name, None if absent.

    Raises:
        ConfigurationError: `bad_configuration`: no DID, an option that the kind has not, one that it lacks, or a value
            of another shape.
    """
    with checking("SUBJECT"):
        parse_did(subject)
    of = KINDS[cast("Kind", kind)].claim
    members: dict[str, Any] = {"id": subject}
    taken: dict[str, str] = {}  # option by member
    missing: list[str] = []
    for field in fields(of):
        if field.name == of.by:
            members[field.encode_name] = issuer
        elif field.name in OPTIONS:
            option = taken[field.encode_name] = OPTIONS[field.name]
            if given.get(option) is not None:
                members[field.encode_name] = given[option]
            elif field.required:
                missing.append(f"--{option}")
    takes = f"{kind} takes {', '.join(f'--{option}' for option in taken.values()) or 'a subject and no more'}"
    if missing:
        raise ConfigurationError("bad_configuration", f"{' and '.join(missing)} missing: {takes}")
    if strange := [
        f"--{option}" for option, value in given.items() if value is not None and option not in taken.values()
    ]:
        raise ConfigurationError("bad_configuration", f"{' and '.join(strange)} not taken: {takes}")
    try:
        return to_struct(members, of)
    except UndersignedError as error:
        option = taken.get(error.path.removeprefix("/"), "")
        wanted = f"--{option}: expected {WANTED[option]}; got {plain(given[option], 80)}" if option else error.message
        raise ConfigurationError("bad_configuration", wanted) from error


def told(credential: Credential) -> str:
    """What the credential says, in a sentence without its issuer."""
    if CLAIMS.keys().isdisjoint(credential.types):
        about = ", ".join(plain(subject.get("id", "somebody"), 200) for subject in credential.subjects)
        return f"says something about {about}: {plain(', '.join(credential.types), 200)}"
    claim = read_claim(credential)
    return _sentence(claim).format(id=plain(claim.id, 200))


def _sentence(claim: Claim) -> str:
    match claim:
        case Membership():
            return "operates {id}"
        case Authority(may_attest=capability, depth=depth):
            below = f"{counted(depth, 'further authority', 'further authorities')} below it" if depth else "and no more"
            return f"believes what {{id}} attests about {_text(capability)}, {below}"
        case Endorsement(capability=capability, weight=weight):
            return f"says that {{id}} can do {_text(capability)}" + (f", at {weight} of 1" if weight else "")
        case Performance(outcome=outcome, contract=contract, capability=capability):
            what = f" ({_text(capability)})" if capability else ""
            return f"says that the work of {{id}}{what} was {outcome}, under contract {contract}"
        case Accusation(kind=kind, evidence=evidence):
            return f"accuses {{id}} of {kind}, by evidence {evidence}"
        case PartOf():
            return "says that {id} is a part of it"
        case SuppliesTo():
            return "says that {id} supplies it"
        case AccreditedBy(accredited_for=capability):
            return f"accredits {{id}} for {_text(capability)}"
        case AuditedBy(audited_for=standard):
            return f"has audited {{id}} against {_text(standard)}"
        case _:
            return f"says {claim.type} of {{id}}"


def _text(text: str) -> str:
    return plain(text, 200).replace("{", "{{").replace("}", "}}")
