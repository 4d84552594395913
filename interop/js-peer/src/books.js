/**
 * What one peer promises at most: places of each task, and money of its budget (page 05, section 5.6).
 *
 * An engagement takes what it needs from when its `Offer` or `Acceptance` is in the journal. So what is taken is read off the engagements themselves, is as durable as
 * they are, and is looked at in one go with the write of the next one: nothing is promised twice.
 */
import { amount, duration, instant, seconds } from './encoding.js';
import { other } from './contract.js';
import { owed } from './owed.js';
import { withdraw } from './papers.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */

/** Contracts of one task at a time, unless a service says another number. */
const CAPACITY = 64;
const ENDED = ['closing', 'closed'];

/** Until when an engagement holds a place, or the price; nothing if it holds none. @param {Conversation} conversation @param {number} now @returns {number | undefined} */
export function heldUntil({ engagement, role }, now) {
  const { main, live, accepted, contract, terms } = engagement.state;
  if (contract) return ENDED.includes(main) ? undefined : seconds(terms.deadlines.until);
  if (!live) return undefined;
  const until = seconds(live.validUntil);
  if (main === `accepted-by-${role}`) return now <= until + duration(live.document.terms.sealGrace) ? until + duration(live.document.terms.sealGrace) : undefined;
  if (main === `accepted-by-${other(role)}`) return accepted.at <= until ? until : undefined;
  return main === `offered-by-${role}` && now <= until ? until : undefined;
}

/** @param {Conversation} conversation whose terms count */
const termsOf = ({ engagement: { state } }) => state.terms ?? state.live?.document.terms;

export class Books {
  /** @param {import('./peer.js').Peer} peer @param {Record<string, string> | undefined} budget most that is paid, all told, by currency; none: whatever is agreed */
  constructor(peer, budget) {
    this.peer = peer;
    this.budget = budget;
    /** @type {Record<string, bigint>} what is owed of contracts that are put away */
    this.spent = {};
  }

  /** @param {string} task */
  capacity(task) { return this.peer.services.get(task)?.capacity ?? CAPACITY; }

  /** The other engagements of a role. @param {'hirer' | 'provider'} role @param {Conversation} [but] */
  #others(role, but) { return [...this.peer.conversations.values()].filter((one) => one.role === role && one !== but); }

  /** Ends of what holds a place of a task, the first one first. @param {string} task @param {Conversation} [but] @returns {number[]} */
  #places(task, but) {
    const now = this.peer.now();
    const held = this.#others('provider', but).filter((one) => termsOf(one)?.task.kind === task).map((one) => heldUntil(one, now));
    return /** @type {number[]} */ (held.filter((until) => until !== undefined)).sort((a, b) => a - b);
  }

  /** @param {string} task */
  full(task) { return this.#places(task).length >= this.capacity(task); }

  /** What is owed, or may have to be paid, in a currency. @param {string} currency @param {Conversation} [but] */
  #taken(currency, but) {
    const now = this.peer.now();
    const prices = this.#others('hirer', but).map((one) => costOf(one, now)).filter((price) => price?.currency === currency);
    return prices.reduce((sum, price) => sum + amount(/** @type {any} */ (price).amount), this.spent[currency] ?? 0n);
  }

  /** Whether there is room, or money, for an engagement on these terms (HIRE-CAP-01). @param {Conversation} conversation @param {any} terms */
  fits(conversation, { task, price }) {
    if (conversation.role === 'provider') return this.#places(task.kind, conversation).length < this.capacity(task.kind);
    if (this.budget === undefined || price.amount === '0') return true;
    const most = Object.hasOwn(this.budget, price.currency) ? amount(this.budget[price.currency]) : -1n;
    return this.#taken(price.currency, conversation) + amount(price.amount) <= most;
  }

  /** The `Withdraw` of a side without room or money; of its budget a hirer says nothing (HIRE-CAP-02). @param {Conversation} conversation @param {string} task @returns {import('./papers.js').Said} */
  noRoom(conversation, task) {
    if (conversation.role === 'hirer') return withdraw(conversation, 'capacity');
    const ends = this.#places(task);
    const free = ends[Math.max(0, ends.length - this.capacity(task))];
    return withdraw(conversation, 'capacity', [{ code: 'capacity', capability: task, ...(free === undefined ? {} : { after: instant(free + 1) }) }]);
  }

  /** Of each contract, how many of its task were under way at once while it was (HIRE-CAP-03). Called when one is made. */
  count() {
    const working = this.#others('provider').filter(({ engagement: { state } }) => state.contract && !ENDED.includes(state.main));
    /** @type {Record<string, number>} */ const at = {};
    const taskOf = (/** @type {Conversation} */ one) => `task ${termsOf(one).task.kind}`;
    for (const one of working) at[taskOf(one)] = (at[taskOf(one)] ?? 0) + 1;
    for (const one of working) one.facts.most = Math.max(one.facts.most ?? 0, at[taskOf(one)]);
  }

  /** What a contract cost stays spent when it is put away, until it is there again. @param {Conversation} conversation @param {1n | -1n} sign */
  putAway(conversation, sign) {
    const cost = conversation.role === 'hirer' && conversation.engagement.state.contract && costOf(conversation, this.peer.now());
    if (cost) this.spent[cost.currency] = (this.spent[cost.currency] ?? 0n) + sign * amount(cost.amount);
  }
}

/** The price while it may have to be paid, and what is owed in the end. @param {Conversation} conversation @param {number} now @returns {{amount: string, currency: string} | undefined} */
function costOf(conversation, now) {
  const { state } = conversation.engagement;
  if (state.contract && ENDED.includes(state.main)) return owed(state);
  return heldUntil(conversation, now) === undefined ? undefined : termsOf(conversation).price;
}
