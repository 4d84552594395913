/** What a move states of logs is looked at before it is recorded: with what is false no pack would hold (HIRE-LOG-05, HIRE-LOG-22). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { digestOfHash, instant, multibase, sha256 } from '../src/encoding.js';
import { publicMultikey, readKey, sign } from '../src/keys.js';
import { checkContinues, checkpoint, Log, noteHint, readCosigned } from '../src/ledger.js';
import { two, until, working } from '../support/peers.js';

/** A cosignature of a checkpoint. @param {string} by @param {import('../src/keys.js').PrivateKey} key @param {string} origin @param {number} size @param {Buffer} root @param {{more?: string, name?: string}} [other] */
function cosigned(by, key, origin, size, root, { more = '', name = by } = {}) {
  const text = `${origin}\n${size}\n${root.toString('base64')}\n`;
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(1_800_000_000n);
  const data = [noteHint(name, readKey(publicMultikey(key)).bytes, 4), time, sign(key, Buffer.from(`cosignature/v1\ntime 1800000000\n${text}`)), Buffer.from(more)];
  return multibase(Buffer.from(`${text}\n\u2014 ${name} ${Buffer.concat(data).toString('base64')}\n`));
}

test('a cosignature is of one line by its sender, of a time and a signature', () => {
  const [by, key, root] = ['did:web:acme.example', { kind: /** @type {const} */ ('Ed25519'), secret: new Uint8Array(32).fill(7) }, sha256('root')];
  const keys = [readKey(publicMultikey(key))];
  const good = cosigned(by, key, 'did:web:globex.example', 5, root);
  assert.deepEqual(readCosigned(good, by, keys), { origin: 'did:web:globex.example', size: 5, root });
  const other = { ...key, secret: new Uint8Array(32).fill(8) };
  for (const [note, name = by] of [
    [cosigned(by, other, 'did:web:globex.example', 5, root)], [good, 'did:web:other.example'], [cosigned(by, key, 'did:web:globex.example', 5, root, { more: 'x' })],
    [checkpoint(by, new Log(), key, keys[0].bytes)],
  ]) assert.throws(() => readCosigned(note, name, keys), { code: 'log_proof_invalid' });
});

test('a log of any size continues one of any smaller size, by its proof alone', () => {
  const log = new Log();
  for (let i = 0; i < 40; i += 1) log.add(sha256(`leaf ${i}`));
  const at = (/** @type {number} */ size) => ({ size, root: log.root(size), at: 0 });
  /** RFC 6962, 2.1.2. @param {number} old @param {number} begin @param {number} end @param {boolean} whole @returns {Buffer[]} */
  const path = (old, begin, end, whole) => {
    if (old === end - begin) return whole ? [] : [over(begin, end)];
    const k = 2 ** Math.floor(Math.log2(end - begin - 1));
    return old <= k ? [...path(old, begin, begin + k, whole), over(begin + k, end)] : [...path(old - k, begin + k, end, false), over(begin, begin + k)];
  };
  const over = (/** @type {number} */ begin, /** @type {number} */ end) => {
    const part = new Log();
    for (const leaf of log.levels[0].slice(begin, end)) part.add(leaf);
    return part.root();
  };
  const refused = { code: 'log_proof_invalid', path: '/consistency' };
  for (let size = 2; size <= 40; size += 1) {
    for (let old = 1; old < size; old += 1) {
      const hashes = path(old, 0, size, true).map(digestOfHash);
      const holds = (/** @type {string[]} */ given, before = at(old), after = at(size)) => checkContinues(before, after, { size: old, path: given }, '/consistency');
      holds(hashes);
      assert.throws(() => holds([...hashes, digestOfHash(sha256(''))]), refused);
      assert.throws(() => holds(hashes.slice(1)), refused);
      assert.throws(() => holds(hashes, { ...at(old), root: sha256('another') }), refused);
      assert.throws(() => holds(hashes, at(old), { ...at(size), root: sha256('another') }), refused);
    }
  }
  checkContinues(undefined, at(5), { size: 3, path: [] }, ''); // from what is not held it proves nothing
  checkContinues(at(4), at(5), { size: 3, path: [] }, '');
});

for (const [name, taken, say] of /** @type {[string, boolean, (hirer: any, provider: any) => any][]} */ ([
  ['a cosignature of leaves that our log has', true, (hirer, { did, ledger }) => ({ cosignatures: [cosigned(hirer.did, hirer.key, did, 2, ledger.root(2))] })],
  ['a cosignature of other leaves', false, (hirer, { did }) => ({ cosignatures: [cosigned(hirer.did, hirer.key, did, 2, sha256('other'))] })],
  ['a cosignature of more leaves than there are', false, (hirer, { did, ledger }) => ({ cosignatures: [cosigned(hirer.did, hirer.key, did, ledger.size + 1, ledger.root())] })],
  ['a cosignature of another log', false, (hirer, { ledger }) => ({ cosignatures: [cosigned(hirer.did, hirer.key, hirer.did, 2, ledger.root(2))] })],
  ['a checkpoint of another log', false, (hirer, { did, ledger }) => ({ checkpoint: checkpoint(did, ledger, hirer.key, hirer.publicKey) })],
])) {
  test(`${name} is ${taken ? 'taken' : 'refused'} with a Closing, whether that moves something or crossed a dispute`, async (t) => {
    for (const crossed of [false, true]) {
      const made = await two(t);
      const [hirer, provider] = [await made.hirer(), await made.provider()];
      const ours = await hirer.hire({ ...made.order(provider), arbiter: 'did:key:z6MkngVW6AknXj1qshFrT3C1u873BVuFvHuFdPeEoaeKmCrJ' });
      const says = ours.say.bind(ours);
      ours.say = (said) => says(said.type === 'Closing' ? { ...said, body: { ...said.body, ...say(hirer, provider) } } : said);
      await until(() => provider.find(ours.id) !== undefined);
      const theirs = /** @type {any} */ (provider.find(ours.id));
      const replies = theirs.say.bind(theirs);
      theirs.say = (/** @type {any} */ said) => {
        const { contract } = theirs.engagement.state;
        const dispute = { contract, about: contract, claim: 'It was more work.', evidence: [], rulingBy: instant(provider.now() + 90_000) };
        return replies(crossed && said.type === 'Closing' ? { type: 'Dispute', body: dispute } : said); // the hirer has closed its books, and knows of none
      };
      const told = () => ours.problems.map(({ type, code }) => `${type} ${code}`);
      await until(() => theirs.last('Closing', 'hirer') !== undefined || told().length > 0);
      assert.deepEqual(told(), taken ? [] : ['Closing log_proof_invalid']);
      assert.equal(theirs.last('Closing', 'hirer') !== undefined, taken);
      assert.equal(theirs.engagement.state.main, crossed ? 'disputed' : taken ? 'closed' : 'closing');
      await Promise.all([hirer.stop(), provider.stop()]);
    }
  });
}

test('books of a log that the other side does not believe are not said again before the next start (HIRE-LOG-09)', async (t) => {
  const { hirer, provider, conversation: ours, goOn } = await working(t);
  provider.heads.set(hirer.did, { size: 1_000_000, root: sha256('another'), at: 0 });
  goOn();
  await until(() => ours.problems.length > 0);
  assert.deepEqual(ours.problems, [{ type: 'Closing', code: 'ledger_diverged' }]);
  const books = () => ours.own.slice(ours.acked).map(({ digest }) => ours.engagement.messages[digest].type);
  await until(() => books().length === 1);
  assert.deepEqual([books(), ours.unanswered], [['Closing'], []]);
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('who accepts, and states of its log what cannot be, is not left in doubt (HIRE-LOG-09)', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const ours = await hirer.hire(made.order(provider));
  const says = ours.say.bind(ours);
  ours.say = (said) => {
    if (said.type === 'Acceptance') provider.heads.set(hirer.did, { size: 1_000_000, root: sha256('another'), at: 0 });
    return says(said);
  };
  await until(() => ours.over);
  assert.deepEqual([ours.problems, ours.engagement.state.withdrawn.reason], [[{ type: 'Acceptance', code: 'ledger_diverged' }], 'decision_failed']);
  await Promise.all([hirer.stop(), provider.stop()]);
});
