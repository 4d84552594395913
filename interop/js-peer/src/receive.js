/** A message that arrived: its proof, its place, what it carries, and only then its effect (page 10, section 10.1). */
import { check, HireError } from './errors.js';
import { countersigned, verifyAccepted, verifyOffered } from './contract.js';
import { verifyMessage } from './message.js';
import { verifyParents } from './parents.js';
import { verifyPresentation } from './presentation.js';
import { verifyAlone } from './proofs.js';
import { checkNames } from './did.js';
import { digestOfHash } from './encoding.js';
import { contractLeaf } from './ledger.js';
import { verifyReview } from './statements.js';
import { inForce } from './guards.js';
import { checkStated } from './stated.js';
import { checkShape } from './schema.js';
import { SUITES } from './keys.js';

/**
 * @typedef {{resolver: import('./did.js').Resolver, own: string, at: number, bytes?: number, suites?: string[], heads?: import('./ledger.js').Heads, log?: import('./ledger.js').Log, continues?: (named: string) => boolean, subcontracts?: boolean}} Reader
 *   `heads` of the logs of others, and our own `log`; `continues`: whether what is named is a no of these two that may be continued; `subcontracts`: contracts under contracts are taken
 */

/**
 * @param {import('./machine.js').Engagement} engagement @param {any} message whose shape was checked @param {Reader} reader
 * @returns {Promise<{outcome: string, credentials?: any[], evidence: any, documents: any[], commit: () => void}>} nothing is changed until `commit`. `evidence` is the sender's
 *   document by which it was checked, `documents` are the others by which what it carries was
 */
export async function weigh(engagement, message, { resolver: whole, own, at, bytes, suites = Object.keys(SUITES), heads = new Map(), log, continues = () => true, subcontracts = false }) {
  const agreed = agreedSuites(engagement, message).filter((suite) => suites.includes(suite));
  const { document: evidence } = await verifyMessage(message, { resolver: whole, recipient: own, now: at, suites: agreed });
  /** @type {import('./did.js').Document[]} */ const documents = [];
  const resolver = whole.noting(documents);
  try {
    const judged = engagement.judge(message, { at, bytes });
    const { outcome } = judged;
    if (outcome !== 'repeat') {
      checkNames(evidence, engagement.documents);
      engagement.checkRoom(evidence);
    }
    /** @type {any[] | undefined} */ let credentials;
    const by = { resolver, own, at, suites: agreed, heads, log, continues, subcontracts };
    if (outcome === 'applies') credentials = await checkCarried(engagement, message, by);
    else if (outcome !== 'repeat' && message.type === 'Ruling') await checkRuling(engagement, message, by);
    else if (outcome !== 'repeat' && message.type === 'Review') await checkReview(engagement, message, by);
    if (outcome !== 'repeat') await checkStated(engagement, message, evidence, by); // whatever it moves, it is stated
    const others = documents.filter((one) => !one.id.startsWith('did:key:') && JSON.stringify(one) !== JSON.stringify(evidence));
    // whose documents these are its sender chose: who stands above an offer, judges or rules, and a fresher one of its own; ours is none of them
    const brought = others.filter(({ id }) => id === message.sender || (id !== own && message.type !== 'Presentation'));
    for (const document of brought) {
      checkNames(document, [...engagement.documents, evidence]);
      engagement.checkRoom(document);
    }
    const commit = () => {
      for (const one of [evidence, ...brought]) engagement.shown(one);
      engagement.commit(message, judged);
    };
    return { outcome, credentials, evidence, documents: others, commit };
  } catch (error) {
    // the message is its sender's, so it may hear what is wrong with it (page 09, section 9.3)
    throw error instanceof HireError ? Object.assign(error, { proved: true }) : error;
  }
}

/** @param {import('./machine.js').Engagement} engagement @param {any} message @param {Reader} reader */
export async function receive(engagement, message, reader) {
  const found = await weigh(engagement, message, reader);
  found.commit();
  return found;
}

/** What is the matter with a credential and not with the message that shows it (HIRE-CRD-01). */
const OF_A_CREDENTIAL = new Set(['policy_denied', 'did_unresolvable']);

/** @param {import('./machine.js').Engagement} engagement @param {any} message @returns {string[]} */
function agreedSuites({ state }, message) {
  if (state.profile) return [state.profile.suite];
  return message.type === 'Profile' && state.inquiry ? state.inquiry.suites : Object.keys(SUITES);
}

/** @typedef {{resolver: any, own: string, at: number, suites: string[], heads: import('./ledger.js').Heads, log: import('./ledger.js').Log | undefined, continues: (named: string) => boolean, subcontracts: boolean}} By */

/** @param {import('./machine.js').Engagement} engagement @param {any} message @param {By} by */
async function checkCarried(engagement, message, by) {
  const { state } = engagement;
  const { resolver, at, suites, continues, subcontracts } = by;
  if (message.type === 'Inquiry') check(message.continues === undefined || continues(message.continues), 'wrong_negotiation', 'continues', '/continues');
  if (message.type === 'Presentation') return verifyPresentation(message, resolver, at, OF_A_CREDENTIAL);
  if (message.type === 'Offer') {
    check(subcontracts || message.document.parent === undefined, 'chain_invalid', 'a contract under a contract', '/document/parent'); // page 17, section 17.1
    await verifyOffered(message.document, message.role, resolver, suites, at);
    if (message.role === 'hirer' && message.document.type !== 'Release') await verifyParents(message.document, message.parents, resolver, at);
    else check(message.parents === undefined, 'schema_violation', 'parents', '/parents');
  }
  if (message.type === 'Acceptance') await verifyAccepted(state.live.document, message.contractProof, message.role, resolver, suites, at);
  if (message.type === 'Seal') checkPlace(state, message);
  if (message.type === 'Ruling') await checkRuling(engagement, message, by);
  if (message.type === 'Closing') checkServed(message, state);
  if (message.type === 'Review') await checkReview(engagement, message, by);
  return undefined;
}

/** The place that a `Seal` states is in its sender's log, and of what both signed (HIRE-LOG-02). @param {any} state @param {any} message */
function checkPlace({ live, accepted }, { sender, ledger }) {
  const leaf = digestOfHash(contractLeaf(countersigned(live.document, accepted.proof)));
  check(ledger.log === sender && ledger.leaf === leaf, 'log_proof_invalid', 'place', '/ledger');
}

/** What a provider says at the end to have advertised is what its `Profile` said (HIRE-CAP-03). @param {any} closing @param {any} state */
export function checkServed({ role, capacity }, { profile, terms }) {
  const advertised = profile.capabilities.find((/** @type {any} */ one) => one.task === terms.task.kind)?.capacity;
  check(capacity === undefined || (role === 'provider' && capacity.advertised === advertised), 'terms_mismatch', 'capacity', '/capacity');
}

/** The statement of a `Review` is the verifier's, and says what the verdict says. @param {import('./machine.js').Engagement} engagement @param {any} message @param {By} by */
async function checkReview(engagement, message, by) {
  const known = inForce(engagement.state, message, engagement).reverse(); // a seal that it had not seen: first of the terms that its sender knew
  /** @type {unknown} */ let failure;
  for (const named of new Set(known.map(({ terms }) => terms.evidence.verifier))) {
    try {
      return await checkVerdict(engagement, message, by, named);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** The same of the verifier that the terms name, or of the hirer. @param {import('./machine.js').Engagement} engagement @param {any} message @param {By} by @param {string | undefined} named */
async function checkVerdict({ state, messages, documents }, message, { resolver, at }, named) {
  const verifier = named ?? message.sender;
  const judged = named ? [message.sender, message.recipient] : [message.recipient];
  const parties = [...await Promise.all(judged.map((did) => resolver.resolve(did))), ...documents.filter(({ id }) => judged.includes(id))]; // HIRE-ATT-06
  // HIRE-ATT-02: signed again after a rotation, a review carries the statement that it carried
  const earlier = named ? [] : documents.filter(({ id }) => id === message.sender);
  const document = await resolver.resolve(verifier);
  verifyReview(message, { delivery: messages[state.delivery.digest], contract: state.contract, verifier, document, earlier, parties, now: at });
}

/** @param {import('./machine.js').Engagement} engagement @param {any} message @param {Pick<By, 'resolver' | 'at'>} by */
export async function checkRuling({ state }, message, { resolver, at }) {
  const { ruling } = message;
  checkShape('ArbiterRuling', ruling);
  const { proof } = ruling;
  check(proof !== undefined, 'proof_missing', 'ruling');
  const named = (/** @type {string} */ did) => String(proof.verificationMethod).startsWith(`${did}#`);
  const arbiter = state.arbiters.find(named) ?? state.arbiters.at(-1);
  check(arbiter !== undefined, 'terms_mismatch', 'no arbiter');
  await verifyAlone(ruling, { did: await resolver.resolve(arbiter, { fresh: true, method: proof.verificationMethod, relationship: 'assertionMethod' }), purpose: 'assertionMethod', now: at, lasting: true }); // a ruling stays provable
}
