"""Write the JSON Schemas and examples below `protocol-spec/schemas/`; with `--check`, say what differs and fail.

python protocol-spec/tools/schemas.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import example_credentials
from example_messages import conversation, refused

from undersigned.messages.schemas import credential_schemas, json_schemas

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"


def wanted() -> dict[str, str]:
    """Path below `schemas/` -> text."""
    files = {name: text(schema) for name, schema in (json_schemas() | credential_schemas()).items()}
    for name, message in conversation().items():
        files[f"examples/valid/{name}.json"] = text(json.loads(message.raw))
    for name, example in refused().items():
        files[f"examples/invalid/{name}.json"] = text(example)
    for name, credential in example_credentials.valid().items():
        files[f"examples/credentials/valid/{name}.json"] = text(credential)
    for name, example in example_credentials.invalid().items():
        files[f"examples/credentials/invalid/{name}.json"] = text(example)
    return files


def text(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Names of files that are missing, differ, or should not be there."""
    files = wanted()
    there = {str(path.relative_to(SCHEMAS)) for path in SCHEMAS.rglob("*.json")}
    differ = {name for name, content in files.items() if name in there and (SCHEMAS / name).read_text() != content}
    return sorted(differ | (files.keys() ^ there))


def main() -> int:
    """Write, or check."""
    if "--check" in sys.argv[1:]:
        for name in (names := stale()):
            print(f"protocol-spec/schemas/{name} differs: run python protocol-spec/tools/schemas.py")
        return 1 if names else 0
    files = wanted()
    for path in SCHEMAS.rglob("*.json"):
        if str(path.relative_to(SCHEMAS)) not in files:
            path.unlink()
    for name, content in files.items():
        path = SCHEMAS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
