/** What the store has after whatever happened to it (HIRE-CHN-07). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOfBytes } from '../src/encoding.js';
import { Store } from '../src/store.js';

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
