/** What comes a second time is answered (HIRE-CHN-04). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Conversation } from '../src/conversation.js';

test('a move that came again has a receipt, also where only a later move than its answer waits for the other side', async () => {
  let said = 0;
  const at = /** @type {any} */ ({ peer: { now: () => 100 }, own: [1, 2, 3], acked: 2, over: false, repeat: async () => { said += 1; } });
  await Conversation.prototype.acknowledge.call(at, { type: 'Acceptance' }, 'its digest', 'repeat');
  assert.deepEqual([said, at.receipt], [1, { at: 100, of: ['its digest'] }]);
});
