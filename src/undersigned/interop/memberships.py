"""What our counterparty shows of itself: its membership of the guild, or one that helps nobody.

| word | what is shown |
| --- | --- |
| `none` | nothing |
| `of another` | the membership of somebody else |
| `past`, `not yet` | one that is over, or has not begun |
| `past beside a good one` | one that is over, and then one that holds |
| `past and signed by another` | one that is over, and names the guild that did not sign it |
| `unsigned`, `signed by another` | one without a proof; one that names the guild and is signed by somebody else |
| `seventeen` | one, seventeen times over |
| `of 64 KiB and more`, `of 128 KiB and more` | one, or three together, of so many bytes |
| `nine issuers` | one by each of nine |
| `other context` | one with a context that nobody knows |
| `many nodes` | one in `eddsa-rdfc-2022` of more blank nodes than anybody has to name |
| `alike nodes` | one in `eddsa-rdfc-2022` whose blank nodes are so much alike that their labels take too long |
| `by nobody` | one that a stranger issued, who has a status list with us |
| `clear`, `revoked`, `unavailable` | one whose status list says so, or is gone |
| `without multibase`, `two members`, `too short` | one whose status list is packed otherwise than it has to be |

Source: protocol-spec/02-identity-and-keys.md, sections 2.6, 2.7 and 2.12
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from undersigned.encoding import Did, Instant, JsonObject, shift
from undersigned.testing import Attacker, vouched

from .failures import Failure
from .play import Play
from .player import Player
from .status_lists import LISTS

__all__ = ["shown_credentials"]

NODES: Final = 65
"""Each is a blank node, of which nobody has to name more than 64."""
ALIKE: Final = 7
"""Each of two nodes alike has so many more, in any order: 5,040 permutations, of 7 places."""
UNDEFINED: Final = "https://www.w3.org/ns/credentials/undefined-terms/v2"


def shown_credentials(play: Play, player: Player, word: str) -> tuple[JsonObject, ...]:
    """The credentials that a word stands for."""
    who, now, stage = player.who, player.party.now, play.scene.stage
    if word in LISTS or word == "unavailable":
        return (who.member(now, status=stage.status_at(word, play.scenario.id)),)
    own: dict[str, Any] = {name: value for name, value in who.member(now).items() if name != "proof"}
    over = {**own, "validFrom": shift(now, -7200), "validUntil": shift(now, -3600)}
    match word:
        case "none":
            return ()
        case "of another":
            return (who.member(now, of=play.actor("stranger").did),)
        case "past":
            return (vouched(over, now),)
        case "past beside a good one":
            return (vouched(over, now), who.member(now))
        case "past and signed by another":
            return (play.actor("stranger").issue(over, now),)
        case "not yet":
            return (vouched({**own, "validFrom": shift(now, 3600)}, now),)
        case "unsigned":
            return (own,)
        case "signed by another":
            return (play.actor("stranger").issue(own, now),)
        case "seventeen":
            return tuple(who.member(now) for _ in range(17))
        case "of 64 KiB and more":
            return (_padded(own, 66_000, now),)
        case "of 128 KiB and more":
            return tuple(_padded(own, 45_000, now) for _ in range(3))
        case "nine issuers":
            many = [play.actor(f"issuer {place}") for place in range(9)]
            return tuple(one.issue(_by(one.did, own), now) for one in many)
        case "other context":
            return (vouched({**own, "@context": [*own["@context"], "https://nobody.example/v1"]}, now),)
        case "many nodes":
            return (_of_parts(who, now, [{"name": f"part {place}"} for place in range(NODES)]),)
        case "alike nodes":
            return (_of_parts(who, now, [{"parts": [{"name": "part"}] * ALIKE}] * 2),)
        case "by nobody":
            stranger = play.actor("stranger")
            status = stage.status_at("clear", play.scenario.id)
            return (stranger.issue({**_by(stranger.did, own), "credentialStatus": status}, now),)
        case _:
            raise Failure(f"the scenario shows {word!r}, which is no membership")


def _by(issuer: Did, own: Mapping[str, Any]) -> dict[str, Any]:
    """The same membership of somebody else's."""
    return {**own, "issuer": issuer, "credentialSubject": {**own["credentialSubject"], "memberOf": issuer}}


def _of_parts(who: Attacker, now: Instant, parts: list[Any]) -> JsonObject:
    """The limits are held before the proof is looked at, so that any proof in this suite will do."""
    proved: dict[str, Any] = {**who.member(now, suite="eddsa-rdfc-2022")}
    subject = {**proved["credentialSubject"], "parts": parts}
    return {**proved, "@context": [*proved["@context"], UNDEFINED], "credentialSubject": subject}


def _padded(own: Mapping[str, Any], size: int, now: Instant) -> JsonObject:
    return vouched({**own, "credentialSubject": {**own["credentialSubject"], "name": "x" * size}}, now)
