/** The log: what has a leaf, and that any size of it can be shown (page 08, section 8.4; RFC 6962). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { digestOfBytes, digestOfHash, fromMultibase, hashOfDigest, jcs, multibase, sha256 } from '../src/encoding.js';
import { publicMultikey, readKey, sign } from '../src/keys.js';
import { checkGrowth, contractLeaf, keepHead, leafOf, Log, noteHint, readCheckpoint, rootFrom } from '../src/ledger.js';
import { two, whole } from '../support/peers.js';

/** The root as RFC 6962 defines it. @param {Buffer[]} leaves @returns {Buffer} */
function rootOf(leaves) {
  if (leaves.length < 2) return leaves[0] ?? sha256('');
  const k = 2 ** Math.floor(Math.log2(leaves.length - 1));
  return sha256(Buffer.concat([Buffer.from([1]), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k))]));
}

test('roots and paths of every size are those of the leaves', () => {
  const log = new Log();
  const leaves = Array.from({ length: 70 }, (_, i) => sha256(`leaf ${i}`));
  for (let size = 0; size <= leaves.length; size += 1) {
    assert.deepEqual(log.root(), rootOf(leaves.slice(0, size)));
    for (const of of [size, size >> 1]) {
      for (let index = 0; index < of; index += 5) {
        const { leaf, path } = log.inclusion(index, of);
        assert.deepEqual(rootFrom(hashOfDigest(leaf), index, of, path.map(hashOfDigest)), log.root(of));
        assert.deepEqual(hashOfDigest(leaf), leaves[index]);
      }
    }
    if (size < leaves.length) log.add(leaves[size]);
  }
});

test('a hire leaves what binds, what was made and judged, and every decision (HIRE-LOG-06, HIRE-CRD-08); all of it is there after a restart', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const { id } = await hirer.hire(made.order(provider));
  await whole(hirer, provider, id);
  await Promise.all([hirer.stop(), provider.stop()]);
  for (const open of /** @type {const} */ (['hirer', 'provider'])) {
    const peer = await made[open]();
    const entries = [...peer.store.lines()].flatMap((line) => line.entries);
    const leaves = entries.filter(({ k }) => k === 'leaf');
    assert.equal(peer.ledger.size, leaves.length);
    assert.deepEqual(peer.ledger.root(), rootOf(leaves.map(({ label, commitment }) => leafOf(label, hashOfDigest(commitment)))));
    const of = (/** @type {string} */ label) => leaves.filter((one) => one.label === label).map(({ commitment, salt }) => [commitment, salt]);
    const logged = entries.filter(({ raw }) => raw && ['Acceptance', 'Seal', 'Delivery', 'Review', 'Closing'].includes(JSON.parse(raw).type));
    assert.deepEqual([of('contract').length, of('move').length, logged.length], [1, 6, 6]);
    assert.deepEqual(of('move').map(([commitment]) => commitment), logged.map(({ raw }) => digestOfBytes(raw)));
    const decisions = entries.filter(({ k }) => k === 'decision').map(({ text }) => text);
    assert.ok(decisions.length >= 2);
    assert.deepEqual(of('decision').map(([, salt], i) => sha256(Buffer.concat([fromMultibase(salt), Buffer.from(decisions[i])]))), of('decision').map(([commitment]) => hashOfDigest(commitment)));
    for (const text of decisions) {
      const { outcome, reasons, inputs } = JSON.parse(text);
      assert.equal(outcome, 'allow');
      assert.deepEqual(reasons.map((/** @type {any} */ one) => one.clause), inputs.terms ? ['require', 'status', 'limits'] : ['require', 'status']);
      assert.equal(peer.store.get(inputs.policy).toString(), peer.policy);
    }
    assert.equal(jcs(JSON.parse(decisions[0])), decisions[0]);
    await peer.stop();
  }
});

test('a seal says where the contract stands, whatever else is added meanwhile', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const hires = await Promise.all(Array.from({ length: 6 }, () => hirer.hire(made.order(provider))));
  for (const { id } of hires) await whole(hirer, provider, id);
  for (const { id } of hires) {
    const conversation = /** @type {any} */ (provider.find(id));
    const { ledger, offer, acceptance } = conversation.last('Seal');
    const { messages } = conversation.engagement;
    const { leaf } = provider.ledger.inclusion(ledger.index);
    const document = { ...messages[offer].document, proof: [messages[offer].document.proof, messages[acceptance].contractProof] };
    assert.deepEqual([ledger.leaf, hashOfDigest(leaf)], [leaf, contractLeaf(document)]);
  }
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('a note has the form that others read, and no other (HIRE-LOG-04)', () => {
  const origin = 'did:web:globex.example';
  const key = { kind: /** @type {const} */ ('Ed25519'), secret: new Uint8Array(32).fill(7) };
  const own = readKey(publicMultikey(key));
  const line = (/** @type {string} */ text, name = origin, more = '') => `\u2014 ${name} ${Buffer.concat([noteHint(origin, own.bytes), sign(key, Buffer.from(text)), Buffer.from(more)]).toString('base64')}\n`;
  const root = sha256('root').toString('base64');
  const states = (size = '5', hash = root, more = '') => `${origin}\n${size}\n${hash}\n${more}`;
  const noted = (/** @type {string} */ text, /** @type {string[]} */ ...lines) => `${text}\n${line(text)}${lines.join('')}`;
  const other = `\u2014 witness.example ${Buffer.alloc(76, 1).toString('base64')}\n`;
  const read = (/** @type {string} */ note) => readCheckpoint(multibase(Buffer.from(note)), origin, [own]);
  for (const note of [noted(states()), noted(states(), other), noted(states(), ...Array(31).fill(other)), noted(states('5', root, 'more\n')), noted(states('9007199254740991')),
    ...['\u{1fae9}', '\u0378', '\u{1f600}'.repeat(600)].map((name) => noted(states(), other.replace('witness.example', name)))]) {
    assert.equal(read(note).root.toString('base64'), root);
  }
  const text = states();
  for (const note of [
    ...[states('05'), states('-1'), states('9007199254740992'), states('0'), states('5', ''), states('5', ` ${root}`)].map((one) => noted(one)),
    ...[root.slice(0, -2) + '9=', sha256('x').subarray(1).toString('base64'), root.replace('=', '')].map((hash) => noted(states('5', hash))),
    ...[noted(text).slice(0, -1), `${noted(text)}\n`, `${text}\n\n${line(text)}`, `${text}\n`, '', noted(states('5', root, 'a\u0007b\n'))],
    ...['\u2014 x\n', 'garbage\n', `\u2014 a+b ${other.split(' ')[2]}`, `\u2014 witness.example ${Buffer.alloc(4).toString('base64')}\n`, line(text)].map((one) => noted(text, one)),
    noted(text, ...Array(32).fill(other)),
    ...['a\u2003b', 'a\u0085', '\u200b', 'a\u202eb', '\u{1f600}'.repeat(1025)].map((name) => noted(text, other.replace('witness.example', name))),
    noted(text, `\u2014 witness.example ${Buffer.alloc(12300).toString('base64')}\n`),
    `${text}\n${line(text, origin, 'x')}`,
  ]) assert.throws(() => read(note), { code: 'log_proof_invalid' }, JSON.stringify(note).slice(0, 200));
  const spelled = [states(), states('55')].map((one) => multibase(Buffer.from(noted(one)))).find((one) => one.length % 4 !== 1) ?? '';
  const odd = spelled.slice(0, -1) + String.fromCharCode(spelled.charCodeAt(spelled.length - 1) + 1);
  assert.deepEqual(Buffer.from(odd.slice(1), 'base64url'), Buffer.from(spelled.slice(1), 'base64url'));
  assert.throws(() => readCheckpoint(odd, origin, [own]), { code: 'log_proof_invalid' });
});

test('of as many logs as anybody shows only so many are kept', () => {
  const heads = new Map();
  const offer = (/** @type {number} */ n, size = 1) => ({ type: 'Offer', sender: `did:web:${n}.example`, head: { size, root: digestOfHash(sha256('')), at: '2026-01-01T00:00:00Z' } });
  for (let n = 0; n < 16384; n += 1) keepHead(heads, offer(n));
  keepHead(heads, offer(0, 2));
  keepHead(heads, offer(20000));
  assert.deepEqual([heads.size, heads.has('did:web:0.example'), heads.has('did:web:1.example')], [16384, true, false]);
});

test('of two checkpoints the one signed later has no fewer leaves, in whatever order they come (HIRE-LOG-05)', () => {
  const [root, other] = [sha256('root'), sha256('another')];
  for (const [size, at, held, heldAt, same] of /** @type {const} */ ([
    [3, 1, 3, 1, true], [3, 2, 3, 1, false], [2, 1, 3, 1, true], [2, 0, 3, 1, true], [2, 2, 3, 1, false], [3, 1, 2, 1, true], [3, 2, 2, 1, true], [3, 0, 2, 1, false],
  ])) {
    const one = { size, at, root: size === held && !same ? other : root };
    const holds = () => checkGrowth(one, { size: held, at: heldAt, root }, '/head');
    if (same) holds();
    else assert.throws(holds, { code: 'ledger_diverged', path: '/head' });
  }
});
