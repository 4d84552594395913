/** How long a peer waits for the other side: a hirer for what was delivered, a provider for the seal. */
import test from 'node:test';
import assert from 'node:assert/strict';
import { Conversation } from '../src/conversation.js';
import { overdue, overdueForHirer, tooLong } from '../src/deadlines.js';
import { asksAgain } from '../src/hirer.js';
import { nextBeat } from '../src/job.js';
import { instant } from '../src/encoding.js';

test('what cannot be had is asked for until shortly before the review ends', () => {
  const day = { deliveredAt: 1000, hereSince: 0, review: 86400 };
  assert.equal(asksAgain({ ...day, now: 1001 }), true);
  assert.equal(asksAgain({ ...day, now: 1000 + 86400 - 301 }), true);
  assert.equal(asksAgain({ ...day, now: 1000 + 86400 - 300 }), false);
  assert.equal(asksAgain({ deliveredAt: 0, hereSince: 0, review: 400, now: 299 }), true);
  assert.equal(asksAgain({ deliveredAt: 0, hereSince: 0, review: 400, now: 300 }), false);
  assert.equal(asksAgain({ ...day, hereSince: 1000 + 86400 - 200, now: 1000 + 86400 - 100 }), true); // it has hardly asked yet
});

test('a place is held for four hours, and its hirer waited for for 30 days', () => {
  const now = 1_800_000_000;
  const day = 86400;
  const live = (/** @type {any} */ { until = now + 600, start = now + 600, review = 'PT1H', close = 'PT1H' }) => ({
    validUntil: instant(until), document: { terms: { sealGrace: 'PT2M', deadlines: { start: instant(start), review, close } } },
  });
  for (const right of [{}, { until: now + 4 * 3600 - 120 }, { start: now + 30 * day }, { review: 'P30D' }, { close: 'P30D' }]) assert.equal(tooLong(live(right), now), undefined);
  assert.equal(tooLong(live({ until: now + 4 * 3600 - 119 }), now), '/validUntil');
  assert.equal(tooLong(live({ start: now + 30 * day + 1 }), now), '/terms/deadlines/start');
  assert.equal(tooLong(live({ review: 'P30DT1S' }), now), '/terms/deadlines/review');
  assert.equal(tooLong(live({ close: 'P31D' }), now), '/terms/deadlines/close');
});

test('a negotiation ends when who is to answer does not, and an offer of ours a minute after its end (HIRE-NEG-09)', () => {
  const at = 1_800_000_000;
  const ends = (/** @type {string} */ role, /** @type {any} */ { waiting, live, ...state }, /** @type {number[]} */ ...after) => after.map((later) => {
    const [inquiry, profile] = [{ respondBy: instant(at + 100), closesAt: instant(at + 1000) }, { respondBy: instant(at + 200) }];
    const conversation = { role, over: false, facts: waiting ? { waiting: { until: instant(at + waiting) } } : {}, peer: { hereSince: 0, now: () => at + later } };
    const engagement = { state: { inquiry, profile, live: live && { ...live, validUntil: instant(at + live.until) }, ...state } };
    return overdue(/** @type {any} */ ({ ...conversation, engagement }))?.body.reason;
  });
  const [no, late] = ['no_answer', 'offer_expired'];
  assert.deepEqual(ends('hirer', { main: 'inquired' }, 100, 101), [undefined, no]);
  assert.deepEqual(ends('provider', { main: 'inquired' }, 101, 1000, 1001), [undefined, undefined, no]);
  assert.deepEqual(ends('provider', { main: 'profiled' }, 101, 200, 201), [undefined, undefined, no]);
  assert.deepEqual(ends('hirer', { main: 'profiled' }, 201, 1000, 1001), [undefined, undefined, no]);
  for (const role of ['hirer', 'provider']) {
    const theirs = { owner: role === 'hirer' ? 'provider' : 'hirer', until: 300 };
    const ours = { owner: role, until: 300 };
    assert.deepEqual(ends(role, { main: 'ready' }, 1000, 1001), [undefined, no]);
    assert.deepEqual(ends(role, { main: 'offered', live: theirs }, 361, 1000, 1001), [undefined, undefined, no]);
    assert.deepEqual(ends(role, { main: 'offered', live: ours }, 360, 361), [undefined, late]);
    assert.deepEqual(ends(role, { main: 'offered', live: ours, waiting: 500 }, 361, 500, 501), [undefined, undefined, late]);
    assert.deepEqual(ends(role, { main: 'offered', live: { ...ours, until: 990 }, waiting: 2000 }, 1000, 1001), [undefined, late]);
    for (const side of ['hirer', 'provider']) assert.deepEqual(ends(role, { main: `accepted-by-${side}`, live: ours }, 100_000), [undefined]);
  }
});

test('a provider is heard of by moves and by Progress that is news of this contract', () => {
  const peer = { hereSince: 0, now: () => 1000 };
  const conversation = { peer, engagement: { state: { contract: 'ours' } }, signAt: 10, signs: 4 };
  const hears = (/** @type {any} */ said) => { Conversation.prototype.sign.call(/** @type {any} */ (conversation), { role: 'provider', contract: 'ours', number: 5, ...said }); return conversation.signAt; };
  for (const said of [{ contract: 'another' }, { number: 4 }, { role: 'hirer' }]) assert.equal(hears(said), 10, JSON.stringify(said));
  assert.equal(hears({}), 1000);
  assert.equal(conversation.signs, 5);
});

test('a provider that is not heard of for three heartbeats is gone, whatever else it says', () => {
  const deadlines = { heartbeat: 'PT1M', until: '2999-01-01T00:00:00Z' };
  const state = { contract: 'ours', main: 'working', due: 1e12, started: { at: 0 }, terms: { deadlines } };
  const at = (/** @type {number} */ now) => overdueForHirer(/** @type {any} */ ({ engagement: { state }, peer: { hereSince: 0 }, signAt: 100, heardAt: now }), now);
  assert.equal(at(280), undefined);
  assert.equal(at(281)?.body.cause, 'deadline');
});

test('the numbers of Progress go on rising after a restart', () => {
  let last = 0;
  for (const seconds of [0.5, 1.5, 30, 60]) { const next = nextBeat(last, seconds); assert.ok(next > last); last = next; }
  assert.ok(nextBeat(0, 61) > last);
});

test('what has no receipt is said again every five minutes for a day, and then once a day (HIRE-CHN-12)', async () => {
  let now = 1000;
  const said = /** @type {number[]} */ ([]);
  const conversation = {
    peer: { now: () => now }, unanswered: ['a move'], tries: 0, newAt: now, sentAt: now,
    repeat() { this.sentAt = now; said.push(now - this.newAt); },
  };
  for (; now < 1000 + 4 * 86400; now += 5) await Conversation.prototype.tick.call(/** @type {any} */ (conversation));
  assert.deepEqual(said.slice(0, 7), [5, 20, 65, 185, 485, 785, 1085]);
  assert.deepEqual(said.filter((at) => at >= 86000), [86285, 172685, 259085, 345485]);
});
