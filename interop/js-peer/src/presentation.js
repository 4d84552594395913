/** Presentations and the credentials in them (page 02, sections 2.6 and 2.7; page 11, section 11.1). */
import { HireError, check } from './errors.js';
import { CONTEXT, digestOfBytes, instant, jcs, moment, newId } from './encoding.js';
import { checkContexts, checkMoments, makeProof, onlyProof, verifyProof } from './proofs.js';

export const VC = 'https://www.w3.org/ns/credentials/v2';
const MEMBERS = ['@context', 'engagement', 'holder', 'id', 'proof', 'type'];

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

const sizeOf = (/** @type {any} */ value) => Buffer.byteLength(jcs(value));

/**
 * @param {any} message a `Presentation` whose place was judged @param {import('./did.js').Resolver} resolver @param {number} now
 * @param {Set<string>} [excused] codes for which a credential counts for nothing, and the message is not refused
 * @returns {Promise<any[]>} the credentials that hold
 */
export async function verifyPresentation(message, resolver, now, excused = new Set()) {
  const { presentation } = message;
  check(!JSON.stringify(presentation.type ?? '').includes('Enveloped'), 'suite_not_allowed', 'a JWT');
  const { verifiableCredential: credentials = [], ...rest } = presentation;
  check(presentation.proof !== undefined, 'proof_missing', 'presentation', '/presentation/proof');
  const strange = Object.keys(rest).find((name) => !MEMBERS.includes(name));
  check(strange === undefined, 'unknown_term', `member ${strange} of a presentation`, '/presentation');
  const whole = MEMBERS.every((name) => name in rest) && ['id', 'holder', 'engagement'].every((name) => typeof rest[name] === 'string');
  const listed = Array.isArray(credentials) && credentials.every((one) => one !== null && typeof one === 'object' && !Array.isArray(one));
  check(listed && whole, 'schema_violation', 'members of a presentation', '/presentation');
  checkContexts(presentation);
  check(jcs([presentation.type].flat()) === '["VerifiablePresentation"]', 'schema_violation', 'type', '/presentation/type');
  const sized = credentials.every((one) => sizeOf(one) <= 65536) && sizeOf(presentation) <= 131072;
  const issuers = new Set(credentials.map(({ issuer }) => issuer?.id ?? issuer));
  issuers.delete(presentation.holder);
  check(credentials.length <= 16 && sized && issuers.size <= 8, 'too_large', 'credentials');
  check(presentation.holder === message.sender, 'holder_mismatch', 'holder');
  check(presentation.engagement === message.engagement, 'wrong_negotiation', 'engagement');
  const { proof: proofs, ...unsigned } = presentation;
  const proof = onlyProof(proofs);
  check(proof?.challenge === message.answers && proof.domain === message.recipient, 'challenge_mismatch', 'challenge');
  await verifyProof(unsigned, proof, { did: await resolver.resolve(message.sender), purpose: 'authentication', now });
  checkMoments(proof, now);
  const held = [];
  let leftOut;
  for (const credential of credentials) {
    try {
      await verifyCredential(credential, message.sender, resolver, now);
      held.push(credential);
    } catch (error) {
      if (!(error instanceof HireError) || !(error.code === 'policy_denied' || excused.has(error.code))) throw error;
      if (!excused.has(error.code)) leftOut ??= error; // a signature that does not hold behind it weighs more
    }
  }
  if (leftOut) throw leftOut;
  return held;
}

/** @param {any} credential @param {string} subject @param {import('./did.js').Resolver} resolver @param {number} now */
export async function verifyCredential(credential, subject, resolver, now) {
  check(!JSON.stringify(credential.type ?? '').includes('Enveloped'), 'suite_not_allowed', 'a JWT');
  const { proof: proofs, ...unsigned } = credential;
  const proof = onlyProof(proofs);
  checkContexts(credential);
  const types = [credential.type].flat();
  const subjects = [credential.credentialSubject].flat();
  const shaped = types.includes('VerifiableCredential') && subjects.length > 0 && subjects.every((one) => one !== null && typeof one === 'object');
  check(shaped, 'schema_violation', 'credential');
  check(subjects.every(({ id }) => id === subject), 'holder_mismatch', 'subject');
  // of ours, so its one subject is where its limits are looked for
  check(!types.includes('MembershipCredential') || !Array.isArray(credential.credentialSubject), 'schema_violation', 'subject of a membership');
  const issuer = typeof credential.issuer === 'string' ? credential.issuer : credential.issuer?.id;
  check(typeof issuer === 'string', 'schema_violation', 'issuer');
  const [begins, ends] = [credential.validFrom, credential.validUntil].map((text) => (text === undefined ? undefined : moment(text)));
  check(begins === undefined || ends === undefined || begins <= ends, 'schema_violation', 'validity');
  await verifyProof(unsigned, proof, { did: await resolver.resolve(issuer), purpose: 'assertionMethod', now, lowS: false });
  checkMoments(proof, now);
  // last: what only does not count now has to be its issuer's all the same
  check(credential.credentialSchema === undefined, 'policy_denied', 'schema');
  check((begins === undefined || begins <= now) && (ends === undefined || now <= ends), 'policy_denied', 'validity');
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
