"""A holder shows what was asked for, all of it that it can, and nothing besides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parties import NOW, Party
from undersigned.credentials import (
    AccreditedBy,
    Authority,
    Claim,
    Credential,
    Endorsement,
    answers,
    build_credential,
    claim_credential,
    read_credential,
    select,
)
from undersigned.encoding import shift
from undersigned.messages import Need

AGENT = Party("acme").did
ISSUERS = tuple(Party(f"issuer {n}").did for n in range(3))
CAPABILITIES = ("sbom", "translation", "review")
DAY = 86_400
OTHERS = "ExampleCredential"
TYPES = (Endorsement.type, Authority.type, AccreditedBy.type, OTHERS, "NobodyHasThisCredential")


def claim(kind: str, capability: str) -> Claim:
    if kind == Endorsement.type:
        return Endorsement(id=AGENT, capability=capability)
    if kind == Authority.type:
        return Authority(id=AGENT, may_attest=capability, depth=0)
    return AccreditedBy(id=AGENT, accredited_for=capability)


@st.composite
def credentials(draw: st.DrawFn) -> Credential:
    number = draw(st.integers(0, 10**6))
    kind = draw(st.sampled_from(TYPES[:4]))
    issuer, capability = draw(st.sampled_from(ISSUERS)), draw(st.sampled_from(CAPABILITIES))
    age, left = draw(st.integers(-1, 40)), draw(st.integers(-1, 40))
    times = {"valid_from": shift(NOW, -age * DAY), "valid_until": shift(NOW, max(left, -age) * DAY)}
    identifier = f"urn:example:{number}"
    if kind == OTHERS:
        subject = {"id": AGENT, "capability": capability, "note": "x" * draw(st.integers(0, 40))}
        return read_credential(build_credential(id=identifier, type=kind, issuer=issuer, subject=subject, **times))
    return read_credential(claim_credential(claim(kind, capability), id=identifier, issuer=issuer, **times))


NEEDS = st.builds(
    Need,
    code=st.just("credential"),
    credential=st.none() | st.sampled_from(TYPES),
    issuers=st.none() | st.lists(st.sampled_from(ISSUERS), max_size=2, unique=True).map(tuple),
    capability=st.none() | st.sampled_from(CAPABILITIES),
    max_age=st.none() | st.sampled_from(["P1D", "P20D"]),
)
HELD = st.lists(credentials(), max_size=12)
REQUESTS = st.lists(NEEDS, max_size=8)


def answered(need: Need, by: tuple[Credential, ...] | list[Credential]) -> bool:
    return any(answers(one, need, NOW) for one in by)


@given(REQUESTS, HELD)
def test_nothing_is_shown_that_was_not_asked_for(request: list[Need], held: list[Credential]) -> None:
    """HIRE-VC-05."""
    for one in select(request, held, NOW):
        assert one in held
        assert one.valid_at(NOW)
        assert any(answers(one, need, NOW) for need in request)


@given(REQUESTS, HELD)
def test_all_that_can_be_answered_is(request: list[Need], held: list[Credential]) -> None:
    shown = select(request, held, NOW)
    for need in request:
        assert answered(need, shown) == answered(need, held)


@given(REQUESTS, HELD)
def test_nothing_shown_can_be_left_out(request: list[Need], held: list[Credential]) -> None:
    """HIRE-VC-05."""
    shown = select(request, held, NOW)
    for left_out in shown:
        rest = [one for one in shown if one != left_out]
        assert any(answered(need, shown) and not answered(need, rest) for need in request)


@given(REQUESTS, HELD, st.randoms())
def test_the_order_of_what_is_held_says_nothing(request: list[Need], held: list[Credential], chance) -> None:  # type: ignore[no-untyped-def]
    mixed = list(held)
    chance.shuffle(mixed)
    assert set(select(request, mixed, NOW)) == set(select(request, held, NOW))


@given(HELD)
def test_who_asks_for_nothing_is_shown_nothing(held: list[Credential]) -> None:
    assert select([], held, NOW) == ()
    assert select([Need(code="credential"), Need(code="opens", capability="sbom")], held, NOW) == ()


def endorsement(number: int, capability: str = "sbom", issuer: str = ISSUERS[0]) -> Credential:
    return read_credential(
        claim_credential(
            Endorsement(id=AGENT, capability=capability),
            id=f"urn:example:{number}",
            issuer=issuer,
            valid_from=shift(NOW, -number * DAY),
            valid_until=shift(NOW, DAY),
        )
    )


def test_what_a_later_one_makes_needless_is_left_out() -> None:
    """HIRE-VC-05: the smallest answers the first two needs, and the two that must be shown for the others as well."""
    first, second, third = endorsement(1), endorsement(1000, issuer=ISSUERS[1]), endorsement(1001, issuer=ISSUERS[2])
    request = [
        Need(code="credential", credential=Endorsement.type, issuers=issuers)
        for issuers in (ISSUERS[:2], (ISSUERS[0], ISSUERS[2]), ISSUERS[1:2], ISSUERS[2:])
    ]
    assert select(request[:2], [first, second, third], NOW) == (first,)
    assert select(request, [first, second, third], NOW) == (second, third)


def test_one_credential_answers_two_needs() -> None:
    """The second would do for the first need, and is not shown."""
    held = [endorsement(3), endorsement(2, issuer=ISSUERS[1])]
    request = [
        Need(code="credential", credential=Endorsement.type),
        Need(code="credential", credential=Endorsement.type, issuers=(ISSUERS[1],)),
    ]
    assert select(request, held, NOW) == (held[1],)
    assert select(request[::-1], held, NOW) == (held[1],)


def test_a_need_is_met_by_one_credential_in_all_its_parts() -> None:
    old, young = endorsement(30), endorsement(1, "translation")
    asked = Need(code="credential", credential=Endorsement.type, capability="sbom", max_age="P7D")
    assert select([asked], [old, young], NOW) == ()
    assert select([asked], [old, young, endorsement(7)], NOW) == (endorsement(7),)


def test_no_more_are_shown_than_are_read() -> None:
    """Needs that stand first come first."""
    held = [endorsement(n, capability=f"capability {n}") for n in range(1, 31)]
    request = [
        Need(code="credential", credential=Endorsement.type, capability=f"capability {n}") for n in range(30, 0, -1)
    ]
    assert select(request, held, NOW) == tuple(held[14:])


def test_each_type_says_by_its_member_what_it_attests() -> None:
    """HIRE-VC-05."""
    times = {"valid_from": shift(NOW, -DAY), "valid_until": shift(NOW, DAY)}
    for kind in TYPES[:3]:
        one = read_credential(claim_credential(claim(kind, "sbom"), id="urn:example:1", issuer=ISSUERS[0], **times))
        assert answers(one, Need(code="credential", credential=kind, capability="sbom"), NOW)
        assert not answers(one, Need(code="credential", credential=kind, capability="review"), NOW)
        assert not answers(one, Need(code="credential", capability="sbom"), NOW), "no type is none that is asked for"


def test_a_member_that_says_a_capability_in_our_types_says_none_in_others() -> None:
    """Whoever defined it may have meant something else; `capability` is what a `Need` names."""
    times = {"valid_from": NOW, "valid_until": shift(NOW, DAY)}
    for member, said, counts in (
        ("capability", "sbom", True),
        ("capability", ["sbom"], False),
        ("mayAttest", "sbom", False),
        ("accreditedFor", "sbom", False),
    ):
        subject = {"id": AGENT, member: said}
        other = build_credential(id="urn:example:1", type=OTHERS, issuer=ISSUERS[0], subject=subject, **times)
        need = Need(code="credential", credential=OTHERS, capability="sbom")
        assert answers(read_credential(other), need, NOW) == counts
    ours = claim_credential(claim(Authority.type, "sbom"), id="urn:example:2", issuer=ISSUERS[0], **times)
    assert answers(read_credential(ours), Need(code="credential", credential=Authority.type, capability="sbom"), NOW)
