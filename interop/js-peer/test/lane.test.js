/** Documents that change a contract: which we agree to, when we seal none, and what waits for a seal (HIRE-LAN-03, 04 and 08). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CONTEXT, instant, newId, seconds } from '../src/encoding.js';
import { Resolver } from '../src/did.js';
import { answerInLane, suits } from '../src/deadlines.js';
import { asWanted, decideAsHirer } from '../src/hirer.js';
import { keyOfDidKey } from '../src/keys.js';
import { holdsDelivery } from '../src/job.js';
import { closesBySilence, decideAsProvider } from '../src/provider.js';
import { makeProof } from '../src/proofs.js';
import { checkRuling } from '../src/receive.js';
import { draftTerms } from '../src/terms.js';
import { history, move, take } from '../support/history.js';
import { seal } from '../src/papers.js';
import { working as atWork } from '../support/peers.js';

const accepted = (/** @type {any} */ state) => state.lane === 'accepted-by-provider';
const delivery = { outcome: 'complete', artifacts: [], statements: [], usage: [], round: 1 };
const working = history('one-hire-jcs-provider', 'Start').engagement.state;
const changed = (/** @type {any} */ terms) => ({ type: 'Amendment', terms: { ...working.terms, ...terms } });
const timed = (/** @type {any} */ deadlines) => changed({ deadlines: { ...working.terms.deadlines, ...deadlines } });

test('more time for the work and a better price are agreed to, and nothing by which the other side could end it at once', () => {
  const { amount, currency } = working.terms.price;
  for (const role of ['hirer', 'provider']) {
    assert.equal(suits(changed({}), working, role), true);
    assert.equal(suits(timed({ finish: '2026-11-25T18:00:00Z' }), working, role), true);
    for (const one of [{ finish: '2026-11-24T17:59:59Z' }, { until: '2026-11-29T00:00:00Z' }, { review: 'PT1S' }, { review: 'P9999D' }, { heartbeat: 'PT1S' }, { start: '2026-11-24T09:00:00Z' }, { close: 'PT1S' }]) {
      assert.equal(suits(timed(one), working, role), false, JSON.stringify(one));
    }
    assert.equal(suits(changed({ onSilence: 'rejected' }), working, role), false);
    assert.equal(suits({ ...changed({}), organisations: { [role]: 'did:web:bigcorp.example' } }, working, role), false);
  }
  assert.deepEqual(['hirer', 'provider'].map((role) => suits(changed({ price: { amount: '9999', currency } }), working, role)), [false, true]);
  assert.deepEqual(['hirer', 'provider'].map((role) => suits(changed({ price: { amount: '0', currency } }), working, role)), [true, false]);
  const release = (/** @type {string} */ owed) => ({ type: 'Release', settlement: { amount: owed, currency } });
  assert.deepEqual(['hirer', 'provider'].map((role) => suits(release(amount), working, role)), [false, true]); // a hirer has nothing of it yet
  assert.deepEqual(['hirer', 'provider'].map((role) => suits(release('0'), working, role)), [true, false]);
});

test('a clause keeps its name: an amendment under which its count would begin anew is agreed to by neither side (HIRE-LAN-09)', () => {
  const { scope } = working.terms;
  const [grant, ...others] = scope.grants;
  const renamed = { ...scope, grants: [JSON.parse(JSON.stringify(grant).replaceAll(grant.id, `${grant.id}-2`)), ...others] };
  for (const role of ['hirer', 'provider']) {
    assert.equal(suits(changed({ scope }), working, role), true);
    assert.equal(suits(changed({ scope: renamed }), working, role), false);
  }
});

test('terms that a provider drew up are taken within what was asked for', () => {
  const { inquiry, terms } = working;
  const asked = { task: terms.task, scopeSketch: inquiry.scopeSketch };
  const dataHandling = { ...terms.dataHandling, training: false, onward: false, retention: 'PT0S' };
  const drawn = { ...terms, settlement: { method: 'none' }, subcontracting: { allowed: false, depth: 0 }, dataHandling, arbiter: undefined };
  const order = { criteria: {} };
  assert.equal(asWanted(drawn, asked, order), true);
  const [{ id, text }] = drawn.deliverables[0].criteria;
  assert.deepEqual([text, 'another'].map((one) => asWanted(drawn, asked, { criteria: { [id]: one } })), [true, false]);
  const arbiter = 'did:web:arbiter.example';
  assert.deepEqual([{ arbiter }, {}].map((one) => asWanted({ ...drawn, ...one }, asked, { ...order, arbiter })), [true, false]);
  const [grant] = drawn.scope.grants;
  const wrong = [
    { settlement: { method: 'x402' } }, { settlement: { method: 'none', milestones: [] } }, { subcontracting: { allowed: true, depth: 1 } }, { task: { ...terms.task, inputs: [] } },
    { scope: { ...drawn.scope, grants: [grant, grant] } }, { scope: { ...drawn.scope, grants: [{ ...grant, target: 'https://acme.example/payroll' }] } }, { scope: { ...drawn.scope, grants: [{ ...grant, constraint: [] }] } },
    { termination: { ...terms.termination, convenience: 'fee' } }, { deadlines: { ...terms.deadlines, review: 'PT1S' } },
    { arbiter }, { evidence: { ...terms.evidence, verifier: arbiter } }, ...[{ training: true }, { onward: true }, { retention: 'PT1S' }].map((one) => ({ dataHandling: { ...dataHandling, ...one } })),
  ];
  for (const one of wrong) assert.equal(asWanted({ ...drawn, ...one }, asked, order), false, JSON.stringify(one));
});

/** What a side says to the offer of the other one, with these members instead. @param {'hirer' | 'provider'} role @param {any} changed @param {any} [more] of the conversation */
async function answered(role, { validUntil, ...members }, more) {
  const { engagement, now } = history(`one-hire-jcs-${role}`, ({ main }) => main === `offered-by-${role === 'hirer' ? 'provider' : 'hirer'}`);
  const { live } = engagement.state;
  engagement.state = { ...engagement.state, live: { ...live, validUntil: validUntil ?? instant(now + 60), document: { ...live.document, ...members } } };
  const { terms } = live.document;
  const peer = { now: () => now, services: new Map([[terms.task.kind, { price: { amount: '1', currency: 'XXX' }, delivers: '' }]]) };
  const last = (/** @type {string} */ type, /** @type {string} */ by) => Object.values(engagement.messages).filter((one) => one.type === type && one.role === by).at(-1);
  const conversation = /** @type {any} */ ({ engagement, role, peer, last, order: { price: terms.price, criteria: {} }, shown: [], ...more });
  const said = await (role === 'hirer' ? decideAsHirer : decideAsProvider)(conversation);
  return [said?.body.reason, said?.body.needed?.[0].member];
}

test('a hirer is bound by no counter-offer for longer than a place is held, and signs for nobody whom the other side names', async () => {
  const { now } = history('one-hire-jcs-hirer', ({ main }) => main === 'offered-by-provider');
  assert.deepEqual(await answered('hirer', { validUntil: instant(now + 4 * 3600) }), ['declined', '/validUntil']);
  assert.deepEqual(await answered('hirer', { organisations: { hirer: 'did:web:bigcorp.example' } }), ['declined', undefined]);
});

test('a provider signs only for organisations that vouch for both, by what they showed', async () => {
  const membership = { type: ['VerifiableCredential', 'MembershipCredential'], issuer: 'did:web:acme.example' };
  assert.deepEqual(await answered('provider', { organisations: { hirer: 'did:web:acme.example' } }), ['declined', '/document/organisations']);
  assert.deepEqual(await answered('provider', { organisations: { hirer: 'did:web:acme.example' } }, { shown: [membership] }), ['declined', undefined]); // for its currency
  assert.deepEqual(await answered('provider', { organisations: { provider: 'did:web:bigcorp.example' } }, { shown: [membership] }), ['declined', '/document/organisations']);
});

test('what a profile says to deliver is read where it can be, and something is owed in any case', () => {
  const owed = (/** @type {any} */ delivers) => draftTerms('x', { task: {}, sketch: {}, capability: { delivers }, price: {}, criteria: { a: 'b' } }, 0).deliverables;
  const result = [{ name: 'result', mediaType: 'application/octet-stream', criteria: [{ id: 'a', text: 'b' }] }];
  for (const one of [undefined, [], 'x', [null], [{ name: 'x' }]]) assert.deepEqual(owed(one), result);
  assert.deepEqual(owed([{ name: 'x', mediaType: 'y' }]), [{ ...result[0], name: 'x', mediaType: 'y' }]);
});

test('what was accepted in time is sealed, unless it ended, a dispute is open, or what was shown does not hold any more (HIRE-NEG-11, HIRE-LAN-03, HIRE-STA-05)', async (t) => {
  const { hirer, provider, conversation, goOn } = await atWork(t);
  const { engagement: { state }, shown } = conversation;
  const now = Math.floor(hirer.now());
  const answers = async (/** @type {any} */ { accepted, document, shows = {}, ...more }) => {
    const live = { owner: 'hirer', digest: 'offer', name: 'document', validUntil: instant(now), document: { ...state.document, ...document } };
    conversation.shown = shown.map((one) => ({ ...one, ...shows }));
    conversation.engagement.state = { ...state, live, accepted: { at: now, digest: 'acceptance', proof: {}, ...accepted }, ...more };
    const { type, body } = await seal(conversation);
    Object.assign(conversation, { shown });
    conversation.engagement.state = state;
    return type === 'Seal' ? type : body.reason;
  };
  const release = { document: { type: 'Release', terms: undefined, settlement: { ...state.terms.price, amount: '0' } } };
  const entry = { type: 'BitstringStatusListEntry', statusPurpose: 'revocation', statusListIndex: '1', statusListCredential: 'http://localhost:1/status/1' };
  const { organisation } = JSON.parse(readFileSync(join(provider.store.folder, 'peer.json'), 'utf8'));
  const [{ proof: _, ...claims }] = shown;
  const listed = { ...claims, credentialStatus: entry };
  const away = { ...listed, proof: await makeProof(listed, keyOfDidKey(Buffer.from(organisation, 'hex')), { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: claims.validFrom }) };
  const said = [
    [{}, 'Seal'], [{ accepted: { at: now + 1 } }, 'offer_expired'], [{ accepted: { overtaken: true } }, 'overtaken'], [{ main: 'closing' }, 'ended'], [{ main: 'closed' }, 'ended'], [{ main: 'disputed' }, 'ended'],
    [{ main: 'disputed', ...release }, 'Seal'], [{ shows: { validFrom: '2019-01-01T00:00:00Z', validUntil: '2020-01-01T00:00:00Z' } }, 'revoked'], [{ shows: listed }, 'revoked'], [{ shows: away }, 'status_unavailable'],
  ];
  for (const [of, expected] of said) assert.equal(await answers(of), expected, JSON.stringify(of));
  goOn();
});

test('an offer in the lane that suits is accepted until its end, and what does not suit is declined', async (t) => {
  const { hirer, provider, conversation, goOn } = await atWork(t);
  const one = /** @type {any} */ (provider.find(conversation.id));
  const { state } = one.engagement;
  const now = Math.floor(provider.now());
  provider.now = () => now;
  const answers = async (/** @type {number} */ until, /** @type {any} */ deadlines = {}, main = 'working') => {
    const live = { owner: 'hirer', digest: 'offer', name: 'document', validUntil: instant(now + until), document: { ...state.document, type: 'Amendment', terms: { ...state.terms, deadlines: { ...state.terms.deadlines, ...deadlines } } } };
    one.engagement.state = { ...state, main, lane: 'offered-by-hirer', live };
    const said = await answerInLane(one);
    one.engagement.state = state;
    return said && [said.type, said.body.reason];
  };
  assert.deepEqual(await answers(0), ['Acceptance', undefined]);
  assert.deepEqual(await answers(-1), ['Withdraw', 'declined']);
  assert.deepEqual(await answers(60, { heartbeat: 'PT1S' }), ['Withdraw', 'declined']);
  for (const main of ['closing', 'closed']) assert.equal(await answers(60, {}, main), undefined);
  assert.ok(hirer);
  goOn();
});

test('an offerer that knows of a delivery after the acceptance withdraws as overtaken', async () => {
  const { engagement, now } = history('changed-jcs-hirer', accepted);
  const conversation = /** @type {any} */ ({ engagement, role: 'hirer' });
  take(engagement, move(engagement, 'provider', 'Delivery', delivery, now), now);
  const said = await answerInLane(conversation);
  assert.deepEqual([said?.type, said?.body.reason], ['Withdraw', 'overtaken']);
  take(engagement, move(engagement, 'hirer', 'Withdraw', said?.body, now), now);
  assert.equal(engagement.state.lane, 'idle');
});

test('a delivery that crossed our seal is judged by the terms before as well (page 07, section 7.5)', async () => {
  for (const [unseen, verdict] of /** @type {const} */ ([[1, 'accepted'], [0, 'rejected']])) {
    const { engagement, now } = history('changed-jcs-hirer', accepted);
    const { state } = engagement;
    engagement.state = { ...state, terms: { ...state.terms, deliverables: [] } }; // before, nothing was to be made
    take(engagement, move(engagement, 'hirer', 'Seal', { offer: state.live.digest, document: state.live.name, acceptance: state.accepted.digest }, now), now);
    const made = move(engagement, 'provider', 'Delivery', delivery, now, unseen);
    take(engagement, made, now);
    const key = keyOfDidKey(Buffer.alloc(32, 5));
    const peer = { key, did: 'did:web:acme.example', now: () => now, resolver: { resolve: async () => ({}) }, originOf: async () => '', turn: async () => {} };
    const said = await new Promise((say) => {
      decideAsHirer(/** @type {any} */ ({ engagement, peer, last: () => made, enqueue: (/** @type {any} */ act) => act(), say: async (/** @type {any} */ one) => say(one) }));
    });
    assert.equal(said.body.verdict, verdict);
  }
});

test('on a dispute that crossed the seal of another arbiter either rules, and on another the one in force (HIRE-LIF-22)', async () => {
  const keys = [21, 22, 23].map((byte) => keyOfDidKey(Buffer.alloc(32, byte)));
  const [before, after, stranger] = keys.map(({ method }) => method.split('#')[0]);
  for (const [view, unseen] of /** @type {const} */ ([['hirer', 1], ['hirer', 0], ['provider', 1], ['provider', 0]])) {
    const { engagement, now } = history(`changed-jcs-${view}`, accepted);
    const { state } = engagement;
    const { live } = state;
    engagement.state = { ...state, terms: { ...state.terms, arbiter: before }, live: { ...live, document: { ...live.document, terms: { ...live.document.terms, arbiter: after } } } };
    const seals = (/** @type {number} */ passed) => take(engagement, move(engagement, 'hirer', 'Seal', { offer: live.digest, document: live.name, acceptance: state.accepted.digest }, now, passed), now);
    const disputes = (/** @type {number} */ passed) => take(engagement, move(engagement, 'provider', 'Dispute', { claim: 'x', rulingBy: instant(now + 86400) }, now, passed), now);
    if (view === 'hirer' || !unseen) { seals(0); disputes(unseen); } else { disputes(0); seals(unseen); }
    assert.deepEqual(engagement.state.arbiters, unseen ? [before, after] : [after]);
    const { contract, disputes: [{ digest: dispute }] } = engagement.state;
    const content = { '@context': CONTEXT, id: newId(), type: 'ArbiterRuling', contract, dispute, outcome: 'divided', amount: '1', currency: 'EUR', reasons: '' };
    const by = async (/** @type {any} */ key) => ({ ...content, proof: await makeProof(content, key, { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: instant(now) }) });
    for (const key of keys) {
      const may = engagement.state.arbiters.includes(key.method.split('#')[0]);
      const weighed = checkRuling(engagement, { ruling: await by(key) }, { resolver: new Resolver(), at: now });
      if (may) await weighed;
      else await assert.rejects(weighed, { code: 'key_not_authorized' });
    }
    assert.ok(!engagement.state.arbiters.includes(stranger));
  }
});

test('an end at convenience that crossed the seal of terms without it is one, and another is refused (page 07, section 7.5)', () => {
  for (const unseen of [1, 0]) {
    const { engagement, now } = history('changed-jcs-hirer', accepted);
    const { state } = engagement;
    const termination = { convenience: 'notice', notice: 'P1D', cure: 'P1D' };
    engagement.state = { ...state, terms: { ...state.terms, termination } };
    assert.equal(state.live.document.terms.termination.convenience, 'none');
    take(engagement, move(engagement, 'hirer', 'Seal', { offer: state.live.digest, document: state.live.name, acceptance: state.accepted.digest }, now), now);
    const ends = () => take(engagement, move(engagement, 'provider', 'Terminate', { cause: 'convenience', evidence: [] }, now, unseen), now);
    if (!unseen) assert.throws(ends, { code: 'terms_mismatch' });
    else { ends(); assert.equal(engagement.state.main, 'closing'); }
  }
});

test('and so it does after the end', async () => {
  const { engagement, now } = history('changed-jcs-hirer', accepted);
  take(engagement, move(engagement, 'provider', 'Terminate', { cause: 'unable', evidence: [] }, now), now);
  const said = await answerInLane(/** @type {any} */ ({ engagement, role: 'hirer' }));
  assert.deepEqual([said?.type, said?.body.reason], ['Withdraw', 'ended']);
});

test('a delivery that is ready waits for the seal of what its provider accepted, for sealGrace and half of its own time at most', () => {
  const { engagement, now } = history('changed-jcs-provider', accepted);
  let at = now;
  const conversation = /** @type {any} */ ({ engagement, peer: { now: () => at } });
  const holdsAt = (/** @type {number} */ after) => { at = now + after; return holdsDelivery(conversation); };
  assert.deepEqual([holdsAt(0), holdsAt(119), holdsAt(120)], [true, true, false]);
  const { state } = engagement;
  engagement.state = { ...state, due: now + 60 };
  assert.deepEqual([holdsAt(29), holdsAt(30)], [true, false]);
  engagement.state = { ...state, terms: { ...state.terms, deadlines: { ...state.terms.deadlines, until: instant(now + 60) } } };
  assert.deepEqual([holdsAt(29), holdsAt(30)], [true, false]);
  engagement.state = state;
  take(engagement, move(engagement, 'hirer', 'Terminate', { cause: 'key_compromised', evidence: [] }, now), now);
  assert.equal(holdsAt(0), false);
});

test('a delivery without work waits for the seal as well, and tells what was used', async () => {
  for (const outcome of ['cancelled', 'failed']) {
    const { engagement, now } = history('changed-jcs-provider', accepted);
    let at = now;
    const bookings = new Map([['1', { clause: 'read', charges: { count: ['1', '16'] } }]]);
    const conversation = /** @type {any} */ ({ engagement, bookings, working: false, peer: { now: () => at, services: new Map() } });
    if (outcome === 'cancelled') take(engagement, move(engagement, 'hirer', 'Cancel', { windDown: instant(now + 3600) }, now, 1), now);
    assert.equal(await decideAsProvider(conversation), undefined);
    at = now + 120;
    const { body } = /** @type {any} */ (await decideAsProvider(conversation));
    assert.deepEqual([body.outcome, body.usage], [outcome, [{ clause: 'read', unit: 'count', amount: '1' }]]);
    assert.equal(await decideAsProvider({ ...conversation, working: true }), undefined);
  }
});

test('who may close by silence waits for what becomes of a document that it accepted, no longer than its books and not past until (HIRE-LAN-04)', () => {
  const at = seconds(working.terms.deadlines.finish) - 7 * 86400;
  const closes = (/** @type {string} */ lane, /** @type {number} */ until, /** @type {number[]} */ ...after) => {
    const deadlines = { ...working.terms.deadlines, review: 'PT1H', close: 'PT2H', until: instant(at + until) };
    return after.map((later) => closesBySilence({ delivery: { at }, terms: { deadlines }, lane }, at + later));
  };
  for (const lane of ['idle', 'offered-by-hirer', 'accepted-by-hirer']) assert.deepEqual(closes(lane, 86400, 3600, 3601), [false, true]);
  assert.deepEqual(closes('accepted-by-provider', 86400, 3601, 10799, 10800), [false, false, true]);
  assert.deepEqual(closes('accepted-by-provider', 6000, 3601, 5999, 6000), [false, false, true]);
  assert.deepEqual(closes('accepted-by-provider', 3000, 3600, 3601), [false, true]);
});

test('a contract is no change of one (page 07, section 7.5)', () => {
  const { engagement, now } = history('one-hire-jcs-provider', 'Start');
  const { document, contract, inForce } = engagement.state;
  const offer = move(engagement, 'hirer', 'Offer', { validUntil: instant(now + 600) }, now);
  const place = (/** @type {any[]} */ moves) => ({ sequence: moves.length, digest: moves.at(-1).digest });
  const transcript = { hirer: place(engagement.moves.hirer), provider: place(engagement.moves.provider) };
  const of = { ...document, id: `${offer.engagement}:hirer:${offer.sequence}`, transcript };
  assert.throws(() => take(engagement, { ...offer, document: of }, now), { code: 'terms_mismatch' });
  take(engagement, { ...offer, document: { ...of, type: 'Amendment', contract, amends: inForce } }, now);
  assert.equal(engagement.state.lane, 'offered-by-hirer');
});
