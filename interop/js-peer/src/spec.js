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

/** A context is what signatures rest on, so another one than this is none (HIRE-LD-05). @param {string} name @param {string} sha256 */
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
