/** What is void for its reader has moved its sender, and what that says next is judged by it (page 04, section 4.3; HIRE-CHN-09). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { CONTEXT, newId } from '../src/encoding.js';
import { owed } from '../src/owed.js';
import { history, move, take } from '../support/history.js';

test('who ended its own dispute, not having seen ours, ends none again', () => {
  const { engagement, now } = history('one-hire-jcs-provider', 'Start');
  const says = (/** @type {string} */ role, /** @type {string} */ type, /** @type {any} */ body, /** @type {number} */ unseen = 0) => take(engagement, move(engagement, role, type, body, now, unseen), now);
  const [dispute, end] = [{ claim: 'x', rulingBy: '2026-12-24T09:00:00Z' }, { cause: 'no_ruling' }];
  engagement.state = { ...engagement.state, terms: { ...engagement.state.terms, arbiter: 'did:web:arbiter.example' } };
  says('provider', 'Dispute', dispute);
  says('provider', 'Terminate', end);
  says('hirer', 'Dispute', dispute, 2);
  says('hirer', 'Terminate', end, 2);
  assert.throws(() => says('hirer', 'Terminate', end, 1), { code: 'wrong_state' });
});

test('of two rulings that crossed one counts, the same for both sides (HIRE-LIF-22)', () => {
  const arbiter = { '@context': CONTEXT, id: newId(), type: 'ArbiterRuling', outcome: 'divided', reasons: 'Half of it is there.' };
  const sums = ['hirer', 'provider'].map((view) => {
    const { engagement, now } = history(`changed-jcs-${view}`, 'Dispute');
    const { contract, disputes: [{ digest: dispute }], terms: { price: { currency } } } = engagement.state;
    const rules = (/** @type {string} */ role, /** @type {string} */ amount) => move(engagement, role, 'Ruling', { dispute, ruling: { ...arbiter, contract, dispute, amount, currency } }, now);
    const said = [rules('hirer', '1'), rules('provider', '2')];
    for (const one of view === 'hirer' ? said : said.reverse()) take(engagement, one, now);
    assert.equal(engagement.state.main, 'closing');
    return owed(engagement.state).amount;
  });
  assert.equal(sums[0], sums[1]);
});
