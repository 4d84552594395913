"""What an agent offers is looked at when it is declared, and not by everybody who then hires it in vain."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from structlog.testing import capture_logs

from integration.hires import two_homes
from runtimes import World, summarise
from undersigned import Peer
from undersigned.errors import ConfigurationError
from undersigned.messages import Delivery, Review
from undersigned.runtime import Job, load_handler

Open = Callable[..., World]


def plain(job: Job) -> None: ...


@pytest.mark.parametrize(
    ("options", "handler", "says"),
    [
        ({"task": ""}, summarise, "offer: task: expected 1 to 128 printable characters, got ''"),
        ({"task": None}, summarise, "offer: task"),
        ({"task": "two\nlines"}, summarise, "offer: task"),
        ({"delivers": "a\x00b"}, summarise, "offer t: delivers"),
        ({"delivers": "a\nb"}, summarise, "offer t: delivers"),
        ({"delivers": "x" * 129}, summarise, "offer t: delivers"),
        ({"delivers": ""}, summarise, "offer t: delivers"),
        ({"delivers": None}, summarise, "offer t: delivers"),
        ({"delivers": []}, summarise, "offer t: delivers: expected 1 to 64 names, each once, got 0"),
        ({"delivers": ["a", ""]}, summarise, "offer t: delivers: expected 1 to 128 printable characters, got ''"),
        ({"delivers": ("a", "a")}, summarise, "offer t: delivers: expected 1 to 64 names, each once"),
        ({"delivers": [f"a{n}" for n in range(65)]}, summarise, "each once, got 65"),
        ({"media_type": "text"}, summarise, "offer t: media_type: expected one such as text/plain, got 'text'"),
        ({"media_type": None}, summarise, "offer t: "),
        ({"summary": None}, summarise, "offer t: summary: expected text, got None"),
        ({"summary": "a\x00b"}, summarise, "offer t: summary: "),
        ({"summary": "\ud800"}, summarise, "offer t"),
        ({"capacity": 0}, summarise, "offer t: capacity: expected 1 to 9,007,199,254,740,991, got 0"),
        ({"hold_seconds": 10**17}, summarise, "offer t: hold_seconds: expected 1 to 9,007,199,254,740,991, got 1"),
        ({"capacity": True}, summarise, "offer t: capacity"),
        ({"capacity": 2**53}, summarise, "offer t: capacity"),
        ({"price": "4"}, summarise, "offer t: price: expected a price such as '4.50 EUR', got '4'"),
        ({}, plain, "`async def handler(job)`; plain is not `async def`"),
        ({}, None, "None cannot be called"),
    ],
)
def test_what_could_not_be_hired_is_refused_when_it_is_declared(
    options: dict[str, Any], handler: Any, says: str, open_world: Open
) -> None:
    agent = open_world().provider
    declare: Any = agent.offers
    with pytest.raises(ConfigurationError) as refused:
        declare(**{"task": "t", **options})(handler)
    assert refused.value.code == "bad_configuration"
    assert says in refused.value.message
    assert set(agent.services) == {"summary"}


def test_a_decorator_without_its_parentheses_says_so(open_world: Open) -> None:
    """It would take the function for the name of the task, and offer nothing."""
    offers: Any = open_world().provider.offers
    with pytest.raises(ConfigurationError, match="offer: task: expected 1 to 128 printable characters"):

        @offers
        async def summary(job: Job) -> None: ...


def test_a_task_may_deliver_several_things(open_world: Open) -> None:
    """Who hires without naming what is to be delivered is owed all that the provider names."""

    async def three(job: Job) -> None:
        for name in reversed(("text", "table", "notes")):
            await job.deliver(name, name.encode(), media_type="text/plain")

    world = open_world()
    world.provider.services.pop("summary")
    world.provider.offers("summary", price="4 EUR", delivers=("text", "table", "notes"))(three)
    ours = world.begin()
    world.until("closed", ours.id)
    assert [item.name for item in ours.offered().terms.deliverables] == ["text", "table", "notes"]
    delivered = ours.last("Delivery", Delivery)
    assert delivered.outcome == "complete"
    assert {item.name for item in delivered.artifacts} == {"text", "table", "notes"}


def test_who_delivers_less_than_was_agreed_hears_what_is_missing(open_world: Open) -> None:
    """The hirer rejects it; nothing else would tell the author of the handler why."""

    async def one(job: Job) -> None:
        await job.deliver("table", b"1,2", media_type="text/plain")

    world = open_world()
    world.provider.services.pop("summary")
    world.provider.offers("summary", price="4 EUR", delivers=("text", "table", "notes"))(one)
    with capture_logs() as logged:
        ours = world.begin()
        world.until("closed", ours.id)
    assert ours.last("Review", Review).verdict == "rejected"
    assert [line["missing"] for line in logged if line["event"] == "not all was delivered"] == ["text, notes"]


def test_a_task_is_offered_once(open_world: Open) -> None:
    agent = open_world().provider
    first = agent.services["summary"]
    with pytest.raises(ConfigurationError, match="offer: two are of the task 'summary'"):
        agent.offers("summary")(summarise)
    assert agent.services["summary"] is first


async def test_the_application_may_do_once_what_the_settings_offer(tmp_path: Path) -> None:
    _, globex = await two_homes(tmp_path)
    async with Peer.open(globex) as peer:
        assert peer.services["summary"].delivers == ("summary.txt",)
        peer.offers("summary", delivers="other.txt")(partial(summarise))
        assert peer.services["summary"].delivers == ("other.txt",)
        with pytest.raises(ConfigurationError, match="two are of the task"):
            peer.offers("summary")(summarise)


async def test_a_function_in_the_settings_that_is_not_awaited_is_refused_at_the_start(tmp_path: Path) -> None:
    _, globex = await two_homes(tmp_path, handler="json:dumps")
    with pytest.raises(ConfigurationError, match=r"offer summary: .*dumps is not `async def`"):
        async with Peer.open(globex):
            pass


def test_a_module_that_ends_the_process_is_a_handler_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves_at_once.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be loaded: SystemExit: 3"):
        load_handler("leaves_at_once:work")
    assert not isinstance(sys.modules.get("leaves_at_once"), ModuleType)


def test_a_module_that_is_not_there_tells_where_it_is_looked_for() -> None:
    """The state folder is none of these places."""
    with pytest.raises(
        ConfigurationError, match=r"No module named 'acme_tasks': .* where it is started, .* PYTHONPATH"
    ):
        load_handler("acme_tasks:work")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise RuntimeError('no luck')", "cannot be loaded: RuntimeError: no luck"),
        ("nowhere", "cannot be loaded: NameError: name 'nowhere' is not defined"),
        ("def work(:", "cannot be loaded: SyntaxError: "),
        ("import sys\nsys.nowhere", "cannot be loaded: AttributeError: "),
        ("works = 1", "the module has no 'work'"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_no_defect_of_ours(
    program: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "breaks", raising=False)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        load_handler("breaks:work")
    sys.modules.pop("breaks", None)
