/**
 * The two state machines, run over the published tables (pages 04, 05 and 07).
 *
 * What becomes of a move is looked up in three steps. Its place in its sender's chain: is it the next one, or known already (`repeat`)? Its row in the table: may it
 * be said in our state? And its guard (`guards.js`): does it say the right thing? If it may not be said in our state, it may have been right in the state in which
 * its sender was, which had not heard our last moves: then it is recorded, and moves nothing (`void`, or `late` once all is over). Anything else is refused.
 *
 * A state is a plain value that nothing changes: each move makes another one. Besides it, an engagement keeps for each own move that the peer has not seen the
 * state before that move, moved on by the peer's own moves: where the peer may still be (HIRE-CHN-09).
 */
import { check, HireError } from './errors.js';
import { sameKeys } from './did.js';
import { digest, seconds } from './encoding.js';
import { tables } from './spec.js';
import { NOTICES } from './message.js';
import { other } from './contract.js';
import { checkReviewed, checkRuling, disputed, laneRules, reviewed, rules } from './guards.js';
import { endingOf } from './owed.js';
import { untimely } from './untimely.js';

/**
 * @typedef {{role: string, sequence: number, digest: string, at: number, made: number}} Ref `at` is when it was recorded, `made` when it may have been made:
 *   a proof of before shows that it was long under way
 * @typedef {Record<string, any> & {main: string, lane: string}} State
 */

const LANE = new Set(['Offer', 'Acceptance', 'Seal', 'Withdraw']);
const ENDS = new Set(['Cancel', 'Terminate', 'Delivery', 'Review', 'Closing', 'Ruling', 'Seal', 'Withdraw']);
const MAX_SAID = 8 * 1024 * 1024;
/** Documents of the other side that are kept: each may have 64 KiB, and costs it nothing (HIRE-LIM-05). */
const MAX_DOCUMENTS = 128;
/** Characters of those of one DID together. */
const MAX_DOCUMENT_TEXT = 256 * 1024;
/** Moves that show what a seal held back would be worth. */
const OVERTAKING = new Set(['Delivery', 'Review']);

/** @returns {State} */
export const start = () => ({
  main: '-', lane: 'idle', rounds: 0, bytes: 0, breaches: [], requests: {}, closings: {}, endings: [], disputes: [], arbiters: [], rulings: [], round: 1, reworks: 0, tabled: {},
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
    /** @type {import('./did.js').Document[]} those by which messages of the other side, and what they carry, were checked */
    this.documents = [];
    /** @type {import('./untimely.js').Early[]} what of the other side came before its time */
    this.early = [];
  }

  /** @param {import('./did.js').Document} document @returns {boolean} whether it is one that need not be kept, or is kept already */
  holds(document) {
    if (document.id.startsWith('did:key:') || this.documents.some((one) => JSON.stringify(one) === JSON.stringify(document))) return true;
    return !this.#hasRoom(document) && this.documents.some((one) => one.id === document.id && sameKeys(one, document));
  }

  /** Keeps a document by which a message was checked. @param {import('./did.js').Document} document */
  shown(document) {
    if (!this.holds(document)) this.documents.push(document);
  }

  /** That there is room for a document, or one with its keys. @param {import('./did.js').Document} document */
  checkRoom(document) {
    check(this.holds(document) || this.#hasRoom(document), 'too_large', 'documents of one DID');
  }

  /** @param {import('./did.js').Document} document */
  #hasRoom(document) {
    const sizes = [document, ...this.documents.filter(({ id }) => id === document.id)].map((one) => JSON.stringify(one).length);
    return sizes.length <= MAX_DOCUMENTS && sizes.reduce((sum, size) => sum + size, 0) <= MAX_DOCUMENT_TEXT;
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
    const [hirer, provider] = this.state.inquiry ? [this.state.inquiry.sender, this.state.inquiry.recipient] : [message.sender, message.recipient];
    check(message.sender === (message.role === 'hirer' ? hirer : provider), 'wrong_party', 'the role of the other side', '/role');
    if (this.#stands(message, ref)) return { outcome: 'repeat', state: this.state, ref };
    const full = this.#full(message);
    const { outcome, state, soon } = this.#outcome(message, ref, bytes);
    const nothing = outcome !== 'applies';
    check(!full || message.type !== 'Withdraw' || !nothing, 'round_limit', 'moves'); // one that takes nothing back ends nothing
    const said = under(this.state) ? this.#said(message, bytes, { nothing, soon }) : undefined;
    return { outcome, state: said ? { ...state, said } : state, ref };
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

  /**
   * The bytes of the moves of each side under a contract that end nothing or move nothing, with this one, if it is one. What ends something is taken
   * whatever there are, unless it comes too soon for that.
   * @param {any} message @param {number} bytes @param {{nothing: boolean, soon?: boolean}} facts
   */
  #said(message, bytes, { nothing, soon }) {
    const ends = ENDS.has(message.type) && !(message.type === 'Withdraw' && nothing);
    const sum = (this.state.said?.[message.role] ?? 0) + bytes;
    check((ends && !soon) || sum <= MAX_SAID, 'too_large', 'moves under a contract');
    return nothing || !ends || message.type === 'Withdraw' ? { ...this.state.said, [message.role]: sum } : undefined;
  }

  /**
   * A move applies by its row in our state, even if it crossed one of ours. Without one it is void, or late, by its row in the earlier state in which its
   * sender may have been; and without that it is refused.
   * @param {any} message @param {Ref} ref @param {number} bytes @returns {{outcome: 'applies' | 'void' | 'late', state: State, soon?: boolean}}
   */
  #outcome(message, ref, bytes) {
    const { state } = this;
    const earlier = this.earlier(message);
    const was = earlier ?? state;
    const passed = () => /** @type {const} */ (over(state) ? 'late' : 'void');
    const inLane = under(state) && LANE.has(message.type);
    if (message.type === 'Offer' && offersTooLate(state, message, this)) return { outcome: passed(), state };
    const row = rowOf(state, message, this, was);
    if (row) {
      const found = guarded(this, state, message, row, { ref, bytes, was });
      return found === 'void' ? { outcome: passed(), state: noted(this, state, message, ref, was), soon: true } : { outcome: 'applies', state: found };
    }
    if (!earlier || !(inLane ? isVoid(state, message) : hadRow(earlier, message, this))) throw refusal(state, message);
    if (message.type === 'Ruling') checkRuling(state, message, this, was.main === 'closing');
    if (message.type === 'Review') checkReviewed(state, message, this);
    return { outcome: passed(), state: noted(this, state, message, ref, was) };
  }

  /** @param {any} message @param {ReturnType<Engagement['judge']>} judged */
  commit(message, { state, ref, outcome }) {
    if (outcome === 'repeat') return;
    if (outcome === 'applies' && message.role !== this.view) this.early.push(...untimely(this, message, ref));
    const seen = this.seenOf(message);
    this.seen[message.role] = seen;
    if (message.role === this.view) this.before.set(ref.sequence, this.state);
    else {
      // What had no row where its sender was has not moved it, and what of ours it sees later finds it there.
      const moved = hadRow(this.earlier(message) ?? this.state, message, this);
      for (const number of [...this.before.keys()]) {
        if (number <= seen) { this.before.delete(number); continue; }
        if (moved) this.before.set(number, movedOn(this, /** @type {State} */ (this.before.get(number)), message, ref));
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

/**
 * Whether the state that its sender was in had a row for a move, of what it could know itself: one dispute there is, one `Closing` of
 * each side, no dispute after it, and `no_ruling` ends a dispute and nothing else (HIRE-CHN-09).
 * @param {State} earlier @param {any} message @param {Engagement} engagement
 */
function hadRow(earlier, message, engagement) {
  const { type, role, cause } = message;
  const disputes = [...earlier.disputes, ...engagement.state.disputes];
  if (type === 'Dispute' && disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one))) return false;
  if (['Closing', 'Dispute'].includes(type) && earlier.closings[role]) return false;
  if (type === 'Terminate' && (cause === 'no_ruling') !== (earlier.main === 'disputed')) return false;
  return rowOf(earlier, message, engagement) !== undefined;
}

/** @param {Engagement} engagement @param {State} state @param {any} message @param {Ref} ref */
function movedOn(engagement, state, message, ref) {
  const row = rowOf(state, message, engagement);
  if (!row || !hadRow(state, message, engagement)) return state;
  const byTables = () => (under(state) && LANE.has(message.type) ? { ...state, lane: row.next }
    : { ...state, main: row.next, closings: message.type === 'Closing' ? { ...state.closings, [message.role]: ref.digest } : state.closings });
  try {
    // what is void for us, for it crossed one of ours, moved its sender
    const found = guarded(engagement, state, message, row, { ref, bytes: 0, was: state });
    return found === 'void' ? byTables() : found;
  } catch { return byTables(); } // whatever it says, the tables have it
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
  if (message.type === 'Dispute') return { ...state, ...disputed(state, message, engagement, ref) };
  const endings = [...state.endings, ...endingOf(message, ref, was)];
  const passed = overtaking(engagement, state, message, ref);
  if (message.type === 'Review') return { ...state, endings, review: reviewed(message, ref), ...passed };
  if (message.type === 'Closing') return { ...state, endings };
  if (message.type === 'Delivery') return { ...state, outcome: message.outcome, ...passed }; // its sender may close by silence on it
  if (message.type !== 'Ruling' && message.type !== 'Terminate') return state;
  const ends = state.undisputed && state.disputes.some((/** @type {Ref} */ one) => engagement.knows(message, one));
  const undisputed = ends ? [...state.undisputed, ref] : state.undisputed;
  if (message.type === 'Ruling') return { ...state, endings, undisputed, rulings: [...state.rulings, { ...ref, ruling: message.ruling }] };
  return { ...state, endings, undisputed, causes: [...(state.causes ?? []), message.cause] };
}

/** @param {State} state @param {any} message @param {Engagement} engagement @param {State} was where its sender was */
function rowOf(state, message, engagement, was = state) {
  const lane = under(state) && LANE.has(message.type);
  const found = rowsOf(state, message.type, message.role).filter((row) => ofCase(state, message, row, engagement));
  if (!lane || found.length === 0) return found[0];
  return namesAnother(state, message) || laneOpen(state, message, was) ? found[0] : undefined;
}

/** @param {State} state @param {any} message @param {any} row @param {Engagement} engagement */
function ofCase(state, message, row, engagement) {
  if (row.case === 'final') return message.verdict !== 'rework';
  if (row.case === 'rework') return message.verdict === 'rework';
  if (row.case === 'silence') return message.basis === 'silence';
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

/** Whether an offer comes too late for what its sender had not seen: a release (HIRE-LAN-05), or a provider's the hirer's (HIRE-LAN-02). @param {State} state @param {any} message @param {Engagement} engagement */
function offersTooLate({ release, tabled }, message, engagement) {
  return [release, message.role === 'provider' ? tabled.hirer : undefined].some((one) => one && !engagement.knows(message, one));
}

/** Whether a move about documents names another offer than the one on the table. @param {State} state @param {any} message */
const namesAnother = (state, message) => message.type !== 'Offer' && !(state.live && message.offer === state.live.digest);

/** Whether a move about documents that crossed another and has no row is void (HIRE-LAN-10). @param {State} state @param {any} message */
function isVoid(state, message) {
  if (message.type === 'Seal' || rowsOf(state, message.type, message.role).length > 0) return false;
  return message.type === 'Offer' || namesAnother(state, message);
}

/** Whether the state in which its sender was leaves room for a move of the lane. @param {State} state @param {any} message @param {State} was */
function laneOpen(state, message, was) {
  if (message.type === 'Withdraw') return true;
  const document = message.type === 'Offer' ? message.document : state.live?.document;
  const release = document?.type === 'Release';
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
  const bytes = state.bytes + facts.bytes;
  const passed = overtaking(engagement, state, message, facts.ref);
  return { ...state, bytes, main: row.next, endings: [...state.endings, ...endingOf(message, facts.ref, facts.was)], ...found, ...passed };
}

/** What a delivery or review makes of a document that its sender knew to be accepted, also where it is void (HIRE-LAN-08). @param {Engagement} engagement @param {State} state @param {any} message @param {Ref} ref */
function overtaking(engagement, state, message, ref) {
  const { accepted } = state;
  const passes = OVERTAKING.has(message.type) && accepted && under(state) && !accepted.overtaken && engagement.knows(message, accepted);
  return passes ? { accepted: { ...accepted, overtaken: ref } } : {};
}
