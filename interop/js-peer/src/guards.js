/**
 * What a move with a row has to say besides, by its type (the guards of the tables, pages 05 and 07), and what then changes beside the state.
 *
 * A rule gets the state, the message, and the engagement for what its sender knew. It throws the code of a refusal, says `void` of a move that moves nothing because
 * it crossed something, or gives the members of the state that are other ones from then on. It changes nothing itself.
 */
import { check, HireError } from './errors.js';
import { digest, digestOfBytes, duration, jcs, seconds } from './encoding.js';
import { other } from './contract.js';
import { checkShape } from './schema.js';

/** @typedef {import('./machine.js').Engagement} Engagement */
/** @typedef {import('./machine.js').State} State */
/** @typedef {import('./machine.js').Ref} Ref */
/**
 * @typedef {{ref: Ref, bytes: number, was: State}} Facts the place of the move, its size, and where its sender was when it made it
 * @typedef {(state: State, message: any, engagement: Engagement, facts: Facts) => any} Rule
 */

/** So long an arbiter is waited for (HIRE-LIF-31). */
const LONGEST_RULING = 180 * 86400;
const NOT_ITS_FAULT = ['offer_expired', 'revoked', 'status_unavailable'];

/** @param {any} message @param {Ref} ref */
export const reviewed = (message, ref) => ({
  ...ref, verdict: message.verdict, met: message.criteria.filter((/** @type {any} */ one) => one.met).map((/** @type {any} */ one) => one.id),
});

/** @param {State} state @param {any} message @param {{bytes: number}} facts */
function withinBytes(state, message, { bytes }) {
  check(state.bytes + bytes <= state.inquiry.limits.bytes, 'too_large', 'limits.bytes');
}

/** @param {State} state @param {any} message @param {Engagement} engagement */
function checkPlace(state, message, engagement) {
  const { document } = message;
  check(document.id === `${message.engagement}:${message.role}:${message.sequence}`, 'terms_mismatch', 'id of the document');
  const [hirer, provider] = message.role === 'hirer' ? [message.sender, message.recipient] : [message.recipient, message.sender];
  check(document.engagement === message.engagement && document.hirer === hirer && document.provider === provider, 'wrong_negotiation', 'parties of the document');
  const own = document.transcript[message.role];
  const peer = document.transcript[other(message.role)];
  const last = engagement.seenOf(message);
  check(own.sequence === message.sequence - 1 && own.digest === message.previous, 'terms_mismatch', 'transcript');
  check(peer.sequence === last && peer.digest === message.seen, 'terms_mismatch', 'transcript');
}

const offered = (/** @type {any} */ message, /** @type {Ref} */ ref) => ({ digest: ref.digest, owner: message.role, ref, document: message.document, name: digest(message.document), validUntil: message.validUntil });

/** By type, for a negotiation and for the contract. @type {Record<string, Rule>} */
export const rules = {
  Inquiry: (_, message) => ({ inquiry: message, opens: message.opens }),

  Profile(state, message, engagement, facts) {
    withinBytes(state, message, facts);
    const { inquiry } = state;
    const echoed = jcs(message.versions) === jcs(inquiry.versions) && jcs(message.suites) === jcs(inquiry.suites);
    check(echoed && inquiry.versions.includes(message.version) && inquiry.suites.includes(message.suite), 'version_not_supported', 'lists');
    check(message.inquiry === engagement.moves.hirer[0].digest, 'wrong_negotiation', 'inquiry');
    return { profile: message, asked: facts.ref.digest };
  },

  Presentation(state, message, _, facts) {
    withinBytes(state, message, facts);
    check(message.answers === state.asked, 'challenge_mismatch', 'answers');
    return { asked: facts.ref.digest };
  },

  Bid(state, message, _, facts) {
    withinBytes(state, message, facts);
    check(state.inquiry.tender?.sealed === true, 'wrong_state', 'no sealed tender');
    return { bid: { ...facts.ref, commitment: message.commitment } };
  },

  Offer(state, message, engagement, facts) {
    withinBytes(state, message, facts);
    const { live, inquiry } = state;
    if (live) {
      check(message.inReplyTo === live.digest, 'stale_offer', 'inReplyTo');
    } else {
      check(message.role === state.opens, 'wrong_party', 'opens');
      check(message.inReplyTo === undefined, 'stale_offer', 'inReplyTo');
    }
    check(state.rounds < inquiry.limits.rounds, 'round_limit', 'rounds');
    check(message.document.type === 'Contract', 'terms_mismatch', 'a contract comes first');
    checkPlace(state, message, engagement);
    if (live) check(message.document.parent === live.document.parent, 'terms_mismatch', 'another parent');
    if (message.document.parent !== undefined && !live) check(message.role === 'hirer', 'terms_mismatch', 'the hirer offers first');
    return { live: offered(message, facts.ref), rounds: state.rounds + 1 };
  },

  Acceptance(state, message, _, { ref }) {
    check(message.offer === state.live.digest, 'stale_offer', 'offer');
    check(message.document === state.live.name && message.seen === state.live.digest, 'terms_mismatch', 'document');
    return { accepted: { ...ref, proof: message.contractProof } };
  },

  Seal(state, message, _, { ref }) {
    const { live, accepted } = state;
    const names = message.offer === live.digest && message.document === live.name && message.acceptance === accepted.digest;
    check(names && message.seen === accepted.digest, 'terms_mismatch', 'seal'); // HIRE-CTR-10
    return { contract: live.name, inForce: live.name, document: live.document, terms: live.document.terms, stoodUntil: live.validUntil, sealed: ref, sealedOffer: live.digest, live: undefined, accepted: undefined, offerer: message.role };
  },

  Withdraw(state, message, engagement) {
    if (state.accepted && engagement.knows(message, state.accepted)) {
      check(message.offer === state.live.digest, 'stale_offer', 'offer');
      check(NOT_ITS_FAULT.includes(message.reason), 'wrong_state', 'reason');
    }
    return { withdrawn: message };
  },

  Start(state, message, engagement, { ref }) {
    namesContract(state, message);
    const allowed = inForce(state, message, engagement).flatMap(({ terms }) => terms.task.inputs);
    check(message.inputs.every((/** @type {any} */ input) => allowed.includes(input.digest)), 'terms_mismatch', 'inputs');
    return { started: { ...ref, inputs: message.inputs, late: ref.at > seconds(state.terms.deadlines.start) }, begun: ref, due: seconds(state.terms.deadlines.finish) };
  },

  ApprovalRequest(state, message, _, { ref }) {
    namesContract(state, message);
    if (message.details) {
      check(message.details.action === message.action && digestOfBytes(jcs(message.details)) === message.arguments, 'digest_mismatch', 'details');
    }
    check(Object.values(state.requests).filter((one) => /** @type {any} */ (one).open).length < 64, 'round_limit', 'open requests');
    return { requests: { ...state.requests, [ref.digest]: { open: true, message } } };
  },

  Approval(state, message, _, { ref }) {
    const asked = state.requests[message.request];
    check(asked?.open, 'wrong_state', 'no open request');
    return { requests: { ...state.requests, [message.request]: { ...asked, open: false, answer: message, at: ref.at } } };
  },

  Suspend: (state, message, _, { ref }) => (namesContract(state, message), { suspendedAt: ref.at, suspension: message }),
  Resume: (state, message, _, { ref }) => (namesContract(state, message), { begun: ref, due: state.due + ref.at - state.suspendedAt }), // HIRE-LIF-18
  Cancel: (state, message) => (namesContract(state, message), { due: seconds(message.windDown) }),

  Delivery(state, message, engagement, { ref }) {
    namesContract(state, message);
    check(message.round === state.round, 'terms_mismatch', 'round');
    return { delivery: ref, outcome: message.outcome, deliveredUnder: inForce(state, message, engagement).reverse() };
  },

  Review(state, message, engagement, { ref }) {
    checkReviewed(state, message, engagement);
    const review = reviewed(message, ref);
    if (message.verdict !== 'rework') return { review };
    check(state.reworks < Math.max(...inForce(state, message, engagement).map(({ terms }) => terms.reworks)), 'round_limit', 'reworks');
    return { review, reworks: state.reworks + 1, round: state.round + 1, begun: ref, due: ref.at + duration(inForce(state, message, engagement).at(-1)?.terms.deadlines.rework) };
  },

  Closing(state, message, engagement, { ref }) {
    const ended = state.main === 'closing' ? state.undisputed : undefined;
    if (ended && !ended.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return 'void';
    check(inForce(state, message, engagement).some(({ name }) => name === message.contract), 'conflicting_contract', 'document in force');
    const currencies = [...inForce(state, message, engagement).map(({ terms }) => terms.price.currency), state.settlement?.currency, ...state.rulings.map(({ ruling }) => ruling.currency)];
    check(currencies.includes(message.settlement.currency), 'terms_mismatch', 'currency of what is owed');
    if (state.main !== 'closing') {
      const waits = state.main === 'delivered' || (state.review !== undefined && !engagement.knows(message, state.review));
      check(waits, 'wrong_state', 'no delivery waits for its review');
      check(message.delivery === state.delivery.digest, 'terms_mismatch', 'delivery');
      return { closings: { [message.role]: ref.digest } };
    }
    check(!state.closings[message.role], 'wrong_state', 'a second Closing');
    return { closings: { ...state.closings, [message.role]: ref.digest } };
  },

  Breach(state, message, engagement, { ref }) {
    namesContract(state, message);
    check(inForce(state, message, engagement).some(({ terms }) => clausesOf(terms).includes(message.clause)), 'terms_mismatch', 'clause');
    check(state.breaches.filter((/** @type {any} */ one) => one.role === message.role).length < 64, 'round_limit', 'breaches');
    return { breaches: [...state.breaches, { ...ref, cureBy: message.cureBy }] };
  },

  Terminate(state, message, engagement, { ref }) {
    if (state.main === 'disputed') {
      if (!state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return 'void';
      namesContract(state, message);
      check(message.cause === 'no_ruling', 'wrong_state', 'a dispute ends otherwise');
      return { undisputed: [ref], causes: [...(state.causes ?? []), message.cause], closings: {} };
    }
    namesContract(state, message);
    checkCause(state, message, engagement);
    return { causes: [...(state.causes ?? []), message.cause] };
  },

  Dispute(state, message, engagement, { ref }) {
    if (state.release && !engagement.knows(message, state.release)) return 'void';
    if (state.disputes.length > 0 && !state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return 'void';
    namesContract(state, message);
    check(inForce(state, message, engagement).some(({ terms }) => terms.arbiter !== undefined), 'terms_mismatch', 'no arbiter');
    check(state.disputes.length === 0 && !state.release && !state.closings[message.role], 'wrong_state', 'dispute');
    return { ...disputed(state, message, engagement, ref), closings: {} };
  },

  Ruling(state, message, engagement, { ref }) {
    const known = (/** @type {Ref} */ one) => engagement.knows(message, one);
    const after = state.main === 'closing' && (state.disputes.length === 0 || state.endings.some(known));
    checkRuling(state, message, engagement, after);
    const rulings = [...state.rulings, { ...ref, ruling: message.ruling }];
    if (state.main !== 'closing') return { undisputed: [ref], rulings, closings: {} };
    return state.undisputed?.some(known) ? { undisputed: [...state.undisputed, ref], rulings } : 'void';
  },
};

/** By type, for documents that change a contract; the lane moves by the table. @type {Record<string, Rule>} */
export const laneRules = {
  Offer(state, message, engagement, { ref }) {
    const { live } = state;
    const knowing = engagement.earlier(message) === undefined || (live && engagement.knows(message, live.ref));
    if (knowing) check(message.inReplyTo === live?.digest, 'stale_offer', 'inReplyTo');
    const { document } = message;
    check(document.type !== 'Contract', 'terms_mismatch', 'a contract in the lane');
    checkPlace(state, message, engagement);
    check(document.contract === state.contract, 'conflicting_contract', 'contract');
    check(document.amends === state.inForce, 'terms_mismatch', 'amends');
    if (document.type === 'Amendment') check(document.parent === state.document.parent, 'terms_mismatch', 'parent');
    return { live: offered(message, ref), accepted: undefined, tabled: { ...state.tabled, [message.role]: ref } };
  },

  Acceptance(state, message, _, { ref, was }) {
    check(was !== state || message.offer !== state.sealedOffer, 'already_contracted', 'offer');
    if (message.offer !== state.live.digest) return passedBy(state, was);
    check(message.document === state.live.name, 'terms_mismatch', 'document');
    return { accepted: { ...ref, proof: message.contractProof } };
  },

  Seal(state, message, engagement, { ref }) {
    const { live, accepted } = state;
    check(message.offer === live.digest && message.document === live.name && message.acceptance === accepted.digest, 'terms_mismatch', 'seal');
    const passed = accepted.overtaken && engagement.knows(message, accepted.overtaken);
    check(!passed, 'wrong_state', 'what was delivered or reviewed since the acceptance');
    const sealed = { live: undefined, accepted: undefined };
    const were = { ref, name: state.inForce, document: state.document, terms: state.terms };
    if (live.document.type === 'Amendment') {
      const { terms } = live.document;
      const firstRound = state.due !== undefined && state.round === 1 && state.main !== 'cancelling'; // HIRE-LAN-05
      const arbiters = state.disputes.length ? mayRule(state, [live.document]) : []; // it crossed a dispute
      return { ...sealed, were, arbiters, inForce: live.name, document: live.document, terms, ...(firstRound ? { due: seconds(terms.deadlines.finish) } : {}) };
    }
    const inDispute = state.main === 'disputed';
    const undone = inDispute && !state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one));
    return {
      ...sealed, main: 'closing', release: ref, settlement: live.document.settlement, endings: [...state.endings, { ...ref, basis: 'release' }],
      ...(inDispute ? { closings: {} } : {}), ...(inDispute || state.undisputed ? { undisputed: [...(state.undisputed ?? []), ref] } : {}), ...(undone ? { disputes: [] } : {}),
    };
  },

  Withdraw(state, message, engagement, { was }) {
    const { live } = state;
    if (message.offer !== live.digest) return passedBy(state, was);
    if (state.accepted && engagement.knows(message, state.accepted)) {
      const ended = message.reason === 'ended' && (['closing', 'closed'].includes(was.main) || (was.main === 'disputed' && live.document.type !== 'Release'));
      const passed = message.reason === 'overtaken' && state.accepted.overtaken;
      check(NOT_ITS_FAULT.includes(message.reason) || ended || passed, 'wrong_state', 'reason');
    }
    return { live: undefined, accepted: undefined };
  },
};

/** What names another offer than the one on the table: void if its sender was in another state, and could not know. @param {State} state @param {State} was @returns {'void'} */
function passedBy(state, was) {
  check(was !== state, 'stale_offer', 'offer');
  return 'void';
}

/** @param {State} state @param {any} message */
function namesContract(state, message) {
  check(message.contract === state.contract, 'conflicting_contract', 'contract');
}

/** Whether a deadline passed is judged by its sender's clock alone. @param {State} state @param {any} message @param {Engagement} engagement */
function checkCause(state, message, engagement) {
  const { cause, role } = message;
  if (cause === 'unable') check(role === 'provider', 'wrong_party', cause);
  if (cause === 'late_seal') check(role !== state.offerer, 'wrong_party', cause);
  if (cause === 'parent') {
    check(role === 'hirer', 'wrong_party', cause);
    check(state.document.parent !== undefined, 'terms_mismatch', cause);
  }
  if (cause === 'convenience') check(inForce(state, message, engagement).some(({ terms }) => terms.termination.convenience !== 'none'), 'terms_mismatch', cause);
  if (cause === 'no_ruling') throw new HireError('wrong_state', cause);
  const claimed = (/** @type {any} */ one) => one.digest === message.names && one.role === role;
  if (cause === 'breach') check(state.breaches.some(claimed), 'wrong_state', cause);
}

/** What a dispute leaves: who may rule on it, of the terms in force for either side since it was made, and until when (HIRE-LIF-22). @param {State} state @param {any} message @param {Engagement} engagement @param {Ref} ref */
export const disputed = (state, message, engagement, ref) => ({
  disputes: [...state.disputes, ref], arbiters: mayRule(state, inForce(state, message, engagement).reverse()), rulingBy: rulingBy(state, message, ref),
});

/** @param {State} state @param {any[]} documents @returns {string[]} */
const mayRule = ({ arbiters }, documents) => [...new Set([...arbiters, ...documents.map(({ terms }) => terms.arbiter)])].filter((did) => did !== undefined);

/** Until when an arbiter is waited for. @param {State} state @param {any} message @param {Ref} ref */
export const rulingBy = (state, message, ref) => Math.max(state.rulingBy ?? 0, Math.min(seconds(message.rulingBy), ref.at + LONGEST_RULING));

/** The document in force, and the one before it if the sender had not seen the seal that changed it. @param {State} state @param {any} message @param {Engagement} engagement */
export function inForce(state, message, engagement) {
  const now = { name: state.inForce, document: state.document, terms: state.terms };
  return state.were && !engagement.knows(message, state.were.ref) ? [now, state.were] : [now];
}

/** @param {any} terms @returns {string[]} */
export const criteriaOf = (terms) => terms.deliverables.flatMap((/** @type {any} */ one) => one.criteria.map((/** @type {any} */ criterion) => criterion.id));

/** Ids of the clauses of the scope, and names of the members. @param {any} terms @returns {string[]} */
const clausesOf = (terms) => ['grants', 'prohibitions', 'obligations']
  .flatMap((kind) => (terms.scope[kind] ?? []).map((/** @type {any} */ rule) => rule.id.split('#').at(-1)))
  .concat(Object.keys(terms));

/**
 * What can be said of a ruling without its arbiter's document; `after` the dispute ended, whether one may still come (HIRE-LIF-33).
 * @param {State} state @param {any} message @param {Engagement} engagement @param {boolean} after
 */
export function checkRuling(state, message, engagement, after) {
  const { ruling } = message;
  const decided = state.endings.filter((/** @type {any} */ end) => end.basis === 'ruling' || end.basis === 'release');
  const open = state.disputes.length > 0 && !state.closings[message.role] && !decided.some((/** @type {Ref} */ one) => engagement.knows(message, one));
  check(!after || open, 'wrong_state', 'no dispute waits for a ruling');
  checkShape('ArbiterRuling', ruling);
  check(ruling.contract === state.contract, 'conflicting_contract', 'contract of the ruling');
  const known = state.disputes.map((/** @type {Ref} */ one) => one.digest);
  check(known.includes(message.dispute) && ruling.dispute === message.dispute, 'terms_mismatch', 'another dispute');
}

/** A review is of the delivery that waits for it, and answers each criterion (HIRE-LIF-06). @param {State} state @param {any} message @param {Engagement} engagement */
export function checkReviewed(state, message, engagement) {
  check(message.delivery === state.delivery?.digest, 'terms_mismatch', 'delivery');
  const wanted = inForce(state, message, engagement).map(({ terms }) => jcs(criteriaOf(terms).sort()));
  check(wanted.includes(jcs(message.criteria.map((/** @type {any} */ one) => one.id).sort())), 'terms_mismatch', 'criteria');
}
