"""Status lists that were fetched: kept as long as they and the asker allow, and never instead of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from status_host import PLACE, StatusHost, status_host
from undersigned.credentials import Credential, check_status, encode_list, read_credential, status_entry, status_urls
from undersigned.encoding import canonicalize
from undersigned.errors import CredentialError
from undersigned.runtime import Gatherer, GathererLimits, StatusKeeper, create_home
from undersigned.testing import NOON, HandClock

pytestmark = pytest.mark.asyncio


class Kept:
    """A keeper, the host it asks, and the time, by hand."""

    def __init__(self, host: StatusHost, gatherer: Gatherer) -> None:
        self.host = host
        self.clock = HandClock()
        self.at = 100.0
        self.resolved = 0
        self.gatherer = gatherer
        self.keeper = StatusKeeper(gatherer, self._document, self.clock, seconds=lambda: self.at)

    async def _document(self, did: str, max_age: float):
        self.resolved += 1
        document = self.host.home.organisation_document()
        assert document is not None
        assert document.id == did
        assert max_age <= 300
        return document

    def credential(self, place: int = PLACE, path: str = "") -> Credential:
        return read_credential(
            {
                "@context": ["https://www.w3.org/ns/credentials/v2"],
                "type": ["VerifiableCredential"],
                "issuer": self.host.issuer,
                "credentialSubject": {"id": "did:key:z6Mk"},
                "credentialStatus": status_entry(self.host.url + path, place),
            }
        )

    async def look(self, max_age: float = 0.0, place: int = PLACE) -> str:
        """`clear`, or the code of the refusal."""
        one = self.credential(place)
        try:
            check_status(one, await self.keeper.lists([one], max_age_seconds=max_age), self.clock.now())
        except CredentialError as error:
            return error.code
        return "clear"


@pytest_asyncio.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=18_099)
    async with status_host(home, NOON) as host:
        gatherer = Gatherer(local=True, limits=GathererLimits(seconds=1.0))
        found = Kept(host, gatherer)
        yield found
        await found.keeper.close()
        await gatherer.close()


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


async def test_a_list_that_asks_not_to_be_kept_is_not(kept: Kept) -> None:
    kept.host.ttl_seconds = 0
    for asked in (1, 2):
        kept.at += 0.1
        assert await kept.look(300) == "clear"
        assert kept.host.asked == asked


async def test_many_askers_cause_one_fetch_and_nobody_gets_an_older_answer(kept: Kept) -> None:
    kept.host.hangs = True
    first = asyncio.create_task(kept.look(0))
    await asyncio.sleep(0.1)
    assert kept.host.asked == 1
    kept.at += 1
    # These ask after the first fetch began: it may be answered with the list of before.
    later = [asyncio.create_task(kept.look(0)) for _ in range(20)]
    content = [asyncio.create_task(kept.look(5)) for _ in range(20)]
    await asyncio.sleep(0.1)
    assert kept.host.asked == 1
    kept.host.hangs = False
    # The first one is never answered and fails; the second is, once for all of the others.
    assert await first == "status_unavailable"
    assert set(await asyncio.gather(*content)) == {"status_unavailable"}
    assert set(await asyncio.gather(*later)) <= {"clear", "status_unavailable"}
    assert kept.host.asked <= 2
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
    bits = bytearray(__import__("secrets").token_bytes(400_000))
    bits[:4] = bytes(4)
    bits[PLACE >> 3] &= ~(0x80 >> (PLACE & 7)) & 0xFF
    kept.host.body = canonicalize(kept.host.signed(kept.host.list(encoded=encode_list(bits))))
    assert len(kept.host.body) > 500_000
    assert await kept.look(0) == "clear"
    for place in range(8 * 4_000):
        if bits[place >> 3] & (0x80 >> (place & 7)):
            assert await kept.look(300, place) == "revoked"
            break


async def test_a_fetch_that_ended_in_this_round_of_the_loop_is_not_waited_for(kept: Kept) -> None:
    """Waiting for what has ended gives the loop to nobody: who asked for something fresher would spin for ever."""
    (url,) = status_urls([kept.credential()])
    ended = asyncio.ensure_future(asyncio.sleep(0))
    await ended
    kept.keeper._under_way[url, kept.host.issuer] = (kept.at - 1, ended)  # type: ignore[assignment]
    assert await kept.look() == "clear"
