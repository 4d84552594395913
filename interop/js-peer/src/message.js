/** Reading and signing messages (pages 04 and 10, section 10.1). */
import { check, HireError } from './errors.js';
import { digest, engagementId, jcs, newId, CONTEXT } from './encoding.js';
import { readJson } from './json.js';
import { checkMessageShape } from './schema.js';
import { checkTimes, makeProof, times, verifyProof } from './proofs.js';
import { sameKey, signingKeys } from './did.js';
import { SUITES } from './keys.js';
import { tables } from './spec.js';

export const NOTICES = new Set(tables.notices);
/** @param {string} type @returns {'authentication' | 'assertionMethod'} */
export const purposeOf = (type) => (tables.purposes.assertionMethod.includes(type) ? 'assertionMethod' : 'authentication');

/** What a member may have in canonical form (page 10, section 10.4). */
const MEMBER_BYTES = /** @type {const} */ ([
  ['document', 65536], ['credential', 65536], ['presentation', 131072], ['statements', 131072], ['statement', 131072], ['ruling', 65536], ['parents', 163840],
]);

/** @param {Uint8Array} bytes @returns {any} a message whose shape is right and whose proof was not looked at */
export function readMessage(bytes) {
  const message = readJson(bytes);
  const sized = Buffer.byteLength(jcs(message));
  if (message.type === 'Problem') check(sized <= 2048 && bytes.length <= 2048, 'too_large', 'Problem');
  else if (NOTICES.has(/** @type {string} */ (message.type))) check(bytes.length <= 8192, 'too_large', 'notice');
  for (const [member, most] of MEMBER_BYTES) {
    if (bytes.length > most && message[member] !== undefined) check(Buffer.byteLength(jcs(message[member])) <= most, 'too_large', member, `/${member}`);
  }
  checkMessageShape(message);
  return message;
}

/**
 * @param {any} message @param {{resolver: import('./did.js').Resolver, recipient: string, now: number, suites?: string[]}} reader
 * @returns {Promise<{digest: string, document: import('./did.js').Document}>}
 */
export async function verifyMessage(message, { resolver, recipient, now, suites = Object.keys(SUITES) }) {
  const { proof, ...rest } = message;
  check(suites.includes(proof.cryptosuite) && SUITES[proof.cryptosuite] !== undefined, 'suite_not_allowed', proof.cryptosuite);
  const purpose = purposeOf(message.type);
  check(proof.proofPurpose === purpose, 'proof_purpose_mismatch', proof.proofPurpose);
  check(proof.verificationMethod.split('#')[0] === message.sender, 'key_not_authorized', 'method of another');
  const fresh = message.type === 'Acceptance' || message.type === 'Seal';
  const document = await resolver.resolve(message.sender, { fresh, method: proof.verificationMethod });
  const key = await verifyProof(rest, proof, { did: document, purpose, now, suites });
  try {
    await checkMeant(message, key, { resolver, recipient, now });
  } catch (error) {
    // the message is its sender's, so it may hear what is wrong with it (page 09, section 9.3)
    throw error instanceof HireError ? Object.assign(error, { proved: true }) : error;
  }
  return { digest: digest(message), document };
}

/** When, for whom and in which engagement a message that is its sender's is good. @param {any} message @param {import('./keys.js').PublicKey} key @param {{resolver: import('./did.js').Resolver, recipient: string, now: number}} reader */
async function checkMeant(message, key, { resolver, recipient, now }) {
  checkTimes(message.proof, now);
  check(message.recipient === recipient, 'wrong_recipient', message.recipient);
  check(message.sender !== message.recipient, 'self_dealing', 'one DID');
  const own = signingKeys(await resolver.resolve(recipient));
  check(![...own.values()].some((one) => sameKey(one, key)), 'self_dealing', 'one key');
  if (message.type === 'Inquiry') {
    check(message.engagement === engagementId(message.sender, message.recipient, message.nonce), 'wrong_negotiation', 'engagement');
  }
}

/**
 * @param {Record<string, any>} content envelope and body without `@context`, `id` and `proof`
 * @param {import('./keys.js').PrivateKey} key @param {string} suite @param {number} now
 * @returns {Promise<any>} the signed message
 */
export async function signMessage(content, key, suite, now) {
  const message = { '@context': CONTEXT, id: newId(), ...content };
  return signAgain(message, key, suite, now);
}

/** Signs content that has its id already. @param {any} message @param {import('./keys.js').PrivateKey} key @param {string} suite @param {number} now */
export async function signAgain({ proof: old, ...message }, key, suite, now) {
  const proof = await makeProof(message, key, { cryptosuite: suite, proofPurpose: purposeOf(message.type), ...times(now) });
  return { ...message, proof };
}
