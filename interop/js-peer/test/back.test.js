/** When a place is free again (HIRE-NEG-19), and what is offered under another contract (page 17, section 17.1). */
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

/** A hirer that has offered, and heard nothing of that. */
function offered() {
  const peer = /** @type {any} */ ({ now: () => 0, heads: new Map(), write: () => {} });
  const journal = read('one-hire-jcs-hirer/journal.json');
  const conversation = new Conversation(peer, { id: journal[0].message.engagement, role: 'hirer', with: journal[0].message.recipient });
  for (const { message, at } of journal.slice(0, journal.findIndex((/** @type {any} */ one) => one.message.type === 'Offer') + 1)) {
    conversation.replay({ k: message.role === 'hirer' ? 'sent' : 'got', raw: JSON.stringify(message), at: seconds(at), outcome: 'applies' });
  }
  const offer = conversation.last('Offer');
  const problem = { ...move(conversation.engagement, 'provider', 'Problem', { of: digest(offer), code: 'declined', final: true }, 0, 1), sequence: conversation.theirs.length, previous: conversation.theirs.at(-1)?.digest };
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

test('who claims class core alone takes no offer under another contract', async () => {
  const { view, at, provider } = read('subcontract/case.json');
  const engagement = new Engagement(view);
  for (const line of read('subcontract/journal.json')) engagement.take(line.message, { at: seconds(line.at), bytes: 0 });
  const message = readMessage(readFileSync(`${SPEC}/vectors/journals/subcontract/input.json`));
  const reader = { resolver: new Resolver(), own: provider, at: seconds(at) };
  await assert.rejects(receive(engagement, message, reader), { code: 'chain_invalid', path: '/document/parent' });
  await receive(engagement, message, { ...reader, subcontracts: true });
});
