"""concordia-protocol: `sign_mandate` and `verify_mandate`, with the action in question."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import concordia as c
from concordia.mandate import sign_delegation
from play import NotApplicable, Refused

SURFACE = "mandates"
REFUSALS = ()
_OTHER = "mandates are about authority; sessions and scores are called beside them"
LACKS = dict.fromkeys(("open", "offer", "rate"), _OTHER)
LACKS["spend"] = "a constraint is about one action; verify_mandate counts nothing across actions"
ALLOWED = {"type": "object", "properties": {"target": {"enum": ["app"]}}}


class Runtime:
    def __init__(self):
        self.keys = {name: c.KeyPair.generate() for name in ("buyer", "seller", "helper", "stranger")}

    def mandate(self, subject, signer, chain=()):
        now = datetime.now(UTC)
        window = c.ValidityWindow(
            mode=c.TemporalMode.WINDOWED,
            not_before=(now - timedelta(seconds=1)).isoformat(),
            not_after=(now + timedelta(seconds=1)).isoformat(),
        )
        made = c.Mandate(
            mandate_id=f"urn:concordia:mandate:{uuid.uuid4()}",
            issuer="buyer",
            subject=subject,
            issued_at=now.isoformat(),
            validity=window,
            constraints=ALLOWED,
            delegation_chain=list(chain),
        )
        return c.sign_mandate(made, self.keys[signer])

    def verified(self, mandate, action=None):
        keys = {name: pair.public_key for name, pair in self.keys.items()}
        found = c.verify_mandate(mandate, keys["buyer"], action=action, delegation_public_keys=keys)
        said = f"verify_mandate(action={action}): valid={found.valid} {found.errors}"
        if not found.valid:
            raise Refused(said)
        return said

    def grant(self, how=""):
        self.granted = self.mandate("seller", "stranger" if how == "forged" else "buyer")
        return self.verified(self.granted)

    def act(self, by, target):
        if by != "seller":
            raise NotApplicable(
                "verify_mandate is told the action, not who acts; comparing the subject is the caller's"
            )
        return self.verified(self.granted, {"target": target})

    def wait(self):
        time.sleep(1.5)  # the validity window is one second
        return "waited"

    def delegate(self, by, target):
        links = [
            sign_delegation(c.DelegationLink(delegator, delegate, restriction), self.keys[delegator])
            for delegator, delegate, restriction in (
                ("buyer", "seller", None),
                ("seller", "helper", {"properties": {"target": {"enum": [target]}}}),
            )
        ]
        return self.verified(self.mandate("helper", "buyer", links), {"target": target})
