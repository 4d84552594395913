/** What texts say as JSON: `[[text in base64, foreign]]` to `["=" with the canonical form, or the code]`. */
import { readFileSync } from 'node:fs';
import { jcs } from '../src/encoding.js';
import { HireError } from '../src/errors.js';
import { readJson } from '../src/json.js';

/** @param {[string, boolean]} given */
function said([text, foreign]) {
  try { return `=${jcs(readJson(Buffer.from(text, 'base64'), { foreign }))}`; } catch (error) {
    if (error instanceof HireError) return error.code;
    throw error;
  }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0).toString()).map(said)));
