/** Texts with one spelling each: canonical JSON, digests, nonces, instants, durations, amounts (page 04, section 4.1). */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { base58 } from '@scure/base';
import canonicalize from 'canonicalize';
import { HireError } from './errors.js';
import { specJson } from './spec.js';

export const CONTEXT = 'https://w3id.org/hire/v1';
export const VERSIONS = ['1.0'];

/** @param {any} value */
export const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);
/** @param {unknown} value @returns {string} RFC 8785 */
export const jcs = (value) => /** @type {string} */ (canonicalize(value));
/** @param {string | Uint8Array} bytes @param {string} [algorithm] */
export const hash = (bytes, algorithm = 'sha256') => createHash(algorithm).update(bytes).digest();
/** @param {string | Uint8Array} bytes */
export const sha256 = (bytes) => hash(bytes);
/** @param {Uint8Array} bytes */
export const multibase = (bytes) => 'u' + Buffer.from(bytes).toString('base64url');
/** @param {string | Uint8Array} bytes @returns {string} the digest of bytes as they are */
export const digestOfBytes = (bytes) => digestOfHash(sha256(bytes));
/** @param {Uint8Array} hash */
export const digestOfHash = (hash) => multibase(Buffer.concat([Buffer.from([0x12, 0x20]), hash]));
/** @param {string} digest */
export const hashOfDigest = (digest) => fromMultibase(digest).subarray(2);

/** @param {Record<string, any>} thing @returns {string} the digest of a message or document: without its own proof */
export function digest(thing) {
  const { proof, ...rest } = thing;
  return digestOfBytes(jcs(rest));
}

/** @param {string} text */
export function fromMultibase(text) {
  if (!text.startsWith('u')) throw new HireError('schema_violation', 'another base');
  const bytes = Buffer.from(text.slice(1), 'base64url');
  if (multibase(bytes) !== text) throw new HireError('schema_violation', 'another spelling');
  return bytes;
}

/** @param {Uint8Array} bytes */
export const toBase58 = (bytes) => 'z' + base58.encode(bytes);
/** @param {string} text */
export function fromBase58(text) {
  if (!text.startsWith('z')) throw new HireError('schema_violation', 'another base');
  try {
    return Buffer.from(base58.decode(text.slice(1)));
  } catch {
    throw new HireError('schema_violation', 'not base58btc');
  }
}

export const newNonce = () => multibase(randomBytes(32));
export const newId = () => `urn:uuid:${randomUUID()}`;

const { properties: { validUntil }, $defs: { Deadlines } } = specJson('schemas/Offer.json');
const [INSTANT, DURATION] = [validUntil, Deadlines.properties.review].map(({ pattern }) => new RegExp(pattern, 'u'));

/** @param {unknown} text */
export const isInstant = (text) => typeof text === 'string' && INSTANT.test(text);
const [FIRST, LAST] = [Date.parse('2000-01-01T00:00:00Z') / 1000, Date.parse('2999-12-31T23:59:59Z') / 1000];
/** The instant of a time; beyond the years that instants have, the first or last there is. @param {number} seconds since 1970 @returns {string} */
export const instant = (seconds) => new Date(Math.min(Math.max(Math.floor(seconds), FIRST), LAST) * 1000).toISOString().replace('.000Z', 'Z');
/** @param {string} text an instant in its one spelling */
export const seconds = (text) => Date.parse(text) / 1000;

const MOMENT = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/;
/** A time in a document of others (HIRE-JSN-06), in seconds since 1970. @param {any} text @returns {number} */
export function moment(text) {
  const found = typeof text === 'string' ? MOMENT.exec(text) : null;
  if (!found) throw new HireError('schema_violation', 'no time with its zone');
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  const [fraction = '', sign, ...offset] = found.slice(7);
  const [hours, minutes] = offset.map((part) => Number(part ?? 0));
  const written = new Date(0);
  written.setUTCFullYear(year, month - 1, day);
  written.setUTCHours(hour, minute, second);
  const exists = year > 0 && written.getUTCMonth() === month - 1 && written.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  const shift = (sign === '-' ? -1 : 1) * (hours * 60 + minutes);
  const at = written.getTime() / 1000 - shift * 60;
  const inYears = new Date(at * 1000).getUTCFullYear();
  if (!exists || minutes > 59 || Math.abs(shift) > 14 * 60 || inYears < 1 || inYears > 9999) throw new HireError('schema_violation', 'no such time');
  return at + Number(`0.${fraction.slice(0, 6) || '0'}`);
}

const SECONDS = { D: 86400, H: 3600, M: 60, S: 1 };
/** @param {string} text @returns {number} seconds */
export function duration(text) {
  if (!DURATION.test(text)) throw new HireError('schema_violation', 'no duration');
  return [...text.matchAll(/([0-9]+)([DHMS])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * SECONDS[/** @type {'D'} */ (unit)], 0);
}

/** @param {string} text @returns {bigint} an amount in units of 10^-9 */
export function amount(text) {
  const match = /^(-?)([0-9]{1,18})(?:\.([0-9]{1,9}))?$/.exec(text);
  if (!match) throw new HireError('schema_violation', 'no amount');
  const value = BigInt(match[2]) * 1_000_000_000n + BigInt((match[3] ?? '').padEnd(9, '0') || 0);
  return match[1] ? -value : value;
}
/** @param {bigint} value */
export function amountText(value) {
  const sign = value < 0n ? '-' : '';
  const size = value < 0n ? -value : value;
  const rest = String(size % 1_000_000_000n).padStart(9, '0').replace(/0+$/, '');
  return sign + String(size / 1_000_000_000n) + (rest ? `.${rest}` : '');
}

/** @param {string} hirer @param {string} provider @param {string} nonce */
export const engagementId = (hirer, provider, nonce) => `urn:hire:engagement:${digestOfBytes(jcs({ hirer, nonce, provider }))}`;
