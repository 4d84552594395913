// What is kept of a move, by its type, and of the documents on the table.

const under = (the, changes) => ({ contract: { ...the.was.contract, ...changes } });
const mark = ({ content, move }) => ({ role: content.role, sequence: content.sequence, digest: move.digest });
const missed = ({ was, mine, at }, name, by) => (!mine && at > by ? [...was.contract.missed, name] : was.contract.missed);

const FACTS = {
  Inquiry: ({ content }) => ({
    talks: {
      ...{ opens: content.opens, rounds: content.limits.rounds, bytes: content.limits.bytes, tender: content.tender },
      ...{ versions: content.versions, suites: content.suites, version: "", offers: 0, used: 0 },
    },
  }),
  Profile: ({ was, content }) => ({ talks: { ...was.talks, version: content.version } }),
  Bid: ({ was, content }) => ({ talks: { ...was.talks, commitment: content.commitment, bidUntil: content.validUntil } }),
  Offer: async (the) => ({ talks: { ...the.was.talks, offers: the.was.talks.offers + 1 }, offer: await offered(the) }),
  Acceptance: ({ was, move, mine, at }) => ({ acceptance: move.digest, acceptedLate: !mine && at > was.offer.validUntil }),
  Seal: ({ was, mine, at }) => ({
    contract: {
      ...{ digest: was.offer.document, inForce: was.offer.document, round: 1, progress: 0, reviewSequence: 0, hirerOffer: 0 },
      ...{ missed: [], closedBy: [], suspensions: [], breaches: [], asked: [], disputes: [], resolved: [], released: null, accepted: false, rulingBy: "", owedIn: [], endings: [] },
      lateSeal: !mine && at > shift(was.offer.validUntil, durationSeconds(was.offer.terms.terms.sealGrace)),
    },
  }),
  Start: (the) => {
    const { finish, start } = the.was.offer.terms.terms.deadlines;
    return under(the, { began: the.move.digest, worksFrom: earliestOf(the), due: finish, heardAt: the.at, missed: missed(the, "start", start) });
  },
  ApprovalRequest: (the) => under(the, { asked: [...the.was.contract.asked, { move: the.move.digest, answerBy: the.content.answerBy }] }),
  Approval: (the) => {
    const { content, mine, at } = the;
    const kept = the.was.contract.asked.filter((one) => one.move !== content.request || (content.granted && (mine || at <= one.answerBy)));
    return under(the, { asked: kept.map((one) => (one.move === content.request ? { ...one, uses: content.uses } : one)) });
  },
  Suspend: (the) => {
    const { sequence, until } = the.content;
    return under(the, { suspensions: [...the.was.contract.suspensions, { sequence, until }] });
  },
  Resume: (the) => {
    const { contract, since } = the.was;
    const due = contract.due && shift(contract.due, seconds(the.at) - seconds(since));
    return under(the, { due, heardAt: the.at, worksFrom: earliestOf(the) });
  },
  Breach: (the) => under(the, { breaches: [...the.was.contract.breaches, { role: the.content.role, move: the.move.digest, cureBy: the.content.cureBy }] }),
  Dispute: (the) => under(the, { ...disputed(the), closedBy: [] }),
  Ruling: (the) => under(the, ruled(the)),
  Cancel: (the) => under(the, { due: the.content.windDown }),
  Delivery: (the) => {
    const { contract, state, offer } = the.was;
    const name = state === "cancelling" ? "windDown" : "finish";
    return under(the, { delivery: the.move.digest, deliveredFrom: earliestOf(the), missed: missed(the, name, contract.due ?? offer.terms.terms.deadlines.finish) });
  },
  Review: (the) => {
    const { contract } = the.was;
    const refused = the.content.verdict === "accepted" ? undefined : the.move.digest;
    if (the.content.verdict !== "rework") return under(the, { ...ends(the).contract, refused });
    const due = shift(the.at, durationSeconds(inForce(the).at(-1).terms.deadlines.rework));
    return under(the, { refused, round: contract.round + 1, began: the.move.digest, worksFrom: earliestOf(the), reviewSequence: the.content.sequence, due, heardAt: the.at });
  },
  Closing: (the) => under(the, { closedBy: [...the.was.contract.closedBy, the.content.role] }),
  Terminate: (the) => ends(the),
};

const disputed = (the) => {
  const { disputes, rulingBy } = the.was.contract;
  const longest = shift(the.at, LONGEST_RULING);
  const by = the.content.rulingBy < longest ? the.content.rulingBy : longest;
  return { disputes: [...disputes, mark(the)], rulingBy: by > rulingBy ? by : rulingBy };
};
const ends = (the) => {
  const { contract, state } = the.was;
  const resolved = state === "disputed" ? [...contract.resolved, mark(the)] : contract.resolved;
  return under(the, { resolved, accepted: contract.accepted || the.content.verdict === "accepted" });
};

const ruled = (the) => {
  const { resolved, owedIn } = the.was.contract;
  return { resolved: [...resolved, { ...mark(the), decided: true }], owedIn: [...owedIn, the.content.ruling.currency] };
};

/** What is kept of a move that crossed another and moves nothing. */
function voidFacts(the) {
  const { was, content, seen } = the;
  const { contract } = was;
  if (content.type === "Dispute") {
    const ended = contract.released ? { resolved: [...contract.resolved, { ...contract.released, decided: true }] } : {};
    return { ...contract, ...disputed(the), ...ended };
  }
  if (content.type === "Review") return { ...contract, accepted: contract.accepted || content.verdict === "accepted" };
  const ends = was.state === "closing" && contract.disputes.length && knows(content, seen, contract.disputes);
  if (content.type === "Ruling") return { ...contract, ...ruled(the), ...(ends ? {} : { resolved: contract.resolved }) };
  return ends && content.type === "Terminate" ? { ...contract, resolved: [...contract.resolved, mark(the)] } : contract;
}

// --- the document lane (07, section 7.10)

function laneRow(the) {
  const { was, content, mine, seen, crossed } = the;
  const { tabled, contract } = was;
  const row = LANE.get([was.lane, content.type, content.role, ""].join(" "));
  if (content.type === "Offer") {
    if (content.role === "provider" && !mine && seen < contract.hirerOffer) return undefined;
    if (unreleased(content, seen, contract)) return undefined;
    if (row || crossed) return row;
  } else if (tabled && content.offer === tabled.digest) {
    if (row) return row;
  } else if (crossed && content.type !== "Seal") return undefined;
  throw laneRefused(was, content, row);
}

/** What has no row; or has one, and names no document that is on the table. */
function laneRefused(was, content, row) {
  const text = `${content.role} sent ${content.type} with the documents ${was.lane}`;
  if (content.type === "Acceptance" && (was.lane === `accepted-by-${content.role}` || content.offer === was.offer.digest)) {
    return new Refused("already_contracted", text);
  }
  if (row) return new Refused(content.type === "Seal" ? "terms_mismatch" : "stale_offer", text);
  const others = LANE.has([was.lane, content.type, otherRole(content.role), ""].join(" "));
  return new Refused(others ? "wrong_party" : "wrong_state", text);
}

async function laneFacts(the, row) {
  const { was, content, move, mine, at } = the;
  const { tabled, contract, offer } = was;
  if (content.type === "Offer") {
    const changes = { lane: row.next, tabled: await offered(the) };
    return content.role === "hirer" ? { ...changes, ...under(the, { hirerOffer: content.sequence }) } : changes;
  }
  if (content.type === "Acceptance") {
    const accepted = { acceptance: move.digest, acceptedLate: !mine && at > tabled.validUntil, agreed: mark(the) };
    return { lane: row.next, tabled: { ...tabled, ...accepted } };
  }
  const idle = { lane: "idle", tabled: null };
  if (content.type !== "Seal") return idle;
  if (!tabled.terms) {
    const resolved = contract.disputes.length ? [...contract.resolved, { ...mark(the), decided: true }] : contract.resolved;
    const released = { ...idle, ...under(the, { released: mark(the), resolved, owedIn: [...contract.owedIn, tabled.settled.currency], endings: [...contract.endings, { basis: "release", detail: tabled.settled }] }) };
    return ["closing", "closed"].includes(was.state) ? released : { ...released, state: "closing", since: at, cause: move.digest };
  }
  const due = contract.round === 1 && contract.due && was.state !== "cancelling" ? tabled.terms.terms.deadlines.finish : contract.due;
  const were = mine ? { sequence: content.sequence, inForce: contract.inForce, terms: offer.terms } : undefined;
  return { ...idle, ...under(the, { inForce: tabled.document, due, were }), offer: { ...offer, terms: tabled.terms } };
}
