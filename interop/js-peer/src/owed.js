/** How a contract ended, and what is owed by that (page 07, HIRE-LIF-11 and section 7.12). */
import { amount, amountText, digest } from './encoding.js';

/** @typedef {import('./machine.js').State} State */
/** @typedef {import('./machine.js').Ref} Ref */

/**
 * What a move says about how the contract ends. By silence closes who still waited for the review (HIRE-LIF-11).
 * @param {any} message @param {Ref} ref @param {State} was where its sender was
 */
export function endingOf(message, ref, was) {
  if (message.type === 'Ruling') return [{ ...ref, basis: 'ruling' }];
  if (message.type === 'Terminate') return [{ ...ref, basis: 'terminate' }];
  if (message.type === 'Review' && message.verdict !== 'rework') return [{ ...ref, basis: 'review', verdict: message.verdict }];
  return bySilence(message, was) ? [{ ...ref, basis: 'silence' }] : [];
}

/** @param {any} message @param {State} was where its sender was */
export const bySilence = (message, was) => message.type === 'Closing' && message.basis === 'silence' && message.role === 'provider' && was.main === 'delivered';

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
  if (basis === 'silence') return state.terms.onSilence === 'accepted' && state.outcome === 'complete' ? price : none; // of what failed nothing is accepted (HIRE-LIF-07)
  return none;
}

/** @typedef {{clause: string, unit: string, amount: string}[]} Usage */

/** @param {Usage} usage @param {{clause: string, unit: string}} of @returns {string} */
const amountIn = (usage, { clause, unit }) => usage.find((line) => line.clause === clause && line.unit === unit)?.amount ?? '0';

/**
 * What the other side's `Closing` says otherwise than this side holds (page 07, HIRE-LIF-08). Of usage only that the hirer counted more than the provider says: a provider may
 * use what no gate of the hirer's sees. @param {State} state after it @param {any} closing @param {Usage} [used] as our own gate counted @returns {string[]}
 */
export function booksDiffer(state, { settlement, basis, delivery = 'none', role, usage = [] }, used = []) {
  const ours = owed(state);
  const rests = basisOf(state);
  // A delivery that crossed a Terminate is none for the side that said it (HIRE-LIF-12), unless it was decided on all the same.
  const crossed = !['review', 'silence'].includes(rests) && state.endings.some((/** @type {any} */ one) => one.basis === 'terminate');
  const delivered = crossed ? delivery : state.delivery?.digest ?? 'none';
  const pairs = [['owed', `${settlement.amount} ${settlement.currency}`, `${ours.amount} ${ours.currency}`], ['basis', basis, rests], ['delivery', delivery, delivered]];
  const [counted, told] = role === 'provider' ? [used, usage] : [usage, used];
  for (const { clause, unit } of counted.filter((line) => amount(line.amount) > amount(amountIn(told, line)))) {
    pairs.push([`usage of ${JSON.stringify(clause)} in ${JSON.stringify(unit)}`, amountIn(usage, { clause, unit }), amountIn(used, { clause, unit })]);
  }
  return pairs.filter(([, their, own]) => their !== own).map(([what, their, own]) => `${what}: ${their} by the other side, ${own} by ours`);
}
