/** What comes in on a proved connection: read, verified, given to its engagement, and answered where it is refused (page 03, section 3.4; page 09, section 9.3). */
import { digest, digestOfBytes } from './encoding.js';
import { HireError, pathTold } from './errors.js';
import { readJson } from './json.js';
import { NOTICES, readMessage, verifyMessage } from './message.js';
import { withdraw } from './papers.js';
import { checkNotice } from './stated.js';
import { tables } from './spec.js';

/** @typedef {import('./peer.js').Peer} Peer */
/** @typedef {import('./link.js').Link} Link */
/** @typedef {import('./conversation.js').Conversation} Conversation */

const NO_MISTAKE = new Set(['conflicting_message', 'conflicting_contract', 'terms_mismatch', 'holder_mismatch', 'challenge_mismatch']);
const FAILURES = 32;

/** Whether these bytes are a refusal, whatever else is wrong with it. @param {Buffer} bytes */
function isProblem(bytes) {
  try { return /** @type {any} */ (readJson(bytes))?.type === 'Problem'; } catch { return false; }
}

/** A frame of a proved connection. @param {Peer} peer @param {Link} link @param {Buffer} bytes */
export async function readFrame(peer, link, bytes) {
  /** @type {any} */ let message;
  try {
    const read = readJson(bytes);
    if (read.type === 'Fault') return peer.log(undefined, 'fault', JSON.stringify(read));
    message = readMessage(bytes);
    if (message.sender !== link.peer) return link.close(1008, 'proof_invalid');
  } catch (error) {
    const { code, path } = /** @type {any} */ (error);
    if (code === undefined) throw error;
    peer.log(undefined, 'not read', `${/** @type {any} */ (error).message} ${path ?? ''}`);
    return fault(link, bytes, code, path);
  }
  if (!peer.find(message.engagement)) {
    try { await verifyMessage(message, { resolver: peer.resolver, recipient: peer.did, now: peer.now() }); } catch (error) {
      const { code, path, proved } = /** @type {any} */ (error);
      return fault(link, bytes, code ?? 'internal', path, proved);
    }
    if (message.type !== 'Inquiry') return fault(link, bytes, 'wrong_negotiation', undefined, true);
    if (!peer.conversations.has(message.engagement)) {
      if (!peer.roomFor(message.sender)) return fault(link, bytes, 'overloaded', undefined, true);
      peer.begin({ k: 'open', at: peer.now(), engagement: message.engagement, role: 'provider', with: message.sender });
    }
  }
  const conversation = /** @type {Conversation} */ (peer.find(message.engagement));
  return conversation.enqueue(() => take(peer, link, conversation, message, bytes));
}

/** @param {Peer} peer @param {Link} link @param {Conversation} conversation @param {any} message @param {Buffer} bytes */
async function take(peer, link, conversation, message, bytes) {
  const notice = NOTICES.has(message.type);
  try {
    if (message.sender !== conversation.with) {
      await verifyMessage(message, { resolver: peer.resolver, recipient: peer.did, now: peer.now() });
      return void fault(link, bytes, 'wrong_negotiation', undefined, true);
    }
    if (message.role === conversation.role) {
      await verifyMessage(message, { resolver: peer.resolver, recipient: peer.did, now: peer.now() });
      throw Object.assign(new HireError('wrong_party', 'role'), { proved: true });
    }
    if (notice) {
      if (message.type === 'Progress' && !conversation.hearsProgress()) return;
      const { document } = await verifyMessage(message, { resolver: peer.resolver, recipient: peer.did, now: peer.now(), suites: conversation.suitesOf(message) });
      checkNotice(message, [document, ...conversation.engagement.documents], peer.now(), peer.heads);
      if (message.type === 'Progress') conversation.hearsProgress(true);
      await conversation.notice(message, bytes.toString(), document);
      return;
    }
    const outcome = await conversation.hear(message, bytes.toString());
    peer.log(conversation, 'heard', `${message.type} ${outcome}`);
  } catch (error) {
    const { code, path, proved } = /** @type {any} */ (error);
    if (code === undefined) throw error;
    peer.log(conversation, 'refused', `${message.type} ${/** @type {any} */ (error).message}`);
    if (notice) return;
    if (proved) await refuse(link, conversation, message, code, path); else fault(link, bytes, code, path);
    if (conversation.begun.length && conversation.waiting === 1) peer.forget(conversation); // it began with what is none
    return;
  }
  await peer.turn(conversation);
}

/** @param {Link} link @param {Conversation} conversation @param {any} message @param {string} code @param {string} [path] */
async function refuse(link, conversation, message, code, path) {
  const row = tables.codes[code];
  if (row.told === 'never') return;
  if (!row.retryable) link.failures += 1;
  const final = !row.retryable && !['Acceptance', 'Seal'].includes(message.type);
  await conversation.tell('Problem', { of: digest(message), code, class: row.family, ...(pathTold(path) ? { path } : {}), retryable: row.retryable, final });
  const { live, accepted } = conversation.engagement.state;
  const ends = code === 'terms_mismatch' ? code : code === 'ledger_diverged' && path === '/head' ? 'decision_failed' : undefined; // HIRE-NEG-11, HIRE-LOG-09
  if (ends && message.type === 'Acceptance' && live?.owner === conversation.role && message.offer === live.digest && !accepted) await conversation.say(withdraw(conversation, ends));
  if (NO_MISTAKE.has(code)) link.close(1008, code);
  else if (link.failures >= FAILURES) link.close(1008, 'rate_limited');
}

/** What belongs to no engagement is answered by a frame of its own, smaller than what it is about. @param {Link} link @param {Buffer} bytes @param {string} code @param {string} [path] @param {boolean} [proved] */
function fault(link, bytes, code, path, proved = false) {
  if (!tables.codes[code]?.retryable) link.failures += 1;
  if (tables.codes[code]?.told === 'never') return undefined; // that our disk is full, say, is no fault of the message
  if (code === 'bad_unicode' && !bytes.toString().startsWith('{')) return link.close(1007);
  if (isProblem(bytes)) return link.failures >= FAILURES ? link.close(1008, 'rate_limited') : undefined; // HIRE-SYN-04
  const told = proved || tables.codes[code]?.told === 'at once' ? code : 'proof_invalid';
  const whole = { type: 'Fault', code: told, of: digestOfBytes(bytes), path: (told === code && pathTold(path)) || '' }; // elsewhere the place says what was looked at
  for (const said of [whole, { type: 'Fault', code: told }]) {
    const text = JSON.stringify(said);
    if (Buffer.byteLength(text) >= bytes.length) continue;
    link.send(text);
    break;
  }
  if (link.failures >= FAILURES) link.close(1008, 'rate_limited');
  return undefined;
}
