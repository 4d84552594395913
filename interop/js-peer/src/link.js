/** The connection: three frames that prove both DIDs, then messages (page 03, sections 3.2 to 3.5). */
import { WebSocket } from 'ws';
import { check, HireError } from './errors.js';
import { clocksApart } from './clock.js';
import { CONTEXT, VERSIONS, newNonce } from './encoding.js';
import { readJson, MESSAGE_BYTES } from './json.js';
import { checkProofShape, checkTimes, makeProof, times, verifyProof } from './proofs.js';
import { checkShape, define } from './schema.js';
import { tables } from './spec.js';

export const SUBPROTOCOL = 'hire.v1';
const SECONDS = 10;
/** What a frame of the exchange is held to (page 10, section 10.4). */
const [FRAME_BYTES, FRAME_DEPTH, FRAME_TEXT] = [8192, 4, 2048];
/** Milliseconds for the other side to close as well. */
const CLOSING = 5000;
/** Frames that may wait for the end of the exchange: a peer that is proved says where it stands at once. */
const WAITING = 64;
/** Messages of one connection that are at work; those after them stay with the other side. */
const AT_WORK = 32;
/** Bytes that the other side may leave unread: more than all that is sent again at once. What was said in vain is said on the next connection. */
const UNREAD = 16 * 1024 * 1024;
const NONCE = { $ref: 'Inquiry#/properties/nonce' };

/** A frame of the exchange: these members, perhaps some more, and no others. @param {string} name @param {Record<string, any>} members @param {Record<string, any>} [more] */
const shape = (name, members, more = {}) => define(name, {
  type: 'object', required: Object.keys(members), propertyNames: { enum: Object.keys({ ...members, ...more }) }, properties: { ...members, ...more },
});
shape('Challenge', { type: { const: 'Challenge' }, subprotocol: { const: SUBPROTOCOL }, nonce: NONCE });
const INSTANT = { $ref: 'Inquiry#/properties/respondBy' };
const PROOF = { proof: { type: 'object', properties: { created: INSTANT, expires: INSTANT }, additionalProperties: { type: 'string', maxLength: FRAME_TEXT } } };
const PARTY = { $ref: 'Inquiry#/properties/sender' };
const CONNECTION = {
  '@context': { const: CONTEXT }, type: { const: 'Connection' }, subprotocol: { const: SUBPROTOCOL }, sender: PARTY, recipient: PARTY, nonce: NONCE,
  versions: { $ref: 'Inquiry#/properties/versions' },
};
shape('dialer', { ...CONNECTION, part: { const: 'dialer' } }, PROOF);
shape('acceptor', { ...CONNECTION, part: { const: 'acceptor' }, version: { $ref: 'Inquiry#/properties/versions/items' } }, PROOF);

/**
 * @typedef {{did: string, key: import('./keys.js').PrivateKey, resolver: import('./did.js').Resolver, now: () => number}} Self
 * @typedef {import('ws').WebSocket} Socket
 */

/** One proved connection. What comes before somebody listens waits. */
export class Link {
  /** @param {Socket} socket @param {string} peer the proved DID @param {Buffer[]} waiting */
  constructor(socket, peer, waiting) {
    this.socket = socket;
    this.peer = peer;
    this.failures = 0;
    this.atWork = 0;
    /** @type {((bytes: Buffer) => Promise<void>) | undefined} */
    this.listener = undefined;
    this.waiting = waiting;
    socket.on('message', (/** @type {Buffer} */ bytes, /** @type {boolean} */ binary) => {
      if (socket.readyState >= WebSocket.CLOSING) return undefined; // it goes on sending, and nobody reads it
      if (binary) return this.close(1003);
      if (this.listener) this.#heard(bytes); else waiting.push(bytes);
      return undefined;
    });
  }

  /** Reads no more while too much is at work (HIRE-LIM-02). @param {Buffer} bytes */
  async #heard(bytes) {
    this.atWork += 1;
    if (this.atWork >= AT_WORK) this.socket.pause();
    await this.listener?.(bytes);
    this.atWork -= 1;
    if (this.socket.isPaused && this.atWork < AT_WORK / 2) this.socket.resume();
  }

  get open() { return this.socket.readyState === WebSocket.OPEN; }

  /** @param {(bytes: Buffer) => Promise<void>} listener which does not fail */
  listen(listener) {
    this.listener = listener;
    this.waiting.splice(0).forEach((bytes) => this.#heard(bytes));
  }

  /** @param {string} text */
  send(text) {
    if (!this.open) return;
    if (this.socket.bufferedAmount > UNREAD) this.socket.terminate(); else this.socket.send(text);
  }

  /** @param {number} code @param {string} [reason] */
  close(code, reason = '') { this.socket.close(code, reason); }
}

/** Frames one after another, as long as the exchange lasts; those that wait are no more than a message has. @param {Socket} socket */
function frames(socket) {
  /** @type {Buffer[]} */ const waiting = [];
  let held = 0;
  /** @type {((bytes: Buffer) => void) | undefined} */ let wanted;
  /** @type {((error: any) => void) | undefined} */ let failed;
  const take = (/** @type {Buffer} */ bytes, /** @type {boolean} */ binary) => {
    if (socket.readyState >= WebSocket.CLOSING) return undefined;
    if (binary) return end(socket, 1003);
    if (wanted) return wanted(bytes);
    held += bytes.length;
    if (waiting.push(bytes) > WAITING) return end(socket, 1008, 'rate_limited');
    return held > MESSAGE_BYTES ? socket.pause() : undefined;
  };
  const closed = (/** @type {number} */ code, /** @type {Buffer} */ reason) => failed?.(new HireError('connection_closed', `${code} ${reason}`));
  socket.on('message', take);
  socket.on('close', closed);
  return {
    next: () => new Promise((resolve, reject) => {
      failed = reject;
      if (waiting.length) resolve(/** @type {Buffer} */ (waiting.shift())); else wanted = (bytes) => { wanted = undefined; resolve(bytes); };
    }),
    /** @returns {Buffer[]} what came behind the exchange already */
    rest: () => { socket.off('message', take); socket.off('close', closed); socket.resume(); return waiting; },
  };
}

/** Closes it, whether the other side does or not. @param {Socket} socket @param {number} code @param {string} [reason] */
function end(socket, code, reason = '') {
  socket.close(code, reason);
  setTimeout(() => socket.terminate(), CLOSING).unref();
}

/** @type {Record<string, number>} */ const CLOSES = { bad_unicode: 1007, too_large: 1009 };

/** @param {Socket} socket @param {(frames: ReturnType<typeof frames>) => Promise<string>} exchange @returns {Promise<Link>} */
async function proved(socket, exchange) {
  const reader = frames(socket);
  const timer = setTimeout(() => end(socket, 1008, 'timeout'), SECONDS * 1000);
  try {
    const peer = await exchange(reader);
    return new Link(socket, peer, reader.rest());
  } catch (error) {
    const code = error instanceof HireError ? error.code : 'internal';
    reader.rest();
    end(socket, CLOSES[code] ?? 1008, tables.codes[code]?.told === 'at once' ? code : 'proof_invalid');
    throw error;
  } finally { clearTimeout(timer); }
}

/** @param {Buffer} bytes @param {'Challenge' | 'dialer' | 'acceptor'} name of its shape @returns {any} */
function readFrame(bytes, name) {
  const frame = readJson(bytes, { limit: FRAME_BYTES, depth: FRAME_DEPTH });
  checkShape(name, frame);
  return frame;
}

/** @param {any} frame @param {string} challenge @param {Self} self */
async function verifyConnection(frame, challenge, { did, resolver, now }) {
  const { proof, ...rest } = frame;
  checkProofShape(proof);
  check(proof.proofPurpose === 'authentication', 'proof_purpose_mismatch', 'purpose');
  check(proof.created !== undefined && proof.expires !== undefined, 'proof_expired', 'a proof without its times');
  check(/^(?:eddsa-jcs-2022|ecdsa-jcs-2019)$/.test(proof.cryptosuite), 'suite_not_allowed', 'frames are proved with jcs');
  check(String(proof.verificationMethod).split('#')[0] === frame.sender, 'key_not_authorized', 'method of another');
  await verifyProof(rest, proof, { did: await resolver.resolve(frame.sender, { proving: true }), purpose: 'authentication', now: now(), challenge, domain: did });
  checkTimes(proof, now(), { lifetime: 60 });
  check(frame.recipient === did, 'challenge_mismatch', 'recipient');
}

/**
 * Frame 2, once it has proved its sender to whom it was sent. @param {Buffer} bytes @param {string} nonce that of frame 1
 * @param {Pick<Self, 'did' | 'resolver' | 'now'>} self
 */
export async function readDialer(bytes, nonce, self) {
  const frame = readFrame(bytes, 'dialer');
  await verifyConnection(frame, nonce, self);
  check(frame.sender !== self.did, 'self_dealing', 'one DID');
  const version = VERSIONS.find((one) => frame.versions.includes(one));
  check(version !== undefined, 'version_not_supported', 'versions');
  return { ...frame, version };
}

/**
 * Frame 3, once it has proved whoever was dialed. @param {Buffer} bytes
 * @param {{peer: string, challenge: string, nonce: string}} of whom it wants to reach, the nonce of frame 1, that of frame 2
 * @param {Pick<Self, 'did' | 'resolver' | 'now'>} self
 */
export async function readAcceptor(bytes, { peer, challenge, nonce }, self) {
  const frame = readFrame(bytes, 'acceptor');
  check(frame.sender === peer && frame.nonce === challenge, 'challenge_mismatch', 'another answered, or another first frame');
  await verifyConnection(frame, nonce, self);
  check(frame.versions.join() === VERSIONS.join() && VERSIONS.includes(frame.version), 'version_not_supported', 'versions');
  return frame;
}

/** @param {any} frame @param {Self} self @param {string} challenge @param {string} domain */
async function prove(frame, { key, now }, challenge, domain) {
  const cryptosuite = key.kind === 'Ed25519' ? 'eddsa-jcs-2022' : 'ecdsa-jcs-2019';
  const proof = await makeProof(frame, key, { cryptosuite, proofPurpose: 'authentication', ...times(now(), 60), challenge, domain });
  return JSON.stringify({ ...frame, proof });
}

/** The side that was dialled. @param {Socket} socket @param {Self} self */
export function accept(socket, self) {
  return proved(socket, async ({ next }) => {
    const nonce = newNonce();
    socket.send(JSON.stringify({ type: 'Challenge', subprotocol: SUBPROTOCOL, nonce }));
    const frame = await readDialer(await next(), nonce, self);
    const answer = { '@context': CONTEXT, type: 'Connection', part: 'acceptor', subprotocol: SUBPROTOCOL, sender: self.did, recipient: frame.sender, nonce, versions: frame.versions, version: frame.version };
    socket.send(await prove(answer, self, frame.nonce, frame.sender));
    return frame.sender;
  });
}

/** The side that dials. @param {string} url @param {string} peer whom it wants to reach @param {Self & {local: boolean}} self */
export async function dial(url, peer, self) {
  const { protocol, hostname } = new URL(url);
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  check(protocol === 'wss:' || (protocol === 'ws:' && self.local && loopback), 'did_forbidden_address', url);
  const socket = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false, followRedirects: false, maxPayload: MESSAGE_BYTES, handshakeTimeout: SECONDS * 1000 });
  let apart = '';
  socket.once('upgrade', ({ headers }) => { apart = clocksApart(headers.date, self.now()); });
  const exchange = proved(socket, async ({ next }) => {
    const challenge = readFrame(await next(), 'Challenge');
    const nonce = newNonce();
    const frame = { '@context': CONTEXT, type: 'Connection', part: 'dialer', subprotocol: SUBPROTOCOL, sender: self.did, recipient: peer, nonce, versions: VERSIONS };
    socket.send(await prove(frame, self, challenge.nonce, peer));
    await readAcceptor(await next(), { peer, challenge: challenge.nonce, nonce }, self);
    return peer;
  }).catch((error) => {
    if (/proof_/.test(error.message)) error.message += apart; // said by either side: HIRE-CNX-07 lets neither say more
    throw error;
  });
  exchange.catch(() => {});
  /** @type {Promise<never>} */ const failed = new Promise((_, reject) => socket.once('error', (error) => reject(new HireError('unreachable', error.message))));
  return Promise.race([exchange, failed]);
}
