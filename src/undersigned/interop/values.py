"""Words that steps use for values known only while they are played.

| word | stands for |
| --- | --- |
| `$never` | the digest of something that nobody ever said |
| `$stranger`, `$second` | the DID of somebody who takes no part; of the second party of ours |
| `$us`, `$peer` | our DID, and that of the implementation under test |
| `$us#NAME` | a verification method of ours that our document does not list |
| `$method:first`, `$method:second` | the verification method by which that one of ours signs |
| `$now+N`, `$now-N` | an instant, N seconds from now |
| `$own:N`, `$its:N` | the digest of our, or its, move in place N; -1 is the last |
| `$document` | the digest of the document on the table |
| `$contract`, `$in-force` | the contract's name; that of the document in force |
| `$engagement`, `$engagement:TEXT` | the engagement's id; with a colon and TEXT behind it |
| `$leaf` | the digest of the leaf that the contract has in our log, once it was accepted |
| `$checkpoint:N`, `$checkpoint:N other` | our signed note of a log of N leaves; the last of which is another one |
| `$price`, `$more`, `$currency` | the price in force; one more than that; its currency |
| `$reading` | the digest of reading the input, as an approval names it |
| `$absent` | nothing: the member is left out |
| `$long:N` | a text of N characters |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from undersigned.encoding import add_amounts, shift

from .failures import Failure
from .hiring import NEVER, Hiring
from .player import Player
from .pointers import ABSENT

__all__ = ["filled"]


def filled(value: Any, player: Player) -> Any:
    """`value` with every word replaced by what it stands for."""
    if isinstance(value, Mapping):
        return {name: filled(one, player) for name, one in cast(Mapping[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [filled(one, player) for one in cast("list[Any]", value)]
    if isinstance(value, str) and value.startswith("$") and value != ABSENT:
        return _meant(value[1:], player)
    return value


def _meant(word: str, player: Player) -> Any:
    engagement = player.party.engagement
    name, _, argument = word.partition(":")
    if word.startswith(("now+", "now-")):
        return shift(player.party.now, int(word[3:]))
    if word.startswith("us#"):
        return engagement.own + word[2:]
    match name:
        case "method":
            stage = player.scene.stage
            return (player.who if argument == "first" else stage.actor(player.scene.scenario, argument)).method
        case "checkpoint":
            size, _, other = argument.partition(" ")
            return player.log.checkpoint(player.who, int(size), other=bool(other))
        case "leaf":
            return player.place().leaf
        case "never":
            return NEVER
        case "stranger" | "second":
            return player.scene.stage.actor(player.scene.scenario, name).did
        case "us":
            return engagement.own
        case "peer":
            return engagement.peer
        case "own":
            return engagement.sent[int(argument)]
        case "its":
            return engagement.got[int(argument)]
        case "document":
            live = engagement.tabled or engagement.offer
            return live.document if live is not None else NEVER
        case "price" | "currency" | "more":
            price = player.terms_in_force().price
            more = add_amounts(price.amount, "1")
            return {"price": price.amount, "currency": price.currency, "more": more}[name]
        case "in-force" if engagement.contract is not None:
            return engagement.contract.in_force
        case "contract":
            return player.contract
        case "engagement":
            return f"{engagement.id}:{argument}" if argument else engagement.id
        case "reading" if isinstance(player, Hiring):
            return player.reading
        case "long":
            return "x" * int(argument)
        case _:
            raise Failure(f"the scenario uses ${word}, which means nothing")
