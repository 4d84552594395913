/** Every folder of protocol-spec/vectors, with the result that it states. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { SPEC } from '../src/spec.js';
import { kinds } from '../support/vectors.js';

const root = `${SPEC}/vectors`;
const folders = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.name === 'case.json').map((entry) => (entry.parentPath ?? entry.path).slice(root.length + 1)).sort();

const read = (/** @type {string} */ folder, /** @type {string} */ name) => readFileSync(`${root}/${folder}/${name}`);
const readJson = (/** @type {string} */ folder, /** @type {string} */ name) => JSON.parse(read(folder, name).toString());

test('there are vectors of every kind', () => {
  const found = new Set(folders.map((folder) => readJson(folder, 'case.json').kind));
  assert.deepEqual([...found].sort(), [...Object.keys(kinds)].sort());
});

for (const folder of folders) {
  test(folder, async () => {
    const of = readJson(folder, 'case.json');
    const expected = readJson(folder, 'expected.json');
    const journal = of.kind === 'journal' ? readJson(folder, 'journal.json') : undefined;
    const found = await kinds[of.kind](read(folder, 'input.json'), of, journal, expected);
    for (const [name, value] of Object.entries(expected)) {
      if (name !== 'type' || value !== undefined) assert.deepEqual(found[name], value, name);
    }
  });
}
