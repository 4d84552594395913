/** Public and private keys (page 02, sections 2.3 and 2.4). */
import { createPrivateKey, createPublicKey, sign as signBy, verify as verifyBy } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { p256, p384 } from '@noble/curves/nist.js';
import { fromBase58, toBase58 } from './encoding.js';
import { HireError, check } from './errors.js';

/**
 * @typedef {'Ed25519' | 'P-256' | 'P-384'} Kind
 * @typedef {{kind: Kind, bytes: Uint8Array}} PublicKey
 * @typedef {{kind: Kind, secret: Uint8Array, method: string}} PrivateKey
 */

const CODECS = /** @type {Record<number, {kind: Kind, size: number}>} */ ({
  0xed: { kind: 'Ed25519', size: 32 }, 0x1200: { kind: 'P-256', size: 33 }, 0x1201: { kind: 'P-384', size: 49 },
});
const PREFIX = /** @type {Record<Kind, number[]>} */ ({ Ed25519: [0xed, 0x01], 'P-256': [0x80, 0x24], 'P-384': [0x81, 0x24] });
const CURVES = { 'P-256': p256, 'P-384': p384 };
export const SUITES = /** @type {Record<string, Kind[]>} */ ({
  'eddsa-jcs-2022': ['Ed25519'], 'eddsa-rdfc-2022': ['Ed25519'],
  'ecdsa-jcs-2019': ['P-256', 'P-384'], 'ecdsa-rdfc-2019': ['P-256', 'P-384'],
});

/** Keys that were found sound, by their text, those read last: to look at the order of a point costs as much as a signature. @type {Map<string, PublicKey>} */
const sound = new Map();
const KEPT = 256;

/** @param {string} text a Multikey @returns {PublicKey} */
export function readKey(text) {
  const known = sound.get(text);
  if (known !== undefined) return known;
  const key = Object.freeze(checkedKey(text));
  if (sound.size === KEPT) sound.delete(/** @type {string} */ (sound.keys().next().value));
  sound.set(text, key);
  return key;
}

/** @param {string} text a Multikey @returns {PublicKey} */
function checkedKey(text) {
  let bytes;
  try { bytes = fromBase58(text); } catch { throw new HireError('did_document_invalid', 'not base58btc'); }
  const [codec, used] = varint(bytes);
  const known = CODECS[codec];
  check(known !== undefined, 'did_document_invalid', 'another kind of key');
  const raw = bytes.subarray(used);
  check(raw.length === known.size, 'did_document_invalid', 'length of key');
  checkPoint(known.kind, raw);
  return { kind: known.kind, bytes: raw };
}

/** @param {Uint8Array} bytes @returns {[number, number]} */
function varint(bytes) {
  let value = 0;
  for (let i = 0; i < 4; i += 1) {
    check(bytes.length > i, 'did_document_invalid', 'no multicodec');
    value += (bytes[i] & 0x7f) * 2 ** (7 * i);
    if (bytes[i] < 0x80) {
      check(i === 0 || bytes[i] !== 0, 'did_document_invalid', 'multicodec not minimal');
      return [value, i + 1];
    }
  }
  throw new HireError('did_document_invalid', 'multicodec too long');
}

/** @param {Kind} kind @param {Uint8Array} raw */
function checkPoint(kind, raw) {
  if (kind !== 'Ed25519') {
    try { CURVES[kind].Point.fromBytes(raw).assertValidity(); } catch { throw new HireError('did_document_invalid', 'not on the curve'); }
    return;
  }
  let point;
  const y = BigInt('0x' + Buffer.from(raw).reverse().toString('hex')) & ((1n << 255n) - 1n);
  check(y < 2n ** 255n - 19n, 'key_weak', 'not canonical');
  try { point = ed25519.Point.fromBytes(raw, true); } catch {
    // x = 0 with a sign is no canonical form of a point; all else is no point at all
    throw new HireError(y === 1n || y === 2n ** 255n - 20n ? 'key_weak' : 'did_document_invalid', 'not on the curve');
  }
  check(Buffer.from(point.toBytes()).equals(Buffer.from(raw)), 'key_weak', 'not canonical');
  check(!point.isSmallOrder() && point.isTorsionFree(), 'key_weak', 'order of the key');
}

/** Before the bytes of an Ed25519 key in the form of a public or of a private key that OpenSSL reads (RFC 8410). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const NEUTRAL = Buffer.from([1, ...Array(31).fill(0)]);

/** Keys as OpenSSL has them: to make one costs as much as a signature. @type {WeakMap<object, import('node:crypto').KeyObject>} */
const handles = new WeakMap();

/** @param {object} key @param {(input: any) => import('node:crypto').KeyObject} create @param {string} type @param {Buffer} before @param {Uint8Array} bytes */
function handleOf(key, create, type, before, bytes) {
  const known = handles.get(key) ?? create({ key: Buffer.concat([before, bytes]), format: 'der', type });
  handles.set(key, known);
  return known;
}

/** @param {PublicKey} key @param {Uint8Array} signature @param {Uint8Array} signed @returns {boolean} */
export function verify(key, signature, signed, { lowS = true } = {}) {
  if (signature.length !== (key.kind === 'P-384' ? 96 : 64)) return false;
  try {
    if (key.kind === 'Ed25519') {
      // OpenSSL compares the bytes of R with those that follow from the key, without the cofactor, and takes no S that is
      // too large. The key is of prime order (`checkPoint`), so R is as well; neutral it may not be.
      return !NEUTRAL.equals(signature.subarray(0, 32)) && verifyBy(null, signed, handleOf(key, createPublicKey, 'spki', SPKI, key.bytes), signature);
    }
    return CURVES[key.kind].verify(signature, signed, key.bytes, { lowS, format: 'compact' });
  } catch { return false; }
}

/** @param {{kind: Kind, secret: Uint8Array}} key @param {Uint8Array} signed @returns {Uint8Array} */
export function sign(key, signed) {
  return key.kind === 'Ed25519' ? signBy(null, signed, handleOf(key, createPrivateKey, 'pkcs8', PKCS8, key.secret)) : CURVES[key.kind].sign(signed, key.secret, { format: 'compact' });
}

/** @param {PublicKey} key @returns {string} the Multikey */
export const multikeyOf = ({ kind, bytes }) => toBase58(Buffer.concat([Buffer.from(PREFIX[kind]), bytes]));

/** @param {{kind: Kind, secret: Uint8Array}} key @returns {string} its public part as Multikey */
export const publicMultikey = ({ kind, secret }) => multikeyOf({ kind, bytes: kind === 'Ed25519' ? ed25519.getPublicKey(secret) : CURVES[kind].getPublicKey(secret, true) });

/** @param {Uint8Array} secret 32 bytes @returns {PrivateKey} the key of a `did:key` */
export function keyOfDidKey(secret) {
  const name = publicMultikey({ kind: 'Ed25519', secret });
  return { kind: 'Ed25519', secret, method: `did:key:${name}#${name}` };
}
