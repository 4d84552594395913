/** What a membership allows binds its holder's terms (HIRE-CRD-09), and a no is recorded as a yes is (HIRE-CRD-08). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { checkLimits } from '../src/judge.js';
import { judgedAs } from '../src/papers.js';
import { two, until } from '../support/peers.js';

const terms = { price: { amount: '5', currency: 'EUR' }, scope: { grants: [{ action: 'artifact:read' }] } };
const limited = (/** @type {any} */ limits) => ({ type: ['VerifiableCredential', 'MembershipCredential'], credentialSubject: { limits } });

test('terms are within the limits of every membership, and limits that cannot be read are passed', () => {
  for (const right of [undefined, {}, { amount: '5', currency: 'EUR' }, { currency: 'EUR', actions: ['artifact:read', 'other'] }]) checkLimits([limited(right)], terms);
  checkLimits([{ type: ['VerifiableCredential', 'Other'], credentialSubject: { limits: { currency: 'USD' } } }], terms);
  checkLimits([limited({ actions: [] })], { ...terms, scope: {} });
  const fee = (/** @type {string} */ owed) => ({ ...terms, termination: { convenience: 'fee', fee: { amount: owed, currency: 'EUR' } } });
  checkLimits([limited({ amount: '5', currency: 'EUR' })], fee('5'));
  assert.throws(() => checkLimits([limited({ amount: '5', currency: 'EUR' })], fee('5.01')), { needed: [{ code: 'limits', member: '/terms/termination/fee' }] });
  for (const [limits, member] of /** @type {any[]} */ ([
    [{ amount: '4.99', currency: 'EUR' }, '/terms/price/amount'], [{ currency: 'USD' }, '/terms/price/currency'], [{ actions: [] }, '/terms/scope/grants'],
    [{ amount: '9' }, '/terms'], [{ amount: 9, currency: 'EUR' }, '/terms'], [{ more: 1 }, '/terms'], [[], '/terms'], [null, '/terms'],
  ])) {
    const refused = { code: 'policy_denied', needed: [{ code: 'limits', member }] };
    assert.throws(() => checkLimits([limited(limits)], terms), refused);
    assert.throws(() => checkLimits([limited({}), limited(limits)], terms), refused);
  }
});

test('a release by which more is owed is judged as terms with that price, and any other as those in force', () => {
  const judged = (/** @type {string} */ amount, currency = 'EUR') => judgedAs({ type: 'Release', settlement: { amount, currency } }, terms).price;
  for (const [amount, currency] of [['5.01', 'EUR'], ['1', 'USD']]) assert.deepEqual(judged(amount, currency), { amount, currency });
  for (const [amount, currency] of [['5', 'EUR'], ['4.99', 'EUR'], ['0', 'USD']]) assert.deepEqual(judged(amount, currency), terms.price);
  assert.equal(judgedAs({ type: 'Amendment', terms: 'other terms' }, terms), 'other terms');
});

test('who is not vouched for is denied, and why is recorded before it hears so', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ trust: ['did:web:nobody.example'] })];
  const { id } = await hirer.hire(made.order(provider));
  await until(() => provider.find(id)?.over === true);
  const [decision] = [...provider.store.lines()].flatMap((line) => line.entries).filter(({ k }) => k === 'decision').map(({ text }) => JSON.parse(text));
  assert.deepEqual([decision.outcome, decision.peer, decision.reasons.map((/** @type {any} */ one) => [one.clause, one.code]), decision.needed], ['deny', hirer.did, [['require', 'policy_denied']], provider.request.needs]);
  await Promise.all([hirer.stop(), provider.stop()]);
});
