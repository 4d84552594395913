/** What a pack holds of what its packer kept. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { digest, digestOfBytes, multibase } from '../src/encoding.js';
import { pack } from '../src/pack.js';

test('of a move that was taken back, what took it back is in the pack: without it two moves stand in one place', () => {
  const engagement = 'urn:hire:engagement:uEi';
  const entry = (/** @type {string} */ k, /** @type {string} */ type) => ({ k, at: 1_800_000_000, engagement, raw: JSON.stringify({ type, role: 'hirer' }) });
  const peer = /** @type {any} */ ({
    did: 'did:web:own.example', find: () => ({ role: 'hirer', with: 'did:web:other.example', engagement: { state: {} } }), checkpoint: () => multibase(Buffer.from('did:web:own.example\n0\n')),
    store: { lines: () => [{ entries: [entry('sent', 'Inquiry'), entry('sent', 'Offer'), entry('back', 'Problem'), entry('sent', 'Withdraw'), { k: 'back', at: 1_800_000_000, engagement, name: 'of before' }] }] },
  });
  const names = pack(peer, engagement).toString('latin1').match(/transcript\/[0-9]{4}-[a-z]+-[A-Za-z]+\.json/g);
  assert.deepEqual([...new Set(names)], ['Inquiry', 'Offer', 'Problem', 'Withdraw'].map((type, i) => `transcript/000${i + 1}-${type === 'Problem' ? 'received' : 'sent'}-${type}.json`));
});

test('of what was delivered to us a pack has only what we took: the other side names any digest that it likes', () => {
  const engagement = 'urn:hire:engagement:uEi';
  const [mine, theirs] = ['from another engagement', 'what came'].map((text) => Buffer.from(text));
  const said = (/** @type {string} */ k, /** @type {any} */ message) => ({ k, at: 1_800_000_000, engagement, raw: JSON.stringify(message) });
  const [named, came] = [mine, theirs].map((bytes, round) => ({ type: 'Delivery', role: 'provider', round, statements: [], artifacts: [{ name: 'a', digest: digestOfBytes(bytes) }] }));
  const review = (/** @type {any} */ of, /** @type {string} */ verdict) => said('sent', { type: 'Review', role: 'hirer', statement: {}, delivery: digest(of), verdict });
  const stored = new Map([mine, theirs].map((bytes) => [digestOfBytes(bytes), bytes]));
  const found = (/** @type {'hirer' | 'provider'} */ role) => pack(/** @type {any} */ ({
    did: 'did:web:own.example', find: () => ({ role, with: 'did:web:other.example', engagement: { state: {} } }), checkpoint: () => multibase(Buffer.from('did:web:own.example\n0\n')),
    store: { get: (/** @type {string} */ name) => stored.get(name), lines: () => [{ entries: [said('got', named), review(named, 'rework'), said('got', came), review(came, 'accepted')] }] },
  }), engagement).toString('latin1');
  const has = (/** @type {'hirer' | 'provider'} */ role) => [mine, theirs].map((bytes) => found(role).includes(`artifacts/${digestOfBytes(bytes)}`));
  assert.deepEqual([has('hirer'), has('provider')], [[false, true], [true, true]]);
});

test('after a dispute about closed books a pack stands under the checkpoint of the last ones, as no other has all that they signed', () => {
  const engagement = 'urn:hire:engagement:uEi';
  const note = (/** @type {number} */ size) => multibase(Buffer.from(`did:web:own.example\n${size}\n`));
  const closing = (/** @type {number} */ size) => ({ k: 'sent', at: 1_800_000_000, engagement, raw: JSON.stringify({ type: 'Closing', role: 'hirer', checkpoint: note(size) }) });
  const leaf = { k: 'leaf', at: 1_800_000_000, engagement, label: 'move', commitment: digestOfBytes(Buffer.from('a move')) };
  const peer = /** @type {any} */ ({
    did: 'did:web:own.example', find: () => ({ role: 'hirer', with: 'did:web:other.example', engagement: { state: {} } }), ledger: { inclusion: () => ({ path: [] }) },
    store: { lines: () => [{ entries: [closing(1), leaf, leaf, closing(2)] }] },
  });
  assert.ok(pack(peer, engagement).includes('did:web:own.example\n2\n'));
});
