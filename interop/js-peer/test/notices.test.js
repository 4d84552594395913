/** What a notice shows of its sender's log (HIRE-LOG-03). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Conversation } from '../src/conversation.js';
import { Resolver } from '../src/did.js';
import { multibase, fromMultibase } from '../src/encoding.js';
import { checkNotice } from '../src/stated.js';
import { SPEC } from '../src/spec.js';

const receipt = JSON.parse(readFileSync(`${SPEC}/vectors/messages/eddsa-jcs-2022/receipt-inclusion/input.json`, 'utf8'));
const document = await new Resolver({}).resolve(receipt.sender);
const { checkpoint, inclusion } = receipt;
const refused = (/** @type {any} */ change) => assert.throws(() => checkNotice({ ...receipt, ...change }, [document], 1_800_000_000), { code: 'log_proof_invalid' });

test('a notice is in the suite chosen, or in any while its sender knows of no Profile (HIRE-PRF-02)', () => {
  const suites = (/** @type {any} */ notice, /** @type {any} */ profile = { suite: 'eddsa-rdfc-2022' }) => Conversation.prototype.suitesOf.call(/** @type {any} */ ({ engagement: { state: { profile } } }), notice);
  const knows = [{ role: 'hirer', seen: 'u', sequence: 1 }, { role: 'provider', seen: 'u', sequence: 1 }];
  const before = [{ role: 'hirer', sequence: 1 }, { role: 'provider', seen: 'u', sequence: 0 }];
  for (const notice of knows) assert.deepEqual(suites(notice), ['eddsa-rdfc-2022']);
  for (const notice of before) assert.ok(suites(notice).includes('eddsa-jcs-2022'));
  for (const notice of knows) assert.ok(suites(notice, null).includes('eddsa-jcs-2022'));
});

test('a note of its sender, with and without a proof that leads to it', () => {
  checkNotice(receipt, [document], 1_800_000_000);
  checkNotice({ ...receipt, inclusion: undefined }, [document], 1_800_000_000);
  checkNotice({ ...receipt, inclusion: undefined, checkpoint: undefined }, [document], 1_800_000_000);
});

test('a note that is none, of another log, or of other leaves', () => {
  const text = fromMultibase(checkpoint).toString();
  for (const note of ['uAAAA', multibase(Buffer.from(text.replace('\n5\n', '\n6\n')))]) refused({ checkpoint: note });
  refused({ sender: receipt.recipient });
});

test('a proof of another size, or that does not lead there', () => {
  const [path] = inclusion.path;
  for (const change of [{ size: 6 }, { index: 3 }, { index: 5 }, { path: [] }, { path: [path, path] }, { leaf: path }]) {
    refused({ inclusion: { ...inclusion, ...change } });
  }
});

test('another root of the size of before; a checkpoint of fewer leaves may have been made before', () => {
  const at = 0;
  const size = inclusion.size;
  const after = (/** @type {any} */ head) => checkNotice(receipt, [document], 1_800_000_000, new Map([[receipt.sender, head]]));
  const own = Buffer.from(fromMultibase(checkpoint).toString().split('\n')[2], 'base64');
  after({ size, root: own, at });
  after({ size: size + 1, root: Buffer.alloc(32), at });
  assert.throws(() => after({ size, root: Buffer.alloc(32), at }), { code: 'ledger_diverged' });
});

test('a note by a key that was listed when something of its sender was recorded', () => {
  const rotated = { ...document, assertionMethod: [] };
  assert.throws(() => checkNotice(receipt, [rotated], 1_800_000_000), { code: 'log_proof_invalid' });
  checkNotice(receipt, [rotated, document], 1_800_000_000);
  assert.throws(() => checkNotice(receipt, [rotated, { ...document, id: receipt.recipient }], 1_800_000_000), { code: 'log_proof_invalid' });
});
