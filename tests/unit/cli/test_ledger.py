"""`undersigned ledger budget`, on real stores."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from undersigned.ledger import Draw, Reservation, open_books
from undersigned.runtime import Home, SystemClock
from undersigned.scope import counter

from .running import run

BUDGET = 'budget = [{ unit = "EUR", max = "100", per = "P10000D" }, { unit = "count", max = 3 }]\n'


def made(tmp_path: Path, settings: str) -> Path:
    home = tmp_path / "acme"
    assert run("init", home, "--local").code == 0
    file = home / "undersigned.toml"
    file.write_text(settings + file.read_text())
    return home


async def booked(home: Path) -> None:
    """One hire is over and cost 12, one is under contract for 20, one offer stands, and the time of one is past."""
    opened, now = Home(home), SystemClock().now()
    money, count = (counter(limit, now) for limit in opened.budget)
    books = await open_books(opened.books_url or opened.ledger_url, create=True)
    for id, amount, until, kind in (
        ("over", "15", "2999-01-01T00:00:00Z", "action"),
        ("goes on", "20", "2020-01-01T00:00:00Z", "action"),
        ("offered", "4.5", "2999-01-01T00:00:00Z", "capacity"),
        ("lapsed", "30", "2020-01-01T00:00:00Z", "capacity"),
    ):
        draws = (Draw(money, amount), *([Draw(count, "1")] if kind == "action" else ()))
        await books.reserve(Reservation("budget", id, draws, until, "2020-01-01T00:00:00Z", kind))
    await books.settle("over", {money: "12", count: "1"})
    await books.close()


@pytest.mark.parametrize("shared", ["", 'books = "../bookings.db"\n'], ids=["own", "shared"])
def test_what_is_left_of_a_budget(tmp_path: Path, shared: str) -> None:
    """HIRE-CAP-01: what was spent, what is promised or committed, and what is left; of nothing yet, all."""
    home = made(tmp_path, shared + BUDGET)
    money, hires = run("ledger", "budget", "--home", home, "--json").values
    assert (money["left"], hires["left"]) == ("100", "3")
    asyncio.run(booked(home))
    money, hires = run("ledger", "budget", "--home", home, "--json").values
    anew = money.pop("anew")
    assert anew > SystemClock().now()
    assert anew.endswith("T00:00:00Z")
    told = {"unit": "EUR", "per": "P10000D", "spent": "12", "held": "24.5", "left": "63.5", "max": "100", "local": True}
    assert money == told
    assert hires == {
        "unit": "count", "per": None, "spent": "1", "held": "1", "left": "1", "max": "3", "anew": None, "local": True
    }  # fmt: skip
    lines = run("ledger", "budget", "--home", home).out.splitlines()
    assert lines == [
        f"local | EUR per P10000D  12 spent, 24.5 held, 63.5 left of 100, anew at {anew}",
        "local | count            1 spent, 1 held, 1 left of 3",
    ]


def test_without_a_budget_it_says_so(tmp_path: Path) -> None:
    ran = run("ledger", "budget", "--home", made(tmp_path, ""))
    assert (ran.code, "the settings have no budget" in ran.out) == (0, True)
