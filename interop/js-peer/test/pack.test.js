/** What a pack holds of what its packer kept. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { multibase } from '../src/encoding.js';
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
