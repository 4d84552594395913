"""Packs of what seldom happens in a hire: a sealed tender, a breach that is not cured, a move refused for good."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pack_cases import Case, lied
from undersigned.contract import Terms, rebase
from undersigned.encoding import digest_of, from_struct, shift
from undersigned.messages import Tender
from undersigned.protocol import HIRER, OTHER, PROVIDER, Role
from undersigned.testing import (
    NOON,
    Playbook,
    Say,
    amendment,
    bid,
    breach,
    delivery,
    inquiry,
    minutes,
    offer,
    problem,
    suspend,
    terminate,
    terms_for,
    withdraw,
)

SALT, ANOTHER = "u" + "A" * 43, "u" + "B" * 42 + "A"
BY_THEN = minutes(120)


def seldom() -> Iterator[Case]:
    """Each as the other side has it, and as its maker does."""
    yield from tenders()
    yield from breaches()
    yield from refused_for_good()


def tenders() -> Iterator[Case]:
    """Bids and their openings around each time of a tender, and those that it does not take (section 5.7)."""
    for after in (0, minutes(30), minutes(30) + 1):
        for stands in (minutes(62) - 1, minutes(62), BY_THEN):
            book = _opened(sealed=True)
            book.advance(after)
            yield from _both(f"a bid after {after} s that stands for {stands} s", book, PROVIDER, bid(valid_for=stands))
    for after in (0, minutes(30), minutes(30) + 1, minutes(60), minutes(60) + 1):
        book, terms = _committed()
        book.advance(after)
        opening = offer(terms=terms, salt=SALT, valid_for=BY_THEN)
        yield from _both(f"an opening after {after} s", book, PROVIDER, opening)
    book, terms = _committed()
    book.advance(minutes(31))
    dearer = replace(terms, price=replace(terms.price, amount="99"))
    for name, say in (
        ("another salt", offer(terms=terms, salt=ANOTHER, valid_for=BY_THEN)),
        ("another price", offer(terms=dearer, salt=SALT, valid_for=BY_THEN)),
        ("no salt", offer(terms=terms, valid_for=BY_THEN)),
        ("less time than was bid", offer(terms=terms, salt=SALT, valid_for=minutes(10))),
    ):
        yield from _both(f"an opening with {name}", book, PROVIDER, say)
    for sealed, say in ((True, offer()), (False, offer()), (False, bid())):
        yield from _both(f"{say.type} in a tender, sealed: {sealed}", _opened(sealed=sealed), PROVIDER, say)
    book = _opened(sealed=False)
    book.provider >> offer()
    yield from _both("a counter-offer in a tender", book, HIRER, offer())


def breaches() -> Iterator[Case]:
    """An end for a breach, before it had to be cured, then, and too late."""
    hour, month = minutes(60), 30 * minutes(24 * 60)
    for after in (0, hour, hour + 1, hour + month, hour + month + 1):
        book = Playbook("working")
        claimed = book.hirer >> breach(cure_by=shift(book.hirer.party.now, hour))
        book.advance(after)
        yield from _both(f"an end {after} s after a breach", book, HIRER, terminate("breach", names=claimed.digest))


def refused_for_good() -> Iterator[Case]:
    """A move that the other side refuses keeps its place or frees it (HIRE-NEG-19), as what is said next shows."""
    moves: tuple[tuple[str, Role, Say], ...] = (
        ("offered-by-hirer", HIRER, withdraw()),
        ("ready", HIRER, offer()),
        ("working", HIRER, suspend()),
        ("working", HIRER, amendment()),
        ("working", HIRER, breach()),
        ("working", PROVIDER, breach()),
        ("working", PROVIDER, delivery()),
    )
    for state, by, say in moves:
        book = Playbook(state)
        book.hold()
        said = book.side(by) >> say
        book.lose()
        yield lied(f"{say.type} of the {by} in {state}, refused", book, OTHER[by], problem(said.digest))
        book.side(OTHER[by]) >> problem(said.digest)
        yield lied(f"{say.type} of the {by} in {state}, refused and said again", book, by, say, own=True)
    book = Playbook("working")
    book.hirer >> amendment()
    book.hold()
    said = book.hirer >> withdraw()
    book.lose()
    book.provider >> problem(said.digest)
    yield lied("a refused withdrawal of an amendment, said again", book, HIRER, withdraw(), own=True)


def _both(name: str, book: Playbook, by: Role, say: Say) -> Iterator[Case]:
    yield lied(name, book, by, say)
    yield lied(f"the packer's own: {name}", book, by, say, own=True)


def _opened(*, sealed: bool) -> Playbook:
    half = [shift(NOON, minutes(30 * number)) for number in (1, 2, 3)]
    tender = Tender(
        id="urn:uuid:11111111-1111-4111-8111-111111111111",
        sealed=sealed,
        bids_close=half[0],
        reveal_by=half[1],
        award_by=half[2],
        rule={"lowest": "price"},
    )
    return Playbook("ready", first=inquiry(opens=PROVIDER, rounds=1, tender=tender))


def _committed() -> tuple[Playbook, Terms]:
    """A bid is in, and the terms that it commits to."""
    book = _opened(sealed=True)
    party = book.provider.party
    terms = terms_for(party)
    named = rebase(terms, f"{party.engagement.id}:provider:{len(party.engagement.sent) + 2}")
    book.provider >> bid(digest_of({"salt": SALT, "terms": from_struct(named)}), valid_for=BY_THEN)
    return book, terms
