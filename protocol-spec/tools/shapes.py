"""Structs as Markdown tables: one row for each member, its shape in words, its docstring as meaning."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any, cast, get_args

import msgspec
import msgspec.inspect as shape_of

import undersigned.encoding.types
import undersigned.messages.base

__all__ = ["members", "nested", "purpose_of", "spellings"]

WORDS = {
    "Did": "DID",
    "DidUrl": "DID URL",
    "MessageId": "message id",
    "EngagementId": "engagement id",
    "MediaType": "media type",
    "SuiteName": "cryptosuite",
    "Uri": "URI",
    "Pointer": "JSON pointer",
    "Number": "integer from 1",
    "Count": "integer from 0",
    "Owed": "amount, not negative",
    "Percent": "integer 0 to 100",
}
"""Names of checked types as the prose spells them; any other is its own name in lower case."""


@cache
def _aliases() -> dict[str, str]:
    """Shape, as its `repr`, -> name, for every named checked type."""
    found: dict[str, str] = {}
    for module in (undersigned.messages.base, undersigned.encoding.types):
        for name, value in vars(module).items():
            if get_args(value) and isinstance(get_args(value)[-1], msgspec.Meta):
                found[repr(_bare(shape_of.type_info(value)))] = WORDS.get(name, name.lower())
    return found


def _bare(shape: Any) -> Any:
    return shape.type if isinstance(shape, shape_of.Metadata) else shape


def describe(shape: Any) -> str:
    """One shape in words."""
    shape = _bare(shape)
    if (name := _aliases().get(repr(shape))) is not None:
        return name
    match shape:
        case shape_of.UnionType():
            return " or ".join(describe(one) for one in shape.types if not isinstance(one, shape_of.NoneType))
        case shape_of.LiteralType():
            return ", ".join(f"`{value}`" if isinstance(value, str) else f"integer {value}" for value in shape.values)
        case shape_of.StructType():
            return f"[{shape.cls.__name__}](#{shape.cls.__name__.lower()})"
        case shape_of.VarTupleType() | shape_of.ListType():
            low, high = shape.min_length or 0, shape.max_length
            return f"[ {describe(shape.item_type)} ], " + (f"{low} to {high}" if high else f"{low} or more")
        case shape_of.TupleType():
            return f"[ {', '.join(describe(item) for item in shape.item_types)} ], exactly {len(shape.item_types)}"
        case shape_of.DictType() | shape_of.AnyType():
            return "JSON object"
        case shape_of.BoolType():
            return "boolean"
        case shape_of.IntType():
            high = shape.le
            return f"integer {shape.ge} to {high:,}" if high and high < 2**53 - 1 else f"integer from {shape.ge}"
        case shape_of.StrType():
            if shape.pattern is not None:
                return f"text like `{shape.pattern.removesuffix('(?!' + chr(92) + 'n)$').removeprefix('^')}`".replace(
                    "|", "\\|"
                )
            return f"text, {shape.min_length or 0} to {shape.max_length:,} characters" if shape.max_length else "text"
        case _:
            raise TypeError(f"no words for {shape!r}")


@cache
def _docs(cls: type) -> dict[str, str]:
    """Docstrings that stand below a class's own members, by Python name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    found: dict[str, str] = {}
    for node, after in pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[node.target.id] = " ".join(str(after.value.value).split())
    return found


def _doc(cls: type, name: str) -> str:
    return next((_docs(base)[name] for base in cls.__mro__ if base.__module__ != "msgspec" and name in _own(base)), "")


def _own(base: type) -> dict[str, str]:
    return _docs(base) if base.__module__.startswith("undersigned") else {}


SPELLED = (
    "Name",
    "Text",
    "Note",
    "Code",
    "Version",
    "SuiteName",
    "Uri",
    "MediaType",
    "Multibase",
    "Pointer",
    "Currency",
)
"""Checked texts that the prose does not spell by itself."""


def spellings() -> str:
    """A table of the shapes that member tables name and do not describe."""
    rows = ["| shape | text | |", "| --- | --- | --- |"]
    for name in SPELLED:
        value = vars(undersigned.messages.base)[name]
        shape = _bare(shape_of.type_info(value))
        words = f"at most {shape.max_length:,} characters"
        if shape.pattern is not None:
            like = shape.pattern.removesuffix("(?!" + chr(92) + "n)$").removeprefix("^").replace("|", chr(92) + "|")
            words = f"like `{like}`, {words}"
        says = " ".join(filter(None, (one.description for one in get_args(value) if isinstance(one, msgspec.Meta))))
        rows.append(f"| {WORDS.get(name, name.lower())} | {words} | {says} |")
    return "\n".join(rows)


def members(cls: type, *, without: type | None = None, defaults: bool = False) -> str:
    """The member table of a struct; the members that `without` has are left out.

    On the wire a member may be absent only if it then has no value, is an empty list or 0, which are never written;
    `defaults`, for files, tells what is meant instead.
    """
    struct = shape_of.type_info(cls)
    assert isinstance(struct, shape_of.StructType)
    left_out = set(without.__struct_fields__) if without else set[str]()
    rows = ["| member | shape | |", "| --- | --- | --- |"]
    if without is None and struct.tag is not None:
        rows.append("| `type` | name of the type | |")
    for member in struct.fields:
        if member.name in left_out:
            continue
        empty = member.default is None or member.default in ((), 0)
        absent = empty or (defaults and not member.required)
        meaning = " ".join(filter(None, (_doc(cls, member.name), _default(member) if defaults else "")))
        rows.append(f"| `{member.encode_name}`{'?' if absent else ''} | {describe(member.type)} | {meaning} |")
    return "\n".join(rows)


def _default(member: shape_of.Field) -> str:
    """What is meant where the member is absent, if that is a plain value."""
    value = member.default
    if isinstance(value, bool):
        return f"Default {str(value).lower()}."
    if isinstance(value, tuple):
        value = ", ".join(map(str, cast("tuple[object, ...]", value)))
    return f"Default `{value}`." if isinstance(value, str | int) and value != "" else ""


def nested(cls: type, *, without: type | None = None) -> list[type]:
    """The structs inside a struct's own members, outermost first."""
    struct = shape_of.type_info(cls)
    assert isinstance(struct, shape_of.StructType)
    left_out = set(without.__struct_fields__) if without else set[str]()
    found: dict[type, None] = {}

    def walk(shape: Any) -> None:
        shape = _bare(shape)
        if isinstance(shape, shape_of.StructType):
            if shape.cls not in found:
                found[shape.cls] = None
                for member in shape.fields:
                    walk(member.type)
        elif isinstance(shape, shape_of.UnionType):
            for one in shape.types:
                walk(one)
        elif isinstance(shape, shape_of.VarTupleType | shape_of.ListType):
            walk(shape.item_type)

    for member in struct.fields:
        if member.name not in left_out:
            walk(member.type)
    return list(found)


def purpose_of(cls: type) -> str:
    """The first paragraph of a struct's docstring."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
