/** What was shown has to hold while a contract runs: else the gates of both sides refuse (HIRE-STA-08). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { instant } from '../src/encoding.js';
import { admit } from '../src/gate.js';
import { Job } from '../src/job.js';
import { working } from '../support/peers.js';

test('neither gate lets an action pass once what the other side showed is past its end, or its list is not there', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const [{ uri }] = conversation.order.inputs;
  const action = { name: 'artifact:read', target: uri };
  for (const side of [hirer, provider]) {
    const one = /** @type {any} */ (side.find(conversation.id));
    const ask = async () => admit(one, provider.did, action);
    const [shown] = one.shown;
    one.shown = [{ ...shown, validUntil: '2020-01-01T00:00:00Z', validFrom: '2019-01-01T00:00:00Z' }];
    await assert.rejects(ask, { code: 'policy_denied', clause: 'mustStayValid' });
    const entry = { type: 'BitstringStatusListEntry', statusPurpose: 'revocation', statusListIndex: '1', statusListCredential: 'http://localhost:1/status/1' };
    one.shown = [{ ...shown, credentialStatus: entry }];
    await assert.rejects(ask, { code: 'status_unavailable', clause: 'mustStayValid' });
    one.shown = [shown];
    assert.ok((await ask()).id);
  }
  goOn();
});

test('what is suspended while it is looked up waits, as what was suspended before does', async (t) => {
  const { provider, conversation, goOn } = await working(t);
  const one = /** @type {any} */ (provider.find(conversation.id));
  const { shown, engagement: { state } } = one;
  let looked = 0;
  Object.defineProperty(one, 'shown', {
    get() {
      looked += 1;
      if (looked === 1) {
        one.engagement.state = { ...state, main: 'suspended', suspension: { until: state.terms.deadlines.until } };
        setTimeout(() => { one.engagement.state = state; }, 20);
      }
      return shown;
    },
  });
  assert.ok((await new Job(one).act({ name: 'artifact:read', target: conversation.order.inputs[0].uri })).id);
  assert.equal(looked, 2);
  goOn();
});

test('an action passes for the provider alone, from notBefore to until', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const one = /** @type {any} */ (hirer.find(conversation.id));
  const action = { name: 'artifact:read', target: conversation.order.inputs[0].uri };
  const { engagement: { state } } = one;
  const now = Math.floor(hirer.now());
  hirer.now = () => now;
  const within = (/** @type {number} */ from, /** @type {number} */ to) => {
    const deadlines = { ...state.terms.deadlines, notBefore: instant(now + from), until: instant(now + to) };
    one.engagement.state = { ...state, terms: { ...state.terms, deadlines } };
    return admit(one, provider.did, action);
  };
  await assert.rejects(within(1, 60), { code: 'contract_expired', clause: 'until' });
  await assert.rejects(within(-60, -1), { code: 'contract_expired', clause: 'until' });
  assert.ok((await within(0, 60)).id);
  assert.ok((await within(-60, 0)).id);
  one.engagement.state = state;
  await assert.rejects(admit(one, hirer.did, action), { code: 'scope_exceeded', clause: 'provider' });
  goOn();
});
