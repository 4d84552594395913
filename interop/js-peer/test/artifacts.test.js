/** Where an artifact is fetched from: a message names the place (HIRE-DID-05, HIRE-DID-06). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { fetchArtifact } from '../src/artifacts.js';
import { digestOfBytes } from '../src/encoding.js';
import { Job } from '../src/job.js';
import { keyOfDidKey } from '../src/keys.js';
import { working } from '../support/peers.js';

test('nothing is asked of addresses that are not of the open network, however they are written', async () => {
  const key = keyOfDidKey(randomBytes(32));
  const digest = digestOfBytes(Buffer.from('x'));
  for (const local of [true, false]) {
    const peer = /** @type {any} */ ({ local, key, now: () => 1_800_000_000 });
    const hosts = ['10.0.0.1', '169.254.169.254', '[::ffff:10.0.0.1]', '[fe80::1]', '[fec0::1]', '[64:ff9b:1::a00:1]', '[2001:0:a00:1::1]', '[2002:a00:1::1]', '192.0.2.1', '192.88.99.1', '198.51.100.1', '203.0.113.1', '[100::1]', '[2001:db8::1]', '[3fff::1]', ...(local ? [] : ['localhost', '127.0.0.1', '0x7f.1', '2130706433', '[::1]'])];
    for (const host of hosts) await assert.rejects(fetchArtifact(peer, `https://${host}/artifacts/${digest}`, digest, digest), { code: 'did_forbidden_address' }, host);
    await assert.rejects(fetchArtifact(peer, `http://example.org/artifacts/${digest}`, digest, digest), { code: 'did_forbidden_address' });
  }
});

test('a gate that says no has a code of the specification, or it is that of a no', async () => {
  const digest = digestOfBytes(Buffer.from('x'));
  const peer = /** @type {any} */ ({ local: true, key: keyOfDidKey(randomBytes(32)), now: () => 1_800_000_000 });
  let said = '';
  const gate = http.createServer((_, answer) => answer.writeHead(403).end(said)).listen(0, 'localhost');
  await once(gate, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (gate.address());
  for (const [body, code] of [
    ['{"code":"contract_expired"}', 'contract_expired'], ...['constructor', ['contract_expired'], 1].map((one) => [JSON.stringify({ code: one }), 'scope_exceeded']), ['null', 'scope_exceeded'],
  ]) {
    said = body;
    await assert.rejects(fetchArtifact(peer, `http://localhost:${port}/artifacts/${digest}`, digest, digest), { code }, body);
  }
  gate.close();
});

test('however wide a grant is, a hirer hands out the inputs of its contract alone (HIRE-ART-02)', async (t) => {
  const { hirer, provider, conversation, goOn } = await working(t);
  const { state } = conversation.engagement;
  const [grant] = state.terms.scope.grants;
  state.terms = { ...state.terms, scope: { ...state.terms.scope, grants: [{ ...grant, target: `${hirer.origin}/artifacts/*` }] } };
  const asks = (/** @type {string} */ digest) => fetchArtifact(provider, `${hirer.origin}/artifacts/${digest}`, state.contract, digest);
  const [input] = state.terms.task.inputs;
  await asks(input);
  const booked = conversation.bookings.size;
  for (const of of [hirer.store.put(Buffer.from('of another contract')), digestOfBytes('not there')]) await assert.rejects(asks(of), { code: 'scope_exceeded' });
  assert.deepEqual([conversation.bookings.size, conversation.recorded.refusals, conversation.actions.at(-1).clause], [booked, 2, grant.id.split('#')[1]]);
  goOn();
});

test('of what is delivered under one name the last counts', () => {
  const state = { started: { inputs: [] }, terms: { deliverables: [] }, contract: 'c' };
  const job = new Job(/** @type {any} */ ({ engagement: { state }, peer: { store: { put: digestOfBytes } } }));
  for (const [name, text] of [['a', '1'], ['b', '2'], ['a', '3']]) job.deliver(name, text, 'text/plain');
  assert.deepEqual(job.artifacts.map(({ name, digest }) => [name, digest]), [['b', '2'], ['a', '3']].map(([name, text]) => [name, digestOfBytes(Buffer.from(text))]));
});

test('an input is asked for again where the gate says no for now or the clocks are apart, as long as the peer runs', async () => {
  const [key, bytes] = [keyOfDidKey(randomBytes(32)), Buffer.from('report')];
  const digest = digestOfBytes(bytes);
  /** @type {Record<string, number>} */ const asked = {};
  const gate = http.createServer(({ url = '' }, answer) => {
    asked[url] = (asked[url] ?? 0) + 1;
    const date = new Date((1_800_000_000 + (url.includes('apart') ? 61 : 60)) * 1000).toUTCString();
    answer.writeHead(asked[url] === 1 ? 403 : 200, { date }).end(asked[url] === 1 ? JSON.stringify({ code: url.slice(1).split('?')[0] }) : bytes);
  }).listen(0, 'localhost');
  await once(gate, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (gate.address());
  const read = (/** @type {string} */ code, stopped = false) => {
    const state = { started: { inputs: [{ name: 'report', uri: `http://localhost:${port}/${code}`, digest }] }, terms: {}, contract: digest, main: 'working' };
    const job = new Job(/** @type {any} */ ({ engagement: { state }, peer: { local: true, key, stopped, log() {}, now: () => 1_800_000_000 } }));
    job.act = async () => ({ id: '', clause: '' });
    return job.read('report');
  };
  for (const one of await Promise.all(['revoked', 'policy_denied', 'status_unavailable', 'status_invalid', 'overloaded', 'proof_invalid?apart'].map((code) => read(code)))) assert.deepEqual(one, bytes);
  for (const code of ['scope_exceeded', 'scope_exceeded?apart', 'proof_invalid']) await assert.rejects(read(code), { code: code.split('?')[0] });
  await assert.rejects(read('contract_expired', true), { code: 'contract_expired' });
  assert.deepEqual([asked['/scope_exceeded'], asked['/contract_expired']], [1, 1]);
  gate.close();
});

test('an answer that was cut is one read, as it is for the gate of the hirer, and a request without an answer is none', async (t) => {
  const [key, bytes] = [keyOfDidKey(randomBytes(32)), Buffer.from('report')];
  const digest = digestOfBytes(bytes);
  let asked = 0;
  const gate = http.createServer(({ socket }, answer) => {
    asked += 1;
    if (asked === 1) socket.destroy();
    else if (asked === 2) answer.writeHead(503).end();
    else if (asked < 5) answer.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 3), () => socket.destroy());
    else answer.end(bytes);
  }).listen(0, 'localhost');
  t.after(() => gate.close());
  await once(gate, 'listening');
  const uri = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (gate.address()).port}/`;
  const state = { started: { inputs: [{ name: 'report', uri, digest }] }, terms: {}, contract: digest, main: 'working' };
  const job = new Job(/** @type {any} */ ({ engagement: { state }, peer: { local: true, key, log() {}, now: () => 1_800_000_000 } }));
  /** @type {any[]} */ const booked = [];
  job.act = async (action) => { booked.push([action, asked]); return { id: '', clause: '' }; };
  assert.deepEqual(await job.read('report'), bytes);
  const action = { name: 'artifact:read', target: uri };
  assert.deepEqual(booked, [0, 3, 4].map((before) => [action, before]));
});
