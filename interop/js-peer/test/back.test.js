/** When a place is free again (HIRE-NEG-19), what is said again, and what is offered under another contract (page 17, section 17.1). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Conversation } from '../src/conversation.js';
import { Resolver } from '../src/did.js';
import { digest, seconds } from '../src/encoding.js';
import { readMessage } from '../src/message.js';
import { receive } from '../src/receive.js';
import { Engagement } from '../src/machine.js';
import { SPEC } from '../src/spec.js';
import { move } from '../support/history.js';

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
