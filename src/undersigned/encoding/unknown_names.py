"""A name that a file of settings does not have, told with those that it has."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final

from msgspec import inspect

__all__ = ["in_names"]

_UNKNOWN: Final = "Object contains unknown field `"
_AT: Final = "` - at `$"
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(?:[0-9]+|\.\.\.)\]")


def in_names(said: str, of: object, *, listed: bool = True) -> str:
    """What the schema library `said` of a name that there is not, in our words, and, where it is `listed`, with the
    nearest and all that there are; `of` is the type of the whole file. Anything else stays as it is.
    """
    _, unknown, rest = said.partition(_UNKNOWN)
    if not unknown:
        return said
    name, _, place = rest.removesuffix("`").partition(_AT)
    place = place.removeprefix(".")
    told = f"{place or 'the file'} has no `{name[:80]}`"
    names = _names(inspect.type_info(of), [one[1] for one in _STEP.finditer(place)])
    if not listed or not names:
        return told
    near = get_close_matches(name, names, 1)
    return f"{told}{f'; did you mean `{near[0]}`?' if near else '.'} It may have {', '.join(names)}"


def _names(at: inspect.Type, steps: list[str | None]) -> list[str]:
    """The names at the end of `steps`, of which None is one of a list."""
    if isinstance(at, inspect.UnionType):
        found = (_names(one, steps) for one in at.types)
        return next(filter(None, found), list[str]())
    if isinstance(at, inspect.StructType):
        fields = {one.encode_name: one.type for one in at.fields}
        if not steps:
            return list(fields)
        return _names(fields[steps[0]], steps[1:]) if steps[0] in fields else []
    if isinstance(at, inspect.Metadata):
        return _names(at.type, steps)
    if isinstance(at, inspect.ListType | inspect.VarTupleType) and steps:
        return _names(at.item_type, steps[1:])
    return _names(at.value_type, steps[1:]) if isinstance(at, inspect.DictType) and steps else []
