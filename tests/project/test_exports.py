"""What a package exports exists, is listed once, and says what it is."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import types
import typing
from pathlib import Path

import pytest

import undersigned
import undersigned.runtime

PACKAGES = ["undersigned", *(f"undersigned.{m.name}" for m in pkgutil.iter_modules(undersigned.__path__))]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    if name == "undersigned.__main__" or name == "undersigned.bridges":
        return  # runs the command; and a shelf of translators, each imported by its own name
    exported = list(module.__all__)
    assert len(exported) == len(set(exported)), f"{name}.__all__ repeats a name"
    for public in exported:
        value = getattr(module, public)
        if isinstance(value, type | types.FunctionType) and typing.get_origin(value) is None:
            assert value.__doc__, f"{name}.{public} has no docstring"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    """Public names resolve on first use; a name that is not public must still fail as Python's own would."""
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = undersigned.no_such_name  # type: ignore[attr-defined]


def test_a_type_checker_sees_no_name_that_a_module_does_not_have() -> None:
    """A module's `__getattr__` says of every name that it is there, misspelt or not, to whoever only reads it."""
    for file in Path(undersigned.__file__ or "").parent.rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            assert getattr(node, "name", "") != "__getattr__", f"{file}: below `if not TYPE_CHECKING:`"


def test_the_guide_has_every_public_name_once_and_no_other() -> None:
    guide = (Path(__file__).parents[2] / "GUIDE.md").read_text()
    table = guide.split("| names | for |", 1)[1].split("\n\n", 1)[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(undersigned.__all__)


def test_all_public_names_are_listed_by_dir() -> None:
    assert set(undersigned.__all__) <= set(dir(undersigned))


def test_the_three_lists_of_public_names_agree() -> None:
    """What type checkers see, what `__all__` says and what resolves on first use are one list."""
    seen: dict[str, str] = {}
    tree = ast.parse(Path(undersigned.__file__ or "").read_text())
    for block in (node for node in tree.body if isinstance(node, ast.If)):
        for line in block.body:
            if isinstance(line, ast.ImportFrom):
                seen |= {name.asname or name.name: line.module or "" for name in line.names}
    assert set(seen) == set(undersigned.__all__)
    for name, module in seen.items():
        assert getattr(undersigned, name) is getattr(importlib.import_module(module), name)


def test_every_room_of_the_shell_is_named_where_the_package_says_what_it_holds() -> None:
    """Who looks for one reads there, and in the first line of each folder, which is about what."""
    named = re.findall(r"`(\w+)`", (undersigned.runtime.__doc__ or "").partition("Its folders,")[2])
    rooms = list(pkgutil.iter_modules(undersigned.runtime.__path__))
    assert sorted(set(named)) == sorted(one.name for one in rooms)
    for room in rooms:
        assert importlib.import_module(f"undersigned.runtime.{room.name}").__doc__
