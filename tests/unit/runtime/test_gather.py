"""DIDs that are resolved: SC-04 and SC-103, what is remembered for how long, histories, and a universal resolver."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from histories import Log, document_at
from integration.hires import until
from parties import Party
from support import held_time
from undersigned.daemon.door import ListenerLimits
from undersigned.did import did_key
from undersigned.did.methods import webvh
from undersigned.encoding import Did
from undersigned.errors import ResolutionError, UndersignedError, VerificationError
from undersigned.runtime.fetching.fetcher import GathererLimits, looked_up_for, strangers
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.signers import generate_key
from unit.runtime.sites import Site, answers, document_of, gathering, publish, refused, site


class Seconds:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


# --- DID documents --------------------------------------------------------------------------------------------------


async def test_a_did_key_needs_no_network() -> None:
    did = did_key(generate_key().public_key)
    async with gathering(local=False) as gatherer:
        assert (await gatherer.document(did)).id == did


async def test_a_document_is_remembered_as_long_as_the_caller_allows() -> None:
    clock = Seconds()
    gatherer = Gatherer(local=True, clock=clock)
    async with site() as here:
        here.serves(document_of(here.did))
        first = await gatherer.document(here.did)
        assert first.id == here.did
        clock.at += 300
        assert await gatherer.document(here.did, max_age_seconds=300) is first
        assert len(here.requests) == 1
        clock.at += 1
        assert await gatherer.document(here.did, max_age_seconds=300) is not first
        assert len(here.requests) == 2
        await gatherer.document(here.did)
        assert len(here.requests) == 2
    await gatherer.close()


@pytest.mark.parametrize("media_type", ["application/did+json", "application/octet-stream", "text/html", None])
async def test_a_document_is_what_its_bytes_say(media_type: str | None) -> None:
    """HIRE-DID-04: hosts of static files go by the ending of a name, and a page in place of a document shows as one."""
    fields = f"Content-Type: {media_type}\r\n" if media_type else ""
    async with site() as here, gathering() as gatherer:
        here.serves(document_of(here.did), fields=fields)
        assert (await gatherer.document(here.did)).id == here.did
        here.serves(b"<!doctype html><title>not here</title>", fields=fields)
        await refused(gatherer.document(here.did, max_age_seconds=0), "did_document_invalid")


async def test_a_failure_is_not_remembered_and_does_not_replace() -> None:
    clock = Seconds()
    gatherer = Gatherer(local=True, clock=clock)
    async with site() as here:
        here.serves(b"", status="500 Broken")
        await refused(gatherer.document(here.did), "did_unresolvable")
        here.serves(document_of(here.did))
        kept = await gatherer.document(here.did)
        clock.at += 400
        here.serves(b"{}")
        await refused(gatherer.document(here.did, max_age_seconds=300), "did_document_invalid")
        assert await gatherer.document(here.did) is kept
    await gatherer.close()


async def test_many_callers_cause_one_fetch() -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(document_of(here.did))
        found = await asyncio.gather(*(gatherer.document(here.did) for _ in range(50)))
        assert all(one is found[0] for one in found)
        assert len(here.requests) == 1


@asynccontextmanager
async def overtaken(here: Site, gatherer: Gatherer, did: Did, before: bytes) -> AsyncIterator[None]:
    """Another asker's answer, with `before`, stands still on its way while this goes on. What is served then is asked
    for, and is what everybody has.
    """
    go = asyncio.Event()

    async def older(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(before))
        await go.wait()
        writer.write(before)

    here.answer = older
    with looked_up_for("did:web:acme.example"):
        late = asyncio.create_task(gatherer.document(did))
    await until(lambda: here.requests)
    yield
    newer_one = await gatherer.document(did)
    go.set()
    assert await late is newer_one
    assert await gatherer.document(did) is newer_one
    assert len(here.requests) == 2


async def test_a_document_that_was_overtaken_on_its_way_takes_no_place() -> None:
    """HIRE-KEY-07: its owner replaced a key between two answers, and whoever saw the new one does not go back."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        before, now = document_of(here.did), document_of(here.did)
        async with overtaken(here, gatherer, here.did, before):
            clock.at += 1
            here.serves(now)
        assert (await gatherer.document(here.did)).raw == now


async def test_a_caller_that_gives_up_does_not_take_the_answer_from_others() -> None:
    async with site() as here, gathering() as gatherer:
        going = asyncio.Event()

        async def slow(head: bytes, writer: asyncio.StreamWriter) -> None:
            await going.wait()
            body = document_of(here.did)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        here.answer = slow
        first, second = (asyncio.create_task(gatherer.document(here.did)) for _ in range(2))
        await until(lambda: here.requests)
        first.cancel()
        going.set()
        assert (await second).id == here.did
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"id":"did:web:other.example"}', b"\xff", b"[" * 60_000, b'{"id":1}']
)
async def test_sc_04_a_document_that_is_not_of_this_did_is_refused(body) -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(body)
        error = await refused(gatherer.document(here.did), "did_document_invalid")
        assert isinstance(error, VerificationError)


@pytest.mark.parametrize(
    ("did", "code"),
    [
        ("did:web:127.0.0.1", "did_forbidden_address"),
        ("did:web:localhost", "did_forbidden_address"),
        ("did:example:1", "did_unresolvable"),
        ("nothing", "did_document_invalid"),
    ],
)
async def test_dids_that_lead_nowhere(did, code) -> None:
    async with gathering(local=False) as gatherer:
        await refused(gatherer.document(did), code)


async def test_documents_come_all_or_none() -> None:
    keys = [did_key(generate_key().public_key) for _ in range(3)]
    async with site() as here, gathering() as gatherer:
        here.serves(document_of(here.did))
        found = await gatherer.documents([*keys, here.did, keys[0]])
        assert {did: document.id for did, document in found.items()} == {did: did for did in (*keys, here.did)}
        await refused(gatherer.documents([*keys, "did:web:localhost%3A1"]), "did_unresolvable")


async def test_sc_103_one_gathering_leads_to_few_hosts() -> None:
    """Counted before anything is fetched."""
    async with gathering(local=False, hosts=3) as gatherer:
        error = await refused(
            gatherer.documents([f"did:web:host{number}.example" for number in range(4)]), "did_unresolvable"
        )
        assert "4 hosts" in error.message


async def test_one_gathering_has_one_deadline() -> None:
    async with site() as here, gathering(seconds=0.2) as gatherer:

        async def silent(head: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)

        here.answer = silent
        await refused(gatherer.documents([here.did]), "did_unresolvable")


async def test_many_fetches_from_one_host_are_no_flood() -> None:
    """However many are wanted at once: fewer connections than a peer lets in, and documents do not wait for long
    bodies that are slow.
    """
    wanted, limits = 60, GathererLimits()
    assert limits.per_host < ListenerLimits().unproved_per_address
    opened: set[asyncio.StreamWriter] = set()
    most, go = 0, asyncio.Event()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        opened.add(writer)
        most = max(most, len(opened))
        if b"/long" in head:
            await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        opened.discard(writer)

    async def whole(gatherer: Gatherer, url: str) -> bytes:
        async with gatherer.open(url, max_bytes=10, timeout_seconds=10) as body:
            return b"".join([chunk async for chunk in body.chunks])

    async with site() as web, gathering(seconds=10.0) as gatherer:
        web.answer = answer
        long = asyncio.gather(*(whole(gatherer, web.url("/long")) for _ in range(wanted)))
        while len(opened) < limits.transfers_per_host:  # noqa: ASYNC110
            await asyncio.sleep(0)
        short = await asyncio.gather(*(gatherer.fetch(web.url("/short")) for _ in range(wanted)))
        assert not long.done()
        go.set()
        assert short == await long == [b"{}"] * wanted
    assert limits.transfers_per_host < most <= limits.per_host


async def test_a_slow_host_takes_no_place_from_others() -> None:
    """As many transfers as may be at once are wanted from one that says nothing; another answers meanwhile."""
    async with site() as slow, site() as quick, gathering(transfers=4, transfers_per_host=2) as gatherer:
        quick.serves(b"{}")
        waiting = [asyncio.create_task(_opened(gatherer, slow.url())) for _ in range(8)]
        while len(slow.writers) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert await _opened(gatherer, quick.url()) == 2
        assert len(slow.writers) == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_whoever_names_slow_hosts_waits_for_them_alone() -> None:
    """SC-103: a few look-ups at a time for one peer. Others have theirs, even of what it asked for before them."""
    go = asyncio.Event()

    async def waits(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with site() as slow, site() as quick, gathering(connections=4, per_asker=2, seconds=30) as gatherer:
        slow.answer = waits
        quick.serves(document_of(quick.did))
        with looked_up_for("did:web:mallory.example"):
            named = [asyncio.create_task(gatherer.fetch(slow.url(f"/{number}"))) for number in range(8)]
            same = asyncio.create_task(gatherer.document(quick.did))
        while len(slow.requests) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        with looked_up_for("did:web:acme.example"):
            assert (await gatherer.document(quick.did)).id == quick.did
        assert (await gatherer.document(quick.did, 0.0)).id == quick.did
        assert len(slow.requests) == 2
        assert not same.done()
        go.set()
        await asyncio.gather(same, *named)
        assert len(slow.requests) == 8


async def test_strangers_of_many_places_leave_look_ups_to_all_others() -> None:
    """SC-103: whoever has an IPv6 network comes from as many places as it likes."""
    go = asyncio.Event()

    async def waits(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with site() as slow, site() as quick, gathering(connections=4, strangers=3, seconds=30) as gatherer:
        slow.answer = waits
        quick.serves(document_of(quick.did))
        named = list[asyncio.Task[bytes]]()
        for number in range(8):
            with looked_up_for(strangers(f"2001:db8:0:{number}::/64")):
                named.append(asyncio.create_task(gatherer.fetch(slow.url(f"/{number}"))))
        while len(slow.requests) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            with looked_up_for("did:web:acme.example"):
                assert (await gatherer.document(quick.did)).id == quick.did
            assert (await gatherer.document(quick.did, 0.0)).id == quick.did
        assert len(slow.requests) == 3
        go.set()
        await asyncio.gather(*named)
        assert len(slow.requests) == 8


async def test_what_waits_for_its_turn_while_this_side_closes_is_not_had() -> None:
    """That is no defect, and is told as what cannot be reached."""
    async with site() as slow, gathering(connections=1, seconds=30) as gatherer:
        first, second = (asyncio.create_task(gatherer.fetch(slow.url(path))) for path in ("/1", "/2"))
        while len(slow.writers) < 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await gatherer.close()
        for task in (first, second):
            await refused(task, "unreachable")


async def _opened(gatherer: Gatherer, url: str) -> int | None:
    async with gatherer.open(url, max_bytes=10, timeout_seconds=10) as body:
        return body.total


async def test_what_is_remembered_is_bounded() -> None:
    async with gathering(cached=5) as gatherer:
        dids = [did_key(generate_key().public_key) for _ in range(20)]
        for did in dids:
            await gatherer.document(did)
        assert list(gatherer._documents) == dids[-5:]


async def test_who_is_still_asked_for_is_not_crowded_out_by_who_is_asked_for_once() -> None:
    """Strangers name DIDs as they like."""
    async with gathering(cached=5) as gatherer:
        known, *strangers = (did_key(generate_key().public_key) for _ in range(20))
        await gatherer.document(known)
        for did in strangers:
            await gatherer.document(did)
            assert gatherer.remembered(known, 60.0) is not None


async def test_what_is_remembered_is_bounded_in_bytes() -> None:
    """A history is long; a thousand of them are not kept because each is one DID."""
    async with site() as here, gathering(cached_bytes=3000) as gatherer:
        logs = [Log(f"localhost%3A{here.port}:{number}", controller=CONTROLLER, key=KEY_1) for number in range(5)]
        assert all(1000 < len(log.raw) <= 1500 for log in logs)
        for log in logs:
            here.serves(log.raw)
            await gatherer.document(log.did)
        assert list(gatherer._documents) == [log.did for log in logs[-2:]]
        here.serves(logs[-1].raw)
        await gatherer.document(logs[-1].did, max_age_seconds=-1)
        assert gatherer._documents_bytes == sum(one.size for one in gatherer._documents.values())


async def test_closing_ends_what_is_under_way() -> None:
    async with site() as here:
        gatherer = Gatherer(local=True)

        async def silent(head: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)

        here.answer = silent
        waiting = asyncio.create_task(gatherer.document(here.did))
        await until(lambda: here.requests)
        await gatherer.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_what_is_asked_for_after_closing_is_not_fetched() -> None:
    """Neither by who comes then, nor by who waited for a place until then."""
    async with site() as here:
        gatherer = Gatherer(local=True, limits=GathererLimits(transfers_per_host=1))
        here.serves(b"{}")
        async with gatherer.open(here.url(), max_bytes=10, timeout_seconds=10):
            waiting = asyncio.create_task(_opened(gatherer, here.url()))
            await asyncio.sleep(0)
            assert not waiting.done()
            await gatherer.close()
        await refused(waiting, "unreachable")
        await refused(gatherer.fetch(here.url(), max_bytes=10), "unreachable")
        await refused(_opened(gatherer, here.url()), "unreachable")
        assert len(here.requests) == 1
        gatherer.reopen()
        assert await _opened(gatherer, here.url()) == 2
        await gatherer.close()


CONTROLLER, KEY_1, KEY_2 = Party("controller"), Party("key-1"), Party("key-2")
WITNESS = Party("witness")
NOW = "2026-11-25T12:00:00Z"


def log_at(here: Site, **parameters) -> Log:
    """A log of a DID that lies at the site, which serves it."""
    log = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_1, **parameters)
    publish(here, log)
    return log


@asynccontextmanager
async def recalling(clock: Callable[[], float], **options) -> AsyncIterator[Gatherer]:
    gatherer = Gatherer(local=True, clock=clock, now=lambda: NOW, **options)
    try:
        yield gatherer
    finally:
        await gatherer.close()


# --- histories ------------------------------------------------------------------------------------------------------


async def test_a_history_is_fetched_and_its_witnesses_only_if_named() -> None:
    """HIRE-WVH-02: and the two files count as one host, under one deadline (HIRE-DID-08)."""
    async with site() as here, recalling(Seconds(), limits=GathererLimits(hosts=1)) as gatherer:
        log = log_at(here)
        assert (await gatherer.documents([log.did]))[log.did].id == log.did
        assert len(here.requests) == 1
        witnessed = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_2,
                        witness={"threshold": 1, "witnesses": [{"id": WITNESS.did}]})  # fmt: skip
        publish(here, witnessed)
        await refused(gatherer.document(witnessed.did), "did_unresolvable")
        witnessed.witness(1, WITNESS)
        publish(here, witnessed)
        assert list(await gatherer.documents([witnessed.did])) == [witnessed.did]
        assert [one.split(b" ")[1].rpartition(b"/")[2] for one in here.requests[-2:]] == [
            b"did.jsonl",
            b"did-witness.json",
        ]


async def test_the_files_of_one_did_have_one_deadline() -> None:
    """HIRE-DID-08: each alone would be in time."""
    async with site() as here, gathering(seconds=0.5) as gatherer:
        log = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_1,
                  witness={"threshold": 1, "witnesses": [{"id": WITNESS.did}]})  # fmt: skip
        log.witness(1, WITNESS)
        publish(here, log)
        quick = here.answer
        assert quick is not None

        with held_time() as put_forward:

            async def slow(head: bytes, writer: asyncio.StreamWriter) -> None:
                put_forward(0.35)
                await quick(head, writer)

            here.answer = slow
            error = await refused(gatherer.document(log.did), "did_unresolvable")
        assert "within 0.5 s" in error.message
        assert len(here.requests) == 2


async def test_a_history_may_be_longer_than_a_document() -> None:
    """HIRE-WVH-05: each file has its own limit."""
    async with site() as here, recalling(Seconds(), limits=GathererLimits(document_bytes=10)) as gatherer:
        log = log_at(here)
        assert (await gatherer.document(log.did)).id == log.did
    async with site() as here, recalling(Seconds(), limits=GathererLimits(history_bytes=1000)) as gatherer:
        await refused(gatherer.document(log_at(here).did), "did_unresolvable")


async def test_a_history_that_was_rewritten_is_refused() -> None:
    """HIRE-WVH-10: also one that is valid, and only shorter."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here)
        log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
        publish(here, log)
        kept = await gatherer.document(log.did)
        clock.at += 400
        full = list(log.entries)
        del log.entries[1:]
        publish(here, log)
        error = await refused(gatherer.document(log.did, 300), "did_document_invalid")
        assert "seen before" in error.message
        log.add(document_at(log.did, KEY_1, KEY_2), controller=CONTROLLER)
        publish(here, log)
        await refused(gatherer.document(log.did, 300), "did_document_invalid")
        assert await gatherer.document(log.did) is kept
        log.entries = full
        publish(here, log)
        assert await gatherer.document(log.did, 300) == kept


async def test_a_history_that_was_overtaken_on_its_way_is_the_newer_one() -> None:
    """HIRE-WVH-10: its owner put a version to it between two answers, and nothing was taken back."""
    async with site() as here, recalling(Seconds()) as gatherer:
        log = log_at(here)
        async with overtaken(here, gatherer, log.did, log.raw):
            log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
            publish(here, log)


@pytest.mark.parametrize("ttl", [0, 1, 9])
async def test_a_controller_does_not_have_each_message_fetch_its_history(ttl: int) -> None:
    """HIRE-WVH-10: a long one is the work of a tenth of a second, and with a `ttl` of none each message caused it."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here, ttl=ttl)
        for _ in range(11):
            await gatherer.document(log.did)
            clock.at += 1
        assert len(here.requests) == 1
        await gatherer.document(log.did)
        await gatherer.document(log.did, 0)
        assert len(here.requests) == 3


async def test_what_is_long_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of it: a log of half a megabyte that is not in canonical form takes a tenth of a second to read."""
    read, where = webvh.read_log, list[bool]()

    def reading(raw: bytes) -> Any:
        where.append(threading.current_thread() is threading.main_thread())
        return read(raw)

    monkeypatch.setattr(webvh, "read_log", reading)
    async with site() as here, recalling(Seconds()) as gatherer:
        log = log_at(here)
        assert (await gatherer.document(log.did)).id == log.did
    assert where == [False] * len(where)
    assert where


@pytest.mark.parametrize(("ttl", "fetched"), [(0, 3), (100, 2), (86_400, 1)])
async def test_a_controller_says_how_long_its_document_is_remembered(ttl, fetched) -> None:
    """HIRE-WVH-10: never longer than the caller allows."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here, ttl=ttl)
        for later in (0, 100, 101):
            clock.at += later
            await gatherer.document(log.did)
        assert len(here.requests) == fetched
        clock.at += 3600
        await gatherer.document(log.did)
        assert len(here.requests) == fetched + 1


async def test_a_deactivated_did_stays_so() -> None:
    """HIRE-WVH-09: what was remembered is no longer given, and the log without its end is refused."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here)
        await gatherer.document(log.did)
        log.add(document_at(log.did), controller=CONTROLLER, deactivated=True, updateKeys=[])
        publish(here, log)
        clock.at += 400
        await refused(gatherer.document(log.did, 300), "did_deactivated")
        await refused(gatherer.document(log.did), "did_deactivated")
        assert len(here.requests) == 2
        history = await gatherer.history(log.did)
        assert history.at("2026-11-02T00:00:00Z").methods("assertionMethod") == (f"{log.did}#key-1",)
        del log.entries[1:]
        publish(here, log)
        clock.at += 400
        await refused(gatherer.document(log.did, 300), "did_document_invalid")
        await refused(gatherer.history(here.did), "did_unresolvable")


async def test_a_method_without_a_history_has_none() -> None:
    async with gathering() as gatherer:
        with pytest.raises(ResolutionError, match="keeps no history") as caught:
            await gatherer.history(did_key(generate_key().public_key))
        assert caught.value.code == "did_unresolvable"


async def test_a_did_that_moved_is_found_where_it_is_now() -> None:
    """HIRE-WVH-12: by the operator's word, checked against the history; the former place is not asked."""
    async with site() as former_place, site() as here:
        log = Log(f"localhost%3A{former_place.port}", controller=CONTROLLER, key=KEY_1, portable=True)
        former, latest = log.did, f"did:webvh:{log.scid}:localhost%3A{here.port}"
        publish(former_place, log)
        clock = Seconds()
        moved: dict[str, str] = {}
        async with recalling(clock, moved=moved) as gatherer:
            assert (await gatherer.document(former)).methods("authentication") == (f"{former}#key-1",)
            log.add(document_at(latest, KEY_2, also=(former,)), controller=CONTROLLER)
            publish(here, log)
            former_place.serves(b"", status="302 Found", fields=f"Location: {here.url('/.well-known/did.jsonl')}\r\n")
            clock.at += 400
            # A redirect is not followed, and nobody else's word is taken.
            await refused(gatherer.document(former, 300), "did_unresolvable")
            assert (await gatherer.document(latest)).id == latest
            await refused(gatherer.document(former, 300), "did_unresolvable")
            asked = len(former_place.requests)
            moved[former] = latest
            document = await gatherer.document(former, 300)
            assert document.id == former
            assert document.methods("authentication") == (f"{former}#key-2",)
            assert len(former_place.requests) == asked
            # Another history with both names, made with a key that was known before, is none that continues it.
            del log.entries[1:]
            log.add(document_at(latest, KEY_1, also=(former,)), controller=CONTROLLER)
            publish(here, log)
            clock.at += 400
            await refused(gatherer.document(former, 300), "did_document_invalid")
        strangers = {former: f"did:webvh:{log.scid}:localhost%3A{former_place.port}:other", here.did: latest}
        async with recalling(clock, moved=strangers) as gatherer:
            await refused(gatherer.document(former), "did_unresolvable")
            await refused(gatherer.document(here.did), "did_unresolvable")
        other = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_2)
        publish(here, other)
        async with recalling(clock, moved={former: other.did}) as gatherer:
            await refused(gatherer.document(former), "did_document_invalid")


# --- a universal resolver -------------------------------------------------------------------------------------------


async def test_a_resolver_is_asked_about_other_methods_alone() -> None:
    """HIRE-DID-09: what is implemented here is resolved here."""
    async with site() as resolver, site() as here:
        async with recalling(Seconds(), resolver=f"{resolver.url('/')}") as gatherer:
            resolver.serves(answers(json.loads(document_of("did:example:globex:a%2Fb"))))
            document = await gatherer.document("did:example:globex:a%2Fb")
            assert document.id == "did:example:globex:a%2Fb"
            assert document.methods("authentication") == ("did:example:globex:a%2Fb#key-1",)
            assert resolver.requests[0].startswith(b"GET /1.0/identifiers/did:example:globex:a%252Fb HTTP/1.1")
            resolver.serves(document_of("did:example:plain"))
            assert (await gatherer.document("did:example:plain")).id == "did:example:plain"
            asked = len(resolver.requests)
            for did in (here.did, "did:web:localhost%3A1", "did:webvh:x", "did:jwk:x", "did:key:x"):
                with pytest.raises(UndersignedError):
                    await gatherer.document(did)
            assert len(resolver.requests) == asked
        async with gathering() as gatherer:
            await refused(gatherer.document("did:example:globex"), "did_unresolvable")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (answers({"id": "did:example:other"}), "did_document_invalid"),
        (answers({"id": "did:example:Globex"}), "did_document_invalid"),
        (answers(None), "did_unresolvable"),
        (answers({"id": "did:example:globex"}, deactivated=True), "did_deactivated"),
        (answers({"id": "did:example:globex"}, deactivated="true"), "did_deactivated"),
        (b'{"id":"did:example:other"}', "did_document_invalid"),
        (b"{}", "did_document_invalid"),
        (b"[]", "did_document_invalid"),
        (b"", "did_document_invalid"),
        (b" " * 65_537, "did_unresolvable"),
    ],
)
async def test_what_a_resolver_says_is_checked(body, code) -> None:
    """HIRE-DID-09."""
    async with site() as resolver, recalling(Seconds(), resolver=resolver.url("")) as gatherer:
        resolver.serves(body)
        await refused(gatherer.document("did:example:globex"), code)


async def test_a_resolver_is_fetched_from_like_anybody() -> None:
    """HIRE-DID-09: neither at home nor by redirect."""
    async with site() as resolver, gathering(local=False) as gatherer:
        gatherer._resolver = f"https://127.0.0.1:{resolver.port}"
        await refused(gatherer.document("did:example:globex"), "did_forbidden_address")
        gatherer._resolver = resolver.url("")
        await refused(gatherer.document("did:example:globex"), "did_forbidden_address")
    async with site() as resolver, recalling(Seconds(), resolver=resolver.url("")) as gatherer:
        resolver.serves(b"", status="302 Found", fields="Location: https://example.com/\r\n")
        await refused(gatherer.document("did:example:globex"), "did_unresolvable")
