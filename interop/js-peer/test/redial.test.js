/** Who dials again, and when (HIRE-SYN-03). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { until, whole, working } from '../support/peers.js';

test('who only waits dials again as well: the other side may know no way to it', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const before = provider.links.get(hirer.did);
  for (const { socket } of hirer.links.values()) socket.terminate();
  await until(() => provider.links.get(hirer.did) !== before); // it is gone, or another is there by the time we look
  goOn();
  await whole(hirer, provider, conversation.id);
});

test('a connection that was refused is tried again ever later', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const tries = [];
  for (let refused = 0; refused < 3; refused += 1) {
    await until(() => hirer.connected(provider.did) && provider.connected(hirer.did));
    // At once: by the next attempt it is one more.
    const closed = new Promise((resolve) => { hirer.links.get(provider.did)?.socket.on('close', () => resolve(hirer.dials.get(provider.did)?.tries)); });
    provider.links.get(hirer.did)?.close(1008, 'conflicting_message');
    tries.push(await closed);
  }
  assert.deepEqual(tries, [1, 2, 3]);
  goOn();
  await whole(hirer, provider, conversation.id);
});

test('a clock that is set back puts off no attempt to dial', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const real = Date.now;
  t.mock.method(Date, 'now', () => real() + 2 * 3600 * 1000);
  await new Promise((resolve) => { const { socket } = /** @type {any} */ (hirer.links.get(provider.did)); socket.on('close', resolve).close(1000); });
  Date.now = real;
  goOn();
  await whole(hirer, provider, conversation.id);
});
