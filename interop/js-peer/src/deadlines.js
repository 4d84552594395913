/** What a side may send because the other let a deadline pass (page 05, HIRE-NEG-09 and 20; page 07, section 7.6). */
import { amount, duration, jcs, seconds } from './encoding.js';
import { other } from './contract.js';
import { owed } from './owed.js';
import { acceptance, onlyPriceDiffers, seal, withdraw } from './papers.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./papers.js').Said} Said */

/** Seconds for which a side that was not there listens: twice the longest pause between two attempts to dial (page 07, section 7.6, decision 0370). */
const HEARING = 60;
/** So long after `until` a provider leaves the end to the hirer, in seconds. */
const AFTER_UNTIL = 3600;

/** An acceptance holds a place, or the price, until its answer; so long at most, and so long a side may leave the other waiting (decision 0295). */
const HOLD_SECONDS = 4 * 3600;
const WAIT_SECONDS = 30 * 86400;

/** Whether what the other side said in time may still be under way, since we were not there to hear it: so long nothing ends by the clock. @param {Conversation} conversation @param {number} now read before: that is how a leap is noticed */
export const listens = ({ engagement: { state }, peer }, now) => state.sealed.at < peer.hereSince && now < peer.hereSince + HEARING;

/** The member of an offer by which it would hold a place or the price, or keep us waiting, for too long. @param {any} live @param {number} now @returns {string | undefined} */
export function tooLong({ validUntil, document: { terms } }, now) {
  const { start, review, close } = terms.deadlines;
  if (seconds(validUntil) - now + duration(terms.sealGrace) > HOLD_SECONDS) return '/validUntil';
  if (seconds(start) - now > WAIT_SECONDS) return '/terms/deadlines/start';
  if (duration(review) > WAIT_SECONDS) return '/terms/deadlines/review';
  return duration(close) > WAIT_SECONDS ? '/terms/deadlines/close' : undefined;
}

/** @param {Conversation} conversation @returns {Said | undefined} */
export function overdue(conversation) {
  const { state } = conversation.engagement;
  if (conversation.over || state.main === 'closing' || state.main === '-') return undefined;
  const now = conversation.peer.now(); // once: what is late by a second look at a clock that leapt between them was not listened for
  if (!state.contract) return negotiation(conversation, now);
  if (listens(conversation, now)) return undefined;
  if (state.main === 'disputed') return now > state.rulingBy ? end(state, 'no_ruling') : undefined;
  return conversation.role === 'hirer' ? overdueForHirer(conversation, now) : overdueForProvider(state, now);
}

/** @param {Conversation} conversation @param {number} now @returns {Said | undefined} */
function negotiation(conversation, now) {
  const { engagement, role, facts } = conversation;
  const { state } = engagement;
  if (state.main.startsWith('accepted-by-')) return undefined; // in doubt: no time-out ends it (HIRE-NEG-13)
  const closes = seconds(state.inquiry.closesAt);
  if (state.live?.owner === role) {
    const waiting = facts.waiting ? seconds(facts.waiting.until) : 0;
    return now > Math.min(closes, Math.max(seconds(state.live.validUntil) + 60, waiting)) ? withdraw(conversation, 'offer_expired') : undefined;
  }
  const waits = (state.main === 'inquired' && role === 'hirer') || (state.main === 'profiled' && role === 'provider');
  const respondBy = seconds((state.main === 'profiled' ? state.profile : state.inquiry).respondBy);
  return now > (waits ? Math.min(respondBy, closes) : closes) ? withdraw(conversation, 'no_answer') : undefined;
}

/** @param {import('./machine.js').State} state @param {string} cause @returns {Said} */
const end = ({ contract }, cause) => ({ type: 'Terminate', body: { contract, cause, evidence: [] } });

/** What a hirer waits for (page 07, section 7.6). @param {Conversation} conversation @param {number} now @returns {Said | undefined} */
export function overdueForHirer({ engagement, peer, signAt }, now) {
  const { state } = engagement;
  const { deadlines } = state.terms;
  const silent = () => now > Math.max(signAt, peer.hereSince, state.started.at) + 3 * duration(deadlines.heartbeat);
  const late = (['working', 'cancelling'].includes(state.main) && now > state.due) || (state.main === 'working' && silent())
    || (['sealed', 'working', 'suspended', 'cancelling'].includes(state.main) && now > seconds(deadlines.until));
  return late ? end(state, 'deadline') : undefined;
}

/** @param {import('./machine.js').State} state @param {number} now @returns {Said | undefined} */
function overdueForProvider(state, now) {
  const { deadlines } = state.terms;
  const late = (state.main === 'sealed' && now > seconds(deadlines.start)) || (state.main === 'working' && state.started.late) || (state.main === 'suspended' && now > seconds(state.suspension.until))
    || (state.main !== 'delivered' && now > seconds(deadlines.until) + AFTER_UNTIL);
  return late ? end(state, 'deadline') : undefined;
}

/** Whether a side may end a contract for a time that passed: where it does so unasked, and for `until` while a delivery waits for its review, which is a right only. @param {Conversation} conversation @param {number} now */
export function mayEnd(conversation, now) {
  const { engagement: { state }, role } = conversation;
  const until = seconds(state.terms.deadlines.until) + (role === 'hirer' ? 0 : AFTER_UNTIL);
  return (state.main === 'delivered' && now > until) || (role === 'hirer' ? overdueForHirer(conversation, now) : overdueForProvider(state, now)) !== undefined;
}

/** What we owe in the lane: the answer to an acceptance of ours, and to a document of the other side. @param {Conversation} conversation @returns {Promise<Said | undefined>} */
export async function answerInLane(conversation) {
  const { engagement, role, peer } = conversation;
  const { state } = engagement;
  if (state.lane === `accepted-by-${other(role)}`) return seal(conversation);
  if (state.lane !== `offered-by-${other(role)}` || ['closing', 'closed'].includes(state.main)) return undefined;
  const { document, validUntil } = state.live;
  if (suits(document, state, role) && peer.now() <= seconds(validUntil)) return acceptance(conversation);
  return withdraw(conversation, 'declined');
}

/**
 * Whether a document costs us nothing. Of terms, more time for the work and the price in our favour may differ and nothing else: by another `review`,
 * `start` or `heartbeat` the other side could end it at once. A release may ask a hirer for what is owed by now, and has to give a provider the price.
 * @param {any} document @param {import('./machine.js').State} state @param {string} role
 */
export function suits(document, state, role) {
  const { price, deadlines } = state.terms;
  const release = document.type === 'Release';
  if (!release && jcs(document.organisations ?? {}) !== jcs(state.document.organisations ?? {})) return false;
  const asked = release ? document.settlement : document.terms.price;
  const most = release ? owed(state) : price;
  const gives = role === 'hirer' ? asked.currency === most.currency && amount(asked.amount) <= amount(most.amount) : asked.currency === price.currency && amount(asked.amount) >= amount(price.amount);
  if (!gives || release) return gives;
  const { finish, until } = document.terms.deadlines;
  const later = seconds(finish) >= seconds(deadlines.finish) && seconds(until) >= seconds(deadlines.until);
  return later && onlyPriceDiffers({ ...document.terms, deadlines: { ...document.terms.deadlines, finish: 0, until: 0 } }, { ...state.terms, deadlines: { ...deadlines, finish: 0, until: 0 } });
}
