/** A peer that was not there to hear: it stood still, or its clock was set ahead (HIRE-LIF-24; page 07, section 7.6). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { closesBySilence, decideAsProvider } from '../src/provider.js';
import { listens, overdue, overdueForHirer } from '../src/deadlines.js';
import { whole, working } from '../support/peers.js';

test('a hirer whose clock is set ahead takes no work for late or silent before it has listened', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const ahead = 3599; // by an hour at most it counts at once, and for more at the next look
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
  assert.equal(overdueForHirer(at(9180, { due: 1e12 })), undefined);
  assert.equal(overdueForHirer(at(9181, { due: 1e12 }))?.body.cause, 'deadline');
  assert.deepEqual([9059, 9060].map((now) => overdue(at(now, {}))?.body.cause), [undefined, 'deadline']);
  assert.equal(overdue(at(9059, { sealed: { at: 9000 } }))?.body.cause, 'deadline'); // it was there for all of it
  assert.deepEqual([9059, 9060].map((now) => overdue(at(now, { main: 'disputed', rulingBy: 8000 }))?.body.cause), [undefined, 'no_ruling']);
});

test('a provider that was not there closes by silence a minute later', async () => {
  const state = /** @type {any} */ ({ main: 'delivered', sealed: { at: 10 }, delivery: { at: 100 }, terms: { deadlines: { review: 'PT1H' } }, lane: 'idle' });
  const conversation = /** @type {any} */ ({ engagement: { state }, peer: { hereSince: 9000, now: () => 9059 } });
  assert.equal(closesBySilence(state, 9059), true);
  assert.equal(await decideAsProvider(conversation), undefined);
  assert.equal(listens({ ...conversation, peer: { hereSince: 9000, now: () => 9060 } }), false);
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
