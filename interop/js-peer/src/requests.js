/** Signed requests to a resource server, and signed answers (page 03, section 3.7; page 14, sections 14.2 and 14.7). */
import { randomBytes } from 'node:crypto';
import { check } from './errors.js';
import { sha256 } from './encoding.js';
import { field, itemText, listText, paramsText, readDictionary } from './fields.js';
import { readKey, sign, verify } from './keys.js';

/**
 * @typedef {{method: string, path: string, headers: [string, string][], body?: string | Uint8Array}} Request
 * @typedef {{status: number, headers: [string, string][], body?: string | Uint8Array, request: Request}} Answer
 */

const ALGORITHMS = { Ed25519: 'ed25519', 'P-256': 'ecdsa-p256-sha256', 'P-384': 'ecdsa-p384-sha384' };
const CHANGES = new Set([
  'x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-method', 'x-forwarded-method', 'x-original-url', 'x-original-uri', 'x-rewrite-url',
  'x-forwarded-uri', 'x-forwarded-path', 'x-forwarded-prefix', 'x-envoy-original-path', 'x-script-name', 'upgrade',
]);
const bytesOf = (/** @type {string | Uint8Array | undefined} */ body) => Buffer.from(body ?? '');
const contentDigest = (/** @type {string | Uint8Array | undefined} */ body) => `sha-256=:${sha256(bytesOf(body)).toString('base64')}:`;

/** What two readers could take for two requests (HIRE-GTS-02). @param {Request} request */
export function checkForm({ method, path, headers }) {
  const names = headers.map(([name]) => name.toLowerCase());
  const count = (/** @type {string} */ name) => names.filter((one) => one === name).length;
  check(path.startsWith('/') && !path.startsWith('//') && !/[#\\]|^[^?]*\?$/.test(path) && method !== 'CONNECT', 'bad_request', 'target');
  check(count('host') <= 1 && count('content-length') <= 1 && !(count('content-length') && count('transfer-encoding')), 'bad_request', 'lengths');
  check(!names.some((name) => CHANGES.has(name.replaceAll('_', '-'))), 'bad_request', 'a field that changes the request');
}

/** @param {[string, string][]} headers @param {string} tag @returns {{label: string, input: import('./fields.js').Member, signature: Uint8Array}} */
function signatureOf(headers, tag) {
  const [inputs, values] = ['signature-input', 'signature'].map((name) => {
    const value = field(headers, name);
    check(value !== undefined, 'proof_missing', `no ${name}`);
    return readDictionary(/** @type {string} */ (value));
  });
  const tagged = [...inputs].filter(([, member]) => member.items && param(member, 'tag') === tag);
  check(tagged.length > 0, 'proof_missing', 'no signature with this tag');
  check(tagged.length === 1, 'proof_invalid', 'two signatures');
  const [[label, input]] = tagged;
  const signature = values.get(label)?.value;
  check(signature instanceof Uint8Array, 'proof_missing', 'no signature bytes');
  check(input.items?.every(({ value }) => typeof value === 'string') === true, 'proof_invalid', 'a component without a name');
  return { label, input, signature: /** @type {Uint8Array} */ (signature) };
}

/** @param {{params: [string, any][]}} member @param {string} name @returns {any} */
const param = (member, name) => member.params.find(([one]) => one === name)?.[1];

/** The method that a request claims to be signed by. @param {Request} request @returns {any} what stands there */
export const claimedKey = ({ headers }) => param(signatureOf(headers, 'hire').input, 'keyid');

/** @param {import('./fields.js').Member} input @param {number} now */
function checkAge(input, now) {
  const [created, expires] = [param(input, 'created'), param(input, 'expires')];
  check(Number.isSafeInteger(created), 'proof_invalid', 'created');
  check(created <= now + 60, 'proof_from_future', 'created');
  check(created >= now - 60, 'proof_expired', 'created');
  check(expires === undefined || Number.isSafeInteger(expires), 'proof_invalid', 'expires');
  check(expires === undefined || now <= expires, 'proof_expired', 'expires');
  return { created, expires };
}

/** @param {import('./fields.js').Member} input @param {(item: import('./fields.js').Item) => string | undefined} valueOf */
function base(input, valueOf) {
  const items = /** @type {import('./fields.js').Item[]} */ (input.items);
  const lines = items.map((item) => {
    const value = valueOf(item);
    check(value !== undefined && /^[\t -~\x80-\xff]*$/.test(value), 'proof_invalid', `component ${item.value}`);
    return `${itemText(item)}: ${value}`;
  });
  return [...lines, `"@signature-params": ${listText(items, input.params)}`].join('\n');
}

/** @param {Request} request @param {string} origin @returns {(item: import('./fields.js').Item) => string | undefined} */
const requestPart = (request, origin) => ({ value }) => {
  if (value === '@method') return request.method;
  const [path, query] = [request.path.split('?')[0], request.path.slice(request.path.indexOf('?') + 1 || request.path.length)];
  if (value === '@target-uri') return origin + request.path;
  if (value === '@scheme') return origin.split(':')[0];
  if (value === '@authority') return new URL(origin).host;
  if (value === '@path') return path;
  if (value === '@query') return `?${query}`;
  if (value === '@request-target') return request.path;
  return String(value).startsWith('@') ? undefined : field(request.headers, String(value));
};

/**
 * @param {Request} request
 * @param {{origin: string, now: number, contract: string, provider: string, methods: Record<string, string>, seen?: (keyid: string, nonce: string) => boolean}} gate
 *   `contract` is one that is known here, `methods` are the Multikeys that its provider lists under `authentication`
 */
export function verifyRequest(request, { origin, now, contract, provider, methods, seen = () => false }) {
  checkForm(request);
  const named = field(request.headers, 'hire-contract');
  check(/^uEi[A-Za-z0-9_-]{44}$/.test(named ?? ''), 'proof_missing', 'not one contract is named');
  const { input, signature } = signatureOf(request.headers, 'hire');
  const body = bytesOf(request.body);
  const sent = field(request.headers, 'content-digest');
  const announced = sent !== undefined || field(request.headers, 'transfer-encoding') !== undefined || (field(request.headers, 'content-length') ?? '0') !== '0' || body.length > 0;
  const items = /** @type {import('./fields.js').Item[]} */ (input.items);
  const covered = items.filter(({ params }) => params.length === 0).map(({ value }) => value);
  check(covered.length === items.length && new Set(covered).size === covered.length, 'proof_invalid', 'components');
  for (const name of ['@method', '@target-uri', 'hire-contract', ...(announced ? ['content-digest'] : [])]) check(covered.includes(name), 'proof_invalid', `${name} is not covered`);
  const [keyid, nonce, alg] = ['keyid', 'nonce', 'alg'].map((name) => param(input, name));
  check(typeof keyid === 'string' && typeof nonce === 'string', 'proof_invalid', 'keyid and nonce');
  const { created, expires } = checkAge(input, now);
  check(Number.isSafeInteger(expires) && expires - created <= 60 && expires >= created, 'proof_invalid', 'expires');
  check(/^[!-~]{16,128}$/.test(nonce), 'proof_invalid', 'nonce');
  if (covered.includes('content-digest')) {
    check(sent !== undefined, 'proof_invalid', 'no digest');
    checkDigest(/** @type {string} */ (sent), body);
  }
  check(named === contract, 'proof_invalid', 'a contract that is not known');
  check(keyid.split('#')[0] === provider && methods[keyid] !== undefined, 'key_not_authorized', 'keyid');
  const key = readKey(methods[keyid]);
  check(alg === ALGORITHMS[key.kind], 'suite_not_allowed', 'alg');
  const signed = base(input, requestPart(request, origin));
  check(verify(key, signature, Buffer.from(signed, 'latin1')), 'proof_invalid', 'signature');
  check(!seen(keyid, nonce), 'replayed', 'nonce');
  return { keyid, nonce, signed };
}

/** @param {string} sent @param {Uint8Array} body */
function checkDigest(sent, body) {
  const stated = readDictionary(sent).get('sha-256')?.value;
  check(stated instanceof Uint8Array && stated.length === 32, 'proof_invalid', 'no digest');
  check(Buffer.from(/** @type {Uint8Array} */ (stated)).equals(sha256(body)), 'digest_mismatch', 'body');
}

/**
 * Fields that sign a request.
 * @param {Request} request @param {{origin: string, contract: string, now: number}} of @param {import('./keys.js').PrivateKey} key
 * @returns {[string, string][]}
 */
export function signRequest(request, { origin, contract, now }, key) {
  const hasBody = bytesOf(request.body).length > 0;
  /** @type {[string, string][]} */
  const headers = [['Hire-Contract', contract], ...(hasBody ? /** @type {[string, string][]} */ ([['Content-Digest', contentDigest(request.body)]]) : [])];
  const items = ['@method', '@target-uri', 'hire-contract', ...(hasBody ? ['content-digest'] : [])].map((value) => ({ value, params: [] }));
  const created = Math.floor(now);
  /** @type {[string, any][]} */
  const params = [['created', created], ['expires', created + 60], ['nonce', randomBytes(18).toString('base64url')], ['keyid', key.method], ['alg', ALGORITHMS[key.kind]], ['tag', 'hire']];
  const text = listText(items, params);
  const signed = base({ items, params }, requestPart({ ...request, headers: [...request.headers, ...headers] }, origin));
  const signature = Buffer.from(sign(key, Buffer.from(signed, 'latin1'))).toString('base64');
  return [...headers, ['Signature-Input', `hire=${text}`], ['Signature', `hire=:${signature}:`]];
}

/**
 * @param {Answer} answer
 * @param {{origin: string, now: number, hirer: string, methods: Record<string, string>}} of
 */
export function verifyAnswer(answer, { origin, now, hirer, methods }) {
  const { input, signature } = signatureOf(answer.headers, 'hire-answer');
  const asked = signatureOf(answer.request.headers, 'hire');
  const wanted = ['"@status"', '"content-digest"', ...(field(answer.headers, 'content-type') === undefined ? [] : ['"content-type"']),
    '"@method";req', '"@target-uri";req', '"hire-contract";req', ...(field(answer.request.headers, 'content-digest') === undefined ? [] : ['"content-digest";req']),
    `"signature";req;key="${asked.label}"`];
  const named = /** @type {import('./fields.js').Item[]} */ (input.items);
  const covered = named.map(({ value, params }) => itemText({ value, params: [...params].sort(([a], [b]) => (a < b ? 1 : -1)) }));
  check(wanted.every((one) => covered.includes(one)) && new Set(covered).size === covered.length, 'proof_invalid', 'components');
  const plain = named.map(({ params }) => ['', ';req'].includes(paramsText(params)));
  check(covered.every((one, at) => plain[at] || wanted.includes(one)), 'proof_invalid', 'parameters of a component');
  checkAge(input, now);
  const sent = field(answer.headers, 'content-digest');
  check(sent !== undefined, 'proof_missing', 'no digest');
  checkDigest(/** @type {string} */ (sent), bytesOf(answer.body));
  const [keyid, alg] = ['keyid', 'alg'].map((name) => param(input, name));
  check(typeof keyid === 'string', 'proof_invalid', 'keyid');
  check(keyid.split('#')[0] === hirer && methods[keyid] !== undefined, 'key_not_authorized', 'keyid');
  const key = readKey(methods[keyid]);
  check(alg === ALGORITHMS[key.kind], 'suite_not_allowed', 'alg');
  const ofRequest = requestPart(answer.request, origin);
  const signed = base(input, (item) => {
    if (param(item, 'key') !== undefined) return `:${Buffer.from(asked.signature).toString('base64')}:`; // the one that is wanted
    if (param(item, 'req') === true) return ofRequest(item);
    return item.value === '@status' ? String(answer.status) : field(answer.headers, String(item.value));
  });
  check(verify(key, signature, Buffer.from(signed, 'latin1')), 'proof_invalid', 'signature');
  return { keyid, signed };
}
