/** When a place is free again (HIRE-NEG-19), what is said again, and what is offered under another contract (page 17, section 17.1). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Conversation } from '../src/conversation.js';
import { Resolver } from '../src/did.js';
import { digest, instant, seconds } from '../src/encoding.js';
import { HireError } from '../src/errors.js';
import { readMessage } from '../src/message.js';
import { receive } from '../src/receive.js';
import { Engagement } from '../src/machine.js';
import { say } from '../src/owner.js';
import { SPEC } from '../src/spec.js';
import { history, move } from '../support/history.js';
import { endless, two, until } from '../support/peers.js';

const read = (/** @type {string} */ path) => JSON.parse(readFileSync(`${SPEC}/vectors/journals/${path}`, 'utf8'));

/** A hirer as it has said something, and heard nothing of that. @param {string} type @param {any} [of] what else its peer is */
function said(type, of) {
  const peer = /** @type {any} */ ({ now: () => 0, heads: new Map(), write: () => {}, ...of });
  const journal = read('one-hire-jcs-hirer/journal.json');
  const conversation = new Conversation(peer, { id: journal[0].message.engagement, role: 'hirer', with: journal[0].message.recipient });
  for (const { message, at } of journal.slice(0, journal.findIndex((/** @type {any} */ one) => one.message.type === type && one.message.role === 'hirer') + 1)) {
    conversation.replay({ k: message.role === 'hirer' ? 'sent' : 'got', raw: JSON.stringify(message), at: seconds(at), outcome: 'applies' });
  }
  return conversation;
}

/** A notice by the other side, which says where it stands. @param {Conversation} conversation @param {string} type @param {any} body @param {number} unseen */
function notice(conversation, type, body, unseen) {
  const { theirs } = conversation;
  return { ...move(conversation.engagement, 'provider', type, body, 0, unseen), sequence: theirs.length, previous: theirs.at(-1)?.digest };
}

function offered() {
  const conversation = said('Offer');
  const offer = conversation.last('Offer');
  const problem = notice(conversation, 'Problem', { of: digest(offer), code: 'declined', final: true }, 1);
  return { conversation, problem, places: conversation.own.length };
}

test('a move that was refused for good leaves its place free', async () => {
  const { conversation, problem, places } = offered();
  await conversation.notice(problem, '{}');
  assert.deepEqual([conversation.own.length, conversation.refused], [places - 1, 'declined']);
});

test('not once a move of the other side came after it', async () => {
  const { conversation, problem, places } = offered();
  const end = move(conversation.engagement, 'provider', 'Withdraw', { reason: 'changed' }, 0, 1);
  conversation.engagement.take(end, { at: 0 });
  conversation.keep(end, '{}', 0);
  await conversation.notice(problem, '{}');
  assert.deepEqual([conversation.own.length, conversation.refused], [places, undefined]);
});

test('an acceptance goes again until its answer comes, though it has its receipt (HIRE-NEG-13)', async () => {
  let now = 0;
  const sent = /** @type {string[]} */ ([]);
  const conversation = said('Acceptance', { now: () => now, send: (/** @type {any} */ _, /** @type {string} */ text) => sent.push(JSON.parse(text).type) });
  await conversation.notice(notice(conversation, 'Receipt', { of: [conversation.own.at(-1)?.digest] }, 0), '{}');
  assert.equal(conversation.acked, conversation.own.length);
  conversation.sent(now);
  for (const pause of [5, 15, 45]) { now += pause; await conversation.tick(); }
  assert.deepEqual(sent, ['Acceptance', 'Acceptance', 'Acceptance']);
  conversation.engagement.take(move(conversation.engagement, 'provider', 'Withdraw', { reason: 'offer_expired', offer: conversation.engagement.state.live.digest }, now), { at: now });
  now += 300;
  await conversation.tick();
  assert.equal(sent.length, 3);
});

test('what the other side has once had is not said again, whatever it says later (HIRE-CHN-13)', async () => {
  const sent = /** @type {string[]} */ ([]);
  const conversation = said('Offer', { send: (/** @type {any} */ _, /** @type {string} */ text) => sent.push(text) });
  await conversation.notice(notice(conversation, 'Receipt', { of: [conversation.own.at(-1)?.digest] }, 0), '{}');
  await conversation.notice(notice(conversation, 'Sync', { state: 'ready', lane: 'idle' }, 1), '{}');
  assert.deepEqual([sent, conversation.acked], [[], conversation.own.length]);
});

test('who claims class core alone takes no offer under another contract', async () => {
  const { view, at, provider } = read('subcontract/case.json');
  const engagement = new Engagement(view);
  for (const line of read('subcontract/journal.json')) engagement.take(line.message, { at: seconds(line.at), bytes: 0 });
  const message = readMessage(readFileSync(`${SPEC}/vectors/journals/subcontract/input.json`));
  const reader = { resolver: new Resolver(), own: provider, at: seconds(at) };
  await assert.rejects(receive(engagement, message, reader), { code: 'chain_invalid', path: '/document/parent' });
  await receive(engagement, message, { ...reader, subcontracts: true });
});

test('under a contract too, after a restart as before it, and what a notice told stays (HIRE-NEG-19)', async () => {
  /** @type {any[]} */ const written = [];
  const conversation = said('Start', { write: (/** @type {any} */ _, /** @type {any} */ entry) => written.push(entry) });
  const { engagement } = conversation;
  const [start, places] = [conversation.own.at(-1)?.digest, conversation.own.length];
  await conversation.notice(notice(conversation, 'Receipt', { of: [conversation.own.at(-2)?.digest] }, 1), '{}');
  await conversation.notice(notice(conversation, 'Problem', { of: start, code: 'policy_denied', final: true }, 1), '{}');
  const freed = (/** @type {Conversation} */ one) => [one.engagement.state.main, one.own.length, one.refuses({ type: 'Start', body: {} }), one.refuses({ type: 'Suspend', body: {} })];
  assert.deepEqual(freed(conversation), ['sealed', places - 1, true, false]);
  assert.equal(conversation.engagement, engagement); // at which work and reviews look
  assert.equal(engagement.seen.provider, places - 1);
  assert.deepEqual(conversation.receipt?.of, [conversation.theirs.at(-1)?.digest]);
  const restarted = said('Start');
  for (const entry of written) restarted.replay(entry);
  assert.deepEqual(freed(restarted), freed(conversation));
});

for (const type of ['Acceptance', 'Review', 'Closing']) {
  test(`never what stands or binds: ${type}`, async () => {
    const conversation = said(type);
    const places = conversation.own.length;
    await conversation.notice(notice(conversation, 'Problem', { of: conversation.own.at(-1)?.digest, code: 'policy_denied', final: true }, 1), '{}');
    assert.deepEqual([conversation.own.length, conversation.refused], [places, undefined]);
  });
}

test('nor what an acceptance follows, which would come to another place', async () => {
  const conversation = said('Start');
  const { live } = history('one-hire-jcs-hirer', 'Offer').engagement.state;
  const accepted = { ...move(conversation.engagement, 'hirer', 'Acceptance', { offer: live.digest }, 0), sequence: conversation.own.length + 1 };
  conversation.journal.push({ message: accepted, at: 0, bytes: 0 });
  await conversation.notice(notice(conversation, 'Problem', { of: conversation.own.at(-1)?.digest, code: 'policy_denied', final: true }, 1), '{}');
  assert.equal(conversation.refused, undefined);
});

/** A hire that is worked on, whose provider refuses what the hirer says of some types. @param {import('node:test').TestContext} t @param {string} refused @param {string} [main] */
async function refusing(t, refused, main = 'working') {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer(), await made.provider({ services: [endless] })];
  /** @type {string[]} */ const told = [];
  const { judge } = Engagement.prototype;
  t.mock.method(Engagement.prototype, 'judge', /** @this {Engagement} */ function refuse(/** @type {any} */ message, /** @type {any} */ facts) {
    if (this.view === 'hirer' || message.type !== refused) return judge.call(this, message, facts);
    told.push(message.id);
    throw new HireError('schema_violation', 'not here');
  });
  const ours = await hirer.hire(made.order(provider));
  await until(() => ours.engagement.state.main === main && (main === 'working' || told.length > 0));
  await until(() => provider.conversations.get(ours.id)?.engagement.state.main === main);
  return { ours, theirs: /** @type {Conversation} */ (provider.conversations.get(ours.id)), told, end: () => Promise.all([hirer.stop(), provider.stop()]) };
}

/** What one side holds of the other's moves. @param {Conversation} conversation */
const types = ({ journal }) => journal.filter(({ message }) => message.role === 'hirer').map(({ message }) => message.type);

test('a claim that the other side refuses leaves room for what ends the contract, and that is said once more where it followed', async (t) => {
  const { ours, theirs, told, end } = await refusing(t, 'Breach');
  await say(ours, 'Breach', { clause: 'price' });
  await until(() => ours.refused !== undefined);
  await ours.enqueue(async () => { // before its answer is there
    const now = ours.peer.now();
    const { contract } = ours.engagement.state;
    await ours.say({ type: 'Breach', body: { contract, clause: 'price', evidence: [], cureBy: instant(now + 7200) } });
    await ours.say({ type: 'Terminate', body: { contract, cause: 'key_compromised', evidence: [] } });
  });
  await until(() => [ours, theirs].every(({ engagement }) => engagement.state.main === 'closed'));
  assert.deepEqual(types(ours), types(theirs));
  assert.deepEqual([types(ours).includes('Breach'), types(ours).filter((one) => one === 'Terminate').length, new Set(told).size], [false, 1, 2]);
  await end();
});

test('a start that the other side refuses is not said again and again, and its owner can end the contract', async (t) => {
  const { ours, theirs, told, end } = await refusing(t, 'Start', 'sealed');
  await until(() => ours.own.length === ours.acked);
  await ours.enqueue(() => ours.peer.turn(ours));
  assert.equal(new Set(told).size, 1);
  await say(ours, 'Terminate', { cause: 'key_compromised' });
  await until(() => [ours, theirs].every(({ engagement }) => engagement.state.main === 'closed'));
  assert.deepEqual([types(ours), new Set(told).size], [types(theirs), 1]);
  await end();
});
