/** Artifacts between the parties: asked for with a signature, and given to whom a contract lets have them (page 03, sections 3.6 and 3.7). */
import http from 'node:http';
import https from 'node:https';
import { HireError, check } from './errors.js';
import { clocksApart } from './clock.js';
import { asWritten, checkAddress, multikeys, safeLookup } from './did.js';
import { digestOfBytes } from './encoding.js';
import { admit } from './gate.js';
import { claimedKey, signRequest, verifyRequest } from './requests.js';
import { tables } from './spec.js';

/** What a gate says where what the other side showed does not hold now (HIRE-STA-08). */
export const FALLEN = ['revoked', 'policy_denied', 'status_unavailable', 'status_invalid'];
const BYTES = 64 * 1024 * 1024;

/** @param {import('./peer.js').Peer} peer @param {string} uri @param {string} contract @param {string} digest @param {number} [most] @returns {Promise<Buffer>} what was refused since the clocks are apart says so, and has it as `apart`; an answer that ended too soon is `cut` */
export async function fetchArtifact(peer, uri, contract, digest, most = BYTES) {
  const { url, path } = asWritten(uri);
  const open = peer.local && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  check(url.protocol === 'https:' || (url.protocol === 'http:' && open), 'did_forbidden_address', uri);
  const request = { method: 'GET', path, headers: /** @type {[string, string][]} */ ([]) };
  const headers = signRequest(request, { origin: url.origin, contract, now: peer.now() }, peer.key);
  let answer;
  let bytes;
  try {
    if (!open) checkAddress(url.hostname);
    answer = await got(url, path, headers, !open);
    bytes = await readAtMost(answer, Math.min(most, BYTES), uri);
  } catch (error) {
    const cut = answer?.statusCode === 200;
    throw error instanceof HireError ? error : Object.assign(new HireError('unreachable', String(error)), { cut });
  }
  const status = answer.statusCode ?? 0;
  if (status < 200 || status > 299) {
    const code = refusalOf(status, bytes);
    const apart = code === 'proof_invalid' ? clocksApart(answer.headers.date, peer.now()) : '';
    throw Object.assign(new HireError(code, `${uri}: ${status}${apart}`), { apart });
  }
  check(digestOfBytes(bytes) === digest, 'digest_mismatch', uri);
  return bytes;
}

/** The answer at a URL that a message named: from the open network, and from nowhere that it points to (HIRE-DID-05). @param {URL} url @param {string} path @param {[string, string][]} headers @param {boolean} checked @returns {Promise<http.IncomingMessage>} */
const got = (url, path, headers, checked) => new Promise((resolve, reject) => {
  const options = { path, headers: { ...Object.fromEntries(headers), 'accept-encoding': 'identity' }, signal: AbortSignal.timeout(30000), agent: false, lookup: checked ? safeLookup : undefined };
  (url.protocol === 'http:' ? http : https).get(url, options, resolve).on('error', reject);
});

/** The body, of which no more is read than is taken (HIRE-ATT-11). @param {http.IncomingMessage} answer @param {number} most @param {string} uri */
async function readAtMost(answer, most, uri) {
  /** @type {Uint8Array[]} */ const chunks = [];
  let size = 0;
  for await (const chunk of answer) {
    size += chunk.length;
    check(size <= most, 'too_large', uri);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The code of a gate's no, or that its server failed. @param {number} status @param {Buffer} bytes */
function refusalOf(status, bytes) {
  if (status < 400 || status >= 500) return 'upstream_failed';
  try {
    const { code } = JSON.parse(bytes.toString());
    return typeof code === 'string' && Object.hasOwn(tables.codes, code) ? code : 'scope_exceeded';
  } catch { return 'scope_exceeded'; }
}

/**
 * The answer to a request for `/artifacts/<digest>`.
 * @param {import('./peer.js').Peer} peer @param {import('./requests.js').Request} request
 * @returns {Promise<{status: number, body: Buffer | any}>}
 */
export async function serveArtifact(peer, request) {
  try {
    check(request.method === 'GET', 'bad_request', 'method');
    const contract = request.headers.find(([name]) => name.toLowerCase() === 'hire-contract')?.[1] ?? '';
    const provider = peer.findContract(contract)?.with;
    const method = claimedKey(request); // who has signed nothing hears that, whatever the contract; and a key may be new, with which work goes on after a restart
    const methods = provider ? multikeys(await peer.resolver.resolve(provider, { method }), 'authentication', peer.now()) : {};
    const known = provider ? { contract, provider } : { contract: '', provider: '' };
    verifyRequest(request, { origin: peer.origin, now: peer.now(), ...known, methods, seen: (keyid, nonce) => peer.nonceSeen(keyid, nonce) });
    return { status: 200, body: await given(peer, /** @type {any} */ (peer.findContract(contract)), request.path) }; // it may have been put away meanwhile
  } catch (error) {
    const code = error instanceof HireError ? error.code : 'internal';
    peer.log(undefined, 'artifact refused', error);
    const no = ['scope_exceeded', 'contract_expired', 'approval_required', ...FALLEN].includes(code);
    if (['did_unresolvable', 'store_unavailable'].includes(code)) return { status: 503, body: { code: 'overloaded' } }; // its keys cannot be had now, or our disk is full, and it may come again
    if (code === 'not_found' || code === 'bad_path') return { status: 404, body: { code: 'bad_path' } };
    return { status: no ? 403 : 401, body: { code: no || tables.codes[code]?.told === 'at once' ? code : 'proof_invalid' } };
  }
}

/** @param {import('./peer.js').Peer} peer @param {import('./conversation.js').Conversation} conversation @param {string} path @returns {Promise<Buffer>} */
async function given(peer, conversation, path) {
  const digest = path.slice('/artifacts/'.length);
  if (conversation.role === 'provider') {
    const delivered = Object.values(conversation.engagement.messages).filter((one) => one.type === 'Delivery').flatMap((one) => one.artifacts);
    check(delivered.some((one) => one.digest === digest), 'scope_exceeded', 'not delivered under this contract');
    return peer.store.get(digest);
  }
  const { terms } = conversation.engagement.state;
  await admit(conversation, conversation.with, { name: 'artifact:read', target: peer.origin + path }, terms?.task.inputs.includes(digest) ?? false);
  return peer.store.get(digest);
}
