"""`undersigned`, killed by SIGKILL when it has carried out an order and is about to answer it.

With `KILLED_AT=taken` it is killed when it has taken the order and has not begun to carry it out.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from undersigned.cli import main
from undersigned.runtime.execution import contract_orders


def killed(_file: Path, _raw: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def killed_before(*_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if os.environ.get("KILLED_AT") == "taken":
        contract_orders.ContractOrders._once = killed_before  # type: ignore[method-assign]
    else:
        contract_orders._answer = killed
    main()
