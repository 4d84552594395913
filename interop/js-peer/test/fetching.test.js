/** What is asked for where others say where it is (page 02, sections 2.2 and 2.12). */
import { createServer } from 'node:http';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { fetchArtifact } from '../src/artifacts.js';
import { fetchBytes, Resolver } from '../src/did.js';
import { digestOfBytes, instant } from '../src/encoding.js';
import { HireError } from '../src/errors.js';
import { decideAsHirer } from '../src/hirer.js';
import { keyOfDidKey } from '../src/keys.js';
import { workStatement } from '../src/statements.js';
import { history, move, take } from '../support/history.js';
import { until } from '../support/peers.js';

const peer = /** @type {any} */ ({ local: true, key: keyOfDidKey(randomBytes(32)), now: () => 1_800_000_000 });

test('path and query are asked for as they are written, and a URL with more than a host is none', async () => {
  const server = createServer((asked, answer) => answer.end(asked.url)).listen(0, 'localhost');
  await once(server, 'listening');
  const origin = `http://localhost:${/** @type {any} */ (server.address()).port}`;
  for (const [written, asked] of [
    ['/a/../1', '/a/../1'], ['/%2e%2E/./1?', '/%2e%2E/./1'], ['', '/'], ['?x=/../', '/?x=/../'], ['/a|{b}\\"^`<c>#d', '/a|{b}\\"^`<c>'], ['/x?y#z?w', '/x?y'],
  ]) {
    assert.equal((await fetchBytes(origin + written)).toString(), asked);
    const digest = digestOfBytes(asked);
    assert.equal((await fetchArtifact(peer, origin + written, digest, digest)).toString(), asked);
  }
  for (const host of ['u:p@localhost', 'u@localhost', 'localhost\\x', '%6cocalhost', 'xn--a.example', '']) {
    const url = origin.replace('localhost', host);
    for (const fetching of [fetchBytes(url), fetchArtifact(peer, url, '', '')]) await assert.rejects(fetching, { code: 'did_unresolvable' });
  }
  server.close();
});

test('a document that lacks a key of an issuer is fetched once more, and not for every name (HIRE-KEY-10)', async (t) => {
  const of = { did: '', names: ['key-1'], fetched: 0, now: 1_800_000_000 };
  const { method: named } = keyOfDidKey(randomBytes(32));
  const publicKeyMultibase = named.split('#')[1];
  const server = createServer((_, answer) => {
    of.fetched += 1;
    const verificationMethod = of.names.map((name) => ({ id: `${of.did}#${name}`, type: 'Multikey', controller: of.did, publicKeyMultibase }));
    answer.end(JSON.stringify({ '@context': ['https://www.w3.org/ns/did/v1'], id: of.did, verificationMethod, assertionMethod: verificationMethod.map(({ id }) => id) }));
  }).listen(0, 'localhost');
  t.after(() => server.close());
  await once(server, 'listening');
  of.did = `did:web:localhost%3A${/** @type {any} */ (server.address()).port}`;
  const resolver = new Resolver({ local: true, now: () => of.now });
  const look = async (/** @type {string} */ name, relationship = /** @type {const} */ ('assertionMethod')) => {
    await resolver.resolve(of.did, { method: `${of.did}#${name}`, relationship });
    return of.fetched;
  };
  assert.equal(await look('key-1'), 1);
  of.names = ['key-2', 'key-1'];
  assert.equal(await look('key-2'), 1, 'it was fetched seconds ago');
  of.now += 11;
  assert.equal(await look('key-1'), 1, 'one that is listed is no reason');
  assert.equal(await look('key-2'), 2);
  assert.equal(await look('key-2'), 2);
  assert.equal(await look('none'), 2);
  of.now += 11;
  assert.equal(await look('none'), 3);
  assert.equal(await look('none'), 3);
});

test('bytes that are not those of the digest are none, and no more is read than is taken (HIRE-ART-03)', async () => {
  const server = createServer((_, answer) => answer.end('four')).listen(0, 'localhost');
  await once(server, 'listening');
  const url = `http://localhost:${/** @type {any} */ (server.address()).port}/`;
  const digest = digestOfBytes('four');
  assert.equal((await fetchArtifact(peer, url, digest, digest, 4)).toString(), 'four');
  await assert.rejects(fetchArtifact(peer, url, digest, digestOfBytes('five'), 4), { code: 'digest_mismatch' });
  await assert.rejects(fetchArtifact(peer, url, digest, digest, 3), { code: 'too_large' });
  server.close();
});

test('work is rejected for what it is, and asked for again while it cannot be had or kept (decision 0294)', async (t) => {
  const server = createServer((asked, answer) => answer.writeHead(asked.url === '/gone' ? 404 : 200).end('four')).listen(0, 'localhost');
  t.after(() => server.close());
  await once(server, 'listening');
  const origin = `http://localhost:${/** @type {any} */ (server.address()).port}`;
  const worker = keyOfDidKey(createHash('sha256').update('hire example provider').digest());
  const provider = worker.method.split('#')[0];
  const review = 3600;
  const says = async (/** @type {any} */ { uri = `${origin}/`, after = 0, maxBytes, digest = digestOfBytes('four'), full = false, connected = true, by = worker }) => {
    const { engagement, now } = history('one-hire-jcs-hirer', 'Start');
    const { state } = engagement;
    const terms = { ...state.terms, deliverables: [{ name: 'x', mediaType: 'text/plain', criteria: [], maxBytes }], evidence: { predicates: [] }, deadlines: { ...state.terms.deadlines, review: 'PT1H' } };
    engagement.state = { ...state, terms };
    const artifacts = [{ name: 'x', digest, uri, mediaType: 'text/plain' }];
    const work = { contract: state.contract, engagement: state.inquiry.engagement, provider, task: terms.task.kind, inputs: [], actions: [], actionsOmitted: 0, usage: [], startedOn: instant(now), finishedOn: instant(now) };
    const made = move(engagement, 'provider', 'Delivery', { outcome: 'complete', artifacts, statements: [workStatement(artifacts, work, by)], usage: [], round: 1 }, now);
    take(engagement, made, now);
    const put = () => { if (full) throw new HireError('store_unavailable', 'full'); };
    const of = { ...peer, did: 'did:web:acme.example', now: () => now + after, log() {}, hereSince: 0, connected: () => connected, store: { put }, turn: async () => {} };
    const facts = { asked: -10 }; // so that it does not wait before it asks again
    return new Promise((resolve) => {
      const conversation = {
        engagement, facts, with: provider, last: () => made, enqueue: (/** @type {any} */ act) => act(), say: async (/** @type {any} */ { body }) => resolve(body.verdict),
        peer: { ...of, resolver: new Resolver(), originOf: async () => '' }, set working(/** @type {boolean} */ on) { if (!on) resolve('later'); },
      };
      decideAsHirer(/** @type {any} */ (conversation));
    });
  };
  const late = review - 1;
  for (const [of, verdict] of /** @type {const} */ ([
    [{}, 'accepted'], [{ after: late }, 'accepted'], [{ full: true }, 'later'], [{ full: true, after: late }, 'later'], [{ maxBytes: 4 }, 'accepted'], [{ maxBytes: 3 }, 'rejected'], [{ by: peer.key }, 'rejected'],
    [{ uri: `${origin}/gone` }, 'later'], [{ uri: `${origin}/gone`, after: late }, 'rejected'], [{ digest: digestOfBytes('five') }, 'later'], [{ digest: digestOfBytes('five'), after: late }, 'rejected'],
    [{ uri: 'http://localhost:1/' }, 'later'], [{ uri: 'http://localhost:1/', after: late }, 'rejected'], [{ uri: 'http://localhost:1/', after: late, connected: false }, 'later'],
    [{ uri: `${origin}/gone`, after: late, connected: false }, 'rejected'],
  ])) assert.equal(await says(of), verdict, JSON.stringify(of));
});

/** What is served as the document of a DID, and how often it was asked for. @param {import('node:test').TestContext} t @param {(answer: import('node:http').ServerResponse, did: string, count: number) => void} answers */
async function served(t, answers) {
  let count = 0;
  const server = createServer((_, answer) => { count += 1; answers(answer, did, count); }).listen(0, 'localhost');
  t.after(() => server.close());
  await once(server, 'listening');
  const did = `did:web:localhost%3A${/** @type {any} */ (server.address()).port}`;
  return { did, count: () => count };
}

test('a document that a later one overtook on its way does not take its place', async (t) => {
  /** @type {any} */ let first;
  const { did, count } = await served(t, (answer, id, place) => { if (place === 1) first = answer; else answer.end(JSON.stringify({ id, service: [] })); });
  const resolver = new Resolver({ local: true });
  const before = resolver.resolve(did);
  await until(() => first !== undefined);
  const after = await resolver.resolve(did);
  first.end(JSON.stringify({ id: did }));
  assert.deepEqual([await before, await resolver.resolve(did), count()], [after, after, 2]);
});

test('a document ages while our clock stands still, and while the process does', async (t) => {
  const { did, count } = await served(t, (answer, id) => answer.end(JSON.stringify({ id })));
  let [now, passed] = [1000, 50];
  t.mock.method(performance, 'now', () => passed * 1000);
  const resolver = new Resolver({ local: true, now: () => now });
  const asked = async (/** @type {number} */ ours, /** @type {number} */ ofProcess) => { now += ours; passed += ofProcess; await resolver.resolve(did, { fresh: true }); return count(); };
  assert.deepEqual([await asked(0, 0), await asked(300, 300), await asked(0, 1), await asked(301, 0)], [1, 1, 2, 3]);
});
