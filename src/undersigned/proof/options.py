"""The options of a proof (all of it but `proofValue`): how they are written, and the closed shape they must have.

Source: protocol-spec/04-envelope-and-digests.md, section 4.5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast

from undersigned.encoding import DidUrl, Instant, JsonObject, parse_instant, read_moment, shift
from undersigned.errors import ProofError

__all__ = ["MAX_SKEW_SECONDS", "Purpose", "check_options", "check_times", "previous_proofs", "proof_config"]

Purpose: TypeAlias = Literal["authentication", "assertionMethod"]
"""What a proof is made for; also the name of the relationship its key must be listed under."""

MAX_SKEW_SECONDS: Final = 60
"""How far ahead of our clock `created` may lie; inclusive. `expires` is taken as it is, inclusive too."""

_MEMBERS: Final = frozenset(
    {
        "@context",
        "challenge",
        "created",
        "cryptosuite",
        "domain",
        "expires",
        "id",
        "nonce",
        "previousProof",
        "proofPurpose",
        "proofValue",
        "type",
        "verificationMethod",
    }
)


def proof_config(
    suite: str,
    method: DidUrl,
    purpose: str,
    created: Instant,
    expires: Instant | None = None,
    challenge: str | None = None,
    domain: str | None = None,
    previous_proof: str | Sequence[str] | None = None,
    id: str | None = None,
) -> JsonObject:
    """The options of a proof to be made. Absent ones are left out.

    `previous_proof` is the id, or the ids, of the proofs on the same document that this one builds on; each must have
    an `id` of its own.
    """
    config: JsonObject = {
        "type": "DataIntegrityProof",
        "cryptosuite": suite,
        "created": created,
        "verificationMethod": method,
        "proofPurpose": purpose,
    }
    if id is not None:
        config["id"] = id
    if expires is not None:
        config["expires"] = expires
    if challenge is not None:
        config["challenge"] = challenge
    if domain is not None:
        config["domain"] = domain
    if previous_proof is not None:
        config["previousProof"] = previous_proof if isinstance(previous_proof, str) else list(previous_proof)
    return config


def check_options(proof: Any, *, path: str = "/proof") -> JsonObject:
    """The proof, once its shape is that of a Data Integrity proof and nothing else.

    Raises:
        ProofError: `proof_missing` (null, empty or not an object), `suite_not_allowed` (another type, or no suite),
            `unknown_term` (a member that no proof has), `schema_violation` (one of another shape, or missing).
    """
    if not proof or not isinstance(proof, dict):
        raise ProofError("proof_missing", f"expected a proof; came {type(proof).__name__}", path=path)
    members = cast("dict[str, Any]", proof)
    if members.get("type") != "DataIntegrityProof" or "cryptosuite" not in members:
        # Every older type names its suite by its type; none of them is taken.
        raise ProofError("suite_not_allowed", "expected a DataIntegrityProof with its cryptosuite", path=path)
    for name, value in members.items():
        if type(value) is str and value and name in _MEMBERS:
            continue
        if name not in _MEMBERS:
            raise ProofError("unknown_term", f"expected members of a proof; came {name[:64]!r}", path=path)
        if name == "@context":
            continue
        texts = cast("list[Any]", value) if name == "previousProof" and isinstance(value, list) else []
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise ProofError("schema_violation", f"expected text in {name}", path=f"{path}/{name}")
    for name in ("verificationMethod", "proofPurpose", "proofValue"):
        if name not in members:
            raise ProofError("schema_violation", f"expected a proof with {name}", path=path)
    return members


def check_times(proof: JsonObject, now: Instant | None, *, path: str = "/proof") -> None:
    """Refuse a proof that was made ahead of time or is past its expiry; without `now` only a contradictory one.

    Both ends are inclusive: `created` may be up to 60 s ahead of `now`, and at `expires` itself the proof is good.
    A time must name its zone, and 60 is not a second.

    Raises:
        ProofError: `proof_from_future`, `proof_expired`, `proof_invalid` (`created` after `expires`),
            `schema_violation` (not a time).
    """
    created = _moment(proof, "created", path)
    expires = _moment(proof, "expires", path)
    if created is not None and expires is not None and created > expires:
        raise ProofError("proof_invalid", f"expected created before expires; came {created} and {expires}", path=path)
    if now is None:
        return
    if created is not None and created > parse_instant(shift(now, MAX_SKEW_SECONDS)):
        text = f"expected at most {MAX_SKEW_SECONDS} s after {now}; came {created}"
        raise ProofError("proof_from_future", text, path=f"{path}/created")
    if expires is not None and expires < parse_instant(now):
        raise ProofError("proof_expired", f"expected {now} or later; came {expires}", path=f"{path}/expires")


def previous_proofs(proof: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids that `previousProof` names; none if there is no such member."""
    named: Any = proof.get("previousProof")
    if named is None:
        return ()
    return (named,) if isinstance(named, str) else tuple(named)


def _moment(proof: JsonObject, name: str, path: str) -> datetime | None:
    """A time as XML Schema writes it, with its zone; ours are whole seconds of UTC, those of others may be finer."""
    text = proof.get(name)
    if text is None:
        return None
    found = read_moment(text)
    if found is None:
        raise ProofError("schema_violation", f"expected a time with its zone; came {text!a:.60}", path=f"{path}/{name}")
    return found
