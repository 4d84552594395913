"""Writes `protocol-spec/vectors/`: the same files each time, since keys come from published seeds.

python protocol-spec/tools/make_vectors.py           writes them
python protocol-spec/tools/make_vectors.py --check   says what differs, and fails if anything does
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent
VECTORS = TOOLS.parent / "vectors"
sys.path[:0] = [str(TOOLS)]
if (TOOLS.parent.parent / "src").is_dir():
    sys.path[:0] = [str(TOOLS.parent.parent / "src")]

from requirements_data import case_members
from vector_audits import audit_vectors
from vector_below import below_vectors
from vector_bills import bill_vectors
from vector_changes import change_vectors
from vector_connections import connection_vectors
from vector_contracts import contract_vectors
from vector_deliveries import delivery_vectors, review_vectors
from vector_documents import document_vectors
from vector_graphs import graph_vectors
from vector_guards import guard_vectors
from vector_journals import journal_vectors
from vector_keys import key_vectors
from vector_linkage import linkage_vectors
from vector_messages import message_vectors
from vector_packs import pack_vectors
from vector_parts import Vector
from vector_presentations import presentation_vectors
from vector_records import record_vectors
from vector_requests import request_vectors
from vector_scopes import scope_vectors
from vector_subcontracts import subcontract_vectors
from vector_verdicts import verdict_vectors


def every() -> Iterator[Vector]:
    yield from connection_vectors()
    yield from message_vectors()
    yield from document_vectors()
    yield from journal_vectors()
    yield from guard_vectors()
    yield from change_vectors()
    yield from contract_vectors()
    yield from key_vectors()
    yield from linkage_vectors()
    yield from scope_vectors()
    yield from delivery_vectors()
    yield from review_vectors()
    yield from pack_vectors()
    yield from record_vectors()
    yield from audit_vectors()
    yield from bill_vectors()
    yield from below_vectors()
    yield from presentation_vectors()
    yield from graph_vectors()
    yield from request_vectors()
    yield from subcontract_vectors()
    yield from verdict_vectors()


def text(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


def wanted() -> dict[str, bytes]:
    """Path below `vectors/` -> bytes; the index `README.md` is written by `generate.py`."""
    files: dict[str, bytes] = {}
    for vector in every():
        assert f"{vector.name}/input.json" not in files, f"{vector.name} twice"
        files[f"{vector.name}/README.md"] = f"{vector.says[0].upper()}{vector.says[1:]}.\n".encode()
        files[f"{vector.name}/input.json"] = vector.input
        files[f"{vector.name}/case.json"] = text(vector.case | case_members(vector.name))
        files[f"{vector.name}/expected.json"] = text(vector.expected)
        files |= {f"{vector.name}/{name}": data for name, data in vector.files.items()}
    manifest = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    return {**files, "MANIFEST.sha256": manifest.encode()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    check = parser.parse_args().check
    files = wanted()
    there = {str(path.relative_to(VECTORS)) for path in VECTORS.rglob("*") if path.is_file()} - {"README.md"}
    stale = [name for name, data in files.items() if name not in there or (VECTORS / name).read_bytes() != data]
    extra = sorted(there - files.keys())
    for name in stale if not check else []:
        (VECTORS / name).parent.mkdir(parents=True, exist_ok=True)
        (VECTORS / name).write_bytes(files[name])
    for name in extra if not check else []:
        (VECTORS / name).unlink()
    for name in stale + extra if check else []:
        print(f"vectors/{name} differs")
    print(f"{len(files)} files, {len(stale) + len(extra)} {'differ' if check else 'written or removed'}")
    return 1 if check and stale + extra else 0


if __name__ == "__main__":
    sys.exit(main())
