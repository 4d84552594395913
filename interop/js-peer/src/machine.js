/**
 * The two state machines, run over the published tables (pages 04, 05 and 07).
 *
 * A state is a plain value that `apply` never changes. Besides it, an engagement keeps for each own move that the peer has
 * not seen the state before that move, moved on by the peer's own moves: where the peer may still be (HIRE-CHN-09).
 */
import { check, HireError } from './errors.js';
import { amount, amountText, digest, digestOfBytes, duration, jcs, seconds } from './encoding.js';
import { tables } from './spec.js';
import { NOTICES } from './message.js';
import { other } from './contract.js';
import { untimely } from './untimely.js';

/**
 * @typedef {{role: string, sequence: number, digest: string, at: number, made: number}} Ref `at` is when it was recorded, `made` when it may have been made:
 *   a proof of before shows that it was long under way
 * @typedef {Record<string, any> & {main: string, lane: string}} State
 */

const LANE = new Set(['Offer', 'Acceptance', 'Seal', 'Withdraw']);
const ENDS = new Set(['Cancel', 'Terminate', 'Delivery', 'Review', 'Closing', 'Ruling', 'Seal', 'Withdraw']);
const MAX_OFFERED = 8 * 1024 * 1024;
/** So long an arbiter is waited for (HIRE-LIF-31). */
const LONGEST_RULING = 180 * 86400;
/** Documents of the other side that are kept: each may have 64 KiB, and costs it nothing (HIRE-LIM-05). */
const MAX_DOCUMENTS = 128;
const NOT_ITS_FAULT = ['offer_expired', 'revoked', 'status_unavailable'];
/** Moves that show what a seal held back would be worth. */
const OVERTAKING = new Set(['Delivery', 'Review']);

/** @returns {State} */
export const start = () => ({
  main: '-', lane: 'idle', rounds: 0, bytes: 0, breaches: [], requests: {}, closings: {}, endings: [], disputes: [], rulings: [], round: 1, reworks: 0, tabled: {},
});

const over = (/** @type {State} */ state) => state.main === 'withdrawn' || state.main === 'closed';
const under = (/** @type {State} */ state) => state.contract !== undefined;

/** One engagement as one side sees it. */
export class Engagement {
  /** @param {'hirer' | 'provider'} view */
  constructor(view) {
    this.view = view;
    this.state = start();
    /** @type {Record<string, Ref[]>} */
    this.moves = { hirer: [], provider: [] };
    /** @type {Record<string, any>} */
    this.messages = {};
    /** @type {Map<number, State>} state before each own move that the peer has not seen */
    this.before = new Map();
    /** @type {Record<string, number>} */
    this.seen = { hirer: 0, provider: 0 };
    /** @type {import('./did.js').Document[]} those of the other side by which its messages were checked */
    this.documents = [];
    /** @type {import('./untimely.js').Early[]} what of the other side came before its time */
    this.early = [];
  }

  /** @param {import('./did.js').Document} document @returns {boolean} whether it is one that need not be kept, or is kept already */
  holds(document) {
    return document.id.startsWith('did:key:') || this.documents.some((one) => JSON.stringify(one) === JSON.stringify(document));
  }

  /** Keeps a document by which a message was checked. @param {import('./did.js').Document} document */
  shown(document) {
    if (!this.holds(document)) this.documents.push(document);
  }

  /** That there is room for a document. @param {import('./did.js').Document} document */
  checkRoom(document) {
    check(this.holds(document) || this.documents.length < MAX_DOCUMENTS, 'too_large', 'documents of one party');
  }

  /** @param {any} message @returns {number} the number of the reader's last move that it says to have seen */
  seenOf(message) {
    if (message.seen === undefined) return 0;
    const found = this.moves[other(message.role)].findIndex((move) => move.digest === message.seen);
    check(found >= 0, 'ledger_diverged', 'seen');
    return found + 1;
  }

  /** Whether who wrote `message` knew of a move. @param {any} message @param {Ref} move */
  knows(message, move) {
    return move.role === message.role ? move.sequence < message.sequence : this.seenOf(message) >= move.sequence;
  }

  /** The state in which the other side may have been when it wrote this, where that is not ours. @param {any} message */
  earlier(message) {
    return message.role === this.view ? undefined : this.before.get(this.seenOf(message) + 1);
  }

  /**
   * What becomes of a move of either side. Nothing is changed: `commit` does that.
   * @param {any} message @param {{at: number, bytes?: number}} facts
   * @returns {{outcome: 'applies' | 'repeat' | 'void' | 'late', state: State, ref: Ref}}
   */
  judge(message, { at, bytes = 0 }) {
    const ref = { role: message.role, sequence: message.sequence, digest: digest(message), at, made: Math.min(at, message.proof ? seconds(message.proof.created) : at) };
    const { engagement } = this.state.inquiry ?? message;
    check(message.engagement === engagement, 'wrong_negotiation', 'a message of another engagement', '/engagement');
    if (this.#stands(message, ref)) return { outcome: 'repeat', state: this.state, ref };
    const full = this.#full(message);
    const offers = this.#offers(message, bytes);
    const { outcome, state } = this.#outcome(message, ref, bytes);
    check(!full || message.type !== 'Withdraw' || outcome === 'applies', 'round_limit', 'moves'); // one that takes nothing back ends nothing
    return { outcome, state: offers ? { ...state, offers } : state, ref };
  }

  /** Whether a move stands in its place already; another one, or one of another chain, is refused. @param {any} message @param {Ref} ref */
  #stands(message, ref) {
    const chain = this.moves[message.role];
    if (message.sequence <= chain.length) {
      check(chain[message.sequence - 1].digest === ref.digest, 'conflicting_message', 'another move in this place');
      return true;
    }
    check(message.sequence === chain.length + 1, 'out_of_order', `${message.sequence} after ${chain.length}`);
    check(message.previous === chain.at(-1)?.digest, 'conflicting_message', 'previous');
    check(this.seenOf(message) >= this.seen[message.role], 'conflicting_message', 'seen goes back');
    return false;
  }

  /** Whether there are as many moves as there may be, beyond which only what ends something is taken. @param {any} message */
  #full(message) {
    const full = under(this.state) && this.moves.hirer.length + this.moves.provider.length >= 4096;
    check(!full || ENDS.has(message.type), 'round_limit', 'moves');
    return full;
  }

  /** The bytes of the offers of each side under a contract with this one, if it is one. @param {any} message @param {number} bytes */
  #offers(message, bytes) {
    if (!under(this.state) || message.type !== 'Offer') return undefined;
    const sum = (this.state.offers?.[message.role] ?? 0) + bytes;
    check(sum <= MAX_OFFERED, 'too_large', 'offers under a contract');
    return { ...this.state.offers, [message.role]: sum };
  }

  /**
   * A move applies by its row in our state, even if it crossed one of ours. Without one it is void, or late, by its row in the earlier state in which its
   * sender may have been; and without that it is refused.
   * @param {any} message @param {Ref} ref @param {number} bytes @returns {{outcome: 'applies' | 'void' | 'late', state: State}}
   */
  #outcome(message, ref, bytes) {
    const { state } = this;
    const earlier = this.earlier(message);
    const was = earlier ?? state;
    if (message.type === 'Offer' && state.release && !this.knows(message, state.release)) return { outcome: 'void', state }; // HIRE-LAN-05
    const row = rowOf(state, message, this, was);
    if (row) {
      const found = guarded(this, state, message, row, { ref, bytes, was });
      return found === 'void' ? { outcome: 'void', state: noted(this, state, message, ref, was) } : { outcome: 'applies', state: found };
    }
    if (!earlier || !rowOf(earlier, message, this)) throw refusal(state, message);
    if (message.type === 'Ruling') checkRuling(state, message);
    if (message.type === 'Review') checkReviewed(state, message, this);
    return { outcome: over(state) ? 'late' : 'void', state: noted(this, state, message, ref, was) };
  }

  /** @param {any} message @param {ReturnType<Engagement['judge']>} judged */
  commit(message, { state, ref, outcome }) {
    if (outcome === 'repeat') return;
    if (outcome === 'applies' && message.role !== this.view) this.early.push(...untimely(this, message, ref));
    const seen = this.seenOf(message);
    this.seen[message.role] = seen;
    if (message.role === this.view) this.before.set(ref.sequence, this.state);
    else {
      for (const number of [...this.before.keys()]) {
        if (number <= seen) { this.before.delete(number); continue; }
        this.before.set(number, movedOn(this, /** @type {State} */ (this.before.get(number)), message, ref));
      }
    }
    this.state = state.main === this.state.main ? state : { ...state, since: ref.at, cause: ref.digest };
    this.moves[message.role].push(ref);
    this.messages[ref.digest] = message;
  }

  /**
   * What a notice says about its sender's place: its next moves have seen what it has. Moves that it counts and that did not
   * arrive yet were made before it, and are not held to it (HIRE-CHN-13).
   * @param {any} message @returns {number} the number of the reader's last move that it says to have
   */
  hear(message) {
    const { role, sequence, previous } = message;
    const own = this.moves[other(role)];
    const seen = Math.max(this.seenOf(message), ...(message.of instanceof Array ? message.of : []).map((/** @type {string} */ of) => own.findIndex((move) => move.digest === of) + 1));
    if (sequence > this.moves[role].length) return seen;
    check(sequence === 0 || this.moves[role][sequence - 1].digest === previous, 'conflicting_message', 'position');
    this.seen[role] = Math.max(this.seen[role], seen);
    return seen;
  }

  /** @param {any} message @param {{at: number, bytes?: number}} facts */
  take(message, facts) {
    if (NOTICES.has(message.type)) return void this.hear(message);
    const judged = this.judge(message, facts);
    this.commit(message, judged);
    return judged;
  }
}

/** @param {Engagement} engagement @param {State} state @param {any} message @param {Ref} ref */
function movedOn(engagement, state, message, ref) {
  const row = rowOf(state, message, engagement);
  if (!row) return state;
  try {
    const found = guarded(engagement, state, message, row, { ref, bytes: 0, was: state });
    return found === 'void' ? state : found;
  } catch { return state; }
}

/** What a move without any row is told. @param {State} state @param {any} message */
function refusal(state, message) {
  const { type, role } = message;
  if (type === 'Acceptance' && ([state.main, state.lane].includes(`accepted-by-${role}`) || message.offer === state.sealedOffer)) return new HireError('already_contracted', 'a second acceptance');
  if (type === 'Delivery' && role === 'provider' && state.review?.verdict === 'accepted') return new HireError('already_fulfilled', 'a second delivery');
  const closed = under(state) && LANE.has(type) && rowsOf(state, type, role).length > 0; // HIRE-LAN-04
  const others = !closed && rowsOf(state, type, other(role)).length > 0;
  return new HireError(others ? 'wrong_party' : 'wrong_state', `${type} in ${state.main}`);
}

/**
 * What is remembered of a move that moves nothing: what it says about how the contract ends, for what is owed.
 * @param {Engagement} engagement @param {State} state @param {any} message @param {Ref} ref @param {State} was where its sender was @returns {State}
 */
function noted(engagement, state, message, ref, was) {
  if (message.type === 'Dispute') return { ...state, disputes: [...state.disputes, ref], rulingBy: rulingBy(state, message, ref) };
  const endings = [...state.endings, ...endingOf(message, ref, was)];
  if (message.type === 'Review') return { ...state, endings, review: reviewed(message, ref) };
  if (message.type === 'Closing') return { ...state, endings };
  if (message.type !== 'Ruling' && message.type !== 'Terminate') return state;
  const ends = state.undisputed && state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one));
  const undisputed = ends ? [...state.undisputed, ref] : state.undisputed;
  if (message.type === 'Ruling') return { ...state, endings, undisputed, rulings: [...state.rulings, { ...ref, ruling: message.ruling }] };
  return { ...state, endings, undisputed, causes: [...(state.causes ?? []), message.cause] };
}

/**
 * What a move says about how the contract ends. By silence closes who still waited for the review (HIRE-LIF-11).
 * @param {any} message @param {Ref} ref @param {State} was where its sender was
 */
function endingOf(message, ref, was) {
  if (message.type === 'Ruling') return [{ ...ref, basis: 'ruling' }];
  if (message.type === 'Terminate') return [{ ...ref, basis: 'terminate' }];
  if (message.type === 'Review' && message.verdict !== 'rework') return [{ ...ref, basis: 'review', verdict: message.verdict }];
  return bySilence(message, was) ? [{ ...ref, basis: 'silence' }] : [];
}

/** @param {any} message @param {State} was where its sender was */
export const bySilence = (message, was) => message.type === 'Closing' && message.basis === 'silence' && message.role === 'provider' && was.main === 'delivered';

/** @param {any} message @param {Ref} ref */
const reviewed = (message, ref) => ({
  ...ref, verdict: message.verdict, met: message.criteria.filter((/** @type {any} */ one) => one.met).map((/** @type {any} */ one) => one.id),
});

/** @param {State} state @param {any} message @param {Engagement} engagement @param {State} was where its sender was */
function rowOf(state, message, engagement, was = state) {
  const lane = under(state) && LANE.has(message.type);
  const found = rowsOf(state, message.type, message.role).filter((row) => ofCase(state, message, row, engagement));
  if (!lane || found.length === 0) return found[0];
  return laneOpen(state, message, engagement, was) ? found[0] : undefined;
}

/** @param {State} state @param {any} message @param {any} row @param {Engagement} engagement */
function ofCase(state, message, row, engagement) {
  if (row.case === 'final') return message.verdict !== 'rework';
  if (row.case === 'rework') return message.verdict === 'rework';
  if (row.case === 'silence') {
    if (message.basis !== 'silence') return false;
    return state.main === 'delivered' || (state.review !== undefined && !engagement.knows(message, state.review));
  }
  if (row.case === 'first') return !state.closings[other(message.role)];
  if (row.case === 'last') return Boolean(state.closings[other(message.role)]);
  return true;
}

/** The rows by which a role says a type here, whatever they ask for. @param {State} state @param {string} type @param {string} role @returns {any[]} */
function rowsOf(state, type, role) {
  const lane = under(state) && LANE.has(type);
  const place = lane ? state.lane : state.main;
  const rows = lane ? tables.lane : under(state) ? tables.contract : tables.negotiation;
  return rows.filter((/** @type {any} */ row) => row.type === type && row.states.includes(place) && row.roles.includes(role));
}

/** Whether the state in which its sender was leaves room for a move of the lane. @param {State} state @param {any} message @param {Engagement} engagement @param {State} was */
function laneOpen(state, message, engagement, was) {
  if (message.type === 'Withdraw') return true;
  const document = message.type === 'Offer' ? message.document : state.live?.document;
  const release = document?.type === 'Release';
  if (message.type === 'Seal') {
    const ends = release ? state.endings : [...state.endings, ...state.disputes];
    return !ends.some((/** @type {Ref} */ end) => engagement.knows(message, end));
  }
  if (was.main === 'closing' || was.main === 'closed') return false;
  return was.main !== 'disputed' || release;
}

/**
 * The state after a move that has a row, or `void`.
 * @param {Engagement} engagement @param {State} state @param {any} message @param {any} row
 * @param {{ref: Ref, bytes: number, was: State}} facts @returns {State | 'void'}
 */
function guarded(engagement, state, message, row, facts) {
  const lane = under(state) && LANE.has(message.type);
  const rule = lane ? laneRules[message.type] : rules[message.type];
  const found = rule(state, message, engagement, facts);
  if (found === 'void') return 'void';
  if (lane) return { ...state, lane: row.next, ...found };
  const { accepted } = state;
  if (OVERTAKING.has(message.type) && accepted && under(state) && !accepted.overtaken && engagement.knows(message, accepted)) {
    found.accepted = { ...accepted, overtaken: facts.ref }; // HIRE-LAN-08
  }
  const bytes = state.bytes + facts.bytes;
  return { ...state, bytes, main: row.next, endings: [...state.endings, ...endingOf(message, facts.ref, facts.was)], ...found };
}

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

/** @type {Record<string, (state: State, message: any, engagement: Engagement, facts: {ref: Ref, bytes: number, was: State}) => any>} */
const rules = {
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

  Bid: (_, message, __, { ref }) => ({ bid: { ...ref, commitment: message.commitment } }),

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
    if (message.document.parent !== undefined && !live) check(message.role === 'hirer', 'chain_invalid', 'the hirer offers first');
    return { live: offered(message, facts.ref), rounds: state.rounds + 1 };
  },

  Acceptance(state, message, _, { ref }) {
    check(message.offer === state.live.digest, 'stale_offer', 'offer');
    check(message.document === state.live.name, 'terms_mismatch', 'document');
    return { accepted: { ...ref, proof: message.contractProof } };
  },

  Seal(state, message, _, { ref }) {
    const { live, accepted } = state;
    check(message.offer === live.digest && message.document === live.name && message.acceptance === accepted.digest, 'terms_mismatch', 'seal');
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
    return { started: { ...ref, inputs: message.inputs }, begun: ref, due: seconds(state.terms.deadlines.finish) };
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

  Delivery(state, message, _, { ref }) {
    namesContract(state, message);
    check(message.round === state.round, 'terms_mismatch', 'round');
    return { delivery: { ...ref, outcome: message.outcome } };
  },

  Review(state, message, engagement, { ref }) {
    checkReviewed(state, message, engagement);
    const review = reviewed(message, ref);
    if (message.verdict !== 'rework') return { review };
    check(state.reworks < Math.max(...inForce(state, message, engagement).map(({ terms }) => terms.reworks)), 'round_limit', 'reworks');
    return { review, reworks: state.reworks + 1, round: state.round + 1, begun: ref, due: ref.at + duration(state.terms.deadlines.rework) };
  },

  Closing(state, message, engagement, { ref }) {
    check(inForce(state, message, engagement).some(({ name }) => name === message.contract), 'conflicting_contract', 'document in force');
    if (message.role === 'hirer') check(message.capacity === undefined, 'terms_mismatch', 'capacity');
    const currencies = [...inForce(state, message, engagement).map(({ terms }) => terms.price.currency), state.settlement?.currency, ...state.rulings.map(({ ruling }) => ruling.currency)];
    check(currencies.includes(message.settlement.currency), 'terms_mismatch', 'currency of what is owed');
    if (state.main !== 'closing') {
      check(message.delivery === state.delivery.digest, 'terms_mismatch', 'delivery');
      return { closings: { [message.role]: ref.digest } };
    }
    if (state.undisputed && !state.undisputed.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return 'void';
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
    namesContract(state, message);
    if (state.main === 'disputed') {
      if (!state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return 'void';
      check(message.cause === 'no_ruling', 'wrong_state', 'a dispute ends otherwise');
      return { undisputed: [ref], causes: [...(state.causes ?? []), message.cause], closings: {} };
    }
    checkCause(state, message);
    return { causes: [...(state.causes ?? []), message.cause] };
  },

  Dispute(state, message, engagement, { ref }) {
    namesContract(state, message);
    if (state.release && !engagement.knows(message, state.release)) return 'void';
    if (state.disputes.length > 0 && !state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return 'void';
    check(inForce(state, message, engagement).some(({ terms }) => terms.arbiter !== undefined), 'terms_mismatch', 'no arbiter');
    check(state.disputes.length === 0 && !state.release && !state.closings[message.role], 'wrong_state', 'dispute');
    return { disputes: [ref], rulingBy: rulingBy(state, message, ref), closings: {} };
  },

  Ruling(state, message, engagement, { ref }) {
    const known = (/** @type {Ref} */ one) => engagement.knows(message, one);
    const after = state.main === 'closing' && state.endings.some(known);
    const decided = state.endings.filter((/** @type {any} */ end) => end.basis === 'ruling' || end.basis === 'release');
    if (after) check(state.disputes.length > 0 && !decided.some(known) && !state.closings[message.role], 'wrong_state', 'no dispute waits for a ruling');
    checkRuling(state, message);
    const rulings = [...state.rulings, { ...ref, ruling: message.ruling }];
    if (state.main !== 'closing') return { undisputed: [ref], rulings, closings: {} };
    return state.undisputed?.some(known) ? { undisputed: [...state.undisputed, ref], rulings } : 'void';
  },
};

/** @type {Record<string, (state: State, message: any, engagement: Engagement, facts: {ref: Ref, bytes: number, was: State}) => any>} */
const laneRules = {
  Offer(state, message, engagement, { ref }) {
    if (message.role === 'provider' && state.tabled.hirer && !engagement.knows(message, state.tabled.hirer)) return 'void';
    const { live } = state;
    if (live && engagement.knows(message, live.ref)) check(message.inReplyTo === live.digest, 'stale_offer', 'inReplyTo');
    const { document } = message;
    check(document.type !== 'Contract', 'terms_mismatch', 'a second contract');
    checkPlace(state, message, engagement);
    check(document.contract === state.contract, 'conflicting_contract', 'contract');
    check(document.amends === state.inForce, 'terms_mismatch', 'amends');
    if (document.type === 'Amendment') check(document.parent === state.document.parent, 'terms_mismatch', 'parent');
    return { live: offered(message, ref), accepted: undefined, tabled: { ...state.tabled, [message.role]: ref } };
  },

  Acceptance(state, message, _, { ref }) {
    if (message.offer !== state.live.digest) return 'void';
    check(message.document === state.live.name, 'terms_mismatch', 'document');
    return { accepted: { ...ref, proof: message.contractProof } };
  },

  Seal(state, message, engagement, { ref }) {
    const { live, accepted } = state;
    check(message.offer === live.digest && message.document === live.name && message.acceptance === accepted.digest, 'terms_mismatch', 'seal');
    const passed = accepted.overtaken && engagement.knows(message, accepted.overtaken);
    check(!passed, 'wrong_state', 'what was delivered or reviewed since the acceptance');
    const sealed = { live: undefined, accepted: undefined };
    const were = { ref, name: state.inForce, terms: state.terms };
    if (live.document.type === 'Amendment') {
      const { terms } = live.document;
      const firstRound = state.due !== undefined && state.round === 1 && state.main !== 'cancelling'; // HIRE-LAN-05
      return { ...sealed, were, inForce: live.name, document: live.document, terms, ...(firstRound ? { due: seconds(terms.deadlines.finish) } : {}) };
    }
    const disputed = state.main === 'disputed';
    const undone = disputed && !state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one));
    return {
      ...sealed, main: 'closing', release: ref, settlement: live.document.settlement, endings: [...state.endings, { ...ref, basis: 'release' }],
      ...(disputed ? { undisputed: [ref], closings: {} } : {}), ...(undone ? { disputes: [] } : {}),
    };
  },

  Withdraw(state, message, engagement) {
    const { live } = state;
    check(message.offer !== undefined, 'stale_offer', 'offer');
    if (message.offer !== live.digest) return 'void';
    if (state.accepted && engagement.knows(message, state.accepted)) {
      const ended = message.reason === 'ended' && (state.main === 'closing' || state.main === 'disputed' || state.main === 'closed');
      const passed = message.reason === 'overtaken' && state.accepted.overtaken;
      check(NOT_ITS_FAULT.includes(message.reason) || ended || passed, 'wrong_state', 'reason');
    }
    return { live: undefined, accepted: undefined };
  },
};

/** @param {State} state @param {any} message */
function namesContract(state, message) {
  check(message.contract === state.contract, 'conflicting_contract', 'contract');
}

/** Whether a deadline passed is judged by its sender's clock alone. @param {State} state @param {any} message */
function checkCause(state, message) {
  const { cause, role } = message;
  const terms = state.terms;
  if (cause === 'unable') check(role === 'provider', 'wrong_party', cause);
  if (cause === 'late_seal') check(role !== state.offerer, 'wrong_party', cause);
  if (cause === 'parent') {
    check(state.document.parent !== undefined, 'terms_mismatch', cause);
    check(role === 'hirer', 'wrong_party', cause);
  }
  if (cause === 'convenience') check(terms.termination.convenience !== 'none', 'terms_mismatch', cause);
  if (cause === 'no_ruling') throw new HireError('wrong_state', cause);
  const claimed = (/** @type {any} */ one) => one.digest === message.names && one.role === role;
  if (cause === 'breach') check(state.breaches.some(claimed), 'wrong_state', cause);
}

/** Until when an arbiter is waited for. @param {State} state @param {any} message @param {Ref} ref */
const rulingBy = (state, message, ref) => Math.max(state.rulingBy ?? 0, Math.min(seconds(message.rulingBy), ref.at + LONGEST_RULING));

/** The document in force, and the one before it if the sender had not seen the seal that changed it. @param {State} state @param {any} message @param {Engagement} engagement */
function inForce(state, message, engagement) {
  const now = { name: state.inForce, terms: state.terms };
  return state.were && !engagement.knows(message, state.were.ref) ? [now, state.were] : [now];
}

/** @param {any} terms @returns {string[]} */
export const criteriaOf = (terms) => terms.deliverables.flatMap((/** @type {any} */ one) => one.criteria.map((/** @type {any} */ criterion) => criterion.id));

/** Ids of the clauses of the scope, and names of the members. @param {any} terms @returns {string[]} */
const clausesOf = (terms) => ['grants', 'prohibitions', 'obligations']
  .flatMap((kind) => (terms.scope[kind] ?? []).map((/** @type {any} */ rule) => rule.id.split('#').at(-1)))
  .concat(Object.keys(terms));

const RULING = new Set(['@context', 'id', 'type', 'contract', 'dispute', 'outcome', 'amount', 'currency', 'reasons', 'proof']);
/** What can be said of a ruling without its arbiter's document. @param {State} state @param {any} message */
function checkRuling(state, message) {
  const { ruling } = message;
  const strange = Object.keys(ruling).find((name) => !RULING.has(name));
  check(strange === undefined, 'unknown_term', strange, `/ruling/${strange}`);
  check(ruling.contract === state.contract, 'conflicting_contract', 'contract of the ruling');
  const known = state.disputes.map((/** @type {Ref} */ one) => one.digest);
  check(known.includes(message.dispute) && ruling.dispute === message.dispute, 'terms_mismatch', 'another dispute');
}

/** A review is of the delivery that waits for it, and answers each criterion (HIRE-LIF-06). @param {State} state @param {any} message @param {Engagement} engagement */
function checkReviewed(state, message, engagement) {
  check(message.delivery === state.delivery?.digest, 'terms_mismatch', 'delivery');
  const wanted = inForce(state, message, engagement).map(({ terms }) => jcs(criteriaOf(terms).sort()));
  check(wanted.includes(jcs(message.criteria.map((/** @type {any} */ one) => one.id).sort())), 'terms_mismatch', 'criteria');
}

/** The strongest of what ended it (HIRE-LIF-11). @param {State} state @returns {string} */
export function basisOf(state) {
  const order = ['ruling', 'release', 'silence', 'review', 'terminate'];
  return /** @type {string} */ (order.find((basis) => state.endings.some((/** @type {any} */ end) => end.basis === basis)));
}

/** What the milestones are worth whose criteria the last `Review` found met, cut after nine places (HIRE-PAY-03). @param {State} state */
function milestonesDue({ terms, review }) {
  const reached = (terms.settlement.milestones ?? []).filter((/** @type {any} */ one) => one.criteria.every((/** @type {string} */ id) => review?.met.includes(id)));
  const percent = reached.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.percent, 0);
  return amountText((amount(terms.price.amount) * BigInt(percent)) / 100n);
}

/** What is owed as one side counts it. @param {State} state @returns {{amount: string, currency: string}} */
export function owed(state) {
  const { price } = state.terms;
  const basis = basisOf(state);
  const none = { amount: milestonesDue(state), currency: price.currency };
  if (basis === 'ruling') {
    const [{ ruling }] = [...state.rulings].sort((a, b) => (digest(a.ruling) < digest(b.ruling) ? -1 : 1));
    return { amount: ruling.amount, currency: ruling.currency };
  }
  if (basis === 'release') return state.settlement;
  if (basis === 'review') return state.endings.find((/** @type {any} */ end) => end.basis === 'review').verdict === 'accepted' ? price : none;
  if (basis === 'silence') return state.terms.onSilence === 'accepted' ? price : none;
  return none;
}
