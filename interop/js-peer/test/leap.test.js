/** A peer that was not there to hear: it stood still, or its clock was set ahead (HIRE-LIF-24; page 07, section 7.6). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { closesBySilence, decideAsProvider } from '../src/provider.js';
import { listens, overdue, overdueForHirer } from '../src/deadlines.js';
import { dial } from '../src/link.js';
import { service, two, until, whole, working } from '../support/peers.js';

test('a hirer whose clock is set ahead takes no work for late or silent before it has listened', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const ahead = 3500; // by an hour at most it counts at once, and for more at the next look; the work is not due yet
  for (const { clock } of [hirer, provider]) clock.wall = () => Date.now() / 1000 + ahead;
  const { state } = conversation.engagement;
  assert.ok(hirer.now() > Math.max(state.started.at, conversation.signAt) + 300);
  assert.equal(overdue(conversation), undefined);
  goOn();
  await whole(hirer, provider, conversation.id);
});

test('what ends by the clock ends a minute after a peer is there again, and the silence of a provider counts from then', () => {
  const deadlines = { heartbeat: 'PT1M', until: '2999-01-01T00:00:00Z', review: 'PT1H' };
  const state = /** @type {any} */ ({ contract: 'ours', main: 'working', due: 5000, sealed: { at: 10 }, started: { at: 20 }, terms: { deadlines } });
  const at = (/** @type {number} */ now, /** @type {any} */ more) => /** @type {any} */ ({ role: 'hirer', engagement: { state: { ...state, ...more } }, peer: { hereSince: 9000, now: () => now }, signAt: 100 });
  assert.equal(overdueForHirer(at(9180, { due: 1e12 }), 9180), undefined);
  assert.equal(overdueForHirer(at(9181, { due: 1e12 }), 9181)?.body.cause, 'deadline');
  assert.deepEqual([9059, 9060].map((now) => overdue(at(now, {}))?.body.cause), [undefined, 'deadline']);
  assert.equal(overdue(at(9059, { sealed: { at: 9000 } }))?.body.cause, 'deadline'); // it was there for all of it
  assert.deepEqual([9059, 9060].map((now) => overdue(at(now, { main: 'disputed', rulingBy: 8000 }))?.body.cause), [undefined, 'no_ruling']);
});

test('a clock that leaps at the very look by which something would be late is listened for all the same', () => {
  const deadlines = { heartbeat: 'PT1M', until: '2000-01-01T00:00:00Z', start: '2000-01-01T00:00:00Z' };
  for (const [main, role] of ['sealed', 'working', 'suspended', 'cancelling', 'disputed'].flatMap((one) => [[one, 'hirer'], [one, 'provider']])) {
    const state = /** @type {any} */ ({ contract: 'ours', main, due: 5000, rulingBy: 5000, suspension: { until: deadlines.start }, sealed: { at: 10 }, started: { at: 20 }, terms: { deadlines } });
    const peer = { hereSince: 0, now() { this.hereSince = 2e9; return 2e9; } };
    assert.equal(overdue(/** @type {any} */ ({ role, engagement: { state }, peer, signAt: 100 })), undefined, `${main} ${role}`);
  }
});

test('a provider that was not there closes by silence a minute later', async () => {
  const state = /** @type {any} */ ({ main: 'delivered', sealed: { at: 10 }, delivery: { at: 100 }, terms: { deadlines: { review: 'PT1H' } }, lane: 'idle' });
  const conversation = /** @type {any} */ ({ engagement: { state }, peer: { hereSince: 9000, now: () => 9059 } });
  assert.equal(closesBySilence(state, 9059), true);
  assert.equal(await decideAsProvider(conversation), undefined);
  assert.equal(listens(conversation, 9060), false);
});

test('the time of a peer never runs back, also where nothing was written meanwhile: its log would seem to (HIRE-CLK-01)', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const before = hirer.now();
  hirer.clock.wall = () => before + 30;
  const { at } = hirer.head();
  hirer.clock.wall = () => Date.now() / 1000;
  assert.equal(hirer.head().at, at);
  goOn();
  await whole(hirer, provider, conversation.id);
});

for (const [leaps, says] of /** @type {const} */ ([['provider', 'ahead of'], ['hirer', 'behind']])) {
  test(`work goes on once the clocks of both sides agree again, and says which was wrong: that of the ${leaps} leapt`, async (t) => {
    const { hirer, provider, conversation, goOn } = await working(t);
    /** @type {string[]} */ const logged = [];
    provider.log = (_, what, detail) => { logged.push(`${what} ${detail?.message ?? detail}`); };
    const ahead = (/** @type {import('../src/peer.js').Peer} */ peer) => { peer.clock.wall = () => Date.now() / 1000 + 90; };
    ahead(leaps === 'hirer' ? hirer : provider);
    goOn();
    await until(() => logged.some((one) => one.includes(` s ${says} theirs`)));
    ahead(leaps === 'hirer' ? provider : hirer);
    await whole(hirer, provider, conversation.id);
  });
}

test('who dials and is not believed, or believes nobody, since the clocks are apart says so', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  for (const [apart, says] of /** @type {const} */ ([[90, /behind theirs/], [600, /behind theirs/]])) {
    provider.clock.wall = () => Date.now() / 1000 + apart;
    await assert.rejects(dial(provider.url, provider.did, hirer.self), { message: says });
  }
  hirer.clock.wall = () => Date.now() / 1000 + 1200;
  await assert.rejects(dial(provider.url, provider.did, hirer.self), { message: /s ahead of theirs/ });
});

test('work that outlasts what is due has failed', async (t) => {
  const { hirer, provider, conversation } = await working(t);
  for (const { clock } of [hirer, provider]) clock.wall = () => Date.now() / 1000 + 3600;
  await until(() => conversation.over);
  assert.deepEqual([conversation.last('Delivery').outcome, conversation.last('Review').verdict], ['failed', 'rejected']);
});

test('work that made nothing has failed: nobody is owed for it, whatever its hirer says', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ services: [{ ...service, run: async () => {} }] })];
  const hire = await hirer.hire(made.order(provider));
  await until(() => hire.over);
  assert.equal(hire.last('Delivery').outcome, 'failed');
});
