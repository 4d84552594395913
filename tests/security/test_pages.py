"""What others wrote is text on every page and picture that is made here, as a browser shows it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from browser import browser
from interop.test_report import MAY, PROBE, RUN
from packs import Hire
from undersigned.evidence import verifier_page
from undersigned.interop import Result, compatibility, transcript, write_reports
from undersigned.interop.pairs_page import write_matrix
from undersigned.trace import Step, draw_trace
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
    below = Step(kind="action", name=ALL, text=ALL, state="failed", why=ALL)
    picture = folder / "trace.svg"
    tree = Step(kind="artifact", name=ALL, text=ALL, state="stated", why=ALL, steps=(below,))
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
