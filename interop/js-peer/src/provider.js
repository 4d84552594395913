/** What a provider says next. */
import { judge } from './judge.js';
import { acceptance, capabilityFor, closing, declined, METHODS, offer, rebased, seal, shown, withdraw } from './papers.js';
import { listens, tooLong } from './deadlines.js';
import { amount, duration, instant, newNonce, seconds } from './encoding.js';
import { usageOf } from './gate.js';
import { PROVENANCE, WORK } from './predicates.js';
import { holdsDelivery, work } from './job.js';

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {{task: string, summary: string, price: {amount: string, currency: string}, delivers: string, mediaType: string, capacity?: number, run: (job: import('./job.js').Job) => Promise<void>}} Service
 * @typedef {import('./papers.js').Said} Said
 */

const ANSWER_SECONDS = 300;
/** @param {Conversation} conversation @returns {Promise<Said | undefined>} nothing while another owes, or work is under way */
export async function decideAsProvider(conversation) {
  const { state } = conversation.engagement;
  switch (state.main) {
    case 'inquired': return profile(conversation);
    case 'presented': return presentation(conversation);
    case 'ready': return state.opens === 'provider' ? opening(conversation) : undefined;
    case 'offered-by-hirer': return answer(conversation);
    case 'accepted-by-hirer': return seal(conversation);
    case 'working': return begin(conversation);
    case 'cancelling': return nothingMade(conversation, 'cancelled');
    case 'delivered': return closes(conversation, conversation.peer.now()) ? closing(conversation, 'silence') : undefined;
    default: return undefined;
  }
}

/** @param {Conversation} conversation @returns {Said} */
function profile(conversation) {
  const { engagement, peer, theirs } = conversation;
  const { inquiry } = engagement.state;
  const service = peer.services.get(inquiry.need);
  if (!service || inquiry.task.kind !== service.task) return withdraw(conversation, 'not_offered');
  if (inquiry.tender) return withdraw(conversation, 'opens', [{ code: 'opens', member: 'tender' }]);
  const suite = peer.suites.find((one) => inquiry.suites.includes(one));
  if (!suite || !inquiry.versions.includes('1.0')) return withdraw(conversation, 'version_not_supported');
  if (peer.books.full(service.task)) return peer.books.noRoom(conversation, service.task);
  return {
    type: 'Profile',
    body: {
      version: '1.0', nonce: newNonce(), inquiry: theirs[0].digest, versions: inquiry.versions, suites: inquiry.suites, suite, hybrid: false,
      capabilities: [{ task: service.task, summary: service.summary, price: service.price, delivers: [{ name: service.delivers, mediaType: service.mediaType }], capacity: peer.books.capacity(service.task) }],
      request: peer.request, respondBy: instant(peer.now() + ANSWER_SECONDS),
    },
  };
}

/** @param {Conversation} conversation @returns {Promise<Said>} */
async function presentation(conversation) {
  const { decision, no } = await judge(conversation);
  if (no) return declined(conversation, no, decision);
  const { request } = conversation.last('Presentation', 'hirer');
  return { type: 'Presentation', body: await shown(conversation, request), decisions: [decision] };
}

/** Where the hirer wants us to open: our list, in the shape of its task and sketch. @param {Conversation} conversation @returns {Promise<Said>} */
async function opening(conversation) {
  const { inquiry, profile: said } = conversation.engagement.state;
  const capability = capabilityFor(said.capabilities, inquiry.task.kind);
  return offer(conversation, (base) => conversation.peer.termsFor(base, { task: inquiry.task, sketch: inquiry.scopeSketch, capability, price: capability.price, criteria: {} }));
}

/** To the hirer's offer: take it at our price or better, name our price once, or walk away. @param {Conversation} conversation @returns {Promise<Said>} */
async function answer(conversation) {
  const { engagement, peer } = conversation;
  const { live, rounds, inquiry } = engagement.state;
  const { terms } = live.document;
  const service = peer.services.get(terms.task.kind);
  if (!service) return withdraw(conversation, 'not_offered');
  if (!METHODS.includes(terms.settlement.method)) return withdraw(conversation, 'declined', [{ code: 'settlement', member: '/terms/settlement' }]);
  if (!vouched(conversation)) return withdraw(conversation, 'declined', [{ code: 'terms_mismatch', member: '/document/organisations' }]);
  const suits = terms.deliverables.every((/** @type {any} */ one) => one.name === service.delivers) && !terms.evidence.c2pa && terms.evidence.sbom === undefined;
  if (!terms.evidence.predicates.every((/** @type {string} */ one) => [WORK, PROVENANCE].includes(one))) return withdraw(conversation, 'declined', [{ code: 'member', member: '/evidence/predicates' }]);
  if (!suits || terms.price.currency !== service.price.currency) return withdraw(conversation, 'declined');
  const member = tooLong(live, peer.now());
  if (member) return withdraw(conversation, 'declined', [{ code: 'too_long', member }]);
  const enough = amount(terms.price.amount) >= amount(service.price.amount);
  if (enough && peer.now() <= seconds(live.validUntil)) return acceptance(conversation);
  const named = conversation.last('Offer', 'provider') !== undefined;
  if (named || rounds >= inquiry.limits.rounds) return withdraw(conversation, rounds >= inquiry.limits.rounds ? 'round_limit' : 'declined');
  return offer(conversation, (base) => ({ ...rebased(terms, base), price: enough ? terms.price : service.price }));
}

/** Whether each organisation that the offer names vouches for its party, by what that one showed: both signatures cover it. @param {Conversation} conversation */
function vouched(conversation) {
  const { hirer, provider } = conversation.engagement.state.live.document.organisations ?? {};
  const ours = conversation.last('Presentation', 'provider').presentation.verifiableCredential ?? [];
  const vouches = (/** @type {any[]} */ held, /** @type {string | undefined} */ did) => did === undefined || held.some(({ type, issuer }) => type.includes('MembershipCredential') && (issuer.id ?? issuer) === did);
  return vouches(conversation.shown, hirer) && vouches(ours, provider);
}

/** Work begins once for each round; what it comes to is said when it is done. @param {Conversation} conversation */
function begin(conversation) {
  const { state } = conversation.engagement;
  const service = conversation.peer.services.get(state.terms.task.kind);
  if (conversation.working || state.started.late) return undefined; // which ends the contract (HIRE-LIF-16)
  if (!service) return nothingMade(conversation, 'failed'); // nothing here does it any more (HIRE-LIF-15)
  conversation.working = true;
  work(conversation, service).catch((error) => conversation.peer.log(conversation, 'work', error)).finally(() => { conversation.working = false; });
  return undefined;
}

/** The `Delivery` where no work is under way: after a `Cancel` it never began, or ended with a crash. @param {Conversation} conversation @param {'cancelled' | 'failed'} outcome @returns {Said | undefined} */
function nothingMade(conversation, outcome) {
  const { contract, round } = conversation.engagement.state;
  if (conversation.working || holdsDelivery(conversation)) return undefined;
  return { type: 'Delivery', body: { contract, outcome, artifacts: [], statements: [], usage: usageOf(conversation), round } };
}

/** @param {Conversation} conversation @param {number} now */
const closes = (conversation, now) => closesBySilence(conversation.engagement.state, now) && !listens(conversation, now);

/** Whether we close by silence. A seal that crosses it counts, and what is owed is said once: so we wait for what becomes of a document that we accepted. @param {any} state @param {number} now */
export function closesBySilence({ delivery, terms: { deadlines }, lane }, now) {
  const ends = delivery.at + duration(deadlines.review);
  const later = lane === 'accepted-by-provider' ? Math.min(ends + duration(deadlines.close), seconds(deadlines.until)) : 0;
  return now > ends && now >= later;
}
