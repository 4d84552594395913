/** The gate of one side: what the contract allows is booked before it is done (page 06, sections 6.5 and 6.6). */
import { HireError } from './errors.js';
import { amount, amountText, instant, jcs, newId, seconds, sha256 } from './encoding.js';
import { stands } from './judge.js';
import { decide } from './scope.js';
import { askedFor, refusalStatement } from './statements.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */

/** What was booked so far, by clause and by the name it is booked under. @param {Conversation} conversation */
function usedBy(conversation) {
  /** @type {Record<string, Record<string, string>>} */ const used = Object.create(null); // a clause or a unit may have the name `constructor`
  for (const { clause, charges } of conversation.bookings.values()) {
    const of = (used[clause] ??= Object.create(null));
    for (const [name, [asked]] of Object.entries(charges)) of[name] = amountText(amount(of[name] ?? '0') + amount(/** @type {string} */ (asked)));
  }
  return used;
}

/** @param {[string, unknown]} a @param {[string, unknown]} b whose names differ */
const byName = ([a], [b]) => (a < b ? -1 : 1); // what stands under them may have no text

/** The lines of `usage` in messages: every clause and unit over the whole contract of which anything was used. @param {Conversation} conversation */
export function usageOf(conversation) {
  return Object.entries(usedBy(conversation)).sort(byName).flatMap(([clause, units]) => Object.entries(units)
    .filter(([name, value]) => !name.includes('@') && !name.startsWith('approval:') && value !== '0').sort(byName).map(([unit, value]) => ({ clause, unit, amount: value })));
}

/** @param {Conversation} conversation @param {number} now @returns {import('./scope.js').Approved[]} */
function approvedIn({ engagement }, now) {
  return Object.entries(engagement.state.requests).map(([request, one]) => ({ request, .../** @type {any} */ (one) }))
    .filter(({ answer, message, at }) => answer?.granted && at <= seconds(message.answerBy) && now <= seconds(answer.until))
    .map(({ request, message, answer }) => ({ request, clause: message.clause, arguments: message.arguments, uses: answer.uses, until: answer.until }));
}

/** A no, stated for the same thing after a minute and then after twice as long each time, and no more than 1,024 times under a contract (HIRE-GAT-02, HIRE-LIM-05). @param {Conversation} conversation @param {import('./scope.js').Action} action @param {any} taken @param {string} code @param {number} now */
function record(conversation, action, taken, code, now) {
  const { peer, id, engagement, refusals, recorded } = conversation;
  const { contract } = engagement.state;
  const name = jcs([action.name, action.target, action.amounts ?? {}, taken.clause, code]);
  const before = refusals.get(name);
  if (!contract || (before && now < before.at + before.pause) || recorded.refusals >= 1024) {
    if (before) before.repeated += 1;
    return;
  }
  const repeated = before?.repeated ? { repeated: before.repeated } : {};
  const statement = refusalStatement({
    contract, engagement: id, gate: peer.did, at: taken.at, action: action.name, target: action.target, amounts: action.amounts ?? {}, facts: action.facts ?? {}, code, clause: taken.clause,
    reason: code, ...repeated,
  }, peer.key);
  peer.write(conversation, { k: 'refused', at: now, engagement: id, taken, name, statement }, conversation.leaf(now, 'refusal', sha256(jcs(statement))));
  conversation.refusedAt(name, now);
}

/** What the contract says to an action now. @param {Conversation} conversation @param {string} requester @param {import('./scope.js').Action} action @param {boolean} ours @param {number} now @returns {any} */
function answerTo(conversation, requester, action, ours, now) {
  const { state } = conversation.engagement;
  if (state.main !== 'working' || !state.contract) return { code: 'contract_expired', clause: 'state' };
  if (requester !== state.document.provider) return { code: 'scope_exceeded', clause: 'provider' };
  const { deadlines, scope } = state.terms;
  const inTime = now <= seconds(deadlines.until) && (deadlines.notBefore === undefined || now >= seconds(deadlines.notBefore));
  if (!inTime) return { code: 'contract_expired', clause: 'until' };
  const answer = decide(scope, action, { now, used: usedBy(conversation), approved: approvedIn(conversation, now) });
  return answer.answer === 'yes' && !ours ? { code: 'scope_exceeded', clause: answer.clause } : answer;
}

/** @param {Conversation} conversation @returns {Promise<any>} the no, if what the other side showed does not hold now */
async function fallen(conversation) {
  try { await stands(conversation); } catch (error) {
    if (!(error instanceof HireError)) throw error;
    return { code: error.code, clause: 'mustStayValid' };
  }
  return undefined;
}

/**
 * Books an action and says under which id; a no is recorded and thrown.
 * @param {Conversation} conversation @param {string} requester @param {import('./scope.js').Action} action
 * @param {boolean} [ours] whether what is asked for is of this contract, however wide its grants are
 * @returns {Promise<{id: string, clause: string}>}
 */
export async function admit(conversation, requester, action, ours = true) {
  let now = conversation.peer.now();
  let answer = answerTo(conversation, requester, action, ours, now);
  if (answer.answer === 'yes') { // after what costs nothing; and what ended meanwhile has ended
    const no = await fallen(conversation);
    now = conversation.peer.now();
    answer = no ?? answerTo(conversation, requester, action, ours, now);
  }
  const allowed = answer.answer === 'yes';
  const asked = allowed ? { action: action.name, target: action.target } : askedFor(action.name, action.target);
  const taken = { at: instant(now), ...asked, clause: answer.clause, allowed };
  if (!allowed) {
    record(conversation, action, taken, answer.code, now);
    conversation.took(taken);
    throw Object.assign(new HireError(answer.code, `${action.name} ${action.target}: ${answer.clause}`), { clause: answer.clause });
  }
  const id = newId();
  const booked = { clause: answer.clause, charges: answer.charges };
  conversation.peer.write(conversation, { k: 'booked', at: now, engagement: conversation.id, id, taken, ...booked });
  conversation.took(taken);
  conversation.bookings.set(id, booked);
  return { id, clause: answer.clause };
}
