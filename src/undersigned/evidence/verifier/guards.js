// What a move must fulfil: documents in offers, and one guard for each `check` of the tables.

// --- documents in offers

/** What is kept of a document's terms. */
function essentials(document) {
  const { terms } = document;
  if (!terms) return null;
  const rules = ["grants", "prohibitions", "obligations"].flatMap((name) => terms.scope[name] ?? []);
  return { terms, parent: document.parent, criteria: criteriaOf(terms), clauses: new Set([...Object.keys(terms), ...rules.map((rule) => rule.id.split("#").at(-1))]) };
}

async function checkOffered({ was, content, seen }, under) {
  const { document, role, sequence } = content;
  const hirer = was.role === "hirer" ? was.own : was.peer;
  const provider = was.role === "hirer" ? was.peer : was.own;
  const parties = document.engagement === was.id && document.hirer === hirer && document.provider === provider;
  expect(parties, "wrong_negotiation", "a document of this engagement and these parties");
  expect((document.type === "Contract") === !under, "terms_mismatch", "another type of document");
  if (under) {
    expect(document.contract === under.contract, "conflicting_contract", `a document of contract ${under.contract}`);
    expect(document.amends === under.inForce, "terms_mismatch", `a change of ${under.inForce}, which is in force`);
  }
  expect(document.id === `${was.id}:${role}:${sequence}`, "terms_mismatch", "a document of this place");
  expect(content.previous !== undefined && content.seen !== undefined, "wrong_state", "an offer after both have spoken");
  const places = { [role]: { sequence: sequence - 1, digest: content.previous }, [otherRole(role)]: { sequence: seen, digest: content.seen } };
  expect(equal(document.transcript, places), "terms_mismatch", "a document of this transcript");
  checkParts(document);
  await checkAbove(was.offer, content);
}

async function checkAbove(live, { document, role, parents = [] }) {
  if (!["Contract", "Amendment"].includes(document.type)) return expect(!parents.length, "schema_violation", "no parents");
  const known = live?.terms.parent;
  expect(document.parent === known || (!live && role === "hirer"), "terms_mismatch", `the parent contract ${known}`);
  if (role !== "hirer") return expect(!parents.length, "schema_violation", "no parents");
  return checkParents(document, parents);
}

/** The chain of contracts up to the root, each inside the one above it. */
async function checkParents(document, parents) {
  expect(parents.length <= MAX_DEPTH, "chain_invalid", `at most ${MAX_DEPTH} levels above`);
  for (const parent of parents) {
    const whole = Object.keys(parent).sort().join() === "acceptance,document,seal" && Object.values(parent).every(isObject);
    expect(whole, "schema_violation", "document, acceptance and seal of a parent");
    checkDocument(parent.document);
    expect(parent.document.type !== "Release", "schema_violation", "a document with terms");
  }
  let child = document;
  for (const parent of parents) {
    expect(child.parent === (await nameOf(parent.document)), "chain_invalid", `the parent ${child.parent}`);
    expect(child.hirer === parent.document.provider, "chain_invalid", `a parent whose provider is ${child.hirer}`);
    checkWithin(child.terms, parent.document.terms);
    child = parent.document;
  }
  expect(child.parent === undefined, "chain_invalid", "the chain up to its root");
}

const nameOf = async (document) => (document.type === "Amendment" ? document.contract : digestOf(document));

const offered = async ({ content, move }) => ({
  ...{ owner: content.role, digest: move.digest, sequence: content.sequence, document: await digestOf(content.document) },
  ...{ kind: content.document.type, validUntil: content.validUntil, terms: essentials(content.document), settled: content.document.settlement },
});

// --- guards: one for each `check` of the tables

const named = ({ was, content }) => expect(content.contract === was.contract.digest, "conflicting_contract", `contract ${was.contract.digest}`);

/** What is in force; and what was before, for who had not seen the seal by which we changed it. */
function inForce({ was, mine, seen }) {
  const { contract, offer } = was;
  const found = [{ digest: contract.inForce, ...offer.terms }];
  if (contract.were && !mine && seen < contract.were.sequence) found.push({ digest: contract.were.inForce, ...contract.were.terms });
  return found;
}

const expectInForce = (the) => expect(inForce(the).some((one) => one.digest === the.content.contract), "conflicting_contract", "the document in force");

function expectCurrency(the) {
  const allowed = [...inForce(the).map((one) => one.terms.price.currency), ...the.was.contract.owedIn];
  expect(allowed.includes(the.content.settlement.currency), "terms_mismatch", `what is owed in ${allowed[0]}`);
}

async function binds(the, live) {
  const { was, content, mine, at } = the;
  expect(content.inReplyTo === live, "stale_offer", `an answer to the live offer ${live}`);
  expect(was.talks.offers < was.talks.rounds, "round_limit", `at most ${was.talks.rounds} offers`);
  expect(!mine || content.validUntil >= at, "offer_expired", "an offer that still stands when it is made");
  await checkOffered(the);
}

function reviewed(the) {
  const { was, content } = the;
  expect(content.delivery === was.contract.delivery, "terms_mismatch", `the delivery ${was.contract.delivery}`);
  const answered = content.criteria.map((one) => one.id).sort();
  expect(inForce(the).some((one) => equal(one.criteria.toSorted(), answered)), "terms_mismatch", "an answer to each criterion");
}

function mayWithdraw({ content, mine }, allowed, acceptedLate) {
  expect(allowed.includes(content.reason), "wrong_state", `one of ${allowed.join(", ")}; came ${content.reason}`);
  expect(!mine || content.reason !== "offer_expired" || acceptedLate, "wrong_state", "a reason that is true: the acceptance came in time");
}

const ANSWERS = ["offer_expired", "revoked", "status_unavailable"];
/** Also of a state before the seal: who was in it knew of no end of the contract. */
const mayChange = (state, kind) => !["closing", "closed"].includes(state) && (state !== "disputed" || kind === "Release");
const whilePossible = ({ state }, kind) => expect(mayChange(state, kind), "wrong_state", `a ${kind} while the contract can be changed; it is ${state}`);

const GUARDS = {
  async opens_engagement({ was, content }) {
    const [hirer, provider] = was.role === "hirer" ? [was.own, was.peer] : [was.peer, was.own];
    expect((await engagementId(hirer, provider, content.nonce)) === was.id, "wrong_negotiation", "the engagement of these parties and nonce");
    expect(content.versions.includes("1.0"), "version_not_supported", "version 1.0 among those offered");
  },
  echoes_and_picks({ was, content }) {
    const inquiry = (was.role === "hirer" ? was.sent : was.got).at(-1);
    expect(content.inquiry === inquiry, "wrong_negotiation", `the inquiry ${inquiry}`);
    for (const [lists, choice] of [["versions", "version"], ["suites", "suite"]]) {
      expect(equal(was.talks[lists], content[lists]), "version_not_supported", `the ${lists} offered, echoed`);
      expect(was.talks[lists].includes(content[choice]), "version_not_supported", `one of the ${lists} offered`);
    }
  },
  answers_request({ was, content }) {
    const asked = (content.role === was.role ? was.got : was.sent).at(-1);
    expect(content.answers === asked, "challenge_mismatch", `an answer to ${asked}`);
  },
  commits_in_time({ was, content, at }) {
    const { tender } = was.talks;
    expect(tender?.sealed, "wrong_state", "an offer: there is no sealed tender");
    expect(was.role !== "hirer" || at <= tender.bidsClose, "offer_expired", `a bid by ${tender.bidsClose}`);
    expect(content.validUntil >= shift(tender.awardBy, 120), "terms_mismatch", "a bid that stands until the award");
  },
  async opens_commitment(the) {
    const { was, content, at } = the;
    const { tender, bidUntil, commitment } = was.talks;
    expect(tender && bidUntil, "wrong_state", "a bid to open");
    const inTime = was.role !== "hirer" || (tender.bidsClose < at && at <= tender.revealBy);
    expect(inTime, "offer_expired", `an opening from ${tender.bidsClose} to ${tender.revealBy}`);
    await binds(the, undefined);
    const opened = content.salt && (await digestOf({ salt: content.salt, terms: content.document.terms }));
    expect(opened === commitment, "terms_mismatch", "salt and terms that open the commitment");
    expect(content.validUntil >= bidUntil, "terms_mismatch", `an offer that stands until ${bidUntil}`);
  },
  async opens_bargaining(the) {
    const { was, content } = the;
    expect(was.talks.opens === content.role, "wrong_party", `the first offer of the ${was.talks.opens}`);
    expect(!was.talks.tender?.sealed, "wrong_state", "a bid: the tender is sealed");
    await binds(the, undefined);
  },
  async replies_to_live_offer(the) {
    expect(!the.was.talks.tender, "wrong_state", "no counter-offer in a tender");
    await binds(the, the.was.offer.digest);
  },
  names_live_offer({ was, content }) {
    expect(content.offer === was.offer.digest, "stale_offer", `the live offer ${was.offer.digest}`);
    expect(content.document === was.offer.document, "terms_mismatch", `its document ${was.offer.document}`);
    expect(content.seen === was.offer.digest, "terms_mismatch", "an acceptance right behind the offer"); // HIRE-CTR-10
  },
  names_acceptance({ was, content, mine }) {
    const fits = content.offer === was.offer.digest && content.document === was.offer.document && content.acceptance === was.acceptance;
    expect(fits && content.seen === was.acceptance, "terms_mismatch", "a seal of the acceptance, its offer and its document");
    expect(!mine || !was.acceptedLate, "offer_expired", `an acceptance by ${was.offer.validUntil}`);
  },
  answers_acceptance(the) {
    const { was, content, crossed } = the;
    expect(crossed || content.offer === was.offer.digest, "stale_offer", `the offer ${was.offer.digest}`);
    if (!the.crossed) mayWithdraw(the, ANSWERS, was.acceptedLate);
  },
  names_contract: named,
  starts_as_contracted(the) {
    const { was, content, mine, at } = the;
    named(the);
    const allowed = inForce(the).flatMap((one) => one.terms.task.inputs);
    expect(content.inputs.every((one) => allowed.includes(one.digest)), "terms_mismatch", "inputs of the terms");
    const { notBefore, start } = was.offer.terms.terms.deadlines;
    expect(!mine || !notBefore || at >= notBefore, "wrong_state", `a start not before ${notBefore}`);
    expect(!mine || at <= start, "contract_expired", `a start by ${start}`);
  },
  leaves_time_to_stop(the) {
    const { was, content, mine, at } = the;
    named(the);
    const least = shift(at, durationSeconds(was.offer.terms.terms.deadlines.windDown));
    expect(!mine || content.windDown >= least, "terms_mismatch", `a wind-down by ${least}`);
  },
  delivers_round(the) {
    named(the);
    expect(the.content.round === the.was.contract.round, "terms_mismatch", `round ${the.was.contract.round}`);
  },
  reviews_delivery: reviewed,
  asks_for_rework(the) {
    reviewed(the);
    const allowed = Math.max(...inForce(the).map((one) => one.terms.reworks));
    expect(the.was.contract.round <= allowed, "round_limit", `at most ${allowed} reworks`);
  },
  closes_by_silence(the) {
    const { was, content, mine, seen, at } = the;
    expectInForce(the);
    expectCurrency(the);
    const unseen = was.state === "delivered" || (!mine && seen < was.contract.reviewSequence);
    expect(unseen, "wrong_state", "a delivery that waits for its review");
    expect(content.delivery === was.contract.delivery, "terms_mismatch", `the delivery ${was.contract.delivery}`);
    const ends = was.state === "delivered" ? shift(was.since, durationSeconds(was.offer.terms.terms.deadlines.review)) : null;
    expect(!mine || ends === null || at > ends, "wrong_state", `a review by ${ends}`);
  },
  closes_once(the) {
    expectInForce(the);
    expectCurrency(the);
    expect(!the.was.contract.closedBy.includes(the.content.role), "wrong_state", "one closing of each side");
  },
  cause_allowed(the) {
    const { was, content, mine, at } = the;
    const { cause, role } = content;
    const { contract, offer } = was;
    named(the);
    expect((cause === "no_ruling") === (was.state === "disputed"), "wrong_state", "no_ruling in a dispute, and nowhere else");
    expect(cause !== "no_ruling" || !mine || at > contract.rulingBy, "wrong_state", `a ruling by ${contract.rulingBy}`);
    if (cause === "breach") {
      const breach = contract.breaches.find((one) => one.move === content.names && one.role === role);
      expect(breach, "wrong_state", "a breach that this side claimed");
      expect(!mine || (breach.cureBy < at && at <= shift(breach.cureBy, 30 * 86400)), "wrong_state", "a breach that was not cured in time");
    }
    expect(cause !== "unable" || role === "provider", "wrong_party", "the provider to be unable");
    expect(cause !== "parent" || role === "hirer", "wrong_party", "the hirer of a subcontract");
    expect(cause !== "parent" || offer.terms.parent, "terms_mismatch", "a contract above");
    expect(cause !== "convenience" || inForce(the).some((one) => one.terms.termination.convenience !== "none"), "terms_mismatch", "terms that allow it");
    expect(cause !== "late_seal" || role !== offer.owner, "wrong_party", "the acceptor");
    expect(cause !== "late_seal" || !mine || contract.lateSeal, "wrong_state", "a seal that came late");
    expect(cause !== "deadline" || !mine || hasPassed(was, role, at), "wrong_state", "a deadline that has passed");
  },
  async asks_approval(the) {
    const { was, content } = the;
    named(the);
    if (content.details) {
      expect((await digestOf(content.details)) === content.arguments, "digest_mismatch", "details of this digest");
      expect(content.details.action === content.action, "digest_mismatch", "the action of the details");
    }
    expect(openRequests(was.contract).length < MAX_OPEN, "round_limit", `at most ${MAX_OPEN} open requests`);
  },
  answers_open_request({ was, content, mine, at }) {
    const asked = openRequests(was.contract).find((one) => one.move === content.request);
    expect(asked, "wrong_state", "an open request");
    expect(!mine || !content.granted || at <= asked.answerBy, "wrong_state", `an answer by ${asked.answerBy}`);
  },
  leaves_time_to_cure(the) {
    const { was, content, mine, at } = the;
    named(the);
    expect(inForce(the).some((one) => one.clauses.has(content.clause)), "terms_mismatch", "a clause of the contract");
    expect(was.contract.breaches.filter((one) => one.role === content.role).length < MAX_OPEN, "round_limit", `at most ${MAX_OPEN} breaches`);
    const least = shift(at, durationSeconds(was.offer.terms.terms.termination.cure));
    expect(!mine || content.cureBy >= least, "terms_mismatch", `time until ${least}`);
  },
  may_dispute(the) {
    const { was, content, mine, at } = the;
    named(the);
    expect(inForce(the).some((one) => one.terms.arbiter), "terms_mismatch", "an arbiter in the terms");
    const { disputes, released, closedBy } = was.contract;
    expect(!disputes.length && !released && !closedBy.includes(content.role), "wrong_state", "the first dispute, before the end");
    const [least, longest] = [shift(at, LEAST_RULING), shift(at, LONGEST_RULING)];
    expect(!mine || (least <= content.rulingBy && content.rulingBy <= longest), "terms_mismatch", `a ruling from ${least} to ${longest}`);
  },
  rules_on_dispute({ was, content }) {
    expect(was.contract?.disputes.some((mark) => mark.digest === content.dispute), "terms_mismatch", "a dispute of this contract");
    checkRuling(content.ruling);
    expect(content.ruling.dispute === content.dispute, "terms_mismatch", "a ruling on this dispute");
    expect(content.ruling.contract === was.contract.digest, "conflicting_contract", `a ruling on contract ${was.contract.digest}`);
  },
  rules_after_all(the) {
    const { disputes, resolved, closedBy } = the.was.contract;
    const known = knows(the.content, the.seen, resolved.filter((mark) => mark.decided));
    expect(disputes.length && !known && !closedBy.includes(the.content.role), "wrong_state", "a dispute that ended for want of a ruling");
    GUARDS.rules_on_dispute(the);
  },
  async tables_document(the) {
    const { was, content, mine, crossed, at } = the;
    const { contract, tabled } = was;
    whilePossible(the, content.document.type);
    const knowing = !crossed || (tabled && knows(content, the.seen, [{ role: tabled.owner, sequence: tabled.sequence }]));
    expect(!knowing || content.inReplyTo === tabled?.digest, "stale_offer", "an answer to the live offer");
    expect(!mine || content.validUntil >= at, "offer_expired", "an offer that still stands when it is made");
    await checkOffered(the, { contract: contract.digest, inForce: contract.inForce });
    const terms = essentials(content.document);
    if (terms && mine && was.state === "delivered") expect(equal(terms.criteria, was.offer.terms.criteria), "terms_mismatch", "the criteria of the delivery");
  },
  accepts_document(the) {
    whilePossible(the, the.was.tabled.kind);
    expect(the.content.document === the.was.tabled.document, "terms_mismatch", "its document");
  },
  seals_document(the) {
    const { was, content, mine } = the;
    whilePossible(the, was.tabled.kind);
    expect(content.document === was.tabled.document && content.acceptance === was.tabled.acceptance, "terms_mismatch", "the document accepted");
    expect(!mine || !was.tabled.acceptedLate, "offer_expired", `an acceptance by ${was.tabled.validUntil}`);
    const passed = was.tabled.overtaken && knows(content, the.seen, [was.tabled.overtaken]);
    expect(!passed, "wrong_state", "no delivery or review between the acceptance and its seal");
  },
  withdraws_document(the) {
    const { tabled } = the.was;
    if (!tabled.agreed || !knows(the.content, the.seen, [tabled.agreed])) return;
    const passed = tabled.overtaken ? ["overtaken"] : [];
    const ended = mayChange(the.state, tabled.kind) ? [] : ["ended"];
    mayWithdraw(the, [...ANSWERS, ...passed, ...ended], tabled.acceptedLate);
  },
};

const openRequests = (contract) => contract.asked.filter((one) => one.uses === undefined);

/** Whether a deadline has passed on which this side waits. */
function hasPassed(was, role, at) {
  const { contract, state, since } = was;
  const { deadlines } = was.offer.terms.terms;
  const waits = [];
  if (state === "sealed") waits.push(["provider", deadlines.start]);
  if (state === "working" || state === "cancelling") waits.push(["hirer", contract.due ?? deadlines.finish]);
  if (state === "working") waits.push(["hirer", shift(contract.heardAt ?? since, 3 * durationSeconds(deadlines.heartbeat))]);
  if (state === "suspended" && contract.suspensions.length) waits.push(["provider", contract.suspensions.at(-1).until]);
  if (state === "delivered") waits.push(["provider", shift(since, durationSeconds(deadlines.review))]);
  if (PERFORMED.includes(state)) waits.push(["hirer", deadlines.until], ["provider", shift(deadlines.until, 3600)]);
  return waits.some(([waiting, by]) => waiting === role && at > by) || (role === was.role && contract.missed.length > 0);
}
