"""A hire between two daemons, and all their stores opened again: prints each database that was opened past SQLite.

`python -m integration.opened FOLDER`, with a line for each such opening and `hired` at the end. What SQLite itself
opens is not seen by Python; what Python opens is.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from integration.hires import REPORT, two_homes
from trust_graphs import edge
from undersigned.daemon import Peer
from undersigned.ledger import Admitted, TrustStore, open_books, open_ledger
from undersigned.runtime import issue_membership

SQLITE = (".db", ".db-wal", ".db-shm", ".db-journal")


def seen(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes) or not os.fsdecode(arguments[0]).endswith(SQLITE):
        return
    if not arguments[2] & os.O_EXCL:  # making a file that was not there opens no database
        print("opened", os.fsdecode(arguments[0]), flush=True)


async def main(folder: Path) -> None:
    acme, globex = await two_homes(folder)
    async with Peer.open(globex) as provider, Peer.open(acme) as hirer:
        for number in range(2):
            await hirer.meeting.beliefs.learned.write()  # else it may be at that just now
            with TrustStore(acme.trust) as store:
                store.admit([Admitted(edge("r", f"a{number}"), None)])
            await hirer.hire(provider.identity.did, task="summary", price="5 EUR", inputs={"report": REPORT})
        books = await open_books(acme.ledger_url)
        await books.close()
        beside = await open_ledger(acme.ledger_url, read_only=True)
        assert (await beside.check()).ok
        await beside.close()
        await issue_membership(globex)
    for home in (acme, globex):
        again = await open_ledger(home.ledger_url)
        await again.close()
        TrustStore(home.trust).close()
    print("hired", flush=True)


if __name__ == "__main__":
    sys.addaudithook(seen)
    asyncio.run(main(Path(sys.argv[1])))
