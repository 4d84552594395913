"""The Cedar that a policy names: read beside it, held strictly, and never left out in silence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from undersigned.errors import ConfigurationError
from undersigned.runtime import Home, create_home, read_policy

PERMITS = 'permit (principal, action, resource) when { principal.hasTag("MembershipCredential") };\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_home(tmp_path / "acme", name="Acme", local=True, port=18080)
    return tmp_path / "acme"


def policy(folder: Path, *lines: str) -> None:
    file = folder / "undersigned.toml"
    file.write_text(file.read_text().replace("[policy]\n", "\n".join(["[policy]", *lines, ""])))


def refused(folder: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        Home(folder)
    assert str(folder / "undersigned.toml") in caught.value.message
    return caught.value


def test_the_text_takes_the_place_of_the_name(folder: Path) -> None:
    """HIRE-POL-07."""
    (folder / "hiring.cedar").write_text(PERMITS)
    policy(folder, 'cedar_file = "hiring.cedar"')
    read = Home(folder).configuration.policy
    assert read.cedar == PERMITS
    assert read_policy(folder / "undersigned.toml") == read
    inline = folder / "policy.toml"
    inline.write_text(f"cedar = '''{PERMITS}'''\n")
    assert read_policy(inline).cedar == PERMITS


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('cedar_file = "missing.cedar"', "missing.cedar"),
        ('cedar_file = "latin.cedar"', "latin.cedar"),
        ('cedar_file = "hiring.cedar"\ncedar = "permit (principal, action, resource);"', "`cedar_file`"),
        ("cedar_file = 1", "`cedar_file`"),
        ('cedar_file = ""', "`cedar_file`"),
        ('cedar_file = "wrong.cedar"', "hasTags"),
        ('cedar_file = "empty.cedar"', "empty.cedar: it is empty"),
        ('cedar = "permit"', "not read"),
        (f"cedar = '{'/' * 65_537}'", "cedar"),
    ],
)
def test_cedar_that_cannot_be_used_stops_the_folder(folder: Path, line: str, said: str) -> None:
    """HIRE-POL-04."""
    (folder / "hiring.cedar").write_text(PERMITS)
    (folder / "wrong.cedar").write_text(PERMITS.replace("hasTag", "hasTags"))
    (folder / "latin.cedar").write_bytes(b"// caf\xe9\n")
    (folder / "empty.cedar").write_bytes(b"")
    policy(folder, line)
    error = refused(folder)
    assert error.code == "bad_configuration"
    assert said in error.message


def test_without_the_extra_the_folder_does_not_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-POL-04."""
    policy(folder, "cedar = 'permit (principal, action, resource);'")
    assert Home(folder)
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    file = folder / "undersigned.toml"
    file.write_text(file.read_text().replace("'permit (", "'forbid ("))  # what was read before is remembered
    error = refused(folder)
    assert (error.code, error.exit_code) == ("missing_extra", 2)
    assert "undersigned[cedar]" in error.message


@pytest.mark.parametrize("text", ["policy = 1", "[policy]\nnome = 'x'", "not toml", "[other]\n"])
def test_a_policy_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_policy(file)
    assert caught.value.code == "bad_configuration"
    assert str(file) in caught.value.message
