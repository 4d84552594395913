/** W3C Bitstring Status Lists (page 02, section 2.12). */
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { check, HireError } from './errors.js';
import { readCredential, verifyIssued } from './credential.js';
import { fetchBytes } from './did.js';
import { readJson } from './json.js';
import { checkContexts } from './proofs.js';

const DOCUMENT = 1024 * 1024;
const LEAST = 131072 / 8;
const MOST = 4 * 1024 * 1024;
const ENTRIES = 8;
const TRAILER = 8;
const GZIP = [0x1f, 0x8b, 0x08];

/** @typedef {(url: string, limit: number, accept: string) => Promise<Uint8Array>} Fetch */
/** @typedef {{local: boolean, resolve: import('./did.js').Resolver['resolve']}} Issuers */

/**
 * Refuses a credential that its issuer has withdrawn, or of which that cannot be said.
 * @param {any} credential that verified @param {Issuers} resolver @param {number} now @param {{fetch?: Fetch, lists?: any[]}} [options] `lists` gets those that were looked at
 */
export async function checkStatus(credential, resolver, now, { fetch = fetchBytes, lists = [] } = {}) {
  if (credential.credentialStatus === undefined) return;
  const entries = [credential.credentialStatus].flat();
  check(entries.length <= ENTRIES, 'status_invalid', 'entries');
  entries.forEach(checkEntry);
  const found = [];
  for (const entry of entries) found.push(await fetchList(entry.statusListCredential, issuerOf(credential), resolver, now, fetch));
  lists.push(...found);
  // all of them were there before one is believed
  const set = entries.filter((entry, place) => speaksAgainst(entry, found[place]));
  check(set.length === 0, 'revoked', set[0]?.statusPurpose);
}

/** Whether a type is among those of a node. @param {any} node @param {string} type */
const isA = (node, type) => [node?.type].flat().includes(type);
/** @param {any} credential @returns {string} */
const issuerOf = ({ issuer }) => issuer.id ?? issuer;

/** @param {any} entry */
function checkEntry(entry) {
  const known = isA(entry, 'BitstringStatusListEntry') && ['revocation', 'suspension'].includes(entry.statusPurpose) && (!('statusSize' in entry) || entry.statusSize === 1);
  check(known, 'status_unavailable', 'entry');
  const { statusListIndex: place, statusListCredential: url } = entry;
  check(typeof place === 'string' && /^(?:0|[1-9][0-9]{0,8})$/.test(place) && typeof url === 'string' && /^https?:\/\/[!-~]{1,2000}$/.test(url), 'status_invalid', 'place');
}

/** What a list is for, and its bits. @param {any} list whose proof holds @param {string} url where it was fetched */
function readList(list, url) {
  const [subject, ...more] = [list.credentialSubject].flat();
  check(isA(list, 'BitstringStatusListCredential') && isA(subject, 'BitstringStatusList') && more.length === 0 && !('credentialStatus' in list), 'status_invalid', 'no list');
  const { statusPurpose, ttl = 0, encodedList } = subject;
  const purposes = [statusPurpose].flat();
  check(list.id === url && purposes.length > 0 && purposes.every((one) => typeof one === 'string' && one !== ''), 'status_invalid', 'place or purpose');
  check(Number.isInteger(ttl) && ttl >= 0, 'status_invalid', 'ttl');
  return { purposes, bits: inflate(encodedList) };
}

/** @param {any} entry @param {any} list */
function speaksAgainst({ statusListIndex, statusListCredential, statusPurpose }, list) {
  const { purposes, bits } = readList(list, statusListCredential);
  const place = Number(statusListIndex);
  check(purposes.includes(statusPurpose) && place < bits.length * 8, 'status_invalid', 'no such place');
  return (bits[place >> 3] & (0x80 >> (place & 7))) !== 0;
}

/** The list of an issuer, once it is that. @param {string} url @param {string} issuer @param {Issuers} resolver @param {number} now @param {Fetch} fetch */
async function fetchList(url, issuer, resolver, now, fetch) {
  const away = (/** @type {any} */ error) => { throw new HireError('status_unavailable', `${url}: ${error.message}`); };
  const bytes = await fetchFrom(url, resolver, fetch).catch(away);
  let list;
  let said;
  try {
    list = /** @type {any} */ (readJson(bytes, { limit: DOCUMENT, foreign: true }));
    said = readCredential(list, checkContexts, DOCUMENT);
  } catch (error) { throw new HireError('status_invalid', `${url}: ${/** @type {any} */ (error).message}`); }
  check(said.issuer === issuer, 'status_unavailable', 'issuer of the list');
  await verifyIssued(list, said, resolver, now).catch(away);
  return list;
}

/** @param {string} text @param {Issuers} resolver @param {Fetch} fetch */
async function fetchFrom(text, resolver, fetch) {
  check(URL.canParse(text), 'status_unavailable', text);
  const url = new URL(text);
  const local = resolver.local && url.protocol === 'http:' && url.hostname === 'localhost';
  check(local || (url.protocol === 'https:' && !/^[0-9.]+$|^\[/.test(url.hostname)), 'status_unavailable', text);
  return fetch(text, DOCUMENT, 'application/vc');
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
    if (bits.length < LEAST || GZIP.every((byte, at) => bits[at] === byte)) throw new Error('length');
    return bits;
  } catch (error) { throw new HireError('status_invalid', String(error)); }
}
