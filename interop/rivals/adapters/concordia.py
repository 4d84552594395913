"""concordia-protocol: `Session.apply_message` with signed envelopes, `AttestationStore` and `ReputationScorer`.

Keys are resolved through a directory that knows every agent of a play, the stranger too. A score is that of sessions
which were talked through, and attested by both, as if they had taken five minutes.
"""

import time
from datetime import UTC, datetime, timedelta

import concordia as c
from concordia.reputation.scorer import ReputationScorer
from concordia.reputation.store import AttestationStore
from play import NotApplicable, Refused

SURFACE = "session"
REFUSALS = (c.InvalidSignatureError, c.InvalidTransitionError, c.SessionBindingError, c.ChainIntegrityError)
LACKS = {"grant": "a session grants nothing; mandates do"}
T = c.MessageType


class Runtime:
    def __init__(self):
        self.agents = {}
        for name in ("buyer", "seller", "stranger"):
            self.agent(name)
        self.store, self.accepted = AttestationStore(), None

    def agent(self, name):
        return self.agents.setdefault(name, c.Agent(name))

    def key(self, name):
        return self.agents[name].key_pair.public_key if name in self.agents else None

    def send(self, by, kind, body, *, key_of=None, to=None, change=None):
        sender, pair = self.agent(by), self.agent(key_of or by).key_pair
        to = [self.agent(to).identity] if to else None
        message = c.build_envelope(
            message_type=kind, session_id=self.session.session_id, sender=sender.identity, body=body,
            key_pair=pair, prev_hash=self.session.prev_hash, recipients=to,
        )  # fmt: skip
        (change or (lambda _: None))(message)
        state = self.session.apply_message(message, self.key)
        return message, f"{kind.value} by {by}: session is {state.value}"

    def open(self, against="", between=("buyer", "seller")):
        one, two = map(self.agent, between)
        timing = c.TimingConfig(session_ttl=1, offer_ttl=1)
        self.session = one.open_session(two.identity, {"price": {"type": "numeric"}}, timing=timing)
        two.join_session(self.session)
        two.accept_session()
        self.offers = []
        return f"session is {self.session.state.value}"

    def offer(self, by, price, how=""):
        until = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        made = c.BasicOffer({"price": {"value": int(price)}}, valid_until=until)
        kind, to = T.COUNTER if self.offers else T.OFFER, "stranger" if how == "misaddressed" else "seller"
        self.offers.append(made.offer_id)

        def change(message):
            if how == "altered":
                message["body"]["terms"]["price"]["value"] = 1

        said = self.send(by, kind, made.to_body(), to=to if by == "buyer" else "buyer", change=change)[1]
        return f"{said}; addressed to {to}" if how == "misaddressed" else said

    def accept(self, by, how=""):
        if how == "replayed":
            return f"session is {self.session.apply_message(self.accepted, self.key).value}"
        offer = self.offers[0 if how == "first" else -1]
        change = (lambda m: m.pop("signature")) if how == "unsigned" else None
        key_of = "stranger" if how == "forged" else by
        self.accepted, said = self.send(by, T.ACCEPT, {"offer_id": offer}, key_of=key_of, change=change)
        return f"{said}, offer_id is that of offer {self.offers.index(offer) + 1} of {len(self.offers)}"

    def withdraw(self, by):
        return self.send(by, T.WITHDRAW, {"reason": "declined"})[1]

    def wait(self):
        time.sleep(2.5)  # offer_ttl, session_ttl and valid_until are one second
        return f"session is {self.session.state.value}"

    def contract(self, how):
        if how == "altered":
            raise NotApplicable("the attestation of an agreement carries no terms, by design (privacy)")
        if how == "one":
            return self.send("buyer", T.COMMIT, {})[1] + "; no negotiate.accept in the transcript"
        self.accept("seller")
        attestation = c.generate_attestation(
            self.session, {name: agent.key_pair for name, agent in self.agents.items()}, category="work"
        )
        if how == "garbage":
            attestation["parties"][0]["signature"] = "not a signature"
        taken, found = self.store.ingest(attestation, self.key)
        if not taken:
            raise Refused(f"AttestationStore.ingest: {found.errors}")
        return "AttestationStore.ingest: attestation of both parties stored"

    def rate(self, by, how, count):
        if by == "itself":
            by, self.agents["seller-2"] = "seller-2", c.Agent("seller-2", self.agent("seller").key_pair)
        for number in range(int(count)):
            rater = by if by == "seller-2" else f"{by}-{len(self.agents)}-{number}"
            self.open(between=(rater, "seller"))
            self.offer(rater, "10")
            self.session.created_at -= timedelta(minutes=5)  # as if they had talked for five minutes
            self.accept("seller") if how == "high" else self.withdraw("seller")
            pairs = {name: agent.key_pair for name, agent in self.agents.items()}
            taken, found = self.store.ingest(c.generate_attestation(self.session, pairs, category="work"), self.key)
            if not taken:
                raise Refused(f"AttestationStore.ingest: {found.errors}")
        return f"overall_score {ReputationScorer(self.store).score('seller').overall_score:.3f}"

    def lift(self, by, count):
        before = ReputationScorer(self.store).score("seller").overall_score
        self.rate(by, "high", count)
        after = ReputationScorer(self.store).score("seller").overall_score
        said = f"overall_score {before:.3f} -> {after:.3f}"
        if after <= before:
            raise Refused(said)
        return said
