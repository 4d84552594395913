"""agent-passport-system: a signed delegation (`verify_delegation`) and the policy engine (`request_action`).

The package calls this delegation record frozen and has another beside it (`v2.authority_delegation`); its policy engine
and its own first example work with this one.
"""

import time

import agent_passport as aps
from play import Refused

SURFACE = "delegation"
REFUSALS = (ValueError,)
LACKS = {
    "open": "no negotiation; authority is delegated by one signature",
    "rate": "no score is computed from others' words",
}


class Runtime:
    def __init__(self):
        self.keys = {name: aps.generate_key_pair() for name in ("buyer", "seller", "stranger", "helper", "gate")}

    def verified(self, delegation):
        found = aps.verify_delegation(delegation)
        if not found["valid"] or delegation["delegatedBy"] != self.keys["buyer"]["publicKey"]:
            raise Refused(f"verify_delegation: {found['errors']}")
        return "verify_delegation: valid"

    def grant(self, how=""):
        signer = "stranger" if how == "forged" else "buyer"
        self.granted = aps.create_delegation(
            self.keys["buyer"]["publicKey"], self.keys["seller"]["publicKey"], ["repo:read:app"],
            self.keys[signer]["privateKey"], spend_limit=10, max_depth=2, expires_in_days=2 / 86_400,
        )  # fmt: skip
        self.spending = aps.create_commerce_delegation("seller", self.granted["delegationId"], 10)
        return self.verified(self.granted)

    def act(self, by, target):
        pair, gate = self.keys[by], self.keys["gate"]
        context = {
            "delegation": self.granted,
            "agentRegistered": True,
            "agentAttestationValid": True,
            "floorVersion": "1",
        }
        decision = aps.request_action(
            by, pair["publicKey"], pair["privateKey"], self.granted["delegationId"],
            {"type": "read", "target": target, "scopeRequired": f"repo:read:{target}"},
            aps.FloorValidatorV1(), context, "gate", gate["publicKey"], gate["privateKey"],
        )["decision"]  # fmt: skip
        if decision["verdict"] != "permit":
            raise Refused(f"request_action: {decision['verdict']}: {decision['reason']}")
        return f"request_action, intent signed by {by}: {decision['verdict']}: {decision['reason']}"

    def spend(self, by, amount):
        self.spending = aps.record_spend(self.spending, int(amount))
        return f"record_spend: spentAmount {self.spending['spentAmount']} of {self.spending['spendLimit']}"

    def wait(self):
        time.sleep(2.5)  # the delegation lives for two seconds
        return "waited"

    def delegate(self, by, target):
        made = aps.sub_delegate(
            self.granted, self.keys["helper"]["publicKey"], [f"repo:read:{target}"], self.keys[by]["privateKey"]
        )
        return f"sub_delegate: {made['scope']}"
