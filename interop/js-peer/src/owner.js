/**
 * What the owner of a peer may say under a contract: to narrow it, to end it, to claim a breach, to ask an arbiter, to carry what that one ruled, and to let a rejection be
 * (page 07, sections 7.7 to 7.11).
 */
import { check } from './errors.js';
import { duration, instant, seconds } from './encoding.js';
import { mayEnd } from './deadlines.js';
import { closing } from './papers.js';
import { checkRuling } from './receive.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */

const DAY = 86400;
/** More than the least time that the other side is left: what is said may be under way for a while. */
const SPARE = 60;
/** That an arbiter did not rule is said without an owner; others need evidence or a parent. */
const CAUSES = ['breach', 'convenience', 'deadline', 'key_compromised', 'late_seal', 'unable'];

/**
 * What each move has if its owner does not say otherwise, by our clock.
 * @type {Record<string, (state: import('./machine.js').State, now: number, conversation: Conversation, said: any) => any>}
 */
const MOVES = {
  Suspend: ({ contract, terms }) => ({ contract, reason: 'incident', until: terms.deadlines.until }),
  Resume: ({ contract }) => ({ contract, reason: 'resolved' }),
  Cancel: ({ contract, terms }, now) => ({ contract, reason: 'no_longer_needed', windDown: instant(now + duration(terms.deadlines.windDown) + SPARE) }),
  Terminate: ({ contract }) => ({ contract, evidence: [] }),
  Breach: ({ contract, terms }, now) => ({ contract, evidence: [], cureBy: instant(now + duration(terms.termination.cure) + SPARE) }),
  Dispute: ({ contract, cause, delivery }, now) => ({ contract, about: delivery?.digest ?? cause, evidence: [], rulingBy: instant(now + 7 * DAY) }),
  Ruling: ({ disputes }) => ({ dispute: disputes.at(-1)?.digest }),
  Closing: (_, now, conversation) => closing(conversation).body,
  Approval: (_, now, __, { granted }) => ({ uses: granted === false ? 0 : 1, until: instant(now + 3600) }),
};

/**
 * The times of a move are ones that its sender may set or go by: a receiver takes them whatever they are (HIRE-LIF-10).
 * @param {string} type @param {any} body @param {Conversation} conversation @param {number} now
 */
function checkTimes(type, body, conversation, now) {
  const { terms, breaches, requests, sealed, stoodUntil } = conversation.engagement.state;
  const inTime = (/** @type {boolean} */ holds, /** @type {string} */ says) => check(holds, 'wrong_state', says);
  const least = (/** @type {string} */ member, /** @type {number} */ leaves) => inTime(seconds(body[member]) - now >= leaves, `${member} leaves too little time`);
  if (type === 'Cancel') least('windDown', duration(terms.deadlines.windDown));
  if (type === 'Breach') least('cureBy', duration(terms.termination.cure)); // HIRE-LIF-20
  if (type === 'Dispute') { // HIRE-LIF-31
    least('rulingBy', DAY);
    inTime(seconds(body.rulingBy) - now <= 180 * DAY, 'rulingBy is too late');
  }
  const asked = type === 'Approval' && body.granted ? requests[body.request]?.message : undefined;
  if (asked) inTime(now <= seconds(asked.answerBy), 'it was to be answered before, and is no'); // HIRE-LIF-19
  if (type !== 'Terminate') return;
  inTime(CAUSES.includes(body.cause), `no cause of an owner's: ${body.cause}`);
  const claimed = breaches.find((/** @type {any} */ one) => one.digest === body.names);
  if (body.cause === 'breach') inTime(claimed && now > seconds(claimed.cureBy) && now <= seconds(claimed.cureBy) + 30 * DAY, 'there is time to cure it, or no right any more');
  if (body.cause === 'deadline') inTime(mayEnd(conversation, now), 'no time that this side waits for has passed');
  if (body.cause === 'late_seal') inTime(sealed.at > seconds(stoodUntil) + duration(terms.sealGrace), 'the seal came in time');
}

/**
 * Says a move in its owner's name, once it is one that the other side has to take.
 * @param {Conversation} conversation @param {string} type @param {any} [said] members of the move @returns {Promise<any>} the message
 */
export const say = (conversation, type, said = {}) => conversation.enqueue(async () => {
  const { peer, engagement } = conversation;
  const { state } = engagement;
  check(Object.hasOwn(MOVES, type), 'schema_violation', `no move of an owner's: ${type}`, '/type');
  check(state.contract !== undefined, 'wrong_state', 'there is no contract');
  const now = peer.now();
  const body = { ...MOVES[type](state, now, conversation, said), ...said };
  checkTimes(type, body, conversation, now);
  if (type === 'Ruling') await checkRuling(engagement, body, { resolver: peer.resolver, at: now });
  const message = await conversation.say({ type, body });
  await peer.turn(conversation);
  return message;
});
