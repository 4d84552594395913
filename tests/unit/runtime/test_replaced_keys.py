"""A key that is replaced while a move of its owner is still under way."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from approving import ALICE, ASKS, says
from issuing import issued
from runtimes import Home, Node, Office, PrivateKey, World, folded, last, lingers, messages, secret_of, vouch
from undersigned.contract import same_terms
from undersigned.credentials import (
    Accusation,
    Endorsement,
    Membership,
    claim_credential,
    credential_config,
    read_credential,
)
from undersigned.did import DidDocument, make_document
from undersigned.encoding import base64url_encode, canonicalize, digest_bytes, shift
from undersigned.errors import ConfigurationError, FormatError, UndersignedError, VerificationError
from undersigned.evidence import verify_pack
from undersigned.keys import PublicKey
from undersigned.ledger import Blob, Stated, saw
from undersigned.messages import Closing, Offer, Presentation, Problem, Review, Withdraw, draft, recorded_message
from undersigned.proof import attach, prepare
from undersigned.runtime import bound_to_key, equivocation_proof, export_pack, proved
from undersigned.runtime.engagement import documents
from undersigned.runtime.fetching.gather import Known
from undersigned.testing import NOON, Actor, HandClock, sync, withdraw
from undersigned.transparency import checkpoint_text, leaf_hash, signed_note
from unit.runtime.stories import forge

Open = Callable[..., World]
NAMES = (("Acme", "Globex"), ("Globex", "Acme"))


class Published(Office):
    """A state folder of a `did:web` agent, whose key can be replaced."""

    def __init__(self, path: Path, name: str, *, trusts: tuple[str, ...]) -> None:
        super().__init__(path, name, trusts=trusts)
        self.number = self.moved = 0
        settings = path / "undersigned.toml"
        settings.write_text(settings.read_text().replace(self.actor.did, f"did:web:{name.lower()}.example"))
        Home.__init__(self, path)
        self.rotate()

    def rotate(self, fragment: str = "") -> None:
        """Publishes a document with another key, and no more with the one before."""
        self.number += 1
        key = self._keys["agent"] = PrivateKey("Ed25519", secret_of(self.name, self.number))
        keys = {fragment or f"agent-{self.number}": key.public_key}
        self._publish(keys)

    def move(self) -> None:
        """Publishes a document that differs, and not in its key."""
        self.moved += 1
        self._publish({f"agent-{self.number}": self._keys["agent"].public_key})

    def _publish(self, keys: dict[str, PublicKey]) -> None:
        services = [("HireService", f"wss://{self.moved}.example/hire")] if self.moved else ()
        document = make_document(self.configuration.did, authentication=keys, assertion_method=keys, services=services)
        (self.path / "did.json").write_bytes(canonicalize(document))


@pytest.fixture
def published(tmp_path: Path) -> tuple[Published, Published]:
    found = (
        Published(tmp_path / "acme", "Acme", trusts=("Globex",)),
        Published(tmp_path / "globex", "Globex", trusts=("Acme",)),
    )
    for office in found:
        asyncio.run(vouch(office, clock=HandClock()))
    return found


def resolve(world: World) -> None:
    """Each side has the other's document as it is published now."""
    for node in world.nodes:
        document = world.other(node).office.document()
        node.gatherer._remember(document.id, Known(math.inf, document, None, 0, (), frozenset()))


def replaced_before(world: World, name: str, node: Node, kind: str) -> None:
    """Its first move of this type is lost, and its key replaced before it comes back."""
    while True:
        if world.asked == len(world.network.sent):
            world.settle(1)
            continue
        parcel = world.network.sent[world.asked]
        if parcel.sender == node.did and recorded_message(parcel.raw).message.type == kind:
            break
        world.next_parcel()
    world.asked, world.held = len(world.network.sent), False
    office = node.office
    assert isinstance(office, Published)
    office.rotate()
    world.restart(node)
    resolve(world)
    world.reconnect()


@pytest.mark.parametrize("kind", ["Seal", "Start", "Closing"])
def test_what_a_replaced_key_signed_of_a_log_holds_in_a_move_that_is_signed_again(
    open_world: Open, published: tuple[Published, Published], kind: str
) -> None:
    """HIRE-LOG-22, HIRE-KEY-07: a seal that could never be taken would leave its reader in doubt for ever."""
    world = open_world(*published, held=True)
    resolve(world)
    name = world.begin().id
    replaced_before(world, name, world.hirer, kind)
    world.until("closed", name)
    for node in world.nodes:
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, name))
        report = verify_pack(pack, now=world.clock.now())
        assert report.ok, [step for step in report.steps if not step.ok]


@pytest.mark.parametrize(
    ("kind", "reason"), [("Presentation", "changed"), ("Offer", "changed"), ("Acceptance", "offer_expired")]
)
def test_what_cannot_be_signed_again_ends(
    open_world: Open, published: tuple[Published, Published], kind: str, reason: str
) -> None:
    """HIRE-KEY-07: what stands in a move keeps its proof. It is taken back, or ends with the offer it accepts, and
    both sides hear why.
    """
    world = open_world(*published, held=True)
    resolve(world)
    name = world.begin(opening="3 EUR" if kind == "Acceptance" else None).id
    replaced_before(world, name, world.hirer, kind)
    world.settle(900)
    world.until("withdrawn", name)
    assert last(world.hirer, name, Withdraw).reason == reason
    heard = [one.message.code for one in messages(world.hirer, name) if isinstance(one.message, Problem)]
    refused = [event.code for event in world.provider.events if event.kind == "refused"]
    assert heard[0] == refused[0] == "key_not_authorized"


@pytest.mark.parametrize("place", [0, 1], ids=["hirer", "provider"])
def test_an_offer_that_names_a_key_replaced_meanwhile_is_answered_by_the_same_terms(
    open_world: Open, published: tuple[Published, Published], place: int
) -> None:
    """HIRE-NEG-10, HIRE-KEY-07: while people decided. An acceptance by another key than the offer names is refused
    until the offer is over.
    """
    asks = published[place]
    settings = asks.path / "undersigned.toml"
    settings.write_text(settings.read_text() + ASKS)
    Home.__init__(asks, asks.path)
    world = open_world(*published)
    resolve(world)
    name = world.begin(opening="3 EUR" if place == 0 else None).id
    world.settle(5)
    asks.rotate()
    node = world.restart(world.nodes[place])
    resolve(world)
    world.reconnect()
    world.settle(5)
    says(node, ALICE)
    world.settle(60)
    world.until("closed", name)
    assert not [event for event in world.other(node).events if event.kind == "refused"]
    offers = [one.message for one in messages(node, name) if isinstance(one.message, Offer)]
    assert same_terms(offers[-1].document.terms, offers[-2].document.terms)
    assert offers[-1].document.id.startswith(f"{name}:{('hirer', 'provider')[place]}:")
    for one in world.nodes:
        pack = world.run(export_pack(one.ledger, one.artifacts, one.did, name))
        assert verify_pack(pack, now=world.clock.now()).ok


@pytest.mark.parametrize(("vouches", "state"), [(False, "closed"), (True, "withdrawn")])
def test_what_a_holder_says_of_itself_is_held_against_its_keys_of_today(
    open_world: Open, published: tuple[Published, Published], vouches: bool, state: str
) -> None:
    """HIRE-KEY-07: the answer to our challenge stays valid when its key is replaced; who has that key may go on writing
    credentials with it, whatever others it shows beside them.
    """
    acme, globex = published
    if vouches:
        claim = Endorsement(id=acme.configuration.did, capability="summary")
        document = claim_credential(
            claim, id="urn:uuid:own", issuer=claim.id, valid_from=NOON, valid_until=shift(NOON, 9000)
        )
        config = credential_config("eddsa-jcs-2022", f"{claim.id}#agent-1", NOON)
        signed = attach(document, config, asyncio.run(acme.key().sign(prepare(document, config, "Ed25519"))))
        (acme.path / "credentials" / "own.json").write_bytes(canonicalize(signed))
        settings = globex.path / "undersigned.toml"
        needs = 'require = ["MembershipCredential", "EndorsementCredential"]\nallow_self_issued = true'
        settings.write_text(settings.read_text().replace('require = ["MembershipCredential"]', needs))
        Home.__init__(globex, globex.path)
    world = open_world(*published, held=True)
    resolve(world)
    name = world.begun("ready", world.provider)
    shown = last(world.hirer, name, Presentation).presentation["verifiableCredential"]
    assert len(shown) == 1 + vouches
    acme.rotate()
    for node in (world.hirer, world.provider):
        world.restart(node)
    resolve(world)
    world.reconnect()
    world.until(state, name)


@pytest.mark.parametrize("kind", ["Offer", "Acceptance"])
def test_terms_on_their_way_are_bound_to_their_key(
    kind: str, open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-KEY-07: what stands in them keeps its proof. Until the other side is known to have them, and an offer is
    answered or taken back, their key is not to be replaced; and what a key before it signed binds the one of now to
    nothing.
    """
    world = open_world(*published, handler=lingers)
    resolve(world)
    name = world.begun("working", world.hirer)

    def bound() -> list[str]:
        method = next(iter(world.hirer.own.methods("authentication")))
        found = world.run(bound_to_key(world.hirer.kept, world.hirer.did, method))
        assert {(one.engagement, one.recipient) for one in found} <= {(name, world.provider.did)}
        return [one.type for one in found]

    def amends(node: Node, reworks: int) -> None:
        world.run(node.changes.amend(node.the(name), lambda terms: replace(terms, reworks=reworks)), 1)

    assert bound() == []
    amends(world.hirer, 1)
    world.settle(5)
    assert bound() == ["Offer"], "who accepts it has it refused"
    world.run(world.hirer.changes.decline(world.hirer.the(name)), 1)
    world.settle(5)
    assert bound() == []
    if kind == "Acceptance":
        amends(world.provider, 2)
    world.settle(5)
    world.cut = True
    if kind == "Offer":
        amends(world.hirer, 2)
    else:
        tabled = world.hirer.the(name).engagement.tabled
        assert tabled is not None
        world.run(world.hirer.changes.accept(world.hirer.the(name), tabled.document), 1)
    world.settle(5)
    assert bound() == [kind]
    office = published[0]
    office.rotate()
    world.restart(world.hirer)
    assert bound() == []


@pytest.mark.parametrize("rotations", [1, 2])
def test_books_that_are_on_their_way_are_bound_to_a_key_that_nobody_knows_yet(
    rotations: int, open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-LOG-22: the head of the log in a `Closing` holds by a key that the other side has known. By one that came
    and went while nothing arrived the books are refused, and silence counts against their owner.
    """
    world = open_world(*published, handler=lingers)
    resolve(world)
    name = world.begun("working", world.hirer)
    world.cut = True
    office, bound = published[0], list[list[str]]()
    for _ in range(rotations):
        office.rotate()
        world.restart(world.hirer)
        if not bound:
            world.run(world.hirer.changes.revoke(world.hirer.the(name)), 1)
            world.settle(5)
        method = next(iter(world.hirer.own.methods("authentication")))
        found = world.run(bound_to_key(world.hirer.kept, world.hirer.did, method))
        bound.append([one.type for one in found if one.engagement == name])
    assert bound == [["Closing"], []][:rotations]
    resolve(world)
    world.cut = False
    world.reconnect()
    world.settle(120)
    assert world.provider.kept.summary_of(name).state == ("closed" if rotations == 1 else "closing")


def test_books_hold_a_key_that_is_known_to_nothing(open_world: Open, published: tuple[Published, Published]) -> None:
    """HIRE-LOG-22: the other side has had the contract under it."""
    world = open_world(*published, handler=lingers)
    resolve(world)
    name = world.begun("working", world.hirer)
    world.cut = True
    world.run(world.hirer.changes.revoke(world.hirer.the(name)), 1)
    world.settle(5)
    assert "Closing" in {row.type for row in world.run(world.hirer.ledger.outbox(name))}
    method = next(iter(world.hirer.own.methods("authentication")))
    assert world.run(bound_to_key(world.hirer.kept, world.hirer.did, method)) == ()


def test_a_name_of_a_key_does_not_become_that_of_another(
    open_world: Open, published: tuple[Published, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-KEY-08: a party that gave another key the name of the one that signed the contract would leave the other
    without evidence: nobody could tell which of the two signed what. Under a name of its own the new key is taken.
    """

    async def starts_all_the_same(*_: object) -> None: ...

    monkeypatch.setattr("undersigned.runtime.agent.agent.require_lasting_names", starts_all_the_same)
    world = open_world(*published, held=True, handler=lambda _: asyncio.Event().wait())
    resolve(world)
    name = world.begun("working", world.provider)
    office = published[0]
    for fragment, state in ((f"agent-{office.number}", "working"), ("", "closing")):
        office.rotate(fragment)
        world.restart(world.hirer)
        resolve(world)
        world.reconnect()
        if state == "working":
            world.run(world.hirer.changes.revoke(world.hirer.the(name)))
        world.held = False
        world.settle(60)
        world.settle(60)
        assert world.provider.kept.summary_of(name).state == state
        pack = world.run(export_pack(world.provider.ledger, world.provider.artifacts, world.provider.did, name))
        report = verify_pack(pack, now=world.clock.now())
        assert report.ok, [step for step in report.steps if not step.ok]
    refused = {event.code for event in world.provider.events if event.kind == "refused"}
    assert "key_not_authorized" in refused


def test_who_replaces_a_key_under_its_name_is_told_at_the_next_start(
    open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-KEY-08: the other side would refuse all that it signs, and nobody here would learn why. Under a name of its
    own, or with the key that was there, it goes on; and where nothing is under way nothing speaks against it.
    """
    world = open_world(*published, held=True, handler=lambda _: asyncio.Event().wait())
    resolve(world)
    world.until("working", world.begin().id, world.provider)
    office, before = published[0], published[0].number
    office.rotate(f"agent-{before}")
    with pytest.raises(ConfigurationError, match=f"#agent-{before} names another key") as refused:
        world.restart(world.hirer)
    assert refused.value.code == "key_unavailable"
    office.rotate()
    world.restart(world.hirer)


def test_documents_without_end_are_not_kept(
    open_world: Open, published: tuple[Published, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-05: a document costs its publisher nothing. Past so many, one with known keys is no more evidence than
    those that are there, and one with a new key is refused.
    """
    monkeypatch.setattr(documents, "MAX_DOCUMENTS", 3)
    world = open_world(*published, held=True, handler=lambda _: asyncio.Event().wait())
    resolve(world)
    name = world.begun("working", world.provider)
    office, world.held = published[0], False

    def kept() -> int:
        blobs = world.run(world.provider.ledger.evidence(name))
        return sum(one.kind == "did-document" and one.name == world.hirer.did for one in blobs)

    def go_on(change: Callable[[], None], state: str) -> None:
        change()
        world.restart(world.hirer)
        resolve(world)
        world.reconnect()
        hirer, changes = world.hirer.the(name), world.hirer.changes
        world.run(changes.suspend(hirer, seconds=3600) if state == "suspended" else changes.resume(hirer))
        world.settle(20)

    for state in ("suspended", "working", "suspended", "working"):
        go_on(office.move, state)
        assert world.provider.kept.summary_of(name).state == state
    assert kept() == 3
    go_on(office.rotate, "suspended")
    assert world.provider.kept.summary_of(name).state == "working"
    assert "too_large" in {event.code for event in world.provider.events if event.kind == "refused"}
    assert kept() == 3
    pack = world.run(export_pack(world.provider.ledger, world.provider.artifacts, world.provider.did, name))
    assert verify_pack(pack, now=world.clock.now()).ok


@pytest.mark.parametrize("limit", [("MAX_DOCUMENTS", 3), ("MAX_DOCUMENT_BYTES", 1600)])
def test_documents_of_others_are_held_to_the_same(
    limit: tuple[str, int], open_world: Open, published: tuple[Published, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-05, HIRE-KEY-08: who stands above an offer, or judges, is somebody whom the other side chose. Of each of
    them no more is stored than of itself, and no name becomes that of another key: what is stored holds in a pack.
    """
    monkeypatch.setattr(documents, *limit)
    world = open_world(*published, held=True, handler=lambda _: asyncio.Event().wait())
    resolve(world)
    name = world.begun("working", world.provider)
    theirs, root = world.provider.the(name), "did:web:root.example"

    def brought(number: int, fragment: str, key: int, did: str = root) -> str:
        """What comes of an offer under a contract of this DID: a code, or nothing, and the document is stored."""
        keys = {fragment: PrivateKey("Ed25519", secret_of("root", key)).public_key}
        services = [("HireService", f"wss://{number}.example/hire")]
        document = make_document(did, authentication=keys, assertion_method=keys, services=services)
        turn = theirs.journal.turn(theirs.engagement, world.clock.now())
        blob = documents.document_blob(DidDocument(did, canonicalize(document)))
        try:
            (found,) = world.run(theirs._brought(turn, "Offer", (blob,)))
        except (FormatError, VerificationError) as error:
            return f"{error.code} {error.path}"
        theirs._documents.keep(turn, found)
        theirs._documents.stored(turn)
        return ""

    assert [brought(number, "a", 1) for number in range(2)] == ["", ""]
    assert brought(2, "a", 2) == "key_not_authorized /parents"
    assert brought(2, "b", 2) == ""
    assert brought(3, "c", 3) == "too_large /parents"
    assert brought(4, "a", 1) == "", "one of those that are there has its key"
    assert brought(0, "a", 2, "did:web:other.example") == "", "another DID has a count and names of its own"


def test_a_verdict_that_the_key_before_stated_holds_in_a_review_that_is_signed_again(
    open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-ATT-02: else the provider could never take it, and each side would end by another verdict."""
    world = open_world(*published, held=True)
    resolve(world)
    name = world.begin().id
    replaced_before(world, name, world.hirer, "Review")
    world.until("closed", name)
    for node in world.nodes:
        assert last(node, name, Review).verdict == "accepted"
        assert {one.message.basis for one in messages(node, name) if isinstance(one.message, Closing)} == {"review"}
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, name))
        report = verify_pack(pack, now=world.clock.now())
        assert report.ok, [step for step in report.steps if not step.ok]


def test_a_review_by_keys_that_nobody_replaced_is_taken_without_reading_what_is_recorded(
    open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-ATT-06: whose keys are whose follows from the documents recorded, and the provider knows which it stored."""
    world = open_world(*published, held=True)
    resolve(world)
    provider, read = world.provider, list[str]()
    name = world.begun("delivered", provider)
    kept = provider.ledger.evidence

    async def counted(engagement: str) -> tuple[Blob, ...]:
        read.append(engagement)
        return await kept(engagement)

    provider.ledger.evidence = counted
    assert provider.the(name).records_only(provider.own, world.hirer.own)
    assert not provider.the(name).records_only(world.hirer.own)
    world.until("closed", name)
    assert last(provider, name, Review).verdict == "accepted"
    assert read == []


@pytest.mark.parametrize(("role", "state"), [("hirer", "inquired"), ("provider", "working")])
def test_a_key_of_ours_that_was_replaced_over_a_start_is_known_to_be_recorded(
    open_world: Open, published: tuple[Published, Published], role: str, state: str
) -> None:
    """HIRE-ATT-06: else it would be nobody's, and who has it could judge our work. The hirer of an engagement in which
    nothing came yet has recorded its own document, too.
    """
    world = open_world(*published, held=True, handler=lambda _: asyncio.Event().wait())
    resolve(world)
    node: Node = getattr(world, role)
    name = world.begun(state, node)
    world.asked = len(world.network.sent)  # what was on its way is lost
    office = node.office
    assert isinstance(office, Published)
    office.rotate()
    world.restart(node)
    node = getattr(world, role)
    resolve(world)
    assert not node.the(name).records_only(node.own, world.other(node).own), "nobody has looked yet"
    world.reconnect()
    came = len(node.the(name).engagement.got)
    if state == "working":
        world.run(world.hirer.cancel(world.hirer.the(name)))
    while len(node.the(name).engagement.got) == came:
        if not world.next_parcel():
            world.settle(1)
        world.settle()
    assert not node.the(name).records_only(node.own, world.other(node).own)


@pytest.mark.parametrize("connects", [pytest.param(False, id="connected"), pytest.param(True, id="connects-again")])
def test_a_key_of_another_kind_can_say_nothing_where_a_suite_was_agreed(open_world: Open, connects: bool) -> None:
    """HIRE-PRF-02: the suite of an engagement stays. What comes is stored, also behind a new connection, on which our
    position cannot be said; the operator is told once why nothing is said, and with a key of the kind before it goes
    on.
    """
    world = open_world(handler=lingers)
    name = world.begun("working")
    shell = world.provider.shell
    before = shell.identity
    shell.identity = replace(before, kind="P-256", suite="ecdsa-jcs-2019")
    with capture_logs() as logs:
        if connects:
            world.reconnect()
        world.run(world.hirer.cancel(world.hirer.the()))
        world.settle(1800)
    assert {folded(node, name).state for node in world.nodes} == {"closing"}
    told = [line for line in logs if line["log_level"] in ("warning", "error") and line.get("engagement") == name]
    assert sorted(line["event"] for line in told) == ["a delivery was not sent", "nothing can be said"]
    assert all("eddsa-jcs-2022" in line["error"] for line in told)
    shell.identity = before
    world.settle(120)
    assert {folded(node, name).state for node in world.nodes} == {"closed"}


def test_what_has_no_answer_is_stored_though_its_receipt_cannot_be_signed(open_world: Open) -> None:
    """HIRE-CHN-07: who withdrew is not asked for anything any more, whatever our key."""
    world = open_world(held=True)
    name = world.begun("profiled", world.provider)
    shell = world.provider.shell
    shell.identity = replace(shell.identity, kind="P-256", suite="ecdsa-jcs-2019")
    world.run(world.hirer.cancel(world.hirer.the()))
    world.deliver_all()
    assert folded(world.provider, name).state == "withdrawn"
    world.held = False
    world.settle(25 * 3600)
    assert world.provider.conversations == {}, "it is put away, as where the other side was not heard of"


def test_nothing_is_said_again_by_another_suite_than_was_agreed_on(open_world: Open) -> None:
    """HIRE-PRF-02, HIRE-PRF-05: who cannot sign an acceptance again by that suite waits, and is told of it; by another
    one it would be refused as often as it was said. With a key of the kind before it goes again, and is answered.
    """
    world = open_world(held=True)
    name = world.begin(opening="5 EUR").id
    world.until("accepted-by-provider", name, world.provider)
    world.asked = len(world.network.sent)
    shell = world.provider.shell
    before = shell.identity
    other = PrivateKey("P-256", secret_of("another kind"))
    shell.identity = replace(before, kind="P-256", suite="ecdsa-jcs-2019", method=f"{before.method}-2", sign=other.sign)
    with capture_logs() as logs:
        world.settle(100)
    assert world.provider.did not in {parcel.sender for parcel in world.network.sent[world.asked :]}
    errors = [line for line in logs if line["log_level"] == "error"]
    assert [(line["event"], "eddsa-jcs-2022" in line["error"]) for line in errors] == [("nothing can be said", True)]
    shell.identity = before
    world.held = False
    world.settle(600)
    assert {folded(node, name).state for node in world.nodes} == {"closed"}


def test_an_equivocation_is_proved_by_the_keys_that_signed_it(
    open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-TRU-27, HIRE-KEY-07: each of the two moves by another key, of which none is published any more. What the
    ledger did not receive holds by a published key alone.
    """
    world = open_world(*published, held=True)
    resolve(world)
    name = world.begun("ready", world.provider)
    held, accused, office = folded(world.provider, name), world.hirer.did, published[0]
    office.rotate()
    world.restart(world.hirer)
    resolve(world)
    world.reconnect()

    def other(reason: str) -> bytes:
        forged = forge(world, world.provider, name, withdraw(reason), sequence=len(held.got), previous=held.got[-2])
        said = replace(recorded_message(forged).message, sender=accused, recipient=world.provider.did, proof=None)
        now, own = world.clock.now(), world.hirer.identity
        unsigned = draft(said, own.method, own.suite, own.kind, now, shift(now, 600))
        return unsigned.signed(world.run(own.sign(unsigned.to_sign))).raw

    world.tell(other("declined"), accused, world.provider)
    evidence = world.run(equivocation_proof(world.provider.ledger, name))
    signed, unseen = (recorded_message(canonicalize(one)).message for one in json.loads(evidence)), other("changed")
    assert len({one.proof.verification_method for one in signed if one.proof is not None}) == 2
    office.rotate()

    def shown(evidence: bytes) -> bool:
        async def documents_of(did: str) -> list[DidDocument]:
            assert did == accused
            return [office.document()]

        claim = Accusation(id=accused, kind="equivocation", evidence=digest_bytes(evidence))
        said, own = read_credential(issued(Actor("a body"), claim, now := world.clock.now())), world.provider
        found = proved(said, evidence, ledger=own.ledger, own=own.did, documents_of=documents_of, now=now)
        return world.run(found) == {digest_bytes(evidence)}

    assert shown(evidence)
    first = json.loads(evidence)[0]
    with pytest.raises(UndersignedError) as refused:
        shown(b"[" + canonicalize(first) + b"," + unseen + b"]")
    assert refused.value.code == "key_not_authorized"


def test_what_shows_two_histories_is_kept_with_the_document_of_its_key(
    open_world: Open, published: tuple[Published, Published]
) -> None:
    """HIRE-LOG-09: of a refused message nothing else would keep it, and its sender may publish another tomorrow."""
    world = open_world(*published, held=True)
    resolve(world)
    name = world.begun("ready", world.provider)
    office, accused, moved = published[0], world.hirer.did, folded(world.provider, name).sent[-1]
    before = Stated(log=accused, size=1, root=bytes(32), at=world.clock.now(), note="a note")
    world.run(world.provider.witness.update(accused, partial(saw, said=before)))
    office.rotate()
    world.restart(world.hirer)
    resolve(world)
    world.reconnect()
    own, text = world.hirer.identity, checkpoint_text(accused, 1, leaf_hash(b"another"))
    signature = world.run(own.sign(text))
    note = "u" + base64url_encode(signed_note(text, accused, office._keys["agent"].public_key, signature).encode())
    forged = recorded_message(forge(world, world.provider, name, sync(checkpoint=note), seen=moved)).message
    said = replace(forged, sender=accused, recipient=world.provider.did, proof=None)
    unsigned = draft(said, own.method, own.suite, own.kind, now := world.clock.now(), shift(now, 600))
    world.tell(unsigned.signed(world.run(own.sign(unsigned.to_sign))).raw, accused, world.provider)
    kept = world.run(world.provider.ledger.evidence(name))
    assert [blob.name for blob in kept if blob.kind == "fork"] == ["Sync"]
    assert office.document().raw in [blob.raw for blob in kept if blob.kind == "did-document"]


class Vouched(Office):
    """A state folder whose organisation publishes a document, which can be replaced by another with the same key."""

    def __init__(self, path: Path, name: str, *, trusts: tuple[str, ...]) -> None:
        super().__init__(path, name, trusts=trusts)
        settings = path / "undersigned.toml"
        written = settings.read_text().replace(self.organisation.did, vouching(name))
        for other in trusts:
            written = written.replace(Actor(f"{other} organisation").did, vouching(other))
        settings.write_text(written)
        Home.__init__(self, path)
        self.published = 0
        self._vouch()
        self.publish()

    def _vouch(self) -> None:
        """The membership, which names no list: nobody is there to serve one."""
        own = vouching(self.name)
        claim = Membership(id=self.actor.did, member_of=own)
        until = shift(NOON, 9000)
        document = claim_credential(claim, id="urn:uuid:of-today", issuer=own, valid_from=NOON, valid_until=until)
        config = credential_config("eddsa-jcs-2022", f"{own}#office", NOON)
        signed = attach(document, config, self.organisation.signature(prepare(document, config, "Ed25519")))
        (self.path / "credentials").mkdir()
        (self.path / "credentials" / "membership.json").write_bytes(canonicalize(signed))

    def publish(self) -> DidDocument:
        self.published += 1
        document = make_document(
            vouching(self.name),
            authentication={},
            assertion_method={"office": self.key("organisation").public_key},
            services=[("HireService", f"wss://{self.published}.example/hire")],
        )
        (self.path / "organisation.json").write_bytes(canonicalize(document))
        found = self.organisation_document()
        assert found is not None
        return found


def vouching(name: str) -> str:
    return f"did:web:{name.lower()}-office.example"


def test_what_was_shown_in_time_stands_after_its_issuer_publishes_another_document(
    open_world: Open, tmp_path: Path
) -> None:
    """HIRE-NEG-04: the credentials are held against documents of today, and the answer to our challenge is not."""
    made = [Vouched(tmp_path / name.lower(), name, trusts=(other,)) for name, other in NAMES]
    world = open_world(*made, handler=lingers)

    def publish() -> None:
        for document in [office.publish() for office in made]:
            for node in world.nodes:
                node.gatherer._remember(document.id, Known(math.inf, document, None, 0, (), frozenset()))

    publish()
    ours = world.begin()
    world.until("working", ours.id)
    world.settle(1200)
    publish()
    world.run(world.hirer.changes.amend(ours, lambda terms: replace(terms, reworks=2)), 1)
    world.settle()
    theirs = world.provider.the()
    tabled = theirs.engagement.tabled
    assert tabled is not None
    world.run(world.provider.changes.accept(theirs, tabled.document), 1)
    world.settle()
    for node in world.nodes:
        assert node.the().offered().terms.reworks == 2
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, ours.id))
        report = verify_pack(pack, now=world.clock.now())
        assert report.ok, [step for step in report.steps if not step.ok]
