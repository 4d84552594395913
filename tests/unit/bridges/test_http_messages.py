"""HTTP messages: what a signature over one covers, and how that is written."""

from __future__ import annotations

import http_sf
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import refuses
from undersigned.bridges.http_messages import Component, Request, Response, signature_base, signature_input
from undersigned.errors import FormatError

URL = "https://acme.example/artifacts/x?y=1"


def test_a_line_break_cannot_add_a_component() -> None:
    """One component must not read as two."""
    request = Request("GET", URL, (("X", 'a\n"@method": PUT'),))
    with refuses(FormatError, "schema_violation"):
        signature_base(request, ["x"], {})


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("@method", "GET"),
        ("@target-uri", "HTTPS://Example.com:443/p%20a?a=b%20c&d=e+f&t=~"),
        ("@authority", "example.com"),
        ("@scheme", "https"),
        ("@path", "/p%20a"),
        ("@query", "?a=b%20c&d=e+f&t=~"),
        ("@request-target", "/p%20a?a=b%20c&d=e+f&t=~"),
        (Component("@query-param", (("name", "a"),)), "b%20c"),
        (Component("@query-param", (("name", "d"),)), "e%20f"),
        (Component("@query-param", (("name", "t"),)), "%7E"),
        ("x-two", "1, 2"),
        (Component("x-two", (("bs", True),)), ":MQ==:, :Mg==:"),
        (Component("x-dict", (("key", "b"),)), "2;x"),
        (Component("priority", (("sf", True),)), "u=1, i"),
    ],
)
def test_components(component, value) -> None:
    """RFC 9421, sections 2.1 and 2.2."""
    headers = (("X-Two", " 1 "), ("x-two", "2"), ("X-Dict", "a=1, b=2;x"), ("Priority", "u=1,   i"))
    request = Request("GET", "HTTPS://Example.com:443/p%20a?a=b%20c&d=e+f&t=~", headers)
    assert signature_base(request, [component], {}).decode().split("\n")[0].partition(": ")[2] == value


@pytest.mark.parametrize(
    "component",
    [
        "@status",
        "@unknown",
        "absent",
        "Upper",
        "@query-param",
        Component("@query-param", (("name", "none"),)),
        Component("@query-param", (("name", "twice"),)),
        Component("@method", (("name", "a"),)),
        Component("x", (("tr", True),)),
        Component("x", (("req", True),)),
        Component("x", (("bs", True), ("sf", True))),
        Component("x", (("sf", True),)),
        Component("x", (("key", "z"),)),
        Component("x", (("name", "z"),)),
    ],
)
def test_a_component_that_has_no_one_value_is_refused(component) -> None:
    request = Request("GET", "https://example.com/?twice=1&twice=2", (("X", "a=1"),))
    with refuses(FormatError, "schema_violation"):
        signature_base(request, [component], {})


def test_a_component_is_covered_once() -> None:
    """RFC 9421, section 2.5."""
    request = Request("GET", "https://example.com/", (("X", "a=1"),))
    key = Component("x", (("key", "a"),))
    signature_base(request, ["@method", "x", key], {})
    for one in ("@method", "x", key):
        with pytest.raises(FormatError, match="covered twice") as caught:
            signature_base(request, [one, "@path", one], {})
        assert caught.value.code == "schema_violation"


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ("@method", "@method is not a component of a response"),
        ("@target-uri", "@target-uri is not a component of a response"),
        (Component("@method", (("req", True),)), "req is for responses"),
    ],
)
def test_a_response_to_a_request_that_is_not_there_has_none_of_its_components(component, message) -> None:
    with pytest.raises(FormatError, match=message):
        signature_base(Response(204, ()), [component], {})


def test_components_of_the_request_in_a_response() -> None:
    response = Response(204, (("A", "1"),), Request("PUT", URL))
    base = signature_base(response, ["@status", Component("@method", (("req", True),)), "a"], {"created": 1})
    assert (
        base.decode()
        == '"@status": 204\n"@method";req: PUT\n"a": 1\n"@signature-params": ("@status" "@method";req "a");created=1'
    )


plain = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(
    names=st.lists(plain, max_size=4),
    parameters=st.dictionaries(
        st.from_regex("[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True),
        plain | st.integers(-(10**15) + 1, 10**15 - 1) | st.booleans(),
        max_size=5,
    ),
)
@example(names=["@method"], parameters={"nonce": 'a"b\\c'})
@example(names=["@method"], parameters={"created": 10**15 - 1, "tag": ""})
def test_what_is_covered_is_written_as_a_structured_field(names, parameters) -> None:
    """Whether it is written at once or by the library."""
    written = http_sf.ser([([(name, {}) for name in names], parameters)])
    assert signature_input(names, parameters) == written


def test_what_no_structured_field_holds_is_refused() -> None:
    for parameters in ({"created": 10**15}, {"nonce": "\x7f"}, {"Nonce": "x"}, {"nonce": 1.5j}):
        with pytest.raises(FormatError):
            signature_input(["@method"], parameters)
