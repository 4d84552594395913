/** W3C Bitstring Status Lists (page 02, section 2.12). */
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { check, HireError } from './errors.js';
import { moment } from './encoding.js';
import { fetchBytes } from './did.js';
import { readJson } from './json.js';
import { checkContexts, checkMoments, onlyProof, verifyProof } from './proofs.js';

const DOCUMENT = 1024 * 1024;
const LEAST = 131072 / 8;
const MOST = 4 * 1024 * 1024;
const ENTRIES = 8;
const TRAILER = 8;

/** @typedef {(url: URL, limit: number, accept: string) => Promise<Uint8Array>} Fetch */
/** @typedef {{local: boolean, resolve: import('./did.js').Resolver['resolve']}} Issuers */

/**
 * Refuses a credential that its issuer has withdrawn, or of which that cannot be said.
 * @param {any} credential @param {Issuers} resolver @param {number} now @param {{fetch?: Fetch, lists?: any[]}} [options] `lists` gets those that were looked at
 */
export async function checkStatus(credential, resolver, now, { fetch = fetchBytes, lists = [] } = {}) {
  if (credential.credentialStatus === undefined) return;
  const entries = [credential.credentialStatus].flat();
  check(entries.length > 0 && entries.length <= ENTRIES, 'status_unavailable', 'entries');
  for (const entry of entries) {
    const known = isA(entry, 'BitstringStatusListEntry') && ['revocation', 'suspension'].includes(entry.statusPurpose) && [undefined, 1].includes(entry.statusSize);
    check(known, 'status_unavailable', 'entry');
    check(typeof entry.statusListIndex === 'string' && /^(?:0|[1-9][0-9]{0,8})$/.test(entry.statusListIndex), 'status_invalid', 'place');
    const list = await fetchList(entry.statusListCredential, credential, resolver, now, fetch);
    checkEntry(entry, list);
    lists.push(list);
    check(!isSet(entry, list), 'revoked', entry.statusPurpose);
  }
}

/** Whether a type is among those of a node. @param {any} node @param {string} type */
const isA = (node, type) => [node?.type].flat().includes(type);

/** @param {any} list */
const subjectsOf = ({ credentialSubject }) => [credentialSubject].flat();

/** @param {any} entry @param {any} list */
function checkEntry(entry, list) {
  try { checkContexts(list); } catch { throw new HireError('status_invalid', 'contexts'); }
  const [subject, ...more] = subjectsOf(list);
  const typed = ['VerifiableCredential', 'BitstringStatusListCredential'].every((type) => isA(list, type)) && isA(subject, 'BitstringStatusList');
  check(typed && more.length === 0 && list.credentialStatus === undefined, 'status_invalid', 'no list');
  check(list.id === entry.statusListCredential && [subject.statusPurpose].flat().includes(entry.statusPurpose), 'status_invalid', 'list');
}

/** @param {any} entry @param {any} list */
function isSet({ statusListIndex }, list) {
  const [{ encodedList }] = subjectsOf(list);
  const bits = inflate(encodedList);
  const place = Number(statusListIndex);
  check(place < bits.length * 8, 'status_invalid', 'no such place');
  return (bits[place >> 3] & (0x80 >> (place & 7))) !== 0;
}

/** @param {string} url @param {any} credential @param {Issuers} resolver @param {number} now @param {Fetch} fetch */
async function fetchList(url, credential, resolver, now, fetch) {
  try {
    const { protocol, hostname } = new URL(url);
    const local = resolver.local && protocol === 'http:' && hostname === 'localhost';
    check(local || (protocol === 'https:' && !/^[0-9.]+$|^\[/.test(hostname)), 'status_unavailable', url);
    const list = /** @type {any} */ (readJson(await fetch(new URL(url), DOCUMENT, 'application/vc'), { limit: DOCUMENT, depth: 64, foreign: true }));
    const issuer = typeof list.issuer === 'string' ? list.issuer : list.issuer?.id;
    check(issuer === (credential.issuer?.id ?? credential.issuer), 'status_unavailable', 'issuer of the list');
    const { proof: proofs, ...unsigned } = list;
    const proof = onlyProof(proofs);
    await verifyProof(unsigned, proof, { did: await resolver.resolve(issuer), purpose: 'assertionMethod', now, lowS: false });
    checkMoments(proof, now);
    const inTime = (list.validFrom === undefined || moment(list.validFrom) <= now) && (list.validUntil === undefined || now <= moment(list.validUntil));
    check(inTime, 'status_unavailable', 'validity of the list');
    return list;
  } catch (error) {
    throw new HireError('status_unavailable', `${url}: ${/** @type {any} */ (error).message}`);
  }
}

/** Length of the header of a gzip member (RFC 1952, section 2.3). @param {Buffer} packed */
function headerOf(packed) {
  const flags = packed[3] ?? 0;
  const past = (/** @type {number} */ at) => packed.indexOf(0, at) + 1 || packed.length;
  let at = 10;
  if (flags & 4) at += 2 + packed.readUInt16LE(at);
  if (flags & 8) at = past(at);
  if (flags & 16) at = past(at);
  return flags & 2 ? at + 2 : at;
}

/** @param {any} text @returns {Buffer} */
function inflate(text) {
  try {
    const packed = Buffer.from(text.slice(1), 'base64url');
    if (text[0] !== 'u' || packed.toString('base64url') !== text.slice(1)) throw new Error('spelling');
    const bits = gunzipSync(packed, { maxOutputLength: MOST });
    // What follows the first member is read as well: only the deflate stream itself says where that ends.
    const { engine } = /** @type {any} */ (inflateRawSync(packed.subarray(headerOf(packed)), { maxOutputLength: MOST, info: true }));
    if (headerOf(packed) + engine.bytesWritten + TRAILER !== packed.length) throw new Error('more than one member');
    if (bits.length < LEAST || (bits[0] === 0x1f && bits[1] === 0x8b)) throw new Error('length');
    return bits;
  } catch (error) { throw new HireError('status_invalid', String(error)); }
}
