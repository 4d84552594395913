/** What is over costs no memory, and is answered all the same (HIRE-LIM-02, HIRE-CHN-04, HIRE-CHN-05). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchArtifact } from '../src/artifacts.js';
import { dial } from '../src/link.js';
import { Resolver } from '../src/did.js';
import { keyOfDidKey } from '../src/keys.js';
import { digest, engagementId, instant, newNonce } from '../src/encoding.js';
import { signMessage } from '../src/message.js';
import { sketchFor } from '../src/terms.js';
import { two, until, whole } from '../support/peers.js';

const now = () => Math.floor(Date.now() / 1000);

/** A hirer that asks and says no more. @param {import('../src/peer.js').Peer} provider */
async function stranger(provider) {
  const key = keyOfDidKey(randomBytes(32));
  const did = key.method.split('#')[0];
  const link = await dial(provider.url, provider.did, { did, key, resolver: new Resolver(), now, local: true });
  /** @type {any[]} */ const heard = [];
  link.listen(async (bytes) => { heard.push(JSON.parse(bytes.toString())); });
  const say = async (/** @type {any} */ content) => {
    const message = await signMessage({ version: '1.0', sender: did, recipient: provider.did, role: 'hirer', ...content }, key, 'eddsa-jcs-2022', now());
    link.send(JSON.stringify(message));
    return message;
  };
  const asks = (need = 'summary', more = {}) => {
    const nonce = newNonce();
    return say({
      type: 'Inquiry', sequence: 1, engagement: engagementId(did, provider.did, nonce), nonce, need, task: { kind: need, summary: '', inputs: [] }, scopeSketch: sketchFor([]), versions: ['1.0'],
      suites: ['eddsa-jcs-2022'], extensions: [], opens: 'hirer', limits: { rounds: 4, bytes: 100000 }, respondBy: instant(now() + 60), closesAt: instant(now() + 600), ...more,
    });
  };
  return { link, heard, say, asks, last: (/** @type {string} */ type) => heard.filter((one) => one.type === type).at(-1) };
}

test('a negotiation that is over is put away once the other side has its end, and before that counts as one of theirs', async (t) => {
  const made = await two(t);
  const provider = await made.provider();
  const self = await stranger(provider);
  const inquiry = await self.asks('nobody does this');
  await until(() => self.last('Withdraw') !== undefined);
  const end = self.last('Withdraw');
  const at = { engagement: inquiry.engagement, sequence: 1, previous: digest(inquiry), seen: digest(end) };
  await new Promise((resolve) => { setTimeout(resolve, 500); }); // two looks
  assert.equal(provider.conversations.size, 1);
  const receipt = { type: 'Receipt', of: [digest(end)], receivedAt: instant(now()), ...at };
  await self.say(receipt);
  await until(() => provider.conversations.size === 0);

  self.heard.length = 0;
  self.link.send(JSON.stringify(inquiry)); // a repeat has its receipt, and the same end is not said twice
  await until(() => self.last('Receipt') !== undefined);
  assert.deepEqual([self.last('Receipt').of, self.last('Receipt').previous], [[digest(inquiry)], digest(end)]);
  await until(() => provider.conversations.size === 0);
  await self.say({ type: 'Sync', state: 'withdrawn', lane: 'idle', ...at });
  await until(() => self.heard.length > 1);
  assert.deepEqual([self.heard[1].type, self.heard[1].of], ['Receipt', []]);
  const { proof, id, '@context': context, ...content } = inquiry;
  await self.say({ ...content, need: 'summary' }); // another move in its place is equivocation for ever
  await until(() => self.last('Problem') !== undefined);
  assert.equal(self.last('Problem').code, 'conflicting_message');
  await provider.stop();

  const again = await made.provider();
  assert.equal(again.conversations.size, 0);
  assert.equal(again.find(inquiry.engagement)?.engagement.state.main, 'withdrawn');
  assert.equal(again.find('urn:hire:engagement:../../journal.jsonl'), undefined);
  await again.stop();
});

test('a no that says what would change it is known when it is put away', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ trust: ['did:web:nobody.example'] })];
  const { id } = await hirer.hire(made.order(provider));
  await until(() => provider.conversations.size === 0 && hirer.conversations.size === 0);
  const continues = digest(/** @type {any} */ (hirer.find(id)).engagement.state.withdrawn);
  const self = await stranger(provider);
  await self.asks('summary', { continues }); // it was said to another
  await until(() => self.last('Problem') !== undefined); // signed, so that its place is free (HIRE-NEG-19)
  const { code, path, final } = self.last('Problem');
  assert.deepEqual([code, path, final], ['wrong_negotiation', '/continues', true]);
  await until(() => provider.conversations.size === 0); // and nothing is kept of it
  for (const [more, wrong] of /** @type {[any, string][]} */ ([[{ sequence: 2, previous: continues }, 'out_of_order'], [{ role: 'provider' }, 'wrong_party'], [{ seen: continues }, 'ledger_diverged']])) {
    const { engagement } = await self.asks('summary', more);
    await until(() => self.last('Problem').engagement === engagement);
    assert.deepEqual([self.last('Problem').code, self.last('Fault')], [wrong, undefined]);
  }
  await until(() => provider.conversations.size === 0);
  assert.equal(provider.store.past(`no ${continues}`), hirer.did);
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('a contract that is put away is there when its artifacts are asked for', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const { id } = await hirer.hire(made.order(provider));
  await whole(hirer, provider, id);
  for (const peer of [hirer, provider]) for (const one of peer.conversations.values()) one.heardAt -= 60;
  await until(() => hirer.conversations.size === 0 && provider.conversations.size === 0);
  const conversation = /** @type {any} */ (provider.find(id));
  const { contract } = conversation.engagement.state;
  assert.equal(provider.findContract(contract), conversation);
  const { index, leaf } = conversation.last('Seal').ledger;
  assert.deepEqual([conversation.engagement.state.main, conversation.acked, conversation.facts.index], ['closed', conversation.own.length, index]);
  assert.equal(provider.ledger.inclusion(index).leaf, leaf);
  await until(() => provider.conversations.size === 0);
  assert.equal(provider.findContract(contract)?.id, id);
  assert.equal(provider.findContract('uEi'), undefined);
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('what is recorded of a contract that was put away is read once by a start', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider()];
  const { id, order } = await hirer.hire(made.order(provider));
  await whole(hirer, provider, id);
  const away = () => {
    for (const one of hirer.conversations.values()) one.heardAt -= 60;
    return until(() => hirer.conversations.size === 0);
  };
  await away();
  const [{ uri, digest: input }] = order.inputs;
  await assert.rejects(fetchArtifact(provider, uri, /** @type {any} */ (provider.find(id)).engagement.state.contract, input), { code: 'contract_expired' });
  await away();
  const known = ({ actions, recorded, places } = /** @type {any} */ (hirer.find(id))) => ({ actions, recorded, places });
  const before = known();
  assert.equal(before.recorded.refusals, 1);
  await hirer.stop();

  const file = join(hirer.store.folder, 'journal.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  assert.match(/** @type {string} */ (lines.at(-2)), /"past"/);
  writeFileSync(file, [...lines.slice(0, -2), ''].join('\n')); // killed before it wrote that it was put away again
  const again = await made.hirer();
  assert.deepEqual(known(/** @type {any} */ (again.find(id))), before);
  await Promise.all([again.stop(), provider.stop()]);
});

test('nonces of one key are bounded, and those of others are not touched by that', async (t) => {
  const made = await two(t);
  const provider = await made.provider();
  for (let i = 0; i < 4096; i += 1) assert.equal(provider.nonceSeen('a', `${i}`), false);
  assert.deepEqual([provider.nonceSeen('a', 'one more'), provider.nonceSeen('a', '7'), provider.nonceSeen('b', '7')], [true, true, false]);
  await provider.stop();
});

test('what begins with a move that is refused is not kept: nothing would ever end it (HIRE-LIM-02)', async (t) => {
  const made = await two(t);
  const provider = await made.provider();
  const self = await stranger(provider);
  const { engagement } = await self.asks('summary', { seen: digest({}) }); // of which there is none
  await until(() => self.last('Problem') !== undefined);
  await until(() => provider.conversations.size === 0);
  await self.asks();
  await until(() => self.last('Profile') !== undefined);
  await provider.stop();
  const again = await made.provider();
  assert.deepEqual([again.conversations.size, again.find(engagement)], [1, undefined]);
  await again.stop();
});
