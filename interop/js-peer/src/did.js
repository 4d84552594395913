/** DID documents: `did:key` made from the identifier, `did:web` fetched (page 02, sections 2.1 to 2.5). */
import { lookup } from 'node:dns/promises';
import https from 'node:https';
import http from 'node:http';
import { BlockList, isIP } from 'node:net';
import { p256, p384 } from '@noble/curves/nist.js';
import { isInstant, seconds, toBase58 } from './encoding.js';
import { HireError, check } from './errors.js';
import { readJson } from './json.js';
import { multikeyOf, readKey } from './keys.js';
import { specJson } from './spec.js';

/** @typedef {{id: string, verificationMethod?: any[], authentication?: any[], assertionMethod?: any[], service?: any[]}} Document */

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const PORT = /^[1-9][0-9]{0,4}$/;
const SEGMENT = /^(?!\.+$)[A-Za-z0-9._-]{1,255}$/;
const NAME = new RegExp(specJson('schemas/Offer.json').$defs.Proof.properties.verificationMethod.pattern, 'u');
const RELATIONSHIPS = ['authentication', 'assertionMethod', 'keyAgreement', 'capabilityInvocation', 'capabilityDelegation'];
const BYTES = 64 * 1024;
const SECONDS = 5;

const forbidden = new BlockList();
for (const [net, bits] of /** @type {[string, number][]} */ ([
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12],
  ['192.0.0.0', 24], ['192.0.2.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['198.51.100.0', 24],
  ['203.0.113.0', 24], ['224.0.0.0', 3],
])) forbidden.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of /** @type {[string, number][]} */ ([
  ['::', 96], ['::ffff:0:0', 96], ['64:ff9b::', 96], ['64:ff9b:1::', 48], ['100::', 64], ['2001::', 32], ['2001:db8::', 32], ['2002::', 16],
  ['3fff::', 20], ['fc00::', 7], ['fe80::', 10], ['fec0::', 10], ['ff00::', 8],
])) forbidden.addSubnet(net, bits, 'ipv6');

/** @param {string} did @returns {Document} */
function ofDidKey(did) {
  const name = did.slice('did:key:'.length);
  readKey(name);
  const id = `${did}#${name}`;
  return { id: did, verificationMethod: [{ id, type: 'Multikey', controller: did, publicKeyMultibase: name }], authentication: [id], assertionMethod: [id] };
}

/** That a DID is spelled as one that can be resolved here; nothing is fetched. @param {string} did @param {boolean} local */
export function checkDid(did, local) {
  if (did.startsWith('did:key:')) return void ofDidKey(did);
  check(did.startsWith('did:web:'), 'did_unresolvable', 'another method');
  webUrl(did, local);
}

/** @param {string} did a `did:web` @param {boolean} local @returns {string} where its document is */
export function webUrl(did, local) {
  const [authority, ...segments] = did.slice('did:web:'.length).split(':');
  const [host, port] = authority.split(/%3A(.*)/s);
  const labels = host.split('.');
  // A last label that is a number makes an address of the whole host, with a dot behind it as well.
  const last = labels.at(-1) || labels.at(-2) || '';
  const isLocal = host === 'localhost';
  check(!/%5B/i.test(host) && !/^(?:[0-9]+|0x.*)$/i.test(last), 'did_forbidden_address', 'an address');
  check(isLocal || last.toLowerCase() !== 'localhost', 'did_forbidden_address', 'localhost');
  check(host.length <= 253 && labels.every((one) => LABEL.test(one)), 'did_document_invalid', 'spelling of a host');
  check(isLocal || labels.length > 1, 'did_forbidden_address', 'a name of this network');
  check(port === undefined || (PORT.test(port) && Number(port) < 65536), 'did_document_invalid', 'spelling of a port');
  check(segments.every((one) => SEGMENT.test(one)), 'did_document_invalid', 'spelling of a path');
  check(!isLocal || (local && port !== undefined), 'did_forbidden_address', 'localhost');
  return `${isLocal ? 'http' : 'https'}://${host}${port ? `:${port}` : ''}/${segments.join('/') || '.well-known'}/did.json`;
}

const SPELLED = /^https?:\/\/(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?(\/[^?#]*)?(?:\?([^#]*))?(?:#.*)?$/i;

/** A URL whose authority is a host and perhaps a port, and its path and query as they are written. @param {string} text @returns {{url: URL, path: string}} */
export function asWritten(text) {
  const [spelled, path = '/', query] = SPELLED.exec(text) ?? [];
  check(spelled !== undefined && URL.canParse(text), 'did_unresolvable', 'no host of a URL'); // as with a label that begins as punycode and is none
  return { url: new URL(text), path: query ? `${path}?${query}` : path };
}

/** @param {string} text of a URL @param {number} [limit] @param {string} [accept] @returns {Promise<Uint8Array>} in 5 seconds, without redirects */
export async function fetchBytes(text, limit = BYTES, accept = 'application/did+json, application/json') {
  const { url, path } = asWritten(text);
  const loopback = url.hostname === 'localhost';
  const options = {
    path, signal: AbortSignal.timeout(SECONDS * 1000), headers: { accept, 'accept-encoding': 'identity' },
    lookup: loopback ? undefined : safeLookup, agent: false,
  };
  return new Promise((resolve, reject) => {
    const failed = (/** @type {any} */ error) => reject(error instanceof HireError ? error : new HireError('did_unresolvable', String(error?.message ?? error)));
    const request = (loopback ? http : https).get(url, options, (answer) => {
      if (answer.statusCode !== 200 || answer.headers['content-encoding']) return failed(`status ${answer.statusCode}`), answer.destroy();
      /** @type {Buffer[]} */ const parts = [];
      let size = 0;
      answer.on('data', (part) => {
        size += part.length;
        if (size > limit) return failed('too long'), answer.destroy();
        parts.push(part);
      });
      answer.on('end', () => resolve(Buffer.concat(parts))).on('error', failed);
    });
    request.on('error', failed);
  });
}

/** That a host that is written as an address is one of the open network: nothing is looked up for it. @param {string} hostname of a URL */
export function checkAddress(hostname) {
  const address = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  check(family === 0 || !forbidden.check(address, family === 6 ? 'ipv6' : 'ipv4'), 'did_forbidden_address', hostname);
}

/** Looks a name up and refuses it if one of its addresses is not one of the open network. @type {any} */
export function safeLookup(/** @type {string} */ host, /** @type {any} */ options, /** @type {any} */ done) {
  lookup(host, { all: true }).then((found) => {
    const bad = found.find(({ address, family }) => forbidden.check(address, family === 6 ? 'ipv6' : 'ipv4'));
    if (bad || found.length === 0) return done(new HireError('did_forbidden_address', host));
    return options.all ? done(null, found) : done(null, found[0].address, found[0].family);
  }, done);
}

/** The document, if it is that of the DID and its methods and services can be read. @param {any} document @param {string} did @returns {Document} */
function checkForm(document, did) {
  check(document.id === did, 'did_document_invalid', 'another id');
  for (const name of ['verificationMethod', 'service', ...RELATIONSHIPS]) {
    const read = (/** @type {any} */ one) => (typeof one === 'object' ? one !== null && !Array.isArray(one) : RELATIONSHIPS.includes(name) && typeof one === 'string');
    check(document[name] === undefined || (Array.isArray(document[name]) && document[name].every(read)), 'did_document_invalid', name);
  }
  const listed = RELATIONSHIPS.flatMap((name) => document[name] ?? []);
  const methods = [...(document.verificationMethod ?? []), ...listed.filter((one) => typeof one === 'object')];
  check(methods.every((one) => [one.id, one.type, one.controller].every((text) => typeof text === 'string')), 'did_document_invalid', 'a method');
  const whole = (/** @type {string} */ name) => (name.startsWith('#') ? did + name : name);
  const names = methods.map((one) => whole(one.id));
  const all = [...names, ...listed.filter((one) => typeof one === 'string').map(whole)];
  check(all.every((name) => name.length <= 2048 && name.includes('#') && NAME.test(name)), 'did_document_invalid', 'the name of a method');
  check(new Set(names).size === names.length, 'did_document_invalid', 'two methods of one name');
  return document;
}

/** Resolves and keeps documents for as long as page 02, section 2.5 lets them be used. */
export class Resolver {
  /** @param {{local?: boolean, documents?: Record<string, Document>, now?: () => number}} [options] */
  constructor({ local = false, documents = {}, now = () => Date.now() / 1000 } = {}) {
    this.local = local;
    this.documents = documents;
    this.now = now;
    /** @type {Map<string, {document: Document, at: number, passed: number}>} when each was asked for, by our clock and in seconds of the process */
    this.kept = new Map();
  }

  /** The same, which tells what it was asked for. @param {Document[]} noted where each document goes, once @returns {{local: boolean, resolve: Resolver['resolve']}} */
  noting(noted) {
    return {
      local: this.local,
      resolve: async (did, options) => {
        const document = await this.resolve(did, options);
        if (!noted.some((one) => JSON.stringify(one) === JSON.stringify(document))) noted.push(document);
        return document;
      },
    };
  }

  /**
   * @param {string} did
   * @param {{fresh?: boolean, proving?: boolean, method?: string, relationship?: Relationship}} [options] `fresh`: at most 5 minutes old, `proving`: 10 seconds,
   *   else one hour. Where `method` is not listed, its key may be a new one, and the document is fetched again, though not more often than every 10 seconds
   * @returns {Promise<Document>}
   */
  async resolve(did, { fresh = false, proving = false, method, relationship = 'authentication' } = {}) {
    if (Object.hasOwn(this.documents, did)) {
      if (did.startsWith('did:web:')) webUrl(did, true);
      return checkForm(this.documents[did], did);
    }
    if (did.startsWith('did:key:')) return ofDidKey(did);
    check(/^did:[a-z0-9]+:./.test(did), 'did_document_invalid', 'no DID');
    check(did.startsWith('did:web:'), 'did_unresolvable', 'another method');
    const kept = this.kept.get(did);
    const missing = method !== undefined && !(kept && listed(kept.document, relationship).has(method));
    const [at, passed] = [this.now(), performance.now() / 1000];
    // By either clock: that of the process stands still while the machine sleeps, ours where it was set back.
    if (kept && Math.max(at - kept.at, passed - kept.passed) <= (missing || proving ? 10 : fresh ? 300 : 3600)) return kept.document;
    const bytes = await fetchBytes(webUrl(did, this.local));
    let document;
    try { document = /** @type {any} */ (readJson(bytes, { limit: BYTES, foreign: true })); } catch (error) { throw new HireError('did_document_invalid', String(error)); }
    checkForm(document, did);
    const later = this.kept.get(did);
    if (later && later.passed > passed) return later.document; // it was asked for later, and overtook this one
    if (this.kept.size > 256) this.kept.clear();
    this.kept.set(did, { document, at, passed });
    return document;
  }
}

/** @typedef {'authentication' | 'assertionMethod'} Relationship */

/** The methods of its own that a document lists under a relationship, by their whole names. @param {Document} document @param {Relationship} relationship @returns {Map<string, any>} */
function listed(document, relationship) {
  const whole = (/** @type {any} */ name) => (typeof name === 'string' && name.startsWith('#') ? document.id + name : name);
  // One that stands in another relationship is a method of the document too, and this one may name it.
  const methods = [document.verificationMethod, ...RELATIONSHIPS.map((name) => document[/** @type {Relationship} */ (name)])].flat().filter((one) => typeof one === 'object');
  const names = (document[relationship] ?? []).map((one) => whole(typeof one === 'string' ? one : one?.id));
  const found = methods.filter((one) => names.includes(whole(one?.id))).map((one) => /** @type {[string, any]} */ ([whole(one.id), one]));
  return new Map(found.filter(([name, one]) => one.controller === document.id && String(name).split('#')[0] === document.id && found.filter(([other]) => other === name).length === 1));
}

/** @param {any} method @param {number | undefined} now */
function isOver({ revoked, expires }, now) {
  if (revoked !== undefined) return true;
  if (expires === undefined) return false;
  check(isInstant(expires), 'did_document_invalid', 'expires');
  return now === undefined || now > seconds(expires);
}

/**
 * The key of a method that a document lists under a relationship.
 * @param {Document} document @param {string} method @param {Relationship} relationship @param {number} [now] without it a method that states its end is refused
 */
export function keyFor(document, method, relationship, now) {
  const found = listed(document, relationship).get(method);
  check(found !== undefined, 'key_not_authorized', `no method of its own, listed under ${relationship}`);
  check(!isOver(found, now), 'key_not_authorized', 'revoked or expired');
  return keyOfMethod(found);
}

const ENCODINGS = ['publicKeyMultibase', 'publicKeyJwk', 'publicKeyBase58', 'publicKeyPem', 'publicKeyHex'];
const PRIVATE = ['secretKeyMultibase', 'secretKeyJwk', 'privateKeyMultibase', 'privateKeyJwk', 'privateKeyBase58'];

/** @param {any} method @returns {import('./keys.js').PublicKey} */
function keyOfMethod(method) {
  check(PRIVATE.every((name) => method[name] === undefined), 'did_document_invalid', 'private parts');
  const given = ENCODINGS.filter((name) => method[name] !== undefined);
  check(given.length === 1, 'did_document_invalid', 'one encoding of a key');
  const { type, publicKeyMultibase: text, publicKeyJwk: jwk } = method;
  if (typeof text === 'string' && type === 'Multikey') return readKey(text);
  if (typeof text === 'string' && type === 'Ed25519VerificationKey2020') {
    const key = readKey(text);
    check(key.kind === 'Ed25519', 'did_document_invalid', 'another kind of key');
    return key;
  }
  check(['JsonWebKey', 'JsonWebKey2020'].includes(type) && jwk !== null && typeof jwk === 'object', 'did_document_invalid', 'another form of a key');
  return keyOfJwk(jwk);
}

const JWK_PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
const JWK_ALGORITHMS = new Map([['Ed25519', ['Ed25519', 'EdDSA']], ['P-256', ['ES256']], ['P-384', ['ES384']]]);

/** @param {any} jwk @returns {import('./keys.js').PublicKey} */
function keyOfJwk(jwk) {
  const { kty, crv, x, y, use = 'sig', alg, key_ops: operations = ['verify'] } = jwk;
  check(JWK_PRIVATE.every((name) => jwk[name] === undefined), 'did_document_invalid', 'private parts');
  const verifies = Array.isArray(operations) && operations.includes('verify');
  check(use === 'sig' && verifies && (alg === undefined || Boolean(JWK_ALGORITHMS.get(crv)?.includes(alg))), 'did_document_invalid', 'a key for something else');
  const bytes = (/** @type {any} */ text) => {
    const found = Buffer.from(String(text), 'base64url');
    check(found.toString('base64url') === text, 'did_document_invalid', 'spelling of a key');
    return found;
  };
  if (kty === 'OKP' && crv === 'Ed25519') return readKey(toBase58(Buffer.concat([Buffer.from([0xed, 0x01]), bytes(x)])));
  check(kty === 'EC' && (crv === 'P-256' || crv === 'P-384'), 'did_document_invalid', 'another kind of key');
  const [curve, size] = crv === 'P-256' ? [p256, 32] : [p384, 48];
  const coordinates = [x, y].map(bytes);
  check(coordinates.every((one) => one.length === size), 'did_document_invalid', 'length of a coordinate');
  try { return { kind: crv, bytes: curve.Point.fromBytes(Buffer.concat([Buffer.from([4]), ...coordinates])).toBytes(true) }; } catch { throw new HireError('did_document_invalid', 'not on the curve'); }
}

/** The keys of a kind that is used here which a document lists under a relationship, by name. @param {Document} document @param {Relationship} relationship @param {(method: any) => boolean} counts */
function keysOf(document, relationship, counts) {
  return new Map([...listed(document, relationship)].flatMap(([name, method]) => {
    try { return counts(method) ? [/** @type {[string, import('./keys.js').PublicKey]} */ ([name, keyOfMethod(method)])] : []; } catch { return []; }
  }));
}

/** Keys that make claims now. @param {Document} document @param {number} now @param {string[]} [methods] those that count @returns {import('./keys.js').PublicKey[]} */
export const assertionKeys = (document, now, methods) => [...keysOf(document, 'assertionMethod', (method) => !isOver(method, now))]
  .filter(([name]) => !methods || methods.includes(name)).map(([, key]) => key);

/** Names under which a document lists methods. @param {Document} document @param {Relationship} relationship @returns {string[]} */
export const methodsOf = (document, relationship) => [...listed(document, relationship).keys()];

/** Keys that are good now, as Multikeys by name. @param {Document} document @param {Relationship} relationship @param {number} now @returns {Record<string, string>} */
export const multikeys = (document, relationship, now) => Object.fromEntries([...keysOf(document, relationship, (method) => !isOver(method, now))].map(([name, key]) => [name, multikeyOf(key)]));

/** The keys that a document lists for signing, whether they are good any more or not, by name. @param {Document} document @returns {Map<string, import('./keys.js').PublicKey>} */
export const signingKeys = (document) => new Map([...keysOf(document, 'authentication', () => true), ...keysOf(document, 'assertionMethod', () => true)]);

/** @param {import('./keys.js').PublicKey} a @param {import('./keys.js').PublicKey} b */
export const sameKey = (a, b) => a.kind === b.kind && Buffer.from(a.bytes).equals(Buffer.from(b.bytes));

/** No name of a key has become that of another one (HIRE-KEY-08). @param {Document} document @param {Document[]} before */
export function checkNames(document, before) {
  const now = signingKeys(document);
  for (const [name, key] of before.flatMap((one) => [...signingKeys(one)])) {
    check(sameKey(now.get(name) ?? key, key), 'key_not_authorized', 'another key under this name', '/proof/verificationMethod');
  }
}

/** Whether both list the same keys under the same names for signing. @param {Document} a @param {Document} b */
export function sameKeys(a, b) {
  const [mine, theirs] = [signingKeys(a), signingKeys(b)];
  return mine.size === theirs.size && [...mine].every(([name, key]) => theirs.has(name) && sameKey(/** @type {import('./keys.js').PublicKey} */ (theirs.get(name)), key));
}

/** @param {Document} document @returns {string | undefined} where its peer is dialled: the first place that is text */
export function endpoint(document) {
  const places = (document.service ?? []).filter((one) => [one.type].flat().includes('HireService')).flatMap((one) => one.serviceEndpoint);
  return places.find((one) => typeof one === 'string')?.replace(/^http/, 'ws');
}
