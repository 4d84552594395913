"""What others wrote is text on every page and picture that is made here, as a browser shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from browser import browser
from interop.test_report import MAY, PROBE, RUN
from packs import Hire, wanting
from undersigned.encoding import shift
from undersigned.evidence import verifier_page, verify_pack
from undersigned.interop import Result, compatibility, transcript, write_reports
from undersigned.interop.pairs_page import write_matrix
from undersigned.messages import Settled
from undersigned.trace import TraceStep, draw_trace
from undersigned.trust import Edge, draw_paths

HOSTILE = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror="window.pwned=1">',
    '<a href="javascript:window.pwned=1">here</a>',
    "{{7*7}}${7*7}",
    '<svg onload="window.pwned=1"><circle r="9"/></svg>',
    "</title></style></table><iframe srcdoc='<script>parent.pwned=1</script>'>",
)
ALL = " ".join(HOSTILE)
FOREIGN = "img,iframe,object,embed,base,link:not([rel=icon]),[onerror],[onload],[onclick],a[href^=javascript]"
"""What no page of ours has."""
DIDS = tuple(f"did:web:{name}.example" for name in ("a", "b"))
EDGE = Edge(
    digest="uEi", source=DIDS[0], target=DIDS[1], kind="accusation", capability=None, depth=0, weight=1, says=ALL
)  # fmt: skip


def report(folder: Path) -> Path:
    """Of the harness: the implementation names itself, and what it sent is in the details."""
    found = tuple(Result(scenario=one, outcome="failed", detail=ALL) for one in (PROBE, MAY))
    run = msgspec.structs.replace(RUN, implementation=ALL, version=ALL)
    write_reports(folder, compatibility(run, found), found, transcript([{"scenario": "x", "text": ALL}]))
    return folder / "compatibility.html"


def matrix(folder: Path) -> Path:
    """Of pairs: each names itself."""
    hire = {"outcome": "failed", "title": ALL, "state": ALL, "moves": 1, "milliseconds": 1}
    cell = {"hirer": ALL, "provider": ALL, "outcome": "failed", "detail": ALL, "transcript": "x", "hires": [hire]}
    told = {"name": "undersigned", "version": ALL}
    write_matrix(
        folder,
        {
            "passed": False,
            "began": ALL,
            "ended": ALL,
            "harness": told,
            "peers": [{"name": ALL, "version": ALL}],
            "cells": [cell],
        },
        (),
    )
    return folder / "interop.html"


def evidence(folder: Path) -> Path:
    """Of a hire: its artifact is called so."""
    page = folder / "hire.html"
    page.write_bytes(verifier_page(Hire().sealed().delivered(name=HOSTILE[1]).pack()))
    return page


def traced(folder: Path) -> Path:
    """A picture of what came of what."""
    below = TraceStep(kind="action", name=ALL, text=ALL, state="failed", why=ALL)
    picture = folder / "trace.svg"
    tree = TraceStep(kind="artifact", name=ALL, text=ALL, state="stated", why=ALL, steps=(below,))
    picture.write_text(draw_trace(tree, title=ALL))
    return picture


def trusted(folder: Path) -> Path:
    """A picture of who vouches for whom."""
    picture = folder / "paths.svg"
    picture.write_text(draw_paths(DIDS[1], (), (EDGE,), title=ALL, names=dict.fromkeys(DIDS, ALL)))
    return picture


PAGES = (report, matrix, evidence, traced, trusted)


def test_sc_94_script_in_names_is_text_everywhere(tmp_path: Path) -> None:
    """Nothing of it runs, no tag is made of it, and a page says by its policy that nothing may."""
    (tmp_path / "profile").mkdir()
    with browser(tmp_path / "profile") as tab:
        for make in PAGES:
            folder = tmp_path / make.__name__
            folder.mkdir()
            file = make(folder)
            tab.open(file.as_uri())
            tab.until(f"document.documentElement.textContent.includes({json.dumps(HOSTILE[1])})")
            assert tab.eval("window.pwned") is None, make.__name__
            assert tab.eval(f"document.querySelectorAll({FOREIGN!r}).length") == 0, make.__name__
            if file.suffix == ".html":
                policy = tab.eval("document.querySelector('meta[http-equiv=Content-Security-Policy]').content")
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
        # And the check itself can fail.
        (tmp_path / "bad.html").write_text(f"<!doctype html><p>{HOSTILE[1]}")
        tab.open((tmp_path / "bad.html").as_uri())
        tab.until("window.pwned")
        assert tab.eval(f"document.querySelectorAll({FOREIGN!r}).length") == 1


LONG = "W" * 400


def long_evidence(folder: Path) -> Path:
    """Of a hire whose artifact has a name of one word, which no window is wide enough for."""
    page = folder / "hire.html"
    page.write_bytes(verifier_page(Hire().sealed().delivered(name=LONG[:250]).pack()))
    return page


@pytest.mark.parametrize("make", [report, matrix, long_evidence])
def test_sc_94_a_long_word_puts_nothing_out_of_sight(
    make: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever chooses a name could widen the page by it, and push what the other side said out of the window."""
    monkeypatch.setitem(globals(), "ALL", f"{LONG} {ALL}")
    (tmp_path / "profile").mkdir()
    page = make(tmp_path)
    with browser(tmp_path / "profile") as tab:
        for width in (320, 800, 1600):
            tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            tab.open(page.as_uri())
            tab.until(f"document.body.textContent.includes({json.dumps(LONG[:250])})")
            tab.eval("document.querySelectorAll('details').forEach((one) => (one.open = true))")
            assert tab.eval("document.documentElement.scrollWidth") <= width, (make.__name__, width)


def test_who_is_drawn_is_told_apart(tmp_path: Path) -> None:
    """Two names that begin alike are two in a graph; what somebody says is not drawn over who says it."""
    said = msgspec.structs.replace(EDGE, says=LONG)
    drawn = draw_paths(DIDS[1], (), (said,), names=dict(zip(DIDS, (f"{LONG}-a", f"{LONG}-b"), strict=True)))
    shown = re.findall(r"(?:</title>|\">)([^<]+)</text>", drawn)
    assert len(set(shown)) == 3
    assert max(map(len, shown)) <= 26
    page = tmp_path / "hire.html"
    page.write_bytes(verifier_page(Hire().sealed().pack()))
    (tmp_path / "profile").mkdir()
    with browser(tmp_path / "profile") as tab:
        tab.open(page.as_uri())
        tab.until("document.querySelector('.scroll svg')")
        titles = tab.eval("[...document.querySelectorAll('.scroll g > title')].map((one) => one.textContent)")
        hire = Hire()
        assert f"hirer: {hire.hirer.actor.did}" in titles
        assert f"provider: {hire.provider.actor.did}" in titles
        texts = tab.eval("[...document.querySelectorAll('.scroll .sub')].map((one) => one.textContent)")
        assert any(hire.hirer.actor.did.endswith(text[-8:]) for text in texts)
        named = tab.eval("[...document.querySelectorAll('dd code')].map((one) => one.textContent)")
        assert {hire.hirer.actor.did, hire.provider.actor.did} <= set(named)


def test_books_that_differ_are_shown(tmp_path: Path) -> None:
    """What each side says is owed stands beside its `Closing`, with what it says of the payment. If it is not one sum,
    page and command say that, and nobody has to look for it.
    """
    (tmp_path / "profile").mkdir()
    owed = Settled(amount="1000", currency="EUR", reference="IBAN <b>")
    alike, differ = Hire().whole(), Hire(changing=wanting).sealed().delivered().reviewed(credential={"type": "x"})
    differ.closed(settlement=owed, objection=HOSTILE[0])
    now = shift(differ.book.clock.now(), 60)
    assert verify_pack(alike.pack(), now=now).books == ()
    assert verify_pack(differ.pack(), now=now).books == (
        ("hirer", "1000 EUR"),
        ("moves", "12.5 EUR"),
        ("provider", "12.5 EUR"),
    )
    with browser(tmp_path / "profile") as tab:
        for hire, heads in ((alike, 0), (differ, 1)):
            page = tmp_path / "hire.html"
            page.write_bytes(verifier_page(hire.pack()))
            tab.open(page.as_uri())
            tab.until("document.querySelector('#verdict.holds')")
            told = tab.eval("[...document.querySelectorAll('section')].map((one) => one.ariaLabel)")
            assert told.count("What is said to be owed differs") == heads
        shown = tab.eval("document.querySelector('#found').innerText")
        assert "1 credential in reviews: not checked" in shown
        assert "not checked: manifests in media, the bill of materials (CycloneDX 1.6)" in shown
        assert "by the hirer, 1000 EUR is owed" in shown
        assert "by the provider, 12.5 EUR is owed" in shown
        assert "by what ended the contract, 12.5 EUR is owed" in shown
        assert f"by review: 1000 EUR owed; paid as IBAN <b>; {HOSTILE[0]}" in shown
