/** Places and money are promised once (HIRE-NEG-21, HIRE-CAP-01 to HIRE-CAP-03). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Books, heldUntil } from '../src/books.js';
import { usageOf } from '../src/gate.js';
import { amountText, instant, seconds } from '../src/encoding.js';
import { booksDiffer } from '../src/owed.js';
import { closing } from '../src/papers.js';
import { decideAsHirer } from '../src/hirer.js';
import { overdue } from '../src/deadlines.js';
import { history, move, take } from '../support/history.js';
import { service, two, until, whole } from '../support/peers.js';

test('a place is held while an offer may be accepted, an acceptance answered, and a contract performed', () => {
  const at = (/** @type {string} */ role, /** @type {string | ((state: any) => boolean)} */ last, view = role) => {
    const { engagement, now } = history(`one-hire-jcs-${view}`, last);
    return { engagement, role, now, held: (/** @type {number} */ later) => heldUntil(/** @type {any} */ ({ engagement, role }), later) };
  };
  const offered = at('hirer', 'Offer');
  const end = seconds(offered.engagement.state.live.validUntil);
  assert.deepEqual([offered.held(end), offered.held(end + 1), at('provider', 'Offer').held(end)], [end, undefined, undefined]);
  const accepted = (/** @type {any} */ state) => state.main.startsWith('accepted-by-');
  const doubt = at('hirer', accepted);
  const grace = seconds(doubt.engagement.state.live.validUntil) + 120;
  assert.equal(doubt.engagement.state.main, 'accepted-by-hirer');
  assert.deepEqual([doubt.held(grace), doubt.held(grace + 1)], [grace, undefined]);
  assert.equal(at('provider', accepted).held(grace + 999), grace - 120); // it was accepted in time, and owes the answer
  const under = at('provider', 'Delivery');
  assert.equal(under.held(under.now + 86400 * 365), seconds(under.engagement.state.terms.deadlines.until));
  assert.equal(at('provider', 'Review').held(under.now), undefined);
});

test('a budget is taken by what stands, what is signed and what is owed, in its currency alone', () => {
  const of = (/** @type {string | ((state: any) => boolean)} */ last) => ({ role: 'hirer', engagement: history('one-hire-jcs-hirer', last).engagement, facts: {} });
  const { now } = history('one-hire-jcs-hirer', 'Seal');
  const { price } = of('Seal').engagement.state.terms;
  const books = (/** @type {any[]} */ others, /** @type {any} */ budget) => new Books(/** @type {any} */ ({ now: () => now, conversations: new Map(others.map((one, i) => [i, one])), services: new Map() }), budget);
  const asks = (/** @type {string} */ amount, currency = price.currency) => ({ task: {}, price: { amount, currency } });
  const own = /** @type {any} */ ({ role: 'hirer', engagement: history('one-hire-jcs-hirer', 'Inquiry').engagement });
  for (const last of ['Seal', 'Delivery', 'Review']) {
    const most = { [price.currency]: amountText(BigInt(Number(price.amount) * 1e9) + 1_000_000_000n) };
    const found = books([of(last)], most);
    assert.deepEqual(['1', '1.000000001'].map((amount) => found.fits(own, asks(amount))), [true, false], last);
    assert.deepEqual([found.fits(own, asks('1', 'XXX')), found.fits(own, asks('0', 'XXX')), books([of(last)], undefined).fits(own, asks('999'))], [false, true, true]);
    found.putAway(/** @type {any} */ (of(last)), 1n);
    assert.equal(found.fits(own, asks('1')), false);
    found.putAway(/** @type {any} */ (of(last)), -1n);
    assert.equal(found.fits(own, asks('1')), true);
  }
});

test('without room a provider says when there may be some, and a hirer without money says nothing of it; of two at a time one is told', async (t) => {
  const made = await two(t);
  let end = () => {};
  const ends = new Promise((resolve) => { end = () => resolve(undefined); });
  const slow = { ...service, capacity: 1, run: async (/** @type {any} */ job) => { await ends; await service.run(job); } };
  const [hirer, provider] = [await made.hirer({ budget: { EUR: '9' } }), await made.provider({ services: [slow] })];
  const hires = await Promise.all([hirer.hire(made.order(provider)), hirer.hire(made.order(provider))]);
  await until(() => hires.some((one) => one.engagement.state.main === 'working') && hires.some((one) => one.over));
  const [refused, working] = hires[0].over ? hires : [hires[1], hires[0]];
  const { reason, needed } = refused.engagement.state.withdrawn;
  assert.deepEqual([reason, needed[0].code, needed[0].capability], ['capacity', 'capacity', 'summary']);
  assert.ok(seconds(needed[0].after) > provider.now());
  const late = await hirer.hire(made.order(provider)); // it is told before anything is offered
  await until(() => late.over);
  assert.deepEqual([late.engagement.state.withdrawn.reason, late.own.length], ['capacity', 1]);
  end();
  await whole(hirer, provider, working.id);
  assert.deepEqual(working.last('Closing', 'provider').capacity, { advertised: 1, met: 1 });
  const dear = await hirer.hire(made.order(provider));
  await whole(hirer, provider, dear.id); // 4 of 9 are spent, and 5 is asked for at most
  const more = await hirer.hire(made.order(provider));
  await until(() => more.over);
  assert.deepEqual([more.engagement.state.withdrawn.reason, more.engagement.state.withdrawn.needed], ['capacity', undefined]);
  await Promise.all([hirer.stop(), provider.stop()]);
  const again = await made.hirer({ budget: { EUR: '9' } });
  assert.deepEqual(['1', '1.1'].map((amount) => again.books.fits(/** @type {any} */ ({ role: 'hirer' }), { price: { amount, currency: 'EUR' } })), [true, false]);
  await again.stop();
});

test('what the books of the other side say otherwise is told', () => {
  const { state } = history('one-hire-jcs-hirer', (one) => one.main === 'closing').engagement;
  const { price } = state.terms;
  const same = { settlement: price, basis: 'review', delivery: state.delivery.digest };
  assert.deepEqual(booksDiffer(state, same), []);
  const words = (/** @type {any} */ change) => booksDiffer(state, { ...same, ...change });
  assert.deepEqual(words({ settlement: { amount: '400', currency: price.currency } }), [`owed: 400 ${price.currency} by the other side, ${price.amount} ${price.currency} by ours`]);
  assert.deepEqual(words({ basis: 'silence', delivery: undefined }).map((one) => one.split(':')[0]), ['basis', 'delivery']);
  const ended = { ...state, endings: [{ basis: 'terminate', move: state.delivery.digest }] };
  const none = { settlement: { amount: '0', currency: price.currency }, basis: 'terminate', delivery: undefined };
  assert.deepEqual(booksDiffer(ended, /** @type {any} */ (none)), []);
  const released = { ...state, settlement: price, endings: [{ basis: 'release', move: state.delivery.digest }] };
  assert.deepEqual(booksDiffer(released, /** @type {any} */ ({ ...same, basis: 'release', delivery: undefined })).map((one) => one.split(':')[0]), ['delivery']);
  const used = (/** @type {string} */ amount, unit = 'count') => ({ clause: 'read', unit, amount });
  const usage = (/** @type {string} */ role, /** @type {any} */ told, /** @type {any} */ ours) => booksDiffer(state, { ...same, role, usage: told }, ours);
  assert.deepEqual(usage('provider', [used('1')], [used('2')]), ['usage of "read" in "count": 1 by the other side, 2 by ours']);
  assert.deepEqual(usage('hirer', [used('2'), used('1', 'EUR')], [used('2')]), ['usage of "read" in "EUR": 1 by the other side, 0 by ours']);
  for (const [role, told, ours] of /** @type {any[]} */ ([['provider', [used('2')], [used('1')]], ['provider', [used('2')], []], ['hirer', [used('1')], [used('2')]], ['hirer', [], [used('2')]], ['hirer', [used('0', 'EUR')], []]])) assert.deepEqual(usage(role, told, ours), []);
});

test('usage has no line of 0: a contract of which nothing was used has none', () => {
  const bookings = new Map(Object.entries({ a: { clause: 'pay', charges: { EUR: ['0', '5'], count: ['1', '9'] } }, b: { clause: 'read', charges: { bytes: ['0', '5'] } } })); // two clauses, of which one has no line
  assert.deepEqual(usageOf(/** @type {any} */ ({ bookings })), [{ clause: 'pay', unit: 'count', amount: '1' }]);
});

test('what has to be destroyed is said by each side, and has its time from the end, however late the books are closed (HIRE-LIF-23)', () => {
  for (const [role, last, by] of /** @type {[string, any, number][]} */ ([['provider', 'Review', 0], ['hirer', 'Review', 0], ['provider', 'Delivery', 7 * 3600]])) {
    const { engagement, now } = history(`one-hire-jcs-${role}`, last);
    const { terms } = engagement.state;
    engagement.state = { ...engagement.state, started: { ...engagement.state.started, inputs: [{ name: 'report', digest: 'uEi' }] }, terms: { ...terms, dataHandling: { ...terms.dataHandling, retention: 'PT1H' } } };
    const peer = { did: 'did:web:globex.example', now: () => now + 7 * 3600, checkpoint: () => 'u' };
    const { body } = closing(/** @type {any} */ ({ engagement, peer, role, facts: {}, bookings: new Map(), recorded: {} }), last === 'Review' ? undefined : 'silence');
    assert.deepEqual(body.dataHandling, { destroy: ['uEi'], by: instant(now + by + 3600) }, `${role} ${last}`);
  }
});

test('work is begun in its time, and one begun too late by the clock of who waited is ended (HIRE-LIF-04, HIRE-LIF-16)', async () => {
  const { engagement, now } = history('one-hire-jcs-hirer', 'Seal');
  const { terms } = engagement.state;
  const start = seconds(terms.deadlines.start);
  const says = async (/** @type {number} */ at, notBefore = terms.deadlines.notBefore) => {
    const state = { ...engagement.state, terms: { ...terms, deadlines: { ...terms.deadlines, ...(notBefore ? { notBefore } : {}) } } };
    return (await decideAsHirer(/** @type {any} */ ({ engagement: { state }, peer: { now: () => at }, order: { inputs: [] } })))?.type;
  };
  assert.deepEqual(await Promise.all([says(start), says(start + 1), says(now, instant(now)), says(now, instant(now + 1))]), ['Start', undefined, 'Start', undefined]);
  for (const [after, ends] of /** @type {[number, any][]} */ ([[0, undefined], [1, 'deadline']])) {
    const { engagement: theirs } = history('one-hire-jcs-provider', 'Seal');
    take(theirs, move(theirs, 'hirer', 'Start', { inputs: [] }, start), start + after);
    assert.equal(theirs.state.main, 'working');
    assert.equal(overdue(/** @type {any} */ ({ engagement: theirs, role: 'provider', over: false, peer: { hereSince: 0, now: () => start + after } }))?.body.cause, ends);
  }
});
