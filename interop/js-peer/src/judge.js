/** Whether to go on with the other side, from what it showed and on which terms, recorded with what that was made from (page 02, section 2.8). */
import { randomBytes } from 'node:crypto';
import { check, HireError } from './errors.js';
import { amount, digestOfBytes, instant, jcs, multibase } from './encoding.js';
import { other } from './contract.js';
import { readCredential, verifyIssued } from './credential.js';
import { answersTo, credentialDigest, satisfies } from './presentation.js';
import { checkStatus } from './status.js';

/**
 * @typedef {{text: string, salt: string, documents: import('./did.js').Document[]}} Decision what is recorded: the decision in canonical form, the salt of its leaf,
 *   and the DID documents by which its inputs were verified
 */

/** Seconds: a list may be so old where nothing is signed yet that binds. */
const FRESH = 300;
const AMOUNT = /^(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?$/;

/**
 * @param {import('./conversation.js').Conversation} conversation @param {any} [terms] on which we would bind ourselves @param {boolean} [binds] whether we would by what is said now
 * @returns {Promise<{decision: Decision, no?: {reason: string, needed?: any[]}}>} `no`: why we do not go on, if we do not
 */
export async function judge(conversation, terms, binds = false) {
  const { peer, shown, engagement, role } = conversation;
  const now = peer.now();
  /** @type {import('./did.js').Document[]} */ const documents = [];
  const resolver = peer.resolver.noting(documents);
  const looked = answersTo(shown, peer.request);
  /** @type {any[]} */ const lists = [];
  /** @type {{clause: string, code: string, value: string}[]} */ const reasons = [];
  /** @type {{code: string, needed?: any[]} | undefined} */ let failed;
  const weigh = async (/** @type {string} */ clause, /** @type {string} */ value, /** @type {() => any} */ holds, /** @type {any[]} */ needed) => {
    try {
      await holds();
      reasons.push({ clause, code: 'met', value });
    } catch (error) {
      if (!(error instanceof HireError)) throw error;
      const code = ['revoked', 'status_unavailable'].includes(error.code) ? error.code : 'policy_denied';
      failed ??= { code, ...(code === 'policy_denied' ? { needed: /** @type {any} */ (error).needed ?? needed } : {}) };
      reasons.push({ clause, code, value });
    }
  };
  const { needs } = peer.request;
  await weigh('require', needs.map((/** @type {any} */ need) => need.credential).join(' '), () => check(satisfies(shown, peer.request), 'policy_denied', 'not shown what was asked for'), needs);
  for (const credential of looked) {
    // before a signature that binds its status is fetched now (HIRE-STA-05); what it was not asked for says nobody whom to call (HIRE-STA-04)
    await weigh('status', credentialDigest(credential), async () => {
      await verifyIssued(credential, readCredential(credential), resolver, now);
      await checkStatus(credential, resolver, now, { lists, kept: peer.lists, age: binds ? 0 : FRESH });
    }, needs);
  }
  if (terms) await weigh('limits', `${terms.price.amount} ${terms.price.currency}`, () => checkLimits(shown, terms), []);
  const presentation = conversation.last('Presentation', other(role))?.presentation;
  const kept = lists.map((list) => peer.store.put(Buffer.from(jcs(list))));
  const text = jcs({
    outcome: failed ? 'deny' : 'allow', peer: conversation.with, policy: 'trust/1', at: instant(now), reasons, needed: failed?.needed ?? [],
    inputs: {
      policy: peer.store.put(Buffer.from(peer.policy)), anchors: digestOfBytes(jcs(needs.flatMap((/** @type {any} */ need) => need.issuers))),
      ...(presentation ? { presentation: digestOfBytes(jcs(presentation)) } : {}), ...(terms ? { terms: digestOfBytes(jcs(terms)) } : {}),
      statusLists: kept, lookedUp: looked.map(credentialDigest), documents: documents.map((one) => digestOfBytes(JSON.stringify(one))), verified: instant(now),
    },
  });
  const decision = { text, salt: multibase(randomBytes(16)), documents: documents.filter(({ id }) => !id.startsWith('did:key:')) };
  return { decision, ...(failed ? { no: { reason: failed.code, ...(failed.needed ? { needed: failed.needed } : {}) } } : {}) };
}

/**
 * That what the other side showed still holds, without which nobody acts under a contract (HIRE-STA-08): its proofs held when it was recorded, so only what can
 * change is looked at. @param {import('./conversation.js').Conversation} conversation
 */
export async function stands({ peer, shown }) {
  for (const credential of answersTo(shown, peer.request)) {
    await checkStatus(credential, peer.resolver, peer.now(), { kept: peer.lists, age: Infinity });
    const { ends = Infinity } = readCredential(credential);
    check(peer.now() <= ends, 'policy_denied', 'validity');
  }
}

/**
 * Terms are within the limits of every membership that was shown (HIRE-CRD-09). Whether its issuer is believed does not matter: limits only narrow. Those that
 * cannot be read cannot be kept to.
 * @param {any[]} shown @param {any} terms
 */
export function checkLimits(shown, { price, scope, termination }) {
  for (const { limits } of shown.filter(({ type }) => type.includes('MembershipCredential')).map(({ credentialSubject }) => credentialSubject)) {
    if (limits === undefined) continue;
    const within = (/** @type {boolean} */ holds, /** @type {string} */ member) => {
      if (!holds) throw Object.assign(new HireError('policy_denied', 'limits of a membership'), { needed: [{ code: 'limits', member }] });
    };
    const { amount: most, currency, actions, ...more } = limits ?? {};
    const known = limits !== null && typeof limits === 'object' && !Array.isArray(limits) && Object.keys(more).length === 0 && (most === undefined || (currency !== undefined && typeof most === 'string' && AMOUNT.test(most)));
    within(known && (currency === undefined || typeof currency === 'string') && (actions === undefined || Array.isArray(actions)), '/terms');
    within(currency === undefined || price.currency === currency, '/terms/price/currency');
    within(most === undefined || amount(price.amount) <= amount(most), '/terms/price/amount');
    within(most === undefined || !termination?.fee || amount(termination.fee.amount) <= amount(most), '/terms/termination/fee');
    within(actions === undefined || (scope.grants ?? []).every((/** @type {any} */ grant) => actions.includes(grant.action)), '/terms/scope/grants');
  }
}
