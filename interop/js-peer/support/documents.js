/** Which keys DID documents give for each relationship, as JSON: `[{did, now, document}]`, `document` a text, to `[{authentication, assertionMethod}]` or `[{code}]`. */
import { readFileSync } from 'node:fs';
import { Resolver, multikeys } from '../src/did.js';
import { seconds } from '../src/encoding.js';
import { HireError } from '../src/errors.js';
import { readJson } from '../src/json.js';

/** @param {{did: string, now: string, document: string}} given */
async function keysOf({ did, now, document }) {
  const read = readJson(Buffer.from(document), { foreign: true });
  const found = await new Resolver({ documents: { [did]: /** @type {any} */ (read) } }).resolve(did);
  return Object.fromEntries(/** @type {const} */ (['authentication', 'assertionMethod']).map((one) => [one, multikeys(found, one, seconds(now))]));
}

/** @param {unknown} error what is no JSON of a DID document is none, whatever is wrong with it */
function coded(error) {
  if (error instanceof HireError) return { code: 'did_document_invalid' };
  throw error;
}

const found = [];
for (const given of JSON.parse(readFileSync(0).toString())) found.push(await keysOf(given).catch(coded));
process.stdout.write(JSON.stringify(found));
