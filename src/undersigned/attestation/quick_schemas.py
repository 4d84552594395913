"""The library `jsonschema`, imported without the grammars that nobody asked for yet.

It imports `rfc3987_syntax`, which makes 38 parsers of whole grammars while it is imported: ten times what all the rest
of the library costs, in each process that looks at one bill of materials, and for formats that its schema does not use.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

__all__ = ["import_jsonschema"]

_GRAMMARS: Final = "rfc3987_syntax"


def import_jsonschema() -> Any:
    """The library, whole: who has it check an IRI waits for the grammars then, once.

    Raises:
        ImportError: it is not installed.
    """
    if "jsonschema" in sys.modules or _GRAMMARS in sys.modules or find_spec(_GRAMMARS) is None:
        return import_module("jsonschema")
    later: Any = ModuleType(_GRAMMARS)
    later.is_valid_syntax = _is_valid_syntax
    sys.modules[_GRAMMARS] = later
    try:
        return import_module("jsonschema")
    finally:
        sys.modules.pop(_GRAMMARS, None)  # bills are looked at in threads, and another may have been here first


def _is_valid_syntax(term: str, value: str) -> bool:
    """What `jsonschema` calls, under this name alone, for the formats `iri` and `iri-reference`."""
    return bool(import_module(_GRAMMARS).is_valid_syntax(term, value))
