"""What `credentialSchema` asks of a credential: only schemas that are known here can be checked.

Each type of ours has a JSON Schema, published with the specification and written from the struct that reads the type;
to hold it against the schema is to read it with the struct. Schemas are never fetched.

Source: protocol-spec/11-credentials.md, section 11.4; W3C Verifiable Credentials JSON Schema Specification, section 3
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from undersigned.credentials.claims import CLAIMS, read_claim
from undersigned.credentials.model import Credential, wrong
from undersigned.encoding import JsonObject
from undersigned.errors import CredentialError

__all__ = ["SCHEMAS", "check_schemas", "schema_id"]

_BASE: Final = "https://w3id.org/hire/v1/schemas/credentials/"


def schema_id(type: str) -> str:
    """The `$id` of the JSON Schema of one of our types of credential."""
    return f"{_BASE}{type}.json"


SCHEMAS: Final[Mapping[str, str]] = MappingProxyType({schema_id(type): type for type in CLAIMS})
"""From the id of each schema that is known to the type of credential that it describes."""


def check_schemas(credential: Credential) -> None:
    """Return if the credential fits every schema that it names.

    Raises:
        CredentialError: `policy_denied`: a schema that is not known here, so that it could not be checked;
            `schema_violation`: of another type than its schema describes; and as `read_claim`.
        FormatError: As `read_claim`.
    """
    named: Any = credential.json.get("credentialSchema", [])
    for place, entry in enumerate(cast("list[JsonObject]", named if isinstance(named, list) else [named])):
        path = f"/credentialSchema/{place}" if isinstance(named, list) else "/credentialSchema"
        described = SCHEMAS.get(str(entry.get("id")))
        if entry.get("type") != "JsonSchema" or described is None:
            came = f"{entry.get('type')!a:.64} {entry.get('id')!a:.160}"
            raise CredentialError("policy_denied", f"expected a schema that is known here; came {came}", path=path)
        if described not in credential.types:
            raise wrong(path, f"a schema of {', '.join(credential.types):.160}", entry.get("id"))
        read_claim(credential)
