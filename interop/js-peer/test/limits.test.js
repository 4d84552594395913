/** What others can make a peer hold (HIRE-LIM-02, HIRE-LIM-05). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Conversation } from '../src/conversation.js';
import { usageOf } from '../src/gate.js';
import { Engagement } from '../src/machine.js';
import { publicMultikey } from '../src/keys.js';
import { Link } from '../src/link.js';
import { readJson } from '../src/json.js';
import { readMessage } from '../src/message.js';

const peer = /** @type {any} */ ({ now: () => 0, suites: [], store: { add: () => {} } });

/** One key, another for each number. @param {string} id @param {number} number */
const keys = (id, number) => ({
  verificationMethod: [{ id: `${id}#${number}`, type: 'Multikey', controller: id, publicKeyMultibase: publicMultikey({ kind: 'Ed25519', secret: new Uint8Array(32).fill(number) }) }],
  assertionMethod: [`${id}#${number}`],
});

test('problems that are told are counted in full and kept up to a number', async () => {
  const conversation = new Conversation(peer, { id: 'an engagement', role: 'hirer', with: 'did:web:other.example' });
  for (let i = 0; i < 1030; i += 1) await conversation.notice({ type: 'Problem', role: 'provider', sequence: 0, of: 'uEi', code: 'wrong_state', final: true }, '{}');
  assert.equal(conversation.problems.length, 1024);
});

test('what a gate was asked for is kept as far as a statement has room for it', () => {
  const conversation = new Conversation(peer, { id: 'an engagement', role: 'hirer', with: 'did:web:other.example' });
  for (let i = 0; i < 300; i += 1) conversation.took({ action: 'artifact:read' });
  assert.deepEqual([conversation.actions.length, conversation.actionsOmitted, usageOf(conversation)], [256, 44, []]);
});

test('what a clause was used for is counted by its name, also where objects have something of that name', () => {
  const conversation = new Conversation(peer, { id: 'an engagement', role: 'provider', with: 'did:web:other.example' });
  conversation.bookings.set('once', { clause: 'constructor', charges: { constructor: ['2', '5'] } });
  for (let i = 0; i < 2; i += 1) assert.deepEqual(usageOf(conversation), [{ clause: 'constructor', unit: 'constructor', amount: '2' }]);
});

test('documents of one party have an end, and those that are kept are taken again', () => {
  const engagement = new Engagement('hirer');
  const document = (/** @type {number} */ number) => ({ id: 'did:web:other.example', verificationMethod: [], number });
  for (let i = 0; i < 128; i += 1) { engagement.checkRoom(document(i)); engagement.shown(document(i)); }
  engagement.checkRoom(document(7));
  engagement.checkRoom({ id: 'did:key:z6Mk' });
  assert.throws(() => engagement.checkRoom({ ...document(128), ...keys('did:web:other.example', 1) }), { code: 'too_large' });
  const large = new Engagement('hirer');
  const padded = (/** @type {number} */ number) => ({ ...document(number), padding: 'x'.repeat(65_000) });
  for (let i = 0; i < 4; i += 1) { large.checkRoom(padded(i)); large.shown(padded(i)); }
  large.checkRoom(padded(3));
  assert.throws(() => large.checkRoom({ ...padded(4), ...keys('did:web:other.example', 4) }), { code: 'too_large' });
  large.checkRoom(padded(4)); // it has the keys of one that is kept
  large.shown(padded(4));
  assert.equal(large.documents.length, 4);
  engagement.checkRoom({ id: 'did:web:above.example' }); // somebody else, whom a message brings, has a count of its own
});

test('a connection on which much is at work is read no more until some of it is done', async () => {
  /** @type {Record<string, any>} */ const on = {};
  const socket = /** @type {any} */ ({ isPaused: false, on: (/** @type {string} */ name, /** @type {any} */ act) => { on[name] = act; }, pause() { this.isPaused = true; }, resume() { this.isPaused = false; } });
  const link = new Link(socket, 'did:web:other.example', []);
  /** @type {(() => void)[]} */ const open = [];
  link.listen(() => new Promise((resolve) => { open.push(() => resolve(undefined)); }));
  for (let i = 0; i < 31; i += 1) on.message(Buffer.from('{}'), false);
  assert.equal(socket.isPaused, false);
  on.message(Buffer.from('{}'), false);
  assert.equal(socket.isPaused, true);
  open.splice(0, 16).forEach((done) => done());
  await new Promise((resolve) => { setImmediate(resolve); });
  assert.equal(socket.isPaused, true);
  open.splice(0, 1).forEach((done) => done());
  await new Promise((resolve) => { setImmediate(resolve); });
  assert.equal(socket.isPaused, false);
});

for (const [type, member, most] of /** @type {const} */ ([
  ['Offer', 'document', 65536], ['Offer', 'parents', 163840], ['Presentation', 'presentation', 131072], ['Delivery', 'statements', 131072], ['Review', 'statement', 131072], ['Review', 'credential', 65536], ['Ruling', 'ruling', 65536],
])) {
  test(`${member} of a ${type} has an end: a pack that has more of it is none (page 10, section 10.4)`, () => {
    const read = (/** @type {number} */ bytes) => () => readMessage(Buffer.from(JSON.stringify({ type, version: '1.0', [member]: ['a'.repeat(50000), 'b'.repeat(bytes - 50007)] })));
    assert.throws(read(most + 1), { code: 'too_large', path: `/${member}` });
    assert.throws(read(most), { code: 'proof_missing' });
  });
}

test('a text in a wider encoding is none in UTF-8', () => {
  for (const encoding of /** @type {const} */ (['utf16le', 'utf8'])) assert.throws(() => readJson(Buffer.from('{"a":1}\0', encoding)), { code: 'bad_unicode' });
});

test('who reads no answers is hung up on, before they fill the memory', () => {
  /** @type {string[]} */ const did = [];
  const socket = /** @type {any} */ ({ readyState: 1, bufferedAmount: 0, on: () => {}, send: () => did.push('sent'), terminate: () => did.push('ended') });
  const link = new Link(socket, 'did:web:other.example', []);
  for (const bytes of [0, 16 * 1024 * 1024, 16 * 1024 * 1024 + 1]) { socket.bufferedAmount = bytes; link.send('{}'); }
  assert.deepEqual(did, ['sent', 'sent', 'ended']);
});

/** Under a contract, whose hirer made this many moves, with a message of it. @param {any} state @param {number} moves */
function working(state, moves) {
  const engagement = new Engagement('provider');
  const inquiry = { engagement: 'e', sender: 'h', recipient: 'p' };
  engagement.state = { ...engagement.state, main: 'working', contract: 'c', inquiry, due: 0, ...state };
  engagement.moves.hirer = Array.from({ length: moves }, (_, i) => ({ role: 'hirer', sequence: i + 1, digest: `d${i + 1}`, at: 0, made: 0 }));
  const message = (/** @type {string} */ type) => ({ type, engagement: 'e', sender: 'h', recipient: 'p', role: 'hirer', sequence: moves + 1, previous: `d${moves}`, contract: 'c', windDown: '2026-11-24T09:00:00Z' });
  return (/** @type {string} */ type, /** @type {number} */ bytes = 1) => engagement.judge(message(type), { at: 0, bytes }).outcome;
}

test('beyond 4,096 moves under a contract only what ends something is taken', () => {
  assert.equal(working({}, 4095)('Suspend'), 'applies');
  assert.throws(() => working({}, 4096)('Suspend'), { code: 'round_limit' });
  assert.equal(working({}, 4096)('Cancel'), 'applies');
});

test('beyond 8 MiB of one side under a contract as well', () => {
  const most = { said: { hirer: 8 * 1024 * 1024 - 10 } };
  assert.equal(working(most, 9)('Suspend', 10), 'applies');
  assert.throws(() => working(most, 9)('Suspend', 11), { code: 'too_large' });
  assert.equal(working(most, 9)('Cancel', 11), 'applies');
});

test('a notice that names another move in a place that was recorded is refused, and lowers nothing (HIRE-CHN-02)', () => {
  const engagement = new Engagement('provider');
  engagement.moves = { hirer: [{ role: 'hirer', sequence: 1, digest: 'one', at: 0, made: 0 }], provider: [{ role: 'provider', sequence: 1, digest: 'answer', at: 0, made: 0 }] };
  const notice = (/** @type {string} */ previous, /** @type {number} */ sequence = 1) => ({ role: 'hirer', sequence, previous, seen: 'answer' });
  assert.throws(() => engagement.hear(notice('another')), { code: 'conflicting_message' });
  assert.equal(engagement.seen.hirer, 0);
  assert.equal(engagement.hear(notice('two', 2)), 1); // of a move that did not come yet
  assert.equal(engagement.hear(notice('one')), 1);
  assert.equal(engagement.seen.hirer, 1);
});
