"""The verifier page in a browser of its own, for each file that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Tab, browser
from undersigned.evidence import verifier_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Tab]:
    """The page as it is opened from a disk; one browser for all packs."""
    (folder / "verifier.html").write_bytes(verifier_page())
    (folder / "profile").mkdir()
    with browser(folder / "profile") as tab:
        tab.open((folder / "verifier.html").as_uri())
        yield tab
        wrong = [one for one in tab.said if one["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
        assert not wrong, "the page raised, or its policy refused something"
        asked = {one["params"]["request"]["url"] for one in tab.said if one["method"] == "Network.requestWillBeSent"}
        assert all(url.startswith(("file:", "data:")) for url in asked), asked
