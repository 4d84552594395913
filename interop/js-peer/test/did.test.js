/** Which key of a document may sign what (page 02, sections 2.3 and 2.4). */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { p256 } from '@noble/curves/nist.js';
import { assertionKeys, checkDid, endpoint, keyFor, methodsOf, multikeys, Resolver, signingKeys, webUrl } from '../src/did.js';
import { publicMultikey } from '../src/keys.js';
import { verifyDelivery } from '../src/statements.js';

const DID = 'did:web:acme.example';
const [key, other] = [1, 2].map((byte) => publicMultikey({ kind: 'Ed25519', secret: Buffer.alloc(32, byte) }));
const method = (/** @type {any} */ more = {}) => ({ id: `${DID}#k`, type: 'Multikey', controller: DID, publicKeyMultibase: key, ...more });
const listing = (/** @type {any} */ one, name = `${DID}#k`) => /** @type {any} */ ({ id: DID, verificationMethod: [one], authentication: [name], assertionMethod: [name] });
const NOW = Date.parse('2026-06-01T00:00:00Z') / 1000;

test('a method is good until its end, which counts, and not once it is revoked', () => {
  const ends = listing(method({ expires: '2026-06-01T00:00:00Z' }));
  keyFor(ends, `${DID}#k`, 'authentication', NOW);
  for (const [document, now, code] of /** @type {any[]} */ ([
    [ends, NOW + 1, 'key_not_authorized'], [ends, undefined, 'key_not_authorized'], [listing(method({ revoked: '2030-01-01T00:00:00Z' })), NOW, 'key_not_authorized'],
    ...['soon', '2030-02-30T00:00:00Z', '2030-13-01T00:00:00Z', '1999-01-01T00:00:00Z'].map((expires) => [listing(method({ expires })), NOW, 'did_document_invalid']),
  ])) assert.throws(() => keyFor(document, `${DID}#k`, 'authentication', now), { code });
  assert.deepEqual([assertionKeys(ends, NOW).length, assertionKeys(ends, NOW + 1).length, signingKeys(ends).size], [1, 0, 1]);
  assert.deepEqual(multikeys(ends, 'authentication', NOW), { [`${DID}#k`]: key });
});

test('a document with something else than lists of methods and services is none', async () => {
  const of = (/** @type {any} */ more) => new Resolver({ documents: { [DID]: { ...listing(method()), ...more } } }).resolve(DID);
  await of({ service: [{}], authentication: [method({ id: '#a' }), '#k'] });
  for (const name of ['verificationMethod', 'service', 'authentication', 'assertionMethod']) {
    for (const value of [null, 1, 'x', {}, [null], [1], [[]]]) await assert.rejects(of({ [name]: value }), { code: 'did_document_invalid' });
  }
  for (const name of ['verificationMethod', 'service']) await assert.rejects(of({ [name]: ['x'] }), { code: 'did_document_invalid' });
});

test('a document is read as it is written: names beside it, keys as JWK, and none of others', () => {
  keyFor(listing(method({ id: '#k' }), '#k'), `${DID}#k`, 'authentication');
  const x = Buffer.from(signingKeys(listing(method())).get(`${DID}#k`)?.bytes ?? []).toString('base64url');
  const jwk = listing({ ...method({ type: 'JsonWebKey', publicKeyJwk: { kty: 'OKP', crv: 'Ed25519', x } }), publicKeyMultibase: undefined });
  assert.deepEqual(multikeys(jwk, 'authentication', NOW), { [`${DID}#k`]: key });
  for (const one of [method({ controller: 'did:web:other.example' }), method({ id: 'did:web:other.example#k' })]) assert.deepEqual(methodsOf(listing(one, one.id), 'authentication'), []);
});

test('of several places at which a peer listens, the first that is text is dialled', () => {
  const [at, other] = ['wss://a.example/hire', 'wss://b.example/hire'];
  const place = (/** @type {any[]} */ ...services) => endpoint({ id: 'did:web:a.example', service: services.map(([type, serviceEndpoint]) => ({ type, serviceEndpoint })) });
  assert.equal(place(['LinkedDomains', other], ['HireService', at], ['HireService', other]), at);
  assert.equal(place([['Other', 'HireService'], [{ uri: other }, at, other]]), at, 'a list of types, and of places');
  assert.equal(place(['HireService', { uri: other }], ['HireService', 'https://a.example/hire']), at, 'one that is no text is passed over');
  assert.equal(place(['HireService', { uri: other }]), undefined);
  assert.equal(place(), undefined);
});

test('a did:web has one spelling, and its host is no address', () => {
  for (const did of ['did:web:a.example', 'did:web:a.example%3A8443:x:y.z', 'did:web:a.example:..x', 'did:web:xn--a.example']) webUrl(did, false);
  for (const [did, code] of [
    ['did:web:a.example:..', 'did_document_invalid'], ['did:web:a.example:.:x', 'did_document_invalid'], [`did:web:a.example:${'x'.repeat(256)}`, 'did_document_invalid'],
    [`did:web:${'abc.'.repeat(64)}example`, 'did_document_invalid'],
    ...['Acme', 'a.example.', 'a.example:', 'a.example:x:', '', 'a%20.example', 'a.example:%41', 'a.example/x', 'a.example#k', 'a.example?x', 'a@a.example', 'ä.example'].map(
      (host) => [`did:web:${host}`, 'did_document_invalid'],
    ),
    ...['', '0', '080', '65536', '80%3A81', 'x', '-1'].map((port) => [`did:web:a.example%3A${port}`, 'did_document_invalid']),
    ...['a.123', 'a.0x1', 'a.0X1x', '0x7f000001', '127.0.0.1.%3A80', '%5B::1%5D', 'a.localhost', 'A.LOCALHOST', 'localhost', 'localhost:x', 'acme', 'acme%3A80'].map(
      (host) => [`did:web:${host}`, 'did_forbidden_address'],
    ),
  ]) assert.throws(() => webUrl(did, false), { code });
});

test('a DID of another method is resolved by nobody', async () => {
  for (const did of ['did:plc:x', 'did:ion:x', 'did:webs:a.example']) {
    assert.throws(() => checkDid(did, false), { code: 'did_unresolvable' });
    await assert.rejects(new Resolver().resolve(did), { code: 'did_unresolvable' });
  }
  for (const did of ['did:web:a.example', `did:key:${key}`]) checkDid(did, false);
  assert.throws(() => checkDid('did:key:z6Mk', false), { code: 'did_document_invalid' });
});

test('a host whose label begins as punycode and is none is not found', () => assert.rejects(new Resolver().resolve('did:web:xn--a.example'), { code: 'did_unresolvable' }));

test('a document that two readers could read in two ways is none', async () => {
  const of = (/** @type {any} */ more) => new Resolver({ documents: { [DID]: { ...listing(method()), ...more } } }).resolve(DID);
  await of({ keyAgreement: ['#x'], verificationMethod: [method(), method({ id: '#other', type: 'RsaVerificationKey2018', publicKeyMultibase: undefined })] });
  for (const more of [
    { verificationMethod: [method(), method()] }, { verificationMethod: [method(), method({ id: '#k' })] }, { keyAgreement: [method()] }, { capabilityInvocation: 'x' },
    { verificationMethod: [method({ type: undefined })] }, { verificationMethod: [method({ controller: 1 })] }, { authentication: [DID] }, { authentication: ['k'] }, { authentication: ['#k k'] },
  ]) await assert.rejects(of(more), { code: 'did_document_invalid' });
});

test('a JWK that says it is for something else than signatures of its kind, or has private parts, is none', () => {
  const x = Buffer.from(signingKeys(listing(method())).get(`${DID}#k`)?.bytes ?? []).toString('base64url');
  const of = (/** @type {any} */ more) => keyFor(listing({ ...method({ type: 'JsonWebKey', publicKeyJwk: { kty: 'OKP', crv: 'Ed25519', x, ...more } }), publicKeyMultibase: undefined }), `${DID}#k`, 'authentication');
  for (const good of [{}, { use: 'sig', alg: 'EdDSA', key_ops: ['verify'] }, { alg: 'Ed25519' }]) of(good);
  for (const more of [{ type: 'JsonWebKey2018' }, { publicKeyJwk: null }, { publicKeyJwk: 'x' }]) {
    const one = { ...method({ type: 'JsonWebKey2020', publicKeyJwk: { kty: 'OKP', crv: 'Ed25519', x }, ...more }), publicKeyMultibase: undefined };
    assert.throws(() => keyFor(listing(one), `${DID}#k`, 'authentication'), { code: 'did_document_invalid' });
  }
  for (const wrong of [{ use: 'enc' }, { use: null }, { alg: 'ES256' }, { alg: null }, { key_ops: ['sign'] }, { key_ops: 'verify' }, { key_ops: null }, { k: 'AA' }, { d: null }, { kty: ['OKP'] }]) assert.throws(() => of(wrong), { code: 'did_document_invalid' });
});

test('a JWK of a curve has both coordinates, of its length and as they are spelled', () => {
  const point = p256.Point.BASE.toBytes(false);
  const text = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString('base64url');
  const [x, y] = [text(point.subarray(1, 33)), text(point.subarray(33))];
  const of = (/** @type {any} */ more) => keyFor(listing({ ...method({ type: 'JsonWebKey', publicKeyJwk: { kty: 'EC', crv: 'P-256', x, y, ...more } }), publicKeyMultibase: undefined }), `${DID}#k`, 'authentication');
  assert.deepEqual([of({}).kind, Buffer.from(of({}).bytes)], ['P-256', Buffer.from(p256.Point.BASE.toBytes(true))]);
  const shifted = { x: text(point.subarray(1, 32)), y: text(point.subarray(32)) };
  for (const wrong of [{ kty: 'OKP' }, { kty: 'RSA' }, { crv: 'secp256k1' }, { crv: 'P-384' }, shifted, { x: `${x}=` }, { x: undefined }, { y: x }]) {
    assert.throws(() => of(wrong), { code: 'did_document_invalid' });
  }
});

test('a key with private parts, in two encodings or of another form is none', () => {
  for (const one of [method({ secretKeyMultibase: 'z3u2' }), method({ publicKeyHex: '00' }), method({ type: 'multikey' }), method({ type: 'JsonWebKey' }), method({ publicKeyMultibase: undefined })]) {
    assert.throws(() => keyFor(listing(one), `${DID}#k`, 'authentication'), { code: 'did_document_invalid' });
  }
  const ofKind = (/** @type {import('../src/keys.js').Kind} */ kind) => keyFor(listing(method({ type: 'Ed25519VerificationKey2020', publicKeyMultibase: publicMultikey({ kind, secret: Buffer.alloc(32, 1) }) })), `${DID}#k`, 'authentication');
  assert.equal(ofKind('Ed25519').kind, 'Ed25519');
  assert.throws(() => ofKind('P-256'), { code: 'did_document_invalid' });
  const two = { ...listing(method()), verificationMethod: [method(), method({ publicKeyMultibase: other })] };
  assert.throws(() => keyFor(two, `${DID}#k`, 'authentication'), { code: 'key_not_authorized' });
});

test('what was stated by a key that is over is stated by nobody', () => {
  const statement = { payloadType: 'application/vnd.in-toto+json', payload: '', signatures: [{ keyid: `${DID}#k`, sig: 'AAAA' }] };
  const of = { contract: '', engagement: '', provider: DID, document: listing(method({ expires: '2026-06-01T00:00:00Z' })), methods: [`${DID}#k`], terms: {}, inputs: [], now: NOW + 1 };
  assert.throws(() => verifyDelivery({ artifacts: [], statements: [statement] }, of, new Map()), { code: 'proof_invalid' });
});
