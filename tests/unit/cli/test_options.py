"""What is typed into options: good values become what they say, every other text is an error with an example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import refusal
from undersigned.cli.options import checked_did, new_file, read_inputs
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.runtime import LOCAL_ONLY, checked_url, host_port

DID_KEY = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"


@pytest.mark.parametrize(
    ("did", "local"),
    [
        (DID_KEY, False),
        ("did:web:agents.example.com", False),
        ("did:web:agents.example.com:team:agent", False),
        ("did:web:localhost%3A8102", True),
    ],
)
def test_dids(did: str, local: bool) -> None:
    assert checked_did(did, local) == did


@pytest.mark.parametrize(
    ("did", "local", "code"),
    [
        ("", False, "bad_configuration"),
        ("agents.example.com", False, "bad_configuration"),
        ("did:web:", False, "bad_configuration"),
        ("did:web:agents.example.com#key", False, "bad_configuration"),
        ("did:web:AGENTS.example.com", False, "bad_configuration"),
        ("did:key:z6MkpTHR8", False, "bad_configuration"),
        ("did:unknown:x", False, "did_unresolvable"),
        ("did:web:127.0.0.1", False, "did_forbidden_address"),
        ("did:web:localhost%3A8102", False, "did_forbidden_address"),
    ],
)
def test_dids_that_are_none_or_lead_nowhere(did: str, local: bool, code: str) -> None:
    """HIRE-DID-05, HIRE-DID-07."""
    with pytest.raises(UndersignedError) as refused:
        checked_did(did, local)
    assert refused.value.code == code
    if did.startswith("did:web:localhost"):
        assert "init --local" in refused.value.message


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: "did:web:" + text))
def test_any_text_is_a_did_or_an_error(text: str) -> None:
    known = {None, "bad_configuration", "did_unresolvable", "did_forbidden_address", "key_weak"}
    assert refusal(lambda: checked_did(text, local=False)) in known


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("ws://localhost:8102/hire", True),
        ("ws://127.0.0.1:8102/hire", True),
        ("wss://a.example/hire", True),
        ("wss://a.example/hire", False),
    ],
)
def test_urls(url: str, local: bool) -> None:
    assert checked_url(url, local) == url
    assert checked_url(None, local) is None


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("ws://localhost:8102/hire", False),
        ("ws://a.example/hire", False),
        ("http://localhost:8102", True),
        ("localhost:8102", True),
        ("ws://", True),
        ("ws://localhost:99999/hire", True),
        ("ws://localhost:0/hire", True),
        ("ws://a.example/hire", True),
        ("ws://10.0.0.1/hire", True),
        ("ws://[::1]:8102/hire", True),
        ("ws:///hire", True),
        ("wss://me:secret@a.example/hire", False),
        ("wss://a.example/hire#here", False),
        ("ws://[::1/hire", True),
        ("--local", True),
        ("", True),
    ],
)
def test_urls_refused(url: str, local: bool) -> None:
    """HIRE-DID-07: http and ws are for local state alone."""
    with pytest.raises(ConfigurationError, match="--at"):
        checked_url(url, local)


@pytest.mark.parametrize(
    ("url", "local", "hint"),
    [
        ("ws://localhost:8102/hire", False, LOCAL_ONLY),
        ("ws://a.example/hire", True, "ws:// goes to localhost or 127.0.0.1 alone"),
        ("https://a.example/hire", False, "expected wss in place of https"),
        ("http://localhost:8102", True, "expected wss or ws in place of http"),
    ],
)
def test_who_gives_another_url_is_told_what_is_wrong_with_it(url: str, local: bool, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"; .*{re.escape(hint)}"):
        checked_url(url, local)


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda text: "wss://" + text), st.booleans())
def test_any_text_is_a_url_or_an_error(text: str, local: bool) -> None:
    assert refusal(lambda: checked_url(text, local)) in {None, "bad_configuration"}


def test_inputs_are_files_by_name(tmp_path: Path) -> None:
    file = tmp_path / "a=b.whl"
    file.write_bytes(b"x")
    assert read_inputs((f"artifact={file}",)) == {"artifact": file}
    assert read_inputs(()) == {}


def test_inputs_refused(tmp_path: Path) -> None:
    file = tmp_path / "app.whl"
    file.write_bytes(b"x")
    for texts in [
        ("",),
        ("app.whl",),
        (f"={file}",),
        ("artifact=",),
        (f"artifact={tmp_path}",),
        (f"artifact={tmp_path / 'missing'}",),
        (f"artifact={file}", f"artifact={file}"),
        ("artifact=a\0b",),
    ]:
        with pytest.raises(ConfigurationError, match="--input"):
            read_inputs(texts)


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_came_while_a_command_was_at_work_is_written_over_by_force_alone(
    tmp_path: Path, *, force: bool
) -> None:
    file = tmp_path / "out"

    def write() -> None:
        with new_file(file, force=force) as written:
            written.write(b"ours")
            file.write_bytes(b"theirs")

    assert refusal(write) == (None if force else "bad_configuration")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"out": b"ours" if force else b"theirs"}


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_is_there_is_told_before_anything_is_made(tmp_path: Path, *, linked: bool) -> None:
    """Whoever has to name another file has not done the work for nothing; a link to nothing is there, too."""
    file, begun = tmp_path / "out", list[str]()
    if linked:
        file.symlink_to(tmp_path / "nowhere")
    else:
        file.write_bytes(b"theirs")

    def write() -> None:
        with new_file(file, force=False):
            begun.append("the work")

    assert (refusal(write), begun) == ("bad_configuration", [])


@pytest.mark.parametrize("port", ["", "x", "65536", "-1", "٣", "1" * 5000])
def test_what_is_no_port_is_said_in_short(port: str) -> None:
    """Python does not read a number of more than 4,300 digits."""
    with pytest.raises(ConfigurationError, match="--gates: expected HOST:PORT such as") as caught:
        host_port("--gates", f"127.0.0.1:{port}")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", [":9000", "[]:9000", "9000"])
def test_without_a_host_it_is_not_every_address(text: str) -> None:
    """A socket takes an empty host for all of the machine's."""
    with pytest.raises(ConfigurationError, match="--listen: expected HOST:PORT such as"):
        host_port("--listen", text)
