/** Two of these peers over real sockets. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHome, openHome } from '../src/home.js';
import { handlers } from '../src/handlers.js';
import { Peer } from '../src/peer.js';

const REPORT = Buffer.from('All is well.\nDetails follow.');
const service = { task: 'summary', summary: 'a summary', price: { amount: '4', currency: 'EUR' }, ...handlers.summary };

/** @param {() => boolean} holds */
export async function until(holds, seconds = 20) {
  for (let left = seconds * 50; left > 0; left -= 1) {
    if (holds()) return;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  assert.fail('waited for nothing');
}

/** @param {import('node:test').TestContext} t @param {any} [more] */
async function two(t, more = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'hire-'));
  for (const name of ['hirer', 'provider']) await createHome(join(folder, name));
  const [hirer, provider] = ['hirer', 'provider'].map((name) => openHome(join(folder, name)));
  const open = (/** @type {string} */ name, /** @type {any} */ own, /** @type {string} */ trust, rest = {}) => new Peer({
    home: join(folder, name), key: own.key, credentials: own.credentials, trust: [trust], local: true, verbose: Boolean(process.env.VERBOSE), ...more, ...rest,
  }).start();
  const made = { hirer: () => open('hirer', hirer, provider.organisation), provider: (rest = {}) => open('provider', provider, hirer.organisation, { services: [service], ...rest }) };
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return made;
}

for (const suite of ['eddsa-jcs-2022', 'eddsa-rdfc-2022']) {
  test(`a whole hire with ${suite}`, async (t) => {
    const made = await two(t, { suites: [suite] });
    const [hirer, provider] = [await made.hirer(), await made.provider()];
    const hire = await hirer.hire({ provider: provider.did, url: provider.url, task: 'summary', inputs: { report: REPORT }, price: { amount: '5', currency: 'EUR' }, opening: { amount: '3', currency: 'EUR' } });
    const theirs = () => provider.conversations.get(hire.id);
    await until(() => hire.over && Boolean(theirs()?.over));
    assert.equal(hire.engagement.state.main, 'closed');
    assert.equal(theirs()?.engagement.state.main, 'closed');
    assert.equal(hire.engagement.state.terms.price.amount, '4');
    const { artifacts } = hire.last('Delivery');
    assert.equal(hirer.store.get(artifacts[0].digest).toString(), 'All is well.');
    assert.deepEqual(hire.own, theirs()?.theirs.map((one, i) => ({ ...one, at: hire.own[i].at })));
    await Promise.all([hirer.stop(), provider.stop()]);
  });
}
