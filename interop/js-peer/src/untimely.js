/**
 * What the other side did before its time, as far as our own record shows it, and what our books do about that (page 07, HIRE-LIF-34).
 *
 * Such a move is taken, and what is owed stays what the moves make it. It is said in the `objection` of our `Closing`, which waits for as
 * long as a dispute may be made or a ruling be carried.
 */
import { duration, instant, seconds } from './encoding.js';
import { basisOf, bySilence } from './owed.js';

/**
 * @typedef {import('./machine.js').Engagement} Engagement
 * @typedef {import('./machine.js').State} State
 * @typedef {{move: string, type: string, what: string, said: number, allowed: number, sets: boolean}} Early the time that was claimed to have passed,
 *   and when; or the one that the move sets; and before when it could not
 */

/** Both clocks may be off by a minute. */
const LEEWAY = 120;
const ARBITER = 86400;
const HEARTBEATS = 3;
/** So long before `close` is over our books wait no more. */
const MARGIN = 60;
const LONGEST_REMARK = 1024;

/** What is too early about a move of the other side that applies and is not committed yet; one or nothing. @param {Engagement} engagement @param {any} message @param {import('./machine.js').Ref} ref @returns {Early[]} */
export function untimely(engagement, message, ref) {
  const { state } = engagement;
  if (!state.contract) return [];
  const was = engagement.earlier(message) ?? state;
  const sets = leastOf(state, message);
  const allowed = sets ? ref.made + sets.seconds : claimed(state, message, was);
  const said = sets ? seconds(message[sets.member]) : ref.at;
  if (allowed === undefined) return [];
  if (said + LEEWAY >= allowed) {
    const unheard = message.type === 'Closing' && engagement.view === 'hirer' && refusedAt(state) <= allowed;
    return unheard ? [{ move: ref.digest, type: message.type, what: 'unheard', said, allowed: refusedAt(state), sets: false }] : [];
  }
  return [{ move: ref.digest, type: message.type, what: sets?.member ?? message.cause ?? 'review', said, allowed, sets: sets !== undefined }];
}

/** When we asked for rework or rejected, if that led to where we are: who closes by silence then did not hear us. @param {State} state */
const refusedAt = ({ review, cause, since }) => (review?.verdict !== 'accepted' && review?.digest === cause ? since : Infinity);

/** The member of a move that sets a time, and how much that has to leave. @param {State} state @param {any} message @returns {{member: string, seconds: number} | undefined} */
function leastOf({ terms }, message) {
  if (message.type === 'Breach') return { member: 'cureBy', seconds: duration(terms.termination.cure) };
  if (message.type === 'Dispute') return { member: 'rulingBy', seconds: ARBITER };
  if (message.type === 'Cancel') return { member: 'windDown', seconds: duration(terms.deadlines.windDown) };
  return undefined;
}

/** From when on there can be an end that claims a time to have passed. @param {State} state @param {any} message @param {State} was where its sender was @returns {number | undefined} */
function claimed(state, message, was) {
  if (message.type === 'Closing') return bySilence(message, was) ? reviewEnds(state) : undefined;
  if (message.type !== 'Terminate') return undefined;
  if (message.cause === 'deadline') return Math.min(...(message.role === 'hirer' ? hirerWaits(state, was) : providerWaits(state, was)));
  if (message.cause === 'no_ruling') return state.rulingBy;
  if (message.cause === 'late_seal') return seconds(state.stoodUntil) + duration(state.terms.sealGrace);
  const breach = message.cause === 'breach' && state.breaches.find((/** @type {any} */ one) => one.digest === message.names);
  return breach ? seconds(breach.cureBy) : undefined;
}

/** @param {State} state @returns {number | undefined} */
const reviewEnds = ({ delivery, terms }) => delivery && delivery.made + duration(terms.deadlines.review);

/** When what a hirer waits for can first have passed by its own clock. @param {State} state @param {State} was */
function hirerWaits(state, was) {
  const { finish, until, heartbeat } = state.terms.deadlines;
  if (!state.begun && was.main !== 'cancelling') return [seconds(until)];
  const { begun } = state;
  // the time for a rework counts from when it was asked for, and that it may have been long under way only its proof shows
  const under = state.main === 'working' && begun ? begun.at - begun.made : 0;
  const waits = [seconds(until), (state.due ?? seconds(finish)) - under];
  // what it has heard of us meanwhile only it knows; it has heard nothing before it let us begin
  return was.main === 'working' && begun ? [...waits, begun.made + HEARTBEATS * duration(heartbeat)] : waits;
}

/** The same of a provider. @param {State} state @param {State} was */
function providerWaits(state, was) {
  const { start, until } = state.terms.deadlines;
  const waits = [seconds(start), seconds(until) + 3600];
  if (was.main === 'suspended') waits.push(seconds(was.suspension.until)); // of suspensions, the last that it had heard of
  if (was.main === 'delivered' && state.delivery) waits.push(/** @type {number} */ (reviewEnds(state)));
  return waits;
}

/** @param {Early} early */
const explain = ({ type, what, said, allowed, sets }) => (what === 'unheard' ? `${type} (silence) came ${instant(said)}; our review was made ${instant(allowed)}, in time` : `${type} (${what}) ${sets ? 'sets' : 'came'} ${instant(said)}; by our record not before ${instant(allowed)}`);

/** What our books object to; nothing once an arbiter, or both together, have decided. @param {Engagement} engagement @returns {string | undefined} */
export function objection({ early, state }) {
  if (early.length === 0 || ['ruling', 'release'].includes(basisOf(state))) return undefined;
  return early.map(explain).join('; ').slice(0, LONGEST_REMARK);
}

/** Whether it is our work that was rejected, to which nobody objects but by a dispute. @param {Engagement} engagement */
const isRejected = ({ view, state }) => view === 'provider' && basisOf(state) !== 'release' && state.disputes.length === 0
  && state.endings.some(({ basis, verdict }) => basis === 'review' && verdict === 'rejected');

/** Whether our books still wait: so that the other side's move can be put before the arbiter, or for what becomes of a document that we accepted. @param {Engagement} engagement @param {number} now */
export function booksWait(engagement, now) {
  const { state, view, early } = engagement;
  if (state.main !== 'closing') return false;
  if (state.lane === `accepted-by-${view}` && now < state.since + duration(state.terms.deadlines.close)) return true;
  if (objection(engagement) === undefined && !isRejected(engagement)) return false;
  const disputed = state.disputes.length > 0;
  if (!disputed && (state.terms.arbiter === undefined || state.closings[view])) return false;
  const end = state.since + duration(state.terms.deadlines.close) - MARGIN;
  // the arbiter has at least the time that it should have had
  const ruled = disputed ? early.filter(({ what }) => ['rulingBy', 'no_ruling'].includes(what)).map(({ allowed }) => allowed) : [];
  return now < Math.max(end, ...ruled);
}
