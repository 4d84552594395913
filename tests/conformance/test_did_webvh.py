"""did:webvh 1.0: every published log, of five implementations, resolves or is refused as it is labelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import conformance_dir, refuses
from undersigned.did import fetches, history_from
from undersigned.encoding import FOREIGN_LIMITS, decode_json
from undersigned.errors import UndersignedError

pytestmark = pytest.mark.conformance

NOW = "2026-11-25T12:00:00Z"
PLACEHOLDER = "did:webvh:Qm0000000000000000000000000000000000000000000000"

DIFFERENT = {
    "witness-update/ts": "its second entry has one of the two witnesses that the first asks for; a new list counts "
    "only after the entry that brings it (1.0, Witness Lists)",
    "witness-update/java": "as ts",
    "witness-update/rust": "its witnesses are bare Multikeys, and 1.0 says did:key (The witness Parameter)",
}
"""Labelled as resolving, and refused here; with the reason."""


def _cases() -> list[object]:
    folder = conformance_dir()
    if folder is None:
        return [pytest.param(None, id="vectors absent")]
    root = folder / "did-webvh"
    return [
        pytest.param(path.parent, id=str(path.parent.relative_to(root))) for path in sorted(root.glob("*/*/did.jsonl"))
    ]


def _fetched(folder: Path, did: str) -> dict[str, bytes]:
    """What lies beside the log, under the URLs that are asked for, and nothing else."""
    fetched: dict[str, bytes] = {}
    while wanted := [url for url in fetches(did, fetched) if url not in fetched]:
        for url in wanted:
            fetched[url] = (folder / url.rpartition("/")[2]).read_bytes()
    return fetched


def _did(folder: Path, result: dict[str, Any]) -> str:
    """The DID to resolve: that of the result, of the log, or, for logs that were not kept, of the script."""
    if result["didDocument"] is not None:
        return result["didDocument"]["id"]
    raw = (folder / "did.jsonl").read_bytes()
    return json.loads(raw.splitlines()[0])["state"]["id"]


def _without_implicit(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the two services that a resolver adds."""
    services = [one for one in document.get("service", []) if one["id"].rpartition("#")[2] not in ("files", "whois")]
    return {**{name: value for name, value in document.items() if name != "service"}, "service": services}


def _resolved(folder: Path, result_file: Path) -> None:
    result = json.loads(result_file.read_text())
    did = _did(folder, result)
    history = history_from(did, _fetched(folder, did), now=NOW)
    version_id = result["didDocumentMetadata"].get("versionId", history.versions[-1].id)
    (version,) = [one for one in history.versions if one.id == version_id]
    document = decode_json(version.raw, FOREIGN_LIMITS)
    assert isinstance(document, dict)
    assert _without_implicit(document) == _without_implicit(result["didDocument"])
    assert result["didDocumentMetadata"]["created"] == history.versions[0].time
    assert result["didDocumentMetadata"].get("deactivated", False) == history.deactivated


@pytest.mark.parametrize("folder", _cases())
def test_logs(conformance: Path, folder: Path) -> None:
    name = str(folder.relative_to(conformance / "did-webvh"))
    if not (folder / "did.jsonl").read_bytes():
        return  # A DID to be refused before anything is fetched: `test_dids_that_lead_nowhere`.
    for file in sorted(folder.glob("resolutionResult*.json")):
        result = json.loads(file.read_text())
        if result["didDocument"] is not None and name not in DIFFERENT:
            _resolved(folder, file)
            continue
        did = _did(folder, result)
        with refuses(UndersignedError, "did_document_invalid"):
            history_from(did, _fetched(folder, did), now=NOW)


EXPECTED = {
    "negative-cross-did-witness-replay": "witnesses of 2-",
    "negative-did-key-body-fragment-mismatch": "not one of the keys allowed",
    "negative-pre-rotation-omit-updatekeys": "expected updateKeys and nextKeyHashes",
    "negative-scid-mismatch-genesis": "expected did:webvh:<SCID>",
    "negative-versiontime-future": "expected versionTime as",
    "negative-versiontime-non-monotonic": "expected versionTime as",
    "negative-zero-witness-threshold": "expected a threshold from 1",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_is_refused_for_its_own_reason(conformance: Path, name: str) -> None:
    folder = conformance / "did-webvh" / name / "ts"
    did = _did(folder, {"didDocument": None})
    with pytest.raises(UndersignedError) as refused:
        history_from(did, _fetched(folder, did), now=NOW)
    assert EXPECTED[name] in refused.value.message


def test_the_name_in_the_document_is_bound_to_the_first_entry(conformance: Path) -> None:
    """The other half of `negative-scid-mismatch-genesis`: asked for by the SCID that the parameters have."""
    folder = conformance / "did-webvh" / "negative-scid-mismatch-genesis" / "ts"
    scid = json.loads((folder / "did.jsonl").read_bytes())["parameters"]["scid"]
    did = f"did:webvh:{scid}:example.com"
    with refuses(UndersignedError, "did_document_invalid"):
        history_from(did, _fetched(folder, did), now=NOW)


@pytest.mark.parametrize(
    "specific",
    [
        "127.0.0.1#x",
        "127.0.0.1%3a8080",
        "127%2E0%2E0%2E1",
        "127%2e0%2e0%2e1",
        "169%2E254%2E169%2E254",
        "example.com:%2E%2E:admin",
        "example.com:%2e%2e:admin",
        "example.com:a%2Fb",
    ],
)
def test_dids_that_lead_nowhere(conformance: Path, specific: str) -> None:
    """The DIDs of the scripts whose step is `resolve-did`; nothing is asked for."""
    did = f"{PLACEHOLDER}:{specific}"
    scripts = "".join(path.read_text() for path in (conformance / "did-webvh").glob("negative-*/script.yaml"))
    assert f'did: "{did}"' in scripts
    # `0` is no base58, so the same with a SCID of the right letters.
    for spelled in (did, did.replace("0" * 44, "1" * 44)):
        with refuses(UndersignedError, "did_document_invalid"):
            fetches(spelled)


def test_every_published_case_is_run(conformance: Path) -> None:
    root = conformance / "did-webvh"
    logs = [path for path in root.glob("*/*/did.jsonl") if path.read_bytes()]
    assert len(list(root.glob("*/script.yaml"))) == 20
    assert (len(logs), len(_cases())) == (52, 56)
    assert set(DIFFERENT) <= {str(path.parent.relative_to(root)) for path in logs}
    named = {path.parent.parent.name for path in logs if path.parent.parent.name.startswith("negative-")}
    assert named == set(EXPECTED)
