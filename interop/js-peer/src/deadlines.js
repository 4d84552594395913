/** What a side may send because the other let a deadline pass (page 05, HIRE-NEG-09 and 20; page 07, section 7.6). */
import { amount, seconds } from './encoding.js';
import { other } from './contract.js';
import { overdueForHirer } from './hirer.js';
import { acceptance, onlyPriceDiffers } from './papers.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {import('./papers.js').Said} Said */

/** @param {Conversation} conversation @returns {Said | undefined} */
export function overdue(conversation) {
  const { state } = conversation.engagement;
  if (conversation.over || state.main === 'closing' || state.main === '-') return undefined;
  if (!state.contract) return negotiation(conversation);
  if (state.main === 'disputed') return noRuling(conversation);
  return conversation.role === 'hirer' ? overdueForHirer(conversation) : overdueForProvider(conversation);
}

/** @param {Conversation} conversation @returns {Said | undefined} */
function negotiation({ engagement, role, peer, facts }) {
  const { state } = engagement;
  const now = peer.now();
  if (state.main.startsWith('accepted-by-')) return undefined; // in doubt: no time-out ends it (HIRE-NEG-13)
  const closes = seconds(state.inquiry.closesAt);
  const withdraw = (/** @type {string} */ reason) => ({ type: 'Withdraw', body: { reason, ...(state.live ? { offer: state.live.digest } : {}) } });
  if (state.live?.owner === role) {
    const waiting = facts.waiting ? seconds(facts.waiting.until) : 0;
    return now > Math.min(closes, Math.max(seconds(state.live.validUntil) + 60, waiting)) ? withdraw('offer_expired') : undefined;
  }
  const waits = (state.main === 'inquired' && role === 'hirer') || (state.main === 'profiled' && role === 'provider');
  const respondBy = seconds((state.main === 'profiled' ? state.profile : state.inquiry).respondBy);
  return now > (waits ? Math.min(respondBy, closes) : closes) ? withdraw('no_answer') : undefined;
}

/** @param {Conversation} conversation @returns {Said | undefined} */
function overdueForProvider({ engagement, peer }) {
  const { state } = engagement;
  const now = peer.now();
  const { deadlines } = state.terms;
  const late = (state.main === 'sealed' && now > seconds(deadlines.start)) || (state.main === 'suspended' && now > seconds(state.suspension.until))
    || (state.main !== 'delivered' && now > seconds(deadlines.until) + 3600);
  return late ? { type: 'Terminate', body: { contract: state.contract, cause: 'deadline', evidence: [] } } : undefined;
}

/** @param {Conversation} conversation @returns {Said | undefined} */
function noRuling({ engagement, peer }) {
  const { state } = engagement;
  const [{ digest, at }] = state.disputes;
  const by = Math.min(seconds(engagement.messages[digest].rulingBy), at + 180 * 86400);
  return peer.now() > by ? { type: 'Terminate', body: { contract: state.contract, cause: 'no_ruling', evidence: [] } } : undefined;
}

/** Whether terms differ in deadlines and price alone. @param {any} a @param {any} b */
const sameBut = (a, b) => onlyPriceDiffers({ ...a, deadlines: 0 }, { ...b, deadlines: 0 });

/** The answer to a document that the other side put on the table: what costs us nothing, or changes but deadlines and the price in our favour. @param {Conversation} conversation @returns {Promise<Said | undefined>} */
export async function answerInLane(conversation) {
  const { engagement, role, peer } = conversation;
  const { state } = engagement;
  if (state.lane !== `offered-by-${other(role)}` || ['closing', 'closed'].includes(state.main)) return undefined;
  const { document, digest, validUntil } = state.live;
  const { price } = state.terms;
  const asked = document.type === 'Release' ? document.settlement : document.terms.price;
  const gives = asked.currency === price.currency && (role === 'hirer' ? amount(asked.amount) <= amount(price.amount) : amount(asked.amount) >= amount(price.amount));
  const suits = gives && (document.type === 'Release' || sameBut(document.terms, state.terms));
  if (suits && peer.now() <= seconds(validUntil)) return acceptance(conversation);
  return { type: 'Withdraw', body: { reason: 'declined', offer: digest } };
}
