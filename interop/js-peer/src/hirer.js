/** What a hirer says next. */
import { amount, duration, jcs, seconds } from './encoding.js';
import { tooLong } from './deadlines.js';
import { fetchArtifact } from './artifacts.js';
import { criteriaOf } from './guards.js';
import { acceptance, capabilityFor, METHODS, offer, onlyPriceDiffers, rebased, seal, shown, withdraw } from './papers.js';
import { scopeInside } from './scope.js';
import { acceptanceStatement, verifyDelivery } from './statements.js';

/**
 * @typedef {import('./conversation.js').Conversation} Conversation
 * @typedef {import('./papers.js').Said} Said
 * @typedef {{task: string, summary: string, inputs: {name: string, digest: string, uri: string}[], price: {amount: string, currency: string}, opening?: {amount: string, currency: string}, criteria: Record<string, string>, opens: string, sketch: any}} Order
 */

/** A shorter review would be over, and the price be owed by silence, before what was delivered is fetched. */
const LEAST_REVIEW = 60;

/** @param {Conversation} conversation @returns {Promise<Said | undefined>} */
export async function decideAsHirer(conversation) {
  const { state } = conversation.engagement;
  switch (state.main) {
    case 'profiled': return presentation(conversation);
    case 'ready': return ready(conversation);
    case 'offered-by-provider': return answer(conversation);
    case 'accepted-by-provider': return seal(conversation);
    case 'sealed': return inTime(state, conversation.peer.now()) ? { type: 'Start', body: { contract: state.contract, inputs: conversation.order.inputs } } : undefined;
    case 'delivered': return review(conversation);
    default: return undefined;
  }
}

/** @param {Conversation} conversation @returns {Promise<Said>} */
async function presentation(conversation) {
  const { peer, engagement } = conversation;
  return { type: 'Presentation', body: { ...await shown(conversation, engagement.state.profile.request), request: peer.request } };
}

/** @param {Conversation} conversation @returns {Promise<Said | undefined>} */
async function ready(conversation) {
  const { engagement, order } = conversation;
  if (engagement.state.opens === 'provider') return undefined; // what it showed is judged together with its offer
  return offer(conversation, (base) => wanted(conversation, base, order.opening ?? order.price));
}

/** @param {Conversation} conversation @param {string} base @param {any} price */
function wanted({ peer, engagement, order }, base, price) {
  const { profile, inquiry } = engagement.state;
  const capability = capabilityFor(profile.capabilities, order.task);
  return peer.termsFor(base, { task: inquiry.task, sketch: inquiry.scopeSketch, capability, price, criteria: order.criteria, arbiter: order.arbiter });
}

/** To the provider's offer: take it within our price, or walk away. @param {Conversation} conversation @returns {Promise<Said>} */
async function answer(conversation) {
  const { peer, engagement, order } = conversation;
  const { live, rounds, inquiry } = engagement.state;
  const { terms } = live.document;
  const ours = conversation.last('Offer', 'hirer')?.document.terms;
  const suits = terms.price.currency === order.price.currency && amount(terms.price.amount) <= amount(order.price.amount);
  if (!suits || !(ours ? onlyPriceDiffers(terms, ours) : asWanted(terms, inquiry, order))) return withdraw(conversation, 'declined');
  if (live.document.organisations) return withdraw(conversation, 'declined'); // whom either speaks for is nothing that the other may write
  const member = tooLong(live, peer.now()); // until its answer our acceptance holds the price, and until the end the contract does
  if (member) return withdraw(conversation, 'declined', [{ code: 'too_long', member }]);
  if (peer.now() <= seconds(live.validUntil)) return acceptance(conversation);
  if (rounds >= inquiry.limits.rounds) return withdraw(conversation, 'offer_expired');
  return offer(conversation, (base) => rebased(terms, base));
}

/**
 * Whether terms that the provider drew up are of our task, within the authority that we sketched, and settled as we can (HIRE-PAY-02); and judged by nobody of its
 * choice, held to what we ordered, and leave it no more of our data than we would. @param {any} terms @param {any} inquiry @param {any} order
 */
export function asWanted(terms, { task, scopeSketch }, { criteria, arbiter }) {
  const { evidence, dataHandling, deliverables } = terms;
  const held = Object.entries(criteria).every(([id, text]) => deliverables.some((/** @type {any} */ one) => one.criteria.some((/** @type {any} */ of) => of.id === id && of.text === text)));
  return jcs(terms.task) === jcs(task) && scopeInside(terms.scope, scopeSketch) && (terms.scope.grants ?? []).length <= (scopeSketch.grants ?? []).length && METHODS.includes(terms.settlement.method) && !terms.subcontracting.allowed
    && terms.termination.convenience === 'none' && terms.settlement.milestones === undefined && duration(terms.deadlines.review) >= LEAST_REVIEW
    && held && terms.arbiter === arbiter && evidence.verifier === undefined && !dataHandling.training && !dataHandling.onward && duration(dataHandling.retention) === 0;
}

/** Whether work may be begun now; who is too late is told so by the provider (HIRE-LIF-04). @param {any} state @param {number} now */
export const inTime = ({ terms: { deadlines: { notBefore, start } } }, now) => now <= seconds(start) && (notBefore === undefined || now >= seconds(notBefore));

/** Begins the review, which fetches what was delivered; its verdict is said when it is there. @param {Conversation} conversation */
function review(conversation) {
  if (!conversation.working) {
    conversation.working = true;
    verdict(conversation).catch((error) => conversation.peer.log(conversation, 'review', error)).finally(() => { conversation.working = false; });
  }
  return undefined;
}

/** Where that may be our own line, it is a verdict only while the other side is connected (decision 0294). */
const NOTHING_ANSWERED = new Set(['unreachable', 'did_unresolvable']);

/** @param {Conversation} conversation */
async function verdict(conversation) {
  const { peer, engagement } = conversation;
  const delivery = conversation.last('Delivery', 'provider');
  let holds = false;
  for (const under of judgedBy(engagement.state)) {
    const found = holds || await heldBy(conversation, delivery, under);
    if (found === 'later') return retry(conversation);
    holds = found;
  }
  await conversation.enqueue(async () => {
    const { state } = engagement;
    if (state.main !== 'delivered') return;
    const criteria = criteriaOf(state.terms).map((id) => ({ id, met: holds }));
    const statement = acceptanceStatement(delivery, { contract: state.contract, document: state.document.id, verifier: peer.did, passed: holds, now: peer.now() }, peer.key);
    await conversation.say({ type: 'Review', body: { delivery: state.delivery.digest, verdict: holds ? 'accepted' : 'rejected', criteria, statement } });
    await peer.turn(conversation);
  });
  return undefined;
}

/** The documents with one of which a delivery has to hold: those of when it was recorded, and the one in force (HIRE-ATT-13). @param {any} state @returns {any[]} */
function judgedBy({ deliveredUnder, inForce, document, terms }) {
  return deliveredUnder.some((/** @type {any} */ one) => one.name === inForce) ? deliveredUnder : [...deliveredUnder, { name: inForce, document, terms }];
}

/** Whether a delivery holds by one document; `later` if that cannot be seen now. @param {Conversation} conversation @param {any} delivery @param {any} under @returns {Promise<boolean | 'later'>} */
async function heldBy(conversation, delivery, { document, terms }) {
  const { peer, engagement: { state } } = conversation;
  const named = (/** @type {any[]} */ some, /** @type {any} */ one) => some.some(({ name }) => name === one.name);
  const whole = terms.deliverables.every((/** @type {any} */ one) => named(delivery.artifacts, one)) && delivery.artifacts.every((/** @type {any} */ one) => named(terms.deliverables, one));
  if (delivery.outcome !== 'complete' || !whole) return false; // what nobody asked for is not fetched
  /** @type {Map<string, Uint8Array>} */ const bytes = new Map();
  let fetched = false;
  try {
    const origin = await peer.originOf(conversation);
    for (const { name, digest, uri } of delivery.artifacts) {
      const most = terms.deliverables.find((/** @type {any} */ one) => one.name === name)?.maxBytes;
      const found = await fetchArtifact(peer, uri ?? `${origin}/artifacts/${digest}`, state.contract, digest, most);
      bytes.set(name, found);
    }
    const of = { contract: state.contract, engagement: delivery.engagement, provider: conversation.with, document: await peer.resolver.resolve(conversation.with), methods: document.methods.provider, terms, inputs: (state.started?.inputs ?? []).map((/** @type {any} */ one) => one.digest), now: peer.now() };
    fetched = true;
    verifyDelivery(delivery, of, bytes);
    bytes.forEach((data) => peer.store.put(data));
    return true;
  } catch (error) {
    peer.log(conversation, 'delivery refused', error);
    const { code } = /** @type {any} */ (error);
    if (code === 'store_unavailable') return 'later'; // that our disk is full says nothing of the work
    const times = { now: peer.now(), deliveredAt: state.delivery.at, hereSince: peer.hereSince, review: duration(state.terms.deadlines.review) };
    const answered = !NOTHING_ANSWERED.has(code) || peer.connected(conversation.with);
    return !fetched && code !== 'too_large' && (!answered || asksAgain(times)) ? 'later' : false;
  }
}

/**
 * Whether what could not be had is asked for again: until five minutes before the review ends, or a quarter of a shorter one, and for as long as this
 * process has not asked for ten minutes, or that quarter (decision 0294). What a server answers is signed by nobody, so one no is no verdict.
 * @param {{now: number, deliveredAt: number, hereSince: number, review: number}} times
 */
export function asksAgain({ now, deliveredAt, hereSince, review }) {
  const quarter = review / 4;
  const asked = now - Math.max(deliveredAt, hereSince);
  return now < deliveredAt + review - Math.min(300, quarter) || asked < Math.min(600, quarter);
}

/** What could not be had is asked for again, ever more slowly: after 2 seconds, and after 60 at most. @param {Conversation} conversation */
async function retry({ facts }) {
  facts.asked = (facts.asked ?? 0) + 1;
  await new Promise((resolve) => { setTimeout(resolve, 1000 * Math.min(60, 2 ** facts.asked)); });
}
