/** The hook over real sockets. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { two } from '../support/peers.js';

const PROGRAM = fileURLToPath(new URL('../bin/peer.js', import.meta.url));

test('an order that is none is refused, and nothing of it is stored', async (t) => {
  const made = await two(t);
  const hirer = await made.hirer({ hookToken: 'a token' });
  const right = { provider: hirer.did, task: 'summary', price: { amount: '4', currency: 'EUR' } };
  const ask = async (/** @type {unknown} */ order) => {
    const answer = await fetch(`${hirer.origin}/hire`, { method: 'POST', headers: { authorization: 'Bearer a token' }, body: JSON.stringify(order) });
    return [answer.status, Object.keys(/** @type {any} */ (await answer.json()))];
  };
  const { provider, task, price } = right;
  const wrong = [
    {}, [], 'text', null, { task, price }, { provider, price }, { provider, task }, { ...right, provider: 'did:key:zzz' }, { ...right, provider: 'did:other:x' },
    { ...right, provider: 'did:web:UPPER' }, { ...right, provider: 5 }, { ...right, task: '' }, { ...right, task: 5 }, { ...right, price: '4 EUR' },
    { ...right, price: { ...price, amount: 'abc' } }, { ...right, price: { ...price, amount: '-4' } }, { ...right, price: { ...price, currency: 'euro' } },
    { ...right, opening: {} }, { ...right, opens: 'nobody' }, { ...right, url: 'http://localhost' }, { ...right, inputs: { report: 'no base64!' } },
    { ...right, criteria: { 'c-1': 5 } }, { ...right, more: 1 },
  ];
  for (const order of wrong) assert.deepEqual(await ask(order), [400, ['code']], JSON.stringify(order));
  assert.equal(hirer.conversations.size, 0);
  assert.deepEqual(await ask(right), [202, ['id']]);
  await hirer.stop();
});

test('only who has the token is heard, of hires that there are', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer({ hookToken: 'a token' }), await made.provider()];
  const ask = async (/** @type {string} */ url, /** @type {string} */ authorization, /** @type {string} */ method = 'GET', /** @type {string | undefined} */ body = undefined) => {
    const answer = await fetch(url, { method, headers: { authorization }, body });
    return [answer.status, /** @type {any} */ (await answer.json()).code];
  };
  const [hire, one] = [`${hirer.origin}/hire`, `${hirer.origin}/hires/${encodeURIComponent('urn:uuid:0')}`];
  for (const token of ['Bearer another', 'Bearer a toke', 'Bearer a token2', 'a token', '']) {
    for (const [url, method] of [[hire, 'POST'], [one, 'GET'], [`${one}/say`, 'POST']]) assert.deepEqual(await ask(url, token, method), [401, 'unauthorized'], token);
  }
  for (const [url, method] of [[one, 'GET'], [`${one}/say`, 'POST'], [hire, 'GET'], [`${hirer.origin}/hires`, 'GET']]) assert.deepEqual(await ask(url, 'Bearer a token', method), [404, 'bad_path'], url);
  assert.deepEqual(await ask(hire, 'Bearer a token', 'POST', ' '.repeat(1024 * 1024 + 1)), [400, 'too_large']);
  assert.deepEqual(await ask(`${provider.origin}/hire`, 'Bearer undefined', 'POST', '{}'), [404, 'bad_path'], 'it has no hook');
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('the command line says what is wrong with it', () => {
  for (const words of [['serve', '--help'], ['--help'], ['serve'], ['serve', 'x', '--no-such'], ['export', 'x'], ['init']]) {
    const ran = spawnSync(process.execPath, [PROGRAM, ...words], { encoding: 'utf8' });
    assert.match(ran.stdout + ran.stderr, /usage: peer.js init FOLDER/, words.join(' '));
    assert.doesNotMatch(ran.stderr, /\n    at /);
    assert.equal(ran.status, words.includes('--help') ? 0 : 2);
  }
});
