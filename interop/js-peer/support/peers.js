/** What tests of whole hires share. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHome, openHome } from '../src/home.js';
import { handlers } from '../src/handlers.js';
import { Peer } from '../src/peer.js';

const REPORT = Buffer.from('All is well.\nDetails follow.');
export const service = { task: 'summary', summary: 'a summary', price: { amount: '4', currency: 'EUR' }, ...handlers.summary };
/** Its work never ends. */
export const endless = { ...service, run: () => new Promise(() => {}) };

/** @param {() => boolean} holds @param {number} [seconds] */
export async function until(holds, seconds = 30) {
  for (let left = seconds * 50; left > 0; left -= 1) {
    if (holds()) return;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  assert.fail('waited for nothing');
}

/** Makes a hirer and a provider that trust each other's organisation. @param {import('node:test').TestContext} t @param {any} [more] */
export async function two(t, more = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'hire-'));
  for (const name of ['hirer', 'provider']) await createHome(join(folder, name));
  const [hirer, provider] = ['hirer', 'provider'].map((name) => openHome(join(folder, name)));
  /** @type {Peer[]} */ const opened = [];
  const open = (/** @type {string} */ name, /** @type {any} */ own, /** @type {string} */ trust, /** @type {any} */ rest) => {
    const peer = new Peer({ home: join(folder, name), key: own.key, credentials: own.credentials, trust: [trust], local: true, verbose: Boolean(process.env.VERBOSE), ...more, ...rest });
    opened.push(peer);
    return peer.start();
  };
  t.after(async () => {
    for (const peer of opened.filter(({ stopped }) => !stopped)) await peer.stop(); // a test that failed left them
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    hirer: (rest = {}) => open('hirer', hirer, provider.organisation, rest),
    provider: (rest = {}) => open('provider', provider, hirer.organisation, { services: [service], ...rest }),
    order: (/** @type {Peer} */ at) => ({
      provider: at.did, url: at.url, task: 'summary', inputs: { report: REPORT }, price: { amount: '5', currency: 'EUR' }, opening: { amount: '3', currency: 'EUR' },
    }),
  };
}

/** Both sides close one contract, with the same moves. @param {Peer} hirer @param {Peer} provider @param {string} id */
export async function whole(hirer, provider, id) {
  const sides = () => [hirer, provider].map((one) => one.find(id));
  await until(() => sides().every((one) => one?.over));
  const [ours, theirs] = sides().map((one) => /** @type {import('../src/conversation.js').Conversation} */ (one));
  assert.deepEqual([ours, theirs].map((one) => one.engagement.state.main), ['closed', 'closed']);
  for (const role of ['hirer', 'provider']) {
    const digests = [ours, theirs].map((one) => one.engagement.moves[role].map(({ digest }) => digest));
    assert.deepEqual(digests[0], digests[1]);
  }
  assert.equal(ours.last('Review').verdict, 'accepted');
}

/** A hire under way, whose work goes on when told. @param {import('node:test').TestContext} t */
export async function working(t) {
  const made = await two(t);
  /** @type {any} */ let goOn;
  const open = new Promise((resolve) => { goOn = resolve; });
  const run = async (/** @type {any} */ job) => { await open; await service.run(job); };
  const provider = await made.provider({ services: [{ ...service, run }] });
  const hirer = await made.hirer();
  const conversation = await hirer.hire(made.order(provider));
  await until(() => conversation.engagement.state.main === 'working' && conversation.unanswered.length === 0);
  return { hirer, provider, conversation, goOn };
}
