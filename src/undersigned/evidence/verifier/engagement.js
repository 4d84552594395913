// The fold: how the messages of a journal make a state, by the tables of 05 and 07. Values are not changed; each move
// gives a new one. The tables are `tables.json`, the same as everywhere.

const ENDED = ["withdrawn", "closed"];
const PERFORMED = ["sealed", "working", "suspended", "cancelling", "delivered"];
const LIMIT_EXEMPT = ["Cancel", "Terminate", "Delivery", "Review", "Closing", "Ruling", "Seal", "Withdraw"];
const WEIGHED = ["Profile", "Presentation", "Bid", "Offer"];
const MAX_MOVES = 4096;
const LONGEST_RULING = 180 * 86400;
const MAX_SAID = 8 * 1024 * 1024;
const MAX_OPEN = 64;
const MAX_DEPTH = 5;

function writtenOut(tables) {
  const rows = new Map();
  for (const row of tables) {
    for (const state of row.states) for (const role of row.roles) rows.set([state, row.type, role, row.case ?? ""].join(" "), row);
  }
  return rows;
}

const ROWS = writtenOut([...DATA.tables.negotiation, ...DATA.tables.contract]);
const LANE = writtenOut(DATA.tables.lane);
const LANE_TYPES = DATA.tables.lane.map((row) => row.type);
const rowOf = (state, type, role, which = "") => ROWS.get([state, type, role, which].join(" "));

function expect(holds, code, what) {
  if (!holds) throw new Refused(code, `expected ${what}`);
}

function begin(role, own, peer, id) {
  expect(own !== peer, "self_dealing", "two parties");
  return {
    ...{ role, own, peer, id, state: "-", lane: "idle", at: "", since: "", sent: [], got: [], unreceipted: 0, peerSaw: 0 },
    ...{ crossing: [], view: { state: "-", disputed: false, closedBy: [] }, before: null, talks: null, offer: null, acceptance: null },
    ...{ acceptedLate: false, contract: null, tabled: null, pause: null, early: [] },
  };
}

/** The engagement after a message that was sent (`mine`) or received at `at`. */
async function apply(was, move, mine, recordedAt) {
  const at = recordedAt > was.at ? recordedAt : was.at;
  const { content, digest } = move;
  const [own, other] = mine ? [was.sent, was.got] : [was.got, was.sent];
  checkParties(was, content, mine);
  if (move.notice) {
    const place = content.sequence;
    expect(!(place > 0 && place <= own.length && own[place - 1] !== content.previous), "conflicting_message", "its own position");
    return notice(was, content, mine, at, seenBy(content, other));
  }
  const place = content.sequence;
  if (place <= own.length) {
    if (own[place - 1] === digest) return was;
    throw new Refused("conflicting_message", `${content.role} sent another ${content.type} in place ${place}`);
  }
  expect(place === own.length + 1, "out_of_order", `move ${own.length + 1} of ${content.role}; came ${place}`);
  expect(content.previous === own.at(-1), "conflicting_message", `a move that follows ${own.at(-1)}`);
  const seen = seenBy(content, other);
  expect(!mine || seen === other.length, "out_of_order", "a decision on all that was recorded");
  expect(mine || seen >= was.peerSaw, "conflicting_message", "a view that does not go back");
  const crossed = !mine && seen < was.sent.length;
  const view = crossed ? peerView(was, seen) : null;
  const the = { was, move, content, mine, at, seen, crossed, state: view ? view.state : was.state };
  return record(the, view, await judge(the, view));
}

function checkParties(was, content, mine) {
  const [sender, recipient] = mine ? [was.own, was.peer] : [was.peer, was.own];
  expect(content.engagement === was.id, "wrong_negotiation", `engagement ${was.id}`);
  expect(content.recipient === recipient, "wrong_recipient", `recipient ${recipient}`);
  const role = mine ? was.role : otherRole(was.role);
  expect(content.sender === sender && content.role === role, "wrong_party", `${sender} as ${role}`);
  expect(!was.talks?.version || content.version === was.talks.version, "version_not_supported", "the version agreed on");
}

function seenBy(content, chain) {
  if (content.seen === undefined) return 0;
  const place = chain.lastIndexOf(content.seen) + 1;
  expect(place > 0, "ledger_diverged", `a move recorded here; ${content.role} has seen another`);
  return place;
}

/** The row by which the move applies; undefined if it is void. */
async function judge(the, view) {
  const { was, move, content } = the;
  const inLane = isInLane(was, content.type);
  let row = inLane ? laneRow(the) : rowIn(was.state, content, was.contract);
  const tooSoon = row && !inLane && isTooSoon(the);
  const moves = was.sent.length + was.got.length;
  if (was.contract) {
    const ends = LIMIT_EXEMPT.includes(content.type) && (row || content.type !== "Withdraw");
    expect(moves < MAX_MOVES || ends, "round_limit", "a move that ends it");
    const said = (was.contract.said?.[content.role] ?? 0) + move.raw.length;
    expect((ends && !tooSoon) || said <= MAX_SAID, "too_large", "a move that ends it");
  } else if (was.talks && WEIGHED.includes(content.type)) {
    expect(was.talks.used + move.raw.length <= was.talks.bytes, "too_large", "a shorter negotiation");
  }
  if (!row || tooSoon) {
    if (inLane || tooSoon || (view && !isAgain(the) && next(view, stepOf(content, null)) !== undefined)) {
      if (content.type === "Ruling") GUARDS[the.state === "closing" ? "rules_after_all" : "rules_on_dispute"](the);
      if (content.type === "Review") GUARDS.reviews_delivery(the);
      return undefined;
    }
    throw noRow(was, content);
  }
  if (row.check) await GUARDS[row.check](the);
  return row;
}

const isInLane = (was, type) => was.contract !== null && LANE_TYPES.includes(type);

function rowIn(state, content, contract) {
  let which = "";
  if (content.type === "Review") which = content.verdict === "rework" ? "rework" : "final";
  else if (content.type === "Closing") {
    if (state === "closing") which = contract?.closedBy.includes(otherRole(content.role)) ? "last" : "first";
    else if (content.basis === "silence") which = "silence";
  }
  return rowOf(state, content.type, content.role, which);
}

function isTooSoon({ was: { contract, state }, content, crossed, seen }) {
  if (!contract || !crossed) return false;
  const unseen = contract.disputes.length > 0 && !knows(content, seen, contract.disputes);
  const unended = contract.disputes.length > 0 && !knows(content, seen, contract.resolved);
  if (content.type === "Dispute") return unseen || unreleased(content, seen, contract);
  if (content.type === "Terminate") return state === "disputed" && unseen;
  if (content.type === "Closing") return unended;
  return content.type === "Ruling" && state === "closing" && unended;
}

/** Whether it is a dispute by who knows of one. */
const isAgain = ({ was, content, seen }) => content.type === "Dispute" && was.contract !== null && knows(content, seen, was.contract.disputes);

/** Whether there is a release that the sender had not seen. */
const unreleased = (content, seen, { released }) => released !== null && !knows(content, seen, [released]);

/** What a delivery or review beside an accepted document makes of it: who knows of both seals no more (HIRE-LAN-08). */
function overtaken(the) {
  const { was, content, seen } = the;
  const { tabled } = was;
  const first = ["Delivery", "Review"].includes(content.type) && tabled?.agreed && !tabled.overtaken;
  return first && knows(content, seen, [tabled.agreed]) ? { tabled: { ...tabled, overtaken: mark(the) } } : {};
}

const knows = (content, seen, marks) => marks.some((mark) => mark.role === content.role || seen >= mark.sequence);

function noRow(was, content) {
  const text = `${content.role} sent ${content.type} in state ${was.state}, which allows no such move`;
  if (content.type === "Acceptance" && was.state === `accepted-by-${content.role}`) return new Refused("already_contracted", text);
  if (content.type === "Delivery" && content.role === "provider" && was.contract?.accepted) return new Refused("already_fulfilled", text);
  const cases = ["", "final", "rework", "silence", "first", "last"];
  const others = cases.some((which) => rowOf(was.state, content.type, otherRole(content.role), which));
  return new Refused(others ? "wrong_party" : "wrong_state", text);
}

// --- what a move makes of the engagement

async function record(the, view, row) {
  const { was, move, content, mine, at, seen } = the;
  const inLane = isInLane(was, content.type);
  const step = stepOf(content, inLane ? (was.tabled?.kind ?? "") : null);
  let now = mine
    ? {
        ...was,
        ...{ at, sent: [...was.sent, move.digest], unreceipted: was.unreceipted + 1, crossing: [...was.crossing, step] },
        before: ["Acceptance", "Seal"].includes(content.type) ? null : was,
      }
    : {
        ...was,
        ...{ at, got: [...was.got, move.digest], unreceipted: unreceipted(was, seen), peerSaw: seen, before: null },
        crossing: was.crossing.filter((one) => one.sequence > seen),
        view: goesOn(peerView(was, seen), step),
      };
  if (row && !mine) now.early = [...was.early, ...untimely(the)];
  if (row && inLane) now = { ...now, ...(await laneFacts(the, row)) };
  else if (row) {
    now.pause = null;
    if (row.next !== was.state) now = { ...now, state: row.next, since: at, cause: move.digest };
    now = { ...now, ...(await FACTS[content.type]?.(the)), ...overtaken(the) };
    if (!was.contract && now.talks) now.talks = { ...now.talks, used: now.talks.used + move.raw.length };
  } else if (was.contract && !inLane) now = { ...now, contract: await voidFacts(the) };
  if (was.contract && !inLane) now.contract = { ...now.contract, endings: [...was.contract.endings, ...endingOf(the)] };
  if (was.contract && (!row || !LIMIT_EXEMPT.includes(content.type) || content.type === "Withdraw")) {
    const before = was.contract.said ?? {};
    now.contract = { ...now.contract, said: { ...before, [content.role]: (before[content.role] ?? 0) + move.raw.length } };
  }
  if (now.contract?.began && content.role === "provider") now.contract = { ...now.contract, heardAt: at };
  return now;
}

/** What a move says about how the contract ends, also one that moves nothing (07, HIRE-LIF-11): in a list of one or none. */
function endingOf({ content, state }) {
  if (content.type === "Terminate") return [{ basis: "terminate" }];
  if (content.type === "Ruling") return [{ basis: "ruling" }];
  if (content.type === "Review" && content.verdict !== "rework") return [{ basis: "review", detail: content.verdict }];
  const silent = content.type === "Closing" && content.basis === "silence" && content.role === "provider" && state === "delivered";
  return silent ? [{ basis: "silence" }] : [];
}

const unreceipted = (was, seen) => Math.max(0, Math.min(was.sent.length - seen, was.unreceipted));

const STANDING = new Set(["Suspend", "Cancel", "Terminate", "Delivery", "Review", "Closing", "Ruling", "Withdraw"]);

/** Whether a move that was refused for good gives up its place (HIRE-NEG-19). */
function givesWay(was, digest) {
  const sequence = was.sent.indexOf(digest) + 1;
  return was.crossing.some((own) => own.sequence === sequence && (!STANDING.has(own.kind) || own.which === "lane"));
}

function notice(was, content, mine, at, seenUpTo) {
  const chain = mine ? was.got : was.sent;
  let seen = seenUpTo;
  let now = { ...was, at };
  if (content.type === "Receipt") {
    seen = Math.max(seen, ...content.of.map((digest) => chain.indexOf(digest) + 1));
    if (content.waiting) now.pause = { role: content.role, until: content.waiting.until };
  }
  if (!mine) {
    const open = was.sent.slice(was.sent.length - was.unreceipted);
    const saw = content.sequence <= was.got.length ? Math.max(was.peerSaw, seen) : was.peerSaw;
    if (content.type === "Problem" && content.final && open.includes(content.of) && givesWay(was, content.of)) {
      const place = was.sent.indexOf(content.of);
      let before = was.before;
      while (before && before.sent.length > place) before = before.before;
      if (before) {
        // N9: its place is free again, with those of what was said after it.
        const heard = was.contract && before.contract ? { ...before.contract, heardAt: was.contract.heardAt, progress: was.contract.progress } : before.contract;
        return { ...before, at, contract: heard, peerSaw: Math.min(saw, place) };
      }
    }
    now.peerSaw = saw;
    now.unreceipted = unreceipted(was, seen);
    if (seen >= was.sent.length) now.before = null;
  }
  const { contract } = now;
  if (content.type === "Progress" && contract && content.role === "provider" && content.contract === contract.digest && content.number > contract.progress) {
    now = { ...now, contract: { ...contract, progress: content.number, heardAt: at } };
  }
  return now;
}

// --- the state that the other side was in (rule C7)

function stepOf(content, lane) {
  let which = "";
  if (lane !== null) which = content.type === "Seal" && lane === "Release" ? "release" : "lane";
  else if (content.type === "Review") which = content.verdict === "rework" ? "rework" : "final";
  else if (content.type === "Closing") which = content.basis === "silence" ? "silence" : "";
  else if (content.type === "Terminate") which = content.cause === "no_ruling" ? "no_ruling" : "";
  return { sequence: content.sequence, role: content.role, kind: content.type, which };
}

function next(view, { kind, role, which }) {
  const { state } = view;
  if (LANE_TYPES.includes(kind) && which) return which === "release" && !ENDED.includes(state) ? "closing" : state;
  if (["Dispute", "Closing"].includes(kind) && view.closedBy.includes(role)) return undefined;
  if (kind === "Dispute" && view.disputed) return undefined;
  let looked = which;
  if (kind === "Terminate") {
    if ((which === "no_ruling") !== (state === "disputed")) return undefined;
    looked = "";
  }
  if (kind === "Closing" && state === "closing") looked = view.closedBy.includes(otherRole(role)) ? "last" : "first";
  return rowOf(state, kind, role, looked)?.next;
}

function goesOn(view, step) {
  const state = next(view, step);
  if (state === undefined) return view;
  if (step.kind === "Dispute") return { state, disputed: true, closedBy: [] };
  return { state, disputed: view.disputed, closedBy: step.kind === "Closing" ? [...view.closedBy, step.role] : view.closedBy };
}

const peerView = (was, seen) => was.crossing.filter((step) => step.sequence <= seen).reduce(goesOn, was.view);

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
  let child = document;
  for (const parent of parents) {
    const whole = Object.keys(parent).sort().join() === "acceptance,document,seal" && Object.values(parent).every(isObject);
    expect(whole, "schema_violation", "document, acceptance and seal of a parent");
    checkDocument(parent.document);
    expect(parent.document.type !== "Release", "schema_violation", "a document with terms");
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
    const { tender, opens, limits } = content;
    if (!tender) return;
    expect(opens === "provider" && limits.rounds === 1, "schema_violation", "a tender that the provider opens, of one round");
    expect(tender.bidsClose <= tender.revealBy && tender.revealBy <= tender.awardBy, "schema_violation", "a tender in order");
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

// --- facts

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
  if (content.type === "Dispute") return contract.released ? contract : { ...contract, ...disputed(the) };
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
