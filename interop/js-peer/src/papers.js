/** What both roles write: offers, acceptances, seals, closings. */
import { check, HireError } from './errors.js';
import { CONTEXT, digestOfHash, duration, instant, jcs, seconds } from './encoding.js';
import { covered, other } from './contract.js';
import { usageOf } from './gate.js';
import { basisOf, owed } from './machine.js';
import { objection } from './untimely.js';
import { makeProof, proofId } from './proofs.js';
import { answersTo, satisfies, verifyCredential } from './presentation.js';
import { checkStatus } from './status.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/** @typedef {{type: string, body: any, leaf?: Buffer}} Said */

/** How a price may be settled: both leave it to the parties (HIRE-PAY-02). */
export const METHODS = ['none', 'invoice'];

/**
 * An `Offer` of terms whose ids are those of `base`, in answer to the live offer if there is one.
 * @param {Conversation} conversation @param {(base: string) => any} termsFor @param {number} [validFor] seconds @returns {Promise<Said>}
 */
export async function offer(conversation, termsFor, validFor = 300) {
  const { engagement, peer, role } = conversation;
  const { state } = engagement;
  const now = peer.now();
  const id = `${conversation.id}:${role}:${conversation.own.length + 1}`;
  const theirs = await peer.resolver.resolve(conversation.with, { fresh: true });
  const methods = (theirs.assertionMethod ?? []).map((one) => (typeof one === 'string' ? one : one.id)).sort().slice(0, 16);
  const place = (/** @type {any[]} */ moves) => ({ sequence: moves.length, digest: moves.at(-1).digest });
  const parent = state.live?.document.parent;
  const document = {
    '@context': CONTEXT, id, type: 'Contract', engagement: conversation.id,
    hirer: role === 'hirer' ? peer.did : conversation.with, provider: role === 'provider' ? peer.did : conversation.with,
    methods: { [role]: [peer.key.method], [other(role)]: methods },
    transcript: { [role]: place(conversation.own), [other(role)]: place(conversation.theirs) },
    terms: termsFor(id), ...(parent ? { parent } : {}),
  };
  const proof = await makeProof(document, peer.key, { ...proofId(), cryptosuite: state.profile.suite, proofPurpose: 'assertionMethod', created: instant(now) });
  const reply = state.live ? { inReplyTo: state.live.digest } : {};
  return { type: 'Offer', body: { document: { ...document, proof }, validUntil: instant(now + validFor), ...reply, head: peer.head() } };
}

/** @param {Conversation} conversation @returns {Promise<Said>} */
export async function acceptance(conversation) {
  const { engagement, peer } = conversation;
  const { live, profile } = engagement.state;
  await recheck(conversation);
  check(live.document.methods[conversation.role].includes(peer.key.method), 'key_not_authorized', 'the document does not let our key sign');
  const { proof: first } = live.document;
  const proof = await makeProof(covered(live.document, first), peer.key, {
    ...proofId(), cryptosuite: profile.suite, proofPurpose: 'assertionMethod', created: instant(peer.now()), previousProof: first.id,
  });
  return { type: 'Acceptance', body: { offer: live.digest, document: live.name, contractProof: proof, head: peer.head() } };
}

/** The answer to an acceptance of our offer: `Seal`, or `Withdraw` where something stands against it. @param {Conversation} conversation @returns {Promise<Said>} */
export async function seal(conversation) {
  const { live, accepted, main } = conversation.engagement.state;
  const ended = ['closing', 'closed'].includes(main) || (main === 'disputed' && live.document.type !== 'Release');
  if (ended) return { type: 'Withdraw', body: { reason: 'ended', offer: live.digest } };
  if (accepted.overtaken) return { type: 'Withdraw', body: { reason: 'overtaken', offer: live.digest } };
  if (accepted.at > seconds(live.validUntil)) return { type: 'Withdraw', body: { reason: 'offer_expired', offer: live.digest } };
  try { await recheck(conversation); } catch (error) {
    const reason = error instanceof HireError && ['policy_denied', 'revoked'].includes(error.code) ? 'revoked' : 'status_unavailable';
    return { type: 'Withdraw', body: { reason, offer: live.digest } };
  }
  const { peer } = conversation;
  const leaf = conversation.leafOf(live.document, accepted.proof);
  const ledger = { log: peer.did, index: peer.leaves.length, leaf: digestOfHash(leaf) };
  return { type: 'Seal', body: { offer: live.digest, document: live.name, acceptance: accepted.digest, ledger }, leaf };
}

/**
 * What the other side showed and was asked for holds now, its status fetched now (HIRE-NEG-04, HIRE-STA-05). What it was not
 * asked for says nobody whom to call.
 * @param {Conversation} conversation
 */
async function recheck(conversation) {
  const { peer, shown } = conversation;
  check(satisfies(shown, peer.request), 'policy_denied', 'not shown what was asked for');
  for (const credential of answersTo(shown, peer.request)) {
    await verifyCredential(credential, conversation.with, peer.resolver, peer.now());
    await checkStatus(credential, peer.resolver, peer.now());
  }
}

/** Why we do not go on with what was shown, if we do not. @param {Conversation} conversation @returns {Promise<Said | undefined>} */
export async function denied(conversation) {
  try { await recheck(conversation); } catch (error) {
    if (!(error instanceof HireError)) throw error;
    const reason = ['revoked', 'status_unavailable'].includes(error.code) ? error.code : 'policy_denied';
    const { live } = conversation.engagement.state;
    return { type: 'Withdraw', body: { reason, ...(live ? { offer: live.digest } : {}), ...(reason === 'policy_denied' ? { needed: conversation.peer.request.needs } : {}) } };
  }
  return undefined;
}

/** @param {Conversation} conversation @param {string} [basis] @returns {Said} */
export function closing(conversation, basis = basisOf(conversation.engagement.state)) {
  const { engagement, peer, role } = conversation;
  const { state } = engagement;
  const silent = basis === 'silence' ? { ...state, endings: [...state.endings, { basis }] } : state;
  const inputs = (state.started?.inputs ?? []).map((/** @type {any} */ one) => one.digest).sort();
  const end = peer.now() + duration(state.terms.dataHandling.retention);
  const handled = role === 'provider' && inputs.length ? { dataHandling: { destroy: [...new Set(inputs)], by: instant(end) } } : {};
  const remark = objection(engagement);
  return {
    type: 'Closing',
    body: {
      contract: state.inForce, basis, usage: usageOf(conversation), settlement: owed(silent), checkpoint: peer.checkpoint(), checkpointAt: instant(peer.now()), cosignatures: [],
      ...(state.delivery ? { delivery: state.delivery.digest } : {}), ...handled, ...served(conversation),
      ...(remark ? { objection: remark } : {}),
    },
  };
}

/** HIRE-CAP-03. @param {Conversation} conversation */
function served({ engagement, role, peer }) {
  if (role !== 'provider') return {};
  const { profile, terms } = engagement.state;
  const advertised = profile.capabilities.find((/** @type {any} */ one) => one.task === terms.task.kind)?.capacity;
  return Number.isSafeInteger(advertised) ? { capacity: { advertised, met: peer.most } } : {};
}

/** Terms with the ids of another document (HIRE-CTR-05). @param {any} terms @param {string} base */
export function rebased(terms, base) {
  const old = terms.id.slice(0, -'#terms'.length);
  const moved = (/** @type {any} */ node) => (Array.isArray(node) ? node.map(moved) : node !== null && typeof node === 'object'
    ? Object.fromEntries(Object.entries(node).map(([name, value]) => [name, name === 'id' && typeof value === 'string' && value.startsWith(`${old}#`) ? base + value.slice(old.length) : moved(value)])) : node);
  return { ...moved(terms), task: terms.task, deliverables: terms.deliverables };
}

/** Whether two sets of terms differ in price alone. @param {any} a @param {any} b */
export const onlyPriceDiffers = (a, b) => jcs({ ...rebased(a, 'x'), price: 0 }) === jcs({ ...rebased(b, 'x'), price: 0 });

/** @param {any} capabilities of a `Profile` @param {string} task */
export const capabilityFor = (capabilities, task) => capabilities.find((/** @type {any} */ one) => one.task === task);
