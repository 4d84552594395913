"""What a side that is in doubt does not owe."""

from __future__ import annotations

from undersigned.protocol import Effect, Engagement, Owe

__all__ = ["owed_in_doubt"]


def owed_in_doubt(engagement: Engagement, effect: Effect) -> bool:
    """Whether it is owed although there is doubt whether there is a contract, or whether the lane's document is in
    force; what the contract asks for is owed all the same.
    """
    tabled = engagement.tabled
    return isinstance(effect, Owe) and (
        engagement.contract is None or (tabled is not None and effect.about == tabled.digest)
    )
