/** How long a peer waits for the other side: a hirer for what was delivered, a provider for the seal. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { asksAgain } from '../src/hirer.js';
import { holdsTooLong } from '../src/provider.js';
import { instant } from '../src/encoding.js';

test('what cannot be had is asked for until shortly before the review ends', () => {
  const day = { deliveredAt: 1000, startedAt: 0, review: 86400 };
  assert.equal(asksAgain({ ...day, now: 1001 }), true);
  assert.equal(asksAgain({ ...day, now: 1000 + 86400 - 301 }), true);
  assert.equal(asksAgain({ ...day, now: 1000 + 86400 - 300 }), false);
  assert.equal(asksAgain({ deliveredAt: 0, startedAt: 0, review: 400, now: 299 }), true);
  assert.equal(asksAgain({ deliveredAt: 0, startedAt: 0, review: 400, now: 300 }), false);
  assert.equal(asksAgain({ ...day, startedAt: 1000 + 86400 - 200, now: 1000 + 86400 - 100 }), true); // it has hardly asked yet
});

test('a place is held for four hours and no longer', () => {
  const live = (/** @type {number} */ at) => ({ validUntil: instant(at), document: { terms: { sealGrace: 'PT2M' } } });
  assert.equal(holdsTooLong(live(1_800_000_000 + 4 * 3600 - 120), 1_800_000_000), false);
  assert.equal(holdsTooLong(live(1_800_000_000 + 4 * 3600 - 119), 1_800_000_000), true);
});
