/** A person's yes: asked for once, and good for as long as it says (HIRE-LIF-19). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { instant } from '../src/encoding.js';
import { say } from '../src/owner.js';
import { draftTerms } from '../src/terms.js';
import { service, two, until } from '../support/peers.js';

const action = { name: 'order:place', target: 'https://shop.example/orders' };

/** Work that does the same thing so many times at once, and then goes on. @param {import('node:test').TestContext} t @param {number} [times] */
async function asking(t, times = 1) {
  const made = await two(t);
  /** @type {string[]} */ const ended = [];
  const run = async (/** @type {any} */ job) => {
    await Promise.all(Array.from({ length: times }, () => job.act(action).then(() => ended.push('done'), (/** @type {any} */ { code }) => ended.push(code))));
    await new Promise(() => {});
  };
  const hirer = await made.hirer();
  const orders = (/** @type {string} */ base) => ({ id: `${base}#orders`, action: action.name, target: 'https://shop.example/*', duty: [{ id: `${base}#orders.approval`, action: 'http://www.w3.org/ns/odrl/2/obtainConsent' }] });
  hirer.termsFor = (base, of) => {
    const terms = draftTerms(base, of, hirer.now());
    return { ...terms, scope: { ...terms.scope, grants: [orders(base), ...terms.scope.grants] } };
  };
  const work = (more = {}) => made.provider({ services: [{ ...service, run }], ...more });
  let provider = await work();
  const ours = await hirer.hire(made.order(provider));
  const asked = () => Object.entries(ours.engagement.state.requests).filter(([, { open }]) => open).map(([request]) => request);
  await until(() => asked().length === times);
  const again = async () => {
    await provider.stop();
    await until(() => ended.length > 0);
    ended.length = 0;
    provider = await work({ port: provider.port });
  };
  return { hirer, ours, asked, ended, again, stop: () => Promise.all([hirer.stop(), provider.stop()]) };
}

test('a yes whose time is over is not asked for again: the action is refused', async (t) => {
  const { hirer, ours, asked, ended, stop } = await asking(t);
  const [request] = asked();
  await say(ours, 'Approval', { request, granted: true, until: instant(hirer.now() - 1) });
  await until(() => ended.length > 0);
  assert.deepEqual([ended, asked(), Object.keys(ours.engagement.state.requests)], [['approval_required'], [], [request]]);
  await stop();
});

test('of two that are alike each asks, and one yes lets one of them pass', async (t) => {
  const { ours, asked, ended, stop } = await asking(t, 2);
  const [first, second] = asked();
  await say(ours, 'Approval', { request: second, granted: true });
  await until(() => ended.length > 0);
  await say(ours, 'Approval', { request: first, granted: false });
  await until(() => ended.length > 1);
  assert.deepEqual(ended, ['done', 'approval_required']);
  await stop();
});

test('a request of before a restart is the one that is waited for', async (t) => {
  const { ours, asked, ended, again, stop } = await asking(t);
  const [request] = asked();
  await again();
  await until(() => ours.peer.connected(ours.with));
  await say(ours, 'Approval', { request, granted: true });
  await until(() => ended.length > 0);
  assert.deepEqual([ended, Object.keys(ours.engagement.state.requests)], [['done'], [request]]);
  await stop();
});

test('who was to answer before says no yes any more', async (t) => {
  const { hirer, ours, asked, stop } = await asking(t);
  const [request] = asked();
  const { answerBy } = ours.engagement.state.requests[request].message;
  const now = hirer.now.bind(hirer);
  hirer.now = () => now() + 601;
  await assert.rejects(say(ours, 'Approval', { request, granted: true }), { code: 'wrong_state' });
  hirer.now = now;
  assert.ok(instant(now() + 601) > answerBy);
  await say(ours, 'Approval', { request, granted: true });
  await stop();
});
