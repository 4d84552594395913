"""agent-service-agreements: `NegotiationSession`, and the `Agreement` that it ends with."""

import time
from dataclasses import replace

import agent_service_agreements as asa
from play import NotApplicable

SURFACE = "agreement"
REFUSALS = (ValueError,)
LACKS = {
    "grant": "an agreement names a service and its quality; no module admits or refuses actions under it",
    "rate": "no reputation; that is in another package of the same project (agent-rating-protocol)",
}
WHO = {name: asa.Identity(scheme="api_key", value=name) for name in ("buyer", "seller", "stranger")}
NO_SIGNATURE = "messages of a negotiation carry a sender's name and a hash, and no signature"


class Runtime:
    def open(self, against=""):
        self.session = asa.NegotiationSession(config=asa.NegotiationConfig(timeout_seconds=1))
        return f"negotiation is {self.session.status}"

    def offer(self, by, price, how=""):
        if how == "altered":
            raise NotApplicable(NO_SIGNATURE)
        if how == "misaddressed":
            raise NotApplicable("messages of a negotiation name no recipient")
        if self.session.messages:
            self.session.counter(WHO[by], {"escrow.payment.amount": price})
        else:
            made = asa.create_agreement_from_template(
                "research", client=WHO["buyer"], provider=WHO["seller"], escrow_amount=price
            )
            self.session.propose(WHO[by], made)
        return f"round {self.session.current_round}, amount {self.session.agreement.escrow.amount}"

    def accept(self, by, how=""):
        if how in ("forged", "unsigned", "replayed"):
            raise NotApplicable(NO_SIGNATURE)
        if how == "first":
            raise NotApplicable("an acceptance names no offer; it is always of the current terms")
        self.session.accept(WHO[by])
        return f"NegotiationSession.accept by {by}: negotiation is {self.session.status}"

    def withdraw(self, by):
        self.session.reject(WHO[by])
        return f"NegotiationSession.reject by {by}: negotiation is {self.session.status}"

    def wait(self):
        time.sleep(1.5)  # timeout_seconds is 1
        return "waited"

    def contract(self, how):
        if how != "one":
            self.session.accept(WHO["seller"])
        made = self.session.agreement
        made.sign("client", "signature of the buyer")
        if how != "one":
            made.sign("provider", "!" if how == "garbage" else "signature of the seller")
        signed = made.agreement_hash
        if how == "altered":
            made.escrow = replace(made.escrow, amount="1")
        made = asa.Agreement.from_json(made.to_json())
        if problems := made.validate():
            raise ValueError(problems)
        made.deliver("sha256:" + "0" * 64)
        said = f"agreement validates and delivers, status {made.status}, amount {made.escrow.amount}"
        hashes = f"hash signed {signed[:8]}, stored {made.agreement_hash[:8]}"
        return f"{said}; provider_signature {made.provider_signature!r}; {hashes}"
