"""What is to be granted, as it is typed: good texts become grants, every other text is an error with an example."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import refusal
from undersigned.cli.terms import parse_allow, read_scope_options, with_grants
from undersigned.errors import ConfigurationError
from undersigned.scope import Grant, Limit, Prohibition, Scope

GRANT = b"[[scope.grant]]\nid = 'x'\naction = 'a:b'\ntarget = 'https://a.example/'\n"


def test_allow_is_an_action_a_target_and_limits() -> None:
    target = "https://git.example/app/*"
    assert parse_allow(1, f"repo:read={target}") == Grant("allow-1", "repo:read", target)
    assert parse_allow(2, f"repo:read={target}; count <= 100;EUR<=2.50") == Grant(
        "allow-2", "repo:read", target, limits=(Limit("count", "100"), Limit("EUR", "2.5"))
    )


def test_a_grant_that_is_added_has_a_name_that_no_clause_has() -> None:
    """Not even one that is taken out at the same time: what was used under that is not counted for it."""
    target = "https://git.example/app/*"
    grants = (Grant("allow-1", "repo:read", target), Grant("read-1", "artifact:read", target))
    scope = Scope(grants=grants, prohibitions=(Prohibition("allow-2", "repo:write", target),))
    other = with_grants(scope, ("a:b=https://a.example/", "c:d=https://a.example/"), ("allow-1",))
    assert [one.id for one in other.grants] == ["allow-3", "allow-4", "read-1"]
    assert other.prohibitions == scope.prohibitions
    assert with_grants(other, (), ("allow-3", "allow-4")).grants == grants[1:]
    with pytest.raises(ConfigurationError, match=r"--drop: expected a grant, allow-1, read-1; got 'allow-2'"):
        with_grants(scope, (), ("allow-2",))
    with pytest.raises(ConfigurationError, match="at most 64 grants, got 66"):
        with_grants(scope, ("a:b=https://a.example/",) * 64, ())


def test_a_grant_gets_another_limit_in_the_place_of_its_own() -> None:
    """What was used under a clause keeps it: it stays, with a limit of that."""
    a_day = Limit("count", "5", per="P1D")
    scope = Scope(grants=(Grant("notes", "note:read", "https://a.example/*", limits=(a_day, Limit("count", "10"))),))
    (less,) = with_grants(scope, (), (), ("notes;count<=3;EUR<=2.50",)).grants
    assert set(less.limits) == {a_day, Limit("count", "3"), Limit("EUR", "2.5")}
    assert less.id == "notes"
    for wrong in ("other;count<=3", "notes", "notes;count", "notes;count<=many", "notes;<=3"):
        with pytest.raises(ConfigurationError, match="expected"):
            with_grants(scope, (), (), (wrong,))
    with pytest.raises(ConfigurationError, match="--limit: expected a grant, there are none"):
        with_grants(scope, (), ("notes",), ("notes;count<=3",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "repo:read",
        "=https://git.example/",
        "repo:read=",
        "repo:read=nowhere",
        "repo:read=https://git.example/;count",
        "repo:read=https://git.example/;count=100",
        "repo:read=https://git.example/;count<=many",
        "repo:read=https://git.example/;count<=-1",
        "repo:read=https://git.example/;<=1",
        "repo:read=https://git.example/;count<=1;count<=2",
        "repo:read=https://git.example/../../",
        "two words=https://git.example/",
    ],
)
def test_allow_refuses(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--allow") as refused:
        parse_allow(1, text)
    assert (refused.value.code, refused.value.exit_code) == ("bad_configuration", 2)


@given(
    st.text(alphabet=st.characters(codec=None), max_size=60) | st.from_regex(r"[a-z:]{0,9}=.{0,30}(;.{0,9}<=.{0,9})*")
)
def test_any_text_is_a_grant_or_an_error(text: str) -> None:
    assert refusal(lambda: parse_allow(1, text)) in {None, "bad_configuration"}


def test_a_scope_file_and_allow_add_up(tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(
        '[[scope.grant]]\nid = "read-repo"\naction = "repo:read"\ntarget = "https://git.example/*"\n'
        '[[scope.prohibition]]\nid = "no-secrets"\naction = "repo:read"\ntarget = "https://git.example/secrets/*"\n'
    )
    scope = read_scope_options(("api:call=https://api.example/",), file)
    assert [grant.id for grant in scope.grants] == ["allow-1", "read-repo"]
    assert [one.id for one in scope.prohibitions] == ["no-secrets"]
    assert read_scope_options((), None) == Scope()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00binary",
        b"not toml",
        b"[[scope.grant]]\n",
        b"[[scope.grant]]\nid = 'x'\naction = 'a:b'\ntarget = 'nowhere'\n",
        GRANT + b"limits = [{unit = 'count', max = 1.5}]\n",
        GRANT + b"surprise = 1\n",
        b"[scope]\ngrant = 7\n",
        b"scope = 7\n",
        b"[[grants]]\nid = 'x'\n",
        b"",
        b"# to be written\n",
        b"[scope]\n",
        GRANT + b"[[prohibition]]\nid = 'no-secrets'\naction = 'repo:read'\ntarget = 'https://git.example/secrets/*'\n",
        GRANT + b"window = {until = 2030-01-01T00:00:00Z}\n",
    ],
)
def test_a_scope_file_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"scope\.toml") as refused:
        read_scope_options((), file)
    assert refused.value.code == "bad_configuration"


@given(content=st.binary(max_size=120) | st.text(max_size=120).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_scope_file_is_a_scope_or_an_error(content: bytes, tmp_path_factory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(content)
    assert refusal(lambda: read_scope_options((), file)) in {None, "bad_configuration"}


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_scope_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        read_scope_options((), tmp_path / name)
