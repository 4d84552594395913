/** What an owner says under a contract: narrows it, claims a breach, asks the arbiter, and carries the ruling. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mayEnd, overdue } from '../src/deadlines.js';
import { CONTEXT, instant, newId, seconds } from '../src/encoding.js';
import { keyOfDidKey } from '../src/keys.js';
import { owed } from '../src/owed.js';
import { makeProof } from '../src/proofs.js';
import { say } from '../src/owner.js';
import { endless, two, until } from '../support/peers.js';

const arbiter = keyOfDidKey(randomBytes(32));
const DAY = 86400;

/** A hire that is worked on, and its two sides. @param {import('node:test').TestContext} t */
async function working(t) {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer({ hookToken: 'a token' }), await made.provider({ services: [endless] })];
  const ours = await hirer.hire({ ...made.order(provider), arbiter: arbiter.method.split('#')[0] });
  await until(() => provider.conversations.get(ours.id)?.engagement.state.main === 'working');
  const theirs = /** @type {import('../src/conversation.js').Conversation} */ (provider.conversations.get(ours.id));
  const both = (/** @type {string} */ main) => until(() => [ours, theirs].every(({ engagement }) => engagement.state.main === main));
  return { hirer, provider, ours, theirs, both };
}

test('a dispute of either side, and the ruling that ends it (HIRE-LIF-21, HIRE-LIF-22)', async (t) => {
  const { hirer, provider, ours, theirs, both } = await working(t);
  const dispute = await say(theirs, 'Dispute', { claim: 'It was more work than was said.' });
  await both('disputed');
  const { contract } = ours.engagement.state;
  const content = {
    '@context': CONTEXT, id: newId(), type: 'ArbiterRuling', contract, dispute: ours.engagement.state.disputes[0].digest, outcome: 'divided', amount: '1.5', currency: 'EUR', reasons: 'Each is right in part.',
  };
  assert.equal(dispute.about, theirs.engagement.moves.hirer.at(-1)?.digest);
  const signed = async (/** @type {any} */ key, options = {}, said = content) => ({ ...said, proof: await makeProof(said, key, { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: instant(hirer.now()), ...options }) });
  await assert.rejects(say(ours, 'Ruling', { ruling: await signed(keyOfDidKey(randomBytes(32))) }), { code: 'key_not_authorized' });
  await assert.rejects(say(ours, 'Terminate', { cause: 'convenience' }), { code: 'wrong_state' });
  const past = instant(hirer.now() - 3600);
  for (const [options, code] of /** @type {any[]} */ ([[{ created: 'yesterday' }, 'schema_violation'], [{ expires: past }, 'proof_invalid'], [{ previousProof: newId() }, 'proof_invalid']])) {
    await assert.rejects(say(ours, 'Ruling', { ruling: await signed(arbiter, options) }), { code }, JSON.stringify(options));
  }
  await assert.rejects(say(ours, 'Ruling', { ruling: await signed(arbiter, {}, { ...content, amount: '-1.5' }) }), { code: 'schema_violation' });
  await say(ours, 'Ruling', { ruling: await signed(arbiter, { created: past, expires: past }) }); // it stays provable
  await both('closed');
  assert.deepEqual([ours, theirs].map(({ engagement }) => owed(engagement.state)), [{ amount: '1.5', currency: 'EUR' }, { amount: '1.5', currency: 'EUR' }]);
  await assert.rejects(say(ours, 'Dispute', { claim: 'Once more.' }), { code: 'wrong_state' });
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('where a delivery waits for its review and `until` has passed an owner ends the contract, which no program does unasked (page 07, section 7.6)', async (t) => {
  for (const [role, late] of /** @type {const} */ ([['hirer', 7200], ['provider', 10800]])) {
    const made = await two(t);
    const [hirer, provider] = [await made.hirer(), await made.provider()];
    const ours = await hirer.hire(made.order(provider));
    ours.working = true; // nobody reviews it
    await until(() => ours.engagement.state.main === 'delivered');
    const theirs = /** @type {import('../src/conversation.js').Conversation} */ (provider.conversations.get(ours.id));
    await until(() => theirs.engagement.state.main === 'delivered' && ours.unanswered.length === 0);
    const conversation = role === 'hirer' ? ours : theirs;
    const { state } = conversation.engagement;
    const past = seconds(state.terms.deadlines.until) + (role === 'hirer' ? 0 : 3600);
    assert.ok(Math.abs(past - state.sealed.at - late) < 60);
    const now = conversation.peer.now.bind(conversation.peer);
    let told = past;
    conversation.peer.now = () => told;
    const ends = () => say(conversation, 'Terminate', { cause: 'deadline' });
    await assert.rejects(ends(), { code: 'wrong_state' });
    assert.equal(mayEnd(conversation, past + 1), true);
    assert.equal(overdue(conversation), undefined);
    told = past + 1;
    assert.equal((await ends()).cause, 'deadline');
    conversation.peer.now = now;
    await Promise.all([hirer.stop(), provider.stop()]);
  }
});

test('what an owner may not say is not said', async (t) => {
  const { hirer, provider, ours, theirs } = await working(t);
  const now = hirer.now();
  const { length } = ours.own;
  for (const [of, type, said, code] of /** @type {any[]} */ ([
    [ours, 'Seal', {}, 'schema_violation'], [ours, 'toString', {}, 'schema_violation'], [ours, 'Suspend', { reason: 'because' }, 'schema_violation'], [ours, 'Suspend', { more: 1 }, 'unknown_term'],
    [ours, 'Dispute', {}, 'schema_violation'], [ours, 'Dispute', { claim: 'x', rulingBy: instant(now + DAY - 60) }, 'wrong_state'], [ours, 'Dispute', { claim: 'x', rulingBy: instant(now + 181 * DAY) }, 'wrong_state'],
    [ours, 'Cancel', { windDown: instant(now + 1) }, 'wrong_state'], [ours, 'Breach', { clause: 'price', cureBy: instant(now + 1) }, 'wrong_state'], [ours, 'Breach', { clause: 'nothing' }, 'terms_mismatch'],
    [ours, 'Terminate', { cause: 'deadline' }, 'wrong_state'], [ours, 'Terminate', { cause: 'late_seal' }, 'wrong_state'], [ours, 'Terminate', { cause: 'breach', names: ours.own[0].digest }, 'wrong_state'],
    [ours, 'Resume', {}, 'wrong_state'], [theirs, 'Suspend', {}, 'wrong_party'],
  ])) await assert.rejects(say(of, type, said), { code }, `${type} ${JSON.stringify(said)}`);
  assert.equal(ours.own.length, length);
  await Promise.all([hirer.stop(), provider.stop()]);
});

test('through the hook: suspended, resumed, and cancelled, with what was claimed before', async (t) => {
  const { hirer, provider, ours, theirs, both } = await working(t);
  const ask = async (/** @type {any} */ said, id = ours.id) => {
    const answer = await fetch(`${hirer.origin}/hires/${id}/say`, { method: 'POST', headers: { authorization: 'Bearer a token' }, body: JSON.stringify(said) });
    return [answer.status, await answer.json()];
  };
  assert.deepEqual((await ask({ type: 'Suspend' }))[0], 202);
  await both('suspended');
  assert.deepEqual(await ask({ type: 'Suspend' }), [400, { code: 'wrong_state' }]);
  assert.deepEqual(await ask({ type: 'Suspend' }, 'urn:hire:engagement:none'), [404, { code: 'bad_path' }]);
  assert.deepEqual((await ask({ type: 'Resume' }))[0], 202);
  const [, { digest: claimed }] = await ask({ type: 'Breach', clause: 'deliverables' });
  assert.deepEqual((await ask({ type: 'Terminate', cause: 'breach', names: claimed }))[1], { code: 'wrong_state' });
  assert.deepEqual((await ask({ type: 'Cancel' }))[0], 202);
  await both('closing'); // where a dispute could be made, until its owner lets the rejection be
  await say(theirs, 'Closing');
  await both('closed');
  assert.equal(ours.last('Delivery').outcome, 'cancelled');
  await Promise.all([hirer.stop(), provider.stop()]);
});
