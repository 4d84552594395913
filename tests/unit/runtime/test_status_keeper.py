"""Status lists that were fetched: kept as long as they and the asker allow, and never instead of a failure."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
import pytest_asyncio

from integration.hires import until
from status_host import PLACE, StatusHost, status_host
from support import refuses
from undersigned.credentials import (
    Credential,
    check_status,
    credential_config,
    encode_list,
    enveloped_credential,
    read_credential,
    status_entry,
    status_urls,
)
from undersigned.did import DidDocument
from undersigned.encoding import canonicalize, digest_bytes, multibase_encode, parse_instant, shift
from undersigned.errors import CredentialError
from undersigned.proof import attach, prepare
from undersigned.runtime import (
    Gatherer,
    GathererLimits,
    Home,
    StatusKeeper,
    create_home,
    generate_key,
    rotate_organisation_key,
)
from undersigned.runtime.engagement.kept import signed_bytes
from undersigned.runtime.fetching.fetcher import looked_up_for
from undersigned.testing import NOON, HandClock

pytestmark = pytest.mark.asyncio


class Kept:
    """A keeper, the host it asks, and the time, by hand."""

    def __init__(self, host: StatusHost, gatherer: Gatherer) -> None:
        self.host = host
        self.hosts = [host]
        self.clock = HandClock()
        self.at = 100.0
        self.resolved = 0
        self.gatherer = gatherer
        self.keeper = StatusKeeper(gatherer, self._document, self.clock, seconds=lambda: self.at)

    async def _document(self, did: str, max_age: float):
        self.resolved += 1
        assert max_age <= 300
        (host,) = [one for one in self.hosts if one.issuer == did]
        document = host.home.organisation_document()
        assert document is not None
        return document

    def credential(
        self, place: int = PLACE, path: str = "", purpose: str = "revocation", host: StatusHost | None = None
    ) -> Credential:
        by = host or self.host
        return read_credential(
            {
                "@context": ["https://www.w3.org/ns/credentials/v2"],
                "type": ["VerifiableCredential"],
                "issuer": by.issuer,
                "credentialSubject": {"id": "did:key:z6Mk"},
                "credentialStatus": status_entry(by.url + path, place, purpose),
            }
        )

    async def look(self, max_age: float = 0.0, place: int = PLACE, purpose: str = "revocation") -> str:
        """`clear`, or the code of the refusal."""
        one = self.credential(place, purpose=purpose)
        try:
            check_status(one, await self.keeper.lists([one], max_age_seconds=max_age), self.clock.now())
        except CredentialError as error:
            return error.code
        return "clear"


@pytest_asyncio.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=18_099)
    async with status_host(home, NOON) as host:
        gatherer = Gatherer(local=True)
        found = Kept(host, gatherer)
        yield found
        await found.keeper.close()
        await gatherer.close()


@pytest_asyncio.fixture
async def other(kept: Kept, tmp_path: Path) -> AsyncIterator[StatusHost]:
    """Another organisation's host, which the same keeper asks."""
    home = create_home(tmp_path / "globex", name="Globex", local=True, port=18_098)
    async with status_host(home, NOON) as host:
        kept.hosts.append(host)
        yield host


async def test_lists_of_several_issuers_are_all_there_or_none_counts(kept: Kept, other: StatusHost) -> None:
    """HIRE-STA-05: each is fetched once, and what came is kept, whatever became of the others."""
    both = [kept.credential(), kept.credential(host=other)]
    other.places.add(PLACE)
    found = await kept.keeper.lists(both, max_age_seconds=0)
    assert {url: one.issuer for url, one in found.items()} == {host.url: host.issuer for host in kept.hosts}
    check_status(both[0], found, kept.clock.now())
    with refuses(CredentialError, "revoked"):
        check_status(both[1], found, kept.clock.now())
    other.status = "500 Internal Server Error"
    kept.at += 10
    with refuses(CredentialError, "status_unavailable"):
        await kept.keeper.lists(both, max_age_seconds=0)
    assert await kept.look(300) == "clear"
    assert [host.asked for host in kept.hosts] == [2, 2]


async def test_who_waits_for_lists_waits_no_longer_than_for_one(kept: Kept, other: StatusHost) -> None:
    """HIRE-STA-04: one that does not come takes the others with it, for whoever asked for all of them."""
    other.hangs = True
    hanging = kept.credential(host=other)
    impatient = Gatherer(local=True, limits=GathererLimits(seconds=0.2))
    keeper = StatusKeeper(impatient, kept._document, kept.clock, seconds=lambda: kept.at)
    for waits in (
        keeper.lists([hanging], max_age_seconds=0),
        keeper.lists([kept.credential(), hanging], max_age_seconds=0),
        keeper.list_at(other.url, other.issuer),
    ):
        with refuses(CredentialError, "status_unavailable"):
            await waits
    await keeper.close()
    await impatient.close()


async def test_a_list_is_used_as_long_as_both_sides_allow(kept: Kept) -> None:
    """HIRE-STA-05: its `ttl`, and the age that the asker can live with, whichever is less."""
    kept.host.ttl_seconds = 60
    assert await kept.look(1000) == "clear"
    kept.at += 60
    assert await kept.look(1000) == "clear"
    assert kept.host.asked == 1
    kept.at += 0.001
    assert await kept.look(1000) == "clear"
    assert kept.host.asked == 2
    kept.at += 10
    assert await kept.look(10) == "clear"
    assert await kept.look(9.9) == "clear"
    assert kept.host.asked == 3


async def test_fresh_is_fetched_after_it_was_asked_for(kept: Kept) -> None:
    """HIRE-STA-05. A revocation of a second ago is seen by whoever signs, and not by whoever asked for less."""
    assert await kept.look() == "clear"
    kept.host.places.add(PLACE)
    kept.at += 0.5
    assert await kept.look(300) == "clear"
    assert await kept.look(0) == "revoked"
    assert await kept.look(300) == "revoked"
    assert await kept.look(300, PLACE + 1) == "clear"
    assert kept.host.asked == 2


@pytest.mark.parametrize("as_text", [False, True], ids=["document", "JWT"])
async def test_the_list_from_before_a_revocation_is_not_taken_again(kept: Kept, as_text: bool) -> None:
    """It is its issuer's and valid still; who serves it is not the issuer. One that withdraws no less is taken."""
    kept.host.as_text = as_text
    old = kept.host.served()
    kept.host.places.add(PLACE)
    kept.host.now = kept.clock.advance(60)
    assert await kept.look() == "revoked"
    kept.host.body = old
    for _ in range(2):
        kept.at += 400
        assert await kept.look() == "status_unavailable"
        assert await kept.look(place=PLACE + 1) == "status_unavailable"
    kept.host.body, kept.host.now = None, shift(kept.host.now, -1)
    kept.at += 1
    assert await kept.look() == "revoked", "another server of the issuer's, a second behind"
    kept.host.places.clear()
    kept.host.now = kept.clock.advance(1)
    kept.at += 1
    assert await kept.look() == "clear", "what its issuer clears is clear"


@pytest.mark.parametrize(("purpose", "code"), [("revocation", "status_unavailable"), ("suspension", "clear")])
async def test_of_two_lists_of_one_second_the_later_one_revokes_more(kept: Kept, purpose: str, code: str) -> None:
    """HIRE-STA-05: a list is made anew at each withdrawal, and times are whole seconds. A suspension is lifted too."""
    kept.host.purpose = purpose
    old = kept.host.served()
    kept.host.places.add(PLACE)
    assert await kept.look(purpose=purpose) == "revoked"
    kept.host.body = old
    kept.at += 400
    assert await kept.look(purpose=purpose) == code


async def test_a_suspension_is_lifted_in_a_list_of_both_in_the_same_second(kept: Kept) -> None:
    """HIRE-STA-05: what is clear there again may be either; and a list without times would never be taken again."""
    kept.host.purpose = ["revocation", "suspension"]  # type: ignore[assignment]
    kept.host.places.add(PLACE)
    assert await kept.look(purpose="suspension") == "revoked"
    kept.host.places.clear()
    kept.at += 400
    assert await kept.look(purpose="suspension") == "clear"


@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
async def test_an_answer_that_another_one_overtook_is_none_any_more(kept: Kept, purpose: str) -> None:
    """HIRE-STA-05: it was asked for by somebody else before, and stood still on its way. What came since is later:
    nothing went back, and what was lifted since is not suspended again.
    """
    fetch, go, came = kept.gatherer.fetch, asyncio.Event(), asyncio.Event()

    async def slowly(url: str, **more: Any) -> bytes:
        answer = await fetch(url, **more)
        if not came.is_set():
            came.set()
            await go.wait()
        return answer

    kept.gatherer.fetch = slowly  # type: ignore[method-assign]
    host = kept.host
    host.purpose = purpose
    host.places = {PLACE} if purpose == "suspension" else set()
    with looked_up_for("did:web:another.example"):
        before = asyncio.ensure_future(kept.look(place=PLACE + 1, purpose=purpose))
        await came.wait()
    kept.at += 1
    host.now, host.places = shift(host.now, 1), set() if purpose == "suspension" else {PLACE}
    assert await kept.look(purpose=purpose) == ("clear" if purpose == "suspension" else "revoked")
    go.set()
    assert await before == "clear"
    assert await kept.look(1000, purpose=purpose) == ("clear" if purpose == "suspension" else "revoked")
    assert host.asked == 2


async def test_a_list_that_asks_not_to_be_kept_is_not(kept: Kept) -> None:
    kept.host.ttl_seconds = 0
    for asked in (1, 2):
        kept.at += 0.1
        assert await kept.look(300) == "clear"
        assert kept.host.asked == asked


async def test_many_askers_cause_one_fetch_and_nobody_gets_an_older_answer(kept: Kept) -> None:
    kept.host.hangs = True
    kept.gatherer.limits = GathererLimits(seconds=1.0)
    first = asyncio.create_task(kept.look(0))
    await until(lambda: kept.host.asked == 1)
    kept.at += 1
    # These ask after the first fetch began: it may be answered with the list of before.
    later = [asyncio.create_task(kept.look(0)) for _ in range(20)]
    content = [asyncio.create_task(kept.look(5)) for _ in range(20)]
    await asyncio.sleep(0)  # each of them begins
    kept.host.hangs = False
    # The first one is never answered and fails; the second is, once for all of the others.
    assert await first == "status_unavailable"
    assert set(await asyncio.gather(*content)) == {"status_unavailable"}
    assert set(await asyncio.gather(*later)) <= {"clear", "status_unavailable"}
    assert kept.host.asked <= 2
    kept.gatherer.limits = GathererLimits()
    assert await kept.look(0) == "clear"


async def test_an_asker_that_gives_up_takes_nothing_from_the_others(kept: Kept) -> None:
    tasks = [asyncio.create_task(kept.look(0)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == ["clear", "clear"]


async def test_the_same_bytes_are_not_verified_again_and_still_end(kept: Kept) -> None:
    kept.host.body = canonicalize(kept.host.signed(kept.host.list()))
    one = kept.credential()
    first = await kept.keeper.lists([one], max_age_seconds=0)
    kept.at += 1
    again = await kept.keeper.lists([one], max_age_seconds=0)
    assert again[kept.host.url] is first[kept.host.url]
    assert (kept.host.asked, kept.resolved) == (2, 2)
    kept.clock.advance(3600)
    kept.at += 1
    assert await kept.look(0) == "status_unavailable"
    assert await kept.look(300) == "status_unavailable"


async def test_a_list_past_its_own_end_is_asked_for_again(kept: Kept) -> None:
    """HIRE-STA-05: whatever its `ttl` said; the machine may have slept. One that is still served is not asked for at
    each look.
    """
    kept.host.ttl_seconds = 86_400
    assert await kept.look(86_400) == "clear"
    kept.clock.advance(7200)
    kept.at += 7200
    kept.host.now = kept.clock.now()
    assert await kept.look(86_400) == "clear"
    assert kept.host.asked == 2
    kept.host.body = kept.host.served()
    kept.at += 1
    assert await kept.look(0) == "clear"
    kept.clock.advance(7200)
    kept.at += 7200
    assert [await kept.look(86_400) for _ in range(3)] == ["status_unavailable"] * 3
    assert kept.host.asked == 4
    kept.at += 11
    assert await kept.look(86_400) == "status_unavailable"
    assert kept.host.asked == 5


async def test_the_first_list_by_a_new_key_is_taken(kept: Kept) -> None:
    """HIRE-KEY-10: whose document was looked up just before; by a key that is none it costs one look-up more."""
    home = kept.host.home
    before = home.organisation_document()
    method, _ = rotate_organisation_key(home)
    config = credential_config("eddsa-jcs-2022", method, NOON)
    unsigned = kept.host.list()
    key = Home(home.path).key("organisation")
    kept.host.body = canonicalize(attach(unsigned, config, key.sign_now(prepare(unsigned, config, "Ed25519"))))
    known, asked = {300: before, 0: before}, list[float]()

    async def document(_: str, max_age: float) -> DidDocument:
        asked.append(max_age)
        found = known[int(max_age)]
        assert found is not None
        return found

    async with StatusKeeper(kept.gatherer, document, kept.clock, seconds=lambda: kept.at) as kept.keeper:
        assert await kept.look(0) == "status_unavailable"
        known[0] = Home(home.path).organisation_document()
        assert await kept.look(0) == "clear"
        kept.host.body, kept.at = canonicalize(kept.host.signed(unsigned, generate_key("Ed25519"))), kept.at + 1
        assert await kept.look(0) == "status_unavailable", "by a key that it is not, which no document makes good"
    assert asked == [300, 0, 300, 0, 300]


async def test_a_failure_replaces_nothing_and_is_not_remembered(kept: Kept) -> None:
    assert await kept.look(0) == "clear"
    kept.host.status = "503 Service Unavailable"
    kept.at += 1
    assert await kept.look(0) == "status_unavailable"
    assert await kept.look(300) == "clear"
    kept.host.status = "200 OK"
    assert await kept.look(0) == "clear"


async def test_a_presentation_does_not_lead_to_many_hosts(kept: Kept) -> None:
    """HIRE-STA-04."""
    many = [
        read_credential(
            kept.credential().json | {"credentialStatus": status_entry(f"https://h{number}.example/status/1", 40)}
        )
        for number in range(9)
    ]
    with pytest.raises(CredentialError) as caught:
        await kept.keeper.lists(many, max_age_seconds=0)
    assert caught.value.code == "status_unavailable"
    assert "8 hosts" in caught.value.message
    assert kept.host.asked == 0


@pytest.mark.parametrize("url", ["https://[/", "https://[::1", "https://a]/", "https://[x]/status", "https:///status"])
async def test_what_is_no_url_is_a_list_that_is_not_had(kept: Kept, url: str) -> None:
    """HIRE-STA-03: its form is right as far as a credential is read, and it names no host."""
    one = read_credential(kept.credential().json | {"credentialStatus": status_entry(url, PLACE)})
    for more in ((), (kept.credential(),)):
        with pytest.raises(CredentialError) as caught:
            await kept.keeper.lists([one, *more], max_age_seconds=0)
        assert caught.value.code == "status_unavailable"


async def test_what_is_kept_is_bounded(kept: Kept) -> None:
    """The oldest goes: 16 KiB of bits and the document each."""
    keeper = StatusKeeper(kept.gatherer, kept._document, kept.clock, max_bytes=60_000, seconds=lambda: kept.at)
    for number in range(6):
        one = kept.credential(path=f"?{number}")
        document = kept.host.list() | {"id": kept.host.url + f"?{number}"}
        kept.host.body = canonicalize(kept.host.signed(document))
        await keeper.lists([one], max_age_seconds=300)
    assert keeper._size <= 60_000
    assert len(keeper._kept) == 3
    before = kept.host.asked
    await keeper.lists([kept.credential(path="?5")], max_age_seconds=300)
    assert kept.host.asked == before
    await keeper.close()


async def test_a_long_list_is_read_beside_the_loop(kept: Kept) -> None:
    bits = bytearray(token_bytes(400_000))
    bits[:4] = bytes(4)
    bits[PLACE >> 3] &= ~(0x80 >> (PLACE & 7)) & 0xFF
    kept.host.body = canonicalize(kept.host.signed(kept.host.list(encoded=encode_list(bits))))
    assert len(kept.host.body) > 500_000
    assert await kept.look(0) == "clear"
    for place in range(8 * 4_000):
        if bits[place >> 3] & (0x80 >> (place & 7)):
            assert await kept.look(300, place) == "revoked"
            break


async def test_a_list_may_be_a_jwt(kept: Kept) -> None:
    """HIRE-STA-10: looked into, kept and ended as one with a proof."""
    kept.host.as_text = True
    one = kept.credential()
    first = (await kept.keeper.lists([one], max_age_seconds=0))[kept.host.url]
    assert signed_bytes(first.credential) == kept.host.served()
    assert first.credential.digest == digest_bytes(kept.host.served())
    kept.at += 1
    assert (await kept.keeper.lists([one], max_age_seconds=0))[kept.host.url] is first
    kept.at += 1
    kept.host.places.add(PLACE)
    assert await kept.look() == "revoked"
    assert await kept.look(300, PLACE + 1) == "clear"
    assert kept.host.asked == 3
    kept.at += kept.host.ttl_seconds + 1
    kept.host.as_text = False
    kept.host.places.clear()
    kept.host.now = kept.clock.advance(1)
    assert await kept.look(1000) == "clear"
    kept.clock.advance(3600)
    assert await kept.look(300) == "status_unavailable"


def _claims(**more: Any) -> Callable[[StatusHost], bytes]:
    return lambda host: host.text({**host.list(), **more})


def _header(**more: str) -> Callable[[StatusHost], bytes]:
    return lambda host: host.text(host.list(), **more)


def _subject(**more: Any) -> Callable[[StatusHost], bytes]:
    def made(host: StatusHost) -> bytes:
        listed: Any = host.list()
        listed["credentialSubject"] |= more
        return host.text(listed)

    return made


AT = int(parse_instant(NOON).timestamp())
SERVED: dict[str, tuple[Callable[[StatusHost], bytes], str]] = {
    "every claim": (_claims(iat=AT, nbf=AT - 60, exp=AT + 60), "clear"),
    "the old name": (_header(alg="EdDSA"), "clear"),
    "a line after it": (lambda host: host.text(host.list()) + b"\n", "clear"),
    "in an envelope": (lambda host: canonicalize(enveloped_credential(host.text(host.list()).decode())), "clear"),
    "without an id": (lambda host: host.text({n: v for n, v in host.list().items() if n != "id"}), "status_invalid"),
    "no algorithm": (_header(alg="none"), "status_unavailable"),
    "another algorithm": (_header(alg="ES256"), "status_unavailable"),
    "typed as a presentation": (_header(typ="vp+jwt", cty="vp"), "status_unavailable"),
    "typed as any JWT": (_header(typ="JWT"), "status_unavailable"),
    "more in the header": (_header(jku="https://keys.example"), "status_unavailable"),
    "a method of another": (_header(kid="did:web:other.example#office"), "status_unavailable"),
    "a method that is not there": (lambda host: host.text(host.list(), kid=f"{host.issuer}#x"), "status_unavailable"),
    "another key": (lambda host: host.text(host.list(), key=generate_key()), "status_unavailable"),
    "another issuer": (_claims(issuer="did:web:other.example"), "status_unavailable"),
    "past by exp": (_claims(exp=AT), "status_unavailable"),
    "not yet by nbf": (_claims(nbf=AT + 1), "status_unavailable"),
    "signed to come": (_claims(iat=AT + 61), "status_unavailable"),
    "past": (_claims(validUntil=shift(NOON, -1)), "status_unavailable"),
    "iss of another": (_claims(iss="did:web:other.example"), "status_invalid"),
    "for somebody": (_claims(aud="did:web:other.example"), "status_invalid"),
    "inside a claim": (_claims(vc={}), "status_invalid"),
    "exp as text": (_claims(exp="tomorrow"), "status_invalid"),
    "of another place": (_claims(id="https://other.example/status/7"), "status_invalid"),
    "no list": (_claims(type=["VerifiableCredential"]), "status_invalid"),
    "of another purpose": (_subject(statusPurpose="suspension"), "status_invalid"),
    "too short": (_subject(encodedList=multibase_encode("u", gzip.compress(bytes(16_383)))), "status_invalid"),
    "too large": (_subject(encodedList="u" + "A" * 1_048_600), "status_invalid"),
    "a negative ttl": (_subject(ttl=-1), "status_invalid"),
    "two parts": (lambda host: host.text(host.list()).rpartition(b".")[0], "status_invalid"),
    "a byte more": (lambda host: host.text(host.list()) + b"=", "status_invalid"),
    "a space within": (lambda host: host.text(host.list()).replace(b".", b" .", 1), "status_invalid"),
    "not ASCII": (lambda host: b"\xff" + host.text(host.list()), "status_invalid"),
    "a page": (lambda _: b"<html>this domain is for sale</html>", "status_invalid"),
    "a list of JSON": (lambda host: b"[" + canonicalize(host.signed(host.list())) + b"]", "status_invalid"),
    "nothing": (lambda _: b"", "status_invalid"),
}
"""What is served, and what is said of a credential by it."""


@pytest.mark.parametrize("what", SERVED)
async def test_a_jwt_is_read_as_strictly(kept: Kept, what: str) -> None:
    """HIRE-STA-10, HIRE-STA-01, HIRE-STA-03: what nobody may sign says nothing; what is no list is refused as such."""
    make, said = SERVED[what]
    kept.host.as_text, kept.host.body = True, make(kept.host)
    assert await kept.look() == said
    kept.at += 1
    kept.host.body = None
    assert await kept.look() == "clear"


async def test_a_long_jwt_is_read_beside_the_loop(kept: Kept) -> None:
    """HIRE-STA-01: as long as a list with a proof may be; the text is longer by a third."""
    bits = bytes(16_384) + token_bytes(760_000)
    kept.host.body = kept.host.text(kept.host.list(encoded=encode_list(bits)))
    assert len(kept.host.body) > 1_300_000
    assert await kept.look() == "clear"
    at = next(8 * place for place in range(16_384, 20_000) if bits[place] & 0x80)
    assert await kept.look(300, at) == "revoked"


async def test_a_fetch_that_ended_in_this_round_of_the_loop_is_not_waited_for(kept: Kept) -> None:
    """Waiting for what has ended gives the loop to nobody: who asked for something fresher would spin for ever."""
    (url,) = status_urls([kept.credential()])
    ended = asyncio.ensure_future(asyncio.sleep(0))
    await ended
    kept.keeper._under_way[url, kept.host.issuer, ""] = (kept.at - 1, ended)  # type: ignore[assignment]
    assert await kept.look() == "clear"
