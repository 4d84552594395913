/** W3C Bitstring Status Lists (page 02, section 2.12). */
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { check, HireError } from './errors.js';
import { readCredential, verifyIssued } from './credential.js';
import { fetchBytes } from './did.js';
import { moment } from './encoding.js';
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

/** Seconds for which a list is kept that does not say how long, and most for any (HIRE-STA-05). */
const [USUAL_TTL, MOST_TTL] = [300, 86400];
/** Lists that are kept: who is trusted to issue may name any number. */
const KEPT = 32;

/** @typedef {{list: any, since: number, made: number, ends: number, ttl: number, purposes: string[], bits: Buffer}} Kept a list, when its fetch began, and what it says of itself; times in seconds */

/** Lists that were fetched, for as long as each allows. */
export class Lists {
  /** @param {() => number} [passed] seconds that only grow */
  constructor(passed = () => performance.now() / 1000) {
    this.passed = passed;
    /** @type {Map<string, Kept>} by issuer and URL */
    this.kept = new Map();
  }

  /** One that was fetched at most `age` seconds ago and is in its own time. @param {string} key @param {number} age @param {number} now @returns {Kept | undefined} */
  held(key, age, now) {
    const kept = this.kept.get(key);
    return kept && this.passed() - kept.since < Math.min(age, kept.ttl) && now <= kept.ends ? kept : undefined;
  }

  /**
   * Keeps what was fetched. One that was made before the one that is known, in which something is clear that was set there, is none: who stands before its
   * place could serve the one from before a revocation. @param {string} key @param {Kept} found @returns {Kept}
   */
  keep(key, found) {
    const known = this.kept.get(key);
    if (known && known.since > found.since && found.made < known.made) return known; // a fetch that began later overtook this one
    check(!known || !wentBack(known, found), 'status_unavailable', 'a list of before one that was seen');
    this.kept.delete(key); // the newest stands last
    this.kept.set(key, found);
    if (this.kept.size > KEPT) this.kept.delete(/** @type {string} */ (this.kept.keys().next().value));
    return found;
  }
}

/** Of the same second the one that revokes more is the later one; what is clear in a list with suspensions may have been lifted. @param {Kept} known @param {Kept} found */
function wentBack(known, found) {
  const newer = found.made > known.made || (found.made === known.made && found.purposes.some((one) => one !== 'revocation'));
  return !newer && known.bits.some((byte, at) => (byte & ~(found.bits[at] ?? 0)) !== 0);
}

/**
 * Refuses a credential that its issuer has withdrawn, or of which that cannot be said.
 * @param {any} credential that verified @param {Issuers} resolver @param {number} now
 * @param {{fetch?: Fetch, lists?: any[], kept?: Lists, age?: number}} [options] `lists` gets those that were looked at; one that is `kept` may be `age` seconds old
 */
export async function checkStatus(credential, resolver, now, { fetch = fetchBytes, lists = [], kept = new Lists(), age = 0 } = {}) {
  if (credential.credentialStatus === undefined) return;
  const entries = [credential.credentialStatus].flat();
  check(entries.length <= ENTRIES, 'status_invalid', 'entries');
  entries.forEach(checkEntry);
  /** @type {Kept[]} */ const found = [];
  for (const { statusListCredential: url } of entries) {
    const key = `${issuerOf(credential)} ${url}`;
    found.push(kept.held(key, age, now) ?? kept.keep(key, await fetchList(url, issuerOf(credential), { resolver, now, fetch, since: kept.passed() })));
  }
  lists.push(...found.map(({ list }) => list));
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

/** What a list is for, its bits, and for how long it may be kept. @param {any} list whose proof holds @param {string} url where it was fetched */
function readList(list, url) {
  const [subject, ...more] = [list.credentialSubject].flat();
  check(isA(list, 'BitstringStatusListCredential') && isA(subject, 'BitstringStatusList') && more.length === 0 && !('credentialStatus' in list), 'status_invalid', 'no list');
  const { statusPurpose, ttl = USUAL_TTL * 1000, encodedList } = subject;
  const purposes = [statusPurpose].flat();
  check(list.id === url && purposes.length > 0 && purposes.every((one) => typeof one === 'string' && one !== ''), 'status_invalid', 'place or purpose');
  check(Number.isInteger(ttl) && ttl >= 0, 'status_invalid', 'ttl');
  return { purposes, bits: inflate(encodedList), ttl: Math.min(ttl / 1000, MOST_TTL) };
}

/** @param {any} entry @param {Kept} list */
function speaksAgainst({ statusListIndex, statusPurpose }, { purposes, bits }) {
  const place = Number(statusListIndex);
  check(purposes.includes(statusPurpose) && place < bits.length * 8, 'status_invalid', 'no such place');
  return (bits[place >> 3] & (0x80 >> (place & 7))) !== 0;
}

/** The list of an issuer, once it is that. @param {string} url @param {string} issuer @param {{resolver: Issuers, now: number, fetch: Fetch, since: number}} by @returns {Promise<Kept>} */
async function fetchList(url, issuer, { resolver, now, fetch, since }) {
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
  return { list, since, made: Math.max(said.begins ?? 0, madeAt(list)), ends: said.ends ?? Infinity, ...readList(list, url) };
}

/** When its proof was made, by its issuer's word; 0 if that says nothing of it. @param {any} list */
function madeAt({ proof }) {
  const [{ created }] = [proof].flat();
  return created === undefined ? 0 : moment(created);
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
