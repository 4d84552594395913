"""undersigned: `reputation`, over endorsements that are signed credentials, each verified before it counts."""

from play import Refused

from undersigned.credentials import Endorsement, claim_credential, credential_config, verify_credential
from undersigned.encoding import shift
from undersigned.errors import UndersignedError
from undersigned.proof import attach, prepare
from undersigned.testing import NOON, Actor
from undersigned.trust import Anchors, Graph, Viewpoint, answer, edge_of, reputation

SURFACE = "reputation"
REFUSALS = (UndersignedError,)
LACKS = {"open": "by a running peer", "grant": "by two running peers and a gate"}


class Runtime:
    def __init__(self):
        self.edges, self.known = [], []

    def rate(self, by, how, count):
        for number in range(int(count)):
            name = "seller" if by == "itself" else f"{by}-{how}-{number}"
            self.say(name, "seller", "0.1" if how == "low" else "1")
            if by == "known":  # an anchor: somebody whose word the one who asks has chosen to believe
                self.known.append(Actor(name).did)
        return f"score {self.score()}"

    def lift(self, by, count):
        before, number = self.score(), int(count)
        self.rate(by, "high", count)
        if by == "fresh":  # they speak well of each other, too
            for one in range(number):
                self.say(f"fresh-high-{one}", f"fresh-high-{(one + 1) % number}", "1")
        if by == "itself":  # and through a second identity of its own
            self.say("seller", "seller-2", "1")
            self.say("seller-2", "seller", "1")
        said = f"score {before} -> {self.score()}"
        if float(self.score()) <= float(before):
            raise Refused(said)
        return said

    def say(self, by, of, weight):
        issuer = Actor(by)
        claim = Endorsement(id=Actor(of).did, capability="sbom", weight=weight)
        document = claim_credential(
            claim, id=issuer.message_id(), issuer=issuer.did, valid_from=shift(NOON, -60), valid_until=shift(NOON, 60)
        )
        config = credential_config("eddsa-jcs-2022", issuer.method, NOON)
        signed = attach(document, config, issuer.signature(prepare(document, config, "Ed25519")))
        self.edges.append(edge_of(verify_credential(signed, documents={issuer.did: issuer.document}, now=NOON)))

    def score(self):
        view = Viewpoint(anchors=Anchors.of(*self.known), now=NOON, refused=frozenset())
        return answer(reputation(Actor("seller").did, "sbom", view), Graph(self.edges).read).score
