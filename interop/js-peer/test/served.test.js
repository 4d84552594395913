/** What a provider says of how much it took at a time (HIRE-CAP-03), and what is looked at before any signature. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { serveArtifact } from '../src/artifacts.js';
import { verifyOffered } from '../src/contract.js';
import { Resolver } from '../src/did.js';
import { digestOfBytes } from '../src/encoding.js';
import { keyOfDidKey } from '../src/keys.js';
import { checkServed } from '../src/receive.js';
import { signRequest } from '../src/requests.js';

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

test('who asks for an artifact hears what is wrong before the key whatever the contract, and may ask with a new key (HIRE-RQS-01, HIRE-GTS-03)', async () => {
  const [key, bytes, real] = [keyOfDidKey(randomBytes(32)), Buffer.from('done'), new Resolver()];
  const did = key.method.split('#')[0];
  const [digest, contract, other] = [bytes, Buffer.from('ours'), Buffer.from('another')].map((one) => digestOfBytes(one));
  const resolve = async (/** @type {string} */ of, { method = '' } = {}) => ({ ...(await real.resolve(of)), ...(method === key.method ? {} : { authentication: [] }) });
  const peer = /** @type {any} */ ({
    origin: 'https://acme.example', log: () => {}, now: () => 1_800_000_000, nonceSeen: () => false, store: { get: () => bytes }, resolver: { resolve },
    findContract: (/** @type {string} */ name) => (name === contract ? { role: 'provider', with: did, engagement: { messages: { d: { type: 'Delivery', artifacts: [{ digest }] } } } } : undefined),
  });
  const asks = { method: 'GET', path: `/artifacts/${digest}`, headers: /** @type {[string, string][]} */ ([]) };
  for (const name of [contract, other]) assert.deepEqual(await serveArtifact(peer, { ...asks, headers: [['Hire-Contract', name]] }), { status: 401, body: { code: 'proof_missing' } });
  const signed = (/** @type {string} */ name) => ({ ...asks, headers: signRequest(asks, { origin: peer.origin, contract: name, now: peer.now() }, key) });
  assert.deepEqual(await serveArtifact(peer, signed(contract)), { status: 200, body: bytes });
  assert.deepEqual(await serveArtifact(peer, signed(other)), { status: 401, body: { code: 'proof_invalid' } });
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
