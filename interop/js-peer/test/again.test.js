/** What comes a second time is answered (HIRE-CHN-04). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Conversation } from '../src/conversation.js';
import { Peer } from '../src/peer.js';

test('a move that came again has a receipt, also where only a later move than its answer waits for the other side', async () => {
  let said = 0;
  const at = /** @type {any} */ ({ peer: { now: () => 100 }, own: [1, 2, 3], acked: 2, over: false, repeatAsked: async () => { said += 1; } });
  await Conversation.prototype.acknowledge.call(at, { type: 'Acceptance' }, 'its digest', 'repeat');
  assert.deepEqual([said, at.receipt], [1, { at: 100, of: ['its digest'] }]);
});

test('what a party lacks is said again as often as it asks, up to 64 MiB in a minute (page 10, section 10.4)', async () => {
  let said = 0;
  const { mayAsk, saidAgain } = Peer.prototype;
  const peer = /** @type {any} */ ({ asked: new Map(), mayAsk, saidAgain });
  const asks = (/** @type {string} */ who, bytes = 40 * 1024 * 1024) => Conversation.prototype.repeatAsked.call(/** @type {any} */ ({ peer, with: who, repeat: async () => { said += 1; return bytes; } }));
  await asks('nobody lacks anything', 0);
  assert.equal(peer.asked.size, 0);
  for (let i = 0; i < 5; i += 1) await asks('one');
  assert.equal(said, 3);
  await asks('other');
  assert.equal(said, 4);
  peer.asked.get('one').since -= 60000;
  await asks('one');
  assert.deepEqual([said, [...peer.asked.keys()]], [5, ['other', 'one']]);
});
