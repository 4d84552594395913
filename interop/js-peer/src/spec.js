/** What this peer takes from the specification as data: schemas, tables, context. Nothing of it is copied. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HireError } from './errors.js';

export const SPEC = process.env.HIRE_SPEC ?? fileURLToPath(new URL('../../../protocol-spec', import.meta.url));
/** @param {string} name @returns {any} */
export const specJson = (name) => JSON.parse(readFileSync(`${SPEC}/${name}`, 'utf8'));

export const tables = specJson('tables.json');
export const hireContext = checkedContext('context/hire-v1.jsonld', '0e093abd736c0c70778648135fae1d6ac3ac6a472bb04e23a7a81909763fac30');

/** Those of others, by IRI. */
export const published = checkedContext('context/published.json', '982a70f2dae12364577ac2c61fbf5702b5dbbc3e41306648aad9f96c8a56e913');

/** Contexts are what signatures rest on, so other ones than these are none (HIRE-LD-05). @param {string} name @param {string} sha256 */
function checkedContext(name, sha256) {
  const bytes = readFileSync(`${SPEC}/${name}`);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new HireError('context_tampered', name);
  return JSON.parse(bytes.toString());
}

/** @param {string} [folder] @returns {Record<string, any>} schema of each type of message and document, or of credential, by name */
export function schemas(folder = 'schemas') {
  const names = readdirSync(`${SPEC}/${folder}`).filter((name) => name.endsWith('.json'));
  return Object.fromEntries(names.map((name) => [name.slice(0, -5), specJson(`${folder}/${name}`)]));
}
