"""concordia-protocol: the tools of its MCP server, called through `handle_tool_call`, with the tokens it issues."""

import time

from concordia.mcp_server import handle_tool_call
from play import NotApplicable, Refused

SURFACE = "tools"
REFUSALS = ()
LACKS = {
    "grant": "a session grants nothing; mandates do",
    "rate": "scores come from the same `ReputationScorer`",
}
ROLE = {"buyer": "initiator", "seller": "responder"}


class Runtime:
    def call(self, tool, **arguments):
        said = handle_tool_call(f"concordia_{tool}", arguments)
        if "error" in said:
            raise Refused(f"concordia_{tool}: {said['error']}")
        return said

    def open(self, against=""):
        made = self.call(
            "open_session", initiator_id="buyer", responder_id="seller",
            terms={"price": {"type": "numeric", "label": "price"}}, session_ttl=1, offer_ttl=1,
        )  # fmt: skip
        self.session, self.offers = made["session_id"], 0
        self.tokens = {"buyer": made["initiator_token"], "seller": made["responder_token"], "stranger": "a guess"}
        return f"session is {made['state']}"

    def move(self, tool, by, **arguments):
        role = ROLE.get(by, "responder")
        said = self.call(tool, session_id=self.session, role=role, auth_token=self.tokens[by], **arguments)
        return f"concordia_{tool} by {by}: session is {said['state']}"

    def offer(self, by, price, how=""):
        if how:
            raise NotApplicable("the server writes, signs and addresses the messages itself")
        self.offers += 1
        tool = "propose" if self.offers == 1 else "counter"
        return self.move(tool, by, terms={"price": {"value": int(price)}})

    def accept(self, by, how=""):
        if how in ("forged", "unsigned", "replayed"):
            raise NotApplicable("the server writes and signs the messages itself; callers have tokens")
        if how == "first":
            status = self.call(
                "session_status", session_id=self.session, auth_token=self.tokens[by], include_transcript=True
            )
            offers = [m for m in status["transcript"] if m["type"] in ("negotiate.offer", "negotiate.counter")]
            found = offers[0].get("body", {}).get("offer_id") or offers[0].get("offer_id")
            if not found:
                raise NotApplicable("the tools do not tell the id of an offer")
            return self.move("accept", by, offer_id=found) + ", offer_id is that of the first offer"
        return self.move("accept", by)

    def withdraw(self, by):
        return self.move("reject", by)

    def wait(self):
        time.sleep(2.5)  # session_ttl and offer_ttl are one second
        return "waited"

    def contract(self, how):
        if how in ("garbage", "altered"):
            raise NotApplicable("the server signs for both parties")
        if how == "one":
            return self.move("commit", "buyer") + "; nobody accepted"
        return self.move("accept", "seller")
