/** The Merkle log of one side and its signed notes (page 08, sections 8.4 and 8.5; RFC 6962; C2SP tlog-checkpoint). */
import { check } from './errors.js';
import { digestOfHash, fromMultibase, hashOfDigest, jcs, multibase, seconds, sha256 } from './encoding.js';
import { sign, verify } from './keys.js';

const leafHash = (/** @type {Uint8Array} */ leaf) => sha256(Buffer.concat([Buffer.from([0]), leaf]));
const nodeHash = (/** @type {Uint8Array} */ left, /** @type {Uint8Array} */ right) => sha256(Buffer.concat([Buffer.from([1]), left, right]));
const split = (/** @type {number} */ size) => 2 ** Math.floor(Math.log2(size - 1));

/** The hash of a leaf (HIRE-LOG-01, HIRE-LOG-06). @param {'contract' | 'move' | 'refusal' | 'decision'} label @param {Uint8Array} hash of what the leaf is about */
export const leafOf = (label, hash) => leafHash(Buffer.concat([Buffer.from(`hire/v1 ${label}\n`), hash]));
/** @param {any} document with both proofs @returns {Buffer} the hash of the contract's leaf */
export const contractLeaf = (document) => leafOf('contract', sha256(jcs(document)));
/** Moves of either side that have a leaf: what binds, what was made and judged, and what ended it. */
export const LOGGED = new Set(['Acceptance', 'Seal', 'Delivery', 'Review', 'Breach', 'Dispute', 'Ruling', 'Terminate', 'Closing']);

/** A Merkle tree that grows, with the hash of each whole subtree: a root or path of any size takes no more than a few of them. */
export class Log {
  constructor() {
    /** @type {Buffer[][]} by height, the subtrees of as many leaves as 2 to that, from the left */
    this.levels = [[]];
  }

  get size() { return this.levels[0].length; }

  /** @param {Buffer} leaf its hash */
  add(leaf) {
    this.levels[0].push(leaf);
    for (let height = 0; this.levels[height].length % 2 === 0; height += 1) {
      (this.levels[height + 1] ??= []).push(nodeHash(this.levels[height].at(-2), this.levels[height].at(-1)));
    }
  }

  /** @param {number} begin @param {number} end @returns {Buffer} of the leaves from one to before the other */
  #over(begin, end) {
    const height = Math.log2(end - begin);
    if (Number.isInteger(height)) return this.levels[height][begin / (end - begin)];
    const middle = begin + split(end - begin);
    return nodeHash(this.#over(begin, middle), this.#over(middle, end));
  }

  root(size = this.size) { return size === 0 ? sha256('') : this.#over(0, size); }

  /** @param {number} index @param {number} [size] of the tree @returns {{leaf: string, index: number, size: number, path: string[]}} that the leaf stands there */
  inclusion(index, size = this.size) {
    /** @type {Buffer[]} */ const path = [];
    for (let [begin, end] = [0, size]; end - begin > 1;) {
      const middle = begin + split(end - begin);
      path.unshift(index < middle ? this.#over(middle, end) : this.#over(begin, middle));
      if (index < middle) end = middle; else begin = middle;
    }
    return { leaf: digestOfHash(this.levels[0][index]), index, size, path: path.map(digestOfHash) };
  }
}

/** @param {Uint8Array} leaf hash @param {number} index @param {number} size @param {Uint8Array[]} path @returns {Uint8Array} the root it leads to */
export function rootFrom(leaf, index, size, path) {
  check(index < size, 'log_proof_invalid', 'index');
  if (size === 1) {
    check(path.length === 0, 'log_proof_invalid', 'path');
    return leaf;
  }
  check(path.length > 0, 'log_proof_invalid', 'path');
  const k = split(size);
  const last = path[path.length - 1];
  const rest = path.slice(0, -1);
  return index < k ? nodeHash(rootFrom(leaf, index, k, rest), last) : nodeHash(last, rootFrom(leaf, index - k, size - k, rest));
}

/** Kinds of signatures in notes, and bytes of a cosignature, with its time. */
const [SIGNATURE, COSIGNATURE, COSIGNATURE_BYTES] = [1, 4, 72];

export const noteHint = (/** @type {string} */ name, /** @type {Uint8Array} */ key, kind = SIGNATURE) => sha256(Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([kind]), key])).subarray(0, 4);

/** @param {string} origin @param {Log} log @param {import('./keys.js').PrivateKey} key @param {Uint8Array} publicKey @returns {string} multibase */
export function checkpoint(origin, log, key, publicKey) {
  const text = `${origin}\n${log.size}\n${log.root().toString('base64')}\n`;
  const line = Buffer.concat([noteHint(origin, publicKey), sign(key, Buffer.from(text))]).toString('base64');
  return multibase(Buffer.from(`${text}\n\u2014 ${origin} ${line}\n`));
}

const [NOTE_BYTES, NOTE_LINES] = [16384, 32];

/** @param {string} text in its one spelling @returns {Buffer} */
function fromBase64(text) {
  const bytes = Buffer.from(text, 'base64');
  check(bytes.toString('base64') === text, 'log_proof_invalid', 'base64');
  return bytes;
}

/** Text and signature lines of a note; nothing is verified (C2SP signed-note). @param {string} note multibase @returns {{text: string, lines: {name: string, hint: Buffer, signature: Buffer}[]}} */
function readNote(note) {
  const bytes = Buffer.from(note.slice(1), 'base64url');
  const whole = bytes.toString();
  const at = whole.lastIndexOf('\n\n');
  const lines = whole.slice(at + 2, -1).split('\n');
  const formed = multibase(bytes) === note && bytes.equals(Buffer.from(whole)) && bytes.length <= NOTE_BYTES && at > 0 && whole.endsWith('\n') && lines.length <= NOTE_LINES;
  check(formed && !/[\x00-\x09\x0b-\x1f]/.test(whole), 'log_proof_invalid', 'note');
  return {
    text: whole.slice(0, at + 1),
    lines: lines.map((line) => {
      const [, name, data] = /^\u2014 ([^+\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]{1,1024}) ([^ ]+)$/u.exec(line) ?? [];
      check(name !== undefined, 'log_proof_invalid', 'signature line');
      const signed = fromBase64(data);
      check(signed.length >= 5, 'log_proof_invalid', 'signature line');
      return { name, hint: signed.subarray(0, 4), signature: signed.subarray(4) };
    }),
  };
}

/** @param {string} note multibase @param {string} origin @param {import('./keys.js').PublicKey[]} keys of the origin @returns {{size: number, root: Buffer}} */
export function readCheckpoint(note, origin, keys) {
  const { text, lines } = readNote(note);
  const stated = readStated(text);
  check(stated.origin === origin, 'log_proof_invalid', 'checkpoint');
  const signed = (/** @type {import('./keys.js').PublicKey} */ key, /** @type {Uint8Array} */ signature) => verify(key, signature, Buffer.from(text));
  check(oneHolds(lines, origin, keys, SIGNATURE, signed), 'log_proof_invalid', 'signature of the checkpoint');
  return stated;
}

/** The checkpoint of a note, once it is cosigned by one of these keys (C2SP tlog-cosignature). @param {string} note multibase @param {string} by @param {import('./keys.js').PublicKey[]} keys @returns {{origin: string, size: number, root: Buffer}} */
export function readCosigned(note, by, keys) {
  const { text, lines } = readNote(note);
  const signed = (/** @type {import('./keys.js').PublicKey} */ key, /** @type {Buffer} */ data) => data.length === COSIGNATURE_BYTES
    && verify(key, data.subarray(8), Buffer.from(`cosignature/v1\ntime ${data.readBigUInt64BE(0)}\n${text}`));
  check(oneHolds(lines, by, keys, COSIGNATURE, signed), 'log_proof_invalid', 'cosignature');
  return readStated(text);
}

/** What a checkpoint states; more lines are passed over. @param {string} text @returns {{origin: string, size: number, root: Buffer}} */
function readStated(text) {
  const [origin, size, root, ...more] = text.slice(0, -1).split('\n');
  check(origin !== '' && /^(?:0|[1-9][0-9]{0,15})$/.test(size) && Number.isSafeInteger(Number(size)) && root !== undefined && !more.includes(''), 'log_proof_invalid', 'checkpoint');
  const hash = fromBase64(root);
  check(hash.length === 32 && (size !== '0' || hash.equals(sha256(''))), 'log_proof_invalid', 'root');
  return { origin, size: Number(size), root: hash };
}

/**
 * Whether one line of a name by one of its keys holds, and is the only one by that key.
 * @param {{name: string, hint: Buffer, signature: Buffer}[]} lines @param {string} name @param {import('./keys.js').PublicKey[]} keys @param {number} kind of signature
 * @param {(key: import('./keys.js').PublicKey, signature: Buffer) => boolean} holds
 */
function oneHolds(lines, name, keys, kind, holds) {
  return keys.filter((key) => key.kind === 'Ed25519').some((key) => {
    const found = lines.filter((one) => one.name === name && one.hint.equals(noteHint(name, key.bytes, kind)));
    return found.length === 1 && holds(key, found[0].signature);
  });
}

/** @typedef {{size: number, root: Buffer, at: number}} Head a checkpoint, and when the message that carried it was signed */
/** @typedef {Map<string, Head>} Heads the largest of each log, by its owner */

/** @param {Head} head @param {Head | undefined} before @param {string} path */
export function checkGrowth(head, before, path) {
  if (!before) return;
  check(head.size !== before.size || head.root.equals(before.root), 'ledger_diverged', 'two roots of one size', path);
  const [smaller, larger] = head.size < before.size ? [head, before] : [before, head];
  check(smaller.size === larger.size || smaller.at <= larger.at, 'ledger_diverged', 'fewer leaves than before', path); // whichever came first
}

/**
 * That a log continues the head of it that is held, where a proof is from that one; from another one it proves nothing (HIRE-LOG-22; RFC 9162, 2.1.4.2).
 * @param {Head | undefined} before @param {Head} head @param {{size: number, path: string[]}} proof @param {string} place
 */
export function checkContinues(before, head, { size, path }, place) {
  if (!before || before.size !== size || size === 0 || size >= head.size) return;
  const hashes = path.map(hashOfDigest);
  const [first, ...rest] = Number.isInteger(Math.log2(size)) ? [before.root, ...hashes] : hashes; // of a whole subtree the root is the old one itself
  let [old, last] = [size - 1, head.size - 1];
  const up = () => { [old, last] = [Math.floor(old / 2), Math.floor(last / 2)]; };
  while (old % 2) up();
  let [was, is] = [first, first];
  for (const hash of rest) {
    check(last > 0, 'log_proof_invalid', 'a path that is too long', place);
    if (old % 2 || old === last) {
      [was, is] = [nodeHash(hash, was), nodeHash(hash, is)];
      while (old % 2 === 0 && old > 0) up();
    } else is = nodeHash(is, hash);
    up();
  }
  check(first !== undefined && last === 0 && before.root.equals(was) && head.root.equals(is), 'log_proof_invalid', 'it does not continue what it was', place);
}

/** What a message says of its sender's log; nothing is verified. @param {any} message @returns {Head | undefined} */
export function headOf(message) {
  if (message.type === 'Closing') {
    const [, size, root] = fromMultibase(message.checkpoint).toString().split('\n');
    return { size: Number(size), root: Buffer.from(root, 'base64'), at: seconds(message.checkpointAt ?? message.proof.created) };
  }
  if (!['Offer', 'Acceptance'].includes(message.type) || !message.head) return undefined;
  return { size: message.head.size, root: hashOfDigest(message.head.root), at: seconds(message.head.at) };
}

/** Parties of which the largest checkpoint is kept: anybody can make an offer, and a name costs nothing (HIRE-LIM-02). */
const PARTIES = 16384;

/** Keeps the largest. @param {Heads} heads @param {any} message that was checked */
export function keepHead(heads, message) {
  const [head, before] = [headOf(message), heads.get(message.sender)];
  if (!head || (before && head.size <= before.size)) return;
  heads.delete(message.sender); // the newest stands last
  heads.set(message.sender, head);
  if (heads.size > PARTIES) heads.delete(/** @type {string} */ (heads.keys().next().value));
}
