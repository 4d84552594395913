/** What a provider says of how much it took at a time (HIRE-CAP-03), and what is looked at before any signature. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { serveArtifact } from '../src/artifacts.js';
import { verifyOffered } from '../src/contract.js';
import { checkServed } from '../src/receive.js';

test('the capacity of a closing is a provider\'s, and that of its profile', () => {
  const state = (/** @type {number} */ capacity) => ({ terms: { task: { kind: 'summary' } }, profile: { capabilities: [{ task: 'echo', capacity: 9 }, { task: 'summary', capacity }] } });
  const said = (/** @type {number} */ advertised, role = 'provider') => ({ role, capacity: { advertised, met: 1 } });
  checkServed(said(3), state(3));
  checkServed({ role: 'provider' }, state(3));
  checkServed({ role: 'hirer' }, state(3));
  for (const [closing, of] of [[said(9), state(3)], [said(3, 'hirer'), state(3)], [said(3), state(/** @type {any} */ (undefined))]]) assert.throws(() => checkServed(closing, of), { code: 'terms_mismatch', path: '/capacity' });
});

test('an artifact is asked for by GET', async () => {
  const peer = /** @type {any} */ ({ log: () => {}, findContract: () => assert.fail('it is not looked for') });
  assert.deepEqual(await serveArtifact(peer, /** @type {any} */ ({ method: 'POST', path: '/artifacts/x', headers: [] })), { status: 401, body: { code: 'bad_request' } });
});

test('an offered document is between two, who sign by methods of their own, and has one proof (HIRE-CTR-04, HIRE-PRF-01)', async () => {
  const between = (/** @type {any} */ more) => ({ hirer: 'did:a', provider: 'did:b', methods: { hirer: ['did:a#1'], provider: ['did:b#1'] }, ...more });
  const looked = /** @type {any} */ ({ resolve: () => assert.fail('nothing is looked up for it') });
  for (const [more, code] of /** @type {[any, string][]} */ ([
    [{ hirer: 'did:b' }, 'self_dealing'],
    [{ methods: { hirer: ['did:b#1'], provider: ['did:b#1'] } }, 'self_dealing'],
    [{ methods: { hirer: ['did:b#2'], provider: ['did:b#1'] } }, 'schema_violation'],
    [{}, 'proof_missing'],
    [{ proof: [{}] }, 'proof_invalid'],
  ])) await assert.rejects(verifyOffered(between(more), 'hirer', looked), { code });
});
