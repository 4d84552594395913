/** Status lists are kept for as long as they allow, and fetched anew before a signature that binds (HIRE-STA-05). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import http from 'node:http';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { CONTEXT, instant, newId } from '../src/encoding.js';
import { Resolver } from '../src/did.js';
import { keyOfDidKey } from '../src/keys.js';
import { VC } from '../src/presentation.js';
import { makeProof } from '../src/proofs.js';
import { checkStatus, Lists } from '../src/status.js';
import { two, whole } from '../support/peers.js';

const key = keyOfDidKey(randomBytes(32));
const issuer = key.method.split('#')[0];
const url = 'http://localhost:1/status/1';
const NOW = 1_800_000_000;
const entry = { type: 'BitstringStatusListEntry', statusPurpose: 'revocation', statusListIndex: '1', statusListCredential: url };
const credential = { issuer, credentialStatus: entry };

/** A list in which these places are set. @param {number[]} set @param {any} [subject] @param {any} [more] */
async function listed(set, subject = {}, { made = NOW, ...more } = {}) {
  const bits = Buffer.alloc(131072 / 8);
  for (const place of set) bits[place >> 3] |= 0x80 >> (place & 7);
  const document = {
    '@context': ['https://www.w3.org/ns/credentials/v2'], id: url, type: ['VerifiableCredential', 'BitstringStatusListCredential'], issuer, ...more,
    credentialSubject: { type: 'BitstringStatusList', statusPurpose: 'revocation', encodedList: `u${gzipSync(bits).toString('base64url')}`, ...subject },
  };
  return { ...document, proof: await makeProof(document, key, { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: instant(made) }) };
}

/** Who asks for it, by a clock that a test moves. */
function asker() {
  const of = { passed: 100, fetched: 0, serves: /** @type {any} */ (undefined), now: NOW };
  const kept = new Lists(() => of.passed);
  const fetch = async () => {
    of.fetched += 1;
    if (!of.serves) throw new Error('not there');
    return Buffer.from(JSON.stringify(of.serves));
  };
  return Object.assign(of, { kept, look: (age = Infinity) => checkStatus(credential, Object.assign(new Resolver(), { local: true }), of.now, { fetch, kept, age }) });
}

for (const [name, subject, seconds] of /** @type {[string, any, number][]} */ ([
  ['its ttl', { ttl: 60_000 }, 60], ['five minutes where it says none', {}, 300], ['a day at most', { ttl: 10 * 86_400_000 }, 86_400], ['no time where it says so', { ttl: 0 }, 0],
])) {
  test(`a list is kept for ${name}`, async () => {
    const at = asker();
    at.serves = await listed([], subject);
    await at.look();
    at.serves = undefined;
    at.passed += Math.max(0, seconds - 1);
    if (seconds > 0) await at.look();
    assert.equal(at.fetched, 1);
    at.passed += 1;
    await assert.rejects(at.look(), { code: 'status_unavailable' });
    assert.equal(at.fetched, 2);
  });
}

test('it is fetched anew where it has to be younger, and past its validity', async () => {
  const at = asker();
  at.serves = await listed([], {}, { validUntil: instant(NOW + 100) });
  await at.look();
  at.passed += 10;
  await at.look(11);
  assert.equal(at.fetched, 1);
  await at.look(10);
  await at.look(0);
  assert.equal(at.fetched, 3);
  at.now += 101;
  await assert.rejects(at.look(), { code: 'status_unavailable' });
  assert.equal(at.fetched, 4);
});

test('what was withdrawn in a list that was seen is not clear in one of before', async () => {
  const later = (/** @type {number} */ seconds) => ({ made: NOW + seconds });
  const at = asker();
  at.now += 60;
  at.serves = await listed([1], {}, later(10));
  await assert.rejects(at.look(), { code: 'revoked' });
  for (const [seconds, code] of /** @type {[number, any][]} */ ([[9, 'status_unavailable'], [10, 'status_unavailable'], [11, undefined]])) {
    at.serves = await listed([], {}, later(seconds));
    if (code) await assert.rejects(at.look(0), { code });
    else await at.look(0);
  }
  at.serves = await listed([2], {}, later(5)); // of two servers one may be behind, and shows all that was withdrawn
  await at.look(0);
  const lifted = asker();
  lifted.now += 60;
  lifted.serves = await listed([2], { statusPurpose: ['revocation', 'suspension'] }, later(10));
  await lifted.look();
  lifted.serves = await listed([], { statusPurpose: ['revocation', 'suspension'] }, later(10));
  await lifted.look(0);
});

test('of as many lists as issuers name only so many are kept', async () => {
  const kept = new Lists();
  const one = /** @type {any} */ ({ since: 1, made: 1, ends: Infinity, ttl: 300, purposes: ['revocation'], bits: Buffer.alloc(1) });
  for (let i = 0; i < 40; i += 1) kept.keep(`${i}`, one);
  assert.deepEqual([kept.kept.size, kept.kept.has('7'), kept.kept.has('8')], [32, false, true]);
});

test('a hire fetches a list for the offer and for the acceptance, and the gate goes by that', async (t) => {
  const made = await two(t);
  const [hirer, provider] = [await made.hirer({ trust: [issuer] }), await made.provider()];
  let fetched = 0;
  /** @type {any} */ let serves;
  const server = http.createServer((_, response) => {
    fetched += 1;
    response.end(JSON.stringify(serves));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const at = `http://localhost:${/** @type {any} */ (server.address()).port}/status/1`;
  serves = await listed([], {}, { made: hirer.now() - 60, id: at });
  const member = {
    '@context': [VC, CONTEXT], id: newId(), type: ['VerifiableCredential', 'MembershipCredential'], issuer, credentialSubject: { id: provider.did, memberOf: issuer },
    credentialStatus: { ...entry, statusListCredential: at },
  };
  provider.credentials = [{ ...member, proof: await makeProof(member, key, { cryptosuite: 'eddsa-jcs-2022', proofPurpose: 'assertionMethod', created: instant(hirer.now() - 60) }) }];
  const { id } = await hirer.hire(made.order(provider));
  await whole(hirer, provider, id);
  assert.equal(hirer.find(id)?.last('Acceptance', 'hirer').type, 'Acceptance');
  assert.deepEqual([fetched, hirer.lists.kept.size], [2, 1]);
  server.close();
  await Promise.all([hirer.stop(), provider.stop()]);
});
