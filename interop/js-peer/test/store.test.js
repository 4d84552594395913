/** What the store has after whatever happened to it (HIRE-CHN-07). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs, { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOfBytes } from '../src/encoding.js';
import { HireError } from '../src/errors.js';
import { Store } from '../src/store.js';
import { service, two, until, whole } from '../support/peers.js';

/** @param {import('node:test').TestContext} t */
function opened(t) {
  const folder = mkdtempSync(join(tmpdir(), 'hire-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, store: new Store(folder), again: () => { const store = new Store(folder); return { store, lines: [...store.lines()] }; } };
}

test('what was added together is there together, at its place, however long it is', (t) => {
  const { store, again } = opened(t);
  const long = 'x'.repeat(3 << 20);
  const added = [[{ k: 'a', at: 7 }, { k: 'b' }], [{ k: 'c', long }], [{ k: 'd', at: 5 }]].map((entries) => ({ at: store.add(...entries), entries }));
  assert.equal(store.last, 7);
  assert.deepEqual(store.linesAt(added.map(({ at }) => at)), added);
  store.close();
  const { store: next, lines } = again();
  assert.deepEqual(lines, added);
  assert.equal(next.last, 7);
  const at = next.add({ k: 'e' });
  assert.deepEqual(next.linesAt([at, added[1].at]), [{ at, entries: [{ k: 'e' }] }, added[1]]);
  assert.throws(() => next.linesAt([at + 100]), { code: 'store_corrupt' });
  next.close();
});

test('of a line that was not written whole nothing is left, and what follows is read', (t) => {
  const { folder, store, again } = opened(t);
  store.add({ k: 'a' });
  store.close();
  const file = join(folder, 'journal.jsonl');
  const whole = statSync(file).size;
  appendFileSync(file, '[{"k":"half');
  const { store: next, lines } = again();
  assert.deepEqual([lines.length, statSync(file).size, next.add({ k: 'b' })], [1, whole, whole]);
  next.add({ k: 'c' });
  next.close();
  const { store: last, lines: read } = again();
  assert.deepEqual(read.map(({ entries }) => entries[0].k), ['a', 'b', 'c']);
  last.close();
});

test('after a write that failed nothing is added until it was read again', (t) => {
  const { store, again } = opened(t);
  store.add({ k: 'a' });
  const { file } = store;
  for (const one of [-1, file]) {
    store.file = one; // the first cannot be written to
    assert.throws(() => store.add({ k: 'b' }), { code: 'store_unavailable' });
  }
  store.close();
  const { store: next, lines } = again();
  assert.deepEqual([lines.length, next.add({ k: 'b' })], [1, next.size - '[{"k":"b"}]\n'.length]);
  next.close();
});

test('an artifact is its bytes or none, and is mended by what comes again; names that others choose lead nowhere', (t) => {
  const { folder, store } = opened(t);
  const digest = store.put(Buffer.from('bytes'));
  assert.equal(digest, digestOfBytes('bytes'));
  assert.equal(store.get(digest).toString(), 'bytes');
  const file = join(folder, 'artifacts', digest);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, 'other');
  assert.throws(() => store.get(digest), { code: 'digest_mismatch' });
  store.put(Buffer.from('bytes'));
  assert.equal(readFileSync(file, 'utf8'), 'bytes');
  assert.throws(() => store.get(digestOfBytes('none')), { code: 'not_found' });
  for (const name of ['../journal.jsonl', `${digest}/..`, '']) assert.throws(() => store.get(name), { code: 'bad_path' });
  store.putAway('../../x', { a: [1] });
  assert.deepEqual([store.past('../../x'), store.past('x')], [{ a: [1] }, undefined]);
  store.close();
});

test('what a full disk took half of is taken back, and once there is room again more is added', (t) => {
  const { store, again } = opened(t);
  store.add({ k: 'a' });
  const { writeSync } = fs;
  const half = (/** @type {number} */ file, /** @type {any} */ bytes) => {
    writeSync(file, bytes.subarray(0, 5));
    throw new Error('ENOSPC');
  };
  t.after(() => { fs.writeSync = writeSync; syncBuiltinESMExports(); });
  for (const full of [half, (/** @type {number} */ file, /** @type {any} */ bytes) => writeSync(file, bytes.subarray(0, 5))]) {
    fs.writeSync = /** @type {any} */ (full);
    syncBuiltinESMExports();
    assert.throws(() => store.add({ k: 'lost' }), { code: 'store_unavailable' });
  }
  fs.writeSync = writeSync;
  syncBuiltinESMExports();
  const at = store.add({ k: 'b' });
  store.close();
  const { store: next, lines } = again();
  assert.deepEqual(lines.map(({ entries }) => entries[0].k), ['a', 'b']);
  assert.deepEqual(next.linesAt([at])[0].entries, [{ k: 'b' }]);
  next.close();
});

/** A store that fails once in one way; told when it has. @param {any} store @param {string} name @param {(of: any) => boolean} [when] @returns {Promise<void>} */
const failsOnce = (store, name, when = () => true) => new Promise((failed) => {
  const act = store[name].bind(store);
  store[name] = (/** @type {any[]} */ ...of) => {
    if (!when(of[0])) return act(...of);
    store[name] = act;
    failed();
    throw new HireError('store_unavailable', 'full');
  };
});

test('a full disk of ours is no fault of a message or of the work, which are taken once there is room', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  failsOnce(hirer.store, 'add');
  await assert.rejects(hirer.hire(made.order(provider)), { code: 'store_unavailable' });
  assert.equal(hirer.conversations.size, 0);
  /** @type {string[]} */ const logged = [];
  hirer.log = (_, what) => { logged.push(what); };
  const failed = failsOnce(provider.store, 'add');
  failsOnce(hirer.store, 'put', (bytes) => bytes.toString() === 'All is well.');
  const hire = await hirer.hire(made.order(provider));
  await failed;
  await hire.enqueue(() => hire.repeat());
  await whole(hirer, provider, hire.id);
  assert.ok(!logged.includes('fault') && logged.includes('delivery refused'));
});

test('what is over is put away once there is room for that', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ trust: ['did:web:nobody.example'] })];
  failsOnce(hirer.store, 'putAway');
  await hirer.hire(made.order(provider));
  await until(() => hirer.conversations.size === 0);
});

test('a delivery that a full disk of ours did not take is said once there is room, and the work is not done again for it', async (t) => {
  const made = await two(t);
  let runs = 0;
  const run = async (/** @type {any} */ job) => { runs += 1; await service.run(job); };
  const [hirer, provider] = [await made.hirer(), await made.provider({ services: [{ ...service, run }] })];
  const failed = failsOnce(provider.store, 'add', ({ raw = '{}' }) => JSON.parse(raw).type === 'Delivery');
  const hire = await hirer.hire(made.order(provider));
  await failed;
  await whole(hirer, provider, hire.id);
  assert.equal(runs, 1);
});

test('what a full disk of ours did not book was not done, and is no fault of the request for it', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const failed = failsOnce(hirer.store, 'add', ({ k }) => k === 'booked');
  const hire = await hirer.hire(made.order(provider));
  await failed;
  await whole(hirer, provider, hire.id);
  assert.equal(hire.actions.length, 1);
});
