/** Presentations and the credentials in them (page 02, sections 2.6 and 2.7; page 11, section 11.1). */
import { HireError, check } from './errors.js';
import { readCredential, verifyIssued } from './credential.js';
import { CONTEXT, digestOfBytes, instant, isObject, jcs, newId } from './encoding.js';
import { checkContexts, makeProof, verifyAlone } from './proofs.js';

export const VC = 'https://www.w3.org/ns/credentials/v2';
const MEMBERS = ['@context', 'engagement', 'holder', 'id', 'proof', 'type', 'verifiableCredential'];

/**
 * @param {{holder: string, engagement: string, challenge: string, domain: string, credentials?: any[]}} of
 * @param {import('./keys.js').PrivateKey} key @param {string} suite @param {number} now
 */
export async function present({ holder, engagement, challenge, domain, credentials = [] }, key, suite, now) {
  const presentation = {
    '@context': [VC, CONTEXT], id: newId(), type: ['VerifiablePresentation'], holder, engagement,
    ...(credentials.length ? { verifiableCredential: credentials } : {}),
  };
  const proof = await makeProof(presentation, key, { cryptosuite: suite, proofPurpose: 'authentication', created: instant(now), challenge, domain });
  return { ...presentation, proof };
}

/**
 * @param {any} message a `Presentation` whose place was judged @param {import('./did.js').Resolver} resolver @param {number} now
 * @param {Set<string>} [excused] codes for which a credential counts for nothing, and the message is not refused
 * @returns {Promise<any[]>} the credentials that hold
 */
export async function verifyPresentation(message, resolver, now, excused = new Set()) {
  const { presentation } = message;
  const said = readPresentation(presentation);
  check(presentation.holder === message.sender, 'holder_mismatch', 'holder');
  check(said.every(({ subjects }) => subjects.every(({ id }) => id === message.sender)), 'holder_mismatch', 'subject');
  check(['id', 'engagement'].every((name) => typeof presentation[name] === 'string'), 'schema_violation', 'members of a presentation', '/presentation');
  check(presentation.engagement === message.engagement, 'wrong_negotiation', 'engagement');
  await verifyAlone(presentation, { did: await resolver.resolve(message.sender), purpose: 'authentication', now, challenge: message.answers, domain: message.recipient });
  const held = [];
  let leftOut;
  for (const [place, credential] of (presentation.verifiableCredential ?? []).entries()) {
    try {
      await verifyIssued(credential, said[place], resolver, now);
      held.push(credential);
    } catch (error) {
      if (!(error instanceof HireError) || !(error.code === 'policy_denied' || excused.has(error.code))) throw error;
      if (!excused.has(error.code)) leftOut ??= error; // a signature that does not hold behind it weighs more
    }
  }
  if (leftOut) throw leftOut;
  return held;
}

/** What the credentials in a presentation say, once its sizes and shape are right. @param {any} presentation */
function readPresentation(presentation) {
  check(![presentation.type].flat().includes('EnvelopedVerifiablePresentation'), 'suite_not_allowed', 'a JWT');
  const { verifiableCredential: credentials = [] } = presentation;
  check(Array.isArray(credentials), 'schema_violation', 'credentials', '/presentation/verifiableCredential');
  check(credentials.length <= 16 && Buffer.byteLength(jcs(presentation)) <= 131072, 'too_large', 'credentials');
  check(presentation.proof !== undefined, 'proof_missing', 'presentation', '/presentation/proof');
  const strange = Object.keys(presentation).find((name) => !MEMBERS.includes(name));
  check(strange === undefined, 'unknown_term', `member ${strange} of a presentation`, '/presentation');
  checkContexts(presentation);
  check(['"VerifiablePresentation"', '["VerifiablePresentation"]'].includes(jcs(presentation.type ?? null)), 'schema_violation', 'type', '/presentation/type');
  check(typeof presentation.holder === 'string' && presentation.holder.startsWith('did:'), 'schema_violation', 'holder', '/presentation/holder');
  check(credentials.every(isObject), 'schema_violation', 'credentials', '/presentation/verifiableCredential');
  const said = credentials.map((/** @type {any} */ one) => readCredential(one));
  const issuers = new Set(said.map(({ issuer }) => issuer));
  issuers.delete(presentation.holder);
  check(issuers.size <= 8, 'too_large', 'issuers');
  return said;
}

/** Which of the credentials that a party holds answer a request. @param {any[]} held @param {any} request */
export function answersTo(held, request) {
  const wanted = request.needs.filter((/** @type {any} */ need) => need.credential !== undefined);
  const fits = (/** @type {any} */ one, /** @type {any} */ need) => one.type.includes(need.credential) && (need.issuers === undefined || need.issuers.includes(one.issuer?.id ?? one.issuer));
  const found = wanted.map((/** @type {any} */ need) => held.find((one) => fits(one, need)));
  return [...new Set(found.filter(Boolean))];
}

/** Whether everything that was asked for was shown. @param {any[]} shown @param {any} request */
export const satisfies = (shown, request) => request.needs.filter((/** @type {any} */ need) => need.credential).every((/** @type {any} */ need) => answersTo(shown, { needs: [need] }).length === 1);

/** @param {any} credential */
export const credentialDigest = (credential) => digestOfBytes(jcs(credential));
