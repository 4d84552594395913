/** What both roles write: offers, acceptances, seals, closings. */
import { CONTEXT, amount, duration, instant, jcs, seconds } from './encoding.js';
import { countersigned, covered, other } from './contract.js';
import { methodsOf } from './did.js';
import { usageOf } from './gate.js';
import { basisOf, owed } from './owed.js';
import { answersTo, present } from './presentation.js';
import { objection } from './untimely.js';
import { makeProof, proofId } from './proofs.js';
import { judge } from './judge.js';

/** @typedef {import('./conversation.js').Conversation} Conversation */
/**
 * @typedef {{type: string, body: any, sealed?: any, decisions?: import('./judge.js').Decision[]}} Said `sealed`: the document with both proofs that a `Seal` makes a
 *   contract or a change; `decisions` are recorded with it
 */

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
  const methods = methodsOf(theirs, 'assertionMethod').sort().slice(0, 16);
  const place = (/** @type {any[]} */ moves) => ({ sequence: moves.length, digest: moves.at(-1).digest });
  const parent = state.live?.document.parent;
  const document = {
    '@context': CONTEXT, id, type: 'Contract', engagement: conversation.id,
    hirer: role === 'hirer' ? peer.did : conversation.with, provider: role === 'provider' ? peer.did : conversation.with,
    methods: { [role]: [peer.key.method], [other(role)]: methods },
    transcript: { [role]: place(conversation.own), [other(role)]: place(conversation.theirs) },
    terms: termsFor(id), ...(parent ? { parent } : {}),
  };
  const { decision, no } = await judge(conversation, document.terms);
  if (no) return declined(conversation, no, decision);
  if (!peer.books.fits(conversation, document.terms)) return peer.books.noRoom(conversation, document.terms.task.kind);
  const proof = await makeProof(document, peer.key, { ...proofId(), cryptosuite: state.profile.suite, proofPurpose: 'assertionMethod', created: instant(now) });
  const reply = state.live ? { inReplyTo: state.live.digest } : {};
  return { type: 'Offer', body: { document: { ...document, proof }, validUntil: instant(now + validFor), ...reply, head: peer.head() }, decisions: [decision] };
}

/** An end of what is on the table, or of the negotiation. @param {Conversation} conversation @param {string} reason @param {any[]} [needed] @returns {Said} */
export function withdraw({ engagement: { state: { live } } }, reason, needed) {
  return { type: 'Withdraw', body: { reason, ...(live ? { offer: live.digest } : {}), ...(needed?.length ? { needed } : {}) } };
}

/** The same for what a decision says. @param {Conversation} conversation @param {{reason: string, needed?: any[]}} no @param {import('./judge.js').Decision} decision @returns {Said} */
export function declined(conversation, { reason, needed }, decision) {
  return { ...withdraw(conversation, reason, needed), decisions: [decision] };
}

/** What the other side asks to be shown, in answer to its last move. @param {Conversation} conversation @param {any} request */
export async function shown({ id, peer, engagement, theirs, with: domain }, request) {
  const challenge = theirs.at(-1).digest;
  const of = { holder: peer.did, engagement: id, challenge, domain, credentials: answersTo(peer.credentials, request) };
  return { answers: challenge, presentation: await present(of, peer.key, engagement.state.profile.suite, peer.now()) };
}

/** What a document is judged as: a release by which more is owed, as an amendment to that price (HIRE-APR-08). @param {any} document @param {any} inForce */
export function judgedAs({ terms, settlement }, inForce) {
  if (terms) return terms;
  const { price } = inForce;
  const more = settlement.currency !== price.currency || amount(settlement.amount) > amount(price.amount);
  return more && settlement.amount !== '0' ? { ...inForce, price: settlement } : inForce;
}

/** The answer to an offer that suits, or a `Withdraw` where something stands against it. @param {Conversation} conversation @returns {Promise<Said>} */
export async function acceptance(conversation) {
  const { engagement, peer } = conversation;
  const { live, profile, contract, terms: inForce } = engagement.state;
  const terms = judgedAs(live.document, inForce);
  const { decision, no } = await judge(conversation, terms, true);
  if (no) return declined(conversation, no, decision);
  if (!live.document.methods[conversation.role].includes(peer.key.method)) return declined(conversation, { reason: 'declined', needed: [{ code: 'methods', member: '/methods' }] }, decision);
  if (!contract && !peer.books.fits(conversation, terms)) return peer.books.noRoom(conversation, terms.task.kind);
  const { proof: first } = live.document;
  const proof = await makeProof(covered(live.document), peer.key, {
    ...proofId(), cryptosuite: profile.suite, proofPurpose: 'assertionMethod', created: instant(peer.now()), previousProof: first.id,
  });
  return { type: 'Acceptance', body: { offer: live.digest, document: live.name, contractProof: proof, head: peer.head() }, decisions: [decision] };
}

/** The answer to an acceptance of our offer: `Seal`, or `Withdraw` where something stands against it. @param {Conversation} conversation @returns {Promise<Said>} */
export async function seal(conversation) {
  const { live, accepted, main, terms } = conversation.engagement.state;
  if (['closing', 'closed'].includes(main) || (main === 'disputed' && live.document.type !== 'Release')) return withdraw(conversation, 'ended');
  if (accepted.overtaken) return withdraw(conversation, 'overtaken');
  if (accepted.at > seconds(live.validUntil)) return withdraw(conversation, 'offer_expired');
  const { decision, no } = await judge(conversation, judgedAs(live.document, terms), true);
  if (no) return declined(conversation, { reason: no.reason === 'status_unavailable' ? 'status_unavailable' : 'revoked' }, decision);
  return { type: 'Seal', body: { offer: live.digest, document: live.name, acceptance: accepted.digest }, sealed: countersigned(live.document, accepted.proof), decisions: [decision] };
}

/** @param {Conversation} conversation @param {string} [basis] @returns {Said} */
export function closing(conversation, basis = basisOf(conversation.engagement.state)) {
  const { engagement, peer, role } = conversation;
  const { state } = engagement;
  const silent = basis === 'silence' ? { ...state, endings: [...state.endings, { basis }] } : state;
  const inputs = (state.started?.inputs ?? []).map((/** @type {any} */ one) => one.digest).sort();
  const end = (state.main === 'closing' ? state.since : peer.now()) + duration(state.terms.dataHandling.retention); // however late the books are closed
  const handled = inputs.length ? { dataHandling: { destroy: [...new Set(inputs)], by: instant(end) } } : {};
  const remark = objection(engagement);
  return {
    type: 'Closing',
    body: {
      contract: state.inForce, basis, usage: usageOf(conversation), settlement: owed(silent), checkpoint: peer.checkpoint(), checkpointAt: instant(peer.now()), cosignatures: [],
      recorded: conversation.recorded,
      ...(state.delivery ? { delivery: state.delivery.digest } : {}), ...handled, ...served(conversation),
      ...(remark ? { objection: remark } : {}),
    },
  };
}

/** HIRE-CAP-03. @param {Conversation} conversation */
function served({ engagement, role, facts }) {
  if (role !== 'provider') return {};
  const { profile, terms } = engagement.state;
  const advertised = profile.capabilities.find((/** @type {any} */ one) => one.task === terms.task.kind)?.capacity;
  return Number.isSafeInteger(advertised) ? { capacity: { advertised, met: Math.max(1, facts.most ?? 0) } } : {};
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
