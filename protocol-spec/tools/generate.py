"""Writes the generated parts of the specification from the data that the program uses.

    python protocol-spec/tools/generate.py           writes them
    python protocol-spec/tools/generate.py --check   says what would change, and fails if anything would

A page holds `<!-- generated: NAME ARGUMENT -->`, the generated text, `<!-- end -->`. `BLOCKS` has a function for each
name. Figures and JSON Schemas are whole files.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

SPEC: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(SPEC / "tools")]
if (SPEC.parent / "src").is_dir():
    sys.path[:0] = [str(SPEC.parent / "src")]

import example_credentials
import example_messages
import example_parties
import requirements_data as requirements
import schemas
import shapes

from undersigned import attestation
from undersigned.contract import (
    AmendmentDocument,
    ArbiterRuling,
    ContractDocument,
    ReleaseDocument,
    SignedDocument,
    Terms,
)
from undersigned.credentials import CLAIMS
from undersigned.errors import CODES
from undersigned.evidence import LogProof, LogProofs, Manifest, Member, Withheld, WithheldList
from undersigned.interop import chosen
from undersigned.jsonld import HIRE_CONTEXT
from undersigned.jsonld.contexts import PINNED, context_bytes
from undersigned.messages import MESSAGE_TYPES, Message, Proof
from undersigned.messages import reasons as lists
from undersigned.protocol import TABLES
from undersigned.protocol.machine import figures
from undersigned.runtime import Configuration
from undersigned.scope import WireConstraint, WireDuty, WireRule, WireScope
from undersigned.trace import CLAUSES, KINDS, LINES
from undersigned.trace import TYPES as PROV
from undersigned.trust import Policy, cedar_schema

MARK: Final = re.compile(
    r"<!-- generated: (?P<name>[\w-]+)(?: (?P<argument>\S+))? -->\n(?P<text>.*?)<!-- end -->", re.S
)

EXITS: Final = {
    0: "done, or the answer is yes",
    1: "a defect of ours, a case of `policy test` that fails, or a decision that is another when it is made again",
    2: "usage or configuration",
    3: "the answer is no: policy, scope, withdrawn, expired",
    4: "a check failed: proof, digest, ledger, evidence; or the state does not allow what was asked for",
    5: "the peer broke the protocol",
    6: "unreachable, or timed out",
    7: "waits for a person, or in doubt",
    8: "the store failed",
    130: "interrupted",
}


def table(head: str, rows: Iterator[str] | list[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + " --- |" * columns, *rows])


# --- tables of states ------------------------------------------------------------------------------------------------


def rows(of: str, wanted: Callable[[Mapping[str, Any]], bool] = lambda _: True) -> str:
    lines: list[str] = []
    for row in TABLES[of]:
        if not wanted(row):
            continue
        case = f" ({row['case']})" if row.get("case") else ""
        lines.append(
            f"| {' '.join(f'`{state}`' for state in row['states'])} | `{row['type']}`{case} "
            f"| {', '.join(row['roles'])} | {row.get('guard', '')} | `{row['next']}` |"
        )
    return table("| state | message | sender | guard | next |", lines)


def owners(of: str) -> str:
    return table(
        "| state | who owes the next move |",
        [f"| `{state}` | {who} |" for state, who in TABLES[f"{of}_owners"].items()],
    )


def rows_of(name: str) -> str:
    if MESSAGE_TYPES[name].notice:
        return "A notice: legal in every state, for both sides, and it moves nothing."
    found = [rows(of, lambda row: row["type"] == name) for of in ("negotiation", "contract", "lane")]
    return "\n\n".join(one for one in found if one.count("\n") > 1)


# --- members ---------------------------------------------------------------------------------------------------------


def with_nested(cls: type, *, without: type | None = None, stop: tuple[type, ...] = (), defaults: bool = False) -> str:
    """The member table of `cls`, then one for each struct inside it that is not in `stop`."""
    elsewhere = {*stop, *(part for one in stop for part in shapes.nested(one))}
    inside = [part for part in shapes.nested(cls, without=without) if part not in elsewhere]
    own = shapes.members(cls, without=without, defaults=defaults)
    return "\n\n".join([own, *(section(part, defaults) for part in inside)])


def section(part: type, defaults: bool = False) -> str:
    return f"#### {part.__name__}\n\n{shapes.purpose_of(part)}\n\n{shapes.members(part, defaults=defaults)}"


def members(name: str) -> str:
    documents = {
        ContractDocument: "07-contract.md#71-the-document",
        AmendmentDocument: "07-contract.md#710-documents-that-change-a-contract",
        ReleaseDocument: "07-contract.md#710-documents-that-change-a-contract",
    }
    text = with_nested(MESSAGE_TYPES[name], without=Message, stop=(WireScope, *documents))
    for of, where in documents.items():
        text = text.replace(f"](#{of.__name__.lower()})", f"](../{where})")
    text = text.replace("](#task)", "](../07-contract.md#task)")
    return text.replace("](#wirescope)", "](../06-scope.md#wirescope)")


def envelope(_: str) -> str:
    return shapes.members(Message).replace("`proof`? | [Proof](#proof) |", "`proof` | [Proof](#45-proof) |")


def contract(_: str) -> str:
    text = with_nested(ContractDocument, stop=(Terms,)).replace("](#terms)", "](#72-terms)")
    return text.replace("`proof`?", "`proof`")


def changes(_: str) -> str:
    """The members that amendments and releases have beside those of a contract's document or its envelope."""
    return "\n\n".join(
        f"#### {of.type}\n\n{shapes.purpose_of(of)}\n\n{shapes.members(of, without=without)}"
        for of, without in ((AmendmentDocument, ContractDocument), (ReleaseDocument, SignedDocument))
    )


def configuration(_: str) -> str:
    """The settings of a state folder; the table of the policy has a block of its own."""
    text = with_nested(Configuration, stop=(Policy,), defaults=True).replace("](#policy)", "](13-policy.md#members)")
    return text.replace("JSON object", "table")


def terms(_: str) -> str:
    return with_nested(Terms, stop=(WireScope,)).replace("](#wirescope)", "](06-scope.md#wirescope)")


def scope(_: str) -> str:
    return "\n\n".join(section(part) for part in (WireScope, WireRule, WireConstraint, WireDuty))


def manifest(_: str) -> str:
    return "\n\n".join(section(part) for part in (Manifest, Member, LogProofs, LogProof, WithheldList, Withheld))


def purposes(_: str) -> str:
    by: dict[str, list[str]] = {}
    for name, cls in MESSAGE_TYPES.items():
        by.setdefault(cls.purpose, []).append(f"`{name}`")
    return table("| purpose | types |", [f"| `{purpose}` | {', '.join(types)} |" for purpose, types in by.items()])


def facts(name: str) -> str:
    cls = MESSAGE_TYPES[name]
    kind = "Notice" if cls.notice else "Move"
    schema = f"[schema](../schemas/{name}.json)"
    return f"{shapes.purpose_of(cls)}\n\n{kind} · proof purpose `{cls.purpose}` · {schema}"


# --- lists -----------------------------------------------------------------------------------------------------------


def codes(_: str) -> str:
    return table(
        "| family | code | means | told | retry | exit |",
        [
            f"| {row.family} | `{code}` | {row.meaning} | {row.told} | {'yes' if row.retryable else 'no'} "
            f"| {row.exit_code} |"
            for code, row in CODES.items()
        ],
    )


def tables_as_data() -> str:
    """The tables of states, who owes the next move, purposes and codes, for programs that read them."""
    purposes_of: dict[str, list[str]] = {}
    for name, cls in MESSAGE_TYPES.items():
        purposes_of.setdefault(cls.purpose, []).append(name)
    data = {name: TABLES[name] for name in ("negotiation", "contract", "lane", "terminal")}
    data |= {"owners": {of: TABLES[f"{of}_owners"] for of in ("negotiation", "contract")}}
    data |= {"notices": [row["type"] for row in TABLES["notices"]], "purposes": purposes_of}
    data |= {
        "codes": {
            code: {"family": row.family, "told": row.told, "retryable": row.retryable, "exit": row.exit_code}
            for code, row in CODES.items()
        }
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def exits(_: str) -> str:
    assert {row.exit_code for row in CODES.values()} <= set(EXITS)
    return table("| exit | means |", [f"| {exit_code} | {meaning} |" for exit_code, meaning in EXITS.items()])


def trace_steps(_: str) -> str:
    rows = [f"| `{kind}` | {means} | {', '.join(f'`{one}`' for one in PROV[kind])} |" for kind, means in KINDS.items()]
    return table("| step | is | in PROV-O |", rows)


def history(_: str) -> str:
    return table("| line | is |", [f"| `{kind}` | {means} |" for kind, means in LINES.items()])


def verdict(_: str) -> str:
    rows = [f"| `{clause}` | {demands} | {codes} |" for clause, (codes, demands) in CLAUSES.items()]
    return table("| clause | is met if | codes if not |", rows)


def causes(_: str) -> str:
    return table("| cause | condition |", [f"| `{word}` | {meaning} |" for word, meaning in lists.CAUSES.items()])


def reasons(_: str) -> str:
    names = {
        "REASONS": "`reason` of `Withdraw`",
        "CANCEL_REASONS": "`reason` of `Cancel`",
        "SUSPEND_REASONS": "`reason` of `Suspend`",
        "RESUME_REASONS": "`reason` of `Resume`",
        "CAUSES": "`cause` of `Terminate`",
        "OUTCOMES": "`outcome` of `Delivery`",
        "VERDICTS": "`verdict` of `Review`",
        "BASES": "`basis` of `Closing`",
        "RULINGS": "`outcome` of an `ArbiterRuling`",
        "WAITING_FOR": "`waiting.for` of `Receipt`",
    }
    return "\n\n".join(
        f"**{title}**\n\n"
        + table("| word | means |", [f"| `{word}` | {meaning} |" for word, meaning in getattr(lists, name).items()])
        for name, title in names.items()
    )


def decisions(_: str) -> str:
    lines: list[str] = []
    for page in sorted((SPEC / "decisions").glob("[0-9]*.md")):
        title = page.read_text().splitlines()[0].lstrip("# ").split(":", 1)[-1].strip()
        title = re.sub(r"^(?:Decision )?\d{4}[.:]? *", "", title)
        lines.append(f"| [{page.name[:4]}]({page.name}) | {title} |")
    return table("| | |", lines)


def message_index(_: str) -> str:
    return table(
        "| type | |",
        [f"| [`{name}`]({name.lower()}.md) | {shapes.purpose_of(cls)} |" for name, cls in MESSAGE_TYPES.items()],
    )


# --- vectors ---------------------------------------------------------------------------------------------------------


def cases() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Every vector: its folder, its README line, what is expected."""
    for readme in sorted((SPEC / "vectors").rglob("README.md")):
        expected = readme.parent / "expected.json"
        if expected.exists():
            yield readme.parent, readme.read_text().strip(), json.loads(expected.read_bytes())


def vectors(_: str) -> str:
    lines: list[str] = []
    for folder, line, expected in cases():
        name = folder.relative_to(SPEC / "vectors")
        result = f"`{expected['code']}`" if "code" in expected else "good"
        lines.append(f"| [{name}]({name}) | {line} | {result} |")
    return table("| folder | shows | result |", lines)


def classes(_: str) -> str:
    """Each class with how much belongs to it."""
    every = requirements.requirements()
    shown = [
        requirements.class_of(requirements.shown_by(str(at.relative_to(SPEC / "vectors")))) for at, _, _ in cases()
    ]
    lines: list[str] = []
    for name, what in requirements.CLASSES.items():
        of = [one for one in every if requirements.class_of([one]) == name]
        played = {each for one in of for each in requirements.about("scenarios").get(one, ())}
        lines.append(f"| **{name}** | {what} | {len(of)} | {shown.count(name)} | {len(played)} |")
    small, whole = ([len(chosen(role, every=every)) for role in ("provider", "hirer")] for every in (False, True))
    counted = (
        "\n\nScenarios are counted here as people wrote them, for both roles together. `undersigned conform` plays\n"
        f"those of one role, and of those made from the tables some: {small[0]} of a provider, {small[1]} of a hirer.\n"
        f"With `--all` it plays every one: {whole[0]} of a provider, {whole[1]} of a hirer."
    )
    return table("| class | who is of it | requirements | vectors | scenarios |", lines) + counted


def class_requirements(_: str) -> str:
    """The ids of each class, by area; a run of numbers is written by its ends."""
    blocks: list[str] = []
    for name in requirements.CLASSES:
        areas: dict[str, list[int]] = {}
        for one in requirements.requirements():
            if requirements.class_of([one]) == name:
                _, area, number = one.split("-")
                areas.setdefault(area, []).append(int(number))
        lines = [f"HIRE-{area}-{_runs(sorted(numbers))}" for area, numbers in sorted(areas.items())]
        blocks.append(f"**{name}**: {'; '.join(lines)}.")
    return "\n\n".join(blocks)


def _runs(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]:02}" if len(run) == 1 else f"{run[0]:02} to {run[-1]:02}" for run in runs)


def canaries(_: str) -> str:
    return table(
        "| check | vector |", [f"| {check} | [{name}]({name}) |" for name, check in requirements.CANARIES.items()]
    )


def refusals(name: str) -> str:
    found = [
        f"| [{folder.name}](../{folder.relative_to(SPEC)}) | {line} | `{expected['code']}` |"
        for folder, line, expected in cases()
        if "code" in expected and expected.get("type") == name
    ]
    for path in sorted((SPEC / "schemas" / "examples" / "invalid").glob("*.json")):
        invalid = json.loads(path.read_bytes())
        if invalid["message"].get("type") == name:
            says = f"{invalid['says'][0].upper()}{invalid['says'][1:]} (`{invalid['path']}`)."
            found.append(f"| [{path.stem}](../{path.relative_to(SPEC)}) | {says} | `{invalid['code']}` |")
    return table("| vector | shows | code |", found) if found else "As every message."


def example(name: str) -> str:
    folder = SPEC / "vectors" / "messages" / "eddsa-jcs-2022"
    found = sorted(folder.glob(f"{name.lower()}*/expected.json"))
    path = next(path for path in found if json.loads(path.read_bytes())["type"] == name).parent
    text = json.dumps(json.loads((path / "input.json").read_bytes()), indent=2, ensure_ascii=False)
    where = f"[{path.relative_to(SPEC)}](../{path.relative_to(SPEC)}) has the steps to its signature"
    return f"{where}:\n\n```json\n{text}\n```"


def claims(_: str) -> str:
    """The subject of each type of credential of ours."""
    return "\n\n".join(
        f"### {name}\n\n{shapes.purpose_of(of)} [Schema](schemas/credentials/{name}.json).\n\n{with_nested(of)}"
        for name, of in CLAIMS.items()
    )


def credential(name: str) -> str:
    """A valid example, as JSON."""
    return f"```json\n{json.dumps(example_credentials.valid()[name], indent=2, ensure_ascii=False)}\n```"


def credential_refusals(_: str) -> str:
    folder = "schemas/examples/credentials/invalid"
    return table(
        "| example | shows | code |",
        [
            f"| [{name}]({folder}/{name}.json) | {one['says'][0].upper()}{one['says'][1:]} (`{one['path']}`). "
            f"| `{one['code']}` |"
            for name, one in example_credentials.invalid().items()
        ],
    )


def statement(name: str) -> str:
    """The statement of this kind in the example hire, or one made for this page."""
    of = getattr(attestation, name)
    said = example_messages.conversation()
    delivery, review = (json.loads(said[one].raw) for one in ("delivery", "review"))
    payloads = [base64.b64decode(one["payload"]) for one in (*delivery["statements"], review["statement"])]
    payloads.append(example_parties.provenance_statement(delivery["contract"]))
    payloads.append(example_parties.refusal_statement(delivery["contract"]))
    found = next(one for one in map(json.loads, payloads) if one["predicateType"] == of.PREDICATE_TYPE)
    return f"```json\n{json.dumps(found, indent=2, ensure_ascii=False)}\n```"


def figure(table_: str) -> str:
    """The state machine of a table, drawn."""
    return f"```mermaid\n{figures()[table_].rstrip()}\n```"


BLOCKS: Final[dict[str, Callable[[str], str]]] = {
    "canaries": canaries,
    "causes": causes,
    "cedar": lambda _: f"```cedarschema\n{cedar_schema()}```",
    "changes": changes,
    "claims": claims,
    "class-requirements": class_requirements,
    "classes": classes,
    "codes": codes,
    "configuration": configuration,
    "contract": contract,
    "contract-table": lambda _: rows("contract"),
    "credential": credential,
    "credential-refusals": credential_refusals,
    "decisions": decisions,
    "envelope": envelope,
    "example": example,
    "exits": exits,
    "facts": facts,
    "figure": figure,
    "history": history,
    "lane": lambda _: rows("lane"),
    "manifest": manifest,
    "members": members,
    "messages": message_index,
    "negotiation": lambda _: rows("negotiation"),
    "owners": owners,
    "policy": lambda _: with_nested(Policy, defaults=True),
    "predicate": lambda name: with_nested(getattr(attestation, name)),
    "proof": lambda _: shapes.members(Proof),
    "purposes": purposes,
    "reasons": reasons,
    "refusals": refusals,
    "rows": rows_of,
    "ruling": lambda _: shapes.members(ArbiterRuling),
    "scope": scope,
    "spellings": lambda _: shapes.spellings(),
    "statement": statement,
    "terms": terms,
    "trace": trace_steps,
    "vectors": vectors,
    "verdict": verdict,
}


# --- files -----------------------------------------------------------------------------------------------------------


def page(text: str) -> str:
    def block(match: re.Match[str]) -> str:
        body = BLOCKS[match["name"]](match["argument"] or "")
        return match[0][: match.start("text") - match.start()] + body + "\n<!-- end -->"

    return MARK.sub(block, text)


def wanted() -> dict[Path, str]:
    """Every file that is generated, in whole or in part, with the text it should have."""
    files = {SPEC / "schemas" / name: text for name, text in schemas.wanted().items()}
    files[SPEC / "tables.json"] = tables_as_data()
    others = {iri: json.loads(context_bytes(iri)) for iri in PINNED if iri != HIRE_CONTEXT}
    files[SPEC / "context" / "published.json"] = json.dumps(others, indent=2) + "\n"
    files[SPEC / "requirements.yml"] = requirements.as_yaml()
    for path in sorted(SPEC.rglob("*.md")):
        text = path.read_text()
        if MARK.search(text):
            files[path] = page(text)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    check = parser.parse_args().check
    files = wanted()
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    extra = [path for path in (SPEC / "schemas").rglob("*.*") if path not in files]
    for path in stale if not check else []:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    for path in extra if not check else []:
        path.unlink()
    for path in stale + extra:
        print(f"{'would change' if check else 'wrote'} {path.relative_to(SPEC)}")
    if check and stale + extra:
        print("run `make docs` and commit the result")
    return 1 if check and stale + extra else 0


if __name__ == "__main__":
    sys.exit(main())
