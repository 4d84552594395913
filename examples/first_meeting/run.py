"""Two companies that nobody introduced: one is declined, hears what is needed, obtains it, comes back, and is hired.

    .venv/bin/python examples/first_meeting/run.py [FOLDER]

Everything is real: five state folders with their own keys, three peers on sockets of this machine, their ledgers and
status lists. FOLDER keeps them; by default it is a new temporary one. What happens here, and what to look at
afterwards, is told in README.md.
"""

from __future__ import annotations

import asyncio
import csv
import io
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from undersigned import HireResult, Job, Peer, Reviewed, create_home, issue_membership
from undersigned.credentials import AccreditedBy, Authority, answers, read_credential, verify_credential
from undersigned.daemon import needed_text
from undersigned.encoding import Did, JsonObject, canonicalize, decode_json
from undersigned.errors import PolicyError, UndersignedError
from undersigned.ledger import TrustStore, open_ledger
from undersigned.messages import Need, Withdraw
from undersigned.runtime import Event, Home, SystemClock, Unread, admission, issue_claims
from undersigned.testing import free_ports

# --- Whom the two trust. Neither has a line about the other, and North and South have none about each other.

ACME_POLICY = """
[policy]
name = "acme"
require = []
currency = "EUR"
max_price = "10"

[[policy.rule]]
name = "our books are for accredited bookkeepers"
credentials = [{ type = "AccreditedByCredential", capability = "bookkeeping", max_age = "P365D" }]
"""
GLOBEX_POLICY = """
[policy]
name = "globex"
require = []

[[policy.rule]]
name = "we deal with parties in good standing"
credentials = [{ type = "AccreditedByCredential", capability = "good-standing", max_age = "P365D" }]
"""

# --- The work: adding up a ledger, account by account.

BOOKS = b"""account,amount
cash,-1200.00
rent,1200.00
cash,3450.50
sales,-3450.50
"""
TRIAL = b"account,amount\ncash,-17.25\nstamps,5.75\nink,11.50\n"
"""What Assay has everybody add up who wants to be accredited; published."""


def balances(books: bytes) -> bytes:
    """The sum of each account, as CSV."""
    sums: dict[str, Decimal] = {}
    for row in csv.DictReader(io.StringIO(books.decode())):
        sums[row["account"]] = sums.get(row["account"], Decimal()) + Decimal(row["amount"])
    return "".join(["account,balance\n", *(f"{name},{sums[name]}\n" for name in sorted(sums))]).encode()


async def keeps_books(job: Job) -> None:
    """Globex's work: through the contract's grant it reads the books, and nothing else."""
    await job.deliver("balances.csv", balances(await job.read("books")))


async def adds_up(reviewed: Reviewed) -> Mapping[str, bool]:
    """Acme's look at what it gets: in double entry everything together is nothing."""
    rows = csv.DictReader(io.StringIO(reviewed.artifacts["balances.csv"].decode()))
    return {"adds-up": sum(Decimal(row["balance"]) for row in rows) == 0}


class Cast:
    """The five of them, each with a state folder of its own, and what to call them."""

    def __init__(self, folder: Path) -> None:
        self.names: dict[Did, str] = {}
        self.north = self._home(folder, "North")
        self.south = self._home(folder, "South")
        assay, acme, globex = free_ports(3)
        self.assay = self._home(folder, "Assay", port=assay, anchors=(office(self.south),))
        self.acme = self._home(folder, "Acme", port=acme, anchors=(office(self.north),), policy=ACME_POLICY)
        self.globex = self._home(folder, "Globex", port=globex, anchors=(office(self.south),), policy=GLOBEX_POLICY)

    def _home(
        self, folder: Path, name: str, port: int | None = None, anchors: tuple[Did, ...] = (), policy: str | None = None
    ) -> Home:
        home = create_home(folder / name.lower(), name=name, local=True, port=port, anchors=anchors, policy=policy)
        self.names |= {home.configuration.did: f"{name}'s agent", office(home): name}
        return home

    def tell(self, text: str, indent: int = 2) -> None:
        """Prints it, with everybody by name."""
        for did in sorted(self.names, key=len, reverse=True):
            text = text.replace(did, self.names[did])
        print("".join(f"{' ' * indent}{line}\n" for line in text.splitlines()), end="", flush=True)


def office(home: Home) -> Did:
    """The DID of the organisation of a state folder."""
    part = home.configuration.organisation
    assert part is not None
    return part.did


async def set_the_scene(cast: Cast) -> None:
    """What everybody said, holds and knows before the two meet."""
    assay, acme, globex = (home.configuration.did for home in (cast.assay, cast.acme, cast.globex))
    # The roots say whose word counts about what; whoever has such a root keeps that in its trust graph.
    knows(cast.acme, cast.north, Authority(id=office(cast.assay), may_attest="bookkeeping", depth=0))
    knows(cast.globex, cast.south, Authority(id=office(cast.assay), may_attest="good-standing", depth=0))
    knows(cast.assay, cast.south, Authority(id=office(cast.globex), may_attest="MembershipCredential", depth=0))
    # And what each can show about itself. Globex has nothing that an accreditor has said.
    holds(cast.assay, *issue_claims(cast.south, [AccreditedBy(id=assay, accredited_for="good-standing")]))
    holds(cast.acme, *issue_claims(cast.assay, [AccreditedBy(id=acme, accredited_for="good-standing")]))
    await issue_membership(cast.globex)
    assert globex not in {edge.target for home in (cast.acme, cast.globex) for edge in edges(home)}


def knows(home: Home, issuer: Home, claim: Authority) -> None:
    """`issuer` says it, and `home` takes it into its trust graph: as `undersigned trust import FILE` does."""
    (signed,) = issue_claims(issuer, [claim])
    document, now = issuer.organisation_document(), SystemClock().now()
    assert document is not None
    verified = verify_credential(signed, documents={document.id: document}, now=now)
    with TrustStore(home.trust) as store:
        store.admit([admission(verified, document, now)])


def edges(home: Home) -> list[object]:
    """The trust graph of a state folder."""
    with TrustStore(home.trust) as store:
        return list(store.edges())


def holds(home: Home, credential: JsonObject) -> None:
    """The agent of this folder can show it from its next start on."""
    file = home.path / "credentials" / "accreditation.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(canonicalize(credential))


# --- What the three peers do.


def open_for_business(peer: Peer) -> None:
    """Globex does bookkeeping."""
    peer.offers("bookkeeping", price="4.00 EUR", delivers="balances.csv", media_type="text/csv")(keeps_books)


def open_for_examinations(peer: Peer) -> None:
    """Assay examines whoever hires it for that, and accredits who adds up."""

    @peer.offers("accreditation", price="1.00 EUR", delivers="accreditation.json", media_type="application/vc")
    async def examine(job: Job) -> None:
        if await job.read("trial") != balances(TRIAL):
            raise UndersignedError("decision_failed", "the trial does not add up")
        claim = AccreditedBy(id=job.document.hirer, accredited_for="bookkeeping")
        (signed,) = await asyncio.to_thread(issue_claims, peer.home, [claim])
        await job.deliver("accreditation.json", canonicalize(signed))


async def what_is_needed(events: Unread[Event]) -> tuple[Need, ...]:
    """What the other side says that it needs, as soon as it withdraws and says so."""
    while True:
        event = await events.get()
        if event.kind == "received" and isinstance(event.message, Withdraw) and event.message.needed:
            return event.message.needed


async def obtain(peer: Peer, need: Need, accreditors: Mapping[Did, Did]) -> JsonObject:
    """A credential that answers the need, by an accreditor that is named in it and whose agent we can hire."""
    issuer = next((did for did in need.issuers or () if did in accreditors), None)
    if issuer is None:
        raise PolicyError("policy_denied", "Globex knows none of these issuers")
    work = {"trial": balances(TRIAL)}
    result = await peer.hire(accreditors[issuer], task="accreditation", inputs=work, price="2.00 EUR")
    credential = decode_json(result["accreditation.json"])
    assert isinstance(credential, dict)
    if not answers(read_credential(credential), need, peer.clock.now()):
        raise PolicyError("policy_denied", "what Globex got is not what Acme asked for")
    return credential


async def ask(peer: Peer, provider: Did, cast: Cast, continues: str | None = None) -> HireResult:
    """Acme has its books added up, and prints why it hires, or does not."""
    hire = peer.hire(
        provider,
        task="bookkeeping",
        inputs={"books": BOOKS},
        price="5.00 EUR",
        criteria={"adds-up": "The balances add up to nothing."},
        review=adds_up,
        continues=continues,
    )
    try:
        return await hire
    finally:
        if hire.decision is not None:
            cast.tell(hire.decision.explain(), 4)


async def main(folder: Path) -> None:
    cast = Cast(folder)
    await set_the_scene(cast)
    globex = cast.globex.configuration.did
    print(f"State folders are in {folder}")
    print("Acme's root is North, Globex's root is South; neither has a line about the other.\n")
    async with Peer.open(cast.acme) as acme, Peer.open(cast.assay) as assay:
        open_for_examinations(assay)
        async with Peer.open(cast.globex) as seller:
            open_for_business(seller)
            events = seller.watchers.listen()
            print("1. Acme would have Globex add up its books. They meet, and Acme decides:")
            try:
                await ask(acme, globex, cast)
                raise AssertionError("nobody accredited Globex, and it was hired")
            except PolicyError as error:
                refused = str(error.detail["engagement"])
            (need,) = await what_is_needed(events)
            print("\n2. Globex, over the wire, is told what would change the answer:")
            cast.tell(needed_text(need), 4)
            print("   Of those it knows Assay, which South knows as well. It hires Assay's agent to be examined:")
            credential = await obtain(seller, need, {office(cast.assay): cast.assay.configuration.did})
            holds(cast.globex, credential)
            about = credential["credentialSubject"]
            cast.tell(f"{credential['issuer']} accredits {about['id']} for {about['accreditedFor']}", 4)
        print("\n3. Globex starts again with it. Acme asks again, and names the refusal that this answers:")
        async with Peer.open(cast.globex) as seller:
            open_for_business(seller)
            result = await ask(acme, globex, cast, continues=refused)
    print("\n4. Hired, done, checked and accepted:")
    cast.tell(result.explain(), 4)
    print("".join(f"    | {line}\n" for line in result["balances.csv"].decode().splitlines()))
    await tell_what_is_kept(cast, result, refused)


async def tell_what_is_kept(cast: Cast, result: HireResult, refused: str) -> None:
    """Both ledgers lead from the contract to the refusal that it answers."""
    for home in (cast.acme, cast.globex):
        ledger = await open_ledger(home.ledger_url, read_only=True)
        try:
            (earlier,) = [one.name for one in await ledger.evidence(result.engagement) if one.kind == "withdrawal"]
            assert earlier == refused
            assert (await ledger.check()).ok
        finally:
            await ledger.close()
        print(f"{home.configuration.name}'s ledger: {result.engagement} continues {earlier}")
    program = Path(sys.executable).with_name("undersigned")
    print(f"\nLook at it:  {program} ledger list --home {cast.acme.path}")
    print(f"             {program} watch {refused} --home {cast.globex.path}")


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="first-meeting-"))))
    except UndersignedError as error:
        sys.exit(f"\nIt ends here: {error}")
