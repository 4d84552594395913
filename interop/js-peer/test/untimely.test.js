/** What comes before its time by our own record, what our books say of it, and how long they wait (HIRE-LIF-34). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { instant, seconds } from '../src/encoding.js';
import { basisOf, owed } from '../src/owed.js';
import { booksWait, objection } from '../src/untimely.js';
import { history, move, take } from '../support/history.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
const delivery = { outcome: 'complete', artifacts: [], statements: [], usage: [], round: 1 };
const deadline = { cause: 'deadline', evidence: [] };

/** What is found early in a move `after` seconds later. @param {string} view @param {string} last @param {string} role @param {string} type @param {any} body @param {number} after */
function found(view, last, role, type, body, after) {
  const { engagement, now } = history(`one-hire-jcs-${view}`, last);
  const { delivery: of, settlement, inForce, terms } = { ...engagement.state, delivery: engagement.state.delivery?.digest };
  const whole = type === 'Closing' ? { contract: inForce, basis: 'silence', settlement: settlement ?? terms.price, ...(of ? { delivery: of } : {}) } : {};
  const at = now + after;
  const made = Object.fromEntries(Object.entries(body).map(([name, value]) => [name, typeof value === 'function' ? value(at) : value]));
  take(engagement, move(engagement, role, type, { ...whole, ...made }, at), at);
  return { engagement, early: engagement.early.map(({ what }) => what) };
}

const until = seconds('2026-11-30T00:00:00Z') - seconds('2026-11-24T09:11:00Z');
for (const [view, last, role, type, body, soon, right, what] of /** @type {any[]} */ ([
  ['hirer', 'Delivery', 'provider', 'Closing', {}, DAY - 121, DAY - 120, 'review'],
  ['hirer', 'Delivery', 'provider', 'Terminate', deadline, 600, seconds('2026-11-24T12:00:00Z') - seconds('2026-11-24T09:14:00Z'), 'deadline'],
  ['provider', 'Start', 'hirer', 'Terminate', deadline, 15 * 60 - 121, 15 * 60 - 120, 'deadline'],
  ['provider', 'Delivery', 'hirer', 'Terminate', deadline, HOUR, until, 'deadline'],
  ['hirer', 'Seal', 'provider', 'Terminate', deadline, HOUR, seconds('2026-11-24T12:00:00Z') - seconds('2026-11-24T09:09:00Z') - 120, 'deadline'],
])) {
  test(`${type} of a ${role} after ${last}`, () => {
    assert.deepEqual(found(view, last, role, type, body, soon).early, [what]);
    assert.deepEqual(found(view, last, role, type, body, right).early, []);
  });
}

for (const [role, type, body, member, least] of /** @type {any[]} */ ([
  ['hirer', 'Breach', { clause: 'price' }, 'cureBy', HOUR],
  ['hirer', 'Cancel', {}, 'windDown', HOUR],
])) {
  test(`${member} of a ${type} leaves what was agreed`, () => {
    const said = (/** @type {number} */ left) => found('provider', 'Start', role, type, { ...body, [member]: (/** @type {number} */ at) => instant(at + left) }, 60).early;
    assert.deepEqual(said(least - 121), [member]);
    assert.deepEqual(said(least - 120), []);
  });
}

test('what was long under way is in time', () => {
  const { engagement, now } = history('one-hire-jcs-hirer', 'Start');
  const late = now + 2 * DAY;
  const delivered = take(engagement, move(engagement, 'provider', 'Delivery', delivery, now + 60), late);
  const { inForce, terms } = engagement.state;
  take(engagement, move(engagement, 'provider', 'Closing', { contract: inForce, basis: 'silence', delivery: delivered, settlement: terms.price }, late), late);
  assert.deepEqual(engagement.early, []);
});

test('a silence after what we said in time is told, and one after our acceptance is none', () => {
  for (const [verdict, after, what] of /** @type {any[]} */ ([['rejected', HOUR, ['unheard']], ['rework', DAY, ['unheard']], ['rework', DAY + 1, []], ['accepted', HOUR, []]])) {
    const { engagement, now } = history('one-hire-jcs-hirer', 'Delivery');
    const { terms, inForce, delivery: { digest: of } } = engagement.state;
    const criteria = terms.deliverables.flatMap((/** @type {any} */ one) => one.criteria.map((/** @type {any} */ { id }) => ({ id, met: verdict === 'accepted' })));
    take(engagement, move(engagement, 'hirer', 'Review', { verdict, delivery: of, criteria }, now + after), now + after);
    const at = now + DAY + 2;
    take(engagement, move(engagement, 'provider', 'Closing', { contract: inForce, basis: 'silence', delivery: of, settlement: terms.price }, at, 1), at);
    assert.deepEqual(engagement.early.map((one) => one.what), what, verdict);
    if (what.length) assert.equal(objection(engagement), `Closing (silence) came ${instant(at)}; our review was made ${instant(now + after)}, in time`);
  }
});

test('an end of what was suspended for too long is in time, though it crossed the word that it goes on', () => {
  for (const [waited, early] of /** @type {[number, string[]][]} */ ([[HOUR - 121, ['deadline']], [HOUR + 1, []]])) {
    const { engagement, now } = history('one-hire-jcs-hirer', 'Start');
    take(engagement, move(engagement, 'hirer', 'Suspend', { until: instant(now + HOUR) }, now), now);
    const ended = move(engagement, 'provider', 'Terminate', deadline, now + waited);
    take(engagement, move(engagement, 'hirer', 'Resume', {}, now + waited), now + waited);
    take(engagement, ended, now + waited);
    assert.deepEqual([engagement.state.main, engagement.early.map(({ what }) => what)], ['closing', early]);
  }
});

test('an own move is never called early, and a cause without a time rests on none', () => {
  assert.deepEqual(found('hirer', 'Start', 'hirer', 'Terminate', deadline, 0).early, []);
  assert.deepEqual(found('hirer', 'Start', 'provider', 'Terminate', { cause: 'unable', evidence: [] }, 0).early, []);
});

test('books say it and owe the same; they wait only where there is an arbiter, until shortly before their time is over', () => {
  const { engagement } = found('hirer', 'Delivery', 'provider', 'Closing', {}, 60);
  assert.equal(basisOf(engagement.state), 'silence');
  assert.deepEqual(owed(engagement.state), engagement.state.terms.price);
  const { since } = engagement.state;
  const [{ allowed }] = engagement.early;
  assert.equal(objection(engagement), `Closing (review) came ${instant(since)}; by our record not before ${instant(allowed)}`);
  assert.equal(booksWait(engagement, since), false);
  engagement.state = { ...engagement.state, terms: { ...engagement.state.terms, arbiter: 'did:web:arbiter.example' } };
  assert.equal(booksWait(engagement, since + 2 * DAY - 61), true);
  assert.equal(booksWait(engagement, since + 2 * DAY - 60), false);
});

test('the books of whom the work was rejected wait for a dispute, where there is an arbiter', () => {
  for (const [view, verdict, waits] of /** @type {const} */ ([['provider', 'rejected', true], ['provider', 'accepted', false], ['hirer', 'rejected', false]])) {
    const { engagement, now } = history(`one-hire-jcs-${view}`, 'Delivery');
    const { terms, delivery: { digest: of } } = engagement.state;
    const criteria = terms.deliverables.flatMap((/** @type {any} */ one) => one.criteria.map((/** @type {any} */ { id }) => ({ id, met: false })));
    take(engagement, move(engagement, 'hirer', 'Review', { verdict, delivery: of, criteria }, now), now);
    assert.equal(booksWait(engagement, now), false); // nobody could rule
    engagement.state = { ...engagement.state, terms: { ...terms, arbiter: 'did:web:arbiter.example' } };
    assert.equal(booksWait(engagement, now + 2 * DAY - 61), waits);
    assert.equal(booksWait(engagement, now + 2 * DAY - 60), false);
    engagement.state = { ...engagement.state, disputes: [{}] };
    assert.equal(booksWait(engagement, now), false);
  }
});

test('books wait for what becomes of a document that we accepted, until their time is over (HIRE-LAN-04)', () => {
  const { engagement } = found('hirer', 'Delivery', 'provider', 'Closing', {}, 60);
  const { since } = engagement.state;
  for (const [lane, waits] of /** @type {[any, boolean][]} */ ([['accepted-by-hirer', true], ['accepted-by-provider', false], ['offered-by-provider', false], ['idle', false]])) {
    engagement.state = { ...engagement.state, lane };
    assert.equal(booksWait(engagement, since + 2 * DAY - 1), waits, lane);
    assert.equal(booksWait(engagement, since + 2 * DAY), false, lane);
  }
});

test('silence accepts what is called complete, and nothing else (HIRE-LIF-07)', () => {
  for (const outcome of ['complete', 'partial', 'cancelled', 'failed']) {
    for (const ended of [false, true]) {
      const { engagement, now } = history('one-hire-jcs-hirer', 'Start');
      const { inForce, contract, terms } = engagement.state;
      if (ended) take(engagement, move(engagement, 'hirer', 'Terminate', { contract, cause: 'key_compromised', evidence: [] }, now + 1), now + 1);
      const unseen = ended ? 1 : 0; // who has not seen the end goes on, and closes by silence on what it made
      const of = take(engagement, move(engagement, 'provider', 'Delivery', { ...delivery, outcome }, now + 2, unseen), now + 2);
      take(engagement, move(engagement, 'provider', 'Closing', { contract: inForce, basis: 'silence', delivery: of, settlement: terms.price }, now + 2 * DAY, unseen), now + 2 * DAY);
      assert.equal(basisOf(engagement.state), 'silence');
      assert.equal(owed(engagement.state).amount, outcome === 'complete' ? terms.price.amount : '0', `${outcome} ${ended}`);
    }
  }
});

test('after a want of a ruling that was claimed too soon the arbiter has its time, and what it ruled ends the objection', () => {
  const { engagement, now } = history('changed-jcs-provider', 'Dispute');
  const { rulingBy } = engagement.state;
  take(engagement, move(engagement, 'hirer', 'Terminate', { cause: 'no_ruling', evidence: [] }, now + 60), now + 60);
  assert.deepEqual(engagement.early.map(({ what, allowed }) => [what, allowed]), [['no_ruling', rulingBy]]);
  const end = Math.max(rulingBy, now + 60 + 2 * DAY - 60);
  assert.equal(booksWait(engagement, end - 1), true);
  assert.equal(booksWait(engagement, end), false);
  engagement.state.endings = [...engagement.state.endings, { basis: 'ruling' }];
  assert.equal(objection(engagement), undefined);
});

test('what is due moves by a suspension in each round; an amendment sets it anew in the first round alone', () => {
  const { engagement, now } = history('changed-jcs-provider', 'Seal');
  const { engagement: changed } = history('changed-jcs-provider', 'Dispute');
  assert.equal(changed.state.due, seconds(changed.state.terms.deadlines.finish));
  const at = now + 600;
  take(engagement, move(engagement, 'hirer', 'Start', { inputs: [] }, at), at);
  const delivered = take(engagement, move(engagement, 'provider', 'Delivery', delivery, at), at);
  const criteria = engagement.state.terms.deliverables.flatMap((/** @type {any} */ one) => one.criteria.map((/** @type {any} */ { id }) => ({ id, met: false })));
  take(engagement, move(engagement, 'hirer', 'Review', { verdict: 'rework', delivery: delivered, criteria }, at), at);
  assert.equal(engagement.state.due, at + 4 * HOUR);
  take(engagement, move(engagement, 'hirer', 'Suspend', { until: instant(at + DAY) }, at), at);
  take(engagement, move(engagement, 'hirer', 'Resume', {}, at + 500), at + 500);
  assert.equal(engagement.state.due, at + 4 * HOUR + 500);
});

test('who has not heard that a contract goes on, nor that it is suspended again, waited for the end of the first suspension', () => {
  for (const [unseen, after, what] of /** @type {any[]} */ ([[2, HOUR + 1, []], [2, HOUR - 121, ['deadline']], [0, HOUR + 1, ['deadline']]])) {
    const { engagement, now } = history('one-hire-jcs-hirer', 'Start');
    const suspend = (/** @type {number} */ until) => take(engagement, move(engagement, 'hirer', 'Suspend', { reason: 'incident', until: instant(until) }, now), now);
    suspend(now + HOUR);
    take(engagement, move(engagement, 'hirer', 'Resume', {}, now), now);
    suspend(now + 2 * HOUR);
    take(engagement, move(engagement, 'provider', 'Terminate', deadline, now + after, unseen), now + after);
    assert.deepEqual(engagement.early.map((one) => one.what), what);
  }
});
