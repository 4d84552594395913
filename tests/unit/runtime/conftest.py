"""Two companies in memory, for tests of whole runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtimes import Office, World, offices


@pytest.fixture(scope="session")
def companies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Office, Office]:
    """Acme and Globex, who trust each other's organisations."""
    return offices(tmp_path_factory.mktemp("companies"))


@pytest.fixture
def open_world(companies: tuple[Office, Office]) -> Iterator[Callable[..., World]]:
    """Makes worlds, and ends them with the test."""
    made: list[World] = []

    def make(*given: Office, **options: Any) -> World:
        made.append(World((given[0], given[1]) if given else companies, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "home"
