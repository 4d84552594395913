/** What the envelope of a statement may be: with more in it, a pack that has it is none (page 08, section 8.1). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Resolver } from '../src/did.js';
import { jcs } from '../src/encoding.js';
import { keyOfDidKey, sign } from '../src/keys.js';
import { SPEC } from '../src/spec.js';
import { pae, verifyVerdict } from '../src/statements.js';

const read = (/** @type {string} */ file) => JSON.parse(readFileSync(`${SPEC}/vectors/reviews/good/${file}`, 'utf8'));
const [good, of] = [read('input.json'), read('case.json')];

/** @param {any} envelope */
async function judged(envelope) {
  const parties = await Promise.all(of.parties.map((/** @type {string} */ did) => new Resolver().resolve(did)));
  const verificationMethod = Object.entries(of.methods).map(([id, publicKeyMultibase]) => ({ id, type: 'Multikey', controller: of.verifier, publicKeyMultibase }));
  const document = /** @type {any} */ ({ id: of.verifier, assertionMethod: Object.keys(of.methods), verificationMethod });
  return verifyVerdict(envelope, { delivery: of, contract: of.contract, verifier: of.verifier, document, earlier: [], parties, now: 0 });
}

const [signature] = good.signatures;
for (const [name, other, code] of /** @type {any[]} */ ([
  ['a member more', { uri: 'x' }, 'unknown_term'], ['a member more of its signature', { signatures: [{ ...signature, cert: 'x' }] }, 'unknown_term'],
  ['a signature that is a text', { signatures: ['x'] }, 'schema_violation'], ['a sig that is a number', { signatures: [{ ...signature, sig: 7 }] }, 'schema_violation'],
  ['a keyid that is a number', { signatures: [{ ...signature, keyid: 7 }] }, 'schema_violation'], ['signatures that are none', { signatures: undefined }, 'schema_violation'],
  ['no signature', { signatures: [] }, 'proof_missing'], ['a payload that is too long', { payload: 'a'.repeat(174767) }, 'too_large'],
])) {
  test(name, () => assert.rejects(judged({ ...good, ...other }), { code }));
}

test('of a statement a name with @ is one like others', async () => {
  const statement = JSON.parse(Buffer.from(good.payload, 'base64').toString());
  const payload = Buffer.from(jcs({ ...statement, '@type': 'x' }));
  const { seed } = of.keys.find((/** @type {any} */ one) => one.method === signature.keyid);
  const sig = Buffer.from(sign(keyOfDidKey(Buffer.from(seed, 'hex')), pae(payload))).toString('base64');
  assert.equal(await judged(good), 'PASSED');
  await assert.rejects(judged({ ...good, payload: payload.toString('base64'), signatures: [{ ...signature, sig }] }), { code: 'unknown_term', path: '/@type' });
});
