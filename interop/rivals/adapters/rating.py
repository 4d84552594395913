"""agent-rating-protocol: `RatingStore` and `get_reputation`, with its calibration of raters on."""

import tempfile
from pathlib import Path

import agent_rating_protocol as arp
from play import Refused

SURFACE = "ratings"
REFUSALS = (ValueError,)
_OTHER = "ratings only; negotiations are in another package of the same project (agent-service-agreements)"
LACKS = dict.fromkeys(("open", "offer", "grant"), _OTHER)
LEVEL = {"low": (10, 40), "high": (100, 70)}


class Runtime:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = arp.RatingStore(str(Path(self.folder.name) / "ratings.jsonl"))

    def close(self):
        self.folder.cleanup()

    def standing(self):
        return arp.get_reputation(self.store, "seller", dimension="reliability", apply_calibration=True)["score"]

    def rate(self, by, how, count):
        for number in range(int(count)):
            first, second = LEVEL[how]
            record = arp.RatingRecord(
                rater_id="seller" if by == "itself" else f"{by}-{number}",
                ratee_id="seller",
                reliability=first,
                accuracy=second,
                # Whoever writes the record writes these; an identity of a moment ago says what an old one would.
                rater_chain_age_days=365,
                rater_total_ratings_given=100,
            )
            self.store.append_rating(record)
        return f"reliability {self.standing()}"

    def lift(self, by, count):
        before = self.standing()
        self.rate(by, "high", count)
        said = f"reliability {before} -> {self.standing()}"
        if self.standing() <= before:
            raise Refused(said)
        return f"{said}; each record says chain_age_days 365, total_ratings_given 100"
