"""What a gate knows about a target: the class of its data, the region it lies in, where an action lets data go.

The one who asks is not asked. Three sources speak: rules by target (TOML), headers that the resource itself answers
with, and whatever else the application looks up. The most sensitive class that any of them names counts; for region
and egress they have to agree. A target of which nobody names a class counts as the most sensitive one, and a region
or egress that is not known passes no condition. So forgetting a label hides data and never shows it.

Source: protocol-spec/06-scope.md, section 6.7
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import force_setattr

from undersigned.errors import ConfigurationError, FormatError
from undersigned.scope.model import CONDITIONS
from undersigned.scope.target import Target, forbids, inside, parse_pattern, parse_target

__all__ = ["CLASSES", "LABEL_HEADERS", "Label", "Labels"]

CLASSES: Final = ("public", "internal", "confidential", "restricted")
"""Classes of data unless others are given, the least sensitive first."""

LABEL_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"dataClass": "Data-Class", "egress": "Data-Egress", "region": "Data-Region"}
)
"""Header of a resource's answer for each label, unless others are given."""

_CLASS: Final = "dataClass"


class Label(Struct, frozen=True, gc=False):
    """A rule: what is so about the targets that a pattern covers."""

    target: str
    """As in a grant (section 6.3)."""
    facts: Mapping[str, str]
    """`dataClass`, `egress`, `region` -> the fact; at least one."""

    def __post_init__(self) -> None:
        force_setattr(self, "target", str(parse_pattern(self.target)))
        if not self.facts or not set(self.facts) <= set(CONDITIONS):
            raise _wrong(f"label {self.target}: expected some of {', '.join(CONDITIONS)}, got {sorted(self.facts)}")
        if not all(isinstance(cast("object", fact), str) and fact for fact in self.facts.values()):
            raise _wrong(f"label {self.target}: expected texts, got {dict(self.facts)!r:.200}")


class Labels(Struct, frozen=True, gc=False, kw_only=True):
    """All that is known about targets by rule, and how what others say is taken."""

    classes: tuple[str, ...] = CLASSES
    """The least sensitive first; what has no label counts as the last."""
    rules: tuple[Label, ...] = ()
    """The first whose target matches and that names a label decides that label; what the first says that matches as a
    prohibition would counts as well."""
    headers: Mapping[str, str] = LABEL_HEADERS
    """Label -> header of the resource's answer."""

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise _wrong(f"labels: expected classes, each once, got {self.classes!r:.200}")
        for rule in self.rules:
            if rule.facts.get(_CLASS, self.classes[0]) not in self.classes:
                raise _wrong(f"label {rule.target}: {rule.facts[_CLASS]!r:.80} is none of {', '.join(self.classes)}")
        if not set(self.headers) <= set(CONDITIONS):
            raise _wrong(f"labels: headers for {', '.join(CONDITIONS)}, got {sorted(self.headers)}")

    @property
    def unlabelled(self) -> dict[str, str]:
        """The facts about a target of which nothing is known."""
        return {_CLASS: self.classes[-1]}

    def facts(
        self, target: str, headers: Mapping[str, str] | None = None, said: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The facts about a target for `Action.facts`.

        `headers` are those of the resource's own answer, never of a request; `said` is what the application looked up.
        """
        sources = [self._by_rule(target, inside), self._by_header(headers or {}), dict(said or {})]
        known = {name for source in sources for name in source}
        # Some servers take `customers;v=1` for `customers`, and a label of the one is about the other there.
        spelled = self._by_rule(target, forbids)
        sources.append({name: fact for name, fact in spelled.items() if name in known})
        named = [source[_CLASS] for source in sources if _CLASS in source]
        # A class that is not in the list may be worse than all that are.
        ranks = [self.classes.index(one) if one in self.classes else len(self.classes) - 1 for one in named]
        found = {_CLASS: self.classes[max(ranks)]} if ranks else self.unlabelled
        for name in CONDITIONS:
            values = {source[name] for source in sources if name in source}
            if name != _CLASS and len(values) == 1:
                found[name] = values.pop()
        return found

    def _by_rule(self, target: str, reaches: Callable[[Target, Target], bool]) -> dict[str, str]:
        try:
            asked = parse_target(target)
        except FormatError:
            return {}
        found: dict[str, str] = {}
        for rule in self.rules:
            if reaches(parse_pattern(rule.target), asked):
                found = {**rule.facts, **found}
        return found

    def _by_header(self, headers: Mapping[str, str]) -> dict[str, str]:
        given = {name.lower(): value.strip() for name, value in headers.items()}
        return {label: given[header.lower()] for label, header in self.headers.items() if given.get(header.lower())}

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> Labels:
        """The labels in a parsed TOML file: `classes`, `[headers]`, and a `[[label]]` for each rule.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.

        Source: protocol-spec/06-scope.md, section 6.7
        """
        if unknown := sorted(set(table) - {"classes", "headers", "label"}):
            raise ConfigurationError("bad_configuration", f"labels: unknown `{unknown[0]}`")
        try:
            return cls(
                classes=tuple(table.get("classes", CLASSES)),
                rules=tuple(
                    Label(entry["target"], {name: fact for name, fact in entry.items() if name != "target"})
                    for entry in table.get("label", ())
                ),
                headers=dict(table.get("headers", LABEL_HEADERS)),
            )
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", exc.message) from exc
        except (TypeError, AttributeError, ValueError, KeyError) as exc:
            raise ConfigurationError("bad_configuration", f"labels: a value has another shape ({exc})") from exc


def _wrong(message: str) -> FormatError:
    return FormatError("schema_violation", message)
