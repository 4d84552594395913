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

/** Class core is claimed whole; of the others these kinds are implemented too, and what is presented but for JWTs and graphs. */
const BESIDE = ['answer', 'chain', 'journal', 'linkage', 'request'];
const SHOWN = /^presentations\/(?!.*(?:jwt|graph))/;
const cases = new Map(folders.map((folder) => [folder, readJson(folder, 'case.json')]));
const chosen = folders.filter((folder) => cases.get(folder).class === 'core' || BESIDE.includes(cases.get(folder).kind) || SHOWN.test(folder));

test(`${folders.length - chosen.length} vectors of other classes are left out`, () => {
  assert.deepEqual([...new Set(chosen.map((folder) => cases.get(folder).kind))].sort(), [...Object.keys(kinds)].sort());
});

for (const folder of chosen) {
  test(folder, async () => {
    const of = cases.get(folder);
    const expected = readJson(folder, 'expected.json');
    const journal = of.kind === 'journal' ? readJson(folder, 'journal.json') : undefined;
    const found = await kinds[of.kind](read(folder, 'input.json'), of, journal, expected);
    for (const [name, value] of Object.entries(expected)) {
      if (name !== 'type' || value !== undefined) assert.deepEqual(found[name], value, name);
    }
  });
}
