"""Members of a JSON object replaced by pointer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ABSENT", "replaced"]

ABSENT: Final = "$absent"


def replaced(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `document` in which each JSON pointer, or name of a member, has its new value; `$absent` removes it."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    for pointer, value in changes.items():
        path = pointer.removeprefix("/").split("/")
        place: Any = copy
        for name in path[:-1]:
            place = place[int(name) if isinstance(place, list) else name]
        last: Any = int(path[-1]) if isinstance(place, list) and path[-1] != "-" else path[-1]
        if value == ABSENT:
            if isinstance(place, list):
                del place[last]
            else:
                place.pop(last, None)
        elif last == "-":
            place.append(value)
        else:
            place[last] = value
    return copy
