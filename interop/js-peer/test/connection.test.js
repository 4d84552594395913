/** What a peer does with what it may not take: before a DID is proved, and after. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { dial } from '../src/link.js';
import { Resolver } from '../src/did.js';
import { keyOfDidKey } from '../src/keys.js';
import { CONTEXT, digestOfBytes, engagementId, instant, newNonce } from '../src/encoding.js';
import { makeProof, times } from '../src/proofs.js';
import { signMessage } from '../src/message.js';
import { sketchFor } from '../src/terms.js';
import { two, until } from '../support/peers.js';

const now = () => Math.floor(Date.now() / 1000);

/** A party of its own, that dials. @param {Buffer} [secret] */
function party(secret = randomBytes(32)) {
  const key = keyOfDidKey(secret);
  return { did: key.method.split('#')[0], key, resolver: new Resolver(), now, local: true };
}

/** Everything that comes until the socket is closed, and how it was. @param {WebSocket} socket */
function watched(socket) {
  /** @type {any[]} */ const frames = [];
  socket.on('message', (bytes) => frames.push(JSON.parse(bytes.toString())));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => { socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })); });
  return { frames, closed };
}

/** @param {import('../src/peer.js').Peer} peer @param {(challenge: any) => Promise<any>} answer what is sent for frame 2 */
async function greeted(peer, answer) {
  const socket = new WebSocket(peer.url, ['hire.v1']);
  const { frames, closed } = watched(socket);
  await until(() => frames.length > 0);
  socket.send(await answer(frames[0]));
  return { end: await closed, frames };
}

/** @param {ReturnType<typeof party>} self @param {string} to @param {any} [more] of the frame @param {any} [proof] */
async function connection(self, to, more = {}, proof = {}) {
  const frame = { '@context': CONTEXT, type: 'Connection', part: 'dialer', subprotocol: 'hire.v1', sender: self.did, recipient: to, nonce: newNonce(), versions: ['1.0'], ...more };
  const made = await makeProof(frame, self.key, { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'authentication', ...times(now(), 60), domain: to, ...proof });
  return JSON.stringify({ ...frame, proof: made });
}

/** @param {ReturnType<typeof party>} self @param {string} provider @param {any} [more] */
async function inquiry(self, provider, more = {}) {
  const nonce = newNonce();
  const content = {
    type: 'Inquiry', version: '1.0', engagement: engagementId(self.did, provider, nonce), sender: self.did, recipient: provider, role: 'hirer', sequence: 1, nonce, need: 'summary',
    task: { kind: 'summary', summary: '', inputs: [] }, scopeSketch: sketchFor([]), versions: ['1.0'], suites: ['eddsa-jcs-2022'], extensions: [], opens: 'hirer',
    limits: { rounds: 4, bytes: 100000 }, respondBy: instant(now() + 60), closesAt: instant(now() + 600), ...more,
  };
  return signMessage(content, self.key, 'eddsa-jcs-2022', now());
}

test('before a DID is proved', async (t) => {
  const made = await two(t);
  const provider = await made.provider();
  const self = party();
  const cases = {
    'another challenge': [{ challenge: newNonce() }, {}, 'proof_invalid'],
    'another recipient': [{}, { recipient: party().did }, 'proof_invalid'],
    'a domain of somebody else': [{ domain: party().did }, {}, 'proof_invalid'],
    'a purpose of documents': [{ proofPurpose: 'assertionMethod' }, {}, 'proof_invalid'],
    'a proof that lives too long': [times(now(), 61), {}, 'proof_invalid'],
    'another version': [{}, { versions: ['2.0'] }, 'version_not_supported'],
    'a member more': [{}, { more: 1 }, 'schema_violation'],
    'another context': [{}, { '@context': 'https://w3id.org/hire/v2' }, 'schema_violation'],
    'the part of the other side': [{}, { part: 'acceptor' }, 'schema_violation'],
  };
  for (const [name, [proof, more, reason]] of Object.entries(/** @type {Record<string, any>} */ (cases))) {
    await t.test(name, async () => {
      const { end, frames } = await greeted(provider, ({ nonce }) => connection(self, provider.did, more, { challenge: nonce, ...proof }));
      assert.deepEqual([end, frames.length], [{ code: 1008, reason }, 1]);
    });
  }
  await t.test('no JSON', async () => {
    const { end } = await greeted(provider, async () => 'hello');
    assert.deepEqual(end, { code: 1008, reason: 'bad_json' });
  });
  for (const [name, text, code, reason] of /** @type {const} */ ([
    ['a byte order mark', '\ufeff{}', 1007, 'bad_unicode'], ['more than a frame has', `{"a":"${'x'.repeat(8192)}"}`, 1009, 'too_large'],
    ['nested deeper', '{"a":[[[[1]]]]}', 1008, 'too_deep'],
  ])) {
    await t.test(name, async () => assert.deepEqual((await greeted(provider, async () => text)).end, { code, reason }));
  }
  await t.test('more versions than a frame has', async () => {
    const { end } = await greeted(provider, ({ nonce }) => connection(self, provider.did, { versions: Array.from({ length: 17 }, (_, at) => `1.${at}`) }, { challenge: nonce }));
    assert.deepEqual(end, { code: 1008, reason: 'schema_violation' });
  });
  await t.test('who goes on sending once it was refused', async () => {
    const socket = new WebSocket(provider.url, ['hire.v1']);
    const { frames, closed } = watched(socket);
    await until(() => frames.length > 0);
    const [theirs] = [.../** @type {any} */ (provider.sockets).clients].filter((one) => one.readyState === WebSocket.OPEN);
    socket.pause(); // so it never closes on its side
    socket.send('{}');
    await until(() => theirs.readyState === WebSocket.CLOSING);
    assert.deepEqual([theirs.listenerCount('message'), provider.unproved], [0, 1], 'nothing of it is held, and it still counts');
    await until(() => theirs.readyState === WebSocket.CLOSED);
    await until(() => provider.unproved === 0);
    socket.resume();
    await closed;
  });
  await t.test('who sends on while its proof is looked at', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    t.after(() => { silent.closeAllConnections(); silent.close(); });
    await until(() => silent.listening);
    const socket = new WebSocket(provider.url, ['hire.v1']);
    const { frames, closed } = watched(socket);
    await until(() => frames.length > 0);
    const [theirs] = [.../** @type {any} */ (provider.sockets).clients].filter((one) => one.readyState === WebSocket.OPEN);
    const sender = `did:web:localhost%3A${/** @type {any} */ (silent.address()).port}`;
    const frame = JSON.parse(await connection(self, provider.did, { sender }, { challenge: frames[0].nonce }));
    socket.send(JSON.stringify({ ...frame, proof: { ...frame.proof, verificationMethod: `${sender}#key` } }));
    for (let i = 0; i < 8; i += 1) socket.send('x'.repeat(250_000));
    await until(() => theirs.isPaused);
    assert.deepEqual(await closed, { code: 1008, reason: 'proof_invalid' });
  });
  await t.test('bytes that are no text', async () => {
    const { end } = await greeted(provider, async () => Buffer.from('{}'));
    assert.deepEqual(end, { code: 1003, reason: '' });
  });
  await t.test('who sends more than 64 frames while its proof is looked at', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    t.after(() => { silent.closeAllConnections(); silent.close(); });
    await until(() => silent.listening);
    for (const [more, reason] of /** @type {const} */ ([[64, 'proof_invalid'], [65, 'rate_limited']])) {
      const socket = new WebSocket(provider.url, ['hire.v1']);
      const { frames, closed } = watched(socket);
      await until(() => frames.length > 0);
      const sender = `did:web:localhost%3A${/** @type {any} */ (silent.address()).port}`;
      const frame = JSON.parse(await connection(self, provider.did, { sender }, { challenge: frames[0].nonce }));
      socket.send(JSON.stringify({ ...frame, proof: { ...frame.proof, verificationMethod: `${sender}#key` } }));
      for (let i = 0; i < more; i += 1) socket.send('{}');
      assert.deepEqual(await closed, { code: 1008, reason }, `${more} frames`);
    }
  });
  await t.test('no subprotocol', async () => {
    const { closed } = watched(new WebSocket(provider.url));
    assert.equal((await closed).code, 1006);
  });
  await t.test('a dialer that wants somebody else', async () => {
    await assert.rejects(dial(provider.url, party().did, self), { code: 'connection_closed' });
  });
  assert.equal(provider.conversations.size, 0);
  await provider.stop();
});

test('where many are proved, only who has something under way is let in', async (t) => {
  const made = await two(t);
  const provider = await made.provider();
  const [early, late] = [party(), party()];
  const link = await dial(provider.url, provider.did, early);
  const { frames } = watched(link.socket);
  link.send(JSON.stringify(await inquiry(early, provider.did)));
  await until(() => frames.some(({ type }) => type === 'Profile'));
  link.close(1000);
  await until(() => provider.links.size === 0);
  for (let i = 0; i < 4096; i += 1) provider.links.set(`did:key:${i}`, /** @type {any} */ ({ close: () => {}, open: false }));
  assert.deepEqual(await watched((await dial(provider.url, provider.did, late)).socket).closed, { code: 1008, reason: 'overloaded' });
  const again = await dial(provider.url, provider.did, early);
  await until(() => provider.links.has(early.did));
  again.close(1000);
  await until(() => !provider.links.has(early.did));
  await provider.stop();
});

test('after it is proved', async (t) => {
  const made = await two(t);
  const provider = await made.provider();
  const self = party();
  const open = async (by = self) => {
    const link = await dial(provider.url, provider.did, by);
    const seen = watched(link.socket);
    return { link, ...seen };
  };
  const faults = {
    'no JSON': [async () => `{"a": "${'long enough to be told of '.repeat(9)}`, 'bad_json', '/a'],
    'a number that is none': [async () => JSON.stringify(await inquiry(self, provider.did)).replace('"rounds":4', '"rounds":4.0'), 'number_out_of_range', '/limits/rounds'],
    'an unknown member': [async () => JSON.stringify({ ...(await inquiry(self, provider.did)), more: 1 }), 'unknown_term', '/more'],
    'a name that a pointer writes otherwise': [async () => JSON.stringify({ ...(await inquiry(self, provider.did)), 'mo/r~e': 1 }), 'unknown_term', '/mo~1r~0e'],
    'a place that is too long to be told': [async () => JSON.stringify({ ...(await inquiry(self, provider.did)), ['m'.repeat(300)]: 1 }), 'unknown_term', ''],
    'a type of another version': [async () => JSON.stringify({ ...(await inquiry(self, provider.did)), type: 'Greeting', version: '2.0' }), 'version_not_supported', '/version'],
    'a signature of other content': [async () => JSON.stringify({ ...(await inquiry(self, provider.did)), need: 'echo' }), 'proof_invalid', ''],
    'an engagement of another nonce': [async () => JSON.stringify(await inquiry(self, provider.did, { nonce: newNonce() })), 'wrong_negotiation', ''],
  };
  for (const [name, [make, code, path]] of Object.entries(/** @type {Record<string, any>} */ (faults))) {
    await t.test(name, async () => {
      const { link, frames } = await open();
      const text = await make();
      link.send(text);
      await until(() => frames.length > 0);
      assert.deepEqual(frames, [{ type: 'Fault', code, of: digestOfBytes(Buffer.from(text)), path }]);
      assert.equal(provider.conversations.size, 0);
      link.close(1000);
    });
  }
  await t.test('a refusal that cannot be taken gets no answer (HIRE-SYN-04)', async () => {
    const { link, frames } = await open();
    const first = await inquiry(self, provider.did);
    const problem = { type: 'Problem', code: 'policy_denied', of: digestOfBytes(Buffer.from('{}')), engagement: first.engagement };
    for (const text of [JSON.stringify(problem), JSON.stringify({ ...first, type: 'Problem' })]) link.send(text);
    const other = JSON.stringify({ type: 'Other', note: 'x'.repeat(300) });
    link.send(other);
    await until(() => frames.length > 0);
    assert.deepEqual(frames.map(({ of }) => of), [digestOfBytes(Buffer.from(other))]);
    link.close(1000);
  });
  await t.test('what the bytes of a negotiation do not hold ends it, and is not tried for ever (HIRE-LIM-01)', async () => {
    const other = party(); // whoever dials again as the same hears of it once more
    const { link, frames } = await open(other);
    link.send(JSON.stringify(await inquiry(other, provider.did, { limits: { rounds: 4, bytes: 64 } })));
    await until(() => frames.some(({ type }) => type !== 'Receipt'));
    assert.deepEqual(frames.filter(({ type }) => type !== 'Receipt').map(({ type, reason }) => [type, reason]), [['Withdraw', 'decision_failed']]);
    link.close(1000);
  });
  await t.test('a repeat gets the same answer, and a second message in its place is equivocation', async () => {
    const { link, frames, closed } = await open();
    const first = await inquiry(self, provider.did);
    const moves = () => frames.filter(({ type }) => type !== 'Receipt'); // which comes when it is due
    link.send(JSON.stringify(first));
    await until(() => moves().length === 1);
    link.send(JSON.stringify(first));
    await until(() => moves().length > 1);
    assert.equal(frames[0].type, 'Profile');
    assert.deepEqual(moves()[1], frames[0]);
    const { proof, ...rest } = first;
    link.send(JSON.stringify(await signMessage({ ...rest, need: 'echo' }, self.key, 'eddsa-jcs-2022', now())));
    assert.deepEqual(await closed, { code: 1008, reason: 'conflicting_message' });
    const problem = frames.at(-1);
    assert.deepEqual([problem.type, problem.code, problem.final, problem.retryable], ['Problem', 'conflicting_message', true, false]);
    assert.equal(provider.conversations.get(first.engagement)?.engagement.state.main, 'profiled');
  });
  await t.test('somebody else as sender', async () => {
    const { link, closed } = await open();
    link.send(JSON.stringify(await inquiry(party(), provider.did)));
    assert.deepEqual(await closed, { code: 1008, reason: 'proof_invalid' });
  });
  await t.test('bytes that are no text', async () => {
    const { link, closed } = await open();
    link.socket.send(Buffer.from('{}'), { binary: true });
    assert.equal(/** @type {any} */ (await closed).code, 1003);
  });
  await t.test('more than a message may have', async () => {
    const { link, closed } = await open();
    link.send('x'.repeat(256 * 1024 + 1));
    assert.equal(/** @type {any} */ (await closed).code, 1009);
  });
  await t.test('too many failures', async () => {
    const { link, closed } = await open();
    for (let i = 0; i < 40; i += 1) link.send('{"a": "not a message of any kind that this protocol has"}');
    assert.deepEqual(await closed, { code: 1008, reason: 'rate_limited' });
  });
  await provider.stop();
});
