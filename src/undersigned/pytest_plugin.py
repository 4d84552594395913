"""A pytest plugin: `pytest --hire-peer=URL` plays every scenario of the harness as a test.

It adds one test for each scenario to the run, in the same terms as `undersigned conform`: a scenario of the strongest
level that fails is a failure, one of another level is an expected one, and one that does not apply is skipped.

It is loaded by every pytest of an environment that has this package, so it imports the harness only where it is used.

Source: protocol-spec/harness.md, "In pytest"
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlsplit

import pytest

from undersigned.errors import ConfigurationError, UndersignedError

if TYPE_CHECKING:
    from undersigned.interop import Result, Scenario, Strangers, Subject

__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("hire", "conformance of a peer of the hire protocol")
    group.addoption("--hire-peer", metavar="URL", help="where the implementation listens; nothing is added without it")
    group.addoption("--hire-did", metavar="DID", help="who listens there; by default the did:web of the host")
    group.addoption("--hire-role", choices=("provider", "hirer"), default="provider", help="its role")
    group.addoption("--hire-task", default="summary", help="what it can be hired for")
    group.addoption("--hire-price", default="5.00 EUR", help="what is offered where its Profile names no price")
    group.addoption("--hire-hook", metavar="URL", help="its hook, by which it is told to hire")
    group.addoption("--hire-token", default="", help="what is shown to the hook")
    group.addoption("--hire-only", action="append", default=[], metavar="ID", help="scenarios or groups")
    group.addoption("--hire-all", action="store_true", help="every scenario, not only the small set")
    group.addoption("--hire-seed", help="makes a run repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Names the mark, by which `-m hire` and `-m "not hire"` select.

    Raises:
        pytest.UsageError: The tests go to several processes. How many strangers may connect in a minute is counted in
            one (HIRE-LIM-02), so the peer would refuse what it has to take.
    """
    config.addinivalue_line("markers", "hire: a scenario that is played against the peer of --hire-peer")
    spread = config.getoption("tx", None) or config.getoption("dist", "no") != "no" or hasattr(config, "workerinput")
    if config.getoption("--hire-peer") and spread:
        raise pytest.UsageError("--hire-peer plays in one process: run it without pytest-xdist (-n 0)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Adds the scenarios behind the tests that were found, before anything is selected from these.

    Raises:
        pytest.UsageError: An option says what cannot be.
    """
    if session.config.getoption("--hire-peer"):
        try:
            items.extend(_items(session))
        except UndersignedError as error:
            raise pytest.UsageError(error.message) from None


def _items(session: pytest.Session) -> list[pytest.Item]:
    from undersigned.interop import Strangers, chosen

    def option(name: str) -> Any:
        return cast(Any, session.config.getoption(name))

    scenarios = chosen(option("--hire-role"), every=option("--hire-all"), only=option("--hire-only"))
    seed = option("--hire-seed") or secrets.token_hex(8)
    strangers = Strangers()
    subject = _subject(option)
    return [
        cast("pytest.Item", _Item.from_parent(session, name=f"hire[{one.id}]", played=(one, subject, seed, strangers)))
        for one in scenarios
    ]


def _subject(option: Callable[[str], Any]) -> Subject:
    from undersigned.interop import Subject
    from undersigned.runtime import parse_price

    url, hook = str(option("--hire-peer")), option("--hire-hook")
    parts = urlsplit(url)
    if parts.scheme not in ("wss", "ws") or not parts.hostname:
        raise ConfigurationError("bad_configuration", f"--hire-peer: expected a wss or ws URL, got {url!r}")
    if option("--hire-role") == "hirer" and not hook:
        raise ConfigurationError("bad_configuration", "say --hire-hook=URL: a hirer has to be told to hire")
    local = parts.scheme == "ws"
    return Subject(
        url=url,
        did=option("--hire-did") or "did:web:" + quote(parts.netloc, safe="."),
        task=option("--hire-task"),
        price=parse_price(option("--hire-price")),
        hook=hook.rstrip("/") if hook else None,
        token=option("--hire-token"),
        local=local,
    )


class _Item(pytest.Item):
    """One scenario as a test."""

    def __init__(self, *, played: tuple[Scenario, Subject, str, Strangers], **options: Any) -> None:
        super().__init__(**options)
        self.scenario, self._subject, self._seed, self._strangers = played
        self.add_marker("hire")

    def runtest(self) -> None:
        """Plays it."""
        result = asyncio.run(self._play())
        if result.outcome == "not applicable":
            pytest.skip(result.detail)
        if result.outcome == "failed" and self.scenario.level != "MUST":
            pytest.xfail(f"{self.scenario.level}: {result.detail}")
        if result.outcome != "passed":
            raise AssertionError(result.detail)

    async def _play(self) -> Result:
        from undersigned.interop import Stage, play_all

        seed = f"{self._seed}/{self.scenario.id}"
        async with Stage(self._subject, seed=seed, strangers=self._strangers) as stage:
            (result,) = await play_all(stage, (self.scenario,))
        return result

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """What the implementation did, without our own stack."""
        needs = " ".join(self.scenario.requirements)
        return f"{self.scenario.title}\n{self.scenario.id} ({self.scenario.level} {needs})\n{excinfo.value}"

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Where it is told to be."""
        return f"hire/{self.scenario.group}", None, self.scenario.id
