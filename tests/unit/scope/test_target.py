import pytest

from undersigned.errors import FormatError
from undersigned.scope import Action, Grant, Prohibition, Scope, forbids, inside, parse_pattern, parse_target, permits


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://acme.example/a/b", "https://acme.example/a/b"),
        ("HTTPS://ACME.example:443/a", "https://acme.example/a"),
        ("http://acme.example:80", "http://acme.example"),
        ("ws://acme.example:80/a", "ws://acme.example/a"),
        ("wss://acme.example:443/a", "wss://acme.example/a"),
        ("wss://acme.example:80/a%20b", "wss://acme.example:80/a%20b"),
        ("https://acme.example/", "https://acme.example"),
        ("https://acme.example:8443/", "https://acme.example:8443"),
        ("https://acme.example/%7Ejo/%c3%a9", "https://acme.example/~jo/%C3%A9"),
        ("https://acme.example/a/", "https://acme.example/a/"),
        ("https://acme.example/a?q=x%2fy&r=%41", "https://acme.example/a?q=x%2Fy&r=A"),
        ("https://acme.example/%c3%a4%F0%9F%8d%89?q=%E2%82%ac", "https://acme.example/%C3%A4%F0%9F%8D%89?q=%E2%82%AC"),
        ("https://[::1]:8080/a", "https://[::1]:8080/a"),
        ("urn:hire:artifact:1", "urn:hire:artifact:1"),
    ],
)
def test_a_target_has_one_spelling(written: str, kept: str) -> None:
    assert str(parse_target(written)) == kept
    assert str(parse_target(kept)) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme.example/a",
        "/a",
        "https:",
        "https://",
        "https:///a",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "https://acme.example/a#b",
        "https://user@acme.example/a",
        "https://acme.example./a",
        "https://acme..example/a",
        "https://acme.example:0/a",
        "https://acme.example:080/a",
        "https://acme.example:/a",
        "https://acme.example/a/../b",
        "https://acme.example/a/%2e%2E/b",
        "https://acme.example/./a",
        "https://acme.example/a/..;/b",
        "https://acme.example/a/..;v=1/b",
        "https://acme.example/a/%2e%2e;/b",
        "https://acme.example/a/..%3b/b",
        "https://acme.example/a/.;",
        "https://acme.example/a/;/b",
        "https://acme.example/;v=1",
        "https://acme.example/a/%3Bv/b",
        "https://acme.example/a//b",
        "https://acme.example//",
        "https://acme.example/a%2Fb",
        "https://acme.example/a%5cb",
        "https://acme.example/a%252Fb",
        "https://acme.example/a%00",
        "https://acme.example/a%1F",
        "https://acme.example/a%7F",
        "https://acme.example/a%2A",
        "https://acme.example/a%C0%AF..%C0%AFb",
        "https://acme.example/%c0%ae%C0%ae/b",
        "https://acme.example/a%E0%80%AFb",
        "https://acme.example/a%ED%A0%80",
        "https://acme.example/a%E4b",
        "https://acme.example/a%C3/%A4",
        "https://acme.example/a?b=%C0%AF",
        "https://acme.example/a?b=%2a",
        "https://acme.example/a%",
        "https://acme.example/a%4",
        "https://acme.example/a%zz",
        "https://acme.example/a\\b",
        "https://acme.example/a b",
        "https://acme.example/a\n",
        "https://acme.example/é",
        "https://аcme.example/a",
        "https://acme.example/*",
        "https://acme.example/a?*",
        "https://acme.example/" + "a/" * 65,
        "https://acme.example/" + "a" * 2048,
    ],
)
def test_what_has_two_readings_is_no_target(text: str) -> None:
    """HIRE-SCO-04."""
    with pytest.raises(FormatError) as caught:
        parse_target(text)
    assert caught.value.code == "schema_violation"


@pytest.mark.parametrize(
    "text",
    [
        "https://*.acme.example/a",
        "https://*/a",
        "https://acme.example/a*",
        "https://acme.example/**",
        "https://acme.example/*a/b",
        "https://acme.example/a?b=*",
        "urn:*",
        "urn:*/a",
        "*",
    ],
)
def test_a_wildcard_is_a_whole_segment_and_never_a_host(text: str) -> None:
    with pytest.raises(FormatError):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "target", "covered"),
    [
        ("https://a.example/x", "https://a.example/x", True),
        ("https://a.example/x", "https://a.example/x/", False),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://a.example/x?q", False),
        ("https://a.example/x?*", "https://a.example/x?q", True),
        ("https://a.example/x?*", "https://a.example/x", True),
        ("https://a.example/x?q=1", "https://a.example/x?q=1", True),
        ("https://a.example/x?q=1", "https://a.example/x?q=2", False),
        ("https://a.example/*", "https://a.example/x", True),
        ("https://a.example/*", "https://a.example/x/y/z", True),
        ("https://a.example/*", "https://a.example/x/", True),
        ("https://a.example/*", "https://a.example", False),
        ("https://a.example/x/*", "https://a.example/x", False),
        ("https://a.example/x/*", "https://a.example/x/", False),
        ("https://a.example/*/y", "https://a.example/x/y", True),
        ("https://a.example/*/y", "https://a.example/x/z/y", False),
        ("https://a.example/*/y", "https://a.example/y", False),
        ("urn:hire:*", "urn:hire:x", None),
    ],
)
def test_a_pattern_covers_by_whole_segments(pattern: str, target: str, covered: bool | None) -> None:
    """HIRE-SCO-04."""
    if covered is None:
        with pytest.raises(FormatError):
            parse_pattern(pattern)
    else:
        assert inside(parse_pattern(pattern), parse_target(target)) is covered


@pytest.mark.parametrize(
    ("prohibition", "target", "forbidden"),
    [
        ("https://h.example/app/payroll", "https://h.example/app/payroll/", True),
        ("https://h.example/app/payroll", "https://h.example/app/payroll;v=1", True),
        ("https://h.example/app/payroll", "https://h.example/app;a=b/payroll;v=1/", True),
        ("https://h.example/app/payroll", "https://h.example/app/payroll%3bv=1", True),
        ("https://h.example/app/payroll%3B", "https://h.example/app/payroll", True),
        ("https://h.example/app/payroll/", "https://h.example/app/payroll", True),
        ("https://h.example/app/payroll;v=1", "https://h.example/app/payroll", True),
        ("https://h.example/app/payroll/*", "https://h.example/app/payroll/", False),
        ("https://h.example/app/payroll", "https://h.example/app/payrolls", False),
        ("https://h.example/app/payroll", "https://h.example/app/payroll/x", False),
        ("https://h.example/app/payroll", "https://h.example/app/payroll?x", False),
        ("https://h.example/app/payroll?*", "https://h.example/app/payroll/?x", True),
    ],
)
def test_a_prohibition_reaches_every_spelling_and_a_grant_none_but_its_own(
    prohibition: str, target: str, forbidden: bool
) -> None:
    """HIRE-SCO-06."""
    pattern, asked = parse_pattern(prohibition), parse_target(target)
    assert forbids(pattern, asked) is forbidden
    assert not inside(pattern, asked) or forbidden
    grant = Scope(
        grants=(Grant("app", "a:b", "https://h.example/app/*"), Grant("query", "a:b", "https://h.example/app/*?*")),
        prohibitions=(Prohibition("payroll", "a:b", prohibition),),
    )
    decision = permits(grant, {}, Action("a:b", target), "2026-11-25T12:00:00Z")
    assert (decision.clause == "payroll") is forbidden


@pytest.mark.parametrize("parse", [parse_target, parse_pattern])
def test_the_longest_and_the_deepest_target(parse) -> None:
    """2,048 characters, 64 segments, and no more."""
    for text, more in (("https://a.example/" + "a" * 2030, "a"), ("https://a.example" + 64 * "/a", "/a")):
        assert str(parse(text)) == text
        with pytest.raises(FormatError, match="at most"):
            parse(text + more)


@pytest.mark.parametrize(
    ("prohibition", "target", "forbidden"),
    [
        ("https://a.example/a", "https://a.example/a;v=1", True),  # the only segment
        ("https://a.example/a;v=1", "https://a.example/a", True),
        ("https://a.example/a", "https://a.example/a/", True),
        ("https://a.example/a/*", "https://a.example/a/", False),
    ],
)
def test_what_some_servers_cut_off_hides_nothing(prohibition: str, target: str, forbidden: bool) -> None:
    assert forbids(parse_pattern(prohibition), parse_target(target)) is forbidden
