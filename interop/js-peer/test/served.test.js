/** What a provider says of how much it took at a time (HIRE-CAP-03). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkServed } from '../src/receive.js';

test('the capacity of a closing is a provider\'s, and that of its profile', () => {
  const state = (/** @type {number} */ capacity) => ({ terms: { task: { kind: 'summary' } }, profile: { capabilities: [{ task: 'echo', capacity: 9 }, { task: 'summary', capacity }] } });
  const said = (/** @type {number} */ advertised, role = 'provider') => ({ role, capacity: { advertised, met: 1 } });
  checkServed(said(3), state(3));
  checkServed({ role: 'provider' }, state(3));
  checkServed({ role: 'hirer' }, state(3));
  for (const [closing, of] of [[said(9), state(3)], [said(3, 'hirer'), state(3)], [said(3), state(/** @type {any} */ (undefined))]]) assert.throws(() => checkServed(closing, of), { code: 'terms_mismatch', path: '/capacity' });
});
